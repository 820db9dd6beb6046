/* SPDX-License-Identifier: MIT */
#pragma once

/* The Bluetooth services as bytes: the SmartBMS service, Battery and Device Information (docs/bluetooth.md has every
 * layout). Which characteristics there are and what each may be used for; a snapshot as bytes; what a phone wrote as
 * something asked for. Knows no stack, no link and no bond: the caller has made sure that the phone is one of ours
 * before it calls with the phone's session. What is notified or indicated goes to all subscribed phones, is at most
 * GATT_NOTIFY_MAX long, and carries nothing private. Layouts: little endian; unknown is a reserved value, never 0. */

#include <stddef.h>

#include "phone.h"

enum gatt_service {
        GATT_SERVICE_SMARTBMS,
        GATT_SERVICE_BATTERY,
        GATT_SERVICE_DEVICE_INFORMATION,
        _GATT_SERVICE_MAX,
};

enum gatt_characteristic {
        GATT_PACK_STATE,    /* read, notified with each snapshot */
        GATT_POWER,         /* read, notified with each snapshot */
        GATT_CELLS,         /* a page number is written, then that page read; notified on change: which pages */
        GATT_ALARMS,        /* read, notified on change */
        GATT_RELAYS,        /* read, notified on change */
        GATT_ENERGY,        /* read */
        GATT_SETTINGS,      /* read, notified on change: read it again */
        GATT_TIME,          /* read */
        GATT_CONTROL,       /* a request is written, its answer read; indicated: tag N is answered */
        GATT_BATTERY_LEVEL, /* 0x2A19: read, notified on change */
        GATT_BATTERY_LEVEL_STATUS, /* 0x2BED: read, notified on change */
        GATT_MANUFACTURER,  /* 0x2A29: read */
        GATT_MODEL,         /* 0x2A24: read */
        GATT_SOFTWARE,      /* 0x2A28: read */
        _GATT_MAX,
};

struct gatt_info {
        enum gatt_service service;
        const char *name; /* "pack_state": letters, digits and '_', fit for an object path */
        const char *uuid; /* 36 characters, small letters */
        const char *const *flags; /* GattCharacteristic1.Flags, NULL-terminated */
        const char *const *public_flags; /* the same if the owner sets ble.public_battery */
        bool readable, writable, notified, indicated;
};

/* Always the whole table; every index is filled. */
const struct gatt_info *gatt_info(enum gatt_characteristic characteristic);
const char *gatt_service_uuid(enum gatt_service service);
const char *gatt_service_name(enum gatt_service service); /* "smartbms": fit for an object path */

/* ATT error codes (Core specification, volume 3, part F, 3.4.1.1) that BlueZ can be made to send. */
enum gatt_error {
        GATT_OK = 0,
        GATT_ERROR_READ_NOT_PERMITTED = 0x02,
        GATT_ERROR_WRITE_NOT_PERMITTED = 0x03,
        GATT_ERROR_INVALID_OFFSET = 0x07,
        GATT_ERROR_INSUFFICIENT_AUTHORISATION = 0x08, /* not logged in */
        GATT_ERROR_INVALID_LENGTH = 0x0d,
        GATT_ERROR_REFUSED = 0x80, /* ours. Written: a value that is not allowed (ATT's 0x13 cannot be sent by way of
                                    * D-Bus). Read: Battery Level while it is not known */
        GATT_ERROR_IN_PROGRESS = 0xfe, /* the answer to the request before is still to come */
};

/* The D-Bus error from which BlueZ makes it: the last part of org.bluez.Error.NAME, and the message it has to have.
 * Not for GATT_OK. */
const char *gatt_error_name(enum gatt_error error);
const char *gatt_error_message(enum gatt_error error);

#define GATT_NOTIFY_MAX 20    /* an MTU of 23 */
#define GATT_VALUE_MAX 192    /* longest value of all */
#define GATT_TRANSFER_MAX 160 /* longest set of changes: all settings */
#define GATT_PAGE_CELLS 16
#define GATT_PAGES 16         /* 255 cells */

/* A value as it was when a phone began to read it: later parts of a long read come from the same. */
struct gatt_copy {
        bool valid;
        uint8_t size;
        uint8_t bytes[GATT_VALUE_MAX];
};

/* One phone, from its connection to its disconnection. For its owner to look at: logged_in, asked. */
struct gatt_session {
        bool logged_in;
        uint32_t asked; /* number of the newest ask; goes on after gatt_session_end(), so that no answer is mistaken */
        bool waiting;   /* for the answer to it */
        uint8_t tag, operation; /* of the newest request */
        bool indicate;          /* it was answered, and no phone was told yet */
        uint8_t answer_size, answer[GATT_VALUE_MAX]; /* to the newest request; 0 = there was none */
        uint8_t page; /* of cells */
        bool transfer;
        uint8_t transfer_size, transfer_bytes[GATT_TRANSFER_MAX];
        struct gatt_copy copies[_GATT_MAX];
};

