/* SPDX-License-Identifier: MIT */

/* A restart as the pack would see it (P14): two gateways hear the same messages, one of them is restarted in between
 * with no time lost. From the first moment that both decide again they must decide the same. And what happened between
 * the start and the reading of what was kept is not forgotten by it; and no text, however wrong, is a way past an
 * assert. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bms-rig.h"
#include "kept.h"

#define SECOND_BOOT (60 * USEC_PER_DAY + 20 * USEC_PER_SEC) /* the daemon's clock, 20 s after a boot */

static char text[KEPT_TEXT_MAX], error[200];

/* The next run, what was kept not read yet. */
static void stop_and_start(struct rig *r, usec_t now) {
        struct bms_config config = r->bms.config;

        (void)bms_keep(&r->bms, r->now, text);
        config.settings = r->bms.settings;
        config.await_state = true;
        r->now = now;
        bms_init(&r->bms, r->now, &config);
}

static void take(struct rig *r, int64_t off_sec) {
        const struct maybe64 off = some64(off_sec * (int64_t)USEC_PER_SEC);

        error[0] = '\0';
        if (bms_restore(&r->bms, r->now, text, off, error, sizeof(error)) < 0)
                fail_msg("%s", error);
}

static void take_text(struct rig *r, const char *lines) {
        snprintf(text, sizeof(text), "smartbms-state 1\n%s", lines);
        take(r, 0);
}

/* ---- twins ------------------------------------------------------------------------------------------------------ */

struct weather {
        int volt_mv, low_mv; /* all cells; one of them, 0 = as the others */
        int degc, current;
        int seconds;
};

static struct weather any_weather(uint64_t *seed) {
        static const int volts[] = {2795, 2900, 3050, 3280, 3330, 3440, 3495, 3500, 3655};
        static const int temperatures[] = {-3, 1, 3, 25, 25, 25, 25, 54, 56};
        static const int currents[] = {-100, -20, -2, 0, 0, 2, 20, 100};
        static const int seconds[] = {1, 2, 5, 20, 70, 400, 1900};

        return (struct weather){
                .volt_mv = volts[compose_random(seed) % 9],
                .low_mv = compose_random(seed) % 4 == 0 ? volts[compose_random(seed) % 9] : 0,
                .degc = temperatures[compose_random(seed) % 9],
                .current = currents[compose_random(seed) % 8],
                .seconds = seconds[compose_random(seed) % 7],
        };
}

static void under(struct rig *r, const struct weather *w) {
        set_all(r, w->volt_mv);
        if (w->low_mv != 0)
                r->cells[1].voltage_raw = MV(w->low_mv);
        for (int i = 0; i < N; i++)
                r->cells[i].temperature_raw = DEGC(w->degc);
        r->in = w->current > 0 ? w->current : 0;
        r->out = w->current < 0 ? -w->current : 0;
}

/* What is remembered of a latch, times as they are from now. */
struct memory {
        bool wait, counts, t_low, t_high, cycling, locked;
        enum rule v_hysteresis;
        int64_t delay, pause, locked_ago, cycling_ago, closings_ago[RELAY_CLOSINGS_PER_HOUR];
        unsigned closings, since_cycling, vmin_trips;
        int64_t charged;
};

static int64_t left(const struct rig *r, usec_t until) {
        return until > r->now ? (int64_t)(until - r->now) : 0;
}

/* Beyond a day nothing looks back, and the earliest that a clock can say is no longer exact. */
static int64_t ago(const struct rig *r, usec_t at) {
        return at == 0 || r->now - at > USEC_PER_DAY ? -1 : (int64_t)(r->now - at);
}

