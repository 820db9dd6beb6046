/* SPDX-License-Identifier: MIT */

/* What the IN board's extended output carries when nothing returns, in the real image (R9 of docs/chain.md):
 * the last board dies at many moments of the cycle, and comes back.
 *
 *   ring IN_IMAGE CELL_IMAGE MOMENTS
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "listener.h"

#define CELLS 4
#define QUIET_S 0.200
#define LOST_CYCLES 3.0
/* The IN board looks 50 times a second, but not while it measures, for 80 ms. */
#define LOOK_S 0.1
#define BACK_S 16.0

struct run {
        struct boards *boards;
        struct listener last, extended;
        double cycle;
        double returned, end;      /* first byte of the last whole return; end of the last on the output */
        double first_alone, alone; /* the first frame with count 0 since a death, and the last */
        double quiet_min, late_max, early_min;
        unsigned n_alone, n_output, failures;
        bool hears;
};

static void fail(struct run *r, const char *what, double value) {
        r->failures++;
        (void)printf("  %.3f s: %s: %.4f\n", r->boards->now, what, value);
}

static void on_last(void *user, const struct message *m) {
        struct run *r = user;

        if (m->n == FRAME_SIZE)
                r->returned = m->start;
}

static void on_extended(void *user, const struct message *m) {
        struct run *r = user;
        const uint8_t *p = m->bytes;

        if (!r->hears)
                return;
        r->n_output++;
        if (r->end > 0)
                r->quiet_min = fmin(r->quiet_min, m->start - r->end);
        r->end = m->end;
        if (m->n != FRAME_SIZE) {
                fail(r, "bytes of a message", m->n);
                return;
        }
        if (p[FRAME_OFF_COUNT] != 0)
                return;
        if (frame_checksum(p) != p[FRAME_OFF_CHECKSUM])
                fail(r, "checksum", p[FRAME_OFF_CHECKSUM]);
        /* Own frame: one cell's voltage, no detail, not calibrated, in doubt. */
        if (p[FRAME_OFF_DETAIL_CELL] || frame_get16(p + FRAME_OFF_DETAIL_VOLTAGE) ||
            frame_get16(p + FRAME_OFF_DETAIL_TEMPERATURE) || p[FRAME_OFF_STATUS] != 0x84 ||
            fabs(frame_get24(p) * 0.005 - test_volts(1)) > 0.02)
                fail(r, "the IN board's own frame is something else, status", p[FRAME_OFF_STATUS]);
        if (r->n_alone == 0)
                r->first_alone = m->start;
        /* The second may be skipped, when it begins too soon after the first. */
        else if (m->start - r->alone > r->cycle + (r->n_alone == 1 ? QUIET_S + 0.07 : 0.001))
                fail(r, "from one frame without return to the next", m->start - r->alone);
        r->alone = m->start;
        r->n_alone++;
}

static void go(struct run *r, double seconds) {
        double until = r->boards->now + seconds;

        while (r->boards->now < until) {
                boards_run(r->boards, fmin(until, r->boards->now + 0.05));
                listener_poll(&r->last, r->boards->now);
                listener_poll(&r->extended, r->boards->now);
        }
}

static void death(struct run *r, double moment) {
        double late;

        go(r, moment * r->cycle);
        r->n_alone = 0;
        boards_power(r->boards, CELLS, false);
        go(r, 8 * r->cycle);
        if (r->n_alone < 3) {
                fail(r, "frames without return", r->n_alone);
        } else {
                late = r->first_alone - r->returned - LOST_CYCLES * r->cycle;
                r->early_min = fmin(r->early_min, late);
                r->late_max = fmax(r->late_max, late);
                /* The return is known by its first byte's end. */
                if (late < 0 || late > LOOK_S)
                        fail(r, "after 3.0 cycles", late);
        }
        boards_power(r->boards, CELLS, true);
        go(r, BACK_S);
        r->n_alone = 0;
        go(r, 4 * r->cycle);
        if (r->n_alone > 0)
                fail(r, "frames without return, though it returns", r->n_alone);
}

static void deaths(struct run *r, const struct chain_test *test, unsigned moments) {
        r->boards = chain_test_make(test);
        r->cycle = test->fast ? 0.5 : 1.0;
        r->quiet_min = r->early_min = 1e9;
        r->last.heard = on_last;
        r->extended.heard = on_extended;
        r->last.user = r->extended.user = r;
        listener_on_board(&r->last, r->boards->board[CELLS]);
        listener_on_extended(&r->extended, r->boards->board[1]);
        go(r, 25);
        r->hears = true;
        for (unsigned i = 0; i < moments; i++)
                death(r, (double)i / moments);
        if (r->quiet_min < QUIET_S)
                fail(r, "quiet", r->quiet_min);
        (void)printf("ring, %.1f s: %u deaths, %u messages, quiet >= %.4f s, told %.4f..%.4f s after 3.0 "
                     "cycles, %u "
                     "failures\n",
                     r->cycle, moments, r->n_output, r->quiet_min, r->early_min, r->late_max, r->failures);
        boards_free(r->boards);
}

int main(int argc, char **argv) {
        struct chain_test test = {.cells = CELLS, .configured = CELLS, .seed = 1, .spread = 0.02};
        unsigned moments = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0, failures = 0;

        if (moments == 0) {
                (void)fprintf(stderr, "usage: %s IN_IMAGE CELL_IMAGE MOMENTS\n", argv[0]);
                return 2;
        }
        test.in_image = argv[1];
        test.cell_image = argv[2];
        for (unsigned fast = 0; fast < 2; fast++) {
                static struct run r[2];

                test.fast = fast;
                deaths(&r[fast], &test, moments);
                failures += r[fast].failures;
        }
        return failures ? 1 : 0;
}
