/* SPDX-License-Identifier: MIT */
#pragma once

/* The Bluetooth LE door: a GATT application, two advertisements and a pairing agent, given to BlueZ over
 * D-Bus. Knows who may pair and which phones may look; decides nothing about the pack. What a PIN is worth,
 * and what becomes of a wish, is the manager's.
 *
 * No synchronous call after the start, nothing that starts bluetoothd. No Bluetooth at all is a normal state.
 * All functions and callbacks are for the event loop's thread; no callback comes from within ble_new(). */

#include <systemd/sd-event.h>

#include "config.h"
#include "phone.h"

#define BLE_PHONES_MAX 16U
#define BLE_ADDRESS_SIZE 18U /* "AA:BB:CC:DD:EE:FF" and its NUL */
#define BLE_PHONE_NAME_MAX 32U
#define BLE_SECONDS_MIN 10U
#define BLE_SECONDS_MAX 600U

struct ble;

/* A phone of the list: bonded within a pairing window, by its identity address. */
struct ble_phone {
        char address[BLE_ADDRESS_SIZE];
        bool random;                       /* the kind of address: random, else public */
        char name[BLE_PHONE_NAME_MAX + 1]; /* as the phone calls itself, cleaned; "" = it does not say */
        struct maybe64 paired_sec,
                used_sec; /* since 1970 UTC; unknown if the clock was not synchronised then */
        bool connected;   /* now */
};

/* What becomes of a pairing window. */
enum ble_window {
        BLE_WINDOW_OPENED,
        BLE_WINDOW_PASSKEY, /* to be typed on the phone: for the caller who opened the window, and nobody else
                             */
        BLE_WINDOW_PAIRED,  /* the phone is on the list; the window closes */
        BLE_WINDOW_REFUSED, /* a phone was; the window stays open */
        BLE_WINDOW_CLOSED,  /* by time, by ble_close_window(), by a pairing */
        BLE_WINDOW_FAILED,  /* it could not be opened, or Bluetooth went away; it is closed */
};

struct ble_report {
        enum ble_window state;
        const char *phone;    /* its address; NULL = of no phone */
        uint32_t passkey;     /* 0..999999, always written with 6 digits */
        const char *sentence; /* for REFUSED, CLOSED and FAILED: why */
};

struct ble_callbacks {
        /* What a phone sees now; lent until the next turn of the loop. */
        void (*view)(void *userdata, struct phone_view *ret_view);
        /* A phone of the list asks for a change. To be answered once, by ble_answer(), at once or later. */
        void (*ask)(void *userdata, const char *phone, const struct phone_ask *ask, uint64_t token);
        /* For the events: one sentence, that names the phone by the end of its address. */
        void (*event)(void *userdata, const char *sentence);
        void (*window)(void *userdata, const struct ble_report *report);
        void *userdata;
};

/* bus_address: NULL = the system bus. The list of phones is read from and kept in the config's state
 * directory ("" = it is forgotten at the end). A bus, bluetoothd or adapter that is not there is no error.
 * -EINVAL: that is no address; -Exxx. */
int ble_new(sd_event *event, const char *bus_address, const struct config *config,
            const struct ble_callbacks *callbacks, struct ble **ret);

/* Waits for the list of phones to be on the card, for a second at most. Takes NULL. */
struct ble *ble_free(struct ble *b);

/* A new snapshot is in force: tells who subscribed. Never blocks. Takes NULL. */
void ble_publish(struct ble *b);

/* The answer to what ask() asked for. A phone that is gone by then is not told. Takes
 * NULL. */
void ble_answer(struct ble *b, uint64_t token, const struct phone_answer *answer);

/* The PIN was changed or reset: everyone has to log in again, but for the phone with that address that
 * changed it (NULL = nobody). Takes NULL. */
void ble_log_out(struct ble *b, const char *but);

/* Opens the pairing window for BLE_SECONDS_MIN..MAX; one that is open is replaced. just_works: phones pair
 * without a passkey, all of them; else a phone has to be given the passkey that window() reports. 0, and
 * window() says how it goes on; -EINVAL, -ENODEV (no adapter), -ENOSPC (BLE_PHONES_MAX are paired), with a
 * sentence. */
int ble_pair(struct ble *b, unsigned seconds, bool just_works, char *ret_error, size_t size);

/* Also to be called before the loop ends: bluetoothd would let phones pair on, though nobody who can say yes is left.
 * Takes NULL. */
void ble_close_window(struct ble *b);

/* "44:55" of "C0:11:22:33:44:55": how events name a phone, which everyone on the machine can read. Who may see whole
 * addresses and names finds it in the list. */
const char *ble_address_end(const char *address);

/* The list: up to BLE_PHONES_MAX, returns how many. */
size_t ble_phones(const struct ble *b, struct ble_phone ret_phones[BLE_PHONES_MAX]);

/* Takes it off the list at once, then has its bond removed. -ENOENT: not on the list. */
int ble_remove_phone(struct ble *b, const char *address);
void ble_remove_all_phones(struct ble *b);
