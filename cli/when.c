/* SPDX-License-Identifier: MIT */
#include "when.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECONDS_PER_DAY 86400

/* n digits; moves on. */
static bool take_digits(const char **p, int n, int *ret) {
        int v = 0;

        for (; n > 0; n--, (*p)++) {
                if (!isdigit((unsigned char)**p))
                        return false;
                v = v * 10 + (**p - '0');
        }
        *ret = v;
        return true;
}

static bool take(const char **p, char c) {
        if (**p != c)
                return false;
        (*p)++;
        return true;
}

static bool same_time(const struct tm *a, const struct tm *b) {
        return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday &&
               a->tm_hour == b->tm_hour && a->tm_min == b->tm_min;
}

static struct tm local(int64_t t) {
        time_t seconds = t;
        struct tm tm;

        localtime_r(&seconds, &tm);
        return tm;
}

/* Local time to seconds. The fields may be out of range by days and months. Where a day has the time twice: its
 * first. */
static int64_t local_seconds(const struct tm *fields) {
        struct tm standard = *fields, summer = *fields, either = *fields;
        time_t a, b, c;

        standard.tm_isdst = 0;
        summer.tm_isdst = 1;
        either.tm_isdst = -1;
        c = mktime(&either); /* also brings the fields into range, for comparing */
        a = mktime(&standard);
        b = mktime(&summer);
        /* mktime() changes what it was told if the other kind of time holds then */
        if (standard.tm_isdst == 0 && summer.tm_isdst > 0 && same_time(&standard, &summer))
                return a < b ? a : b;
        return c;
}

static int days_in_month(int year, int month) {
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        return month == 2 && leap ? 29 : days[month - 1];
}

