/* SPDX-License-Identifier: MIT */
#include "fields.h"

#include <assert.h>
#include <string.h>

#include "names.h"

/* Enum to word with one signature for the table; the enum's width is int (checked below). */
static const char *word_link_state(int value) {
        return link_state_name((enum link_state)value);
}

static const char *word_link_cause(int value) {
        return link_cause_name((enum link_cause)value);
}

static const char *word_sensor(int value) {
        return soc_sensor_name((enum soc_sensor_state)value);
}

static const char *word_coding(int value) {
        return temperature_coding_name((enum temperature_coding)value);
}

_Static_assert(sizeof(enum link_state) == sizeof(int) && sizeof(enum link_cause) == sizeof(int) &&
                       sizeof(enum soc_sensor_state) == sizeof(int) &&
                       sizeof(enum temperature_coding) == sizeof(int),
               "FIELD_WORD members are read as int");

/* One row a scalar. The decimals turn the D-Bus integer into the JSON number: mV, mA, mW, mWh and ms have 3,
 * permyriad has 2, 0.1 degC has 1. Role and version belong to Manager, recover_remaining_sec to Relays; `at`
 * is the daemon's own clock and means nothing outside. */
#define FIELD(iface, prop, key, human, unit_, kind_, member, decimals_, ...)                                 \
        {                                                                                                    \
                .interface = (iface), .property = (prop), .json = (key), .label = (human), .unit = (unit_),  \
                .kind = (kind_), .decimals = (decimals_), .offset = offsetof(struct snapshot, member),       \
                __VA_ARGS__                                                                                  \
        }
#define PACK_FIELD(...) FIELD(FIELDS_PACK, __VA_ARGS__)
#define ENERGY_FIELD(...) FIELD(FIELDS_ENERGY, __VA_ARGS__)

