/* SPDX-License-Identifier: MIT */
#pragma once

/* Wrong PINs from phones, whichever protocol they speak: counted per bonded phone, and over all of them within an hour.
 * Knows no PIN and no bond: it is asked before a PIN is compared, and told what came of it. D-Bus does not ask it.
 *
 * From a phone's fifth wrong PIN in a row on, each locks it: for 30 s, then twice as long with each further one, up to
 * an hour. A right PIN ends the row. With 20 wrong PINs within an hour, whoever sent them, all phones are locked until
 * the first of them is an hour old. */

#include <stddef.h>

#include "units.h"

#define PIN_LOCK_PHONES 16
#define PIN_LOCK_FREE 4 /* wrong PINs in a row without consequence */
#define PIN_LOCK_FIRST_SEC 30
#define PIN_LOCK_LONGEST_SEC 3600
#define PIN_LOCK_ALL 20 /* within PIN_LOCK_WINDOW_USEC */
#define PIN_LOCK_WINDOW_USEC USEC_PER_HOUR
#define PIN_LOCK_WRONG_MAX 1000 /* counting ends here */

#define PIN_LOCK_ADDRESS_SIZE 18 /* "AA:BB:CC:DD:EE:FF", the identity address, capital letters */
#define PIN_LOCK_TEXT_MAX 160

struct pin_lock_phone {
        char address[PIN_LOCK_ADDRESS_SIZE]; /* "" = no phone */
        unsigned wrong;                      /* in a row */
        usec_t until;                        /* locked; 0 = not */
        usec_t used;                         /* last asked for */
        bool trying;                         /* a PIN of it is being compared */
};

struct pin_lock {
        struct pin_lock_phone phones[PIN_LOCK_PHONES];
        usec_t wrong_at[PIN_LOCK_ALL]; /* the newest ones, oldest first */
        unsigned n_wrong;
        unsigned trying; /* PINs being compared, of all phones */
};

void pin_lock_init(struct pin_lock *l);

/* May a PIN of this phone be compared now? 0: yes, and the caller owes pin_lock_result() or pin_lock_abandon(). Else
 * the seconds to wait, rounded up: locked, or (1) PINs that are being compared now must be done with first. The address
 * must be well formed. If there is no room, a phone that is not known yet takes the place of the one with the fewest
 * wrong PINs. */
uint32_t pin_lock_try(struct pin_lock *l, usec_t now, const char *address);

/* What came of it. ret_event: one sentence if a lock began by it, else "". Returns true if what is to be kept
 * (pin_lock_format()) has changed: write it before the phone is answered. */
bool pin_lock_result(struct pin_lock *l, usec_t now, const char *address, bool right,
                     char ret_event[static PIN_LOCK_TEXT_MAX]);

/* The PIN could not be compared at all: not counted. */
void pin_lock_abandon(struct pin_lock *l, const char *address);

/* Seconds until this phone may try again, 0 = now; for showing. */
uint32_t pin_lock_remaining_sec(const struct pin_lock *l, usec_t now, const char *address);

/* The phone's bond is gone: its row ends. What counts for all phones stays. True if that is to be kept. */
bool pin_lock_forget(struct pin_lock *l, const char *address);

/* The owner has reset the PIN by the button: everyone may try again. True if that is to be kept. */
bool pin_lock_reset(struct pin_lock *l);

/* What has to be stored, in one line of printable ASCII without quotes: how many wrong PINs there were within the last
 * hour, and each phone's row ("20 AA:BB:CC:DD:EE:FF=7"; "0" = nothing). Times are not in it: they mean nothing after a
 * restart, so there every lock begins again with its full current time, and the wrong PINs of the hour count as sent
 * just now. PIN_LOCK_LINE_MAX always suffices. */
#define PIN_LOCK_LINE_MAX 512
void pin_lock_format(const struct pin_lock *l, usec_t now, char ret_line[static PIN_LOCK_LINE_MAX]);

/* The other way round, at a start. 0, or -EINVAL: no such line; *ret_lock is untouched then. */
int pin_lock_parse(const char *line, usec_t now, struct pin_lock *ret_lock);
