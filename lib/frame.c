/* SPDX-License-Identifier: MIT */
#include "frame.h"

/* int may have 16 bits here: every shift and product is made in uint32_t or int32_t. No libc. */

#define RAW16_MAX UINT32_C(0xFFFF)
#define RAW24_MAX UINT32_C(0xFFFFFF)

/* SHEET: 1 degC a step, 276 = 0 degC. */
#define SHEET_ZERO INT32_C(276)
#define SHEET_STEP_DECIC INT32_C(10)

/* LEGACY, raw * 0.857 - 232.1 degC, in 0.001 degC. */
#define LEGACY_STEP_MILLIC INT32_C(857)
#define LEGACY_OFFSET_MILLIC INT32_C(232100)
#define MILLIC_PER_DECIC INT32_C(100)

/* Beyond what any raw value stands for in either coding; keeps the arithmetic below inside int32_t. */
#define DECIC_BOUND INT32_C(1000000)

uint16_t frame_get16(const uint8_t *p) {
        return (uint16_t)(((uint32_t)p[0] << 8) | p[1]);
}

uint32_t frame_get24(const uint8_t *p) {
        return ((uint32_t)p[0] << 16) | ((uint32_t)p[1] << 8) | p[2];
}

void frame_put16(uint8_t *p, uint16_t value) {
        p[0] = (uint8_t)(value >> 8);
        p[1] = (uint8_t)(value & 0xFFu);
}

void frame_put24(uint8_t *p, uint32_t value) {
        p[0] = (uint8_t)((value >> 16) & 0xFFu);
        p[1] = (uint8_t)((value >> 8) & 0xFFu);
        p[2] = (uint8_t)(value & 0xFFu);
}

uint8_t frame_checksum(const uint8_t bytes[FRAME_SIZE]) {
        uint8_t sum = 0;

        for (uint8_t i = 0; i < FRAME_OFF_CHECKSUM; i++)
                sum = (uint8_t)(sum + bytes[i]);
        return sum;
}

/* dividend / divisor to the nearest whole number, halves away from zero; divisor > 0. */
static int32_t divide_rounded(int32_t dividend, int32_t divisor) {
        int32_t half = divisor / 2;

        return (dividend >= 0 ? dividend + half : dividend - half) / divisor;
}

int32_t frame_temperature_decode(uint16_t raw, enum temperature_coding coding) {
        if (coding == TEMPERATURE_LEGACY)
                return divide_rounded((int32_t)raw * LEGACY_STEP_MILLIC - LEGACY_OFFSET_MILLIC,
                                      MILLIC_PER_DECIC);
        return ((int32_t)raw - SHEET_ZERO) * SHEET_STEP_DECIC;
}

uint16_t frame_temperature_encode(int32_t decic, enum temperature_coding coding) {
        int32_t raw;

        if (decic > DECIC_BOUND)
                decic = DECIC_BOUND;
        if (decic < -DECIC_BOUND)
                decic = -DECIC_BOUND;

        if (coding == TEMPERATURE_LEGACY)
                raw = divide_rounded(decic * MILLIC_PER_DECIC + LEGACY_OFFSET_MILLIC, LEGACY_STEP_MILLIC);
        else
                raw = divide_rounded(decic + SHEET_ZERO * SHEET_STEP_DECIC, SHEET_STEP_DECIC);

        if (raw < 1)
                return 1;
        return raw > (int32_t)RAW16_MAX ? (uint16_t)RAW16_MAX : (uint16_t)raw;
}

static bool current_decode(const uint8_t *p, struct frame_current *ret_current) {
        int32_t ma = (int32_t)frame_get16(p + 1) * FRAME_CURRENT_STEP_MA;

        switch (p[0]) {
        case '+':
                *ret_current = (struct frame_current){.known = true, .ma = ma};
                return true;
        case '-':
                *ret_current = (struct frame_current){.known = true, .ma = -ma};
                return true;
        case 'X':
                *ret_current = (struct frame_current){.known = false, .ma = 0};
                return true;
        default:
                return false;
        }
}

static uint32_t volt16(const uint8_t *p) {
        return (uint32_t)frame_get16(p) * FRAME_VOLTAGE_STEP_MV;
}

static int32_t temperature_get(const uint8_t *p, enum temperature_coding coding, bool *ret_known) {
        uint16_t raw = frame_get16(p);

        *ret_known = raw != 0;
        return frame_temperature_decode(raw, coding);
}

