/* SPDX-License-Identifier: MIT */
#include "bus.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "pack-name.h"

#define PATH "/org/smartbms1"
#define INTERFACE "org.smartbms1.Relays"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define RETRY_USEC 500000

struct relay_bus {
        sd_event *event;
        sd_event_source *retry;
        sd_bus *bus;
        char *address;
        char name[PACK_BUS_NAME_SIZE];
        bool charge_closed, load_closed;
};

static void open_both(struct relay_bus *b) {
        b->charge_closed = b->load_closed = false;
}

/* a{sv}: takes the two properties, skips the others. */
static int read_properties(struct relay_bus *b, sd_bus_message *m) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name;
                int closed;
                bool *target;

                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        return r;
                target = strcmp(name, "ChargeClosed") == 0 ? &b->charge_closed
                         : strcmp(name, "LoadClosed") == 0 ? &b->load_closed
                                                           : NULL;
                if (target) {
                        r = sd_bus_message_read(m, "v", "b", &closed);
                        if (r < 0)
                                return r;
                        *target = closed;
                } else {
                        r = sd_bus_message_skip(m, "v");
                        if (r < 0)
                                return r;
                }
                r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int on_get_all(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct relay_bus *b = userdata;

        (void)error;
        /* No daemon yet, or one that answers nonsense: both stay open. */
        if (sd_bus_message_is_method_error(m, NULL) || read_properties(b, m) < 0)
                open_both(b);
        return 0;
}

static int ask(struct relay_bus *b) {
        return sd_bus_call_method_async(b->bus, NULL, b->name, PATH, PROPERTIES, "GetAll", on_get_all, b, "s",
                                        INTERFACE);
}

static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct relay_bus *b = userdata;
        const char *interface;

        (void)error;
        if (sd_bus_message_read(m, "s", &interface) < 0 || strcmp(interface, INTERFACE) != 0)
                return 0;
        if (read_properties(b, m) < 0) {
                open_both(b);
                return 0;
        }
        /* Invalidated ones come without their value. */
        if (sd_bus_message_enter_container(m, 'a', "s") >= 0 && sd_bus_message_at_end(m, false) == 0)
                (void)ask(b);
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct relay_bus *b = userdata;
        const char *name, *before, *after;

        (void)error;
        open_both(b);
        if (sd_bus_message_read(m, "sss", &name, &before, &after) >= 0 && *after != '\0')
                (void)ask(b);
        return 0;
}

static int connect_bus(struct relay_bus *b);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        (void)source;
        (void)usec;
        return connect_bus(userdata);
}

static int retry_later(struct relay_bus *b) {
        int r;

        open_both(b);
        b->retry = sd_event_source_disable_unref(b->retry);
        r = sd_event_add_time_relative(b->event, &b->retry, CLOCK_MONOTONIC, RETRY_USEC, 0, on_retry, b);
        return r < 0 ? r : 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void)m;
        (void)error;
        return retry_later(userdata);
}

static int set_address(struct relay_bus *b, sd_bus *bus) {
        const char *address = b->address;

        if (strcmp(address, "system") == 0)
                address = getenv("DBUS_SYSTEM_BUS_ADDRESS") ?: "unix:path=/run/dbus/system_bus_socket";
        else if (strcmp(address, "user") == 0)
                address = getenv("DBUS_SESSION_BUS_ADDRESS") ?: "";
        return sd_bus_set_address(bus, address);
}

/* All matches and the first question go out behind one another: no change can fall between them. */
static int subscribe(struct relay_bus *b) {
        char rule[192 + PACK_BUS_NAME_SIZE];
        int r;

        (void)snprintf(rule, sizeof(rule),
                       "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                       "member='NameOwnerChanged',arg0='%s'",
                       b->name);
        r = sd_bus_match_signal_async(b->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                      "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, b);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(b->bus, NULL, b->name, PATH, PROPERTIES, "PropertiesChanged",
                                      on_properties_changed, NULL, b);
        if (r < 0)
                return r;
        r = sd_bus_add_match_async(b->bus, NULL, rule, on_owner_changed, NULL, b);
        return r < 0 ? r : ask(b);
}

static int start_bus(struct relay_bus *b) {
        int r;

        r = sd_bus_new(&b->bus);
        if (r >= 0)
                r = set_address(b, b->bus);
        if (r >= 0)
                r = sd_bus_set_bus_client(b->bus, true);
        if (r >= 0)
                r = sd_bus_start(b->bus);
        if (r >= 0)
                r = sd_bus_attach_event(b->bus, b->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = subscribe(b);
        return r;
}

static int connect_bus(struct relay_bus *b) {
        b->bus = sd_bus_close_unref(b->bus);
        return start_bus(b) < 0 ? retry_later(b) : 0;
}

int relay_bus_new(sd_event *event, const char *address, const char *pack, struct relay_bus **ret) {
        struct relay_bus *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        b->event = sd_event_ref(event);
        b->address = strdup(address);
        pack_bus_name(pack, b->name);
        r = b->address ? connect_bus(b) : -ENOMEM;
        if (r < 0) {
                (void)relay_bus_free(b);
                return r;
        }
        *ret = b;
        return 0;
}

struct relay_bus *relay_bus_free(struct relay_bus *b) {
        if (!b)
                return NULL;
        b->retry = sd_event_source_disable_unref(b->retry);
        b->bus = sd_bus_close_unref(b->bus);
        b->event = sd_event_unref(b->event);
        free(b->address);
        free(b);
        return NULL;
}

bool relay_bus_charge_closed(const struct relay_bus *b) {
        return b->charge_closed;
}

bool relay_bus_load_closed(const struct relay_bus *b) {
        return b->load_closed;
}
