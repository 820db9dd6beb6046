/* SPDX-License-Identifier: MIT */
#pragma once

/* The wire from one board's TXD to the next one's RXD, with its isolator: who sends what level when, and what
 * becomes of it on the way. 1 = idle. Knows no bytes beyond the ten bits of a character, and no receiver. */

#include <stdbool.h>
#include <stdint.h>

#include "rng.h"

#define LINE_CHARS 64 /* on the wire and not yet listened to */
#define LINE_BITS 10

struct line_char {
        double start, bit_s;
        uint16_t bits; /* bit 0 first: start bit, data, stop bit */
};

struct line {
        struct line_char chars[LINE_CHARS]; /* ring */
        unsigned head, tail;
        bool cut;      /* idle, whatever is sent */
        bool inverted; /* the isolator is wired the wrong way round */
        double error_rate;
        uint64_t until_error; /* bits */
        uint64_t bits, turned;
        struct rng rng;
};

void line_init(struct line *l, uint64_t seed);

/* This share of the bits of characters is turned; silence is not disturbed. */
void line_set_errors(struct line *l, double rate);

/* Begins a character. False: nothing of it arrives. */
bool line_send(struct line *l, double start, double bit_s, uint8_t byte);

/* The level at a time not before the last line_forget(). */
bool line_level(const struct line *l, double time);

/* The first change from 1 to 0 after a time, as far as is sent by now; MCU_NEVER if there is none. */
double line_falls(const struct line *l, double after);

/* Nobody asks for anything before this any more. */
void line_forget(struct line *l, double before);
