/* SPDX-License-Identifier: MIT */

/* The database file: opened, judged, set aside, begun anew. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store-internal.h"

/* A database that is none of ours is told apart by codes that SQLite does not use. */
enum { CODE_FOREIGN = 10001, CODE_NEWER, CODE_BAD_VALUE };

#define BUSY_MSEC 1000 /* that another program may hold it before it is called locked */

void store_db_init(struct store_db *db, const char *directory, const char *boot_id, struct store_vfs *vfs) {
        *db = (struct store_db){.vfs = vfs, .checkpoint_frames = 500, .wal_frames = UINT32_MAX, .checkpoint_at = 500};
        (void)snprintf(db->directory, sizeof(db->directory), "%s", directory);
        (void)snprintf(db->path, sizeof(db->path), "%s/%s", directory, STORE_FILE);
        (void)snprintf(db->boot_id, sizeof(db->boot_id), "%s", boot_id);
}

int store_db_exec(struct store_db *db, const char *sql) {
        return sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
}

int store_db_prepare(struct store_db *db, const char *sql, sqlite3_stmt **ret) {
        return sqlite3_prepare_v2(db->handle, sql, -1, ret, NULL);
}

int store_db_run(sqlite3_stmt *s) {
        int r;

        do
                r = sqlite3_step(s);
        while (r == SQLITE_ROW);
        return sqlite3_reset(s);
}

int store_db_number(struct store_db *db, const char *sql, int64_t *ret) {
        sqlite3_stmt *s = NULL;
        int r;

        r = store_db_prepare(db, sql, &s);
        if (r != SQLITE_OK)
                return r;
        *ret = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
        return sqlite3_finalize(s); /* the step's error, if it had one */
}

static void close_handle(struct store_db *db) {
        (void)sqlite3_close(db->handle); /* takes NULL; all statements are finalized */
        db->handle = NULL;
}

/* ---- setting aside */

static void part_path(char *ret, size_t size, const char *base, const char *suffix) {
        (void)snprintf(ret, size, "%s%s", base, suffix);
}

static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

#define N_SUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

/* Numbers rise; of more than STORE_ASIDE_MAX the oldest goes. */
static unsigned next_aside(const struct store_db *db) {
        unsigned oldest = 1, next;
        char path[320];

        while (oldest < 1000 &&
               ((void)snprintf(path, sizeof(path), "%s.bad-%u", db->path, oldest), access(path, F_OK) < 0))
                oldest++;
        if (oldest == 1000)
                return 1;
        for (next = oldest + 1;; next++) {
                (void)snprintf(path, sizeof(path), "%s.bad-%u", db->path, next);
                if (access(path, F_OK) < 0)
                        break;
        }
        while (next - oldest >= STORE_ASIDE_MAX) {
                for (size_t i = 0; i < N_SUFFIXES; i++) {
                        (void)snprintf(path, sizeof(path), "%s.bad-%u%s", db->path, oldest, suffixes[i]);
                        (void)unlink(path); /* what stays is only in the way of room */
                }
                oldest++;
        }
        return next;
}

static int set_aside(struct store_db *db, const char *why, struct store_outcome *o) {
        char from[320], to[340];
        unsigned n = next_aside(db);

        /* The file first: a WAL without it is dropped by SQLite, but a file without its WAL is an older one. */
        for (size_t i = 0; i < N_SUFFIXES; i++) {
                part_path(from, sizeof(from), db->path, suffixes[i]);
                (void)snprintf(to, sizeof(to), "%s.bad-%u%s", db->path, n, suffixes[i]);
                if (rename(from, to) < 0 && errno != ENOENT)
                        return -errno;
        }
        (void)snprintf(o->aside, sizeof(o->aside), "the database %s: kept aside as %s.bad-%u, a new one is begun",
                       why, STORE_FILE, n);
        (void)snprintf(db->story, sizeof(db->story), "%s", o->aside);
        db->wal_frames = UINT32_MAX;
        db->begun = false;
        return 0;
}

/* ---- trouble */

