/* SPDX-License-Identifier: MIT */
/* lib/settings.c against the table of design 8, written out here a second time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "settings.h"

#define UNSET INT32_MIN

static const struct {
        const char *key;
        enum setting_unit unit;
        int32_t min, max, standard;
} design[] = {
        {"capacity", UNIT_WH, 10, 10000000, UNSET},
        {"solar_peak", UNIT_W, 0, 655350, UNSET},
        {"inverter_peak", UNIT_W, 0, 655350, UNSET},
        {"vmin", UNIT_MV, 2000, 4000, 2800},
        {"vmax", UNIT_MV, 2500, 4500, 3650},
        {"vmin_hysteresis", UNIT_MV, 0, 500, 200},
        {"vmax_hysteresis", UNIT_MV, 0, 500, 50},
        {"tmin", UNIT_DECIC, -400, 400, 0},
        {"tmax", UNIT_DECIC, 200, 850, 550},
        {"tmax_bypass", UNIT_DECIC, 200, 850, UNSET},
        {"tmin_discharge", UNIT_DECIC, -400, 400, UNSET},
        {"t_hysteresis", UNIT_DECIC, 5, 200, 20},
        {"charge_restart", UNIT_PERCENT, 1, 99, 95},
        {"discharge_restart", UNIT_PERCENT, 0, 98, 20},
        {"charge_restart_delay", UNIT_SECONDS, 0, 3600, 60},
        {"discharge_restart_delay", UNIT_SECONDS, 0, 3600, 60},
        {"mode", UNIT_WORD, 0, 2, 0},
        {"wiring", UNIT_WORD, 0, 1, 0},
        {"sensors", UNIT_WORD, 0, 2, 0},
        {"trip_frames", UNIT_NUMBER, 1, 3, 2},
        {"full_tail_current", UNIT_MA, 0, 1000000, UNSET},
        {"cell_nominal", UNIT_MV, 2000, 4000, 3200},
        {"charge_efficiency", UNIT_PERCENT, 80, 100, 99},
};

static void test_table_is_the_design(void **state) {
        struct settings s;

        (void) state;
        assert_int_equal(sizeof(design) / sizeof(design[0]), _SETTING_MAX);
        settings_init(&s);
        for (int i = 0; i < _SETTING_MAX; i++) {
                const struct setting_info *info = setting_info((enum setting) i);

                assert_string_equal(info->key, design[i].key);
                assert_int_equal(setting_find(design[i].key), i);
                assert_int_equal(info->unit, design[i].unit);
                assert_int_equal(info->min, design[i].min);
                assert_int_equal(info->max, design[i].max);
                assert_int_equal(info->optional, design[i].standard == UNSET);
                assert_int_equal(info->standard.known, design[i].standard != UNSET);
                assert_int_equal(s.values[i].known, design[i].standard != UNSET);
                if (design[i].standard != UNSET) {
                        assert_int_equal(info->standard.value, design[i].standard);
                        assert_int_equal(settings_get(&s, (enum setting) i), design[i].standard);
                } else
                        assert_int_equal(info->standard.value, 0);
                assert_int_equal(info->unit == UNIT_WORD, info->words != NULL);
                assert_true(strlen(info->help) > 20);
                assert_null(strchr(info->help, '\n'));
        }
        assert_non_null(strstr(setting_info(SETTING_CAPACITY)->help, "75 %"));
        assert_int_equal(setting_find("vmni"), -ENOENT);
        assert_int_equal(setting_find(""), -ENOENT);
        assert_int_equal(setting_find("VMIN"), -ENOENT);
        assert_int_equal(setting_find(NULL), -ENOENT);
}

static void test_parse_accepts(void **state) {
        static const struct {
                enum setting setting;
                const char *text;
                int32_t value;
        } cases[] = {
                {SETTING_VMAX, "3650mV", 3650},
                {SETTING_VMAX, "3.65V", 3650},
                {SETTING_VMAX, "3.650000000000000000000000V", 3650},
                {SETTING_VMAX, "3650", 3650},
                {SETTING_VMAX, "3650.0mV", 3650},
                {SETTING_VMAX, "3650mv", 3650},
                {SETTING_VMAX, "3.65v", 3650},
                {SETTING_VMAX, "3.650 V", 3650},
                {SETTING_VMAX, "0003.65   V", 3650},
                {SETTING_VMAX, "+3.65V", 3650},
                {SETTING_FULL_TAIL_CURRENT, "2.5A", 2500},
                {SETTING_FULL_TAIL_CURRENT, "2500mA", 2500},
                {SETTING_FULL_TAIL_CURRENT, "0", 0},
                {SETTING_FULL_TAIL_CURRENT, "off", UNSET},
                {SETTING_FULL_TAIL_CURRENT, "1000A", 1000000},
                {SETTING_CAPACITY, "1920Wh", 1920},
                {SETTING_CAPACITY, "1.92kWh", 1920},
                {SETTING_CAPACITY, "1.92KWH", 1920},
                {SETTING_CAPACITY, "1920", 1920},
                {SETTING_CAPACITY, "unset", UNSET},
                {SETTING_CAPACITY, "Unset", UNSET},
                {SETTING_CAPACITY, "10000 kWh", 10000000},
                {SETTING_SOLAR_PEAK, "2.5kW", 2500},
                {SETTING_SOLAR_PEAK, "655350W", 655350},
                {SETTING_TMIN, "-5.5C", -55},
                {SETTING_TMIN, "-5.5", -55},
                {SETTING_TMIN, "-0.1degC", -1},
                {SETTING_TMIN, "-0", 0},
                {SETTING_TMIN, "5 \xc2\xb0" "C", 50},
                {SETTING_TMAX, "55", 550},
                {SETTING_TMAX, "55.0degc", 550},
                {SETTING_CHARGE_RESTART, "95%", 95},
                {SETTING_CHARGE_RESTART, "95 %", 95},
                {SETTING_CHARGE_RESTART, "95.0", 95},
                {SETTING_CHARGE_RESTART_DELAY, "60s", 60},
                {SETTING_CHARGE_RESTART_DELAY, "5min", 300},
                {SETTING_CHARGE_RESTART_DELAY, "1h", 3600},
                {SETTING_CHARGE_RESTART_DELAY, "0.0025h", 9},
                {SETTING_CHARGE_RESTART_DELAY, "1.55min", 93},
                {SETTING_MODE, "critical", MODE_CRITICAL},
                {SETTING_MODE, "Board", MODE_BOARD},
                {SETTING_WIRING, "series", WIRING_SERIES},
                {SETTING_SENSORS, "auto", SENSORS_AUTO},
                {SETTING_SENSORS, "1", SENSORS_1},
                {SETTING_SENSORS, "2", SENSORS_2},
                {SETTING_TRIP_FRAMES, "3", 3},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct maybe value = some(-12345);
                char error[200] = "untouched";

                print_message("case %zu\n", i);
                assert_int_equal(setting_parse(cases[i].setting, cases[i].text, &value, error, sizeof(error)), 0);
                assert_int_equal(value.known, cases[i].value != UNSET);
                assert_int_equal(value.value, cases[i].value != UNSET ? cases[i].value : 0);
                assert_string_equal(error, "untouched");
        }
}

static void test_parse_refuses(void **state) {
        static const struct {
                enum setting setting;
                const char *text;
                int error;
                const char *says;
        } cases[] = {
                {SETTING_VMIN, "3.65", -EINVAL,
                 "vmin: '3.65' has no unit; say 3.65V or 3650mV (2.000 V to 4.000 V)"},
                {SETTING_VMIN, "2800.0", -EINVAL, "'2800.0' has no unit; say V or mV ("},
                {SETTING_VMIN, "99999999999999999999.5", -EINVAL, "has no unit; say V or mV ("},
                {SETTING_VMIN, "3.65555", -EINVAL, "say V or mV"},
                {SETTING_CAPACITY, "1.92", -EINVAL, "say 1.92kWh or 1920Wh (10 Wh to 10000000 Wh, or unset)"},
                {SETTING_SOLAR_PEAK, "2.5", -EINVAL, "say 2.5kW or 2500W"},
                {SETTING_FULL_TAIL_CURRENT, "2.5", -EINVAL, "say 2.5A or 2500mA"},
                {SETTING_VMAX, "3~ x", -EINVAL, "'3~ x' is not a value"},
                {SETTING_VMAX, "3.6555V", -EINVAL, "finer"},
                {SETTING_VMAX, "3650.5mV", -EINVAL, "finer"},
                {SETTING_VMAX, "3.65000000000000000000000000001V", -EINVAL, "finer"},
                {SETTING_VMAX, "3.6500000001V", -EINVAL, "finer"},
                {SETTING_TMAX, "55.05", -EINVAL, "finer"},
                {SETTING_CHARGE_RESTART, "95.5%", -EINVAL, "finer"},
                {SETTING_CHARGE_RESTART_DELAY, "0.0001h", -EINVAL, "finer"},
                {SETTING_CHARGE_RESTART_DELAY, "1.5", -EINVAL, "finer"},
                {SETTING_TRIP_FRAMES, "2.5", -EINVAL, "finer"},
                {SETTING_VMAX, "3650MV", -EINVAL, "not a value"}, /* megavolts */
                {SETTING_FULL_TAIL_CURRENT, "2MA", -EINVAL, "not a value"},
                {SETTING_CAPACITY, "1MWh", -EINVAL, "not a value"},
                {SETTING_CAPACITY, "1mWh", -EINVAL, "not a value"},
                {SETTING_VMAX, "3.65A", -EINVAL, "not a value"},
                {SETTING_VMAX, "3.65V ", -EINVAL, "not a value"},
                {SETTING_VMAX, " 3.65V", -EINVAL, "not a value"},
                {SETTING_VMAX, "3650 ", -EINVAL, "not a value"},
                {SETTING_VMAX, "3.65VV", -EINVAL, "not a value"},
                {SETTING_VMAX, "3,65V", -EINVAL, "not a value"},
                {SETTING_VMAX, ".65V", -EINVAL, "not a value"},
                {SETTING_VMAX, "3.V", -EINVAL, "not a value"},
                {SETTING_VMAX, "3.6.5V", -EINVAL, "not a value"},
                {SETTING_VMAX, "0x10", -EINVAL, "not a value"},
                {SETTING_VMAX, "1e3", -EINVAL, "not a value"},
                {SETTING_VMAX, "--3V", -EINVAL, "not a value"},
                {SETTING_VMAX, "V", -EINVAL, "not a value"},
                {SETTING_VMAX, "nan", -EINVAL, "not a value"},
                {SETTING_VMAX, "3\n\xff", -EINVAL, "'3?" "?' is not a value"},
                {SETTING_VMAX, "", -EINVAL, "no value given"},
                {SETTING_VMAX, NULL, -EINVAL, "no value given"},
                {SETTING_VMAX, "unset", -EINVAL, "vmax: cannot be unset (2.500 V to 4.500 V)"},
                {SETTING_MODE, "off", -EINVAL, "mode: cannot be unset (board, normal or critical)"},
                {SETTING_MODE, "panic", -EINVAL, "mode: 'panic' is not a choice (board, normal or critical)"},
                {SETTING_MODE, "1", -EINVAL, "is not a choice"},
                {SETTING_SENSORS, "3", -EINVAL, "sensors: '3' is not a choice (auto, 1 or 2)"},
                {SETTING_WIRING, "seriess", -EINVAL, "(separate or series)"},
                {SETTING_VMAX, "-3.65V", -ERANGE, "outside"},
                {SETTING_VMAX, "3", -ERANGE, "vmax: '3' is outside the range (2.500 V to 4.500 V)"},
                {SETTING_VMAX, "4.501V", -ERANGE, "outside"},
                {SETTING_VMAX, "4294970946mV", -ERANGE, "outside"},           /* 2^32 + 3650 */
                {SETTING_VMAX, "18446744073709555266mV", -ERANGE, "outside"}, /* 2^64 + 3650 */
                {SETTING_VMAX, "99999999999999999999999999999999999999999V", -ERANGE, "..."},
                {SETTING_CHARGE_RESTART_DELAY, "9223372036854775807h", -ERANGE, "outside"},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct maybe value = some(-12345);
                char error[200] = "", key[40];

                print_message("case %zu\n", i);
                assert_int_equal(setting_parse(cases[i].setting, cases[i].text, &value, error, sizeof(error)),
                                 cases[i].error);
                assert_int_equal(value.value, -12345);
                assert_non_null(strstr(error, cases[i].says));
                snprintf(key, sizeof(key), "%s: ", setting_info(cases[i].setting)->key);
                assert_int_equal(strncmp(error, key, strlen(key)), 0);
                assert_int_equal(error[strlen(error) - 1], ')'); /* the range, never cut off */
                for (const char *p = error; *p != '\0'; p++)
                        assert_in_range(*p, ' ', '~');
        }
}

