/* SPDX-License-Identifier: MIT */
#pragma once

/* A thread for work that may wait for a card, and the way back into the event loop. Knows nothing of what the work
 * is.
 *
 * The thread gets small stack and no signals. All functions are for the event loop's thread. */

#include <systemd/sd-event.h>

#include "units.h"

#define WORKER_JOBS_MAX 64
#define WORKER_STACK_SIZE (256U * 1024U)

struct worker;

int worker_new(sd_event *event, struct worker **ret);

/* run() on the thread, one job after the other; then finish() in the event loop. 0; -ENOBUFS: WORKER_JOBS_MAX are
 * waiting or running. job is the caller's; if finish() never comes (worker_free() gave up) it is leaked on purpose,
 * for the thread may still use it. */
int worker_post(struct worker *w, void (*run)(void *job), void (*finish)(void *job), void *job);

/* Jobs posted whose finish() has not been called. */
unsigned worker_pending(const struct worker *w);

/* Waits until all jobs have run, calls their finish() (which may post more), ends the thread. After at_most_usec it
 * gives up: the thread and what it works on are left behind, and -ETIMEDOUT is returned: nothing that a job
 * uses may be freed then. Takes NULL. */
int worker_free(struct worker *w, usec_t at_most_usec);
