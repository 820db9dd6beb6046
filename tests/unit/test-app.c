/* SPDX-License-Identifier: MIT */
/* lib/app.c: who holds the line, what is asked for and when, what is kept while something is waited for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "app-internal.h"
#include "app-rig.h"

#define MSEC USEC_PER_MSEC
#define SEC USEC_PER_SEC

/* As the two kinds of public clients begin. Neither is echoed to. */
static void test_public_clients(void **state) {
        const struct phone_ask *ask;
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        /* One pings before it logs in, waits for OK, then streams. It cannot tell another reply from the one it waits
         * for, so until then there must be none. */
        for (int i = 0; i < 5; i++) {
                talk(&r, "$", "");
                r.view.now += 330 * MSEC;
        }
        app_rig_log_in(&r);
        talk(&r, "E!|", "OK|");
        assert_int_equal(app_rig_write(&r, &r.phone, "$"), 0);
        assert_memory_equal(app_said(&r), "U_0AF0_", 7);
        talk(&r, "D!|", "OK|");
        r.view.now += SEC;
        talk(&r, "$", "");

        /* The other wakes the module up, asks for the version, logs in and reads; it pings until it has a reply. */
        app_rig_init(&r, false);
        talk(&r, "$", "");
        talk(&r, "\005|", "");
        talk(&r, "V@|", "123_XX_XX_03_02BC_40|");
        talk(&r, "$", "");
        talk(&r, "PW1234!|", "");
        talk(&r, "$$", "");
        ask = app_ask(&r.phone);
        assert_non_null(ask);
        assert_string_equal(ask->pin, "1234");
        assert_null(app_ask(&r.phone)); /* once */
        app_rig_answer(&r, &r.phone, PHONE_DONE);
        assert_string_equal(app_said(&r), "OK|");
        talk(&r, "SRY0@|", "00_01_00_21|");
}

static void test_silence(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "|", "");
        talk(&r, "||\005\005|\n|", "");
        talk(&r, "S", "");
        talk(&r, "\005R", "");
        talk(&r, "Y$0@", "");
        talk(&r, "|", "00_01_00_21|");
        talk(&r, "\nSRY0@|", "00_01_00_21|");
}

static void test_what_is_no_command(void **state) {
        static const char *const texts[] = {
                "X|", "@|", "V|", "v@|", "V@@|", "S0@|", "S4@|", "SRY2@|", "SRY@|", "TS|", "E|", "E!@|", "PW1234|",
                "V@ |", " V@|", "0123456789ABCDEFG|", "\177|", "\001V@|", "V@\200|", "HELLO|", "P!@|",
        };
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                talk(&r, texts[i], "KO|");
                assert_null(app_ask(&r.phone));
        }
        /* Whatever it was, it ends with its CR. */
        talk(&r, "SRY0@|", "00_01_00_21|");
        talk(&r, "0123456789ABCDEF", "");
        talk(&r, "0123456789ABCDEF", "");
        talk(&r, "SRY0@|SRY0@|", "KO|00_01_00_21|");
}

/* Everything readable can be read, and nothing can be written, before the PIN. */
static void test_before_log_in(void **state) {
        static const char *const reads[] = {"V@|", "S1@|", "S2@|", "S3@|", "SRY0@|", "SRY1@|", "TS@|", "L0@|", "L9@|",
                                            "H0@|", "HD@|"};
        static const char *const refused[] = {"00-042!|", "01-040!|", "90-041!|", "01-019!|", "ZZ-042!|", "!|",
                                              "R!|", "042!|", "00-0420!|"};
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
                assert_int_equal(app_rig_write(&r, &r.phone, reads[i]), 0);
                assert_true(strlen(app_said(&r)) > 6);
        }
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
                talk(&r, refused[i], "NA|");
                assert_null(app_ask(&r.phone));
        }
        app_rig_log_in(&r);
        for (size_t i = 3; i < sizeof(refused) / sizeof(refused[0]); i++) {
                talk(&r, refused[i], "KO|");
                assert_null(app_ask(&r.phone));
        }
}