static void test_small_buffers(void **state) {
        struct maybe value;
        char error[8];

        (void) state;
        memset(error, 'z', sizeof(error));
        assert_int_equal(setting_parse(SETTING_VMIN, "9V", &value, error, 5), -ERANGE);
        assert_string_equal(error, "vmin");
        assert_int_equal(error[5], 'z');
        assert_int_equal(setting_parse(SETTING_VMIN, "9V", &value, NULL, 0), -ERANGE);
        assert_int_equal(setting_check(SETTING_VMIN, some(1), NULL, 0), -ERANGE);
}

static void round_trip(enum setting setting, struct maybe value) {
        struct maybe back = some(-12345);
        char text[40], error[200];

        setting_format(setting, value, text, sizeof(text));
        if (setting_parse(setting, text, &back, error, sizeof(error)) != 0)
                fail_msg("%s", error);
        if (back.known != value.known || back.value != value.value)
                fail_msg("%s: %d came back as %d by '%s'", design[setting].key, value.value, back.value, text);
}

static void test_round_trip(void **state) {
        (void) state;
        for (int i = 0; i < _SETTING_MAX; i++) {
                const struct setting_info *info = setting_info((enum setting) i);
                const int32_t span = info->max - info->min;
                const int32_t step = span > 1000000 ? 37 : 1;

                for (int32_t v = info->min; v <= info->max; v += step)
                        round_trip((enum setting) i, some(v));
                for (int32_t v = span > 1000 ? info->max - 1000 : info->min; v <= info->max; v++)
                        round_trip((enum setting) i, some(v));
                if (info->optional)
                        round_trip((enum setting) i, none());
        }
}

