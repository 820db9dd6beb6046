/* SPDX-License-Identifier: MIT */
#pragma once

/* The 58-byte frame: layout, checksum, unit coding. Source: "123SmartBMS data out protocol V1.2", as
 * gathered in wire-formats.md section 1. Freestanding C99: the boards' firmware is built from the same file,
 * so int may be 16 bits here.
 *
 * Knows nothing of plausibility (accept.h), of finding frames in a byte stream (deframer.h), or of time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_SIZE 58

/* Byte offsets. Multi-byte numbers are big endian and unsigned. */
enum {
        FRAME_OFF_PACK_VOLTAGE = 0,    /* 3 bytes, 5 mV */
        FRAME_OFF_CURRENT_IN = 3,      /* sign byte + 2 bytes, 125 mA */
        FRAME_OFF_CURRENT_OUT = 6,     /* same */
        FRAME_OFF_CURRENT_SUM = 9,     /* same, charging positive */
        FRAME_OFF_LOWEST_VOLTAGE = 12, /* 2 bytes, 5 mV */
        FRAME_OFF_LOWEST_VOLTAGE_CELL = 14,
        FRAME_OFF_HIGHEST_VOLTAGE = 15,
        FRAME_OFF_HIGHEST_VOLTAGE_CELL = 17,
        FRAME_OFF_LOWEST_TEMPERATURE = 18, /* 2 bytes, enum temperature_coding */
        FRAME_OFF_LOWEST_TEMPERATURE_CELL = 20,
        FRAME_OFF_HIGHEST_TEMPERATURE = 21,
        FRAME_OFF_HIGHEST_TEMPERATURE_CELL = 23,
        FRAME_OFF_DETAIL_CELL = 24,
        FRAME_OFF_COUNT = 25,
        FRAME_OFF_DETAIL_VOLTAGE = 26,
        FRAME_OFF_DETAIL_TEMPERATURE = 28,
        FRAME_OFF_STATUS = 30,
        FRAME_OFF_COLLECTED_TODAY = 31, /* 3 bytes, Wh */
        FRAME_OFF_STORED = 34,          /* 3 bytes, Wh */
        FRAME_OFF_CONSUMED_TODAY = 37,  /* 3 bytes, Wh */
        FRAME_OFF_SOC = 40,             /* % */
        FRAME_OFF_COLLECTED_TOTAL = 41, /* 3 bytes, kWh */
        FRAME_OFF_CONSUMED_TOTAL = 44,  /* 3 bytes, kWh */
        FRAME_OFF_KEY = 47,             /* key + 25; below 25: no key (older firmware sends the hour) */
        FRAME_OFF_VALUE = 48,
        FRAME_OFF_CAPACITY = 49,  /* 2 bytes, 100 Wh */
        FRAME_OFF_V_MIN = 51,     /* 2 bytes, 5 mV */
        FRAME_OFF_V_MAX = 53,     /* 2 bytes, 5 mV */
        FRAME_OFF_V_BYPASS = 55,  /* 2 bytes, 5 mV */
        FRAME_OFF_CHECKSUM = 57,  /* sum of bytes 0..56 modulo 256 */
};

#define FRAME_KEY_BIAS 25
#define FRAME_VOLTAGE_STEP_MV 5
#define FRAME_CURRENT_STEP_MA 125
#define FRAME_CAPACITY_STEP_WH 100

/* Status 1 (offset 30). */
enum {
        FRAME_STATUS_CHARGE_ALLOWED = 1 << 0,
        FRAME_STATUS_DISCHARGE_ALLOWED = 1 << 1,
        FRAME_STATUS_COMMUNICATION_ERROR = 1 << 2,
        FRAME_STATUS_V_MIN = 1 << 3,
        FRAME_STATUS_V_MAX = 1 << 4,
        FRAME_STATUS_T_MIN = 1 << 5,
        FRAME_STATUS_T_MAX = 1 << 6,
        FRAME_STATUS_NOT_CALIBRATED = 1 << 7,
};

