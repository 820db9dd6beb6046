/* SPDX-License-Identifier: MIT */

/* What phones read and are told: every layout of docs/bluetooth.md, each with values and with all unknown, and each
 * phone's own copy. Expected bytes were written by hand, from those tables. */

#include "gatt-rig.h"

/* ---- the table --------------------------------------------------------------------------------------------------- */

static bool has_flag(const char *const *flags, const char *flag) {
        for (; *flags; flags++)
                if (strcmp(*flags, flag) == 0)
                        return true;
        return false;
}

static unsigned count_flags(const char *const *flags) {
        unsigned n = 0;

        while (flags[n])
                n++;
        return n;
}

static void flags_are_encrypted(void **state) {
        (void)state;
        for (enum gatt_characteristic c = 0; c < _GATT_MAX; c++) {
                const struct gatt_info *info = gatt_info(c);

                for (const char *const *f = info->flags; *f; f++)
                        assert_int_equal(strncmp(*f, "encrypt-", 8), 0);
                assert_int_equal(has_flag(info->flags, "encrypt-read"), info->readable);
                assert_int_equal(has_flag(info->flags, "encrypt-write"), info->writable);
                assert_int_equal(has_flag(info->flags, "encrypt-notify"), info->notified);
                assert_int_equal(has_flag(info->flags, "encrypt-indicate"), info->indicated);
                assert_int_equal(count_flags(info->flags),
                                 info->readable + info->writable + info->notified + info->indicated);
        }
}

static void public_opens_the_level_only(void **state) {
        (void)state;
        for (enum gatt_characteristic c = 0; c < _GATT_MAX; c++) {
                const char *const *flags = gatt_info(c)->public_flags;

                assert_int_equal(has_flag(flags, "read"), c == GATT_BATTERY_LEVEL);
                for (; *flags; flags++)
                        assert_true(strcmp(*flags, "read") == 0 || strncmp(*flags, "encrypt-", 8) == 0);
        }
}

static void uuids_are_those_of_the_docs(void **state) {
        static const struct {
                enum gatt_characteristic c;
                const char *uuid;
        } ours[] = {
                {GATT_PACK_STATE, "bdfe0010-d380-4bb9-9d5e-d850cd6a319e"},
                {GATT_POWER, "bdfe0011-d380-4bb9-9d5e-d850cd6a319e"},
                {GATT_CELLS, "bdfe0012-d380-4bb9-9d5e-d850cd6a319e"},
                {GATT_ALARMS, "bdfe0013-d380-4bb9-9d5e-d850cd6a319e"},
                {GATT_RELAYS, "bdfe0014-d380-4bb9-9d5e-d850cd6a319e"},
                {GATT_ENERGY, "bdfe0015-d380-4bb9-9d5e-d850cd6a319e"},
                {GATT_SETTINGS, "bdfe0016-d380-4bb9-9d5e-d850cd6a319e"},
                {GATT_TIME, "bdfe0017-d380-4bb9-9d5e-d850cd6a319e"},
                {GATT_CONTROL, "bdfe0018-d380-4bb9-9d5e-d850cd6a319e"},
                {GATT_BATTERY_LEVEL, "00002a19-0000-1000-8000-00805f9b34fb"},
                {GATT_BATTERY_LEVEL_STATUS, "00002bed-0000-1000-8000-00805f9b34fb"},
                {GATT_MANUFACTURER, "00002a29-0000-1000-8000-00805f9b34fb"},
                {GATT_MODEL, "00002a24-0000-1000-8000-00805f9b34fb"},
                {GATT_SOFTWARE, "00002a28-0000-1000-8000-00805f9b34fb"},
        };

        (void)state;
        assert_int_equal(sizeof(ours) / sizeof(ours[0]), _GATT_MAX);
        for (size_t i = 0; i < _GATT_MAX; i++)
                assert_string_equal(gatt_info(ours[i].c)->uuid, ours[i].uuid);
        assert_string_equal(gatt_service_uuid(GATT_SERVICE_SMARTBMS), "bdfe0001-d380-4bb9-9d5e-d850cd6a319e");
        assert_string_equal(gatt_service_uuid(GATT_SERVICE_BATTERY), "0000180f-0000-1000-8000-00805f9b34fb");
        assert_string_equal(gatt_service_uuid(GATT_SERVICE_DEVICE_INFORMATION), "0000180a-0000-1000-8000-00805f9b34fb");
}

static void names_differ_and_fit_a_path(void **state) {
        (void)state;
        for (enum gatt_characteristic c = 0; c < _GATT_MAX; c++) {
                const char *name = gatt_info(c)->name;

                assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
                for (enum gatt_characteristic d = 0; d < c; d++)
                        assert_true(gatt_info(c)->service != gatt_info(d)->service ||
                                    strcmp(name, gatt_info(d)->name) != 0);
        }
}

