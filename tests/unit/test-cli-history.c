/* SPDX-License-Identifier: MIT */

/* History as a picture, against pictures drawn by hand: eight dots a character, in ASCII ' (upper half), . (lower
 * half), : (both), # (six dots or more). */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history-frame.h"
#include "plot.h"
#include "when.h"

#define HOUR_USEC INT64_C(3600000000)

static int setup(void **state) {
        (void)state;
        setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        tzset();
        return 0;
}

/* Freed by the caller. */
static char *written(const struct screen *s, bool utf8) {
        const struct screen_output how = {.utf8 = utf8, .plain = true};
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        screen_write(s, f, &how);
        fclose(f);
        return text;
}

static void expect_picture(const struct screen *s, bool utf8, const char *expected) {
        char *text = written(s, utf8);

        if (strcmp(text, expected) != 0)
                fail_msg("this was drawn:\n%sand this was expected:\n%s", text, expected);
        free(text);
}

/* ---- the curve ---- */

static void test_ramp(void **state) {
        struct plot_span spans[12];
        struct screen s;
        const struct plot plot = {&s, 0, 0, 3, 6, 0, 12, 0, 11};

        (void)state;
        for (int i = 0; i < 12; i++)
                spans[i] = (struct plot_span){i, i + 1, i, i};
        assert_int_equal(screen_init(&s, 3, 6), 0);
        plot_draw(&plot, spans, 12, false, STYLE_NORMAL, STYLE_NORMAL);
        expect_picture(&s, true,
                       "    ⣠⠞\n"
                       "  ⣠⠞⠁\n"
                       "⣠⠞⠁\n");
        expect_picture(&s, false,
                       "    .:\n"
                       "  .:'\n"
                       ".:'\n");
        screen_done(&s);
}

/* What is not known is not drawn over: no line from one side to the other. */
static void test_gap(void **state) {
        const struct plot_span spans[] = {{0, 4, 7, 7}, {8, 12, 0, 0}, {12, 16, 7, 7}};
        struct screen s;
        const struct plot plot = {&s, 0, 0, 2, 8, 0, 16, 0, 7};

        (void)state;
        assert_int_equal(screen_init(&s, 2, 8), 0);
        plot_draw(&plot, spans, 3, false, STYLE_NORMAL, STYLE_NORMAL);
        expect_picture(&s, true,
                       "⠉⠉    ⡏⠉\n"
                       "    ⣀⣀⡇\n");
        screen_done(&s);
}

static void test_filled_to_zero(void **state) {
        const struct plot_span spans[] = {{0, 2, 4, 4}, {2, 4, -3, -3}};
        struct screen s;
        const struct plot plot = {&s, 0, 0, 2, 2, 0, 4, -3, 4};

        (void)state;
        assert_int_equal(screen_init(&s, 2, 2), 0);
        plot_draw(&plot, spans, 2, true, STYLE_GREEN, STYLE_YELLOW);
        expect_picture(&s, true,
                       "⣿\n"
                       "⠉⣿\n");
        expect_picture(&s, false,
                       "#\n"
                       "'#\n");
        assert_int_equal(s.cells[0].style, STYLE_GREEN);
        assert_int_equal(s.cells[3].style, STYLE_YELLOW);
        screen_done(&s);
}

/* A peak of one minute shows in a column of half an hour. */
static void test_a_column_shows_all_of_its_spans(void **state) {
        const struct plot_span spans[] = {{0, 1, 3, 3}, {1, 2, 7, 7}, {2, 3, 3, 3}, {3, 4, 0, 1}};
        struct screen s;
        const struct plot plot = {&s, 0, 0, 2, 1, 0, 4, 0, 7};

        (void)state;
        assert_int_equal(screen_init(&s, 2, 1), 0);
        plot_draw(&plot, spans, 4, false, STYLE_NORMAL, STYLE_NORMAL);
        /* left: 3 to 7, right: 0 to 3 */
        expect_picture(&s, true,
                       "⡇\n"
                       "⢹\n");
        screen_done(&s);
}

