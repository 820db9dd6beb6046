/* SPDX-License-Identifier: MIT */

/* Where to look: B14's table in words, by tap and N, and the sentences of all other causes. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "link.h"
#include "snapshot.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define S USEC_PER_SEC
#define NOW (1000 * S)
#define BIT2 FRAME_STATUS_COMMUNICATION_ERROR
#define KEY_ORPHAN (129 + 25) /* as on the wire (chain.md) */

static struct frame frame_of(uint8_t count, uint8_t status) {
        return (struct frame){
                .lowest_mv = 3300,
                .highest_mv = 3310,
                .lowest_voltage_cell = 1,
                .count = count,
                .status = status,
                .lowest_temperature_known = true,
                .highest_temperature_known = true,
        };
}

static void take(struct link *l, usec_t now, const struct frame *f) {
        uint8_t bytes[FRAME_SIZE];

        frame_encode(f, TEMPERATURE_SHEET, bytes);
        (void) link_frame(l, now, f, bytes); /* the place is what counts here */
}

static void expect_place(const struct link *l, const char *text) {
        char place[ALARM_TEXT_MAX];

        link_place(l, place, sizeof(place));
        assert_string_equal(place, text);
}

static void test_chain(void **state) {
        static const struct {
                enum link_tap tap;
                uint8_t known, count, key_byte, value;
                const char *place;
        } rows[] = {
                /* board N - c, or the link from it to N - c + 1 */
                {TAP_IN, 16, 11, 0, 0, "chain broken: board 5, or the link from it to board 6"},
                {TAP_IN, 16, 1, 0, 0, "chain broken: board 15, or the link from it to board 16"},
                {TAP_IN, 16, 14, 0, 0, "chain broken: board 2, or the link from it to board 3"},
                {TAP_IN, 255, 1, 0, 0, "chain broken: board 254, or the link from it to board 255"},
                {TAP_IN, 255, 253, 0, 0, "chain broken: board 2, or the link from it to board 3"},
                {TAP_LAST, 16, 11, 0, 0, "chain broken: board 5, or the link from it to board 6"},
                /* count N - 1: at the IN board it is alive itself, at the last board it need not be */
                {TAP_IN, 16, 15, 0, 0,
                 "chain broken: the IN board's output (board 1), or the link from it to board 2"},
                {TAP_LAST, 16, 15, 0, 0,
                 "no data from the IN board: check its supply and the link from it to board 2"},
                {TAP_IN, 2, 1, 0, 0,
                 "chain broken: the IN board's output (board 1), or the link from it to board 2"},
                /* count 0 */
                {TAP_IN, 16, 0, 0, 0,
                 "chain broken: the last board (16), or the ring return from it to the IN board"},
                {TAP_IN, 0, 0, 0, 0,
                 "chain broken: the last board, or the ring return from it to the IN board"},
                {TAP_LAST, 16, 0, 0, 0,
                 "the IN board hears no ring return: is `tap: last` right in the config?"},
                /* an orphan that knows its own number needs no N, and N no guess */
                {TAP_IN, 0, 5, KEY_ORPHAN, 12, "chain broken: board 11, or the link from it to board 12"},
                {TAP_IN, 16, 5, KEY_ORPHAN, 12, "chain broken: board 11, or the link from it to board 12"},
                {TAP_IN, 16, 4, KEY_ORPHAN, 12, "chain broken: board 11, or the link from it to board 12"},
                {TAP_IN, 16, 15, KEY_ORPHAN, 2,
                 "chain broken: the IN board's output (board 1), or the link from it to board 2"},
                {TAP_LAST, 0, 15, KEY_ORPHAN, 2,
                 "no data from the IN board: check its supply and the link from it to board 2"},
                /* one that does not */
                {TAP_IN, 16, 11, KEY_ORPHAN, 0, "chain broken: board 5, or the link from it to board 6"},
                {TAP_IN, 0, 11, KEY_ORPHAN, 0,
                 "chain broken: only the last 11 boards are heard (give `cells:` to learn the place)"},
                {TAP_IN, 16, 11, KEY_ORPHAN, 1, /* the IN board makes no orphans */
                 "chain broken: board 5, or the link from it to board 6"},
                /* another key's value is no number; nor is the hour and minute of old firmware */
                {TAP_IN, 16, 11, 130 + 25, 12, "chain broken: board 5, or the link from it to board 6"},
                {TAP_IN, 16, 11, 23, 12, "chain broken: board 5, or the link from it to board 6"},
                {TAP_IN, 16, 16, KEY_ORPHAN, 0, /* cannot be whole and an orphan */
                 "16 cells are heard, 16 are expected, and a board reports a fault: check the chain"},
                {TAP_IN, 16, 17, 0, 0,
                 "17 cells are heard, 16 are expected, and a board reports a fault: check the chain"},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct frame f = frame_of(rows[i].count, BIT2);
                struct link l;

                f.key_byte = rows[i].key_byte;
                f.value = rows[i].value;
                link_init(&l, NOW, rows[i].tap, rows[i].known, false, 2);
                take(&l, NOW + S, &f);
                assert_int_equal(l.cause, LINK_CAUSE_CHAIN);
                expect_place(&l, rows[i].place); /* from the first frame on (B13) */
        }
}

