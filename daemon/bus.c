/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus-internal.h"
#include "clock.h"
#include "log.h"
#include "names.h"

#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"

#define RETRY_USEC USEC_PER_SEC
#define NAME_RETRY_USEC (30 * USEC_PER_SEC)

/* Messages the bus has not taken yet. Beyond it the bus is taken for hung and joined anew: about a minute of
 * it stopped. */
#define QUEUE_MAX 256

/* Readings and relays come first in the event loop. */
#define BUS_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

const struct snapshot *bus_newest(const struct bus *b) {
        const struct snapshot *s;

        b->callbacks.snapshot(b->callbacks.userdata, &s);
        return s;
}

static void retry_in(struct bus *b, usec_t delay) {
        int r;

        r = sd_event_source_set_time_relative(b->retry, delay);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->retry, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error("Cannot arm the timer that joins the bus again: %s", strerror(-r));
}

static void say_down(struct bus *b, const char *what, int error) {
        log_full(b->down_logged ? LOG_DEBUG : LOG_NOTICE, "%s: %s. Trying again every second", what,
                 strerror(-error));
        b->down_logged = true;
}

/* Never flushes: a bus that does not read must not hold us up. */
static void disconnect(struct bus *b) {
        bus_pairing_drop(b);
        bus_callers_drop(b);
        bus_replies_drop(b);
        b->connection = sd_bus_close_unref(b->connection);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct bus *b = userdata;

        (void)m, (void)ret_error;
        say_down(b, "The D-Bus connection is gone", -ECONNRESET);
        retry_in(b, RETRY_USEC);
        return 0;
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct bus *b = userdata;
        uint32_t answer;

        (void)ret_error;
        if (sd_bus_message_is_method_error(m, NULL)) {
                log_full(b->name_refused ? LOG_DEBUG : LOG_ERR,
                         "The bus refuses the name %s: %s. Is its policy installed?", b->name,
                         sd_bus_message_get_error(m)->message);
                b->name_refused = true;
                retry_in(b, NAME_RETRY_USEC);
                return 0;
        }
        if (sd_bus_message_read(m, "u", &answer) < 0)
                return 0;
        if (answer == 1 || answer == 4) /* primary owner, already so */
                log_info("Joined the bus as %s", b->name);
        else
                log_warning("Another program owns the bus name %s: waiting for it", b->name);
        b->down_logged = b->name_refused = false;
        return 0;
}

/* Everything here only queues: the answers come through the event loop. */
static int start(struct bus *b) {
        int r;

        r = sd_bus_set_address(b->connection, b->address);
        if (r >= 0)
                r = sd_bus_set_bus_client(b->connection, true);
        if (r >= 0)
                r = sd_bus_set_description(b->connection, "smartbmsd");
        if (r >= 0)
                r = sd_bus_start(b->connection);
        if (r >= 0)
                r = sd_bus_attach_event(b->connection, b->event, BUS_PRIORITY);
        if (r >= 0)
                r = bus_objects_add(b);
        if (r >= 0)
                r = sd_bus_match_signal_async(b->connection, NULL, NULL, "/org/freedesktop/DBus/Local",
                                              "org.freedesktop.DBus.Local", "Disconnected", on_disconnected,
                                              NULL, b);
        if (r >= 0)
                /* queued, so that a connection of ours the bus has not yet seen closing does not lose us the
                 * name */
                r = sd_bus_request_name_async(b->connection, NULL, b->name, SD_BUS_NAME_QUEUE, on_name, b);
        return r;
}

static int connect_bus(struct bus *b) {
        int r;

        disconnect(b);
        r = sd_bus_new(&b->connection);
        if (r < 0)
                return r;
        b->published = *bus_newest(b);
        r = start(b);
        if (r < 0)
                disconnect(b);
        return r;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        struct bus *b = userdata;
        int r;

        (void)s, (void)usec;
        r = connect_bus(b);
        if (r < 0) {
                say_down(b, "Cannot join the bus", r);
                retry_in(b, RETRY_USEC);
        }
        return 0;
}

/* A bus that is there but does not read (stopped, hung) must not fill our memory. */
static bool overrun(struct bus *b) {
        uint64_t queued;

        if (sd_bus_get_n_queued_write(b->connection, &queued) < 0 || queued <= QUEUE_MAX)
                return false;
        log_warning("The bus has not read the last %llu messages: leaving it and joining again",
                    (unsigned long long)queued);
        disconnect(b);
        retry_in(b, RETRY_USEC);
        return true;
}

void bus_publish(struct bus *b, const struct snapshot *newest) {
        if (!b || !b->connection)
                return;
        if (sd_bus_is_ready(b->connection) > 0 && !overrun(b))
                bus_objects_changed(b, &b->published, newest);
        b->published = *newest;
}

static int emit_event(struct bus *b, const struct event *event) {
        char text[ALARM_TEXT_MAX];

        bus_clean_text(text, sizeof(text), event->text);
        return sd_bus_emit_signal(b->connection, BUS_PATH, BUS_INTERFACE_EVENTS, "Event", "tss",
                                  clock_boottime(event->at),
                                  event_kind_name(event->kind), text);
}

void bus_event(struct bus *b, const struct event *event) {
        if (!b)
                return;
        b->events[b->events_next] = *event;
        b->events_next = (b->events_next + 1) % BUS_EVENTS_KEPT;
        if (b->n_events < BUS_EVENTS_KEPT)
                b->n_events++;
        if (b->connection && sd_bus_is_ready(b->connection) > 0 && !overrun(b))
                (void)emit_event(b, event); /* kept for Recent whatever becomes of the signal */
}

/* Sockets of this machine only: for the name of another one sd-bus would wait for the resolver. */
static int check_address(const char *address) {
        for (const char *p = address; p; p = strchr(p, ';')) {
                if (*p == ';')
                        p++;
                if (strncmp(p, "unix:", strlen("unix:")) != 0)
                        return -EINVAL;
        }
        return 0;
}

int bus_new(sd_event *event, const char *address, const char *pack, const struct settings *defaults,
            const struct bus_callbacks *callbacks, struct bus **ret) {
        struct bus *b;
        int r;

        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        b->event = sd_event_ref(event);
        b->defaults = *defaults;
        b->callbacks = *callbacks;
        if (!address)
                address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
        b->address = strdup(address ? address : SYSTEM_BUS_ADDRESS);
        pack_bus_name(pack, b->name);
        bus_callers_init(b);
        r = b->address ? check_address(b->address) : -ENOMEM;
        if (r >= 0)
                r = bus_objects_prepare(b);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &b->retry, CLOCK_BOOTTIME, RETRY_USEC, 0, on_retry, b);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->retry, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(b->retry, BUS_PRIORITY);
        if (r < 0)
                goto fail;

        r = connect_bus(b);
        if (r == -EINVAL) /* the address itself is wrong: no time will mend that */
                goto fail;
        if (r < 0) {
                say_down(b, "Cannot join the bus yet", r);
                retry_in(b, RETRY_USEC);
        }
        *ret = b;
        return 0;

fail:
        bus_free(b);
        return r;
}

struct bus *bus_free(struct bus *b) {
        if (!b)
                return NULL;
        disconnect(b);
        sd_event_source_unref(b->retry);
        bus_objects_release(b);
        free(b->address);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}
