/* SPDX-License-Identifier: MIT */

/* why, release, recover, soc set: the relays' reasons, and the commands that end a hold. */

#include <errno.h>
#include <string.h>

#include "cli.h"
#include "document.h"
#include "format.h"
#include "names.h"
#include "phrases.h"

int check_relay(struct cli *c) {
        return relay_from_name(c->args[0]) >= 0
                       ? 0
                       : fail(EXIT_USAGE, "'%s' is no relay; expected charge or load", c->args[0]);
}

static enum rule rule_by_name(const char *name) {
        for (int i = 0; i < _RULE_MAX; i++)
                if (strcmp(rule_name(i), name) == 0)
                        return i;
        return _RULE_MAX;
}

static enum hold_kind hold_by_name(const char *name) {
        for (int i = 0; i < _HOLD_MAX; i++)
                if (strcmp(hold_name(i), name) == 0)
                        return i;
        return _HOLD_MAX;
}

/* The unit is in the key, so it follows the quantity: "value_v", "limit_degc", "value_percent". A reason
 * without a quantity (link, start) has neither key. */
static void write_quantity(struct json *j, enum quantity quantity, struct maybe64 value,
                           struct maybe64 limit) {
        static const struct {
                const char *value, *limit;
                unsigned decimals;
        } keys[] = {
                [QUANTITY_NONE] = {NULL, NULL, 0},
                [QUANTITY_MV] = {"value_v", "limit_v", 3},
                [QUANTITY_DECIC] = {"value_degc", "limit_degc", 1},
                [QUANTITY_PERMYRIAD] = {"value_percent", "limit_percent", 2},
        };

        if (quantity == QUANTITY_NONE)
                return;
        json_number(j, keys[quantity].value, value, keys[quantity].decimals);
        json_number(j, keys[quantity].limit, limit, keys[quantity].decimals);
}

static void write_cell(struct json *j, uint8_t cell) {
        json_number(j, "cell", cell > 0 ? some64(cell) : none64(), 0);
}

static void write_hold(struct json *j, const struct reading_hold *hold) {
        const enum quantity quantity = hold_quantity(hold_by_name(hold->name), rule_by_name(hold->rule));

        json_object(j, NULL);
        json_string(j, "hold", hold->name);
        json_string(j, "rule", hold->rule);
        write_cell(j, hold->cell);
        write_quantity(j, quantity, hold->value, hold->limit);
        json_number(j, "remaining_s",
                    hold->remaining > 0 ? some64((int64_t)(hold->remaining / USEC_PER_MSEC)) : none64(), 3);
        json_string(j, "text", hold->text);
        json_close_object(j);
}

static void write_why(enum relay_id id, const struct reading_why *why, const struct reading_relay *relay) {
        struct json j;

        json_begin(&j, stdout, true);
        json_object(&j, NULL);
        json_string(&j, "relay", relay_name(id));
        json_bool(&j, "closed", why->closed);
        document_confirmed(&j, relay->confirmed);
        json_bool(&j, "mapped", relay->mapped);
        document_age(&j, why->age);
        json_string(&j, "rule", why->rule);
        write_cell(&j, why->cell);
        write_quantity(&j, rule_quantity(rule_by_name(why->rule)), why->value, why->limit);
        json_string(&j, "reason", why->reason);
        json_array(&j, "holds");
        for (int i = 0; i < why->n_holds; i++)
                write_hold(&j, &why->holds[i]);
        json_close_array(&j);
        json_close_object(&j);
        json_end(&j);
}

static void print_why(enum relay_id id, const struct reading_why *why, const struct reading_relay *relay,
                      bool series, bool other_open) {
        char text[PHRASE_MAX], age[FORMAT_MAX];

        printf("%s relay: %s, for %s\n", relay_name(id), phrase_relay(relay, text),
               format_age(why->age, age));
        printf("because:  %s\n", why->reason);
        if (why->n_holds > 0)
                printf("what holds it open:\n");
        for (int i = 0; i < why->n_holds; i++)
                printf("  - %s\n", why->holds[i].text);
        if (!why->closed && why->n_holds == 0)
                printf("Nothing holds it any more: the next good message may close it.\n");
        /* P11 */
        if (series && !why->closed)
                printf("Both contacts are in series (wiring: series): charging and discharging are both "
                       "off.\n");
        else if (series && other_open)
                printf("Both contacts are in series (wiring: series) and the %s relay is open: no current "
                       "flows\n"
                       "through this one either.\n",
                       relay_name(id == RELAY_CHARGE ? RELAY_LOAD : RELAY_CHARGE));
}

