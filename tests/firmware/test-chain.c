/* SPDX-License-Identifier: MIT */
/* The relay of a cell board (firmware/chain.h): R1..R8, R10, R11, R14 of the chain's rules. What a board must
 * send is worked out here on whole frames; the relay sees bytes. */
#include "chain-probe.h"

static void test_relays_a_good_frame(void **state) {
        uint8_t in[58], expected[58];
        struct probe p;

        (void)state;
        probe_init(&p, 650, C(25));
        in_frame(in, 2);
        feed(&p, in, 58);
        wait_ticks(&p, MS(900));
        p.outs = 0;
        in_frame(in, 2);
        feed(&p, in, 58);

        memcpy(expected, in, 58);
        put16(expected + 1, 660 + 650);
        put16(expected + 12, 650);
        expected[14] = 2;
        put16(expected + 21, C(25));
        expected[23] = 2;
        expected[25] = 2;
        put16(expected + 26, 650);
        put16(expected + 28, C(25));
        expected[57] = sum(expected);
        assert_int_equal(p.outs, 58);
        assert_memory_equal(p.out, expected, 58);
}

/* What the probe made of one frame: 58 bytes, no more. */
static const uint8_t *through(struct probe *p, const uint8_t in[58]) {
        p->outs = 0;
        feed(p, in, 58);
        assert_int_equal(p->outs, 58);
        wait_ticks(p, MS(900));
        assert_int_equal(p->outs, 58);
        return p->out;
}

/* The same board in place n. */
static void settle_in_place(struct probe *p, uint8_t n) {
        uint8_t in[58];

        in_frame(in, 0);
        in[25] = (uint8_t)(n - 1);
        in[57] = sum(in);
        through(p, in);
}

/* ---- R1 ---- */

static void test_frame_start(void **state) {
        static const struct {
                uint32_t silence; /* from the end of one byte to the start of the next */
                bool frame;
        } rows[] = {{MS(20) - 1, false}, {MS(20), true}, {MS(20) + 1, true}};
        uint8_t in[58];

        (void)state;
        in_frame(in, 2);
        for (size_t i = 0; i < 3; i++)
                for (int reset = 0; reset < 2; reset++) {
                        struct probe p = {.now = 1000};

                        chain_init(&p.c, p.now);
                        if (!reset) {
                                wait_ticks(&p, MS(30));
                                feed(&p, in, 58);
                        }
                        p.outs = 0;
                        wait_ticks(&p, rows[i].silence);
                        feed(&p, in, 58);
                        assert_int_equal(p.outs, rows[i].frame ? 58 : 0);
                }
}

/* A board that comes to life in the middle of a frame is not taken in by the rest of it. */
static void test_reset_inside_a_frame(void **state) {
        struct probe p = {.now = 1000};
        uint8_t in[58];

        (void)state;
        in_frame(in, 2);
        chain_init(&p.c, p.now);
        feed(&p, in + 20, 38);
        assert_int_equal(p.outs, 0);
        wait_ticks(&p, MS(900));
        feed(&p, in, 58);
        assert_int_equal(p.outs, 58);
}

static void test_bytes_after_the_58th(void **state) {
        uint8_t in[58];
        struct probe p;

        (void)state;
        probe_init(&p, 650, C(25));
        in_frame(in, 2);
        feed(&p, in, 58);
        feed(&p, in, 58);
        assert_int_equal(p.outs, 58);
        wait_ticks(&p, MS(20));
        feed(&p, in, 58);
        assert_int_equal(p.outs, 116);
}

/* ---- R2 ---- */

static void test_cut_through(void **state) {
        uint8_t in[58];
        struct probe p;

        (void)state;
        probe_init(&p, 650, C(25));
        in_frame(in, 2);
        for (int i = 0; i < 58; i++) {
                one(&p, in[i], false);
                assert_int_equal(p.outs, i < 2 ? 0 : i < 57 ? i - 1 : 58);
        }
}