static void errors_are_what_bluez_sends(void **state) {
        (void)state;
        assert_string_equal(gatt_error_name(GATT_ERROR_READ_NOT_PERMITTED), "NotPermitted");
        assert_string_equal(gatt_error_name(GATT_ERROR_WRITE_NOT_PERMITTED), "NotPermitted");
        assert_string_equal(gatt_error_name(GATT_ERROR_INVALID_OFFSET), "InvalidOffset");
        assert_string_equal(gatt_error_name(GATT_ERROR_INSUFFICIENT_AUTHORISATION), "NotAuthorized");
        assert_string_equal(gatt_error_name(GATT_ERROR_INVALID_LENGTH), "InvalidValueLength");
        assert_string_equal(gatt_error_name(GATT_ERROR_IN_PROGRESS), "InProgress");
        assert_string_equal(gatt_error_name(GATT_ERROR_REFUSED), "Failed");
        assert_string_equal(gatt_error_message(GATT_ERROR_REFUSED), "0x80");
}

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

static void pack_state(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;

        (void)state;
        rig_init(&r);
        s->link = LINK_STARTING;
        /* nothing known: voltage, current, SOC, its uncertainty, two voltages, two temperatures, counter 1 */
        assert_value(&r, GATT_PACK_STATE, "0000 ffffff 000080 ffff ff ffff ffff 0080 0080 01");

        s->link = LINK_LIVE; /* bit 0 */
        s->calibrated = true; /* 3 */
        s->relays[RELAY_LOAD].closed = true; /* 5 */
        s->serial = 0x12345; /* only its lowest byte */
        s->pack_mv = some(53150);      /* 0x00cf9e */
        s->current_ma = some(-12125);  /* 2^24 - 12125 = 0xffd0a3 */
        s->soc_permyriad = some(8765); /* 0x223d */
        s->soc_uncertainty_permyriad = some(151); /* 1.51 % -> 2.0 %, four halves */
        s->lowest_mv = some(3301);     /* 0x0ce5 */
        s->highest_mv = some(3340);    /* 0x0d0c */
        s->lowest_decic = some(-55);   /* 0xffc9 */
        s->highest_decic = some(213);  /* 0x00d5 */
        assert_value(&r, GATT_PACK_STATE, "2900 9ecf00 a3d0ff 3d22 04 e50c 0c0d c9ff d500 45");
}

static void pack_state_flags(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;
        uint8_t bytes[GATT_VALUE_MAX];
        size_t size;

        (void)state;
        for (unsigned bit = 0; bit < 9; bit++) {
                rig_init(&r);
                s->link = bit == 0 ? LINK_LIVE : LINK_STALE;
                s->communication_error = bit == 1;
                s->data_stale = bit == 2;
                s->calibrated = bit == 3;
                s->relays[RELAY_CHARGE].closed = bit == 4;
                s->relays[RELAY_LOAD].closed = bit == 5;
                s->critical = bit == 6;
                s->alarms[_ALARM_MAX - 1].active = bit == 7;
                s->role = bit == 8 ? ROLE_MONITOR : ROLE_GATEWAY;
                size = rig_read(&r, GATT_PACK_STATE, bytes);
                assert_int_equal(size, 20);
                assert_int_equal(bytes[0] | bytes[1] << 8, 1 << bit);
        }
}

/* The most that 255 cells of 5.1 V and sensors of 16 bit can say, the least, and what no reading can be. */
static void pack_state_ends(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;

        (void)state;
        rig_init(&r);
        s->pack_mv = some(1300500);      /* 0x13d814 */
        s->current_ma = some(8191875);   /* 0x7cff83 */
        s->soc_permyriad = some(10000);  /* 0x2710 */
        s->soc_uncertainty_permyriad = some(10000); /* 100 %: 200 */
        s->lowest_mv = some(0);
        s->highest_mv = some(65534);
        s->lowest_decic = some(-32767);
        s->highest_decic = some(32767);
        assert_value(&r, GATT_PACK_STATE, "0100 14d813 83ff7c 1027 c8 0000 feff 0180 ff7f 01");
        s->pack_mv = some(-1);
        s->current_ma = some(8388608);
        s->soc_permyriad = some(0);
        s->soc_uncertainty_permyriad = some(0);
        s->lowest_mv = some(65535);
        s->highest_mv = some(70000);
        s->lowest_decic = some(-32768);
        s->highest_decic = some(32768);
        assert_value(&r, GATT_PACK_STATE, "0100 ffffff 000080 0000 00 ffff ffff 0080 0080 01");
        s->current_ma = some(-8191875); /* 2^24 - 8191875 = 0x83007d */
        s->soc_uncertainty_permyriad = some(1); /* never looks surer than it is */
        assert_value(&r, GATT_PACK_STATE, "0100 ffffff 7d0083 0000 01 ffff ffff 0080 0080 01");
}

