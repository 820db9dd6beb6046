/* SPDX-License-Identifier: MIT */
#pragma once

/* For the tests of pack.h: a pack, a clock and frames to feed it. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pack.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MS USEC_PER_MSEC
#define S USEC_PER_SEC
#define T0 (1000 * S)
#define CONFIRM 3

struct rig {
        struct pack pack;
        usec_t now, period;
};

static inline void start(struct rig *r) {
        *r = (struct rig){.now = T0, .period = S};
        pack_init(&r->pack);
}

static inline struct frame frame_of(uint8_t count, uint8_t detail) {
        return (struct frame){
                .pack_mv = 3300u * count,
                .in = {.known = true, .ma = 1000},
                .sum = {.known = true, .ma = 1000},
                .lowest_mv = 3300,
                .highest_mv = 3310,
                .lowest_decic = 200,
                .highest_decic = 210,
                .lowest_voltage_cell = 1,
                .highest_voltage_cell = 2,
                .lowest_temperature_cell = 1,
                .highest_temperature_cell = 2,
                .count = count,
                .detail_cell = detail,
                .detail_mv = 3305,
                .detail_decic = 205,
                .v_bypass_mv = 3400,
                .lowest_temperature_known = true,
                .highest_temperature_known = true,
                .detail_temperature_known = true,
        };
}

static inline void send_after(struct rig *r, usec_t interval, struct frame f) {
        uint8_t bytes[FRAME_SIZE];

        r->now += interval;
        frame_encode(&f, TEMPERATURE_SHEET, bytes);
        pack_frame(&r->pack, r->now, r->period, CONFIRM, &f, bytes);
}

static inline void send(struct rig *r, struct frame f) {
        send_after(r, r->period, f);
}

static inline void send_bypass(struct rig *r, uint32_t mv) {
        struct frame f = frame_of(16, 1);

        f.v_bypass_mv = mv;
        send(r, f);
}

static inline void send_pair(struct rig *r, int key, uint8_t value) {
        struct frame f = frame_of(16, 1);

        f.key_byte = (uint8_t) (key + FRAME_KEY_BIAS);
        f.value = value;
        send(r, f);
}

static inline void expect_maybe(struct maybe got, struct maybe want) {
        assert_int_equal(got.known, want.known);
        assert_int_equal(got.value, want.value);
}
