/* SPDX-License-Identifier: MIT */

/* Every row of the rule table at its boundary, one wire step below, at, and above; in both modes; and how many
 * frames it takes (B8, S2, P7, P8). Expected values: the manual's tables ("Algorithm") and design 6. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "protection.h"

#define CELLS 4
#define PERIOD USEC_PER_SEC

struct bench {
        struct settings settings;
        struct limits limits;
        struct pack pack;
        struct protection protection;
        usec_t now;
};

/* 4 cells at 3.300 V and 25 degC, V-bypass 3.5 V believed, defaults of design 8. */
static void bench_init(struct bench *b, bool critical) {
        settings_init(&b->settings);
        b->settings.values[SETTING_MODE] = some(critical ? MODE_CRITICAL : MODE_NORMAL);
        pack_init(&b->pack);
        b->pack.count = CELLS;
        b->pack.v_bypass_mv.believed = some(3500);
        b->pack.frame = (struct frame){
                .count = CELLS,
                .pack_mv = 4 * 3300,
                .lowest_mv = 3300, .lowest_voltage_cell = 1,
                .highest_mv = 3300, .highest_voltage_cell = 2,
                .lowest_decic = 250, .lowest_temperature_cell = 3, .lowest_temperature_known = true,
                .highest_decic = 250, .highest_temperature_cell = 4, .highest_temperature_known = true,
                .sum = {true, 0},
        };
        b->limits = limits_from(&b->settings, &b->pack);
        protection_init(&b->protection);
        b->now = USEC_PER_HOUR;
}

static unsigned feed(struct bench *b, unsigned frames) {
        unsigned tripped = 0;

        for (unsigned i = 0; i < frames; i++) {
                b->now += PERIOD;
                b->pack.frame_at = b->now;
                tripped |= protection_frame(&b->protection, b->now, &b->limits, &b->pack);
        }
        return tripped;
}

enum reading { LOWEST_MV, HIGHEST_MV, PACK_MV, LOWEST_T, HIGHEST_T };

static void set_reading(struct bench *b, enum reading reading, int32_t value) {
        struct frame *f = &b->pack.frame;

        switch (reading) {
        case LOWEST_MV:
                f->lowest_mv = (uint32_t)value;
                break;
        case HIGHEST_MV:
                f->highest_mv = (uint32_t)value;
                break;
        case PACK_MV:
                f->pack_mv = (uint32_t)value;
                break;
        case LOWEST_T:
                f->lowest_decic = value;
                break;
        case HIGHEST_T:
                f->highest_decic = value;
                break;
        }
}

#define C (1u << RELAY_CHARGE)
#define L (1u << RELAY_LOAD)

/* Boundaries by default settings: V-max 3650 opens charge AT the limit, V-min 2800 opens load AT the limit, T-min 0 and
 * T-max 55.0 open both only BEYOND it. V-bypass 3500 for every cell opens charge in normal mode. Pack 4 x 3500. */
static const struct {
        enum rule rule;
        enum reading reading;
        int32_t value;
        unsigned normal, critical; /* relays it must block, confirmed, in each mode */
        bool trips_normal, trips_critical;
        unsigned frames;           /* needed with trip_frames 2 */
} boundaries[] = {
        {RULE_V_MAX, HIGHEST_MV, 3645, 0, 0, false, false, 2},
        {RULE_V_MAX, HIGHEST_MV, 3650, C, C, true, true, 2},
        {RULE_V_MAX, HIGHEST_MV, 3655, C, C, true, true, 2},
        {RULE_V_MIN, LOWEST_MV, 2805, 0, 0, false, false, 2},
        {RULE_V_MIN, LOWEST_MV, 2800, L, L, true, true, 2},
        {RULE_V_MIN, LOWEST_MV, 2795, L, L, true, true, 2},
        {RULE_FULL, LOWEST_MV, 3495, 0, 0, false, false, 3},
        {RULE_FULL, LOWEST_MV, 3500, C, 0, true, false, 3},
        {RULE_FULL, LOWEST_MV, 3505, C, 0, true, false, 3},
        {RULE_FULL_PACK, PACK_MV, 13995, 0, 0, false, false, 3},
        {RULE_FULL_PACK, PACK_MV, 14000, 0, 0, false, true, 3},
        {RULE_FULL_PACK, PACK_MV, 14005, 0, 0, false, true, 3},
        {RULE_T_MIN_CHARGE, LOWEST_T, 10, 0, 0, false, false, 2},
        {RULE_T_MIN_CHARGE, LOWEST_T, 0, 0, 0, false, false, 2},
        {RULE_T_MIN_CHARGE, LOWEST_T, -10, C | L, C | L, true, true, 2},
        {RULE_T_MIN_DISCHARGE, LOWEST_T, 0, 0, 0, false, false, 2},
        {RULE_T_MIN_DISCHARGE, LOWEST_T, -10, C | L, C | L, true, true, 2},
        {RULE_T_MAX, HIGHEST_T, 540, 0, 0, false, false, 2},
        {RULE_T_MAX, HIGHEST_T, 550, 0, 0, false, false, 2},
        {RULE_T_MAX, HIGHEST_T, 560, C | L, C | L, true, true, 2},
};