static void power(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;

        (void)state;
        rig_init(&r);
        assert_value(&r, GATT_POWER, "00000080 000080 00000080 000080 00000080");
        s->power_mw = some(-637800); /* 2^32 - 637800 = 0xfff64498 */
        s->in_ma = some(20125);      /* 0x004e9d */
        s->in_mw = some(1063000);    /* 0x00103858 */
        s->out_ma = some(32250);     /* 0x007dfa */
        s->out_mw = some(1700800);   /* 0x0019f3c0 */
        assert_value(&r, GATT_POWER, "9844f6ff 9d4e00 58381000 fa7d00 c0f31900");
}

static void cells(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;
        struct phone_ask ask;
        const uint8_t page = 1;

        (void)state;
        rig_init(&r);
        assert_value(&r, GATT_CELLS, "00 ffff 01 00");
        s->n_cells = 18;
        s->known_cells = some(18);
        for (int i = 1; i <= 18; i++)
                s->cells[i] = (struct cell_snapshot){.age_usec = USEC_INFINITY};
        s->cells[17] = (struct cell_snapshot){
                .voltage_mv = some(3333), /* 0x0d05 */
                .temperature_decic = some(-123), /* 0xff85 */
                .age_usec = 3999999, /* 3 s are full */
                .bypassing = true, .v_red = true, /* 01, 04 */
        };
        s->cells[18] = (struct cell_snapshot){
                .voltage_mv = some(2790), .temperature_decic = some(601), /* 0x0ae6, 0x0259 */
                .age_usec = 400 * USEC_PER_SEC, .missing = true, .t_red = true, /* 02, 08 */
        };
        s->lowest_mv_cell = some(18);    /* 10 */
        s->highest_mv_cell = some(17);   /* 20 */
        s->lowest_decic_cell = some(17); /* 40 */
        s->highest_decic_cell = some(18); /* 80 */
        assert_int_equal(gatt_write(&r.session, GATT_CELLS, 0, &page, 1, &r.view, &ask), GATT_OK);
        assert_value(&r, GATT_CELLS, "01 1200 11 02"
                                     "050d 85ff 65 03"
                                     "e60a 5902 9a fe");
        s->cells[17].age_usec = 254 * USEC_PER_SEC - 1;
        s->cells[18].age_usec = 254 * USEC_PER_SEC;
        assert_value(&r, GATT_CELLS, "01 1200 11 02 050d 85ff 65 fd e60a 5902 9a fe");
}

static void cells_all_pages(void **state) {
        struct rig r;
        struct phone_ask ask;
        uint8_t bytes[GATT_VALUE_MAX];
        size_t size;
        int seen = 0;

        (void)state;
        rig_init(&r);
        r.snapshot.n_cells = 255;
        r.snapshot.known_cells = some(255);
        for (int i = 1; i <= 255; i++)
                r.snapshot.cells[i] = (struct cell_snapshot){.voltage_mv = some(3000 + i), .age_usec = 0};
        for (uint8_t page = 0; page < 16; page++) {
                assert_int_equal(gatt_write(&r.session, GATT_CELLS, 0, &page, 1, &r.view, &ask), GATT_OK);
                assert_int_equal(ask.kind, PHONE_ASK_NONE);
                size = rig_read(&r, GATT_CELLS, bytes);
                assert_int_equal(bytes[0], page);
                assert_int_equal(bytes[1] | bytes[2] << 8, 255);
                assert_int_equal(bytes[3], 16 * page + 1);
                assert_int_equal(bytes[4], page < 15 ? 16 : 15);
                assert_int_equal(size, 5 + 6 * bytes[4]);
                for (int i = 0; i < bytes[4]; i++, seen++)
                        assert_int_equal(bytes[5 + 6 * i] | bytes[6 + 6 * i] << 8, 3000 + 16 * page + 1 + i);
        }
        assert_int_equal(seen, 255);
}

