/* SPDX-License-Identifier: MIT */
#include "energy.h"

/* mV * mA * us overflows int64 near 2.5 kWh, and a single product does at 2,000 A x 1,096 V beyond 4.2 s. So the
 * division by ENERGY_FINE_PER_MWH is made in two steps, the first before the last multiplication, each with its
 * remainder. */
#define FIRST_DIVISOR INT64_C(3600000)
#define SECOND_DIVISOR INT64_C(4000000)
_Static_assert(FIRST_DIVISOR *SECOND_DIVISOR == ENERGY_FINE_PER_MWH, "two steps make the whole");

/* Adds currents * voltages * usec / 4. With what a frame can carry (2 * 8,191,875 mA, 2 * 1,300,500 mV) every product
 * here fits for intervals of 3 days; they are at most 3 periods, which is 3 s. */
/* Returns the whole mWh. */
static int64_t add(struct energy_sum *sum, int64_t currents_ma, int64_t voltages_mv, int64_t usec) {
        const int64_t impulse = voltages_mv * usec;
        const int64_t low = sum->remainder % FIRST_DIVISOR + currents_ma * (impulse % FIRST_DIVISOR);
        const int64_t high = sum->remainder / FIRST_DIVISOR + currents_ma * (impulse / FIRST_DIVISOR) +
                             low / FIRST_DIVISOR;
        const int64_t mwh = high / SECOND_DIVISOR;

        sum->remainder = high % SECOND_DIVISOR * FIRST_DIVISOR + low % FIRST_DIVISOR;
        sum->today_mwh += mwh;
        sum->total_mwh += mwh;
        return mwh;
}

static void count(struct energy *e, const struct frame_current *from, const struct frame_current *to,
                  int64_t voltages_mv, int64_t usec, enum energy_counter positive, enum energy_counter negative) {
        if (!from->known || !to->known)
                return;
        const int64_t currents_ma = (int64_t) from->ma + to->ma;
        if (currents_ma > 0)
                e->run_mwh[positive] += add(&e->sums[positive], currents_ma, voltages_mv, usec);
        else
                e->run_mwh[negative] += add(&e->sums[negative], -currents_ma, voltages_mv, usec);
}

void energy_init(struct energy *e) {
        *e = (struct energy){};
}

void energy_restore(struct energy *e, const struct energy_sum sums[_ENERGY_MAX]) {
        for (int i = 0; i < _ENERGY_MAX; i++) {
                struct energy_sum *sum = &e->sums[i];
                int64_t carry = 0;

                /* these come from a file: a remainder that cannot be one is worth at most 1 mWh */
                if (sums[i].remainder > 0 && sums[i].remainder < ENERGY_FINE_PER_MWH)
                        sum->remainder += sums[i].remainder;
                if (sum->remainder >= ENERGY_FINE_PER_MWH) {
                        sum->remainder -= ENERGY_FINE_PER_MWH;
                        carry = 1;
                }
                sum->today_mwh += sums[i].today_mwh + carry;
                sum->total_mwh += sums[i].total_mwh + carry;
        }
        e->restored = true;
}

void energy_frame(struct energy *e, usec_t now, usec_t period, const struct frame *frame) {
        const usec_t gap = usec_since(now, e->last);

        if (e->last != 0 && gap > 3 * period)
                e->gap_usec = usec_add(e->gap_usec, gap);
        else if (e->last != 0) {
                const int64_t mv = (int64_t) e->last_pack_mv + frame->pack_mv;
                const int64_t usec = (int64_t) gap;

                count(e, &e->last_in, &frame->in, mv, usec, ENERGY_COLLECTED, ENERGY_CONSUMED);
                count(e, &e->last_out, &frame->out, mv, usec, ENERGY_CONSUMED, ENERGY_COLLECTED);
                count(e, &e->last_sum, &frame->sum, mv, usec, ENERGY_CHARGED, ENERGY_DISCHARGED);
        }
        e->last = now;
        e->last_in = frame->in;
        e->last_out = frame->out;
        e->last_sum = frame->sum;
        e->last_pack_mv = frame->pack_mv;
}

/* The remainder stays: it belongs to the total as well, and is below 1 mWh. */
void energy_new_day(struct energy *e) {
        for (int i = 0; i < _ENERGY_MAX; i++)
                e->sums[i].today_mwh = 0;
}

void energy_clear(struct energy *e) {
        for (int i = 0; i < _ENERGY_MAX; i++)
                e->sums[i].total_mwh = 0;
}

struct maybe64 energy_today_mwh(const struct energy *e, enum energy_counter counter) {
        return e->restored ? some64(e->sums[counter].today_mwh) : none64();
}

struct maybe64 energy_total_mwh(const struct energy *e, enum energy_counter counter) {
        return e->restored ? some64(e->sums[counter].total_mwh) : none64();
}
