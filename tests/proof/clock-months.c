/* SPDX-License-Identifier: MIT */

/* A month of a clock that is turned at random: no relay moves, the counters are exact, and "today" ends at each
 * midnight.
 *
 *   clock-months START DAYS SEED honest|lying SYNCHRONISED_AFTER [restarts]
 *
 * In the time zone of $TZ, from START (s since 1970 UTC) on, second by second: the real struct bms with a message
 * each second, 500 W into the pack, and the clock and the day as the manager asks them. At random the wall clock is
 * turned by -10 years, +10 years, +-1 h or +-1 s, and later turned right. honest: the kernel says at once that it is
 * not synchronised, and a client has it back some time later. lying: the kernel says that it is synchronised all the
 * while, for less than an hour and not from the start on, for nobody could tell that. With SYNCHRONISED_AFTER
 * seconds the clock is synchronised for the first time; never with -1. restarts: the daemon ends and starts again,
 * sometimes the machine too, whose clock is then where it stood until it is synchronised.
 *
 * Prints what happened, with the true time of it; clock-months.py judges. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bms.h"
#include "clock.h"
#include "day.h"
#include "wall-clock.h"

#define CELLS 16
#define CELL_MV 3125
#define CURRENT_MA 10000
#define HOUR 3600
#define YEAR (365 * INT64_C(86400) + 2 * 86400)

struct month {
        uint64_t seed;
        bool honest, restarts;
        int64_t t, synchronised_at;      /* true time; INT64_MAX = never */
        int64_t turned, right_at;        /* wrong by this, until then */
        bool synchronised;
        usec_t now;                      /* clock_now() */
        struct bms bms;
        struct wall_clock wall_clock;
        struct day day;
        int detail;
        bool known;
        struct energy_sum kept_sums[_ENERGY_MAX];
        struct maybe64 kept_day;
};

static uint64_t dice(struct month *m, uint64_t n) { /* splitmix64 */
        uint64_t z = m->seed += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return (z ^ z >> 31) % n;
}

/* ---- the clock -------------------------------------------------------------------------------------------------- */

static void turn_clock(struct month *m) {
        static const int64_t turns[] = {-10 * YEAR, 10 * YEAR, -HOUR, HOUR, -1, 1};

        if (m->turned == 0 && (m->honest || m->known) && dice(m, 15000) == 0) {
                m->turned = turns[dice(m, sizeof(turns) / sizeof(turns[0]))];
                m->right_at = m->t + 1 + (int64_t)dice(m, m->honest ? 40000 : HOUR - 1);
        } else if (m->turned != 0 && m->t >= m->right_at)
                m->turned = 0;
        if (m->t < m->synchronised_at)
                m->synchronised = false;
        else if (!m->honest || m->turned == 0)
                m->synchronised = true;
        else
                m->synchronised = false;
}

/* ---- the daemon ------------------------------------------------------------------------------------------------- */

static void start(struct month *m) {
        struct bms_config config = {
                .current_check = true,
                .cells = CELLS,
                .blind_spot_ma = 1000,
                .mapped = {true, true},
        };

        settings_init(&config.settings);
        bms_init(&m->bms, m->now, &config);
        energy_restore(&m->bms.energy, m->kept_sums);
        m->wall_clock = (struct wall_clock){.zero_usec = none64()};
        m->day = (struct day){.known = false};
        m->known = false;
        if (m->kept_day.known)
                day_restore(&m->day, m->kept_day.value);
}

static void hear(struct month *m) {
        struct frame f = {
                .pack_mv = CELLS * CELL_MV,
                .in = {.known = true, .ma = CURRENT_MA},
                .out = {.known = true, .ma = 0},
                .sum = {.known = true, .ma = CURRENT_MA},
                .lowest_mv = CELL_MV, .highest_mv = CELL_MV, .detail_mv = CELL_MV,
                .lowest_decic = 200, .highest_decic = 200, .detail_decic = 200,
                .lowest_voltage_cell = 1, .highest_voltage_cell = 1,
                .lowest_temperature_cell = 1, .highest_temperature_cell = 1,
                .lowest_temperature_known = true, .highest_temperature_known = true, .detail_temperature_known = true,
                .count = CELLS,
                .v_bypass_mv = 3500,
        };
        uint8_t bytes[FRAME_SIZE];

        m->detail = m->detail % CELLS + 1;
        f.detail_cell = (uint8_t)m->detail;
        frame_encode(&f, TEMPERATURE_SHEET, bytes);
        (void)bms_bytes(&m->bms, m->now, bytes, sizeof(bytes));
}

