/* SPDX-License-Identifier: MIT */
#include "reading.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "names.h"

static void copy_text(char *to, size_t size, const char *from) {
        snprintf(to, size, "%s", from);
}

static int read_value(sd_bus_message *m, enum field_kind kind, struct reading_value *ret) {
        bool yes;
        uint64_t u;
        int64_t x;
        int r;

        switch (kind) {
        case FIELD_WORD:
        case FIELD_TEXT:
                return client_read_text(m, ret->text, sizeof(ret->text));
        case FIELD_MAYBE:
        case FIELD_MAYBE64:
                return client_read_maybe(m, &ret->number);
        case FIELD_BOOL:
                r = client_read_bool(m, &yes);
                if (r >= 0)
                        ret->number = some64(yes);
                return r;
        case FIELD_INT:
                r = sd_bus_message_read(m, "x", &x);
                if (r >= 0)
                        ret->number = some64(x);
                return r;
        case FIELD_UINT64:
                r = sd_bus_message_read(m, "t", &u);
                if (r >= 0)
                        ret->number = some64(u > INT64_MAX ? INT64_MAX : (int64_t)u);
                return r;
        }
        return -EINVAL;
}

static const char *kind_signature(enum field_kind kind) {
        switch (kind) {
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
        return "";
}

static int field_index(const char *property) {
        for (size_t i = 0; i < n_fields; i++)
                if (strcmp(fields[i].property, property) == 0)
                        return (int)i;
        return -ENOENT;
}

static int on_field(void *userdata, const char *key, const char *contents, sd_bus_message *m) {
        struct reading *reading = userdata;
        const int i = field_index(key);

        /* A newer daemon's field, or one whose type has changed, is not shown. */
        if (i < 0 || strcmp(contents, kind_signature(fields[i].kind)) != 0)
                return sd_bus_message_skip(m, contents);
        return read_value(m, fields[i].kind, &reading->values[i]);
}

int reading_fetch(struct client *c, struct reading *ret) {
        sd_bus_message *call = NULL, *reply = NULL;
        int r;

        assert(n_fields <= READING_FIELDS_MAX);
        memset(ret, 0, sizeof(*ret));
        r = client_new_call(c, SMARTBMS_INTERFACE("Manager"), "GetSnapshot", &call);
        if (r == 0)
                r = client_send(c, call, CLIENT_READ_TIMEOUT_USEC, &reply);
        if (r == 0) {
                r = client_each_entry(reply, on_field, ret);
                r = r < 0 ? client_bad_reply(c, r) : 0;
        }
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        return r;
}

static int fetch_properties(struct client *c, const char *interface, client_entry_fn fn, void *userdata) {
        sd_bus_message *reply = NULL;
        int r;

        r = client_get_all(c, interface, &reply);
        if (r == 0) {
                r = client_each_entry(reply, fn, userdata);
                r = r < 0 ? client_bad_reply(c, r) : 0;
        }
        sd_bus_message_unref(reply);
        return r;
}

static int read_alarms(sd_bus_message *m, struct reading_manager *manager) {
        const char *name, *text;
        uint64_t age;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sts)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(sts)", &name, &age, &text)) > 0) {
                if (manager->n_alarms >= READING_ALARMS_MAX)
                        continue;
                struct reading_alarm *alarm = &manager->alarms[manager->n_alarms++];
                copy_text(alarm->name, sizeof(alarm->name), name);
                copy_text(alarm->text, sizeof(alarm->text), text);
                alarm->age = age;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

static int on_manager(void *userdata, const char *key, const char *contents, sd_bus_message *m) {
        struct reading_manager *manager = userdata;

        if (strcmp(key, "Version") == 0 && strcmp(contents, "s") == 0)
                return client_read_text(m, manager->version, sizeof(manager->version));
        if (strcmp(key, "Role") == 0 && strcmp(contents, "s") == 0)
                return client_read_text(m, manager->role, sizeof(manager->role));
        if (strcmp(key, "Alarms") == 0 && strcmp(contents, "a(sts)") == 0)
                return read_alarms(m, manager);
        return sd_bus_message_skip(m, contents);
}

int reading_fetch_manager(struct client *c, struct reading_manager *ret) {
        memset(ret, 0, sizeof(*ret));
        return fetch_properties(c, SMARTBMS_INTERFACE("Manager"), on_manager, ret);
}

static int on_relay(struct reading_relay *relay, const char *key, const char *contents, sd_bus_message *m) {
        if (strcmp(key, "Closed") == 0 && strcmp(contents, "b") == 0)
                return client_read_bool(m, &relay->closed);
        if (strcmp(key, "Mapped") == 0 && strcmp(contents, "b") == 0)
                return client_read_bool(m, &relay->mapped);
        if (strcmp(key, "Confirmed") == 0 && strcmp(contents, "(bx)") == 0)
                return client_read_maybe(m, &relay->confirmed);
        if (strcmp(key, "Reason") == 0 && strcmp(contents, "s") == 0)
                return client_read_text(m, relay->reason, sizeof(relay->reason));
        return sd_bus_message_skip(m, contents);
}

static int on_relays(void *userdata, const char *key, const char *contents, sd_bus_message *m) {
        struct reading_relays *relays = userdata;

        if (strncmp(key, "Charge", 6) == 0)
                return on_relay(&relays->relay[RELAY_CHARGE], key + 6, contents, m);
        if (strncmp(key, "Load", 4) == 0)
                return on_relay(&relays->relay[RELAY_LOAD], key + 4, contents, m);
        if (strcmp(key, "RecoverRemaining") == 0 && strcmp(contents, "(bx)") == 0)
                return client_read_maybe(m, &relays->recover_seconds);
        return sd_bus_message_skip(m, contents);
}

int reading_fetch_relays(struct client *c, struct reading_relays *ret) {
        memset(ret, 0, sizeof(*ret));
        return fetch_properties(c, SMARTBMS_INTERFACE("Relays"), on_relays, ret);
}

static int read_hold(sd_bus_message *m, struct reading_hold *hold) {
        const char *name, *rule, *text;
        int r;

        r = sd_bus_message_read(m, "ssy", &name, &rule, &hold->cell);
        if (r >= 0)
                r = client_read_maybe(m, &hold->value);
        if (r >= 0)
                r = client_read_maybe(m, &hold->limit);
        if (r >= 0)
                r = sd_bus_message_read(m, "ts", &hold->remaining, &text);
        if (r < 0)
                return r;
        copy_text(hold->name, sizeof(hold->name), name);
        copy_text(hold->rule, sizeof(hold->rule), rule);
        copy_text(hold->text, sizeof(hold->text), text);
        return 0;
}

static int read_holds(sd_bus_message *m, struct reading_why *why) {
        static const char hold_type[] = "ssy(bx)(bx)ts";
        struct reading_hold surplus;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ssy(bx)(bx)ts)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', hold_type)) > 0) {
                r = read_hold(m, why->n_holds < READING_HOLDS_MAX ? &why->holds[why->n_holds++] : &surplus);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

static int read_why(sd_bus_message *m, struct reading_why *why) {
        const char *rule;
        int r;

        r = client_read_bool(m, &why->closed);
        if (r >= 0)
                r = sd_bus_message_read(m, "tsy", &why->age, &rule, &why->cell);
        if (r < 0)
                return r;
        copy_text(why->rule, sizeof(why->rule), rule);
        r = client_read_maybe(m, &why->value);
        if (r >= 0)
                r = client_read_maybe(m, &why->limit);
        if (r >= 0)
                r = client_read_text(m, why->reason, sizeof(why->reason));
        if (r >= 0)
                r = read_holds(m, why);
        return r;
}

int reading_fetch_why(struct client *c, enum relay_id relay, struct reading_why *ret) {
        sd_bus_message *call = NULL, *reply = NULL;
        int r;

        memset(ret, 0, sizeof(*ret));
        r = client_new_call(c, SMARTBMS_INTERFACE("Relays"), "Why", &call);
        if (r != 0)
                return r;
        r = sd_bus_message_append(call, "s", relay_name(relay));
        r = r < 0 ? client_bad_reply(c, r) : client_send(c, call, CLIENT_READ_TIMEOUT_USEC, &reply);
        if (r == 0) {
                r = read_why(reply, ret);
                r = r < 0 ? client_bad_reply(c, r) : 0;
        }
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        return r;
}

static int read_cell(sd_bus_message *m, struct reading_cell *cell) {
        int r;

        r = sd_bus_message_read(m, "y", &cell->number);
        if (r >= 0)
                r = client_read_maybe(m, &cell->voltage_mv);
        if (r >= 0)
                r = client_read_maybe(m, &cell->temperature_decic);
        if (r >= 0)
                r = sd_bus_message_read(m, "t", &cell->age);
        if (r >= 0)
                r = client_read_bool(m, &cell->bypassing);
        if (r >= 0)
                r = client_read_bool(m, &cell->missing);
        if (r >= 0)
                r = client_read_bool(m, &cell->v_red);
        if (r >= 0)
                r = client_read_bool(m, &cell->t_red);
        return r;
}

static int on_cells(void *userdata, const char *key, const char *contents, sd_bus_message *m) {
        struct reading_cells *cells = userdata;
        struct reading_cell surplus;
        int r;

        if (strcmp(key, "Cells") != 0 || strcmp(contents, "a(y(bx)(bx)tbbbb)") != 0)
                return sd_bus_message_skip(m, contents);
        r = sd_bus_message_enter_container(m, 'a', "(y(bx)(bx)tbbbb)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', "y(bx)(bx)tbbbb")) > 0) {
                r = read_cell(m, cells->n < CELLS_MAX ? &cells->cells[cells->n++] : &surplus);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int reading_fetch_cells(struct client *c, struct reading_cells *ret) {
        memset(ret, 0, sizeof(*ret));
        return fetch_properties(c, SMARTBMS_INTERFACE("Cells"), on_cells, ret);
}

static int on_setting(void *userdata, const char *key, const char *contents, sd_bus_message *m) {
        struct settings *settings = userdata;
        const int setting = setting_find(key);
        char word[64], error[160];
        int64_t value;
        int r;

        if (setting >= 0 && strcmp(contents, "x") == 0) {
                r = sd_bus_message_read(m, "x", &value);
                if (r >= 0 && value >= INT32_MIN && value <= INT32_MAX)
                        settings->values[setting] = some((int32_t)value);
                return r;
        }
        if (setting >= 0 && strcmp(contents, "s") == 0) {
                r = client_read_text(m, word, sizeof(word));
                /* A word of a newer daemon stays unknown. */
                if (r >= 0)
                        (void)setting_parse(setting, word, &settings->values[setting], error, sizeof(error));
                return r;
        }
        return sd_bus_message_skip(m, contents);
}

struct both_settings {
        struct settings *values, *defaults;
};

static int on_settings(void *userdata, const char *key, const char *contents, sd_bus_message *m) {
        struct both_settings *both = userdata;

        if (strcmp(contents, "a{sv}") == 0 && strcmp(key, "Values") == 0)
                return client_each_entry(m, on_setting, both->values);
        if (strcmp(contents, "a{sv}") == 0 && strcmp(key, "Defaults") == 0)
                return client_each_entry(m, on_setting, both->defaults);
        return sd_bus_message_skip(m, contents);
}

int reading_fetch_settings(struct client *c, struct settings *ret_values, struct settings *ret_defaults) {
        struct settings ignored;
        struct both_settings both = {ret_values, ret_defaults ? ret_defaults : &ignored};

        memset(both.values, 0, sizeof(*both.values));
        memset(both.defaults, 0, sizeof(*both.defaults));
        return fetch_properties(c, SMARTBMS_INTERFACE("Settings"), on_settings, &both);
}

static const struct reading_value *find_value(const struct reading *r, const char *property) {
        const int i = field_index(property);

        assert(i >= 0);
        return &r->values[i];
}

struct maybe64 reading_number(const struct reading *r, const char *property) {
        return find_value(r, property)->number;
}

const char *reading_text(const struct reading *r, const char *property) {
        return find_value(r, property)->text;
}

bool reading_true(const struct reading *r, const char *property) {
        const struct maybe64 v = reading_number(r, property);

        return v.known && v.value != 0;
}

bool reading_stale(const struct reading *r) {
        return reading_true(r, "DataStale") || strcmp(reading_text(r, "LinkState"), "live") != 0;
}
