/* SPDX-License-Identifier: MIT */
#pragma once

/* What a board keeps without power, as records in the chip's EEPROM. Each kind has two slots of 12 bytes: a
 * marker, a sequence number, 8 bytes of payload, a CRC. A new record goes to the slot that does not hold the
 * newest one, its marker first made invalid and written last, so that an interrupted write leaves the old
 * record or the new one.
 *
 * Pure: bytes are arguments, and what is to be written is handed out byte by byte. Knows no register. The
 * first 16 bytes of the EEPROM are left alone. The host tool firmware/tools/smartbms-calibrate writes the
 * same format (docs/boards.md). */

#include <stdbool.h>
#include <stdint.h>

#include "measure.h"

enum eeprom_kind {
        EEPROM_TRIM,        /* OSCCAL */
        EEPROM_CALIBRATION, /* of the voltage */
        EEPROM_FACTORY,     /* IN board: sensor type, number of cells */
        EEPROM_HALL,        /* IN board: offsets of the current sensors */
        EEPROM_RAW_LOW,     /* sums of a board without calibration, at a low voltage */
        EEPROM_RAW_HIGH,    /* ... at a high one */
        _EEPROM_KIND_MAX,
};

#define EEPROM_BASE 16
#define EEPROM_PAYLOAD_SIZE 8
#define EEPROM_SLOT_SIZE (EEPROM_PAYLOAD_SIZE + 4)
#define EEPROM_SLOTS 2
#define EEPROM_KIND_SIZE (EEPROM_SLOTS * EEPROM_SLOT_SIZE)
#define EEPROM_END (EEPROM_BASE + _EEPROM_KIND_MAX * EEPROM_KIND_SIZE)

/* Where the EEPROM_KIND_SIZE bytes of a kind begin. */
uint16_t eeprom_address(enum eeprom_kind kind);

/* What was found of a kind. */
struct eeprom_record {
        bool found;
        uint8_t payload[EEPROM_PAYLOAD_SIZE]; /* zeros if not found */
        uint8_t next_slot, next_sequence;     /* for the record to be written next */
};

/* Finds the newest good record in a kind's bytes. */
void eeprom_load(enum eeprom_kind kind, const uint8_t bytes[EEPROM_KIND_SIZE], struct eeprom_record *ret);

/* A record on its way into the EEPROM. */
struct eeprom_write {
        uint16_t address; /* of the slot */
        uint8_t slot[EEPROM_SLOT_SIZE];
        uint8_t step;
};

/* Begins to write payload after what was loaded. Load again before the next write of the kind. */
void eeprom_write_begin(struct eeprom_write *w, enum eeprom_kind kind, const struct eeprom_record *loaded,
                        const uint8_t payload[EEPROM_PAYLOAD_SIZE]);

/* The next byte to write; each must be in the EEPROM before the next is asked for. Returns false when all are
 * written. */
bool eeprom_write_next(struct eeprom_write *w, uint16_t *ret_address, uint8_t *ret_value);

/* ---- payloads: unused bytes are zero. get: false, and *ret untouched, if no sound board can have stored
 * that ---- */

void eeprom_put_trim(uint8_t payload[EEPROM_PAYLOAD_SIZE], uint8_t osccal);
bool eeprom_get_trim(const uint8_t payload[EEPROM_PAYLOAD_SIZE], uint8_t *ret_osccal);

void eeprom_put_calibration(uint8_t payload[EEPROM_PAYLOAD_SIZE],
                            const struct measure_calibration *calibration);
bool eeprom_get_calibration(const uint8_t payload[EEPROM_PAYLOAD_SIZE], struct measure_calibration *ret);

struct eeprom_factory {
        uint8_t sensor_type; /* 0..7 in the order of the manual's table */
        uint8_t cells;       /* 2..255 */
};
void eeprom_put_factory(uint8_t payload[EEPROM_PAYLOAD_SIZE], const struct eeprom_factory *factory);
bool eeprom_get_factory(const uint8_t payload[EEPROM_PAYLOAD_SIZE], struct eeprom_factory *ret);

/* Offsets of both sensors, in a unit of current.h. */
struct eeprom_hall {
        int16_t offset[2];
};
void eeprom_put_hall(uint8_t payload[EEPROM_PAYLOAD_SIZE], const struct eeprom_hall *hall);
bool eeprom_get_hall(const uint8_t payload[EEPROM_PAYLOAD_SIZE], struct eeprom_hall *ret);

void eeprom_put_raw(uint8_t payload[EEPROM_PAYLOAD_SIZE], const struct measure_sums *sums);
bool eeprom_get_raw(const uint8_t payload[EEPROM_PAYLOAD_SIZE], struct measure_sums *ret);
