/* SPDX-License-Identifier: MIT */

/* True frames with bit errors on every link of the chain, believed or not (B1..B9).
 *
 *   bit-errors CYCLES SEED...
 *
 * 16 boards: 15 links between them, and the line to the gateway (with `tap: in` the ring return too). One bit in 10^6,
 * 10^5 and 10^4 is turned; the boards go on with what they receive (sim/chain-bytes.c). The real struct bms
 * hears what arrives and drives the relays. A twin of the pack with perfect lines, under the same relays, says what is
 * true at every instant. The pack is small and is charged full and emptied in turn, so that limits are crossed, syncs
 * come and relays close while bits are wrong.
 *
 * Counted for each rate, over all seeds:
 *   refused     cycles of which no frame was accepted
 *   harmless    accepted, wrong only in bytes 31..46 and 49..54, which a gateway does not read
 *   wrong       accepted, error-free by its own word, and wrong
 *   E           accepted frames with bit 2, which carry no readings: orphans of boards that heard nothing good for 10
 *               cycles (R10), or a turned bit
 *   believed    wrong values believed: V-bypass, mode, number of cells; a rule confirmed that the truth does not
 * break;
 *               a sync that is none; a cell taken for bypassing that is not (it raises its T-max, P7). Goal: 0
 *   closed      relays that closed though the true values forbid it. Goal: 0
 *   unconfirmed openings on a crossed limit that could not be confirmed (B8), as after silence
 *   stale       cycles in which the link was not live
 * Exits 1 if a goal is missed, or if the run could not have shown it. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bms.h"
#include "simulation.h"

#define CELLS 16
#define V_BYPASS_MV 3500
#define V_MIN_MV 2800
#define V_MAX_MV 3650
#define T_MIN_DECIC 0
#define T_MAX_DECIC 550
#define V_MIN_HYSTERESIS_MV 200
#define V_MAX_HYSTERESIS_MV 50
#define PHASE_CYCLES 1500
#define TICKS 5 /* in half a cycle */
#define BYPASS_SLACK (2 * USEC_PER_SEC)

struct counts {
        unsigned cycles, accepted, refused, harmless, wrong, errors;
        unsigned believed, closed, closings, unconfirmed, stale, stales, openings;
        unsigned full_syncs, empty_syncs, trips;
        uint64_t bits, turned;
};

struct run {
        double rate;
        uint64_t seed;
        struct simulation noisy, twin;
        struct bms bms;
        struct deframer probe;
        usec_t now;
        uint8_t truth[FRAME_SIZE]; /* the newest true frame */
        struct frame true_frame;
        usec_t bypassed_at[CELLS + 1]; /* when this cell was last truly at or above V-bypass; 0 = never */
        bool tripped[_RULE_TABLE_MAX];
        bool wrong_setting[3], wrong_bypass[CELLS + 1];
        enum rule opened_by[_RELAY_MAX];
        enum link_state link;
        struct counts n;
};

static void complain(struct run *r, const char *what) {
        (void)printf("  rate %.0e seed %llu, %.1f s: %s\n", r->rate, (unsigned long long)r->seed,
                     (double)r->now / (double)USEC_PER_SEC, what);
}

/* ---- the truth -------------------------------------------------------------------------------------------------- */

static bool truly_broken(const struct run *r, enum rule rule) {
        const struct frame *f = &r->true_frame;

        switch (rule) {
        case RULE_V_MAX:
                return f->highest_mv >= V_MAX_MV;
        case RULE_V_MIN:
                return f->lowest_mv <= V_MIN_MV;
        case RULE_FULL:
                return f->lowest_mv >= V_BYPASS_MV;
        case RULE_FULL_PACK:
                return false; /* the switch says normal */
        case RULE_T_MIN_CHARGE:
        case RULE_T_MIN_DISCHARGE:
                return f->lowest_decic < T_MIN_DECIC;
        default:
                return f->highest_decic > T_MAX_DECIC;
        }
}

