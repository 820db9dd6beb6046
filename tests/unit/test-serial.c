/* SPDX-License-Identifier: MIT */
/* The serial adapter on real ptys: bytes with their time, one "lost" for each "opened", back by itself when
 * the other side is. */
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
#include <sys/file.h>
#include <termios.h>
#include <unistd.h>

#include "loop.h"
#include "serial.h"
#include "tty.h"

struct fixture {
        sd_event *event;
        struct config config;
        struct serial *serial;
        char directory[32], link[64];
        int master;
        unsigned opened, lost, calls, size;
        uint8_t data[65536];
        usec_t first, last;
        char name[256], why[256];
};

static void on_bytes(void *userdata, usec_t now, const uint8_t *data, size_t size) {
        struct fixture *f = userdata;

        assert_true(size > 0 && f->size + size <= sizeof(f->data));
        memcpy(f->data + f->size, data, size);
        f->size += (unsigned)size;
        if (f->calls++ == 0)
                f->first = now;
        assert_true(now >= f->last);
        f->last = now;
}

static void on_opened(void *userdata, usec_t now, const char *name) {
        struct fixture *f = userdata;

        (void)now;
        assert_int_equal(f->opened, f->lost);
        f->opened++;
        (void)snprintf(f->name, sizeof(f->name), "%s", name);
}

static void on_lost(void *userdata, usec_t now, const char *why) {
        struct fixture *f = userdata;

        (void)now;
        f->lost++;
        assert_int_equal(f->opened, f->lost);
        assert_null(serial_name(f->serial));
        (void)snprintf(f->why, sizeof(f->why), "%s", why);
}

/* The other side: a new pty with the link set to it, as the simulator makes it. */
static void pty_make(struct fixture *f) {
        char slave[64], temporary[80];

        f->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(f->master >= 0);
        assert_int_equal(grantpt(f->master), 0);
        assert_int_equal(unlockpt(f->master), 0);
        assert_int_equal(ptsname_r(f->master, slave, sizeof(slave)), 0);
        (void)snprintf(temporary, sizeof(temporary), "%s.new", f->link);
        assert_int_equal(symlink(slave, temporary), 0);
        assert_int_equal(rename(temporary, f->link), 0);
}

/* The link goes first: other tests may be given the pty's number at once. */
static void pty_drop(struct fixture *f) {
        (void)unlink(f->link);
        (void)close(f->master);
        f->master = -1;
}

