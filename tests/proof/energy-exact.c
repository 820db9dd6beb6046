/* SPDX-License-Identifier: MIT */

/* The energy counters (design 7) against exact arithmetic: error < 1 Wh after 10 years at 0.5 s steps and 2,000 A.
 *
 *   energy-exact years SEED...      a run of ten years for each seed (631 million steps: a minute or two)
 *   energy-exact days DAYS SEED...  the same, shorter
 *   energy-exact trace STEPS SEED   each step and what is counted, judged by energy-exact.py alone
 *
 * A pack of 255 cells, up to 2,000 A: steady at the greatest power, ramps, a sign that changes with each message, the
 * least that a frame can carry, unknown sensors; messages that come early and late, gaps, and daemons that end and
 * start again, with the counters restored at once or after a while; midnights and clearings at any time.
 *
 * The exact sum is one of integers of 128 bits, in uW * us / 4, and is never divided. At every check each counter is
 * below it, by less than 1 mWh, since its last zero; and counter and remainder together are it.
 * Exits 1 if not, or if the run could not have shown it. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "energy.h"

/* 1 mWh: mV * mA are uW; 1000 uW in a mW, 3600 * 10^6 us in an hour; halves of two sums. */
#define FINE (UINT64_C(4) * 1000 * 3600 * 1000000)
#define PERIOD 500000
#define MAX_MA 2000000
#define MAX_MV 1096000
#define STEPS_OF_A_DAY (2 * 86400)
#define CHECK_EVERY 997

/* ---- integers of 128 bits (some of our machines have none) ------------------------------------------------------ */

struct wide {
        uint64_t high, low;
};

static void wide_add(struct wide *w, struct wide by) {
        w->low += by.low;
        w->high += by.high + (w->low < by.low);
}

static void wide_subtract(struct wide *w, struct wide by) {
        w->high -= by.high + (w->low < by.low);
        w->low -= by.low;
}

static struct wide product(uint64_t a, uint64_t b) {
        const uint64_t low = UINT32_MAX, al = a & low, ah = a >> 32, bl = b & low, bh = b >> 32;
        const uint64_t ll = al * bl, lh = al * bh, hl = ah * bl;
        const uint64_t middle = (ll >> 32) + (lh & low) + (hl & low);

        return (struct wide){.high = ah * bh + (lh >> 32) + (hl >> 32) + (middle >> 32),
                             .low = middle << 32 | (ll & low)};
}

/* ---- the model -------------------------------------------------------------------------------------------------- */

/* What should have been counted since a counter's last zero. */
struct truth {
        struct wide today[_ENERGY_MAX], total[_ENERGY_MAX], run[_ENERGY_MAX]; /* run: never set back */
        struct wide cleared[_ENERGY_MAX]; /* of run: what left the total as whole mWh */
};

struct run {
        uint64_t seed;
        bool trace;
        struct energy energy;
        struct energy_sum kept[_ENERGY_MAX]; /* the store's */
        struct truth truth;
        usec_t now;
        struct frame last;
        bool has_last;
        int64_t regime_left;
        int regime, failures;
        int64_t restore_in; /* steps until the store is read; 0 = was */
        uint64_t worst;     /* most that a counter was below the truth; FINE = 1 mWh */
        uint64_t restarts, gaps, unknown, flips, clears, midnights, checks;
};

