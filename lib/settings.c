/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Longest part of a person's own text that an error sentence repeats. */
#define ECHO_MAX 32

/* Room for any formatted value ("1000.000 A", "critical"). */
#define VALUE_TEXT_MAX 32

static const char *const mode_words[] = {"board", "normal", "critical", NULL};
static const char *const wiring_words[] = {"separate", "series", NULL};
static const char *const sensors_words[] = {"auto", "1", "2", NULL};

#define NUMERIC(_key, _unit, _min, _max, _standard, _help)                                             \
        {.key = (_key), .unit = (_unit), .min = (_min), .max = (_max),                                 \
         .standard = {.known = true, .value = (_standard)}, .help = (_help)}
#define OPTIONAL(_key, _unit, _min, _max, _help)                                                       \
        {.key = (_key), .unit = (_unit), .optional = true, .min = (_min), .max = (_max), .help = (_help)}
#define WORD(_key, _words, _max, _standard, _help)                                                     \
        {.key = (_key), .unit = UNIT_WORD, .max = (_max), .words = (_words),                           \
         .standard = {.known = true, .value = (_standard)}, .help = (_help)}

/* The table of design 8. */
static const struct setting_info table[] = {
        [SETTING_CAPACITY] = OPTIONAL("capacity", UNIT_WH, 10, 10000000,
                "What the pack holds. The manual advises 75 % of the rated capacity, for ageing and a long life: "
                "2560 Wh rated, set 1920 Wh. Unset: no state of charge"),
        [SETTING_SOLAR_PEAK] = OPTIONAL("solar_peak", UNIT_W, 0, 655350,
                "Most power the charge sources can give: full scale of the incoming power bar. Display only"),
        [SETTING_INVERTER_PEAK] = OPTIONAL("inverter_peak", UNIT_W, 0, 655350,
                "Most power the consumers can take: full scale of the outgoing power bar. Display only"),
        [SETTING_VMIN] = NUMERIC("vmin", UNIT_MV, 2000, 4000, 2800,
                "A cell at or below this opens the load relay"),
        [SETTING_VMAX] = NUMERIC("vmax", UNIT_MV, 2500, 4500, 3650,
                "A cell at or above this opens the charge relay. Must be above V-bypass (option switches 2, 6, 7)"),
        [SETTING_VMIN_HYSTERESIS] = NUMERIC("vmin_hysteresis", UNIT_MV, 0, 500, 200,
                "After V-min every cell must be this far above it before the load relay closes again"),
        [SETTING_VMAX_HYSTERESIS] = NUMERIC("vmax_hysteresis", UNIT_MV, 0, 500, 50,
                "After V-max every cell must be this far below it before the charge relay closes again"),
        [SETTING_TMIN] = NUMERIC("tmin", UNIT_DECIC, -400, 400, 0,
                "A cell colder than this opens the charge relay (LiFePO4 must not be charged below freezing), "
                "and the load relay unless tmin_discharge is set"),
        [SETTING_TMAX] = NUMERIC("tmax", UNIT_DECIC, 200, 850, 550,
                "A cell hotter than this opens both relays"),
        [SETTING_TMAX_BYPASS] = OPTIONAL("tmax_bypass", UNIT_DECIC, 200, 850,
                "The limit instead of tmax for a cell that is balancing: its board warms its own sensor. "
                "Unset: tmax + 25 degC, at most 85 degC"),
        [SETTING_TMIN_DISCHARGE] = OPTIONAL("tmin_discharge", UNIT_DECIC, -400, 400,
                "A cell colder than this opens the load relay. Unset: tmin serves for both relays"),
        [SETTING_T_HYSTERESIS] = NUMERIC("t_hysteresis", UNIT_DECIC, 5, 200, 20,
                "After a temperature limit every cell must be back by this much before the relay closes again"),
        [SETTING_CHARGE_RESTART] = NUMERIC("charge_restart", UNIT_PERCENT, 1, 99, 95,
                "After full or V-max the charge relay closes again once the state of charge is below this"),
        [SETTING_DISCHARGE_RESTART] = NUMERIC("discharge_restart", UNIT_PERCENT, 0, 98, 20,
                "After V-min the load relay closes again once the state of charge has reached this"),
        [SETTING_CHARGE_RESTART_DELAY] = NUMERIC("charge_restart_delay", UNIT_SECONDS, 0, 3600, 60,
                "Shortest time the charge relay stays open after a limit opened it"),
        [SETTING_DISCHARGE_RESTART_DELAY] = NUMERIC("discharge_restart_delay", UNIT_SECONDS, 0, 3600, 60,
                "Shortest time the load relay stays open after a limit opened it"),
        [SETTING_MODE] = WORD("mode", mode_words, MODE_CRITICAL, MODE_BOARD,
                "normal: charge stops when all cells are full and waits for charge_restart. critical: charge stops "
                "only at V-max. board: as option switch 5 says (genuine boards do not send it: set it by hand)"),
        [SETTING_WIRING] = WORD("wiring", wiring_words, WIRING_SERIES, WIRING_SEPARATE,
                "separate: each relay switches its own side. series: both contacts in series for a combined "
                "charger/inverter, so an open load relay stops charging too"),
        [SETTING_SENSORS] = WORD("sensors", sensors_words, SENSORS_2, SENSORS_AUTO,
                "How many current sensors are connected to the IN board. auto: learned, and a sensor that "
                "vanishes later is reported"),
        [SETTING_TRIP_FRAMES] = NUMERIC("trip_frames", UNIT_NUMBER, 1, 3, 2,
                "How many messages in a row must break a limit before a relay opens. 1 is the fastest, but lets "
                "one damaged message switch off the house"),
        [SETTING_FULL_TAIL_CURRENT] = OPTIONAL("full_tail_current", UNIT_MA, 0, 1000000,
                "The pack counts as full only once the charge current has fallen to this. Off (not 0, which "
                "waits for no current at all): the voltage alone decides, as in the manual"),
        [SETTING_CELL_NOMINAL] = NUMERIC("cell_nominal", UNIT_MV, 2000, 4000, 3200,
                "Nominal cell voltage: turns the capacity from Wh into Ah. 3.2 V for LiFePO4"),
        [SETTING_CHARGE_EFFICIENCY] = NUMERIC("charge_efficiency", UNIT_PERCENT, 80, 100, 99,
                "How much of the charge put in can be taken out again"),
};
static_assert(sizeof(table) / sizeof(table[0]) == _SETTING_MAX, "a row for every setting");

