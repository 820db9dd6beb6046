/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deframer.h"
#include "simulation.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

struct bench {
        struct simulation_config config;
        struct simulation simulation;
        bool charge_closed, load_closed;
        size_t size;
        uint8_t wire[FAULTS_WIRE_MAX];
        struct frame frame;
};

/* 4 cells of 100 Ah, all alike, no noise, 10 A in, 4 A out, V-bypass 3.5 V; the test changes config, then
 * starts. */
static struct bench *new_bench(void) {
        struct bench *b = calloc(1, sizeof(*b));

        assert_non_null(b);
        simulation_config_init(&b->config);
        b->config.cells = 4;
        b->config.spread_percent = 0;
        b->config.noise_mv = 0;
        b->config.profile.load_a = 4;
        b->charge_closed = b->load_closed = true;
        return b;
}

static void start(struct bench *b) {
        char error[160];

        assert_int_equal(simulation_config_check(&b->config, error, sizeof(error)), 0);
        simulation_init(&b->simulation, &b->config);
}

static void command(struct bench *b, const char *line) {
        char answer[160];

        if (simulation_command(&b->simulation, line, answer, sizeof(answer)) < 0)
                fail_msg("%s: %s", line, answer);
}

static bool step(struct bench *b) {
        b->size = simulation_step(&b->simulation, b->charge_closed, b->load_closed, b->wire);
        return b->size > 0;
}

/* One message cycle; its frame must decode, and carry this status. */
static void cycle(struct bench *b, uint8_t status) {
        assert_true(step(b));
        assert_int_equal(b->size, FRAME_SIZE);
        assert_true(frame_decode(b->wire, b->config.coding, &b->frame));
        assert_int_equal(b->frame.status, status);
        assert_false(step(b));
}

/* 3.300 V at 50 % and 6 A * 44.8 mohm * 0.03 = 8.06 mV: 3.310 V to the next 5 mV. */
static void test_frame_content(void **state) {
        struct bench *b = new_bench();

        (void)state;
        start(b);
        cycle(b, 0x80);
        assert_int_equal(b->frame.pack_mv, 4 * 3310);
        assert_int_equal(b->frame.lowest_mv, 3310);
        assert_int_equal(b->frame.highest_mv, 3310);
        assert_int_equal(b->frame.in.ma, 10000);
        assert_int_equal(b->frame.out.ma, 4000);
        assert_int_equal(b->frame.sum.ma, 6000);
        assert_int_equal(b->frame.lowest_decic, 200);
        assert_int_equal(b->frame.count, 4);
        assert_int_equal(b->frame.detail_cell, 1);
        assert_int_equal(b->frame.detail_mv, 3310);
        assert_int_equal(b->frame.v_bypass_mv, 3500);
        for (int i = 31; i <= 56; i++)
                if (i <= 46 || (i >= 49 && i <= 54))
                        assert_int_equal(b->wire[i], 0);
        free(b);
}

static void test_one_sensor(void **state) {
        struct bench *b = new_bench();

        (void)state;
        b->config.sensors = 1;
        start(b);
        cycle(b, 0x80);
        assert_int_equal(b->frame.in.ma, 6000);
        assert_int_equal(b->wire[6], 'X');
        assert_int_equal(b->frame.sum.ma, 6000);
        free(b);
}

/* Current flows only through a closed contact. */
static void test_relays(void **state) {
        static const struct {
                bool charge, load;
                int32_t in_ma, out_ma;
        } rows[] = {{false, false, 0, 0},
                    {true, false, 10000, 0},
                    {false, true, 0, 4000},
                    {true, true, 10000, 4000}};
        struct bench *b = new_bench();
        double soc;

        (void)state;
        start(b);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                b->charge_closed = rows[i].charge;
                b->load_closed = rows[i].load;
                soc = simulation_soc(&b->simulation);
                for (int second = 0; second < 360; second++)
                        cycle(b, 0x80);
                assert_int_equal(b->frame.in.ma, rows[i].in_ma);
                assert_int_equal(b->frame.out.ma, rows[i].out_ma);
                /* a tenth of an hour at I of 100 Ah: I/10 points */
                soc += (rows[i].in_ma - rows[i].out_ma) / 10000.0 - simulation_soc(&b->simulation);
                assert_true(soc > -1e-9 && soc < 1e-9);
        }
        b->charge_closed = b->load_closed = false;
        command(b, "relay-stuck=load");
        cycle(b, 0x80);
        assert_int_equal(b->frame.in.ma, 0);
        assert_int_equal(b->frame.out.ma, 4000);
        command(b, "relay-stuck=charge");
        cycle(b, 0x80);
        assert_int_equal(b->frame.in.ma, 10000);
        assert_int_equal(b->frame.out.ma, 4000);
        free(b);
}

