/* SPDX-License-Identifier: MIT */

/* The config file under any bytes: it is taken whole or refused with a place, never half.
 *
 * A first byte of 0x01, with which no YAML can begin, says that the others are not the text itself but words of it: so
 * a fuzzer that knows no YAML writes files that pass the parser and reach what reads them. */

#include <stdlib.h>
#include <string.h>

#include "config.h"

/* The build may define NDEBUG; a fuzzer must not lose its eyes by that. */
#define CHECK(condition)         \
        do {                     \
                if (!(condition)) \
                        abort(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the daemon relies on once a config was taken. */
static void check_taken(const struct config *c) {
        char error[256];

        CHECK((c->port_path[0] == '/') != c->port_usb);
        CHECK(!c->output_port[0] || !c->output_pty[0]);
        CHECK(c->bms.cells == 0 || c->bms.cells >= CELLS_MIN);
        CHECK(c->bms.blind_spot_ma >= 250 && c->bms.blind_spot_ma <= 20000);
        CHECK(settings_check(&c->bms.settings, none(), error, sizeof(error)) == 0);
        for (int i = 0; i < _SETTING_MAX; i++)
                CHECK(setting_check((enum setting) i, c->bms.settings.values[i], error, sizeof(error)) == 0);
        for (int i = 0; i < _RELAY_MAX; i++) {
                const struct config_relay *r = &c->relays[i];
                bool gateway = c->bms.role == ROLE_GATEWAY;
                CHECK(r->pulse_msec >= 10 && r->pulse_msec <= 500);
                CHECK(c->bms.mapped[i] == (gateway || r->present));
                if (c->relay_driver != RELAY_DRIVER_GPIO)
                        continue;
                CHECK(!gateway || r->present);
                CHECK(!r->present || (r->latching ? r->set.present && r->reset.present : r->line.present));
        }
}

/* One or more lines, each with the name in front. */
static void check_refusal(const char *error) {
        const char *line = error;

        CHECK(error && error[0]);
        for (size_t n; *line; line += n + (line[n] == '\n')) {
                n = strcspn(line, "\n");
                CHECK(strncmp(line, "fuzz:", 5) == 0);
                for (size_t i = 0; i < n; i++)
                        CHECK((unsigned char) line[i] >= 0x20);
        }
}

/* In the order in which they were added, which the corpus depends on: put new ones at the end. */
static const char *const words[] = {
        "port: {path: /dev/ttyUSB0}\n", "port: {usb: \"0403:6001\"}\n", "port: ", "path: ", "usb: ",
        "/dev/ttyUSB0", "\"0403:6001:A\"", "role: ", "gateway", "monitor", "temperature: ", "sheet",
        "legacy", "current_check: ", "on", "off", "tap: ", "in", "last", "cells: ", "sensor_type: ",
        "deadman_on_ineffective: ", "relays: ", "driver: ", "log", "gpio", "charge: ", "load: ",
        "type: latching", "type: monostable", "set: ", "reset: ", "line: ", "feedback: ", "pulse: ",
        "\"x:1\"", "\"x:2\"", "\"!x:3\"", "GPIO4", "gpiochip0:5", "output: ", "port: /dev/ttyUSB1",
        "pty: /run/x", "settings: ",
        "relays: {driver: gpio, charge: {type: latching, set: A, reset: B}, load: {", "\n", "\n  ",
        "\n    ", " ", ", ", "{", "}", "[", "]", "- ", "? ", ": ", "#", "'", "\"", "|\n", ">\n", "&a ",
        "*a", "!!str ", "---\n", "...\n", "2", "16", "255", "256", "100A", "2000", "0", "-", "9", ".", "10",
        "500", "V", "mV", "%", "degC", "kWh", "Wh", "s", "min", "A", "unset", "normal", "critical",
        "series", "separate", "auto", "3.5V", "50", "1000000", "yes", "no", "true", "latching", "charge",
        "x", "_", "/",
};
#define N_WORDS (sizeof(words) / sizeof(words[0]))
#define WRITTEN_MAX 4096

/* 0xc0 and above: a setting's name; below: a word. What has no room is left out. */
static size_t write_words(const uint8_t *data, size_t size, char text[WRITTEN_MAX]) {
        size_t n = 0;

        for (size_t i = 0; i < size; i++) {
                const char *word = data[i] < 0xc0 ? words[data[i] % N_WORDS] :
                                                    setting_info((enum setting)(data[i] % _SETTING_MAX))->key;
                size_t length = strlen(word);

                if (n + length + 2 > WRITTEN_MAX)
                        break;
                memcpy(text + n, word, length);
                n += length;
                if (data[i] >= 0xc0) {
                        memcpy(text + n, ": ", 2);
                        n += 2;
                }
        }
        return n;
}

static int parse(const uint8_t *data, size_t size, struct config *ret_config, char **ret_error) {
        char text[WRITTEN_MAX];

        if (size == 0 || data[0] != 0x01)
                return config_parse("fuzz", (const char *) data, size, ret_config, ret_error);
        return config_parse("fuzz", text, write_words(data + 1, size - 1, text), ret_config, ret_error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct config c, untouched;
        char *error = NULL;
        int r;

        memset(&c, 0x5a, sizeof(c));
        untouched = c;
        r = parse(data, size, &c, &error);
        if (r == 0) {
                CHECK(!error);
                check_taken(&c);
        } else {
                check_refusal(error);
                CHECK(memcmp(&c, &untouched, sizeof(c)) == 0);
        }
        free(error);
        return 0;
}
