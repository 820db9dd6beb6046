/* SPDX-License-Identifier: MIT */
#pragma once

/* The settings an owner may change at run time (design 8): one table names each, and the CLI, D-Bus, Bluetooth
 * and the config file all read that table. Knows how a value is written, its range, and how the values must fit
 * together; not where they are kept. */

#include <stddef.h>

#include "units.h"

enum setting {
        SETTING_CAPACITY,
        SETTING_SOLAR_PEAK,
        SETTING_INVERTER_PEAK,
        SETTING_VMIN,
        SETTING_VMAX,
        SETTING_VMIN_HYSTERESIS,
        SETTING_VMAX_HYSTERESIS,
        SETTING_TMIN,
        SETTING_TMAX,
        SETTING_TMAX_BYPASS,
        SETTING_TMIN_DISCHARGE,
        SETTING_T_HYSTERESIS,
        SETTING_CHARGE_RESTART,
        SETTING_DISCHARGE_RESTART,
        SETTING_CHARGE_RESTART_DELAY,
        SETTING_DISCHARGE_RESTART_DELAY,
        SETTING_MODE,
        SETTING_WIRING,
        SETTING_SENSORS,
        SETTING_TRIP_FRAMES,
        SETTING_FULL_TAIL_CURRENT,
        SETTING_CELL_NOMINAL,
        SETTING_CHARGE_EFFICIENCY,
        _SETTING_MAX,
};

/* Values of the settings that are words. */
enum { MODE_BOARD, MODE_NORMAL, MODE_CRITICAL };
enum { WIRING_SEPARATE, WIRING_SERIES };
enum { SENSORS_AUTO, SENSORS_1, SENSORS_2 };

enum setting_unit {
        UNIT_MV,      /* written 3650mV, 3.65V; a bare whole number is mV */
        UNIT_MA,      /* 2500mA, 2.5A; bare: mA */
        UNIT_WH,      /* 1920Wh, 1.92kWh; bare: Wh */
        UNIT_W,       /* 2500W, 2.5kW; bare: W */
        UNIT_DECIC,   /* 55.0C, 55degC, -5.5C; bare: degC, decimals allowed (the stored value is 0.1 degC) */
        UNIT_PERCENT, /* 95%; bare: % */
        UNIT_SECONDS, /* 60s, 5min, 1h; bare: s */
        UNIT_NUMBER,  /* 2 */
        UNIT_WORD,    /* one of setting_info.words */
};

struct setting_info {
        const char *key; /* "vmin" */
        enum setting_unit unit;
        bool optional; /* may be "unset" (also written "off") */
        int32_t min, max;      /* in the stored unit; inclusive */
        struct maybe standard; /* the default; none() = unset */
        const char *const *words; /* UNIT_WORD: NULL-terminated, index = value */
        const char *help;         /* one line, with what an owner should know */
};

/* Always the whole table; every index below _SETTING_MAX is filled. */
const struct setting_info *setting_info(enum setting setting);

/* The setting with this key, or -ENOENT. */
int setting_find(const char *key);

/* A full set of values. Unset optional settings are none(); all others are always known. */
struct settings {
        struct maybe values[_SETTING_MAX];
};

void settings_init(struct settings *s); /* all defaults */

/* The value of a setting that is never unset (asserts so). */
int32_t settings_get(const struct settings *s, enum setting setting);

/* tmax_bypass as it applies: as set, else tmax + 25 degC but at most 85 degC (P7). */
int32_t settings_tmax_bypass_decic(const struct settings *s);

/* tmin_discharge as it applies: as set, else tmin (P8). */
int32_t settings_tmin_discharge_decic(const struct settings *s);

/* Reads one value as a person writes it ("3.65V", "95%", "unset", "critical"). Units are not case sensitive
 * (but m and M are not confused: only the units above exist). Returns 0; -EINVAL for text that is no such value
 * (including an inexact one such as 3.6555V, and a bare 3.65 for mV: say the unit); -ERANGE outside the range. On
 * error ret_error gets one sentence that names the key, what was given and what was expected with range. */
int setting_parse(enum setting setting, const char *text, struct maybe *ret_value, char *ret_error, size_t size);

/* Writes a value as a person reads it: "3.650 V", "95 %", "55.0 degC", "critical", "unset". What this writes,
 * setting_parse() reads back to the same value (blanks before the unit are allowed). */
void setting_format(enum setting setting, struct maybe value, char *ret_text, size_t size);

/* Range check of one already numeric value; as setting_parse() for the errors. */
int setting_check(enum setting setting, struct maybe value, char *ret_error, size_t size);

/* The cross checks of design 8: vmin + hysteresis < V-bypass < vmax (only if vbypass_mv is known; vmin + hysteresis <
 * vmax always), tmin < tmax, tmin_discharge < tmax, tmax <= tmax_bypass, discharge restart < charge restart; and every
 * range once more. 0 or -EINVAL with a sentence that names both values. */
int settings_check(const struct settings *s, struct maybe vbypass_mv, char *ret_error, size_t size);

/* true if equal in every value. */
bool settings_equal(const struct settings *a, const struct settings *b);

/* The PIN is the one setting that is never read back, and so no row of the table: digits, kept as a hash. */
#define PIN_DIGITS_MIN 4
#define PIN_DIGITS_MAX 8
bool pin_well_formed(const char *pin);
