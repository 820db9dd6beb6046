/* SPDX-License-Identifier: MIT */

/* What one run hands to the next (P14, S8): flags, delays, closing times, the state of charge; by real frames on
 * both sides of a restart. The second run's clock begins elsewhere: nothing may depend on its zero. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bms-rig.h"
#include "kept.h"

#define SECOND_BOOT (60 * USEC_PER_DAY + 20 * USEC_PER_SEC) /* the daemon's clock, 20 s after a boot */

static char text[KEPT_TEXT_MAX], error[200];

static void keep(const struct rig *r) {
        const size_t length = bms_keep(&r->bms, r->now, text);

        assert_int_equal(length, strlen(text));
}

/* A new run with the same settings; its cells as they were. */
static void begin_again(struct rig *r, usec_t now) {
        struct rig old = *r;
        struct bms_config config = old.bms.config;

        config.settings = old.bms.settings;
        config.await_state = true;
        r->now = now;
        bms_init(&r->bms, r->now, &config);
}

static void restart(struct rig *r, struct maybe64 off) {
        keep(r);
        begin_again(r, SECOND_BOOT);
        assert_int_equal(bms_restore(&r->bms, r->now, text, off, error, sizeof(error)), 0);
}

static struct maybe64 seconds(int64_t s) {
        return some64(s * (int64_t)USEC_PER_SEC);
}

static bool has_event(struct rig *r, enum event_kind kind, const char *words) {
        struct event event;

        while (bms_next_event(&r->bms, &event))
                if (event.kind == kind && strstr(event.text, words))
                        return true;
        return false;
}

/* ---- closing waits for it --------------------------------------------------------------------------------------- */

static void test_no_closing_before_it_is_read(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        keep(&r);
        begin_again(&r, SECOND_BOOT);
        feed(&r, 10);
        assert_relays(&r, false, false);
        assert_true(holds(&r, RELAY_CHARGE, HOLD_STATE) && holds(&r, RELAY_LOAD, HOLD_STATE));
        assert_int_equal(bms_restore(&r.bms, r.now, text, seconds(8), error, sizeof(error)), 0);
        assert_true(has_event(&r, EVENT_STARTED, "after 8 s"));
        assert_relays(&r, false, false); /* it closes nothing by itself */
        feed(&r, 2);
        assert_relays(&r, true, true);

        begin_again(&r, SECOND_BOOT);
        feed(&r, 10);
        assert_relays(&r, false, false);
        bms_restore_nothing(&r.bms, r.now);
        assert_true(has_event(&r, EVENT_STARTED, "nothing known"));
        feed(&r, 2);
        assert_relays(&r, true, true);
}

/* ---- the latches ------------------------------------------------------------------------------------------------ */

/* P2: a full pack goes on waiting for 95 %. */
static void test_flag_and_soc(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        fill(&r);
        assert_relays(&r, false, true);
        set_all(&r, 3340);
        feed(&r, 100); /* the restart delay is over */
        assert_true(holds(&r, RELAY_CHARGE, HOLD_SOC) && !holds(&r, RELAY_CHARGE, HOLD_DELAY));

        restart(&r, seconds(10));
        assert_true(r.bms.soc.calibrated);
        assert_int_equal(soc_permyriad(&r.bms.soc).value, 10000);
        feed(&r, 5);
        assert_relays(&r, false, true);
        assert_true(holds(&r, RELAY_CHARGE, HOLD_SOC));
        assert_int_equal(r.bms.relays.relay[RELAY_CHARGE].reason.rule, RULE_FULL); /* still open by it */
        set_soc(&r, 9400);
        feed(&r, 2);
        assert_relays(&r, true, true);
}

/* 60 s of restart delay: what is left when it is kept, less the time off. */
static void delay_ends(struct rig *r, struct maybe64 off, int left) {
        start(r);
        r->cells[1].voltage_raw = MV(3650);
        feed(r, 2);
        assert_relays(r, false, true);
        set_all(r, 3300);
        feed(r, 20);
        restart(r, off);
        feed(r, left - 1);
        assert_true(holds(r, RELAY_CHARGE, HOLD_DELAY));
        assert_int_equal(r->bms.relays.relay[RELAY_CHARGE].reason.cell, 2);
        assert_int_equal(r->bms.relays.relay[RELAY_CHARGE].reason.value.value, 3650);
        feed(r, 1);
        assert_false(holds(r, RELAY_CHARGE, HOLD_DELAY));
}

