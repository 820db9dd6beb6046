/* SPDX-License-Identifier: MIT */
/* lib/soc-learn.c through lib/soc.c: the idle draw behind the sensor's blind spot (S5), and what it does to the
 * uncertainty (S6). 16 cells of 100 Ah, blind spot +-1 A: C/20 is 5 A, 1 point is 1 Ah. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "settings.h"
#include "soc.h"

#define HOUR USEC_PER_HOUR
#define X INT32_MIN
/* Messages so far apart that the tests stay short: intervals up to three of these are counted. */
#define PERIOD (100 * HOUR)

static const struct soc_config config_100ah = {
        .capacity_wh = {.known = true, .value = 5120},
        .cell_nominal_mv = 3200,
        .efficiency_percent = 100,
        .blind_spot_ma = 1000,
        .sensors = SENSORS_AUTO,
        .cells = 16,
};

struct run {
        struct soc soc;
        usec_t now;
};

static struct frame_current current(int32_t ma) {
        return (struct frame_current){.known = ma != X, .ma = ma != X ? ma : 0};
}

static void feed_two(struct run *r, usec_t wait, int32_t in, int32_t out, uint32_t lowest_mv) {
        const struct frame frame = {
                .in = current(in),
                .out = current(out),
                .sum = current(in == X ? X : out == X ? in : in - out),
                .pack_mv = 16 * lowest_mv,
                .lowest_mv = lowest_mv,
                .highest_mv = lowest_mv,
                .lowest_decic = 250,
                .lowest_temperature_known = true,
                .count = 16,
        };

        r->now += wait;
        soc_frame(&r->soc, r->now, PERIOD, &frame, false);
}

static void feed(struct run *r, usec_t wait, int32_t ma) {
        feed_two(r, wait, ma, X, 3500);
}

/* Full, with a reading of zero: an interval begins. */
static void start_with(struct run *r, const struct soc_config *config) {
        soc_init(&r->soc, config);
        r->now = 1000;
        feed(r, 0, 0);
        soc_full_sync(&r->soc, r->now);
        assert_true(r->soc.calibrated);
        assert_int_equal(r->soc.idle_draw_ma, 0);
}

static void start(struct run *r) {
        start_with(r, &config_100ah);
}

/* `zero` + 1/2 h at a reading of zero (one of the two readings around the last hour), then full again after the sensor
 * has seen `mah` more go in than come out, within that hour: so much must have been drawn unseen. */
static void interval(struct run *r, usec_t zero, int32_t mah) {
        feed(r, zero, 0);
        feed(r, HOUR, 2 * mah);
        feed(r, 0, 0); /* a full sync at rest is a sure one */
        soc_full_sync(&r->soc, r->now);
}

static void assert_draw(const struct run *r, int32_t ma) {
        assert_int_equal(r->soc.idle_draw_ma, ma);
}

/* 12 h at zero: 6 Ah unseen are 0.5 A. A microsecond less teaches nothing; one more lowers it below 500 mA. */
static void test_twelve_hours(void **state) {
        (void)state;
        for (int off = -1; off <= 1; off++) {
                struct run r;

                start(&r);
                interval(&r, 11 * HOUR + HOUR / 2 + (usec_t)off, 6000);
                assert_draw(&r, off < 0 ? 0 : 500);
        }
}

/* Too short an interval is not thrown away: it ends at a later full sync. 2 * (6 h, 3 Ah). */
static void test_short_intervals_are_joined(void **state) {
        struct run r;

        (void)state;
        start(&r);
        interval(&r, 5 * HOUR + HOUR / 2, 3000);
        assert_draw(&r, 0);
        interval(&r, 5 * HOUR + HOUR / 2, 3000);
        assert_draw(&r, 500);
        interval(&r, 5 * HOUR + HOUR / 2, 9000); /* the next one begins anew */
        assert_draw(&r, 500);
}

