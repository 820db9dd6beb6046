/* SPDX-License-Identifier: MIT */
#pragma once

/* One ATmega328P. The instructions are executed by simavr's core; everything around them is made here,
 * because simavr 1.6 misleads there: USART, timers, ADC, EEPROM, watchdog, sleep, resets, oscillator. A
 * register that is not made here counts as a mistake of the firmware when it is touched (`strays`). Figures
 * are of the data sheet DS40002061. Knows nothing of boards, wires and cells: the outside is the functions of
 * struct mcu_outside.
 *
 * Time is in seconds, as double, the same for all chips; a chip's own clock runs by its oscillator. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rng.h"

struct avr_t;
struct mcu;
struct line;

#define MCU_NEVER 1e18
#define MCU_EEPROM_SIZE 1024
#define MCU_LATENCY_BINS 64 /* 10 us each */

enum mcu_port { MCU_PORT_B, MCU_PORT_C, MCU_PORT_D, _MCU_PORT_MAX };

enum mcu_reset {
        MCU_RESET_POWER = 1 << 0,
        MCU_RESET_EXTERNAL = 1 << 1,
        MCU_RESET_BROWN_OUT = 1 << 2,
        MCU_RESET_WATCHDOG = 1 << 3,
};

/* What the chip asks of the board it sits on. */
struct mcu_outside {
        void *board;
        /* The transmitter begins a character: start bit at time, each bit this long. */
        void (*sends)(void *board, double time, double bit_s, uint8_t byte);
        /* Levels on the pins of a port that something outside drives, and which pins that are. */
        uint8_t (*level)(void *board, enum mcu_port port, double time, uint8_t *ret_driven);
        /* An output changed. */
        void (*drives)(void *board, enum mcu_port port, double time, uint8_t level, uint8_t is_output);
        /* Volts at an ADC input, and at AREF. */
        double (*analog)(void *board, unsigned channel, double time);
        double (*aref)(void *board, double time);
};

struct mcu_image {
        uint8_t flash[32768 + 4];
        uint32_t size;
};

enum mcu_sleep { MCU_AWAKE, MCU_IDLE, MCU_ADC_SLEEP, MCU_POWER_DOWN, _MCU_SLEEP_MAX };

/* The RC oscillator: frequency by OSCCAL, temperature and supply. */
struct mcu_rc {
        double base_hz;  /* with the factory's code, at 25 degC and 3.3 V */
        uint8_t factory; /* the code that every reset restores */
        double step;     /* share a code changes it by, on average */
        double seam;     /* how much code 0x80 is below 0x7F */
        uint64_t unevenness;
        double per_degc, per_volt;
};

/* What was seen happening inside; sums since mcu_watch(). */
struct mcu_seen {
        double since;
        double in_mode_s[_MCU_SLEEP_MAX];
        double adc_on_s, tx_low_s;
        uint64_t received, overruns, framing_errors, lost_asleep, sent, tx_overwritten;
        double latency_max_s, latency_sum_s;
        uint64_t latency[MCU_LATENCY_BINS];
        uint64_t osccal_writes, osccal_jumps; /* jumps: by more than 2 % at once */
        uint64_t eeprom_writes;
        uint64_t resets[4]; /* by bit of enum mcu_reset */
        uint64_t strays;    /* registers not made here, sleeping with interrupts off, invalid instructions */
        char stray[80];     /* the first one */
};

struct mcu_timer {
        unsigned number;
        uint32_t max;
        bool running;
        uint32_t prescale;
        uint64_t tick; /* of the prescaler, when count was true */
        uint32_t count;
        uint16_t compare[2], capture;
        bool ctc, ctc_capture;
        uint8_t com[2];
        bool pin[2];
        uint64_t due; /* cycle of the next event that anybody waits for */
};

struct mcu {
        struct avr_t *avr;
        const struct mcu_image *image;
        struct mcu_outside outside;
        struct rng rng;
        bool crystal; /* else RC */
        double crystal_hz;
        struct mcu_rc rc;
        double degc, supply_v;
        uint8_t clock_fuse_div; /* 3: CKDIV8 as shipped */

        /* The clock: cycle and time meet at (cycle0, time0). */
        double hz, time0;
        uint64_t cycle0;
        bool powered;
        double held_until; /* in reset */
        struct mcu_module *module;
        enum mcu_sleep sleep;
        bool due_to_wake;
        bool hold_one; /* an instruction runs after I was set before an interrupt does */

        uint64_t cycle_due;
        double time_due;

