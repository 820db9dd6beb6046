/* SPDX-License-Identifier: MIT */

/* The live view's frame: what an owner reads off it, on screens of any size, for packs of any length. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "terminal.h"
#include "watch-frame.h"

static void set_number(struct watch_view *v, const char *property, int64_t value) {
        for (size_t i = 0; i < n_fields; i++)
                if (strcmp(fields[i].property, property) == 0) {
                        v->reading.values[i].number = some64(value);
                        return;
                }
        fail_msg("no field %s", property);
}

static void set_text(struct watch_view *v, const char *property, const char *text) {
        for (size_t i = 0; i < n_fields; i++)
                if (strcmp(fields[i].property, property) == 0) {
                        snprintf(v->reading.values[i].text, READING_TEXT_MAX, "%s", text);
                        return;
                }
        fail_msg("no field %s", property);
}

static void add_alarm(struct watch_view *v, enum alarm alarm, const char *text) {
        struct reading_alarm *a = &v->manager.alarms[v->manager.n_alarms++];

        snprintf(a->name, sizeof(a->name), "%s", alarm_name(alarm));
        snprintf(a->text, sizeof(a->text), "%s", text);
}

static struct watch_view *view_new(int n_cells) {
        struct watch_view *v = calloc(1, sizeof(*v));

        assert_non_null(v);
        v->up = true;
        strcpy(v->clock, "12:34:56");
        strcpy(v->manager.role, "gateway");
        set_text(v, "LinkState", "live");
        set_number(v, "LinkAge", 400);
        set_number(v, "CellCount", n_cells);
        set_number(v, "KnownCells", n_cells);
        set_number(v, "SOC", 5000);
        set_number(v, "SOCUncertainty", 1000);
        set_number(v, "SOCCapacity", 5120);
        set_number(v, "SOCCalibrated", 1);
        set_number(v, "PowerIn", 750000);
        set_number(v, "CurrentIn", 15000);
        set_number(v, "PowerOut", 250000);
        set_number(v, "CurrentOut", 5000);
        settings_init(&v->settings);
        v->settings.values[SETTING_SOLAR_PEAK] = some(1500);
        v->settings.values[SETTING_INVERTER_PEAK] = some(1000);
        for (int id = 0; id < _RELAY_MAX; id++) {
                v->relays.relay[id].mapped = true;
                v->why[id].closed = true;
                strcpy(v->why[id].reason, "every condition holds");
        }
        v->cells.n = n_cells;
        for (int i = 0; i < n_cells; i++)
                v->cells.cells[i] = (struct reading_cell){.number = (uint8_t)(i + 1),
                                                          .voltage_mv = some64(3300 + i % 10),
                                                          .temperature_decic = some64(205)};
        return v;
}

/* The frame as ASCII lines; freed by the caller. */
static char *draw(const struct watch_view *v, int rows, int columns, int *first_row, int *ret_page) {
        static const struct screen_output plain = {.plain = true};
        struct screen s;
        char *text = NULL;
        size_t size;
        FILE *f;
        int page;

        assert_int_equal(screen_init(&s, rows, columns), 0);
        page = watch_frame_draw(v, &s, first_row);
        f = open_memstream(&text, &size);
        assert_non_null(f);
        screen_write(&s, f, &plain);
        assert_int_equal(fclose(f), 0);
        screen_done(&s);
        if (ret_page)
                *ret_page = page;
        return text;
}

static void expect(const struct watch_view *v, int rows, int columns, const char *part) {
        int first_row = 0;
        char *text = draw(v, rows, columns, &first_row, NULL);

        if (!strstr(text, part))
                fail_msg("'%s' is not in:\n%s", part, text);
        free(text);
}

static void expect_not(const struct watch_view *v, const char *part) {
        int first_row = 0;
        char *text = draw(v, 24, 80, &first_row, NULL);

        if (strstr(text, part))
                fail_msg("'%s' is in:\n%s", part, text);
        free(text);
}

