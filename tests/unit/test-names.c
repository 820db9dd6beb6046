/* SPDX-License-Identifier: MIT */

/* Words are part of the interface: scripts compare them, and a wrong sentence sends an owner to the wrong
 * cell. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "names.h"

#define SENTENCE_MAX 128 /* what names.h promises to be enough */

static void assert_unique(const char *(*name)(int), int n) {
        for (int i = 0; i < n; i++) {
                assert_string_not_equal(name(i), "");
                assert_string_not_equal(name(i), "invalid");
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(name(i), name(j));
        }
        assert_string_equal(name(n), "invalid");
        assert_string_equal(name(-1), "invalid");
}

static const char *state(int i) {
        return link_state_name((enum link_state)i);
}
static const char *cause(int i) {
        return link_cause_name((enum link_cause)i);
}
static const char *role(int i) {
        return role_name((enum role)i);
}
static const char *rule(int i) {
        return rule_name((enum rule)i);
}
static const char *kind(int i) {
        return hold_name((enum hold_kind)i);
}
static const char *relay(int i) {
        return relay_name((enum relay_id)i);
}
static const char *alarm_word(int i) {
        return alarm_name((enum alarm)i);
}
static const char *sensor(int i) {
        return soc_sensor_name((enum soc_sensor_state)i);
}
static const char *verdict(int i) {
        return accept_verdict_name((enum accept_verdict)i);
}
static const char *coding(int i) {
        return temperature_coding_name((enum temperature_coding)i);
}
static const char *event(int i) {
        return event_kind_name((enum event_kind)i);
}

static void test_every_value_has_its_own_word(void **unused) {
        (void)unused;
        assert_unique(state, _LINK_STATE_MAX);
        assert_unique(cause, _LINK_CAUSE_MAX);
        assert_unique(role, 2);
        assert_unique(rule, _RULE_MAX);
        assert_unique(kind, _HOLD_MAX);
        assert_unique(relay, _RELAY_MAX);
        assert_unique(alarm_word, _ALARM_MAX);
        assert_unique(sensor, _SOC_SENSOR_MAX);
        assert_unique(verdict, _ACCEPT_MAX);
        assert_unique(coding, 2);
        assert_unique(event, _EVENT_MAX);
}

/* What others may rely on: design 10 and the interface description name them. */
static void test_published_words(void **unused) {
        (void)unused;
        assert_string_equal(link_state_name(LINK_STARTING), "starting");
        assert_string_equal(link_state_name(LINK_LIVE), "live");
        assert_string_equal(link_state_name(LINK_STALE), "stale");
        assert_string_equal(link_state_name(LINK_ERROR), "error");
        assert_string_equal(role_name(ROLE_GATEWAY), "gateway");
        assert_string_equal(role_name(ROLE_MONITOR), "monitor");
        assert_string_equal(rule_name(RULE_V_MAX), "V-max");
        assert_string_equal(rule_name(RULE_V_MIN), "V-min");
        assert_string_equal(rule_name(RULE_T_MAX), "T-max");
        assert_string_equal(rule_name(RULE_LINK), "link");
        assert_string_equal(alarm_name(ALARM_COMMUNICATION), "communication");
        assert_string_equal(alarm_name(ALARM_V_MAX), "v-max");
        assert_string_equal(alarm_name(ALARM_T_MIN), "t-min");
        assert_string_equal(event_kind_name(EVENT_RELAY_OPENED), "relay-opened");
        assert_string_equal(event_kind_name(EVENT_CELLS_LEARNED), "cells-learned");
}

static void test_relay_from_name(void **unused) {
        (void)unused;
        assert_int_equal(relay_from_name("charge"), RELAY_CHARGE);
        assert_int_equal(relay_from_name("load"), RELAY_LOAD);
        assert_int_equal(relay_from_name("Load"), -ENOENT);
        assert_int_equal(relay_from_name("loads"), -ENOENT);
        assert_int_equal(relay_from_name(""), -ENOENT);
}

