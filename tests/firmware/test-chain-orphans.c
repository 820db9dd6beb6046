/* SPDX-License-Identifier: MIT */

/* R10 and R11 of docs/chain.md: when a board starts a frame of its own, what stands in it, and what it does
 * with the line meanwhile. 1.0 s are 62500 ticks: 2.5 cycles 156250, 1.5 cycles 93750, 100 ms 6250. */

#include "chain-probe.h"

#define CYCLE 62500
#define FIRST 156250
#define NEXT 93750
#define HOLD 6250

static void good_one(uint8_t in[58], uint8_t count) {
        in_frame(in, 0);
        in[25] = count;
        in[57] = sum(in);
}

/* Trimmed, and told the cycle. */
static void ready(struct probe *p) {
        probe_init(p, 650, C(25));
        chain_set_cycle(&p->c, CYCLE);
        chain_allow_orphans(&p->c, p->now);
}

/* Waits for the next orphan; returns when it came, counted from `from`, and fails after 100 s. */
static uint32_t orphan_after(struct probe *p, uint32_t from) {
        p->outs = 0;
        for (int n = 0; n < 200000 && p->outs == 0; n++) {
                uint32_t due = chain_deadline(&p->c, p->now);

                wait_ticks(p, (int32_t)(due - p->now) <= 0 ? 1 : due - p->now);
        }
        assert_int_equal(p->outs, 58);
        assert_int_equal(p->out[47], 129 + 25);
        assert_int_equal(p->out[57], sum(p->out));
        return p->when[0] - from;
}

static void test_never_untrimmed(void **state) {
        uint8_t in[58];
        struct probe p;

        (void)state;
        probe_init(&p, 650, C(25));
        good_one(in, 1);
        feed(&p, in, 58);
        p.outs = 0;
        wait_ticks(&p, 100 * CYCLE);
        assert_int_equal(p.outs, 0);
}

static void test_times(void **state) {
        static const struct {
                uint32_t cycle, first, next;
        } rows[] = {
                {62500, 156250, 93750},
                {31250, 78125, 46875},
                {0, 156250, 93750}, /* unknown: 1.0 s */
                {60011, 150027, 90016},
        };

        (void)state;
        for (size_t i = 0; i < 4; i++)
                for (int heard = 0; heard < 2; heard++) {
                        uint32_t from;
                        uint8_t in[58];
                        struct probe p;

                        probe_init(&p, 650, C(25));
                        chain_set_cycle(&p.c, rows[i].cycle);
                        chain_allow_orphans(&p.c, p.now);
                        from = p.now;
                        if (heard) {
                                wait_ticks(&p, 24690);
                                from = p.now + BYTE; /* the end of the first byte: its time, as all others' */
                                good_one(in, 1);
                                feed(&p, in, 58);
                        }
                        assert_in_range(orphan_after(&p, from), rows[i].first, rows[i].first + 1);
                        for (int n = 0; n < 5; n++) {
                                from = p.now;
                                assert_in_range(orphan_after(&p, from), rows[i].next, rows[i].next + 1);
                        }
                }
}

/* A cycle that is measured anew counts from the last message. */
static void test_cycle_changes(void **state) {
        uint8_t in[58];
        uint32_t from;
        struct probe p;

        (void)state;
        ready(&p);
        from = p.now + BYTE;
        good_one(in, 1);
        feed(&p, in, 58);
        wait_ticks(&p, 10000);
        chain_set_cycle(&p.c, 31250);
        assert_in_range(orphan_after(&p, from), 78125, 78127);
}

static void test_bursts(void **state) {
        static const struct {
                int bytes;
                bool bad, restarts;
        } rows[] = {{29, false, false}, {30, false, true}, {57, false, true},
                    {58, false, true},  {58, true, true},  {90, true, true}};

        (void)state;
        for (size_t i = 0; i < 6; i++) {
                uint8_t in[90] = {0};
                uint32_t from, second;
                struct probe p;

                ready(&p);
                good_one(in, 1);
                from = p.now + BYTE;
                feed(&p, in, 58);
                wait_ticks(&p, 80000);
                second = p.now + BYTE;
                in[57] ^= rows[i].bad;
                feed(&p, in, rows[i].bytes);
                wait_ticks(&p, 4000);
                assert_in_range(orphan_after(&p, rows[i].restarts ? second : from), FIRST, FIRST + 1);
        }
}

