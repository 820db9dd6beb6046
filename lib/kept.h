/* SPDX-License-Identifier: MIT */
#pragma once

/* What one run of the daemon hands to the next (P14, S8): the state of charge and its learning, both latches with
 * their flags, delays and closing times, the mode last believed. As text, one "name value" a line, so that a person
 * can read it and another version can take what it knows. Energy counters and settings are kept apart from it
 * (energy.h, settings.h). Knows no file and no clock. */

#include "bms.h"

/* More than bms_keep() ever writes. */
#define KEPT_TEXT_MAX 4096

/* Writes what is to be kept as of now; times as ages. Values at their start are left out. Returns the length. */
size_t bms_keep(const struct bms *b, usec_t now, char ret_text[KEPT_TEXT_MAX]);

/* Takes what an earlier run kept; off_usec: the time between its bms_keep() and now, none if that is not known.
 * Unknown time off: delays go on as if none had passed, and the uncertainty grows as for an hour (S8). A relay never
 * closes by this, and one that has closed since the start keeps its latch; what a trip since the start left on an open
 * one holds beside what was kept. The state of charge is not taken if a full or empty sync or a person set it since the
 * start (S4's estimate gives way). Whole or not at all: -EINVAL with a sentence if the text is not what bms_keep()
 * writes (a value out of range, a line that is none); unknown names are skipped, they are a newer version's. */
int bms_restore(struct bms *b, usec_t now, const char *text, struct maybe64 off_usec, char *ret_error, size_t size);

/* The wall clock was synchronised later, and says that now lies so long after bms_keep(). What of that was before
 * bms_restore() was the time off after all: corrects the uncertainty for its guess, and says so in an event. */
void bms_time_off_known(struct bms *b, usec_t now, usec_t since_kept_usec);

/* Nothing was kept, or it cannot be had: relays may close from now on. */
void bms_restore_nothing(struct bms *b, usec_t now);
