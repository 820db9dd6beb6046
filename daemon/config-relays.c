/* SPDX-License-Identifier: MIT */
#include "config-reader.h"
#include "names.h"

static void read_relay_set(struct reader *r, const struct node *value) {
        reader_line(r, value, &r->config->relays[r->relay].set);
}

static void read_relay_reset(struct reader *r, const struct node *value) {
        reader_line(r, value, &r->config->relays[r->relay].reset);
}

static void read_relay_line(struct reader *r, const struct node *value) {
        reader_line(r, value, &r->config->relays[r->relay].line);
}

static void read_relay_feedback(struct reader *r, const struct node *value) {
        reader_line(r, value, &r->config->relays[r->relay].feedback);
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

/* Manual, "Load relay": a changeover contact of which pin 2 is common. Boards v1.x allow discharging through pins 1 and
 * 2, as the charge relay does, boards v2.x through pins 2 and 3. */
static void read_relay_contacts(struct reader *r, const struct node *value) {
        static const struct word words[] = {{"v1", 1}, {"v2", 2}, {0}};
        int v;

        if (reader_word(r, value, words, "v1 (pins 1 and 2 when allowed) or v2 (pins 2 and 3)", &v))
                r->contacts_v2[r->relay] = v == 2;
}

enum { KEY_TYPE, KEY_SET, KEY_RESET, KEY_LINE, KEY_PULSE, KEY_FEEDBACK, KEY_CONTACTS };
static const struct key relay_table[] = {
        [KEY_TYPE] = {"type", read_relay_type},
        [KEY_SET] = {"set", read_relay_set},
        [KEY_RESET] = {"reset", read_relay_reset},
        [KEY_LINE] = {"line", read_relay_line},
        [KEY_PULSE] = {"pulse", read_relay_pulse},
        [KEY_FEEDBACK] = {"feedback", read_relay_feedback},
        [KEY_CONTACTS] = {"contacts", read_relay_contacts},
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

/* v2 uses the contact that reset closes. A monostable relay's would be closed without current: the load would go on
 * when the daemon dies or a wire comes off. */
static void check_contacts(struct reader *r) {
        const struct node *key = r->relay_seen[r->relay][KEY_CONTACTS];
        struct config_relay *relay = &r->config->relays[r->relay];

        if (!key)
                return;
        if (r->relay == RELAY_CHARGE) {
                COMPLAIN(r, key, "'contacts' is for the load relay; the charge relay's are the same on all boards");
                return;
        }
        if (!r->contacts_v2[r->relay])
                return;
        if (!relay->latching) {
                COMPLAIN(r, key,
                         "contacts v2 of a monostable relay are closed while it has no current: the load would be on "
                         "when nothing works; expected type: latching or contacts: v1");
                return;
        }
        struct config_line set = relay->set;
        relay->set = relay->reset;
        relay->reset = set;
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
                if (r->relay_ok[r->relay]) {
                        check_relay(r);
                        check_contacts(r);
                }
        for (int i = 0; i < _RELAY_MAX; i++)
                c->bms.mapped[i] = c->bms.role == ROLE_GATEWAY || c->relays[i].present;
}
