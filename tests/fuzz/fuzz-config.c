/* SPDX-License-Identifier: MIT */

/* The config file under any bytes: it is taken whole or refused with a place, never half.
 *
 * A first byte with which no YAML can begin says that the others are not the text itself, so that a fuzzer that knows
 * no YAML gets past the parser. 0x01: they are words of it. 0x02 to 0x08: the choices in writing a whole file by the
 * plan of smartbms.yaml(5), most of it good. */

#include <stdio.h>
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
        "x", "_", "/", "leds: ", "info: ", "button: ", "heartbeat: ", "contacts: ", "v1", "v2",
};
#define N_WORDS (sizeof(words) / sizeof(words[0]))

/* ---- whole files, by the plan of smartbms.yaml(5) --------------------------------------------------------------- */

#define WRITTEN_MAX 4096

struct writer {
        const uint8_t *data;
        size_t size;
        char *text;
        size_t n;
        bool block; /* maps within the root as lines, else in braces */
        unsigned lines; /* names of GPIO lines given out */
};

static uint8_t take(struct writer *w) {
        if (w->size == 0)
                return 0;
        w->size--;
        return *w->data++;
}

/* What has no room is left out. */
static void put(struct writer *w, const char *text) {
        size_t length = strlen(text);

        if (w->n + length > WRITTEN_MAX)
                return;
        memcpy(w->text + w->n, text, length);
        w->n += length;
}

struct key {
        const char *name;
        const char *values[8]; /* good ones; none: by the writer below */
        void (*write)(struct writer *w, unsigned depth);
};

static void write_any(struct writer *w) {
        char text[24];
        uint8_t how = take(w);

        if (how < 0x40)
                snprintf(text, sizeof(text), "%d", (int)take(w) * 256 + take(w));
        else if (how < 0x60)
                snprintf(text, sizeof(text), "%d.%uV", (int)(int8_t)take(w), take(w));
        else if (how < 0x70) {
                put(w, "[{}, x]");
                return;
        } else if (how < 0x80) {
                put(w, "{vmax: 3.6V}");
                return;
        } else if (how < 0xc0) {
                put(w, words[how % N_WORDS]); /* what YAML makes of it */
                return;
        } else
                snprintf(text, sizeof(text), "\"\\u%04x%c\"", 0x00a0 + take(w), 'a' + take(w) % 26);
        put(w, text);
}

static void write_value(struct writer *w, const struct key *key, unsigned depth) {
        uint8_t how = take(w);
        size_t n = 0;

        if (how >= 0xf0) {
                write_any(w);
                return;
        }
        if (key->write) {
                key->write(w, depth);
                return;
        }
        while (n < 8 && key->values[n])
                n++;
        put(w, key->values[how % n]);
}

static void begin_entry(struct writer *w, unsigned depth, bool first) {
        if (depth > 0 && !w->block) {
                put(w, first ? "" : ", ");
                return;
        }
        if (depth > 0 || !first)
                put(w, "\n");
        for (unsigned i = 0; i < depth; i++)
                put(w, "  ");
}

/* The keys whose bit is not set, in their order; now and then one more of anything. */
static void write_map(struct writer *w, const struct key *keys, unsigned leave_out, unsigned depth) {
        bool first = true;

        if (depth > 0 && !w->block)
                put(w, "{");
        for (unsigned i = 0; keys[i].name; i++) {
                if (leave_out >> i & 1)
                        continue;
                begin_entry(w, depth, first);
                first = false;
                put(w, keys[i].name);
                put(w, ": ");
                write_value(w, &keys[i], depth + 1);
        }
        if (first || take(w) >= 0xf0) {
                begin_entry(w, depth, first);
                put(w, keys[take(w) % 2].name);
                put(w, ": ");
                write_any(w);
        }
        if (depth > 0 && !w->block)
                put(w, "}");
}

static void write_line(struct writer *w, unsigned depth) {
        char text[24];
        uint8_t how = take(w);

        (void)depth;
        w->lines += how < 0xe0;
        snprintf(text, sizeof(text), "%s%s%u%s", how & 1 ? "\"!" : "\"", how & 2 ? "chip:" : "LINE", w->lines, "\"");
        put(w, text);
}

static void write_relay(struct writer *w, unsigned depth) {
        static const struct key keys[] = {
                {"type", {"latching"}, NULL},   {"set", {0}, write_line},  {"reset", {0}, write_line},
                {"type", {"monostable"}, NULL}, {"line", {0}, write_line}, {"pulse", {"10", "500", "51 ms"}, NULL},
                {"feedback", {0}, write_line},  {"contacts", {"v1", "v2"}, NULL}, {0}};
        const unsigned latching = 0x18, monostable = 0x27; /* what each leaves out */
        uint8_t how = take(w);
        unsigned leave_out = (how & 1 ? latching : monostable) | (how >> 1 & 0x60) | (how & 0x08 ? 0 : 0x80);

        write_map(w, keys, how >= 0xf8 ? take(w) : leave_out, depth);
}