static void test_fewer_than_three_bytes(void **state) {
        uint8_t in[58];

        (void)state;
        in_frame(in, 2);
        for (int n = 1; n <= 3; n++) {
                struct probe p;

                probe_init(&p, 650, C(25));
                feed(&p, in, n);
                wait_ticks(&p, MS(300));
                assert_int_equal(p.outs, n < 3 ? 0 : 58);
        }
}

/* A sender that is 20 % faster than the board: what waits fits into the ring. */
static void test_fast_sender(void **state) {
        uint8_t in[58], byte, out[58];
        struct probe p;
        double to_send = 0;
        int outs = 0;

        (void)state;
        probe_init(&p, 650, C(25));
        in_frame(in, 2);
        for (int i = 0; i < 58; i++) {
                p.now += BYTE;
                chain_receive(&p.c, in[i], false, p.now);
                for (to_send += 0.8; to_send >= 1 && chain_transmit(&p.c, &byte); to_send -= 1)
                        out[outs++] = byte;
        }
        while (chain_transmit(&p.c, &byte))
                out[outs++] = byte;
        assert_int_equal(outs, 58);
        assert_int_equal(out[57], sum(out));
}

/* ---- R3 ---- */

static void test_completes_what_was_begun(void **state) {
        uint8_t in[58];

        (void)state;
        in_frame(in, 2);
        for (int n = 3; n < 58; n++) {
                struct probe p;
                uint8_t fitting;

                probe_init(&p, 650, C(25));
                settle_in_place(&p, 2);
                p.outs = 0;
                feed(&p, in, n);
                wait_ticks(&p, 3 * BYTE - 1);
                assert_int_equal(p.outs, n - 2);
                wait_ticks(&p, 1);
                assert_int_equal(p.outs, 58); /* back to back */
                for (int i = n - 2; i < 57; i++)
                        assert_int_equal(p.out[i], 0);
                fitting = sum(p.out);
                assert_int_not_equal(p.out[57], fitting);

                /* Until a silence nothing is taken; then it goes on, and nothing was learned. */
                feed(&p, in, 58);
                assert_int_equal(p.outs, 58);
                wait_ticks(&p, MS(500));
                through(&p, in);
                assert_int_equal(p.out[25], 2);
                assert_int_equal(p.out[30], 0x80);
        }
}

/* ---- R4 ---- */

/* One damaged byte, by each kind of damage, stays visible: after this board, and after five more. */
static void test_damage_stays_visible(void **state) {
        (void)state;
        for (int place = 0; place < 58; place++)
                for (int kind = 0; kind < 4; kind++) {
                        static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0};
                        uint8_t in[58], frame[58];

                        in_frame(in, 2);
                        in[place] ^= changes[kind];
                        memcpy(frame, in, 58);
                        for (int hop = 0; hop < 6; hop++) {
                                struct probe p;

                                probe_init(&p, 640u + 10u * hop, C(30 - hop));
                                settle_in_place(&p, (uint8_t)(hop + 2));
                                p.outs = 0;
                                for (int i = 0; i < 58; i++)
                                        one(&p, frame[i], kind == 3 && hop == 0 && i == place);
                                assert_int_equal(p.outs, 58);
                                assert_int_not_equal(p.out[57], sum(p.out));
                                /* Nothing was learned: the place is what it was. */
                                memcpy(frame, p.out, 58);
                                in_frame(in, 2);
                                in[25] = (uint8_t)(hop + 1);
                                in[57] = sum(in);
                                wait_ticks(&p, MS(500));
                                assert_int_equal(through(&p, in)[30], 0x80);
                        }
                }
}

/* e is kept, and 0xA5 where damage left no other mark. */
static void test_checksum_error(void **state) {
        static const struct {
                uint8_t error;
                bool damaged;
                uint8_t expected;
        } rows[] = {{0, false, 0}, {1, false, 1}, {0xFF, false, 0xFF}, {0, true, 0xA5}, {7, true, 7}};

        (void)state;
        for (size_t i = 0; i < 5; i++) {
                uint8_t in[58];
                struct probe p;

                probe_init(&p, 650, C(25));
                in_frame(in, 2);
                in[57] = (uint8_t)(in[57] + rows[i].error);
                for (int k = 0; k < 58; k++)
                        one(&p, in[k], rows[i].damaged && k == 40);
                assert_int_equal((uint8_t)(p.out[57] - sum(p.out)), rows[i].expected);
        }
}

