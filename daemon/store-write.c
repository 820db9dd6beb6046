/* SPDX-License-Identifier: MIT */

/* A commit: state, minutes, days and events in one transaction; hours made of minutes; what is too old goes. */

#include <stdio.h>
#include <string.h>

#include "names.h"
#include "store-internal.h"

/* The first error stands; everything after it is skipped. */
struct statement {
        sqlite3_stmt *s;
        int next;
};

static int statement(struct store_db *db, const char *sql, struct statement *ret) {
        *ret = (struct statement){.next = 1};
        return store_db_prepare(db, sql, &ret->s);
}

static void put(struct statement *t, int64_t value) {
        (void)sqlite3_bind_int64(t->s, t->next++,
                                 value); /* fails only for a wrong index, which the tests would see */
}

static void put_null(struct statement *t) {
        (void)sqlite3_bind_null(t->s, t->next++);
}

static void put_maybe(struct statement *t, struct maybe value) {
        if (value.known)
                put(t, value.value);
        else
                put_null(t);
}

/* "" is NULL. The text must stay until it was run. */
static void put_text(struct statement *t, const char *text) {
        if (text[0])
                (void)sqlite3_bind_text(t->s, t->next++, text, -1, SQLITE_STATIC);
        else
                put_null(t);
}

static int finish(struct statement *t, int r) {
        if (r == SQLITE_OK)
                r = store_db_run(t->s);
        (void)sqlite3_finalize(t->s); /* its error is the run's */
        return r;
}

/* ---- boots and state -------------------------------------------------------------------------------------------- */

/* Once a boot: those that no row speaks of any more go, so that a machine that starts often does not fill the file. */
static int forget_boots(struct store_db *db) {
        if (sqlite3_changes(db->handle) == 0) /* this boot was known */
                return SQLITE_OK;
        return store_db_exec(db, "DELETE FROM boots WHERE id <> last_insert_rowid() AND id NOT IN ("
                                 "SELECT boot FROM minutes UNION SELECT boot FROM hours UNION SELECT boot FROM events "
                                 "UNION SELECT boot FROM state WHERE boot IS NOT NULL "
                                 "UNION SELECT batch_boot FROM state WHERE batch_boot IS NOT NULL)");
}

static int find_boot(struct store_db *db) {
        struct statement t;
        int r;

        r = statement(db, "INSERT INTO boots (boot_id) VALUES (?) ON CONFLICT DO NOTHING", &t);
        put_text(&t, db->boot_id);
        r = finish(&t, r);
        if (r == SQLITE_OK)
                r = forget_boots(db);
        if (r != SQLITE_OK)
                return r;
        r = statement(db, "SELECT id FROM boots WHERE boot_id = ?", &t);
        if (r != SQLITE_OK)
                return r;
        put_text(&t, db->boot_id);
        r = sqlite3_step(t.s);
        if (r == SQLITE_ROW)
                db->boot = sqlite3_column_int64(t.s, 0);
        (void)sqlite3_finalize(t.s); /* its error is the step's */
        return r == SQLITE_ROW ? SQLITE_OK : r == SQLITE_DONE ? SQLITE_CORRUPT : r;
}

/* One number a boot gives every row of it its wall time. Kept as of CLOCK_BOOTTIME's zero. */
static int write_zero(struct store_db *db, struct maybe64 zero_usec) {
        struct statement t;
        int64_t zero;
        int r;

        if (!zero_usec.known)
                return SQLITE_OK;
        zero = zero_usec.value + (int64_t)CLOCK_EPOCH_USEC;
        r = statement(db,
                      "UPDATE boots SET zero_usec = ?1 WHERE id = ?2 AND "
                      "(zero_usec IS NULL OR abs(zero_usec - ?1) > ?3)",
                      &t);
        put(&t, zero);
        put(&t, db->boot);
        put(&t, (int64_t)STORE_CLOCK_USEC);
        return finish(&t, r);
}

static int write_state(struct store_db *db, const struct store_state *state) {
        struct statement t;
        int r;

        if (!state)
                return SQLITE_OK;
        r = statement(db,
                      "UPDATE state SET boot = ?, at_usec = ?, day = ?, "
                      "collected_today_mwh = ?, collected_total_mwh = ?, collected_remainder = ?, "
                      "consumed_today_mwh = ?, consumed_total_mwh = ?, consumed_remainder = ?, "
                      "charged_today_mwh = ?, charged_total_mwh = ?, charged_remainder = ?, "
                      "discharged_today_mwh = ?, discharged_total_mwh = ?, discharged_remainder = ?, kept = ?",
                      &t);
        put(&t, db->boot);
        put(&t, (int64_t)clock_boottime(state->at));
        if (state->day.known)
                put(&t, state->day.value);
        else
                put_null(&t);
        for (int i = 0; i < _ENERGY_MAX; i++) {
                put(&t, state->sums[i].today_mwh);
                put(&t, state->sums[i].total_mwh);
                put(&t, state->sums[i].remainder);
        }
        put_text(&t, state->kept);
        return finish(&t, r);
}

