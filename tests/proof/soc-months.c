/* SPDX-License-Identifier: MIT */
/* Two simulated months of an off-grid cabin: its SOC against the truth (S1..S7; docs/soc.md has the figures).
 *
 *   soc-months [--cells N] [--pack 1..7] [--disturbed yes] [--csv FILE] SEED...
 *
 * Three packs a seed: ideal sensors (125 mA, the finest the message carries, no blind spot); and the 100 A type, 0.5 A
 * steps and a blind spot of +-1 A on each of two sensors, with 0.2 and with 0.6 A drawn day and night. 16 cells of
 * 560 Ah, V-bypass 3.5 V, charge <= 0.3 C. Days 0..24 are sunny and mixed, then there are 20 dark days on which the
 * pack never gets full, then the sun is back. The real struct bms hears every message that the simulated pack sends,
 * and the simulated pack obeys its relays. Measured once a minute from the fifth full sync on. Beside it, as a
 * reference, the manual's plain rule on the same messages. Exits 1 if a goal is missed.
 *
 * Packs 4..7, or --disturbed: the 0.2 A pack with one thing wrong that the rules do not know of. Nobody promised
 * anything about these, so they are reported and have no goal. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bms.h"
#include "cabin.h"

#define DAYS 60
#define DARK_FROM 25
#define DARK_UNTIL 45
#define FROM_SYNC 5
#define COVERAGE_MIN 90.0
#define COVERAGE_MAX 99.5
#define SEEDS_TO_JUDGE 3

struct scenario {
        const char *name;
        bool ideal;
        double peak_a; /* of the sun: <= 0.3 C, and what the sensor can read */
        double idle_a;
        double rmse_goal, max_goal; /* 0: none, only reported */
        const char *fault;          /* of the sensors, in the simulator's words */
        double temperature_c;       /* of the room; 0: 20 degC */
};

static const struct scenario scenarios[] = {
        {.name = "ideal sensors, 0.2 A", .ideal = true, .peak_a = 165, .idle_a = 0.2, .rmse_goal = 2, .max_goal = 5},
        {.name = "0.5 A +-1 A, 0.2 A", .peak_a = 95, .idle_a = 0.2, .rmse_goal = 3, .max_goal = 10},
        {.name = "0.5 A +-1 A, 0.6 A", .peak_a = 95, .idle_a = 0.6, .rmse_goal = 3, .max_goal = 10},
        {.name = "I1 reads +1 %", .peak_a = 95, .idle_a = 0.2, .fault = "sensor-gain=1,1"},
        {.name = "I1 reads +0.25 A", .peak_a = 95, .idle_a = 0.2, .fault = "sensor-offset=1,0.25"},
        {.name = "I2 reads +0.25 A", .peak_a = 95, .idle_a = 0.2, .fault = "sensor-offset=2,0.25"},
        {.name = "cold, 5 degC", .peak_a = 95, .idle_a = 0.2, .temperature_c = 5},
};
#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))
#define N_PROMISED 3 /* the first ones */

/* The manual's rule: coulombs, and 100 % when full. */
struct plain {
        double soc, last_a;
        usec_t last;
};

struct score {
        double squares, worst;
        unsigned n, covered;
};

struct run {
        const struct scenario *scenario;
        uint64_t seed;
        int cells;
        FILE *csv;

        struct cabin *cabin;
        struct bms bms;
        struct plain plain;

        unsigned full_syncs, empty_syncs;
        double lowest; /* truth, while measured */
        struct score ours, manuals;
};

static void count_plainly(struct plain *p, usec_t now, const uint8_t bytes[FRAME_SIZE]) {
        struct frame frame;

        if (!frame_decode(bytes, TEMPERATURE_SHEET, &frame))
                abort();
        const double amperes = frame.sum.ma / 1000.0;

        if (p->last != 0)
                p->soc += (p->last_a + amperes) / 2 * (double)(now - p->last) / 36e6 / CABIN_CAPACITY_AH;
        p->soc = fmin(100, fmax(0, p->soc));
        p->last = now;
        p->last_a = amperes;
}

