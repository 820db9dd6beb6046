/* SPDX-License-Identifier: MIT */
/* The bypass stage (firmware/bypass.h): R13 of the chain's rules, row by row. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "bypass.h"

#define C(degrees) ((uint16_t)((degrees) + 276))
#define WARM C(25)

/* A stage that believes v_bypass. */
static struct bypass believing(uint16_t v_bypass) {
        struct bypass b;

        bypass_init(&b);
        bypass_frame(&b, v_bypass);
        bypass_frame(&b, v_bypass);
        return b;
}

static void test_off_until_two_frames_agree(void **state) {
        struct bypass b;

        (void)state;
        bypass_init(&b);
        bypass_reading(&b, 1000, WARM);
        assert_false(bypass_on(&b));
        assert_int_equal(bypass_voltage(&b), 0);

        bypass_frame(&b, 680);
        bypass_reading(&b, 1000, WARM);
        assert_false(bypass_on(&b));
        bypass_frame(&b, 680);
        assert_int_equal(bypass_voltage(&b), 680);
        bypass_reading(&b, 1000, WARM);
        assert_true(bypass_on(&b));
}

/* Each of the manual's eight rows, 3.4 to 3.7 and 4.0 to 4.3 V; no other value of 16 bits. */
static void test_the_eight_values(void **state) {
        static const int mv[] = {3400, 3500, 3600, 3700, 4000, 4100, 4200, 4300};
        int believed = 0;

        (void)state;
        for (uint32_t value = 0; value <= 0xFFFF; value++) {
                struct bypass b = believing((uint16_t)value);

                if (bypass_voltage(&b) == 0)
                        continue;
                assert_int_equal(bypass_voltage(&b), value);
                assert_int_equal(value * 5, mv[believed]);
                believed++;
        }
        assert_int_equal(believed, 8);
}

static void test_frames_in_a_row(void **state) {
        struct bypass b = believing(680);

        (void)state;
        /* Another value once, twice with another in between, and after one that is none of the eight. */
        bypass_frame(&b, 700);
        bypass_frame(&b, 720);
        bypass_frame(&b, 700);
        bypass_frame(&b, 0);
        bypass_frame(&b, 700);
        assert_int_equal(bypass_voltage(&b), 680);
        bypass_frame(&b, 700);
        assert_int_equal(bypass_voltage(&b), 700);
        /* What is none of the eight changes nothing, however often. */
        for (int i = 0; i < 5; i++)
                bypass_frame(&b, 701);
        assert_int_equal(bypass_voltage(&b), 700);
}

static void test_hysteresis(void **state) {
        struct bypass b = believing(700);

        (void)state;
        bypass_reading(&b, 699, WARM);
        assert_false(bypass_on(&b));
        bypass_reading(&b, 700, WARM);
        assert_true(bypass_on(&b));
        bypass_reading(&b, 701, WARM);
        assert_true(bypass_on(&b));
        /* 20 mV below is 4 steps of 5 mV. */
        bypass_reading(&b, 697, WARM);
        assert_true(bypass_on(&b));
        bypass_reading(&b, 696, WARM);
        assert_false(bypass_on(&b));
        bypass_reading(&b, 697, WARM);
        assert_false(bypass_on(&b));
        bypass_reading(&b, 699, WARM);
        assert_false(bypass_on(&b));
        bypass_reading(&b, 700, WARM);
        assert_true(bypass_on(&b));
}

static void test_switches_change(void **state) {
        struct bypass b = believing(680);

        (void)state;
        bypass_reading(&b, 690, WARM);
        assert_true(bypass_on(&b));
        bypass_frame(&b, 800);
        bypass_reading(&b, 690, WARM);
        assert_true(bypass_on(&b));
        bypass_frame(&b, 800);
        bypass_reading(&b, 690, WARM);
        assert_false(bypass_on(&b));
}

static void test_heat(void **state) {
        struct bypass b = believing(680);

        (void)state;
        bypass_reading(&b, 700, C(84));
        assert_true(bypass_on(&b));
        bypass_reading(&b, 700, C(85));
        assert_false(bypass_on(&b));
        bypass_reading(&b, 700, C(76));
        assert_false(bypass_on(&b));
        bypass_reading(&b, 700, C(75));
        assert_true(bypass_on(&b));
        /* At once hot, and cold again while the temperature was not known: still to be cool first. */
        bypass_reading(&b, 700, C(90));
        bypass_reading(&b, 700, 0);
        bypass_reading(&b, 700, C(80));
        assert_false(bypass_on(&b));
        bypass_reading(&b, 700, C(-40));
        assert_true(bypass_on(&b));
}

