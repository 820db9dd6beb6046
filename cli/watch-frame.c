/* SPDX-License-Identifier: MIT */
#include "watch-frame.h"

#include <string.h>

#include "format.h"
#include "names.h"
#include "phrases.h"

#define LABEL_WIDTH 9
#define NUMBERS_WIDTH 33 /* beside a bar */

static int64_t clamp64(int64_t v, int64_t low, int64_t high) {
        return v < low ? low : v > high ? high : v;
}

static bool alarm_active(const struct watch_view *v, enum alarm alarm) {
        for (int i = 0; i < v->manager.n_alarms; i++)
                if (strcmp(v->manager.alarms[i].name, alarm_name(alarm)) == 0)
                        return true;
        return false;
}

static int draw_title(const struct watch_view *v, struct screen *s, int row) {
        const struct reading *r = &v->reading;
        const struct maybe64 ms = reading_number(r, "LinkAge");
        char age[FORMAT_MAX], heard[FORMAT_MAX], known[FORMAT_MAX];
        int column;

        screen_fill(s, row, 0, s->columns, STYLE_TITLE, ' ');
        column = screen_put(s, row, 1, STYLE_TITLE, "smartbms%s%s  %s  link %s", v->pack[0] ? " " : "", v->pack,
                            v->manager.role, reading_text(r, "LinkState"));
        if (ms.known)
                column = screen_put(s, row, column, STYLE_TITLE, ", %s ago",
                                    format_age((usec_t)clamp64(ms.value, 0, INT64_MAX / 1000) * 1000, age));
        screen_put(s, row, column, STYLE_TITLE, "  %s of %s cells%s",
                   format_number(reading_number(r, "CellCount"), 0, 0, heard),
                   format_number(reading_number(r, "KnownCells"), 0, 0, known),
                   reading_true(r, "Critical") ? "  critical mode" : "");
        screen_put(s, row, s->columns - (int)strlen(v->clock) - 1, STYLE_TITLE, "%s", v->clock);
        return row + 1;
}

/* The manual's five warning lights, in its order. A light that is on says so without colour too. */
static int draw_lights(const struct watch_view *v, struct screen *s, int row) {
        static const struct {
                const char *name;
                enum alarm alarm;
        } lights[] = {
                {"E", ALARM_COMMUNICATION}, {"Vh", ALARM_V_MAX}, {"Vl", ALARM_V_MIN},
                {"Th", ALARM_T_MAX},        {"Tl", ALARM_T_MIN},
        };
        char volts[FORMAT_MAX];
        int column;

        column = screen_put(s, row, 0, STYLE_NORMAL, "%-*s", LABEL_WIDTH, "Warnings");
        for (size_t i = 0; i < sizeof(lights) / sizeof(lights[0]); i++) {
                const bool on = alarm_active(v, lights[i].alarm) ||
                                (i == 0 && reading_true(&v->reading, "CommunicationError"));

                column = screen_put(s, row, column, on ? STYLE_ALARM : STYLE_DIM, on ? ">%s<" : " %s ",
                                    lights[i].name);
                column = screen_put(s, row, column, STYLE_NORMAL, " ");
        }
        screen_put(s, row, column + 3, STYLE_DIM, "balancing from V-bypass %s",
                   format_quantity(reading_number(&v->reading, "VBypass"), 3, 3, "V", volts));
        return row + 1;
}

static int draw_stale(const struct watch_view *v, struct screen *s, int row) {
        const char *trouble = reading_text(&v->reading, "LinkText");

        if (!reading_stale(&v->reading))
                return row;
        screen_put(s, row, 0, STYLE_ALARM, " OLD READINGS: %s ",
                   trouble[0] ? trouble : reading_text(&v->reading, "LinkState"));
        return row + 1;
}

static int bar_width(const struct screen *s) {
        const int w = s->columns - LABEL_WIDTH - 2 - NUMBERS_WIDTH;

        return w < 4 ? 4 : w;
}

