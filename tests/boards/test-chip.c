/* SPDX-License-Identifier: MIT */

/* The simulated chip, by a small image that pokes at it (chip-probe.c). Expected values are the data sheet's
 * and arithmetic. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boards.h"

#define BYTES 58
#define BYTE_S (10.0 / 9600)

static const char *talker, *repeater;

struct heard {
        const struct boards *boards;
        double latest; /* behind the time that all boards had reached */
        unsigned n, wrong;
        double first, last, start[4];
        unsigned starts;
};

static struct boards *make(unsigned n) {
        struct boards_config config = {
                .in_image = talker, .cell_image = repeater, .cells = n, .seed = 7, .ambient_c = 25};
        struct boards *c = NULL;
        char error[200];

        assert_int_equal(boards_new(&config, &c, error, sizeof(error)), 0);
        return c;
}

static void no_strays(const struct boards *c) {
        for (unsigned i = 1; i <= c->n; i++) {
                if (c->board[i]->mcu.seen.strays)
                        print_message("board %u: %s\n", i, c->board[i]->mcu.seen.stray);
                assert_int_equal(c->board[i]->mcu.seen.strays, 0);
        }
}

/* Board k sends byte i as i + k - 1. */
static void hear(void *user, const struct board *b, double start, double bit_s, uint8_t byte) {
        struct heard *h = user;
        unsigned i = h->n % BYTES;

        (void)bit_s;
        if (byte != (uint8_t)(i + b->number - 1))
                h->wrong++;
        if (i == 0 && h->starts < 4)
                h->start[h->starts++] = start;
        h->latest = fmax(h->latest, h->boards->now - start);
        if (h->n == 0)
                h->first = start;
        h->last = start;
        h->n++;
}

static void listen(struct boards *c, unsigned number, struct heard *h) {
        *h = (struct heard){.boards = c};
        c->board[number]->tap = hear;
        c->board[number]->tap_user = h;
}

static void test_bytes(void **state) {
        struct boards *c = make(4);
        struct heard first, last;

        (void)state;
        listen(c, 1, &first);
        listen(c, 4, &last);
        boards_run(c, 2.0);
        assert_int_equal(first.wrong + last.wrong, 0);
        assert_int_equal(first.n % BYTES, 0);
        assert_true(first.n >= 3 * BYTES);
        assert_int_equal(last.n, first.n);
        /* Timer 1 by the crystal: half a second, but for what the interrupt and the grid of bits take. */
        assert_true(fabs(first.start[1] - first.start[0] - 0.5) < 0.0002);
        /* Back to back. */
        assert_true(fabs(first.last - first.start[first.starts - 1] - (BYTES - 1) * BYTE_S) < 0.0005);
        /* A byte goes on after its 9 and 5/8 bits, within a bit of the sender's grid and 50 us of the
         * interrupt. */
        assert_true(last.first - first.first > 3 * 9.6 / 9600);
        assert_true(last.first - first.first < 3 * (10.7 / 9600 + 0.00005));
        /* The time is up just as a character is complete: what comes of it is not sent afterwards, into the
         * past. */
        for (unsigned i = 0; i < 5000; i++) {
                double due = c->board[2]->mcu.rx_due;

                boards_run(c, due < c->now + 0.001 ? due + 1e-7 : c->now + 0.0007);
        }
        assert_int_equal(last.wrong, 0);
        assert_true(first.latest < 1e-6 && last.latest < 1e-6);
        no_strays(c);
        boards_free(c);
}

static void test_overrun(void **state) {
        struct boards *c = make(2);
        struct heard last;

        (void)state;
        listen(c, 2, &last);
        c->board[2]->mcu.eeprom[8] = 1; /* at byte 20 it counts to 3000: over 6 ms at 2 MHz */
        boards_run(c, 0.75);
        /* Two in the buffer and one in the shift register survive; the talker, which never reads, keeps
         * three. */
        assert_true(c->board[2]->mcu.seen.overruns >= 2);
        assert_true(c->board[1]->mcu.seen.received > 3);
        assert_int_equal(c->board[1]->mcu.seen.received - c->board[1]->mcu.seen.overruns, 3);
        assert_true(c->board[2]->mcu.seen.latency_max_s > 0.004);
        boards_free(c);
}

static unsigned errors_at(double mismatch) {
        struct boards *c = make(2);
        struct heard last;
        unsigned errors;

        c->board[2]->mcu.rc.base_hz = 8e6 * (1 + mismatch);
        mcu_reset(&c->board[2]->mcu, MCU_RESET_EXTERNAL);
        listen(c, 2, &last);
        boards_run(c, 1.8);
        assert_true(last.n > BYTES);
        errors = last.wrong + (unsigned)c->board[2]->mcu.seen.framing_errors;
        boards_free(c);
        return errors;
}

/* The stop bit's middle is 9.5 bits from the start, so half a bit is 5 %, less a sample of 1/8 bit for
 * finding the start: 4 % on the side where the receiver is too slow. 2 MHz / 8 / 26 is 0.16 % off by itself.
 */
static void test_mismatch(void **state) {
        (void)state;
        assert_int_equal(errors_at(0), 0);
        assert_int_equal(errors_at(0.03), 0);
        /* A slow repeater must send 58 bytes before it falls two behind, which is all its transmitter keeps.
         */
        assert_int_equal(errors_at(-0.015), 0);
        assert_true(errors_at(0.08) > 10);
        assert_true(errors_at(-0.08) > 10);
}

