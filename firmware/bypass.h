/* SPDX-License-Identifier: MIT */
#pragma once

/* When the bypass stage burns (R13 of docs/chain.md), and whether it does what it is told.
 *
 * Pure: frames, readings and the sense pin are arguments. Does not know time, pins, or that the stage is
 * switched off while the cell is measured: bypass_on() is what it should be otherwise. */

#include <stdbool.h>
#include <stdint.h>

/* So many looks at the sense pin in a row that contradict the command make the stage faulty, and as many that
 * agree make it sound again; those while it is on and those while it is off are counted apart, as they
 * alternate while it works. */
#define BYPASS_SENSE_LOOKS 3

struct bypass {
        uint16_t v_bypass;               /* FRAME_VOLTAGE_STEP_MV; 0: not known yet */
        uint16_t candidate;              /* what the last good frame carried; 0: none of the eight */
        uint8_t stuck_looks, dead_looks; /* in a row that speak against `stuck` and `dead` */
        bool on, hot;
        bool stuck; /* current while off */
        bool dead;  /* no current while on; forgotten when it goes off */
};

/* As after a reset: off, nothing known. */
void bypass_init(struct bypass *b);

/* A good frame carried v_bypass (FRAME_VOLTAGE_STEP_MV). It counts with the second such frame in a row, if it
 * is one of the eight values of the switches. On the IN board: its own switches' value, once per frame. */
void bypass_frame(struct bypass *b, uint16_t v_bypass);

/* A new reading (as in the frame; 0: unknown, and then the stage is off). */
void bypass_reading(struct bypass *b, uint16_t voltage, uint16_t temperature);

/* Should the stage be on? */
bool bypass_on(const struct bypass *b);

/* V-bypass as it is believed, FRAME_VOLTAGE_STEP_MV; 0: unknown. */
uint16_t bypass_voltage(const struct bypass *b);

/* The sense pin, looked at HARDWARE_BYPASS_SENSE_MS or more after the stage was last switched to `commanded`.
 * To be called at least once a cycle while off, and once a cycle while on. */
void bypass_sense(struct bypass *b, bool commanded, bool sense);

/* Stuck on, or without current though on: status bit 2 (R8). */
bool bypass_faulty(const struct bypass *b);
