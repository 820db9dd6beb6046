/* SPDX-License-Identifier: MIT */
/* When "today" ends (design 7), and that a wall clock which is set ends no day (design 12). */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "day.h"
#include "wall-clock.h"

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
        int hours; /* of the day that passed, if it matters */
};

struct scenario {
        int64_t start;
        struct step steps[8]; /* ends with monotonic 0 */
};

/* Where local time is off by so many seconds, now and as the day began. */
static bool passed_at(struct day *d, usec_t now, int64_t wall, int32_t utc_offset, struct day_passed *ret_passed) {
        const int64_t today = (wall + utc_offset) / DAY;

        return day_passed(d, now, wall, today, today * DAY - utc_offset, ret_passed);
}

static void play_from(struct day *d, const struct scenario *s) {
        struct wall_clock clock = {.zero_usec = none64()};
        usec_t now = 1000 * USEC_PER_SEC;
        int64_t wall = s->start;

        for (const struct step *step = s->steps; step->monotonic > 0; step++) {
                struct day_passed passed;
                struct maybe64 known;
                bool over;

                now += (usec_t)step->monotonic * USEC_PER_SEC;
                wall += step->wall;
                wall_clock_take(&clock, now, wall * (int64_t)USEC_PER_SEC, step->synchronised);
                known = wall_clock_at(&clock, now);
                over = known.known &&
                       passed_at(d, now, known.value / (int64_t)USEC_PER_SEC, step->utc_offset, &passed);
                assert_int_equal(step->passed, over);
                if (over && step->hours > 0)
                        assert_int_equal(passed.length_usec, (usec_t)step->hours * USEC_PER_HOUR);
        }
}

static void play(const struct scenario *s) {
        struct day d = {0};

        play_from(&d, s);
}

static void test_midnight(void **state) {
        (void)state;
        play(&(struct scenario){MIDNIGHT - 3, {
                {1, 1, 0, true, false, 0},  /* 23:59:58 */
                {1, 1, 0, true, false, 0},  /* 23:59:59 */
                {1, 1, 0, true, true, 0},   /* 00:00:00 */
                {1, 1, 0, true, false, 0},  /* 00:00:01 */
                {DAY - 2, DAY - 2, 0, true, false, 0}, /* 23:59:59 */
                {1, 1, 0, true, true, 0},
        }});
}

static void test_midnight_is_local(void **state) {
        (void)state;
        /* one hour east: local midnight is 23:00 UTC; five west: 05:00 UTC */
        play(&(struct scenario){MIDNIGHT - HOUR - 2, {
                {1, 1, HOUR, true, false, 0}, {1, 1, HOUR, true, true, 0}, {HOUR, HOUR, HOUR, true, false, 0}}});
        play(&(struct scenario){MIDNIGHT + 5 * HOUR - 2, {
                {1, 1, -5 * HOUR, true, false, 0}, {1, 1, -5 * HOUR, true, true, 0}}});
}

static void test_not_before_the_clock_is_synchronised(void **state) {
        (void)state;
        play(&(struct scenario){MIDNIGHT - 2, {
                {1, 1, 0, false, false, 0}, {1, 1, 0, false, false, 0}, {1, 1, 0, true, false, 0},
                {DAY - 2, DAY - 2, 0, true, false, 0}, {1, 1, 0, true, true, 0}}});
        /* once is enough: the network of a lonely house may stay away */
        play(&(struct scenario){MIDNIGHT - 3, {
                {1, 1, 0, true, false, 0}, {1, 1, 0, false, false, 0}, {1, 1, 0, false, true, 0}}});
}

