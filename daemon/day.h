/* SPDX-License-Identifier: MIT */
#pragma once

/* When does "today" end (design 7)? At local midnight, once the clock has been synchronised; a clock that is
 * set by hand or found wrong by years ends no day. Pure: both clocks are arguments. */

#include "units.h"

struct day {
        bool known;    /* the clock was synchronised at some time in this run */
        int64_t today; /* local days since 1970-01-01 */
        int64_t wall;  /* of the newest call, s since 1970 UTC */
        usec_t at;
};

/* A wall clock that moves this much otherwise than the monotonic one was set, and did not pass a midnight. */
#define DAY_STEP_SEC 60

/* Call every second or so. wall: s since 1970, UTC. utc_offset: of the local time then, s. True: a new day
 * has begun. */
bool day_passed(struct day *d, usec_t now, int64_t wall, int32_t utc_offset, bool synchronised);

/* The same from this machine's clocks; tzset() must have been called (no file is read here). */
bool day_passed_now(struct day *d, usec_t now);
