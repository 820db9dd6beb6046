/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include "frame.h"

#define TENTHS_PER_MV UINT32_C(10) /* the unit of offset_100uv */
#define STEP_100UV ((int32_t)(FRAME_VOLTAGE_STEP_MV * TENTHS_PER_MV))

/* A gateway takes no voltage above 5.1 V (accept.h), and the ADC ends a little beyond; the chip is held in
 * reset below 1.8 V, by no part below 1.7 V. */
#define VOLTAGE_MAX (5100 / FRAME_VOLTAGE_STEP_MV)
#define VOLTAGE_MIN (1600 / FRAME_VOLTAGE_STEP_MV)

/* One step of the ADC in a sum, 5 mV. */
#define SUM_STEP ((uint16_t)(1u << HARDWARE_OVERSAMPLE_LOG2))

/* On average half a step below the last one: most conversions were at full scale. */
#define SUM_FULL ((uint16_t)(HARDWARE_SUM_MAX - SUM_STEP / 2))

/* The chip's 1.1 V are 1.0..1.2 V by its data sheet, with 2 % for what else differs; where this chip's own
 * value is known, it moves by less than 5 % with temperature and supply. */
#define BANDGAP_SUM(millivolts) ((uint16_t)(HARDWARE_SUM_STEPS * (millivolts) / HARDWARE_REFERENCE_MV))
#define BANDGAP_MIN BANDGAP_SUM(980)
#define BANDGAP_MAX BANDGAP_SUM(1224)
#define BANDGAP_MOVES_DIVISOR 20

/* Sums of the NTC input by temperature, falling: 16384 x R / (R + 10 kohm), R by the maker's table from -40
 * degC on, below by the equation in hardware.h. Straight in between, within 0.1 degC. */
#define NTC_FIRST_C (-55)
#define NTC_STEP_C 5
static const uint16_t ntc_sums[] = {
        16043, 15926, 15776, 15587, 15348, 15056, 14705, 14290, 13810, 13264, 12651, 11982, 11267,
        10517, 9744,  8964,  8192,  7438,  6717,  6037,  5401,  4814,  4279,  3794,  3366,  2985,
        2645,  2343,  2077,  1844,  1637,  1454,  1295,  1154,  1032,  922,   826,
};
#define NTC_SUMS ((uint8_t)(sizeof(ntc_sums) / sizeof(ntc_sums[0])))

/* TEMPERATURE_SHEET: 276 = 0 degC, 1 degC a step. */
#define SHEET_ZERO 276

/* Voltages that a calibration is taken at, by the nominal gain: 2.5 and 4.5 V with room for what a board is
 * off before it. */
#define RAW_LOW_MIN (2000 / FRAME_VOLTAGE_STEP_MV)
#define RAW_LOW_MAX (3000 / FRAME_VOLTAGE_STEP_MV)
#define RAW_HIGH_MIN (4000 / FRAME_VOLTAGE_STEP_MV)
#define RAW_HIGH_MAX (5000 / FRAME_VOLTAGE_STEP_MV)

void measure_calibration_default(struct measure_calibration *ret) {
        *ret = (struct measure_calibration){.gain_mv = MEASURE_GAIN_NOMINAL_MV};
}

static bool bandgap_valid(uint16_t sum) {
        return sum >= BANDGAP_MIN && sum <= BANDGAP_MAX;
}

bool measure_calibration_valid(const struct measure_calibration *calibration) {
        return calibration->gain_mv >= MEASURE_GAIN_NOMINAL_MV - MEASURE_GAIN_SPREAD_MV &&
               calibration->gain_mv <= MEASURE_GAIN_NOMINAL_MV + MEASURE_GAIN_SPREAD_MV &&
               calibration->offset_100uv >= -MEASURE_OFFSET_MAX_100UV &&
               calibration->offset_100uv <= MEASURE_OFFSET_MAX_100UV &&
               (calibration->bandgap == 0 || bandgap_valid(calibration->bandgap));
}

static bool reference_good(uint16_t bandgap, uint16_t calibrated) {
        uint16_t moves = calibrated / BANDGAP_MOVES_DIVISOR;

        if (!bandgap_valid(bandgap))
                return false;
        return calibrated == 0 || (bandgap >= calibrated - moves && bandgap <= calibrated + moves);
}

/* In FRAME_VOLTAGE_STEP_MV, 0 if it cannot be. */
static uint16_t voltage_of(uint16_t sum, const struct measure_calibration *calibration) {
        /* At most 16368 x 20654 x 10: 32 bits are enough. */
        uint32_t scaled = (uint32_t)sum * calibration->gain_mv * TENTHS_PER_MV;
        int32_t tenths = (int32_t)((scaled + UINT32_C(0x8000)) >> 16) + calibration->offset_100uv;
        int32_t steps = (tenths + STEP_100UV / 2) / STEP_100UV;

        if (sum > SUM_FULL || steps > VOLTAGE_MAX || steps < VOLTAGE_MIN)
                return 0;
        return (uint16_t)steps;
}

/* In TEMPERATURE_SHEET; sum lies within the table. */
static uint16_t temperature_of(uint16_t sum) {
        uint8_t i = 1;
        uint16_t below, span, part;

        while (i < NTC_SUMS - 1 && sum < ntc_sums[i])
                i++;
        /* From ntc_sums[i - 1], the colder, down to ntc_sums[i]; at most 783 x 5. */
        span = (uint16_t)(ntc_sums[i - 1] - ntc_sums[i]);
        below = (uint16_t)(ntc_sums[i - 1] - sum);
        part = (uint16_t)((below * NTC_STEP_C + span / 2u) / span);
        return (uint16_t)(SHEET_ZERO + NTC_FIRST_C + (i - 1) * NTC_STEP_C + part);
}

void measure_reading(const struct measure_sums *sums, const struct measure_calibration *calibration,
                     struct measure_reading *ret) {
        *ret = (struct measure_reading){0};

        /* Against a reference that is wrong every sum is wrong; that of the NTC is not if AREF is only too
         * high or too low, but then nothing says so. */
        if (!reference_good(sums->bandgap, calibration->bandgap)) {
                ret->faults = MEASURE_FAULT_REFERENCE;
                return;
        }

        ret->voltage = voltage_of(sums->cell, calibration);
        if (ret->voltage == 0)
                ret->faults |= MEASURE_FAULT_VOLTAGE;

        if (sums->ntc > ntc_sums[0])
                ret->faults |= MEASURE_FAULT_NTC_OPEN;
        else if (sums->ntc < ntc_sums[NTC_SUMS - 1])
                ret->faults |= MEASURE_FAULT_NTC_SHORT;
        else
                ret->temperature = temperature_of(sums->ntc);
}

enum measure_raw measure_raw(const struct measure_sums *sums) {
        struct measure_calibration calibration;
        struct measure_reading reading;

        measure_calibration_default(&calibration);
        measure_reading(sums, &calibration, &reading);
        if (reading.faults != 0)
                return MEASURE_RAW_NONE;
        if (reading.voltage >= RAW_LOW_MIN && reading.voltage <= RAW_LOW_MAX)
                return MEASURE_RAW_LOW;
        if (reading.voltage >= RAW_HIGH_MIN && reading.voltage <= RAW_HIGH_MAX)
                return MEASURE_RAW_HIGH;
        return MEASURE_RAW_NONE;
}

bool measure_steady(uint16_t sum, uint16_t before) {
        uint16_t difference = sum > before ? (uint16_t)(sum - before) : (uint16_t)(before - sum);

        return difference <= SUM_STEP;
}
