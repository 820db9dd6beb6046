/* SPDX-License-Identifier: MIT */

/* The latches alone, one step at a time: times to the microsecond and readings that no message carries, which
 * test-relay.c cannot send. Expected values: design 6 with the default settings. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "relay.h"

#define T0 USEC_PER_DAY

struct bench {
        struct settings settings;
        struct limits limits;
        struct protection protection;
        struct relay_inputs in;
        struct relays relays;
        struct relay *charge, *load;
};

/* Calibrated, 50 %, nothing wrong, both relays closed since long. */
static void bench_init(struct bench *b) {
        *b = (struct bench){0};
        settings_init(&b->settings);
        b->limits = (struct limits){
                .v_max_mv = 3650,
                .v_min_mv = 2800,
                .v_bypass_mv = some(3500),
                .t_max_decic = 550,
                .t_max_bypass_decic = 800,
                .trip_frames = 2,
        };
        b->in = (struct relay_inputs){
                .now = T0,
                .live = true,
                .frame = true,
                .protection = &b->protection,
                .limits = &b->limits,
                .settings = &b->settings,
                .lowest_mv = some(3350),
                .highest_mv = some(3350),
                .lowest_decic = some(250),
                .hot_decic = some(250),
                .hot_limit_decic = 550,
                .soc_permyriad = some(5000),
                .soc_growth_permyriad = some(0),
                .calibrated = true,
                .current_ma = some(0),
                .c20_ma = some(8000),
                .one_percent_mams = some64(1000),
        };
        relays_init(&b->relays);
        b->charge = &b->relays.relay[RELAY_CHARGE];
        b->load = &b->relays.relay[RELAY_LOAD];
        b->charge->closed = b->load->closed = true;
}

static void step(struct bench *b, usec_t now) {
        b->in.now = now;
        relays_step(&b->relays, &b->in);
        b->in.tripped_now = 0;
}

static void trip(struct bench *b, enum rule rule) {
        b->protection.trips[rule] = (struct trip){.frames = 2, .tripped = true, .reason = {.rule = rule}};
        b->in.tripped_now |= 1u << rule;
}

static void untrip(struct bench *b, enum rule rule) {
        b->protection.trips[rule] = (struct trip){0};
}

/* The one hold of this kind, or NULL. */
static const struct hold *find(struct bench *b, enum relay_id id, usec_t now, enum hold_kind kind) {
        static struct hold holds[RELAY_HOLDS_MAX];
        const struct hold *found = NULL;
        size_t n;

        b->in.now = now;
        n = relay_holds(&b->relays, id, &b->in, holds);
        for (size_t i = 0; i < n; i++)
                if (holds[i].kind == kind) {
                        assert_null(found);
                        found = &holds[i];
                }
        return found;
}

static void test_delays_are_each_relays_own(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b);
        b.settings.values[SETTING_CHARGE_RESTART_DELAY] = some(30);
        b.settings.values[SETTING_DISCHARGE_RESTART_DELAY] = some(90);
        trip(&b, RULE_T_MAX);
        step(&b, T0);
        assert_false(b.charge->closed || b.load->closed);
        untrip(&b, RULE_T_MAX);
        assert_true(find(&b, RELAY_CHARGE, T0 + 30 * USEC_PER_SEC - 1, HOLD_DELAY)->remaining == 1);
        assert_null(find(&b, RELAY_CHARGE, T0 + 30 * USEC_PER_SEC, HOLD_DELAY));
        assert_true(find(&b, RELAY_LOAD, T0 + 90 * USEC_PER_SEC - 1, HOLD_DELAY)->remaining == 1);
        assert_null(find(&b, RELAY_LOAD, T0 + 90 * USEC_PER_SEC, HOLD_DELAY));
        /* P2: temperature does not ask for SOC. */
        assert_false(b.charge->wait_for_restart || b.load->wait_for_restart);
}

