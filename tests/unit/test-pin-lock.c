/* SPDX-License-Identifier: MIT */

/* Wrong PINs: five in a row, 30 s, doubling to an hour; twenty an hour over all phones; over a restart. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pin-lock.h"

#define A "AA:BB:CC:DD:EE:01"
#define B "AA:BB:CC:DD:EE:02"
#define SEC USEC_PER_SEC

static char event[PIN_LOCK_TEXT_MAX];

/* One PIN, as a door does it. */
static uint32_t give(struct pin_lock *l, usec_t now, const char *address, bool right) {
        const uint32_t wait = pin_lock_try(l, now, address);

        if (wait == 0)
                (void)pin_lock_result(l, now, address, right, event);
        return wait;
}

static void the_lock_doubles(void **state) {
        static const uint32_t locks[] = {0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600};
        usec_t now = 10 * USEC_PER_HOUR;
        struct pin_lock l;

        (void)state;
        pin_lock_init(&l);
        for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
                assert_int_equal(give(&l, now, A, false), 0);
                assert_int_equal(event[0] != '\0', locks[i] > 0);
                assert_int_equal(pin_lock_remaining_sec(&l, now, A), locks[i]);
                if (locks[i] > 0) {
                        /* one microsecond before the end, and at it */
                        assert_int_equal(give(&l, now + locks[i] * SEC - 1, A, true), 1);
                        assert_int_equal(give(&l, now + 1, A, true), locks[i]); /* rounded up */
                        assert_int_equal(pin_lock_remaining_sec(&l, now + locks[i] * SEC, A), 0);
                }
                now += locks[i] * SEC;
        }
}

static void a_right_pin_ends_the_row(void **state) {
        struct pin_lock l;
        usec_t now = 0;

        (void)state;
        pin_lock_init(&l);
        for (int i = 0; i < 4; i++)
                assert_int_equal(give(&l, now, A, false), 0);
        assert_int_equal(pin_lock_try(&l, now, A), 0);
        assert_true(pin_lock_result(&l, now, A, true, event)); /* to be kept: the row was */
        assert_string_equal(event, "");
        assert_int_equal(pin_lock_try(&l, now, A), 0);
        assert_false(pin_lock_result(&l, now, A, true, event)); /* nothing new */
        for (int i = 0; i < 4; i++) {
                assert_int_equal(give(&l, now, A, false), 0);
                assert_int_equal(pin_lock_remaining_sec(&l, now, A), 0);
        }
        assert_int_equal(give(&l, now, A, false), 0);
        assert_int_equal(pin_lock_remaining_sec(&l, now, A), 30);
        /* the other phone has a row of its own */
        assert_int_equal(pin_lock_remaining_sec(&l, now, B), 0);
        assert_int_equal(give(&l, now, B, true), 0);
        assert_int_equal(pin_lock_remaining_sec(&l, now, A), 30);
        now += 30 * SEC;
        assert_int_equal(give(&l, now, A, true), 0);
        for (int i = 0; i < 4; i++)
                assert_int_equal(give(&l, now, A, false), 0);
        assert_int_equal(pin_lock_remaining_sec(&l, now, A), 0); /* it begins with 30 s again, not 60 */
        assert_int_equal(give(&l, now, A, false), 0);
        assert_int_equal(pin_lock_remaining_sec(&l, now, A), 30);
}

/* 20 an hour, whoever sends them: five phones with four each, a minute apart. */
static void twenty_an_hour_over_all(void **state) {
        const usec_t start = 5 * USEC_PER_HOUR;
        char address[PIN_LOCK_ADDRESS_SIZE];
        struct pin_lock l;
        usec_t now = start;

        (void)state;
        pin_lock_init(&l);
        for (int i = 0; i < 20; i++, now += USEC_PER_MINUTE) {
                snprintf(address, sizeof(address), "00:00:00:00:00:%02X", i / 4);
                assert_int_equal(give(&l, now, address, false), 0);
                assert_int_equal(event[0] != '\0', i == 19);
        }
        assert_string_equal(event, "20 wrong PINs within an hour, the last from the phone that ends in 00:04: no phone "
                                   "can log in for 2460 s"); /* 60 min - 19 min */
        now -= USEC_PER_MINUTE;
        /* a phone that did nothing, too */
        assert_int_equal(give(&l, now, A, true), 41 * 60);
        assert_int_equal(give(&l, start + USEC_PER_HOUR - 1, A, true), 1);
        assert_int_equal(give(&l, start + USEC_PER_HOUR, A, true), 0);
        /* one has gone, so one more, then a minute to the next */
        assert_int_equal(give(&l, start + USEC_PER_HOUR, A, false), 0);
        assert_int_equal(give(&l, start + USEC_PER_HOUR, B, false), 60);
}

