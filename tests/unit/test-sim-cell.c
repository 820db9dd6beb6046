/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cell.h"
#include "profile.h"
#include "sensor.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* cmocka's assert_float_equal() takes floats, too coarse here. */
static void assert_near(double value, double expected, double epsilon) {
        if (!(value > expected - epsilon && value < expected + epsilon))
                fail_msg("%.9f is not %.9f", value, expected);
}

static struct sim_cell plain(double soc) {
        return (struct sim_cell){
                .capacity_ah = 100, .resistance = 1, .soc = soc, .ambient_c = 20, .temperature_c = 20};
}

/* The curve published with SimSES (TUM), its points and what lies half way between two of them. */
static void test_open_circuit_curve(void **state) {
        static const struct {
                double soc, volts;
        } rows[] = {
                {0, 2.286},    {2, 2.895},   {5, 3.065},   {10, 3.197}, {20, 3.234}, {30, 3.270}, {40, 3.292},
                {50, 3.300},   {60, 3.304},  {70, 3.311},  {80, 3.335}, {90, 3.343}, {95, 3.345}, {98, 3.349},
                {99, 3.362},   {100, 3.531}, {102, 4.200}, {1, 2.5905}, /* (2.286 + 2.895) / 2 */
                {75, 3.323},                                            /* (3.311 + 3.335) / 2 */
                {101, 3.8655},                                          /* (3.531 + 4.200) / 2 */
                {150, 4.200},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_near(cell_ocv(rows[i].soc), rows[i].volts, 1e-6);
        /* An over-discharged cell goes on falling, below what can be a cell at all (B17: 1.0 V). */
        assert_true(cell_ocv(-1) < cell_ocv(0));
        assert_true(cell_ocv(-2) < 1.0);
}

/* Published for 3 Ah; a cell of 100 Ah has 3/100 of it. */
static void test_resistance(void **state) {
        static const struct {
                double soc, discharge_mohm, charge_mohm;
        } rows[] = {
                {0, 61.7, 37.6}, {50, 47.8, 44.8}, {90, 42.5, 53.4}, {25, 54.75, 41.2}, {100, 42.5, 53.4},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct sim_cell small = plain(rows[i].soc), large = plain(rows[i].soc);

                small.capacity_ah = 3;
                assert_near(cell_resistance(&small, -1), rows[i].discharge_mohm / 1000, 1e-7);
                assert_near(cell_resistance(&small, 1), rows[i].charge_mohm / 1000, 1e-7);
                assert_near(cell_resistance(&large, 1), rows[i].charge_mohm / 1000 * 0.03, 1e-7);
                large.resistance = 2;
                assert_near(cell_resistance(&large, 1), rows[i].charge_mohm / 1000 * 0.06, 1e-7);
        }
}

/* 50 A at 50 %: 3.300 V + 50 A * 44.8 mohm * 0.03 = 3.3672 V; out of it 3.300 - 50 * 47.8 mohm * 0.03
 * = 3.2283 V. */
static void test_terminal_voltage(void **state) {
        struct sim_cell c = plain(50);

        (void)state;
        assert_near(cell_voltage(&c, 0), 3.300, 1e-6);
        assert_near(cell_voltage(&c, 50), 3.3672, 1e-6);
        assert_near(cell_voltage(&c, -50), 3.2283, 1e-6);
        assert_near(cell_voltage(&c, -1e6), 0, 1e-9);
}

static void test_charge_is_counted(void **state) {
        struct sim_cell c = plain(50);

        (void)state;
        for (int second = 0; second < 3600; second++)
                cell_step(&c, 10, 1);
        assert_near(c.soc, 60, 1e-6); /* 10 Ah of 100 */

        c.bypass = true; /* 1 A goes past the cell */
        for (int second = 0; second < 3600; second++)
                cell_step(&c, 0, 1);
        assert_near(c.soc, 59, 1e-6);

        for (int hour = 0; hour < 100; hour++)
                cell_step(&c, -50, 3600);
        assert_near(c.soc, CELL_SOC_MIN, 1e-9);
        for (int hour = 0; hour < 100; hour++)
                cell_step(&c, 50, 3600);
        assert_near(c.soc, CELL_SOC_MAX, 1e-9);
}

/* On at V-bypass, off 20 mV below (chain.md R13), at each step of 5 mV around both. */
static void test_bypass_hysteresis(void **state) {
        static const struct {
                int reading_mv;
                bool from_off, from_on;
        } rows[] = {
                {3475, false, false}, {3480, false, false}, {3485, false, true},
                {3495, false, true},  {3500, true, true},   {3505, true, true},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct sim_cell c = plain(50);

                cell_switch_bypass(&c, rows[i].reading_mv, 3500);
                assert_int_equal(c.bypass, rows[i].from_off);
                c.bypass = true;
                cell_switch_bypass(&c, rows[i].reading_mv, 3500);
                assert_int_equal(c.bypass, rows[i].from_on);
                cell_switch_bypass(&c, rows[i].reading_mv, 0);
                assert_false(c.bypass); /* not known yet */
        }
}

/* Off at 85 degC at the board, on again at 75. */
static void test_bypass_heat_limit(void **state) {
        static const struct {
                double degrees;
                bool bypass;
        } rows[] = {{84.9, true}, {85.0, false}, {84.9, false}, {75.1, false}, {75.0, true}, {84.9, true}};
        struct sim_cell c = plain(50);

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                c.temperature_c = rows[i].degrees;
                cell_switch_bypass(&c, 3600, 3500);
                assert_int_equal(c.bypass, rows[i].bypass);
        }
}

