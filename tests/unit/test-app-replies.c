/* SPDX-License-Identifier: MIT */
/* lib/app-replies.c against wire-formats.md section 2. Checksums: the sum of the characters' codes, without '_', modulo
 * 256, counted by hand beside each ('0'..'9' 48..57, 'A'..'F' 65..70, 'X' 88). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app-internal.h"
#include "app-rig.h"

static void test_version(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        /* Both relays closed: status 3. 3.500 V / 5 mV = 700 = 2BC.
         * 123: 49+50+51 = 150; XX XX: 4*88 = 352; 03: 48+51 = 99; 02BC: 48+50+66+67 = 231; 832 = 3*256 + 64 = 40h */
        talk(&r, "V@|", "123_XX_XX_03_02BC_40|");

        /* Three nibbles, and no more: 0.17.0 has none for 17. 0F0: 48+70+48 = 166; 166+352+99+231 = 848 = 3*256 + 80 */
        r.view.version = "0.17.0";
        talk(&r, "V@|", "0F0_XX_XX_03_02BC_50|");
        /* 12 is a nibble. 2C0: 50+67+48 = 165 */
        r.view.version = "2.12.0-rc1";
        talk(&r, "V@|", "2C0_XX_XX_03_02BC_4F|");

        /* E: bit 2, nothing is allowed, and V-bypass is not known. 84h (not calibrated) */
        r.s.link = LINK_STALE;
        r.s.calibrated = false;
        r.s.v_bypass_mv = none();
        r.view.version = "1.2.3";
        /* 150 + 352 + 84: 56+52 = 108, XXXX 352; 962 = 3*256 + 194 = C2h */
        talk(&r, "V@|", "123_XX_XX_84_XXXX_C2|");
}

static void test_settings_1(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        /* Nothing is set. 12 * 88 = 1056; 4 * (51+48) = 396; 1452 = 5*256 + 172 = ACh */
        talk(&r, "S1@|", "XXXX_XXXX_XXXX_30303030_AC|");

        /* 2,500 W / 10 = 250 = FA; 1,000 W: 100 = 64; 1,920 Wh / 100 = 19.2: 19 = 13.
         * 00FA: 48+48+70+65 = 231; 0064: 48+48+54+52 = 202; 0013: 48+48+49+51 = 196; 396; 1025 = 4*256 + 1 */
        r.s.settings.values[SETTING_SOLAR_PEAK] = some(2500);
        r.s.settings.values[SETTING_INVERTER_PEAK] = some(1000);
        r.s.settings.values[SETTING_CAPACITY] = some(1920);
        talk(&r, "S1@|", "00FA_0064_0013_30303030_01|");

        /* More than FFFF stands for is FFFF: 10,000,000 / 100 = 100,000.
         * 4*70 = 280; 231+202+280+396 = 1109 = 4*256 + 85 */
        r.s.settings.values[SETTING_CAPACITY] = some(10000000);
        talk(&r, "S1@|", "00FA_0064_FFFF_30303030_55|");
}

static void test_settings_2(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        /* V-min 2.800 / 0.005 = 560 = 230; V-max 3.650: 730 = 2DA; T-min 0.0: 232.1 / 0.857 = 270.83, up: 271 = 10F
         * (0.147 degC); T-max 55.0: 287.1 / 0.857 = 335.006, down: 335 = 14F (54.995 degC); 95 = 5F, 20 = 14; T-min for
         * discharging is not set, so T-min serves; V-low we have none; 3.200: 640 = 280; 200 mV / 10 = 14h; 50: 5.
         * 0230 197, 02DA 48+50+68+65 = 231, 010F 48+49+48+70 = 215, 014F 48+49+52+70 = 219, 5F 123, 14 101, 010F 215,
         * XXXX 352, 0280 48+50+56+48 = 202, 14 101, 05 101: 2057 = 8*256 + 9 */
        talk(&r, "S2@|", "0230_02DA_010F_014F_5F_14_010F_XXXX_0280_14_05_09|");

        /* A limit is never shown less strict than it is: V-min 2.801 up, V-max 3.654 down; T-min for discharging -20.0:
         * 212.1 / 0.857 = 247.49, up: 248 = F8; T-max 60.0: 292.1 / 0.857 = 340.84, down: 340 = 154.
         * 0231 198, 02DA, 010F, 0154 48+49+53+52 = 202, 5F, 14, 00F8 48+48+70+56 = 222: 2057 + 1 - 17 + 7 = 2048 = 0 */
        r.s.settings.values[SETTING_VMIN] = some(2801);
        r.s.settings.values[SETTING_VMAX] = some(3654);
        r.s.settings.values[SETTING_TMIN_DISCHARGE] = some(-200);
        r.s.settings.values[SETTING_TMAX] = some(600);
        talk(&r, "S2@|", "0231_02DA_010F_0154_5F_14_00F8_XXXX_0280_14_05_00|");
}