/* ---- minutes and hours ------------------------------------------------------------------------------------------ */

struct progress {
        int64_t next;  /* number of the next minute */
        int64_t done;  /* of the first that is not in an hour yet */
        int64_t hours; /* id of the last hour that is in a day */
};

static int read_progress(struct store_db *db, struct progress *ret) {
        int r;

        r = store_db_number(db, "SELECT minutes_next FROM state", &ret->next);
        if (r == SQLITE_OK)
                r = store_db_number(db, "SELECT minutes_done FROM state", &ret->done);
        if (r == SQLITE_OK)
                r = store_db_number(db, "SELECT hours_done FROM state", &ret->hours);
        return r;
}

static int write_progress(struct store_db *db, const struct progress *p) {
        struct statement t;
        int r;

        r = statement(db, "UPDATE state SET minutes_next = ?, minutes_done = ?, hours_done = ?", &t);
        put(&t, p->next);
        put(&t, p->done);
        put(&t, p->hours);
        return finish(&t, r);
}

static int write_minute(struct store_db *db, struct progress *p, const struct history_row *row) {
        struct statement t;
        int r;

        r = statement(
                db,
                "UPDATE minutes SET number = ?, boot = ?, from_usec = ?, until_usec = ?, covered_sec = ?, "
                "soc_permyriad = ?, power_mw = ?, pack_mv = ?, lowest_mv = ?, highest_mv = ?, lowest_decic = ?, "
                "highest_decic = ?, collected_mwh = ?, consumed_mwh = ?, charged_mwh = ?, discharged_mwh = ? "
                "WHERE slot = ?",
                &t);
        put(&t, p->next);
        put(&t, db->boot);
        put(&t, (int64_t)clock_boottime(row->from));
        put(&t, (int64_t)clock_boottime(row->until));
        put(&t, row->covered_sec);
        put_maybe(&t, row->soc_permyriad);
        put_maybe(&t, row->power_mw);
        put_maybe(&t, row->pack_mv);
        put_maybe(&t, row->lowest_mv);
        put_maybe(&t, row->highest_mv);
        put_maybe(&t, row->lowest_decic);
        put_maybe(&t, row->highest_decic);
        for (int i = 0; i < _ENERGY_MAX; i++)
                put(&t, row->mwh[i]);
        put(&t, p->next % STORE_MINUTES);
        p->next++;
        return finish(&t, r);
}

/* Which hour a moment belongs to: of the wall clock where the boot's zero is known, else of the boot. */
struct hour {
        int64_t boot, number;
};

static int64_t floor_hour(int64_t usec) {
        const int64_t hour = (int64_t)USEC_PER_HOUR;

        return usec >= 0 ? usec / hour : -((-usec + hour - 1) / hour);
}

static int hour_of_minute(struct store_db *db, int64_t number, struct hour *ret) {
        sqlite3_stmt *s = NULL;
        int r;

        r = store_db_prepare(db,
                             "SELECT m.boot, m.from_usec + coalesce(b.zero_usec, 0) FROM minutes m "
                             "LEFT JOIN boots b ON b.id = m.boot WHERE m.slot = ?",
                             &s);
        if (r != SQLITE_OK)
                return r;
        (void)sqlite3_bind_int64(s, 1, number % STORE_MINUTES);
        r = sqlite3_step(s);
        if (r == SQLITE_ROW)
                *ret = (struct hour){sqlite3_column_int64(s, 0), floor_hour(sqlite3_column_int64(s, 1))};
        (void)sqlite3_finalize(s); /* its error is the step's */
        return r == SQLITE_ROW ? SQLITE_OK : r == SQLITE_DONE ? SQLITE_CORRUPT : r;
}

static int hour_now(struct store_db *db, usec_t at, struct hour *ret) {
        char sql[96];
        int64_t zero;
        int r;

        (void)snprintf(sql, sizeof(sql), "SELECT coalesce(zero_usec, 0) FROM boots WHERE id = %lld",
                       (long long)db->boot);
        r = store_db_number(db, sql, &zero);
        *ret = (struct hour){db->boot, floor_hour(zero + (int64_t)clock_boottime(at))};
        return r;
}

