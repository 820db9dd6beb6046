/* SPDX-License-Identifier: MIT */
#include "event-log.h"

#include <stdio.h>
#include <string.h>

/* Made up from an age: as old as the answer was under way. */
#define REMEMBERED_TOLERANCE_USEC USEC_PER_SEC

static void keep(struct event_keys *keys, const struct event_record *e, usec_t tolerance) {
        struct event_key *k = &keys->keys[keys->next];

        k->monotonic = e->monotonic;
        k->tolerance = tolerance;
        snprintf(k->kind, sizeof(k->kind), "%s", e->kind);
        snprintf(k->text, sizeof(k->text), "%s", e->text);
        keys->next = (keys->next + 1) % EVENT_LOG_KEPT;
        if (keys->n < EVENT_LOG_KEPT)
                keys->n++;
}

static bool is_same(const struct event_key *k, const struct event_record *e) {
        const usec_t apart = k->monotonic > e->monotonic ? k->monotonic - e->monotonic : e->monotonic - k->monotonic;

        return k->kind[0] && apart <= k->tolerance && strcmp(k->kind, e->kind) == 0 && strcmp(k->text, e->text) == 0;
}

/* Once: the next one like it is another event. */
static bool strike(struct event_keys *keys, const struct event_record *e) {
        for (size_t i = 0; i < keys->n; i++)
                if (is_same(&keys->keys[i], e)) {
                        keys->keys[i].kind[0] = '\0';
                        return true;
                }
        return false;
}

static void drop_waiting(struct event_log *log, size_t i) {
        memmove(&log->waiting[i], &log->waiting[i + 1], (log->n_waiting - i - 1) * sizeof(log->waiting[0]));
        log->n_waiting--;
}

static bool strike_waiting(struct event_log *log, const struct event_record *e) {
        for (size_t i = 0; i < log->n_waiting; i++) {
                const struct event_record *w = &log->waiting[i].event;

                if (w->monotonic == e->monotonic && strcmp(w->kind, e->kind) == 0 && strcmp(w->text, e->text) == 0) {
                        drop_waiting(log, i);
                        return true;
                }
        }
        return false;
}

bool event_log_row(struct event_log *log, const struct event_record *row) {
        if (row->id <= log->last_id)
                return false;
        log->last_id = row->id;
        if (!row->this_boot || row->monotonic < log->begin)
                return log->begin == 0; /* no signal of ours was about that */
        if (strike(&log->by_signal, row))
                return false;
        if (!strike_waiting(log, row))
                keep(&log->by_row, row, 0);
        return true;
}

void event_log_remembered(struct event_log *log, const struct event_record *event) {
        keep(&log->by_row, event, REMEMBERED_TOLERANCE_USEC);
        keep(&log->by_signal, event, REMEMBERED_TOLERANCE_USEC);
}

bool event_log_signal(struct event_log *log, usec_t now, const struct event_record *event) {
        if (strike(&log->by_row, event))
                return true;
        if (log->n_waiting == EVENT_LOG_WAITING)
                return false;
        log->waiting[log->n_waiting].event = *event;
        log->waiting[log->n_waiting++].since = now;
        return true;
}

bool event_log_take(struct event_log *log, usec_t now, usec_t patience, struct event_record *ret) {
        if (log->n_waiting == 0 || usec_since(now, log->waiting[0].since) < patience)
                return false;
        *ret = log->waiting[0].event;
        keep(&log->by_signal, ret, 0);
        drop_waiting(log, 0);
        return true;
}
