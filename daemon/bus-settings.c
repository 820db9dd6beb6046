/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "bus-internal.h"

/* The new values of one call, on their way to being applied whole or not at all. */
struct change {
        struct settings settings;
        bool given[_SETTING_MAX];
        unsigned n;
};

static int append_value(sd_bus_message *m, enum setting setting, struct maybe value) {
        const struct setting_info *info = setting_info(setting);

        if (info->unit == UNIT_WORD)
                return sd_bus_message_append(m, "{sv}", info->key, "s", info->words[value.value]);
        return sd_bus_message_append(m, "{sv}", info->key, "x", (int64_t)value.value);
}

int bus_append_settings(sd_bus_message *m, const struct settings *s) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        for (enum setting i = 0; i < _SETTING_MAX; i++) {
                if (!s->values[i].known)
                        continue;
                r = append_value(m, i, s->values[i]);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

static int find_once(struct change *c, const char *key, enum setting *ret, sd_bus_error *ret_error) {
        int setting = setting_find(key);

        if (setting < 0)
                return sd_bus_error_setf(ret_error, SD_BUS_ERROR_INVALID_ARGS, "There is no setting \"%s\".",
                                         key);
        if (c->given[setting])
                return sd_bus_error_setf(ret_error, SD_BUS_ERROR_INVALID_ARGS, "%s is given twice.", key);
        c->given[setting] = true;
        c->n++;
        *ret = setting;
        return 0;
}

static int read_number(sd_bus_message *m, enum setting setting, struct maybe *ret, sd_bus_error *ret_error) {
        const struct setting_info *info = setting_info(setting);
        char sentence[BUS_SENTENCE_MAX] = "";
        int64_t number;
        int r;

        r = sd_bus_message_read(m, "v", "x", &number);
        if (r < 0)
                return r;
        if (info->unit == UNIT_WORD)
                return sd_bus_error_setf(ret_error, SD_BUS_ERROR_INVALID_ARGS,
                                         "%s is a word, not a number: expected a string.", info->key);
        /* settings are 32 bits wide: what does not fit is as much out of range as what does */
        if (number < INT32_MIN)
                number = INT32_MIN;
        if (number > INT32_MAX)
                number = INT32_MAX;
        r = setting_check(setting, some((int32_t)number), sentence, sizeof(sentence));
        if (r < 0)
                return bus_command_error(ret_error, r, sentence);
        *ret = some((int32_t)number);
        return 0;
}

static int read_text(sd_bus_message *m, enum setting setting, struct maybe *ret, sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        const char *text;
        int r;

        r = sd_bus_message_read(m, "v", "s", &text);
        if (r < 0)
                return r;
        r = setting_parse(setting, text, ret, sentence, sizeof(sentence));
        return r < 0 ? bus_command_error(ret_error, r, sentence) : 0;
}

static int read_entry(sd_bus_message *m, struct change *c, sd_bus_error *ret_error) {
        const char *key, *contents;
        enum setting setting = _SETTING_MAX; /* set below; an optimising gcc cannot know that errors are < 0 */
        int r;

        r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        r = find_once(c, key, &setting, ret_error);
        if (r < 0)
                return r;
        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (contents[0] == 'x' && !contents[1])
                return read_number(m, setting, &c->settings.values[setting], ret_error);
        if (contents[0] == 's' && !contents[1])
                return read_text(m, setting, &c->settings.values[setting], ret_error);
        return sd_bus_error_setf(
                ret_error, SD_BUS_ERROR_INVALID_ARGS,
                "%s has D-Bus type %s: expected x (a number in the stored unit) or s (as written).", key,
                contents);
}

static int apply(struct bus *b, const struct change *c, const char *by, struct bus_reply *reply,
                 sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        int r;

        if (c->n == 0)
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_INVALID_ARGS, "No setting was named.");
        r = b->callbacks.set(b->callbacks.userdata, &c->settings, by, reply, sentence, sizeof(sentence));
        return r < 0 ? bus_command_error(ret_error, r, sentence) : 0;
}

static int command_set(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                       sd_bus_error *ret_error) {
        struct change c = {.settings = bus_newest(b)->settings};
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_entry(m, &c, ret_error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : apply(b, &c, by, reply, ret_error);
}

static int command_reset(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                         sd_bus_error *ret_error) {
        struct change c = {.settings = bus_newest(b)->settings};
        const char *key;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "s", &key)) > 0) {
                enum setting setting = _SETTING_MAX; /* as above */

                r = find_once(&c, key, &setting, ret_error);
                if (r < 0)
                        return r;
                c.settings.values[setting] = b->defaults.values[setting];
        }
        return r < 0 ? r : apply(b, &c, by, reply, ret_error);
}

static int command_confirm(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                           sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        int r;

        (void)m;
        r = b->callbacks.confirm_settings(b->callbacks.userdata, by, reply, sentence, sizeof(sentence));
        return r < 0 ? bus_command_error(ret_error, r, sentence) : 0;
}

static int command_set_pin(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                           sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        const char *pin;
        int r;

        r = sd_bus_message_read(m, "s", &pin);
        if (r < 0)
                return r;
        if (!pin_well_formed(pin)) /* what was given instead is nobody's business either */
                return sd_bus_error_setf(ret_error, SD_BUS_ERROR_INVALID_ARGS,
                                         "The PIN stays as it was: expected %d to %d digits.", PIN_DIGITS_MIN,
                                         PIN_DIGITS_MAX);
        r = b->callbacks.set_pin(b->callbacks.userdata, pin, by, reply, sentence, sizeof(sentence));
        return r < 0 ? bus_command_error(ret_error, r, sentence) : 0;
}

int bus_method_set(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_set, ret_error);
}

int bus_method_reset(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_reset, ret_error);
}

int bus_method_confirm(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_confirm, ret_error);
}

int bus_method_set_pin(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void)sd_bus_message_sensitive(m); /* erased when freed; fails for no message of ours */
        return bus_callers_check(userdata, m, command_set_pin, ret_error);
}
