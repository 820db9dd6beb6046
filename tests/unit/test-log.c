/* SPDX-License-Identifier: MIT */
/* Logging to a reader that has stopped reading: never waits, counts what is lost, says so afterwards. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"

struct fixture {
        int saved, reader;
};

static void take_stderr(struct fixture *f, int writer, int reader) {
        f->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
        assert_true(f->saved >= 0);
        assert_int_equal(dup2(writer, STDERR_FILENO), STDERR_FILENO);
        (void)close(writer);
        f->reader = reader;
        assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
        log_open();
}

static void give_back(struct fixture *f) {
        assert_int_equal(dup2(f->saved, STDERR_FILENO), STDERR_FILENO);
        (void)close(f->saved);
        (void)close(f->reader);
}

/* All there is; the newest bytes of it in ret. */
static void drain(const struct fixture *f, char *ret, size_t size) {
        char block[4096];
        size_t kept = 0;
        ssize_t n;

        while ((n = read(f->reader, block, sizeof(block))) > 0) {
                size_t take = (size_t)n < size - 1 ? (size_t)n : size - 1;
                if (kept + take > size - 1) {
                        memmove(ret, ret + kept + take - (size - 1), size - 1 - take);
                        kept = size - 1 - take;
                }
                memcpy(ret + kept, block + (size_t)n - take, take);
                kept += take;
        }
        ret[kept] = '\0';
}

static void check_stalled(struct fixture *f) {
        uint64_t before = log_dropped(), lost;
        usec_t started = clock_now();
        char text[1024], expected[96];

        for (unsigned i = 0; i < 100000 && log_dropped() < before + 1000; i++)
                log_notice("message %u of many, long enough to fill what there is to be filled", i);
        lost = log_dropped() - before;
        assert_true(lost >= 1000);
        assert_true(clock_now() - started < 5 * USEC_PER_SEC);
        assert_int_equal(fcntl(f->reader, F_GETFL) & O_NONBLOCK, O_NONBLOCK);

        drain(f, text, sizeof(text));
        log_warning("and now");
        drain(f, text, sizeof(text));
        (void)snprintf(expected, sizeof(expected),
                       "warning: %llu log messages could not be written and are lost\n",
                       (unsigned long long)lost);
        assert_non_null(strstr(text, expected));
        assert_non_null(strstr(text, "warning: and now\n"));
        assert_int_equal(log_dropped() - before, lost);
        log_notice("quiet again");
        drain(f, text, sizeof(text));
        assert_null(strstr(text, "lost"));
}

static void test_pipe(void **state) {
        struct fixture f;
        int fds[2];

        (void)state;
        assert_int_equal(pipe(fds), 0);
        take_stderr(&f, fds[1], fds[0]);
        check_stalled(&f);
        assert_false(fcntl(STDERR_FILENO, F_GETFL) &
                     O_NONBLOCK); /* the one we share with others is untouched */
        give_back(&f);
}

static void test_socket(void **state) {
        struct fixture f;
        int fds[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        take_stderr(&f, fds[1], fds[0]);
        check_stalled(&f);
        give_back(&f);
}

static void test_form(void **state) {
        struct fixture f;
        char text[8192], longest[4000];
        int fds[2];

        (void)state;
        assert_int_equal(pipe(fds), 0);
        take_stderr(&f, fds[1], fds[0]);

        errno = ENODEV;
        log_error("port: %m");
        assert_int_equal(errno, ENODEV);
        drain(&f, text, sizeof(text));
        assert_string_equal(text, "test-log: error: port: No such device\n");

        log_info("two\nlines");
        drain(&f, text, sizeof(text));
        assert_string_equal(text, "test-log: two\ntest-log: lines\n");

        log_debug("not at this level");
        drain(&f, text, sizeof(text));
        assert_string_equal(text, "");
        log_set_max_level(LOG_DEBUG);
        log_debug("%d", 7);
        log_set_max_level(LOG_INFO);
        drain(&f, text, sizeof(text));
        assert_string_equal(text, "test-log: 7\n");

        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        log_info("%s", longest); /* cut, and still a line */
        drain(&f, text, sizeof(text));
        assert_true(strlen(text) > 2000 && strlen(text) < 2100);
        assert_int_equal(text[strlen(text) - 1], '\n');
        give_back(&f);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_form),
                cmocka_unit_test(test_pipe),
                cmocka_unit_test(test_socket),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