/* What the gateway's own acceptance makes of a healthy stream, noise of measurement included: every frame is
 * taken and no byte skipped, for the pack sizes that are in the manual's table and those that are not. */
static void test_stream_is_accepted(void **state) {
        static const struct {
                int cells, configured;
                enum simulation_tap tap;
                enum temperature_coding coding;
                bool fast;
        } rows[] = {
                {2, 4, SIMULATION_TAP_LAST, TEMPERATURE_SHEET, false},
                {4, 4, SIMULATION_TAP_IN, TEMPERATURE_LEGACY, true},
                {5, 8, SIMULATION_TAP_IN, TEMPERATURE_SHEET, false},
                {5, 8, SIMULATION_TAP_LAST, TEMPERATURE_LEGACY, false},
                {33, 48, SIMULATION_TAP_LAST, TEMPERATURE_SHEET, false},
                {97, 128, SIMULATION_TAP_LAST, TEMPERATURE_SHEET, true},
                {205, 255, SIMULATION_TAP_LAST, TEMPERATURE_SHEET, false},
                {255, 255, SIMULATION_TAP_IN, TEMPERATURE_SHEET, true},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const struct accept_rules rules = {ROLE_GATEWAY, rows[i].coding, true};
                struct bench *b = new_bench();
                struct deframer deframer;
                struct frame frame;
                uint64_t frames = 0;

                b->config.cells = rows[i].cells;
                b->config.configured = rows[i].configured;
                b->config.tap = rows[i].tap;
                b->config.coding = rows[i].coding;
                b->config.fast = rows[i].fast;
                b->config.spread_percent = 5;
                b->config.noise_mv = 3;
                start(b);
                deframer_init(&deframer, &rules);
                for (int half = 0; half < 2000; half++) {
                        frames += step(b);
                        for (size_t k = 0; k < b->size; k++)
                                (void)deframer_push(&deframer, b->wire[k], &frame, NULL);
                }
                assert_int_equal(frames, 1000);
                assert_int_equal(deframer.frames, 1000);
                assert_int_equal(deframer.skipped_bytes, 0);
                assert_int_equal(frame.count, rows[i].cells);
                free(b);
        }
}

/* Half a second, or a quarter, of simulated time a step. */
static void test_period(void **state) {
        struct bench *b = new_bench();

        (void)state;
        b->config.fast = true;
        start(b);
        cycle(b, 0x80);
        assert_int_equal(b->simulation.now, 500000);
        command(b, "period=1.0");
        cycle(b, 0x80);
        assert_int_equal(b->simulation.now, 1500000);
        free(b);
}

static void run_story(struct bench *b, uint64_t *ret_hash) {
        uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

        b->config.cells = 16;
        b->config.spread_percent = 3;
        b->config.noise_mv = 2;
        b->config.profile.kind = PROFILE_DAY;
        start(b);
        command(b, "noise=20@100+50");
        command(b, "cut=5@200+30");
        command(b, "flip=30@300");
        for (int half = 0; half < 2000; half++) {
                (void)step(b);
                for (size_t i = 0; i < b->size; i++)
                        hash = (hash ^ b->wire[i]) * UINT64_C(1099511628211);
        }
        *ret_hash = hash;
}

static void test_same_seed_same_bytes(void **state) {
        uint64_t hashes[3];

        (void)state;
        for (int i = 0; i < 3; i++) {
                struct bench *b = new_bench();

                b->config.seed = i == 2 ? 43 : 42;
                run_story(b, &hashes[i]);
                free(b);
        }
        assert_true(hashes[0] == hashes[1]);
        assert_true(hashes[0] != hashes[2]);
}

/* Bytes drawn for noise on the wire leave the cells as they are. */
static void test_noise_changes_no_reading(void **state) {
        struct bench *quiet = new_bench(), *noisy = new_bench();

        (void)state;
        quiet->config.noise_mv = noisy->config.noise_mv = 2;
        start(quiet);
        start(noisy);
        command(noisy, "noise=100");
        for (int half = 0; half < 200; half++) {
                assert_int_equal(step(quiet), step(noisy));
                if (quiet->size > 0)
                        assert_memory_equal(noisy->wire + 100, quiet->wire, FRAME_SIZE);
        }
        free(quiet);
        free(noisy);
}