static void test_unknown_is_off(void **state) {
        struct bypass b = believing(680);

        (void)state;
        bypass_reading(&b, 700, WARM);
        assert_true(bypass_on(&b));
        bypass_reading(&b, 0, WARM);
        assert_false(bypass_on(&b));
        bypass_reading(&b, 700, WARM);
        assert_true(bypass_on(&b));
        bypass_reading(&b, 700, 0);
        assert_false(bypass_on(&b));
}

/* A lost chain: no frames, only readings. */
static void test_works_without_the_chain(void **state) {
        struct bypass b = believing(680);

        (void)state;
        for (int i = 0; i < 1000; i++) {
                bypass_reading(&b, 680, WARM);
                assert_true(bypass_on(&b));
                bypass_reading(&b, 676, WARM);
                assert_false(bypass_on(&b));
        }
}

static void test_stuck_on(void **state) {
        struct bypass b = believing(680);

        (void)state;
        bypass_reading(&b, 660, WARM);
        bypass_sense(&b, false, true);
        bypass_sense(&b, false, true);
        assert_false(bypass_faulty(&b));
        bypass_sense(&b, false, false);
        bypass_sense(&b, false, true);
        bypass_sense(&b, false, true);
        assert_false(bypass_faulty(&b));
        bypass_sense(&b, false, true);
        assert_true(bypass_faulty(&b));
        /* New readings do not excuse it, current while on neither. */
        bypass_reading(&b, 660, WARM);
        bypass_sense(&b, true, true);
        bypass_sense(&b, true, true);
        bypass_sense(&b, true, true);
        assert_true(bypass_faulty(&b));
        /* Three looks without current do. */
        bypass_sense(&b, false, false);
        bypass_sense(&b, false, false);
        assert_true(bypass_faulty(&b));
        bypass_sense(&b, false, false);
        assert_false(bypass_faulty(&b));
}

/* While the stage is on it is looked at twice a cycle: off for the measurement, on after it. Each fault shows
 * in one of both looks only. */
static void test_looks_alternate(void **state) {
        struct bypass b = believing(680);

        (void)state;
        for (int cycle = 1; cycle <= 4; cycle++) {
                bypass_reading(&b, 700, WARM);
                bypass_sense(&b, true, false);
                assert_int_equal(bypass_faulty(&b), cycle >= 3);
                bypass_sense(&b, false, false);
        }
        b = believing(680);
        for (int cycle = 1; cycle <= 4; cycle++) {
                bypass_reading(&b, 700, WARM);
                bypass_sense(&b, true, true);
                bypass_sense(&b, false, true);
                assert_int_equal(bypass_faulty(&b), cycle >= 3);
        }
}

static void test_no_current_is_forgotten_when_off(void **state) {
        struct bypass b = believing(680);

        (void)state;
        for (int i = 0; i < 3; i++) {
                bypass_reading(&b, 700, WARM);
                bypass_sense(&b, true, false);
        }
        assert_true(bypass_faulty(&b));
        bypass_reading(&b, 700, WARM);
        assert_true(bypass_faulty(&b));
        bypass_reading(&b, 660, WARM);
        assert_false(bypass_faulty(&b));
        bypass_reading(&b, 700, WARM);
        bypass_sense(&b, true, false);
        bypass_sense(&b, true, false);
        assert_false(bypass_faulty(&b));
        bypass_sense(&b, true, false);
        assert_true(bypass_faulty(&b));
}

static void test_reset(void **state) {
        struct bypass b = believing(680);

        (void)state;
        bypass_reading(&b, 700, C(90));
        for (int i = 0; i < 3; i++)
                bypass_sense(&b, false, true);
        bypass_init(&b);
        assert_false(bypass_on(&b));
        assert_false(bypass_faulty(&b));
        assert_int_equal(bypass_voltage(&b), 0);
        bypass_frame(&b, 680);
        assert_int_equal(bypass_voltage(&b), 0);
        bypass_frame(&b, 680);
        bypass_reading(&b, 700, C(80));
        assert_true(bypass_on(&b));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_off_until_two_frames_agree),
                cmocka_unit_test(test_the_eight_values),
                cmocka_unit_test(test_frames_in_a_row),
                cmocka_unit_test(test_hysteresis),
                cmocka_unit_test(test_switches_change),
                cmocka_unit_test(test_heat),
                cmocka_unit_test(test_unknown_is_off),
                cmocka_unit_test(test_works_without_the_chain),
                cmocka_unit_test(test_stuck_on),
                cmocka_unit_test(test_looks_alternate),
                cmocka_unit_test(test_no_current_is_forgotten_when_off),
                cmocka_unit_test(test_reset),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
