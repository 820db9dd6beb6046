/* SPDX-License-Identifier: MIT */

#include <math.h>
#include <string.h>

#include "board.h"
#include "hardware.h"

#define KELVIN 273.15
#define SETTLE_S 0.0005 /* time constant of reference and dividers behind their switch */
#define EAR_BIT_S (1.0 / HARDWARE_BAUD)

enum {
        BIT_RXD = 1 << 0,
        BIT_BYPASS = 1 << 3,
        BIT_LED = 1 << 4,
        BIT_SUPPLY = 1 << 5,
        BIT_SENSE = 1 << 6,
        BIT_HALL = 1 << 7
};
enum { BIT_EXTENDED = 1 << 1 };

static const struct {
        enum mcu_port port;
        uint8_t bit;
} switch_pins[BOARD_SWITCHES] = {
        {MCU_PORT_B, 0}, {MCU_PORT_B, 2}, {MCU_PORT_B, 3}, {MCU_PORT_B, 4},
        {MCU_PORT_B, 5}, {MCU_PORT_C, 4}, {MCU_PORT_C, 5}, {MCU_PORT_D, 2},
};

/* ---- the ear ---- */

static void ear_until(struct board_ear *e, double now) {
        while (e->busy) {
                double middle = e->start + (e->bit + 0.5) * EAR_BIT_S;

                if (middle > now)
                        return;
                if (e->level)
                        e->bits |= (uint16_t)(1u << e->bit);
                if (++e->bit < LINE_BITS)
                        continue;
                e->busy = false;
                if (e->bits & 1)
                        continue; /* a glitch, no start bit */
                e->bytes++;
                if (!(e->bits & 0x200))
                        e->framing_errors++;
                if (e->heard)
                        e->heard(e->user, e->start, e->start + LINE_BITS * EAR_BIT_S, (uint8_t)(e->bits >> 1),
                                 !(e->bits & 0x200));
        }
}

static void ear_edge(struct board_ear *e, double now, bool level) {
        ear_until(e, now);
        if (level == e->level)
                return;
        e->level = level;
        if (e->busy) {
                double off = fabs(remainder(now - e->start, EAR_BIT_S));

                if (off > e->worst_edge_s)
                        e->worst_edge_s = off;
        } else if (!level) {
                e->busy = true;
                e->start = now;
                e->bit = 0;
                e->bits = 0;
        }
}

void board_listen(struct board *b, double now) {
        ear_until(&b->ear, now);
}

/* ---- what the chip asks ---- */

static void on_sends(void *user, double start, double bit_s, uint8_t byte) {
        struct board *b = user;

        if (b->tap)
                b->tap(b->tap_user, b, start, bit_s, byte);
        if (b->next && line_send(&b->next->line, start, bit_s, byte))
                mcu_usart_heard(&b->next->mcu);
}

static uint8_t on_level(void *user, enum mcu_port port, double time, uint8_t *ret_driven) {
        const struct board *b = user;
        uint8_t level = 0, driven = 0;

        for (unsigned i = 0; b->is_in && i < BOARD_SWITCHES; i++)
                if (b->switches[i] && switch_pins[i].port == port)
                        driven |= (uint8_t)(1u << switch_pins[i].bit); /* ON: to minus */
        if (port == MCU_PORT_D) {
                driven |= BIT_RXD | BIT_SENSE;
                if (line_level(&b->line, time))
                        level |= BIT_RXD;
                if (board_bypass_flows(b))
                        level |= BIT_SENSE;
        }
        *ret_driven = driven;
        return level;
}

static void count(struct board *b, double time, bool *state, double *since, double *sum, bool now) {
        (void)b;
        if (now == *state)
                return;
        if (*state)
                *sum += time - *since;
        *state = now;
        *since = time;
}

static void on_drives(void *user, enum mcu_port port, double time, uint8_t level, uint8_t is_output) {
        struct board *b = user;

        if (port == MCU_PORT_B && b->is_in)
                ear_edge(&b->ear, time, !(is_output & BIT_EXTENDED) || (level & BIT_EXTENDED));
        if (port != MCU_PORT_D)
                return;
        if ((level & BIT_LED) && !b->led)
                b->seen.flashes++;
        if (b->led_tap && b->led != !!(level & BIT_LED))
                b->led_tap(b->led_user, b, time, level & BIT_LED);
        count(b, time, &b->led, &b->led_since, &b->seen.led_s, level & BIT_LED);
        count(b, time, &b->bypass, &b->bypass_since, &b->seen.bypass_s, level & BIT_BYPASS);
        count(b, time, &b->supply, &b->supply_since, &b->seen.supply_s, level & BIT_SUPPLY);
        count(b, time, &b->hall, &b->hall_since, &b->seen.hall_s, b->is_in && (level & BIT_HALL));
}

static double settled(bool on, double since, double time) {
        return on ? 1 - exp(-(time - since) / SETTLE_S) : 0;
}

static double on_aref(void *user, double time) {
        const struct board *b = user;
        double volts = HARDWARE_REFERENCE_MV / 1000.0 * (1 + b->parts.reference);

        if (b->analog_fault == BOARD_ANALOG_REFERENCE_DEAD)
                volts *= 0.01;
        if (b->analog_fault == BOARD_ANALOG_REFERENCE_DOUBLE)
                volts *= 2;
        return volts * settled(b->supply, b->supply_since, time);
}

