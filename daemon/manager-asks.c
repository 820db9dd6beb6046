/* SPDX-License-Identifier: MIT */

/* What phones ask for (phone.h), whichever of the two protocols they speak: the PIN, and some of what can be asked for
 * over D-Bus, by the same commands (manager-commands.c).
 *
 * Comparing a PIN takes tens of milliseconds by design, so it is done on a thread, and a wrong one is on the card
 * before the phone is told: who takes the power away has not seen an answer. How phones are locked (pin-lock.h) has a
 * small file of its own in the state directory, replaced whole. Not the settings file: a phone that guesses must not
 * have that one written, on which both relays hang. Not the database: it is read late, and begins anew when it is
 * damaged. Not the list of phones: that is the door's, which knows nothing of PINs. */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "manager-internal.h"
#include "pin-lock.h"
#include "settings-pin.h"
#include "small-file.h"
#include "worker.h"

#define FILE_NAME "pin-lock"

/* Asked for and not answered yet: each connected phone can have one for each protocol, and those that left before their
 * answer are still in it. Half of MANAGER_PENDING_MAX, so that D-Bus always has the other half. */
#define ASKS_MAX 32

#define STOP_USEC USEC_PER_SEC

static_assert(ASKS_MAX * 2 <= MANAGER_PENDING_MAX, "phones leave room for D-Bus");
static_assert(BLE_ADDRESS_SIZE == PIN_LOCK_ADDRESS_SIZE, "the same addresses");

struct ask {
        struct asks *asks; /* NULL = entry not in use */
        uint64_t token;
        char phone[BLE_ADDRESS_SIZE];
        struct phone_answer answer; /* while it waits for the card */

        /* The thread's while it compares. */
        char pin[PIN_DIGITS_MAX + 1], hash[PIN_HASH_MAX];
        bool right;
        uint64_t pins; /* as of struct asks, when it began */
};

struct asks {
        struct manager *m;
        struct worker *worker;
        struct pin_lock lock;
        char directory[256];
        char pin_by[BLE_ADDRESS_SIZE]; /* who set the newest PIN; "" = no phone */
        uint64_t pins;                 /* rises with each PIN that comes in force */
        struct ask asks[ASKS_MAX];
};

static void answer(struct manager *m, uint64_t token, enum phone_result result, uint32_t locked_sec,
                   const char *sentence) {
        struct phone_answer answer = {.result = result, .locked_sec = locked_sec};

        (void)snprintf(answer.sentence, sizeof(answer.sentence), "%s", sentence);
        ble_answer(m->ble, token, &answer);
}

static void answer_ask(struct ask *e, const struct phone_answer *answer) {
        const struct phone_answer copy = *answer;
        struct asks *a = e->asks;

        e->asks = NULL; /* free again; first: the phone may go on asking at once */
        ble_answer(a->m->ble, e->token, &copy);
}

static struct ask *take_entry(struct asks *a, const char *phone, uint64_t token) {
        for (size_t i = 0; i < ASKS_MAX; i++) {
                struct ask *e = &a->asks[i];

                if (e->asks)
                        continue;
                *e = (struct ask){.asks = a, .token = token};
                (void)snprintf(e->phone, sizeof(e->phone), "%s", phone);
                return e;
        }
        return NULL;
}

/* ---- the lock on the card ------------------------------------------------------------------------------------ */

struct save {
        struct asks *asks;
        struct ask *ask; /* waits for it; NULL = nobody does */
        char directory[256], text[PIN_LOCK_LINE_MAX + 1];
        int result;
};

static void run_save(void *userdata) {
        struct save *s = userdata;

        s->result = small_file_replace(s->directory, FILE_NAME, s->text);
}

static void say_not_kept(int error) {
        log_error("Bluetooth: wrong PINs cannot be kept: %s. After a restart they are forgotten", strerror(-error));
}

static void finish_save(void *userdata) {
        struct save *s = userdata;

        if (s->result < 0)
                say_not_kept(s->result);
        if (s->ask)
                answer_ask(s->ask, &s->ask->answer);
        free(s);
}

