/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "clock.h"
#include "log.h"
#include "manager-internal.h"
#include "names.h"
#include "output-port.h"
#include "relay-output.h"
#include "serial.h"

/* A tick comes at least this often, however many messages arrive: what counts time must not starve. */
#define TICK_USEC USEC_PER_SEC

/* How exactly the timer fires. The shortest bound it serves is 0.6 s (design 12). */
#define TICK_ACCURACY_USEC (5 * USEC_PER_MSEC)

#define STATUS_USEC (10 * USEC_PER_SEC)

usec_t manager_advance(struct manager *m, usec_t now) {
        if (now > m->now)
                m->now = now;
        return m->now;
}

/* ---- relays: before everything else --------------------------------------------------------- */

/* Does this relay's own limit say that it must open? */
static bool named_by_rule(const struct manager *m, enum relay_id id) {
        enum rule rule = m->bms.relays.relay[id].reason.rule;

        return rule < _RULE_TABLE_MAX && rule_info(rule)->blocks == 1u << id;
}

/* The relay the rule names goes first; if none or both are named, charge: overcharging is what burns. */
static enum relay_id first_to_open(const struct manager *m) {
        return named_by_rule(m, RELAY_LOAD) && !named_by_rule(m, RELAY_CHARGE) ? RELAY_LOAD : RELAY_CHARGE;
}

static void drive(struct manager *m) {
        bool wanted[_RELAY_MAX];

        if (!m->relays) /* still starting */
                return;
        for (enum relay_id i = 0; i < _RELAY_MAX; i++)
                wanted[i] = bms_relay_closed(&m->bms, i);
        if (!wanted[RELAY_CHARGE] && !wanted[RELAY_LOAD] && m->driven[RELAY_CHARGE] && m->driven[RELAY_LOAD])
                relay_output_open_both(m->relays, first_to_open(m));
        for (enum relay_id i = 0; i < _RELAY_MAX; i++)
                if (!wanted[i])
                        relay_output_set(m->relays, i, false);
        for (enum relay_id i = 0; i < _RELAY_MAX; i++)
                if (wanted[i])
                        relay_output_set(m->relays, i, true);
        memcpy(m->driven, wanted, sizeof(wanted));
}

/* ---- what comes after them ------------------------------------------------------------------ */

/* The latches' sentence says why; which relay it was goes before it. */
static void name_relay(struct event *event) {
        char why[ALARM_TEXT_MAX];

        if (event->kind != EVENT_RELAY_OPENED && event->kind != EVENT_RELAY_CLOSED)
                return;
        memcpy(why, event->text, sizeof(why));
        snprintf(event->text, sizeof(event->text), "%s relay %s: %.130s", relay_name(event->subject),
                 event->kind == EVENT_RELAY_OPENED ? "opened" : "closed", why);
}

static void report_events(struct manager *m) {
        struct event event;

        while (bms_next_event(&m->bms, &event)) {
                name_relay(&event);
                memory_event(m, &event, NULL, NULL);
                if (event.kind == EVENT_CELLS_LEARNED || event.kind == EVENT_FULL_SYNC)
                        memory_learned(m);
        }
}

static bool interrupted(const struct manager *m) {
        return m->snapshot.link == LINK_STALE || m->snapshot.link == LINK_ERROR;
}

static usec_t output_due(const struct manager *m) {
        if (!m->output_port || !interrupted(m))
                return USEC_INFINITY;
        return usec_add(m->last_output, (usec_t)m->snapshot.period_msec * USEC_PER_MSEC);
}

/* One frame a cycle; while stale or E one a period, so that readers downstream see bit 2 (design 10). */
static void feed_output(struct manager *m, usec_t now, bool cycle) {
        uint8_t bytes[FRAME_SIZE];

        if (!m->output_port || (interrupted(m) ? now < output_due(m) : !cycle))
                return;
        m->last_output = now;
        if (output_frame(&m->output, &m->snapshot, bytes))
                output_port_write(m->output_port, bytes);
}

static void format_status(const struct snapshot *s, char *ret_text, size_t size) {
        char readings[64] = "";

        if (s->pack_mv.known && !s->data_stale)
                snprintf(readings, sizeof(readings), ", %" PRId32 " cells, %" PRId32 ".%02" PRId32 " V",
                         s->count.value, s->pack_mv.value / 1000, s->pack_mv.value % 1000 / 10);
        snprintf(ret_text, size, "Link %s%s, charge %s, load %s", link_state_name(s->link), readings,
                 s->relays[RELAY_CHARGE].closed ? "closed" : "open",
                 s->relays[RELAY_LOAD].closed ? "closed" : "open");
}

