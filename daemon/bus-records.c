/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "bus-internal.h"
#include "clock.h"
#include "names.h"

/* In one answer: appending goes on in the loop that also decides, and a few milliseconds of it are enough. Who wants
 * more asks again for the next stretch. */
#define ROWS_MAX 1000

/* ---- questions and answers -------------------------------------------------------------------------------------- */

static int check_limit(uint32_t limit, sd_bus_error *ret_error) {
        if (limit >= 1 && limit <= ROWS_MAX)
                return 0;
        return sd_bus_error_setf(ret_error, SD_BUS_ERROR_INVALID_ARGS, "limit is %u: expected 1 to %d rows.", limit,
                                 ROWS_MAX);
}

static int take_question(struct bus *b, sd_bus_message *m, struct bus_reply **ret, sd_bus_error *ret_error) {
        struct bus_reply *question = bus_reply_take(b->questions, BUS_QUESTIONS_MAX, m);

        if (!question)
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many questions wait for the database: try again.");
        *ret = question;
        return 0;
}

/* Appends one row, its container too. */
typedef int (*append_row_t)(sd_bus_message *m, const void *row);

static int append_rows(sd_bus_message *m, const char *signature, append_row_t append, const void *rows, size_t n,
                       size_t size) {
        int r;

        r = sd_bus_message_open_container(m, 'a', signature);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append(m, (const char *)rows + i * size);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* To whom asked, if they are still there. size: of a row. */
static void answer(struct bus_reply *question, int result, const char *signature, append_row_t append,
                   const void *rows, size_t n, size_t size) {
        sd_bus_message *m = bus_reply_release(question), *reply = NULL;
        int r;

        if (!m)
                return;
        if (result == -EBUSY) {
                r = sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                               "Too many questions wait for the database: try again.");
        } else if (result == -ENODATA) {
                r = sd_bus_reply_method_errorf(m, BUS_ERROR_NOT_READABLE,
                                               "Nothing is kept: smartbmsd has no state directory.");
        } else if (result < 0) {
                r = sd_bus_reply_method_errorf(m, BUS_ERROR_NOT_READABLE, "The database cannot be read: %s.",
                                               strerror(-result));
        } else {
                r = sd_bus_message_new_method_return(m, &reply);
                if (r >= 0)
                        r = append_rows(reply, signature, append, rows, n, size);
                r = r >= 0 ? sd_bus_send(NULL, reply, NULL) : sd_bus_reply_method_errno(m, r, NULL);
        }
        (void)r; /* a connection that takes no more is noticed in bus.c */
        sd_bus_message_unref(reply);
        sd_bus_message_unref(m);
}

/* ---- history and days ------------------------------------------------------------------------------------------- */

#define STRETCH "u(bx)(bx)(bx)(bx)(bx)(bx)(bx)xxxx"
#define HISTORY_ROW "(bx)t" STRETCH
#define DAY_ROW "xbt" STRETCH

static int append_stretch(sd_bus_message *m, const struct history_row *row) {
        const struct maybe values[] = {row->soc_permyriad, row->power_mw,     row->pack_mv,      row->lowest_mv,
                                       row->highest_mv,    row->lowest_decic, row->highest_decic};
        int r;

        r = sd_bus_message_append(m, "u", (uint32_t)row->covered_sec);
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) && r >= 0; i++)
                r = bus_append_maybe(m, values[i]);
        if (r >= 0)
                r = sd_bus_message_append(m, "xxxx", row->mwh[ENERGY_COLLECTED], row->mwh[ENERGY_CONSUMED],
                                          row->mwh[ENERGY_CHARGED], row->mwh[ENERGY_DISCHARGED]);
        return r;
}

