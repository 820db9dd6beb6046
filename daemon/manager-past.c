/* SPDX-License-Identifier: MIT */

/* What phones are shown of the past (phone-past.h): kept in memory as it happens, and once put behind it what the
 * database has of earlier runs. The answers come when they come: no phone waits for the card, and nothing else does. */

#include <string.h>

#include "clock.h"
#include "log.h"
#include "manager-internal.h"

/* Of the newest so many events the faults are taken. */
#define EVENTS_ASKED 1000U

/* A week; an hour with starts in it has a row for each. */
#define HOURS_ASKED 1000U

#define ASK_AGAIN_USEC USEC_PER_MINUTE

/* Only phones ask for it. */
static bool is_shown(const struct manager *m) {
        return m->config.ble.enabled;
}

static void refused(struct manager *m, enum past_question which, int result) {
        log_debug("What phones are shown of the past is not complete: %s", strerror(-result));
        m->past.questions[which] = PAST_UNASKED; /* the tick asks again */
        m->past.ask_at = usec_add(m->now, ASK_AGAIN_USEC);
}

static void take_faults(void *userdata, int result, const struct event_record *rows, size_t n) {
        struct manager *m = userdata;
        struct phone_past older;

        if (result < 0) {
                refused(m, PAST_FAULTS, result);
                return;
        }
        m->past.questions[PAST_FAULTS] = PAST_ANSWERED;
        phone_past_init(&older);
        for (size_t i = 0; i < n; i++) {
                const struct event_record *row = &rows[i];

                if (!row->this_boot)
                        phone_past_event_of_other_boot(&older, &row->event, row->wall_usec);
                else if (row->event.at < m->started) /* what came in this run is known already */
                        phone_past_event(&older, &row->event);
        }
        phone_past_put_behind(&m->past.phones, &older);
}

static void take_hours(void *userdata, int result, const struct history_record *rows, size_t n) {
        struct manager *m = userdata;

        if (result < 0) {
                refused(m, PAST_HOURS, result);
                return;
        }
        m->past.questions[PAST_HOURS] = PAST_ANSWERED;
        for (size_t i = n; i-- > 0;) /* of an hour with a start in it the newer row */
                if (rows[i].wall_usec.known)
                        phone_past_soc_was(&m->past.phones, rows[i].wall_usec.value, rows[i].row.soc_permyriad);
}

/* After the state: then the store has read the file. The hours are found by the wall clock. */
static void ask(struct manager *m, usec_t now, struct maybe64 wall_usec) {
        if (!m->loaded || m->config.state_directory[0] == '\0' || now < m->past.ask_at)
                return;
        if (m->past.questions[PAST_FAULTS] == PAST_UNASKED) {
                m->past.questions[PAST_FAULTS] = PAST_ASKED;
                store_read_events(m->store, 0, EVENTS_ASKED, take_faults, m);
        }
        if (m->past.questions[PAST_HOURS] == PAST_UNASKED && wall_usec.known) {
                const int64_t week = (int64_t)(PHONE_SOC_HOURS * USEC_PER_HOUR);

                m->past.questions[PAST_HOURS] = PAST_ASKED;
                store_read_history(m->store, RESOLUTION_HOURS, wall_usec.value - week, wall_usec.value, HOURS_ASKED,
                                   take_hours, m);
        }
}

void past_start(struct manager *m) {
        phone_past_init(&m->past.phones);
}

void past_event(struct manager *m, const struct event *event) {
        if (is_shown(m))
                phone_past_event(&m->past.phones, event);
}

void past_tick(struct manager *m, usec_t now) {
        const struct maybe64 wall_usec = wall_clock_at(&m->wall_clock, now);

        if (!is_shown(m))
                return;
        if (wall_usec.known)
                phone_past_soc(&m->past.phones, wall_usec.value, m->snapshot.soc_permyriad);
        ask(m, now, wall_usec);
}

void past_show(struct manager *m, struct phone_view *view) {
        struct past *p = &m->past;

        view->n_faults = phone_past_faults(&p->phones, m->wall_clock.zero_usec, p->faults);
        view->faults = p->faults;
        if (!p->phones.newest_hour.known)
                return;
        view->soc_hours = p->phones.soc_hours;
        view->soc_hour = (unsigned)(p->phones.newest_hour.value % (int64_t)PHONE_SOC_HOURS);
}
