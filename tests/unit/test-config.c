/* SPDX-License-Identifier: MIT */
/* The config file: what a good one gives, and for each bad one where the problem is said to be and in which
 * words. Lines and columns in the tables are counted by hand in the texts beside them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

#define PORT "port: {path: /dev/ttyUSB0}\n" /* one line */
#define GPIO_LOAD "  load: {type: monostable, line: GPIO23}\n"

static void parse_good(const char *text, struct config *ret) {
        char *error = NULL;
        int r = config_parse("good.yaml", text, strlen(text), ret, &error);

        if (r < 0)
                print_error("%s\n", error ? error : "(no text)");
        assert_int_equal(r, 0);
        assert_null(error);
}

static void test_defaults(void **state) {
        struct config c;

        (void)state;
        parse_good(PORT, &c);
        assert_int_equal(c.bms.role, ROLE_GATEWAY);
        assert_int_equal(c.bms.coding, TEMPERATURE_SHEET);
        assert_true(c.bms.current_check);
        assert_int_equal(c.bms.tap, TAP_IN);
        assert_int_equal(c.bms.cells, 0);
        assert_int_equal(c.bms.learned_cells, 0);
        assert_int_equal(c.bms.blind_spot_ma, 1000);
        assert_false(c.bms.deadman_on_ineffective);
        assert_true(c.bms.mapped[RELAY_CHARGE]);
        assert_true(c.bms.mapped[RELAY_LOAD]);
        assert_string_equal(c.port_path, "/dev/ttyUSB0");
        assert_false(c.port_usb);
        assert_int_equal(c.relay_driver, RELAY_DRIVER_LOG);
        assert_string_equal(c.output_port, "");
        assert_string_equal(c.output_pty, "");
        assert_false(c.leds[LED_INFO].present || c.leds[LED_CHARGE].present || c.leds[LED_LOAD].present);
        assert_false(c.button.present || c.heartbeat.present);
        assert_false(c.ble.enabled || c.ble.app_echo || c.ble.public_battery || c.ble.allow_default_pin ||
                     c.ble.manufacturer);
        assert_true(c.ble.app);
        assert_string_equal(c.ble.adapter, "");
        assert_string_equal(c.ble.name, "");
        assert_int_equal(settings_get(&c.bms.settings, SETTING_VMIN), 2800);
        assert_int_equal(settings_get(&c.bms.settings, SETTING_VMAX), 3650);
}

