/* SPDX-License-Identifier: MIT */
/* Sums to readings (firmware/measure.h). What a sum should be is worked out here in floating point from the
 * circuit of hardware.h, a temperature from the maker's table of resistances and from the Steinhart-Hart
 * equation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "measure.h"

#define STEPS 16384.0      /* 16 conversions of 10 bits */
#define ZERO_C 276         /* both published sheets: 1 degC a step, 276 = 0 degC */
#define GOOD_BANDGAP 14418 /* 1.1 V of 1.25 V */
#define NTC_25_C 8192      /* 10 kohm of 20 kohm */

/* Murata's table for NCP18XH103F03RB, -40..125 degC every 5. */
static const double maker_ohm[] = {
        195652, 148171, 113347, 87559, 68237, 53650, 42506, 33892, 27219, 22021, 17926, 14674,
        12081,  10000,  8315,   6948,  5834,  4917,  4161,  3535,  3014,  2586,  2228,  1925,
        1669,   1452,   1268,   1110,  974,   858,   758,   672,   596,   531,
};

static uint16_t ntc_sum(double ohm) {
        return (uint16_t)lround(STEPS * ohm / (ohm + 10000.0));
}

static uint16_t cell_sum(double volts) {
        return (uint16_t)lround(STEPS * volts * (1.0 / 4.09) / 1.25);
}

static struct measure_reading reading_of(uint16_t cell, uint16_t ntc, uint16_t bandgap,
                                         const struct measure_calibration *calibration) {
        struct measure_sums sums = {cell, ntc, bandgap};
        struct measure_calibration nominal;
        struct measure_reading reading;

        measure_calibration_default(&nominal);
        measure_reading(&sums, calibration ? calibration : &nominal, &reading);
        return reading;
}

static uint16_t temperature_of(uint16_t ntc) {
        return reading_of(cell_sum(3.3), ntc, GOOD_BANDGAP, NULL).temperature;
}

static uint16_t voltage_of(uint16_t cell) {
        return reading_of(cell, NTC_25_C, GOOD_BANDGAP, NULL).voltage;
}

static void test_makers_table(void **state) {
        (void)state;
        assert_int_equal(sizeof(maker_ohm) / sizeof(maker_ohm[0]), 34);
        for (int i = 0; i < 34; i++)
                assert_int_equal(temperature_of(ntc_sum(maker_ohm[i])), -40 + 5 * i + ZERO_C);
}

/* The equation's temperature of a resistance, by the coefficients of hardware.h. */
static double equation_c(double ohm) {
        double l = log(ohm);

        return 1.0 / (HARDWARE_NTC_A + HARDWARE_NTC_B * l + HARDWARE_NTC_C * l * l * l) - 273.15;
}

/* Every sum of the range: half a degree of rounding, 0.1 of straight lines, and 0.21 that the equation
 * differs from the maker's table. The B constant alone is good for 10..60 degC. */
static void test_equation(void **state) {
        double worst = 0;

        (void)state;
        assert_true(fabs(equation_c(195652) + 40) < 0.001);
        assert_true(fabs(equation_c(10000) - 25) < 0.001);
        assert_true(fabs(equation_c(1451.9) - 85) < 0.001);
        for (uint16_t sum = 2085; sum <= 15587; sum++) {
                double ohm = 10000.0 * sum / (STEPS - sum), c = equation_c(ohm);
                double b = 1.0 / (1.0 / 298.15 + log(ohm / 10000.0) / HARDWARE_NTC_B_25_50_K) - 273.15;
                double read = temperature_of(sum) - ZERO_C;

                worst = fmax(worst, fabs(read - c));
                if (c > 10 && c < 60)
                        assert_true(fabs(read - b) < 1.0);
        }
        assert_true(worst > 0.5);
        assert_true(worst < 0.5 + 0.1 + 0.21);
}

static void test_temperature_falls_with_the_sum(void **state) {
        uint16_t last;

        (void)state;
        last = temperature_of(826);
        assert_int_equal(last, 125 + ZERO_C);
        for (uint16_t sum = 827; sum <= 16043; sum++) {
                uint16_t now = temperature_of(sum);

                assert_true(now == last || now == last - 1);
                last = now;
        }
        assert_int_equal(last, -55 + ZERO_C);
}

