/* SPDX-License-Identifier: MIT */
#include "chip-in.h"

#include <avr/interrupt.h>
#include <avr/io.h>

#include "output-line.h"

/* Switches 1..8, in order (hardware.h). */
#define SWITCHES_B ((1u << PORTB0) | (1u << PORTB2) | (1u << PORTB3) | (1u << PORTB4) | (1u << PORTB5))
#define SWITCHES_C ((1u << PORTC4) | (1u << PORTC5))
#define SWITCHES_D (1u << PORTD2)
#define HALL (1u << PORTD7)
#define OUTPUT (1u << PORTB1)

/* What the pin will be at the next compare. */
#define NEXT_HIGH ((uint8_t)((1u << COM1A1) | (1u << COM1A0)))
#define NEXT_LOW ((uint8_t)(1u << COM1A1))

/* From the call to the first start bit. The first level has to be prepared before that compare, which takes
 * up to 2.5 ticks (160 clocks); if it came late the start bit would be missing, so there is room. */
#define START_TICKS 8

void chip_in_init(void) {
        PORTB |= SWITCHES_B;
        PORTC |= SWITCHES_C;
        PORTD |= SWITCHES_D;
        /* The pin takes the level of the compare unit, which is made high before it drives. */
        TCCR1A = NEXT_HIGH;
        TCCR1C = 1u << FOC1A;
        DDRB |= OUTPUT;
        DDRD |= HALL;
}

uint8_t chip_switches(void) {
        uint8_t b = (uint8_t)~PINB, c = (uint8_t)~PINC, d = (uint8_t)~PIND;

        /* PB0 is switch 1, PB2..PB5 are 2..5, PC4 and PC5 6 and 7, PD2 is 8. */
        return (uint8_t)((b & 1u) | ((b >> 1) & 0x1eu) | ((c << 1) & 0x60u) | ((unsigned)(d << 5) & 0x80u));
}

void chip_hall_supply(bool on) {
        if (on)
                PORTD |= HALL;
        else
                PORTD &= (uint8_t)~HALL;
}

/* The level for the compare after the next one, prepared while there is time. */
static uint8_t prepared;
static bool more;

static void prepare(void) {
        bool level = true;

        more = chip_on_output(&level);
        prepared = level ? NEXT_HIGH : NEXT_LOW;
}

/* The compare unit gave the level to the pin at the tick, whatever this is late by, and is told of the next bit before
 * anything else. */
ISR(TIMER1_COMPA_vect) {
        if (!more) {
                TIMSK1 &= (uint8_t) ~(1u << OCIE1A);
                return;
        }
        TCCR1A = prepared;
        OCR1A = (uint16_t)(OCR1A + OUTPUT_LINE_BIT_TICKS);
        prepare();
}

void chip_output_start(void) {
        chip_lock();
        prepare();
        TCCR1A = prepared;
        OCR1A = (uint16_t)(TCNT1 + START_TICKS);
        TIFR1 = 1u << OCF1A;
        TIMSK1 |= 1u << OCIE1A;
        prepare();
        chip_unlock();
}
