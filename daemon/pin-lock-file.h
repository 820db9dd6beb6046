/* SPDX-License-Identifier: MIT */
#pragma once

/* How phones are locked (pin-lock.h), on the card: a small file in the state directory, replaced whole, on a thread of
 * its own. Of texts that wait for a slow card only the newest is written. Decides nothing. */

#include <systemd/sd-event.h>

#include "pin-lock.h"

struct pin_lock_file;

/* directory: "" = nothing is kept, and that is no fault. written is called in the event loop when all texts up to that
 * number are on the card, or could not be written, which is logged. */
int pin_lock_file_new(sd_event *event, const char *directory, void (*written)(void *userdata, uint64_t number),
                      void *userdata, struct pin_lock_file **ret);

/* Reads it, at a start. 0, also when there is none; or -Exxx, -EINVAL: it does not say how phones are locked.
 * *ret_lock is untouched then. */
int pin_lock_file_read(const struct pin_lock_file *f, usec_t now, struct pin_lock *ret_lock);

/* The newest. Returns its number, from 1 on, and written comes later; or 0: nothing is kept, written does not come. */
uint64_t pin_lock_file_put(struct pin_lock_file *f, const struct pin_lock *lock, usec_t now);

/* Waits for what was put to be written, and calls written; not longer than the given time. Takes NULL. */
void pin_lock_file_free(struct pin_lock_file *f, usec_t at_most_usec);
