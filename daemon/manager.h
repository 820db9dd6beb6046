/* SPDX-License-Identifier: MIT */
#pragma once

/* Owns everything: the pack, the adapters, and the order in which they are served (design 2):
 *
 *   serial bytes -> bms -> relays AT ONCE -> snapshot -> D-Bus, extended data output, events, log
 *
 * A cycle runs when a frame completes and on a timer tick. Nothing behind the relays can hold up what is
 * before them. */

#include <systemd/sd-event.h>

#include "config.h"

struct manager;

/* Drives the relays open, then starts listening. bus_address: NULL = the system bus. */
int manager_new(sd_event *event, const struct config *config, const char *bus_address, struct manager **ret);

/* Drives the relays open. */
struct manager *manager_free(struct manager *m);

/* SIGTERM: both open now, whatever else is still to be done. */
void manager_stop(struct manager *m);
