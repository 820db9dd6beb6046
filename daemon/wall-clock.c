/* SPDX-License-Identifier: MIT */
#include "wall-clock.h"

#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>

static bool agree(int64_t a, int64_t b) {
        return llabs(a - b) <= WALL_CLOCK_STEP_USEC;
}

void wall_clock_take(struct wall_clock *c, usec_t now, int64_t wall_usec, bool synchronised) {
        const int64_t zero = wall_usec - (int64_t)now;

        if (!synchronised) {
                c->doubted_usec = none64();
                return;
        }
        if (c->zero_usec.known && !agree(zero, c->zero_usec.value)) {
                if (!c->doubted_usec.known || !agree(zero, c->doubted_usec.value)) {
                        c->doubted_usec = some64(zero);
                        c->doubted_since = now;
                }
                if (usec_since(now, c->doubted_since) < WALL_CLOCK_DOUBT_USEC)
                        return;
        }
        c->zero_usec = some64(zero);
        c->doubted_usec = none64();
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
