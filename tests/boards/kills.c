/* SPDX-License-Identifier: MIT */

/* Each board of a chain killed and revived, heard by lib/ at the IN board's extended data output and at the
 * last board's.
 *
 *   kills IN_IMAGE CELL_IMAGE CELLS STRIDE SEED...      at 1.0 and 0.5 s; STRIDE 1: each board
 *
 * What it must show: the warning names the place on the first orphan frame (at most 3 cycles after the last
 * frame began, good or torn: 30 bytes of one put an orphan off, R10), both relays are open within 5 s of the
 * last good one; revived with its stored trim the board lets a right frame through within 5 cycles, with a
 * blank EEPROM within 8. Exits 1 if not. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway.h"
#include "listener.h"

#define STEP_S 0.01
#define START_MAX_S 60.0
#define WARN_CYCLES 3.0
#define ORPHAN_S                                                                                             \
        0.075 /* the orphan frame itself, and its way through the chain comes on top: 3.25 ms a hop */
#define HOP_S 0.00325
#define OPEN_S 5.0
#define STORED_CYCLES 5
#define BLANK_CYCLES 8

struct run {
        struct chain_test test;
        struct boards *boards;
        struct listener last, extended;
        struct gateway at_in, at_last;
        double good_start,
                good_after; /* of the newest good message at the end; the first one after a moment */
        double since, killed, begun;
        double worst_warning[2], worst_open, worst_stored, worst_blank;
        unsigned missed;
};

static double cycle(const struct run *r) {
        return r->test.fast ? 0.5 : 1.0;
}

static void on_last(void *user, const struct message *m) {
        struct run *r = user;

        /* Torn by the kill, or the last one whole: what is on its way may take the whole chain. */
        if (m->n >= 30 && m->start < r->killed + 0.1)
                r->begun = m->start;
        if (*message_unsound(m, r->test.cells))
                return;
        r->good_start = m->start;
        if (r->since >= 0 && m->start >= r->since && r->good_after < 0)
                r->good_after = m->start;
}

static void tap_last(void *user, const struct board *b, double start, double bit_s, uint8_t byte) {
        struct run *r = user;

        (void)b;
        listener_byte(&r->last, start, start + LINE_BITS * bit_s, byte);
        gateway_byte(&r->at_last, start + LINE_BITS * bit_s, byte);
}

static void heard(void *user, double start, double end, uint8_t byte, bool framing_error) {
        struct run *r = user;

        (void)start, (void)framing_error;
        gateway_byte(&r->at_in, end, byte);
}

static void go(struct run *r, double seconds) {
        double until = r->boards->now + seconds;

        while (r->boards->now < until) {
                boards_run(r->boards, r->boards->now + STEP_S);
                listener_poll(&r->last, r->boards->now);
                gateway_tick(&r->at_in, r->boards->now);
                gateway_tick(&r->at_last, r->boards->now);
        }
}

static bool healthy(const struct run *r) {
        const struct gateway *a = &r->at_in, *b = &r->at_last;

        return a->closed[RELAY_CHARGE] && a->closed[RELAY_LOAD] && !a->bms.link.warning &&
               b->closed[RELAY_CHARGE] && b->closed[RELAY_LOAD] && !b->bms.link.warning;
}

static bool await_healthy(struct run *r, double seconds) {
        double until = r->boards->now + seconds;

        while (!healthy(r) && r->boards->now < until)
                go(r, 0.5);
        return healthy(r);
}

static void miss(struct run *r, unsigned board, const char *what, double value) {
        r->missed++;
        (void)printf("  board %u: %s (%.2f)\n", board, what, value);
}

/* What must be said, as lib/link.c has it. */
static void expected_text(const struct run *r, unsigned board, bool at_in, char *text, size_t size) {
        if (board == 1)
                (void)snprintf(text, size, "no data from the IN board");
        else if (board < r->test.cells)
                (void)snprintf(text, size, "board %u, or the link from it to board %u", board, board + 1);
        else if (at_in)
                (void)snprintf(text, size, "the last board (%u), or the ring return", board);
        else
                (void)snprintf(text, size, "no data from the last board");
}

static void check_warning(struct run *r, unsigned board, bool at_in, double last_good) {
        struct gateway *g = at_in ? &r->at_in : &r->at_last;
        /* Nobody sends an orphan to a listener whose own board is dead. */
        bool silent = board == (at_in ? 1 : r->test.cells);
        double open = fmax(g->changed_at[RELAY_CHARGE], g->changed_at[RELAY_LOAD]) - last_good;
        double allowed = WARN_CYCLES * cycle(r) + ORPHAN_S + (r->test.cells - board + 1) * HOP_S;
        double warned = g->warned_at - fmax(last_good, r->begun);
        char want[100], text[200];

        expected_text(r, board, at_in, want, sizeof(want));
        if (!strstr(gateway_text(g, r->boards->now, text, sizeof(text)), want)) {
                miss(r, board, at_in ? "IN's output: wrong words" : "last board: wrong words", 0);
                (void)printf("    %s\n", text);
        }
        if (!silent && !(warned >= 0 && warned <= allowed))
                miss(r, board, at_in ? "IN's output: warning after s" : "last board: warning after s",
                     warned);
        if (!silent && warned > r->worst_warning[at_in])
                r->worst_warning[at_in] = warned;
        if (g->closed[RELAY_CHARGE] || g->closed[RELAY_LOAD] || open > OPEN_S)
                miss(r, board, at_in ? "IN's output: relays open after s" : "last board: relays open after s",
                     open);
        if (open > r->worst_open)
                r->worst_open = open;
}