/* P4: 10 s from an opening by the link. */
static void test_recovery(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b);
        b.in.live = false;
        step(&b, T0);
        assert_false(b.charge->closed || b.load->closed);
        b.in.live = true;
        assert_true(find(&b, RELAY_LOAD, T0, HOLD_RECOVERY)->remaining == 10 * USEC_PER_SEC);
        assert_true(find(&b, RELAY_LOAD, T0 + 10 * USEC_PER_SEC - 1, HOLD_RECOVERY)->remaining == 1);
        assert_null(find(&b, RELAY_LOAD, T0 + 10 * USEC_PER_SEC, HOLD_RECOVERY));
}

/* What `why` says the relay waits for. */
static void test_holds_name_their_limits(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b);
        b.charge->closed = b.load->closed = false;
        b.charge->wait_for_restart = b.load->wait_for_restart = true;
        assert_int_equal(find(&b, RELAY_CHARGE, T0, HOLD_SOC)->limit.value, 9500);
        assert_int_equal(find(&b, RELAY_LOAD, T0, HOLD_SOC)->limit.value, 2000);

        b.in.highest_mv = some(3500);
        assert_int_equal(find(&b, RELAY_CHARGE, T0, HOLD_V_BYPASS)->limit.value, 3495);
        assert_null(find(&b, RELAY_LOAD, T0, HOLD_V_BYPASS));
        b.in.calibrated = false;
        assert_int_equal(find(&b, RELAY_CHARGE, T0, HOLD_V_BYPASS)->limit.value, 3450);

        /* P8: strictly inside, each relay by its own T-min. */
        b.limits.t_min_discharge_decic = -100;
        b.in.lowest_decic = some(0);
        assert_int_equal(find(&b, RELAY_CHARGE, T0, HOLD_T_HYSTERESIS)->rule, RULE_T_MIN_CHARGE);
        assert_int_equal(find(&b, RELAY_CHARGE, T0, HOLD_T_HYSTERESIS)->limit.value, 1);
        assert_null(find(&b, RELAY_LOAD, T0, HOLD_T_HYSTERESIS));
        b.in.lowest_decic = some(-100);
        assert_int_equal(find(&b, RELAY_LOAD, T0, HOLD_T_HYSTERESIS)->rule, RULE_T_MIN_DISCHARGE);
        assert_int_equal(find(&b, RELAY_LOAD, T0, HOLD_T_HYSTERESIS)->limit.value, -99);
        b.in.lowest_decic = some(250);
        b.in.hot_decic = some(550);
        assert_int_equal(find(&b, RELAY_LOAD, T0, HOLD_T_HYSTERESIS)->limit.value, 549);
}

/* A rule that is pending is listed as itself, not as its hysteresis beside it. */
static void test_holds_are_listed_once(void **state) {
        static const struct {
                enum rule rule;
                enum relay_id id;
        } rows[] = {{RULE_V_MAX, RELAY_CHARGE}, {RULE_V_MIN, RELAY_LOAD}};

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                struct bench b;

                bench_init(&b);
                b.in.highest_mv = some(3640);
                b.in.lowest_mv = some(2850);
                b.relays.relay[rows[i].id].closed = false;
                b.relays.relay[rows[i].id].v_hysteresis = rows[i].rule;
                assert_null(find(&b, rows[i].id, T0, HOLD_RULE));
                assert_non_null(find(&b, rows[i].id, T0, HOLD_V_HYSTERESIS));
                b.protection.trips[rows[i].rule].frames = 1;
                assert_non_null(find(&b, rows[i].id, T0, HOLD_RULE));
                assert_null(find(&b, rows[i].id, T0, HOLD_V_HYSTERESIS));
        }
}