static uint64_t dice(struct run *r) { /* splitmix64 */
        uint64_t z = r->seed += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

static int64_t pick(struct run *r, int64_t from, int64_t to) {
        return from + (int64_t)(dice(r) % (uint64_t)(to - from + 1));
}

static void truly(struct truth *t, const struct frame_current *from, const struct frame_current *to, uint64_t mv,
                  uint64_t usec, enum energy_counter positive, enum energy_counter negative) {
        const int64_t ma = (int64_t)from->ma + to->ma;
        const int counter = ma >= 0 ? (int)positive : (int)negative;

        if (!from->known || !to->known)
                return;
        /* 4 * 10^6 mA * 2.2 * 10^6 mV: 43 bits */
        const struct wide energy = product((uint64_t)(ma >= 0 ? ma : -ma) * mv, usec);
        wide_add(&t->today[counter], energy);
        wide_add(&t->total[counter], energy);
        wide_add(&t->run[counter], energy);
}

static void fail(struct run *r, const char *what, int counter, int64_t shown) {
        if (r->failures++ < 10)
                (void)printf("  at %" PRIu64 " us, counter %d, %" PRId64 " mWh: %s\n", (uint64_t)r->now, counter, shown,
                             what);
}

/* shown mWh are the truth, rounded down: but for a day or a total that began in the middle of a mWh, which may be one
 * too many. */
static void check_one(struct run *r, int counter, struct maybe64 shown, struct wide truth, bool from_zero) {
        struct wide rest = truth;

        if (!shown.known || shown.value < 0) {
                fail(r, "unknown, or below zero", counter, shown.value);
                return;
        }
        wide_subtract(&rest, product((uint64_t)shown.value, FINE));
        if (rest.high == UINT64_MAX) { /* below zero */
                if (from_zero || rest.low < UINT64_MAX - FINE)
                        fail(r, "more than there was", counter, shown.value);
                return;
        }
        if (rest.high != 0 || rest.low >= FINE)
                fail(r, "1 mWh or more is missing", counter, shown.value);
        else if (rest.low > r->worst)
                r->worst = rest.low;
}

static void check(struct run *r) {
        const struct energy *e = &r->energy;

        if (r->restore_in > 0)
                return;
        r->checks++;
        for (int i = 0; i < _ENERGY_MAX; i++) {
                struct wide whole;

                check_one(r, i, energy_today_mwh(e, (enum energy_counter)i), r->truth.today[i], false);
                check_one(r, i, energy_total_mwh(e, (enum energy_counter)i), r->truth.total[i], r->clears == 0);

                /* and nothing is lost at all: total, what was cleared from it, and the remainder */
                whole = product((uint64_t)e->sums[i].total_mwh, FINE);
                wide_add(&whole, (struct wide){.high = 0, .low = (uint64_t)e->sums[i].remainder});
                wide_add(&whole, r->truth.cleared[i]);
                if (memcmp(&whole, &r->truth.run[i], sizeof(whole)) != 0)
                        fail(r, "total and remainder are not the sum", i, e->sums[i].total_mwh);
        }
}

/* ---- what happens ----------------------------------------------------------------------------------------------- */

static void restore(struct run *r) {
        energy_restore(&r->energy, r->kept);
        if (r->trace)
                (void)printf("restore\n");
}

static void restart(struct run *r) {
        if (r->restore_in > 0)
                return;
        memcpy(r->kept, r->energy.sums, sizeof(r->kept));
        energy_init(&r->energy);
        r->has_last = false;
        r->restarts++;
        if (r->trace)
                (void)printf("restart\n");
        r->restore_in = pick(r, 0, 1) ? pick(r, 1, 40) : 0;
        if (r->restore_in == 0)
                restore(r);
}

static void midnight(struct run *r) {
        if (r->restore_in > 0)
                return;
        energy_new_day(&r->energy);
        memset(r->truth.today, 0, sizeof(r->truth.today));
        r->midnights++;
        if (r->trace)
                (void)printf("day\n");
}

static void clear(struct run *r) {
        if (r->restore_in > 0)
                return;
        for (int i = 0; i < _ENERGY_MAX; i++)
                wide_add(&r->truth.cleared[i], product((uint64_t)r->energy.sums[i].total_mwh, FINE));
        energy_clear(&r->energy);
        memset(r->truth.total, 0, sizeof(r->truth.total));
        r->clears++;
        if (r->trace)
                (void)printf("clear\n");
}

enum { STEADY, ANY, FLIP, LEAST, SMALL, _REGIMES };

static struct frame_current current(struct run *r, bool in) {
        int64_t ma = 0;

        switch (r->regime) {
        case STEADY:
                ma = in ? MAX_MA : 0;
                break;
        case ANY:
                ma = pick(r, -MAX_MA / 125, MAX_MA / 125) * 125;
                break;
        case FLIP:
                ma = r->last.in.ma > 0 ? -MAX_MA : MAX_MA;
                break;
        case LEAST:
                ma = pick(r, -1, 1) * 125;
                break;
        case SMALL:
                ma = pick(r, -800, 800) * 125;
                break;
        }
        if (r->regime != STEADY && dice(r) % 64 == 0)
                return (struct frame_current){.known = false, .ma = 0};
        return (struct frame_current){.known = true, .ma = (int32_t)ma};
}

static struct frame next_frame(struct run *r) {
        struct frame f = {.in = current(r, true), .out = current(r, false)};

        f.pack_mv = r->regime == STEADY  ? MAX_MV
                    : r->regime == LEAST ? (uint32_t)pick(r, 800, 1320) * 5
                                         : (uint32_t)pick(r, 4000, MAX_MV / 5) * 5;
        f.sum.known = f.in.known;
        f.sum.ma = f.in.known ? f.in.ma - f.out.ma : 0;
        if (f.sum.ma > MAX_MA)
                f.sum.ma = MAX_MA;
        if (f.sum.ma < -MAX_MA)
                f.sum.ma = -MAX_MA;
        return f;
}

/* Mostly on time; sometimes early or late; just within, and just beyond, the longest that is integrated. */
static usec_t next_step(struct run *r) {
        const uint64_t x = dice(r) % 4096;

        if (x < 3200 || r->regime == STEADY)
                return PERIOD;
        if (x < 4000)
                return (usec_t)pick(r, PERIOD - 9000, PERIOD + 9000);
        if (x < 4085)
                return (usec_t)pick(r, 1, 3 * PERIOD);
        return (usec_t)pick(r, 3 * PERIOD - 1, 3 * PERIOD + 2);
}

static void trace_current(const struct frame_current *c) {
        if (c->known)
                (void)printf(" %" PRId32, c->ma);
        else
                (void)printf(" X");
}

static void step(struct run *r) {
        const usec_t usec = next_step(r);
        struct frame f;

        if (r->regime_left-- <= 0) {
                r->regime = (int)pick(r, 0, _REGIMES - 1);
                r->regime_left = pick(r, 1, r->trace ? 400 : 20000);
        }
        f = next_frame(r);
        r->now += usec;
        energy_frame(&r->energy, r->now, PERIOD, &f);
        if (r->trace) {
                (void)printf("frame %" PRIu64, (uint64_t)r->now);
                trace_current(&f.in);
                trace_current(&f.out);
                trace_current(&f.sum);
                (void)printf(" %" PRIu32 "\n", f.pack_mv);
        }
        if (r->has_last && usec <= 3 * PERIOD) {
                const uint64_t mv = (uint64_t)r->last.pack_mv + f.pack_mv;

                truly(&r->truth, &r->last.in, &f.in, mv, usec, ENERGY_COLLECTED, ENERGY_CONSUMED);
                truly(&r->truth, &r->last.out, &f.out, mv, usec, ENERGY_CONSUMED, ENERGY_COLLECTED);
                truly(&r->truth, &r->last.sum, &f.sum, mv, usec, ENERGY_CHARGED, ENERGY_DISCHARGED);
        } else if (r->has_last)
                r->gaps++;
        r->unknown += !f.in.known;
        r->flips += r->has_last && (f.in.ma > 0) != (r->last.in.ma > 0);
        r->last = f;
        r->has_last = true;
        if (r->restore_in > 0 && --r->restore_in == 0)
                restore(r);
}

static void begin(struct run *r, uint64_t seed, bool trace) {
        static const struct energy_sum nothing[_ENERGY_MAX];

        *r = (struct run){.seed = seed, .trace = trace, .now = 1};
        energy_init(&r->energy);
        energy_restore(&r->energy, nothing);
}

static int trace(uint64_t seed, int64_t steps) {
        struct run r;

        begin(&r, seed, true);
        for (int64_t i = 0; i < steps; i++) {
                const uint64_t x = dice(&r) % 1000;

                step(&r);
                if (x < 5)
                        restart(&r);
                else if (x < 8)
                        midnight(&r);
                else if (x < 10)
                        clear(&r);
                if (r.restore_in == 0)
                        for (int k = 0; k < _ENERGY_MAX; k++)
                                (void)printf("%s %" PRId64 " %" PRId64 "%s", k == 0 ? "count" : "",
                                             energy_today_mwh(&r.energy, (enum energy_counter)k).value,
                                             energy_total_mwh(&r.energy, (enum energy_counter)k).value,
                                             k + 1 < _ENERGY_MAX ? "" : "\n");
                else
                        (void)printf("unknown %d\n", energy_today_mwh(&r.energy, ENERGY_COLLECTED).known);
        }
        return 0;
}

/* The claim itself: ten years of the greatest power, from nothing, in one go; and ten of everything. */
static bool run_steps(uint64_t seed, int64_t steps, bool steady) {
        struct run r;
        bool ok;

        begin(&r, seed, false);
        if (steady) {
                r.regime = STEADY;
                r.regime_left = INT64_MAX;
        }
        for (int64_t i = 1; i <= steps; i++) {
                step(&r);
                if (i % STEPS_OF_A_DAY == 0)
                        midnight(&r);
                if (!steady) {
                        const uint64_t x = dice(&r) % 4000000;

                        if (x < 400) /* once in 10,000 steps: an hour and a half */
                                restart(&r);
                        else if (x == 400)
                                clear(&r);
                        else if (x < 420)
                                midnight(&r);
                }
                if (i % CHECK_EVERY == 0)
                        check(&r);
        }
        while (r.restore_in > 0)
                step(&r);
        check(&r);
        ok = r.failures == 0 && r.checks > 0 &&
             (steady || (r.restarts > 0 && r.gaps > 0 && r.unknown > 0 && r.flips > 0 && r.midnights > 0));
        (void)printf("%s, seed %" PRIu64 ": %" PRId64 " steps, %" PRIu64 " restarts, %" PRIu64 " gaps, %" PRIu64
                     " midnights, %" PRIu64 " clearings, %" PRIu64 " checks; most below the truth %.9f mWh; in the end "
                     "%.3f kWh collected; %s\n",
                     steady ? "greatest power" : "mixed", seed, steps, r.restarts, r.gaps, r.midnights,
                             r.clears, r.checks,
                     (double)r.worst / (double)FINE, (double)r.energy.sums[ENERGY_COLLECTED].total_mwh / 1e6,
                     ok ? "exact" : "NOT EXACT");
        return ok;
}

int main(int argc, char **argv) {
        int64_t days = 3650;
        int first = 2;
        bool ok = true;

        if (argc == 4 && strcmp(argv[1], "trace") == 0)
                return trace(strtoull(argv[3], NULL, 10), strtoll(argv[2], NULL, 10));
        if (argc >= 4 && strcmp(argv[1], "days") == 0)
                days = strtoll(argv[first++], NULL, 10);
        else if (argc < 3 || strcmp(argv[1], "years") != 0) {
                (void)fprintf(stderr, "energy-exact years SEED... | days DAYS SEED... | trace STEPS SEED\n");
                return 2;
        }
        ok = run_steps(0, days * STEPS_OF_A_DAY, true);
        for (int i = first; i < argc; i++)
                ok = run_steps(strtoull(argv[i], NULL, 10), days * STEPS_OF_A_DAY, false) && ok;
        return !ok;
}
