/* SPDX-License-Identifier: MIT */
/* The IN board's switches (firmware/switches.h): the manual's tables, row by row, by moving switches as a
 * finger does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "switches.h"

#define SAMPLE_MS 20
#define MAX_EVENTS 16

/* A board with its switches, and what came of them. */
struct bench {
        struct switches s;
        uint8_t raw;
        unsigned n_events;
        enum switches_event events[MAX_EVENTS];
};

static void sample(struct bench *b, uint8_t raw) {
        enum switches_event event = switches_sample(&b->s, raw, SAMPLE_MS);

        if (event != SWITCHES_NOTHING) {
                assert_true(b->n_events < MAX_EVENTS);
                b->events[b->n_events++] = event;
        }
}

static void wait_ms(struct bench *b, unsigned ms) {
        for (unsigned t = 0; t < ms; t += SAMPLE_MS)
                sample(b, b->raw);
}

static struct bench powered(const char *positions) {
        struct bench b = {0};

        for (unsigned n = 0; n < SWITCHES; n++)
                if (positions[n] == '1')
                        b.raw = (uint8_t)(b.raw | 1u << n);
        switches_init(&b.s, b.raw);
        return b;
}

/* Moves one switch, which bounces for 80 ms. */
static void move(struct bench *b, unsigned n, bool on) {
        uint8_t bit = (uint8_t)(1u << (n - 1));
        uint8_t to = on ? (uint8_t)(b->raw | bit) : (uint8_t)(b->raw & ~bit);

        if (to == b->raw)
                return;
        sample(b, to);
        sample(b, b->raw);
        sample(b, to);
        sample(b, b->raw);
        b->raw = to;
        sample(b, to);
}

static void set_all(struct bench *b, const char *positions) {
        for (unsigned n = 1; n <= strlen(positions); n++)
                move(b, n, positions[n - 1] == '1');
}

static struct bench settled(const char *positions) {
        struct bench b = powered(positions);

        wait_ms(&b, 3000);
        assert_true(switches_known(&b.s));
        return b;
}

/* The manual: switches 2, 6, 7. */
static const struct {
        const char *positions;
        unsigned mv;
} v_bypass_rows[] = {
        {"0000000", 3400}, {"0000001", 3500}, {"0000010", 3600}, {"0000011", 3700},
        {"0100000", 4000}, {"0100001", 4100}, {"0100010", 4200}, {"0100011", 4300},
};

static void test_v_bypass_rows(void **state) {
        (void)state;
        for (unsigned from = 0; from < 8; from++)
                for (unsigned to = 0; to < 8; to++) {
                        struct bench b = settled(v_bypass_rows[from].positions);

                        assert_int_equal(switches_v_bypass(&b.s) * 5, v_bypass_rows[from].mv);
                        set_all(&b, v_bypass_rows[to].positions);
                        wait_ms(&b, 1900);
                        if (from != to)
                                assert_int_not_equal(switches_v_bypass(&b.s) * 5, v_bypass_rows[to].mv);
                        wait_ms(&b, 140);
                        assert_int_equal(switches_v_bypass(&b.s) * 5, v_bypass_rows[to].mv);
                        assert_int_equal(b.n_events, 0);
                }
}

static void test_functions(void **state) {
        static const struct {
                unsigned n;
                bool (*function)(const struct switches *s);
        } rows[] = {
                {1, switches_fast}, {3, switches_blind_spot}, {4, switches_zeroing}, {5, switches_critical}};

        (void)state;
        for (unsigned i = 0; i < 4; i++) {
                struct bench b = settled("00000000");

                move(&b, rows[i].n, true);
                wait_ms(&b, 1980);
                assert_false(rows[i].function(&b.s));
                wait_ms(&b, 40);
                for (unsigned k = 0; k < 4; k++)
                        assert_int_equal(rows[k].function(&b.s), k == i);
                assert_int_equal(switches_bits(&b.s), 1u << (rows[i].n - 1));
                move(&b, rows[i].n, false);
                wait_ms(&b, 2040);
                assert_false(rows[i].function(&b.s));
        }
}