/* ask: to be answered when that is over; may be NULL. */
static void save(struct asks *a, struct ask *ask) {
        struct save *s = NULL;
        int r = 0;

        if (a->directory[0] != '\0') {
                s = calloc(1, sizeof(*s));
                r = s ? 0 : -ENOMEM;
        }
        if (s) {
                s->asks = a;
                s->ask = ask;
                memcpy(s->directory, a->directory, sizeof(s->directory));
                pin_lock_format(&a->lock, clock_now(), s->text);
                (void)strcat(s->text, "\n");
                r = worker_post(a->worker, run_save, finish_save, s);
                if (r >= 0)
                        return;
                free(s);
        }
        if (r < 0)
                say_not_kept(r);
        if (ask)
                answer_ask(ask, &ask->answer);
}

/* Every lock begins again with its full time. A file that cannot be read could hide any number of wrong PINs: then all
 * phones are locked for an hour. D-Bus is not, and the button ends it. */
static void load(struct asks *a, usec_t now) {
        char text[PIN_LOCK_LINE_MAX + 1];
        int r;

        pin_lock_init(&a->lock);
        if (a->directory[0] == '\0')
                return;
        r = small_file_read(a->directory, FILE_NAME, text, sizeof(text));
        if (r == -ENOENT)
                return;
        if (r == 0) {
                text[strcspn(text, "\n")] = '\0';
                r = pin_lock_parse(text, now, &a->lock);
        }
        if (r == 0)
                return;
        log_error("Bluetooth: cannot read %s/" FILE_NAME ": %s. No phone can log in for an hour", a->directory,
                  r == -EINVAL ? "it does not say how phones are locked" : strerror(-r));
        for (a->lock.n_wrong = 0; a->lock.n_wrong < PIN_LOCK_ALL; a->lock.n_wrong++)
                a->lock.wrong_at[a->lock.n_wrong] = now;
        save(a, NULL);
}

/* ---- log in -------------------------------------------------------------------------------------------------- */

static void run_compare(void *userdata) {
        struct ask *e = userdata;

        e->right = pin_matches(e->pin, e->hash);
        explicit_bzero(e->pin, sizeof(e->pin));
}

static void record_lock(struct manager *m, usec_t now, const char *sentence) {
        struct event event = {.at = now, .kind = EVENT_PHONE};

        (void)snprintf(event.text, sizeof(event.text), "%s", sentence);
        memory_event(m, &event, NULL, NULL);
}

static void finish_compare(void *userdata) {
        struct ask *e = userdata;
        struct asks *a = e->asks;
        const usec_t now = manager_advance(a->m, clock_now());
        char sentence[PIN_LOCK_TEXT_MAX];
        bool changed;

        if (e->pins != a->pins) { /* with the PIN before */
                pin_lock_abandon(&a->lock, e->phone);
                e->answer.result = PHONE_BUSY;
                answer_ask(e, &e->answer);
                return;
        }
        changed = pin_lock_result(&a->lock, now, e->phone, e->right, sentence);
        if (sentence[0])
                record_lock(a->m, now, sentence);
        e->answer.result = e->right ? PHONE_DONE : PHONE_WRONG_PIN;
        if (changed)
                save(a, e);
        else
                answer_ask(e, &e->answer);
}

static void log_in(struct asks *a, struct ask *e, const char *pin) {
        struct manager *m = a->m;
        const usec_t now = manager_advance(m, clock_now());
        const uint32_t wait_sec = pin_lock_try(&a->lock, now, e->phone);

        if (wait_sec > 0) { /* it is locked, or others are being compared */
                e->answer.result = PHONE_LOCKED;
                e->answer.locked_sec = wait_sec;
                answer_ask(e, &e->answer);
                return;
        }
        (void)snprintf(e->pin, sizeof(e->pin), "%s", pin);
        (void)snprintf(e->hash, sizeof(e->hash), "%s", settings_writer_pin_hash(m->writer));
        e->pins = a->pins;
        if (worker_post(a->worker, run_compare, finish_compare, e) >= 0)
                return;
        explicit_bzero(e->pin, sizeof(e->pin));
        pin_lock_abandon(&a->lock, e->phone);
        e->answer.result = PHONE_BUSY;
        answer_ask(e, &e->answer);
}

/* ---- changes ------------------------------------------------------------------------------------------------- */

static void change_done(void *userdata, int result, const char *sentence) {
        struct ask *e = userdata;

        e->answer.result = result < 0 ? PHONE_NOT_STORED : PHONE_DONE;
        if (result < 0 && sentence)
                (void)snprintf(e->answer.sentence, sizeof(e->answer.sentence), "applied, not stored: %.120s",
                               sentence);
        answer_ask(e, &e->answer);
}

