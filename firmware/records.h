/* SPDX-License-Identifier: MIT */
#pragma once

/* eeprom.h's records in the chip's own EEPROM. From main, with interrupts open. */

#include <stdbool.h>
#include <stdint.h>

#include "eeprom.h"

/* Returns false, and zeros, if there is none. */
bool records_load(enum eeprom_kind kind, uint8_t ret_payload[EEPROM_PAYLOAD_SIZE]);

/* Takes up to 50 ms, asleep; the watchdog is fed. */
void records_store(enum eeprom_kind kind, const uint8_t payload[EEPROM_PAYLOAD_SIZE]);
