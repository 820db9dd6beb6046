/* SPDX-License-Identifier: MIT */

/* get, set, reset, settings confirm, config diff: values are checked here by lib/settings, with the daemon's own words,
 * before anything is sent; the daemon checks again, and how they fit together. */

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli.h"
#include "document.h"
#include "format.h"
#include "terminal.h"

#define VALUE_MAX 64
#define KEY_MAX 64
#define PIN_LINE_MAX 32 /* what may be typed for one */

static const char *setting_key(size_t i) {
        return setting_info((enum setting)i)->key;
}

static int unknown_setting(const char *key) {
        const char *near = nearest(key, setting_key, _SETTING_MAX);

        return near ? fail(EXIT_USAGE, "unknown setting '%s'; did you mean '%s'?", key, near)
                    : fail(EXIT_USAGE, "unknown setting '%s'; see smartbmsctl help settings", key);
}

/* Finds the settings that every `stride`-th argument names; refuses unknown ones and those named twice. */
static int find_settings(const struct cli *c, int stride, bool ret_named[static _SETTING_MAX]) {
        memset(ret_named, 0, _SETTING_MAX * sizeof(*ret_named));
        for (int i = 0; i < c->n_args; i += stride) {
                const int setting = setting_find(c->args[i]);

                if (setting < 0)
                        return unknown_setting(c->args[i]);
                if (ret_named[setting])
                        return fail(EXIT_USAGE, "%s is named twice", c->args[i]);
                ret_named[setting] = true;
        }
        return 0;
}

static int fetch(struct cli *c, struct settings *ret_values, struct settings *ret_defaults) {
        const int r = reading_fetch_settings(&c->client, ret_values, ret_defaults);

        return r == 0 ? 0 : fail(r, "%s", c->client.error);
}

/* The one that is no row of the table: written, never read. */
static bool is_pin(const char *name) {
        return strcasecmp(name, "pin") == 0;
}

int check_names(struct cli *c) {
        bool named[_SETTING_MAX];

        for (int i = 0; i < c->n_args; i++)
                if (is_pin(c->args[i]))
                        return fail(EXIT_REFUSED,
                                    "the PIN is never shown, and is not in the config file: it can be set");
        return find_settings(c, 1, named);
}

int verb_get(struct cli *c) {
        bool named[_SETTING_MAX];
        struct settings values;
        char text[VALUE_MAX], key[KEY_MAX];
        struct json j;
        int r;

        (void)find_settings(c, 1, named);
        r = fetch(c, &values, NULL);
        if (r != 0)
                return r;
        json_begin(&j, stdout, true);
        if (cli_json(c))
                json_object(&j, NULL);
        for (int i = 0; i < _SETTING_MAX; i++) {
                if (c->n_args > 0 && !named[i])
                        continue;
                setting_format(i, values.values[i], text, sizeof(text));
                if (cli_json(c))
                        document_setting(&j, document_setting_key(i, key, sizeof(key)), i, values.values[i]);
                else if (c->n_args == 1)
                        puts(text); /* for scripts: the value and nothing else */
                else
                        printf("%-24s %s\n", setting_key(i), text);
        }
        if (cli_json(c)) {
                json_close_object(&j);
                json_end(&j);
        }
        return EXIT_OK;
}

int print_changes(struct cli *c, const bool named[static _SETTING_MAX], const struct settings *before) {
        struct settings after;
        char old[VALUE_MAX], new[VALUE_MAX];
        int r;

        r = fetch(c, &after, NULL);
        if (r != 0)
                return r;
        for (int i = 0; i < _SETTING_MAX; i++) {
                if (!named[i])
                        continue;
                setting_format(i, before->values[i], old, sizeof(old));
                setting_format(i, after.values[i], new, sizeof(new));
                if (strcmp(old, new) == 0)
                        printf("%s: %s, as before\n", setting_key(i), new);
                else
                        printf("%s: %s, was %s\n", setting_key(i), new, old);
        }
        return EXIT_OK;
}

static int bad_pin(void) {
        return fail(EXIT_REFUSED, "pin: expected %d to %d digits", PIN_DIGITS_MIN, PIN_DIGITS_MAX);
}

/* Its own call, so all or none of several would be a lie. */
static int check_pin(const struct cli *c) {
        if (c->n_args > 2)
                return fail(EXIT_USAGE, "the PIN is set alone: smartbmsctl set pin [DIGITS]");
        if (c->n_args == 2 && !pin_well_formed(c->args[1]))
                return bad_pin();
        return 0;
}

static int ask(const char *prompt, char ret_pin[static PIN_LINE_MAX]) {
        const int r = terminal_ask_secret(prompt, ret_pin, PIN_LINE_MAX);

        if (r == -EMSGSIZE)
                return bad_pin();
        return r < 0 ? fail(EXIT_REFUSED, "no PIN was given: it stays as it was") : 0;
}

/* Twice on a terminal, where nobody sees what was mistyped; a script's standard input is taken at its word. */
static int ask_pin(char ret_pin[static PIN_LINE_MAX]) {
        char again[PIN_LINE_MAX];
        int r;

        if (!isatty(STDIN_FILENO)) {
                if (!fgets(ret_pin, PIN_LINE_MAX, stdin))
                        return fail(EXIT_REFUSED, "no PIN was given: it stays as it was");
                ret_pin[strcspn(ret_pin, "\n")] = '\0';
                return pin_well_formed(ret_pin) ? 0 : bad_pin();
        }
        r = ask("new PIN: ", ret_pin);
        if (r == 0 && !pin_well_formed(ret_pin))
                r = bad_pin();
        if (r == 0)
                r = ask("once more: ", again);
        if (r == 0 && strcmp(ret_pin, again) != 0)
                r = fail(EXIT_REFUSED, "those two differ: the PIN stays as it was");
        explicit_bzero(again, sizeof(again));
        return r;
}

