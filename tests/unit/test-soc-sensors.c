/* SPDX-License-Identifier: MIT */
/* lib/soc.c: lost, returning and reversed current sensors (S7). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "settings.h"
#include "soc.h"

#define SECOND USEC_PER_SEC
#define X INT32_MIN

/* 16 cells of 100 Ah: C/20 is 5 A. */
static const struct soc_config config_100ah = {
        .capacity_wh = {.known = true, .value = 5120},
        .cell_nominal_mv = 3200,
        .efficiency_percent = 100,
        .blind_spot_ma = 0,
        .sensors = SENSORS_AUTO,
        .cells = 16,
};

struct run {
        struct soc soc;
        usec_t now;
};

static void start(struct run *r, int32_t sensors) {
        struct soc_config c = config_100ah;

        c.sensors = sensors;
        soc_init(&r->soc, &c);
        r->now = 1000;
        soc_full_sync(&r->soc, r->now);
        soc_set(&r->soc, r->now, 5000);
}

static struct frame_current current(int32_t ma) {
        return (struct frame_current){.known = ma != X, .ma = ma != X ? ma : 0};
}

static void feed_all(struct run *r, usec_t wait, int32_t in, int32_t out, uint32_t pack_mv, bool all_at_bypass) {
        const struct frame frame = {
                .in = current(in),
                .out = current(out),
                .sum = current(in == X ? X : out == X ? in : in - out),
                .pack_mv = pack_mv,
                .lowest_mv = pack_mv / 16,
                .highest_mv = pack_mv / 16,
                .lowest_decic = 250,
                .lowest_temperature_known = true,
                .count = 16,
        };
        r->now += wait;
        soc_frame(&r->soc, r->now, SECOND, &frame, all_at_bypass);
}

static void feed(struct run *r, int32_t in, int32_t out) {
        feed_all(r, SECOND, in, out, 52800, false);
}

static void assert_sensor(const struct run *r, enum soc_sensor_state state) {
        assert_int_equal(r->soc.sensor, state);
}

/* I-sum X for 5 s, to the microsecond, seen by a frame or by a tick. */
static void test_lost_after_5_s(void **state) {
        (void) state;
        for (int off = -1; off <= 1; off++)
                for (int by_tick = 0; by_tick <= 1; by_tick++) {
                        struct run r;

                        start(&r, SENSORS_AUTO);
                        feed(&r, 1000, X);
                        for (int i = 0; i < 5; i++)
                                feed(&r, X, X);
                        assert_sensor(&r, SOC_SENSOR_OK); /* the first was 4 s ago */
                        assert_true(r.soc.calibrated);
                        assert_false(r.soc.current_ma.known);
                        if (by_tick != 0)
                                soc_tick(&r.soc, r.now + SECOND + (usec_t) off);
                        else
                                feed_all(&r, SECOND + (usec_t) off, X, X, 52800, false);
                        assert_sensor(&r, off >= 0 ? SOC_SENSOR_LOST : SOC_SENSOR_OK);
                        assert_int_equal(r.soc.calibrated, off < 0);
                }
}

/* The first sensor lost while the second goes on: I-sum is then -I2, which is known but is not the battery's
 * current. */
static void test_first_sensor_lost(void **state) {
        const struct frame without_first = {
                .out = current(2000),
                .sum = current(-2000),
                .pack_mv = 52800,
                .lowest_mv = 3300,
                .highest_mv = 3300,
                .lowest_decic = 250,
                .lowest_temperature_known = true,
                .count = 16,
        };
        struct run r;
        int64_t before;

        (void) state;
        start(&r, SENSORS_2);
        feed(&r, 1000, 2000);
        before = r.soc.charge_mams;
        for (int i = 0; i < 6; i++) {
                r.now += SECOND;
                soc_frame(&r.soc, r.now, SECOND, &without_first, false);
                assert_false(r.soc.current_ma.known);
        }
        assert_sensor(&r, SOC_SENSOR_LOST);
        assert_false(r.soc.calibrated);
        assert_true(r.soc.charge_mams == before);
}