static void take_events(struct run *r) {
        struct event event;

        while (bms_next_event(&r->bms, &event)) {
                if (event.kind == EVENT_FULL_SYNC) {
                        r->full_syncs++;
                        r->plain.soc = 100;
                }
                r->empty_syncs += event.kind == EVENT_EMPTY_SYNC;
        }
}

static void score(struct score *s, double error, bool covered) {
        s->squares += error * error;
        s->worst = fmax(s->worst, fabs(error));
        s->covered += covered;
        s->n++;
}

static void measure(struct run *r) {
        const double truth = cabin_soc(r->cabin);
        const double soc = soc_permyriad(&r->bms.soc).value / 100.0;
        const double band = soc_uncertainty_permyriad(&r->bms.soc).value / 100.0;

        if (r->csv)
                (void)fprintf(r->csv, "%s;%llu;%.4f;%u;%.3f;%.2f;%.2f;%.2f;%d;%.2f;%.2f\n", r->scenario->name,
                              (unsigned long long)r->seed, (double)cabin_now(r->cabin) / (double)USEC_PER_DAY,
                              r->full_syncs, truth, soc, band, r->plain.soc, r->bms.soc.idle_draw_ma,
                              cabin_charge_a(r->cabin), cabin_load_a(r->cabin));
        if (r->full_syncs < FROM_SYNC)
                return;
        r->lowest = fmin(r->lowest, truth);
        score(&r->ours, soc - truth, fabs(soc - truth) <= band);
        score(&r->manuals, r->plain.soc - truth, false);
}

static void start(struct run *r) {
        struct bms_config config = {
                .role = ROLE_GATEWAY,
                .current_check = true,
                .cells = (uint8_t)r->cells,
                .mapped = {true, true},
        };

        r->cabin = cabin_new(&(struct cabin_config){
                .cells = r->cells,
                .ideal = r->scenario->ideal,
                .peak_a = r->scenario->peak_a,
                .idle_a = r->scenario->idle_a,
                .fault = r->scenario->fault,
                .temperature_c = r->scenario->temperature_c,
                .dark_from = DARK_FROM,
                .dark_until = DARK_UNTIL,
                .seed = r->seed,
        });
        settings_init(&config.settings);
        config.settings.values[SETTING_CAPACITY] = some((int32_t)(CABIN_CAPACITY_AH * r->cells * 3.2));
        bms_init(&r->bms, 1, &config);
        r->plain.soc = CABIN_START_SOC;
        r->lowest = 100;
}

static void live(struct run *r) {
        uint8_t bytes[FRAME_SIZE];
        usec_t minute = 0;

        while (cabin_now(r->cabin) < DAYS * USEC_PER_DAY) {
                if (!cabin_step(r->cabin, bms_relay_closed(&r->bms, RELAY_CHARGE),
                                bms_relay_closed(&r->bms, RELAY_LOAD), bytes))
                        continue;
                const usec_t now = cabin_now(r->cabin);

                count_plainly(&r->plain, now, bytes);
                (void)bms_bytes(&r->bms, now, bytes, sizeof(bytes));
                take_events(r);
                if (now / USEC_PER_MINUTE != minute)
                        measure(r);
                minute = now / USEC_PER_MINUTE;
        }
}

static double rmse(const struct score *s) {
        return sqrt(s->squares / s->n);
}

static double coverage(const struct score *s) {
        return 100.0 * s->covered / s->n;
}

