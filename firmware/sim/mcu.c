/* SPDX-License-Identifier: MIT */

/* The chip as a whole: power, reset, sleep, interrupts, and what runs next. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sim_avr.h>
#include <sim_core.h>
#include <sim_elf.h>
#include <sim_io.h>
#include <avr_watchdog.h>

#include "mcu.h"
#include "registers.h"

#define START_UP_S 0.065           /* fuse SUT: 65 ms after any reset */
#define INTERRUPT_CYCLES 4         /* section 6.7.1 */
#define WAKE_CYCLES 4              /* the same, from sleep */
#define RC_START_CYCLES 6          /* from power-down, section 8.6 */
#define CRYSTAL_START_CYCLES 16384 /* section 8.3 */
#define RAM_START 0x100
#define RAM_END 0x8FF

struct mcu_module {
        avr_io_t io;
        avr_io_t *simavr_modules;
        uint8_t *simavr_flash;
        struct mcu *mcu;
};

/* What simavr never frees: said to a sanitizer that is built in, and to nobody else. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
        return "leak:libsimavr";
}

static void silent(avr_t *avr, const int level, const char *format, va_list arguments) {
        (void)avr, (void)level, (void)format, (void)arguments;
}

int mcu_image_load(const char *path, struct mcu_image *ret) {
        elf_firmware_t elf;

        avr_global_logger_set(silent);
        memset(&elf, 0, sizeof(elf));
        if (elf_read_firmware(path, &elf) != 0 || !elf.flash || elf.flashbase != 0 || elf.flashsize > 32768)
                return -ENOEXEC;
        memset(ret->flash, 0xFF, sizeof(ret->flash));
        memcpy(ret->flash, elf.flash, elf.flashsize);
        ret->size = elf.flashsize;
        /* What simavr's core wants behind the end. */
        ret->flash[32768] = AVR_OVERFLOW_OPCODE & 0xFF;
        ret->flash[32769] = AVR_OVERFLOW_OPCODE >> 8;
        free(elf.flash);
        return 0;
}

/* The only thing that the core asks of a module: instruction wdr. */
static int on_ioctl(avr_io_t *io, uint32_t request, void *argument) {
        (void)argument;
        if (request != AVR_IOCTL_WATCHDOG_RESET)
                return -1;
        mcu_watchdog_kick(((struct mcu_module *)(void *)io)->mcu);
        return 0;
}

static uint8_t stray_read(avr_t *avr, avr_io_addr_t address, void *user) {
        mcu_stray(user, "reads register", address);
        return avr->data[address];
}

static void stray_write(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        avr->data[address] = value;
        mcu_stray(user, "writes register", address);
}

static void plain_write(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        (void)user;
        avr->data[address] = value;
}

static uint8_t plain_read(avr_t *avr, avr_io_addr_t address, void *user) {
        (void)user;
        return avr->data[address];
}

void mcu_on_read(struct mcu *m, unsigned address, uint8_t (*f)(struct avr_t *, uint16_t, void *)) {
        m->avr->io[AVR_DATA_TO_IO(address)].r.c = f ? f : plain_read;
        m->avr->io[AVR_DATA_TO_IO(address)].r.param = m;
}

void mcu_on_write(struct mcu *m, unsigned address, void (*f)(struct avr_t *, uint16_t, uint8_t, void *)) {
        m->avr->io[AVR_DATA_TO_IO(address)].w.c = f ? f : plain_write;
        m->avr->io[AVR_DATA_TO_IO(address)].w.param = m;
}

uint8_t *mcu_register(struct mcu *m, unsigned address) {
        return &m->avr->data[address];
}

void mcu_stray(struct mcu *m, const char *what, unsigned address) {
        if (m->seen.strays++ == 0)
                (void)snprintf(m->seen.stray, sizeof(m->seen.stray), "%s 0x%02X at 0x%04X", what, address,
                               (unsigned)m->avr->pc);
}

/* MCUSR's flags can be cleared only. */
static void write_mcusr(avr_t *avr, avr_io_addr_t address, uint8_t value, void *user) {
        (void)user;
        avr->data[address] &= value;
}

