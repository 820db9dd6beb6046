/* SPDX-License-Identifier: MIT */
#pragma once

/* The limits: a table of rules read by one evaluator, with confirmation over frames (B8) and the "unconfirmed"
 * opening. Says which rules are tripped; relay.h says what that does to a relay. */

#include "pack.h"
#include "settings.h"
#include "units.h"

enum relay_id {
        RELAY_CHARGE,
        RELAY_LOAD,
        _RELAY_MAX,
};

#define BLOCKS_CHARGE (1u << RELAY_CHARGE)
#define BLOCKS_LOAD (1u << RELAY_LOAD)
#define BLOCKS_BOTH (BLOCKS_CHARGE | BLOCKS_LOAD)

/* Everything that can open a relay, and so be a reason. Up to _RULE_TABLE_MAX: rows of the table. */
enum rule {
        RULE_V_MAX,           /* a cell >= V-max */
        RULE_V_MIN,           /* a cell <= V-min */
        RULE_FULL,            /* every cell >= V-bypass; normal mode only (S2) */
        RULE_FULL_PACK,       /* pack >= V-bypass x N; critical mode only; a sync, opens nothing (S2) */
        RULE_T_MIN_CHARGE,    /* a cell below T-min */
        RULE_T_MIN_DISCHARGE, /* a cell below T-min for discharging (P8) */
        RULE_T_MAX,           /* the named hottest cell above its limit (P7) */
        RULE_T_MAX_CELL,      /* a cell's own detail above its limit, in trip_frames rotations (P7) */
        _RULE_TABLE_MAX,
        RULE_START = _RULE_TABLE_MAX, /* nothing was decided yet */
        RULE_LINK,                    /* link not live */
        RULE_ERROR,                   /* communication error E */
        RULE_UNCONFIRMED,             /* B8: a limit crossed, then nothing usable */
        RULE_RECOVER,                 /* closed by `recover`, or opened as it ended (P11) */
        RULE_BOARD,                   /* role monitor: the OUT board's permission */
        RULE_CLEAR,                   /* closed: every condition for closing holds */
        RULE_FEEDBACK,                /* found closed at start by its feedback input: driven open */
        _RULE_MAX,
};

/* Why something is as it is: which rule, by which cell, value against limit in the rule's unit, since when. */
struct reason {
        enum rule rule;
        uint8_t cell;        /* 0 = none */
        struct maybe value, limit; /* mV or 0.1 degC, by rule_info.input */
        usec_t at;
};

enum rule_input {
        INPUT_HIGHEST_MV,
        INPUT_LOWEST_MV,
        INPUT_PACK_MV,
        INPUT_LOWEST_DECIC,
        INPUT_HIGHEST_DECIC,
        INPUT_CELL_DECIC, /* per-cell details */
        _INPUT_MAX,
};

enum rule_direction { TRIPS_AT_OR_ABOVE, TRIPS_AT_OR_BELOW, TRIPS_ABOVE, TRIPS_BELOW };

enum rule_limit {
        LIMIT_V_MAX,
        LIMIT_V_MIN,
        LIMIT_V_BYPASS,
        LIMIT_V_BYPASS_PACK, /* V-bypass x N */
        LIMIT_T_MIN,
        LIMIT_T_MIN_DISCHARGE,
        LIMIT_T_MAX, /* or T-max bypass, by the cell (P7) */
};

enum rule_mode { IN_ANY_MODE, IN_NORMAL_MODE, IN_CRITICAL_MODE };

struct rule_info {
        const char *name; /* "V-max" */
        enum rule_input input;
        enum rule_direction direction;
        enum rule_limit limit;
        enum rule_mode mode;
        unsigned blocks;         /* BLOCKS_* */
        bool sync;               /* needs max(3, trip_frames) frames (S2) */
        bool wait_for_restart;   /* sets the flag of the relays it blocks, in normal mode (P2) */
};

/* One row of the table; rule < _RULE_TABLE_MAX. */
const struct rule_info *rule_info(enum rule rule);

struct trip {
        unsigned frames;    /* good frames in a row that break the rule */
        usec_t since;       /* of the first of them */
        bool tripped;       /* confirmed, and the newest good frame still breaks it */
        bool unconfirmed;   /* pending for more than 2.5 periods (B8) */
        struct reason reason; /* newest values */
};

struct protection {
        struct trip trips[_RULE_TABLE_MAX];
};

struct limits {
        int32_t v_max_mv, v_min_mv;
        struct maybe v_bypass_mv;
        int32_t t_min_decic, t_min_discharge_decic, t_max_decic, t_max_bypass_decic;
        struct maybe full_tail_ma; /* S2; none = off */
        bool critical;
        unsigned trip_frames;
};

/* T-max for this cell: T-max bypass while it is known to be bypassing (P7). */
int32_t limits_t_max_decic(const struct limits *limits, const struct pack *pack, usec_t now, uint8_t cell);

/* Frames that must agree before a full sync, V-bypass, mode or count is believed: max(3, trip_frames) (B9, S2). */
unsigned limits_confirm_frames(const struct limits *limits);

/* The limits in force by settings and by what the boards are believed to say (P9 for the mode). */
struct limits limits_from(const struct settings *s, const struct pack *p);

void protection_init(struct protection *p);

/* Evaluates every row against the newest error-free frame in pack (whose per-cell over-limit runs it keeps).
 * Returns the set (1u << rule) of rules that tripped just now. */
unsigned protection_frame(struct protection *p, usec_t now, const struct limits *limits, struct pack *pack);

/* B8's unconfirmed opening. */
void protection_tick(struct protection *p, usec_t now, usec_t period);

/* Time at which protection_tick() would change something; USEC_INFINITY if never. */
usec_t protection_deadline(const struct protection *p, usec_t period);

/* The set (1u << rule) of rules that block this relay and are tripped or unconfirmed: they open it. */
unsigned protection_blocking(const struct protection *p, enum relay_id relay);

/* The same, and those pending too: they keep it from closing. */
unsigned protection_holding(const struct protection *p, enum relay_id relay);

static inline bool protection_tripped(const struct protection *p, enum rule rule) {
        return p->trips[rule].tripped;
}
