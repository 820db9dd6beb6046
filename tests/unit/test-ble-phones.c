/* SPDX-License-Identifier: MIT */
/* The list of phones as text: what is written is read again, and a line that is not one is named. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ble-internal.h"

static void test_there_and_back(void **state) {
        struct ble_phone phones[BLE_PHONES_MAX], again[BLE_PHONES_MAX];
        char text[BLE_PHONES_TEXT_MAX], error[128];
        size_t n;

        (void)state;
        memset(phones, 0, sizeof(phones));
        for (unsigned i = 0; i < BLE_PHONES_MAX; i++) { /* as many as can be, each as long as can be */
                snprintf(phones[i].address, sizeof(phones[i].address), "C0:11:22:33:44:%02X", i);
                phones[i].random = i % 2;
                memset(phones[i].name, 'a' + (int)i, BLE_PHONE_NAME_MAX);
                phones[i].paired_sec = some64(INT64_MAX - i);
                phones[i].used_sec = i % 3 ? some64(i) : none64();
        }
        phones[1].name[0] = '\0';
        strcpy(phones[2].name, "Jörg's  phone ");
        assert_int_equal(ble_phones_format(phones, BLE_PHONES_MAX, text, sizeof(text)), 0);
        assert_int_equal(ble_phones_parse(text, again, &n, error, sizeof(error)), 0);
        assert_int_equal(n, BLE_PHONES_MAX);
        for (size_t i = 0; i < n; i++) {
                assert_string_equal(again[i].address, phones[i].address);
                assert_string_equal(again[i].name, phones[i].name);
                assert_true(again[i].random == phones[i].random);
                assert_true(again[i].paired_sec.known && again[i].paired_sec.value == phones[i].paired_sec.value);
                assert_true(again[i].used_sec.known == phones[i].used_sec.known);
                assert_true(again[i].used_sec.value == phones[i].used_sec.value);
                assert_false(again[i].connected);
        }
        assert_int_equal(ble_phones_format(phones, 1, text, 60), -ENOSPC);
        assert_int_equal(ble_phones_parse("", again, &n, error, sizeof(error)), 0);
        assert_int_equal(n, 0);
}

#define GOOD "C0:11:22:33:44:55 random 1 2 x\n"

static void test_bad(void **state) {
        static const char *const bad[] = {
                "C0:11:22:33:44:55 random 1 2 x",     /* no end */
                "C0:11:22:33:44:55 random 1 2\n",     /* no name, not even an empty one */
                "C0:11:22:33:44:5 random 1 2 x\n",    "C0:11:22:33:44:555 random 1 2 x\n",
                "C0:11:22:33:44:GG random 1 2 x\n",   "c0:11:22:33:44:55 random 1 2 x\n",
                "C0-11:22:33:44:55 random 1 2 x\n",   "C0:11:22:33:44:55 Random 1 2 x\n",
                "C0:11:22:33:44:55 random -1 2 x\n",  "C0:11:22:33:44:55 random 1 2s x\n",
                "C0:11:22:33:44:55 random  1 2 x\n",  "C0:11:22:33:44:55 public 1 99999999999999999999 x\n",
                "\n",                                 "x\n",
        };
        struct ble_phone phones[BLE_PHONES_MAX];
        char text[256], error[128];
        size_t n = 77;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                snprintf(text, sizeof(text), "# heading\n" GOOD "%s", bad[i]);
                error[0] = '\0';
                assert_int_equal(ble_phones_parse(text, phones, &n, error, sizeof(error)), -EINVAL);
                assert_non_null(strstr(error, "line 3"));
                assert_int_equal(n, 77); /* untouched */
        }
}

static void test_too_many(void **state) {
        struct ble_phone phones[BLE_PHONES_MAX];
        char text[BLE_PHONES_TEXT_MAX] = "", error[128];
        size_t n;

        (void)state;
        for (unsigned i = 0; i < BLE_PHONES_MAX; i++)
                strcat(text, GOOD);
        assert_int_equal(ble_phones_parse(text, phones, &n, error, sizeof(error)), 0);
        strcat(text, GOOD);
        assert_int_equal(ble_phones_parse(text, phones, &n, error, sizeof(error)), -EINVAL);
        assert_string_equal(error, "line 17: more phones than can be");
}

static void test_names_are_cleaned(void **state) {
        char text[8];

        (void)state;
        ble_clean_text(text, sizeof(text), "a\x1b[\n\x7f""b");
        assert_string_equal(text, "a?[??b");
        ble_clean_text(text, sizeof(text), "abcdef\xc3\xa4"); /* of its last letter there is room for half */
        assert_string_equal(text, "abcdef");
        ble_clean_text(text, sizeof(text), "abcde\xc3\xa4");
        assert_string_equal(text, "abcde\xc3\xa4");
        ble_clean_text(text, sizeof(text), "abcd\xe2\x82\xac\xe2\x82\xac");
        assert_string_equal(text, "abcd\xe2\x82\xac");
        ble_clean_text(text, sizeof(text), "abcdefghij");
        assert_string_equal(text, "abcdefg");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_there_and_back),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_too_many),
                cmocka_unit_test(test_names_are_cleaned),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
