/* SPDX-License-Identifier: MIT */
#pragma once

/* The store's files in the event loop's thread: store.c (what is written) and store-ask.c (what is asked). */

#include <systemd/sd-event.h>

#include "store-internal.h"
#include "worker.h"

#define PATIENCE_USEC (3 * USEC_PER_SEC) /* that who waits for an event is told nothing */
#define ASIDE_USEC (60 * USEC_PER_SEC)   /* that a database set aside is an alarm, though all is well again */
#define COPIER_END_USEC (200 * USEC_PER_MSEC) /* that a copy has at the end of the program */
#define DAYS_QUEUED 8

struct waiter {
        stored_t done; /* NULL = nobody waits (any more) */
        void *userdata;
        usec_t until;
};

/* What waits to be written; what a write takes is a copy of it. */
struct queue {
        struct store_state state;
        bool have_state;
        struct event events[STORE_EVENTS_QUEUED];
        size_t n_events;
        struct history_row minutes[STORE_MINUTES_QUEUED];
        size_t n_minutes;
        struct store_day days[DAYS_QUEUED];
        size_t n_days;
        uint64_t lost_events, lost_minutes, lost_days;
};

struct store {
        bool off; /* no directory: nothing is kept */
        sd_event *event;
        struct worker *worker;
        struct worker *copier; /* for copies alone, whose reader may never read; made for the first one */
        bool copying;
        sd_event_source *timer;
        struct store_callbacks callbacks;
        struct store_vfs vfs;
        struct store_db db; /* the thread's */
        bool registered;    /* the thread's: vfs is */

        bool loaded, ending;
        struct queue queue;
        struct waiter waiters[STORE_EVENTS_QUEUED]; /* of queue.events, by index */
        struct maybe64 zero_usec;
        bool state_new;     /* since the last write that took it */
        usec_t due;         /* the next quiet commit */
        usec_t retry_at;    /* 0 = not waiting to try again */
        usec_t aside_until; /* 0 = none was set aside lately */
        usec_t stall_at;    /* when what is under way takes too long; 0 = nothing is */
        bool stalled;
        char fault[ALARM_TEXT_MAX], aside[ALARM_TEXT_MAX], told[ALARM_TEXT_MAX];
        char logged[ALARM_TEXT_MAX];
        uint64_t lost_events, lost_minutes; /* in this run */
        struct storage_status status;

        /* The write or the load that is under way: the thread's own meanwhile. */
        bool running;
        bool again; /* the batch failed, and is to be written before any other */
        struct queue taken;
        struct store_batch batch;
        struct store_loaded load;
        struct store_outcome outcome;
};

/* What a job on the thread has met: trouble, a database set aside. */
void store_note_outcome(struct store *s, const struct store_outcome *o, usec_t now);
