/* SPDX-License-Identifier: MIT */

/* The number of cells: from config, learned or accepted (B15). */

#include <errno.h>

#include "link-chain.h"

static void test_learning(void **state) {
        static const uint8_t counts[] = {2, 5, 33, 97, 205, 255};
        struct chain c;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
                for (int d = -1; d <= 1; d++) {
                        start(&c, 0, 2);
                        send_good(&c, 60, S, counts[i]); /* the first begins the 60 s, the last is at 59 s */
                        assert_int_equal(c.link.known_cells, 0);
                        assert_int_equal(c.link.state, LINK_LIVE);
                        send_good(&c, 1, S + (usec_t) d, counts[i]);
                        assert_int_equal(c.link.known_cells, d < 0 ? 0 : counts[i]);
                }
}

static void test_learning_restarts(void **state) {
        struct chain c;

        (void) state;
        start(&c, 0, 3);
        send_good(&c, 50, S, 16);
        c.now += S;
        assert_int_equal(send_next(&c, good_frame(17)), LINK_FRAME_ERROR);
        assert_int_equal(c.link.cause, LINK_CAUSE_COUNT);
        send_good(&c, 60, S, 17);
        assert_int_equal(c.link.known_cells, 0);
        send_good(&c, 1, S, 17);
        assert_int_equal(c.link.known_cells, 17);

        start(&c, 0, 3); /* E of another kind: the same count goes on, its 60 s do not */
        send_good(&c, 50, S, 16);
        c.now += S;
        send_next(&c, cut_frame(3));
        send_good(&c, 60, S, 16);
        assert_int_equal(c.link.known_cells, 0);
        send_good(&c, 1, S, 16);
        assert_int_equal(c.link.known_cells, 16);

        start(&c, 0, 3); /* a minute of silence teaches nothing */
        send_good(&c, 2, S, 16);
        send_good(&c, 1, 100 * S, 16);
        assert_int_equal(c.link.known_cells, 0);
}

static void test_learning_ignores_flagged_counts(void **state) {
        struct chain c;

        (void) state;
        start(&c, 0, 2);
        for (int i = 0; i < 100; i++) {
                c.now += S;
                assert_int_equal(send_next(&c, cut_frame(7)), LINK_FRAME_ERROR);
        }
        assert_int_equal(c.link.known_cells, 0);
        assert_int_equal(c.link.learn_count, 0);
        send_good(&c, 3, S, 16);
        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
}

static void test_known_count_is_not_unlearned(void **state) {
        struct chain c;

        (void) state;
        for (int config = 0; config <= 1; config++) {
                start(&c, 0, 2);
                link_init(&c.link, T0, TAP_IN, 16, config, 2);
                for (int i = 0; i < 200; i++) {
                        c.now += S;
                        assert_int_equal(send_next(&c, good_frame(15)), LINK_FRAME_ERROR);
                }
                assert_int_equal(c.link.known_cells, 16);
                expect(&c, LINK_ERROR, LINK_CAUSE_COUNT);
                send_good(&c, 3, S, 16); /* "until it returns" */
                expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
        }
}

static void test_accept(void **state) {
        struct chain c;

        (void) state;
        for (int config = 0; config <= 1; config++)
                for (int d = -1; d <= 1; d++) {
                        start(&c, 0, 2);
                        link_init(&c.link, T0, TAP_IN, 16, config, 2);
                        send_good(&c, 5, S, 16);
                        assert_int_equal(link_accept_cells(&c.link, c.now), -ENODATA);
                        c.now += S;
                        send_next(&c, good_frame(17));
                        int r = link_accept_cells(&c.link, c.now + 10 * S + (usec_t) d);
                        assert_int_equal(r, d <= 0 ? 0 : -ENODATA);
                        assert_int_equal(c.link.known_cells, d <= 0 ? 17 : 16);
                        if (d > 0)
                                continue;
                        send_good(&c, 3, S, 17);
                        expect(&c, LINK_LIVE, LINK_CAUSE_NONE);
                        assert_int_equal(link_accept_cells(&c.link, c.now), -ENODATA);
                }
}

static void test_accept_looks_at_the_newest_clean_frame(void **state) {
        struct chain c;

        (void) state;
        start_live(&c, S, 2);
        assert_int_equal(send_next(&c, cut_frame(5)), LINK_FRAME_ERROR); /* bit 2: says nothing about N */
        assert_int_equal(link_accept_cells(&c.link, c.now), -ENODATA);
        send_next(&c, good_frame(17));
        send_next(&c, cut_frame(5));
        assert_int_equal(link_accept_cells(&c.link, c.now), 0);
        assert_int_equal(c.link.known_cells, 17);

        start_live(&c, S, 2);
        send_next(&c, good_frame(17)); /* one odd frame, then 16 again */
        send_next(&c, good_frame(16));
        assert_int_equal(link_accept_cells(&c.link, c.now), -ENODATA);
        assert_int_equal(c.link.known_cells, 16);

        start(&c, 0, 2); /* nothing heard, nothing accepted; while learning it settles the question at once */
        assert_int_equal(link_accept_cells(&c.link, c.now), -ENODATA);
        send_good(&c, 1, S, 16);
        assert_int_equal(link_accept_cells(&c.link, c.now), 0);
        assert_int_equal(c.link.known_cells, 16);
}

/* Two cells are a pack; one is not, whoever says so. */
static void test_smallest_pack(void **state) {
        struct chain c;

        (void) state;
        start(&c, 0, 3);
        send_good(&c, 2, S, 3);
        c.now += S;
        assert_int_equal(send_next(&c, good_frame(2)), LINK_FRAME_ERROR);
        assert_int_equal(c.link.learn_count, 2);
        c.now += S;
        assert_int_equal(send_next(&c, good_frame(1)), LINK_FRAME_ERROR);
        assert_int_equal(c.link.cause, LINK_CAUSE_COUNT);
        assert_int_equal(c.link.learn_count, 2);
        assert_int_equal(link_accept_cells(&c.link, c.now), 0);
        assert_int_equal(c.link.known_cells, 2);

        start(&c, 0, 3); /* before anything else was heard */
        c.now += S;
        assert_int_equal(send_next(&c, good_frame(1)), LINK_FRAME_ERROR);
        assert_int_equal(link_accept_cells(&c.link, c.now), -ENODATA);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_learning),
                cmocka_unit_test(test_learning_restarts),
                cmocka_unit_test(test_learning_ignores_flagged_counts),
                cmocka_unit_test(test_known_count_is_not_unlearned),
                cmocka_unit_test(test_accept),
                cmocka_unit_test(test_accept_looks_at_the_newest_clean_frame),
                cmocka_unit_test(test_smallest_pack),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
