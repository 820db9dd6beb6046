/* SPDX-License-Identifier: MIT */
#pragma once

/* For tests of gatt.h: a snapshot whose every value shows where it went, and what compares bytes with the tables of
 * docs/bluetooth.md. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gatt.h"

struct rig {
        struct snapshot snapshot;
        struct phone_view view;
        struct gatt_session session;
        struct gatt_notified notified;
};

#define RIG_NOW (100 * USEC_PER_HOUR)

static inline void rig_init(struct rig *r) {
        struct snapshot *s = &r->snapshot;

        memset(r, 0, sizeof(*r));
        settings_init(&s->settings);
        s->at = RIG_NOW;
        s->serial = 1;
        s->link = LINK_LIVE;
        s->relays[RELAY_CHARGE].reason.rule = RULE_START;
        s->relays[RELAY_LOAD].reason.rule = RULE_START;
        s->relays[RELAY_CHARGE].since = s->relays[RELAY_LOAD].since = RIG_NOW;
        r->view = (struct phone_view){.now = RIG_NOW, .version = "1.2.3", .snapshot = s};
        gatt_session_init(&r->session);
}

/* The text of bytes: "01 ff". */
static inline const char *rig_hex(const uint8_t *bytes, size_t size, char ret[static 3 * GATT_VALUE_MAX + 1]) {
        ret[0] = '\0';
        for (size_t i = 0; i < size; i++)
                snprintf(ret + (i > 0 ? 3 * i - 1 : 0), 4, i > 0 ? " %02x" : "%02x", bytes[i]);
        return ret;
}

/* The whole value; returns its length. */
static inline size_t rig_read(struct rig *r, enum gatt_characteristic c, uint8_t ret_bytes[static GATT_VALUE_MAX]) {
        size_t size = 0;

        assert_int_equal(gatt_read(&r->session, c, 0, &r->view, ret_bytes, GATT_VALUE_MAX, &size), GATT_OK);
        return size;
}

/* Compares with "0102 ff" and the like: blanks are for people only. */
static inline void rig_bytes_at(const uint8_t *bytes, size_t size, const char *expected, const char *file, int line) {
        char got[3 * GATT_VALUE_MAX + 1], want[3 * GATT_VALUE_MAX + 1] = "";
        uint8_t wanted[GATT_VALUE_MAX];
        size_t n = 0;

        for (const char *p = expected; *p;) {
                unsigned byte;

                if (*p == ' ') {
                        p++;
                        continue;
                }
                _assert_int_equal(sscanf(p, "%2x", &byte), 1, file, line);
                wanted[n++] = (uint8_t)byte;
                p += 2;
        }
        rig_hex(bytes, size, got);
        rig_hex(wanted, n, want);
        _assert_string_equal(got, want, file, line);
}
#define assert_bytes(bytes, size, expected) rig_bytes_at(bytes, size, expected, __FILE__, __LINE__)

static inline void rig_read_at(struct rig *r, enum gatt_characteristic c, const char *expected, const char *file,
                               int line) {
        uint8_t bytes[GATT_VALUE_MAX];
        size_t size = 0;

        _assert_int_equal(gatt_read(&r->session, c, 0, &r->view, bytes, sizeof(bytes), &size), GATT_OK, file, line);
        rig_bytes_at(bytes, size, expected, file, line);
}
#define assert_value(r, c, expected) rig_read_at(r, c, expected, __FILE__, __LINE__)

static inline void rig_notify_at(struct rig *r, enum gatt_characteristic c, const char *expected, const char *file,
                                 int line) {
        uint8_t bytes[GATT_NOTIFY_MAX];
        const size_t size = gatt_notify(&r->notified, c, &r->view, bytes);

        rig_bytes_at(bytes, size, expected, file, line);
}
#define assert_notified(r, c, expected) rig_notify_at(r, c, expected, __FILE__, __LINE__)
