/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "chain.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define E_STATUS 0x84

/* A pack whose cell i reads 3300 + 5 i mV and 20 + i degC. */
struct bench {
        struct chain chain;
        struct chain_input in;
        struct reading readings[CELLS_MAX + 1];
        struct chain_output out;
};

static void set_up(struct bench *b, int cells, int configured) {
        *b = (struct bench){0};
        chain_init(&b->chain, 3500, 1);
        b->in.cells = cells;
        b->in.configured = (uint8_t)configured;
        b->in.readings = b->readings;
        b->in.v_bypass_mv = 3500;
        b->in.switches = SWITCH_BYPASS_7 | SWITCH_CRITICAL;
        b->in.sensor_type = 2;
        b->in.in = (struct frame_current){.known = true, .ma = 10000};
        b->in.out = (struct frame_current){.known = true, .ma = 4000};
        b->in.sum = (struct frame_current){.known = true, .ma = 6000};
        for (int i = 1; i <= CELLS_MAX; i++)
                b->readings[i] = (struct reading){true, true, 3300 + 5 * (uint32_t)i, 200 + 10 * i};
}

static void step(struct bench *b) {
        chain_step(&b->chain, &b->in, &b->out);
}

/* Whole cycles: an even half and the quiet one behind it. */
static void cycles(struct bench *b, int n) {
        for (int i = 0; i < 2 * n; i++)
                step(b);
}

static void test_healthy(void **state) {
        static const int sizes[] = {2, 5, 16, 255};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                uint32_t n = (uint32_t)sizes[i];
                struct bench b;

                set_up(&b, sizes[i], sizes[i]);
                step(&b);
                assert_true(b.out.extended_sent);
                assert_true(b.out.last_sent);
                assert_int_equal(b.out.extended.count, n);
                assert_int_equal(b.out.extended.pack_mv, 3300 * n + 5 * n * (n + 1) / 2);
                assert_int_equal(b.out.extended.lowest_mv, 3305);
                assert_int_equal(b.out.extended.lowest_voltage_cell, 1);
                assert_int_equal(b.out.extended.highest_mv, 3300 + 5 * n);
                assert_int_equal(b.out.extended.highest_voltage_cell, n);
                assert_int_equal(b.out.extended.lowest_decic, 210);
                assert_int_equal(b.out.extended.lowest_temperature_cell, 1);
                assert_int_equal(b.out.extended.highest_decic, 200 + 10 * n);
                assert_int_equal(b.out.extended.highest_temperature_cell, n);
                assert_int_equal(b.out.extended.status, 0x80);
                assert_int_equal(b.out.extended.sum.ma, 6000);
                assert_int_equal(b.out.extended.v_bypass_mv, 3500);
                assert_int_equal(memcmp(&b.out.extended, &b.out.last, sizeof(b.out.last)), 0);
                step(&b);
                assert_false(b.out.extended_sent); /* nothing between two messages */
        }
}

/* R6: of equal readings the first cell's number stays. */
static void test_equal_extremes(void **state) {
        struct bench b;

        (void)state;
        set_up(&b, 4, 4);
        for (int i = 1; i <= 4; i++)
                b.readings[i] = (struct reading){true, true, 3300, 200};
        step(&b);
        assert_int_equal(b.out.last.lowest_voltage_cell, 1);
        assert_int_equal(b.out.last.highest_voltage_cell, 1);
        assert_int_equal(b.out.last.highest_temperature_cell, 1);
}

/* R9: details rotate over M = 8 until the return brought 5 cells three times, then over 5. */
static void test_rotation(void **state) {
        static const uint8_t with_return[] = {1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1};
        static const uint8_t without[] = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3};
        struct bench b;

        (void)state;
        for (int ring = 0; ring < 2; ring++) {
                set_up(&b, 5, 8);
                b.in.rotate_configured = !ring;
                for (size_t i = 0; i < ELEMENTSOF(without); i++) {
                        uint8_t cell = ring ? with_return[i] : without[i];

                        step(&b);
                        assert_int_equal(b.out.last.detail_cell, cell);
                        assert_int_equal(b.out.last.detail_mv, cell <= 5 ? 3300 + 5 * cell : 0);
                        assert_int_equal(b.out.last.detail_temperature_known, cell <= 5);
                        assert_int_equal(b.out.last.count, 5);
                        step(&b);
                }
        }
}

/* M above 3 is used for the three frames that it takes to learn better. */
static void test_rotation_learned_after_three(void **state) {
        static const uint8_t cells[] = {1, 2, 3, 1, 2, 1};
        struct bench b;

        (void)state;
        set_up(&b, 2, 8);
        for (size_t i = 0; i < ELEMENTSOF(cells); i++) {
                step(&b);
                assert_int_equal(b.out.last.detail_cell, cells[i]);
                step(&b);
        }
}