/* 0..blind spot. 12.5 h; the draw in mA is what went in during the last hour / 12.5 h. */
static void test_bounds(void **state) {
        static const struct {
                int32_t hidden_ma, draw_ma;
        } cases[] = {{-2000, 0}, {-2, 0}, {0, 0}, {2, 2}, {998, 998}, {1000, 1000}, {1002, 1000}, {5000, 1000}};

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct soc_config c = config_100ah;
                struct run r;

                start(&r);
                interval(&r, 12 * HOUR, cases[i].hidden_ma * 25 / 2);
                assert_draw(&r, cases[i].draw_ma);

                c.blind_spot_ma = 0; /* a sensor that hides nothing */
                start_with(&r, &c);
                interval(&r, 12 * HOUR, cases[i].hidden_ma * 25 / 2);
                assert_draw(&r, 0);
        }
}

/* All intervals count by their hours at zero; beyond 240 h the older ones lose weight. */
static void test_mean_over_intervals(void **state) {
        static const struct {
                usec_t first, second; /* h at zero, at 0.4 A and at 0.8 A */
                int32_t draw_ma;
        } cases[] = {
                {20, 20, 600},
                {20, 60, 700},
                {240, 240, 600},
                {241, 241, 666}, /* (241 / 2 * 0.4 + 241 * 0.8) / (241 / 2 + 241) */
                {40, 300, 752},  /* (40 * 0.4 + 300 * 0.8) / 340 */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                start(&r);
                interval(&r, cases[i].first * HOUR - HOUR / 2, (int32_t)cases[i].first * 400);
                assert_draw(&r, 400);
                interval(&r, cases[i].second * HOUR - HOUR / 2, (int32_t)cases[i].second * 800);
                assert_draw(&r, cases[i].draw_ma);
        }
}

/* What was learned long ago is forgotten: 240 h at 0.4 A, then 0.8 A: within 10 mA after four times as much. */
static void test_forgets(void **state) {
        struct run r;

        (void)state;
        start(&r);
        for (int i = 0; i < 12; i++)
                interval(&r, 20 * HOUR - HOUR / 2, 8000);
        assert_draw(&r, 400);
        for (int i = 0; i < 48; i++)
                interval(&r, 20 * HOUR - HOUR / 2, 16000);
        assert_in_range(r.soc.idle_draw_ma, 790, 800);
}

/* What SOC shows and where it was corrected in between plays no part: only what the readings add up to. */
static void test_only_readings_count(void **state) {
        struct run r;

        (void)state;
        start(&r);
        feed(&r, 6 * HOUR, 0);
        soc_set(&r.soc, r.now, 1234);
        soc_empty_sync(&r.soc, r.now);
        interval(&r, 6 * HOUR - HOUR / 2, 6000);
        assert_draw(&r, 500);

        /* the learned draw is in the SOC, but not learned a second time */
        interval(&r, 12 * HOUR - HOUR / 2, 6000);
        assert_draw(&r, 500);
        feed(&r, 20 * HOUR, 0);
        assert_int_equal(soc_permyriad(&r.soc).value, 9000);
}

/* The efficiency that is set is not taken for a draw: 30 Ah out, 40 Ah in at 90 % are 6 Ah too many. */
static void test_efficiency(void **state) {
        struct soc_config c = config_100ah;
        struct run r;

        (void)state;
        c.efficiency_percent = 90;
        start_with(&r, &c);
        feed(&r, 11 * HOUR, 0);
        feed(&r, HOUR, -30000);
        feed(&r, HOUR / 2, -30000);
        feed(&r, 0, 40000);
        feed(&r, HOUR, 40000);
        soc_full_sync(&r.soc, r.now);
        assert_draw(&r, 0); /* 11.5 h */
        start_with(&r, &c);
        feed(&r, 11 * HOUR + HOUR / 2, 0);
        feed(&r, HOUR, -30000);
        feed(&r, HOUR / 2, -30000);
        feed(&r, 0, 40000);
        feed(&r, HOUR, 40000);
        soc_full_sync(&r.soc, r.now);
        assert_draw(&r, 500);
}

