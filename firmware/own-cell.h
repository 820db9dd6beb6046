/* SPDX-License-Identifier: MIT */
#pragma once

/* A board's own cell: measured with the bypass off and the supply of the measuring parts settled (R5 of
 * docs/chain.md), and burnt by the bypass otherwise. What measure.h and bypass.h decide, done with the chip.
 * From main, with interrupts open. */

#include "bypass.h"
#include "measure.h"

struct own_cell {
        struct bypass bypass;
        struct measure_calibration calibration;
        bool calibrated;   /* else the first steady sums at two voltages are kept for a calibration */
        uint16_t last_sum; /* of the cell's voltage, to know them by */
        struct measure_reading reading;
};

/* As after a reset, with the calibration that the EEPROM holds. */
void own_cell_init(struct own_cell *o);

/* Takes 12 ms. Leaves the ADC on. */
void own_cell_measure(struct own_cell *o);
