/* SPDX-License-Identifier: MIT */

/* Random sequences of frames, faults, settings and commands through one whole struct bms, with invariants that are
 * checked against what was sent, not against what bms.c believes. Seeded: the same seed, the same sequence. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bms.h"

#define CELLS 4
#define STEPS_PER_SEED 260000
#define V_BYPASS_MV 3500
#define HISTORY 8

static uint64_t random_next(uint64_t *state) { /* splitmix64 */
        uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

static int32_t random_between(uint64_t *state, int32_t low, int32_t high) {
        return low + (int32_t)(random_next(state) % (uint64_t)(high - low + 1));
}

enum weather { CHARGING, DISCHARGING, RESTING, JUMPY, _WEATHER_MAX };
enum fault { HEALTHY, SILENT, GARBLED, ERROR_BIT, WRONG_COUNT, _FAULT_MAX };

struct world {
        uint64_t rng;
        usec_t now;
        enum weather weather;
        enum fault fault;
        int weather_left, fault_left;
        int32_t cell_mv[CELLS];
        int32_t cell_decic[CELLS];
        int32_t current_ma;
        uint8_t detail;
        struct settings settings;
        struct bms bms;
        bool critical;
        int release_every; /* mean steps between `release` commands: seldom, or so often that P5 never holds for long */

        /* What was really sent and accepted as error-free, newest first. */
        int32_t lowest[HISTORY], highest[HISTORY], coldest[HISTORY], hottest[HISTORY];
        unsigned sent_run; /* entries of the above since the last settings change */
        usec_t last_good;
        unsigned errors_in_a_row;

        usec_t closings[_RELAY_MAX][16];
        unsigned n_closings[_RELAY_MAX];
        enum rule opened_by[_RELAY_MAX];
        bool was_closed[_RELAY_MAX];
        uint64_t count_closings, count_trips, count_recoveries;
};

static void world_init(struct world *w, uint64_t seed) {
        struct bms_config config = {
                .role = ROLE_GATEWAY,
                .current_check = true,
                .cells = CELLS,
                .blind_spot_ma = 1000,
                .mapped = {true, true},
        };

        memset(w, 0, sizeof(*w));
        w->rng = seed;
        w->release_every = seed % 2 ? 2500 : 50;
        w->now = USEC_PER_HOUR;
        for (int i = 0; i < CELLS; i++) {
                w->cell_mv[i] = 3300;
                w->cell_decic[i] = 250;
        }
        settings_init(&w->settings);
        w->settings.values[SETTING_CAPACITY] = some(2000);
        w->settings.values[SETTING_WIRING] = some(WIRING_SERIES);
        config.settings = w->settings;
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                w->opened_by[id] = RULE_START;
        bms_init(&w->bms, w->now, &config);
}

