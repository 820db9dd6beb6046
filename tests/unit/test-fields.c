/* SPDX-License-Identifier: MIT */

/* The published readings: each has one name, one unit, and the member of the snapshot that it claims. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "fields.h"

static const struct field *find(const char *property) {
        for (size_t i = 0; i < n_fields; i++)
                if (strcmp(fields[i].property, property) == 0)
                        return &fields[i];
        fail_msg("no field %s", property);
        return NULL;
}

/* What a JSON reader gets: the D-Bus integer over 10^decimals, written as text. */
static void json_text(const struct field *field, const struct snapshot *s, char ret[static 512]) {
        const struct maybe64 v = field_value(field, s);
        long long scale = 1;

        for (int i = 0; i < field->decimals; i++)
                scale *= 10;
        if (!v.known)
                strcpy(ret, "null");
        else if (scale == 1)
                snprintf(ret, 512, "%lld", (long long)v.value);
        else
                snprintf(ret, 512, "%s%lld.%0*lld", v.value < 0 ? "-" : "",
                         (long long)(v.value < 0 ? -v.value : v.value) / scale, field->decimals,
                         (long long)(v.value < 0 ? -v.value : v.value) % scale);
}

static struct snapshot example(void) {
        return (struct snapshot){
                .serial = 77,
                .coding = TEMPERATURE_LEGACY,
                .link = LINK_ERROR,
                .link_cause = LINK_CAUSE_CHAIN,
                .communication_error = true,
                .link_text = "chain broken",
                .link_age_msec = {true, 1234},
                .period_msec = 500,
                .known_cells = {true, 16},
                .count = {true, 15},
                .data_stale = true,
                .pack_mv = {true, 53150},
                .in_ma = {true, 20125},
                .out_ma = {true, 8000},
                .current_ma = {true, -12125},
                .power_mw = {true, -637800},
                .in_mw = {true, 1063000},
                .out_mw = {true, 425200},
                .lowest_mv = {true, 3315},
                .lowest_mv_cell = {true, 11},
                .highest_mv = {true, 3325},
                .highest_mv_cell = {true, 3},
                .lowest_decic = {true, -55},
                .lowest_decic_cell = {true, 6},
                .highest_decic = {true, 210},
                .highest_decic_cell = {true, 2},
                .v_bypass_mv = {true, 3400},
                .critical = true,
                .deadman = true,
                .soc_permyriad = {true, 6205},
                .soc_uncertainty_permyriad = {true, 310},
                .calibrated = true,
                .sensor = SOC_SENSOR_REVERSED,
                .idle_draw_ma = {true, -250},
                .soc_uncounted_msec = {true, 2592000001},
                .energy_gap_msec = {true, 61500},
                .capacity_wh = {true, 5120},
                .stored_mwh = {true, 3176960},
                .today_mwh = {{true, 1001}, {true, 1002}, {true, 1003}, {true, 1004}},
                .total_mwh = {{true, 5000000000001}, {true, 2002}, {true, 2003}, {true, 2004}},
                .bytes = 580,
                .frames = 10,
                .skipped_bytes = 3,
                .refused_frames = 2,
        };
}

/* Property, JSON key and JSON number of every field, by the units of the design: mV, mA, mW, mWh and ms are
 * 1/1000, 0.01 % is 1/100, 0.1 degC is 1/10. */
