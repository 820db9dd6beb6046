/* SPDX-License-Identifier: MIT */
/* lib/soc.c: counting, syncs, uncertainty, first estimate (S1..S6). The sensors' faults (S7) are in
 * test-soc-sensors.c. The pack of most tests: 16 cells of 100 Ah, 5120 Wh; 1 % of it is 1 Ah. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "soc-rig.h"

static void feed_at(struct run *r, usec_t wait, int32_t ma, uint32_t lowest_mv, int32_t lowest_decic) {
        feed_frame(r, wait, SECOND, ma, lowest_mv, lowest_decic);
}

static void feed_cell(struct run *r, usec_t wait, int32_t ma, uint32_t lowest_mv) {
        feed_at(r, wait, ma, lowest_mv, 250);
}

static void feed(struct run *r, usec_t wait, int32_t ma) {
        feed_cell(r, wait, ma, 3300);
}

/* `seconds` of one frame a second, after a first frame at once. */
static void feed_for(struct run *r, int64_t seconds, int32_t ma) {
        feed(r, 0, ma);
        for (int64_t i = 0; i < seconds; i++)
                feed(r, SECOND, ma);
}

static void assert_soc(const struct run *r, int32_t permyriad) {
        assert_true(soc_permyriad(&r->soc).known);
        assert_int_equal(soc_permyriad(&r->soc).value, permyriad);
}

static void assert_uncertainty(const struct run *r, int32_t permyriad) {
        assert_true(soc_uncertainty_permyriad(&r->soc).known);
        assert_int_equal(soc_uncertainty_permyriad(&r->soc).value, permyriad);
}

/* S1: capacity in Ah = Wh / (N * nominal). */
static void test_capacity(void **state) {
        static const struct {
                int32_t wh, nominal_mv;
                uint8_t cells;
                int32_t divisor;
                int32_t rate_ma; /* of C/divisor; X = unknown */
        } cases[] = {
                {5120, 3200, 16, 1, 100000},
                {5120, 3200, 16, 20, 5000},
                {5120, 3200, 16, 50, 2000},
                {1920, 3200, 4, 1, 150000},
                {10, 4000, 255, 1, 9},                   /* 9.80 mAh */
                {10000000, 2000, 2, 20, 125000000},      /* 2.5 MAh, the largest there can be */
                {10000000, 2000, 2, 1, INT32_MAX},       /* saturates: 2.5 * 10^9 mA */
                {10000000, 4000, 255, 1, 9803921},
                {5120, 3200, 0, 20, X},
                {0, 3200, 16, 20, X},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct soc_config c = config_100ah;
                struct soc s;

                c.capacity_wh = cases[i].wh != 0 ? some(cases[i].wh) : none();
                c.cell_nominal_mv = cases[i].nominal_mv;
                c.cells = cases[i].cells;
                soc_init(&s, &c);
                assert_int_equal(soc_c_rate_ma(&s, cases[i].divisor).known, cases[i].rate_ma != X);
                if (cases[i].rate_ma == X)
                        continue;
                assert_int_equal(soc_c_rate_ma(&s, cases[i].divisor).value, cases[i].rate_ma);

                /* the charge of a full pack, exactly: Wh * 3.6 * 10^12 / (N * mV), the last 10^6 by what 64
                 * bits hold */
                soc_full_sync(&s, 1);
                const int64_t pack_mv = (int64_t) cases[i].cells * cases[i].nominal_mv;
                const int64_t mw_s = cases[i].wh * INT64_C(3600) * 1000;
                assert_true(s.charge_mams == mw_s / pack_mv * 1000000 + mw_s % pack_mv * 1000000 / pack_mv);
                assert_int_equal(soc_stored_mwh(&s).value, (int64_t) cases[i].wh * 1000);
                assert_int_equal(soc_permyriad(&s).value, 10000);
                assert_int_equal(soc_set(&s, 2, 3333), 0);
                assert_int_equal(soc_permyriad(&s).value, 3333);
        }
}

