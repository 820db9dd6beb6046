/* SPDX-License-Identifier: MIT */

/* What is true of the simulated pack, and what its sensors and the sky make of it. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "truth.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

static void assert_near(double value, double expected, double epsilon) {
        if (!(value > expected - epsilon && value < expected + epsilon))
                fail_msg("%.9f is not %.9f", value, expected);
}

struct bench {
        struct simulation_config config;
        struct simulation simulation;
        uint8_t wire[FAULTS_WIRE_MAX];
};

static struct bench *new_bench(void) {
        struct bench *b = calloc(1, sizeof(*b));

        assert_non_null(b);
        simulation_config_init(&b->config);
        b->config.cells = 4;
        b->config.spread_percent = 0;
        b->config.noise_mv = 0;
        return b;
}

static void start(struct bench *b, const char *fault) {
        char answer[160];

        simulation_init(&b->simulation, &b->config);
        if (fault && simulation_command(&b->simulation, fault, answer, sizeof(answer)) < 0)
                fail_msg("%s: %s", fault, answer);
}

static void run(struct bench *b, double hours) {
        usec_t end = b->simulation.now + (usec_t)(hours * 3600e6);

        while (b->simulation.now < end)
                (void)simulation_step(&b->simulation, true, true, b->wire);
}

/* The weakest cell ends a discharge: cells of 100, 80, 100, 100 Ah with 50, 30, 20, 60 % have 50, 24, 20, 60 Ah; 20 of
 * them can be drawn, of 80 when all are full. */
static void test_pack_soc(void **state) {
        struct bench *b = new_bench();

        (void)state;
        b->config.own[1].soc = 50;
        b->config.own[2].soc = 30;
        b->config.own[2].capacity_ah = 80;
        b->config.own[3].soc = 20;
        b->config.own[4].soc = 60;
        start(b, NULL);
        assert_near(simulation_pack_soc(&b->simulation), 25, 1e-9);
        assert_near(simulation_soc(&b->simulation), 40, 1e-9);
        for (int i = 1; i <= 4; i++)
                b->simulation.cells[i].soc = 101; /* above full is full */
        assert_near(simulation_pack_soc(&b->simulation), 100, 1e-9);
        b->simulation.cells[4].soc = -1;
        assert_near(simulation_pack_soc(&b->simulation), 0, 1e-9);
        free(b);
}

/* 100 A type: steps of 0.5 A, blind spot +-1 A. 10 A in, 5 A out. */
static void test_sensor_errors(void **state) {
        static const struct {
                const char *fault;
                double charge_a, load_a;
                int32_t in_ma, out_ma;
        } rows[] = {
                {NULL, 10, 5, 10000, 5000},
                {"sensor-offset=1,0.6", 10, 5, 10500, 5000},
                {"sensor-offset=2,-1", 10, 5, 10000, 4000},
                {"sensor-offset=all,2", 10, 5, 12000, 7000},
                {"sensor-gain=2,20", 10, 5, 10000, 6000},
                {"sensor-gain=all,-10", 10, 5, 9000, 4500},
                {"sensor-reversed=1", 10, 5, -10000, 5000},
                {NULL, 10, 1.2, 10000, 0},       /* 1.0 A is within the blind spot */
                {NULL, 10, 1.3, 10000, 1500},
                {"sensor-offset=2,1.5", 10, 0, 10000, 1500},
                {"unseen=3", 10, 5, 10000, 5000},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct bench *b = new_bench();

                b->config.profile.charge_a = rows[i].charge_a;
                b->config.profile.load_a = rows[i].load_a;
                start(b, rows[i].fault);
                run(b, 0.01);
                if (b->simulation.in.ma != rows[i].in_ma || b->simulation.out.ma != rows[i].out_ma)
                        fail_msg("%s: %d and %d mA", rows[i].fault, b->simulation.in.ma, b->simulation.out.ma);
                free(b);
        }
}

/* 0.6 A past everything: 14.4 Ah of 100 a day that no sensor shows, relays open or not. */
static void test_unseen_draw(void **state) {
        struct bench *b = new_bench();

        (void)state;
        start(b, "unseen=0.6");
        for (int half = 0; half < 2 * 86400; half++)
                (void)simulation_step(&b->simulation, false, false, b->wire);
        assert_near(simulation_soc(&b->simulation), 50 - 14.4, 1e-3);
        assert_int_equal(b->simulation.sum.ma, 0);
        free(b);
}

