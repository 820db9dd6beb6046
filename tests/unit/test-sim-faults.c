/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "faults.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

static int add(struct faults *f, usec_t now, const char *spec) {
        char error[160] = "";
        int r = faults_add(f, now, spec, error, sizeof(error));

        if ((r < 0) != (error[0] != '\0'))
                fail_msg("%s: %d but '%s'", spec, r, error);
        return r;
}

static void test_accepted(void **state) {
        static const struct {
                const char *spec;
                enum fault_kind kind;
                double first, second;
                usec_t start, end;
        } rows[] = {
                {"cut=3", FAULT_CUT, 3, 0, 7, USEC_INFINITY},
                {"cut=255@60", FAULT_CUT, 255, 0, 60000000, USEC_INFINITY},
                {"cut=1@60.5+0.25", FAULT_CUT, 1, 0, 60500000, 60750000},
                {"silence+2", FAULT_SILENCE, 0, 0, 7, 2000007},
                {"hot=2", FAULT_HOT, 2, 70, 7, USEC_INFINITY},
                {"hot=2,61.5", FAULT_HOT, 2, 61.5, 7, USEC_INFINITY},
                {"cold=all,-20@5", FAULT_COLD, 0, -20, 5000000, USEC_INFINITY},
                {"cold=1", FAULT_COLD, 1, -15, 7, USEC_INFINITY},
                {"temperature=4,0", FAULT_TEMPERATURE, 4, 0, 7, USEC_INFINITY},
                {"voltage=1,0.995", FAULT_VOLTAGE, 1, 0.995, 7, USEC_INFINITY},
                {"noise", FAULT_NOISE, 8, 0, 7, USEC_INFINITY},
                {"noise=900", FAULT_NOISE, 900, 0, 7, USEC_INFINITY},
                {"checksum", FAULT_CHECKSUM, 1, 0, 7, USEC_INFINITY},
                {"truncate=57", FAULT_TRUNCATE, 57, 0, 7, USEC_INFINITY},
                {"mode=critical", FAULT_MODE, 1, 0, 7, USEC_INFINITY},
                {"mode=normal", FAULT_MODE, 0, 0, 7, USEC_INFINITY},
                {"relay-stuck=load", FAULT_RELAY_STUCK, 1, 0, 7, USEC_INFINITY},
                {"v-bypass=3.6", FAULT_V_BYPASS, 3.6, 0, 7, USEC_INFINITY},
                {"period=0.5", FAULT_PERIOD, 0.5, 0, 7, USEC_INFINITY},
                {"sensor-reversed", FAULT_SENSOR_REVERSED, 0, 0, 7, USEC_INFINITY},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct faults f;

                faults_init(&f, 1);
                assert_int_equal(add(&f, 7, rows[i].spec), 0);
                assert_int_equal(f.n, 1);
                assert_int_equal(f.list[0].kind, rows[i].kind);
                assert_true(f.list[0].args[0] == rows[i].first && f.list[0].args[1] == rows[i].second);
                assert_int_equal(f.list[0].start, rows[i].start);
                assert_int_equal(f.list[0].end, rows[i].end);
        }
}

static void test_refused(void **state) {
        static const struct {
                const char *spec;
                int error;
        } rows[] = {
                {"", -EINVAL},
                {"fire", -EINVAL},
                {"cut", -EINVAL},
                {"cut=", -EINVAL},
                {"cut=0", -ERANGE},
                {"cut=256", -ERANGE},
                {"cut=all", -EINVAL},
                {"cut=2.5", -EINVAL},
                {"cut=2,3", -EINVAL},
                {"cut=2x", -EINVAL},
                {"cut=nan", -EINVAL},
                {"silence=1", -EINVAL},
                {"hot=1,2,3", -EINVAL},
                {"hot=1,2,3,4", -EINVAL},
                {"hot=-1", -ERANGE},
                {"hot=1,121", -ERANGE},
                {"voltage=1", -EINVAL},
                {"voltage=1,6.01", -ERANGE},
                {"truncate=58", -ERANGE},
                {"truncate=0", -ERANGE},
                {"count=1", -ERANGE},
                {"count=256", -ERANGE},
                {"mode=1", -EINVAL},
                {"mode=fast", -EINVAL},
                {"v-bypass=3.55", -EINVAL},
                {"v-bypass=3.3", -ERANGE},
                {"period=0.7", -EINVAL},
                {"sensor-lost", -EINVAL},
                {"sensor-lost=3", -ERANGE},
                {"noise=901", -ERANGE},
                {"silence@", -EINVAL},
                {"silence@-1", -EINVAL},
                {"silence+0", -EINVAL},
                {"silence+x", -EINVAL},
        };
        char much[300];

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct faults f;

                faults_init(&f, 1);
                if (add(&f, 0, rows[i].spec) != rows[i].error)
                        fail_msg("'%s' was not refused as it should be", rows[i].spec);
                assert_int_equal(f.n, 0);
        }
        memset(much, 'x', sizeof(much));
        much[sizeof(much) - 1] = '\0';
        struct faults f;

        faults_init(&f, 1);
        assert_int_equal(add(&f, 0, much), -EINVAL);
        for (int i = 0; i < FAULTS_MAX; i++)
                assert_int_equal(add(&f, 0, "silence"), 0);
        assert_int_equal(add(&f, 0, "silence"), -ENOSPC);
}

