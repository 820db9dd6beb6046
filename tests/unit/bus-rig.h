/* SPDX-License-Identifier: MIT */
#pragma once

/* The D-Bus door alone, for tests that play the bus (it says who asks), the caller and the manager. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus-internal.h"
#include "clock.h"

struct fixture {
        struct bus bus;
        sd_bus *caller;
        uint32_t caller_uid;

        /* what the manager was asked */
        int refuse; /* with this error */
        bool at_once;
        struct bus_reply *replies[BUS_REPLIES_MAX + 1];
        unsigned n_replies, n_calls;
        char by[EVENT_BY_MAX], pin[16];
        int fd;
        void *questions[BUS_QUESTIONS_MAX + 1];
        unsigned n_questions;
        events_answer_t answer_events;
        history_answer_t answer_history;
        days_answer_t answer_days;
        int64_t asked[3];
        uint32_t limit;
        enum resolution resolution;

        /* what the caller heard, by cookie */
        struct {
                uint64_t cookie;
                sd_bus_message *message;
        } answers[64];
        unsigned n_answers;
};

/* ---- the manager ---- */

static inline int command(struct fixture *f, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        f->n_calls++;
        snprintf(f->by, sizeof(f->by), "%s", by);
        if (f->refuse) {
                snprintf(ret_error, size, "it is Sunday");
                return -f->refuse;
        }
        if (f->at_once)
                bus_reply_done(reply, 0, NULL);
        else
                f->replies[f->n_replies++] = reply;
        return 0;
}

static inline int on_clear(void *userdata, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        return command(userdata, by, reply, ret_error, size);
}

static inline int on_set_pin(void *userdata, const char *pin, const char *by, struct bus_reply *reply, char *ret_error,
                      size_t size) {
        struct fixture *f = userdata;

        snprintf(f->pin, sizeof(f->pin), "%s", pin);
        return command(f, by, reply, ret_error, size);
}

static inline int on_backup(void *userdata, int fd, const char *by, struct bus_reply *reply, char *ret_error,
                            size_t size) {
        struct fixture *f = userdata;

        f->fd = fd;
        return command(f, by, reply, ret_error, size);
}

static inline void on_events(void *userdata, int64_t after_id, uint32_t limit, events_answer_t answer,
                             void *answer_userdata) {
        struct fixture *f = userdata;

        f->answer_events = answer;
        f->asked[0] = after_id;
        f->limit = limit;
        f->questions[f->n_questions++] = answer_userdata;
}

static inline void on_history(void *userdata, enum resolution resolution, int64_t from, int64_t until, uint32_t limit,
                       history_answer_t answer, void *answer_userdata) {
        struct fixture *f = userdata;

        f->answer_history = answer;
        f->resolution = resolution;
        f->asked[1] = from;
        f->asked[2] = until;
        f->limit = limit;
        f->questions[f->n_questions++] = answer_userdata;
}

static inline void on_days(void *userdata, uint32_t limit, days_answer_t answer, void *answer_userdata) {
        struct fixture *f = userdata;

        f->answer_days = answer;
        f->limit = limit;
        f->questions[f->n_questions++] = answer_userdata;
}

static inline void on_status(void *userdata, struct storage_status *ret) {
        (void)userdata;
        *ret = (struct storage_status){.open = true, .path = "/var/lib/smartbms/smartbms.db", .file_bytes = 7,
                                       .wal_bytes = 8, .since = clock_now() - USEC_PER_HOUR, .written_bytes = 9,
                                       .syncs = 10, .queued_events = 11, .queued_minutes = 12, .lost_events = 13,
                                       .lost_minutes = 14};
}

/* ---- the bus, and the caller on it ---- */

/* As dbus-daemon does, for the only caller there is. */
static inline int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct fixture *f = userdata;
        sd_bus_message *reply = NULL;

        (void)ret_error;
        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_true(sd_bus_message_append(reply, "a{sv}", 1, "UnixUserID", "u", f->caller_uid) >= 0);
        assert_true(sd_bus_send(NULL, reply, NULL) >= 0);
        sd_bus_message_unref(reply);
        return 1;
}

static const sd_bus_vtable bus_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("GetConnectionCredentials", "s", "a{sv}", on_credentials, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static inline int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct fixture *f = userdata;

        (void)ret_error;
        assert_true(f->n_answers < sizeof(f->answers) / sizeof(f->answers[0]));
        assert_true(sd_bus_message_get_reply_cookie(m, &f->answers[f->n_answers].cookie) >= 0);
        f->answers[f->n_answers++].message = sd_bus_message_ref(m);
        return 1;
}

