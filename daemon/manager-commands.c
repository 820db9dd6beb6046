/* SPDX-License-Identifier: MIT */

/* What the doors may ask for. A change is in force at once; who asked for it is answered when it is on the card: the
 * event in the database and, where settings changed, the settings file (design 8). */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "manager-internal.h"
#include "names.h"

/* ---- answers that wait for the card --------------------------------------------------------- */

/* NULL: as many are waiting as can. */
static struct pending *pending_begin(struct manager *m, const struct asker *asker) {
        for (size_t i = 0; i < MANAGER_PENDING_MAX; i++) {
                struct pending *p = &m->pending[i];

                if (p->done)
                        continue;
                /* 1: until all parts are asked for */
                *p = (struct pending){.done = asker->done, .userdata = asker->userdata, .left = 1};
                return p;
        }
        return NULL;
}

/* The entry is free again. */
static void pending_end(struct pending *p, int result, const char *sentence) {
        const struct pending ended = *p;

        p->done = NULL; /* first: done() may ask for more */
        ended.done(ended.userdata, result, sentence);
}

/* The end of "applied, not stored: ...". */
static const char *why_not_stored(int result) {
        switch (result) {
        case 0:
                return NULL;
        case -ETIMEDOUT:
                return "the card has not answered for 3 s; it is tried again";
        case -ENOBUFS:
                return "too much is waiting for the card; see smartbmsctl storage";
        default:
                return "the card cannot be written; see smartbmsctl storage";
        }
}

static void part_done(void *userdata, int result) {
        struct pending *p = userdata;

        if (result < 0)
                p->result = result;
        if (--p->left == 0)
                pending_end(p, p->result, why_not_stored(p->result));
}

/* ---- a command, from being asked for to being answered -------------------------------------- */

struct command {
        struct manager *m;
        usec_t now;
        struct pending *p;
        struct event event; /* what is to be kept of it */
};

static int begin(struct command *c, struct manager *m, enum event_kind kind, const struct asker *asker,
                 char *ret_error, size_t size) {
        *c = (struct command){.m = m, .now = manager_advance(m, clock_now()), .p = pending_begin(m, asker)};
        c->event = (struct event){.at = c->now, .kind = kind};
        snprintf(c->event.by, sizeof(c->event.by), "%s", asker->by);
        if (c->p)
                return 0;
        snprintf(ret_error, size, "too many changes are waiting for the card: try again");
        return -EBUSY;
}

static void record(struct command *c) {
        c->p->left++;
        memory_event(c->m, &c->event, part_done, c->p);
}

static void record_settings(struct command *c) {
        c->p->left++;
        memory_settings(c->m, c->event.by, part_done, c->p);
}

/* r < 0: refused; nothing was changed. Else the sentence is the event's. */
__attribute__((format(printf, 3, 4)))
static int end(struct command *c, int r, const char *format, ...) {
        va_list ap;

        if (r < 0) {
                if (c->p)
                        c->p->done = NULL;
                return r;
        }
        va_start(ap, format);
        (void)vsnprintf(c->event.text, sizeof(c->event.text), format, ap);
        va_end(ap);
        manager_decided(c->m, c->now, false);
        record(c);
        part_done(c->p, 0);
        return 0;
}

/* ---- settings ------------------------------------------------------------------------------- */

static void record_changes(struct command *c, const struct settings *before) {
        for (enum setting i = 0; i < _SETTING_MAX; i++) {
                struct maybe old = before->values[i], new = c->m->bms.settings.values[i];
                struct event *e = &c->event;

                if (old.known == new.known && old.value == new.value)
                        continue;
                e->subject = (int)i;
                snprintf(e->key, sizeof(e->key), "%s", setting_info(i)->key);
                setting_format(i, old, e->before, sizeof(e->before));
                setting_format(i, new, e->after, sizeof(e->after));
                snprintf(e->text, sizeof(e->text), "%s changed from %s to %s", e->key, e->before, e->after);
                record(c);
        }
}

int command_set(struct manager *m, const struct settings *settings, const struct asker *asker, char *ret_error,
                size_t size) {
        struct settings before;
        struct command c;
        int r;

        r = begin(&c, m, EVENT_SETTING, asker, ret_error, size);
        if (r < 0)
                return r;
        before = c.m->bms.settings;
        r = bms_apply_settings(&c.m->bms, c.now, settings, ret_error, size);
        if (r < 0)
                return end(&c, r, "refused");
        manager_decided(c.m, c.now, false);
        record_changes(&c, &before);
        record_settings(&c);
        part_done(c.p, 0);
        return 0;
}

