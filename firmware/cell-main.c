/* SPDX-License-Identifier: MIT */
/* A cell board: passes messages on and adds its own reading, burns what its cell has too much, keeps its
 * oscillator at the IN board's rhythm.
 *
 * The relay runs in the interrupts' hooks below; main sleeps until something else is due. */

#include <stddef.h>

#include "chain.h"
#include "chip.h"
#include "clock.h"
#include "eeprom.h"
#include "led.h"
#include "own-cell.h"
#include "records.h"

#define MS(ms) ((uint32_t)(ms)*CHIP_TICK_HZ / UINT32_C(1000))

#define FLASH_TICKS MS(10)
/* R5: not earlier than 100 ms before the frame; a measurement takes 12 ms, and the frame may come early by as
 * much as two clocks differ. */
#define MEASURE_TICKS MS(60)
#define FRESH_TICKS MS(100)
/* Nothing is expected for long: a reading this old is taken anew, so that the bypass has one. */
#define STALE_TICKS MS(1200)
/* Two bytes are still in the USART when the last one was handed out; in whichever rhythm. */
#define SENT_TICKS MS(3)

struct board {
        struct chain chain; /* shared with the interrupts */

        struct clock clock;
        struct own_cell cell;
        struct led led;
        uint32_t measured_ticks; /* when the last measurement began */
};

static struct board board;

/* ---- hooks ---- */

static void set_alarm(struct board *b) {
        chip_alarm_at(chain_deadline(&b->chain, chip_now_locked()));
}

/* Bytes to send first: the next board waits for them. */
static inline void after_chain(struct board *b) {
        if (chain_sending(&b->chain))
                chip_send();
        set_alarm(b);
}

void chip_on_receive(uint8_t byte, bool damaged) {
        chain_receive(&board.chain, byte, damaged, chip_now_locked());
        after_chain(&board);
}

void chip_on_alarm(void) {
        chain_tick(&board.chain, chip_now_locked());
        after_chain(&board);
}

bool chip_on_transmit(uint8_t *ret_byte) {
        return chain_transmit(&board.chain, ret_byte);
}

/* ---- settings ---- */

static void load_settings(struct board *b) {
        uint8_t payload[EEPROM_PAYLOAD_SIZE], osccal;
        bool trimmed = records_load(EEPROM_TRIM, payload) && eeprom_get_trim(payload, &osccal);

        clock_init(&b->clock, chip_osccal(), trimmed ? &osccal : NULL, chip_now());
        own_cell_init(&b->cell);
}

static bool line_idle(struct board *b) {
        bool idle;

        chip_lock();
        idle = chain_idle(&b->chain);
        chip_unlock();
        return idle;
}

/* The oscillator changes between frames only: a byte on its way would be damaged. */
static void trim(struct board *b) {
        uint8_t payload[EEPROM_PAYLOAD_SIZE], code = 0;
        bool more = clock_step_due(&b->clock) && line_idle(b);

        if (more)
                chip_wait_until(chip_now() + SENT_TICKS);
        while (more) {
                chip_lock();
                more = chain_idle(&b->chain) && clock_step(&b->clock, &code);
                if (more)
                        chip_set_osccal(code);
                chip_unlock();
        }
        if (clock_store_due(&b->clock, chip_now())) {
                eeprom_put_trim(payload, clock_code(&b->clock));
                records_store(EEPROM_TRIM, payload);
                clock_stored(&b->clock, chip_now());
        }
}

/* ---- measuring ---- */

static void measure(struct board *b) {
        const struct measure_reading *reading = &b->cell.reading;
        struct chain_reading own;

        b->measured_ticks = chip_now();
        own_cell_measure(&b->cell);
        chip_adc_off();
        own = (struct chain_reading){.voltage = reading->voltage,
                                     .temperature = reading->temperature,
                                     .doubt = bypass_faulty(&b->cell.bypass)};
        chip_lock();
        chain_set_reading(&b->chain, &own);
        chip_unlock();
}

static uint32_t earlier(uint32_t a, uint32_t b) {
        return (int32_t)(a - b) < 0 ? a : b;
}

/* When the next measurement begins. */
static uint32_t measure_due(struct board *b) {
        uint32_t now = chip_now(), expected, stale = b->measured_ticks + STALE_TICKS;
        bool known;

        chip_lock();
        known = chain_expected(&b->chain, now, &expected);
        chip_unlock();
        if (known && (int32_t)(b->measured_ticks - (expected - FRESH_TICKS)) < 0)
                return earlier(expected - MEASURE_TICKS, stale);
        return stale;
}

/* ---- main ---- */

static void look_at_news(struct board *b, uint32_t now) {
        struct chain_news news;
        uint32_t cycle;

        chip_lock();
        news = chain_take_news(&b->chain);
        chip_unlock();

        if (news.flags & CHAIN_NEWS_START) {
                clock_start(&b->clock, news.start_ticks);
                cycle = clock_cycle(&b->clock);
                chip_lock();
                chain_set_cycle(&b->chain, cycle);
                if (clock_trusted(&b->clock))
                        chain_allow_orphans(&b->chain, chip_now_locked());
                after_chain(b);
                chip_unlock();
        }
        if (news.flags & CHAIN_NEWS_GOOD) {
                bypass_frame(&b->cell.bypass, news.v_bypass);
                chip_lock();
                chain_set_v_bypass(&b->chain, bypass_voltage(&b->cell.bypass));
                chip_unlock();
        }
        if (news.flags & (CHAIN_NEWS_RELAYED | CHAIN_NEWS_ORPHAN))
                led_message(&b->led, (news.flags & CHAIN_NEWS_ORPHAN) != 0, now);
        /* The period is not known: what is measured after a frame is what there is for the next (R5). */
        if ((news.flags & CHAIN_NEWS_END) && clock_cycle(&b->clock) == 0)
                measure(b);
}

int main(void) {
        struct board *b = &board;

        (void)chip_init();
        chain_init(&b->chain, chip_now_locked());
        after_chain(b);
        chip_unlock();

        led_init(&b->led, FLASH_TICKS);
        load_settings(b);
        trim(b);
        if (clock_trusted(&b->clock)) {
                chip_lock();
                chain_allow_orphans(&b->chain, chip_now_locked());
                after_chain(b);
                chip_unlock();
        }
        measure(b);

        for (;;) {
                uint32_t now = chip_now(), due, led;

                chip_watchdog();
                look_at_news(b, now);
                trim(b);
                now = chip_now();
                if ((int32_t)(now - measure_due(b)) >= 0)
                        measure(b);
                chip_led(led_on(&b->led, bypass_on(&b->cell.bypass), chip_now()));

                due = measure_due(b);
                if (led_due(&b->led, &led))
                        due = earlier(due, led);
                chip_wake_at(due);
                chip_lock();
                if (b->chain.news.flags == 0 && (int32_t)(chip_now_locked() - due) < 0)
                        chip_sleep();
                else
                        chip_unlock();
        }
}
