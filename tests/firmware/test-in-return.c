/* SPDX-License-Identifier: MIT */
/* What comes back to the IN board (firmware/in-return.h) and goes out again (firmware/output-line.h): R1 and
 * R9. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "in-return.h"
#include "output-line.h"

#define MS(ms) ((uint32_t)((ms)*57.6)) /* the IN board's timer: 57600 Hz */
#define CYCLE MS(1000)

static void frame_of(uint8_t p[58], uint8_t count, uint8_t key_byte) {
        unsigned sum = 0;

        memset(p, 0, 58);
        p[25] = count;
        p[47] = key_byte;
        for (int i = 0; i < 57; i++)
                sum += p[i];
        p[57] = (uint8_t)sum;
}

/* n bytes in a row, the first whole at start; returns the time of the last. */
static uint32_t feed(struct in_return *r, const uint8_t *bytes, int n, uint32_t start) {
        uint32_t now = start;

        for (int i = 0; i < n; i++, now += MS(1.04))
                in_return_receive(r, bytes[i], false, now);
        return now - MS(1.04);
}

static struct in_return waiting(uint32_t now) {
        struct in_return r;

        in_return_init(&r, now);
        return r;
}

static void test_whole_frames(void **state) {
        struct in_return r = waiting(0);
        uint8_t p[58];
        const uint8_t *taken;

        (void)state;
        frame_of(p, 16, 153);
        assert_null(in_return_take(&r));
        feed(&r, p, 57, MS(100));
        assert_null(in_return_take(&r));
        /* The 58th, and what comes after it without a silence is dropped. */
        uint32_t end = feed(&r, p, 58, MS(1000));
        taken = in_return_take(&r);
        assert_non_null(taken);
        assert_memory_equal(taken, p, 58);
        assert_null(in_return_take(&r));
        feed(&r, p, 58, end + MS(1.04));
        assert_null(in_return_take(&r));
        /* A bad frame is handed on, too. */
        p[10] ^= 0x40;
        feed(&r, p, 58, MS(2000));
        taken = in_return_take(&r);
        assert_non_null(taken);
        assert_memory_equal(taken, p, 58);
}

/* Main looks while the last byte of the next frame may come at any moment: what it gets is the newest whole
 * one, each once, and both of its halves of memory in turn. */
static void test_newest(void **state) {
        struct in_return r = waiting(0);
        const uint8_t *taken;
        uint8_t p[58];

        (void)state;
        for (uint8_t n = 1; n <= 9; n++) {
                frame_of(p, n, 153);
                feed(&r, p, 57, n * MS(500));
                assert_int_equal(in_return_waiting(&r), n % 3 == 1 && n > 1);
                in_return_receive(&r, p[57], false, n * MS(500) + MS(60));
                assert_true(in_return_waiting(&r));
                /* Every third one is passed over: main was busy. */
                if (n % 3 == 0)
                        continue;
                taken = in_return_take(&r);
                assert_non_null(taken);
                assert_memory_equal(taken, p, 58);
                assert_false(in_return_waiting(&r));
        }
}

/* R1: after a reset, and after a frame, one silence of 20 ms first. */
static void test_silence(void **state) {
        uint8_t p[58];

        (void)state;
        frame_of(p, 16, 153);
        for (int gap = 17; gap <= 23; gap += 6) {
                struct in_return r = waiting(0);

                feed(&r, p, 58, MS(gap));
                assert_int_equal(in_return_take(&r) != NULL, gap >= 20);
        }
        /* Where ticks have wrapped since the last byte, to the tick: remembered all the same. */
        struct in_return r = waiting(0);
        assert_false(in_return_tick(&r, MS(30), CYCLE));
        feed(&r, p, 58, 0);
        assert_non_null(in_return_take(&r));
}

static void test_learns_cells(void **state) {
        struct in_return r = waiting(0);
        uint32_t now = 0;
        uint8_t p[58];

        (void)state;
#define RETURN(count, key, damage)                                                                           \
        do {                                                                                                 \
                now += CYCLE;                                                                                \
                frame_of(p, count, key);                                                                     \
                p[3] = (uint8_t)(p[3] + (damage));                                                           \
                feed(&r, p, 58, now);                                                                        \
                assert_non_null(in_return_take(&r));                                                         \
        } while (0)
        RETURN(16, 153, 0);
        RETURN(16, 155, 0);
        assert_int_equal(in_return_cells(&r), 0);
        RETURN(16, 156, 0);
        assert_int_equal(in_return_cells(&r), 16);
        /* Not two and two, not orphans (key 129), not damaged ones. */
        RETURN(12, 153, 0);
        RETURN(12, 153, 0);
        RETURN(16, 153, 0);
        RETURN(12, 153, 0);
        assert_int_equal(in_return_cells(&r), 16);
        for (int i = 0; i < 5; i++)
                RETURN(7, 154, 0);
        for (int i = 0; i < 5; i++)
                RETURN(9, 153, 1);
        assert_int_equal(in_return_cells(&r), 16);
        RETURN(20, 153, 0);
        RETURN(20, 153, 0);
        RETURN(20, 153, 0);
        assert_int_equal(in_return_cells(&r), 20);
        for (int i = 0; i < 300; i++)
                RETURN(20, 153, 0);
        assert_int_equal(in_return_cells(&r), 20);
}