/* Key/value pairs of this project (chain.md); vendor keys are in wire-formats.md. */
enum {
        FRAME_KEY_STATE_OF_HEALTH = 0,
        FRAME_KEY_FORMAT_VERSION = 128,
        FRAME_KEY_ORPHAN = 129,
        FRAME_KEY_SWITCHES = 130, /* option switches 1..8 as bits 0..7: bit 4 = switch 5, critical mode */
        FRAME_KEY_SENSOR_TYPE = 131,
        FRAME_KEY_CONFIGURED_CELLS = 132,
        FRAME_KEY_FIRMWARE_MAJOR = 133,
        FRAME_KEY_FIRMWARE_MINOR = 134,
        FRAME_KEY_FLAGS = 135,
        FRAME_KEY_LAST = 229,
};

/* How byte pairs stand for temperatures. SHEET: 1 degC a step, 276 = 0 degC (both published sheets).
 * LEGACY: raw * 0.857 - 232.1 degC (the vendor's own drivers, which also serve older boards). */
enum temperature_coding {
        TEMPERATURE_SHEET,
        TEMPERATURE_LEGACY,
};

/* A current as sent: known is false for sign byte 'X' (no sensor), and then ma is 0. */
struct frame_current {
        bool known;
        int32_t ma;
};

/* One frame in engineering units. Values are as sent: 0 in a reading or a cell number may mean "unknown";
 * accept.h and pack.h decide. Temperatures of raw 0 (unknown) have the value the coding gives for 0. */
struct frame {
        uint32_t pack_mv;
        struct frame_current in, out, sum;
        uint32_t lowest_mv, highest_mv, detail_mv;
        int32_t lowest_decic, highest_decic, detail_decic;
        uint8_t lowest_voltage_cell, highest_voltage_cell;
        uint8_t lowest_temperature_cell, highest_temperature_cell;
        uint8_t detail_cell, count;
        uint8_t status;
        uint8_t soc_percent;
        uint8_t key_byte, value; /* key_byte as on the wire: key + FRAME_KEY_BIAS */
        uint32_t collected_today_wh, stored_wh, consumed_today_wh;
        uint32_t collected_total_kwh, consumed_total_kwh;
        uint32_t capacity_wh;
        uint32_t v_min_mv, v_max_mv, v_bypass_mv;
        bool lowest_temperature_known, highest_temperature_known, detail_temperature_known; /* raw != 0 */
};

/* Big-endian access, used by firmware too. */
uint16_t frame_get16(const uint8_t *p);
uint32_t frame_get24(const uint8_t *p);
void frame_put16(uint8_t *p, uint16_t value);
void frame_put24(uint8_t *p, uint32_t value);

/* Sum of bytes 0..56 modulo 256, as byte 57 must have it. */
uint8_t frame_checksum(const uint8_t bytes[FRAME_SIZE]);

/* 0.1 degC for a raw temperature; exact for SHEET, rounded to the nearest for LEGACY. */
int32_t frame_temperature_decode(uint16_t raw, enum temperature_coding coding);

/* The raw value nearest to decic (saturating at 1 and 65535: raw 0 means unknown). Inverts decode exactly. */
uint16_t frame_temperature_encode(int32_t decic, enum temperature_coding coding);

/* Decodes 58 bytes. Returns false and leaves *ret_frame alone if the checksum is wrong or a sign byte is none
 * of '+', '-', 'X'. Every other content decodes. */
bool frame_decode(const uint8_t bytes[FRAME_SIZE], enum temperature_coding coding, struct frame *ret_frame);

/* Encodes, checksum included. Values are rounded to the nearest step and saturate at what the field holds;
 * a temperature not marked known is written as raw 0; a current not known as 'X' 0 0; zero current as '+'. */
void frame_encode(const struct frame *frame, enum temperature_coding coding, uint8_t ret_bytes[FRAME_SIZE]);

/* Key of the key/value pair, or -1 where byte 47 holds none (below FRAME_KEY_BIAS). */
int16_t frame_key(const struct frame *frame);