static void test_everything(void **state) {
        static const char text[] = "%YAML 1.1\n"
                                   "---\n"
                                   "role: gateway\n"
                                   "temperature: legacy\n"
                                   "current_check: off\n"
                                   "tap: last\n"
                                   "cells: 255\n"
                                   "sensor_type: 400\n"
                                   "deadman_on_ineffective: on\n"
                                   "port: {usb: \"0403:6001:A50285BI\"}\n"
                                   "relays:\n"
                                   "  driver: gpio\n"
                                   "  charge:\n"
                                   "    type: latching\n"
                                   "    set: pinctrl-bcm2711:17\n"
                                   "    reset: \"!pinctrl-bcm2711:27\"\n"
                                   "    pulse: 10\n"
                                   "    feedback: RELAY_FB\n"
                                   "  load: {type: monostable, line: '!GPIO23'}\n"
                                   "leds: {info: GPIO5, charge: 'x:6', load: '!x:13'}\n"
                                   "button: '!GPIO26'\n"
                                   "heartbeat: pinctrl-bcm2711:16\n"
                                   "output: {pty: /run/smartbms/output}\n"
                                   "settings:\n"
                                   "  capacity: 3840Wh\n"
                                   "  vmin: 2.75V\n"
                                   "  vmax: 3600mV\n"
                                   "  charge_restart: 90%\n"
                                   "  mode: critical\n"
                                   "...\n";
        const struct config_relay *r;
        struct config c;

        (void)state;
        parse_good(text, &c);
        assert_int_equal(c.bms.coding, TEMPERATURE_LEGACY);
        assert_false(c.bms.current_check);
        assert_int_equal(c.bms.tap, TAP_LAST);
        assert_int_equal(c.bms.cells, 255);
        assert_int_equal(c.bms.blind_spot_ma, 4000);
        assert_true(c.bms.deadman_on_ineffective);
        assert_string_equal(c.port_path, "");
        assert_true(c.port_usb);
        assert_int_equal(c.usb_vendor, 0x0403);
        assert_int_equal(c.usb_product, 0x6001);
        assert_string_equal(c.usb_serial, "A50285BI");
        assert_int_equal(c.relay_driver, RELAY_DRIVER_GPIO);
        r = &c.relays[RELAY_CHARGE];
        assert_true(r->present && r->latching && r->set.present && r->reset.present && r->feedback.present &&
                    !r->line.present);
        assert_string_equal(r->set.chip, "pinctrl-bcm2711");
        assert_string_equal(r->set.name, "");
        assert_int_equal(r->set.offset, 17);
        assert_false(r->set.active_low);
        assert_string_equal(r->reset.chip, "pinctrl-bcm2711");
        assert_int_equal(r->reset.offset, 27);
        assert_true(r->reset.active_low);
        assert_int_equal(r->pulse_msec, 10);
        assert_string_equal(r->feedback.name, "RELAY_FB");
        r = &c.relays[RELAY_LOAD];
        assert_true(r->present && !r->latching && r->line.present && r->line.active_low &&
                    !r->feedback.present);
        assert_string_equal(r->line.chip, "");
        assert_string_equal(r->line.name, "GPIO23");
        assert_int_equal(r->pulse_msec, 50);
        assert_string_equal(c.leds[LED_INFO].name, "GPIO5");
        assert_true(c.leds[LED_INFO].present && c.leds[LED_CHARGE].present && c.leds[LED_LOAD].present);
        assert_int_equal(c.leds[LED_CHARGE].offset, 6);
        assert_true(c.leds[LED_LOAD].active_low && c.leds[LED_LOAD].offset == 13);
        assert_true(c.button.present && c.button.active_low);
        assert_string_equal(c.button.name, "GPIO26");
        assert_true(c.heartbeat.present);
        assert_string_equal(c.heartbeat.chip, "pinctrl-bcm2711");
        assert_int_equal(c.heartbeat.offset, 16);
        assert_string_equal(c.output_pty, "/run/smartbms/output");
        assert_int_equal(settings_get(&c.bms.settings, SETTING_VMIN), 2750);
        assert_int_equal(settings_get(&c.bms.settings, SETTING_VMAX), 3600);
        assert_int_equal(settings_get(&c.bms.settings, SETTING_MODE), MODE_CRITICAL);
        assert_true(c.bms.settings.values[SETTING_CAPACITY].known);
        assert_int_equal(c.bms.settings.values[SETTING_CAPACITY].value, 3840);
}

/* Manual, "Load relay": boards v2.x let the load on through pins 2 and 3, which reset connects. */
static void test_contacts(void **state) {
        static const char *const words[] = {"", ", contacts: v1", ", contacts: v2"};
        char text[256];
        struct config c;

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                (void)snprintf(text, sizeof(text),
                               PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: A}\n"
                                    "  load: {type: latching, set: P12, reset: P23, feedback: F%s}\n",
                               words[i]);
                parse_good(text, &c);
                assert_string_equal(c.relays[RELAY_LOAD].set.name, i == 2 ? "P23" : "P12");
                assert_string_equal(c.relays[RELAY_LOAD].reset.name, i == 2 ? "P12" : "P23");
                assert_string_equal(c.relays[RELAY_LOAD].feedback.name, "F");
        }
}

static void test_ble(void **state) {
        static const uint8_t data[] = {0x01, 0xaB, 0xff, 0x00, 0x10, 0x7f};
        struct config c;

        (void)state;
        parse_good(PORT "ble: {enabled: on, adapter: hci12, name: 'Boot \"Käthe\" 1234567890x', app: off, app_echo: on,"
                        " manufacturer: '2330:01aBff00107F', public_battery: on, allow_default_pin: yes}\n",
                   &c);
        assert_true(c.ble.enabled && c.ble.app_echo && c.ble.public_battery && c.ble.allow_default_pin);
        assert_false(c.ble.app);
        assert_string_equal(c.ble.adapter, "hci12");
        assert_string_equal(c.ble.name, "Boot \"Käthe\" 1234567890x"); /* 25 letters, one of two bytes: 26 */
        assert_true(c.ble.manufacturer);
        assert_int_equal(c.ble.company, 2330);
        assert_int_equal(c.ble.n_manufacturer_data, 6);
        assert_memory_equal(c.ble.manufacturer_data, data, 6);
        parse_good(PORT "ble: {adapter: 'b8:27:EB:01:02:03', manufacturer: '65535:'}\n", &c);
        assert_string_equal(c.ble.adapter, "b8:27:EB:01:02:03");
        assert_int_equal(c.ble.company, 65535);
        assert_int_equal(c.ble.n_manufacturer_data, 0);
}

