/* SPDX-License-Identifier: MIT */
/* lib/soc.c in its smallest steps: rounding, the two ends of the count, and thresholds between two readings that the
 * sensors can give (125 mA). Unless said, 16 cells of 100 Ah: 5120 Wh, 3.6 * 10^11 mA*ms. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "soc-rig.h"

/* 9.8 mAh, the smallest there can be. */
static const struct soc_config config_smallest = {
        .capacity_wh = {.known = true, .value = 10},
        .cell_nominal_mv = 4000,
        .efficiency_percent = 100,
        .blind_spot_ma = 0,
        .sensors = SENSORS_1,
        .cells = 255,
};

/* So far apart that anything may lie between two of them and be counted. */
static void feed_cell(struct run *r, usec_t wait, int32_t ma, uint32_t lowest_mv) {
        feed_frame(r, wait, 100 * USEC_PER_HOUR, ma, lowest_mv, 250);
}

static void feed(struct run *r, usec_t wait, int32_t ma) {
        feed_cell(r, wait, ma, 3500);
}

/* S1: down to the mA*ms: 5000 Wh * 3.6 * 10^12 / (15 * 3219 mV) = 372,786,579,683.13, and 1237 Wh of 4 cells of 3.22 V
 * 345,745,341,614.9. */
static void test_capacity_to_the_unit(void **state) {
        static const struct {
                int32_t wh, nominal_mv;
                uint8_t cells;
                int64_t mams;
        } cases[] = {
                {5000, 3219, 15, INT64_C(372786579683)},
                {1237, 3220, 4, INT64_C(345745341614)},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct soc_config c = config_100ah;
                struct run r;

                c.capacity_wh = some(cases[i].wh);
                c.cell_nominal_mv = cases[i].nominal_mv;
                c.cells = cases[i].cells;
                start(&r, &c);
                assert_true(r.soc.capacity_mams == cases[i].mams);
        }
}

/* S1: what is not known is not known, whatever number stands beside it; less than nothing is no capacity. */
static void test_no_capacity(void **state) {
        static const struct maybe cases[] = {{false, 0}, {false, 5120}, {true, -1}, {true, 0}};

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct soc_config c = config_100ah;
                struct run r;

                c.capacity_wh = cases[i];
                start(&r, &c);
                assert_true(r.soc.capacity_mams == 0);
                assert_int_equal(soc_set(&r.soc, r.now, 5000), -ENODATA);
        }
}

/* C divided by nothing is not known either. */
static void test_no_share_of_c(void **state) {
        struct run r;

        (void)state;
        start(&r, &config_100ah);
        assert_false(soc_c_rate_ma(&r.soc, -1).known);
        assert_false(soc_c_rate_ma(&r.soc, 0).known);
        assert_int_equal(soc_c_rate_ma(&r.soc, 1).value, 100000);
}

/* Half a permyriad (5 mAh of 100 Ah, 18 A for 1 s) is shown as one, a mA*ms less is not. */
static void test_half_is_rounded_up(void **state) {
        (void)state;
        for (int64_t off = -1; off <= 1; off++) {
                struct run r;

                start(&r, &config_100ah);
                assert_int_equal(soc_set(&r.soc, r.now, 1234), 0);
                r.soc.charge_mams += off;
                feed(&r, 0, 18000);
                feed(&r, SECOND, 18000);
                assert_int_equal(soc_permyriad(&r.soc).value, off < 0 ? 1234 : 1235);
        }
}

/* At both ends too nothing is lost to rounding: 125 mA for 1 us is an eighth of a mA*ms, and eight of them are one. */
static void test_counting_is_exact_at_the_ends(void **state) {
        (void)state;
        for (int full = 0; full <= 1; full++) {
                const int32_t ma = full ? -125 : 125;
                struct run r;

                start(&r, &config_100ah);
                assert_int_equal(soc_set(&r.soc, r.now, full ? 10000 : 0), 0);
                feed(&r, 0, ma);
                for (int i = 0; i < 16; i++)
                        feed(&r, 1, ma);
                assert_true(r.soc.charge_mams == (full ? 100 * AH - 2 : 2));
        }
}

