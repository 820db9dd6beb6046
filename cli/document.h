/* SPDX-License-Identifier: MIT */
#pragma once

/* The readings as JSON, the same groups and keys in every verb (smartbmsctl(1), JSON). */

#include "json.h"
#include "names.h"
#include "reading.h"

enum document_group {
        GROUP_LINK,     /* keys link_* */
        GROUP_PACK,     /* everything without a group of its own */
        GROUP_SOC,      /* soc_* */
        GROUP_ENERGY,   /* energy_* */
        GROUP_COUNTERS, /* counter_* */
        _GROUP_MAX,
};

enum document_group document_group_of(const struct field *field);

void document_group(struct json *j, enum document_group group, const struct reading *r);
void document_relays(struct json *j, const struct reading_relays *relays);
void document_alarms(struct json *j, const struct reading_manager *manager);

/* "age_s"; null for USEC_INFINITY, never. */
void document_age(struct json *j, usec_t age);

/* "closed": commanded, "confirmed": null without a feedback input (P16). */
void document_confirmed(struct json *j, struct maybe64 confirmed);

/* The whole of status and monitor. time: an ISO 8601 instant, or NULL for none. */
void document_status(struct json *j, const char *time, const struct reading *r,
                     const struct reading_manager *manager, const struct reading_relays *relays);

/* "vmin_v": 2.800; words as strings, unset as null. */
void document_setting(struct json *j, const char *key, enum setting setting, struct maybe value);
const char *document_setting_key(enum setting setting, char *ret, size_t size);

/* The rule of this name; _RULE_MAX for none that is known. */
enum rule document_rule(const char *name);

/* The unit is in the key, so it follows the quantity: "value_v", "limit_degc", "value_percent". What has no quantity
 * (link, start) has neither key. */
void document_quantity(struct json *j, enum quantity quantity, struct maybe64 value, struct maybe64 limit);
void document_cell(struct json *j, uint8_t cell); /* "cell"; 0 is none */
