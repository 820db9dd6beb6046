/* SPDX-License-Identifier: MIT */

/* The option switches of a simulated IN board, toggled with bounce: every row of the manual's tables, in the
 * real image.
 *
 *   switches IN_IMAGE CELL_IMAGE
 *
 * What the board made of them is read from the frames: V-bypass, the mode's bit of pair 130, the period,
 * pairs 131 and 132. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listener.h"

#define BOUNCE_S 0.02
#define ROTATION_S 12.0 /* all pairs once, and room */

struct run {
        struct boards *boards;
        struct listener last;
        struct rng rng;
        unsigned v_bypass, frames, failures, checks;
        int pair[256]; /* by key, -1 = not heard */
        double start, period;
};

static void on_last(void *user, const struct message *m) {
        struct run *r = user;

        if (*message_unsound(m, r->boards->n))
                return;
        r->frames++;
        r->v_bypass = frame_get16(m->bytes + FRAME_OFF_V_BYPASS) * 5u;
        if (m->bytes[FRAME_OFF_KEY] >= FRAME_KEY_BIAS)
                r->pair[m->bytes[FRAME_OFF_KEY] - FRAME_KEY_BIAS] = m->bytes[FRAME_OFF_VALUE];
        r->period = m->start - r->start;
        r->start = m->start;
}

static void go(struct run *r, double seconds) {
        double until = r->boards->now + seconds;

        while (r->boards->now < until) {
                boards_run(r->boards, fmin(until, r->boards->now + 0.05));
                listener_poll(&r->last, r->boards->now);
        }
}

/* Positions as bits, switch 1 first; all that differ bounce before they rest. */
static void set(struct run *r, unsigned positions) {
        bool *s = r->boards->board[1]->switches;
        unsigned moving = 0;

        for (unsigned i = 0; i < BOARD_SWITCHES; i++)
                if (s[i] != ((positions >> i) & 1))
                        moving |= 1u << i;
        for (double t = 0; moving && t < BOUNCE_S; t += 0.001) {
                for (unsigned i = 0; i < BOARD_SWITCHES; i++)
                        if (moving & (1u << i))
                                s[i] = rng_next(&r->rng) & 1;
                go(r, 0.001);
        }
        for (unsigned i = 0; i < BOARD_SWITCHES; i++)
                s[i] = (positions >> i) & 1;
}

static void check(struct run *r, const char *what, int is, int should) {
        r->checks++;
        if (is == should)
                return;
        r->failures++;
        (void)printf("  %.1f s: %s is %d, not %d\n", r->boards->now, what, is, should);
}

static void forget(struct run *r) {
        for (unsigned i = 0; i < 256; i++)
                r->pair[i] = -1;
}

static void start(struct run *r, const struct chain_test *test, unsigned positions) {
        memset(r, 0, sizeof(*r));
        rng_init(&r->rng, 3, 1);
        r->boards = chain_test_make(test);
        for (unsigned i = 0; i < BOARD_SWITCHES; i++)
                r->boards->board[1]->switches[i] = (positions >> i) & 1;
        r->last.heard = on_last;
        r->last.user = r;
        listener_on_board(&r->last, r->boards->board[r->boards->n]);
        forget(r);
        go(r, 15);
}

/* A number as the manual's tables have it: the first switch is the highest bit. */
static unsigned rows(unsigned number, unsigned first, unsigned count) {
        unsigned positions = 0;

        for (unsigned i = 0; i < count; i++)
                if (number & (1u << (count - 1 - i)))
                        positions |= 1u << (first - 1 + i);
        return positions;
}

#define SWITCH(n) (1u << ((n)-1))

