/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX 160
#define SECONDS_MAX 1e9

struct line {
        usec_t at;
        unsigned number;
        char command[COMMAND_MAX];
};

struct scenario {
        struct line *lines;
        size_t n, next;
};

struct scenario *scenario_free(struct scenario *s) {
        if (!s)
                return NULL;
        free(s->lines);
        free(s);
        return NULL;
}

/* "1d6h30m", "90s", "1.5h". */
static int parse_time(const char *text, usec_t *ret_usec) {
        static const struct {
                char unit;
                double seconds;
        } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
        double sum = 0;
        size_t unit = 0;

        if (*text == '\0')
                return -EINVAL;
        while (*text != '\0') {
                char *end;
                double value = *text >= '0' && *text <= '9' ? strtod(text, &end) : -1;

                if (value < 0)
                        return -EINVAL;
                while (unit < sizeof(units) / sizeof(units[0]) && units[unit].unit != *end)
                        unit++;
                if (unit == sizeof(units) / sizeof(units[0]))
                        return -EINVAL;
                sum += value * units[unit++].seconds;
                text = end + 1;
        }
        if (!(sum <= SECONDS_MAX))
                return -EINVAL;
        *ret_usec = (usec_t)(sum * 1e6 + 0.5);
        return 0;
}

static int add_line(struct scenario *s, const struct line *line) {
        struct line *lines = realloc(s->lines, (s->n + 1) * sizeof(*lines));

        if (!lines)
                return -ENOMEM;
        s->lines = lines;
        s->lines[s->n++] = *line;
        return 0;
}

static char *trim(char *text) {
        size_t n;

        text += strspn(text, " \t\r\n");
        n = strlen(text);
        while (n > 0 && strchr(" \t\r\n", text[n - 1]))
                text[--n] = '\0';
        return text;
}

static int parse_line(struct scenario *s, char *text, unsigned number, char *ret_error, size_t size) {
        usec_t before = s->n > 0 ? s->lines[s->n - 1].at : 0;
        struct line line = {.number = number};
        char *command, *hash = strchr(text, '#');
        bool relative;

        if (hash)
                *hash = '\0';
        text = trim(text);
        if (*text == '\0')
                return 0;
        relative = *text == '+';
        text += relative;
        command = text + strcspn(text, " \t");
        if (*command != '\0')
                *command++ = '\0';
        command = trim(command);
        if (parse_time(text, &line.at) < 0) {
                (void)snprintf(ret_error, size,
                               "line %u: '%s' where a time like 90s, 10m or 1d6h30m was expected", number, text);
                return -EINVAL;
        }
        line.at += relative ? before : 0;
        if (line.at < before) {
                (void)snprintf(ret_error, size, "line %u: it comes before the line before it", number);
                return -EINVAL;
        }
        if (*command == '\0' || strlen(command) >= sizeof(line.command)) {
                (void)snprintf(ret_error, size, "line %u: a command of up to %d characters was expected", number,
                               COMMAND_MAX - 1);
                return -EINVAL;
        }
        (void)strcpy(line.command, command);
        return add_line(s, &line);
}

int scenario_load(const char *path, struct scenario **ret, char *ret_error, size_t size) {
        struct scenario *s = calloc(1, sizeof(*s));
        FILE *file = fopen(path, "re");
        unsigned number = 0;
        char text[512];
        int r = 0;

        if (!s || !file) {
                r = s ? -errno : -ENOMEM;
                (void)snprintf(ret_error, size, "%s", strerror(-r));
        }
        while (r == 0 && fgets(text, sizeof(text), file)) {
                number++;
                if (!strchr(text, '\n') && !feof(file)) {
                        (void)snprintf(ret_error, size, "line %u is too long", number);
                        r = -EINVAL;
                } else
                        r = parse_line(s, text, number, ret_error, size);
        }
        if (r == 0 && ferror(file)) {
                (void)snprintf(ret_error, size, "cannot be read");
                r = -EIO;
        }
        if (file)
                (void)fclose(file); /* only read */
        if (r < 0) {
                (void)scenario_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

const char *scenario_get(const struct scenario *s, size_t i, unsigned *ret_line, usec_t *ret_at) {
        if (i >= s->n)
                return NULL;
        *ret_line = s->lines[i].number;
        *ret_at = s->lines[i].at;
        return s->lines[i].command;
}

const char *scenario_next(struct scenario *s, usec_t now, unsigned *ret_line) {
        if (s->next == s->n || s->lines[s->next].at > now)
                return NULL;
        *ret_line = s->lines[s->next].number;
        return s->lines[s->next++].command;
}