const struct field fields[] = {
        PACK_FIELD("LinkState", "link_state", "link", "", FIELD_WORD, link, 0, .word = word_link_state),
        PACK_FIELD("LinkCause", "link_cause", "link cause", "", FIELD_WORD, link_cause, 0,
                   .word = word_link_cause),
        PACK_FIELD("LinkText", "link_text", "link trouble", "", FIELD_TEXT, link_text, 0),
        PACK_FIELD("LinkAge", "link_age_s", "last good message", "s ago", FIELD_MAYBE, link_age_msec, 3,
                   .noisy = true),
        PACK_FIELD("LinkPeriod", "link_period_s", "message period", "s", FIELD_INT, period_msec, 3),
        PACK_FIELD("CommunicationError", "link_communication_error", "communication error", "", FIELD_BOOL,
                   communication_error, 0),
        PACK_FIELD("DataStale", "link_data_stale", "readings are old", "", FIELD_BOOL, data_stale, 0),
        PACK_FIELD("TemperatureCoding", "link_temperature_coding", "temperature coding", "", FIELD_WORD,
                   coding, 0, .word = word_coding),

        PACK_FIELD("KnownCells", "known_cells", "known cells", "", FIELD_MAYBE, known_cells, 0),
        PACK_FIELD("CellCount", "cell_count", "cells heard", "", FIELD_MAYBE, count, 0),
        PACK_FIELD("PackVoltage", "pack_voltage_v", "pack voltage", "V", FIELD_MAYBE, pack_mv, 3),
        PACK_FIELD("Current", "current_a", "battery current", "A", FIELD_MAYBE, current_ma, 3),
        PACK_FIELD("CurrentIn", "current_in_a", "current in", "A", FIELD_MAYBE, in_ma, 3),
        PACK_FIELD("CurrentOut", "current_out_a", "current out", "A", FIELD_MAYBE, out_ma, 3),
        PACK_FIELD("Power", "power_w", "battery power", "W", FIELD_MAYBE, power_mw, 3),
        PACK_FIELD("PowerIn", "power_in_w", "power in", "W", FIELD_MAYBE, in_mw, 3),
        PACK_FIELD("PowerOut", "power_out_w", "power out", "W", FIELD_MAYBE, out_mw, 3),
        PACK_FIELD("LowestCellVoltage", "lowest_cell_voltage_v", "lowest cell", "V", FIELD_MAYBE, lowest_mv,
                   3),
        PACK_FIELD("LowestCellVoltageCell", "lowest_cell_voltage_cell", "number of the lowest cell", "",
                   FIELD_MAYBE, lowest_mv_cell, 0),
        PACK_FIELD("HighestCellVoltage", "highest_cell_voltage_v", "highest cell", "V", FIELD_MAYBE,
                   highest_mv, 3),
        PACK_FIELD("HighestCellVoltageCell", "highest_cell_voltage_cell", "number of the highest cell", "",
                   FIELD_MAYBE, highest_mv_cell, 0),
        PACK_FIELD("LowestCellTemperature", "lowest_cell_temperature_degc", "coldest cell", "degC",
                   FIELD_MAYBE, lowest_decic, 1),
        PACK_FIELD("LowestCellTemperatureCell", "lowest_cell_temperature_cell", "number of the coldest cell",
                   "", FIELD_MAYBE, lowest_decic_cell, 0),
        PACK_FIELD("HighestCellTemperature", "highest_cell_temperature_degc", "hottest cell", "degC",
                   FIELD_MAYBE, highest_decic, 1),
        PACK_FIELD("HighestCellTemperatureCell", "highest_cell_temperature_cell",
                   "number of the hottest cell", "", FIELD_MAYBE, highest_decic_cell, 0),
        PACK_FIELD("VBypass", "v_bypass_v", "V-bypass", "V", FIELD_MAYBE, v_bypass_mv, 3),
        PACK_FIELD("Critical", "critical_mode", "critical mode", "", FIELD_BOOL, critical, 0),
        PACK_FIELD("HeartbeatAllowed", "heartbeat_allowed", "heartbeat allowed", "", FIELD_BOOL, deadman, 0),

        PACK_FIELD("SOC", "soc_percent", "state of charge", "%", FIELD_MAYBE, soc_permyriad, 2),
        PACK_FIELD("SOCUncertainty", "soc_uncertainty_percent", "uncertainty", "points", FIELD_MAYBE,
                   soc_uncertainty_permyriad, 2),
        PACK_FIELD("SOCCalibrated", "soc_calibrated", "calibrated", "", FIELD_BOOL, calibrated, 0),
        PACK_FIELD("SOCSensor", "soc_sensor", "current sensors", "", FIELD_WORD, sensor, 0,
                   .word = word_sensor),
        PACK_FIELD("SOCIdleDraw", "soc_idle_draw_a", "learned idle draw", "A", FIELD_MAYBE, idle_draw_ma, 3),
        PACK_FIELD("SOCUncounted", "soc_uncounted_s", "current not known since the last sync", "s", FIELD_MAYBE64,
                   soc_uncounted_msec, 3),
        PACK_FIELD("SOCCapacity", "soc_capacity_wh", "capacity", "Wh", FIELD_MAYBE, capacity_wh, 0),

        PACK_FIELD("BytesReceived", "counter_bytes", "bytes received", "", FIELD_UINT64, bytes, 0,
                   .noisy = true),
        PACK_FIELD("FramesReceived", "counter_frames", "messages received", "", FIELD_UINT64, frames, 0,
                   .noisy = true),
        PACK_FIELD("BytesSkipped", "counter_skipped_bytes", "bytes skipped", "", FIELD_UINT64, skipped_bytes,
                   0, .noisy = true),
        PACK_FIELD("FramesRefused", "counter_refused_frames", "messages refused", "", FIELD_UINT64,
                   refused_frames, 0, .noisy = true),
        PACK_FIELD("SnapshotSerial", "counter_snapshots", "snapshots", "", FIELD_UINT64, serial, 0,
                   .noisy = true),

        ENERGY_FIELD("Stored", "energy_stored_wh", "stored", "Wh", FIELD_MAYBE64, stored_mwh, 3),
        ENERGY_FIELD("CollectedToday", "energy_collected_today_wh", "collected today", "Wh", FIELD_MAYBE64,
                     today_mwh[ENERGY_COLLECTED], 3),
        ENERGY_FIELD("ConsumedToday", "energy_consumed_today_wh", "consumed today", "Wh", FIELD_MAYBE64,
                     today_mwh[ENERGY_CONSUMED], 3),
        ENERGY_FIELD("ChargedToday", "energy_charged_today_wh", "charged today", "Wh", FIELD_MAYBE64,
                     today_mwh[ENERGY_CHARGED], 3),
        ENERGY_FIELD("DischargedToday", "energy_discharged_today_wh", "discharged today", "Wh", FIELD_MAYBE64,
                     today_mwh[ENERGY_DISCHARGED], 3),
        ENERGY_FIELD("CollectedTotal", "energy_collected_total_wh", "collected in total", "Wh", FIELD_MAYBE64,
                     total_mwh[ENERGY_COLLECTED], 3),
        ENERGY_FIELD("ConsumedTotal", "energy_consumed_total_wh", "consumed in total", "Wh", FIELD_MAYBE64,
                     total_mwh[ENERGY_CONSUMED], 3),
        ENERGY_FIELD("ChargedTotal", "energy_charged_total_wh", "charged in total", "Wh", FIELD_MAYBE64,
                     total_mwh[ENERGY_CHARGED], 3),
        ENERGY_FIELD("DischargedTotal", "energy_discharged_total_wh", "discharged in total", "Wh",
                     FIELD_MAYBE64, total_mwh[ENERGY_DISCHARGED], 3),
        ENERGY_FIELD("Gap", "energy_gap_s", "not counted since the start", "s", FIELD_MAYBE64, energy_gap_msec, 3),
};

const size_t n_fields = sizeof(fields) / sizeof(fields[0]);

/* The member, copied: an offset into a byte array has no alignment the compiler would know of. */
static void field_read(const struct field *field, const struct snapshot *s, void *ret, size_t size) {
        memcpy(ret, (const char *)s + field->offset, size);
}

struct maybe64 field_value(const struct field *field, const struct snapshot *s) {
        union {
                bool yes;
                int32_t i32;
                uint64_t u64;
                struct maybe maybe;
                struct maybe64 maybe64;
        } v;

        switch (field->kind) {
        case FIELD_BOOL:
                field_read(field, s, &v.yes, sizeof(v.yes));
                return some64(v.yes);
        case FIELD_INT:
                field_read(field, s, &v.i32, sizeof(v.i32));
                return some64(v.i32);
        case FIELD_UINT64:
                field_read(field, s, &v.u64, sizeof(v.u64));
                return some64(v.u64 > INT64_MAX ? INT64_MAX : (int64_t)v.u64);
        case FIELD_MAYBE:
                field_read(field, s, &v.maybe, sizeof(v.maybe));
                return v.maybe.known ? some64(v.maybe.value) : none64();
        case FIELD_MAYBE64:
                field_read(field, s, &v.maybe64, sizeof(v.maybe64));
                return v.maybe64.known ? v.maybe64 : none64();
        case FIELD_WORD:
        case FIELD_TEXT:
                break;
        }
        assert(false);
        return none64();
}

const char *field_text(const struct field *field, const struct snapshot *s) {
        int value;

        if (field->kind == FIELD_TEXT)
                return (const char *)s + field->offset;

        assert(field->kind == FIELD_WORD);
        field_read(field, s, &value, sizeof(value));
        return field->word(value);
}
