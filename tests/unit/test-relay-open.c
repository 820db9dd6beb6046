/* SPDX-License-Identifier: MIT */
/* What relays-open does when smartbmsd has died, step by step, on lines that this test plays: the current goes from all
 * coils before any is pulsed, a busy line is tried for a second, and what cannot be had holds up nothing else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gpio-board.h"
#include "relay-open.h"

static void add(struct relay_coils *coils, enum relay_id relay, enum relay_coil coil, unsigned pulse_msec,
                const char *name) {
        coils->coils[coils->n++] =
                (struct relay_coil_use){relay, coil, pulse_msec, board_config(name)};
}

/* Both latching: charge 50 ms, load 120 ms. */
static struct relay_coils latching(void) {
        struct relay_coils coils = {0};

        memset(&board, 0, sizeof(board));
        add(&coils, RELAY_CHARGE, RELAY_COIL_SET, 0, "CS");
        add(&coils, RELAY_CHARGE, RELAY_COIL_RESET, 50, "CR");
        add(&coils, RELAY_LOAD, RELAY_COIL_SET, 0, "LS");
        add(&coils, RELAY_LOAD, RELAY_COIL_RESET, 120, "LR");
        return coils;
}

static const struct board_step *find(enum board_act act, const char *name) {
        for (unsigned i = 0; i < board.n_steps; i++)
                if (board.steps[i].act == act && strcmp(board.steps[i].line->name, name) == 0)
                        return &board.steps[i];
        fail_msg("no step %d of %s", act, name);
        return NULL;
}

/* From its length to 0.5 s more, which is for a busy machine. */
static void expect_pulse(const char *name, usec_t msec) {
        const struct board_step *on = find(ACT_ON, name), *off = find(ACT_OFF, name);

        assert_int_equal(board_count(ACT_ON, name), 1);
        assert_true(on < off);
        assert_true(off->at - on->at >= msec * USEC_PER_MSEC);
        assert_true(off->at - on->at < (msec + 500) * USEC_PER_MSEC);
}

/* Everything that is taken is without current before the first pulse begins; nothing is left taken or under current. */
static void expect_order(void) {
        unsigned first_on = board.n_steps, last_take = 0;

        for (unsigned i = board.n_steps; i-- > 0;)
                if (board.steps[i].act == ACT_ON)
                        first_on = i;
        for (unsigned i = 0; i < board.n_steps; i++)
                if (board.steps[i].act == ACT_TAKE)
                        last_take = i;
        assert_true(last_take < first_on);
        for (unsigned i = 0; i < board.n_lines; i++) {
                assert_false(board.lines[i].taken);
                assert_false(board.lines[i].active);
        }
}

static void test_all_coils_then_pulses(void **state) {
        const struct relay_coils coils = latching();
        struct relay_open_result result;
        usec_t began = clock_now();

        (void)state;
        for (unsigned i = 0; i < board.n_lines; i++)
                board.lines[i].active = true; /* as a daemon leaves them that dies in the midst of things */
        relay_open_all(&coils, &result);
        assert_int_equal(result.n_failed, 0);
        expect_order();
        expect_pulse("CR", 50);
        expect_pulse("LR", 120);
        assert_true(find(ACT_ON, "LR")->at < find(ACT_OFF, "CR")->at); /* at once, not one after the other */
        assert_int_equal(board_count(ACT_ON, "CS") + board_count(ACT_ON, "LS"), 0);
        assert_true(clock_now() - began < 2 * USEC_PER_SEC);
}

static void test_monostable(void **state) {
        struct relay_open_result result;
        struct relay_coils coils = {0};

        (void)state;
        memset(&board, 0, sizeof(board));
        add(&coils, RELAY_CHARGE, RELAY_COIL_LINE, 0, "C");
        add(&coils, RELAY_LOAD, RELAY_COIL_LINE, 0, "L");
        coils.coils[1].line.active_low = true;
        board_line("C")->active = board_line("L")->active = true;
        relay_open_all(&coils, &result);
        assert_int_equal(result.n_failed, 0);
        assert_int_equal(board.n_steps, 4); /* taken, which takes the current away, and given back */
        assert_false(board_line("C")->active || board_line("L")->active);
        assert_true(board_line("L")->active_low);
}