/* Also values and times outside the rectangle stay inside it. */
static void test_clipped(void **state) {
        const struct plot_span spans[] = {{-100, -50, 3, 3}, {-1, 1, 100, 100}, {1, 50, -100, -100}, {50, 60, 3, 3}};
        struct screen s;
        const struct plot plot = {&s, 1, 1, 1, 1, 0, 2, 0, 3};

        (void)state;
        assert_int_equal(screen_init(&s, 3, 3), 0);
        plot_draw(&plot, spans, 4, false, STYLE_NORMAL, STYLE_NORMAL);
        expect_picture(&s, true,
                       "\n"
                       " ⢹\n"
                       "\n");
        screen_done(&s);
}

static void test_round_ranges(void **state) {
        static const struct {
                int64_t low, high, min_step, expected_low, expected_high;
        } cases[] = {
                {3213, 3477, 10, 3200, 3500},   {3300, 3310, 10, 3300, 3310}, {3300, 3300, 10, 3300, 3310},
                {3301, 3303, 10, 3300, 3310},   {0, 0, 10000, 0, 10000},
                {-979000, 1009000, 10000, -1000000, 1500000},
                {-1, 1, 10000, -10000, 10000},  {0, 101, 1, 0, 150},          {-4999, 0, 1, -5000, 0},
                {1, 6, 1, 1, 6},                {1, 7, 1, 0, 8},
                {INT32_MIN, INT32_MAX, 1, -INT64_C(4000000000), INT64_C(4000000000)},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int64_t low = cases[i].low, high = cases[i].high;

                plot_round_range(&low, &high, cases[i].min_step);
                assert_int_equal(low, cases[i].expected_low);
                assert_int_equal(high, cases[i].expected_high);
        }
}

/* ---- the whole picture ---- */

static int64_t midnight(const char *day) {
        int64_t t;

        assert_int_equal(when_parse(day, 0, false, &t), 0);
        return t * 1000000;
}

/* Hours from midnight on. Half full and discharging until noon, then full and charging; what the cells did between
 * 06:00 and noon is not known. */
static struct record *hours(const char *day, int n) {
        struct record *rows = calloc((size_t)n, sizeof(*rows));

        assert_non_null(rows);
        for (int i = 0; i < n; i++) {
                struct record *r = &rows[i];

                r->wall_usec = some64(midnight(day) + i * HOUR_USEC);
                r->length_usec = (usec_t)HOUR_USEC;
                r->soc_permyriad = some64(i < 12 ? 5000 : 10000);
                r->power_mw = some64(i < 12 ? -100000 : 200000);
                r->mwh[i < 12 ? ENERGY_DISCHARGED : ENERGY_CHARGED] = i < 12 ? 100000 : 200000;
                if (i >= 6 && i < 12)
                        continue;
                r->lowest_mv = some64(3300);
                r->highest_mv = some64(3310);
        }
        return rows;
}

static void test_a_day(void **state) {
        struct record *rows = hours("2026-11-26", 24);
        const struct history_view view = {rows, 24, midnight("2026-11-26"), midnight("2026-11-27"), "hours"};
        struct screen s;

        (void)state;
        assert_int_equal(screen_init(&s, 12, 9 + 72), 0);
        assert_int_equal(history_frame_draw(&view, &s), 0);
        expect_picture(&s, false,
                       "2026-11-26 00:00 to 2026-11-27 00:00, by hours\n"
                       "State of charge: 100.0 % at the end, 50.0 to 100.0 %\n"
                       "   100 %|                                    :'''''''''''''''''''''''''''''''''''\n"
                       "     0 %|'''''''''''''''''''''''''''''''''''''\n"
                       "Power into the battery: -100 to 200 W, charged 2400 Wh, discharged 1200 Wh\n"
                       "   200 W|                                    ####################################\n"
                       "  -100 W|####################################''''''''''''''''''''''''''''''''''''\n"
                       "Lowest to highest cell: 3.300 to 3.310 V\n"
                       "  3.31 V|##################                  ####################################\n"
                       "  3.30 V|##################                  ####################################\n"
                       "        ++--------+--------+--------+--------+--------+--------+--------+--------\n"
                       "      26 Nov    03:00    06:00    09:00    12:00    15:00    18:00    21:00\n");
        screen_done(&s);
        free(rows);
}