static void remember(const struct rig *r, enum relay_id id, struct memory *ret) {
        const struct relay *y = &r->bms.relays.relay[id];
        struct memory m;

        memset(&m, 0, sizeof(m)); /* compared as bytes */
        m.wait = y->wait_for_restart;
        m.counts = y->counts;
        m.t_low = y->t_low_hysteresis;
        m.t_high = y->t_high_hysteresis;
        m.cycling = y->cycling;
        m.locked = y->locked;
        m.v_hysteresis = y->v_hysteresis;
        m.delay = left(r, y->delay_until);
        m.pause = left(r, y->pause_until);
        m.locked_ago = y->locked ? ago(r, y->locked_at) : -1;
        m.cycling_ago = ago(r, y->cycling_since);
        for (unsigned i = 0; i < y->closings_filled; i++)
                m.closings_ago[i] = ago(r, y->closings[(y->closings_next + 2 * RELAY_CLOSINGS_PER_HOUR - 1 - i) %
                                                       RELAY_CLOSINGS_PER_HOUR]);
        m.closings = y->closings_filled;
        m.since_cycling = y->closings_since_cycling;
        m.vmin_trips = y->vmin_trips;
        m.charged = y->vmin_trips > 0 ? r->bms.soc.charged_mams - y->vmin_trips_charged_mams : 0;
        *ret = m;
}

static void assert_same_memory(const struct rig *a, const struct rig *b, int round) {
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                struct memory ma, mb;

                remember(a, id, &ma);
                remember(b, id, &mb);
                if (memcmp(&ma, &mb, sizeof(ma)) != 0)
                        fail_msg("round %d, relay %d: not remembered as it was", round, id);
        }
        assert_int_equal(a->bms.soc.known, b->bms.soc.known);
        assert_int_equal(a->bms.soc.charge_mams, b->bms.soc.charge_mams);
        assert_int_equal(a->bms.soc.remainder, b->bms.soc.remainder);
        assert_int_equal(a->bms.soc.calibrated, b->bms.soc.calibrated);
        assert_int_equal(a->bms.soc.growth_mams, b->bms.soc.growth_mams);
        assert_int_equal(a->bms.soc.growth_counted_mams, b->bms.soc.growth_counted_mams);
        assert_int_equal(a->bms.soc.sync_uncertainty_mams, b->bms.soc.sync_uncertainty_mams);
        assert_int_equal(a->bms.soc.idle_draw_ma, b->bms.soc.idle_draw_ma);
        assert_int_equal(a->bms.soc.hidden_unsure_ma, b->bms.soc.hidden_unsure_ma);
        assert_memory_equal(&a->bms.soc.learning, &b->bms.soc.learning, sizeof(a->bms.soc.learning));
        assert_int_equal(ago(a, a->bms.imbalance_at), ago(b, b->bms.imbalance_at));
        for (unsigned i = 1; i <= 3; i++) /* the newest first, wherever the ring has it */
                assert_int_equal(ago(a, a->bms.vmax_openings[(a->bms.vmax_openings_next + 3 - i) % 3]),
                                 ago(b, b->bms.vmax_openings[(b->bms.vmax_openings_next + 3 - i) % 3]));
}

static void feed_both(struct rig *a, struct rig *b, int frames) {
        feed(a, frames);
        feed(b, frames);
}

/* An open relay that was held by what is remembered alone stays open for as long in both. */
static void assert_same_decisions(struct rig *a, struct rig *b, int round) {
        const struct weather calm = {.volt_mv = 3330, .degc = 25, .current = -2};
        /* Calm weather, until both have closed, or both hold, what they would: three messages for the link, two for a
         * closing, two for the difference. */
        under(a, &calm);
        under(b, &calm);
        for (int i = 0; i < 4000; i++) {
                feed_both(a, b, 1);
                if (i >= 10 && (charge(a) != charge(b) || load(a) != load(b)))
                        fail_msg("round %d, %d s after the restart: charge %d and %d, load %d and %d", round, i,
                                 charge(a), charge(b), load(a), load(b));
        }
}

