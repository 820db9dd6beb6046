/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "compose.h"
#include "config-build.h"
#include "output.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* Positions by the published table, not by frame.h. */
static unsigned at(const uint8_t *bytes, unsigned offset, unsigned size) {
        unsigned value = 0;

        for (unsigned i = 0; i < size; i++)
                value = value * 256 + bytes[offset + i];
        return value;
}

static const struct compose_cell cells[4] = {{655, 286}, {660, 290}, {671, 296}, {668, 288}};

/* A live, calibrated gateway with both relays closed. */
static void snapshot_init(struct snapshot *s) {
        uint8_t bytes[FRAME_SIZE];

        memset(s, 0, sizeof(*s));
        compose_frame(bytes, cells, 4, 3, 80, 30);
        assert_true(frame_decode(bytes, TEMPERATURE_SHEET, &s->frame));
        settings_init(&s->settings);
        s->role = ROLE_GATEWAY;
        s->coding = TEMPERATURE_SHEET;
        s->link = LINK_LIVE;
        s->lowest_decic = some(100);
        s->v_bypass_mv = some(3500);
        s->soc_permyriad = some(8765);
        s->calibrated = true;
        s->capacity_wh = some(1920);
        s->stored_mwh = some64(1682880);
        s->today_mwh[ENERGY_COLLECTED] = some64(1234567);
        s->today_mwh[ENERGY_CONSUMED] = some64(765999);
        s->total_mwh[ENERGY_COLLECTED] = some64(INT64_C(70000) * 1000000);
        s->total_mwh[ENERGY_CONSUMED] = some64(INT64_C(123456) * 1000000 + 999999);
        s->total_mwh[ENERGY_CHARGED] = some64(INT64_C(0x012345) * 1000000);
        s->total_mwh[ENERGY_DISCHARGED] = some64(INT64_C(0x0089AB) * 1000000);
        s->relays[RELAY_CHARGE].closed = s->relays[RELAY_LOAD].closed = true;
}

static void send(const struct snapshot *s, uint8_t bytes[FRAME_SIZE]) {
        struct output o = {};

        assert_true(output_frame(&o, s, bytes));
}

static void test_fields(void **state) {
        uint8_t chain[FRAME_SIZE], bytes[FRAME_SIZE];
        struct snapshot s;

        (void)state;
        snapshot_init(&s);
        send(&s, bytes);

        /* What the cells said is untouched. */
        compose_frame(chain, cells, 4, 3, 80, 30);
        assert_memory_equal(bytes, chain, 30);

        assert_int_equal(bytes[30], 0x03);
        assert_int_equal(at(bytes, 31, 3), 1234);   /* whole Wh that are there */
        assert_int_equal(at(bytes, 34, 3), 1682);
        assert_int_equal(at(bytes, 37, 3), 765);
        assert_int_equal(at(bytes, 40, 1), 87);
        assert_int_equal(at(bytes, 41, 3), 70000);
        assert_int_equal(at(bytes, 44, 3), 123456);
        assert_int_equal(at(bytes, 49, 2), 19);     /* 1,920 Wh in 100 Wh */
        assert_int_equal(at(bytes, 51, 2), 560);    /* V-min 2.800 V */
        assert_int_equal(at(bytes, 53, 2), 730);    /* V-max 3.650 V */
        assert_int_equal(at(bytes, 55, 2), 700);    /* V-bypass 3.500 V */
        memcpy(chain, bytes, FRAME_SIZE);
        compose_seal(chain);
        assert_int_equal(bytes[57], chain[57]);
}

static void test_soc_percent(void **state) {
        static const struct { struct maybe permyriad; bool calibrated; unsigned percent, bit7; } rows[] = {
                {{true, 0}, true, 0, 0},
                {{true, 99}, true, 0, 0},
                {{true, 100}, true, 1, 0},
                {{true, 9999}, true, 99, 0},
                {{true, 10000}, true, 100, 0},
                {{true, 10000}, false, 100, 0x80},
                {{false, 0}, true, 0, 0x80}, /* unknown: 0 and not calibrated */
                {{false, 0}, false, 0, 0x80},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                uint8_t bytes[FRAME_SIZE];
                struct snapshot s;

                snapshot_init(&s);
                s.soc_permyriad = rows[i].permyriad;
                s.calibrated = rows[i].calibrated;
                send(&s, bytes);
                assert_int_equal(bytes[40], rows[i].percent);
                assert_int_equal(bytes[30] & 0x80, rows[i].bit7);
        }
}

