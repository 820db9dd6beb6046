/* SPDX-License-Identifier: MIT */
/* The extended data output's port: whole frames or none, a link that is there while we are, and nothing old
 * for a new reader. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "loop.h"
#include "output-port.h"

struct fixture {
        sd_event *event;
        struct config config;
        struct output_port *output;
        char directory[32], link[64];
        unsigned faults, recoveries;
        char text[512];
};

static void on_fault(void *userdata, usec_t now, const char *text) {
        struct fixture *f = userdata;

        (void)now;
        if (text[0])
                f->faults++;
        else
                f->recoveries++;
        (void)snprintf(f->text, sizeof(f->text), "%s", text);
}

static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        assert_true(sd_event_new(&f->event) >= 0);
        strcpy(f->directory, "/tmp/test-output-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        (void)snprintf(f->link, sizeof(f->link), "%s/out", f->directory);
        config_init(&f->config);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        struct fixture *f = *state;

        output_port_free(f->output);
        (void)unlink(f->link);
        assert_int_equal(rmdir(f->directory), 0); /* nothing is left behind */
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static void start(struct fixture *f) {
        assert_int_equal(output_port_new(f->event, &f->config, on_fault, f, &f->output), 0);
        assert_non_null(f->output);
        loop_for(f->event, 50 * USEC_PER_MSEC);
}

/* A frame that says which one it is; the adapter does not look inside. */
static void frame_number(uint8_t number, uint8_t ret[FRAME_SIZE]) {
        for (unsigned i = 0; i < FRAME_SIZE; i++)
                ret[i] = (uint8_t)(number + i);
}

static void write_number(struct fixture *f, uint8_t number) {
        uint8_t frame[FRAME_SIZE];

        frame_number(number, frame);
        output_port_write(f->output, frame);
}

static void expect_number(int fd, uint8_t number) {
        uint8_t frame[FRAME_SIZE], expected[FRAME_SIZE];

        frame_number(number, expected);
        for (size_t n = 0; n < sizeof(frame);) {
                ssize_t r = read(fd, frame + n, sizeof(frame) - n);
                assert_true(r > 0);
                n += (size_t)r;
        }
        assert_memory_equal(frame, expected, sizeof(frame));
}

static void expect_nothing(int fd) {
        uint8_t byte;

        assert_int_equal(read(fd, &byte, 1), -1);
        assert_int_equal(errno, EAGAIN);
}