static void test_format(void **state) {
        static const struct {
                enum setting setting;
                int32_t value;
                const char *text;
        } cases[] = {
                {SETTING_VMAX, 3650, "3.650 V"},       {SETTING_VMIN_HYSTERESIS, 5, "0.005 V"},
                {SETTING_TMIN, -1, "-0.1 degC"},       {SETTING_TMIN, -400, "-40.0 degC"},
                {SETTING_TMAX, 550, "55.0 degC"},      {SETTING_CHARGE_RESTART, 95, "95 %"},
                {SETTING_CAPACITY, 1920, "1920 Wh"},   {SETTING_CAPACITY, UNSET, "unset"},
                {SETTING_SOLAR_PEAK, 2500, "2500 W"},  {SETTING_FULL_TAIL_CURRENT, 2500, "2.500 A"},
                {SETTING_MODE, MODE_NORMAL, "normal"}, {SETTING_SENSORS, SENSORS_2, "2"},
                {SETTING_TRIP_FRAMES, 2, "2"},         {SETTING_CHARGE_RESTART_DELAY, 60, "60 s"},
                {SETTING_MODE, 3, "?"},                {SETTING_MODE, -1, "?"},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char text[40];

                setting_format(cases[i].setting, cases[i].value == UNSET ? none() : some(cases[i].value), text,
                               sizeof(text));
                assert_string_equal(text, cases[i].text);
        }
}

