/* SPDX-License-Identifier: MIT */

/* What a phone is shown of the past: which events are faults, in which order, when; hours in a ring of a week. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "phone-past.h"

#define T (1000 * USEC_PER_SEC)
#define HOUR ((int64_t)USEC_PER_HOUR)

static struct phone_past past;
static struct phone_fault faults[PHONE_FAULTS_MAX];

static struct event alarm_event(usec_t at, enum alarm alarm, enum rule rule, uint8_t cell, int32_t value) {
        return (struct event){.at = at,
                              .kind = EVENT_ALARM_RAISED,
                              .subject = (int)alarm,
                              .reason = {.rule = rule, .cell = cell, .value = some(value), .at = at}};
}

static size_t show(void) {
        return phone_past_faults(&past, none64(), faults);
}

static void raise_alarm(usec_t at, enum alarm alarm, enum rule rule, uint8_t cell, int32_t value) {
        const struct event e = alarm_event(at, alarm, rule, cell, value);

        phone_past_event(&past, &e);
}

static void open_relay(usec_t at, enum relay_id relay, enum rule rule, uint8_t cell, int32_t value) {
        struct event e = alarm_event(at, 0, rule, cell, value);

        e.kind = EVENT_RELAY_OPENED;
        e.subject = (int)relay;
        phone_past_event(&past, &e);
}

static void test_kinds(void **state) {
        static const struct {
                enum alarm alarm;
                enum rule rule;
                enum phone_fault_kind kind; /* wire formats, section 2 */
        } rows[] = {
                {ALARM_V_MIN, RULE_V_MIN, PHONE_FAULT_V_LOW},
                {ALARM_V_MAX, RULE_V_MAX, PHONE_FAULT_V_HIGH},
                {ALARM_T_MIN, RULE_T_MIN_CHARGE, PHONE_FAULT_T_LOW_CHARGING},
                {ALARM_T_MIN, RULE_T_MIN_DISCHARGE, PHONE_FAULT_T_LOW_DISCHARGING},
                {ALARM_T_MAX, RULE_T_MAX, PHONE_FAULT_T_HIGH},
                {ALARM_T_MAX, RULE_T_MAX_CELL, PHONE_FAULT_T_HIGH},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const bool volts = rows[i].kind <= PHONE_FAULT_V_HIGH;

                phone_past_init(&past);
                raise_alarm(T, rows[i].alarm, rows[i].rule, 7, -123);
                assert_int_equal(1, show());
                assert_int_equal(rows[i].kind, faults[0].kind);
                assert_int_equal(7, faults[0].cell.value);
                assert_int_equal(volts, faults[0].voltage_mv.known);
                assert_int_equal(!volts, faults[0].temperature_decic.known);
                assert_int_equal(-123, volts ? faults[0].voltage_mv.value : faults[0].temperature_decic.value);
                assert_false(faults[0].wall_sec.known);
        }
        raise_alarm(T + 1, ALARM_V_MIN, RULE_V_MIN, 0, 2800); /* of no cell */
        assert_int_equal(2, show());
        assert_false(faults[0].cell.known);
        assert_int_equal(2800, faults[0].voltage_mv.value);
}

/* Without a reason: the board's lamps in role monitor, and the link. */
static void test_without_a_reading(void **state) {
        static const struct {
                enum alarm alarm;
                enum phone_fault_kind kind;
        } rows[] = {
                {ALARM_COMMUNICATION, PHONE_FAULT_COMMUNICATION}, {ALARM_STALE, PHONE_FAULT_COMMUNICATION},
                {ALARM_T_MIN, PHONE_FAULT_T_LOW_CHARGING},        {ALARM_V_MAX, PHONE_FAULT_V_HIGH},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const struct event e = {.at = T, .kind = EVENT_ALARM_RAISED, .subject = (int)rows[i].alarm};

                phone_past_init(&past);
                phone_past_event(&past, &e);
                assert_int_equal(1, show());
                assert_int_equal(rows[i].kind, faults[0].kind);
                assert_false(faults[0].cell.known || faults[0].voltage_mv.known || faults[0].temperature_decic.known);
        }
}

static void test_no_faults(void **state) {
        struct event e = alarm_event(T, ALARM_V_MIN, RULE_V_MIN, 1, 2800);

        (void)state;
        phone_past_init(&past);
        e.kind = EVENT_ALARM_CLEARED;
        phone_past_event(&past, &e);
        e.kind = EVENT_FULL_SYNC;
        phone_past_event(&past, &e);
        for (int i = 0; i < _ALARM_MAX; i++)
                if (i != ALARM_COMMUNICATION && i != ALARM_STALE && i != ALARM_V_MAX && i != ALARM_V_MIN &&
                    i != ALARM_T_MAX && i != ALARM_T_MIN)
                        raise_alarm(T, i, RULE_V_MIN, 1, 2800);
        for (int i = 0; i < _RULE_MAX; i++) {
                open_relay(T, RELAY_CHARGE, i, 1, 0);
                if (i != RULE_T_MIN_DISCHARGE)
                        open_relay(T, RELAY_LOAD, i, 1, 0);
        }
        assert_int_equal(0, show());
}

