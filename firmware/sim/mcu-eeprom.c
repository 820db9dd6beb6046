/* SPDX-License-Identifier: MIT */

/* The EEPROM: the timed sequence, the time a write takes, and what a reset in the middle of one leaves. */

#include <sim_avr.h>

#include "mcu.h"
#include "registers.h"

#define BOTH_S 0.0034 /* erase and write: section 7.6.3 */
#define ONE_S 0.0018
#define TIMED_CYCLES 4
#define READ_CYCLES 4
#define WRITE_CYCLES 2
#define LAST_ADDRESS (MCU_EEPROM_SIZE - 1)

enum { BOTH, ERASE, WRITE };

static uint16_t address_of(const avr_t *avr) {
        return (uint16_t)((avr->data[REG_EEARL] | avr->data[REG_EEARH] << 8) & LAST_ADDRESS);
}

static void begin(struct mcu *m) {
        avr_t *avr = m->avr;

        if (avr->cycle > m->eeprom_armed) {
                mcu_stray(m, "begins an EEPROM write too late, EECR", avr->data[REG_EECR]);
                return;
        }
        m->eeprom_armed = 0;
        m->eeprom_address = address_of(avr);
        m->eeprom_value = avr->data[REG_EEDR];
        m->eeprom_mode = (avr->data[REG_EECR] >> 4) & 3;
        avr->data[REG_EECR] = (uint8_t)((avr->data[REG_EECR] & ~EECR_EEMPE) | EECR_EEPE);
        avr->cycle += WRITE_CYCLES;
        m->eeprom_due = mcu_now(m) + (m->eeprom_mode == BOTH ? BOTH_S : ONE_S);
        m->seen.eeprom_writes++;
}

static void write_control(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        uint8_t old = avr->data[address];
        bool busy = old & EECR_EEPE;

        if (busy) {
                if (value & (EECR_EERE | EECR_EEMPE))
                        mcu_stray(m, "uses the EEPROM while it writes, EECR", value);
                avr->data[address] = (uint8_t)((old & ~EECR_EERIE) | (value & EECR_EERIE));
                mcu_touch(m);
                return;
        }
        avr->data[address] = value & 0x3C;
        if ((value & EECR_EEPE) && (old & EECR_EEMPE))
                begin(m);
        else if (value & EECR_EEMPE)
                m->eeprom_armed = avr->cycle + TIMED_CYCLES + 2;
        if (value & EECR_EERE) {
                avr->data[REG_EEDR] = m->eeprom[address_of(avr)];
                avr->cycle += READ_CYCLES;
        }
        mcu_touch(m);
}

static uint8_t read_control(avr_t *avr, avr_io_addr_t address, void *user) {
        const struct mcu *m = user;

        /* The master enable clears itself. */
        if (!(avr->data[address] & EECR_EEPE) && avr->cycle > m->eeprom_armed)
                avr->data[address] &= (uint8_t)~EECR_EEMPE;
        return avr->data[address];
}

void mcu_eeprom_time(struct mcu *m, double time) {
        uint8_t *cell = &m->eeprom[m->eeprom_address];

        (void)time;
        m->eeprom_due = MCU_NEVER;
        switch (m->eeprom_mode) {
        case BOTH:
                *cell = m->eeprom_value;
                break;
        case ERASE:
                *cell = 0xFF;
                break;
        case WRITE:
                *cell &= m->eeprom_value;
                break;
        }
        m->avr->data[REG_EECR] &= (uint8_t)~EECR_EEPE;
}

void mcu_eeprom_reset(struct mcu *m) {
        /* Interrupted: nobody knows what is there now. */
        if (m->eeprom_due < MCU_NEVER)
                m->eeprom[m->eeprom_address] = (uint8_t)rng_next(&m->rng);
        m->eeprom_due = MCU_NEVER;
        m->eeprom_armed = 0;
}

void mcu_eeprom_install(struct mcu *m) {
        static const uint8_t plain[] = {REG_EEDR, REG_EEARL, REG_EEARH};

        for (unsigned i = 0; i < sizeof(plain); i++) {
                mcu_on_read(m, plain[i], NULL);
                mcu_on_write(m, plain[i], NULL);
        }
        mcu_on_read(m, REG_EECR, read_control);
        mcu_on_write(m, REG_EECR, write_control);
}
