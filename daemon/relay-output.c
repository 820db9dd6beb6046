/* SPDX-License-Identifier: MIT */
#include "relay-output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gpio.h"
#include "clock.h"
#include "log.h"
#include "names.h"
#include "relay-file.h"

/* Feedback, and whether the chips are still there. Design 12: an alarm within 1 s, of which a changed feedback takes up
 * to 0.25 s to be told (lib/alarms.c adds 0.5 s): it is read again when the contact has done bouncing. */
#define POLL_USEC (200 * USEC_PER_MSEC)
#define SETTLE_USEC (50 * USEC_PER_MSEC)
#define POLLS_PER_RETRY 2U /* lines that are missing: each 0.4 s */
#define FAULT_MAX 160U

enum coil {
        COIL_OPEN,
        COIL_CLOSE,
        COIL_FEEDBACK,
        _COIL_MAX
}; /* a relay's lines; monostable: COIL_CLOSE is its only coil */
enum pulse { PULSE_NONE, PULSE_OPENING, PULSE_CLOSING };

struct output_relay {
        struct relay_output *owner;
        enum relay_id id;
        const struct config_relay *config;
        struct gpio_line *lines[_COIL_MAX];
        bool taken;     /* all its coils are ours */
        bool driven;    /* a coil was driven in this run: feedback is no longer of the start */
        bool commanded; /* at all, in this run */
        bool closed;
        enum pulse pulse;
        sd_event_source *pulse_end;
        struct maybe feedback, feedback_before; /* as told; as last read */
        char fault[FAULT_MAX];                  /* of the coils */
        char feedback_fault[FAULT_MAX]; /* a relay without its feedback still has to be opened and closed */
};

struct relay_output {
        sd_event *event;
        struct config config;
        struct relay_output_callbacks callbacks;
        struct output_relay relays[_RELAY_MAX];
        sd_event_source *poll;
        unsigned polls;
        char fault[_RELAY_MAX * (FAULT_MAX + 32U)]; /* as told */
};

static const struct config_line *coil_config(const struct output_relay *r, enum coil coil) {
        return coil == COIL_OPEN     ? &r->config->reset
               : r->config->latching ? &r->config->set
                                     : &r->config->line;
}

static const char *relay_fault_text(const struct output_relay *r) {
        return r->fault[0] ? r->fault : r->feedback_fault;
}

/* Tells the faults of both relays as one text, when it changed. */
static void tell_fault(struct relay_output *o) {
        char text[sizeof(o->fault)];
        const char *charge = relay_fault_text(&o->relays[RELAY_CHARGE]),
                   *load = relay_fault_text(&o->relays[RELAY_LOAD]);

        if (charge[0] && load[0])
                (void)snprintf(text, sizeof(text), "charge relay: %s; load relay: %s", charge, load);
        else if (charge[0] || load[0])
                (void)snprintf(text, sizeof(text), "%s relay: %s", charge[0] ? "charge" : "load",
                               charge[0] ? charge : load);
        else
                text[0] = '\0';
        if (strcmp(text, o->fault) == 0)
                return;
        strcpy(o->fault, text);
        if (text[0])
                log_error("relay output: %s", text);
        else
                log_notice("relay output: works again");
        o->callbacks.fault(o->callbacks.userdata, clock_now(), text,
                           o->relays[RELAY_CHARGE].fault[0] || o->relays[RELAY_LOAD].fault[0]);
}

static void tell_feedback(struct output_relay *r, struct maybe now_closed) {
        if (r->feedback.known == now_closed.known && r->feedback.value == now_closed.value)
                return;
        r->feedback = now_closed;
        r->owner->callbacks.feedback(r->owner->callbacks.userdata, clock_now(), r->id, now_closed,
                                     !r->driven);
}

