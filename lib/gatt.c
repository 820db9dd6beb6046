/* SPDX-License-Identifier: MIT */
#include "gatt.h"

#include <assert.h>
#include <string.h>

#include "gatt-internal.h"

/* Ours: version 4 (random), with a number for each characteristic in the place of its third and fourth byte. */
#define OUR_UUID(number) "bdfe" number "-d380-4bb9-9d5e-d850cd6a319e"
#define SIG_UUID(number) "0000" number "-0000-1000-8000-00805f9b34fb"

/* Never plain: BlueZ lets only encrypted links use these. Without write-without-response: an error of that would not
 * reach the phone. */
static const char *const reads[] = {"encrypt-read", NULL};
static const char *const reads_notifies[] = {"encrypt-read", "encrypt-notify", NULL};
static const char *const reads_writes_notifies[] = {"encrypt-read", "encrypt-write", "encrypt-notify", NULL};
static const char *const reads_writes_indicates[] = {"encrypt-read", "encrypt-write", "encrypt-indicate", NULL};
static const char *const public_reads_notifies[] = {"read", "encrypt-notify", NULL};

#define READS .readable = true, .flags = reads, .public_flags = reads
#define READS_NOTIFIES .readable = true, .notified = true, .flags = reads_notifies, .public_flags = reads_notifies

static const struct gatt_info table[] = {
        [GATT_PACK_STATE] = {GATT_SERVICE_SMARTBMS, "pack_state", OUR_UUID("0010"), READS_NOTIFIES},
        [GATT_POWER] = {GATT_SERVICE_SMARTBMS, "power", OUR_UUID("0011"), READS_NOTIFIES},
        [GATT_CELLS] = {GATT_SERVICE_SMARTBMS, "cells", OUR_UUID("0012"), .readable = true, .writable = true,
                        .notified = true, .flags = reads_writes_notifies, .public_flags = reads_writes_notifies},
        [GATT_ALARMS] = {GATT_SERVICE_SMARTBMS, "alarms", OUR_UUID("0013"), READS_NOTIFIES},
        [GATT_RELAYS] = {GATT_SERVICE_SMARTBMS, "relays", OUR_UUID("0014"), READS_NOTIFIES},
        [GATT_ENERGY] = {GATT_SERVICE_SMARTBMS, "energy", OUR_UUID("0015"), READS},
        [GATT_SETTINGS] = {GATT_SERVICE_SMARTBMS, "settings", OUR_UUID("0016"), READS_NOTIFIES},
        [GATT_TIME] = {GATT_SERVICE_SMARTBMS, "time", OUR_UUID("0017"), READS},
        [GATT_CONTROL] = {GATT_SERVICE_SMARTBMS, "control", OUR_UUID("0018"), .readable = true, .writable = true,
                          .indicated = true, .flags = reads_writes_indicates,
                          .public_flags = reads_writes_indicates},
        [GATT_BATTERY_LEVEL] = {GATT_SERVICE_BATTERY, "level", SIG_UUID("2a19"), .readable = true,
                                .notified = true, .flags = reads_notifies, .public_flags = public_reads_notifies},
        [GATT_BATTERY_LEVEL_STATUS] = {GATT_SERVICE_BATTERY, "level_status", SIG_UUID("2bed"), READS_NOTIFIES},
        [GATT_MANUFACTURER] = {GATT_SERVICE_DEVICE_INFORMATION, "manufacturer", SIG_UUID("2a29"), READS},
        [GATT_MODEL] = {GATT_SERVICE_DEVICE_INFORMATION, "model", SIG_UUID("2a24"), READS},
        [GATT_SOFTWARE] = {GATT_SERVICE_DEVICE_INFORMATION, "software", SIG_UUID("2a28"), READS},
};
static_assert(sizeof(table) / sizeof(table[0]) == _GATT_MAX, "a row for every characteristic");

