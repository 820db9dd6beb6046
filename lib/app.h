/* SPDX-License-Identifier: MIT */
#pragma once

/* The line protocol that phone apps of the 123\SmartBMS family speak over a BLE UART (wire-formats.md section 2), third
 * generation: bytes in, bytes out. docs/bluetooth.md tells an owner what is answered, and why the rest is not. Knows
 * neither Bluetooth, nor how a PIN is compared, nor where settings are kept: it asks for that (phone.h), and goes on
 * once it has the answer.
 *
 * One phone at a time holds the line: the first to write while it is free. It is free once that phone has
 * disconnected, or has been silent for APP_LINE_USEC. What another phone writes meanwhile is not looked at: a
 * notification goes to all phones that subscribed, so there is no way to answer one of them. For the same reason
 * nothing sent here is private.
 *
 * The caller owns one struct app_line, one struct app_session for each phone that is connected, and brings both to life
 * with app_line_init() and app_session_init(). After app_take(), app_answer() and app_sent() it looks at app_output()
 * and at app_ask() of the session that holds the line. Nothing here fails, blocks or allocates, and every buffer has a
 * fixed size: what a phone that floods sends beyond it is lost, and it is told so by `KO`. */

#include "phone.h"

#define APP_LINE_USEC (10 * USEC_PER_SEC) /* silence after which the line is free */
#define APP_HELD_USEC (3 * USEC_PER_SEC)  /* so long a high byte waits for its low byte */
#define APP_GROUP_USEC (200 * USEC_PER_MSEC) /* between two groups of live records, whatever the pings do (j) */
#define APP_GROUPS_PER_ROUND 40 /* groups in which all cells have had their turn (j): see app-replies.c */

#define APP_COMMAND_MAX 16  /* without its CR; the longest that means anything is PW, 8 digits and '!' */
#define APP_WAITING_MAX 256 /* bytes that are kept while an answer or room for a reply is waited for */
#define APP_OUTPUT_MAX 1024

struct app_config {
        bool echo; /* each command is sent back before its reply: the genuine module does, no public client needs it */
};

/* One phone, from its connection to its disconnection. */
struct app_session {
        char command[APP_COMMAND_MAX]; /* so far */
        size_t n_command;
        bool spoilt; /* more bytes than that, or bytes that no command has */

        uint8_t waiting[APP_WAITING_MAX];
        size_t n_waiting;

        bool logged_in, streaming;
        uint16_t held_for; /* address of the low byte that is to follow; 0 = no byte is held */
        uint8_t held;
        usec_t held_at;

        struct phone_ask ask; /* PHONE_ASK_NONE: nothing is asked for */
        bool handed_out;      /* and app_ask() has given it away */

        bool grouped;       /* a group of live records was sent, */
        usec_t grouped_at;  /* then */
        unsigned last_cell; /* whose record was the last, 0 = none */
};

struct app_line {
        struct app_config config;
        struct app_session *holder; /* lent from app_take() until app_disconnected(); NULL = none */
        usec_t heard_at;            /* the holder's last byte */
        char output[APP_OUTPUT_MAX];
        size_t n_output;
        bool cut; /* what was sent ends within a line, whose rest is still there */
};

void app_line_init(struct app_line *line, const struct app_config *config);
void app_session_init(struct app_session *session);

/* Bytes that a phone wrote, in the order and the pieces in which they came. The phone must be one that may read:
 * bonded, and on the owner's list. Returns 0, or -EBUSY if another phone holds the line; then the bytes are gone.
 *
 * Each view must be newer than the last change of a setting: what a phone writes is applied to its snapshot's
 * settings. */
int app_take(struct app_line *line, struct app_session *session, const struct phone_view *view,
             const uint8_t *bytes, size_t size);

/* What the phone asks for, once: NULL if there is nothing or it was handed out already. Valid until it is answered
 * by app_answer(); until then the phone's further commands wait. A PHONE_ASK_SET_SETTINGS has passed
 * settings_check(). Only PHONE_ASK_LOG_IN and PHONE_ASK_SET_SETTINGS occur: the line protocol has no known command
 * for the others. */
const struct phone_ask *app_ask(struct app_session *session);

/* The answer to what app_ask() gave. Not to be called after the phone has disconnected: the session of a phone that
 * came back has not asked. Said to the phone only if it still holds the line. */
void app_answer(struct app_line *line, struct app_session *session, const struct phone_answer *answer,
                const struct phone_view *view);

/* What is to be notified, oldest first: its length, and where it is; any number of bytes from its beginning may be sent
 * as one notification. Valid until the next call. */
size_t app_output(const struct app_line *line, const char **ret_bytes);

/* So many bytes of it were sent. Goes on with the holder's commands for whose replies there was no room. */
void app_sent(struct app_line *line, size_t n, const struct phone_view *view);

/* The phone has gone: its log-in, its stream and what it asked for are forgotten; the line is free if it held it. */
void app_disconnected(struct app_line *line, struct app_session *session);
