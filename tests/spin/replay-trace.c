/* SPDX-License-Identifier: MIT */

/* The model's word against lib/'s: reads the lines that relays.pml prints when it is walked through at random (TRACE;
 * files as arguments), sends true frames that say the same to one struct bms, and expects the same relays after every
 * second. The levels of the model become voltages and temperatures here; the settings are the model's constants. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bms.h"
#include "compose.h"

#define N 4
#define MV(mv) ((uint16_t)((mv) / 5))
#define DEGC(t) ((uint16_t)((t) + 276))
#define DELAY 4 /* as in relays.pml */

enum { GOOD, E, NOTHING };
enum { NO_COMMAND, SETTINGS, MODE, RECOVER, RELEASE, SET_SOC, _COMMANDS };

struct line {
        int command, event, lo, hi, t, cold, discharging, soc, charge, load;
};

/* What must have happened in the walk, or the agreement says little. */
struct tally {
        unsigned closings[_RELAY_MAX], by_rule[_RULE_MAX], commands[_COMMANDS], cycling, locked, vmin_trips, recovered;
};

struct replay {
        struct bms bms;
        struct settings settings;
        usec_t now;
        int rotation;
        bool was[_RELAY_MAX];
        struct tally tally;
};

/* V-min 2800 + 200, V-bypass 3500 - 50, V-max 3650 - 50 mV; T-min 0, T-max 55, 2 degC of hysteresis. */
static const int low_mv[] = {2700, 2900, 3400, 3550};
static const int high_mv[] = {3400, 3470, 3550, 3620, 3660};
static const int hot_degc[] = {25, 54, 55, 57}, cold_degc[] = {25, 1, 0, -2};
static const int32_t soc_permyriads[] = {1000, 5000, 9000, 10000};

static void init(struct replay *r) {
        struct bms_config config = {.current_check = true, .cells = N, .mapped = {true, true}};
        char error[200];

        memset(r, 0, sizeof(*r));
        r->now = USEC_PER_DAY;
        settings_init(&r->settings);
        r->settings.values[SETTING_CAPACITY] = some(2000);
        r->settings.values[SETTING_CHARGE_RESTART_DELAY] = some(DELAY);
        r->settings.values[SETTING_DISCHARGE_RESTART_DELAY] = some(DELAY);
        r->settings.values[SETTING_MODE] = some(MODE_NORMAL);
        r->settings.values[SETTING_WIRING] = some(WIRING_SERIES);
        r->settings.values[SETTING_TMAX_BYPASS] = some(550); /* P7 has no part in the model */
        config.settings = r->settings;
        bms_init(&r->bms, r->now, &config);
        if (bms_soc_set(&r->bms, r->now, soc_permyriads[1], error, sizeof(error)) < 0)
                abort();
}

static void tick_until(struct replay *r, usec_t until) {
        for (usec_t due; (due = bms_deadline(&r->bms, r->now)) < until;) {
                r->now = due > r->now ? due : r->now + 1;
                bms_tick(&r->bms, r->now);
        }
        r->now = until;
}

static void obey(struct replay *r, const struct line *line) {
        char error[200];

        switch (line->command) {
        case MODE:
                r->settings.values[SETTING_MODE] =
                        some(settings_get(&r->settings, SETTING_MODE) == MODE_NORMAL ? MODE_CRITICAL : MODE_NORMAL);
                /* fall through */
        case SETTINGS:
                if (bms_apply_settings(&r->bms, r->now, &r->settings, error, sizeof(error)) < 0)
                        abort();
                break;
        case RECOVER: /* may be refused, as in the model */
                (void)bms_recover(&r->bms, r->now, 1, error, sizeof(error));
                break;
        case RELEASE:
                for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                        (void)bms_release(&r->bms, r->now, id, error, sizeof(error));
                break;
        case SET_SOC:
                if (bms_soc_set(&r->bms, r->now, soc_permyriads[line->soc], error, sizeof(error)) < 0)
                        abort();
                break;
        default:
                abort();
        }
        bms_tick(&r->bms, r->now);
}

