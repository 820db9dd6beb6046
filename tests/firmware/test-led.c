/* SPDX-License-Identifier: MIT */

/* R15 of docs/chain.md: one flash per message, two short ones for an orphan, solid in bypass. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "led.h"

#define FLASH 312 /* 10 ms in ticks of 32 us */

/* How often the LED went on, and for how many ticks in all, from `from` over `ticks`, looked at only when it
 * says so. */
static unsigned watch(struct led *l, bool bypass, uint32_t from, uint32_t ticks, uint32_t *ret_on) {
        uint32_t now = from, due;
        unsigned flashes = 0;
        bool before = false;

        *ret_on = 0;
        for (;;) {
                bool on = led_on(l, bypass, now);

                flashes += on && !before;
                before = on;
                if (!led_due(l, &due) || due - from > ticks)
                        due = from + ticks;
                if (on)
                        *ret_on += due - now;
                if (due == from + ticks)
                        return flashes;
                assert_true(due - now > 0 && due - now <= ticks);
                now = due;
        }
}

static void test_flashes(void **state) {
        static const struct {
                bool orphan, bypass;
                unsigned flashes;
                uint32_t on;
        } rows[] = {
                {false, false, 1, FLASH},
                {true, false, 2, 2 * FLASH},
                {false, true, 1, 31250},
                {true, true, 1, 31250},
        };
        static const uint32_t times[] = {1000, UINT32_MAX - 100}; /* the counter wraps */

        (void)state;
        for (size_t i = 0; i < 4; i++)
                for (size_t t = 0; t < 2; t++) {
                        struct led l;
                        uint32_t on;

                        led_init(&l, FLASH);
                        assert_false(led_on(&l, false, times[t]));
                        led_message(&l, rows[i].orphan, times[t]);
                        assert_int_equal(watch(&l, rows[i].bypass, times[t], 31250, &on), rows[i].flashes);
                        assert_int_equal(on, rows[i].on);
                        /* Then nothing is left to do. */
                        assert_false(led_due(&l, &on));
                        assert_false(led_on(&l, false, times[t] + 31250));
                }
}

/* Two flashes that an eye tells apart: dark between them for a tenth of a second. */
static void test_pause(void **state) {
        struct led l;
        uint32_t now = 77, due;

        (void)state;
        led_init(&l, FLASH);
        led_message(&l, true, now);
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(led_on(&l, false, now), i != 1);
                assert_true(led_due(&l, &due));
                assert_int_equal(due - now, i == 1 ? 10 * FLASH : FLASH);
                assert_int_equal(led_on(&l, false, due - 1), i != 1);
                now = due;
        }
        assert_false(led_on(&l, false, now));
}

/* Looked at late: what was to come is not drawn out. */
static void test_late(void **state) {
        struct led l;
        uint32_t due;

        (void)state;
        led_init(&l, FLASH);
        led_message(&l, true, 1000);
        assert_false(led_on(&l, false, 1000 + FLASH + 5)); /* in the pause */
        assert_true(led_due(&l, &due));
        assert_int_equal(due, 1000 + 11 * FLASH);
        assert_false(led_on(&l, false, 1000 + 12 * FLASH));
}

/* A message begins anew. */
static void test_message_during_flash(void **state) {
        struct led l;
        uint32_t on;

        (void)state;
        led_init(&l, FLASH);
        led_message(&l, true, 1000);
        assert_true(led_on(&l, false, 1100));
        led_message(&l, false, 1200);
        assert_int_equal(watch(&l, false, 1200, 31250, &on), 1);
        assert_int_equal(on, FLASH);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_flashes),
                cmocka_unit_test(test_pause),
                cmocka_unit_test(test_late),
                cmocka_unit_test(test_message_during_flash),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
