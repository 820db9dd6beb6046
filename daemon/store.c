/* SPDX-License-Identifier: MIT */

/* The event loop's side: what is to be written and asked waits here, in bounded room, for the thread that may wait
 * for the card. One write is under way at a time, and takes all there is. It is begun from the event loop, never from
 * within a call: what is put in one turn (a day's end and the counters that begin anew) is one commit. */

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "store-loop.h"

static void work(struct store *s);

/* ---- trouble ---------------------------------------------------------------------------------------------------- */

static void tell(struct store *s) {
        char stall[ALARM_TEXT_MAX];
        const char *text = s->fault[0] ? s->fault : s->aside;

        if (s->stalled) {
                (void)snprintf(stall, sizeof(stall),
                               "the card under %.50s does not answer: counting goes on in memory only",
                               s->db.directory);
                text = stall;
        }
        if (strcmp(text, s->told) == 0)
                return;
        (void)snprintf(s->told, sizeof(s->told), "%s", text);
        s->callbacks.fault(s->callbacks.userdata, s->told);
}

void store_note_outcome(struct store *s, const struct store_outcome *o, usec_t now) {
        memcpy(s->fault, o->text, sizeof(s->fault));
        if (o->aside[0]) {
                memcpy(s->aside, o->aside, sizeof(s->aside));
                s->aside_until = usec_add(now, ASIDE_USEC);
                log_error("store: %s", o->aside);
        }
        if (o->text[0] && strcmp(o->text, s->logged) != 0)
                log_error("store: %s (%s)", o->text, o->log);
        else if (!o->text[0] && s->logged[0])
                log_notice("store: the database can be written again");
        memcpy(s->logged, o->text, sizeof(s->logged));
        s->status.open = o->trouble == STORE_FINE;
        s->status.file_bytes = o->file_bytes;
        s->status.wal_bytes = o->wal_bytes;
        tell(s);
}

