/* SPDX-License-Identifier: MIT */
/* lib/app-settings.c against the addresses and steps of wire-formats.md section 2, and the ranges of design 8. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app-internal.h"
#include "app-rig.h"

#define REFUSED INT32_MIN
#define UNSET (INT32_MIN + 1)

/* Writes one setting: what it asks for, REFUSED, or UNSET. All other settings stay as they are. */
static int32_t written(struct app_rig *r, enum setting setting, const char *text) {
        const struct settings before = r->s.settings;
        const struct phone_ask *ask;
        struct maybe value;

        assert_int_equal(app_rig_write(r, &r->phone, text), 0);
        ask = app_ask(&r->phone);
        if (!ask) {
                const char *said = app_said(r);

                assert_string_equal(strlen(said) > 3 ? said + strlen(said) - 3 : said, "KO|");
                return REFUSED;
        }
        assert_int_equal(ask->kind, PHONE_ASK_SET_SETTINGS);
        for (int i = 0; i < _SETTING_MAX; i++)
                if (i != (int)setting)
                        assert_memory_equal(&ask->settings.values[i], &before.values[i], sizeof(struct maybe));
        value = ask->settings.values[setting];
        app_rig_answer(r, &r->phone, PHONE_REFUSED); /* so that the next row begins with the same settings */
        (void)app_said(r);
        return value.known ? value.value : UNSET;
}

static const struct {
        const char *text;
        enum setting setting;
        int32_t expected;
} writes[] = {
        /* hex * step; 0000, and FFFF = 65,535 */
        {"09-010!|C4-011!|", SETTING_SOLAR_PEAK, 25000}, /* 9*256 + 12*16 + 4 = 2,500 * 10 W */
        {"00-010!|00-011!|", SETTING_SOLAR_PEAK, 0},
        {"FF-010!|FF-011!|", SETTING_SOLAR_PEAK, 655350},
        {"01-020!|F4-021!|", SETTING_INVERTER_PEAK, 5000}, /* 500 */
        {"00-030!|13-031!|", SETTING_CAPACITY, 1900},
        {"FF-030!|FF-031!|", SETTING_CAPACITY, 6553500},
        {"00-030!|00-031!|", SETTING_CAPACITY, REFUSED}, /* 10 Wh at least */

        /* 2000..4000, and V-min + 200 mV below V-bypass 3500: 3295 = 659 = 293 is the last */
        {"01-040!|8F-041!|", SETTING_VMIN, REFUSED}, /* 399 */
        {"01-040!|90-041!|", SETTING_VMIN, 2000},    /* 400 */
        {"02-040!|93-041!|", SETTING_VMIN, 3295},
        {"02-040!|94-041!|", SETTING_VMIN, REFUSED}, /* 3300 + 200 = 3500 */
        {"00-040!|00-041!|", SETTING_VMIN, REFUSED},
        {"FF-040!|FF-041!|", SETTING_VMIN, REFUSED},
        /* above V-bypass, to 4500 = 900 = 384 */
        {"02-050!|BC-051!|", SETTING_VMAX, REFUSED}, /* 3500 */
        {"02-050!|BD-051!|", SETTING_VMAX, 3505},
        {"03-050!|84-051!|", SETTING_VMAX, 4500},
        {"03-050!|85-051!|", SETTING_VMAX, REFUSED},
        /* 0..500 in 10 mV */
        {"00-042!|", SETTING_VMIN_HYSTERESIS, 0},
        {"32-042!|", SETTING_VMIN_HYSTERESIS, 500},
        {"33-042!|", SETTING_VMIN_HYSTERESIS, REFUSED},
        {"05-052!|", SETTING_VMAX_HYSTERESIS, 50},
        {"32-052!|", SETTING_VMAX_HYSTERESIS, 500},
        {"33-052!|", SETTING_VMAX_HYSTERESIS, REFUSED},
        /* 2000..4000 */
        {"02-046!|80-047!|", SETTING_CELL_NOMINAL, 3200},
        {"03-046!|20-047!|", SETTING_CELL_NOMINAL, 4000},
        {"03-046!|21-047!|", SETTING_CELL_NOMINAL, REFUSED},

        /* T-min up. 271 = 10F: 271 * 0.857 - 232.1 = 0.147: 0.2. 270: -0.71: -0.7. -40.0..40.0, and below T-max 55.
         * 224 = E0: 191.968 - 232.1 = -40.132: up is -40.1, refused; 225 = E1: -39.275: -39.2. 317 = 13D: 39.569: 39.6;
         * 318: 40.426: refused */
        {"01-060!|0F-061!|", SETTING_TMIN, 2},
        {"01-060!|0E-061!|", SETTING_TMIN, -7},
        {"00-060!|E0-061!|", SETTING_TMIN, REFUSED},
        {"00-060!|E1-061!|", SETTING_TMIN, -392},
        {"01-060!|3D-061!|", SETTING_TMIN, 396},
        {"01-060!|3E-061!|", SETTING_TMIN, REFUSED},
        {"00-060!|00-061!|", SETTING_TMIN, REFUSED},
        /* 247 = F7: 211.679 - 232.1 = -20.421: -20.4 */
        {"00-062!|F7-063!|", SETTING_TMIN_DISCHARGE, -204},
        /* T-max down. 335 = 14F: 54.995: 54.9. 20.0..85.0: 294 = 126: 19.858; 295: 20.715: 20.7; 370 = 172: 84.99:
         * 84.9; 371: 85.847 */
        {"01-070!|4F-071!|", SETTING_TMAX, 549},
        {"01-070!|26-071!|", SETTING_TMAX, REFUSED},
        {"01-070!|27-071!|", SETTING_TMAX, 207},
        {"01-070!|72-071!|", SETTING_TMAX, 849},
        {"01-070!|73-071!|", SETTING_TMAX, REFUSED},
        {"FF-070!|FF-071!|", SETTING_TMAX, REFUSED},

        /* 0..3600 in 5 s */
        {"00-082!|00-083!|", SETTING_CHARGE_RESTART_DELAY, 0},
        {"02-082!|D0-083!|", SETTING_CHARGE_RESTART_DELAY, 3600},
        {"02-082!|D1-083!|", SETTING_CHARGE_RESTART_DELAY, REFUSED},
        {"00-084!|0C-085!|", SETTING_DISCHARGE_RESTART_DELAY, 60},
        /* 0.2 A; 0 takes it away: a literal 0 would wait for no current at all */
        {"0A-092!|", SETTING_FULL_TAIL_CURRENT, 2000},
        {"FF-092!|", SETTING_FULL_TAIL_CURRENT, 51000},
        {"00-092!|", SETTING_FULL_TAIL_CURRENT, UNSET},
        {"00-017!|", SETTING_MODE, MODE_NORMAL},
        {"01-017!|", SETTING_MODE, MODE_CRITICAL},
        {"02-017!|", SETTING_MODE, REFUSED},
};

