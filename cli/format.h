/* SPDX-License-Identifier: MIT */
#pragma once

/* Numbers and times as a person reads them, and the nearest word to a mistyped one. Pure. */

#include <stddef.h>

#include "units.h"

#define FORMAT_MAX 48

/* value / 10^decimals with `shown` decimals, rounded half away from zero: "3.650", "-12.5". "unknown" if it
 * is. */
const char *format_number(struct maybe64 value, unsigned decimals, unsigned shown,
                          char ret[static FORMAT_MAX]);

/* Same with a unit after it: "3.650 V", "97.0 %". */
const char *format_quantity(struct maybe64 value, unsigned decimals, unsigned shown, const char *unit,
                            char ret[static FORMAT_MAX]);

/* "0.4 s", "42 s", "3 min 12 s", "5 h 3 min", "2 d 4 h"; "never" for USEC_INFINITY. */
const char *format_age(usec_t age, char ret[static FORMAT_MAX]);

/* Energy in mWh as Wh below 10 kWh, else kWh: "731 Wh", "12.35 kWh". */
const char *format_energy(struct maybe64 mwh, char ret[static FORMAT_MAX]);

/* "731 B", "12.3 kB", "4.1 MB": thousands, as cards are sold. */
const char *format_bytes(struct maybe64 bytes, char ret[static FORMAT_MAX]);

/* "80", "80%", "80.25 %" in permyriad; -EINVAL for anything else, -ERANGE outside 0..100 %. */
int parse_percent(const char *text, int64_t *ret_permyriad);

/* A whole decimal number from min to max: 0, -EINVAL or -ERANGE. */
int parse_whole(const char *text, int64_t min, int64_t max, int64_t *ret_value);

/* Single-character edits (insert, delete, replace, swap neighbours) that lead from a to b; case is ignored.
 */
size_t edit_distance(const char *a, const char *b);

/* The candidate nearest to text if it is near enough to be what was meant, else NULL. candidate(i) gives the
 * i-th. */
const char *nearest(const char *text, const char *(*candidate)(size_t i), size_t n);