static inline sd_bus *connection(int fd, bool server) {
        sd_id128_t id = {.bytes = {1}};
        sd_bus *bus;

        assert_true(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, fd, fd) >= 0);
        if (server)
                assert_true(sd_bus_set_server(bus, true, id) >= 0);
        assert_true(sd_bus_set_anonymous(bus, true) >= 0 && sd_bus_set_trusted(bus, true) >= 0);
        assert_true(sd_bus_negotiate_fds(bus, true) >= 0 && sd_bus_start(bus) >= 0);
        return bus;
}

/* Until nothing moves any more. */
static inline void turn(struct fixture *f) {
        for (int idle = 0; idle < 20;) {
                int r = f->bus.connection ? sd_bus_process(f->bus.connection, NULL) : 0;
                int s = sd_bus_process(f->caller, NULL);

                idle = r > 0 || s > 0 ? 0 : idle + 1;
                if (idle > 0)
                        usleep(200);
        }
}

static inline int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));
        int fds[2];

        assert_non_null(f);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        f->bus.connection = connection(fds[0], true);
        f->caller = connection(fds[1], false);
        f->bus.callbacks = (struct bus_callbacks){
                .clear_energy = on_clear, .confirm_settings = on_clear, .set_pin = on_set_pin, .backup = on_backup,
                .read_events = on_events, .read_history = on_history, .read_days = on_days,
                .storage_status = on_status, .userdata = f,
        };
        bus_callers_init(&f->bus);
        assert_int_equal(bus_objects_prepare(&f->bus), 0);
        assert_int_equal(bus_objects_add(&f->bus), 0);
        assert_true(sd_bus_add_object_vtable(f->caller, NULL, "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                             bus_table, f) >= 0);
        turn(f); /* a message with a descriptor can only be made once both ends know that they can */
        f->fd = -1;
        *state = f;
        return 0;
}

static inline void hang_up(struct fixture *f) {
        bus_callers_drop(&f->bus);
        bus_replies_drop(&f->bus);
        f->bus.connection = sd_bus_close_unref(f->bus.connection);
}

static inline int teardown(void **state) {
        struct fixture *f = *state;

        for (unsigned i = 0; i < f->n_answers; i++)
                sd_bus_message_unref(f->answers[i].message);
        hang_up(f);
        sd_bus_close_unref(f->caller);
        bus_objects_release(&f->bus);
        if (f->fd >= 0)
                close(f->fd);
        free(f);
        return 0;
}

static inline sd_bus_message *call_new(struct fixture *f, const char *interface, const char *method) {
        sd_bus_message *m;

        assert_true(sd_bus_message_new_method_call(f->caller, &m, BUS_NAME, BUS_PATH, interface, method) >= 0);
        assert_true(sd_bus_message_set_sender(m, ":1.7") >= 0);
        return m;
}

/* Returns the cookie. */
static inline uint64_t send_call(struct fixture *f, sd_bus_message *m) {
        uint64_t cookie;

        assert_true(sd_bus_call_async(f->caller, NULL, m, on_answer, f, 0) >= 0);
        assert_true(sd_bus_message_get_cookie(m, &cookie) >= 0);
        sd_bus_message_unref(m);
        turn(f);
        return cookie;
}

static inline uint64_t call(struct fixture *f, const char *interface, const char *method) {
        return send_call(f, call_new(f, interface, method));
}

/* NULL: not answered yet. */
static inline sd_bus_message *answer_to(struct fixture *f, uint64_t cookie) {
        for (unsigned i = 0; i < f->n_answers; i++)
                if (f->answers[i].cookie == cookie)
                        return f->answers[i].message;
        return NULL;
}

static inline void expect_done(struct fixture *f, uint64_t cookie) {
        sd_bus_message *m = answer_to(f, cookie);

        assert_non_null(m);
        if (sd_bus_message_is_method_error(m, NULL))
                fail_msg("%s: %s", sd_bus_message_get_error(m)->name, sd_bus_message_get_error(m)->message);
        assert_true(sd_bus_message_is_empty(m));
}

static inline void expect_error(struct fixture *f, uint64_t cookie, const char *name, const char *sentence) {
        sd_bus_message *m = answer_to(f, cookie);

        assert_non_null(m);
        assert_true(sd_bus_message_is_method_error(m, NULL));
        assert_string_equal(sd_bus_message_get_error(m)->name, name);
        assert_string_equal(sd_bus_message_get_error(m)->message, sentence);
}

static inline uint64_t ask_events(struct fixture *f, int64_t after, uint32_t limit) {
        sd_bus_message *m = call_new(f, BUS_INTERFACE_EVENTS, "Read");

        assert_true(sd_bus_message_append(m, "xu", after, limit) >= 0);
        return send_call(f, m);
}
