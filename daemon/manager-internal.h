/* SPDX-License-Identifier: MIT */
#pragma once

/* What the manager's files share: manager.c (start, stop, the cycle), manager-commands.c (what the doors ask for),
 * manager-memory.c (what outlives this run: database, settings file, days),
 * manager-panel.c (LEDs, button, heartbeat), manager-ble.c (phones), manager-past.c (what they see of the past),
 * manager-asks.c (what they ask for). */

#include <systemd/sd-event.h>

#include "ble.h"
#include "bus.h"
#include "day.h"
#include "history.h"
#include "manager.h"
#include "notify.h"
#include "output.h"
#include "phone-past.h"
#include "settings-writer.h"
#include "store.h"
#include "wall-clock.h"

/* Tells whoever asked for a change what became of it, once, at once or later. 0: in force and on the card; < 0: in
 * force, but not on the card, and the sentence is the end of "applied, not stored: ...". */
typedef void (*command_done_t)(void *userdata, int result, const char *sentence);

/* A change that is in force, and whose asker waits until it is on the card. */
struct pending {
        command_done_t done; /* NULL = entry not in use */
        void *userdata;
        unsigned left; /* parts of it not yet written */
        int result;
};

#define MANAGER_PENDING_MAX 64

/* Who asked for the days, until the database has answered. */
struct days_question {
        struct manager *manager;
        days_answer_t answer; /* NULL = entry not in use */
        void *userdata;
};

#define MANAGER_QUESTIONS_MAX 16

/* manager-past.c: what the database is asked for, once each. */
enum past_question { PAST_FAULTS, PAST_HOURS, _PAST_MAX };

struct past {
        struct phone_past phones;
        struct phone_fault faults[PHONE_FAULTS_MAX]; /* as lent to a view */
        enum { PAST_UNASKED, PAST_ASKED, PAST_ANSWERED } questions[_PAST_MAX];
        usec_t ask_at; /* not before */
};

struct manager {
        sd_event *event;
        sd_event_source *timer, *refresh;
        struct config config;
        struct bms bms;
        struct snapshot snapshot;
        struct output output;
        struct notify notify;

        struct relay_output *relays;
        struct serial *serial;
        struct output_port *output_port;
        struct bus *bus;
        struct ble *ble;       /* manager-ble.c; NULL = not enabled */
        const char *phones_by; /* who asks for what the phones' door is doing just now; NULL = nobody */
        struct asks *asks;     /* manager-asks.c; NULL = likewise */
        struct past past;
        bool answering_phone;  /* from within the door: it is told of a new snapshot afterwards */

        /* manager-panel.c */
        struct leds *leds;
        struct heartbeat *heartbeat;
        struct button *button;
        char panel_fault[ALARM_TEXT_MAX]; /* as told */

        struct pending pending[MANAGER_PENDING_MAX];
        struct days_question days_questions[MANAGER_QUESTIONS_MAX];

        bool driven[_RELAY_MAX]; /* what the relay outputs were last told */
        usec_t now;              /* newest time seen: it never goes back */
        usec_t started;
        usec_t last_tick;
        usec_t last_output;
        usec_t last_ping, watchdog_usec; /* 0 = no watchdog */
        usec_t last_status;
        unsigned status_state;
        bool ready;
        char status[128];

        /* manager-memory.c */
        struct store *store;
        struct settings_writer *writer;
        struct kept_settings kept; /* the settings file, as it is or is about to be */
        struct history history;
        struct day day;
        struct wall_clock wall_clock;
        bool loaded;               /* the database has answered: from now on there is a state to be kept */
        bool proceeded;            /* it did not in time: relays may close without it */
        struct maybe64 state_wall_usec; /* of the state taken, while its time off is not known; none = nothing open */
        usec_t last_state;         /* when the state was last handed to the store */
};

/* Newest time seen. */
usec_t manager_advance(struct manager *m, usec_t now);

/* To be called after everything that may have changed what is believed. cycle: a message was taken. */
void manager_decided(struct manager *m, usec_t now, bool cycle);

/* ---- manager-memory.c ------------------------------------------------------------------------------------------ */

/* Before bms_init(): what the settings file says comes into *config. Says in the log what is wrong with it; the
 * alarm is raised by memory_start(). */
struct memory_start {
        enum settings_file_state state;
        char text[ALARM_TEXT_MAX];
};
void memory_read_settings(struct manager *m, struct bms_config *config, struct memory_start *ret_start);

