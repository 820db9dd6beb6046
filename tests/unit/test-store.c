/* SPDX-License-Identifier: MIT */

/* The database as the event loop sees it: what is put comes back, in another run too; every event is answered once;
 * and whatever becomes of the card or the file, the loop goes on, the owner is told, and it mends itself. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store-rig.h"

static const char *path_of(const char *name) {
        static char path[128];

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        return path;
}

static struct store_state state_of(int64_t wh) {
        struct store_state s = {.at = clock_now(), .day = some64(20783)};

        for (int i = 0; i < _ENERGY_MAX; i++)
                s.sums[i] = (struct energy_sum){wh * 1000 + i, wh * 2000 + i, 7 + i};
        snprintf(s.kept, sizeof(s.kept), "smartbms-state 1\nsoc.known %lld\n", (long long)wh);
        return s;
}

static struct event event_of(const char *text) {
        struct event e = {.at = clock_now(), .kind = EVENT_SETTING, .subject = 3, .by = "uid 0 over D-Bus",
                          .key = "vmax", .before = "3.650 V", .after = "3.600 V"};

        snprintf(e.text, sizeof(e.text), "%s", text);
        return e;
}

static void put_event(struct rig *r, const char *text) {
        const struct event e = event_of(text);

        store_put_event(r->store, &e, on_done, r);
}

static void commit(struct rig *r, const char *text) {
        const unsigned before = r->ok;

        put_event(r, text);
        assert_true(loop_until(r->event, &r->ok, before + 1, 5 * USEC_PER_SEC));
}

/* ---- rows back -------------------------------------------------------------------------------------------------- */

static struct event_record events[400];
static struct history_record rows[400];
static struct day_record days[20];
static size_t n_rows;
static unsigned answers;
static int answer_result;

static void on_events(void *userdata, int result, const struct event_record *r, size_t n) {
        (void)userdata;
        if (n > 0)
                memcpy(events, r, n * sizeof(*r));
        n_rows = n;
        answer_result = result;
        answers++;
}

static void on_history(void *userdata, int result, const struct history_record *r, size_t n) {
        (void)userdata;
        if (n > 0)
                memcpy(rows, r, n * sizeof(*r));
        n_rows = n;
        answer_result = result;
        answers++;
}

static void on_days(void *userdata, int result, const struct day_record *r, size_t n) {
        (void)userdata;
        if (n > 0)
                memcpy(days, r, n * sizeof(*r));
        n_rows = n;
        answer_result = result;
        answers++;
}

static void read_events(struct rig *r, int64_t after, uint32_t limit) {
        const unsigned before = answers;

        store_read_events(r->store, after, limit, on_events, NULL);
        assert_true(loop_until(r->event, &answers, before + 1, 5 * USEC_PER_SEC));
        assert_int_equal(answer_result, 0);
}

/* ---- it keeps --------------------------------------------------------------------------------------------------- */

static void test_first_start(void **state) {
        struct rig r;

        (void)state;
        begin_loaded(&r);
        assert_false(r.loaded.found);
        assert_int_equal(r.faults, 0);
        end(&r);
}

static void test_state_comes_back(void **state) {
        const struct store_state s = state_of(5120);
        usec_t before;
        struct rig r;

        (void)state;
        begin_loaded(&r);
        store_put_state(r.store, &s);
        end(&r); /* the last state is written by the end */

        before = clock_now();
        begin_loaded(&r);
        assert_true(r.loaded.found && r.loaded.same_boot);
        assert_memory_equal(r.loaded.state.sums, s.sums, sizeof(s.sums));
        assert_string_equal(r.loaded.state.kept, s.kept);
        assert_true(r.loaded.state.day.known && r.loaded.state.day.value == 20783);
        assert_int_equal(r.loaded.state.at, s.at);
        assert_true(r.loaded.off_usec.known);
        assert_true((usec_t)r.loaded.off_usec.value >= before - s.at);
        assert_true((usec_t)r.loaded.off_usec.value < before - s.at + 5 * USEC_PER_SEC);
        assert_false(r.loaded.wall_usec.known); /* the clock was never synchronised */
        end(&r);
}

