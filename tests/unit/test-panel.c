/* SPDX-License-Identifier: MIT */
/* LEDs, heartbeat and button on lines that this test plays (gpio-board.h): what they show and when, and that a line
 * which is missing, busy, slow or gone is warned of, tried again, and harms nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "button.h"
#include "gpio-board.h"
#include "heartbeat.h"
#include "leds.h"
#include "loop.h"

#define T0 (CLOCK_EPOCH_USEC + 1000 * USEC_PER_SEC)

static struct config panel_config(void) {
        struct config c;

        memset(&board, 0, sizeof(board));
        config_init(&c);
        c.leds[LED_INFO] = board_config("INFO");
        c.leds[LED_CHARGE] = board_config("CHARGE");
        c.leds[LED_LOAD] = board_config("LOAD");
        c.button = board_config("BUTTON");
        c.heartbeat = board_config("BEAT");
        return c;
}

/* ---- LEDs: manual, "Out Board" ---------------------------------------------------------------------------------- */

struct show {
        struct leds *leds;
        struct snapshot s;
        usec_t now;
};

static void show_begin(struct show *w, const struct config *c) {
        *w = (struct show){.now = T0};
        w->s.period_msec = 1000;
        w->s.v_bypass_mv = some(3500);
        w->s.highest_mv = some(3300);
        assert_int_equal(leds_new(c, w->now, &w->leds), 0);
}

static void message(struct show *w) {
        w->now += USEC_PER_SEC;
        leds_show(w->leds, w->now, &w->s, true);
}

static void time_passes(struct show *w, usec_t span) {
        w->now += span;
        leds_show(w->leds, w->now, &w->s, false);
}

static void expect_leds(bool info, bool charge, bool load) {
        assert_int_equal(board_line("INFO")->active, info);
        assert_int_equal(board_line("CHARGE")->active, charge);
        assert_int_equal(board_line("LOAD")->active, load);
}

static void test_leds_follow_messages(void **state) {
        struct config c = panel_config();
        struct show w;

        (void)state;
        show_begin(&w, &c);
        expect_leds(false, false, false);
        time_passes(&w, USEC_PER_SEC);
        expect_leds(false, false, false); /* no message, no light */
        message(&w);                      /* both open */
        expect_leds(true, false, false);
        time_passes(&w, USEC_PER_SEC / 2); /* a decision about time alone changes nothing */
        expect_leds(true, false, false);
        message(&w);
        expect_leds(false, false, false);
        message(&w);
        expect_leds(true, false, false);

        w.s.relays[RELAY_CHARGE].closed = true;
        time_passes(&w, 1);
        expect_leds(false, false, false); /* info at once: one of them is closed; charge by the next message */
        message(&w);
        expect_leds(false, true, false);
        w.s.relays[RELAY_LOAD].closed = true;
        message(&w);
        expect_leds(false, false, true);
        message(&w);
        expect_leds(false, true, false);
        w.s.relays[RELAY_CHARGE].closed = false;
        time_passes(&w, 1);
        expect_leds(false, false, false); /* open: dark at once */
        message(&w);
        expect_leds(false, false, true);
        assert_null(leds_free(w.leds));
        expect_leds(false, false, false);
        assert_false(board_line("LOAD")->taken);
}

/* Steady while a cell is at or above V-bypass, whatever the relays do: one step below, at, above. */
static void test_info_is_steady_at_bypass(void **state) {
        static const struct {
                int32_t highest;
                bool steady;
        } rows[] = {{3499, false}, {3500, true}, {3501, true}};

        (void)state;
        for (size_t i = 0; i < 3; i++)
                for (int closed = 0; closed <= 1; closed++) {
                        struct config c = panel_config();
                        struct show w;

                        show_begin(&w, &c);
                        w.s.highest_mv = some(rows[i].highest);
                        w.s.relays[RELAY_CHARGE].closed = closed;
                        for (int n = 1; n <= 6; n++) {
                                message(&w);
                                assert_int_equal(board_line("INFO")->active,
                                                 rows[i].steady || (!closed && n % 2 == 1));
                                assert_int_equal(board_line("CHARGE")->active, closed && n % 2 == 1);
                        }
                        leds_free(w.leds);
                }
}

