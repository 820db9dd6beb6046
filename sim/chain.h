/* SPDX-License-Identifier: MIT */
#pragma once

/* The boards as the wire sees them: who starts a frame, who alters what, who starts an orphan (chain.md
 * R2..R13). On perfect lines frames are handed on as values, with bit errors byte by byte. Time is counted in half
 * message cycles, the finest step these rules need. Knows nothing of electricity or of seconds; damage to a whole frame
 * on the listener's line is faults.h's. */

#include "frame.h"
#include "units.h"
#include "wire.h"

/* Pairs 133, 134: the simulator passes for a board of this version. */
#define CHAIN_FIRMWARE_MAJOR 1
#define CHAIN_FIRMWARE_MINOR 0
#define CHAIN_FORMAT_VERSION 1

/* Option switches, as bits of pair 130. */
enum {
        SWITCH_FAST = 1 << 0,
        SWITCH_BYPASS_2 = 1 << 1,
        SWITCH_BLIND_SPOT = 1 << 2,
        SWITCH_AUTO_ZERO = 1 << 3,
        SWITCH_CRITICAL = 1 << 4,
        SWITCH_BYPASS_6 = 1 << 5,
        SWITCH_BYPASS_7 = 1 << 6,
};

/* Bits of pair 135, in chain.md's order. */
enum {
        CHAIN_FLAG_EEPROM_DEFAULTS = 1 << 0,
        CHAIN_FLAG_AUTO_ZERO = 1 << 1,
        CHAIN_FLAG_AUTO_ZERO_REFUSED = 1 << 2,
        CHAIN_FLAG_SENSOR_1_SATURATED = 1 << 3,
        CHAIN_FLAG_SENSOR_2_SATURATED = 1 << 4,
        CHAIN_FLAG_RETURN_LOST = 1 << 5,
};

/* What a board measured, in steps of the wire (the extremes are compared after rounding). */
struct reading {
        bool voltage_known, temperature_known;
        uint32_t mv;
        int32_t decic;
};

/* Everything the boards are told for one half cycle. Arrays are indexed by the cell's number, 1..cells. */
struct chain_input {
        int cells;
        uint8_t configured;     /* M before the return has told the IN board better (R9) */
        bool rotate_configured; /* always rotate over M: no ring return, as with genuine boards */
        struct frame_current in, out, sum;
        uint8_t switches, sensor_type, flags;
        uint16_t v_bypass_mv;
        const struct reading *readings;
        enum temperature_coding coding;
        bool cut[CELLS_MAX +
                 1]; /* the link from this board to the next; of the last board: the ring return */
        bool dead[CELLS_MAX + 1];
        bool silent[CELLS_MAX + 1]; /* never fills in its detail */
};

/* What arrives of a frame at the end of a line with bit errors. */
struct chain_bytes {
        uint8_t data[WIRE_MAX];
        size_t size;
};

struct chain_output {
        bool last_sent, extended_sent;
        struct frame last;     /* from the last board's output */
        struct frame extended; /* from the IN board's extended data output */
        bool damaged;          /* there are bit errors: these bytes arrive, and nobody knows of last and extended */
        struct chain_bytes last_bytes, extended_bytes;
};

struct chain_board {
        uint8_t number;                 /* count of the last good frame + 1; 0 = not known since reset (R6) */
        uint8_t chain_number;           /* the same, but from frames that were no orphans (R11) */
        uint64_t orphan_due;            /* half cycle */
        uint16_t heard_mv, v_bypass_mv; /* R13 */
        uint64_t last_good;             /* R10, half cycle; these three only with bit errors */
        uint8_t good_run;
        bool unheard; /* no good frame for 10 cycles, until 3 in a row */
};

struct chain {
        uint64_t half;
        struct chain_board boards[CELLS_MAX + 1];
        uint8_t detail, pair;
        uint64_t last_return;
        uint8_t return_count, return_run, counted; /* R9: M once the return said so */
        struct wire wire; /* every link */
};

/* A chain that has been running for a while: every board knows its number and V-bypass. */
void chain_init(struct chain *c, uint16_t v_bypass_mv, uint64_t seed);

/* From now on this share of the bits is turned, on every link: between boards, back to the IN board, and on the line
 * to the listener. 0 = none. */
void chain_set_bit_errors(struct chain *c, double rate);

/* One half cycle. The IN board starts a frame in every second one. */
void chain_step(struct chain *c, const struct chain_input *input, struct chain_output *ret_output);

/* V-bypass as this cell's board believes it, 0 = not known (R13). */
uint16_t chain_v_bypass(const struct chain *c, int cell);

/* The V-bypass switches (2, 6, 7) for one of the eight values of the manual's table, or -EINVAL. */
int chain_bypass_switches(int v_bypass_mv);