static void test_writes(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        app_rig_log_in(&r);
        for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
                print_message("%s\n", writes[i].text);
                assert_int_equal(written(&r, writes[i].setting, writes[i].text), writes[i].expected);
        }
}

/* All addresses there are: the ones above are taken, all others refused, low bytes without their high one too. */
static void test_addresses(void **state) {
        static const uint16_t high[] = {0x010, 0x020, 0x030, 0x040, 0x046, 0x050, 0x060, 0x062, 0x070, 0x082, 0x084};
        static const uint16_t whole[] = {0x017, 0x042, 0x052, 0x092};
        struct app_rig r;
        char text[16];

        (void)state;
        app_rig_init(&r, false);
        app_rig_log_in(&r);
        for (unsigned address = 0; address <= 0xFFF; address++) {
                const char *expected = "KO|";

                for (size_t i = 0; i < sizeof(high) / sizeof(high[0]); i++)
                        if (high[i] == address)
                                expected = "OK|";
                for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
                        if (whole[i] == address)
                                expected = "";
                talk(&r, "01-FFF!|", "KO|"); /* no byte is held */
                snprintf(text, sizeof(text), "01-%03X!|", address);
                talk(&r, text, expected);
                if (app_ask(&r.phone)) {
                        app_rig_answer(&r, &r.phone, PHONE_DONE);
                        assert_string_equal(app_said(&r), "OK|");
                }
        }
}

/* What a phone wrote it reads again, for every value that is in range, and it is as strict as it was meant or stricter
 * by less than 0.1 degC; what was set elsewhere is shown as it is or stricter by less than a step of 0.857. In 0.001
 * degC, raw is raw * 857 - 232100. */