static void test_remaining_delay(void **state) {
        struct rig r;

        (void)state;
        delay_ends(&r, seconds(10), 30);
        delay_ends(&r, seconds(0), 40);
        delay_ends(&r, none64(), 40); /* unknown: as if no time had passed */

        start(&r);
        r.cells[1].voltage_raw = MV(3650);
        feed(&r, 2);
        set_all(&r, 3300);
        feed(&r, 20);
        restart(&r, seconds(40)); /* exactly over */
        feed(&r, 4);
        assert_false(holds(&r, RELAY_CHARGE, HOLD_DELAY));
}

/* V-min's hysteresis of 200 mV, and P2's flag of the load relay. */
static void test_v_hysteresis(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        fill(&r);
        set_all(&r, 3300);
        r.cells[2].voltage_raw = MV(2800);
        feed(&r, 2);
        assert_false(load(&r));
        restart(&r, seconds(100));
        set_all(&r, 3300);
        r.cells[2].voltage_raw = MV(2995);
        feed(&r, 5);
        assert_true(holds(&r, RELAY_LOAD, HOLD_V_HYSTERESIS));
        assert_true(holds(&r, RELAY_LOAD, HOLD_SOC)); /* 10 % or less after V-min, restart at 20 % */
        r.cells[2].voltage_raw = MV(3000);
        feed(&r, 2);
        assert_false(holds(&r, RELAY_LOAD, HOLD_V_HYSTERESIS));
        set_soc(&r, 2000);
        feed(&r, 2);
        assert_true(load(&r));
}

static void cycle_by_temperature(struct rig *r) {
        for (int i = 0; i < N; i++)
                r->cells[i].temperature_raw = DEGC(56);
        feed(r, 3);
        for (int i = 0; i < N; i++)
                r->cells[i].temperature_raw = DEGC(25);
        feed(r, 63 + N); /* the delay, and a rotation of details */
}

/* P5: six closings within the hour, three of them in the run before. The oldest is over an hour ago at the same
 * moment. */
static void test_closings_of_both_runs(void **state) {
        struct rig r;
        usec_t first;

        (void)state;
        start(&r);
        for (int i = 0; i < 3; i++) {
                cycle_by_temperature(&r);
                assert_relays(&r, true, true);
        }
        first = r.now - r.bms.relays.relay[RELAY_LOAD].closings[0]; /* ago */
        restart(&r, seconds(600));
        feed(&r, 5);
        assert_relays(&r, true, true); /* P4: a start is no opening, and its closing is not counted */
        assert_int_equal(r.bms.relays.relay[RELAY_LOAD].closings_filled, 3);
        for (int i = 0; i < 3; i++) {
                assert_relays(&r, true, true);
                cycle_by_temperature(&r);
        }
        for (int i = 0; i < N; i++)
                r.cells[i].temperature_raw = DEGC(56);
        feed(&r, 3);
        assert_relays(&r, false, false);
        assert_true(holds(&r, RELAY_LOAD, HOLD_CYCLING));
        assert_true(r.now > SECOND_BOOT);

        static struct snapshot s;
        bms_snapshot(&r.bms, r.now, &s);
        for (size_t i = 0; i < s.relays[RELAY_LOAD].n_holds; i++)
                if (s.relays[RELAY_LOAD].holds[i].kind == HOLD_CYCLING)
                        assert_int_equal(s.relays[RELAY_LOAD].holds[i].remaining,
                                         3600 * USEC_PER_SEC - (first + 600 * USEC_PER_SEC + (r.now - SECOND_BOOT)));
}

/* A relay that closed while the card was still being read keeps its own latch. */
static void test_late(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        fill(&r);
        set_all(&r, 3340);
        feed(&r, 100);
        keep(&r);
        begin_again(&r, SECOND_BOOT);
        bms_restore_nothing(&r.bms, r.now);
        feed(&r, 10);
        assert_relays(&r, true, true); /* not calibrated: by voltage alone (P2) */
        assert_int_equal(bms_restore(&r.bms, r.now, text, seconds(30), error, sizeof(error)), 0);
        assert_int_equal(soc_permyriad(&r.bms.soc).value, 10000);
        feed(&r, 5);
        assert_relays(&r, true, true);
        assert_false(r.bms.relays.relay[RELAY_CHARGE].wait_for_restart);
}

