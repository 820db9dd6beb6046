/* SPDX-License-Identifier: MIT */
#include "history-frame.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "plot.h"
#include "when.h"

#define MARGIN 9 /* labels, and the axis */
#define SUMMARY_MAX 96

/* What a panel shows of a row; false: nothing is known. */
typedef bool (*span_t)(const struct record *row, int64_t *ret_low, int64_t *ret_high);

static bool span_soc(const struct record *row, int64_t *ret_low, int64_t *ret_high) {
        *ret_low = *ret_high = row->soc_permyriad.value;
        return row->soc_permyriad.known;
}

static bool span_power(const struct record *row, int64_t *ret_low, int64_t *ret_high) {
        *ret_low = *ret_high = row->power_mw.value;
        return row->power_mw.known;
}

static bool span_cells(const struct record *row, int64_t *ret_low, int64_t *ret_high) {
        *ret_low = row->lowest_mv.value;
        *ret_high = row->highest_mv.value;
        return row->lowest_mv.known && row->highest_mv.known;
}

struct spans {
        struct plot_span *spans; /* room for all rows */
        size_t n;
        int64_t low, high; /* over all of them */
};

static void gather(const struct history_view *v, span_t of, struct spans *ret) {
        ret->n = 0;
        ret->low = ret->high = 0;
        for (size_t i = 0; i < v->n; i++) {
                const struct record *row = &v->rows[i];
                struct plot_span *span = &ret->spans[ret->n];

                if (!row->wall_usec.known || !of(row, &span->low, &span->high))
                        continue;
                span->from = row->wall_usec.value;
                span->until = span->from + (int64_t)row->length_usec;
                if (ret->n == 0 || span->low < ret->low)
                        ret->low = span->low;
                if (ret->n == 0 || span->high > ret->high)
                        ret->high = span->high;
                ret->n++;
        }
}

static void summary_soc(const struct spans *s, const struct history_view *v, char *ret, size_t size) {
        char end[FORMAT_MAX], low[FORMAT_MAX], high[FORMAT_MAX];

        (void)v;
        snprintf(ret, size, "%s at the end, %s to %s", format_quantity(some64(s->spans[s->n - 1].high), 2, 1, "%", end),
                 format_number(some64(s->low), 2, 1, low), format_quantity(some64(s->high), 2, 1, "%", high));
}

static void summary_power(const struct spans *s, const struct history_view *v, char *ret, size_t size) {
        char low[FORMAT_MAX], high[FORMAT_MAX], charged[FORMAT_MAX], discharged[FORMAT_MAX];
        int64_t sums[_ENERGY_MAX] = {0};

        for (size_t i = 0; i < v->n; i++)
                for (int k = 0; k < _ENERGY_MAX; k++)
                        sums[k] += v->rows[i].mwh[k];
        snprintf(ret, size, "%s to %s W, charged %s, discharged %s", format_number(some64(s->low), 3, 0, low),
                 format_number(some64(s->high), 3, 0, high), format_energy(some64(sums[ENERGY_CHARGED]), charged),
                 format_energy(some64(sums[ENERGY_DISCHARGED]), discharged));
}

static void summary_cells(const struct spans *s, const struct history_view *v, char *ret, size_t size) {
        char low[FORMAT_MAX], high[FORMAT_MAX];

        (void)v;
        snprintf(ret, size, "%s to %s", format_number(some64(s->low), 3, 3, low),
                 format_quantity(some64(s->high), 3, 3, "V", high));
}

static const struct panel {
        const char *name, *unit, *large_unit;
        unsigned decimals, shown;
        bool zero;         /* filled up to 0, which is in its range */
        bool whole;        /* 0 to 100 % */
        int64_t min_step;
        enum screen_style style, below;
        span_t span;
        void (*summary)(const struct spans *s, const struct history_view *v, char *ret, size_t size);
} panels[] = {
        {"State of charge", "%", NULL, 2, 0, false, true, 100, STYLE_GREEN, STYLE_GREEN, span_soc, summary_soc},
        {"Power into the battery", "W", "kW", 3, 0, true, false, 10000, STYLE_GREEN, STYLE_YELLOW, span_power,
         summary_power},
        {"Lowest to highest cell", "V", NULL, 3, 2, false, false, 10, STYLE_NORMAL, STYLE_NORMAL, span_cells,
         summary_cells},
};
#define N_PANELS ((int)(sizeof(panels) / sizeof(panels[0])))

