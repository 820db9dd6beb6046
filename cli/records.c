/* SPDX-License-Identifier: MIT */
#include "records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "when.h"

#define ROWS_MAX 1000 /* of one answer */

#define STRETCH "u(bx)(bx)(bx)(bx)(bx)(bx)(bx)xxxx"
#define HISTORY_ROW "(bx)t" STRETCH
#define DAY_ROW "xbt" STRETCH
#define EVENT_ROW "x(bx)btsssssssy(bx)(bx)"

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* Reads one element of an array of structs into what the callback owns. */
typedef int (*read_row_t)(sd_bus_message *m, void *userdata);

static int read_rows(sd_bus_message *m, const char *signature, read_row_t read, void *userdata) {
        char contents[64];
        const size_t length = strlen(signature);
        int r;

        snprintf(contents, sizeof(contents), "(%s)", signature);
        if (length + 3 > sizeof(contents))
                return -EINVAL;
        r = sd_bus_message_enter_container(m, 'a', contents);
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', signature)) > 0) {
                r = read(m, userdata);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int ask(struct client *c, sd_bus_message *call, const char *signature, read_row_t read, void *userdata) {
        sd_bus_message *reply = NULL;
        int r;

        r = client_send(c, call, CLIENT_STORE_TIMEOUT_USEC, &reply);
        if (r == 0) {
                r = read_rows(reply, signature, read, userdata);
                r = r < 0 ? client_bad_reply(c, r) : 0;
        }
        sd_bus_message_unref(reply);
        return r;
}

/* ---- history and days ------------------------------------------------------------------------------------------- */

void records_done(struct records *r) {
        free(r->rows);
        *r = (struct records){0};
}

static struct record *add_record(struct records *r) {
        if (r->n == r->allocated) {
                const size_t wanted = r->allocated ? 2 * r->allocated : 256;
                struct record *rows = reallocarray(r->rows, wanted, sizeof(*rows));

                if (!rows)
                        return NULL;
                r->rows = rows;
                r->allocated = wanted;
        }
        memset(&r->rows[r->n], 0, sizeof(r->rows[r->n]));
        return &r->rows[r->n++];
}

static int read_stretch(sd_bus_message *m, struct record *row) {
        struct maybe64 *const values[] = {&row->soc_permyriad, &row->power_mw,     &row->pack_mv,      &row->lowest_mv,
                                          &row->highest_mv,    &row->lowest_decic, &row->highest_decic};
        int r;

        r = sd_bus_message_read(m, "u", &row->covered_sec);
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) && r >= 0; i++)
                r = client_read_maybe(m, values[i]);
        if (r >= 0)
                r = sd_bus_message_read(m, "xxxx", &row->mwh[ENERGY_COLLECTED], &row->mwh[ENERGY_CONSUMED],
                                        &row->mwh[ENERGY_CHARGED], &row->mwh[ENERGY_DISCHARGED]);
        return r;
}

static int read_history_row(sd_bus_message *m, void *userdata) {
        struct record *row = add_record(userdata);
        int r;

        if (!row)
                return -ENOMEM;
        r = client_read_maybe(m, &row->wall_usec);
        if (r >= 0)
                r = sd_bus_message_read(m, "t", &row->length_usec);
        return r < 0 ? r : read_stretch(m, row);
}

static int read_day(sd_bus_message *m, void *userdata) {
        struct record *row = add_record(userdata);
        int r;

        if (!row)
                return -ENOMEM;
        r = sd_bus_message_read(m, "x", &row->day);
        if (r >= 0)
                r = client_read_bool(m, &row->today);
        if (r >= 0)
                r = sd_bus_message_read(m, "t", &row->length_usec);
        if (r >= 0)
                row->wall_usec = some64(when_day_begins(row->day) * (int64_t)USEC_PER_SEC);
        return r < 0 ? r : read_stretch(m, row);
}

