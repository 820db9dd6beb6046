/* SPDX-License-Identifier: MIT */

/* A small image that pokes at the parts of the chip, so that the simulated chip itself can be tested
 * (test-chip.c) without the boards' firmware. PROBE_TALKER sends 58 counting bytes each half second by timer
 * 1 and toggles OC1A; else each received byte goes on, one higher. Both leave what they saw in the EEPROM's
 * first bytes. */

#include <avr/eeprom.h>
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#define SIZE 58

static volatile uint8_t sent;
#ifndef PROBE_TALKER
static volatile uint8_t spin;
#endif

#ifdef PROBE_TALKER
#define UBRR_VALUE 23 /* 3.6864 MHz, 16 samples */

ISR(TIMER1_COMPB_vect) {
        OCR1B += 28800; /* 3.6864 MHz / 64 / 2 */
        sent = 0;
        UCSR0B |= _BV(UDRIE0);
}

ISR(USART_UDRE_vect) {
        if (sent == SIZE)
                UCSR0B &= (uint8_t)~_BV(UDRIE0);
        else
                UDR0 = sent++;
}
#else
#define UBRR_VALUE 25 /* 2 MHz, 8 samples */

ISR(USART_RX_vect) {
        uint8_t status = UCSR0A, byte = UDR0;

        if (status & (_BV(FE0) | _BV(DOR0)))
                GPIOR0++;
        UDR0 = (uint8_t)(byte + 1);
        if (byte == 20 && spin) /* too busy for six characters */
                for (uint16_t i = 0; i < 3000; i++)
                        __asm__ volatile("nop");
        sent++;
}
#endif

static uint16_t convert(uint8_t channel) {
        ADMUX = channel;
        ADCSRA = _BV(ADEN) | _BV(ADPS2) | _BV(ADPS0);
        ADCSRA |= _BV(ADSC);
        while (ADCSRA & _BV(ADSC))
                ;
        return ADC;
}

int main(void) {
        uint8_t cause = MCUSR;
        uint16_t value;

        MCUSR = 0;
        wdt_enable(WDTO_1S);
#ifdef PROBE_TALKER
        CLKPR = _BV(CLKPCE);
        CLKPR = 0;
        DDRB |= _BV(1);
        TCCR1A = _BV(COM1A0);
#else
        CLKPR = _BV(CLKPCE);
        CLKPR = 2;
        UCSR0A = _BV(U2X0);
        DDRD |= _BV(5);
        PORTD |= _BV(5);
#endif
        TCCR1B = _BV(CS11) | _BV(CS10);
        UBRR0 = UBRR_VALUE;
        UCSR0B = _BV(TXEN0) | _BV(RXEN0);
        while (TCNT1 < 400)
                ;
        value = convert(0);
        eeprom_update_byte((uint8_t *)0, cause);
        eeprom_update_word((uint16_t *)2, value);
        value = convert(1);
        eeprom_update_word((uint16_t *)4, value);
#ifdef PROBE_TALKER
        OCR1A = 1000;
        OCR1B = 28800;
        TIFR1 = _BV(OCF1B);
        TIMSK1 = _BV(OCIE1B);
#else
        spin = eeprom_read_byte((uint8_t *)8) == 1;
        UCSR0B |= _BV(RXCIE0);
        OCR1A = 31250 & 0xFFFF;
        TIFR1 = _BV(OCF1A);
        TIMSK1 = _BV(OCIE1A);
#endif
        set_sleep_mode(eeprom_read_byte((uint8_t *)9) == 1 ? SLEEP_MODE_PWR_DOWN : SLEEP_MODE_IDLE);
        sei();
        for (;;) {
                if (eeprom_read_byte((uint8_t *)10) != 1)
                        wdt_reset();
                sleep_mode();
        }
}

#ifndef PROBE_TALKER
ISR(TIMER1_COMPA_vect) {
        OCR1A += 31250;
}
#endif
