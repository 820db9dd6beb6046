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
static struct pending *pending_begin(struct manager *m, struct bus_reply *reply) {
        for (size_t i = 0; i < MANAGER_PENDING_MAX; i++) {
                struct pending *p = &m->pending[i];

                if (p->reply)
                        continue;
                *p = (struct pending){.reply = reply, .left = 1}; /* 1: until pending_end() */
                return p;
        }
        return NULL;
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
        struct bus_reply *reply = p->reply;

        if (result < 0)
                p->result = result;
        if (--p->left > 0)
                return;
        p->reply = NULL; /* free again */
        bus_reply_done(reply, p->result, why_not_stored(p->result));
}

/* ---- a command, from being asked for to being answered -------------------------------------- */

struct command {
        struct manager *m;
        usec_t now;
        struct pending *p;
        struct event event; /* what is to be kept of it */
};

static int begin(struct command *c, void *userdata, enum event_kind kind, const char *by, struct bus_reply *reply,
                 char *ret_error, size_t size) {
        struct manager *m = userdata;

        *c = (struct command){.m = m, .now = manager_advance(m, clock_now()), .p = pending_begin(m, reply)};
        c->event = (struct event){.at = c->now, .kind = kind};
        snprintf(c->event.by, sizeof(c->event.by), "%s", by);
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
                        c->p->reply = NULL;
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

static int command_set(void *userdata, const struct settings *settings, const char *by, struct bus_reply *reply,
                       char *ret_error, size_t size) {
        struct settings before;
        struct command c;
        int r;

        r = begin(&c, userdata, EVENT_SETTING, by, reply, ret_error, size);
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

static int command_confirm_settings(void *userdata, const char *by, struct bus_reply *reply, char *ret_error,
                                    size_t size) {
        struct command c;
        int r;

        r = begin(&c, userdata, EVENT_SETTINGS_CONFIRMED, by, reply, ret_error, size);
        if (r >= 0)
                r = bms_confirm_settings(&c.m->bms, c.now, ret_error, size);
        if (r >= 0) {
                bms_settings_fault(&c.m->bms, c.now, "", false);
                record_settings(&c);
        }
        return end(&c, r, "the settings in force were confirmed");
}

static int command_set_pin(void *userdata, const char *pin, const char *by, struct bus_reply *reply,
                           char *ret_error, size_t size) {
        struct command c;
        int r;

        r = begin(&c, userdata, EVENT_SETTING, by, reply, ret_error, size);
        if (r < 0)
                return r;
        snprintf(c.event.key, sizeof(c.event.key), "pin");
        c.p->left++;
        settings_writer_put_pin(c.m->writer, &c.m->kept, pin, part_done, c.p);
        return end(&c, 0, "the PIN was changed");
}

/* ---- the pack ------------------------------------------------------------------------------- */

static int command_release(void *userdata, enum relay_id relay, const char *by, struct bus_reply *reply,
                           char *ret_error, size_t size) {
        struct command c;
        int r;

        r = begin(&c, userdata, EVENT_COMMAND, by, reply, ret_error, size);
        if (r >= 0)
                r = bms_release(&c.m->bms, c.now, relay, ret_error, size);
        return end(&c, r, "%s relay released", relay_name(relay));
}

static int command_recover(void *userdata, int64_t minutes, const char *by, struct bus_reply *reply, char *ret_error,
                           size_t size) {
        struct command c;
        int r;

        r = begin(&c, userdata, EVENT_COMMAND, by, reply, ret_error, size);
        if (r >= 0)
                r = bms_recover(&c.m->bms, c.now, minutes, ret_error, size);
        return end(&c, r, "recover was asked for, %" PRId64 " minutes", minutes);
}

static int command_soc_set(void *userdata, int64_t permyriad, const char *by, struct bus_reply *reply,
                           char *ret_error, size_t size) {
        struct command c;
        int r;

        r = begin(&c, userdata, EVENT_COMMAND, by, reply, ret_error, size);
        if (r >= 0)
                r = bms_soc_set(&c.m->bms, c.now, permyriad, ret_error, size);
        return end(&c, r, "state of charge set to %" PRId64 ".%02" PRId64 " %%", permyriad / 100, permyriad % 100);
}

static int command_accept_cells(void *userdata, const char *by, struct bus_reply *reply, char *ret_error,
                                size_t size) {
        struct command c;
        int r;

        r = begin(&c, userdata, EVENT_COMMAND, by, reply, ret_error, size);
        if (r >= 0)
                r = bms_accept_cells(&c.m->bms, c.now, ret_error, size);
        if (r >= 0)
                record_settings(&c);
        return end(&c, r, "the number of cells heard was accepted");
}

static int command_clear_energy(void *userdata, const char *by, struct bus_reply *reply, char *ret_error,
                                size_t size) {
        struct command c;
        int r;

        r = begin(&c, userdata, EVENT_ENERGY_CLEARED, by, reply, ret_error, size);
        if (r >= 0)
                r = bms_clear_energy(&c.m->bms, c.now, ret_error, size);
        return end(&c, r, "energy totals set to zero");
}

/* Changes nothing, so there is nothing to be recorded; answered when the copy is complete. */
static void backup_done(void *userdata, int result) {
        struct pending *p = userdata;
        struct bus_reply *reply = p->reply;

        p->reply = NULL;
        bus_reply_done(reply, result, result < 0 ? strerror(-result) : NULL);
}

static int command_backup(void *userdata, int fd, const char *by, struct bus_reply *reply, char *ret_error,
                          size_t size) {
        struct command c;
        int r;

        r = begin(&c, userdata, EVENT_COMMAND, by, reply, ret_error, size);
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

struct bus_callbacks commands_for_bus(struct manager *m) {
        return (struct bus_callbacks){
                .snapshot = newest_snapshot,
                .set = command_set,
                .set_pin = command_set_pin,
                .confirm_settings = command_confirm_settings,
                .release = command_release,
                .recover = command_recover,
                .soc_set = command_soc_set,
                .accept_cells = command_accept_cells,
                .clear_energy = command_clear_energy,
                .backup = command_backup,
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
