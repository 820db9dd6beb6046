/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names.h"
#include "yaml-tree.h"

#define KERNEL_NAME_MAX 31U /* chip labels, line names: GPIO_MAX_NAME_SIZE less the end */
#define LINES_MAX (_RELAY_MAX * 4U)
#define KEYS_MAX 32U

static const char *const relay_keys[_RELAY_MAX] = {[RELAY_CHARGE] = "charge", [RELAY_LOAD] = "load"};

struct reader {
        struct problems *problems;
        struct config *config;
        enum relay_id relay;          /* the one whose mapping is being read */
        const struct node *port;      /* values, for the checks that need the whole file; NULL = absent */
        const struct node *output;
        const struct node *relays;
        const struct node *settings;
        const struct node *line_nodes[LINES_MAX];
        const struct config_line *lines[LINES_MAX];
        size_t n_lines;
        const struct node *relay_nodes[_RELAY_MAX];
        const struct node *relay_seen[_RELAY_MAX][KEYS_MAX];
        bool relay_ok[_RELAY_MAX]; /* nothing wrong with it so far */
};

struct key {
        const char *name;
        void (*read)(struct reader *r, const struct node *value);
};

struct word {
        const char *text;
        int value;
};

/* Reports at a node, once. */
#define COMPLAIN(r, node, ...) problem_add((r)->problems, (node)->line, (node)->column, __VA_ARGS__)

/* The scalar's text, or NULL after saying what was expected. */
static const char *scalar(struct reader *r, const struct node *value, const char *expected) {
        if (value->bad)
                return NULL;
        if (value->kind != NODE_SCALAR) {
                COMPLAIN(r, value, "a %s; expected %s", value->kind == NODE_MAP ? "mapping" : "list", expected);
                return NULL;
        }
        if (value->text[0] == '\0') {
                COMPLAIN(r, value, "no value; expected %s", expected);
                return NULL;
        }
        return value->text;
}

static void complain_value(struct reader *r, const struct node *value, const char *expected) {
        char given[48];

        printable(value->text, given, sizeof(given));
        COMPLAIN(r, value, "'%s'; expected %s", given, expected);
}

static bool read_word(struct reader *r, const struct node *value, const struct word *words, const char *expected, int *ret) {
        const char *text = scalar(r, value, expected);
        if (!text)
                return false;
        for (; words->text; words++)
                if (strcmp(words->text, text) == 0) {
                        *ret = words->value;
                        return true;
                }
        complain_value(r, value, expected);
        return false;
}