static void test_twins(void **state) {
        static struct rig a, b;
        uint64_t seed = 11;
        unsigned held = 0, open = 0;

        (void)state;
        for (int round = 0; round < 150; round++) {
                struct settings s = rig_settings();

                s.values[SETTING_MODE] = some(round % 5 == 4 ? MODE_CRITICAL : MODE_NORMAL);
                rig_init_with(&a, &s);
                feed(&a, 10);
                for (int i = (int)(compose_random(&seed) % 14); i >= 0; i--) {
                        const struct weather w = any_weather(&seed);

                        under(&a, &w);
                        feed(&a, w.seconds);
                }
                b = a;
                stop_and_start(&b, SECOND_BOOT);
                take(&b, 0);
                assert_same_memory(&a, &b, round);
                for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                        if (!bms_relay_closed(&a.bms, id)) { /* its reason stays, with its age */
                                const struct reason *ra = &a.bms.relays.relay[id].reason;
                                const struct reason *rb = &b.bms.relays.relay[id].reason;

                                assert_int_equal(ra->rule, rb->rule);
                                assert_int_equal(ra->cell, rb->cell);
                                assert_int_equal(ra->value.value, rb->value.value);
                                assert_int_equal(ra->limit.value, rb->limit.value);
                                assert_int_equal(ago(&a, ra->at), ago(&b, rb->at));
                                open++;
                                held += a.bms.relays.relay[id].wait_for_restart || a.bms.relays.relay[id].locked;
                        } else
                                assert_int_equal(b.bms.relays.relay[id].reason.rule, RULE_START);
                assert_same_decisions(&a, &b, round);
        }
        assert_true(open > 50 && held > 20);
}

/* ---- each field ------------------------------------------------------------------------------------------------- */

#define HOURS_AGO(r, n) ((r)->now - (usec_t)(n) * USEC_PER_HOUR)

/* Each with a value of its own, so that none can be left out or come back as another. */
static void fill_fields(struct rig *r) {
        struct soc *s = &r->bms.soc;

        s->known = s->calibrated = s->had_second_sensor = s->reversed = true;
        s->charge_mams = 1001;
        s->remainder = -1002;
        s->sync_uncertainty_mams = 1003;
        s->growth_mams = 1004;
        s->growth_counted_mams = 1001;
        s->growth_remainder = 1005;
        s->last_sync = HOURS_AGO(r, 1);
        s->uncounted_usec = 1006;
        s->steps = 19;
        s->steps_reversed = 1007;
        s->charged_mams = 900000;
        s->idle_draw_ma = 108;
        s->learning = (struct soc_learning){true, -1009, -1010, 1011, 1012, 1013, 1014};
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                r->bms.relays.relay[id] = (struct relay){
                        .reason = {RULE_T_MAX_CELL, (uint8_t)(3 + id), some(561), some(-550), HOURS_AGO(r, 2)},
                        .opened_at = HOURS_AGO(r, 3), .recovery = true, .wait_for_restart = true,
                        .v_hysteresis = id == RELAY_CHARGE ? RULE_V_MAX : RULE_V_MIN, .t_low_hysteresis = true,
                        .t_high_hysteresis = true, .delay_until = r->now + 1016 + id,
                        .pause_until = r->now + 1018 + id, .counts = true,
                        .closings = {HOURS_AGO(r, 4), HOURS_AGO(r, 5), HOURS_AGO(r, 6), HOURS_AGO(r, 7),
                                     HOURS_AGO(r, 8), HOURS_AGO(r, 9)},
                        .closings_next = 4, .closings_filled = 6, .cycling_since = HOURS_AGO(r, 10),
                        .closings_since_cycling = 1020 + id, .cycling = true, .locked = true,
                        .locked_at = HOURS_AGO(r, 11), .vmin_trips = 1022 + id, .vmin_trips_charged_mams = 80000 + id,
                };
        r->bms.imbalance_at = HOURS_AGO(r, 12);
        r->bms.imbalance_highest = 3;
        r->bms.imbalance_lowest = 2;
        r->bms.vmax_openings[0] = HOURS_AGO(r, 15);
        r->bms.vmax_openings[1] = HOURS_AGO(r, 14);
        r->bms.vmax_openings_next = 2; /* a third within the day would be an imbalance of its own */
        r->bms.pack.switches.believed = some(202);
}