static void test_missing_detail(void **state) {
        struct bench b;

        (void)state;
        set_up(&b, 3, 3);
        b.in.silent[2] = true;
        cycles(&b, 1);
        step(&b);
        assert_int_equal(b.out.last.detail_cell, 2);
        assert_int_equal(b.out.last.detail_mv, 0);
        assert_false(b.out.last.detail_temperature_known);
        assert_int_equal(b.out.last.status, 0x80);
        assert_int_equal(b.out.last.count, 3);
}

/* All seven pairs in seven frames. */
static void test_pairs(void **state) {
        uint8_t values[256] = {0};
        bool seen[256] = {false};
        struct bench b;

        (void)state;
        set_up(&b, 5, 8);
        for (int i = 0; i < 7; i++) {
                step(&b);
                seen[b.out.last.key_byte - 25] = true;
                values[b.out.last.key_byte - 25] = b.out.last.value;
                step(&b);
        }
        for (int key = 128; key <= 135; key++)
                assert_int_equal(seen[key], key != 129);
        assert_int_equal(values[130], 0x40 | 0x10); /* switches 7 and 5 */
        assert_int_equal(values[131], 2);
        assert_int_equal(values[132], 8);
        assert_int_equal(values[135], 0);
}

/* R10, R11: 2.5 cycles after its last frame start the board behind the break speaks up, then every 1.5
 * cycles. The count tells the place: N - count is the board before it. */
static void test_cut(void **state) {
        static const struct {
                int cells, cut;
                bool dead; /* the board, not the link */
        } rows[] = {
                {5, 1, false},   {5, 3, false}, {5, 4, false}, {2, 1, false},  {255, 254, false},
                {255, 1, false}, {5, 3, true},  {5, 2, true},  {16, 15, true},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int n = rows[i].cells, k = rows[i].cut;
                struct bench b;

                set_up(&b, n, n);
                cycles(&b, 4); /* the last frame starts at half cycle 6 */
                (rows[i].dead ? b.in.dead : b.in.cut)[k] = true;
                for (int half = 8; half < 24; half++) {
                        bool due = half >= 6 + 5 && (half - 11) % 3 == 0;

                        step(&b);
                        assert_int_equal(b.out.last_sent, due);
                        assert_int_equal(b.out.extended_sent, due);
                        if (!due)
                                continue;
                        assert_int_equal(b.out.last.count, n - k);
                        assert_int_equal(b.out.last.status, E_STATUS);
                        assert_int_equal(b.out.last.key_byte, 129 + 25);
                        assert_int_equal(b.out.last.value, k + 1);
                        assert_false(b.out.last.in.known);
                        assert_false(b.out.last.out.known);
                        assert_false(b.out.last.sum.known);
                        assert_int_equal(b.out.last.detail_cell, 0);
                        assert_int_equal(b.out.last.lowest_voltage_cell, 1);
                        assert_int_equal(b.out.last.lowest_mv, 3300 + 5 * (k + 1));
                        assert_int_equal(b.out.last.v_bypass_mv, 3500);
                        /* R6: in the first orphan a board still uses its old number, then the relative one */
                        if (k + 1 < n)
                                assert_int_equal(b.out.last.highest_voltage_cell, half == 11 ? n : n - k);
                }
        }
}

/* R8: behind a mended break the boards' numbers are wrong for one frame, and they say so. */
static void test_mended(void **state) {
        struct bench b;

        (void)state;
        set_up(&b, 5, 5);
        cycles(&b, 4);
        b.in.cut[2] = true;
        cycles(&b, 8);
        b.in.cut[2] = false;
        step(&b);
        assert_int_equal(b.out.extended.count, 5);
        assert_int_equal(b.out.extended.status, E_STATUS);
        assert_true(b.out.extended.sum.known);
        step(&b);
        step(&b);
        assert_int_equal(b.out.extended.status, 0x80);
        assert_int_equal(b.out.extended.highest_voltage_cell, 5);
}

/* R9: 3.0 cycles after the last return the IN board gives its own frame each cycle, count 0. At the last
 * board's output all is well, but for the flag in pair 135. */