/* P11: `recover` ends with the run; what held the relay holds it again. */
static void test_recover_ends(void **state) {
        struct settings s = rig_settings();
        struct rig r;

        (void)state;
        s.values[SETTING_WIRING] = some(WIRING_SERIES);
        rig_init_with(&r, &s);
        feed(&r, 10);
        set_all(&r, 2790);
        feed(&r, 70);
        assert_false(load(&r));
        assert_int_equal(bms_recover(&r.bms, r.now, 10, error, sizeof(error)), 0);
        feed(&r, 3);
        assert_relays(&r, true, true);
        restart(&r, seconds(5));
        feed(&r, 20);
        assert_false(load(&r));
        assert_true(holds(&r, RELAY_LOAD, HOLD_RULE)); /* V-min */
        assert_int_equal(r.bms.recover_until, 0);
}

/* P9: genuine mode of the board, believed in the run before; pair 130 has not come yet. */
static void test_mode(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        r.bms.pack.switches.believed = some(1 << 4);
        restart(&r, seconds(5));
        assert_true(r.bms.limits.critical);
        feed(&r, 5);
        assert_true(r.bms.limits.critical);
}

/* ---- state of charge -------------------------------------------------------------------------------------------- */

/* S7: C/5 per hour while nobody counts: 15 min are 5 points. */
static void test_uncertainty_by_time_off(void **state) {
        struct rig r;
        int before;

        (void)state;
        start(&r);
        fill(&r);
        set_soc(&r, 6000);
        before = soc_uncertainty_permyriad(&r.bms.soc).value;
        assert_int_equal(before, 1000);
        restart(&r, seconds(900));
        assert_int_equal(soc_permyriad(&r.bms.soc).value, 6000);
        assert_int_equal(soc_uncertainty_permyriad(&r.bms.soc).value, 1500);
        assert_int_equal(r.bms.soc.uncounted_usec, 900 * USEC_PER_SEC);
}

/* Unknown: as for an hour, until the clock is set. */
static void test_time_off_found_later(void **state) {
        static const struct {
                int64_t off_s;
                int points; /* of growth */
        } rows[] = {{900, 500}, {3600, 2000}, {7200, 4000}, {0, 0}};
        struct rig r;

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                start(&r);
                fill(&r);
                set_soc(&r, 6000);
                restart(&r, none64());
                assert_true(has_event(&r, EVENT_STARTED, "after an unknown time"));
                assert_int_equal(soc_uncertainty_permyriad(&r.bms.soc).value, 3000);
                bms_time_off_known(&r.bms, r.now, (usec_t)rows[i].off_s * USEC_PER_SEC);
                assert_int_equal(soc_uncertainty_permyriad(&r.bms.soc).value, 1000 + rows[i].points);
                bms_time_off_known(&r.bms, r.now, USEC_PER_DAY); /* only once */
                assert_int_equal(soc_uncertainty_permyriad(&r.bms.soc).value, 1000 + rows[i].points);
        }
        start(&r);
        fill(&r);
        restart(&r, none64());
        set_all(&r, 3500);
        feed(&r, 10); /* a sync settles it */
        assert_true(r.bms.soc.last_sync > r.bms.restored_at);
        const int settled = soc_uncertainty_permyriad(&r.bms.soc).value;
        bms_time_off_known(&r.bms, r.now, USEC_PER_DAY);
        assert_int_equal(soc_uncertainty_permyriad(&r.bms.soc).value, settled);
}

/* The number of cells is not learned in the first minute, but a known charge must outlive a restart in it. */
static void test_cells_not_learned_yet(void **state) {
        struct settings s = rig_settings();
        struct bms_config config;
        struct rig r;

        (void)state;
        rig_init_with(&r, &s);
        config = r.bms.config;
        config.cells = 0;
        bms_init(&r.bms, r.now, &config);
        feed(&r, 10);
        set_soc(&r, 5500);
        assert_int_equal(r.bms.link.known_cells, 0);
        restart(&r, seconds(4));
        assert_int_equal(soc_permyriad(&r.bms.soc).value, 5500);
        feed(&r, 10);
        assert_int_equal(soc_permyriad(&r.bms.soc).value, 5500);
}

