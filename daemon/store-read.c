/* SPDX-License-Identifier: MIT */

/* What is asked of the database: the state at the start; events, history and days for the doors; a copy. What stands
 * there is input like any other: a value that cannot be makes the database a bad one (state), or the row one
 * that is left out (history). */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "store-internal.h"

static struct maybe maybe_column(sqlite3_stmt *s, int column, int32_t min, int32_t max) {
        const int64_t value = sqlite3_column_int64(s, column);

        if (sqlite3_column_type(s, column) != SQLITE_INTEGER || value < min || value > max)
                return none();
        return some((int32_t)value);
}

static struct maybe64 maybe64_column(sqlite3_stmt *s, int column) {
        return sqlite3_column_type(s, column) == SQLITE_INTEGER ? some64(sqlite3_column_int64(s, column))
                                                                : none64();
}

/* Cut to what fits; a text with a NUL in it ends there. */
static void text_column(sqlite3_stmt *s, int column, char *ret, size_t size) {
        const char *text = (const char *)sqlite3_column_text(s, column);
        const size_t length = text ? strnlen(text, size - 1) : 0;

        if (length > 0)
                memcpy(ret, text, length);
        ret[length] = '\0';
}

/* Runs a query and has each row taken; -1: no more. */
static int each_row(sqlite3_stmt *s, bool (*take)(sqlite3_stmt *s, void *userdata), void *userdata) {
        int r;

        while ((r = sqlite3_step(s)) == SQLITE_ROW)
                if (!take(s, userdata))
                        break;
        return sqlite3_finalize(s); /* the step's error, if it had one */
}

/* ---- the state -------------------------------------------------------------------------------------------------- */

#define COUNTER_MAX INT64_C(1000000000000000000) /* mWh: a million gigawatt hours */

static bool take_state(sqlite3_stmt *s, struct store_state *ret) {
        for (int i = 0; i < _ENERGY_MAX; i++) {
                struct energy_sum *sum = &ret->sums[i];

                for (int k = 0; k < 3; k++)
                        if (sqlite3_column_type(s, 3 * i + k) != SQLITE_INTEGER)
                                return false;
                sum->today_mwh = sqlite3_column_int64(s, 3 * i);
                sum->total_mwh = sqlite3_column_int64(s, 3 * i + 1);
                sum->remainder = sqlite3_column_int64(s, 3 * i + 2);
                if (sum->today_mwh < 0 || sum->today_mwh > COUNTER_MAX || sum->total_mwh < 0 ||
                    sum->total_mwh > COUNTER_MAX || sum->remainder < 0 || sum->remainder >= ENERGY_FINE_PER_MWH)
                        return false;
        }
        ret->day = maybe64_column(s, 12);
        if (ret->day.known && (ret->day.value < 0 || ret->day.value > 3000000)) /* the year 10,000 */
                return false;
        text_column(s, 13, ret->kept, sizeof(ret->kept));
        return true;
}

static int load_state(struct store_db *db, struct store_loaded *ret) {
        struct store_loaded l = {.found = false};
        sqlite3_stmt *s = NULL;
        char boot_id[33];
        int r;

        r = store_db_prepare(
                db,
                "SELECT collected_today_mwh, collected_total_mwh, collected_remainder, consumed_today_mwh, "
                "consumed_total_mwh, consumed_remainder, charged_today_mwh, charged_total_mwh, "
                "charged_remainder, discharged_today_mwh, discharged_total_mwh, discharged_remainder, day, "
                "kept, at_usec, b.boot_id, b.zero_usec FROM state LEFT JOIN boots b ON b.id = boot",
                &s);
        if (r != SQLITE_OK)
                return r;
        r = sqlite3_step(s);
        if (r == SQLITE_ROW && sqlite3_column_type(s, 14) == SQLITE_INTEGER) {
                const struct maybe64 zero = maybe64_column(s, 16);
                const int64_t at = sqlite3_column_int64(s, 14);

                text_column(s, 15, boot_id, sizeof(boot_id));
                l.found = true;
                l.same_boot = strcmp(boot_id, db->boot_id) == 0;
                if (!take_state(s, &l.state) || at < 0)
                        r = SQLITE_CORRUPT;
                else if (l.same_boot)
                        l.state.at = usec_add(CLOCK_EPOCH_USEC, (usec_t)at);
                if (zero.known)
                        l.wall_usec = some64(zero.value + at);
        }
        (void)sqlite3_finalize(s); /* its error is the step's */
        if (r == SQLITE_ROW)
                *ret = l;
        return r == SQLITE_ROW ? SQLITE_OK : r == SQLITE_DONE ? SQLITE_CORRUPT : r;
}