static void read_switch(struct reader *r, const struct node *value, bool *ret) {
        static const struct word words[] = {{"on", 1}, {"off", 0}, {"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0}, {0}};
        int v;

        if (read_word(r, value, words, "on or off", &v))
                *ret = v;
}

/* A whole number, perhaps with its unit. */
static bool read_number(struct reader *r, const struct node *value, long min, long max, const char *unit, const char *expected,
                        long *ret) {
        const char *text = scalar(r, value, expected);
        char *end;
        long v;

        if (!text)
                return false;
        errno = 0;
        v = strtol(text, &end, 10);
        if (end != text && isdigit((unsigned char) text[0])) {
                if (*end == ' ')
                        end++;
                if (*unit && strcmp(end, unit) == 0)
                        end += strlen(unit);
        }
        if (end == text || *end || !isdigit((unsigned char) text[0]) || errno || v < min || v > max) {
                complain_value(r, value, expected);
                return false;
        }
        *ret = v;
        return true;
}

/* An absolute path without oddities that would hide an equal one. */
static bool read_path(struct reader *r, const struct node *value, char *ret, size_t size, const char *expected) {
        const char *text = scalar(r, value, expected);

        if (!text)
                return false;
        if (text[0] != '/' || text[1] == '\0' || text[strlen(text) - 1] == '/') {
                complain_value(r, value, expected);
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
        const char *names[KEYS_MAX + 1] = {NULL}, *near;
        char given[48], list[224] = "";
        size_t n = 0;

        for (; keys[n].name && n < KEYS_MAX; n++) {
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

static void read_pair(struct reader *r, const struct node *key, const struct node *value, const struct key *keys,
                      const struct node **seen) {
        size_t i;

        if (key->bad)
                return;
        if (key->kind != NODE_SCALAR) {
                COMPLAIN(r, key, "a %s as a key; expected a word", key->kind == NODE_MAP ? "mapping" : "list");
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

/* Reads a mapping by a table that ends with an empty name. ret_seen[i]: the key of row i where it was given. */
static bool read_map(struct reader *r, const struct node *map, const struct key *keys, const char *expected,
                     const struct node *ret_seen[KEYS_MAX]) {
        memset(ret_seen, 0, KEYS_MAX * sizeof(*ret_seen));
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

/* The rows of a "this or that" mapping: exactly one. */
static void check_exactly_one(struct reader *r, const struct node *map, const struct node *const *seen, const char *expected) {
        if (!seen[0] == !seen[1])
                COMPLAIN(r, seen[0] ? seen[1] : map, "%s; expected %s", seen[0] ? "both given" : "neither given", expected);
}

/* --- bms ---------------------------------------------------------------------------------------------------- */

static void read_role(struct reader *r, const struct node *value) {
        static const struct word words[] = {{"gateway", ROLE_GATEWAY}, {"monitor", ROLE_MONITOR}, {0}};
        int v;

        if (read_word(r, value, words, "gateway or monitor", &v))
                r->config->bms.role = (enum role) v;
}

static void read_temperature(struct reader *r, const struct node *value) {
        static const struct word words[] = {{"sheet", TEMPERATURE_SHEET}, {"legacy", TEMPERATURE_LEGACY}, {0}};
        int v;

        if (read_word(r, value, words, "sheet or legacy", &v))
                r->config->bms.coding = (enum temperature_coding) v;
}

static void read_tap(struct reader *r, const struct node *value) {
        static const struct word words[] = {{"in", TAP_IN}, {"last", TAP_LAST}, {0}};
        int v;

        if (read_word(r, value, words, "in or last", &v))
                r->config->bms.tap = (enum link_tap) v;
}

static void read_current_check(struct reader *r, const struct node *value) {
        read_switch(r, value, &r->config->bms.current_check);
}

static void read_deadman(struct reader *r, const struct node *value) {
        read_switch(r, value, &r->config->bms.deadman_on_ineffective);
}

static void read_cells(struct reader *r, const struct node *value) {
        long v;

        if (read_number(r, value, CELLS_MIN, CELLS_MAX, "", "a number of cells from 2 to 255 (leave it out to have it learned)", &v))
                r->config->bms.cells = (uint8_t) v;
}

static void read_sensor_type(struct reader *r, const struct node *value) {
        /* Half the blind spot of each type: 1 % of its rating (chain.md: 400 A has +-4 A). */
        static const struct {
                long ampere;
                int32_t blind_spot_ma;
        } types[] = {{25, 250}, {50, 500}, {100, 1000}, {250, 2500}, {400, 4000}, {500, 5000}, {1000, 10000}, {2000, 20000}};
        static const char expected[] = "25, 50, 100, 250, 400, 500, 1000 or 2000 (A)";
        long v;

        if (!read_number(r, value, 25, 2000, "A", expected, &v))
                return;
        for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
                if (types[i].ampere == v) {
                        r->config->bms.blind_spot_ma = types[i].blind_spot_ma;
                        return;
                }
        complain_value(r, value, expected);
}

/* --- port, output --------------------------------------------------------------------------------------------- */

static void read_port_path(struct reader *r, const struct node *value) {
        (void) read_path(r, value, r->config->port_path, sizeof(r->config->port_path), "an absolute path such as /dev/ttyUSB0");
}

static bool read_hex4(const char **text, uint16_t *ret) {
        unsigned v = 0, n = 0;

        for (; n < 4 && isxdigit((unsigned char) **text); n++, (*text)++)
                v = v * 16 + (unsigned) (isdigit((unsigned char) **text) ? **text - '0' : tolower((unsigned char) **text) - 'a' + 10);
        *ret = (uint16_t) v;
        return n == 4;
}

static void read_port_usb(struct reader *r, const struct node *value) {
        static const char expected[] = "VENDOR:PRODUCT or VENDOR:PRODUCT:SERIAL, the first two in 4 hex digits, such as \"0403:6001\"";
        const char *text = scalar(r, value, expected);
        uint16_t vendor, product;

        if (!text)
                return;
        if (!read_hex4(&text, &vendor) || *text++ != ':' || !read_hex4(&text, &product) || (*text && *text != ':') ||
            (*text == ':' && text[1] == '\0') || strlen(text) > sizeof(r->config->usb_serial)) {
                complain_value(r, value, expected);
                return;
        }
        r->config->port_usb = true;
        r->config->usb_vendor = vendor;
        r->config->usb_product = product;
        if (*text == ':')
                strcpy(r->config->usb_serial, text + 1);
}

static void read_port(struct reader *r, const struct node *value) {
        static const struct key keys[] = {{"path", read_port_path}, {"usb", read_port_usb}, {0}};
        static const char expected[] = "exactly one of path: and usb:";
        const struct node *seen[KEYS_MAX];

        r->port = value;
        if (read_map(r, value, keys, expected, seen))
                check_exactly_one(r, value, seen, expected);
}

static void read_output_port(struct reader *r, const struct node *value) {
        (void) read_path(r, value, r->config->output_port, sizeof(r->config->output_port), "an absolute path such as /dev/ttyUSB1");
}

static void read_output_pty(struct reader *r, const struct node *value) {
        (void) read_path(r, value, r->config->output_pty, sizeof(r->config->output_pty),
                         "the absolute path of the link to make, such as /run/smartbms/output");
}

static void read_output(struct reader *r, const struct node *value) {
        static const struct key keys[] = {{"port", read_output_port}, {"pty", read_output_pty}, {0}};
        static const char expected[] = "exactly one of port: and pty:";
        const struct node *seen[KEYS_MAX];

        r->output = value;
        if (read_map(r, value, keys, expected, seen))
                check_exactly_one(r, value, seen, expected);
}

/* --- relays ----------------------------------------------------------------------------------------------------- */

static bool is_kernel_number(const char *text, size_t length) {
        static const char prefix[] = "gpiochip";
        const char *name = strncmp(text, "/dev/", 5) == 0 ? text + 5 : text;

        if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
                return false;
        name += sizeof(prefix) - 1;
        while (name < text + length && isdigit((unsigned char) *name))
                name++;
        return name == text + length;
}

/* "chip-label:offset" or "LINE-NAME", '!' in front for active low. */
static void read_line(struct reader *r, const struct node *value, struct config_line *ret) {
        static const char expected[] = "\"chip-label:offset\" or \"LINE-NAME\" (both are in gpioinfo's output)";
        const char *text = scalar(r, value, expected), *colon;
        struct config_line line = {.present = true};
        unsigned long offset;
        char *end;

        if (!text)
                return;
        if (*text == '!') {
                line.active_low = true;
                text++;
        }
        colon = strrchr(text, ':');
        size_t length = colon ? (size_t) (colon - text) : strlen(text);
        if (is_kernel_number(text, length)) {
                COMPLAIN(r, value, "'%.48s' names a chip by the kernel's number, which changes (a Pi 5 renumbers its chips); expected %s",
                         value->text, expected);
                return;
        }
        if (length == 0 || length > KERNEL_NAME_MAX) {
                complain_value(r, value, expected);
                return;
        }
        if (colon) {
                errno = 0;
                offset = strtoul(colon + 1, &end, 10);
                if (!isdigit((unsigned char) colon[1]) || *end || errno || offset > UINT16_MAX) {
                        complain_value(r, value, expected);
                        return;
                }
                line.offset = (unsigned) offset;
        }
        memcpy(colon ? line.chip : line.name, text, length);
        *ret = line;
        r->line_nodes[r->n_lines] = value;
        r->lines[r->n_lines++] = ret;
}

static void read_relay_set(struct reader *r, const struct node *value) {
        read_line(r, value, &r->config->relays[r->relay].set);
}

static void read_relay_reset(struct reader *r, const struct node *value) {
        read_line(r, value, &r->config->relays[r->relay].reset);
}

static void read_relay_line(struct reader *r, const struct node *value) {
        read_line(r, value, &r->config->relays[r->relay].line);
}

static void read_relay_feedback(struct reader *r, const struct node *value) {
        read_line(r, value, &r->config->relays[r->relay].feedback);
}

static void read_relay_type(struct reader *r, const struct node *value) {
        static const struct word words[] = {{"latching", true}, {"monostable", false}, {0}};
        int v;

        if (read_word(r, value, words, "latching or monostable", &v))
                r->config->relays[r->relay].latching = v;
}

static void read_relay_pulse(struct reader *r, const struct node *value) {
        long v;

        if (read_number(r, value, 10, 500, "ms", "a pulse of 10 to 500 (ms)", &v))
                r->config->relays[r->relay].pulse_msec = (unsigned) v;
}

enum { KEY_TYPE, KEY_SET, KEY_RESET, KEY_LINE, KEY_PULSE, KEY_FEEDBACK };
static const struct key relay_table[] = {
        [KEY_TYPE] = {"type", read_relay_type},
        [KEY_SET] = {"set", read_relay_set},
        [KEY_RESET] = {"reset", read_relay_reset},
        [KEY_LINE] = {"line", read_relay_line},
        [KEY_PULSE] = {"pulse", read_relay_pulse},
        [KEY_FEEDBACK] = {"feedback", read_relay_feedback},
        {0},
};

/* Which lines a relay of its type needs, and which would mean that the owner has another type in mind. The log driver takes a relay
 * without any: in role monitor "charge: {}" says that it is mapped. */
static void check_relay(struct reader *r) {
        static const unsigned latching_needs[] = {KEY_SET, KEY_RESET}, monostable_needs[] = {KEY_LINE};
        static const unsigned latching_not[] = {KEY_LINE}, monostable_not[] = {KEY_SET, KEY_RESET, KEY_PULSE};
        const struct node *map = r->relay_nodes[r->relay], *const *seen = r->relay_seen[r->relay];
        bool latching = r->config->relays[r->relay].latching;
        const char *type = latching ? "latching" : "monostable";
        const unsigned *needs = latching ? latching_needs : monostable_needs, *not = latching ? latching_not : monostable_not;
        size_t n_needs = latching ? 2 : 1, n_not = latching ? 1 : 3;

        if (!map->child && r->config->relay_driver == RELAY_DRIVER_LOG)
                return;
        if (!seen[KEY_TYPE]) {
                COMPLAIN(r, map, "relay '%s' has no type; expected type: latching or type: monostable", relay_keys[r->relay]);
                return;
        }
        for (size_t i = 0; i < n_needs; i++)
                if (!seen[needs[i]])
                        COMPLAIN(r, map, "relay '%s' is %s but has no '%s' line; expected %s", relay_keys[r->relay], type,
                                 relay_table[needs[i]].name, latching ? "set: and reset:" : "line:");
        for (size_t i = 0; i < n_not; i++)
                if (seen[not[i]])
                        COMPLAIN(r, seen[not[i]], "'%s' does not fit a %s relay; expected %s", relay_table[not[i]].name, type,
                                 latching ? "set: and reset:" : "line:");
}

static void read_relay(struct reader *r, const struct node *value, enum relay_id relay) {
        size_t before = r->problems->n;

        r->relay = relay;
        r->config->relays[relay].present = true;
        r->relay_nodes[relay] = value;
        r->relay_ok[relay] = read_map(r, value, relay_table, "type: latching or monostable, and its lines", r->relay_seen[relay]) &&
                             r->problems->n == before;
}

static void read_relay_charge(struct reader *r, const struct node *value) {
        read_relay(r, value, RELAY_CHARGE);
}

static void read_relay_load(struct reader *r, const struct node *value) {
        read_relay(r, value, RELAY_LOAD);
}

static void read_driver(struct reader *r, const struct node *value) {
        static const struct word words[] = {{"log", RELAY_DRIVER_LOG}, {"gpio", RELAY_DRIVER_GPIO}, {0}};
        int v;

        if (read_word(r, value, words, "log or gpio", &v))
                r->config->relay_driver = (enum relay_driver) v;
}

static void read_relays(struct reader *r, const struct node *value) {
        static const struct key keys[] = {
                {"driver", read_driver}, {"charge", read_relay_charge}, {"load", read_relay_load}, {0}};
        const struct node *seen[KEYS_MAX];

        r->relays = value;
        if (read_map(r, value, keys, "driver:, charge: and load:", seen) && !seen[0])
                COMPLAIN(r, value, "no driver; expected driver: log or driver: gpio");
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

static void read_setting(struct reader *r, const struct node *value, enum setting setting) {
        struct maybe parsed;
        char error[256];
        const char *text;

        text = scalar(r, value, "a value such as 3.65V, 95%, 60s, a word, or unset");
        if (!text)
                return;
        if (setting_parse(setting, text, &parsed, error, sizeof(error)) < 0)
                COMPLAIN(r, value, "%s", error);
        else
                r->config->bms.settings.values[setting] = parsed;
}

static void complain_unknown_setting(struct reader *r, const struct node *key) {
        const char *names[_SETTING_MAX + 1] = {NULL}, *near;
        char given[48];

        for (int i = 0; i < _SETTING_MAX; i++)
                names[i] = setting_info((enum setting) i)->key;
        printable(key->text, given, sizeof(given));
        near = nearest_word(key->text, names);
        if (near)
                COMPLAIN(r, key, "unknown setting '%s'; expected '%s'?", given, near);
        else
                COMPLAIN(r, key, "unknown setting '%s'; expected one of those that smartbms.yaml(5) lists", given);
}

/* By the table of lib/settings.h, so not by struct key. */
static void read_settings(struct reader *r, const struct node *value) {
        const struct node *seen[_SETTING_MAX] = {NULL};
        char error[256];

        r->settings = value;
        if (value->bad)
                return;
        if (value->kind == NODE_SCALAR && value->text[0] == '\0')
                return; /* all lines below it are comments: the defaults */
        if (value->kind != NODE_MAP) {
                COMPLAIN(r, value, "a %s; expected settings such as vmin: 2.80V", value->kind == NODE_LIST ? "list" : "value");
                return;
        }
        size_t before = r->problems->n;
        for (const struct node *key = value->child; key && key->next; key = key->next->next) {
                int setting = key->kind == NODE_SCALAR ? setting_find(key->text) : -ENOENT;
                if (key->bad)
                        continue;
                if (key->kind != NODE_SCALAR)
                        COMPLAIN(r, key, "a %s as a key; expected the name of a setting", key->kind == NODE_MAP ? "mapping" : "list");
                else if (setting < 0)
                        complain_unknown_setting(r, key);
                else if (seen[setting])
                        COMPLAIN(r, key, "key '%s' again; expected once (line %zu has it)", key->text, seen[setting]->line);
                else {
                        seen[setting] = key;
                        read_setting(r, key->next, (enum setting) setting);
                }
        }
        if (r->problems->n == before && settings_check(&r->config->bms.settings, none(), error, sizeof(error)) < 0)
                COMPLAIN(r, value, "%s", error);
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

static void check_lines(struct reader *r) {
        for (size_t i = 1; i < r->n_lines; i++)
                for (size_t j = 0; j < i; j++) {
                        const struct config_line *a = r->lines[i], *b = r->lines[j];
                        if (strcmp(a->chip, b->chip) == 0 && strcmp(a->name, b->name) == 0 && a->offset == b->offset) {
                                COMPLAIN(r, r->line_nodes[i], "'%.40s' is used twice (line %zu); expected a line of its own",
                                         r->line_nodes[i]->text, r->line_nodes[j]->line);
                                break;
                        }
                }
}

static void check_relays(struct reader *r) {
        struct config *c = r->config;

        if (c->relay_driver == RELAY_DRIVER_GPIO) {
                if (c->bms.role == ROLE_GATEWAY) {
                        for (int i = 0; i < _RELAY_MAX; i++)
                                if (!c->relays[i].present)
                                        COMPLAIN(r, r->relays, "driver gpio without the %s relay; role gateway drives both: expected %s: {...}",
                                                 relay_keys[i], relay_keys[i]);
                } else if (!c->relays[RELAY_CHARGE].present && !c->relays[RELAY_LOAD].present)
                        COMPLAIN(r, r->relays, "driver gpio without a relay; expected charge: {...} or load: {...}");
        }
        for (r->relay = 0; r->relay < _RELAY_MAX; r->relay++)
                if (r->relay_ok[r->relay])
                        check_relay(r);
        for (int i = 0; i < _RELAY_MAX; i++)
                c->bms.mapped[i] = c->bms.role == ROLE_GATEWAY || c->relays[i].present;
}

static void check_output(struct reader *r) {
        const struct config *c = r->config;

        if (c->port_path[0] == '\0')
                return;
        if (strcmp(c->output_port, c->port_path) == 0)
                COMPLAIN(r, r->output, "the output port is the input port %.64s; expected another one", c->port_path);
        if (strcmp(c->output_pty, c->port_path) == 0)
                COMPLAIN(r, r->output, "the output's link would replace the input port %.64s; expected another path", c->port_path);
}

/* In role monitor the board's own limits are in force. A limit written here would look as if it protected something. */
static void check_monitor_settings(struct reader *r) {
        static const enum setting useful[] = {SETTING_SOLAR_PEAK, SETTING_INVERTER_PEAK, SETTING_TRIP_FRAMES};

        if (r->config->bms.role != ROLE_MONITOR || !r->settings || r->settings->kind != NODE_MAP)
                return;
        for (const struct node *key = r->settings->child; key && key->next; key = key->next->next) {
                int setting = key->kind == NODE_SCALAR ? setting_find(key->text) : -ENOENT;
                bool ok = setting < 0; /* already reported */
                for (size_t i = 0; i < sizeof(useful) / sizeof(*useful); i++)
                        ok = ok || setting == (int) useful[i];
                if (!ok)
                        COMPLAIN(r, key, "'%s' has no effect in role monitor, the board's own value governs; expected only solar_peak, "
                                 "inverter_peak and trip_frames", key->text);
        }
}

static void read_root(struct reader *r, const struct node *root) {
        static const struct key keys[] = {
                {"role", read_role}, {"port", read_port}, {"temperature", read_temperature}, {"current_check", read_current_check},
                {"tap", read_tap}, {"cells", read_cells}, {"sensor_type", read_sensor_type},
                {"deadman_on_ineffective", read_deadman}, {"relays", read_relays}, {"output", read_output},
                {"settings", read_settings}, {0}};
        const struct node *seen[KEYS_MAX];

        if (!read_map(r, root, keys, "keys such as port: and relays:", seen))
                return;
        if (!r->port)
                COMPLAIN(r, root, "no port; expected port: {path: /dev/...} or port: {usb: \"0403:6001\"}");
        check_relays(r);
        check_lines(r);
        check_output(r);
        check_monitor_settings(r);
}

void config_init(struct config *c) {
        *c = (struct config){
                .bms = {
                        .role = ROLE_GATEWAY,
                        .coding = TEMPERATURE_SHEET,
                        .current_check = true,
                        .tap = TAP_IN,
                        .blind_spot_ma = 1000, /* S5 */
                        .mapped = {true, true},
                },
                .relay_driver = RELAY_DRIVER_LOG,
        };
        for (int i = 0; i < _RELAY_MAX; i++)
                c->relays[i].pulse_msec = 50;
        settings_init(&c->bms.settings);
}

int config_parse(const char *name, const char *text, size_t size, struct config *ret_config, char **ret_error) {
        struct problems problems = {0};
        struct yaml_tree tree = {0};
        struct config config;
        struct reader reader = {.problems = &problems, .config = &config};
        char *error = NULL;
        int r;

        config_init(&config);
        r = yaml_tree_parse(&tree, &problems, text, size);
        if (r == 0 && tree.root)
                read_root(&reader, tree.root);
        else if (r == 0)
                problem_add(&problems, 1, 1, "the file says nothing; expected at least port: {path: /dev/...}");
        yaml_tree_done(&tree);

        if (problems.no_memory)
                r = -ENOMEM;
        else if (r == 0 && problems.n > 0)
                r = -EINVAL;
        if (r == -EINVAL) {
                error = problems_text(&problems, name);
                if (!error)
                        r = -ENOMEM;
        }
        problems_done(&problems);
        if (r == -ENOMEM && asprintf(&error, "%s: out of memory", name) < 0)
                error = NULL;
        if (r < 0)
                *ret_error = error;
        else
                *ret_config = config;
        return r;
}

static int config_error(char **ret_error, const char *path, int r) {
        if (asprintf(ret_error, "%s: cannot be read: %s", path, strerror(-r)) < 0)
                *ret_error = NULL;
        return r;
}

int config_load(const char *path, struct config *ret_config, char **ret_error) {
        char *text;
        size_t size = 0;
        ssize_t n = -1;
        struct stat st;
        int fd, r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not hang us */
        if (fd < 0)
                return config_error(ret_error, path, -errno);
        if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
                (void) close(fd);
                return config_error(ret_error, path, -EISDIR);
        }
        text = malloc(YAML_TREE_SIZE_MAX + 2);
        while (text && size <= YAML_TREE_SIZE_MAX && (n = read(fd, text + size, YAML_TREE_SIZE_MAX + 1 - size)) > 0)
                size += (size_t) n;
        r = !text ? -ENOMEM : n < 0 ? -errno : 0;
        (void) close(fd);
        r = r < 0 ? config_error(ret_error, path, r) : config_parse(path, text, size, ret_config, ret_error);
        free(text);
        return r;
}
