/* SPDX-License-Identifier: MIT */

/* The link under random sequences of frames, repetitions, E frames, pauses and ticks. Beside it the test keeps
 * the few facts the rules speak of (who came when), and checks after every step what B8, B10, B11 and B13
 * promise. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "link.h"

#define STEPS 1000000
#define CELLS 16
#define MS USEC_PER_MSEC
#define S USEC_PER_SEC
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* What happened, as an onlooker writes it down. */
struct facts {
        usec_t now, started;
        usec_t last_frame, last_good; /* 0 = none; good: error-free, a repetition or not */
        unsigned good_run;            /* error-free ones in a row: no E, no silence, no lost port between */
        unsigned error_run;           /* E frames in a row, likewise */
        usec_t same_since;            /* the newest bytes come unchanged since; 0 = none to compare with */
        bool repeated;                /* ... for 10 s: nothing counts until another frame comes */
        bool light;                   /* the E light */
        bool error_since_good;
};

struct world {
        uint64_t random;
        struct link link;   /* ticked now and then */
        struct link unwatched; /* gets the frames, but never a tick */
        struct facts facts;
        struct frame frame;
        uint8_t bytes[FRAME_SIZE];
        unsigned lives, stales, errors, repeats; /* how often each was reached: the test must see them all */
};

static uint64_t draw(struct world *w, uint64_t below) {
        w->random ^= w->random << 13;
        w->random ^= w->random >> 7;
        w->random ^= w->random << 17;
        return w->random % below;
}

static usec_t draw_pause(struct world *w) {
        usec_t p = w->link.period;
        const usec_t pauses[] = {
                p, p, p, p, p, p, 500 * MS, 500 * MS, S, 0, 1, 60 * MS, p / 2, p * 3 / 2, p * 5 / 2,
                p * 7 / 2 - 1, p * 7 / 2, p * 7 / 2 + 1, 749999, 750 * MS, 750001, draw(w, 12 * S), 10 * S,
        };

        return pauses[draw(w, ARRAY_SIZE(pauses))];
}

static void next_good(struct world *w) {
        w->frame = (struct frame){
                .lowest_mv = 1000 + 5 * (uint32_t) draw(w, 500),
                .lowest_voltage_cell = 1,
                .count = CELLS,
                .detail_cell = (uint8_t) (w->frame.detail_cell % CELLS + 1),
                .lowest_temperature_known = true,
                .highest_temperature_known = true,
        };
        w->frame.highest_mv = w->frame.lowest_mv;
}

static void next_error(struct world *w) {
        next_good(w);
        switch (draw(w, 6)) {
        case 0:
                w->frame.status = FRAME_STATUS_COMMUNICATION_ERROR;
                break;
        case 1:
                w->frame.status = FRAME_STATUS_COMMUNICATION_ERROR;
                w->frame.count = (uint8_t) draw(w, CELLS);
                break;
        case 2:
                w->frame.count = (uint8_t) (CELLS + 1 + draw(w, 100));
                break;
        case 3:
                w->frame.lowest_mv = (uint32_t) (5 * draw(w, 200)); /* 0..995 mV: unknown, or dead */
                break;
        case 4:
                w->frame.lowest_temperature_known = false;
                break;
        default:
                w->frame.highest_mv = 0;
        }
}

/* Silence is noted before whatever ends it. */
static void note_time(struct facts *f, usec_t period) {
        usec_t heard = f->last_frame ? f->last_frame : f->started;

        if (f->same_since && f->now - f->same_since >= 10 * S && f->now - heard < period * 7 / 2) {
                f->repeated = true;
                f->good_run = 0;
        }
        if (f->now - heard < period * 7 / 2)
                return;
        f->good_run = f->error_run = 0;
        f->same_since = 0;
        f->repeated = false;
}

static void note_good(struct facts *f, bool same) {
        f->last_frame = f->last_good = f->now;
        f->error_run = 0;
        f->error_since_good = false;
        if (!same || !f->same_since) {
                f->same_since = f->now;
                f->repeated = false;
        }
        if (f->repeated)
                return;
        f->good_run++;
        if (f->good_run >= 3)
                f->light = false;
}

static void note_error(struct facts *f) {
        f->last_frame = f->now;
        f->good_run = 0;
        f->same_since = 0;
        f->repeated = false;
        f->error_run++;
        f->error_since_good = true;
        f->light = true;
}

static void check(struct world *w, enum link_state before) {
        const struct link *l = &w->link;
        const struct facts *f = &w->facts;
        usec_t patience = l->period * 7 / 2;
        usec_t good = f->last_good ? f->last_good : f->started;
        usec_t heard = f->last_frame ? f->last_frame : f->started;

        assert_true(l->period == S || l->period == 500 * MS);
        assert_int_equal(l->warning, f->light);
        if (l->state == LINK_LIVE) {
                assert_true(f->last_good > 0 && f->now - good < patience); /* B10 */
                assert_true(f->error_run < l->trip_frames);               /* B13 */
                assert_false(f->repeated);                                /* B11 */
                assert_true(before == LINK_LIVE || f->good_run >= 3);
        }
        if (f->good_run >= 3)
                assert_int_equal(l->state, LINK_LIVE); /* and back by itself */
        if (f->now - heard >= patience)
                assert_int_equal(l->state, LINK_STALE);
        else if (f->error_since_good && (f->error_run >= l->trip_frames || f->now - good >= patience))
                assert_true(l->state == LINK_ERROR || l->cause == LINK_CAUSE_PORT);
        if (f->repeated)
                assert_int_equal(l->state, LINK_STALE);
        if (l->state == LINK_ERROR) /* it was confirmed, and frames still come */
                assert_true(f->light && f->now - heard < patience);
        if (l->state == LINK_STARTING)
                assert_true(before == LINK_STARTING && f->now - heard < patience);

        w->lives += before != LINK_LIVE && l->state == LINK_LIVE;
        w->stales += before == LINK_LIVE && l->state == LINK_STALE;
        w->errors += before == LINK_LIVE && l->state == LINK_ERROR;
        w->repeats += f->repeated;
}

