/* SPDX-License-Identifier: MIT */
#include "phrases.h"

#include <stdio.h>

const char *phrase_relay(const struct reading_relay *relay, char ret[static PHRASE_MAX]) {
        const char *commanded = relay->closed ? "closed" : "open";

        if (!relay->mapped)
                /* role monitor: the board's own relay, of which only the permission is known */
                snprintf(ret, PHRASE_MAX, "%s (no relay is driven here)",
                         relay->closed ? "allowed" : "not allowed");
        else if (!relay->confirmed.known)
                snprintf(ret, PHRASE_MAX, "commanded %s, not confirmed (no feedback input)", commanded);
        else if ((relay->confirmed.value != 0) == relay->closed)
                snprintf(ret, PHRASE_MAX, "%s, confirmed by its feedback input", commanded);
        else
                snprintf(ret, PHRASE_MAX, "commanded %s, but the feedback input says %s", commanded,
                         relay->confirmed.value ? "closed" : "open");
        return ret;
}

const char *phrase_relay_word(const struct reading_relay *relay, char ret[static PHRASE_MAX]) {
        const char *commanded = relay->closed ? "closed" : "open";

        if (!relay->mapped)
                snprintf(ret, PHRASE_MAX, "%s", relay->closed ? "allowed" : "barred");
        else if (!relay->confirmed.known)
                snprintf(ret, PHRASE_MAX, "%s?", commanded);
        else if ((relay->confirmed.value != 0) == relay->closed)
                snprintf(ret, PHRASE_MAX, "%s", commanded);
        else
                snprintf(ret, PHRASE_MAX, "%s!%s", commanded, relay->confirmed.value ? "closed" : "open");
        return ret;
}

/* Out of range comes before balancing: red wins over yellow. A number of 0 cannot be out of range. */
static bool is_red(const struct reading_cell *cell) {
        return cell->v_red || cell->t_red;
}

char cell_letter(const struct reading_cell *cell, int32_t vmin_mv) {
        if (cell->age == USEC_INFINITY)
                return '?';
        if (cell->v_red)
                return cell->voltage_mv.known && cell->voltage_mv.value <= vmin_mv ? 'L' : 'H';
        if (cell->t_red)
                return 'T';
        if (cell->missing)
                return 'M';
        if (cell->bypassing)
                return 'B';
        return cell->voltage_mv.known ? 'G' : '?';
}

enum cell_colour cell_colour(const struct reading_cell *cell) {
        if (cell->age == USEC_INFINITY || (!cell->voltage_mv.known && !is_red(cell)))
                return CELL_GREY;
        if (is_red(cell))
                return CELL_RED;
        return cell->bypassing || cell->missing ? CELL_YELLOW : CELL_GREEN;
}

const char *cell_state_name(const struct reading_cell *cell, int32_t vmin_mv) {
        switch (cell_letter(cell, vmin_mv)) {
        case 'H':
                return "voltage too high";
        case 'L':
                return "voltage too low";
        case 'T':
                return "temperature out of range";
        case 'M':
                return "missing from the rotation";
        case 'B':
                return "balancing";
        case 'G':
                return "safe";
        default:
                return "unknown";
        }
}
