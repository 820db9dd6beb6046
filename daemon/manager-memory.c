/* SPDX-License-Identifier: MIT */

/* What outlives a run (design 7..9): the settings file is read before anything is decided, the database's answer
 * comes when it comes. Until then no relay closes (P14), but for at most STATE_WAIT_USEC: a card must not keep a house
 * dark. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "kept.h"
#include "log.h"
#include "manager-internal.h"
#include "names.h"

/* The chain needs three messages to be live anyway. */
#define STATE_WAIT_USEC (10 * USEC_PER_SEC)

/* With the store's 50 s a state is 55 s old at most, and the commit. */
#define STATE_USEC (5 * USEC_PER_SEC)

/* Of the 5 s that a service manager waits for our end. */
#define STOP_USEC (2 * USEC_PER_SEC)

static bool remembers(const struct manager *m) {
        return m->config.state_directory[0] != '\0';
}

/* ---- events --------------------------------------------------------------------------------- */

static int event_level(enum event_kind kind) {
        switch (kind) {
        case EVENT_RELAY_OPENED:
        case EVENT_ALARM_RAISED:
        case EVENT_STORE:
                return LOG_WARNING;
        default:
                return LOG_NOTICE;
        }
}

static const char *event_prefix(enum event_kind kind) {
        switch (kind) {
        case EVENT_ALARM_RAISED:
                return "alarm: ";
        case EVENT_ALARM_CLEARED:
                return "alarm is over: ";
        default:
                return "";
        }
}

void memory_event(struct manager *m, const struct event *event, stored_t done, void *userdata) {
        log_full(event_level(event->kind), "%s%s%s%s", event->by, event->by[0] ? ": " : "",
                 event_prefix(event->kind), event->text);
        bus_event(m->bus, event);
        past_event(m, event);
        memory_put_state(m, m->now); /* what the event is about is committed with it */
        store_put_event(m->store, event, done, userdata);
}

/* ---- the state ------------------------------------------------------------------------------ */

void memory_put_state(struct manager *m, usec_t now) {
        struct store_state state = {.at = now};

        if (!m->loaded) /* what is there must not be overwritten by what does not know it */
                return;
        m->last_state = now;
        memcpy(state.sums, m->bms.energy.sums, sizeof(state.sums));
        state.day = day_today(&m->day);
        (void)bms_keep(&m->bms, now, state.kept);
        store_put_state(m->store, &state);
}

static void restore_latches(struct manager *m, usec_t now, const struct store_loaded *loaded) {
        char sentence[ALARM_TEXT_MAX];
        int r;

        r = bms_restore(&m->bms, now, loaded->state.kept, loaded->off_usec, sentence, sizeof(sentence));
        if (r >= 0)
                return;
        struct event event = {.at = now, .kind = EVENT_STORE};
        snprintf(event.text, sizeof(event.text), "the kept state is not taken: %.120s", sentence);
        memory_event(m, &event, NULL, NULL);
        bms_restore_nothing(&m->bms, now);
}

static void on_loaded(void *userdata, const struct store_loaded *loaded) {
        static const struct energy_sum zero[_ENERGY_MAX];
        struct manager *m = userdata;
        usec_t now = manager_advance(m, clock_now());

        m->loaded = true;
        if (loaded->found) {
                restore_latches(m, now, loaded);
                if (loaded->state.day.known)
                        day_restore(&m->day, loaded->state.day.value);
                if (!loaded->off_usec.known)
                        m->state_wall_usec = loaded->wall_usec;
        } else
                bms_restore_nothing(&m->bms, now);
        energy_restore(&m->bms.energy, loaded->found ? loaded->state.sums : zero);
        memory_put_state(m, now);
        manager_decided(m, now, false);
}

static void on_store_fault(void *userdata, const char *text) {
        struct manager *m = userdata;
        usec_t now = manager_advance(m, clock_now());

        bms_store_fault(&m->bms, now, text);
        manager_decided(m, now, false);
}