/* ---- R5, R6 ---- */

/* Latched at the first byte: what is set during the frame is for the next. */
static void test_reading_is_latched(void **state) {
        uint8_t in[58];
        struct probe p;

        (void)state;
        probe_init(&p, 650, C(25));
        settle_in_place(&p, 2);
        in_frame(in, 2);
        p.outs = 0;
        for (int i = 0; i < 58; i++) {
                one(&p, in[i], false);
                chain_set_reading(&p.c, &(struct chain_reading){.voltage = 700, .temperature = C(40)});
        }
        assert_int_equal(p.out[1] * 256 + p.out[2], 660 + 650);
        assert_int_equal(p.out[26] * 256 + p.out[27], 650);
        assert_int_equal(p.out[28] * 256 + p.out[29], C(25));
        wait_ticks(&p, MS(500));
        assert_int_equal(through(&p, in)[2], (660 + 700) % 256);
}

static void test_extremes(void **state) {
        static const struct {
                unsigned received, own;
                bool lowest, highest; /* replaced */
        } rows[] = {
                {0, 660, true, true}, /* nobody yet */
                {660, 659, true, false},       {660, 660, false, false},      {660, 661, false, true},
                {0x0100, 0x00FF, true, false}, {0x00FF, 0x0100, false, true}, {0xFFFF, 1, true, false},
                {660, 0, false, false},        {0, 0, false, false}, /* unknown */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                for (int known = 0; known < 2; known++) {
                        static const int places[] = {12, 15, 18, 21};
                        uint8_t in[58], number = known ? 9 : 0;
                        struct probe p;

                        probe_init(&p, rows[i].own, rows[i].own);
                        if (known)
                                settle_in_place(&p, 9);
                        in_frame(in, 0);
                        for (int k = 0; k < 4; k++) {
                                put16(in + places[k], rows[i].received);
                                in[places[k] + 2] = 77;
                        }
                        in[57] = sum(in);
                        through(&p, in);
                        for (int k = 0; k < 4; k++) {
                                bool replaced = k % 2 == 0 ? rows[i].lowest : rows[i].highest;
                                const uint8_t *q = p.out + places[k];

                                assert_int_equal(q[0] * 256 + q[1],
                                                 replaced ? rows[i].own : rows[i].received);
                                assert_int_equal(q[2], replaced ? number : 77);
                        }
                }
}

static void test_pack_voltage(void **state) {
        static const struct {
                uint32_t received, own, expected;
        } rows[] = {{660, 650, 1310},        {0xFF, 1, 0x100},
                    {0xFFFF, 1, 0x10000},    {0x1FFFF, 0xFFFF, 0x2FFFE},
                    {660, 0, 660},           {0xFFFFFE, 1, 0xFFFFFF},
                    {0xFFFFFF, 1, 0xFFFFFF}, {0xFFFF00, 0x1000, 0xFFFFFF}};

        (void)state;
        for (size_t i = 0; i < 8; i++) {
                uint8_t in[58];
                struct probe p;

                probe_init(&p, rows[i].own, C(25));
                in_frame(in, 0);
                in[0] = (uint8_t)(rows[i].received >> 16);
                put16(in + 1, rows[i].received & 0xFFFF);
                in[57] = sum(in);
                through(&p, in);
                assert_int_equal(p.out[0] * 65536 + p.out[1] * 256 + p.out[2], rows[i].expected);
        }
}

/* ---- R7, R8 ---- */

static void test_detail_count_and_doubt(void **state) {
        static const struct {
                uint8_t place; /* by the last good frame; 0: none was heard */
                uint8_t count, detail;
                unsigned voltage, temperature;
                bool fault;
                bool filled, bit2;
        } rows[] = {
                {2, 1, 2, 650, C(25), false, true, false},
                {2, 1, 1, 650, C(25), false, false, false},
                {2, 1, 3, 650, C(25), false, false, false},
                {2, 1, 0, 650, C(25), false, false, false},
                {2, 2, 3, 650, C(25), false, true,
                 true}, /* the place changed: filled by the count of this frame */
                {3, 1, 2, 650, C(25), false, true, true},
                {0, 1, 2, 650, C(25), false, true, true}, /* place unknown */
                {2, 1, 2, 0, C(25), false, true, true},   /* voltage unknown: fills 0 */
                {2, 1, 2, 650, 0, false, true, true},     /* temperature unknown */
                {2, 1, 0, 650, C(25), true, false, true}, /* bypass faulty */
                {255, 254, 255, 650, C(25), false, true, false},
                {255, 255, 255, 650, C(25), false, false, true},
                {255, 255, 0, 650, C(25), false, false, true}, /* 255 + 1 is not 0 */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                for (int bit = 0; bit < 2; bit++) {
                        const uint8_t *q;
                        uint8_t in[58];
                        struct probe p;

                        probe_init(&p, rows[i].voltage, rows[i].temperature);
                        if (rows[i].place)
                                settle_in_place(&p, rows[i].place);
                        chain_set_reading(
                                &p.c, &(struct chain_reading){.voltage = (uint16_t)rows[i].voltage,
                                                              .temperature = (uint16_t)rows[i].temperature,
                                                              .doubt = rows[i].fault});
                        in_frame(in, rows[i].detail);
                        in[25] = rows[i].count;
                        in[30] = bit ? 0x84 : 0x80; /* never cleared */
                        memcpy(in + 26, "abcd", 4);
                        in[57] = sum(in);
                        q = through(&p, in);
                        assert_int_equal(q[24], rows[i].detail);
                        assert_int_equal(q[25], rows[i].count == 255 ? 255 : rows[i].count + 1);
                        assert_int_equal(q[26] * 256 + q[27],
                                         rows[i].filled ? rows[i].voltage : 'a' * 256 + 'b');
                        assert_int_equal(q[28] * 256 + q[29],
                                         rows[i].filled ? rows[i].temperature : 'c' * 256 + 'd');
                        assert_int_equal(q[30], rows[i].bit2 || bit ? 0x84 : 0x80);
                }
}

/* A chain of 255 boards and one too many. */
static void test_more_than_255(void **state) {
        uint8_t in[58];
        struct probe p;

        (void)state;
        probe_init(&p, 650, C(25));
        in_frame(in, 0);
        in[25] = 255;
        in[57] = sum(in);
        through(&p, in);
        assert_int_equal(through(&p, in)[25], 255);
        assert_int_equal(p.out[30], 0x84);
        assert_int_equal(p.out[14], 0); /* own number unknown */
}

/* ---- R14 ---- */

static void test_others_bytes(void **state) {
        (void)state;
        for (unsigned seed = 0; seed < 200; seed++) {
                uint8_t in[58];
                struct probe p;

                probe_init(&p, 650, C(25));
                for (int i = 0; i < 57; i++)
                        in[i] = (uint8_t)((seed * 7919u + i * 104729u) >> 3);
                in[57] = sum(in);
                through(&p, in);
                assert_memory_equal(p.out + 3, in + 3, 9);
                assert_memory_equal(p.out + 31, in + 31, 26);
                assert_int_equal(p.out[57], sum(p.out));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_relays_a_good_frame),  cmocka_unit_test(test_frame_start),
                cmocka_unit_test(test_reset_inside_a_frame), cmocka_unit_test(test_bytes_after_the_58th),
                cmocka_unit_test(test_cut_through),          cmocka_unit_test(test_fewer_than_three_bytes),
                cmocka_unit_test(test_fast_sender),          cmocka_unit_test(test_completes_what_was_begun),
                cmocka_unit_test(test_damage_stays_visible), cmocka_unit_test(test_checksum_error),
                cmocka_unit_test(test_reading_is_latched),   cmocka_unit_test(test_extremes),
                cmocka_unit_test(test_pack_voltage),         cmocka_unit_test(test_detail_count_and_doubt),
                cmocka_unit_test(test_more_than_255),        cmocka_unit_test(test_others_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