/* The promised time of the next change is exact: not a microsecond before, and then indeed. */
static void check_deadline(const struct world *w) {
        usec_t deadline = link_deadline(&w->link);
        struct link copy = w->link;

        if (w->link.state == LINK_STALE) {
                assert_true(deadline == USEC_INFINITY);
                link_tick(&copy, w->facts.now + USEC_PER_HOUR);
                assert_int_equal(copy.state, LINK_STALE);
                return;
        }
        assert_true(deadline > w->facts.now);
        link_tick(&copy, deadline - 1);
        assert_int_equal(copy.state, w->link.state);
        link_tick(&copy, deadline);
        assert_int_not_equal(copy.state, w->link.state);
}

static void give_frame(struct world *w, bool error, bool same) {
        uint8_t bytes[FRAME_SIZE];

        if (!same)
                error ? next_error(w) : next_good(w);
        frame_encode(&w->frame, TEMPERATURE_SHEET, bytes);
        same = memcmp(bytes, w->bytes, FRAME_SIZE) == 0;
        memcpy(w->bytes, bytes, FRAME_SIZE);

        if (error)
                note_error(&w->facts);
        else
                note_good(&w->facts, same);

        enum link_verdict v = link_frame(&w->link, w->facts.now, &w->frame, bytes);
        enum link_verdict u = link_frame(&w->unwatched, w->facts.now, &w->frame, bytes);
        assert_int_equal(v, error || w->facts.repeated ? LINK_FRAME_ERROR : LINK_FRAME_GOOD);

        /* Ticks only bring forward what the next frame would find anyway. */
        assert_int_equal(v, u);
        assert_int_equal(w->link.state, w->unwatched.state);
        assert_int_equal(w->link.cause, w->unwatched.cause);
        assert_int_equal(w->link.warning, w->unwatched.warning);
        assert_int_equal(w->link.period, w->unwatched.period);
        assert_true(link_deadline(&w->link) == link_deadline(&w->unwatched));
}

static void lose_port(struct world *w) {
        w->facts.good_run = w->facts.error_run = 0;
        w->facts.same_since = 0;
        w->facts.repeated = false;
        w->facts.error_since_good = false;
        link_port_lost(&w->link, w->facts.now);
        link_port_lost(&w->unwatched, w->facts.now);
        assert_int_equal(w->link.state, LINK_STALE);
}

static void step(struct world *w, bool last_was_error, unsigned mood, bool *ret_error) {
        enum link_state before = w->link.state;
        unsigned what = (unsigned) draw(w, 100);

        w->facts.now += draw_pause(w);
        note_time(&w->facts, w->link.period);
        *ret_error = last_was_error;
        if (what < 20) {
                link_tick(&w->link, w->facts.now);
        } else if (what == 20) {
                lose_port(w);
        } else if (mood == 0 && w->bytes[FRAME_OFF_COUNT] > 0) { /* stuck: the same again */
                give_frame(w, last_was_error, true);
        } else {
                *ret_error = mood == 1 ? what < 90 : what < 40;
                give_frame(w, *ret_error, false);
        }
        check(w, before);
        if (draw(w, 4) == 0)
                check_deadline(w);
}

static void run(uint64_t seed, unsigned trip_frames) {
        struct world w = {.random = seed, .facts = {.now = 1000 * S, .started = 1000 * S}};
        unsigned mood = 2;
        bool error = false;

        link_init(&w.link, w.facts.now, TAP_IN, CELLS, true, trip_frames);
        link_init(&w.unwatched, w.facts.now, TAP_IN, CELLS, true, trip_frames);
        for (unsigned i = 0; i < STEPS; i++) {
                if (draw(&w, 30) == 0)
                        mood = (unsigned) draw(&w, 6);
                step(&w, error, mood, &error);
        }
        /* a sequence that never went there would have proved nothing */
        assert_true(w.lives > 1000 && w.stales > 1000 && w.errors > 1000 && w.repeats > 1000);
}

static void test_random(void **state) {
        (void) state;
        for (unsigned trip_frames = 1; trip_frames <= 3; trip_frames++)
                run(0x9E3779B97F4A7C15 + trip_frames, trip_frames);
}

/* E frames alone never make it live, whatever their order and times. */
static void test_errors_only(void **state) {
        struct world w = {.random = 4711, .facts = {.now = 1000 * S, .started = 1000 * S}};
        uint8_t bytes[FRAME_SIZE];

        (void) state;
        link_init(&w.link, w.facts.now, TAP_IN, CELLS, true, 3);
        for (unsigned i = 0; i < STEPS; i++) {
                w.facts.now += draw_pause(&w);
                next_error(&w);
                frame_encode(&w.frame, TEMPERATURE_SHEET, bytes);
                assert_int_equal(link_frame(&w.link, w.facts.now, &w.frame, bytes), LINK_FRAME_ERROR);
                assert_int_not_equal(w.link.state, LINK_LIVE);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random),
                cmocka_unit_test(test_errors_only),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