static void write_pack(const char *directory, const char *name, const char *ble) {
        char path[512];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        f = fopen(path, "w");
        assert_non_null(f);
        fprintf(f, PORT "%s", ble);
        fclose(f);
}

/* NULL: it may start; else the complaint. */
static char *check_pack(const char *directory, const char *name) {
        struct config c;
        char path[512], *error = NULL;
        int r;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        assert_int_equal(config_load(path, &c, &error), 0);
        r = config_check_adapter(path, &c, &error);
        assert_int_equal(r, error ? -EADDRINUSE : 0);
        return error;
}

static void test_one_adapter_one_pack(void **state) {
        static const struct {
                const char *first, *second;
                bool both;
        } rows[] = {
                {"ble: {enabled: on}\n", "ble: {enabled: on}\n", false},
                {"ble: {enabled: on}\n", "ble: {enabled: on, adapter: hci1}\n", false},
                {"ble: {enabled: on, adapter: hci1}\n", "ble: {enabled: on}\n", false},
                {"ble: {enabled: on, adapter: hci1}\n", "ble: {enabled: on, adapter: hci1}\n", false},
                {"ble: {enabled: on, adapter: 'B8:27:EB:01:02:0a'}\n",
                 "ble: {enabled: on, adapter: 'B8:27:EB:01:02:0A'}\n", false},
                {"ble: {enabled: on, adapter: 'B8:27:EB:01:02:03'}\n", "ble: {enabled: on, adapter: hci1}\n", false},
                {"ble: {enabled: on, adapter: hci0}\n", "ble: {enabled: on, adapter: hci1}\n", true},
                {"ble: {enabled: on, adapter: 'B8:27:EB:01:02:03'}\n",
                 "ble: {enabled: on, adapter: 'B8:27:EB:01:02:04'}\n", true},
                {"ble: {enabled: off}\n", "ble: {enabled: on}\n", true},
                {"ble: {enabled: on}\n", "ble: {enabled: off}\n", true},
                {"ble: {enabled: on}\n", "", true},
                {"ble: {enabled: on, adapter: what}\n", "ble: {enabled: on}\n", true}, /* starts no daemon */
        };
        /* which comes first, and which second; the last two are no packs' */
        static const char *const names[][2] = {
                {"smartbms.yaml", "boat.yaml"}, {"boat.yaml", "cabin.yaml"}, {"Zelt.yaml", "boat.yaml"},
                {"boat.yaml", "other.conf"},
        };
        static const char *const ignored[] = {"boat.yaml~", "my-pack.yaml", ".yaml", "boat.yaml.bak"};
        char directory[] = "/tmp/smartbms-test-XXXXXX", path[512], *error;

        (void)state;
        assert_non_null(mkdtemp(directory));
        for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++)
                for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                        write_pack(directory, names[n][0], rows[i].first);
                        write_pack(directory, names[n][1], rows[i].second);
                        error = check_pack(directory, names[n][1]);
                        assert_int_equal(rows[i].both, error == NULL);
                        if (error) { /* it names the first */
                                snprintf(path, sizeof(path), "but %s/%s has it", directory, names[n][0]);
                                assert_non_null(strstr(error, path));
                        }
                        free(error);
                        if (!strstr(rows[i].first, "what"))
                                assert_null(check_pack(directory, names[n][0])); /* which starts in any case */
                        for (size_t k = 0; k < 2; k++) {
                                snprintf(path, sizeof(path), "%s/%s", directory, names[n][k]);
                                unlink(path);
                        }
                }
        for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
                write_pack(directory, ignored[i], "ble: {enabled: on}\n");
        write_pack(directory, "zoo.yaml", "ble: {enabled: on}\n");
        assert_null(check_pack(directory, "zoo.yaml"));
        for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++) {
                snprintf(path, sizeof(path), "%s/%s", directory, ignored[i]);
                unlink(path);
        }
        snprintf(path, sizeof(path), "%s/zoo.yaml", directory);
        unlink(path);
        assert_int_equal(rmdir(directory), 0);
}

static void test_monitor(void **state) {
        struct config c;

        (void)state;
        parse_good("role: monitor\n" PORT, &c);
        assert_false(c.bms.mapped[RELAY_CHARGE]);
        assert_false(c.bms.mapped[RELAY_LOAD]);
        parse_good("role: monitor\n" PORT "relays: {driver: log, load: {}}\n", &c);
        assert_false(c.bms.mapped[RELAY_CHARGE]);
        assert_true(c.bms.mapped[RELAY_LOAD]);
        parse_good("settings: {solar_peak: 2kW, trip_frames: 3}\nrole: monitor\n" PORT, &c);
        assert_int_equal(settings_get(&c.bms.settings, SETTING_TRIP_FRAMES), 3);
}

