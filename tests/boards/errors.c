/* SPDX-License-Identifier: MIT */

/* Bit errors on every wire of a chain of boards with their real images, judged by lib/ at both taps.
 *
 *   errors IN_IMAGE CELL_IMAGE CELLS CYCLES RATE...
 *
 * The cells keep still, so what is true is known to the step. In the first half all is within its limits; in
 * the second one cell is above V-max and another below V-min, so that both relays must be open and stay so.
 * Counted at each tap: lost      frames begun by IN of which none was accepted E         accepted frames that
 * carry no readings (bit 2) wrong     accepted without bit 2, and different from the truth in what a gateway
 * reads trips     V or T rules confirmed that the truth does not break. Goal: 0 closings  relays that closed
 * in the second half. Goal: 0 stales    how often the link went stale At a rate of 10^-6 and below: no relay
 * may move in the first half, and nothing wrong may be accepted. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway.h"
#include "listener.h"

#define START_MAX_S 60.0
#define V_HIGH 3.75 /* V-max 3.65 V */
#define V_LOW 2.70  /* V-min 2.80 V */
#define SETTLE_CYCLES 20

struct tap {
        struct gateway gateway;
        struct run *run;
        unsigned accepted, errors, wrong, trips, wrong_closings, moves;
        bool tripped[_RULE_TABLE_MAX];
};

struct run {
        struct boards *boards;
        struct listener last;
        struct truth truth;
        struct tap tap[2]; /* IN's output, last board */
        bool judging, second_half;
};

static bool reads_alike(const struct truth *t, const uint8_t *f) {
        return !*truth_differs(t, f) && frame_get16(f + FRAME_OFF_V_BYPASS) > 0;
}

static void on_accepted(void *user, const uint8_t *f) {
        struct tap *t = user;

        if (!t->run->judging)
                return;
        t->accepted++;
        if (f[FRAME_OFF_STATUS] & FRAME_STATUS_COMMUNICATION_ERROR || f[FRAME_OFF_COUNT] != t->run->boards->n)
                t->errors++;
        else if (!reads_alike(&t->run->truth, f))
                t->wrong++;
}

static bool truly_broken(const struct run *r, enum rule rule) {
        switch (rule) {
        case RULE_V_MAX:
        case RULE_V_MIN:
                return r->second_half;
        default:
                return false;
        }
}

static void judge(struct tap *t) {
        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++) {
                bool tripped = protection_tripped(&t->gateway.bms.protection, rule);

                if (t->run->judging && tripped && !t->tripped[rule] && !truly_broken(t->run, rule))
                        t->trips++;
                t->tripped[rule] = tripped;
        }
}

static void tap_last(void *user, const struct board *b, double start, double bit_s, uint8_t byte) {
        struct run *r = user;

        (void)b;
        listener_byte(&r->last, start, start + LINE_BITS * bit_s, byte);
        gateway_byte(&r->tap[1].gateway, start + LINE_BITS * bit_s, byte);
        judge(&r->tap[1]);
}

static void heard(void *user, double start, double end, uint8_t byte, bool framing_error) {
        struct run *r = user;

        (void)start, (void)framing_error;
        gateway_byte(&r->tap[0].gateway, end, byte);
        judge(&r->tap[0]);
}

static void on_last(void *user, const struct message *m) {
        struct run *r = user;

        if (!*message_unsound(m, r->boards->n) && r->truth.known < r->boards->n &&
            !truth_learn(&r->truth, r->boards, m->bytes))
                (void)printf("  a reading is far from its cell's\n");
}

static void go(struct run *r, double seconds) {
        double until = r->boards->now + seconds;

        while (r->boards->now < until) {
                boards_run(r->boards, r->boards->now + 0.02);
                listener_poll(&r->last, r->boards->now);
                for (int i = 0; i < 2; i++) {
                        gateway_tick(&r->tap[i].gateway, r->boards->now);
                        judge(&r->tap[i]);
                }
        }
}

