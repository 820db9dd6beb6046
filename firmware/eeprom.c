/* SPDX-License-Identifier: MIT */
#include "eeprom.h"

/* A slot: marker, sequence, payload, CRC of all that (big endian). The marker says which kind and which
 * format this is. */
enum {
        OFF_MARKER = 0,
        OFF_SEQUENCE = 1,
        OFF_PAYLOAD = 2,
        OFF_CRC = OFF_PAYLOAD + EEPROM_PAYLOAD_SIZE,
};

#define MARKER 0xA0u
#define MARKER_NONE 0xFFu /* what an erased byte holds */

static uint16_t get16(const uint8_t *p) {
        return (uint16_t)(((uint16_t)p[0] << 8) | p[1]);
}

static void put16(uint8_t *p, uint16_t value) {
        p[0] = (uint8_t)(value >> 8);
        p[1] = (uint8_t)(value & 0xFFu);
}

/* CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, not reflected. */
static uint16_t crc16(const uint8_t *bytes, uint8_t size) {
        uint16_t crc = 0xFFFF;

        for (uint8_t i = 0; i < size; i++) {
                crc = (uint16_t)(crc ^ (uint16_t)((uint16_t)bytes[i] << 8));
                for (uint8_t bit = 0; bit < 8; bit++) {
                        uint16_t shifted = (uint16_t)((uint32_t)crc << 1);

                        crc = crc & 0x8000u ? (uint16_t)(shifted ^ 0x1021u) : shifted;
                }
        }
        return crc;
}

static uint8_t marker_of(enum eeprom_kind kind) {
        return (uint8_t)(MARKER + (uint8_t)kind);
}

static bool slot_good(enum eeprom_kind kind, const uint8_t *slot) {
        return slot[OFF_MARKER] == marker_of(kind) && get16(slot + OFF_CRC) == crc16(slot, OFF_CRC);
}

static void clear(uint8_t payload[EEPROM_PAYLOAD_SIZE]) {
        for (uint8_t i = 0; i < EEPROM_PAYLOAD_SIZE; i++)
                payload[i] = 0;
}

static bool unused(const uint8_t payload[EEPROM_PAYLOAD_SIZE], uint8_t from) {
        for (uint8_t i = from; i < EEPROM_PAYLOAD_SIZE; i++)
                if (payload[i] != 0)
                        return false;
        return true;
}

uint16_t eeprom_address(enum eeprom_kind kind) {
        return (uint16_t)(EEPROM_BASE + (uint16_t)kind * EEPROM_KIND_SIZE);
}

void eeprom_load(enum eeprom_kind kind, const uint8_t bytes[EEPROM_KIND_SIZE], struct eeprom_record *ret) {
        const uint8_t *second = bytes + EEPROM_SLOT_SIZE;
        bool good[EEPROM_SLOTS] = {slot_good(kind, bytes), slot_good(kind, second)};
        const uint8_t *newest = bytes;

        ret->found = good[0] || good[1];
        ret->next_slot = 0;
        ret->next_sequence = 0;
        clear(ret->payload);
        if (!ret->found)
                return;

        /* Sequence numbers wrap; two good slots are one step apart. */
        if (good[1] && (!good[0] || (uint8_t)(second[OFF_SEQUENCE] - bytes[OFF_SEQUENCE]) < 0x80u))
                newest = second;
        ret->next_slot = newest == bytes ? 1 : 0;
        ret->next_sequence = (uint8_t)(newest[OFF_SEQUENCE] + 1u);
        for (uint8_t i = 0; i < EEPROM_PAYLOAD_SIZE; i++)
                ret->payload[i] = newest[OFF_PAYLOAD + i];
}

void eeprom_write_begin(struct eeprom_write *w, enum eeprom_kind kind, const struct eeprom_record *loaded,
                        const uint8_t payload[EEPROM_PAYLOAD_SIZE]) {
        w->address = (uint16_t)(eeprom_address(kind) + (uint16_t)loaded->next_slot * EEPROM_SLOT_SIZE);
        w->slot[OFF_MARKER] = marker_of(kind);
        w->slot[OFF_SEQUENCE] = loaded->next_sequence;
        for (uint8_t i = 0; i < EEPROM_PAYLOAD_SIZE; i++)
                w->slot[OFF_PAYLOAD + i] = payload[i];
        put16(w->slot + OFF_CRC, crc16(w->slot, OFF_CRC));
        w->step = 0;
}

