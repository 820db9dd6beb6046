/* SPDX-License-Identifier: MIT */

/* Cells missing from the rotation of details (B16). */

#include "pack-rig.h"

/* One rotation over 1..m of a pack of `count` cells in which `skipped` never comes (0: all do). */
static void rotate(struct rig *r, uint8_t count, unsigned m, unsigned skipped) {
        for (unsigned k = 1; k <= m; k++)
                if (k != skipped)
                        send(r, frame_of(count, (uint8_t) k));
}

static void test_full_rotations_miss_nobody(void **state) {
        static const struct {
                uint8_t count;
                unsigned m; /* the IN board's configured cells: the table's next higher number, or the count */
        } rows[] = {{2, 2}, {2, 4}, {5, 5}, {5, 8}, {33, 48}, {97, 128}, {205, 255}, {205, 205}, {255, 255}};
        struct rig r;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                start(&r);
                for (int n = 0; n < 4; n++) {
                        rotate(&r, rows[i].count, rows[i].m, 0);
                        assert_int_equal(pack_missing_cell(&r.pack), 0);
                }
                for (unsigned k = 1; k <= rows[i].count; k++)
                        assert_int_equal(r.pack.cells[k].missed, 0);
                for (unsigned k = 1; k <= rows[i].count; k++)
                        assert_int_not_equal(r.pack.cells[k].at, 0);

                rotate(&r, rows[i].count, rows[i].count, 0); /* M becomes the count (chain.md R9) */
                rotate(&r, rows[i].count, rows[i].count, 0);
                assert_int_equal(pack_missing_cell(&r.pack), 0);
        }
}

static void test_skipped_cell(void **state) {
        static const struct {
                uint8_t count;
                unsigned m, skipped;
        } rows[] = {
                {2, 2, 1}, {2, 2, 2}, {2, 4, 2}, {3, 3, 2}, {5, 5, 1}, {5, 5, 3}, {5, 5, 5}, {5, 8, 5}, {5, 8, 1},
                {16, 16, 9}, {205, 255, 204}, {205, 255, 205}, {255, 255, 1}, {255, 255, 255},
        };
        struct rig r;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                start(&r);
                rotate(&r, rows[i].count, rows[i].m, 0);
                for (int n = 0; n < 2; n++) {
                        assert_int_equal(pack_missing_cell(&r.pack), 0);
                        rotate(&r, rows[i].count, rows[i].m, rows[i].skipped);
                }
                /* a step over the last cell shows only now */
                send(&r, frame_of(rows[i].count, rows[i].skipped == 1 ? 2 : 1));
                assert_int_equal(pack_missing_cell(&r.pack), rows[i].skipped);

                send(&r, frame_of(rows[i].count, (uint8_t) rows[i].skipped)); /* heard again */
                assert_int_equal(r.pack.cells[rows[i].skipped].missed, 0);
        }
}

static void test_empty_detail(void **state) {
        struct rig r;

        (void) state;
        start(&r);
        for (int n = 0; n < 3; n++)
                for (uint8_t k = 1; k <= 5; k++) {
                        struct frame f = frame_of(5, k);
                        f.detail_mv = k == 4 ? 0 : 3305;
                        send(&r, f);
                        assert_int_equal(pack_missing_cell(&r.pack), n * 5 + k >= 9 ? 4 : 0);
                }
        send(&r, frame_of(5, 4));
        assert_int_equal(pack_missing_cell(&r.pack), 0);
}

/* "No message lost": an interval below 1.5 periods proves it. */
static void test_lost_message(void **state) {
        static const usec_t periods[] = {1000 * MS, 500 * MS};
        struct rig r;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(periods); i++)
                for (int d = -1; d <= 1; d++) {
                        start(&r);
                        r.period = periods[i];
                        for (int n = 0; n < 2; n++) {
                                send(&r, frame_of(5, 1));
                                send(&r, frame_of(5, 2));
                                send_after(&r, periods[i] * 3 / 2 + (usec_t) d, frame_of(5, 4));
                                send(&r, frame_of(5, 5));
                        }
                        assert_int_equal(pack_missing_cell(&r.pack), d < 0 ? 3 : 0);
                }
}

/* A rotation that was seen to be interrupted is no second one; misses stand until the cell is heard. */
static void test_miss_loss_miss(void **state) {
        struct rig r;

        (void) state;
        start(&r);
        rotate(&r, 5, 5, 3);
        assert_int_equal(r.pack.cells[3].missed, 1);
        send(&r, frame_of(5, 1));
        send(&r, frame_of(5, 2));
        send_after(&r, 2 * S, frame_of(5, 4));
        assert_int_equal(r.pack.cells[3].missed, 1);
        send(&r, frame_of(5, 5));
        rotate(&r, 5, 5, 3);
        assert_int_equal(pack_missing_cell(&r.pack), 3);
}

/* What is no step of the rotation: frames without detail, the same number twice. An IN board that starts anew
 * leaves out the rest once, and once is not missing. */
