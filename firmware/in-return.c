/* SPDX-License-Identifier: MIT */
#include "in-return.h"

#include <stddef.h>

#define LOST_CYCLES 3

void in_return_init(struct in_return *r, uint32_t now_ticks) {
        *r = (struct in_return){.taken = FRAME_SIZE, .last_ticks = now_ticks, .whole_ticks = now_ticks};
}

void in_return_receive(struct in_return *r, uint8_t byte, bool damaged, uint32_t now_ticks) {
        if (r->silent || now_ticks - r->last_ticks >= IN_RETURN_SILENCE_TICKS) {
                r->silent = false;
                r->taken = 0;
                r->damaged = false;
                r->first_ticks = now_ticks;
        }
        r->last_ticks = now_ticks;
        if (r->taken == FRAME_SIZE)
                return;

        r->damaged = r->damaged || damaged;
        r->bytes[r->coming][r->taken++] = byte;
        if (r->taken < FRAME_SIZE)
                return;
        r->whole = (uint8_t)(r->coming + 1);
        r->coming ^= 1;
        r->whole_damaged = r->damaged;
        r->whole_ticks = r->first_ticks;
        r->lost = false;
}

bool in_return_tick(struct in_return *r, uint32_t now_ticks, uint32_t cycle_ticks) {
        /* Remembered, as ticks wrap. */
        if (now_ticks - r->last_ticks >= IN_RETURN_SILENCE_TICKS)
                r->silent = true;
        if (r->lost || now_ticks - r->whole_ticks < LOST_CYCLES * cycle_ticks)
                return false;
        r->lost = true;
        return true;
}

/* A good frame (R4) that began here: an orphan's numbers are relative. */
static bool tells_count(const struct in_return *r, const uint8_t *frame) {
        return !r->whole_damaged && frame[FRAME_OFF_CHECKSUM] == frame_checksum(frame) &&
               frame[FRAME_OFF_KEY] != FRAME_KEY_ORPHAN + FRAME_KEY_BIAS && frame[FRAME_OFF_COUNT] >= 2;
}

bool in_return_waiting(const struct in_return *r) {
        return r->whole != 0;
}

const uint8_t *in_return_take(struct in_return *r) {
        uint8_t whole = r->whole;
        const uint8_t *frame;

        if (whole == 0)
                return NULL;
        r->whole = 0;
        frame = r->bytes[whole - 1];
        if (tells_count(r, frame)) {
                r->agreeing = frame[FRAME_OFF_COUNT] == r->count ? (uint8_t)(r->agreeing + 1) : 1;
                r->count = frame[FRAME_OFF_COUNT];
                if (r->agreeing == IN_RETURN_AGREE) {
                        r->cells = r->count;
                        r->agreeing--;
                }
        }
        return frame;
}

bool in_return_lost(const struct in_return *r) {
        return r->lost;
}

uint8_t in_return_cells(const struct in_return *r) {
        return r->cells;
}