bool eeprom_write_next(struct eeprom_write *w, uint16_t *ret_address, uint8_t *ret_value) {
        uint8_t step = w->step;

        /* The marker goes first, as none, and once more last: in between no half of a record can count as
         * one. */
        if (step > EEPROM_SLOT_SIZE)
                return false;
        *ret_address = (uint16_t)(w->address + (step == EEPROM_SLOT_SIZE ? OFF_MARKER : step));
        *ret_value = step == 0 ? (uint8_t)MARKER_NONE : w->slot[step == EEPROM_SLOT_SIZE ? OFF_MARKER : step];
        w->step++;
        return true;
}

void eeprom_put_trim(uint8_t payload[EEPROM_PAYLOAD_SIZE], uint8_t osccal) {
        clear(payload);
        payload[0] = osccal;
}

bool eeprom_get_trim(const uint8_t payload[EEPROM_PAYLOAD_SIZE], uint8_t *ret_osccal) {
        if (!unused(payload, 1))
                return false;
        *ret_osccal = payload[0];
        return true;
}

void eeprom_put_calibration(uint8_t payload[EEPROM_PAYLOAD_SIZE],
                            const struct measure_calibration *calibration) {
        clear(payload);
        put16(payload, calibration->gain_mv);
        put16(payload + 2, (uint16_t)calibration->offset_100uv);
        put16(payload + 4, calibration->bandgap);
}

bool eeprom_get_calibration(const uint8_t payload[EEPROM_PAYLOAD_SIZE], struct measure_calibration *ret) {
        struct measure_calibration calibration = {
                .gain_mv = get16(payload),
                .offset_100uv = (int16_t)get16(payload + 2),
                .bandgap = get16(payload + 4),
        };

        if (!unused(payload, 6) || !measure_calibration_valid(&calibration))
                return false;
        *ret = calibration;
        return true;
}

void eeprom_put_factory(uint8_t payload[EEPROM_PAYLOAD_SIZE], const struct eeprom_factory *factory) {
        clear(payload);
        payload[0] = factory->sensor_type;
        payload[1] = factory->cells;
}

bool eeprom_get_factory(const uint8_t payload[EEPROM_PAYLOAD_SIZE], struct eeprom_factory *ret) {
        if (!unused(payload, 2) || payload[0] > 7 || payload[1] < 2)
                return false;
        ret->sensor_type = payload[0];
        ret->cells = payload[1];
        return true;
}

void eeprom_put_hall(uint8_t payload[EEPROM_PAYLOAD_SIZE], const struct eeprom_hall *hall) {
        clear(payload);
        put16(payload, (uint16_t)hall->offset[0]);
        put16(payload + 2, (uint16_t)hall->offset[1]);
}

bool eeprom_get_hall(const uint8_t payload[EEPROM_PAYLOAD_SIZE], struct eeprom_hall *ret) {
        if (!unused(payload, 4))
                return false;
        ret->offset[0] = (int16_t)get16(payload);
        ret->offset[1] = (int16_t)get16(payload + 2);
        return true;
}

void eeprom_put_raw(uint8_t payload[EEPROM_PAYLOAD_SIZE], const struct measure_sums *sums) {
        clear(payload);
        put16(payload, sums->cell);
        put16(payload + 2, sums->ntc);
        put16(payload + 4, sums->bandgap);
}

bool eeprom_get_raw(const uint8_t payload[EEPROM_PAYLOAD_SIZE], struct measure_sums *ret) {
        struct measure_sums sums = {
                .cell = get16(payload),
                .ntc = get16(payload + 2),
                .bandgap = get16(payload + 4),
        };

        if (!unused(payload, 6) || measure_raw(&sums) == MEASURE_RAW_NONE)
                return false;
        *ret = sums;
        return true;
}