static void test_log_in(void **state) {
        static const char *const impossible[] = {"PW!|", "PW123!|", "PW123456789!|", "PW12a4!|", "PW 1234!|",
                                                 "PW1234 !|", "PW-123!|"};
        static const struct {
                enum phone_result result;
                const char *said;
                bool before, after; /* logged in */
        } results[] = {
                {PHONE_DONE, "OK|", false, true},
                {PHONE_DONE, "OK|", true, true},
                {PHONE_NOT_STORED, "OK|", false, true},
                {PHONE_WRONG_PIN, "NA|", true, false},
                {PHONE_LOCKED, "NA|", false, false},
                {PHONE_LOCKED, "NA|", true, true}, /* it was not looked at */
                {PHONE_BUSY, "NA|", false, false},
                {PHONE_REFUSED, "NA|", false, false},
        };
        struct app_rig r;

        (void)state;
        for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
                app_rig_init(&r, false);
                if (results[i].before)
                        app_rig_log_in(&r);
                talk(&r, "PW87654321!|", "");
                assert_string_equal(app_ask(&r.phone)->pin, "87654321");
                app_rig_answer(&r, &r.phone, results[i].result);
                assert_string_equal(app_said(&r), results[i].said);
                for (size_t b = 0; b < sizeof(r.phone.ask); b++) /* no PIN is left behind */
                        assert_int_equal(((const uint8_t *)&r.phone.ask)[b], 0);
                talk(&r, "02-050!|", results[i].after ? "OK|" : "NA|");
        }
        for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
                app_rig_init(&r, false);
                app_rig_log_in(&r);
                talk(&r, impossible[i], "NA|");
                assert_null(app_ask(&r.phone));
                talk(&r, "02-050!|", "NA|"); /* a wrong one ends what a right one began */
        }
}

static void test_write(void **state) {
        static const struct { enum phone_result result; const char *said; } results[] = {
                {PHONE_DONE, "OK|"}, {PHONE_NOT_STORED, "OK|"}, {PHONE_REFUSED, "KO|"}, {PHONE_BUSY, "KO|"},
                {PHONE_LOCKED, "NA|"}, {PHONE_WRONG_PIN, "NA|"},
        };
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        app_rig_log_in(&r);
        for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
                talk(&r, "0A-042!|", "");
                assert_int_equal(app_ask(&r.phone)->settings.values[SETTING_VMIN_HYSTERESIS].value, 100);
                app_rig_answer(&r, &r.phone, results[i].result);
                assert_string_equal(app_said(&r), results[i].said);
                assert_null(app_ask(&r.phone));
                assert_true(r.phone.logged_in);
        }

        /* While the PIN is the default one nothing is written, not even half. */
        r.view.default_pin = true;
        talk(&r, "0A-042!|02-050!|", "KO|KO|");
        r.view.default_pin = false;
        talk(&r, "BD-051!|", "KO|");

        /* Nor on a board of which this is only the monitor. */
        r.s.role = ROLE_MONITOR;
        talk(&r, "0A-042!|02-050!|", "KO|KO|");
}

static void test_two_bytes(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        app_rig_log_in(&r);

        /* 3 s, and not longer. 2BD * 5 mV = 3505. */
        static const struct { usec_t after; bool taken; } times[] = {
                {0, true}, {3 * SEC - 1, true}, {3 * SEC, true}, {3 * SEC + 1, false}, {5 * SEC, false},
        };
        for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
                talk(&r, "02-050!|", "OK|");
                r.view.now += times[i].after;
                talk(&r, "BD-051!|", times[i].taken ? "" : "KO|");
                if (times[i].taken) {
                        assert_int_equal(app_ask(&r.phone)->settings.values[SETTING_VMAX].value, 3505);
                        app_rig_answer(&r, &r.phone, PHONE_DONE);
                        assert_string_equal(app_said(&r), "OK|");
                } else
                        assert_null(app_ask(&r.phone));
        }

        /* The high byte serves once; */
        talk(&r, "BD-051!|", "KO|");
        /* for its own setting; */
        talk(&r, "02-050!|30-041!|", "OK|KO|");
        talk(&r, "BD-051!|", "KO|");
        /* the newest one; */
        talk(&r, "02-040!|02-050!|30-041!|", "OK|OK|KO|");
        talk(&r, "03-050!|02-050!|BD-051!|", "OK|OK|");
        assert_int_equal(app_ask(&r.phone)->settings.values[SETTING_VMAX].value, 3505);
        app_rig_answer(&r, &r.phone, PHONE_DONE);
        assert_string_equal(app_said(&r), "OK|");
        /* after a refusal too; */
        talk(&r, "02-050!|00-051!|", "OK|KO|"); /* 2560 mV: below V-bypass */
        talk(&r, "BD-051!|", "KO|");
        /* a write in between ends it, reads and pings do not. */
        talk(&r, "02-050!|01-019!|BD-051!|", "OK|KO|KO|");
        talk(&r, "02-050!|$SRY0@|BD-051!|", "OK|00_01_00_21|");
        assert_non_null(app_ask(&r.phone));
        app_rig_answer(&r, &r.phone, PHONE_DONE);
        assert_string_equal(app_said(&r), "OK|");

        /* Each phone has its own. */
        app_rig_init(&r, false);
        app_rig_log_in(&r);
        r.other.logged_in = true;
        talk(&r, "02-050!|", "OK|");
        app_disconnected(&r.line, &r.phone);
        assert_int_equal(app_rig_write(&r, &r.other, "BD-051!|"), 0);
        assert_string_equal(app_said(&r), "KO|");
        app_disconnected(&r.line, &r.other);
        r.phone.logged_in = true;
        talk(&r, "BD-051!|", "KO|"); /* and it is gone with the connection */
}