/* The manual's conditions for closing, with the hysteresis of the rule that opened. */
static bool may_truly_close(const struct run *r, enum relay_id id) {
        const struct frame *f = &r->true_frame;
        bool mild = f->lowest_decic >= T_MIN_DECIC && f->highest_decic <= T_MAX_DECIC;

        if (id == RELAY_LOAD)
                return mild && f->lowest_mv > V_MIN_MV &&
                       (r->opened_by[id] != RULE_V_MIN || f->lowest_mv >= V_MIN_MV + V_MIN_HYSTERESIS_MV);
        return mild && f->highest_mv < V_BYPASS_MV &&
               (r->opened_by[id] != RULE_V_MAX || f->highest_mv <= V_MAX_MV - V_MAX_HYSTERESIS_MV);
}

static void note_truth(struct run *r, const uint8_t *bytes, size_t size) {
        if (size != FRAME_SIZE || !frame_decode(bytes, TEMPERATURE_SHEET, &r->true_frame) ||
            r->true_frame.count != CELLS)
                abort(); /* the twin's lines are perfect */
        memcpy(r->truth, bytes, FRAME_SIZE);
        for (int i = 1; i <= CELLS; i++)
                if (r->twin.readings[i].mv >= V_BYPASS_MV)
                        r->bypassed_at[i] = r->now;
}

/* ---- what is heard ---------------------------------------------------------------------------------------------- */

static bool wrong_only_unread(const uint8_t *a, const uint8_t *b) {
        for (size_t i = 0; i < FRAME_OFF_CHECKSUM; i++)
                if (a[i] != b[i] && !(i >= FRAME_OFF_COLLECTED_TODAY && i < FRAME_OFF_KEY) &&
                    !(i > FRAME_OFF_VALUE && i < FRAME_OFF_V_BYPASS))
                        return false;
        return true;
}

static void classify(struct run *r, const uint8_t *wire, size_t size) {
        uint8_t bytes[FRAME_SIZE];
        struct frame frame;
        bool any = false;

        for (size_t i = 0; i < size; i++) {
                if (deframer_push(&r->probe, wire[i], &frame, bytes) != DEFRAMER_FRAME)
                        continue;
                any = true;
                r->n.accepted++;
                if (memcmp(bytes, r->truth, FRAME_SIZE) == 0)
                        continue;
                if (frame.status & FRAME_STATUS_COMMUNICATION_ERROR)
                        r->n.errors++;
                else if (wrong_only_unread(bytes, r->truth))
                        r->n.harmless++;
                else
                        r->n.wrong++;
        }
        r->n.refused += !any && r->noisy.half % 2 != 0;
}

/* ---- what is believed ------------------------------------------------------------------------------------------- */

static void judge_once(struct run *r, bool *flag, bool wrong, const char *what) {
        if (wrong && !*flag) {
                r->n.believed++;
                complain(r, what);
        }
        *flag = wrong;
}

static void judge_settings(struct run *r) {
        const struct pack *p = &r->bms.pack;

        judge_once(r, &r->wrong_setting[0],
                   p->v_bypass_mv.believed.known && p->v_bypass_mv.believed.value != V_BYPASS_MV,
                   "a wrong V-bypass is believed");
        judge_once(r, &r->wrong_setting[1], r->bms.limits.critical, "a wrong mode is believed");
        judge_once(r, &r->wrong_setting[2], r->bms.link.known_cells != 0 && r->bms.link.known_cells != CELLS,
                   "a wrong number of cells is believed");
}

static void judge_bypass(struct run *r) {
        for (int i = 1; i <= CELLS; i++) {
                bool truly = r->bypassed_at[i] != 0 &&
                             r->now <= r->bypassed_at[i] + PACK_BYPASS_HOLD_USEC + BYPASS_SLACK;

                judge_once(r, &r->wrong_bypass[i], pack_cell_bypassing(&r->bms.pack, r->now, (uint8_t)i) && !truly,
                           "a cell is taken for bypassing that is not");
        }
}

