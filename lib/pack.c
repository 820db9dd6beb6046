/* SPDX-License-Identifier: MIT */
#include "pack.h"

#include <string.h>

/* B16: how often a detail may fail to come before its cell is called missing. */
#define MISSING_ROTATIONS 2

/* The option switch that selects critical mode: switch 5 (manual; chain.md, pair 130). */
#define SWITCH_CRITICAL 4

/* chain.md R13: what the bypass switches can say, in steps of 5 mV. */
static const uint16_t v_bypass_steps[] = {680, 700, 720, 740, 800, 820, 840, 860};

static bool is_v_bypass(uint32_t mv) {
        for (size_t i = 0; i < sizeof(v_bypass_steps) / sizeof(v_bypass_steps[0]); i++)
                if (mv == (uint32_t) v_bypass_steps[i] * FRAME_VOLTAGE_STEP_MV)
                        return true;
        return false;
}

/* B9: believed after `confirm` values in a row that agree. */
static void agreed_take(struct agreed *a, int32_t value, unsigned confirm) {
        if (a->agreeing == 0 || a->candidate != value) {
                a->candidate = value;
                a->agreeing = 0;
        }
        if (a->agreeing < confirm)
                a->agreeing++;
        if (a->agreeing >= confirm)
                a->believed = some(value);
}

static void take_v_bypass(struct pack *p, unsigned confirm, const struct frame *f) {
        if (is_v_bypass(f->v_bypass_mv))
                agreed_take(&p->v_bypass_mv, (int32_t) f->v_bypass_mv, confirm);
        else
                p->v_bypass_mv.agreeing = 0;
}

static void take_pair(struct pack *p, usec_t now, unsigned confirm, const struct frame *f) {
        int16_t key = frame_key(f);

        if (key < 0)
                return;
        p->pairs[key] = (struct pair){.value = f->value, .seen = true, .at = now};
        if (key == FRAME_KEY_SWITCHES)
                agreed_take(&p->switches, f->value, confirm);
}

static void miss(struct pack *p, unsigned first, unsigned last) {
        for (unsigned i = first; i <= last && i <= p->count; i++)
                if (p->cells[i].missed < UINT8_MAX)
                        p->cells[i].missed++;
}

/* B16: counts the cells that the rotation stepped over between two successive details. Frames without one (0)
 * are no step. The IN board may be configured for more cells than there are, so the wrap to 1 can come anywhere
 * from the count up (B4). */
static void follow_rotation(struct pack *p, usec_t now, usec_t period, const struct frame *f) {
        unsigned to = f->detail_cell;

        if (usec_since(now, p->frame_at) >= period * 3 / 2)
                p->last_detail = 0; /* a message was lost: nobody knows what it carried */
        if (to == 0)
                return;

        unsigned from = p->last_detail;
        p->last_detail = f->detail_cell;
        if (from == 0)
                return;
        /* A number that comes twice is a repeated message, not a whole rotation; but with two cells a step
         * over the other one has no other form. */
        if (from == to && p->count > 2)
                return;

        if (to > from) {
                miss(p, from + 1, to - 1);
        } else {
                miss(p, from + 1, p->count);
                miss(p, 1, to - 1);
        }
}

static void take_detail(struct pack *p, usec_t now, const struct frame *f) {
        if (f->detail_cell == 0 || f->detail_cell > p->count)
                return;
        if (f->detail_mv == 0) {
                miss(p, f->detail_cell, f->detail_cell);
                return;
        }

        struct cell *c = &p->cells[f->detail_cell];
        const struct cell before = *c;

        c->voltage_mv = some((int32_t) f->detail_mv);
        c->temperature_decic = f->detail_temperature_known ? some(f->detail_decic) : none();
        /* B12: another reading of the same cell than a rotation ago is a sign of life. At a steady current on
         * the flat part of the curve nothing else in the frame need move for minutes. */
        if (before.at != 0 && (before.voltage_mv.value != c->voltage_mv.value ||
                               before.temperature_decic.value != c->temperature_decic.value))
                p->frozen_since = now;
        c->at = now;
        c->missed = 0;
}

/* P7: who is bypassing now, as far as this frame and the one before it show it. One frame is not believed (B8): a
 * voltage damaged on its way would raise its cell's T-max for ten minutes (tests/proof/bit-errors found it). So the
 * frame before must have said as much: the same highest cell; any cell at V-bypass, for a detail, which comes but once
 * in a rotation; every cell. */
