/* SPDX-License-Identifier: MIT */

/* Timers 0, 1 and 2: normal and CTC mode, compare, overflow, compare outputs, 16-bit access. PWM and input
 * capture are not made here and count as strays. A timer is brought up to date when somebody looks, or when
 * an interrupt or an output waits for it: a counter that nobody watches costs nothing. */

#include <sim_avr.h>

#include "mcu.h"
#include "registers.h"

enum { COMPARE_A = 0x02, COMPARE_B = 0x04, OVERFLOW = 0x01, CAPTURE = 0x20 };
enum { COM_NONE, COM_TOGGLE, COM_CLEAR, COM_SET };

static const uint32_t prescale_01[8] = {0, 1, 8, 64, 256, 1024, 0, 0};
static const uint32_t prescale_2[8] = {0, 1, 8, 32, 64, 128, 256, 1024};

static uint64_t tick_at(const struct mcu_timer *t, uint64_t cycle) {
        return t->prescale ? cycle / t->prescale : 0;
}

static uint32_t top(const struct mcu_timer *t) {
        return !t->ctc ? t->max : t->ctc_capture ? t->capture : t->compare[0];
}

/* Timer clocks until the count leaves a value for the next one; 0 = the count never comes there. */
static uint64_t ticks_until(const struct mcu_timer *t, uint32_t value) {
        uint32_t last = top(t);

        if (t->count <= last) {
                if (value > last)
                        return 0;
                return value >= t->count ? value - t->count + 1 : (uint64_t)last - t->count + value + 2;
        }
        /* Set beyond the top: on to the maximum first. */
        if (value >= t->count)
                return value - t->count + 1;
        return value <= last ? (uint64_t)t->max - t->count + value + 2 : 0;
}

static void advance(struct mcu_timer *t, uint64_t ticks) {
        uint32_t last = top(t);

        if (t->count > last) {
                if (ticks <= t->max - t->count) {
                        t->count += (uint32_t)ticks;
                        return;
                }
                ticks -= t->max - t->count + 1;
                t->count = 0;
        }
        t->count = (uint32_t)((t->count + ticks) % ((uint64_t)last + 1));
}

static void act(struct mcu *m, struct mcu_timer *t, unsigned output, uint64_t tick) {
        switch (t->com[output]) {
        case COM_NONE:
                return;
        case COM_TOGGLE:
                t->pin[output] = !t->pin[output];
                break;
        case COM_CLEAR:
                t->pin[output] = false;
                break;
        case COM_SET:
                t->pin[output] = true;
                break;
        }
        mcu_port_compare(m, t->number, output, mcu_time_of(m, tick * t->prescale));
}

/* All that has happened up to a cycle. */
static void catch_up(struct mcu *m, struct mcu_timer *t, uint64_t cycle) {
        uint8_t *flags = &m->avr->data[REG_TIFR0 + t->number];
        uint64_t now = tick_at(t, cycle), ticks, n;

        if (!t->running || now <= t->tick)
                return;
        ticks = now - t->tick;
        for (unsigned i = 0; i < 2; i++) {
                n = ticks_until(t, t->compare[i]);
                if (n == 0 || n > ticks)
                        continue;
                *flags |= i == 0 ? COMPARE_A : COMPARE_B;
                act(m, t, i, t->tick + n);
        }
        n = t->ctc && t->count <= top(t) && top(t) != t->max ? 0 : ticks_until(t, t->max);
        if (n > 0 && n <= ticks)
                *flags |= OVERFLOW;
        if (t->ctc && t->ctc_capture) {
                n = ticks_until(t, t->capture);
                if (n > 0 && n <= ticks)
                        *flags |= CAPTURE;
        }
        advance(t, ticks);
        t->tick = now;
}

static void plan_one(struct mcu_timer *t, uint64_t ticks) {
        uint64_t cycle;

        if (ticks == 0)
                return;
        cycle = (t->tick + ticks) * t->prescale;
        if (cycle < t->due)
                t->due = cycle;
}