static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        f->master = -1;
        assert_true(sd_event_new(&f->event) >= 0);
        strcpy(f->directory, "/tmp/test-serial-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        (void)snprintf(f->link, sizeof(f->link), "%s/pack", f->directory);
        config_init(&f->config);
        strcpy(f->config.port_path, f->link);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        struct fixture *f = *state;

        serial_free(f->serial);
        if (f->master >= 0)
                (void)close(f->master);
        (void)unlink(f->link);
        (void)rmdir(f->directory);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static void start(struct fixture *f) {
        const struct serial_callbacks callbacks = {
                .bytes = on_bytes, .opened = on_opened, .lost = on_lost, .userdata = f};

        assert_int_equal(serial_new(f->event, &f->config, &callbacks, &f->serial), 0);
        assert_int_equal(f->opened, 0); /* no callback before the caller has its pointer */
}

static void test_every_byte(void **state) {
        struct fixture *f = *state;
        uint8_t all[256];
        usec_t before;

        for (unsigned i = 0; i < sizeof(all); i++)
                all[i] = (uint8_t)i; /* with every byte a cooked terminal would eat or change */
        pty_make(f);
        start(f);
        assert_true(loop_until(f->event, &f->opened, 1, USEC_PER_SEC));
        assert_string_equal(serial_name(f->serial), f->name);
        assert_memory_equal(f->name, "/dev/pts/", 9);

        before = clock_now();
        assert_int_equal(write(f->master, all, sizeof(all)), sizeof(all));
        assert_true(loop_until(f->event, &f->size, sizeof(all), USEC_PER_SEC));
        assert_memory_equal(f->data, all, sizeof(all));
        assert_true(f->first >= before && f->last <= clock_now());
        assert_int_equal(f->lost, 0);
}

/* Bytes that lay in the kernel's buffer before we opened are of unknown age: none of them is heard. */
static void test_no_old_bytes(void **state) {
        struct fixture *f = *state;
        char slave[64];
        int fd;

        pty_make(f);
        assert_int_equal(ptsname_r(f->master, slave, sizeof(slave)), 0);
        fd = open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(write(f->master, "old\n", 4), 4);
        start(f);
        assert_true(loop_until(f->event, &f->opened, 1, USEC_PER_SEC));
        assert_int_equal(write(f->master, "new", 3), 3);
        assert_true(loop_until(f->event, &f->size, 3, USEC_PER_SEC));
        loop_for(f->event, 50 * USEC_PER_MSEC);
        assert_int_equal(f->size, 3);
        assert_memory_equal(f->data, "new", 3);
        (void)close(fd);
}

static void test_lost_once_and_back(void **state) {
        struct fixture *f = *state;
        usec_t gone;

        pty_make(f);
        start(f);
        assert_true(loop_until(f->event, &f->opened, 1, USEC_PER_SEC));
        for (unsigned round = 1; round <= 3; round++) {
                f->size = 0;
                assert_int_equal(write(f->master, "abc", 3), 3);
                assert_true(loop_until(f->event, &f->size, 3, USEC_PER_SEC));

                gone = clock_now();
                pty_drop(f);
                assert_true(loop_until(f->event, &f->lost, round, USEC_PER_SEC));
                assert_true(clock_now() - gone <
                            500 * USEC_PER_MSEC); /* design 12: both relays open within 1 s */
                assert_string_equal(f->why, "disconnected");
                loop_for(f->event, 300 * USEC_PER_MSEC); /* the link points nowhere now */
                assert_int_equal(f->lost, round);
                assert_int_equal(f->opened, round);

                pty_make(f); /* another pty behind the same link */
                assert_true(loop_until(f->event, &f->opened, round + 1, 3 * USEC_PER_SEC));
        }
}

/* The link is set to another pty while the first one is still there: followed within the 2 s of the check. */
static void test_link_moves(void **state) {
        struct fixture *f = *state;
        int first;

        pty_make(f);
        start(f);
        assert_true(loop_until(f->event, &f->opened, 1, USEC_PER_SEC));
        loop_for(f->event, 2200 * USEC_PER_MSEC);
        assert_int_equal(f->lost, 0); /* a link that stays is left alone */
        first = f->master;
        pty_make(f);
        assert_true(loop_until(f->event, &f->opened, 2, 3 * USEC_PER_SEC));
        assert_int_equal(f->lost, 1);
        assert_string_equal(f->why, "the link points elsewhere");
        assert_int_equal(write(f->master, "abc", 3), 3);
        assert_true(loop_until(f->event, &f->size, 3, USEC_PER_SEC));
        (void)close(first);
}

/* 0.2 s, doubling to 2 s: a port that comes late is found within 2 s, and one that is missing does not keep
 * the machine busy. */
static void test_backoff(void **state) {
        struct fixture *f = *state;
        usec_t made;

        start(f);
        loop_for(f->event, 3500 * USEC_PER_MSEC); /* attempts at 0, 0.2, 0.6, 1.4, 3.0, 5.0 s */
        assert_int_equal(f->opened, 0);
        assert_int_equal(f->lost, 0);
        assert_null(serial_name(f->serial));
        pty_make(f);
        made = clock_now();
        assert_true(loop_until(f->event, &f->opened, 1, 2500 * USEC_PER_MSEC));
        assert_true(clock_now() - made > 500 * USEC_PER_MSEC); /* it had indeed slowed down */
        assert_true(clock_now() - made < 2200 * USEC_PER_MSEC);
}

/* A flood does not keep the loop from its timers. */
static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        (void)source;
        (void)usec;
        ++*(unsigned *)userdata;
        return 0;
}