/* A reading in between starts the 5 s anew; a gap in the stream is the link's matter, not the sensor's. */
static void test_not_lost(void **state) {
        struct run r;

        (void) state;
        start(&r, SENSORS_AUTO);
        for (int i = 0; i < 100; i++)
                feed(&r, i % 5 == 0 ? 1000 : X, X);
        assert_sensor(&r, SOC_SENSOR_OK);
        assert_true(r.soc.calibrated);

        start(&r, SENSORS_AUTO);
        feed(&r, X, X);
        soc_tick(&r.soc, r.now + 20 * SECOND);
        feed_all(&r, 60 * SECOND, X, X, 52800, false);
        assert_sensor(&r, SOC_SENSOR_OK);
        feed_all(&r, 3 * SECOND, X, X, 52800, false);
        feed_all(&r, 2 * SECOND, X, X, 52800, false);
        assert_sensor(&r, SOC_SENSOR_LOST);
}

/* Lost: the SOC stands still, C/5 per hour; back: it goes on from there, calibrated only by the next full sync. */
static void test_lost_and_back(void **state) {
        struct run r;

        (void) state;
        start(&r, SENSORS_AUTO);
        feed(&r, -36000, X);
        for (int i = 0; i < 3600; i++)
                feed(&r, X, X);
        assert_sensor(&r, SOC_SENSOR_LOST);
        assert_int_equal(soc_permyriad(&r.soc).value, 5000);
        assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, 3000);
        assert_int_equal(r.soc.uncounted_usec, USEC_PER_HOUR);

        soc_full_sync(&r.soc, r.now); /* the cells say full, but nothing counts what follows */
        assert_int_equal(soc_permyriad(&r.soc).value, 10000);
        assert_false(r.soc.calibrated);
        soc_set(&r.soc, r.now, 5000);

        feed(&r, -36000, X);
        assert_sensor(&r, SOC_SENSOR_OK);
        assert_false(r.soc.calibrated);
        assert_int_equal(soc_permyriad(&r.soc).value, 5000);
        for (int i = 0; i < 1000; i++)
                feed(&r, -36000, X); /* 10 Ah */
        assert_int_equal(soc_permyriad(&r.soc).value, 4000);
        assert_false(r.soc.calibrated);
        soc_full_sync(&r.soc, r.now);
        assert_true(r.soc.calibrated);
}

/* While lost, a gap in the stream does not make it found. */
static void test_lost_over_a_gap(void **state) {
        struct run r;

        (void) state;
        start(&r, SENSORS_1);
        for (int i = 0; i < 10; i++)
                feed(&r, X, X);
        assert_sensor(&r, SOC_SENSOR_LOST);
        feed_all(&r, 100 * SECOND, X, X, 52800, false);
        assert_sensor(&r, SOC_SENSOR_LOST);
        soc_tick(&r.soc, r.now + SECOND);
        assert_sensor(&r, SOC_SENSOR_LOST);
}

/* `auto` learns a second sensor by 10 frames in a row; from then on its absence counts. */
static void test_second_sensor_learned(void **state) {
        (void) state;
        for (unsigned n = SOC_SECOND_SENSOR_FRAMES - 1; n <= SOC_SECOND_SENSOR_FRAMES + 1; n++) {
                struct run r;

                start(&r, SENSORS_AUTO);
                for (unsigned i = 0; i < n; i++)
                        feed(&r, 1000, 2000);
                feed(&r, 1000, X);
                assert_int_equal(r.soc.current_ma.known, n < SOC_SECOND_SENSOR_FRAMES);
                for (int i = 0; i < 5; i++)
                        feed(&r, 1000, X);
                assert_sensor(&r, n < SOC_SECOND_SENSOR_FRAMES ? SOC_SENSOR_OK : SOC_SENSOR_LOST);
        }
}

/* Frozen from the first frame without it: I-sum is then I1 alone, and wrong. */
static void test_second_sensor_lost(void **state) {
        struct run r;

        (void) state;
        start(&r, SENSORS_2);
        feed(&r, 0, 36000);
        feed(&r, 0, 36000);
        const int64_t charge = r.soc.charge_mams;
        for (int i = 0; i < 6; i++)
                feed(&r, 36000, X);
        assert_int_equal(r.soc.charge_mams, charge);
        assert_sensor(&r, SOC_SENSOR_LOST);
        feed(&r, 0, 36000);
        assert_sensor(&r, SOC_SENSOR_OK);
        feed(&r, 0, 36000);
        assert_int_equal(charge - r.soc.charge_mams, 36000 * 1000);

        /* the owner takes it off and says so; and may connect one again later */
        for (int i = 0; i < 6; i++)
                feed(&r, 36000, X);
        assert_sensor(&r, SOC_SENSOR_LOST);
        struct soc_config c = config_100ah;
        c.sensors = SENSORS_1;
        soc_configure(&r.soc, &c);
        feed(&r, 36000, X);
        assert_sensor(&r, SOC_SENSOR_OK);
        c.sensors = SENSORS_AUTO;
        soc_configure(&r.soc, &c);
        for (int i = 0; i < 10; i++)
                feed(&r, 36000, X);
        assert_sensor(&r, SOC_SENSOR_OK);
}

