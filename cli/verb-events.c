/* SPDX-License-Identifier: MIT */

/* events: what happened, when, and who asked for it; and what happens from now on. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "document.h"
#include "event-log.h"
#include "format.h"
#include "when.h"

#define COUNT_DEFAULT 50

/* While nothing happens: is the daemon still there? */
#define IDLE_USEC (10 * USEC_PER_SEC)
/* While a signal waits for its row. */
#define RETRY_USEC (200 * USEC_PER_MSEC)

int check_events(struct cli *c) {
        if (c->options & OPTION_COUNT && c->count > EVENT_RECORDS_MAX)
                return fail(EXIT_USAGE, "--count %" PRId64 ": expected a whole number from 1 to %d", c->count,
                            EVENT_RECORDS_MAX);
        return 0;
}

static usec_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

/* ---- one event -------------------------------------------------------------------------------------------------- */

/* By the wall clock; if it was never right in that boot, by how long that had lasted. */
static const char *time_text(const struct event_record *e, char ret[static FORMAT_MAX]) {
        const uint64_t s = e->monotonic / USEC_PER_SEC;
        char wall[WHEN_MAX];

        if (e->wall_usec.known)
                snprintf(ret, FORMAT_MAX, "%s", when_format(e->wall_usec.value / (int64_t)USEC_PER_SEC, wall));
        else
                snprintf(ret, FORMAT_MAX, "%sboot+%" PRIu64 ":%02u:%02u", e->this_boot ? "" : "earlier ", s / 3600,
                         (unsigned)(s / 60 % 60), (unsigned)(s % 60));
        return ret;
}

/* A sentence is one line, and cannot steer the terminal. */
static void print_plain(const char *text) {
        for (; *text; text++)
                putchar((unsigned char)*text < ' ' || *text == 0x7F ? '?' : *text);
}

static void print_event(const struct event_record *e) {
        char when[FORMAT_MAX];

        printf("%-19s  %-18s  ", time_text(e, when), e->kind);
        print_plain(e->text);
        if (e->by[0] && !strstr(e->text, e->by)) {
                fputs(" (", stdout);
                print_plain(e->by);
                putchar(')');
        }
        putchar('\n');
}

static void write_event(struct json *j, const struct event_record *e) {
        char time[WHEN_MAX];

        json_object(j, NULL);
        json_number(j, "id", e->id > 0 ? some64(e->id) : none64(), 0);
        if (e->wall_usec.known)
                json_string(j, "time", when_format_utc(e->wall_usec.value, time));
        else
                json_null(j, "time");
        json_bool(j, "this_boot", e->this_boot);
        json_number(j, "monotonic_s", some64((int64_t)(e->monotonic / USEC_PER_MSEC)), 3);
        json_string(j, "kind", e->kind);
        json_string(j, "text", e->text);
        json_string(j, "by", e->by);
        json_string(j, "key", e->key);
        json_string(j, "before", e->before);
        json_string(j, "after", e->after);
        json_string(j, "rule", e->rule);
        document_cell(j, e->cell);
        document_quantity(j, rule_quantity(document_rule(e->rule)), e->value, e->limit);
        json_close_object(j);
}

/* ---- those that are kept ---------------------------------------------------------------------------------------- */

/* If the database cannot be read, the newest ones in the daemon's memory. *ret_remembered: those. 0 or exit code. */
static int fetch(struct cli *c, struct event_records *ret, bool *ret_remembered) {
        const uint32_t count = c->options & OPTION_COUNT ? (uint32_t)c->count : COUNT_DEFAULT;
        char why[CLIENT_ERROR_MAX];
        int r;

        *ret_remembered = false;
        r = records_fetch_events(&c->client, 0, count, ret);
        if (r != EXIT_REFUSED)
                return r == 0 ? 0 : fail(r, "%s", c->client.error);
        memcpy(why, c->client.error, sizeof(why));
        r = records_fetch_recent(&c->client, ret);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        (void)fail(0, "%s These are the newest events in smartbmsd's memory.", why);
        *ret_remembered = true;
        if (ret->n > count) {
                memmove(ret->rows, ret->rows + ret->n - count, count * sizeof(*ret->rows));
                ret->n = count;
        }
        return 0;
}

static void print_all(const struct cli *c, const struct event_records *events) {
        struct json j;

        if (!cli_json(c)) {
                for (size_t i = 0; i < events->n; i++)
                        print_event(&events->rows[i]);
                return;
        }
        json_begin(&j, stdout, true);
        json_object(&j, NULL);
        json_array(&j, "events");
        for (size_t i = 0; i < events->n; i++)
                write_event(&j, &events->rows[i]);
        json_close_array(&j);
        json_close_object(&j);
        json_end(&j);
}