static void test_power_down(void **state) {
        struct boards *c = make(2);

        (void)state;
        c->board[2]->mcu.eeprom[9] = 1;
        boards_run(c, 3.0);
        /* Deaf while it sleeps, and nothing but the watchdog gets it out. */
        assert_int_equal(c->board[2]->mcu.seen.received, 0);
        assert_true(c->board[2]->mcu.seen.lost_asleep > 0);
        assert_true(c->board[2]->mcu.seen.resets[3] >= 2);
        assert_int_equal(c->board[2]->mcu.eeprom[0], MCU_RESET_WATCHDOG);
        boards_free(c);
}

static void test_watchdog(void **state) {
        struct boards *c = make(2);

        (void)state;
        c->board[2]->mcu.eeprom[10] = 1; /* never kicked: 1 s, and 65 ms to start again */
        c->board[2]->mcu.watchdog_hz = 128000 * 1.1;
        boards_run(c, 10.0);
        /* 131072 cycles of the watchdog's oscillator. */
        assert_int_equal(c->board[2]->mcu.seen.resets[3], (int)(10.0 / (131072 / (128000 * 1.1) + 0.065)));
        assert_int_equal(c->board[1]->mcu.seen.resets[3], 0);
        boards_free(c);
}

static void test_adc(void **state) {
        struct boards *c = make(2);
        const uint8_t *e = c->board[2]->mcu.eeprom;

        (void)state;
        boards_cell(c, 2, 3.3, 25);
        boards_run(c, 0.6);
        /* 3.3 V x 1000 / 4090 / 1.25 V x 1024 = 660.98; NTC and series resistor equal: 512. No noise here,
         * and a converter cuts off; the supply has settled to 1 - e^-25 by then. */
        assert_int_equal(e[2] | e[3] << 8, 660);
        assert_in_range(e[4] | e[5] << 8, 511, 512);
        boards_free(c);
}

static void test_eeprom(void **state) {
        struct boards *c = make(1);
        double t = 0;

        (void)state;
        memset(c->board[1]->mcu.eeprom, 0x55, 4);
        while (c->board[1]->mcu.seen.eeprom_writes < 1)
                boards_run(c, t += 0.0005);
        assert_int_equal(c->board[1]->mcu.eeprom[0], 0x55); /* 3.4 ms from now it will be written */
        boards_run(c, t + 0.0028);
        assert_int_equal(c->board[1]->mcu.eeprom[0], 0x55);
        boards_run(c, t + 0.0036);
        assert_int_equal(c->board[1]->mcu.eeprom[0], MCU_RESET_POWER);
        no_strays(c);
        boards_free(c);
}

static void test_oscillator(void **state) {
        struct boards *c = make(2);
        struct mcu *m = &c->board[2]->mcu;

        (void)state;
        boards_run(c, 0.2);
        m->rc.step = 0.005;
        m->rc.seam = 0.1;
        assert_true(fabs(mcu_rc_hz(m, m->rc.factory) / 8e6 - 1) < 1e-9);
        for (unsigned code = 1; code < 256; code++) {
                double ratio = mcu_rc_hz(m, (uint8_t)code) / mcu_rc_hz(m, (uint8_t)(code - 1)) - 1;

                /* Two ranges of steps that are a step give or take two fifths, and a seam of 10 %. */
                if (code == 0x80)
                        assert_true(ratio < -0.09 && ratio > -0.11);
                else
                        assert_true(ratio > 0.0029 && ratio < 0.0071);
        }
        m->rc.per_degc = 0.0005;
        mcu_environment(m, 35, 3.3);
        assert_true(fabs(m->hz / (8e6 / 4 * 1.005) - 1) < 1e-6);
        boards_free(c);
}

static void test_line_faults(void **state) {
        struct boards *c = make(2);
        struct heard last;
        uint64_t bits;

        (void)state;
        boards_line(c, 1)->cut = true;
        listen(c, 2, &last);
        boards_run(c, 0.9);
        assert_int_equal(last.n, 0);
        boards_line(c, 1)->cut = false;
        boards_line(c, 1)->inverted = true;
        boards_run(c, 1.9);
        assert_true(last.wrong > 0);
        boards_free(c);

        c = make(2);
        line_set_errors(boards_line(c, 1), 0.01);
        boards_run(c, 60);
        /* 580 bits twice a second: about 700 turned ones, give or take four standard deviations. */
        bits = boards_line(c, 1)->bits;
        assert_true(bits > 60000);
        assert_in_range(boards_line(c, 1)->turned, bits / 100 - 106, bits / 100 + 106);
        boards_free(c);
}

int main(int argc, char **argv) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes),       cmocka_unit_test(test_overrun),
                cmocka_unit_test(test_mismatch),    cmocka_unit_test(test_power_down),
                cmocka_unit_test(test_watchdog),    cmocka_unit_test(test_adc),
                cmocka_unit_test(test_eeprom),      cmocka_unit_test(test_oscillator),
                cmocka_unit_test(test_line_faults),
        };

        if (argc != 3)
                return 2;
        talker = argv[1];
        repeater = argv[2];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
