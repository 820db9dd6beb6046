/* SPDX-License-Identifier: MIT */

/* history: as a picture, as JSON, as CSV. */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "format.h"
#include "history-frame.h"
#include "record-columns.h"
#include "terminal.h"
#include "when.h"

#define SECONDS_PER_DAY 86400

/* What one call may ask for: it goes back in parts, and nobody wants to wait for hundreds of them. */
#define MINUTES_AT_ONCE (31 * SECONDS_PER_DAY)
#define HOURS_AT_ONCE (5 * 366 * SECONDS_PER_DAY)

static const char *const resolutions[] = {"minutes", "hours", "days", NULL};
enum { MINUTES, HOURS, DAYS };

struct request {
        int64_t from, until; /* s since 1970 UTC */
        int resolution;
};

static int parse_time(const char *option, const char *text, int64_t now, bool until, int64_t *ret) {
        return when_parse(text, now, until, ret) < 0
                       ? fail(EXIT_USAGE, "%s %s: that is no time; expected one such as " WHEN_FORMS, option, text)
                       : 0;
}

/* As fine as it is kept for that long: minutes for 2 days, hours for 90. */
static int finest(int64_t from, int64_t now) {
        const int64_t days = (now - from) / SECONDS_PER_DAY;

        return days <= 2 ? MINUTES : days <= 90 ? HOURS : DAYS;
}

static int read_request(const struct cli *c, struct request *ret) {
        const int64_t now = time(NULL);
        struct request q = {.until = now};
        int r = 0;

        if (c->options & OPTION_TO)
                r = parse_time("--to", c->to, now, true, &q.until);
        q.from = q.until - SECONDS_PER_DAY;
        if (r == 0 && c->options & OPTION_FROM)
                r = parse_time("--from", c->from, now, false, &q.from);
        if (r != 0)
                return r;
        if (q.from >= q.until)
                return fail(EXIT_USAGE, "--from is not before --to");
        q.resolution = finest(q.from, now);
        if (c->options & OPTION_RESOLUTION) {
                for (q.resolution = 0; resolutions[q.resolution]; q.resolution++)
                        if (strcmp(resolutions[q.resolution], c->resolution) == 0)
                                break;
                if (!resolutions[q.resolution])
                        return fail(EXIT_USAGE, "--resolution %s: expected minutes, hours or days", c->resolution);
        }
        if (q.resolution == MINUTES && q.until - q.from > MINUTES_AT_ONCE)
                return fail(EXIT_USAGE, "by minutes, expected 31 days at most (they are kept for 2)");
        if (q.resolution == HOURS && q.until - q.from > HOURS_AT_ONCE)
                return fail(EXIT_USAGE, "by hours, expected 5 years at most (they are kept for 90 days)");
        *ret = q;
        return 0;
}

int check_history(struct cli *c) {
        struct request q = {0};

        if (cli_json(c) && c->options & OPTION_CSV)
                return fail(EXIT_USAGE, "--csv or --json, not both");
        return read_request(c, &q);
}

/* Days that have to do with the time asked for. */
static void keep_days(struct records *rows, const struct request *q) {
        size_t n = 0;

        for (size_t i = 0; i < rows->n; i++) {
                const int64_t begins = rows->rows[i].wall_usec.value / (int64_t)USEC_PER_SEC;

                if (begins < q->until && when_day_begins(rows->rows[i].day + 1) > q->from)
                        rows->rows[n++] = rows->rows[i];
        }
        rows->n = n;
}

static int fetch(struct client *client, const struct request *q, struct records *ret) {
        int r;

        if (q->resolution != DAYS)
                return records_fetch_history(client, resolutions[q->resolution], q->from * (int64_t)USEC_PER_SEC,
                                             q->until * (int64_t)USEC_PER_SEC, ret);
        r = records_fetch_days(client, RECORDS_DAYS_MAX, ret);
        if (r == 0)
                keep_days(ret, q);
        return r;
}

/* Whole days are local ones and have a date; all else has an instant. */
static const char *time_key(const struct request *q) {
        return q->resolution == DAYS ? "date" : "time";
}

static const char *time_text(const struct request *q, const struct record *row, char ret[static WHEN_MAX]) {
        if (q->resolution == DAYS)
                return when_format_day(row->day, ret);
        return row->wall_usec.known ? when_format_utc(row->wall_usec.value, ret) : NULL;
}

static void write_json(const struct request *q, const struct records *rows) {
        char text[WHEN_MAX];
        struct json j;

        json_begin(&j, stdout, true);
        json_object(&j, NULL);
        json_string(&j, "resolution", resolutions[q->resolution]);
        json_string(&j, "from", when_format_utc(q->from * (int64_t)USEC_PER_SEC, text));
        json_string(&j, "until", when_format_utc(q->until * (int64_t)USEC_PER_SEC, text));
        json_array(&j, "rows");
        for (size_t i = 0; i < rows->n; i++) {
                const char *when = time_text(q, &rows->rows[i], text);

                json_object(&j, NULL);
                if (when)
                        json_string(&j, time_key(q), when);
                else
                        json_null(&j, time_key(q));
                record_write(&j, &rows->rows[i]);
                json_close_object(&j);
        }
        json_close_array(&j);
        json_close_object(&j);
        json_end(&j);
}

/* What is unknown is empty. */
static void write_csv(const struct request *q, const struct records *rows) {
        char text[WHEN_MAX], number[FORMAT_MAX];

        fputs(time_key(q), stdout);
        for (int i = 0; i < n_record_columns; i++)
                printf(",%s", record_columns[i].key);
        putchar('\n');
        for (size_t k = 0; k < rows->n; k++) {
                const char *when = time_text(q, &rows->rows[k], text);

                fputs(when ? when : "", stdout);
                for (int i = 0; i < n_record_columns; i++) {
                        const struct maybe64 value = record_value(&rows->rows[k], i);
                        const unsigned decimals = record_columns[i].decimals;

                        printf(",%s", value.known ? format_number(value, decimals, decimals, number) : "");
                }
                putchar('\n');
        }
}

static int draw(const struct cli *c, const struct request *q, const struct records *rows) {
        const struct screen_output how = terminal_output();
        const struct history_view view = {rows->rows, rows->n, q->from * (int64_t)USEC_PER_SEC,
                                          q->until * (int64_t)USEC_PER_SEC, resolutions[q->resolution]};
        struct screen screen = {0};
        int height, width, r;

        if (rows->n == 0) {
                puts("no history is kept of that time");
                return EXIT_OK;
        }
        terminal_frame_size(&height, &width);
        height -= height > 5; /* a line for the next prompt */
        if (c->options & OPTION_SIZE) {
                height = c->rows;
                width = c->columns;
        }
        r = screen_init(&screen, height, width);
        if (r >= 0)
                r = history_frame_draw(&view, &screen);
        if (r >= 0)
                screen_write(&screen, stdout, &how);
        screen_done(&screen);
        return r < 0 ? fail(EXIT_REFUSED, "cannot draw: %s", strerror(-r)) : EXIT_OK;
}

int verb_history(struct cli *c) {
        struct records rows;
        struct request q = {0};
        int r;

        r = read_request(c, &q);
        if (r != 0)
                return r;
        r = fetch(&c->client, &q, &rows);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        if (cli_json(c))
                write_json(&q, &rows);
        else if (c->options & OPTION_CSV)
                write_csv(&q, &rows);
        else
                r = draw(c, &q, &rows);
        records_done(&rows);
        return r;
}
