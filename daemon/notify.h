/* SPDX-License-Identifier: MIT */
#pragma once

/* Tells the service manager ($NOTIFY_SOCKET, sd_notify(3)) without ever waiting for it: sd_notify() itself
 * sends blocking, and a service manager that is stuck would hold up the relays. What cannot be sent at once
 * is not sent. */

#include <stdbool.h>

struct notify {
        int fd; /* -1 = nobody wants to know */
};

void notify_open(struct notify *n); /* and removes the variable from the environment */
void notify_close(struct notify *n);

/* One or more lines "KEY=value". False if it was not sent. */
bool notify_send(const struct notify *n, const char *state);
