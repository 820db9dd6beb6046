/* SPDX-License-Identifier: MIT */

/* The settings file under any bytes. As they are: the checksum keeps nearly all of them out. With a true checksum put
 * behind them: what is taken then has only values that settings may have, and is read again as it was written. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings-file.h"

/* The build may define NDEBUG; a fuzzer must not lose its eyes by that. */
#define CHECK(condition)         \
        do {                     \
                if (!(condition)) \
                        abort(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_taken(const struct kept_settings *k) {
        char text[SETTINGS_FILE_TEXT_MAX], error[160];
        struct kept_settings again;

        CHECK(settings_check(&k->values, none(), error, sizeof(error)) == 0);
        CHECK(k->known_cells == 0 || k->known_cells >= CELLS_MIN);
        CHECK(k->idle_draw_ma.known ? k->idle_draw_ma.value >= 0 : k->idle_draw_ma.value == 0);
        CHECK(memchr(k->pin_hash, 0, sizeof(k->pin_hash)) && memchr(k->by, 0, sizeof(k->by)));
        CHECK(settings_file_format(k, text, sizeof(text)) == 0);
        CHECK(settings_file_parse(text, strlen(text), &again, error, sizeof(error)) == 0);
        CHECK(settings_equal(&k->values, &again.values));
        CHECK(k->known_cells == again.known_cells && k->unconfirmed == again.unconfirmed);
        CHECK(k->idle_draw_ma.known == again.idle_draw_ma.known && k->idle_draw_ma.value == again.idle_draw_ma.value);
        CHECK(strcmp(k->pin_hash, again.pin_hash) == 0);
        CHECK(strlen(k->by) == strlen(again.by)); /* what cannot stand between quotes is replaced in it */
}

static void try(const char *text, size_t length) {
        struct kept_settings k, untouched;
        char error[160] = "";
        int r;

        memset(&untouched, 0x5a, sizeof(untouched));
        k = untouched;
        r = settings_file_parse(text, length, &k, error, sizeof(error));
        if (r == 0) {
                check_taken(&k);
                return;
        }
        CHECK(r < 0 && error[0] != '\0' && strlen(error) < sizeof(error));
        CHECK(memcmp(&k, &untouched, sizeof(k)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char text[SETTINGS_FILE_TEXT_MAX + 32];
        uint32_t crc = UINT32_MAX;

        if (size > SETTINGS_FILE_TEXT_MAX)
                return 0;
        memcpy(text, data, size);
        try(text, size);
        for (size_t i = 0; i < size; i++) { /* CRC-32 of ISO 3309 */
                crc ^= data[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xEDB88320) : crc >> 1;
        }
        try(text, size + (size_t)snprintf(text + size, 32, "checksum: %08x\n", (unsigned)~crc));
        return 0;
}