/* From low to high of full scale, in permyriad, is the band; below it full, above it empty. */
static int draw_bar(struct screen *s, int row, const char *label, bool known, int64_t low, int64_t high,
                    enum screen_style style) {
        const int width = bar_width(s);
        const int full =
                (int)((clamp64(low, 0, PERMYRIAD_FULL) * width + PERMYRIAD_FULL / 2) / PERMYRIAD_FULL);
        const int band =
                (int)((clamp64(high, 0, PERMYRIAD_FULL) * width + PERMYRIAD_FULL / 2) / PERMYRIAD_FULL);
        int column;

        column = screen_put(s, row, 0, STYLE_NORMAL, "%-*s[", LABEL_WIDTH, label);
        if (known) {
                column = screen_fill(s, row, column, full, style, GLYPH_FULL);
                column = screen_fill(s, row, column, band - full, style, GLYPH_BAND);
                column = screen_fill(s, row, column, width - band, STYLE_DIM, GLYPH_EMPTY);
        } else {
                column = screen_fill(s, row, column, width, STYLE_DIM, ' ');
        }
        return screen_put(s, row, column, STYLE_NORMAL, "] ");
}

static int draw_soc(const struct watch_view *v, struct screen *s, int row) {
        const struct maybe64 soc = reading_number(&v->reading, "SOC");
        const struct maybe64 band = reading_number(&v->reading, "SOCUncertainty");
        const int64_t half = band.known ? band.value : 0;
        const bool calibrated = reading_true(&v->reading, "SOCCalibrated");
        char percent[FORMAT_MAX], points[FORMAT_MAX];
        int column;

        column = draw_bar(s, row, "SOC", soc.known, soc.value - half, soc.value + half,
                          soc.value < 2000 ? STYLE_YELLOW : STYLE_GREEN);
        column = screen_put(s, row, column, STYLE_BOLD, "%s", format_quantity(soc, 2, 1, "%", percent));
        if (band.known) /* a board in role monitor does not tell */
                column = screen_put(s, row, column, STYLE_NORMAL, " +-%s", format_number(band, 2, 1, points));
        if (!reading_number(&v->reading, "SOCCapacity").known)
                screen_put(s, row, column, STYLE_YELLOW, ": set capacity");
        else if (!calibrated)
                screen_put(s, row, column, STYLE_YELLOW, " not calibrated");
        return row + 1;
}

static int draw_power(const struct watch_view *v, struct screen *s, int row, const char *label,
                      const char *power_field, const char *current_field, enum setting peak) {
        const struct maybe64 mw = reading_number(&v->reading, power_field);
        const struct maybe scale = v->settings.values[peak];
        const bool drawable = mw.known && scale.known && scale.value > 0;
        /* mW * 10000 / (W * 1000): power is at most 255 * 5.1 V * 8192 A, far inside int64. */
        const int64_t share = drawable ? mw.value * 10 / scale.value : 0;
        char w[FORMAT_MAX], of[FORMAT_MAX], a[FORMAT_MAX];
        int column;

        column = draw_bar(s, row, label, drawable, share, share,
                          share > PERMYRIAD_FULL ? STYLE_YELLOW : STYLE_GREEN);
        if (!scale.known)
                screen_put(s, row, LABEL_WIDTH + 1, STYLE_DIM, "(%s unset)", setting_info(peak)->key);
        column = screen_put(s, row, column, STYLE_BOLD, "%s", format_quantity(mw, 3, 0, "W", w));
        if (scale.known)
                column = screen_put(s, row, column, STYLE_NORMAL, " of %s",
                                    format_quantity(some64(scale.value), 0, 0, "W", of));
        if (mw.known)
                screen_put(s, row, column, STYLE_NORMAL, "  %s",
                           format_quantity(reading_number(&v->reading, current_field), 3, 1, "A", a));
        return row + 1;
}

static int draw_numbers(const struct watch_view *v, struct screen *s, int row) {
        const struct reading *r = &v->reading;
        const struct maybe64 low = reading_number(r, "LowestCellVoltage"),
                             high = reading_number(r, "HighestCellVoltage");
        char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], d[FORMAT_MAX], e[FORMAT_MAX];

        screen_put(s, row, 0, STYLE_NORMAL, "%-*s%s  %s  %s  stored %s of %s", LABEL_WIDTH, "Battery",
                   format_quantity(reading_number(r, "PackVoltage"), 3, 2, "V", a),
                   format_quantity(reading_number(r, "Current"), 3, 1, "A", b),
                   format_quantity(reading_number(r, "Power"), 3, 0, "W", c),
                   format_energy(reading_number(r, "Stored"), d),
                   format_quantity(reading_number(r, "SOCCapacity"), 0, 0, "Wh", e));
        row++;
        screen_put(s, row, 0, STYLE_NORMAL, "%-*s%s to %s, %s apart;  %s to %s", LABEL_WIDTH, "Cells",
                   format_number(low, 3, 3, a), format_quantity(high, 3, 3, "V", b),
                   format_quantity(low.known && high.known ? some64(high.value - low.value) : none64(), 0, 0,
                                   "mV", c),
                   format_number(reading_number(r, "LowestCellTemperature"), 1, 1, d),
                   format_quantity(reading_number(r, "HighestCellTemperature"), 1, 1, "degC", e));
        row++;
        screen_put(s, row, 0, STYLE_NORMAL, "%-*scollected %s, consumed %s;  in total %s, %s", LABEL_WIDTH,
                   "Today", format_energy(reading_number(r, "CollectedToday"), a),
                   format_energy(reading_number(r, "ConsumedToday"), b),
                   format_energy(reading_number(r, "CollectedTotal"), c),
                   format_energy(reading_number(r, "ConsumedTotal"), d));
        return row + 1;
}

