/* SPDX-License-Identifier: MIT */
#pragma once

/* What draws while the sensor reads zero (S5): learned from how far the count is off at each full sync. docs/soc.md
 * says why it is learned like this. Knows charges and times only. */

#include "units.h"

/* Finest unit of counting, 1/200 mA * us: the mean of two currents is half their sum, and a percentage applies. */
#define SOC_FINE_PER_MAMS INT64_C(200000)

#define SOC_LEARN_MIN_USEC (12 * USEC_PER_HOUR)     /* S5: at zero, else the sync's own error is all there is to see */
#define SOC_LEARN_WINDOW_USEC (240 * USEC_PER_HOUR) /* at zero: older than about two weeks is forgotten (j) */
/* Uncounted time that an interval survives: even at C/5 it hides no more than 1 point, as the sync itself does (j). */
#define SOC_LEARN_UNCOUNTED_USEC (3 * USEC_PER_MINUTE)

struct soc_learning {
        /* The interval: since the full sync it began with. At another one the readings alone should count 0. */
        bool begun;
        int64_t counted_mams, counted_remainder; /* by the readings: no idle draw, no bounds */
        usec_t zero_half_usec;                   /* twice the time at a reading of zero */
        usec_t uncounted_usec;

        /* What the intervals said so far, the newest with the most weight. */
        int64_t hidden_mams;
        usec_t hidden_usec;
};

/* Between two readings: the net charge in the finest unit, and how many of the two (0, 1, 2) are zero. */
void soc_learn_count(struct soc_learning *l, int64_t fine, unsigned zero_ends, usec_t duration);

/* The current was not known for a while. */
void soc_learn_uncounted(struct soc_learning *l, usec_t duration);

/* What was counted since the last full sync cannot be trusted (S7). */
void soc_learn_spoil(struct soc_learning *l);

/* A full sync. True if there is something to learn from, and then *ret_draw_ma is the mean draw at zero (may be
 * negative: the caller bounds it). Less than 12 h at zero: false, and the interval goes on over this sync. */
bool soc_learn_full_sync(struct soc_learning *l, int64_t *ret_draw_ma);
