/* SPDX-License-Identifier: MIT */
#include "day.h"

#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>

static int64_t local_day(int64_t wall, int32_t utc_offset) {
        int64_t local = wall + utc_offset;

        return local >= 0 ? local / 86400 : -((-local + 86399) / 86400);
}

bool day_passed(struct day *d, usec_t now, int64_t wall, int32_t utc_offset, bool synchronised) {
        int64_t today = local_day(wall, utc_offset);
        int64_t step = (wall - d->wall) - (int64_t)(usec_since(now, d->at) / USEC_PER_SEC);
        bool was_known = d->known;

        d->wall = wall;
        d->at = now;
        if (!was_known) {
                /* Once synchronised is enough: a house whose network is gone still has midnights. */
                d->known = synchronised;
                d->today = today;
                return false;
        }
        if (llabs(step) > DAY_STEP_SEC) {
                d->today = today;
                return false;
        }
        if (today <=
            d->today) /* the clock was drawn back a little across midnight: that day has ended already */
                return false;
        d->today = today;
        return true;
}

bool day_passed_now(struct day *d, usec_t now) {
        struct timex tx = {.modes = 0};
        time_t wall = time(NULL);
        struct tm local;

        if (!localtime_r(&wall, &local))
                return false;
        int state = adjtimex(&tx);
        return day_passed(d, now, wall, (int32_t)local.tm_gmtoff, state >= 0 && !(tx.status & STA_UNSYNC));
}