/* What may follow a number, and how many stored units it is. first: the one a bare number has. big: the one that
 * people write with decimals. */
struct suffix {
        enum setting_unit unit;
        const char *name;
        int32_t factor;
        bool first, big;
        bool milli; /* begins with the prefix m, which is not M */
};

static const struct suffix suffixes[] = {
        {.unit = UNIT_MV, .name = "mV", .factor = 1, .first = true, .milli = true},
        {.unit = UNIT_MV, .name = "V", .factor = 1000, .big = true},
        {.unit = UNIT_MA, .name = "mA", .factor = 1, .first = true, .milli = true},
        {.unit = UNIT_MA, .name = "A", .factor = 1000, .big = true},
        {.unit = UNIT_WH, .name = "Wh", .factor = 1, .first = true},
        {.unit = UNIT_WH, .name = "kWh", .factor = 1000, .big = true},
        {.unit = UNIT_W, .name = "W", .factor = 1, .first = true},
        {.unit = UNIT_W, .name = "kW", .factor = 1000, .big = true},
        {.unit = UNIT_DECIC, .name = "degC", .factor = 10, .first = true},
        {.unit = UNIT_DECIC, .name = "C", .factor = 10},
        {.unit = UNIT_DECIC, .name = "\xc2\xb0" "C", .factor = 10}, /* the degree sign, UTF-8 */
        {.unit = UNIT_PERCENT, .name = "%", .factor = 1, .first = true},
        {.unit = UNIT_SECONDS, .name = "s", .factor = 1, .first = true},
        {.unit = UNIT_SECONDS, .name = "min", .factor = 60},
        {.unit = UNIT_SECONDS, .name = "h", .factor = 3600},
        {.unit = UNIT_NUMBER, .name = "", .factor = 1, .first = true},
};
#define N_SUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