static void test_settings_3(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        /* 60 s / 5 = 12 = C. Fields: XX 176, 00 96 four times 384 (critical, two forced off, measured capacity), 000C
         * 48*3+67 = 211 twice 422, XX XX 352, 00 96, 01 97, tail current off XX 176: 1703 = 6*256 + 167 = A7h */
        talk(&r, "S3@|", "XX_00_00_00_00_000C_000C_XX_XX_00_01_XX_A7|");

        /* As it is in force: switch 5 is on. 0.9 A / 0.2 = 4.5, to the nearest: 5. 3600 s / 5 = 720 = 2D0.
         * XX 176, 01 97, 00 * 3 = 288, 02D0 48+50+68+48 = 214, 000C 211, 352, 96, 97, 05 101: 1632 = 6*256+96 = 60h */
        r.s.critical = true;
        r.s.settings.values[SETTING_FULL_TAIL_CURRENT] = some(900);
        r.s.settings.values[SETTING_CHARGE_RESTART_DELAY] = some(3600);
        talk(&r, "S3@|", "XX_01_00_00_00_02D0_000C_XX_XX_00_01_05_60|");
}

static void test_relays(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "SRY0@|", "00_01_00_21|"); /* 5*48 + 49 = 289 = 256 + 33 */
        talk(&r, "SRY1@|", "00_02_00_22|");
        r.s.relays[RELAY_LOAD].mapped = false;
        talk(&r, "SRY1@|", "00_XX_00_70|"); /* 4*48 + 176 = 368 = 256 + 112 */
}

static void test_faults(void **state) {
        static const struct phone_fault faults[] = {
                /* 3.670 V / 0.005 = 734 = 2DE */
                {.kind = PHONE_FAULT_V_HIGH, .wall_sec = {true, 1700000000}, .cell = {true, 3},
                 .voltage_mv = {true, 3670}},
                /* 116.0 degC: 348.1 / 0.857 = 406.18: 406 = 196 */
                {.kind = PHONE_FAULT_T_HIGH, .wall_sec = {true, 1699999999}, .cell = {true, 2},
                 .temperature_decic = {true, 1160}},
                {.kind = PHONE_FAULT_COMMUNICATION, .cell = {true, 255}},
                /* -10.0 degC: 222.1 / 0.857 = 259.16: 259 = 103 */
                {.kind = PHONE_FAULT_T_LOW_DISCHARGING, .wall_sec = {true, 1}, .temperature_decic = {true, -100}},
        };
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        r.view.faults = faults;
        r.view.n_faults = 4;

        talk(&r, "TS@|", "XXXXXXXX_C0|"); /* 8*88 = 704 = 2*256 + 192 */
        r.view.wall_sec = some64(1700000256); /* 1,700,000,000 = 6553F100h */
        talk(&r, "TS@|", "6553F200_AB|");     /* 54+53+53+51+70+50+48+48 = 427 = 256 + 171 */

        /* 6553F100 426, 02 98, 02DE 48+50+68+69 = 235, 03 99: 858 = 3*256 + 90 */
        talk(&r, "L0@|", "6553F100_02_02DE_03_5A|");
        /* 6553F0FF: 54+53+53+51+70+48+70+70 = 469, 04 100, 0196 48+49+57+54 = 208, 02 98: 875 = 3*256 + 107 */
        talk(&r, "L1@|", "6553F0FF_04_0196_02_6B|");
        /* 704, 05 101, 352, FF 140: 1297 = 5*256 + 17 */
        talk(&r, "L2@|", "XXXXXXXX_05_XXXX_FF_11|");
        /* 00000001 385, 06 102, 0103 48+49+48+51 = 196, XX 176: 859 = 3*256 + 91 */
        talk(&r, "L3@|", "00000001_06_0103_XX_5B|");
        /* 704, 00 96, 352, 176: 1328 = 5*256 + 48 */
        talk(&r, "L4@|", "XXXXXXXX_00_XXXX_XX_30|");
        talk(&r, "L9@|", "XXXXXXXX_00_XXXX_XX_30|");
        talk(&r, "LA@|", "KO|");
}