/* Two sensors, each with its blind spot: I2 hides the draw while I1 shows the sun. */
static void test_two_sensors(void **state) {
        struct run r;

        (void)state;
        start(&r);
        feed_two(&r, 0, 0, 0, 3500);
        feed_two(&r, 6 * HOUR, 0, 0, 3500);
        feed_two(&r, 0, 1000, 0, 3500);
        feed_two(&r, 6 * HOUR, 1000, 0, 3500); /* 6 Ah in, I2 still zero */
        soc_full_sync(&r.soc, r.now);
        assert_draw(&r, 500);
        assert_int_equal(soc_permyriad(&r.soc).value, 10000);

        /* and there it is counted: 4 h of -2 A, then a consumer is seen and 4 h of -4 A are only that */
        feed_two(&r, 0, -1500, 0, 3300);
        feed_two(&r, 4 * HOUR, -1500, 0, 3300);
        assert_int_equal(soc_permyriad(&r.soc).value, 9200);
        feed_two(&r, 0, 0, 4000, 3300);
        feed_two(&r, 4 * HOUR, 0, 4000, 3300);
        assert_int_equal(soc_permyriad(&r.soc).value, 7600);
}

/* S7: nothing is learned from an interval in which the sensor was lost for 5 s... */
static void test_lost_sensor(void **state) {
        (void)state;
        for (int off = -1; off <= 0; off++) {
                struct run r;

                start(&r);
                feed(&r, 6 * HOUR, 0);
                feed(&r, 0, X);
                feed(&r, 5 * USEC_PER_SEC + (usec_t)off, X);
                assert_int_equal(r.soc.calibrated, off < 0);
                feed(&r, 0, 0);
                interval(&r, 6 * HOUR, 6250);
                assert_draw(&r, off < 0 ? 500 : 0);
                assert_true(r.soc.calibrated);

                /* ...but from the next one */
                interval(&r, 12 * HOUR, 2500);
                assert_draw(&r, off < 0 ? 350 : 200);
        }
}

/* A full sync while the sensor is lost begins nothing. */
static void test_full_while_lost(void **state) {
        struct run r;

        (void)state;
        start(&r);
        feed(&r, 0, X);
        feed(&r, 5 * USEC_PER_SEC, X);
        soc_full_sync(&r.soc, r.now);
        assert_false(r.soc.calibrated);
        feed(&r, 0, 0);
        interval(&r, 12 * HOUR, 6250);
        assert_draw(&r, 0);
        interval(&r, 12 * HOUR, 6250);
        assert_draw(&r, 500);
}

/* Time with an unknown current, 3 min and a microsecond of it. */
static void test_uncounted(void **state) {
        (void)state;
        for (int off = -1; off <= 1; off++) {
                struct run r;

                start(&r);
                feed(&r, 6 * HOUR, 0);
                /* the daemon was away, twice: with messages 1 s apart these are gaps */
                for (int i = 0; i < 2; i++) {
                        const struct frame frame = {.sum = current(0), .in = current(0), .lowest_mv = 3500};

                        r.now += 90 * USEC_PER_SEC + (i != 0 ? (usec_t)off : 0);
                        soc_frame(&r.soc, r.now, USEC_PER_SEC, &frame, false);
                }
                assert_int_equal(r.soc.uncounted_usec, 180 * USEC_PER_SEC + (usec_t)off);
                interval(&r, 6 * HOUR, 6250);
                assert_draw(&r, off > 0 ? 0 : 500);
        }
}

/* S7: learning stops while the sensor is reversed. */
static void test_reversed(void **state) {
        struct run r;
        const struct frame full = {.sum = current(-6000), .in = current(-6000), .lowest_mv = 3500};

        (void)state;
        start(&r);
        feed(&r, 12 * HOUR, 0);
        feed(&r, 0, -6000);
        for (int i = 0; i < 2; i++) { /* all cells full for 60 s while "discharging" with more than C/20 */
                r.now += 60 * USEC_PER_SEC * (usec_t)i;
                soc_frame(&r.soc, r.now, PERIOD, &full, true);
        }
        assert_int_equal(r.soc.sensor, SOC_SENSOR_REVERSED);
        feed(&r, 0, 0);
        interval(&r, 12 * HOUR, 6250);
        assert_draw(&r, 0);
        interval(&r, 12 * HOUR, 6250);
        assert_draw(&r, 0);
}