static void assert_same_relay(const struct rig *a, const struct rig *b, enum relay_id id) {
        const struct relay *x = &a->bms.relays.relay[id], *y = &b->bms.relays.relay[id];
        struct memory ma, mb;

        remember(a, id, &ma);
        remember(b, id, &mb);
        assert_memory_equal(&ma, &mb, sizeof(ma));
        assert_true(mb.wait && mb.counts && mb.t_low && mb.t_high && mb.cycling && mb.locked);
        assert_int_equal(mb.v_hysteresis, id == RELAY_CHARGE ? RULE_V_MAX : RULE_V_MIN);
        assert_int_equal(mb.locked_ago, 11 * USEC_PER_HOUR);
        assert_int_equal(mb.closings_ago[0], 7 * USEC_PER_HOUR); /* before slot 4 */
        assert_int_equal(y->reason.rule, RULE_T_MAX_CELL);
        assert_int_equal(y->reason.cell, x->reason.cell);
        assert_int_equal(y->reason.value.value, 561);
        assert_int_equal(y->reason.limit.value, -550);
        assert_int_equal(ago(b, y->reason.at), 2 * USEC_PER_HOUR);
        assert_int_equal(ago(b, y->opened_at), 3 * USEC_PER_HOUR);
        assert_true(y->recovery);
}

static void test_each_field(void **state) {
        struct rig r, again;

        (void)state;
        start(&r);
        fill_fields(&r);
        again = r;
        stop_and_start(&again, SECOND_BOOT);
        take(&again, 0);
        assert_same_memory(&r, &again, 0);
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                assert_same_relay(&r, &again, id);
        const struct soc *s = &again.bms.soc;
        assert_int_equal(s->growth_remainder, 1005);
        assert_int_equal(ago(&again, s->last_sync), USEC_PER_HOUR);
        assert_int_equal(s->uncounted_usec, 1006);
        assert_true(s->had_second_sensor && s->reversed && s->sensor == SOC_SENSOR_REVERSED);
        assert_int_equal(s->steps, 19);
        assert_int_equal(s->steps_reversed, 1007);
        assert_int_equal(s->charged_mams, 900000);
        assert_int_equal(s->idle_draw_ma, 108);
        assert_int_equal(s->learning.hidden_usec, 1014);
        assert_int_equal(again.bms.pack.switches.believed.value, 202);
        assert_int_equal(ago(&again, again.bms.imbalance_at), 12 * USEC_PER_HOUR);
        assert_int_equal(again.bms.imbalance_highest, 3);
        assert_int_equal(again.bms.imbalance_lowest, 2);
        assert_int_equal(ago(&again, again.bms.vmax_openings[0]), 15 * USEC_PER_HOUR);
        assert_int_equal(ago(&again, again.bms.vmax_openings[1]), 14 * USEC_PER_HOUR);
        assert_int_equal(again.bms.vmax_openings_next, 2);
}

/* S6: what was counted is a part of the growth, whatever the text says; and none of it in an older version's. */
static void test_counted_is_a_part(void **state) {
        static const struct {
                const char *lines;
                int64_t counted;
        } rows[] = {
                {"soc.growth_mams 1000\nsoc.growth_counted_mams 999\n", 999},
                {"soc.growth_mams 1000\nsoc.growth_counted_mams 1000\n", 1000},
                {"soc.growth_mams 1000\nsoc.growth_counted_mams 1001\n", 1000},
                {"soc.growth_mams 1000\n", 0},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char lines[200];
                struct rig r;

                start(&r);
                stop_and_start(&r, SECOND_BOOT);
                (void)snprintf(lines, sizeof(lines), "soc.known 1\nsoc.capacity_mams %" PRId64 "\n%s",
                               r.bms.soc.capacity_mams, rows[i].lines); /* or all of it would be scaled */
                take_text(&r, lines);
                assert_int_equal(r.bms.soc.growth_mams, 1000);
                assert_int_equal(r.bms.soc.growth_counted_mams, rows[i].counted);
        }
}

