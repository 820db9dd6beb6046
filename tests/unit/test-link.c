/* SPDX-License-Identifier: MIT */

/* The link's states in time (B10, B11, B13, B17). The number of cells: test-link-cells.c; the places in words:
 * test-link-place.c. */

#include "link-chain.h"

/* B10 */

static void test_three_frames_to_live(void **state) {
        struct chain c;

        (void) state;
        start(&c, 16, 2);
        expect(&c, LINK_STARTING, LINK_CAUSE_NONE);
        send_good(&c, 2, S, 16);
        expect(&c, LINK_STARTING, LINK_CAUSE_NONE);
        send_good(&c, 1, S, 16);
        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
        assert_false(c.link.warning);
}

static void test_error_frame_restarts_the_run(void **state) {
        struct chain c;

        (void) state;
        start(&c, 16, 2);
        send_good(&c, 2, S, 16);
        c.now += S;
        assert_int_equal(send_next(&c, cut_frame(4)), LINK_FRAME_ERROR);
        send_good(&c, 2, S, 16);
        assert_int_equal(c.link.state, LINK_STARTING);
        assert_true(c.link.warning);
        send_good(&c, 1, S, 16);
        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
        assert_false(c.link.warning);
}

static void test_silence_boundary(void **state) {
        static const struct {
                usec_t period, limit;
        } rows[] = {
                {1000 * MS, 3500 * MS},
                {500 * MS, 1750 * MS},
        };
        struct chain c;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (int d = -1; d <= 1; d++) {
                        start_live(&c, rows[i].period, 2);
                        usec_t last = c.now;
                        assert_int_equal(link_deadline(&c.link), last + rows[i].limit);
                        tick_at(&c, last + rows[i].limit + (usec_t) d);
                        if (d < 0) {
                                expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
                                continue;
                        }
                        expect(&c, LINK_STALE, LINK_CAUSE_SILENCE);
                        assert_int_equal(link_deadline(&c.link), USEC_INFINITY);

                        /* and back by itself, after three frames */
                        send_good(&c, 2, rows[i].period, 16);
                        assert_int_equal(c.link.state, LINK_STALE);
                        send_good(&c, 1, rows[i].period, 16);
                        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
                }
}

/* A frame that ends a silence does not hide it, whether or not a tick fell into it. */
static void test_silence_without_tick(void **state) {
        struct chain c;

        (void) state;
        for (int d = -1; d <= 1; d++) {
                start_live(&c, S, 2);
                send_good(&c, 1, 3500 * MS + (usec_t) d, 16);
                assert_int_equal(c.link.state, d < 0 ? LINK_LIVE : LINK_STALE);
        }
}

static void test_silence_breaks_the_run_to_live(void **state) {
        struct chain c;

        (void) state;
        for (int d = -1; d <= 1; d++) {
                start_live(&c, S, 2);
                tick_at(&c, c.now + 5 * S);
                send_good(&c, 2, S, 16);
                send_good(&c, 1, 3500 * MS + (usec_t) d, 16);
                assert_int_equal(c.link.state, d < 0 ? LINK_LIVE : LINK_STALE);
        }
}

static void test_silence_from_the_start(void **state) {
        struct chain c;

        (void) state;
        for (int d = -1; d <= 1; d++) {
                start(&c, 16, 2);
                assert_int_equal(link_deadline(&c.link), T0 + 3500 * MS);
                tick_at(&c, T0 + 3500 * MS + (usec_t) d);
                if (d < 0)
                        expect(&c, LINK_STARTING, LINK_CAUSE_NONE);
                else
                        expect(&c, LINK_STALE, LINK_CAUSE_SILENCE);
        }
}

static void test_period_to_fast(void **state) {
        struct chain c;

        (void) state;
        for (int d = -1; d <= 1; d++) {
                usec_t interval = 750 * MS + (usec_t) d;
                start(&c, 16, 2);
                send_good(&c, 1, S, 16); /* the first frame ends no interval */
                send_good(&c, 9, interval, 16);
                assert_int_equal(c.link.period, S);
                send_good(&c, 1, interval, 16);
                assert_int_equal(c.link.period, d < 0 ? 500 * MS : S);
        }
}

static void test_period_to_slow(void **state) {
        struct chain c;

        (void) state;
        for (int d = -1; d <= 1; d++) {
                usec_t interval = 750 * MS + (usec_t) d;
                start_live(&c, 500 * MS, 2);
                send_good(&c, 2, interval, 16);
                assert_int_equal(c.link.period, 500 * MS);
                send_good(&c, 1, interval, 16);
                assert_int_equal(c.link.period, d > 0 ? S : 500 * MS);
        }
}