/* A decimal number as written: whole + fraction / 10^decimals, trailing zeros of the fraction dropped. */
struct decimal {
        bool negative;
        bool point; /* written with a decimal point */
        bool fine;  /* more decimals than any unit resolves */
        int64_t whole; /* stops growing at WHOLE_CAP, which is outside every range */
        int64_t fraction, scale;
};

#define WHOLE_CAP INT64_C(1000000000000)
#define SCALE_CAP INT64_C(1000000000)

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* The fraction's digits. A zero counts only once another digit follows it, so 3.6500 is 3.65. Nine decimals are more
 * than any exact value needs (the largest factor, 3600, is exact for at most four). */
static const char *read_fraction(const char *p, struct decimal *d) {
        int64_t zeros = 1;

        for (; is_digit(*p); p++) {
                if (*p == '0') {
                        zeros = zeros < SCALE_CAP ? zeros * 10 : zeros;
                        continue;
                }
                if (d->fine || zeros > SCALE_CAP / 10 / d->scale) {
                        d->fine = true;
                        continue;
                }
                d->scale *= zeros * 10;
                d->fraction = d->fraction * zeros * 10 + (*p - '0');
                zeros = 1;
        }
        return p;
}

/* Reads [+-]digits[.digits]. Returns what follows it, or NULL if the text does not begin with a number. */
static const char *read_decimal(const char *text, struct decimal *ret_decimal) {
        struct decimal d = {.scale = 1};
        const char *p = text;

        if (*p == '-' || *p == '+')
                d.negative = *p++ == '-';
        if (!is_digit(*p))
                return NULL;
        for (; is_digit(*p); p++)
                if (d.whole < WHOLE_CAP)
                        d.whole = d.whole * 10 + (*p - '0');
        if (*p == '.') {
                if (!is_digit(p[1]))
                        return NULL;
                d.point = true;
                p = read_fraction(p + 1, &d);
        }
        *ret_decimal = d;
        return p;
}

/* The number in stored units. -EDOM if it is not a whole number of them. */
static int scale_decimal(const struct decimal *d, int32_t factor, int64_t *ret_value) {
        if (d->fine || d->fraction * factor % d->scale != 0)
                return -EDOM;
        /* whole < 10^13 and factor <= 3600: far inside int64 */
        const int64_t value = d->whole * factor + d->fraction * factor / d->scale;
        *ret_value = d->negative ? -value : value;
        return 0;
}

static bool suffix_matches(const struct suffix *suffix, const char *text) {
        if (suffix->milli && text[0] != 'm')
                return false;
        return strcasecmp(suffix->name, text) == 0;
}

static const struct suffix *find_suffix(enum setting_unit unit, const char *text) {
        for (size_t i = 0; i < N_SUFFIXES; i++)
                if (suffixes[i].unit == unit && suffix_matches(&suffixes[i], text))
                        return &suffixes[i];
        return NULL;
}

static const struct suffix *first_suffix(enum setting_unit unit) {
        for (size_t i = 0; i < N_SUFFIXES; i++)
                if (suffixes[i].unit == unit && suffixes[i].first)
                        return &suffixes[i];
        return NULL;
}

static const struct suffix *big_suffix(enum setting_unit unit) {
        for (size_t i = 0; i < N_SUFFIXES; i++)
                if (suffixes[i].unit == unit && suffixes[i].big)
                        return &suffixes[i];
        return NULL;
}

/* What was given, fit to stand in a sentence: printable ASCII (it came from anywhere, and goes to D-Bus, which wants
 * valid UTF-8), at most ECHO_MAX long. */