static void v_bypass_table(struct run *r) {
        static const int mv[8] = {3400, 3500, 3600, 3700, 4000, 4100, 4200, 4300};
        unsigned before;

        for (unsigned row = 0; row < 8; row++) {
                unsigned positions =
                        (row & 4 ? SWITCH(2) : 0) | (row & 2 ? SWITCH(6) : 0) | (row & 1 ? SWITCH(7) : 0);

                before = r->v_bypass;
                set(r, positions);
                if (row > 0) {
                        go(r, 1.0);
                        check(r, "V-bypass before 2 s", (int)r->v_bypass, (int)before);
                }
                go(r, 4.5);
                check(r, "V-bypass", (int)r->v_bypass, mv[row]);
                /* At power-up, too: known within 2 s and a few cycles. */
                boards_power(r->boards, 1, false);
                go(r, 0.5);
                boards_power(r->boards, 1, true);
                go(r, 7);
                check(r, "V-bypass after power-up", (int)r->v_bypass, mv[row]);
        }
        set(r, 0);
        go(r, 5);
}

static void toggle(struct run *r, unsigned positions, double on_s) {
        set(r, positions);
        go(r, 0.3);
        set(r, positions | SWITCH(8));
        go(r, on_s);
        set(r, positions);
        go(r, 0.5);
        set(r, 0);
        forget(r);
        go(r, ROTATION_S);
}

static const int cells[16] = {4, 8, 12, 16, 20, 24, 28, 32, 48, 64, 80, 96, 128, 156, 204, 255};

static void factory_tables(struct run *r) {
        for (unsigned row = 0; row < 16; row++) {
                unsigned type = (row * 5 + 1) % 8;

                toggle(r, rows(type, 1, 3) | rows(row, 4, 4), 1.5);
                check(r, "sensor type", r->pair[FRAME_KEY_SENSOR_TYPE], (int)type);
                check(r, "configured cells", r->pair[FRAME_KEY_CONFIGURED_CELLS], cells[row]);
                check(r, "V-bypass held", (int)r->v_bypass, 3400);
                if (row % 4 != 3)
                        continue;
                boards_power(r->boards, 1, false);
                go(r, 0.5);
                forget(r);
                boards_power(r->boards, 1, true);
                go(r, ROTATION_S + 5);
                check(r, "sensor type after power-up", r->pair[FRAME_KEY_SENSOR_TYPE], (int)type);
                check(r, "cells after power-up", r->pair[FRAME_KEY_CONFIGURED_CELLS], cells[row]);
        }
        for (unsigned type = 0; type < 8; type++) {
                toggle(r, rows(type, 1, 3) | rows(3, 4, 4), 1.5);
                check(r, "sensor type", r->pair[FRAME_KEY_SENSOR_TYPE], (int)type);
        }
}

/* What must not be taken. */
static void refusals(struct run *r) {
        toggle(r, rows(2, 1, 3) | rows(3, 4, 4), 1.5);
        toggle(r, rows(6, 1, 3) | rows(9, 4, 4), 0.7); /* switch 8 too short */
        check(r, "sensor type after a short push", r->pair[FRAME_KEY_SENSOR_TYPE], 2);
        check(r, "cells after a short push", r->pair[FRAME_KEY_CONFIGURED_CELLS], 16);

        /* ON at power-up: ignored until it was OFF once. */
        boards_power(r->boards, 1, false);
        go(r, 0.5);
        for (unsigned i = 0; i < BOARD_SWITCHES; i++)
                r->boards->board[1]->switches[i] = ((rows(6, 1, 3) | rows(9, 4, 4) | SWITCH(8)) >> i) & 1;
        boards_power(r->boards, 1, true);
        go(r, 3);
        set(r, rows(6, 1, 3) | rows(9, 4, 4));
        go(r, 0.5);
        set(r, 0);
        forget(r);
        go(r, ROTATION_S);
        check(r, "sensor type after ON at power-up", r->pair[FRAME_KEY_SENSOR_TYPE], 2);
        check(r, "cells after ON at power-up", r->pair[FRAME_KEY_CONFIGURED_CELLS], 16);

        /* A reset while it is ON. */
        set(r, rows(6, 1, 3) | rows(9, 4, 4) | SWITCH(8));
        go(r, 1.5);
        mcu_reset(&r->boards->board[1]->mcu, MCU_RESET_WATCHDOG);
        go(r, 1.5);
        set(r, rows(6, 1, 3) | rows(9, 4, 4));
        go(r, 0.5);
        set(r, 0);
        forget(r);
        go(r, ROTATION_S);
        check(r, "sensor type after a reset while ON", r->pair[FRAME_KEY_SENSOR_TYPE], 2);
}