static void install(struct mcu *m) {
        static const uint8_t plain[] = {REG_GPIOR0, REG_GPIOR1, REG_GPIOR2, REG_SMCR, REG_MCUCR,
                                        REG_PRR,    REG_DIDR0,  REG_DIDR1,  REG_ACSR};

        for (unsigned i = 0; i < MAX_IOs; i++)
                memset(&m->avr->io[i], 0, sizeof(m->avr->io[i]));
        for (unsigned address = 0x20; address <= REG_LAST; address++) {
                m->avr->io[AVR_DATA_TO_IO(address)].irq = NULL;
                if (address >= REG_SPL && address <= REG_SREG)
                        continue; /* the core's */
                mcu_on_read(m, address, stray_read);
                mcu_on_write(m, address, stray_write);
        }
        for (size_t i = 0; i < sizeof(plain); i++) {
                mcu_on_read(m, plain[i], NULL);
                mcu_on_write(m, plain[i], NULL);
                m->avr->io[AVR_DATA_TO_IO(plain[i])].r.c = NULL;
                m->avr->io[AVR_DATA_TO_IO(plain[i])].w.c = NULL;
        }
        mcu_on_read(m, REG_MCUSR, NULL);
        mcu_on_write(m, REG_MCUSR, write_mcusr);
        mcu_clock_install(m);
        mcu_usart_install(m);
        mcu_timer_install(m);
        mcu_adc_install(m);
        mcu_eeprom_install(m);
        mcu_watchdog_install(m);
        mcu_port_install(m);
}

int mcu_init(struct mcu *m, const struct mcu_image *image, const struct mcu_outside *outside, uint64_t seed) {
        avr_t *avr;

        memset(m, 0, sizeof(*m));
        avr_global_logger_set(silent);
        m->avr = avr = avr_make_mcu_by_name("atmega328p");
        m->module = calloc(1, sizeof(*m->module));
        if (!avr || !m->module) {
                free(m->module);
                return -ENOMEM;
        }
        avr_init(avr);
        m->module->simavr_modules = avr->io_port;
        m->module->simavr_flash = avr->flash;
        m->module->mcu = m;
        m->module->io.kind = "chip";
        m->module->io.avr = avr;
        m->module->io.ioctl = on_ioctl;
        avr->io_port = &m->module->io;
        avr->flash = (uint8_t *)(uintptr_t)image->flash; /* never written: there is no SPM here */
        avr->log = 0;
        m->image = image;
        m->outside = *outside;
        rng_init(&m->rng, seed, 0x6D6375);
        m->clock_fuse_div = 3;
        m->degc = 25;
        m->supply_v = 3.3;
        m->rc = (struct mcu_rc){.base_hz = 8e6, .factory = 0x60, .step = 0.006, .seam = 0.1};
        m->watchdog_hz = 128000;
        m->adc_noise_lsb = 0.5;
        m->hz = 1e6;
        m->time_due = m->rx_due = m->adc_due = m->eeprom_due = m->watchdog_due = m->held_until = MCU_NEVER;
        m->cycle_due = UINT64_MAX;
        memset(m->eeprom, 0xFF, sizeof(m->eeprom));
        install(m);
        return 0;
}

void mcu_done(struct mcu *m) {
        if (!m->avr)
                return;
        m->avr->io_port = m->module->simavr_modules;
        m->avr->flash = m->module->simavr_flash;
        avr_terminate(m->avr);
        free(m->avr);
        free(m->module);
        m->avr = NULL;
}

double mcu_now(const struct mcu *m) {
        return m->time0 + (double)(m->avr->cycle - m->cycle0) / m->hz;
}

double mcu_time_of(const struct mcu *m, uint64_t cycle) {
        return m->time0 + (double)(int64_t)(cycle - m->cycle0) / m->hz;
}

uint64_t mcu_cycle_at(const struct mcu *m, double time) {
        double cycles = (time - m->time0) * m->hz;

        if (cycles <= 0)
                return m->cycle0;
        return cycles > 1e15 ? UINT64_MAX : m->cycle0 + (uint64_t)cycles + 1;
}

void mcu_rebase(struct mcu *m, double hz) {
        m->time0 = mcu_now(m);
        m->cycle0 = m->avr->cycle;
        m->hz = hz;
}