/* STATUS= of systemctl: at once when link or relays change, else now and then. */
static void report_status(struct manager *m, usec_t now) {
        const struct snapshot *s = &m->snapshot;
        unsigned state = (unsigned)s->link << 2 | (unsigned)s->relays[RELAY_CHARGE].closed << 1 |
                         (unsigned)s->relays[RELAY_LOAD].closed;
        char text[sizeof(m->status)], line[sizeof(m->status) + 8];

        if (state == m->status_state && m->last_status != 0 && usec_since(now, m->last_status) < STATUS_USEC)
                return;
        m->last_status = now;
        m->status_state = state;
        format_status(s, text, sizeof(text));
        if (strcmp(text, m->status) == 0)
                return;
        memcpy(m->status, text, sizeof(text));
        snprintf(line, sizeof(line), "STATUS=%s", text);
        (void)notify_send(&m->notify, line); /* a service manager that does not listen misses a line */
}

static void arm(struct manager *m, usec_t now) {
        usec_t due = bms_deadline(&m->bms, now), output = output_due(m), panel = panel_due(m),
               tick = usec_add(m->last_tick, TICK_USEC);
        int r;

        if (output < due)
                due = output;
        if (panel < due)
                due = panel;
        if (tick < due)
                due = tick;
        if (due <= now) /* never spin */
                due = now + USEC_PER_MSEC;
        r = sd_event_source_set_time(m->timer, clock_boottime(due));
        if (r >= 0)
                r = sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
        if (r < 0) {
                /* Without its timer silence would not trip: better to be restarted, which opens both. */
                log_error("Cannot arm the timer: %s", strerror(-r));
                (void)sd_event_exit(m->event, EXIT_FAILURE);
        }
}

/* To be called after everything that may have changed what is believed. cycle: a message was taken. */
void manager_decided(struct manager *m, usec_t now, bool cycle) {
        drive(m);
        bms_snapshot(&m->bms, now, &m->snapshot);
        panel_show(m, now, cycle);
        feed_output(m, now, cycle);
        bus_publish(m->bus, &m->snapshot);
        if (!m->answering_phone)
                ble_publish(m->ble);
        memory_snapshot(m, now);
        report_events(m);
        report_status(m, now);
        arm(m, now);
}

/* ---- the cycle: a message, a tick ----------------------------------------------------------- */

static void on_bytes(void *userdata, usec_t now, const uint8_t *data, size_t size) {
        struct manager *m = userdata;

        now = manager_advance(m, now);
        /* Of two messages in one read each has its own decision and its own frame on the output. */
        while (bms_take(&m->bms, now, &data, &size))
                manager_decided(m, now, true);
}

/* Only from the tick: a loop that no longer decides must not look alive (design 6). */
static void ping_watchdog(struct manager *m, usec_t now) {
        if (m->watchdog_usec == 0 || usec_since(now, m->last_ping) < m->watchdog_usec / 3)
                return;
        if (notify_send(&m->notify, "WATCHDOG=1"))
                m->last_ping = now;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        struct manager *m = userdata;
        usec_t now = manager_advance(m, clock_now());

        (void)s, (void)usec;
        m->last_tick = now;
        bms_tick(&m->bms, now);
        manager_decided(m, now, false);

        if (!m->ready)
                m->ready = notify_send(&m->notify, "READY=1") || m->notify.fd < 0;
        ping_watchdog(m, now);
        memory_tick(m, now);
        panel_tick(m, now);
        arm(m, now); /* again, by when the heartbeat is due */
        return 0;
}

/* ---- the adapters' reports ------------------------------------------------------------------ */

