/* SPDX-License-Identifier: MIT */
#include "clock.h"

/* R12: near a cycle is within an eighth of it; alike is within a 200th. */
#define NEAR_FRACTION 8
/* After a crossing, which leads up to 20 % beside the mark: still no cycle for another. */
#define NEAR_FRACTION_CROSSING 4
#define ALIKE_FRACTION 200
#define ROUGHLY_FRACTION 40                       /* enough for who is far off: */
#define FAR_TICKS ((int32_t)(CLOCK_SLOW_TICKS / 20)) /* 5 % */

/* The data sheet's figure of OSCCAL (ATmega328P, 30.8) goes from 4 to 15 MHz in 255 codes, with an overlap of about a sixth.
 * Chips are taken to have 4 to 20 %. */
#define STEP_TYPICAL_TICKS (CLOCK_SLOW_TICKS * 6 / 1000)
#define STEP_LEAST_TICKS (CLOCK_SLOW_TICKS * 2 / 1000)
#define STEP_MOST_TICKS (CLOCK_SLOW_TICKS * 14 / 1000)
#define OVERLAP_TICKS (CLOCK_SLOW_TICKS / 8)
/* At the edge of a range so much, 2 %, is not worth crossing: neighbours may differ by 4 %. */
#define EDGE_TICKS (CLOCK_SLOW_TICKS / 50)

#define LOW_LAST 0x7F
#define HIGH_FIRST 0x80
#define HIGH_LAST 0xFF

/* Places in the other range, in codes from its edge: by the middle of the overlaps, then wherever codes of 0.3..1 % and
 * overlaps of 4..20 % can put the same frequency within 12.5 %. */
#define PLACES 4
#define LOST_INTERVALS 3

static bool in_high(uint8_t code) {
        return code >= HIGH_FIRST;
}

static bool within(uint32_t ticks, uint32_t nominal_ticks, uint8_t fraction) {
        uint32_t apart_ticks = ticks > nominal_ticks ? ticks - nominal_ticks : nominal_ticks - ticks;

        return apart_ticks <= nominal_ticks / fraction;
}

/* The cycle that an interval is near to; 0: none. */
static uint32_t nominal_cycle(uint32_t interval_ticks, uint8_t fraction) {
        if (within(interval_ticks, CLOCK_SLOW_TICKS, fraction))
                return CLOCK_SLOW_TICKS;
        return within(interval_ticks, CLOCK_FAST_TICKS, fraction) ? CLOCK_FAST_TICKS : 0;
}

/* Boards that are far off pass on starts that wander by milliseconds: who waits for the even rhythm behind many of them waits
 * for all of them. */
static bool far_off(int32_t error_ticks) {
        return error_ticks > FAR_TICKS || error_ticks < -FAR_TICKS;
}

/* ---- the other range ---- */

static uint8_t distance(const struct clock *c) {
        uint16_t apart_ticks = OVERLAP_TICKS;

        switch (c->place) {
        case 0:
                /* With what was missing at the edge; at most 25 % in codes of 0.2. */
                apart_ticks = (uint16_t)(apart_ticks + (uint16_t)(c->error_ticks < 0 ? -c->error_ticks : c->error_ticks));
                return (uint8_t)(apart_ticks / c->step_ticks);
        case 1:
                return 12;
        case 2:
                return 40;
        default:
                return 70;
        }
}

static void cross(struct clock *c, bool to_high) {
        uint8_t away = distance(c);

        c->crossing = true;
        c->lost = 0;
        c->moved = 0;
        c->target = (uint8_t)(to_high ? HIGH_FIRST + away : LOW_LAST - away);
}

/* No cycle can be made out from where the crossing led. */
static void cross_elsewhere(struct clock *c) {
        bool to_high = in_high(c->code);

        c->place++;
        if (c->place < PLACES) {
                cross(c, to_high);
                return;
        }
        /* Nor from anywhere: back to the edge that it came from, where there was one. */
        c->crossing = false;
        c->target = to_high ? LOW_LAST : HIGH_FIRST;
}

/* ---- trimming ---- */

static void learn(struct clock *c, int16_t error_ticks) {
        int16_t step_ticks;

        if (c->moved == 0)
                return;
        step_ticks = (int16_t)((error_ticks - c->error_ticks) / c->moved);
        if (step_ticks >= (int16_t)STEP_LEAST_TICKS && step_ticks <= (int16_t)STEP_MOST_TICKS)
                c->step_ticks = (uint16_t)step_ticks;
}

/* How many codes down make up for an error. Less than three quarters of one is none, so that a code between whose steps the
 * cycle lies is not changed to and fro. */
static int16_t codes(const struct clock *c, int16_t error_ticks) {
        uint16_t magnitude = (uint16_t)(error_ticks < 0 ? -error_ticks : error_ticks);
        int16_t n;

        if (magnitude < c->step_ticks - c->step_ticks / 4)
                return 0;
        n = (int16_t)((magnitude + c->step_ticks / 2) / c->step_ticks);
        return error_ticks < 0 ? (int16_t)-n : n;
}

