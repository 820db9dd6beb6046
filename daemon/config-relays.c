/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config-reader.h"
#include "names.h"

#define KERNEL_NAME_MAX 31U /* chip labels, line names: GPIO_MAX_NAME_SIZE less the end */

static bool is_kernel_number(const char *text, size_t length) {
        static const char prefix[] = "gpiochip";
        const char *name = strncmp(text, "/dev/", 5) == 0 ? text + 5 : text;

        if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
                return false;
        name += sizeof(prefix) - 1;
        while (name < text + length && isdigit((unsigned char)*name))
                name++;
        return name == text + length;
}

/* "chip-label:offset" or "LINE-NAME", '!' in front for active low. */
static void read_line(struct reader *r, const struct node *value, struct config_line *ret) {
        static const char expected[] =
                "\"chip-label:offset\" or \"LINE-NAME\" (both are in gpioinfo's output)";
        const char *text = reader_scalar(r, value, expected), *colon;
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
        size_t length = colon ? (size_t)(colon - text) : strlen(text);
        if (is_kernel_number(text, length)) {
                COMPLAIN(r, value,
                         "'%.48s' names a chip by the kernel's number, which changes (a Pi 5 renumbers its "
                         "chips); expected %s",
                         value->text, expected);
                return;
        }
        if (length == 0 || length > KERNEL_NAME_MAX) {
                reader_complain_value(r, value, expected);
                return;
        }
        if (colon) {
                errno = 0;
                offset = strtoul(colon + 1, &end, 10);
                if (!isdigit((unsigned char)colon[1]) || *end || errno || offset > UINT16_MAX) {
                        reader_complain_value(r, value, expected);
                        return;
                }
                line.offset = (unsigned)offset;
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

        if (reader_word(r, value, words, "latching or monostable", &v))
                r->config->relays[r->relay].latching = v;
}

static void read_relay_pulse(struct reader *r, const struct node *value) {
        long v;

        if (reader_number(r, value, 10, 500, "ms", "a pulse of 10 to 500 (ms)", &v))
                r->config->relays[r->relay].pulse_msec = (unsigned)v;
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

/* Which lines a relay of its type needs, and which would mean that the owner has another type in mind. The
 * log driver takes a relay without any: in role monitor "charge: {}" says that it is mapped. */
static void check_relay(struct reader *r) {
        static const unsigned latching_needs[] = {KEY_SET, KEY_RESET}, monostable_needs[] = {KEY_LINE};
        static const unsigned latching_not[] = {KEY_LINE}, monostable_not[] = {KEY_SET, KEY_RESET, KEY_PULSE};
        const struct node *map = r->relay_nodes[r->relay], *const *seen = r->relay_seen[r->relay];
        bool latching = r->config->relays[r->relay].latching;
        const char *type = latching ? "latching" : "monostable";
        const unsigned *needs = latching ? latching_needs : monostable_needs,
                       *not = latching ? latching_not : monostable_not;
        size_t n_needs = latching ? 2 : 1, n_not = latching ? 1 : 3;

        if (!map->child && r->config->relay_driver == RELAY_DRIVER_LOG)
                return;
        if (!seen[KEY_TYPE]) {
                COMPLAIN(r, map, "relay '%s' has no type; expected type: latching or type: monostable",
                         relay_name(r->relay));
                return;
        }
        for (size_t i = 0; i < n_needs; i++)
                if (!seen[needs[i]])
                        COMPLAIN(r, map, "relay '%s' is %s but has no '%s' line; expected %s",
                                 relay_name(r->relay), type, relay_table[needs[i]].name,
                                 latching ? "set: and reset:" : "line:");
        for (size_t i = 0; i < n_not; i++)
                if (seen[not [i]])
                        COMPLAIN(r, seen[not [i]], "'%s' does not fit a %s relay; expected %s",
                                 relay_table[not [i]].name, type, latching ? "set: and reset:" : "line:");
}

static void read_relay(struct reader *r, const struct node *value, enum relay_id relay) {
        size_t before = r->problems->n;

        r->relay = relay;
        r->config->relays[relay].present = true;
        r->relay_nodes[relay] = value;
        r->relay_ok[relay] = reader_map(r, value, relay_table, "type: latching or monostable, and its lines",
                                        r->relay_seen[relay]) &&
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

        if (reader_word(r, value, words, "log or gpio", &v))
                r->config->relay_driver = (enum relay_driver)v;
}

void reader_relays(struct reader *r, const struct node *value) {
        static const struct key keys[] = {
                {"driver", read_driver}, {"charge", read_relay_charge}, {"load", read_relay_load}, {0}};
        const struct node *seen[CONFIG_KEYS_MAX];

        r->relays = value;
        if (reader_map(r, value, keys, "driver:, charge: and load:", seen) && !seen[0])
                COMPLAIN(r, value, "no driver; expected driver: log or driver: gpio");
}

static void check_lines(struct reader *r) {
        for (size_t i = 1; i < r->n_lines; i++)
                for (size_t j = 0; j < i; j++) {
                        const struct config_line *a = r->lines[i], *b = r->lines[j];
                        if (strcmp(a->chip, b->chip) == 0 && strcmp(a->name, b->name) == 0 &&
                            a->offset == b->offset) {
                                COMPLAIN(r, r->line_nodes[i],
                                         "'%.40s' is used twice (line %zu); expected a line of its own",
                                         r->line_nodes[i]->text, r->line_nodes[j]->line);
                                break;
                        }
                }
}

void reader_check_relays(struct reader *r) {
        struct config *c = r->config;

        if (c->relay_driver == RELAY_DRIVER_GPIO) {
                if (c->bms.role == ROLE_GATEWAY) {
                        for (int i = 0; i < _RELAY_MAX; i++)
                                if (!c->relays[i].present)
                                        COMPLAIN(r, r->relays,
                                                 "driver gpio without the %s relay; role gateway drives "
                                                 "both: expected %s: {...}",
                                                 relay_name((enum relay_id)i), relay_name((enum relay_id)i));
                } else if (!c->relays[RELAY_CHARGE].present && !c->relays[RELAY_LOAD].present)
                        COMPLAIN(r, r->relays,
                                 "driver gpio without a relay; expected charge: {...} or load: {...}");
        }
        for (r->relay = 0; r->relay < _RELAY_MAX; r->relay++)
                if (r->relay_ok[r->relay])
                        check_relay(r);
        for (int i = 0; i < _RELAY_MAX; i++)
                c->bms.mapped[i] = c->bms.role == ROLE_GATEWAY || c->relays[i].present;
        check_lines(r);
}
