/* SPDX-License-Identifier: MIT */
#include "story.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "sensor.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

__attribute__((format(printf, 3, 4)))
static int refuse(char *ret_error, size_t size, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(ret_error, size, format, ap);
        va_end(ap);
        return -EINVAL;
}

static int read_number(const char *text, double *ret_value) {
        char *end;
        double value = strtod(text, &end);

        if (end == text || *end != '\0' || !isfinite(value))
                return -EINVAL;
        *ret_value = value;
        return 0;
}

int story_duration(const char *text, usec_t *ret_duration) {
        static const struct {
                char unit;
                double usec;
        } units[] = {{'d', 86400e6}, {'h', 3600e6}, {'m', 60e6}, {'s', 1e6}};
        double sum = 0;

        if (*text == '\0')
                return -EINVAL;
        while (*text) {
                char *end;
                double value = strtod(text, &end);
                size_t i = 0;

                while (i < ELEMENTSOF(units) && units[i].unit != *end)
                        i++;
                if (end == text || i == ELEMENTSOF(units) || !(value >= 0))
                        return -EINVAL;
                sum += value * units[i].usec;
                text = end + 1;
        }
        *ret_duration = (usec_t)llround(sum);
        return 0;
}

int story_range(const char *text, double *ret_low, double *ret_high) {
        const char *dots = strstr(text, "..");
        char low[32];

        if (!dots) {
                if (read_number(text, ret_low) < 0)
                        return -EINVAL;
                *ret_high = *ret_low;
                return 0;
        }
        if ((size_t)(dots - text) >= sizeof(low))
                return -EINVAL;
        memcpy(low, text, (size_t)(dots - text));
        low[dots - text] = '\0';
        if (read_number(low, ret_low) < 0 || read_number(dots + 2, ret_high) < 0 || *ret_low > *ret_high)
                return -EINVAL;
        return 0;
}

/* ---- conditions ----------------------------------------------------------------------------------------------- */

static int find_name(const char *name, int n, const char *(*of)(int)) {
        for (int i = 0; i < n; i++)
                if (strcmp(of(i), name) == 0)
                        return i;
        return -EINVAL;
}

static const char *rule_of(int i) {
        return rule_name((enum rule)i);
}

static const char *hold_of(int i) {
        return hold_name((enum hold_kind)i);
}

static const char *alarm_of(int i) {
        return alarm_name((enum alarm)i);
}

static const char *link_of(int i) {
        return link_state_name((enum link_state)i);
}

static int find_listed(const char *const *names, const char *name) {
        for (int i = 0; names[i]; i++)
                if (strcmp(names[i], name) == 0)
                        return i;
        return -EINVAL;
}

/* "open", "closed by clear", "open by V-min cell 3" */
static int relay_term(struct term *t, char *const *words, size_t n, char *ret_error, size_t size) {
        double cell;

        if (n < 2 || (strcmp(words[1], "open") != 0 && strcmp(words[1], "closed") != 0))
                return refuse(ret_error, size, "a relay is 'open' or 'closed'");
        t->kind = TERM_RELAY;
        t->relay = (enum relay_id)relay_from_name(words[0]);
        t->closed = strcmp(words[1], "closed") == 0;
        if (n == 2)
                return 0;
        if (strcmp(words[2], "by") != 0 || n < 4 || (n > 4 && (n != 6 || strcmp(words[4], "cell") != 0)))
                return refuse(ret_error, size, "expected: %s %s [by RULE [cell N]]", words[0], words[1]);
        t->rule = find_name(words[3], _RULE_MAX, rule_of);
        if (t->rule < 0)
                return refuse(ret_error, size, "no rule is named '%s'", words[3]);
        if (n == 6 && (read_number(words[5], &cell) < 0 || cell < 1 || cell > CELLS_MAX))
                return refuse(ret_error, size, "'%s' is no cell", words[5]);
        t->cell = n == 6 ? (int)cell : 0;
        return 0;
}

static int why_term(struct term *t, char *const *words, size_t n, char *ret_error, size_t size) {
        size_t i = 2;

        if (n < 3 || relay_from_name(words[1]) < 0)
                return refuse(ret_error, size, "expected: why RELAY [includes] KIND...");
        t->kind = TERM_WHY;
        t->relay = (enum relay_id)relay_from_name(words[1]);
        if (strcmp(words[2], "includes") == 0) {
                t->kind = TERM_WHY_AMONG;
                i = 3;
        }
        for (; i < n; i++) {
                int kind = find_name(words[i], _HOLD_MAX, hold_of);

                if (kind < 0)
                        return refuse(ret_error, size, "nothing that holds a relay is named '%s'", words[i]);
                t->set |= 1u << kind;
        }
        return 0;
}