static void plan(struct mcu *m, struct mcu_timer *t) {
        uint8_t enabled = m->avr->data[REG_TIMSK0 + t->number];

        t->due = UINT64_MAX;
        if (t->running) {
                if ((enabled & COMPARE_A) || t->com[0])
                        plan_one(t, ticks_until(t, t->compare[0]));
                if ((enabled & COMPARE_B) || t->com[1])
                        plan_one(t, ticks_until(t, t->compare[1]));
                if ((enabled & OVERFLOW) && !t->ctc)
                        plan_one(t, ticks_until(t, t->max));
        }
        mcu_touch(m);
}

void mcu_timer_run(struct mcu *m, unsigned number, uint64_t cycle) {
        catch_up(m, &m->timer[number], cycle);
        plan(m, &m->timer[number]);
}

/* ---- registers ---- */

static struct mcu_timer *of_address(struct mcu *m, unsigned address) {
        if (address >= REG_TCCR2A)
                return &m->timer[2];
        return &m->timer[address >= REG_TCCR1A ? 1 : 0];
}

static struct mcu_timer *current(struct mcu *m, unsigned address) {
        struct mcu_timer *t = of_address(m, address);

        catch_up(m, t, m->avr->cycle);
        return t;
}

static void write_control_a(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        struct mcu_timer *t = current(m, address);

        avr->data[address] = value;
        t->com[0] = (value >> 6) & 3;
        t->com[1] = (value >> 4) & 3;
        if (t->number == 1) {
                if (value & 3)
                        mcu_stray(m, "wants PWM, TCCR1A", value);
        } else {
                if ((value & 3) == 1 || (value & 3) == 3)
                        mcu_stray(m, "wants PWM, TCCRnA", value);
                t->ctc = (value & 3) == 2;
        }
        plan(m, t);
}

static void write_control_b(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        struct mcu_timer *t = current(m, address);
        uint8_t clock = value & 7;

        avr->data[address] = value;
        if (t->number == 1) {
                t->ctc = value & 0x08;
                t->ctc_capture = (value & 0x18) == 0x18;
                if ((value & 0x18) == 0x10)
                        mcu_stray(m, "wants PWM, TCCR1B", value);
        } else if (value & 0x08)
                mcu_stray(m, "wants PWM, TCCRnB", value);
        if (t->number != 2 && clock > 5)
                mcu_stray(m, "wants an external clock, TCCRnB", value);
        t->prescale = (t->number == 2 ? prescale_2 : prescale_01)[clock];
        t->running = t->prescale != 0;
        t->tick = tick_at(t, avr->cycle);
        plan(m, t);
}

static void write_force(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        struct mcu_timer *t = current(m, address);

        avr->data[address] = 0;
        for (unsigned i = 0; i < 2; i++)
                if (value & (0x80u >> i)) {
                        uint64_t tick = t->tick;
                        uint32_t prescale = t->prescale;

                        t->prescale = 1; /* at once */
                        act(m, t, i, avr->cycle);
                        t->prescale = prescale;
                        t->tick = tick;
                }
}

static uint8_t read_count(avr_t *avr, avr_io_addr_t address, void *user) {
        struct mcu *m = user;
        struct mcu_timer *t = current(m, address);

        (void)avr;
        if (t->number == 1)
                m->temp16 = (uint8_t)(t->count >> 8);
        return (uint8_t)t->count;
}

static uint8_t read_high(avr_t *avr, avr_io_addr_t address, void *user) {
        const struct mcu *m = user;

        (void)avr, (void)address;
        return m->temp16;
}

static void write_high(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;

        (void)avr, (void)address;
        m->temp16 = value;
}