static void proceed_without_state(struct manager *m, usec_t now) {
        if (m->loaded || m->proceeded || usec_since(now, m->started) < STATE_WAIT_USEC)
                return;
        m->proceeded = true;
        log_warning("The database has not answered within %u s: going on without what an earlier run left",
                    (unsigned)(STATE_WAIT_USEC / USEC_PER_SEC));
        bms_restore_nothing(&m->bms, now);
}

/* ---- days and the wall clock ---------------------------------------------------------------- */

/* The wall clock has become known: when the state was kept is known by it too, so the time off is. */
static void settle_time_off(struct manager *m, usec_t now, int64_t wall_usec) {
        const int64_t off_usec = wall_usec - m->state_wall_usec.value;

        if (!m->state_wall_usec.known)
                return;
        m->state_wall_usec = none64();
        if (off_usec >= 0)
                bms_time_off_known(&m->bms, now, (usec_t)off_usec);
}

static void end_day(struct manager *m, usec_t now, int64_t day, usec_t length_usec) {
        store_put_day(m->store, day, m->bms.energy.sums, length_usec);
        energy_new_day(&m->bms.energy);
        memory_put_state(m, now);
}

bool memory_today(const struct manager *m, struct day_record *ret_today) {
        const struct maybe64 today = day_today(&m->day);
        struct day_record d = {.day = today.value, .today = true, .length_usec = day_so_far(&m->day)};

        if (!today.known || !m->bms.energy.restored)
                return false;
        d.row.soc_permyriad = m->snapshot.soc_permyriad;
        for (enum energy_counter i = 0; i < _ENERGY_MAX; i++)
                d.row.mwh[i] = m->bms.energy.sums[i].today_mwh;
        *ret_today = d;
        return true;
}

void memory_tick(struct manager *m, usec_t now) {
        struct day_passed passed;
        struct maybe64 wall;

        proceed_without_state(m, now);
        wall_clock_read(&m->wall_clock, now);
        wall = wall_clock_at(&m->wall_clock, now);
        /* Not before the earlier run's state is known: its counters belong to the day that ends. */
        if (wall.known && m->loaded) {
                store_clock(m->store, m->wall_clock.zero_usec.value);
                settle_time_off(m, now, wall.value);
                if (day_passed_now(&m->day, now, wall.value / (int64_t)USEC_PER_SEC, &passed))
                        end_day(m, now, passed.day, passed.length_usec);
        }
        past_tick(m, now);
        if (usec_since(now, m->last_state) >= STATE_USEC)
                memory_put_state(m, now);
}

void memory_snapshot(struct manager *m, usec_t now) {
        struct history_row row;

        (void)now;
        if (history_add(&m->history, &m->snapshot, &row))
                store_put_minute(m->store, &row);
}

/* ---- the settings file ---------------------------------------------------------------------- */

static void say_what_differs(const struct manager *m, const struct settings *from_config) {
        for (enum setting i = 0; i < _SETTING_MAX; i++) {
                struct maybe x = from_config->values[i], y = m->kept.values.values[i];
                char config[EVENT_VALUE_MAX], set[EVENT_VALUE_MAX];

                if (x.known == y.known && x.value == y.value)
                        continue;
                setting_format(i, x, config, sizeof(config));
                setting_format(i, y, set, sizeof(set));
                log_info("%s is %s, as set; the config file says %s", setting_info(i)->key, set, config);
        }
}

void memory_read_settings(struct manager *m, struct bms_config *config, struct memory_start *ret_start) {
        const struct settings *from_config = &m->config.bms.settings;
        int r;

        *ret_start = (struct memory_start){.state = SETTINGS_FILE_FIRST};
        m->kept = (struct kept_settings){.values = *from_config};
        if (!remembers(m))
                return;
        config->await_state = true;
        (void)mkdir(m->config.state_directory, 0750); /* is there, or what reads it will say why not */
        r = settings_file_read(m->config.state_directory, from_config, &m->kept, &ret_start->state,
                               ret_start->text, sizeof(ret_start->text));
        if (r < 0)
                log_error("Cannot read the settings in %s: %s", m->config.state_directory, strerror(-r));
        if (m->config.bms.role == ROLE_MONITOR) { /* the board's own settings rule */
                ret_start->state = SETTINGS_FILE_FIRST;
                return;
        }
        if (ret_start->text[0])
                log_error("%s", ret_start->text);
        config->settings = m->kept.values;
        config->learned_cells = m->kept.known_cells;
        if (ret_start->state == SETTINGS_FILE_GOOD)
                say_what_differs(m, from_config);
}