/* A second change is to what the first one made. */
static void test_changes_add_up(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        app_rig_log_in(&r);
        talk(&r, "0A-042!|0A-052!|", "");
        r.s.settings = app_ask(&r.phone)->settings; /* applied */
        app_rig_answer(&r, &r.phone, PHONE_DONE);
        assert_string_equal(app_said(&r), "OK|");
        const struct phone_ask *ask = app_ask(&r.phone);
        assert_non_null(ask);
        assert_int_equal(ask->settings.values[SETTING_VMIN_HYSTERESIS].value, 100);
        assert_int_equal(ask->settings.values[SETTING_VMAX_HYSTERESIS].value, 100);
}

static void test_one_phone(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "E!|V", "OK|");
        assert_int_equal(app_rig_write(&r, &r.other, "SRY0@|"), -EBUSY);
        assert_string_equal(app_said(&r), "");
        r.view.now += 10 * SEC - 1;
        assert_int_equal(app_rig_write(&r, &r.other, "SRY0@|"), -EBUSY);
        talk(&r, "@|", "123_XX_XX_03_02BC_40|"); /* nothing of the other one's got between */
        assert_ptr_equal(r.line.holder, &r.phone);

        /* 10 s from the last byte. */
        r.view.now += 10 * SEC - 1;
        assert_int_equal(app_rig_write(&r, &r.other, "S"), -EBUSY);
        r.view.now += 1;
        assert_int_equal(app_rig_write(&r, &r.other, "SRY0@|"), 0);
        assert_string_equal(app_said(&r), "00_01_00_21|");
        assert_int_equal(app_rig_write(&r, &r.phone, "$"), -EBUSY);
        assert_string_equal(app_said(&r), "");

        /* Or at once, when it has gone; not when another one has. */
        app_disconnected(&r.line, &r.phone);
        assert_int_equal(app_rig_write(&r, &r.phone, "SRY0@|"), -EBUSY);
        app_disconnected(&r.line, &r.other);
        talk(&r, "SRY1@|", "00_02_00_22|");
        talk(&r, "$", ""); /* the stream is over, too */

        /* Writing nothing takes no line. */
        app_disconnected(&r.line, &r.phone);
        assert_int_equal(app_rig_write(&r, &r.other, ""), 0);
        assert_null(r.line.holder);
}

/* Half a command of long ago is not the beginning of a new one, nor is another phone's output for this one. */
static void test_nothing_left_over(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "SRY", "");
        r.view.now += 10 * SEC;
        talk(&r, "SRY0@|", "00_01_00_21|");

        assert_int_equal(app_rig_write(&r, &r.phone, "SRY0@|SR"), 0); /* and not sent yet */
        r.view.now += 10 * SEC;
        assert_int_equal(app_rig_write(&r, &r.other, "SRY1@|"), 0);
        assert_string_equal(app_said(&r), "00_02_00_22|");

        assert_int_equal(app_rig_write(&r, &r.other, "SRY1@|"), 0);
        app_disconnected(&r.line, &r.other);
        assert_string_equal(app_said(&r), "");

        /* All phones see what is notified: a line of which they saw the beginning goes on to its end. */
        for (size_t sent = 0; sent <= 24; sent++) {
                app_rig_init(&r, false);
                assert_int_equal(app_rig_write(&r, &r.phone, "SRY0@|SRY0@|SRY0@|"), 0);
                app_sent(&r.line, sent, &r.view);
                app_disconnected(&r.line, &r.phone);
                assert_int_equal(app_rig_write(&r, &r.other, "SRY1@|"), 0);
                const char *rest = &"00_01_00_21|"[sent % 12];
                char expected[32];

                snprintf(expected, sizeof(expected), "%s00_02_00_22|", sent % 12 == 0 ? "" : rest);
                assert_string_equal(app_said(&r), expected);
        }
}