/* After what it is of, if anything. */
static void fault_text(char fault[FAULT_MAX], const char *of, const struct config_line *config, int error) {
        char line[96];

        gpio_line_text(config, line, sizeof(line));
        (void)snprintf(fault, FAULT_MAX, "%s%s: %s", of, line,
                       error == -ENODEV ? "its chip is gone" : strerror(-error));
}

/* Its coils fail: gives them back, to be taken anew by the poll. */
static void relay_failed(struct output_relay *r, enum coil coil, int error) {
        fault_text(r->fault, "", coil_config(r, coil), error);
        for (int i = COIL_OPEN; i <= COIL_CLOSE; i++) {
                if (r->lines[i])
                        (void)gpio_line_set(r->lines[i],
                                            false); /* a coil that still obeys must not stay under current */
                r->lines[i] = gpio_line_free(r->lines[i]);
        }
        r->taken = false;
        r->pulse = PULSE_NONE;
        (void)sd_event_source_set_enabled(r->pulse_end, SD_EVENT_OFF);
}

static void feedback_failed(struct output_relay *r, int error) {
        fault_text(r->feedback_fault, "feedback: ", &r->config->feedback, error);
        r->lines[COIL_FEEDBACK] = gpio_line_free(r->lines[COIL_FEEDBACK]);
        r->feedback_before = none();
        tell_feedback(r, none());
}

static void coil_set(struct output_relay *r, enum coil coil, bool active) {
        int error;

        if (!r->lines[coil])
                return;
        error = gpio_line_set(r->lines[coil], active);
        if (error < 0)
                relay_failed(r, coil, error);
}

static void pulse_start(struct output_relay *r, enum pulse pulse) {
        enum coil coil = pulse == PULSE_CLOSING ? COIL_CLOSE : COIL_OPEN;
        int error;

        coil_set(r, coil, true);
        if (!r->taken)
                return;
        r->pulse = pulse;
        error = sd_event_source_set_time_relative(r->pulse_end, r->config->pulse_msec * USEC_PER_MSEC);
        if (error >= 0)
                error = sd_event_source_set_enabled(r->pulse_end, SD_EVENT_ONESHOT);
        if (error < 0) { /* no timer, so no pulse without an end: the coil would burn */
                coil_set(r, coil, false);
                relay_failed(r, coil, error);
        }
}

/* Drives the coils towards what is commanded. */
static void relay_drive(struct output_relay *r) {
        if (!r->taken)
                return;
        r->driven = true;
        if (!r->config->latching) {
                coil_set(r, COIL_CLOSE, r->closed);
                return;
        }
        if (!r->closed && r->pulse == PULSE_CLOSING) { /* an opening waits for nothing */
                coil_set(r, COIL_CLOSE, false);
                r->pulse = PULSE_NONE;
        }
        if (r->taken && r->pulse == PULSE_NONE) /* a closing does wait for the end of an opening pulse: both
                                                   coils at once would fight */
                pulse_start(r, r->closed ? PULSE_CLOSING : PULSE_OPENING);
}

static int on_pulse_end(sd_event_source *source, uint64_t usec, void *userdata) {
        struct output_relay *r = userdata;
        enum pulse ended = r->pulse;

        (void)source;
        (void)usec;
        r->pulse = PULSE_NONE;
        if (ended == PULSE_NONE)
                return 0;
        coil_set(r, ended == PULSE_CLOSING ? COIL_CLOSE : COIL_OPEN, false);
        if (r->closed != (ended == PULSE_CLOSING))
                relay_drive(r);
        tell_fault(r->owner);
        return 0;
}

static void feedback_read(struct output_relay *r, bool at_once) {
        int v = gpio_line_get(r->lines[COIL_FEEDBACK]);

        if (v < 0) {
                feedback_failed(r, v);
                return;
        }
        /* Two equal readings: a contact bounces while it moves. */
        if (at_once || (r->feedback_before.known && r->feedback_before.value == v))
                tell_feedback(r, some(v));
        r->feedback_before = some(v);
}

