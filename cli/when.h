/* SPDX-License-Identifier: MIT */
#pragma once

/* Points in time as a person writes and reads them, in local time (TZ), where days have 23, 24 or 25 hours. The clock
 * is an argument: seconds since 1970 UTC everywhere. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEN_MAX 32

/* What when_parse() takes, for sentences. */
#define WHEN_FORMS "2026-11-26, 2026-11-26T14:00, today, yesterday, now, -24h or -7d"

/* As WHEN_FORMS; also with seconds, with a blank for the T, with Z for UTC, and -90min. "-7d" is the same time of day
 * seven days ago, however long they were; "-24h" is 24 hours. A day without a time is its beginning; until: its end. A
 * time that a day has twice is the first of them; one that it leaves out is as much later as it leaves out. 0 or
 * -EINVAL. */
int when_parse(const char *text, int64_t now, bool until, int64_t *ret);

/* Local midnight of a day (days since 1970-01-01), and the other way round. */
int64_t when_day_begins(int64_t day);
int64_t when_day_of(int64_t t);

const char *when_format(int64_t t, char ret[static WHEN_MAX]);            /* "2026-11-26 14:02:11", local */
const char *when_format_minutes(int64_t t, char ret[static WHEN_MAX]);    /* "2026-11-26 14:02", local */
const char *when_format_day(int64_t day, char ret[static WHEN_MAX]);      /* "2026-11-26" */
const char *when_format_utc(int64_t usec, char ret[static WHEN_MAX]);     /* "2026-11-26T13:02:11.250Z" */

/* Where to put marks on an axis from from to before until: at most max of them, at round local times. */
#define WHEN_MARKS_MAX 64
struct when_mark {
        int64_t at;
        char label[8]; /* "14:00", "26 Nov" at midnight, "Nov" or "2026" on long axes */
};
int when_marks(int64_t from, int64_t until, int max, struct when_mark ret[static WHEN_MARKS_MAX]);