static void test_good_forms(void **state) {
        static const char *const texts[] = {
                "port:\n  usb: \"0403:6001\"\n",
                "port:\n  usb: 1a86:7523\n",
                "\xef\xbb\xbf" PORT,                          /* byte order mark */
                "port: {path: /dev/ttyUSB0}\r\ncells: 2\r\n", /* from another system's editor */
                PORT "settings:\n#  vmin: 2.8V\n",            /* all commented out */
                PORT "# \tcomment with a tab\n",
                PORT "sensor_type: 25A\n",
                PORT "relays: {driver: log}\n",
                PORT
                "relays: {driver: gpio, charge: {type: latching, set: A, reset: B, pulse: 500ms},\n" GPIO_LOAD
                "}\n",
                PORT "output: {port: /dev/ttyUSB1}\n",
                PORT "leds: {load: A}\n",
                PORT "leds: {}\n",
                PORT "relays: {driver: gpio, charge: {type: monostable, line: A},\n"
                "  load: {type: monostable, line: B, contacts: v1}}\n",
        };
        struct config c;

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
                parse_good(texts[i], &c);
}

struct blind_spot {
        const char *text;
        int32_t ma;
};

static void test_sensor_types(void **state) {
        static const struct blind_spot rows[] = {{"25", 250},     {"50", 500},    {"100", 1000},
                                                 {"250", 2500},   {"400", 4000},  {"500", 5000},
                                                 {"1000", 10000}, {"2000", 20000}};
        char text[128];
        struct config c;

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                (void)snprintf(text, sizeof(text), PORT "sensor_type: %s\n", rows[i].text);
                parse_good(text, &c);
                assert_int_equal(c.bms.blind_spot_ma, rows[i].ma);
        }
}

struct bad {
        const char *text;
        const char *place;  /* "line:column" */
        const char *phrase; /* part of the message at that place */
};