/* An event carries the newest state with it; more are one commit, in order, each answered once. */
static void test_events(void **state) {
        const struct store_state s = state_of(3);
        struct storage_status status;
        struct rig r;

        (void)state;
        begin_loaded(&r);
        commit(&r, "the first");
        store_status(r.store, &status);
        const uint64_t syncs = status.syncs;
        store_put_state(r.store, &s);
        for (int i = 0; i < 200; i++) {
                char text[16];

                snprintf(text, sizeof(text), "event %d", i);
                put_event(&r, text);
        }
        assert_true(loop_until(r.event, &r.ok, 201, 5 * USEC_PER_SEC));
        assert_int_equal(r.done, 201);
        store_status(r.store, &status);
        assert_true(status.syncs - syncs <= 4); /* two commits: the one under way, and all the others */
        assert_true(status.open && status.written_bytes > 0 && status.last_commit > 0);

        read_events(&r, 0, 400);
        assert_int_equal(n_rows, 201);
        for (size_t i = 0; i < n_rows; i++) {
                assert_int_equal(events[i].id, i + 1);
                assert_true(events[i].this_boot && !events[i].wall_usec.known);
        }
        assert_string_equal(events[0].event.text, "the first");
        assert_string_equal(events[200].event.text, "event 199");
        assert_int_equal(events[7].event.kind, EVENT_SETTING);
        assert_int_equal(events[7].event.subject, 3);
        assert_string_equal(events[7].event.by, "uid 0 over D-Bus");
        assert_string_equal(events[7].event.key, "vmax");
        assert_string_equal(events[7].event.before, "3.650 V");
        assert_string_equal(events[7].event.after, "3.600 V");
        read_events(&r, 190, 400);
        assert_int_equal(n_rows, 11);
        assert_int_equal(events[0].id, 191);
        read_events(&r, 0, 5); /* the newest, oldest first */
        assert_int_equal(n_rows, 5);
        assert_int_equal(events[0].id, 197);

        /* Died without a word: what was answered is there. */
        struct rig second;
        begin_loaded(&second);
        assert_int_equal(second.loaded.state.sums[0].total_mwh, 6000);
        end(&second);
        end(&r);
}

static void test_a_relay_event(void **state) {
        struct event e = {.at = clock_now(), .kind = EVENT_RELAY_OPENED, .subject = RELAY_CHARGE, .text = "V-max",
                          .reason = {RULE_V_MAX, 7, some(3655), some(3650), 1}};
        struct rig r;

        (void)state;
        begin_loaded(&r);
        store_put_event(r.store, &e, on_done, &r);
        assert_true(loop_until(r.event, &r.ok, 1, 5 * USEC_PER_SEC));
        read_events(&r, 0, 10);
        assert_int_equal(n_rows, 1);
        assert_int_equal(events[0].event.reason.rule, RULE_V_MAX);
        assert_int_equal(events[0].event.reason.cell, 7);
        assert_int_equal(events[0].event.reason.value.value, 3655);
        assert_int_equal(events[0].event.reason.limit.value, 3650);
        end(&r);
}

/* A clock that was never synchronised: its owner finds this boot's rows by it, and events say that they do not know.
 * */
static void test_wall_time_never(void **state) {
        struct history_row m = {.covered_sec = 60};
        struct timespec wall;
        struct rig r;

        (void)state;
        begin_loaded(&r);
        m.from = clock_now();
        m.until = m.from + USEC_PER_MINUTE;
        clock_gettime(CLOCK_REALTIME, &wall);
        const int64_t now = (int64_t)wall.tv_sec * (int64_t)USEC_PER_SEC + wall.tv_nsec / 1000;
        store_put_minute(r.store, &m);
        commit(&r, "now");
        answers = 0;
        store_read_history(r.store, RESOLUTION_MINUTES, now - (int64_t)USEC_PER_SEC, now + (int64_t)USEC_PER_SEC, 100,
                           on_history, NULL);
        assert_true(loop_until(r.event, &answers, 1, 5 * USEC_PER_SEC));
        assert_int_equal(n_rows, 1);
        answers = 0;
        store_read_history(r.store, RESOLUTION_MINUTES, now + (int64_t)USEC_PER_SEC, INT64_MAX, 100, on_history, NULL);
        assert_true(loop_until(r.event, &answers, 1, 5 * USEC_PER_SEC));
        assert_int_equal(n_rows, 0);
        read_events(&r, 0, 10);
        assert_false(events[0].wall_usec.known);
        end(&r);
}