/* V-bypass not believed yet (B9): no charging in normal mode. Settings not confirmed (design 8): nothing closes. */
static void test_what_is_not_known(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b);
        b.charge->closed = b.load->closed = false;
        b.limits.v_bypass_mv = none();
        assert_non_null(find(&b, RELAY_CHARGE, T0, HOLD_V_BYPASS_UNKNOWN));
        assert_null(find(&b, RELAY_LOAD, T0, HOLD_V_BYPASS_UNKNOWN));
        b.limits.critical = true;
        assert_null(find(&b, RELAY_CHARGE, T0, HOLD_V_BYPASS_UNKNOWN));

        b.in.settings_unconfirmed = true;
        for (int i = 0; i < 5; i++)
                step(&b, T0 + i * USEC_PER_SEC);
        assert_false(b.charge->closed || b.load->closed);
        assert_non_null(find(&b, RELAY_CHARGE, T0, HOLD_SETTINGS));
        assert_non_null(find(&b, RELAY_LOAD, T0, HOLD_SETTINGS));
        b.in.recover = true; /* nor by `recover` */
        assert_non_null(find(&b, RELAY_LOAD, T0, HOLD_SETTINGS));
}

/* P11: one cell at V-max, not confirmed yet, holds both relays while recovering; contacts are in series. */
static void test_v_max_holds_recover(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b);
        b.charge->closed = b.load->closed = false;
        b.in.recover = true;
        b.protection.trips[RULE_V_MAX] = (struct trip){.frames = 1, .reason = {.rule = RULE_V_MAX, .cell = 5}};
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                const struct hold *hold = find(&b, id, T0, HOLD_RULE);

                assert_non_null(hold);
                assert_int_equal(hold->rule, RULE_V_MAX);
                assert_int_equal(hold->cell, 5);
        }
        untrip(&b, RULE_V_MAX);
        b.protection.trips[RULE_V_MIN] = (struct trip){.frames = 2, .tripped = true, .reason = {.rule = RULE_V_MIN}};
        assert_null(find(&b, RELAY_LOAD, T0, HOLD_RULE)); /* that is what it is for */
}

/* P2: nothing that only guards a full pack holds the charge relay of an empty one. */
static void test_empty_pack(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b);
        b.charge->closed = false;
        trip(&b, RULE_V_MIN);
        step(&b, T0);
        b.charge->v_hysteresis = RULE_V_MAX;
        b.charge->wait_for_restart = true;
        b.in.highest_mv = some(3605);
        assert_null(find(&b, RELAY_CHARGE, T0, HOLD_V_HYSTERESIS));
        assert_null(find(&b, RELAY_CHARGE, T0, HOLD_SOC));
        assert_non_null(find(&b, RELAY_LOAD, T0, HOLD_SOC));
}

/* P3: at rest below 3.30 V for 30 min, to the microsecond, the milliampere and V-bypass 3.7 V. */
static void test_drained(void **state) {
        static const struct {
                int32_t lowest, bypass, current;
                usec_t rest;
                bool clears;
        } rows[] = {
                {3299, 3700, 0, 1800 * USEC_PER_SEC, true},
                {3299, 3700, 0, 1800 * USEC_PER_SEC - 1, false},
                {3300, 3700, 0, 1800 * USEC_PER_SEC, false},
                {3299, 3701, 0, 1800 * USEC_PER_SEC, false},
                {3299, 3700, 7999, 1800 * USEC_PER_SEC, true},
                {3299, 3700, 8000, 1800 * USEC_PER_SEC, false},
                {3299, 3700, -7999, 1800 * USEC_PER_SEC, true},
                {3299, 3700, -8000, 1800 * USEC_PER_SEC, false},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct bench b;

                bench_init(&b);
                b.limits.v_bypass_mv = some(rows[i].bypass);
                b.in.soc_permyriad = some(10000);
                b.in.lowest_mv = some(rows[i].lowest);
                b.in.current_ma = some(rows[i].current);
                b.charge->wait_for_restart = true;
                step(&b, T0);
                assert_true(b.charge->wait_for_restart);
                step(&b, T0 + rows[i].rest);
                assert_int_equal(b.charge->wait_for_restart, !rows[i].clears);
        }
}

