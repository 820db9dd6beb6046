/* SPDX-License-Identifier: MIT */

/* Phones (ble.h): what they see, what is kept of it, the pairing window by the
 * button or over D-Bus. Comes after the relays, which
 * need none of it: without Bluetooth, and without ble.enabled, everything else is as it would be. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "config-build.h"
#include "log.h"
#include "manager-internal.h"
#include "names.h"

#define BUTTON_WINDOW_SEC 120

/* ---- what they see -------------------------------------------------------------------------------------- */

static int32_t utc_offset(int64_t wall_sec) {
        const time_t t = (time_t)wall_sec;
        struct tm local;

        return localtime_r(&t, &local) ? (int32_t)local.tm_gmtoff : 0;
}

static void phones_view(void *userdata, struct phone_view *ret_view) {
        struct manager *m = userdata;
        const usec_t now = manager_advance(m, clock_now());
        const struct maybe64 wall_usec = wall_clock_at(&m->wall_clock, now);

        *ret_view = (struct phone_view){
                .now = now,
                .version = SMARTBMS_VERSION,
                .snapshot = &m->snapshot,
                .default_pin = asks_default_pin(m),
        };
        past_show(m, ret_view);
        if (!wall_usec.known)
                return;
        ret_view->wall_sec = some64(wall_usec.value / (int64_t)USEC_PER_SEC);
        ret_view->utc_offset_sec = utc_offset(ret_view->wall_sec.value);
}

/* ---- what they do --------------------------------------------------------------------------------------- */

static void phones_ask(void *userdata, const char *phone, const struct phone_ask *ask, uint64_t token) {
        asks_take(userdata, phone, ask, token);
}

static void record(struct manager *m, enum event_kind kind, const char *by, const char *sentence) {
        struct event event = {.at = m->now, .kind = kind};

        (void)snprintf(event.by, sizeof(event.by), "%s", by);
        (void)snprintf(event.text, sizeof(event.text), "%s", sentence);
        memory_event(m, &event, NULL, NULL);
}

static void phones_event(void *userdata, const char *sentence) {
        struct manager *m = userdata;

        (void)manager_advance(m, clock_now());
        record(m, EVENT_PHONE, m->phones_by ? m->phones_by : "", sentence);
}

/* A passkey is for who has opened the window, so it is not for the log; the button's has none. */
static void tell_opener(struct manager *m, const struct ble_report *report) {
        static const enum bus_window states[] = {
                [BLE_WINDOW_OPENED] = BUS_WINDOW_OPENED, [BLE_WINDOW_PASSKEY] = BUS_WINDOW_PASSKEY,
                [BLE_WINDOW_PAIRED] = BUS_WINDOW_PAIRED, [BLE_WINDOW_REFUSED] = BUS_WINDOW_REFUSED,
                [BLE_WINDOW_CLOSED] = BUS_WINDOW_CLOSED, [BLE_WINDOW_FAILED] = BUS_WINDOW_FAILED,
        };
        struct bus_window_report told = {.state = states[report->state]};

        if (report->phone)
                (void)snprintf(told.phone, sizeof(told.phone), "%s", report->phone);
        if (report->sentence)
                (void)snprintf(told.sentence, sizeof(told.sentence), "%s", report->sentence);
        if (report->state == BLE_WINDOW_PASSKEY)
                (void)snprintf(told.passkey, sizeof(told.passkey), "%06u", report->passkey % 1000000U);
        bus_window(m->bus, &told);
        explicit_bzero(&told, sizeof(told));
}

static void phones_window(void *userdata, const struct ble_report *report) {
        tell_opener(userdata, report);
        switch (report->state) {
        case BLE_WINDOW_OPENED:
                log_notice("Bluetooth: phones may pair now");
                break;
        case BLE_WINDOW_CLOSED:
        case BLE_WINDOW_FAILED:
                log_notice("Bluetooth: phones may no longer pair: %s", report->sentence);
                break;
        case BLE_WINDOW_PASSKEY:
        case BLE_WINDOW_PAIRED:
        case BLE_WINDOW_REFUSED:
                break;
        }
}

/* ---- the button ----------------------------------------------------------------------------------------- */

/* Only the log tells of it, as of a window by D-Bus: everyone on the machine can read events, and whether phones may
 * pair just now is not for everyone. */