static int append_history_row(sd_bus_message *m, const void *data) {
        const struct history_record *record = data;
        int r;

        r = sd_bus_message_open_container(m, 'r', HISTORY_ROW);
        if (r >= 0)
                r = bus_append_maybe64(m, record->wall_usec);
        if (r >= 0)
                r = sd_bus_message_append(m, "t", usec_since(record->row.until, record->row.from));
        if (r >= 0)
                r = append_stretch(m, &record->row);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void on_history(void *userdata, int result, const struct history_record *rows, size_t n) {
        answer(userdata, result, "(" HISTORY_ROW ")", append_history_row, rows, n, sizeof(*rows));
}

static int method_history(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        static const char *const resolutions[] = {[RESOLUTION_MINUTES] = "minutes", [RESOLUTION_HOURS] = "hours"};
        struct bus *b = userdata;
        struct bus_reply *question = NULL; /* set where r >= 0; an optimising gcc cannot know that */
        enum resolution resolution;
        int64_t from, until;
        const char *name;
        uint32_t limit;
        int r;

        r = sd_bus_message_read(m, "sxxu", &name, &from, &until, &limit);
        if (r < 0)
                return r;
        for (resolution = RESOLUTION_MINUTES; resolution <= RESOLUTION_HOURS; resolution++)
                if (strcmp(resolutions[resolution], name) == 0)
                        break;
        if (resolution > RESOLUTION_HOURS)
                return sd_bus_error_setf(ret_error, SD_BUS_ERROR_INVALID_ARGS,
                                         "There is no resolution \"%s\": expected minutes or hours.", name);
        if (from > until)
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_INVALID_ARGS,
                                        "from lies behind until: expected the earlier time first.");
        r = check_limit(limit, ret_error);
        if (r >= 0)
                r = take_question(b, m, &question, ret_error);
        if (r < 0)
                return r;
        /* before until: who asks for the next stretch does not get a row twice */
        b->callbacks.read_history(b->callbacks.userdata, resolution, from, until - (until > INT64_MIN), limit,
                                  on_history, question);
        return 1; /* answered, or will be */
}

