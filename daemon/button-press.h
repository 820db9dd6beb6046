/* SPDX-License-Identifier: MIT */
#pragma once

/* What a push button's edges mean, by their times alone: no clock, no descriptor. All times are on one scale. */

#include "units.h"

enum button_press {
        BUTTON_NONE,
        BUTTON_SHORT,         /* pressed, and released before BUTTON_HOLD_USEC */
        BUTTON_HELD,          /* for BUTTON_HOLD_USEC; told while it is still held */
        BUTTON_HELD_AT_START, /* it was down before we were there, and stayed so for BUTTON_START_USEC */
};

#define BUTTON_HOLD_USEC (5 * USEC_PER_SEC) /* design 6 */
#define BUTTON_START_USEC USEC_PER_SEC      /* longer than a line may take to settle at power-on */

struct press {
        usec_t debounce_usec; /* a level counts once it has lasted so long; 0: who tells the edges has seen to that */
        bool level;           /* the newest edge's */
        usec_t level_since;
        bool down; /* as it counts */
        usec_t down_since;
        bool told;     /* this press has had its meaning */
        bool at_start; /* this press began before us */
};

/* level: what is read now. start: the program is starting, so that a button that is down means something; else a press
 * whose beginning was not seen means nothing. */
void press_init(struct press *p, usec_t now, usec_t debounce_usec, bool level, bool start);

/* The level changed. Returns what had come to pass before that. */
enum button_press press_edge(struct press *p, usec_t at, bool level);

/* Time passed, and all edges up to now were told. */
enum button_press press_time(struct press *p, usec_t now);

/* When press_time() is due; USEC_INFINITY: not before the next edge. */
usec_t press_due(const struct press *p);