static void cells_writes(void **state) {
        static const uint8_t bytes[] = {16, 0, 255};
        struct rig r;
        struct phone_ask ask;

        (void)state;
        rig_init(&r);
        assert_int_equal(gatt_write(&r.session, GATT_CELLS, 0, bytes, 0, &r.view, &ask), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(gatt_write(&r.session, GATT_CELLS, 0, bytes + 1, 2, &r.view, &ask), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(gatt_write(&r.session, GATT_CELLS, 1, bytes + 1, 1, &r.view, &ask), GATT_ERROR_INVALID_OFFSET);
        assert_int_equal(gatt_write(&r.session, GATT_CELLS, 0, bytes, 1, &r.view, &ask), GATT_ERROR_REFUSED);
        assert_int_equal(gatt_write(&r.session, GATT_CELLS, 0, bytes + 2, 1, &r.view, &ask), GATT_ERROR_REFUSED);
        assert_value(&r, GATT_CELLS, "00 ffff 01 00");
        for (enum gatt_characteristic c = 0; c < _GATT_MAX; c++)
                if (c != GATT_CELLS && c != GATT_CONTROL)
                        assert_int_equal(gatt_write(&r.session, c, 0, bytes + 1, 1, &r.view, &ask),
                                         GATT_ERROR_WRITE_NOT_PERMITTED);
}

static void alarms(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;

        (void)state;
        rig_init(&r);
        assert_value(&r, GATT_ALARMS, "0000000000000000");
        /* 300 s = 0x12c; 360,000 s = 0x00057e40 */
        s->alarms[ALARM_V_MIN] = (struct alarm_state){.active = true, .since = RIG_NOW - 300 * USEC_PER_SEC};
        s->alarms[ALARM_PANEL] = (struct alarm_state){.active = true, .since = 0};
        /* bits 3 and 23 */
        assert_value(&r, GATT_ALARMS, "0800800000000000 03 2c010000 17 407e0500");
}

/* The numbers of the docs; and all at once are the longest value. */
static void alarm_numbers_are_those_of_the_docs(void **state) {
        static const enum alarm in_order[] = {
                ALARM_COMMUNICATION, ALARM_STALE, ALARM_V_MAX, ALARM_V_MIN, ALARM_T_MAX, ALARM_T_MIN,
                ALARM_CAPACITY_UNSET, ALARM_CURRENT_CHECK, ALARM_FROZEN, ALARM_CELL_MISSING, ALARM_SENSOR_LOST,
                ALARM_SENSOR_REVERSED, ALARM_CYCLING_CHARGE, ALARM_CYCLING_LOAD, ALARM_IMBALANCE,
                ALARM_IMBALANCE_WARNING,
                ALARM_SETTINGS_CONFLICT, ALARM_INEFFECTIVE_CHARGE, ALARM_INEFFECTIVE_LOAD, ALARM_RELAY_OUTPUT,
                ALARM_OUTPUT_PORT, ALARM_STORAGE, ALARM_SETTINGS, ALARM_PANEL,
        };
        struct rig r;
        uint8_t bytes[GATT_VALUE_MAX];
        size_t size;

        (void)state;
        assert_int_equal(sizeof(in_order) / sizeof(in_order[0]), _ALARM_MAX);
        for (unsigned bit = 0; bit < _ALARM_MAX; bit++) {
                rig_init(&r);
                r.snapshot.alarms[in_order[bit]].active = true;
                size = rig_read(&r, GATT_ALARMS, bytes);
                assert_int_equal(size, 13);
                for (unsigned i = 0; i < 64; i++)
                        assert_int_equal(bytes[i / 8] >> (i % 8) & 1, i == bit);
                assert_int_equal(bytes[8], bit);
        }
        for (unsigned i = 0; i < _ALARM_MAX; i++)
                r.snapshot.alarms[i].active = true;
        size = rig_read(&r, GATT_ALARMS, bytes);
        assert_int_equal(size, 8 + 24 * 5);
}

static void relays(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;

        (void)state;
        rig_init(&r);
        /* not mapped, open, no feedback (3 << 2); start = 9 */
        assert_value(&r, GATT_RELAYS, "0c 09 ffff 000080 000080 0c 09 ffff 000080 000080 00000000 00 00000000 00");
        s->relays[RELAY_CHARGE] = (struct relay_snapshot){
                .mapped = true, .closed = true, .confirmed = some(1), /* 1 + 2 + 4 */
                .reason = {.rule = RULE_CLEAR, .value = none(), .limit = none()}, /* 15 */
                .since = RIG_NOW - 65536 * USEC_PER_SEC,
        };
        s->relays[RELAY_LOAD] = (struct relay_snapshot){
                .mapped = true, .closed = false, .confirmed = some(0), /* 1 */
                .reason = {.rule = RULE_T_MIN_DISCHARGE, .cell = 255, .value = some(-212), .limit = some(-200)}, /* 6 */
                .since = RIG_NOW - 2 * USEC_PER_SEC, .n_holds = 3,
        };
        /* -212 = 0xffff2c, -200 = 0xffff38 */
        assert_value(&r, GATT_RELAYS, "07 0f ffff 000080 000080 01 06 ff00 2cffff 38ffff 00000100 00 02000000 03");
}

static void rule_numbers_are_those_of_the_docs(void **state) {
        static const enum rule from_one[] = {
                RULE_V_MAX, RULE_V_MIN, RULE_FULL, RULE_FULL_PACK, RULE_T_MIN_CHARGE, RULE_T_MIN_DISCHARGE, RULE_T_MAX,
                RULE_T_MAX_CELL, RULE_START, RULE_LINK, RULE_ERROR, RULE_UNCONFIRMED, RULE_RECOVER, RULE_BOARD,
                RULE_CLEAR, RULE_FEEDBACK,
        };
        struct rig r;
        uint8_t bytes[GATT_VALUE_MAX];

        (void)state;
        rig_init(&r);
        assert_int_equal(sizeof(from_one) / sizeof(from_one[0]), _RULE_MAX);
        for (unsigned i = 0; i < _RULE_MAX; i++) {
                r.snapshot.relays[RELAY_LOAD].reason.rule = from_one[i];
                (void)rig_read(&r, GATT_RELAYS, bytes);
                assert_int_equal(bytes[11], i + 1);
        }
        r.snapshot.relays[RELAY_LOAD].reason.rule = _RULE_MAX;
        (void)rig_read(&r, GATT_RELAYS, bytes);
        assert_int_equal(bytes[11], 0xff);
}

static void energy(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;

        (void)state;
        rig_init(&r);
        assert_value(&r, GATT_ENERGY, "ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff"
                                      "ffffffff ffffffff ffffffff");
        s->today_mwh[ENERGY_COLLECTED] = some64(1234999);  /* 1234 Wh = 0x4d2 */
        s->today_mwh[ENERGY_CONSUMED] = some64(999);       /* not a whole one */
        s->today_mwh[ENERGY_CHARGED] = some64(256000);
        s->today_mwh[ENERGY_DISCHARGED] = some64(0);
        s->total_mwh[ENERGY_COLLECTED] = some64(INT64_C(5000000000000)); /* 5,000,000,000 Wh do not fit in 32 bits */
        s->total_mwh[ENERGY_CONSUMED] = some64(INT64_C(4294967294000));  /* the most that does */
        s->total_mwh[ENERGY_CHARGED] = some64(INT64_C(16777216000));
        s->total_mwh[ENERGY_DISCHARGED] = none64();
        s->stored_mwh = some64(1500500);     /* 0x5dc */
        s->capacity_wh = some(10000000);     /* 0x989680 */
        s->energy_gap_msec = some64(61999);  /* 61 s */
        assert_value(&r, GATT_ENERGY, "d2040000 00000000 00010000 00000000 ffffffff feffffff 00000001 ffffffff"
                                      "dc050000 80969800 3d000000");
}

/* The numbers of the docs, by key; the defaults of design 8. */
static void setting_values(void **state) {
        static const struct {
                const char *key;
                int32_t value; /* INT32_MIN: unset */
        } from_one[] = {
                {"capacity", INT32_MIN}, {"solar_peak", INT32_MIN}, {"inverter_peak", INT32_MIN}, {"vmin", 2800},
                {"vmax", 3650}, {"vmin_hysteresis", 200}, {"vmax_hysteresis", 50}, {"tmin", 0}, {"tmax", 550},
                {"tmax_bypass", INT32_MIN}, {"tmin_discharge", INT32_MIN}, {"t_hysteresis", 20}, {"charge_restart", 95},
                {"discharge_restart", 20}, {"charge_restart_delay", 60}, {"discharge_restart_delay", 60}, {"mode", 0},
                {"wiring", 0}, {"sensors", 0}, {"trip_frames", 2}, {"full_tail_current", INT32_MIN},
                {"cell_nominal", 3200}, {"charge_efficiency", 99},
        };
        char expected[3 * GATT_VALUE_MAX] = "17"; /* 23 */
        struct rig r;

        (void)state;
        rig_init(&r);
        assert_int_equal(sizeof(from_one) / sizeof(from_one[0]), _SETTING_MAX);
        for (unsigned i = 0; i < _SETTING_MAX; i++) {
                const uint32_t v = (uint32_t)from_one[i].value;

                assert_int_equal(gatt_setting_number((enum setting)setting_find(from_one[i].key)), i + 1);
                assert_int_equal(gatt_setting_find((uint8_t)(i + 1)), setting_find(from_one[i].key));
                snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), " %02x %02x%02x%02x%02x",
                         i + 1, v & 255, v >> 8 & 255, v >> 16 & 255, v >> 24);
        }
        assert_value(&r, GATT_SETTINGS, expected);
        assert_true(gatt_setting_find(0) < 0 && gatt_setting_find(24) < 0 && gatt_setting_find(255) < 0);
}

