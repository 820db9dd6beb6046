/* SPDX-License-Identifier: MIT */
#pragma once

/* Between gatt.c, gatt-values.c and gatt-control.c only. */

#include "gatt.h"

/* Where the next byte goes. Whoever fills it has made sure, by the constants, that all fit in GATT_VALUE_MAX. */
struct gatt_bytes {
        uint8_t bytes[GATT_VALUE_MAX];
        size_t size;
};

void gatt_put(struct gatt_bytes *b, unsigned width, uint64_t value); /* its lowest width bytes, lowest first */
void gatt_put_setting(struct gatt_bytes *b, enum setting setting, struct maybe value);

#define GATT_SETTING_SIZE 5      /* a number and its value */
#define GATT_SETTING_UNSET INT32_MIN
#define GATT_ANSWER_HEAD 3       /* tag, operation, result */

/* A characteristic's value now; page: of cells. Empty: there is none (Battery Level not known; GATT_CONTROL). */
void gatt_value(enum gatt_characteristic characteristic, uint8_t page, const struct phone_view *view,
                struct gatt_bytes *ret_value);

/* The alarm with that number, or -1. */
int gatt_alarm_find(uint8_t number);

/* The same as far as it is notified: its beginning, or for cells and settings what tells whether they changed. */
void gatt_page_unaged(uint8_t page, const struct snapshot *s, struct gatt_bytes *ret_value);
size_t gatt_notified_size(enum gatt_characteristic characteristic, const struct gatt_bytes *value);

/* A write to GATT_CONTROL at offset 0; as gatt_write(). */
enum gatt_error gatt_control_write(struct gatt_session *s, const uint8_t *bytes, size_t size,
                                   const struct phone_view *view, struct phone_ask *ret_ask);
