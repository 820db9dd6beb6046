/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scenario.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

static int load(const char *text, struct scenario **ret, char *error, size_t size) {
        char path[] = "/tmp/test-scenario-XXXXXX";
        int fd = mkstemp(path), r;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(close(fd), 0);
        r = scenario_load(path, ret, error, size);
        (void)unlink(path);
        return r;
}

static void test_reads(void **state) {
        static const struct {
                double seconds;
                unsigned line;
                const char *command;
        } rows[] = {
                {0, 2, "load 5"},
                {90, 4, "cut=7"},
                {7290, 5, "clear cut"},             /* 90 s + 2 h */
                {109800, 6, "soc 40 3"},            /* 1 d 6 h 30 m */
                {109800, 7, "hot=2"},
                {109800.25, 8, "status"},
                {259200, 9, "quit"},                /* 3 d */
        };
        struct scenario *s;
        char error[200];
        unsigned line;
        usec_t at;

        (void)state;
        assert_int_equal(load("# a story\n"
                              "0s load 5\n"
                              "\n"
                              "90s\tcut=7   # found two hours later\n"
                              "  +2h clear cut\r\n"
                              "1d6h30m   soc 40 3\n"
                              "+0s hot=2\n"
                              "+0.25s status\n"
                              "72h quit",
                              &s, error, sizeof(error)),
                         0);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_string_equal(scenario_get(s, i, &line, &at), rows[i].command);
                assert_int_equal(line, rows[i].line);
                assert_true(at == (usec_t)(rows[i].seconds * 1e6));

                /* Due at its time, not a microsecond before. */
                if (at > 0 && (i == 0 || rows[i].seconds > rows[i - 1].seconds))
                        assert_null(scenario_next(s, at - 1, &line));
                assert_string_equal(scenario_next(s, at, &line), rows[i].command);
                assert_int_equal(line, rows[i].line);
        }
        assert_null(scenario_get(s, ELEMENTSOF(rows), &line, &at));
        assert_null(scenario_next(s, USEC_INFINITY, &line));
        assert_null(scenario_free(s));
}

static void test_refuses(void **state) {
        static const struct {
                const char *text, *word;
        } rows[] = {
                {"10 cut=7\n", "line 1"},         /* no unit */
                {"0s load 1\n5x cut=7\n", "line 2"},
                {"1h1d cut=7\n", "line 1"},       /* units in their order */
                {"1h2h cut=7\n", "line 1"},
                {"-5s cut=7\n", "line 1"},
                {"h cut=7\n", "line 1"},
                {"+ cut=7\n", "line 1"},
                {"nans cut=7\n", "line 1"},
                {"1e30d cut=7\n", "line 1"},
                {"10s\n", "command"},
                {"10s   # nothing\n", "command"},
                {"10s cut=7\n9s clear\n", "before"},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct scenario *s = (struct scenario *)0x1;
                char error[200] = "";

                assert_int_equal(load(rows[i].text, &s, error, sizeof(error)), -EINVAL);
                if (!strstr(error, rows[i].word))
                        fail_msg("'%s': '%s' does not say '%s'", rows[i].text, error, rows[i].word);
                assert_ptr_equal(s, (struct scenario *)0x1);
        }
}

static void test_no_such_file(void **state) {
        struct scenario *s;
        char error[200] = "";

        (void)state;
        assert_int_equal(scenario_load("/nowhere/at/all", &s, error, sizeof(error)), -ENOENT);
        assert_true(error[0] != '\0');
}

static void test_empty(void **state) {
        struct scenario *s;
        char error[200];
        unsigned line;

        (void)state;
        assert_int_equal(load("# nothing happens\n", &s, error, sizeof(error)), 0);
        assert_null(scenario_next(s, USEC_INFINITY, &line));
        (void)scenario_free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reads),
                cmocka_unit_test(test_refuses),
                cmocka_unit_test(test_no_such_file),
                cmocka_unit_test(test_empty),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
