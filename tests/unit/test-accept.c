/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "accept.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define BIT2 FRAME_STATUS_COMMUNICATION_ERROR

/* Four cells: 3.300 (2), 3.350 (3), and two between; 20.0 (4) to 25.0 degC (1); detail of cell 1. */
static const struct frame good = {
        .pack_mv = 13300,
        .in = {true, 10000}, .out = {true, 4000}, .sum = {true, 6000},
        .lowest_mv = 3300, .lowest_voltage_cell = 2,
        .highest_mv = 3350, .highest_voltage_cell = 3,
        .lowest_decic = 200, .lowest_temperature_cell = 4, .lowest_temperature_known = true,
        .highest_decic = 250, .highest_temperature_cell = 1, .highest_temperature_known = true,
        .detail_cell = 1, .detail_mv = 3320, .detail_decic = 220, .detail_temperature_known = true,
        .count = 4,
        .status = FRAME_STATUS_NOT_CALIBRATED,
};

enum field {
        NOTHING, /* ends a list of changes */
        PACK, IN, OUT, SUM, IN_X, OUT_X, SUM_X, LOWEST, HIGHEST, LOWEST_CELL, HIGHEST_CELL,
        COLDEST, HOTTEST, COLDEST_CELL, HOTTEST_CELL, COLDEST_UNKNOWN, HOTTEST_UNKNOWN,
        DETAIL_CELL, COUNT, DETAIL, DETAIL_T, DETAIL_T_UNKNOWN, STATUS,
};

struct change {
        enum field field;
        int32_t value;
};

#define CHANGES_MAX 8

static void change(struct frame *f, const struct change *c) {
        switch (c->field) {
        case NOTHING: break;
        case PACK: f->pack_mv = (uint32_t)c->value; break;
        case IN: f->in = (struct frame_current){true, c->value}; break;
        case OUT: f->out = (struct frame_current){true, c->value}; break;
        case SUM: f->sum = (struct frame_current){true, c->value}; break;
        case IN_X: f->in = (struct frame_current){false, 0}; break;
        case OUT_X: f->out = (struct frame_current){false, 0}; break;
        case SUM_X: f->sum = (struct frame_current){false, 0}; break;
        case LOWEST: f->lowest_mv = (uint32_t)c->value; break;
        case HIGHEST: f->highest_mv = (uint32_t)c->value; break;
        case LOWEST_CELL: f->lowest_voltage_cell = (uint8_t)c->value; break;
        case HIGHEST_CELL: f->highest_voltage_cell = (uint8_t)c->value; break;
        case COLDEST: f->lowest_decic = c->value; break;
        case HOTTEST: f->highest_decic = c->value; break;
        case COLDEST_CELL: f->lowest_temperature_cell = (uint8_t)c->value; break;
        case HOTTEST_CELL: f->highest_temperature_cell = (uint8_t)c->value; break;
        case COLDEST_UNKNOWN: f->lowest_temperature_known = false; f->lowest_decic = c->value; break;
        case HOTTEST_UNKNOWN: f->highest_temperature_known = false; f->highest_decic = c->value; break;
        case DETAIL_CELL: f->detail_cell = (uint8_t)c->value; break;
        case COUNT: f->count = (uint8_t)c->value; break;
        case DETAIL: f->detail_mv = (uint32_t)c->value; break;
        case DETAIL_T: f->detail_decic = c->value; break;
        case DETAIL_T_UNKNOWN: f->detail_temperature_known = false; f->detail_decic = c->value; break;
        case STATUS: f->status = (uint8_t)c->value; break;
        }
}

struct row {
        const char *label;
        struct change changes[CHANGES_MAX];
        enum accept_verdict gateway, monitor, gateway_bit2;
};

#define OK ACCEPT_OK
#define COUNT_ ACCEPT_BAD_COUNT
#define VOLTAGE ACCEPT_BAD_VOLTAGE
#define PACK_ ACCEPT_BAD_PACK_VOLTAGE
#define NUMBER ACCEPT_BAD_CELL_NUMBER
#define TEMPERATURE ACCEPT_BAD_TEMPERATURE
#define DETAIL_ ACCEPT_BAD_DETAIL
#define CURRENT ACCEPT_BAD_CURRENT_SUM