static void write_setting(struct writer *w, enum setting setting) {
        const struct setting_info *info = setting_info(setting);
        uint8_t how = take(w);
        char text[64];

        if (how >= 0xf0)
                write_any(w);
        else if (info->unit == UNIT_WORD)
                put(w, info->words[how % (info->max + 1)]);
        else {
                int64_t span = (int64_t)info->max - info->min + (how >= 0xe8 ? 2 : 1);
                int64_t value = info->min + (take(w) * 65536 + take(w) * 256 + take(w)) % span;

                if (info->standard.known && how >= 0x40 && how < 0xe0) /* near the default, so that they go together */
                        value = info->standard.value + how % 8 - 4;
                setting_format(setting, info->optional && how < 0x10 ? none() : some((int32_t)value), text,
                               sizeof(text));
                put(w, text);
        }
}

static void write_settings(struct writer *w, unsigned depth) {
        uint32_t seen = 0;
        bool first = true;

        if (!w->block)
                put(w, "{");
        for (unsigned n = take(w) % 12 + 1; n > 0; n--) {
                uint8_t which = take(w);
                enum setting setting = (enum setting)(which % _SETTING_MAX);

                if ((seen >> setting & 1) && which < 0xf8)
                        continue;
                seen |= UINT32_C(1) << setting;
                begin_entry(w, depth, first);
                first = false;
                put(w, setting_info(setting)->key);
                put(w, ": ");
                write_setting(w, setting);
        }
        if (!w->block)
                put(w, "}");
}

static void write_relays(struct writer *w, unsigned depth) {
        static const struct key keys[] = {
                {"driver", {"gpio", "log", "gpio"}, NULL},
                {"charge", {0}, write_relay},
                {"load", {0}, write_relay},
                {0}};
        uint8_t how = take(w);

        write_map(w, keys, how < 0xe0 ? 0 : how, depth);
}

static void write_leds(struct writer *w, unsigned depth) {
        static const struct key keys[] = {
                {"info", {0}, write_line}, {"charge", {0}, write_line}, {"load", {0}, write_line}, {0}};

        write_map(w, keys, take(w) & 7, depth);
}

static void write_output(struct writer *w, unsigned depth) {
        static const struct key keys[] = {
                {"port", {"/dev/ttyUSB1", "/dev/ttyUSB0"}, NULL}, {"pty", {"/run/x", "/dev/ttyUSB0"}, NULL}, {0}};
        uint8_t how = take(w);

        write_map(w, keys, how < 0x78 ? 1 : how < 0xf0 ? 2 : how, depth);
}

static void write_port(struct writer *w, unsigned depth) {
        static const struct key keys[] = {
                {"path", {"/dev/ttyUSB0", "/dev/serial/by-id/x"}, NULL},
                {"usb", {"\"0403:6001\"", "0403:6001:A50285BI"}, NULL}, {0}};
        uint8_t how = take(w);

        write_map(w, keys, how < 0x78 ? 2 : how < 0xf0 ? 1 : how, depth);
}

static void write_file(struct writer *w) {
        static const struct key keys[] = {
                {"port", {0}, write_port}, {"role", {"gateway", "gateway", "monitor"}, NULL},
                {"temperature", {"sheet", "legacy"}, NULL}, {"current_check", {"on", "off", "yes", "no", "true"}, NULL},
                {"tap", {"in", "last"}, NULL}, {"cells", {"2", "16", "255"}, NULL},
                {"sensor_type", {"25", "100A", "400 A", "2000", "1000"}, NULL},
                {"deadman_on_ineffective", {"on", "off", "false"}, NULL}, {"relays", {0}, write_relays},
                {"output", {0}, write_output}, {"settings", {0}, write_settings}, {"leds", {0}, write_leds},
                {"button", {0}, write_line}, {"heartbeat", {0}, write_line}, {0}};
        unsigned leave_out = take(w);

        leave_out |= (unsigned)take(w) << 8;
        write_map(w, keys, leave_out, 0);
        put(w, "\n");
}

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
        struct writer w = {0};
        char text[WRITTEN_MAX];

        if (size == 0 || data[0] == 0 || data[0] > 0x08)
                return config_parse("fuzz", (const char *) data, size, ret_config, ret_error);
        w = (struct writer){.data = data + 1, .size = size - 1, .text = text};
        w.block = data[0] & 1;
        if (data[0] == 0x01)
                w.n = write_words(data + 1, size - 1, text);
        else
                write_file(&w);
        return config_parse("fuzz", text, w.n, ret_config, ret_error);
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
