/* SPDX-License-Identifier: MIT */
#pragma once

/* The database (design 9), on a thread of its own behind a bounded queue: nothing here makes the decision loop wait
 * for a card. What cannot be written now is kept in memory and tried again: of the state and counters the newest,
 * of events the newest STORE_EVENTS_QUEUED, of minutes the newest STORE_MINUTES_QUEUED (the rest is counted and
 * reported when writing works again). Decides nothing. docs/storage.md has the schema and the promises.
 *
 * All functions are for the thread of the sd_event loop, and all callbacks run in it. */

#include <systemd/sd-event.h>

#include "kept.h"
#include "records.h"

#define STORE_COMMIT_USEC (50 * USEC_PER_SEC) /* in quiet times; events at once */
#define STORE_RETRY_USEC (5 * USEC_PER_SEC)
#define STORE_EVENTS_QUEUED 256
#define STORE_MINUTES_QUEUED 180

struct store;

/* When something was, as it is kept: which boot, and CLOCK_BOOTTIME in it. The wall clock's time of a boot's zero
 * is kept once for each boot, when the clock was synchronised: see store_clock(). */
struct store_state {
        usec_t at; /* clock_now() as of which this holds */
        struct energy_sum sums[_ENERGY_MAX];
        struct maybe64 day;       /* local day that "today" is, days since 1970-01-01; none = not known yet */
        char kept[KEPT_TEXT_MAX]; /* bms_keep() */
};

struct store_loaded {
        bool found; /* else: a first start, or the old database was no good (then fault() says so) */
        bool same_boot;
        struct maybe64 off_usec;  /* between state.at and now: exact in the same boot, else by the synchronised wall
                                   * clock at both ends; none if that is not known (yet) */
        struct maybe64 wall_usec; /* of state.at, since 1970 UTC, if it was known then */
        struct store_state state; /* state.at is 0 in another boot */
};

struct store_callbacks {
        /* Once, as soon as the file was read; or with found = false when it cannot be. */
        void (*loaded)(void *userdata, const struct store_loaded *loaded);
        /* Something is wrong ("" = no longer): one sentence, what and what to do. */
        void (*fault)(void *userdata, const char *text);
        void *userdata;
};

/* directory: the state directory; "" = none: nothing is kept, and that is no fault. Opening happens on the thread.
 * now: clock_now(). */
int store_new(sd_event *event, const char *directory, const struct store_callbacks *callbacks, struct store **ret);

/* Writes what is queued and ends the thread; waits for that, but not longer than the given time: a card that hangs
 * must not hold up the end of the program. */
struct store *store_free(struct store *s, usec_t at_most_usec);

/* The wall clock's time at clock_now() == 0 of this boot, microseconds since 1970 UTC, as by a synchronised clock;
 * kept when it is first known and whenever it differs by more than 1 s from what was kept. */
void store_clock(struct store *s, int64_t zero_usec);

/* The newest state; replaces one not yet written. Written with the next commit. */
void store_put_state(struct store *s, const struct store_state *state);

void store_put_minute(struct store *s, const struct history_row *row);

/* A local day is over: its counters, and how long it was. */
void store_put_day(struct store *s, int64_t day, const struct energy_sum sums[_ENERGY_MAX], usec_t length_usec);

/* Written at once, together with the newest state. done (may be NULL) is called exactly once, unless the store is
 * freed first. */
void store_put_event(struct store *s, const struct event *event, stored_t done, void *userdata);

/* Reading: see records.h for the answers. */

/* The newest `limit` events with an id above after_id, oldest first. */
void store_read_events(struct store *s, int64_t after_id, uint32_t limit, events_answer_t answer, void *userdata);

/* Rows whose beginning lies in from..until (wall clock, microseconds since 1970 UTC; while this boot's clock was
 * not synchronised its rows count by what it says now, such ones of earlier boots are left out), oldest first, at
 * most limit, the newest ones
 * if there are more. RESOLUTION_MINUTES or RESOLUTION_HOURS. */
void store_read_history(struct store *s, enum resolution resolution, int64_t from_usec, int64_t until_usec,
                        uint32_t limit, history_answer_t answer, void *userdata);

/* The newest `limit` finished days, oldest first. */
void store_read_days(struct store *s, uint32_t limit, days_answer_t answer, void *userdata);

/* A consistent copy of the whole database, as of some moment after the call, into the open file fd (taken over, and
 * closed), however slow that is. -EBUSY: one is being made. */
void store_backup(struct store *s, int fd, stored_t done, void *userdata);

void store_status(struct store *s, struct storage_status *ret_status);
