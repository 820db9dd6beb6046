/* SPDX-License-Identifier: MIT */
#pragma once

/* Two tellings of the same events as one: rows of the database, which have numbers but may come late, and signals,
 * which come at once but have none. Each event is let through once, from whichever comes first. Knows no bus and prints
 * nothing. */

#include "records.h"

#define EVENT_LOG_KEPT 256
#define EVENT_LOG_WAITING 64

/* How long a signal waits for its row. */
#define EVENT_LOG_PATIENCE_USEC (2 * USEC_PER_SEC)

struct event_key {
        usec_t monotonic, tolerance;
        char kind[32], text[256];
};

struct event_keys {
        struct event_key keys[EVENT_LOG_KEPT]; /* ring */
        size_t n, next;
};

struct event_log {
        int64_t last_id;                     /* newest row that was taken */
        usec_t begin;                        /* rows from before are no news (CLOCK_BOOTTIME); 0 = all are */
        struct event_keys by_row, by_signal; /* let through, and not yet told the other way */
        struct {
                struct event_record event;
                usec_t since;
        } waiting[EVENT_LOG_WAITING]; /* signals, oldest first */
        size_t n_waiting;
};

/* A row, in the order of the database. True: it is news. */
bool event_log_row(struct event_log *log, const struct event_record *row);

/* Like a row, from the daemon's memory: its time is not exact, and it has no number. */
void event_log_remembered(struct event_log *log, const struct event_record *event);

/* A signal at now. False: there is no room for one more that waits; take some first. */
bool event_log_signal(struct event_log *log, usec_t now, const struct event_record *event);

/* The oldest signal that has waited long enough for its row; patience 0: any. False: none. */
bool event_log_take(struct event_log *log, usec_t now, usec_t patience, struct event_record *ret);
