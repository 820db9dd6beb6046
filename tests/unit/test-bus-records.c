/* SPDX-License-Identifier: MIT */

/* Questions over D-Bus that wait for the store: what is asked, and how its rows read at the other end. */

#include "bus-rig.h"

static uint64_t ask_history(struct fixture *f, const char *resolution, int64_t from, int64_t until) {
        sd_bus_message *m = call_new(f, BUS_INTERFACE_HISTORY, "Read");

        assert_true(sd_bus_message_append(m, "sxxu", resolution, from, until, 1000) >= 0);
        return send_call(f, m);
}

static void test_events(void **state) {
        struct fixture *f = *state;
        struct event_record rows[2] = {
                {.id = 41, .this_boot = true, .wall_usec = {true, INT64_C(1764165600000000)},
                 .event = {.at = CLOCK_EPOCH_USEC + 5000000, .kind = EVENT_RELAY_OPENED, .text = "charge relay opened",
                           .reason = {.rule = RULE_V_MAX, .cell = 3, .value = {true, 3655}, .limit = {true, 3650},
                                      .at = CLOCK_EPOCH_USEC + 5000000}}},
                {.id = 42, .event = {.at = CLOCK_EPOCH_USEC + 6000000, .kind = EVENT_SETTING, .text = "changed",
                                     .by = "uid 0 over D-Bus", .key = "vmin", .before = "2.800 V",
                                     .after = "2.900 V"}},
        };
        uint64_t cookie = ask_events(f, 40, 7);
        sd_bus_message *m;

        assert_int_equal(f->asked[0], 40);
        assert_int_equal(f->limit, 7);
        assert_null(answer_to(f, cookie));
        f->answer_events(f->questions[0], 0, rows, 2);
        memset(rows, 0xFF, sizeof(rows)); /* they are gone when the answer is given */
        turn(f);
        m = answer_to(f, cookie);
        assert_non_null(m);
        assert_string_equal(sd_bus_message_get_signature(m, true), "a(x(bx)btsssssssy(bx)(bx))");

        int64_t id, wall, value, limit;
        int known, this_boot, has_value, has_limit;
        uint64_t monotonic;
        const char *kind, *text, *by, *key, *before, *after, *rule;
        uint8_t cell;
        static const char row[] = "(x(bx)btsssssssy(bx)(bx))";

        assert_true(sd_bus_message_enter_container(m, 'a', row) > 0);
        assert_true(sd_bus_message_read(m, row, &id, &known, &wall, &this_boot, &monotonic, &kind, &text, &by, &key,
                                        &before, &after, &rule, &cell, &has_value, &value, &has_limit, &limit) > 0);
        assert_int_equal(id, 41);
        assert_true(known && this_boot && has_value && has_limit);
        assert_int_equal(wall, INT64_C(1764165600000000));
        assert_int_equal(monotonic, 5000000); /* CLOCK_BOOTTIME, as the signal has it */
        assert_string_equal(kind, "relay-opened");
        assert_string_equal(rule, "V-max");
        assert_int_equal(cell, 3);
        assert_int_equal(value, 3655);
        assert_int_equal(limit, 3650);
        assert_true(sd_bus_message_read(m, row, &id, &known, &wall, &this_boot, &monotonic, &kind, &text, &by, &key,
                                        &before, &after, &rule, &cell, &has_value, &value, &has_limit, &limit) > 0);
        assert_int_equal(id, 42);
        assert_false(known || this_boot || has_value || has_limit);
        assert_string_equal(by, "uid 0 over D-Bus");
        assert_string_equal(key, "vmin");
        assert_string_equal(before, "2.800 V");
        assert_string_equal(after, "2.900 V");
        assert_string_equal(rule, "");
        assert_int_equal(sd_bus_message_read(m, row, &id, &known, &wall, &this_boot, &monotonic, &kind, &text, &by,
                                             &key, &before, &after, &rule, &cell, &has_value, &value, &has_limit,
                                             &limit), 0);
}