static void test_history(void **state) {
        uint8_t hours[PHONE_SOC_HOURS];
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "H0@|", "XX_FFFFFFFFFFFFFFFFFFFFFFFF_40|"); /* 176 + 24*70 = 1856 = 7*256 + 64 */

        for (unsigned i = 0; i < PHONE_SOC_HOURS; i++)
                hours[i] = (uint8_t)(i % 100);
        hours[167] = PHONE_SOC_NONE;
        r.view.soc_hours = hours;
        r.view.soc_hour = 166; /* A6 */
        /* A6 65+54 = 119; ten of "0n" 10*48 + (48..57: 525) = 1005; 0A 113, 0B 114: 1351 = 5*256 + 71 */
        talk(&r, "H0@|", "A6_000102030405060708090A0B_47|");
        /* Block D: hours 156..167 are 56..66 and none: 38 39 3A 3B 3C 3D 3E 3F 40 41 42 FF.
         * 119; 8*51 + 56+57+65+66+67+68+69+70 = 408 + 518 = 926; 3*52 + 48+49+50 = 303; 140: 1488 = 5*256 + 208 */
        talk(&r, "HD@|", "A6_38393A3B3C3D3E3F404142FF_D0|");
        talk(&r, "HE@|", "KO|");
        talk(&r, "H@|", "KO|");
        talk(&r, "Hd@|", "KO|");
}

/* The public samples' own figures, and their order. */
static void test_group(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "$", "");
        talk(&r, "E!|", "OK|");
        r.view.wall_sec = some64(86400 * 20000 + 17 * 3600 + 45 * 60 + 59);
        /* 3.400: 680 = 2A8; 3.600: 720 = 2D0. 10.0 degC: 242.1 / 0.857 = 282.497: 282 = 11A; 30.0: 262.1 / 0.857 =
         * 305.83: 306 = 132; cell 1 has 25.0: 257.1 / 0.857 = 300 = 12C. 17:45 is 11:2D. 99 % = 63. */
        talk(&r, "$",
             "U_0AF0_+0014_+0014_+000A|"
             "V_02A8_02_02D0_04_02BC|"
             "T_011A_02_0132_03|"
             "C_01_04_2BC_12C_03_30|"
             "E_000000_000000_000000_64|"
             "M_000000_000000_11:2D|"
             "H_XX_XXXX_XXXX_63_XXXXXX_XXXXXX|"
             "B_000000_000000_000000_000000|");
}

/* The line of a group that begins with this letter, as text. */
static const char *record(struct app_rig *r, char letter) {
        static char line[64];
        const char *p;

        r->view.now += USEC_PER_SEC;
        assert_int_equal(app_rig_write(r, &r->phone, "$"), 0);
        for (p = app_said(r); *p != '\0' && *p != letter; p += strcspn(p, "|") + 1)
                ;
        snprintf(line, sizeof(line), "%.*s", (int)strcspn(p, "|"), p);
        return line;
}

static void test_records(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "E!|", "OK|");

        /* 125 mA are 2.5 steps of 50: 3. -13 A: 260 = 104. -24 mA is less than half a step. */
        r.s.in_ma = some(125);
        r.s.out_ma = some(-24);
        r.s.current_ma = some(-13000);
        r.s.pack_mv = some(327675); /* 65,535 steps */
        assert_string_equal(record(&r, 'U'), "U_FFFF_+0003_-0104_+0000");
        r.s.pack_mv = some(327680);
        r.s.current_ma = some(-25);
        r.s.out_ma = none();
        assert_string_equal(record(&r, 'U'), "U_10000_+0003_-0001_XXXXX");

        /* 1,234,999 mWh: 1,234 Wh = 4D2; 87.65 %: 87 = 57; a total of 16,777,215.9 kWh is FFFFFF, and so is more. */
        r.s.today_mwh[ENERGY_COLLECTED] = some64(1234999);
        r.s.stored_mwh = none64();
        r.s.today_mwh[ENERGY_CONSUMED] = some64(1000);
        r.s.soc_permyriad = some(8765);
        assert_string_equal(record(&r, 'E'), "E_0004D2_XXXXXX_000001_57");
        r.s.soc_permyriad = none();
        assert_string_equal(record(&r, 'E'), "E_0004D2_XXXXXX_000001_XX");
        r.s.total_mwh[ENERGY_COLLECTED] = some64(INT64_C(16777215) * 1000000 + 999999);
        r.s.total_mwh[ENERGY_CONSUMED] = some64(INT64_C(16777216) * 1000000);
        assert_string_equal(record(&r, 'M'), "M_FFFFFF_FFFFFF_XX:XX");
        r.s.total_mwh[ENERGY_CHARGED] = some64(INT64_C(300) * 1000000); /* 12C */
        r.s.total_mwh[ENERGY_DISCHARGED] = none64();
        r.s.today_mwh[ENERGY_CHARGED] = some64(256000);
        assert_string_equal(record(&r, 'B'), "B_00012C_XXXXXX_000100_000000");

        /* Local time, also to the west of a UTC midnight. */
        r.view.wall_sec = some64(3600);
        r.view.utc_offset_sec = -2 * 3600;
        assert_string_equal(record(&r, 'M'), "M_FFFFFF_FFFFFF_17:00");
        r.view.utc_offset_sec = 5 * 3600 + 45 * 60;
        assert_string_equal(record(&r, 'M'), "M_FFFFFF_FFFFFF_06:2D");

        /* Status: V-max exceeded (bit 4), charge open. Relay 2 alone closed: 20. */
        r.s.alarms[ALARM_V_MAX].active = true;
        r.s.relays[RELAY_CHARGE].closed = false;
        r.s.soc_permyriad = some(5000);
        r.phone.last_cell = 1;
        assert_string_equal(record(&r, 'C'), "C_02_04_2A8_11A_12_20");
        r.s.soc_permyriad = none(); /* not calibrated: bit 7 */
        assert_string_equal(record(&r, 'C'), "C_03_04_2C6_132_92_20"); /* 3.550: 710; 30.0 */
}