/* 80 columns leave 36 for a bar: 40 % of it is 14.4, 60 % is 21.6, 50 % is 18, 25 % is 9. */
static void test_bars(void **unused) {
        struct watch_view *v = view_new(16);

        (void)unused;
        expect(v, 24, 80, "SOC      [##############++++++++..............] 50.0 % +-10.0\n");
        expect(v, 24, 80, "In       [##################..................] 750 W of 1500 W  15.0 A\n");
        expect(v, 24, 80, "Out      [#########...........................] 250 W of 1000 W  5.0 A\n");

        set_number(v, "SOC", 10000); /* a band that reaches beyond full is cut */
        expect(v, 24, 80, "SOC      [################################++++] 100.0 % +-10.0\n");
        set_number(v, "SOC", 0);
        expect(v, 24, 80, "SOC      [++++................................] 0.0 % +-10.0\n");
        set_number(v, "PowerIn", 3000000); /* more than the peak fills the bar and no more */
        expect(v, 24, 80, "In       [####################################] 3000 W of 1500 W");
        set_number(v, "PowerIn", -50000);
        expect(v, 24, 80, "In       [....................................] -50 W of 1500 W");
        free(v);
}

static void test_unknown_is_said(void **unused) {
        struct watch_view *v = view_new(16);

        (void)unused;
        memset(&v->reading, 0, sizeof(v->reading));
        set_text(v, "LinkState", "live");
        set_number(v, "SOC", 5000);
        set_number(v, "SOCCapacity", 5120);
        set_number(v, "SOCCalibrated", 1);
        expect(v, 24, 80, "SOC      [##################..................] 50.0 %\n");
        memset(&v->reading, 0, sizeof(v->reading));
        set_text(v, "LinkState", "live");
        expect(v, 24, 80, "SOC      [                                    ] unknown: set capacity\n");
        expect(v, 24, 80, "In       [                                    ] unknown of 1500 W\n");
        v->settings.values[SETTING_SOLAR_PEAK] = none();
        expect(v, 24, 80, "In       [(solar_peak unset)");
        free(v);
}

static void test_warning_lights(void **unused) {
        static const struct {
                enum alarm alarm;
                const char *on;
        } lights[] = {
                {ALARM_COMMUNICATION, ">E<  Vh   Vl   Th   Tl"}, {ALARM_V_MAX, " E  >Vh<  Vl   Th   Tl"},
                {ALARM_V_MIN, " E   Vh  >Vl<  Th   Tl"},         {ALARM_T_MAX, " E   Vh   Vl  >Th<  Tl"},
                {ALARM_T_MIN, " E   Vh   Vl   Th  >Tl<"},
        };

        (void)unused;
        for (size_t i = 0; i < sizeof(lights) / sizeof(lights[0]); i++) {
                struct watch_view *v = view_new(4);

                expect(v, 24, 80, " E   Vh   Vl   Th   Tl ");
                add_alarm(v, lights[i].alarm, "cell 3 at 3.700 V");
                expect(v, 24, 80, lights[i].on);
                expect(v, 24, 80, "Alarms   cell 3 at 3.700 V\n");
                free(v);
        }
}

/* P16, and P15's reason and hold. */
static void test_relays(void **unused) {
        struct watch_view *v = view_new(4);

        (void)unused;
        expect(v, 24, 80, "Charge   commanded closed, not confirmed (no feedback input), for 0.0 s\n");
        v->why[RELAY_LOAD].closed = false;
        v->why[RELAY_LOAD].age = 90 * USEC_PER_SEC;
        strcpy(v->why[RELAY_LOAD].reason, "cell 2 at 2.790 V fell to V-min 2.800 V");
        v->why[RELAY_LOAD].n_holds = 3;
        strcpy(v->why[RELAY_LOAD].holds[0].text, "cell 2 is at 2.900 V: must rise to 3.000 V (hysteresis)");
        expect(v, 24, 80, "Load     commanded open, not confirmed (no feedback input), for 1 min 30 s\n");
        expect(v, 24, 80, "         cell 2 at 2.790 V fell to V-min 2.800 V\n");
        expect(v, 24, 80, "         now: cell 2 is at 2.900 V: must rise to 3.000 V (hysteresis)");
        expect(v, 24, 80, "(+2)");
        free(v);
}

