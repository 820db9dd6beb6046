/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus-internal.h"
#include "clock.h"
#include "config-build.h"
#include "names.h"

#define GETTER(name)                                                                                         \
        static int name(sd_bus *bus, const char *path, const char *interface, const char *property,          \
                        sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
#define UNUSED_IN_GETTER()                                                                                   \
        do {                                                                                                 \
                (void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)ret_error;     \
        } while (false)

/* Pack and Energy: from the table of lib/fields.h */

static const char *const field_interfaces[_FIELDS_MAX] = {
        [FIELDS_PACK] = BUS_INTERFACE_PACK,
        [FIELDS_ENERGY] = BUS_INTERFACE_ENERGY,
};

static const char *field_signature(const struct field *field) {
        switch (field->kind) {
        case FIELD_BOOL:
                return "b";
        case FIELD_WORD:
        case FIELD_TEXT:
                return "s";
        case FIELD_INT:
                return "x";
        case FIELD_UINT64:
                return "t";
        case FIELD_MAYBE:
        case FIELD_MAYBE64:
                return "(bx)";
        }
        return NULL;
}

static int append_field(sd_bus_message *m, const struct field *field, const struct snapshot *s) {
        switch (field->kind) {
        case FIELD_BOOL:
                return sd_bus_message_append(m, "b", (int)(field_value(field, s).value != 0));
        case FIELD_WORD:
        case FIELD_TEXT:
                return bus_append_text(m, field_text(field, s));
        case FIELD_INT:
                return sd_bus_message_append(m, "x", field_value(field, s).value);
        case FIELD_UINT64:
                return sd_bus_message_append(m, "t", (uint64_t)field_value(field, s).value);
        case FIELD_MAYBE:
        case FIELD_MAYBE64:
                return bus_append_maybe64(m, field_value(field, s));
        }
        return -EINVAL;
}

static bool field_differs(const struct field *field, const struct snapshot *a, const struct snapshot *b) {
        if (field->kind == FIELD_WORD || field->kind == FIELD_TEXT)
                return strcmp(field_text(field, a), field_text(field, b)) != 0;
        struct maybe64 x = field_value(field, a), y = field_value(field, b);
        return x.known != y.known || (x.known && x.value != y.value);
}

GETTER(get_field) {
        UNUSED_IN_GETTER();
        for (size_t i = 0; i < n_fields; i++)
                if (strcmp(fields[i].property, property) == 0 &&
                    strcmp(field_interfaces[fields[i].interface], interface) == 0)
                        return append_field(reply, &fields[i], bus_newest(userdata));
        return -ENOENT;
}

static int method_get_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const struct snapshot *s = bus_newest(userdata);
        sd_bus_message *reply = NULL;
        int r;

        (void)ret_error;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        for (size_t i = 0; i < n_fields && r >= 0; i++) {
                r = sd_bus_message_open_container(reply, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(reply, "s", fields[i].property);
                if (r >= 0)
                        r = sd_bus_message_open_container(reply, 'v', field_signature(&fields[i]));
                if (r >= 0)
                        r = append_field(reply, &fields[i], s);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* Manager */

GETTER(get_version) {
        UNUSED_IN_GETTER();
        return sd_bus_message_append(reply, "s", SMARTBMS_VERSION);
}

GETTER(get_role) {
        UNUSED_IN_GETTER();
        return sd_bus_message_append(reply, "s", role_name(bus_newest(userdata)->role));
}

GETTER(get_alarms) {
        const struct snapshot *s = bus_newest(userdata);
        usec_t now = clock_now();
        int r;

        UNUSED_IN_GETTER();
        r = sd_bus_message_open_container(reply, 'a', "(sts)");
        for (enum alarm i = 0; i < _ALARM_MAX && r >= 0; i++) {
                if (!s->alarms[i].active)
                        continue;
                r = sd_bus_message_open_container(reply, 'r', "sts");
                if (r >= 0)
                        r = sd_bus_message_append(reply, "st", alarm_name(i),
                                                  usec_since(now, s->alarms[i].since));
                if (r >= 0)
                        r = bus_append_text(reply, s->alarms[i].text);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static bool alarms_differ(const struct snapshot *a, const struct snapshot *b) {
        for (enum alarm i = 0; i < _ALARM_MAX; i++)
                if (a->alarms[i].active != b->alarms[i].active ||
                    (a->alarms[i].active && strcmp(a->alarms[i].text, b->alarms[i].text) != 0))
                        return true;
        return false;
}

/* Cells */

GETTER(get_cells) {
        const struct snapshot *s = bus_newest(userdata);
        int r;

        UNUSED_IN_GETTER();
        r = sd_bus_message_open_container(reply, 'a', "(y(bx)(bx)tbbbb)");
        for (int i = 1; i <= s->n_cells && r >= 0; i++) {
                const struct cell_snapshot *c = &s->cells[i];

                r = sd_bus_message_append(reply, "(y(bx)(bx)tbbbb)", i, (int)c->voltage_mv.known,
                                          (int64_t)c->voltage_mv.value, (int)c->temperature_decic.known,
                                          (int64_t)c->temperature_decic.value, c->age_usec, (int)c->bypassing,
                                          (int)c->missing, (int)c->v_red, (int)c->t_red);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static bool maybe_differs(struct maybe a, struct maybe b) {
        return a.known != b.known || (a.known && a.value != b.value);
}

/* Ages do not count: they differ by nature. */
static bool cells_differ(const struct snapshot *a, const struct snapshot *b) {
        if (a->n_cells != b->n_cells)
                return true;
        for (int i = 1; i <= b->n_cells; i++) {
                const struct cell_snapshot *x = &a->cells[i], *y = &b->cells[i];

                if (maybe_differs(x->voltage_mv, y->voltage_mv) ||
                    maybe_differs(x->temperature_decic, y->temperature_decic) ||
                    x->bypassing != y->bypassing || x->missing != y->missing || x->v_red != y->v_red ||
                    x->t_red != y->t_red)
                        return true;
        }
        return false;
}

/* Relays */

static enum relay_id relay_of(const char *property) {
        return property[0] == 'C' ? RELAY_CHARGE : RELAY_LOAD; /* "ChargeClosed", "LoadClosed" */
}

GETTER(get_closed) {
        UNUSED_IN_GETTER();
        return sd_bus_message_append(reply, "b",
                                     (int)bus_newest(userdata)->relays[relay_of(property)].closed);
}

GETTER(get_confirmed) {
        UNUSED_IN_GETTER();
        return bus_append_maybe(reply, bus_newest(userdata)->relays[relay_of(property)].confirmed);
}

GETTER(get_mapped) {
        UNUSED_IN_GETTER();
        return sd_bus_message_append(reply, "b",
                                     (int)bus_newest(userdata)->relays[relay_of(property)].mapped);
}

static void relay_reason(const struct snapshot *s, enum relay_id id, char ret_text[BUS_SENTENCE_MAX]) {
        reason_text(&s->relays[id].reason, id, s->relays[id].closed, ret_text, BUS_SENTENCE_MAX);
}

GETTER(get_reason) {
        char text[BUS_SENTENCE_MAX];

        UNUSED_IN_GETTER();
        relay_reason(bus_newest(userdata), relay_of(property), text);
        return bus_append_text(reply, text);
}

GETTER(get_recover_remaining) {
        UNUSED_IN_GETTER();
        return bus_append_maybe(reply, bus_newest(userdata)->recover_remaining_sec);
}

static int append_hold(sd_bus_message *m, const struct hold *hold, enum relay_id id) {
        bool ruled =
                hold->kind == HOLD_RULE || hold->kind == HOLD_V_HYSTERESIS || hold->kind == HOLD_T_HYSTERESIS;
        char text[BUS_SENTENCE_MAX];
        int r;

        hold_text(hold, id, text, sizeof(text));
        r = sd_bus_message_open_container(m, 'r', "ssy(bx)(bx)ts");
        if (r >= 0)
                r = sd_bus_message_append(m, "ssy", hold_name(hold->kind), ruled ? rule_name(hold->rule) : "",
                                          (int)hold->cell);
        if (r >= 0)
                r = bus_append_maybe(m, hold->value);
        if (r >= 0)
                r = bus_append_maybe(m, hold->limit);
        if (r >= 0)
                r = sd_bus_message_append(m, "t", hold->remaining);
        if (r >= 0)
                r = bus_append_text(m, text);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_why(sd_bus_message *m, const struct snapshot *s, enum relay_id id) {
        const struct relay_snapshot *relay = &s->relays[id];
        char text[BUS_SENTENCE_MAX];
        int r;

        relay_reason(s, id, text);
        r = sd_bus_message_append(m, "btsy", (int)relay->closed, usec_since(clock_now(), relay->since),
                                  rule_name(relay->reason.rule), (int)relay->reason.cell);
        if (r >= 0)
                r = bus_append_maybe(m, relay->reason.value);
        if (r >= 0)
                r = bus_append_maybe(m, relay->reason.limit);
        if (r >= 0)
                r = bus_append_text(m, text);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ssy(bx)(bx)ts)");
        for (size_t i = 0; i < relay->n_holds && r >= 0; i++)
                r = append_hold(m, &relay->holds[i], id);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int method_why(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        sd_bus_message *reply = NULL;
        const char *name;
        int id, r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        id = relay_from_name(name);
        if (id < 0)
                return sd_bus_error_setf(ret_error, SD_BUS_ERROR_INVALID_ARGS,
                                         "There is no relay \"%s\": expected charge or load.", name);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_why(reply, bus_newest(userdata), id);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* Settings and Events */

GETTER(get_values) {
        UNUSED_IN_GETTER();
        return bus_append_settings(reply, &bus_newest(userdata)->settings);
}

GETTER(get_defaults) {
        const struct bus *b = userdata;

        UNUSED_IN_GETTER();
        return bus_append_settings(reply, &b->defaults);
}

static int method_recent(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const struct bus *b = userdata;
        sd_bus_message *reply = NULL;
        usec_t now = clock_now();
        int r;

        (void)ret_error;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(tss)");
        for (size_t i = 0; i < b->n_events && r >= 0; i++) {
                size_t oldest = b->events_next + BUS_EVENTS_KEPT - b->n_events;
                const struct event *e = &b->events[(oldest + i) % BUS_EVENTS_KEPT];

                r = sd_bus_message_open_container(reply, 'r', "tss");
                if (r >= 0)
                        r = sd_bus_message_append(reply, "ts", usec_since(now, e->at),
                                                  event_kind_name(e->kind));
                if (r >= 0)
                        r = bus_append_text(reply, e->text);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* Every method is UNPRIVILEGED in sd-bus's sense: without that flag sd-bus asks the bus for the caller's
 * rights and WAITS for the answer, and a stopped dbus-daemon would stop the relays with it. bus-callers.c
 * asks without waiting. */

#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define INVALIDATES SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION
#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define OPEN SD_BUS_VTABLE_UNPRIVILEGED

static const sd_bus_vtable manager_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, CONSTANT),
        SD_BUS_PROPERTY("Role", "s", get_role, 0, CONSTANT),
        SD_BUS_PROPERTY("Alarms", "a(sts)", get_alarms, 0, EMITS),
        SD_BUS_METHOD_WITH_ARGS("GetSnapshot", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", fields),
                                method_get_snapshot, OPEN),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable pack_methods[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("SetSOC", SD_BUS_ARGS("x", permyriad), SD_BUS_NO_RESULT, bus_method_set_soc,
                                OPEN),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable cells_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Cells", "a(y(bx)(bx)tbbbb)", get_cells, 0, INVALIDATES),
        SD_BUS_METHOD_WITH_ARGS("Accept", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, bus_method_accept, OPEN),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable relays_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("ChargeClosed", "b", get_closed, 0, EMITS),
        SD_BUS_PROPERTY("LoadClosed", "b", get_closed, 0, EMITS),
        SD_BUS_PROPERTY("ChargeConfirmed", "(bx)", get_confirmed, 0, EMITS),
        SD_BUS_PROPERTY("LoadConfirmed", "(bx)", get_confirmed, 0, EMITS),
        SD_BUS_PROPERTY("ChargeMapped", "b", get_mapped, 0, CONSTANT),
        SD_BUS_PROPERTY("LoadMapped", "b", get_mapped, 0, CONSTANT),
        SD_BUS_PROPERTY("ChargeReason", "s", get_reason, 0, EMITS),
        SD_BUS_PROPERTY("LoadReason", "s", get_reason, 0, EMITS),
        SD_BUS_PROPERTY("RecoverRemaining", "(bx)", get_recover_remaining, 0, EMITS),
        SD_BUS_METHOD_WITH_ARGS("Why", SD_BUS_ARGS("s", relay),
                                SD_BUS_RESULT("b", closed, "t", age, "s", rule, "y", cell, "(bx)", value,
                                              "(bx)", limit, "s", reason, "a(ssy(bx)(bx)ts)", holds),
                                method_why, OPEN),
        SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("s", relay), SD_BUS_NO_RESULT, bus_method_release,
                                OPEN),
        SD_BUS_METHOD_WITH_ARGS("Recover", SD_BUS_ARGS("x", minutes), SD_BUS_NO_RESULT, bus_method_recover,
                                OPEN),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable settings_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Values", "a{sv}", get_values, 0, EMITS),
        SD_BUS_PROPERTY("Defaults", "a{sv}", get_defaults, 0, CONSTANT),
        SD_BUS_METHOD_WITH_ARGS("Set", SD_BUS_ARGS("a{sv}", changes), SD_BUS_NO_RESULT, bus_method_set, OPEN),
        SD_BUS_METHOD_WITH_ARGS("Reset", SD_BUS_ARGS("as", keys), SD_BUS_NO_RESULT, bus_method_reset, OPEN),
        SD_BUS_METHOD_WITH_ARGS("Confirm", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, bus_method_confirm, OPEN),
        SD_BUS_METHOD_WITH_ARGS("SetPin", SD_BUS_ARGS("s", pin), SD_BUS_NO_RESULT, bus_method_set_pin, OPEN),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable events_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_SIGNAL_WITH_ARGS("Event", SD_BUS_ARGS("t", monotonic_usec, "s", kind, "s", text), 0),
        SD_BUS_METHOD_WITH_ARGS("Recent", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(tss)", events), method_recent,
                                OPEN),
        SD_BUS_VTABLE_END,
};

static const struct {
        const char *interface;
        const sd_bus_vtable *table;
} tables[] = {
        {BUS_INTERFACE_MANAGER, manager_table},   {BUS_INTERFACE_PACK, pack_methods},
        {BUS_INTERFACE_CELLS, cells_table},       {BUS_INTERFACE_RELAYS, relays_table},
        {BUS_INTERFACE_SETTINGS, settings_table}, {BUS_INTERFACE_EVENTS, events_table},
};

static int build_field_table(enum field_interface interface, sd_bus_vtable **ret) {
        sd_bus_vtable *table, *entry;

        table = entry = calloc(n_fields + 2, sizeof(sd_bus_vtable));
        if (!table)
                return -ENOMEM;
        *entry++ = (sd_bus_vtable)SD_BUS_VTABLE_START(0);
        for (size_t i = 0; i < n_fields; i++) {
                if (fields[i].interface != interface)
                        continue;
                *entry++ = (sd_bus_vtable)SD_BUS_PROPERTY(fields[i].property, field_signature(&fields[i]),
                                                          get_field, 0, fields[i].noisy ? 0 : EMITS);
        }
        *entry = (sd_bus_vtable)SD_BUS_VTABLE_END;
        *ret = table;
        return 0;
}

int bus_objects_prepare(struct bus *b) {
        int r;

        for (enum field_interface i = 0; i < _FIELDS_MAX; i++) {
                r = build_field_table(i, &b->field_tables[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

void bus_objects_release(struct bus *b) {
        for (enum field_interface i = 0; i < _FIELDS_MAX; i++) {
                free(b->field_tables[i]);
                b->field_tables[i] = NULL;
        }
}

int bus_objects_add(struct bus *b) {
        int r;

        for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
                r = sd_bus_add_object_vtable(b->connection, NULL, BUS_PATH, tables[i].interface,
                                             tables[i].table, b);
                if (r < 0)
                        return r;
        }
        for (enum field_interface i = 0; i < _FIELDS_MAX; i++) {
                r = sd_bus_add_object_vtable(b->connection, NULL, BUS_PATH, field_interfaces[i],
                                             b->field_tables[i], b);
                if (r < 0)
                        return r;
        }
        r = bus_records_add(b);
        return r < 0 ? r : bus_pairing_add(b);
}

/* PropertiesChanged */

/* Names that changed on one interface. */
struct changes {
        char *names[64];
        size_t n;
};

static void change(struct changes *c, const char *name, bool differs) {
        if (differs && c->n + 1 < sizeof(c->names) / sizeof(c->names[0]))
                c->names[c->n++] = (char *)name; /* sd-bus wants char ** and leaves them alone */
}

static void emit(struct bus *b, const char *interface, struct changes *c) {
        c->names[c->n] = NULL;
        if (c->n > 0)
                /* A bus that takes no more is noticed by bus.c; readers get the values by asking. */
                (void)sd_bus_emit_properties_changed_strv(b->connection, BUS_PATH, interface, c->names);
}

static void fields_changed(struct bus *b, const struct snapshot *old, const struct snapshot *newest) {
        for (enum field_interface i = 0; i < _FIELDS_MAX; i++) {
                struct changes c = {.n = 0};

                for (size_t k = 0; k < n_fields; k++)
                        if (fields[k].interface == i && !fields[k].noisy)
                                change(&c, fields[k].property, field_differs(&fields[k], old, newest));
                emit(b, field_interfaces[i], &c);
        }
}

static void relays_changed(struct bus *b, const struct snapshot *old, const struct snapshot *newest) {
        static const struct {
                const char *closed, *confirmed, *reason;
        } names[_RELAY_MAX] = {
                [RELAY_CHARGE] = {"ChargeClosed", "ChargeConfirmed", "ChargeReason"},
                [RELAY_LOAD] = {"LoadClosed", "LoadConfirmed", "LoadReason"},
        };
        struct changes c = {.n = 0};

        for (enum relay_id i = 0; i < _RELAY_MAX; i++) {
                const struct relay_snapshot *x = &old->relays[i], *y = &newest->relays[i];
                char before[BUS_SENTENCE_MAX], after[BUS_SENTENCE_MAX];

                relay_reason(old, i, before);
                relay_reason(newest, i, after);
                change(&c, names[i].closed, x->closed != y->closed);
                change(&c, names[i].confirmed, maybe_differs(x->confirmed, y->confirmed));
                change(&c, names[i].reason, strcmp(before, after) != 0);
        }
        change(&c, "RecoverRemaining",
               maybe_differs(old->recover_remaining_sec, newest->recover_remaining_sec));
        emit(b, BUS_INTERFACE_RELAYS, &c);
}

static void one_changed(struct bus *b, const char *interface, const char *property, bool differs) {
        struct changes c = {.n = 0};

        change(&c, property, differs);
        emit(b, interface, &c);
}

void bus_objects_changed(struct bus *b, const struct snapshot *old, const struct snapshot *newest) {
        relays_changed(b, old, newest);
        one_changed(b, BUS_INTERFACE_MANAGER, "Alarms", alarms_differ(old, newest));
        one_changed(b, BUS_INTERFACE_SETTINGS, "Values", !settings_equal(&old->settings, &newest->settings));
        fields_changed(b, old, newest);
        one_changed(b, BUS_INTERFACE_CELLS, "Cells", cells_differ(old, newest));
}