/* ---- those to come ---------------------------------------------------------------------------------------------- */

struct follow {
        struct cli *cli;
        struct event_log log;
};

static void print_one(const struct follow *f, const struct event_record *e) {
        struct json j;

        if (!cli_json(f->cli)) {
                print_event(e);
                return;
        }
        json_begin(&j, stdout, false);
        write_event(&j, e);
        json_end(&j);
}

static void print_overdue(struct follow *f, usec_t patience) {
        struct event_record e;

        while (event_log_take(&f->log, now_usec(), patience, &e))
                print_one(f, &e);
}

static int on_event(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct follow *f = userdata;
        struct event_record e = {.this_boot = true};
        int r;

        (void)error;
        r = sd_bus_message_read(m, "t", &e.monotonic);
        if (r >= 0)
                r = client_read_text(m, e.kind, sizeof(e.kind));
        if (r >= 0)
                r = client_read_text(m, e.text, sizeof(e.text));
        if (r >= 0 && !event_log_signal(&f->log, now_usec(), &e)) {
                print_overdue(f, 0);
                (void)event_log_signal(&f->log, now_usec(), &e); /* there is room now */
        }
        return 0;
}

/* What the database has that was not told yet. 0 or exit code. */
static int catch_up(struct follow *f) {
        struct event_records rows;
        int r;

        r = records_fetch_events(&f->cli->client, f->log.last_id, EVENT_RECORDS_MAX, &rows);
        if (r == EXIT_REFUSED) { /* a card in trouble: the signals are all there is */
                print_overdue(f, 0);
                return 0;
        }
        if (r != 0)
                return fail(r, "%s", f->cli->client.error);
        for (size_t i = 0; i < rows.n; i++)
                if (event_log_row(&f->log, &rows.rows[i]))
                        print_one(f, &rows.rows[i]);
        event_records_done(&rows);
        print_overdue(f, EVENT_LOG_PATIENCE_USEC);
        return 0;
}

/* Until a signal came, at most IDLE_USEC. */
static int wait_signal(struct follow *f) {
        sd_bus *bus = f->cli->client.bus;
        const usec_t end = now_usec() + (f->log.n_waiting > 0 ? RETRY_USEC : IDLE_USEC);
        const size_t before = f->log.n_waiting;
        int r;

        while (now_usec() < end) {
                do {
                        r = sd_bus_process(bus, NULL);
                } while (r > 0);
                if (r < 0 || f->log.n_waiting > before)
                        return r;
                r = sd_bus_wait(bus, usec_since(end, now_usec()));
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return 0;
}

static void print_known(struct follow *f, const struct event_records *events, bool remembered) {
        if (remembered)
                f->log.begin = events->n > 0 ? events->rows[events->n - 1].monotonic : 1;
        for (size_t i = 0; i < events->n; i++) {
                if (remembered)
                        event_log_remembered(&f->log, &events->rows[i]);
                else
                        (void)event_log_row(&f->log, &events->rows[i]);
                print_one(f, &events->rows[i]);
        }
}

static int follow(struct follow *f) {
        struct event_records events;
        bool remembered;
        int r;

        /* Before the first look, so that nothing can happen in between. */
        r = sd_bus_match_signal(f->cli->client.bus, NULL, f->cli->client.name, SMARTBMS_BUS_PATH,
                                SMARTBMS_INTERFACE("Events"), "Event", on_event, f);
        if (r < 0)
                return fail(EXIT_REFUSED, "cannot listen for events: %s", strerror(-r));
        r = fetch(f->cli, &events, &remembered);
        if (r != 0)
                return r;
        print_known(f, &events, remembered);
        event_records_done(&events);
        for (;;) {
                if (fflush(stdout) != 0)
                        return fail(EXIT_REFUSED, "cannot write: %s", strerror(errno));
                r = wait_signal(f);
                if (r < 0)
                        return fail(EXIT_NO_DAEMON, "the connection to the bus was lost: %s", strerror(-r));
                r = catch_up(f);
                if (r != 0)
                        return r;
        }
}

int verb_events(struct cli *c) {
        struct event_records events;
        struct follow *f;
        bool remembered;
        int r;

        if (c->options & OPTION_FOLLOW) {
                f = calloc(1, sizeof(*f)); /* hundreds of sentences: not on the stack */
                if (!f)
                        return fail(EXIT_REFUSED, "out of memory");
                f->cli = c;
                r = follow(f);
                free(f);
                return r;
        }
        r = fetch(c, &events, &remembered);
        if (r != 0)
                return r;
        print_all(c, &events);
        event_records_done(&events);
        return EXIT_OK;
}
