/* SPDX-License-Identifier: MIT */

/* The watchdog, on its own oscillator: interrupt, reset, or one after the other; the timed sequence. */

#include <sim_avr.h>

#include "mcu.h"
#include "registers.h"

#define TIMED_CYCLES 4

static bool running(const struct mcu *m) {
        return m->avr->data[REG_WDTCSR] & (WDTCSR_WDE | WDTCSR_WDIE);
}

void mcu_watchdog_kick(struct mcu *m) {
        uint8_t c = m->avr->data[REG_WDTCSR];
        unsigned scale = (c & 7u) | ((c & 0x20u) ? 8 : 0);

        m->watchdog_due = running(m) ? mcu_now(m) + (double)(2048u << scale) / m->watchdog_hz : MCU_NEVER;
        mcu_touch(m);
}

void mcu_watchdog_time(struct mcu *m, double time) {
        uint8_t *c = &m->avr->data[REG_WDTCSR];

        (void)time;
        if (*c & WDTCSR_WDIE) {
                *c |= WDTCSR_WDIF;
                mcu_watchdog_kick(m);
                return;
        }
        mcu_reset(m, MCU_RESET_WATCHDOG);
}

static void write_control(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        uint8_t old = avr->data[address], kept = old;
        bool open = avr->cycle <= m->watchdog_armed;

        if (value & WDTCSR_WDIF)
                kept &= (uint8_t)~WDTCSR_WDIF;
        kept = (uint8_t)((kept & ~WDTCSR_WDIE) | (value & WDTCSR_WDIE));
        if ((value & WDTCSR_WDCE) && (value & WDTCSR_WDE)) {
                m->watchdog_armed = avr->cycle + TIMED_CYCLES + 2;
                kept |= WDTCSR_WDE;
        } else if (open) {
                kept = (uint8_t)((kept & ~0x2F) | (value & 0x2F));
                if (avr->data[REG_MCUSR] & MCUSR_WDRF)
                        kept |= WDTCSR_WDE; /* cannot be cleared while WDRF is set */
                m->watchdog_armed = 0;
        } else if ((value ^ old) & 0x27)
                mcu_stray(m, "changes the watchdog too late, WDTCSR", value);
        else
                kept |= value & WDTCSR_WDE;
        avr->data[address] = kept;
        if ((kept ^ old) & 0x6F)
                mcu_watchdog_kick(m);
        mcu_touch(m);
}

void mcu_watchdog_reset(struct mcu *m, bool was_watchdog) {
        m->watchdog_armed = 0;
        /* It goes on with its shortest time. */
        m->avr->data[REG_WDTCSR] = was_watchdog ? WDTCSR_WDE : 0;
        m->watchdog_due = MCU_NEVER;
        if (was_watchdog)
                m->watchdog_due = mcu_now(m) + 0.065 + 2048 / m->watchdog_hz;
}

void mcu_watchdog_install(struct mcu *m) {
        mcu_on_read(m, REG_WDTCSR, NULL);
        mcu_on_write(m, REG_WDTCSR, write_control);
}