static void device_time(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        r.view.utc_offset_sec = 3600;
        assert_value(&r, GATT_TIME, "ffffffffffffffff 0080"); /* an offset alone says nothing */
        r.view.wall_sec = some64(1767225600); /* 2026-01-01 00:00:00 UTC = 0x6955b900 */
        assert_value(&r, GATT_TIME, "00b9556900000000 3c00");
        r.view.wall_sec = some64(INT64_C(4294967296)); /* 2106 is not the end */
        r.view.utc_offset_sec = -12600; /* -3:30: -210 min = 0xff2e */
        assert_value(&r, GATT_TIME, "0000000001000000 2eff");
        r.view.wall_sec = some64(-1);
        assert_value(&r, GATT_TIME, "ffffffffffffffff 0080");
}

static void battery_level(void **state) {
        struct rig r;
        uint8_t bytes[GATT_VALUE_MAX];
        size_t size = 77;

        (void)state;
        rig_init(&r);
        /* The standard has no value for unknown */
        assert_int_equal(gatt_read(&r.session, GATT_BATTERY_LEVEL, 0, &r.view, bytes, sizeof(bytes), &size),
                         GATT_ERROR_REFUSED);
        assert_int_equal(size, 77);
        r.snapshot.soc_permyriad = some(0);
        assert_value(&r, GATT_BATTERY_LEVEL, "00");
        r.snapshot.soc_permyriad = some(9999); /* full is full */
        assert_value(&r, GATT_BATTERY_LEVEL, "63");
        r.snapshot.soc_permyriad = some(10000);
        assert_value(&r, GATT_BATTERY_LEVEL, "64");
}

