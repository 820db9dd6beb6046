/* SPDX-License-Identifier: MIT */
#pragma once

/* Repeatable random numbers (splitmix64, by Sebastiano Vigna, public domain). Streams with different salts do
 * not disturb each other: a fault that draws noise bytes leaves the cells' readings as they were. */

#include <stdint.h>

struct rng {
        uint64_t state;
};

static inline uint64_t rng_next(struct rng *r) {
        uint64_t z = (r->state += UINT64_C(0x9E3779B97F4A7C15));

        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        return z ^ (z >> 31);
}

static inline void rng_init(struct rng *r, uint64_t seed, uint64_t salt) {
        r->state = seed ^ (salt * UINT64_C(0xD1342543DE82EF95));
        (void)rng_next(r); /* neighbouring seeds start far apart */
}

/* Evenly in -1..1. */
static inline double rng_even(struct rng *r) {
        return (double)(rng_next(r) >> 11) / 4503599627370496.0 - 1.0;
}

/* About normal, standard deviation 1, never beyond +-3.5: the sum of four even numbers. */
static inline double rng_normal(struct rng *r) {
        uint64_t z = rng_next(r);
        double sum = 0;

        for (int i = 0; i < 4; i++, z >>= 16)
                sum += (double)(z & 0xFFFF);
        return (sum / 65535.0 - 2.0) * 1.7320508;
}

/* 0..below-1; below is small, so the bias is nothing. */
static inline unsigned rng_below(struct rng *r, unsigned below) {
        return (unsigned)(rng_next(r) % below);
}
