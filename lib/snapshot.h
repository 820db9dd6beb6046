/* SPDX-License-Identifier: MIT */
#pragma once

/* Everything smartbmsd publishes about one pack at one instant: filled by bms_snapshot(), then never changed.
 * D-Bus, Bluetooth, store, the extended data output and the LEDs read this and nothing else. fields.h names its
 * scalar fields for the outside. */

#include "accept.h"
#include "energy.h"
#include "link.h"
#include "relay.h"
#include "settings.h"
#include "soc.h"

enum alarm {
        ALARM_COMMUNICATION,      /* E: see link_text */
        ALARM_STALE,              /* nothing usable is heard */
        ALARM_V_MAX,              /* Vh */
        ALARM_V_MIN,              /* Vl */
        ALARM_T_MAX,              /* Th */
        ALARM_T_MIN,              /* Tl */
        ALARM_CAPACITY_UNSET,     /* S1 */
        ALARM_CURRENT_CHECK,      /* B5 */
        ALARM_FROZEN,             /* B12 */
        ALARM_CELL_MISSING,       /* B16 */
        ALARM_SENSOR_LOST,        /* S7 */
        ALARM_SENSOR_REVERSED,    /* S7 */
        ALARM_CYCLING_CHARGE,     /* P5 */
        ALARM_CYCLING_LOAD,       /* P5 */
        ALARM_IMBALANCE,          /* P6 */
        ALARM_IMBALANCE_WARNING,  /* P6 */
        ALARM_SETTINGS_CONFLICT,  /* P10 */
        ALARM_INEFFECTIVE_CHARGE, /* P12 */
        ALARM_INEFFECTIVE_LOAD,   /* P12 */
        ALARM_RELAY_OUTPUT,       /* the relay adapter cannot drive a coil, or feedback disagrees (P16) */
        ALARM_OUTPUT_PORT,        /* the extended data output cannot be written */
        ALARM_STORAGE,            /* the database cannot be written, or was set aside (design 9) */
        ALARM_SETTINGS,           /* the settings file is damaged or cannot be written (design 8) */
        ALARM_PANEL,              /* an LED, the button or the heartbeat: its line cannot be had */
        _ALARM_MAX,
};

#define ALARM_TEXT_MAX 160

struct alarm_state {
        bool active;
        usec_t since;
        char text[ALARM_TEXT_MAX]; /* one sentence: what, where, what to do */
};

struct cell_snapshot {
        struct maybe voltage_mv, temperature_decic;
        usec_t age_usec; /* USEC_INFINITY = never heard */
        bool bypassing;
        bool missing; /* B16 */
        bool v_red, t_red; /* beyond V-min/V-max, T-min/T-max: the manual's red */
};

struct relay_snapshot {
        bool mapped;          /* an output is configured for it (monitor: may be false) */
        bool closed;          /* commanded */
        struct maybe confirmed; /* feedback input: 1 closed, 0 open; none without one (P16) */
        struct reason reason;
        usec_t since;
        size_t n_holds;
        struct hold holds[RELAY_HOLDS_MAX];
};

struct snapshot {
        usec_t at;
        uint64_t serial; /* rises with every snapshot */

        enum role role;
        enum temperature_coding coding;
        enum link_state link;
        enum link_cause link_cause;
        bool communication_error; /* the E light */
        char link_text[ALARM_TEXT_MAX];
        struct maybe link_age_msec; /* since the newest error-free frame */
        int32_t period_msec;
        struct maybe known_cells, count;
        bool data_stale; /* readings below are old (the last believed ones), not current */

        struct maybe pack_mv, in_ma, out_ma, current_ma, power_mw, in_mw, out_mw;
        struct maybe lowest_mv, lowest_mv_cell, highest_mv, highest_mv_cell;
        struct maybe lowest_decic, lowest_decic_cell, highest_decic, highest_decic_cell;
        struct maybe v_bypass_mv;
        bool critical;

        struct maybe soc_permyriad, soc_uncertainty_permyriad;
        bool calibrated;
        enum soc_sensor_state sensor;
        struct maybe idle_draw_ma;
        struct maybe64 soc_uncounted_msec; /* since the last sync: what SOC does not know of (design 3) */
        struct maybe capacity_wh;
        struct maybe64 stored_mwh;
        struct maybe64 today_mwh[_ENERGY_MAX], total_mwh[_ENERGY_MAX];
        int64_t run_mwh[_ENERGY_MAX]; /* in this run: nothing sets it back (history.h) */
        struct maybe64 energy_gap_msec; /* since the start: not in the energy counters */

        struct relay_snapshot relays[_RELAY_MAX];
        struct maybe recover_remaining_sec;
        bool deadman; /* the heartbeat may run: the coils obey (design 6), and P12 */

        struct alarm_state alarms[_ALARM_MAX];

        uint64_t bytes, frames, skipped_bytes, refused_frames;

        struct frame frame; /* the newest error-free frame (count 0: none yet), for the extended data output */
        struct settings settings;
        int n_cells; /* entries 1..n_cells of cells[] are filled */
        struct cell_snapshot cells[CELLS_MAX + 1];
};