static const struct {
        const char *property, *json, *value;
        enum field_interface interface;
} expected[] = {
        {"LinkState", "link_state", "error", FIELDS_PACK},
        {"LinkCause", "link_cause", "chain", FIELDS_PACK},
        {"LinkText", "link_text", "chain broken", FIELDS_PACK},
        {"LinkAge", "link_age_s", "1.234", FIELDS_PACK},
        {"LinkPeriod", "link_period_s", "0.500", FIELDS_PACK},
        {"CommunicationError", "link_communication_error", "1", FIELDS_PACK},
        {"DataStale", "link_data_stale", "1", FIELDS_PACK},
        {"TemperatureCoding", "link_temperature_coding", "legacy", FIELDS_PACK},
        {"KnownCells", "known_cells", "16", FIELDS_PACK},
        {"CellCount", "cell_count", "15", FIELDS_PACK},
        {"PackVoltage", "pack_voltage_v", "53.150", FIELDS_PACK},
        {"Current", "current_a", "-12.125", FIELDS_PACK},
        {"CurrentIn", "current_in_a", "20.125", FIELDS_PACK},
        {"CurrentOut", "current_out_a", "8.000", FIELDS_PACK},
        {"Power", "power_w", "-637.800", FIELDS_PACK},
        {"PowerIn", "power_in_w", "1063.000", FIELDS_PACK},
        {"PowerOut", "power_out_w", "425.200", FIELDS_PACK},
        {"LowestCellVoltage", "lowest_cell_voltage_v", "3.315", FIELDS_PACK},
        {"LowestCellVoltageCell", "lowest_cell_voltage_cell", "11", FIELDS_PACK},
        {"HighestCellVoltage", "highest_cell_voltage_v", "3.325", FIELDS_PACK},
        {"HighestCellVoltageCell", "highest_cell_voltage_cell", "3", FIELDS_PACK},
        {"LowestCellTemperature", "lowest_cell_temperature_degc", "-5.5", FIELDS_PACK},
        {"LowestCellTemperatureCell", "lowest_cell_temperature_cell", "6", FIELDS_PACK},
        {"HighestCellTemperature", "highest_cell_temperature_degc", "21.0", FIELDS_PACK},
        {"HighestCellTemperatureCell", "highest_cell_temperature_cell", "2", FIELDS_PACK},
        {"VBypass", "v_bypass_v", "3.400", FIELDS_PACK},
        {"Critical", "critical_mode", "1", FIELDS_PACK},
        {"HeartbeatAllowed", "heartbeat_allowed", "1", FIELDS_PACK},
        {"SOC", "soc_percent", "62.05", FIELDS_PACK},
        {"SOCUncertainty", "soc_uncertainty_percent", "3.10", FIELDS_PACK},
        {"SOCCalibrated", "soc_calibrated", "1", FIELDS_PACK},
        {"SOCSensor", "soc_sensor", "reversed", FIELDS_PACK},
        {"SOCIdleDraw", "soc_idle_draw_a", "-0.250", FIELDS_PACK},
        {"SOCUncounted", "soc_uncounted_s", "2592000.001", FIELDS_PACK},
        {"SOCCapacity", "soc_capacity_wh", "5120", FIELDS_PACK},
        {"BytesReceived", "counter_bytes", "580", FIELDS_PACK},
        {"FramesReceived", "counter_frames", "10", FIELDS_PACK},
        {"BytesSkipped", "counter_skipped_bytes", "3", FIELDS_PACK},
        {"FramesRefused", "counter_refused_frames", "2", FIELDS_PACK},
        {"SnapshotSerial", "counter_snapshots", "77", FIELDS_PACK},
        {"Stored", "energy_stored_wh", "3176.960", FIELDS_ENERGY},
        {"CollectedToday", "energy_collected_today_wh", "1.001", FIELDS_ENERGY},
        {"ConsumedToday", "energy_consumed_today_wh", "1.002", FIELDS_ENERGY},
        {"ChargedToday", "energy_charged_today_wh", "1.003", FIELDS_ENERGY},
        {"DischargedToday", "energy_discharged_today_wh", "1.004", FIELDS_ENERGY},
        {"CollectedTotal", "energy_collected_total_wh", "5000000000.001", FIELDS_ENERGY},
        {"ConsumedTotal", "energy_consumed_total_wh", "2.002", FIELDS_ENERGY},
        {"ChargedTotal", "energy_charged_total_wh", "2.003", FIELDS_ENERGY},
        {"DischargedTotal", "energy_discharged_total_wh", "2.004", FIELDS_ENERGY},
        {"Gap", "energy_gap_s", "61.500", FIELDS_ENERGY},
};

static bool is_text(const struct field *field) {
        return field->kind == FIELD_WORD || field->kind == FIELD_TEXT;
}

static void test_every_field_is_what_it_says(void **unused) {
        const struct snapshot s = example();

        (void)unused;
        assert_int_equal(n_fields, sizeof(expected) / sizeof(expected[0]));
        for (size_t i = 0; i < n_fields; i++) {
                const struct field *field = find(expected[i].property);
                char text[512];

                assert_string_equal(field->json, expected[i].json);
                assert_int_equal(field->interface, expected[i].interface);
                if (is_text(field)) {
                        assert_string_equal(field_text(field, &s), expected[i].value);
                        continue;
                }
                json_text(field, &s, text);
                assert_string_equal(text, expected[i].value);
        }
}

