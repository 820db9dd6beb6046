/* SPDX-License-Identifier: MIT */

/* The D-Bus door's answers to changes: they wait for the card. */

#include "bus-rig.h"

#include <fcntl.h>

#define STRANGER 4711

static void test_answered_when_done(void **state) {
        struct fixture *f = *state;
        uint64_t first, second, third;
        char by[EVENT_BY_MAX];

        f->at_once = true;
        first = call(f, BUS_INTERFACE_ENERGY, "Clear");
        expect_done(f, first);
        snprintf(by, sizeof(by), "uid %lu over D-Bus", (unsigned long)f->caller_uid);
        assert_string_equal(f->by, by);

        f->at_once = false;
        second = call(f, BUS_INTERFACE_ENERGY, "Clear");
        third = call(f, BUS_INTERFACE_SETTINGS, "Confirm");
        assert_int_equal(f->n_replies, 2);
        assert_null(answer_to(f, second));
        assert_null(answer_to(f, third));
        bus_reply_done(f->replies[1], 0, NULL); /* in any order */
        turn(f);
        expect_done(f, third);
        assert_null(answer_to(f, second));
        bus_reply_done(f->replies[0], 0, NULL);
        turn(f);
        expect_done(f, second);
        assert_int_equal(f->n_answers, 3);
}

static void test_not_stored_and_refused_are_two_things(void **state) {
        struct fixture *f = *state;
        uint64_t a, b, c, d;

        a = call(f, BUS_INTERFACE_ENERGY, "Clear");
        b = call(f, BUS_INTERFACE_ENERGY, "Clear");
        c = call(f, BUS_INTERFACE_ENERGY, "Clear");
        bus_reply_done(f->replies[0], -ETIMEDOUT, NULL);
        bus_reply_done(f->replies[1], -ENOSPC, NULL);
        bus_reply_done(f->replies[2], -EIO, "caf\xe9 is full"); /* no UTF-8: a bus would throw us out */
        f->refuse = ENODATA;
        d = call(f, BUS_INTERFACE_ENERGY, "Clear");
        expect_error(f, a, "org.smartbms1.Error.NotStored",
                     "applied, not stored: the card did not take it in time");
        expect_error(f, b, "org.smartbms1.Error.NotStored", "applied, not stored: No space left on device");
        expect_error(f, c, "org.smartbms1.Error.NotStored", "applied, not stored: caf? is full");
        expect_error(f, d, "org.smartbms1.Error.Refused", "it is Sunday");
        f->refuse = ERANGE;
        expect_error(f, call(f, BUS_INTERFACE_ENERGY, "Clear"), SD_BUS_ERROR_INVALID_ARGS, "it is Sunday");
}

static void test_many_at_once(void **state) {
        struct fixture *f = *state;
        uint64_t cookies[BUS_REPLIES_MAX];

        for (unsigned i = 0; i < BUS_REPLIES_MAX; i++)
                cookies[i] = call(f, BUS_INTERFACE_ENERGY, "Clear");
        assert_int_equal(f->n_replies, BUS_REPLIES_MAX);
        expect_error(f, call(f, BUS_INTERFACE_ENERGY, "Clear"), SD_BUS_ERROR_LIMITS_EXCEEDED,
                     "Too many changes wait for the card: try again.");
        assert_int_equal(f->n_calls, BUS_REPLIES_MAX); /* and nothing was changed */
        bus_reply_done(f->replies[3], 0, NULL);
        turn(f);
        expect_done(f, cookies[3]);
        f->at_once = true;
        expect_done(f, call(f, BUS_INTERFACE_ENERGY, "Clear"));
        /* a refusal gives its place back, too */
        f->refuse = EPERM;
        for (int i = 0; i < 3; i++)
                expect_error(f, call(f, BUS_INTERFACE_ENERGY, "Clear"), "org.smartbms1.Error.Refused",
                             "it is Sunday");
        for (unsigned i = 0; i < BUS_REPLIES_MAX; i++)
                if (i != 3)
                        bus_reply_done(f->replies[i], 0, NULL);
}

static void test_the_connection_goes_first(void **state) {
        struct fixture *f = *state;

        (void)call(f, BUS_INTERFACE_ENERGY, "Clear");
        (void)ask_events(f, 0, 10);
        hang_up(f);
        bus_reply_done(f->replies[0], -ETIMEDOUT, NULL);
        f->answer_events(f->questions[0], 0, NULL, 0);
        for (size_t i = 0; i < BUS_REPLIES_MAX; i++)
                assert_false(f->bus.replies[i].in_use);
        for (size_t i = 0; i < BUS_QUESTIONS_MAX; i++)
                assert_false(f->bus.questions[i].in_use);
}