/* Unknown is not "at bypass", and old readings are not what is now. */
static void test_info_of_what_is_not_known(void **state) {
        struct config c = panel_config();
        struct show w;

        (void)state;
        show_begin(&w, &c);
        w.s.highest_mv = some(3600);
        message(&w);
        message(&w);
        assert_true(board_line("INFO")->active);
        w.s.data_stale = true;
        time_passes(&w, 4 * USEC_PER_SEC);
        assert_false(board_line("INFO")->active);
        w.s.data_stale = false;
        w.s.v_bypass_mv = none();
        message(&w);
        message(&w);
        assert_false(board_line("INFO")->active);
        w.s.v_bypass_mv = some(3500);
        w.s.highest_mv = none();
        message(&w);
        message(&w);
        assert_false(board_line("INFO")->active);
        leds_free(w.leds);
}

/* B10's 3.5 periods without a message, slow and fast: just before, at, just after. */
static void test_silence_is_dark(void **state) {
        static const struct {
                int32_t period_msec;
                usec_t silence;
                bool lit;
        } rows[] = {
                {1000, 3499999, true}, {1000, 3500000, true}, {1000, 3500001, false},
                {500, 1749999, true},  {500, 1750000, true},  {500, 1750001, false},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct config c = panel_config();
                struct show w;

                show_begin(&w, &c);
                w.s.period_msec = rows[i].period_msec;
                w.s.relays[RELAY_LOAD].closed = true;
                message(&w);
                expect_leds(false, false, true);
                time_passes(&w, rows[i].silence);
                expect_leds(false, false, rows[i].lit);
                leds_free(w.leds);
        }
}

/* P16: an LED tells of the contact where that is known, not of the command. */
static void test_leds_and_feedback(void **state) {
        struct config c = panel_config();
        struct show w;

        (void)state;
        show_begin(&w, &c);
        w.s.relays[RELAY_CHARGE].closed = true;
        w.s.relays[RELAY_CHARGE].confirmed = some(0);
        w.s.relays[RELAY_LOAD].confirmed = some(1);
        message(&w);
        expect_leds(false, false, true);
        w.s.relays[RELAY_LOAD].confirmed = some(0);
        message(&w);
        expect_leds(true, false, false);
        leds_free(w.leds);
}

static void test_missing_led(void **state) {
        struct config c = panel_config();
        const char *why = NULL;
        struct show w;

        (void)state;
        board_line("CHARGE")->open_error = -EBUSY;
        show_begin(&w, &c);
        assert_string_equal(leds_fault(w.leds, &why), "charge LED");
        assert_string_equal(why, "GPIO line CHARGE is in use by 'other'");
        w.s.relays[RELAY_CHARGE].closed = w.s.relays[RELAY_LOAD].closed = true;
        message(&w);
        expect_leds(false, false, true); /* the others do */
        assert_int_equal(board_line("CHARGE")->n_tries, 1);
        leds_tick(w.leds, T0 + USEC_PER_SEC - 1);
        assert_int_equal(board_line("CHARGE")->n_tries, 1);
        leds_tick(w.leds, T0 + USEC_PER_SEC);
        assert_int_equal(board_line("CHARGE")->n_tries, 2);
        board_line("CHARGE")->open_error = 0;
        leds_tick(w.leds, T0 + 2 * USEC_PER_SEC);
        assert_null(leds_fault(w.leds, &why));
        expect_leds(false, true, true); /* as the others flash */
        leds_free(w.leds);
}

static void test_led_chip_vanishes(void **state) {
        struct config c = panel_config();
        const char *why = NULL;
        struct show w;

        (void)state;
        show_begin(&w, &c);
        board_line("INFO")->fail = board_line("INFO")->open_error = -ENODEV;
        message(&w);
        assert_string_equal(leds_fault(w.leds, &why), "info LED");
        assert_string_equal(why, "GPIO line INFO: its chip is gone");
        assert_false(board_line("INFO")->taken);
        message(&w); /* nothing to set, nothing that fails */
        message(&w);
        board_line("INFO")->fail = board_line("INFO")->open_error = 0;
        leds_tick(w.leds, w.now);
        assert_null(leds_fault(w.leds, &why));
        assert_true(board_line("INFO")->active);
        leds_free(w.leds);
}