/* gateway: B2, B4. monitor: B6. gateway_bit2: the same frame with bit 2 set, B3. */
static const struct row rows[] = {
        {"as it is", {{NOTHING, 0}}, OK, OK, OK},

        /* Count 2..255; with bit 2 0..255. A pack of count cells of 3.3 V, numbers 1. */
        {"count 0", {{COUNT, 0}}, COUNT_, COUNT_, OK},
        {"count 1", {{COUNT, 1}, {PACK, 3300}, {LOWEST_CELL, 1}, {HIGHEST_CELL, 1}, {COLDEST_CELL, 1},
          {HOTTEST_CELL, 1}}, COUNT_, COUNT_, OK},
        {"count 2", {{COUNT, 2}, {PACK, 6650}, {LOWEST_CELL, 2}, {HIGHEST_CELL, 1}, {COLDEST_CELL, 1},
          {HOTTEST_CELL, 1}}, OK, OK, OK},
        {"count 255", {{COUNT, 255}, {PACK, 255 * 3320}}, OK, OK, OK},

        /* lowest <= highest, in the wire's steps */
        {"lowest one step below highest", {{LOWEST, 3345}, {HIGHEST, 3350}, {PACK, 13390}, {DETAIL, 3345}},
         OK, OK, OK},
        {"lowest = highest", {{LOWEST, 3350}, {PACK, 13400}, {DETAIL, 3350}}, OK, OK, OK},
        {"lowest one step above highest", {{LOWEST, 3355}, {PACK, 13400}, {DETAIL_CELL, 0}},
         VOLTAGE, VOLTAGE, VOLTAGE},
        {"coldest = hottest", {{COLDEST, 250}, {DETAIL_T, 250}}, OK, OK, OK},
        {"coldest one step above hottest", {{COLDEST, 260}, {DETAIL_CELL, 0}},
         TEMPERATURE, TEMPERATURE, TEMPERATURE},

        /* 5.1 V a cell */
        {"highest 5.095", {{HIGHEST, 5095}}, OK, OK, OK},
        {"highest 5.100", {{HIGHEST, 5100}}, OK, OK, OK},
        {"highest 5.105", {{HIGHEST, 5105}}, VOLTAGE, VOLTAGE, VOLTAGE},
        {"all 5.100", {{LOWEST, 5100}, {HIGHEST, 5100}, {DETAIL, 5100}, {PACK, 20400}}, OK, OK, OK},
        {"lowest 5.105, highest unknown", {{LOWEST, 5105}, {HIGHEST, 0}, {DETAIL_CELL, 0}, {PACK, 20400}},
         VOLTAGE, VOLTAGE, VOLTAGE},
        {"pack 5.1 V x 4, highest unknown", {{HIGHEST, 0}, {PACK, 20400}}, OK, OK, OK},
        {"pack a step above 5.1 V x 4, highest unknown", {{HIGHEST, 0}, {PACK, 20405}}, VOLTAGE, VOLTAGE, OK},
        {"pack 5.1 V x 255", {{PACK, 1300500}}, VOLTAGE, VOLTAGE, OK},
        {"pack a step above 5.1 V x 255", {{PACK, 1300505}}, VOLTAGE, VOLTAGE, VOLTAGE},
        {"detail 5.100, highest unknown", {{HIGHEST, 0}, {DETAIL, 5100}}, OK, OK, OK},
        {"detail 5.105, highest unknown", {{HIGHEST, 0}, {DETAIL, 5105}}, DETAIL_, DETAIL_, OK},

        /* count * lowest <= pack <= count * highest, 5 mV * count: 13200 - 20, 13400 + 20 */
        {"pack a step above the least", {{PACK, 13185}}, OK, OK, OK},
        {"pack the least", {{PACK, 13180}}, OK, OK, OK},
        {"pack a step below the least", {{PACK, 13175}}, PACK_, OK, OK},
        {"pack a step below the most", {{PACK, 13415}}, OK, OK, OK},
        {"pack the most", {{PACK, 13420}}, OK, OK, OK},
        {"pack a step above the most", {{PACK, 13425}}, PACK_, OK, OK},
        {"pack 0", {{PACK, 0}}, PACK_, OK, OK},
        {"pack too low, highest unknown", {{PACK, 13175}, {HIGHEST, 0}}, PACK_, OK, OK},
        {"pack too high, lowest unknown", {{PACK, 13425}, {LOWEST, 0}}, PACK_, OK, OK},

        /* An extreme of 0 is unknown: nothing is compared with it. */
        {"lowest unknown", {{LOWEST, 0}, {PACK, 5}}, OK, OK, OK},
        {"lowest unknown, its number 0", {{LOWEST, 0}, {LOWEST_CELL, 0}}, OK, OK, OK},
        {"lowest unknown, its number above the count", {{LOWEST, 0}, {LOWEST_CELL, 5}}, NUMBER, NUMBER, OK},
        {"highest unknown", {{HIGHEST, 0}, {PACK, 20400}}, OK, OK, OK},
        {"highest unknown, its number 0", {{HIGHEST, 0}, {HIGHEST_CELL, 0}}, OK, OK, OK},
        {"coldest unknown", {{COLDEST_UNKNOWN, 9000}, {COLDEST_CELL, 0}, {DETAIL_T, 10}}, OK, OK, OK},
        {"hottest unknown", {{HOTTEST_UNKNOWN, -2760}, {HOTTEST_CELL, 0}, {DETAIL_T, 900}}, OK, OK, OK},
        {"all unknown", {{LOWEST, 0}, {HIGHEST, 0}, {COLDEST_UNKNOWN, -2760}, {HOTTEST_UNKNOWN, -2760},
          {PACK, 0}, {DETAIL, 0}}, OK, OK, OK},

        /* numbers 1..count */
        {"lowest cell 0", {{LOWEST_CELL, 0}}, NUMBER, NUMBER, OK},
        {"lowest cell 1", {{LOWEST_CELL, 1}}, OK, OK, OK},
        {"lowest cell 4", {{LOWEST_CELL, 4}}, OK, OK, OK},
        {"lowest cell 5", {{LOWEST_CELL, 5}}, NUMBER, NUMBER, OK},
        {"highest cell 0", {{HIGHEST_CELL, 0}}, NUMBER, NUMBER, OK},
        {"highest cell 4", {{HIGHEST_CELL, 4}}, OK, OK, OK},
        {"highest cell 5", {{HIGHEST_CELL, 5}}, NUMBER, NUMBER, OK},
        {"coldest cell 0", {{COLDEST_CELL, 0}}, NUMBER, NUMBER, OK},
        {"coldest cell 1", {{COLDEST_CELL, 1}}, OK, OK, OK},
        {"coldest cell 5", {{COLDEST_CELL, 5}}, NUMBER, NUMBER, OK},
        {"hottest cell 0", {{HOTTEST_CELL, 0}}, NUMBER, NUMBER, OK},
        {"hottest cell 4", {{HOTTEST_CELL, 4}}, OK, OK, OK},
        {"hottest cell 5", {{HOTTEST_CELL, 5}}, NUMBER, NUMBER, OK},

        /* B4: the detail lies within the extremes, or is none */
        {"detail = lowest", {{DETAIL, 3300}}, OK, OK, OK},
        {"detail a step below lowest", {{DETAIL, 3295}}, DETAIL_, DETAIL_, OK},
        {"detail a step below an unknown lowest", {{DETAIL, 3295}, {LOWEST, 0}}, OK, OK, OK},
        {"detail = highest", {{DETAIL, 3350}}, OK, OK, OK},
        {"detail a step above highest", {{DETAIL, 3355}}, DETAIL_, DETAIL_, OK},
        {"detail = coldest", {{DETAIL_T, 200}}, OK, OK, OK},
        {"detail a step below coldest", {{DETAIL_T, 190}}, DETAIL_, DETAIL_, OK},
        {"detail = hottest", {{DETAIL_T, 250}}, OK, OK, OK},
        {"detail a step above hottest", {{DETAIL_T, 260}}, DETAIL_, DETAIL_, OK},
        {"detail temperature unknown", {{DETAIL_T_UNKNOWN, -2760}}, OK, OK, OK},
        {"detail voltage 0", {{DETAIL, 0}, {DETAIL_T, 900}}, OK, OK, OK},
        {"detail cell 0", {{DETAIL_CELL, 0}, {DETAIL, 9000}, {DETAIL_T, 900}}, OK, OK, OK},
        {"detail cell = count", {{DETAIL_CELL, 4}, {DETAIL, 3295}}, DETAIL_, DETAIL_, OK},
        {"detail cell above count", {{DETAIL_CELL, 5}, {DETAIL, 3295}}, OK, OK, OK},
        {"detail cell 255", {{DETAIL_CELL, 255}, {DETAIL, 9000}}, OK, OK, OK},

        /* I-sum = I1 - I2 within one step: 6000 +- 125 */
        {"sum two steps low", {{SUM, 5750}}, CURRENT, OK, CURRENT},
        {"sum beyond one step low", {{SUM, 5874}}, CURRENT, OK, CURRENT},
        {"sum one step low", {{SUM, 5875}}, OK, OK, OK},
        {"sum one step high", {{SUM, 6125}}, OK, OK, OK},
        {"sum beyond one step high", {{SUM, 6126}}, CURRENT, OK, CURRENT},
        {"sum two steps high", {{SUM, 6250}}, CURRENT, OK, CURRENT},
        {"sum = I1 + I2", {{SUM, 14000}}, CURRENT, OK, CURRENT},
        {"discharging", {{IN, 1000}, {OUT, 9000}, {SUM, -8000}}, OK, OK, OK},
        {"discharging, sign lost", {{IN, 1000}, {OUT, 9000}, {SUM, 8000}}, CURRENT, OK, CURRENT},
        {"largest currents", {{IN, 8191875}, {OUT, -8191875}, {SUM, 8191875}}, CURRENT, OK, CURRENT},
        {"sum X", {{SUM_X, 0}}, OK, OK, OK},
        {"I2 X, sum = I1", {{OUT_X, 0}, {SUM, 10000}}, OK, OK, OK},
        {"I2 X, sum one step off", {{OUT_X, 0}, {SUM, 10125}}, OK, OK, OK},
        {"I2 X, sum two steps off", {{OUT_X, 0}, {SUM, 10250}}, CURRENT, OK, CURRENT},
        {"I2 X, sum X", {{OUT_X, 0}, {SUM_X, 0}}, OK, OK, OK},
        {"I1 X, sum = -I2", {{IN_X, 0}, {SUM, -4000}}, OK, OK, OK},
        {"I1 X, sum one step from -I2", {{IN_X, 0}, {SUM, -4125}}, OK, OK, OK},
        {"I1 X, sum two steps from -I2", {{IN_X, 0}, {SUM, -4250}}, CURRENT, OK, CURRENT},
        {"I1 X, sum = I2", {{IN_X, 0}, {SUM, 4000}}, CURRENT, OK, CURRENT},
        {"I1 X, sum X", {{IN_X, 0}, {SUM_X, 0}}, OK, OK, OK},
        {"I1 and I2 X, sum 0", {{IN_X, 0}, {OUT_X, 0}, {SUM, 0}}, CURRENT, OK, CURRENT},
        {"I1 and I2 X, sum X", {{IN_X, 0}, {OUT_X, 0}, {SUM_X, 0}}, OK, OK, OK},
};

