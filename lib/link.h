/* SPDX-License-Identifier: MIT */
#pragma once

/* Is the cell chain heard, and can what it says be used? (rules B9 (count), B10, B11, B13..B15, B17.) Takes
 * accepted frames and the time; knows nothing of limits or relays. */

#include "frame.h"
#include "units.h"

enum link_state {
        LINK_STARTING, /* fewer than 3 good error-free frames so far */
        LINK_LIVE,
        LINK_STALE, /* silence, garbage, or a repeated frame */
        LINK_ERROR, /* E confirmed: frames come, but carry no usable readings (B13) */
        _LINK_STATE_MAX,
};

/* Why a frame is E, or why the link is stale. The newest one. */
enum link_cause {
        LINK_CAUSE_NONE,
        LINK_CAUSE_SILENCE,     /* no error-free frame for 3.5 periods, and no E frame either */
        LINK_CAUSE_IDENTICAL,   /* B11 */
        LINK_CAUSE_CHAIN,       /* bit 2 with a count other than N: chain broken, see link_place() */
        LINK_CAUSE_BOARD,       /* bit 2 with the full count: a board reports a fault (chain.md R8) */
        LINK_CAUSE_COUNT,       /* bit 2 clear, but not N cells (B13, B15) */
        LINK_CAUSE_CELL_DEAD,   /* a cell below 1.0 V "cannot be" (B17) */
        LINK_CAUSE_NO_READING,  /* an extreme of value 0 = unknown in a frame without bit 2 */
        LINK_CAUSE_PORT,        /* the serial port is gone (link_port_lost()) */
        _LINK_CAUSE_MAX,
};

enum link_tap {
        TAP_IN,   /* wired to the IN board's extended data output */
        TAP_LAST, /* wired to the last board's output */
};

#define LINK_LIVE_FRAMES 3
#define LINK_LEARN_USEC (60 * USEC_PER_SEC)
#define LINK_IDENTICAL_USEC (10 * USEC_PER_SEC)
#define LINK_CELL_DEAD_MV 1000
#define LINK_ACCEPT_USEC (10 * USEC_PER_SEC)
#define LINK_PERIOD_SLOW (1000 * USEC_PER_MSEC)
#define LINK_PERIOD_FAST (500 * USEC_PER_MSEC)

struct link {
        enum link_tap tap;
        unsigned trip_frames;   /* B8, from the settings */
        uint8_t known_cells;    /* N; 0 = not known yet (B15) */
        bool cells_from_config; /* N was given by `cells:` and is not learned */

        enum link_state state;
        enum link_cause cause;
        bool warning; /* the E light: from the first E frame until LINK_LIVE_FRAMES error-free in a row */

        usec_t period;      /* the IN board's: 1.0 s or 0.5 s (B10) */
        unsigned fast_run, slow_run;

        usec_t last_frame, last_error_free; /* times; 0 = never */
        unsigned error_free_run, error_run;
        struct frame error_frame; /* the newest E frame */

        uint8_t learn_count; /* B15: the count being learned, since learn_since */
        usec_t learn_since;
        uint8_t heard_count; /* of the newest bit-2-free frame, for link_accept_cells() */
        usec_t heard_count_at;
        uint8_t faulty_board; /* sent zeros as its detail while bit 2 was set; 0 = none seen (chain.md R8) */

        uint8_t last_bytes[FRAME_SIZE]; /* B11 */
        usec_t identical_since; /* 0 = last_bytes holds no error-free frame to compare with */
        usec_t started; /* link_init()'s now: silence from the start is stale too */
};

/* known_cells: from config (cells_from_config) or from an earlier run, 0 if neither. */
void link_init(struct link *l, usec_t now, enum link_tap tap, uint8_t known_cells, bool cells_from_config,
               unsigned trip_frames);

enum link_verdict {
        LINK_FRAME_GOOD,  /* error-free: readings may be looked at */
        LINK_FRAME_ERROR, /* E, or a repetition beyond B11: keeps the diagnosis alive, nothing else (B13) */
};

/* Takes one accepted frame with its bytes. */
enum link_verdict link_frame(struct link *l, usec_t now, const struct frame *frame,
                             const uint8_t bytes[FRAME_SIZE]);

/* Silence must trip as surely as a bad reading: call on every tick. */
void link_tick(struct link *l, usec_t now);

/* The serial port vanished: stale at once (design 12: both open within 1 s). */
void link_port_lost(struct link *l, usec_t now);

/* It is back: still stale, but from now on for want of data. */
void link_port_opened(struct link *l);

/* `smartbmsctl cells accept`: takes the count of the newest bit-2-free frame as N. 0, or -ENODATA if no such
 * frame with another count than N was heard in the last 10 s. Works also when N came from config (until restart). */
int link_accept_cells(struct link *l, usec_t now);

/* Time after which link_tick() would change the state if nothing is heard; USEC_INFINITY when already stale. */
usec_t link_deadline(const struct link *l);

/* One sentence for a person: what is wrong and where to look (B14), "" when nothing is. The place rests on N. */
void link_place(const struct link *l, char *ret_text, size_t size);