static void at_most_twenty_in_any_hour(void **state) {
        struct pin_lock l;
        usec_t given[600];
        size_t n = 0;

        (void)state;
        pin_lock_init(&l);
        /* 16 phones that send wrong PINs as fast as they can for a day */
        for (usec_t now = USEC_PER_DAY; now < 2 * USEC_PER_DAY; now += 7 * SEC) {
                char address[PIN_LOCK_ADDRESS_SIZE];

                snprintf(address, sizeof(address), "00:00:00:00:00:%02X", (unsigned)(now / SEC % 16));
                if (give(&l, now, address, false) == 0) {
                        assert_true(n < 600);
                        given[n++] = now;
                }
        }
        assert_true(n >= 20);
        for (size_t i = 20; i < n; i++)
                assert_true(given[i] - given[i - 20] >= USEC_PER_HOUR);
}

/* PINs that are being compared count as wrong until it is known better. */
static void several_at_once(void **state) {
        char address[PIN_LOCK_ADDRESS_SIZE];
        const usec_t now = USEC_PER_HOUR;
        struct pin_lock l;

        (void)state;
        pin_lock_init(&l);
        assert_int_equal(pin_lock_try(&l, now, A), 0);
        assert_int_equal(pin_lock_try(&l, now, A), 1); /* by its other door */
        pin_lock_abandon(&l, A);
        assert_int_equal(pin_lock_try(&l, now, A), 0);
        assert_true(pin_lock_result(&l, now, A, false, event));
        assert_false(pin_lock_result(&l, now, A, false, event)); /* nothing was begun */
        for (int i = 0; i < 18; i++) {
                snprintf(address, sizeof(address), "00:00:00:00:00:%02X", i / 4);
                assert_int_equal(give(&l, now, address, false), 0);
        }
        assert_int_equal(pin_lock_try(&l, now, B), 0);  /* may be the 20th */
        assert_int_equal(pin_lock_try(&l, now, A), 1);
        assert_false(pin_lock_result(&l, now, B, true, event));
        assert_int_equal(pin_lock_try(&l, now, A), 0);
        pin_lock_abandon(&l, A);
        pin_lock_abandon(&l, A);
        assert_int_equal(l.trying, 0);
}

static void over_a_restart(void **state) {
        char line[PIN_LOCK_LINE_MAX], again[PIN_LOCK_LINE_MAX];
        usec_t now = 9 * USEC_PER_HOUR;
        struct pin_lock l, m;

        (void)state;
        pin_lock_init(&l);
        pin_lock_format(&l, now, line);
        assert_string_equal(line, "0");
        for (int i = 0; i < 6; i++) {
                assert_int_equal(give(&l, now, A, false), 0);
                now += 30 * SEC; /* its lock */
        }
        assert_int_equal(give(&l, now, B, false), 0);
        pin_lock_format(&l, now, line);
        assert_string_equal(line, "7 AA:BB:CC:DD:EE:01=6 AA:BB:CC:DD:EE:02=1");
        assert_int_equal(pin_lock_remaining_sec(&l, now, A), 30);
        assert_int_equal(pin_lock_parse(line, 5, &m), 0); /* the clock begins anew */
        assert_int_equal(pin_lock_remaining_sec(&m, 5, A), 60); /* the full time again */
        assert_int_equal(pin_lock_remaining_sec(&m, 5, B), 0);
        pin_lock_format(&m, 5, again);
        assert_string_equal(again, line);
        /* the seven count as sent now */
        for (int i = 0; i < 13; i++) {
                char address[PIN_LOCK_ADDRESS_SIZE];

                snprintf(address, sizeof(address), "00:00:00:00:00:%02X", i / 4);
                assert_int_equal(give(&m, 5, address, false), 0);
        }
        assert_int_equal(give(&m, 5, B, true), 3600);
        /* after an hour only the rows are left; also if nothing was asked in between */
        pin_lock_format(&l, now + USEC_PER_HOUR, line);
        assert_string_equal(line, "0 AA:BB:CC:DD:EE:01=6 AA:BB:CC:DD:EE:02=1");
}

