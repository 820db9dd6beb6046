/* SPDX-License-Identifier: MIT */
#pragma once

/* One pack, whole: everything smartbmsd believes and decides about it, from a byte to a relay command. Owns the
 * parts and their order (design 2); pure like them: time is an argument, nothing is logged, nothing allocated. */

#include "deframer.h"
#include "snapshot.h"

struct bms_config {
        enum role role;
        enum temperature_coding coding;
        bool current_check;
        enum link_tap tap;
        uint8_t cells;               /* `cells:`, 0 = learn (B15) */
        uint8_t learned_cells;       /* from an earlier run, 0 = none */
        int32_t blind_spot_ma;       /* by config `sensor_type`, used while pair 131 is not heard (S5) */
        bool deadman_on_ineffective; /* P12 */
        bool await_state;            /* relays stay open until bms_restore() or bms_restore_nothing() (P14, kept.h) */
        bool mapped[_RELAY_MAX];     /* an output exists for the relay (all true for a gateway) */
        struct settings settings;
};

enum event_kind {
        EVENT_RELAY_OPENED,
        EVENT_RELAY_CLOSED,
        EVENT_ALARM_RAISED,
        EVENT_ALARM_CLEARED,
        EVENT_LINK,       /* link state changed */
        EVENT_FULL_SYNC,
        EVENT_EMPTY_SYNC,
        EVENT_CELLS_LEARNED,
        EVENT_RECOVER, /* began or ended (P11) */
        EVENT_STARTED,            /* with the time off, as far as it is known */
        EVENT_STOPPED,            /* by request: a crash leaves none */
        EVENT_SETTING,            /* changed: key, before, after, by */
        EVENT_SETTINGS_CONFIRMED, /* after a damaged settings file (design 8) */
        EVENT_COMMAND,            /* release, soc set, cells accept: who and what */
        EVENT_ENERGY_CLEARED,
        EVENT_STORE,              /* a database was set aside, rows were lost */
        EVENT_PHONE,              /* paired, removed, refused */
        _EVENT_MAX,
};

#define EVENT_BY_MAX 48
#define EVENT_VALUE_MAX 32

struct event {
        usec_t at;
        enum event_kind kind;
        int subject; /* enum relay_id, enum alarm, enum link_state, enum setting or the number of cells, by kind */
        struct reason reason; /* of relays, and of alarms that a limit raises; at 0 = none */
        char text[ALARM_TEXT_MAX];
        char by[EVENT_BY_MAX]; /* who asked, by which door: "uid 1000 over D-Bus"; "" = nobody */
        /* EVENT_SETTING, as a person writes them */
        char key[EVENT_VALUE_MAX], before[EVENT_VALUE_MAX], after[EVENT_VALUE_MAX];
};

static inline bool event_has_reason(const struct event *event) {
        return event->reason.at != 0;
}

#define BMS_EVENTS_MAX 64

struct bms {
        struct bms_config config;
        struct settings settings;
        struct limits limits;
        struct deframer deframer;
        struct link link;
        struct pack pack;
        struct soc soc;
        struct energy energy;
        struct protection protection;
        struct relays relays;
        struct alarm_state alarms[_ALARM_MAX];
        uint64_t snapshots;

        usec_t bad_sum_since, bad_sum_last;          /* B5 */
        int32_t blind_spot_ma;                       /* in force: pair 131's, else the config's (S5) */
        usec_t vmax_openings[3];                     /* P6, ring; 0 = none */
        unsigned vmax_openings_next;
        usec_t imbalance_at;                         /* P6: when the warning's condition last held; 0 = never */
        uint8_t imbalance_highest, imbalance_lowest; /* P6: the extremes when a cell was last at V-max; 0 = not known */
        usec_t recover_until, recover_unknown_since; /* P11 */
        struct maybe confirmed[_RELAY_MAX];          /* feedback (P16) */
        usec_t disagree_since[_RELAY_MAX];
        bool sticks[_RELAY_MAX];                     /* commanded open, confirmed closed, for too long */
        char relay_fault[ALARM_TEXT_MAX];            /* from the relay adapter; "" = none */
        bool coils_fail;                             /* and it is of a coil */
        char output_fault[ALARM_TEXT_MAX];
        char store_fault[ALARM_TEXT_MAX], settings_fault[ALARM_TEXT_MAX], panel_fault[ALARM_TEXT_MAX];
        bool state_awaited;          /* HOLD_STATE */
        usec_t restored_at;          /* bms_restore(); 0 = not */
        bool time_off_assumed;       /* S8: the time off was not known then */
        bool settings_unconfirmed;   /* HOLD_SETTINGS */
        uint8_t monitor_status[3];                   /* B6: the last three status bytes */
        unsigned monitor_statuses;