static unsigned blocked(const struct bench *b) {
        return (protection_blocking(&b->protection, RELAY_CHARGE) ? C : 0) |
               (protection_blocking(&b->protection, RELAY_LOAD) ? L : 0);
}

static void test_boundaries(void **state) {
        (void)state;
        for (size_t i = 0; i < sizeof(boundaries) / sizeof(boundaries[0]); i++)
                for (int critical = 0; critical <= 1; critical++) {
                        bool trips = critical ? boundaries[i].trips_critical : boundaries[i].trips_normal;
                        unsigned frames = boundaries[i].frames;
                        struct bench b;

                        bench_init(&b, critical);
                        set_reading(&b, boundaries[i].reading, boundaries[i].value);
                        /* One frame fewer than needed trips nothing; one more good frame does, once. */
                        assert_int_equal(feed(&b, frames - 1) & 1u << boundaries[i].rule, 0);
                        assert_false(protection_tripped(&b.protection, boundaries[i].rule));
                        assert_int_equal((feed(&b, 1) & 1u << boundaries[i].rule) != 0, trips);
                        assert_int_equal(protection_tripped(&b.protection, boundaries[i].rule), trips);
                        assert_int_equal(feed(&b, 1) & 1u << boundaries[i].rule, 0);
                        assert_int_equal(blocked(&b), critical ? boundaries[i].critical : boundaries[i].normal);
                }
}

static void test_every_row_is_in_the_table(void **state) {
        (void)state;
        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++) {
                bool found = rule == RULE_T_MAX_CELL; /* has tests of its own */

                for (size_t i = 0; i < sizeof(boundaries) / sizeof(boundaries[0]); i++)
                        found = found || boundaries[i].rule == rule;
                assert_true(found);
                assert_non_null(rule_info(rule)->name);
                assert_true(rule_info(rule)->blocks != 0 || rule == RULE_FULL_PACK);
        }
}

static void test_trip_frames(void **state) {
        (void)state;
        for (int32_t frames = 1; frames <= 3; frames++) {
                struct bench b;

                bench_init(&b, false);
                b.settings.values[SETTING_TRIP_FRAMES] = some(frames);
                b.limits = limits_from(&b.settings, &b.pack);
                set_reading(&b, HIGHEST_MV, 3650);
                assert_int_equal(feed(&b, (unsigned)frames - 1), 0);
                assert_int_equal(feed(&b, 1), 1u << RULE_V_MAX);
                /* B9, S2: a sync is never believed from fewer than 3 frames. */
                bench_init(&b, false);
                b.settings.values[SETTING_TRIP_FRAMES] = some(frames);
                b.limits = limits_from(&b.settings, &b.pack);
                set_reading(&b, LOWEST_MV, 3500);
                set_reading(&b, HIGHEST_MV, 3500);
                assert_int_equal(feed(&b, 2), 0);
                assert_int_equal(feed(&b, 1), 1u << RULE_FULL);
        }
}