static void trim(struct clock *c, int16_t error_ticks) {
        int16_t to, first = in_high(c->code) ? HIGH_FIRST : 0, last = in_high(c->code) ? HIGH_LAST : LOW_LAST;

        learn(c, error_ticks);
        c->moved = 0;
        to = (int16_t)(c->code - codes(c, error_ticks));
        c->settled = to == c->code;
        if (c->settled) {
                c->trimmed = true;
                return;
        }

        /* From the edge to the other range; to the edge from elsewhere. */
        if ((to < first && c->code == HIGH_FIRST) || (to > last && c->code == LOW_LAST)) {
                if (error_ticks <= (int16_t)EDGE_TICKS && error_ticks >= -(int16_t)EDGE_TICKS) {
                        c->settled = c->trimmed = true;
                        return;
                }
                c->place = 0;
                c->error_ticks = error_ticks;
                cross(c, !in_high(c->code));
                return;
        }
        if (to < first)
                to = first;
        if (to > last)
                to = last;
        c->target = (uint8_t)to;
        c->moved = (int8_t)(to - c->code);
        c->error_ticks = error_ticks;
}

/* ---- public ---- */

void clock_init(struct clock *c, uint8_t factory, const uint8_t *stored, uint32_t now_ticks) {
        *c = (struct clock){
                .code = factory, .target = factory, .hour_ticks = now_ticks, .step_ticks = STEP_TYPICAL_TICKS};
        if (!stored)
                return;
        c->has_stored = true;
        c->stored = c->target = *stored;
}

void clock_start(struct clock *c, uint32_t start_ticks) {
        uint32_t interval_ticks = start_ticks - c->start_ticks, before_ticks = c->interval_ticks;
        uint32_t nominal_ticks = nominal_cycle(interval_ticks, c->crossing ? NEAR_FRACTION_CROSSING : NEAR_FRACTION);
        int32_t error_ticks;
        bool measured = c->has_start && c->code == c->target;

        c->start_ticks = start_ticks;
        c->has_start = true;
        if (!measured)
                return;

        c->interval_ticks = nominal_ticks != 0 ? interval_ticks : 0;
        error_ticks = (int32_t)((before_ticks + interval_ticks) / 2 - nominal_ticks);
        if (nominal_ticks == CLOCK_FAST_TICKS)
                error_ticks *= 2;
        if (nominal_ticks == 0 || before_ticks == 0 ||
            !within(interval_ticks, before_ticks, far_off(error_ticks) ? ROUGHLY_FRACTION : ALIKE_FRACTION)) {
                if (c->crossing && ++c->lost >= LOST_INTERVALS)
                        cross_elsewhere(c);
                return;
        }

        c->crossing = c->crossing && nominal_cycle(interval_ticks, NEAR_FRACTION) == 0;
        c->lost = 0;
        c->cycle_ticks = interval_ticks;
        trim(c, (int16_t)error_ticks);
        /* What it will be, until it is measured anew. */
        if (c->target != c->code)
                c->cycle_ticks = nominal_ticks;
}

bool clock_step(struct clock *c, uint8_t *ret_code) {
        if (c->code == c->target)
                return false;
        if (in_high(c->code) != in_high(c->target))
                c->code = c->target;
        else
                c->code = (uint8_t)(c->code < c->target ? c->code + 1 : c->code - 1);
        /* The interval that runs has two rhythms. */
        c->has_start = false;
        c->interval_ticks = 0;
        *ret_code = c->code;
        return true;
}

bool clock_step_due(const struct clock *c) {
        return c->code != c->target;
}

uint32_t clock_cycle(const struct clock *c) {
        return c->cycle_ticks;
}

bool clock_trusted(const struct clock *c) {
        return c->trimmed || c->has_stored;
}

bool clock_store_due(struct clock *c, uint32_t now_ticks) {
        uint8_t off = c->code > c->stored ? (uint8_t)(c->code - c->stored) : (uint8_t)(c->stored - c->code);

        while (c->hours < CLOCK_DAY_HOURS && now_ticks - c->hour_ticks >= CLOCK_HOUR_TICKS) {
                c->hour_ticks += CLOCK_HOUR_TICKS;
                c->hours++;
        }
        if (!c->settled || c->code != c->target)
                return false;
        if (!c->has_stored)
                return true;
        return c->hours == CLOCK_DAY_HOURS && (off >= 2 || in_high(c->code) != in_high(c->stored));
}

void clock_stored(struct clock *c, uint32_t now_ticks) {
        c->stored = c->code;
        c->has_stored = true;
        c->hour_ticks = now_ticks;
        c->hours = 0;
}

uint8_t clock_code(const struct clock *c) {
        return c->code;
}
