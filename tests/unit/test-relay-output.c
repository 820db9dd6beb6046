/* SPDX-License-Identifier: MIT */
/* The sequencing of coils, on lines that this test plays itself (it defines gpio.h's functions, so the
 * library's are not linked): what each coil sees and when, feedback, busy lines, a chip that vanishes and
 * returns. The log driver touches no line at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpio.h"
#include "loop.h"
#include "relay-output.h"

enum { CHARGE_SET, CHARGE_RESET, CHARGE_FEEDBACK, LOAD_SET, LOAD_RESET, LOAD_LINE, _LINES };
static const char *const line_names[_LINES] = {"CS", "CR", "CF", "LS", "LR", "LL"};

struct gpio_line {
        bool open, active, output;
        int fail; /* -Exxx for every access */
        unsigned rises, falls;
        usec_t rose, fell; /* the newest */
};

/* The board of the test in progress: the faked functions have no other way to it. */
static struct {
        struct gpio_line lines[_LINES];
        int open_error[_LINES];
        bool both_coils; /* set and reset of one relay were active at once */
} board;

int gpio_line_open(const struct config_line *config, enum gpio_direction direction, struct gpio_line **ret,
                   char *ret_why, size_t size) {
        for (int i = 0; i < _LINES; i++) {
                struct gpio_line *l = &board.lines[i];
                if (strcmp(line_names[i], config->name) != 0)
                        continue;
                if (board.open_error[i] < 0) {
                        (void)snprintf(ret_why, size, "GPIO line %s%s", config->name,
                                       board.open_error[i] == -EBUSY ? " is in use by 'other'" : ": no such chip");
                        return board.open_error[i];
                }
                assert_false(l->open);
                l->open = true;
                l->output = direction == GPIO_OUTPUT;
                if (l->output)
                        l->active = false;
                *ret = l;
                return 0;
        }
        fail_msg("unknown line %s", config->name);
        return -ENOENT;
}

void gpio_line_text(const struct config_line *config, char *ret, size_t size) {
        (void)snprintf(ret, size, "GPIO line %s", config->name);
}

struct gpio_line *gpio_line_free(struct gpio_line *l) {
        if (l)
                l->open = false;
        return NULL;
}

int gpio_line_set(struct gpio_line *l, bool active) {
        assert_true(l->open && l->output);
        if (l->fail < 0)
                return l->fail;
        if (active && !l->active) {
                l->rises++;
                l->rose = clock_now();
        } else if (!active && l->active) {
                l->falls++;
                l->fell = clock_now();
        }
        l->active = active;
        if ((board.lines[CHARGE_SET].active && board.lines[CHARGE_RESET].active) ||
            (board.lines[LOAD_SET].active && board.lines[LOAD_RESET].active))
                board.both_coils = true;
        return 0;
}

int gpio_line_get(struct gpio_line *l) {
        assert_true(l->open);
        return l->fail < 0 ? l->fail : l->active;
}

struct fixture {
        sd_event *event;
        struct config config;
        struct relay_output *output;
        unsigned faults, recoveries, feedbacks;
        char text[512];
        enum relay_id relay;
        struct maybe closed;
        bool at_start, coils;
};

static void on_fault(void *userdata, usec_t now, const char *text, bool coils) {
        struct fixture *f = userdata;

        (void)now;
        f->coils = coils;
        if (text[0])
                f->faults++;
        else
                f->recoveries++;
        (void)snprintf(f->text, sizeof(f->text), "%s", text);
}

static void on_feedback(void *userdata, usec_t now, enum relay_id relay, struct maybe closed, bool at_start) {
        struct fixture *f = userdata;

        (void)now;
        f->feedbacks++;
        f->relay = relay;
        f->closed = closed;
        f->at_start = at_start;
        if (at_start) /* before the first pulse means before the first pulse */
                assert_int_equal(board.lines[CHARGE_RESET].rises, 0);
}

static struct config_line named(const char *name) {
        struct config_line line = {.present = true};

        strcpy(line.name, name);
        return line;
}

/* Charge: latching with feedback; load: latching. */
static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        memset(&board, 0, sizeof(board));
        assert_true(sd_event_new(&f->event) >= 0);
        config_init(&f->config);
        f->config.relay_driver = RELAY_DRIVER_GPIO;
        f->config.relays[RELAY_CHARGE] = (struct config_relay){.present = true,
                                                               .latching = true,
                                                               .set = named("CS"),
                                                               .reset = named("CR"),
                                                               .feedback = named("CF"),
                                                               .pulse_msec = 50};
        f->config.relays[RELAY_LOAD] = (struct config_relay){.present = true,
                                                             .latching = true,
                                                             .set = named("LS"),
                                                             .reset = named("LR"),
                                                             .pulse_msec = 80};
        *state = f;
        return 0;
}

