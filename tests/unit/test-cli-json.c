/* SPDX-License-Identifier: MIT */

/* JSON that any reader takes: RFC 8259, exact numbers, null for unknown. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "json.h"

struct sink {
        FILE *f;
        char *text;
        size_t size;
        struct json json;
};

static struct json *sink_open(struct sink *s, bool pretty) {
        s->f = open_memstream(&s->text, &s->size);
        assert_non_null(s->f);
        json_begin(&s->json, s->f, pretty);
        return &s->json;
}

static void sink_expect(struct sink *s, const char *expected) {
        json_end(&s->json);
        assert_int_equal(fclose(s->f), 0);
        assert_string_equal(s->text, expected);
        free(s->text);
}

static void test_layout(void **unused) {
        struct sink s;
        struct json *j;

        (void)unused;
        for (int pretty = 0; pretty < 2; pretty++) {
                j = sink_open(&s, pretty);
                json_object(j, NULL);
                json_string(j, "a", "x");
                json_array(j, "list");
                json_object(j, NULL);
                json_bool(j, "yes", true);
                json_close_object(j);
                json_null(j, NULL);
                json_close_array(j);
                json_array(j, "empty");
                json_close_array(j);
                json_number(j, "n", some64(-5), 1);
                json_number(j, "u", none64(), 1);
                json_close_object(j);
                sink_expect(&s,
                            pretty ? "{\n"
                                     "  \"a\": \"x\",\n"
                                     "  \"list\": [\n"
                                     "    {\n"
                                     "      \"yes\": true\n"
                                     "    },\n"
                                     "    null\n"
                                     "  ],\n"
                                     "  \"empty\": [],\n"
                                     "  \"n\": -0.5,\n"
                                     "  \"u\": null\n"
                                     "}\n"
                                   : "{\"a\":\"x\",\"list\":[{\"yes\":true},null],\"empty\":[],\"n\":-0.5,"
                                     "\"u\":null}\n");
        }
}

static void test_strings(void **unused) {
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"", "\"\"\n"},
                {"a \"b\" \\ /", "\"a \\\"b\\\" \\\\ /\"\n"},
                {"\n\t\x01\x7f\x1b[2J", "\"\\u000a\\u0009\\u0001\\u007f\\u001b[2J\"\n"},
                {"20 \xc2\xb0"
                 "C \xe2\x82\xac \xf0\x9f\x94\x8b",
                 "\"20 \xc2\xb0"
                 "C \xe2\x82\xac \xf0\x9f\x94\x8b\"\n"},
                /* not UTF-8: a lone continuation, a cut sequence, an overlong slash, a surrogate, beyond
                   U+10FFFF */
                {"a\x80z", "\"a\\ufffdz\"\n"},
                {"a\xe2\x82", "\"a\\ufffd\\ufffd\"\n"},
                {"\xc0\xaf", "\"\\ufffd\\ufffd\"\n"},
                {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"\n"},
                {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"\n"},
                {"\xff", "\"\\ufffd\"\n"},
        };

        (void)unused;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct sink s;

                json_string(sink_open(&s, false), NULL, cases[i].in);
                sink_expect(&s, cases[i].out);
        }
}

static void test_settings_carry_their_unit(void **unused) {
        static const struct {
                enum setting setting;
                struct maybe value;
                const char *out;
        } cases[] = {
                {SETTING_VMIN, {true, 2800}, "{\"vmin_v\":2.800}\n"},
                {SETTING_FULL_TAIL_CURRENT, {true, 2500}, "{\"full_tail_current_a\":2.500}\n"},
                {SETTING_FULL_TAIL_CURRENT, {false, 0}, "{\"full_tail_current_a\":null}\n"},
                {SETTING_CAPACITY, {true, 1920}, "{\"capacity_wh\":1920}\n"},
                {SETTING_SOLAR_PEAK, {true, 2500}, "{\"solar_peak_w\":2500}\n"},
                {SETTING_TMIN, {true, -55}, "{\"tmin_degc\":-5.5}\n"},
                {SETTING_CHARGE_RESTART, {true, 95}, "{\"charge_restart_percent\":95}\n"},
                {SETTING_CHARGE_RESTART_DELAY, {true, 60}, "{\"charge_restart_delay_s\":60}\n"},
                {SETTING_TRIP_FRAMES, {true, 2}, "{\"trip_frames\":2}\n"},
                {SETTING_MODE, {true, MODE_CRITICAL}, "{\"mode\":\"critical\"}\n"},
        };

        (void)unused;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct sink s;
                struct json *j = sink_open(&s, false);
                char key[64];

                json_object(j, NULL);
                document_setting(j, document_setting_key(cases[i].setting, key, sizeof(key)),
                                 cases[i].setting, cases[i].value);
                json_close_object(j);
                sink_expect(&s, cases[i].out);
        }
}

/* A daemon that sends nothing leaves everything unknown: null numbers and empty words, no zeros. */
static void test_nothing_known(void **unused) {
        static const struct reading nothing;
        struct sink s;
        struct json *j;

        (void)unused;
        j = sink_open(&s, false);
        json_object(j, NULL);
        document_group(j, GROUP_SOC, &nothing);
        json_close_object(j);
        sink_expect(&s,
                    "{\"soc\":{\"soc_percent\":null,\"soc_uncertainty_percent\":null,\"soc_calibrated\":null,"
                    "\"soc_sensor\":\"\",\"soc_idle_draw_a\":null,\"soc_uncounted_s\":null,"
                    "\"soc_capacity_wh\":null}}\n");
}

/* Every field has one group, by its key. */
static void test_groups(void **unused) {
        size_t in[_GROUP_MAX] = {0};

        (void)unused;
        for (size_t i = 0; i < n_fields; i++) {
                const enum document_group g = document_group_of(&fields[i]);

                in[g]++;
                assert_int_equal(g == GROUP_ENERGY, fields[i].interface == FIELDS_ENERGY);
        }
        for (int g = 0; g < _GROUP_MAX; g++)
                assert_true(in[g] > 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_layout),
                cmocka_unit_test(test_strings),
                cmocka_unit_test(test_settings_carry_their_unit),
                cmocka_unit_test(test_nothing_known),
                cmocka_unit_test(test_groups),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