static void test_a_clock_that_is_set_ends_no_day(void **state) {
        (void)state;
        play(&(struct scenario){MIDNIGHT + 12 * HOUR, {
                {1, 1, 0, true, false, 0}, {1, 10 * YEAR, 0, true, false, 0}, {1, 1, 0, true, false, 0},
                {1, -20 * YEAR, 0, true, false, 0}, {1, 1, 0, true, false, 0}}});
        /* the limit of what counts as set: 60 s in one call is still the clock's own running; more is doubted, and the
         * day ends by the clock of before */
        play(&(struct scenario){MIDNIGHT - 62, {{1, 1, 0, true, false, 0}, {1, 61, 0, true, true, 0}}});
        play(&(struct scenario){MIDNIGHT - 62, {
                {1, 1, 0, true, false, 0}, {1, 62, 0, true, false, 0}, {59, 59, 0, true, false, 0},
                {1, 1, 0, true, true, 0}}});
}

/* A synchronised clock that jumps by an hour: believed when it has said so for an hour, and not if it takes it back or
 * is no longer synchronised. */
static void test_a_doubted_clock(void **state) {
        (void)state;
        play(&(struct scenario){MIDNIGHT - HOUR - 100, {
                {1, 1, 0, true, false, 0}, {1, 1 + HOUR, 0, true, false, 0},  /* seems to be 23:58:22 */
                {HOUR - 1, HOUR - 1, 0, true, false, 0},                      /* 00:58:21, not believed yet */
                {1, 1, 0, true, true, 0},                                     /* believed */
                {98, 98, 0, true, false, 0},                                  /* midnight of the clock before */
                {DAY, DAY, 0, true, true, 0}}});
        play(&(struct scenario){MIDNIGHT - HOUR - 100, {
                {1, 1, 0, true, false, 0}, {1, 1 + HOUR, 0, true, false, 0}, {HOUR - 1, HOUR - 1, 0, true, false, 0},
                {1, 1 - HOUR, 0, true, false, 0},                             /* takes it back */
                {97, 97, 0, true, false, 0}, {1, 1, 0, true, true, 0}}});
        play(&(struct scenario){MIDNIGHT - HOUR - 100, {
                {1, 1, 0, true, false, 0}, {1, 1 + HOUR, 0, true, false, 0}, {HOUR - 1, HOUR - 1, 0, true, false, 0},
                {1, 1, 0, false, false, 0}, {97, 97, 0, true, false, 0}, {1, 1, 0, true, true, 0}}});
        play(&(struct scenario){MIDNIGHT - HOUR - 100, { /* another one after half an hour: begins anew */
                {1, 1, 0, true, false, 0}, {1, 1 + HOUR, 0, true, false, 0}, {HOUR / 2, HOUR, 0, true, false, 0},
                {HOUR - 1, HOUR - 1, 0, true, true, 0}}}); /* by the clock before: 00:28:21 */
}

/* The day alone, when such a jump is believed: over midnight, back over it, and further than a day. */
static void test_jumps(void **state) {
        static const struct {
                int64_t from, jump;
                bool passed, next_passed; /* at once, and when the next midnight comes by the new clock */
        } cases[] = {
                {MIDNIGHT - 10, 9, false, true}, {MIDNIGHT - 10, 10, true, true},   {MIDNIGHT + 10, -10, false, true},
                {MIDNIGHT + 10, -11, false, false}, {MIDNIGHT - 10, DAY, true, true}, {MIDNIGHT - 10, DAY + 1,
                        false, true},
                {MIDNIGHT + 10, -DAY, false, false}, {MIDNIGHT + 10, -DAY - 1, false, true},
                {MIDNIGHT + 10, -10 * YEAR, false, true}, {MIDNIGHT + 10, 10 * YEAR, false, true},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const int64_t wall = cases[i].from + cases[i].jump, next = (wall / DAY + 1) * DAY;
                struct day_passed passed;
                struct day d = {0};

                print_message("case %zu\n", i);
                assert_false(passed_at(&d, 1, cases[i].from, 0, &passed));
                assert_int_equal(passed_at(&d, 2, wall, 0, &passed), cases[i].passed);
                const usec_t later = 2 + (usec_t)(next - wall) * USEC_PER_SEC;
                assert_false(passed_at(&d, later - USEC_PER_SEC, next - 1, 0, &passed));
                assert_int_equal(passed_at(&d, later, next, 0, &passed), cases[i].next_passed);
                assert_int_equal(d.today, next / DAY);
        }
}

