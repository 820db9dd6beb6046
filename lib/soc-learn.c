/* SPDX-License-Identifier: MIT */
#include "soc-learn.h"

static void begin(struct soc_learning *l) {
        l->begun = true;
        l->counted_mams = l->counted_remainder = 0;
        l->zero_half_usec = l->uncounted_usec = 0;
}

void soc_learn_count(struct soc_learning *l, int64_t fine, unsigned zero_ends, usec_t duration) {
        if (!l->begun)
                return;
        l->counted_remainder += fine;
        l->counted_mams += l->counted_remainder / SOC_FINE_PER_MAMS;
        l->counted_remainder %= SOC_FINE_PER_MAMS;
        l->zero_half_usec += zero_ends * duration;
}

void soc_learn_uncounted(struct soc_learning *l, usec_t duration) {
        l->uncounted_usec = usec_add(l->uncounted_usec, duration);
        if (l->uncounted_usec > SOC_LEARN_UNCOUNTED_USEC)
                l->begun = false;
}

void soc_learn_spoil(struct soc_learning *l) {
        l->begun = false;
}

static void forget(struct soc_learning *l) {
        while (l->hidden_usec > SOC_LEARN_WINDOW_USEC) {
                l->hidden_usec /= 2;
                l->hidden_mams /= 2;
        }
}

bool soc_learn_full_sync(struct soc_learning *l, int64_t *ret_draw_ma) {
        const usec_t zero = l->zero_half_usec / 2;

        if (!l->begun) {
                begin(l);
                return false;
        }
        if (zero < SOC_LEARN_MIN_USEC)
                return false;
        l->hidden_mams += l->counted_mams;
        l->hidden_usec += zero;
        begin(l);
        *ret_draw_ma = l->hidden_mams / (int64_t) (l->hidden_usec / USEC_PER_MSEC);
        forget(l);
        return true;
}
