/* SPDX-License-Identifier: MIT */

/* smartbmsctl: argv to a verb, and the verb's answer to an exit code. */

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "config-build.h"
#include "format.h"
#include "records.h"

const struct verb verbs[] = {
        {"status", "", "the pack, its state of charge, relays and alarms", 0, 0, OPTION_JSON, false, NULL,
         verb_status},
        {"packs", "", "all packs whose smartbmsd is running", 0, 0, OPTION_JSON, false, check_packs, verb_packs},
        {"cells", "", "every cell's voltage and temperature", 0, 0, OPTION_JSON, false, NULL, verb_cells},
        {"cells accept", "", "take the number of cells heard now as the pack's", 0, 0, 0, false, NULL,
         verb_cells_accept},
        {"energy", "[--today|--days N|--total]", "energy collected, consumed, charged, discharged", 0, 0,
         OPTION_JSON | OPTION_TODAY | OPTION_DAYS | OPTION_TOTAL, false, check_energy, verb_energy},
        {"energy clear", "[--yes]", "set the energy totals to 0", 0, 0, OPTION_YES, false, check_clear,
         verb_energy_clear},
        {"history", "[--from TIME] [--to TIME] [--resolution minutes|hours|days] [--csv] [--size COLUMNSxROWS]",
         "state of charge, power and cells over time; the last 24 hours", 0, 0,
         OPTION_JSON | OPTION_FROM | OPTION_TO | OPTION_RESOLUTION | OPTION_CSV | OPTION_SIZE, false, check_history,
         verb_history},
        {"events", "[--count N] [--follow]", "what happened, and who asked for it", 0, 0,
         OPTION_JSON | OPTION_COUNT | OPTION_FOLLOW, false, check_events, verb_events},
        {"why", "charge|load", "why a relay is as it is, and what would change it", 1, 1, OPTION_JSON, false,
         check_relay, verb_why},
        {"watch", "[--once] [--size COLUMNSxROWS]", "full-screen live view, q quits", 0, 0,
         OPTION_ONCE | OPTION_SIZE, true, NULL, verb_watch},
        {"monitor", "[--count N]", "one JSON object a line for each message", 0, 0,
         OPTION_JSON | OPTION_COUNT, false, NULL, verb_monitor},
        {"get", "[NAME...]", "settings in force", 0, -1, OPTION_JSON, false, check_names, verb_get},
        {"set", "NAME VALUE [NAME VALUE...]", "change settings, all or none; set pin asks for the PIN", 1, -1, 0, false,
         check_changes, verb_set},
        {"reset", "NAME...", "settings back to the config file's values, all or none", 1, -1, 0, false,
         check_names, verb_reset},
        {"settings export", "[FILE]", "all settings as YAML, for another machine or a rainy day", 0, 1, 0, false, NULL,
         verb_settings_export},
        {"settings import", "FILE", "take settings from such a file, all or none (-: standard input)", 1, 1, 0, true,
         NULL, verb_settings_import},
        {"settings confirm", "", "after a damaged settings file: what is in force is what I want", 0, 0, 0, false, NULL,
         verb_settings_confirm},
        {"config check", "[FILE]", "check a config file without using it", 0, 1, 0, true, NULL,
         verb_config_check},
        {"config diff", "", "what differs from the config file", 0, 0, OPTION_JSON, false, NULL,
         verb_config_diff},
        {"release", "charge|load", "end a relay's hold after too many switchings", 1, 1, 0, false,
         check_relay, verb_release},
        {"recover", "--minutes N", "close both relays to charge an empty pack", 0, 0, OPTION_MINUTES, false,
         check_minutes, verb_recover},
        {"soc set", "PERCENT", "set the state of charge by hand", 1, 1, 0, false, check_percent,
         verb_soc_set},
        {"pair", "[--seconds N] [--just-works]", "let a phone pair over Bluetooth, by a passkey", 0, 0,
         OPTION_SECONDS | OPTION_JUST_WORKS, false, NULL, verb_pair},
        {"phones", "", "the phones that are paired, and when they were last here", 0, 0, OPTION_JSON, false, NULL,
         verb_phones},
        {"phones remove", "ADDRESS", "shut a phone out, until it is paired again", 1, 1, 0, false, check_address,
         verb_phones_remove},
        {"storage", "", "what is kept on the card, and what that costs it", 0, 0, OPTION_JSON, false, NULL,
         verb_storage},
        {"backup", "FILE", "a copy of the database, while it is in use", 1, 1, 0, false, NULL, verb_backup},
        {"version", "", "versions of smartbmsctl and of the running smartbmsd", 0, 0, OPTION_JSON, false,
         NULL, verb_version},
        {"help", "[NAME]", "this list, one of it, or the settings with their ranges: help settings", 0, 1, 0,
         true, NULL, verb_help},
};
const size_t n_verbs = sizeof(verbs) / sizeof(verbs[0]);

