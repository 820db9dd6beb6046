/* SPDX-License-Identifier: MIT */

/* Commits and what becomes of rows over days: the ring of minutes, hours made of them, days, retention; versions.
 * Without a loop: what runs on
 * the database's thread. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store-internal.h"

#define BOOT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BOOT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define START (CLOCK_EPOCH_USEC + 600 * USEC_PER_SEC) /* ten minutes after a boot */

static char directory[64];
static struct store_vfs vfs;
static struct store_db db;
static struct store_outcome outcome;

static void use_boot(const char *boot) {
        store_db_init(&db, directory, boot, &vfs);
}

static int make_directory(void **state) {
        (void)state;
        strcpy(directory, "/tmp/test-store-db-XXXXXX");
        if (!mkdtemp(directory) || store_vfs_register(&vfs) != SQLITE_OK)
                return -1;
        use_boot(BOOT_A);
        return 0;
}

static int remove_directory(void **state) {
        char command[128];

        (void)state;
        store_vfs_unregister(&vfs);
        snprintf(command, sizeof(command), "rm -rf '%s'", directory);
        return system(command);
}

static void commit(const struct store_batch *batch) {
        store_db_write(&db, batch, &outcome);
        if (!outcome.done)
                fail_msg("%s (%s)", outcome.text, outcome.log);
}

static int64_t ask(const char *sql) {
        int64_t value;

        assert_int_equal(store_db_open(&db, &outcome), SQLITE_OK);
        assert_int_equal(store_db_number(&db, sql, &value), SQLITE_OK);
        store_db_close(&db, &outcome);
        return value;
}

/* A minute that is told apart by its number. */
static struct history_row minute(usec_t from, int n) {
        return (struct history_row){
                .from = from, .until = from + USEC_PER_MINUTE, .covered_sec = 60, .soc_permyriad = some(9000 - n),
                .power_mw = some(1000 * n), .pack_mv = some(52000 + n), .lowest_mv = some(3300 - n),
                .highest_mv = some(3350 + n), .lowest_decic = some(100 - n), .highest_decic = some(200 + n),
                .mwh = {n, 2 * n, 3 * n, 4 * n},
        };
}

/* So many minutes one after the other; a commit each `step`. */
static usec_t feed(usec_t from, int count, int step, struct maybe64 zero) {
        static struct history_row rows[STORE_MINUTES_QUEUED];

        for (int i = 0; i < count; i += step) {
                const int n = count - i < step ? count - i : step;

                for (int k = 0; k < n; k++)
                        rows[k] = minute(from + (usec_t)(i + k) * USEC_PER_MINUTE, i + k);
                commit(&(struct store_batch){.at = from + (usec_t)(i + n) * USEC_PER_MINUTE, .zero_usec = zero,
                                             .minutes = rows, .n_minutes = (size_t)n});
        }
        return from + (usec_t)count * USEC_PER_MINUTE;
}

static void test_ring(void **state) {
        struct history_record *rows = NULL;
        int64_t size;
        size_t n = 0;

        (void)state;
        feed(START, 100, 50, none64());
        size = ask("SELECT page_count FROM pragma_page_count");
        feed(START + 100 * USEC_PER_MINUTE, 3000, 100, none64());
        assert_int_equal(ask("SELECT count(*) FROM minutes"), 2880);
        assert_int_equal(ask("SELECT min(number) FROM minutes"), 220);
        assert_int_equal(ask("SELECT max(number) FROM minutes"), 3099);
        /* In place: what has grown are the hours, some 52 of them. */
        assert_true(ask("SELECT page_count FROM pragma_page_count") <= size + 15);
        store_db_history(&db, RESOLUTION_MINUTES, 0, INT64_MAX, 3000, some64(0), &rows, &n, &outcome);
        assert_true(outcome.done);
        assert_int_equal(n, 2880);
        assert_int_equal(rows[0].row.power_mw.value, 120 * 1000);
        assert_int_equal(rows[2879].row.power_mw.value, 2999 * 1000);
        free(rows);
}