static void move_weather(struct world *w) {
        if (w->weather_left-- <= 0) {
                w->weather = (enum weather)random_between(&w->rng, 0, _WEATHER_MAX - 1);
                if (w->cell_mv[0] > 3600) /* keep the pack alive: nothing is asked of one that lies at an end */
                        w->weather = DISCHARGING;
                else if (w->cell_mv[0] < 2900)
                        w->weather = CHARGING;
                w->weather_left = random_between(&w->rng, 5, 400);
                w->current_ma = w->weather == CHARGING ? 20000 : w->weather == DISCHARGING ? -20000 : 0;
        }
        for (int i = 0; i < CELLS; i++) {
                int32_t step = w->weather == CHARGING ? 5 : w->weather == DISCHARGING ? -5 : 0;

                if (w->weather == JUMPY)
                        step = 5 * random_between(&w->rng, -40, 40);
                else if (random_between(&w->rng, 0, 2) != 0)
                        step = 0;
                w->cell_mv[i] += step;
                if (w->cell_mv[i] < 2600)
                        w->cell_mv[i] = 2600;
                if (w->cell_mv[i] > 3800)
                        w->cell_mv[i] = 3800;
                if (random_between(&w->rng, 0, 20) == 0)
                        w->cell_decic[i] += 10 * random_between(&w->rng, -2, 2);
                if (random_between(&w->rng, 0, 200) == 0)
                        w->cell_decic[i] = 250;
                if (random_between(&w->rng, 0, 2000) == 0)
                        w->cell_decic[i] = random_between(&w->rng, 0, 1) ? -20 : 620;
                if (random_between(&w->rng, 0, 500) == 0)
                        w->cell_mv[i] = w->cell_mv[(i + 1) % CELLS]; /* balanced again */
                if (w->cell_decic[i] < -50)
                        w->cell_decic[i] = -50;
                if (w->cell_decic[i] > 650)
                        w->cell_decic[i] = 650;
        }
        if (w->fault_left-- <= 0) {
                bool faulty = random_between(&w->rng, 0, 5) == 0;

                w->fault = faulty ? (enum fault)random_between(&w->rng, 1, _FAULT_MAX - 1) : HEALTHY;
                w->fault_left = faulty ? random_between(&w->rng, 1, 15) : random_between(&w->rng, 20, 1500);
        }
}

static void compose(struct world *w, uint8_t bytes[FRAME_SIZE]) {
        struct frame f = {
                .count = CELLS,
                .status = FRAME_STATUS_NOT_CALIBRATED,
                .v_bypass_mv = V_BYPASS_MV,
                .lowest_temperature_known = true,
                .highest_temperature_known = true,
                .detail_temperature_known = true,
                .key_byte = FRAME_KEY_SWITCHES + FRAME_KEY_BIAS,
                .value = w->critical ? 1 << 4 : 0,
                .in = {true, w->current_ma > 0 ? w->current_ma : 0},
                .out = {true, w->current_ma < 0 ? -w->current_ma : 0},
                .sum = {true, w->current_ma},
        };
        int low = 0, high = 0, cold = 0, hot = 0;

        w->detail = (uint8_t)(w->detail % CELLS + 1);
        for (int i = 0; i < CELLS; i++) {
                f.pack_mv += (uint32_t)w->cell_mv[i];
                low = w->cell_mv[i] < w->cell_mv[low] ? i : low;
                high = w->cell_mv[i] > w->cell_mv[high] ? i : high;
                cold = w->cell_decic[i] < w->cell_decic[cold] ? i : cold;
                hot = w->cell_decic[i] > w->cell_decic[hot] ? i : hot;
        }
        f.lowest_mv = (uint32_t)w->cell_mv[low];
        f.lowest_voltage_cell = (uint8_t)(low + 1);
        f.highest_mv = (uint32_t)w->cell_mv[high];
        f.highest_voltage_cell = (uint8_t)(high + 1);
        f.lowest_decic = w->cell_decic[cold];
        f.lowest_temperature_cell = (uint8_t)(cold + 1);
        f.highest_decic = w->cell_decic[hot];
        f.highest_temperature_cell = (uint8_t)(hot + 1);
        f.detail_cell = w->detail;
        f.detail_mv = (uint32_t)w->cell_mv[w->detail - 1];
        f.detail_decic = w->cell_decic[w->detail - 1];
        if (w->fault == ERROR_BIT)
                f.status |= FRAME_STATUS_COMMUNICATION_ERROR;
        if (w->fault == WRONG_COUNT) { /* one cell gone: everything else fits */
                f.count = CELLS - 1;
                f.pack_mv = f.lowest_mv * (CELLS - 1);
                f.detail_cell = 0;
                f.lowest_voltage_cell = f.highest_voltage_cell = 1;
                f.lowest_temperature_cell = f.highest_temperature_cell = 1;
        }
        frame_encode(&f, TEMPERATURE_SHEET, bytes);
        if (w->fault == GARBLED)
                bytes[random_between(&w->rng, 0, FRAME_SIZE - 1)] ^= (uint8_t)random_between(&w->rng, 1, 255);
}