/* B8: whichever cell breaks the rule; a good frame that keeps it starts anew. */
static void test_confirmation(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b, false);
        set_reading(&b, HIGHEST_MV, 3650);
        assert_int_equal(feed(&b, 1), 0);
        b.pack.frame.highest_voltage_cell = 3; /* another cell: the same rule */
        assert_int_equal(feed(&b, 1), 1u << RULE_V_MAX);
        assert_int_equal(b.protection.trips[RULE_V_MAX].reason.cell, 3);
        assert_int_equal(b.protection.trips[RULE_V_MAX].reason.value.value, 3650);
        assert_int_equal(b.protection.trips[RULE_V_MAX].reason.limit.value, 3650);

        bench_init(&b, false);
        set_reading(&b, HIGHEST_MV, 3650);
        assert_int_equal(feed(&b, 1), 0);
        set_reading(&b, HIGHEST_MV, 3645);
        assert_int_equal(feed(&b, 1), 0);
        assert_int_equal(protection_holding(&b.protection, RELAY_CHARGE), 0);
        set_reading(&b, HIGHEST_MV, 3650);
        assert_int_equal(feed(&b, 1), 0);
        assert_int_equal(blocked(&b), 0);
        assert_int_equal(protection_holding(&b.protection, RELAY_CHARGE), 1u << RULE_V_MAX);
}

/* B8: a pending trip opens as "unconfirmed" 2.5 periods after its first frame, at both rates. */
static void test_unconfirmed(void **state) {
        static const usec_t periods[] = {USEC_PER_SEC, USEC_PER_SEC / 2};

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                usec_t bound = periods[i] * 5 / 2, first;
                struct bench b;

                bench_init(&b, false);
                assert_true(protection_deadline(&b.protection, periods[i]) == USEC_INFINITY);
                set_reading(&b, LOWEST_MV, 2800);
                feed(&b, 1);
                first = b.now;
                assert_true(protection_deadline(&b.protection, periods[i]) == first + bound);
                protection_tick(&b.protection, first + bound - 1, periods[i]);
                assert_int_equal(blocked(&b), 0);
                protection_tick(&b.protection, first + bound, periods[i]);
                assert_int_equal(blocked(&b), L);
                assert_false(protection_tripped(&b.protection, RULE_V_MIN));
                assert_true(protection_deadline(&b.protection, periods[i]) == USEC_INFINITY);

                /* The next good frame decides: it confirms ... */
                struct bench confirmed = b;
                assert_int_equal(feed(&confirmed, 1), 1u << RULE_V_MIN);
                assert_int_equal(blocked(&confirmed), L);
                /* ... or cancels. */
                set_reading(&b, LOWEST_MV, 2805);
                assert_int_equal(feed(&b, 1), 0);
                assert_int_equal(blocked(&b), 0);
        }
}

/* A full pack is no danger: nothing opens unconfirmed for it. */
static void test_full_waits_for_its_frames(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b, false);
        set_reading(&b, LOWEST_MV, 3500);
        set_reading(&b, HIGHEST_MV, 3500);
        feed(&b, 2);
        protection_tick(&b.protection, b.now + USEC_PER_MINUTE, PERIOD);
        assert_int_equal(blocked(&b), 0);
}

/* S2's optional tail current; charging is positive, discharging is below any tail. */
static void test_tail_current(void **state) {
        static const struct {
                bool known;
                int32_t ma;
                bool full;
        } rows[] = {
                {true, 5000 - 125, true}, {true, 5000, true}, {true, 5000 + 125, false}, {true, -9000, true},
                {false, 0, true}, /* S7: without a sensor the voltages decide */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct bench b;

                bench_init(&b, false);
                b.settings.values[SETTING_FULL_TAIL_CURRENT] = some(5000);
                b.limits = limits_from(&b.settings, &b.pack);
                set_reading(&b, LOWEST_MV, 3500);
                set_reading(&b, HIGHEST_MV, 3500);
                b.pack.frame.sum = (struct frame_current){rows[i].known, rows[i].ma};
                assert_int_equal(feed(&b, 3), rows[i].full ? 1u << RULE_FULL : 0);
        }
}

static void test_unknown_bypass_is_never_full(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b, false);
        b.pack.v_bypass_mv.believed = none();
        b.limits = limits_from(&b.settings, &b.pack);
        set_reading(&b, LOWEST_MV, 3645);
        set_reading(&b, HIGHEST_MV, 3645);
        assert_int_equal(feed(&b, 10), 0);
}

/* P8: a T-min of its own for discharging. */
static void test_t_min_discharge(void **state) {
        static const struct {
                int32_t value;
                unsigned blocks;
        } rows[] = {{0, 0}, {-10, C}, {-100, C}, {-110, C | L}};

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct bench b;

                bench_init(&b, false);
                b.settings.values[SETTING_TMIN_DISCHARGE] = some(-100);
                b.limits = limits_from(&b.settings, &b.pack);
                set_reading(&b, LOWEST_T, rows[i].value);
                feed(&b, 2);
                assert_int_equal(blocked(&b), rows[i].blocks);
        }
}