static void test_range_limits(void **state) {
        (void) state;
        for (int i = 0; i < _SETTING_MAX; i++) {
                const enum setting setting = (enum setting) i;
                char error[200];

                assert_int_equal(setting_check(setting, some(design[i].min - 1), error, sizeof(error)), -ERANGE);
                assert_int_equal(strncmp(error, design[i].key, strlen(design[i].key)), 0);
                assert_int_equal(setting_check(setting, some(design[i].min), error, sizeof(error)), 0);
                assert_int_equal(setting_check(setting, some(design[i].max), error, sizeof(error)), 0);
                assert_int_equal(setting_check(setting, some(design[i].max + 1), error, sizeof(error)), -ERANGE);
                assert_int_equal(setting_check(setting, some(INT32_MAX), error, sizeof(error)), -ERANGE);
                assert_int_equal(setting_check(setting, some(INT32_MIN), error, sizeof(error)), -ERANGE);
                assert_int_equal(setting_check(setting, none(), error, sizeof(error)),
                                 design[i].standard == UNSET ? 0 : -EINVAL);
        }
}

static void test_cross_checks(void **state) {
        /* changes to the defaults: 2800 + 200 mV < V-bypass < 3650 mV, 0 < 55 degC, 20 < 95 % */
        static const struct {
                enum setting setting;
                int32_t value;
                enum setting other; /* a second change; the same setting: none */
                int32_t other_value;
                int32_t v_bypass_mv; /* UNSET: not known */
                const char *says;    /* NULL: allowed */
        } cases[] = {
                {SETTING_VMIN, 2800, SETTING_VMIN, 2800, UNSET, NULL},
                {SETTING_VMIN, 2800, SETTING_VMIN, 2800, 3500, NULL},
                {SETTING_VMIN, 2800, SETTING_VMIN, 2800, 3001, NULL},
                {SETTING_VMIN, 2800, SETTING_VMIN, 2800, 3000,
                 "vmin + vmin_hysteresis 3.000 V must be below V-bypass 3.000 V"},
                {SETTING_VMIN, 2800, SETTING_VMIN, 2800, 2999, "V-bypass 2.999 V"},
                {SETTING_VMIN, 3299, SETTING_VMIN, 3299, 3500, NULL},
                {SETTING_VMIN, 3300, SETTING_VMIN, 3300, 3500, "3.500 V must be below V-bypass 3.500 V"},
                {SETTING_VMIN, 3300, SETTING_VMIN, 3300, UNSET, NULL},
                {SETTING_VMIN, 3449, SETTING_VMIN, 3449, UNSET, NULL},
                {SETTING_VMIN, 3450, SETTING_VMIN, 3450, UNSET, "3.650 V must be below vmax 3.650 V"},
                {SETTING_VMIN, 3450, SETTING_VMIN_HYSTERESIS, 199, UNSET, NULL},
                {SETTING_VMAX, 3501, SETTING_VMAX, 3501, 3500, NULL},
                {SETTING_VMAX, 3500, SETTING_VMAX, 3500, 3500, "vmax 3.500 V must be above V-bypass 3.500 V"},
                {SETTING_VMAX, 3499, SETTING_VMAX, 3499, 3500, "vmax 3.499 V must be above V-bypass 3.500 V"},
                {SETTING_TMIN, 399, SETTING_TMAX, 400, UNSET, NULL},
                {SETTING_TMIN, 400, SETTING_TMAX, 400, UNSET, "tmin 40.0 degC must be below tmax 40.0 degC"},
                {SETTING_TMIN, 400, SETTING_TMAX, 399, UNSET, "tmin 40.0 degC must be below tmax 39.9 degC"},
                {SETTING_TMIN_DISCHARGE, 399, SETTING_TMAX, 400, UNSET, NULL},
                {SETTING_TMIN_DISCHARGE, 400, SETTING_TMAX, 400, UNSET, "tmin_discharge 40.0 degC must be below"},
                {SETTING_TMAX_BYPASS, 551, SETTING_TMAX, 550, UNSET, NULL},
                {SETTING_TMAX_BYPASS, 550, SETTING_TMAX, 550, UNSET, NULL},
                {SETTING_TMAX_BYPASS, 549, SETTING_TMAX, 550, UNSET,
                 "tmax 55.0 degC must be at most tmax_bypass 54.9 degC"},
                {SETTING_TMAX, 850, SETTING_TMAX, 850, UNSET, NULL}, /* tmax_bypass follows */
                {SETTING_DISCHARGE_RESTART, 94, SETTING_CHARGE_RESTART, 95, UNSET, NULL},
                {SETTING_DISCHARGE_RESTART, 95, SETTING_CHARGE_RESTART, 95, UNSET,
                 "discharge_restart 95 % must be below charge_restart 95 %"},
                {SETTING_DISCHARGE_RESTART, 96, SETTING_CHARGE_RESTART, 95, UNSET, "discharge_restart 96 %"},
                {SETTING_TRIP_FRAMES, 0, SETTING_TRIP_FRAMES, 0, UNSET, "trip_frames: '0' is outside"},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct settings s;
                char error[200] = "untouched";

                print_message("case %zu\n", i);
                settings_init(&s);
                s.values[cases[i].setting] = some(cases[i].value);
                s.values[cases[i].other] = some(cases[i].other_value);
                int r = settings_check(&s, cases[i].v_bypass_mv == UNSET ? none() : some(cases[i].v_bypass_mv), error,
                                       sizeof(error));
                assert_int_equal(r, cases[i].says == NULL ? 0 : -EINVAL);
                assert_non_null(strstr(error, cases[i].says == NULL ? "untouched" : cases[i].says));
        }
}