static int append_day(sd_bus_message *m, const void *data) {
        const struct day_record *day = data;
        int r;

        r = sd_bus_message_open_container(m, 'r', DAY_ROW);
        if (r >= 0)
                r = sd_bus_message_append(m, "xbt", day->day, (int)day->today, day->length_usec);
        if (r >= 0)
                r = append_stretch(m, &day->row);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void on_days(void *userdata, int result, const struct day_record *rows, size_t n) {
        answer(userdata, result, "(" DAY_ROW ")", append_day, rows, n, sizeof(*rows));
}

static int method_days(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct bus *b = userdata;
        struct bus_reply *question = NULL; /* set where r >= 0; an optimising gcc cannot know that */
        uint32_t limit;
        int r;

        r = sd_bus_message_read(m, "u", &limit);
        if (r >= 0)
                r = check_limit(limit, ret_error);
        if (r >= 0)
                r = take_question(b, m, &question, ret_error);
        if (r < 0)
                return r;
        b->callbacks.read_days(b->callbacks.userdata, limit, on_days, question);
        return 1;
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

#define EVENT_ROW "x(bx)btsssssssy(bx)(bx)"

static int append_event(sd_bus_message *m, const void *data) {
        const struct event_record *record = data;
        const struct event *e = &record->event;
        const char *const texts[] = {e->text, e->by, e->key, e->before, e->after};
        const bool ruled = event_has_reason(e);
        int r;

        r = sd_bus_message_open_container(m, 'r', EVENT_ROW);
        if (r >= 0)
                r = sd_bus_message_append(m, "x", record->id);
        if (r >= 0)
                r = bus_append_maybe64(m, record->wall_usec);
        if (r >= 0)
                r = sd_bus_message_append(m, "bts", (int)record->this_boot, clock_boottime(e->at),
                                          event_kind_name(e->kind));
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && r >= 0; i++)
                r = bus_append_text(m, texts[i]);
        if (r >= 0)
                r = sd_bus_message_append(m, "sy", ruled ? rule_name(e->reason.rule) : "",
                                          ruled ? (int)e->reason.cell : 0);
        if (r >= 0)
                r = bus_append_maybe(m, ruled ? e->reason.value : none());
        if (r >= 0)
                r = bus_append_maybe(m, ruled ? e->reason.limit : none());
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void on_events(void *userdata, int result, const struct event_record *rows, size_t n) {
        answer(userdata, result, "(" EVENT_ROW ")", append_event, rows, n, sizeof(*rows));
}

static int method_events(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct bus *b = userdata;
        struct bus_reply *question = NULL; /* set where r >= 0; an optimising gcc cannot know that */
        int64_t after;
        uint32_t limit;
        int r;

        r = sd_bus_message_read(m, "xu", &after, &limit);
        if (r >= 0)
                r = check_limit(limit, ret_error);
        if (r >= 0)
                r = take_question(b, m, &question, ret_error);
        if (r < 0)
                return r;
        b->callbacks.read_events(b->callbacks.userdata, after, limit, on_events, question);
        return 1;
}

/* ---- storage ---------------------------------------------------------------------------------------------------- */

static int append_string_entry(sd_bus_message *m, const char *key, const char *text) {
        char clean[ALARM_TEXT_MAX + BUS_SENTENCE_MAX];

        bus_clean_text(clean, sizeof(clean), text);
        return sd_bus_message_append(m, "{sv}", key, "s", clean);
}

static int append_storage(sd_bus_message *m, const struct storage_status *s) {
        const usec_t now = clock_now();
        const struct {
                const char *key;
                uint64_t value;
        } numbers[] = {
                {"FileBytes", s->file_bytes},         {"WalBytes", s->wal_bytes},
                {"RunAge", usec_since(now, s->since)}, {"WrittenBytes", s->written_bytes},
                {"Syncs", s->syncs},                  {"QueuedEvents", s->queued_events},
                {"QueuedMinutes", s->queued_minutes}, {"LostEvents", s->lost_events},
                {"LostMinutes", s->lost_minutes},
        };
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Open", "b", (int)s->open);
        if (r >= 0)
                r = append_string_entry(m, "Path", s->path);
        if (r >= 0)
                r = append_string_entry(m, "Fault", s->fault);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "CommitAge", "(bx)", (int)(s->last_commit > 0),
                                          s->last_commit > 0 ? (int64_t)usec_since(now, s->last_commit) : 0);
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && r >= 0; i++)
                r = sd_bus_message_append(m, "{sv}", numbers[i].key, "t", numbers[i].value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int method_storage(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct bus *b = userdata;
        struct storage_status status = {0};
        sd_bus_message *reply = NULL;
        int r;

        (void)ret_error;
        b->callbacks.storage_status(b->callbacks.userdata, &status);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_storage(reply, &status);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* ---- the tables: UNPRIVILEGED as in bus-objects.c, and for its reason --------------------------------------------
 * */

#define OPEN SD_BUS_VTABLE_UNPRIVILEGED

static const sd_bus_vtable energy_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Clear", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, bus_method_clear, OPEN),
        SD_BUS_METHOD_WITH_ARGS("Days", SD_BUS_ARGS("u", limit), SD_BUS_RESULT("a(" DAY_ROW ")", days), method_days,
                                OPEN),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable events_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Read", SD_BUS_ARGS("x", after_id, "u", limit),
                                SD_BUS_RESULT("a(" EVENT_ROW ")", events), method_events, OPEN),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable history_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Read", SD_BUS_ARGS("s", resolution, "x", from_usec, "x", until_usec, "u", limit),
                                SD_BUS_RESULT("a(" HISTORY_ROW ")", rows), method_history, OPEN),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable storage_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("GetStatus", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", status), method_storage, OPEN),
        SD_BUS_METHOD_WITH_ARGS("Backup", SD_BUS_ARGS("h", file), SD_BUS_NO_RESULT, bus_method_backup, OPEN),
        SD_BUS_VTABLE_END,
};

static const struct {
        const char *interface;
        const sd_bus_vtable *table;
} tables[] = {
        {BUS_INTERFACE_ENERGY, energy_table},
        {BUS_INTERFACE_EVENTS, events_table},
        {BUS_INTERFACE_HISTORY, history_table},
        {BUS_INTERFACE_STORAGE, storage_table},
};

int bus_records_add(struct bus *b) {
        int r;

        for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
                r = sd_bus_add_object_vtable(b->connection, NULL, BUS_PATH, tables[i].interface, tables[i].table, b);
                if (r < 0)
                        return r;
        }
        return 0;
}