/* P7: T-max bypass (55 + 25 = 80 degC) for the named cell while it is known to be bypassing, else T-max. */
static void test_t_max_bypass(void **state) {
        static const struct {
                bool bypassing;
                int32_t value;
                bool trips;
        } rows[] = {
                {false, 560, true}, {true, 560, false}, {true, 790, false}, {true, 800, false}, {true, 810, true},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct bench b;

                bench_init(&b, false);
                set_reading(&b, HIGHEST_T, rows[i].value);
                if (rows[i].bypassing)
                        b.pack.cells[4].bypass_until = b.now + PACK_BYPASS_HOLD_USEC;
                feed(&b, 2);
                assert_int_equal(blocked(&b), rows[i].trips ? C | L : 0);
        }
}

/* P7: it ends 10 minutes after the cell was last seen bypassing. */
static void test_bypass_excuse_ends(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b, false);
        set_reading(&b, HIGHEST_T, 600);
        b.pack.cells[4].bypass_until = b.now + 10 * PERIOD;
        assert_int_equal(feed(&b, 9), 0);
        assert_int_equal(feed(&b, 2), 1u << RULE_T_MAX);
}

static unsigned feed_detail(struct bench *b, uint8_t cell, int32_t decic) {
        b->pack.frame.detail_cell = cell;
        b->pack.frame.detail_mv = 3300;
        b->pack.frame.detail_decic = decic;
        b->pack.frame.detail_temperature_known = true;
        b->pack.cells[cell].temperature_decic = some(decic);
        return feed(b, 1);
}

/* P7: a hot cell that hides behind a bypassing, hotter one is found by its own details, in two rotations. */
static void test_hidden_hot_cell(void **state) {
        struct bench b;
        unsigned tripped = 0;

        (void)state;
        bench_init(&b, false);
        b.pack.cells[4].bypass_until = b.now + USEC_PER_HOUR;
        set_reading(&b, HIGHEST_T, 700);
        for (uint8_t cell = 1; cell <= 4; cell++)
                tripped |= feed_detail(&b, cell, cell == 4 ? 700 : cell == 2 ? 560 : 300);
        assert_int_equal(tripped, 0);
        assert_int_equal(feed_detail(&b, 1, 300), 0);
        assert_int_equal(feed_detail(&b, 2, 560), 1u << RULE_T_MAX_CELL);
        assert_int_equal(b.protection.trips[RULE_T_MAX_CELL].reason.cell, 2);
        assert_int_equal(blocked(&b), C | L);
        /* It stays until the cell's own detail says otherwise, not until another cell's detail does. */
        assert_int_equal(feed_detail(&b, 3, 300), 0);
        assert_int_equal(blocked(&b), C | L);
        feed_detail(&b, 2, 550);
        assert_int_equal(blocked(&b), 0);
}

/* P7: however long it is hot: its 300th detail in a row opens as surely as its second. */
static void test_hot_cell_stays_hot(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b, false);
        feed_detail(&b, 2, 560);
        for (int rotation = 2; rotation <= 300; rotation++) {
                feed_detail(&b, 2, 560);
                assert_int_equal(blocked(&b), C | L);
        }
}

/* A rule that is broken for longer than its frames can be counted stays broken. */
static void test_count_of_frames_ends(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b, false);
        set_reading(&b, HIGHEST_MV, 3650);
        feed(&b, 2);
        b.protection.trips[RULE_V_MAX].frames = UINT_MAX - 1;
        for (int i = 0; i < 3; i++) {
                feed(&b, 1);
                assert_int_equal(blocked(&b), C);
                assert_int_equal(protection_holding(&b.protection, RELAY_CHARGE), 1u << RULE_V_MAX);
        }
}

