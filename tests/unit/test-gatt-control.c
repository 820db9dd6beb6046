/* SPDX-License-Identifier: MIT */

/* The control point: every request of docs/bluetooth.md, what it asks for, what is answered, and who may not. */

#include "gatt-rig.h"

static struct phone_ask asked; /* of the newest request() */

/* Writes "TAG OP ..." in hex. */
static enum gatt_error request(struct rig *r, const char *hex) {
        uint8_t bytes[GATT_VALUE_MAX];
        size_t n = 0;

        for (const char *p = hex; *p;) {
                unsigned byte = 0;

                if (*p == ' ') {
                        p++;
                        continue;
                }
                assert_int_equal(sscanf(p, "%2x", &byte), 1);
                bytes[n++] = (uint8_t)byte;
                p += 2;
        }
        memset(&asked, 0xa5, sizeof(asked));
        return gatt_write(&r->session, GATT_CONTROL, 0, bytes, n, &r->view, &asked);
}

static void answer(struct rig *r, enum phone_result result) {
        const struct phone_answer a = {.result = result, .locked_sec = 3600, .sentence = "No"};

        gatt_answer(&r->session, r->session.asked, &a);
}

/* Nothing more than the tag. */
static void assert_indicated_at(struct rig *r, int tag, const char *file, int line) {
        uint8_t bytes[GATT_NOTIFY_MAX] = {0};
        const size_t size = gatt_indication(&r->session, bytes);

        _assert_int_equal(size, tag >= 0 ? 1 : 0, file, line);
        _assert_int_equal(bytes[0], tag >= 0 ? tag : 0, file, line);
}
#define assert_indicated(r, tag) assert_indicated_at(r, tag, __FILE__, __LINE__)
#define NOTHING (-1)

static void log_in(struct rig *r) {
        assert_int_equal(request(r, "00 01 31323334"), GATT_OK);
        answer(r, PHONE_DONE);
        assert_true(r->session.logged_in);
        assert_indicated(r, 0);
}

/* Answer: tag, operation, result, and text. */
static void assert_text_answer(struct rig *r, const char *head, const char *text) {
        char want[3 * GATT_VALUE_MAX + 1], hex[3 * GATT_VALUE_MAX + 1];

        snprintf(want, sizeof(want), "%s %s", head, rig_hex((const uint8_t *)text, strlen(text), hex));
        assert_value(r, GATT_CONTROL, want);
}

