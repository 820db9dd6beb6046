/* SPDX-License-Identifier: MIT */

/* The USART: a receiver that samples the line with its own clock, two characters of buffer and the shift
 * register behind them, data overrun, framing errors by what is really on the line; a transmitter with one
 * character of buffer, whose start bits keep to the baud clock's grid. 8N1 only. */

#include <sim_avr.h>

#include "line.h"
#include "mcu.h"
#include "registers.h"

static unsigned sample_cycles(const struct mcu *m) {
        return ((m->avr->data[REG_UBRR0L] | (unsigned)(m->avr->data[REG_UBRR0H] & 15) << 8) + 1);
}

static unsigned samples(const struct mcu *m) {
        return m->avr->data[REG_UCSR0A] & UCSRA_U2X ? 8 : 16;
}

/* ---- receiver ---- */

void mcu_usart_listen(struct mcu *m, double from) {
        double edge, clk;
        uint64_t cycle, n;
        unsigned s = samples(m);

        m->rx_due = MCU_NEVER;
        m->rx_from = from;
        if (!m->line || !(m->avr->data[REG_UCSR0B] & UCSRB_RXEN))
                return;
        edge = line_falls(m->line, from);
        if (edge >= MCU_NEVER)
                return;
        /* The first low sample, on the grid of the receiver's clock. */
        n = sample_cycles(m);
        cycle = mcu_cycle_at(m, edge);
        cycle = m->baud_phase + (cycle - m->baud_phase + n - 1) / n * n;
        clk = (double)n / m->hz;
        m->rx_first_low = mcu_time_of(m, cycle);
        /* Of the stop bit's three samples around the middle, the last one ends the character. */
        m->rx_due = m->rx_first_low + (9 * s + s / 2 + 1) * clk;
}

void mcu_usart_heard(struct mcu *m) {
        if (!m->powered || m->rx_due < MCU_NEVER)
                return;
        mcu_usart_listen(m, m->rx_from);
        mcu_touch(m);
}

static void show_received(struct mcu *m) {
        uint8_t *a = &m->avr->data[REG_UCSR0A];

        *a &= (uint8_t) ~(UCSRA_RXC | UCSRA_FE | UCSRA_DOR);
        if (m->rx_n == 0)
                return;
        *a |= UCSRA_RXC;
        if (m->rx_fe[0])
                *a |= UCSRA_FE;
        if (m->rx_overrun)
                *a |= UCSRA_DOR;
}

static void push(struct mcu *m, uint8_t byte, bool framing_error, double time) {
        /* The character before is still in the shift register, or was when this one's start bit came. */
        if (m->rx_waiting || m->rx_wait_gone > m->rx_first_low) {
                m->seen.overruns++;
                m->rx_overrun = true;
                if (m->rx_waiting) {
                        m->rx_wait = byte;
                        m->rx_wait_fe = framing_error;
                        return;
                }
        }
        if (m->rx_n == 2) {
                m->rx_waiting = true;
                m->rx_wait = byte;
                m->rx_wait_fe = framing_error;
                m->rx_wait_at = time;
                return;
        }
        m->rx_data[m->rx_n] = byte;
        m->rx_fe[m->rx_n] = framing_error;
        m->rx_at[m->rx_n++] = time;
        show_received(m);
}

void mcu_usart_time(struct mcu *m, double time) {
        double bit_s = (double)sample_cycles(m) * samples(m) / m->hz, middle = m->rx_first_low + bit_s / 2;
        uint8_t byte = 0;
        bool stop;

        if (m->sleep > MCU_IDLE) {
                /* No clock: nothing was sampled. */
                m->seen.lost_asleep++;
                line_forget(m->line, time);
                mcu_usart_listen(m, time);
                return;
        }
        if (line_level(m->line, middle)) {
                mcu_usart_listen(m, middle); /* no start bit after all */
                return;
        }
        for (unsigned i = 0; i < 8; i++)
                if (line_level(m->line, middle + (i + 1) * bit_s))
                        byte |= (uint8_t)(1u << i);
        stop = line_level(m->line, middle + 9 * bit_s);
        m->seen.received++;
        if (!stop)
                m->seen.framing_errors++;
        push(m, byte, !stop, time);
        line_forget(m->line, time);
        mcu_usart_listen(m, time);
}

static uint8_t read_udr(avr_t *avr, avr_io_addr_t address, void *user) {
        struct mcu *m = user;
        uint8_t value = m->rx_data[0];
        double now = mcu_now(m), latency = now - m->rx_at[0];

        (void)avr, (void)address;
        if (m->rx_n == 0)
                return value;
        if (latency > m->seen.latency_max_s)
                m->seen.latency_max_s = latency;
        m->seen.latency_sum_s += latency;
        m->seen.latency[latency * 1e5 < MCU_LATENCY_BINS ? (unsigned)(latency * 1e5)
                                                         : MCU_LATENCY_BINS - 1]++;
        m->rx_n--;
        m->rx_data[0] = m->rx_data[1];
        m->rx_fe[0] = m->rx_fe[1];
        m->rx_at[0] = m->rx_at[1];
        m->rx_overrun = false;
        if (m->rx_waiting) {
                m->rx_data[m->rx_n] = m->rx_wait;
                m->rx_fe[m->rx_n] = m->rx_wait_fe;
                m->rx_at[m->rx_n++] = m->rx_wait_at;
                m->rx_waiting = false;
                m->rx_wait_gone = now;
        }
        show_received(m);
        mcu_touch(m);
        return value;
}