/* A rule is confirmed by a frame that came just now, so the truth of now decides. */
static void judge_trips(struct run *r) {
        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++) {
                bool tripped = protection_tripped(&r->bms.protection, rule);

                if (tripped && !r->tripped[rule]) {
                        r->n.trips++;
                        if (!truly_broken(r, rule)) {
                                r->n.believed++;
                                complain(r, rule_info(rule)->name);
                        }
                }
                r->tripped[rule] = tripped;
        }
}

static void judge_events(struct run *r) {
        struct event event;

        while (bms_next_event(&r->bms, &event))
                switch (event.kind) {
                case EVENT_RELAY_OPENED:
                        r->n.openings++;
                        r->n.unconfirmed += event.reason.rule == RULE_UNCONFIRMED;
                        r->opened_by[event.subject] = event.reason.rule;
                        break;
                case EVENT_RELAY_CLOSED:
                        r->n.closings++;
                        if (!may_truly_close(r, (enum relay_id)event.subject)) {
                                r->n.closed++;
                                complain(r, event.text);
                        }
                        break;
                case EVENT_FULL_SYNC:
                        r->n.full_syncs++;
                        if (!truly_broken(r, RULE_FULL)) {
                                r->n.believed++;
                                complain(r, "a full sync that is none");
                        }
                        break;
                case EVENT_EMPTY_SYNC:
                        r->n.empty_syncs++;
                        if (!truly_broken(r, RULE_V_MIN)) {
                                r->n.believed++;
                                complain(r, "an empty sync that is none");
                        }
                        break;
                default:
                        break;
                }
}

static void judge(struct run *r) {
        judge_settings(r);
        judge_bypass(r);
        judge_trips(r);
        judge_events(r);
}

/* ---- a run ------------------------------------------------------------------------------------------------------ */

static void command(struct simulation *s, const char *line) {
        char answer[160];

        if (simulation_command(s, line, answer, sizeof(answer)) < 0) {
                (void)fprintf(stderr, "%s: %s\n", line, answer);
                abort();
        }
}

/* 5 Ah cells: full or empty within a phase of 25 minutes. */
static void start(struct run *r, double rate, uint64_t seed, bool tap_last) {
        struct bms_config config = {
                .current_check = true,
                .tap = tap_last ? TAP_LAST : TAP_IN,
                .blind_spot_ma = 1000,
                .mapped = {true, true},
        };
        struct simulation_config s;
        char fault[64];

        memset(r, 0, sizeof(*r));
        r->rate = rate;
        r->seed = seed;
        r->now = USEC_PER_SEC;
        simulation_config_init(&s);
        s.cells = CELLS;
        s.capacity_ah = 5;
        s.spread_percent = 0.2; /* of cells so small the charger brings the first to V-max else, and none to full */
        s.seed = seed;
        s.tap = tap_last ? SIMULATION_TAP_LAST : SIMULATION_TAP_IN;
        s.model = (struct cell_model){true, true, true};
        s.profile.charge_a = 12;
        s.profile.load_a = 1;
        for (int i = 1; i <= CELLS; i++)
                s.own[i].resistance = 0.3 + 0.01 * (i % 5);
        simulation_init(&r->noisy, &s);
        simulation_init(&r->twin, &s);
        (void)snprintf(fault, sizeof(fault), "bit-errors=%.9f", rate);
        command(&r->noisy, fault);

        settings_init(&config.settings);
        config.settings.values[SETTING_CAPACITY] = some(CELLS * 5 * 3200 / 1000);
        bms_init(&r->bms, r->now, &config);
        deframer_init(&r->probe, &(struct accept_rules){.current_check = true});
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                r->opened_by[id] = RULE_START;
        r->link = r->bms.link.state;
}

static void follow_link(struct run *r) {
        r->n.stales += r->bms.link.state != r->link && r->link == LINK_LIVE;
        r->link = r->bms.link.state;
        r->n.stale += r->link != LINK_LIVE;
}

