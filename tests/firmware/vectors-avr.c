/* SPDX-License-Identifier: MIT */
/* vectors.c on the chip: the number is left in four general registers, then the chip sleeps for good. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#include "vectors.h"

int main(void) {
        uint32_t hash = vectors_hash();

        GPIOR0 = (uint8_t)hash;
        GPIOR1 = (uint8_t)(hash >> 8);
        GPIOR2 = (uint8_t)(hash >> 16);
        EEDR = (uint8_t)(hash >> 24);
        cli();
        sleep_enable();
        sleep_cpu();
}