/* Kept without a wall clock; it is filled in for all rows of the boot when it becomes known. */
static void test_wall_time_later(void **state) {
        const int64_t zero = INT64_C(1790000000000000); /* of clock_now() == 0 */
        struct history_row m = {.covered_sec = 60, .power_mw = some(-5000)};
        struct rig r;

        (void)state;
        begin_loaded(&r);
        m.from = clock_now();
        m.until = m.from + USEC_PER_MINUTE;
        store_put_minute(r.store, &m);
        commit(&r, "before the clock");
        store_clock(r.store, zero);
        commit(&r, "after it");
        read_events(&r, 0, 10);
        for (size_t i = 0; i < 2; i++) {
                assert_true(events[i].wall_usec.known);
                assert_int_equal(events[i].wall_usec.value, zero + (int64_t)events[i].event.at);
        }
        answers = 0;
        store_read_history(r.store, RESOLUTION_MINUTES, 0, INT64_MAX, 100, on_history, NULL);
        assert_true(loop_until(r.event, &answers, 1, 5 * USEC_PER_SEC));
        assert_int_equal(n_rows, 1);
        assert_int_equal(rows[0].wall_usec.value, zero + (int64_t)m.from);
        assert_int_equal(rows[0].row.from, m.from);
        assert_int_equal(rows[0].row.until, m.until);
        assert_int_equal(rows[0].row.power_mw.value, -5000);
        assert_false(rows[0].row.pack_mv.known);
        end(&r);

        begin_loaded(&r);
        store_put_day(r.store, 20783, state_of(10).sums, 25 * USEC_PER_HOUR);
        commit(&r, "a day");
        answers = 0;
        store_read_days(r.store, 10, on_days, NULL);
        assert_true(loop_until(r.event, &answers, 1, 5 * USEC_PER_SEC));
        assert_int_equal(n_rows, 1);
        assert_int_equal(days[0].day, 20783);
        assert_int_equal(days[0].length_usec, 25 * USEC_PER_HOUR);
        assert_int_equal(days[0].row.mwh[ENERGY_CONSUMED], 10001);
        end(&r);
}

static void test_backup(void **state) {
        char path[128];
        struct rig r;
        sqlite3 *copy;
        int fd;

        (void)state;
        begin_loaded(&r);
        commit(&r, "one");
        strcpy(path, path_of("copy"));
        fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        assert_true(fd >= 0);
        r.done = 0;
        store_backup(r.store, fd, on_done, &r);
        assert_true(loop_until(r.event, &r.done, 1, 5 * USEC_PER_SEC));
        commit(&r, "two");
        assert_int_equal(sqlite3_open(path, &copy), SQLITE_OK);
        sqlite3_stmt *s;
        assert_int_equal(sqlite3_prepare_v2(copy, "SELECT count(*) FROM events", -1, &s, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(s, 0), 1);
        sqlite3_finalize(s);
        sqlite3_close(copy);
        assert_int_equal(access(path_of("smartbms.db.backup"), F_OK), -1);
        end(&r);
}

/* No directory: nothing is kept, nobody waits for it. */
static void test_off(void **state) {
        const struct store_callbacks callbacks = {on_loaded, on_fault, NULL};
        struct rig r = {.event = NULL};
        const struct event e = event_of("x");

        (void)state;
        assert_return_code(sd_event_new(&r.event), 0);
        assert_int_equal(store_new(r.event, "", &callbacks, &r.store), 0);
        store_put_event(r.store, &e, on_done, &r);
        assert_int_equal(r.ok, 1);
        answers = 0;
        store_read_events(r.store, 0, 5, on_events, NULL);
        assert_int_equal(answers, 1);
        assert_int_equal(answer_result, -ENODATA);
        end(&r);
}

/* ---- the file is no good ---------------------------------------------------------------------------------------- */

static void put_file(const char *name, const char *text, size_t length) {
        const int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, length), length);
        close(fd);
}

