/* SPDX-License-Identifier: MIT */
#pragma once

/* What the files of the D-Bus door share: bus.c (connection, signals), bus-objects.c (what can be read),
 * bus-records.c (what can be asked of the store), bus-commands.c (what can be changed), bus-settings.c (the settings),
 * bus-pairing.c (phones), bus-callers.c (who may change), bus-reply.c (answers that come later), bus-text.c (what all
 * of them append). */

#include <systemd/sd-bus.h>

#include "bus.h"
#include "fields.h"
#include "pack-name.h"

/* Interfaces and errors of every pack are called so; the name on the bus is each pack's own. */
#define BUS_NAME PACK_BUS_NAME
#define BUS_PATH "/org/smartbms1"
#define BUS_INTERFACE_MANAGER BUS_NAME ".Manager"
#define BUS_INTERFACE_PACK BUS_NAME ".Pack"
#define BUS_INTERFACE_CELLS BUS_NAME ".Cells"
#define BUS_INTERFACE_RELAYS BUS_NAME ".Relays"
#define BUS_INTERFACE_ENERGY BUS_NAME ".Energy"
#define BUS_INTERFACE_SETTINGS BUS_NAME ".Settings"
#define BUS_INTERFACE_EVENTS BUS_NAME ".Events"
#define BUS_INTERFACE_HISTORY BUS_NAME ".History"
#define BUS_INTERFACE_STORAGE BUS_NAME ".Storage"
#define BUS_INTERFACE_PAIRING BUS_NAME ".Pairing"

#define BUS_ERROR_REFUSED BUS_NAME ".Error.Refused"
#define BUS_ERROR_NOT_STORED BUS_NAME ".Error.NotStored"
#define BUS_ERROR_NOT_READABLE BUS_NAME ".Error.NotReadable"

#define BUS_EVENTS_KEPT 64

/* Changing calls whose caller is being looked up; more at a time are refused. */
#define BUS_CALLERS_MAX 32

/* Changes that wait for the card, and questions that wait for the store; more at a time are refused. */
#define BUS_REPLIES_MAX 32
#define BUS_QUESTIONS_MAX 16

/* What becomes of a pairing window, until it is asked for. */
#define BUS_REPORTS_MAX 8

/* Long enough for a sentence that names a key, a value and a range. */
#define BUS_SENTENCE_MAX 256

struct bus;

/* A call that is answered later: a change, or a question. */
struct bus_reply {
        bool in_use;
        bool applied;            /* what it asks for is in force before it is stored (all but a backup) */
        sd_bus_message *message; /* NULL = nobody waits for the answer any more */
};

/* A command, run once its caller was found to have the right. by: who asks, for the log. Reads its arguments
 * from m and returns 0 (reply was handed on), or -Exxx with the D-Bus error set. */
typedef int (*bus_command_t)(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                             sd_bus_error *ret_error);

struct bus_caller {
        struct bus *bus;
        sd_bus_message *message; /* NULL = entry not in use */
        sd_bus_slot *slot;
        bus_command_t command;
};

/* Who opened the pairing window over D-Bus. All 0: nobody. */
struct bus_pairing {
        char *owner; /* its unique name on the bus, which no other connection ever gets */
        bool open;   /* else there is only left to be told of how it ended */
        sd_bus_slot *watch, *asking;
        struct bus_reply *waiting; /* for the next report; NULL = it does not ask now */
        struct bus_window_report reports[BUS_REPORTS_MAX];
        size_t n_reports;
};

struct bus {
        sd_event *event;
        char *address;
        char name[PACK_BUS_NAME_SIZE];
        struct settings defaults;
        struct bus_callbacks callbacks;

        sd_bus *connection; /* NULL = none now */
        sd_event_source *retry;
        bool name_refused, down_logged; /* said once each, not every second */

        sd_bus_vtable *field_tables[_FIELDS_MAX];

        uid_t own_uid;
        bool have_group;
        gid_t group;
        struct bus_caller callers[BUS_CALLERS_MAX];
        struct bus_reply replies[BUS_REPLIES_MAX], questions[BUS_QUESTIONS_MAX];

        struct bus_pairing pairing;

        struct event events[BUS_EVENTS_KEPT]; /* ring */
        size_t events_next, n_events;

        struct snapshot published; /* what PropertiesChanged was last told of */
};

const struct snapshot *bus_newest(const struct bus *b);

/* bus-text.c */
/* Copies text; bytes that are no UTF-8 (a sentence cut in the middle of a letter) become '?': a bus throws
 * out who sends them. */
void bus_clean_text(char *ret_text, size_t size, const char *text);
int bus_append_text(sd_bus_message *m, const char *text); /* cleaned */
int bus_append_maybe(sd_bus_message *m, struct maybe value);
int bus_append_maybe64(sd_bus_message *m, struct maybe64 value);

/* bus-reply.c */
void bus_replies_drop(struct bus *b); /* the connection is gone: nobody is left to answer */

/* An entry of one of the two tables that keeps m; NULL: all are in use. */
struct bus_reply *bus_reply_take(struct bus_reply *table, size_t n, sd_bus_message *m);

/* Gives the entry back. The message to answer is the caller's then, NULL: nobody waits for it. */
sd_bus_message *bus_reply_release(struct bus_reply *reply);

/* bus-objects.c */
int bus_objects_prepare(struct bus *b);
void bus_objects_release(struct bus *b);
int bus_objects_add(struct bus *b);
void bus_objects_changed(struct bus *b, const struct snapshot *old, const struct snapshot *newest);

/* bus-records.c */
int bus_records_add(struct bus *b);

/* bus-commands.c */
int bus_method_set_soc(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_accept(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_release(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_recover(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_clear(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_backup(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* The D-Bus error for a refusal from the manager: bad arguments, or a refusal; with its sentence. */
int bus_command_error(sd_bus_error *ret_error, int error, const char *sentence);

/* bus-settings.c */
int bus_append_settings(sd_bus_message *m, const struct settings *s);
int bus_method_set(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_reset(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_confirm(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_set_pin(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* bus-pairing.c */
int bus_pairing_add(struct bus *b);
void bus_pairing_drop(struct bus *b); /* the connection is gone, and so is who opened a window over it */

/* bus-callers.c */
void bus_callers_init(struct bus *b);
void bus_callers_drop(struct bus *b); /* the connection is gone: nobody is left to answer */

/* Looks the sender up without waiting, then runs the command or refuses. For use as a method handler's return
 * value. */
int bus_callers_check(struct bus *b, sd_bus_message *m, bus_command_t command, sd_bus_error *ret_error);
