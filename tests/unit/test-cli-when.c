/* SPDX-License-Identifier: MIT */

/* Times as a person writes and reads them, in a zone with summer time: Central Europe by its rule, so that the machine
 * needs no zone files. 2026 changes on 29 March at 02:00 and on 25 October at 03:00. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "when.h"

/* By date -u -d ... +%s. */
#define NOW INT64_C(1795701731)            /* 2026-11-26 14:02:11 UTC, 15:02:11 here */
#define MARCH_29 INT64_C(1774738800)       /* 2026-03-28 23:00 UTC: local midnight of the short day */
#define OCTOBER_25 INT64_C(1792879200)     /* 2026-10-24 22:00 UTC: local midnight of the long day */
#define HOUR 3600

static int setup(void **state) {
        (void)state;
        setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        tzset();
        return 0;
}

static int64_t parse(const char *text, bool until) {
        int64_t t = -1;

        if (when_parse(text, NOW, until, &t) < 0)
                fail_msg("'%s' is refused", text);
        return t;
}

static void test_points(void **state) {
        static const struct {
                const char *text;
                int64_t from, until;
        } cases[] = {
                {"now", NOW, NOW},
                {"2026-11-26", 1795647600, 1795647600 + 24 * HOUR}, /* a day as an end: its end */
                {"today", 1795647600, 1795647600 + 24 * HOUR},
                {"yesterday", 1795647600 - 24 * HOUR, 1795647600},
                {"2026-11-26T14:00", 1795698000, 1795698000},
                {"2026-11-26 14:00", 1795698000, 1795698000},
                {"2026-11-26T14:00:07", 1795698007, 1795698007},
                {"2026-11-26T13:00Z", 1795698000, 1795698000},
                {"-24h", NOW - 24 * HOUR, NOW - 24 * HOUR},
                {"-90min", NOW - 5400, NOW - 5400},
                {"-5s", NOW - 5, NOW - 5},
                {"-7d", NOW - 7 * 24 * HOUR, NOW - 7 * 24 * HOUR},
                {"2028-02-29", 1835391600, 1835391600 + 24 * HOUR},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(parse(cases[i].text, false), cases[i].from);
                assert_int_equal(parse(cases[i].text, true), cases[i].until);
        }
}

static void test_no_points(void **state) {
        static const char *const bad[] = {
                "", "noon", "26.11.2026", "2026-11", "2026-13-01", "2026-00-10", "2026-02-29", "2026-11-31",
                "2026-11-00", "1969-12-31", "2026-11-26T", "2026-11-26T24:00", "2026-11-26T14:60", "2026-11-26T14",
                "2026-11-26T14:00X", "2026-11-26x14:00", "2026-11-26T14:00:60", "2026-11-26T14:00+01:00", "-", "-d",
                "-7", "-7w", "-7 d", "7d", "-1000001d", "--7d", " now", "tomorrow",
        };
        int64_t t = 42;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                if (when_parse(bad[i], NOW, false, &t) == 0)
                        fail_msg("'%s' is taken", bad[i]);
                assert_int_equal(t, 42);
        }
}

static void test_days_of_23_and_25_hours(void **state) {
        int64_t t;

        (void)state;
        assert_int_equal(parse("2026-03-29", false), MARCH_29);
        assert_int_equal(parse("2026-03-29", true), MARCH_29 + 23 * HOUR);
        assert_int_equal(parse("2026-10-25", false), OCTOBER_25);
        assert_int_equal(parse("2026-10-25", true), OCTOBER_25 + 25 * HOUR);
        /* the hour that is not there */
        assert_int_equal(parse("2026-03-29T01:59", false), MARCH_29 + 2 * HOUR - 60);
        assert_int_equal(parse("2026-03-29T02:30", false), MARCH_29 + 2 * HOUR + 1800); /* 03:30 by the new clock */
        assert_int_equal(parse("2026-03-29T03:00", false), MARCH_29 + 2 * HOUR);
        /* the hour that is there twice: the first one */
        assert_int_equal(parse("2026-10-25T02:30", false), OCTOBER_25 + 2 * HOUR + 1800);
        assert_int_equal(parse("2026-10-25T03:00", false), OCTOBER_25 + 4 * HOUR);
        /* A day ago is the same time of day, 24 h ago are 24 h. Now: noon after each change. */
        assert_int_equal(when_parse("-1d", MARCH_29 + 11 * HOUR, false, &t), 0);
        assert_int_equal(t, MARCH_29 - 12 * HOUR);
        assert_int_equal(when_parse("-24h", MARCH_29 + 11 * HOUR, false, &t), 0);
        assert_int_equal(t, MARCH_29 - 13 * HOUR);
        assert_int_equal(when_parse("-1d", OCTOBER_25 + 13 * HOUR, false, &t), 0);
        assert_int_equal(t, OCTOBER_25 - 12 * HOUR);
        assert_int_equal(when_parse("yesterday", OCTOBER_25 + 26 * HOUR, true, &t), 0);
        assert_int_equal(t, OCTOBER_25 + 25 * HOUR);
}

