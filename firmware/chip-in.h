/* SPDX-License-Identifier: MIT */
#pragma once

/* What only the IN board's chip has to do (see chip.h): option switches, the Hall sensors' supply, and the
 * extended data output by output compare A. */

#include <stdbool.h>
#include <stdint.h>

#include "chip.h"

/* After chip_init(): the pull-ups of the switches, the output idle, the sensors' supply off. */
void chip_in_init(void);

/* Switch n ON is bit n - 1. */
uint8_t chip_switches(void);

void chip_hall_supply(bool on);

/* There is something to send on the extended output: chip_on_output() will be asked for each bit. */
void chip_output_start(void);

/* Hook: the level of a bit, OUTPUT_LINE_AHEAD_BITS before it has to be on the line; false if
 * there is none. With interrupts locked; must be short. */
bool chip_on_output(bool *ret_level);
