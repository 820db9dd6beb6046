/* SPDX-License-Identifier: MIT */

/* Numbers and times as a person reads them, percentages as one writes them, and the word that was meant. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "format.h"
#include "phrases.h"

static const struct {
        struct maybe64 value;
        unsigned decimals, shown;
        const char *text;
} numbers[] = {
        {{true, 3650}, 3, 3, "3.650"},
        {{true, 5}, 3, 3, "0.005"},
        {{true, 0}, 3, 3, "0.000"},
        {{true, -1}, 3, 3, "-0.001"},
        {{true, -12500}, 3, 1, "-12.5"},
        {{true, 12}, 0, 0, "12"},
        /* rounded half away from zero: -1, 0, +1 around the half */
        {{true, 1249}, 3, 1, "1.2"},
        {{true, 1250}, 3, 1, "1.3"},
        {{true, 1251}, 3, 1, "1.3"},
        {{true, -1249}, 3, 1, "-1.2"},
        {{true, -1250}, 3, 1, "-1.3"},
        {{true, 499}, 3, 0, "0"},
        {{true, 500}, 3, 0, "1"},
        {{true, 999}, 3, 1, "1.0"},
        {{true, -49}, 3, 1, "0.0"}, /* no minus zero */
        {{true, -50}, 3, 1, "-0.1"},
        {{true, 9999}, 2, 1, "100.0"},
        {{true, 55}, 1, 3, "5.5"}, /* never more digits than there are */
        {{true, INT64_MAX}, 3, 3, "9223372036854775.807"},
        {{true, INT64_MIN}, 3, 3, "-9223372036854775.808"},
        {{false, 0}, 3, 3, "unknown"},
};

static void test_numbers(void **unused) {
        (void)unused;
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                char text[FORMAT_MAX];

                assert_string_equal(
                        format_number(numbers[i].value, numbers[i].decimals, numbers[i].shown, text),
                        numbers[i].text);
        }
}

static void test_quantities(void **unused) {
        char text[FORMAT_MAX];

        (void)unused;
        assert_string_equal(format_quantity(some64(3650), 3, 3, "V", text), "3.650 V");
        assert_string_equal(format_quantity(some64(16), 0, 0, "", text), "16");
        assert_string_equal(format_quantity(none64(), 3, 3, "V", text), "unknown");
        assert_string_equal(format_energy(some64(731400), text), "731 Wh");
        assert_string_equal(format_energy(some64(9999999), text), "10000 Wh");
        assert_string_equal(format_energy(some64(10000000), text), "10.00 kWh");
        assert_string_equal(format_energy(some64(12345678), text), "12.35 kWh");
        assert_string_equal(format_energy(none64(), text), "unknown");
        assert_string_equal(format_bytes(some64(999), text), "999 B");
        assert_string_equal(format_bytes(some64(1000), text), "1.0 kB");
        assert_string_equal(format_bytes(some64(999949), text), "999.9 kB");
        assert_string_equal(format_bytes(some64(1000000), text), "1.0 MB");
        assert_string_equal(format_bytes(some64(12345678), text), "12.3 MB");
        assert_string_equal(format_bytes(none64(), text), "unknown");
}

static void test_ages(void **unused) {
        static const struct {
                usec_t age;
                const char *text;
        } ages[] = {
                {0, "0.0 s"},
                {400 * USEC_PER_MSEC, "0.4 s"},
                {9999 * USEC_PER_MSEC, "9.9 s"},
                {10 * USEC_PER_SEC, "10 s"},
                {59 * USEC_PER_SEC, "59 s"},
                {60 * USEC_PER_SEC, "1 min 0 s"},
                {3599 * USEC_PER_SEC, "59 min 59 s"},
                {USEC_PER_HOUR, "1 h 0 min"},
                {USEC_PER_DAY - 1, "23 h 59 min"},
                {USEC_PER_DAY, "1 d 0 h"},
                {USEC_INFINITY, "never"},
        };

        (void)unused;
        for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
                char text[FORMAT_MAX];

                assert_string_equal(format_age(ages[i].age, text), ages[i].text);
        }
}

static void test_percentages(void **unused) {
        static const struct {
                const char *text;
                int result;
                int64_t permyriad;
        } cases[] = {
                {"80%", 0, 8000},        {"80", 0, 8000},     {"80 %", 0, 8000},
                {"80.5%", 0, 8050},      {"80.25", 0, 8025},  {"0", 0, 0},
                {"0.01", 0, 1},          {"99.99%", 0, 9999}, {"100%", 0, 10000},
                {"100.01%", -ERANGE, 0}, {"101", -ERANGE, 0}, {"99999999999999999999", -ERANGE, 0},
                {"80.255", -EINVAL, 0},  {"-1", -EINVAL, 0},  {"80.", -EINVAL, 0},
                {".5", -EINVAL, 0},      {"", -EINVAL, 0},    {"%", -EINVAL, 0},
                {"80%%", -EINVAL, 0},    {"80V", -EINVAL, 0},
        };

        (void)unused;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int64_t permyriad = -7;

                assert_int_equal(parse_percent(cases[i].text, &permyriad), cases[i].result);
                assert_int_equal(permyriad, cases[i].result == 0 ? cases[i].permyriad : -7);
        }
}

