/* SPDX-License-Identifier: MIT */
#pragma once

/* An output that feeds an external dead-man relay: a square wave of 1 Hz, which goes on only while the decision loop
 * runs, the coils obey, and P12 lets it (design 6). It has no timer, on purpose: it is toggled from the manager's tick,
 * so that a loop that no longer decides stops it. Knows none of the reasons. */

#include "config.h"

#define HEARTBEAT_HALF_USEC (500 * USEC_PER_MSEC)

struct heartbeat;

/* Inactive. A line that cannot be had is no error. */
int heartbeat_new(const struct config *config, usec_t now, struct heartbeat **ret);

/* Inactive, then gives the line back. Takes NULL. */
struct heartbeat *heartbeat_free(struct heartbeat *h);

/* When the next toggle is due; USEC_INFINITY: none is. */
usec_t heartbeat_due(const struct heartbeat *h);

/* From the tick. allowed: it may beat; else it stays inactive. */
void heartbeat_tick(struct heartbeat *h, usec_t now, bool allowed);

/* Why the line cannot be had; NULL = it can, or is not configured. */
const char *heartbeat_fault(const struct heartbeat *h);