/* 25 hours fill the width as 25 hours: what was known in the second 02:00 alone stands fourth. */
static void test_the_long_day(void **state) {
        struct record *rows = hours("2026-10-25", 25);
        const struct history_view view = {rows, 25, midnight("2026-10-25"), midnight("2026-10-26"), "hours"};
        struct screen s;

        (void)state;
        for (int i = 0; i < 25; i++)
                if (i != 3)
                        rows[i].soc_permyriad = none64();
        assert_int_equal(screen_init(&s, 6, 9 + 50), 0); /* room for one panel only: two rows */
        assert_int_equal(history_frame_draw(&view, &s), 0);
        expect_picture(&s, false,
                       "2026-10-25 00:00 to 2026-10-26 00:00, by hours\n"
                       "State of charge: 50.0 % at the end, 50.0 to 50.0 %\n"
                       "   100 %|\n"
                       "     0 %|      ''\n"
                       "        ++-------------+-----------+-----------+-----------\n"
                       "      25 Oct         06:00       12:00       18:00\n");
        screen_done(&s);
        free(rows);
}

static void test_nothing_is_known(void **state) {
        struct record row = {.wall_usec = some64(midnight("2026-11-26")), .length_usec = (usec_t)HOUR_USEC};
        const struct history_view view = {&row, 1, midnight("2026-11-26"), midnight("2026-11-27"), "hours"};
        struct screen s;

        (void)state;
        assert_int_equal(screen_init(&s, 6, 40), 0);
        assert_int_equal(history_frame_draw(&view, &s), 0);
        expect_picture(&s, false,
                       "2026-11-26 00:00 to 2026-11-27 00:00, by\n"
                       "State of charge: nothing is known\n"
                       "        |\n"
                       "        |\n"
                       "        ++------+-------+-------+-------\n"
                       "      26 Nov  06:00   12:00   18:00\n");
        screen_done(&s);
}

static void test_any_size(void **state) {
        struct record *rows = hours("2026-11-26", 24);
        const struct history_view view = {rows, 24, midnight("2026-11-26"), midnight("2026-11-27"), "hours"};

        (void)state;
        for (int height = 5; height < 60; height++)
                for (int width = 20; width < 200; width += 9) {
                        struct screen s;
                        char *text;

                        assert_int_equal(screen_init(&s, height, width), 0);
                        assert_int_equal(history_frame_draw(&view, &s), 0);
                        text = written(&s, true);
                        assert_non_null(strstr(text, "State of charge"));
                        assert_true((strstr(text, "Power into") != NULL) == (height >= 9));
                        assert_true((strstr(text, "Lowest to") != NULL) == (height >= 12));
                        if (!strstr(text, "26 Nov"))
                                fail_msg("%d x %d:\n%s", width, height, text);
                        free(text);
                        screen_done(&s);
                }
        free(rows);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ramp),
                cmocka_unit_test(test_gap),
                cmocka_unit_test(test_filled_to_zero),
                cmocka_unit_test(test_a_column_shows_all_of_its_spans),
                cmocka_unit_test(test_clipped),
                cmocka_unit_test(test_round_ranges),
                cmocka_unit_test(test_a_day),
                cmocka_unit_test(test_the_long_day),
                cmocka_unit_test(test_nothing_is_known),
                cmocka_unit_test(test_any_size),
        };

        return cmocka_run_group_tests(tests, setup, NULL);
}
