/* SPDX-License-Identifier: MIT */

/* events --follow: rows that may come late and signals that have no number become one list, without loss or doubles. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event-log.h"

static int setup(void **state) {
        *state = calloc(1, sizeof(struct event_log));
        return *state ? 0 : -1;
}

static int teardown(void **state) {
        free(*state);
        return 0;
}

/* The n-th thing that happened, as a row or (id 0) as a signal. */
static struct event_record thing(int n, int64_t id) {
        struct event_record e = {.id = id, .this_boot = true, .monotonic = (usec_t)n * USEC_PER_SEC};

        strcpy(e.kind, "alarm-raised");
        snprintf(e.text, sizeof(e.text), "thing %d", n);
        return e;
}

static bool row(struct event_log *log, int n, int64_t id) {
        const struct event_record e = thing(n, id);

        return event_log_row(log, &e);
}

static void signal_at(struct event_log *log, int n, usec_t now) {
        const struct event_record e = thing(n, 0);

        assert_true(event_log_signal(log, now, &e));
}

static bool take(struct event_log *log, usec_t now, struct event_record *ret) {
        return event_log_take(log, now, EVENT_LOG_PATIENCE_USEC, ret);
}

static void test_signal_then_row(void **state) {
        struct event_log *log = *state;
        struct event_record e;

        signal_at(log, 1, 100);
        assert_false(take(log, 100 + EVENT_LOG_PATIENCE_USEC - 1, &e)); /* its row is given time */
        assert_true(row(log, 1, 7));
        assert_false(row(log, 1, 7)); /* read once more */
        assert_false(take(log, 100 + EVENT_LOG_PATIENCE_USEC, &e));
}

static void test_row_then_signal(void **state) {
        struct event_log *log = *state;
        struct event_record e;

        assert_true(row(log, 1, 7));
        signal_at(log, 1, 100);
        assert_false(event_log_take(log, 1000 * USEC_PER_SEC, 0, &e));
}

static void test_the_row_comes_too_late(void **state) {
        struct event_log *log = *state;
        struct event_record e;

        signal_at(log, 1, 100);
        signal_at(log, 2, 200);
        assert_true(take(log, 100 + EVENT_LOG_PATIENCE_USEC, &e));
        assert_string_equal(e.text, "thing 1");
        assert_false(take(log, 100 + EVENT_LOG_PATIENCE_USEC, &e)); /* the second has waited less */
        assert_false(row(log, 1, 7));                               /* told already */
        assert_true(row(log, 2, 8));
        assert_false(event_log_take(log, 1000 * USEC_PER_SEC, 0, &e));
        assert_true(row(log, 1, 9)); /* the same words, but another row: another event */
}

static void test_the_same_words_at_another_time(void **state) {
        struct event_log *log = *state;
        struct event_record a = thing(1, 0), b = thing(1, 0), e;

        b.monotonic++;
        assert_true(event_log_signal(log, 0, &a));
        assert_true(event_log_signal(log, 0, &b));
        assert_true(row(log, 1, 7));
        assert_true(event_log_take(log, 0, 0, &e));
        assert_int_equal(e.monotonic, USEC_PER_SEC + 1);
}

static void test_an_earlier_boot(void **state) {
        struct event_log *log = *state;
        struct event_record old = thing(1, 7), e;

        old.this_boot = false;
        assert_true(event_log_row(log, &old));
        signal_at(log, 1, 0); /* at the same second of this boot */
        assert_true(event_log_take(log, 0, 0, &e));
}

/* The database could not be read at first: the newest were told from memory, by their age. */
static void test_memory_first(void **state) {
        struct event_log *log = *state;
        struct event_record remembered = thing(10, 0), e;

        remembered.monotonic += 3000; /* by the way of the answer */
        event_log_remembered(log, &remembered);
        log->begin = remembered.monotonic;
        signal_at(log, 10, 0); /* it was under way */
        assert_false(event_log_take(log, 0, 0, &e));
        assert_false(row(log, 3, 40)); /* before all this */
        assert_false(row(log, 10, 41));
        signal_at(log, 11, 0);
        assert_true(row(log, 11, 42));
}

static void test_full(void **state) {
        struct event_log *log = *state;
        const struct event_record one_more = thing(1000, 0);
        struct event_record e;

        for (int i = 0; i < EVENT_LOG_WAITING; i++)
                signal_at(log, i, 0);
        assert_false(event_log_signal(log, 0, &one_more));
        assert_true(event_log_take(log, 0, 0, &e));
        assert_string_equal(e.text, "thing 0");
        assert_true(event_log_signal(log, 0, &one_more));
        for (int i = 1; i < EVENT_LOG_WAITING; i++) {
                assert_true(event_log_take(log, 0, 0, &e));
                assert_int_equal(e.monotonic, (usec_t)i * USEC_PER_SEC);
        }
        assert_true(event_log_take(log, 0, 0, &e));
        assert_string_equal(e.text, "thing 1000");
}

/* Rows and signals in any order and at any distance: each once. */
static void test_any_order(void **state) {
        enum { N = 2000 };
        struct event_log *log = *state;
        unsigned told[N + 1] = {0};
        struct event_record e;

        srand(1);
        for (int rows = 0, signals = 0; rows < N || signals < N;) {
                if (signals < N && (rand() % 2 || rows >= signals + 50)) {
                        const struct event_record s = thing(++signals, 0);

                        while (!event_log_signal(log, 0, &s)) {
                                assert_true(event_log_take(log, 0, 0, &e));
                                told[e.monotonic / USEC_PER_SEC]++;
                        }
                } else if (rows < N) {
                        rows++;
                        told[rows] += row(log, rows, rows);
                }
                if (rand() % 10 == 0 && event_log_take(log, 0, 0, &e))
                        told[e.monotonic / USEC_PER_SEC]++;
        }
        while (event_log_take(log, 0, 0, &e))
                told[e.monotonic / USEC_PER_SEC]++;
        for (int i = 1; i <= N; i++)
                assert_int_equal(told[i], 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(test_signal_then_row),
                TEST(test_row_then_signal),
                TEST(test_the_row_comes_too_late),
                TEST(test_the_same_words_at_another_time),
                TEST(test_an_earlier_boot),
                TEST(test_memory_first),
                TEST(test_full),
                TEST(test_any_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