/* Read, and not yet told: it has to be the same once more. */
static bool feedback_unsettled(const struct output_relay *r) {
        return r->feedback_before.known &&
               (!r->feedback.known || r->feedback.value != r->feedback_before.value);
}

static void feedback_take(struct output_relay *r) {
        char why[FAULT_MAX - 16];

        if (!r->config->feedback.present || r->lines[COIL_FEEDBACK])
                return;
        if (gpio_line_open(&r->config->feedback, GPIO_INPUT, &r->lines[COIL_FEEDBACK], why, sizeof(why)) <
            0) {
                (void)snprintf(r->feedback_fault, sizeof(r->feedback_fault), "feedback: %s", why);
                return;
        }
        r->feedback_fault[0] = '\0';
        feedback_read(r, true);
}

/* Takes what is not yet taken: all coils of a relay, or none. The feedback comes first, to be read before the
 * first pulse: what an earlier run left behind (P4). */
static void relay_take(struct output_relay *r) {
        feedback_take(r);
        if (r->taken)
                return;
        for (int i = COIL_OPEN; i <= COIL_CLOSE; i++) {
                const struct config_line *config = coil_config(r, (enum coil)i);
                if (!config->present ||
                    gpio_line_open(config, GPIO_OUTPUT, &r->lines[i], r->fault, sizeof(r->fault)) == 0)
                        continue;
                r->lines[COIL_OPEN] = gpio_line_free(r->lines[COIL_OPEN]); /* the other was not reached */
                return;
        }
        r->taken = true;
        r->fault[0] = '\0';
        relay_drive(r);
}