/* Seconds covered, seven quantities, four energies: here 1, then none, 2, 3 ... */
static void expect_stretch(sd_bus_message *m) {
        uint32_t covered;
        int64_t value, expected = 2;
        int known;

        assert_true(sd_bus_message_read(m, "u", &covered) > 0);
        assert_int_equal(covered, 1);
        for (int i = 0; i < 7; i++) {
                assert_true(sd_bus_message_read(m, "(bx)", &known, &value) > 0);
                assert_int_equal(known, i > 0);
                if (known)
                        assert_int_equal(value, expected++);
        }
        for (int i = 0; i < 4; i++) {
                assert_true(sd_bus_message_read(m, "x", &value) > 0);
                assert_int_equal(value, expected++);
        }
}

static const struct history_row stretch = {
        .from = USEC_PER_HOUR, .until = USEC_PER_HOUR + 59 * USEC_PER_SEC, .covered_sec = 1, .power_mw = {true, 2},
        .pack_mv = {true, 3}, .lowest_mv = {true, 4}, .highest_mv = {true, 5}, .lowest_decic = {true, 6},
        .highest_decic = {true, 7}, .mwh = {8, 9, 10, 11},
};

static void test_history(void **state) {
        const struct history_record rows[1] = {{.wall_usec = {true, 77}, .row = stretch}};
        struct fixture *f = *state;
        uint64_t cookie = ask_history(f, "hours", -5, 5), length;
        sd_bus_message *m;
        int64_t wall;
        int known;

        assert_int_equal(f->resolution, RESOLUTION_HOURS);
        assert_int_equal(f->asked[1], -5);
        assert_int_equal(f->asked[2], 4); /* before 5 */
        f->answer_history(f->questions[0], 0, rows, 1);
        turn(f);
        m = answer_to(f, cookie);
        assert_non_null(m);
        assert_string_equal(sd_bus_message_get_signature(m, true), "a((bx)tu(bx)(bx)(bx)(bx)(bx)(bx)(bx)xxxx)");
        assert_true(sd_bus_message_enter_container(m, 'a', "((bx)tu(bx)(bx)(bx)(bx)(bx)(bx)(bx)xxxx)") > 0);
        assert_true(sd_bus_message_enter_container(m, 'r', "(bx)tu(bx)(bx)(bx)(bx)(bx)(bx)(bx)xxxx") > 0);
        assert_true(sd_bus_message_read(m, "(bx)t", &known, &wall, &length) > 0);
        assert_true(known);
        assert_int_equal(wall, 77);
        assert_int_equal(length, 59000000);
        expect_stretch(m);
}

static void test_days(void **state) {
        const struct day_record rows[1] = {{.day = 20418, .today = true, .length_usec = 23 * USEC_PER_HOUR,
                                            .row = stretch}};
        struct fixture *f = *state;
        sd_bus_message *m = call_new(f, BUS_INTERFACE_ENERGY, "Days");
        uint64_t cookie, length;
        int64_t day;
        int today;

        assert_true(sd_bus_message_append(m, "u", 30) >= 0);
        cookie = send_call(f, m);
        assert_int_equal(f->limit, 30);
        f->answer_days(f->questions[0], 0, rows, 1);
        turn(f);
        m = answer_to(f, cookie);
        assert_non_null(m);
        assert_true(sd_bus_message_enter_container(m, 'a', "(xbtu(bx)(bx)(bx)(bx)(bx)(bx)(bx)xxxx)") > 0);
        assert_true(sd_bus_message_enter_container(m, 'r', "xbtu(bx)(bx)(bx)(bx)(bx)(bx)(bx)xxxx") > 0);
        assert_true(sd_bus_message_read(m, "xbt", &day, &today, &length) > 0);
        assert_int_equal(day, 20418);
        assert_true(today);
        assert_int_equal(length, 23 * USEC_PER_HOUR);
        expect_stretch(m);
}

static void test_questions_that_cannot_be(void **state) {
        struct fixture *f = *state;

        expect_error(f, ask_events(f, 0, 0), SD_BUS_ERROR_INVALID_ARGS, "limit is 0: expected 1 to 1000 rows.");
        expect_error(f, ask_events(f, 0, 1001), SD_BUS_ERROR_INVALID_ARGS, "limit is 1001: expected 1 to 1000 rows.");
        expect_error(f, ask_history(f, "days", 0, 1), SD_BUS_ERROR_INVALID_ARGS,
                     "There is no resolution \"days\": expected minutes or hours.");
        expect_error(f, ask_history(f, "hours", 2, 1), SD_BUS_ERROR_INVALID_ARGS,
                     "from lies behind until: expected the earlier time first.");
        assert_int_equal(f->n_questions, 0);
        assert_null(answer_to(f, ask_events(f, 0, 1000)));
        assert_null(answer_to(f, ask_events(f, INT64_MIN, 1)));
        for (unsigned i = 0; i < 2; i++)
                f->answer_events(f->questions[i], 0, NULL, 0);
}

