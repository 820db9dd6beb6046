/* SPDX-License-Identifier: MIT */

/* What belongs together is committed together; what is put while a commit is under way is not left behind at the end;
 * and neither a card nor a reader of a copy that does not answer holds up anything for ever. */

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

static void put_event(struct rig *r, const char *text) {
        struct event e = {.at = clock_now(), .kind = EVENT_COMMAND};

        snprintf(e.text, sizeof(e.text), "%s", text);
        store_put_event(r->store, &e, on_done, r);
}

static struct store_state state_of(int64_t today_mwh, int64_t day) {
        struct store_state s = {.at = clock_now(), .day = some64(day)};

        for (int i = 0; i < _ENERGY_MAX; i++)
                s.sums[i] = (struct energy_sum){today_mwh, 5000, 0};
        return s;
}

/* As another program sees the file now. */
static int64_t ask(const char *sql) {
        char path[128];
        sqlite3_stmt *s;
        sqlite3 *other;
        int64_t value;

        snprintf(path, sizeof(path), "%s/smartbms.db", directory);
        assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
        sqlite3_busy_timeout(other, 3000);
        assert_int_equal(sqlite3_prepare_v2(other, sql, -1, &s, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        value = sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
        sqlite3_close(other);
        return value;
}

static uint64_t syncs(struct rig *r) {
        struct storage_status status;

        store_status(r->store, &status);
        return status.syncs;
}

/* A power cut between the day's row and the counters that begin anew would count that day twice: at the next start it
 * would end once more. What is put in one turn of the loop is one commit. */
static void test_midnight_is_one_commit(void **state) {
        struct store_state before = state_of(700, 20782), after = state_of(0, 20783);
        struct rig r;

        (void)state;
        begin_loaded(&r);
        store_put_state(r.store, &before);
        put_event(&r, "before");
        assert_true(loop_until(r.event, &r.done, 1, 5 * USEC_PER_SEC));
        assert_int_equal(ask("SELECT day FROM state"), 20782);

        store_put_day(r.store, 20782, before.sums, USEC_PER_DAY);
        store_put_state(r.store, &after);
        do
                loop_for(r.event, 5 * USEC_PER_MSEC);
        while (ask("SELECT count(*) FROM days") == 0);
        assert_int_equal(ask("SELECT day FROM state"), 20783);
        assert_int_equal(ask("SELECT collected_today_mwh FROM state"), 0);
        end(&r);
}

static void test_events_of_one_turn_share_a_commit(void **state) {
        struct rig r;
        uint64_t before;

        (void)state;
        begin_loaded(&r);
        put_event(&r, "the first begins a log");
        assert_true(loop_until(r.event, &r.ok, 1, 5 * USEC_PER_SEC));
        before = syncs(&r);
        for (int i = 0; i < 20; i++)
                put_event(&r, "twenty");
        assert_true(loop_until(r.event, &r.ok, 21, 5 * USEC_PER_SEC));
        assert_int_equal(syncs(&r) - before, 1);
        end(&r);
}

/* "Stopped as asked" is put while the commit before it is still under way. */
static void test_the_end_takes_everything(void **state) {
        struct rig r;

        (void)state;
        begin_loaded(&r);
        atomic_store(&bad_sleep_msec, 700);
        put_event(&r, "one");
        loop_for(r.event, 200 * USEC_PER_MSEC);
        assert_int_equal(r.done, 0); /* under way */
        put_event(&r, "two");
        put_event(&r, "three");
        end(&r);
        assert_int_equal(ask("SELECT count(*) FROM events"), 3);
        assert_int_equal(ask("SELECT count(DISTINCT text) FROM events"), 3);
}

/* The same where the commit under way fails: what it had goes with the last one. */
static void test_the_end_after_a_failure(void **state) {
        struct rig r;

        (void)state;
        begin_loaded(&r);
        atomic_store(&bad_write, SQLITE_FULL);
        put_event(&r, "one");
        assert_true(loop_until(r.event, &r.faults, 1, 3 * USEC_PER_SEC));
        put_event(&r, "two");
        bad_disk_mend();
        end(&r);
        assert_int_equal(ask("SELECT count(*) FROM events"), 2);
}

static void test_a_card_that_hangs_is_told(void **state) {
        struct rig r;

        (void)state;
        begin_loaded(&r);
        atomic_store(&bad_sleep_msec, 5000);
        put_event(&r, "slow");
        assert_true(loop_until(r.event, &r.faults, 1, 4500 * USEC_PER_MSEC));
        assert_non_null(strstr(r.fault, "does not answer"));
        assert_true(loop_until(r.event, &r.faults, 2, 4 * USEC_PER_SEC));
        assert_string_equal(r.fault, "");
        end(&r);
}

/* A commit that takes all the queue holds: what comes meanwhile is lost, and counted. */
static void test_losses_while_all_are_being_written(void **state) {
        struct storage_status status;
        struct rig r;

        (void)state;
        begin_loaded(&r);
        atomic_store(&bad_sleep_msec, 500);
        for (unsigned i = 0; i < STORE_EVENTS_QUEUED; i++)
                put_event(&r, "all");
        loop_for(r.event, 200 * USEC_PER_MSEC);
        for (int i = 0; i < 10; i++)
                put_event(&r, "more");
        assert_true(loop_until(r.event, &r.done, STORE_EVENTS_QUEUED + 10, 20 * USEC_PER_SEC));
        store_status(r.store, &status);
        assert_int_equal(r.full, status.lost_events);
        assert_int_equal(r.ok + r.late + r.full, STORE_EVENTS_QUEUED + 10); /* late: on a machine that is busy */
        end(&r);
        assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'command'"), STORE_EVENTS_QUEUED + 10 - r.full);
        assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'store'"), r.full > 0);
}

struct copy {
        unsigned times;
        int result;
};

static void on_copy(void *userdata, int result) {
        struct copy *c = userdata;

        c->times++;
        c->result = result;
}

/* Who asks for a copy may hand over a pipe that nobody reads. */
static void test_a_copy_that_nobody_takes(void **state) {
        struct copy copy = {.times = 0};
        int pipe_of[2];
        struct rig r;

        (void)state;
        begin_loaded(&r);
        put_event(&r, "one");
        assert_true(loop_until(r.event, &r.ok, 1, 5 * USEC_PER_SEC));
        assert_int_equal(pipe2(pipe_of, O_CLOEXEC), 0);
        store_backup(r.store, pipe_of[1], on_copy, &copy);
        loop_for(r.event, 500 * USEC_PER_MSEC);
        assert_int_equal(copy.times, 0);
        put_event(&r, "two"); /* is committed all the same */
        assert_true(loop_until(r.event, &r.ok, 2, 3 * USEC_PER_SEC));
        close(pipe_of[0]); /* the reader has gone */
        assert_true(loop_until(r.event, &copy.times, 1, 3 * USEC_PER_SEC));
        assert_int_equal(copy.result, -EPIPE);
        end(&r);
}

/* A person's sqlite3 that lies open holds up no commit. */
static void test_while_another_program_looks(void **state) {
        char path[128];
        sqlite3_stmt *s;
        sqlite3 *other;
        struct rig r;

        (void)state;
        begin_loaded(&r);
        put_event(&r, "one");
        assert_true(loop_until(r.event, &r.ok, 1, 5 * USEC_PER_SEC));
        snprintf(path, sizeof(path), "%s/smartbms.db", directory);
        assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(other, "SELECT text FROM events", -1, &s, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW); /* and in the middle of reading */
        put_event(&r, "two");
        assert_true(loop_until(r.event, &r.ok, 2, 3 * USEC_PER_SEC));
        assert_int_equal(sqlite3_step(s), SQLITE_DONE); /* it sees what was there as it began */
        assert_int_equal(sqlite3_reset(s), SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        put_event(&r, "three");
        assert_true(loop_until(r.event, &r.ok, 3, 3 * USEC_PER_SEC));
        sqlite3_finalize(s);
        sqlite3_close(other);
        put_event(&r, "four");
        assert_true(loop_until(r.event, &r.ok, 4, 3 * USEC_PER_SEC));
        assert_int_equal(r.faults, 0);
        end(&r);
        assert_int_equal(ask("SELECT count(*) FROM events"), 4);
        assert_int_equal(ask("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_DIRECTORY(test_midnight_is_one_commit),
                IN_DIRECTORY(test_events_of_one_turn_share_a_commit),
                IN_DIRECTORY(test_the_end_takes_everything),
                IN_DIRECTORY(test_the_end_after_a_failure),
                IN_DIRECTORY(test_a_card_that_hangs_is_told),
                IN_DIRECTORY(test_losses_while_all_are_being_written),
                IN_DIRECTORY(test_a_copy_that_nobody_takes),
                IN_DIRECTORY(test_while_another_program_looks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
