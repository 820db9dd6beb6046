/* SPDX-License-Identifier: MIT */
#pragma once

/* A script that a person can read: what happens to the pack, and when. One line each:
 *
 *   # the cable between cells 7 and 8, found two hours later
 *   10m     cut=7
 *   +2h     clear cut
 *   1d6h30m load 40
 *   +0s     status
 *
 * The time is since the start, or with + since the line before; units d, h, m, s, in that order. What follows is
 * a command of the control line. Understands none of them. */

#include <stddef.h>

#include "units.h"

struct scenario;

/* 0, or -Exxx with a sentence that names the line. */
int scenario_load(const char *path, struct scenario **ret, char *ret_error, size_t size);
struct scenario *scenario_free(struct scenario *s);

/* Each line, for checking it beforehand; NULL beyond the last. *ret_line: its number in the file, *ret_at: its time. */
const char *scenario_get(const struct scenario *s, size_t i, unsigned *ret_line, usec_t *ret_at);

/* The next command that is due by now, and its line's number; NULL if there is none. */
const char *scenario_next(struct scenario *s, usec_t now, unsigned *ret_line);
