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

#include "config-reader.h"

/* --- bms
 * ---------------------------------------------------------------------------------------------------- */

static void read_role(struct reader *r, const struct node *value) {
        static const struct word words[] = {{"gateway", ROLE_GATEWAY}, {"monitor", ROLE_MONITOR}, {0}};
        int v;

        if (reader_word(r, value, words, "gateway or monitor", &v))
                r->config->bms.role = (enum role)v;
}

static void read_temperature(struct reader *r, const struct node *value) {
        static const struct word words[] = {
                {"sheet", TEMPERATURE_SHEET}, {"legacy", TEMPERATURE_LEGACY}, {0}};
        int v;

        if (reader_word(r, value, words, "sheet or legacy", &v))
                r->config->bms.coding = (enum temperature_coding)v;
}

static void read_tap(struct reader *r, const struct node *value) {
        static const struct word words[] = {{"in", TAP_IN}, {"last", TAP_LAST}, {0}};
        int v;

        if (reader_word(r, value, words, "in or last", &v))
                r->config->bms.tap = (enum link_tap)v;
}

static void read_current_check(struct reader *r, const struct node *value) {
        reader_switch(r, value, &r->config->bms.current_check);
}

static void read_deadman(struct reader *r, const struct node *value) {
        reader_switch(r, value, &r->config->bms.deadman_on_ineffective);
}

static void read_cells(struct reader *r, const struct node *value) {
        long v;

        if (reader_number(r, value, CELLS_MIN, CELLS_MAX, "",
                          "a number of cells from 2 to 255 (leave it out to have it learned)", &v))
                r->config->bms.cells = (uint8_t)v;
}

static void read_sensor_type(struct reader *r, const struct node *value) {
        /* Half the blind spot of each type: 1 % of its rating (chain.md: 400 A has +-4 A). */
        static const struct {
                long ampere;
                int32_t blind_spot_ma;
        } types[] = {{25, 250},   {50, 500},   {100, 1000},   {250, 2500},
                     {400, 4000}, {500, 5000}, {1000, 10000}, {2000, 20000}};
        static const char expected[] = "25, 50, 100, 250, 400, 500, 1000 or 2000 (A)";
        long v;

        if (!reader_number(r, value, 25, 2000, "A", expected, &v))
                return;
        for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
                if (types[i].ampere == v) {
                        r->config->bms.blind_spot_ma = types[i].blind_spot_ma;
                        return;
                }
        reader_complain_value(r, value, expected);
}

/* --- port, output
 * --------------------------------------------------------------------------------------------- */

static void read_port_path(struct reader *r, const struct node *value) {
        (void)reader_path(r, value, r->config->port_path, sizeof(r->config->port_path),
                          "an absolute path such as /dev/ttyUSB0");
}

static bool read_hex4(const char **text, uint16_t *ret) {
        unsigned v = 0, n = 0;

        for (; n < 4 && isxdigit((unsigned char)**text); n++, (*text)++)
                v = v * 16 + (unsigned)(isdigit((unsigned char)**text)
                                                ? **text - '0'
                                                : tolower((unsigned char)**text) - 'a' + 10);
        *ret = (uint16_t)v;
        return n == 4;
}

static void read_port_usb(struct reader *r, const struct node *value) {
        static const char expected[] = "VENDOR:PRODUCT or VENDOR:PRODUCT:SERIAL, the first two in 4 hex "
                                       "digits, such as \"0403:6001\"";
        const char *text = reader_scalar(r, value, expected);
        uint16_t vendor, product;

        if (!text)
                return;
        if (!read_hex4(&text, &vendor) || *text++ != ':' || !read_hex4(&text, &product) ||
            (*text && *text != ':') || (*text == ':' && text[1] == '\0') ||
            strlen(text) > sizeof(r->config->usb_serial)) {
                reader_complain_value(r, value, expected);
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
        const struct node *seen[CONFIG_KEYS_MAX];

        r->port = value;
        if (reader_map(r, value, keys, expected, seen))
                reader_check_exactly_one(r, value, seen, expected);
}

static void read_output_port(struct reader *r, const struct node *value) {
        (void)reader_path(r, value, r->config->output_port, sizeof(r->config->output_port),
                          "an absolute path such as /dev/ttyUSB1");
}

static void read_output_pty(struct reader *r, const struct node *value) {
        (void)reader_path(r, value, r->config->output_pty, sizeof(r->config->output_pty),
                          "the absolute path of the link to make, such as /run/smartbms/output");
}

static void read_output(struct reader *r, const struct node *value) {
        static const struct key keys[] = {{"port", read_output_port}, {"pty", read_output_pty}, {0}};
        static const char expected[] = "exactly one of port: and pty:";
        const struct node *seen[CONFIG_KEYS_MAX];

        r->output = value;
        if (reader_map(r, value, keys, expected, seen))
                reader_check_exactly_one(r, value, seen, expected);
}

/* --- settings
 * ----------------------------------------------------------------------------------------------------- */

static void read_setting(struct reader *r, const struct node *value, enum setting setting) {
        struct maybe parsed;
        char error[256];
        const char *text;

        text = reader_scalar(r, value, "a value such as 3.65V, 95%, 60s, a word, or unset");
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
                names[i] = setting_info((enum setting)i)->key;
        printable(key->text, given, sizeof(given));
        near = nearest_word(key->text, names);
        if (near)
                COMPLAIN(r, key, "unknown setting '%s'; expected '%s'?", given, near);
        else
                COMPLAIN(r, key, "unknown setting '%s'; expected one of those that smartbms.yaml(5) lists",
                         given);
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
                COMPLAIN(r, value, "a %s; expected settings such as vmin: 2.80V",
                         value->kind == NODE_LIST ? "list" : "value");
                return;
        }
        size_t before = r->problems->n;
        for (const struct node *key = value->child; key && key->next; key = key->next->next) {
                int setting = key->kind == NODE_SCALAR ? setting_find(key->text) : -ENOENT;
                if (key->bad)
                        continue;
                if (key->kind != NODE_SCALAR)
                        COMPLAIN(r, key, "a %s as a key; expected the name of a setting",
                                 key->kind == NODE_MAP ? "mapping" : "list");
                else if (setting < 0)
                        complain_unknown_setting(r, key);
                else if (seen[setting])
                        COMPLAIN(r, key, "key '%s' again; expected once (line %zu has it)", key->text,
                                 seen[setting]->line);
                else {
                        seen[setting] = key;
                        read_setting(r, key->next, (enum setting)setting);
                }
        }
        if (r->problems->n == before &&
            settings_check(&r->config->bms.settings, none(), error, sizeof(error)) < 0)
                COMPLAIN(r, value, "%s", error);
}