static enum store_trouble trouble_of_errno(int error) {
        switch (error) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
                return STORE_FULL;
        case EROFS:
                return STORE_READ_ONLY;
        default:
                return STORE_IO;
        }
}

static enum store_trouble trouble_of(const struct store_db *db, int code, int error) {
        if (code >= CODE_FOREIGN)
                return STORE_BAD;
        switch (code & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return STORE_FINE;
        case SQLITE_FULL:
                return STORE_FULL;
        case SQLITE_READONLY:
                return STORE_READ_ONLY;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_PROTOCOL:
                return STORE_LOCKED;
        case SQLITE_CANTOPEN:
                if (access(db->directory, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
                        return STORE_MISSING;
                return trouble_of_errno(error);
        case SQLITE_IOERR:
                return trouble_of_errno(error);
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_FORMAT:
        case SQLITE_ERROR: /* and below: the tables are not those that we made */
        case SQLITE_SCHEMA:
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
                return STORE_BAD;
        default: /* no memory; and what should not be is no reason to put a good file away */
                return STORE_IO;
        }
}

static const char *what_is_bad(int code) {
        switch (code) {
        case CODE_FOREIGN:
                return "was another program's";
        case CODE_NEWER:
                return "was made by a newer version";
        case SQLITE_NOTADB:
                return "was no database";
        default:
                return "was damaged";
        }
}

static void describe(const struct store_db *db, enum store_trouble trouble, struct store_outcome *o) {
        static const struct {
                const char *before, *after; /* the directory's name */
        } sentences[] = {
                [STORE_FULL] = {"no space for the database in ",
                                ": make room; until then counting goes on in memory only"},
                [STORE_READ_ONLY] =
                        {"", " cannot be written (read-only): check the card; counting goes on in memory only"},
                [STORE_MISSING] = {"the state directory ", " is missing: counting goes on in memory only"},
                [STORE_LOCKED] = {"another program has locked the database in ",
                                  ": counting goes on in memory only"},
                [STORE_IO] = {"the database in ",
                              " cannot be read or written: check the card; counting goes on in memory only"},
                [STORE_BAD] = {"the database in ",
                               " is bad and cannot be moved out of the way: counting goes on in memory only"},
        };

        (void)snprintf(o->text, sizeof(o->text), "%s%.50s%s", sentences[trouble].before, db->directory,
                       sentences[trouble].after);
}

void store_db_judge(struct store_db *db, int code, struct store_outcome *o) {
        const int error = db->handle ? sqlite3_system_errno(db->handle) : 0;
        int r;

        o->trouble = trouble_of(db, code, error);
        if (o->trouble == STORE_FINE)
                return;
        o->done = false;
        (void)snprintf(o->log, sizeof(o->log), "SQLite error %d (%.90s), errno %d", code,
                       db->handle && code < CODE_FOREIGN ? sqlite3_errmsg(db->handle) : "", error);
        if (o->trouble == STORE_BAD) {
                close_handle(db);
                r = set_aside(db, what_is_bad(code), o);
                if (r >= 0) {
                        o->trouble = STORE_FINE;
                        return;
                }
                if (r == -EROFS)
                        o->trouble = STORE_READ_ONLY;
        }
        describe(db, o->trouble, o);
}

/* ---- opening */

static int open_handle(struct store_db *db, bool alone) {
        char setup[256], uri[400];
        int r;

        r = sqlite3_open_v2(db->path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                            db->vfs->name);
        if (r == SQLITE_OK && sqlite3_db_readonly(db->handle, "main") == 1) {
                /* Without a WAL there is nothing but the file, and SQLite would want to make one. */
                (void)snprintf(uri, sizeof(uri), "%s-wal", db->path);
                if (access(uri, F_OK) < 0) {
                        close_handle(db);
                        (void)snprintf(uri, sizeof(uri), "file:%s?immutable=1", db->path);
                        r = sqlite3_open_v2(uri, &db->handle,
                                            SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
                                            db->vfs->name);
                }
        }
        if (r != SQLITE_OK)
                return db->handle ? sqlite3_extended_errcode(db->handle) : r;
        (void)sqlite3_extended_result_codes(db->handle, 1);
        (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        (void)sqlite3_busy_timeout(db->handle, alone ? 0 : BUSY_MSEC);
        db->read_only = sqlite3_db_readonly(db->handle, "main") == 1;
        /* The locking mode first: some of the others already look into the file, and then it is too late for it. */
        (void)snprintf(setup, sizeof(setup),
                       "PRAGMA locking_mode = %s; PRAGMA page_size = 1024; PRAGMA cache_size = 64; "
                       "PRAGMA synchronous = FULL; PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 0; "
                       "PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF",
                       alone ? "EXCLUSIVE" : "NORMAL");
        return store_db_exec(db, setup);
}

/* What it is, by its first page; a database without tables and marks is a new one. */
static int look(struct store_db *db, int *ret_version) {
        int64_t id, version, tables;
        int r;

        r = store_db_number(db, "PRAGMA application_id", &id);
        if (r == SQLITE_OK)
                r = store_db_number(db, "PRAGMA user_version", &version);
        if (r == SQLITE_OK)
                r = store_db_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
        if (r != SQLITE_OK)
                return r;
        if (id == 0 && version == 0 && tables == 0)
                *ret_version = 0;
        else if (id != STORE_APPLICATION_ID || version < 1)
                return CODE_FOREIGN;
        else if (version > store_schema_version())
                return CODE_NEWER;
        else
                *ret_version = (int)version;
        return SQLITE_OK;
}

static int open_and_look(struct store_db *db, int *ret_version) {
        int r;

        r = open_handle(db, true);
        if (r == SQLITE_OK)
                r = look(db, ret_version);
        if ((r & 0xff) != SQLITE_BUSY)
                return r;
        close_handle(db); /* another program has it open */
        r = open_handle(db, false);
        return r == SQLITE_OK ? look(db, ret_version) : r;
}

static int make_ready(struct store_db *db, int version) {
        sqlite3_stmt *s = NULL;
        bool wal;
        int r;

        if (db->read_only)
                return version == store_schema_version() ? SQLITE_OK : SQLITE_READONLY;
        r = store_db_prepare(db, "PRAGMA journal_mode = WAL", &s); /* a person may have changed it */
        if (r != SQLITE_OK)
                return r;
        wal = sqlite3_step(s) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), "wal") == 0;
        r = sqlite3_finalize(s);
        if (r != SQLITE_OK)
                return r;
        if (!wal)
                return SQLITE_BUSY;
        return version < store_schema_version() ? store_schema_migrate(db, version) : SQLITE_OK;
}

static int open_once(struct store_db *db) {
        int version = 0, r;

        if (mkdir(db->directory, 0750) < 0 && errno != EEXIST)
                return SQLITE_CANTOPEN;
        r = open_and_look(db, &version);
        if (r == SQLITE_OK)
                r = make_ready(db, version);
        if (r != SQLITE_OK)
                return r;
        if (version == 0 && db->begun)
                (void)snprintf(db->story, sizeof(db->story), "the database was gone: a new one is begun");
        db->begun = true;
        return SQLITE_OK;
}

int store_db_open(struct store_db *db, struct store_outcome *o) {
        int r;

        *o = (struct store_outcome){0};
        for (int attempt = 0; attempt < 2; attempt++) {
                r = open_once(db);
                if (r == SQLITE_OK)
                        return r;
                store_db_judge(db, r, o);
                close_handle(db);
                if (o->trouble != STORE_FINE)
                        break; /* else it was set aside: a new one can be begun */
        }
        return r;
}

void store_db_close(struct store_db *db, struct store_outcome *o) {
        struct stat st;
        char wal[320];

        close_handle(db);
        part_path(wal, sizeof(wal), db->path, "-wal");
        if (stat(db->path, &st) >= 0)
                o->file_bytes = (uint64_t)st.st_size;
        if (stat(wal, &st) >= 0)
                o->wal_bytes = (uint64_t)st.st_size;
}
