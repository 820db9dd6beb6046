/* SPDX-License-Identifier: MIT */

/* The control point: a request is written (tag, operation, what belongs to it), its answer is read (tag, operation,
 * result, what belongs to it). docs/bluetooth.md has all of them. */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gatt-internal.h"
#include "names.h"

#define REQUEST_HEAD 2 /* tag, operation */

int gatt_setting_find(uint8_t number) {
        for (int i = 0; i < _SETTING_MAX; i++)
                if (gatt_setting_number((enum setting)i) == number)
                        return i;
        return -ENOENT;
}

static uint32_t get(const uint8_t *bytes, unsigned width) {
        uint32_t value = 0;

        for (unsigned i = 0; i < width; i++)
                value |= (uint32_t)bytes[i] << (8 * i);
        return value;
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void answer_head(const struct gatt_session *s, enum gatt_result result, struct gatt_bytes *ret_answer) {
        ret_answer->size = 0;
        gatt_put(ret_answer, 1, s->tag);
        gatt_put(ret_answer, 1, s->operation);
        gatt_put(ret_answer, 1, result);
}

static void answer_set(struct gatt_session *s, const struct gatt_bytes *answer) {
        s->answer_size = (uint8_t)answer->size;
        memcpy(s->answer, answer->bytes, answer->size);
}

/* Accepts a request; it has no answer yet. */
static void begin(struct gatt_session *s, const uint8_t *request) {
        struct gatt_bytes b;

        s->tag = request[0];
        s->operation = request[1];
        s->indicate = false; /* an answer that nobody was told of yet is now replaced */
        answer_head(s, GATT_WAITING, &b);
        answer_set(s, &b);
}

static void finish(struct gatt_session *s, const struct gatt_bytes *answer) {
        answer_set(s, answer);
        s->waiting = false;
        s->indicate = true;
}

static void put_text(struct gatt_bytes *b, const char *text) {
        const size_t length = strlen(text);

        for (size_t i = 0; i < length && i < ALARM_TEXT_MAX; i++)
                gatt_put(b, 1, (unsigned char)text[i]);
}

static void finish_result(struct gatt_session *s, enum gatt_result result) {
        struct gatt_bytes b;

        answer_head(s, result, &b);
        finish(s, &b);
}

static void finish_text(struct gatt_session *s, enum gatt_result result, const char *text) {
        struct gatt_bytes b;

        answer_head(s, result, &b);
        put_text(&b, text);
        finish(s, &b);
}

static void finish_locked(struct gatt_session *s, uint32_t sec) {
        struct gatt_bytes b;

        answer_head(s, GATT_LOCKED, &b);
        gatt_put(&b, 4, sec);
        finish(s, &b);
}

void gatt_answer(struct gatt_session *s, uint32_t asked, const struct phone_answer *answer) {
        bool done = false;

        if (!s->waiting || s->asked != asked)
                return;
        switch (answer->result) {
        case PHONE_DONE:
                finish_result(s, GATT_DONE);
                done = true;
                break;
        case PHONE_NOT_STORED:
                finish_result(s, GATT_NOT_STORED);
                done = true;
                break;
        case PHONE_WRONG_PIN:
                finish_result(s, GATT_WRONG_PIN);
                break;
        case PHONE_LOCKED:
                finish_locked(s, answer->locked_sec);
                break;
        case PHONE_REFUSED:
                finish_text(s, GATT_NOT_DONE, answer->sentence);
                break;
        case PHONE_BUSY:
                finish_result(s, GATT_BUSY);
                break;
        }
        if (s->operation == GATT_LOG_IN)
                s->logged_in = done;
}

void gatt_session_log_out(struct gatt_session *s) {
        s->logged_in = false;
        if (s->waiting && s->operation == GATT_LOG_IN)
                finish_result(s, GATT_BUSY);
}

size_t gatt_indication(struct gatt_session *s, uint8_t ret_bytes[static GATT_NOTIFY_MAX]) {
        if (!s->indicate)
                return 0;
        s->indicate = false;
        ret_bytes[0] = s->tag;
        return 1;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* What a request is about, after its head. */
struct request {
        const uint8_t *bytes;
        size_t size;
        const struct phone_view *view;
};

/* Hands the request on. Whoever asks has filled the rest. */
static void ask(struct gatt_session *s, enum phone_ask_kind kind, struct phone_ask *ret_ask) {
        ret_ask->kind = kind;
        s->asked++;
        s->waiting = true;
}

static enum gatt_error take_pin(const struct request *r, struct phone_ask *ret_ask) {
        memcpy(ret_ask->pin, r->bytes, r->size); /* all zeros before: gatt_write() */
        if (pin_well_formed(ret_ask->pin) && strlen(ret_ask->pin) == r->size)
                return GATT_OK;
        memset(ret_ask->pin, 0, sizeof(ret_ask->pin));
        return GATT_ERROR_REFUSED;
}

static bool refused_for_default_pin(struct gatt_session *s, const struct phone_view *view) {
        if (view->default_pin)
                finish_result(s, GATT_DEFAULT_PIN);
        return view->default_pin;
}

/* All of the pairs or none of them: into *settings, or a sentence. */
static int apply_pairs(const uint8_t *bytes, size_t size, struct settings *settings, char *ret_error,
                       size_t error_size) {
        bool given[_SETTING_MAX] = {false};

        for (size_t i = 0; i < size; i += GATT_SETTING_SIZE) {
                const int32_t value = (int32_t)get(bytes + i + 1, 4);
                const int setting = gatt_setting_find(bytes[i]);
                struct maybe v = value == GATT_SETTING_UNSET ? none() : some(value);
                int r;

                if (setting < 0) {
                        snprintf(ret_error, error_size, "there is no setting with the number %u", bytes[i]);
                        return -ENOENT;
                }
                if (given[setting]) {
                        snprintf(ret_error, error_size, "%s is given twice", setting_info((enum setting)setting)->key);
                        return -EINVAL;
                }
                given[setting] = true;
                r = setting_check((enum setting)setting, v, ret_error, error_size);
                if (r < 0)
                        return r;
                settings->values[setting] = v;
        }
        return 0;
}

static void write_settings(struct gatt_session *s, const uint8_t *bytes, size_t size, const struct phone_view *view,
                           struct phone_ask *ret_ask) {
        struct settings settings = view->snapshot->settings;
        char error[ALARM_TEXT_MAX] = "";

        if (refused_for_default_pin(s, view))
                return;
        if (apply_pairs(bytes, size, &settings, error, sizeof(error)) < 0 ||
            settings_check(&settings, view->snapshot->v_bypass_mv, error, sizeof(error)) < 0) {
                finish_text(s, GATT_NOT_DONE, error);
                return;
        }
        ret_ask->settings = settings;
        ask(s, PHONE_ASK_SET_SETTINGS, ret_ask);
}

static enum gatt_error transfer_append(struct gatt_session *s, const struct request *r) {
        const uint8_t *bytes = r->bytes + 2;
        const size_t size = r->size - 2;

        /* A lost, doubled or foreign piece is not to go unnoticed: each names its place. */
        if (!s->transfer || get(r->bytes, 2) != s->transfer_size)
                return GATT_ERROR_REFUSED;
        if (size > sizeof(s->transfer_bytes) - s->transfer_size)
                return GATT_ERROR_INVALID_LENGTH;
        memcpy(s->transfer_bytes + s->transfer_size, bytes, size);
        s->transfer_size = (uint8_t)(s->transfer_size + size);
        return GATT_OK;
}

/* The transfer ends here, whatever comes of it. */
static enum gatt_error transfer_commit(struct gatt_session *s, const struct request *r, const uint8_t *head,
                                       struct phone_ask *ret_ask) {
        const size_t size = s->transfer_size;
        const bool whole = s->transfer && get(r->bytes, 2) == size && size > 0 && size % GATT_SETTING_SIZE == 0;

        s->transfer = false;
        s->transfer_size = 0;
        if (!whole)
                return GATT_ERROR_REFUSED;
        begin(s, head);
        write_settings(s, s->transfer_bytes, size, r->view, ret_ask);
        return GATT_OK;
}

static void read_settings(struct gatt_session *s, const struct request *r) {
        const struct settings *settings = &r->view->snapshot->settings;
        struct gatt_bytes b;
        char error[ALARM_TEXT_MAX];

        answer_head(s, GATT_DONE, &b);
        for (int i = 0; r->size == 0 && i < _SETTING_MAX; i++)
                gatt_put_setting(&b, (enum setting)i, settings->values[i]);
        for (size_t i = 0; i < r->size; i++) {
                const int setting = gatt_setting_find(r->bytes[i]);

                if (setting < 0) {
                        snprintf(error, sizeof(error), "there is no setting with the number %u", r->bytes[i]);
                        finish_text(s, GATT_NOT_DONE, error);
                        return;
                }
                gatt_put_setting(&b, (enum setting)setting, settings->values[setting]);
        }
        finish(s, &b);
}

static void relay_text(const struct snapshot *s, enum relay_id id, uint8_t number, char *ret_text, size_t size) {
        const struct relay_snapshot *relay = &s->relays[id];

        if (number == 0)
                reason_text(&relay->reason, id, relay->closed, ret_text, size);
        else if (number <= relay->n_holds)
                hold_text(&relay->holds[number - 1], id, ret_text, size);
}

static enum gatt_error read_text(struct gatt_session *s, const struct request *r, const uint8_t *head) {
        const struct snapshot *snapshot = r->view->snapshot;
        const uint8_t number = r->bytes[1];
        char text[ALARM_TEXT_MAX] = "";
        int alarm;

        switch (r->bytes[0]) {
        case GATT_TEXT_ALARM:
                alarm = gatt_alarm_find(number);
                if (alarm >= 0 && snapshot->alarms[alarm].active)
                        snprintf(text, sizeof(text), "%s", snapshot->alarms[alarm].text);
                break;
        case GATT_TEXT_CHARGE:
                relay_text(snapshot, RELAY_CHARGE, number, text, sizeof(text));
                break;
        case GATT_TEXT_LOAD:
                relay_text(snapshot, RELAY_LOAD, number, text, sizeof(text));
                break;
        case GATT_TEXT_LINK:
                if (number == 0)
                        snprintf(text, sizeof(text), "%s", snapshot->link_text);
                break;
        default:
                return GATT_ERROR_REFUSED;
        }
        begin(s, head);
        finish_text(s, GATT_DONE, text);
        return GATT_OK;
}

static enum gatt_error set_soc(struct gatt_session *s, const struct request *r, const uint8_t *head,
                               struct phone_ask *ret_ask) {
        const uint32_t permyriad = get(r->bytes, 2);

        if (permyriad > PERMYRIAD_FULL)
                return GATT_ERROR_REFUSED;
        begin(s, head);
        if (refused_for_default_pin(s, r->view))
                return GATT_OK;
        ret_ask->soc_permyriad = (int32_t)permyriad;
        ask(s, PHONE_ASK_SET_SOC, ret_ask);
        return GATT_OK;
}

static enum gatt_error give_pin(struct gatt_session *s, const struct request *r, const uint8_t *head,
                                enum phone_ask_kind kind, struct phone_ask *ret_ask) {
        const enum gatt_error error = take_pin(r, ret_ask);

        if (error != GATT_OK)
                return error;
        begin(s, head);
        ask(s, kind, ret_ask);
        return GATT_OK;
}

/* How long what follows the head may be, in steps of so many bytes, and whether it is for a phone that is logged in. */
static const struct operation {
        enum gatt_operation operation;
        uint8_t min, max, step;
        bool open;
} operations[] = {
        {GATT_LOG_IN, PIN_DIGITS_MIN, PIN_DIGITS_MAX, 1, .open = true},
        {GATT_CHANGE_PIN, PIN_DIGITS_MIN, PIN_DIGITS_MAX, 1, .open = false},
        {GATT_CLEAR_ENERGY, 0, 0, 1, .open = false},
        {GATT_SET_SOC, 2, 2, 1, .open = false},
        {GATT_READ_SETTINGS, 0, _SETTING_MAX, 1, .open = true},
        {GATT_WRITE_SETTINGS, GATT_SETTING_SIZE, _SETTING_MAX * GATT_SETTING_SIZE, GATT_SETTING_SIZE, .open = false},
        {GATT_BEGIN, 0, 0, 1, .open = false},
        {GATT_APPEND, 3, 2 + GATT_TRANSFER_MAX, 1, .open = false},
        {GATT_COMMIT, 2, 2, 1, .open = false},
        {GATT_READ_TEXT, 2, 2, 1, .open = true},
};

static const struct operation *find_operation(uint8_t number) {
        for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
                if (operations[i].operation == number)
                        return &operations[i];
        return NULL;
}

static enum gatt_error run(struct gatt_session *s, enum gatt_operation operation, const uint8_t *head,
                           const struct request *r, struct phone_ask *ret_ask) {
        switch (operation) {
        case GATT_LOG_IN:
                return give_pin(s, r, head, PHONE_ASK_LOG_IN, ret_ask);
        case GATT_CHANGE_PIN:
                return give_pin(s, r, head, PHONE_ASK_SET_PIN, ret_ask);
        case GATT_CLEAR_ENERGY:
                begin(s, head);
                if (!refused_for_default_pin(s, r->view))
                        ask(s, PHONE_ASK_CLEAR_ENERGY, ret_ask);
                return GATT_OK;
        case GATT_SET_SOC:
                return set_soc(s, r, head, ret_ask);
        case GATT_READ_SETTINGS:
                begin(s, head);
                read_settings(s, r);
                return GATT_OK;
        case GATT_WRITE_SETTINGS:
                begin(s, head);
                write_settings(s, r->bytes, r->size, r->view, ret_ask);
                return GATT_OK;
        case GATT_BEGIN:
                s->transfer = true;
                s->transfer_size = 0;
                return GATT_OK;
        case GATT_APPEND:
                return transfer_append(s, r);
        case GATT_COMMIT:
                return transfer_commit(s, r, head, ret_ask);
        case GATT_READ_TEXT:
                return read_text(s, r, head);
        }
        return GATT_ERROR_REFUSED;
}

enum gatt_error gatt_control_write(struct gatt_session *s, const uint8_t *bytes, size_t size,
                                   const struct phone_view *view, struct phone_ask *ret_ask) {
        struct request r = {.view = view};
        const struct operation *o;

        if (size < REQUEST_HEAD)
                return GATT_ERROR_INVALID_LENGTH;
        if (s->waiting)
                return GATT_ERROR_IN_PROGRESS;
        o = find_operation(bytes[1]);
        if (!o)
                return GATT_ERROR_REFUSED;
        if (!o->open && !s->logged_in)
                return GATT_ERROR_INSUFFICIENT_AUTHORISATION;
        r.bytes = bytes + REQUEST_HEAD;
        r.size = size - REQUEST_HEAD;
        if (r.size < o->min || r.size > o->max || r.size % o->step != 0)
                return GATT_ERROR_INVALID_LENGTH;
        return run(s, o->operation, bytes, &r, ret_ask);
}
