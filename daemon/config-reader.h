/* SPDX-License-Identifier: MIT */
#pragma once

/* How values are read from the config's tree, with a problem in its place for each that is not what was
 * expected. For config-yaml.c, config-relays.c, config-lines.c and
 * config-ble.c. */

#include "config.h"
#include "yaml-tree.h"

#define CONFIG_LINES_MAX (_RELAY_MAX * 4U + _LED_MAX + 2U)
#define CONFIG_KEYS_MAX 32U

struct reader {
        struct problems *problems;
        struct config *config;

        /* Nodes for the checks that need the whole file; NULL = absent. */
        const struct node *port, *output, *relays, *settings;

        /* For config-relays.c. */
        enum relay_id relay; /* the one whose mapping is being read */
        const struct node *relay_nodes[_RELAY_MAX];
        const struct node *relay_seen[_RELAY_MAX][CONFIG_KEYS_MAX];
        bool relay_ok[_RELAY_MAX]; /* nothing wrong with it so far */
        bool contacts_v2[_RELAY_MAX];

        /* For config-lines.c. */
        const struct node *line_nodes[CONFIG_LINES_MAX];
        const struct config_line *lines[CONFIG_LINES_MAX];
        size_t n_lines;
};

/* Reports at a node. */
#define COMPLAIN(r, node, ...) problem_add((r)->problems, (node)->line, (node)->column, __VA_ARGS__)

void reader_complain_value(struct reader *r, const struct node *value, const char *expected);

/* The scalar's text, or NULL after saying what was expected. */
const char *reader_scalar(struct reader *r, const struct node *value, const char *expected);

struct word { /* tables end with an empty one */
        const char *text;
        int value;
};

/* The others: true with the value, or false after saying what was expected. */
bool reader_word(struct reader *r, const struct node *value, const struct word *words, const char *expected,
                 int *ret);
void reader_switch(struct reader *r, const struct node *value, bool *ret);

/* A whole number, perhaps followed by its unit. */
bool reader_number(struct reader *r, const struct node *value, long min, long max, const char *unit,
                   const char *expected, long *ret);

/* An absolute path. */
bool reader_path(struct reader *r, const struct node *value, char *ret, size_t size, const char *expected);

struct key { /* tables end with an empty one */
        const char *name;
        void (*read)(struct reader *r, const struct node *value);
};

/* Reads a mapping by a table. ret_seen[i]: the key of row i where it was given. */
bool reader_map(struct reader *r, const struct node *map, const struct key *keys, const char *expected,
                const struct node *ret_seen[CONFIG_KEYS_MAX]);

/* For the first two rows of a "this or that" mapping. */
void reader_check_exactly_one(struct reader *r, const struct node *map, const struct node *const *seen,
                              const char *expected);

/* config-lines.c: "chip-label:offset" or "LINE-NAME", '!' in front for active low; keys whose value is one; and, when
 * the whole file is read, whether one is used twice. */
void reader_line(struct reader *r, const struct node *value, struct config_line *ret);
void reader_leds(struct reader *r, const struct node *value);
void reader_button(struct reader *r, const struct node *value);
void reader_heartbeat(struct reader *r, const struct node *value);
void reader_check_lines(struct reader *r);

/* config-ble.c: the mapping ble:. */
void reader_ble(struct reader *r, const struct node *value);

/* config-relays.c: the mapping relays:, and what only shows when the whole file is read. */
void reader_relays(struct reader *r, const struct node *value);
void reader_check_relays(struct reader *r);