static void test_a_second_back_and_forth_over_midnight(void **state) {
        (void)state;
        play(&(struct scenario){MIDNIGHT - 2, {
                {1, 1, 0, true, false, 0}, {1, 1, 0, true, true, 0}, {1, -1, 0, true, false, 0}, {1, 2, 0,
                        true, false, 0},
                {DAY, DAY, 0, true, true, 0}}});
}

static void test_summer_time(void **state) {
        (void)state;
        /* the clocks go back from 03:00 to 02:00 local: no midnight; the next one is 25 hours after the one before */
        play(&(struct scenario){MIDNIGHT - 2 * HOUR - 1, {
                {1, 1, 2 * HOUR, true, false, 0}, /* local midnight, and the first call */
                {3 * HOUR, 3 * HOUR, HOUR, true, false, 0},
                {22 * HOUR - 1, 22 * HOUR - 1, HOUR, true, false, 0},
                {1, 1, HOUR, true, true, 25}}});
}

/* Set by hand, the kernel says "not synchronised": the midnights stay those of the clock before. */
static void test_a_clock_set_by_hand_does_not_count(void **state) {
        (void)state;
        play(&(struct scenario){MIDNIGHT - 10, {
                {1, 1, 0, true, false, 0}, {1, 10 * YEAR, 0, false, false, 0}, {7, 7, 0, false, false, 0},
                {1, 1, 0, false, true, 24}, {DAY - 1, DAY - 1, 0, false, false, 0}, {1, 1, 0, false, true, 24}}});
}

/* Off at midnight: ends when the clock is known again. */
static void test_restored(void **state) {
        struct day d = {0};

        (void)state;
        assert_false(day_today(&d).known);
        day_restore(&d, 20521);
        assert_int_equal(day_today(&d).value, 20521);
        play_from(&d, &(struct scenario){MIDNIGHT + 600, {
                {1, 1, 0, false, false, 0}, {60, 60, 0, true, true, 24}, {1, 1, 0, true, false, 0}}});
        assert_int_equal(day_today(&d).value, 20522);

        d = (struct day){0}; /* three days */
        day_restore(&d, 20519);
        play_from(&d, &(struct scenario){MIDNIGHT + 600, {{1, 1, 0, true, true, 72}}});

        d = (struct day){0}; /* the same day still */
        day_restore(&d, 20522);
        play_from(&d, &(struct scenario){MIDNIGHT + 600, {{1, 1, 0, true, false, 0}}});

        d = (struct day){0}; /* kept by a clock that was ahead: goes on until that day is over */
        day_restore(&d, 20523);
        play_from(&d, &(struct scenario){MIDNIGHT + 600, {
                {1, 1, 0, true, false, 0}, {DAY, DAY, 0, true, false, 0}, {DAY, DAY, 0, true, true, 0}}});

        d = (struct day){0}; /* by days: nobody waits for that */
        day_restore(&d, 20524);
        play_from(&d, &(struct scenario){MIDNIGHT + 600, {{1, 1, 0, true, false, 0}, {DAY, DAY, 0, true, true, 0}}});

        d = (struct day){0}; /* the clock was quicker than the card */
        play_from(&d, &(struct scenario){MIDNIGHT + 600, {{1, 1, 0, true, false, 0}}});
        day_restore(&d, 20521);
        assert_int_equal(day_today(&d).value, 20522);
}

/* ---- a month of a clock that is turned at random --------------------------------------------------------------- */

/* A day of 25 hours with a restart in its 20th hour is one of 25 hours. */
static void test_length_over_a_restart(void **state) {
        const int64_t midnight = INT64_C(1792879200); /* 2026-10-25 00:00 CEST, day 20751 */
        struct day_passed passed;
        struct day d = {0};

        (void)state;
        assert_int_equal(setenv("TZ", "Europe/Berlin", 1), 0);
        tzset();
        day_restore(&d, 20751);
        assert_false(day_passed_now(&d, 1, midnight + 20 * HOUR, &passed));
        assert_false(day_passed_now(&d, 1 + 5 * USEC_PER_HOUR - USEC_PER_SEC, midnight + 25 * HOUR - 1, &passed));
        assert_true(day_passed_now(&d, 1 + 5 * USEC_PER_HOUR, midnight + 25 * HOUR, &passed));
        assert_int_equal(passed.day, 20751);
        assert_int_equal(passed.length_usec, 25 * USEC_PER_HOUR);
        assert_int_equal(setenv("TZ", "UTC", 1), 0);
        tzset();
}

