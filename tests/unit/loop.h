/* SPDX-License-Identifier: MIT */
#pragma once

/* For tests of the adapters: runs a real event loop until something has happened, or gives up. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "clock.h"

/* True as soon as *condition >= wanted; false after timeout. */
static inline bool loop_until(sd_event *event, const unsigned *condition, unsigned wanted, usec_t timeout) {
        usec_t end = clock_now() + timeout, now;

        while (*condition < wanted && (now = clock_now()) < end)
                if (sd_event_run(event, end - now) < 0)
                        return false;
        return *condition >= wanted;
}

static inline void loop_for(sd_event *event, usec_t span) {
        static const unsigned never = 0;

        (void)loop_until(event, &never, 1, span);
}