static void test_bypass_warms(void **state) {
        struct sim_cell warm = plain(50), idle = plain(50);

        (void)state;
        warm.bypass = true;
        for (int second = 0; second < 3600; second++) {
                cell_step(&warm, 0, 1);
                cell_step(&idle, 0, 1);
        }
        assert_true(warm.temperature_c > 40 && warm.temperature_c < 50);
        assert_near(idle.temperature_c, 20, 1e-6);
        warm.bypass = false;
        for (int second = 0; second < 3600; second++)
                cell_step(&warm, 0, 1);
        assert_near(warm.temperature_c, 20, 0.1);
}

/* The manual's table, and 400 A from chain.md. */
static void test_sensor_types(void **state) {
        static const struct {
                int rating_a, resolution_ma, blind_spot_ma;
        } rows[] = {
                {25, 125, 250},    {50, 250, 500},    {100, 500, 1000},    {250, 1250, 2500},
                {400, 2000, 4000}, {500, 2500, 5000}, {1000, 5000, 10000}, {2000, 10000, 20000},
        };

        (void)state;
        for (int type = 0; type < (int)ELEMENTSOF(rows); type++) {
                double step_a = rows[type].resolution_ma / 1000.0,
                       blind_a = rows[type].blind_spot_ma / 1000.0;
                bool saturated;

                assert_int_equal(sensor_type_from_rating(rows[type].rating_a), type);
                assert_int_equal(sensor_reading(type, false, step_a, &saturated).ma,
                                 rows[type].resolution_ma);
                assert_int_equal(sensor_reading(type, false, step_a * 0.49, &saturated).ma, 0);
                assert_int_equal(sensor_reading(type, false, step_a * -0.51, &saturated).ma,
                                 -rows[type].resolution_ma);
                assert_int_equal(sensor_reading(type, false, blind_a, &saturated).ma,
                                 rows[type].blind_spot_ma);
                assert_int_equal(sensor_reading(type, true, blind_a, &saturated).ma, 0);
                assert_int_equal(sensor_reading(type, true, -blind_a, &saturated).ma, 0);
                assert_int_equal(sensor_reading(type, true, blind_a + step_a, &saturated).ma,
                                 rows[type].blind_spot_ma + rows[type].resolution_ma);
                assert_false(saturated);
                assert_int_equal(sensor_reading(type, true, rows[type].rating_a * -1.5, &saturated).ma,
                                 rows[type].rating_a * -1000);
                assert_true(saturated);
        }
        assert_true(sensor_type_from_rating(99) < 0);
}

/* Published half widths, CLFP_Sony_US26650_HystV.csv. */
static void test_hysteresis_curve(void **state) {
        static const struct {
                double soc, mv;
        } rows[] = {{0, 30.0}, {10, 25.10}, {25, 27.72}, {32, 29.59}, {50, 18.71}, {76, 22.60},
                    {84, 17.49}, {88, 17.04}, {95, 18.52}, {100, 30.0}};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_near(cell_hysteresis(rows[i].soc), rows[i].mv / 1000, 0.00006);
        for (double soc = -2; soc <= 102; soc += 0.5)
                assert_true(cell_hysteresis(soc) >= 0.0169 && cell_hysteresis(soc) <= 0.0301);
}

static void flow(struct sim_cell *c, double current_a, int seconds) {
        for (int second = 0; second < seconds; second++)
                cell_step(c, current_a, 1);
}

/* After half the capacity in one direction the memory is complete; at rest it stays; a twentieth of the capacity the
 * other way turns it from 1 to 1 - 2 * (1 - 1/e) = -0.264. */
static void test_hysteresis_remembers(void **state) {
        struct sim_cell c = plain(25);

        (void)state;
        c.model.hysteresis = true;
        flow(&c, 50, 3600);
        assert_near(c.soc, 75, 1e-6);
        assert_near(c.memory, 1, 1e-4);
        assert_near(cell_emf(&c), cell_ocv(75) + cell_hysteresis(75), 1e-5);
        flow(&c, 0, 86400);
        assert_near(c.memory, 1, 1e-4);
        flow(&c, -50, 360); /* 5 Ah */
        assert_near(c.memory, -0.2642, 1e-3);
        flow(&c, -50, 3600 - 360);
        assert_near(c.memory, -1, 1e-4);
        assert_near(cell_emf(&c), cell_ocv(25) - cell_hysteresis(25), 1e-5);

        /* What leaks away within the cell is no direction. */
        c.leak_a = 1;
        flow(&c, 0, 3600);
        assert_near(c.soc, 24, 1e-6);
        assert_near(c.memory, -1, 1e-4);
}