static void test_period_needs_a_row(void **state) {
        struct chain c;

        (void) state;
        start(&c, 16, 2);
        send_good(&c, 10, 500 * MS, 16); /* nine intervals */
        send_good(&c, 1, S, 16);
        send_good(&c, 9, 500 * MS, 16);
        assert_int_equal(c.link.period, S);
        send_good(&c, 1, 500 * MS, 16);
        assert_int_equal(c.link.period, 500 * MS);

        /* single lost messages do not slow it down */
        for (int i = 0; i < 10; i++) {
                send_good(&c, 2, S, 16);
                send_good(&c, 1, 500 * MS, 16);
        }
        assert_int_equal(c.link.period, 500 * MS);
}

static void test_error_frames_have_a_period_too(void **state) {
        struct chain c;

        (void) state;
        start(&c, 16, 2);
        for (int i = 0; i < 11; i++) {
                c.now += 500 * MS;
                send_next(&c, cut_frame(7));
        }
        assert_int_equal(c.link.period, 500 * MS);
        assert_int_equal(link_deadline(&c.link), c.now + 1750 * MS);
}

/* ... but not orphans', every 1.5 cycles: a chain mended in fast mode is still in fast mode. */
static void test_orphans_have_no_period(void **state) {
        struct frame orphan = cut_frame(7);
        struct chain c;

        (void) state;
        orphan.key_byte = FRAME_KEY_ORPHAN + FRAME_KEY_BIAS;
        start_live(&c, 500 * MS, 2);
        c.now += 1250 * MS;
        send_next(&c, orphan);
        for (int i = 0; i < 20; i++) {
                c.now += 755 * MS;
                send_next(&c, orphan);
        }
        expect(&c, LINK_ERROR, LINK_CAUSE_CHAIN);
        assert_int_equal(c.link.period, 500 * MS);
        send_good(&c, 1, 1300 * MS, 16);
        send_good(&c, 2, 800 * MS, 16); /* two late ones: two intervals */
        assert_int_equal(c.link.period, 500 * MS);
        send_good(&c, 1, 800 * MS, 16);
        assert_int_equal(c.link.period, S);

        start(&c, 16, 2); /* nor do they make it fast */
        for (int i = 0; i < 20; i++) {
                c.now += 600 * MS;
                send_next(&c, orphan);
        }
        assert_int_equal(c.link.period, S);
}

/* USB adapters batch: two frames, one read, one timestamp. */
static void test_batches(void **state) {
        struct chain c;

        (void) state;
        start(&c, 16, 2);
        for (int i = 0; i < 30; i++) {
                send_good(&c, 1, 2 * S, 16);
                send_good(&c, 1, 0, 16);
                assert_int_equal(c.link.period, S);
                assert_int_equal(c.link.state, i < 1 ? LINK_STARTING : LINK_LIVE);
        }
        /* a batch of two E frames is two frames (design 12: from the first such frame) */
        c.now += 2 * S;
        send_next(&c, cut_frame(7));
        assert_int_equal(c.link.state, LINK_LIVE);
        send_next(&c, cut_frame(7));
        expect(&c, LINK_ERROR, LINK_CAUSE_CHAIN);
}

/* B13 */

static void test_error_by_trip_frames(void **state) {
        struct chain c;

        (void) state;
        for (unsigned trip = 1; trip <= 3; trip++) {
                start_live(&c, S, trip);
                for (unsigned i = 1; i <= trip; i++) {
                        c.now += S;
                        assert_int_equal(send_next(&c, cut_frame(11)), LINK_FRAME_ERROR);
                        assert_true(c.link.warning);
                        assert_int_equal(c.link.cause, LINK_CAUSE_CHAIN);
                        assert_int_equal(c.link.state, i < trip ? LINK_LIVE : LINK_ERROR);
                }
                send_good(&c, 2, S, 16);
                assert_int_equal(c.link.state, LINK_ERROR);
                assert_true(c.link.warning);
                send_good(&c, 1, S, 16);
                expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
                assert_false(c.link.warning);
        }
}

static void test_good_frame_cancels_an_error_run(void **state) {
        struct chain c;

        (void) state;
        start_live(&c, S, 2);
        for (int i = 0; i < 10; i++) {
                c.now += S;
                send_next(&c, cut_frame(11));
                send_good(&c, 1, S, 16);
                assert_int_equal(c.link.state, LINK_LIVE);
                assert_true(c.link.warning);
        }
        send_good(&c, 1, S, 16);
        assert_true(c.link.warning);
        send_good(&c, 1, S, 16);
        assert_false(c.link.warning);
        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
}