/* The function of a switch that does not come to rest stays. */
static void test_restless(void **state) {
        struct bench b = settled("10000000");

        (void)state;
        for (unsigned i = 0; i < 10; i++) {
                move(&b, 1, false);
                wait_ms(&b, 1800);
                move(&b, 1, true);
                wait_ms(&b, 1800);
                assert_true(switches_fast(&b.s));
        }
}

static void test_power_up(void **state) {
        struct bench b = powered("11101110");

        (void)state;
        wait_ms(&b, 1980);
        assert_false(switches_known(&b.s));
        assert_int_equal(switches_v_bypass(&b.s), 0);
        assert_false(switches_fast(&b.s));
        wait_ms(&b, 40);
        assert_true(switches_known(&b.s));
        assert_true(switches_fast(&b.s) && switches_blind_spot(&b.s) && switches_critical(&b.s));
        assert_int_equal(switches_v_bypass(&b.s), 4300 / 5);
        assert_int_equal(switches_bits(&b.s), 0x77);
}

/* The manual's hidden table: current sensor by 1..3, number of cells by 4..7. */
static const char *const sensor_rows[] = {"000", "001", "010", "011", "100", "101", "110", "111"};
static const struct {
        const char *positions;
        unsigned cells;
} cell_rows[] = {
        {"0000", 4},   {"0001", 8},   {"0010", 12},  {"0011", 16},  {"0100", 20}, {"0101", 24},
        {"0110", 28},  {"0111", 32},  {"1000", 48},  {"1001", 64},  {"1010", 80}, {"1011", 96},
        {"1100", 128}, {"1101", 156}, {"1110", 204}, {"1111", 255},
};

static void toggle_eight(struct bench *b, unsigned on_ms) {
        move(b, 8, true);
        wait_ms(b, on_ms);
        move(b, 8, false);
}

static void test_hidden_rows(void **state) {
        (void)state;
        for (unsigned type = 0; type < 8; type++)
                for (unsigned row = 0; row < 16; row++) {
                        struct bench b = settled("00000000");
                        char positions[8] = {0};

                        memcpy(positions, sensor_rows[type], 3);
                        memcpy(positions + 3, cell_rows[row].positions, 4);
                        set_all(&b, positions);
                        wait_ms(&b, 200);
                        toggle_eight(&b, 1200);
                        assert_int_equal(b.n_events, 1);
                        assert_int_equal(b.events[0], SWITCHES_FACTORY);
                        assert_int_equal(b.s.sensor_type, type);
                        assert_int_equal(b.s.cells, cell_rows[row].cells);
                        /* Back in place: nothing more comes, no auto zero either, if that was among them. */
                        wait_ms(&b, 1000);
                        set_all(&b, "0000000");
                        wait_ms(&b, 5000);
                        assert_int_equal(b.n_events, 1);
                }
}

/* Not the edge, not long enough, others still moving, or it was never OFF. */
static void test_hidden_refused(void **state) {
        struct bench b = settled("01000000");

        (void)state;
        toggle_eight(&b, 900);
        wait_ms(&b, 3000);
        assert_int_equal(b.n_events, 0);

        move(&b, 8, true);
        wait_ms(&b, 2000);
        assert_int_equal(b.n_events, 0);
        move(&b, 2, false);
        move(&b, 8, false);
        wait_ms(&b, 3000);
        assert_int_equal(b.n_events, 0);

        toggle_eight(&b, 1020);
        assert_int_equal(b.n_events, 1);

        b = powered("11111111");
        wait_ms(&b, 10000);
        assert_int_equal(b.n_events, 0);
        move(&b, 8, false);
        wait_ms(&b, 200);
        assert_int_equal(b.n_events, 0);
        toggle_eight(&b, 1100);
        assert_int_equal(b.n_events, 1);
        assert_int_equal(b.s.cells, 255);
}

