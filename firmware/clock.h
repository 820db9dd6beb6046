/* SPDX-License-Identifier: MIT */
#pragma once

/* A cell board's oscillator, trimmed to the IN board's rhythm (R12 of docs/chain.md), and the length of a cycle in own
 * ticks (R10).
 *
 * The IN board starts a frame every 0.5 or 1.0 s by its crystal. Two successive intervals that agree within 0.5 % and lie
 * within 12.5 % of either are taken for that; what they differ from it is the oscillator's error, and becomes a number of
 * OSCCAL codes. How much a code is differs from chip to chip (0.3..1 %) and is learned from what the last trim did.
 *
 * OSCCAL has two ranges, 0x00..0x7F and 0x80..0xFF, that overlap by an amount that differs as well: whoever needs more than
 * 0x7F or less than 0x80 gives goes to the other range, to where the same frequency may be, and to other places if no cycle
 * can be made out from there. That one write may change the frequency by more than 2 %; every other is one code.
 *
 * Pure: times are arguments, in ticks of the timer that the trimmed oscillator drives (HARDWARE_CELL_TICK_HZ when right).
 * Knows no register, no EEPROM, no frame. */

#include <stdbool.h>
#include <stdint.h>

#include "hardware.h"

#define CLOCK_TICK_HZ HARDWARE_CELL_TICK_HZ
#define CLOCK_SLOW_TICKS CLOCK_TICK_HZ       /* 1.0 s */
#define CLOCK_FAST_TICKS (CLOCK_TICK_HZ / 2) /* 0.5 s */
#define CLOCK_HOUR_TICKS (UINT32_C(3600) * CLOCK_TICK_HZ) /* a day has more ticks than 32 bits */
#define CLOCK_DAY_HOURS 24

struct clock {
        uint32_t start_ticks;    /* last frame start */
        uint32_t interval_ticks; /* before it, if that was near a cycle; else 0 */
        uint32_t cycle_ticks;    /* last measured cycle; 0: unknown */
        uint32_t hour_ticks;     /* when the last whole hour since then ended */
        int16_t error_ticks;     /* in a slow cycle, before the last trim; positive: too fast */
        uint16_t step_ticks;     /* what a code changes in a slow cycle */
        int8_t moved;            /* codes of the last trim; 0: nothing to learn from it */
        uint8_t code;            /* OSCCAL as it is now */
        uint8_t target;          /* OSCCAL as it should be */
        uint8_t stored;          /* what the EEPROM holds */
        uint8_t place;           /* how many places in the other range were tried */
        uint8_t lost;            /* intervals there without a pair that agrees */
        bool crossing;           /* to the other range */
        bool has_start, has_stored;
        bool trimmed;            /* since reset */
        bool settled;            /* by the last pair of intervals the code is right */
        uint8_t hours;           /* since the trim was stored, or the board reset; stays at a day */
};

/* Begins after a reset: factory is OSCCAL as found; stored the code of a valid stored trim, or NULL. */
void clock_init(struct clock *c, uint8_t factory, const uint8_t *stored, uint32_t now_ticks);

/* A frame started, after >= 100 ms of silence. May change the target and the cycle. */
void clock_start(struct clock *c, uint32_t start_ticks);

/* Between frames: returns true and the code that OSCCAL must have next, one step (<= 2 % of frequency) nearer to the
 * target; false when it is there. Call again until it is. */
bool clock_step(struct clock *c, uint8_t *ret_code);

/* Has clock_step() something to do? */
bool clock_step_due(const struct clock *c);

/* The measured cycle in ticks, 0 while unknown (R10). */
uint32_t clock_cycle(const struct clock *c);

/* Trimmed since reset, or running by a valid stored trim: orphans may be started (R10). */
bool clock_trusted(const struct clock *c);

/* The trim has to be stored now: 2 or more steps off what is stored, and a day since that; or nothing valid is stored. To
 * be called at least once an hour. */
bool clock_store_due(struct clock *c, uint32_t now_ticks);

/* clock_code() was stored at now_ticks. */
void clock_stored(struct clock *c, uint32_t now_ticks);

/* The code to be stored. */
uint8_t clock_code(const struct clock *c);