static void half_cycle(struct run *r) {
        bool charge = bms_relay_closed(&r->bms, RELAY_CHARGE), load = bms_relay_closed(&r->bms, RELAY_LOAD);
        usec_t step = simulation_step_usec(&r->twin);
        uint8_t wire[FAULTS_WIRE_MAX], perfect[FAULTS_WIRE_MAX];
        size_t n = simulation_step(&r->noisy, charge, load, wire);
        size_t n_true = simulation_step(&r->twin, charge, load, perfect);

        if (n_true > 0)
                note_truth(r, perfect, n_true);
        if (memcmp(r->noisy.readings, r->twin.readings, sizeof(r->twin.readings)) != 0) {
                (void)fprintf(stderr, "the twins differ\n");
                abort();
        }
        classify(r, wire, n);
        (void)bms_bytes(&r->bms, r->now, wire, n);
        judge(r);
        for (int i = 0; i < TICKS; i++) {
                r->now += step / TICKS;
                bms_tick(&r->bms, r->now);
                judge(r);
        }
}

static void run(struct run *r, unsigned cycles) {
        for (; r->n.cycles < cycles; r->n.cycles++) {
                if (r->n.cycles % PHASE_CYCLES == 0) {
                        bool emptying = r->n.cycles / PHASE_CYCLES % 2 != 0;

                        r->noisy.config.profile.charge_a = r->twin.config.profile.charge_a = emptying ? 0 : 12;
                        r->noisy.config.profile.load_a = r->twin.config.profile.load_a = emptying ? 12 : 1;
                }
                half_cycle(r);
                half_cycle(r);
                follow_link(r);
        }
        r->n.bits = r->noisy.chain.wire.bits;
        r->n.turned = r->noisy.chain.wire.turned;
}

static void add(struct counts *all, const struct counts *one) {
        const unsigned *from = (const unsigned *)one;
        unsigned *to = (unsigned *)all;

        for (size_t i = 0; i < offsetof(struct counts, bits) / sizeof(*to); i++)
                to[i] += from[i];
        all->bits += one->bits;
        all->turned += one->turned;
}

static bool report(const char *name, double rate, const struct counts *n, bool must_sync) {
        bool good = n->believed == 0 && n->closed == 0;
        bool shown = n->closings > 0 && n->turned > 0 && (!must_sync || (n->full_syncs > 0 && n->empty_syncs > 0));

        (void)printf("%-8s %6.0e %7u %7llu %8u %8u %6u %5u %9u %7u %9u %12u %6u %6u %6u %6u  %s\n", name, rate,
                     n->cycles, (unsigned long long)n->turned, n->refused, n->harmless, n->wrong, n->errors,
                     n->believed, n->closed, n->closings, n->unconfirmed, n->stales, n->stale, n->full_syncs,
                     n->empty_syncs, good && shown ? "ok" : good ? "SHOWS NOTHING" : "MISSED");
        (void)fflush(stdout);
        return good && shown;
}

int main(int argc, char *argv[]) {
        static const double rates[] = {1e-6, 1e-5, 1e-4};
        static struct run r; /* too large for a stack frame */
        unsigned cycles = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
        bool good = true;

        if (cycles == 0 || argc < 3) {
                (void)fprintf(stderr, "usage: %s CYCLES SEED...\n", argv[0]);
                return 2;
        }
        (void)printf("%-8s %6s %7s %7s %8s %8s %6s %5s %9s %7s %9s %12s %6s %6s %6s %6s\n", "tap", "rate", "cycles",
                     "turned", "refused", "harmless", "wrong", "E", "believed", "closed", "closings", "unconfirmed",
                     "stales", "stale", "fulls", "empty");
        for (int tap_last = 0; tap_last < 2; tap_last++)
                for (size_t k = 0; k < sizeof(rates) / sizeof(rates[0]); k++) {
                        struct counts all = {0};

                        for (int i = 2; i < argc; i++) {
                                start(&r, rates[k], strtoull(argv[i], NULL, 10), tap_last);
                                run(&r, cycles);
                                add(&all, &r.n);
                        }
                        /* At 10^-4 more than half of the frames are damaged: the relays are open too long for that. */
                        good = report(tap_last ? "last" : "in", rates[k], &all, rates[k] < 5e-5) && good;
                }
        return good ? 0 : 1;
}