/* 2,000 Wh then, 4,000 Wh now: half full stays half full. */
static void test_another_capacity(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        fill(&r);
        set_soc(&r, 5000);
        keep(&r);
        r.bms.settings.values[SETTING_CAPACITY] = some(4000);
        begin_again(&r, SECOND_BOOT);
        assert_int_equal(bms_restore(&r.bms, r.now, text, seconds(0), error, sizeof(error)), 0);
        assert_int_equal(soc_permyriad(&r.bms.soc).value, 5000);
        assert_int_equal(soc_stored_mwh(&r.bms.soc).value, 2000000);
}

/* ---- the text --------------------------------------------------------------------------------------------------- */

static void test_of_a_new_pack(void **state) {
        struct rig r, again;

        (void)state;
        rig_init(&r);
        keep(&r);
        begin_again(&r, SECOND_BOOT);
        again = r;
        assert_int_equal(bms_restore(&r.bms, r.now, text, seconds(0), error, sizeof(error)), 0);
        assert_int_equal(r.bms.soc.known, again.bms.soc.known);
        assert_memory_equal(&r.bms.energy, &again.bms.energy, sizeof(r.bms.energy));
        assert_int_equal(r.bms.relays.relay[RELAY_LOAD].reason.rule, RULE_START);
}

static void test_refusals(void **state) {
        static const struct {
                const char *text, *words;
        } rows[] = {
                {"", "first line"},
                {"smartbms-state 2\n", "first line"},
                {"smartbms-state 1", "first line"},
                {"smartbms-state 1\nsoc.known", "line 2"},
                {"smartbms-state 1\nsoc.known 1", "line 2"},
                {"smartbms-state 1\n\n", "line 2"},
                {"smartbms-state 1\nsoc.known \n", "line 2"},
                {"smartbms-state 1\n 1\n", "line 2"},
                {"smartbms-state 1\nsoc.known 2\n", "0 to 1"},
                {"smartbms-state 1\nsoc.known -1\n", "0 to 1"},
                {"smartbms-state 1\nsoc.known x\n", "soc.known is \"x\""},
                {"smartbms-state 1\nsoc.known 1 \n", "soc.known is"},
                {"smartbms-state 1\nsoc.known 1\nsoc.known 1\n", "twice"},
                {"smartbms-state 1\nsoc.charge_mams 99999999999999999999\n", "soc.charge_mams"},
                {"smartbms-state 1\nsoc.capacity_mams 1000\nsoc.charge_mams 1001\n", "more charge"},
                {"smartbms-state 1\nsoc.capacity_mams 1000\nsoc.charge_mams -1\n", "less than none"},
                {"smartbms-state 1\nload.rule V-mux\n", "no such rule"},
                {"smartbms-state 1\nload.closings_next 6\n", "0 to 5"},
                {"smartbms-state 1\npack.vmax_openings_next 3\n", "0 to 2"},
                {"smartbms-state 1\ncharge.delay 2592000000001\n", "charge.delay"},
        };
        static struct bms untouched;
        struct rig r;

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                rig_init(&r);
                begin_again(&r, SECOND_BOOT);
                untouched = r.bms;
                error[0] = '\0';
                assert_int_equal(bms_restore(&r.bms, r.now, rows[i].text, seconds(1), error, sizeof(error)), -EINVAL);
                if (!strstr(error, rows[i].words))
                        fail_msg("%zu: \"%s\" does not say \"%s\"", i, error, rows[i].words);
                assert_untouched(&r.bms, &untouched);
        }
        /* A newer version's line is none of our business. */
        rig_init(&r);
        assert_int_equal(bms_restore(&r.bms, r.now, "smartbms-state 1\nsoc.colour 7\n", seconds(1), error,
                                     sizeof(error)),
                         0);
}

