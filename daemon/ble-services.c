/* SPDX-License-Identifier: MIT */

/* What the application's characteristics hold: the table, and one session for each phone. */

#include <stdlib.h>
#include <string.h>

#include "ble-internal.h"

static const char *const flags_read_notify[] = {"encrypt-read", "encrypt-notify", NULL};
static const char *const flags_open[] = {"read", "encrypt-notify", NULL};
static const char *const flags_read[] = {"encrypt-read", NULL};

enum { BATTERY_LEVEL, MANUFACTURER };

size_t ble_services_count(const struct ble *b) {
        (void)b;
        return 2;
}

struct ble_characteristic ble_services_row(const struct ble *b, size_t i) {
        const bool open = b->config.public_battery;

        if (i == 0)
                return (struct ble_characteristic){"0000180f-0000-1000-8000-00805f9b34fb",
                                                   "00002a19-0000-1000-8000-00805f9b34fb",
                                                   open ? flags_open : flags_read_notify, true, false, open, BATTERY_LEVEL};
        return (struct ble_characteristic){"0000180a-0000-1000-8000-00805f9b34fb", "00002a29-0000-1000-8000-00805f9b34fb",
                                           flags_read, true, false, false, MANUFACTURER};
}

const char *ble_services_error(unsigned att, const char **ret_message) {
        *ret_message = "";
        switch (att) {
        case BLE_ATT_READ_NOT_PERMITTED:
        case BLE_ATT_WRITE_NOT_PERMITTED:
                return "NotPermitted";
        case BLE_ATT_INVALID_OFFSET:
                return "InvalidOffset";
        case BLE_ATT_NOT_AUTHORIZED:
                return "NotAuthorized";
        default:
                return "Failed";
        }
}

unsigned ble_services_read(struct ble *b, struct ble_device *d, unsigned id, size_t offset,
                           uint8_t ret_value[BLE_VALUE_MAX], size_t *ret_size) {
        struct phone_view view;
        uint8_t value[BLE_VALUE_MAX];
        size_t size = 0;

        (void)d;
        b->callbacks.view(b->callbacks.userdata, &view);
        if (id == MANUFACTURER) {
                size = strlen("smartbms");
                memcpy(value, "smartbms", size);
        } else if (view.snapshot->soc_permyriad.known)
                value[size++] = (uint8_t)(view.snapshot->soc_permyriad.value / 100);
        else
                return BLE_ATT_UNLIKELY;
        if (offset > size)
                return BLE_ATT_INVALID_OFFSET;
        memcpy(ret_value, value + offset, size - offset);
        *ret_size = size - offset;
        return BLE_ATT_DONE;
}

unsigned ble_services_write(struct ble *b, struct ble_device *d, unsigned id, size_t offset, const uint8_t *value,
                            size_t size) {
        (void)b, (void)d, (void)id, (void)offset, (void)value, (void)size;
        return BLE_ATT_WRITE_NOT_PERMITTED;
}

void ble_services_publish(struct ble *b) {
        uint8_t value[BLE_VALUE_MAX];
        size_t size;

        if (ble_services_read(b, NULL, BATTERY_LEVEL, 0, value, &size) == BLE_ATT_DONE)
                ble_application_notify(b, BATTERY_LEVEL, value, size);
}

void ble_services_answer(struct ble *b, uint64_t token, const struct phone_answer *answer) {
        (void)b, (void)token, (void)answer;
}

void ble_services_end(struct ble_device *d) {
        (void)d;
}