static void revive(struct run *r, unsigned board, bool blank) {
        struct boards *c = r->boards;
        double cycles, allowed = blank ? BLANK_CYCLES : STORED_CYCLES;

        if (blank)
                memset(c->board[board]->mcu.eeprom, 0xFF, MCU_EEPROM_SIZE);
        r->good_after = -1;
        r->since = c->now;
        boards_power(c, board, true);
        go(r, 12 * cycle(r));
        /* When IN began it: its way through the chain is no part of the waiting. */
        cycles = r->good_after < 0 ? 99 : (r->good_after - (r->test.cells - 1) * HOP_S - r->since) / cycle(r);
        if (cycles > allowed)
                miss(r, board,
                     blank ? "blank EEPROM: right frame after cycles"
                           : "stored trim: right frame after cycles",
                     cycles);
        if (cycles > (blank ? r->worst_blank : r->worst_stored))
                *(blank ? &r->worst_blank : &r->worst_stored) = cycles;
        if (!await_healthy(r, 30))
                miss(r, board, "not healthy again", 0);
}

static void kill_one(struct run *r, unsigned board, bool blank, double phase) {
        double last_good;

        go(r, phase * cycle(r));
        boards_power(r->boards, board, false);
        r->killed = r->boards->now;
        go(r, 0.1);
        last_good = r->good_start;
        go(r, 7);
        if (r->good_start > last_good)
                last_good = r->good_start; /* it had passed the board already */
        check_warning(r, board, true, last_good);
        check_warning(r, board, false, last_good);
        revive(r, board, blank);
}

static bool run(const struct chain_test *test, unsigned stride) {
        static struct run all;
        struct run *r = &all;

        memset(r, 0, sizeof(*r));
        r->test = *test;
        r->since = r->good_after = r->killed = r->begun = -1;
        r->boards = chain_test_make(test);
        for (unsigned i = 1; i <= r->boards->n; i++)
                boards_cell(r->boards, i, 3.3 + 0.005 * (i % 3), 20 + i % 4);
        r->last.heard = on_last;
        r->last.user = r;
        r->boards->board[r->boards->n]->tap = tap_last;
        r->boards->board[r->boards->n]->tap_user = r;
        r->boards->board[1]->ear.heard = heard;
        r->boards->board[1]->ear.user = r;
        gateway_init(&r->at_in, 0, TAP_IN, test->cells);
        gateway_init(&r->at_last, 0, TAP_LAST, test->cells);
        if (!await_healthy(r, START_MAX_S))
                miss(r, 0, "no start", r->boards->now);
        go(r, 5);
        for (unsigned board = 1; board <= test->cells && !(r->missed && board == 1); board += stride)
                for (int blank = 0; blank < 2; blank++)
                        kill_one(r, board, blank, 0.37 * board - floor(0.37 * board));
        (void)printf("%u boards, %.1f s, seed %llu: warning %.2f s (IN's output), %.2f s (last board), open "
                     "%.2f s, right again after "
                     "%.1f cycles (stored trim), %.1f (blank)  %s\n",
                     test->cells, cycle(r), (unsigned long long)test->seed, r->worst_warning[1],
                     r->worst_warning[0], r->worst_open, r->worst_stored, r->worst_blank,
                     r->missed ? "MISSED" : "ok");
        (void)fflush(stdout);
        boards_free(r->boards);
        return r->missed == 0;
}

int main(int argc, char **argv) {
        struct chain_test test = {.spread = 0.1, .noise_lsb = 0.5};
        unsigned stride = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
        bool good = true;

        if (argc < 6 || stride == 0) {
                (void)fprintf(stderr, "usage: %s IN_IMAGE CELL_IMAGE CELLS STRIDE SEED...\n", argv[0]);
                return 2;
        }
        test.in_image = argv[1];
        test.cell_image = argv[2];
        test.cells = test.configured = (unsigned)strtoul(argv[3], NULL, 10);
        for (int i = 5; i < argc; i++)
                for (int fast = 0; fast < 2; fast++) {
                        test.seed = strtoull(argv[i], NULL, 10);
                        test.fast = fast;
                        good = run(&test, stride) && good;
                }
        return good ? 0 : 1;
}
