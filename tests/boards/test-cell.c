/* SPDX-License-Identifier: MIT */

/* What a cell board does with its own parts, on the real images: bypass and its sense pin (R8, R13 of
 * docs/chain.md), orphans only by a trimmed clock (R10), the stored trim (R12), LED (R15), watchdog, power
 * cuts. A chain of three boards each time, of which the second is looked at.
 *
 *   test-cell IN_IMAGE CELL_IMAGE */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "eeprom.h"
#include "listener.h"

#define CELLS 3
#define START_MAX_S 40.0
#define LOOK_S 0.002
#define CYCLE_S 1.0

static const char *in_image, *cell_image;

struct rig {
        struct boards *c;
        struct board *second;
        struct listener last, hears; /* what the last board sends, and what the second hears */
        struct message message;      /* the last whole one of the last board */
        unsigned messages, good, heard_good;
        double second_end; /* of the second good one heard */
        unsigned second_bytes;
        unsigned flashes;
        double led_s;
};

static void on_last(void *user, const struct message *m) {
        struct rig *r = user;

        if (m->n != FRAME_SIZE)
                return;
        r->message = *m;
        r->messages++;
        if (!*message_unsound(m, CELLS))
                r->good++;
}

static void on_heard(void *user, const struct message *m) {
        struct rig *r = user;

        if (m->n != FRAME_SIZE || frame_checksum(m->bytes) != m->bytes[FRAME_OFF_CHECKSUM])
                return;
        r->heard_good++;
        if (r->heard_good == 2)
                r->second_end = m->end;
}

static void on_second(void *user, const struct board *b, double start, double bit_s, uint8_t byte) {
        struct rig *r = user;

        (void)b, (void)start, (void)bit_s, (void)byte;
        r->second_bytes++;
}

static void rig_make(struct rig *r, uint64_t seed) {
        const struct chain_test test = {.in_image = in_image,
                                        .cell_image = cell_image,
                                        .cells = CELLS,
                                        .configured = CELLS,
                                        .seed = seed,
                                        .spread = 0.1};

        *r = (struct rig){.c = chain_test_make(&test)};
        r->second = r->c->board[2];
        r->last = (struct listener){.heard = on_last, .user = r};
        r->hears = (struct listener){.heard = on_heard, .user = r};
        listener_on_board(&r->last, r->c->board[CELLS]);
        listener_on_board(&r->hears, r->c->board[1]);
        r->second->tap = on_second;
        r->second->tap_user = r;
        for (unsigned i = 1; i <= CELLS; i++)
                boards_cell(r->c, i, 3.30, 25);
}

static void look(struct rig *r) {
        boards_run(r->c, r->c->now + LOOK_S);
        listener_poll(&r->last, r->c->now);
        listener_poll(&r->hears, r->c->now);
}

static void rig_run(struct rig *r, double seconds) {
        double until = r->c->now + seconds;

        while (r->c->now < until)
                look(r);
}

/* Until everything has been right for a while. */
static void rig_settle(struct rig *r) {
        double until = r->c->now + START_MAX_S;
        unsigned good = r->good;

        while (r->good < good + 6 && r->c->now < until)
                look(r);
        assert_in_range(r->good, good + 6, good + 7);
        rig_run(r, 3 * CYCLE_S);
}

static void rig_end(struct rig *r) {
        for (unsigned i = 1; i <= CELLS; i++)
                if (r->c->board[i]->mcu.seen.strays)
                        fail_msg("board %u: %s", i, r->c->board[i]->mcu.seen.stray);
        boards_free(r->c);
}

static bool doubt(const struct rig *r) {
        return r->message.bytes[FRAME_OFF_STATUS] & FRAME_STATUS_COMMUNICATION_ERROR;
}

static double v_bypass(const struct rig *r) {
        return frame_get16(r->message.bytes + FRAME_OFF_V_BYPASS) * 0.005;
}

static void second_cell(struct rig *r, double volts, double degc) {
        boards_cell(r->c, 2, volts, degc);
        rig_run(r, 3 * CYCLE_S);
}

/* ---- parts that fail ---- */

static void test_bypass_stuck(void **state) {
        struct rig r;

        (void)state;
        rig_make(&r, 2);
        rig_settle(&r);
        r.second->bypass_fault = BOARD_BYPASS_STUCK_ON;
        rig_run(&r, 1.5 * CYCLE_S);
        assert_false(doubt(&r)); /* one look is none */
        rig_run(&r, 4 * CYCLE_S);
        assert_true(doubt(&r));
        r.second->bypass_fault = BOARD_BYPASS_SOUND;
        rig_run(&r, 5 * CYCLE_S);
        assert_false(doubt(&r));
        rig_end(&r);
}