/* What `auto` has learned outlives a change of other settings. */
static void test_second_sensor_outlives_settings(void **state) {
        struct soc_config c = config_100ah;
        struct run r;

        (void) state;
        start(&r, SENSORS_AUTO);
        for (int i = 0; i < 10; i++)
                feed(&r, 1000, 2000);
        c.capacity_wh = some(1000);
        soc_configure(&r.soc, &c);
        feed(&r, 1000, X);
        assert_false(r.soc.current_ma.known);
}

/* With `sensors: 2` the second one is missed even if it was never seen, with `sensors: 1` never. */
static void test_sensors_by_hand(void **state) {
        struct run r;

        (void) state;
        start(&r, SENSORS_2);
        for (int i = 0; i < 6; i++)
                feed(&r, 1000, X);
        assert_sensor(&r, SOC_SENSOR_LOST);
        start(&r, SENSORS_1);
        for (int i = 0; i < 20; i++)
                feed(&r, 1000, 0);
        for (int i = 0; i < 20; i++)
                feed(&r, 1000, X);
        assert_sensor(&r, SOC_SENSOR_OK);
}

/* n current steps of `step_ma`, alternately up and down; the first `wrong` move the voltage the wrong way. */
static void feed_steps(struct run *r, unsigned n, unsigned wrong, int32_t step_ma) {
        for (unsigned i = 0; i < n; i++) {
                const bool up = i % 2 == 0, right = i >= wrong;

                feed_all(r, SECOND, up ? step_ma : 0, X,
                         r->soc.step_voltage_mv.value + (up == right ? 80 : -80), false);
        }
}

static void test_reversed_by_steps(void **state) {
        static const struct {
                unsigned n, wrong;
                int32_t step_ma;
                enum soc_sensor_state expected;
        } cases[] = {
                {19, 19, 10000, SOC_SENSOR_OK},       {20, 20, 10000, SOC_SENSOR_REVERSED},
                {20, 16, 10000, SOC_SENSOR_REVERSED}, {20, 15, 10000, SOC_SENSOR_OK},
                {20, 20, 5000, SOC_SENSOR_OK},        {20, 20, 5125, SOC_SENSOR_REVERSED}, /* above C/20 */
                {20, 0, 10000, SOC_SENSOR_OK},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                print_message("case %zu\n", i);
                start(&r, SENSORS_1);
                feed(&r, 0, X);
                feed_steps(&r, cases[i].n, cases[i].wrong, cases[i].step_ma);
                assert_sensor(&r, cases[i].expected);
        }
}

/* Half of the new steps right is not enough to take it back, more is. */
static void test_reversed_and_half_back(void **state) {
        (void) state;
        for (unsigned wrong = 9; wrong <= 11; wrong++) {
                struct run r;

                start(&r, SENSORS_1);
                feed(&r, 0, X);
                feed_steps(&r, 20, 20, 10000);
                feed_steps(&r, 20, wrong, 10000);
                assert_sensor(&r, wrong < 10 ? SOC_SENSOR_OK : SOC_SENSOR_REVERSED);
        }
}

/* Turned round again: 19 good steps do not take the verdict back, 20 do. */
static void test_reversed_and_back(void **state) {
        (void) state;
        for (unsigned n = 19; n <= 20; n++) {
                struct run r;

                start(&r, SENSORS_1);
                feed(&r, 0, X);
                feed_steps(&r, 20, 20, 10000);
                assert_sensor(&r, SOC_SENSOR_REVERSED);
                feed_steps(&r, n, 0, 10000);
                assert_sensor(&r, n < 20 ? SOC_SENSOR_REVERSED : SOC_SENSOR_OK);
        }
}

/* A sensor that was right for a year and is turned round then is found as fast as a new one. */
static void test_reversed_later(void **state) {
        struct run r;

        (void) state;
        start(&r, SENSORS_1);
        feed(&r, 0, X);
        feed_steps(&r, 10000, 0, 10000);
        assert_sensor(&r, SOC_SENSOR_OK);
        feed_steps(&r, 15, 15, 10000);
        assert_sensor(&r, SOC_SENSOR_OK);
        feed_all(&r, SECOND, r.soc.current_ma.value == 0 ? 10000 : 0, X,
                 r.soc.step_voltage_mv.value + (r.soc.current_ma.value == 0 ? -80 : 80), false);
        assert_sensor(&r, SOC_SENSOR_REVERSED);
}

