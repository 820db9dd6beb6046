/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <assert.h>
#include <math.h>

#define BITS_MAX (WIRE_MAX * WIRE_BITS)

/* How many bits pass before one is turned: drawn at once, so that a clean frame costs nothing. */
static uint64_t draw_skip(struct wire *w) {
        double chance = (double)((rng_next(&w->rng) >> 11) + 1) / 9007199254740992.0; /* in (0, 1] */

        return w->rate > 0 ? (uint64_t)fmin(floor(log(chance) / log1p(-w->rate)), 1e18) : UINT64_MAX;
}

void wire_init(struct wire *w, uint64_t seed) {
        *w = (struct wire){.skip = UINT64_MAX};
        rng_init(&w->rng, seed, 5);
}

void wire_set_rate(struct wire *w, double rate) {
        if (rate == w->rate)
                return;
        w->rate = rate;
        w->skip = draw_skip(w);
}

static size_t put_bits(const uint8_t *bytes, size_t n, bool bits[BITS_MAX]) {
        size_t k = 0;

        for (size_t i = 0; i < n; i++) {
                bits[k++] = false;
                for (int bit = 0; bit < 8; bit++)
                        bits[k++] = bytes[i] >> bit & 1;
                bits[k++] = true;
        }
        return k;
}

static void turn_bits(struct wire *w, bool *bits, size_t n) {
        size_t at = 0;

        while (w->skip < n - at) {
                at += (size_t)w->skip; /* less than n */
                bits[at] = !bits[at];
                at++;
                w->turned++;
                w->skip = draw_skip(w);
        }
        w->skip -= n - at;
}

/* A UART: a falling edge, eight bits, a stop bit; after a framing error it waits for the line to be idle first. */
static size_t receive(const bool *bits, size_t n, struct wire_byte ret_received[WIRE_MAX]) {
        size_t received = 0, at = 0;

        while (at < n) {
                struct wire_byte b = {0};

                if (bits[at]) {
                        at++;
                        continue;
                }
                for (size_t bit = 0; bit < 8; bit++)
                        if (at + 1 + bit >= n || bits[at + 1 + bit]) /* silence is ones */
                                b.byte = (uint8_t)(b.byte | 1u << bit);
                b.framing_error = at + 9 < n && !bits[at + 9];
                assert(received < WIRE_MAX);
                ret_received[received++] = b;
                for (at += WIRE_BITS; b.framing_error && at < n && !bits[at]; at++)
                        ;
        }
        return received;
}

size_t wire_carry(struct wire *w, const uint8_t *bytes, size_t n, struct wire_byte ret_received[WIRE_MAX]) {
        bool bits[BITS_MAX];
        size_t n_bits = n * WIRE_BITS;

        assert(n <= WIRE_MAX);
        w->bits += n_bits;
        if (w->skip >= n_bits) {
                if (w->skip != UINT64_MAX)
                        w->skip -= n_bits;
                for (size_t i = 0; i < n; i++)
                        ret_received[i] = (struct wire_byte){.byte = bytes[i]};
                return n;
        }
        n_bits = put_bits(bytes, n, bits);
        turn_bits(w, bits, n_bits);
        return receive(bits, n_bits, ret_received);
}
