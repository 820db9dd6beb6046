/* SPDX-License-Identifier: MIT */

/* help, version: what can be asked, and of what. */

#include <string.h>

#include "cli.h"
#include "config-build.h"
#include "json.h"
#include "reading.h"
#include "when.h"

static int help_settings(void) {
        for (int i = 0; i < _SETTING_MAX; i++) {
                const struct setting_info *info = setting_info(i);
                char low[64], high[64], standard[64];

                setting_format(i, info->standard, standard, sizeof(standard));
                printf("%s\n", info->key);
                if (info->unit == UNIT_WORD) {
                        printf("    ");
                        for (int w = 0; info->words[w]; w++)
                                printf("%s%s", w ? ", " : "", info->words[w]);
                } else {
                        setting_format(i, some(info->min), low, sizeof(low));
                        setting_format(i, some(info->max), high, sizeof(high));
                        printf("    %s to %s%s", low, high, info->optional ? ", or unset" : "");
                }
                printf("; default %s\n    %s\n", standard, info->help);
        }
        return EXIT_OK;
}

/* "help cells" tells of "cells" and of "cells accept". */
static int help_verb(const char *name) {
        const size_t length = strlen(name);
        bool found = false;

        for (size_t i = 0; i < n_verbs; i++) {
                if (strncmp(verbs[i].name, name, length) != 0 ||
                    (verbs[i].name[length] != '\0' && verbs[i].name[length] != ' '))
                        continue;
                printf("smartbmsctl %s%s%s%s\n    %s\n", verbs[i].name, verbs[i].args[0] ? " " : "",
                       verbs[i].args, verbs[i].options & OPTION_JSON ? " [--json]" : "", verbs[i].help);
                found = true;
        }
        return found ? EXIT_OK : fail(EXIT_USAGE, "no command '%s'; see smartbmsctl help", name);
}

int verb_help(struct cli *c) {
        if (c->n_args > 0) {
                const int r = help_verb(c->args[0]);

                return r == EXIT_OK && strcmp(c->args[0], "settings") == 0 ? help_settings() : r;
        }

        printf("smartbmsctl [--pack NAME] [--bus ADDRESS] [--json] COMMAND ...\n\n");
        for (size_t i = 0; i < n_verbs; i++) {
                char synopsis[160];

                snprintf(synopsis, sizeof(synopsis), "%s%s%s", verbs[i].name, verbs[i].args[0] ? " " : "",
                         verbs[i].args);
                if (strlen(synopsis) > 26)
                        printf("  %s\n  %-26s  %s\n", synopsis, "", verbs[i].help);
                else
                        printf("  %-26s  %s\n", synopsis, verbs[i].help);
        }
        printf("\n--pack NAME    another pack than the only one, \"default\": smartbmsctl packs shows them\n"
               "--bus ADDRESS  another bus than the system's, such as unix:path=/run/bus\n"
               "--json         a JSON document instead of text, for every command that reads\n\n"
               "Values take units: 3.65V, 3650mV, 95%%, 1.92kWh, -5C, 5min. The settings: smartbmsctl help "
               "settings\n"
               "A TIME is " WHEN_FORMS ".\n"
               "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 smartbmsd is not running, 4 the data\n"
               "shown are old, 5 applied, but not stored.\n");
        return EXIT_OK;
}

int verb_version(struct cli *c) {
        struct reading_manager manager;
        struct json j;
        int r;

        r = reading_fetch_manager(&c->client, &manager);
        if (cli_json(c)) {
                json_begin(&j, stdout, true);
                json_object(&j, NULL);
                json_string(&j, "smartbmsctl", SMARTBMS_VERSION);
                if (r == 0)
                        json_string(&j, "smartbmsd", manager.version);
                else
                        json_null(&j, "smartbmsd");
                json_close_object(&j);
                json_end(&j);
        } else {
                printf("smartbmsctl %s\n", SMARTBMS_VERSION);
                if (r == 0)
                        printf("smartbmsd   %s (%s)\n", manager.version, manager.role);
        }
        return r == 0 ? EXIT_OK : fail(r, "%s", c->client.error);
}