/* Off for 100 us: what is left of a delay is that much less, what has passed that much longer ago. */
static void test_each_time(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        fill_fields(&r);
        stop_and_start(&r, SECOND_BOOT);
        assert_int_equal(bms_restore(&r.bms, r.now, text, some64(100), error, sizeof(error)), 0);
        const struct relay *y = &r.bms.relays.relay[RELAY_CHARGE];
        assert_int_equal(y->delay_until, r.now + 1016 - 100);
        assert_int_equal(y->pause_until, r.now + 1018 - 100);
        assert_int_equal(ago(&r, y->locked_at), 11 * USEC_PER_HOUR + 100);
        assert_int_equal(ago(&r, y->closings[5]), 9 * USEC_PER_HOUR + 100);
        assert_int_equal(ago(&r, r.bms.soc.last_sync), USEC_PER_HOUR + 100);

        /* Exactly as long as the delay, and one less: none is left, and 1 us. */
        for (int less = 0; less < 2; less++) {
                start(&r);
                fill_fields(&r);
                stop_and_start(&r, SECOND_BOOT);
                assert_int_equal(bms_restore(&r.bms, r.now, text, some64(1016 - less), error, sizeof(error)), 0);
                assert_int_equal(left(&r, r.bms.relays.relay[RELAY_CHARGE].delay_until), less);
        }
        /* Longer ago than the clock can say: early, but not "never". */
        start(&r);
        fill_fields(&r);
        stop_and_start(&r, SECOND_BOOT);
        take(&r, 70 * 86400);
        assert_int_equal(r.bms.soc.last_sync, 1);
        assert_int_equal(r.bms.relays.relay[RELAY_LOAD].closings[0], 1);
        /* Not known: a delay goes on as if no time had passed. */
        start(&r);
        fill_fields(&r);
        stop_and_start(&r, SECOND_BOOT);
        assert_int_equal(bms_restore(&r.bms, r.now, text, none64(), error, sizeof(error)), 0);
        assert_int_equal(r.bms.relays.relay[RELAY_CHARGE].delay_until, r.now + 1016);
}

/* ---- between the start and the reading -------------------------------------------------------------------------- */

/* V-min trips while what was kept is still being read: its hysteresis and its delay hold afterwards (P4). */
static void test_trip_before_it_is_read(void **state) {
        struct rig r;
        usec_t tripped;

        (void)state;
        start(&r);
        stop_and_start(&r, SECOND_BOOT);
        set_all(&r, 2790);
        feed(&r, 5);
        tripped = r.bms.relays.relay[RELAY_LOAD].delay_until - 60 * USEC_PER_SEC;
        take(&r, 5);
        set_all(&r, 2995); /* above V-min 2.800 V, not above it by 200 mV */
        feed(&r, 5);
        assert_true(holds(&r, RELAY_LOAD, HOLD_V_HYSTERESIS));
        set_all(&r, 3300);
        feed(&r, 3);
        assert_false(holds(&r, RELAY_LOAD, HOLD_V_HYSTERESIS));
        assert_true(holds(&r, RELAY_LOAD, HOLD_DELAY));
        assert_true(r.now < tripped + 60 * USEC_PER_SEC);
        feed(&r, (int)((tripped + 60 * USEC_PER_SEC - r.now) / USEC_PER_SEC) - 1);
        assert_false(load(&r));
        feed(&r, 4);
        assert_true(load(&r));
        assert_int_equal(r.bms.relays.relay[RELAY_LOAD].closings_filled, 1); /* P5: it counts */
}

/* The same with a delay from before that is longer: the later end holds. */
static void test_later_delay_holds(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        stop_and_start(&r, SECOND_BOOT);
        set_all(&r, 2790);
        feed(&r, 5);
        take_text(&r, "load.delay 3000000000\n");
        assert_int_equal(r.bms.relays.relay[RELAY_LOAD].delay_until, r.now + 3000 * USEC_PER_SEC);
        take_text(&r, "load.delay 1000000\n"); /* and a shorter one takes nothing away */
        assert_int_equal(r.bms.relays.relay[RELAY_LOAD].delay_until, r.now + 3000 * USEC_PER_SEC);
}

/* A full sync since the start ends the imbalance that was kept (P6). */
static void test_full_before_it_is_read(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        set_all(&r, 3380);
        r.cells[2].voltage_raw = MV(3655); /* V-max, the lowest 120 mV below V-bypass */
        feed(&r, 3);
        assert_true(alarm_active(&r, ALARM_IMBALANCE_WARNING));
        stop_and_start(&r, SECOND_BOOT);
        set_all(&r, 3500);
        feed(&r, 5);
        assert_true(r.bms.soc.calibrated);
        take(&r, 5);
        feed(&r, 2);
        assert_false(alarm_active(&r, ALARM_IMBALANCE_WARNING));
        assert_int_equal(soc_permyriad(&r.bms.soc).value, 10000);
}

