/* SPDX-License-Identifier: MIT */
#pragma once

/* When does "today" end (design 7)? At local midnight, by a clock that can be trusted (wall-clock.h): once each, in a
 * day of 23 or 25 hours too, and also when the daemon was off at that moment. A clock that is found wrong by days ends
 * no day. Pure but for day_passed_now(), which asks for the time zone's rules: clocks are arguments. */

#include "units.h"

struct day {
        bool known;          /* today is */
        int64_t today;       /* local days since 1970-01-01 */
        struct maybe64 began; /* s since 1970 UTC; none after day_restore() */
        int64_t wall;        /* of the newest call, s since 1970 UTC */
        usec_t at;           /* and by the monotonic clock; 0 = no call yet */
};

/* A wall clock that moves more than a day otherwise than the monotonic one says nothing about what has passed. By
 * less: a midnight that it jumps over is over, and one that it jumps back over is not begun again. */
#define DAY_STEP_SEC 86400

struct day_passed {
        int64_t day;        /* the day that is over */
        usec_t length_usec; /* what its counters cover: 23, 24 or 25 h; several days if the daemon was off meanwhile */
};

/* "Today" was this day when an earlier run ended: a midnight since then ends it as soon as the clock is known. */
void day_restore(struct day *d, int64_t today);

/* None until it is known. */
struct maybe64 day_today(const struct day *d);

/* How much of it is over, by the newest call; 0 if that is not known. */
usec_t day_so_far(const struct day *d);

/* Call every second or so, once the wall clock is known (wall-clock.h). wall: s since 1970, UTC; today: the local day
 * that it is then, and began: when that one began, as wall. True: a new day has begun, and *ret_passed is the one that
 * ended. */
bool day_passed(struct day *d, usec_t now, int64_t wall, int64_t today, int64_t began, struct day_passed *ret_passed);

/* The same by this machine's time zone; tzset() must have been called (no file is read here). */
bool day_passed_now(struct day *d, usec_t now, int64_t wall, struct day_passed *ret_passed);