/* Each bit of status 1 is set by its own cause and by nothing else. */
static void test_status_bits(void **state) {
        static const struct { enum alarm alarm; unsigned bit; } alarms[] = {
                {ALARM_V_MIN, 0x08}, {ALARM_V_MAX, 0x10}, {ALARM_T_MIN, 0x20}, {ALARM_T_MAX, 0x40},
        };
        uint8_t bytes[FRAME_SIZE];
        struct snapshot s;

        (void)state;
        for (unsigned closed = 0; closed < 4; closed++) {
                snapshot_init(&s);
                s.relays[RELAY_CHARGE].closed = closed & 1;
                s.relays[RELAY_LOAD].closed = closed & 2;
                send(&s, bytes);
                assert_int_equal(bytes[30], closed);
        }
        for (enum alarm alarm = 0; alarm < _ALARM_MAX; alarm++) {
                unsigned expected = 0x03;

                for (size_t i = 0; i < ELEMENTSOF(alarms); i++)
                        if (alarms[i].alarm == alarm)
                                expected |= alarms[i].bit;
                snapshot_init(&s);
                s.alarms[alarm].active = true;
                send(&s, bytes);
                assert_int_equal(bytes[30], expected);
        }
}

/* Design 10: while stale or E the last frame with bit 2 set, bits 0 and 1 clear. A warning alone (the first E
 * frame, B13) or a link that is starting is neither. */
static void test_stale_and_error(void **state) {
        static const struct { enum link_state link; unsigned status; } rows[] = {
                {LINK_STARTING, 0x0B}, {LINK_LIVE, 0x0B}, {LINK_STALE, 0x0C}, {LINK_ERROR, 0x0C},
        };
        uint8_t chain[FRAME_SIZE], bytes[FRAME_SIZE];

        (void)state;
        assert_int_equal(ELEMENTSOF(rows), _LINK_STATE_MAX);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct snapshot s;

                snapshot_init(&s);
                s.link = rows[i].link;
                s.communication_error = true;
                s.alarms[ALARM_V_MIN].active = true;
                send(&s, bytes);
                assert_int_equal(bytes[30], rows[i].status);
                compose_frame(chain, cells, 4, 3, 80, 30);
                assert_memory_equal(bytes, chain, 30);
                assert_int_equal(bytes[40], 87);
        }
}

static void test_nothing_heard_yet(void **state) {
        struct output o = {};
        struct snapshot s;
        uint8_t bytes[FRAME_SIZE], before[FRAME_SIZE];

        (void)state;
        snapshot_init(&s);
        memset(&s.frame, 0, sizeof(s.frame));
        memset(bytes, 0xA5, FRAME_SIZE);
        memcpy(before, bytes, FRAME_SIZE);
        assert_false(output_frame(&o, &s, bytes));
        assert_memory_equal(bytes, before, FRAME_SIZE);
}