static int fetch_part(struct client *c, const char *resolution, int64_t from, int64_t until, struct records *ret) {
        sd_bus_message *call = NULL;
        int r;

        r = client_new_call(c, SMARTBMS_INTERFACE("History"), "Read", &call);
        if (r != 0)
                return r;
        r = sd_bus_message_append(call, "sxxu", resolution, from, until, (uint32_t)ROWS_MAX);
        r = r < 0 ? client_bad_call(c, "Read", r) : ask(c, call, HISTORY_ROW, read_history_row, ret);
        sd_bus_message_unref(call);
        return r;
}

int records_fetch_history(struct client *c, const char *resolution, int64_t from_usec, int64_t until_usec,
                          struct records *ret) {
        /* Three quarters of what one answer holds: a restart ends a row early, and adds one. */
        const int64_t part = (int64_t)(strcmp(resolution, "hours") == 0 ? 750 * USEC_PER_HOUR : 750 * USEC_PER_MINUTE);
        int r = 0;

        *ret = (struct records){0};
        for (int64_t from = from_usec; from < until_usec && r == 0; from += part)
                r = fetch_part(c, resolution, from, until_usec - from < part ? until_usec : from + part, ret);
        if (r != 0)
                records_done(ret);
        return r;
}

int records_fetch_days(struct client *c, uint32_t limit, struct records *ret) {
        sd_bus_message *call = NULL;
        int r;

        *ret = (struct records){0};
        r = client_new_call(c, SMARTBMS_INTERFACE("Energy"), "Days", &call);
        if (r != 0)
                return r;
        r = sd_bus_message_append(call, "u", limit);
        r = r < 0 ? client_bad_call(c, "Days", r) : ask(c, call, DAY_ROW, read_day, ret);
        sd_bus_message_unref(call);
        if (r != 0)
                records_done(ret);
        return r;
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

void event_records_done(struct event_records *r) {
        free(r->rows);
        *r = (struct event_records){0};
}

static int room_for_events(struct event_records *ret) {
        *ret = (struct event_records){.rows = calloc(EVENT_RECORDS_MAX, sizeof(struct event_record))};
        return ret->rows ? 0 : -ENOMEM;
}

static int read_event(sd_bus_message *m, void *userdata) {
        struct event_records *all = userdata;
        struct event_record *e;
        int r;

        if (all->n == EVENT_RECORDS_MAX)
                return -E2BIG;
        e = &all->rows[all->n];
        const struct {
                char *text;
                size_t size;
        } texts[] = {{e->kind, sizeof(e->kind)},     {e->text, sizeof(e->text)},   {e->by, sizeof(e->by)},
                     {e->key, sizeof(e->key)},       {e->before, sizeof(e->before)}, {e->after, sizeof(e->after)},
                     {e->rule, sizeof(e->rule)}};

        r = sd_bus_message_read(m, "x", &e->id);
        if (r >= 0)
                r = client_read_maybe(m, &e->wall_usec);
        if (r >= 0)
                r = client_read_bool(m, &e->this_boot);
        if (r >= 0)
                r = sd_bus_message_read(m, "t", &e->monotonic);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && r >= 0; i++)
                r = client_read_text(m, texts[i].text, texts[i].size);
        if (r >= 0)
                r = sd_bus_message_read(m, "y", &e->cell);
        if (r >= 0)
                r = client_read_maybe(m, &e->value);
        if (r >= 0)
                r = client_read_maybe(m, &e->limit);
        all->n += r >= 0;
        return r;
}

/* age in microseconds, kind, sentence */
static int read_recent(sd_bus_message *m, void *userdata) {
        struct event_records *all = userdata;
        struct timespec boottime;
        struct event_record *e;
        usec_t age, now;
        int r;

        if (all->n == EVENT_RECORDS_MAX)
                return -E2BIG;
        e = &all->rows[all->n];
        r = sd_bus_message_read(m, "t", &age);
        if (r >= 0)
                r = client_read_text(m, e->kind, sizeof(e->kind));
        if (r >= 0)
                r = client_read_text(m, e->text, sizeof(e->text));
        if (r < 0)
                return r;
        clock_gettime(CLOCK_BOOTTIME, &boottime);
        now = (usec_t)boottime.tv_sec * USEC_PER_SEC + (usec_t)boottime.tv_nsec / 1000;
        e->this_boot = true;
        e->monotonic = usec_since(now, age);
        all->n++;
        return 0;
}