/* A line that takes 60 ms is one for which a relay would wait: it is left alone for a minute. */
static void test_slow_led(void **state) {
        struct config c = panel_config();
        const char *why = NULL;
        struct show w;

        (void)state;
        show_begin(&w, &c);
        w.now = clock_now(); /* what is slow is measured by the clock */
        board_line("INFO")->slow_msec = 60;
        message(&w);
        assert_string_equal(leds_fault(w.leds, &why), "info LED");
        assert_non_null(strstr(why, "more than 50 ms"));
        assert_false(board_line("INFO")->taken);
        for (int i = 0; i < 50; i++) {
                message(&w);
                leds_tick(w.leds, w.now);
        }
        assert_int_equal(board_line("INFO")->n_tries, 1);
        board_line("INFO")->slow_msec = 0;
        leds_tick(w.leds, w.now + 20 * USEC_PER_SEC);
        assert_int_equal(board_line("INFO")->n_tries, 2);
        assert_null(leds_fault(w.leds, &why));
        leds_free(w.leds);
}

static void test_no_panel(void **state) {
        struct heartbeat *h;
        const char *why;
        struct config c;
        struct show w;

        (void)state;
        memset(&board, 0, sizeof(board));
        config_init(&c);
        show_begin(&w, &c);
        assert_int_equal(heartbeat_new(&c, T0, &h), 0);
        for (int i = 0; i < 10; i++) {
                message(&w);
                leds_tick(w.leds, w.now);
                heartbeat_tick(h, w.now, true);
                assert_true(heartbeat_due(h) == USEC_INFINITY); /* nothing wakes up for it */
        }
        assert_null(leds_fault(w.leds, &why));
        assert_null(heartbeat_fault(h));
        assert_int_equal(board.n_steps, 0);
        leds_free(w.leds);
        heartbeat_free(h);
        assert_null(leds_free(NULL));
        assert_null(heartbeat_free(NULL));
        assert_null(button_free(NULL));
}

/* ---- heartbeat -------------------------------------------------------------------------------------------------- */

static void test_heartbeat(void **state) {
        struct config c = panel_config();
        struct gpio_line *beat = board_line("BEAT");
        struct heartbeat *h;
        usec_t now = T0;

        (void)state;
        assert_int_equal(heartbeat_new(&c, now, &h), 0);
        assert_false(beat->active);
        heartbeat_tick(h, now, true);
        assert_true(beat->active);
        for (int i = 0; i < 20; i++) { /* half a second each, on time or up to 5 ms late: it does not add up */
                const usec_t due = T0 + (usec_t)(i + 1) * 500 * USEC_PER_MSEC;
                bool was = beat->active;

                assert_true(heartbeat_due(h) == due);
                heartbeat_tick(h, due - 1, true); /* a tick for something else */
                assert_int_equal(beat->active, was);
                now = due + (usec_t)(i % 6) * USEC_PER_MSEC;
                heartbeat_tick(h, now, true);
                assert_int_equal(beat->active, !was);
        }
        /* a loop that was held up for 1.3 s does not make good what it missed */
        bool was = beat->active;
        now = heartbeat_due(h) + 1300 * USEC_PER_MSEC;
        heartbeat_tick(h, now, true);
        assert_int_equal(beat->active, !was);
        assert_true(heartbeat_due(h) == now + 500 * USEC_PER_MSEC);

        heartbeat_tick(h, now + 1, false); /* at once */
        assert_false(beat->active);
        assert_true(heartbeat_due(h) == USEC_INFINITY);
        for (int i = 0; i < 10; i++) {
                now += USEC_PER_SEC;
                heartbeat_tick(h, now, false);
                assert_false(beat->active);
        }
        heartbeat_tick(h, now, true);
        assert_true(beat->active);
        heartbeat_free(h);
        assert_false(beat->active || beat->taken);
}

