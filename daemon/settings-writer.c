/* SPDX-License-Identifier: MIT */
#include "settings-writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "worker.h"

#define RETRY_USEC (5 * USEC_PER_SEC)
#define PATIENCE_USEC (3 * USEC_PER_SEC)
#define WAITERS_MAX 64U
#define PIN_MAX 16U

struct waiter {
        settings_done_t done; /* NULL = entry not in use */
        void *userdata;
        uint64_t version;     /* what it waits for */
        bool pin;             /* and that the PIN could be hashed */
        usec_t until;
};

struct settings_writer {
        struct worker *worker;
        sd_event_source *timer;
        char directory[256];
        settings_fault_t fault;
        void *userdata;
        void (*pin_changed)(void *userdata); /* NULL = nobody is told */
        void *pin_userdata;
        bool faulty, ending;

        struct kept_settings newest;
        char hash[PIN_HASH_MAX]; /* in force */
        char pin[PIN_MAX];       /* to be hashed with the next job; "" = none */
        uint64_t version, written, pin_version;
        usec_t retry_at;         /* 0 = not waiting to try again */
        struct waiter waiters[WAITERS_MAX];

        /* The job: the thread's own while it runs. */
        bool running;
        struct {
                struct kept_settings settings;
                char directory[256], pin[PIN_MAX];
                uint64_t version, pin_version;
                int result, pin_result;
                bool pin_hashed;
        } job;
};

static void arm(struct settings_writer *w) {
        usec_t due = w->retry_at == 0 ? USEC_INFINITY : w->retry_at;
        int r;

        for (size_t i = 0; i < WAITERS_MAX; i++)
                if (w->waiters[i].done && w->waiters[i].until < due)
                        due = w->waiters[i].until;
        if (due == USEC_INFINITY)
                return;
        r = sd_event_source_set_time(w->timer, clock_boottime(due));
        if (r >= 0)
                r = sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
        if (r < 0 && r != -ESTALE) /* the loop has ended: whoever frees us waits instead */
                log_error("Cannot arm the settings file's timer: %s", strerror(-r));
}

static void answer(struct waiter *waiter, int result) {
        const struct waiter w = *waiter;

        waiter->done = NULL; /* first: done() may ask for more */
        w.done(w.userdata, result);
}

static void tell_fault(struct settings_writer *w, int error) {
        char text[200] = "";

        if (error < 0)
                (void)snprintf(text, sizeof(text), "the settings cannot be written to %.60s: %.50s; trying again",
                               w->directory, strerror(-error));
        if (error == 0 && !w->faulty)
                return;
        if (!w->faulty)
                log_error("settings: %s", text);
        else if (error == 0)
                log_notice("settings: the file can be written again");
        w->faulty = error < 0;
        if (!w->ending)
                w->fault(w->userdata, text);
}

/* ---- on the thread ---------------------------------------------------------------------------------------------- */

static void run_job(void *userdata) {
        struct settings_writer *w = userdata;

        w->job.pin_result = w->job.pin[0] ? pin_hash(w->job.pin, w->job.settings.pin_hash) : 0;
        w->job.pin_hashed = w->job.pin[0] && w->job.pin_result >= 0;
        explicit_bzero(w->job.pin, sizeof(w->job.pin));
        /* Without it the rest is kept all the same, and the PIN before it. */
        w->job.result = w->job.directory[0] ? settings_file_write(w->job.directory, &w->job.settings) : 0;
}

/* ---- in the loop ------------------------------------------------------------------------------------------------ */

static void finish_job(void *userdata);

static void start_job(struct settings_writer *w) {
        int r;

        if (w->running || w->retry_at != 0 || w->version == w->written)
                return;
        w->job.settings = w->newest;
        memcpy(w->job.settings.pin_hash, w->hash, sizeof(w->hash));
        memcpy(w->job.directory, w->directory, sizeof(w->directory));
        memcpy(w->job.pin, w->pin, sizeof(w->pin));
        w->job.version = w->version;
        w->job.pin_version = w->pin_version;
        w->running = true;
        r = worker_post(w->worker, run_job, finish_job, w);
        if (r < 0) /* cannot be: one job at a time */
                w->running = false;
}

/* As soon as it is known, whether the card took it or not. */
static void take_pin(struct settings_writer *w) {
        if (!w->job.pin_hashed)
                return;
        memcpy(w->hash, w->job.settings.pin_hash, sizeof(w->hash));
        if (w->job.pin_version == w->pin_version)
                explicit_bzero(w->pin, sizeof(w->pin));
        if (w->pin_changed && !w->ending)
                w->pin_changed(w->pin_userdata);
}

