/* SPDX-License-Identifier: MIT */
#include "chip.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

/* hardware.h's pins of port D. */
#define RXD (1u << PORTD0)
#define TXD (1u << PORTD1)
#define BYPASS (1u << PORTD3)
#define LED (1u << PORTD4)
#define SUPPLY (1u << PORTD5)
#define SENSE (1u << PIND6)

/* Double speed: of 9600 baud it makes 9615 at 4 MHz, and exactly 9600 at 3.6864 MHz. */
#define BAUD_DIVISOR (8UL * HARDWARE_BAUD)
#define UBRR_VALUE ((CHIP_CLOCK_HZ + BAUD_DIVISOR / 2) / BAUD_DIVISOR - 1)

/* The ADC wants 50..200 kHz: 125 kHz on a cell board, 115.2 on the IN board; 13 clocks a conversion. */
#if defined(CHIP_BOARD_CELL)
#define CLOCK_PRESCALER (1u << CLKPS0) /* 8 MHz / 2 */
#else
#define CLOCK_PRESCALER 0u
#endif
#define ADC_PRESCALER ((1u << ADPS2) | (1u << ADPS0)) /* 32 */
#define ADC_ON ((1u << ADEN) | (1u << ADIE) | ADC_PRESCALER)

/* A compare so near would be missed while it is written: two ticks are 128 clocks. */
#define NEAR_TICKS 2

/* Upper half of the time. */
static volatile uint16_t rounds;
#if defined(CHIP_BOARD_CELL)
static uint32_t alarm_ticks;
#endif

uint8_t chip_init(void) {
        uint8_t reset = MCUSR;

        cli();
        MCUSR = 0;
        wdt_enable(WDTO_2S);
        CLKPR = 1u << CLKPCE;
        CLKPR = CLOCK_PRESCALER;

        /* Everything off; inputs that nothing drives are pulled up. */
        PORTD = (uint8_t)(RXD | TXD | (1u << PORTD2));
        DDRD = (uint8_t)(TXD | BYPASS | LED | SUPPLY);
        PORTB = (1u << PORTB0) | (1u << PORTB1) | (1u << PORTB2) | (1u << PORTB3) | (1u << PORTB4) |
                (1u << PORTB5);
        PORTC = (1u << PORTC4) | (1u << PORTC5);
        DIDR0 = (1u << ADC0D) | (1u << ADC1D) | (1u << ADC2D) | (1u << ADC3D);
        PRR = (1u << PRTWI) | (1u << PRSPI) | (1u << PRTIM0) | (1u << PRTIM2);
        ACSR = 1u << ACD;

        UBRR0 = UBRR_VALUE;
        UCSR0A = 1u << U2X0;
        UCSR0C = (1u << UCSZ01) | (1u << UCSZ00);
        UCSR0B = (1u << RXCIE0) | (1u << RXEN0) | (1u << TXEN0);

        TCCR1A = 0;
        TCCR1B = (1u << CS11) | (1u << CS10); /* HARDWARE_TIMER_PRESCALER */
        TIMSK1 = 1u << TOIE1;

        set_sleep_mode(SLEEP_MODE_IDLE);
        return reset & (CHIP_RESET_POWER | CHIP_RESET_PIN | CHIP_RESET_BROWN_OUT | CHIP_RESET_WATCHDOG);
}

void chip_lock(void) {
        cli();
}

void chip_unlock(void) {
        sei();
}

void chip_sleep(void) {
        sleep_enable();
        sei(); /* takes effect after the next instruction: no interrupt comes in between */
        sleep_cpu();
        sleep_disable();
}

void chip_watchdog(void) {
        wdt_reset();
}

/* ---- time ---- */

ISR(TIMER1_OVF_vect) {
        rounds++;
}

/* In halves, as the compiler shifts and joins 32 bits slowly; the chip's order is low byte first. */
uint32_t chip_now_locked(void) {
        union {
                uint16_t half[2];
                uint32_t ticks;
        } now;

        now.half[0] = TCNT1;
        now.half[1] = rounds;
        /* Overflown while locked, and before the count was read. */
        if ((TIFR1 & (1u << TOV1)) && now.half[0] < 0x8000u)
                now.half[1]++;
        return now.ticks;
}

uint32_t chip_now(void) {
        uint32_t now;

        cli();
        now = chip_now_locked();
        sei();
        return now;
}

/* For a time that is past, or too near, the nearest one that is not. Further off than a round of the timer it
 * comes too early, once a round: who waits looks at the time. */
