/* SPDX-License-Identifier: MIT */
#pragma once

/* From sums of ADC samples to a reading as it stands in the frame: the cell's voltage in steps of 5 mV and
 * the temperature coded as the sheet has it. What cannot be true is unknown, never a number.
 *
 * Pure: sums and calibration are arguments. Knows no register, no EEPROM layout (eeprom.h), and not when to
 * measure (R5 of docs/chain.md). The circuit is in hardware.h. */

#include <stdbool.h>
#include <stdint.h>

#include "hardware.h"

/* Sums of 2^HARDWARE_OVERSAMPLE_LOG2 conversions against AREF, each 0..HARDWARE_SUM_MAX, taken with the
 * measuring supply on and the bypass off. */
struct measure_sums {
        uint16_t cell;    /* HARDWARE_ADC_CELL */
        uint16_t ntc;     /* HARDWARE_ADC_NTC */
        uint16_t bandgap; /* HARDWARE_ADC_BANDGAP */
};

/* What differs from board to board. */
struct measure_calibration {
        uint16_t gain_mv;     /* what a sum of 65536 would stand for */
        int16_t offset_100uv; /* added, in 0.1 mV */
        uint16_t bandgap;     /* the sum that this chip's 1.1 V gave; 0: not known */
};

/* By the nominal parts: 1.25 V / 0.24450 x 4 = 20450 mV, no offset, bandgap not known. */
#define MEASURE_GAIN_NOMINAL_MV UINT16_C(20450)
/* What a calibration may differ from that, 1 % and 25 mV: with the parts of docs/boards.md the worst of all
 * together are 0.6 % and 13 mV, and 5.0 V stay below full scale. */
#define MEASURE_GAIN_SPREAD_MV 204
#define MEASURE_OFFSET_MAX_100UV 250

/* Why something is unknown. */
enum {
        MEASURE_FAULT_REFERENCE = 1 << 0, /* the 1.25 V do not fit the chip's 1.1 V */
        MEASURE_FAULT_VOLTAGE =
                1 << 1, /* full scale, or less than the chip can run on: a part is open or shorted */
        MEASURE_FAULT_NTC_OPEN = 1 << 2,
        MEASURE_FAULT_NTC_SHORT = 1 << 3,
};

struct measure_reading {
        uint16_t voltage;     /* FRAME_VOLTAGE_STEP_MV; 0 unknown */
        uint16_t temperature; /* TEMPERATURE_SHEET; 0 unknown */
        uint8_t faults;
};

void measure_calibration_default(struct measure_calibration *ret);

/* Is it a calibration that a sound board can have? */
bool measure_calibration_valid(const struct measure_calibration *calibration);

/* A reading from sums. */
void measure_reading(const struct measure_sums *sums, const struct measure_calibration *calibration,
                     struct measure_reading *ret);

/* A board without calibration keeps the sums of its first measurement at a low and at a high voltage for the
 * calibration (docs/boards.md). Which of the two these belong to; MEASURE_RAW_NONE: neither, or a fault. */
enum measure_raw { MEASURE_RAW_NONE, MEASURE_RAW_LOW, MEASURE_RAW_HIGH };
enum measure_raw measure_raw(const struct measure_sums *sums);

/* Two sums one after the other, of the same voltage as near as noise lets tell (5 mV): not taken while the
 * supply was still coming up. */
bool measure_steady(uint16_t sum, uint16_t before);