static void test_unknown(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        memset(&r.s, 0, sizeof(r.s));
        settings_init(&r.s.settings);
        r.s.link = LINK_STARTING;
        r.s.data_stale = true;
        talk(&r, "E!|", "OK|");
        talk(&r, "$",
             "U_XXXX_XXXXX_XXXXX_XXXXX|"
             "V_XXXX_XX_XXXX_XX_XXXX|"
             "T_XXXX_XX_XXXX_XX|"
             "C_XX_XX_XXX_XXX_80_00|"
             "E_XXXXXX_XXXXXX_XXXXXX_XX|"
             "M_XXXXXX_XXXXXX_XX:XX|"
             "H_XX_XXXX_XXXX_63_XXXXXX_XXXXXX|"
             "B_XXXXXX_XXXXXX_XXXXXX_XXXXXX|");
        /* Cells that were never heard, of a pack whose number of cells is known. */
        r.s.known_cells = some(2);
        assert_string_equal(record(&r, 'C'), "C_01_02_XXX_XXX_80_00");
        assert_string_equal(record(&r, 'C'), "C_02_02_XXX_XXX_80_00");
        assert_string_equal(record(&r, 'C'), "C_01_02_XXX_XXX_80_00");
}

/* Old readings are none, whatever made them old; E says why. What was counted stays. */
static void test_stale(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "E!|", "OK|");
        r.s.link = LINK_ERROR;
        r.s.data_stale = true;
        r.s.relays[RELAY_CHARGE].closed = r.s.relays[RELAY_LOAD].closed = false;
        talk(&r, "$",
             "U_XXXX_XXXXX_XXXXX_XXXXX|"
             "V_XXXX_XX_XXXX_XX_02BC|"
             "T_XXXX_XX_XXXX_XX|"
             "C_01_04_XXX_XXX_04_00|"
             "E_000000_000000_000000_64|"
             "M_000000_000000_XX:XX|"
             "H_XX_XXXX_XXXX_63_XXXXXX_XXXXXX|"
             "B_000000_000000_000000_000000|");
}

/* Every cell has its turn within 40 groups: 40 pings every 0.33 s are 13.2 s. */
static void test_round(void **state) {
        static const struct { int cells; unsigned a_group; } packs[] = {
                {2, 1}, {40, 1}, {41, 2}, {80, 2}, {81, 3}, {255, 7},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(packs) / sizeof(packs[0]); i++) {
                unsigned seen[256] = {}, expected = 1;
                struct app_rig r;

                app_rig_init(&r, false);
                r.s.n_cells = packs[i].cells;
                for (int c = 1; c <= packs[i].cells; c++)
                        r.s.cells[c].voltage_mv = some(3500), r.s.cells[c].temperature_decic = some(250);
                talk(&r, "E!|", "OK|");
                for (int group = 0; group < 40; group++) {
                        unsigned records = 0, cell, count;

                        r.view.now += 330 * USEC_PER_MSEC;
                        assert_int_equal(app_rig_write(&r, &r.phone, "$"), 0);
                        for (const char *p = app_said(&r); *p; p += strcspn(p, "|") + 1) {
                                if (*p != 'C')
                                        continue;
                                assert_int_equal(sscanf(p, "C_%2X_%2X_2BC_12C_03_30|", &cell, &count), 2);
                                assert_int_equal(count, packs[i].cells);
                                assert_int_equal(cell, expected);
                                expected = expected % (unsigned)packs[i].cells + 1;
                                seen[cell]++;
                                records++;
                        }
                        assert_int_equal(records, packs[i].a_group);
                }
                for (int c = 1; c <= packs[i].cells; c++)
                        assert_true(seen[c] > 0);
        }
}