static void remember(struct world *w) {
        int32_t low = w->cell_mv[0], high = low, cold = w->cell_decic[0], hot = cold;

        memmove(w->lowest + 1, w->lowest, sizeof(w->lowest) - sizeof(w->lowest[0]));
        memmove(w->highest + 1, w->highest, sizeof(w->highest) - sizeof(w->highest[0]));
        memmove(w->coldest + 1, w->coldest, sizeof(w->coldest) - sizeof(w->coldest[0]));
        memmove(w->hottest + 1, w->hottest, sizeof(w->hottest) - sizeof(w->hottest[0]));
        for (int i = 1; i < CELLS; i++) {
                low = w->cell_mv[i] < low ? w->cell_mv[i] : low;
                high = w->cell_mv[i] > high ? w->cell_mv[i] : high;
                cold = w->cell_decic[i] < cold ? w->cell_decic[i] : cold;
                hot = w->cell_decic[i] > hot ? w->cell_decic[i] : hot;
        }
        w->lowest[0] = low;
        w->highest[0] = high;
        w->coldest[0] = cold;
        w->hottest[0] = hot;
        w->sent_run++;
        w->last_good = w->now;
        w->errors_in_a_row = 0;
}

static bool closed(const struct world *w, enum relay_id id) {
        return bms_relay_closed(&w->bms, id);
}

static int32_t setting(const struct world *w, enum setting s) {
        return settings_get(&w->settings, s);
}

/* All of the last n error-free frames, sent since the last change of settings, are beyond the limit. */
static bool all_last(const struct world *w, const int32_t *values, unsigned n, int sign, int32_t limit) {
        if (w->sent_run < n)
                return false;
        for (unsigned i = 0; i < n; i++)
                if (sign * values[i] < sign * limit)
                        return false;
        return true;
}

static void check_limits(struct world *w) {
        unsigned trip = (unsigned)setting(w, SETTING_TRIP_FRAMES);
        bool recovering = w->bms.recover_until != 0;

        if (all_last(w, w->lowest, trip, -1, setting(w, SETTING_VMIN)) && !recovering)
                assert_false(closed(w, RELAY_LOAD));
        if (all_last(w, w->highest, trip, 1, setting(w, SETTING_VMAX)))
                assert_false(closed(w, RELAY_CHARGE));
        if (all_last(w, w->coldest, trip, -1, setting(w, SETTING_TMIN) - 10)) {
                assert_false(closed(w, RELAY_CHARGE));
                assert_false(closed(w, RELAY_LOAD));
        }
        /* Beyond T-max bypass no cell has an excuse. */
        if (all_last(w, w->hottest, trip, 1, settings_tmax_bypass_decic(&w->settings) + 10)) {
                assert_false(closed(w, RELAY_CHARGE));
                assert_false(closed(w, RELAY_LOAD));
        }
        if (usec_since(w->now, w->last_good) >= 3500 * USEC_PER_MSEC || w->errors_in_a_row >= trip) {
                assert_false(closed(w, RELAY_CHARGE));
                assert_false(closed(w, RELAY_LOAD));
        }
}

