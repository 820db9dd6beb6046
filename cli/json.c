/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <assert.h>

#include "format.h"

/* Length of the valid UTF-8 sequence at s, 0 if there is none (RFC 3629: no overlong forms, no surrogates).
 */
static unsigned utf8_length(const unsigned char *s) {
        const unsigned n = s[0] < 0x80   ? 1
                           : s[0] < 0xC2 ? 0
                           : s[0] < 0xE0 ? 2
                           : s[0] < 0xF0 ? 3
                           : s[0] < 0xF5 ? 4
                                         : 0;

        for (unsigned i = 1; i < n; i++)
                if ((s[i] & 0xC0) != 0x80)
                        return 0;
        if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) ||
            (s[0] == 0xF4 && s[1] > 0x8F))
                return 0;
        return n;
}

static void write_string(FILE *f, const char *value) {
        const unsigned char *s = (const unsigned char *)value;

        fputc('"', f);
        while (*s) {
                const unsigned n = utf8_length(s);

                if (n == 0) {
                        fputs("\\ufffd", f);
                        s++;
                        continue;
                }
                if (*s == '"' || *s == '\\')
                        fprintf(f, "\\%c", *s);
                else if (*s < 0x20 || *s == 0x7F)
                        fprintf(f, "\\u%04x", *s);
                else
                        fwrite(s, 1, n, f);
                s += n;
        }
        fputc('"', f);
}

static void new_line(struct json *j) {
        if (!j->pretty)
                return;
        fputc('\n', j->f);
        for (unsigned i = 0; i < j->depth; i++)
                fputs("  ", j->f);
}

static void start_value(struct json *j, const char *key) {
        if (j->depth > 0) {
                if (j->filled[j->depth - 1])
                        fputc(',', j->f);
                new_line(j);
                j->filled[j->depth - 1] = true;
        }
        if (key) {
                write_string(j->f, key);
                fputs(j->pretty ? ": " : ":", j->f);
        }
}

static void open_container(struct json *j, const char *key, char bracket) {
        start_value(j, key);
        assert(j->depth < JSON_DEPTH_MAX);
        fputc(bracket, j->f);
        j->filled[j->depth++] = false;
}

static void close_container(struct json *j, char bracket) {
        assert(j->depth > 0);
        const bool filled = j->filled[--j->depth];

        if (filled)
                new_line(j);
        fputc(bracket, j->f);
}

void json_begin(struct json *j, FILE *f, bool pretty) {
        *j = (struct json){.f = f, .pretty = pretty};
}

void json_end(struct json *j) {
        assert(j->depth == 0);
        fputc('\n', j->f);
}

void json_object(struct json *j, const char *key) {
        open_container(j, key, '{');
}

void json_array(struct json *j, const char *key) {
        open_container(j, key, '[');
}

void json_close_object(struct json *j) {
        close_container(j, '}');
}

void json_close_array(struct json *j) {
        close_container(j, ']');
}

void json_string(struct json *j, const char *key, const char *value) {
        start_value(j, key);
        write_string(j->f, value);
}

void json_bool(struct json *j, const char *key, bool value) {
        start_value(j, key);
        fputs(value ? "true" : "false", j->f);
}

void json_null(struct json *j, const char *key) {
        start_value(j, key);
        fputs("null", j->f);
}

void json_number(struct json *j, const char *key, struct maybe64 value, unsigned decimals) {
        char text[FORMAT_MAX];

        if (!value.known) {
                json_null(j, key);
                return;
        }
        start_value(j, key);
        fputs(format_number(value, decimals, decimals, text), j->f);
}
