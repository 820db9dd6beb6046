/* SPDX-License-Identifier: MIT */

/* Phones and who may pair, over D-Bus. All of it is for callers with the right to change, and goes only in replies to
 * them: there is no signal and no property. A window belongs to the connection that opened it: nobody else is told what
 * becomes of it, its passkey above all, and it closes when that connection does. */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus-internal.h"
#include "log.h"

#define DBUS_NAME "org.freedesktop.DBus"
#define DBUS_PATH "/org/freedesktop/DBus"

#define OWNER_TIMEOUT_USEC (10 * USEC_PER_SEC)

static const char *const window_names[_BUS_WINDOW_MAX] = {
        [BUS_WINDOW_OPENED] = "opened",   [BUS_WINDOW_PASSKEY] = "passkey", [BUS_WINDOW_PAIRED] = "paired",
        [BUS_WINDOW_REFUSED] = "refused", [BUS_WINDOW_CLOSED] = "closed",   [BUS_WINDOW_FAILED] = "failed",
};

/* ---- whose window it is --------------------------------------------------------------------------------- */

static bool is_last(enum bus_window state) {
        return state == BUS_WINDOW_CLOSED || state == BUS_WINDOW_FAILED;
}

static void forget_owner(struct bus_pairing *p) {
        struct bus_reply *waiting = p->waiting;

        sd_bus_slot_unref(p->watch);
        sd_bus_slot_unref(p->asking);
        free(p->owner);
        explicit_bzero(p, sizeof(*p)); /* there may be a passkey in it */
        if (waiting)
                bus_reply_done(waiting, -ECANCELED, "another pairing window was opened");
}

/* Closes the window if it is still open, and nobody is told. */
static void lose_owner(struct bus *b) {
        const bool was_open = b->pairing.open;

        forget_owner(&b->pairing); /* first: closing is reported to us, too */
        if (was_open)
                b->callbacks.close_window(b->callbacks.userdata);
}

void bus_pairing_drop(struct bus *b) {
        if (b->pairing.owner)
                lose_owner(b);
}

/* sd-bus matches signals that are sent to us alone without looking at their sender. */
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct bus *b = userdata;
        const char *sender = sd_bus_message_get_sender(m), *name, *old, *new;

        (void)ret_error;
        if (!sender || strcmp(sender, DBUS_NAME) != 0 || sd_bus_message_read(m, "sss", &name, &old, &new) < 0)
                return 0;
        if (b->pairing.owner && strcmp(name, b->pairing.owner) == 0 && new[0] == '\0') {
                log_notice("Bluetooth: who opened the pairing window is gone");
                lose_owner(b);
        }
        return 0;
}

/* It may have gone before it was watched for. */
static int on_owner_asked(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct bus *b = userdata;
        int here = 0;

        (void)ret_error;
        b->pairing.asking = sd_bus_slot_unref(b->pairing.asking);
        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "b", &here) < 0 || !here) {
                log_notice("Bluetooth: who opened the pairing window is gone");
                lose_owner(b);
        }
        return 0;
}

/* The bus takes both in this order: one of them tells. */
static int watch_owner(struct bus *b) {
        static const char match[] = "type='signal',sender='" DBUS_NAME "',path='" DBUS_PATH "',interface='" DBUS_NAME
                                    "',member='NameOwnerChanged',arg0='%s'";
        struct bus_pairing *p = &b->pairing;
        sd_bus_message *call = NULL;
        char *text;
        int r;

        if (asprintf(&text, match, p->owner) < 0)
                return -ENOMEM;
        r = sd_bus_add_match_async(b->connection, &p->watch, text, on_owner_changed, NULL, b);
        free(text);
        if (r >= 0)
                r = sd_bus_message_new_method_call(b->connection, &call, DBUS_NAME, DBUS_PATH, DBUS_NAME,
                                                   "NameHasOwner");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", p->owner);
        if (r >= 0)
                r = sd_bus_call_async(b->connection, &p->asking, call, on_owner_asked, b, OWNER_TIMEOUT_USEC);
        sd_bus_message_unref(call);
        return r < 0 ? r : 0;
}

static bool is_owner(const struct bus *b, sd_bus_message *m) {
        const char *sender = sd_bus_message_get_sender(m);

        return b->pairing.owner && sender && strcmp(sender, b->pairing.owner) == 0;
}

/* ---- what becomes of it --------------------------------------------------------------------------------- */

/* The oldest report, as the answer. */
static void deliver(struct bus *b, struct bus_reply *reply) {
        struct bus_pairing *p = &b->pairing;
        struct bus_window_report *report = &p->reports[0];
        const bool last = is_last(report->state);
        sd_bus_message *m = bus_reply_release(reply), *answer = NULL;
        int r = 0;

        if (m) {
                r = sd_bus_message_new_method_return(m, &answer);
                if (r >= 0)
                        r = sd_bus_message_sensitive(answer); /* erased when freed */
                if (r >= 0)
                        r = sd_bus_message_append(answer, "sss", window_names[report->state], report->phone,
                                                  report->passkey);
                if (r >= 0)
                        r = bus_append_text(answer, report->sentence);
                if (r >= 0)
                        r = sd_bus_send(NULL, answer, NULL);
        }
        if (r < 0)
                log_debug("Cannot answer who opened the pairing window: %s", strerror(-r));
        sd_bus_message_unref(answer);
        sd_bus_message_unref(m);
        p->n_reports--;
        memmove(p->reports, p->reports + 1, p->n_reports * sizeof(p->reports[0]));
        explicit_bzero(&p->reports[p->n_reports], sizeof(p->reports[0]));
        if (last)
                forget_owner(p);
}

