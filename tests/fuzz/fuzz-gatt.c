/* SPDX-License-Identifier: MIT */

/* What phones may write and read, in any order: two phones, each with its session, do to one pack whatever the bytes
 * say, and a daemon answers, forgets and resets as it likes.
 *
 *   byte   what happens: low three bits by the switch in step(), bit 3 the phone
 *   then   its arguments
 *
 * Nothing but a log-in is asked for by a phone that is not logged in, and that is only by an answer that was right.
 * Settings that are asked for are good as a whole, and with the default PIN nothing is asked for but a PIN. No read
 * gives more than was asked for, or a byte of a value other than the one that its first part came from. What is refused
 * changes no session. What is notified or indicated fits, and says nothing of any phone. */

#include <stdlib.h>
#include <string.h>

#include "gatt.h"

/* The build may define NDEBUG; a fuzzer must not lose its eyes by that. */
#define CHECK(condition)         \
        do {                     \
                if (!(condition)) \
                        abort(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 64
#define PHONES 2
#define NOTIFY_MAX 2 /* times: of all steps it takes by far the longest, and looks at no byte of a phone */

/* ---- the input, taken piece by piece; zeros when it is used up --------------------------------------------------- */

struct input {
        const uint8_t *data;
        size_t size;
};

static uint8_t take(struct input *in) {
        if (in->size == 0)
                return 0;
        in->size--;
        return *in->data++;
}

/* ---- the world --------------------------------------------------------------------------------------------------- */

/* What one phone was given, to be compared with what the session says. */
struct phone {
        struct gatt_session session;
        bool logged_in;
        uint32_t asked;
        enum phone_ask_kind waits_for; /* NONE = no ask is open */
        struct settings settings;      /* of an ask for them */
        bool has_copy[_GATT_MAX];      /* of what it read last at offset 0 */
        size_t copy_size[_GATT_MAX];
        uint8_t copies[_GATT_MAX][GATT_VALUE_MAX];
};

struct world {
        struct snapshot snapshot;
        struct phone_view view;
        struct gatt_notified notified;
        struct phone phones[PHONES];
        unsigned notified_times;
};

static void world_init(struct world *w) {
        memset(w, 0, sizeof(*w));
        settings_init(&w->snapshot.settings);
        w->snapshot.n_cells = 20;
        w->snapshot.known_cells = some(20);
        w->view = (struct phone_view){.now = USEC_PER_DAY, .version = "1.2.3", .snapshot = &w->snapshot};
        for (int i = 0; i < PHONES; i++)
                gatt_session_init(&w->phones[i].session);
}

/* A cycle: something else is true now. */
static void cycle(struct world *w, uint8_t what) {
        struct snapshot *s = &w->snapshot;
        const int cell = what % 20 + 1;

        s->serial++;
        w->view.now += USEC_PER_SEC;
        w->view.default_pin = what >> 7;
        s->n_cells = (what & 0x60) == 0x60 ? 255 : 20;
        s->cells[cell].voltage_mv = some(3000 + what);
        s->pack_mv = some(50000 + what);
        s->soc_permyriad = what & 1 ? some(what * 39) : none();
        s->alarms[what % _ALARM_MAX].active = !s->alarms[what % _ALARM_MAX].active;
        s->v_bypass_mv = what & 2 ? some(3500) : none();
        s->relays[what & 1].n_holds = what % (RELAY_HOLDS_MAX + 1);
        s->relays[what & 1].reason.rule = (enum rule)(what % (_RULE_MAX + 1));
        w->view.wall_sec = what & 4 ? some64(1767225600 + what) : none64();
        memset(s->link_text, 'x', what % ALARM_TEXT_MAX);
        s->link_text[what % ALARM_TEXT_MAX] = '\0';
}

static void notify_all(struct world *w) {
        if (w->notified_times++ >= NOTIFY_MAX)
                return;
        for (enum gatt_characteristic c = 0; c < _GATT_MAX; c++) {
                uint8_t bytes[GATT_NOTIFY_MAX];
                const size_t size = gatt_notify(&w->notified, c, &w->view, bytes);

                CHECK(size <= GATT_NOTIFY_MAX);
                CHECK(gatt_info(c)->notified || size == 0);
                CHECK(gatt_notify(&w->notified, c, &w->view, bytes) == 0); /* not twice */
        }
}

/* A read of any part into a buffer of exactly that length: the sanitizer sees a byte too many. */
static void read_part(struct world *w, struct phone *p, struct input *in) {
        const enum gatt_characteristic c = take(in) % _GATT_MAX;
        const size_t offset = take(in), length = take(in);
        uint8_t *bytes = malloc(length + 1);
        size_t size = SIZE_MAX;
        enum gatt_error error;

        CHECK(bytes);
        memset(bytes, 0xee, length + 1);
        if (offset == 0) {
                /* What the value is now, as another phone on the same page would read it. */
                static struct gatt_session other;

                other = p->session;
                error = gatt_read(&other, c, 0, &w->view, p->copies[c], GATT_VALUE_MAX, &p->copy_size[c]);
                CHECK(error == GATT_OK || (error == GATT_ERROR_REFUSED && c == GATT_BATTERY_LEVEL));
                p->has_copy[c] = error == GATT_OK || p->has_copy[c];
        }
        error = gatt_read(&p->session, c, offset, &w->view, bytes, length, &size);
        CHECK(bytes[length] == 0xee);
        if (error != GATT_OK) {
                CHECK(size == SIZE_MAX);
                CHECK(error == GATT_ERROR_INVALID_OFFSET || (error == GATT_ERROR_REFUSED && c == GATT_BATTERY_LEVEL));
                CHECK(error != GATT_ERROR_INVALID_OFFSET || !p->has_copy[c] || offset > p->copy_size[c]);
        } else {
                CHECK(size <= length);
                if (p->has_copy[c]) {
                        CHECK(offset <= p->copy_size[c]);
                        CHECK(size == (length < p->copy_size[c] - offset ? length : p->copy_size[c] - offset));
                        CHECK(memcmp(bytes, p->copies[c] + offset, size) == 0);
                } else {
                        /* A first read that did not begin at the beginning. */
                        static struct gatt_session other;

                        other = p->session;
                        CHECK(!(offset == 0));
                        p->copy_size[c] = other.copies[c].size;
                        memcpy(p->copies[c], other.copies[c].bytes, other.copies[c].size);
                        p->has_copy[c] = true;
                }
        }
        free(bytes);
}

/* ---- writes ------------------------------------------------------------------------------------------------------ */

static void check_ask(const struct world *w, const struct phone *p, const struct phone_ask *ask) {
        char error[ALARM_TEXT_MAX];

        CHECK(p->logged_in || ask->kind == PHONE_ASK_LOG_IN);
        CHECK(!w->view.default_pin || ask->kind == PHONE_ASK_LOG_IN || ask->kind == PHONE_ASK_SET_PIN);
        CHECK(p->session.waiting && p->session.asked == p->asked + 1);
        switch (ask->kind) {
        case PHONE_ASK_LOG_IN:
        case PHONE_ASK_SET_PIN:
                CHECK(memchr(ask->pin, 0, sizeof(ask->pin)) && pin_well_formed(ask->pin));
                return;
        case PHONE_ASK_SET_SETTINGS:
                CHECK(settings_check(&ask->settings, w->snapshot.v_bypass_mv, error, sizeof(error)) == 0);
                return;
        case PHONE_ASK_SET_SOC:
                CHECK(ask->soc_permyriad >= 0 && ask->soc_permyriad <= PERMYRIAD_FULL);
                return;
        case PHONE_ASK_CLEAR_ENERGY:
                return;
        case PHONE_ASK_NONE:
                break;
        }
        CHECK(false);
}

/* An answer of its own: tag, operation, a result that is final. */
static void check_answered(const struct phone *p, const uint8_t *bytes) {
        CHECK(p->session.answer_size >= 3);
        CHECK(p->session.answer[0] == bytes[0] && p->session.answer[1] == bytes[1]);
        CHECK(p->session.answer[2] == GATT_DONE || p->session.answer[2] == GATT_NOT_DONE ||
              p->session.answer[2] == GATT_DEFAULT_PIN);
        CHECK(p->session.answer[2] != GATT_NOT_DONE || p->session.answer_size > 3); /* with a sentence */
}

static void check_indication(struct phone *p, bool expected) {
        uint8_t bytes[GATT_NOTIFY_MAX];
        const size_t size = gatt_indication(&p->session, bytes);

        CHECK(size == (expected ? 1 : 0));
        CHECK(size == 0 || bytes[0] == p->session.tag);
        CHECK(gatt_indication(&p->session, bytes) == 0);
}

/* One write of exactly these bytes, in a block of their own. */
static void write_bytes(struct world *w, struct phone *p, enum gatt_characteristic c, size_t offset,
                        const uint8_t *data, size_t size) {
        static struct gatt_session before;
        uint8_t *bytes = malloc(size > 0 ? size : 1);
        struct phone_ask ask, zero;
        enum gatt_error error;
        bool silent;

        CHECK(bytes);
        memcpy(bytes, data, size);
        before = p->session;
        memset(&ask, 0x5a, sizeof(ask));
        error = gatt_write(&p->session, c, offset, bytes, size, &w->view, &ask);
        CHECK(p->session.logged_in == p->logged_in); /* writing alone never logs in */
        if (ask.kind != PHONE_ASK_NONE) {
                CHECK(error == GATT_OK && p->waits_for == PHONE_ASK_NONE && c == GATT_CONTROL);
                check_ask(w, p, &ask);
                p->asked = p->session.asked;
                p->waits_for = ask.kind;
                p->settings = ask.settings;
                check_indication(p, false);
                free(bytes);
                return;
        }
        memset(&zero, 0, sizeof(zero));
        CHECK(memcmp(ask.pin, zero.pin, sizeof(ask.pin)) == 0); /* no PIN lies about */
        silent = error != GATT_OK || c != GATT_CONTROL || bytes[1] == GATT_BEGIN || bytes[1] == GATT_APPEND;
        if (error != GATT_OK) {
                if (before.transfer && !p->session.transfer) { /* a commit that did not fit ends the transfer */
                        CHECK(size == 4 && bytes[1] == GATT_COMMIT);
                        p->session.transfer = true;
                        p->session.transfer_size = before.transfer_size;
                        CHECK(memcmp(&before, &p->session, sizeof(before)) == 0);
                        p->session.transfer = false;
                        p->session.transfer_size = 0;
                } else
                        CHECK(memcmp(&before, &p->session, sizeof(before)) == 0);
        }
        if (p->waits_for != PHONE_ASK_NONE)
                CHECK(error != GATT_OK || c != GATT_CONTROL);
        if (!silent)
                check_answered(p, bytes);
        check_indication(p, !silent);
        free(bytes);
}

static void write_any(struct world *w, struct phone *p, struct input *in) {
        static const enum gatt_characteristic writable[] = {GATT_CONTROL, GATT_CELLS};
        const uint8_t head = take(in);
        const enum gatt_characteristic c =
                head & 1 ? writable[head >> 1 & 1] : (enum gatt_characteristic)((head >> 1) % _GATT_MAX);
        size_t length = take(in);

        if (length > in->size)
                length = in->size;
        write_bytes(w, p, c, head >> 7, in->data, length);
        in->data += length;
        in->size -= length;
}

/* Requests to the control point that are nearly right, so that what lies behind the first checks is reached: the
 * operation by its place in this list, then as many bytes as it may have. */
static void write_request(struct world *w, struct phone *p, struct input *in) {
        static const struct {
                uint8_t operation, min, max, step;
        } known[] = {
                {GATT_LOG_IN, 4, 8, 1}, {GATT_CHANGE_PIN, 4, 8, 1}, {GATT_CLEAR_ENERGY, 0, 0, 1},
                {GATT_SET_SOC, 2, 2, 1},
                {GATT_READ_SETTINGS, 0, 23, 1}, {GATT_WRITE_SETTINGS, 5, 115, 5}, {GATT_BEGIN, 0, 0, 1},
                {GATT_APPEND, 3, 40, 1}, {GATT_COMMIT, 2, 2, 1}, {GATT_READ_TEXT, 2, 2, 1},
        };
        const unsigned which = take(in) % (sizeof(known) / sizeof(known[0]));
        const unsigned steps = (unsigned)(known[which].max - known[which].min) / known[which].step + 1;
        const size_t length = known[which].min + take(in) % steps * known[which].step;
        uint8_t bytes[2 + 128];

        bytes[0] = take(in);
        bytes[1] = known[which].operation;
        for (size_t i = 0; i < length; i++) {
                uint8_t byte = take(in);

                if (known[which].operation <= GATT_CHANGE_PIN)
                        byte = '0' + byte % 11; /* one of eleven is no digit */
                else if (known[which].operation == GATT_WRITE_SETTINGS && i % 5 == 0)
                        byte = byte % 25;
                bytes[2 + i] = byte;
        }
        if ((known[which].operation == GATT_APPEND || known[which].operation == GATT_COMMIT) && (bytes[0] & 1)) {
                bytes[2] = p->session.transfer_size;
                bytes[3] = 0;
        }
        write_bytes(w, p, GATT_CONTROL, 0, bytes, 2 + length);
}

/* ---- the daemon's part ------------------------------------------------------------------------------------------- */

static void give_answer(struct world *w, struct phone *p, struct input *in) {
        const uint8_t head = take(in);
        struct phone_answer answer = {.result = (enum phone_result)(head & 7) % (PHONE_BUSY + 1), .locked_sec = head};
        const uint32_t number = p->session.asked - (head >> 6); /* at times an old one */
        const bool open = p->waits_for != PHONE_ASK_NONE && number == p->asked;

        memset(answer.sentence, 'y', head % ALARM_TEXT_MAX);
        gatt_answer(&p->session, number, &answer);
        if (open) {
                if (p->waits_for == PHONE_ASK_LOG_IN)
                        p->logged_in = answer.result == PHONE_DONE || answer.result == PHONE_NOT_STORED;
                if (p->waits_for == PHONE_ASK_SET_SETTINGS && answer.result == PHONE_DONE)
                        w->snapshot.settings = p->settings;
                p->waits_for = PHONE_ASK_NONE;
                CHECK(!p->session.waiting);
        }
        CHECK(p->session.logged_in == p->logged_in);
        check_indication(p, open);
}

static void end_or_log_out(struct phone *p, uint8_t how) {
        const bool log_in = p->waits_for == PHONE_ASK_LOG_IN;

        p->logged_in = false;
        if (how & 1) {
                gatt_session_log_out(&p->session);
                if (log_in)
                        p->waits_for = PHONE_ASK_NONE;
                check_indication(p, log_in);
        } else {
                gatt_session_end(&p->session);
                p->waits_for = PHONE_ASK_NONE;
                memset(p->has_copy, 0, sizeof(p->has_copy));
                CHECK(p->session.answer_size == 0 && !p->session.transfer);
                check_indication(p, false);
        }
        CHECK(!p->session.logged_in);
        CHECK(p->session.asked == p->asked); /* goes on counting */
}

static void step(struct world *w, struct input *in) {
        const uint8_t what = take(in);
        struct phone *p = &w->phones[what >> 3 & 1];

        switch (what & 7) {
        case 0:
                cycle(w, take(in));
                notify_all(w);
                return;
        case 1:
                read_part(w, p, in);
                return;
        case 2:
                write_any(w, p, in);
                return;
        case 3:
        case 4:
        case 5:
                write_request(w, p, in);
                return;
        case 6:
                give_answer(w, p, in);
                return;
        case 7:
                end_or_log_out(p, take(in));
                return;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct world w;
        struct input in = {.data = data, .size = size};

        world_init(&w);
        for (int i = 0; i < STEPS_MAX && in.size > 0; i++)
                step(&w, &in);
        return 0;
}