/* The format has no word for unknown; and what does not fit saturates. */
static void test_unknown_and_largest(void **state) {
        uint8_t bytes[FRAME_SIZE];
        struct snapshot s;

        (void)state;
        snapshot_init(&s);
        s.capacity_wh = s.v_bypass_mv = s.soc_permyriad = none();
        s.stored_mwh = none64();
        for (enum energy_counter c = 0; c < _ENERGY_MAX; c++)
                s.today_mwh[c] = s.total_mwh[c] = none64();
        send(&s, bytes);
        for (unsigned i = 31; i <= 46; i++)
                assert_int_equal(bytes[i], 0);
        assert_int_equal(at(bytes, 49, 2), 0);
        assert_int_equal(at(bytes, 55, 2), 0);

        snapshot_init(&s);
        s.capacity_wh = some(10000000);
        s.stored_mwh = s.today_mwh[ENERGY_COLLECTED] = some64(INT64_C(0xFFFFFF) * 1000 + 999);
        s.today_mwh[ENERGY_CONSUMED] = some64(INT64_C(0x1000000) * 1000);
        s.total_mwh[ENERGY_COLLECTED] = s.total_mwh[ENERGY_CONSUMED] = some64(INT64_MAX);
        send(&s, bytes);
        assert_int_equal(at(bytes, 31, 3), 0xFFFFFF);
        assert_int_equal(at(bytes, 34, 3), 0xFFFFFF);
        assert_int_equal(at(bytes, 37, 3), 0xFFFFFF);
        assert_int_equal(at(bytes, 41, 3), 0xFFFFFF);
        assert_int_equal(at(bytes, 44, 3), 0xFFFFFF);
        assert_int_equal(at(bytes, 49, 2), 0xFFFF);
}

/* Sends n frames and notes the pairs; -1 = not sent. */
static void collect(struct output *o, const struct snapshot *s, int n, int keys[], int values[231]) {
        for (int k = 0; k < 231; k++)
                values[k] = -1;
        for (int i = 0; i < n; i++) {
                uint8_t bytes[FRAME_SIZE];

                assert_true(output_frame(o, s, bytes));
                assert_in_range(bytes[47], 25, 25 + 18);
                keys[i] = bytes[47] - 25;
                values[keys[i]] = bytes[48];
        }
}

static void test_pairs(void **state) {
        static const int order[] = {0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 18};
        static const struct { int key, value; } known[] = {
                {0, 255},                            /* over 100: not known */
                {1, 99},
                {2, 560 / 256}, {3, 560 % 256},      /* V-low = V-min */
                {4, 640 / 256}, {5, 640 % 256},      /* 3.200 V nominal */
                {8, -1}, {9, -1},                    /* charge cycles: not counted here */
                {10, 0x01}, {11, 0x23}, {12, 0x45},
                {13, 0x00}, {14, 0x89}, {15, 0xAB},
                {16, 0x30},
                {17, 700 / 256}, {18, 700 % 256},    /* V-full = V-bypass */
        };
        unsigned major, minor, patch;
        int keys[2 * ELEMENTSOF(order)], values[231];
        struct output o = {};
        struct snapshot s;

        (void)state;
        snapshot_init(&s);
        collect(&o, &s, ELEMENTSOF(keys), keys, values);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                assert_int_equal(keys[i], order[i % ELEMENTSOF(order)]);
        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                assert_int_equal(values[known[i].key], known[i].value);

        assert_int_equal(sscanf(SMARTBMS_VERSION, "%u.%u.%u", &major, &minor, &patch), 3);
        assert_int_equal(values[6], major * 16 + minor);
        assert_int_equal(values[7], patch);
}

static void test_unknown_pairs_are_skipped(void **state) {
        static const int order[] = {0, 1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 16};
        int keys[2 * ELEMENTSOF(order)], values[231];
        struct output o = {};
        struct snapshot s;

        (void)state;
        snapshot_init(&s);
        s.total_mwh[ENERGY_CHARGED] = none64();
        s.v_bypass_mv = none();
        collect(&o, &s, ELEMENTSOF(keys), keys, values);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                assert_int_equal(keys[i], order[i % ELEMENTSOF(order)]);
}