/* A switch 8 that was left ON does not keep a pack without V-bypass after a power-up. */
static void test_eight_left_on(void **state) {
        struct bench b = powered("00000011");

        (void)state;
        wait_ms(&b, 2100);
        assert_true(switches_known(&b.s));
        assert_int_equal(switches_v_bypass(&b.s) * 5, 3500);
}

/* A reset while switch 8 is ON: nothing is latched by the edge after it. */
static void test_hidden_interrupted(void **state) {
        struct bench b = settled("10100000");

        (void)state;
        move(&b, 8, true);
        wait_ms(&b, 1500);
        switches_init(&b.s, b.raw);
        wait_ms(&b, 1500);
        move(&b, 8, false);
        wait_ms(&b, 500);
        assert_int_equal(b.n_events, 0);
}

/* While switch 8 is ON the functions hold. */
static void test_functions_hold(void **state) {
        struct bench b = settled("00100000");

        (void)state;
        move(&b, 8, true);
        set_all(&b, "1100111");
        wait_ms(&b, 10000);
        assert_int_equal(switches_bits(&b.s), 0x04);
        assert_int_equal(switches_v_bypass(&b.s) * 5, 3400);
}

static void test_auto_zero(void **state) {
        struct bench b = settled("00000000");

        (void)state;
        move(&b, 4, true);
        wait_ms(&b, 2040);
        assert_true(switches_zeroing(&b.s));
        wait_ms(&b, 1000);
        sample(&b, 0);
        b.raw = 0;
        assert_false(switches_zeroing(&b.s));
        assert_int_equal(b.n_events, 1);
        assert_int_equal(b.events[0], SWITCHES_ZERO_STORE);
        wait_ms(&b, 5000);
        assert_int_equal(b.n_events, 1);

        /* 2.9 s are not enough. */
        move(&b, 4, true);
        wait_ms(&b, 2880);
        move(&b, 4, false);
        wait_ms(&b, 5000);
        assert_int_equal(b.n_events, 1);
}

/* Switch 8 meanwhile: 4 belongs to the number of cells, and what comes after is no auto zero until 4 was OFF.
 */
static void test_auto_zero_cancelled(void **state) {
        struct bench b = settled("00000000");

        (void)state;
        move(&b, 4, true);
        wait_ms(&b, 4000);
        assert_true(switches_zeroing(&b.s));
        move(&b, 8, true);
        wait_ms(&b, 100);
        assert_false(switches_zeroing(&b.s));
        move(&b, 8, false);
        wait_ms(&b, 8000);
        assert_false(switches_zeroing(&b.s));
        move(&b, 4, false);
        wait_ms(&b, 3000);
        assert_int_equal(b.n_events, 0);
        move(&b, 4, true);
        wait_ms(&b, 3200);
        assert_true(switches_zeroing(&b.s));
        move(&b, 4, false);
        assert_int_equal(b.n_events, 1);
}

/* Switch 8 was left ON and the power came back: it is ignored, and auto zero works beside it. */
static void test_auto_zero_beside_eight(void **state) {
        struct bench b = powered("00000001");

        (void)state;
        wait_ms(&b, 3000);
        move(&b, 4, true);
        wait_ms(&b, 3200);
        assert_true(switches_zeroing(&b.s));
        move(&b, 4, false);
        assert_int_equal(b.n_events, 1);
        assert_int_equal(b.events[0], SWITCHES_ZERO_STORE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_v_bypass_rows),
                cmocka_unit_test(test_functions),
                cmocka_unit_test(test_restless),
                cmocka_unit_test(test_power_up),
                cmocka_unit_test(test_hidden_rows),
                cmocka_unit_test(test_hidden_refused),
                cmocka_unit_test(test_eight_left_on),
                cmocka_unit_test(test_hidden_interrupted),
                cmocka_unit_test(test_functions_hold),
                cmocka_unit_test(test_auto_zero),
                cmocka_unit_test(test_auto_zero_cancelled),
                cmocka_unit_test(test_auto_zero_beside_eight),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