/* What the cells measured: bytes 0..2 and 12..30. */
static void readings_decode(const uint8_t bytes[FRAME_SIZE], enum temperature_coding coding,
                            struct frame *f) {
        f->pack_mv = frame_get24(bytes + FRAME_OFF_PACK_VOLTAGE) * FRAME_VOLTAGE_STEP_MV;
        f->lowest_mv = volt16(bytes + FRAME_OFF_LOWEST_VOLTAGE);
        f->lowest_voltage_cell = bytes[FRAME_OFF_LOWEST_VOLTAGE_CELL];
        f->highest_mv = volt16(bytes + FRAME_OFF_HIGHEST_VOLTAGE);
        f->highest_voltage_cell = bytes[FRAME_OFF_HIGHEST_VOLTAGE_CELL];
        f->lowest_decic = temperature_get(bytes + FRAME_OFF_LOWEST_TEMPERATURE, coding,
                                          &f->lowest_temperature_known);
        f->lowest_temperature_cell = bytes[FRAME_OFF_LOWEST_TEMPERATURE_CELL];
        f->highest_decic = temperature_get(bytes + FRAME_OFF_HIGHEST_TEMPERATURE, coding,
                                           &f->highest_temperature_known);
        f->highest_temperature_cell = bytes[FRAME_OFF_HIGHEST_TEMPERATURE_CELL];
        f->detail_cell = bytes[FRAME_OFF_DETAIL_CELL];
        f->count = bytes[FRAME_OFF_COUNT];
        f->detail_mv = volt16(bytes + FRAME_OFF_DETAIL_VOLTAGE);
        f->detail_decic = temperature_get(bytes + FRAME_OFF_DETAIL_TEMPERATURE, coding,
                                          &f->detail_temperature_known);
        f->status = bytes[FRAME_OFF_STATUS];
}

/* What an OUT board adds, and the key/value pair: bytes 31..56. */
static void summary_decode(const uint8_t bytes[FRAME_SIZE], struct frame *f) {
        f->collected_today_wh = frame_get24(bytes + FRAME_OFF_COLLECTED_TODAY);
        f->stored_wh = frame_get24(bytes + FRAME_OFF_STORED);
        f->consumed_today_wh = frame_get24(bytes + FRAME_OFF_CONSUMED_TODAY);
        f->soc_percent = bytes[FRAME_OFF_SOC];
        f->collected_total_kwh = frame_get24(bytes + FRAME_OFF_COLLECTED_TOTAL);
        f->consumed_total_kwh = frame_get24(bytes + FRAME_OFF_CONSUMED_TOTAL);
        f->key_byte = bytes[FRAME_OFF_KEY];
        f->value = bytes[FRAME_OFF_VALUE];
        f->capacity_wh = (uint32_t)frame_get16(bytes + FRAME_OFF_CAPACITY) * FRAME_CAPACITY_STEP_WH;
        f->v_min_mv = volt16(bytes + FRAME_OFF_V_MIN);
        f->v_max_mv = volt16(bytes + FRAME_OFF_V_MAX);
        f->v_bypass_mv = volt16(bytes + FRAME_OFF_V_BYPASS);
}

bool frame_decode(const uint8_t bytes[FRAME_SIZE], enum temperature_coding coding, struct frame *ret_frame) {
        struct frame_current in, out, sum;

        if (bytes[FRAME_OFF_CHECKSUM] != frame_checksum(bytes))
                return false;
        if (!current_decode(bytes + FRAME_OFF_CURRENT_IN, &in) ||
            !current_decode(bytes + FRAME_OFF_CURRENT_OUT, &out) ||
            !current_decode(bytes + FRAME_OFF_CURRENT_SUM, &sum))
                return false;

        ret_frame->in = in;
        ret_frame->out = out;
        ret_frame->sum = sum;
        readings_decode(bytes, coding, ret_frame);
        summary_decode(bytes, ret_frame);
        return true;
}

/* value in steps, to the nearest, at most max. The remainder is compared so that no value can overflow. */
static uint32_t steps(uint32_t value, uint32_t step, uint32_t max) {
        uint32_t n = value / step, rest = value % step;

        if (rest >= step - rest)
                n++;
        return n > max ? max : n;
}

static void current_encode(const struct frame_current *current, uint8_t *p) {
        uint32_t magnitude, n;

        if (!current->known) {
                p[0] = 'X';
                frame_put16(p + 1, 0);
                return;
        }

        /* Negated as unsigned: -INT32_MIN does not exist. */
        magnitude = current->ma < 0 ? UINT32_C(0) - (uint32_t)current->ma : (uint32_t)current->ma;
        n = steps(magnitude, FRAME_CURRENT_STEP_MA, RAW16_MAX);
        p[0] = current->ma < 0 && n > 0 ? '-' : '+';
        frame_put16(p + 1, (uint16_t)n);
}

