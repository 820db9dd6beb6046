/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ble-internal.h"
#include "clock.h"
#include "log.h"

#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"

#define RETRY_USEC USEC_PER_SEC

/* bluetoothd registers within milliseconds, or asks a phone first. A hung one is asked again. */
#define CALL_USEC (10 * USEC_PER_SEC)

/* As for the D-Bus door: beyond it the bus is taken for hung. */
#define QUEUE_MAX 256

/* ---- for the other files ------------------------------------------------------------------------------- */

bool ble_from_bluez(const struct ble *b, sd_bus_message *m) {
        const char *sender = sd_bus_message_get_sender(m);

        return b->owner[0] != '\0' && sender && strcmp(sender, b->owner) == 0;
}

int ble_call_new(struct ble *b, const char *path, const char *interface, const char *member,
                 sd_bus_message **ret) {
        sd_bus_message *m = NULL;
        int r;

        if (!b->connection || b->owner[0] == '\0')
                return -ENOTCONN;
        /* By its unique name: whoever has org.bluez next is not meant, and nothing is started. */
        r = sd_bus_message_new_method_call(b->connection, &m, b->owner, path, interface, member);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r < 0) {
                sd_bus_message_unref(m);
                return r;
        }
        *ret = m;
        return 0;
}

int ble_call(struct ble *b, sd_bus_message *m, sd_bus_message_handler_t handler, void *userdata,
             sd_bus_slot **ret) {
        return sd_bus_call_async(b->connection, ret, m, handler, userdata, CALL_USEC);
}

