/* SPDX-License-Identifier: MIT */
#include "plot.h"

static int64_t floor_to(int64_t value, int64_t step) {
        int64_t down = value / step * step;

        return down > value ? down - step : down;
}

static int64_t ceil_to(int64_t value, int64_t step) {
        return -floor_to(-value, step);
}

#define STEPS_MAX 5

void plot_round_range(int64_t *low, int64_t *high, int64_t min_step) {
        static const int64_t factors[] = {1, 2, 5};
        int64_t step = min_step;

        for (int64_t power = 1; power < INT64_MAX / 50; power *= 10)
                for (size_t i = 0; i < 3; i++) {
                        step = factors[i] * power;
                        if (step >= min_step &&
                            (ceil_to(*high, step) - floor_to(*low, step)) / step <= STEPS_MAX)
                                goto found;
                }
found:
        *low = floor_to(*low, step);
        *high = ceil_to(*high, step);
        if (*low == *high)
                *high += step;
}

/* What is known of one column of dots. */
struct column {
        bool known;
        int64_t low, high;
};

/* Column of dots, brought into the rectangle. */
static int dot_column(const struct plot *p, int64_t t) {
        const int n = 2 * p->columns;

        if (t <= p->from)
                return 0;
        if (t >= p->until)
                return n - 1;
        return (int)((t - p->from) * n / (p->until - p->from)); /* a century of microseconds by 2000 dots fits */
}

/* The spans that fall into column x; they are in order, *next is the first that may. */
static struct column gather(const struct plot *p, const struct plot_span *spans, size_t n, size_t *next, int x) {
        struct column c = {0};

        while (*next < n && dot_column(p, spans[*next].until - 1) < x)
                (*next)++;
        for (size_t i = *next; i < n && dot_column(p, spans[i].from) <= x; i++) {
                if (spans[i].until <= p->from || spans[i].from >= p->until)
                        continue;
                c.low = !c.known || spans[i].low < c.low ? spans[i].low : c.low;
                c.high = !c.known || spans[i].high > c.high ? spans[i].high : c.high;
                c.known = true;
        }
        return c;
}

/* Row of dots from the top. */
static int dot_row(const struct plot *p, int64_t value) {
        const int64_t last = 4 * p->rows - 1, range = p->high - p->low;
        int64_t y = (p->high - value) * last * 2 / range;

        y = (y + 1) / 2; /* to the nearest */
        return (int)(y < 0 ? 0 : y > last ? last : y);
}

static void draw_column(const struct plot *p, int x, const struct column *c, bool zero, enum screen_style style,
                        enum screen_style below) {
        const int top = dot_row(p, c->high), bottom = dot_row(p, c->low), none = dot_row(p, 0);

        for (int y = top; y <= bottom; y++)
                screen_dot(p->screen, 4 * p->row + y, 2 * p->column + x, zero && y > none ? below : style);
}

void plot_draw(const struct plot *p, const struct plot_span *spans, size_t n, bool zero, enum screen_style style,
               enum screen_style below) {
        struct column before = {0};
        size_t next = 0;

        for (int x = 0; x < 2 * p->columns; x++) {
                struct column c = gather(p, spans, n, &next, x), drawn = c;

                if (c.known && zero) {
                        drawn.low = c.low < 0 ? c.low : 0;
                        drawn.high = c.high > 0 ? c.high : 0;
                } else if (c.known && before.known) {
                        if (before.high < c.low)
                                drawn.low = before.high;
                        if (before.low > c.high)
                                drawn.high = before.low;
                }
                if (c.known)
                        draw_column(p, x, &drawn, zero, style, below);
                before = c;
        }
}
