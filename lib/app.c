/* SPDX-License-Identifier: MIT */
#include "app.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "app-internal.h"

#define CR '\r'
#define LF '\n'
#define ENQ 0x05
#define PING '$'
#define LOST 0 /* stands in the queue for bytes that had no room: no command has it */

static_assert(APP_OUTPUT_MAX >= 2 * APP_REPLY_MAX, "a reply can be written while another waits to be sent");

void app_line_init(struct app_line *line, const struct app_config *config) {
        *line = (struct app_line){.config = *config};
}

void app_session_init(struct app_session *session) {
        *session = (struct app_session){.ask = {.kind = PHONE_ASK_NONE}};
}

static void say(struct app_line *line, const char *word) {
        for (; *word != '\0'; word++)
                app_put(line, *word);
        app_put(line, CR);
}

/* What is echoed goes to every phone that subscribed, so a PIN is not. Neither is what could be taken for a record's
 * end or has lower-case letters: no command of ours has them. */
static void echo(struct app_line *line, const char *command, size_t size) {
        if (!line->config.echo)
                return;
        if (size >= 2 && memcmp(command, "PW", 2) == 0) {
                say(line, "PW0000!");
                return;
        }
        for (size_t i = 0; i < size; i++)
                if (command[i] <= ' ' || command[i] > '_')
                        return;
        for (size_t i = 0; i < size; i++)
                app_put(line, command[i]);
        app_put(line, CR);
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/* -1: no hex digit. Upper case, as all clients send it. */
static int digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* So many digits, or -1. */
static int hex(const char *p, unsigned digits) {
        int value = 0;

        for (unsigned i = 0; i < digits; i++) {
                if (digit(p[i]) < 0)
                        return -1;
                value = value * 16 + digit(p[i]);
        }
        return value;
}

/* "PW1234!" A PIN that cannot be one is wrong without asking. */
static void log_in(struct app_line *line, struct app_session *session, const char *command, size_t size) {
        const size_t length = size - strlen("PW!");
        struct phone_ask ask = {.kind = PHONE_ASK_LOG_IN};

        if (length <= PIN_DIGITS_MAX)
                memcpy(ask.pin, command + strlen("PW"), length);
        if (length > PIN_DIGITS_MAX || !pin_well_formed(ask.pin)) {
                session->logged_in = false;
                say(line, "NA");
                return;
        }
        session->ask = ask;
        session->handed_out = false;
}

/* All of a setting's bytes are there. */
static void change(struct app_line *line, struct app_session *session, const struct phone_view *view, int row,
                   uint16_t raw) {
        struct phone_ask ask = {.kind = PHONE_ASK_SET_SETTINGS, .settings = view->snapshot->settings};
        char error[ALARM_TEXT_MAX];

        if (!app_setting_write(row, raw, &ask.settings) ||
            settings_check(&ask.settings, view->snapshot->v_bypass_mv, error, sizeof(error)) < 0) {
                say(line, "KO"); /* the protocol has no room for the sentence */
                return;
        }
        session->ask = ask;
        session->handed_out = false;
}

/* "0A-041!" Whatever does not complete a held high byte ends it. */
static void write_setting(struct app_line *line, struct app_session *session, const struct phone_view *view,
                          const char *command, size_t size) {
        const uint16_t held_for =
                usec_since(view->now, session->held_at) <= APP_HELD_USEC ? session->held_for : 0;
        int value = -1, address = -1, row = -ENOENT;
        enum app_part part = APP_PART_WHOLE;

        session->held_for = 0;
        if (size == strlen("00-000!") && command[2] == '-') {
                value = hex(command, 2);
                address = hex(command + 3, 3);
        }
        if (value >= 0 && address > 0)
                row = app_setting_at((uint16_t)address, &part);
        if (row < 0 || view->default_pin || view->snapshot->role == ROLE_MONITOR) {
                say(line, "KO");
                return;
        }
        switch (part) {
        case APP_PART_HIGH:
                session->held_for = app_setting_address(row);
                session->held = (uint8_t)value;
                session->held_at = view->now;
                say(line, "OK");
                return;
        case APP_PART_LOW:
                if (held_for != address)
                        say(line, "KO");
                else
                        change(line, session, view, row, (uint16_t)(session->held << 8 | value));
                return;
        case APP_PART_WHOLE:
                change(line, session, view, row, (uint16_t)value);
                return;
        }
}

static bool is(const char *command, size_t size, const char *word) {
        return size == strlen(word) && memcmp(command, word, size) == 0;
}

static void obey(struct app_line *line, struct app_session *session, const struct phone_view *view,
                 const char *command, size_t size) {
        const bool acts = command[size - 1] == '!';

        echo(line, command, size);
        if (acts && size >= strlen("PW!") && memcmp(command, "PW", 2) == 0) {
                log_in(line, session, command, size);
        } else if (is(command, size, "E!") || is(command, size, "D!")) {
                session->streaming = command[0] == 'E';
                say(line, "OK");
        } else if (acts && !session->logged_in) {
                say(line, "NA");
        } else if (acts) {
                write_setting(line, session, view, command, size);
        } else if (!app_query(line, command, size, view)) {
                say(line, "KO");
        }
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

/* Pings that come faster than any client sends them have no answer of their own. */
static void ping(struct app_line *line, struct app_session *session, const struct phone_view *view) {
        if (!session->streaming)
                return;
        if (session->grouped && usec_since(view->now, session->grouped_at) < APP_GROUP_USEC)
                return;
        session->grouped = true;
        session->grouped_at = view->now;
        app_group(line, session, view);
}

static void end_of_command(struct app_line *line, struct app_session *session, const struct phone_view *view) {
        const size_t size = session->n_command;

        if (session->spoilt)
                say(line, "KO");
        else if (size > 0)
                obey(line, session, view, session->command, size);
        session->n_command = 0;
        session->spoilt = false;
}

static void take_byte(struct app_line *line, struct app_session *session, const struct phone_view *view,
                      uint8_t byte) {
        if (byte == CR)
                end_of_command(line, session, view);
        else if (byte == PING)
                ping(line, session, view);
        else if (byte == ENQ || byte == LF)
                return; /* sent by clients to wake a module up, and by terminal programs */
        else if (byte < ' ' || byte > '~' || session->n_command == sizeof(session->command))
                session->spoilt = true;
        else
                session->command[session->n_command++] = (char)byte;
}

static bool room(const struct app_line *line) {
        return sizeof(line->output) - line->n_output >= APP_REPLY_MAX;
}

/* Takes what waits, until there is something to wait for. */
static void go_on(struct app_line *line, struct app_session *session, const struct phone_view *view) {
        size_t n = 0;

        while (n < session->n_waiting && session->ask.kind == PHONE_ASK_NONE && room(line))
                take_byte(line, session, view, session->waiting[n++]);
        memmove(session->waiting, session->waiting + n, session->n_waiting - n);
        session->n_waiting -= n;
}

/* What was said to a phone that has lost the line is for nobody, but the line that the others saw begin has an end. */
static void drop_output(struct app_line *line) {
        const char *end = line->cut ? memchr(line->output, CR, line->n_output) : NULL;

        line->n_output = end ? (size_t)(end - line->output) + 1 : 0;
}

/* Another phone's output is not for this one, and half a command of long ago is not the beginning of this one. */
static void hold_line(struct app_line *line, struct app_session *session) {
        if (line->holder != session)
                drop_output(line);
        line->holder = session;
        session->n_command = session->n_waiting = 0;
        session->spoilt = false;
}

int app_take(struct app_line *line, struct app_session *session, const struct phone_view *view,
             const uint8_t *bytes, size_t size) {
        const bool is_free = !line->holder || usec_since(view->now, line->heard_at) >= APP_LINE_USEC;

        if (line->holder != session && !is_free)
                return -EBUSY;
        if (size == 0)
                return 0;
        if (is_free)
                hold_line(line, session);
        line->heard_at = view->now;

        for (size_t i = 0; i < size; i++) {
                if (session->n_waiting == sizeof(session->waiting))
                        go_on(line, session, view);
                if (session->n_waiting == sizeof(session->waiting)) {
                        session->waiting[sizeof(session->waiting) - 1] = LOST;
                        break;
                }
                session->waiting[session->n_waiting++] = bytes[i];
        }
        go_on(line, session, view);
        return 0;
}

const struct phone_ask *app_ask(struct app_session *session) {
        if (session->ask.kind == PHONE_ASK_NONE || session->handed_out)
                return NULL;
        session->handed_out = true;
        return &session->ask;
}

/* NA: you may not; KO: it was not done. */
static const char *word_for(enum phone_result result, enum phone_ask_kind kind) {
        switch (result) {
        case PHONE_DONE:
        case PHONE_NOT_STORED: /* in force all the same */
                return "OK";
        case PHONE_WRONG_PIN:
        case PHONE_LOCKED:
                return "NA";
        case PHONE_REFUSED:
        case PHONE_BUSY:
                break;
        }
        return kind == PHONE_ASK_LOG_IN ? "NA" : "KO";
}

void app_answer(struct app_line *line, struct app_session *session, const struct phone_answer *answer,
                const struct phone_view *view) {
        const enum phone_ask_kind kind = session->ask.kind;

        assert(kind != PHONE_ASK_NONE && session->handed_out);
        session->ask = (struct phone_ask){.kind = PHONE_ASK_NONE}; /* the PIN too */
        if (kind == PHONE_ASK_LOG_IN && (answer->result == PHONE_DONE || answer->result == PHONE_NOT_STORED))
                session->logged_in = true;
        if (kind == PHONE_ASK_LOG_IN && answer->result == PHONE_WRONG_PIN)
                session->logged_in = false;
        if (line->holder != session)
                return;
        say(line, word_for(answer->result, kind));
        go_on(line, session, view);
}

size_t app_output(const struct app_line *line, const char **ret_bytes) {
        *ret_bytes = line->output;
        return line->n_output;
}

void app_sent(struct app_line *line, size_t n, const struct phone_view *view) {
        assert(n <= line->n_output);
        if (n > 0)
                line->cut = line->output[n - 1] != CR;
        memmove(line->output, line->output + n, line->n_output - n);
        line->n_output -= n;
        if (line->holder)
                go_on(line, line->holder, view);
}

void app_disconnected(struct app_line *line, struct app_session *session) {
        if (line->holder == session) {
                line->holder = NULL;
                drop_output(line);
        }
        app_session_init(session);
}