static int set_pin(struct cli *c) {
        char pin[PIN_LINE_MAX];
        int r = 0;

        if (c->n_args < 2)
                r = ask_pin(pin);
        else
                (void)snprintf(pin, sizeof(pin), "%s", c->args[1]);
        if (r != 0)
                return r;
        r = client_command(&c->client, SMARTBMS_INTERFACE("Settings"), "SetPin", CLIENT_CHANGE_TIMEOUT_USEC, "s", pin);
        explicit_bzero(pin, sizeof(pin));
        if (r != 0)
                return fail(r, "%s", c->client.error);
        puts("the PIN is changed");
        return EXIT_OK;
}

int check_changes(struct cli *c) {
        bool named[_SETTING_MAX];
        struct maybe value;
        char error[256];
        int r;

        if (c->n_args == 1 && is_pin(c->args[0]))
                return 0;
        if (c->n_args % 2 != 0)
                return fail(EXIT_USAGE, "%s has no value; usage: smartbmsctl set NAME VALUE [NAME VALUE...]",
                            c->args[c->n_args - 1]);
        for (int i = 0; i < c->n_args; i += 2)
                if (is_pin(c->args[i]))
                        return check_pin(c);
        r = find_settings(c, 2, named);
        if (r != 0)
                return r;
        for (int i = 0; i < c->n_args; i += 2)
                if (setting_parse(setting_find(c->args[i]), c->args[i + 1], &value, error, sizeof(error)) < 0)
                        return fail(EXIT_REFUSED, "%s", error);
        return 0;
}

static int append_changes(sd_bus_message *call, const struct cli *c) {
        int r;

        r = sd_bus_message_open_container(call, 'a', "{sv}");
        for (int i = 0; r >= 0 && i < c->n_args; i += 2)
                r = sd_bus_message_append(call, "{sv}", c->args[i], "s", c->args[i + 1]);
        return r < 0 ? r : sd_bus_message_close_container(call);
}

static int append_keys(sd_bus_message *call, const struct cli *c) {
        int r;

        r = sd_bus_message_open_container(call, 'a', "s");
        for (int i = 0; r >= 0 && i < c->n_args; i++)
                r = sd_bus_message_append(call, "s", c->args[i]);
        return r < 0 ? r : sd_bus_message_close_container(call);
}

static int change(struct cli *c, const char *method, int (*append)(sd_bus_message *, const struct cli *)) {
        sd_bus_message *call = NULL, *reply = NULL;
        int r;

        r = client_new_call(&c->client, SMARTBMS_INTERFACE("Settings"), method, &call);
        if (r == 0) {
                r = append(call, c);
                if (r < 0)
                        r = client_bad_reply(&c->client, r);
                else
                        r = client_send(&c->client, call, CLIENT_CHANGE_TIMEOUT_USEC, &reply);
        }
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        return r == 0 ? 0 : fail(r, "%s", c->client.error);
}

int verb_set(struct cli *c) {
        bool named[_SETTING_MAX];
        struct settings before;
        int r;

        if (is_pin(c->args[0]))
                return set_pin(c);
        (void)find_settings(c, 2, named);
        r = fetch(c, &before, NULL);
        if (r == 0)
                r = change(c, "Set", append_changes);
        return r == 0 ? print_changes(c, named, &before) : r;
}

int verb_reset(struct cli *c) {
        bool named[_SETTING_MAX];
        struct settings before;
        int r;

        (void)find_settings(c, 1, named);
        r = fetch(c, &before, NULL);
        if (r == 0)
                r = change(c, "Reset", append_keys);
        return r == 0 ? print_changes(c, named, &before) : r;
}

int verb_settings_confirm(struct cli *c) {
        const int r = client_command(&c->client, SMARTBMS_INTERFACE("Settings"), "Confirm", CLIENT_CHANGE_TIMEOUT_USEC,
                                     "");

        if (r != 0)
                return fail(r, "%s", c->client.error);
        puts("the settings in force are confirmed; the relays close when every other condition holds");
        return EXIT_OK;
}

static bool differs(struct maybe a, struct maybe b) {
        return a.known != b.known || (a.known && a.value != b.value);
}

static void write_diff(const struct settings *values, const struct settings *defaults) {
        char key[KEY_MAX];
        struct json j;

        json_begin(&j, stdout, true);
        json_object(&j, NULL);
        for (int i = 0; i < _SETTING_MAX; i++) {
                if (!differs(values->values[i], defaults->values[i]))
                        continue;
                json_object(&j, document_setting_key(i, key, sizeof(key)));
                document_setting(&j, "value", i, values->values[i]);
                document_setting(&j, "config", i, defaults->values[i]);
                json_close_object(&j);
        }
        json_close_object(&j);
        json_end(&j);
}

int verb_config_diff(struct cli *c) {
        struct settings values, defaults;
        char now[VALUE_MAX], config[VALUE_MAX];
        int n = 0, r;

        r = fetch(c, &values, &defaults);
        if (r != 0)
                return r;
        if (cli_json(c)) {
                write_diff(&values, &defaults);
                return EXIT_OK;
        }
        for (int i = 0; i < _SETTING_MAX; i++) {
                if (!differs(values.values[i], defaults.values[i]))
                        continue;
                setting_format(i, values.values[i], now, sizeof(now));
                setting_format(i, defaults.values[i], config, sizeof(config));
                printf("%-24s %s, config file %s\n", setting_key(i), now, config);
                n++;
        }
        if (n == 0)
                puts("nothing differs from the config file");
        return EXIT_OK;
}