/* A first byte shortly before the orphan's time. */
static void test_hold_off(void **state) {
        static const struct {
                uint32_t before, delay; /* of the first byte, and of the orphan */
        } rows[] = {{HOLD + 1, 0}, {HOLD, 0}, {HOLD - 1, 1}, {100, HOLD - 100}, {1, HOLD - 1}};

        (void)state;
        for (size_t i = 0; i < 5; i++) {
                uint8_t in[58];
                uint32_t from;
                struct probe p;

                ready(&p);
                good_one(in, 1);
                from = p.now + BYTE;
                feed(&p, in, 58);
                wait_ticks(&p, from + FIRST - rows[i].before - BYTE - p.now);
                one(&p, 0, false);
                assert_in_range(orphan_after(&p, from), FIRST + rows[i].delay, FIRST + rows[i].delay + 1);
        }
}

/* The board behind: the orphan before it comes in time. Two boards with the same cycle, 3.2 ms apart. */
static void test_the_board_before_wins(void **state) {
        uint8_t in[58];
        uint32_t from;
        struct probe p;

        (void)state;
        ready(&p);
        good_one(in, 4);
        from = p.now + BYTE;
        feed(&p, in, 58);
        /* The orphan of the board before: its first byte ends 2.2 ms before the own time (3.2 ms less one
         * byte). */
        wait_ticks(&p, from + FIRST - MS(2.2) - BYTE - p.now);
        in[25] = 1;
        in[47] = 129 + 25;
        in[48] = 4;
        in[57] = sum(in);
        p.outs = 0;
        feed(&p, in, 58);
        assert_int_equal(p.outs, 58);
        assert_int_equal(p.out[25], 2);
        assert_int_equal(p.out[48], 4);
        p.outs = 0;
        wait_ticks(&p, 140000); /* 2.2 s: the next one, 1.5 s later, would have come */
        assert_int_equal(p.outs, 0);
}

/* ---- R11 ---- */

static void test_content(void **state) {
        static const uint8_t expected[57] = {
                0,    0x02, 0x8A, 'X',  0,    0, 'X',  0,          0, 'X',         0,    0,
                0x02, 0x8A, 1,    0x02, 0x8A, 1, 0x01, 0x2D,       1, 0x01,        0x2D, 1,
                0,    1,    0,    0,    0,    0, 0x84, [47] = 154, 5, [55] = 0x02, 0xBC,
        };
        uint8_t in[58];
        struct probe p;

        (void)state;
        ready(&p);
        good_one(in, 4);
        feed(&p, in, 58);
        chain_set_v_bypass(&p.c, 700);
        orphan_after(&p, p.now);
        assert_memory_equal(p.out, expected, 57);
}

static void test_content_of_nothing(void **state) {
        static const uint8_t expected[57] = {
                0, 0, 0, 'X', 0, 0, 'X', 0, 0, 'X', [25] = 1, [30] = 0x84, [47] = 154,
        };
        struct probe p;

        (void)state;
        probe_init(&p, 0, 0);
        chain_allow_orphans(&p.c, p.now);
        orphan_after(&p, p.now);
        assert_memory_equal(p.out, expected, 57);
}

/* Numbers in an orphan are relative; the own true one is kept over them. */
static void test_true_number(void **state) {
        uint8_t in[58];
        struct probe p;

        (void)state;
        ready(&p);
        good_one(in, 8);
        feed(&p, in, 58);
        for (int n = 0; n < 3; n++) {
                wait_ticks(&p, NEXT);
                good_one(in, 2);
                in[30] = 0x84;
                in[47] = 154;
                in[48] = 7;
                put16(in + 12, 1000);
                in[57] = sum(in);
                p.outs = 0;
                feed(&p, in, 58);
                /* 9 by the last true frame, then 3 by the orphans. */
                assert_int_equal(p.out[14], n == 0 ? 9 : 3);
                assert_int_equal(p.out[48], 7);
        }
        orphan_after(&p, p.now);
        assert_int_equal(p.out[48], 9);
        assert_int_equal(p.out[25], 1);
}