/* Power state, by the supplement: bit 0 present; 1-2 wired source (0 no, 1 yes, 2 unknown); 3-4 wireless; 5-6 state
 * (1 charging, 2 discharging, 3 neither); 7-8 level (1 good, 2 low, 3 critical); 9-11 type; 12-14 faults (battery,
 * source, other). Additional: 0-1 service (0 no, 1 yes, 2 unknown), 2 battery fault. */
static void battery_level_status(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;

        (void)state;
        rig_init(&r);
        assert_value(&r, GATT_BATTERY_LEVEL_STATUS, "04 0500 00"); /* 1 + (2 << 1) */
        s->soc_permyriad = some(2000); /* at discharge_restart: good */
        s->current_ma = some(-125);
        s->in_ma = some(0);
        assert_value(&r, GATT_BATTERY_LEVEL_STATUS, "06 c500 14 00"); /* 5 + (2 << 5) + (1 << 7) = 0xc5 */
        s->soc_permyriad = some(1999);
        s->current_ma = some(125);
        s->in_ma = some(125);
        assert_value(&r, GATT_BATTERY_LEVEL_STATUS, "06 2301 13 00"); /* 1 + (1 << 1) + (1 << 5) + (2 << 7) = 0x123 */
        s->current_ma = some(0);
        s->soc_permyriad = some(0);
        assert_value(&r, GATT_BATTERY_LEVEL_STATUS, "06 e301 00 00"); /* 3 + (3 << 5) + (3 << 7) = 0x1e3 */
        s->data_stale = true; /* then neither current is known, and charging is at fault: other (1 << 14) */
        s->soc_permyriad = some(5000);
        assert_value(&r, GATT_BATTERY_LEVEL_STATUS, "06 8540 32 00"); /* 5 + (1 << 7) + 0x4000 */
        s->data_stale = false;
        s->alarms[ALARM_V_MIN].active = true; /* 5 + (3 << 5) + (3 << 7) = 0x1e5, no service */
        s->in_ma = some(-1);
        assert_value(&r, GATT_BATTERY_LEVEL_STATUS, "06 e501 32 00");
}

static void battery_faults(void **state) {
        static const struct {
                enum alarm alarm;
                unsigned power, additional;
        } rows[] = {
                {ALARM_V_MAX, 1 << 12, 0}, {ALARM_V_MIN, 0x180, 0}, {ALARM_T_MAX, 1 << 12, 0},
                {ALARM_T_MIN, 1 << 12, 0},
                {ALARM_IMBALANCE, 1 << 12, 5}, {ALARM_INEFFECTIVE_CHARGE, 1 << 13, 1}, {ALARM_COMMUNICATION, 0, 5},
                {ALARM_CELL_MISSING, 0, 5}, {ALARM_STORAGE, 0, 1}, {ALARM_CAPACITY_UNSET, 0, 1}, {ALARM_PANEL, 0, 1},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char expected[32];
                struct rig r;

                rig_init(&r);
                r.snapshot.alarms[rows[i].alarm].active = true;
                snprintf(expected, sizeof(expected), "04 %02x%02x %02x", (5 | rows[i].power) & 255, rows[i].power >> 8,
                         rows[i].additional);
                assert_value(&r, GATT_BATTERY_LEVEL_STATUS, expected);
        }
}

static void device_information(void **state) {
        struct rig r;
        char text[3 * GATT_VALUE_MAX + 1];

        (void)state;
        rig_init(&r);
        assert_value(&r, GATT_MANUFACTURER, rig_hex((const uint8_t *)"smartbms", 8, text));
        assert_value(&r, GATT_MODEL, rig_hex((const uint8_t *)"smartbmsd gateway", 17, text));
        r.snapshot.role = ROLE_MONITOR;
        assert_value(&r, GATT_MODEL, rig_hex((const uint8_t *)"smartbmsd monitor", 17, text));
        assert_value(&r, GATT_SOFTWARE, "312e322e33");
}

/* ---- long reads -------------------------------------------------------------------------------------------------- */

