/* SPDX-License-Identifier: MIT */

#include <math.h>

#include "line.h"
#include "mcu.h"

void line_init(struct line *l, uint64_t seed) {
        *l = (struct line){0};
        rng_init(&l->rng, seed, 0x6C696E65);
}

/* How many bits stay whole before the next that is turned: geometric. */
static uint64_t draw(struct line *l) {
        double u = ((double)(rng_next(&l->rng) >> 11) + 0.5) / 9007199254740992.0;

        return l->error_rate > 0 ? (uint64_t)(log(u) / log1p(-l->error_rate)) : UINT64_MAX;
}

void line_set_errors(struct line *l, double rate) {
        l->error_rate = rate;
        l->until_error = draw(l);
}

bool line_send(struct line *l, double start, double bit_s, uint8_t byte) {
        struct line_char *c;

        if (l->cut)
                return false;
        if (l->head - l->tail == LINE_CHARS)
                l->tail++; /* nobody listens */
        c = &l->chars[l->head++ % LINE_CHARS];
        *c = (struct line_char){start, bit_s, (uint16_t)(0x200u | (unsigned)byte << 1)};
        l->bits += LINE_BITS;
        if (l->error_rate <= 0)
                return true;
        for (unsigned i = 0; i < LINE_BITS; i++) {
                if (l->until_error-- > 0)
                        continue;
                c->bits ^= (uint16_t)(1u << i);
                l->turned++;
                l->until_error = draw(l);
        }
        return true;
}

static bool raw_level(const struct line *l, double time) {
        for (unsigned i = l->tail; i != l->head; i++) {
                const struct line_char *c = &l->chars[i % LINE_CHARS];
                double bit = (time - c->start) / c->bit_s;

                if (bit < 0)
                        return true;
                if (bit < LINE_BITS)
                        return (c->bits >> (unsigned)bit) & 1;
        }
        return true;
}

bool line_level(const struct line *l, double time) {
        return l->cut || raw_level(l, time) != l->inverted;
}

double line_falls(const struct line *l, double after) {
        bool before = l->inverted ? false : true; /* between characters */

        if (l->cut)
                return MCU_NEVER;
        for (unsigned i = l->tail; i != l->head; i++) {
                const struct line_char *c = &l->chars[i % LINE_CHARS];

                for (unsigned bit = 0; bit <= LINE_BITS; bit++) {
                        double at = c->start + bit * c->bit_s;
                        bool level = (bit < LINE_BITS ? (c->bits >> bit) & 1 : true) != l->inverted;
                        /* Back to back: the gap between two characters is none. */
                        bool joined = bit == LINE_BITS && i + 1 != l->head &&
                                      l->chars[(i + 1) % LINE_CHARS].start < at + c->bit_s / 100;

                        if (joined)
                                break;
                        if (before && !level && at > after)
                                return at;
                        before = level;
                }
        }
        return MCU_NEVER;
}

void line_forget(struct line *l, double before) {
        while (l->tail != l->head) {
                const struct line_char *c = &l->chars[l->tail % LINE_CHARS];

                /* The last bit's level is needed to know an edge behind it: keep it a bit longer. */
                if (c->start + (LINE_BITS + 1) * c->bit_s > before)
                        return;
                l->tail++;
        }
}
