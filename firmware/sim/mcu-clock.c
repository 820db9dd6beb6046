/* SPDX-License-Identifier: MIT */

/* Oscillators, OSCCAL, CLKPR. */

#include <math.h>

#include <sim_avr.h>

#include "mcu.h"
#include "registers.h"

#define CLKPR_CHANGE 0x80
#define TIMED_CYCLES 4
#define JUMP 0.0201 /* larger steps at once are warned of in section 8.12.1 */

/* How far one code is from an even ladder: a fifth of a step, the same for a chip's whole life. */
static double uneven(const struct mcu_rc *rc, uint8_t code) {
        struct rng r;

        rng_init(&r, rc->unevenness, code);
        return rng_even(&r) * rc->step / 5;
}

/* Codes 0..127 and 128..255 are two ranges that overlap. */
static double ladder(const struct mcu_rc *rc, uint8_t code) {
        return log1p(rc->step) * (code < 0x80 ? code : code - 1) + (code < 0x80 ? 0 : log1p(-rc->seam)) +
               uneven(rc, code);
}

double mcu_rc_hz(const struct mcu *m, uint8_t osccal) {
        double hz = m->rc.base_hz * exp(ladder(&m->rc, osccal) - ladder(&m->rc, m->rc.factory));

        return hz * (1 + m->rc.per_degc * (m->degc - 25)) * (1 + m->rc.per_volt * (m->supply_v - 3.3));
}

static double frequency(const struct mcu *m) {
        double hz = m->crystal ? m->crystal_hz : mcu_rc_hz(m, m->avr->data[REG_OSCCAL]);

        return hz / (double)(1u << m->clkps);
}

void mcu_environment(struct mcu *m, double degc, double supply_v) {
        m->degc = degc;
        m->supply_v = supply_v;
        mcu_rebase(m, frequency(m));
        mcu_touch(m);
}

static void write_osccal(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        double before = m->hz;

        avr->data[address] = value;
        mcu_rebase(m, frequency(m));
        m->seen.osccal_writes++;
        if (!m->crystal && fabs(m->hz / before - 1) > JUMP)
                m->seen.osccal_jumps++;
        mcu_touch(m);
}

static void write_clkpr(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;

        (void)address;
        if (value == CLKPR_CHANGE) {
                m->clkpr_armed = avr->cycle + TIMED_CYCLES + 1;
                return;
        }
        if (avr->cycle > m->clkpr_armed || (value & 0xF0)) {
                mcu_stray(m, "writes too late or wrong to CLKPR:", value);
                return;
        }
        m->clkps = value & 15;
        mcu_rebase(m, frequency(m));
        mcu_touch(m);
}

static uint8_t read_clkpr(avr_t *avr, avr_io_addr_t address, void *user) {
        const struct mcu *m = user;

        (void)avr, (void)address;
        return m->clkps;
}

void mcu_clock_reset(struct mcu *m) {
        m->avr->data[REG_OSCCAL] = m->rc.factory;
        m->clkps = m->clock_fuse_div;
        m->clkpr_armed = 0;
        mcu_rebase(m, frequency(m));
}

void mcu_clock_install(struct mcu *m) {
        mcu_on_read(m, REG_OSCCAL, NULL);
        mcu_on_write(m, REG_OSCCAL, write_osccal);
        mcu_on_read(m, REG_CLKPR, read_clkpr);
        mcu_on_write(m, REG_CLKPR, write_clkpr);
}