static void put_label(struct screen *s, int row, const struct panel *panel, int64_t value) {
        char text[FORMAT_MAX];

        if (panel->large_unit && (value >= 10000000 || value <= -10000000))
                format_quantity(some64(value), panel->decimals + 3, 1, panel->large_unit, text);
        else
                format_quantity(some64(value), panel->decimals, panel->shown, panel->unit, text);
        (void)screen_put(s, row, 0, STYLE_NORMAL, "%8s", text);
}

/* The panel's name on `row`, and its curve on the `rows` below. */
static void draw_panel(const struct history_view *v, struct screen *s, const struct panel *panel, struct spans *spans,
                       int row, int rows) {
        struct plot plot = {s, row + 1, MARGIN, rows, s->columns - MARGIN, v->from_usec, v->until_usec, 0, 0};
        char summary[SUMMARY_MAX] = "nothing is known";
        int column;

        gather(v, panel->span, spans);
        if (spans->n > 0)
                panel->summary(spans, v, summary, sizeof(summary));
        column = screen_put(s, row, 0, STYLE_BOLD, "%s", panel->name);
        (void)screen_put(s, row, column, STYLE_NORMAL, ": %s", summary);
        for (int i = 0; i < rows; i++)
                screen_fill(s, row + 1 + i, MARGIN - 1, 1, STYLE_DIM, GLYPH_AXIS);
        if (spans->n == 0)
                return;
        plot.low = panel->zero && spans->low > 0 ? 0 : spans->low;
        plot.high = panel->zero && spans->high < 0 ? 0 : spans->high;
        if (panel->whole) {
                plot.low = 0;
                plot.high = PERMYRIAD_FULL;
        } else {
                plot_round_range(&plot.low, &plot.high, panel->min_step);
        }
        put_label(s, row + 1, panel, plot.high);
        if (rows > 1)
                put_label(s, row + rows, panel, plot.low);
        plot_draw(&plot, spans->spans, spans->n, panel->zero, panel->style, panel->below);
}

/* The axis on `row`, its labels below. */
static void draw_axis(const struct history_view *v, struct screen *s, int row) {
        const int columns = s->columns - MARGIN;
        const int64_t from = v->from_usec / (int64_t)USEC_PER_SEC, until = v->until_usec / (int64_t)USEC_PER_SEC;
        struct when_mark marks[WHEN_MARKS_MAX];
        int n, free_from = 0;

        screen_fill(s, row, MARGIN - 1, 1, STYLE_DIM, GLYPH_CORNER);
        screen_fill(s, row, MARGIN, columns, STYLE_DIM, GLYPH_LINE);
        if (until <= from)
                return;
        n = when_marks(from, until, columns / 7, marks);
        for (int i = 0; i < n; i++) {
                int at = MARGIN + (int)((marks[i].at - from) * columns / (until - from));
                int length = (int)strlen(marks[i].label), start = at - length / 2;

                screen_fill(s, row, at, 1, STYLE_DIM, GLYPH_MARK);
                if (start + length > s->columns)
                        start = s->columns - length;
                if (start >= free_from)
                        free_from = screen_put(s, row + 1, start, STYLE_NORMAL, "%s", marks[i].label) + 1;
        }
}

int history_frame_draw(const struct history_view *v, struct screen *s) {
        struct spans spans = {.spans = calloc(v->n ? v->n : 1, sizeof(struct plot_span))};
        char from[WHEN_MAX], until[WHEN_MAX];
        int n = N_PANELS, row = 1, rows;

        if (!spans.spans)
                return -ENOMEM;
        /* the title, the axis and its labels; a name and two rows for each panel */
        while (n > 1 && s->rows - 3 < 3 * n)
                n--;
        rows = s->rows - 3 - n;
        (void)screen_put(s, 0, 0, STYLE_NORMAL, "%s to %s, by %s",
                         when_format_minutes(v->from_usec / (int64_t)USEC_PER_SEC, from),
                         when_format_minutes(v->until_usec / (int64_t)USEC_PER_SEC, until), v->resolution);
        for (int i = 0; i < n; i++) {
                int share = (rows + n - 1 - i) / n; /* the upper ones get what is left over */

                draw_panel(v, s, &panels[i], &spans, row, share > 0 ? share : 1);
                row += 1 + (share > 0 ? share : 1);
        }
        draw_axis(v, s, row);
        free(spans.spans);
        return 0;
}
