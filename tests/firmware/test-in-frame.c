/* SPDX-License-Identifier: MIT */
/* The IN board's own frame (firmware/in-frame.h), R9 and R8 of the chain's rules, byte by byte from the wire
 * format. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "in-frame.h"

static struct in_frame_values some(void) {
        return (struct in_frame_values){
                .reading = {.voltage = 666, .temperature = 297}, /* 3.330 V, 21 degC */
                .in = {.known = true, .steps = 161},             /* 20.125 A */
                .out = {.known = true, .steps = 258},            /* 32.250 A */
                .sum = {.known = true, .steps = -97},
                .v_bypass = 720,
                .switches_known = true,
                .switches = 0x14,
                .sensor_type = 3,
                .configured_cells = 16,
                .flags = 0x21,
        };
}

static uint8_t sum_of(const uint8_t *p) {
        unsigned sum = 0;

        for (int i = 0; i < 57; i++)
                sum += p[i];
        return (uint8_t)sum;
}

static void test_bytes(void **state) {
        /* By hand, after wire formats, section 1: 666 = 0x029a, 297 = 0x0129, 161 = 0x00a1, 258 = 0x0102, 97
         * = 0x61, 720 = 0x02d0; key 128 + 25 = 153. */
        static const uint8_t expected[57] = {
                0x00, 0x02, 0x9a, '+',  0x00, 0xa1, '+',  0x01,       0x02,     '-',         0x00,       0x61,
                0x02, 0x9a, 1,    0x02, 0x9a, 1,    0x01, 0x29,       1,        0x01,        0x29,       1,
                1,    1,    0x02, 0x9a, 0x01, 0x29, 0x80, [47] = 153, [48] = 1, [55] = 0x02, [56] = 0xd0};
        struct in_frame_values v = some();
        struct in_frame f;
        uint8_t p[58];

        (void)state;
        memset(p, 0xee, sizeof(p));
        in_frame_init(&f);
        in_frame_next(&f, &v, 16, p);
        assert_memory_equal(p, expected, 57);
        assert_int_equal(p[57], sum_of(p));
        /* Not cell 1's turn: zeros where the details stand. */
        in_frame_next(&f, &v, 16, p);
        assert_int_equal(p[24], 2);
        assert_int_equal(p[26] | p[27] | p[28] | p[29], 0);
}

static void test_rotation(void **state) {
        struct in_frame_values v = some();
        struct in_frame f;
        uint8_t p[58];

        (void)state;
        in_frame_init(&f);
        for (int i = 0; i < 40; i++) {
                in_frame_next(&f, &v, 16, p);
                assert_int_equal(p[24], i % 16 + 1);
        }
        /* Fewer than the last one: begins again. */
        in_frame_next(&f, &v, 4, p);
        assert_int_equal(p[24], 1);
        for (int i = 0; i < 2 * 255; i++)
                in_frame_next(&f, &v, 255, p);
        assert_int_equal(p[24], 1);
}

static void test_pairs(void **state) {
        static const struct {
                int key, value;
        } turn[] = {{128, 1},
                    {130, 0x14},
                    {131, 3},
                    {132, 16},
                    {133, IN_FRAME_FIRMWARE_MAJOR},
                    {134, IN_FRAME_FIRMWARE_MINOR},
                    {135, 0x21}};
        struct in_frame_values v = some();
        struct in_frame f;
        uint8_t p[58];

        (void)state;
        in_frame_init(&f);
        for (int i = 0; i < 21; i++) {
                in_frame_next(&f, &v, 16, p);
                assert_int_equal(p[47], turn[i % 7].key + 25);
                assert_int_equal(p[48], turn[i % 7].value);
        }
        /* Switches that have not settled are not told. */
        v.switches_known = false;
        for (int i = 0; i < 21; i++) {
                in_frame_next(&f, &v, 16, p);
                assert_int_not_equal(p[47], 130 + 25);
        }
}

static void test_unknown(void **state) {
        struct in_frame_values v = some();
        struct in_frame f;
        uint8_t p[58];

        (void)state;
        in_frame_init(&f);
        v.out = (struct current_value){0};
        v.reading.voltage = 0;
        in_frame_next(&f, &v, 16, p);
        assert_int_equal(p[30], 0x84);
        assert_memory_equal(p, ((uint8_t[]){0, 0, 0}), 3);
        assert_memory_equal(p + 6, ((uint8_t[]){'X', 0, 0}), 3);
        assert_memory_equal(p + 12, ((uint8_t[]){0, 0, 0, 0, 0, 0, 0x01, 0x29, 1}), 9);
        assert_memory_equal(p + 26, ((uint8_t[]){0, 0, 0x01, 0x29}), 4);

        v = some();
        v.reading.temperature = 0;
        in_frame_next(&f, &v, 16, p);
        assert_int_equal(p[30], 0x84);
        assert_memory_equal(p + 18, ((uint8_t[]){0, 0, 0, 0, 0, 0}), 6);

        v = some();
        v.bypass_faulty = true;
        in_frame_next(&f, &v, 16, p);
        assert_int_equal(p[30], 0x84);
        assert_int_equal(p[57], sum_of(p));
}

/* The widest current: two sensors of 2,000 A, 10 % over, against each other: 35,200 steps = 0x8980. */
static void test_widest(void **state) {
        struct in_frame_values v = some();
        struct in_frame f;
        uint8_t p[58];

        (void)state;
        in_frame_init(&f);
        v.sum.steps = -35200;
        in_frame_next(&f, &v, 16, p);
        assert_memory_equal(p + 9, ((uint8_t[]){'-', 0x89, 0x80}), 3);
}

static void test_alone(void **state) {
        struct in_frame_values v = some();
        struct in_frame f;
        uint8_t own[58], p[58];

        (void)state;
        in_frame_init(&f);
        in_frame_next(&f, &v, 16, own);
        in_frame_alone(own, p);
        for (int i = 0; i < 57; i++)
                if (i == 30)
                        assert_int_equal(p[i], 0x84);
                else
                        assert_int_equal(p[i], i >= 24 && i <= 29 ? 0 : own[i]);
        assert_int_equal(p[57], sum_of(p));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes),   cmocka_unit_test(test_rotation), cmocka_unit_test(test_pairs),
                cmocka_unit_test(test_unknown), cmocka_unit_test(test_widest),   cmocka_unit_test(test_alone),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