static int draw_relay(const struct watch_view *v, struct screen *s, int row, enum relay_id id) {
        const struct reading_why *why = &v->why[id];
        struct reading_relay relay = v->relays.relay[id];
        char phrase[PHRASE_MAX], age[FORMAT_MAX];
        int column;

        relay.closed = why->closed; /* the newer of two answers */
        column = screen_put(s, row, 0, STYLE_NORMAL, "%-*s", LABEL_WIDTH,
                            id == RELAY_CHARGE ? "Charge" : "Load");
        screen_put(s, row, column, relay.closed ? STYLE_GREEN : STYLE_YELLOW, "%s, for %s",
                   phrase_relay(&relay, phrase), format_age(why->age, age));
        row++;
        screen_put(s, row, LABEL_WIDTH, STYLE_NORMAL, "%s", why->reason);
        if (why->n_holds > 0) {
                row++;
                screen_put(s, row, LABEL_WIDTH, STYLE_YELLOW, "now: %s", why->holds[0].text);
                if (why->n_holds > 1)
                        screen_put(s, row, s->columns - 9, STYLE_YELLOW, " (+%d)  ", why->n_holds - 1);
        }
        return row + 1;
}

/* On a small screen two lines at most, so that the cells keep a place. */
static int draw_alarms(const struct watch_view *v, struct screen *s, int row) {
        const int most = s->rows >= 36 ? 8 : 2;
        const int n = v->manager.n_alarms;

        for (int i = 0; i < n && i < most; i++, row++)
                screen_put(s, row, 0, STYLE_RED, "%-*s%s", LABEL_WIDTH, i == 0 ? "Alarms" : "",
                           v->manager.alarms[i].text);
        if (n > most)
                screen_put(s, row - 1, s->columns - 9, STYLE_RED, " (+%d)  ", n - most);
        return row;
}

/* How much of a cell is shown: the roomiest layout in which all fit, else the tightest. */
struct grid {
        int width; /* of an entry, gap included */
        bool temperature;
        unsigned decimals; /* of the temperature */
};

static const struct grid grids[] = {
        {.width = 19, .temperature = true, .decimals = 1},
        {.width = 16, .temperature = true, .decimals = 0},
        {.width = 11, .temperature = false, .decimals = 0},
};
#define N_GRIDS (sizeof(grids) / sizeof(grids[0]))

static int grid_columns(const struct screen *s, const struct grid *g) {
        const int n = s->columns / g->width;

        return n < 1 ? 1 : n;
}

static int grid_rows(const struct screen *s, const struct grid *g, int n) {
        const int per_row = grid_columns(s, g);

        return (n + per_row - 1) / per_row;
}

static void draw_cell(const struct watch_view *v, struct screen *s, int row, int column, const struct grid *g,
                      const struct reading_cell *cell) {
        static const enum screen_style by_colour[] = {
                [CELL_GREEN] = STYLE_GREEN,
                [CELL_YELLOW] = STYLE_YELLOW,
                [CELL_RED] = STYLE_RED,
                [CELL_GREY] = STYLE_DIM,
        };
        const bool stale = reading_stale(&v->reading);
        const enum screen_style style = stale ? STYLE_DIM : by_colour[cell_colour(cell)];
        const struct maybe vmin = v->settings.values[SETTING_VMIN];
        char volts[FORMAT_MAX], degrees[FORMAT_MAX];

        column = screen_put(s, row, column, STYLE_DIM, "%3u ", cell->number);
        column = screen_put(s, row, column, style, "%5s%c",
                            cell->voltage_mv.known ? format_number(cell->voltage_mv, 3, 3, volts) : "-",
                            cell_letter(cell, vmin.value));
        if (g->temperature)
                screen_put(s, row, column, style, " %*s", g->decimals ? 5 : 3,
                           cell->temperature_decic.known
                                   ? format_number(cell->temperature_decic, 1, g->decimals, degrees)
                                   : "-");
}

