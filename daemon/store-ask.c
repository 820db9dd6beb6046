/* SPDX-License-Identifier: MIT */

/* What is asked of the database: each question a job on its thread, behind the commits that wait; answered in the
 * event loop. A copy is made there too, and handed over on a thread of its own. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "store-loop.h"

struct question {
        struct store *store;
        enum { ASK_EVENTS, ASK_HISTORY, ASK_DAYS, ASK_COPY } kind;
        int64_t from, until; /* or after_id */
        uint32_t limit;
        enum resolution resolution;
        struct maybe64 zero_usec;
        int fd, copy; /* a copy's end, and its beginning: beside the database, but no longer named */
        union {
                events_answer_t events;
                history_answer_t history;
                days_answer_t days;
                stored_t copy;
        } answer;
        void *userdata;

        void *rows;
        size_t n;
        int result;
        struct store_outcome outcome;
};

static int copy_bytes(int from, int to) {
        char buffer[16384];
        ssize_t n;

        while ((n = read(from, buffer, sizeof(buffer))) > 0)
                for (ssize_t done = 0, w; done < n; done += w) {
                        w = write(to, buffer + done, (size_t)(n - done));
                        if (w < 0)
                                return -errno;
                }
        if (n < 0)
                return -errno;
        return fsync(to) < 0 && errno != EINVAL ? -errno : 0; /* a pipe has nothing to be synced */
}

/* First beside the database, in one go: then it is of one moment, and nobody else's slowness is waited for here. */
static int run_copy(struct store *s, struct question *q) {
        char path[sizeof(s->db.path) + 16];
        int r;

        (void)snprintf(path, sizeof(path), "%s.backup", s->db.path);
        (void)unlink(path); /* left by a power cut, or not there */
        store_db_copy(&s->db, path, &q->outcome);
        r = q->outcome.done ? 0 : -EIO;
        if (r == 0) {
                q->copy = open(path, O_RDONLY | O_CLOEXEC);
                r = q->copy < 0 ? -errno : 0;
        }
        (void)unlink(path);
        return r;
}

/* On the copier's thread. */
static void run_handing_over(void *userdata) {
        struct question *q = userdata;

        q->result = copy_bytes(q->copy, q->fd);
}

static void run_question(void *userdata) {
        struct question *q = userdata;
        struct store_db *db = &q->store->db;

        if (!q->store->registered) {
                q->result = -EIO;
                return;
        }
        switch (q->kind) {
        case ASK_EVENTS:
                store_db_events(db, q->from, q->limit, (struct event_record **)&q->rows, &q->n, &q->outcome);
                break;
        case ASK_HISTORY:
                store_db_history(db, q->resolution, q->from, q->until, q->limit, q->zero_usec,
                                 (struct history_record **)&q->rows, &q->n, &q->outcome);
                break;
        case ASK_DAYS:
                store_db_days(db, q->limit, (struct day_record **)&q->rows, &q->n, &q->outcome);
                break;
        case ASK_COPY:
                q->result = run_copy(q->store, q);
                return;
        }
        q->result = q->outcome.done ? 0 : -EIO;
}

static void free_question(struct question *q) {
        if (q->fd >= 0)
                (void)close(q->fd); /* synced, or told as failed */
        if (q->copy >= 0)
                (void)close(q->copy); /* only read */
        free(q->rows);
        free(q);
}

static void answer_question(struct question *q) {
        switch (q->kind) {
        case ASK_EVENTS:
                q->answer.events(q->userdata, q->result, q->rows, q->n);
                break;
        case ASK_HISTORY:
                q->answer.history(q->userdata, q->result, q->rows, q->n);
                break;
        case ASK_DAYS:
                q->answer.days(q->userdata, q->result, q->rows, q->n);
                break;
        case ASK_COPY:
                q->answer.copy(q->userdata, q->result);
                break;
        }
}

static void settle(struct question *q) {
        if (q->result < 0)
                q->n = 0;
        if (q->kind == ASK_COPY)
                q->store->copying = false;
        if (!q->store->ending)
                answer_question(q);
        free_question(q);
}

static void finish_handing_over(void *userdata) {
        settle(userdata);
}

/* To the copier. It is left behind at the end if whoever asked does not read. */
static int hand_over(struct store *s, struct question *q) {
        int r = s->copier ? 0 : worker_new(s->event, &s->copier);

        return r < 0 ? r : worker_post(s->copier, run_handing_over, finish_handing_over, q);
}

static void finish_question(void *userdata) {
        struct question *q = userdata;
        struct store *s = q->store;

        /* Found bad while it was read: the next commit begins a new one. */
        if (q->outcome.aside[0])
                store_note_outcome(s, &q->outcome, clock_now());
        if (q->kind == ASK_COPY && q->result >= 0 && !s->ending) {
                q->result = hand_over(s, q);
                if (q->result >= 0)
                        return;
        }
        settle(q);
}

/* A clock that was never synchronised still says which day its owner takes it for: enough to find and show the rows of
 * this boot by it (a gateway without a network has no other), and never kept. */
static int64_t zero_for_reading(const struct store *s) {
        struct timespec wall;

        if (s->zero_usec.known)
                return s->zero_usec.value;
        clock_gettime(CLOCK_REALTIME, &wall);
        return (int64_t)wall.tv_sec * (int64_t)USEC_PER_SEC + wall.tv_nsec / 1000 - (int64_t)clock_now();
}

static void ask(struct store *s, const struct question *question) {
        struct question *q = malloc(sizeof(*q));
        int r = -ENOMEM;

        if (q) {
                *q = *question;
                q->store = s;
                q->copy = -1;
                q->zero_usec = some64(zero_for_reading(s));
                r = s->off ? -ENODATA : worker_post(s->worker, run_question, finish_question, q);
        }
        if (r >= 0)
                return;
        struct question refused = *question;
        s->copying = s->copying && refused.kind != ASK_COPY;
        refused.result = r == -ENOBUFS ? -EBUSY : r;
        answer_question(&refused);
        if (refused.fd >= 0)
                (void)close(refused.fd); /* nothing was written */
        free(q);
}

void store_read_events(struct store *s, int64_t after_id, uint32_t limit, events_answer_t events, void *userdata) {
        ask(s, &(struct question){.kind = ASK_EVENTS,
                                  .from = after_id,
                                  .limit = limit,
                                  .fd = -1,
                                  .answer.events = events,
                                  .userdata = userdata});
}

void store_read_history(struct store *s, enum resolution resolution, int64_t from_usec, int64_t until_usec,
                        uint32_t limit, history_answer_t history, void *userdata) {
        ask(s, &(struct question){.kind = ASK_HISTORY,
                                  .resolution = resolution,
                                  .from = from_usec,
                                  .until = until_usec,
                                  .limit = limit,
                                  .fd = -1,
                                  .answer.history = history,
                                  .userdata = userdata});
}

void store_read_days(struct store *s, uint32_t limit, days_answer_t days, void *userdata) {
        ask(s, &(struct question){
                       .kind = ASK_DAYS, .limit = limit, .fd = -1, .answer.days = days, .userdata = userdata});
}

void store_backup(struct store *s, int fd, stored_t done, void *userdata) {
        if (s->copying) { /* the one before may wait for its reader for ever: it must not fill the card meanwhile */
                (void)close(fd);
                done(userdata, -EBUSY);
                return;
        }
        s->copying = !s->off;
        ask(s, &(struct question){.kind = ASK_COPY, .fd = fd, .answer.copy = done, .userdata = userdata});
}