/* The time off was before the sync: it makes nothing unsure, whenever it gets known, and spoils no learning (S5). */
static void test_time_off_before_a_sync(void **state) {
        struct rig r;

        (void)state;
        for (int known = 0; known < 2; known++) {
                start(&r);
                fill(&r);
                stop_and_start(&r, SECOND_BOOT);
                feed(&r, 5);
                const int sure = soc_uncertainty_permyriad(&r.bms.soc).value;
                assert_true(r.bms.soc.calibrated && r.bms.soc.learning.begun);
                assert_int_equal(bms_restore(&r.bms, r.now, text,
                                             known ? some64((int64_t)USEC_PER_DAY) : none64(), error, sizeof(error)),
                                 0);
                bms_time_off_known(&r.bms, r.now, USEC_PER_DAY);
                assert_int_equal(soc_uncertainty_permyriad(&r.bms.soc).value, sure);
                assert_int_equal(r.bms.soc.uncounted_usec, 0);
                assert_true(r.bms.soc.learning.begun);
        }
}

/* S4's estimate is no sync: what was counted before is better. */
static void test_an_estimate_is_no_sync(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        fill(&r);
        set_soc(&r, 6000);
        stop_and_start(&r, SECOND_BOOT);
        set_all(&r, 3300);
        feed(&r, 1810); /* at rest for half an hour */
        assert_true(r.bms.soc.known && !r.bms.soc.calibrated);
        assert_int_equal(soc_permyriad(&r.bms.soc).value, 5000); /* 3.300 V by the published curve */
        take(&r, 1810);
        assert_int_equal(soc_permyriad(&r.bms.soc).value, 6000);
        assert_true(r.bms.soc.calibrated);
}

/* A person's word since the start is a newer one than the count. */
static void test_a_persons_word(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        fill(&r);
        set_soc(&r, 6000);
        stop_and_start(&r, SECOND_BOOT);
        feed(&r, 5);
        set_soc(&r, 3000);
        take(&r, 5);
        assert_int_equal(soc_permyriad(&r.bms.soc).value, 3000);
}

/* ---- the time off, known later ---------------------------------------------------------------------------------- */

/* A person's word, too, settles what was assumed. */
static void test_settled_by_a_person(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        fill(&r);
        stop_and_start(&r, SECOND_BOOT);
        assert_int_equal(bms_restore(&r.bms, r.now, text, none64(), error, sizeof(error)), 0);
        set_all(&r, 3300); /* not full any more: no sync */
        feed(&r, 5);
        assert_int_equal(soc_uncertainty_permyriad(&r.bms.soc).value / 100, 21); /* a point, and an hour's 20 */
        set_soc(&r, 5000);
        assert_int_equal(soc_uncertainty_permyriad(&r.bms.soc).value, 1000);
        bms_time_off_known(&r.bms, r.now, USEC_PER_DAY);
        assert_int_equal(soc_uncertainty_permyriad(&r.bms.soc).value, 1000);
}

/* The clock is set 10 min after the start; of the 25 min since the state was kept 15 were the time off: C/5 per hour
 * makes 5 points of them. */
static void test_the_run_is_no_time_off(void **state) {
        struct event event;
        struct rig r;
        bool told = false;

        (void)state;
        start(&r);
        fill(&r);
        set_soc(&r, 6000);
        stop_and_start(&r, SECOND_BOOT);
        assert_int_equal(bms_restore(&r.bms, r.now, text, none64(), error, sizeof(error)), 0);
        set_all(&r, 3300);
        feed(&r, 600);
        const int64_t hour = r.bms.soc.capacity_mams / 5, before = r.bms.soc.growth_mams;
        assert_in_range(before, hour, hour + r.bms.soc.capacity_mams / 100);
        while (bms_next_event(&r.bms, &event))
                ;
        bms_time_off_known(&r.bms, r.now, 1500 * USEC_PER_SEC);
        assert_int_equal(before - r.bms.soc.growth_mams, hour - hour / 4);
        while (bms_next_event(&r.bms, &event))
                told = told || strstr(event.text, "off for 15 min before");
        assert_true(told);
}

