/* SPDX-License-Identifier: MIT */
#pragma once

/* Drives the relays' coils: one small interface, behind it libgpiod 1.6 or 2.x (gpio-v1.c / gpio-v2.c, chosen
 * by meson) or "log only" for machines without GPIO. Decides nothing. Never blocks: pulses end by timer. */

#include <systemd/sd-event.h>

#include "config.h"

struct relay_output;

struct relay_output_callbacks {
        /* Feedback input: closed 1/0, none = no reading. at_start: read before the first pulse. */
        void (*feedback)(void *userdata, usec_t now, enum relay_id relay, struct maybe closed, bool at_start);
        /* "" = no trouble (any more). coils: a coil cannot be driven; else it is feedback inputs only. */
        void (*fault)(void *userdata, usec_t now, const char *text, bool coils);
        void *userdata;
};

/* Writes down how the coils are driven (relay-file.h), takes the lines and drives every coil open, whatever was
 * believed. A line that is busy or a chip that is missing is a fault (named with the consumer's label) and retried
 * every 0.4 s, not an error. */
int relay_output_new(sd_event *event, const struct config *config,
                     const struct relay_output_callbacks *callbacks, struct relay_output **ret);

/* Drives every coil open, then frees. */
struct relay_output *relay_output_free(struct relay_output *o);

/* The wanted state; does nothing if it is already commanded. An opening cuts a closing pulse short. Allocates
 * nothing. */
void relay_output_set(struct relay_output *o, enum relay_id relay, bool closed);

/* first: the relay whose reset coil goes first if both cannot fire together (the relay the rule names). */
void relay_output_open_both(struct relay_output *o, enum relay_id first);
