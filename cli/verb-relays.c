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

static enum hold_kind hold_by_name(const char *name) {
        for (int i = 0; i < _HOLD_MAX; i++)
                if (strcmp(hold_name(i), name) == 0)
                        return i;
        return _HOLD_MAX;
}

static void write_hold(struct json *j, const struct reading_hold *hold) {
        const enum quantity quantity = hold_quantity(hold_by_name(hold->name), document_rule(hold->rule));

        json_object(j, NULL);
        json_string(j, "hold", hold->name);
        json_string(j, "rule", hold->rule);
        document_cell(j, hold->cell);
        document_quantity(j, quantity, hold->value, hold->limit);
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
        document_cell(&j, why->cell);
        document_quantity(&j, rule_quantity(document_rule(why->rule)), why->value, why->limit);
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

int verb_release(struct cli *c) {
        const int id = relay_from_name(c->args[0]);
        int r;

        r = client_command(&c->client, SMARTBMS_INTERFACE("Relays"), "Release", CLIENT_CHANGE_TIMEOUT_USEC, "s",
                           relay_name(id));
        if (r != 0)
                return fail(r, "%s", c->client.error);
        printf("the %s relay is released: it closes when every other condition holds\n",
               relay_name(id));
        return EXIT_OK;
}

int check_minutes(struct cli *c) {
        return c->options & OPTION_MINUTES
                       ? 0
                       : fail(EXIT_USAGE, "say for how long: smartbmsctl recover --minutes N (1 to 30)");
}

int verb_recover(struct cli *c) {
        int r;

        r = client_command(&c->client, SMARTBMS_INTERFACE("Relays"), "Recover", CLIENT_CHANGE_TIMEOUT_USEC, "x",
                           c->minutes);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        printf("recovering for %d min: start charging now. V-max, temperature and link still hold, "
               "and\n"
               "it ends at once when current is drawn.\n",
               (int)c->minutes);
        return EXIT_OK;
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
        r = client_command(&c->client, SMARTBMS_INTERFACE("Pack"), "SetSOC", CLIENT_CHANGE_TIMEOUT_USEC, "x",
                           permyriad);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        printf("state of charge set to %s (a full charge calibrates it)\n",
               format_quantity(some64(permyriad), 2, 2, "%", text));
        return EXIT_OK;
}