static int alarm_term(struct term *t, char *const *words, size_t n, char *ret_error, size_t size) {
        bool many = strcmp(words[0], "alarms") == 0;

        t->kind = many ? TERM_ALARMS : TERM_ALARM;
        if (n < 2 || (!many && n > 2))
                return refuse(ret_error, size, "expected: alarm NAME, or alarms none|NAME...");
        if (many && n == 2 && strcmp(words[1], "none") == 0)
                return 0;
        for (size_t i = 1; i < n; i++) {
                int alarm = find_name(words[i], _ALARM_MAX, alarm_of);

                if (alarm < 0)
                        return refuse(ret_error, size, "no alarm is named '%s'", words[i]);
                t->set |= 1u << alarm;
        }
        return 0;
}

/* names ALARM WORDS... */
static int names_term(struct term *t, char *const *words, size_t n, char *ret_error, size_t size) {
        t->kind = TERM_NAMES;
        t->which = n > 2 ? find_name(words[1], _ALARM_MAX, alarm_of) : -1;
        if (t->which < 0)
                return refuse(ret_error, size, "expected: names ALARM WORDS...");
        for (size_t i = 2; i < n; i++) {
                size_t at = strlen(t->text);

                (void)snprintf(t->text + at, sizeof(t->text) - at, "%s%s", i > 2 ? " " : "", words[i]);
        }
        return 0;
}

/* rate|openings|closings RELAY RANGE */
static int moves_term(struct term *t, char *const *words, size_t n, char *ret_error, size_t size) {
        t->kind = strcmp(words[0], "rate") == 0 ? TERM_RATE : TERM_MOVES;
        t->closed = strcmp(words[0], "closings") == 0;
        if (n != 3 || relay_from_name(words[1]) < 0 || story_range(words[2], &t->low, &t->high) < 0)
                return refuse(ret_error, size, "expected: %s RELAY A..B", words[0]);
        t->relay = (enum relay_id)relay_from_name(words[1]);
        return 0;
}

static int number_term(struct term *t, char *const *words, size_t n, char *ret_error, size_t size) {
        t->kind = TERM_NUMBER;
        t->which = find_listed(story_numbers, words[0]);
        if (n != 2)
                return refuse(ret_error, size, "expected: %s A..B, or %s unknown", words[0], words[0]);
        t->unknown = strcmp(words[1], "unknown") == 0;
        if (!t->unknown && story_range(words[1], &t->low, &t->high) < 0)
                return refuse(ret_error, size, "'%s' is no range", words[1]);
        return 0;
}

static int read_term(struct term *t, char *const *words, size_t n, char *ret_error, size_t size) {
        *t = (struct term){.rule = -1};
        if (n > 0 && strcmp(words[0], "not") == 0) {
                t->negated = true;
                words++;
                n--;
        }
        if (n == 0)
                return refuse(ret_error, size, "a condition is missing");
        if (relay_from_name(words[0]) >= 0)
                return relay_term(t, words, n, ret_error, size);
        if (strcmp(words[0], "why") == 0)
                return why_term(t, words, n, ret_error, size);
        if (strcmp(words[0], "alarm") == 0 || strcmp(words[0], "alarms") == 0)
                return alarm_term(t, words, n, ret_error, size);
        if (strcmp(words[0], "names") == 0)
                return names_term(t, words, n, ret_error, size);
        if (strcmp(words[0], "rate") == 0 || strcmp(words[0], "openings") == 0 || strcmp(words[0], "closings") == 0)
                return moves_term(t, words, n, ret_error, size);
        if (find_listed(story_numbers, words[0]) >= 0)
                return number_term(t, words, n, ret_error, size);
        if (strcmp(words[0], "link") == 0 && n == 2 && find_name(words[1], _LINK_STATE_MAX, link_of) >= 0) {
                t->kind = TERM_LINK;
                t->which = find_name(words[1], _LINK_STATE_MAX, link_of);
                return 0;
        }
        if (find_listed(story_flags, words[0]) >= 0 && n == 1) {
                t->kind = TERM_FLAG;
                t->which = find_listed(story_flags, words[0]);
                return 0;
        }
        return refuse(ret_error, size, "no condition begins with '%s'", words[0]);
}

int story_condition(char *const *words, size_t n, struct condition *ret_condition, char *ret_error, size_t size) {
        struct condition c = {0};

        for (size_t i = 0, from = 0; i <= n; i++) {
                if (i < n && strcmp(words[i], "and") != 0)
                        continue;
                if (c.n == STORY_TERMS_MAX)
                        return refuse(ret_error, size, "more than %d terms", STORY_TERMS_MAX);
                if (read_term(&c.terms[c.n++], words + from, i - from, ret_error, size) < 0)
                        return -EINVAL;
                from = i + 1;
        }
        for (size_t i = 0; i < n; i++) {
                size_t at = strlen(c.text);

                (void)snprintf(c.text + at, sizeof(c.text) - at, "%s%s", i > 0 ? " " : "", words[i]);
        }
        *ret_condition = c;
        return 0;
}

