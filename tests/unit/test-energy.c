/* SPDX-License-Identifier: MIT */
/* lib/energy.c (design 7) against exact arithmetic. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "energy.h"

/* uW * us / 4 in a mWh: mV * mA are uW; 1000 uW in a mW, 3600 * 10^6 us in an hour; halves of two sums. */
#define FINE (INT64_C(4) * 1000 * 3600 * 1000000)

static struct frame make(int32_t in, int32_t out, int32_t sum, uint32_t pack_mv) {
        return (struct frame){
                .in = {.known = in != INT32_MIN, .ma = in != INT32_MIN ? in : 0},
                .out = {.known = out != INT32_MIN, .ma = out != INT32_MIN ? out : 0},
                .sum = {.known = sum != INT32_MIN, .ma = sum != INT32_MIN ? sum : 0},
                .pack_mv = pack_mv,
        };
}
#define X INT32_MIN

static void start(struct energy *e) {
        static const struct energy_sum zero[_ENERGY_MAX];

        energy_init(e);
        energy_restore(e, zero);
}

static int64_t total(const struct energy *e, enum energy_counter counter) {
        const struct maybe64 v = energy_total_mwh(e, counter);

        assert_true(v.known);
        return v.value;
}

/* xorshift: the same sequence everywhere */
static uint64_t next_random(uint64_t *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static int64_t pick(uint64_t *state, int64_t from, int64_t to) {
        return from + (int64_t) (next_random(state) % (uint64_t) (to - from + 1));
}

/* An energy in uW * us / 4, which no 64 bits hold: whole mWh, and a rest below one. */
struct exact {
        int64_t mwh, rest;
};

/* Piece by piece, because the largest frame's 4 * 16 TW times a second is beyond 64 bits, too. */
static void add(struct exact *x, int64_t power, usec_t usec) {
        while (usec > 0) {
                const usec_t piece = usec < 100000 ? usec : 100000;

                x->rest += power * (int64_t) piece;
                x->mwh += x->rest / FINE;
                x->rest %= FINE;
                usec -= piece;
        }
}

static bool holds(const struct energy *e, enum energy_counter counter, const struct exact *x) {
        return total(e, counter) == x->mwh && e->sums[counter].remainder == x->rest;
}

/* An independent model. */
struct model {
        struct exact sums[_ENERGY_MAX];
};

static void model_current(struct model *m, int32_t from, int32_t to, int64_t volts, usec_t usec,
                          enum energy_counter positive, enum energy_counter negative) {
        if (from == X || to == X)
                return;
        const int64_t power = ((int64_t) from + to) * volts;
        if (power >= 0)
                add(&m->sums[positive], power, usec);
        else
                add(&m->sums[negative], -power, usec);
}

static void assert_model(const struct energy *e, const struct model *m) {
        for (int i = 0; i < _ENERGY_MAX; i++) {
                assert_true(e->sums[i].remainder >= 0 && e->sums[i].remainder < FINE);
                assert_true(holds(e, (enum energy_counter) i, &m->sums[i]));
                assert_int_equal(e->sums[i].today_mwh, e->sums[i].total_mwh);
        }
}

static void run_random(uint64_t seed, int32_t max_ma, uint32_t max_mv, usec_t period, unsigned frames) {
        struct model m = {};
        struct energy e;
        usec_t now = 12345, gaps = 0;
        int32_t in = 0, out = 0, sum = 0;
        uint32_t mv = 0;

        start(&e);
        for (unsigned i = 0; i < frames; i++) {
                const int32_t was_in = in, was_out = out, was_sum = sum;
                const uint32_t was_mv = mv;
                const usec_t step = (usec_t) pick(&seed, 1, (int64_t) (3 * period) + (i % 50 == 0 ? 1 : 0));

                now += step;
                in = pick(&seed, 0, 20) == 0 ? X : (int32_t) pick(&seed, -max_ma / 4, max_ma);
                out = pick(&seed, 0, 20) == 0 ? X : (int32_t) pick(&seed, -max_ma / 4, max_ma);
                sum = in == X ? X : out == X ? in : in - out;
                mv = (uint32_t) pick(&seed, 4000, max_mv);

                const struct frame frame = make(in, out, sum, mv);
                energy_frame(&e, now, period, &frame);
                if (i > 0 && step > 3 * period)
                        gaps += step;
                else if (i > 0) {
                        const int64_t volts = (int64_t) was_mv + mv;
                        model_current(&m, was_in, in, volts, step, ENERGY_COLLECTED, ENERGY_CONSUMED);
                        model_current(&m, was_out, out, volts, step, ENERGY_CONSUMED, ENERGY_COLLECTED);
                        model_current(&m, was_sum, sum, volts, step, ENERGY_CHARGED, ENERGY_DISCHARGED);
                }
        }
        assert_model(&e, &m);
        assert_int_equal(e.gap_usec, gaps);
}

static void test_exact_over_random_sequences(void **state) {
        (void) state;
        for (uint64_t seed = 1; seed <= 20; seed++) {
                run_random(seed, 2000000, 1096000, 500000, 5000);
                run_random(seed, 2000000, 1096000, 1000000, 5000);
                run_random(seed, 8191875, 1300500, 1000000, 5000); /* all that a frame can carry */
                run_random(seed, 125, 6600, 500000, 5000);         /* the least: mostly remainder */
        }
}

/* Ten years of 0.5 s intervals at the largest power, by way of the largest steady frames: 63 million would
 * take long, so a hundredth of them, on totals that already hold the rest. */
static void test_ten_years(void **state) {
        const int64_t frames = 10 * 365 * INT64_C(86400) * 2 / 100;
        struct energy_sum before[_ENERGY_MAX] = {};
        struct energy e;
        const struct frame frame = make(2000000, 0, 2000000, 1096000);
        /* 2.192 MW for 99 % of ten years, in mWh */
        const int64_t rest = INT64_C(2000000) * 1096000 / 1000 * (99 * frames / 2) / 3600;
        usec_t now = 1;

        (void) state;
        before[ENERGY_COLLECTED].total_mwh = rest;
        before[ENERGY_COLLECTED].remainder = 7;
        energy_init(&e);
        energy_restore(&e, before);
        for (int64_t i = 0; i <= frames; i++, now += 500000)
                energy_frame(&e, now, 500000, &frame);

        struct exact expected = {.mwh = rest, .rest = 7};
        for (int64_t i = 0; i < frames; i++)
                add(&expected, INT64_C(4000000) * 2192000, 500000);
        assert_true(holds(&e, ENERGY_COLLECTED, &expected));
        /* 2.192 MW * 87,600 h = 192 GWh = 1.92 * 10^14 mWh */
        assert_in_range(total(&e, ENERGY_COLLECTED), INT64_C(192019200000000) - 1000, INT64_C(192019200000000) + 1000);
}

/* By hand: 10 A at 50 V for an hour is 500 Wh, in either half of the day, whatever the step. */
static void test_known_amounts(void **state) {
        static const usec_t steps[] = {500000, 1000000, 1500000, 3000000};

        (void) state;
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                const struct frame frame = make(10000, 4000, 6000, 50000);
                struct energy e;

                start(&e);
                for (usec_t t = 0; t <= USEC_PER_HOUR; t += steps[i])
                        energy_frame(&e, 1 + t, 1000000, &frame);
                assert_int_equal(total(&e, ENERGY_COLLECTED), 500000);
                assert_int_equal(total(&e, ENERGY_CONSUMED), 200000);
                assert_int_equal(total(&e, ENERGY_CHARGED), 300000);
                assert_int_equal(total(&e, ENERGY_DISCHARGED), 0);
                assert_int_equal(e.sums[ENERGY_COLLECTED].remainder, 0);
        }
}