static const struct bad bad_files[] = {
        /* the file as such */
        {"", "1:1", "expected at least port:"},
        {"# nothing\n", "1:1", "expected at least port:"},
        {"- a\n", "1:1", "a list; expected keys"},
        {"gateway\n", "1:1", "a value; expected keys"},
        {"role: gateway\n", "1:1", "no port; expected port:"},
        {PORT "\tcells: 4\n", "2:1", "a tab in the indentation"},
        {PORT "relays:\n \tdriver: log\n", "3:2", "a tab in the indentation"},
        {PORT "cells: [4\n", "3:1", "not valid YAML"},
        {PORT "cells: 4: 5\n", "2:9", "not valid YAML: mapping values are not allowed"},
        {PORT "role: \"gate\xff\"\n", "2:12", "not UTF-8 text"},
        {PORT "---\n" PORT, "2:1", "a second document"},
        {"port: &p {path: /dev/ttyUSB0}\n", "1:7", "an anchor (&p)"},
        {PORT "role: &r gateway\ntap: *r\n", "3:6", "an alias (*r)"},
        {PORT "role: !gateway x\n", "2:7", "put quotes around"},
        {PORT "role: \"a\\0b\"\n", "2:7", "a NUL character"},
        {PORT "output: {port: {a: {b: {c: {d: {e: {f: {g: {}}}}}}}}}\n", "2:40", "nested deeper than 8"},

        /* keys */
        {PORT "rool: gateway\n", "2:1", "unknown key 'rool'; expected 'role'?"},
        {PORT "relais: {}\n", "2:1", "unknown key 'relais'; expected 'relays'?"},
        {PORT "crurent_check: on\n", "2:1", "expected 'current_check'?"},
        {PORT "bluetooth: on\n", "2:1", "unknown key 'bluetooth'; expected one of role, port"},
        {PORT "cells: 4\ncells: 5\n", "3:1", "key 'cells' again; expected once (line 2 has it)"},
        {PORT PORT, "2:1", "key 'port' again"},
        {PORT "{a: b}: c\n", "2:1", "a mapping as a key"},
        {PORT "[a]: c\n", "2:1", "a list as a key"},

        /* words, switches, numbers */
        {PORT "ble: on\n", "2:6", "a value; expected keys such as enabled: on"},
        {PORT "ble: {enabled: maybe}\n", "2:16", "'maybe'; expected on or off"},
        {PORT "ble: {enable: on}\n", "2:7", "unknown key 'enable'; expected 'enabled'?"},
        {PORT "ble: {adapter: hci}\n", "2:16", "'hci'; expected the adapter's name such as hci0, or its address"},
        {PORT "ble: {adapter: hci01}\n", "2:16", "'hci01'; expected the adapter's name"},
        {PORT "ble: {adapter: 'B8:27:EB:01:02'}\n", "2:16", "'B8:27:EB:01:02'; expected the adapter's name"},
        {PORT "ble: {adapter: 'B8:27:EB:01:02:03:'}\n", "2:16", "expected the adapter's name"},
        {PORT "ble: {name: ''}\n", "2:13", "no value; expected a name of 1 to 26 bytes"},
        {PORT "ble: {name: \"a\\tb\"}\n", "2:13", "expected a name of 1 to 26 bytes"},
        {PORT "ble: {name: abcdefghijklmnopqrstuvwxyz1}\n", "2:13",
         "a name of 27 bytes; expected a name of 1 to 26 bytes"},
        {PORT "ble: {manufacturer: '0102'}\n", "2:21", "'0102'; expected \"COMPANY:DATA\""},
        {PORT "ble: {manufacturer: '65536:01'}\n", "2:21", "'65536:01'; expected \"COMPANY:DATA\""},
        {PORT "ble: {manufacturer: '1:012'}\n", "2:21", "'1:012'; expected \"COMPANY:DATA\""},
        {PORT "ble: {manufacturer: '1:01020304050607'}\n", "2:21", "expected \"COMPANY:DATA\""},
        {PORT "ble: {manufacturer: '-1:01'}\n", "2:21", "'-1:01'; expected \"COMPANY:DATA\""},
        {PORT "role: master\n", "2:7", "'master'; expected gateway or monitor"},
        {PORT "role:\n", "2:6", "no value; expected gateway or monitor"},
        {PORT "role: [gateway]\n", "2:7", "a list; expected gateway or monitor"},
        {PORT "role: {a: b}\n", "2:7", "a mapping; expected gateway or monitor"},
        {PORT "temperature: celsius\n", "2:14", "expected sheet or legacy"},
        {PORT "tap: out\n", "2:6", "expected in or last"},
        {PORT "current_check: maybe\n", "2:16", "expected on or off"},
        {PORT "deadman_on_ineffective: 1\n", "2:25", "expected on or off"},
        {PORT "cells: 1\n", "2:8", "'1'; expected a number of cells from 2 to 255"},
        {PORT "cells: 256\n", "2:8", "from 2 to 255"},
        {PORT "cells: 16.0\n", "2:8", "from 2 to 255"},
        {PORT "cells: -16\n", "2:8", "from 2 to 255"},
        {PORT "cells: 0x10\n", "2:8", "from 2 to 255"},
        {PORT "cells: 99999999999999999999\n", "2:8", "from 2 to 255"},
        {PORT "cells: many\n", "2:8", "from 2 to 255"},
        {PORT "sensor_type: 200\n", "2:14", "expected 25, 50, 100, 250, 400, 500, 1000 or 2000"},
        {PORT "sensor_type: 24\n", "2:14", "expected 25, 50"},
        {PORT "sensor_type: 2001\n", "2:14", "expected 25, 50"},

        /* port */
        {"port: /dev/ttyUSB0\n", "1:7", "a value; expected exactly one of path: and usb:"},
        {"port: {}\n", "1:7", "neither given; expected exactly one of path: and usb:"},
        {"port: {path: /dev/ttyUSB0, usb: \"0403:6001\"}\n", "1:28", "both given"},
        {"port: {path: ttyUSB0}\n", "1:14", "an absolute path"},
        {"port: {path: /}\n", "1:14", "an absolute path"},
        {"port: {path: /dev/}\n", "1:14", "an absolute path"},
        {"port: {pth: /dev/ttyUSB0}\n", "1:8", "expected 'path'?"},
        {"port: {usb: 0403}\n", "1:13", "VENDOR:PRODUCT"},
        {"port: {usb: \"403:6001\"}\n", "1:13", "4 hex digits"},
        {"port: {usb: \"0403:60011\"}\n", "1:13", "4 hex digits"},
        {"port: {usb: \"0403:60g1\"}\n", "1:13", "4 hex digits"},
        {"port: {usb: \"0403:6001:\"}\n", "1:13", "VENDOR:PRODUCT"},

        /* output */
        {PORT "output: {}\n", "2:9", "neither given; expected exactly one of port: and pty:"},
        {PORT "output: {port: /dev/ttyUSB1, pty: /run/x}\n", "2:30", "both given"},
        {PORT "output: {port: /dev/ttyUSB0}\n", "2:9", "the output port is the input port"},
        {PORT "output: {pty: /dev/ttyUSB0}\n", "2:9", "would replace the input port"},
        {PORT "output: {pty: link}\n", "2:15", "absolute path of the link"},

        /* relays */
        {PORT "relays: {}\n", "2:9", "no driver; expected driver: log or driver: gpio"},
        {PORT "relays: {driver: relay}\n", "2:18", "expected log or gpio"},
        {PORT "relays: {driver: gpio}\n", "2:9", "without the charge relay"},
        {PORT "relays: {driver: gpio}\n", "2:9", "without the load relay"},
        {PORT "relays:\n  driver: gpio\n" GPIO_LOAD, "3:3",
         "without the charge relay; role gateway drives both"},
        {"role: monitor\n" PORT "relays: {driver: gpio}\n", "3:9", "driver gpio without a relay"},
        {PORT "relays:\n  driver: gpio\n  charge: {line: A}\n" GPIO_LOAD, "4:11",
         "relay 'charge' has no type"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: bistable}\n" GPIO_LOAD, "4:18",
         "expected latching or monostable"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: latching, set: A}\n" GPIO_LOAD, "4:11",
         "relay 'charge' is latching but has no 'reset' line"},
        {PORT "relays:\n  driver: log\n  charge: {type: latching, set: A}\n" GPIO_LOAD, "4:11",
         "has no 'reset' line"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: latching, reset: A}\n" GPIO_LOAD, "4:11",
         "has no 'set' line"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: latching, set: A, reset: B, line: C}\n" GPIO_LOAD,
         "4:46", "'line' does not fit a latching relay"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable}\n" GPIO_LOAD, "4:11",
         "has no 'line' line"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: A, reset: B}\n" GPIO_LOAD, "4:39",
         "'reset' does not fit a monostable relay"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: A, pulse: 50}\n" GPIO_LOAD, "4:39",
         "'pulse' does not fit a monostable relay"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: latching, set: A, reset: B, pulse: 9}\n" GPIO_LOAD,
         "4:53", "expected a pulse of 10 to 500"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: latching, set: A, reset: B, pulse: 501}\n" GPIO_LOAD,
         "4:53", "expected a pulse of 10 to 500"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: GPIO23}\n" GPIO_LOAD, "5:34",
         "'GPIO23' is used twice (line 4)"},
        {PORT
         "relays:\n  driver: gpio\n  charge: {type: latching, set: \"x:1\", reset: \"!x:1\"}\n" GPIO_LOAD,
         "4:47", "'!x:1' is used twice"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: \"gpiochip4:17\"}\n" GPIO_LOAD,
         "4:36", "a Pi 5 renumbers"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: \"!gpiochip0:1\"}\n" GPIO_LOAD,
         "4:36", "a Pi 5 renumbers"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: /dev/gpiochip0:1}\n" GPIO_LOAD,
         "4:36", "a Pi 5 renumbers"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: gpiochip0}\n" GPIO_LOAD, "4:36",
         "a Pi 5 renumbers"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: !GPIO17}\n" GPIO_LOAD, "4:36",
         "put quotes around"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: \"x:\"}\n" GPIO_LOAD, "4:36",
         "\"chip-label:offset\" or \"LINE-NAME\""},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: \":4\"}\n" GPIO_LOAD, "4:36",
         "\"chip-label:offset\""},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: \"x:-1\"}\n" GPIO_LOAD, "4:36",
         "\"chip-label:offset\""},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: \"!\"}\n" GPIO_LOAD, "4:36",
         "\"chip-label:offset\""},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: "
              "a2345678901234567890123456789012}\n" GPIO_LOAD,
         "4:36", "\"chip-label:offset\""},

        /* contacts */
        {PORT "relays:\n  driver: gpio\n  charge: {type: latching, set: A, reset: B, contacts: v1}\n" GPIO_LOAD, "4:46",
         "'contacts' is for the load relay"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: A}\n"
              "  load: {type: monostable, line: B, contacts: v2}\n",
         "5:37", "expected type: latching or contacts: v1"},
        {PORT "relays:\n  driver: gpio\n  charge: {type: monostable, line: A}\n"
              "  load: {type: latching, set: B, reset: C, contacts: v3}\n",
         "5:54", "expected v1 (pins 1 and 2 when allowed) or v2 (pins 2 and 3)"},

        /* the panel */
        {PORT "leds: GPIO5\n", "2:7", "a value; expected info:, charge: or load:"},
        {PORT "leds: {inof: GPIO5}\n", "2:8", "unknown key 'inof'; expected 'info'?"},
        {PORT "leds: {info: {line: A}}\n", "2:14", "\"chip-label:offset\""},
        {PORT "leds: {info: \"a\\tb\"}\n", "2:14", "\"chip-label:offset\""},
        {PORT "leds: {info: \"x\\ny:1\"}\n", "2:14", "\"chip-label:offset\""},
        {PORT "button: gpiochip0:26\n", "2:9", "a Pi 5 renumbers"},
        {PORT "button: on: 1\n", "2:11", "not valid YAML"},
        {PORT "heartbeat: []\n", "2:12", "a list; expected"},
        {PORT "button: A\nheartbeat: A\n", "3:12", "'A' is used twice (line 2)"},
        {PORT "leds: {info: A, load: \"!A\"}\n", "2:23", "'!A' is used twice"},
        {PORT "heartbeat: GPIO23\nrelays:\n  driver: gpio\n  charge: {type: monostable, line: A}\n" GPIO_LOAD, "6:34",
         "'GPIO23' is used twice (line 2)"},

        /* settings */
        {PORT "settings: on\n", "2:11", "a value; expected settings"},
        {PORT "settings: {vmn: 2.8V}\n", "2:12", "unknown setting 'vmn'; expected 'vmin'?"},
        {PORT "settings: {pin: 1234}\n", "2:12", "unknown setting 'pin'"},
        {PORT "settings: {vmin: 2.8V, vmin: 2.9V}\n", "2:24", "key 'vmin' again"},
        {PORT "settings: {vmin: low}\n", "2:18", "vmin"},
        {PORT "settings: {vmin: 1999mV}\n", "2:18", "vmin"},
        {PORT "settings: {vmin: [2.8V]}\n", "2:18", "a list; expected a value"},
        {PORT "settings: {vmin: 3.60V, vmax: 3.50V}\n", "2:11", "3.500"},
        {PORT "settings: {charge_restart: 20%}\n", "2:11", "20"},
        {"role: monitor\n" PORT "settings: {vmax: 3.6V}\n", "3:12", "'vmax' has no effect in role monitor"},
        {"role: monitor\n" PORT "settings: {solar_peak: 2kW, vmin: 3.0V}\n", "3:29",
         "'vmin' has no effect in role monitor"},
};