static void test_derived_limits(void **state) {
        static const struct {
                int32_t tmax, bypass, expected;
        } cases[] = {
                {550, UNSET, 800}, {599, UNSET, 849}, {600, UNSET, 850}, {601, UNSET, 850},
                {850, UNSET, 850}, {550, 560, 560},   {200, UNSET, 450},
        };
        struct settings s;

        (void) state;
        settings_init(&s);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                s.values[SETTING_TMAX] = some(cases[i].tmax);
                s.values[SETTING_TMAX_BYPASS] = cases[i].bypass == UNSET ? none() : some(cases[i].bypass);
                assert_int_equal(settings_tmax_bypass_decic(&s), cases[i].expected);
        }
        s.values[SETTING_TMIN] = some(30);
        assert_int_equal(settings_tmin_discharge_decic(&s), 30);
        s.values[SETTING_TMIN_DISCHARGE] = some(-200);
        assert_int_equal(settings_tmin_discharge_decic(&s), -200);
}

static void test_equal(void **state) {
        (void) state;
        for (int i = 0; i < _SETTING_MAX; i++) {
                struct settings a, b;

                settings_init(&a);
                settings_init(&b);
                assert_true(settings_equal(&a, &b));
                b.values[i] = some(b.values[i].value + 1);
                assert_false(settings_equal(&a, &b));
                a.values[i] = none();
                b.values[i] = some(0); /* unknown is not 0 */
                assert_false(settings_equal(&a, &b));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table_is_the_design), cmocka_unit_test(test_parse_accepts),
                cmocka_unit_test(test_parse_refuses),       cmocka_unit_test(test_small_buffers),
                cmocka_unit_test(test_round_trip),          cmocka_unit_test(test_format),
                cmocka_unit_test(test_range_limits),        cmocka_unit_test(test_cross_checks),
                cmocka_unit_test(test_derived_limits),      cmocka_unit_test(test_equal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
