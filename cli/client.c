/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

static usec_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

/* The hello with the bus takes no timeout of its own: a stopped dbus-daemon must not hold a person up. */
static int wait_ready(sd_bus *bus) {
        const usec_t deadline = now_usec() + CLIENT_READ_TIMEOUT_USEC * 9 / 10;
        int r;

        while ((r = sd_bus_is_ready(bus)) == 0) {
                const usec_t now = now_usec();

                if (now >= deadline)
                        return -ETIMEDOUT;
                r = sd_bus_process(bus, NULL);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                r = sd_bus_wait(bus, deadline - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return r < 0 ? r : 0;
}

static int connect_bus(const char *address, sd_bus **ret) {
        sd_bus *bus = NULL;
        int r;

        if (address == NULL) {
                r = sd_bus_open_system(&bus);
        } else {
                r = sd_bus_new(&bus);
                if (r >= 0)
                        r = sd_bus_set_address(bus, address);
                if (r >= 0)
                        r = sd_bus_set_bus_client(bus, true);
                if (r >= 0)
                        r = sd_bus_start(bus);
        }
        if (r >= 0)
                r = wait_ready(bus);
        if (r < 0) {
                sd_bus_close_unref(bus);
                return r;
        }
        *ret = bus;
        return 0;
}

void client_choose_pack(struct client *c, const char *pack) {
        c->pack = pack;
        pack_bus_name(pack, c->name);
}

int client_open(struct client *c, const char *address, const char *pack) {
        int r;

        client_choose_pack(c, pack);
        c->address = address;
        c->bus = NULL;
        /* sd-bus skips what it does not understand, and then finds no address left to connect to. */
        r = address && !strchr(address, ':') ? -EINVAL : connect_bus(address, &c->bus);
        if (r == -EINVAL && address != NULL) {
                snprintf(c->error, sizeof(c->error),
                         "'%s' is no D-Bus address; an example: unix:path=/run/bus", address);
                return EXIT_USAGE;
        }
        if (r < 0) {
                snprintf(c->error, sizeof(c->error), "smartbmsd is not running: no connection to the %s: %s",
                         address ? "bus given with --bus" : "system bus", strerror(-r));
                return EXIT_NO_DAEMON;
        }
        return 0;
}

void client_close(struct client *c) {
        /* Not sd_bus_flush_close_unref(): flushing to a stopped bus would block. */
        c->bus = sd_bus_close_unref(c->bus);
}

int client_bad_call(struct client *c, const char *method, int error) {
        snprintf(c->error, sizeof(c->error), "cannot make a call of %s: %s", method, strerror(-error));
        return error == -ENOTCONN || error == -ECONNRESET ? EXIT_NO_DAEMON : EXIT_REFUSED;
}

int client_new_call(struct client *c, const char *interface, const char *method, sd_bus_message **ret) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, c->name, SMARTBMS_BUS_PATH, interface,
                                           method);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r < 0) {
                sd_bus_message_unref(m);
                return client_bad_call(c, method, r);
        }
        *ret = m;
        return 0;
}

static bool is_any(const sd_bus_error *error, const char *const *names) {
        for (; *names; names++)
                if (sd_bus_error_has_name(error, *names))
                        return true;
        return false;
}

static void say_absent(struct client *c) {
        if (strcmp(c->pack, PACK_NAME_DEFAULT) == 0)
                snprintf(c->error, sizeof(c->error),
                         "smartbmsd is not running (start it: systemctl start smartbmsd)");
        else
                snprintf(c->error, sizeof(c->error),
                         "smartbmsd is not running for pack %s (start it: systemctl start smartbmsd@%s; which are: "
                         "smartbmsctl packs)",
                         c->pack, c->pack);
}

static int call_failed(struct client *c, int r, const sd_bus_error *error) {
        static const char *const absent[] = {SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                             SD_BUS_ERROR_DISCONNECTED, NULL};
        static const char *const silent[] = {SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT, NULL};

        if (is_any(error, absent) || r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE) {
                say_absent(c);
                return EXIT_NO_DAEMON;
        }
        if (is_any(error, silent) || r == -ETIMEDOUT) {
                snprintf(c->error, sizeof(c->error), "smartbmsd does not answer");
                return EXIT_NO_DAEMON;
        }
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
                snprintf(c->error, sizeof(c->error),
                         "not allowed: this needs group smartbms or root%s%s",
                         error->message ? ": " : "", error->message ? error->message : "");
        else if (error->message)
                snprintf(c->error, sizeof(c->error), "%s", error->message);
        else
                snprintf(c->error, sizeof(c->error), "%s", error->name ? error->name : strerror(-r));
        return sd_bus_error_has_name(error, SMARTBMS_ERROR_NOT_STORED) ? EXIT_NOT_STORED : EXIT_REFUSED;
}