void bus_window(struct bus *b, const struct bus_window_report *report) {
        struct bus_pairing *p;
        struct bus_reply *waiting;

        assert(report->state < _BUS_WINDOW_MAX);
        if (!b || !b->pairing.open) /* nobody's, or the button's */
                return;
        p = &b->pairing;
        if (p->n_reports == BUS_REPORTS_MAX) { /* it does not ask: the newest count */
                p->n_reports--;
                memmove(p->reports, p->reports + 1, p->n_reports * sizeof(p->reports[0]));
        }
        p->reports[p->n_reports++] = *report;
        p->open = !is_last(report->state);
        waiting = p->waiting;
        if (!waiting)
                return;
        p->waiting = NULL;
        deliver(b, waiting);
}

/* ---- methods -------------------------------------------------------------------------------------------- */

static int command_open(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                        sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        uint32_t seconds;
        int just_works, r;

        r = sd_bus_message_read(m, "ub", &seconds, &just_works);
        if (r < 0)
                return r;
        /* One that is open is closed by that, and its owner told. */
        r = b->callbacks.pair(b->callbacks.userdata, seconds, just_works, by, sentence, sizeof(sentence));
        if (r < 0)
                return bus_command_error(ret_error, r, sentence);
        forget_owner(&b->pairing);
        b->pairing.open = true;
        b->pairing.owner = strdup(sd_bus_message_get_sender(m)); /* bus-callers.c: there is one */
        r = b->pairing.owner ? watch_owner(b) : -ENOMEM;
        if (r < 0) {
                lose_owner(b);
                return r;
        }
        bus_reply_done(reply, 0, NULL);
        return 0;
}

static int command_next(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                        sd_bus_error *ret_error) {
        (void)by;
        if (!is_owner(b, m))
                return sd_bus_error_set(ret_error, BUS_ERROR_REFUSED,
                                        "This connection has no pairing window: only who opens one is told of it.");
        if (b->pairing.waiting)
                return sd_bus_error_set(ret_error, BUS_ERROR_REFUSED, "Another call waits for this already.");
        reply->applied = false;
        if (b->pairing.n_reports > 0)
                deliver(b, reply);
        else
                b->pairing.waiting = reply;
        return 0;
}

static int command_close(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                         sd_bus_error *ret_error) {
        (void)m, (void)ret_error;
        log_notice("Bluetooth: %s closes the pairing window", by);
        b->callbacks.close_window(b->callbacks.userdata);
        bus_reply_done(reply, 0, NULL);
        return 0;
}

static int append_phone(sd_bus_message *m, const struct bus_phone *phone) {
        int r;

        r = sd_bus_message_open_container(m, 'r', "ss(bx)(bx)b");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", phone->address);
        if (r >= 0)
                r = bus_append_text(m, phone->name);
        if (r >= 0)
                r = bus_append_maybe64(m, phone->paired_sec);
        if (r >= 0)
                r = bus_append_maybe64(m, phone->used_sec);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", (int)phone->connected);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int make_list(sd_bus_message *m, const struct bus_phone *phones, size_t n, sd_bus_message **ret) {
        sd_bus_message *answer = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &answer);
        if (r >= 0)
                r = sd_bus_message_open_container(answer, 'a', "(ss(bx)(bx)b)");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append_phone(answer, &phones[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(answer);
        if (r < 0) {
                sd_bus_message_unref(answer);
                return r;
        }
        *ret = answer;
        return 0;
}

static int command_phones(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                          sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        struct bus_phone phones[BUS_PHONES_MAX];
        sd_bus_message *answer = NULL;
        size_t n;
        int r;

        (void)by;
        r = b->callbacks.phones(b->callbacks.userdata, phones, &n, sentence, sizeof(sentence));
        if (r < 0)
                return bus_command_error(ret_error, r, sentence);
        r = make_list(m, phones, n, &answer);
        if (r < 0)
                return r;
        (void)sd_bus_send(NULL, answer, NULL); /* as in bus_reply_done() */
        sd_bus_message_unref(answer);
        sd_bus_message_unref(bus_reply_release(reply));
        return 0;
}

static int command_remove(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                          sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        const char *address;
        int r;

        r = sd_bus_message_read(m, "s", &address);
        if (r < 0)
                return r;
        r = b->callbacks.remove_phone(b->callbacks.userdata, address, by, sentence, sizeof(sentence));
        if (r < 0)
                return bus_command_error(ret_error, r, sentence);
        bus_reply_done(reply, 0, NULL);
        return 0;
}

static int method_open(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_open, ret_error);
}

static int method_next(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_next, ret_error);
}

static int method_close(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_close, ret_error);
}

static int method_phones(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_phones, ret_error);
}

static int method_remove(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_remove, ret_error);
}

static const sd_bus_vtable pairing_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Open", SD_BUS_ARGS("u", seconds, "b", just_works), SD_BUS_NO_RESULT, method_open,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Next", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("s", state, "s", phone, "s", passkey, "s", text), method_next,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Close", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_close, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Phones", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ss(bx)(bx)b)", phones), method_phones,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_ARGS("s", address), SD_BUS_NO_RESULT, method_remove,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int bus_pairing_add(struct bus *b) {
        return sd_bus_add_object_vtable(b->connection, NULL, BUS_PATH, BUS_INTERFACE_PAIRING, pairing_table, b);
}