/* ---- the pack ------------------------------------------------------------------------------------------------- */

#define PACK(field) offsetof(struct story, pack.field)

static const struct {
        const char *name;
        double min, max;
        enum { INTEGER, REAL, TICK } type;
        size_t offset;
} pack_keys[] = {
        {"cells", CELLS_MIN, CELLS_MAX, INTEGER, PACK(cells)},
        {"capacity-ah", 1, 100000, REAL, PACK(capacity_ah)},
        {"soc", 0, 100, REAL, PACK(soc)},
        {"spread", 0, 50, REAL, PACK(spread_percent)},
        {"temperature", -40, 85, REAL, PACK(temperature_c)},
        {"noise-mv", 0, 100, REAL, PACK(noise_mv)},
        {"v-bypass-mv", 3400, 4300, INTEGER, PACK(v_bypass_mv)},
        {"sensors", 1, 2, INTEGER, PACK(sensors)},
        {"blind-spot", 0, 1, TICK, PACK(blind_spot)},
        {"critical", 0, 1, TICK, PACK(critical)},
        {"charge-a", 0, 10000, REAL, PACK(profile.charge_a)},
        {"load-a", 0, 10000, REAL, PACK(profile.load_a)},
        {"start-hour", 0, 24, REAL, PACK(profile.start_hour)},
        {"charger-cell-v", 0, 5, REAL, PACK(charger_cell_v)},
        {"contacts-in-series", 0, 1, TICK, offsetof(struct story, series)},
};

static int pack_word(struct story *s, const char *key, const char *value, char *ret_error, size_t size) {
        double v;

        if (strcmp(key, "profile") == 0) {
                s->pack.profile.kind = strcmp(value, "day") == 0 ? PROFILE_DAY : PROFILE_CONSTANT;
                return strcmp(value, "day") == 0 || strcmp(value, "constant") == 0
                               ? 0
                               : refuse(ret_error, size, "a profile is 'day' or 'constant'");
        }
        if (read_number(value, &v) < 0)
                return refuse(ret_error, size, "'%s' is no number", value);
        if (strcmp(key, "sensor-a") == 0) {
                s->pack.sensor_type = sensor_type_from_rating((int)v);
                return s->pack.sensor_type < 0 ? refuse(ret_error, size, "no sensor is for %s A", value) : 0;
        }
        if (strcmp(key, "seed") == 0) {
                s->pack.seed = (uint64_t)v;
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(pack_keys); i++) {
                char *field = (char *)s + pack_keys[i].offset;

                if (strcmp(pack_keys[i].name, key) != 0)
                        continue;
                if (v < pack_keys[i].min || v > pack_keys[i].max)
                        return refuse(ret_error, size, "%s %s is not within %g..%g", key, value, pack_keys[i].min,
                                      pack_keys[i].max);
                if (pack_keys[i].type == REAL)
                        *(double *)field = v;
                else if (pack_keys[i].type == INTEGER)
                        *(int *)field = (int)v;
                else
                        *(bool *)field = v > 0;
                return 0;
        }
        return refuse(ret_error, size, "a pack has no '%s'", key);
}

int story_pack(struct story *s, char *const *words, size_t n, char *ret_error, size_t size) {
        if (n % 2 != 0)
                return refuse(ret_error, size, "expected: pack NAME VALUE ...");
        for (size_t i = 0; i < n; i += 2)
                if (pack_word(s, words[i], words[i + 1], ret_error, size) < 0)
                        return -EINVAL;
        return 0;
}

/* cell N NAME VALUE ... */
int story_cell(struct story *s, char *const *words, size_t n, char *ret_error, size_t size) {
        double cell, value;

        if (n < 3 || n % 2 != 1 || read_number(words[0], &cell) < 0 || cell < 1 || cell > CELLS_MAX)
                return refuse(ret_error, size, "expected: cell N NAME VALUE ...");
        for (size_t i = 1; i < n; i += 2) {
                struct cell_config *own = &s->pack.own[(int)cell];
                double *field = strcmp(words[i], "capacity-ah") == 0   ? &own->capacity_ah
                                : strcmp(words[i], "soc") == 0         ? &own->soc
                                : strcmp(words[i], "resistance") == 0  ? &own->resistance
                                : strcmp(words[i], "temperature") == 0 ? &own->temperature_c
                                                                       : NULL;

                if (!field || read_number(words[i + 1], &value) < 0)
                        return refuse(ret_error, size, "a cell has capacity-ah, soc, resistance, temperature");
                *field = value;
        }
        return 0;
}