/* Byte 24 goes through numbers above N, which bring no detail (B4): only what the model knows is said. */
static void send(struct replay *r, const struct line *line) {
        struct compose_cell cells[N];
        uint8_t bytes[COMPOSE_SIZE];

        for (int i = 0; i < N; i++)
                cells[i] = (struct compose_cell){
                        .voltage_raw = MV(i == 2 ? high_mv[line->hi] : low_mv[line->lo]),
                        .temperature_raw = DEGC((line->cold ? cold_degc : hot_degc)[line->t]),
                };
        r->rotation = r->rotation % 16 + 1;
        /* 3.25 A: more than C/50, less than C/20 of 156.25 Ah. */
        compose_frame(bytes, cells, N, N + r->rotation, 0, line->discharging ? 26 : 0);
        if (line->event == E) {
                bytes[30] |= FRAME_STATUS_COMMUNICATION_ERROR;
                compose_seal(bytes);
        }
        if (bms_bytes(&r->bms, r->now, bytes, sizeof(bytes)) != 1)
                abort();
}

static void count(struct replay *r, int command) {
        struct tally *t = &r->tally;

        t->commands[command]++;
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                const struct relay *relay = &r->bms.relays.relay[id];

                if (relay->closed != r->was[id])
                        t->by_rule[relay->reason.rule]++;
                t->closings[id] += relay->closed && !r->was[id];
                r->was[id] = relay->closed;
                t->cycling += relay->cycling;
                t->locked += relay->locked;
        }
        t->vmin_trips += r->bms.relays.relay[RELAY_LOAD].vmin_trips >= RELAY_VMIN_TRIPS;
        t->recovered += r->bms.relays.relay[RELAY_LOAD].by_recover;
}

static bool step(struct replay *r, const struct line *line) {
        if (line->command != NO_COMMAND) {
                obey(r, line);
        } else {
                tick_until(r, r->now + USEC_PER_SEC);
                if (line->event == NOTHING)
                        bms_tick(&r->bms, r->now);
                else
                        send(r, line);
        }
        count(r, line->command);
        return bms_relay_closed(&r->bms, RELAY_CHARGE) == line->charge &&
               bms_relay_closed(&r->bms, RELAY_LOAD) == line->load;
}

static bool eventful(const struct tally *t) {
        static const enum rule rules[] = {
                RULE_V_MAX, RULE_V_MIN, RULE_FULL, RULE_T_MIN_CHARGE, RULE_T_MIN_DISCHARGE, RULE_T_MAX,
                RULE_LINK, RULE_ERROR, RULE_UNCONFIRMED, RULE_RECOVER, RULE_CLEAR,
        };
        bool all = t->closings[RELAY_CHARGE] >= 20 && t->closings[RELAY_LOAD] >= 20 && t->cycling > 0 &&
                   t->locked > 0 && t->vmin_trips > 0 && t->recovered > 0;

        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
                if (t->by_rule[rules[i]] == 0) {
                        printf("nothing ever happened by rule %d\n", rules[i]);
                        all = false;
                }
        for (int i = 0; i < _COMMANDS; i++)
                all = all && t->commands[i] > 0;
        return all;
}

/* One walk, from a fresh start. The tally goes on. */
static int walk(struct replay *r, const char *path, unsigned *steps) {
        struct tally tally = r->tally;
        FILE *f = fopen(path, "r");
        unsigned number = 0;
        struct line line;
        char text[200];
        int status = 0;

        if (!f) {
                perror(path);
                return 1;
        }
        init(r);
        r->tally = tally;
        while (status == 0 && fgets(text, sizeof(text), f)) {
                if (sscanf(text, " STEP %d %d %d %d %d %d %d %d %d %d", &line.command, &line.event, &line.lo, &line.hi,
                           &line.t, &line.cold, &line.discharging, &line.soc, &line.charge, &line.load) != 10)
                        continue;
                number++;
                if (step(r, &line))
                        continue;
                printf("%s, step %u: %s", path, number, text);
                printf("the model says charge %d load %d; lib/ says charge %d load %d\n", line.charge, line.load,
                       bms_relay_closed(&r->bms, RELAY_CHARGE), bms_relay_closed(&r->bms, RELAY_LOAD));
                status = 1;
        }
        (void)fclose(f);
        *steps += number;
        return status;
}

int main(int argc, char **argv) {
        static struct replay r;
        unsigned steps = 0;

        for (int i = 1; i < argc; i++)
                if (walk(&r, argv[i], &steps) != 0)
                        return 1;
        printf("%u steps agree: charge closed %u times, load %u; held by cycling for %u steps, locked %u, by V-min "
               "trips %u, recovering %u\n",
               steps, r.tally.closings[RELAY_CHARGE], r.tally.closings[RELAY_LOAD], r.tally.cycling, r.tally.locked,
               r.tally.vmin_trips, r.tally.recovered);
        return steps > 1000 && eventful(&r.tally) ? 0 : 1;
}
