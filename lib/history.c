/* SPDX-License-Identifier: MIT */
#include "history.h"

/* Snapshots come at least once a second: what lies further apart was not seen. */
#define GAP_USEC (10 * USEC_PER_SEC)

void history_init(struct history *h) {
        *h = (struct history){.begun = false};
}

static void begin(struct history *h, const struct snapshot *s) {
        *h = (struct history){.begun = true, .last = s->at};
        h->row.from = h->row.until = s->at;
        for (int i = 0; i < _ENERGY_MAX; i++)
                h->run_mwh[i] = s->run_mwh[i];
}

static struct maybe lower(struct maybe a, struct maybe b) {
        return !a.known || (b.known && b.value < a.value) ? b : a;
}

static struct maybe higher(struct maybe a, struct maybe b) {
        return !a.known || (b.known && b.value > a.value) ? b : a;
}

static struct maybe mean(int64_t sum, int64_t msec) {
        return msec > 0 ? some((int32_t)(sum / msec)) : none();
}

/* The readings of a snapshot hold for the time since the one before. */
static void take(struct history *h, const struct snapshot *s) {
        const int64_t msec = (int64_t)(usec_since(s->at, h->last) / USEC_PER_MSEC);
        struct history_row *r = &h->row;

        h->last = r->until = s->at;
        r->soc_permyriad = s->soc_permyriad;
        if (s->data_stale || !s->pack_mv.known)
                return;
        h->covered_msec += msec;
        h->pack_sum_mvms += s->pack_mv.value * msec;
        if (s->power_mw.known) {
                h->power_msec += msec;
                h->power_sum_mwms += s->power_mw.value * msec;
        }
        r->lowest_mv = lower(r->lowest_mv, s->lowest_mv);
        r->highest_mv = higher(r->highest_mv, s->highest_mv);
        r->lowest_decic = lower(r->lowest_decic, s->lowest_decic);
        r->highest_decic = higher(r->highest_decic, s->highest_decic);
}

/* The energy is the counters' own: what was counted up to the snapshot that ends the row. */
static struct history_row finish(const struct history *h, const int64_t run_mwh[_ENERGY_MAX]) {
        struct history_row r = h->row;

        r.covered_sec = (int32_t)((h->covered_msec + 500) / 1000);
        r.power_mw = mean(h->power_sum_mwms, h->power_msec);
        r.pack_mv = mean(h->pack_sum_mvms, h->covered_msec);
        for (int i = 0; i < _ENERGY_MAX; i++)
                r.mwh[i] = run_mwh[i] - h->run_mwh[i];
        return r;
}

bool history_add(struct history *h, const struct snapshot *s, struct history_row *ret_row) {
        if (!h->begun) {
                begin(h, s);
                return false;
        }
        if (usec_since(s->at, h->last) > GAP_USEC) {
                const bool any = h->row.until > h->row.from;

                if (any)
                        *ret_row = finish(h, s->run_mwh); /* what was counted until then: a gap adds nothing */
                begin(h, s);
                return any;
        }
        take(h, s);
        if (usec_since(s->at, h->row.from) < HISTORY_MINUTE_USEC)
                return false;
        *ret_row = finish(h, s->run_mwh);
        begin(h, s);
        return true;
}