static int command_confirm_settings(struct manager *m, const struct asker *asker, char *ret_error, size_t size) {
        struct command c;
        int r;

        r = begin(&c, m, EVENT_SETTINGS_CONFIRMED, asker, ret_error, size);
        if (r >= 0)
                r = bms_confirm_settings(&c.m->bms, c.now, ret_error, size);
        if (r >= 0) {
                bms_settings_fault(&c.m->bms, c.now, "", false);
                record_settings(&c);
        }
        return end(&c, r, "the settings in force were confirmed");
}

int command_set_pin(struct manager *m, const char *pin, const char *phone, const struct asker *asker, char *ret_error,
                    size_t size) {
        struct command c;
        int r;

        r = begin(&c, m, EVENT_SETTING, asker, ret_error, size);
        if (r < 0)
                return r;
        asks_pin_by(m, phone);
        snprintf(c.event.key, sizeof(c.event.key), "pin");
        c.p->left++;
        settings_writer_put_pin(c.m->writer, &c.m->kept, pin, part_done, c.p);
        return end(&c, 0, "the PIN was changed");
}

/* ---- the pack ------------------------------------------------------------------------------- */

static int command_release(struct manager *m, enum relay_id relay, const struct asker *asker, char *ret_error,
                           size_t size) {
        struct command c;
        int r;

        r = begin(&c, m, EVENT_COMMAND, asker, ret_error, size);
        if (r >= 0)
                r = bms_release(&c.m->bms, c.now, relay, ret_error, size);
        return end(&c, r, "%s relay released", relay_name(relay));
}

static int command_recover(struct manager *m, int64_t minutes, const struct asker *asker, char *ret_error,
                           size_t size) {
        struct command c;
        int r;

        r = begin(&c, m, EVENT_COMMAND, asker, ret_error, size);
        if (r >= 0)
                r = bms_recover(&c.m->bms, c.now, minutes, ret_error, size);
        return end(&c, r, "recover was asked for, %" PRId64 " minutes", minutes);
}

int command_soc_set(struct manager *m, int64_t permyriad, const struct asker *asker, char *ret_error, size_t size) {
        struct command c;
        int r;

        r = begin(&c, m, EVENT_COMMAND, asker, ret_error, size);
        if (r >= 0)
                r = bms_soc_set(&c.m->bms, c.now, permyriad, ret_error, size);
        return end(&c, r, "state of charge set to %" PRId64 ".%02" PRId64 " %%", permyriad / 100, permyriad % 100);
}

static int command_accept_cells(struct manager *m, const struct asker *asker, char *ret_error, size_t size) {
        struct command c;
        int r;

        r = begin(&c, m, EVENT_COMMAND, asker, ret_error, size);
        if (r >= 0)
                r = bms_accept_cells(&c.m->bms, c.now, ret_error, size);
        if (r >= 0)
                record_settings(&c);
        return end(&c, r, "the number of cells heard was accepted");
}

int command_clear_energy(struct manager *m, const struct asker *asker, char *ret_error, size_t size) {
        struct command c;
        int r;

        r = begin(&c, m, EVENT_ENERGY_CLEARED, asker, ret_error, size);
        if (r >= 0)
                r = bms_clear_energy(&c.m->bms, c.now, ret_error, size);
        return end(&c, r, "energy totals set to zero");
}

/* Changes nothing, so there is nothing to be recorded; answered when the copy is complete. */
static void backup_done(void *userdata, int result) {
        pending_end(userdata, result, result < 0 ? strerror(-result) : NULL);
}

static int command_backup(struct manager *m, int fd, const struct asker *asker, char *ret_error, size_t size) {
        struct command c;
        int r;

        r = begin(&c, m, EVENT_COMMAND, asker, ret_error, size);
        if (r >= 0)
                store_backup(c.m->store, fd, backup_done, c.p);
        return r;
}

/* ---- questions ------------------------------------------------------------------------------ */

static void newest_snapshot(void *userdata, const struct snapshot **ret_newest) {
        struct manager *m = userdata;

        *ret_newest = &m->snapshot;
}

static void read_events(void *userdata, int64_t after_id, uint32_t limit, events_answer_t answer,
                        void *answer_userdata) {
        struct manager *m = userdata;

        store_read_events(m->store, after_id, limit, answer, answer_userdata);
}

static void read_history(void *userdata, enum resolution resolution, int64_t from_usec, int64_t until_usec,
                         uint32_t limit, history_answer_t answer, void *answer_userdata) {
        struct manager *m = userdata;

        store_read_history(m->store, resolution, from_usec, until_usec, limit, answer, answer_userdata);
}