/* Current and voltage ramp: the mean of both. (0 + 36) / 2 A * (48 + 52) / 2 V * 2 s = 1800 Ws = 500 mWh. */
static void test_trapezoid(void **state) {
        const struct frame from = make(0, 0, 0, 48000), to = make(36000, 0, 36000, 52000);
        struct energy e;

        (void) state;
        start(&e);
        energy_frame(&e, 1, 1000000, &from);
        energy_frame(&e, 2000001, 1000000, &to);
        assert_int_equal(total(&e, ENERGY_COLLECTED), 500);
        assert_int_equal(e.sums[ENERGY_COLLECTED].remainder, 0);
}

static void test_signs(void **state) {
        /* one interval of 1 s at 3600 V (a figure that makes 1 A one 1 mWh * 1000); expected in mWh */
        static const struct {
                int32_t in[2], out[2], sum[2];
                int64_t expected[_ENERGY_MAX];
        } cases[] = {
                /* one sensor: the sign of I1 decides */
                {{1000, 1000}, {X, X}, {1000, 1000}, {1000, 0, 1000, 0}},
                {{-1000, -1000}, {X, X}, {-1000, -1000}, {0, 1000, 0, 1000}},
                {{-1000, 3000}, {X, X}, {-1000, 3000}, {1000, 0, 1000, 0}},
                {{1000, -3000}, {X, X}, {1000, -3000}, {0, 1000, 0, 1000}},
                {{1000, -1000}, {X, X}, {1000, -1000}, {0, 0, 0, 0}},
                /* two: each its own way; what flows backwards is counted on the other side, so the books balance */
                {{5000, 5000}, {2000, 2000}, {3000, 3000}, {5000, 2000, 3000, 0}},
                {{2000, 2000}, {5000, 5000}, {-3000, -3000}, {2000, 5000, 0, 3000}},
                {{-1000, -1000}, {2000, 2000}, {-3000, -3000}, {0, 3000, 0, 3000}},
                {{1000, 1000}, {-2000, -2000}, {3000, 3000}, {3000, 0, 3000, 0}},
                /* unknown at either end: that sensor's interval is not counted */
                {{X, 5000}, {2000, 2000}, {X, 3000}, {0, 2000, 0, 0}},
                {{5000, X}, {2000, 2000}, {3000, X}, {0, 2000, 0, 0}},
                {{5000, 5000}, {X, 2000}, {5000, 3000}, {5000, 0, 4000, 0}},
                {{X, X}, {X, X}, {X, X}, {0, 0, 0, 0}},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct energy e;

                print_message("case %zu\n", i);
                start(&e);
                for (int k = 0; k < 2; k++) {
                        const struct frame frame = make(cases[i].in[k], cases[i].out[k], cases[i].sum[k], 3600000);
                        energy_frame(&e, 1 + (usec_t) k * 1000000, 1000000, &frame);
                }
                for (int c = 0; c < _ENERGY_MAX; c++)
                        assert_int_equal(total(&e, (enum energy_counter) c), cases[i].expected[c]);
        }
}

