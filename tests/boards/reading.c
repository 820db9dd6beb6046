/* SPDX-License-Identifier: MIT */

/* Whole chains of the real images: when does a cell board measure (R5 of docs/chain.md), and when does it
 * change its oscillator (R12)?
 *
 *   reading IN_IMAGE CELL_IMAGE CELLS SECONDS SEED...
 *
 * Oscillators start at random within +-10 %; every third cell is above V-bypass. From the first right frame
 * on, for SECONDS: each frame finds a reading that was begun at most 100 ms before its first byte and is
 * complete, taken with the bypass off and the parts supplied for >= 5 ms, and no board measures while a frame
 * passes. Then the temperature drifts, so that frames come earlier or later than the boards' own clocks
 * expect. At last the second board is killed: what the third says in its own frames must be as new. All the
 * time, from power-up, no oscillator changes while its board has a byte on the wire. Exits 1 if anything of
 * that is not so. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "listener.h"

#define LOOK_S 0.0005
#define START_MAX_S 60.0
#define AGE_MAX_S 0.100
#define SETTLE_S 0.005
#define BYTE_S 0.00105
/* The bypass burns above the highest of its values (4.3 V) with every setting of the switches. */
#define ABOVE_V 4.4
#define DRIFT_DEGC_S 0.5
#define PER_DEGC 0.001
#define ORPHANS_S 12.0

/* What a look at a board found. */
struct watch {
        struct run *run;
        struct board *board;
        struct listener hears; /* what comes in; for an orphan's originator: what it sends */
        double (*aref)(void *board, double time);
        bool supply;
        double on, off;  /* of the last measurement */
        double sent_end; /* of the last byte it sent */
        uint64_t osccal_writes;
        unsigned frames;
        double oldest_s, settled_s;
};

struct run {
        struct boards *boards;
        struct watch *watch; /* by number */
        struct listener last;
        unsigned cells, wrong, judged;
        double started;
        bool judging;
        const char *phase;
};

static struct run *the_run;

static void complain(const struct watch *w, double time, const char *what, double ms) {
        if (w->run->wrong++ < 8)
                (void)printf("  %.4f s, board %u, %s: %s (%.2f ms)\n", time, w->board->number, w->run->phase,
                             what, ms);
}

/* A frame, judged when it is over. */
static void on_frame(void *user, const struct message *m) {
        struct watch *w = user;
        double age = m->start - w->on;

        if (!w->run->judging || !w->board->mcu.powered || m->n != FRAME_SIZE)
                return;
        w->frames++;
        w->run->judged++;
        if (w->on > m->start) {
                complain(w, m->start, "measured while the frame passed", (w->on - m->start) * 1e3);
                return;
        }
        if (w->supply || w->off > m->start + BYTE_S)
                complain(w, m->start, "not measured in time", (w->off - m->start) * 1e3);
        if (age > AGE_MAX_S)
                complain(w, m->start, "an old reading", age * 1e3);
        if (age > w->oldest_s)
                w->oldest_s = age;
}

static void look_at_supply(struct watch *w) {
        struct board *b = w->board;
        if (b->supply == w->supply)
                return;
        w->supply = b->supply;
        if (b->supply) {
                w->on = b->supply_since;
                return;
        }
        w->off = b->supply_since;
}

/* Stands between the chip's ADC and the board, and sees when an input is compared with AREF. */
static double on_aref(void *user, double time) {
        struct board *b = user;
        struct watch *w = &the_run->watch[b->number];
        double settled = !b->supply || b->bypass ? 0 : time - fmax(b->supply_since, b->bypass_since);

        if (settled < SETTLE_S)
                complain(w, time, "not settled", settled * 1e3);
        w->settled_s = fmin(w->settled_s, settled);
        return w->aref(user, time);
}

static void look(struct run *r) {
        boards_run(r->boards, r->boards->now + LOOK_S);
        for (unsigned i = 2; i <= r->cells; i++) {
                struct watch *w = &r->watch[i];
                uint64_t writes = w->board->mcu.seen.osccal_writes;

                look_at_supply(w);
                if (writes > w->osccal_writes && w->sent_end > r->boards->now)
                        complain(w, r->boards->now, "oscillator changed while sending",
                                 (w->sent_end - r->boards->now) * 1e3);
                w->osccal_writes = writes;
                listener_poll(&w->hears, r->boards->now);
        }
        listener_poll(&r->last, r->boards->now);
}

/* What a board sends is what the next one hears. */
static void on_sent(void *user, const struct board *b, double start, double bit_s, uint8_t byte) {
        struct run *r = user;
        double end = start + LINE_BITS * bit_s;

        r->watch[b->number].sent_end = end;
        if (b->number < r->cells)
                listener_byte(&r->watch[b->number + 1].hears, start, end, byte);
        else
                listener_byte(&r->last, start, end, byte);
}