/* One E frame and then nothing: E 3.5 periods after the last error-free frame, silence 3.5 after the E frame. */
static void test_single_error_then_silence(void **state) {
        struct chain c;

        (void) state;
        for (int d = -1; d <= 1; d++) {
                start_live(&c, S, 2);
                usec_t last_good = c.now;
                c.now += 1200 * MS;
                send_next(&c, cut_frame(11));
                usec_t last = c.now;

                assert_int_equal(link_deadline(&c.link), last_good + 3500 * MS);
                tick_at(&c, last_good + 3500 * MS + (usec_t) d);
                expect(&c, d < 0 ? LINK_LIVE : LINK_ERROR, LINK_CAUSE_CHAIN);

                tick_at(&c, last_good + 3500 * MS + 1);
                assert_int_equal(link_deadline(&c.link), last + 3500 * MS);
                tick_at(&c, last + 3500 * MS + (usec_t) d);
                expect(&c, d < 0 ? LINK_ERROR : LINK_STALE, d < 0 ? LINK_CAUSE_CHAIN : LINK_CAUSE_SILENCE);
        }
}

/* chain.md R10: orphans come every 1.5 cycles, the first 2.5 cycles after the last message. Design 12: both
 * open within 3.6 s of the last error-free frame (1.9 s when fast). */
static void test_cut_chain(void **state) {
        static const usec_t periods[] = {1000 * MS, 500 * MS};
        struct chain c;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(periods); i++) {
                start_live(&c, periods[i], 3);
                usec_t last_good = c.now;
                c.now += periods[i] * 5 / 2;
                send_next(&c, cut_frame(5));
                assert_int_equal(c.link.state, LINK_LIVE);
                tick_at(&c, last_good + periods[i] * 7 / 2);
                expect(&c, LINK_ERROR, LINK_CAUSE_CHAIN);

                for (int k = 0; k < 20; k++) {
                        c.now += periods[i] * 3 / 2;
                        send_next(&c, cut_frame(5));
                        link_tick(&c.link, c.now + periods[i]);
                        expect(&c, LINK_ERROR, LINK_CAUSE_CHAIN);
                }
        }
}

static void test_error_after_silence(void **state) {
        struct chain c;

        (void) state;
        start_live(&c, S, 3);
        tick_at(&c, c.now + 10 * S);
        expect(&c, LINK_STALE, LINK_CAUSE_SILENCE);
        send_next(&c, cut_frame(5)); /* the last error-free frame is long ago */
        expect(&c, LINK_ERROR, LINK_CAUSE_CHAIN);
}

static void test_causes(void **state) {
        struct frame f;
        struct chain c;

        (void) state;
        static const struct {
                const char *what;
                uint8_t status, count;
                uint32_t lowest, highest;
                bool lowest_t, highest_t;
                uint8_t key_byte;
                enum link_cause cause;
        } rows[] = {
                {"good", 0, 16, 3300, 3310, true, true, 0, LINK_CAUSE_NONE},
                {"bits 0, 1, 3..7 are no error", 0xFB, 16, 3300, 3310, true, true, 0, LINK_CAUSE_NONE},
                {"bit 2, full count", 4, 16, 3300, 3310, true, true, 0, LINK_CAUSE_BOARD},
                {"bit 2, one less", 4, 15, 3300, 3310, true, true, 0, LINK_CAUSE_CHAIN},
                {"bit 2, one more", 4, 17, 3300, 3310, true, true, 0, LINK_CAUSE_CHAIN},
                {"bit 2, nothing", 4, 0, 3300, 3310, true, true, 0, LINK_CAUSE_CHAIN},
                {"an orphan is always the chain", 4, 16, 3300, 3310, true, true, 129 + 25, LINK_CAUSE_CHAIN},
                {"one less", 0, 15, 3300, 3310, true, true, 0, LINK_CAUSE_COUNT},
                {"one more", 0, 17, 3300, 3310, true, true, 0, LINK_CAUSE_COUNT},
                {"B17: 1.005 V", 0, 16, 1005, 3310, true, true, 0, LINK_CAUSE_NONE},
                {"B17: 1.000 V", 0, 16, 1000, 3310, true, true, 0, LINK_CAUSE_NONE},
                {"B17: 0.999 V", 0, 16, 999, 3310, true, true, 0, LINK_CAUSE_CELL_DEAD},
                {"B17: 0.995 V", 0, 16, 995, 3310, true, true, 0, LINK_CAUSE_CELL_DEAD},
                {"B17: 0.005 V", 0, 16, 5, 3310, true, true, 0, LINK_CAUSE_CELL_DEAD},
                {"lowest unknown", 0, 16, 0, 3310, true, true, 0, LINK_CAUSE_NO_READING},
                {"no voltage", 0, 16, 0, 0, true, true, 0, LINK_CAUSE_NO_READING},
                {"lowest temperature unknown", 0, 16, 3300, 3310, false, true, 0, LINK_CAUSE_NO_READING},
                {"highest temperature unknown", 0, 16, 3300, 3310, true, false, 0, LINK_CAUSE_NO_READING},
        };
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                start_live(&c, S, 2);
                f = good_frame(rows[i].count);
                f.status = rows[i].status;
                f.lowest_mv = rows[i].lowest;
                f.highest_mv = rows[i].highest;
                f.lowest_temperature_known = rows[i].lowest_t;
                f.highest_temperature_known = rows[i].highest_t;
                f.key_byte = rows[i].key_byte;
                c.now += S;
                enum link_verdict v = send_next(&c, f);
                enum link_verdict want = rows[i].cause == LINK_CAUSE_NONE ? LINK_FRAME_GOOD : LINK_FRAME_ERROR;
                if (v != want || c.link.cause != rows[i].cause)
                        fail_msg("%s: verdict %d, cause %d", rows[i].what, v, c.link.cause);
                assert_int_equal(c.link.warning, rows[i].cause != LINK_CAUSE_NONE);
        }
}