int fail(int code, const char *format, ...) {
        va_list ap;

        fflush(stdout);
        fputs("smartbmsctl: ", stderr);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        return code;
}

struct option {
        const char *name;
        bool value;    /* takes one */
        unsigned flag; /* 0: for every verb */
};

static const struct option options[] = {
        {"--bus", true, 0},
        {"--pack", true, OPTION_PACK},
        {"--json", false, OPTION_JSON},
        {"--minutes", true, OPTION_MINUTES},
        {"--count", true, OPTION_COUNT},
        {"--once", false, OPTION_ONCE},
        {"--frame", false, OPTION_ONCE}, /* the same by another name */
        {"--size", true, OPTION_SIZE},
        {"--today", false, OPTION_TODAY},
        {"--days", true, OPTION_DAYS},
        {"--total", false, OPTION_TOTAL},
        {"--yes", false, OPTION_YES},
        {"--from", true, OPTION_FROM},
        {"--to", true, OPTION_TO},
        {"--resolution", true, OPTION_RESOLUTION},
        {"--csv", false, OPTION_CSV},
        {"--follow", false, OPTION_FOLLOW},
        {"--seconds", true, OPTION_SECONDS},
        {"--just-works", false, OPTION_JUST_WORKS},
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static const char *option_name(size_t i) {
        return options[i].name;
}

static const char *verb_name(size_t i) {
        return verbs[i].name;
}

static int parse_size(struct cli *c, const char *value) {
        char columns[8];
        int64_t w, h;
        const char *x = strchr(value, 'x');

        if (!x || (size_t)(x - value) >= sizeof(columns))
                return -EINVAL;
        memcpy(columns, value, (size_t)(x - value));
        columns[x - value] = '\0';
        if (parse_whole(columns, 20, 1000, &w) < 0 || parse_whole(x + 1, 5, 1000, &h) < 0)
                return -EINVAL;
        c->columns = (int)w;
        c->rows = (int)h;
        return 0;
}

static int whole_value(const char *option, const char *value, int64_t max, int64_t *ret) {
        if (parse_whole(value, 1, max, ret) == 0)
                return 0;
        return max == INT32_MAX ? fail(EXIT_USAGE, "%s %s: expected a whole number from 1 on", option, value)
                                : fail(EXIT_USAGE, "%s %s: expected a whole number from 1 to %d", option, value,
                                       (int)max);
}

static int option_value(struct cli *c, const struct option *o, const char *value) {
        switch (o->flag) {
        case 0:
                c->address = value;
                return 0;
        case OPTION_PACK:
                if (!pack_name_valid(value))
                        return fail(EXIT_USAGE, "--pack %s: expected " PACK_NAME_EXPECTED, value);
                c->pack = value;
                return 0;
        case OPTION_MINUTES:
                return whole_value(o->name, value, 30, &c->minutes);
        case OPTION_COUNT:
                return whole_value(o->name, value, INT32_MAX, &c->count);
        case OPTION_DAYS:
                return whole_value(o->name, value, RECORDS_DAYS_MAX, &c->days);
        case OPTION_SECONDS:
                return parse_whole(value, 10, 600, &c->seconds) == 0
                               ? 0
                               : fail(EXIT_USAGE, "--seconds %s: expected a whole number from 10 to 600", value);
        case OPTION_FROM:
                c->from = value;
                return 0;
        case OPTION_TO:
                c->to = value;
                return 0;
        case OPTION_RESOLUTION:
                c->resolution = value;
                return 0;
        default:
                return parse_size(c, value) < 0
                               ? fail(EXIT_USAGE, "--size %s: expected COLUMNSxROWS, such as 80x24", value)
                               : 0;
        }
}

/* One option at argv[*i]; *i moves on to its value. Not getopt_long(): "set tmin -5C" is no option. */
static int take_option(struct cli *c, char *const *argv, int argc, int *i) {
        const char *arg = argv[*i], *equals = strchr(arg, '=');
        const size_t length = equals ? (size_t)(equals - arg) : strlen(arg);

        for (size_t k = 0; k < N_OPTIONS; k++) {
                const struct option *o = &options[k];

                if (strlen(o->name) != length || strncmp(o->name, arg, length) != 0)
                        continue;
                c->options |= o->flag;
                if (!o->value)
                        return equals ? fail(EXIT_USAGE, "%s takes no value", o->name) : 0;
                if (equals)
                        return option_value(c, o, equals + 1);
                if (*i + 1 >= argc)
                        return fail(EXIT_USAGE, "%s needs a value", o->name);
                return option_value(c, o, argv[++*i]);
        }
        const char *near = nearest(arg, option_name, N_OPTIONS);
        return near ? fail(EXIT_USAGE, "unknown option %s; did you mean %s?", arg, near)
                    : fail(EXIT_USAGE, "unknown option %s; see smartbmsctl help", arg);
}

/* Two words count before one: "cells accept" is no argument of "cells". */
static const struct verb *find_verb(char *const *words, int n, int *ret_used) {
        char two[64];

        for (int used = n < 2 ? n : 2; used > 0; used--) {
                if (used == 2)
                        snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
                else
                        snprintf(two, sizeof(two), "%s", words[0]);
                for (size_t i = 0; i < n_verbs; i++)
                        if (strcmp(verbs[i].name, two) == 0) {
                                *ret_used = used;
                                return &verbs[i];
                        }
        }
        return NULL;
}

/* "config" and "soc" mean nothing alone: name what goes with them. */
static int unknown_verb(char *const *words, int n) {
        char text[64];
        const char *near;

        for (size_t i = 0; i < n_verbs; i++) {
                const size_t length = strlen(words[0]);

                if (n == 1 && strncmp(verbs[i].name, words[0], length) == 0 && verbs[i].name[length] == ' ')
                        return fail(EXIT_USAGE, "'%s' alone is no command; did you mean '%s'?", words[0],
                                    verbs[i].name);
        }
        snprintf(text, sizeof(text), "%s%s%s", words[0], n > 1 ? " " : "", n > 1 ? words[1] : "");
        near = nearest(text, verb_name, n_verbs);
        if (!near)
                near = nearest(words[0], verb_name, n_verbs);
        return near ? fail(EXIT_USAGE, "unknown command '%s'; did you mean '%s'?", words[0], near)
                    : fail(EXIT_USAGE, "unknown command '%s'; see smartbmsctl help", words[0]);
}

/* "cells acept" */
static int surplus_word(const struct verb *v, char *const *words) {
        char text[64];
        const char *near;

        snprintf(text, sizeof(text), "%s %s", words[0], words[1]);
        near = nearest(text, verb_name, n_verbs);
        return near && strchr(near, ' ')
                       ? fail(EXIT_USAGE, "%s takes no '%s'; did you mean '%s'?", v->name, words[1], near)
                       : fail(EXIT_USAGE, "%s takes no '%s'", v->name, words[1]);
}

static int check_usage(const struct cli *c, const struct verb *v) {
        if (c->n_args < v->min_args || (v->max_args >= 0 && c->n_args > v->max_args))
                return fail(EXIT_USAGE, "usage: smartbmsctl %s%s%s", v->name, v->args[0] ? " " : "", v->args);
        for (size_t k = 0; k < N_OPTIONS; k++)
                if (c->options & options[k].flag & ~(v->options | OPTION_PACK))
                        return fail(EXIT_USAGE, "%s does not take %s", v->name, options[k].name);
        return 0;
}

static int run_verb(struct cli *c, char *const *words, int n) {
        const struct verb *verb;
        int used, r;

        verb = find_verb(words, n, &used);
        if (!verb)
                return unknown_verb(words, n);
        c->args = words + used;
        c->n_args = n - used;
        if (used == 1 && verb->max_args == 0 && n > 1)
                return surplus_word(verb, words);
        r = check_usage(c, verb);
        if (r == 0 && verb->check)
                r = verb->check(c);
        if (r != 0)
                return r;
        if (!verb->offline) {
                r = client_open(&c->client, c->address, c->pack);
                if (r != 0)
                        return fail(r, "%s", c->client.error);
        }
        r = verb->run(c);
        client_close(&c->client);
        if (fflush(stdout) != 0 || ferror(stdout))
                return fail(EXIT_REFUSED, "cannot write: %s", strerror(errno));
        return r;
}

int main(int argc, char *argv[]) {
        struct cli c = {.pack = PACK_NAME_DEFAULT};
        char **words;
        bool only_words = false;
        int n = 0, r = 0;

        (void)setlocale(LC_CTYPE, ""); /* for the watch view's bars; failing leaves ASCII */
        words = calloc((size_t)argc + 1, sizeof(*words));
        if (!words)
                return fail(EXIT_REFUSED, "out of memory");
        for (int i = 1; i < argc && r == 0; i++) {
                if (!only_words && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
                        r = verb_help(&c);
                        goto finish;
                }
                if (!only_words && strcmp(argv[i], "--version") == 0) {
                        puts("smartbmsctl " SMARTBMS_VERSION);
                        goto finish;
                }
                if (!only_words && strcmp(argv[i], "--") == 0)
                        only_words = true;
                else if (!only_words && strncmp(argv[i], "--", 2) == 0)
                        r = take_option(&c, argv, argc, &i);
                else
                        words[n++] = argv[i];
        }
        if (r == 0 && n == 0)
                r = fail(EXIT_USAGE, "what should it do? see smartbmsctl help");
        else if (r == 0)
                r = run_verb(&c, words, n);
finish:
        free(words);
        return r;
}