static void test_forced_readings(void **state) {
        struct bench *b = new_bench();

        (void)state;
        start(b);
        command(b, "voltage=3,3.65");
        command(b, "voltage=2,2.8");
        command(b, "hot=4");
        command(b, "cold=1,-3");
        cycle(b, 0x80);
        assert_int_equal(b->frame.highest_mv, 3650);
        assert_int_equal(b->frame.highest_voltage_cell, 3);
        assert_int_equal(b->frame.lowest_mv, 2800);
        assert_int_equal(b->frame.lowest_voltage_cell, 2);
        assert_int_equal(b->frame.highest_decic, 700);
        assert_int_equal(b->frame.highest_temperature_cell, 4);
        assert_int_equal(b->frame.lowest_decic, -30);
        assert_int_equal(b->frame.lowest_temperature_cell, 1);
        assert_int_equal(b->frame.pack_mv, 3650 + 2800 + 3310 + 3310);
        command(b, "clear voltage");
        cycle(b, 0x80);
        assert_int_equal(b->frame.pack_mv, 4 * 3310);
        assert_int_equal(b->frame.highest_decic, 700);
        command(b, "clear");
        cycle(b, 0x80);
        assert_int_equal(b->frame.highest_decic, 200);
        free(b);
}

static void test_sensor_faults(void **state) {
        static const struct {
                const char *fault;
                char in, out, sum;
                int32_t in_ma, out_ma, sum_ma;
        } rows[] = {
                {"sensor-lost=1", 'X', '+', 'X', 0, 4000, 0},
                {"sensor-lost=2", '+', 'X', '+', 10000, 0, 10000},
                {"sensor-reversed", '-', '-', '-', -10000, -4000, -6000},
                {"sensor-reversed=1", '-', '+', '-', -10000, 4000, -14000},
                {"sensor-reversed=2", '+', '-', '+', 10000, -4000, 14000},
                {"sum", '+', '+', '+', 10000, 4000, 14000},
        };
        struct bench *b = new_bench();

        (void)state;
        start(b);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                command(b, rows[i].fault);
                cycle(b, 0x80);
                assert_int_equal(b->wire[3], rows[i].in);
                assert_int_equal(b->wire[6], rows[i].out);
                assert_int_equal(b->wire[9], rows[i].sum);
                assert_int_equal(b->frame.in.ma, rows[i].in_ma);
                assert_int_equal(b->frame.out.ma, rows[i].out_ma);
                assert_int_equal(b->frame.sum.ma, rows[i].sum_ma);
                command(b, "clear");
        }
        free(b);
}

static void test_count_and_boards(void **state) {
        struct bench *b = new_bench();

        (void)state;
        start(b);
        cycle(b, 0x80);
        command(b, "count=3");
        cycle(b, 0x80);
        assert_int_equal(b->frame.count, 3);
        assert_int_equal(b->frame.pack_mv, 3 * 3310);
        command(b, "count=6");
        cycle(b, 0x80);
        assert_int_equal(b->frame.count, 6);
        command(b, "clear");
        cycle(b, 0x80);
        assert_int_equal(b->frame.count, 4);
        command(b, "board-fault=2");
        cycle(b, 0x84);
        assert_int_equal(b->frame.count, 4);
        assert_int_equal(b->frame.pack_mv, 3 * 3310);
        free(b);
}

/* The place of a cut, as B14 finds it, and the readings behind it. */
static void test_cut(void **state) {
        struct bench *b = new_bench();
        int orphans = 0;

        (void)state;
        start(b);
        cycle(b, 0x80);
        command(b, "cut=1");
        for (int half = 2; half < 20; half++) {
                if (!step(b))
                        continue;
                assert_true(frame_decode(b->wire, b->config.coding, &b->frame));
                assert_int_equal(b->frame.status, 0x84);
                assert_int_equal(b->frame.count, 3);
                assert_int_equal(b->wire[3], 'X');
                orphans++;
        }
        assert_int_equal(orphans, 5); /* half cycles 5, 8, 11, 14, 17 */
        free(b);
}