static void test_begin_and_end(void **state) {
        struct faults f;

        (void)state;
        faults_init(&f, 1);
        assert_int_equal(add(&f, 0, "silence@10+5"), 0);
        assert_null(faults_find(&f, 9999999, FAULT_SILENCE));
        assert_non_null(faults_find(&f, 10000000, FAULT_SILENCE));
        assert_non_null(faults_find(&f, 14999999, FAULT_SILENCE));
        assert_null(faults_find(&f, 15000000, FAULT_SILENCE));
        faults_advance(&f, 14999999);
        assert_int_equal(f.n, 1);
        faults_advance(&f, 15000000);
        assert_int_equal(f.n, 0);
}

static void test_by_cell_and_newest(void **state) {
        struct faults f;

        (void)state;
        faults_init(&f, 1);
        assert_int_equal(add(&f, 0, "voltage=all,3.3"), 0);
        assert_int_equal(add(&f, 0, "voltage=2,3.4"), 0);
        assert_int_equal(add(&f, 0, "voltage=2,3.5@9"), 0);
        assert_true(faults_find_cell(&f, 0, FAULT_VOLTAGE, 1)->args[1] == 3.3);
        assert_true(faults_find_cell(&f, 0, FAULT_VOLTAGE, 2)->args[1] == 3.4);
        assert_true(faults_find_cell(&f, 9000000, FAULT_VOLTAGE, 2)->args[1] == 3.5);
        assert_null(faults_find_cell(&f, 0, FAULT_HOT, 1));
}

static void test_clear(void **state) {
        struct faults f;

        (void)state;
        faults_init(&f, 1);
        assert_int_equal(add(&f, 0, "silence"), 0);
        assert_int_equal(add(&f, 0, "cut=1"), 0);
        assert_int_equal(add(&f, 0, "cut=2@100"), 0);
        assert_int_equal(faults_clear(&f, "no such"), -EINVAL);
        assert_int_equal(f.n, 3);
        assert_int_equal(faults_clear(&f, "cut"), 2);
        assert_non_null(faults_find(&f, 0, FAULT_SILENCE));
        assert_int_equal(faults_clear(&f, NULL), 1);
        assert_int_equal(faults_clear(&f, ""), 0);
}

/* Every name is there, once, and is accepted in some form. */
static void test_names(void **state) {
        (void)state;
        for (int i = 0; i < _FAULT_MAX; i++) {
                assert_non_null(fault_name(i));
                assert_int_equal(strncmp(fault_usage(i), fault_name(i), strlen(fault_name(i))), 0);
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(fault_name(i), fault_name(j));
        }
}

static unsigned bits(uint8_t byte) {
        unsigned n = 0;

        for (; byte; byte = (uint8_t)(byte & (byte - 1)))
                n++;
        return n;
}

static void test_wire(void **state) {
        uint8_t frame[FRAME_SIZE], wire[FAULTS_WIRE_MAX];
        unsigned differing = 0;
        struct faults f;

        (void)state;
        for (int i = 0; i < FRAME_SIZE; i++)
                frame[i] = (uint8_t)(i * 37);
        faults_init(&f, 5);
        assert_int_equal(faults_mangle(&f, 0, frame, wire), FRAME_SIZE);
        assert_memory_equal(wire, frame, FRAME_SIZE);

        assert_int_equal(add(&f, 0, "silence+1"), 0);
        assert_int_equal(faults_mangle(&f, 0, frame, wire), 0);
        assert_int_equal(faults_clear(&f, NULL), 1);

        assert_int_equal(add(&f, 0, "noise=13"), 0);
        assert_int_equal(faults_mangle(&f, 0, frame, wire), 13 + FRAME_SIZE);
        assert_memory_equal(wire + 13, frame, FRAME_SIZE);
        assert_int_equal(add(&f, 0, "truncate=57"), 0);
        assert_int_equal(faults_mangle(&f, 0, frame, wire), 13 + 57);
        assert_memory_equal(wire + 13, frame, 57);
        assert_int_equal(faults_clear(&f, NULL), 2);

        assert_int_equal(add(&f, 0, "flip"), 0);
        assert_int_equal(faults_mangle(&f, 0, frame, wire), FRAME_SIZE);
        for (int i = 0; i < FRAME_SIZE; i++)
                differing += bits(wire[i] ^ frame[i]);
        assert_int_equal(differing, 1);
        assert_int_equal(faults_clear(&f, NULL), 1);

        assert_int_equal(add(&f, 0, "garbage"), 0);
        assert_int_equal(faults_mangle(&f, 0, frame, wire), FRAME_SIZE);
        assert_memory_not_equal(wire, frame, FRAME_SIZE);
}

/* Every third checksum is wrong, and nothing else. */
static void test_bad_checksums(void **state) {
        uint8_t frame[FRAME_SIZE] = {0}, wire[FAULTS_WIRE_MAX];
        struct faults f;

        (void)state;
        faults_init(&f, 5);
        assert_int_equal(add(&f, 0, "checksum=3"), 0);
        for (int i = 1; i <= 300; i++) {
                assert_int_equal(faults_mangle(&f, 0, frame, wire), FRAME_SIZE);
                assert_memory_equal(wire, frame, FRAME_SIZE - 1);
                assert_int_equal(wire[57] != 0, i % 3 == 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepted),      cmocka_unit_test(test_refused),
                cmocka_unit_test(test_begin_and_end), cmocka_unit_test(test_by_cell_and_newest),
                cmocka_unit_test(test_clear),         cmocka_unit_test(test_names),
                cmocka_unit_test(test_wire),          cmocka_unit_test(test_bad_checksums),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