/* Time passes, the clock does not. */
static void stand_still(struct mcu *m, double until) {
        m->time0 = until;
        m->cycle0 = m->avr->cycle;
}

void mcu_account(struct mcu *m) {
        double now = mcu_now(m);

        if (m->powered)
                m->seen.in_mode_s[m->sleep] += now - m->mode_since;
        m->mode_since = now;
        if (m->adc_on_since < MCU_NEVER) {
                m->seen.adc_on_s += now - m->adc_on_since;
                m->adc_on_since = now;
        }
}

void mcu_watch(struct mcu *m) {
        mcu_account(m);
        memset(&m->seen, 0, sizeof(m->seen));
        m->seen.since = mcu_now(m);
}

static void set_sleep(struct mcu *m, enum mcu_sleep sleep) {
        mcu_account(m);
        m->sleep = sleep;
}

void mcu_touch(struct mcu *m) {
        m->avr->run_cycle_count = 0;
        m->time_due = m->rx_due < m->adc_due ? m->rx_due : m->adc_due;
        if (m->eeprom_due < m->time_due)
                m->time_due = m->eeprom_due;
        if (m->watchdog_due < m->time_due)
                m->time_due = m->watchdog_due;
        m->cycle_due = m->tx_due;
        for (unsigned i = 0; i < 3; i++)
                if (m->timer[i].due < m->cycle_due)
                        m->cycle_due = m->timer[i].due;
}

static void reset_parts(struct mcu *m, enum mcu_reset cause) {
        avr_t *avr = m->avr;
        uint8_t causes = avr->data[REG_MCUSR];

        memset(avr->data, 0, REG_LAST + 1);
        avr->data[REG_MCUSR] = (uint8_t)(cause == MCU_RESET_POWER ? cause : causes | cause);
        memset(avr->sreg, 0, sizeof(avr->sreg));
        avr->data[REG_SPL] = RAM_END & 0xFF;
        avr->data[REG_SPH] = RAM_END >> 8;
        avr->pc = 0;
        avr->interrupt_state = 0;
        avr->state = cpu_Running;
        m->hold_one = false;
        mcu_clock_reset(m);
        mcu_eeprom_reset(m);
        mcu_usart_reset(m);
        mcu_timer_reset(m);
        mcu_adc_reset(m);
        mcu_watchdog_reset(m, cause == MCU_RESET_WATCHDOG);
        mcu_port_reset(m);
        mcu_touch(m);
}

void mcu_reset(struct mcu *m, enum mcu_reset cause) {
        for (unsigned i = 0; i < 4; i++)
                if (cause == 1u << i)
                        m->seen.resets[i]++;
        set_sleep(m, MCU_AWAKE);
        reset_parts(m, cause);
        m->held_until = mcu_now(m) + START_UP_S;
}

void mcu_power(struct mcu *m, double now, bool on) {
        if (on == m->powered)
                return;
        set_sleep(m, MCU_AWAKE);
        if (!on) {
                reset_parts(m, MCU_RESET_POWER); /* pins float */
                m->watchdog_due = m->rx_due = MCU_NEVER;
                mcu_touch(m);
                m->powered = false;
                m->held_until = MCU_NEVER;
                return;
        }
        stand_still(m, now);
        m->mode_since = now;
        m->powered = true;
        for (unsigned i = RAM_START; i <= RAM_END; i++)
                m->avr->data[i] = (uint8_t)rng_next(&m->rng);
        mcu_reset(m, MCU_RESET_POWER);
}

/* The vector of the most urgent interrupt that is enabled, 0 = none. Vectors that the chip clears are cleared
 * when take is set. */