int records_fetch_events(struct client *c, int64_t after_id, uint32_t limit, struct event_records *ret) {
        sd_bus_message *call = NULL;
        int r;

        if (room_for_events(ret) < 0)
                return client_bad_reply(c, -ENOMEM);
        r = client_new_call(c, SMARTBMS_INTERFACE("Events"), "Read", &call);
        if (r == 0) {
                r = sd_bus_message_append(call, "xu", after_id, limit);
                r = r < 0 ? client_bad_call(c, "Read", r) : ask(c, call, EVENT_ROW, read_event, ret);
        }
        sd_bus_message_unref(call);
        if (r != 0)
                event_records_done(ret);
        return r;
}

int records_fetch_recent(struct client *c, struct event_records *ret) {
        sd_bus_message *call = NULL;
        int r;

        if (room_for_events(ret) < 0)
                return client_bad_reply(c, -ENOMEM);
        r = client_new_call(c, SMARTBMS_INTERFACE("Events"), "Recent", &call);
        if (r == 0)
                r = ask(c, call, "tss", read_recent, ret);
        sd_bus_message_unref(call);
        if (r != 0)
                event_records_done(ret);
        return r;
}

/* ---- storage ---------------------------------------------------------------------------------------------------- */

static int on_storage(void *userdata, const char *key, const char *contents, sd_bus_message *m) {
        struct record_storage *s = userdata;
        const struct {
                const char *key;
                struct maybe64 *value;
        } numbers[] = {
                {"FileBytes", &s->file_bytes},       {"WalBytes", &s->wal_bytes},
                {"RunAge", &s->run_usec},            {"WrittenBytes", &s->written_bytes},
                {"Syncs", &s->syncs},                {"QueuedEvents", &s->queued_events},
                {"QueuedMinutes", &s->queued_minutes}, {"LostEvents", &s->lost_events},
                {"LostMinutes", &s->lost_minutes},
        };
        uint64_t number;
        int r;

        if (strcmp(key, "Open") == 0 && strcmp(contents, "b") == 0)
                return client_read_bool(m, &s->open);
        if (strcmp(key, "Path") == 0 && strcmp(contents, "s") == 0)
                return client_read_text(m, s->path, sizeof(s->path));
        if (strcmp(key, "Fault") == 0 && strcmp(contents, "s") == 0)
                return client_read_text(m, s->fault, sizeof(s->fault));
        if (strcmp(key, "CommitAge") == 0 && strcmp(contents, "(bx)") == 0)
                return client_read_maybe(m, &s->commit_age_usec);
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
                if (strcmp(key, numbers[i].key) == 0 && strcmp(contents, "t") == 0) {
                        r = sd_bus_message_read(m, "t", &number);
                        if (r >= 0)
                                *numbers[i].value = some64(number > INT64_MAX ? INT64_MAX : (int64_t)number);
                        return r;
                }
        return sd_bus_message_skip(m, contents);
}

int records_fetch_storage(struct client *c, struct record_storage *ret) {
        sd_bus_message *call = NULL, *reply = NULL;
        int r;

        *ret = (struct record_storage){0};
        r = client_new_call(c, SMARTBMS_INTERFACE("Storage"), "GetStatus", &call);
        if (r == 0)
                r = client_send(c, call, CLIENT_READ_TIMEOUT_USEC, &reply);
        if (r == 0) {
                r = client_each_entry(reply, on_storage, ret);
                r = r < 0 ? client_bad_reply(c, r) : 0;
        }
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        return r;
}
