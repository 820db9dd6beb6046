/* SPDX-License-Identifier: MIT */
#pragma once

/* History as a picture: state of charge, battery power, lowest and highest cell, one above the other over the same
 * stretch of time, on screens from 20 x 5 on, made for 80 x 23. Local time is by TZ. */

#include "records.h"
#include "screen.h"

struct history_view {
        const struct record *rows; /* oldest first */
        size_t n;
        int64_t from_usec, until_usec; /* wall clock */
        const char *resolution;        /* "minutes" */
};

/* 0 or -ENOMEM. */
int history_frame_draw(const struct history_view *v, struct screen *s);
