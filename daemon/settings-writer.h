/* SPDX-License-Identifier: MIT */
#pragma once

/* Writes the settings file (settings-file.h) on a thread of its own, because a card may stall. Owns the PIN's hash. All
 * functions and callbacks are for the event loop's thread. */

#include <systemd/sd-event.h>

#include "settings-file.h"

struct settings_writer;

/* What is wrong with writing, one sentence; "" = no longer. */
typedef void (*settings_fault_t)(void *userdata, const char *text);

/* 0 once this or a newer state is on the card; -ETIMEDOUT after 3 s: it goes on trying; -ENOBUFS: too many are waiting
 * already, but it is written all the same. After settings_writer_put_pin() also another -Exxx: the PIN could not be
 * hashed and is as before; the rest is on the card. */
typedef void (*settings_done_t)(void *userdata, int result);

/* directory: "" = nothing is kept, and all is done at once. hash: the PIN's, as read. */
int settings_writer_new(sd_event *event, const char *directory, const char *hash, settings_fault_t fault,
                        void *userdata, struct settings_writer **ret);

/* Waits for what is to be written, but not longer than that. What failed before is tried once more. No callback comes
 * from it or after it. Takes NULL. */
struct settings_writer *settings_writer_free(struct settings_writer *w, usec_t at_most_usec);

/* Replaces what is not yet written; tried again every 5 s until it worked. k's PIN hash is not looked at. done (may be
 * NULL): exactly once, unless the writer is freed first. */
void settings_writer_put(struct settings_writer *w, const struct kept_settings *k, settings_done_t done,
                         void *userdata);

/* The same with a new PIN, which must be well formed; hashed on the thread. In force as soon as it is hashed, though
 * the card refuses it, and also without a directory. */
void settings_writer_put_pin(struct settings_writer *w, const struct kept_settings *k, const char *pin,
                             settings_done_t done, void *userdata);

/* The hash of the PIN in force, valid until the loop's next turn; "": PIN_FIRST. */
const char *settings_writer_pin_hash(const struct settings_writer *w);

/* changed: called each time a PIN has come in force, before whoever asked for it is answered. */
void settings_writer_watch_pin(struct settings_writer *w, void (*changed)(void *userdata), void *userdata);