static void test_flood(void **state) {
        struct fixture *f = *state;
        sd_event_source *tick = NULL;
        uint8_t block[4096];
        unsigned ticks = 0, sent = 0;
        usec_t started;

        memset(block, 0x55, sizeof(block));
        pty_make(f);
        assert_int_equal(fcntl(f->master, F_SETFL, O_NONBLOCK), 0);
        start(f);
        assert_true(loop_until(f->event, &f->opened, 1, USEC_PER_SEC));
        assert_true(sd_event_add_time_relative(f->event, &tick, CLOCK_BOOTTIME, 20 * USEC_PER_MSEC, 1,
                                               on_tick, &ticks) >= 0);
        started = clock_now();
        while (ticks == 0 && clock_now() - started < USEC_PER_SEC) {
                ssize_t n = write(f->master, block, sizeof(block));
                sent += n > 0 ? (unsigned)n : 0;
                f->size = 0;
                assert_true(sd_event_run(f->event, 1000) >= 0);
        }
        assert_int_equal(ticks, 1);
        assert_true(clock_now() - started < 200 * USEC_PER_MSEC);
        assert_true(sent > sizeof(block));
        sd_event_source_disable_unref(tick);
}

/* What cannot be a port is no error of serial_new(), and is told in words. */
static void test_refusals(void **state) {
        static const struct {
                const char *path;
                int error;
                const char *why;
        } rows[] = {
                {"/nonexistent/ttyUSB0", -ENOENT, "not there"},
                {"/dev/null", -ENOTTY, "not a serial port"},
                {"/tmp", -ENOTTY, "not a serial port"},
        };
        struct tty tty = TTY_CLOSED;
        char why[128];

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                assert_int_equal(tty_open(rows[i].path, false, &tty, why, sizeof(why)), rows[i].error);
                assert_string_equal(why, rows[i].why);
                assert_int_equal(tty.fd, -1);
        }
}

static void test_one_reader(void **state) {
        struct fixture *f = *state;
        struct tty first = TTY_CLOSED, second = TTY_CLOSED;
        char why[128];

        pty_make(f);
        assert_int_equal(tty_open(f->link, false, &first, why, sizeof(why)), 0);
        assert_true(tty_open(f->link, false, &second, why, sizeof(why)) < 0);
        assert_string_equal(why, "in use by another program");
        tty_close(&first);
        assert_int_equal(first.fd, -1);
        assert_int_equal(tty_open(f->link, false, &second, why, sizeof(why)), 0);
        tty_close(&second);
}

/* 9600 8N1, raw, no flow control, no carrier needed. */
static void test_line_parameters(void **state) {
        struct fixture *f = *state;
        struct tty tty = TTY_CLOSED;
        struct termios t;
        char why[128];

        pty_make(f);
        assert_int_equal(tty_open(f->link, false, &tty, why, sizeof(why)), 0);
        assert_int_equal(tcgetattr(tty.fd, &t), 0);
        assert_int_equal(cfgetispeed(&t), B9600);
        assert_int_equal(cfgetospeed(&t), B9600);
        assert_int_equal(t.c_cflag & (CSIZE | CSTOPB | PARENB | CRTSCTS | CLOCAL | CREAD),
                         CS8 | CLOCAL | CREAD);
        assert_int_equal(t.c_iflag & (IXON | IXOFF | ICRNL | INLCR | IGNCR | ISTRIP | BRKINT | PARMRK), 0);
        assert_int_equal(t.c_lflag & (ECHO | ICANON | ISIG | IEXTEN), 0);
        assert_int_equal(t.c_oflag & OPOST, 0);
        assert_true(fcntl(tty.fd, F_GETFL) & O_NONBLOCK);
        tty_close(&tty);
}

static void test_usb_missing(void **state) {
        char path[64] = "untouched", why[128] = "";
        int r = tty_find_usb(0xfffe, 0xfffd, "NO-SUCH-ADAPTER", path, sizeof(path), why, sizeof(why));

        (void)state;
        assert_string_equal(path, "untouched");
        if (access("/sys/class/tty", F_OK) <
            0) { /* a bare chroot: there is no list to look in, and that is said */
                assert_true(r < 0);
                assert_non_null(strstr(why, "ports cannot be listed"));
                return;
        }
        assert_int_equal(r, -ENODEV);
        assert_string_equal(why, "not plugged in");
}

int main(void) {
#define SERIAL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        static const struct CMUnitTest tests[] = {
                SERIAL_TEST(test_every_byte),
                SERIAL_TEST(test_no_old_bytes),
                SERIAL_TEST(test_lost_once_and_back),
                SERIAL_TEST(test_link_moves),
                SERIAL_TEST(test_backoff),
                SERIAL_TEST(test_flood),
                SERIAL_TEST(test_one_reader),
                SERIAL_TEST(test_line_parameters),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_usb_missing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