/* True if a line of error is "NAME:PLACE: ...PHRASE...". */
static bool says(const char *error, const char *name, const char *place, const char *phrase) {
        char prefix[128];
        int length = snprintf(prefix, sizeof(prefix), "%s:%s: ", name, place);

        for (const char *line = error; line && *line;
             line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                const char *end = strchr(line, '\n');
                size_t n = end ? (size_t)(end - line) : strlen(line);
                if (strncmp(line, prefix, (size_t)length) == 0 && memmem(line, n, phrase, strlen(phrase)))
                        return true;
        }
        return false;
}

static void check_bad(const char *text, size_t size, const char *place, const char *phrase) {
        struct config c, before;
        char *error = NULL;
        int r;

        memset(&c, 0xa5, sizeof(c));
        memcpy(&before, &c, sizeof(c));
        r = config_parse("bad.yaml", text, size, &c, &error);
        if (r != -EINVAL || !error || !says(error, "bad.yaml", place, phrase)) {
                print_error("text:\n%.*s\nexpected %s ... %s\ngot %d:\n%s\n", (int)size, text, place, phrase,
                            r, error ? error : "(none)");
                fail();
        }
        assert_memory_equal(&c, &before, sizeof(c)); /* nothing half applied */
        free(error);
}

static void test_bad_files(void **state) {
        (void)state;
        for (size_t i = 0; i < sizeof(bad_files) / sizeof(*bad_files); i++)
                check_bad(bad_files[i].text, strlen(bad_files[i].text), bad_files[i].place,
                          bad_files[i].phrase);
}