void phones_button_pressed(struct manager *m) {
        char error[ALARM_TEXT_MAX];

        if (!m->ble)
                log_notice("Button pressed: Bluetooth is not enabled, so no pairing window opens");
        else if (ble_pair(m->ble, BUTTON_WINDOW_SEC, true, error, sizeof(error)) < 0)
                log_notice("Button pressed: no pairing window opens: %s", error);
        else
                log_notice("Button pressed: a phone may pair without a passkey for %d s", BUTTON_WINDOW_SEC);
}

void phones_button_held_at_start(struct manager *m) {
        if (m->ble)
                ble_remove_all_phones(m->ble);
}

void phones_pin_reset(struct manager *m) {
        asks_pin_by(m, NULL);
        asks_unlock(m);
        ble_log_out(m->ble, NULL);
}

/* ---- over D-Bus ----------------------------------------------------------------------------------------- */

static int find_door(const struct manager *m, char *ret_error, size_t size) {
        if (m->ble)
                return 0;
        (void)snprintf(ret_error, size, "%s",
                       m->config.ble.enabled ? "Bluetooth could not be set up: the journal says why"
                                             : "Bluetooth is not enabled: ble.enabled in the configuration file");
        return -EOPNOTSUPP;
}

/* No event: whether somebody may pair now is nobody's business but the caller's. That one has is an event. */
int phones_pair(void *userdata, unsigned seconds, bool just_works, const char *by, char *ret_error, size_t size) {
        struct manager *m = userdata;
        int r;

        r = find_door(m, ret_error, size);
        if (r >= 0)
                r = ble_pair(m->ble, seconds, just_works, ret_error, size);
        if (r >= 0)
                log_notice("Bluetooth: %s opens a pairing window of %u s, %s", by, seconds,
                           just_works ? "without a passkey" : "with a passkey");
        return r;
}

void phones_close_window(void *userdata) {
        struct manager *m = userdata;

        if (m->ble)
                ble_close_window(m->ble);
}

int phones_list(void *userdata, struct bus_phone ret_phones[BUS_PHONES_MAX], size_t *ret_n, char *ret_error,
                size_t size) {
        _Static_assert(BUS_PHONES_MAX >= BLE_PHONES_MAX, "all of them");
        _Static_assert(sizeof(ret_phones->name) == BLE_PHONE_NAME_MAX + 1, "as a whole");
        struct ble_phone phones[BLE_PHONES_MAX];
        struct manager *m = userdata;
        int r;

        r = find_door(m, ret_error, size);
        if (r < 0)
                return r;
        *ret_n = ble_phones(m->ble, phones);
        for (size_t i = 0; i < *ret_n; i++) {
                ret_phones[i] = (struct bus_phone){.paired_sec = phones[i].paired_sec,
                                                   .used_sec = phones[i].used_sec,
                                                   .connected = phones[i].connected};
                memcpy(ret_phones[i].address, phones[i].address, sizeof(ret_phones[i].address));
                memcpy(ret_phones[i].name, phones[i].name, sizeof(ret_phones[i].name));
        }
        return 0;
}

int phones_remove(void *userdata, const char *address, const char *by, char *ret_error, size_t size) {
        char capitals[BLE_ADDRESS_SIZE];
        struct manager *m = userdata;
        int r;

        r = find_door(m, ret_error, size);
        if (r < 0)
                return r;
        if (strlen(address) != BLE_ADDRESS_SIZE - 1) {
                (void)snprintf(ret_error, size, "that is no address of a phone: expected AA:BB:CC:DD:EE:FF");
                return -EINVAL;
        }
        for (size_t i = 0; i < BLE_ADDRESS_SIZE; i++)
                capitals[i] = address[i] >= 'a' && address[i] <= 'f' ? (char)(address[i] - 'a' + 'A') : address[i];
        m->phones_by = by;
        r = ble_remove_phone(m->ble, capitals);
        m->phones_by = NULL;
        if (r >= 0)
                asks_forget(m, capitals);
        if (r == -ENOENT)
                (void)snprintf(ret_error, size, "no phone %s is paired; see smartbmsctl phones", address);
        return r;
}

/* ---- start and stop ------------------------------------------------------------------------------------- */

void phones_start(struct manager *m, const char *bus_address) {
        const struct ble_callbacks callbacks = {phones_view, phones_ask, phones_event, phones_window, m};
        int r;

        if (!m->config.ble.enabled)
                return;
        r = asks_start(m);
        if (r >= 0)
                r = ble_new(m->event, bus_address, &m->config, &callbacks, &m->ble);
        if (r < 0) /* no reason not to guard the battery */
                log_error("Cannot set up Bluetooth: %s", strerror(-r));
}

void phones_stop(struct manager *m) {
        m->ble = ble_free(m->ble);
        asks_stop(m);
}