static struct frame frame_of(const struct row *row, uint8_t status) {
        struct frame f = good;

        f.status |= status;
        for (size_t i = 0; i < CHANGES_MAX; i++)
                change(&f, &row->changes[i]);
        return f;
}

static void expect(const struct row *row, const char *as, enum accept_verdict got,
                   enum accept_verdict expected) {
        if (got != expected)
                fail_msg("%s, %s: verdict %d, not %d", row->label, as, got, expected);
}

static void test_rows(void **state) {
        static const struct accept_rules gateway = {.role = ROLE_GATEWAY, .current_check = true};
        static const struct accept_rules monitor = {.role = ROLE_MONITOR, .current_check = true};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct frame clear = frame_of(&rows[i], 0), set = frame_of(&rows[i], BIT2);

                expect(&rows[i], "gateway", accept_frame(&gateway, &clear), rows[i].gateway);
                expect(&rows[i], "monitor", accept_frame(&monitor, &clear), rows[i].monitor);
                expect(&rows[i], "gateway with bit 2", accept_frame(&gateway, &set), rows[i].gateway_bit2);
                /* B3 without the sums (B6): I-sum is one of them. */
                expect(&rows[i], "monitor with bit 2", accept_frame(&monitor, &set),
                       rows[i].gateway_bit2 == CURRENT ? OK : rows[i].gateway_bit2);
        }
}