/* Not before the first full sync, and not without a capacity (S1). */
static void test_needs_calibration(void **state) {
        struct soc_config c = config_100ah;
        struct run r;

        (void)state;
        soc_init(&r.soc, &c);
        r.now = 1000;
        feed(&r, 0, 0);
        interval(&r, 12 * HOUR, 6250); /* the first full sync: begins */
        assert_draw(&r, 0);
        interval(&r, 12 * HOUR, 6250);
        assert_draw(&r, 500);

        c.capacity_wh = none();
        start_with(&r, &c);
        interval(&r, 12 * HOUR, 6250);
        interval(&r, 12 * HOUR, 6250);
        assert_draw(&r, 0);
}

/* A full sync that leaves more than 3 points open (S6) neither begins nor ends an interval. 3 points are 97 % on the
 * curve, 3.345 V + 4 mV * 2/3 = 3.3477 V; 40 mV are left for what a reading may be off. */
static void test_unsure_sync(void **state) {
        static const struct {
                uint32_t mv;
                bool learned;
        } cases[] = {{3386, false}, {3387, false}, {3388, true}, {3500, true}};

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                start(&r);
                feed(&r, 12 * HOUR - HOUR / 2, 0);
                feed(&r, HOUR, 12000);
                feed_two(&r, 0, 0, X, cases[i].mv);
                soc_full_sync(&r.soc, r.now);
                assert_draw(&r, cases[i].learned ? 500 : 0);
                interval(&r, 12 * HOUR - HOUR / 2, 6000);
                assert_draw(&r, 500);
        }
}

/* What was learned outlives a change of settings, and what is being learned goes on. */
static void test_survives_configure(void **state) {
        struct soc_config c = config_100ah;
        struct run r;

        (void)state;
        start(&r);
        interval(&r, 12 * HOUR, 6250);
        assert_draw(&r, 500);
        feed(&r, 6 * HOUR, 0);
        c.capacity_wh = some(4000);
        c.cell_nominal_mv = 3300;
        c.sensors = SENSORS_1;
        soc_configure(&r.soc, &c);
        assert_draw(&r, 500);
        interval(&r, 6 * HOUR, 8750); /* 0.7 A in 12.5 h; 0.6 A in all */
        assert_draw(&r, 600);

        /* a sensor that hides less bounds it at once, and for good */
        c.blind_spot_ma = 601;
        soc_configure(&r.soc, &c);
        assert_draw(&r, 600);
        c.blind_spot_ma = 250;
        soc_configure(&r.soc, &c);
        assert_draw(&r, 250);
        c.blind_spot_ma = 1000;
        soc_configure(&r.soc, &c);
        assert_draw(&r, 250);
        interval(&r, 12 * HOUR, 7500); /* 0.6 A again: the intervals themselves were kept */
        assert_draw(&r, 600);
}

/* Growth of the uncertainty at rest, in mA: half the blind spot until something was learned; then 1 point (1 Ah here)
 * over the time at zero that it was learned from, at most half the blind spot. */
