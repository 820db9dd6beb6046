/* SPDX-License-Identifier: MIT */
#pragma once

/* Finds frames in a byte stream by their content (B1): a 58-byte window slides over the bytes, and whatever
 * frame in it is accepted comes out. Bytes only, no time, so the result cannot depend on how reads were
 * chunked. Knows nothing of what a frame means.
 *
 * The window goes on sliding after an accepted frame too: a frame cut short, whose missing end happens to be
 * made up by the beginning of the next one (1 in 256 of those that lost a part nobody checks), must not
 * swallow that next one. So every true frame comes out, whatever came before it. */

#include "accept.h"

enum deframer_event {
        DEFRAMER_NOTHING, /* the byte completed no frame */
        DEFRAMER_FRAME,   /* an accepted frame */
        DEFRAMER_BAD_SUM, /* all checks hold but I-sum (B5); the window goes on sliding */
};

struct deframer {
        struct accept_rules rules;
        uint8_t window[FRAME_SIZE]; /* ring */
        uint8_t start, fill;
        uint8_t unclaimed; /* the newest bytes of the window that belong to no frame yet */
        uint8_t sum;       /* running sum of all bytes in the window */
        /* bytes = 58 * frames - shared_bytes + skipped_bytes + unclaimed */
        uint64_t bytes, frames;
        uint64_t skipped_bytes; /* belong to no frame, for certain */
        uint64_t shared_bytes;  /* belong to two accepted frames: one of them was none (0 on a sound line) */
        uint64_t refused[_ACCEPT_MAX]; /* windows with good sum and signs that were refused, by verdict */
};

void deframer_init(struct deframer *d, const struct accept_rules *rules);

/* Drops a partial window: the port was closed and reopened. Counters stay. */
void deframer_reset(struct deframer *d);

/* Takes bytes up to the next event: *data and *size are what is left then. On DEFRAMER_FRAME or DEFRAMER_BAD_SUM
 * *ret_frame is set, and ret_bytes (may be NULL) gets the 58 bytes; call again for the rest. DEFRAMER_NOTHING: both are
 * untouched, and all bytes are taken. O(1) a byte for all but about 1 in 256 * 600,000 offsets of noise. */
enum deframer_event deframer_take(struct deframer *d, const uint8_t **data, size_t *size,
                                  struct frame *ret_frame, uint8_t ret_bytes[FRAME_SIZE]);

/* The same for one byte. */
enum deframer_event deframer_push(struct deframer *d, uint8_t byte, struct frame *ret_frame,
                                  uint8_t ret_bytes[FRAME_SIZE]);
