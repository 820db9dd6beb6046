/* SPDX-License-Identifier: MIT */
/* What a button's edges mean (design 6, issue: 20 ms, 5 s, held at start), each limit one step below, at and one
 * step above. Times are written out; nothing here waits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "button-press.h"

#define MS USEC_PER_MSEC
#define T0 (1000 * USEC_PER_SEC) /* the boot is not the origin of anything */

static struct press started(usec_t debounce, bool down, bool start) {
        struct press p;

        press_init(&p, T0, debounce, down, start);
        return p;
}

struct told {
        unsigned n;
        enum button_press last;
};

static void note(struct told *t, enum button_press press) {
        if (press == BUTTON_NONE)
                return;
        t->n++;
        t->last = press;
}

/* Pressed at T0 + 1 s for so long, and then left alone for 10 s: all that came of it. */
static struct told press_for(usec_t debounce, usec_t length) {
        struct press p = started(debounce, false, true);
        const usec_t at = T0 + USEC_PER_SEC;
        struct told told = {0};

        note(&told, press_edge(&p, at, true));
        while (press_due(&p) < at + length) /* as the daemon does: it sleeps until then, or until the next edge */
                note(&told, press_time(&p, press_due(&p)));
        note(&told, press_edge(&p, at + length, false));
        note(&told, press_time(&p, at + length + 10 * USEC_PER_SEC));
        assert_true(press_due(&p) == USEC_INFINITY);
        assert_false(p.down);
        return told;
}

static void test_lengths(void **state) {
        static const struct {
                usec_t debounce, length;
                enum button_press press; /* BUTTON_NONE: nothing at all */
        } rows[] = {
                {20 * MS, 1, BUTTON_NONE},
                {20 * MS, 19 * MS, BUTTON_NONE},
                {20 * MS, 20 * MS - 1, BUTTON_NONE},
                {20 * MS, 20 * MS, BUTTON_SHORT},
                {20 * MS, 21 * MS, BUTTON_SHORT},
                {20 * MS, 4990 * MS, BUTTON_SHORT},
                {20 * MS, 5000 * MS - 1, BUTTON_SHORT},
                {20 * MS, 5000 * MS, BUTTON_HELD},
                {20 * MS, 5010 * MS, BUTTON_HELD},
                {20 * MS, 60000 * MS, BUTTON_HELD},
                /* debounced by the kernel: each edge counts */
                {0, 1, BUTTON_SHORT},
                {0, 19 * MS, BUTTON_SHORT},
                {0, 4990 * MS, BUTTON_SHORT},
                {0, 5000 * MS - 1, BUTTON_SHORT},
                {0, 5000 * MS, BUTTON_HELD},
                {0, 5010 * MS, BUTTON_HELD},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const struct told told = press_for(rows[i].debounce, rows[i].length);

                assert_int_equal(told.n, rows[i].press != BUTTON_NONE);
                assert_int_equal(told.last, rows[i].press);
        }
}

/* The loop may be late for everything: the times of the edges decide, not when they are read. */
static void test_late_reader(void **state) {
        struct press p = started(20 * MS, false, true);

        (void)state;
        assert_int_equal(press_edge(&p, T0 + 1000 * MS, true), BUTTON_NONE);
        assert_int_equal(press_edge(&p, T0 + 5990 * MS, false), BUTTON_NONE);
        assert_int_equal(press_time(&p, T0 + 60000 * MS), BUTTON_SHORT);
        assert_int_equal(press_edge(&p, T0 + 61000 * MS, true), BUTTON_NONE);
        assert_int_equal(press_edge(&p, T0 + 66000 * MS, false), BUTTON_HELD);
        assert_int_equal(press_time(&p, T0 + 90000 * MS), BUTTON_NONE);
}

/* Told at 5 s, while it is still held, and once. */
static void test_hold_is_told_in_time(void **state) {
        struct press p = started(20 * MS, false, true);
        const usec_t at = T0 + 2000 * MS;

        (void)state;
        (void)press_edge(&p, at, true);
        assert_true(press_due(&p) == at + 20 * MS);
        assert_int_equal(press_time(&p, at + 19 * MS), BUTTON_NONE);
        assert_false(p.down);
        assert_int_equal(press_time(&p, at + 20 * MS), BUTTON_NONE);
        assert_true(p.down);
        assert_true(press_due(&p) == at + 5000 * MS); /* from the first contact on */
        assert_int_equal(press_time(&p, at + 4990 * MS), BUTTON_NONE);
        assert_int_equal(press_time(&p, at + 5000 * MS), BUTTON_HELD);
        assert_true(press_due(&p) == USEC_INFINITY);
        assert_int_equal(press_time(&p, at + 11000 * MS), BUTTON_NONE);
        assert_int_equal(press_edge(&p, at + 12000 * MS, false), BUTTON_NONE);
        assert_int_equal(press_time(&p, at + 12020 * MS), BUTTON_NONE);
}