static int teardown(void **state) {
        struct fixture *f = *state;

        relay_output_free(f->output);
        for (int i = 0; i < _LINES; i++)
                assert_false(board.lines[i].open); /* all given back */
        assert_false(board.both_coils);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static void start(struct fixture *f) {
        const struct relay_output_callbacks callbacks = {
                .feedback = on_feedback, .fault = on_fault, .userdata = f};

        assert_int_equal(relay_output_new(f->event, &f->config, &callbacks, &f->output), 0);
}

/* A pulse of about msec: never shorter; and it ends, though a busy machine (or valgrind) may be late with that. */
static void expect_pulse(const struct gpio_line *l, unsigned pulses, usec_t msec) {
        assert_int_equal(l->rises, pulses);
        assert_int_equal(l->falls, pulses);
        assert_false(l->active);
        assert_true(l->fell - l->rose >= msec * USEC_PER_MSEC);
        assert_true(l->fell - l->rose < (msec + 2000) * USEC_PER_MSEC);
}

/* P13: at start every coil is driven open. */
static void test_start_opens(void **state) {
        struct fixture *f = *state;

        start(f);
        assert_true(board.lines[CHARGE_RESET].active &&
                    board.lines[LOAD_RESET].active); /* both at once, without the loop */
        loop_for(f->event, 400 * USEC_PER_MSEC);
        expect_pulse(&board.lines[CHARGE_RESET], 1, 50);
        expect_pulse(&board.lines[LOAD_RESET], 1, 80);
        assert_int_equal(board.lines[CHARGE_SET].rises, 0);
        assert_int_equal(board.lines[LOAD_SET].rises, 0);
        assert_int_equal(f->faults, 0);
}

static void test_pulses(void **state) {
        struct fixture *f = *state;

        start(f);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        relay_output_set(f->output, RELAY_CHARGE, true);
        assert_true(board.lines[CHARGE_SET].active);
        relay_output_set(f->output, RELAY_CHARGE, true); /* commanded already: nothing */
        loop_for(f->event, 400 * USEC_PER_MSEC);
        relay_output_set(f->output, RELAY_CHARGE, true);
        loop_for(f->event, 50 * USEC_PER_MSEC);
        expect_pulse(&board.lines[CHARGE_SET], 1, 50);
        relay_output_set(f->output, RELAY_CHARGE, false);
        assert_true(board.lines[CHARGE_RESET].active);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        expect_pulse(&board.lines[CHARGE_RESET], 2, 50);
        assert_int_equal(board.lines[LOAD_SET].rises, 0);
}

/* Commands come from what the loop calls, and it may have done much since it woke up. */
static int on_late_command(sd_event_source *source, void *userdata) {
        struct fixture *f = userdata;
        usec_t begun = clock_now();

        (void)source;
        while (clock_now() - begun < 30 * USEC_PER_MSEC)
                ;
        relay_output_set(f->output, RELAY_CHARGE, true);
        return 0;
}

static void test_pulse_of_a_busy_loop(void **state) {
        struct fixture *f = *state;
        sd_event_source *source = NULL;

        start(f);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        assert_true(sd_event_add_defer(f->event, &source, on_late_command, f) >= 0);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        expect_pulse(&board.lines[CHARGE_SET], 1, 50);
        sd_event_source_unref(source);
}

static void test_opening_cuts_closing(void **state) {
        struct fixture *f = *state;

        start(f);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        relay_output_set(f->output, RELAY_LOAD, true);
        loop_for(f->event, 10 * USEC_PER_MSEC);
        assert_true(board.lines[LOAD_SET].active);
        relay_output_set(f->output, RELAY_LOAD, false);
        assert_false(board.lines[LOAD_SET].active); /* at once, not at the end of the pulse */
        assert_true(board.lines[LOAD_RESET].active);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        expect_pulse(&board.lines[LOAD_RESET], 2, 80);
        assert_int_equal(board.lines[LOAD_SET].rises, 1);
}

static void test_closing_waits_for_opening_pulse(void **state) {
        struct fixture *f = *state;

        start(f); /* the opening pulses run */
        relay_output_set(f->output, RELAY_CHARGE, true);
        assert_false(board.lines[CHARGE_SET].active);
        loop_for(f->event, 300 * USEC_PER_MSEC);
        expect_pulse(&board.lines[CHARGE_RESET], 1, 50);
        expect_pulse(&board.lines[CHARGE_SET], 1, 50);
        assert_true(board.lines[CHARGE_SET].rose >= board.lines[CHARGE_RESET].fell);
}

static void test_open_both(void **state) {
        struct fixture *f = *state;

        start(f);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        relay_output_set(f->output, RELAY_CHARGE, true);
        relay_output_set(f->output, RELAY_LOAD, true);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        relay_output_open_both(f->output, RELAY_LOAD);
        assert_true(board.lines[CHARGE_RESET].active && board.lines[LOAD_RESET].active);
        assert_true(board.lines[LOAD_RESET].rose <= board.lines[CHARGE_RESET].rose);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        expect_pulse(&board.lines[CHARGE_RESET], 2, 50);
        expect_pulse(&board.lines[LOAD_RESET], 2, 80);
}

static void test_monostable(void **state) {
        struct fixture *f = *state;

        f->config.relays[RELAY_LOAD] =
                (struct config_relay){.present = true, .line = named("LL"), .pulse_msec = 50};
        start(f);
        assert_false(board.lines[LOAD_LINE].active);
        relay_output_set(f->output, RELAY_LOAD, true);
        assert_true(board.lines[LOAD_LINE].active);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        assert_true(board.lines[LOAD_LINE].active); /* no pulse */
        relay_output_set(f->output, RELAY_LOAD, false);
        assert_false(board.lines[LOAD_LINE].active);
        relay_output_set(f->output, RELAY_LOAD, true);
        f->output = relay_output_free(f->output);
        assert_false(board.lines[LOAD_LINE].active);
}

static void test_end_opens(void **state) {
        struct fixture *f = *state;

        start(f);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        relay_output_set(f->output, RELAY_LOAD, true);
        loop_for(f->event, 10 * USEC_PER_MSEC); /* in the midst of its pulse */
        f->output = relay_output_free(f->output);
        assert_false(board.lines[LOAD_SET].active);
        expect_pulse(&board.lines[LOAD_RESET], 2, 80);
        assert_true(board.lines[CHARGE_RESET].fell - board.lines[CHARGE_RESET].rose >= 50 * USEC_PER_MSEC);
}

/* P16, P4: what an earlier run left behind is read before the first pulse; later changes need two equal
 * readings. */
static void test_feedback(void **state) {
        struct fixture *f = *state;

        board.lines[CHARGE_FEEDBACK].active = true;
        start(f);
        assert_int_equal(f->feedbacks, 1);
        assert_int_equal(f->relay, RELAY_CHARGE);
        assert_true(f->closed.known && f->closed.value == 1 && f->at_start);
        board.lines[CHARGE_FEEDBACK].active = false;
        assert_true(loop_until(f->event, &f->feedbacks, 2, USEC_PER_SEC));
        assert_true(f->closed.known && f->closed.value == 0 && !f->at_start);
        loop_for(f->event, 600 * USEC_PER_MSEC);
        assert_int_equal(f->feedbacks, 2);
}

static void test_busy_line(void **state) {
        struct fixture *f = *state;
        usec_t freed;

        board.open_error[CHARGE_SET] = -EBUSY;
        start(f);
        assert_int_equal(f->faults, 1);
        assert_string_equal(f->text, "charge relay: GPIO line CS is in use by 'other'");
        assert_true(f->coils);
        assert_false(board.lines[CHARGE_RESET].open); /* all of a relay or nothing */
        assert_true(board.lines[LOAD_RESET].active);  /* the other one works */
        relay_output_set(f->output, RELAY_CHARGE, true);
        loop_for(f->event, 1200 * USEC_PER_MSEC);
        assert_int_equal(f->faults, 1); /* told once */
        board.open_error[CHARGE_SET] = 0;
        freed = clock_now();
        assert_true(loop_until(f->event, &f->recoveries, 1, 2 * USEC_PER_SEC));
        assert_true(clock_now() - freed < USEC_PER_SEC); /* design 12: within 1 s */
        loop_for(f->event, 400 * USEC_PER_MSEC);
        expect_pulse(&board.lines[CHARGE_SET], 1, 50); /* what is commanded now */
}

/* The coils come first: a feedback that cannot be had is a fault, but keeps no relay from being opened. */
static void test_busy_feedback(void **state) {
        struct fixture *f = *state;

        board.open_error[CHARGE_FEEDBACK] = -EBUSY;
        start(f);
        assert_int_equal(f->faults, 1);
        assert_string_equal(f->text, "charge relay: feedback: GPIO line CF is in use by 'other'");
        assert_false(f->coils);
        assert_true(board.lines[CHARGE_RESET].active);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        relay_output_set(f->output, RELAY_CHARGE, true);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        expect_pulse(&board.lines[CHARGE_SET], 1, 50);
        assert_int_equal(f->feedbacks, 0);
        board.open_error[CHARGE_FEEDBACK] = 0;
        board.lines[CHARGE_FEEDBACK].active = true;
        assert_true(loop_until(f->event, &f->recoveries, 1, 2 * USEC_PER_SEC));
        assert_int_equal(f->feedbacks, 1);
        assert_true(f->closed.known && f->closed.value == 1 && !f->at_start); /* ours, not an earlier run's */
}

/* A coil that fails in mid pulse leaves no other one under current. */
static void test_mid_pulse(void **state) {
        struct fixture *f = *state;

        start(f);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        relay_output_set(f->output, RELAY_LOAD, true);
        assert_true(board.lines[LOAD_SET].active);
        board.lines[LOAD_RESET].fail = -EIO;
        relay_output_set(f->output, RELAY_LOAD, false);
        assert_false(board.lines[LOAD_SET].active);
        assert_int_equal(f->faults, 1);
        board.lines[LOAD_RESET].fail = 0;
        assert_true(loop_until(f->event, &f->recoveries, 1, 2 * USEC_PER_SEC));
        loop_for(f->event, 400 * USEC_PER_MSEC);
        expect_pulse(&board.lines[LOAD_RESET], 2, 80);
}

static void test_chip_vanishes(void **state) {
        struct fixture *f = *state;
        usec_t gone;

        start(f);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        relay_output_set(f->output, RELAY_LOAD, true);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        for (int i = 0; i < _LINES; i++) {
                board.lines[i].fail = -ENODEV;
                board.open_error[i] = -ENODEV;
        }
        gone = clock_now();
        assert_true(loop_until(f->event, &f->faults, 1, 2 * USEC_PER_SEC)); /* found while idle */
        assert_true(clock_now() - gone < USEC_PER_SEC);
        assert_non_null(strstr(f->text, "load relay: GPIO line LR: ")); /* which one */
        assert_non_null(strstr(f->text, "chip"));
        assert_true(f->coils);
        assert_false(f->closed.known);                  /* no reading of the feedback */
        relay_output_set(f->output, RELAY_LOAD, false); /* cannot be done now, but is not forgotten */
        for (int i = 0; i < _LINES; i++) {
                board.lines[i].fail = 0;
                board.open_error[i] = 0;
        }
        assert_true(loop_until(f->event, &f->recoveries, 1, 2 * USEC_PER_SEC));
        loop_for(f->event, 400 * USEC_PER_MSEC);
        expect_pulse(&board.lines[LOAD_RESET], 2, 80);
        assert_int_equal(board.lines[LOAD_SET].rises, 1);
}

/* The chip goes at the very moment of an opening. */
static void test_set_fails(void **state) {
        struct fixture *f = *state;

        start(f);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        relay_output_set(f->output, RELAY_LOAD, true);
        loop_for(f->event, 400 * USEC_PER_MSEC);
        board.lines[LOAD_RESET].fail = -EIO;
        relay_output_set(f->output, RELAY_LOAD, false);
        assert_int_equal(f->faults, 1); /* at once */
        board.lines[LOAD_RESET].fail = 0;
        assert_true(loop_until(f->event, &f->recoveries, 1, 2 * USEC_PER_SEC));
        loop_for(f->event, 400 * USEC_PER_MSEC);
        expect_pulse(&board.lines[LOAD_RESET], 2, 80);
}

static void test_log_driver(void **state) {
        struct fixture *f = *state;

        f->config.relay_driver = RELAY_DRIVER_LOG;
        start(f);
        relay_output_set(f->output, RELAY_CHARGE, true);
        relay_output_set(f->output, RELAY_LOAD, true);
        relay_output_open_both(f->output, RELAY_CHARGE);
        loop_for(f->event, 50 * USEC_PER_MSEC);
        assert_int_equal(f->faults + f->feedbacks, 0);
        for (int i = 0; i < _LINES; i++)
                assert_int_equal(board.lines[i].rises, 0);
}

int main(void) {
#define RELAY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        static const struct CMUnitTest tests[] = {
                RELAY_TEST(test_start_opens),
                RELAY_TEST(test_pulses),
                RELAY_TEST(test_pulse_of_a_busy_loop),
                RELAY_TEST(test_opening_cuts_closing),
                RELAY_TEST(test_closing_waits_for_opening_pulse),
                RELAY_TEST(test_open_both),
                RELAY_TEST(test_monostable),
                RELAY_TEST(test_end_opens),
                RELAY_TEST(test_feedback),
                RELAY_TEST(test_busy_line),
                RELAY_TEST(test_busy_feedback),
                RELAY_TEST(test_mid_pulse),
                RELAY_TEST(test_chip_vanishes),
                RELAY_TEST(test_set_fails),
                RELAY_TEST(test_log_driver),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
