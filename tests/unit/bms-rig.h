/* SPDX-License-Identifier: MIT */
#pragma once

/* For tests of bms.h and the latches behind it: one whole struct bms with four cells, a clock, and true frames. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bms.h"
#include "compose.h"

#define N 4
#define MV(mv) ((uint16_t)((mv) / 5))
#define DEGC(t) ((uint16_t)((t) + 276))

struct rig {
        struct bms bms;
        struct compose_cell cells[N];
        int in, out; /* 125 mA steps */
        usec_t now;
        int detail;
};

static inline void set_all(struct rig *r, int mv) {
        for (int i = 0; i < N; i++)
                r->cells[i].voltage_raw = MV(mv);
}

static inline void rig_init_with(struct rig *r, const struct settings *settings) {
        struct bms_config config = {
                .current_check = true,
                .cells = N,
                .blind_spot_ma = 1000,
                .mapped = {true, true},
                .settings = *settings,
        };

        memset(r, 0, sizeof(*r));
        r->now = USEC_PER_DAY;
        set_all(r, 3300);
        for (int i = 0; i < N; i++)
                r->cells[i].temperature_raw = DEGC(25);
        bms_init(&r->bms, r->now, &config);
}

/* 4 cells of 156.25 Ah (2,000 Wh / 12.8 V): C/20 = 7.8 A, C/50 = 3.1 A. */
static inline struct settings rig_settings(void) {
        struct settings s;

        settings_init(&s);
        s.values[SETTING_CAPACITY] = some(2000);
        return s;
}

static inline void rig_init(struct rig *r) {
        struct settings s = rig_settings();

        rig_init_with(r, &s);
}

/* Nothing was written, to the last byte. A function of its own by name: tests/valgrind.supp knows it. */
static inline void assert_untouched(const struct bms *b, const struct bms *before) {
        assert_memory_equal(b, before, sizeof(*b));
}

static inline void tick_until(struct rig *r, usec_t until) {
        for (usec_t due; (due = bms_deadline(&r->bms, r->now)) < until;) {
                r->now = due > r->now ? due : r->now + 1;
                bms_tick(&r->bms, r->now);
        }
        r->now = until;
}

/* One frame a second. */
static inline void feed(struct rig *r, int frames) {
        for (int i = 0; i < frames; i++) {
                uint8_t bytes[COMPOSE_SIZE];

                tick_until(r, r->now + USEC_PER_SEC);
                r->detail = r->detail % N + 1;
                compose_frame(bytes, r->cells, N, r->detail, r->in, r->out);
                assert_int_equal(bms_bytes(&r->bms, r->now, bytes, sizeof(bytes)), 1);
        }
}

static inline void silence(struct rig *r, usec_t time) {
        tick_until(r, r->now + time);
        bms_tick(&r->bms, r->now);
}

static inline bool charge(const struct rig *r) {
        return bms_relay_closed(&r->bms, RELAY_CHARGE);
}

static inline bool load(const struct rig *r) {
        return bms_relay_closed(&r->bms, RELAY_LOAD);
}

static inline void assert_relays(const struct rig *r, bool charge_closed, bool load_closed) {
        assert_int_equal(charge(r), charge_closed);
        assert_int_equal(load(r), load_closed);
}

static inline bool holds(struct rig *r, enum relay_id id, enum hold_kind kind) {
        static struct snapshot s;

        bms_snapshot(&r->bms, r->now, &s);
        for (size_t i = 0; i < s.relays[id].n_holds; i++)
                if (s.relays[id].holds[i].kind == kind)
                        return true;
        return false;
}

static inline bool alarm_active(const struct rig *r, enum alarm alarm) {
        return r->bms.alarms[alarm].active;
}

static inline void start(struct rig *r) {
        rig_init(r);
        feed(r, 10);
        assert_relays(r, true, true);
}

/* Full by every cell at V-bypass for 3 frames, with next to no current. */
static inline void fill(struct rig *r) {
        set_all(r, 3500);
        feed(r, 3);
        assert_true(r->bms.soc.calibrated);
        assert_int_equal(soc_permyriad(&r->bms.soc).value, 10000);
}

static inline void set_soc(struct rig *r, int permyriad) {
        char error[200];

        assert_int_equal(bms_soc_set(&r->bms, r->now, permyriad, error, sizeof(error)), 0);
}
