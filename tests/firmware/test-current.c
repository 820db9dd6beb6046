/* SPDX-License-Identifier: MIT */
/* Currents (firmware/current.h) from the voltage that a sensor gives, by the circuit in hardware.h: each
 * type's resolution and blind spot as in the manual's table. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "current.h"

/* The manual's table; 400 A is the chain's (2 A, 4 A). */
static const struct {
        double amperes, resolution_a, blind_a;
} types[] = {{25, 0.125, 0.25}, {50, 0.25, 0.5}, {100, 0.5, 1.0},   {250, 1.25, 2.5},
             {400, 2.0, 4.0},   {500, 2.5, 5.0}, {1000, 5.0, 10.0}, {2000, 10.0, 20.0}};

static uint32_t sum_of_volts(double volts) {
        return (uint32_t)lround(volts * 10.0 / 27.4 / 1.25 * 1024 * CURRENT_SAMPLES);
}

/* zero_error: share of the type's full current that the sensor is off at 0 A. */
static uint32_t sum_of(unsigned type, double amperes, double zero_error) {
        return sum_of_volts(1.65 + 1.25 * (amperes / types[type].amperes + zero_error));
}

static struct current sound(unsigned type) {
        static const int16_t none[CURRENT_SENSORS];
        struct current c;

        current_init(&c, (uint8_t)type, none);
        return c;
}

static double shown(const struct current_value *value) {
        return value->steps * 0.125;
}

static void apply(struct current *c, uint32_t sum_1, uint32_t sum_2, bool blind_spot, bool zeroing) {
        current_apply(c, (uint32_t[]){sum_1, sum_2}, blind_spot, zeroing);
}

#define ABSENT 0

static void test_resolution(void **state) {
        (void)state;
        for (unsigned t = 0; t < 8; t++)
                for (int step = -210; step <= 210; step++)
                        for (int part = -4; part <= 4; part++) {
                                struct current c = sound(t);
                                double amperes = (step + part * 0.1) * types[t].resolution_a;

                                apply(&c, sum_of(t, amperes, 0), ABSENT, false, false);
                                assert_true(c.value[0].known);
                                assert_true(fabs(shown(&c.value[0]) - step * types[t].resolution_a) < 1e-9);
                                assert_false(c.saturated[0]);
                        }
}

static void test_blind_spot(void **state) {
        (void)state;
        for (unsigned t = 0; t < 8; t++)
                for (int sign = -1; sign <= 1; sign += 2) {
                        struct current c = sound(t);
                        double edge = sign * types[t].blind_a;

                        apply(&c, sum_of(t, edge, 0), sum_of(t, edge, 0), true, false);
                        assert_int_equal(c.value[0].steps, 0);
                        assert_int_equal(c.value[1].steps, 0);
                        apply(&c, sum_of(t, edge, 0), sum_of(t, edge, 0), false, false);
                        assert_true(fabs(shown(&c.value[0]) - edge) < 1e-9);
                        /* The next step is seen, and whole. */
                        apply(&c, sum_of(t, edge * 1.5, 0), ABSENT, true, false);
                        assert_true(fabs(shown(&c.value[0]) - edge * 1.5) < 1e-9);
                }
}

/* To each sensor before the sum: two small currents that add up to what is seen are none. */
static void test_sum(void **state) {
        struct current c = sound(2);

        (void)state;
        apply(&c, sum_of(2, 20, 0), sum_of(2, 50, 0), true, false);
        assert_true(c.sum.known);
        assert_true(shown(&c.sum) == -30.0);
        apply(&c, sum_of(2, 1, 0), sum_of(2, -1, 0), true, false);
        assert_int_equal(c.sum.steps, 0);
        apply(&c, sum_of(2, 20, 0), ABSENT, true, false);
        assert_true(c.sum.known && !c.value[1].known);
        assert_true(shown(&c.sum) == 20.0);
        apply(&c, ABSENT, sum_of(2, 20, 0), true, false);
        assert_false(c.sum.known || c.value[0].known);
        assert_true(c.value[1].known);
        /* The widest there is: both 2,000 A sensors against each other. */
        c = sound(7);
        apply(&c, sum_of(7, 2000, 0), sum_of(7, -2000, 0), true, false);
        assert_true(shown(&c.sum) == 4000.0);
}

