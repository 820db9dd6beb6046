/* SPDX-License-Identifier: MIT */
#include "relay-open.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "gpio.h"

#define BUSY_STEP_USEC (10 * USEC_PER_MSEC)

static const char *const coil_names[] = {
        [RELAY_COIL_SET] = "set", [RELAY_COIL_RESET] = "reset", [RELAY_COIL_LINE] = "line"};

struct opening {
        const struct relay_coils *coils;
        struct relay_open_result *result;
        struct gpio_line *lines[RELAY_COILS_MAX];
        int error[RELAY_COILS_MAX];
        char why[RELAY_COILS_MAX][120];
};

static void wait_usec(usec_t span) {
        struct timespec t = {.tv_sec = (time_t)(span / USEC_PER_SEC), .tv_nsec = (long)(span % USEC_PER_SEC) * 1000};

        while (nanosleep(&t, &t) < 0 && errno == EINTR)
                ;
}

/* A line that is taken as an output is without current from that moment on. False while one is busy. */
static bool take_all(struct opening *o) {
        bool all = true;

        for (size_t i = 0; i < o->coils->n; i++) {
                if (o->lines[i] || (o->error[i] < 0 && o->error[i] != -EBUSY))
                        continue;
                o->error[i] = gpio_line_open(&o->coils->coils[i].line, GPIO_OUTPUT, &o->lines[i], o->why[i],
                                             sizeof(o->why[i]));
                if (o->error[i] < 0)
                        o->lines[i] = NULL;
                if (o->error[i] == -EBUSY)
                        all = false;
        }
        return all;
}

static void set(struct opening *o, size_t i, bool active) {
        int r = gpio_line_set(o->lines[i], active);

        if (r == 0 || o->error[i] < 0)
                return;
        o->error[i] = r;
        (void)snprintf(o->why[i], sizeof(o->why[i]), "%s", strerror(-r));
}

/* A relay whose other coil could not be had is pulsed all the same: that coil most likely rests. Each pulse ends by its
 * own length. */
static void pulse_all(struct opening *o) {
        unsigned longest = 0;

        for (size_t i = 0; i < o->coils->n; i++) {
                const struct relay_coil_use *c = &o->coils->coils[i];

                if (c->pulse_msec == 0 || !o->lines[i])
                        continue;
                set(o, i, true);
                longest = c->pulse_msec > longest ? c->pulse_msec : longest;
        }
        const usec_t began = clock_now(); /* of the last of them: none is shorter than it should be */
        for (unsigned msec = 1; msec <= longest; msec++)
                for (size_t i = 0; i < o->coils->n; i++) {
                        if (o->coils->coils[i].pulse_msec != msec || !o->lines[i])
                                continue;
                        usec_t due = began + msec * USEC_PER_MSEC, now = clock_now();
                        if (now < due)
                                wait_usec(due - now);
                        set(o, i, false);
                }
}

static void report(struct opening *o) {
        *o->result = (struct relay_open_result){0};
        for (size_t i = 0; i < o->coils->n; i++) {
                const struct relay_coil_use *c = &o->coils->coils[i];

                if (o->error[i] < 0)
                        (void)snprintf(o->result->why[o->result->n_failed++], sizeof(o->result->why[0]),
                                       "%s relay, %s: %s", c->relay == RELAY_CHARGE ? "charge" : "load",
                                       coil_names[c->coil], o->why[i]);
        }
}

void relay_open_all(const struct relay_coils *coils, struct relay_open_result *ret) {
        struct opening o = {.coils = coils, .result = ret};
        usec_t began = clock_now();

        while (!take_all(&o) && usec_since(clock_now(), began) < RELAY_OPEN_BUSY_USEC)
                wait_usec(BUSY_STEP_USEC);
        pulse_all(&o);
        for (size_t i = 0; i < coils->n; i++)
                gpio_line_free(o.lines[i]);
        report(&o);
}