        /* USART */
        uint8_t rx_data[2], rx_wait, tx_data;
        bool rx_fe[2], rx_wait_fe, rx_waiting, tx_busy, tx_full, rx_overrun;
        double rx_at[2], rx_wait_at, rx_wait_gone;
        unsigned rx_n;
        uint64_t tx_due, baud_phase;
        struct line *line; /* what RXD hears */
        double rx_from, rx_first_low, rx_due;

        struct mcu_timer timer[3];
        uint8_t temp16;

        double adc_due, adc_sample_at;
        unsigned adc_channel;
        uint8_t adc_reference;
        bool adc_first;
        double adc_noise_lsb, adc_on_since;

        uint8_t eeprom[MCU_EEPROM_SIZE];
        double eeprom_due;
        uint64_t eeprom_armed;
        uint16_t eeprom_address;
        uint8_t eeprom_value, eeprom_mode;

        double watchdog_hz, watchdog_due;
        uint64_t watchdog_armed, clkpr_armed;
        uint8_t clkps;

        uint8_t port[_MCU_PORT_MAX], ddr[_MCU_PORT_MAX];
        uint8_t driven[_MCU_PORT_MAX]; /* last told */

        struct mcu_seen seen;
        double mode_since;
};

/* 0, or -Exxx: no such file, no AVR image. */
int mcu_image_load(const char *path, struct mcu_image *ret);

/* A chip without power. The image must live as long; 0 or -ENOMEM. */
int mcu_init(struct mcu *m, const struct mcu_image *image, const struct mcu_outside *outside, uint64_t seed);
void mcu_done(struct mcu *m);

void mcu_power(struct mcu *m, double now, bool on);
void mcu_reset(struct mcu *m, enum mcu_reset cause);

/* The oscillator's surroundings; the clock goes on from here with the new frequency. */
void mcu_environment(struct mcu *m, double degc, double supply_v);

/* RC oscillator's frequency for a code, in the present surroundings. */
double mcu_rc_hz(const struct mcu *m, uint8_t osccal);

double mcu_now(const struct mcu *m);

/* When something will happen inside by itself, at the earliest; a chip that is awake: now. */
double mcu_next(const struct mcu *m);

/* Runs until a time, or up to an instruction longer. */
void mcu_run(struct mcu *m, double until);

/* The sums of mcu_seen begin anew. */
void mcu_watch(struct mcu *m);

/* Sums up to now. */
void mcu_account(struct mcu *m);

/* ---- for the parts of the chip only ---- */
uint64_t mcu_cycle_at(const struct mcu *m, double time);
double mcu_time_of(const struct mcu *m, uint64_t cycle);
void mcu_rebase(struct mcu *m, double hz);
void mcu_touch(
        struct mcu *m); /* something changed: look at interrupts and times before the next instruction */
void mcu_stray(struct mcu *m, const char *what, unsigned address);
void mcu_on_read(struct mcu *m, unsigned address, uint8_t (*f)(struct avr_t *, uint16_t, void *));
void mcu_on_write(struct mcu *m, unsigned address, void (*f)(struct avr_t *, uint16_t, uint8_t, void *));
uint8_t *mcu_register(struct mcu *m, unsigned address);

void mcu_clock_install(struct mcu *m);
void mcu_clock_reset(struct mcu *m);
void mcu_usart_install(struct mcu *m);
void mcu_usart_reset(struct mcu *m);
/* The receiver waits for a start bit from this time on. */
void mcu_usart_listen(struct mcu *m, double from);
/* Something was begun on the line that RXD hears. */
void mcu_usart_heard(struct mcu *m);
void mcu_usart_run(struct mcu *m, uint64_t cycle);
void mcu_usart_time(struct mcu *m, double time);
void mcu_timer_install(struct mcu *m);
void mcu_timer_reset(struct mcu *m);
void mcu_timer_run(struct mcu *m, unsigned number, uint64_t cycle);
void mcu_adc_install(struct mcu *m);
void mcu_adc_reset(struct mcu *m);
void mcu_adc_time(struct mcu *m, double time);
void mcu_adc_sleep(struct mcu *m);
void mcu_eeprom_install(struct mcu *m);
void mcu_eeprom_reset(struct mcu *m);
void mcu_eeprom_time(struct mcu *m, double time);
void mcu_watchdog_install(struct mcu *m);
void mcu_watchdog_reset(struct mcu *m, bool was_watchdog);
void mcu_watchdog_time(struct mcu *m, double time);
void mcu_watchdog_kick(struct mcu *m);
void mcu_port_install(struct mcu *m);
void mcu_port_reset(struct mcu *m);
void mcu_port_compare(struct mcu *m, unsigned timer, unsigned output, double time);