static void logging_in(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        assert_value(&r, GATT_CONTROL, ""); /* nothing was asked */
        assert_int_equal(request(&r, "07 01 3930313233343536"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_LOG_IN);
        assert_string_equal(asked.pin, "90123456");
        assert_false(r.session.logged_in);
        assert_value(&r, GATT_CONTROL, "07 01 00");
        assert_indicated(&r, NOTHING);
        answer(&r, PHONE_WRONG_PIN);
        assert_false(r.session.logged_in);
        assert_value(&r, GATT_CONTROL, "07 01 03");
        assert_indicated(&r, 7);
        assert_indicated(&r, NOTHING);

        assert_int_equal(request(&r, "08 01 31323334"), GATT_OK);
        answer(&r, PHONE_LOCKED);
        assert_value(&r, GATT_CONTROL, "08 01 04 100e0000");
        assert_false(r.session.logged_in);

        assert_int_equal(request(&r, "ff 01 31323334"), GATT_OK);
        answer(&r, PHONE_DONE);
        assert_value(&r, GATT_CONTROL, "ff 01 01");
        assert_indicated(&r, 255);
        assert_true(r.session.logged_in);
        /* a wrong one ends it */
        assert_int_equal(request(&r, "01 01 39393939"), GATT_OK);
        answer(&r, PHONE_WRONG_PIN);
        assert_false(r.session.logged_in);
        /* a right one of which the card does not know yet is right */
        assert_int_equal(request(&r, "02 01 31323334"), GATT_OK);
        answer(&r, PHONE_NOT_STORED);
        assert_true(r.session.logged_in);
        gatt_session_end(&r.session);
        assert_false(r.session.logged_in);
        assert_value(&r, GATT_CONTROL, "");
}

static void pins_that_are_none(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        assert_int_equal(request(&r, "01 01"), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(request(&r, "01 01 313233"), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(request(&r, "01 01 313233343536373839"), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(request(&r, "01 01 3132333a"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "01 01 2f323334"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "01 01 3132333400"), GATT_ERROR_REFUSED);
        assert_int_equal(asked.kind, PHONE_ASK_NONE);
        for (size_t i = 0; i < sizeof(asked.pin); i++)
                assert_int_equal(asked.pin[i], 0);
        assert_value(&r, GATT_CONTROL, "");
}

/* Nothing but what only reads, and the log-in, before the log-in. */
static void who_may_what(void **state) {
        static const struct {
                const char *request;
                enum gatt_error before;
                enum phone_ask_kind after;
        } rows[] = {
                {"01 01 31323334", GATT_OK, PHONE_ASK_LOG_IN},
                {"01 02 35363738", GATT_ERROR_INSUFFICIENT_AUTHORISATION, PHONE_ASK_SET_PIN},
                {"01 03", GATT_ERROR_INSUFFICIENT_AUTHORISATION, PHONE_ASK_CLEAR_ENERGY},
                {"01 04 8813", GATT_ERROR_INSUFFICIENT_AUTHORISATION, PHONE_ASK_SET_SOC},
                {"01 10", GATT_OK, PHONE_ASK_NONE},
                {"01 11 05 740e0000", GATT_ERROR_INSUFFICIENT_AUTHORISATION, PHONE_ASK_SET_SETTINGS},
                {"01 12", GATT_ERROR_INSUFFICIENT_AUTHORISATION, PHONE_ASK_NONE},
                {"01 13 0000 05 740e0000", GATT_ERROR_INSUFFICIENT_AUTHORISATION, PHONE_ASK_NONE},
                {"01 14 0500", GATT_ERROR_INSUFFICIENT_AUTHORISATION, PHONE_ASK_SET_SETTINGS},
                {"01 20 0100", GATT_OK, PHONE_ASK_NONE},
        };
        struct rig r;

        (void)state;
        rig_init(&r);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                gatt_session_end(&r.session);
                assert_int_equal(request(&r, rows[i].request), rows[i].before);
                assert_int_equal(asked.kind, rows[i].before == GATT_OK ? rows[i].after : PHONE_ASK_NONE);
        }
        gatt_session_end(&r.session);
        log_in(&r);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                assert_int_equal(request(&r, rows[i].request), GATT_OK);
                assert_int_equal(asked.kind, rows[i].after);
                answer(&r, PHONE_DONE);
        }
        gatt_session_log_out(&r.session);
        assert_int_equal(request(&r, "01 03"), GATT_ERROR_INSUFFICIENT_AUTHORISATION);
}

static void the_default_pin_changes_only_itself(void **state) {
        static const char *const refused[] = {"0a 03", "0b 04 8813", "0c 11 05 740e0000"};
        static const char *const answers[] = {"0a 03 07", "0b 04 07", "0c 11 07"};
        struct rig r;

        (void)state;
        rig_init(&r);
        r.view.default_pin = true;
        log_in(&r);
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(request(&r, refused[i]), GATT_OK);
                assert_int_equal(asked.kind, PHONE_ASK_NONE);
                assert_value(&r, GATT_CONTROL, answers[i]);
                assert_indicated(&r, 10 + (int)i);
        }
        assert_int_equal(request(&r, "00 12"), GATT_OK);
        assert_int_equal(request(&r, "00 13 0000 05 740e0000"), GATT_OK);
        assert_int_equal(request(&r, "0d 14 0500"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_NONE);
        assert_value(&r, GATT_CONTROL, "0d 14 07");
        assert_int_equal(request(&r, "0e 02 35363738"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_SET_PIN);
        assert_string_equal(asked.pin, "5678");
        answer(&r, PHONE_DONE);
        r.view.default_pin = false;
        assert_int_equal(request(&r, "0f 03"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_CLEAR_ENERGY);
}

static void answers(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        log_in(&r);
        assert_int_equal(request(&r, "21 03"), GATT_OK);
        answer(&r, PHONE_DONE);
        assert_value(&r, GATT_CONTROL, "21 03 01");
        assert_int_equal(request(&r, "22 03"), GATT_OK);
        answer(&r, PHONE_NOT_STORED);
        assert_value(&r, GATT_CONTROL, "22 03 02");
        assert_int_equal(request(&r, "23 03"), GATT_OK);
        answer(&r, PHONE_REFUSED);
        assert_value(&r, GATT_CONTROL, "23 03 05 4e6f");
        assert_int_equal(request(&r, "24 03"), GATT_OK);
        answer(&r, PHONE_BUSY);
        assert_value(&r, GATT_CONTROL, "24 03 06");
        assert_true(r.session.logged_in); /* only a wrong PIN ends it */
}

static void longest_sentence(void **state) {
        struct phone_answer a = {.result = PHONE_REFUSED};
        struct rig r;

        (void)state;
        rig_init(&r);
        log_in(&r);
        memset(a.sentence, 'x', ALARM_TEXT_MAX - 1);
        assert_int_equal(request(&r, "01 03"), GATT_OK);
        gatt_answer(&r.session, r.session.asked, &a);
        assert_text_answer(&r, "01 03 05", a.sentence);
}

static void one_at_a_time(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        log_in(&r);
        assert_int_equal(request(&r, "01 03"), GATT_OK);
        assert_int_equal(request(&r, "02 10"), GATT_ERROR_IN_PROGRESS);
        assert_int_equal(request(&r, "02 01 31323334"), GATT_ERROR_IN_PROGRESS);
        assert_int_equal(asked.kind, PHONE_ASK_NONE);
        assert_value(&r, GATT_CONTROL, "01 03 00");
        answer(&r, PHONE_DONE);
        assert_value(&r, GATT_CONTROL, "01 03 01");
        assert_int_equal(request(&r, "02 10 05"), GATT_OK);
}

/* The answer to a phone that has gone is not taken for that to its next log-in. */
static void late_answers(void **state) {
        const struct phone_answer right = {.result = PHONE_DONE};
        struct rig r;
        uint32_t first;

        (void)state;
        rig_init(&r);
        assert_int_equal(request(&r, "01 01 31323334"), GATT_OK);
        first = r.session.asked;
        gatt_session_end(&r.session);
        gatt_answer(&r.session, first, &right);
        assert_false(r.session.logged_in);
        assert_value(&r, GATT_CONTROL, "");
        assert_int_equal(request(&r, "01 01 39393939"), GATT_OK);
        gatt_answer(&r.session, first, &right);
        assert_false(r.session.logged_in);
        assert_value(&r, GATT_CONTROL, "01 01 00");
        answer(&r, PHONE_WRONG_PIN);
        gatt_answer(&r.session, r.session.asked, &right); /* twice */
        assert_false(r.session.logged_in);
        assert_value(&r, GATT_CONTROL, "01 01 03");
}

static void logged_out_while_it_is_looked_at(void **state) {
        const struct phone_answer right = {.result = PHONE_DONE};
        struct rig r;
        uint32_t number;

        (void)state;
        rig_init(&r);
        assert_int_equal(request(&r, "05 01 31323334"), GATT_OK);
        number = r.session.asked;
        gatt_session_log_out(&r.session);
        assert_value(&r, GATT_CONTROL, "05 01 06");
        assert_indicated(&r, 5);
        gatt_answer(&r.session, number, &right);
        assert_false(r.session.logged_in);
        /* what else was asked for is answered as ever */
        log_in(&r);
        assert_int_equal(request(&r, "06 03"), GATT_OK);
        gatt_session_log_out(&r.session);
        answer(&r, PHONE_DONE);
        assert_value(&r, GATT_CONTROL, "06 03 01");
        assert_false(r.session.logged_in);
}

static void set_soc(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        log_in(&r);
        assert_int_equal(request(&r, "01 04 1027"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_SET_SOC);
        assert_int_equal(asked.soc_permyriad, 10000);
        answer(&r, PHONE_DONE);
        assert_int_equal(request(&r, "01 04 0000"), GATT_OK);
        assert_int_equal(asked.soc_permyriad, 0);
        answer(&r, PHONE_DONE);
        assert_int_equal(request(&r, "01 04 1127"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "01 04 ffff"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "01 04 10"), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(request(&r, "01 04 100000"), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(asked.kind, PHONE_ASK_NONE);
        assert_value(&r, GATT_CONTROL, "01 04 01"); /* what was refused leaves the answer before */
}

static void what_is_no_request(void **state) {
        struct rig r;
        struct phone_ask ask;
        uint8_t byte = 0;

        (void)state;
        rig_init(&r);
        log_in(&r);
        assert_int_equal(request(&r, ""), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(request(&r, "01"), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(request(&r, "01 00"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "01 05"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "01 ff"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "01 03 00"), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(gatt_write(&r.session, GATT_CONTROL, 1, &byte, 1, &r.view, &ask), GATT_ERROR_INVALID_OFFSET);
        assert_indicated(&r, NOTHING);
}

/* ---- settings ---------------------------------------------------------------------------------------------------- */

static void reading_settings(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        r.snapshot.settings.values[SETTING_TMIN] = some(-50);
        assert_int_equal(request(&r, "09 10 08 01 05"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_NONE);
        assert_value(&r, GATT_CONTROL, "09 10 01 08 ceffffff 01 00000080 05 420e0000");
        assert_indicated(&r, 9);
        assert_int_equal(request(&r, "0a 10 08 18"), GATT_OK);
        assert_text_answer(&r, "0a 10 05", "there is no setting with the number 24");
        assert_int_equal(request(&r, "0a 10 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15 16 17"),
                         GATT_ERROR_INVALID_LENGTH);
}

static void reading_all_settings(void **state) {
        struct rig r;
        uint8_t answer_bytes[GATT_VALUE_MAX], value[GATT_VALUE_MAX];
        size_t answer_size, size;

        (void)state;
        rig_init(&r);
        assert_int_equal(request(&r, "09 10"), GATT_OK);
        answer_size = rig_read(&r, GATT_CONTROL, answer_bytes);
        size = rig_read(&r, GATT_SETTINGS, value);
        assert_int_equal(answer_size, 3 + 23 * 5);
        assert_int_equal(size, 1 + 23 * 5);
        assert_memory_equal(answer_bytes + 3, value + 1, size - 1);
}

/* The example of the docs: V-max 3.60 V, T-min -5.0 degC, no tail current. */
static void writing_settings(void **state) {
        struct settings expected;
        struct rig r;

        (void)state;
        rig_init(&r);
        r.snapshot.settings.values[SETTING_FULL_TAIL_CURRENT] = some(5000);
        expected = r.snapshot.settings;
        log_in(&r);
        assert_int_equal(request(&r, "2a 11 05 100e0000 08 ceffffff 15 00000080"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_SET_SETTINGS);
        expected.values[SETTING_VMAX] = some(3600);
        expected.values[SETTING_TMIN] = some(-50);
        expected.values[SETTING_FULL_TAIL_CURRENT] = none();
        assert_true(settings_equal(&asked.settings, &expected));
        assert_value(&r, GATT_CONTROL, "2a 11 00");
        answer(&r, PHONE_DONE);
        assert_value(&r, GATT_CONTROL, "2a 11 01");
        assert_indicated(&r, 0x2a);
}

/* And the same as a transfer, as written there. */
static void the_example_of_the_docs(void **state) {
        struct settings expected;
        struct rig r;

        (void)state;
        rig_init(&r);
        expected = r.snapshot.settings;
        expected.values[SETTING_VMAX] = some(3600);
        expected.values[SETTING_TMIN] = some(-50);
        assert_int_equal(request(&r, "29 01 34 37 31 31"), GATT_OK);
        assert_string_equal(asked.pin, "4711");
        answer(&r, PHONE_DONE);
        assert_indicated(&r, 0x29);
        assert_value(&r, GATT_CONTROL, "29 01 01");
        assert_int_equal(request(&r, "00 12"), GATT_OK);
        assert_int_equal(request(&r, "00 13 00 00 05 10 0e 00 00 08 ce ff"), GATT_OK);
        assert_int_equal(request(&r, "00 13 08 00 ff ff 15 00 00 00 80"), GATT_OK);
        assert_value(&r, GATT_CONTROL, "29 01 01"); /* these leave it as it is */
        assert_int_equal(request(&r, "2a 14 0f 00"), GATT_OK);
        assert_true(settings_equal(&asked.settings, &expected));
        answer(&r, PHONE_DONE);
        assert_value(&r, GATT_CONTROL, "2a 14 01");
}

static void settings_that_do_not_fit(void **state) {
        static const struct {
                const char *request, *sentence;
        } rows[] = {
                /* first one good, second out of range by one */
                {"01 11 05 100e0000 04 a10f0000", "vmin: '4.001 V' is outside the range (2.000 V to 4.000 V)"},
                {"01 11 05 100e0000 04 00000080", "vmin: cannot be unset (2.000 V to 4.000 V)"},
                {"01 11 05 100e0000 00 00000000", "there is no setting with the number 0"},
                {"01 11 05 100e0000 05 110e0000", "vmax is given twice"},
                /* each in range, but not together: tmin 25.0, tmax 25.0 */
                {"01 11 08 fa000000 09 fa000000", "tmin 25.0 degC must be below tmax 25.0 degC"},
                /* nor with V-bypass, 3.550 V */
                {"01 11 05 de0d0000", "vmax 3.550 V must be above V-bypass 3.550 V"},
        };
        struct rig r;

        (void)state;
        rig_init(&r);
        r.snapshot.v_bypass_mv = some(3550);
        log_in(&r);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                assert_int_equal(request(&r, rows[i].request), GATT_OK);
                assert_int_equal(asked.kind, PHONE_ASK_NONE);
                assert_text_answer(&r, "01 11 05", rows[i].sentence);
                assert_indicated(&r, 1);
        }
        assert_int_equal(request(&r, "01 11 05 100e00"), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(request(&r, "01 11 05 100e0000 04"), GATT_ERROR_INVALID_LENGTH);
        assert_int_equal(request(&r, "01 11"), GATT_ERROR_INVALID_LENGTH);
        /* together they fit: the order in one request does not matter */
        assert_int_equal(request(&r, "01 11 08 fa000000 09 fb000000"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_SET_SETTINGS);
}

static void transfers(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        log_in(&r);
        assert_int_equal(request(&r, "00 13 0000 05"), GATT_ERROR_REFUSED); /* not begun */
        assert_int_equal(request(&r, "00 14 0000"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "00 12"), GATT_OK);
        assert_indicated(&r, NOTHING);
        assert_int_equal(request(&r, "00 13 0000 05 10"), GATT_OK); /* may be cut anywhere */
        assert_int_equal(request(&r, "00 13 0000 05 10"), GATT_ERROR_REFUSED); /* sent twice */
        assert_int_equal(request(&r, "00 13 0300 00"), GATT_ERROR_REFUSED);    /* one was lost */
        assert_int_equal(request(&r, "00 13 0200 0e0000 04"), GATT_OK);
        assert_int_equal(request(&r, "00 13 0600 8c0a0000"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_NONE);
        assert_int_equal(request(&r, "33 14 0a00"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_SET_SETTINGS);
        assert_int_equal(settings_get(&asked.settings, SETTING_VMAX), 3600);
        assert_int_equal(settings_get(&asked.settings, SETTING_VMIN), 2700);
        answer(&r, PHONE_DONE);
        assert_value(&r, GATT_CONTROL, "33 14 01");
        assert_indicated(&r, 0x33);
        assert_int_equal(request(&r, "34 14 0a00"), GATT_ERROR_REFUSED); /* once only */
}

static void transfers_that_are_not_whole(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        log_in(&r);
        assert_int_equal(request(&r, "00 12"), GATT_OK);
        assert_int_equal(request(&r, "00 13 0000 05 100e0000 04"), GATT_OK);
        assert_int_equal(request(&r, "01 14 0600"), GATT_ERROR_REFUSED); /* no whole pairs */
        assert_int_equal(request(&r, "00 13 0600 00000000"), GATT_ERROR_REFUSED); /* and it is over */
        assert_int_equal(request(&r, "00 12"), GATT_OK);
        assert_int_equal(request(&r, "00 13 0000 05 100e0000"), GATT_OK);
        assert_int_equal(request(&r, "01 14 0a00"), GATT_ERROR_REFUSED); /* the phone sent more */
        assert_int_equal(request(&r, "00 12"), GATT_OK);
        assert_int_equal(request(&r, "01 14 0000"), GATT_ERROR_REFUSED); /* nothing */
        assert_int_equal(request(&r, "00 12"), GATT_OK);
        assert_int_equal(request(&r, "00 13 0000 05 100e0000"), GATT_OK);
        assert_int_equal(request(&r, "00 12"), GATT_OK); /* begins anew */
        assert_int_equal(request(&r, "00 13 0500 00"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "00 13 0000 04 8c0a0000"), GATT_OK);
        gatt_session_end(&r.session);
        log_in(&r);
        assert_int_equal(request(&r, "01 14 0500"), GATT_ERROR_REFUSED);
}

/* All settings, in pieces of 16, as they are. Then there is no room for more than 160 bytes. */
static void the_longest_transfer(void **state) {
        struct rig r;
        uint8_t value[GATT_VALUE_MAX], piece[2 + 2 + 16];
        struct phone_ask ask;
        size_t size;

        (void)state;
        rig_init(&r);
        r.snapshot.settings.values[SETTING_CAPACITY] = some(1920);
        log_in(&r);
        size = rig_read(&r, GATT_SETTINGS, value);
        assert_int_equal(size, 116);
        assert_int_equal(request(&r, "00 12"), GATT_OK);
        for (size_t at = 0; at < 115; at += 16) {
                const size_t n = 115 - at < 16 ? 115 - at : 16;

                memcpy(piece, (const uint8_t[]){0, GATT_APPEND, (uint8_t)at, 0}, 4);
                memcpy(piece + 4, value + 1 + at, n);
                assert_int_equal(gatt_write(&r.session, GATT_CONTROL, 0, piece, 4 + n, &r.view, &ask), GATT_OK);
        }
        assert_int_equal(request(&r, "01 14 7300"), GATT_OK);
        assert_int_equal(asked.kind, PHONE_ASK_SET_SETTINGS);
        assert_true(settings_equal(&asked.settings, &r.snapshot.settings));
        answer(&r, PHONE_DONE);

        assert_int_equal(request(&r, "00 12"), GATT_OK);
        for (size_t at = 0; at < 160; at += 16) {
                memcpy(piece, (const uint8_t[]){0, GATT_APPEND, (uint8_t)at, 0}, 4);
                assert_int_equal(gatt_write(&r.session, GATT_CONTROL, 0, piece, sizeof(piece), &r.view, &ask), GATT_OK);
        }
        assert_int_equal(request(&r, "00 13 a000 00"), GATT_ERROR_INVALID_LENGTH);
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static void texts(void **state) {
        struct rig r;
        struct snapshot *s = &r.snapshot;
        struct relay_snapshot *load = &s->relays[RELAY_LOAD];

        (void)state;
        rig_init(&r);
        strcpy(s->link_text, "the chain is broken");
        s->alarms[ALARM_V_MIN] = (struct alarm_state){.active = true, .text = "cell 3 is empty"};
        strcpy(s->alarms[ALARM_V_MAX].text, "what it said last");
        load->reason = (struct reason){.rule = RULE_V_MIN, .cell = 3, .value = some(2799), .limit = some(2800)};
        load->holds[0] = (struct hold){.kind = HOLD_DELAY, .remaining = 41 * USEC_PER_SEC};
        load->n_holds = 1;
        assert_int_equal(request(&r, "01 20 01 03"), GATT_OK);
        assert_text_answer(&r, "01 20 01", "cell 3 is empty");
        assert_indicated(&r, 1);
        assert_int_equal(request(&r, "02 20 01 02"), GATT_OK); /* not active now */
        assert_value(&r, GATT_CONTROL, "02 20 01");
        assert_int_equal(request(&r, "02 20 01 ff"), GATT_OK); /* no alarm at all */
        assert_value(&r, GATT_CONTROL, "02 20 01");
        assert_int_equal(request(&r, "03 20 03 00"), GATT_OK);
        assert_text_answer(&r, "03 20 01", "cell 3 at 2.799 V fell to V-min 2.800 V");
        assert_int_equal(request(&r, "03 20 03 01"), GATT_OK);
        assert_text_answer(&r, "03 20 01", "restart delay: 41 s left");
        assert_int_equal(request(&r, "03 20 03 02"), GATT_OK); /* there is one hold only */
        assert_value(&r, GATT_CONTROL, "03 20 01");
        assert_int_equal(request(&r, "03 20 02 00"), GATT_OK);
        assert_text_answer(&r, "03 20 01", "just started, nothing is decided yet");
        assert_int_equal(request(&r, "03 20 04 00"), GATT_OK);
        assert_text_answer(&r, "03 20 01", "the chain is broken");
        assert_int_equal(request(&r, "03 20 04 01"), GATT_OK);
        assert_value(&r, GATT_CONTROL, "03 20 01");
        assert_int_equal(request(&r, "04 20 05 00"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "04 20 00 00"), GATT_ERROR_REFUSED);
        assert_int_equal(request(&r, "04 20 01"), GATT_ERROR_INVALID_LENGTH);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(logging_in),
                cmocka_unit_test(pins_that_are_none),
                cmocka_unit_test(who_may_what),
                cmocka_unit_test(the_default_pin_changes_only_itself),
                cmocka_unit_test(answers),
                cmocka_unit_test(longest_sentence),
                cmocka_unit_test(one_at_a_time),
                cmocka_unit_test(late_answers),
                cmocka_unit_test(logged_out_while_it_is_looked_at),
                cmocka_unit_test(set_soc),
                cmocka_unit_test(what_is_no_request),
                cmocka_unit_test(reading_settings),
                cmocka_unit_test(reading_all_settings),
                cmocka_unit_test(writing_settings),
                cmocka_unit_test(the_example_of_the_docs),
                cmocka_unit_test(settings_that_do_not_fit),
                cmocka_unit_test(transfers),
                cmocka_unit_test(transfers_that_are_not_whole),
                cmocka_unit_test(the_longest_transfer),
                cmocka_unit_test(texts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