static void run_sql(const char *name, const char *sql) {
        sqlite3 *db;

        assert_int_equal(sqlite3_open(path_of(name), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
}

/* Set aside as it is, an alarm for a minute, a new one begun, and the event says so. */
static void assert_set_aside(struct rig *r, const char *words) {
        assert_false(r->loaded.found);
        assert_true(r->faults >= 1);
        if (!strstr(r->fault, words))
                fail_msg("\"%s\" does not say \"%s\"", r->fault, words);
        assert_int_equal(access(path_of("smartbms.db.bad-1"), F_OK), 0);
        commit(r, "goes on");
        read_events(r, 0, 10);
        assert_int_equal(n_rows, 2);
        assert_int_equal(events[0].event.kind, EVENT_STORE);
        assert_non_null(strstr(events[0].event.text, words));
}

static void test_bad_files(void **state) {
        static char zeros[8192];
        static const struct {
                const char *sql, *words; /* NULL: not a database at all */
        } cases[] = {
                {NULL, "was no database"},
                {"CREATE TABLE x (y); PRAGMA application_id = 7; PRAGMA user_version = 1", "another program's"},
                {"CREATE TABLE x (y); PRAGMA application_id = 1396854099; PRAGMA user_version = 99", "newer version"},
                {"CREATE TABLE x (y); PRAGMA application_id = 1396854099; PRAGMA user_version = 1", "was damaged"},
        };

        (void)state;
        memset(zeros, 'z', sizeof(zeros));
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct rig r;

                (void)remove_directory(NULL);
                assert_int_equal(make_directory(NULL), 0);
                if (cases[i].sql)
                        run_sql("smartbms.db", cases[i].sql);
                else
                        put_file("smartbms.db", zeros, sizeof(zeros));
                begin_loaded(&r);
                assert_set_aside(&r, cases[i].words);
                end(&r);
        }
}

/* Damage in the middle: found by the look at the start. Truncated: likewise. */
static void test_damaged(void **state) {
        struct rig r;
        int fd;

        (void)state;
        for (int round = 0; round < 2; round++) {
                (void)remove_directory(NULL);
                assert_int_equal(make_directory(NULL), 0);
                begin_loaded(&r);
                for (int i = 0; i < 20; i++)
                        commit(&r, "x");
                end(&r);
                run_sql("smartbms.db", "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE");
                fd = open(path_of("smartbms.db"), O_WRONLY);
                if (round == 0) {
                        char junk[4096];

                        memset(junk, 0xa5, sizeof(junk));
                        assert_int_equal(pwrite(fd, junk, sizeof(junk), 1024), sizeof(junk));
                } else
                        assert_return_code(ftruncate(fd, 20000), errno);
                close(fd);
                begin_loaded(&r);
                assert_set_aside(&r, "was damaged");
                end(&r);
        }
}

/* A counter that cannot be is damage, too, and not taken by half. */
static void test_impossible_values(void **state) {
        static const char *const changes[] = {
                "UPDATE state SET collected_today_mwh = -1", "UPDATE state SET consumed_remainder = 14400000000000",
                "UPDATE state SET charged_total_mwh = 'much'", "UPDATE state SET discharged_total_mwh = NULL",
                "UPDATE state SET day = -5",
        };
        const struct store_state s = state_of(77);
        struct rig r;

        (void)state;
        for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
                (void)remove_directory(NULL);
                assert_int_equal(make_directory(NULL), 0);
                begin_loaded(&r);
                store_put_state(r.store, &s);
                end(&r);
                run_sql("smartbms.db", changes[i]);
                begin_loaded(&r);
                assert_false(r.loaded.found);
                assert_non_null(strstr(r.fault, "was damaged"));
                end(&r);
        }
}