/* The cell grid from row to the last but one; returns how many rows it has there. */
static int draw_cells(const struct watch_view *v, struct screen *s, int row, int *first_row) {
        const int room = s->rows - row - 2, n = v->cells.n; /* a rule above it, the keys below */
        const struct grid *g = &grids[0];
        int per_row, rows, first, last;

        if (room < 1)
                return 1;
        for (size_t i = 0; i < N_GRIDS && grid_rows(s, g, n) > room; i++)
                g = &grids[i];
        per_row = grid_columns(s, g);
        rows = grid_rows(s, g, n);
        *first_row = (int)clamp64(*first_row, 0, rows > room ? rows - room : 0);
        first = *first_row * per_row;
        last = first + room * per_row < n ? first + room * per_row : n;

        screen_fill(s, row, 0, s->columns, STYLE_DIM, GLYPH_LINE);
        if (n == 0)
                screen_put(s, row, 2, STYLE_NORMAL, " no cell heard yet ");
        else if (rows <= room)
                screen_put(s, row, 2, STYLE_NORMAL, " %d cells, volts%s ", n,
                           g->temperature ? " and degC" : "");
        else
                screen_put(s, row, 2, STYLE_NORMAL,
                           " cells %d to %d of %d, volts: arrows and page keys move ", first + 1, last, n);
        for (int i = first; i < last; i++)
                draw_cell(v, s, row + 1 + (i - first) / per_row, (i % per_row) * g->width, g,
                          &v->cells.cells[i]);
        return room;
}

static void draw_keys(struct screen *s) {
        static const struct {
                enum screen_style style;
                const char *text;
        } legend[] = {
                {STYLE_NORMAL, " q quit   "},    {STYLE_GREEN, "G safe  "},
                {STYLE_YELLOW, "B balancing  "}, {STYLE_RED, "H L voltage  T temperature  "},
                {STYLE_YELLOW, "M missing  "},   {STYLE_DIM, "? unknown"},
        };
        int column = 0;

        for (size_t i = 0; i < sizeof(legend) / sizeof(legend[0]); i++)
                column = screen_put(s, s->rows - 1, column, legend[i].style, "%s", legend[i].text);
}

static int draw_down(const struct watch_view *v, struct screen *s) {
        screen_fill(s, 0, 0, s->columns, STYLE_TITLE, ' ');
        screen_put(s, 0, 1, STYLE_TITLE, "smartbms%s%s", v->pack[0] ? " " : "", v->pack);
        screen_put(s, 0, s->columns - (int)strlen(v->clock) - 1, STYLE_TITLE, "%s", v->clock);
        screen_put(s, 2, 1, STYLE_ALARM, " %s ", v->trouble);
        screen_put(s, 4, 1, STYLE_NORMAL,
                   "Nothing is known of the pack until it answers. Trying every second.");
        screen_put(s, s->rows - 1, 0, STYLE_NORMAL, " q quit");
        return 1;
}

int watch_frame_draw(const struct watch_view *v, struct screen *s, int *first_row) {
        int row = 0, page;

        screen_clear(s);
        if (!v->up)
                return draw_down(v, s);
        row = draw_title(v, s, row);
        row = draw_lights(v, s, row);
        row = draw_stale(v, s, row);
        row = draw_soc(v, s, row);
        row = draw_power(v, s, row, "In", "PowerIn", "CurrentIn", SETTING_SOLAR_PEAK);
        row = draw_power(v, s, row, "Out", "PowerOut", "CurrentOut", SETTING_INVERTER_PEAK);
        row = draw_numbers(v, s, row);
        row = draw_relay(v, s, row, RELAY_CHARGE);
        row = draw_relay(v, s, row, RELAY_LOAD);
        row = draw_alarms(v, s, row);
        page = draw_cells(v, s, row, first_row);
        screen_fill(s, s->rows - 1, 0, s->columns, STYLE_NORMAL, ' ');
        draw_keys(s);
        return page;
}