/* 90 points were unsure before; 20 more were assumed, but none are beyond the whole. Taking back what was assumed must
 * not take more than came of it. */
static void test_taken_back_from_the_bound(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        fill(&r);
        set_soc(&r, 5000); /* 10 points */
        r.bms.soc.growth_mams = r.bms.soc.capacity_mams / 100 * 90;
        stop_and_start(&r, SECOND_BOOT);
        assert_int_equal(bms_restore(&r.bms, r.now, text, none64(), error, sizeof(error)), 0);
        bms_time_off_known(&r.bms, r.now, 0);
        assert_int_equal(soc_growth_permyriad(&r.bms.soc).value, 9000);
}

/* ---- no text is a way past an assert ---------------------------------------------------------------------------- */

static void test_bounds(void **state) {
        static const struct {
                const char *lines, *words;
        } rows[] = {
                {"load.v_hysteresis T-max\n", "load.v_hysteresis"}, /* only V rules have one: relay.c asserts so */
                {"load.v_hysteresis link\n", "load.v_hysteresis"},
                {"load.v_hysteresis full\n", "load.v_hysteresis"},
                {"soc.known 1\nsoc.charge_mams 1\n", "more charge"}, /* no capacity: below full, so never above 0 */
                {"load.vmin_trips 3\nload.vmin_trips_charged_mams 5\n", "vmin_trips_charged"}, /* of nothing charged */
                {"soc.idle_draw_ma 1000001\n", "0 to 1000000"},
                {"soc.steps 21\n", "0 to 20"},
                {"soc.steps_reversed 4294967296\n", "0 to 4294967295"},
                {"pack.cells 1\n", "pack.cells"}, /* a chain has two at least */
                {"pack.cells 256\n", "0 to 255"},
        };
        static struct bms untouched;
        struct rig r;

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                start(&r);
                stop_and_start(&r, SECOND_BOOT);
                untouched = r.bms;
                snprintf(text, sizeof(text), "smartbms-state 1\n%s", rows[i].lines);
                error[0] = '\0';
                if (bms_restore(&r.bms, r.now, text, some64(0), error, sizeof(error)) != -EINVAL)
                        fail_msg("taken: %s", rows[i].lines);
                if (!strstr(error, rows[i].words))
                        fail_msg("%zu: \"%s\" does not say \"%s\"", i, error, rows[i].words);
                assert_untouched(&r.bms, &untouched);
        }
        /* Longer than bms_keep() ever writes: not one of ours. */
        static char big[KEPT_TEXT_MAX + 100];
        memset(big, 'x', sizeof(big) - 2);
        memcpy(big, "smartbms-state 1\nx ", 19);
        big[sizeof(big) - 2] = '\n';
        assert_int_equal(bms_restore(&r.bms, r.now, big, some64(0), error, sizeof(error)), -EINVAL);
        assert_untouched(&r.bms, &untouched);
}

/* Two unknowns compare equal: a value that is not known is 0 (units.h). One that is known may be 0. */
static void test_unknown_is_unknown(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        stop_and_start(&r, SECOND_BOOT);
        take_text(&r, "load.rule T-min\nload.rule_value 0\n");
        const struct reason *reason = &r.bms.relays.relay[RELAY_LOAD].reason;
        assert_true(reason->value.known && reason->value.value == 0);
        assert_true(!reason->limit.known && reason->limit.value == 0);
        assert_false(r.bms.pack.switches.believed.known);
        stop_and_start(&r, SECOND_BOOT);
        assert_non_null(strstr(text, "\nload.rule_value 0\n"));
        assert_null(strstr(text, "rule_limit"));
        assert_null(strstr(text, "switches"));
}

/* An empty pack must be chargeable (P2): a V-min trip ends the lock of the charge relay, though it is read after it. */
static void test_empty_before_it_is_read(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        stop_and_start(&r, SECOND_BOOT);
        set_all(&r, 2790);
        feed(&r, 5);
        take_text(&r, "charge.locked 1\ncharge.locked_at 3600000001\ncharge.cycling_since 3600000001\n"
                      "charge.wait_for_restart 1\ncharge.v_hysteresis V-max\ncharge.pause 900000000\n");
        assert_false(holds(&r, RELAY_CHARGE, HOLD_RELEASE));
        assert_false(holds(&r, RELAY_CHARGE, HOLD_DELAY));
        feed(&r, 3);
        assert_true(charge(&r));
}