static void lines_that_are_none(void **state) {
        static const char *const bad[] = {
                "", " ", "21", "-1", "01", "x", "0 ", "0  " A "=1", "0 " A, "0 " A "=", "0 " A "=0", "0 " A "=01",
                "0 " A "=1001",
                "0 " A "=1 " A "=2", "0 aa:BB:CC:DD:EE:01=1", "0 AA:BB:CC:DD:EE:1=1", "0 AA:BB:CC:DD:EE:0=12", "0 A",
                "0," A "=1",
                "0 AA-BB:CC:DD:EE:01=1", "0 " A "=1x", "4294967296", "0 " A "=4294967297", "0 " A "=1\n",
        };
        struct pin_lock l, untouched;
        char line[1024] = "20";

        (void)state;
        memset(&untouched, 0x5a, sizeof(untouched));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                l = untouched;
                assert_int_equal(pin_lock_parse(bad[i], 1, &l), -EINVAL);
                assert_memory_equal(&l, &untouched, sizeof(l));
        }
        for (int i = 0; i < 16; i++)
                snprintf(line + strlen(line), sizeof(line) - strlen(line), " 00:00:00:00:00:%02X=1000", i);
        assert_int_equal(pin_lock_parse(line, 1, &l), 0);
        char again[PIN_LOCK_LINE_MAX];
        pin_lock_format(&l, 1, again);
        assert_string_equal(again, line);
        strcat(line, " " A "=1"); /* a 17th */
        assert_int_equal(pin_lock_parse(line, 1, &l), -EINVAL);
}

/* The 17th phone takes the place of the one with the least to answer for. */
static void no_room(void **state) {
        char address[PIN_LOCK_ADDRESS_SIZE], line[PIN_LOCK_LINE_MAX];
        struct pin_lock l;
        usec_t now = USEC_PER_HOUR;

        (void)state;
        pin_lock_init(&l);
        for (int i = 0; i < 16; i++, now += 10 * USEC_PER_MINUTE) {
                snprintf(address, sizeof(address), "00:00:00:00:00:%02X", i);
                assert_int_equal(give(&l, now, address, false), 0);
                if (i != 5)
                        assert_int_equal(give(&l, now, address, false), 0);
        }
        assert_int_equal(give(&l, now, A, false), 0);
        pin_lock_format(&l, now, line);
        assert_null(strstr(line, "00:00:00:00:00:05"));
        assert_non_null(strstr(line, A "=1"));
        assert_non_null(strstr(line, "00:00:00:00:00:0F=2"));
        /* now A has the fewest; among equals it is the one that was away for longest */
        assert_int_equal(give(&l, now, A, false), 0);
        assert_int_equal(give(&l, now, B, false), 0);
        pin_lock_format(&l, now, line);
        assert_null(strstr(line, "00:00:00:00:00:00"));
        assert_non_null(strstr(line, A "=2"));
}

static void forgetting(void **state) {
        struct pin_lock l;
        usec_t now = USEC_PER_HOUR;
        char line[PIN_LOCK_LINE_MAX];

        (void)state;
        pin_lock_init(&l);
        assert_false(pin_lock_forget(&l, A));
        assert_false(pin_lock_forget(&l, ""));
        for (int i = 0; i < 5; i++)
                assert_int_equal(give(&l, now, A, false), 0);
        assert_true(pin_lock_forget(&l, A));
        assert_int_equal(pin_lock_remaining_sec(&l, now, A), 0);
        pin_lock_format(&l, now, line);
        assert_string_equal(line, "5"); /* these still count for all */
        assert_int_equal(pin_lock_try(&l, now, A), 0);
        assert_false(pin_lock_forget(&l, A)); /* while one is compared */
        assert_int_equal(l.trying, 0);
        assert_false(pin_lock_result(&l, now, A, false, event));

        for (int i = 0; i < 5; i++)
                assert_int_equal(give(&l, now, A, false), 0);
        assert_int_equal(pin_lock_remaining_sec(&l, now, A), 30);
        assert_true(pin_lock_reset(&l));
        assert_false(pin_lock_reset(&l));
        assert_int_equal(pin_lock_remaining_sec(&l, now, A), 0);
        pin_lock_format(&l, now, line);
        assert_string_equal(line, "0");
}

static void events(void **state) {
        struct pin_lock l;

        (void)state;
        pin_lock_init(&l);
        for (int i = 0; i < 5; i++)
                assert_int_equal(give(&l, 1, A, false), 0);
        assert_string_equal(event, "5 wrong PINs in a row from the phone that ends in EE:01: "
                                   "it cannot log in for 30 s");
        assert_int_equal(give(&l, 1 + 30 * SEC, A, false), 0);
        assert_string_equal(event, "6 wrong PINs in a row from the phone that ends in EE:01: "
                                   "it cannot log in for 60 s");
}

