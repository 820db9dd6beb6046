/* SPDX-License-Identifier: MIT */

/* The front panel of an OUT board (design 6): LEDs, button, and the heartbeat for an external dead-man relay. All of it
 * comes after the relays, in each turn of the loop, and none of it is needed by them. */

#include <stdio.h>
#include <string.h>

#include "button.h"
#include "clock.h"
#include "heartbeat.h"
#include "leds.h"
#include "log.h"
#include "manager-internal.h"
#include "settings-pin.h"

/* ---- the button: what a press does ------------------------------------------------------------------------------ */

static void record(struct manager *m, enum event_kind kind, const char *key, const char *text) {
        struct event event = {.at = m->now, .kind = kind, .by = "button"};

        (void)snprintf(event.key, sizeof(event.key), "%s", key);
        (void)snprintf(event.text, sizeof(event.text), "%s", text);
        memory_event(m, &event, NULL, NULL);
}

static void on_pin_kept(void *userdata, int result) {
        (void)userdata;
        if (result < 0)
                log_error("The PIN that the button has reset is not on the card: %s", strerror(-result));
}

static void reset_pin(struct manager *m, const char *text) {
        phones_pin_reset(m);
        settings_writer_put_pin(m->writer, &m->kept, PIN_FIRST, on_pin_kept, m);
        record(m, EVENT_SETTING, "pin", text);
}

static void on_pressed(void *userdata, enum button_press press) {
        struct manager *m = userdata;

        (void)manager_advance(m, clock_now());
        switch (press) {
        case BUTTON_SHORT:
                phones_button_pressed(m);
                break;
        case BUTTON_HELD:
                reset_pin(m, "held for 5 s: the PIN is " PIN_FIRST " again");
                break;
        case BUTTON_HELD_AT_START:
                phones_button_held_at_start(m);
                reset_pin(m, "held at the start: the PIN is " PIN_FIRST " again (if nobody held it, check its line)");
                break;
        case BUTTON_NONE:
                break;
        }
}

/* ---- in the loop ------------------------------------------------------------------------------------------------ */

static void report_fault(struct manager *m, usec_t now) {
        const char *why = NULL, *what = leds_fault(m->leds, &why);
        char text[ALARM_TEXT_MAX] = "";

        if (heartbeat_fault(m->heartbeat)) {
                what = "heartbeat"; /* the one on which a contactor may hang */
                why = heartbeat_fault(m->heartbeat);
        } else if (!what && button_fault(m->button)) {
                what = "button";
                why = button_fault(m->button);
        }
        if (what)
                (void)snprintf(text, sizeof(text), "%s: %.140s", what, why);
        if (strcmp(text, m->panel_fault) == 0)
                return;
        memcpy(m->panel_fault, text, sizeof(text));
        bms_panel_fault(&m->bms, now, text);
}

void panel_show(struct manager *m, usec_t now, bool message) {
        if (m->leds)
                leds_show(m->leds, now, &m->snapshot, message);
}

usec_t panel_due(const struct manager *m) {
        return m->heartbeat ? heartbeat_due(m->heartbeat) : USEC_INFINITY;
}

void panel_tick(struct manager *m, usec_t now) {
        heartbeat_tick(m->heartbeat, now, m->snapshot.deadman);
        leds_tick(m->leds, now);
        button_tick(m->button, now);
        report_fault(m, now);
}

int panel_start(struct manager *m) {
        const struct button_callbacks callbacks = {on_pressed, m};
        int r;

        r = leds_new(&m->config, m->now, &m->leds);
        if (r >= 0)
                r = heartbeat_new(&m->config, m->now, &m->heartbeat);
        if (r >= 0)
                r = button_new(m->event, &m->config, m->now, &callbacks, &m->button);
        return r;
}

void panel_stop(struct manager *m) {
        m->heartbeat = heartbeat_free(m->heartbeat);
        m->leds = leds_free(m->leds);
        m->button = button_free(m->button);
}