static void test_gap_limit(void **state) {
        static const usec_t periods[] = {500000, 1000000};

        (void) state;
        for (size_t i = 0; i < 2; i++)
                for (int64_t off = -1; off <= 1; off++) {
                        const struct frame frame = make(2000000, X, 2000000, 1096000);
                        const usec_t gap = 3 * periods[i] + (usec_t) off;
                        struct energy e;

                        start(&e);
                        energy_frame(&e, 1, periods[i], &frame);
                        energy_frame(&e, 1 + gap, periods[i], &frame);
                        struct exact expected = {};
                        add(&expected, INT64_C(4000000) * 2192000, off > 0 ? 0 : gap);
                        assert_true(holds(&e, ENERGY_COLLECTED, &expected));
                        assert_int_equal(e.gap_usec, off > 0 ? gap : 0);

                        /* and it goes on after the gap */
                        energy_frame(&e, 1 + gap + periods[i], periods[i], &frame);
                        add(&expected, INT64_C(4000000) * 2192000, periods[i]);
                        assert_true(holds(&e, ENERGY_COLLECTED, &expected));
                }
}

static void test_time_going_back_counts_nothing(void **state) {
        const struct frame frame = make(10000, 0, 10000, 50000);
        struct energy e;

        (void) state;
        start(&e);
        energy_frame(&e, 5000000, 1000000, &frame);
        energy_frame(&e, 4000000, 1000000, &frame);
        assert_int_equal(total(&e, ENERGY_COLLECTED), 0);
        assert_int_equal(e.sums[ENERGY_COLLECTED].remainder, 0);
}