/* 3 % a month of 730 h: 0.0041 % an hour; cells draw half to half as much again. */
static void test_self_discharge(void **state) {
        struct bench *b = new_bench();

        (void)state;
        b->config.self_discharge_percent = 3;
        b->config.profile.charge_a = b->config.profile.load_a = 0;
        start(b, NULL);
        run(b, 73);
        assert_near(simulation_soc(&b->simulation), 49.7, 1e-6);

        b->config.spread_percent = 1;
        b->config.own[2].self_discharge = 30;
        start(b, NULL);
        for (int i = 1; i <= 4; i++) {
                double percent = b->simulation.cells[i].leak_a / b->simulation.cells[i].capacity_ah * 100 * 730;

                if (i == 2)
                        assert_near(percent, 30, 1e-9);
                else
                        assert_true(percent > 1.4999 && percent < 4.5001 && percent != 3);
        }
        free(b);
}

/* A fifth of the capacity lost: 80 Ah, and a resistance of 1.3 times that of a good cell of 80 Ah. */
static void test_ageing(void **state) {
        struct bench *b = new_bench();

        (void)state;
        b->config.ageing_percent = 20;
        start(b, NULL);
        assert_near(b->simulation.cells[1].capacity_ah, 80, 1e-9);
        assert_near(b->simulation.cells[1].resistance, 1.3, 1e-9);
        free(b);
}

/* At most 0.3 C into the battery, whatever the consumers take besides; then a constant voltage, a falling current. */
static void test_charger(void **state) {
        struct bench *b = new_bench();
        double before;

        (void)state;
        b->config.profile.charge_a = 100;
        b->config.profile.load_a = 8;
        b->config.charge_c = 0.3;
        b->config.charger_cell_v = 3.45;
        b->config.v_bypass_mv = 3600;
        b->config.model = (struct cell_model){true, true, true};
        start(b, NULL);
        run(b, 0.5);
        assert_near(b->simulation.charge_a, 38, 1e-6);
        assert_near(simulation_battery_a(&b->simulation), 30, 1e-6);
        run(b, 1.5); /* 0.3 C from 50 %: full within 1 h 40 */
        before = b->simulation.charge_a;
        assert_true(before > 8 && before < 14);
        assert_near(cell_voltage(&b->simulation.cells[1], simulation_battery_a(&b->simulation)), 3.45, 0.001);
        run(b, 0.5);
        assert_true(b->simulation.charge_a < before && b->simulation.charge_a >= 7.9);
        free(b);
}

static double day_ah(const struct profile *p, int day, double (*current)(const struct profile *p, usec_t at)) {
        double sum = 0;

        for (int minute = 0; minute < 1440; minute++)
                sum += current(p, (usec_t)(day * 1440 + minute) * USEC_PER_MINUTE) / 60;
        return sum;
}

static double month_ah(struct profile *p, int start_day, double (*current)(const struct profile *p, usec_t at)) {
        double sum = 0;

        p->start_day = start_day;
        for (int day = 0; day < 30; day++)
                sum += day_ah(p, day, current);
        return sum;
}

/* At 52 degrees north the sun is up for 16.5 hours on 21st June, for 7.5 on 21st December (arccos of tan times tan). */
static void test_year(void **state) {
        struct profile p = {.kind = PROFILE_YEAR, .charge_a = 100, .load_a = 20, .latitude = 52, .seed = 3};
        const int june = 171, december = 354;
        double summer, winter, south;
        int sunny = 0;

        (void)state;
        p.start_day = june;
        for (int quarter = 0; quarter < 96; quarter++)
                sunny += profile_charge_a(&p, (usec_t)quarter * 15 * USEC_PER_MINUTE) > 0;
        assert_in_range(sunny, 64, 67);
        p.start_day = december;
        sunny = 0;
        for (int quarter = 0; quarter < 96; quarter++)
                sunny += profile_charge_a(&p, (usec_t)quarter * 15 * USEC_PER_MINUTE) > 0;
        assert_in_range(sunny, 28, 31);

        summer = month_ah(&p, june - 15, profile_charge_a);
        winter = month_ah(&p, december - 15, profile_charge_a);
        assert_true(summer > 6 * winter && summer < 14 * winter); /* the same weather, by its seed */
        assert_true(month_ah(&p, december - 15, profile_load_a) > 1.3 * month_ah(&p, june - 15, profile_load_a));

        p.latitude = -52;
        south = month_ah(&p, december - 15, profile_charge_a);
        assert_near(south / summer, 1, 0.02);
}