/* Too cold for charging at 1000 s, for discharging later; or for both at once. */
static void test_cold_twice(void **state) {
        (void)state;
        phone_past_init(&past);
        raise_alarm(T, ALARM_T_MIN, RULE_T_MIN_CHARGE, 3, -10);
        open_relay(T + 1, RELAY_LOAD, RULE_T_MIN_DISCHARGE, 4, -200);
        assert_int_equal(2, show());
        assert_int_equal(PHONE_FAULT_T_LOW_DISCHARGING, faults[0].kind);
        assert_int_equal(-200, faults[0].temperature_decic.value);
        assert_int_equal(PHONE_FAULT_T_LOW_CHARGING, faults[1].kind);

        phone_past_init(&past);
        open_relay(T, RELAY_LOAD, RULE_T_MIN_DISCHARGE, 3, -10);
        raise_alarm(T, ALARM_T_MIN, RULE_T_MIN_CHARGE, 3, -10);
        assert_int_equal(1, show());
        assert_int_equal(PHONE_FAULT_T_LOW_CHARGING, faults[0].kind);

        phone_past_init(&past); /* the other way round */
        raise_alarm(T, ALARM_T_MIN, RULE_T_MIN_CHARGE, 3, -10);
        open_relay(T, RELAY_LOAD, RULE_T_MIN_DISCHARGE, 3, -10);
        assert_int_equal(1, show());
        assert_int_equal(PHONE_FAULT_T_LOW_CHARGING, faults[0].kind);
        /* other kinds at the same moment are others */
        raise_alarm(T, ALARM_V_MIN, RULE_V_MIN, 3, 2800);
        assert_int_equal(2, show());
}

static void test_the_newest_ten(void **state) {
        (void)state;
        phone_past_init(&past);
        for (unsigned i = 1; i <= 12; i++)
                raise_alarm(i * USEC_PER_SEC, ALARM_V_MIN, RULE_V_MIN, (uint8_t)i, 2800);
        assert_int_equal(PHONE_FAULTS_MAX, phone_past_faults(&past, some64(5000 * (int64_t)USEC_PER_SEC), faults));
        for (unsigned i = 0; i < PHONE_FAULTS_MAX; i++) {
                assert_int_equal(12 - i, faults[i].cell.value);
                assert_int_equal(5012 - i, faults[i].wall_sec.value);
        }
}

static void test_earlier_runs(void **state) {
        struct phone_past older;
        struct event e;

        (void)state;
        phone_past_init(&older);
        e = alarm_event(T, ALARM_V_MAX, RULE_V_MAX, 1, 3700);
        phone_past_event_of_other_boot(&older, &e, none64());
        e.reason.cell = 2;
        phone_past_event_of_other_boot(&older, &e, none64()); /* perhaps long after: both are shown */
        e.reason.cell = 3;
        phone_past_event_of_other_boot(&older, &e, some64(77 * (int64_t)USEC_PER_SEC));

        phone_past_init(&past);
        for (unsigned i = 1; i <= 8; i++)
                raise_alarm(i * USEC_PER_SEC, ALARM_V_MIN, RULE_V_MIN, (uint8_t)(10 + i), 2800);
        phone_past_put_behind(&past, &older);
        assert_int_equal(10, phone_past_faults(&past, some64(0), faults));
        assert_int_equal(18, faults[0].cell.value);
        assert_int_equal(11, faults[7].cell.value);
        assert_int_equal(3, faults[8].cell.value);
        assert_int_equal(77, faults[8].wall_sec.value);
        assert_int_equal(2, faults[9].cell.value);
        assert_false(faults[9].wall_sec.known);
}

/* Hour 168 n + k since 1970 has place k. */
static void test_hours(void **state) {
        const int64_t first = 168 * 2800 + 166;

        (void)state;
        phone_past_init(&past);
        assert_false(past.newest_hour.known);
        phone_past_soc_was(&past, first * HOUR, some(100));
        for (unsigned i = 0; i < PHONE_SOC_HOURS; i++)
                assert_int_equal(PHONE_SOC_NONE, past.soc_hours[i]);

        phone_past_soc(&past, first * HOUR, some(5099)); /* rounded down */
        assert_int_equal(50, past.soc_hours[166]);
        phone_past_soc(&past, first * HOUR + HOUR - 1, some(5100));
        assert_int_equal(51, past.soc_hours[166]);
        phone_past_soc(&past, (first + 1) * HOUR, none()); /* not known now */
        assert_int_equal(51, past.soc_hours[166]);
        assert_int_equal(PHONE_SOC_NONE, past.soc_hours[167]);
        assert_int_equal(first + 1, past.newest_hour.value);
        phone_past_soc(&past, (first + 2) * HOUR, some(10000));
        assert_int_equal(100, past.soc_hours[0]);
        /* as long as it is not known, what it was in this hour stands */
        phone_past_soc(&past, (first + 2) * HOUR + 1, none());
        assert_int_equal(100, past.soc_hours[0]);
}

