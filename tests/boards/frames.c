/* SPDX-License-Identifier: MIT */

/* Chains of boards with their real images: is every frame at the end right, how long does it take, how long
 * is a board awake?
 *
 *   frames IN_IMAGE CELL_IMAGE CYCLES SPEC...      SPEC: CELLS[/CONFIGURED][f][+SEED], f = 0.5 s
 *
 * Oscillators start at random within +-10 %. A chain has 60 s to start; from its first right frame on, one
 * rotation to tell each cell's reading, which must fit the cell; then every message of CYCLES cycles must
 * have 58 bytes, a good checksum, bit 2 clear, the count, the exact sum, the extremes with their numbers, the
 * next cell's detail. Exits 1 if one does not, or if a time of docs/chain.md is missed. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listener.h"

#define START_MAX_S 60.0
#define HOP_MAX_S 0.00325
#define CHAIN_MAX_S 0.83
#define LAST_BYTE_MAX_S 0.90
#define LATENCY_MAX_S 200e-6

#define STARTS 8
#define HOP_LEAST_S 0.0027 /* two characters and most of a third, on a wire that nothing is faster than */

enum phase { STARTING, LEARNING, JUDGING };

struct run {
        struct chain_test test;
        struct boards *boards;
        struct listener in, last, extended;
        struct vendor vendor;
        struct truth truth;
        enum phase phase;
        double started, in_starts[STARTS];
        unsigned n_in;
        unsigned judged, wrong, previous_detail, extended_wrong;
        double hops, chain_max, last_byte_max;
};

static void complain(struct run *r, const struct message *m, const char *what) {
        if (r->wrong++ >= 5)
                return;
        (void)printf("  %.3f s: %s:", m->start, what);
        for (unsigned i = 0; i < m->n && i < LISTENER_MAX; i++)
                (void)printf(" %02x", m->bytes[i]);
        (void)printf("\n");
}

static void on_in(void *user, const struct message *m) {
        struct run *r = user;

        r->in_starts[r->n_in++ % STARTS] = m->start;
}

static void times(struct run *r, const struct message *m) {
        double chain = 0, last;

        /* IN begins the next message before the end of a long chain has this one. */
        for (unsigned i = 1; i <= STARTS && i <= r->n_in; i++) {
                chain = m->start - r->in_starts[(r->n_in - i) % STARTS];
                if (chain >= HOP_LEAST_S * (r->test.cells - 1))
                        break;
        }
        last = chain + m->end - m->start;
        r->hops += chain;
        if (chain > r->chain_max)
                r->chain_max = chain;
        if (last > r->last_byte_max)
                r->last_byte_max = last;
}

static void judge(struct run *r, const struct message *m, const char *unsound) {
        const char *what = unsound;
        unsigned detail = m->bytes[FRAME_OFF_DETAIL_CELL];

        if (!*what)
                what = truth_differs(&r->truth, m->bytes);
        if (!*what && r->judged > 0 && detail != r->previous_detail % r->test.cells + 1)
                what = "rotation";
        r->previous_detail = detail;
        r->judged++;
        if (*what)
                complain(r, m, what);
        times(r, m);
}

static void on_last(void *user, const struct message *m) {
        struct run *r = user;
        const char *unsound = message_unsound(m, r->test.cells);

        switch (r->phase) {
        case STARTING:
                if (*unsound)
                        return;
                r->phase = LEARNING;
                r->started = m->start;
                return;
        case LEARNING:
                if (*unsound) {
                        r->phase = STARTING; /* not yet */
                        return;
                }
                if (!truth_learn(&r->truth, r->boards, m->bytes))
                        complain(r, m, "reading far from the cell's");
                if (r->truth.known < r->test.cells)
                        return;
                r->phase = JUDGING;
                for (unsigned i = 1; i <= r->boards->n; i++)
                        board_watch(r->boards->board[i]);
                r->vendor = (struct vendor){.next = r->boards->now};
                return;
        case JUDGING:
                judge(r, m, unsound);
                return;
        }
}

static void tap_last(void *user, const struct board *b, double start, double bit_s, uint8_t byte) {
        struct run *r = user;

        (void)b;
        listener_byte(&r->last, start, start + LINE_BITS * bit_s, byte);
        vendor_byte(&r->vendor, start + LINE_BITS * bit_s);
}

static void on_extended(void *user, const struct message *m) {
        struct run *r = user;

        if (r->phase == JUDGING && *message_unsound(m, r->test.cells))
                r->extended_wrong++;
}

static void shares(const struct run *r, unsigned number) {
        struct board *b = r->boards->board[number];
        const struct mcu_seen *s = &b->mcu.seen;
        double all;

        board_account(b);
        all = mcu_now(&b->mcu) - s->since;
        (void)printf("  board %3u: awake %.3f %%, idle %.3f %%, deeper %.3f %%, ADC on %.3f %%, supply on "
                     "%.3f %%, LED %.3f %%, "
                     "sending low %.3f %%, Hall on %.3f %%\n",
                     number, 100 * s->in_mode_s[MCU_AWAKE] / all, 100 * s->in_mode_s[MCU_IDLE] / all,
                     100 * (s->in_mode_s[MCU_ADC_SLEEP] + s->in_mode_s[MCU_POWER_DOWN]) / all,
                     100 * s->adc_on_s / all, 100 * b->seen.supply_s / all, 100 * b->seen.led_s / all,
                     100 * s->tx_low_s / all, 100 * b->seen.hall_s / all);
}