static const struct {
        const char *name, *uuid;
} services[] = {
        [GATT_SERVICE_SMARTBMS] = {"smartbms", OUR_UUID("0001")},
        [GATT_SERVICE_BATTERY] = {"battery", SIG_UUID("180f")},
        [GATT_SERVICE_DEVICE_INFORMATION] = {"device_information", SIG_UUID("180a")},
};
static_assert(sizeof(services) / sizeof(services[0]) == _GATT_SERVICE_MAX, "a row for every service");

const struct gatt_info *gatt_info(enum gatt_characteristic characteristic) {
        assert((unsigned)characteristic < _GATT_MAX);
        return &table[characteristic];
}

const char *gatt_service_uuid(enum gatt_service service) {
        assert((unsigned)service < _GATT_SERVICE_MAX);
        return services[service].uuid;
}

const char *gatt_service_name(enum gatt_service service) {
        assert((unsigned)service < _GATT_SERVICE_MAX);
        return services[service].name;
}

/* As BlueZ 5.66 and 5.82 turn them into ATT errors (src/gatt-database.c): NotPermitted by what was tried, Failed into
 * 0x80 unless its message is another number up to 0x9f. */
const char *gatt_error_name(enum gatt_error error) {
        switch (error) {
        case GATT_ERROR_READ_NOT_PERMITTED:
        case GATT_ERROR_WRITE_NOT_PERMITTED:
                return "NotPermitted";
        case GATT_ERROR_INVALID_OFFSET:
                return "InvalidOffset";
        case GATT_ERROR_INSUFFICIENT_AUTHORISATION:
                return "NotAuthorized";
        case GATT_ERROR_INVALID_LENGTH:
                return "InvalidValueLength";
        case GATT_ERROR_IN_PROGRESS:
                return "InProgress";
        case GATT_ERROR_REFUSED:
        case GATT_OK:
                break;
        }
        return "Failed";
}

const char *gatt_error_message(enum gatt_error error) {
        switch (error) {
        case GATT_ERROR_READ_NOT_PERMITTED:
                return "This is not for reading";
        case GATT_ERROR_WRITE_NOT_PERMITTED:
                return "This is not for writing";
        case GATT_ERROR_INVALID_OFFSET:
                return "Beyond the value's end, or a write that does not begin at its beginning";
        case GATT_ERROR_INSUFFICIENT_AUTHORISATION:
                return "Log in with the PIN first";
        case GATT_ERROR_INVALID_LENGTH:
                return "Too short or too long";
        case GATT_ERROR_IN_PROGRESS:
                return "The request before is not answered yet";
        case GATT_ERROR_REFUSED:
        case GATT_OK:
                break;
        }
        return "0x80";
}

void gatt_session_init(struct gatt_session *s) {
        memset(s, 0, sizeof(*s));
}

void gatt_session_end(struct gatt_session *s) {
        const uint32_t asked = s->asked;

        gatt_session_init(s);
        s->asked = asked;
}

/* The session's copy of the value as it is now. False: there is none. */
static bool take_copy(struct gatt_session *s, enum gatt_characteristic characteristic, const struct phone_view *view) {
        struct gatt_copy *copy = &s->copies[characteristic];
        struct gatt_bytes value;

        if (characteristic == GATT_CONTROL) {
                copy->size = s->answer_size;
                memcpy(copy->bytes, s->answer, s->answer_size);
        } else {
                gatt_value(characteristic, s->page, view, &value);
                if (value.size == 0)
                        return false;
                copy->size = (uint8_t)value.size;
                memcpy(copy->bytes, value.bytes, value.size);
        }
        copy->valid = true;
        return true;
}

enum gatt_error gatt_read(struct gatt_session *s, enum gatt_characteristic characteristic, size_t offset,
                          const struct phone_view *view, uint8_t *ret_bytes, size_t size, size_t *ret_size) {
        const struct gatt_copy *copy;

        if (!gatt_info(characteristic)->readable)
                return GATT_ERROR_READ_NOT_PERMITTED;
        copy = &s->copies[characteristic];
        if ((offset == 0 || !copy->valid) && !take_copy(s, characteristic, view))
                return GATT_ERROR_REFUSED;
        if (offset > copy->size)
                return GATT_ERROR_INVALID_OFFSET;
        if (size > copy->size - offset)
                size = copy->size - offset;
        memcpy(ret_bytes, copy->bytes + offset, size);
        *ret_size = size;
        return GATT_OK;
}

