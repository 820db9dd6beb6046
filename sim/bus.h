/* SPDX-License-Identifier: MIT */
#pragma once

/* Follows the daemon's relays over D-Bus (org.smartbms1.Relays, ChargeClosed and LoadClosed). Never waits:
 * while there is no bus, no daemon or no answer yet, both relays are open. */

#include <stdbool.h>
#include <systemd/sd-event.h>

struct relay_bus;

/* address: a D-Bus address, "system" or "user". pack: whose daemon is followed. Connects, and connects again, by
 * itself. */
int relay_bus_new(sd_event *event, const char *address, const char *pack, struct relay_bus **ret);
struct relay_bus *relay_bus_free(struct relay_bus *b);

bool relay_bus_charge_closed(const struct relay_bus *b);
bool relay_bus_load_closed(const struct relay_bus *b);
