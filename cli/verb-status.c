/* SPDX-License-Identifier: MIT */

/* status, monitor: the whole pack at a glance. */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "document.h"
#include "format.h"
#include "names.h"
#include "phrases.h"
#include "when.h"

struct status {
        struct reading reading;
        struct reading_manager manager;
        struct reading_relays relays;
};

static int fetch_status(struct client *client, struct status *s) {
        int r;

        r = reading_fetch(client, &s->reading);
        if (r == 0)
                r = reading_fetch_manager(client, &s->manager);
        if (r == 0)
                r = reading_fetch_relays(client, &s->relays);
        return r;
}

static void line(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(const char *label, const char *format, ...) {
        va_list ap;

        printf("%-10s ", label);
        va_start(ap, format);
        vprintf(format, ap);
        va_end(ap);
        putchar('\n');
}

static void print_link(const struct reading *r) {
        char age[FORMAT_MAX], text[READING_TEXT_MAX + 96];
        const struct maybe64 ms = reading_number(r, "LinkAge");
        const char *trouble = reading_text(r, "LinkText");

        if (ms.known)
                snprintf(text, sizeof(text), "%s, last good message %s ago", reading_text(r, "LinkState"),
                         format_age((usec_t)(ms.value < 0 ? 0 : ms.value) * USEC_PER_MSEC, age));
        else
                snprintf(text, sizeof(text), "%s, no good message yet", reading_text(r, "LinkState"));
        line("link", "%s%s%s", text, trouble[0] ? ": " : "", trouble);
        if (reading_stale(r))
                line("", "the readings below are OLD, or not known yet");
}

static void print_soc(const struct reading *r) {
        char soc[FORMAT_MAX], band[FORMAT_MAX], stored[FORMAT_MAX], capacity[FORMAT_MAX];
        const struct maybe64 wh = reading_number(r, "SOCCapacity");
        const char *calibrated =
                reading_true(r, "SOCCalibrated") ? "" : ", not calibrated (charge until every cell is full)";
        const struct maybe64 uncertainty = reading_number(r, "SOCUncertainty");

        format_number(uncertainty, 2, 1, band);
        line("soc", "%s%s%s%s", format_quantity(reading_number(r, "SOC"), 2, 1, "%", soc),
             uncertainty.known ? " +-" : "", uncertainty.known ? band : "", calibrated);
        if (wh.known)
                line("stored", "%s of %s", format_energy(reading_number(r, "Stored"), stored),
                     format_quantity(wh, 0, 0, "Wh", capacity));
        else
                line("stored", "unknown: set the capacity (smartbmsctl set capacity 1920Wh)");
        if (strcmp(reading_text(r, "SOCSensor"), "ok") != 0)
                line("", "current sensors: %s", reading_text(r, "SOCSensor"));
}

static void print_pack(const struct reading *r) {
        char v[FORMAT_MAX], a[FORMAT_MAX], w[FORMAT_MAX], n[FORMAT_MAX], m[FORMAT_MAX];

        line("pack", "%s  %s  %s", format_quantity(reading_number(r, "PackVoltage"), 3, 2, "V", v),
             format_quantity(reading_number(r, "Current"), 3, 2, "A", a),
             format_quantity(reading_number(r, "Power"), 3, 0, "W", w));
        line("in", "%s  %s", format_quantity(reading_number(r, "CurrentIn"), 3, 2, "A", a),
             format_quantity(reading_number(r, "PowerIn"), 3, 0, "W", w));
        line("out", "%s  %s", format_quantity(reading_number(r, "CurrentOut"), 3, 2, "A", a),
             format_quantity(reading_number(r, "PowerOut"), 3, 0, "W", w));
        line("cells", "%s heard, %s known%s", format_number(reading_number(r, "CellCount"), 0, 0, n),
             format_number(reading_number(r, "KnownCells"), 0, 0, m),
             reading_true(r, "Critical") ? ", critical mode" : "");
        line("lowest", "%s cell %s", format_quantity(reading_number(r, "LowestCellVoltage"), 3, 3, "V", v),
             format_number(reading_number(r, "LowestCellVoltageCell"), 0, 0, n));
        line("highest", "%s cell %s", format_quantity(reading_number(r, "HighestCellVoltage"), 3, 3, "V", v),
             format_number(reading_number(r, "HighestCellVoltageCell"), 0, 0, n));
        line("coldest", "%s cell %s",
             format_quantity(reading_number(r, "LowestCellTemperature"), 1, 1, "degC", v),
             format_number(reading_number(r, "LowestCellTemperatureCell"), 0, 0, n));
        line("hottest", "%s cell %s",
             format_quantity(reading_number(r, "HighestCellTemperature"), 1, 1, "degC", v),
             format_number(reading_number(r, "HighestCellTemperatureCell"), 0, 0, n));
}

static void print_relays(const struct reading_relays *relays) {
        char text[PHRASE_MAX], left[FORMAT_MAX];

        for (int id = 0; id < _RELAY_MAX; id++)
                line(relay_name(id), "%s: %s", phrase_relay(&relays->relay[id], text),
                     relays->relay[id].reason);
        if (relays->recover_seconds.known)
                line("recover", "both relays are held closed for charging, %s left",
                     format_quantity(relays->recover_seconds, 0, 0, "s", left));
}

static void print_alarms(const struct reading_manager *manager) {
        char age[FORMAT_MAX];

        for (int i = 0; i < manager->n_alarms; i++)
                line(i == 0 ? "alarms" : "", "%s, for %s: %s", manager->alarms[i].name,
                     format_age(manager->alarms[i].age, age), manager->alarms[i].text);
        if (manager->n_alarms == 0)
                line("alarms", "none");
}

int verb_status(struct cli *c) {
        struct status s;
        struct json j;
        int r;

        r = fetch_status(&c->client, &s);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        if (cli_json(c)) {
                json_begin(&j, stdout, true);
                document_status(&j, NULL, &s.reading, &s.manager, &s.relays);
                json_end(&j);
        } else {
                print_link(&s.reading);
                print_soc(&s.reading);
                print_pack(&s.reading);
                print_relays(&s.relays);
                print_alarms(&s.manager);
        }
        return reading_stale(&s.reading) ? EXIT_DATA_STALE : EXIT_OK;
}

static int64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (int64_t)ts.tv_sec * (int64_t)USEC_PER_SEC + ts.tv_nsec / 1000;
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        bool *changed = userdata;

        (void)m;
        (void)error;
        *changed = true;
        return 0;
}

