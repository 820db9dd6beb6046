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
        HARDWARE_ADC_BANDGAP = 14, /* the chip's own 1.1 V, to notice a reference that failed */
};

/* ---- IN board only ----
 * PB1 OC1A    extended data output, 9600 8N1 by output compare, idle high
 * PD7         supply of the Hall sensors, high = on
 * ADC2, ADC3  Hall sensors 1 (incoming) and 2 (outgoing)
 * PB0 PB2 PB3 PB4 PB5 PC4 PC5 PD2   option switches 1..8, pulled up inside the chip, ON pulls low
 * PB6 PB7     crystal 3.6864 MHz */

#define HARDWARE_CELL_CLOCK_HZ 4000000UL /* RC oscillator 8 MHz / 2: at 2 MHz a hop takes 3.33 ms */
#define HARDWARE_IN_CLOCK_HZ 3686400UL   /* crystal */
#define HARDWARE_BAUD 9600UL

/* Timer 1 runs free, on both boards, and is their only clock: 16 us a step on a cell board, 17.36 us on the IN board, where
 * six steps are one bit. */
#define HARDWARE_TIMER_PRESCALER 64UL
#define HARDWARE_CELL_TICK_HZ (HARDWARE_CELL_CLOCK_HZ / HARDWARE_TIMER_PRESCALER) /* 62500 */
#define HARDWARE_IN_TICK_HZ (HARDWARE_IN_CLOCK_HZ / HARDWARE_TIMER_PRESCALER)     /* 57600 */

/* ---- the analog side: the parts are in docs/boards.md ----
 * AREF: a 1.25 V series reference (REF3212: 0.2 %, 20 ppm/K over -40..125 degC), which works from 1.8 V,
 * supplied by PD5. The ADC gives input / AREF x 1024; what is used is always the sum of
 * 2^HARDWARE_OVERSAMPLE_LOG2 conversions, 0..16368. */
#define HARDWARE_REFERENCE_MV 1250UL
#define HARDWARE_ADC_STEPS 1024UL
#define HARDWARE_OVERSAMPLE_LOG2 4
#define HARDWARE_SUM_STEPS (HARDWARE_ADC_STEPS << HARDWARE_OVERSAMPLE_LOG2)
#define HARDWARE_SUM_MAX ((HARDWARE_ADC_STEPS - 1) << HARDWARE_OVERSAMPLE_LOG2)
#define HARDWARE_SETTLE_MS 5 /* PD5 high, bypass off: so long before the first conversion (R5) */

/* Cell voltage: from the cell's plus (not from behind the supply's filter) through TOP to ADC0, through
 * BOTTOM and a switch to minus: 0.24450, so that 5.11 V is full scale and one step of the ADC 4.99 mV. BOTTOM
 * open: ADC0 is pulled to the cell's plus, and the ADC reads its last step. */
#define HARDWARE_CELL_TOP_OHM 3090UL
#define HARDWARE_CELL_BOTTOM_OHM 1000UL

/* NTC: from AREF through SERIES to ADC1, from there through the NTC to minus: the reference cancels.
 * NCP18XH103F03RB: 10 kohm at 25 degC and B 25/50 3380 K, both within 1 %. Through the maker's values at -40,
 * 25 and 85 degC goes 1 / T = A + B ln R + C (ln R)^3 (T in K, R in ohm), which the rest of the maker's table
 * follows within 0.21 K over -40..125 degC. The firmware has its own table, in measure.c; these are for
 * simulators and tests. */
#define HARDWARE_NTC_SERIES_OHM 10000UL
#define HARDWARE_NTC_25_OHM 10000UL
#define HARDWARE_NTC_B_25_50_K 3380UL
#define HARDWARE_NTC_A 8.551152974e-4
#define HARDWARE_NTC_B 2.572803762e-4
#define HARDWARE_NTC_C 1.654403671e-7

/* Hall sensors (DRV5055 in the gap of a core; the gap and the variant make the type): supplied with 3.30 V
 * (0.2 %) made on the board, switched by PD7. Output ZERO + SPAN x current / type: 1.65 V at 0 A, 2.90 V at
 * the type's full current in the direction of the arrow, 0.40 V at as much against it; linear up to +-LINEAR.
 * Divided by TOP and BOTTOM to ADC2, ADC3. Nothing connected: BOTTOM pulls the input to minus. What is below
 * ABSENT or above STUCK is no sensor that works: 'X'. */
#define HARDWARE_HALL_ZERO_MV 1650L
#define HARDWARE_HALL_SPAN_MV 1250L
#define HARDWARE_HALL_LINEAR_MV 1375L /* 110 % of the type: beyond, the sensor may saturate */
#define HARDWARE_HALL_ABSENT_MV 100L
#define HARDWARE_HALL_STUCK_MV 3250L
#define HARDWARE_HALL_TOP_OHM 17400UL
#define HARDWARE_HALL_BOTTOM_OHM 10000UL
#define HARDWARE_HALL_SETTLE_MS 2 /* PD7 high: so long before the first conversion */

/* Bypass: PD3 drives the gate; two equal resistors in series, 3.6 ohm together, carry 0.94 A at 3.4 V. PD6
 * goes high when the upper one drops more than a transistor's base-emitter voltage, whoever switched it on. */
#define HARDWARE_BYPASS_MILLIOHM 3600UL
#define HARDWARE_BYPASS_SENSE_MS 1 /* after PD3 changed: so long before PD6 is looked at */
