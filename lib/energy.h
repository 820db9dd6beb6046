/* SPDX-License-Identifier: MIT */
#pragma once

/* Energy counters (design 7): exact integer integration with carried remainders. Knows neither the wall clock
 * nor the store: the caller says when a new day begins. */

#include "frame.h"
#include "units.h"

enum energy_counter {
        ENERGY_COLLECTED,  /* I1, in */
        ENERGY_CONSUMED,   /* I2, out */
        ENERGY_CHARGED,    /* I-sum > 0 */
        ENERGY_DISCHARGED, /* I-sum < 0 */
        _ENERGY_MAX,
};

/* The integral is exact. Its finest unit is mV * mA * us / 4: half of two currents times half of two voltages. */
#define ENERGY_FINE_PER_MWH INT64_C(14400000000000)

struct energy_sum {
        int64_t today_mwh, total_mwh;
        int64_t remainder; /* below 1 mWh, ENERGY_FINE_PER_MWH; never lost */
};

struct energy {
        struct energy_sum sums[_ENERGY_MAX];
        int64_t run_mwh[_ENERGY_MAX]; /* counted since energy_init(): no midnight and no clearing sets it back */
        bool restored; /* counters are unknown, not 0, until restored (design 7) */
        usec_t last;   /* 0 = none */
        struct frame_current last_in, last_out, last_sum;
        uint32_t last_pack_mv;
        usec_t gap_usec; /* total time not integrated because frames were too far apart */
};

void energy_init(struct energy *e);

/* Counters from an earlier run (zero on a first start); from then on they are known. What was counted since
 * energy_init() is added to them. */
void energy_restore(struct energy *e, const struct energy_sum sums[_ENERGY_MAX]);

/* One error-free frame. Energy of an interval := mean of its two currents * mean of its two pack voltages *
 * duration, for gaps of up to 3 periods; longer gaps only add to gap_usec. Where the two currents have
 * opposite signs the sign of their mean decides where all of it goes.
 *
 * The sign of each sensor's current decides: I1 > 0 and I2 < 0 (a consumer that feeds back) are collected, I1
 * < 0 and I2 > 0 are consumed. So with one sensor (I2 unknown) the sign of I1 decides, and with two the books
 * balance. A current that is unknown at either end of an interval is not counted in it. */
void energy_frame(struct energy *e, usec_t now, usec_t period, const struct frame *frame);

void energy_new_day(struct energy *e); /* local midnight has passed on a synchronised clock */
void energy_clear(struct energy *e);   /* `energy clear`: totals to 0; today goes on. Not before energy_restore() */

/* None until restored. */
struct maybe64 energy_today_mwh(const struct energy *e, enum energy_counter counter);
struct maybe64 energy_total_mwh(const struct energy *e, enum energy_counter counter);
