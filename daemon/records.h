/* SPDX-License-Identifier: MIT */
#pragma once

/* What the database keeps, as those see it who ask for it: rows, and the shape of the answers. No code; for the
 * store, the manager and the doors, which do not know one another. */

#include "bms.h"
#include "history.h"

struct event_record {
        int64_t id; /* rises, never used again */
        bool this_boot;
        struct maybe64 wall_usec; /* since 1970 UTC */
        char boot_id[33];
        struct event event; /* at: clock_now()'s scale of its boot */
};

struct history_record {
        struct maybe64 wall_usec; /* of row.from */
        char boot_id[33];
        struct history_row row;
};

struct day_record {
        int64_t day;            /* local days since 1970-01-01 */
        bool today;             /* still going on: not from the file */
        struct history_row row; /* energies: the counters' own */
        usec_t length_usec;     /* 23, 24 or 25 h; less when the daemon was off */
};

enum resolution { RESOLUTION_MINUTES, RESOLUTION_HOURS, RESOLUTION_DAYS, _RESOLUTION_MAX };

struct storage_status {
        bool open; /* false: nothing is being written, see fault */
        char path[256];
        char fault[ALARM_TEXT_MAX]; /* "" = none */
        uint64_t file_bytes, wal_bytes;
        usec_t since;                  /* of the two below: start of this run */
        uint64_t written_bytes, syncs; /* by SQLite, in this run */
        usec_t last_commit;            /* 0 = none in this run */
        uint32_t queued_events, queued_minutes;
        uint64_t lost_events, lost_minutes; /* did not fit the queue */
};

/* result: 0 once committed; -ETIMEDOUT: queued, but not on the card after 3 s; -ENOBUFS: the queue was full. */
typedef void (*stored_t)(void *userdata, int result);

/* Reading. Answers come in pieces of the whole, once, with rows that are gone when the callback returns; result <
 * 0: no rows, -Exxx (-EBUSY: too many questions at once, -EIO: the database does not answer). */
typedef void (*events_answer_t)(void *userdata, int result, const struct event_record *rows, size_t n);
typedef void (*history_answer_t)(void *userdata, int result, const struct history_record *rows, size_t n);
typedef void (*days_answer_t)(void *userdata, int result, const struct day_record *rows, size_t n);
