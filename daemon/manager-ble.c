/* SPDX-License-Identifier: MIT */

/* Phones (ble.h): what they see, what is kept of it, the pairing window by the button. Comes after the relays, which
 * need none of it: without Bluetooth, and without ble.enabled, everything else is as it would be. */

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
        record(m, EVENT_PHONE, "", sentence);
}

/* A passkey is for who has opened the window, so it is not for the log; the button's has none. */
static void phones_window(void *userdata, const struct ble_report *report) {
        (void)userdata;
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

void phones_button_pressed(struct manager *m) {
        char error[ALARM_TEXT_MAX], sentence[ALARM_TEXT_MAX];

        if (!m->ble) {
                record(m, EVENT_COMMAND, "button", "pressed: Bluetooth is not enabled, so no pairing window opens");
                return;
        }
        if (ble_pair(m->ble, BUTTON_WINDOW_SEC, true, error, sizeof(error)) < 0)
                (void)snprintf(sentence, sizeof(sentence), "pressed: no pairing window opens: %.100s", error);
        else
                (void)snprintf(sentence, sizeof(sentence), "pressed: a phone may pair without a passkey for %d s",
                               BUTTON_WINDOW_SEC);
        record(m, EVENT_COMMAND, "button", sentence);
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