static void test_heartbeat_line_vanishes(void **state) {
        struct config c = panel_config();
        struct gpio_line *beat = board_line("BEAT");
        struct heartbeat *h;

        (void)state;
        beat->open_error = -EBUSY;
        assert_int_equal(heartbeat_new(&c, T0, &h), 0);
        assert_string_equal(heartbeat_fault(h), "GPIO line BEAT is in use by 'other'");
        heartbeat_tick(h, T0 + 1, true);
        assert_true(heartbeat_due(h) == USEC_INFINITY);
        beat->open_error = 0;
        heartbeat_tick(h, T0 + USEC_PER_SEC, true);
        assert_null(heartbeat_fault(h));
        assert_true(beat->active);
        beat->fail = beat->open_error = -ENODEV;
        heartbeat_tick(h, T0 + 1500 * USEC_PER_MSEC, true);
        assert_string_equal(heartbeat_fault(h), "GPIO line BEAT: its chip is gone");
        beat->fail = beat->open_error = 0;
        heartbeat_tick(h, T0 + 2500 * USEC_PER_MSEC, true);
        assert_true(beat->active);
        assert_null(heartbeat_fault(h));
        heartbeat_free(h);
}

/* ---- button ----------------------------------------------------------------------------------------------------- */

struct pressing {
        sd_event *event;
        struct button *button;
        unsigned n;
        enum button_press last;
};

static void on_pressed(void *userdata, enum button_press press) {
        struct pressing *p = userdata;

        p->n++;
        p->last = press;
}

static void pressing_begin(struct pressing *p, const struct config *c) {
        const struct button_callbacks callbacks = {on_pressed, p};

        *p = (struct pressing){0};
        assert_true(sd_event_new(&p->event) >= 0);
        assert_int_equal(button_new(p->event, c, clock_now(), &callbacks, &p->button), 0);
        assert_int_equal(p->n, 0); /* never from within */
}

static void pressing_end(struct pressing *p) {
        button_free(p->button);
        sd_event_unref(p->event);
        assert_false(board_line("BUTTON")->taken);
}

