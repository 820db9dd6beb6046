/* SPDX-License-Identifier: MIT */
#include "app-internal.h"

#include <assert.h>
#include <errno.h>

enum coding {
        CODING_STEPS,       /* whole steps of `step` stored units */
        CODING_TEMPERATURE, /* raw * 0.857 - 232.1 degC, whatever the serial port's coding is */
        CODING_OFF_AT_ZERO, /* as CODING_STEPS, but a written 0 takes the limit away */
        CODING_CRITICAL,    /* 0 normal, 1 critical; read as it is in force, so that `mode: board` has an answer */
};

/* A limit is never shown, and never becomes, less strict than it was meant. */
enum rounding { ROUND_NEAREST, ROUND_UP, ROUND_DOWN };

/* wire-formats.md section 2. The high byte of two is one address below. */
static const struct row {
        enum setting setting;
        uint16_t address; /* of the byte, or of the lower one of two; 0 = not known to be writable */
        bool two_bytes;
        enum coding coding;
        int32_t step;
        enum rounding rounding;
} rows[] = {
        {SETTING_SOLAR_PEAK,              0x011, true,  CODING_STEPS,       10,  ROUND_NEAREST},
        {SETTING_INVERTER_PEAK,           0x021, true,  CODING_STEPS,       10,  ROUND_NEAREST},
        {SETTING_CAPACITY,                0x031, true,  CODING_STEPS,       100, ROUND_NEAREST},
        {SETTING_VMIN,                    0x041, true,  CODING_STEPS,       5,   ROUND_UP},
        {SETTING_VMIN_HYSTERESIS,         0x042, false, CODING_STEPS,       10,  ROUND_NEAREST},
        {SETTING_CELL_NOMINAL,            0x047, true,  CODING_STEPS,       5,   ROUND_NEAREST},
        {SETTING_VMAX,                    0x051, true,  CODING_STEPS,       5,   ROUND_DOWN},
        {SETTING_VMAX_HYSTERESIS,         0x052, false, CODING_STEPS,       10,  ROUND_NEAREST},
        {SETTING_TMIN,                    0x061, true,  CODING_TEMPERATURE, 0,   ROUND_UP},
        {SETTING_TMIN_DISCHARGE,          0x063, true,  CODING_TEMPERATURE, 0,   ROUND_UP},
        {SETTING_TMAX,                    0x071, true,  CODING_TEMPERATURE, 0,   ROUND_DOWN},
        {SETTING_CHARGE_RESTART_DELAY,    0x083, true,  CODING_STEPS,       5,   ROUND_NEAREST},
        {SETTING_DISCHARGE_RESTART_DELAY, 0x085, true,  CODING_STEPS,       5,   ROUND_NEAREST},
        {SETTING_FULL_TAIL_CURRENT,       0x092, false, CODING_OFF_AT_ZERO, 200, ROUND_NEAREST},
        {SETTING_MODE,                    0x017, false, CODING_CRITICAL,    1,   ROUND_NEAREST},
        {SETTING_CHARGE_RESTART,          0,     false, CODING_STEPS,       1,   ROUND_NEAREST},
        {SETTING_DISCHARGE_RESTART,       0,     false, CODING_STEPS,       1,   ROUND_NEAREST},
        {SETTING_CHARGE_EFFICIENCY,       0,     false, CODING_STEPS,       1,   ROUND_NEAREST},
};

#define N_ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

int app_setting_at(uint16_t address, enum app_part *ret_part) {
        for (int i = 0; i < N_ROWS; i++) {
                if (rows[i].address == 0)
                        continue;
                if (address == rows[i].address) {
                        *ret_part = rows[i].two_bytes ? APP_PART_LOW : APP_PART_WHOLE;
                        return i;
                }
                if (rows[i].two_bytes && address + 1 == rows[i].address) {
                        *ret_part = APP_PART_HIGH;
                        return i;
                }
        }
        return -ENOENT;
}

uint16_t app_setting_address(int row) {
        return rows[row].address;
}