static void test_return_lost(void **state) {
        bool flagged = false;
        struct bench b;

        (void)state;
        set_up(&b, 5, 5);
        cycles(&b, 4);
        b.in.cut[5] = true;
        for (int half = 8; half < 30; half++) {
                step(&b);
                assert_int_equal(b.out.extended_sent, half >= 6 + 6 && half % 2 == 0);
                assert_int_equal(b.out.last_sent, half % 2 == 0);
                if (b.out.last_sent) {
                        assert_int_equal(b.out.last.status, 0x80);
                        assert_int_equal(b.out.last.count, 5);
                }
                if (!b.out.extended_sent)
                        continue;
                assert_int_equal(b.out.extended.count, 0);
                assert_int_equal(b.out.extended.detail_cell, 0);
                assert_int_equal(b.out.extended.status, E_STATUS);
                assert_int_equal(b.out.extended.pack_mv, 3305);
                assert_int_equal(b.out.extended.sum.ma, 6000);
                if (b.out.extended.key_byte == 135 + 25)
                        flagged = b.out.extended.value == 1 << 5;
        }
        assert_true(flagged);
        b.in.cut[5] = false;
        step(&b);
        assert_int_equal(b.out.extended.count, 5);
        assert_int_equal(b.out.extended.status, 0x80);
}

/* A dead IN board: silence at its own output; orphans of board 2, count N-1, at the last board (B14). */
static void test_in_board_dead(void **state) {
        int orphans = 0;
        struct bench b;

        (void)state;
        set_up(&b, 5, 5);
        cycles(&b, 4);
        b.in.dead[1] = true;
        for (int half = 8; half < 30; half++) {
                step(&b);
                assert_false(b.out.extended_sent);
                if (!b.out.last_sent)
                        continue;
                assert_int_equal(b.out.last.count, 4);
                assert_int_equal(b.out.last.status, E_STATUS);
                orphans++;
        }
        assert_int_equal(orphans, 7); /* half cycles 11, 14, ... 29 */
}

/* R8: a board without a reading adds nothing, still counts, fills 0 in its detail, and says so. */
static void test_board_without_reading(void **state) {
        struct bench b;

        (void)state;
        for (int faulty = 1; faulty <= 3; faulty++) {
                set_up(&b, 3, 3);
                b.readings[faulty] = (struct reading){0};
                step(&b);
                assert_int_equal(b.out.last.count, 3);
                assert_int_equal(b.out.last.status, E_STATUS);
                assert_int_equal(b.out.last.pack_mv, 3305 + 3310 + 3315 - 3300 - 5 * faulty);
                assert_int_equal(b.out.last.lowest_mv, faulty == 1 ? 3310 : 3305);
                assert_int_equal(b.out.last.highest_mv, faulty == 3 ? 3310 : 3315);
                assert_true(b.out.last.lowest_temperature_known);
                assert_int_equal(b.out.last.lowest_decic, faulty == 1 ? 220 : 210);
        }
        cycles(&b, 2);
        assert_int_equal(b.out.last.detail_mv, 0);
}

/* R13: two successive frames with the same value, and only one of the eight. */
static void test_v_bypass_is_learned(void **state) {
        struct bench b;

        (void)state;
        set_up(&b, 3, 3);
        cycles(&b, 3);
        b.in.v_bypass_mv = 3600;
        cycles(&b, 1);
        assert_int_equal(chain_v_bypass(&b.chain, 2), 3500);
        cycles(&b, 1);
        assert_int_equal(chain_v_bypass(&b.chain, 2), 3600);
        b.in.v_bypass_mv = 3555;
        cycles(&b, 3);
        assert_int_equal(chain_v_bypass(&b.chain, 3), 3600);
        b.in.dead[2] = true;
        cycles(&b, 1);
        assert_int_equal(chain_v_bypass(&b.chain, 2), 0);
}

/* The manual's table: switches 2, 6, 7. */
static void test_bypass_switches(void **state) {
        static const struct {
                int mv, switches;
        } rows[] = {
                {3400, 0x00}, {3500, 0x40}, {3600, 0x20}, {3700, 0x60},
                {4000, 0x02}, {4100, 0x42}, {4200, 0x22}, {4300, 0x62},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_int_equal(chain_bypass_switches(rows[i].mv), rows[i].switches);
        assert_true(chain_bypass_switches(3800) < 0);
        assert_true(chain_bypass_switches(0) < 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_healthy),
                cmocka_unit_test(test_equal_extremes),
                cmocka_unit_test(test_rotation),
                cmocka_unit_test(test_rotation_learned_after_three),
                cmocka_unit_test(test_missing_detail),
                cmocka_unit_test(test_pairs),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_mended),
                cmocka_unit_test(test_return_lost),
                cmocka_unit_test(test_in_board_dead),
                cmocka_unit_test(test_board_without_reading),
                cmocka_unit_test(test_v_bypass_is_learned),
                cmocka_unit_test(test_bypass_switches),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