/* For every N and every count there is a place, and it is board N - c. */
static void test_every_board(void **state) {
        static const uint8_t cells[] = {5, 33, 97, 205, 255};

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
                for (unsigned c = 1; c + 1 < cells[i]; c++) {
                        struct frame f = frame_of((uint8_t) c, BIT2);
                        char want[ALARM_TEXT_MAX];
                        struct link l;

                        link_init(&l, NOW, TAP_IN, cells[i], true, 2);
                        take(&l, NOW + S, &f);
                        snprintf(want, sizeof(want), "chain broken: board %u, or the link from it to board %u",
                                 cells[i] - c, cells[i] - c + 1);
                        expect_place(&l, want);
                }
}

static void test_silence(void **state) {
        static const struct {
                enum link_tap tap;
                const char *place;
        } rows[] = {
                {TAP_IN, "no data from the IN board: check its supply and its extended data output's cable"},
                {TAP_LAST, "no data from the last board: check its supply and the cable to its output"},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct link l;

                link_init(&l, NOW, rows[i].tap, 16, true, 2);
                expect_place(&l, "");
                link_tick(&l, NOW + 3500 * USEC_PER_MSEC);
                expect_place(&l, rows[i].place);
        }
}

static void test_faulty_board(void **state) {
        static const char *const unknown =
                "all 16 boards are heard, but one reports a fault: it cannot measure its cell, or its bypass "
                "is faulty";
        static const char *const named =
                "board 7 cannot measure its cell: check its wires to the cell, or replace it";
        struct frame f = frame_of(16, BIT2);
        struct link l;

        (void) state;
        link_init(&l, NOW, TAP_IN, 16, true, 2);
        f.detail_cell = 6;
        f.detail_mv = 3305;
        f.detail_temperature_known = true;
        take(&l, NOW + S, &f);
        assert_int_equal(l.cause, LINK_CAUSE_BOARD);
        expect_place(&l, unknown);

        f.detail_cell = 7; /* its turn comes, and it has nothing to say */
        f.detail_mv = 0;
        take(&l, NOW + 2 * S, &f);
        expect_place(&l, named);

        f.detail_cell = 8;
        f.detail_mv = 3305;
        take(&l, NOW + 3 * S, &f);
        expect_place(&l, named);

        f.detail_cell = 7; /* measures again: whoever it is now, it is not 7 */
        take(&l, NOW + 4 * S, &f);
        expect_place(&l, unknown);

        f.detail_temperature_known = false; /* chain.md R8: voltage or temperature */
        take(&l, NOW + 5 * S, &f);
        expect_place(&l, named);

        /* the chain breaks, and is mended: the name is to be heard anew */
        struct frame cut = frame_of(9, BIT2);
        take(&l, NOW + 6 * S, &cut);
        f.detail_cell = 8;
        f.detail_mv = 3305;
        f.detail_temperature_known = true;
        take(&l, NOW + 7 * S, &f);
        expect_place(&l, unknown);

        f.detail_cell = 17; /* more cells configured than there are: nobody's detail */
        f.detail_mv = 0;
        take(&l, NOW + 8 * S, &f);
        expect_place(&l, unknown);
}

