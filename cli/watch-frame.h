/* SPDX-License-Identifier: MIT */
#pragma once

/* One frame of the live view: what is known of the pack, drawn into a screen of any size from 20 x 5 on, made
 * for 80 x 24. Pure. */

#include "reading.h"
#include "screen.h"

struct watch_view {
        bool up;           /* the daemon answered; else only trouble is shown */
        char trouble[256]; /* why it did not */
        char clock[16];    /* "12:34:56" */
        char pack[PACK_NAME_MAX + 1]; /* "": the only one, which needs no name */
        struct reading reading;
        struct reading_manager manager;
        struct reading_relays relays;
        struct reading_why why[_RELAY_MAX];
        struct reading_cells cells;
        struct settings settings;
};

/* first_row: of the cell grid, for scrolling; brought into range. Returns the number of grid rows shown (a
 * page). */
int watch_frame_draw(const struct watch_view *v, struct screen *s, int *first_row);