/* After bms_init(). */
int memory_start(struct manager *m, const struct memory_start *start);
void memory_stop(struct manager *m); /* the last state and event are on their way; waits for a bounded time */

void memory_tick(struct manager *m, usec_t now);     /* each second: midnights, the state, the wall clock */
void memory_snapshot(struct manager *m, usec_t now); /* a new snapshot is in m->snapshot */

/* The day that is going on, as far as it is known which one that is. */
bool memory_today(const struct manager *m, struct day_record *ret_today);

/* Hands the state of now to the store. */
void memory_put_state(struct manager *m, usec_t now);

/* An event, to the log, the doors and the database. done: as of store_put_event(). */
void memory_event(struct manager *m, const struct event *event, stored_t done, void *userdata);

/* The settings in force changed: to the file. */
void memory_settings(struct manager *m, const char *by, settings_done_t done, void *userdata);

/* The number of cells or the idle draw may have been learned: to the file, if so. */
void memory_learned(struct manager *m);

/* ---- manager-panel.c ------------------------------------------------------------------------------------------- */

int panel_start(struct manager *m);
void panel_stop(struct manager *m);
void panel_show(struct manager *m, usec_t now, bool message); /* a new snapshot is in m->snapshot */
void panel_tick(struct manager *m, usec_t now);               /* panel_due(), and each second */
usec_t panel_due(const struct manager *m);

/* ---- manager-ble.c --------------------------------------------------------------------------------------------- */

void phones_start(struct manager *m, const char *bus_address); /* does nothing unless ble.enabled */
void phones_stop(struct manager *m);
void phones_button_pressed(struct manager *m);
void phones_button_held_at_start(struct manager *m);
void phones_pin_reset(struct manager *m);

/* For struct bus_callbacks. */
int phones_pair(void *userdata, unsigned seconds, bool just_works, const char *by, char *ret_error, size_t size);
void phones_close_window(void *userdata);
int phones_list(void *userdata, struct bus_phone ret_phones[BUS_PHONES_MAX], size_t *ret_n, char *ret_error,
                size_t size);
int phones_remove(void *userdata, const char *address, const char *by, char *ret_error, size_t size);

/* ---- manager-past.c -------------------------------------------------------------------------------------------- */

void past_start(struct manager *m);
void past_event(struct manager *m, const struct event *event);
void past_tick(struct manager *m, usec_t now); /* each second, after the wall clock was read */
void past_show(struct manager *m, struct phone_view *view);

/* ---- manager-asks.c -------------------------------------------------------------------------------------------- */

int asks_start(struct manager *m); /* before ble_new(); reads how phones are locked */
void asks_stop(struct manager *m); /* after ble_free(): no PIN is compared any more. Waits for a bounded time */
void asks_free(struct manager *m); /* after memory_stop(), for changes wait for the card */

/* As of struct ble_callbacks. */
void asks_take(struct manager *m, const char *phone, const struct phone_ask *ask, uint64_t token);

/* The PIN is PIN_FIRST, and the owner does not allow changes with it. */
bool asks_default_pin(const struct manager *m);

/* The newest PIN is from this phone, which stays logged in; NULL = from no phone. */
void asks_pin_by(struct manager *m, const char *phone);

/* A PIN has come in force: everyone else has to log in again. */
void asks_pin_changed(void *userdata);

/* The owner has reset the PIN: no phone is locked any more. */
void asks_unlock(struct manager *m);

/* This phone is no longer on the list. */
void asks_forget(struct manager *m, const char *phone);

/* ---- manager-commands.c ---------------------------------------------------------------------------------------- */

/* Who asks, by whichever door. */
struct asker {
        const char *by; /* "uid 1000 over D-Bus" */
        command_done_t done;
        void *userdata;
};

/* Changes that several doors can ask for. 0: done is called, at once or later, unless the store or the settings writer
 * is freed first. Or -Exxx with a sentence: refused, nothing was changed, and done is not called; -EBUSY: try again. */
int command_set(struct manager *m, const struct settings *settings, const struct asker *asker, char *ret_error,
                size_t size);
/* phone: its address, if it is one that asks, else NULL. */
int command_set_pin(struct manager *m, const char *pin, const char *phone, const struct asker *asker, char *ret_error,
                    size_t size);
int command_soc_set(struct manager *m, int64_t permyriad, const struct asker *asker, char *ret_error, size_t size);
int command_clear_energy(struct manager *m, const struct asker *asker, char *ret_error, size_t size);

struct bus_callbacks commands_for_bus(struct manager *m);
