/* SPDX-License-Identifier: MIT */
#pragma once

/* The daemon's only clock for decisions: CLOCK_BOOTTIME, which neither the wall clock nor a suspended machine
 * disturbs. */

#include <time.h>

#include "units.h"

static inline usec_t clock_now(void) {
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts); /* cannot fail on Linux since 2.6.39 */
        return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}
