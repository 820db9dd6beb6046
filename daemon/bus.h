/* SPDX-License-Identifier: MIT */
#pragma once

/* The D-Bus door (conf/org.smartbms1.xml): publishes snapshots, checks callers asynchronously, hands commands
 * to the manager. Decides nothing. No synchronous call after start: the daemon runs without a bus and joins
 * one when it comes. */

#include <systemd/sd-event.h>

#include "bms.h"
#include "config.h"

struct bus;

/* What the door may ask for. Each returns 0 or -Exxx with a sentence. By then the caller's right was checked.
 */
struct bus_callbacks {
        void (*snapshot)(void *userdata, const struct snapshot **ret_newest);
        int (*set)(void *userdata, const struct settings *settings, const char *by, char *ret_error,
                   size_t size);
        int (*release)(void *userdata, enum relay_id relay, const char *by, char *ret_error, size_t size);
        int (*recover)(void *userdata, int64_t minutes, const char *by, char *ret_error, size_t size);
        int (*soc_set)(void *userdata, int64_t permyriad, const char *by, char *ret_error, size_t size);
        int (*accept_cells)(void *userdata, const char *by, char *ret_error, size_t size);
        void *userdata;
};

/* address: NULL = the system bus, else any D-Bus address. defaults: the config's settings (Reset, Defaults).
 * A bus that is not there is no error; -EINVAL: that is no address. */
int bus_new(sd_event *event, const char *address, const struct settings *defaults,
            const struct bus_callbacks *callbacks, struct bus **ret);
struct bus *bus_free(struct bus *b);

/* A new snapshot is in force: emits PropertiesChanged for what differs from the one before. Never blocks. */
void bus_publish(struct bus *b, const struct snapshot *newest);

/* Kept for Recent, and sent as a signal. Never blocks. */
void bus_event(struct bus *b, const struct event *event);
