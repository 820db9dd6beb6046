/* SPDX-License-Identifier: MIT */
#pragma once

/* The chip as both images see it: USART, timer 1, ADC, EEPROM, watchdog, sleep, pins, OSCCAL. chip-atmega328p.c is the only
 * file that knows a register (and firmware/sim the only one that plays them). Which board it is built for is a macro of the
 * build, CHIP_BOARD_CELL or CHIP_BOARD_IN: it decides on the clock and on the pins.
 *
 * Interrupts: those of the chip layer call the hooks at the end of this file, which each image defines. Hooks run with
 * interrupts locked and must be short (a received byte waits at most 200 us, R2). Everything else is called from main. */

#include <stdbool.h>
#include <stdint.h>

#include "hardware.h"

#if defined(CHIP_BOARD_CELL)
#define CHIP_CLOCK_HZ HARDWARE_CELL_CLOCK_HZ
#define CHIP_TICK_HZ HARDWARE_CELL_TICK_HZ
#elif defined(CHIP_BOARD_IN)
#define CHIP_CLOCK_HZ HARDWARE_IN_CLOCK_HZ
#define CHIP_TICK_HZ HARDWARE_IN_TICK_HZ
#endif

/* Why the chip started. */
enum chip_reset {
        CHIP_RESET_POWER = 1 << 0,
        CHIP_RESET_PIN = 1 << 1,
        CHIP_RESET_BROWN_OUT = 1 << 2,
        CHIP_RESET_WATCHDOG = 1 << 3,
};

/* ---- start, sleep, watchdog ---- */

/* Everything from its reset state to work: clock prescaler, pins (bypass, measuring supply and LED off), USART at 9600 8N1,
 * timer 1, watchdog (2 s). Interrupts stay locked. Returns enum chip_reset bits. */
uint8_t chip_init(void);

void chip_lock(void);   /* interrupts off */
void chip_unlock(void); /* interrupts on */

/* Sleeps (idle mode: the USART hears, timer 1 runs) until an interrupt. Called locked, returns unlocked: what was looked
 * at under the lock cannot change before the sleep without ending it. */
void chip_sleep(void);

/* Within 2 s of the last time, or the board resets. */
void chip_watchdog(void);

/* ---- time ---- */

/* Ticks of CHIP_TICK_HZ since reset, wrapping. chip_now() locks for a moment; chip_now_locked() is for hooks and callers
 * that hold the lock. */
uint32_t chip_now(void);
uint32_t chip_now_locked(void);

/* Wakes main at when_ticks, or at once if that is past (compare B). At most one is pending, the last one set. */
void chip_wake_at(uint32_t when_ticks);

/* Sleeps until then. */
void chip_wait_until(uint32_t when_ticks);

/* Calls chip_on_alarm() at when_ticks, or within a few ticks if that is past (compare A; cell board). Called locked. */
void chip_alarm_at(uint32_t when_ticks);

/* ---- serial line ---- */

/* There is something to send: chip_on_transmit() will be asked. Called locked. */
void chip_send(void);

/* ---- pins ---- */
void chip_led(bool on);
void chip_bypass(bool on);
bool chip_bypass_sense(void);      /* current flows through the bypass stage */
void chip_measuring_supply(bool on); /* divider, 1.25 V reference, NTC divider */

/* ---- ADC ---- */

/* Sum of 2^log2_count conversions (at most 64) of an ADC input against AREF, after one that is thrown away; sleeps
 * meanwhile. 104 us each on a cell board. The first call starts the converter, chip_adc_off() ends it. */
uint16_t chip_adc_sum(uint8_t input, uint8_t log2_count);
void chip_adc_off(void);

/* ---- EEPROM ---- */
uint8_t chip_eeprom_read(uint16_t address);
/* Writes only what differs; 3.4 ms a byte, asleep meanwhile. */
void chip_eeprom_write(uint16_t address, uint8_t value);

/* ---- oscillator ---- */
uint8_t chip_osccal(void);
void chip_set_osccal(uint8_t code);

/* ---- hooks: each image defines them; called with interrupts locked ---- */

/* A byte has come; damaged: with a framing error, or after an overrun. */
void chip_on_receive(uint8_t byte, bool damaged);

/* The USART can take a byte: returns false if there is none. */
bool chip_on_transmit(uint8_t *ret_byte);

/* The time of chip_alarm_at() has come (cell board). */
void chip_on_alarm(void);