/* S6: the resistances to 0.1 mohm, where the curve is so flat that 1 mV of 4 are 2.5 points: 333.375 A make 894 (empty)
 * or 610 mV (full) of a cell of 100 Ah, and with the 40 mV there remain 3.302 V: 55 %, or 45 % below full. */
static void test_resistances(void **state) {
        struct run r;

        (void)state;
        start(&r, &config_100ah);
        feed_cell(&r, 0, -333375, 3302 - 894 - 40);
        soc_empty_sync(&r.soc, r.now);
        assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, 5500);
        feed_cell(&r, 0, 333375, 3302 + 610 + 40);
        soc_full_sync(&r.soc, r.now);
        assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, 4500);
}

/* S6: more than all cannot be unsure: 100 A * 196.684 s are 5 Ah, and the pack has 9.8 mAh. */
static void test_sync_uncertainty_ends_at_the_capacity(void **state) {
        struct run r;

        (void)state;
        start(&r, &config_smallest);
        feed(&r, 0, 100000);
        soc_full_sync(&r.soc, r.now);
        assert_true(r.soc.sync_uncertainty_mams == r.soc.capacity_mams);
}

/* S6: the doubt about a person's word and about a resting voltage, to the unit. 3.295 V is 43.75 % on the curve, 50 mV
 * more are 95 %. */
static void test_uncertainty_to_the_unit(void **state) {
        struct run r;

        (void)state;
        start(&r, &config_100ah);
        assert_int_equal(soc_set(&r.soc, r.now, 5000), 0);
        assert_true(r.soc.sync_uncertainty_mams == 10 * AH);

        start(&r, &config_100ah);
        feed_cell(&r, 0, 0, 3295);
        feed_cell(&r, SOC_REST_USEC, 0, 3295);
        assert_int_equal(soc_permyriad(&r.soc).value, 4375);
        assert_true(r.soc.sync_uncertainty_mams == AH * 5125 / 100);
}

/* S6: 0.25 % of 40 Ah out and 40 Ah in, to the unit. */
static void test_growth_to_the_unit(void **state) {
        struct run r;

        (void)state;
        start(&r, &config_100ah);
        soc_full_sync(&r.soc, r.now);
        feed(&r, 0, -10000);
        feed(&r, 4 * USEC_PER_HOUR, -10000);
        feed(&r, 0, 10000);
        feed(&r, 4 * USEC_PER_HOUR, 10000);
        assert_true(r.soc.growth_mams == AH / 5);
}

/* S6: independent doubts as the root of the sum of their squares, to 31 bits and for sums that need 63: by Pythagoras'
 * triples, each on a permyriad or exactly on half of one. */
static void test_independent_doubts_to_the_unit(void **state) {
        static const int64_t q = 99999999;
        const struct {
                int64_t sync, counted, capacity;
                int32_t permyriad;
        } cases[] = {
                {3, 4, 10000, 5},
                {12, 5, 10000, 13},
                {20 * q, 21 * q, 20000 * q, 15}, /* 29 q are 14.5 */
                {0, INT64_C(5000510001), INT64_C(10000020000), 5001}, /* alone: as it is, 5000.5 */
                {INT64_C(5000510001), 0, INT64_C(10000020000), 5001},
                {INT64_C(1) << 31, INT64_C(1) << 31, 100 * AH, 84}, /* 1.41421 * 2^31 / (3.6 * 10^7) = 84.4 */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                start(&r, &config_100ah);
                assert_int_equal(soc_set(&r.soc, r.now, 0), 0);
                r.soc.capacity_mams = cases[i].capacity;
                r.soc.sync_uncertainty_mams = cases[i].sync;
                r.soc.growth_mams = r.soc.growth_counted_mams = cases[i].counted;
                assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, cases[i].permyriad);
        }
}

/* S1: full without a capacity, which is set then: unsure by a point of it. */
static void test_capacity_set_after_the_sync(void **state) {
        struct soc_config c = config_100ah;
        struct run r;

        (void)state;
        c.capacity_wh = none();
        start(&r, &c);
        soc_full_sync(&r.soc, r.now);
        soc_configure(&r.soc, &config_100ah);
        assert_int_equal(soc_permyriad(&r.soc).value, 10000);
        assert_true(r.soc.sync_uncertainty_mams == AH);
}