static usec_t monotonic(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

/* Both ways of debouncing, through the loop: by the times on the edges, which lie in the past here. */
static void test_button_short(void **state) {
        (void)state;
        for (int debounces = 0; debounces <= 1; debounces++) {
                struct config c = panel_config();
                struct pressing p;
                usec_t now;

                board.debounces = debounces;
                pressing_begin(&p, &c);
                now = monotonic();
                board_edge("BUTTON", now - 4999 * USEC_PER_MSEC, true);
                board_edge("BUTTON", now - 1, false);
                assert_true(loop_until(p.event, &p.n, 1, 2 * USEC_PER_SEC));
                assert_int_equal(p.last, BUTTON_SHORT);
                assert_true(monotonic() - (now - 1) >= (debounces ? 0 : 20 * USEC_PER_MSEC));
                loop_for(p.event, 50 * USEC_PER_MSEC);
                assert_int_equal(p.n, 1);

                /* 19 ms: a bounce for who has to look himself, a press for who is told that it was one */
                now = monotonic();
                board_edge("BUTTON", now - 30 * USEC_PER_MSEC, true);
                board_edge("BUTTON", now - 11 * USEC_PER_MSEC, false);
                loop_for(p.event, 50 * USEC_PER_MSEC);
                assert_int_equal(p.n, debounces ? 2 : 1);
                pressing_end(&p);
        }
}

static void test_button_held(void **state) {
        struct config c = panel_config();
        struct pressing p;
        usec_t now;

        (void)state;
        pressing_begin(&p, &c);
        now = monotonic();
        board_edge("BUTTON", now - 4800 * USEC_PER_MSEC, true); /* 0.2 s to go, by the timer */
        loop_for(p.event, 100 * USEC_PER_MSEC);
        assert_int_equal(p.n, 0);
        assert_true(loop_until(p.event, &p.n, 1, 2 * USEC_PER_SEC));
        assert_int_equal(p.last, BUTTON_HELD);
        assert_true(monotonic() - now >= 200 * USEC_PER_MSEC);
        board_edge("BUTTON", monotonic(), false);
        loop_for(p.event, 100 * USEC_PER_MSEC);
        assert_int_equal(p.n, 1);
        pressing_end(&p);
}

static void test_button_at_start(void **state) {
        struct config c = panel_config();
        struct pressing p;
        usec_t began;

        (void)state;
        board_line("BUTTON")->active = true;
        began = monotonic();
        pressing_begin(&p, &c);
        assert_true(loop_until(p.event, &p.n, 1, 3 * USEC_PER_SEC));
        assert_int_equal(p.last, BUTTON_HELD_AT_START);
        assert_true(monotonic() - began >= USEC_PER_SEC);
        pressing_end(&p);
}

/* The chip goes, which no edge tells (libgpiod 1.6), and returns with the button down: that means nothing. */
static void test_button_vanishes(void **state) {
        struct config c = panel_config();
        struct gpio_line *l = board_line("BUTTON");
        struct pressing p;

        (void)state;
        pressing_begin(&p, &c);
        l->fail = l->open_error = -ENODEV;
        button_tick(p.button, clock_now());
        assert_string_equal(button_fault(p.button), "GPIO line BUTTON: its chip is gone");
        assert_false(l->taken);
        loop_for(p.event, 20 * USEC_PER_MSEC);
        l->fail = l->open_error = 0;
        l->active = true;
        button_tick(p.button, clock_now() + 2 * USEC_PER_SEC);
        assert_null(button_fault(p.button));
        loop_for(p.event, 1100 * USEC_PER_MSEC);
        board_edge("BUTTON", monotonic(), false);
        loop_for(p.event, 50 * USEC_PER_MSEC);
        assert_int_equal(p.n, 0);
        board_edge("BUTTON", monotonic() - 500 * USEC_PER_MSEC, true);
        board_edge("BUTTON", monotonic() - 100 * USEC_PER_MSEC, false);
        assert_true(loop_until(p.event, &p.n, 1, USEC_PER_SEC));
        assert_int_equal(p.last, BUTTON_SHORT);
        pressing_end(&p);
}

/* The descriptor says that the chip is gone: no turning round and round. */
static void test_button_hangs_up(void **state) {
        struct config c = panel_config();
        struct pressing p;

        (void)state;
        pressing_begin(&p, &c);
        board_edge("BUTTON", monotonic(), true);
        board_line("BUTTON")->fail = board_line("BUTTON")->open_error = -ENODEV;
        loop_for(p.event, 50 * USEC_PER_MSEC);
        assert_non_null(button_fault(p.button));
        assert_int_equal(p.n, 0);
        pressing_end(&p);
}

/* Edges for which the kernel had no room: the level is looked at each second. */
static void test_button_lost_edges(void **state) {
        struct config c = panel_config();
        struct pressing p;

        (void)state;
        pressing_begin(&p, &c);
        board_edge("BUTTON", monotonic() - 300 * USEC_PER_MSEC, true);
        loop_for(p.event, 50 * USEC_PER_MSEC);
        board_line("BUTTON")->active = false; /* and no edge */
        button_tick(p.button, clock_now());
        assert_true(loop_until(p.event, &p.n, 1, USEC_PER_SEC));
        assert_int_equal(p.last, BUTTON_SHORT);
        pressing_end(&p);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_leds_follow_messages),
                cmocka_unit_test(test_info_is_steady_at_bypass),
                cmocka_unit_test(test_info_of_what_is_not_known),
                cmocka_unit_test(test_silence_is_dark),
                cmocka_unit_test(test_leds_and_feedback),
                cmocka_unit_test(test_missing_led),
                cmocka_unit_test(test_led_chip_vanishes),
                cmocka_unit_test(test_slow_led),
                cmocka_unit_test(test_no_panel),
                cmocka_unit_test(test_heartbeat),
                cmocka_unit_test(test_heartbeat_line_vanishes),
                cmocka_unit_test(test_button_short),
                cmocka_unit_test(test_button_held),
                cmocka_unit_test(test_button_at_start),
                cmocka_unit_test(test_button_vanishes),
                cmocka_unit_test(test_button_hangs_up),
                cmocka_unit_test(test_button_lost_edges),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
