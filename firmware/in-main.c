/* SPDX-License-Identifier: MIT */
/* The IN board: starts a message each cycle, hands on what returns, measures its own cell and the currents.
 *
 * Main sleeps until the next thing is due; what cannot wait (bytes, bits) is done by the interrupts' hooks
 * below. */

#include <stddef.h>

#include "chip-in.h"
#include "current.h"
#include "eeprom.h"
#include "in-frame.h"
#include "in-return.h"
#include "led.h"
#include "output-line.h"
#include "own-cell.h"
#include "records.h"
#include "switches.h"

#define MS(ms) ((uint32_t)(ms)*CHIP_TICK_HZ / UINT32_C(1000))

#define CYCLE_SLOW MS(1000)
#define CYCLE_FAST MS(500)
#define SAMPLE_TICKS MS(20) /* switches */
/* Their time is counted in 5 ms, which is 288 ticks; a millisecond is no whole number of ticks. */
#define COUNT_MS 5
#define COUNT_TICKS MS(COUNT_MS)
#if HARDWARE_IN_CLOCK_HZ / HARDWARE_TIMER_PRESCALER * 5 % 1000 != 0
#error "5 ms are no whole number of ticks"
#endif
#define FLASH_TICKS MS(10) /* LED, R15 */
/* R5: not earlier than 100 ms before the frame. All of a measurement takes 55 ms. */
#define MEASURE_TICKS MS(80)
#define CELLS_DEFAULT 255 /* with no factory settings: whatever there is, until the return tells */

struct board {
        /* ---- shared with the interrupts ---- */
        struct in_return back;
        struct output_line output;
        uint8_t own[FRAME_SIZE]; /* the frame that goes out, or went out last */
        uint8_t own_sent;

        /* ---- main's ---- */
        struct switches switches;
        struct current current;
        struct own_cell cell;
        struct in_frame frame;
        struct eeprom_factory factory;
        bool defaults;         /* something of the EEPROM is missing */
        bool measured;         /* for the next frame */
        bool started;          /* own holds a frame */
        uint32_t frame_ticks;  /* when the next frame starts */
        uint32_t sample_ticks; /* when the switches were looked at */
        struct led led;
};

static struct board board;

/* ---- hooks ---- */

void chip_on_receive(uint8_t byte, bool damaged) {
        in_return_receive(&board.back, byte, damaged, chip_now_locked());
}

bool chip_on_transmit(uint8_t *ret_byte) {
        if (board.own_sent == FRAME_SIZE)
                return false;
        *ret_byte = board.own[board.own_sent++];
        return true;
}

bool chip_on_output(bool *ret_level) {
        if (output_line_bit(&board.output, ret_level))
                return true;
        output_line_end(&board.output, chip_now_locked());
        return false;
}

/* ---- settings ---- */

static void load_settings(struct board *b) {
        uint8_t payload[EEPROM_PAYLOAD_SIZE];
        struct eeprom_hall hall = {{0, 0}};

        b->factory = (struct eeprom_factory){.sensor_type = 2,
                                             .cells = CELLS_DEFAULT}; /* 100 A, the manual's default */
        b->defaults = !records_load(EEPROM_FACTORY, payload) || !eeprom_get_factory(payload, &b->factory);
        if (records_load(EEPROM_HALL, payload))
                (void)eeprom_get_hall(payload, &hall); /* or no offsets */
        current_init(&b->current, b->factory.sensor_type, hall.offset);
        own_cell_init(&b->cell);
        b->defaults = b->defaults || !b->cell.calibrated;
}

static void store_factory(struct board *b) {
        uint8_t payload[EEPROM_PAYLOAD_SIZE];

        b->factory.sensor_type = b->switches.sensor_type;
        b->factory.cells = b->switches.cells;
        eeprom_put_factory(payload, &b->factory);
        records_store(EEPROM_FACTORY, payload);
        b->current.type = b->factory.sensor_type;
        b->defaults = !b->cell.calibrated;
}

static void store_zero(struct board *b) {
        uint8_t payload[EEPROM_PAYLOAD_SIZE];
        struct eeprom_hall hall;

        if (!current_zero_store(&b->current))
                return;
        hall.offset[0] = b->current.offset[0];
        hall.offset[1] = b->current.offset[1];
        eeprom_put_hall(payload, &hall);
        records_store(EEPROM_HALL, payload);
}

static void sample_switches(struct board *b, uint32_t now) {
        /* At most a measurement or a record late: some 0.1 s. */
        uint8_t counts = (uint8_t)((now - b->sample_ticks) / COUNT_TICKS);

        b->sample_ticks += counts * COUNT_TICKS;
        switch (switches_sample(&b->switches, chip_switches(), (uint16_t)(counts * COUNT_MS))) {
        case SWITCHES_NOTHING:
                break;
        case SWITCHES_FACTORY:
                store_factory(b);
                break;
        case SWITCHES_ZERO_STORE:
                store_zero(b);
                break;
        }
}

/* ---- measuring ---- */

/* The blocks of a sum begin at equal distances, so that their mean is one over whole periods. */
static uint32_t hall_sum(uint8_t input) {
        uint32_t begin = chip_now(), sum = 0;

        for (uint8_t block = 0; block < CURRENT_BLOCKS; block++) {
                chip_wait_until(begin + block * MS(CURRENT_PERIOD_MS) / CURRENT_BLOCKS);
                sum += chip_adc_sum(input, CURRENT_BLOCK_LOG2);
        }
        return sum;
}