/* The last board can be the faulty one, too. */
static void test_faulty_last_board(void **state) {
        struct frame f = frame_of(16, BIT2);
        struct link l;

        (void) state;
        link_init(&l, NOW, TAP_IN, 16, true, 2);
        f.detail_cell = 16;
        f.detail_mv = 0;
        take(&l, NOW + S, &f);
        expect_place(&l, "board 16 cannot measure its cell: check its wires to the cell, or replace it");
}

static void test_others(void **state) {
        struct frame count = frame_of(17, 0), dead = frame_of(16, 0), voltage = frame_of(16, 0),
                     low_voltage = frame_of(16, 0), temperature = frame_of(16, 0), good = frame_of(16, 0),
                     nearly = frame_of(16, 0);
        struct link l;

        (void) state;
        dead.lowest_mv = 430;
        dead.lowest_voltage_cell = 7;
        voltage.lowest_mv = voltage.highest_mv = 0;
        low_voltage.lowest_mv = 0;
        temperature.highest_temperature_known = false;
        nearly.lowest_mv = 995;
        nearly.lowest_voltage_cell = 16;

        const struct {
                const struct frame *frame;
                const char *place;
        } rows[] = {
                {&count, "17 cells are heard, 16 are expected: check the chain, or `smartbmsctl cells accept`"},
                {&dead, "cell 7 reads 0.430 V, which cannot be: check its board and its wires"},
                {&voltage, "the messages carry no lowest or highest cell voltage: check the boards"},
                {&low_voltage, "the messages carry no lowest or highest cell voltage: check the boards"},
                {&nearly, "cell 16 reads 0.995 V, which cannot be: check its board and its wires"},
                {&temperature, "the messages carry no lowest or highest cell temperature: check the boards"},
        };
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                link_init(&l, NOW, TAP_IN, 16, false, 2);
                take(&l, NOW + S, rows[i].frame);
                expect_place(&l, rows[i].place);
                for (unsigned k = 2; k < 5; k++) {
                        good.detail_cell = (uint8_t) k;
                        take(&l, NOW + k * S, &good);
                }
                expect_place(&l, "");
        }

        link_init(&l, NOW, TAP_IN, 0, false, 2); /* N not known yet */
        take(&l, NOW + S, &good);
        take(&l, NOW + 2 * S, &count);
        expect_place(&l, "the number of cells heard changes (now 17): check the chain");

        link_init(&l, NOW, TAP_IN, 16, false, 2);
        for (unsigned k = 1; k < 12; k++)
                take(&l, NOW + k * S, &good);
        expect_place(&l, "the same message has come for 10 s: the IN board is stuck, or its data is being "
                         "replayed");

        link_port_lost(&l, NOW + 12 * S);
        expect_place(&l, "the serial port is gone: is the adapter plugged in?");
}

/* A short buffer is cut, never overrun. */
static void test_short_buffer(void **state) {
        char text[8] = "#######";
        struct link l;

        (void) state;
        link_init(&l, NOW, TAP_IN, 16, false, 2);
        link_place(&l, text, 0);
        assert_int_equal(text[0], '#');
        link_port_lost(&l, NOW);
        link_place(&l, text, 4);
        assert_memory_equal(text, "the\0###", 7);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_chain),
                cmocka_unit_test(test_every_board),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_faulty_board),
                cmocka_unit_test(test_faulty_last_board),
                cmocka_unit_test(test_others),
                cmocka_unit_test(test_short_buffer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
