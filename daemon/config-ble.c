/* SPDX-License-Identifier: MIT */

/* The mapping ble: phones over Bluetooth LE; and that no two packs want the same adapter. */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* ---- one adapter, one pack ------------------------------------------------------------------------------ */

#define SUFFIX ".yaml"

/* The first pack's file comes first; then by name. */
static int order(const char *a, const char *b) {
        const bool first_a = strcmp(a, PACK_FIRST_FILE) == 0, first_b = strcmp(b, PACK_FIRST_FILE) == 0;

        return first_a != first_b ? (first_a ? -1 : 1) : strcmp(a, b);
}

/* A name that a pack's file can have. */
static bool is_pack_file(const char *name) {
        const size_t length = strlen(name), suffix = strlen(SUFFIX);
        char pack[PACK_NAME_MAX + 1];

        if (strcmp(name, PACK_FIRST_FILE) == 0)
                return true;
        if (length <= suffix || length - suffix >= sizeof(pack) || strcmp(name + length - suffix, SUFFIX) != 0)
                return false;
        memcpy(pack, name, length - suffix);
        pack[length - suffix] = '\0';
        return pack_name_valid(pack);
}

/* Can they be the same? A name and an address can, and "the first there is" can be any. */
static bool may_be_the_same(const char *a, const char *b) {
        return a[0] == '\0' || b[0] == '\0' || is_address(a) != is_address(b) || strcasecmp(a, b) == 0;
}

static const char *adapter_words(const char *adapter) {
        return adapter[0] ? adapter : "the first there is";
}

/* -EADDRINUSE if that file's pack is served by the same adapter. A file that is not good starts no daemon. */
static int compare(const char *path, const char *other, const struct config_ble *ours, char **ret_error) {
        struct config theirs;
        char *error = NULL;

        if (config_load(other, &theirs, &error) < 0) {
                free(error);
                return 0;
        }
        if (!theirs.ble.enabled || !may_be_the_same(ours->adapter, theirs.ble.adapter))
                return 0;
        if (asprintf(ret_error,
                     "%s: ble: enabled with adapter %s, but %s has it with adapter %s; expected an adapter for each, "
                     "both named the same way, or Bluetooth for one of the two",
                     path, adapter_words(ours->adapter), other, adapter_words(theirs.ble.adapter)) < 0)
                *ret_error = NULL;
        return -EADDRINUSE;
}

int config_check_adapter(const char *path, const struct config *config, char **ret_error) {
        const char *slash = strrchr(path, '/'), *own = slash ? slash + 1 : path;
        char *directory = NULL, *other;
        struct dirent **names;
        int n, r = 0;

        if (!config->ble.enabled)
                return 0;
        directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("./");
        n = directory ? scandir(directory, &names, NULL, alphasort) : -1;
        for (int i = 0; i < n; i++) {
                const char *name = names[i]->d_name;

                if (r == 0 && is_pack_file(name) && order(name, own) < 0) {
                        if (asprintf(&other, "%s%s", slash ? directory : "", name) < 0)
                                r = -ENOMEM;
                        else {
                                r = compare(path, other, &config->ble, ret_error);
                                free(other);
                        }
                }
                free(names[i]);
        }
        if (n >= 0)
                free(names);
        free(directory);
        return r;
}