static const struct {
        enum rule rule;
        uint8_t cell;
        struct maybe value, limit;
        enum relay_id relay;
        bool closed;
        const char *text;
} reasons[] = {
        {RULE_V_MAX,
         3,
         {true, 3655},
         {true, 3650},
         RELAY_CHARGE,
         false,
         "cell 3 at 3.655 V reached V-max 3.650 V"},
        {RULE_V_MAX,
         255,
         {true, 3650},
         {true, 3650},
         RELAY_CHARGE,
         false,
         "cell 255 at 3.650 V reached V-max 3.650 V"},
        {RULE_V_MIN,
         7,
         {true, 2795},
         {true, 2800},
         RELAY_LOAD,
         false,
         "cell 7 at 2.795 V fell to V-min 2.800 V"},
        {RULE_V_MIN,
         0,
         {false, 0},
         {true, 2800},
         RELAY_LOAD,
         false,
         "a cell at unknown fell to V-min 2.800 V"},
        {RULE_FULL,
         2,
         {true, 3400},
         {true, 3400},
         RELAY_CHARGE,
         false,
         "full: every cell reached V-bypass 3.400 V (lowest: cell 2 at 3.400 V)"},
        {RULE_FULL_PACK,
         0,
         {true, 54400},
         {true, 54400},
         RELAY_CHARGE,
         false,
         "full: the pack at 54.400 V reached V-bypass times its cells, 54.400 V"},
        {RULE_T_MIN_CHARGE,
         1,
         {true, -5},
         {true, 0},
         RELAY_CHARGE,
         false,
         "cell 1 at -0.5 degC is below T-min 0.0 degC"},
        {RULE_T_MIN_DISCHARGE,
         1,
         {true, -205},
         {true, -200},
         RELAY_LOAD,
         false,
         "cell 1 at -20.5 degC is below T-min for discharging, -20.0 degC"},
        {RULE_T_MAX,
         16,
         {true, 560},
         {true, 550},
         RELAY_LOAD,
         false,
         "cell 16 at 56.0 degC is above T-max 55.0 degC"},
        {RULE_T_MAX_CELL,
         4,
         {true, 805},
         {true, 800},
         RELAY_LOAD,
         false,
         "cell 4 at 80.5 degC is above T-max 80.0 degC"},
        {RULE_START, 0, {false, 0}, {false, 0}, RELAY_LOAD, false, "just started, nothing is decided yet"},
        {RULE_LINK, 0, {false, 0}, {false, 0}, RELAY_LOAD, false, "no usable messages from the cells"},
        {RULE_ERROR, 0, {false, 0}, {false, 0}, RELAY_LOAD, false, "communication error E"},
        {RULE_UNCONFIRMED,
         0,
         {false, 0},
         {false, 0},
         RELAY_LOAD,
         false,
         "a limit was crossed, then no usable message came to confirm it"},
        {RULE_RECOVER, 0, {false, 0}, {false, 0}, RELAY_LOAD, true, "closed by `smartbmsctl recover`"},
        {RULE_RECOVER, 0, {false, 0}, {false, 0}, RELAY_LOAD, false, "`recover` has ended"},
        {RULE_BOARD, 0, {false, 0}, {false, 0}, RELAY_CHARGE, true, "the OUT board permits charging"},
        {RULE_BOARD, 0, {false, 0}, {false, 0}, RELAY_LOAD, false, "the OUT board forbids discharging"},
        {RULE_CLEAR, 0, {false, 0}, {false, 0}, RELAY_CHARGE, true, "every condition for charging holds"},
        {RULE_CLEAR, 0, {false, 0}, {false, 0}, RELAY_LOAD, true, "every condition for discharging holds"},
        {RULE_FEEDBACK,
         0,
         {false, 0},
         {false, 0},
         RELAY_LOAD,
         false,
         "found closed by its feedback input at the start, and driven open"},
};

static void test_reasons(void **unused) {
        bool seen[_RULE_MAX] = {false};

        (void)unused;
        for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
                const struct reason reason = {.rule = reasons[i].rule,
                                              .cell = reasons[i].cell,
                                              .value = reasons[i].value,
                                              .limit = reasons[i].limit};
                char text[SENTENCE_MAX];

                reason_text(&reason, reasons[i].relay, reasons[i].closed, text, sizeof(text));
                assert_string_equal(text, reasons[i].text);
                seen[reasons[i].rule] = true;
        }
        for (int i = 0; i < _RULE_MAX; i++)
                assert_true(seen[i]);
}

#define NOTHING                                                                                              \
        { false, 0 }