int client_send(struct client *c, sd_bus_message *call, usec_t timeout, sd_bus_message **ret_reply) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call(c->bus, call, timeout, &error, ret_reply);
        r = r < 0 ? call_failed(c, r, &error) : 0;
        sd_bus_error_free(&error);
        return r;
}

int client_command(struct client *c, const char *interface, const char *method, usec_t timeout, const char *types,
                   ...) {
        sd_bus_message *call = NULL, *reply = NULL;
        va_list ap;
        int r;

        r = client_new_call(c, interface, method, &call);
        if (r != 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(call, types, ap);
        va_end(ap);
        r = r < 0 ? client_bad_call(c, method, r) : client_send(c, call, timeout, &reply);
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        return r;
}

int client_get_all(struct client *c, const char *interface, sd_bus_message **ret_reply) {
        sd_bus_message *m = NULL;
        int r;

        r = client_new_call(c, "org.freedesktop.DBus.Properties", "GetAll", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "s", interface);
        r = r < 0 ? client_bad_reply(c, r) : client_send(c, m, CLIENT_READ_TIMEOUT_USEC, ret_reply);
        sd_bus_message_unref(m);
        return r;
}

static int by_name(const void *a, const void *b) {
        const char *const x = a, *const y = b;
        const bool first_x = strcmp(x, PACK_NAME_DEFAULT) == 0, first_y = strcmp(y, PACK_NAME_DEFAULT) == 0;

        return first_x != first_y ? (first_x ? -1 : 1) : strcmp(x, y);
}

static int read_packs(sd_bus_message *reply, struct client_packs *ret) {
        const char *name;
        int r;

        ret->n = 0;
        r = sd_bus_message_enter_container(reply, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "s", &name)) > 0) {
                const char *pack = pack_of_bus_name(name);

                if (pack && ret->n < CLIENT_PACKS_MAX)
                        strcpy(ret->names[ret->n++], pack); /* valid, so it fits */
        }
        if (r < 0)
                return r;
        qsort(ret->names, (size_t)ret->n, sizeof(ret->names[0]), by_name);
        return 0;
}

int client_list_packs(struct client *c, struct client_packs *ret) {
        sd_bus_message *call = NULL, *reply = NULL;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &call, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                           "org.freedesktop.DBus", "ListNames");
        if (r < 0)
                return client_bad_call(c, "ListNames", r);
        r = client_send(c, call, CLIENT_READ_TIMEOUT_USEC, &reply);
        if (r == 0 && read_packs(reply, ret) < 0)
                r = client_bad_reply(c, -EBADMSG);
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        if (r == 0 && ret->n == 0) {
                snprintf(c->error, sizeof(c->error),
                         "smartbmsd is not running, for no pack (start it: systemctl start smartbmsd)");
                r = EXIT_NO_DAEMON;
        }
        return r;
}

int client_bad_reply(struct client *c, int error) {
        snprintf(c->error, sizeof(c->error), "cannot understand smartbmsd's answer (another version?): %s",
                 strerror(-error));
        return EXIT_REFUSED;
}

static int one_entry(sd_bus_message *m, client_entry_fn fn, void *userdata) {
        const char *key, *contents;
        int r;

        r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'v', contents);
        if (r < 0)
                return r;
        r = fn(userdata, key, contents, m);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int client_each_entry(sd_bus_message *m, client_entry_fn fn, void *userdata) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = one_entry(m, fn, userdata);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int client_read_maybe(sd_bus_message *m, struct maybe64 *ret) {
        int known;
        int64_t value;
        int r;

        r = sd_bus_message_read(m, "(bx)", &known, &value);
        if (r < 0)
                return r;
        *ret = known ? some64(value) : none64();
        return 0;
}

int client_read_text(sd_bus_message *m, char *to, size_t size) {
        const char *s;
        int r;

        r = sd_bus_message_read(m, "s", &s);
        if (r < 0)
                return r;
        snprintf(to, size, "%s", s);
        return 0;
}

int client_read_bool(sd_bus_message *m, bool *ret) {
        int yes;
        int r;

        r = sd_bus_message_read(m, "b", &yes);
        if (r < 0)
                return r;
        *ret = yes;
        return 0;
}