/* Counting stops, the lock stays at an hour. */
static void many(void **state) {
        usec_t now = USEC_PER_HOUR;
        struct pin_lock l;

        (void)state;
        assert_int_equal(pin_lock_parse("0 " A "=999", now, &l), 0);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(pin_lock_remaining_sec(&l, now, A), 3600);
                now += USEC_PER_HOUR;
                assert_int_equal(give(&l, now, A, false), 0);
                assert_int_equal(l.phones[0].wrong, 1000);
        }
}

/* ":01" to ":16" */
static const char *phone(unsigned n) {
        static char address[PIN_LOCK_ADDRESS_SIZE];

        snprintf(address, sizeof(address), "AA:BB:CC:DD:EE:%02u", n);
        return address;
}

static bool is_kept(const struct pin_lock *l, usec_t now, const char *address) {
        char line[PIN_LOCK_LINE_MAX];

        pin_lock_format(l, now, line);
        return strstr(line, address) != NULL;
}

/* A wrong PIN of each, a second apart. */
static usec_t sixteen(struct pin_lock *l) {
        usec_t now = 10 * USEC_PER_HOUR;

        pin_lock_init(l);
        for (unsigned n = 1; n <= PIN_LOCK_PHONES; n++) {
                now += SEC;
                assert_int_equal(give(l, now, phone(n), false), 0);
        }
        return now;
}

static void as_many_phones_as_there_are(void **state) {
        usec_t now;
        struct pin_lock l;

        (void)state;
        now = sixteen(&l);
        for (unsigned n = 1; n <= PIN_LOCK_PHONES; n++)
                assert_true(is_kept(&l, now, phone(n)));
        now += 2 * USEC_PER_HOUR; /* so that the cap of all has no part in it */
        for (unsigned n = 0; n < 4; n++)
                assert_int_equal(give(&l, now, phone(16), false), 0);
        assert_int_equal(pin_lock_remaining_sec(&l, now, phone(16)), 30);
        assert_int_equal(pin_lock_try(&l, now, phone(16)), 30);
        assert_true(pin_lock_reset(&l));
        assert_int_equal(pin_lock_remaining_sec(&l, now, phone(16)), 0);
        for (unsigned n = 1; n <= PIN_LOCK_PHONES; n++)
                assert_false(is_kept(&l, now, phone(n)));
}

/* Of those with as few wrong PINs, the one that was not heard of for longest: that is the ninth. */
static void who_makes_room(void **state) {
        usec_t now;
        struct pin_lock l;

        (void)state;
        now = sixteen(&l);
        for (unsigned n = 1; n <= 8; n++) {
                now += SEC;
                assert_int_equal(pin_lock_try(&l, now, phone(n)), 0);
                pin_lock_abandon(&l, phone(n));
        }
        assert_int_equal(give(&l, now + SEC, phone(17), false), 0);
        for (unsigned n = 1; n <= 17; n++)
                assert_int_equal(n != 9, is_kept(&l, now + SEC, phone(n)));
}

/* Each place of an address. */
static void an_address_that_is_none(void **state) {
        static const char good[] = "1 AA:BB:CC:DD:EE:01=1";
        struct pin_lock l;

        (void)state;
        assert_int_equal(pin_lock_parse(good, 0, &l), 0);
        for (size_t i = strlen("1 "); i < strlen("1 AA:BB:CC:DD:EE:01"); i++) {
                char line[sizeof(good)];

                memcpy(line, good, sizeof(line));
                line[i] = 'G';
                assert_int_equal(pin_lock_parse(line, 0, &l), -EINVAL);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_lock_doubles),
                cmocka_unit_test(a_right_pin_ends_the_row),
                cmocka_unit_test(twenty_an_hour_over_all),
                cmocka_unit_test(at_most_twenty_in_any_hour),
                cmocka_unit_test(several_at_once),
                cmocka_unit_test(over_a_restart),
                cmocka_unit_test(lines_that_are_none),
                cmocka_unit_test(no_room),
                cmocka_unit_test(forgetting),
                cmocka_unit_test(events),
                cmocka_unit_test(many),
                cmocka_unit_test(as_many_phones_as_there_are),
                cmocka_unit_test(who_makes_room),
                cmocka_unit_test(an_address_that_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
