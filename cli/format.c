/* SPDX-License-Identifier: MIT */
#include "format.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t power_of_ten(unsigned n) {
        uint64_t p = 1;

        while (n-- > 0)
                p *= 10;
        return p;
}

const char *format_number(struct maybe64 value, unsigned decimals, unsigned shown,
                          char ret[static FORMAT_MAX]) {
        uint64_t v;
        bool negative;

        if (!value.known) {
                snprintf(ret, FORMAT_MAX, "unknown");
                return ret;
        }
        negative = value.value < 0;
        v = negative ? UINT64_C(0) - (uint64_t)value.value : (uint64_t)value.value;
        if (shown < decimals) {
                const uint64_t drop = power_of_ten(decimals - shown);

                v = v / drop + (v % drop >= drop / 2);
                decimals = shown;
        }
        /* "-0.0" is no number that anyone wants to read. */
        negative = negative && v > 0;
        if (decimals == 0)
                snprintf(ret, FORMAT_MAX, "%s%" PRIu64, negative ? "-" : "", v);
        else
                snprintf(ret, FORMAT_MAX, "%s%" PRIu64 ".%0*" PRIu64, negative ? "-" : "",
                         v / power_of_ten(decimals), (int)decimals, v % power_of_ten(decimals));
        return ret;
}

const char *format_quantity(struct maybe64 value, unsigned decimals, unsigned shown, const char *unit,
                            char ret[static FORMAT_MAX]) {
        char number[FORMAT_MAX];

        format_number(value, decimals, shown, number);
        if (!value.known || unit[0] == '\0')
                snprintf(ret, FORMAT_MAX, "%s", number);
        else
                snprintf(ret, FORMAT_MAX, "%.30s %.16s", number, unit);
        return ret;
}

const char *format_age(usec_t age, char ret[static FORMAT_MAX]) {
        const uint64_t s = age / USEC_PER_SEC, min = s / 60, h = min / 60;

        if (age == USEC_INFINITY)
                snprintf(ret, FORMAT_MAX, "never");
        else if (s < 10)
                snprintf(ret, FORMAT_MAX, "%" PRIu64 ".%" PRIu64 " s", s, age % USEC_PER_SEC / 100000);
        else if (min < 1)
                snprintf(ret, FORMAT_MAX, "%" PRIu64 " s", s);
        else if (h < 1)
                snprintf(ret, FORMAT_MAX, "%" PRIu64 " min %" PRIu64 " s", min, s % 60);
        else if (h < 24)
                snprintf(ret, FORMAT_MAX, "%" PRIu64 " h %" PRIu64 " min", h, min % 60);
        else
                snprintf(ret, FORMAT_MAX, "%" PRIu64 " d %" PRIu64 " h", h / 24, h % 24);
        return ret;
}

const char *format_energy(struct maybe64 mwh, char ret[static FORMAT_MAX]) {
        if (mwh.known && (mwh.value >= 10000000 || mwh.value <= -10000000))
                return format_quantity(mwh, 6, 2, "kWh", ret);
        return format_quantity(mwh, 3, 0, "Wh", ret);
}

const char *format_bytes(struct maybe64 bytes, char ret[static FORMAT_MAX]) {
        if (!bytes.known || bytes.value < 1000)
                return format_quantity(bytes, 0, 0, "B", ret);
        if (bytes.value < 1000000)
                return format_quantity(bytes, 3, 1, "kB", ret);
        return format_quantity(bytes, 6, 1, "MB", ret);
}

int parse_whole(const char *text, int64_t min, int64_t max, int64_t *ret_value) {
        const bool negative = *text == '-';
        int64_t v = 0;

        text += negative;
        if (!isdigit((unsigned char)*text))
                return -EINVAL;
        for (; isdigit((unsigned char)*text); text++) {
                if (v > INT64_MAX / 10 - 10)
                        return -ERANGE;
                v = v * 10 + (*text - '0');
        }
        if (*text != '\0')
                return -EINVAL;
        v = negative ? -v : v;
        if (v < min || v > max)
                return -ERANGE;
        *ret_value = v;
        return 0;
}

int parse_percent(const char *text, int64_t *ret_permyriad) {
        int64_t v = 0;
        unsigned digits = 0, fraction = 0;

        for (; isdigit((unsigned char)*text); text++, digits++)
                v = v > 1000 ? v : v * 10 + (*text - '0');
        if (digits == 0)
                return -EINVAL;
        v *= 100;
        if (*text == '.') {
                static const int64_t weight[] = {10, 1};

                for (text++; isdigit((unsigned char)*text); text++, fraction++) {
                        if (fraction >= 2)
                                return -EINVAL;
                        v += (*text - '0') * weight[fraction];
                }
                if (fraction == 0)
                        return -EINVAL;
        }
        text += strspn(text, " ");
        if (*text == '%')
                text++;
        if (*text != '\0')
                return -EINVAL;
        if (v > PERMYRIAD_FULL)
                return -ERANGE;
        *ret_permyriad = v;
        return 0;
}

#define EDIT_MAX 40

static size_t min2(size_t a, size_t b) {
        return a < b ? a : b;
}

/* Optimal string alignment distance, three rows at a time. */
size_t edit_distance(const char *a, const char *b) {
        const size_t na = strlen(a), nb = strlen(b);
        size_t rows[3][EDIT_MAX + 1];

        if (na > EDIT_MAX || nb > EDIT_MAX)
                return na > nb ? na : nb;
        for (size_t j = 0; j <= nb; j++)
                rows[0][j] = j;
        for (size_t i = 1; i <= na; i++) {
                size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];

                row[0] = i;
                for (size_t j = 1; j <= nb; j++) {
                        const int ca = tolower((unsigned char)a[i - 1]),
                                  cb = tolower((unsigned char)b[j - 1]);

                        row[j] = min2(above[j - 1] + (ca != cb), min2(above[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                            cb == tolower((unsigned char)a[i - 2]))
                                row[j] = min2(row[j], second[j - 2] + 1);
                }
        }
        return rows[na % 3][nb];
}

/* A prefix of four letters or more counts as near whatever is missing: "charge_r" for "charge_restart". */
const char *nearest(const char *text, const char *(*candidate)(size_t i), size_t n) {
        const size_t length = strlen(text);
        size_t best = length / 3 + 2; /* short words allow one edit, longer ones more */
        const char *found = NULL;

        for (size_t i = 0; i < n; i++) {
                const char *name = candidate(i);
                size_t d = edit_distance(text, name);

                if (length >= 4 && strncasecmp(text, name, length) == 0)
                        d = min2(d, 1);
                if (d < best) {
                        best = d;
                        found = name;
                }
        }
        return found;
}
