/* SPDX-License-Identifier: MIT */

/* settings export, settings import: all of them as a person writes them, in YAML. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "config-build.h"
#include "yaml-tree.h"

#define VALUE_MAX 64

/* ---- export ----------------------------------------------------------------------------------------------------- */

static void write_settings(FILE *f, const struct settings *values) {
        char text[VALUE_MAX];

        fputs("# Written by smartbmsctl " SMARTBMS_VERSION " settings export, for smartbmsctl settings import. In the\n"
              "# config file the same section gives the first values. The PIN is in neither.\n"
              "settings:\n",
              f);
        for (int i = 0; i < _SETTING_MAX; i++) {
                setting_format(i, values->values[i], text, sizeof(text));
                fprintf(f, "  %s: %s\n", setting_info(i)->key, text);
        }
}

/* Never over a file that is there. */
static int export_to(const char *name, const struct settings *values) {
        const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
        bool bad;

        if (!f) {
                const int error = errno;
                if (fd >= 0)
                        close(fd);
                return fail(EXIT_REFUSED, "cannot create %s: %s", name, strerror(error));
        }
        write_settings(f, values);
        bad = ferror(f) != 0;
        bad = fclose(f) != 0 || bad;
        if (!bad)
                return EXIT_OK;
        (void)unlink(name);
        return fail(EXIT_REFUSED, "cannot write %s: %s", name, strerror(errno));
}

int verb_settings_export(struct cli *c) {
        struct settings values;
        int r;

        r = reading_fetch_settings(&c->client, &values, NULL);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        if (c->n_args > 0 && strcmp(c->args[0], "-") != 0)
                return export_to(c->args[0], &values);
        write_settings(stdout, &values);
        return EXIT_OK;
}

/* ---- import ----------------------------------------------------------------------------------------------------- */

static int read_value(struct problems *p, const struct node *key, const struct node *value, struct settings *settings,
                      bool given[static _SETTING_MAX]) {
        const int setting = key->text ? setting_find(key->text) : -ENOENT;
        char word[VALUE_MAX], sentence[256];

        if (key->bad || value->bad)
                return -EINVAL;
        printable(key->text ? key->text : "", word, sizeof(word));
        if (setting < 0)
                problem_add(p, key->line, key->column, "there is no setting '%s'; see smartbmsctl help settings", word);
        else if (given[setting])
                problem_add(p, key->line, key->column, "%s is given twice", word);
        else if (value->kind != NODE_SCALAR)
                problem_add(p, value->line, value->column, "%s: expected one value", word);
        else if (setting_parse(setting, value->text, &settings->values[setting], sentence, sizeof(sentence)) < 0)
                problem_add(p, value->line, value->column, "%s", sentence);
        else {
                given[setting] = true;
                return 0;
        }
        if (setting >= 0)
                given[setting] = true;
        return -EINVAL;
}

/* Members of the daemon's own settings file, which an owner may have edited: what is measured there, or secret, is not
 * for importing. */