/* By the boot's own hours while no wall clock is known: 10 min after the boot to 3 h 10 min. */
static void test_hours(void **state) {
        struct history_record *rows = NULL;
        size_t n = 0;
        int64_t sum = 0;

        (void)state;
        feed(START, 180, 7, none64());
        assert_int_equal(ask("SELECT count(*) FROM hours"), 3);
        store_db_history(&db, RESOLUTION_HOURS, 0, INT64_MAX, 100, some64(0), &rows, &n, &outcome);
        assert_int_equal(n, 3);
        assert_int_equal(rows[0].row.from, START);
        assert_int_equal(rows[0].row.until, START + 50 * USEC_PER_MINUTE);
        assert_int_equal(rows[1].row.until - rows[1].row.from, USEC_PER_HOUR);
        assert_int_equal(rows[0].row.covered_sec, 50 * 60);
        for (int i = 0; i < 50; i++)
                sum += i;
        assert_int_equal(rows[0].row.mwh[ENERGY_COLLECTED], sum);
        assert_int_equal(rows[0].row.mwh[ENERGY_DISCHARGED], 4 * sum);
        assert_int_equal(rows[0].row.power_mw.value, 1000 * sum / 50); /* 24,500: all minutes weigh the same */
        assert_int_equal(rows[0].row.soc_permyriad.value, 9000 - 49);
        assert_int_equal(rows[0].row.lowest_mv.value, 3300 - 49);
        assert_int_equal(rows[0].row.highest_mv.value, 3350 + 49);
        assert_int_equal(rows[0].row.lowest_decic.value, 100 - 49);
        assert_int_equal(rows[0].row.highest_decic.value, 200 + 49);
        free(rows);
}

/* The daemon's own pace: minutes that do not begin with the hour, commits each 50 s. An hour is one row, whatever lies
 * between its end and the end of the minute in which it ends. */
static void test_an_hour_is_one_row(void **state) {
        (void)state;
        for (unsigned phase = 1; phase < 60; phase += 29) { /* s after the hour's beginning */
                const usec_t begin = CLOCK_EPOCH_USEC + USEC_PER_HOUR + phase * USEC_PER_SEC;
                unsigned put = 0;

                remove_directory(NULL);
                assert_int_equal(make_directory(NULL), 0);
                for (usec_t at = begin; at < begin + 2 * USEC_PER_HOUR + 300 * USEC_PER_SEC; at += STORE_COMMIT_USEC) {
                        struct history_row row = minute(begin + put * USEC_PER_MINUTE, 1);
                        const bool over = at >= row.until;

                        commit(&(struct store_batch){.at = at, .minutes = &row, .n_minutes = over});
                        put += over;
                }
                /* 60 minutes begin in each of two hours. */
                assert_int_equal(ask("SELECT count(*) FROM hours"), 2);
                assert_int_equal(ask("SELECT min(covered_sec) FROM hours"), 3600);
                assert_int_equal(ask("SELECT max(covered_sec) FROM hours"), 3600);
        }
}

/* By the wall clock's where it is known; a restart in the middle loses nothing; two boots in one hour are two rows. */
static void test_hours_of_the_wall_clock(void **state) {
        /* 12:30:00 of some day at START, 1,780,056,000 s being 12:00:00 UTC. */
        const int64_t wall = INT64_C(1780056000) * 1000000 + INT64_C(1800) * 1000000;
        const struct maybe64 zero = some64(wall - (int64_t)START);
        usec_t at;

        (void)state;
        at = feed(START, 20, 5, zero); /* to 12:50 */
        use_boot(BOOT_B);              /* which began then: its minutes are 12:50.. */
        const struct maybe64 second = some64(wall + INT64_C(1200) * 1000000 - (int64_t)START);
        at = feed(START, 80, 5, second); /* to 14:10 */
        (void)at;
        assert_int_equal(ask("SELECT count(*) FROM hours"), 3);
        assert_int_equal(ask("SELECT sum(covered_sec) FROM hours"), (20 + 10 + 60) * 60);
        assert_int_equal(ask("SELECT max(covered_sec) FROM hours"), 3600);
}

static void test_weights_and_unknown(void **state) {
        struct history_row rows[4] = {
                {.from = START, .until = START + USEC_PER_MINUTE, .covered_sec = 60, .power_mw = some(100)},
                {.from = START + USEC_PER_MINUTE, .until = START + 2 * USEC_PER_MINUTE, .covered_sec = 20,
                        .power_mw = some(500)},
                {.from = START + 2 * USEC_PER_MINUTE, .until = START + 3 * USEC_PER_MINUTE, .covered_sec = 60},
                        /* no sensor */
                {.from = START + USEC_PER_HOUR, .until = START + USEC_PER_HOUR + USEC_PER_MINUTE},
        };
        struct history_record *got = NULL;
        size_t n = 0;

        (void)state;
        commit(&(struct store_batch){.at = START + USEC_PER_HOUR, .minutes = rows, .n_minutes = 4});
        store_db_history(&db, RESOLUTION_HOURS, 0, INT64_MAX, 100, some64(0), &got, &n, &outcome);
        assert_int_equal(n, 1);
        assert_int_equal(got[0].row.power_mw.value, (60 * 100 + 20 * 500) / 80);
        assert_false(got[0].row.pack_mv.known || got[0].row.lowest_mv.known || got[0].row.soc_permyriad.known);
        free(got);
}

