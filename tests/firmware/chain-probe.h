/* SPDX-License-Identifier: MIT */
#pragma once

/* A cell board's relay with time and a line, for its tests: frames as the IN board starts them, and what comes out. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "chain.h"

#define C(degrees) ((uint16_t)((degrees) + 276))
#define BYTE 65 /* 10 bits at 9600 baud in steps of 16 us: 65.1 */
#define MS(ms) ((uint32_t)((ms)*125 / 2))

static inline uint8_t sum(const uint8_t *bytes) {
        unsigned total = 0;

        for (int i = 0; i < 57; i++)
                total += bytes[i];
        return (uint8_t)(total % 256);
}

static inline void put16(uint8_t *p, unsigned value) {
        p[0] = (uint8_t)(value / 256);
        p[1] = (uint8_t)(value % 256);
}

/* What the IN board, cell 1, starts: 3.300 V and 20 degC. */
static inline void in_frame(uint8_t bytes[58], uint8_t detail) {
        memset(bytes, 0, 58);
        put16(bytes + 1, 660);
        memcpy(bytes + 3, "+\x01\x02-\x03\x04+\x05\x06", 9);
        put16(bytes + 12, 660);
        put16(bytes + 15, 660);
        put16(bytes + 18, C(20));
        put16(bytes + 21, C(20));
        bytes[14] = bytes[17] = bytes[20] = bytes[23] = 1;
        bytes[24] = detail;
        bytes[25] = 1;
        bytes[30] = 0x80;
        bytes[47] = 130 + 25;
        bytes[48] = 0x11;
        put16(bytes + 55, 700);
        bytes[57] = sum(bytes);
}

/* A board, and what came out of it. */
struct probe {
        struct chain c;
        uint32_t now;
        uint8_t out[4096];
        uint32_t when[4096]; /* each of them was ready to be sent */
        int outs;
};

static inline void drain(struct probe *p) {
        uint8_t byte;

        while (chain_sending(&p->c)) {
                assert_true(chain_transmit(&p->c, &byte));
                assert_true(p->outs < (int)sizeof(p->out));
                p->when[p->outs] = p->now;
                p->out[p->outs++] = byte;
        }
        assert_false(chain_transmit(&p->c, &byte));
}

static inline void one(struct probe *p, uint8_t byte, bool damaged) {
        p->now += BYTE;
        chain_receive(&p->c, byte, damaged, p->now);
        chain_tick(&p->c, p->now);
        drain(p);
}

static inline void feed(struct probe *p, const uint8_t *bytes, int count) {
        for (int i = 0; i < count; i++)
                one(p, bytes[i], false);
}

static inline void wait_ticks(struct probe *p, uint32_t ticks) {
        uint32_t end = p->now + ticks;

        for (;;) {
                uint32_t due = chain_deadline(&p->c, p->now);

                if ((int32_t)(due - p->now) < 0)
                        due = p->now;
                if ((int32_t)(due - end) > 0)
                        break;
                p->now = due == p->now ? due + 1 : due;
                chain_tick(&p->c, p->now);
                drain(p);
        }
        p->now = end;
}

static inline void probe_init(struct probe *p, unsigned voltage, unsigned temperature) {
        *p = (struct probe){.now = 1000};
        chain_init(&p->c, p->now);
        chain_set_reading(&p->c, &(struct chain_reading){.voltage = (uint16_t)voltage,
                                                         .temperature = (uint16_t)temperature});
        wait_ticks(p, MS(200));
}
