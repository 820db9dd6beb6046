/* SPDX-License-Identifier: MIT */
#pragma once

/* A curve over time, in dots, in a rectangle of a screen; with a scale of round numbers. Pure, and knows nothing of
 * batteries. */

#include "screen.h"
#include "units.h"

/* What one quantity was in a stretch of time: between low and high. */
struct plot_span {
        int64_t from, until; /* any unit, that of plot.from */
        int64_t low, high;
};

struct plot {
        struct screen *screen;
        int row, column, rows, columns; /* where: character cells */
        int64_t from, until;            /* the time it shows */
        int64_t low, high;              /* the values at its lower and upper edge */
};

/* Rounds outward so that the edges are whole steps of 1, 2 or 5 times a power of ten, five of them at most between the
 * edges, and none below min_step; equal edges move apart. */
void plot_round_range(int64_t *low, int64_t *high, int64_t min_step);

/* Spans follow one another in time. Columns that several of them fall into show all they reached, and a column joins
 * the one before it, unless nothing is known between them. zero: fills up to 0 as well; what is above it is drawn in
 * style, what is below in below. */
void plot_draw(const struct plot *p, const struct plot_span *spans, size_t n, bool zero, enum screen_style style,
               enum screen_style below);