/* Who has lost the line is not answered on it, but it is answered. */
static void test_answer_without_line(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "PW1234!|SRY0@|", "");
        assert_non_null(app_ask(&r.phone));
        r.view.now += 10 * SEC;
        assert_int_equal(app_rig_write(&r, &r.other, "SRY1@|"), 0);
        assert_string_equal(app_said(&r), "00_02_00_22|");
        app_rig_answer(&r, &r.phone, PHONE_DONE);
        assert_string_equal(app_said(&r), "");
        app_disconnected(&r.line, &r.other);
        talk(&r, "02-050!|", "OK|"); /* logged in */
}

/* While an answer is waited for everything else is, too, and in order. */
static void test_waiting(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "PW4711!|02-050!|BD-051!|SRY0@|X", "");
        assert_non_null(app_ask(&r.phone));
        talk(&r, "|", "");
        app_rig_answer(&r, &r.phone, PHONE_DONE);
        assert_string_equal(app_said(&r), "OK|OK|");
        assert_int_equal(app_ask(&r.phone)->kind, PHONE_ASK_SET_SETTINGS);
        app_rig_answer(&r, &r.phone, PHONE_REFUSED);
        assert_string_equal(app_said(&r), "KO|00_01_00_21|KO|");

        /* A phone that goes takes what it asked for with it. */
        talk(&r, "0A-042!|SRY0@|", "");
        assert_non_null(app_ask(&r.phone));
        app_disconnected(&r.line, &r.phone);
        assert_null(app_ask(&r.phone));
        talk(&r, "SRY1@|", "00_02_00_22|");
}

/* More than there is room for: what was lost is said, and all else is answered. */
static void test_flood_of_commands(void **state) {
        struct app_rig r;
        char text[1000] = "", expected[2000] = "";

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "PW4711!|", "");
        assert_non_null(app_ask(&r.phone));
        for (int i = 0; i < 60; i++)
                strcat(text, "SRY0@|"); /* 360 bytes: 42 commands and 3 bytes, and a byte in whose place is the loss */
        talk(&r, text, "");
        talk(&r, "Y0@|SRY1@|", ""); /* the rest of the lost one would fit to what is there */
        app_rig_answer(&r, &r.phone, PHONE_DONE);
        strcat(expected, "OK|");
        for (int i = 0; i < 42; i++)
                strcat(expected, "00_01_00_21|");
        assert_string_equal(app_said(&r), expected);
        talk(&r, "|SRY1@|", "KO|00_02_00_22|");
}

/* Replies wait for room, none is cut, and none is lost while there is room for their commands. */
static void test_flood_of_replies(void **state) {
        char text[256] = "", expected[4000] = "";
        struct app_rig r;
        const char *bytes;

        (void)state;
        app_rig_init(&r, false);
        for (int i = 0; i < 70; i++) {
                strcat(text, "S2@|"); /* 280 bytes in 2 writes, and 3,500 of replies, in 1,024 */
                strcat(expected, "0230_02DA_010F_014F_5F_14_010F_XXXX_0280_14_05_09|");
                if (i % 35 == 34) {
                        assert_int_equal(app_rig_write(&r, &r.phone, text), 0);
                        assert_true(app_output(&r.line, &bytes) <= APP_OUTPUT_MAX);
                        text[0] = '\0';
                }
        }
        assert_string_equal(app_said(&r), expected);
}