static void test_questions_that_fail(void **state) {
        struct fixture *f = *state;
        uint64_t a = ask_events(f, 0, 1), b = ask_history(f, "minutes", 0, 1), c = ask_events(f, 0, 1);

        f->answer_events(f->questions[0], -EIO, NULL, 0);
        f->answer_history(f->questions[1], -EBUSY, NULL, 0);
        f->answer_events(f->questions[2], -ENODATA, NULL, 0);
        turn(f);
        expect_error(f, c, "org.smartbms1.Error.NotReadable", "Nothing is kept: smartbmsd has no state directory.");
        expect_error(f, a, "org.smartbms1.Error.NotReadable", "The database cannot be read: Input/output error.");
        expect_error(f, b, SD_BUS_ERROR_LIMITS_EXCEEDED,
                     "Too many questions wait for the database: try again.");
}

static void test_many_questions(void **state) {
        struct fixture *f = *state;

        for (unsigned i = 0; i < BUS_QUESTIONS_MAX; i++)
                assert_null(answer_to(f, ask_events(f, 0, 1)));
        expect_error(f, ask_history(f, "minutes", 0, 1), SD_BUS_ERROR_LIMITS_EXCEEDED,
                     "Too many questions wait for the database: try again.");
        f->answer_events(f->questions[5], 0, NULL, 0);
        assert_null(answer_to(f, ask_events(f, 0, 1)));
        for (unsigned i = 0; i <= BUS_QUESTIONS_MAX; i++)
                if (i != 5)
                        f->answer_events(f->questions[i], 0, NULL, 0);
}

static void test_storage(void **state) {
        static const struct {
                const char *key;
                uint64_t value;
        } numbers[] = {{"FileBytes", 7},     {"WalBytes", 8},        {"WrittenBytes", 9}, {"Syncs", 10},
                       {"QueuedEvents", 11}, {"QueuedMinutes", 12},  {"LostEvents", 13},  {"LostMinutes", 14}};
        struct fixture *f = *state;
        sd_bus_message *m = answer_to(f, call(f, BUS_INTERFACE_STORAGE, "GetStatus"));
        const char *key, *contents, *path = "";
        int found = 0, open = 0, committed = -1;
        int64_t age;
        uint64_t run = 0;

        assert_non_null(m);
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &key) > 0);
                assert_true(sd_bus_message_peek_type(m, NULL, &contents) > 0);
                if (strcmp(key, "Open") == 0)
                        assert_true(sd_bus_message_read(m, "v", "b", &open) > 0);
                else if (strcmp(key, "Path") == 0)
                        assert_true(sd_bus_message_read(m, "v", "s", &path) > 0);
                else if (strcmp(key, "CommitAge") == 0)
                        assert_true(sd_bus_message_read(m, "v", "(bx)", &committed, &age) > 0);
                else if (strcmp(key, "RunAge") == 0)
                        assert_true(sd_bus_message_read(m, "v", "t", &run) > 0);
                else if (strcmp(contents, "t") == 0) {
                        uint64_t value;

                        assert_true(sd_bus_message_read(m, "v", "t", &value) > 0);
                        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
                                if (strcmp(numbers[i].key, key) == 0) {
                                        assert_int_equal(value, numbers[i].value);
                                        found++;
                                }
                } else
                        assert_true(sd_bus_message_skip(m, "v") >= 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
        }
        assert_int_equal(found, 8);
        assert_true(open);
        assert_int_equal(committed, 0); /* none in this run: not "0 s ago" */
        assert_true(run >= USEC_PER_HOUR && run < USEC_PER_HOUR + USEC_PER_MINUTE);
        assert_string_equal(path, "/var/lib/smartbms/smartbms.db");
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(test_events),
                TEST(test_history),
                TEST(test_days),
                TEST(test_questions_that_cannot_be),
                TEST(test_questions_that_fail),
                TEST(test_many_questions),
                TEST(test_storage),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
