/* SPDX-License-Identifier: MIT */
/* When "today" ends (design 7), and that a wall clock which is set ends no day (design 12). */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "day.h"

#define HOUR 3600
#define DAY (24 * HOUR)
#define YEAR (365 * INT64_C(86400))

/* 2026-03-10 00:00:00 UTC: 20522 days since 1970-01-01. */
#define MIDNIGHT (INT64_C(20522) * DAY)

/* One call: seconds that passed by the monotonic clock and by the wall clock since the one before. */
struct step {
        int64_t monotonic, wall;
        int32_t utc_offset;
        bool synchronised, passed;
};

struct scenario {
        int64_t start;
        struct step steps[8]; /* ends with monotonic 0 */
};

static void play(const struct scenario *s) {
        struct day d = {0};
        usec_t now = 1000 * USEC_PER_SEC;
        int64_t wall = s->start;

        for (const struct step *step = s->steps; step->monotonic > 0; step++) {
                now += (usec_t)step->monotonic * USEC_PER_SEC;
                wall += step->wall;
                assert_int_equal(step->passed, day_passed(&d, now, wall, step->utc_offset, step->synchronised));
        }
}

static void test_midnight(void **state) {
        (void)state;
        play(&(struct scenario){MIDNIGHT - 3, {
                {1, 1, 0, true, false},  /* 23:59:58 */
                {1, 1, 0, true, false},  /* 23:59:59 */
                {1, 1, 0, true, true},   /* 00:00:00 */
                {1, 1, 0, true, false},  /* 00:00:01 */
                {DAY - 2, DAY - 2, 0, true, false}, /* 23:59:59 */
                {1, 1, 0, true, true},
        }});
}

static void test_midnight_is_local(void **state) {
        (void)state;
        /* one hour east: local midnight is 23:00 UTC; five west: 05:00 UTC */
        play(&(struct scenario){MIDNIGHT - HOUR - 2, {
                {1, 1, HOUR, true, false}, {1, 1, HOUR, true, true}, {HOUR, HOUR, HOUR, true, false}}});
        play(&(struct scenario){MIDNIGHT + 5 * HOUR - 2, {
                {1, 1, -5 * HOUR, true, false}, {1, 1, -5 * HOUR, true, true}}});
}

static void test_not_before_the_clock_is_synchronised(void **state) {
        (void)state;
        play(&(struct scenario){MIDNIGHT - 2, {
                {1, 1, 0, false, false}, {1, 1, 0, false, false}, {1, 1, 0, true, false},
                {DAY - 2, DAY - 2, 0, true, false}, {1, 1, 0, true, true}}});
        /* once is enough: the network of a lonely house may stay away */
        play(&(struct scenario){MIDNIGHT - 3, {
                {1, 1, 0, true, false}, {1, 1, 0, false, false}, {1, 1, 0, false, true}}});
}

static void test_a_clock_that_is_set_ends_no_day(void **state) {
        (void)state;
        play(&(struct scenario){MIDNIGHT + 12 * HOUR, {
                {1, 1, 0, true, false}, {1, 10 * YEAR, 0, true, false}, {1, 1, 0, true, false},
                {1, -20 * YEAR, 0, true, false}, {1, 1, 0, true, false}}});
        /* the limit of what counts as set: 60 s in one call is still the clock's own running */
        play(&(struct scenario){MIDNIGHT - 62, {{1, 1, 0, true, false}, {1, 61, 0, true, true}}});
        play(&(struct scenario){MIDNIGHT - 62, {{1, 1, 0, true, false}, {1, 62, 0, true, false}}});
}

static void test_a_second_back_and_forth_over_midnight(void **state) {
        (void)state;
        play(&(struct scenario){MIDNIGHT - 2, {
                {1, 1, 0, true, false}, {1, 1, 0, true, true}, {1, -1, 0, true, false}, {1, 2, 0, true, false},
                {DAY, DAY, 0, true, true}}});
}

static void test_summer_time(void **state) {
        (void)state;
        /* the clocks go back from 03:00 to 02:00 local: no midnight; the next one is 25 hours after the one before */
        play(&(struct scenario){MIDNIGHT - 2 * HOUR - 1, {
                {1, 1, 2 * HOUR, true, false}, /* local midnight, and the first call */
                {3 * HOUR, 3 * HOUR, HOUR, true, false},
                {22 * HOUR - 1, 22 * HOUR - 1, HOUR, true, false},
                {1, 1, HOUR, true, true}}});
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_midnight),
                cmocka_unit_test(test_midnight_is_local),
                cmocka_unit_test(test_not_before_the_clock_is_synchronised),
                cmocka_unit_test(test_a_clock_that_is_set_ends_no_day),
                cmocka_unit_test(test_a_second_back_and_forth_over_midnight),
                cmocka_unit_test(test_summer_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