/* The currents come last: nearest to the frame. */
static void measure(struct board *b) {
        uint32_t sums[CURRENT_SENSORS];

        own_cell_measure(&b->cell);
        chip_hall_supply(true);
        chip_measuring_supply(true); /* the reference */
        chip_wait_until(chip_now() + MS(HARDWARE_HALL_SETTLE_MS));
        sums[0] = hall_sum(HARDWARE_ADC_HALL_1);
        sums[1] = hall_sum(HARDWARE_ADC_HALL_2);
        chip_hall_supply(false);
        chip_measuring_supply(false);
        chip_adc_off();
        current_apply(&b->current, sums, switches_blind_spot(&b->switches), switches_zeroing(&b->switches));
}

/* ---- frames ---- */

static uint32_t cycle(const struct board *b) {
        return switches_fast(&b->switches) ? CYCLE_FAST : CYCLE_SLOW;
}

static uint8_t flags(const struct board *b) {
        return (uint8_t)((b->defaults ? IN_FRAME_FLAG_DEFAULTS : 0) |
                         (switches_zeroing(&b->switches) ? IN_FRAME_FLAG_ZEROING : 0) |
                         (b->current.refused ? IN_FRAME_FLAG_ZERO_REFUSED : 0) |
                         (b->current.saturated[0] ? IN_FRAME_FLAG_SATURATED_1 : 0) |
                         (b->current.saturated[1] ? IN_FRAME_FLAG_SATURATED_2 : 0) |
                         (in_return_lost(&b->back) ? IN_FRAME_FLAG_RETURN_LOST : 0));
}

static void output(struct board *b, const uint8_t bytes[FRAME_SIZE]) {
        chip_lock();
        output_line_tick(&b->output, chip_now_locked());
        chip_unlock();
        /* If not, it is skipped, as R9 wants it. */
        if (output_line_start(&b->output, bytes))
                chip_output_start();
}

static void output_alone(struct board *b) {
        uint8_t alone[FRAME_SIZE];

        in_frame_alone(b->own, alone);
        output(b, alone);
}

static void start_frame(struct board *b) {
        struct in_frame_values values = {
                .reading = b->cell.reading,
                .bypass_faulty = bypass_faulty(&b->cell.bypass),
                .in = b->current.value[0],
                .out = b->current.value[1],
                .sum = b->current.sum,
                .v_bypass = switches_v_bypass(&b->switches),
                .switches_known = switches_known(&b->switches),
                .switches = switches_bits(&b->switches),
                .sensor_type = b->factory.sensor_type,
                .configured_cells = b->factory.cells,
                .flags = flags(b),
        };
        uint8_t learned = in_return_cells(&b->back);

        /* The last frame is out long since: 60 of at least 500 ms. */
        in_frame_next(&b->frame, &values, learned != 0 ? learned : b->factory.cells, b->own);
        chip_lock();
        b->own_sent = 0;
        chip_send();
        chip_unlock();
        b->started = true;
        b->measured = false;
        bypass_frame(&b->cell.bypass, values.v_bypass);
        if (in_return_lost(&b->back))
                output_alone(b);
}

static void look_at_return(struct board *b) {
        const uint8_t *frame;
        bool lost;

        chip_lock();
        lost = in_return_tick(&b->back, chip_now_locked(), cycle(b));
        chip_unlock();
        if (lost && b->started)
                output_alone(b);

        frame = in_return_take(&b->back);
        if (frame != NULL)
                output(b, frame);
}

/* ---- main ---- */

static uint32_t earlier(uint32_t a, uint32_t b) {
        return (int32_t)(a - b) < 0 ? a : b;
}

/* What is due next. A returned frame ends the sleep by its last byte. */
static uint32_t next_due(const struct board *b) {
        uint32_t led;
        uint32_t due = earlier(b->sample_ticks + SAMPLE_TICKS,
                               b->measured ? b->frame_ticks : b->frame_ticks - MEASURE_TICKS);

        return led_due(&b->led, &led) ? earlier(due, led) : due;
}

int main(void) {
        struct board *b = &board;
        uint32_t now;

        b->own_sent = FRAME_SIZE;
        (void)chip_init();
        chip_in_init();
        now = chip_now();
        in_return_init(&b->back, now);
        output_line_init(&b->output);
        chip_unlock();

        load_settings(b);
        switches_init(&b->switches, chip_switches());
        in_frame_init(&b->frame);
        led_init(&b->led, FLASH_TICKS);
        now = chip_now();
        b->sample_ticks = now;
        b->frame_ticks = now + MS(200);

        for (;;) {
                chip_watchdog();
                now = chip_now();
                if (now - b->sample_ticks >= SAMPLE_TICKS)
                        sample_switches(b, now);
                if (!b->measured && (int32_t)(now - (b->frame_ticks - MEASURE_TICKS)) >= 0) {
                        measure(b);
                        b->measured = true;
                }
                now = chip_now();
                if ((int32_t)(now - b->frame_ticks) >= 0) {
                        start_frame(b);
                        led_message(&b->led, false, now);
                        b->frame_ticks += cycle(b);
                }
                look_at_return(b);
                chip_led(led_on(&b->led, bypass_on(&b->cell.bypass), chip_now()));

                chip_wake_at(next_due(b));
                chip_lock();
                if (!in_return_waiting(&b->back) && (int32_t)(chip_now_locked() - next_due(b)) < 0)
                        chip_sleep();
                else
                        chip_unlock();
        }
}
