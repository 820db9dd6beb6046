/* SPDX-License-Identifier: MIT */

/* What phones ask for (phone.h), whichever of the two protocols they speak: the PIN, and some of what can be asked for
 * over D-Bus, by the same commands (manager-commands.c).
 *
 * Comparing a PIN takes tens of milliseconds by design, so it is done on a thread, and a wrong one is on the card
 * before the phone is told: who takes the power away has not seen an answer. A card that hangs holds up nobody else: it
 * is written on another thread, a right PIN does not wait for it, and who sent a wrong one is told to ask again.
 * How phones are locked (pin-lock.h) has a small file of its own (pin-lock-file.h). Not the settings file: a phone that
 * guesses must not have that one written, on which both relays hang. Not the database: it is read late, and begins anew
 * when it is damaged. Not the list of phones: that is the door's, which knows nothing of PINs. */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "manager-internal.h"
#include "pin-lock-file.h"
#include "settings-pin.h"
#include "worker.h"

/* Asked for and not answered yet: each connected phone can have one for each protocol, and those that left before their
 * answer are still in it. Half of MANAGER_PENDING_MAX, so that D-Bus always has the other half. */
#define ASKS_MAX 32

/* As for a change that waits for the card. */
#define LATE_USEC (3 * USEC_PER_SEC)

#define STOP_USEC USEC_PER_SEC

static_assert(ASKS_MAX * 2 <= MANAGER_PENDING_MAX, "phones leave room for D-Bus");
static_assert(BLE_ADDRESS_SIZE == PIN_LOCK_ADDRESS_SIZE, "the same addresses");

struct ask {
        struct asks *asks; /* NULL = entry not in use */
        uint64_t token;
        char phone[BLE_ADDRESS_SIZE];
        struct phone_answer answer; /* while it waits for the card */
        uint64_t kept_by;           /* a wrong PIN: told when this number is on the card; 0 = not waiting for that */
        usec_t late_at;             /* it is told that it was not answered in time, then */

        /* The thread's while it compares. */
        char pin[PIN_DIGITS_MAX + 1], hash[PIN_HASH_MAX];
        bool right;
        uint64_t pins; /* as of struct asks, when it began */
};

struct asks {
        struct manager *m;
        struct worker *worker; /* compares */
        struct pin_lock lock;
        struct pin_lock_file *file;
        sd_event_source *late;
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

/* All wrong PINs up to that number are on the card. */
static void on_kept(void *userdata, uint64_t number) {
        struct asks *a = userdata;

        for (size_t i = 0; i < ASKS_MAX; i++) {
                struct ask *e = &a->asks[i];

                if (e->asks && e->kept_by != 0 && e->kept_by <= number)
                        answer_ask(e, &e->answer);
        }
}

static void arm_late(struct asks *a) {
        usec_t next = USEC_INFINITY;
        int r;

        for (size_t i = 0; i < ASKS_MAX; i++)
                if (a->asks[i].asks && a->asks[i].kept_by != 0 && a->asks[i].late_at < next)
                        next = a->asks[i].late_at;
        if (next == USEC_INFINITY)
                return;
        r = sd_event_source_set_time(a->late, clock_boottime(next));
        if (r >= 0)
                r = sd_event_source_set_enabled(a->late, SD_EVENT_ONESHOT);
        if (r < 0) /* they wait for the card, then */
                log_debug("Cannot arm a timer: %s", strerror(-r));
}

/* The card does not answer. What came of the PIN is not told: it is counted, but not kept yet. */
static int on_late(sd_event_source *source, uint64_t usec, void *userdata) {
        const struct phone_answer busy = {.result = PHONE_BUSY};
        struct asks *a = userdata;
        const usec_t now = manager_advance(a->m, clock_now());

        (void)source, (void)usec;
        for (size_t i = 0; i < ASKS_MAX; i++)
                if (a->asks[i].asks && a->asks[i].kept_by != 0 && a->asks[i].late_at <= now)
                        answer_ask(&a->asks[i], &busy);
        arm_late(a);
        return 0;
}

/* Every lock begins again with its full time. A file that cannot be read could hide any number of wrong PINs: then all
 * phones are locked for an hour. D-Bus is not, and the button ends it. */
static void load(struct asks *a, usec_t now) {
        int r;

        pin_lock_init(&a->lock);
        r = pin_lock_file_read(a->file, now, &a->lock);
        if (r == 0)
                return;
        log_error("Bluetooth: cannot read %s/pin-lock: %s. No phone can log in for an hour",
                  a->m->config.state_directory, r == -EINVAL ? "it does not say how phones are locked" : strerror(-r));
        for (a->lock.n_wrong = 0; a->lock.n_wrong < PIN_LOCK_ALL; a->lock.n_wrong++)
                a->lock.wrong_at[a->lock.n_wrong] = now;
        (void)pin_lock_file_put(a->file, &a->lock, now); /* nobody waits for it */
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
                e->kept_by = pin_lock_file_put(a->file, &a->lock, now);
        if (e->right || !changed || e->kept_by == 0) { /* that a row has ended need not be kept first */
                answer_ask(e, &e->answer);
                return;
        }
        e->late_at = usec_add(now, LATE_USEC);
        arm_late(a);
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
                (void)pin_lock_file_put(m->asks->file, &m->asks->lock, clock_now());
}

void asks_forget(struct manager *m, const char *phone) {
        if (m->asks && pin_lock_forget(&m->asks->lock, phone))
                (void)pin_lock_file_put(m->asks->file, &m->asks->lock, clock_now());
}

static int prepare(struct asks *a) {
        int r;

        r = worker_new(a->m->event, &a->worker);
        if (r >= 0)
                r = pin_lock_file_new(a->m->event, a->m->config.state_directory, on_kept, a, &a->file);
        if (r >= 0)
                r = sd_event_add_time(a->m->event, &a->late, CLOCK_BOOTTIME, 0, USEC_PER_SEC / 10, on_late, a);
        if (r >= 0)
                r = sd_event_source_set_enabled(a->late, SD_EVENT_OFF);
        return r;
}

int asks_start(struct manager *m) {
        struct asks *a;
        int r;

        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        a->m = m;
        m->asks = a;
        r = prepare(a);
        if (r < 0) {
                asks_stop(m);
                asks_free(m);
                return r;
        }
        load(a, m->now);
        return 0;
}

/* First what is being compared, for a wrong PIN is still to be kept. */
void asks_stop(struct manager *m) {
        struct asks *a = m->asks;
        bool compared;

        if (!a)
                return;
        a->late = sd_event_source_unref(a->late);
        compared = worker_free(a->worker, STOP_USEC) >= 0;
        a->worker = NULL;
        pin_lock_file_free(a->file, STOP_USEC);
        a->file = NULL;
        if (!compared) {
                log_error("Bluetooth: a PIN is still being compared");
                m->asks = NULL; /* the thread still has it */
        }
}

void asks_free(struct manager *m) {
        free(m->asks);
        m->asks = NULL;
}