/* Rounded towards minus infinity. */
static int32_t divide_down(int32_t n, int32_t d) {
        return n / d - (n % d < 0 ? 1 : 0);
}

/* raw * 0.857 - 232.1 degC, in 0.001 degC: raw * 857 - 232100. */
#define T_STEP_MILLIC 857
#define T_OFFSET_MILLIC 232100
#define MILLIC_PER_DECIC 100

static int32_t temperature_decode(uint16_t raw, enum rounding rounding) {
        const int32_t millic = raw * T_STEP_MILLIC - T_OFFSET_MILLIC;

        if (rounding == ROUND_UP)
                return -divide_down(-millic, MILLIC_PER_DECIC);
        return divide_down(millic, MILLIC_PER_DECIC);
}

/* The raw value that decodes to decic; failing that, the last one before it on the strict side. So what a phone wrote
 * it reads again, and a phone that writes back what it read changes nothing: each raw value has a 0.1 degC of its own.
 *
 *   down: the greatest raw whose raw * 857 - 232100 < (decic + 1) * 100
 *   up:   the least raw whose raw * 857 - 232100 > (decic - 1) * 100 */
static int32_t temperature_encode(int32_t decic, enum rounding rounding) {
        if (rounding == ROUND_UP)
                return divide_down((decic - 1) * MILLIC_PER_DECIC + T_OFFSET_MILLIC, T_STEP_MILLIC) + 1;
        return divide_down((decic + 1) * MILLIC_PER_DECIC + T_OFFSET_MILLIC - 1, T_STEP_MILLIC);
}

static int32_t steps_encode(int32_t value, int32_t step, enum rounding rounding) {
        switch (rounding) {
        case ROUND_UP:
                return divide_down(value + step - 1, step);
        case ROUND_DOWN:
                return divide_down(value, step);
        case ROUND_NEAREST:
                break;
        }
        return divide_down(value + step / 2, step);
}

bool app_setting_write(int row, uint16_t raw, struct settings *s) {
        const struct row *r = &rows[row];
        struct maybe *value = &s->values[r->setting];

        switch (r->coding) {
        case CODING_TEMPERATURE:
                *value = some(temperature_decode(raw, r->rounding));
                return true;
        case CODING_OFF_AT_ZERO:
                *value = raw == 0 ? none() : some(raw * r->step);
                return true;
        case CODING_CRITICAL:
                if (raw > 1)
                        return false;
                *value = some(raw == 1 ? MODE_CRITICAL : MODE_NORMAL);
                return true;
        case CODING_STEPS:
                break;
        }
        *value = some(raw * r->step);
        return true;
}

/* Role monitor: the board's frame has these three, and the config's other values are not what the board goes by. */
static bool known_to_us(enum setting setting, const struct snapshot *s) {
        if (s->role != ROLE_MONITOR)
                return true;
        return s->frame.count > 0 &&
               (setting == SETTING_CAPACITY || setting == SETTING_VMIN || setting == SETTING_VMAX);
}

static struct maybe in_force(enum setting setting, const struct snapshot *s) {
        if (!known_to_us(setting, s))
                return none();
        switch (setting) {
        case SETTING_TMIN_DISCHARGE:
                return some(settings_tmin_discharge_decic(&s->settings));
        case SETTING_MODE:
                return some(s->critical ? 1 : 0);
        default:
                return s->settings.values[setting];
        }
}

struct maybe64 app_setting_read(enum setting setting, const struct snapshot *s, unsigned *ret_digits) {
        const struct maybe value = in_force(setting, s);
        const struct row *r = rows;
        int32_t raw, max;

        while (r->setting != setting) {
                r++;
                assert(r < rows + N_ROWS);
        }
        max = r->two_bytes ? UINT16_MAX : UINT8_MAX;
        *ret_digits = r->two_bytes ? 4 : 2;
        if (!value.known)
                return none64();
        raw = r->coding == CODING_TEMPERATURE ? temperature_encode(value.value, r->rounding) :
                                                steps_encode(value.value, r->step, r->rounding);
        return raw < 0 ? none64() : some64(raw > max ? max : raw);
}
