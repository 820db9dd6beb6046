/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus-internal.h"
#include "log.h"

#define ADMIN_GROUP "smartbms"

/* The bus daemon answers from memory; one that takes longer than this is stuck, and the caller gets an error.
 */
#define CREDENTIALS_TIMEOUT_USEC (10 * USEC_PER_SEC)

struct credentials {
        bool have_uid, in_group;
        uint32_t uid;
};

static void caller_release(struct bus_caller *c) {
        c->slot = sd_bus_slot_unref(c->slot);
        c->message = sd_bus_message_unref(c->message);
}

static int read_uid(sd_bus_message *m, struct credentials *c) {
        int r = sd_bus_message_read(m, "v", "u", &c->uid);
        if (r < 0)
                return r;
        c->have_uid = true;
        return 0;
}

static int read_groups(const struct bus *b, sd_bus_message *m, struct credentials *c) {
        const void *data;
        size_t size;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "au");
        if (r < 0)
                return r;
        r = sd_bus_message_read_array(m, 'u', &data, &size);
        if (r < 0)
                return r;
        const uint32_t *gids = data;
        for (size_t i = 0; i < size / sizeof(uint32_t); i++)
                if (b->have_group && gids[i] == b->group)
                        c->in_group = true;
        return sd_bus_message_exit_container(m);
}

/* GetConnectionCredentials' a{sv}. What the bus does not say is not known, and an unknown caller may nothing.
 */
static int read_credentials(const struct bus *b, sd_bus_message *m, struct credentials *ret) {
        struct credentials c = {0};
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key;

                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                if (strcmp(key, "UnixUserID") == 0)
                        r = read_uid(m, &c);
                else if (strcmp(key, "UnixGroupIDs") == 0)
                        r = read_groups(b, m, &c);
                else
                        r = sd_bus_message_skip(m, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        *ret = c;
        return 0;
}

static bool may_change(const struct bus *b, const struct credentials *c) {
        return (c->have_uid && (c->uid == 0 || c->uid == b->own_uid)) || c->in_group;
}

static int answer_error(sd_bus_message *m, int error, const sd_bus_error *named) {
        return sd_bus_error_is_set(named) ? sd_bus_reply_method_error(m, named)
                                          : sd_bus_reply_method_errno(m, error, NULL);
}

/* Runs the command, which answers the caller, or answers why not. */
static int run(struct bus *b, sd_bus_message *m, bus_command_t command, const char *by) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        struct bus_reply *reply;
        int r;

        reply = bus_reply_take(b->replies, BUS_REPLIES_MAX, m);
        if (!reply)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "Too many changes wait for the card: try again.");
        r = command(b, m, by, reply, &error);
        if (r < 0) {
                sd_bus_message_unref(bus_reply_release(reply));
                r = answer_error(m, r, &error);
        }
        sd_bus_error_free(&error);
        return r;
}

static int judge_and_run(struct bus *b, sd_bus_message *m, bus_command_t command,
                         const struct credentials *who) {
        char by[EVENT_BY_MAX];

        if (!may_change(b, who)) {
                const char *interface = sd_bus_message_get_interface(m);
                const bool phones = interface && strcmp(interface, BUS_INTERFACE_PAIRING) == 0;

                log_notice("%s from uid %lld refused", sd_bus_message_get_member(m),
                           who->have_uid ? (long long)who->uid : -1LL);
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_ACCESS_DENIED,
                                                  "Only root and members of group %s may %s.", ADMIN_GROUP,
                                                  phones ? "see phones or pair them" : "change anything");
        }
        if (who->have_uid)
                snprintf(by, sizeof(by), "uid %lu over D-Bus", (unsigned long)who->uid);
        else
                snprintf(by, sizeof(by), "group %s over D-Bus", ADMIN_GROUP);
        return run(b, m, command, by);
}

static int on_credentials(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error) {
        struct bus_caller *c = userdata;
        struct bus *b = c->bus;
        bus_command_t command = c->command;
        /* Out of the table first: the command may end in the connection being dropped, and the table with it.
         */
        sd_bus_message *m = sd_bus_message_ref(c->message);
        struct credentials who;
        int r;

        (void)ret_error;
        caller_release(c);
        r = sd_bus_message_is_method_error(answer, NULL) ? -EACCES : read_credentials(b, answer, &who);
        if (r < 0)
                r = sd_bus_reply_method_errorf(m, SD_BUS_ERROR_ACCESS_DENIED,
                                               "The bus did not say who is asking: nothing was changed.");
        else
                r = judge_and_run(b, m, command, &who);
        if (r < 0)
                log_debug("Cannot answer a D-Bus call: %s", strerror(-r));
        sd_bus_message_unref(m);
        return 1;
}

void bus_callers_init(struct bus *b) {
        struct group *g;

        /* The only look-up of a name in the whole run: NSS may ask a network service, and wait for it. */
        g = getgrnam(ADMIN_GROUP);
        b->have_group = g;
        if (g)
                b->group = g->gr_gid;
        else
                log_info("There is no group %s: only root may change settings over D-Bus", ADMIN_GROUP);
        b->own_uid = geteuid();
        for (size_t i = 0; i < BUS_CALLERS_MAX; i++)
                b->callers[i].bus = b;
}

void bus_callers_drop(struct bus *b) {
        for (size_t i = 0; i < BUS_CALLERS_MAX; i++)
                caller_release(&b->callers[i]);
}

int bus_callers_check(struct bus *b, sd_bus_message *m, bus_command_t command, sd_bus_error *ret_error) {
        const char *sender = sd_bus_message_get_sender(m);
        struct bus_caller *c = NULL;
        sd_bus_message *call = NULL;
        int r;

        for (size_t i = 0; i < BUS_CALLERS_MAX && !c; i++)
                if (!b->callers[i].message)
                        c = &b->callers[i];
        if (!c)
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many changes are being asked for at once: try again.");
        if (!sender)
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "The bus did not say who is asking.");

        r = sd_bus_message_new_method_call(b->connection, &call, "org.freedesktop.DBus",
                                           "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                           "GetConnectionCredentials");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", sender);
        if (r >= 0)
                r = sd_bus_call_async(b->connection, &c->slot, call, on_credentials, c,
                                      CREDENTIALS_TIMEOUT_USEC);
        sd_bus_message_unref(call);
        if (r < 0)
                return r;
        c->message = sd_bus_message_ref(m);
        c->command = command;
        return 1; /* answered later */
}