/* ---- the line meanwhile ---- */

static void test_own_orphan_drops_a_frame(void **state) {
        uint8_t in[58], byte;
        struct probe p;

        (void)state;
        ready(&p);
        good_one(in, 4);
        feed(&p, in, 58);
        p.now += FIRST;
        chain_tick(&p.c, p.now);
        assert_true(chain_sending(&p.c));
        /* A frame arrives, byte by byte as the orphan goes out. */
        for (int i = 0; i < 58; i++) {
                p.now += BYTE;
                chain_receive(&p.c, in[i], false, p.now);
                chain_tick(&p.c, p.now);
                assert_int_equal(chain_transmit(&p.c, &byte), true);
                p.out[i] = byte;
        }
        assert_false(chain_sending(&p.c));
        assert_int_equal(p.out[47], 154);
        assert_int_equal(p.out[57], sum(p.out));
        /* It was a message nevertheless. */
        p.outs = 0;
        wait_ticks(&p, 140000);
        assert_int_equal(p.outs, 0);
        feed(&p, in, 58);
        assert_int_equal(p.outs, 58);
}

static void hear_one(struct probe *p) {
        uint8_t in[58];

        good_one(in, 4);
        feed(p, in, 58);
        wait_ticks(p, CYCLE - 58 * BYTE);
        p->outs = 0;
}

/* Frames of which none is good, every cycle: for 10 cycles they are passed on, then they are as no message. A
 * board that has not had a good one since its reset waits for 60: boards between it and the IN board are
 * still trimming. */
static void test_deaf(void **state) {
        for (int row = 0; row < 4; row++) {
                bool trimmed = row % 2 != 0, heard = row / 2 != 0;
                int cycles = heard ? 10 : 60;
                uint8_t in[58];
                struct probe p;

                (void)state;
                probe_init(&p, 650, C(25));
                chain_set_cycle(&p.c, CYCLE);
                if (trimmed)
                        chain_allow_orphans(&p.c, p.now);
                if (heard)
                        hear_one(&p);
                good_one(in, 4);
                in[57]++;
                for (int n = 0; n <= cycles; n++) {
                        p.outs = 0;
                        feed(&p, in, 58);
                        assert_int_equal(p.outs, 58);
                        assert_int_equal(p.out[25], 5);
                        if (n < cycles)
                                wait_ticks(&p, CYCLE - 58 * BYTE);
                        assert_int_equal(p.outs, 58);
                }
                /* Half a cycle and one and a half: two orphans, or none by a board that is not trimmed. */
                p.outs = 0;
                wait_ticks(&p, CYCLE - 58 * BYTE);
                assert_int_equal(p.outs, trimmed ? 58 : 0);
                p.outs = 0;
                feed(&p, in, 58);
                assert_int_equal(p.outs, trimmed ? 0 : 58);
        }
}

/* Bad frames in time for n cycles, then whole rounds of good (1) and bad (0) ones: after which the board
 * relays again. */
static void test_hears_again(void **state) {
        static const struct {
                const char *frames;
                bool relays;
        } rows[] = {{"1", false},     {"11", false},    {"111", true}, {"1101", false},
                    {"11011", false}, {"110111", true}, {"000", false}};

        (void)state;
        for (size_t i = 0; i < 7; i++) {
                uint8_t in[58];
                struct probe p;

                ready(&p);
                hear_one(&p);
                good_one(in, 4);
                in[57]++;
                for (int n = 0; n < 13; n++) {
                        feed(&p, in, 58);
                        wait_ticks(&p, CYCLE - 58 * BYTE);
                        p.outs = 0;
                }
                for (const char *f = rows[i].frames; *f; f++) {
                        good_one(in, 4);
                        in[57] = (uint8_t)(in[57] + (*f == '0'));
                        p.outs = 0;
                        feed(&p, in, 58);
                        assert_int_equal(p.outs, 0);
                        wait_ticks(&p, CYCLE - 58 * BYTE);
                }
                p.outs = 0;
                feed(&p, in, 58);
                assert_int_equal(p.outs, rows[i].relays ? 58 : 0);
                if (!rows[i].relays)
                        continue;
                /* And the time for orphans runs from the messages. */
                wait_ticks(&p, FIRST - 58 * BYTE);
                assert_int_equal(p.outs, 58);
                wait_ticks(&p, BYTE + 2);
                assert_int_equal(p.outs, 116);
        }
}

