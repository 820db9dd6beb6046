/* SPDX-License-Identifier: MIT */

/* Chains that start with oscillators at random over +-10 %, and stay right while it gets warmer.
 *
 *   startup IN_IMAGE CELL_IMAGE CELLS WARM_SECONDS SEED...     each seed at 1.0 and at 0.5 s
 *
 * Within 60 s the frames at the end must be right (58 bytes, checksum, bit 2 clear, count, sum and extremes
 * within 20 mV and 5 degC a cell), and every one after that for ten cycles and for WARM_SECONDS: then
 * temperatures rise by 5 degC a minute, with oscillators at random within +-0.05 %/degC and +-2 %/V, and in
 * the middle of it all supplies drop by 0.5 V at once. Exits 1 if not. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hardware.h"
#include "listener.h"

#define START_MAX_S 60.0
#define CALM_CYCLES 10
#define DEGC_PER_S (5.0 / 60)
#define DROP_V 0.5

struct run {
        struct boards *boards;
        struct listener last;
        double since; /* all right since then; 0 = not */
        unsigned right, wrong_after;
        double moment_of_drop;
        double first_wrong;
        const char *what;
};

static const char *far_off(const struct run *r, const uint8_t *f) {
        double sum = 0, low = 1e9, high = 0, cold = 1e9, hot = -1e9;

        for (unsigned i = 1; i <= r->boards->n; i++) {
                const struct board *b = r->boards->board[i];

                sum += b->volts;
                low = fmin(low, b->volts);
                high = fmax(high, b->volts);
                cold = fmin(cold, b->degc);
                hot = fmax(hot, b->degc);
        }
        if (fabs(frame_get24(f + FRAME_OFF_PACK_VOLTAGE) * 0.005 - sum) > 0.02 * r->boards->n)
                return "pack voltage";
        if (fabs(frame_get16(f + FRAME_OFF_LOWEST_VOLTAGE) * 0.005 - low) > 0.02 ||
            fabs(frame_get16(f + FRAME_OFF_HIGHEST_VOLTAGE) * 0.005 - high) > 0.02)
                return "extreme voltage";
        if (fabs(frame_get16(f + FRAME_OFF_LOWEST_TEMPERATURE) - 276.0 - cold) > 5 ||
            fabs(frame_get16(f + FRAME_OFF_HIGHEST_TEMPERATURE) - 276.0 - hot) > 5)
                return "extreme temperature";
        return "";
}

static void on_last(void *user, const struct message *m) {
        struct run *r = user;
        const char *what = message_unsound(m, r->boards->n);

        /* A frame that was under way when all voltages jumped has some of both. */
        if (!*what && fabs(m->start - r->moment_of_drop) > 1.1)
                what = far_off(r, m->bytes);
        if (*what) {
                if (r->boards->now > START_MAX_S && r->wrong_after++ == 0) {
                        r->first_wrong = m->start;
                        r->what = what;
                }
                r->since = 0;
                r->right = 0;
                return;
        }
        if (r->right++ == 0)
                r->since = m->start;
}

static void go(struct run *r, double until) {
        while (r->boards->now < until) {
                boards_run(r->boards, fmin(until, r->boards->now + 0.05));
                listener_poll(&r->last, r->boards->now);
        }
}

static void warm(struct run *r, double seconds) {
        struct boards *c = r->boards;
        double begin = c->now;

        while (c->now < begin + seconds) {
                bool drop = r->moment_of_drop < 0 && c->now >= begin + seconds / 2;

                if (drop)
                        r->moment_of_drop = c->now;
                for (unsigned i = 1; i <= c->n; i++)
                        boards_cell(c, i, test_volts(i) + 0.3 - (r->moment_of_drop >= 0 ? DROP_V : 0),
                                    test_degc(i) + (c->now - begin) * DEGC_PER_S);
                go(r, c->now + 0.5);
        }
}

static double worst_clock(const struct boards *c) {
        double worst = 0;

        for (unsigned i = 2; i <= c->n; i++)
                worst = fmax(worst, fabs(c->board[i]->mcu.hz / HARDWARE_CELL_CLOCK_HZ - 1));
        return worst;
}

static bool run(const struct chain_test *test, double warm_s) {
        struct run r = {.moment_of_drop = -1e9};
        double calm_since, error;
        bool good;

        r.boards = chain_test_make(test);
        for (unsigned i = 1; i <= r.boards->n; i++)
                boards_cell(r.boards, i, test_volts(i) + 0.3, test_degc(i));
        r.last.heard = on_last;
        r.last.user = &r;
        listener_on_board(&r.last, r.boards->board[r.boards->n]);
        while (r.boards->now < START_MAX_S && r.right < CALM_CYCLES)
                go(&r, r.boards->now + 0.5);
        calm_since = r.since;
        if (warm_s > 0)
                go(&r, START_MAX_S);
        error = worst_clock(r.boards);
        if (warm_s > 0)
                warm(&r, warm_s);
        good = calm_since > 0 && r.right >= CALM_CYCLES && r.wrong_after == 0;
        (void)printf("%u boards, %.1f s, seed %llu: right from %.1f s on, clocks within %.2f %%", r.boards->n,
                     test->fast ? 0.5 : 1.0, (unsigned long long)test->seed, calm_since, error * 100);
        if (warm_s > 0)
                (void)printf("; %.0f s warmer: %u wrong, clocks within %.2f %%", warm_s, r.wrong_after,
                             worst_clock(r.boards) * 100);
        if (r.what)
                (void)printf(" (first: %s at %.1f s)", r.what, r.first_wrong);
        (void)printf("  %s\n", good ? "ok" : "MISSED");
        (void)fflush(stdout);
        boards_free(r.boards);
        return good;
}

int main(int argc, char **argv) {
        struct chain_test test = {.spread = 0.1, .per_degc = 0.0005, .noise_lsb = 0.5};
        bool good = true;

        if (argc < 6) {
                (void)fprintf(stderr, "usage: %s IN_IMAGE CELL_IMAGE CELLS WARM_SECONDS SEED...\n", argv[0]);
                return 2;
        }
        test.in_image = argv[1];
        test.cell_image = argv[2];
        test.cells = test.configured = (unsigned)strtoul(argv[3], NULL, 10);
        for (int i = 5; i < argc; i++)
                for (int fast = 0; fast < 2; fast++) {
                        test.seed = strtoull(argv[i], NULL, 10);
                        test.fast = fast;
                        good = run(&test, strtod(argv[4], NULL)) && good;
                }
        return good ? 0 : 1;
}