void gatt_session_init(struct gatt_session *s);

/* The phone has gone: log-in, transfer, copies and the last answer are forgotten; an answer to come will be dropped. */
void gatt_session_end(struct gatt_session *s);

/* The PIN was changed or reset by others: the phone has to log in again. A log-in that is being looked at is answered
 * with "busy", as it may have been compared with the PIN before: see gatt_indication(). */
void gatt_session_log_out(struct gatt_session *s);

/* Reads from offset on: at most size bytes, *ret_size of them. Offset 0 (or a first read at any offset) makes the
 * session's copy; others serve it. Offset = length is an empty rest, beyond: GATT_ERROR_INVALID_OFFSET. Others:
 * GATT_ERROR_READ_NOT_PERMITTED, GATT_ERROR_REFUSED (see there). ret_* are untouched on error. Needs no log-in. */
enum gatt_error gatt_read(struct gatt_session *s, enum gatt_characteristic characteristic, size_t offset,
                          const struct phone_view *view, uint8_t *ret_bytes, size_t size, size_t *ret_size);

/* A write. *ret_ask is always set: mostly PHONE_ASK_NONE, else what the caller has to see to and to answer with
 * gatt_answer(), naming s->asked as it is now. It may hold a PIN: wipe it. Nothing but PHONE_ASK_LOG_IN is asked for by
 * a session that is not logged in, and settings asked for pass settings_check(). Call gatt_indication() after it. */
enum gatt_error gatt_write(struct gatt_session *s, enum gatt_characteristic characteristic, size_t offset,
                           const uint8_t *bytes, size_t size, const struct phone_view *view,
                           struct phone_ask *ret_ask);

/* The answer to the ask with that number; one that is no longer waited for is dropped. A right PIN logs the session in
 * here. Call gatt_indication() after it. */
void gatt_answer(struct gatt_session *s, uint32_t asked, const struct phone_answer *answer);

/* What GATT_CONTROL now has to indicate on behalf of this session, once; returns its length, 0 = nothing. */
size_t gatt_indication(struct gatt_session *s, uint8_t ret_bytes[static GATT_NOTIFY_MAX]);

/* What was notified last: one for all phones. Begins as all zeros. */
struct gatt_notified {
        bool valid[_GATT_MAX];
        uint64_t serial[_GATT_MAX];
        uint8_t size[_GATT_MAX], bytes[_GATT_MAX][GATT_NOTIFY_MAX];
        uint8_t pages[GATT_PAGES][GATT_VALUE_MAX], page_sizes[GATT_PAGES]; /* of cells, their ages left out */
        uint8_t settings[GATT_VALUE_MAX];
};

/* Is this characteristic to be notified now? Returns the length of its bytes, 0 = nothing: unchanged, or one that is
 * never notified. Call it for each with each snapshot. */
size_t gatt_notify(struct gatt_notified *n, enum gatt_characteristic characteristic, const struct phone_view *view,
                   uint8_t ret_bytes[static GATT_NOTIFY_MAX]);

/* ---- numbers of the protocol that are no layout (docs/bluetooth.md): never to be used again for anything else ---- */

enum gatt_operation {
        GATT_LOG_IN = 0x01,
        GATT_CHANGE_PIN = 0x02,
        GATT_CLEAR_ENERGY = 0x03,
        GATT_SET_SOC = 0x04,
        GATT_READ_SETTINGS = 0x10,
        GATT_WRITE_SETTINGS = 0x11,
        GATT_BEGIN = 0x12,
        GATT_APPEND = 0x13,
        GATT_COMMIT = 0x14,
        GATT_READ_TEXT = 0x20,
};

enum gatt_result {
        GATT_WAITING = 0x00,
        GATT_DONE = 0x01,
        GATT_NOT_STORED = 0x02,
        GATT_WRONG_PIN = 0x03,
        GATT_LOCKED = 0x04,
        GATT_NOT_DONE = 0x05,
        GATT_BUSY = 0x06,
        GATT_DEFAULT_PIN = 0x07,
};

enum gatt_text {
        GATT_TEXT_ALARM = 0x01,
        GATT_TEXT_CHARGE = 0x02,
        GATT_TEXT_LOAD = 0x03,
        GATT_TEXT_LINK = 0x04,
};

/* The number of a setting for ever, and back: -ENOENT if it is none. */
uint8_t gatt_setting_number(enum setting setting);
int gatt_setting_find(uint8_t number);