/* What an adapter reports from within a call of ours is looked at when that call is over. */
static void look_again(struct manager *m) {
        int r;

        r = sd_event_source_set_enabled(m->refresh, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error("Cannot arrange for another look: %s", strerror(-r)); /* the tick looks too */
}

static int on_refresh(sd_event_source *s, void *userdata) {
        struct manager *m = userdata;

        (void)s;
        manager_decided(m, manager_advance(m, clock_now()), false);
        return 0;
}

static void on_port_opened(void *userdata, usec_t now, const char *name) {
        struct manager *m = userdata;

        (void)name; /* the adapter logs it */
        bms_port_opened(&m->bms, manager_advance(m, now));
        look_again(m);
}

static void on_port_lost(void *userdata, usec_t now, const char *why) {
        struct manager *m = userdata;

        (void)why;
        now = manager_advance(m, now);
        bms_port_lost(&m->bms, now);
        manager_decided(m, now, false);
}

static void on_feedback(void *userdata, usec_t now, enum relay_id relay, struct maybe closed, bool at_start) {
        struct manager *m = userdata;

        bms_feedback(&m->bms, manager_advance(m, now), relay, closed, at_start);
        look_again(m);
}

static void on_relay_fault(void *userdata, usec_t now, const char *text, bool coils) {
        struct manager *m = userdata;

        bms_relay_fault(&m->bms, manager_advance(m, now), text, coils);
        look_again(m);
}

static void on_output_fault(void *userdata, usec_t now, const char *text) {
        struct manager *m = userdata;

        bms_output_fault(&m->bms, manager_advance(m, now), text);
        look_again(m);
}

/* ---- start and stop ------------------------------------------------------------------------- */

/* WATCHDOG_USEC and WATCHDOG_PID as in sd_watchdog_enabled(3). */
static usec_t watchdog_interval(void) {
        uint64_t usec;

        return sd_watchdog_enabled(false, &usec) > 0 ? usec : 0;
}

static int add_sources(struct manager *m) {
        int r;

        r = sd_event_add_time(m->event, &m->timer, CLOCK_BOOTTIME, clock_boottime(m->now), TICK_ACCURACY_USEC,
                              on_tick, m);
        if (r < 0)
                return r;
        r = sd_event_add_defer(m->event, &m->refresh, on_refresh, m);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(m->refresh, SD_EVENT_OFF);
}

static int add_adapters(struct manager *m, const char *bus_address) {
        const struct relay_output_callbacks relay_callbacks = {on_feedback, on_relay_fault, m};
        const struct serial_callbacks serial_callbacks = {on_bytes, on_port_opened, on_port_lost, m};
        const struct bus_callbacks bus_callbacks = commands_for_bus(m);
        int r;

        /* Whatever was believed by an earlier process: open (P13). */
        r = relay_output_new(m->event, &m->config, &relay_callbacks, &m->relays);
        if (r < 0) {
                log_error("Cannot set up the relay outputs: %s", strerror(-r));
                return r;
        }
        r = panel_start(m);
        if (r < 0) {
                log_error("Cannot set up LEDs, button and heartbeat: %s", strerror(-r));
                return r;
        }
        bms_snapshot(&m->bms, m->now, &m->snapshot);
        r = output_port_new(m->event, &m->config, on_output_fault, m, &m->output_port);
        if (r < 0) {
                log_error("Cannot set up the extended data output: %s", strerror(-r));
                return r;
        }
        r = bus_new(m->event, bus_address, m->config.pack, &m->config.bms.settings, &bus_callbacks, &m->bus);
        if (r < 0) {
                log_error("Cannot set up D-Bus%s%s: %s", bus_address ? " at " : "",
                          bus_address ? bus_address : "", strerror(-r));
                return r;
        }
        phones_start(m, bus_address);
        r = serial_new(m->event, &m->config, &serial_callbacks, &m->serial);
        if (r < 0)
                log_error("Cannot set up the serial port: %s", strerror(-r));
        return r;
}

int manager_new(sd_event *event, const struct config *config, const char *bus_address, struct manager **ret) {
        struct memory_start start;
        struct bms_config bms_config;
        struct manager *m;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->event = sd_event_ref(event);
        m->config = *config;
        m->now = m->started = m->last_tick = clock_now();
        m->watchdog_usec = watchdog_interval();
        notify_open(&m->notify);
        tzset(); /* reads the zone's file; nothing does so later */
        bms_config = config->bms;
        memory_read_settings(m, &bms_config, &start);
        bms_init(&m->bms, m->now, &bms_config);

        r = add_sources(m);
        if (r >= 0)
                r = add_adapters(m, bus_address);
        if (r >= 0)
                r = memory_start(m, &start);
        if (r < 0) {
                manager_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

void manager_stop(struct manager *m) {
        relay_output_open_both(m->relays, first_to_open(m));
        m->driven[RELAY_CHARGE] = m->driven[RELAY_LOAD] = false;
        ble_close_window(m->ble);
        (void)notify_send(&m->notify, "STOPPING=1"); /* nothing depends on it */
}

struct manager *manager_free(struct manager *m) {
        if (!m)
                return NULL;
        m->relays = relay_output_free(m->relays);
        panel_stop(m);
        serial_free(m->serial);
        phones_stop(m);
        memory_stop(m);
        asks_free(m);
        output_port_free(m->output_port);
        bus_free(m->bus);
        sd_event_source_unref(m->refresh);
        sd_event_source_unref(m->timer);
        notify_close(&m->notify);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}
