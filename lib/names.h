/* SPDX-License-Identifier: MIT */
#pragma once

/* Words for enums, and sentences for reasons and holds: the one place where a person's words are made. */

#include "bms.h"
#include "snapshot.h"

const char *link_state_name(enum link_state state); /* "starting", "live", "stale", "error" */
const char *link_cause_name(enum link_cause cause); /* "none", "silence", ... */
const char *role_name(enum role role);              /* "gateway", "monitor" */
const char *rule_name(enum rule rule);       /* "V-max", "full", "link", ... stable: used in D-Bus and JSON */
const char *hold_name(enum hold_kind kind);  /* "link", "rule", "soc", ... stable */
const char *relay_name(enum relay_id relay); /* "charge", "load" */
int relay_from_name(const char *name);       /* enum relay_id, or -ENOENT */
const char *alarm_name(enum alarm alarm);    /* "communication", "v-max", ... stable */
const char *soc_sensor_name(enum soc_sensor_state state); /* "ok", "lost", "reversed" */
const char *accept_verdict_name(enum accept_verdict verdict);
const char *temperature_coding_name(enum temperature_coding coding); /* "sheet", "legacy" */
const char *event_kind_name(enum event_kind kind); /* "relay-opened", ... as in conf/org.smartbms1.xml */

/* What the value and limit of a reason or hold count. */
enum quantity { QUANTITY_NONE, QUANTITY_MV, QUANTITY_DECIC, QUANTITY_PERMYRIAD };
enum quantity rule_quantity(enum rule rule);
enum quantity hold_quantity(enum hold_kind kind, enum rule rule);

/* "cell 3 at 3.655 V reached V-max 3.650 V". relay: whose reason it is; closed: what it is now. The age is
 * not part of it: reason.at stands beside it. Writes a truncated sentence when size is too small; 128 bytes
 * are enough. */
void reason_text(const struct reason *reason, enum relay_id relay, bool closed, char *ret_text, size_t size);

/* What holds it and what would release it: "cell 3 is at 3.62 V: must fall to 3.60 V", "restart delay: 42 s
 * left", "SOC 97.0 %: must fall below 95 %". */
void hold_text(const struct hold *hold, enum relay_id relay, char *ret_text, size_t size);
