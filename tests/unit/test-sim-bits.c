/* SPDX-License-Identifier: MIT */

/* Links with bit errors, and what the boards make of them (chain.md R2..R10). */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "chain.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define HARDLY 1e-15 /* turns the byte-wise chain on, and no bit */
#define NEVER UINT64_MAX
#define CELLS 16

/* Turns bit n of what is carried from now on, and then none. */
static void turn_next(struct wire *w, uint64_t n) {
        w->rate = HARDLY;
        w->skip = n;
}

/* 0x55 0x0F 0xF0 on the line, the least significant bit first:
 *   bit  0 10101010 1 | bit 10: 0 11110000 1 | bit 20: 0 00001111 1 */
static void test_receiver(void **state) {
        static const uint8_t sent[] = {0x55, 0x0F, 0xF0};
        static const struct {
                uint64_t bit;
                size_t n;
                struct wire_byte bytes[3];
        } rows[] = {
                {NEVER, 3, {{0x55, false}, {0x0F, false}, {0xF0, false}}},
                {1, 3, {{0x54, false}, {0x0F, false}, {0xF0, false}}},  /* its lowest bit */
                {8, 3, {{0xD5, false}, {0x0F, false}, {0xF0, false}}},  /* its highest bit */
                {29, 3, {{0x55, false}, {0x0F, false}, {0xF0, true}}},  /* a stop bit: right, but marked */
                /* A stop bit with a byte behind it: the line stays low into the next start bit, so the next falling
                 * edge is at bit 15; bits 16..23 are 00010000, and "its stop bit", 24, is low. Then ones. */
                {9, 2, {{0x55, true}, {0x08, true}}},
                /* The first start bit: the first falling edge is at bit 2; bits 3..10 are 10101010; stop bit 11 is
                 * high; the next edge is at bit 15, as above. */
                {0, 2, {{0x55, false}, {0x08, true}}},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct wire_byte got[WIRE_MAX];
                struct wire w;

                wire_init(&w, 1);
                if (rows[i].bit != NEVER)
                        turn_next(&w, rows[i].bit);
                assert_int_equal(wire_carry(&w, sent, sizeof(sent), got), rows[i].n);
                for (size_t k = 0; k < rows[i].n; k++) {
                        assert_int_equal(got[k].byte, rows[i].bytes[k].byte);
                        assert_int_equal(got[k].framing_error, rows[i].bytes[k].framing_error);
                }
        }
}

/* A lost start bit before 0xFF is a lost byte: there is no other falling edge in it. */
static void test_lost_byte(void **state) {
        static const uint8_t sent[] = {0xFF, 0x12, 0x34};
        struct wire_byte got[WIRE_MAX];
        struct wire w;

        (void)state;
        wire_init(&w, 1);
        turn_next(&w, 0);
        assert_int_equal(wire_carry(&w, sent, sizeof(sent), got), 2);
        assert_int_equal(got[0].byte, 0x12);
        assert_int_equal(got[1].byte, 0x34);
}

/* Of 10^7 bits at 10^-3, 10,000 are turned: standard deviation 100. */
static void test_rate(void **state) {
        uint8_t sent[50] = {0};
        struct wire_byte got[WIRE_MAX];
        struct wire w;

        (void)state;
        wire_init(&w, 7);
        wire_set_rate(&w, 1e-3);
        for (int i = 0; i < 20000; i++)
                (void)wire_carry(&w, sent, sizeof(sent), got);
        assert_true(w.bits == 10000000);
        assert_in_range(w.turned, 9600, 10400);
}

struct bench {
        struct chain chain;
        struct chain_input in;
        struct reading readings[CELLS_MAX + 1];
        struct chain_output out;
};

static void set_up(struct bench *b, int cells) {
        *b = (struct bench){0};
        chain_init(&b->chain, 3500, 1);
        b->in.cells = cells;
        b->in.configured = (uint8_t)cells;
        b->in.readings = b->readings;
        b->in.v_bypass_mv = 3500;
        b->in.sensor_type = 2;
        b->in.in = (struct frame_current){.known = true, .ma = 10000};
        b->in.out = (struct frame_current){.known = true, .ma = 4000};
        b->in.sum = (struct frame_current){.known = true, .ma = 6000};
        for (int i = 1; i <= CELLS_MAX; i++) /* neither extreme at an end of the chain */
                b->readings[i] = (struct reading){true, true, 3300 + 5 * (uint32_t)((i * 7) % 23),
                                                  200 + 10 * ((i * 5) % 17)};
}

