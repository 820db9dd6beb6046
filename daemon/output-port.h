/* SPDX-License-Identifier: MIT */
#pragma once

/* The extended data output's port (design 10): a serial port, or a pty with a link to it. Never blocks: a
 * frame that does not fit whole into the kernel's buffer is dropped and counted; one that was begun is
 * finished before the next. */

#include <systemd/sd-event.h>

#include "config.h"

struct output_port;

typedef void (*output_port_fault_t)(void *userdata, usec_t now,
                                    const char *text); /* "" = no trouble any more */

/* *ret is NULL, and 0 returned, if the config asks for no output. A port that is missing or vanishes is
 * retried. */
int output_port_new(sd_event *event, const struct config *config, output_port_fault_t fault, void *userdata,
                    struct output_port **ret);
struct output_port *output_port_free(struct output_port *o);
void output_port_write(struct output_port *o, const uint8_t bytes[FRAME_SIZE]);

/* Frames that found no room since start. A frame nobody was there to read (pty without reader) is none of
 * them. */
uint64_t output_port_dropped(const struct output_port *o);