static void test_bytes(void **state) {
        static const char nul[] = PORT "cells:\0 4\n";
        static const char utf16[] = "\xff\xfep\0o\0";
        char *large = malloc(64 * 1024 + 1);
        struct config c;
        char *error = NULL;

        (void)state;
        assert_non_null(large);
        check_bad(nul, sizeof(nul) - 1, "2:7", "a NUL byte");
        check_bad(utf16, sizeof(utf16) - 1, "1:4", "a NUL byte");

        /* 65536 bytes are read, one more is refused */
        memset(large, '#', 64 * 1024 + 1);
        memcpy(large, PORT, strlen(PORT));
        check_bad(large, 64 * 1024 + 1, "1:1", "larger than 65536 bytes");
        assert_int_equal(config_parse("large.yaml", large, 64 * 1024, &c, &error), 0);
        free(large);
}

/* All problems of a file are told, in the order of its lines. */
static void test_all_problems(void **state) {
        static const char text[] = "rool: gateway\n"
                                   "cells: 1\n"
                                   "tap: out\n"
                                   "settings:\n"
                                   "  vmin: low\n"
                                   "  vmx: 3.6V\n";
        static const char *const places[] = {"x.yaml:1:1: unknown key 'rool'",
                                             "x.yaml:1:1: no port",
                                             "x.yaml:2:8: ",
                                             "x.yaml:3:6: ",
                                             "x.yaml:5:9: ",
                                             "x.yaml:6:3: "};
        struct config c;
        char *error = NULL;
        const char *at;

        (void)state;
        assert_int_equal(config_parse("x.yaml", text, strlen(text), &c, &error), -EINVAL);
        at = error;
        for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
                if (strncmp(at, places[i], strlen(places[i])) != 0)
                        print_error("%zu: %s\n", i, error);
                assert_memory_equal(at, places[i], strlen(places[i]));
                at = strchr(at, '\n');
                assert_int_equal(at == NULL, i == sizeof(places) / sizeof(*places) - 1);
                at = at ? at + 1 : NULL;
        }
        free(error);
}