/* At 30 A of 100 Ah the surface ends up 160 s * 30 A = 1.333 % ahead, 63 % of it after 68.6 s; the same back. */
static void test_polarisation(void **state) {
        struct sim_cell c = plain(50);
        double lead;

        (void)state;
        c.model.polarisation = true;
        flow(&c, 30, 69);
        assert_near(c.lead, 1.3333 * 0.632, 0.02);
        flow(&c, 30, 600);
        assert_near(c.lead, 1.3333, 0.002);
        assert_near(cell_emf(&c), cell_ocv(c.soc + 1.3333), 1e-5);
        lead = c.lead;
        flow(&c, 0, 69);
        assert_near(c.lead, lead * 0.368, 0.02);
        flow(&c, 0, 3600);
        assert_near(c.lead, 0, 1e-6);
        assert_near(cell_emf(&c), cell_ocv(c.soc), 1e-7);

        /* 30 kJ/mol: at 0 degC exp(30000 / 8.314 * (1/273.15 - 1/298.15)) = 3.03 times as far. */
        c.model.temperature = true;
        c.core_c = c.ambient_c = 0;
        c.resistance = 0; /* no heat of its own */
        flow(&c, 30, 3600);
        assert_near(c.lead, 1.3333 * 3.03, 0.02);
}

/* Published at 10, 25 and 40 degC for 3 Ah; half way between them the mean; at -5 degC one ratio further. */
static void test_resistance_by_temperature(void **state) {
        static const struct {
                double degrees, soc, discharge_mohm, charge_mohm;
        } rows[] = {
                {10, 50, 69.4, 62.6},   {25, 50, 47.8, 44.8},   {40, 50, 38.4, 35.2},   {10, 0, 195.0, 53.6},
                {40, 90, 34.0, 40.0},   {17.5, 50, 58.6, 53.7}, {32.5, 90, 38.25, 46.7},
                {-5, 50, 100.76, 87.47}, /* 69.4 * 69.4 / 47.8, 62.6 * 62.6 / 44.8 */
                {55, 50, 30.85, 27.66},  /* 38.4 * 38.4 / 47.8, 35.2 * 35.2 / 44.8 */
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct sim_cell c = plain(rows[i].soc);

                c.capacity_ah = 3;
                c.core_c = rows[i].degrees;
                c.model.temperature = true;
                assert_near(cell_resistance(&c, -1) * 1000, rows[i].discharge_mohm, 0.01);
                assert_near(cell_resistance(&c, 1) * 1000, rows[i].charge_mohm, 0.01);
        }
}

/* The board sits beside the bypass resistors: they warm its reading, not the cell. */
static void test_bypass_warms_the_reading_only(void **state) {
        struct sim_cell c = plain(50);

        (void)state;
        c.core_c = 20;
        c.bypass = true;
        flow(&c, 1, 7200); /* 1 A in, 1 A past the cell */
        assert_near(c.core_c, 20, 1e-6);
        assert_near(c.temperature_c, 45, 0.1);
}

static void test_day(void **state) {
        const struct profile day = {.kind = PROFILE_DAY, .charge_a = 40, .load_a = 20, .seed = 7};
        double most_charge = 0, most_load = 0;

        (void)state;
        for (usec_t at = 0; at < USEC_PER_DAY; at += USEC_PER_MINUTE) {
                double charge_a = profile_charge_a(&day, at), load_a = profile_load_a(&day, at);
                double hour = (double)at / (double)USEC_PER_HOUR;

                assert_true(charge_a >= 0 && charge_a <= 40 && load_a > 0 && load_a <= 20);
                if (hour < 6 || hour > 18)
                        assert_near(charge_a, 0, 1e-9);
                most_charge = charge_a > most_charge ? charge_a : most_charge;
                most_load = load_a > most_load ? load_a : most_load;
        }
        assert_true(most_charge > 38);
        assert_near(most_load, 20, 1e-9);
        assert_near(profile_load_a(&day, 3 * USEC_PER_HOUR), 3, 1e-9); /* 15 % at night */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_open_circuit_curve),
                cmocka_unit_test(test_resistance),
                cmocka_unit_test(test_terminal_voltage),
                cmocka_unit_test(test_charge_is_counted),
                cmocka_unit_test(test_bypass_hysteresis),
                cmocka_unit_test(test_bypass_heat_limit),
                cmocka_unit_test(test_bypass_warms),
                cmocka_unit_test(test_hysteresis_curve),
                cmocka_unit_test(test_hysteresis_remembers),
                cmocka_unit_test(test_polarisation),
                cmocka_unit_test(test_resistance_by_temperature),
                cmocka_unit_test(test_bypass_warms_the_reading_only),
                cmocka_unit_test(test_sensor_types),
                cmocka_unit_test(test_day),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
