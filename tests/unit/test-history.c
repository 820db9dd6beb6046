/* SPDX-License-Identifier: MIT */

/* What a minute held, from snapshots: means weighted by time, extremes of any moment, energies as the counters say,
 * and nothing made up where
 * nothing was heard. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "history.h"

static struct snapshot s;
static struct history h;
static struct history_row row;

#define START (100 * USEC_PER_HOUR)

static void begin(void) {
        memset(&s, 0, sizeof(s));
        s.at = START;
        s.pack_mv = some(53000);
        s.power_mw = some(100000);
        s.lowest_mv = some(3300);
        s.highest_mv = some(3310);
        s.lowest_decic = some(200);
        s.highest_decic = some(210);
        s.soc_permyriad = some(5000);
        history_init(&h);
        assert_false(history_add(&h, &s, &row));
}

/* True if a minute was over. */
static bool after(usec_t usec) {
        s.at += usec;
        return history_add(&h, &s, &row);
}

static void test_a_minute(void **state) {
        (void)state;
        begin();
        for (int i = 1; i < 60; i++) {
                s.power_mw = some(i <= 20 ? 100000 : -50000); /* 20 s and 40 s */
                s.run_mwh[ENERGY_CHARGED] += 7;
                if (i == 30) {
                        s.lowest_mv = some(3290);
                        s.highest_decic = some(255);
                } else {
                        s.lowest_mv = some(3300);
                        s.highest_decic = some(210);
                }
                assert_false(after(USEC_PER_SEC));
        }
        s.soc_permyriad = some(5012);
        s.run_mwh[ENERGY_CHARGED] += 7;
        assert_true(after(USEC_PER_SEC));
        assert_int_equal(row.from, START);
        assert_int_equal(row.until, START + USEC_PER_MINUTE);
        assert_int_equal(row.covered_sec, 60);
        assert_int_equal(row.power_mw.value, (20 * 100000 - 40 * 50000) / 60);
        assert_int_equal(row.pack_mv.value, 53000);
        assert_int_equal(row.lowest_mv.value, 3290);
        assert_int_equal(row.highest_mv.value, 3310);
        assert_int_equal(row.highest_decic.value, 255);
        assert_int_equal(row.soc_permyriad.value, 5012);
        assert_int_equal(row.mwh[ENERGY_CHARGED], 60 * 7);
        assert_int_equal(row.mwh[ENERGY_CONSUMED], 0);

        /* The next one begins where this one ended, and forgets its extremes. */
        for (int i = 1; i < 120; i++)
                assert_false(after(USEC_PER_SEC / 2));
        assert_true(after(USEC_PER_SEC / 2));
        assert_int_equal(row.from, START + USEC_PER_MINUTE);
        assert_int_equal(row.lowest_mv.value, 3300);
        assert_int_equal(row.mwh[ENERGY_CHARGED], 0);
}

/* 24 s of 60 without a message: what is covered says so, and means are of what was heard. */
static void test_stale(void **state) {
        (void)state;
        begin();
        for (int i = 1; i <= 60; i++) {
                s.data_stale = i > 36;
                s.power_mw = some(i > 36 ? 9000000 : 200000);
                s.lowest_mv = some(i > 36 ? 1 : 3300);
                assert_int_equal(after(USEC_PER_SEC), i == 60);
        }
        assert_int_equal(row.covered_sec, 36);
        assert_int_equal(row.power_mw.value, 200000);
        assert_int_equal(row.lowest_mv.value, 3300);
}

static void test_nothing_heard(void **state) {
        (void)state;
        begin();
        s.pack_mv = s.power_mw = s.lowest_mv = s.highest_mv = s.soc_permyriad = none();
        for (int i = 1; i <= 60; i++)
                assert_int_equal(after(USEC_PER_SEC), i == 60);
        assert_int_equal(row.covered_sec, 0);
        assert_false(row.power_mw.known || row.pack_mv.known || row.lowest_mv.known || row.soc_permyriad.known);
}

/* A sensor that is lost for half of it: power of the other half, voltage of all. */
static void test_no_current(void **state) {
        (void)state;
        begin();
        for (int i = 1; i <= 60; i++) {
                s.power_mw = i <= 30 ? some(60000) : none();
                assert_int_equal(after(USEC_PER_SEC), i == 60);
        }
        assert_int_equal(row.covered_sec, 60);
        assert_int_equal(row.power_mw.value, 60000);
        assert_int_equal(row.pack_mv.value, 53000);
}

/* The machine slept: the row ends before it, what was counted stays in it, and the next begins after it. */
static void test_gap(void **state) {
        (void)state;
        begin();
        for (int i = 1; i <= 20; i++) {
                s.run_mwh[ENERGY_CONSUMED] += 3;
                assert_false(after(USEC_PER_SEC));
        }
        assert_false(after(10 * USEC_PER_SEC)); /* not yet a gap */
        assert_true(after(10 * USEC_PER_SEC + 1));
        assert_int_equal(row.until - row.from, 30 * USEC_PER_SEC);
        assert_int_equal(row.covered_sec, 30);
        assert_int_equal(row.mwh[ENERGY_CONSUMED], 60);
        for (int i = 1; i <= 60; i++)
                assert_int_equal(after(USEC_PER_SEC), i == 60);
        assert_int_equal(row.from, s.at - USEC_PER_MINUTE);
        assert_int_equal(row.mwh[ENERGY_CONSUMED], 0);

        begin(); /* at once: nothing was held yet */
        assert_false(after(USEC_PER_HOUR));
}

/* Midnight and `energy clear` set today and totals back; history goes by what was counted. */
static void test_clearing_does_not_show(void **state) {
        (void)state;
        begin();
        for (int i = 1; i <= 60; i++) {
                s.run_mwh[ENERGY_COLLECTED] += 1000;
                s.total_mwh[ENERGY_COLLECTED] = some64(i == 30 ? 0 : i * 1000);
                s.today_mwh[ENERGY_COLLECTED] = some64(0);
                assert_int_equal(after(USEC_PER_SEC), i == 60);
        }
        assert_int_equal(row.mwh[ENERGY_COLLECTED], 60000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_minute),   cmocka_unit_test(test_stale), cmocka_unit_test(test_nothing_heard),
                cmocka_unit_test(test_no_current), cmocka_unit_test(test_gap),
                cmocka_unit_test(test_clearing_does_not_show),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