static void test_frozen(void **state) {
        uint8_t before[FRAME_SIZE], first[FRAME_SIZE];
        struct bench *b = new_bench();
        bool moved = false;

        (void)state;
        b->config.noise_mv = 3;
        start(b);
        cycle(b, 0x80);
        memcpy(before, b->wire, FRAME_SIZE);
        command(b, "frozen");
        for (int i = 0; i < 20; i++) {
                cycle(b, 0x80);
                assert_memory_equal(b->wire, before, FRAME_SIZE);
        }
        command(b, "clear");
        command(b, "frozen-readings");
        cycle(b, 0x80);
        memcpy(first, b->wire, FRAME_SIZE);
        for (int i = 0; i < 60; i++) {
                uint8_t detail = b->wire[24];

                cycle(b, 0x80);
                assert_memory_equal(b->wire, first, 24);
                assert_memory_equal(b->wire + 30, first + 30, 17);
                assert_memory_equal(b->wire + 49, first + 49, 8);
                assert_int_equal(b->wire[24], detail % 4 + 1);
        }
        command(b, "clear");
        for (int i = 0; i < 60; i++) {
                cycle(b, 0x80);
                moved = moved || memcmp(b->wire, first, 24) != 0;
        }
        assert_true(moved); /* else the comparison above proves nothing */
        free(b);
}

static void test_switches_turned(void **state) {
        struct bench *b = new_bench();
        uint8_t switches = 0;

        (void)state;
        start(b);
        command(b, "v-bypass=3.6");
        command(b, "mode=critical");
        for (int i = 0; i < 7; i++) {
                cycle(b, 0x80);
                assert_int_equal(b->frame.v_bypass_mv, 3600);
                if (frame_key(&b->frame) == FRAME_KEY_SWITCHES)
                        switches = b->frame.value;
        }
        assert_int_equal(switches, 0x20 | 0x10 | 0x04); /* 6, 5, and 3: blind spot on */
        free(b);
}

/* A charger at 0.5 A (with the blind spot off) cannot lift cells that bleed 1 A, so a high one waits for the
 * others. */
static void test_balancing(void **state) {
        struct bench *b = new_bench();
        double before, after;

        (void)state;
        b->config.profile.charge_a = 0.5;
        b->config.profile.load_a = 0;
        b->config.soc = 99;
        b->config.own[2].soc = 100;
        start(b);
        before = b->simulation.cells[2].soc - b->simulation.cells[1].soc;
        for (int second = 0; second < 1800; second++)
                cycle(b, 0x80);
        after = b->simulation.cells[2].soc - b->simulation.cells[1].soc;
        assert_true(b->simulation.cells[2].bypass);
        assert_false(b->simulation.cells[1].bypass);
        /* half an hour of 1 A of 100 Ah: half a point, at most (it pauses 20 mV below) */
        assert_true(before - after > 0.1 && before - after <= 0.5 + 1e-9);
        assert_true(b->frame.highest_decic > 250);
        assert_int_equal(b->frame.highest_temperature_cell, 2);
        free(b);
}

static void test_own_cells(void **state) {
        struct bench *b = new_bench();

        (void)state;
        b->config.spread_percent = 10;
        b->config.own[3] =
                (struct cell_config){.capacity_ah = 50, .soc = 20, .resistance = 2, .temperature_c = 31};
        start(b);
        assert_true(b->simulation.cells[3].capacity_ah == 50 && b->simulation.cells[3].soc == 20);
        assert_true(b->simulation.cells[3].resistance == 2 && b->simulation.cells[3].temperature_c == 31);
        for (int i = 1; i <= 4; i++) {
                const struct sim_cell *c = &b->simulation.cells[i];

                if (i == 3)
                        continue;
                assert_true(c->capacity_ah != 100 && c->capacity_ah > 90 && c->capacity_ah < 110);
                assert_true(c->soc != 50 && c->soc > 45 && c->soc < 55);
        }
        free(b);
}

/* A charger that holds 3.4 V a cell never lifts one above it by more than a step. */
static void test_charger_voltage(void **state) {
        struct bench *b = new_bench();
        uint32_t highest = 0;

        (void)state;
        b->config.charger_cell_v = 3.4;
        b->config.profile.charge_a = 50;
        b->config.soc = 90;
        start(b);
        for (int second = 0; second < 3600; second++) {
                cycle(b, 0x80);
                highest = b->frame.highest_mv > highest ? b->frame.highest_mv : highest;
        }
        assert_int_equal(highest, 3400);
        assert_true(b->simulation.charge_a < 10);
        free(b);
}