/* A pack with resistance never accuses a sensor that is right, and always one that is not: 16 cells of 1.5 mohm each,
 * in the frame's 5 mV steps a cell. */
static void test_reversed_in_a_simulated_pack(void **state) {
        (void) state;
        for (int sign = -1; sign <= 1; sign += 2) {
                uint32_t random = 4711;
                struct run r;

                start(&r, SENSORS_1);
                for (int i = 0; i < 5000; i++) {
                        random = random * 1664525 + 1013904223;
                        const int32_t ma = (int32_t) (random >> 16) % 800 * 125 - 50000;
                        const int32_t cell_mv = (3300000 + ma * 3 / 2 + 2500) / 5000 * 5;
                        feed_all(&r, SECOND, sign * ma, X, (uint32_t) (16 * cell_mv), false);
                }
                assert_sensor(&r, sign > 0 ? SOC_SENSOR_OK : SOC_SENSOR_REVERSED);
        }
}

/* All cells full while more than C/20 seems to be drawn, for 60 s. */
static void test_reversed_when_full(void **state) {
        static const struct {
                int32_t ma;
                int off;
                bool full;
                enum soc_sensor_state expected;
        } cases[] = {
                {-5125, -1, true, SOC_SENSOR_OK},      {-5125, 0, true, SOC_SENSOR_REVERSED},
                {-5125, 1, true, SOC_SENSOR_REVERSED}, {-5000, 1, true, SOC_SENSOR_OK},
                {5125, 1, true, SOC_SENSOR_OK},        {-5125, 1, false, SOC_SENSOR_OK},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                print_message("case %zu\n", i);
                start(&r, SENSORS_1);
                for (int k = 0; k < 60; k++)
                        feed_all(&r, SECOND, cases[i].ma, X, 56000, cases[i].full);
                assert_sensor(&r, SOC_SENSOR_OK);
                feed_all(&r, SECOND + (usec_t) cases[i].off, cases[i].ma, X, 56000, cases[i].full);
                assert_sensor(&r, cases[i].expected);
        }
}

/* An overcharged pack that is really discharged: full for more than a minute, but its voltage falls. A step of 5 mV in
 * each of the 16 cells is no fall. */
static void test_falling_is_not_reversed(void **state) {
        static const struct {
                uint32_t end_mv;
                enum soc_sensor_state expected;
        } cases[] = {{58000 - 85, SOC_SENSOR_OK}, {58000 - 80, SOC_SENSOR_REVERSED}, {58000, SOC_SENSOR_REVERSED},
                     {58400, SOC_SENSOR_REVERSED}};

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                start(&r, SENSORS_1);
                for (int k = 0; k < 60; k++)
                        feed_all(&r, SECOND, -10000, X, k < 30 ? 58000 : cases[i].end_mv, true);
                feed_all(&r, SECOND, -10000, X, cases[i].end_mv, true);
                assert_sensor(&r, cases[i].expected);
        }
}

/* Interrupted for one frame, or by a gap: the minute begins anew. Charging at that place takes the verdict back. */
static void test_reversed_when_full_and_back(void **state) {
        struct run r;

        (void) state;
        start(&r, SENSORS_1);
        for (int k = 0; k < 200; k++)
                feed_all(&r, SECOND, -10000, X, 56000, k % 50 != 0);
        assert_sensor(&r, SOC_SENSOR_OK);
        for (int k = 0; k < 20; k++)
                feed_all(&r, 4 * SECOND, -10000, X, 56000, true);
        assert_sensor(&r, SOC_SENSOR_OK);
        for (int k = 0; k <= 60; k++)
                feed_all(&r, SECOND, -10000, X, 56000, true);
        assert_sensor(&r, SOC_SENSOR_REVERSED);
        for (int k = 0; k < 6; k++)
                feed_all(&r, SECOND, X, X, 56000, true);
        assert_sensor(&r, SOC_SENSOR_LOST); /* worse, and it comes first */
        feed_all(&r, SECOND, 10000, X, 56000, true);
        assert_sensor(&r, SOC_SENSOR_REVERSED);
        for (int k = 0; k < 60; k++)
                feed_all(&r, SECOND, 10000, X, 56000, true);
        assert_sensor(&r, SOC_SENSOR_OK);
}

