/* SPDX-License-Identifier: MIT */
#include "config-reader.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *reader_scalar(struct reader *r, const struct node *value, const char *expected) {
        if (value->bad)
                return NULL;
        if (value->kind != NODE_SCALAR) {
                COMPLAIN(r, value, "a %s; expected %s", value->kind == NODE_MAP ? "mapping" : "list",
                         expected);
                return NULL;
        }
        if (value->text[0] == '\0') {
                COMPLAIN(r, value, "no value; expected %s", expected);
                return NULL;
        }
        return value->text;
}

void reader_complain_value(struct reader *r, const struct node *value, const char *expected) {
        char given[48];

        printable(value->text, given, sizeof(given));
        COMPLAIN(r, value, "'%s'; expected %s", given, expected);
}

bool reader_word(struct reader *r, const struct node *value, const struct word *words, const char *expected,
                 int *ret) {
        const char *text = reader_scalar(r, value, expected);
        if (!text)
                return false;
        for (; words->text; words++)
                if (strcmp(words->text, text) == 0) {
                        *ret = words->value;
                        return true;
                }
        reader_complain_value(r, value, expected);
        return false;
}

void reader_switch(struct reader *r, const struct node *value, bool *ret) {
        static const struct word words[] = {{"on", 1},   {"off", 0},   {"yes", 1}, {"no", 0},
                                            {"true", 1}, {"false", 0}, {0}};
        int v;

        if (reader_word(r, value, words, "on or off", &v))
                *ret = v;
}

bool reader_number(struct reader *r, const struct node *value, long min, long max, const char *unit,
                   const char *expected, long *ret) {
        const char *text = reader_scalar(r, value, expected);
        char *end;
        long v;

        if (!text)
                return false;
        errno = 0;
        v = strtol(text, &end, 10);
        if (end != text && isdigit((unsigned char)text[0])) {
                if (*end == ' ')
                        end++;
                if (*unit && strcmp(end, unit) == 0)
                        end += strlen(unit);
        }
        if (end == text || *end || !isdigit((unsigned char)text[0]) || errno || v < min || v > max) {
                reader_complain_value(r, value, expected);
                return false;
        }
        *ret = v;
        return true;
}

bool reader_path(struct reader *r, const struct node *value, char *ret, size_t size, const char *expected) {
        const char *text = reader_scalar(r, value, expected);

        if (!text)
                return false;
        if (text[0] != '/' || text[1] == '\0' || text[strlen(text) - 1] == '/') {
                reader_complain_value(r, value, expected);
                return false;
        }
        if (strlen(text) >= size) {
                COMPLAIN(r, value, "a path of %zu bytes; expected at most %zu", strlen(text), size - 1);
                return false;
        }
        strcpy(ret, text);
        return true;
}

static void complain_unknown_key(struct reader *r, const struct node *key, const struct key *keys) {
        const char *names[CONFIG_KEYS_MAX + 1] = {NULL}, *near;
        char given[48], list[224] = "";
        size_t n = 0;

        for (; keys[n].name && n < CONFIG_KEYS_MAX; n++) {
                names[n] = keys[n].name;
                if (strlen(list) + strlen(names[n]) + 3 < sizeof(list)) {
                        strcat(list, n > 0 ? ", " : "");
                        strcat(list, names[n]);
                }
        }
        printable(key->text, given, sizeof(given));
        near = nearest_word(key->text, names);
        if (near)
                COMPLAIN(r, key, "unknown key '%s'; expected '%s'?", given, near);
        else
                COMPLAIN(r, key, "unknown key '%s'; expected one of %s", given, list);
}

static void read_pair(struct reader *r, const struct node *key, const struct node *value,
                      const struct key *keys, const struct node **seen) {
        size_t i;

        if (key->bad)
                return;
        if (key->kind != NODE_SCALAR) {
                COMPLAIN(r, key, "a %s as a key; expected a word",
                         key->kind == NODE_MAP ? "mapping" : "list");
                return;
        }
        for (i = 0; keys[i].name; i++)
                if (strcmp(keys[i].name, key->text) == 0)
                        break;
        if (!keys[i].name)
                complain_unknown_key(r, key, keys);
        else if (seen[i])
                COMPLAIN(r, key, "key '%s' again; expected once (line %zu has it)", key->text, seen[i]->line);
        else {
                seen[i] = key;
                keys[i].read(r, value);
        }
}

bool reader_map(struct reader *r, const struct node *map, const struct key *keys, const char *expected,
                const struct node *ret_seen[CONFIG_KEYS_MAX]) {
        memset(ret_seen, 0, CONFIG_KEYS_MAX * sizeof(*ret_seen));
        if (map->bad)
                return false;
        if (map->kind != NODE_MAP) {
                COMPLAIN(r, map, "a %s; expected %s", map->kind == NODE_LIST ? "list" : "value", expected);
                return false;
        }
        for (const struct node *key = map->child; key && key->next; key = key->next->next)
                read_pair(r, key, key->next, keys, ret_seen);
        return true;
}

void reader_check_exactly_one(struct reader *r, const struct node *map, const struct node *const *seen,
                              const char *expected) {
        if (!seen[0] == !seen[1])
                COMPLAIN(r, seen[0] ? seen[1] : map, "%s; expected %s",
                         seen[0] ? "both given" : "neither given", expected);
}
