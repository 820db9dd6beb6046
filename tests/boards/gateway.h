/* SPDX-License-Identifier: MIT */
#pragma once

/* lib/'s whole pack, listening to a chain of boards: at IN's extended data output, or at the last board's
 * output. */

#include "bms.h"
#include "boards.h"

struct gateway {
        struct bms bms;
        struct deframer probe;                              /* what is accepted, beside what becomes of it */
        void (*accepted)(void *user, const uint8_t *frame); /* may be NULL */
        void *user;
        bool closed[_RELAY_MAX];
        double changed_at[_RELAY_MAX];
        unsigned openings, closings, stales;
        enum link_state link;
        double warned_at; /* when the E light came on last */
};

void gateway_init(struct gateway *g, double now, enum link_tap tap, unsigned cells);
void gateway_byte(struct gateway *g, double time, uint8_t byte);
void gateway_tick(struct gateway *g, double now);

/* What it says about the link now. */
const char *gateway_text(struct gateway *g, double now, char *text, size_t size);