int verb_why(struct cli *c) {
        struct reading reading;
        struct reading_relays relays;
        struct reading_why why;
        struct settings settings;
        const int id = relay_from_name(c->args[0]);
        int r;

        r = reading_fetch(&c->client, &reading);
        if (r == 0)
                r = reading_fetch_relays(&c->client, &relays);
        if (r == 0)
                r = reading_fetch_why(&c->client, id, &why);
        if (r == 0)
                r = reading_fetch_settings(&c->client, &settings, NULL);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        relays.relay[id].closed = why.closed; /* the newer of the two answers */
        if (cli_json(c))
                write_why(id, &why, &relays.relay[id]);
        else
                print_why(id, &why, &relays.relay[id], settings.values[SETTING_WIRING].value == WIRING_SERIES,
                          !relays.relay[id == RELAY_CHARGE ? RELAY_LOAD : RELAY_CHARGE].closed);
        return reading_stale(&reading) ? EXIT_DATA_STALE : EXIT_OK;
}

static int command(struct cli *c, const char *interface, const char *method, const char *text,
                   int64_t number) {
        sd_bus_message *call = NULL, *reply = NULL;
        int r;

        r = client_new_call(&c->client, interface, method, &call);
        if (r == 0) {
                r = text ? sd_bus_message_append(call, "s", text) : sd_bus_message_append(call, "x", number);
                if (r < 0)
                        r = client_bad_reply(&c->client, r);
                else
                        r = client_send(&c->client, call, CLIENT_CHANGE_TIMEOUT_USEC, &reply);
        }
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        return r == 0 ? 0 : fail(r, "%s", c->client.error);
}

int verb_release(struct cli *c) {
        const int id = relay_from_name(c->args[0]);
        int r;

        r = command(c, SMARTBMS_INTERFACE("Relays"), "Release", relay_name(id), 0);
        if (r == 0)
                printf("the %s relay is released: it closes when every other condition holds\n",
                       relay_name(id));
        return r;
}

int check_minutes(struct cli *c) {
        return c->options & OPTION_MINUTES
                       ? 0
                       : fail(EXIT_USAGE, "say for how long: smartbmsctl recover --minutes N (1 to 30)");
}

int verb_recover(struct cli *c) {
        int r;

        r = command(c, SMARTBMS_INTERFACE("Relays"), "Recover", NULL, c->minutes);
        if (r == 0)
                printf("recovering for %d min: start charging now. V-max, temperature and link still hold, "
                       "and\n"
                       "it ends at once when current is drawn.\n",
                       (int)c->minutes);
        return r;
}

int check_percent(struct cli *c) {
        int64_t permyriad;

        switch (parse_percent(c->args[0], &permyriad)) {
        case 0:
                return 0;
        case -ERANGE:
                return fail(EXIT_REFUSED, "'%s' is outside the range (0 %% to 100 %%)", c->args[0]);
        default:
                return fail(EXIT_REFUSED, "'%s' is no percentage; expected 0%% to 100%%, such as 80%%",
                            c->args[0]);
        }
}

int verb_soc_set(struct cli *c) {
        char text[FORMAT_MAX];
        int64_t permyriad = 0;
        int r;

        (void)parse_percent(c->args[0], &permyriad);
        r = command(c, SMARTBMS_INTERFACE("Pack"), "SetSOC", NULL, permyriad);
        if (r == 0)
                printf("state of charge set to %s (a full charge calibrates it)\n",
                       format_quantity(some64(permyriad), 2, 2, "%", text));
        return r;
}
