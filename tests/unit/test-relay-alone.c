/* SPDX-License-Identifier: MIT */

/* With nobody there to type a command: the pause after a charge that ended at once (P4), the lock that ends by itself
 * (P5), a reversed sensor (S7, P2), a turned switch (P10), through the whole of lib/ with true frames. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "bms.h"
#include "compose.h"

#define N 4
#define HOUR 3600

struct rig {
        struct bms bms;
        struct compose_cell cells[N];
        int in, out; /* 125 mA steps */
        usec_t now;
        int detail;
};

static void set_all(struct rig *r, int mv) {
        for (int i = 0; i < N; i++)
                r->cells[i].voltage_raw = (uint16_t)(mv / 5);
}

static void tick_until(struct rig *r, usec_t until) {
        for (usec_t due; (due = bms_deadline(&r->bms, r->now)) < until;) {
                r->now = due > r->now ? due : r->now + 1;
                bms_tick(&r->bms, r->now);
        }
        r->now = until;
}

/* One frame a second. */
static void feed(struct rig *r, int frames) {
        for (int i = 0; i < frames; i++) {
                uint8_t bytes[COMPOSE_SIZE];

                tick_until(r, r->now + USEC_PER_SEC);
                r->detail = r->detail % N + 1;
                compose_frame(bytes, r->cells, N, r->detail, r->in, r->out);
                assert_int_equal(bms_bytes(&r->bms, r->now, bytes, sizeof(bytes)), 1);
        }
}

static bool charge(const struct rig *r) {
        return bms_relay_closed(&r->bms, RELAY_CHARGE);
}

static bool load(const struct rig *r) {
        return bms_relay_closed(&r->bms, RELAY_LOAD);
}

static bool alarm_active(const struct rig *r, enum alarm alarm) {
        return r->bms.alarms[alarm].active;
}

/* What is left of this hold in whole seconds; -1: it does not hold. */
static int held_for(struct rig *r, enum relay_id id, enum hold_kind kind) {
        static struct snapshot s;

        bms_snapshot(&r->bms, r->now, &s);
        for (size_t i = 0; i < s.relays[id].n_holds; i++)
                if (s.relays[id].holds[i].kind == kind)
                        return (int)(s.relays[id].holds[i].remaining / USEC_PER_SEC);
        return -1;
}

static void start(struct rig *r, struct maybe capacity_wh, int32_t mode) {
        struct bms_config config = {
                .current_check = true,
                .cells = N,
                .blind_spot_ma = 1000,
                .mapped = {true, true},
        };

        memset(r, 0, sizeof(*r));
        r->now = USEC_PER_DAY;
        set_all(r, 3300);
        for (int i = 0; i < N; i++)
                r->cells[i].temperature_raw = 276 + 25;
        settings_init(&config.settings);
        config.settings.values[SETTING_CAPACITY] = capacity_wh;
        config.settings.values[SETTING_MODE] = some(mode);
        bms_init(&r->bms, r->now, &config);
        feed(r, 10);
        assert_true(charge(r) && load(r));
}

/* V-max for 2 frames (trip_frames), then back below its hysteresis. Returns the opening's time. */
static usec_t touch_v_max(struct rig *r) {
        usec_t opened_at;

        r->cells[1].voltage_raw = 3650 / 5;
        feed(r, 2);
        assert_false(charge(r));
        opened_at = r->now;
        set_all(r, 3300);
        return opened_at;
}

/* P4: the charge after an opening must last 15 minutes, or the next opening is followed by a pause of as
 * many. The closing at the start follows no opening and is no sign of a full pack. */
static void test_pause(void **state) {
        static const struct {
                int lasts; /* seconds from closing to opening */
                int pause; /* seconds until it closes again */
        } rows[] = {{2, 900}, {899, 900}, {900, 60}, {901, 60}};

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;

                start(&r, none(), MODE_NORMAL);
                (void)touch_v_max(&r);
                feed(&r, 59);
                assert_false(charge(&r));
                feed(&r, 2); /* 60 s, by two good frames */
                assert_true(charge(&r));
                feed(&r, rows[i].lasts - 2);
                (void)touch_v_max(&r);
                assert_int_equal(held_for(&r, RELAY_CHARGE, HOLD_DELAY), rows[i].pause);
                feed(&r, rows[i].pause - 1);
                assert_false(charge(&r));
                feed(&r, 2);
                assert_true(charge(&r));
        }
}

/* Where both contacts may be in series a pause would keep the house dark: critical mode has none. */
static void test_no_pause_in_critical_mode(void **state) {
        struct rig r;

        (void)state;
        start(&r, none(), MODE_CRITICAL);
        for (int i = 0; i < 3; i++) {
                (void)touch_v_max(&r);
                feed(&r, 61);
                assert_true(charge(&r));
        }
}

