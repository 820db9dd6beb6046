/* SPDX-License-Identifier: MIT */
#pragma once

/* Opens relays in one go, without a loop to run in: for relays-open, when smartbmsd has died. Knows the coils, and
 * neither where they come from nor who asks. */

#include "relay-file.h"

#define RELAY_OPEN_BUSY_USEC USEC_PER_SEC /* a busy line is tried again for so long */

struct relay_open_result {
        unsigned n_failed;
        char why[RELAY_COILS_MAX][160]; /* one sentence for each coil that failed: "charge relay, reset: ..." */
};

/* Takes the current from all coils first, then pulses those that open, all at once. Takes a second for lines that are
 * busy, at most, and the longest pulse. What cannot be had is left out; the others are driven all the same. */
void relay_open_all(const struct relay_coils *coils, struct relay_open_result *ret);
