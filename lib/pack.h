/* SPDX-License-Identifier: MIT */
#pragma once

/* What the cells say: extremes, currents and the per-cell details of error-free frames, each with its age; the
 * board's settings sent along, once believed (B9); cells missing from the rotation (B16); frozen readings (B12);
 * which cells are bypassing (P7). Knows no limits and no relays. */

#include "frame.h"
#include "units.h"

#define PACK_BYPASS_HOLD_USEC (10 * USEC_PER_MINUTE) /* P7 */
#define PACK_FROZEN_USEC (60 * USEC_PER_SEC)         /* B12 */
#define PACK_FROZEN_SILENCE_USEC (3500 * USEC_PER_MSEC) /* B12: silence beyond this is not standing still */
#define PACK_PAIR_STALE_USEC (60 * USEC_PER_SEC)     /* wire-formats.md: a value not seen for 60 s is stale */

struct cell {
        struct maybe voltage_mv, temperature_decic;
        usec_t at;           /* when heard; 0 = never */
        usec_t bypass_until; /* counts as bypassing until then; 0 = never seen bypassing (P7) */
        uint8_t missed;      /* rotations without this cell's detail, no message lost (B16) */
        uint8_t over_tmax_run; /* details in a row above the cell's T-max: kept by protection.c */
};

/* A value that needs several agreeing frames to be believed (B9). */
struct agreed {
        struct maybe believed;
        int32_t candidate;
        unsigned agreeing;
};

struct pair {
        uint8_t value;
        bool seen;
        usec_t at;
};

struct pack {
        struct frame frame; /* the newest error-free frame */
        usec_t frame_at;    /* 0 = none yet */
        uint8_t count;
        struct cell cells[CELLS_MAX + 1]; /* by number, 1.. ; [0] unused */

        struct agreed v_bypass_mv; /* one of the eight switch values */
        struct agreed switches;    /* pair 130 */
        struct pair pairs[256];    /* by key */

        uint8_t last_detail; /* the newest byte 24 that was not 0; 0 = a message was lost since (B16) */

        uint8_t frozen_bytes[FRAME_SIZE]; /* B12 */
        usec_t frozen_since;
};

void pack_init(struct pack *p);

/* Takes one error-free frame. period: the link's, to tell a lost message from a skipped detail. confirm_frames:
 * max(3, trip_frames). */
void pack_frame(struct pack *p, usec_t now, usec_t period, unsigned confirm_frames, const struct frame *frame,
                const uint8_t bytes[FRAME_SIZE]);

/* Forgets every cell's reading: the number of cells was changed. */
void pack_forget_cells(struct pack *p);

/* Believed V-bypass (B9); none until confirmed. */
struct maybe pack_v_bypass_mv(const struct pack *p);

/* Believed option switch 5 (pair 130): known and 1 = critical. None if the pair never came. */
struct maybe pack_critical_switch(const struct pack *p);

/* Value of a key/value pair, none if not seen within PACK_PAIR_STALE_USEC. */
struct maybe pack_pair(const struct pack *p, usec_t now, uint8_t key);

/* P7: is this cell known to be bypassing (now, or within the last 10 minutes)? */
bool pack_cell_bypassing(const struct pack *p, usec_t now, uint8_t cell);

/* B12: readings unchanged for 60 s, each cell's own detail from rotation to rotation included. The caller
 * adds "while |I| > C/20". */
bool pack_frozen(const struct pack *p, usec_t now);

/* When pack_frozen() becomes true by time alone, without a further frame; USEC_INFINITY: never. May have passed. */
usec_t pack_frozen_deadline(const struct pack *p);

/* B16: the first cell missing from two rotations, 0 if none. */
uint8_t pack_missing_cell(const struct pack *p);