/* The readings of these cells, learned on perfect wires. */
static bool learn(struct run *r) {
        double until = r->boards->now + START_MAX_S + 2 * r->boards->n;

        go(r, r->second_half ? 5 : START_MAX_S);
        memset(&r->truth, 0, sizeof(r->truth));
        while (r->truth.known < r->boards->n && r->boards->now < until)
                go(r, 1);
        return r->truth.known == r->boards->n;
}

static void half(struct run *r, double rate, unsigned cycles) {
        unsigned closings[2], moves[2];

        for (int i = 0; i < 2; i++) {
                closings[i] = r->tap[i].gateway.closings;
                moves[i] = r->tap[i].gateway.closings + r->tap[i].gateway.openings;
        }
        boards_errors(r->boards, rate);
        r->judging = true;
        go(r, cycles);
        r->judging = false;
        boards_errors(r->boards, 0);
        for (int i = 0; i < 2; i++) {
                const struct gateway *g = &r->tap[i].gateway;

                if (r->second_half)
                        r->tap[i].wrong_closings += g->closings - closings[i];
                else
                        r->tap[i].moves += g->closings + g->openings - moves[i];
        }
}

static bool run(const struct chain_test *test, double rate, unsigned cycles) {
        static struct run all;
        struct run *r = &all;
        struct boards *c;
        uint64_t turned = 0;
        bool good = true;

        memset(r, 0, sizeof(*r));
        r->boards = c = chain_test_make(test);
        for (unsigned i = 1; i <= c->n; i++)
                boards_cell(c, i, 3.2 + 0.01 * (i % 7), 20 + i % 5);
        r->last.heard = on_last;
        r->last.user = r;
        c->board[c->n]->tap = tap_last;
        c->board[c->n]->tap_user = r;
        c->board[1]->ear.heard = heard;
        c->board[1]->ear.user = r;
        for (int i = 0; i < 2; i++) {
                r->tap[i].run = r;
                gateway_init(&r->tap[i].gateway, 0, i == 0 ? TAP_IN : TAP_LAST, test->cells);
                r->tap[i].gateway.accepted = on_accepted;
                r->tap[i].gateway.user = &r->tap[i];
        }
        if (!learn(r)) {
                (void)printf("no start within %.0f s\n", c->now);
                boards_free(c);
                return false;
        }
        half(r, rate, cycles / 2);
        boards_cell(c, 3, V_HIGH, 21);
        boards_cell(c, 9 % c->n + 1, V_LOW, 22);
        r->second_half = true;
        go(r, SETTLE_CYCLES);
        good = learn(r);
        half(r, rate, cycles - cycles / 2);
        for (unsigned i = 1; i <= c->n; i++)
                turned += c->board[i]->line.turned;
        for (int i = 0; i < 2; i++) {
                const struct tap *t = &r->tap[i];
                bool ok = t->trips == 0 && t->wrong_closings == 0 &&
                          (rate > 1.5e-6 || (t->wrong == 0 && t->moves == 0));

                (void)printf("%-4s %6.0e: %u cycles, %llu bits turned: lost %d, E %u, wrong %u, trips %u, "
                             "closings %u, moves in the "
                             "first half %u, stales %u  %s\n",
                             i == 0 ? "in" : "last", rate, cycles, (unsigned long long)turned,
                             (int)cycles - (int)t->accepted, t->errors, t->wrong, t->trips, t->wrong_closings,
                             t->moves, t->gateway.stales, ok ? "ok" : "MISSED");
                good = good && ok;
        }
        (void)fflush(stdout);
        boards_free(c);
        return good;
}

int main(int argc, char **argv) {
        struct chain_test test = {.spread = 0.1, .seed = 5};
        unsigned cycles = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
        bool good = true;

        if (argc < 6 || cycles == 0) {
                (void)fprintf(stderr, "usage: %s IN_IMAGE CELL_IMAGE CELLS CYCLES RATE...\n", argv[0]);
                return 2;
        }
        test.in_image = argv[1];
        test.cell_image = argv[2];
        test.cells = test.configured = (unsigned)strtoul(argv[3], NULL, 10);
        for (int i = 5; i < argc; i++)
                good = run(&test, strtod(argv[i], NULL), cycles) && good;
        return good ? 0 : 1;
}
