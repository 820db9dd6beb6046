/* SPDX-License-Identifier: MIT */
#pragma once

/* Units and the "unknown" value. Every quantity in smartbms is an integer whose name ends in its unit:
 *
 *   _mv millivolt   _ma milliampere (charging is positive)   _mw milliwatt   _mwh milliwatt hour
 *   _wh watt hour   _decic 0.1 degree Celsius   _permyriad 0.01 % (0..10000)   _usec microsecond
 *
 * Unknown is a state of its own and never 0: use struct maybe / struct maybe64 wherever a reading can be
 * absent. Knows nothing of any other module. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/* Monotonic microseconds (CLOCK_BOOTTIME). Wall clock time never has this type. */
typedef uint64_t usec_t;

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
#define USEC_INFINITY UINT64_MAX

#define PERMYRIAD_FULL 10000

/* Most cells a chain can carry: the count is one byte (wire-formats.md, offset 25). */
#define CELLS_MAX 255
#define CELLS_MIN 2

struct maybe {
        bool known;
        int32_t value; /* 0 when not known, so that two unknowns compare equal */
};

struct maybe64 {
        bool known;
        int64_t value;
};

static inline struct maybe some(int32_t value) {
        return (struct maybe){.known = true, .value = value};
}

static inline struct maybe none(void) {
        return (struct maybe){.known = false, .value = 0};
}

static inline struct maybe64 some64(int64_t value) {
        return (struct maybe64){.known = true, .value = value};
}

static inline struct maybe64 none64(void) {
        return (struct maybe64){.known = false, .value = 0};
}

/* now - then, 0 if then lies in the future (a caller's mistake must not become a huge age). */
static inline usec_t usec_since(usec_t now, usec_t then) {
        return now > then ? now - then : 0;
}

/* a + b, saturating at USEC_INFINITY. */
static inline usec_t usec_add(usec_t a, usec_t b) {
        return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}