static void on_settings_fault(void *userdata, const char *text) {
        struct manager *m = userdata;
        usec_t now = manager_advance(m, clock_now());

        /* Until it is confirmed what is missing matters more than that it cannot be written now. */
        if (m->bms.settings_unconfirmed)
                return;
        bms_settings_fault(&m->bms, now, text, false);
        manager_decided(m, now, false);
}

static struct kept_settings settings_now(const struct manager *m) {
        struct kept_settings k = m->kept;

        k.values = m->bms.settings;
        k.known_cells = m->bms.link.cells_from_config ? 0 : m->bms.link.known_cells;
        k.idle_draw_ma = m->bms.soc.idle_draw_ma != 0 ? some(m->bms.soc.idle_draw_ma) : none();
        k.unconfirmed = m->bms.settings_unconfirmed;
        return k;
}

void memory_settings(struct manager *m, const char *by, settings_done_t done, void *userdata) {
        m->kept = settings_now(m);
        snprintf(m->kept.by, sizeof(m->kept.by), "%s", by);
        settings_writer_put(m->writer, &m->kept, done, userdata);
}

void memory_learned(struct manager *m) {
        const struct kept_settings k = settings_now(m);

        if (m->bms.config.role == ROLE_MONITOR || (k.known_cells == m->kept.known_cells &&
                                                   k.idle_draw_ma.known == m->kept.idle_draw_ma.known &&
                                                   k.idle_draw_ma.value == m->kept.idle_draw_ma.value))
                return;
        m->kept = k;
        settings_writer_put(m->writer, &m->kept, NULL, NULL);
}

/* ---- start and stop ------------------------------------------------------------------------- */

/* The first settings are on the disk before there is a database: one without settings means that they are lost, and
 * keeps the relays open. Once in a pack's life, and before anything can close. */
static bool first_settings(struct manager *m, const struct memory_start *start) {
        if (!remembers(m) || start->state != SETTINGS_FILE_FIRST || m->config.bms.role != ROLE_GATEWAY)
                return true;
        return settings_file_write(m->config.state_directory, &m->kept) == 0;
}

int memory_start(struct manager *m, const struct memory_start *start) {
        static const struct energy_sum zero[_ENERGY_MAX];
        const struct store_callbacks callbacks = {on_loaded, on_store_fault, m};
        int r;

        history_init(&m->history);
        past_start(m);
        const bool first_written = first_settings(m, start);
        r = store_new(m->event, m->config.state_directory, &callbacks, &m->store);
        if (r < 0)
                return r;
        r = settings_writer_new(m->event, m->config.state_directory, m->kept.pin_hash, on_settings_fault, m,
                                &m->writer);
        if (r < 0)
                return r;
        settings_writer_watch_pin(m->writer, asks_pin_changed, m);
        if (!remembers(m)) {
                log_info("No state directory: nothing is remembered beyond this run");
                energy_restore(&m->bms.energy, zero);
                bms_restore_nothing(&m->bms, m->now);
                m->loaded = true;
                return 0;
        }
        if (!first_written)
                memory_settings(m, "", NULL, NULL); /* raises the alarm, and tries again */
        if (start->state == SETTINGS_FILE_PREVIOUS || start->state == SETTINGS_FILE_DAMAGED)
                bms_settings_fault(&m->bms, m->now, start->text, true);
        return 0;
}

void memory_stop(struct manager *m) {
        if (m->store && remembers(m)) {
                struct event event = {.at = m->now, .kind = EVENT_STOPPED};

                snprintf(event.text, sizeof(event.text), "stopped as asked: both relays are driven open");
                memory_put_state(m, m->now);
                store_put_event(m->store, &event, NULL, NULL);
        }
        m->writer = settings_writer_free(m->writer, STOP_USEC / 2);
        m->store = store_free(m->store, STOP_USEC);
}