static void test_days_by_number(void **state) {
        char text[WHEN_MAX];

        (void)state;
        /* 2026-03-29 is day 20541: 56 years of 365 days, 14 leap days, 87 days of 2026 before it */
        assert_int_equal(when_day_begins(56 * 365 + 14 + 87), MARCH_29);
        assert_int_equal(when_day_begins(56 * 365 + 14 + 88), MARCH_29 + 23 * HOUR);
        assert_int_equal(when_day_of(MARCH_29), 56 * 365 + 14 + 87);
        assert_int_equal(when_day_of(MARCH_29 - 1), 56 * 365 + 14 + 86);
        assert_int_equal(when_day_of(MARCH_29 + 23 * HOUR - 1), 56 * 365 + 14 + 87);
        assert_string_equal(when_format_day(56 * 365 + 14 + 87, text), "2026-03-29");
}

static void test_formats(void **state) {
        char text[WHEN_MAX];

        (void)state;
        assert_string_equal(when_format(NOW, text), "2026-11-26 15:02:11");
        assert_string_equal(when_format_minutes(NOW, text), "2026-11-26 15:02");
        assert_string_equal(when_format_utc(NOW * 1000000 + 250999, text), "2026-11-26T14:02:11.250Z");
}

/* label@hours after from, for reading */
static void expect_marks(int64_t from, int64_t until, int max, const char *expected) {
        struct when_mark marks[WHEN_MARKS_MAX];
        int n = when_marks(from, until, max, marks);
        char text[1024] = "";

        for (int i = 0; i < n; i++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s@%lld", i ? " " : "", marks[i].label,
                         (long long)(marks[i].at - from) / HOUR);
        assert_string_equal(text, expected);
}

static void test_marks(void **state) {
        (void)state;
        /* an ordinary day, from 15:02 to 15:02 */
        expect_marks(NOW - 24 * HOUR, NOW, 10, "18:00@2 21:00@5 26 Nov@8 03:00@11 06:00@14 09:00@17 12:00@20 15:00@23");
        expect_marks(NOW - 24 * HOUR, NOW, 4, "18:00@2 26 Nov@8 06:00@14 12:00@20");
        expect_marks(NOW - 24 * HOUR, NOW, 3, "26 Nov@8 12:00@20");
        /* the short day: the hours after the change stand an hour nearer, and 02:00 is not there */
        expect_marks(MARCH_29, MARCH_29 + 23 * HOUR, 13,
                     "29 Mar@0 04:00@3 06:00@5 08:00@7 10:00@9 12:00@11 14:00@13 16:00@15 18:00@17 20:00@19 22:00@21");
        /* the long one */
        expect_marks(OCTOBER_25, OCTOBER_25 + 25 * HOUR, 9,
                     "25 Oct@0 03:00@4 06:00@7 09:00@10 12:00@13 15:00@16 18:00@19 21:00@22");
        /* days, months, years */
        expect_marks(OCTOBER_25, OCTOBER_25 + 49 * HOUR, 2, "25 Oct@0 26 Oct@25");
        expect_marks(MARCH_29 - 365 * 24 * HOUR, MARCH_29, 5, "Apr@71 Jul@2255 Oct@4463 2026@6672");
        expect_marks(NOW, NOW + 50, 5, "15:03@0");
        expect_marks(NOW, NOW + 49, 5, ""); /* which ends there */
}

static void test_marks_always_fit(void **state) {
        struct when_mark marks[WHEN_MARKS_MAX];

        (void)state;
        for (int64_t length = 60; length < INT64_C(40) * 366 * 24 * HOUR; length = length * 7 / 5 + 1)
                for (int max = 1; max < 20; max += 3) {
                        int n = when_marks(NOW, NOW + length, max, marks);

                        assert_in_range(n, 0, max);
                        for (int i = 0; i < n; i++) {
                                assert_true(marks[i].at >= NOW && marks[i].at < NOW + length);
                                assert_true(i == 0 || marks[i].at > marks[i - 1].at);
                                assert_in_range(strlen(marks[i].label), 3, 6);
                        }
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_points),
                cmocka_unit_test(test_no_points),
                cmocka_unit_test(test_days_of_23_and_25_hours),
                cmocka_unit_test(test_days_by_number),
                cmocka_unit_test(test_formats),
                cmocka_unit_test(test_marks),
                cmocka_unit_test(test_marks_always_fit),
        };

        return cmocka_run_group_tests(tests, setup, NULL);
}
