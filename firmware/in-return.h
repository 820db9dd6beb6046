/* SPDX-License-Identifier: MIT */
#pragma once

/* What comes back to the IN board from the end of the chain (R1, R9 of docs/chain.md): whole frames, good or
 * not, for the extended output; how many cells there are; and whether anything comes back at all.
 *
 * Pure: bytes and time are arguments. Time is in ticks of HARDWARE_IN_TICK_HZ, 32 bits wide, and may wrap. */

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "hardware.h"

#define IN_RETURN_TICKS_MS(ms) ((uint32_t)(ms)*HARDWARE_IN_TICK_HZ / UINT32_C(1000))
#define IN_RETURN_SILENCE_TICKS IN_RETURN_TICKS_MS(20) /* R1 */
#define IN_RETURN_AGREE 3                              /* R9: so many good frames with the same count */

struct in_return {
        uint8_t bytes[2][FRAME_SIZE]; /* one is coming, the other is the last one that was whole */
        volatile uint8_t whole;       /* one more than the index of one that in_return_take() has not seen; 0:
                                       * none. A single byte, so that main reads with it which one, too. */
        uint8_t coming;               /* index */
        uint8_t taken;                /* bytes of the one that is coming; FRAME_SIZE: wait for a silence */
        bool damaged;                 /* ... a byte of it was */
        bool silent;                  /* long enough for a frame to start */
        bool whole_damaged;           /* so was the last whole one */
        uint32_t last_ticks;          /* last byte */
        uint32_t first_ticks;         /* first byte of the one that is coming */
        uint32_t whole_ticks;         /* first byte of the last whole one; of the reset, before any */
        bool lost;
        uint8_t count, agreeing; /* of good frames, in a row */
        uint8_t cells;           /* learned, 0 not yet */
};

/* As after a reset, at now_ticks: waiting for a silence. */
void in_return_init(struct in_return *r, uint32_t now_ticks);

/* A byte has come; damaged: with a framing error, or after an overrun. From the interrupt. */
void in_return_receive(struct in_return *r, uint8_t byte, bool damaged, uint32_t now_ticks);

/* To be called at least once an hour, and to learn in time that nothing returns; cycle_ticks: of the own
 * frames. With interrupts locked. Returns true when that begins: 3.0 cycles after the last frame's first
 * byte. */
bool in_return_tick(struct in_return *r, uint32_t now_ticks, uint32_t cycle_ticks);

/* Is there a frame for in_return_take()? */
bool in_return_waiting(const struct in_return *r);

/* The frame that has become whole since the last call, or NULL; valid until the next one is whole, at least
 * 60 ms later. From main, with interrupts open: it takes too long for R2. */
const uint8_t *in_return_take(struct in_return *r);

/* Nothing returns. */
bool in_return_lost(const struct in_return *r);

/* How many cells the chain has, 0 while not known. */
uint8_t in_return_cells(const struct in_return *r);
