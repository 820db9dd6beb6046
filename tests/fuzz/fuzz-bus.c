/* SPDX-License-Identifier: MIT */

/* The arguments of every changing D-Bus method. Bytes become well-formed messages of the method's signature (sd-bus
 * refuses others before we see them) with any contents, which go through the real command functions to a real pack that
 * hears its cells. Only the question who is asking is left out. Whatever is refused has a sentence and changes nothing;
 * whatever is taken leaves settings that are good as a whole. */

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

#define TEXT_MAX 48

/* D-Bus strings are UTF-8 without NUL: ASCII, and now and then a degree sign. */
static void take_text(struct input *in, char ret_text[TEXT_MAX]) {
        size_t length = take(in) % (TEXT_MAX - 2), n = 0;

        while (n < length && in->size > 0) {
                uint8_t c = take(in);

                if (c >= 0x80) {
                        ret_text[n++] = (char)0xc2;
                        ret_text[n++] = (char)0xb0;
                } else
                        ret_text[n++] = c == 0 ? '0' : (char)c;
        }
        ret_text[n] = '\0';
}

static void take_key(struct input *in, char ret_text[TEXT_MAX]) {
        uint8_t which = take(in);

        if (which < 0xe0)
                snprintf(ret_text, TEXT_MAX, "%s", setting_info((enum setting)(which % _SETTING_MAX))->key);
        else
                take_text(in, ret_text);
}

/* ---- arguments by method --------------------------------------------------------------------------------------- */

/* A value as an owner might write it: a number near what the setting takes, with a unit; or a word; or anything. */
static void take_value_text(struct input *in, char ret_text[TEXT_MAX]) {
        static const char *const units[] = {"", "mV", "V", " V", "Wh", "kWh", "W", "degC", "%", "s", "min", "mA", "A"};
        static const char *const words[] = {"unset", "off", "board", "normal", "critical", "separate",
                                            "series", "auto", "1", "2"};
        uint8_t how = take(in);

        if (how < 0x60)
                snprintf(ret_text, TEXT_MAX, "%lld.%u%s", (long long)(int16_t)take_number(in), take(in),
                         units[how % (sizeof(units) / sizeof(units[0]))]);
        else if (how < 0x90)
                snprintf(ret_text, TEXT_MAX, "%lld%s", (long long)take_number(in),
                         units[how % (sizeof(units) / sizeof(units[0]))]);
        else if (how < 0xb0)
                snprintf(ret_text, TEXT_MAX, "%s", words[how % (sizeof(words) / sizeof(words[0]))]);
        else
                take_text(in, ret_text);
}

static int append_variant(struct input *in, sd_bus_message *m) {
        char text[TEXT_MAX];

        switch (take(in) % 16) {
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
        case 6:
        case 7:
        case 8:
        case 9:
                return sd_bus_message_append(m, "v", "x", take_number(in));
        default:
                take_value_text(in, text);
                return sd_bus_message_append(m, "v", "s", text);
        }
}