/* P3: SOC - growth < charge restart - 10 points. P2: not while the rule that set the flag is still tripped. */
static void test_growth(void **state) {
        static const struct {
                int32_t soc, growth;
                enum rule tripped;
                bool clears;
        } rows[] = {
                {9600, 1100, _RULE_MAX, false}, {9600, 1101, _RULE_MAX, true},   {9600, 1099, _RULE_MAX, false},
                {9600, 2000, RULE_V_MAX, false}, {9600, 2000, RULE_FULL, false}, {9000, 0, RULE_V_MAX, false},
                {9000, 0, RULE_FULL, false},     {9000, 0, _RULE_MAX, true},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct bench b;

                bench_init(&b);
                b.in.soc_permyriad = some(rows[i].soc);
                b.in.soc_growth_permyriad = some(rows[i].growth);
                b.charge->wait_for_restart = true;
                if (rows[i].tripped != _RULE_MAX)
                        b.protection.trips[rows[i].tripped].tripped = true;
                step(&b, T0);
                assert_int_equal(b.charge->wait_for_restart, !rows[i].clears);
        }
}

/* P2 asks for SOC after V-max and V-min, in normal mode only. */
static void test_who_waits_for_soc(void **state) {
        (void)state;
        for (int critical = 0; critical <= 1; critical++) {
                struct bench b;

                bench_init(&b);
                b.limits.critical = critical;
                b.in.soc_permyriad = some(1000);
                trip(&b, RULE_V_MIN);
                step(&b, T0);
                assert_int_equal(b.load->wait_for_restart, !critical);

                bench_init(&b);
                b.limits.critical = critical;
                b.in.soc_permyriad = some(9800);
                trip(&b, RULE_V_MAX);
                step(&b, T0);
                assert_int_equal(b.charge->wait_for_restart, !critical);
                assert_false(b.load->wait_for_restart);
        }
}

static void v_min_trip(struct bench *b, int64_t charged) {
        b->in.charged_mams = charged;
        trip(b, RULE_V_MIN);
        step(b, b->in.now);
        untrip(b, RULE_V_MIN);
}

/* P5: three trips that opened the load; 1 % of capacity counts from the first of them. */
static void test_v_min_trips(void **state) {
        struct bench b;
        struct hold holds[RELAY_HOLDS_MAX];

        (void)state;
        bench_init(&b);
        b.in.calibrated = false;
        v_min_trip(&b, 100);
        assert_int_equal(b.load->vmin_trips, 1);
        v_min_trip(&b, 200); /* open already */
        assert_int_equal(b.load->vmin_trips, 1);
        b.load->closed = true;
        b.in.recover = true; /* P11: closed for somebody who knows */
        v_min_trip(&b, 300);
        assert_int_equal(b.load->vmin_trips, 1);
        b.in.recover = false;
        b.load->closed = true;
        v_min_trip(&b, 600);
        assert_int_equal(b.load->vmin_trips, 2);
        assert_false(relay_release(b.load));
        b.load->closed = true;
        v_min_trip(&b, 700);
        assert_int_equal(b.load->vmin_trips, 3);
        assert_non_null(find(&b, RELAY_LOAD, T0, HOLD_VMIN_TRIPS));
        assert_true(relay_holds(&b.relays, RELAY_LOAD, &b.in, holds) > 0);
        assert_null(find(&b, RELAY_CHARGE, T0, HOLD_VMIN_TRIPS));

        b.in.charged_mams = 1099;
        step(&b, T0);
        assert_int_equal(b.load->vmin_trips, 3);
        b.in.charged_mams = 1100;
        step(&b, T0);
        assert_int_equal(b.load->vmin_trips, 0);

        b.load->vmin_trips = 3;
        assert_true(relay_release(b.load));
        assert_int_equal(b.load->vmin_trips, 0);

        /* Calibrated: SOC keeps the load from toggling. */
        bench_init(&b);
        v_min_trip(&b, 0);
        assert_int_equal(b.load->vmin_trips, 0);
}