/* `current_check: off` (B5) takes I-sum out and nothing else. */
static void test_current_check_off(void **state) {
        static const struct accept_rules off = {.role = ROLE_GATEWAY, .current_check = false};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct frame f = frame_of(&rows[i], 0);

                expect(&rows[i], "check off", accept_frame(&off, &f),
                       rows[i].gateway == CURRENT ? OK : rows[i].gateway);
        }
}

/* B5 rests on it: a frame with any other fault is not counted as failing only the I-sum check. */
static void test_current_sum_is_last(void **state) {
        static const struct accept_rules gateway = {.role = ROLE_GATEWAY, .current_check = true};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct frame f = frame_of(&rows[i], 0);

                f.in = f.out = (struct frame_current){false, 0};
                f.sum = (struct frame_current){true, 1000};
                expect(&rows[i], "with a bad sum", accept_frame(&gateway, &f),
                       rows[i].gateway == OK ? CURRENT : rows[i].gateway);
        }
}

/* Every verdict but the checksum's, which is not this module's, is reached by some row. */
static void test_every_verdict_occurs(void **state) {
        unsigned seen = 0;

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                seen |= 1u << rows[i].gateway;
        assert_int_equal(seen, ((1u << _ACCEPT_MAX) - 1) & ~(1u << ACCEPT_BAD_CHECKSUM));
}