static void put_steps16(uint8_t *p, uint32_t value, uint32_t step) {
        frame_put16(p, (uint16_t)steps(value, step, RAW16_MAX));
}

static void put_steps24(uint8_t *p, uint32_t value, uint32_t step) {
        frame_put24(p, steps(value, step, RAW24_MAX));
}

static void temperature_put(uint8_t *p, bool known, int32_t decic, enum temperature_coding coding) {
        frame_put16(p, known ? frame_temperature_encode(decic, coding) : 0);
}

static void readings_encode(const struct frame *f, enum temperature_coding coding,
                            uint8_t bytes[FRAME_SIZE]) {
        put_steps24(bytes + FRAME_OFF_PACK_VOLTAGE, f->pack_mv, FRAME_VOLTAGE_STEP_MV);
        current_encode(&f->in, bytes + FRAME_OFF_CURRENT_IN);
        current_encode(&f->out, bytes + FRAME_OFF_CURRENT_OUT);
        current_encode(&f->sum, bytes + FRAME_OFF_CURRENT_SUM);
        put_steps16(bytes + FRAME_OFF_LOWEST_VOLTAGE, f->lowest_mv, FRAME_VOLTAGE_STEP_MV);
        bytes[FRAME_OFF_LOWEST_VOLTAGE_CELL] = f->lowest_voltage_cell;
        put_steps16(bytes + FRAME_OFF_HIGHEST_VOLTAGE, f->highest_mv, FRAME_VOLTAGE_STEP_MV);
        bytes[FRAME_OFF_HIGHEST_VOLTAGE_CELL] = f->highest_voltage_cell;
        temperature_put(bytes + FRAME_OFF_LOWEST_TEMPERATURE, f->lowest_temperature_known, f->lowest_decic,
                        coding);
        bytes[FRAME_OFF_LOWEST_TEMPERATURE_CELL] = f->lowest_temperature_cell;
        temperature_put(bytes + FRAME_OFF_HIGHEST_TEMPERATURE, f->highest_temperature_known, f->highest_decic,
                        coding);
        bytes[FRAME_OFF_HIGHEST_TEMPERATURE_CELL] = f->highest_temperature_cell;
        bytes[FRAME_OFF_DETAIL_CELL] = f->detail_cell;
        bytes[FRAME_OFF_COUNT] = f->count;
        put_steps16(bytes + FRAME_OFF_DETAIL_VOLTAGE, f->detail_mv, FRAME_VOLTAGE_STEP_MV);
        temperature_put(bytes + FRAME_OFF_DETAIL_TEMPERATURE, f->detail_temperature_known, f->detail_decic,
                        coding);
        bytes[FRAME_OFF_STATUS] = f->status;
}

static void summary_encode(const struct frame *f, uint8_t bytes[FRAME_SIZE]) {
        put_steps24(bytes + FRAME_OFF_COLLECTED_TODAY, f->collected_today_wh, 1);
        put_steps24(bytes + FRAME_OFF_STORED, f->stored_wh, 1);
        put_steps24(bytes + FRAME_OFF_CONSUMED_TODAY, f->consumed_today_wh, 1);
        bytes[FRAME_OFF_SOC] = f->soc_percent;
        put_steps24(bytes + FRAME_OFF_COLLECTED_TOTAL, f->collected_total_kwh, 1);
        put_steps24(bytes + FRAME_OFF_CONSUMED_TOTAL, f->consumed_total_kwh, 1);
        bytes[FRAME_OFF_KEY] = f->key_byte;
        bytes[FRAME_OFF_VALUE] = f->value;
        put_steps16(bytes + FRAME_OFF_CAPACITY, f->capacity_wh, FRAME_CAPACITY_STEP_WH);
        put_steps16(bytes + FRAME_OFF_V_MIN, f->v_min_mv, FRAME_VOLTAGE_STEP_MV);
        put_steps16(bytes + FRAME_OFF_V_MAX, f->v_max_mv, FRAME_VOLTAGE_STEP_MV);
        put_steps16(bytes + FRAME_OFF_V_BYPASS, f->v_bypass_mv, FRAME_VOLTAGE_STEP_MV);
}

void frame_encode(const struct frame *frame, enum temperature_coding coding, uint8_t ret_bytes[FRAME_SIZE]) {
        readings_encode(frame, coding, ret_bytes);
        summary_encode(frame, ret_bytes);
        ret_bytes[FRAME_OFF_CHECKSUM] = frame_checksum(ret_bytes);
}

int16_t frame_key(const struct frame *frame) {
        if (frame->key_byte < FRAME_KEY_BIAS)
                return -1;
        return (int16_t)(frame->key_byte - FRAME_KEY_BIAS);
}
