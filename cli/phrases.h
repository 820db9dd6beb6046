/* SPDX-License-Identifier: MIT */
#pragma once

/* Sentences that several verbs and the watch view share. */

#include "reading.h"

#define PHRASE_MAX 96

/* "commanded closed, not confirmed (no feedback input)": what is commanded and what is confirmed are two
 * facts (P16). */
const char *phrase_relay(const struct reading_relay *relay, char ret[static PHRASE_MAX]);

/* The same in a column's width: "closed" is confirmed, "closed?" is commanded and not confirmed, "closed!open" is
 * commanded closed while the feedback input says open; "allowed" and "barred" where no relay is driven. */
const char *phrase_relay_word(const struct reading_relay *relay, char ret[static PHRASE_MAX]);

/* One letter for a cell's state, so that colour is not the only sign: 'G' safe, 'B' balancing, 'H' / 'L'
 * voltage beyond V-max / V-min, 'T' temperature out of range, 'M' missing from the rotation, '?' never heard.
 */
char cell_letter(const struct reading_cell *cell, int32_t vmin_mv);

enum cell_colour { CELL_GREEN, CELL_YELLOW, CELL_RED, CELL_GREY };
enum cell_colour cell_colour(const struct reading_cell *cell);
const char *cell_state_name(const struct reading_cell *cell, int32_t vmin_mv);
