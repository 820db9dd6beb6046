/* SPDX-License-Identifier: MIT */
/* What a pack may be called, and what its daemon is called on the bus. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pack-name.h"

#define THIRTY_TWO "abcdefghijklmnopqrstuvwxyzABC_09"

static void valid(void **state) {
        static const char *const good[] = {"a",     "Z",      "0",        "_",         "default",
                                           "house", "pack_2", "Smartbms", "smartbms2", THIRTY_TWO};

        (void)state;
        assert_int_equal(32, strlen(THIRTY_TWO));
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_true(pack_name_valid(good[i]));
}

static void invalid(void **state) {
        static const char *const bad[] = {
                "",    "smartbms", THIRTY_TWO "x", "my-pack",       "a.b", "a b", " a", "a ", "a/b", "..",
                "a\n", "a\\x2db",  "\x80",         "h\xc3\xa4user", "@",   "[",   "`",  "{",  "/",   ":"};

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_false(pack_name_valid(bad[i]));
}

/* All of one character: 26 + 26 + 10 + 1 of 255. */
static void characters(void **state) {
        int n = 0;

        (void)state;
        for (int c = 1; c < 256; c++) {
                const char name[] = {(char)c, '\0'};

                n += pack_name_valid(name);
        }
        assert_int_equal(63, n);
}

static void to_the_bus_and_back(void **state) {
        char name[PACK_BUS_NAME_SIZE];

        (void)state;
        pack_bus_name("default", name);
        assert_string_equal("org.smartbms1", name);
        assert_string_equal("default", pack_of_bus_name(name));
        pack_bus_name("0house", name);
        assert_string_equal("org.smartbms1.pack_0house", name);
        assert_string_equal("0house", pack_of_bus_name(name));
        pack_bus_name(THIRTY_TWO, name);
        assert_string_equal("org.smartbms1.pack_" THIRTY_TWO, name);
        assert_string_equal(THIRTY_TWO, pack_of_bus_name(name));
}

static void others_on_the_bus(void **state) {
        static const char *const others[] = {
                "",
                ":1.7",
                "org",
                "org.freedesktop.DBus",
                "org.smartbms",
                "org.smartbms1.",
                "org.smartbms1.pack",
                "org.smartbms1.pack_",
                "org.smartbms1.pack_default", /* its name is org.smartbms1 */
                "org.smartbms1.pack_smartbms",
                "org.smartbms1.pack_a.b",
                "org.smartbms1.pack_a-b",
                "org.smartbms1.Pack",
                "org.smartbms12",
                "org.smartbms1.pack_" THIRTY_TWO "x",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
                assert_null(pack_of_bus_name(others[i]));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(valid),
                cmocka_unit_test(invalid),
                cmocka_unit_test(characters),
                cmocka_unit_test(to_the_bus_and_back),
                cmocka_unit_test(others_on_the_bus),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