static void ended(struct store *s) {
        s->running = s->stalled = false;
        s->stall_at = 0;
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static bool something_new(const struct store *s) {
        const struct queue *q = &s->queue;

        return s->state_new || q->n_minutes > 0 || q->lost_events > 0 || q->lost_minutes > 0 || q->lost_days > 0;
}

static bool urgent(const struct store *s) {
        return s->queue.n_events > 0 || s->queue.n_days > 0;
}

static void earlier(usec_t *due, usec_t at) {
        if (at != 0 && at < *due)
                *due = at;
}

static void arm(struct store *s) {
        usec_t due = USEC_INFINITY;
        int r;

        if (s->ending)
                return;
        earlier(&due, s->retry_at);
        earlier(&due, s->aside_until);
        earlier(&due, s->stall_at);
        if (s->loaded && !s->running && s->retry_at == 0 && something_new(s))
                earlier(&due, s->due);
        if (s->loaded && !s->running && s->retry_at == 0 && (s->again || urgent(s)))
                earlier(&due, CLOCK_EPOCH_USEC); /* at once, but from the loop */
        for (size_t i = 0; i < s->queue.n_events; i++)
                if (s->waiters[i].done)
                        earlier(&due, s->waiters[i].until);
        if (due == USEC_INFINITY)
                return;
        r = sd_event_source_set_time(s->timer, clock_boottime(due));
        if (r >= 0)
                r = sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
        if (r < 0 && r != -ESTALE) /* the loop has ended: whoever frees us waits instead */
                log_error("Cannot arm the database's timer: %s", strerror(-r));
}

static void answer(struct waiter *waiter, int result) {
        const struct waiter w = *waiter;

        waiter->done = NULL; /* first: done() may bring the next event */
        if (w.done)
                w.done(w.userdata, result);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct store *s = userdata;
        const usec_t now = clock_now();

        (void)source, (void)usec;
        for (size_t i = 0; i < s->queue.n_events; i++)
                if (s->waiters[i].done && s->waiters[i].until <= now)
                        answer(&s->waiters[i], -ETIMEDOUT);
        if (s->stall_at != 0 && s->stall_at <= now) {
                s->stall_at = 0;
                s->stalled = true;
                tell(s);
                log_error("store: %s", s->told);
        }
        if (s->retry_at != 0 && s->retry_at <= now)
                s->retry_at = 0;
        if (s->aside_until != 0 && s->aside_until <= now) {
                s->aside_until = 0;
                s->aside[0] = '\0';
                tell(s);
        }
        work(s);
        return 0;
}

/* ---- loading ---------------------------------------------------------------------------------------------------- */

/* The thread's first steps: SQLite's own set-up may touch the disk. */
static bool register_once(struct store *s) {
        if (!s->registered)
                s->registered = store_vfs_register(&s->vfs) == SQLITE_OK;
        return s->registered;
}

static void run_load(void *userdata) {
        struct store *s = userdata;

        if (register_once(s))
                store_db_load(&s->db, &s->load, &s->outcome);
        else
                s->outcome = (struct store_outcome){.trouble = STORE_IO, .text = "SQLite does not start"};
}

/* The time off, where both ends are known. */
static void judge_time_off(struct store *s, usec_t now) {
        struct store_loaded *l = &s->load;
        int64_t off;

        if (!l->found)
                return;
        if (l->same_boot)
                l->off_usec = some64((int64_t)usec_since(now, l->state.at));
        else if (l->wall_usec.known && s->zero_usec.known) {
                off = s->zero_usec.value + (int64_t)now - l->wall_usec.value;
                l->off_usec = off >= 0 ? some64(off) : none64();
        }
}

static void finish_load(void *userdata) {
        struct store *s = userdata;
        const usec_t now = clock_now();

        ended(s);
        store_note_outcome(s, &s->outcome, now);
        if (s->outcome.done) {
                s->loaded = true;
                s->due = usec_add(now, STORE_COMMIT_USEC);
                judge_time_off(s, now);
                s->callbacks.loaded(s->callbacks.userdata, &s->load);
        } else if (!s->ending) /* not known what is there: nothing is overwritten before it is */
                s->retry_at = usec_add(now, STORE_RETRY_USEC);
        work(s);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void run_write(void *userdata) {
        struct store *s = userdata;

        store_db_write(&s->db, &s->batch, &s->outcome);
}

static void drop_first(void *items, size_t *n, size_t taken, size_t size) {
        *n -= taken;
        memmove(items, (char *)items + taken * size, *n * size);
}

static void written(struct store *s, usec_t now) {
        struct queue *q = &s->queue;
        struct waiter waiters[STORE_EVENTS_QUEUED];
        const size_t n = s->taken.n_events;

        memcpy(waiters, s->waiters, n * sizeof(waiters[0]));
        drop_first(s->waiters, &(size_t){q->n_events}, n, sizeof(s->waiters[0]));
        drop_first(q->events, &q->n_events, n, sizeof(q->events[0]));
        drop_first(q->minutes, &q->n_minutes, s->taken.n_minutes, sizeof(q->minutes[0]));
        drop_first(q->days, &q->n_days, s->taken.n_days, sizeof(q->days[0]));
        q->lost_events -= s->taken.lost_events;
        q->lost_minutes -= s->taken.lost_minutes;
        q->lost_days -= s->taken.lost_days;
        s->due = usec_add(now, STORE_COMMIT_USEC);
        s->status.last_commit = now;
        for (size_t i = 0; i < n; i++)
                answer(&waiters[i], 0);
}

static void finish_write(void *userdata) {
        struct store *s = userdata;
        const usec_t now = clock_now();

        ended(s);
        store_note_outcome(s, &s->outcome, now);
        if (s->outcome.done)
                written(s, now);
        else {
                s->again = true;
                if (s->outcome.trouble == STORE_FINE && !s->ending) /* set aside: at once into the new one */
                        s->retry_at = now;
                else if (!s->ending)
                        s->retry_at = usec_add(now, STORE_RETRY_USEC);
        }
        work(s);
}

/* False: the thread is full of questions. */
static bool post(struct store *s, void (*run)(void *), void (*finish)(void *)) {
        s->running = worker_post(s->worker, run, finish, s) == 0;
        if (s->running)
                s->stall_at = usec_add(clock_now(), PATIENCE_USEC);
        else
                s->retry_at = usec_add(clock_now(), USEC_PER_SEC);
        return s->running;
}

/* What failed is tried again as it was: it may be on the card after all, and must not be there twice. */
static void start_write(struct store *s, usec_t now) {
        struct queue *t = &s->taken;

        if (s->again) {
                s->again = !post(s, run_write, finish_write);
                return;
        }
        *t = s->queue;
        s->state_new = false;
        s->batch = (struct store_batch){
                .at = now,
                .state = t->have_state ? &t->state : NULL,
                .zero_usec = s->zero_usec,
                .events = t->events,
                .n_events = t->n_events,
                .minutes = t->minutes,
                .n_minutes = t->n_minutes,
                .days = t->days,
                .n_days = t->n_days,
                .lost_events = t->lost_events,
                .lost_minutes = t->lost_minutes,
                .lost_days = t->lost_days,
        };
        s->again = !post(s, run_write, finish_write);
}

/* Whatever is due now. */
static void work(struct store *s) {
        const usec_t now = clock_now();

        if (!s->running && s->retry_at <= now) {
                s->retry_at = 0;
                if (!s->loaded && !s->ending)
                        (void)post(s, run_load, finish_load); /* else the retry does */
                else if (s->loaded && (s->again || urgent(s) || (something_new(s) && (s->ending || s->due <= now))))
                        start_write(s, now);
        }
        arm(s);
}

/* Room for one more, by giving up the oldest that is not just being written. Returns its place. */
static size_t room(void *items, size_t *n, size_t most, size_t in_flight, size_t size, uint64_t *lost) {
        if (*n < most)
                return (*n)++;
        if (in_flight < most) {
                char *oldest = (char *)items + in_flight * size;

                memmove(oldest, oldest + size, (most - in_flight - 1) * size);
        }
        ++*lost;
        return most - 1;
}

void store_put_state(struct store *s, const struct store_state *state) {
        if (s->off)
                return;
        s->queue.state = *state;
        s->queue.have_state = s->state_new = true;
        arm(s);
}

void store_put_minute(struct store *s, const struct history_row *row) {
        struct queue *q = &s->queue;
        size_t in_flight = s->loaded && (s->running || s->again) ? s->taken.n_minutes : 0, place;

        if (s->off)
                return;
        s->lost_minutes += q->n_minutes == STORE_MINUTES_QUEUED;
        if (in_flight == STORE_MINUTES_QUEUED) { /* all are being written: it is this one that has no room */
                q->lost_minutes++;
                return;
        }
        place = room(q->minutes, &q->n_minutes, STORE_MINUTES_QUEUED, in_flight, sizeof(*row), &q->lost_minutes);
        q->minutes[place] = *row;
        arm(s);
}

void store_put_day(struct store *s, int64_t day, const struct energy_sum sums[_ENERGY_MAX], usec_t length_usec) {
        struct queue *q = &s->queue;
        size_t in_flight = s->loaded && (s->running || s->again) ? s->taken.n_days : 0, place;

        if (s->off)
                return;
        if (in_flight == DAYS_QUEUED) {
                q->lost_days++;
                return;
        }
        place = room(q->days, &q->n_days, DAYS_QUEUED, in_flight, sizeof(q->days[0]), &q->lost_days);
        q->days[place] = (struct store_day){.at = clock_now(), .day = day, .length_usec = length_usec};
        memcpy(q->days[place].sums, sums, sizeof(q->days[place].sums));
        arm(s);
}

void store_put_event(struct store *s, const struct event *event, stored_t done, void *userdata) {
        struct queue *q = &s->queue;
        size_t in_flight = s->loaded && (s->running || s->again) ? s->taken.n_events : 0, place, n = q->n_events;

        if (s->off || in_flight == STORE_EVENTS_QUEUED) {
                s->lost_events += !s->off;
                q->lost_events += !s->off;
                if (done)
                        done(userdata, s->off ? 0 : -ENOBUFS);
                return;
        }
        s->lost_events += n == STORE_EVENTS_QUEUED;
        if (n == STORE_EVENTS_QUEUED)
                answer(&s->waiters[in_flight], -ENOBUFS);
        place = room(q->events, &q->n_events, STORE_EVENTS_QUEUED, in_flight, sizeof(*event), &q->lost_events);
        (void)room(s->waiters, &n, STORE_EVENTS_QUEUED, in_flight, sizeof(s->waiters[0]), &(uint64_t){0});
        q->events[place] = *event;
        s->waiters[place] = (struct waiter){done, userdata, usec_add(clock_now(), PATIENCE_USEC)};
        arm(s);
}

void store_clock(struct store *s, int64_t zero_usec) {
        s->zero_usec = some64(zero_usec); /* goes with the next commit */
}

void store_status(struct store *s, struct storage_status *ret_status) {
        struct storage_status st = s->status;

        st.written_bytes = atomic_load(&s->vfs.written_bytes);
        st.syncs = atomic_load(&s->vfs.syncs);
        st.queued_events = (uint32_t)s->queue.n_events;
        st.queued_minutes = (uint32_t)s->queue.n_minutes;
        st.lost_events = s->lost_events;
        st.lost_minutes = s->lost_minutes;
        st.open = st.open && !s->stalled;
        memcpy(st.fault, s->told, sizeof(st.fault));
        *ret_status = st;
}

/* ---- start and stop --------------------------------------------------------------------------------------------- */

static int boot_id(char ret[33]) {
        sd_id128_t id;
        int r;

        r = sd_id128_get_boot(&id);
        if (r >= 0)
                (void)sd_id128_to_string(id, ret);
        return r;
}

int store_new(sd_event *event, const char *directory, const struct store_callbacks *callbacks, struct store **ret) {
        char boot[33] = "";
        struct store *s;
        int r = 0;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->event = event; /* lives longer than we do */
        s->callbacks = *callbacks;
        s->status.since = clock_now();
        s->off = directory[0] == '\0';
        if (!s->off) {
                r = strlen(directory) < sizeof(s->db.directory) ? boot_id(boot) : -ENAMETOOLONG;
                if (r >= 0)
                        r = worker_new(event, &s->worker);
                if (r >= 0)
                        r = sd_event_add_time(event, &s->timer, CLOCK_BOOTTIME, 0, 10 * USEC_PER_MSEC, on_timer, s);
                if (r >= 0)
                        r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        }
        if (r < 0) {
                (void)store_free(s, 0);
                return r;
        }
        if (!s->off) {
                store_db_init(&s->db, directory, boot, &s->vfs);
                (void)snprintf(s->status.path, sizeof(s->status.path), "%.255s", s->db.path);
                work(s);
        }
        *ret = s;
        return 0;
}

struct store *store_free(struct store *s, usec_t at_most_usec) {
        if (!s)
                return NULL;
        s->ending = true;
        s->retry_at = 0;
        if (s->worker)
                work(s); /* the last state, if there is one */
        s->timer = sd_event_source_disable_unref(s->timer);
        if (worker_free(s->worker, at_most_usec) < 0) {
                log_error("store: the card does not answer: what was counted last may not be kept");
                return NULL; /* the thread still has it */
        }
        (void)worker_free(s->copier, COPIER_END_USEC); /* what it hangs on is its own question, and nothing of ours */
        if (s->registered)
                store_vfs_unregister(&s->vfs);
        free(s);
        return NULL;
}