static bool report(const struct run *r) {
        const struct scenario *s = r->scenario;
        const bool promised = s->rmse_goal > 0;
        const bool good = !promised || (r->ours.n > 30 * 1440 && rmse(&r->ours) <= s->rmse_goal &&
                                        r->ours.worst <= s->max_goal);

        (void)printf("%-21s %5llu %5u %5u %6.1f %6.1f %8.3f %6.2f %6.2f %6.1f %7.2f %6.2f  %s\n", s->name,
                     (unsigned long long)r->seed, r->full_syncs, r->empty_syncs, r->ours.n / 1440.0, r->lowest,
                     r->bms.soc.idle_draw_ma / 1000.0, rmse(&r->ours), r->ours.worst, coverage(&r->ours),
                     rmse(&r->manuals), r->manuals.worst, !promised ? "-" : good ? "ok" : "MISSED");
        (void)fflush(stdout);
        return good;
}

static void add(struct score *all, const struct score *one) {
        all->n += one->n;
        all->covered += one->covered;
}

/* Too narrow is wrong for any pack. Too wide shows over several seeds only: in most months a sound band holds all the
 * time. */
static bool is_honest(const struct score *s, unsigned seeds) {
        return coverage(s) >= COVERAGE_MIN && (seeds < SEEDS_TO_JUDGE || coverage(s) <= COVERAGE_MAX);
}

/* The band is one rule, and has to be honest for each pack. */
static bool report_coverage(const struct score by_scenario[N_SCENARIOS], unsigned seeds) {
        struct score all = {};
        bool good = true;

        for (size_t i = 0; i < N_SCENARIOS; i++) {
                const struct score *s = &by_scenario[i];
                const bool promised = i < N_PROMISED;

                if (s->n == 0)
                        continue;
                (void)printf("%-21s the band covers the truth %.1f %% of the time  %s\n", scenarios[i].name,
                             coverage(s), !promised ? "-" : is_honest(s, seeds) ? "ok" : "MISSED");
                if (!promised)
                        continue;
                add(&all, s);
                good = good && is_honest(s, seeds);
        }
        if (all.n > 0)
                (void)printf("%-21s the band covers the truth %.1f %% of the time\n", "all", coverage(&all));
        return good;
}

/* The promised packs, unless one or the disturbed ones are asked for. */
static bool is_asked_for(size_t scenario, int pack, bool disturbed) {
        return pack > 0 ? scenario + 1 == (size_t)pack : (scenario >= N_PROMISED) == disturbed;
}

int main(int argc, char *argv[]) {
        static struct run r; /* too large for a stack frame */
        struct score by_scenario[N_SCENARIOS] = {};
        FILE *csv = NULL;
        bool good = true, disturbed = false;
        int cells = 16, pack = 0, i = 1;

        for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
                if (strcmp(argv[i], "--cells") == 0)
                        cells = atoi(argv[i + 1]);
                else if (strcmp(argv[i], "--pack") == 0)
                        pack = atoi(argv[i + 1]);
                else if (strcmp(argv[i], "--disturbed") == 0)
                        disturbed = strcmp(argv[i + 1], "yes") == 0;
                else if (strcmp(argv[i], "--csv") == 0)
                        csv = fopen(argv[i + 1], "w");
        }
        if (i >= argc || cells < CELLS_MIN || cells > CELLS_MAX) {
                (void)fprintf(stderr, "usage: %s [--cells N] [--pack 1..7] [--disturbed yes] [--csv FILE] SEED...\n",
                              argv[0]);
                return 2;
        }

        const unsigned seeds = (unsigned)(argc - i);

        (void)printf("%-21s %5s %5s %5s %6s %6s %8s %6s %6s %6s %7s %6s\n", "pack", "seed", "fulls", "empty", "days",
                     "lowest", "learned", "RMSE", "max", "band", "manual", "max");
        for (; i < argc; i++)
                for (size_t k = 0; k < N_SCENARIOS; k++) {
                        if (!is_asked_for(k, pack, disturbed))
                                continue;
                        r = (struct run){.scenario = &scenarios[k], .cells = cells, .csv = csv};
                        r.seed = strtoull(argv[i], NULL, 10);
                        start(&r);
                        live(&r);
                        cabin_free(r.cabin);
                        good = report(&r) && good;
                        add(&by_scenario[k], &r.ours);
                }
        return report_coverage(by_scenario, seeds) && good ? 0 : 1;
}
