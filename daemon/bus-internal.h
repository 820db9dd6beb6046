/* SPDX-License-Identifier: MIT */
#pragma once

/* What the files of the D-Bus door share: bus.c (connection, signals), bus-objects.c (what can be read),
 * bus-commands.c (what can be changed), bus-settings.c (Set, Reset), bus-callers.c (who may change). */

#include <systemd/sd-bus.h>

#include "bus.h"
#include "fields.h"

#define BUS_NAME "org.smartbms1"
#define BUS_PATH "/org/smartbms1"
#define BUS_INTERFACE_MANAGER BUS_NAME ".Manager"
#define BUS_INTERFACE_PACK BUS_NAME ".Pack"
#define BUS_INTERFACE_CELLS BUS_NAME ".Cells"
#define BUS_INTERFACE_RELAYS BUS_NAME ".Relays"
#define BUS_INTERFACE_ENERGY BUS_NAME ".Energy"
#define BUS_INTERFACE_SETTINGS BUS_NAME ".Settings"
#define BUS_INTERFACE_EVENTS BUS_NAME ".Events"

#define BUS_ERROR_REFUSED BUS_NAME ".Error.Refused"

#define BUS_EVENTS_KEPT 64

/* Changing calls whose caller is being looked up; more at a time are refused. */
#define BUS_CALLERS_MAX 32

/* Long enough for a sentence that names a key, a value and a range. */
#define BUS_SENTENCE_MAX 256

struct bus;

/* A command, run once its caller was found to have the right. by: who asks, for the log. Reads its arguments
 * from m and returns 0, or -Exxx with the D-Bus error set. */
typedef int (*bus_command_t)(struct bus *b, sd_bus_message *m, const char *by, sd_bus_error *ret_error);

struct bus_caller {
        struct bus *bus;
        sd_bus_message *message; /* NULL = entry not in use */
        sd_bus_slot *slot;
        bus_command_t command;
};

struct bus {
        sd_event *event;
        char *address;
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

        struct event events[BUS_EVENTS_KEPT]; /* ring */
        size_t events_next, n_events;

        struct snapshot published; /* what PropertiesChanged was last told of */
};

const struct snapshot *bus_newest(const struct bus *b);

/* Copies text; bytes that are no UTF-8 (a sentence cut in the middle of a letter) become '?': a bus throws
 * out who sends them. */
void bus_clean_text(char *ret_text, size_t size, const char *text);

/* bus-objects.c */
int bus_objects_prepare(struct bus *b);
void bus_objects_release(struct bus *b);
int bus_objects_add(struct bus *b);
void bus_objects_changed(struct bus *b, const struct snapshot *old, const struct snapshot *newest);

/* bus-commands.c */
int bus_method_set_soc(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_accept(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_release(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_recover(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* The D-Bus error for a refusal from the manager: bad arguments, or a refusal; with its sentence. */
int bus_command_error(sd_bus_error *ret_error, int error, const char *sentence);

/* bus-settings.c */
int bus_append_settings(sd_bus_message *m, const struct settings *s);
int bus_method_set(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int bus_method_reset(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* bus-callers.c */
void bus_callers_init(struct bus *b);
void bus_callers_drop(struct bus *b); /* the connection is gone: nobody is left to answer */

/* Looks the sender up without waiting, then runs the command or refuses. For use as a method handler's return
 * value. */
int bus_callers_check(struct bus *b, sd_bus_message *m, bus_command_t command, sd_bus_error *ret_error);