static void test_newest_cause(void **state) {
        struct frame dead = good_frame(16);
        struct chain c;

        (void) state;
        dead.lowest_mv = 500;
        start_live(&c, S, 1);
        c.now += S;
        send_next(&c, cut_frame(9));
        expect(&c, LINK_ERROR, LINK_CAUSE_CHAIN);
        c.now += S;
        send_next(&c, dead);
        expect(&c, LINK_ERROR, LINK_CAUSE_CELL_DEAD);
}

static void test_errors_alone_never_live(void **state) {
        struct chain c;

        (void) state;
        start(&c, 16, 2);
        for (int i = 0; i < 100; i++) {
                c.now += S;
                send_next(&c, cut_frame((uint8_t) (i % 17)));
                assert_int_equal(c.link.state, i < 1 ? LINK_STARTING : LINK_ERROR);
        }
}

/* B11 */

static void test_identical(void **state) {
        struct chain c;
        struct frame f = good_frame(16);

        (void) state;
        f.detail_cell = 9;
        f.detail_mv = 3300;
        for (int d = -1; d <= 1; d++) {
                start_live(&c, S, 2);
                c.now += S;
                usec_t first = c.now;
                send(&c, f);
                for (int i = 1; i < 10; i++) {
                        c.now += S;
                        assert_int_equal(send(&c, f), LINK_FRAME_GOOD);
                }
                expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
                assert_int_equal(link_deadline(&c.link), first + 10 * S);

                c.now = first + 10 * S + (usec_t) d;
                assert_int_equal(send(&c, f), d < 0 ? LINK_FRAME_GOOD : LINK_FRAME_ERROR);
                if (d < 0)
                        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
                else
                        expect(&c, LINK_STALE, LINK_CAUSE_IDENTICAL);
                assert_false(c.link.warning); /* stale, but no E */
        }
}

static void test_identical_by_tick(void **state) {
        struct chain c;

        (void) state;
        for (int d = -1; d <= 1; d++) {
                start_live(&c, S, 2);
                c.now += S;
                usec_t first = c.now;
                for (int i = 0; i < 10; i++, c.now = first + (usec_t) i * 1100 * MS)
                        send(&c, good_frame(16));
                c.now -= 1100 * MS;
                assert_true(c.now < first + 10 * S);
                tick_at(&c, first + 10 * S + (usec_t) d);
                assert_int_equal(c.link.state, d < 0 ? LINK_LIVE : LINK_STALE);
        }
}

static void start_identical(struct chain *c) {
        start_live(c, S, 2);
        for (int i = 0; i < 12; i++) {
                c->now += S;
                send(c, good_frame(16));
        }
        expect(c, LINK_STALE, LINK_CAUSE_IDENTICAL);
}

static void test_identical_recovers_by_difference(void **state) {
        struct chain c;

        (void) state;
        start_identical(&c);
        for (int i = 0; i < 100; i++) {
                c.now += S;
                assert_int_equal(send(&c, good_frame(16)), LINK_FRAME_ERROR);
                expect(&c, LINK_STALE, LINK_CAUSE_IDENTICAL);
        }
        send_good(&c, 2, S, 16);
        assert_int_equal(c.link.state, LINK_STALE);
        send_good(&c, 1, S, 16);
        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
}

