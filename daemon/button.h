/* SPDX-License-Identifier: MIT */
#pragma once

/* The push button of an OUT board: takes its line and tells what a press was (button-press.h). Debounced by the kernel
 * with libgpiod 2, by the edges' times with 1.6. What a press does is for whom it is told to. */

#include <systemd/sd-event.h>

#include "button-press.h"
#include "config.h"

struct button;

struct button_callbacks {
        void (*pressed)(void *userdata, enum button_press press); /* never BUTTON_NONE; never from button_new() */
        void *userdata;
};

/* A line that cannot be had is no error. */
int button_new(sd_event *event, const struct config *config, usec_t now, const struct button_callbacks *callbacks,
               struct button **ret);
struct button *button_free(struct button *b); /* takes NULL */

/* Now and then, a second apart or less: is the chip still there; tries to take what is missing. */
void button_tick(struct button *b, usec_t now);

/* Why the line cannot be had; NULL = it can, or is not configured. */
const char *button_fault(const struct button *b);