/* The power fails while the record is written: the old settings or the new ones, at each of many moments. */
static void interrupted(struct run *r) {
        for (unsigned i = 0; i < 40; i++) {
                unsigned old_cells = (unsigned)r->pair[FRAME_KEY_CONFIGURED_CELLS], type = i % 8,
                         row = (i * 7 + 2) % 16;
                int old_type = r->pair[FRAME_KEY_SENSOR_TYPE];
                bool is_old, is_new;

                set(r, rows(type, 1, 3) | rows(row, 4, 4));
                go(r, 0.3);
                set(r, rows(type, 1, 3) | rows(row, 4, 4) | SWITCH(8));
                go(r, 1.5);
                r->boards->board[1]->switches[7] = false; /* no bounce: the moment counts */
                go(r, 0.004 * i);
                boards_power(r->boards, 1, false);
                set(r, 0);
                go(r, 0.5);
                forget(r);
                boards_power(r->boards, 1, true);
                go(r, ROTATION_S + 5);
                is_old = r->pair[FRAME_KEY_SENSOR_TYPE] == old_type &&
                         r->pair[FRAME_KEY_CONFIGURED_CELLS] == (int)old_cells;
                is_new = r->pair[FRAME_KEY_SENSOR_TYPE] == (int)type &&
                         r->pair[FRAME_KEY_CONFIGURED_CELLS] == cells[row];
                check(r, "old or new settings after a power failure", is_old || is_new, 1);
                check(r, "EEPROM defaults", r->pair[FRAME_KEY_FLAGS] & 1, 0);
        }
}

static void normal_functions(struct run *r) {
        forget(r);
        set(r, SWITCH(1));
        go(r, 1.0);
        check(r, "period before 2 s, ms", (int)lround(r->period * 1000), 1000);
        go(r, 5);
        check(r, "period with switch 1, ms", (int)lround(r->period * 1000), 500);
        set(r, SWITCH(5));
        go(r, ROTATION_S + 3);
        check(r, "period without switch 1, ms", (int)lround(r->period * 1000), 1000);
        check(r, "pair 130 with switch 5", r->pair[FRAME_KEY_SWITCHES], SWITCH(5));
        set(r, 0);
        go(r, ROTATION_S + 3);
        check(r, "pair 130", r->pair[FRAME_KEY_SWITCHES], 0);
}

int main(int argc, char **argv) {
        struct chain_test test = {.cells = 2, .configured = 16, .seed = 1, .spread = 0.02};
        static struct run r;
        bool brief = argc == 4 && strcmp(argv[3], "brief") == 0;

        if (argc != 3 && !brief) {
                (void)fprintf(stderr, "usage: %s IN_IMAGE CELL_IMAGE [brief]\n", argv[0]);
                return 2;
        }
        test.in_image = argv[1];
        test.cell_image = argv[2];
        start(&r, &test, 0);
        v_bypass_table(&r);
        normal_functions(&r);
        factory_tables(&r);
        refusals(&r);
        if (!brief)
                interrupted(&r);
        for (unsigned i = 1; i <= r.boards->n; i++)
                if (r.boards->board[i]->mcu.seen.strays) {
                        r.failures++;
                        (void)printf("  board %u: %s\n", i, r.boards->board[i]->mcu.seen.stray);
                }
        (void)printf("switches: %u checks over %.0f s, %u frames, %u failures  %s\n", r.checks, r.boards->now,
                     r.frames, r.failures, r.failures || r.frames < 100 ? "MISSED" : "ok");
        boards_free(r.boards);
        return r.failures || r.frames < 100 ? 1 : 0;
}