static void test_no_miss(void **state) {
        struct rig r;

        (void) state;
        start(&r);
        for (int n = 0; n < 3; n++)
                for (uint8_t k = 1; k <= 5; k++) {
                        send(&r, frame_of(5, k));
                        send(&r, frame_of(5, k));
                }
        assert_int_equal(pack_missing_cell(&r.pack), 0);

        start(&r);
        for (int n = 0; n < 3; n++) {
                rotate(&r, 5, 5, 0);
                send(&r, frame_of(5, 0));
        }
        assert_int_equal(pack_missing_cell(&r.pack), 0);

        start(&r); /* between the details of 2 and 3 */
        for (int n = 0; n < 3; n++)
                for (uint8_t k = 1; k <= 5; k++) {
                        if (k == 3)
                                send(&r, frame_of(5, 0));
                        send(&r, frame_of(5, k));
                }
        for (unsigned k = 1; k <= 5; k++)
                assert_int_equal(r.pack.cells[k].missed, 0);

        start(&r);
        rotate(&r, 5, 5, 0);
        for (uint8_t k = 1; k <= 2; k++)
                send(&r, frame_of(5, k));
        send(&r, frame_of(5, 1));
        assert_int_equal(pack_missing_cell(&r.pack), 0);
        for (uint8_t k = 2; k <= 5; k++)
                send(&r, frame_of(5, k));
        for (unsigned k = 1; k <= 5; k++)
                assert_int_equal(r.pack.cells[k].missed, 0);
}

/* A frame without detail in the place of 3 is no excuse; a message lost beside it is. */
static void test_no_detail_instead(void **state) {
        static const usec_t before[] = {S, 2 * S, S}, after[] = {S, S, 2 * S};
        struct rig r;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
                start(&r);
                for (int n = 0; n < 2; n++) {
                        send(&r, frame_of(5, 1));
                        send(&r, frame_of(5, 2));
                        send_after(&r, before[i], frame_of(5, 0));
                        send_after(&r, after[i], frame_of(5, 4));
                        send(&r, frame_of(5, 5));
                }
                assert_int_equal(pack_missing_cell(&r.pack), i == 0 ? 3 : 0);
                assert_int_equal(r.pack.cells[3].missed, i == 0 ? 2 : 0);
        }
}

/* Numbers above the count are nobody, stepped over or not; a new count begins a new rotation. */
static void test_nobody_above_the_count(void **state) {
        struct rig r;

        (void) state;
        start(&r);
        for (int n = 0; n < 3; n++) {
                rotate(&r, 5, 5, 0);
                send(&r, frame_of(5, 8));
        }
        for (unsigned k = 1; k <= CELLS_MAX; k++)
                assert_int_equal(r.pack.cells[k].missed, 0);

        start(&r);
        send(&r, frame_of(16, 9));
        send(&r, frame_of(15, 3));
        for (unsigned k = 1; k <= CELLS_MAX; k++)
                assert_int_equal(r.pack.cells[k].missed, 0);
}

static void test_missed_saturates(void **state) {
        struct rig r;
        struct frame f = frame_of(5, 4);

        (void) state;
        start(&r);
        f.detail_mv = 0;
        for (int i = 0; i < 300; i++)
                send(&r, f);
        assert_int_equal(r.pack.cells[4].missed, 255);
        assert_int_equal(pack_missing_cell(&r.pack), 4);
}

/* The same number twice is a repeated message, from three cells on. */
static void test_repeated_number(void **state) {
        struct rig r;

        (void) state;
        for (uint8_t count = 2; count <= 4; count++) {
                start(&r);
                send(&r, frame_of(count, 1));
                send(&r, frame_of(count, 1));
                send(&r, frame_of(count, 1));
                assert_int_equal(pack_missing_cell(&r.pack), count == 2 ? 2 : 0);
        }
}

/* A detail of zeros as the rotation begins anew is one miss of that cell, not two. */
static void test_empty_detail_at_the_wrap(void **state) {
        struct frame f = frame_of(4, 2);
        struct rig r;

        (void) state;
        start(&r);
        send(&r, frame_of(4, 4));
        f.detail_mv = 0;
        send(&r, f);
        assert_int_equal(r.pack.cells[1].missed, 1);
        assert_int_equal(r.pack.cells[2].missed, 1);
        assert_int_equal(r.pack.cells[3].missed, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_full_rotations_miss_nobody),
                cmocka_unit_test(test_skipped_cell),
                cmocka_unit_test(test_empty_detail),
                cmocka_unit_test(test_lost_message),
                cmocka_unit_test(test_miss_loss_miss),
                cmocka_unit_test(test_no_miss),
                cmocka_unit_test(test_no_detail_instead),
                cmocka_unit_test(test_nobody_above_the_count),
                cmocka_unit_test(test_missed_saturates),
                cmocka_unit_test(test_repeated_number),
                cmocka_unit_test(test_empty_detail_at_the_wrap),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