static void test_identical_then_others(void **state) {
        struct chain c;

        (void) state;
        start_identical(&c); /* then silence */
        tick_at(&c, c.now + 3500 * MS);
        expect(&c, LINK_STALE, LINK_CAUSE_SILENCE);

        start_identical(&c); /* then E: repeated frames were error-free, so it takes trip_frames */
        c.now += S;
        send_next(&c, cut_frame(3));
        expect(&c, LINK_STALE, LINK_CAUSE_CHAIN);
        c.now += S;
        send_next(&c, cut_frame(3));
        expect(&c, LINK_ERROR, LINK_CAUSE_CHAIN);
}

/* Byte 24 alone makes a difference; so does any frame in between; and what lies before a silence is not "for
 * 10 s". */
static void test_not_identical(void **state) {
        struct chain c;
        struct frame f = good_frame(16);

        (void) state;
        start_live(&c, S, 2);
        for (int i = 0; i < 60; i++) {
                f.detail_cell = (uint8_t) (i / 9 % 16 + 1); /* nine times each */
                c.now += S;
                assert_int_equal(send(&c, f), LINK_FRAME_GOOD);
                assert_int_equal(c.link.state, LINK_LIVE);
        }

        start_live(&c, S, 2);
        f = good_frame(16);
        send(&c, f);
        tick_at(&c, c.now + 20 * S);
        for (int i = 0; i < 3; i++, c.now += S)
                assert_int_equal(send(&c, f), LINK_FRAME_GOOD);
        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
}

static void test_port_lost(void **state) {
        struct chain c;

        (void) state;
        start_live(&c, S, 2);
        link_port_lost(&c.link, c.now + 1);
        expect(&c, LINK_STALE, LINK_CAUSE_PORT);
        assert_int_equal(link_deadline(&c.link), USEC_INFINITY);
        tick_at(&c, c.now + 20 * S);
        expect(&c, LINK_STALE, LINK_CAUSE_PORT);
        link_port_opened(&c.link);
        expect(&c, LINK_STALE, LINK_CAUSE_SILENCE);
        send_good(&c, 2, S, 16);
        assert_int_equal(c.link.state, LINK_STALE);
        send_good(&c, 1, S, 16);
        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);

        usec_t last_good = c.now; /* an E frame before the port went does not turn it into E later */
        c.now += S;
        send_next(&c, cut_frame(5));
        link_port_lost(&c.link, c.now + 1);
        tick_at(&c, last_good + 3500 * MS);
        expect(&c, LINK_STALE, LINK_CAUSE_PORT);

        start_live(&c, S, 2);
        link_port_opened(&c.link); /* no port was lost: nothing to say */
        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
}

/* Two links share nothing. */
static void test_two_instances(void **state) {
        struct chain a, b;

        (void) state;
        start_live(&a, S, 2);
        start_live(&b, 500 * MS, 2);
        tick_at(&a, a.now + 10 * S);
        assert_int_equal(a.link.state, LINK_STALE);
        expect(&b, LINK_LIVE, LINK_CAUSE_NONE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_three_frames_to_live),
                cmocka_unit_test(test_error_frame_restarts_the_run),
                cmocka_unit_test(test_silence_boundary),
                cmocka_unit_test(test_silence_without_tick),
                cmocka_unit_test(test_silence_breaks_the_run_to_live),
                cmocka_unit_test(test_silence_from_the_start),
                cmocka_unit_test(test_period_to_fast),
                cmocka_unit_test(test_period_to_slow),
                cmocka_unit_test(test_period_needs_a_row),
                cmocka_unit_test(test_error_frames_have_a_period_too),
                cmocka_unit_test(test_orphans_have_no_period),
                cmocka_unit_test(test_batches),
                cmocka_unit_test(test_error_by_trip_frames),
                cmocka_unit_test(test_good_frame_cancels_an_error_run),
                cmocka_unit_test(test_single_error_then_silence),
                cmocka_unit_test(test_cut_chain),
                cmocka_unit_test(test_error_after_silence),
                cmocka_unit_test(test_causes),
                cmocka_unit_test(test_newest_cause),
                cmocka_unit_test(test_errors_alone_never_live),
                cmocka_unit_test(test_identical),
                cmocka_unit_test(test_identical_by_tick),
                cmocka_unit_test(test_identical_recovers_by_difference),
                cmocka_unit_test(test_identical_then_others),
                cmocka_unit_test(test_not_identical),
                cmocka_unit_test(test_port_lost),
                cmocka_unit_test(test_two_instances),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
