/* SPDX-License-Identifier: MIT */
#pragma once

/* What store.c, in the event loop's thread, and its files store-*.c, on the worker's, agree on. Everything that gets a
 * struct store_db may wait for the card, knows no event loop, and is called by one thread at a time.
 *
 * The file is opened for each job and closed after it. So nothing is held between two commits: another program may
 * look with sqlite3, and a file that was moved, replaced or has come back is noticed by the next commit. While a job
 * has it, it has it alone (locking_mode EXCLUSIVE), and the index of the WAL is in memory: the usual smartbms.db-shm
 * is a mapped file whose pages the kernel would write to the card half a minute after each commit, more than all the
 * rest together. If another program has the file open then, it is shared with it in the usual way. */

#include <sqlite3.h>

#include "clock.h"
#include "store-vfs.h"
#include "store.h"

#define STORE_FILE "smartbms.db"
#define STORE_APPLICATION_ID 0x53424d53 /* "SBMS" */

#define STORE_MINUTES 2880 /* slots of the ring: 2 days */
#define STORE_HOURS_USEC (90 * USEC_PER_DAY)
#define STORE_HOURS_MAX 4320  /* rows: an hour with a boot in it has two */
#define STORE_EVENTS_KEPT 10000
#define STORE_ASIDE_MAX 3     /* bad databases kept */
#define STORE_CLOCK_USEC USEC_PER_SEC /* a boot's zero is corrected beyond this */

enum store_trouble {
        STORE_FINE,
        STORE_FULL,
        STORE_READ_ONLY,
        STORE_MISSING, /* the directory */
        STORE_LOCKED,
        STORE_IO,
        STORE_BAD, /* damaged, foreign or newer, and could not be set aside yet */
};

struct store_outcome {
        bool done; /* what was asked for has happened: committed, read */
        enum store_trouble trouble;
        char text[ALARM_TEXT_MAX];  /* of the trouble, for the owner; "" = none */
        char log[ALARM_TEXT_MAX];   /* the same for the log: SQLite's words and numbers */
        char aside[ALARM_TEXT_MAX]; /* "" = no database was set aside */
        uint64_t file_bytes, wal_bytes;
};

struct store_day {
        usec_t at; /* clock_now() when it was over: later minutes are the next one's */
        int64_t day;
        struct energy_sum sums[_ENERGY_MAX];
        usec_t length_usec;
};

/* What one commit takes. */
struct store_batch {
        usec_t at; /* when it was put together; tried again it is the same, and is written once */
        const struct store_state *state; /* NULL = not known yet */
        struct maybe64 zero_usec;        /* store_clock() */
        const struct event *events;
        size_t n_events;
        const struct history_row *minutes;
        size_t n_minutes;
        const struct store_day *days;
        size_t n_days;
        uint64_t lost_events, lost_minutes, lost_days; /* since the last batch that was committed */
};

struct store_db {
        char directory[256], path[300];
        char boot_id[33];
        struct store_vfs *vfs; /* the owner's */
        unsigned checkpoint_frames;

        sqlite3 *handle;     /* while open */
        int64_t boot;        /* of this boot's row, in a transaction */
        bool read_only;      /* as opened */
        bool begun;          /* a good database was there: one that is gone is worth an event */
        unsigned wal_frames, checkpoint_at; /* in the log; when they are to be moved into the file */
        char story[ALARM_TEXT_MAX]; /* an event to be written into the next commit; "" = none */
};

/* ---- store-db.c: the file */

void store_db_init(struct store_db *db, const char *directory, const char *boot_id, struct store_vfs *vfs);

/* Opens it for one job, makes a new one if there is none, brings it to this version, sets a bad one aside. Returns an
 * extended SQLite code; on failure it is closed. */
int store_db_open(struct store_db *db, struct store_outcome *o);
void store_db_close(struct store_db *db, struct store_outcome *o);

/* Turns an SQLite code into trouble and a sentence. A file that is found bad is set aside, and done is false. The
 * database must still be open, or have just failed to open. */
void store_db_judge(struct store_db *db, int code, struct store_outcome *o);

int store_db_exec(struct store_db *db, const char *sql);
int store_db_prepare(struct store_db *db, const char *sql, sqlite3_stmt **ret);
/* The first column of the first row; SQLITE_OK with 0 if there is none. */
int store_db_number(struct store_db *db, const char *sql, int64_t *ret);
/* Runs to the end, resets. */
int store_db_run(sqlite3_stmt *s);

/* ---- store-schema.c: versions */

/* Brings an open database from a version on to the newest, in one transaction. */
int store_schema_migrate(struct store_db *db, int from);
int store_schema_version(void);

/* For tests: a step that is no good. */
struct store_step {
        const char *sql; /* from the version that is its index to the next one */
};
int store_schema_migrate_by(struct store_db *db, int from, const struct store_step *steps, int n);

/* ---- store-write.c: a commit */

void store_db_write(struct store_db *db, const struct store_batch *batch, struct store_outcome *o);

/* ---- store-read.c */

/* found, state, wall_usec; off_usec of another boot by zero_usec of this one if it is known. */
void store_db_load(struct store_db *db, struct store_loaded *ret, struct store_outcome *o);

/* Rows by malloc(), to be freed by the caller. */
void store_db_events(struct store_db *db, int64_t after_id, uint32_t limit, struct event_record **ret, size_t *ret_n,
                     struct store_outcome *o);
void store_db_history(struct store_db *db, enum resolution resolution, int64_t from_usec, int64_t until_usec,
                      uint32_t limit, struct maybe64 zero_usec, struct history_record **ret, size_t *ret_n,
                      struct store_outcome *o);
void store_db_days(struct store_db *db, uint32_t limit, struct day_record **ret, size_t *ret_n,
                   struct store_outcome *o);

/* A consistent copy into a new file. */
void store_db_copy(struct store_db *db, const char *path, struct store_outcome *o);