static void test_uncertainty_shrinks(void **state) {
        struct soc_config c = config_100ah;
        struct run r;

        (void)state;
        start(&r);
        assert_int_equal(r.soc.hidden_unsure_ma, 500);
        interval(&r, 12 * HOUR - HOUR / 2, 6000);
        assert_int_equal(r.soc.hidden_unsure_ma, 83);
        interval(&r, 88 * HOUR - HOUR / 2, 44000);
        assert_int_equal(r.soc.hidden_unsure_ma, 10); /* 1 Ah / 100 h */
        c.capacity_wh = some(51200);
        soc_configure(&r.soc, &c);
        assert_int_equal(r.soc.hidden_unsure_ma, 100); /* 10 Ah */
        c.blind_spot_ma = 150;
        soc_configure(&r.soc, &c);
        assert_int_equal(r.soc.hidden_unsure_ma, 75);
        c = config_100ah;
        soc_configure(&r.soc, &c);

        /* 100 h at zero: 1 Ah, and 0.25 % of the 15 Ah drawn at 150 mA: 1.0375 points. Independent of the sync's 1:
         * the square root of 1 + 1.0764, 1.441 */
        soc_full_sync(&r.soc, r.now);
        feed(&r, 0, 0);
        feed(&r, 100 * HOUR, 0);
        assert_int_equal(soc_growth_permyriad(&r.soc).value, 104);
        assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, 144);
        assert_int_equal(soc_permyriad(&r.soc).value, 8500);
}

/* Once a draw was learned, the doubt of counting and that of the last sync are independent of each other: 7.5 and 10
 * points are 12.5. Before that they add up, and what an unknown current leaves open always does. The growth that P3
 * looks at is a plain sum. */
static void test_independent_doubts(void **state) {
        static const struct {
                int32_t wh, blind_spot_ma, nominal_mv;
                uint8_t cells;
        } packs[] = {
                {5120, 1000, 3200, 16},
                {1000000, 100000, 2000, 2}, /* 250,000 Ah: as large as an interval of 100 h in one step lets it be */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(packs) / sizeof(packs[0]); i++) {
                struct soc_config c = config_100ah;
                struct run r;

                c.capacity_wh = some(packs[i].wh);
                c.blind_spot_ma = packs[i].blind_spot_ma;
                c.cell_nominal_mv = packs[i].nominal_mv;
                c.cells = packs[i].cells;
                start_with(&r, &c);
                interval(&r, 99 * HOUR, 0); /* 100 h at zero: a point in 100 h */
                assert_int_equal(soc_set(&r.soc, r.now, 5000), 0);
                assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, 1000);
                for (int j = 0; j < 30; j++)
                        feed(&r, 25 * HOUR, 0);
                assert_int_equal(soc_growth_permyriad(&r.soc).value, 750);
                assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, 1250);

                /* C/5 for half an hour: 10 points more */
                r.soc.period = HOUR / 10;
                soc_tick(&r.soc, r.now + HOUR / 2);
                assert_int_equal(soc_growth_permyriad(&r.soc).value, 1750);
                assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, 2250);

                /* half the capacity: the same shares of it */
                c.capacity_wh = some(packs[i].wh / 2);
                soc_configure(&r.soc, &c);
                assert_int_equal(soc_growth_permyriad(&r.soc).value, 1750);
                assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, 2250);

                /* and all of it is over with the next sync */
                soc_full_sync(&r.soc, r.now + HOUR / 2);
                assert_int_equal(soc_growth_permyriad(&r.soc).value, 0);
                assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, 100);
        }

        struct run r;

        start(&r); /* nothing learned: half the blind spot for 15 h, 7.5 points */
        assert_int_equal(soc_set(&r.soc, r.now, 5000), 0);
        feed(&r, 15 * HOUR, 0);
        assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, 1750);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_twelve_hours),
                cmocka_unit_test(test_short_intervals_are_joined),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_mean_over_intervals),
                cmocka_unit_test(test_forgets),
                cmocka_unit_test(test_only_readings_count),
                cmocka_unit_test(test_efficiency),
                cmocka_unit_test(test_two_sensors),
                cmocka_unit_test(test_lost_sensor),
                cmocka_unit_test(test_full_while_lost),
                cmocka_unit_test(test_uncounted),
                cmocka_unit_test(test_reversed),
                cmocka_unit_test(test_needs_calibration),
                cmocka_unit_test(test_unsure_sync),
                cmocka_unit_test(test_survives_configure),
                cmocka_unit_test(test_uncertainty_shrinks),
                cmocka_unit_test(test_independent_doubts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