static int append_changes(struct input *in, sd_bus_message *m) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (unsigned n = take(in) % 8; n > 0 && r >= 0; n--) {
                char key[TEXT_MAX];

                take_key(in, key);
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", key);
                if (r >= 0)
                        r = append_variant(in, m);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_keys(struct input *in, sd_bus_message *m) {
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (unsigned n = take(in) % 8; n > 0 && r >= 0; n--) {
                char key[TEXT_MAX];

                take_key(in, key);
                r = sd_bus_message_append(m, "s", key);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_number(struct input *in, sd_bus_message *m) {
        return sd_bus_message_append(m, "x", take_number(in));
}

static int append_relay(struct input *in, sd_bus_message *m) {
        uint8_t which = take(in);
        char text[TEXT_MAX];

        if (which < 0xc0)
                return sd_bus_message_append(m, "s", which & 1 ? "charge" : "load");
        take_text(in, text);
        return sd_bus_message_append(m, "s", text);
}

/* Digits, now and then others. */
static int append_pin(struct input *in, sd_bus_message *m) {
        char text[TEXT_MAX] = "";
        uint8_t length = take(in);

        if (length >= 0xc0)
                take_text(in, text);
        else
                for (unsigned i = 0; i < length % 12U; i++)
                        text[i] = (char)('0' + take(in) % 10);
        return sd_bus_message_append(m, "s", text);
}

static int append_nothing(struct input *in, sd_bus_message *m) {
        (void)in, (void)m;
        return 0;
}

/* A row for each changing method of conf/org.smartbms1.xml. */
static const struct {
        const char *interface, *member;
        int (*append)(struct input *in, sd_bus_message *m);
        sd_bus_message_handler_t handler;
} methods[] = {
        {BUS_INTERFACE_SETTINGS, "Set", append_changes, bus_method_set},
        {BUS_INTERFACE_SETTINGS, "Reset", append_keys, bus_method_reset},
        {BUS_INTERFACE_PACK, "SetSOC", append_number, bus_method_set_soc},
        {BUS_INTERFACE_CELLS, "Accept", append_nothing, bus_method_accept},
        {BUS_INTERFACE_RELAYS, "Release", append_relay, bus_method_release},
        {BUS_INTERFACE_RELAYS, "Recover", append_number, bus_method_recover},
        {BUS_INTERFACE_SETTINGS, "SetPin", append_pin, bus_method_set_pin},
        {BUS_INTERFACE_SETTINGS, "Confirm", append_nothing, bus_method_confirm},
        {BUS_INTERFACE_ENERGY, "Clear", append_nothing, bus_method_clear},
};
#define N_METHODS (sizeof(methods) / sizeof(methods[0]))

/* ---- the daemon's side ----------------------------------------------------------------------------------------- */

static struct bms fresh, bms;
static struct snapshot snapshot;
static struct bus bus;
static bool taken; /* a command reached the pack, and it agreed */

/* In place of bus-callers.c: whoever asks has the right. */
int bus_callers_check(struct bus *b, sd_bus_message *m, bus_command_t command, sd_bus_error *ret_error) {
        struct bus_reply *reply = bus_reply_take(b->replies, BUS_REPLIES_MAX, m);
        int r;

        CHECK(reply);
        r = command(b, m, "fuzz", reply, ret_error);
        if (r < 0)
                sd_bus_message_unref(bus_reply_release(reply));
        CHECK(!b->replies[0].in_use); /* each is answered, once */
        return r;
}

const struct snapshot *bus_newest(const struct bus *b) {
        (void)b;
        return &snapshot;
}

/* The end of every command: taken, and answered; or refused. */
static int finish(int r, struct bus_reply *reply) {
        if (r >= 0)
                bus_reply_done(reply, 0, NULL);
        return r;
}

static int on_set(void *userdata, const struct settings *s, const char *by, struct bus_reply *reply, char *ret_error,
                  size_t size) {
        int r = bms_apply_settings(&bms, NOW, s, ret_error, size);

        (void)userdata, (void)by;
        taken = r >= 0;
        return finish(r, reply);
}

static int on_release(void *userdata, enum relay_id relay, const char *by, struct bus_reply *reply, char *ret_error,
                      size_t size) {
        (void)userdata, (void)by;
        CHECK(relay < _RELAY_MAX);
        return finish(bms_release(&bms, NOW, relay, ret_error, size), reply);
}

static int on_recover(void *userdata, int64_t minutes, const char *by, struct bus_reply *reply, char *ret_error,
                      size_t size) {
        int r = bms_recover(&bms, NOW, minutes, ret_error, size);

        (void)userdata, (void)by;
        CHECK(r < 0 || (minutes >= 1 && minutes <= 30));
        return finish(r, reply);
}

static int on_soc_set(void *userdata, int64_t permyriad, const char *by, struct bus_reply *reply, char *ret_error,
                      size_t size) {
        int r = bms_soc_set(&bms, NOW, permyriad, ret_error, size);

        (void)userdata, (void)by;
        CHECK(r < 0 || (permyriad >= 0 && permyriad <= 10000));
        return finish(r, reply);
}

static int on_accept(void *userdata, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        (void)userdata, (void)by;
        return finish(bms_accept_cells(&bms, NOW, ret_error, size), reply);
}

static int on_confirm(void *userdata, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        (void)userdata, (void)by;
        return finish(bms_confirm_settings(&bms, NOW, ret_error, size), reply);
}

static int on_clear(void *userdata, const char *by, struct bus_reply *reply, char *ret_error, size_t size) {
        (void)userdata, (void)by;
        return finish(bms_clear_energy(&bms, NOW, ret_error, size), reply);
}

static int on_set_pin(void *userdata, const char *pin, const char *by, struct bus_reply *reply, char *ret_error,
                      size_t size) {
        size_t length = strlen(pin);

        (void)userdata, (void)by, (void)ret_error, (void)size;
        CHECK(length >= 4 && length <= 8);
        for (size_t i = 0; i < length; i++)
                CHECK(pin[i] >= '0' && pin[i] <= '9');
        return finish(0, reply);
}

/* A pack of four cells with a capacity that has just been heard, contacts in series. */
static void begin(void) {
        const struct compose_cell cells[4] = {{660, 296}, {661, 296}, {660, 296}, {662, 296}};
        struct bms_config config = {.cells = 4, .blind_spot_ma = 1000, .current_check = true, .mapped = {true, true}};
        int fds[2];

        settings_init(&config.settings);
        config.settings.values[SETTING_CAPACITY] = some(5120);
        config.settings.values[SETTING_WIRING] = some(WIRING_SERIES);
        bms_init(&fresh, NOW - USEC_PER_MINUTE, &config);
        for (unsigned i = 60; i > 0; i--) {
                uint8_t bytes[COMPOSE_SIZE];

                compose_frame(bytes, cells, 4, (int)(i % 4 + 1), 80, 16);
                CHECK(bms_bytes(&fresh, NOW - i * USEC_PER_SEC, bytes, sizeof(bytes)) == 1);
        }
        CHECK(fresh.link.state == LINK_LIVE);

        bus.callbacks = (struct bus_callbacks){
                .set = on_set, .release = on_release, .recover = on_recover, .soc_set = on_soc_set,
                .accept_cells = on_accept, .confirm_settings = on_confirm, .clear_energy = on_clear,
                .set_pin = on_set_pin,
        };
        bus.defaults = config.settings;
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        CHECK(sd_bus_new(&bus.connection) >= 0);
        CHECK(sd_bus_set_fd(bus.connection, fds[0], fds[0]) >= 0);
        CHECK(sd_bus_start(bus.connection) >= 0);
}

static void check_settings(const struct settings *before, bool changed) {
        char error[256];

        CHECK(settings_check(&bms.settings, none(), error, sizeof(error)) == 0);
        if (!changed)
                CHECK(settings_equal(&bms.settings, before));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static bool begun;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        struct input in = {data, size};
        sd_bus_message *m = NULL;
        struct settings before;
        int r;

        if (!begun)
                begin();
        begun = true;
        memcpy(&bms, &fresh, sizeof(bms));
        memcpy(&snapshot.settings, &bms.settings, sizeof(snapshot.settings));
        before = bms.settings;
        taken = false;

        const size_t which = take(&in) % N_METHODS;
        CHECK(sd_bus_message_new_method_call(bus.connection, &m, BUS_NAME, BUS_PATH, methods[which].interface,
                                             methods[which].member) >= 0);
        CHECK(methods[which].append(&in, m) >= 0);
        CHECK(sd_bus_message_set_expect_reply(m, 0) >= 0); /* nobody is there to read one */
        CHECK(sd_bus_message_seal(m, 1, 0) >= 0);
        r = methods[which].handler(m, &bus, &error);
        if (r < 0) {
                CHECK(sd_bus_error_is_set(&error) && error.message && error.message[0]);
                CHECK(!taken);
        } else
                CHECK(!sd_bus_error_is_set(&error));
        check_settings(&before, taken);
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
        return 0;
}