static int run_change(struct manager *m, const struct phone_ask *ask, const char *phone, const struct asker *asker,
                      char *ret_error, size_t size) {
        if (ask->kind == PHONE_ASK_SET_PIN)
                return command_set_pin(m, ask->pin, phone, asker, ret_error, size);
        if (asks_default_pin(m)) {
                (void)snprintf(ret_error, size, "the PIN is still the first one: change it first");
                return -EPERM;
        }
        switch (ask->kind) {
        case PHONE_ASK_SET_SETTINGS:
                return command_set(m, &ask->settings, asker, ret_error, size);
        case PHONE_ASK_SET_SOC:
                return command_soc_set(m, ask->soc_permyriad, asker, ret_error, size);
        case PHONE_ASK_CLEAR_ENERGY:
                return command_clear_energy(m, asker, ret_error, size);
        case PHONE_ASK_NONE:
        case PHONE_ASK_LOG_IN:
        case PHONE_ASK_SET_PIN:
                break;
        }
        return -EOPNOTSUPP;
}

static void change(struct asks *a, struct ask *e, const struct phone_ask *ask) {
        char by[EVENT_BY_MAX], error[ALARM_TEXT_MAX] = "";
        const struct asker asker = {by, change_done, e};
        struct manager *m = a->m;
        int r;

        (void)snprintf(by, sizeof(by), "phone %s over Bluetooth", ble_address_end(e->phone));
        /* The door is in the middle of a phone's writing, and must not find its connection gone after it. */
        m->answering_phone = true;
        r = run_change(m, ask, e->phone, &asker, error, sizeof(error));
        m->answering_phone = false;
        if (r >= 0) {
                if (sd_event_source_set_enabled(m->refresh, SD_EVENT_ONESHOT) < 0)
                        log_debug("Cannot arrange for another look"); /* the next message is one */
                return;
        }
        e->answer.result = r == -EBUSY ? PHONE_BUSY : PHONE_REFUSED;
        (void)snprintf(e->answer.sentence, sizeof(e->answer.sentence), "%s", error);
        answer_ask(e, &e->answer);
}

/* ---- for the other files ------------------------------------------------------------------------------------- */

void asks_take(struct manager *m, const char *phone, const struct phone_ask *ask, uint64_t token) {
        struct ask *e = take_entry(m->asks, phone, token);

        if (!e)
                answer(m, token, PHONE_BUSY, 0, "");
        else if (ask->kind == PHONE_ASK_LOG_IN)
                log_in(m->asks, e, ask->pin);
        else
                change(m->asks, e, ask);
}

bool asks_default_pin(const struct manager *m) {
        return settings_writer_pin_hash(m->writer)[0] == '\0' && !m->config.ble.allow_default_pin;
}

void asks_pin_by(struct manager *m, const char *phone) {
        if (m->asks)
                (void)snprintf(m->asks->pin_by, sizeof(m->asks->pin_by), "%s", phone ? phone : "");
}

void asks_pin_changed(void *userdata) {
        struct manager *m = userdata;

        if (!m->asks)
                return;
        m->asks->pins++;
        ble_log_out(m->ble, m->asks->pin_by[0] ? m->asks->pin_by : NULL);
}

void asks_unlock(struct manager *m) {
        if (m->asks && pin_lock_reset(&m->asks->lock))
                save(m->asks, NULL);
}

void asks_forget(struct manager *m, const char *phone) {
        if (m->asks && pin_lock_forget(&m->asks->lock, phone))
                save(m->asks, NULL);
}

int asks_start(struct manager *m) {
        struct asks *a;
        int r;

        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        a->m = m;
        memcpy(a->directory, m->config.state_directory, sizeof(a->directory));
        r = worker_new(m->event, &a->worker);
        if (r < 0) {
                free(a);
                return r;
        }
        m->asks = a;
        load(a, m->now);
        return 0;
}

void asks_stop(struct manager *m) {
        struct asks *a = m->asks;

        if (!a)
                return;
        if (worker_free(a->worker, STOP_USEC) < 0) {
                log_error("Bluetooth: the card does not answer: the newest wrong PINs may not be kept");
                m->asks = NULL; /* the thread still has it */
                return;
        }
        a->worker = NULL;
}

void asks_free(struct manager *m) {
        free(m->asks);
        m->asks = NULL;
}
