/* SPDX-License-Identifier: MIT */
#pragma once

/* What smartbmsd keeps, decoded as conf/org.smartbms1.xml has it: history, days, events, the state of the store. Plain
 * values, no formatting. */

#include "client.h"
#include "energy.h"

/* A stretch of history: a minute, an hour, a local day. */
struct record {
        struct maybe64 wall_usec; /* its beginning, since 1970 UTC; of a day its local midnight */
        int64_t day;              /* days only: since 1970-01-01 */
        bool today;               /* days only: still going on */
        usec_t length_usec;
        uint32_t covered_sec;
        struct maybe64 soc_permyriad, power_mw, pack_mv;
        struct maybe64 lowest_mv, highest_mv, lowest_decic, highest_decic;
        int64_t mwh[_ENERGY_MAX];
};

struct records {
        struct record *rows; /* oldest first */
        size_t n, allocated;
};

void records_done(struct records *r);

/* resolution: "minutes" or "hours". Asks in as many steps as it takes, so that neither side holds the other up. Each
 * 0, or an exit code with client.error set. */
int records_fetch_history(struct client *c, const char *resolution, int64_t from_usec, int64_t until_usec,
                          struct records *ret);

#define RECORDS_DAYS_MAX 1000
int records_fetch_days(struct client *c, uint32_t limit, struct records *ret);

#define EVENT_RECORDS_MAX 1000

struct event_record {
        int64_t id; /* 0: only from the daemon's memory */
        struct maybe64 wall_usec;
        bool this_boot;
        usec_t monotonic; /* CLOCK_BOOTTIME of its boot */
        char kind[32], text[256], by[64];
        char key[40], before[40], after[40]; /* of a setting */
        char rule[32];                       /* of a relay */
        uint8_t cell;
        struct maybe64 value, limit;
};

struct event_records {
        struct event_record *rows; /* oldest first */
        size_t n;
};

void event_records_done(struct event_records *r);
int records_fetch_events(struct client *c, int64_t after_id, uint32_t limit, struct event_records *ret);

/* The newest ones in the daemon's memory: what is left when the database cannot be read. */
int records_fetch_recent(struct client *c, struct event_records *ret);

struct record_storage {
        bool open;
        char path[256], fault[256];
        struct maybe64 file_bytes, wal_bytes, run_usec, written_bytes, syncs, commit_age_usec, queued_events,
                queued_minutes, lost_events, lost_minutes;
};
int records_fetch_storage(struct client *c, struct record_storage *ret);