static void echo(const char *text, char ret_echo[ECHO_MAX + 4]) {
        size_t n = 0;

        for (; n < ECHO_MAX && text[n] != '\0'; n++)
                ret_echo[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
        strcpy(ret_echo + n, text[n] == '\0' ? "" : "...");
}

/* "2.000 V to 4.000 V", "board, normal or critical", with ", or unset". */
static void expected_text(enum setting setting, char *ret_text, size_t size) {
        const struct setting_info *info = &table[setting];
        char from[VALUE_TEXT_MAX], to[VALUE_TEXT_MAX];

        if (info->unit == UNIT_WORD) {
                size_t n = 0;
                ret_text[0] = '\0';
                for (size_t i = 0; info->words[i] != NULL; i++, n = strlen(ret_text))
                        snprintf(ret_text + n, size - n, "%s%s",
                                 i == 0 ? "" : info->words[i + 1] == NULL ? " or " : ", ", info->words[i]);
                return;
        }
        setting_format(setting, some(info->min), from, sizeof(from));
        setting_format(setting, some(info->max), to, sizeof(to));
        snprintf(ret_text, size, "%s to %s%s", from, to, info->optional ? ", or unset" : "");
}

static int fail(int error, enum setting setting, const char *what, char *ret_error, size_t size) {
        char expected[96];

        expected_text(setting, expected, sizeof(expected));
        snprintf(ret_error, size, "%s: %s (%s)", table[setting].key, what, expected);
        return error;
}

static int fail_given(int error, enum setting setting, const char *text, const char *why, char *ret_error,
                      size_t size) {
        char given[ECHO_MAX + 4], what[192];

        echo(text, given);
        snprintf(what, sizeof(what), "'%s' %s", given, why);
        return fail(error, setting, what, ret_error, size);
}

/* A bare 3.65 where a bare number is mV: ask for the unit, and spell out what was most likely meant. */
static int fail_no_unit(enum setting setting, const char *text, const struct decimal *d, char *ret_error,
                        size_t size) {
        const struct setting_info *info = &table[setting];
        const struct suffix *big = big_suffix(info->unit), *first = first_suffix(info->unit);
        char given[ECHO_MAX + 4], why[ECHO_MAX + 64];
        int64_t value;

        echo(text, given);
        if (scale_decimal(d, big->factor, &value) == 0 && value >= info->min && value <= info->max)
                snprintf(why, sizeof(why), "has no unit; say %s%s or %lld%s", given, big->name, (long long) value,
                         first->name);
        else
                snprintf(why, sizeof(why), "has no unit; say %s or %s", big->name, first->name);
        return fail_given(-EINVAL, setting, text, why, ret_error, size);
}

static int parse_word(enum setting setting, const char *text, struct maybe *ret_value, char *ret_error,
                      size_t size) {
        const char *const *words = table[setting].words;

        for (int32_t i = 0; words[i] != NULL; i++)
                if (strcasecmp(words[i], text) == 0) {
                        *ret_value = some(i);
                        return 0;
                }
        return fail_given(-EINVAL, setting, text, "is not a choice", ret_error, size);
}

static int parse_number(enum setting setting, const char *text, struct maybe *ret_value, char *ret_error,
                        size_t size) {
        const struct setting_info *info = &table[setting];
        struct decimal d;
        int64_t value;

        const char *rest = read_decimal(text, &d);
        if (rest == NULL)
                return fail_given(-EINVAL, setting, text, "is not a value", ret_error, size);

        const struct suffix *suffix;
        if (*rest == '\0') {
                if (d.point && info->unit != UNIT_DECIC && big_suffix(info->unit) != NULL)
                        return fail_no_unit(setting, text, &d, ret_error, size);
                suffix = first_suffix(info->unit);
        } else {
                rest += strspn(rest, " ");
                suffix = *rest != '\0' ? find_suffix(info->unit, rest) : NULL;
        }
        if (suffix == NULL)
                return fail_given(-EINVAL, setting, text, "is not a value", ret_error, size);

        int r = scale_decimal(&d, suffix->factor, &value);
        if (r < 0)
                return fail_given(-EINVAL, setting, text, "is finer than this setting is kept", ret_error, size);
        if (value < info->min || value > info->max)
                return fail_given(-ERANGE, setting, text, "is outside the range", ret_error, size);
        *ret_value = some((int32_t) value);
        return 0;
}

const struct setting_info *setting_info(enum setting setting) {
        assert((unsigned) setting < _SETTING_MAX);
        return &table[setting];
}

int setting_find(const char *key) {
        if (key == NULL)
                return -ENOENT;
        for (int i = 0; i < _SETTING_MAX; i++)
                if (strcmp(table[i].key, key) == 0)
                        return i;
        return -ENOENT;
}

void settings_init(struct settings *s) {
        for (int i = 0; i < _SETTING_MAX; i++)
                s->values[i] = table[i].standard;
}

int32_t settings_get(const struct settings *s, enum setting setting) {
        assert((unsigned) setting < _SETTING_MAX);
        assert(s->values[setting].known);
        return s->values[setting].value;
}

int32_t settings_tmax_bypass_decic(const struct settings *s) {
        const struct maybe set = s->values[SETTING_TMAX_BYPASS];
        const int32_t usual = settings_get(s, SETTING_TMAX) + 250;

        if (set.known)
                return set.value;
        return usual < 850 ? usual : 850;
}

int32_t settings_tmin_discharge_decic(const struct settings *s) {
        const struct maybe set = s->values[SETTING_TMIN_DISCHARGE];

        return set.known ? set.value : settings_get(s, SETTING_TMIN);
}

int setting_parse(enum setting setting, const char *text, struct maybe *ret_value, char *ret_error, size_t size) {
        const struct setting_info *info = setting_info(setting);

        if (text == NULL || text[0] == '\0')
                return fail(-EINVAL, setting, "no value given", ret_error, size);
        if (strcasecmp(text, "unset") == 0 || strcasecmp(text, "off") == 0) {
                if (!info->optional)
                        return fail(-EINVAL, setting, "cannot be unset", ret_error, size);
                *ret_value = none();
                return 0;
        }
        if (info->unit == UNIT_WORD)
                return parse_word(setting, text, ret_value, ret_error, size);
        return parse_number(setting, text, ret_value, ret_error, size);
}

void setting_format(enum setting setting, struct maybe value, char *ret_text, size_t size) {
        const struct setting_info *info = setting_info(setting);
        const int64_t v = value.value;
        const long long magnitude = v < 0 ? -v : v;
        const char *sign = v < 0 ? "-" : "";

        if (!value.known) {
                snprintf(ret_text, size, "unset");
                return;
        }
        switch (info->unit) {
        case UNIT_MV:
        case UNIT_MA:
                snprintf(ret_text, size, "%s%lld.%03lld %s", sign, magnitude / 1000, magnitude % 1000,
                         big_suffix(info->unit)->name);
                return;
        case UNIT_DECIC:
                snprintf(ret_text, size, "%s%lld.%lld degC", sign, magnitude / 10, magnitude % 10);
                return;
        case UNIT_WH:
        case UNIT_W:
        case UNIT_PERCENT:
        case UNIT_SECONDS:
                snprintf(ret_text, size, "%s%lld %s", sign, magnitude, first_suffix(info->unit)->name);
                return;
        case UNIT_NUMBER:
                snprintf(ret_text, size, "%s%lld", sign, magnitude);
                return;
        case UNIT_WORD:
                /* a number that is no word comes from a file or a message; it must not read past the table */
                snprintf(ret_text, size, "%s", v >= 0 && v <= info->max ? info->words[v] : "?");
                return;
        }
        assert(false);
}

int setting_check(enum setting setting, struct maybe value, char *ret_error, size_t size) {
        const struct setting_info *info = setting_info(setting);
        char text[VALUE_TEXT_MAX];

        if (!value.known)
                return info->optional ? 0 : fail(-EINVAL, setting, "cannot be unset", ret_error, size);
        if (value.value >= info->min && value.value <= info->max)
                return 0;
        if (info->unit == UNIT_WORD)
                snprintf(text, sizeof(text), "%d", value.value);
        else
                setting_format(setting, value, text, sizeof(text));
        return fail_given(-ERANGE, setting, text, "is outside the range", ret_error, size);
}

/* "vmin 2.800 V" for a setting's value in s, or any value in its unit under another name. */
static void named(const char *name, enum setting unit_of, int32_t value, char ret_text[VALUE_TEXT_MAX * 2]) {
        char text[VALUE_TEXT_MAX];

        setting_format(unit_of, some(value), text, sizeof(text));
        snprintf(ret_text, VALUE_TEXT_MAX * 2, "%s %s", name, text);
}

static int fail_order(const char *low, const char *high, const char *must, char *ret_error, size_t size) {
        snprintf(ret_error, size, "%s must be %s %s", low, must, high);
        return -EINVAL;
}

static int check_order(const struct settings *s, enum setting low, enum setting high, bool equal_allowed,
                       char *ret_error, size_t size) {
        char a[VALUE_TEXT_MAX * 2], b[VALUE_TEXT_MAX * 2];

        if (!s->values[low].known || !s->values[high].known)
                return 0; /* what applies instead of an unset one is derived so that it holds, or needs no check */
        const int32_t x = settings_get(s, low), y = settings_get(s, high);
        if (x < y || (equal_allowed && x == y))
                return 0;
        named(table[low].key, low, x, a);
        named(table[high].key, high, y, b);
        return fail_order(a, b, equal_allowed ? "at most" : "below", ret_error, size);
}

static int check_voltages(const struct settings *s, struct maybe vbypass_mv, char *ret_error, size_t size) {
        const int32_t vmin = settings_get(s, SETTING_VMIN), vmax = settings_get(s, SETTING_VMAX);
        const int32_t release = vmin + settings_get(s, SETTING_VMIN_HYSTERESIS);
        char a[VALUE_TEXT_MAX * 2], b[VALUE_TEXT_MAX * 2];

        named("vmin + vmin_hysteresis", SETTING_VMIN, release, a);
        if (vbypass_mv.known && release >= vbypass_mv.value) {
                named("V-bypass", SETTING_VMIN, vbypass_mv.value, b);
                return fail_order(a, b, "below", ret_error, size);
        }
        if (release >= vmax) {
                named("vmax", SETTING_VMAX, vmax, b);
                return fail_order(a, b, "below", ret_error, size);
        }
        if (vbypass_mv.known && vbypass_mv.value >= vmax) {
                named("vmax", SETTING_VMAX, vmax, a);
                named("V-bypass", SETTING_VMIN, vbypass_mv.value, b);
                return fail_order(a, b, "above", ret_error, size);
        }
        return 0;
}

int settings_check(const struct settings *s, struct maybe vbypass_mv, char *ret_error, size_t size) {
        static const struct {
                enum setting low, high;
                bool equal_allowed;
        } orders[] = {
                {SETTING_TMIN, SETTING_TMAX, false},
                {SETTING_TMIN_DISCHARGE, SETTING_TMAX, false},
                {SETTING_TMAX, SETTING_TMAX_BYPASS, true},
                {SETTING_DISCHARGE_RESTART, SETTING_CHARGE_RESTART, false},
        };
        int r;

        for (int i = 0; i < _SETTING_MAX; i++) {
                r = setting_check((enum setting) i, s->values[i], ret_error, size);
                if (r < 0)
                        return -EINVAL;
        }
        r = check_voltages(s, vbypass_mv, ret_error, size);
        for (size_t i = 0; r == 0 && i < sizeof(orders) / sizeof(orders[0]); i++)
                r = check_order(s, orders[i].low, orders[i].high, orders[i].equal_allowed, ret_error, size);
        return r;
}

bool settings_equal(const struct settings *a, const struct settings *b) {
        for (int i = 0; i < _SETTING_MAX; i++)
                if (a->values[i].known != b->values[i].known || a->values[i].value != b->values[i].value)
                        return false;
        return true;
}

bool pin_well_formed(const char *pin) {
        const size_t length = strlen(pin);

        return length >= PIN_DIGITS_MIN && length <= PIN_DIGITS_MAX && strspn(pin, "0123456789") == length;
}