enum gatt_error gatt_write(struct gatt_session *s, enum gatt_characteristic characteristic, size_t offset,
                           const uint8_t *bytes, size_t size, const struct phone_view *view,
                           struct phone_ask *ret_ask) {
        memset(ret_ask, 0, sizeof(*ret_ask));
        ret_ask->kind = PHONE_ASK_NONE;
        if (!gatt_info(characteristic)->writable)
                return GATT_ERROR_WRITE_NOT_PERMITTED;
        if (offset != 0)
                return GATT_ERROR_INVALID_OFFSET;
        if (characteristic == GATT_CONTROL)
                return gatt_control_write(s, bytes, size, view, ret_ask);
        /* cells */
        if (size != 1)
                return GATT_ERROR_INVALID_LENGTH;
        if (bytes[0] >= GATT_PAGES)
                return GATT_ERROR_REFUSED;
        s->page = bytes[0];
        return GATT_OK;
}

/* The pages that changed, as bits. */
static size_t notify_cells(struct gatt_notified *n, const struct snapshot *s, struct gatt_bytes *ret_bytes) {
        uint64_t changed = 0;

        for (uint8_t page = 0; page < GATT_PAGES; page++) {
                struct gatt_bytes b;

                gatt_page_unaged(page, s, &b);
                if (n->page_sizes[page] == b.size && memcmp(n->pages[page], b.bytes, b.size) == 0)
                        continue;
                n->page_sizes[page] = (uint8_t)b.size;
                memcpy(n->pages[page], b.bytes, b.size);
                changed |= UINT64_C(1) << page;
        }
        if (changed == 0)
                return 0;
        gatt_put(ret_bytes, 2, changed);
        return ret_bytes->size;
}

static size_t notify_settings(struct gatt_notified *n, const struct phone_view *view, struct gatt_bytes *ret_bytes) {
        struct gatt_bytes b;

        gatt_value(GATT_SETTINGS, 0, view, &b);
        if (n->valid[GATT_SETTINGS] && memcmp(n->settings, b.bytes, b.size) == 0)
                return 0;
        n->valid[GATT_SETTINGS] = true;
        memcpy(n->settings, b.bytes, b.size);
        gatt_put(ret_bytes, 1, 1);
        return ret_bytes->size;
}

/* The value's beginning, if it is another one than before. */
static size_t notify_value(struct gatt_notified *n, enum gatt_characteristic c, const struct phone_view *view,
                           struct gatt_bytes *ret_bytes) {
        const bool each = c == GATT_PACK_STATE || c == GATT_POWER;
        const uint64_t serial = view->snapshot->serial;
        size_t size;

        if (each && n->valid[c] && n->serial[c] == serial)
                return 0;
        gatt_value(c, 0, view, ret_bytes);
        size = gatt_notified_size(c, ret_bytes);
        if (!each && n->valid[c] && n->size[c] == size && memcmp(n->bytes[c], ret_bytes->bytes, size) == 0)
                return 0;
        n->valid[c] = true;
        n->serial[c] = serial;
        n->size[c] = (uint8_t)size;
        memcpy(n->bytes[c], ret_bytes->bytes, size);
        return size;
}

size_t gatt_notify(struct gatt_notified *n, enum gatt_characteristic characteristic, const struct phone_view *view,
                   uint8_t ret_bytes[static GATT_NOTIFY_MAX]) {
        struct gatt_bytes b = {.size = 0};
        size_t size;

        if (!gatt_info(characteristic)->notified)
                return 0;
        if (characteristic == GATT_CELLS)
                size = notify_cells(n, view->snapshot, &b);
        else if (characteristic == GATT_SETTINGS)
                size = notify_settings(n, view, &b);
        else
                size = notify_value(n, characteristic, view, &b);
        memcpy(ret_bytes, b.bytes, size);
        return size;
}