static uint16_t compare_for(uint32_t when_ticks) {
        uint32_t now = chip_now_locked();

        if ((int32_t)(when_ticks - now) < NEAR_TICKS)
                return (uint16_t)(now + NEAR_TICKS);
        return (uint16_t)when_ticks;
}

ISR(TIMER1_COMPB_vect) {
        TIMSK1 &= (uint8_t) ~(1u << OCIE1B);
}

void chip_wake_at(uint32_t when_ticks) {
        cli();
        OCR1B = compare_for(when_ticks);
        TIFR1 = 1u << OCF1B;
        TIMSK1 |= 1u << OCIE1B;
        sei();
}

void chip_wait_until(uint32_t when_ticks) {
        for (;;) {
                chip_wake_at(when_ticks);
                cli();
                if ((int32_t)(chip_now_locked() - when_ticks) >= 0)
                        break;
                chip_sleep();
        }
        sei();
}

#if defined(CHIP_BOARD_CELL)
ISR(TIMER1_COMPA_vect) {
        if ((int32_t)(chip_now_locked() - alarm_ticks) < 0)
                return;
        TIMSK1 &= (uint8_t) ~(1u << OCIE1A);
        chip_on_alarm();
}

void chip_alarm_at(uint32_t when_ticks) {
        alarm_ticks = when_ticks;
        OCR1A = compare_for(when_ticks);
        TIFR1 = 1u << OCF1A;
        TIMSK1 |= 1u << OCIE1A;
}
#endif

/* ---- serial line ---- */

ISR(USART_RX_vect) {
        bool damaged = (UCSR0A & ((1u << FE0) | (1u << DOR0))) != 0;
        uint8_t byte = UDR0;

        chip_on_receive(byte, damaged);
}

static void transmit(void) {
        uint8_t byte;

        if (chip_on_transmit(&byte))
                UDR0 = byte;
        else
                UCSR0B &= (uint8_t) ~(1u << UDRIE0);
}

ISR(USART_UDRE_vect) {
        transmit();
}

void chip_send(void) {
        /* At once, not when the caller's interrupt is over. */
        if (UCSR0A & (1u << UDRE0))
                transmit();
        UCSR0B |= 1u << UDRIE0;
}

/* ---- pins ---- */

/* Single bits of a low port: each is one instruction, which no interrupt divides. */
void chip_led(bool on) {
        if (on)
                PORTD |= LED;
        else
                PORTD &= (uint8_t)~LED;
}

void chip_bypass(bool on) {
        if (on)
                PORTD |= BYPASS;
        else
                PORTD &= (uint8_t)~BYPASS;
}

bool chip_bypass_sense(void) {
        return (PIND & SENSE) != 0;
}

void chip_measuring_supply(bool on) {
        if (on)
                PORTD |= SUPPLY;
        else
                PORTD &= (uint8_t)~SUPPLY;
}

/* ---- ADC ---- */

EMPTY_INTERRUPT(ADC_vect)

static uint16_t convert(void) {
        ADCSRA = (uint8_t)(ADC_ON | (1u << ADSC));
        for (;;) {
                cli();
                if (!(ADCSRA & (1u << ADSC)))
                        break;
                chip_sleep();
        }
        sei();
        return ADC;
}

uint16_t chip_adc_sum(uint8_t input, uint8_t log2_count) {
        uint16_t sum = 0;

        ADMUX = input; /* against AREF */
        (void)convert();
        for (uint8_t i = 0; i < (uint8_t)(1u << log2_count); i++)
                sum = (uint16_t)(sum + convert());
        return sum;
}

void chip_adc_off(void) {
        ADCSRA = 0;
}

/* ---- EEPROM ---- */

ISR(EE_READY_vect) {
        EECR &= (uint8_t) ~(1u << EERIE);
}

static void eeprom_wait(void) {
        for (;;) {
                cli();
                if (!(EECR & (1u << EEPE)))
                        break;
                EECR |= 1u << EERIE;
                chip_sleep();
        }
        sei();
}

uint8_t chip_eeprom_read(uint16_t address) {
        eeprom_wait();
        EEAR = address;
        EECR |= 1u << EERE;
        return EEDR;
}

void chip_eeprom_write(uint16_t address, uint8_t value) {
        if (chip_eeprom_read(address) == value)
                return;
        EEAR = address;
        EEDR = value;
        cli();
        EECR = 1u << EEMPE;
        EECR |= 1u << EEPE; /* within four clocks */
        sei();
        eeprom_wait();
}

/* ---- oscillator ---- */

uint8_t chip_osccal(void) {
        return OSCCAL;
}

void chip_set_osccal(uint8_t code) {
        OSCCAL = code;
}