/* ---- transmitter ---- */

static void begin(struct mcu *m, uint64_t cycle, uint8_t byte) {
        uint64_t bit = (uint64_t)sample_cycles(m) * samples(m);
        uint64_t start = m->baud_phase + (cycle - m->baud_phase + bit - 1) / bit * bit;
        double bit_s = (double)bit / m->hz;
        unsigned low = 9;

        m->tx_busy = true;
        m->tx_due = start + bit * LINE_BITS;
        m->seen.sent++;
        for (uint8_t ones = byte; ones; ones &= (uint8_t)(ones - 1))
                low--;
        m->seen.tx_low_s += low * bit_s;
        m->outside.sends(m->outside.board, mcu_time_of(m, start), bit_s, byte);
}

static void write_udr(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;

        (void)address;
        if (!(avr->data[REG_UCSR0B] & UCSRB_TXEN)) {
                mcu_stray(m, "sends with TXEN off:", value);
                return;
        }
        if (!m->tx_busy)
                begin(m, avr->cycle, value);
        else if (!m->tx_full) {
                m->tx_full = true;
                m->tx_data = value;
                avr->data[REG_UCSR0A] &= (uint8_t)~UCSRA_UDRE;
        } else
                m->seen.tx_overwritten++; /* ignored, as UDRE is clear */
        mcu_touch(m);
}

void mcu_usart_run(struct mcu *m, uint64_t cycle) {
        m->tx_busy = false;
        m->tx_due = UINT64_MAX;
        if (m->tx_full) {
                m->tx_full = false;
                m->avr->data[REG_UCSR0A] |= UCSRA_UDRE;
                begin(m, cycle, m->tx_data);
        } else
                m->avr->data[REG_UCSR0A] |= UCSRA_TXC;
}

/* ---- registers ---- */

static void write_ucsra(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        uint8_t old = avr->data[address];

        old &= (uint8_t) ~(value & UCSRA_TXC); /* cleared by a one */
        avr->data[address] = (uint8_t)((old & 0xFC) | (value & 3));
        mcu_touch(user);
}

static void write_ucsrb(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        uint8_t old = avr->data[address];

        avr->data[address] = value;
        if (value & 0x07)
                mcu_stray(m, "wants nine bits, UCSR0B", value);
        if (!(value & UCSRB_RXEN)) {
                m->rx_n = 0;
                m->rx_waiting = m->rx_overrun = false;
                show_received(m);
                mcu_usart_listen(m, mcu_now(m));
        } else if (!(old & UCSRB_RXEN))
                mcu_usart_listen(m, mcu_now(m));
        if (!(value & UCSRB_TXEN) && m->tx_busy)
                mcu_stray(m, "turns TXEN off while sending, UCSR0B", value);
        mcu_touch(m);
}

static void write_ucsrc(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        avr->data[address] = value;
        if ((value & 0xFE) != 0x06)
                mcu_stray(user, "wants another format than 8N1, UCSR0C", value);
}

static void write_ubrr(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;

        avr->data[address] = value;
        if (m->tx_busy)
                mcu_stray(m, "changes UBRR while sending:", value);
        m->baud_phase = avr->cycle;
        mcu_touch(m);
}

void mcu_usart_reset(struct mcu *m) {
        m->avr->data[REG_UCSR0A] = UCSRA_UDRE;
        m->avr->data[REG_UCSR0C] = 0x06;
        m->rx_n = 0;
        m->rx_waiting = m->rx_overrun = m->tx_busy = m->tx_full = false;
        m->rx_wait_gone = -MCU_NEVER;
        m->rx_due = MCU_NEVER;
        m->rx_from = mcu_now(m);
        m->tx_due = UINT64_MAX;
        m->baud_phase = m->avr->cycle;
}

void mcu_usart_install(struct mcu *m) {
        static const uint8_t all[] = {REG_UCSR0A, REG_UCSR0B, REG_UCSR0C, REG_UBRR0L, REG_UBRR0H};

        for (unsigned i = 0; i < sizeof(all); i++)
                mcu_on_read(m, all[i], NULL);
        mcu_on_read(m, REG_UDR0, read_udr);
        mcu_on_write(m, REG_UDR0, write_udr);
        mcu_on_write(m, REG_UCSR0A, write_ucsra);
        mcu_on_write(m, REG_UCSR0B, write_ucsrb);
        mcu_on_write(m, REG_UCSR0C, write_ucsrc);
        mcu_on_write(m, REG_UBRR0L, write_ubrr);
        mcu_on_write(m, REG_UBRR0H, write_ubrr);
}
