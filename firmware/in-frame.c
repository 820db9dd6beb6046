/* SPDX-License-Identifier: MIT */
#include "in-frame.h"

#define IN_NUMBER 1 /* the IN board is cell 1 */

static const uint8_t pairs[] = {
        FRAME_KEY_FORMAT_VERSION, FRAME_KEY_SWITCHES,       FRAME_KEY_SENSOR_TYPE, FRAME_KEY_CONFIGURED_CELLS,
        FRAME_KEY_FIRMWARE_MAJOR, FRAME_KEY_FIRMWARE_MINOR, FRAME_KEY_FLAGS,
};
#define PAIRS ((uint8_t)(sizeof(pairs) / sizeof(pairs[0])))

void in_frame_init(struct in_frame *f) {
        *f = (struct in_frame){0};
}

static void put_current(uint8_t *p, const struct current_value *value) {
        if (!value->known) {
                p[0] = 'X';
                frame_put16(p + 1, 0);
                return;
        }
        /* At most two sensors of 2,200 A against each other: 35,200 steps. */
        p[0] = value->steps < 0 ? '-' : '+';
        frame_put16(p + 1, (uint16_t)(value->steps < 0 ? -value->steps : value->steps));
}

/* An extreme that is not known has no owner either: the next board's is the first (R6). */
static void put_extreme(uint8_t *p, uint16_t value) {
        frame_put16(p, value);
        p[2] = value == 0 ? 0 : IN_NUMBER;
}

static uint8_t pair_value(const struct in_frame_values *v, uint8_t key) {
        switch (key) {
        case FRAME_KEY_FORMAT_VERSION:
                return IN_FRAME_FORMAT_VERSION;
        case FRAME_KEY_SWITCHES:
                return v->switches;
        case FRAME_KEY_SENSOR_TYPE:
                return v->sensor_type;
        case FRAME_KEY_CONFIGURED_CELLS:
                return v->configured_cells;
        case FRAME_KEY_FIRMWARE_MAJOR:
                return IN_FRAME_FIRMWARE_MAJOR;
        case FRAME_KEY_FIRMWARE_MINOR:
                return IN_FRAME_FIRMWARE_MINOR;
        default:
                return v->flags;
        }
}

static uint8_t next_pair(struct in_frame *f, const struct in_frame_values *v) {
        /* Switches that have not come to rest since the start are not told: no mode is better than a wrong
         * one. */
        if (pairs[f->pair] == FRAME_KEY_SWITCHES && !v->switches_known)
                f->pair = (uint8_t)((f->pair + 1) % PAIRS);

        uint8_t key = pairs[f->pair];

        f->pair = (uint8_t)((f->pair + 1) % PAIRS);
        return key;
}

void in_frame_next(struct in_frame *f, const struct in_frame_values *v, uint8_t cells,
                   uint8_t ret[FRAME_SIZE]) {
        bool doubt = v->reading.voltage == 0 || v->reading.temperature == 0 || v->bypass_faulty; /* R8 */
        uint8_t key = next_pair(f, v);

        f->detail = f->detail >= cells ? 1 : (uint8_t)(f->detail + 1);

        for (uint8_t i = 0; i < FRAME_SIZE; i++)
                ret[i] = 0;
        frame_put24(ret + FRAME_OFF_PACK_VOLTAGE, v->reading.voltage);
        put_current(ret + FRAME_OFF_CURRENT_IN, &v->in);
        put_current(ret + FRAME_OFF_CURRENT_OUT, &v->out);
        put_current(ret + FRAME_OFF_CURRENT_SUM, &v->sum);
        put_extreme(ret + FRAME_OFF_LOWEST_VOLTAGE, v->reading.voltage);
        put_extreme(ret + FRAME_OFF_HIGHEST_VOLTAGE, v->reading.voltage);
        put_extreme(ret + FRAME_OFF_LOWEST_TEMPERATURE, v->reading.temperature);
        put_extreme(ret + FRAME_OFF_HIGHEST_TEMPERATURE, v->reading.temperature);
        ret[FRAME_OFF_DETAIL_CELL] = f->detail;
        ret[FRAME_OFF_COUNT] = IN_NUMBER;
        if (f->detail == IN_NUMBER) {
                frame_put16(ret + FRAME_OFF_DETAIL_VOLTAGE, v->reading.voltage);
                frame_put16(ret + FRAME_OFF_DETAIL_TEMPERATURE, v->reading.temperature);
        }
        ret[FRAME_OFF_STATUS] = FRAME_STATUS_NOT_CALIBRATED | (doubt ? FRAME_STATUS_COMMUNICATION_ERROR : 0);
        ret[FRAME_OFF_KEY] = (uint8_t)(key + FRAME_KEY_BIAS);
        ret[FRAME_OFF_VALUE] = pair_value(v, key);
        frame_put16(ret + FRAME_OFF_V_BYPASS, v->v_bypass);
        ret[FRAME_OFF_CHECKSUM] = frame_checksum(ret);
}

void in_frame_alone(const uint8_t own[FRAME_SIZE], uint8_t ret[FRAME_SIZE]) {
        for (uint8_t i = 0; i < FRAME_SIZE; i++)
                ret[i] = own[i];
        ret[FRAME_OFF_DETAIL_CELL] = 0;
        ret[FRAME_OFF_COUNT] = 0;
        frame_put16(ret + FRAME_OFF_DETAIL_VOLTAGE, 0);
        frame_put16(ret + FRAME_OFF_DETAIL_TEMPERATURE, 0);
        ret[FRAME_OFF_STATUS] |= FRAME_STATUS_COMMUNICATION_ERROR;
        ret[FRAME_OFF_CHECKSUM] = frame_checksum(ret);
}