/* As far as a few thousand pages can be looked through in a moment. */
static int quick_check(struct store_db *db) {
        sqlite3_stmt *s = NULL;
        bool good;
        int r;

        r = store_db_prepare(db, "PRAGMA quick_check(1)", &s);
        if (r != SQLITE_OK)
                return r;
        good = sqlite3_step(s) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0;
        r = sqlite3_finalize(s);
        return r == SQLITE_OK && !good ? SQLITE_CORRUPT : r;
}

/* Judges what came of it, and closes. */
static void conclude(struct store_db *db, int r, struct store_outcome *o) {
        if (r == SQLITE_OK)
                o->done = true;
        else
                store_db_judge(db, r, o);
        store_db_close(db, o);
}

void store_db_load(struct store_db *db, struct store_loaded *ret, struct store_outcome *o) {
        int r;

        *ret = (struct store_loaded){.found = false};
        r = store_db_open(db, o);
        if (r != SQLITE_OK)
                return;
        r = quick_check(db);
        if (r == SQLITE_OK)
                r = load_state(db, ret);
        conclude(db, r, o);
        if (!o->done && o->trouble == STORE_FINE) /* it was set aside: there is nothing to be found any more */
                o->done = true;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

struct rows {
        void *items;
        size_t n, most;
};

static int event_kind_from_name(const char *name) {
        for (int i = 0; i < _EVENT_MAX; i++)
                if (strcmp(name, event_kind_name(i)) == 0)
                        return i;
        return -ENOENT;
}

static int rule_from_name(const char *name) {
        for (int i = 0; i < _RULE_MAX; i++)
                if (strcmp(name, rule_name(i)) == 0)
                        return i;
        return -ENOENT;
}

static bool take_event(sqlite3_stmt *s, void *userdata) {
        struct rows *rows = userdata;
        struct event_record *row = (struct event_record *)rows->items + rows->n;
        char kind[32], rule[32];
        int k, ru;

        *row = (struct event_record){.id = sqlite3_column_int64(s, 0), .this_boot = sqlite3_column_int(s, 2) != 0};
        text_column(s, 3, row->boot_id, sizeof(row->boot_id));
        row->wall_usec = maybe64_column(s, 1);
        row->event.at = usec_add(CLOCK_EPOCH_USEC, (usec_t)sqlite3_column_int64(s, 4));
        text_column(s, 5, kind, sizeof(kind));
        k = event_kind_from_name(kind);
        if (k < 0) /* a newer version's */
                return true;
        row->event.kind = k;
        row->event.subject = sqlite3_column_int(s, 6);
        text_column(s, 7, rule, sizeof(rule));
        ru = rule_from_name(rule);
        row->event.reason.rule = ru < 0 ? RULE_START : (enum rule)ru;
        row->event.reason.at = rule[0] ? row->event.at : 0; /* an event and its reason are one moment */
        row->event.reason.cell = (uint8_t)maybe_column(s, 8, 0, CELLS_MAX).value;
        row->event.reason.value = maybe_column(s, 9, INT32_MIN, INT32_MAX);
        row->event.reason.limit = maybe_column(s, 10, INT32_MIN, INT32_MAX);
        text_column(s, 11, row->event.text, sizeof(row->event.text));
        text_column(s, 12, row->event.by, sizeof(row->event.by));
        text_column(s, 13, row->event.key, sizeof(row->event.key));
        text_column(s, 14, row->event.before, sizeof(row->event.before));
        text_column(s, 15, row->event.after, sizeof(row->event.after));
        return ++rows->n < rows->most;
}

/* Opens, makes room for `limit` rows, prepares. NULL: judged and closed already. */
static sqlite3_stmt *begin_reading(struct store_db *db, const char *sql, uint32_t limit, size_t size,
                                   struct rows *ret_rows, struct store_outcome *o) {
        sqlite3_stmt *s = NULL;
        int r;

        r = store_db_open(db, o);
        if (r != SQLITE_OK)
                return NULL;
        *ret_rows = (struct rows){calloc(limit, size), 0, limit};
        r = ret_rows->items ? store_db_prepare(db, sql, &s) : SQLITE_NOMEM;
        if (r == SQLITE_OK)
                return s;
        free(ret_rows->items);
        ret_rows->items = NULL;
        conclude(db, r, o);
        return NULL;
}

void store_db_events(struct store_db *db, int64_t after_id, uint32_t limit, struct event_record **ret,
                     size_t *ret_n, struct store_outcome *o) {
        struct rows rows = {NULL, 0, 0};
        sqlite3_stmt *s;

        s = begin_reading(
                db,
                "SELECT * FROM (SELECT e.id, b.zero_usec + e.at_usec, b.boot_id = ?3, b.boot_id, e.at_usec, "
                "e.kind, e.subject, e.rule, e.cell, e.value, e.limit_value, e.text, e.by, e.key, e.before, "
                "e.after FROM events e LEFT JOIN boots b ON b.id = e.boot WHERE e.id > ?1 "
                "ORDER BY e.id DESC LIMIT ?2) ORDER BY 1",
                limit, sizeof(struct event_record), &rows, o);
        if (!s)
                return;
        (void)sqlite3_bind_int64(s, 1, after_id);
        (void)sqlite3_bind_int64(s, 2, limit);
        (void)sqlite3_bind_text(s, 3, db->boot_id, -1, SQLITE_STATIC);
        conclude(db, each_row(s, take_event, &rows), o);
        *ret = rows.items;
        *ret_n = rows.n;
}

/* Columns from `first` on: covered, soc, power, pack, four extremes, four energies. */
static void take_row(sqlite3_stmt *s, int first, struct history_row *ret) {
        ret->covered_sec = maybe_column(s, first, 0, INT32_MAX).value;
        ret->soc_permyriad = maybe_column(s, first + 1, 0, PERMYRIAD_FULL);
        ret->power_mw = maybe_column(s, first + 2, INT32_MIN, INT32_MAX);
        ret->pack_mv = maybe_column(s, first + 3, 0, INT32_MAX);
        ret->lowest_mv = maybe_column(s, first + 4, 0, INT32_MAX);
        ret->highest_mv = maybe_column(s, first + 5, 0, INT32_MAX);
        ret->lowest_decic = maybe_column(s, first + 6, INT32_MIN, INT32_MAX);
        ret->highest_decic = maybe_column(s, first + 7, INT32_MIN, INT32_MAX);
        for (int i = 0; i < _ENERGY_MAX; i++)
                ret->mwh[i] = sqlite3_column_int64(s, first + 8 + i);
}

#define ROW_COLUMNS                                                                                                \
        "r.covered_sec, r.soc_permyriad, r.power_mw, r.pack_mv, r.lowest_mv, r.highest_mv, r.lowest_decic, "       \
        "r.highest_decic, r.collected_mwh, r.consumed_mwh, r.charged_mwh, r.discharged_mwh"

static bool take_history(sqlite3_stmt *s, void *userdata) {
        struct rows *rows = userdata;
        struct history_record *row = (struct history_record *)rows->items + rows->n;

        *row = (struct history_record){.wall_usec = maybe64_column(s, 0)};
        text_column(s, 1, row->boot_id, sizeof(row->boot_id));
        row->row.from = usec_add(CLOCK_EPOCH_USEC, (usec_t)sqlite3_column_int64(s, 2));
        row->row.until = usec_add(CLOCK_EPOCH_USEC, (usec_t)sqlite3_column_int64(s, 3));
        take_row(s, 4, &row->row);
        return ++rows->n < rows->most;
}

/* By the wall clock; this boot's rows by its zero as it is known now, though it may not be written yet. Slots that
 * were never used have no boot. */
#define HISTORY_SQL(table, order)                                                                                  \
        "SELECT * FROM (SELECT coalesce(b.zero_usec, CASE WHEN b.boot_id = ?4 THEN ?5 END) + r.from_usec AS "      \
        "wall, "                                                                                                   \
        "b.boot_id, r.from_usec, r.until_usec, " ROW_COLUMNS ", r." order " AS place FROM " table " r "            \
        "JOIN boots b ON b.id = r.boot WHERE wall BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT ?3) ORDER BY place"

void store_db_history(struct store_db *db, enum resolution resolution, int64_t from_usec, int64_t until_usec,
                      uint32_t limit, struct maybe64 zero_usec, struct history_record **ret, size_t *ret_n,
                      struct store_outcome *o) {
        const char *sql =
                resolution == RESOLUTION_MINUTES ? HISTORY_SQL("minutes", "number") : HISTORY_SQL("hours", "id");
        struct rows rows = {NULL, 0, 0};
        sqlite3_stmt *s;

        s = begin_reading(db, sql, limit, sizeof(struct history_record), &rows, o);
        if (!s)
                return;
        (void)sqlite3_bind_int64(s, 1, from_usec);
        (void)sqlite3_bind_int64(s, 2, until_usec);
        (void)sqlite3_bind_int64(s, 3, limit);
        (void)sqlite3_bind_text(s, 4, db->boot_id, -1, SQLITE_STATIC);
        if (zero_usec.known)
                (void)sqlite3_bind_int64(s, 5, zero_usec.value + (int64_t)CLOCK_EPOCH_USEC);
        conclude(db, each_row(s, take_history, &rows), o);
        *ret = rows.items;
        *ret_n = rows.n;
}

static bool take_day(sqlite3_stmt *s, void *userdata) {
        struct rows *rows = userdata;
        struct day_record *row = (struct day_record *)rows->items + rows->n;

        *row = (struct day_record){
                .day = sqlite3_column_int64(s, 0),
                .length_usec = (usec_t)sqlite3_column_int64(s, 1),
        };
        take_row(s, 2, &row->row);
        return ++rows->n < rows->most;
}

void store_db_days(struct store_db *db, uint32_t limit, struct day_record **ret, size_t *ret_n,
                   struct store_outcome *o) {
        struct rows rows = {NULL, 0, 0};
        sqlite3_stmt *s;

        s = begin_reading(db,
                          "SELECT * FROM (SELECT r.day, r.length_usec, " ROW_COLUMNS
                          " FROM days r ORDER BY r.day DESC LIMIT ?) "
                          "ORDER BY 1",
                          limit, sizeof(struct day_record), &rows, o);
        if (!s)
                return;
        (void)sqlite3_bind_int64(s, 1, limit);
        conclude(db, each_row(s, take_day, &rows), o);
        *ret = rows.items;
        *ret_n = rows.n;
}

/* ---- a copy ----------------------------------------------------------------------------------------------------- */

void store_db_copy(struct store_db *db, const char *path, struct store_outcome *o) {
        sqlite3 *to = NULL;
        sqlite3_backup *b;
        int r;

        r = store_db_open(db, o);
        if (r != SQLITE_OK)
                return;
        r = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                            db->vfs->name);
        if (r == SQLITE_OK) {
                b = sqlite3_backup_init(to, "main", db->handle, "main");
                r = b ? sqlite3_backup_step(b, -1) : sqlite3_errcode(to);
                if (b)
                        (void)sqlite3_backup_finish(b); /* the step's error */
                if (r == SQLITE_DONE)
                        r = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL,
                                         NULL); /* one file, without a WAL */
        }
        if (r == SQLITE_OK)
                o->done = true;
        else
                o->trouble = STORE_IO; /* of the copy: nothing is wrong with the database */
        (void)sqlite3_close(to);
        store_db_close(db, o);
}