/* Whatever became of the text: whole or not at all, and nothing that a later step could fall over. */
static void test_damaged_text(void **state) {
        static struct bms untouched;
        uint64_t seed = 1;
        struct rig r;
        unsigned taken = 0, refused = 0;
        char good[KEPT_TEXT_MAX];

        (void)state;
        start(&r);
        fill(&r);
        set_all(&r, 2790);
        feed(&r, 10);
        keep(&r);
        memcpy(good, text, sizeof(good));
        for (int i = 0; i < 3000; i++) {
                struct rig other = r;
                const size_t length = strlen(good);

                memcpy(text, good, sizeof(text));
                for (unsigned n = (unsigned)(compose_random(&seed) % 3 + 1); n > 0; n--)
                        text[compose_random(&seed) % length] = "0123456789-. \nabz"[compose_random(&seed) % 17];
                begin_again(&other, SECOND_BOOT);
                untouched = other.bms;
                if (bms_restore(&other.bms, other.now, text, seconds(1), error, sizeof(error)) < 0) {
                        assert_untouched(&other.bms, &untouched);
                        refused++;
                } else {
                        taken++;
                        feed(&other, 5);
                }
        }
        assert_true(taken > 100 && refused > 100);
}

/* The longest: every field there, each with as many digits as it can have. */
static void test_longest_text(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        r.now = 100 * 365 * USEC_PER_DAY;
        struct soc *s = &r.bms.soc;
        s->capacity_mams = s->charge_mams = s->sync_uncertainty_mams = INT64_C(9999999999999999);
        s->growth_mams = s->growth_counted_mams = s->charged_mams = INT64_C(999999999999999999);
        s->remainder = s->growth_remainder = -199999;
        s->known = s->calibrated = s->had_second_sensor = s->reversed = true;
        s->last_sync = s->uncounted_usec = 1;
        s->uncounted_usec = (usec_t)INT64_MAX;
        s->steps = 20;
        s->steps_reversed = UINT32_MAX;
        s->idle_draw_ma = 1000000;
        s->learning = (struct soc_learning){true, -INT64_C(999999999999999999), -199999, (usec_t)INT64_MAX,
                                            (usec_t)INT64_MAX, -INT64_C(999999999999999999), (usec_t)INT64_MAX};
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                struct relay *y = &r.bms.relays.relay[id];

                *y = (struct relay){
                        .closed = true, .by_recover = true, .recovery = true, .wait_for_restart = true,
                        .reason = {RULE_T_MIN_DISCHARGE, 255, some(INT32_MIN), some(INT32_MIN), 1},
                        .opened_at = 1, .v_hysteresis = RULE_T_MIN_DISCHARGE, .t_low_hysteresis = true,
                        .t_high_hysteresis = true, .delay_until = r.now + 30 * USEC_PER_DAY,
                        .pause_until = r.now + 30 * USEC_PER_DAY, .counts = true, .closings = {1, 1, 1, 1, 1, 1},
                        .closings_next = 5, .closings_filled = 6, .cycling_since = 1,
                        .closings_since_cycling = INT32_MAX, .cycling = true, .locked = true, .locked_at = 1,
                        .vmin_trips = INT32_MAX, .vmin_trips_charged_mams = INT64_C(999999999999999999),
                };
        }
        r.bms.vmax_openings[0] = r.bms.vmax_openings[1] = r.bms.vmax_openings[2] = r.bms.imbalance_at = 1;
        r.bms.vmax_openings_next = 2;
        r.bms.imbalance_highest = r.bms.imbalance_lowest = 255;
        r.bms.pack.switches.believed = some(255);
        keep(&r);
        assert_true(strlen(text) < KEPT_TEXT_MAX - 200);
        assert_non_null(strstr(text, "\npack.cells 4\n")); /* the last line */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_no_closing_before_it_is_read),
                cmocka_unit_test(test_flag_and_soc),
                cmocka_unit_test(test_remaining_delay),
                cmocka_unit_test(test_v_hysteresis),
                cmocka_unit_test(test_closings_of_both_runs),
                cmocka_unit_test(test_late),
                cmocka_unit_test(test_recover_ends),
                cmocka_unit_test(test_mode),
                cmocka_unit_test(test_uncertainty_by_time_off),
                cmocka_unit_test(test_time_off_found_later),
                cmocka_unit_test(test_cells_not_learned_yet),
                cmocka_unit_test(test_another_capacity),
                cmocka_unit_test(test_of_a_new_pack),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_damaged_text),
                cmocka_unit_test(test_longest_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
