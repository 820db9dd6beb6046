/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOOKUP(table, i)                                                                                     \
        ((size_t)(i) < sizeof(table) / sizeof((table)[0]) && (table)[i] ? (table)[i] : "invalid")
#define COMPLETE(table, max)                                                                                 \
        _Static_assert(sizeof(table) / sizeof((table)[0]) == (max), #table " has a name for every value")

static const char *const link_states[] = {
        [LINK_STARTING] = "starting",
        [LINK_LIVE] = "live",
        [LINK_STALE] = "stale",
        [LINK_ERROR] = "error",
};
COMPLETE(link_states, _LINK_STATE_MAX);

static const char *const link_causes[] = {
        [LINK_CAUSE_NONE] = "none",           [LINK_CAUSE_SILENCE] = "silence",
        [LINK_CAUSE_IDENTICAL] = "identical", [LINK_CAUSE_CHAIN] = "chain",
        [LINK_CAUSE_BOARD] = "board",         [LINK_CAUSE_COUNT] = "count",
        [LINK_CAUSE_CELL_DEAD] = "cell-dead", [LINK_CAUSE_NO_READING] = "no-reading",
        [LINK_CAUSE_PORT] = "port",
};
COMPLETE(link_causes, _LINK_CAUSE_MAX);

static const char *const roles[] = {
        [ROLE_GATEWAY] = "gateway",
        [ROLE_MONITOR] = "monitor",
};

static const char *const rules[] = {
        [RULE_V_MAX] = "V-max",        [RULE_V_MIN] = "V-min",
        [RULE_FULL] = "full",          [RULE_FULL_PACK] = "full-pack",
        [RULE_T_MIN_CHARGE] = "T-min", [RULE_T_MIN_DISCHARGE] = "T-min-discharge",
        [RULE_T_MAX] = "T-max",        [RULE_T_MAX_CELL] = "T-max-cell",
        [RULE_START] = "start",        [RULE_LINK] = "link",
        [RULE_ERROR] = "error",        [RULE_UNCONFIRMED] = "unconfirmed",
        [RULE_RECOVER] = "recover",    [RULE_BOARD] = "board",
        [RULE_CLEAR] = "clear",        [RULE_FEEDBACK] = "feedback",
};
COMPLETE(rules, _RULE_MAX);

static const char *const holds[] = {
        [HOLD_LINK] = "link",
        [HOLD_RULE] = "rule",
        [HOLD_V_BYPASS] = "v-bypass",
        [HOLD_V_BYPASS_UNKNOWN] = "v-bypass-unknown",
        [HOLD_V_HYSTERESIS] = "v-hysteresis",
        [HOLD_T_HYSTERESIS] = "t-hysteresis",
        [HOLD_SOC] = "soc",
        [HOLD_DELAY] = "delay",
        [HOLD_RECOVERY] = "recovery",
        [HOLD_CYCLING] = "cycling",
        [HOLD_RELEASE] = "release",
        [HOLD_VMIN_TRIPS] = "vmin-trips",
        [HOLD_CONFIRM] = "confirm",
        [HOLD_BOARD] = "board",
        [HOLD_SETTINGS] = "settings",
        [HOLD_STATE] = "state",
};
COMPLETE(holds, _HOLD_MAX);

static const char *const relays[] = {
        [RELAY_CHARGE] = "charge",
        [RELAY_LOAD] = "load",
};
COMPLETE(relays, _RELAY_MAX);

static const char *const alarms[] = {
        [ALARM_COMMUNICATION] = "communication",
        [ALARM_STALE] = "stale",
        [ALARM_V_MAX] = "v-max",
        [ALARM_V_MIN] = "v-min",
        [ALARM_T_MAX] = "t-max",
        [ALARM_T_MIN] = "t-min",
        [ALARM_CAPACITY_UNSET] = "capacity-unset",
        [ALARM_CURRENT_CHECK] = "current-check",
        [ALARM_FROZEN] = "frozen",
        [ALARM_CELL_MISSING] = "cell-missing",
        [ALARM_SENSOR_LOST] = "sensor-lost",
        [ALARM_SENSOR_REVERSED] = "sensor-reversed",
        [ALARM_CYCLING_CHARGE] = "cycling-charge",
        [ALARM_CYCLING_LOAD] = "cycling-load",
        [ALARM_IMBALANCE] = "imbalance",
        [ALARM_IMBALANCE_WARNING] = "imbalance-warning",
        [ALARM_SETTINGS_CONFLICT] = "settings-conflict",
        [ALARM_INEFFECTIVE_CHARGE] = "ineffective-charge",
        [ALARM_INEFFECTIVE_LOAD] = "ineffective-load",
        [ALARM_RELAY_OUTPUT] = "relay-output",
        [ALARM_OUTPUT_PORT] = "output-port",
        [ALARM_STORAGE] = "storage",
        [ALARM_SETTINGS] = "settings",
        [ALARM_PANEL] = "panel",
};
COMPLETE(alarms, _ALARM_MAX);

static const char *const sensors[] = {
        [SOC_SENSOR_OK] = "ok",
        [SOC_SENSOR_LOST] = "lost",
        [SOC_SENSOR_REVERSED] = "reversed",
};
COMPLETE(sensors, _SOC_SENSOR_MAX);

static const char *const verdicts[] = {
        [ACCEPT_OK] = "ok",
        [ACCEPT_BAD_CHECKSUM] = "checksum",
        [ACCEPT_BAD_COUNT] = "count",
        [ACCEPT_BAD_VOLTAGE] = "voltage",
        [ACCEPT_BAD_PACK_VOLTAGE] = "pack-voltage",
        [ACCEPT_BAD_CELL_NUMBER] = "cell-number",
        [ACCEPT_BAD_TEMPERATURE] = "temperature",
        [ACCEPT_BAD_DETAIL] = "detail",
        [ACCEPT_BAD_CURRENT_SUM] = "current-sum",
};
COMPLETE(verdicts, _ACCEPT_MAX);

static const char *const codings[] = {
        [TEMPERATURE_SHEET] = "sheet",
        [TEMPERATURE_LEGACY] = "legacy",
};

static const char *const event_kinds[] = {
        [EVENT_RELAY_OPENED] = "relay-opened",
        [EVENT_RELAY_CLOSED] = "relay-closed",
        [EVENT_ALARM_RAISED] = "alarm-raised",
        [EVENT_ALARM_CLEARED] = "alarm-cleared",
        [EVENT_LINK] = "link",
        [EVENT_FULL_SYNC] = "full-sync",
        [EVENT_EMPTY_SYNC] = "empty-sync",
        [EVENT_CELLS_LEARNED] = "cells-learned",
        [EVENT_RECOVER] = "recover",
        [EVENT_STARTED] = "started",
        [EVENT_STOPPED] = "stopped",
        [EVENT_SETTING] = "setting",
        [EVENT_SETTINGS_CONFIRMED] = "settings-confirmed",
        [EVENT_COMMAND] = "command",
        [EVENT_ENERGY_CLEARED] = "energy-cleared",
        [EVENT_STORE] = "store",
        [EVENT_PHONE] = "phone",
};
COMPLETE(event_kinds, _EVENT_MAX);

const char *link_state_name(enum link_state state) {
        return LOOKUP(link_states, state);
}

const char *link_cause_name(enum link_cause cause) {
        return LOOKUP(link_causes, cause);
}

const char *role_name(enum role role) {
        return LOOKUP(roles, role);
}

const char *rule_name(enum rule rule) {
        return LOOKUP(rules, rule);
}

const char *hold_name(enum hold_kind kind) {
        return LOOKUP(holds, kind);
}

const char *relay_name(enum relay_id relay) {
        return LOOKUP(relays, relay);
}

int relay_from_name(const char *name) {
        for (int i = 0; i < _RELAY_MAX; i++)
                if (strcmp(name, relays[i]) == 0)
                        return i;
        return -ENOENT;
}

const char *alarm_name(enum alarm alarm) {
        return LOOKUP(alarms, alarm);
}

const char *soc_sensor_name(enum soc_sensor_state state) {
        return LOOKUP(sensors, state);
}

const char *accept_verdict_name(enum accept_verdict verdict) {
        return LOOKUP(verdicts, verdict);
}

const char *temperature_coding_name(enum temperature_coding coding) {
        return LOOKUP(codings, coding);
}

const char *event_kind_name(enum event_kind kind) {
        return LOOKUP(event_kinds, kind);
}

/* The quantities of one reason or hold, ready to be put into a sentence. */
struct words {
        char cell[16], value[32], limit[32];
};

enum quantity rule_quantity(enum rule rule) {
        switch (rule) {
        case RULE_V_MAX:
        case RULE_V_MIN:
        case RULE_FULL:
        case RULE_FULL_PACK:
                return QUANTITY_MV;
        case RULE_T_MIN_CHARGE:
        case RULE_T_MIN_DISCHARGE:
        case RULE_T_MAX:
        case RULE_T_MAX_CELL:
                return QUANTITY_DECIC;
        default: /* no table row: carries no quantity */
                return QUANTITY_NONE;
        }
}

enum quantity hold_quantity(enum hold_kind kind, enum rule rule) {
        switch (kind) {
        case HOLD_RULE:
                return rule_quantity(rule);
        case HOLD_V_BYPASS:
        case HOLD_V_HYSTERESIS:
                return QUANTITY_MV;
        case HOLD_T_HYSTERESIS:
                return QUANTITY_DECIC;
        case HOLD_SOC:
                return QUANTITY_PERMYRIAD;
        default: /* held by time, by the link or by hand */
                return QUANTITY_NONE;
        }
}

static void quantity_text(enum quantity quantity, struct maybe q, char ret[static 32]) {
        const char *sign = q.value < 0 ? "-" : "";
        /* INT32_MIN has no positive counterpart in 32 bits. */
        const unsigned v = q.value < 0 ? 0u - (unsigned)q.value : (unsigned)q.value;

        if (!q.known || quantity == QUANTITY_NONE)
                snprintf(ret, 32, "unknown");
        else if (quantity == QUANTITY_MV)
                snprintf(ret, 32, "%s%u.%03u V", sign, v / 1000, v % 1000);
        else if (quantity == QUANTITY_DECIC)
                snprintf(ret, 32, "%s%u.%u degC", sign, v / 10, v % 10);
        else
                snprintf(ret, 32, "%s%u.%02u %%", sign, v / 100, v % 100);
}

static struct words words_make(enum quantity quantity, uint8_t cell, struct maybe value, struct maybe limit) {
        struct words w;

        if (cell > 0)
                snprintf(w.cell, sizeof(w.cell), "cell %u", cell);
        else
                snprintf(w.cell, sizeof(w.cell), "a cell");
        quantity_text(quantity, value, w.value);
        quantity_text(quantity, limit, w.limit);
        return w;
}

static const char *permission(enum relay_id relay) {
        return relay == RELAY_CHARGE ? "charging" : "discharging";
}

/* Reasons that come from a reading against a limit: rows of the protection table. */
static void reading_reason_text(const struct reason *reason, char *ret_text, size_t size) {
        const struct words w =
                words_make(rule_quantity(reason->rule), reason->cell, reason->value, reason->limit);

        switch (reason->rule) {
        case RULE_V_MAX:
                snprintf(ret_text, size, "%s at %s reached V-max %s", w.cell, w.value, w.limit);
                break;
        case RULE_V_MIN:
                snprintf(ret_text, size, "%s at %s fell to V-min %s", w.cell, w.value, w.limit);
                break;
        case RULE_FULL:
                snprintf(ret_text, size, "full: every cell reached V-bypass %s (lowest: %s at %s)", w.limit,
                         w.cell, w.value);
                break;
        case RULE_FULL_PACK:
                snprintf(ret_text, size, "full: the pack at %s reached V-bypass times its cells, %s", w.value,
                         w.limit);
                break;
        case RULE_T_MIN_CHARGE:
                snprintf(ret_text, size, "%s at %s is below T-min %s", w.cell, w.value, w.limit);
                break;
        case RULE_T_MIN_DISCHARGE:
                snprintf(ret_text, size, "%s at %s is below T-min for discharging, %s", w.cell, w.value,
                         w.limit);
                break;
        case RULE_T_MAX:
        case RULE_T_MAX_CELL:
                snprintf(ret_text, size, "%s at %s is above T-max %s", w.cell, w.value, w.limit);
                break;
        default:
                snprintf(ret_text, size, "%s", rule_name(reason->rule));
        }
}

void reason_text(const struct reason *reason, enum relay_id relay, bool closed, char *ret_text, size_t size) {
        switch (reason->rule) {
        case RULE_START:
                snprintf(ret_text, size, "just started, nothing is decided yet");
                break;
        case RULE_LINK:
                snprintf(ret_text, size, "no usable messages from the cells");
                break;
        case RULE_ERROR:
                snprintf(ret_text, size, "communication error E");
                break;
        case RULE_UNCONFIRMED:
                snprintf(ret_text, size, "a limit was crossed, then no usable message came to confirm it");
                break;
        case RULE_RECOVER:
                snprintf(ret_text, size, closed ? "closed by `smartbmsctl recover`" : "`recover` has ended");
                break;
        case RULE_BOARD:
                snprintf(ret_text, size, "the OUT board %s %s", closed ? "permits" : "forbids",
                         permission(relay));
                break;
        case RULE_CLEAR:
                snprintf(ret_text, size, "every condition for %s holds", permission(relay));
                break;
        case RULE_FEEDBACK:
                snprintf(ret_text, size, "found closed by its feedback input at the start, and driven open");
                break;
        default:
                reading_reason_text(reason, ret_text, size);
        }
}

/* A tripped or pending rule: what would end it is the limit itself; hysteresis comes as a hold of its own. */
static void hold_rule_text(const struct hold *hold, char *ret_text, size_t size) {
        const struct words w = words_make(rule_quantity(hold->rule), hold->cell, hold->value, hold->limit);

        switch (hold->rule) {
        case RULE_V_MAX:
                snprintf(ret_text, size, "%s is at %s: must fall below V-max %s", w.cell, w.value, w.limit);
                break;
        case RULE_V_MIN:
                snprintf(ret_text, size, "%s is at %s: must rise above V-min %s", w.cell, w.value, w.limit);
                break;
        case RULE_FULL:
                snprintf(ret_text, size, "full: every cell is at V-bypass %s or above (lowest: %s at %s)",
                         w.limit, w.cell, w.value);
                break;
        case RULE_FULL_PACK:
                snprintf(ret_text, size, "full: the pack is at %s: must fall below %s", w.value, w.limit);
                break;
        case RULE_T_MIN_CHARGE:
                snprintf(ret_text, size, "%s is at %s: must rise above T-min %s", w.cell, w.value, w.limit);
                break;
        case RULE_T_MIN_DISCHARGE:
                snprintf(ret_text, size, "%s is at %s: must rise above T-min for discharging, %s", w.cell,
                         w.value, w.limit);
                break;
        case RULE_T_MAX:
        case RULE_T_MAX_CELL:
                snprintf(ret_text, size, "%s is at %s: must fall below T-max %s", w.cell, w.value, w.limit);
                break;
        case RULE_ERROR:
                snprintf(ret_text, size, "communication error E: must be repaired");
                break;
        case RULE_UNCONFIRMED:
                snprintf(ret_text, size, "a limit was crossed and not confirmed: needs usable messages");
                break;
        default:
                snprintf(ret_text, size, "%s", rule_name(hold->rule));
        }
}

static void hold_hysteresis_text(const struct hold *hold, char *ret_text, size_t size) {
        const struct words w =
                words_make(hold_quantity(hold->kind, hold->rule), hold->cell, hold->value, hold->limit);
        const bool rise = hold->rule == RULE_V_MIN || hold->rule == RULE_T_MIN_CHARGE ||
                          hold->rule == RULE_T_MIN_DISCHARGE;

        snprintf(ret_text, size, "%s is at %s: must %s to %s (hysteresis)", w.cell, w.value,
                 rise ? "rise" : "fall", w.limit);
}

static void hold_soc_text(const struct hold *hold, enum relay_id relay, char *ret_text, size_t size) {
        const struct words w = words_make(QUANTITY_PERMYRIAD, 0, hold->value, hold->limit);

        snprintf(ret_text, size,
                 relay == RELAY_CHARGE ? "SOC is %s: must fall below %s" : "SOC is %s: must rise to %s",
                 w.value, w.limit);
}

static void hold_v_bypass_text(const struct hold *hold, char *ret_text, size_t size) {
        const struct words w = words_make(QUANTITY_MV, hold->cell, hold->value, hold->limit);

        snprintf(ret_text, size, "%s is at %s: every cell must be below %s", w.cell, w.value, w.limit);
}

void hold_text(const struct hold *hold, enum relay_id relay, char *ret_text, size_t size) {
        /* Rounded up: "0 s left" would be a lie. */
        const unsigned long long seconds =
                hold->remaining / USEC_PER_SEC + (hold->remaining % USEC_PER_SEC > 0);

        switch (hold->kind) {
        case HOLD_LINK:
                snprintf(ret_text, size, "the link to the cells is not live: needs good messages");
                return;
        case HOLD_RULE:
                hold_rule_text(hold, ret_text, size);
                return;
        case HOLD_V_BYPASS:
                hold_v_bypass_text(hold, ret_text, size);
                return;
        case HOLD_V_BYPASS_UNKNOWN:
                snprintf(ret_text, size, "V-bypass is not known yet: needs messages that agree on it");
                return;
        case HOLD_V_HYSTERESIS:
        case HOLD_T_HYSTERESIS:
                hold_hysteresis_text(hold, ret_text, size);
                return;
        case HOLD_SOC:
                hold_soc_text(hold, relay, ret_text, size);
                return;
        case HOLD_DELAY:
                snprintf(ret_text, size, "restart delay: %llu s left", seconds);
                return;
        case HOLD_RECOVERY:
                snprintf(ret_text, size, "settling after the messages came back: %llu s left", seconds);
                return;
        case HOLD_CYCLING:
                snprintf(ret_text, size,
                         "closed %d times within an hour: %llu s left, or `smartbmsctl release %s`",
                         RELAY_CLOSINGS_PER_HOUR, seconds, relay_name(relay));
                return;
        case HOLD_RELEASE:
                snprintf(ret_text, size,
                         "cycling in a second hour within a day: %llu s left, or `smartbmsctl release %s`", seconds,
                         relay_name(relay));
                return;
        case HOLD_VMIN_TRIPS:
                snprintf(ret_text, size,
                         "%d V-min trips without charge: needs 1 %% of the capacity, or `smartbmsctl release "
                         "%s`",
                         RELAY_VMIN_TRIPS, relay_name(relay));
                return;
        case HOLD_CONFIRM:
                snprintf(ret_text, size, "all clear: the next good messages must confirm it");
                return;
        case HOLD_BOARD:
                snprintf(ret_text, size, "the OUT board forbids %s", permission(relay));
                return;
        case HOLD_SETTINGS:
                snprintf(ret_text, size,
                         "the stored settings were lost: needs `smartbmsctl settings confirm`");
                return;
        case HOLD_STATE:
                snprintf(ret_text, size, "what an earlier run left is still being read");
                return;
        case _HOLD_MAX:
                break;
        }
        snprintf(ret_text, size, "%s", hold_name(hold->kind));
}
