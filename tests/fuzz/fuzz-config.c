/* SPDX-License-Identifier: MIT */

/* The config file under any bytes: it is taken whole or refused with a place, never half. */

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct config c, untouched;
        char *error = NULL;
        int r;

        memset(&c, 0x5a, sizeof(c));
        untouched = c;
        r = config_parse("fuzz", (const char *) data, size, &c, &error);
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