/* P6: two openings by V-max in the run before and one in this are three. */
static void test_vmax_openings_of_both_runs(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        stop_and_start(&r, SECOND_BOOT);
        bms_restore_nothing(&r.bms, r.now);
        feed(&r, 10);
        set_all(&r, 3380);
        r.cells[2].voltage_raw = MV(3655);
        feed(&r, 3); /* opened by V-max, in this run */
        assert_false(charge(&r));
        const usec_t own = r.bms.vmax_openings[0];
        assert_true(own != 0);
        take_text(&r, "pack.vmax_opening_1 7200000001\npack.vmax_opening_2 3600000001\npack.vmax_openings_next 2\n");
        assert_int_equal(r.bms.vmax_openings[0], r.now - 7200 * USEC_PER_SEC);
        assert_int_equal(r.bms.vmax_openings[1], r.now - 3600 * USEC_PER_SEC);
        assert_int_equal(r.bms.vmax_openings[2], own);
        assert_int_equal(r.bms.vmax_openings_next, 0); /* the oldest is the next to go */
}

/* Every name that a fuller struct could have, with any number: whatever is taken, a day of any weather is survived. */
static void test_any_numbers(void **state) {
        static char good[KEPT_TEXT_MAX];
        static struct bms untouched;
        static struct rig full, r;
        uint64_t seed = 5;
        unsigned taken = 0, refused = 0;

        (void)state;
        start(&full);
        fill(&full);
        set_all(&full, 2790);
        feed(&full, 100);
        (void)bms_keep(&full.bms, full.now, good);
        for (int round = 0; round < 400; round++) {
                size_t n = 0;

                for (const char *line = good; *line; line += strcspn(line, "\n") + 1) {
                        static const char *const numbers[] = {"0", "1", "2", "6", "100", "3600000000",
                                                              "9999999999999999", "-1", "-199999"};
                        const int length = (int)strcspn(line, " \n");

                        if (line == good || compose_random(&seed) % 12 != 0)
                                n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s\n", (int)strcspn(line, "\n"),
                                                      line);
                        else
                                n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s %s\n", length, line,
                                                      numbers[compose_random(&seed) % 9]);
                }
                r = full;
                struct bms_config config = full.bms.config;
                config.await_state = true;
                r.now = SECOND_BOOT;
                bms_init(&r.bms, r.now, &config);
                untouched = r.bms;
                if (bms_restore(&r.bms, r.now, text, some64(7), error, sizeof(error)) < 0) {
                        assert_untouched(&r.bms, &untouched);
                        refused++;
                        continue;
                }
                taken++;
                for (int i = 0; i < 12; i++) {
                        const struct weather w = any_weather(&seed);
                        static struct snapshot s;
                        struct maybe soc;

                        under(&r, &w);
                        feed(&r, w.seconds % 100);
                        bms_snapshot(&r.bms, r.now, &s);
                        soc = soc_permyriad(&r.bms.soc);
                        if (soc.known)
                                assert_in_range(soc.value, 0, 10000);
                }
        }
        assert_true(taken > 50 && refused > 50);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_twins),
                cmocka_unit_test(test_each_field),
                cmocka_unit_test(test_counted_is_a_part),
                cmocka_unit_test(test_each_time),
                cmocka_unit_test(test_trip_before_it_is_read),
                cmocka_unit_test(test_later_delay_holds),
                cmocka_unit_test(test_full_before_it_is_read),
                cmocka_unit_test(test_time_off_before_a_sync),
                cmocka_unit_test(test_an_estimate_is_no_sync),
                cmocka_unit_test(test_a_persons_word),
                cmocka_unit_test(test_settled_by_a_person),
                cmocka_unit_test(test_the_run_is_no_time_off),
                cmocka_unit_test(test_taken_back_from_the_bound),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_unknown_is_unknown),
                cmocka_unit_test(test_empty_before_it_is_read),
                cmocka_unit_test(test_vmax_openings_of_both_runs),
                cmocka_unit_test(test_any_numbers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
