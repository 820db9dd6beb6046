/* SPDX-License-Identifier: MIT */

/* The arguments of every changing D-Bus method. Bytes become sealed messages, of the method's signature with any
 * contents or of any other signature, and go through the real command functions to a real pack, up to two one after
 * the other. Only the question who is asking (bus-callers.c) is left out.
 *
 *   byte 0   low half: method, by its row below; high half: the pack that hears it
 *   byte 1   low half 15: arguments of another signature; high half: how the store answers a change
 *   others   the arguments; then the next call
 *
 * Whatever is refused has a sentence and changes nothing at all. Whatever is taken changes what was asked for and no
 * other setting, leaves settings that are good as a whole, closes no relay, and can be lived with: the pack goes on
 * hearing messages. And what is right is not refused. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../unit/compose.h"
#include "bms.h"
#include "bus-internal.h"

/* The build may define NDEBUG; a fuzzer must not lose its eyes by that. */
#define CHECK(condition)         \
        do {                     \
                if (!(condition)) \
                        abort(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW USEC_PER_HOUR
#define CALLS_MAX 2
#define TEXT_MAX 56

/* ---- the input, taken piece by piece; zeros when it is used up ------------------------------------------------- */

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

static int64_t take_number(struct input *in) {
        uint64_t value = 0;
        unsigned length = take(in) % 9;

        for (unsigned i = 0; i < length; i++)
                value = value << 8 | take(in);
        /* sign extended, so that small negative numbers are as likely as small positive ones */
        if (length > 0 && length < 8 && value >> (8 * length - 1) & 1)
                value |= ~UINT64_C(0) << (8 * length);
        return (int64_t)value;
}

/* D-Bus strings are UTF-8 without NUL: ASCII, and what Latin-1 calls by the bytes above. */
static void take_text(struct input *in, char ret_text[TEXT_MAX]) {
        size_t length = take(in) % (TEXT_MAX - 2), n = 0;

        while (n < length && in->size > 0) {
                uint8_t c = take(in);

                if (c >= 0x80) {
                        ret_text[n++] = (char)(0xc0 | c >> 6);
                        ret_text[n++] = (char)(0x80 | (c & 0x3f));
                } else
                        ret_text[n++] = c == 0 ? '0' : (char)c;
        }
        ret_text[n] = '\0';
}

/* ---- the pack and what is asked of it -------------------------------------------------------------------------- */

static struct bms bms, before; /* before: as the call found it */
static struct snapshot snapshot;
static struct bus bus;

/* What a call asks for, noted while its message is written. */
struct asked {
        bool sound;               /* of the method's signature, and every argument by itself is good */
        struct settings settings; /* in force afterwards, if it is taken */
        bool named[_SETTING_MAX];
        unsigned n_named;
        int64_t number;
        int relay;
};

static bool pin_taken;
static uint8_t store; /* how it answers: by the rows of answers[] */
static struct bus_reply *waiting; /* for the store */

/* ---- arguments by method --------------------------------------------------------------------------------------- */

static void take_key(struct input *in, char ret_text[TEXT_MAX], struct asked *asked, enum setting *ret) {
        uint8_t which = take(in);
        int setting = which % _SETTING_MAX;

        if (which < 0xe0)
                strcpy(ret_text, setting_info((enum setting)setting)->key);
        else {
                take_text(in, ret_text);
                setting = setting_find(ret_text);
        }
        if (setting < 0 || asked->named[setting])
                asked->sound = false;
        *ret = setting < 0 ? _SETTING_MAX : (enum setting)setting;
        if (setting >= 0)
                asked->named[setting] = true;
        asked->n_named++;
}

/* A value as an owner might write it: a number near what the setting takes, with a unit; or a word; or anything. */
static void take_value_text(struct input *in, enum setting setting, char ret_text[TEXT_MAX]) {
        static const char *const units[] = {"", "mV", "V", " V", "Wh", "kWh", "W", "degC", "%", "s", "min", "mA", "A"};
        static const char *const words[] = {"unset", "off", "board", "normal", "critical", "separate",
                                            "series", "auto", "1", "2"};
        uint8_t how = take(in);

        if (how < 0x50)
                snprintf(ret_text, TEXT_MAX, "%d.%u%s", (int)(int16_t)take_number(in), take(in),
                         units[how % (sizeof(units) / sizeof(units[0]))]);
        else if (how < 0x80)
                snprintf(ret_text, TEXT_MAX, "%lld%s", (long long)take_number(in),
                         units[how % (sizeof(units) / sizeof(units[0]))]);
        else if (how < 0xa0)
                snprintf(ret_text, TEXT_MAX, "%s", words[how % (sizeof(words) / sizeof(words[0]))]);
        else if (how < 0xc0 && setting < _SETTING_MAX && setting_info(setting)->unit != UNIT_WORD)
                setting_format(setting, some((int32_t)take_number(in)), ret_text, TEXT_MAX);
        else
                take_text(in, ret_text);
}

/* A number within the setting's range, or one to both sides of it. */
static int64_t take_near(struct input *in, enum setting setting) {
        int64_t from, to;

        if (setting >= _SETTING_MAX)
                return take_number(in);
        from = (int64_t)setting_info(setting)->min - 1;
        to = (int64_t)setting_info(setting)->max + 1;
        return from + (int64_t)((uint64_t)take_number(in) % (uint64_t)(to - from + 1));
}

static int append_number(sd_bus_message *m, struct asked *asked, enum setting setting, int64_t value) {
        const struct setting_info *info = setting < _SETTING_MAX ? setting_info(setting) : NULL;

        if (!info || info->unit == UNIT_WORD || value < info->min || value > info->max)
                asked->sound = false;
        else
                asked->settings.values[setting] = some((int32_t)value);
        return sd_bus_message_append(m, "v", "x", value);
}

static int append_text(struct input *in, sd_bus_message *m, struct asked *asked, enum setting setting) {
        char text[TEXT_MAX], ignored[BUS_SENTENCE_MAX];

        take_value_text(in, setting, text);
        if (setting >= _SETTING_MAX ||
            setting_parse(setting, text, &asked->settings.values[setting], ignored, sizeof(ignored)) < 0)
                asked->sound = false;
        return sd_bus_message_append(m, "v", "s", text);
}

static int append_other(struct input *in, sd_bus_message *m, uint8_t which) {
        switch (which % 7) {
        case 0:
                return sd_bus_message_append(m, "v", "b", (int)(take(in) & 1));
        case 1:
                return sd_bus_message_append(m, "v", "u", (uint32_t)take_number(in));
        case 2:
                return sd_bus_message_append(m, "v", "d", (double)take_number(in));
        case 3:
                return sd_bus_message_append(m, "v", "as", 1, "x");
        case 4:
                return sd_bus_message_append(m, "v", "(xs)", take_number(in), "x");
        case 5:
                return sd_bus_message_append(m, "v", "v", "x", take_number(in));
        default:
                return sd_bus_message_append(m, "v", "as", 0);
        }
}

static int append_variant(struct input *in, sd_bus_message *m, struct asked *asked, enum setting setting) {
        uint8_t which = take(in);

        if (which < 0x10) {
                asked->sound = false;
                return append_other(in, m, which);
        }
        if (which < 0x50)
                return append_number(m, asked, setting, take_number(in));
        if (which < 0x90)
                return append_number(m, asked, setting, take_near(in, setting));
        return append_text(in, m, asked, setting);
}

static int append_changes(struct input *in, sd_bus_message *m, struct asked *asked) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (unsigned n = take(in) % 8; n > 0 && r >= 0; n--) {
                enum setting setting;
                char key[TEXT_MAX];

                take_key(in, key, asked, &setting);
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", key);
                if (r >= 0)
                        r = append_variant(in, m, asked, setting);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_keys(struct input *in, sd_bus_message *m, struct asked *asked) {
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (unsigned n = take(in) % 32; n > 0 && r >= 0; n--) {
                enum setting setting;
                char key[TEXT_MAX];

                take_key(in, key, asked, &setting);
                if (setting < _SETTING_MAX)
                        asked->settings.values[setting] = bus.defaults.values[setting];
                r = sd_bus_message_append(m, "s", key);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_int64(struct input *in, sd_bus_message *m, struct asked *asked) {
        asked->number = take_number(in);
        return sd_bus_message_append(m, "x", asked->number);
}

static int append_relay(struct input *in, sd_bus_message *m, struct asked *asked) {
        uint8_t which = take(in);
        char text[TEXT_MAX];

        if (which < 0xc0)
                snprintf(text, sizeof(text), "%s", which & 1 ? "charge" : "load");
        else
                take_text(in, text);
        asked->relay = strcmp(text, "charge") == 0 ? RELAY_CHARGE : strcmp(text, "load") == 0 ? RELAY_LOAD : -1;
        asked->sound = asked->relay >= 0;
        return sd_bus_message_append(m, "s", text);
}

/* Digits, now and then others. */
static int append_pin(struct input *in, sd_bus_message *m, struct asked *asked) {
        uint8_t length = take(in);
        char text[TEXT_MAX] = "";

        if (length >= 0xc0)
                take_text(in, text);
        else
                for (unsigned i = 0; i < length % 12U; i++)
                        text[i] = (char)('0' + take(in) % 10);
        asked->sound = strlen(text) >= 4 && strlen(text) <= 8 && strspn(text, "0123456789") == strlen(text);
        return sd_bus_message_append(m, "s", text);
}

static int append_nothing(struct input *in, sd_bus_message *m, struct asked *asked) {
        (void)in, (void)m, (void)asked;
        return 0;
}

/* Of whatever signature: sd-bus compares it with the table of bus-objects.c before we are asked; should that ever be
 * forgotten for a method, the command must refuse, not take half. */
static int append_anything(struct input *in, sd_bus_message *m, struct asked *asked) {
        int r = 0;

        for (unsigned n = take(in) % 4; n > 0 && r >= 0; n--) {
                char text[TEXT_MAX];

                switch (take(in) % 8) {
                case 0:
                        r = sd_bus_message_append(m, "x", take_number(in));
                        break;
                case 1:
                        take_text(in, text);
                        r = sd_bus_message_append(m, "s", text);
                        break;
                case 2:
                        r = append_changes(in, m, asked);
                        break;
                case 3:
                        r = append_keys(in, m, asked);
                        break;
                case 4:
                        r = sd_bus_message_append(m, "a{sx}", 1, "vmax", take_number(in));
                        break;
                case 5:
                        r = sd_bus_message_append(m, "a{ss}", 2, "vmax", "3.6V", "vmin", "2.9V");
                        break;
                case 6:
                        r = append_other(in, m, take(in));
                        break;
                default:
                        r = sd_bus_message_append(m, "ay", 2, 1, 2);
                        break;
                }
        }
        asked->sound = false;
        return r;
}

/* ---- what must hold behind a call that was taken, and which calls must be taken --------------------------------- */

static void check_settings(const struct asked *asked, int r) {
        char ignored[BUS_SENTENCE_MAX];

        if (r >= 0) {
                CHECK(asked->sound && asked->n_named > 0);
                CHECK(settings_equal(&bms.settings, &asked->settings));
        } else if (asked->sound && asked->n_named > 0 && bms.config.role == ROLE_GATEWAY)
                CHECK(settings_check(&asked->settings, pack_v_bypass_mv(&bms.pack), ignored, sizeof(ignored)) < 0);
}

static void check_soc(const struct asked *asked, int r) {
        struct maybe soc = soc_permyriad(&bms.soc);
        bool right = asked->number >= 0 && asked->number <= 10000;

        if (r >= 0) /* the charge is kept in whole mA seconds; a step is 1/10000 of a capacity of >= 10 Wh */
                CHECK(right && soc.known && soc.value >= asked->number - 1 && soc.value <= asked->number);
        else if (right && bms.config.role == ROLE_GATEWAY)
                CHECK(!bms.settings.values[SETTING_CAPACITY].known || bms.link.known_cells == 0);
}

static void check_accept(const struct asked *asked, int r) {
        (void)asked;
        if (r >= 0)
                CHECK(before.link.heard_count >= CELLS_MIN && before.link.heard_count != before.link.known_cells &&
                      bms.link.known_cells == before.link.heard_count);
}

static bool held(const struct relay *relay) {
        return relay->locked || relay->cycling || relay->vmin_trips >= RELAY_VMIN_TRIPS;
}

static void check_release(const struct asked *asked, int r) {
        CHECK(r < 0 || asked->sound);
        if (!asked->sound)
                return;

        const struct relay *was = &before.relays.relay[asked->relay], *is = &bms.relays.relay[asked->relay];
        if (r >= 0)
                CHECK(held(was) && !held(is));
        else
                CHECK(!held(was) || bms.config.role == ROLE_MONITOR);
}

static void check_recover(const struct asked *asked, int r) {
        if (r >= 0)
                CHECK(asked->number >= 1 && asked->number <= 30 && bms.link.state == LINK_LIVE &&
                      settings_get(&bms.settings, SETTING_WIRING) == WIRING_SERIES);
}

static void check_pin(const struct asked *asked, int r) {
        CHECK(asked->sound == (r >= 0) && pin_taken == (r >= 0));
}

static void check_confirm(const struct asked *asked, int r) {
        (void)asked;
        CHECK((r >= 0) == (before.settings_unconfirmed && bms.config.role == ROLE_GATEWAY));
        CHECK(r < 0 || !bms.settings_unconfirmed);
}

static void check_clear(const struct asked *asked, int r) {
        (void)asked;
        CHECK((r >= 0) == (before.energy.restored && bms.config.role == ROLE_GATEWAY));
        for (enum energy_counter i = 0; r >= 0 && i < _ENERGY_MAX; i++)
                CHECK(energy_total_mwh(&bms.energy, i).known && energy_total_mwh(&bms.energy, i).value == 0);
}

/* A row for each changing method of conf/org.smartbms1.xml, but for those of Pairing, which take no more than a number
 * and an address. New ones at the end: the corpus knows them by number. */
static const struct {
        const char *interface, *member;
        int (*append)(struct input *in, sd_bus_message *m, struct asked *asked); /* notes what is asked */
        sd_bus_message_handler_t handler;
        void (*check)(const struct asked *asked, int r); /* not called for messages of another signature */
        bool changes_settings;
} methods[] = {
        {BUS_INTERFACE_SETTINGS, "Set", append_changes, bus_method_set, check_settings, true},
        {BUS_INTERFACE_SETTINGS, "Reset", append_keys, bus_method_reset, check_settings, true},
        {BUS_INTERFACE_PACK, "SetSOC", append_int64, bus_method_set_soc, check_soc, false},
        {BUS_INTERFACE_CELLS, "Accept", append_nothing, bus_method_accept, check_accept, false},
        {BUS_INTERFACE_RELAYS, "Release", append_relay, bus_method_release, check_release, false},
        {BUS_INTERFACE_RELAYS, "Recover", append_int64, bus_method_recover, check_recover, false},
        {BUS_INTERFACE_SETTINGS, "SetPin", append_pin, bus_method_set_pin, check_pin, false},
        {BUS_INTERFACE_SETTINGS, "Confirm", append_nothing, bus_method_confirm, check_confirm, false},
        {BUS_INTERFACE_ENERGY, "Clear", append_nothing, bus_method_clear, check_clear, false},
};
#define N_METHODS (sizeof(methods) / sizeof(methods[0]))

/* ---- the daemon's side: as manager.c's commands, less log and outputs -------------------------------------------- */

static usec_t now;

/* In place of bus-callers.c: whoever asks has the right. */
int bus_callers_check(struct bus *b, sd_bus_message *m, bus_command_t command, sd_bus_error *ret_error) {
        struct bus_reply *reply = bus_reply_take(b->replies, BUS_REPLIES_MAX, m);
        int r;

        CHECK(reply);
        r = command(b, m, "fuzz", reply, ret_error);
        if (r < 0)
                sd_bus_message_unref(bus_reply_release(reply));
        return r;
}

const struct snapshot *bus_newest(const struct bus *b) {
        (void)b;
        return &snapshot;
}

enum { ANSWER_LATER = 1 << 0, ANSWER_GONE = 1 << 1 };

static const struct {
        int result;
        const char *sentence;
        unsigned how;
} answers[] = {
        {0, NULL, 0},
        {0, NULL, ANSWER_LATER},
        {-EIO, "the card is full of h\xf6les", 0},
        {-ETIMEDOUT, NULL, ANSWER_LATER},
        {0, NULL, ANSWER_LATER | ANSWER_GONE},
        {-ENOSPC, "", ANSWER_GONE},
};

static void answer(struct bus_reply *reply) {
        if (answers[store].how & ANSWER_GONE)
                bus_replies_drop(&bus);
        bus_reply_done(reply, answers[store].result, answers[store].sentence);
}

/* The end of every command: taken, and answered now or later; or refused. */
static int finish(int r, struct bus_reply *reply) {
        CHECK(!waiting);
        if (r >= 0 && (answers[store].how & ANSWER_LATER))
                waiting = reply;
        else if (r >= 0)
                answer(reply);
        return r;
}

static int on_set(void *userdata, const struct settings *s, const char *by, struct bus_reply *reply, char *ret_error,
                  size_t size) {
        (void)by;
        return finish(bms_apply_settings(userdata, now, s, ret_error, size), reply);
}

static int on_release(void *userdata, enum relay_id relay, const char *by, struct bus_reply *reply, char *ret_error,
                      size_t size) {
        (void)by;
        CHECK(relay < _RELAY_MAX);
        return finish(bms_release(userdata, now, relay, ret_error, size), reply);
}

static int on_recover(void *userdata, int64_t minutes, const char *by, struct bus_reply *reply, char *ret_error,
                      size_t size) {
        (void)by;
        return finish(bms_recover(userdata, now, minutes, ret_error, size), reply);
}

static int on_soc_set(void *userdata, int64_t permyriad, const char *by, struct bus_reply *reply, char *ret_error,
                      size_t size) {
        (void)by;
        return finish(bms_soc_set(userdata, now, permyriad, ret_error, size), reply);
}

static int on_accept(void *userdata, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        (void)by;
        return finish(bms_accept_cells(userdata, now, ret_error, size), reply);
}

static int on_confirm(void *userdata, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        (void)by;
        return finish(bms_confirm_settings(userdata, now, ret_error, size), reply);
}

static int on_clear(void *userdata, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        (void)by;
        return finish(bms_clear_energy(userdata, now, ret_error, size), reply);
}

/* The pack knows of no PIN. */
static int on_set_pin(void *userdata, const char *pin, const char *by, struct bus_reply *reply, char *ret_error,
                      size_t size) {
        (void)userdata, (void)pin, (void)by, (void)ret_error, (void)size;
        pin_taken = true;
        return finish(0, reply);
}

/* ---- packs that hear it ----------------------------------------------------------------------------------------- */

static void hear(struct bms *b, usec_t at, int n_cells) {
        static const struct compose_cell cells[] = {{660, 296}, {661, 296}, {660, 296}, {662, 296}, {660, 297}};
        uint8_t bytes[COMPOSE_SIZE];

        compose_frame(bytes, cells, n_cells, (int)(at / USEC_PER_SEC % (unsigned)n_cells) + 1, 80, 16);
        CHECK(bms_bytes(b, at, bytes, sizeof(bytes)) == 1);
}

static void hear_minute(struct bms *b, int n_cells) {
        for (unsigned i = 60; i > 0; i--)
                hear(b, NOW - i * USEC_PER_SEC, n_cells);
}

static void make_live(struct bms *b) {
        hear_minute(b, 4);
        CHECK(b->link.state == LINK_LIVE && pack_v_bypass_mv(&b->pack).known);
        CHECK(bms_relay_closed(b, RELAY_CHARGE) && bms_relay_closed(b, RELAY_LOAD));
}

/* One cell more than known: E, until it is accepted. */
static void make_another_count(struct bms *b) {
        hear_minute(b, 5);
        CHECK(b->link.state == LINK_ERROR && b->link.heard_count == 5);
}

static void make_held(struct bms *b) {
        make_live(b);
        b->relays.relay[RELAY_LOAD].closed = false;
        b->relays.relay[RELAY_LOAD].vmin_trips = RELAY_VMIN_TRIPS;
        b->relays.relay[RELAY_CHARGE].closed = false;
        b->relays.relay[RELAY_CHARGE].cycling = b->relays.relay[RELAY_CHARGE].locked = true;
        b->relays.relay[RELAY_CHARGE].locked_at = NOW - USEC_PER_MINUTE;
}

static void make_unconfirmed(struct bms *b) {
        static const struct energy_sum zero[_ENERGY_MAX];

        make_live(b);
        energy_restore(&b->energy, zero);
        bms_settings_fault(b, NOW - USEC_PER_SEC, "the settings file is damaged", true);
}

static void make_silent(struct bms *b) {
        (void)b;
}

static void make_monitor(struct bms *b) {
        hear_minute(b, 4);
        CHECK(b->link.state == LINK_LIVE);
}

/* By the high half of byte 0; new ones at the end. */
static const struct {
        enum role role;
        int32_t capacity_wh; /* 0 = unset */
        int32_t vmax_mv, wiring;
        int n_heard;
        void (*make)(struct bms *b);
} packs[] = {
        {ROLE_GATEWAY, 5120, 3650, WIRING_SERIES, 4, make_live},
        {ROLE_GATEWAY, 0, 3650, WIRING_SEPARATE, 0, make_silent},
        {ROLE_MONITOR, 5120, 3650, WIRING_SERIES, 4, make_monitor},
        {ROLE_GATEWAY, 5120, 3650, WIRING_SERIES, 5, make_another_count},
        {ROLE_GATEWAY, 5120, 3650, WIRING_SEPARATE, 4, make_held},
        {ROLE_GATEWAY, 5120, 3650, WIRING_SEPARATE, 4, make_unconfirmed},
        {ROLE_GATEWAY, 10000000, 3450, WIRING_SERIES, 4, make_live}, /* V-max below V-bypass (P10) */
};
#define N_PACKS (sizeof(packs) / sizeof(packs[0]))

static struct bms ready[N_PACKS];

static void begin(void) {
        int fds[2];

        for (size_t i = 0; i < N_PACKS; i++) {
                struct bms_config config = {
                        .role = packs[i].role, .cells = 4, .blind_spot_ma = 1000, .current_check = true,
                        .mapped = {true, true},
                };

                settings_init(&config.settings);
                if (packs[i].capacity_wh > 0)
                        config.settings.values[SETTING_CAPACITY] = some(packs[i].capacity_wh);
                config.settings.values[SETTING_VMAX] = some(packs[i].vmax_mv);
                config.settings.values[SETTING_WIRING] = some(packs[i].wiring);
                bms_init(&ready[i], NOW - USEC_PER_MINUTE, &config);
                packs[i].make(&ready[i]);
        }

        bus.callbacks = (struct bus_callbacks){
                .set = on_set, .release = on_release, .recover = on_recover, .soc_set = on_soc_set,
                .accept_cells = on_accept, .confirm_settings = on_confirm, .clear_energy = on_clear,
                .set_pin = on_set_pin,
                .userdata = &bms,
        };
        settings_init(&bus.defaults);
        bus.defaults.values[SETTING_CAPACITY] = some(3840);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        CHECK(sd_bus_new(&bus.connection) >= 0);
        CHECK(sd_bus_set_fd(bus.connection, fds[0], fds[0]) >= 0);
        CHECK(sd_bus_start(bus.connection) >= 0);
}

/* ---- a call ----------------------------------------------------------------------------------------------------- */

/* As bus-callers.c answers. */
static void check_sentence(sd_bus_error *error, int r, bool fits) {
        char clean[2 * BUS_SENTENCE_MAX];

        if (!sd_bus_error_is_set(error)) {
                CHECK(!fits); /* all that can be wrong within the signature has a sentence of ours */
                sd_bus_error_set_errno(error, r);
        }
        CHECK(error->name && error->message && error->message[0]);
        bus_clean_text(clean, sizeof(clean), error->message);
        CHECK(strcmp(clean, error->message) == 0); /* UTF-8: a bus throws out who sends other text */
}

static void check_after(const struct asked *asked, size_t which, bool fits, int r) {
        char ignored[BUS_SENTENCE_MAX];

        if (r < 0)
                CHECK(memcmp(&bms, &before, sizeof(bms)) == 0);
        else /* in role monitor the board decides */
                CHECK(bms.config.role == ROLE_GATEWAY || methods[which].handler == bus_method_set_pin);
        if (r < 0 || !methods[which].changes_settings)
                CHECK(settings_equal(&bms.settings, &before.settings));
        CHECK(settings_check(&bms.settings, none(), ignored, sizeof(ignored)) == 0);
        for (enum relay_id i = 0; i < _RELAY_MAX; i++) /* P13 */
                CHECK(!bms_relay_closed(&bms, i) || bms_relay_closed(&before, i));
        if (fits)
                methods[which].check(asked, r);
}

static void call(struct input *in, size_t which) {
        struct asked asked = {.sound = true, .settings = bms.settings, .relay = -1};
        sd_bus_error error = SD_BUS_ERROR_NULL;
        uint8_t how = take(in);
        bool fits = (how & 0x0f) != 15;
        sd_bus_message *m = NULL;
        int r;

        memcpy(&before, &bms, sizeof(before));
        snapshot.settings = bms.settings;
        store = (how >> 4) % (sizeof(answers) / sizeof(answers[0]));
        pin_taken = false;
        CHECK(sd_bus_message_new_method_call(bus.connection, &m, BUS_NAME, BUS_PATH, methods[which].interface,
                                             methods[which].member) >= 0);
        CHECK((fits ? methods[which].append : append_anything)(in, m, &asked) >= 0);
        CHECK(sd_bus_message_set_expect_reply(m, 0) >= 0); /* nobody is there to read one */
        CHECK(sd_bus_message_seal(m, 1, 0) >= 0);
        r = methods[which].handler(m, &bus, &error);
        if (r < 0)
                check_sentence(&error, r, fits);
        else
                CHECK(!sd_bus_error_is_set(&error));
        check_after(&asked, which, fits, r);
        if (waiting)
                answer(waiting);
        waiting = NULL;
        CHECK(!bus.replies[0].in_use); /* each is answered, once */
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static bool begun;
        struct input in = {data, size};
        size_t pack;

        if (!begun)
                begin();
        begun = true;
        if (size == 0)
                return 0;

        pack = data[0] >> 4;
        if (pack >= N_PACKS)
                return 0;
        memcpy(&bms, &ready[pack], sizeof(bms));
        now = NOW;
        for (unsigned n = 0; n < CALLS_MAX && in.size > 0; n++) {
                size_t which = take(&in) & 0x0f;

                if (which >= N_METHODS)
                        return 0;
                call(&in, which);
                /* with whatever is in force now, life goes on */
                if (packs[pack].n_heard > 0)
                        hear(&bms, now, packs[pack].n_heard);
                else
                        bms_tick(&bms, now);
                now += USEC_PER_SEC;
        }
        return 0;
}