/* A contact that bounces for 15 ms at each end is one press; one that opens for 19 ms in between, too; for 20 ms: two.
 */
static void test_bounces(void **state) {
        static const struct {
                usec_t gap;
                unsigned presses;
        } rows[] = {{19 * MS, 1}, {20 * MS, 2}, {21 * MS, 2}};

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                struct press p = started(20 * MS, false, true);
                usec_t t = T0 + USEC_PER_SEC;
                unsigned n = 0;
                bool level = true;

                for (unsigned j = 0; j < 15; j++, level = !level) /* ends up closed */
                        n += press_edge(&p, t + j * MS, level) != BUTTON_NONE;
                t += 500 * MS;
                n += press_edge(&p, t, false) == BUTTON_SHORT;
                n += press_edge(&p, t + rows[i].gap, true) == BUTTON_SHORT;
                t += 500 * MS;
                for (unsigned j = 0; j < 15; j++, level = !level)
                        n += press_edge(&p, t + j * MS, level) != BUTTON_NONE;
                n += press_time(&p, t + 15 * MS + 20 * MS) == BUTTON_SHORT;
                assert_int_equal(n, rows[i].presses);
        }
}

/* While a bounce is not over, the hold is not longer than to its beginning. */
static void test_bounce_at_the_end_of_a_hold(void **state) {
        struct press p = started(20 * MS, false, true);

        (void)state;
        (void)press_edge(&p, T0 + 1000 * MS, true);
        assert_int_equal(press_time(&p, T0 + 1020 * MS), BUTTON_NONE);
        assert_int_equal(press_edge(&p, T0 + 5995 * MS, false), BUTTON_NONE); /* 4.995 s */
        assert_int_equal(press_time(&p, T0 + 6001 * MS), BUTTON_NONE);
        assert_int_equal(press_edge(&p, T0 + 6005 * MS, true), BUTTON_NONE); /* it was a bounce: it goes on */
        assert_int_equal(press_time(&p, T0 + 6005 * MS), BUTTON_HELD);
}

static void test_held_at_start(void **state) {
        static const struct {
                usec_t length;
                enum button_press press;
        } rows[] = {
                {19 * MS, BUTTON_NONE},
                {999 * MS, BUTTON_NONE},
                {1000 * MS - 1, BUTTON_NONE},
                {1000 * MS, BUTTON_HELD_AT_START},
                {1001 * MS, BUTTON_HELD_AT_START},
                {9000 * MS, BUTTON_HELD_AT_START},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct press p = started(20 * MS, true, true);
                enum button_press told;

                assert_true(press_due(&p) == T0 + 1000 * MS);
                told = press_edge(&p, T0 + rows[i].length, false);
                assert_int_equal(told, rows[i].press);
                assert_int_equal(press_time(&p, T0 + 20000 * MS), BUTTON_NONE); /* and not short, either */
                /* the next press is one like any other */
                (void)press_edge(&p, T0 + 30000 * MS, true);
                (void)press_edge(&p, T0 + 30100 * MS, false);
                assert_int_equal(press_time(&p, T0 + 31000 * MS), BUTTON_SHORT);
        }
        /* told while it is still held, and not again at 5 s */
        struct press p = started(20 * MS, true, true);
        assert_int_equal(press_time(&p, T0 + 1000 * MS), BUTTON_HELD_AT_START);
        assert_int_equal(press_time(&p, T0 + 5000 * MS), BUTTON_NONE);
        assert_true(press_due(&p) == USEC_INFINITY);
}

/* A line that comes back while it is pressed: since when is not known, so it means nothing. */
static void test_taken_while_down(void **state) {
        struct press p = started(20 * MS, true, false);

        (void)state;
        assert_true(press_due(&p) == USEC_INFINITY);
        assert_int_equal(press_time(&p, T0 + 6000 * MS), BUTTON_NONE);
        assert_int_equal(press_edge(&p, T0 + 7000 * MS, false), BUTTON_NONE);
        assert_int_equal(press_time(&p, T0 + 8000 * MS), BUTTON_NONE);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lengths),
                cmocka_unit_test(test_late_reader),
                cmocka_unit_test(test_hold_is_told_in_time),
                cmocka_unit_test(test_bounces),
                cmocka_unit_test(test_bounce_at_the_end_of_a_hold),
                cmocka_unit_test(test_held_at_start),
                cmocka_unit_test(test_taken_while_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