static const struct {
        struct hold hold;
        enum relay_id relay;
        const char *text;
} sentences[] = {
        {{.kind = HOLD_LINK}, RELAY_LOAD, "the link to the cells is not live: needs good messages"},
        {{.kind = HOLD_RULE, .rule = RULE_V_MAX, .cell = 3, .value = {true, 3660}, .limit = {true, 3650}},
         RELAY_CHARGE,
         "cell 3 is at 3.660 V: must fall below V-max 3.650 V"},
        {{.kind = HOLD_RULE, .rule = RULE_V_MIN, .cell = 3, .value = {true, 2700}, .limit = {true, 2800}},
         RELAY_LOAD,
         "cell 3 is at 2.700 V: must rise above V-min 2.800 V"},
        {{.kind = HOLD_RULE, .rule = RULE_FULL, .cell = 3, .value = {true, 3410}, .limit = {true, 3400}},
         RELAY_CHARGE,
         "full: every cell is at V-bypass 3.400 V or above (lowest: cell 3 at 3.410 V)"},
        {{.kind = HOLD_RULE, .rule = RULE_T_MIN_CHARGE, .cell = 1, .value = {true, -15}, .limit = {true, 0}},
         RELAY_CHARGE,
         "cell 1 is at -1.5 degC: must rise above T-min 0.0 degC"},
        {{.kind = HOLD_RULE,
          .rule = RULE_T_MIN_DISCHARGE,
          .cell = 1,
          .value = {true, -150},
          .limit = {true, -100}},
         RELAY_LOAD,
         "cell 1 is at -15.0 degC: must rise above T-min for discharging, -10.0 degC"},
        {{.kind = HOLD_RULE, .rule = RULE_T_MAX, .cell = 9, .value = {true, 600}, .limit = {true, 550}},
         RELAY_LOAD,
         "cell 9 is at 60.0 degC: must fall below T-max 55.0 degC"},
        {{.kind = HOLD_RULE, .rule = RULE_T_MAX_CELL, .cell = 9, .value = {true, 600}, .limit = {true, 550}},
         RELAY_LOAD,
         "cell 9 is at 60.0 degC: must fall below T-max 55.0 degC"},
        {{.kind = HOLD_RULE, .rule = RULE_ERROR}, RELAY_LOAD, "communication error E: must be repaired"},
        {{.kind = HOLD_RULE, .rule = RULE_UNCONFIRMED},
         RELAY_LOAD,
         "a limit was crossed and not confirmed: needs usable messages"},
        {{.kind = HOLD_V_BYPASS, .cell = 3, .value = {true, 3410}, .limit = {true, 3350}},
         RELAY_CHARGE,
         "cell 3 is at 3.410 V: every cell must be below 3.350 V"},
        {{.kind = HOLD_V_BYPASS_UNKNOWN},
         RELAY_CHARGE,
         "V-bypass is not known yet: needs messages that agree on it"},
        {{.kind = HOLD_V_HYSTERESIS,
          .rule = RULE_V_MAX,
          .cell = 3,
          .value = {true, 3620},
          .limit = {true, 3600}},
         RELAY_CHARGE,
         "cell 3 is at 3.620 V: must fall to 3.600 V (hysteresis)"},
        {{.kind = HOLD_V_HYSTERESIS,
          .rule = RULE_V_MIN,
          .cell = 3,
          .value = {true, 2900},
          .limit = {true, 3000}},
         RELAY_LOAD,
         "cell 3 is at 2.900 V: must rise to 3.000 V (hysteresis)"},
        {{.kind = HOLD_T_HYSTERESIS,
          .rule = RULE_T_MAX,
          .cell = 3,
          .value = {true, 540},
          .limit = {true, 530}},
         RELAY_LOAD,
         "cell 3 is at 54.0 degC: must fall to 53.0 degC (hysteresis)"},
        {{.kind = HOLD_T_HYSTERESIS,
          .rule = RULE_T_MIN_CHARGE,
          .cell = 3,
          .value = {true, 10},
          .limit = {true, 20}},
         RELAY_CHARGE,
         "cell 3 is at 1.0 degC: must rise to 2.0 degC (hysteresis)"},
        {{.kind = HOLD_SOC, .value = {true, 9700}, .limit = {true, 9500}},
         RELAY_CHARGE,
         "SOC is 97.00 %: must fall below 95.00 %"},
        {{.kind = HOLD_SOC, .value = {true, 5}, .limit = {true, 2000}},
         RELAY_LOAD,
         "SOC is 0.05 %: must rise to 20.00 %"},
        {{.kind = HOLD_SOC, .value = NOTHING, .limit = {true, 2000}},
         RELAY_LOAD,
         "SOC is unknown: must rise to 20.00 %"},
        /* rounded up, so never 0 s while it holds: -1, 0, +1 us */
        {{.kind = HOLD_DELAY, .remaining = 1}, RELAY_LOAD, "restart delay: 1 s left"},
        {{.kind = HOLD_DELAY, .remaining = 41999999}, RELAY_LOAD, "restart delay: 42 s left"},
        {{.kind = HOLD_DELAY, .remaining = 42000000}, RELAY_LOAD, "restart delay: 42 s left"},
        {{.kind = HOLD_DELAY, .remaining = 42000001}, RELAY_LOAD, "restart delay: 43 s left"},
        {{.kind = HOLD_RECOVERY, .remaining = 10000000},
         RELAY_LOAD,
         "settling after the messages came back: 10 s left"},
        {{.kind = HOLD_CYCLING, .remaining = 600000000},
         RELAY_CHARGE,
         "closed 6 times within an hour: 600 s left, or `smartbmsctl release charge`"},
        {{.kind = HOLD_RELEASE, .remaining = 43200 * USEC_PER_SEC},
         RELAY_LOAD,
         "cycling in a second hour within a day: 43200 s left, or `smartbmsctl release load`"},
        {{.kind = HOLD_VMIN_TRIPS},
         RELAY_LOAD,
         "3 V-min trips without charge: needs 1 % of the capacity, or `smartbmsctl release load`"},
        {{.kind = HOLD_CONFIRM}, RELAY_LOAD, "all clear: the next good messages must confirm it"},
        {{.kind = HOLD_BOARD}, RELAY_CHARGE, "the OUT board forbids charging"},
        {{.kind = HOLD_SETTINGS},
         RELAY_CHARGE,
         "the stored settings were lost: needs `smartbmsctl settings confirm`"},
        {{.kind = HOLD_STATE}, RELAY_LOAD, "what an earlier run left is still being read"},
};

