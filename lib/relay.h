/* SPDX-License-Identifier: MIT */
#pragma once

/* The two latches (P1..P6, P11..P15): given which rules are tripped and what the pack says, is a relay to be open
 * or closed, what holds it, and what would release it. Open always wins and is never delayed. Drives no hardware. */

#include "protection.h"

#define RELAY_CLOSINGS_PER_HOUR 6                          /* P5 */
#define RELAY_RECOVERY_DELAY_USEC (10 * USEC_PER_SEC)      /* P4 */
#define RELAY_VMIN_TRIPS 3                                 /* P5 */
#define RELAY_LOCK_USEC (12 * USEC_PER_HOUR)               /* P5 (j) */
#define RELAY_PAUSE_USEC (15 * USEC_PER_MINUTE)            /* P4 (j) */
#define RELAY_UNCALIBRATED_MARGIN_MV 50                    /* P2 */
#define RELAY_DRAINED_MV 3300                              /* P3 */
#define RELAY_DRAINED_USEC (30 * USEC_PER_MINUTE)          /* P3 */
#define RELAY_DRAINED_V_BYPASS_MAX_MV 3700                 /* P3 */
#define RELAY_DRAINED_SOC_PERMYRIAD 1000                   /* P3 */

/* What keeps an open relay open. All of them are listed, most fundamental first. */
enum hold_kind {
        HOLD_LINK,          /* link not live */
        HOLD_RULE,          /* a rule is tripped or pending: see rule */
        HOLD_V_BYPASS,      /* charge: every cell must be below V-bypass (uncalibrated: 50 mV below) */
        HOLD_V_BYPASS_UNKNOWN, /* V-bypass not yet believed */
        HOLD_V_HYSTERESIS,  /* voltage not far enough back */
        HOLD_T_HYSTERESIS,  /* temperature not far enough back */
        HOLD_SOC,           /* wait_for_restart: SOC must pass the restart value */
        HOLD_DELAY,         /* restart delay */
        HOLD_RECOVERY,      /* 10 s after an opening by link, E or unconfirmed */
        HOLD_CYCLING,       /* P5: six closings in an hour */
        HOLD_RELEASE,       /* P5: second cycling hour within a day: needs `release`, or 12 hours */
        HOLD_VMIN_TRIPS,    /* P5: third V-min trip without charge: needs 1 % of capacity, or `release load` */
        HOLD_CONFIRM,       /* all clear, waiting for trip_frames good frames (B8, P13) */
        HOLD_BOARD,         /* role monitor: the board forbids */
        HOLD_SETTINGS,      /* settings damaged: the owner must confirm (design 8) */
        HOLD_STATE,         /* the earlier run's latches are not read yet (P14) */
        _HOLD_MAX,
};

struct hold {
        enum hold_kind kind;
        enum rule rule;            /* HOLD_RULE, *_HYSTERESIS */
        uint8_t cell;              /* 0 = none */
        struct maybe value, limit; /* mV, 0.1 degC or permyriad, by kind and rule */
        usec_t remaining;          /* HOLD_DELAY, HOLD_RECOVERY, HOLD_CYCLING, HOLD_RELEASE; else 0 */
};

struct relay {
        bool closed;          /* commanded */
        struct reason reason; /* of the newest change (RULE_START at first) */
        usec_t opened_at;     /* 0 = never opened in this run (a start is no opening, P4) */
        bool recovery;        /* the newest opening was by link, E or unconfirmed: 10 s apply */
        bool wait_for_restart;       /* P2 */
        enum rule v_hysteresis;      /* the V rule whose hysteresis still has to be met; _RULE_MAX = none */
        bool t_low_hysteresis, t_high_hysteresis;
        usec_t delay_until;          /* restart delay; 0 = none */
        usec_t pause_until;          /* charge: P4, after a charge that ended at once; 0 = none */
        bool counts;                 /* the next closing follows a V, T, full or imbalance opening (P5) */
        usec_t closings[RELAY_CLOSINGS_PER_HOUR]; /* ring, of counted closings */
        unsigned closings_next, closings_filled;
        usec_t cycling_since;        /* when an hour was first found full; 0 = none yet */
        unsigned closings_since_cycling;
        bool cycling;                /* now held by it */
        bool locked;                 /* P5: needs release, or RELAY_LOCK_USEC */
        usec_t locked_at;
        unsigned vmin_trips;         /* load: P5 */
        int64_t vmin_trips_charged_mams; /* soc.charged_mams at the first of them */
        bool by_recover;             /* closed by `recover`, past rules that would hold it (P11) */
        unsigned clear_frames;       /* good frames in a row without any other hold */
        usec_t drained_since;        /* charge: P3; 0 = not */
};

/* What the latches look at in one step. Plain values: the same inputs give the same outputs. */
struct relay_inputs {
        usec_t now;
        bool live;           /* link live */
        bool link_error;     /* not live because of E, else because of silence (for the reason) */
        bool frame;          /* this step is for a new good frame (else a tick) */
        const struct protection *protection;
        const struct limits *limits;
        const struct settings *settings;
        unsigned tripped_now; /* protection_frame()'s answer */
        struct maybe lowest_mv, highest_mv, lowest_decic;
        uint8_t lowest_mv_cell, highest_mv_cell, lowest_decic_cell;
        struct maybe hot_decic;       /* of all readings the one with the least room to its own T-max (P7) */
        int32_t hot_limit_decic;
        uint8_t hot_cell;
        struct maybe soc_permyriad, soc_growth_permyriad;
        bool calibrated;
        struct maybe current_ma;
        struct maybe c20_ma;          /* C/20; none = capacity unknown */
        int64_t charged_mams;
        struct maybe64 one_percent_mams; /* 1 % of capacity; none = unknown */
        bool recover;                 /* P11 in force */
        bool settings_unconfirmed;    /* HOLD_SETTINGS */
        bool state_awaited;           /* HOLD_STATE */
};

struct relays {
        struct relay relay[_RELAY_MAX];
};

void relays_init(struct relays *r);

/* One decision step: trips set flags, then openings, then closings. */
void relays_step(struct relays *r, const struct relay_inputs *in);

/* Role monitor: the relays follow the board's permissions and the link. allowed: by 2 of 3 frames (B6). */
void relays_monitor_step(struct relays *r, usec_t now, bool live, bool link_error, const bool allowed[_RELAY_MAX]);

/* P13: no closing in this cycle. */
void relays_settings_changed(struct relays *r);

/* An E frame: the good frames that a closing needs (B8) are in a row, and so begin anew. */
void relays_error_frame(struct relays *r);

/* Feedback showed the relay closed at start: that makes the start an opening (P4). */
void relay_found_closed(struct relay *r, usec_t now);

/* `release`: ends HOLD_CYCLING, HOLD_RELEASE and HOLD_VMIN_TRIPS. False if none was in force. */
bool relay_release(struct relay *r);

/* Everything that keeps this open relay open now, in order; at most _HOLD_MAX + _RULE_TABLE_MAX entries.
 * Returns how many. 0 for a relay that is closed or may close. */
#define RELAY_HOLDS_MAX ((int)_HOLD_MAX + (int)_RULE_TABLE_MAX)
size_t relay_holds(const struct relays *r, enum relay_id id, const struct relay_inputs *in,
                   struct hold ret_holds[RELAY_HOLDS_MAX]);