static void test_unknown_until_restored(void **state) {
        const struct frame frame = make(3600000, 0, 3600000, 1000); /* 1000 mWh a second */
        struct energy_sum earlier[_ENERGY_MAX] = {};
        struct energy e;

        (void) state;
        energy_init(&e);
        energy_frame(&e, 1, 1000000, &frame);
        energy_frame(&e, 1000001, 1000000, &frame);
        for (int i = 0; i < _ENERGY_MAX; i++) {
                assert_false(energy_today_mwh(&e, (enum energy_counter) i).known);
                assert_false(energy_total_mwh(&e, (enum energy_counter) i).known);
        }

        e.sums[ENERGY_COLLECTED].remainder = ENERGY_FINE_PER_MWH - 1;
        earlier[ENERGY_COLLECTED] = (struct energy_sum){.today_mwh = 7, .total_mwh = 70000, .remainder = 1};
        earlier[ENERGY_CHARGED].remainder = ENERGY_FINE_PER_MWH; /* damaged */
        earlier[ENERGY_DISCHARGED].remainder = -1;               /* damaged */
        energy_restore(&e, earlier);
        assert_int_equal(total(&e, ENERGY_COLLECTED), 71001);
        assert_int_equal(energy_today_mwh(&e, ENERGY_COLLECTED).value, 1008);
        assert_int_equal(e.sums[ENERGY_COLLECTED].remainder, 0);
        assert_int_equal(total(&e, ENERGY_CHARGED), 1000);
        assert_int_equal(e.sums[ENERGY_CHARGED].remainder, 0);
        assert_int_equal(total(&e, ENERGY_DISCHARGED), 0);
        assert_true(energy_total_mwh(&e, ENERGY_DISCHARGED).known);
        assert_int_equal(e.sums[ENERGY_DISCHARGED].remainder, 0);
}

static void test_new_day_and_clear(void **state) {
        const struct frame frame = make(3600000, 0, 3600000, 1000); /* 1000 mWh a second */
        struct energy e;

        (void) state;
        start(&e);
        energy_frame(&e, 1, 1000000, &frame);
        energy_frame(&e, 1000001, 1000000, &frame);
        energy_new_day(&e);
        assert_int_equal(energy_today_mwh(&e, ENERGY_COLLECTED).value, 0);
        assert_int_equal(total(&e, ENERGY_COLLECTED), 1000);
        energy_frame(&e, 2000001, 1000000, &frame);
        energy_clear(&e);
        assert_int_equal(energy_today_mwh(&e, ENERGY_COLLECTED).value, 1000);
        for (int i = 0; i < _ENERGY_MAX; i++)
                assert_int_equal(total(&e, (enum energy_counter) i), 0);
        energy_frame(&e, 3000001, 1000000, &frame);
        assert_int_equal(energy_today_mwh(&e, ENERGY_COLLECTED).value, 2000);
        assert_int_equal(total(&e, ENERGY_COLLECTED), 1000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exact_over_random_sequences),
                cmocka_unit_test(test_ten_years),
                cmocka_unit_test(test_known_amounts),
                cmocka_unit_test(test_trapezoid),
                cmocka_unit_test(test_signs),
                cmocka_unit_test(test_gap_limit),
                cmocka_unit_test(test_time_going_back_counts_nothing),
                cmocka_unit_test(test_unknown_until_restored),
                cmocka_unit_test(test_new_day_and_clear),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
