/* SPDX-License-Identifier: MIT */
#pragma once

/* What smartbmsd publishes, decoded by lib/fields.c and the interface description: plain values, no
 * formatting. A property that the daemon does not send is unknown, so an older daemon never makes up a
 * reading. */

#include "client.h"
#include "fields.h"
#include "settings.h"

#define READING_FIELDS_MAX 64
#define READING_TEXT_MAX 256
#define READING_HOLDS_MAX 32
#define READING_ALARMS_MAX 64

struct reading_value {
        struct maybe64 number;
        char text[READING_TEXT_MAX];
};

/* The scalar fields, by index in fields[]. */
struct reading {
        struct reading_value values[READING_FIELDS_MAX];
};

struct reading_alarm {
        char name[32];
        usec_t age;
        char text[READING_TEXT_MAX];
};

struct reading_manager {
        char version[32], role[16];
        int n_alarms;
        struct reading_alarm alarms[READING_ALARMS_MAX];
};

struct reading_relay {
        bool mapped, closed;
        struct maybe64 confirmed; /* 1 closed, 0 open; none without a feedback input (P16) */
        char reason[READING_TEXT_MAX];
};

struct reading_relays {
        struct reading_relay relay[_RELAY_MAX];
        struct maybe64 recover_seconds;
};

struct reading_hold {
        char name[32], rule[32];
        uint8_t cell;
        struct maybe64 value, limit;
        usec_t remaining;
        char text[READING_TEXT_MAX];
};

struct reading_why {
        bool closed;
        usec_t age;
        char rule[32];
        uint8_t cell;
        struct maybe64 value, limit;
        char reason[READING_TEXT_MAX];
        int n_holds;
        struct reading_hold holds[READING_HOLDS_MAX];
};

struct reading_cell {
        uint8_t number;
        struct maybe64 voltage_mv, temperature_decic;
        usec_t age; /* USEC_INFINITY = never heard */
        bool bypassing, missing, v_red, t_red;
};

struct reading_cells {
        int n;
        struct reading_cell cells[CELLS_MAX];
};

/* Each 0, or an exit code with client.error set. */
int reading_fetch(struct client *c, struct reading *ret);
int reading_fetch_manager(struct client *c, struct reading_manager *ret);
int reading_fetch_relays(struct client *c, struct reading_relays *ret);
int reading_fetch_why(struct client *c, enum relay_id relay, struct reading_why *ret);
int reading_fetch_cells(struct client *c, struct reading_cells *ret);
int reading_fetch_settings(struct client *c, struct settings *ret_values, struct settings *ret_defaults);

/* Of the field with this D-Bus name (asserts that fields[] has it). */
struct maybe64 reading_number(const struct reading *r, const char *property);
const char *reading_text(const struct reading *r, const char *property);
bool reading_true(const struct reading *r, const char *property);

/* Not a live link: what is shown is old, or nothing at all yet. */
bool reading_stale(const struct reading *r);