/* Six counted closings, the oldest at `oldest`; open, and about to close for the seventh time. */
static void six_closings(struct bench *b, usec_t oldest) {
        bench_init(b);
        for (unsigned i = 0; i < RELAY_CLOSINGS_PER_HOUR; i++)
                b->load->closings[i] = oldest + i * USEC_PER_MINUTE;
        b->load->closings_filled = RELAY_CLOSINGS_PER_HOUR;
        b->load->closed = false;
        b->load->counts = true;
}

/* P5, to the microsecond. */
static void test_cycling(void **state) {
        static const struct {
                bool closed, counts, cycling;
        } rows[] = {{false, true, true}, {true, true, false}, {false, false, false}, {true, false, false}};
        struct bench b;

        (void)state;
        six_closings(&b, T0);
        step(&b, T0 + USEC_PER_HOUR - 1);
        assert_true(find(&b, RELAY_LOAD, T0 + USEC_PER_HOUR - 1, HOLD_CYCLING)->remaining == 1);
        step(&b, T0 + USEC_PER_HOUR);
        assert_null(find(&b, RELAY_LOAD, T0 + USEC_PER_HOUR, HOLD_CYCLING));
        step(&b, T0 + USEC_PER_HOUR + 1);
        assert_true(b.load->closed);

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                six_closings(&b, T0);
                b.load->closed = rows[i].closed;
                b.load->counts = rows[i].counts;
                step(&b, T0 + USEC_PER_MINUTE);
                assert_int_equal(b.load->cycling, rows[i].cycling);
                assert_int_equal(b.load->cycling_since != 0, rows[i].cycling);
        }
}

/* P5: a second full hour within 24 h of the first locks; the same hour found full again does not. */
static void test_second_full_hour(void **state) {
        static const struct {
                usec_t since_first;
                unsigned closings;
                bool locked;
        } rows[] = {
                {USEC_PER_DAY - 1, 6, true},
                {USEC_PER_DAY, 6, false},
                {2 * USEC_PER_HOUR, 5, false},
                {2 * USEC_PER_HOUR, 6, true},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                usec_t now = T0 + 7 * USEC_PER_MINUTE;
                struct bench b;

                six_closings(&b, T0);
                b.load->cycling_since = now - rows[i].since_first;
                b.load->closings_since_cycling = rows[i].closings;
                step(&b, now);
                assert_int_equal(b.load->locked, rows[i].locked);
                assert_true(b.load->cycling);
                /* Held by it already: nothing is counted a second time. */
                step(&b, now + 1);
                assert_int_equal(b.load->locked, rows[i].locked);
        }
        /* Never before: no second one. */
        struct bench b;
        six_closings(&b, T0);
        b.load->closings_since_cycling = 6;
        step(&b, T0 + 7 * USEC_PER_MINUTE);
        assert_false(b.load->locked);
        assert_true(b.load->cycling);
        /* `release` ends each of the three, and says so. */
        assert_true(relay_release(b.load));
        assert_false(b.load->cycling);
        assert_false(relay_release(b.load));
        b.load->locked = true;
        assert_true(relay_release(b.load));
        assert_false(b.load->locked);
}

/* P5: the lock ends by itself after 12 hours. */
static void test_lock_ends(void **state) {
        usec_t end = T0 + 12 * USEC_PER_HOUR;
        struct bench b;

        (void)state;
        bench_init(&b);
        b.load->closed = false;
        b.load->locked = true;
        b.load->locked_at = T0;
        step(&b, end - 1);
        assert_true(b.load->locked);
        assert_true(find(&b, RELAY_LOAD, end - 1, HOLD_RELEASE)->remaining == 1);
        step(&b, end);
        assert_false(b.load->locked);
}

/* P4: full or at V-max less than 15 min after a counted closing: a pause of 15 min. Not after `release`, which forgets
 * the closings. */
