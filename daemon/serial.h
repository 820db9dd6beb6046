/* SPDX-License-Identifier: MIT */
#pragma once

/* The serial port the cell chain is heard on: opened by path or USB identity through libserialport (ptys as a
 * plain descriptor, which libserialport refuses), closed when it vanishes and opened again with backoff.
 * Decides nothing. */

#include <systemd/sd-event.h>

#include "config.h"

struct serial;

struct serial_callbacks {
        void (*bytes)(void *userdata, usec_t now, const uint8_t *data, size_t size);
        void (*opened)(void *userdata, usec_t now, const char *name);
        void (*lost)(void *userdata, usec_t now, const char *why); /* at most once for each opened */
        void *userdata;
};

/* Starts trying at once; a port that is not there is no error (it may be plugged in later: retried after 0.2
 * s, doubling to at most 2 s). Never blocks. Logs each change of state once. */
int serial_new(sd_event *event, const struct config *config, const struct serial_callbacks *callbacks,
               struct serial **ret);
struct serial *serial_free(struct serial *s);

/* For status: the device in use now ("/dev/ttyUSB0"), or NULL. */
const char *serial_name(const struct serial *s);