static void test_bypass_open(void **state) {
        struct rig r;

        (void)state;
        rig_make(&r, 3);
        rig_settle(&r);
        r.second->bypass_fault = BOARD_BYPASS_OPEN;
        rig_run(&r, 6 * CYCLE_S);
        assert_false(doubt(&r)); /* nobody wants it on */
        boards_cell(r.c, 2, 4.40, 25);
        rig_run(&r, 7 * CYCLE_S);
        assert_true(doubt(&r));
        r.second->bypass_fault = BOARD_BYPASS_SOUND;
        rig_run(&r, 5 * CYCLE_S);
        assert_false(doubt(&r));
        rig_end(&r);
}

/* ---- bypass ---- */

static void test_bypass(void **state) {
        struct rig r;
        double v;

        (void)state;
        rig_make(&r, 4);
        rig_settle(&r);
        v = v_bypass(&r);
        assert_true(v >= 3.4 && v <= 4.3);

        second_cell(&r, v - 0.010, 25);
        assert_false(r.second->bypass);
        second_cell(&r, v + 0.010, 25);
        assert_true(r.second->bypass);
        second_cell(&r, v - 0.012, 25); /* 20 mV of hysteresis */
        assert_true(r.second->bypass);
        second_cell(&r, v - 0.028, 25);
        assert_false(r.second->bypass);
        second_cell(&r, v + 0.010, 80);
        assert_true(r.second->bypass);
        second_cell(&r, v + 0.010, 88);
        assert_false(r.second->bypass);
        second_cell(&r, v + 0.010, 78);
        assert_false(r.second->bypass);
        second_cell(&r, v + 0.010, 72);
        assert_true(r.second->bypass);

        /* Without a chain it goes on. */
        second_cell(&r, v + 0.010, 25);
        boards_power(r.c, 1, false);
        rig_run(&r, 8 * CYCLE_S);
        assert_true(r.second->bypass);
        second_cell(&r, v - 0.028, 25);
        assert_false(r.second->bypass);
        second_cell(&r, v + 0.010, 25);
        assert_true(r.second->bypass);
        rig_end(&r);
}

/* Off from a reset to the second good frame. */
static void test_bypass_reset(void **state) {
        struct rig r;

        (void)state;
        rig_make(&r, 5);
        rig_settle(&r);
        second_cell(&r, 4.40, 25);
        assert_true(r.second->bypass);
        boards_power(r.c, 2, false);
        rig_run(&r, 0.5);
        boards_power(r.c, 2, true);
        look(&r);
        assert_false(r.second->bypass);
        r.heard_good = 0;
        for (double until = r.c->now + 10; !r.second->bypass && r.c->now < until;)
                look(&r);
        assert_true(r.second->bypass);
        rig_run(&r, 0.1);
        assert_true(r.heard_good >= 2);
        assert_true(r.second->bypass_since > r.second_end);
        rig_end(&r);
}

/* ---- clock ---- */

static bool stored_trim(const struct board *b, uint8_t *ret_code) {
        struct eeprom_record record;

        eeprom_load(EEPROM_TRIM, b->mcu.eeprom + eeprom_address(EEPROM_TRIM), &record);
        return record.found && eeprom_get_trim(record.payload, ret_code);
}

static double clock_error(const struct board *b) {
        return fabs(b->mcu.hz / HARDWARE_CELL_CLOCK_HZ - 1);
}

/* 8 MHz by this code, half of which is the clock. */
static bool runs_by(const struct board *b, uint8_t code) {
        return fabs(mcu_rc_hz(&b->mcu, code) / 2 / b->mcu.hz - 1) < 1e-6;
}

/* Stored once, loaded at the next reset; without one nobody starts a frame. */
static void test_trim(void **state) {
        struct rig r;
        uint8_t code = 0, silent;
        uint64_t writes;

        (void)state;
        rig_make(&r, 6);
        boards_power(r.c, 1, false);
        r.c->board[1]->wanted = false;
        rig_run(&r, 30);
        assert_int_equal(r.second_bytes, 0);
        assert_int_equal(r.messages, 0);
        assert_false(stored_trim(r.second, &silent));

        boards_power(r.c, 1, true);
        rig_settle(&r);
        assert_true(stored_trim(r.second, &code));
        assert_true(runs_by(r.second, code));
        assert_true(clock_error(r.second) < 0.010);
        writes = r.second->mcu.seen.eeprom_writes;
        rig_run(&r, 60);
        assert_int_equal(r.second->mcu.seen.eeprom_writes, writes);

        boards_power(r.c, 1, false);
        boards_power(r.c, 2, false);
        rig_run(&r, 1);
        boards_power(r.c, 2, true);
        rig_run(&r, 0.5);
        assert_true(clock_error(r.second) < 0.010);
        r.second_bytes = 0;
        rig_run(&r, 1.5);
        assert_int_equal(r.second_bytes, 0);
        rig_run(&r, 2);
        assert_int_equal(r.second_bytes, FRAME_SIZE); /* its orphan */
        rig_end(&r);
}

