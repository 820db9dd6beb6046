/* SPDX-License-Identifier: MIT */
#include "day.h"

#include <stdlib.h>
#include <time.h>

#define DAY_SEC INT64_C(86400)

void day_restore(struct day *d, int64_t today) {
        if (d->known) /* the clock was quicker than the card: what was counted since is little */
                return;
        d->known = true;
        d->today = today;
        d->began = none64();
}

struct maybe64 day_today(const struct day *d) {
        return d->known ? some64(d->today) : none64();
}

usec_t day_so_far(const struct day *d) {
        if (d->at == 0 || !d->began.known || d->wall < d->began.value)
                return 0;
        return (usec_t)(d->wall - d->began.value) * USEC_PER_SEC;
}

static void begin(struct day *d, int64_t today, int64_t began) {
        d->known = true;
        d->today = today;
        d->began = some64(began);
}

bool day_passed(struct day *d, usec_t now, int64_t wall, int64_t today, int64_t began, struct day_passed *ret_passed) {
        const int64_t step = wall - d->wall - (int64_t)(usec_since(now, d->at) / USEC_PER_SEC);
        const bool was_set = d->at != 0 && llabs(step) > DAY_STEP_SEC;

        d->wall = wall;
        d->at = now;
        /* "Today" of an earlier run may be years ahead, by a clock that was: nobody waits for that to end. */
        if (!d->known || was_set || today < d->today - 1) {
                begin(d, today, began);
                return false;
        }
        if (today <= d->today) /* the clock was drawn back a little across midnight: that day has ended already */
                return false;
        *ret_passed = (struct day_passed){
                .day = d->today,
                .length_usec = (d->began.known ? (usec_t)(began - d->began.value)
                                               : (usec_t)((today - d->today) * DAY_SEC)) * USEC_PER_SEC,
        };
        begin(d, today, began);
        return true;
}

/* How far local time is off then, s. */
static bool offset_at(int64_t wall, int64_t *ret_offset) {
        const time_t t = (time_t)wall;
        struct tm local;

        if (!localtime_r(&t, &local))
                return false;
        *ret_offset = local.tm_gmtoff;
        return true;
}

/* When a local day began: at its midnight by the offset of the second before, for there are zones that change their
 * clocks at that moment, too. Asked twice, because what is asked for decides when that second was; offset: some
 * day's near it. */
static bool began_at(int64_t day, int64_t offset, int64_t *ret_began) {
        for (int i = 0; i < 2; i++)
                if (!offset_at(day * DAY_SEC - offset - 1, &offset))
                        return false;
        *ret_began = day * DAY_SEC - offset;
        return true;
}

bool day_passed_now(struct day *d, usec_t now, int64_t wall, struct day_passed *ret_passed) {
        int64_t offset, local, today, began;

        if (!offset_at(wall, &offset))
                return false;
        local = wall + offset;
        today = local >= 0 ? local / DAY_SEC : -((-local + DAY_SEC - 1) / DAY_SEC);
        if (!began_at(today, offset, &began))
                return false;
        /* What an earlier run kept is the day alone. */
        if (d->known && !d->began.known)
                d->began.known = began_at(d->today, offset, &d->began.value);
        return day_passed(d, now, wall, today, began, ret_passed);
}