static void test_ntc_open_and_short(void **state) {
        static const struct {
                uint16_t sum;
                uint8_t faults;
        } rows[] = {
                {826, 0},
                {825, MEASURE_FAULT_NTC_SHORT},
                {0, MEASURE_FAULT_NTC_SHORT},
                {16043, 0},
                {16044, MEASURE_FAULT_NTC_OPEN},
                {16253, MEASURE_FAULT_NTC_OPEN}, /* open, 1 uA of leakage through 10 kohm: 10 mV of 1.25 V */
                {16368, MEASURE_FAULT_NTC_OPEN},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct measure_reading r = reading_of(cell_sum(3.3), rows[i].sum, GOOD_BANDGAP, NULL);

                assert_int_equal(r.faults, rows[i].faults);
                assert_int_equal(r.temperature == 0, rows[i].faults != 0);
                /* The voltage is as good as ever. */
                assert_int_equal(r.voltage, 660);
        }
}

static void test_voltage_nominal(void **state) {
        (void)state;
        for (int mv = 1600; mv <= 5100; mv++) {
                double read = 5.0 * voltage_of(cell_sum(mv / 1000.0));

                /* Half of 5 mV, half a step of the sum (0.16 mV), and the gain in whole mV of 20450. */
                assert_true(fabs(read - mv) <= 2.5 + 0.16 + 0.13);
        }
}

/* Gain and offset as the header states them: gain_mv is what 65536 would stand for, the offset is in 0.1 mV.
 */
static void test_gain_and_offset(void **state) {
        static const int gains[] = {20450 - 204, 20449, 20451, 20450 + 204}, offsets[] = {-250, -1, 1, 250};

        (void)state;
        for (int g = 0; g < 4; g++)
                for (int o = 0; o < 4; o++)
                        for (uint16_t sum = 6400; sum <= 15200; sum = (uint16_t)(sum + 7)) {
                                struct measure_calibration c = {(uint16_t)gains[g], (int16_t)offsets[o], 0};
                                double mv = sum * (gains[g] / 65536.0) + offsets[o] / 10.0;
                                uint16_t read = reading_of(sum, NTC_25_C, GOOD_BANDGAP, &c).voltage;

                                assert_true(fabs(5.0 * read - mv) <= 2.5 + 0.06);
                        }
}

static void test_voltage_that_cannot_be(void **state) {
        static const struct {
                uint16_t sum;
                bool known;
        } rows[] = {
                {0, false},     /* the upper resistor is open, or the switch shorted to minus */
                {5118, false},  /* 1.597 V: below what the chip runs on */
                {5120, true},   /* 1.5977 V: to the nearest 5 mV 1.600 */
                {16351, true},  /* 5.1022 V: to the nearest 5 mV 5.100 */
                {16352, false}, /* 5.1025 V: 5.105 */
                {16360, false}, {16368, false}, /* full scale: the lower resistor is open */
        };
        struct measure_calibration low = {20450 - 204, 0, 0};

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct measure_reading r = reading_of(rows[i].sum, NTC_25_C, GOOD_BANDGAP, NULL);

                assert_int_equal(r.voltage != 0, rows[i].known);
                assert_int_equal(r.faults, rows[i].known ? 0 : MEASURE_FAULT_VOLTAGE);
                assert_int_equal(r.temperature, 25 + ZERO_C);
        }
        /* With a low gain full scale is a believable voltage (5.05 V), but it is still full scale. */
        assert_int_equal(reading_of(16360, NTC_25_C, GOOD_BANDGAP, &low).voltage, 1011);
        assert_int_equal(reading_of(16361, NTC_25_C, GOOD_BANDGAP, &low).faults, MEASURE_FAULT_VOLTAGE);
}

