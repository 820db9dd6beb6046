/* SPDX-License-Identifier: MIT */

/* R12 of docs/chain.md, against an oscillator whose steps, overlap and error are chosen. True time is in
 * microseconds here, the board's in its own ticks of 16 us; most intervals below are
 * written in steps of two ticks, 32 us. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "clock.h"

#define TICKS_PER_S 62500 /* 4 MHz / 64 */
#define STEP 2             /* ticks */

static struct clock begun(uint8_t factory) {
        struct clock c;

        clock_init(&c, factory, NULL, 0);
        return c;
}

/* Frame starts after each of the intervals, in steps. */
static void starts(struct clock *c, const uint32_t *intervals, size_t n) {
        uint32_t now = c->has_start ? c->start_ticks : 1000;

        if (!c->has_start)
                clock_start(c, now);
        for (size_t i = 0; i < n; i++)
                clock_start(c, now += STEP * intervals[i]);
}

/* ---- which intervals count ---- */

static void test_intervals(void **state) {
        static const struct {
                uint32_t first, second;
                uint32_t cycle; /* measured; 0: none */
        } rows[] = {
                {31250, 31250, 31250},
                {15625, 15625, 15625},
                /* 12.5 % of 1.0 s are 3906.25 ticks, of 0.5 s 1953.1 */
                {27344, 27344, 27344},
                {27343, 27343, 0},
                {35156, 35156, 35156},
                {35157, 35157, 0},
                {13672, 13672, 13672},
                {13671, 13671, 0},
                {17578, 17578, 17578},
                {17579, 17579, 0},
                /* 0.5 % of 31250 are 156.25 ticks */
                {31250, 31406, 31406},
                {31250, 31407, 0},
                {31250, 31094, 31094},
                {31250, 31093, 0},
                /* one of each; orphans every 1.5 cycles, 2.5 cycles, a lost frame */
                {31250, 15625, 0},
                {15625, 31250, 0},
                {46875, 46875, 0},
                {23438, 23438, 0},
                {78125, 78125, 0},
                {62500, 62500, 0},
                {0, 0, 0},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct clock c = begun(0x50);
                uint32_t pair[] = {rows[i].first, rows[i].second};
                uint32_t cycle;

                starts(&c, pair, 1);
                assert_int_equal(clock_cycle(&c), 0); /* one interval is none */
                starts(&c, pair + 1, 1);
                cycle = clock_cycle(&c) / STEP;
                /* Once it has to be trimmed, the cycle is what it will be. */
                if (c.target != c.code)
                        assert_int_equal(cycle, rows[i].cycle > 20000 ? 31250 : 15625);
                else
                        assert_int_equal(cycle, rows[i].cycle);
                if (rows[i].cycle == 0)
                        assert_int_equal(c.target, c.code);
        }
}

/* Nothing is trimmed by pairs with something else in between. */
static void test_pairs_are_successive(void **state) {
        struct clock c = begun(0x50);
        uint32_t intervals[] = {30000, 46875, 30000, 3000, 30000, 62500};

        (void)state;
        starts(&c, intervals, 6);
        assert_int_equal(clock_cycle(&c), 0);
        assert_int_equal(c.target, 0x50);
        assert_false(clock_trusted(&c));
}

/* A cycle that changes is followed with the second new interval. */
static void test_speed_change(void **state) {
        struct clock c = begun(0x50);
        uint32_t intervals[] = {31250, 31250, 15625, 15625, 31250, 31250};

        (void)state;
        starts(&c, intervals, 3);
        assert_int_equal(clock_cycle(&c), STEP * 31250);
        starts(&c, intervals + 3, 1);
        assert_int_equal(clock_cycle(&c), STEP * 15625);
        starts(&c, intervals + 4, 1);
        assert_int_equal(clock_cycle(&c), STEP * 15625);
        starts(&c, intervals + 5, 1);
        assert_int_equal(clock_cycle(&c), STEP * 31250);
}

/* The counter wraps after 19 hours. */
static void test_wrap(void **state) {
        struct clock c = begun(0x50);

        (void)state;
        clock_start(&c, UINT32_MAX - 40000);
        clock_start(&c, UINT32_MAX - 40000 + STEP * 31250);
        clock_start(&c, UINT32_MAX - 40000 + STEP * 62500u);
        assert_int_equal(clock_cycle(&c), STEP * 31250);
}

/* ---- trimming ---- */

/* An oscillator: of 1.0 + error at its factory code; codes are `step`, and 0x80 is `overlap` below 0x7F. */
struct rc {
        double error, step, overlap;
        uint8_t factory;
};

static double ladder(const struct rc *rc, uint8_t code) {
        double f = pow(1 + rc->step, code < 0x80 ? code : code - 1);

        /* Not quite even. */
        f *= 1 + rc->step * 0.2 * (code % 3 - 1);
        return code < 0x80 ? f : f * (1 - rc->overlap);
}

static double frequency(const struct rc *rc, uint8_t code) {
        return (1 + rc->error) * ladder(rc, code) / ladder(rc, rc->factory);
}