static void test_old_readings_are_called_old(void **unused) {
        struct watch_view *v = view_new(4);

        (void)unused;
        expect_not(v, "OLD READINGS");
        set_text(v, "LinkState", "stale");
        set_text(v, "LinkText", "no data from the IN board");
        expect(v, 24, 80, " OLD READINGS: no data from the IN board\n");
        set_text(v, "LinkState", "live");
        set_number(v, "DataStale", 1);
        expect(v, 24, 80, "OLD READINGS");
        free(v);
}

static void test_daemon_gone(void **unused) {
        struct watch_view *v = view_new(4);

        (void)unused;
        v->up = false;
        strcpy(v->trouble, "smartbmsd is not running");
        expect(v, 24, 80, "smartbmsd is not running");
        expect_not(v, "3.300"); /* nothing old is shown as if it were so now */
        expect_not(v, "50.0 %");
        free(v);
}

/* Notes which cells a frame shows; each as "%3u d.ddd" at the start of a grid entry. */
static int note_cells(const char *text, int n, bool seen[CELLS_MAX + 1]) {
        int found = 0;

        for (int i = 1; i <= n; i++) {
                char entry[40];

                snprintf(entry, sizeof(entry), "%3d 3.3%02dG", i, (i - 1) % 10);
                if (strstr(text, entry)) {
                        seen[i] = true;
                        found++;
                }
        }
        return found;
}

/* 80 x 24 has room for all of up to 32 cells at once with temperature; 255 are reached by paging. */
static void test_every_cell_can_be_seen(void **unused) {
        static const int counts[] = {2, 4, 16, 32, 48, 97, 205, 255};

        (void)unused;
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                struct watch_view *v = view_new(counts[i]);
                bool seen[CELLS_MAX + 1] = {false};
                int first_row = 0, page, before = -1, frames = 0;

                while (first_row != before) {
                        char *text = draw(v, 24, 80, &first_row, &page);

                        assert_true(note_cells(text, counts[i], seen) > 0);
                        free(text);
                        frames++;
                        before = first_row;
                        first_row += page;
                        free(draw(v, 24, 80, &first_row, &page)); /* brings it into range */
                }
                for (int k = 1; k <= counts[i]; k++)
                        assert_true(seen[k]);
                if (counts[i] <= 48)
                        assert_int_equal(frames, 1);
                free(v);
        }
}

/* A larger screen shows all 255 at once. */
static void test_large_screen(void **unused) {
        struct watch_view *v = view_new(255);
        bool seen[CELLS_MAX + 1] = {false};
        int first_row = 0;
        char *text = draw(v, 60, 200, &first_row, NULL);

        (void)unused;
        assert_int_equal(note_cells(text, 255, seen), 255);
        assert_non_null(strstr(text, "255 cells, volts and degC"));
        free(text);
        free(v);
}

static void test_scrolling_stays_in_range(void **unused) {
        struct watch_view *v = view_new(255);
        int first_row = -5, end;

        (void)unused;
        free(draw(v, 24, 80, &first_row, NULL));
        assert_int_equal(first_row, 0);
        first_row = 1000;
        free(draw(v, 24, 80, &first_row, NULL));
        end = first_row;
        assert_true(end > 0);
        first_row = end + 1;
        free(draw(v, 24, 80, &first_row, NULL));
        assert_int_equal(first_row, end);
        free(v);
}

/* No line is wider and no frame higher than the screen, whatever it is; sanitizers watch the edges. */
static void test_any_size(void **unused) {
        struct watch_view *v = view_new(255);

        (void)unused;
        for (int i = 0; i < READING_ALARMS_MAX; i++)
                add_alarm(v, ALARM_V_MAX,
                          "a sentence that is longer than eighty columns are wide, so that it has to be "
                          "cut at the right edge of any usual screen");
        for (int rows = 1; rows <= 60; rows += 3)
                for (int columns = 1; columns <= 240; columns += 7) {
                        int first_row = 3, lines = 0;
                        char *text = draw(v, rows, columns, &first_row, NULL);

                        for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++)
                                assert_true(end - line <= columns);
                        assert_int_equal(lines, rows);
                        free(text);
                }
        free(v);
}