static void write_low(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        struct mcu_timer *t = current(m, address);
        uint16_t wide = t->number == 1 ? (uint16_t)(m->temp16 << 8 | value) : value;

        (void)avr;
        switch (address) {
        case REG_TCNT0:
        case REG_TCNT1L:
        case REG_TCNT2:
                t->count = wide;
                break;
        case REG_OCR0A:
        case REG_OCR1AL:
        case REG_OCR2A:
                t->compare[0] = wide;
                break;
        case REG_OCR0B:
        case REG_OCR1BL:
        case REG_OCR2B:
                t->compare[1] = wide;
                break;
        default:
                t->capture = wide;
                break;
        }
        plan(m, t);
}

static uint8_t read_compare(avr_t *avr, avr_io_addr_t address, void *user) {
        struct mcu *m = user;
        const struct mcu_timer *t = of_address(m, address);

        (void)avr;
        switch (address) {
        case REG_OCR0A:
        case REG_OCR1AL:
        case REG_OCR2A:
                return (uint8_t)t->compare[0];
        case REG_OCR1AH:
                return (uint8_t)(t->compare[0] >> 8);
        case REG_OCR1BH:
                return (uint8_t)(t->compare[1] >> 8);
        case REG_ICR1L:
                return (uint8_t)t->capture;
        default:
                return (uint8_t)t->compare[1];
        }
}

static uint8_t read_flags(avr_t *avr, avr_io_addr_t address, void *user) {
        struct mcu *m = user;

        catch_up(m, &m->timer[address - REG_TIFR0], avr->cycle);
        return avr->data[address];
}

static void write_flags(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;

        catch_up(m, &m->timer[address - REG_TIFR0], avr->cycle);
        avr->data[address] &= (uint8_t)~value;
        mcu_touch(m);
}

static void write_mask(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        struct mcu_timer *t = &m->timer[address - REG_TIMSK0];

        catch_up(m, t, avr->cycle);
        avr->data[address] = value;
        if (value & CAPTURE)
                mcu_stray(m, "wants input capture, TIMSK1", value);
        plan(m, t);
}

void mcu_timer_reset(struct mcu *m) {
        for (unsigned i = 0; i < 3; i++)
                m->timer[i] =
                        (struct mcu_timer){.number = i, .max = i == 1 ? 0xFFFF : 0xFF, .due = UINT64_MAX};
}

void mcu_timer_install(struct mcu *m) {
        static const uint8_t low[] = {REG_OCR0A,  REG_OCR0B,  REG_OCR2A, REG_OCR2B,
                                      REG_OCR1AL, REG_OCR1BL, REG_ICR1L};
        static const uint8_t high[] = {REG_OCR1AH, REG_OCR1BH, REG_ICR1H};
        static const uint8_t control[] = {REG_TCCR0A, REG_TCCR1A, REG_TCCR2A};
        static const uint8_t count[] = {REG_TCNT0, REG_TCNT1L, REG_TCNT2};

        for (unsigned i = 0; i < sizeof(low); i++) {
                mcu_on_read(m, low[i], read_compare);
                mcu_on_write(m, low[i], write_low);
        }
        for (unsigned i = 0; i < sizeof(high); i++) {
                mcu_on_read(m, high[i], read_compare);
                mcu_on_write(m, high[i], write_high);
        }
        for (unsigned i = 0; i < 3; i++) {
                mcu_on_read(m, control[i], NULL);
                mcu_on_write(m, control[i], write_control_a);
                mcu_on_read(m, control[i] + 1u, NULL);
                mcu_on_write(m, control[i] + 1u, write_control_b);
                mcu_on_read(m, count[i], read_count);
                mcu_on_write(m, count[i], write_low);
                mcu_on_read(m, REG_TIFR0 + i, read_flags);
                mcu_on_write(m, REG_TIFR0 + i, write_flags);
                mcu_on_read(m, REG_TIMSK0 + i, NULL);
                mcu_on_write(m, REG_TIMSK0 + i, write_mask);
        }
        mcu_on_read(m, REG_TCNT1H, read_high);
        mcu_on_write(m, REG_TCNT1H, write_high);
        mcu_on_read(m, REG_TCCR1C, NULL);
        mcu_on_write(m, REG_TCCR1C, write_force);
        mcu_timer_reset(m);
}
