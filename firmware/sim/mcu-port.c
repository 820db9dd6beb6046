/* SPDX-License-Identifier: MIT */

/* Ports B, C and D: outputs with the timers' compare outputs over them, inputs with pull-ups. A floating
 * input reads as whatever noise says. */

#include <sim_avr.h>

#include "mcu.h"
#include "registers.h"

/* Where a timer's compare output is, as data sheet section 14.3 says. */
static const struct {
        enum mcu_port port;
        uint8_t bit;
} outputs[3][2] = {
        {{MCU_PORT_D, 6}, {MCU_PORT_D, 5}},
        {{MCU_PORT_B, 1}, {MCU_PORT_B, 2}},
        {{MCU_PORT_B, 3}, {MCU_PORT_D, 3}},
};

static uint8_t level(const struct mcu *m, enum mcu_port port) {
        uint8_t value = m->port[port];

        for (unsigned t = 0; t < 3; t++)
                for (unsigned o = 0; o < 2; o++) {
                        uint8_t mask = (uint8_t)(1u << outputs[t][o].bit);

                        if (outputs[t][o].port != port || !m->timer[t].com[o])
                                continue;
                        value = (uint8_t)(m->timer[t].pin[o] ? value | mask : value & ~mask);
                }
        return value;
}

static void tell(struct mcu *m, enum mcu_port port, double time) {
        uint8_t now = level(m, port) & m->ddr[port];

        if (now == m->driven[port])
                return;
        m->driven[port] = now;
        m->outside.drives(m->outside.board, port, time, now, m->ddr[port]);
}

void mcu_port_compare(struct mcu *m, unsigned timer, unsigned output, double time) {
        tell(m, outputs[timer][output].port, time);
}

static uint8_t read_pin(avr_t *avr, avr_io_addr_t address, void *user) {
        struct mcu *m = user;
        enum mcu_port port = (enum mcu_port)((address - REG_PINB) / 3);
        uint8_t driven = 0, outside = m->outside.level(m->outside.board, port, mcu_now(m), &driven), value;

        (void)avr;
        /* Pull-ups, noise, what drives the pin, and its own output, each over the one before. */
        value = (uint8_t)(m->port[port] | rng_next(&m->rng));
        value = (uint8_t)((value & ~driven) | (outside & driven));
        return (uint8_t)((value & ~m->ddr[port]) | (level(m, port) & m->ddr[port]));
}

static void write_pin(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        enum mcu_port port = (enum mcu_port)((address - REG_PINB) / 3);

        m->port[port] ^= value;
        avr->data[address + 2] = m->port[port];
        tell(m, port, mcu_now(m));
}

static void write_ddr(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        enum mcu_port port = (enum mcu_port)((address - REG_DDRB) / 3);

        avr->data[address] = m->ddr[port] = value;
        tell(m, port, mcu_now(m));
}

static void write_port(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        enum mcu_port port = (enum mcu_port)((address - REG_PORTB) / 3);

        avr->data[address] = m->port[port] = value;
        tell(m, port, mcu_now(m));
}

void mcu_port_reset(struct mcu *m) {
        for (enum mcu_port p = 0; p < _MCU_PORT_MAX; p++) {
                m->port[p] = m->ddr[p] = 0;
                tell(m, p, mcu_now(m));
        }
}

void mcu_port_install(struct mcu *m) {
        for (enum mcu_port p = 0; p < _MCU_PORT_MAX; p++) {
                mcu_on_read(m, REG_PINB + 3u * p, read_pin);
                mcu_on_write(m, REG_PINB + 3u * p, write_pin);
                mcu_on_read(m, REG_DDRB + 3u * p, NULL);
                mcu_on_write(m, REG_DDRB + 3u * p, write_ddr);
                mcu_on_read(m, REG_PORTB + 3u * p, NULL);
                mcu_on_write(m, REG_PORTB + 3u * p, write_port);
        }
}