/* One good frame in between, and the 10 cycles begin anew. */
static void test_not_deaf_by_some_bad_frames(void **state) {
        uint8_t in[58];
        struct probe p;

        (void)state;
        ready(&p);
        for (int n = 0; n < 50; n++) {
                good_one(in, 4);
                in[57] = (uint8_t)(in[57] + (n % 10 != 0));
                p.outs = 0;
                feed(&p, in, 58);
                assert_int_equal(p.outs, 58);
                wait_ticks(&p, CYCLE - 58 * BYTE);
                assert_int_equal(p.outs, 58);
        }
}

/* Bytes that never are a message hold the orphan off one by one, but not for more than 10 cycles and a
 * little. */
static void test_noise_does_not_silence(void **state) {
        struct probe p;
        uint32_t from;

        (void)state;
        ready(&p);
        hear_one(&p);
        from = p.now;
        for (int n = 0; n < 300 && p.outs == 0; n++) {
                wait_ticks(&p, MS(90) - BYTE);
                one(&p, 0x55, false);
        }
        assert_int_equal(p.outs, 58);
        assert_in_range(p.when[0] - from, 10 * CYCLE, 10 * CYCLE + 3 * HOLD);
}

/* A board that heard nothing for long, only its own orphans: the first good frame is passed on. */
static void test_revived(void **state) {
        uint8_t in[58];
        struct probe p;

        (void)state;
        ready(&p);
        good_one(in, 4);
        feed(&p, in, 40); /* what the board before died in */
        wait_ticks(&p, 30 * CYCLE);
        /* Not even if it comes after a damaged one: what was bad before the silence is over. */
        in[57]++;
        p.outs = 0;
        feed(&p, in, 58);
        wait_ticks(&p, CYCLE);
        in[57]--;
        assert_int_equal(p.outs, 58);
        feed(&p, in, 58);
        assert_int_equal(p.outs, 116);
        assert_int_equal(p.out[58 + 25], 5);
}

/* The counter wraps after 38 hours; a silence as long is one. */
static void test_long_silence(void **state) {
        uint8_t in[58];
        struct probe p;

        (void)state;
        probe_init(&p, 650, C(25));
        good_one(in, 4);
        feed(&p, in, 58);
        for (int n = 0; n < 4; n++)
                wait_ticks(&p, 0x40000000);
        p.outs = 0;
        wait_ticks(&p, 100);
        feed(&p, in, 58);
        assert_int_equal(p.outs, 58);
}

/* ---- what main is told ---- */

static void test_expected(void **state) {
        uint8_t in[58];
        uint32_t from, at;
        struct probe p;

        (void)state;
        probe_init(&p, 650, C(25));
        assert_false(chain_expected(&p.c, p.now, &at));
        good_one(in, 4);
        from = p.now + BYTE;
        feed(&p, in, 58);
        wait_ticks(&p, 100);
        assert_false(chain_expected(&p.c, p.now, &at)); /* the cycle is not known (R5) */
        chain_set_cycle(&p.c, CYCLE);
        chain_allow_orphans(&p.c, p.now);
        for (int n = 1; n <= 2; n++) {
                assert_true(chain_expected(&p.c, p.now, &at));
                assert_int_equal(at - from, n * CYCLE);
                p.now = at - 1;
                assert_true(chain_expected(&p.c, p.now, &at));
                assert_int_equal(at - from, n * CYCLE);
                p.now++;
        }
        assert_true(chain_expected(&p.c, p.now, &at));
        assert_int_equal(at - from, FIRST);
        from = p.now;
        from += orphan_after(&p, p.now);
        assert_true(chain_expected(&p.c, p.now, &at));
        assert_int_equal(at - from, NEXT);
        /* A cycle counts from messages: an orphan's time is not moved by it. */
        chain_set_cycle(&p.c, CYCLE / 2);
        assert_true(chain_expected(&p.c, p.now, &at));
        assert_int_equal(at - from, NEXT);
}