/* As a phone with an MTU of 23 does it, 22 bytes at a time, while everything changes. */
static void a_long_read_does_not_tear(void **state) {
        struct rig r;
        uint8_t whole[GATT_VALUE_MAX], parts[GATT_VALUE_MAX];
        size_t size, got = 0, n;

        (void)state;
        rig_init(&r);
        r.snapshot.n_cells = 16;
        for (int i = 1; i <= 16; i++)
                r.snapshot.cells[i] = (struct cell_snapshot){.voltage_mv = some(3000 + i)};
        size = rig_read(&r, GATT_CELLS, whole);
        assert_int_equal(size, 101);
        do {
                const uint8_t page = 3;
                struct phone_ask ask;

                assert_int_equal(gatt_read(&r.session, GATT_CELLS, got, &r.view, parts + got, 22, &n), GATT_OK);
                got += n;
                for (int i = 1; i <= 16; i++)
                        r.snapshot.cells[i].voltage_mv.value += 7;
                r.snapshot.n_cells = 2; /* shorter */
                assert_int_equal(gatt_write(&r.session, GATT_CELLS, 0, &page, 1, &r.view, &ask), GATT_OK);
        } while (n == 22);
        assert_int_equal(got, 101);
        assert_memory_equal(parts, whole, 101);
}

static void each_phone_has_its_own_copy(void **state) {
        struct rig r;
        static struct gatt_session other;
        uint8_t bytes[GATT_VALUE_MAX];
        size_t size;

        (void)state;
        rig_init(&r);
        gatt_session_init(&other);
        r.snapshot.capacity_wh = some(1);
        size = rig_read(&r, GATT_ENERGY, bytes);
        r.snapshot.capacity_wh = some(2);
        assert_int_equal(gatt_read(&other, GATT_ENERGY, 0, &r.view, bytes, sizeof(bytes), &size), GATT_OK);
        assert_int_equal(gatt_read(&r.session, GATT_ENERGY, 36, &r.view, bytes, sizeof(bytes), &size), GATT_OK);
        assert_bytes(bytes, size, "01000000 ffffffff");
        assert_int_equal(gatt_read(&other, GATT_ENERGY, 36, &r.view, bytes, sizeof(bytes), &size), GATT_OK);
        assert_bytes(bytes, size, "02000000 ffffffff");
        /* one for each characteristic: another read between does no harm */
        size = rig_read(&r, GATT_PACK_STATE, bytes);
        assert_int_equal(gatt_read(&r.session, GATT_ENERGY, 36, &r.view, bytes, sizeof(bytes), &size), GATT_OK);
        assert_bytes(bytes, size, "01000000 ffffffff");
        /* and none outlives the connection */
        gatt_session_end(&r.session);
        assert_int_equal(gatt_read(&r.session, GATT_ENERGY, 36, &r.view, bytes, sizeof(bytes), &size), GATT_OK);
        assert_bytes(bytes, size, "02000000 ffffffff");
}

static void offsets(void **state) {
        struct rig r;
        uint8_t bytes[GATT_VALUE_MAX] = {0xee, 0xee};
        size_t size = 77;

        (void)state;
        rig_init(&r);
        assert_int_equal(gatt_read(&r.session, GATT_TIME, 9, &r.view, bytes, sizeof(bytes), &size), GATT_OK);
        assert_bytes(bytes, size, "80");
        assert_int_equal(bytes[1], 0xee);
        assert_int_equal(gatt_read(&r.session, GATT_TIME, 10, &r.view, bytes, sizeof(bytes), &size), GATT_OK);
        assert_int_equal(size, 0);
        size = 77;
        assert_int_equal(gatt_read(&r.session, GATT_TIME, 11, &r.view, bytes, sizeof(bytes), &size),
                         GATT_ERROR_INVALID_OFFSET);
        assert_int_equal(gatt_read(&r.session, GATT_TIME, SIZE_MAX, &r.view, bytes, sizeof(bytes), &size),
                         GATT_ERROR_INVALID_OFFSET);
        assert_int_equal(size, 77);
        assert_int_equal(gatt_read(&r.session, GATT_TIME, 0, &r.view, bytes, 3, &size), GATT_OK);
        assert_int_equal(size, 3);
        assert_int_equal(gatt_read(&r.session, GATT_TIME, 0, &r.view, bytes, 0, &size), GATT_OK);
        assert_int_equal(size, 0);
}

/* ---- notifications ----------------------------------------------------------------------------------------------- */

static void notify_with_each_snapshot(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        assert_notified(&r, GATT_PACK_STATE, "0100 ffffff 000080 ffff ff ffff ffff 0080 0080 01");
        assert_notified(&r, GATT_POWER, "00000080 000080 00000080 000080 00000080");
        assert_notified(&r, GATT_PACK_STATE, "");
        assert_notified(&r, GATT_POWER, "");
        r.snapshot.serial++;
        assert_notified(&r, GATT_PACK_STATE, "0100 ffffff 000080 ffff ff ffff ffff 0080 0080 02");
        assert_notified(&r, GATT_POWER, "00000080 000080 00000080 000080 00000080");
        assert_notified(&r, GATT_POWER, "");
}

