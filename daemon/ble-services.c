/* SPDX-License-Identifier: MIT */

/* What the application's characteristics hold: lib/gatt.h's services, and lib/app.h's line protocol over the
 * Nordic UART Service. One session for each phone, by the device that bluetoothd names with each reading and
 * writing; it ends with the connection. What is notified goes to all that have subscribed, so it is cut for
 * the smallest of links and says nothing private. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "ble-internal.h"
#include "log.h"

/* The line's replies: so many notifications at once, then a pause in which others have their turn. */
#define PUMP_NOTIFICATIONS 16
#define PUMP_USEC (50 * USEC_PER_MSEC)

/* One wish at a time is open at each protocol, so a number is enough to tell it from an older one's. */
#define TOKEN_APP (UINT64_C(1) << 31)
#define TOKEN_NUMBER (TOKEN_APP - 1)

enum { ID_APP_RX = _GATT_MAX, ID_APP_TX };

struct ble_session {
        uint32_t serial;
        struct gatt_session gatt;
        struct app_session app;
        uint32_t app_asked;
};

struct ble_services {
        struct gatt_notified notified;
        struct app_line line;
        sd_event_source *pump;
        uint32_t serial;
        unsigned n_sessions;
};

/* ---- the table ----------------------------------------------------------------------------------------- */

/* BlueZ lets only encrypted links use either. A client reads no error from RX: replies come by TX. */
static const char *const rx_flags[] = {"write-without-response", "encrypt-write", NULL};
static const char *const tx_flags[] = {"encrypt-notify", NULL};

static const struct ble_characteristic app_rows[] = {
        {BLE_UUID_NUS, "6e400002-b5a3-f393-e0a9-e50e24dcca9e", rx_flags, false, true, false, ID_APP_RX},
        {BLE_UUID_NUS, "6e400003-b5a3-f393-e0a9-e50e24dcca9e", tx_flags, false, false, false, ID_APP_TX},
};

size_t ble_services_count(const struct ble *b) {
        return _GATT_MAX + (b->config.app ? sizeof(app_rows) / sizeof(*app_rows) : 0);
}

struct ble_characteristic ble_services_row(const struct ble *b, size_t i) {
        const bool public_battery = b->config.public_battery;
        const struct gatt_info *info;

        if (i >= _GATT_MAX)
                return app_rows[i - _GATT_MAX];
        info = gatt_info((enum gatt_characteristic)i);
        return (struct ble_characteristic){
                .service = gatt_service_uuid(info->service),
                .uuid = info->uuid,
                .flags = public_battery ? info->public_flags : info->flags,
                .readable = info->readable,
                .writable = info->writable,
                .open = public_battery && i == GATT_BATTERY_LEVEL,
                .id = (unsigned)i,
        };
}

/* ---- sessions ------------------------------------------------------------------------------------------ */

static struct ble_session *session_of(struct ble_device *d) {
        struct ble_services *v = d->ble->services;
        struct ble_session *s;

        if (d->session || v->n_sessions == BLE_SESSIONS_MAX)
                return d->session;
        s = calloc(1, sizeof(*s));
        if (!s)
                return NULL;
        s->serial = ++v->serial;
        gatt_session_init(&s->gatt);
        app_session_init(&s->app);
        v->n_sessions++;
        d->session = s;
        return s;
}

void ble_services_end(struct ble_device *d) {
        struct ble_services *v = d->ble->services;

        if (!d->session)
                return;
        app_disconnected(&v->line, &d->session->app);
        gatt_session_end(&d->session->gatt);
        explicit_bzero(d->session, sizeof(*d->session)); /* a PIN may be in it */
        free(d->session);
        d->session = NULL;
        v->n_sessions--;
}

static struct ble_device *device_of_session(struct ble *b, uint32_t serial) {
        for (struct ble_device *d = b->devices; d; d = d->next)
                if (d->session && d->session->serial == serial)
                        return d;
        return NULL;
}

static void view_of(struct ble *b, struct phone_view *ret_view) {
        b->callbacks.view(b->callbacks.userdata, ret_view);
}

static uint64_t token_of(const struct ble_session *s, uint64_t door, uint32_t number) {
        return (uint64_t)s->serial << 32 | door | (number & TOKEN_NUMBER);
}

/* ---- the line protocol --------------------------------------------------------------------------------- */

static void send_output(struct ble *b) {
        struct ble_services *v = b->services;
        struct phone_view view;
        const char *bytes;
        size_t n = app_output(&v->line, &bytes);

        view_of(b, &view);
        for (unsigned i = 0; n > 0 && i < PUMP_NOTIFICATIONS; i++) {
                if (n > BLE_NOTIFY_MAX)
                        n = BLE_NOTIFY_MAX;
                ble_application_notify(b, ID_APP_TX, (const uint8_t *)bytes, n);
                app_sent(&v->line, n, &view);
                n = app_output(&v->line, &bytes);
        }
        if (n == 0)
                return;
        if (sd_event_source_set_time_relative(v->pump, PUMP_USEC) < 0 ||
            sd_event_source_set_enabled(v->pump, SD_EVENT_ONESHOT) < 0)
                log_debug("Bluetooth: cannot arm a timer"); /* the phone's next command tries again */
}

/* Replies, and what the phone that holds the line asks for. An answer may come from within the asking. */
static void go_on(struct ble *b) {
        struct ble_services *v = b->services;
        const struct phone_ask *ask;

        send_output(b);
        for (struct ble_device *d = b->devices; d; d = d->next) {
                if (!d->session || v->line.holder != &d->session->app)
                        continue;
                ask = app_ask(&d->session->app);
                if (ask) {
                        struct phone_ask copy = *ask;

                        d->session->app_asked++;
                        b->callbacks.ask(b->callbacks.userdata, d->address, &copy,
                                         token_of(d->session, TOKEN_APP, d->session->app_asked));
                        explicit_bzero(&copy, sizeof(copy));
                }
                break;
        }
}

