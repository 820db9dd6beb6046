/* SPDX-License-Identifier: MIT */
#pragma once

/* From the Hall sensors' ADC sums to currents as they stand in the frame. Resolution and blind spot of each
 * type: the manual's table "Current measurement specifications", type / 200 and type / 100 (400 A is not in
 * it, and follows that). I-sum is I1 - I2, and I1 with one sensor (wire formats, section 1).
 *
 * Pure: sums are arguments. Knows no register, no switches, no EEPROM. The circuit is in hardware.h. */

#include <stdbool.h>
#include <stdint.h>

#include "hardware.h"

#define CURRENT_SENSORS 2
#define CURRENT_TYPES 8

/* A sum has so many conversions, spread evenly over two periods of 10 ms: what 100 Hz and 50 Hz bring
 * cancels. */
#define CURRENT_BLOCKS 16
#define CURRENT_BLOCK_LOG2 3 /* conversions of a block */
#define CURRENT_SAMPLES (CURRENT_BLOCKS << CURRENT_BLOCK_LOG2)
#define CURRENT_PERIOD_MS 20

/* An offset of more than 5 % of the type is no offset: current flows. */
#define CURRENT_OFFSET_MAX_PERCENT 5

struct current_value {
        bool known;    /* a sensor that works */
        int32_t steps; /* FRAME_CURRENT_STEP_MA; sensor 1: into the pack is positive, sensor 2: out of it */
};

struct current {
        uint8_t type;                    /* 0..7: 25, 50, 100, 250, 400, 500, 1000, 2000 A */
        int16_t offset[CURRENT_SENSORS]; /* of a sum, to what hardware.h says for 0 A */
        uint32_t zero[CURRENT_SENSORS];  /* eight times the mean of the sums while zeroing; 0: none yet */
        bool zeroing;
        bool refused;                    /* the last auto zero was */
        bool saturated[CURRENT_SENSORS]; /* beyond what the sensor can tell */
        struct current_value value[CURRENT_SENSORS], sum;
};

/* type 0..7 (others: 100 A, the manual's default); offsets as stored, or 0. */
void current_init(struct current *c, uint8_t type, const int16_t offset[CURRENT_SENSORS]);

/* New sums, each 0..CURRENT_SAMPLES x 1023; blind_spot: switch 3. zeroing: auto zero is running: what works
 * reads 0. */
void current_apply(struct current *c, const uint32_t sums[CURRENT_SENSORS], bool blind_spot, bool zeroing);

/* Auto zero ended, and what was found since it began is to be kept. Returns true if offset has changed and is
 * to be stored; false if it is refused: a sensor was beyond CURRENT_OFFSET_MAX_PERCENT, or there was none.
 * Never half of it. */
bool current_zero_store(struct current *c);

/* Full current of a type in A, 0 for no type. */
uint16_t current_type_amperes(uint8_t type);