static void fill(int64_t last) {
        phone_past_init(&past);
        for (int64_t i = last - 167; i <= last; i++)
                phone_past_soc(&past, i * HOUR, some((int32_t)(i % 100) * 100));
}

static void test_hours_not_heard_of(void **state) {
        const int64_t last = 168 * 2800 + 10;

        (void)state;
        fill(last);
        phone_past_soc(&past, (last + 3) * HOUR, some(4200));
        assert_int_equal(PHONE_SOC_NONE, past.soc_hours[11]);
        assert_int_equal(PHONE_SOC_NONE, past.soc_hours[12]);
        assert_int_equal(42, past.soc_hours[13]);
        assert_int_equal((last - 164) % 100, past.soc_hours[14]); /* the oldest */
        /* all of a week but one; and all */
        fill(last);
        phone_past_soc(&past, (last + 167) * HOUR, some(4200));
        assert_int_equal(last % 100, past.soc_hours[10]);
        assert_int_equal(PHONE_SOC_NONE, past.soc_hours[8]);
        assert_int_equal(42, past.soc_hours[9]);
        fill(last);
        phone_past_soc(&past, (last + 168) * HOUR, none());
        assert_int_equal(PHONE_SOC_NONE, past.soc_hours[10]);
        fill(last);
        phone_past_soc(&past, (last + 1000000) * HOUR, none());
        for (unsigned i = 0; i < PHONE_SOC_HOURS; i++)
                assert_int_equal(PHONE_SOC_NONE, past.soc_hours[i]);
}

static void test_a_clock_turned_back(void **state) {
        const int64_t last = 168 * 2800 + 10;

        (void)state;
        fill(last);
        phone_past_soc(&past, (last - 2) * HOUR, some(4200));
        assert_int_equal(last - 2, past.newest_hour.value);
        assert_int_equal(42, past.soc_hours[8]);
        assert_int_equal(PHONE_SOC_NONE, past.soc_hours[9]);
        assert_int_equal(PHONE_SOC_NONE, past.soc_hours[10]);
        assert_int_equal((last - 167) % 100, past.soc_hours[11]);
        fill(last);
        phone_past_soc(&past, (last - 1000) * HOUR, some(4200));
        for (unsigned i = 0; i < PHONE_SOC_HOURS; i++)
                assert_int_equal((int64_t)i == (last - 1000) % 168 ? 42 : PHONE_SOC_NONE, past.soc_hours[i]);
        phone_past_soc(&past, -1, some(4200)); /* before 1970 there is nothing */
        assert_int_equal(last - 1000, past.newest_hour.value);
}

static void test_hours_of_earlier_runs(void **state) {
        const int64_t now = 168 * 2800 + 10;

        (void)state;
        phone_past_init(&past);
        phone_past_soc(&past, now * HOUR, some(4200));
        phone_past_soc_was(&past, now * HOUR, some(100)); /* known better */
        phone_past_soc_was(&past, (now + 1) * HOUR, some(100));
        phone_past_soc_was(&past, (now - 1) * HOUR + HOUR - 1, some(4399));
        phone_past_soc_was(&past, (now - 1) * HOUR, some(100)); /* the older of two */
        phone_past_soc_was(&past, (now - 2) * HOUR, none());
        phone_past_soc_was(&past, (now - 167) * HOUR, some(9900));
        phone_past_soc_was(&past, (now - 168) * HOUR, some(100));
        phone_past_soc_was(&past, -1, some(100));
        for (int64_t i = 0; i < (int64_t)PHONE_SOC_HOURS; i++)
                assert_int_equal(i == 10 ? 42 : i == 9 ? 43 : i == 11 ? 99 : PHONE_SOC_NONE, past.soc_hours[i]);
        phone_past_soc(&past, now * HOUR, none());
        assert_int_equal(42, past.soc_hours[10]);
        /* a week ago is not now, though it has the same place */
        phone_past_init(&past);
        phone_past_soc(&past, now * HOUR, none());
        phone_past_soc_was(&past, (now - 168) * HOUR, some(100));
        assert_int_equal(PHONE_SOC_NONE, past.soc_hours[10]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_without_a_reading),
                cmocka_unit_test(test_no_faults),
                cmocka_unit_test(test_cold_twice),
                cmocka_unit_test(test_the_newest_ten),
                cmocka_unit_test(test_earlier_runs),
                cmocka_unit_test(test_hours),
                cmocka_unit_test(test_hours_not_heard_of),
                cmocka_unit_test(test_a_clock_turned_back),
                cmocka_unit_test(test_hours_of_earlier_runs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