/* "14:00", "14:00:30" */
static bool take_time(const char **p, struct tm *tm) {
        if (!take_digits(p, 2, &tm->tm_hour) || !take(p, ':') || !take_digits(p, 2, &tm->tm_min))
                return false;
        if (take(p, ':') && !take_digits(p, 2, &tm->tm_sec))
                return false;
        return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

static int parse_date(const char *text, bool until, int64_t *ret) {
        struct tm tm = {0};
        int year, month;

        if (!take_digits(&text, 4, &year) || !take(&text, '-') || !take_digits(&text, 2, &month) ||
            !take(&text, '-') || !take_digits(&text, 2, &tm.tm_mday))
                return -EINVAL;
        if (year < 1970 || month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > days_in_month(year, month))
                return -EINVAL;
        tm.tm_year = year - 1900;
        tm.tm_mon = month - 1;
        if (!*text) {
                tm.tm_mday += until;
                *ret = local_seconds(&tm);
                return 0;
        }
        if ((!take(&text, 'T') && !take(&text, ' ')) || !take_time(&text, &tm))
                return -EINVAL;
        if (strcmp(text, "Z") == 0) {
                *ret = timegm(&tm);
                return 0;
        }
        if (*text)
                return -EINVAL;
        *ret = local_seconds(&tm);
        return 0;
}

/* Midnight that began the local day of t, days later. */
static int64_t midnight(int64_t t, int days) {
        struct tm tm = local(t);

        tm.tm_mday += days;
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        return local_seconds(&tm);
}

static int parse_ago(const char *text, int64_t now, int64_t *ret) {
        static const struct {
                const char *unit;
                int64_t seconds;
        } units[] = {{"s", 1}, {"min", 60}, {"h", 3600}};
        struct tm tm = local(now);
        int n = 0;

        if (!isdigit((unsigned char)*text))
                return -EINVAL;
        for (; isdigit((unsigned char)*text); text++) {
                n = n * 10 + (*text - '0');
                if (n > 1000000)
                        return -EINVAL;
        }
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
                if (strcmp(text, units[i].unit) == 0) {
                        *ret = now - n * units[i].seconds;
                        return 0;
                }
        if (strcmp(text, "d") != 0)
                return -EINVAL;
        tm.tm_mday -= n;
        *ret = local_seconds(&tm);
        return 0;
}

int when_parse(const char *text, int64_t now, bool until, int64_t *ret) {
        if (strcmp(text, "now") == 0) {
                *ret = now;
                return 0;
        }
        if (strcmp(text, "today") == 0) {
                *ret = midnight(now, until);
                return 0;
        }
        if (strcmp(text, "yesterday") == 0) {
                *ret = midnight(now, until - 1);
                return 0;
        }
        return text[0] == '-' ? parse_ago(text + 1, now, ret) : parse_date(text, until, ret);
}

int64_t when_day_begins(int64_t day) {
        time_t t = day * SECONDS_PER_DAY;
        struct tm tm;

        gmtime_r(&t, &tm);
        return local_seconds(&tm);
}

int64_t when_day_of(int64_t t) {
        struct tm tm = local(t);

        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        return timegm(&tm) / SECONDS_PER_DAY;
}

const char *when_format(int64_t t, char ret[static WHEN_MAX]) {
        const struct tm tm = local(t);

        if (strftime(ret, WHEN_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
                ret[0] = '\0';
        return ret;
}

const char *when_format_minutes(int64_t t, char ret[static WHEN_MAX]) {
        const struct tm tm = local(t);

        if (strftime(ret, WHEN_MAX, "%Y-%m-%d %H:%M", &tm) == 0)
                ret[0] = '\0';
        return ret;
}

const char *when_format_day(int64_t day, char ret[static WHEN_MAX]) {
        time_t t = day * SECONDS_PER_DAY;
        struct tm tm;

        gmtime_r(&t, &tm);
        if (strftime(ret, WHEN_MAX, "%Y-%m-%d", &tm) == 0)
                ret[0] = '\0';
        return ret;
}

const char *when_format_utc(int64_t usec, char ret[static WHEN_MAX]) {
        time_t t = usec / 1000000;
        char seconds[24];
        struct tm tm;

        gmtime_r(&t, &tm);
        if (strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
                seconds[0] = '\0';
        snprintf(ret, WHEN_MAX, "%s.%03uZ", seconds, (unsigned)(usec / 1000 % 1000));
        return ret;
}

/* ---- marks ------------------------------------------------------------------------------------------------------ */

/* From fine to coarse. Minutes within an hour, hours within a day, days by their number, months. */
static const struct {
        enum { MARK_MINUTES, MARK_HOURS, MARK_DAYS, MARK_MONTHS } unit;
        int step;
} steps[] = {
        {MARK_MINUTES, 1}, {MARK_MINUTES, 5}, {MARK_MINUTES, 10}, {MARK_MINUTES, 30}, {MARK_HOURS, 1},
        {MARK_HOURS, 2},   {MARK_HOURS, 3},   {MARK_HOURS, 6},    {MARK_HOURS, 12},   {MARK_DAYS, 1},
        {MARK_DAYS, 2},    {MARK_DAYS, 7},    {MARK_DAYS, 14},    {MARK_MONTHS, 1},   {MARK_MONTHS, 3},
        {MARK_MONTHS, 12},
};

/* The first place where a mark could be at or before t; and, n steps on, by local time. */
static int64_t mark_place(int64_t t, size_t step, int n) {
        struct tm tm = local(t);

        tm.tm_sec = 0;
        switch (steps[step].unit) {
        case MARK_MINUTES:
                tm.tm_min = n * steps[step].step;
                break;
        case MARK_HOURS:
                tm.tm_min = 0;
                tm.tm_hour = n * steps[step].step;
                break;
        case MARK_DAYS:
                tm.tm_min = tm.tm_hour = 0;
                tm.tm_mday += n * steps[step].step - (int)(when_day_of(t) % steps[step].step);
                break;
        case MARK_MONTHS:
                tm.tm_min = tm.tm_hour = 0;
                tm.tm_mday = 1;
                tm.tm_mon += n * steps[step].step - tm.tm_mon % steps[step].step;
                break;
        }
        return local_seconds(&tm);
}

static void label(struct when_mark *mark, size_t step) {
        const struct tm tm = local(mark->at);
        const size_t size = sizeof(mark->label);
        size_t n;

        if (steps[step].unit == MARK_MONTHS)
                n = tm.tm_mon == 0 ? strftime(mark->label, size, "%Y", &tm) : strftime(mark->label, size, "%b", &tm);
        else if (tm.tm_hour == 0 && tm.tm_min == 0)
                n = strftime(mark->label, size, "%d %b", &tm);
        else
                n = strftime(mark->label, size, "%H:%M", &tm);
        if (n == 0)
                mark->label[0] = '\0';
}

/* Not where the clock was put forward over it. */
static bool is_round(int64_t at, size_t step) {
        return steps[step].unit != MARK_HOURS || local(at).tm_hour % steps[step].step == 0;
}

/* Their number, or -1: more than max. */
static int marks_by(int64_t from, int64_t until, size_t step, int max, struct when_mark *ret) {
        int found = 0;

        for (int n = 0;; n++) {
                int64_t at = mark_place(from, step, n);

                if (at >= until)
                        return found;
                if (at < from || (found > 0 && at <= ret[found - 1].at) || !is_round(at, step))
                        continue;
                if (found == max)
                        return -1;
                ret[found].at = at;
                label(&ret[found++], step);
        }
}

int when_marks(int64_t from, int64_t until, int max, struct when_mark ret[static WHEN_MARKS_MAX]) {
        if (max > WHEN_MARKS_MAX)
                max = WHEN_MARKS_MAX;
        for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
                int n = marks_by(from, until, step, max, ret);

                if (n >= 0)
                        return n;
        }
        return 0;
}