/* Overwritten while we run: found by the next commit; what is in memory is in the new one. */
static void test_overwritten_at_runtime(void **state) {
        const struct store_state s = state_of(42);
        static char junk[300000];
        struct rig r;

        (void)state;
        begin_loaded(&r);
        commit(&r, "one");
        store_put_state(r.store, &s);
        memset(junk, 'j', sizeof(junk));
        put_file("smartbms.db", junk, sizeof(junk));
        put_file("smartbms.db-wal", junk, sizeof(junk));
        commit(&r, "two");
        assert_int_equal(r.faults, 1);
        assert_non_null(strstr(r.fault, "kept aside"));
        end(&r);
        begin_loaded(&r);
        assert_true(r.loaded.found);
        assert_int_equal(r.loaded.state.sums[0].total_mwh, 84000);
        end(&r);
}

/* ---- the card is no good ---------------------------------------------------------------------------------------- */

/* Told within a moment, who waits after 3 s; then it works again, by itself, with everything that was waiting. */
static void trouble(atomic_int *what, int code, const char *words) {
        const struct store_state s = state_of(9);
        struct rig r;
        usec_t before;

        begin_loaded(&r);
        commit(&r, "before");
        atomic_store(what, code);
        before = clock_now();
        put_event(&r, "meanwhile");
        assert_true(loop_until(r.event, &r.faults, 1, 3 * USEC_PER_SEC));
        if (!strstr(r.fault, words))
                fail_msg("\"%s\" does not say \"%s\"", r.fault, words);
        assert_true(loop_until(r.event, &r.late, 1, 5 * USEC_PER_SEC));
        assert_true(clock_now() - before >= 3 * USEC_PER_SEC);
        store_put_state(r.store, &s);
        bad_disk_mend();
        assert_true(loop_until(r.event, &r.faults, 2, 7 * USEC_PER_SEC));
        assert_string_equal(r.fault, "");
        assert_int_equal(r.done, 2); /* "before" and, late, "meanwhile": no more than once */
        read_events(&r, 0, 10);
        assert_int_equal(n_rows, 2);
        assert_string_equal(events[1].event.text, "meanwhile");
        end(&r);
        begin_loaded(&r);
        assert_int_equal(r.loaded.state.sums[0].total_mwh, 18000);
        end(&r);
}

static void test_full(void **state) {
        (void)state;
        trouble(&bad_write, SQLITE_FULL, "no space");
}

static void test_broken(void **state) {
        (void)state;
        trouble(&bad_sync, SQLITE_IOERR_FSYNC, "cannot be read or written");
}

/* While no sync succeeds, what waits is tried again and again: it is found in the kernel's memory then, which is no
 * card. */
static void test_broken_for_long(void **state) {
        struct rig r;

        (void)state;
        begin_loaded(&r);
        commit(&r, "before");
        atomic_store(&bad_sync, SQLITE_IOERR_FSYNC);
        put_event(&r, "meanwhile");
        loop_for(r.event, 2 * STORE_RETRY_USEC + 2 * USEC_PER_SEC);
        assert_int_equal(r.faults, 1); /* and not over in between */
        assert_int_equal(r.ok, 1);     /* "before" */
        bad_disk_mend();
        assert_true(loop_until(r.event, &r.faults, 2, 7 * USEC_PER_SEC));
        assert_string_equal(r.fault, "");
        read_events(&r, 0, 10);
        assert_int_equal(n_rows, 2);
        assert_string_equal(events[1].event.text, "meanwhile");
        end(&r);
}

static void test_cannot_open(void **state) {
        (void)state;
        trouble(&bad_open, SQLITE_CANTOPEN, "cannot be read or written");
}

/* A file that cannot be read at the start is not overwritten: the state is waited for. */
static void test_no_answer_at_the_start(void **state) {
        const struct store_state s = state_of(5);
        struct rig r;

        (void)state;
        begin_loaded(&r);
        store_put_state(r.store, &s);
        end(&r);
        atomic_store(&bad_open, SQLITE_IOERR_READ);
        begin(&r);
        assert_true(loop_until(r.event, &r.faults, 1, 3 * USEC_PER_SEC));
        assert_int_equal(r.loads, 0);
        put_event(&r, "waits");
        bad_disk_mend();
        assert_true(loop_until(r.event, &r.loads, 1, 7 * USEC_PER_SEC));
        assert_true(r.loaded.found);
        assert_int_equal(r.loaded.state.sums[0].total_mwh, 10000);
        loop_for(r.event, 200 * USEC_PER_MSEC);
        read_events(&r, 0, 10);
        assert_int_equal(n_rows, 1);
        end(&r);
}

