/* SPDX-License-Identifier: MIT */

/* storage, backup: what is kept on the card, what that costs it, and a copy of it. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "format.h"
#include "json.h"
#include "records.h"

/* Less than this of a run says nothing about a day: starting alone writes as much as an hour. */
#define RUN_MIN_USEC USEC_PER_HOUR

/* Decades of megabytes fit; the run is in whole seconds for that. */
static struct maybe64 per_day(struct maybe64 amount, struct maybe64 run_usec) {
        if (!amount.known || !run_usec.known || run_usec.value < (int64_t)RUN_MIN_USEC)
                return none64();
        return some64(amount.value * 86400 / (run_usec.value / (int64_t)USEC_PER_SEC));
}

static struct maybe64 milliseconds(struct maybe64 usec) {
        return usec.known ? some64(usec.value / (int64_t)USEC_PER_MSEC) : none64();
}

static void write_storage(const struct record_storage *s) {
        struct json j;

        json_begin(&j, stdout, true);
        json_object(&j, NULL);
        json_bool(&j, "open", s->open);
        json_string(&j, "path", s->path);
        json_string(&j, "fault", s->fault);
        json_number(&j, "file_bytes", s->file_bytes, 0);
        json_number(&j, "wal_bytes", s->wal_bytes, 0);
        json_number(&j, "run_s", milliseconds(s->run_usec), 3);
        json_number(&j, "written_bytes", s->written_bytes, 0);
        json_number(&j, "syncs", s->syncs, 0);
        json_number(&j, "written_bytes_per_day", per_day(s->written_bytes, s->run_usec), 0);
        json_number(&j, "syncs_per_day", per_day(s->syncs, s->run_usec), 0);
        json_number(&j, "commit_age_s", milliseconds(s->commit_age_usec), 3);
        json_number(&j, "queued_events", s->queued_events, 0);
        json_number(&j, "queued_minutes", s->queued_minutes, 0);
        json_number(&j, "lost_events", s->lost_events, 0);
        json_number(&j, "lost_minutes", s->lost_minutes, 0);
        json_close_object(&j);
        json_end(&j);
}

static const char *counted(struct maybe64 value, char ret[static FORMAT_MAX]) {
        return format_number(value, 0, 0, ret);
}

static void print_written(const struct record_storage *s) {
        const struct maybe64 bytes = per_day(s->written_bytes, s->run_usec), syncs = per_day(s->syncs, s->run_usec);
        char a[FORMAT_MAX], b[FORMAT_MAX], run[FORMAT_MAX];

        printf("written    %s and %s syncs in %s\n", format_bytes(s->written_bytes, a), counted(s->syncs, b),
               format_age(s->run_usec.known ? (usec_t)s->run_usec.value : 0, run));
        if (bytes.known && syncs.known)
                printf("           at that rate %s and %s syncs a day\n", format_bytes(bytes, a), counted(syncs, b));
        else
                printf("           (too short a run to say how much that is a day)\n");
}

static void print_storage(const struct record_storage *s) {
        char a[FORMAT_MAX], b[FORMAT_MAX];

        printf("database   %s\n", s->path[0] ? s->path : "none");
        printf("state      %s%s%s\n", s->open ? "being written" : "NOT being written", s->fault[0] ? ": " : "",
               s->fault);
        printf("size       %s, and %s of log that goes into it\n", format_bytes(s->file_bytes, a),
               format_bytes(s->wal_bytes, b));
        print_written(s);
        if (s->commit_age_usec.known)
                printf("last       committed %s ago\n", format_age((usec_t)s->commit_age_usec.value, a));
        else
                printf("last       nothing was committed yet\n");
        printf("waiting    %s events, %s minutes\n", counted(s->queued_events, a), counted(s->queued_minutes, b));
        printf("lost       %s events, %s minutes\n", counted(s->lost_events, a), counted(s->lost_minutes, b));
}

int verb_storage(struct cli *c) {
        struct record_storage s;
        int r;

        r = records_fetch_storage(&c->client, &s);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        if (cli_json(c))
                write_storage(&s);
        else
                print_storage(&s);
        return EXIT_OK;
}

/* The daemon may need long for a large one on a slow card. */
#define BACKUP_TIMEOUT_USEC (10 * USEC_PER_MINUTE)

static int finish_backup(int fd, const char *name) {
        char size[FORMAT_MAX];
        struct stat st;

        if (fsync(fd) < 0 || fstat(fd, &st) < 0)
                return fail(EXIT_REFUSED, "cannot finish %s: %s", name, strerror(errno));
        printf("%s: %s\n", name, format_bytes(some64(st.st_size), size));
        return EXIT_OK;
}

/* The file is opened here, with the rights of who asks, and handed over: the daemon's sandbox reaches no file of
 * theirs. */
int verb_backup(struct cli *c) {
        const char *name = c->args[0];
        int fd, r;

        fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return fail(EXIT_REFUSED, "cannot create %s: %s", name, strerror(errno));
        r = client_command(&c->client, SMARTBMS_INTERFACE("Storage"), "Backup", BACKUP_TIMEOUT_USEC, "h", fd);
        r = r != 0 ? fail(r, "%s", c->client.error) : finish_backup(fd, name);
        if (r != EXIT_OK)
                (void)unlink(name); /* half a copy is none */
        close(fd);
        return r;
}