/* The energies are the counters' own; extremes and means of the hours since the day before. */
static void test_days(void **state) {
        const struct store_day day = {.day = 20000, .length_usec = 23 * USEC_PER_HOUR,
                                      .sums = {{1000, 5, 6}, {2000, 5, 6}, {3000, 5, 6}, {4000, 5, 6}}};
        const struct store_day next = {.day = 20001, .length_usec = 24 * USEC_PER_HOUR};
        struct day_record *rows = NULL;
        size_t n = 0;
        usec_t at;

        (void)state;
        at = feed(START + 50 * USEC_PER_MINUTE, 120, 60, none64());
        commit(&(struct store_batch){.at = at + 1, .days = &day, .n_days = 1});
        at = feed(at + 2 * USEC_PER_HOUR, 60, 60, none64());
        commit(&(struct store_batch){.at = at + 1, .days = &next, .n_days = 1});
        commit(&(struct store_batch){.at = at + 2, .days = &day, .n_days = 1}); /* the clock went back a day */
        store_db_days(&db, 10, &rows, &n, &outcome);
        assert_int_equal(n, 2);
        assert_int_equal(rows[0].day, 20000);
        assert_int_equal(rows[0].length_usec, 23 * USEC_PER_HOUR);
        assert_int_equal(rows[0].row.mwh[ENERGY_COLLECTED], 2 * 1000);
        assert_int_equal(rows[0].row.mwh[ENERGY_DISCHARGED], 2 * 4000);
        assert_int_equal(rows[0].row.covered_sec, 7200);
        assert_int_equal(rows[0].row.lowest_mv.value, 3300 - 119);
        assert_int_equal(rows[0].row.soc_permyriad.value, 9000 - 119);
        assert_int_equal(rows[1].row.covered_sec, 3600);
        assert_int_equal(rows[1].row.lowest_mv.value, 3300 - 59);
        free(rows);
        store_db_days(&db, 1, &rows, &n, &outcome);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0].day, 20001);
        free(rows);
}

/* A machine that starts very often, and has nothing to say each time. */
static void test_boots_are_forgotten(void **state) {
        const struct event event = {.at = START, .kind = EVENT_STARTED, .text = "kept"};
        char boot[33];

        (void)state;
        commit(&(struct store_batch){.at = START, .events = &event, .n_events = 1});
        for (int i = 0; i < 50; i++) {
                snprintf(boot, sizeof(boot), "%032d", i);
                use_boot(boot);
                commit(&(struct store_batch){.at = START + (usec_t)i});
                commit(&(struct store_batch){.at = START + 100 + (usec_t)i});
        }
        /* The event's, the last but one, whose batch was the newest as the last one came, and the last. */
        assert_int_equal(ask("SELECT count(*) FROM boots"), 3);
        assert_int_equal(ask("SELECT count(*) FROM boots WHERE boot_id = '" BOOT_A "'"), 1);
        assert_int_equal(ask("SELECT count(*) FROM events JOIN boots ON boots.id = events.boot"), 1);
}

/* A day that comes twice keeps the extremes of both parts, whichever are known. */
static void test_a_day_twice(void **state) {
        const struct store_day day = {.day = 20000, .length_usec = 24 * USEC_PER_HOUR};
        usec_t at;

        (void)state;
        at = feed(START, 10, 10, none64()); /* 3291..3359 mV */
        commit(&(struct store_batch){.at = at + 1, .days = &day, .n_days = 1});
        at = feed(at, 30, 30, none64()); /* 3271..3379 mV */
        commit(&(struct store_batch){.at = at + 1, .days = &day, .n_days = 1});
        commit(&(struct store_batch){.at = at + 2, .days = &day, .n_days = 1}); /* nothing since: unknown */
        assert_int_equal(ask("SELECT lowest_mv FROM days"), 3300 - 29);
        assert_int_equal(ask("SELECT highest_mv FROM days"), 3350 + 29);
        assert_int_equal(ask("SELECT covered_sec FROM days"), 40 * 60);
}

static int64_t log_size(void) {
        char path[128];
        struct stat st;

        snprintf(path, sizeof(path), "%s/smartbms.db-wal", directory);
        return stat(path, &st) == 0 ? st.st_size : -1;
}