/* What comes over the bus cannot steer the terminal. */
static void test_no_escapes_from_sentences(void **unused) {
        struct watch_view *v = view_new(4);

        (void)unused;
        strcpy(v->why[RELAY_LOAD].reason, "evil \033[2J\nand \xc2\xb0");
        expect(v, 24, 80, "evil ?[2J?and ??\n");
        free(v);
}

static char *write_changes(const struct screen *now, const struct screen *before, bool colour) {
        const struct screen_output how = {.utf8 = true, .colour = colour};
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        screen_write_changes(now, before, f, &how);
        assert_int_equal(fclose(f), 0);
        return text;
}

static void test_only_changes_are_written(void **unused) {
        struct screen a, b;
        char *text;

        (void)unused;
        assert_int_equal(screen_init(&a, 2, 10), 0);
        assert_int_equal(screen_init(&b, 2, 10), 0);
        screen_put(&a, 1, 2, STYLE_NORMAL, "volts 1");
        screen_put(&b, 1, 2, STYLE_NORMAL, "volts 2");

        text = write_changes(&a, NULL, true);
        assert_string_equal(text, "\033[0m\033[2J\033[2;3Hvolts\033[2;9H1");
        free(text);
        text = write_changes(&b, &a, true);
        assert_string_equal(text, "\033[0m\033[2;9H2");
        free(text);
        text = write_changes(&b, &b, true);
        assert_string_equal(text, "\033[0m");
        free(text);

        screen_fill(&a, 0, 0, 1, STYLE_RED, GLYPH_FULL);
        text = write_changes(&a, NULL, true);
        assert_non_null(strstr(text, "\033[0;1;31m\u2588\033[2;3H\033[0mvolts"));
        free(text);
        text = write_changes(&a, NULL, false); /* NO_COLOR: weight and inversion only */
        assert_non_null(strstr(text, "\033[0;7m\u2588\033[2;3H\033[0mvolts"));
        assert_null(strstr(text, "31m"));
        free(text);
        screen_done(&a);
        screen_done(&b);
}

static void test_keys(void **unused) {
        static const struct {
                const char *data;
                enum terminal_key key;
                size_t used;
        } cases[] = {
                {"q", KEY_QUIT, 1},
                {"Q", KEY_QUIT, 1},
                {"j", KEY_DOWN, 1},
                {"kq", KEY_UP, 1},
                {"\033[A", KEY_UP, 3},
                {"\033[Bq", KEY_DOWN, 3},
                {"\033OA", KEY_UP, 3},
                {"\033[5~", KEY_PAGE_UP, 4},
                {"\033[6~q", KEY_PAGE_DOWN, 4},
                {" ", KEY_PAGE_DOWN, 1},
                {"\033[H", KEY_HOME, 3},
                {"\033[4~", KEY_END, 4},
                {"x", KEY_NONE, 1},
                {"\033[1;5Aq", KEY_NONE, 6},
                {"\033", KEY_NONE, 1},
                {"\033[", KEY_NONE, 2},
                {"\033[5", KEY_NONE, 3},
                {"\033O", KEY_NONE, 2},
                /* Alt-q is not q */
                {"\033q", KEY_NONE, 2},
        };

        (void)unused;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                size_t used = 0;

                assert_int_equal(terminal_key(cases[i].data, strlen(cases[i].data), &used), cases[i].key);
                assert_int_equal(used, cases[i].used);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bars),
                cmocka_unit_test(test_unknown_is_said),
                cmocka_unit_test(test_warning_lights),
                cmocka_unit_test(test_relays),
                cmocka_unit_test(test_old_readings_are_called_old),
                cmocka_unit_test(test_daemon_gone),
                cmocka_unit_test(test_every_cell_can_be_seen),
                cmocka_unit_test(test_large_screen),
                cmocka_unit_test(test_scrolling_stays_in_range),
                cmocka_unit_test(test_any_size),
                cmocka_unit_test(test_no_escapes_from_sentences),
                cmocka_unit_test(test_only_changes_are_written),
                cmocka_unit_test(test_keys),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