/* Until something changes, at most a second: a quiet line is a reading too. */
static int wait_changed(sd_bus *bus, const bool *changed) {
        int r;

        do {
                r = sd_bus_process(bus, NULL);
        } while (r > 0);
        if (r == 0 && !*changed) {
                r = sd_bus_wait(bus, USEC_PER_SEC);
                if (r > 0)
                        do {
                                r = sd_bus_process(bus, NULL);
                        } while (r > 0);
        }
        return r == -EINTR ? 0 : r;
}

int verb_monitor(struct cli *c) {
        bool changed = false;
        int64_t printed = 0, last_serial = -1;
        int r;

        r = sd_bus_match_signal(c->client.bus, NULL, c->client.name, SMARTBMS_BUS_PATH,
                                "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed, &changed);
        if (r < 0)
                return fail(EXIT_REFUSED, "cannot listen for changes: %s", strerror(-r));
        for (;;) {
                struct status s;
                struct json j;
                char now[WHEN_MAX];

                changed = false;
                r = fetch_status(&c->client, &s);
                if (r != 0)
                        return fail(r, "%s", c->client.error);
                const struct maybe64 serial = reading_number(&s.reading, "SnapshotSerial");
                if (!serial.known || serial.value != last_serial) {
                        json_begin(&j, stdout, false);
                        document_status(&j, when_format_utc(now_usec(), now), &s.reading, &s.manager, &s.relays);
                        json_end(&j);
                        if (fflush(stdout) != 0)
                                return fail(EXIT_REFUSED, "cannot write: %s", strerror(errno));
                        last_serial = serial.value;
                        if (++printed == c->count)
                                return EXIT_OK;
                }
                r = wait_changed(c->client.bus, &changed);
                if (r < 0)
                        return fail(EXIT_NO_DAEMON, "the connection to the bus was lost: %s", strerror(-r));
        }
}