/* A closing needs a good frame in this very step, and readings on the right side of the limits. */
static void check_closings(struct world *w, bool good_frame) {
        bool recovering = w->bms.recover_until != 0;

        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                bool is = closed(w, id);
                enum rule by = w->opened_by[id];

                if (!is && w->was_closed[id]) {
                        w->opened_by[id] = w->bms.relays.relay[id].reason.rule;
                        w->count_trips += w->opened_by[id] < _RULE_TABLE_MAX;
                }
                if (is && !w->was_closed[id]) {
                        assert_true(good_frame);
                        assert_true(w->sent_run > 0);
                        if (id == RELAY_CHARGE || recovering)
                                assert_true(w->highest[0] < setting(w, SETTING_VMAX));
                        assert_true(w->coldest[0] > setting(w, SETTING_TMIN));
                        if (id == RELAY_LOAD && !recovering)
                                assert_true(w->lowest[0] > setting(w, SETTING_VMIN));
                        if (id == RELAY_CHARGE && !w->bms.limits.critical && !recovering)
                                assert_true(w->highest[0] < V_BYPASS_MV);
                        w->count_closings++;
                        w->count_recoveries += by == RULE_LINK || by == RULE_ERROR;
                        if (by < _RULE_TABLE_MAX && !recovering) {
                                usec_t *ring = w->closings[id];

                                memmove(ring + 1, ring, 15 * sizeof(ring[0]));
                                ring[0] = w->now;
                                if (w->n_closings[id] < 16)
                                        w->n_closings[id]++;
                                /* P5: the seventh newest lies at least an hour back. */
                                if (w->n_closings[id] > RELAY_CLOSINGS_PER_HOUR)
                                        assert_true(w->now - ring[RELAY_CLOSINGS_PER_HOUR] >= USEC_PER_HOUR);
                        }
                }
                w->was_closed[id] = is;
        }
}

static void change_settings(struct world *w) {
        struct settings s = w->settings;
        char error[256];
        bool before[_RELAY_MAX] = {closed(w, RELAY_CHARGE), closed(w, RELAY_LOAD)};

        s.values[SETTING_VMIN] = some(5 * random_between(&w->rng, 540, 600));
        s.values[SETTING_VMAX] = some(5 * random_between(&w->rng, 705, 750));
        s.values[SETTING_TRIP_FRAMES] = some(random_between(&w->rng, 1, 3));
        s.values[SETTING_CHARGE_RESTART_DELAY] = some(random_between(&w->rng, 0, 120));
        s.values[SETTING_DISCHARGE_RESTART_DELAY] = some(random_between(&w->rng, 0, 120));
        s.values[SETTING_CHARGE_RESTART] = some(random_between(&w->rng, 60, 99));
        s.values[SETTING_DISCHARGE_RESTART] = some(random_between(&w->rng, 0, 50));
        s.values[SETTING_MODE] = some(random_between(&w->rng, MODE_BOARD, MODE_CRITICAL));
        assert_int_equal(bms_apply_settings(&w->bms, w->now, &s, error, sizeof(error)), 0);
        w->settings = s;
        w->sent_run = 0;

        /* P13: nothing closes in this cycle; not even a tick closes. */
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                assert_true(before[id] || !closed(w, id));
        bms_tick(&w->bms, w->now);
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                assert_true(before[id] || !closed(w, id));
}

static void give_commands(struct world *w) {
        char error[256];

        if (random_between(&w->rng, 0, 3000) == 0)
                change_settings(w);
        if (random_between(&w->rng, 0, 20000) == 0) {
                (void)bms_recover(&w->bms, w->now, random_between(&w->rng, 1, 30), error, sizeof(error));
        }
        if (random_between(&w->rng, 0, w->release_every) == 0)
                for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                        if (bms_release(&w->bms, w->now, id, error, sizeof(error)) == 0)
                                w->n_closings[id] = 0;
        if (random_between(&w->rng, 0, 8000) == 0)
                (void)bms_soc_set(&w->bms, w->now, random_between(&w->rng, 0, 10000), error, sizeof(error));
        if (random_between(&w->rng, 0, 10000) == 0)
                w->critical = !w->critical;
}