static void test_many_problems(void **state) {
        char text[4096] = PORT;
        struct config c;
        char *error = NULL;
        const char *last;

        (void)state;
        for (int i = 0; i < 60; i++)
                (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "nonsense%d: 1\n", i);
        assert_int_equal(config_parse("m.yaml", text, strlen(text), &c, &error), -EINVAL);
        last = strrchr(error, '\n');
        assert_non_null(last);
        assert_string_equal(last, "\nm.yaml: and 10 more");
        free(error);
}

/* Text of the file in a message cannot break the line or the terminal. */
static void test_message_is_one_line(void **state) {
        static const char text[] = PORT "role: \"a\\nb\\e[31m\"\n";
        struct config c;
        char *error = NULL;

        (void)state;
        assert_int_equal(config_parse("c.yaml", text, strlen(text), &c, &error), -EINVAL);
        assert_string_equal(error, "c.yaml:2:7: 'a?b?[31m'; expected gateway or monitor");
        free(error);
}

static void test_load(void **state) {
        char path[] = "/tmp/test-config-XXXXXX", fifo[64];
        struct config c;
        char *error = NULL;
        int fd = mkstemp(path);

        (void)state;
        assert_true(fd >= 0);
        assert_int_equal(write(fd, PORT, strlen(PORT)), strlen(PORT));
        (void)close(fd);
        assert_int_equal(config_load(path, &c, &error), 0);
        assert_string_equal(c.port_path, "/dev/ttyUSB0");
        (void)unlink(path);

        assert_int_equal(config_load(path, &c, &error), -ENOENT);
        assert_non_null(strstr(error, "cannot be read: No such file"));
        free(error);

        assert_int_equal(config_load("/tmp", &c, &error), -EISDIR);
        free(error);

        assert_int_equal(config_load("/dev/zero", &c, &error), -EINVAL); /* ends at the limit */
        assert_non_null(strstr(error, "larger than"));
        free(error);

        (void)snprintf(fifo, sizeof(fifo), "%s.fifo", path);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_int_equal(config_load(fifo, &c, &error), -EINVAL); /* empty, and does not hang */
        free(error);
        (void)unlink(fifo);
}

/* The file that is installed is good, and says what the daemon would do without it. */
static void test_example(void **state) {
        struct config c, standard;
        char *error = NULL;

        (void)state;
        config_init(&standard);
        if (config_load(SOURCE_ROOT "/conf/smartbms.yaml", &c, &error) < 0)
                fail_msg("%s", error);
        assert_true(settings_equal(&c.bms.settings, &standard.bms.settings));
        assert_int_equal(c.relay_driver, standard.relay_driver);
        assert_int_equal(c.bms.role, standard.bms.role);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),      cmocka_unit_test(test_everything),
                cmocka_unit_test(test_contacts),
                cmocka_unit_test(test_ble),
                cmocka_unit_test(test_one_adapter_one_pack),
                cmocka_unit_test(test_monitor),       cmocka_unit_test(test_good_forms),
                cmocka_unit_test(test_sensor_types),  cmocka_unit_test(test_bad_files),
                cmocka_unit_test(test_bytes),         cmocka_unit_test(test_all_problems),
                cmocka_unit_test(test_many_problems), cmocka_unit_test(test_message_is_one_line),
                cmocka_unit_test(test_load),          cmocka_unit_test(test_example),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