static void mark_bypassing(struct pack *p, usec_t now, const struct frame *f) {
        const struct frame *before = &p->frame;

        if (!p->v_bypass_mv.believed.known || p->frame_at == 0)
                return;

        uint32_t limit_mv = (uint32_t) p->v_bypass_mv.believed.value;
        usec_t until = usec_add(now, PACK_BYPASS_HOLD_USEC);

        if (f->highest_mv < limit_mv || before->highest_mv < limit_mv)
                return;
        if (f->detail_cell > 0 && f->detail_cell <= p->count && f->detail_mv >= limit_mv)
                p->cells[f->detail_cell].bypass_until = until;
        if (f->highest_voltage_cell > 0 && f->highest_voltage_cell <= p->count &&
            f->highest_voltage_cell == before->highest_voltage_cell)
                p->cells[f->highest_voltage_cell].bypass_until = until;
        if (f->lowest_mv >= limit_mv && before->lowest_mv >= limit_mv)
                for (unsigned i = 1; i <= p->count; i++)
                        p->cells[i].bypass_until = until;
}

/* B12: what changes by itself is left out: the rotating detail, the pair, the checksum. */
static void follow_frozen(struct pack *p, usec_t now, usec_t period, const uint8_t bytes[FRAME_SIZE]) {
        uint8_t readings[FRAME_SIZE];

        memcpy(readings, bytes, FRAME_SIZE);
        memset(readings + FRAME_OFF_DETAIL_CELL, 0, FRAME_OFF_STATUS - FRAME_OFF_DETAIL_CELL);
        memset(readings + FRAME_OFF_KEY, 0, FRAME_OFF_VALUE - FRAME_OFF_KEY + 1);
        readings[FRAME_OFF_CHECKSUM] = 0;

        /* Over a gap nobody knows whether they stood still. */
        bool gap = usec_since(now, p->frame_at) > 3 * period;
        if (p->frame_at > 0 && !gap && memcmp(readings, p->frozen_bytes, sizeof(readings)) == 0)
                return;
        memcpy(p->frozen_bytes, readings, FRAME_SIZE);
        p->frozen_since = now;
}

void pack_init(struct pack *p) {
        memset(p, 0, sizeof(*p));
}

void pack_frame(struct pack *p, usec_t now, usec_t period, unsigned confirm_frames, const struct frame *frame,
                const uint8_t bytes[FRAME_SIZE]) {
        if (frame->count != p->count) {
                pack_forget_cells(p);
                p->count = frame->count;
        }

        take_v_bypass(p, confirm_frames, frame);
        take_pair(p, now, confirm_frames, frame);
        follow_rotation(p, now, period, frame);
        take_detail(p, now, frame);
        mark_bypassing(p, now, frame);
        follow_frozen(p, now, period, bytes);

        p->frame = *frame;
        p->frame_at = now;
}

void pack_forget_cells(struct pack *p) {
        memset(p->cells, 0, sizeof(p->cells));
        p->last_detail = 0;
}

struct maybe pack_v_bypass_mv(const struct pack *p) {
        return p->v_bypass_mv.believed;
}

struct maybe pack_critical_switch(const struct pack *p) {
        if (!p->switches.believed.known)
                return none();
        return some((p->switches.believed.value >> SWITCH_CRITICAL) & 1);
}

struct maybe pack_pair(const struct pack *p, usec_t now, uint8_t key) {
        const struct pair *pair = &p->pairs[key];

        if (!pair->seen || usec_since(now, pair->at) >= PACK_PAIR_STALE_USEC)
                return none();
        return some(pair->value);
}

bool pack_cell_bypassing(const struct pack *p, usec_t now, uint8_t cell) {
        return now < p->cells[cell].bypass_until;
}

usec_t pack_frozen_deadline(const struct pack *p) {
        /* Silence is not standing still: the time counts only this far beyond the newest frame. */
        usec_t seen_until = usec_add(p->frame_at, PACK_FROZEN_SILENCE_USEC);
        usec_t at = usec_add(p->frozen_since, PACK_FROZEN_USEC);

        return p->frame_at > 0 && at <= seen_until ? at : USEC_INFINITY;
}

bool pack_frozen(const struct pack *p, usec_t now) {
        return now >= pack_frozen_deadline(p);
}

uint8_t pack_missing_cell(const struct pack *p) {
        for (unsigned i = 1; i <= p->count; i++)
                if (p->cells[i].missed >= MISSING_ROTATIONS)
                        return (uint8_t) i;
        return 0;
}
