/* SPDX-License-Identifier: MIT */
#pragma once

/* A state of charge without a pack around it, fed frame by frame: 16 cells of 100 Ah, 5120 Wh, so that 1 % is 1 Ah,
 * with one sensor that hides nothing. Include <cmocka.h> and what it needs first. */

#include "settings.h"
#include "soc.h"

#define SECOND USEC_PER_SEC
#define X INT32_MIN            /* unknown */
#define AH INT64_C(3600000000) /* in mA * ms */

static const struct soc_config config_100ah = {
        .capacity_wh = {.known = true, .value = 5120},
        .cell_nominal_mv = 3200,
        .efficiency_percent = 100,
        .blind_spot_ma = 0,
        .sensors = SENSORS_1,
        .cells = 16,
};

struct run {
        struct soc soc;
        usec_t now;
};

static inline void start(struct run *r, const struct soc_config *config) {
        soc_init(&r->soc, config);
        r->now = 1000;
}

/* One frame, after having waited for `wait`; they come each `period`. */
static inline void feed_frame(struct run *r, usec_t wait, usec_t period, int32_t ma, uint32_t lowest_mv,
                              int32_t lowest_decic) {
        const struct frame frame = {
                .sum = {.known = ma != X, .ma = ma != X ? ma : 0},
                .in = {.known = ma != X, .ma = ma != X ? ma : 0},
                .pack_mv = 16 * lowest_mv,
                .lowest_mv = lowest_mv,
                .highest_mv = lowest_mv,
                .lowest_decic = lowest_decic != X ? lowest_decic : 250,
                .lowest_temperature_known = lowest_decic != X,
                .count = 16,
        };

        r->now += wait;
        soc_frame(&r->soc, r->now, period, &frame, false);
}