/* Power fails after each of the bytes that the first trim's record is written with. */
static void test_power_cuts(void **state) {
        (void)state;
        for (unsigned cut = 1; cut <= 13; cut++) {
                struct rig r;
                uint64_t writes = 0;
                uint8_t code = 0;
                bool was_cut = false;

                rig_make(&r, 7);
                for (double until = r.c->now + START_MAX_S; r.c->now < until && !was_cut;) {
                        uint8_t none;

                        look(&r);
                        /* The raw sums of a board that is not calibrated come first. */
                        if (r.second->mcu.seen.osccal_writes == 0)
                                writes = r.second->mcu.seen.eeprom_writes;
                        was_cut = r.second->mcu.seen.eeprom_writes >= writes + cut ||
                                  stored_trim(r.second, &none);
                }
                assert_true(was_cut);
                boards_power(r.c, 2, false);
                rig_run(&r, 0.3);
                boards_power(r.c, 2, true);
                rig_settle(&r);
                assert_true(stored_trim(r.second, &code));
                assert_true(runs_by(r.second, code));
                rig_end(&r);
        }
}

/* ---- watchdog ---- */

static void test_watchdog(void **state) {
        struct rig r;
        double began;

        (void)state;
        rig_make(&r, 8);
        rig_settle(&r);
        rig_run(&r, 10);
        assert_int_equal(r.second->mcu.seen.resets[3], 0);

        /* A conversion that never ends. */
        began = r.c->now;
        while (r.second->mcu.adc_due >= MCU_NEVER && r.c->now < began + 5)
                boards_run(r.c, r.c->now + 0.0002);
        assert_true(r.second->mcu.adc_due < MCU_NEVER);
        r.second->mcu.adc_due = MCU_NEVER;
        began = r.c->now;
        while (r.second->mcu.seen.resets[3] == 0 && r.c->now < began + 5)
                look(&r);
        assert_int_equal(r.second->mcu.seen.resets[3], 1);
        assert_true(r.c->now - began < 2.6); /* 2 s, by an oscillator of 10 % and a dog fed before */
        rig_run(&r, 3 * CYCLE_S);
        assert_false(doubt(&r));
        rig_settle(&r);
        assert_int_equal(r.second->mcu.seen.resets[3], 1);
        rig_end(&r);
}

/* ---- LED ---- */

static void on_led(void *user, const struct board *b, double time, bool on) {
        struct rig *r = user;

        (void)b;
        r->led_s += on ? -time : time;
        r->flashes += on;
}

static void test_led(void **state) {
        struct rig r;

        (void)state;
        rig_make(&r, 9);
        rig_settle(&r);
        r.second->led_tap = on_led;
        r.second->led_user = &r;
        r.messages = 0;
        rig_run(&r, 10 * CYCLE_S);
        assert_in_range(r.messages, 9, 11);
        assert_in_range(r.flashes, r.messages - 1, r.messages + 1);
        assert_true(r.led_s > 0.05 && r.led_s < 0.5);

        /* Two for each orphan: its own, and by the third those that are passed on. */
        boards_power(r.c, 1, false);
        r.c->board[3]->led_tap = on_led;
        r.c->board[3]->led_user = &r;
        rig_run(&r, 5);
        r.messages = r.flashes = 0;
        rig_run(&r, 15);
        assert_in_range(r.messages, 9, 11);
        assert_in_range(r.flashes, 4 * (r.messages - 1), 4 * (r.messages + 1));

        boards_power(r.c, 1, true);
        rig_settle(&r);
        r.c->board[3]->led_tap = NULL;
        second_cell(&r, 4.40, 25);
        r.flashes = 0;
        rig_run(&r, 5);
        assert_int_equal(r.flashes, 0);
        assert_true(r.second->led);
        rig_end(&r);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bypass_stuck), cmocka_unit_test(test_bypass_open),
                cmocka_unit_test(test_bypass),       cmocka_unit_test(test_bypass_reset),
                cmocka_unit_test(test_trim),         cmocka_unit_test(test_power_cuts),
                cmocka_unit_test(test_watchdog),     cmocka_unit_test(test_led),
        };

        if (argc != 3)
                return 2;
        in_image = argv[1];
        cell_image = argv[2];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