static void test_temperatures(void **state) {
        static const struct {
                enum setting setting;
                unsigned high;
                bool down;
                int32_t min, max;
        } rows[] = {
                {SETTING_TMIN, 0x060, false, -400, 400},
                {SETTING_TMIN_DISCHARGE, 0x062, false, -400, 400},
                {SETTING_TMAX, 0x070, true, 200, 850},
        };
        struct app_rig r;
        char text[24];
        unsigned digits;

        (void)state;
        app_rig_init(&r, false);
        app_rig_log_in(&r);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                unsigned taken = 0;

                for (int32_t raw = 0; raw < 500; raw++) {
                        const int32_t meant = raw * 857 - 232100;
                        int32_t decic;

                        snprintf(text, sizeof(text), "%02X-%03X!|%02X-%03X!|", raw / 256, rows[i].high, raw % 256,
                                 rows[i].high + 1);
                        r.s.settings.values[SETTING_TMIN] = r.s.settings.values[SETTING_TMIN_DISCHARGE] = some(-400);
                        r.s.settings.values[SETTING_TMAX] = some(850);
                        decic = written(&r, rows[i].setting, text);
                        if (decic == REFUSED) {
                                assert_true(meant < rows[i].min * 100 || meant > rows[i].max * 100);
                                continue;
                        }
                        taken++;
                        if (rows[i].down)
                                assert_true(decic * 100 <= meant && meant < decic * 100 + 100);
                        else
                                assert_true(decic * 100 >= meant && meant > decic * 100 - 100);
                        r.s.settings.values[rows[i].setting] = some(decic);
                        assert_int_equal(app_setting_read(rows[i].setting, &r.s, &digits).value, raw);
                        assert_int_equal(digits, 4);
                }
                assert_in_range(taken, (rows[i].max - rows[i].min) * 100 / 857 - 1,
                                (rows[i].max - rows[i].min) * 100 / 857 + 1);

                for (int32_t decic = rows[i].min; decic <= rows[i].max; decic++) {
                        r.s.settings.values[rows[i].setting] = some(decic);
                        const int32_t shown =
                                (int32_t)app_setting_read(rows[i].setting, &r.s, &digits).value * 857 - 232100;

                        if (rows[i].down)
                                assert_true(shown < decic * 100 + 100 && shown + 857 >= decic * 100 + 100);
                        else
                                assert_true(shown > decic * 100 - 100 && shown - 857 <= decic * 100 - 100);
                }
        }
}

/* Every voltage that can be set, shown: V-min up, V-max down, to the next 5 mV. */
static void test_voltages(void **state) {
        struct app_rig r;
        unsigned digits;

        (void)state;
        app_rig_init(&r, false);
        for (int32_t mv = 2000; mv <= 4500; mv++) {
                r.s.settings.values[SETTING_VMIN] = r.s.settings.values[SETTING_VMAX] = some(mv);
                const int32_t low = 5 * (int32_t)app_setting_read(SETTING_VMIN, &r.s, &digits).value;
                const int32_t high = 5 * (int32_t)app_setting_read(SETTING_VMAX, &r.s, &digits).value;

                assert_in_range(low, mv, mv + 4);
                assert_in_range(high, mv - 4, mv);
        }
}

/* Each setting that can be shown has its width. */
static void test_widths(void **state) {
        static const enum setting bytes[] = {SETTING_VMIN_HYSTERESIS, SETTING_VMAX_HYSTERESIS,
                                             SETTING_FULL_TAIL_CURRENT, SETTING_MODE, SETTING_CHARGE_RESTART,
                                             SETTING_DISCHARGE_RESTART, SETTING_CHARGE_EFFICIENCY};
        struct app_rig r;
        unsigned digits;

        (void)state;
        app_rig_init(&r, false);
        r.s.settings.values[SETTING_FULL_TAIL_CURRENT] = some(1000000); /* 5,000 steps: as much as a byte holds */
        for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
                const struct maybe64 raw = app_setting_read(bytes[i], &r.s, &digits);

                assert_int_equal(digits, 2);
                assert_true(raw.known && raw.value <= 0xFF);
        }
        assert_int_equal(app_setting_read(SETTING_FULL_TAIL_CURRENT, &r.s, &digits).value, 0xFF);
        /* not set is not 0 */
        r.s.settings.values[SETTING_FULL_TAIL_CURRENT] = none();
        assert_false(app_setting_read(SETTING_FULL_TAIL_CURRENT, &r.s, &digits).known);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_writes),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_temperatures),
                cmocka_unit_test(test_voltages),
                cmocka_unit_test(test_widths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