/* --- the whole
 * --------------------------------------------------------------------------------------------------- */

static void check_output(struct reader *r) {
        const struct config *c = r->config;

        if (c->port_path[0] == '\0')
                return;
        if (strcmp(c->output_port, c->port_path) == 0)
                COMPLAIN(r, r->output, "the output port is the input port %.64s; expected another one",
                         c->port_path);
        if (strcmp(c->output_pty, c->port_path) == 0)
                COMPLAIN(r, r->output,
                         "the output's link would replace the input port %.64s; expected another path",
                         c->port_path);
}

/* In role monitor the board's own limits are in force. A limit written here would look as if it protected
 * something. */
static void check_monitor_settings(struct reader *r) {
        static const enum setting useful[] = {SETTING_SOLAR_PEAK, SETTING_INVERTER_PEAK, SETTING_TRIP_FRAMES};

        if (r->config->bms.role != ROLE_MONITOR || !r->settings || r->settings->kind != NODE_MAP)
                return;
        for (const struct node *key = r->settings->child; key && key->next; key = key->next->next) {
                int setting = key->kind == NODE_SCALAR ? setting_find(key->text) : -ENOENT;
                bool ok = setting < 0; /* already reported */
                for (size_t i = 0; i < sizeof(useful) / sizeof(*useful); i++)
                        ok = ok || setting == (int)useful[i];
                if (!ok)
                        COMPLAIN(r, key,
                                 "'%s' has no effect in role monitor, the board's own value governs; "
                                 "expected only solar_peak, "
                                 "inverter_peak and trip_frames",
                                 key->text);
        }
}

static void read_root(struct reader *r, const struct node *root) {
        static const struct key keys[] = {{"role", read_role},
                                          {"port", read_port},
                                          {"temperature", read_temperature},
                                          {"current_check", read_current_check},
                                          {"tap", read_tap},
                                          {"cells", read_cells},
                                          {"sensor_type", read_sensor_type},
                                          {"deadman_on_ineffective", read_deadman},
                                          {"relays", reader_relays},
                                          {"leds", reader_leds},
                                          {"button", reader_button},
                                          {"heartbeat", reader_heartbeat},
                                          {"output", read_output},
                                          {"ble", reader_ble},
                                          {"settings", read_settings},
                                          {0}};
        const struct node *seen[CONFIG_KEYS_MAX];

        if (!reader_map(r, root, keys, "keys such as port: and relays:", seen))
                return;
        if (!r->port)
                COMPLAIN(r, root, "no port; expected port: {path: /dev/...} or port: {usb: \"0403:6001\"}");
        reader_check_relays(r);
        reader_check_lines(r);
        check_output(r);
        check_monitor_settings(r);
}

void config_init(struct config *c) {
        *c = (struct config){
                .pack = PACK_NAME_DEFAULT,
                .bms =
                        {
                                .role = ROLE_GATEWAY,
                                .coding = TEMPERATURE_SHEET,
                                .current_check = true,
                                .tap = TAP_IN,
                                .blind_spot_ma = 1000, /* S5 */
                                .mapped = {true, true},
                        },
                .relay_driver = RELAY_DRIVER_LOG,
                .ble = {.app = true},
        };
        for (int i = 0; i < _RELAY_MAX; i++)
                c->relays[i].pulse_msec = 50;
        settings_init(&c->bms.settings);
}

int config_parse(const char *name, const char *text, size_t size, struct config *ret_config,
                 char **ret_error) {
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
                problem_add(&problems, 1, 1,
                            "the file says nothing; expected at least port: {path: /dev/...}");
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
                (void)close(fd);
                return config_error(ret_error, path, -EISDIR);
        }
        text = malloc(YAML_TREE_SIZE_MAX + 2);
        while (text && size <= YAML_TREE_SIZE_MAX &&
               (n = read(fd, text + size, YAML_TREE_SIZE_MAX + 1 - size)) > 0)
                size += (size_t)n;
        r = !text ? -ENOMEM : n < 0 ? -errno : 0;
        (void)close(fd);
        r = r < 0 ? config_error(ret_error, path, r) : config_parse(path, text, size, ret_config, ret_error);
        free(text);
        return r;
}
