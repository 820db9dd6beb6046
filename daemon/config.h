/* SPDX-License-Identifier: MIT */
#pragma once

/* The YAML config file (smartbms.yaml(5)): hardware and first defaults of the settings. Read once at start.
 */

#include "bms.h"
#include "pack-name.h"

#define CONFIG_DIRECTORY "/etc/smartbms"
#define PACK_FIRST_FILE "smartbms.yaml"
#define CONFIG_DEFAULT_PATH CONFIG_DIRECTORY "/" PACK_FIRST_FILE /* further packs: NAME.yaml */

enum relay_driver { RELAY_DRIVER_LOG, RELAY_DRIVER_GPIO };

/* A GPIO line: chip by label and offset, or a line name alone. Never gpiochipN (a Pi 5 renumbers). */
struct config_line {
        bool present;
        char chip[64]; /* chip label; "" = look the name up on every chip */
        char name[64]; /* line name; "" = by offset */
        unsigned offset;
        bool active_low;
};

struct config_relay {
        bool present;
        bool latching; /* set and reset lines; else monostable: line */
        /* set closes the contact in use, whatever the file calls it: with contacts v2 the reader exchanges the two */
        struct config_line set, reset, line, feedback;
        unsigned pulse_msec; /* latching: 10..500, default 50 */
};

/* Lines beside the relays: design 6, "LEDs" and "Button"; each may be absent. */
enum led { LED_INFO, LED_CHARGE, LED_LOAD, _LED_MAX };

/* The Bluetooth door (mapping ble:). */
#define CONFIG_BLE_NAME_MAX 26U  /* of 31 bytes of a scan response, less what stands before it */
#define CONFIG_BLE_MANUFACTURER_MAX 6U /* of 31, less flags, the Nordic UART Service and the company */

struct config_ble {
        bool enabled;
        char adapter[18];                    /* "hci0", or its address; "" = the first there is */
        char name[CONFIG_BLE_NAME_MAX + 1];  /* "" = SmartBMS- and the end of the address */
        bool app;                            /* the line protocol, over the Nordic UART Service */
        bool app_echo;
        bool public_battery;                 /* Battery Level is read by anyone */
        bool allow_default_pin;              /* settings may be changed while the PIN is the first one */
        bool manufacturer;                   /* in the advertisement of the line protocol: */
        uint16_t company;
        uint8_t manufacturer_data[CONFIG_BLE_MANUFACTURER_MAX];
        size_t n_manufacturer_data;
};

struct config {
        char pack[PACK_NAME_MAX + 1]; /* by --pack, not by the file */
        char state_directory[256]; /* by --state or $STATE_DIRECTORY, not by the file; "" = nothing is remembered */
        char runtime_directory[256]; /* by --runtime or $RUNTIME_DIRECTORY, not by the file; "" = none (relay-file.h) */
        struct bms_config bms; /* settings included: first defaults */

        char port_path[256]; /* "" = by USB identity */
        bool port_usb;
        uint16_t usb_vendor, usb_product;
        char usb_serial[64]; /* "" = any */

        enum relay_driver relay_driver;
        struct config_relay relays[_RELAY_MAX];
        struct config_line leds[_LED_MAX], button, heartbeat;

        struct config_ble ble;

        char output_port[256]; /* extended data output on a serial port; "" = none */
        char output_pty[256];  /* or on a pty, this being the link to make to it; "" = none */
};

void config_init(struct config *c); /* defaults: gateway, sheet, tap in, log-only relays, no port */

/* Reads and checks path whole. On error returns -Exxx and *ret_error (freed by the caller) gets one or more
 * lines "path:line:column: what is wrong; what was expected"; *ret_config is untouched. All problems of a
 * file are reported, not only the first. */
int config_load(const char *path, struct config *ret_config, char **ret_error);

/* Same, from memory (tests, fuzzing); name stands for the path in messages. */
int config_parse(const char *name, const char *text, size_t size, struct config *ret_config,
                 char **ret_error);

/* Does a pack that comes before this one want the same Bluetooth adapter? Looks at the files beside path: smartbms.yaml
 * comes first, then the others by name; so of two that cannot both be, the first one starts. 0; -EADDRINUSE with
 * a sentence that names the other file, as of config_load(); -ENOMEM. Other files that are not good, or cannot be read,
 * are passed over. */
int config_check_adapter(const char *path, const struct config *config, char **ret_error);