/* P2: an empty pack must be chargeable: V-min ends the pause, not the 60 s. */
static void test_v_min_ends_the_pause(void **state) {
        struct rig r;

        (void)state;
        start(&r, none(), MODE_NORMAL);
        (void)touch_v_max(&r);
        feed(&r, 61);
        (void)touch_v_max(&r);
        feed(&r, 120);
        assert_false(charge(&r));
        r.cells[0].voltage_raw = 2800 / 5;
        feed(&r, 4);
        assert_false(load(&r));
        assert_true(charge(&r));
}

static void heat(struct rig *r, int degc) {
        for (int i = 0; i < N; i++)
                r->cells[i].temperature_raw = (uint16_t)(276 + degc);
}

/* Twelve closings by temperature within two hours lock both relays (P5). */
static void lock(struct rig *r) {
        for (int i = 0; i < 3 * HOUR && held_for(r, RELAY_LOAD, HOLD_RELEASE) < 0; i++) {
                if (load(r)) {
                        heat(r, 60);
                        feed(r, 2);
                        heat(r, 25);
                }
                feed(r, 1);
        }
        assert_true(held_for(r, RELAY_LOAD, HOLD_RELEASE) >= 0);
        assert_true(held_for(r, RELAY_CHARGE, HOLD_RELEASE) >= 0);
        assert_true(alarm_active(r, ALARM_CYCLING_LOAD));
}

/* P5: the lock ends after 12 hours. */
static void test_lock_ends(void **state) {
        struct rig r;
        int remaining;

        (void)state;
        start(&r, some(2000), MODE_NORMAL);
        lock(&r);
        remaining = held_for(&r, RELAY_LOAD, HOLD_RELEASE);
        assert_in_range(remaining, 12 * HOUR - 5, 12 * HOUR);
        feed(&r, remaining - 1);
        assert_false(charge(&r) || load(&r));
        feed(&r, 3);
        assert_true(charge(&r) && load(&r));
        assert_false(alarm_active(&r, ALARM_CYCLING_LOAD));
}

/* P2, P5: V-min ends the charge relay's lock; the load relay's own goes on. Six an hour stay the limit. */
static void test_v_min_ends_the_lock_on_charging(void **state) {
        struct rig r;

        (void)state;
        start(&r, some(2000), MODE_NORMAL);
        lock(&r);
        r.cells[0].voltage_raw = 2800 / 5;
        feed(&r, 2);
        assert_int_equal(held_for(&r, RELAY_CHARGE, HOLD_RELEASE), -1);
        assert_true(held_for(&r, RELAY_LOAD, HOLD_RELEASE) > 0);
        assert_true(held_for(&r, RELAY_CHARGE, HOLD_CYCLING) > 0);
        feed(&r, HOUR);
        assert_true(charge(&r));
        assert_false(load(&r));
}

/* S7, P2: by a sensor that is known to be reversed SOC counts the wrong way, so it holds nothing. */
static void test_reversed_sensor_decides_nothing(void **state) {
        struct rig r;

        (void)state;
        start(&r, some(2000), MODE_NORMAL);
        set_all(&r, 3500);
        feed(&r, 3);
        assert_false(charge(&r));
        set_all(&r, 3300);
        feed(&r, 120);
        assert_false(charge(&r));
        assert_int_equal(held_for(&r, RELAY_CHARGE, HOLD_SOC), 0);
        /* 20 steps of 10 A (C/20 = 7.8 A): the current says charge, the voltage falls. */
        for (int i = 0; i < 20; i++) {
                r.in = i % 2 ? 0 : 80;
                set_all(&r, i % 2 ? 3300 : 3280);
                feed(&r, 2);
        }
        assert_true(alarm_active(&r, ALARM_SENSOR_REVERSED));
        feed(&r, 2);
        assert_true(charge(&r));
}

/* P10, P6: with V-bypass above V-max every charge ends at V-max; the switch is the cause, not the cells. */
static void test_conflict_is_no_imbalance(void **state) {
        struct rig r;

        (void)state;
        start(&r, none(), MODE_NORMAL);
        r.bms.pack.v_bypass_mv.believed = some(4000);
        r.bms.limits.v_bypass_mv = some(4000);
        r.bms.limits.v_max_mv = 3650;
        for (int i = 0; i < 3; i++) {
                r.bms.vmax_openings[i] = r.now;
                r.bms.imbalance_at = r.now;
        }
        bms_tick(&r.bms, r.now + 1);
        assert_true(alarm_active(&r, ALARM_SETTINGS_CONFLICT));
        assert_false(alarm_active(&r, ALARM_IMBALANCE_WARNING));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pause),
                cmocka_unit_test(test_no_pause_in_critical_mode),
                cmocka_unit_test(test_v_min_ends_the_pause),
                cmocka_unit_test(test_lock_ends),
                cmocka_unit_test(test_v_min_ends_the_lock_on_charging),
                cmocka_unit_test(test_reversed_sensor_decides_nothing),
                cmocka_unit_test(test_conflict_is_no_imbalance),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
