/* SPDX-License-Identifier: MIT */
#pragma once

/* The daemon's only clock for decisions: CLOCK_BOOTTIME, which neither the wall clock nor a suspended machine
 * disturbs. Its zero lies CLOCK_EPOCH_USEC before the boot: what an earlier run did (a closing an hour ago, P14)
 * has a time on it too, however lately the machine has started. */

#include <time.h>

#include "units.h"

#define CLOCK_EPOCH_USEC (60 * USEC_PER_DAY)

static inline usec_t clock_now(void) {
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts); /* cannot fail on Linux since 2.6.39 */
        return CLOCK_EPOCH_USEC + (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

/* The same moment as CLOCK_BOOTTIME says it: for timers, and for who reads it outside. 0 for one before the boot.
 */
static inline usec_t clock_boottime(usec_t t) {
        return usec_since(t, CLOCK_EPOCH_USEC);
}