static void notify_on_change(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;

        (void)state;
        rig_init(&r);
        assert_notified(&r, GATT_ALARMS, "0000000000000000");
        assert_notified(&r, GATT_RELAYS, "0c 09 ffff 000080 000080 0c 09 ffff 000080 000080");
        assert_notified(&r, GATT_SETTINGS, "01");
        assert_notified(&r, GATT_BATTERY_LEVEL, ""); /* not known */
        assert_notified(&r, GATT_BATTERY_LEVEL_STATUS, "04 0500 00");
        assert_notified(&r, GATT_CELLS, "ffff");
        r.view.now += USEC_PER_HOUR; /* everything is older, and that is no change */
        s->serial++;
        for (enum gatt_characteristic c = 0; c < _GATT_MAX; c++)
                if (c != GATT_PACK_STATE && c != GATT_POWER)
                        assert_notified(&r, c, "");
        s->alarms[ALARM_STALE].active = true;
        assert_notified(&r, GATT_ALARMS, "0200000000000000");
        assert_notified(&r, GATT_ALARMS, "");
        s->relays[RELAY_LOAD].closed = true;
        assert_notified(&r, GATT_RELAYS, "0c 09 ffff 000080 000080 0e 09 ffff 000080 000080");
        assert_notified(&r, GATT_RELAYS, "");
        s->settings.values[SETTING_CHARGE_EFFICIENCY] = some(98); /* the last */
        assert_notified(&r, GATT_SETTINGS, "01");
        assert_notified(&r, GATT_SETTINGS, "");
        s->soc_permyriad = some(5099);
        assert_notified(&r, GATT_BATTERY_LEVEL, "32");
        s->soc_permyriad = some(5000);
        assert_notified(&r, GATT_BATTERY_LEVEL, "");
        s->soc_permyriad = none();
        assert_notified(&r, GATT_BATTERY_LEVEL, "");
        s->soc_permyriad = some(5000);
        assert_notified(&r, GATT_BATTERY_LEVEL, "32");
}

static void notify_names_the_pages(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;

        (void)state;
        rig_init(&r);
        s->n_cells = 255;
        assert_notified(&r, GATT_CELLS, "ffff");
        assert_notified(&r, GATT_CELLS, "");
        for (int i = 1; i <= 255; i++)
                s->cells[i].age_usec += USEC_PER_HOUR; /* no change */
        assert_notified(&r, GATT_CELLS, "");
        s->cells[16].voltage_mv = some(3300); /* page 0 */
        s->cells[255].bypassing = true;       /* page 15 */
        assert_notified(&r, GATT_CELLS, "0180");
        s->cells[17].temperature_decic = some(0); /* known now: page 1 */
        assert_notified(&r, GATT_CELLS, "0200");
        s->lowest_mv_cell = some(33); /* page 2 */
        assert_notified(&r, GATT_CELLS, "0400");
        s->n_cells = 254;
        assert_notified(&r, GATT_CELLS, "0080");
        s->known_cells = some(254); /* is in every page */
        assert_notified(&r, GATT_CELLS, "ffff");
}

static void nothing_else_is_notified(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        assert_notified(&r, GATT_ENERGY, "");
        assert_notified(&r, GATT_TIME, "");
        assert_notified(&r, GATT_CONTROL, "");
        assert_notified(&r, GATT_MODEL, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(flags_are_encrypted),
                cmocka_unit_test(public_opens_the_level_only),
                cmocka_unit_test(uuids_are_those_of_the_docs),
                cmocka_unit_test(names_differ_and_fit_a_path),
                cmocka_unit_test(errors_are_what_bluez_sends),
                cmocka_unit_test(pack_state),
                cmocka_unit_test(pack_state_flags),
                cmocka_unit_test(pack_state_ends),
                cmocka_unit_test(power),
                cmocka_unit_test(cells),
                cmocka_unit_test(cells_all_pages),
                cmocka_unit_test(cells_writes),
                cmocka_unit_test(alarms),
                cmocka_unit_test(alarm_numbers_are_those_of_the_docs),
                cmocka_unit_test(relays),
                cmocka_unit_test(rule_numbers_are_those_of_the_docs),
                cmocka_unit_test(energy),
                cmocka_unit_test(setting_values),
                cmocka_unit_test(device_time),
                cmocka_unit_test(battery_level),
                cmocka_unit_test(battery_level_status),
                cmocka_unit_test(battery_faults),
                cmocka_unit_test(device_information),
                cmocka_unit_test(a_long_read_does_not_tear),
                cmocka_unit_test(each_phone_has_its_own_copy),
                cmocka_unit_test(offsets),
                cmocka_unit_test(notify_with_each_snapshot),
                cmocka_unit_test(notify_on_change),
                cmocka_unit_test(notify_names_the_pages),
                cmocka_unit_test(nothing_else_is_notified),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