/* One second: ticks as the daemon would give them, then maybe a frame. */
static void world_step(struct world *w) {
        uint8_t bytes[FRAME_SIZE];
        usec_t next = w->now + USEC_PER_SEC;
        bool good;

        move_weather(w);
        give_commands(w);
        for (usec_t due; (due = bms_deadline(&w->bms, w->now)) < next;) {
                w->now = due > w->now ? due : w->now + 1;
                bms_tick(&w->bms, w->now);
                check_closings(w, false);
                check_limits(w);
        }
        w->now = next;

        good = w->fault == HEALTHY;
        if (w->fault != SILENT) {
                compose(w, bytes);
                if (good)
                        remember(w);
                else if (w->fault != GARBLED)
                        w->errors_in_a_row++;
                bms_bytes(&w->bms, w->now, bytes, sizeof(bytes));
        }
        bms_tick(&w->bms, w->now);
        check_closings(w, good);
        check_limits(w);
}

/* From whatever state: a pack at V-min, healthy, no cell at V-bypass, charges in the end (but where P5 asks for
 * `release`). Runs on a copy. */
static void check_empty_pack_charges(const struct world *original) {
        struct world *w = malloc(sizeof(*w));
        bool charged = false;

        assert_non_null(w);
        *w = *original;
        w->fault = HEALTHY;
        for (int i = 0; i < CELLS; i++) {
                w->cell_mv[i] = i == 0 ? setting(w, SETTING_VMIN) - 5 : V_BYPASS_MV - 5 - 100 * i;
                w->cell_decic[i] = 250;
        }
        w->cell_mv[1] = V_BYPASS_MV - 5; /* imbalanced as much as the promise allows */
        w->current_ma = 0;
        for (int i = 0; i < 2 * 3600 && !charged; i++) {
                uint8_t bytes[FRAME_SIZE];

                w->now += USEC_PER_SEC;
                compose(w, bytes);
                bms_bytes(&w->bms, w->now, bytes, sizeof(bytes));
                charged = closed(w, RELAY_CHARGE);
        }
        if (!charged)
                assert_true(w->bms.relays.relay[RELAY_CHARGE].locked);
        free(w);
}

static void run_seed(uint64_t seed) {
        struct world *w = malloc(sizeof(*w));

        assert_non_null(w);
        world_init(w, seed);
        for (int i = 0; i < STEPS_PER_SEED; i++) {
                world_step(w);
                if (i % 5000 == 4999)
                        check_empty_pack_charges(w);
        }
        /* The world must have been eventful, or the invariants were not asked anything. */
        print_message("seed %llu: %llu closings, %llu trips, %llu recoveries of the link\n", (unsigned long long)seed,
                      (unsigned long long)w->count_closings, (unsigned long long)w->count_trips,
                      (unsigned long long)w->count_recoveries);
        assert_true(w->count_closings > 100);
        assert_true(w->count_trips > 100);
        assert_true(w->count_recoveries > 10);
        free(w);
}

static void test_invariants(void **state) {
        (void)state;
        /* Under valgrind, 30 times slower, it is memory that is looked at: one seed shows as much of that as all. */
        const uint64_t seeds = getenv("SMARTBMS_TEST_SHORT") ? 1 : 4;

        for (uint64_t seed = 1; seed <= seeds; seed++)
                run_seed(seed);
}

/* The same inputs, settings and latches at another monotonic time: the same decisions. */
static void test_only_inputs_decide(void **state) {
        struct world *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));

        (void)state;
        assert_non_null(a);
        assert_non_null(b);
        world_init(a, 99);
        memset(b, 0xa5, sizeof(*b)); /* nothing may leak from what was in memory before */
        world_init(b, 99);
        b->now += 1000 * USEC_PER_DAY;
        bms_init(&b->bms, b->now, &a->bms.config);
        for (int i = 0; i < 50000; i++) {
                world_step(a);
                world_step(b);
                for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                        assert_int_equal(closed(a, id), closed(b, id));
                        assert_int_equal(a->bms.relays.relay[id].reason.rule, b->bms.relays.relay[id].reason.rule);
                }
        }
        free(a);
        free(b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_invariants),
                cmocka_unit_test(test_only_inputs_decide),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