static int on_pump(sd_event_source *source, uint64_t usec, void *userdata) {
        (void)source, (void)usec;
        go_on(userdata);
        return 0;
}

static enum gatt_error app_write(struct ble *b, struct ble_session *s, const uint8_t *value, size_t size) {
        struct phone_view view;

        view_of(b, &view);
        (void)app_take(&b->services->line, &s->app, &view, value,
                       size); /* another phone's turn: nobody can be told */
        go_on(b);
        return GATT_OK;
}

/* ---- reading and writing ------------------------------------------------------------------------------- */

enum gatt_error ble_services_read(struct ble *b, struct ble_device *d, unsigned id, size_t offset,
                                  uint8_t ret_value[BLE_VALUE_MAX], size_t *ret_size) {
        struct ble_session *s = d ? session_of(d) : NULL;
        struct gatt_session anyone;
        struct phone_view view;

        if (id >= _GATT_MAX)
                return GATT_ERROR_READ_NOT_PERMITTED;
        if (d && !s)
                return GATT_ERROR_IN_PROGRESS;
        if (!d)
                gatt_session_init(&anyone);
        view_of(b, &view);
        return gatt_read(d ? &s->gatt : &anyone, (enum gatt_characteristic)id, offset, &view, ret_value,
                         BLE_VALUE_MAX, ret_size);
}

static void indicate(struct ble *b, struct ble_session *s) {
        uint8_t bytes[GATT_NOTIFY_MAX];
        const size_t n = gatt_indication(&s->gatt, bytes);

        if (n > 0)
                ble_application_notify(b, GATT_CONTROL, bytes, n);
}

enum gatt_error ble_services_write(struct ble *b, struct ble_device *d, unsigned id, size_t offset,
                                   const uint8_t *value, size_t size) {
        struct ble_session *s = session_of(d);
        struct phone_view view;
        struct phone_ask ask;
        enum gatt_error error;

        if (!s)
                return GATT_ERROR_IN_PROGRESS;
        if (id == ID_APP_RX)
                return offset == 0 ? app_write(b, s, value, size) : GATT_ERROR_INVALID_OFFSET;
        if (id >= _GATT_MAX)
                return GATT_ERROR_WRITE_NOT_PERMITTED;
        view_of(b, &view);
        error = gatt_write(&s->gatt, (enum gatt_characteristic)id, offset, value, size, &view, &ask);
        if (ask.kind != PHONE_ASK_NONE)
                b->callbacks.ask(b->callbacks.userdata, d->address, &ask, token_of(s, 0, s->gatt.asked));
        explicit_bzero(&ask, sizeof(ask));
        indicate(b, s);
        return error;
}

void ble_services_answer(struct ble *b, uint64_t token, const struct phone_answer *answer) {
        struct ble_device *d = device_of_session(b, (uint32_t)(token >> 32));
        const uint32_t number = token & TOKEN_NUMBER;
        struct phone_view view;
        struct ble_session *s;

        if (!d) /* it has gone */
                return;
        s = d->session;
        if (!(token & TOKEN_APP)) {
                if (number == (s->gatt.asked & TOKEN_NUMBER))
                        gatt_answer(&s->gatt, s->gatt.asked, answer);
                indicate(b, s);
        } else if (number == (s->app_asked & TOKEN_NUMBER)) {
                view_of(b, &view);
                s->app_asked++; /* answered: once only */
                app_answer(&b->services->line, &s->app, answer, &view);
                go_on(b);
        }
}

void ble_services_publish(struct ble *b) {
        uint8_t bytes[GATT_NOTIFY_MAX];
        struct phone_view view;

        if (!ble_any_phone_connected(b))
                return;
        view_of(b, &view);
        for (unsigned i = 0; i < _GATT_MAX; i++) {
                const size_t n =
                        gatt_notify(&b->services->notified, (enum gatt_characteristic)i, &view, bytes);

                if (n > 0)
                        ble_application_notify(b, i, bytes, n);
        }
}

void ble_services_log_out(struct ble *b, const char *but) {
        for (struct ble_device *d = b->devices; d; d = d->next) {
                struct ble_session *s = d->session;

                if (!s || (but && strcmp(d->address, but) == 0))
                        continue;
                gatt_session_log_out(&s->gatt);
                indicate(b, s);
                /* All of it: a PIN may be on its way in there. */
                app_disconnected(&b->services->line, &s->app);
                app_session_init(&s->app);
                s->app_asked++;
        }
}

/* ---- start and end ------------------------------------------------------------------------------------- */

int ble_services_new(struct ble *b) {
        const struct app_config config = {.echo = b->config.app_echo};
        int r;

        b->services = calloc(1, sizeof(*b->services));
        if (!b->services)
                return -ENOMEM;
        app_line_init(&b->services->line, &config);
        r = sd_event_add_time(b->event, &b->services->pump, CLOCK_BOOTTIME, 0, 0, on_pump, b);
        if (r >= 0)
                r = sd_event_source_set_priority(b->services->pump, BLE_PRIORITY);
        return r < 0 ? r : sd_event_source_set_enabled(b->services->pump, SD_EVENT_OFF);
}

void ble_services_free(struct ble *b) {
        if (!b->services)
                return;
        sd_event_source_unref(b->services->pump);
        free(b->services);
        b->services = NULL;
}