/* However many pings there are, one group in 200 ms. */
static void test_flood_of_pings(void **state) {
        struct app_rig r;
        unsigned groups = 0;

        (void)state;
        app_rig_init(&r, false);
        talk(&r, "E!|", "OK|");
        for (int msec = 0; msec < 2000; msec++) {
                assert_int_equal(app_rig_write(&r, &r.phone, "$$$"), 0);
                for (const char *p = app_said(&r); *p; p += strcspn(p, "|") + 1)
                        groups += *p == 'U';
                r.view.now += MSEC;
        }
        assert_int_equal(groups, 10);
        /* At -1, 0, +1. */
        r.view.now += SEC;
        assert_int_equal(app_rig_write(&r, &r.phone, "$"), 0);
        assert_true(strlen(app_said(&r)) > 0);
        r.view.now += 200 * MSEC - 1;
        talk(&r, "$", "");
        r.view.now += 1;
        assert_int_equal(app_rig_write(&r, &r.phone, "$"), 0);
        assert_true(strlen(app_said(&r)) > 0);
        r.view.now += 200 * MSEC + 1;
        assert_int_equal(app_rig_write(&r, &r.phone, "$"), 0);
        assert_true(strlen(app_said(&r)) > 0);
}

/* The same bytes in any pieces. */
static void test_pieces(void **state) {
        static const char text[] = "|V@|PW4711!|E!|02-050!|$XX|SRY0@|\005|S1@|";
        static const char expected[] = "123_XX_XX_03_02BC_40|OK|OK|OK|";
        static const char end[] = "KO|00_01_00_21|XXXX_XXXX_XXXX_30303030_AC|";

        (void)state;
        for (size_t piece = 1; piece < sizeof(text); piece++) {
                char all[2048] = "";
                struct app_rig r;

                app_rig_init(&r, false);
                for (size_t i = 0; i < sizeof(text) - 1; i += piece) {
                        char part[sizeof(text)];

                        snprintf(part, sizeof(part), "%.*s", (int)piece, text + i);
                        assert_int_equal(app_rig_write(&r, &r.phone, part), 0);
                        strcat(all, app_said(&r));
                        if (app_ask(&r.phone)) {
                                app_rig_answer(&r, &r.phone, PHONE_DONE);
                                strcat(all, app_said(&r));
                        }
                }
                assert_memory_equal(all, expected, strlen(expected));
                assert_string_equal(all + strlen(all) - strlen(end), end);
        }
}

static void test_echo(void **state) {
        struct app_rig r;

        (void)state;
        app_rig_init(&r, true);
        talk(&r, "|\005|$", "");
        talk(&r, "SRY0@|", "SRY0@|00_01_00_21|");
        talk(&r, "E!|", "E!|OK|");
        /* A PIN is not repeated to all phones in the room, not even how long it is. The echo comes first. */
        talk(&r, "PW471147!|", "PW0000!|");
        assert_string_equal(app_ask(&r.phone)->pin, "471147");
        app_rig_answer(&r, &r.phone, PHONE_DONE);
        assert_string_equal(app_said(&r), "OK|");
        talk(&r, "PW47114|", "PW0000!|KO|");
        talk(&r, "0A-042!|", "0A-042!|");
        assert_non_null(app_ask(&r.phone));
        app_rig_answer(&r, &r.phone, PHONE_DONE);
        assert_string_equal(app_said(&r), "OK|");
        talk(&r, "PW1!|", "PW0000!|NA|");
        talk(&r, "0A-042!|", "0A-042!|NA|");
        talk(&r, "XYZ|", "XYZ|KO|");
        /* What could be taken for something else is not repeated. */
        talk(&r, "x|", "KO|");
        talk(&r, "A B|", "KO|");
        talk(&r, "0123456789ABCDEFG|", "KO|");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_public_clients),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_what_is_no_command),
                cmocka_unit_test(test_before_log_in),
                cmocka_unit_test(test_log_in),
                cmocka_unit_test(test_write),
                cmocka_unit_test(test_two_bytes),
                cmocka_unit_test(test_changes_add_up),
                cmocka_unit_test(test_one_phone),
                cmocka_unit_test(test_nothing_left_over),
                cmocka_unit_test(test_answer_without_line),
                cmocka_unit_test(test_waiting),
                cmocka_unit_test(test_flood_of_commands),
                cmocka_unit_test(test_flood_of_replies),
                cmocka_unit_test(test_flood_of_pings),
                cmocka_unit_test(test_pieces),
                cmocka_unit_test(test_echo),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
