/* SPDX-License-Identifier: MIT */
#pragma once

/* The IN board's eight option switches: the manual's section "IN-Board 'option switch' functions", its table
 * of hidden factory settings, and the rules on switches in docs/chain.md.
 *
 *  1 fast message   2, 6, 7 V-bypass   3 blind spot   4 auto zero   5 critical mode   8 takes 1..7 as factory
 * settings
 *
 * Pure: levels and elapsed time are arguments. Knows no pin, no EEPROM, no current. */

#include <stdbool.h>
#include <stdint.h>

#define SWITCHES 8

#define SWITCHES_ACT_MS 2000        /* so long steady, and a function acts */
#define SWITCHES_FACTORY_ON_MS 1000 /* switch 8 has been ON at least so long */
#define SWITCHES_STEADY_MS 100      /* and the others did not move for so long */
#define SWITCHES_ZERO_MS 3000       /* switch 4 has been ON at least so long */

#define SWITCHES_SENSOR_TYPES 8
#define SWITCHES_CELL_ROWS 16

/* What a sample brought about. */
enum switches_event {
        SWITCHES_NOTHING,
        SWITCHES_FACTORY,    /* sensor_type and cells are to be stored */
        SWITCHES_ZERO_STORE, /* the offset found while zeroing is to be stored */
};

struct switches {
        uint16_t steady_ms[SWITCHES]; /* since the switch last moved, at most UINT16_MAX */
        uint8_t raw;                  /* last sample: bit n - 1 is switch n, 1 is ON */
        uint8_t acting;               /* positions that act, as bits */
        uint8_t settled;              /* those that have acted since the start */
        bool armed;                   /* switch 8 was seen OFF */
        bool zero_blocked;            /* switch 8 was used while 4 was ON: 4 must be OFF first */
        uint8_t sensor_type;          /* with SWITCHES_FACTORY: 0..7 in the order of the manual's table */
        uint8_t cells;                /* ... : 4..255 */
};

/* As after a reset, with the switches standing at raw. */
void switches_init(struct switches *s, uint8_t raw);

/* A sample, elapsed_ms after the last one; one each 100 ms or more often. */
enum switches_event switches_sample(struct switches *s, uint8_t raw, uint16_t elapsed_ms);

/* All positions have acted: before, the functions below say what is off, and V-bypass is unknown. */
bool switches_known(const struct switches *s);

/* Positions that act, as key 130 has them: switch n is bit n - 1. */
uint8_t switches_bits(const struct switches *s);

bool switches_fast(const struct switches *s);
bool switches_blind_spot(const struct switches *s);
bool switches_critical(const struct switches *s);

/* Auto zero is running: currents are to be shown as 0, and what the sensors give is their offset. */
bool switches_zeroing(const struct switches *s);

/* V-bypass in FRAME_VOLTAGE_STEP_MV; 0 while not known. */
uint16_t switches_v_bypass(const struct switches *s);