        struct event events[BMS_EVENTS_MAX]; /* ring */
        unsigned events_head, events_tail;
        uint64_t events_lost;
};

void bms_init(struct bms *b, usec_t now, const struct bms_config *config);

/* Bytes from the serial port, received by now. Takes them up to the end of the next frame and runs a whole cycle for
 * it; *data and *size are what is left then. False: all bytes are taken, and no frame was completed in them. */
bool bms_take(struct bms *b, usec_t now, const uint8_t **data, size_t *size);

/* The same for all frames in them. Returns the number of cycles run. */
unsigned bms_bytes(struct bms *b, usec_t now, const uint8_t *data, size_t size);

/* Time passes: call at bms_deadline() at the latest. */
void bms_tick(struct bms *b, usec_t now);

/* When the next bms_tick() is due (never more than 1 s after now). */
usec_t bms_deadline(const struct bms *b, usec_t now);

void bms_port_lost(struct bms *b, usec_t now);   /* the serial port vanished */
void bms_port_opened(struct bms *b, usec_t now); /* it is back: a partial frame is dropped */

/* What the coil is to be. */
bool bms_relay_closed(const struct bms *b, enum relay_id relay);

/* Feedback input of a relay changed: 1 closed, 0 open, none = no reading. at_start: read before the first pulse. */
void bms_feedback(struct bms *b, usec_t now, enum relay_id relay, struct maybe closed, bool at_start);

/* The adapters' troubles, "" = none: become alarms. coils_fail: a coil cannot be driven; else it is a feedback input
 * only, and the relays obey for all that is known. */
void bms_relay_fault(struct bms *b, usec_t now, const char *text, bool coils_fail);
void bms_panel_fault(struct bms *b, usec_t now, const char *text);
void bms_output_fault(struct bms *b, usec_t now, const char *text);
void bms_store_fault(struct bms *b, usec_t now, const char *text);

/* The settings file: "" = none. unconfirmed: what is in force is not what the owner had set, so no relay closes
 * until bms_confirm_settings() (design 8). */
void bms_settings_fault(struct bms *b, usec_t now, const char *text, bool unconfirmed);

/* A full, checked set of settings comes into force at once; nothing closes in this cycle (P13). Role monitor:
 * -EPERM; failing settings_check(): -EINVAL; each with a sentence. */
int bms_apply_settings(struct bms *b, usec_t now, const struct settings *s, char *ret_error, size_t size);

/* Commands. Each 0 or -Exxx with a sentence that says why not. */
int bms_release(struct bms *b, usec_t now, enum relay_id relay, char *ret_error, size_t size);
int bms_recover(struct bms *b, usec_t now, int64_t minutes, char *ret_error, size_t size); /* 1..30 */
int bms_soc_set(struct bms *b, usec_t now, int64_t permyriad, char *ret_error, size_t size);
int bms_accept_cells(struct bms *b, usec_t now, char *ret_error, size_t size);
int bms_confirm_settings(struct bms *b, usec_t now, char *ret_error, size_t size); /* -ENODATA: nothing to confirm */
int bms_clear_energy(struct bms *b, usec_t now, char *ret_error, size_t size);     /* -ENODATA: not restored yet */

void bms_snapshot(struct bms *b, usec_t now, struct snapshot *ret_snapshot);

/* The oldest event not yet taken; false if none. */
bool bms_next_event(struct bms *b, struct event *ret_event);