/* A number of several bytes is of one instant, though it takes several frames and changes meanwhile. */
static void test_pairs_are_not_torn(void **state) {
        struct output o = {};
        struct snapshot s;
        uint8_t bytes[FRAME_SIZE];
        unsigned charged = 0;

        (void)state;
        snapshot_init(&s);
        s.total_mwh[ENERGY_CHARGED] = some64(INT64_C(0x00FFFF) * 1000000);
        for (int i = 0; i < 17; i++) {
                assert_true(output_frame(&o, &s, bytes));
                if (bytes[47] - 25 < 10 || bytes[47] - 25 > 12)
                        continue;
                charged = charged * 256 + bytes[48];
                s.total_mwh[ENERGY_CHARGED] = some64(INT64_C(0x010000) * 1000000);
        }
        assert_int_equal(charged, 0x00FFFF);

        charged = 0;
        for (int i = 0; i < 17; i++) {
                assert_true(output_frame(&o, &s, bytes));
                if (bytes[47] - 25 >= 10 && bytes[47] - 25 <= 12)
                        charged = charged * 256 + bytes[48];
        }
        assert_int_equal(charged, 0x010000);

        /* What is too large for its bytes saturates. */
        s.total_mwh[ENERGY_CHARGED] = some64(INT64_C(0x1000000) * 1000000);
        charged = 0;
        for (int i = 0; i < 17; i++) {
                assert_true(output_frame(&o, &s, bytes));
                if (bytes[47] - 25 >= 10 && bytes[47] - 25 <= 12)
                        charged = charged * 256 + bytes[48];
        }
        assert_int_equal(charged, 0xFFFFFF);
}

static void test_status_2(void **state) {
        static const struct {
                bool charge, load, alarm;
                struct maybe charge_confirmed;
                int32_t lowest_decic;
                int value;
        } rows[] = {
                {false, false, false, {false, 0}, 100, 0x00},
                {true, false, false, {false, 0}, 100, 0x10},
                {false, true, false, {false, 0}, 100, 0x20},
                {true, true, false, {true, 0}, 100, 0x20},  /* commanded, but the contact is open (P16) */
                {false, true, false, {true, 1}, 100, 0x30}, /* stuck */
                /* T-min 0.0, for discharging -10.0: "below" */
                {false, false, true, {false, 0}, 0, 0x00},
                {false, false, true, {false, 0}, -1, 0x04},
                {false, false, true, {false, 0}, -100, 0x04},
                {false, false, true, {false, 0}, -101, 0x0C},
                {false, false, false, {false, 0}, -101, 0x00}, /* not believed yet */
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int keys[17], values[231];
                struct output o = {};
                struct snapshot s;

                snapshot_init(&s);
                s.settings.values[SETTING_TMIN_DISCHARGE] = some(-100);
                s.relays[RELAY_CHARGE].closed = rows[i].charge;
                s.relays[RELAY_CHARGE].confirmed = rows[i].charge_confirmed;
                s.relays[RELAY_LOAD].closed = rows[i].load;
                s.alarms[ALARM_T_MIN].active = rows[i].alarm;
                s.lowest_decic = some(rows[i].lowest_decic);
                collect(&o, &s, 17, keys, values);
                assert_int_equal(values[16], rows[i].value);
        }
}

/* Role monitor: the board's frame as it came; only the state of the link is ours. */
static void test_monitor(void **state) {
        uint64_t random = 10;
        uint8_t chain[FRAME_SIZE], bytes[FRAME_SIZE];
        struct output o = {};
        struct snapshot s;

        (void)state;
        snapshot_init(&s);
        compose_frame(chain, cells, 4, 3, 80, 30);
        for (unsigned i = 30; i < 57; i++)
                chain[i] = (uint8_t)compose_random(&random);
        chain[30] = 0xEB;
        compose_seal(chain);
        assert_true(frame_decode(chain, TEMPERATURE_LEGACY, &s.frame));
        s.role = ROLE_MONITOR;
        s.coding = TEMPERATURE_LEGACY;
        assert_true(output_frame(&o, &s, bytes));
        assert_memory_equal(bytes, chain, FRAME_SIZE);

        s.link = LINK_STALE;
        chain[30] = 0xEC;
        compose_seal(chain);
        assert_true(output_frame(&o, &s, bytes));
        assert_memory_equal(bytes, chain, FRAME_SIZE);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),
                cmocka_unit_test(test_soc_percent),
                cmocka_unit_test(test_status_bits),
                cmocka_unit_test(test_stale_and_error),
                cmocka_unit_test(test_nothing_heard_yet),
                cmocka_unit_test(test_unknown_and_largest),
                cmocka_unit_test(test_pairs),
                cmocka_unit_test(test_unknown_pairs_are_skipped),
                cmocka_unit_test(test_pairs_are_not_torn),
                cmocka_unit_test(test_status_2),
                cmocka_unit_test(test_monitor),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
