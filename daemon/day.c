/* SPDX-License-Identifier: MIT */
#include "day.h"

#include <stdlib.h>
#include <time.h>

#define DAY_SEC INT64_C(86400)

static int64_t local_day(int64_t wall, int32_t utc_offset) {
        const int64_t local = wall + utc_offset;

        return local >= 0 ? local / DAY_SEC : -((-local + DAY_SEC - 1) / DAY_SEC);
}

void day_restore(struct day *d, int64_t today) {
        if (d->known) /* the clock was quicker than the card: what was counted since belongs to the new day, and is little */
                return;
        d->known = true;
        d->today = today;
}

struct maybe64 day_today(const struct day *d) {
        return d->known ? some64(d->today) : none64();
}

static void begin(struct day *d, int64_t today, int32_t utc_offset) {
        d->known = d->offset_known = true;
        d->today = today;
        d->offset = utc_offset;
}

bool day_passed(struct day *d, usec_t now, int64_t wall, int32_t utc_offset, struct day_passed *ret_passed) {
        const int64_t today = local_day(wall, utc_offset);
        const int64_t step = wall - d->wall - (int64_t)(usec_since(now, d->at) / USEC_PER_SEC);
        const bool was_set = d->at != 0 && llabs(step) > DAY_STEP_SEC;

        d->wall = wall;
        d->at = now;
        /* "Today" of an earlier run may be years ahead, by a clock that was: nobody waits for that to end. */
        if (!d->known || was_set || today < d->today - 1) {
                begin(d, today, utc_offset);
                return false;
        }
        if (!d->offset_known) {
                d->offset_known = true;
                d->offset = utc_offset;
        }
        if (today <= d->today) /* the clock was drawn back a little across midnight: that day has ended already */
                return false;
        *ret_passed = (struct day_passed){
                .day = d->today,
                .length_usec = (usec_t)((today - d->today) * DAY_SEC - (utc_offset - d->offset)) * USEC_PER_SEC,
        };
        begin(d, today, utc_offset);
        return true;
}

/* The offset that local time had at that moment. */
static bool offset_at(int64_t wall, int32_t *ret_offset) {
        const time_t t = (time_t)wall;
        struct tm local;

        if (!localtime_r(&t, &local))
                return false;
        *ret_offset = (int32_t)local.tm_gmtoff;
        return true;
}

bool day_passed_now(struct day *d, usec_t now, int64_t wall, struct day_passed *ret_passed) {
        int32_t offset = 0, began = 0;

        if (!offset_at(wall, &offset))
                return false;
        /* What an earlier run kept is the day alone: how far local time was off as it began, the zone knows. Asked twice,
         * because what is asked for decides when that was. */
        if (d->known && !d->offset_known)
                d->offset_known = offset_at(d->today * DAY_SEC - offset, &began) &&
                                  offset_at(d->today * DAY_SEC - began, &d->offset);
        return day_passed(d, now, wall, offset, ret_passed);
}
