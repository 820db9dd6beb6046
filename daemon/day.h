/* SPDX-License-Identifier: MIT */
#pragma once

/* When does "today" end (design 7)? At local midnight, once the clock has been synchronised; a clock that is found
 * wrong by
 * years ends no day. Pure but for day_passed_now(), which asks for the time zone's rules: clocks are arguments. */

#include "units.h"

struct day {
        bool known;     /* today is */
        int64_t today;  /* local days since 1970-01-01 */
        int32_t offset; /* of local time, s, as today began or was first known */
        int64_t wall;   /* of the newest call, s since 1970 UTC */
        usec_t at;      /* and by the monotonic clock; 0 = no call yet */
};

/* A wall clock that moves this much otherwise than the monotonic one was set, and did not pass a midnight. */
#define DAY_STEP_SEC 60

struct day_passed {
        int64_t day;        /* the day that is over */
        usec_t length_usec; /* what its counters cover: 23, 24 or 25 h; several days if the daemon was off meanwhile */
};

/* "Today" was this day when an earlier run ended: a midnight since then ends it as soon as the clock is known. */
void day_restore(struct day *d, int64_t today);

/* None until it is known. */
struct maybe64 day_today(const struct day *d);

/* Call every second or so, once the wall clock is known (wall-clock.h). wall: s since 1970, UTC. utc_offset: of the
 * local time
 * then, s. True: a new day has begun, and *ret_passed is the one that ended. */
bool day_passed(struct day *d, usec_t now, int64_t wall, int32_t utc_offset, struct day_passed *ret_passed);

/* The same by this machine's time zone; tzset() must have been called (no file is read here). */
bool day_passed_now(struct day *d, usec_t now, int64_t wall, struct day_passed *ret_passed);