/* S1: unset capacity: everything unknown, but a full sync calibrates; what was counted since serves once it is set. */
static void test_capacity_unset(void **state) {
        struct soc_config c = config_100ah;
        struct run r;

        (void) state;
        c.capacity_wh = none();
        start(&r, &c);
        feed_for(&r, 10, -50000);
        soc_empty_sync(&r.soc, r.now);
        assert_int_equal(soc_set(&r.soc, r.now, 5000), -ENODATA);
        assert_false(soc_c_rate_ma(&r.soc, 20).known);
        assert_false(r.soc.calibrated);
        soc_full_sync(&r.soc, r.now);
        assert_true(r.soc.calibrated);
        feed_for(&r, 3600, 10000); /* overcharged: still full */
        feed_for(&r, 3600, -25000);
        assert_false(soc_permyriad(&r.soc).known);
        assert_false(soc_uncertainty_permyriad(&r.soc).known);
        assert_false(soc_growth_permyriad(&r.soc).known);
        assert_false(soc_stored_mwh(&r.soc).known);

        soc_configure(&r.soc, &config_100ah);
        assert_true(r.soc.calibrated);
        assert_soc(&r, 7500); /* 25 Ah of 100 are gone */
        soc_configure(&r.soc, &c);
        assert_false(soc_permyriad(&r.soc).known);
        soc_configure(&r.soc, &config_100ah);
        assert_soc(&r, 7500);

        /* a pack smaller than what was taken out is empty, not less */
        soc_configure(&r.soc, &c);
        c.capacity_wh = some(1000);
        soc_configure(&r.soc, &c);
        assert_soc(&r, 0);
}

/* Without a capacity, and after a time of unknown current, the count is worth nothing. */
static void test_capacity_unset_and_a_gap(void **state) {
        struct soc_config c = config_100ah;
        struct run r;

        (void) state;
        c.capacity_wh = none();
        start(&r, &c);
        feed(&r, 0, 0);
        soc_full_sync(&r.soc, r.now);
        feed(&r, 10 * SECOND, 0);
        soc_configure(&r.soc, &config_100ah);
        assert_false(soc_permyriad(&r.soc).known);
        assert_true(r.soc.calibrated);
}

