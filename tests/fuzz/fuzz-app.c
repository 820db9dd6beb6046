/* SPDX-License-Identifier: MIT */

/* The line protocol of phone apps, under anything that two phones may write, in any pieces, with any answers.
 *
 *   byte 0   what the line is like: see CHOOSE_
 *   others   below 0x80: text that the current phone writes, up to the next byte that is none; else by the low 3 bits,
 *            with a number from the 4 above them: see enum op
 *
 * Whatever is written, what comes out are lines of the protocol: no empty one, no lower case, each checksum right, and
 * the same ones when the bytes come one by one. Nothing is asked for before it may be, nor by a phone that does not
 * hold the line. What is asked for passes settings_check(), changes one setting, to just what stands in the phone's own
 * text, and both halves of it where there are two, the first not too long ago. All is answered in the end. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

/* The build may define NDEBUG; a fuzzer must not lose its eyes by that. */
#define CHECK(condition)         \
        do {                     \
                if (!(condition)) \
                        abort(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
        CHOOSE_ECHO = 1 << 0,
        CHOOSE_MONITOR = 1 << 1,
        CHOOSE_STALE = 1 << 2,
        CHOOSE_EMPTY = 1 << 3, /* nothing was ever heard, nothing is set */
        CHOOSE_LARGE = 1 << 4, /* 255 cells, and everything as large as it gets */
        CHOOSE_LOGGED_IN = 1 << 5,
        CHOOSE_CLOCK = 1 << 6,
};

enum op {
        OP_PHONE,      /* the other phone goes on */
        OP_WAIT,       /* time passes */
        OP_ANSWER,     /* the current phone's question is answered */
        OP_SEND,       /* so much of the output is sent */
        OP_DISCONNECT, /* the current phone */
        OP_WORD,       /* it writes one of these */
        OP_BYTE,       /* it writes a byte that is no text */
        OP_PIN,        /* the PIN becomes the default one, or another */
};

static const usec_t waits[16] = {
        0, 1, 199999, 200000, 330000, 1000000, 2999999, 3000000, 3000001, 5000000, 9999999, 10000000, 10000001,
        60000000, 3600000000, 100,
};

/* In the order in which they were added, which the corpus depends on. */
static const char *const words[16] = {
        "PW4711!\r", "E!\r", "D!\r", "$", "V@\r", "S1@\r", "S2@\r", "S3@\r", "SRY0@\r", "TS@\r", "L0@\r", "HD@\r",
        "02-050!\r", "BD-051!\r", "01-070!\r4E-071!\r", "0A-042!\r",
};

#define TEXT_MAX 4096

struct phone {
        struct app_session session, twin; /* the twin gets its bytes one by one */
        bool logged_in;                   /* may be, by the answers it got */
        char text[TEXT_MAX];              /* what it wrote while it held the line, but pings and such */
        usec_t at[TEXT_MAX]; /* 0: it had to wait until something was answered */
        size_t n;
};

struct world {
        struct app_line line, twin;
        struct phone phones[2];
        struct snapshot s;
        struct phone_view view;
        struct phone_fault faults[3];
        uint8_t hours[PHONE_SOC_HOURS];
        struct phone *current, *holder; /* the holder by our own reckoning */
        usec_t heard_at;
        bool echo;
        char said[1024]; /* of the line that is being sent */
        size_t n_said;
};

/* ---- what is there to see --------------------------------------------------------------------------------------- */

static void fill_snapshot(struct snapshot *s, uint8_t choice) {
        const bool large = choice & CHOOSE_LARGE;

        memset(s, 0, sizeof(*s));
        settings_init(&s->settings);
        s->role = choice & CHOOSE_MONITOR ? ROLE_MONITOR : ROLE_GATEWAY;
        s->link = choice & CHOOSE_STALE ? LINK_STALE : LINK_LIVE;
        s->data_stale = choice & CHOOSE_STALE;
        if (choice & CHOOSE_EMPTY)
                return;
        s->settings.values[SETTING_CAPACITY] = some(large ? 10000000 : 1920);
        s->settings.values[SETTING_SOLAR_PEAK] = some(large ? 655350 : 2500);
        s->settings.values[SETTING_INVERTER_PEAK] = some(0);
        s->settings.values[SETTING_TMIN_DISCHARGE] = some(-200);
        s->settings.values[SETTING_FULL_TAIL_CURRENT] = some(large ? 1000000 : 900);
        s->frame.count = 4;
        s->frame.status = 0x8B;
        s->critical = large;
        s->n_cells = large ? 255 : 4;
        for (int i = 1; i <= s->n_cells; i++) {
                s->cells[i].voltage_mv = i % 3 ? some(3000 + i) : none();
                s->cells[i].temperature_decic = i % 4 ? some(i - 100) : none();
        }
        s->pack_mv = some(large ? INT32_MAX : 13200);
        s->in_ma = some(large ? INT32_MIN : 1000);
        s->current_ma = some(-600);
        s->lowest_mv = s->highest_mv = some(3333);
        s->lowest_mv_cell = s->highest_mv_cell = some(1);
        s->lowest_decic = some(large ? INT32_MIN : -55);
        s->highest_decic = some(large ? INT32_MAX : 555);
        s->v_bypass_mv = some(3500);
        s->soc_permyriad = some(8765);
        s->stored_mwh = some64(large ? INT64_MAX : 1682880);
        for (int i = 0; i < _ENERGY_MAX; i++) {
                s->today_mwh[i] = some64(large ? INT64_MIN : 1234567);
                s->total_mwh[i] = some64(large ? INT64_MAX : INT64_C(70000) * 1000000);
        }
        for (int i = 0; i < _RELAY_MAX; i++)
                s->relays[i].mapped = s->relays[i].closed = true;
}

static void fill_view(struct world *w, uint8_t choice) {
        w->view = (struct phone_view){.now = USEC_PER_HOUR, .version = "1.22.3", .snapshot = &w->s};
        if (choice & CHOOSE_CLOCK) {
                w->view.wall_sec = some64(choice & CHOOSE_LARGE ? INT64_C(1) << 40 : 1700000000);
                w->view.utc_offset_sec = -12 * 3600;
        }
        if (choice & CHOOSE_EMPTY)
                return;
        w->faults[0] = (struct phone_fault){PHONE_FAULT_V_HIGH, some64(1700000000), some(3), some(3670), none()};
        w->faults[1] = (struct phone_fault){PHONE_FAULT_T_LOW_CHARGING, none64(), some(255), none(), some(-100)};
        w->faults[2] = (struct phone_fault){PHONE_FAULT_COMMUNICATION, some64(-1), none(), none(), none()};
        w->view.faults = w->faults;
        w->view.n_faults = 3;
        for (unsigned i = 0; i < PHONE_SOC_HOURS; i++)
                w->hours[i] = i % 7 ? (uint8_t)(i % 101) : PHONE_SOC_NONE;
        w->view.soc_hours = w->hours;
        w->view.soc_hour = 167;
}

/* ---- what may come out ------------------------------------------------------------------------------------------ */

/* memcmp() is libFuzzer's own here, and takes half of the time. */
static bool same(const char *a, const char *b, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (a[i] != b[i])
                        return false;
        return true;
}

static int digit(char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool sum_is_right(const char *line, size_t n) {
        unsigned sum = 0;

        if (n < 4 || line[n - 3] != '_' || digit(line[n - 2]) < 0 || digit(line[n - 1]) < 0)
                return false;
        for (size_t i = 0; i < n - 3; i++)
                if (line[i] != '_')
                        sum += (unsigned char)line[i];
        return sum % 256 == (unsigned)(digit(line[n - 2]) * 16 + digit(line[n - 1]));
}

/* Of hex digits, X, a sign before them, and one colon: what the public clients can read. */
static bool fields_are_right(const char *line, size_t n, bool colon) {
        for (size_t i = 0; i < n; i++) {
                const bool first = i == 0 || line[i - 1] == '_';

                if (line[i] == '_' ? first || i == n - 1 :
                    line[i] == '+' || line[i] == '-' ? !first :
                    line[i] == ':' ? !colon || first :
                                     digit(line[i]) < 0 && line[i] != 'X')
                        return false;
        }
        return true;
}

static void check_line(const struct world *w, const char *line, size_t n) {
        static const struct { char letter; unsigned fields; } records[] = {
                {'U', 4}, {'V', 5}, {'T', 4}, {'C', 6}, {'E', 4}, {'M', 3}, {'H', 6}, {'B', 4}};
        unsigned fields = 0;

        CHECK(n > 0);
        for (size_t i = 0; i < n; i++) {
                CHECK(line[i] > ' ' && line[i] <= '_');
                fields += line[i] == '_';
        }
        if (n == 2 && (same(line, "OK", 2) || same(line, "KO", 2) || same(line, "NA", 2)))
                return;
        if (n > 2 && same(line, "PW", 2) && w->echo) {
                CHECK(n == 7 && same(line, "PW0000!", 7));
                return;
        }
        for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
                if (n > 2 && line[0] == records[i].letter && line[1] == '_' && fields == records[i].fields &&
                    fields_are_right(line + 2, n - 2, line[0] == 'M'))
                        return;
        /* An echo can be anything that is upper case. */
        CHECK(w->echo || (fields_are_right(line, n, false) && sum_is_right(line, n)));
}

static void send_some(struct world *w, size_t n) {
        const char *bytes, *twins;
        const size_t all = app_output(&w->line, &bytes);

        CHECK(app_output(&w->twin, &twins) == all && same(bytes, twins, all));
        n = n < all ? n : all;
        for (size_t i = 0; i < n; i++) {
                if (bytes[i] == '\r') {
                        check_line(w, w->said, w->n_said);
                        w->n_said = 0;
                } else {
                        CHECK(w->n_said < sizeof(w->said));
                        w->said[w->n_said++] = bytes[i];
                }
        }
        app_sent(&w->line, n, &w->view);
        app_sent(&w->twin, n, &w->view);
}

/* ---- what may be asked for -------------------------------------------------------------------------------------- */

/* wire-formats.md section 2, once more: the setting, its low byte's address, its step; 0: 0.857 degC. */
static const struct {
        enum setting setting;
        unsigned address;
        bool two;
        int step;
} addresses[] = {
        {SETTING_SOLAR_PEAK, 0x011, true, 10},        {SETTING_INVERTER_PEAK, 0x021, true, 10},
        {SETTING_CAPACITY, 0x031, true, 100},         {SETTING_VMIN, 0x041, true, 5},
        {SETTING_VMAX, 0x051, true, 5},               {SETTING_VMIN_HYSTERESIS, 0x042, false, 10},
        {SETTING_VMAX_HYSTERESIS, 0x052, false, 10},  {SETTING_CELL_NOMINAL, 0x047, true, 5},
        {SETTING_TMIN, 0x061, true, 0},               {SETTING_TMIN_DISCHARGE, 0x063, true, 0},
        {SETTING_TMAX, 0x071, true, 0},               {SETTING_CHARGE_RESTART_DELAY, 0x083, true, 5},
        {SETTING_DISCHARGE_RESTART_DELAY, 0x085, true, 5}, {SETTING_FULL_TAIL_CURRENT, 0x092, false, 200},
        {SETTING_MODE, 0x017, false, 1},
};
#define N_ADDRESSES (sizeof(addresses) / sizeof(addresses[0]))

/* The phone wrote this command, and its CR, in what begins at *from; when its CR was there, and where it ends. */
static bool wrote(const struct phone *p, size_t *from, unsigned value, unsigned address, usec_t *ret_at) {
        char command[16];
        const size_t n = (size_t)snprintf(command, sizeof(command), "%02X-%03X!\r", value, address);

        for (size_t i = *from; i + n <= p->n; i++) {
                if (!same(p->text + i, command, n))
                        continue;
                *from = i + n;
                *ret_at = p->at[i + n - 1];
                return true;
        }
        return false;
}

/* The low byte was written within 3 s of the high one. Of those that had to wait, both may have been looked at
 * together, and then the time between them is none. */
static bool wrote_setting(const struct phone *p, size_t row, unsigned raw) {
        usec_t high_at, low_at;
        size_t from = 0;

        if (!addresses[row].two)
                return wrote(p, &from, raw, addresses[row].address, &low_at);
        while (wrote(p, &from, raw / 256, addresses[row].address - 1, &high_at)) {
                size_t rest = from;

                if (wrote(p, &rest, raw % 256, addresses[row].address, &low_at) &&
                    (low_at == 0 || high_at == 0 || low_at - high_at <= 3000000))
                        return true;
        }
        return false;
}

static void check_change(const struct world *w, const struct phone *p, const struct settings *asked) {
        unsigned changed = 0;
        char error[200];
        bool found = false;

        CHECK(p->logged_in && !w->view.default_pin && w->s.role == ROLE_GATEWAY);
        CHECK(settings_check(asked, w->s.v_bypass_mv, error, sizeof(error)) == 0);
        for (int i = 0; i < _SETTING_MAX; i++)
                changed += asked->values[i].known != w->s.settings.values[i].known ||
                           asked->values[i].value != w->s.settings.values[i].value;
        CHECK(changed <= 1);
        if (p->n == TEXT_MAX)
                return; /* there was more than we noted */
        for (size_t row = 0; row < N_ADDRESSES && !found; row++) {
                const struct maybe value = asked->values[addresses[row].setting];
                unsigned raw = (unsigned)value.value;

                if (changed == 1 && value.known == w->s.settings.values[addresses[row].setting].known &&
                    value.value == w->s.settings.values[addresses[row].setting].value)
                        continue;
                if (addresses[row].setting == SETTING_MODE) {
                        raw = value.value == MODE_CRITICAL;
                } else if (addresses[row].step > 0) {
                        if (value.value % addresses[row].step != 0)
                                continue;
                        raw = (unsigned)(value.value / addresses[row].step);
                } else {
                        /* the only raw value within 0.1 degC on the side that is not stricter: decic * 100 = raw * 857
                         * - 232100, and T-max may have lost, T-min gained up to 99 */
                        const int32_t exact = value.value * 100 + 232100;
                        const int32_t from = addresses[row].setting == SETTING_TMAX ? exact : exact - 99;

                        raw = (unsigned)((from + 856) / 857);
                }
                found = wrote_setting(p, row, raw);
        }
        CHECK(found);
}

static void check_ask(struct world *w, struct phone *p) {
        const bool again = p->session.handed_out;
        const struct phone_ask *ask = app_ask(&p->session), *twins = app_ask(&p->twin);

        CHECK(!ask == !twins);
        CHECK(!ask || !again);
        if (!ask)
                return;
        CHECK(ask->kind == twins->kind && settings_equal(&ask->settings, &twins->settings));
        CHECK(strcmp(ask->pin, twins->pin) == 0);
        CHECK(w->holder == p);
        if (ask->kind == PHONE_ASK_LOG_IN) {
                CHECK(pin_well_formed(ask->pin));
                return;
        }
        CHECK(ask->kind == PHONE_ASK_SET_SETTINGS);
        check_change(w, p, &ask->settings);
}

static void check_state(struct world *w) {
        CHECK((w->line.holder == NULL) == (w->holder == NULL));
        CHECK(!w->holder || w->line.holder == &w->holder->session);
        for (int i = 0; i < 2; i++) {
                struct phone *p = &w->phones[i];

                CHECK(p->logged_in || !p->session.logged_in);
                CHECK(p->session.n_waiting <= APP_WAITING_MAX && p->session.n_command <= APP_COMMAND_MAX);
                CHECK(p->session.n_waiting == p->twin.n_waiting && p->session.logged_in == p->twin.logged_in);
                CHECK(p->session.held_for == p->twin.held_for && p->session.streaming == p->twin.streaming);
                check_ask(w, p);
        }
}

/* ---- what happens ----------------------------------------------------------------------------------------------- */

static void write_bytes(struct world *w, const uint8_t *bytes, size_t n) {
        struct phone *p = w->current;
        const bool is_free = !w->holder || w->view.now - w->heard_at >= 10000000;
        const int expected = n > 0 && !is_free && w->holder != p ? -EBUSY : 0;

        if (n == 0)
                return;
        CHECK(app_take(&w->line, &p->session, &w->view, bytes, n) == expected);
        for (size_t i = 0; i < n; i++)
                CHECK(app_take(&w->twin, &p->twin, &w->view, bytes + i, 1) == expected);
        if (expected < 0)
                return;
        w->holder = p;
        w->heard_at = w->view.now;
        for (size_t i = 0; i < n && p->n < TEXT_MAX; i++) {
                if (bytes[i] == '$' || bytes[i] == 0x05 || bytes[i] == '\n')
                        continue;
                p->at[p->n] = p->session.n_waiting > 0 ? 0 : w->view.now;
                p->text[p->n++] = (char)bytes[i];
        }
}

static void connect_phone(struct world *w, struct phone *p) {
        app_disconnected(&w->line, &p->session);
        app_disconnected(&w->twin, &p->twin);
        if (w->holder == p)
                w->holder = NULL;
        p->logged_in = false;
        p->n = 0;
}

static void answer(struct world *w, enum phone_result result) {
        const struct phone_answer given = {.result = result};
        struct phone *p = w->current;
        const enum phone_ask_kind kind = p->session.ask.kind;

        if (kind == PHONE_ASK_NONE)
                return;
        if (kind == PHONE_ASK_LOG_IN && (result == PHONE_DONE || result == PHONE_NOT_STORED))
                p->logged_in = true;
        if (kind == PHONE_ASK_LOG_IN && result == PHONE_WRONG_PIN)
                p->logged_in = false;
        if (kind == PHONE_ASK_SET_SETTINGS && (result == PHONE_DONE || result == PHONE_NOT_STORED))
                w->s.settings = p->session.ask.settings;
        app_answer(&w->line, &p->session, &given, &w->view);
        app_answer(&w->twin, &p->twin, &given, &w->view);
}

static void act(struct world *w, uint8_t byte) {
        const unsigned number = byte >> 3 & 0xF;
        const uint8_t other = (uint8_t)(number < 8 ? number : 0x78 + number);

        switch ((enum op)(byte & 7)) {
        case OP_PHONE:
                w->current = w->current == &w->phones[0] ? &w->phones[1] : &w->phones[0];
                break;
        case OP_WAIT:
                w->view.now += waits[number];
                break;
        case OP_ANSWER:
                answer(w, (enum phone_result)(number % (PHONE_BUSY + 1)));
                break;
        case OP_SEND:
                send_some(w, number < 8 ? number : number < 12 ? 20 : number * 100);
                break;
        case OP_DISCONNECT:
                connect_phone(w, w->current);
                break;
        case OP_WORD:
                write_bytes(w, (const uint8_t *)words[number], strlen(words[number]));
                break;
        case OP_BYTE:
                write_bytes(w, &other, 1);
                break;
        case OP_PIN:
                w->view.default_pin = !w->view.default_pin;
                break;
        }
}

static void begin(struct world *w, uint8_t choice) {
        const struct app_config config = {.echo = choice & CHOOSE_ECHO};

        w->echo = config.echo;
        app_line_init(&w->line, &config);
        app_line_init(&w->twin, &config);
        fill_snapshot(&w->s, choice);
        fill_view(w, choice);
        w->holder = NULL;
        w->current = &w->phones[0];
        w->n_said = 0;
        for (int i = 0; i < 2; i++) {
                struct phone *p = &w->phones[i];

                app_session_init(&p->session);
                app_session_init(&p->twin);
                p->session.logged_in = p->twin.logged_in = p->logged_in = choice & CHOOSE_LOGGED_IN;
                p->n = 0;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct world world;
        struct world *w = &world;

        if (size == 0)
                return 0;
        begin(w, data[0]);
        for (size_t i = 1; i < size;) {
                size_t n = 0;

                while (i + n < size && data[i + n] < 0x80)
                        n++;
                write_bytes(w, data + i, n);
                check_state(w);
                i += n;
                if (i < size) {
                        act(w, data[i++]);
                        check_state(w);
                }
        }
        /* All of it goes out in the end, once every question is answered. */
        for (unsigned rounds = 0; rounds < 4 * APP_WAITING_MAX; rounds++) {
                send_some(w, APP_OUTPUT_MAX);
                check_state(w);
                if (!w->holder || (w->line.n_output == 0 && w->holder->session.ask.kind == PHONE_ASK_NONE))
                        break;
                w->current = w->holder;
                answer(w, PHONE_DONE);
                check_state(w);
        }
        CHECK(!w->holder || w->line.n_output == 0);
        CHECK(!w->holder || (w->holder->session.n_waiting == 0 && w->holder->session.ask.kind == PHONE_ASK_NONE));
        return 0;
}
