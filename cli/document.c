/* SPDX-License-Identifier: MIT */
#include "document.h"

#include <stdio.h>
#include <string.h>

#include "names.h"

static const struct {
        const char *name, *prefix;
} groups[] = {
        [GROUP_LINK] = {"link", "link_"},
        [GROUP_PACK] = {"pack", NULL},
        [GROUP_SOC] = {"soc", "soc_"},
        [GROUP_ENERGY] = {"energy", "energy_"},
        [GROUP_COUNTERS] = {"counters", "counter_"},
};
_Static_assert(sizeof(groups) / sizeof(groups[0]) == _GROUP_MAX, "every group has a name");

enum document_group document_group_of(const struct field *field) {
        for (int g = 0; g < _GROUP_MAX; g++)
                if (groups[g].prefix && strncmp(field->json, groups[g].prefix, strlen(groups[g].prefix)) == 0)
                        return g;
        return GROUP_PACK;
}

static void write_field(struct json *j, const struct field *field, const struct reading_value *value) {
        switch (field->kind) {
        case FIELD_BOOL:
                if (value->number.known)
                        json_bool(j, field->json, value->number.value);
                else
                        json_null(j, field->json);
                return;
        case FIELD_WORD:
        case FIELD_TEXT:
                json_string(j, field->json, value->text);
                return;
        case FIELD_INT:
        case FIELD_UINT64:
        case FIELD_MAYBE:
        case FIELD_MAYBE64:
                json_number(j, field->json, value->number, field->decimals);
                return;
        }
}

void document_group(struct json *j, enum document_group group, const struct reading *r) {
        json_object(j, groups[group].name);
        for (size_t i = 0; i < n_fields; i++)
                if (document_group_of(&fields[i]) == group)
                        write_field(j, &fields[i], &r->values[i]);
        json_close_object(j);
}

void document_age(struct json *j, usec_t age) {
        json_number(j, "age_s", age == USEC_INFINITY ? none64() : some64((int64_t)(age / USEC_PER_MSEC)), 3);
}

void document_confirmed(struct json *j, struct maybe64 confirmed) {
        if (confirmed.known)
                json_bool(j, "confirmed", confirmed.value);
        else
                json_null(j, "confirmed");
}

void document_relays(struct json *j, const struct reading_relays *relays) {
        json_object(j, "relays");
        for (int id = 0; id < _RELAY_MAX; id++) {
                const struct reading_relay *relay = &relays->relay[id];

                json_object(j, relay_name(id));
                json_bool(j, "closed", relay->closed);
                document_confirmed(j, relay->confirmed);
                json_bool(j, "mapped", relay->mapped);
                json_string(j, "reason", relay->reason);
                json_close_object(j);
        }
        json_number(j, "recover_remaining_s", relays->recover_seconds, 0);
        json_close_object(j);
}

void document_alarms(struct json *j, const struct reading_manager *manager) {
        json_array(j, "alarms");
        for (int i = 0; i < manager->n_alarms; i++) {
                const struct reading_alarm *alarm = &manager->alarms[i];

                json_object(j, NULL);
                json_string(j, "name", alarm->name);
                document_age(j, alarm->age);
                json_string(j, "text", alarm->text);
                json_close_object(j);
        }
        json_close_array(j);
}

void document_status(struct json *j, const char *time, const struct reading *r,
                     const struct reading_manager *manager, const struct reading_relays *relays) {
        json_object(j, NULL);
        if (time)
                json_string(j, "time", time);
        json_string(j, "version", manager->version);
        json_string(j, "role", manager->role);
        for (int g = 0; g < _GROUP_MAX; g++)
                document_group(j, g, r);
        document_relays(j, relays);
        document_alarms(j, manager);
        json_close_object(j);
}

static const struct {
        const char *suffix;
        unsigned decimals;
} setting_units[] = {
        [UNIT_MV] = {"_v", 3},      [UNIT_MA] = {"_a", 3},       [UNIT_WH] = {"_wh", 0},
        [UNIT_W] = {"_w", 0},       [UNIT_DECIC] = {"_degc", 1}, [UNIT_PERCENT] = {"_percent", 0},
        [UNIT_SECONDS] = {"_s", 0}, [UNIT_NUMBER] = {"", 0},     [UNIT_WORD] = {"", 0},
};

const char *document_setting_key(enum setting setting, char *ret, size_t size) {
        const struct setting_info *info = setting_info(setting);

        snprintf(ret, size, "%s%s", info->key, setting_units[info->unit].suffix);
        return ret;
}

void document_setting(struct json *j, const char *key, enum setting setting, struct maybe value) {
        const struct setting_info *info = setting_info(setting);
        char text[64];

        if (info->unit == UNIT_WORD && value.known) {
                setting_format(setting, value, text, sizeof(text));
                json_string(j, key, text);
                return;
        }
        json_number(j, key, value.known ? some64(value.value) : none64(), setting_units[info->unit].decimals);
}

enum rule document_rule(const char *name) {
        for (int i = 0; i < _RULE_MAX; i++)
                if (strcmp(rule_name(i), name) == 0)
                        return i;
        return _RULE_MAX;
}

void document_quantity(struct json *j, enum quantity quantity, struct maybe64 value, struct maybe64 limit) {
        static const struct {
                const char *value, *limit;
                unsigned decimals;
        } keys[] = {
                [QUANTITY_NONE] = {NULL, NULL, 0},
                [QUANTITY_MV] = {"value_v", "limit_v", 3},
                [QUANTITY_DECIC] = {"value_degc", "limit_degc", 1},
                [QUANTITY_PERMYRIAD] = {"value_percent", "limit_percent", 2},
        };

        if (quantity == QUANTITY_NONE)
                return;
        json_number(j, keys[quantity].value, value, keys[quantity].decimals);
        json_number(j, keys[quantity].limit, limit, keys[quantity].decimals);
}

void document_cell(struct json *j, uint8_t cell) {
        json_number(j, "cell", cell > 0 ? some64(cell) : none64(), 0);
}