/* Another board's orphans come every 1.5 cycles. */
static void test_expected_orphan(void **state) {
        uint8_t in[58];
        uint32_t from, at;
        struct probe p;

        (void)state;
        ready(&p);
        good_one(in, 4);
        in[47] = 129 + 25;
        in[57] = sum(in);
        from = p.now + BYTE;
        feed(&p, in, 58);
        wait_ticks(&p, 100);
        assert_true(chain_expected(&p.c, p.now, &at));
        assert_int_equal(at - from, CYCLE + CYCLE / 2);
        p.now = at;
        assert_true(chain_expected(&p.c, p.now, &at));
        assert_int_equal(at - from, FIRST);

        wait_ticks(&p, CHAIN_QUIET_TICKS);
        good_one(in, 4);
        from = p.now + BYTE;
        feed(&p, in, 58);
        wait_ticks(&p, 100);
        assert_true(chain_expected(&p.c, p.now, &at));
        assert_int_equal(at - from, CYCLE);
}

static void test_news(void **state) {
        struct chain_news news;
        uint8_t in[58];
        uint32_t from;
        struct probe p;

        (void)state;
        ready(&p);
        news = chain_take_news(&p.c);
        good_one(in, 4);
        from = p.now + BYTE;
        feed(&p, in, 1);
        news = chain_take_news(&p.c);
        assert_int_equal(news.flags, CHAIN_NEWS_START);
        assert_int_equal(news.start_ticks, from);
        feed(&p, in + 1, 57);
        news = chain_take_news(&p.c);
        assert_int_equal(news.flags, CHAIN_NEWS_RELAYED | CHAIN_NEWS_GOOD | CHAIN_NEWS_END);
        assert_int_equal(news.v_bypass, 700);
        assert_int_equal(chain_take_news(&p.c).flags, 0);

        /* R12: only after >= 100 ms of silence. */
        wait_ticks(&p, HOLD - 1);
        feed(&p, in, 1);
        assert_int_equal(chain_take_news(&p.c).flags, 0);
        wait_ticks(&p, HOLD);
        in[47] = 154;
        in[57] = sum(in);
        (void)chain_take_news(&p.c);
        feed(&p, in, 1);
        assert_int_equal(chain_take_news(&p.c).flags, CHAIN_NEWS_START);
        feed(&p, in + 1, 57);
        assert_int_equal(chain_take_news(&p.c).flags, CHAIN_NEWS_ORPHAN | CHAIN_NEWS_GOOD | CHAIN_NEWS_END);

        /* A bad one with key 129 is a message like others. */
        wait_ticks(&p, HOLD - 1);
        in[57]++;
        feed(&p, in, 58);
        assert_int_equal(chain_take_news(&p.c).flags, CHAIN_NEWS_RELAYED | CHAIN_NEWS_END);
        orphan_after(&p, p.now);
        assert_int_equal(chain_take_news(&p.c).flags, CHAIN_NEWS_ORPHAN);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_never_untrimmed),
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_cycle_changes),
                cmocka_unit_test(test_bursts),
                cmocka_unit_test(test_hold_off),
                cmocka_unit_test(test_the_board_before_wins),
                cmocka_unit_test(test_content),
                cmocka_unit_test(test_content_of_nothing),
                cmocka_unit_test(test_true_number),
                cmocka_unit_test(test_own_orphan_drops_a_frame),
                cmocka_unit_test(test_deaf),
                cmocka_unit_test(test_hears_again),
                cmocka_unit_test(test_not_deaf_by_some_bad_frames),
                cmocka_unit_test(test_noise_does_not_silence),
                cmocka_unit_test(test_revived),
                cmocka_unit_test(test_long_silence),
                cmocka_unit_test(test_expected),
                cmocka_unit_test(test_expected_orphan),
                cmocka_unit_test(test_news),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