static void test_whole_numbers(void **unused) {
        int64_t v = -7;

        (void)unused;
        assert_int_equal(parse_whole("0", 1, 30, &v), -ERANGE);
        assert_int_equal(parse_whole("31", 1, 30, &v), -ERANGE);
        assert_int_equal(parse_whole("99999999999999999999", 1, 30, &v), -ERANGE);
        assert_int_equal(parse_whole("3x", 1, 30, &v), -EINVAL);
        assert_int_equal(parse_whole("", 1, 30, &v), -EINVAL);
        assert_int_equal(parse_whole("-", -5, 30, &v), -EINVAL);
        assert_int_equal(v, -7);
        assert_int_equal(parse_whole("1", 1, 30, &v), 0);
        assert_int_equal(v, 1);
        assert_int_equal(parse_whole("30", 1, 30, &v), 0);
        assert_int_equal(v, 30);
        assert_int_equal(parse_whole("-5", -5, 30, &v), 0);
        assert_int_equal(v, -5);
}

static void test_edit_distance(void **unused) {
        (void)unused;
        assert_int_equal(edit_distance("", ""), 0);
        assert_int_equal(edit_distance("vmin", "vmin"), 0);
        assert_int_equal(edit_distance("vmin", "VMIN"), 0);
        assert_int_equal(edit_distance("vmni", "vmin"), 1); /* neighbours swapped */
        assert_int_equal(edit_distance("vmn", "vmin"), 1);
        assert_int_equal(edit_distance("vmiin", "vmin"), 1);
        assert_int_equal(edit_distance("vmax", "vmin"), 2);
        assert_int_equal(edit_distance("", "vmin"), 4);
        assert_int_equal(edit_distance("kitten", "sitting"), 3); /* the textbook's example */
        assert_int_equal(edit_distance("saturday", "sunday"), 3);
}

static const char *word(size_t i) {
        static const char *const words[] = {"status", "cells", "vmin", "vmax", "charge_restart"};

        return words[i];
}

static void test_nearest(void **unused) {
        static const struct {
                const char *typed, *meant;
        } cases[] = {
                {"statu", "status"},
                {"stauts", "status"},
                {"cell", "cells"},
                {"vmni", "vmin"},
                {"VMAX", "vmax"},
                {"charge_restrat", "charge_restart"},
                {"charge_r", "charge_restart"},
                {"x", NULL},
                {"zzzzzzzz", NULL},
                {"", NULL},
        };

        (void)unused;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const char *found = nearest(cases[i].typed, word, 5);

                if (cases[i].meant == NULL) {
                        assert_null(found);
                } else {
                        assert_non_null(found);
                        assert_string_equal(found, cases[i].meant);
                }
        }
}

/* P16: commanded and confirmed are two facts. */
static void test_relay_phrases(void **unused) {
        static const struct {
                struct reading_relay relay;
                const char *text;
        } cases[] = {
                {{.mapped = true, .closed = true}, "commanded closed, not confirmed (no feedback input)"},
                {{.mapped = true, .closed = false}, "commanded open, not confirmed (no feedback input)"},
                {{.mapped = true, .closed = true, .confirmed = {true, 1}},
                 "closed, confirmed by its feedback input"},
                {{.mapped = true, .closed = false, .confirmed = {true, 0}},
                 "open, confirmed by its feedback input"},
                {{.mapped = true, .closed = true, .confirmed = {true, 0}},
                 "commanded closed, but the feedback input says open"},
                {{.mapped = true, .closed = false, .confirmed = {true, 1}},
                 "commanded open, but the feedback input says closed"},
                {{.mapped = false, .closed = true}, "allowed (no relay is driven here)"},
                {{.mapped = false, .closed = false}, "not allowed (no relay is driven here)"},
        };

        (void)unused;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char text[PHRASE_MAX];

                assert_string_equal(phrase_relay(&cases[i].relay, text), cases[i].text);
        }
}

/* The manual's battery details: green safe, yellow balancing, red out of range; red wins. */
static void test_cells(void **unused) {
        static const struct {
                struct reading_cell cell;
                char letter;
                enum cell_colour colour;
        } cases[] = {
                {{.voltage_mv = {true, 3300}}, 'G', CELL_GREEN},
                {{.voltage_mv = {true, 3450}, .bypassing = true}, 'B', CELL_YELLOW},
                {{.voltage_mv = {true, 3300}, .missing = true}, 'M', CELL_YELLOW},
                {{.voltage_mv = {true, 3700}, .v_red = true}, 'H', CELL_RED},
                {{.voltage_mv = {true, 3700}, .v_red = true, .bypassing = true}, 'H', CELL_RED},
                {{.voltage_mv = {true, 2801}, .v_red = true}, 'H', CELL_RED},
                {{.voltage_mv = {true, 2800}, .v_red = true}, 'L', CELL_RED},
                {{.voltage_mv = {true, 2799}, .v_red = true}, 'L', CELL_RED},
                {{.voltage_mv = {true, 3300}, .t_red = true, .bypassing = true}, 'T', CELL_RED},
                {{.voltage_mv = {false, 0}}, '?', CELL_GREY},
                {{.voltage_mv = {true, 3300}, .age = USEC_INFINITY}, '?', CELL_GREY},
        };

        (void)unused;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(cell_letter(&cases[i].cell, 2800), cases[i].letter);
                assert_int_equal(cell_colour(&cases[i].cell), cases[i].colour);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),       cmocka_unit_test(test_quantities),
                cmocka_unit_test(test_ages),          cmocka_unit_test(test_percentages),
                cmocka_unit_test(test_whole_numbers), cmocka_unit_test(test_edit_distance),
                cmocka_unit_test(test_nearest),       cmocka_unit_test(test_relay_phrases),
                cmocka_unit_test(test_cells),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
