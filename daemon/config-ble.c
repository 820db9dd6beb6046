/* SPDX-License-Identifier: MIT */

/* The mapping ble: phones over Bluetooth LE; and that no two packs want the same adapter. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config-reader.h"

static struct config_ble *ble_of(struct reader *r) {
        return &r->config->ble;
}

static void read_enabled(struct reader *r, const struct node *value) {
        reader_switch(r, value, &ble_of(r)->enabled);
}

static void read_app(struct reader *r, const struct node *value) {
        reader_switch(r, value, &ble_of(r)->app);
}

static void read_app_echo(struct reader *r, const struct node *value) {
        reader_switch(r, value, &ble_of(r)->app_echo);
}

static void read_public_battery(struct reader *r, const struct node *value) {
        reader_switch(r, value, &ble_of(r)->public_battery);
}

static void read_allow_default_pin(struct reader *r, const struct node *value) {
        reader_switch(r, value, &ble_of(r)->allow_default_pin);
}

static bool is_address(const char *text) {
        for (size_t i = 0; i < 17; i++)
                if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
                        return false;
        return text[17] == '\0';
}

static bool is_hci(const char *text) {
        const size_t digits = strncmp(text, "hci", 3) == 0 ? strspn(text + 3, "0123456789") : 0;

        return digits >= 1 && digits <= 5 && text[3 + digits] == '\0' && (text[3] != '0' || digits == 1);
}

static void read_adapter(struct reader *r, const struct node *value) {
        static const char expected[] =
                "the adapter's name such as hci0, or its address such as \"B8:27:EB:01:02:03\" (both "
                "are in the output of bluetoothctl list and btmgmt info)";
        const char *text = reader_scalar(r, value, expected);

        if (!text)
                return;
        if (!is_hci(text) && !is_address(text))
                reader_complain_value(r, value, expected);
        else
                strcpy(ble_of(r)->adapter, text);
}

static void read_name(struct reader *r, const struct node *value) {
        static const char expected[] = "a name of 1 to 26 bytes";
        const char *text = reader_scalar(r, value, expected);

        if (!text)
                return;
        for (const char *p = text; *p; p++)
                if (iscntrl((unsigned char)*p)) {
                        reader_complain_value(r, value, expected);
                        return;
                }
        if (strlen(text) > CONFIG_BLE_NAME_MAX)
                COMPLAIN(r, value,
                         "a name of %zu bytes; expected %s, which is what an advertisement has room for",
                         strlen(text), expected);
        else
                strcpy(ble_of(r)->name, text);
}

static int hex_digit(char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

static void read_manufacturer(struct reader *r, const struct node *value) {
        static const char expected[] =
                "\"COMPANY:DATA\", the company's number from 0 to 65535 and up to 6 bytes in hex digits, "
                "such as \"65535:0102\"";
        const char *text = reader_scalar(r, value, expected);
        uint8_t data[CONFIG_BLE_MANUFACTURER_MAX];
        unsigned long company;
        size_t n = 0;
        char *rest;

        if (!text)
                return;
        errno = 0;
        company = strtoul(text, &rest, 10);
        if (!isdigit((unsigned char)text[0]) || errno || company > UINT16_MAX || *rest != ':') {
                reader_complain_value(r, value, expected);
                return;
        }
        for (rest++; n < sizeof(data) && hex_digit(rest[0]) >= 0 && hex_digit(rest[1]) >= 0; rest += 2)
                data[n++] = (uint8_t)(hex_digit(rest[0]) * 16 + hex_digit(rest[1]));
        if (*rest) {
                reader_complain_value(r, value, expected);
                return;
        }
        ble_of(r)->manufacturer = true;
        ble_of(r)->company = (uint16_t)company;
        memcpy(ble_of(r)->manufacturer_data, data, n);
        ble_of(r)->n_manufacturer_data = n;
}

void reader_ble(struct reader *r, const struct node *value) {
        static const struct key keys[] = {{"enabled", read_enabled},
                                          {"adapter", read_adapter},
                                          {"name", read_name},
                                          {"app", read_app},
                                          {"app_echo", read_app_echo},
                                          {"manufacturer", read_manufacturer},
                                          {"public_battery", read_public_battery},
                                          {"allow_default_pin", read_allow_default_pin},
                                          {0}};
        const struct node *seen[CONFIG_KEYS_MAX];

        (void)reader_map(r, value, keys, "keys such as enabled: on", seen);
}
