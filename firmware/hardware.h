/* SPDX-License-Identifier: MIT */
#pragma once

/* What is soldered to which pin of the ATmega328P, on both boards: one statement for the firmware, its simulator and
 * docs/boards.md. Knows no register. */

/* ---- both boards ---- */
/* PD0 RXD     chain in (cell board) or ring return (IN board); pulled to idle when the wire is cut
 * PD1 TXD     chain out
 * PD3         bypass stage, high = on
 * PD4         LED, high = on
 * PD5         measuring supply, high = on: divider, 1.25 V reference on AREF, NTC divider
 * PD6         bypass sense, high = current flows through the bypass stage
 * ADC0 (PC0)  cell voltage through the switched divider
 * ADC1 (PC1)  NTC */
enum hardware_adc {
        HARDWARE_ADC_CELL = 0,
        HARDWARE_ADC_NTC = 1,
        HARDWARE_ADC_HALL_1 = 2,
        HARDWARE_ADC_HALL_2 = 3,
};

/* ---- IN board only ----
 * PB1 OC1A    extended data output, 9600 8N1 by output compare, idle high
 * PD7         supply of the Hall sensors, high = on
 * ADC2, ADC3  Hall sensors 1 (incoming) and 2 (outgoing)
 * PB0 PB2 PB3 PB4 PB5 PC4 PC5 PD2   option switches 1..8, pulled up inside the chip, ON pulls low
 * PB6 PB7     crystal 3.6864 MHz */

#define HARDWARE_CELL_CLOCK_HZ 2000000UL /* RC oscillator 8 MHz / 4 */
#define HARDWARE_IN_CLOCK_HZ 3686400UL   /* crystal */
#define HARDWARE_BAUD 9600UL

/* Timer 1 runs free, on both boards, and is their only clock: 32 us a step on a cell board, 17.36 us on the IN board, where
 * six steps are one bit. */
#define HARDWARE_TIMER_PRESCALER 64UL
#define HARDWARE_CELL_TICK_HZ (HARDWARE_CELL_CLOCK_HZ / HARDWARE_TIMER_PRESCALER) /* 31250 */
#define HARDWARE_IN_TICK_HZ (HARDWARE_IN_CLOCK_HZ / HARDWARE_TIMER_PRESCALER)     /* 57600 */