static unsigned interrupt(struct mcu *m, bool take) {
        static const uint8_t first[3] = {VECTOR_TIMER0_COMPA, VECTOR_TIMER1_COMPA, VECTOR_TIMER2_COMPA};
        static const uint8_t order[3] = {2, 1, 0};
        uint8_t *data = m->avr->data, a, b;

        if ((data[REG_WDTCSR] & WDTCSR_WDIF) && (data[REG_WDTCSR] & WDTCSR_WDIE)) {
                if (take) {
                        data[REG_WDTCSR] &= (uint8_t)~WDTCSR_WDIF;
                        /* With WDE: the next time-out is a reset (section 10.9.2). */
                        if (data[REG_WDTCSR] & WDTCSR_WDE)
                                data[REG_WDTCSR] &= (uint8_t)~WDTCSR_WDIE;
                }
                return VECTOR_WDT;
        }
        for (unsigned i = 0; i < 3; i++) {
                unsigned n = order[i];
                uint8_t due = data[REG_TIFR0 + n] & data[REG_TIMSK0 + n];

                for (unsigned bit = 1; (due & 7) && bit <= 3; bit++) {
                        uint8_t mask = (uint8_t)(1u << (bit % 3)); /* compare A, compare B, overflow */

                        if (!(due & mask))
                                continue;
                        if (take)
                                data[REG_TIFR0 + n] &= (uint8_t)~mask;
                        return first[n] + bit - 1;
                }
        }
        a = data[REG_UCSR0A];
        b = data[REG_UCSR0B];
        if ((a & UCSRA_RXC) && (b & UCSRB_RXCIE))
                return VECTOR_USART_RX;
        if ((a & UCSRA_UDRE) && (b & UCSRB_UDRIE))
                return VECTOR_USART_UDRE;
        if ((a & UCSRA_TXC) && (b & UCSRB_TXCIE)) {
                if (take)
                        data[REG_UCSR0A] &= (uint8_t)~UCSRA_TXC;
                return VECTOR_USART_TX;
        }
        if ((data[REG_ADCSRA] & ADCSRA_ADIF) && (data[REG_ADCSRA] & ADCSRA_ADIE)) {
                if (take)
                        data[REG_ADCSRA] &= (uint8_t)~ADCSRA_ADIF;
                return VECTOR_ADC;
        }
        if (!(data[REG_EECR] & EECR_EEPE) && (data[REG_EECR] & EECR_EERIE))
                return VECTOR_EE_READY;
        return 0;
}

static void serve(struct mcu *m) {
        avr_t *avr = m->avr;
        unsigned vector = interrupt(m, true), sp = avr->data[REG_SPL] | (unsigned)avr->data[REG_SPH] << 8;
        uint32_t word = avr->pc / 2;

        if (sp <= RAM_START + 1 || sp > RAM_END) {
                mcu_stray(m, "interrupt with stack pointer", sp);
                mcu_reset(m, MCU_RESET_EXTERNAL);
                return;
        }
        avr->data[sp] = (uint8_t)word;
        avr->data[sp - 1] = (uint8_t)(word >> 8);
        sp -= 2;
        avr->data[REG_SPL] = (uint8_t)sp;
        avr->data[REG_SPH] = (uint8_t)(sp >> 8);
        avr->pc = vector * 4;
        avr->sreg[S_I] = 0;
        avr->interrupt_state = 0;
        avr->cycle += INTERRUPT_CYCLES;
}

static void fall_asleep(struct mcu *m) {
        static const enum mcu_sleep modes[8] = {MCU_IDLE,       MCU_ADC_SLEEP,  MCU_POWER_DOWN,
                                                MCU_POWER_DOWN, MCU_POWER_DOWN, MCU_POWER_DOWN,
                                                MCU_POWER_DOWN, MCU_POWER_DOWN};
        uint8_t smcr = m->avr->data[REG_SMCR];

        m->avr->state = cpu_Running;
        if (!(smcr & 1))
                return;
        if (!m->avr->sreg[S_I])
                mcu_stray(m, "sleeps with interrupts off, SMCR", smcr);
        set_sleep(m, modes[(smcr >> 1) & 7]);
        if (m->sleep == MCU_ADC_SLEEP)
                mcu_adc_sleep(m);
        /* The USART has no clock now: a character on its way in is lost, one on its way out is stretched. */
        if (m->sleep > MCU_IDLE && m->tx_busy)
                mcu_stray(m, "sleeps while sending, SMCR", smcr);
}