static void test_reference(void **state) {
        struct measure_calibration calibrated;
        /* 0.98 and 1.224 V of 1.25 V; then 5 % of 14000 on both sides, where the chip's own value is known.
         */
        static const struct {
                uint16_t calibrated, sum;
                bool good;
        } rows[] = {
                {0, 12844, false},     {0, 12845, true},      {0, 16043, true},     {0, 16044, false},
                {0, 0, false},         {14000, 13299, false}, {14000, 13300, true}, {14000, 14700, true},
                {14000, 14701, false}, {0, 16368, false}, /* nothing on AREF */
                {0, 5461, false},                         /* 3.3 V on AREF */
                {0, 9011, false},                         /* 2.0 V on AREF */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct measure_reading r;

                measure_calibration_default(&calibrated);
                calibrated.bandgap = rows[i].calibrated;
                r = reading_of(cell_sum(3.3), NTC_25_C, rows[i].sum, &calibrated);
                assert_int_equal(r.faults, rows[i].good ? 0 : MEASURE_FAULT_REFERENCE);
                assert_int_equal(r.voltage, rows[i].good ? 660 : 0);
                assert_int_equal(r.temperature, rows[i].good ? 25 + ZERO_C : 0);
        }
}

static void test_calibration_valid(void **state) {
        static const struct {
                struct measure_calibration calibration;
                bool valid;
        } rows[] = {
                {{20450, 0, 0}, true},
                {{20450 + 204, 250, 16043}, true},
                {{20450 - 204, -250, 12845}, true},
                {{20655, 0, 0}, false},
                {{20245, 0, 0}, false},
                {{20450, 251, 0}, false},
                {{20450, -251, 0}, false},
                {{20450, 0, 12844}, false},
                {{20450, 0, 16044}, false},
                {{0, 0, 0}, false},
                {{0xFFFF, -1, 0xFFFF}, false},
        };
        struct measure_calibration nominal;

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                assert_int_equal(measure_calibration_valid(&rows[i].calibration), rows[i].valid);
        measure_calibration_default(&nominal);
        assert_int_equal(nominal.gain_mv, lround(4 * 1250.0 * 4.09));
        assert_int_equal(nominal.offset_100uv, 0);
        assert_int_equal(nominal.bandgap, 0);
}

static void test_raw(void **state) {
        static const struct {
                double volts;
                enum measure_raw raw;
        } rows[] = {
                {1.99, MEASURE_RAW_NONE}, {2.0, MEASURE_RAW_LOW},  {3.0, MEASURE_RAW_LOW},
                {3.01, MEASURE_RAW_NONE}, {3.3, MEASURE_RAW_NONE}, {3.99, MEASURE_RAW_NONE},
                {4.0, MEASURE_RAW_HIGH},  {5.0, MEASURE_RAW_HIGH}, {5.01, MEASURE_RAW_NONE},
        };
        struct measure_sums sums = {0, NTC_25_C, GOOD_BANDGAP};

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                sums.cell = cell_sum(rows[i].volts);
                assert_int_equal(measure_raw(&sums), rows[i].raw);
        }
        sums = (struct measure_sums){cell_sum(2.5), 16368, GOOD_BANDGAP};
        assert_int_equal(measure_raw(&sums), MEASURE_RAW_NONE);
        sums = (struct measure_sums){cell_sum(2.5), NTC_25_C, 16368};
        assert_int_equal(measure_raw(&sums), MEASURE_RAW_NONE);
}

static void test_steady(void **state) {
        (void)state;
        assert_true(measure_steady(8000, 8000));
        assert_true(measure_steady(8016, 8000));
        assert_false(measure_steady(8017, 8000));
        assert_true(measure_steady(7984, 8000));
        assert_false(measure_steady(7983, 8000));
        /* The first after a reset: nothing is there to compare with. */
        assert_false(measure_steady(8000, 0));
        assert_false(measure_steady(0, 16368));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_makers_table),
                cmocka_unit_test(test_equation),
                cmocka_unit_test(test_temperature_falls_with_the_sum),
                cmocka_unit_test(test_ntc_open_and_short),
                cmocka_unit_test(test_voltage_nominal),
                cmocka_unit_test(test_gain_and_offset),
                cmocka_unit_test(test_voltage_that_cannot_be),
                cmocka_unit_test(test_reference),
                cmocka_unit_test(test_calibration_valid),
                cmocka_unit_test(test_raw),
                cmocka_unit_test(test_steady),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