static bool is_left_out(const char *key) {
        static const char *const names[] = {"version",     "known_cells", "idle_draw", "pin_hash",
                                            "unconfirmed", "changed_by",  "checksum"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (key && strcmp(names[i], key) == 0)
                        return true;
        return false;
}

static void read_document(struct problems *p, const struct node *root, struct settings *settings,
                          bool given[static _SETTING_MAX]) {
        const struct node *found = NULL;
        char word[VALUE_MAX];

        if (!root || root->kind != NODE_MAP) {
                problem_add(p, 1, 1, "expected \"settings:\" and below it one \"name: value\" a line");
                return;
        }
        for (const struct node *key = root->child; key; key = key->next->next) {
                if (is_left_out(key->text))
                        continue;
                printable(key->text ? key->text : "", word, sizeof(word));
                if (!key->text || strcmp(key->text, "settings") != 0)
                        problem_add(p, key->line, key->column, "'%s' is nothing to import; expected settings:", word);
                else if (found)
                        problem_add(p, key->line, key->column, "settings: is given twice");
                else
                        found = key->next;
        }
        if (found && found->kind == NODE_MAP)
                for (const struct node *key = found->child; key; key = key->next->next)
                        (void)read_value(p, key, key->next, settings, given); /* the problem is noted */
        else
                problem_add(p, found ? found->line : 1, found ? found->column : 1,
                            "expected below settings: one \"name: value\" a line");
}

/* 0 or an exit code, and then what is wrong was told, a line each. */
static int parse(const char *name, const char *text, size_t size, struct settings *ret,
                 bool given[static _SETTING_MAX]) {
        struct problems problems = {0};
        struct yaml_tree tree;
        char *told = NULL;
        int r;

        r = yaml_tree_parse(&tree, &problems, text, size);
        if (r == 0)
                read_document(&problems, tree.root, ret, given);
        if (r == -ENOMEM || problems.no_memory)
                r = fail(EXIT_REFUSED, "out of memory");
        else if (problems.n > 0) {
                told = problems_text(&problems, name);
                r = fail(EXIT_REFUSED, "nothing was changed:\n%s", told ? told : "out of memory");
        }
        free(told);
        yaml_tree_done(&tree);
        problems_done(&problems);
        return r;
}

/* The whole file, or a little more than may be. Freed by the caller. */
static int read_file(const char *name, char **ret_text, size_t *ret_size) {
        FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
        char *text = NULL;
        size_t n = 0;
        int error = 0;

        if (!f)
                return fail(EXIT_REFUSED, "cannot read %s: %s", name, strerror(errno));
        text = malloc(YAML_TREE_SIZE_MAX + 1);
        if (text)
                n = fread(text, 1, YAML_TREE_SIZE_MAX + 1, f);
        if (!text || ferror(f))
                error = errno;
        if (f != stdin)
                fclose(f);
        if (error) {
                free(text);
                return fail(EXIT_REFUSED, "cannot read %s: %s", name, strerror(error));
        }
        *ret_text = text;
        *ret_size = n;
        return 0;
}

static int append_given(sd_bus_message *call, const struct settings *settings, const bool given[static _SETTING_MAX]) {
        char text[VALUE_MAX];
        int r;

        r = sd_bus_message_open_container(call, 'a', "{sv}");
        for (int i = 0; i < _SETTING_MAX && r >= 0; i++) {
                if (!given[i])
                        continue;
                setting_format(i, settings->values[i], text, sizeof(text));
                r = sd_bus_message_append(call, "{sv}", setting_info(i)->key, "s", text);
        }
        return r < 0 ? r : sd_bus_message_close_container(call);
}

static int send_given(struct client *client, const struct settings *settings, const bool given[static _SETTING_MAX]) {
        sd_bus_message *call = NULL, *reply = NULL;
        int r;

        r = client_new_call(client, SMARTBMS_INTERFACE("Settings"), "Set", &call);
        if (r == 0) {
                r = append_given(call, settings, given);
                r = r < 0 ? client_bad_call(client, "Set", r)
                          : client_send(client, call, CLIENT_CHANGE_TIMEOUT_USEC, &reply);
        }
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        return r;
}

/* What is not named in the file stays as it is. */
int verb_settings_import(struct cli *c) {
        bool given[_SETTING_MAX] = {false};
        struct settings settings, before;
        char *text = NULL;
        size_t size = 0;
        int r;

        settings_init(&settings);
        r = read_file(c->args[0], &text, &size);
        if (r == 0)
                r = parse(c->args[0], text, size, &settings, given);
        free(text);
        if (r != 0)
                return r;
        r = client_open(&c->client, c->address, c->pack);
        if (r == 0)
                r = reading_fetch_settings(&c->client, &before, NULL);
        if (r == 0)
                r = send_given(&c->client, &settings, given);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        return print_changes(c, given, &before);
}