/* P7: the first and the last cell too; of several the hottest is named, and of equals the first. */
static void test_which_hot_cell(void **state) {
        static const struct {
                int32_t decic[CELLS];
                uint8_t named;
        } rows[] = {
                {{560, 300, 300, 300}, 1},
                {{300, 300, 300, 560}, 4},
                {{560, 570, 300, 300}, 2},
                {{570, 560, 300, 300}, 1},
                {{300, 560, 560, 300}, 2},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct bench b;

                bench_init(&b, false);
                for (unsigned rotation = 0; rotation < 2; rotation++)
                        for (uint8_t cell = 1; cell <= CELLS; cell++)
                                feed_detail(&b, cell, rows[i].decic[cell - 1]);
                assert_true(protection_tripped(&b.protection, RULE_T_MAX_CELL));
                assert_int_equal(b.protection.trips[RULE_T_MAX_CELL].reason.cell, rows[i].named);
        }
}

/* P7: a detail without a reading, or of no cell of this pack, says nothing. */
static void test_details_that_say_nothing(void **state) {
        (void)state;
        for (int row = 0; row < 4; row++) {
                struct bench b;

                bench_init(&b, false);
                for (int i = 0; i < 3; i++) {
                        b.pack.frame.detail_cell = row == 0 ? 0 : row == 1 ? CELLS + 1 : 2;
                        b.pack.frame.detail_mv = row == 2 ? 0 : 3300;
                        b.pack.frame.detail_temperature_known = row != 3;
                        b.pack.frame.detail_decic = 900;
                        for (unsigned cell = 0; cell <= CELLS + 1; cell++)
                                b.pack.cells[cell].temperature_decic = some(900);
                        assert_int_equal(feed(&b, 1), 0);
                }
                for (unsigned cell = 0; cell <= CELLS + 1; cell++)
                        assert_int_equal(b.pack.cells[cell].over_tmax_run, 0);
        }
}

/* S2's tail current is for being full: it never keeps a limit from opening. */
static void test_tail_current_is_for_full_only(void **state) {
        struct bench b;

        (void)state;
        bench_init(&b, false);
        b.settings.values[SETTING_FULL_TAIL_CURRENT] = some(5000);
        b.limits = limits_from(&b.settings, &b.pack);
        b.pack.frame.sum = (struct frame_current){true, 9000};
        set_reading(&b, HIGHEST_MV, 3650);
        assert_int_equal(feed(&b, 2), 1u << RULE_V_MAX);

        /* Off: the current plays no part. */
        bench_init(&b, false);
        b.pack.frame.sum = (struct frame_current){true, 9000};
        set_reading(&b, LOWEST_MV, 3500);
        set_reading(&b, HIGHEST_MV, 3500);
        assert_int_equal(feed(&b, 3), 1u << RULE_FULL);
}

/* P9 */
static void test_mode(void **state) {
        static const struct {
                int32_t setting;
                struct maybe switch5;
                bool critical;
        } rows[] = {
                {MODE_BOARD, {false, 0}, false}, {MODE_BOARD, {true, 0}, false}, {MODE_BOARD, {true, 1 << 4}, true},
                {MODE_BOARD, {true, 0xef}, false}, {MODE_NORMAL, {true, 1 << 4}, false},
                {MODE_CRITICAL, {true, 0}, true}, {MODE_CRITICAL, {false, 0}, true},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct bench b;

                bench_init(&b, false);
                b.settings.values[SETTING_MODE] = some(rows[i].setting);
                b.pack.switches.believed = rows[i].switch5;
                assert_int_equal(limits_from(&b.settings, &b.pack).critical, rows[i].critical);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_boundaries),
                cmocka_unit_test(test_every_row_is_in_the_table),
                cmocka_unit_test(test_trip_frames),
                cmocka_unit_test(test_confirmation),
                cmocka_unit_test(test_unconfirmed),
                cmocka_unit_test(test_full_waits_for_its_frames),
                cmocka_unit_test(test_tail_current),
                cmocka_unit_test(test_unknown_bypass_is_never_full),
                cmocka_unit_test(test_t_min_discharge),
                cmocka_unit_test(test_t_max_bypass),
                cmocka_unit_test(test_bypass_excuse_ends),
                cmocka_unit_test(test_hidden_hot_cell),
                cmocka_unit_test(test_hot_cell_stays_hot),
                cmocka_unit_test(test_count_of_frames_ends),
                cmocka_unit_test(test_which_hot_cell),
                cmocka_unit_test(test_details_that_say_nothing),
                cmocka_unit_test(test_tail_current_is_for_full_only),
                cmocka_unit_test(test_mode),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