/* Runs the clock by frames every period_s; the step happens 70 ms after a start. Returns after how many
 * starts the board is settled, 0: not within `most`. */
static unsigned settle(const struct rc *rc, struct clock *c, double period_s, unsigned most,
                       unsigned *ret_jumps) {
        double ticks = 5000, left_s = 0;
        uint8_t code = c->code, next;

        *ret_jumps = 0;
        for (unsigned n = 1; n <= most; n++) {
                ticks += left_s * TICKS_PER_S * frequency(rc, code);
                clock_start(c, (uint32_t)ticks);
                if (c->settled)
                        return n;
                ticks += 0.07 * TICKS_PER_S * frequency(rc, code);
                left_s = period_s - 0.07;
                while (clock_step(c, &next)) {
                        double change = frequency(rc, next) / frequency(rc, code) - 1;

                        if (fabs(change) > 0.02) {
                                assert_true((next ^ code) &
                                            0x80); /* R12: steps <= 2 %, but where the ranges meet */
                                (*ret_jumps)++;
                        }
                        code = next;
                }
                assert_int_equal(code, clock_code(c));
        }
        return 0;
}

/* Every factory code around the seam, every error in +-10 %, steps of 0.3..1 %, overlaps of 4..20 %:
 * settled, to within one and a half codes or 2 %, in 30 starts (30 s). */
static void test_settles(void **state) {
        static const double steps[] = {0.003, 0.0045, 0.006, 0.008, 0.01}, overlaps[] = {0.04, 0.08, 0.12, 0.16, 0.20},
                            periods[] = {1.0, 0.5};
        unsigned worst = 0, most_jumps = 0;

        (void)state;
        for (unsigned factory = 0x40; factory < 0xD0; factory++)
                for (unsigned k = 0; k < 5 * 5 * 2 * 9; k++) {
                        struct rc rc = {.error = -0.10 + 0.025 * (k % 9),
                                        .step = steps[k / 9 % 5],
                                        .overlap = overlaps[k / 45 % 5],
                                        .factory = (uint8_t)factory};
                        struct clock c = begun(rc.factory);
                        unsigned jumps, n = settle(&rc, &c, periods[k / 225], 60, &jumps);
                        double off = frequency(&rc, clock_code(&c)) - 1;

                        if (n == 0 || n > 30 || fabs(off) > fmax(1.5 * rc.step, 0.02 + rc.step / 4) || jumps > 3)
                                fail_msg("factory %#x error %.3f step %.3f overlap %.2f period %.1f: %u "
                                         "starts, %u jumps,"
                                         " now %#x, %.4f off",
                                         factory, rc.error, rc.step, rc.overlap, periods[k / 225], n, jumps,
                                         clock_code(&c), off);
                        worst = n > worst ? n : worst;
                        most_jumps = jumps > most_jumps ? jumps : most_jumps;
                        assert_true(clock_trusted(&c));
                        assert_true(fabs(clock_cycle(&c) - periods[k / 225] * TICKS_PER_S * (1 + off)) <= 1);
                }
        print_message("settled after at most %u starts, with at most %u jumps\n", worst, most_jumps);
}

/* At an end of all codes it stays there. */
static void test_ends(void **state) {
        static const struct {
                uint8_t factory, end;
                uint32_t interval;
        } rows[] = {{0x05, 0x00, 34000}, {0xFA, 0xFF, 28500}};

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                struct clock c = begun(rows[i].factory);
                uint32_t pair[] = {rows[i].interval, rows[i].interval};
                uint8_t code;

                for (unsigned n = 0; n < 4; n++) {
                        starts(&c, pair, 2);
                        while (clock_step(&c, &code))
                                ;
                        assert_int_equal(clock_code(&c), rows[i].end);
                }
                assert_false(clock_trusted(&c));
        }
}

/* An interval in which the oscillator was changed is not measured. */
static void test_changed_interval(void **state) {
        struct clock c = begun(0x50);
        uint32_t pair[] = {32250, 32250}, one[] = {31250};
        uint8_t code;

        (void)state;
        starts(&c, pair, 2);
        assert_int_not_equal(c.target, 0x50);
        assert_true(clock_step(&c, &code));
        assert_int_equal(code, 0x4F);
        while (clock_step(&c, &code))
                ;
        clock_start(&c, c.start_ticks + STEP * 31300); /* both rhythms */
        starts(&c, one, 1);
        assert_false(clock_trusted(&c));
        starts(&c, one, 1);
        assert_true(clock_trusted(&c));
}

/* Nor is one before a trim with one after it, however alike. */
static void test_pair_around_a_trim(void **state) {
        struct clock c = begun(0x50);
        uint32_t pair[] = {31400, 31400}, after[] = {31300, 31300};
        uint8_t code;

        (void)state;
        starts(&c, pair, 2);
        assert_true(clock_step(&c, &code));
        assert_false(clock_step(&c, &code));
        starts(&c, after, 1);
        assert_false(clock_trusted(&c));
        starts(&c, after, 1);
        assert_true(clock_trusted(&c));
}