static void test_pause(void **state) {
        static const struct {
                usec_t charged;
                bool counted, released, pause;
        } rows[] = {
                {15 * USEC_PER_MINUTE - 1, true, false, true}, {15 * USEC_PER_MINUTE, true, false, false},
                {USEC_PER_MINUTE, true, false, true},          {USEC_PER_MINUTE, false, false, false},
                {USEC_PER_MINUTE, true, true, false},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                usec_t now = T0 + rows[i].charged, end = now + 15 * USEC_PER_MINUTE;
                struct bench b;

                bench_init(&b);
                b.charge->closed = false;
                b.charge->counts = rows[i].counted;
                step(&b, T0 - USEC_PER_SEC);
                step(&b, T0);
                assert_true(b.charge->closed);
                if (rows[i].released) {
                        b.charge->locked = true;
                        assert_true(relay_release(b.charge));
                }
                trip(&b, RULE_V_MAX);
                step(&b, now);
                assert_false(b.charge->closed);
                untrip(&b, RULE_V_MAX);
                assert_int_equal(find(&b, RELAY_CHARGE, end - 1, HOLD_DELAY) != NULL, rows[i].pause);
                assert_null(find(&b, RELAY_CHARGE, end, HOLD_DELAY));
        }
}

/* The reason of an opening: a confirmed rule before an unconfirmed one, and of several the first in the table. */
static void test_reason_of_an_opening(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b);
        b.protection.trips[RULE_V_MAX] = (struct trip){.frames = 1, .unconfirmed = true, .reason = {.cell = 7}};
        trip(&b, RULE_T_MAX);
        step(&b, T0);
        assert_int_equal(b.charge->reason.rule, RULE_T_MAX);
        assert_false(b.charge->recovery);

        bench_init(&b);
        b.protection.trips[RULE_V_MAX] = (struct trip){.frames = 1, .unconfirmed = true, .reason = {.cell = 7}};
        b.protection.trips[RULE_T_MIN_CHARGE] = (struct trip){.frames = 1, .unconfirmed = true, .reason = {.cell = 8}};
        step(&b, T0);
        assert_int_equal(b.charge->reason.rule, RULE_UNCONFIRMED);
        assert_int_equal(b.charge->reason.cell, 7);
        assert_true(b.charge->recovery);
        assert_true(b.charge->delay_until == 0); /* nothing is known to have happened */
}

/* B6: when the board's permission ended. */
static void test_monitor_remembers_its_opening(void **state) {
        static const bool yes[_RELAY_MAX] = {true, true}, no[_RELAY_MAX] = {false, false};
        struct relays r;

        (void)state;
        relays_init(&r);
        relays_monitor_step(&r, T0, true, false, yes);
        assert_true(r.relay[RELAY_LOAD].closed);
        assert_true(r.relay[RELAY_LOAD].opened_at == 0);
        relays_monitor_step(&r, T0 + 5, true, false, no);
        assert_false(r.relay[RELAY_LOAD].closed);
        assert_true(r.relay[RELAY_LOAD].opened_at == T0 + 5);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_delays_are_each_relays_own),
                cmocka_unit_test(test_recovery),
                cmocka_unit_test(test_holds_name_their_limits),
                cmocka_unit_test(test_holds_are_listed_once),
                cmocka_unit_test(test_what_is_not_known),
                cmocka_unit_test(test_v_max_holds_recover),
                cmocka_unit_test(test_empty_pack),
                cmocka_unit_test(test_drained),
                cmocka_unit_test(test_growth),
                cmocka_unit_test(test_who_waits_for_soc),
                cmocka_unit_test(test_v_min_trips),
                cmocka_unit_test(test_cycling),
                cmocka_unit_test(test_second_full_hour),
                cmocka_unit_test(test_lock_ends),
                cmocka_unit_test(test_pause),
                cmocka_unit_test(test_reason_of_an_opening),
                cmocka_unit_test(test_monitor_remembers_its_opening),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