static void test_holds(void **unused) {
        bool seen[_HOLD_MAX] = {false};

        (void)unused;
        for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
                char text[SENTENCE_MAX];

                hold_text(&sentences[i].hold, sentences[i].relay, text, sizeof(text));
                assert_string_equal(text, sentences[i].text);
                seen[sentences[i].hold.kind] = true;
        }
        for (int i = 0; i < _HOLD_MAX; i++)
                assert_true(seen[i]);
}

/* The widest values there are, and no room: the sentence is cut, the memory behind it is not touched. */
static void test_widest_values_and_no_room(void **unused) {
        const struct reason widest = {
                .rule = RULE_FULL, .cell = 255, .value = some(INT32_MIN), .limit = some(INT32_MAX)};
        char text[SENTENCE_MAX];

        (void)unused;
        reason_text(&widest, RELAY_CHARGE, false, text, sizeof(text));
        assert_string_equal(text, "full: every cell reached V-bypass 2147483.647 V (lowest: cell 255 at "
                                  "-2147483.648 V)");

        memset(text, '!', sizeof(text));
        reason_text(&widest, RELAY_CHARGE, false, text, 5);
        assert_string_equal(text, "full");
        assert_int_equal(text[5], '!');
}

static void test_quantities(void **unused) {
        (void)unused;
        assert_int_equal(rule_quantity(RULE_V_MIN), QUANTITY_MV);
        assert_int_equal(rule_quantity(RULE_FULL_PACK), QUANTITY_MV);
        assert_int_equal(rule_quantity(RULE_T_MAX_CELL), QUANTITY_DECIC);
        assert_int_equal(rule_quantity(RULE_LINK), QUANTITY_NONE);
        assert_int_equal(hold_quantity(HOLD_RULE, RULE_T_MIN_CHARGE), QUANTITY_DECIC);
        assert_int_equal(hold_quantity(HOLD_V_BYPASS, _RULE_MAX), QUANTITY_MV);
        assert_int_equal(hold_quantity(HOLD_SOC, _RULE_MAX), QUANTITY_PERMYRIAD);
        assert_int_equal(hold_quantity(HOLD_DELAY, RULE_V_MAX), QUANTITY_NONE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_value_has_its_own_word),
                cmocka_unit_test(test_published_words),
                cmocka_unit_test(test_relay_from_name),
                cmocka_unit_test(test_reasons),
                cmocka_unit_test(test_holds),
                cmocka_unit_test(test_widest_values_and_no_room),
                cmocka_unit_test(test_quantities),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
