/* SPDX-License-Identifier: MIT */
#pragma once

/* The extended data output (design 10): a snapshot as the 58-byte frame a genuine OUT board would send, with
 * our SOC, energy, limits, status and key/value pairs 0..18. Pure. */

#include "snapshot.h"

struct output {
        uint8_t next_pair; /* key of the pair that the next frame carries, if its value is known */
        uint32_t latched;  /* the number whose bytes are being sent: all of them are of one instant */
};

/* Our frame for this cycle. While stale or E: the last frame's readings with bit 2 set, bits 0 and 1 clear.
 * Before any error-free frame returns false and writes nothing. Unknown SOC is sent as 0 with bit 7 (not
 * calibrated); the format has no word for unknown energy, capacity or V-bypass either: 0. Role monitor: the
 * board's own frame as it came, with bits 0..2 as above while stale or E. */
bool output_frame(struct output *o, const struct snapshot *s, uint8_t ret_bytes[FRAME_SIZE]);

/* Status 1 as that frame has it (wire-formats.md section 1: bits 0..7): what is allowed, E, the limits exceeded, not
 * calibrated. Before any error-free frame too. */
uint8_t output_status(const struct snapshot *s);

/* Status 2 (pair 16): T-min for charging and for discharging, and which relay is closed. It is about our own relays and
 * limits: in role monitor it says nothing of what the board's would. */
uint8_t output_status_2(const struct snapshot *s);