static uint64_t seed;

static uint64_t rnd(uint64_t n) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (seed >> 33) % n;
}

/* Each true local midnight of a zone ends a day, of the calendar's length, and nothing else does: however the clock
 * is set meanwhile by hand (the kernel then says that it is not synchronised; a client sets it right some
 * time later). */
static void month_in(const char *zone, int64_t start, unsigned days, uint64_t with_seed) {
        static const int64_t turns[] = {-10 * YEAR, 10 * YEAR, -HOUR, HOUR, -1, 1};
        struct wall_clock clock = {.zero_usec = none64()};
        int64_t turned = 0, right_at = 0;
        struct day d = {0};
        unsigned ended = 0;
        int last_day;

        assert_int_equal(setenv("TZ", zone, 1), 0);
        tzset();
        seed = with_seed;
        time_t t = (time_t)start;
        struct tm local;
        assert_non_null(localtime_r(&t, &local));
        last_day = local.tm_mday;
        int64_t midnight = start; /* when the present day began; start is a local midnight */
        assert_int_equal(local.tm_hour * 60 + local.tm_min, 0);
        for (int64_t s = 0; ended < days; s++) {
                const usec_t now = (usec_t)(1000 + s) * USEC_PER_SEC;
                struct day_passed passed;

                if (turned == 0 && rnd(20000) == 0) {
                        turned = turns[rnd(6)];
                        right_at = s + 1 + (int64_t)rnd(40000);
                } else if (turned != 0 && s >= right_at)
                        turned = 0;
                wall_clock_take(&clock, now, (start + s + turned) * (int64_t)USEC_PER_SEC, turned == 0);
                const int64_t wall = wall_clock_at(&clock, now).value / (int64_t)USEC_PER_SEC;
                const bool over = day_passed_now(&d, now, wall, &passed);

                t = (time_t)(start + s);
                localtime_r(&t, &local);
                assert_int_equal(over, local.tm_mday != last_day);
                if (!over)
                        continue;
                assert_int_equal(passed.length_usec, (usec_t)(start + s - midnight) * USEC_PER_SEC);
                midnight = start + s;
                last_day = local.tm_mday;
                ended++;
        }
}

static void test_months(void **state) {
        (void)state;
        month_in("Europe/Berlin", INT64_C(1774393200), 8, 1);        /* 2026-03-25 00:00 CET; 23 h on the 29th */
        month_in("Europe/Berlin", INT64_C(1792533600), 12, 2);       /* 2026-10-21 00:00 CEST; 25 h on the 25th */
        month_in("Australia/Lord_Howe", INT64_C(1774962000), 8, 3);  /* 2026-04-01 00:00 +11; 24.5 h on the 5th */
        month_in("Asia/Kolkata", INT64_C(1774981800), 5, 4);         /* 2026-04-01 00:00 +05:30 */
        assert_int_equal(setenv("TZ", "UTC", 1), 0);
        tzset();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_midnight),
                cmocka_unit_test(test_midnight_is_local),
                cmocka_unit_test(test_not_before_the_clock_is_synchronised),
                cmocka_unit_test(test_a_clock_that_is_set_ends_no_day),
                cmocka_unit_test(test_a_doubted_clock),
                cmocka_unit_test(test_jumps),
                cmocka_unit_test(test_length_over_a_restart),
                cmocka_unit_test(test_a_second_back_and_forth_over_midnight),
                cmocka_unit_test(test_summer_time),
                cmocka_unit_test(test_a_clock_set_by_hand_does_not_count),
                cmocka_unit_test(test_restored),
                cmocka_unit_test(test_months),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