static uint64_t next_random(uint64_t *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

/* Nothing is ever lost to rounding. The finest unit is mA * us / 200; what 20,000 steps add up to is below
 * 2^63 of it. */
static void test_counting_is_exact(void **state) {
        (void) state;
        for (uint64_t seed = 1; seed <= 10; seed++) {
                struct soc_config c = config_100ah;
                uint64_t random = seed;
                int64_t fine = 0, at_first;
                int32_t before = 0;
                struct run r;

                c.capacity_wh = some(10000000); /* large, so that nothing saturates */
                c.efficiency_percent = 80 + (int32_t) seed * 2;
                start(&r, &c);
                soc_set(&r.soc, 1, 5000);
                at_first = r.soc.charge_mams;
                for (int i = 0; i < 20000; i++) {
                        const usec_t step = 1 + next_random(&random) % 3000000;
                        const int32_t ma = (int32_t) (next_random(&random) % 4001) * 125 - 250000;

                        feed(&r, step, ma);
                        if (i > 0) {
                                const int64_t sum = (int64_t) before + ma;
                                fine += sum * (int64_t) step * (sum > 0 ? c.efficiency_percent : 100);
                        }
                        before = ma;
                }
                assert_true((r.soc.charge_mams - at_first) * 200000 + r.soc.remainder == fine);
        }
}

static void test_efficiency_and_saturation(void **state) {
        struct soc_config c = config_100ah;
        struct run r;

        (void) state;
        c.efficiency_percent = 90;
        start(&r, &c);
        soc_set(&r.soc, 1, 5000);
        feed_for(&r, 3600, 10000); /* 10 Ah in, 9 kept */
        assert_soc(&r, 5900);
        assert_int_equal(r.soc.charged_mams, 9 * AH);
        feed_for(&r, 3600, -10000); /* 10 Ah out */
        assert_soc(&r, 4900);
        assert_int_equal(r.soc.charged_mams, 9 * AH);
        feed_for(&r, 3600 * 7, 10000);
        assert_soc(&r, 10000);
        feed_for(&r, 3600, -1000);
        assert_soc(&r, 9900); /* from 100 %, not from what would have been above */
        feed_for(&r, 3600, -100000);
        assert_soc(&r, 0);
        feed_for(&r, 3600, 10000);
        assert_soc(&r, 900);
}

/* Only readings that are exactly zero hide the idle draw (S5). */
static void test_idle_draw(void **state) {
        struct run r;

        (void) state;
        start(&r, &config_100ah);
        soc_set(&r.soc, 1, 5000);
        r.soc.idle_draw_ma = 500;
        feed_for(&r, 3600 * 10, 0);
        assert_soc(&r, 4500);
        assert_int_equal(r.soc.current_ma.value, 0); /* shown as read */
        feed(&r, 10 * SECOND, 0);
        soc_set(&r.soc, 1, 5000);
        feed(&r, SECOND, -1000);
        const int64_t begin = r.soc.charge_mams;
        feed_for(&r, 3600, -1000);
        assert_int_equal(begin - r.soc.charge_mams, AH);
}

/* Design 3: gaps up to 3 periods are integrated, longer ones are not. */
static void test_gap_limit(void **state) {
        (void) state;
        for (int off = -1; off <= 1; off++) {
                struct run r;

                start(&r, &config_100ah);
                soc_set(&r.soc, 1, 5000);
                feed(&r, 0, -36000000);
                const int64_t begin = r.soc.charge_mams;
                feed(&r, 3 * SECOND + (usec_t) off, -36000000);
                /* 36,000 A for 3 s: 30 Ah; 1 us more or less of it: 36,000 mA * ms */
                assert_int_equal(begin - r.soc.charge_mams, off > 0 ? 0 : 30 * AH + off * 36000);
                assert_int_equal(r.soc.uncounted_usec, off > 0 ? 3 * SECOND + 1 : 0);
        }
}

/* An unknown current, be it silence, costs C/5 per hour: 20 points. However often the clock ticks. */
static void test_silence_grows_uncertainty(void **state) {
        static const usec_t ticks[] = {0, 100000, 333333, 7 * SECOND, 600 * SECOND};

        (void) state;
        for (size_t i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++) {
                struct run r;

                start(&r, &config_100ah);
                soc_tick(&r.soc, r.now);
                feed_cell(&r, 0, 0, 3500);
                soc_full_sync(&r.soc, r.now);
                assert_uncertainty(&r, 100);
                for (usec_t t = ticks[i]; ticks[i] != 0 && t < USEC_PER_HOUR; t += ticks[i]) {
                        soc_tick(&r.soc, r.now + t);
                        if (t > 3 * SECOND) /* 20 points an hour are 0.555 a second */
                                assert_in_range(soc_growth_permyriad(&r.soc).value, t * 2000 / USEC_PER_HOUR,
                                                t * 2000 / USEC_PER_HOUR + 1);
                }
                feed(&r, USEC_PER_HOUR, 0);
                assert_uncertainty(&r, 2100);
                assert_int_equal(soc_growth_permyriad(&r.soc).value, 2000);
                assert_int_equal(r.soc.growth_mams, 20 * AH);
                assert_int_equal(r.soc.uncounted_usec, USEC_PER_HOUR);
                assert_soc(&r, 10000);
                assert_true(r.soc.calibrated);
                feed(&r, 1000 * USEC_PER_DAY, 0); /* saturates */
                assert_uncertainty(&r, 10000);
                assert_int_equal(soc_growth_permyriad(&r.soc).value, 10000);
        }
}

/* S6: blind spot / 2 * hours / C + 0.25 % of throughput. */
static void test_uncertainty_grows(void **state) {
        struct soc_config c = config_100ah;
        struct run r;

        (void) state;
        c.blind_spot_ma = 1000;
        start(&r, &c);
        feed_cell(&r, 0, 0, 3500);
        soc_full_sync(&r.soc, r.now);
        feed_for(&r, 86400, 0); /* 0.5 A * 24 h = 12 Ah */
        assert_uncertainty(&r, 1300);
        assert_int_equal(soc_growth_permyriad(&r.soc).value, 1200);

        c.blind_spot_ma = 0;
        start(&r, &c);
        feed_cell(&r, 0, 0, 3500);
        soc_full_sync(&r.soc, r.now);
        for (int i = 0; i < 5; i++) { /* 5 * (20 Ah out, 20 Ah in): 200 Ah, 0.25 % of it 0.5 Ah */
                feed_for(&r, 7200, -10000);
                feed_for(&r, 7200, 10000);
        }
        assert_uncertainty(&r, 150);
        soc_full_sync(&r.soc, r.now);
        assert_int_equal(soc_growth_permyriad(&r.soc).value, 0);
}

/* S6 at the syncs: at 20 degC and above the most of a point, the current * 196.684 s, and what the lowest cell's
 * voltage leaves open. Rest voltage = reading -+ R * I -+ 40 mV, R = 61.0 (full) or 89.4 (empty) mohm * 3 Ah / 100 Ah,
 * then the published curve. Below 20 degC more by what R and the time there (test-soc-cell.c) leave open beyond that;
 * unknown temperature: as 0 degC, 109.0 and 450.5 mohm, 484.373 s; at 5 degC 94.9 and 322.8 mohm, 394.078 s. In
 * fractions, apart from this program. After an empty sync to 10 % it is 10 points at least. */
static void test_sync_uncertainty(void **state) {
        static const struct {
                bool full;
                uint32_t mv;
                int32_t ma, decic; /* X: unknown */
                int32_t uncertainty;
        } cases[] = {
                {true, 3500, 0, 250, 100}, /* 0 mV, 0.43; 0.00 Ah */
                {true, 3500, 18250, 250, 100}, /* 33 mV, 0.62; 1.00 Ah */
                {true, 3500, 18500, 250, 101}, /* 33 mV, 0.62; 1.01 Ah */
                {true, 3500, 30000, 250, 164}, /* 54 mV, 0.74; 1.64 Ah */
                {true, 3500, -30000, 200, 164}, /* 54 mV, 0.74; 1.64 Ah */
                {true, 3500, 100000, 250, 6682}, /* 183 mV, 66.82; 5.46 Ah */
                {true, 3400, 0, 250, 116}, /* 0 mV, 1.16; 0.00 Ah */
                {true, 3400, 5000, 250, 185}, /* 9 mV, 1.85; 0.27 Ah */
                {true, 3400, 10000, 250, 1125}, /* 18 mV, 11.25; 0.55 Ah */
                {true, 3400, 50000, 250, 7028}, /* 91 mV, 70.28; 2.73 Ah */
                {true, 3500, X, 250, 109}, /* 36 mV, 0.64; 1.09 Ah */
                {true, 3500, 0, 50, 100}, /* 0 mV, 0.43; 0.00 Ah; cold: 0 mV, 0.43; 0.00 Ah more */
                {true, 3500, 10000, 50, 161}, /* 18 mV, 0.53; 0.55 Ah; cold: 28 mV, 0.59; 0.55 Ah more */
                {true, 3500, 30000, 199, 166}, /* 54 mV, 0.74; 1.64 Ah; cold: 55 mV, 0.75; 0.01 Ah more */
                {true, 3500, 30000, 50, 347}, /* 54 mV, 0.74; 1.64 Ah; cold: 85 mV, 0.93; 1.64 Ah more */
                {true, 3500, 30000, -100, 3010}, /* 54 mV, 0.74; 1.64 Ah; cold: 135 mV, 24.17; 5.03 Ah more */
                {true, 3500, 39375, -100, 7200}, /* 72 mV, 0.85; 2.15 Ah; cold: 177 mV, 65.00; 6.60 Ah more */
                {true, 3400, 10000, 50, 2180}, /* 18 mV, 11.25; 0.55 Ah; cold: 28 mV, 21.25; 0.55 Ah more */
                {true, 3500, 30000, X, 430}, /* 54 mV, 0.74; 1.64 Ah; cold: 98 mV, 1.00; 2.40 Ah more */
                {true, 3500, X, X, 286}, /* 36 mV, 0.64; 1.09 Ah; cold: 65 mV, 0.81; 1.60 Ah more */
                {false, 2800, 0, 250, 181}, /* 0 mV, 1.81; 0.00 Ah */
                {false, 2800, -4875, 250, 186}, /* 13 mV, 1.86; 0.27 Ah */
                {false, 3200, -4875, 250, 2527}, /* 13 mV, 25.27; 0.27 Ah */
                {false, 2000, 0, 250, 100}, /* 0 mV, 0.00; 0.00 Ah */
                {false, 2800, -5000, 250, 1000}, /* 13 mV, 1.86; 0.27 Ah */
                {false, 2800, -100000, 250, 1000}, /* 268 mV, 6.62; 5.46 Ah */
                {false, 3200, -50000, 250, 9907}, /* 134 mV, 99.07; 2.73 Ah */
                {false, 2000, -4875, 50, 127}, /* 13 mV, 0.00; 0.27 Ah; cold: 47 mV, 0.00; 0.27 Ah more */
                {false, 2800, -4875, 50, 224}, /* 13 mV, 1.86; 0.27 Ah; cold: 47 mV, 1.97; 0.27 Ah more */
                {false, 2800, -4875, X, 256}, /* 13 mV, 1.86; 0.27 Ah; cold: 65 mV, 2.17; 0.39 Ah more */
                {false, 3000, X, 250, 1000}, /* 53 mV, 6.06; 1.09 Ah */
                {false, 3000, X, X, 7017}, /* 53 mV, 6.06; 1.09 Ah; cold: 270 mV, 68.57; 1.60 Ah more */
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                print_message("case %zu\n", i);
                start(&r, &config_100ah);
                feed_at(&r, 0, cases[i].ma, cases[i].mv, cases[i].decic);
                if (cases[i].full)
                        soc_full_sync(&r.soc, r.now);
                else
                        soc_empty_sync(&r.soc, r.now);
                assert_int_equal(soc_uncertainty_permyriad(&r.soc).value, cases[i].uncertainty);
        }
}

static void test_full_sync(void **state) {
        struct run r;

        (void) state;
        start(&r, &config_100ah);
        assert_false(soc_permyriad(&r.soc).known);
        feed(&r, 0, 1000);
        assert_false(soc_permyriad(&r.soc).known);
        soc_full_sync(&r.soc, r.now);
        assert_soc(&r, 10000);
        assert_true(r.soc.calibrated);
        assert_int_equal(r.soc.last_sync, r.now);
        assert_int_equal(soc_stored_mwh(&r.soc).value, 5120000);

        /* `soc set` neither sets nor takes calibration, and is trusted to 10 points */
        assert_int_equal(soc_set(&r.soc, r.now + 1, 4000), 0);
        assert_true(r.soc.calibrated);
        assert_soc(&r, 4000);
        assert_uncertainty(&r, 1000);
        assert_int_equal(soc_growth_permyriad(&r.soc).value, 0);
        assert_int_equal(soc_stored_mwh(&r.soc).value, 2048000);
        assert_int_equal(soc_set(&r.soc, r.now, -1), -ERANGE);
        assert_int_equal(soc_set(&r.soc, r.now, 10001), -ERANGE);
        assert_soc(&r, 4000);
        assert_int_equal(soc_set(&r.soc, r.now, 0), 0);
        assert_soc(&r, 0);
        assert_int_equal(soc_set(&r.soc, r.now, 10000), 0);
        assert_soc(&r, 10000);

        start(&r, &config_100ah);
        assert_int_equal(soc_set(&r.soc, r.now, 5000), 0);
        assert_false(r.soc.calibrated);
}

/* S3: C/20 is 5 A here, readings come in steps of 125 mA. */
static void test_empty_sync(void **state) {
        static const struct {
                int32_t before, ma; /* permyriad before: X = unknown */
                int32_t after;
        } cases[] = {
                {5000, -4875, 0}, {5000, -5000, 1000}, {5000, -5125, 1000}, {5000, 4875, 0}, {5000, 5000, 1000},
                {5000, 0, 0},     {5000, X, 1000},     {400, -5000, 400},   {400, -4875, 0}, {1000, -50000, 1000},
                {1001, -5000, 1000}, {X, -4875, 0},    {X, -5000, 1000},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                print_message("case %zu\n", i);
                start(&r, &config_100ah);
                if (cases[i].before != X)
                        soc_set(&r.soc, r.now, cases[i].before);
                feed(&r, 0, cases[i].ma);
                soc_empty_sync(&r.soc, r.now);
                assert_soc(&r, cases[i].after);
                assert_false(r.soc.calibrated);
                assert_int_equal(r.soc.last_sync, cases[i].before == cases[i].after ? 0 : r.now);
        }
}

/* A trip under load with less than 10 % left says nothing new: neither SOC nor its uncertainty change. */
static void test_empty_sync_without_news(void **state) {
        struct run r;

        (void) state;
        start(&r, &config_100ah);
        soc_set(&r.soc, r.now, 800);
        feed(&r, 0, -100000);
        soc_empty_sync(&r.soc, r.now);
        assert_uncertainty(&r, 1000);
}

/* S4: after 30 min below C/50 (2 A here), not a microsecond before, and only once. */
static void test_first_estimate_time(void **state) {
        (void) state;
        for (int off = -1; off <= 1; off++) {
                struct run r;

                start(&r, &config_100ah);
                feed_cell(&r, 0, 5000, 3270);
                feed_cell(&r, SECOND, -1875, 3270); /* rest begins */
                for (int i = 0; i < 1799; i++)
                        feed_cell(&r, SECOND, i % 2 != 0 ? 1875 : -1875, 3270);
                assert_false(soc_permyriad(&r.soc).known);
                feed_cell(&r, SECOND + (usec_t) off, 0, 3270);
                assert_int_equal(soc_permyriad(&r.soc).known, off >= 0);
                if (off < 0)
                        continue;
                assert_soc(&r, 3000); /* 3.270 V is a point of the curve */
                assert_false(r.soc.calibrated);
                for (int i = 0; i < 4000; i++)
                        feed_cell(&r, SECOND, 0, 3000);
                assert_soc(&r, 3000);
        }
}

/* What interrupts the rest: C/50 or more, an unknown current, a gap, an unset capacity. */
static void test_first_estimate_needs_rest(void **state) {
        static const struct {
                usec_t wait;
                int32_t ma;
                bool resting;
        } cases[] = {
                {SECOND, 1875, true},  {SECOND, 2000, false}, {SECOND, -2000, false},
                {SECOND, X, false},    {3 * SECOND, 0, true}, {3 * SECOND + 1, 0, false},
        };
        struct soc_config c = config_100ah;
        struct run r;

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                start(&r, &config_100ah);
                feed_for(&r, 1700, 0);
                feed(&r, cases[i].wait, cases[i].ma);
                for (int k = 0; k < 150; k++)
                        feed(&r, SECOND, 0);
                assert_int_equal(soc_permyriad(&r.soc).known, cases[i].resting);
        }
        c.capacity_wh = none();
        start(&r, &c);
        feed_for(&r, 4000, 0);
        assert_false(soc_permyriad(&r.soc).known);
}

