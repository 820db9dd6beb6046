/* SPDX-License-Identifier: MIT */
#include "records.h"

#include "chip.h"

static void load(enum eeprom_kind kind, struct eeprom_record *ret) {
        uint8_t bytes[EEPROM_KIND_SIZE];
        uint16_t address = eeprom_address(kind);

        for (uint8_t i = 0; i < EEPROM_KIND_SIZE; i++)
                bytes[i] = chip_eeprom_read((uint16_t)(address + i));
        eeprom_load(kind, bytes, ret);
}

bool records_load(enum eeprom_kind kind, uint8_t ret_payload[EEPROM_PAYLOAD_SIZE]) {
        struct eeprom_record record;

        load(kind, &record);
        for (uint8_t i = 0; i < EEPROM_PAYLOAD_SIZE; i++)
                ret_payload[i] = record.payload[i];
        return record.found;
}

void records_store(enum eeprom_kind kind, const uint8_t payload[EEPROM_PAYLOAD_SIZE]) {
        struct eeprom_record record;
        struct eeprom_write write;
        uint16_t address;
        uint8_t value;

        load(kind, &record);
        eeprom_write_begin(&write, kind, &record, payload);
        while (eeprom_write_next(&write, &address, &value)) {
                chip_eeprom_write(address, value);
                chip_watchdog();
        }
}