int ble_call_set(struct ble *b, const char *path, const char *interface, const char *property, bool value,
                 sd_bus_message_handler_t handler, sd_bus_slot **ret) {
        sd_bus_message *m = NULL;
        int r;

        r = ble_call_new(b, path, "org.freedesktop.DBus.Properties", "Set", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ssv", interface, property, "b", (int)value);
        if (r >= 0)
                r = ble_call(b, m, handler, b, ret);
        sd_bus_message_unref(m);
        return r;
}

static int on_forgotten(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const sd_bus_error *e = sd_bus_message_get_error(m);

        (void)userdata, (void)ret_error;
        if (e)
                log_debug("Bluetooth: bluetoothd answers: %s", e->message);
        return 0;
}

void ble_call_and_forget(struct ble *b, sd_bus_message *m) {
        int r;

        r = ble_call(b, m, on_forgotten, NULL, NULL);
        if (r < 0)
                log_debug("Bluetooth: cannot call bluetoothd: %s", strerror(-r));
}

void ble_event(struct ble *b, const char *format, ...) {
        char text[ALARM_TEXT_MAX];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        b->callbacks.event(b->callbacks.userdata, text);
}

struct maybe64 ble_wall_sec(struct ble *b) {
        struct phone_view view;

        b->callbacks.view(b->callbacks.userdata, &view);
        return view.wall_sec;
}

void ble_clean_text(char *ret_text, size_t size, const char *text) {
        size_t n = 0;

        for (; *text && n + 1 < size; text++)
                ret_text[n++] = (unsigned char)*text >= ' ' && *text != 0x7f ? *text : '?';
        if (*text) /* cut: not within a letter, whose further bytes are 10xxxxxx */
                while (n > 0 && ((unsigned char)*text & 0xc0) == 0x80 &&
                       (unsigned char)ret_text[n - 1] >= 0x80)
                        text = &ret_text[--n];
        ret_text[n] = '\0';
}

int ble_read_properties(sd_bus_message *m, int (*take)(sd_bus_message *m, const char *name, void *userdata),
                        void *userdata) {
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = take(m, name, userdata);
                if (r == 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* ---- the connection ------------------------------------------------------------------------------------ */

static void retry_in(struct ble *b, usec_t delay) {
        int r;

        r = sd_event_source_set_time_relative(b->retry, delay);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->retry, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error("Bluetooth: cannot arm the timer that joins the bus again: %s", strerror(-r));
}

static void say_down(struct ble *b, const char *what, int error) {
        log_full(b->down_logged ? LOG_DEBUG : LOG_NOTICE, "Bluetooth: %s: %s. Trying again every second",
                 what, strerror(-error));
        b->down_logged = true;
}

/* Never flushes: a bus that does not read must not hold us up. */
static void disconnect(struct ble *b) {
        ble_adapter_reset(b);
        b->connection = sd_bus_close_unref(b->connection);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble *b = userdata;

        (void)m, (void)ret_error;
        say_down(b, "the D-Bus connection is gone", -ECONNRESET);
        ble_adapter_reset(b);
        retry_in(b, RETRY_USEC);
        return 0;
}

/* Everything here only queues: the answers come through the event loop. */
static int start(struct ble *b) {
        int r;

        r = sd_bus_set_address(b->connection, b->bus_address);
        if (r >= 0)
                r = sd_bus_set_bus_client(b->connection, true);
        if (r >= 0)
                r = sd_bus_set_description(b->connection, "smartbmsd-ble");
        if (r >= 0)
                r = sd_bus_start(b->connection);
        if (r >= 0)
                r = sd_bus_attach_event(b->connection, b->event, BLE_PRIORITY);
        if (r >= 0)
                r = sd_bus_match_signal_async(b->connection, NULL, NULL, "/org/freedesktop/DBus/Local",
                                              "org.freedesktop.DBus.Local", "Disconnected", on_disconnected,
                                              NULL, b);
        if (r >= 0)
                r = ble_application_add(b);
        if (r >= 0)
                r = ble_agent_add(b);
        if (r >= 0)
                r = ble_advert_add(b);
        if (r >= 0)
                r = ble_adapter_start(b);
        return r;
}

static int connect_bus(struct ble *b) {
        int r;

        disconnect(b);
        r = sd_bus_new(&b->connection);
        if (r >= 0)
                r = start(b);
        if (r < 0)
                disconnect(b);
        return r;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        struct ble *b = userdata;
        int r;

        (void)s, (void)usec;
        r = connect_bus(b);
        if (r < 0) {
                say_down(b, "cannot join the bus", r);
                retry_in(b, RETRY_USEC);
        } else
                b->down_logged = false;
        return 0;
}

static bool overrun(struct ble *b) {
        uint64_t queued;

        if (sd_bus_get_n_queued_write(b->connection, &queued) < 0 || queued <= QUEUE_MAX)
                return false;
        log_warning("Bluetooth: the bus has not read the last %llu messages: leaving it and joining again",
                    (unsigned long long)queued);
        disconnect(b);
        retry_in(b, RETRY_USEC);
        return true;
}

/* ---- public -------------------------------------------------------------------------------------------- */

void ble_publish(struct ble *b) {
        if (b && b->connection && sd_bus_is_ready(b->connection) > 0 && !overrun(b))
                ble_services_publish(b);
}

void ble_answer(struct ble *b, uint64_t token, const struct phone_answer *answer) {
        if (b)
                ble_services_answer(b, token, answer);
}

void ble_log_out(struct ble *b, const char *but) {
        if (b)
                ble_services_log_out(b, but);
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

static int prepare(struct ble *b, const char *bus_address) {
        int r;

        if (!bus_address)
                bus_address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
        b->bus_address = strdup(bus_address ? bus_address : SYSTEM_BUS_ADDRESS);
        r = b->bus_address ? check_address(b->bus_address) : -ENOMEM;
        if (r >= 0) /* the first time at once: no callback comes from within ble_new() */
                r = sd_event_add_time_relative(b->event, &b->retry, CLOCK_BOOTTIME, 0, 0, on_retry, b);
        if (r >= 0)
                r = sd_event_source_set_priority(b->retry, BLE_PRIORITY);
        if (r >= 0)
                r = ble_services_new(b);
        if (r >= 0)
                r = ble_application_prepare(b);
        if (r >= 0)
                r = ble_agent_prepare(b);
        if (r >= 0)
                r = ble_phones_file_start(b);
        return r;
}

int ble_new(sd_event *event, const char *bus_address, const struct config *config,
            const struct ble_callbacks *callbacks, struct ble **ret) {
        struct ble *b;
        int r;

        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        b->event = sd_event_ref(event);
        b->config = config->ble;
        memcpy(b->directory, config->state_directory, sizeof(b->directory));
        b->callbacks = *callbacks;
        b->running = -1;
        r = prepare(b, bus_address);
        if (r < 0) {
                ble_free(b);
                return r;
        }
        *ret = b;
        return 0;
}

struct ble *ble_free(struct ble *b) {
        if (!b)
                return NULL;
        b->ending = true;
        disconnect(b);
        ble_services_free(b);
        ble_phones_file_stop(b);
        sd_event_source_unref(b->retry);
        sd_event_source_unref(b->step_retry);
        sd_event_source_unref(b->window_end);
        free(b->characteristics);
        free(b->bus_address);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}
