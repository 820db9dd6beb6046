/* SPDX-License-Identifier: MIT */

/* packs: a line for each pack that has a smartbmsd on the bus. */

#include <stdlib.h>

#include "cli.h"
#include "document.h"
#include "format.h"
#include "phrases.h"

struct pack_line {
        bool answers;
        char error[CLIENT_ERROR_MAX]; /* why it does not */
        struct reading reading;
        struct reading_manager manager;
        struct reading_relays relays;
};

int check_packs(struct cli *c) {
        return c->options & OPTION_PACK ? fail(EXIT_USAGE, "packs shows all of them: leave out --pack")
                                        : EXIT_OK;
}

static int fetch(struct client *client, const char *pack, struct pack_line *ret) {
        int r;

        client_choose_pack(client, pack);
        r = reading_fetch(client, &ret->reading);
        if (r == 0)
                r = reading_fetch_manager(client, &ret->manager);
        if (r == 0)
                r = reading_fetch_relays(client, &ret->relays);
        ret->answers = r == 0;
        snprintf(ret->error, sizeof(ret->error), "%s", r == 0 ? "" : client->error);
        if (r == 0 && reading_stale(&ret->reading))
                r = EXIT_DATA_STALE;
        return r;
}

static void print_line(const char *pack, const struct pack_line *l) {
        char soc[FORMAT_MAX], band[FORMAT_MAX], charge[PHRASE_MAX], load[PHRASE_MAX];
        const struct maybe64 uncertainty = reading_number(&l->reading, "SOCUncertainty");

        printf("%-16s", pack);
        if (!l->answers) {
                printf("  %s\n", l->error);
                return;
        }
        format_quantity(reading_number(&l->reading, "SOC"), 2, 1, "%", soc);
        format_number(uncertainty, 2, 1, band);
        printf("  %-8s  %-8s %s%-6s  %-14s  %-14s ", reading_text(&l->reading, "LinkState"), soc,
               uncertainty.known ? "+-" : "  ", uncertainty.known ? band : "",
               phrase_relay_word(&l->relays.relay[RELAY_CHARGE], charge),
               phrase_relay_word(&l->relays.relay[RELAY_LOAD], load));
        for (int i = 0; i < l->manager.n_alarms; i++)
                printf("%s%s", i == 0 ? " " : ", ", l->manager.alarms[i].name);
        puts(l->manager.n_alarms == 0 ? " none" : "");
}

static void write_line(struct json *j, const char *pack, const struct pack_line *l) {
        json_object(j, NULL);
        json_string(j, "pack", pack);
        if (l->answers) {
                json_null(j, "error");
                json_string(j, "link_state", reading_text(&l->reading, "LinkState"));
                json_number(j, "soc_percent", reading_number(&l->reading, "SOC"), 2);
                json_number(j, "soc_uncertainty_percent", reading_number(&l->reading, "SOCUncertainty"), 2);
                document_relays(j, &l->relays);
                document_alarms(j, &l->manager);
        } else
                json_string(j, "error", l->error);
        json_close_object(j);
}

int verb_packs(struct cli *c) {
        struct client_packs packs;
        struct pack_line *line;
        struct json j;
        int worst, r;

        worst = client_list_packs(&c->client, &packs);
        if (worst != 0)
                return fail(worst, "%s", c->client.error);
        line = calloc(1, sizeof(*line));
        if (!line)
                return fail(EXIT_REFUSED, "out of memory");
        if (cli_json(c)) {
                json_begin(&j, stdout, true);
                json_array(&j, NULL);
        } else
                printf("%-16s  %-8s  %-8s %-8s  %-14s  %-14s  %s\n", "PACK", "LINK", "SOC", "", "CHARGE",
                       "LOAD", "ALARMS");
        for (int i = 0; i < packs.n; i++) {
                r = fetch(&c->client, packs.names[i], line);
                /* A pack that does not answer outweighs old readings. */
                if (worst == EXIT_OK || r == EXIT_NO_DAEMON)
                        worst = r;
                if (cli_json(c))
                        write_line(&j, packs.names[i], line);
                else
                        print_line(packs.names[i], line);
        }
        if (cli_json(c)) {
                json_close_array(&j);
                json_end(&j);
        }
        free(line);
        return worst;
}