/* A byte with a framing error: handed on, but its count is not believed. */
static void test_framing_error(void **state) {
        struct in_return r = waiting(0);
        uint8_t p[58];

        (void)state;
        frame_of(p, 16, 153);
        for (uint32_t n = 1; n <= 4; n++) {
                for (int i = 0; i < 58; i++)
                        in_return_receive(&r, p[i], i == 40, n * CYCLE + (uint32_t)i * MS(1.04));
                assert_non_null(in_return_take(&r));
        }
        assert_int_equal(in_return_cells(&r), 0);
}

/* 3.0 cycles after the last return's first byte. */
static void test_lost(void **state) {
        struct in_return r = waiting(MS(5));
        uint8_t p[58];

        (void)state;
        assert_false(in_return_tick(&r, MS(5) + 3 * CYCLE - 1, CYCLE));
        assert_false(in_return_lost(&r));
        assert_true(in_return_tick(&r, MS(5) + 3 * CYCLE, CYCLE));
        assert_true(in_return_lost(&r));
        assert_false(in_return_tick(&r, MS(5) + 4 * CYCLE, CYCLE));

        frame_of(p, 16, 153);
        feed(&r, p, 57, MS(8000));
        assert_true(in_return_lost(&r));
        feed(&r, p, 58, MS(9000));
        assert_false(in_return_lost(&r));
        /* Bytes that are no frame do not put it off. */
        feed(&r, p, 40, MS(11000));
        assert_false(in_return_tick(&r, MS(9000) + 3 * CYCLE - 1, CYCLE));
        assert_true(in_return_tick(&r, MS(9000) + 3 * CYCLE, CYCLE));
        /* At 0.5 s. */
        feed(&r, p, 58, MS(20000));
        assert_false(in_return_tick(&r, MS(20000) + 3 * CYCLE / 2 - 1, CYCLE / 2));
        assert_true(in_return_tick(&r, MS(20000) + 3 * CYCLE / 2, CYCLE / 2));
}

/* ---- the extended output ---- */

/* Reads the line as a UART does, one sample a bit. */
static void test_bits(void **state) {
        struct output_line o;
        uint8_t sent[58], heard[58];
        bool level = true;

        (void)state;
        for (int i = 0; i < 58; i++)
                sent[i] = (uint8_t)(i * 37 + 11);
        output_line_init(&o);
        assert_true(output_line_start(&o, sent));
        assert_false(output_line_start(&o, sent));
        for (int i = 0; i < 58; i++) {
                unsigned byte = 0;

                assert_true(output_line_bit(&o, &level));
                assert_false(level);
                for (unsigned bit = 0; bit < 8; bit++) {
                        assert_true(output_line_bit(&o, &level));
                        byte |= (level ? 1u : 0u) << bit;
                }
                assert_true(output_line_bit(&o, &level));
                assert_true(level);
                heard[i] = (uint8_t)byte;
        }
        assert_memory_equal(heard, sent, 58);
        level = true;
        assert_false(output_line_bit(&o, &level));
        assert_true(level);
}

static void test_quiet(void **state) {
        static const uint8_t frame[58];
        struct output_line o;
        bool level;
        uint32_t end = 12345;

        (void)state;
        output_line_init(&o);
        assert_true(output_line_start(&o, frame));
        /* While it sends, no quiet begins, however long that takes. */
        while (output_line_bit(&o, &level))
                output_line_tick(&o, end - 1);
        assert_false(output_line_start(&o, frame));
        output_line_end(&o, end);
        /* The last two bits are still to come when there is nothing left to ask for: 208.3 us, 12 ticks. */
        output_line_tick(&o, end + MS(200) + 11);
        assert_false(output_line_start(&o, frame));
        output_line_tick(&o, end + MS(200) + 12);
        assert_true(output_line_start(&o, frame));
        assert_int_equal(OUTPUT_LINE_BIT_TICKS * 9600, 57600);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole_frames),  cmocka_unit_test(test_newest),
                cmocka_unit_test(test_silence),       cmocka_unit_test(test_learns_cells),
                cmocka_unit_test(test_framing_error), cmocka_unit_test(test_lost),
                cmocka_unit_test(test_bits),          cmocka_unit_test(test_quiet),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