/* The curve's own points and what +-50 mV means there, worked out by hand from the published table. */
static void test_first_estimate_curve(void **state) {
        static const struct {
                uint32_t mv;
                int32_t soc, uncertainty;
        } cases[] = {
                {2000, 0, 100},     /* far below: sure */
                {2286, 0, 100},     /* 2336 mV is 0.16 %: the floor of 1 point */
                {2895, 200, 100},   /* 2945 mV: 288; 2845 mV: 183 */
                {3065, 500, 189},   /* 3115 mV: 500 + 500 * 50 / 132 = 689 */
                {3197, 1000, 1361}, /* 3247 mV: 2000 + 1000 * 13 / 36 = 2361 */
                {3252, 2500, 3000}, /* 3302 mV: 5000 + 1000 * 2 / 4 = 5500 */
                {3300, 5000, 4807}, /* 3350 mV: 9800 + 100 * 1 / 13 = 9807 */
                {3343, 9000, 4875}, /* 3293 mV: 4000 + 1000 * 1 / 8 = 4125 */
                {3531, 10000, 100}, /* 3481 mV: 9900 + 100 * 119 / 169 = 9970 */
                {3600, 10000, 100},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct run r;

                start(&r, &config_100ah);
                for (int k = 0; k <= 1800; k++)
                        feed_cell(&r, SECOND, 0, cases[i].mv);
                print_message("%u mV: %d +- %d\n", cases[i].mv, soc_permyriad(&r.soc).value,
                              soc_uncertainty_permyriad(&r.soc).value);
                assert_soc(&r, cases[i].soc);
                assert_uncertainty(&r, cases[i].uncertainty);
        }
}