static void test_strangers(void **state) {
        struct fixture *f = *state;
        static const char *const methods[][2] = {
                {BUS_INTERFACE_ENERGY, "Clear"},
                {BUS_INTERFACE_SETTINGS, "Confirm"},
        };

        f->caller_uid = STRANGER;
        f->bus.own_uid = 0;
        for (size_t i = 0; i < 2; i++)
                expect_error(f, call(f, methods[i][0], methods[i][1]), SD_BUS_ERROR_ACCESS_DENIED,
                             "Only root and members of group smartbms may change anything.");
        assert_int_equal(f->n_calls, 0);
        assert_null(answer_to(f, ask_events(f, 0, 1))); /* but they may read */
        assert_int_equal(f->n_questions, 1);
        f->answer_events(f->questions[0], 0, NULL, 0);
}

/* ---- the PIN ---- */

static uint64_t set_pin(struct fixture *f, const char *pin) {
        sd_bus_message *m = call_new(f, BUS_INTERFACE_SETTINGS, "SetPin");

        assert_true(sd_bus_message_append(m, "s", pin) >= 0);
        return send_call(f, m);
}

static void test_pin(void **state) {
        static const char *const bad[] = {"", "123", "123456789", "12a4", "12 45", "-1234", "\u0661\u0662\u0663\u0664"};
        struct fixture *f = *state;

        f->at_once = true;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                /* the sentence does not repeat what was given */
                expect_error(f, set_pin(f, bad[i]), SD_BUS_ERROR_INVALID_ARGS,
                             "The PIN stays as it was: expected 4 to 8 digits.");
        assert_int_equal(f->n_calls, 0);
        expect_done(f, set_pin(f, "0042"));
        assert_string_equal(f->pin, "0042");
        expect_done(f, set_pin(f, "12345678"));
        assert_string_equal(f->pin, "12345678");
}

/* ---- backup ---- */

static uint64_t backup(struct fixture *f, int fd) {
        sd_bus_message *m = call_new(f, BUS_INTERFACE_STORAGE, "Backup");

        assert_true(sd_bus_message_append(m, "h", fd) >= 0);
        close(fd);
        return send_call(f, m);
}

static int file(int flags) {
        char name[] = "/tmp/smartbms-test-XXXXXX";
        int fd, again;

        fd = mkstemp(name);
        assert_true(fd >= 0);
        again = open(name, flags);
        assert_true(again >= 0);
        close(fd);
        unlink(name);
        return again;
}

static void test_backup(void **state) {
        static const char wanted[] = "A backup needs a regular file that is open for writing.";
        struct fixture *f = *state;
        uint64_t cookie;
        int pipes[2];

        assert_int_equal(pipe(pipes), 0);
        close(pipes[0]);
        expect_error(f, backup(f, pipes[1]), SD_BUS_ERROR_INVALID_ARGS, wanted);
        expect_error(f, backup(f, open("/dev/null", O_WRONLY)), SD_BUS_ERROR_INVALID_ARGS, wanted);
        expect_error(f, backup(f, open("/tmp", O_RDONLY)), SD_BUS_ERROR_INVALID_ARGS, wanted);
        expect_error(f, backup(f, file(O_RDONLY)), SD_BUS_ERROR_INVALID_ARGS, wanted);
        expect_error(f, backup(f, file(O_PATH)), SD_BUS_ERROR_INVALID_ARGS, wanted);
        assert_int_equal(f->n_calls, 0);

        cookie = backup(f, file(O_WRONLY));
        assert_int_equal(f->n_calls, 1);
        assert_null(answer_to(f, cookie));
        assert_int_equal(write(f->fd, "kept", 4), 4); /* it is ours, though the message's own has gone */
        assert_true(fcntl(f->fd, F_GETFD) & FD_CLOEXEC);
        bus_reply_done(f->replies[0], -ENOSPC, NULL);
        turn(f);
        /* nothing was applied: it is a refusal */
        expect_error(f, cookie, "org.smartbms1.Error.Refused", "No space left on device");
}

static void test_backup_refused_is_closed(void **state) {
        struct fixture *f = *state;

        f->refuse = EIO;
        expect_error(f, backup(f, file(O_RDWR)), "org.smartbms1.Error.Refused", "it is Sunday");
        assert_int_equal(fcntl(f->fd, F_GETFD), -1);
        f->fd = -1;
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(test_answered_when_done),
                TEST(test_not_stored_and_refused_are_two_things),
                TEST(test_many_at_once),
                TEST(test_the_connection_goes_first),
                TEST(test_strangers),
                TEST(test_pin),
                TEST(test_backup),
                TEST(test_backup_refused_is_closed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
