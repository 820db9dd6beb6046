/* SPDX-License-Identifier: MIT */
#pragma once

/* The IN board's extended data output, bit by bit: 58 bytes at 9600 8N1, least significant bit first, and at
 * least 200 ms of quiet between frames (R9 of docs/chain.md), which readers of that output take for a frame's
 * end.
 *
 * Pure: knows no pin and no timer; who calls output_line_bit() once a bit makes it a line. */

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "hardware.h"

#define OUTPUT_LINE_BIT_TICKS (HARDWARE_IN_TICK_HZ / HARDWARE_BAUD) /* 6, exactly */
/* A bit's level is asked for when the second one before it begins on the line. */
#define OUTPUT_LINE_AHEAD_BITS 2
#define OUTPUT_LINE_QUIET_TICKS                                                                              \
        (UINT32_C(200) * HARDWARE_IN_TICK_HZ / UINT32_C(1000) +                                              \
         OUTPUT_LINE_AHEAD_BITS * OUTPUT_LINE_BIT_TICKS)

struct output_line {
        uint8_t bytes[FRAME_SIZE];
        uint8_t byte, bit; /* the next to be sent; bit 0 is the start bit, 9 the stop bit */
        bool busy;
        bool quiet;         /* 200 ms have passed */
        uint32_t end_ticks; /* when the last frame had no more bits */
};

void output_line_init(struct output_line *o);

/* A frame to be sent. Returns false if the line is not free: it is skipped, whole. From main, with interrupts
 * open: nobody asks for bits before. */
bool output_line_start(struct output_line *o, const uint8_t bytes[FRAME_SIZE]);

/* The level of the next bit, true is high (idle). Returns false if there is none: the last stop bit ends
 * OUTPUT_LINE_AHEAD_BITS later, and output_line_end() is to be called. From the interrupt, at each bit: no
 * time is asked for until there is need of it. */
bool output_line_bit(struct output_line *o, bool *ret_level);

/* output_line_bit() has returned false, at now_ticks. From the interrupt. */
void output_line_end(struct output_line *o, uint32_t now_ticks);

/* To be called at least once an hour, and before output_line_start(). With interrupts locked. */
void output_line_tick(struct output_line *o, uint32_t now_ticks);