static double ntc_ohm(double degc) {
        /* 1 / T = A + B x + C x^3 with x = ln R, by Newton's method. */
        double t = degc + KELVIN, x = log((double)HARDWARE_NTC_25_OHM);

        for (int i = 0; i < 8; i++)
                x -= (HARDWARE_NTC_A + HARDWARE_NTC_B * x + HARDWARE_NTC_C * x * x * x - 1 / t) /
                     (HARDWARE_NTC_B + 3 * HARDWARE_NTC_C * x * x);
        return exp(x);
}

/* What the cell's terminals show, with the bypass current through some wire. */
static double cell_volts(const struct board *b) {
        return b->volts;
}

static double on_analog(void *user, unsigned channel, double time) {
        const struct board *b = user;
        double on = settled(b->supply, b->supply_since, time), r;

        switch (channel) {
        case HARDWARE_ADC_CELL:
                if (b->analog_fault == BOARD_ANALOG_DIVIDER_OPEN)
                        return cell_volts(b);
                return cell_volts(b) * HARDWARE_CELL_BOTTOM_OHM /
                       (HARDWARE_CELL_BOTTOM_OHM + HARDWARE_CELL_TOP_OHM) * (1 + b->parts.divider) * on;
        case HARDWARE_ADC_NTC:
                if (b->analog_fault == BOARD_ANALOG_NTC_OPEN)
                        return on_aref(user, time);
                if (b->analog_fault == BOARD_ANALOG_NTC_SHORT)
                        return 0;
                r = ntc_ohm(b->degc) * (1 + b->parts.ntc);
                return on_aref(user, time) * r / (r + HARDWARE_NTC_SERIES_OHM);
        case HARDWARE_ADC_HALL_1:
        case HARDWARE_ADC_HALL_2: {
                unsigned i = channel - HARDWARE_ADC_HALL_1;
                double volts = (HARDWARE_HALL_ZERO_MV + HARDWARE_HALL_SPAN_MV * b->sensor_share[i]) / 1000.0;

                if (!b->is_in || !b->sensor_there[i])
                        return 0;
                volts = volts < 0.2 ? 0.2 : volts > 3.1 ? 3.1 : volts; /* saturates near its rails */
                return volts * settled(b->hall, b->hall_since, time) * HARDWARE_HALL_BOTTOM_OHM /
                       (HARDWARE_HALL_BOTTOM_OHM + HARDWARE_HALL_TOP_OHM);
        }
        default:
                return 0;
        }
}

/* ---- board ---- */

bool board_bypass_flows(const struct board *b) {
        switch (b->bypass_fault) {
        case BOARD_BYPASS_STUCK_ON:
                return true;
        case BOARD_BYPASS_OPEN:
                return false;
        case BOARD_BYPASS_SOUND:
                break;
        }
        return b->bypass;
}

int board_init(struct board *b, unsigned number, bool is_in, const struct mcu_image *image, uint64_t seed) {
        const struct mcu_outside outside = {.board = b,
                                            .sends = on_sends,
                                            .level = on_level,
                                            .drives = on_drives,
                                            .analog = on_analog,
                                            .aref = on_aref};
        int r;

        memset(b, 0, sizeof(*b));
        b->number = number;
        b->is_in = is_in;
        b->volts = 3.3;
        b->degc = 25;
        b->ear.level = true;
        line_init(&b->line, seed);
        r = mcu_init(&b->mcu, image, &outside, seed);
        if (r < 0)
                return r;
        b->mcu.line = &b->line;
        if (is_in) {
                b->mcu.crystal = true;
                b->mcu.crystal_hz = HARDWARE_IN_CLOCK_HZ;
                b->mcu.clock_fuse_div = 0;
        }
        return 0;
}

void board_done(struct board *b) {
        mcu_done(&b->mcu);
}

void board_surroundings(struct board *b, double now) {
        mcu_environment(&b->mcu, b->degc, b->volts);
        mcu_power(&b->mcu, now, b->wanted && b->volts >= BOARD_BROWN_OUT_V);
}

void board_step(struct board *b, double now, double current_a, double seconds) {
        if (!b->modelled)
                return;
        b->cell.bypass = board_bypass_flows(b);
        cell_step(&b->cell, current_a, seconds);
        b->volts = cell_voltage(&b->cell, current_a);
        b->degc = b->cell.temperature_c;
        board_surroundings(b, now);
}

void board_account(struct board *b) {
        double now = mcu_now(&b->mcu);
        bool on;

        mcu_account(&b->mcu);
#define UP_TO_NOW(what)                                                                                      \
        on = b->what;                                                                                        \
        count(b, now, &b->what, &b->what##_since, &b->seen.what##_s, !on);                                   \
        b->what = on;
        UP_TO_NOW(led)
        UP_TO_NOW(bypass)
#undef UP_TO_NOW
        /* These decide about settling: their time of switching on is kept, so they count when they go off. */
}

void board_watch(struct board *b) {
        board_account(b);
        memset(&b->seen, 0, sizeof(b->seen));
        b->seen.since = mcu_now(&b->mcu);
        mcu_watch(&b->mcu);
}