static void wake(struct mcu *m) {
        bool deep = m->sleep > MCU_IDLE;

        set_sleep(m, MCU_AWAKE);
        m->avr->cycle += WAKE_CYCLES;
        if (deep) {
                m->avr->cycle += m->crystal ? CRYSTAL_START_CYCLES : RC_START_CYCLES;
                if (m->rx_due < MCU_NEVER)
                        m->seen.lost_asleep++;
                mcu_usart_listen(m, mcu_now(m));
                mcu_touch(m);
        }
}

static void run_time(struct mcu *m, double time) {
        if (m->rx_due <= time)
                mcu_usart_time(m, time);
        if (m->adc_due <= time)
                mcu_adc_time(m, time);
        if (m->eeprom_due <= time)
                mcu_eeprom_time(m, time);
        if (m->watchdog_due <= time)
                mcu_watchdog_time(m, time);
        mcu_touch(m);
}

static void run_cycle(struct mcu *m, uint64_t cycle) {
        if (m->tx_due <= cycle)
                mcu_usart_run(m, cycle);
        for (unsigned i = 0; i < 3; i++)
                if (m->timer[i].due <= cycle)
                        mcu_timer_run(m, i, cycle);
        mcu_touch(m);
}

static void execute(struct mcu *m, uint64_t limit) {
        avr_t *avr = m->avr;

        avr->run_cycle_count = m->hold_one ? 0 : limit - avr->cycle;
        avr->interrupt_state = 0;
        avr->pc = avr_run_one(avr);
        /* I went from 0 to 1: the core stopped there, and one instruction more runs before an interrupt does.
         */
        m->hold_one = avr->interrupt_state != 0;
        if (avr->state == cpu_Sleeping)
                fall_asleep(m);
        else if (avr->state != cpu_Running) {
                mcu_stray(m, "stopped: invalid instruction or address, state", (unsigned)avr->state);
                mcu_reset(m, MCU_RESET_EXTERNAL);
        }
}

static bool run_deep(struct mcu *m, double until) {
        if (interrupt(m, false)) {
                wake(m);
                return true;
        }
        if (m->time_due >= until) {
                stand_still(m, until);
                return false;
        }
        stand_still(m, m->time_due);
        run_time(m, m->time_due);
        return true;
}

double mcu_next(const struct mcu *m) {
        double cycles;

        if (!m->powered)
                return MCU_NEVER;
        if (m->held_until < MCU_NEVER)
                return m->held_until;
        if (m->sleep == MCU_AWAKE || m->due_to_wake)
                return mcu_now(m);
        if (m->sleep > MCU_IDLE || m->cycle_due == UINT64_MAX)
                return m->time_due;
        cycles = mcu_time_of(m, m->cycle_due);
        return cycles < m->time_due ? cycles : m->time_due;
}

/* One step; false: the time is reached. */
static bool run_step(struct mcu *m, double until) {
        avr_t *avr = m->avr;
        uint64_t limit, by_time;

        if (m->sleep > MCU_IDLE)
                return run_deep(m, until);
        by_time = mcu_cycle_at(m, m->time_due < until ? m->time_due : until);
        limit = m->cycle_due < by_time ? m->cycle_due : by_time;
        if (avr->cycle >= limit) {
                if (limit == m->cycle_due)
                        run_cycle(m, limit);
                else if (m->time_due < until)
                        run_time(m, m->time_due);
                else
                        return false;
                return true;
        }
        if (m->hold_one || !interrupt(m, false)) {
                if (m->sleep == MCU_IDLE)
                        avr->cycle = limit;
                else
                        execute(m, limit);
                return true;
        }
        if (m->sleep == MCU_IDLE)
                wake(m);
        else if (avr->sreg[S_I])
                serve(m);
        else
                execute(m, limit);
        return true;
}

void mcu_run(struct mcu *m, double until) {
        for (;;) {
                if (!m->powered || (m->held_until < MCU_NEVER && m->held_until > until)) {
                        if (until > mcu_now(m))
                                stand_still(m, until);
                        return;
                }
                if (m->held_until < MCU_NEVER) {
                        stand_still(m, m->held_until);
                        m->held_until = MCU_NEVER;
                        m->rx_from = mcu_now(m);
                }
                if (!run_step(m, until)) {
                        /* The time was up just as an interrupt came. */
                        m->due_to_wake = interrupt(m, false) != 0;
                        return;
                }
        }
}
