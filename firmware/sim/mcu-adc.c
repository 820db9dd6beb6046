/* SPDX-License-Identifier: MIT */

/* The ADC: 1024 steps of the reference, noise, conversion time by its prescaler, single conversions (also
 * begun by falling asleep in ADC noise reduction). A free-running ADC is not made here. */

#include <math.h>

#include <sim_avr.h>

#include "mcu.h"
#include "registers.h"

#define BANDGAP_V 1.1
#define CLOCKS_FIRST 25 /* section 23.4: after ADEN */
#define CLOCKS 13
#define SAMPLE_FIRST 13.5
#define SAMPLE 1.5
#define CLOCK_MAX_HZ 200001 /* for 10 bits */

static double reference(struct mcu *m) {
        switch (m->adc_reference) {
        case 0:
                return m->outside.aref(m->outside.board, m->adc_sample_at);
        case 1:
                return m->supply_v;
        case 3:
                return BANDGAP_V;
        default:
                return 0;
        }
}

static double input(struct mcu *m) {
        if (m->adc_channel < 8)
                return m->outside.analog(m->outside.board, m->adc_channel, m->adc_sample_at);
        return m->adc_channel == 14 ? BANDGAP_V : 0;
}

static void start(struct mcu *m, double now) {
        uint8_t *data = m->avr->data;
        double clock_hz = m->hz / (double)(1u << ((data[REG_ADCSRA] & 7) ? (data[REG_ADCSRA] & 7) : 1));

        if (clock_hz > CLOCK_MAX_HZ)
                mcu_stray(m, "runs the ADC too fast, ADCSRA", data[REG_ADCSRA]);
        data[REG_ADCSRA] |= ADCSRA_ADSC;
        m->adc_channel = data[REG_ADMUX] & 15;
        m->adc_reference = data[REG_ADMUX] >> 6;
        m->adc_sample_at = now + (m->adc_first ? SAMPLE_FIRST : SAMPLE) / clock_hz;
        m->adc_due = now + (m->adc_first ? CLOCKS_FIRST : CLOCKS) / clock_hz;
        m->adc_first = false;
        mcu_touch(m);
}

void mcu_adc_time(struct mcu *m, double time) {
        uint8_t *data = m->avr->data;
        double volts = reference(m), steps;
        unsigned result;

        (void)time;
        m->adc_due = MCU_NEVER;
        steps = volts > 0 ? input(m) / volts * 1024 : 1023;
        steps = floor(steps + m->adc_noise_lsb * rng_normal(&m->rng));
        result = steps < 0 ? 0 : steps > 1023 ? 1023 : (unsigned)steps;
        if (data[REG_ADMUX] & 0x20)
                result <<= 6;
        data[REG_ADCL] = (uint8_t)result;
        data[REG_ADCH] = (uint8_t)(result >> 8);
        data[REG_ADCSRA] = (uint8_t)((data[REG_ADCSRA] & ~ADCSRA_ADSC) | ADCSRA_ADIF);
}

void mcu_adc_sleep(struct mcu *m) {
        uint8_t a = m->avr->data[REG_ADCSRA];

        if ((a & ADCSRA_ADEN) && !(a & ADCSRA_ADSC))
                start(m, mcu_now(m));
}

static void write_control(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        struct mcu *m = user;
        uint8_t old = avr->data[address], flags = old & (ADCSRA_ADSC | ADCSRA_ADIF);

        if (value & ADCSRA_ADIF)
                flags &= (uint8_t)~ADCSRA_ADIF; /* cleared by a one */
        if (value & ADCSRA_ADATE)
                mcu_stray(m, "triggers the ADC by itself, ADCSRA", value);
        avr->data[address] = (uint8_t)((value & ~(ADCSRA_ADSC | ADCSRA_ADIF)) | flags);
        if (!(value & ADCSRA_ADEN)) {
                avr->data[address] &= (uint8_t)~ADCSRA_ADSC;
                m->adc_due = MCU_NEVER;
                mcu_account(m);
                m->adc_on_since = MCU_NEVER;
        } else if (!(old & ADCSRA_ADEN)) {
                m->adc_first = true;
                m->adc_on_since = mcu_now(m);
        }
        if ((value & ADCSRA_ADEN) && (value & ADCSRA_ADSC) && !(old & ADCSRA_ADSC))
                start(m, mcu_now(m));
        mcu_touch(m);
}

void mcu_adc_reset(struct mcu *m) {
        m->adc_due = m->adc_on_since = MCU_NEVER;
}

void mcu_adc_install(struct mcu *m) {
        static const uint8_t plain[] = {REG_ADCL, REG_ADCH, REG_ADCSRB, REG_ADMUX};

        for (unsigned i = 0; i < sizeof(plain); i++) {
                mcu_on_read(m, plain[i], NULL);
                mcu_on_write(m, plain[i], NULL);
        }
        mcu_on_read(m, REG_ADCSRA, NULL);
        mcu_on_write(m, REG_ADCSRA, write_control);
        m->adc_on_since = MCU_NEVER;
}