static int open_reader(const char *path) {
        int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void test_none(void **state) {
        struct fixture *f = *state;
        struct output_port *o = (struct output_port *)f;

        assert_int_equal(output_port_new(f->event, &f->config, on_fault, f, &o), 0);
        assert_null(o);
}

static void test_pty(void **state) {
        struct fixture *f = *state;
        struct stat st;
        int fd;

        strcpy(f->config.output_pty, f->link);
        start(f);
        assert_int_equal(lstat(f->link, &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_int_equal(f->faults, 0);

        for (unsigned i = 0; i < 200; i++) /* nobody reads: nothing piles up, nothing counts as dropped */
                write_number(f, 1);
        assert_int_equal(output_port_dropped(f->output), 0);

        fd = open_reader(f->link);
        expect_nothing(fd);
        for (uint8_t i = 0; i < 5; i++) {
                write_number(f, i); /* with 0x0A, 0x0D, 0x03, 0x11, which a cooked terminal would change */
                expect_number(fd, i);
        }
        expect_nothing(fd);
        (void)close(fd);

        write_number(f, 77);
        fd = open_reader(f->link); /* the next reader starts with the next frame */
        write_number(f, 78);
        expect_number(fd, 78);
        (void)close(fd);

        f->output = output_port_free(f->output);
        assert_int_equal(lstat(f->link, &st), -1);
}

/* A reader that stops reading: never blocks, and once it reads again it finds whole frames only. */
static void test_stalled_reader(void **state) {
        struct fixture *f = *state;
        uint8_t frame[FRAME_SIZE], expected[FRAME_SIZE];
        unsigned written = 0, got = 0;
        ssize_t r;
        size_t n = 0;
        usec_t started = clock_now();
        int fd;

        strcpy(f->config.output_pty, f->link);
        start(f);
        fd = open_reader(f->link);
        while (output_port_dropped(f->output) < 3 && written < 20000) {
                write_number(f, 9);
                written++;
        }
        assert_int_equal(output_port_dropped(f->output), 3);
        assert_true(clock_now() - started < 5 * USEC_PER_SEC);

        frame_number(9, expected);
        for (unsigned quiet = 0; quiet < 20;) {
                r = read(fd, frame + n, sizeof(frame) - n);
                if (r <= 0) {
                        quiet++;
                        (void)usleep(2000);
                        continue;
                }
                quiet = 0;
                n += (size_t)r;
                if (n < sizeof(frame))
                        continue;
                assert_memory_equal(frame, expected, sizeof(frame));
                got++;
                n = 0;
        }
        assert_true(got + 1 >= written - 3 && got <= written - 3); /* the last may still wait for its rest */
        write_number(f, 9);
        if (n > 0) { /* its rest, then the new one */
                for (; n < sizeof(frame); n += (size_t)r)
                        assert_true((r = read(fd, frame + n, sizeof(frame) - n)) > 0);
                assert_memory_equal(frame, expected, sizeof(frame));
        }
        expect_number(fd, 9);
        assert_int_equal(output_port_dropped(f->output), 3);
        (void)close(fd);
}

/* A link of an earlier run is replaced; a file of somebody's is not, and the trouble ends when it is gone. */
static void test_link(void **state) {
        struct fixture *f = *state;
        char target[64] = "";
        int fd;

        strcpy(f->config.output_pty, f->link);
        assert_int_equal(symlink("/dev/pts/nonexistent", f->link), 0);
        start(f);
        assert_int_equal(f->faults, 0);
        assert_true(readlink(f->link, target, sizeof(target) - 1) > 0);
        assert_string_not_equal(target, "/dev/pts/nonexistent");
        f->output = output_port_free(f->output);

        fd = open(f->link, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
        start(f);
        assert_int_equal(f->faults, 1);
        assert_non_null(strstr(f->text, "is there and is no link"));
        loop_for(f->event, 500 * USEC_PER_MSEC); /* retried, told once */
        assert_int_equal(f->faults, 1);
        write_number(f, 1); /* harmless */
        assert_int_equal(unlink(f->link), 0);
        assert_true(loop_until(f->event, &f->recoveries, 1, 3 * USEC_PER_SEC));
        assert_string_equal(f->text, "");
        fd = open_reader(f->link);
        write_number(f, 2);
        expect_number(fd, 2);
        (void)close(fd);
}

/* A link that somebody else has set meanwhile stays. */
static void test_foreign_link_stays(void **state) {
        struct fixture *f = *state;
        char target[64] = "";

        strcpy(f->config.output_pty, f->link);
        start(f);
        assert_int_equal(unlink(f->link), 0);
        assert_int_equal(symlink("/dev/null", f->link), 0);
        f->output = output_port_free(f->output);
        assert_true(readlink(f->link, target, sizeof(target) - 1) > 0);
        assert_string_equal(target, "/dev/null");
}

/* A serial port (here the far side of a pty) that vanishes and returns. */
static void test_port(void **state) {
        struct fixture *f = *state;
        char slave[64];
        int master;

        strcpy(f->config.output_port, f->link);
        start(f);
        assert_int_equal(f->faults, 1);
        assert_non_null(strstr(f->text, "not there"));
        for (unsigned round = 1; round <= 2; round++) {
                master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
                assert_true(master >= 0);
                assert_int_equal(grantpt(master), 0);
                assert_int_equal(unlockpt(master), 0);
                assert_int_equal(ptsname_r(master, slave, sizeof(slave)), 0);
                assert_int_equal(symlink(slave, f->link), 0);
                assert_true(loop_until(f->event, &f->recoveries, round, 3 * USEC_PER_SEC));
                write_number(f, 13);
                expect_number(master, 13);
                assert_int_equal(unlink(f->link), 0); /* first: the number may be given to another test */
                (void)close(master);
                assert_true(loop_until(f->event, &f->faults, round + 1, USEC_PER_SEC));
                assert_non_null(strstr(f->text, "disconnected"));
        }
}

/* Two names of one device: the config cannot see it, we do. */
static void test_not_the_input(void **state) {
        struct fixture *f = *state;
        char slave[64];
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

        assert_true(master >= 0);
        assert_int_equal(grantpt(master), 0);
        assert_int_equal(unlockpt(master), 0);
        assert_int_equal(ptsname_r(master, slave, sizeof(slave)), 0);
        assert_int_equal(symlink(slave, f->link), 0);
        strcpy(f->config.port_path, slave);
        strcpy(f->config.output_port, f->link);
        start(f);
        assert_int_equal(f->faults, 1);
        assert_non_null(strstr(f->text, "is the input port"));
        (void)close(master);
}

int main(void) {
#define OUTPUT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        static const struct CMUnitTest tests[] = {
                OUTPUT_TEST(test_none),
                OUTPUT_TEST(test_pty),
                OUTPUT_TEST(test_stalled_reader),
                OUTPUT_TEST(test_link),
                OUTPUT_TEST(test_foreign_link_stays),
                OUTPUT_TEST(test_port),
                OUTPUT_TEST(test_not_the_input),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