/* Nothing known: null, not 0. A counter or a flag is always known. */
static void test_unknown_is_never_zero(void **unused) {
        const struct snapshot s = {.at = 1};

        (void)unused;
        for (size_t i = 0; i < n_fields; i++) {
                if (is_text(&fields[i]))
                        continue;
                const bool maybe = fields[i].kind == FIELD_MAYBE || fields[i].kind == FIELD_MAYBE64;
                assert_int_equal(field_value(&fields[i], &s).known, !maybe);
                assert_int_equal(field_value(&fields[i], &s).value, 0);
        }
}

/* A value that was left behind while known is false must not leak. */
static void test_unknown_hides_its_value(void **unused) {
        struct snapshot s = {.pack_mv = {false, 53150}, .stored_mwh = {false, 1}};

        (void)unused;
        assert_false(field_value(find("PackVoltage"), &s).known);
        assert_int_equal(field_value(find("PackVoltage"), &s).value, 0);
        assert_int_equal(field_value(find("Stored"), &s).value, 0);
}

static void test_counters_beyond_int64_saturate(void **unused) {
        struct snapshot s = {.bytes = INT64_MAX};

        (void)unused;
        assert_true(field_value(find("BytesReceived"), &s).value == INT64_MAX);
        s.bytes = (uint64_t)INT64_MAX + 1;
        assert_true(field_value(find("BytesReceived"), &s).value == INT64_MAX);
        s.bytes = (uint64_t)INT64_MAX - 1;
        assert_true(field_value(find("BytesReceived"), &s).value == INT64_MAX - 1);
}

static bool ends_with(const char *s, const char *end) {
        const size_t n = strlen(s), m = strlen(end);

        return n >= m && strcmp(s + n - m, end) == 0;
}

/* A name is used once, over both interfaces (GetSnapshot has them all in one dictionary), and the JSON key
 * ends with the unit that people are shown. */
static void test_names_are_unique_and_carry_the_unit(void **unused) {
        static const struct {
                const char *unit, *suffix;
        } units[] = {{"V", "_v"},
                     {"A", "_a"},
                     {"W", "_w"},
                     {"Wh", "_wh"},
                     {"degC", "_degc"},
                     {"%", "_percent"},
                     {"points", "_percent"},
                     {"s", "_s"},
                     {"s ago", "_s"}};

        (void)unused;
        for (size_t i = 0; i < n_fields; i++) {
                bool known = fields[i].unit[0] == '\0';

                for (size_t j = 0; j < i; j++) {
                        assert_string_not_equal(fields[i].property, fields[j].property);
                        assert_string_not_equal(fields[i].json, fields[j].json);
                        assert_true(fields[i].offset != fields[j].offset);
                }
                assert_true(isupper((unsigned char)fields[i].property[0]));
                assert_string_not_equal(fields[i].label, "");
                assert_true((fields[i].word != NULL) == (fields[i].kind == FIELD_WORD));
                for (size_t k = 0; k < sizeof(units) / sizeof(units[0]); k++)
                        if (strcmp(units[k].unit, fields[i].unit) == 0) {
                                assert_true(ends_with(fields[i].json, units[k].suffix));
                                known = true;
                        }
                assert_true(known);
        }
}

/* What changes with every message by its nature would wake every listener twice a second. */
static void test_noisy_fields(void **unused) {
        static const char *const noisy[] = {"LinkAge",      "BytesReceived", "FramesReceived",
                                            "BytesSkipped", "FramesRefused", "SnapshotSerial"};
        size_t n = 0;

        (void)unused;
        for (size_t i = 0; i < n_fields; i++)
                n += fields[i].noisy;
        assert_int_equal(n, sizeof(noisy) / sizeof(noisy[0]));
        for (size_t i = 0; i < sizeof(noisy) / sizeof(noisy[0]); i++)
                assert_true(find(noisy[i])->noisy);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_field_is_what_it_says),
                cmocka_unit_test(test_unknown_is_never_zero),
                cmocka_unit_test(test_unknown_hides_its_value),
                cmocka_unit_test(test_counters_beyond_int64_saturate),
                cmocka_unit_test(test_names_are_unique_and_carry_the_unit),
                cmocka_unit_test(test_noisy_fields),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