static void finish_job(void *userdata) {
        struct settings_writer *w = userdata;
        const uint64_t version = w->job.version; /* answer() may start the next job */
        const int pin_result = w->job.pin_result;

        w->running = false;
        take_pin(w);
        if (w->job.result < 0 && w->ending)
                return; /* that was the last chance */
        if (w->job.result < 0) {
                tell_fault(w, w->job.result);
                w->retry_at = usec_add(clock_now(), RETRY_USEC);
                arm(w);
                return;
        }
        if (w->job.pin_version == w->pin_version)
                explicit_bzero(w->pin, sizeof(w->pin)); /* one that cannot be hashed does not come back */
        w->written = version;
        tell_fault(w, 0);
        for (size_t i = 0; i < WAITERS_MAX; i++)
                if (w->waiters[i].done && w->waiters[i].version <= version)
                        answer(&w->waiters[i], w->waiters[i].pin ? pin_result : 0);
        start_job(w);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        struct settings_writer *w = userdata;
        const usec_t now = clock_now();

        (void)s, (void)usec;
        for (size_t i = 0; i < WAITERS_MAX; i++)
                if (w->waiters[i].done && w->waiters[i].until <= now)
                        answer(&w->waiters[i], -ETIMEDOUT);
        if (w->retry_at != 0 && w->retry_at <= now) {
                w->retry_at = 0;
                start_job(w);
        }
        arm(w);
        return 0;
}

static void wait_for(struct settings_writer *w, bool pin, settings_done_t done, void *userdata) {
        if (!done)
                return;
        for (size_t i = 0; i < WAITERS_MAX; i++) {
                if (w->waiters[i].done)
                        continue;
                w->waiters[i] = (struct waiter){
                        .done = done,
                        .userdata = userdata,
                        .version = w->version,
                        .pin = pin,
                        .until = usec_add(clock_now(), PATIENCE_USEC),
                };
                return;
        }
        done(userdata, -ENOBUFS);
}

static void put(struct settings_writer *w, const struct kept_settings *k, bool pin, settings_done_t done,
                void *userdata) {
        if (w->directory[0] == '\0' && !pin) {
                if (done)
                        done(userdata, 0);
                return;
        }
        w->newest = *k;
        w->version++;
        wait_for(w, pin, done, userdata);
        start_job(w);
        arm(w);
}

void settings_writer_put(struct settings_writer *w, const struct kept_settings *k, settings_done_t done,
                         void *userdata) {
        put(w, k, false, done, userdata);
}

void settings_writer_put_pin(struct settings_writer *w, const struct kept_settings *k, const char *pin,
                             settings_done_t done, void *userdata) {
        (void)snprintf(w->pin, sizeof(w->pin), "%s", pin);
        w->pin_version++;
        w->retry_at = 0; /* hashed at once, whatever the card did before */
        put(w, k, true, done, userdata);
}

const char *settings_writer_pin_hash(const struct settings_writer *w) {
        return w->hash;
}

void settings_writer_watch_pin(struct settings_writer *w, void (*changed)(void *userdata), void *userdata) {
        w->pin_changed = changed;
        w->pin_userdata = userdata;
}

int settings_writer_new(sd_event *event, const char *directory, const char *hash, settings_fault_t fault,
                        void *userdata, struct settings_writer **ret) {
        struct settings_writer *w;
        int r;

        if (strlen(directory) >= sizeof(w->directory) || strlen(hash) >= sizeof(w->hash))
                return -ENAMETOOLONG;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        memcpy(w->directory, directory, strlen(directory) + 1);
        memcpy(w->hash, hash, strlen(hash) + 1);
        w->fault = fault;
        w->userdata = userdata;
        r = worker_new(event, &w->worker);
        if (r >= 0)
                r = sd_event_add_time(event, &w->timer, CLOCK_BOOTTIME, 0, 10 * USEC_PER_MSEC, on_timer, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
        if (r < 0) {
                (void)settings_writer_free(w, 0);
                return r;
        }
        *ret = w;
        return 0;
}

struct settings_writer *settings_writer_free(struct settings_writer *w, usec_t at_most_usec) {
        if (!w)
                return NULL;
        w->ending = true;
        w->timer = sd_event_source_unref(w->timer);
        memset(w->waiters, 0, sizeof(w->waiters)); /* nobody is told any more */
        w->retry_at = 0;
        if (w->worker)
                start_job(w); /* what failed before has a last chance */
        if (worker_free(w->worker, at_most_usec) < 0) {
                log_error("settings: the card does not answer: the newest settings may not be kept");
                return NULL; /* the thread still has it */
        }
        if (w->version != w->written)
                log_error("settings: the newest settings could not be written to %s", w->directory);
        explicit_bzero(w->pin, sizeof(w->pin));
        free(w);
        return NULL;
}