static void test_locked(void **state) {
        sqlite3 *other;
        struct rig r;

        (void)state;
        begin_loaded(&r);
        commit(&r, "one");
        assert_int_equal(sqlite3_open(path_of("smartbms.db"), &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other,
                "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; DELETE FROM days", NULL, NULL,
                                      NULL),
                         SQLITE_OK);
        put_event(&r, "two");
        assert_true(loop_until(r.event, &r.faults, 1, 5 * USEC_PER_SEC));
        assert_non_null(strstr(r.fault, "another program has locked"));
        sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
        sqlite3_close(other);
        assert_true(loop_until(r.event, &r.faults, 2, 7 * USEC_PER_SEC));
        assert_string_equal(r.fault, "");
        read_events(&r, 0, 10);
        assert_int_equal(n_rows, 2);
        end(&r);
}

/* A card that stalls for 5 s: the loop does not notice. */
static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        usec_t *most = userdata, now = clock_now();
        const usec_t late = now - (usec + CLOCK_EPOCH_USEC);

        if (late > *most)
                *most = late;
        (void)sd_event_source_set_time(s, usec + 10 * USEC_PER_MSEC);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void test_slow_card(void **state) {
        sd_event_source *tick = NULL;
        struct storage_status status;
        usec_t most = 0;
        struct rig r;

        (void)state;
        begin_loaded(&r);
        commit(&r, "one");
        atomic_store(&bad_sleep_msec, 5000);
        assert_return_code(sd_event_add_time(r.event, &tick, CLOCK_BOOTTIME, clock_boottime(clock_now()), 1,
                on_tick, &most), 0);
        put_event(&r, "two");
        loop_for(r.event, 50 * USEC_PER_MSEC); /* its commit is under way */
        for (int i = 0; i < 300; i++)
                put_event(&r, "many");
        assert_true(loop_until(r.event, &r.done, 302, 10 * USEC_PER_SEC));
        assert_true(most < 100 * USEC_PER_MSEC);
        assert_int_equal(r.late, 256);
        assert_int_equal(r.full, 45); /* the queue has 256 places,
                and the oldest that are not being written give theirs up */
        sd_event_source_disable_unref(tick);
        do {
                loop_for(r.event, 100 * USEC_PER_MSEC);
                store_status(r.store, &status);
        } while (status.queued_events > 0);
        assert_int_equal(status.lost_events, 45);
        read_events(&r, 0, 400);
        assert_int_equal(n_rows, 2 + 255 + 1);
        assert_string_equal(events[1].event.text, "two");
        assert_int_equal(events[n_rows - 1].event.kind, EVENT_STORE);
        assert_non_null(strstr(events[n_rows - 1].event.text, "45 events"));
        end(&r);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_DIRECTORY(test_first_start),
                IN_DIRECTORY(test_state_comes_back),
                IN_DIRECTORY(test_events),
                IN_DIRECTORY(test_a_relay_event),
                IN_DIRECTORY(test_wall_time_never),
                IN_DIRECTORY(test_wall_time_later),
                IN_DIRECTORY(test_backup),
                IN_DIRECTORY(test_off),
                IN_DIRECTORY(test_bad_files),
                IN_DIRECTORY(test_damaged),
                IN_DIRECTORY(test_impossible_values),
                IN_DIRECTORY(test_overwritten_at_runtime),
                IN_DIRECTORY(test_full),
                IN_DIRECTORY(test_broken),
                IN_DIRECTORY(test_broken_for_long),
                IN_DIRECTORY(test_cannot_open),
                IN_DIRECTORY(test_no_answer_at_the_start),
                IN_DIRECTORY(test_locked),
                IN_DIRECTORY(test_slow_card),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