/* S7: after five hours without a reading all is unsure, in a pack too whose C/5 (1.96 mA) is no whole mA. */
static void test_five_hours_without_a_reading(void **state) {
        static const struct {
                usec_t off;
                bool all;
        } cases[] = {{5 * USEC_PER_HOUR - 1, false},
                     {5 * USEC_PER_HOUR, true},
                     {5 * USEC_PER_HOUR + 1, true},
                     {6 * USEC_PER_HOUR, true}};

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                start(&r, &config_smallest);
                soc_full_sync(&r.soc, r.now);
                soc_time_off(&r.soc, cases[i].off);
                assert_int_equal(soc_growth_permyriad(&r.soc).value == 10000, cases[i].all);
        }
}

/* S5: a sync teaches something up to 3 points of doubt, not beyond. By the current * 196.684 s: 49,171 Wh of 225 cells
 * are 245,855 * 10^6 mA*ms, so exactly 3 points at 37.5 A; of 100 Ah 2.998 points at 54.875 A and 3.005 at 55 A. */
static void test_three_points(void **state) {
        static const struct {
                int32_t wh;
                uint8_t cells;
                int32_t ma;
                bool begins;
        } cases[] = {
                {49171, 225, 37375, true}, {49171, 225, 37500, true}, {49171, 225, 37625, false},
                {5120, 16, 54875, true},   {5120, 16, 55000, false},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct soc_config c = config_100ah;
                struct run r;

                c.capacity_wh = some(cases[i].wh);
                c.cells = cases[i].cells;
                start(&r, &c);
                feed(&r, 0, cases[i].ma);
                soc_full_sync(&r.soc, r.now);
                assert_int_equal(r.soc.learning.begun, cases[i].begins);
        }
}

/* S5: what was learned in 240 h at zero counts in full, in a microsecond more by half. */
static void test_240_hours(void **state) {
        (void)state;
        for (int off = -1; off <= 1; off++) {
                const usec_t zero = 240 * USEC_PER_HOUR + (usec_t)off;
                struct soc_config c = config_100ah;
                struct run r;

                c.blind_spot_ma = 1000;
                start(&r, &c);
                feed(&r, 0, 0);
                soc_full_sync(&r.soc, r.now);
                feed(&r, zero, 0);
                soc_full_sync(&r.soc, r.now);
                assert_true(r.soc.learning.hidden_usec == (off <= 0 ? zero : zero / 2));
        }
}

/* S7: 20 steps are judged, and no more are kept for the next run (kept.c takes no other number). */
static void test_steps_counted(void **state) {
        struct run r;

        (void)state;
        start(&r, &config_100ah);
        feed(&r, 0, 0);
        for (unsigned i = 1; i <= 25; i++) { /* the voltage follows the current: no reason to begin anew */
                feed_cell(&r, SECOND, i % 2 ? 10000 : 0, i % 2 ? 3510 : 3500);
                assert_int_equal(r.soc.steps, i < 20 ? i : 20);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_capacity_to_the_unit),
                cmocka_unit_test(test_no_capacity),
                cmocka_unit_test(test_no_share_of_c),
                cmocka_unit_test(test_half_is_rounded_up),
                cmocka_unit_test(test_counting_is_exact_at_the_ends),
                cmocka_unit_test(test_resistances),
                cmocka_unit_test(test_sync_uncertainty_ends_at_the_capacity),
                cmocka_unit_test(test_uncertainty_to_the_unit),
                cmocka_unit_test(test_growth_to_the_unit),
                cmocka_unit_test(test_independent_doubts_to_the_unit),
                cmocka_unit_test(test_capacity_set_after_the_sync),
                cmocka_unit_test(test_five_hours_without_a_reading),
                cmocka_unit_test(test_three_points),
                cmocka_unit_test(test_240_hours),
                cmocka_unit_test(test_steps_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