/* That an hour is left open after its end: the minute in which it ended is put up to a minute later. */
#define HOUR_GRACE_USEC (HISTORY_MINUTE_USEC + 30 * USEC_PER_SEC)

static bool same_hour(const struct hour *a, const struct hour *b) {
        return a->boot == b->boot && a->number == b->number;
}

#define WEIGHTED(column)                                                                                           \
        "sum(" column " * covered_sec) / nullif(sum(CASE WHEN " column " IS NOT NULL THEN covered_sec END), 0)"

/* What follows one another as one row: from minutes, and from hours. */
#define MERGED                                                                                                     \
        "sum(covered_sec), " WEIGHTED("power_mw") ", " WEIGHTED(                                                   \
                "pack_mv") ", min(lowest_mv), max(highest_mv), "                                                   \
                           "min(lowest_decic), max(highest_decic), sum(collected_mwh), sum(consumed_mwh), "        \
                           "sum(charged_mwh), "                                                                    \
                           "sum(discharged_mwh)"

static int write_hour(struct store_db *db, int64_t from, int64_t until) {
        struct statement t;
        int r;

        r = statement(
                db,
                "INSERT INTO hours (boot, from_usec, until_usec, soc_permyriad, covered_sec, power_mw, pack_mv, "
                "lowest_mv, highest_mv, lowest_decic, highest_decic, collected_mwh, consumed_mwh, charged_mwh, "
                "discharged_mwh) SELECT boot, min(from_usec), max(until_usec), (SELECT soc_permyriad FROM minutes "
                "WHERE number = ?2 - 1), " MERGED " FROM minutes WHERE number >= ?1 AND number < ?2",
                &t);
        put(&t, from);
        put(&t, until);
        return finish(&t, r);
}

/* Every hour that is over, of this boot and of earlier ones; all: with what there is of the one that is not. */
static int make_hours(struct store_db *db, usec_t at, bool all, struct progress *p) {
        struct hour open, hour;
        int r;

        if (p->done < p->next - STORE_MINUTES) /* their slots have been used again */
                p->done = p->next - STORE_MINUTES;
        r = hour_now(db, usec_since(at, HOUR_GRACE_USEC), &open);
        while (r == SQLITE_OK && p->done < p->next) {
                int64_t end = p->done + 1;

                r = hour_of_minute(db, p->done, &hour);
                if (r != SQLITE_OK)
                        break;
                for (struct hour other; r == SQLITE_OK && end < p->next; end++) {
                        r = hour_of_minute(db, end, &other);
                        if (r == SQLITE_OK && !same_hour(&hour, &other))
                                break;
                }
                if (end == p->next && !all && hour.boot == open.boot && hour.number >= open.number)
                        break;
                if (r == SQLITE_OK)
                        r = write_hour(db, p->done, end);
                p->done = end;
        }
        return r;
}

static int forget_hours(struct store_db *db, const struct store_batch *batch) {
        struct statement t;
        int r;

        r = statement(db, "DELETE FROM hours WHERE id <= (SELECT max(id) FROM hours) - ?", &t);
        put(&t, STORE_HOURS_MAX);
        r = finish(&t, r);
        if (r != SQLITE_OK || !batch->zero_usec.known)
                return r;
        r = statement(db,
                      "DELETE FROM hours WHERE id IN (SELECT h.id FROM hours h JOIN boots b ON b.id = h.boot "
                      "WHERE b.zero_usec + h.until_usec < ? ORDER BY h.id LIMIT 100)",
                      &t);
        put(&t, batch->zero_usec.value + (int64_t)batch->at - (int64_t)STORE_HOURS_USEC);
        return finish(&t, r);
}

/* ---- days ------------------------------------------------------------------------------------------------------- */

/* Of both parts of a day that comes twice, either of which may be unknown. */
#define EXTREME(which, column)                                                                                     \
        column " = " which "(coalesce(" column ", excluded." column "), coalesce(excluded." column ", " column "))"

/* The energies are the counters' own; the rest is of the hours since the day before. A day that comes twice (the
 * clock was set back over a midnight) is one. */