static void tick(struct month *m) {
        struct maybe64 wall;
        struct day_passed passed;
        struct event event;

        bms_tick(&m->bms, m->now);
        while (bms_next_event(&m->bms, &event))
                if (event.kind == EVENT_RELAY_OPENED || event.kind == EVENT_RELAY_CLOSED)
                        (void)printf("%s %" PRId64 " %d\n",
                                event.kind == EVENT_RELAY_OPENED ? "opened" : "closed", m->t,
                                     event.subject);
        wall_clock_take(&m->wall_clock, m->now, (m->t + m->turned) * (int64_t)USEC_PER_SEC, m->synchronised);
        wall = wall_clock_at(&m->wall_clock, m->now);
        if (wall.known && !m->known) {
                m->known = true;
                (void)printf("known %" PRId64 "\n", m->t);
        }
        if (!wall.known || !day_passed_now(&m->day, m->now, wall.value / (int64_t)USEC_PER_SEC, &passed))
                return;
        (void)printf("end %" PRId64 " %" PRId64 " %" PRIu64 " %" PRId64 "\n", m->t, passed.day,
                     (uint64_t)passed.length_usec, energy_today_mwh(&m->bms.energy, ENERGY_COLLECTED).value);
        energy_new_day(&m->bms.energy);
}

/* Off for some seconds, and up to ten days; the machine too, whose clock then stands where it stood. */
static void restart(struct month *m) {
        const int64_t off = 5 + (int64_t)dice(m, dice(m, 10) == 0 ? 10 * 86400 : 30000);
        const bool machine = dice(m, 2);

        memcpy(m->kept_sums, m->bms.energy.sums, sizeof(m->kept_sums));
        m->kept_day = day_today(&m->day);
        (void)printf("down %" PRId64 "\n", m->t);
        m->t += off;
        m->now += (usec_t)off * USEC_PER_SEC;
        if (!m->honest)
                m->turned = 0; /* nobody can tell a clock that lies from the start */
        else if (machine) {
                m->now = CLOCK_EPOCH_USEC + 20 * USEC_PER_SEC;
                m->turned = -off;
                m->right_at = m->t + (int64_t)dice(m, 5000);
                if (m->synchronised_at <= m->t)
                        m->synchronised_at = m->right_at;
        }
        (void)printf("up %" PRId64 "\n", m->t);
        start(m);
}

static void run(struct month *m, int64_t until) {
        start(m);
        for (; m->t < until; m->t++, m->now += USEC_PER_SEC) {
                turn_clock(m);
                hear(m);
                tick(m);
                if (m->restarts && dice(m, 100000) == 0)
                        restart(m);
        }
        (void)printf("over %" PRId64 " %" PRId64 "\n", m->t - 1, energy_total_mwh(&m->bms.energy,
                ENERGY_COLLECTED).value);
}

int main(int argc, char **argv) {
        static struct month m;
        int64_t after;

        if (argc < 6) {
                (void)fprintf(stderr, "clock-months START DAYS SEED honest|lying SYNCHRONISED_AFTER [restarts]\n");
                return 2;
        }
        tzset();
        m.t = strtoll(argv[1], NULL, 10);
        m.seed = strtoull(argv[3], NULL, 10);
        m.honest = strcmp(argv[4], "honest") == 0;
        after = strtoll(argv[5], NULL, 10);
        m.synchronised_at = after < 0 ? INT64_MAX : m.t + after;
        m.restarts = argc > 6;
        m.now = CLOCK_EPOCH_USEC + 20 * USEC_PER_SEC;
        run(&m, m.t + strtoll(argv[2], NULL, 10) * 86400);
        return 0;
}