/* Who crosses to the other range and hears no rhythm there is back after a few frames. */
static void test_crossing_in_vain(void **state) {
        struct clock c = begun(0x7F);
        uint32_t slow[] = {28500, 28500}, noise[] = {20500};
        uint8_t code, places[8];
        unsigned n = 0;

        (void)state;
        starts(&c, slow, 2);
        for (unsigned i = 0; i < 40 && n < 8; i++) {
                bool moved = false;

                while (clock_step(&c, &code))
                        moved = true;
                if (moved)
                        places[n++] = code;
                if (moved && code == 0x7F)
                        break;
                starts(&c, noise, 1);
        }
        assert_true(n >= 3 && n <= 5);
        for (unsigned i = 0; i + 1 < n; i++)
                assert_true(places[i] >= 0x80);
        assert_int_equal(places[n - 1], 0x7F);
        starts(&c, slow, 2); /* and tries again */
        assert_true(c.target >= 0x80);
}

/* A tick of jitter does not move a code that lies half way. */
static void test_no_dithering(void **state) {
        struct clock c = begun(0x50);
        uint32_t up[] = {31250 + 93, 31250 + 94}; /* half a typical code of 0.6 % */

        (void)state;
        for (unsigned n = 0; n < 100; n++)
                starts(&c, up, 2);
        assert_int_equal(c.target, 0x50);
        assert_true(clock_trusted(&c));
}

/* ---- the stored trim ---- */

static void settle_at_once(struct clock *c) {
        uint32_t pair[] = {31250, 31250};

        starts(c, pair, 2);
}

static void test_stored_is_loaded(void **state) {
        struct clock c;
        uint8_t stored = 0x58, code;
        unsigned n = 0;

        (void)state;
        clock_init(&c, 0x60, &stored, 77);
        assert_true(clock_trusted(&c)); /* R10 */
        for (; clock_step(&c, &code); n++)
                assert_int_equal(code, 0x60 - 1 - n);
        assert_int_equal(n, 8);
        assert_int_equal(clock_code(&c), 0x58);

        /* From one range to the other in one write. */
        clock_init(&c, 0x85, &stored, 77);
        assert_true(clock_step(&c, &code));
        assert_int_equal(code, 0x58);
        assert_false(clock_step(&c, &code));
}

static void test_store_first(void **state) {
        struct clock c = begun(0x50);

        (void)state;
        assert_false(clock_store_due(&c, 100));
        settle_at_once(&c);
        assert_true(clock_store_due(&c, 200));
        clock_stored(&c, 200);
        assert_false(clock_store_due(&c, 200));
}

/* Is it due so long after a moment, asked each half hour until then? */
static bool due_after(struct clock *c, uint64_t from_ticks, uint64_t ticks) {
        static const uint32_t half_hour = 1800 * TICKS_PER_S;

        for (uint64_t t = 0; t < ticks; t += half_hour)
                (void)clock_store_due(c, (uint32_t)(from_ticks + t));
        return clock_store_due(c, (uint32_t)(from_ticks + ticks));
}

static void test_store_daily(void **state) {
        static const uint64_t day = UINT64_C(86400) * TICKS_PER_S; /* more than the counter holds */
        static const struct {
                uint8_t stored, code;
                bool due;
        } rows[] = {
                {0x50, 0x50, false}, {0x50, 0x51, false}, {0x50, 0x52, true}, {0x50, 0x4F, false},
                {0x50, 0x4E, true},  {0x7F, 0x80, true}, /* next to each other, but far apart */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct clock c;

                clock_init(&c, rows[i].code, &rows[i].stored, 1000);
                c.target = rows[i].code; /* the factory's is right today */
                settle_at_once(&c);
                assert_true(c.settled);
                assert_false(due_after(&c, 1000, day - 1)); /* not more often, resets included */
                assert_int_equal(clock_store_due(&c, (uint32_t)(1000 + day)), rows[i].due);
                /* A day that has passed stays so. */
                assert_int_equal(due_after(&c, 1000 + day, 3 * day), rows[i].due);
                clock_stored(&c, (uint32_t)(1000 + 4 * day));
                c.code = c.target = (uint8_t)(rows[i].code + 2);
                assert_false(due_after(&c, 1000 + 4 * day, day - 1));
                assert_true(clock_store_due(&c, (uint32_t)(1000 + 5 * day)));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_intervals),
                cmocka_unit_test(test_pairs_are_successive),
                cmocka_unit_test(test_speed_change),
                cmocka_unit_test(test_wrap),
                cmocka_unit_test(test_settles),
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_changed_interval),
                cmocka_unit_test(test_no_dithering),
                cmocka_unit_test(test_pair_around_a_trim),
                cmocka_unit_test(test_crossing_in_vain),
                cmocka_unit_test(test_stored_is_loaded),
                cmocka_unit_test(test_store_first),
                cmocka_unit_test(test_store_daily),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