/* By more than C/20, as the verdict itself. */
static void test_charging_that_takes_it_back(void **state) {
        static const struct {
                int32_t ma;
                enum soc_sensor_state expected;
        } cases[] = {{4875, SOC_SENSOR_REVERSED}, {5000, SOC_SENSOR_REVERSED}, {5125, SOC_SENSOR_OK}};

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                start(&r, SENSORS_1);
                for (int k = 0; k <= 60; k++)
                        feed_all(&r, SECOND, -10000, X, 56000, true);
                assert_sensor(&r, SOC_SENSOR_REVERSED);
                for (int k = 0; k <= 60; k++)
                        feed_all(&r, SECOND, cases[i].ma, X, 56000, true);
                assert_sensor(&r, cases[i].expected);
        }
}

/* S7: C/5 per hour without a reading: 90 points after 4.5 hours, all after 5. */
static void test_hours_without_a_reading(void **state) {
        static const struct {
                usec_t minutes;
                int32_t growth;
        } cases[] = {{60, 2000}, {240, 8000}, {270, 9000}, {300, 10000}, {330, 10000}, {420, 10000}};

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                start(&r, SENSORS_1);
                feed(&r, 0, X);
                soc_tick(&r.soc, r.now + cases[i].minutes * USEC_PER_MINUTE);
                assert_int_equal(soc_growth_permyriad(&r.soc).value, cases[i].growth);
        }
}

/* More than all cannot be unsure, however often nothing was heard. */
static void test_growth_ends_at_the_capacity(void **state) {
        struct run r;

        (void) state;
        start(&r, SENSORS_1);
        feed(&r, 0, X);
        for (int i = 0; i < 3; i++) {
                feed_all(&r, 4 * USEC_PER_HOUR, 0, X, 52800, false);
                assert_int_equal(soc_growth_permyriad(&r.soc).value, i == 0 ? 8000 : 10000);
        }
        assert_true(r.soc.growth_mams == r.soc.capacity_mams);
}

/* Up to 3 periods a gap is counted with the mean current, so until then a tick takes nothing for unknown. */
static void test_tick_waits_for_3_periods(void **state) {
        static const struct {
                usec_t after, uncounted;
        } cases[] = {
                {2500 * USEC_PER_MSEC, 0}, {3 * SECOND - 1, 0}, {3 * SECOND, 0}, {3 * SECOND + 1, 3 * SECOND + 1},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                start(&r, SENSORS_1);
                feed(&r, 1000, X);
                soc_tick(&r.soc, r.now + cases[i].after);
                assert_true(r.soc.uncounted_usec == cases[i].uncounted);
        }
}

/* S4: at rest is below C/50 = 2 A, either way. */
static void test_rest(void **state) {
        static const struct {
                int32_t ma;
                bool rests;
        } cases[] = {{0, true},     {1990, true},  {1999, true},  {2000, false},
                     {2001, false}, {-1999, true}, {-2000, false}};

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                start(&r, SENSORS_1);
                feed(&r, cases[i].ma, X);
                assert_int_equal(r.soc.rest_since != 0, cases[i].rests);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lost_after_5_s),
                cmocka_unit_test(test_first_sensor_lost),
                cmocka_unit_test(test_not_lost),
                cmocka_unit_test(test_lost_and_back),
                cmocka_unit_test(test_lost_over_a_gap),
                cmocka_unit_test(test_second_sensor_learned),
                cmocka_unit_test(test_second_sensor_lost),
                cmocka_unit_test(test_second_sensor_outlives_settings),
                cmocka_unit_test(test_sensors_by_hand),
                cmocka_unit_test(test_reversed_by_steps),
                cmocka_unit_test(test_reversed_and_half_back),
                cmocka_unit_test(test_reversed_and_back),
                cmocka_unit_test(test_reversed_later),
                cmocka_unit_test(test_reversed_in_a_simulated_pack),
                cmocka_unit_test(test_reversed_when_full),
                cmocka_unit_test(test_falling_is_not_reversed),
                cmocka_unit_test(test_reversed_when_full_and_back),
                cmocka_unit_test(test_charging_that_takes_it_back),
                cmocka_unit_test(test_hours_without_a_reading),
                cmocka_unit_test(test_growth_ends_at_the_capacity),
                cmocka_unit_test(test_tick_waits_for_3_periods),
                cmocka_unit_test(test_rest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
