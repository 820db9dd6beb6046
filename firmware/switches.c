/* SPDX-License-Identifier: MIT */
#include "switches.h"

#include "frame.h"

#define SWITCH(n) ((uint8_t)(1u << ((n)-1)))

static const uint16_t v_bypass_mv[] = {3400, 3500, 3600, 3700, 4000, 4100, 4200, 4300};
static const uint8_t cell_rows[SWITCHES_CELL_ROWS] = {4,  8,  12, 16, 20,  24,  28,  32,
                                                      48, 64, 80, 96, 128, 156, 204, 255};

static bool is_on(uint8_t bits, uint8_t n) {
        return (bits & SWITCH(n)) != 0;
}

/* Switches first..last as a number, as the manual's tables count: the first one is the highest bit. */
static uint8_t row_of(uint8_t bits, uint8_t first, uint8_t last) {
        uint8_t row = 0;

        for (uint8_t n = first; n <= last; n++)
                row = (uint8_t)((unsigned)row << 1 | (is_on(bits, n) ? 1u : 0u));
        return row;
}

void switches_init(struct switches *s, uint8_t raw) {
        *s = (struct switches){.raw = raw};
}

/* Switch 8 is in use: ON since the power-up it is ignored. */
static bool eight_on(const struct switches *s, uint8_t raw) {
        return s->armed && is_on(raw, 8);
}

/* The others' positions are meant, not on their way. */
static bool others_steady(const struct switches *s) {
        for (uint8_t n = 1; n < SWITCHES; n++)
                if (s->steady_ms[n - 1] < SWITCHES_STEADY_MS)
                        return false;
        return true;
}

static void act(struct switches *s) {
        for (uint8_t n = 1; n <= SWITCHES; n++)
                if (s->steady_ms[n - 1] >= SWITCHES_ACT_MS) {
                        s->acting = (uint8_t)((s->acting & ~SWITCH(n)) | (s->raw & SWITCH(n)));
                        s->settled = (uint8_t)(s->settled | SWITCH(n));
                }
}

enum switches_event switches_sample(struct switches *s, uint8_t raw, uint16_t elapsed_ms) {
        uint8_t moved = raw ^ s->raw;
        bool was_zeroing = switches_zeroing(s);
        enum switches_event event = SWITCHES_NOTHING;

        /* The way until this sample was steady for those that have not moved, and those that have moved did
         * so after their last position was steady for so long. */
        if (s->armed && is_on(moved, 8) && !is_on(raw, 8) && s->steady_ms[7] >= SWITCHES_FACTORY_ON_MS &&
            others_steady(s) && moved == SWITCH(8)) {
                s->sensor_type = row_of(raw, 1, 3);
                s->cells = cell_rows[row_of(raw, 4, 7)];
                event = SWITCHES_FACTORY;
        } else if (was_zeroing && is_on(moved, 4) && !eight_on(s, raw) && s->steady_ms[3] >= SWITCHES_ZERO_MS)
                event = SWITCHES_ZERO_STORE;

        for (uint8_t n = 1; n <= SWITCHES; n++) {
                uint16_t *steady = &s->steady_ms[n - 1];

                if (is_on(moved, n))
                        *steady = 0;
                else
                        *steady = *steady > UINT16_MAX - elapsed_ms ? UINT16_MAX
                                                                    : (uint16_t)(*steady + elapsed_ms);
        }
        s->raw = raw;

        /* ON at power-up is ignored until it was OFF, steady. */
        if (!is_on(raw, 8) && s->steady_ms[7] >= SWITCHES_STEADY_MS)
                s->armed = true;

        if (eight_on(s, raw)) {
                s->zero_blocked = true;
                return event;
        }
        act(s);
        if (!is_on(s->acting, 4) && !is_on(raw, 4) && is_on(s->settled, 4))
                s->zero_blocked = false;
        return event;
}

bool switches_known(const struct switches *s) {
        /* Switch 8 has no function that acts. */
        return (s->settled | SWITCH(8)) == UINT8_MAX;
}

uint8_t switches_bits(const struct switches *s) {
        return s->acting;
}

bool switches_fast(const struct switches *s) {
        return is_on(s->acting, 1);
}

bool switches_blind_spot(const struct switches *s) {
        return is_on(s->acting, 3);
}

bool switches_critical(const struct switches *s) {
        return is_on(s->acting, 5);
}

bool switches_zeroing(const struct switches *s) {
        return is_on(s->acting, 4) && is_on(s->raw, 4) && !s->zero_blocked;
}

uint16_t switches_v_bypass(const struct switches *s) {
        uint8_t row = (uint8_t)((is_on(s->acting, 2) ? 4u : 0u) | row_of(s->acting, 6, 7));

        return switches_known(s) ? v_bypass_mv[row] / FRAME_VOLTAGE_STEP_MV : 0;
}