static int write_day(struct store_db *db, struct progress *p, const struct store_day *day) {
        struct statement t;
        int r;

        r = statement(db,
                      "INSERT INTO days (day, length_usec, collected_mwh, consumed_mwh, charged_mwh, discharged_mwh, "
                      "covered_sec, power_mw, pack_mv, lowest_mv, highest_mv, lowest_decic, highest_decic, "
                      "soc_permyriad) SELECT ?1, ?2, ?3, ?4, ?5, ?6, coalesce(sum(covered_sec), 0), "
                      WEIGHTED("power_mw") ", " WEIGHTED("pack_mv") ", min(lowest_mv), max(highest_mv), "
                      "min(lowest_decic), max(highest_decic), "
                      "(SELECT soc_permyriad FROM hours ORDER BY id DESC LIMIT 1) FROM hours WHERE id > ?7 "
                      "ON CONFLICT (day) DO UPDATE SET collected_mwh = collected_mwh + excluded.collected_mwh, "
                      "consumed_mwh = consumed_mwh + excluded.consumed_mwh, "
                      "charged_mwh = charged_mwh + excluded.charged_mwh, "
                      "discharged_mwh = discharged_mwh + excluded.discharged_mwh, "
                      "covered_sec = covered_sec + excluded.covered_sec, "
                      EXTREME("min", "lowest_mv") ", " EXTREME("max", "highest_mv") ", "
                      EXTREME("min", "lowest_decic") ", " EXTREME("max", "highest_decic"),
                      &t);
        put(&t, day->day);
        put(&t, (int64_t)day->length_usec);
        for (int i = 0; i < _ENERGY_MAX; i++)
                put(&t, day->sums[i].today_mwh);
        put(&t, p->hours);
        r = finish(&t, r);
        return r == SQLITE_OK ? store_db_number(db, "SELECT coalesce(max(id), 0) FROM hours", &p->hours) : r;
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

static int write_event(struct store_db *db, const struct event *e) {
        const bool ruled = event_has_reason(e);
        struct statement t;
        int r;

        r = statement(
                db,
                "INSERT INTO events (boot, at_usec, kind, subject, rule, cell, value, limit_value, text, by, key, "
                "before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                &t);
        put(&t, db->boot);
        put(&t, (int64_t)clock_boottime(e->at));
        put_text(&t, event_kind_name(e->kind));
        put(&t, e->subject);
        put_text(&t, ruled ? rule_name(e->reason.rule) : "");
        if (ruled && e->reason.cell > 0)
                put(&t, e->reason.cell);
        else
                put_null(&t);
        put_maybe(&t, ruled ? e->reason.value : none());
        put_maybe(&t, ruled ? e->reason.limit : none());
        (void)sqlite3_bind_text(t.s, t.next++, e->text, -1, SQLITE_STATIC); /* NOT NULL, but may be empty */
        put_text(&t, e->by);
        put_text(&t, e->key);
        put_text(&t, e->before);
        put_text(&t, e->after);
        return finish(&t, r);
}

static int write_own_event(struct store_db *db, usec_t at, const char *text) {
        struct event e = {.at = at, .kind = EVENT_STORE};

        (void)snprintf(e.text, sizeof(e.text), "%s", text);
        return write_event(db, &e);
}

static int write_losses(struct store_db *db, const struct store_batch *b) {
        char text[ALARM_TEXT_MAX];

        if (b->lost_events == 0 && b->lost_minutes == 0 && b->lost_days == 0)
                return SQLITE_OK;
        (void)snprintf(text, sizeof(text),
                       "the database could not be written for too long: %llu events, %llu minutes and %llu days of "
                       "history "
                       "are lost",
                       (unsigned long long)b->lost_events, (unsigned long long)b->lost_minutes,
                       (unsigned long long)b->lost_days);
        return write_own_event(db, b->at, text);
}

static int forget_events(struct store_db *db) {
        struct statement t;
        int r;

        r = statement(db, "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", &t);
        put(&t, STORE_EVENTS_KEPT);
        return finish(&t, r);
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

static int write_events(struct store_db *db, const struct store_batch *b) {
        int r = SQLITE_OK;

        if (db->story[0])
                r = write_own_event(db, b->at, db->story);
        for (size_t i = 0; i < b->n_events && r == SQLITE_OK; i++)
                r = write_event(db, &b->events[i]);
        if (r == SQLITE_OK)
                r = write_losses(db, b);
        return r == SQLITE_OK && b->n_events > 0 ? forget_events(db) : r;
}

static int write_history(struct store_db *db, const struct store_batch *b) {
        struct progress p;
        int64_t hours_before;
        int r;

        if (b->n_minutes == 0 && b->n_days == 0)
                return SQLITE_OK;
        r = read_progress(db, &p);
        hours_before = p.done;
        for (size_t i = 0; i < b->n_minutes && r == SQLITE_OK; i++)
                r = write_minute(db, &p, &b->minutes[i]);
        if (r == SQLITE_OK)
                r = make_hours(db, b->at, b->n_days > 0, &p);
        for (size_t i = 0; i < b->n_days && r == SQLITE_OK; i++)
                r = write_day(db, &p, &b->days[i]);
        if (r == SQLITE_OK && p.done != hours_before)
                r = forget_hours(db, b);
        return r == SQLITE_OK ? write_progress(db, &p) : r;
}

/* A commit whose sync failed may be on the card all the same, and is found there by the next opening. */
static int written_before(struct store_db *db, const struct store_batch *b, bool *ret) {
        char sql[128];
        int64_t same;
        int r;

        (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM state WHERE batch_boot = %lld AND batch_usec = %lld",
                       (long long)db->boot, (long long)clock_boottime(b->at));
        r = store_db_number(db, sql, &same);
        *ret = same > 0;
        return r;
}

static int write_mark(struct store_db *db, const struct store_batch *b) {
        struct statement t;
        int r;

        r = statement(db, "UPDATE state SET batch_boot = ?, batch_usec = ?", &t);
        put(&t, db->boot);
        put(&t, (int64_t)clock_boottime(b->at));
        return finish(&t, r);
}

/* What is found so is in the kernel's memory; whether on the card, nobody knows: what a sync could not write the kernel
 * forgets once it has said so, and the next sync succeeds without it. So the log is written into the database, whose
 * pages are new to the kernel then, and begun anew, so that no commit comes to lie behind a hole in it. Fails as long
 * as the card does. */
static int write_again(struct store_db *db, const struct store_batch *b) {
        int r;

        r = store_db_exec(db, "ROLLBACK");
        if (r == SQLITE_OK)
                r = sqlite3_wal_checkpoint_v2(db->handle, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        if (r == SQLITE_OK)
                r = store_db_exec(db, "BEGIN IMMEDIATE");
        if (r == SQLITE_OK)
                r = write_mark(db, b);
        return r == SQLITE_OK ? store_db_exec(db, "COMMIT") : r;
}

static int transaction(struct store_db *db, const struct store_batch *b) {
        bool before = false;
        int r;

        r = store_db_exec(db, "BEGIN IMMEDIATE");
        if (r != SQLITE_OK)
                return r;
        r = find_boot(db);
        if (r == SQLITE_OK)
                r = written_before(db, b, &before);
        if (r == SQLITE_OK && before)
                return write_again(db, b);
        if (r == SQLITE_OK)
                r = write_mark(db, b);
        if (r == SQLITE_OK)
                r = write_zero(db, b->zero_usec);
        if (r == SQLITE_OK)
                r = write_state(db, b->state);
        if (r == SQLITE_OK)
                r = write_history(db, b);
        if (r == SQLITE_OK)
                r = write_events(db, b);
        if (r == SQLITE_OK)
                r = store_db_exec(db, "COMMIT");
        return r;
}

static int note_frames(void *userdata, sqlite3 *handle, const char *name, int frames) {
        struct store_db *db = userdata;

        (void)handle, (void)name;
        db->wal_frames = (unsigned)frames;
        return SQLITE_OK;
}

/* Before a commit, not after it: that commit then begins the log anew, in place. A log that is cut off and grows again
 * costs the card more than what is in it: with every block that it gains the file system writes its journal. While
 * someone else reads, the log grows instead; that can wait. */
static int checkpoint(struct store_db *db) {
        int frames = 0, moved = 0, r;

        if (db->wal_frames < db->checkpoint_at)
                return SQLITE_OK;
        r = sqlite3_wal_checkpoint_v2(db->handle, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
        if (r == SQLITE_OK && moved == frames) {
                db->checkpoint_at = db->checkpoint_frames;
                return SQLITE_OK;
        }
        if (r == SQLITE_OK || (r & 0xff) == SQLITE_BUSY || (r & 0xff) == SQLITE_LOCKED) {
                db->checkpoint_at = (unsigned)frames + db->checkpoint_frames / 4;
                return SQLITE_OK;
        }
        return r;
}

void store_db_write(struct store_db *db, const struct store_batch *batch, struct store_outcome *o) {
        int r;

        r = store_db_open(db, o);
        if (r != SQLITE_OK)
                return;
        (void)sqlite3_wal_hook(db->handle, note_frames, db);
        r = checkpoint(db);
        if (r == SQLITE_OK)
                r = transaction(db, batch);
        if (r == SQLITE_OK) {
                o->done = true;
                db->story[0] = '\0';
        } else {
                store_db_judge(db, r, o);
                if (db->handle)
                        (void)store_db_exec(db, "ROLLBACK"); /* nothing is open if the commit did it itself */
        }
        store_db_close(db, o);
}