static usec_t commit_events(usec_t at, int n) {
        for (int i = 0; i < n; i++) {
                const struct event event = {.at = at, .kind = EVENT_STARTED, .text = "one more"};

                commit(&(struct store_batch){.at = ++at, .events = &event, .n_events = 1});
        }
        return at;
}

/* The log is written anew in place: it neither grows nor is it cut off, which would cost the card more than what is in
 * it. While another program reads it has to grow. */
static void test_the_log_stays(void **state) {
        int64_t size, grown;
        char path[128];
        sqlite3_stmt *s;
        sqlite3 *other;
        usec_t at;

        (void)state;
        at = commit_events(START, 1); /* has made the tables, too */
        db.checkpoint_frames = db.checkpoint_at = 20;
        at = commit_events(at, 60);
        size = log_size();
        assert_true(size > 20 * 1048);
        at = commit_events(at, 60);
        assert_int_equal(log_size(), size);
        use_boot(BOOT_B); /* another run, which knows nothing of the log */
        db.checkpoint_frames = db.checkpoint_at = 20;
        at = commit_events(at, 60);
        assert_int_equal(log_size(), size);

        snprintf(path, sizeof(path), "%s/smartbms.db", directory);
        assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(other, "SELECT id FROM events", -1, &s, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        at = commit_events(at, 200);
        grown = log_size();
        assert_true(grown > size);
        sqlite3_finalize(s);
        sqlite3_close(other);
        at = commit_events(at, 200);
        assert_true(log_size() <= grown);
        assert_int_equal(ask("SELECT count(*) FROM events"), 1 + 180 + 400);
        assert_int_equal(ask("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

/* The newest 10,000; an id is never used again. */
static void test_events_retention(void **state) {
        static struct event events[STORE_EVENTS_QUEUED];
        usec_t at = START;

        (void)state;
        for (size_t i = 0; i < STORE_EVENTS_QUEUED; i++)
                events[i] = (struct event){.at = START, .kind = EVENT_LINK, .text = "x"};
        for (int i = 0; i < 42; i++)
                commit(&(struct store_batch){.at = ++at, .events = events, .n_events = STORE_EVENTS_QUEUED});
        assert_int_equal(ask("SELECT count(*) FROM events"), 10000);
        assert_int_equal(ask("SELECT max(id) FROM events"), 42 * 256);
        assert_int_equal(ask("SELECT min(id) FROM events"), 42 * 256 - 9999);
}

static void test_hours_retention(void **state) {
        struct history_row rows[2];
        const struct maybe64 zero = some64(INT64_C(1780000000) * 1000000);

        (void)state;
        for (int h = 0; h < 100 * 24; h += 2) { /* a minute in each of 100 days' hours */
                for (int k = 0; k < 2; k++)
                        rows[k] = minute(START + (usec_t)(h + k) * USEC_PER_HOUR, 1);
                commit(&(struct store_batch){.at = rows[1].until, .zero_usec = zero, .minutes = rows, .n_minutes = 2});
        }
        assert_in_range(ask("SELECT count(*) FROM hours"), 90 * 24 - 2, 90 * 24 + 2);
}

/* Tried again after it was written all the same: once. */
static void test_the_same_batch_twice(void **state) {
        const struct event e = {.at = START, .kind = EVENT_LINK, .text = "once"};
        const struct history_row m = minute(START, 1);
        const struct store_batch b = {.at = START, .events = &e, .n_events = 1, .minutes = &m, .n_minutes = 1};

        (void)state;
        commit(&b);
        commit(&b);
        assert_int_equal(ask("SELECT count(*) FROM events"), 1);
        assert_int_equal(ask("SELECT minutes_next FROM state"), 1);
        use_boot(BOOT_B); /* another boot's same moment is another batch */
        commit(&b);
        assert_int_equal(ask("SELECT count(*) FROM events"), 2);
}

/* Of another boot: by the wall clock only, and only if that boot's was known. */
static void test_load_in_another_boot(void **state) {
        const struct store_state s = {.at = START, .sums = {{1, 2, 3}}, .kept = "smartbms-state 1\n"};
        struct store_loaded l;

        (void)state;
        commit(&(struct store_batch){.at = START, .state = &s});
        use_boot(BOOT_B);
        store_db_load(&db, &l, &outcome);
        assert_true(outcome.done && l.found);
        assert_false(l.same_boot || l.wall_usec.known || l.state.day.known);
        assert_int_equal(l.state.at, 0);
        use_boot(BOOT_A);
        commit(&(struct store_batch){.at = START + 1, .state = &s, .zero_usec = some64(1000)});
        use_boot(BOOT_B);
        store_db_load(&db, &l, &outcome);
        assert_true(l.wall_usec.known);
        assert_int_equal(l.wall_usec.value, 1000 + (int64_t)START);
        use_boot(BOOT_A);
        store_db_load(&db, &l, &outcome);
        assert_true(l.same_boot);
        assert_int_equal(l.state.at, START);
}

/* ---- versions --------------------------------------------------------------------------------------------------- */

/* From every version on to the newest; a step that fails leaves all as it was. */
static void test_migration(void **state) {
        static const struct store_step steps[] = {
                {"CREATE TABLE a (x); INSERT INTO a VALUES (1)"},
                {"ALTER TABLE a ADD COLUMN y DEFAULT 5; UPDATE a SET x = x + 1"},
                {"CREATE TABLE b AS SELECT x, y FROM a; DROP TABLE a"},
        };
        static const struct store_step broken[] = {
                {"CREATE TABLE a (x)"}, {"UPDATE a SET x = 9; UPDATE nothing SET x = 1"},
        };

        (void)state;
        for (int from = 0; from <= 3; from++) {
                int64_t value;

                (void)remove_directory(NULL);
                assert_int_equal(make_directory(NULL), 0);
                assert_int_equal(sqlite3_open(db.path, &db.handle), SQLITE_OK);
                assert_int_equal(store_schema_migrate_by(&db, 0, steps, from), SQLITE_OK); /* made by an older one */
                assert_int_equal(store_schema_migrate_by(&db, from, steps, 3), SQLITE_OK);
                assert_int_equal(store_db_number(&db, "PRAGMA user_version", &value), SQLITE_OK);
                assert_int_equal(value, 3);
                assert_int_equal(store_db_number(&db, "SELECT 10 * x + y FROM b", &value), SQLITE_OK);
                assert_int_equal(value, 25);
                sqlite3_close(db.handle);
                db.handle = NULL;
        }
        (void)remove_directory(NULL);
        assert_int_equal(make_directory(NULL), 0);
        assert_int_equal(sqlite3_open(db.path, &db.handle), SQLITE_OK);
        assert_int_equal(store_schema_migrate_by(&db, 0, broken, 1), SQLITE_OK);
        assert_int_equal(store_db_exec(&db, "INSERT INTO a VALUES (4)"), SQLITE_OK);
        assert_int_not_equal(store_schema_migrate_by(&db, 1, broken, 2), SQLITE_OK);
        int64_t value;
        assert_int_equal(store_db_number(&db, "PRAGMA user_version", &value), SQLITE_OK);
        assert_int_equal(value, 1);
        assert_int_equal(store_db_number(&db, "SELECT x FROM a", &value), SQLITE_OK);
        assert_int_equal(value, 4);
        sqlite3_close(db.handle);
        db.handle = NULL;
}

/* What a person sees with sqlite3. */
static void test_views(void **state) {
        const struct event e = {.at = START, .kind = EVENT_LINK, .text = "link live"};
        const struct history_row m = minute(START, 3);

        (void)state;
        commit(&(struct store_batch){.at = START, .zero_usec = some64(INT64_C(1780056000) * 1000000 - (int64_t)START),
                                     .events = &e, .n_events = 1, .minutes = &m, .n_minutes = 1});
        setenv("TZ", "UTC", 1);
        assert_int_equal(ask("SELECT count(*) FROM events_shown WHERE time = '2026-05-29 12:00:00' AND "
                             "text = 'link live'"),
                         1);
        assert_int_equal(ask("SELECT count(*) FROM minutes_shown WHERE power_w = 3.0 AND lowest_v = 3.297"), 1);
        assert_int_equal(ask("SELECT count(*) FROM state_shown"), 1);
        assert_int_equal(ask("SELECT count(*) FROM hours_shown"), 0);
        assert_int_equal(ask("SELECT count(*) FROM days_shown"), 0);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_DIRECTORY(test_ring),
                IN_DIRECTORY(test_hours),
                IN_DIRECTORY(test_an_hour_is_one_row),
                IN_DIRECTORY(test_hours_of_the_wall_clock),
                IN_DIRECTORY(test_weights_and_unknown),
                IN_DIRECTORY(test_days),
                IN_DIRECTORY(test_boots_are_forgotten),
                IN_DIRECTORY(test_a_day_twice),
                IN_DIRECTORY(test_the_log_stays),
                IN_DIRECTORY(test_events_retention),
                IN_DIRECTORY(test_hours_retention),
                IN_DIRECTORY(test_the_same_batch_twice),
                IN_DIRECTORY(test_load_in_another_boot),
                IN_DIRECTORY(test_migration),
                IN_DIRECTORY(test_views),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