/* The permissions in bits 0 and 1, by the manual's table; the fields that only an OUT board fills. */
static void test_out_board(void **state) {
        struct bench *b = new_bench();
        bool seen[19] = {false};

        (void)state;
        b->config.board = BOARD_OUT;
        start(b);
        for (int i = 0; i < 19; i++) {
                cycle(b, 0x83);
                assert_in_range(frame_key(&b->frame), 0, 18);
                seen[frame_key(&b->frame)] = true;
        }
        for (int key = 0; key <= 18; key++)
                assert_true(seen[key]);
        assert_int_equal(b->frame.soc_percent, 50);
        assert_int_equal(b->frame.capacity_wh, 1300); /* 4 * 100 Ah * 3.2 V = 1280, in steps of 100 */
        assert_in_range(b->frame.stored_wh, 640, 642);
        assert_int_equal(b->frame.v_min_mv, 2800);
        assert_int_equal(b->frame.v_max_mv, 3650);
        command(b, "voltage=1,2.8");
        cycle(b, 0x89);
        command(b, "voltage=2,3.65");
        cycle(b, 0x98);
        command(b, "clear");
        command(b, "hot=1,56");
        cycle(b, 0xC0);
        command(b, "clear");
        cycle(b, 0x83);
        free(b);
}

/* No word from the chain: the OUT board repeats its last frame with bit 2 set and permits nothing. */
static void test_out_board_loses_the_chain(void **state) {
        struct bench *b = new_bench();
        bool told = false;

        (void)state;
        b->config.board = BOARD_OUT;
        start(b);
        cycle(b, 0x83);
        command(b, "cut=2");
        for (int half = 2; half < 16; half++) {
                if (!step(b))
                        continue;
                assert_true(frame_decode(b->wire, b->config.coding, &b->frame));
                assert_int_equal(b->frame.status, 0x84);
                assert_int_equal(b->frame.count, 4);
                told = true;
        }
        assert_true(told);
        free(b);
}

static void test_commands(void **state) {
        static const char *const bad[] = {
                "fire",        "charge",     "charge x",           "charge -1",   "load",
                "soc",         "soc 103",    "soc 50 5",           "soc 50 1 1",  "cut=5",
                "voltage=5,3", "clear fire", "one two three four", "silence now",
        };
        struct bench *b = new_bench();
        char answer[160];

        (void)state;
        start(b);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                if (simulation_command(&b->simulation, bad[i], answer, sizeof(answer)) >= 0)
                        fail_msg("'%s' was taken", bad[i]);
                assert_true(answer[0] != '\0');
                assert_int_equal(b->simulation.faults.n, 0);
        }
        command(b, "");
        command(b, "charge 20");
        command(b, "load 7.5\n");
        command(b, "soc 80");
        command(b, "soc 10 2");
        assert_true(simulation_soc(&b->simulation) == (3 * 80 + 10) / 4.0);
        cycle(b, 0x80);
        assert_int_equal(b->frame.in.ma, 20000);
        assert_int_equal(b->frame.out.ma, 7500);
        assert_int_equal(simulation_command(&b->simulation, "status", answer, sizeof(answer)), 0);
        assert_non_null(strstr(answer, "time=1.000 frames=1 "));
        assert_non_null(strstr(answer, " charge=closed load=closed "));
        free(b);
}

static void test_impossible(void **state) {
        struct simulation_config config;
        char error[160];

        (void)state;
        simulation_config_init(&config);
        assert_int_equal(simulation_config_check(&config, error, sizeof(error)), 0);
        config.configured = config.cells - 1;
        assert_int_equal(simulation_config_check(&config, error, sizeof(error)), -EINVAL);
        config.configured = config.cells;
        assert_int_equal(simulation_config_check(&config, error, sizeof(error)), 0);
        config.v_bypass_mv = 3550;
        assert_int_equal(simulation_config_check(&config, error, sizeof(error)), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_frame_content),
                cmocka_unit_test(test_one_sensor),
                cmocka_unit_test(test_relays),
                cmocka_unit_test(test_stream_is_accepted),
                cmocka_unit_test(test_period),
                cmocka_unit_test(test_same_seed_same_bytes),
                cmocka_unit_test(test_noise_changes_no_reading),
                cmocka_unit_test(test_forced_readings),
                cmocka_unit_test(test_sensor_faults),
                cmocka_unit_test(test_count_and_boards),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_frozen),
                cmocka_unit_test(test_switches_turned),
                cmocka_unit_test(test_balancing),
                cmocka_unit_test(test_own_cells),
                cmocka_unit_test(test_charger_voltage),
                cmocka_unit_test(test_out_board),
                cmocka_unit_test(test_out_board_loses_the_chain),
                cmocka_unit_test(test_commands),
                cmocka_unit_test(test_impossible),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