/* An idle coil tells nobody that its chip is gone: ask. */
static void relay_health(struct output_relay *r) {
        for (int i = COIL_OPEN; i <= COIL_CLOSE && r->taken; i++) {
                int v = r->lines[i] ? gpio_line_get(r->lines[i]) : 0;
                if (v < 0)
                        relay_failed(r, (enum coil)i, v);
        }
}

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata) {
        struct relay_output *o = userdata;
        bool retry = o->polls++ % POLLS_PER_RETRY == 0, unsettled = false;
        int r;

        (void)usec;
        for (int i = 0; i < _RELAY_MAX; i++) {
                struct output_relay *relay = &o->relays[i];
                if (!relay->config->present)
                        continue;
                relay_health(relay);
                if (relay->lines[COIL_FEEDBACK])
                        feedback_read(relay, false);
                unsettled = unsettled || feedback_unsettled(relay);
                if (retry)
                        relay_take(relay);
        }
        tell_fault(o);
        r = sd_event_source_set_time_relative(source, unsettled ? SETTLE_USEC : POLL_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void relay_command(struct relay_output *o, enum relay_id id, bool closed) {
        struct output_relay *r = &o->relays[id];

        if (r->commanded && r->closed == closed)
                return;
        r->commanded = true;
        r->closed = closed;
        if (o->config.relay_driver == RELAY_DRIVER_GPIO)
                relay_drive(r);
        else if (o->config.bms.mapped[id]) /* role monitor: the others are the board's own */
                log_notice("relay output (log only): %s relay %s", relay_name(id),
                           closed ? "closes" : "opens");
}

void relay_output_set(struct relay_output *o, enum relay_id relay, bool closed) {
        relay_command(o, relay, closed);
        tell_fault(o);
}

void relay_output_open_both(struct relay_output *o, enum relay_id first) {
        relay_command(o, first, false);
        relay_command(o, first == RELAY_CHARGE ? RELAY_LOAD : RELAY_CHARGE, false);
        tell_fault(o);
}

/* For relays-open, before any line is taken: from then on our death may leave a relay closed. */
static void write_files(const struct config *config) {
        struct relay_coils coils;
        int r;

        relay_coils_of(config, &coils);
        r = config->runtime_directory[0] ? relay_file_write(config->runtime_directory, &coils) : 0;
        if (r < 0)
                log_error("Cannot write %s/" RELAY_FILE_NAME ": %s; should smartbmsd die, a latching relay stays as it "
                          "is until smartbmsd is back",
                          config->runtime_directory, strerror(-r));
        r = config->state_directory[0] ? relay_file_keep(config->state_directory, &coils) : 0;
        if (r < 0)
                log_error("Cannot write %s/" RELAY_FILE_NAME ": %s; should the power fail, and the config not load "
                          "then, a latching relay stays as it is",
                          config->state_directory, strerror(-r));
}

static int start_gpio(struct relay_output *o) {
        int r;

        for (int i = 0; i < _RELAY_MAX; i++) {
                r = sd_event_add_time_relative(o->event, &o->relays[i].pulse_end, CLOCK_BOOTTIME,
                                               USEC_PER_SEC, USEC_PER_MSEC, on_pulse_end, &o->relays[i]);
                if (r >= 0)
                        r = sd_event_source_set_enabled(o->relays[i].pulse_end, SD_EVENT_OFF);
                if (r < 0)
                        return r;
        }
        r = sd_event_add_time_relative(o->event, &o->poll, CLOCK_BOOTTIME, POLL_USEC, 20 * USEC_PER_MSEC,
                                       on_poll, o);
        if (r < 0)
                return r;
        for (int i = 0; i < _RELAY_MAX; i++)
                if (o->relays[i].config->present)
                        relay_take(&o->relays[i]);
        return 0;
}

int relay_output_new(sd_event *event, const struct config *config,
                     const struct relay_output_callbacks *callbacks, struct relay_output **ret) {
        struct relay_output *o = calloc(1, sizeof(*o));
        int r = 0;

        if (!o)
                return -ENOMEM;
        o->event = sd_event_ref(event);
        o->config = *config;
        o->callbacks = *callbacks;
        for (int i = 0; i < _RELAY_MAX; i++)
                o->relays[i] = (struct output_relay){
                        .owner = o, .id = (enum relay_id)i, .config = &o->config.relays[i]};
        write_files(config);
        if (config->relay_driver == RELAY_DRIVER_GPIO)
                r = start_gpio(o);
        if (r < 0) {
                relay_output_free(o);
                return r;
        }
        relay_output_open_both(o, RELAY_LOAD); /* lines that were taken above are being driven open already */
        *ret = o;
        return 0;
}

/* The loop is over, so the end of the pulses has to be waited for here. */
static void drive_open_and_wait(struct relay_output *o) {
        unsigned longest = 0;
        struct timespec t;

        for (int i = 0; i < _RELAY_MAX; i++) {
                struct output_relay *r = &o->relays[i];
                coil_set(r, COIL_CLOSE, false);
                if (r->taken && r->config->latching) {
                        coil_set(r, COIL_OPEN, true);
                        longest = r->config->pulse_msec > longest ? r->config->pulse_msec : longest;
                }
        }
        t = (struct timespec){.tv_sec = longest / 1000, .tv_nsec = (long)(longest % 1000) * 1000000L};
        while (nanosleep(&t, &t) < 0 && errno == EINTR)
                ;
        for (int i = 0; i < _RELAY_MAX; i++)
                coil_set(&o->relays[i], COIL_OPEN, false);
}

struct relay_output *relay_output_free(struct relay_output *o) {
        if (!o)
                return NULL;
        if (o->config.relay_driver == RELAY_DRIVER_GPIO)
                drive_open_and_wait(o);
        for (int i = 0; i < _RELAY_MAX; i++) {
                for (int j = 0; j < _COIL_MAX; j++)
                        gpio_line_free(o->relays[i].lines[j]);
                sd_event_source_disable_unref(o->relays[i].pulse_end);
        }
        sd_event_source_disable_unref(o->poll);
        sd_event_unref(o->event);
        free(o);
        return NULL;
}