/* Bad weather comes in spells, and by the seed; dark days come where they were asked for. */
static void test_weather(void **state) {
        struct profile p = {.kind = PROFILE_YEAR, .charge_a = 100, .latitude = 0, .seed = 3};
        double days[400];
        int bad = 0, twice = 0;

        (void)state;
        for (int day = 0; day < 400; day++)
                days[day] = day_ah(&p, day, profile_charge_a);
        for (int day = 1; day < 400; day++) {
                bad += days[day] < 300;
                twice += days[day] < 300 && days[day - 1] < 300;
        }
        assert_in_range(bad, 60, 180);
        assert_true(twice * 100 > bad * 40); /* were they independent: 30 % */

        p.dark_from = 100;
        p.dark_days = 20;
        for (int day = 95; day < 125; day++) {
                double ah = day_ah(&p, day, profile_charge_a);

                if (day >= 100 && day < 120)
                        assert_true(ah > 0 && ah < 0.081 * days[day]);
                else
                        assert_near(ah, days[day], 1e-9);
        }
        p.kind = PROFILE_DAY;
        assert_true(day_ah(&p, 100, profile_charge_a) < 0.1 * day_ah(&p, 99, profile_charge_a));
        p.dark_days = 0;
        p.kind = PROFILE_YEAR;
        p.seed = 4;
        assert_true(day_ah(&p, 10, profile_charge_a) != days[10] && day_ah(&p, 10, profile_charge_a) != days[11]);
}

/* 10 A in, 5 A out, one second: from 50 % of 100 Ah by 5 / 3600 %. */
static void test_line(void **state) {
        struct bench *b = new_bench();
        char *text = NULL, fields[22][64], *line;
        size_t size, n = 0;
        FILE *file = open_memstream(&text, &size);

        (void)state;
        assert_non_null(file);
        b->config.own[3].soc = 49;
        start(b, "sensor-lost=2");
        run(b, 1.0 / 3600);
        assert_int_equal(truth_header(file), 0);
        assert_int_equal(truth_line(file, &b->simulation), 0);
        assert_int_equal(fclose(file), 0);

        line = strchr(text, '\n') + 1;
        *strchr(line, '\n') = '\0';
        for (char *field = line, *end; field; field = end ? end + 1 : NULL) {
                end = strchr(field, ',');
                assert_true(n < ELEMENTSOF(fields));
                (void)snprintf(fields[n++], sizeof(fields[0]), "%.*s", (int)(end ? end - field : 60), field);
        }
        assert_int_equal(n, 22);
        n = 1;
        for (const char *c = text; *c != '\n'; c++)
                n += *c == ',';
        assert_int_equal(n, 22); /* as many names */
        assert_string_equal(fields[0], "1.000");
        assert_string_equal(fields[1], "49.0014");
        assert_string_equal(fields[2], "49.7514");
        assert_string_equal(fields[3], "49.0014");
        assert_string_equal(fields[4], "3");
        assert_string_equal(fields[5], "50.0014");
        assert_string_equal(fields[11], "10.000");
        assert_string_equal(fields[12], "5.000");
        assert_string_equal(fields[14], "5.000");
        assert_string_equal(fields[15], "10.000");
        assert_string_equal(fields[16], ""); /* X */
        assert_string_equal(fields[18], "1");
        assert_string_equal(fields[21], "sensor-lost");
        free(text);
        free(b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pack_soc),
                cmocka_unit_test(test_sensor_errors),
                cmocka_unit_test(test_unseen_draw),
                cmocka_unit_test(test_self_discharge),
                cmocka_unit_test(test_ageing),
                cmocka_unit_test(test_charger),
                cmocka_unit_test(test_year),
                cmocka_unit_test(test_weather),
                cmocka_unit_test(test_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