/* What the boards send when the chain is broken (chain.md R9, R11). */
static void test_frames_of_a_broken_chain(void **state) {
        static const struct accept_rules gateway = {.role = ROLE_GATEWAY, .current_check = true};
        const struct frame in_board = { /* own reading, count 0, detail 0, bit 2 */
                .pack_mv = 3310, .in = {true, 1000}, .sum = {true, 1000},
                .lowest_mv = 3310, .lowest_voltage_cell = 1, .highest_mv = 3310, .highest_voltage_cell = 1,
                .lowest_decic = 200, .lowest_temperature_cell = 1, .lowest_temperature_known = true,
                .highest_decic = 200, .highest_temperature_cell = 1, .highest_temperature_known = true,
                .status = 0x84,
        };
        const struct frame orphan = { /* signs X, three boards heard, numbers 1 */
                .pack_mv = 9930, .count = 3,
                .lowest_mv = 3300, .lowest_voltage_cell = 1, .highest_mv = 3320, .highest_voltage_cell = 2,
                .lowest_decic = 200, .lowest_temperature_cell = 1, .lowest_temperature_known = true,
                .highest_decic = 210, .highest_temperature_cell = 3, .highest_temperature_known = true,
                .status = 0x84, .key_byte = FRAME_KEY_ORPHAN + FRAME_KEY_BIAS, .value = 5,
        };

        (void)state;
        assert_int_equal(accept_frame(&gateway, &in_board), ACCEPT_OK);
        assert_int_equal(accept_frame(&gateway, &orphan), ACCEPT_OK);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_current_check_off),
                cmocka_unit_test(test_current_sum_is_last),
                cmocka_unit_test(test_every_verdict_occurs),
                cmocka_unit_test(test_frames_of_a_broken_chain),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