static void test_nothing(void **state) {
        struct relay_open_result result = {.n_failed = 9};
        const struct relay_coils coils = {0};

        (void)state;
        memset(&board, 0, sizeof(board));
        relay_open_all(&coils, &result);
        assert_int_equal(result.n_failed, 0);
        assert_int_equal(board.n_steps, 0);
}

/* Free again after 0.4 s: all of it is done, in its order. */
static void test_busy_for_a_while(void **state) {
        const struct relay_coils coils = latching();
        struct relay_open_result result;
        usec_t began = clock_now();

        (void)state;
        board_line("LS")->open_error = -EBUSY;
        board.busy_until = began + 400 * USEC_PER_MSEC;
        relay_open_all(&coils, &result);
        assert_int_equal(result.n_failed, 0);
        expect_order();
        expect_pulse("CR", 50);
        expect_pulse("LR", 120);
        assert_true(find(ACT_TAKE, "LS")->at - began >= 400 * USEC_PER_MSEC);
        assert_int_equal(board_line("CR")->n_tries, 1); /* what is had is kept */
}

/* Busy for ever: tried for a second, then the rest is opened without it; in 2 s. */
static void test_busy_for_ever(void **state) {
        const struct relay_coils coils = latching();
        struct relay_open_result result;
        usec_t began = clock_now(), took;

        (void)state;
        board_line("CR")->open_error = -EBUSY;
        relay_open_all(&coils, &result);
        took = clock_now() - began;
        assert_int_equal(result.n_failed, 1);
        assert_string_equal(result.why[0], "charge relay, reset: GPIO line CR is in use by 'other'");
        expect_order();
        expect_pulse("LR", 120);
        assert_int_equal(board_count(ACT_ON, "CR"), 0);
        assert_true(took >= USEC_PER_SEC && took < 2 * USEC_PER_SEC);
        assert_true(board_line("CR")->n_tries > 10);
}

/* A chip that is not there is not waited for; the other relay is opened at once. */
static void test_chip_gone(void **state) {
        const struct relay_coils coils = latching();
        struct relay_open_result result;
        usec_t began = clock_now();

        (void)state;
        board_line("CS")->open_error = board_line("CR")->open_error = -ENODEV;
        relay_open_all(&coils, &result);
        assert_int_equal(result.n_failed, 2);
        assert_string_equal(result.why[0], "charge relay, set: GPIO line CS: no such chip");
        assert_string_equal(result.why[1], "charge relay, reset: GPIO line CR: no such chip");
        assert_int_equal(board_line("CR")->n_tries, 1);
        expect_pulse("LR", 120);
        assert_true(clock_now() - began < USEC_PER_SEC);
}

/* Without its set line a relay is pulsed open all the same; a line that fails in its pulse is reported once. */
static void test_failures_in_between(void **state) {
        const struct relay_coils coils = latching();
        struct relay_open_result result;

        (void)state;
        board_line("CS")->open_error = -ENODEV;
        board_line("LR")->fail = -EIO;
        relay_open_all(&coils, &result);
        expect_pulse("CR", 50);
        assert_int_equal(result.n_failed, 2);
        assert_string_equal(result.why[1], "load relay, reset: Input/output error");
        assert_false(board_line("LR")->taken);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_coils_then_pulses), cmocka_unit_test(test_monostable),
                cmocka_unit_test(test_nothing),               cmocka_unit_test(test_busy_for_a_while),
                cmocka_unit_test(test_busy_for_ever),         cmocka_unit_test(test_chip_gone),
                cmocka_unit_test(test_failures_in_between),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
