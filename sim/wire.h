/* SPDX-License-Identifier: MIT */
#pragma once

/* One serial link, bit by bit: 8N1, bits turned at a rate, and a receiver that makes bytes of what is left. A turned
 * start bit loses a byte and shifts the next ones, a turned stop bit is a framing error. Knows no frames. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rng.h"

struct wire {
        struct rng rng;
        double rate;   /* of turned bits; 0 = a perfect line */
        uint64_t skip; /* bits until the next one that is turned */
        uint64_t bits, turned;
};

struct wire_byte {
        uint8_t byte;
        bool framing_error;
};

#define WIRE_BITS 10 /* a start bit, eight data bits, a stop bit */
#define WIRE_MAX 58  /* bytes sent at once; never more are received, for each takes ten bits */

void wire_init(struct wire *w, uint64_t seed);
void wire_set_rate(struct wire *w, double rate);

/* Sends bytes back to back, with silence after them. Returns how many were received. Silence itself is not disturbed:
 * that is the fault "noise". */
size_t wire_carry(struct wire *w, const uint8_t *bytes, size_t n, struct wire_byte ret_received[WIRE_MAX]);