/* The chain got shorter: the turn goes on with cells that are there. */
static void test_fewer_cells(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "E!|", "OK|");
        for (int i = 0; i < 3; i++)
                (void)record(&r, 'C');
        r.s.n_cells = 2;
        assert_string_equal(record(&r, 'C'), "C_01_02_2BC_12C_03_30");
}

/* A board decides, and its frame has three of its settings. */
static void test_monitor(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        r.s.role = ROLE_MONITOR;
        r.s.frame.count = 4;
        r.s.frame.status = 0x8B; /* its own, while the link is live */
        r.s.settings.values[SETTING_CAPACITY] = some(2000); /* 14h */
        /* XXXX XXXX 704, 0014 197, 396: 1297 = 5*256 + 17 */
        talk(&r, "S1@|", "XXXX_XXXX_0014_30303030_11|");
        /* 0230 197, 02DA 231; X: 4+4+2+2+4+4+4+2+2 = 28 * 88 = 2464: 2892 = 11*256 + 76 */
        talk(&r, "S2@|", "0230_02DA_XXXX_XXXX_XX_XX_XXXX_XXXX_XXXX_XX_XX_4C|");
        /* 2*10 + 4*2 = 28 X: 2464 = 9*256 + 160 */
        talk(&r, "S3@|", "XX_XX_XX_XX_XX_XXXX_XXXX_XX_XX_XX_XX_XX_A0|");
        /* 150 + 352 + 8B 56+66 = 122 + 231 = 855 = 3*256 + 87 */
        talk(&r, "V@|", "123_XX_XX_8B_02BC_57|");
        talk(&r, "E!|", "OK|");
        assert_string_equal(record(&r, 'C'), "C_01_04_2BC_12C_8B_XX");
        assert_string_equal(record(&r, 'H'), "H_XX_XXXX_XXXX_XX_XXXXXX_XXXXXX");
        r.s.frame.count = 0; /* not heard yet: these are the config's, not the board's */
        talk(&r, "S1@|", "XXXX_XXXX_XXXX_30303030_AC|");
}

/* What app.c keeps free is enough for the longest line there can be. */
static void test_longest(void **state) {
        struct app_rig r;
        const char *bytes;
        size_t n;

        (void)state;
        app_rig_init(&r, true);
        talk(&r, "E!|", "E!|OK|");
        r.s.n_cells = 255;
        for (int c = 1; c <= 255; c++)
                r.s.cells[c].voltage_mv = some(INT32_MAX - 5), r.s.cells[c].temperature_decic = some(INT32_MAX);
        r.s.pack_mv = r.s.lowest_mv = r.s.highest_mv = r.s.v_bypass_mv = some(INT32_MAX - 5);
        r.s.in_ma = r.s.out_ma = r.s.current_ma = some(INT32_MIN);
        r.s.lowest_decic = r.s.highest_decic = some(INT32_MAX);
        r.s.soc_permyriad = some(INT32_MAX);
        for (int i = 0; i < _ENERGY_MAX; i++)
                r.s.today_mwh[i] = r.s.total_mwh[i] = some64(INT64_MAX);
        assert_int_equal(app_rig_write(&r, &r.phone, "$"), 0);
        n = app_output(&r.line, &bytes);
        assert_in_range(n, 400, APP_REPLY_MAX - (APP_COMMAND_MAX + 1));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_version),
                cmocka_unit_test(test_settings_1),
                cmocka_unit_test(test_settings_2),
                cmocka_unit_test(test_settings_3),
                cmocka_unit_test(test_relays),
                cmocka_unit_test(test_faults),
                cmocka_unit_test(test_history),
                cmocka_unit_test(test_group),
                cmocka_unit_test(test_records),
                cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_stale),
                cmocka_unit_test(test_round),
                cmocka_unit_test(test_fewer_cells),
                cmocka_unit_test(test_monitor),
                cmocka_unit_test(test_longest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
