/* SPDX-License-Identifier: MIT */
#include "wall-clock.h"

#include <sys/timex.h>
#include <time.h>

void wall_clock_take(struct wall_clock *c, usec_t now, int64_t wall_usec, bool synchronised) {
        if (synchronised)
                c->zero_usec = some64(wall_usec - (int64_t)now);
}

void wall_clock_read(struct wall_clock *c, usec_t now) {
        struct timex tx = {.modes = 0};
        struct timespec t;
        int state;

        state = adjtimex(&tx);
        if (clock_gettime(CLOCK_REALTIME, &t) < 0) /* cannot be */
                return;
        wall_clock_take(c, now, (int64_t)t.tv_sec * (int64_t)USEC_PER_SEC + t.tv_nsec / 1000,
                        state >= 0 && !(tx.status & STA_UNSYNC));
}

struct maybe64 wall_clock_at(const struct wall_clock *c, usec_t at) {
        return c->zero_usec.known ? some64(c->zero_usec.value + (int64_t)at) : none64();
}
