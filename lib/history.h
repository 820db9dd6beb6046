/* SPDX-License-Identifier: MIT */
#pragma once

/* History: what each minute held, made from snapshots. Knows neither the wall clock nor the store: a minute here is
 * 60 s of monotonic time, and whoever keeps the rows knows when that was and makes hours and days of them. */

#include "snapshot.h"

#define HISTORY_MINUTE_USEC USEC_PER_MINUTE

/* What a stretch of time held. Means are over the time covered; unknown where nothing was heard. */
struct history_row {
        usec_t from, until;                 /* monotonic */
        int32_t covered_sec;                /* of it, with readings that were believed */
        struct maybe soc_permyriad;         /* at its end */
        struct maybe power_mw;              /* battery, mean; charging is positive */
        struct maybe pack_mv;               /* mean */
        struct maybe lowest_mv, highest_mv; /* of any cell at any time in it */
        struct maybe lowest_decic, highest_decic;
        int64_t mwh[_ENERGY_MAX]; /* counted in it */
};

struct history {
        struct history_row row;                              /* being filled */
        usec_t last;                                         /* newest snapshot; 0 = none yet */
        int64_t power_sum_mwms, power_msec, pack_sum_mvms, covered_msec; /* for the means: value * ms */
        int64_t run_mwh[_ENERGY_MAX];                        /* energy's run counters as the row began */
        bool begun;
};

void history_init(struct history *h);

/* A new snapshot. True: a minute is over, *ret_row is it, and the next one has begun. A gap (the machine slept)
 * ends the row at the last snapshot before it; what was not heard is not covered, and never made up. */
bool history_add(struct history *h, const struct snapshot *s, struct history_row *ret_row);
