/* SPDX-License-Identifier: MIT */
#pragma once

/* Which decoded frames may be looked at (rules B2..B6). One frame at a time, no memory: what is believed over
 * several frames is link.h, pack.h and protection.h. */

#include "frame.h"

enum role {
        ROLE_GATEWAY, /* we are the OUT board: we decide */
        ROLE_MONITOR, /* a real OUT board decides; we show what it says (B6) */
};

enum accept_verdict {
        ACCEPT_OK,
        ACCEPT_BAD_CHECKSUM, /* or a byte that is no sign where one must be */
        ACCEPT_BAD_COUNT,
        ACCEPT_BAD_VOLTAGE, /* above 5.1 V a cell, or lowest above highest */
        ACCEPT_BAD_PACK_VOLTAGE,
        ACCEPT_BAD_CELL_NUMBER,
        ACCEPT_BAD_TEMPERATURE, /* lowest above highest */
        ACCEPT_BAD_DETAIL,
        ACCEPT_BAD_CURRENT_SUM, /* checked last: everything else about the frame holds (B5) */
        _ACCEPT_MAX,
};

struct accept_rules {
        enum role role;
        enum temperature_coding coding;
        bool current_check; /* config `current_check`: false skips I-sum = I1 - I2 (B5) */
};

/* Judges an already decoded frame by B2 (bit 2 clear), B3 (bit 2 set), B4, or B6 (monitor). The I-sum check
 * comes last. Detail of cell 0, of a cell above the count, or with voltage 0 is "none", no offence (B4). */
enum accept_verdict accept_frame(const struct accept_rules *rules, const struct frame *frame);