static void on_last(void *user, const struct message *m) {
        struct run *r = user;

        if (r->started == 0 && !*message_unsound(m, r->cells))
                r->started = m->start;
}

/* The third board's own frames stand for what it hears. */
static void on_orphan(void *user, const struct board *b, double start, double bit_s, uint8_t byte) {
        struct run *r = user;

        listener_byte(&r->watch[b->number].hears, start, start + LINE_BITS * bit_s, byte);
        on_sent(user, b, start, bit_s, byte);
}

static void during(struct run *r, const char *phase, double seconds, double degc_s) {
        double until = r->boards->now + seconds, next = r->boards->now;

        r->phase = phase;
        while (r->boards->now < until) {
                if (degc_s != 0 && r->boards->now >= next) {
                        next += 0.1;
                        for (unsigned i = 1; i <= r->cells; i++)
                                boards_cell(r->boards, i, r->boards->board[i]->volts,
                                            r->boards->board[i]->degc + degc_s * 0.1);
                }
                look(r);
        }
}

static bool run(struct chain_test *test, double seconds) {
        struct run r = {.cells = test->cells, .phase = "start"};
        double oldest = 0, settled = 1;
        unsigned judged, orphans;
        bool good, burnt = true;

        the_run = &r;
        r.watch = calloc(test->cells + 1, sizeof(*r.watch));
        if (!r.watch)
                exit(2);
        r.boards = chain_test_make(test);
        r.last = (struct listener){.heard = on_last, .user = &r};
        for (unsigned i = 1; i <= test->cells; i++) {
                struct watch *w = &r.watch[i];

                *w = (struct watch){.run = &r, .board = r.boards->board[i], .settled_s = 1};
                w->hears = (struct listener){.heard = on_frame, .user = w};
                w->board->tap = on_sent;
                w->board->tap_user = &r;
                if (i > 1) {
                        w->aref = w->board->mcu.outside.aref;
                        w->board->mcu.outside.aref = on_aref;
                }
                if (i % 3 == 0)
                        boards_cell(r.boards, i, ABOVE_V, 25);
        }

        while (r.started == 0 && r.boards->now < START_MAX_S)
                look(&r);
        if (r.started == 0)
                r.wrong++;
        during(&r, "settling", 5, 0);
        r.judging = true;
        during(&r, "steady", seconds, 0);
        during(&r, "warming", seconds, DRIFT_DEGC_S);
        during(&r, "cooling", seconds, -DRIFT_DEGC_S);
        for (unsigned i = 3; i <= test->cells; i += 3)
                burnt = burnt && r.boards->board[i]->seen.bypass_s > 0;
        judged = r.judged;

        r.judging = false;
        r.watch[3].board->tap = on_orphan;
        boards_power(r.boards, 2, false);
        during(&r, "killed", 1, 0);
        r.judging = true;
        orphans = r.watch[3].frames;
        during(&r, "orphans", ORPHANS_S, 0);
        orphans = r.watch[3].frames - orphans;

        for (unsigned i = 2; i <= test->cells; i++) {
                oldest = fmax(oldest, r.watch[i].oldest_s);
                settled = fmin(settled, r.watch[i].settled_s);
        }
        /* 12 s hold at least 6 orphans after 2.5 cycles of silence. */
        good = r.wrong == 0 && burnt && orphans >= 6 && judged >= (test->cells - 1) * 3 * (seconds - 2);
        (void)printf("%3u cells, seed %llu: start %.1f s; %u frames judged, oldest reading %.2f ms, settled "
                     "for at "
                     "least %.2f ms, bypass %s; %u orphans; %u wrong  %s\n",
                     test->cells, (unsigned long long)test->seed, r.started, judged, oldest * 1e3,
                     settled * 1e3, burnt ? "seen on" : "never on", orphans, r.wrong, good ? "ok" : "MISSED");
        (void)fflush(stdout);
        boards_free(r.boards);
        free(r.watch);
        return good;
}

int main(int argc, char **argv) {
        struct chain_test test = {.spread = 0.1, .per_degc = PER_DEGC};
        double seconds = argc > 4 ? strtod(argv[4], NULL) : 0;
        bool good = true;

        if (argc < 6 || seconds <= 0) {
                (void)fprintf(stderr, "usage: %s IN_IMAGE CELL_IMAGE CELLS SECONDS SEED...\n", argv[0]);
                return 2;
        }
        test.in_image = argv[1];
        test.cell_image = argv[2];
        test.cells = test.configured = (unsigned)strtoul(argv[3], NULL, 10);
        if (test.cells < 4 || test.cells > BOARDS_MAX)
                return 2;
        for (int i = 5; i < argc; i++) {
                test.seed = strtoull(argv[i], NULL, 10);
                good = run(&test, seconds) && good;
        }
        return good ? 0 : 1;
}
