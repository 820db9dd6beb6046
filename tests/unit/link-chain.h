/* SPDX-License-Identifier: MIT */
#pragma once

/* For the tests of link.h: a chain as the gateway hears it. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "link.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MS USEC_PER_MSEC
#define S USEC_PER_SEC
#define T0 (1000 * S) /* when each test's daemon starts */

/* A chain seen from the gateway: makes frames whose byte 24 advances, and hands them to the link. */
struct chain {
        struct link link;
        usec_t now;
        uint8_t rotation;
};

static inline struct frame good_frame(uint8_t count) {
        return (struct frame){
                .pack_mv = 3300u * count,
                .in = {.known = true, .ma = 1000},
                .sum = {.known = true, .ma = 1000},
                .lowest_mv = 3300,
                .highest_mv = 3300,
                .lowest_decic = 200,
                .highest_decic = 200,
                .lowest_voltage_cell = 1,
                .highest_voltage_cell = 1,
                .lowest_temperature_cell = 1,
                .highest_temperature_cell = 1,
                .count = count,
                .v_bypass_mv = 3400,
                .lowest_temperature_known = true,
                .highest_temperature_known = true,
                .detail_temperature_known = true,
        };
}

static inline struct frame cut_frame(uint8_t count) {
        struct frame f = good_frame(count);
        f.status = FRAME_STATUS_COMMUNICATION_ERROR;
        return f;
}

static inline enum link_verdict send(struct chain *c, struct frame f) {
        uint8_t bytes[FRAME_SIZE];

        frame_encode(&f, TEMPERATURE_SHEET, bytes);
        return link_frame(&c->link, c->now, &f, bytes);
}

/* The same, with the next cell's detail. */
static inline enum link_verdict send_next(struct chain *c, struct frame f) {
        c->rotation = (uint8_t) (c->rotation % 16 + 1);
        f.detail_cell = c->rotation;
        f.detail_mv = 3300;
        return send(c, f);
}

static inline void send_good(struct chain *c, unsigned n, usec_t interval, uint8_t count) {
        for (unsigned i = 0; i < n; i++) {
                c->now += interval;
                assert_int_equal(send_next(c, good_frame(count)), LINK_FRAME_GOOD);
        }
}

static inline void start(struct chain *c, uint8_t known, unsigned trip_frames) {
        *c = (struct chain){.now = T0};
        link_init(&c->link, T0, TAP_IN, known, false, trip_frames);
}

/* Live with N = 16 at this period; now is the time of the newest frame. */
static inline void start_live(struct chain *c, usec_t period, unsigned trip_frames) {
        start(c, 16, trip_frames);
        send_good(c, period == 500 * MS ? 12 : 4, period, 16);
        assert_int_equal(c->link.state, LINK_LIVE);
        assert_int_equal(c->link.period, period);
}

static inline void tick_at(struct chain *c, usec_t t) {
        c->now = t;
        link_tick(&c->link, t);
}

static inline void expect(const struct chain *c, enum link_state state, enum link_cause cause) {
        assert_int_equal(c->link.state, state);
        assert_int_equal(c->link.cause, cause);
}