/* A new capacity, another number of cells: the same percentage. */
static void test_configure_keeps_the_fraction(void **state) {
        static const int32_t capacities[] = {10, 11, 5119, 5120, 5121, 10000000};
        struct run r;

        (void) state;
        for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
                struct soc_config c = config_100ah;

                start(&r, &config_100ah);
                soc_set(&r.soc, r.now, 6789);
                feed(&r, 0, 0);
                feed(&r, USEC_PER_HOUR, 0);
                c.capacity_wh = some(capacities[i]);
                soc_configure(&r.soc, &c);
                assert_soc(&r, 6789);
                assert_uncertainty(&r, 3000);
                assert_int_equal(soc_growth_permyriad(&r.soc).value, 2000);
                c.cells = 255;
                soc_configure(&r.soc, &c);
                assert_soc(&r, 6789);
                soc_configure(&r.soc, &config_100ah);
                assert_soc(&r, 6789);
        }
        /* full stays full, empty stays empty, a count that is gone for a moment changes nothing */
        for (int32_t permyriad = 0; permyriad <= 10000; permyriad += 10000) {
                struct soc_config c = config_100ah;

                start(&r, &config_100ah);
                soc_set(&r.soc, r.now, permyriad);
                c.capacity_wh = some(1237);
                c.cells = 0;
                soc_configure(&r.soc, &c);
                assert_soc(&r, permyriad);
                assert_int_equal(soc_c_rate_ma(&r.soc, 1).value, 24160); /* 1237 Wh / 51.2 V */
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_capacity),
                cmocka_unit_test(test_capacity_unset),
                cmocka_unit_test(test_capacity_unset_and_a_gap),
                cmocka_unit_test(test_counting_is_exact),
                cmocka_unit_test(test_efficiency_and_saturation),
                cmocka_unit_test(test_idle_draw),
                cmocka_unit_test(test_gap_limit),
                cmocka_unit_test(test_silence_grows_uncertainty),
                cmocka_unit_test(test_uncertainty_grows),
                cmocka_unit_test(test_sync_uncertainty),
                cmocka_unit_test(test_full_sync),
                cmocka_unit_test(test_empty_sync),
                cmocka_unit_test(test_empty_sync_without_news),
                cmocka_unit_test(test_first_estimate_time),
                cmocka_unit_test(test_first_estimate_needs_rest),
                cmocka_unit_test(test_first_estimate_curve),
                cmocka_unit_test(test_configure_keeps_the_fraction),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