/* Without a turned bit the boards' byte rules say the same as their value rules, whatever is wrong with them. */
static void test_bytes_are_values(void **state) {
        static const struct {
                int cells, cut, dead, silent, no_voltage, no_temperature;
        } rows[] = {
                {.cells = 2}, {.cells = 16}, {.cells = 255}, {.cells = 16, .cut = 5}, {.cells = 16, .cut = 16},
                {.cells = 16, .cut = 1}, {.cells = 16, .dead = 9}, {.cells = 16, .silent = 3},
                {.cells = 16, .no_voltage = 8}, {.cells = 16, .no_temperature = 1}, {.cells = 16, .no_voltage = 1},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                static struct bench values, bytes;
                struct bench *both[] = {&values, &bytes};

                for (int k = 0; k < 2; k++) {
                        set_up(both[k], rows[i].cells);
                        both[k]->in.cut[rows[i].cut] = true;
                        both[k]->in.dead[rows[i].dead] = true;
                        both[k]->in.silent[rows[i].silent] = true;
                        both[k]->readings[rows[i].no_voltage].voltage_known = false;
                        both[k]->readings[rows[i].no_temperature].temperature_known = false;
                        both[k]->in.cut[0] = both[k]->in.dead[0] = both[k]->in.silent[0] = false;
                }
                chain_set_bit_errors(&bytes.chain, HARDLY);
                for (int half = 0; half < 60; half++) {
                        uint8_t expected[FRAME_SIZE];

                        chain_step(&values.chain, &values.in, &values.out);
                        chain_step(&bytes.chain, &bytes.in, &bytes.out);
                        assert_true(bytes.out.damaged && !values.out.damaged);
                        assert_int_equal(values.out.last_sent, bytes.out.last_sent);
                        assert_int_equal(values.out.extended_sent, bytes.out.extended_sent);
                        if (values.out.last_sent) {
                                frame_encode(&values.out.last, TEMPERATURE_SHEET, expected);
                                assert_int_equal(bytes.out.last_bytes.size, FRAME_SIZE);
                                assert_memory_equal(bytes.out.last_bytes.data, expected, FRAME_SIZE);
                        }
                        if (values.out.extended_sent) {
                                frame_encode(&values.out.extended, TEMPERATURE_SHEET, expected);
                                assert_int_equal(bytes.out.extended_bytes.size, FRAME_SIZE);
                                assert_memory_equal(bytes.out.extended_bytes.data, expected, FRAME_SIZE);
                        }
                }
        }
}

/* chain.md R4: "any single damaged byte stays visible to the end of the chain": every bit of every link between the
 * boards, one at a time; 8,700 of them. A turned start or stop bit shifts the bytes behind it too. */
static void test_every_single_bit_is_seen(void **state) {
        static struct bench clean, b;

        (void)state;
        set_up(&clean, CELLS);
        chain_set_bit_errors(&clean.chain, HARDLY);
        for (uint64_t bit = 0; bit < (CELLS - 1) * FRAME_SIZE * WIRE_BITS; bit++) {
                b = clean;
                b.in.readings = b.readings;
                turn_next(&b.chain.wire, bit);
                chain_step(&b.chain, &b.in, &b.out);
                assert_int_equal(b.chain.wire.turned, 1);
                assert_true(b.out.last_sent);
                assert_int_equal(b.out.last_bytes.size, FRAME_SIZE); /* R3: filled to 58 */
                if (frame_checksum(b.out.last_bytes.data) == b.out.last_bytes.data[FRAME_OFF_CHECKSUM])
                        fail_msg("bit %llu: not seen", (unsigned long long)bit);
        }
}

/* What R4 is for: a board adds its reading to a damaged pack voltage, and the damage stays what it was. */
static void test_damage_goes_through(void **state) {
        static struct bench clean, b;
        const unsigned bit = 2 * WIRE_BITS + 1 + 3; /* byte 2, the pack voltage's lowest: 8 steps of 5 mV */
        uint32_t right, wrong;

        (void)state;
        set_up(&clean, CELLS);
        chain_set_bit_errors(&clean.chain, HARDLY);
        b = clean;
        b.in.readings = b.readings;
        chain_step(&clean.chain, &clean.in, &clean.out);
        turn_next(&b.chain.wire, 6 * FRAME_SIZE * WIRE_BITS + bit); /* on the link from board 7 to board 8 */
        chain_step(&b.chain, &b.in, &b.out);
        right = frame_get24(clean.out.last_bytes.data);
        wrong = frame_get24(b.out.last_bytes.data);
        assert_true(wrong == right + 8 || wrong == right - 8);
        assert_memory_equal(b.out.last_bytes.data + 3, clean.out.last_bytes.data + 3, FRAME_SIZE - 4);
}

/* R10: after 10 cycles without a good frame a board starts its own, until 3 good ones in a row. */
static void test_unheard(void **state) {
        static struct bench b;
        unsigned orphans = 0;

        (void)state;
        set_up(&b, 2);
        chain_set_bit_errors(&b.chain, HARDLY);
        for (int cycle = 0; cycle < 30; cycle++)
                for (int half = 0; half < 2; half++) {
                        if (half == 0)
                                turn_next(&b.chain.wire, 15);
                        chain_step(&b.chain, &b.in, &b.out);
                        if (b.out.last_sent && b.out.last_bytes.data[FRAME_OFF_COUNT] == 1) {
                                assert_in_range(cycle, 10, 14);
                                orphans++;
                                assert_true(b.out.last_bytes.data[FRAME_OFF_STATUS] & FRAME_STATUS_COMMUNICATION_ERROR);
                                cycle = cycle > 12 ? 30 : cycle;
                        }
                }
        assert_in_range(orphans, 1, 3);
        for (int half = 0; half < 12; half++)
                chain_step(&b.chain, &b.in, &b.out);
        assert_false(b.chain.boards[2].unheard);
        chain_step(&b.chain, &b.in, &b.out);
        chain_step(&b.chain, &b.in, &b.out);
        assert_true(b.chain.boards[2].last_good + 2 >= b.chain.half);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_receiver),
                cmocka_unit_test(test_lost_byte),
                cmocka_unit_test(test_rate),
                cmocka_unit_test(test_bytes_are_values),
                cmocka_unit_test(test_every_single_bit_is_seen),
                cmocka_unit_test(test_damage_goes_through),
                cmocka_unit_test(test_unheard),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