static bool report(struct run *r, unsigned cycles) {
        struct boards *c = r->boards;
        double latency = 0,
               hop = r->test.cells > 1 && r->judged ? r->hops / r->judged / (r->test.cells - 1) : 0;
        uint64_t overruns = 0, strays = 0;
        unsigned worst = 0;
        bool good;

        for (unsigned i = 1; i <= c->n; i++) {
                const struct mcu_seen *s = &c->board[i]->mcu.seen;

                overruns += s->overruns;
                strays += s->strays;
                if (s->strays)
                        (void)printf("  board %u: %s\n", i, s->stray);
                if (s->latency_max_s > latency) {
                        latency = s->latency_max_s;
                        worst = i;
                }
        }
        good = r->phase == JUDGING && r->judged >= cycles && r->wrong == 0 && r->extended_wrong == 0 &&
               overruns == 0 && strays == 0 && r->started <= START_MAX_S && hop <= HOP_MAX_S &&
               r->chain_max <= CHAIN_MAX_S && r->last_byte_max <= LAST_BYTE_MAX_S &&
               latency <= LATENCY_MAX_S && r->vendor.lost == 0 && r->vendor.messages + 1 >= r->judged;
        (void)printf("%3u cells%s, %u configured, seed %llu: start %.1f s, %u judged, %u wrong; hop %.3f ms, "
                     "chain %.4f s, last byte "
                     "%.4f s; latency %.0f us (board %u), overruns %llu, strays %llu; extended %llu (%u "
                     "wrong, edges %.1f us, "
                     "framing %llu); vendor's reader %llu, lost %llu  %s\n",
                     r->test.cells, r->test.fast ? " fast" : "", r->test.configured,
                     (unsigned long long)r->test.seed, r->started, r->judged, r->wrong, hop * 1e3,
                     r->chain_max, r->last_byte_max, latency * 1e6, worst, (unsigned long long)overruns,
                     (unsigned long long)strays, (unsigned long long)r->extended.messages, r->extended_wrong,
                     c->board[1]->ear.worst_edge_s * 1e6, (unsigned long long)c->board[1]->ear.framing_errors,
                     (unsigned long long)r->vendor.messages, (unsigned long long)r->vendor.lost,
                     good ? "ok" : "MISSED");
        shares(r, 1);
        if (c->n > 1)
                shares(r, 2);
        if (c->n > 3)
                shares(r, (c->n + 1) / 2);
        if (c->n > 2)
                shares(r, c->n);
        (void)fflush(stdout);
        return good;
}

static bool run(const struct chain_test *test, unsigned cycles) {
        struct run *r = calloc(1, sizeof(*r));
        struct boards *c;
        double limit;
        bool good;

        if (!r)
                exit(2);
        r->test = *test;
        r->boards = c = chain_test_make(test);
        r->in.heard = on_in;
        r->last.heard = on_last;
        r->extended.heard = on_extended;
        r->in.user = r->last.user = r->extended.user = r;
        listener_on_board(&r->in, c->board[1]);
        if (c->n > 1) {
                c->board[c->n]->tap = tap_last;
                c->board[c->n]->tap_user = r;
        }
        listener_on_extended(&r->extended, c->board[1]);
        limit = START_MAX_S + (3.0 * test->cells + 30 + cycles) * (test->fast ? 0.5 : 1.0);
        while (r->judged < cycles && c->now < limit) {
                boards_run(c, c->now + 0.05);
                listener_poll(&r->in, c->now);
                listener_poll(&r->last, c->now);
                listener_poll(&r->extended, c->now);
                vendor_poll(&r->vendor, c->now);
        }
        good = report(r, cycles);
        boards_free(c);
        free(r);
        return good;
}

static bool parse(const char *spec, struct chain_test *t) {
        char *end;

        t->cells = (unsigned)strtoul(spec, &end, 10);
        t->configured = t->cells;
        t->seed = 1;
        t->fast = false;
        if (*end == '/')
                t->configured = (unsigned)strtoul(end + 1, &end, 10);
        if (*end == 'f') {
                t->fast = true;
                end++;
        }
        if (*end == '+')
                t->seed = strtoull(end + 1, &end, 10);
        return !*end && t->cells >= 2 && t->cells <= BOARDS_MAX && t->configured <= BOARDS_MAX;
}

int main(int argc, char **argv) {
        struct chain_test test = {.spread = 0.1};
        unsigned cycles = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
        bool good = true;

        if (argc < 5 || cycles == 0) {
                (void)fprintf(stderr,
                              "usage: %s IN_IMAGE CELL_IMAGE CYCLES CELLS[/CONFIGURED][f][+SEED]...\n",
                              argv[0]);
                return 2;
        }
        test.in_image = argv[1];
        test.cell_image = argv[2];
        for (int i = 4; i < argc; i++) {
                if (!parse(argv[i], &test)) {
                        (void)fprintf(stderr, "not understood: %s\n", argv[i]);
                        return 2;
                }
                good = run(&test, cycles) && good;
        }
        return good ? 0 : 1;
}
