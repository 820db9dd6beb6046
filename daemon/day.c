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
        if (d->known) /* the clock was quicker than the card: what was counted since is little */
                return;
        d->known = true;
        d->today = today;
}

struct maybe64 day_today(const struct day *d) {
        return d->known ? some64(d->today) : none64();
}

static void begin(struct day *d, int64_t today, int32_t utc_offset) {
        d->known = true;
        d->today = today;
        d->offset = utc_offset;
}

bool day_passed(struct day *d, usec_t now, int64_t wall, int32_t utc_offset, struct day_passed *ret_passed) {
        const int64_t today = local_day(wall, utc_offset);
        const int64_t step = wall - d->wall - (int64_t)(usec_since(now, d->at) / USEC_PER_SEC);
        const bool first = d->at == 0, was_set = !first && llabs(step) > DAY_STEP_SEC;

        d->wall = wall;
        d->at = now;
        if (!d->known || was_set) {
                begin(d, today, utc_offset);
                return false;
        }
        if (first)
                d->offset = utc_offset; /* of an earlier run's day it is not known: as now */
        if (today <= d->today) /* the clock was drawn back a little across midnight: that day has ended already */
                return false;
        *ret_passed = (struct day_passed){
                .day = d->today,
                .length_usec = (usec_t)((today - d->today) * DAY_SEC - (utc_offset - d->offset)) * USEC_PER_SEC,
        };
        begin(d, today, utc_offset);
        return true;
}

bool day_passed_now(struct day *d, usec_t now, int64_t wall, struct day_passed *ret_passed) {
        const time_t t = (time_t)wall;
        struct tm local;

        return localtime_r(&t, &local) && day_passed(d, now, wall, (int32_t)local.tm_gmtoff, ret_passed);
}