/* Today is not over, so it is not in the database: it comes behind the rows from there. */
static void add_today(void *userdata, int result, const struct day_record *rows, size_t n) {
        struct days_question *q = userdata;
        const struct days_question asked = *q;
        struct day_record *all, today;

        q->answer = NULL; /* free again */
        if (result < 0 || !memory_today(asked.manager, &today)) {
                asked.answer(asked.userdata, result, rows, n);
                return;
        }
        all = calloc(n + 1, sizeof(*all));
        if (!all) {
                asked.answer(asked.userdata, -ENOMEM, NULL, 0);
                return;
        }
        for (size_t i = 0; i < n; i++)
                all[i] = rows[i];
        all[n] = today;
        asked.answer(asked.userdata, 0, all, n + 1);
        free(all);
}

static void read_days(void *userdata, uint32_t limit, days_answer_t answer, void *answer_userdata) {
        struct manager *m = userdata;

        for (size_t i = 0; i < MANAGER_QUESTIONS_MAX; i++) {
                struct days_question *q = &m->days_questions[i];

                if (q->answer)
                        continue;
                *q = (struct days_question){m, answer, answer_userdata};
                store_read_days(m->store, limit, add_today, q);
                return;
        }
        answer(answer_userdata, -EBUSY, NULL, 0);
}

static void read_storage_status(void *userdata, struct storage_status *ret_status) {
        struct manager *m = userdata;

        store_status(m->store, ret_status);
}

/* ---- by D-Bus ------------------------------------------------------------------------------- */

static void answer_bus(void *reply, int result, const char *sentence) {
        bus_reply_done(reply, result, sentence);
}

static struct asker from_bus(const char *by, struct bus_reply *reply) {
        return (struct asker){by, answer_bus, reply};
}

static int bus_set(void *m, const struct settings *settings, const char *by, struct bus_reply *reply, char *ret_error,
                   size_t size) {
        const struct asker asker = from_bus(by, reply);

        return command_set(m, settings, &asker, ret_error, size);
}

static int bus_set_pin(void *m, const char *pin, const char *by, struct bus_reply *reply, char *ret_error,
                       size_t size) {
        const struct asker asker = from_bus(by, reply);

        return command_set_pin(m, pin, NULL, &asker, ret_error, size);
}

static int bus_confirm_settings(void *m, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        const struct asker asker = from_bus(by, reply);

        return command_confirm_settings(m, &asker, ret_error, size);
}

static int bus_release(void *m, enum relay_id relay, const char *by, struct bus_reply *reply, char *ret_error,
                       size_t size) {
        const struct asker asker = from_bus(by, reply);

        return command_release(m, relay, &asker, ret_error, size);
}

static int bus_recover(void *m, int64_t minutes, const char *by, struct bus_reply *reply, char *ret_error,
                       size_t size) {
        const struct asker asker = from_bus(by, reply);

        return command_recover(m, minutes, &asker, ret_error, size);
}

static int bus_soc_set(void *m, int64_t permyriad, const char *by, struct bus_reply *reply, char *ret_error,
                       size_t size) {
        const struct asker asker = from_bus(by, reply);

        return command_soc_set(m, permyriad, &asker, ret_error, size);
}

static int bus_accept_cells(void *m, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        const struct asker asker = from_bus(by, reply);

        return command_accept_cells(m, &asker, ret_error, size);
}

static int bus_clear_energy(void *m, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        const struct asker asker = from_bus(by, reply);

        return command_clear_energy(m, &asker, ret_error, size);
}

static int bus_backup(void *m, int fd, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        const struct asker asker = from_bus(by, reply);

        return command_backup(m, fd, &asker, ret_error, size);
}

struct bus_callbacks commands_for_bus(struct manager *m) {
        return (struct bus_callbacks){
                .snapshot = newest_snapshot,
                .set = bus_set,
                .set_pin = bus_set_pin,
                .confirm_settings = bus_confirm_settings,
                .release = bus_release,
                .recover = bus_recover,
                .soc_set = bus_soc_set,
                .accept_cells = bus_accept_cells,
                .clear_energy = bus_clear_energy,
                .backup = bus_backup,
                .read_events = read_events,
                .read_history = read_history,
                .read_days = read_days,
                .storage_status = read_storage_status,
                .pair = phones_pair,
                .close_window = phones_close_window,
                .phones = phones_list,
                .remove_phone = phones_remove,
                .userdata = m,
        };
}