/* 0.10 V and 3.25 V at the sensor's output: absent, or broken. */
static void test_absent(void **state) {
        static const struct {
                double volts;
                bool known;
        } rows[] = {{0, false}, {0.095, false}, {0.105, true}, {3.245, true}, {3.255, false}, {3.4, false}};

        (void)state;
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct current c = sound(0);

                apply(&c, sum_of_volts(rows[i].volts), sum_of_volts(1.65), false, false);
                assert_int_equal(c.value[0].known, rows[i].known);
                assert_int_equal(c.sum.known, rows[i].known);
                assert_true(rows[i].known || c.value[0].steps == 0);
        }
}

/* Beyond 110 % of the type. */
static void test_saturated(void **state) {
        struct current c = sound(3);

        (void)state;
        apply(&c, sum_of(3, 270, 0), sum_of(3, -280, 0), false, false);
        assert_false(c.saturated[0]);
        assert_true(c.saturated[1]);
        assert_true(fabs(shown(&c.value[1]) + 280) < 1e-9);
}

static void test_auto_zero(void **state) {
        (void)state;
        for (unsigned t = 0; t < 8; t++)
                for (double error = -0.048; error < 0.05; error += 0.012) {
                        struct current c = sound(t);
                        struct current again;

                        for (int cycle = 0; cycle < 3; cycle++) {
                                apply(&c, sum_of(t, 0, error), sum_of(t, 0, -error), false, true);
                                assert_true(c.value[0].known && c.value[1].known && c.sum.known);
                                assert_int_equal(c.value[0].steps | c.value[1].steps | c.sum.steps, 0);
                        }
                        assert_true(current_zero_store(&c));
                        assert_false(c.refused);
                        apply(&c, sum_of(t, 0, error), sum_of(t, 0, -error), false, false);
                        assert_int_equal(c.value[0].steps | c.value[1].steps, 0);
                        /* As stored, and loaded after a reset. */
                        current_init(&again, (uint8_t)t, c.offset);
                        apply(&again, sum_of(t, types[t].amperes / 2, error), ABSENT, false, false);
                        assert_true(fabs(shown(&again.value[0]) - types[t].amperes / 2) < 1e-9);
                }
}

/* 5 % of the type: more is a current, and neither sensor's offset changes. */
static void test_auto_zero_refused(void **state) {
        struct current c = sound(2);

        (void)state;
        apply(&c, sum_of(2, 0, 0.03), sum_of(2, 5.2, 0), false, true);
        assert_false(current_zero_store(&c));
        assert_true(c.refused);
        assert_int_equal(c.offset[0], 0);
        assert_int_equal(c.offset[1], 0);
        apply(&c, sum_of(2, 0, 0.03), ABSENT, false, true);
        assert_false(c.refused);
        assert_true(current_zero_store(&c));
        assert_int_not_equal(c.offset[0], 0);
        /* No sensor at all: nothing to store. */
        apply(&c, ABSENT, ABSENT, false, true);
        assert_false(current_zero_store(&c));
        assert_int_not_equal(c.offset[0], 0);
}

static void test_types(void **state) {
        static const int16_t none[CURRENT_SENSORS];
        static const int16_t mad[CURRENT_SENSORS] = {30000, -30000};
        struct current c;

        (void)state;
        for (unsigned t = 0; t < 8; t++)
                assert_int_equal(current_type_amperes((uint8_t)t), types[t].amperes);
        assert_int_equal(current_type_amperes(8), 0);
        /* 100 A is the manual's default. */
        current_init(&c, 8, none);
        assert_int_equal(current_type_amperes(c.type), 100);
        current_init(&c, 1, mad);
        assert_int_equal(c.offset[0] | c.offset[1], 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_resolution),
                cmocka_unit_test(test_blind_spot),
                cmocka_unit_test(test_sum),
                cmocka_unit_test(test_absent),
                cmocka_unit_test(test_saturated),
                cmocka_unit_test(test_auto_zero),
                cmocka_unit_test(test_auto_zero_refused),
                cmocka_unit_test(test_types),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
