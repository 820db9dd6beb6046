/* SPDX-License-Identifier: MIT */
#include "cabin.h"

#include <math.h>
#include <stdlib.h>

#include "simulation.h"

#define APPLIANCES 12
#define SENSOR_100A 2
#define DARK_PEAK_A 95.0 /* a dark day is as dark whatever the roof holds */

struct appliance {
        double from, until, amperes; /* hours of the day */
};

struct cabin {
        struct cabin_config config;
        struct simulation pack;
        int day;
        double carried_in_a, carried_out_a;
        double sun; /* of this day, 0..1 */
        struct appliance appliances[APPLIANCES];
};

static double chance(struct rng *rng, double from, double until) {
        return from + (until - from) * (rng_even(rng) + 1) / 2;
}

/* Breakfast, dinner, lamps and things that are switched on when somebody feels like it. */
static void new_day(struct cabin *c, int day) {
        const bool dark = day >= c->config.dark_from && day < c->config.dark_until;
        struct rng rng;

        rng_init(&rng, c->config.seed + (uint64_t)day * 1000, 77);
        c->day = day;
        c->sun = dark ? chance(&rng, 0.04, 0.12) : chance(&rng, 0, 1) < 0.25 ? chance(&rng, 0.15, 0.4)
                                                                             : chance(&rng, 0.6, 1.0);
        c->sun *= dark ? DARK_PEAK_A / c->config.peak_a : 1; /* the same darkness whatever the roof holds */
        c->appliances[0] = (struct appliance){6.5, chance(&rng, 7, 8.5), chance(&rng, 4, 10)};
        c->appliances[1] = (struct appliance){chance(&rng, 17, 19), chance(&rng, 21, 23.5), chance(&rng, 3, 9)};
        for (int i = 2; i < APPLIANCES; i++) {
                const double from = chance(&rng, 7, 22);

                c->appliances[i] = (struct appliance){from, from + chance(&rng, 0.02, 0.3), chance(&rng, 5, 45)};
                if (dark && i % 2 != 0)
                        c->appliances[i].amperes = 0; /* one saves */
        }
}

static double sun_a(const struct cabin *c, double hour, double minute) {
        struct rng rng;
        double height, cloud;

        if (hour <= 6 || hour >= 18)
                return 0;
        rng_init(&rng, c->config.seed + (uint64_t)(minute / 5), 78);
        cloud = chance(&rng, 0, 1) < 0.2 ? 0.5 : 1;
        height = sin((hour - 6) / 12 * 3.14159265358979);
        return c->config.peak_a * c->sun * height * cloud;
}

static void set_profile(struct cabin *c) {
        const double minutes = (double)c->pack.now / (double)USEC_PER_MINUTE;
        const int day = (int)(minutes / 1440);
        const double hour = minutes / 60 - day * 24;
        double load = c->config.idle_a;

        if (day != c->day)
                new_day(c, day);
        for (int i = 0; i < APPLIANCES; i++)
                if (hour >= c->appliances[i].from && hour < c->appliances[i].until)
                        load += c->appliances[i].amperes;
        c->pack.config.profile.load_a = load;
        c->pack.config.profile.charge_a = sun_a(c, hour, minutes);
}

/* In the message's steps; what rounding leaves goes into the next message, so that the sum stays true: a steady 0.2 A
 * would read 0.25 A for ever. */
static int32_t finest_ma(double amperes, double *carried_a) {
        const double whole = round((amperes + *carried_a) * 1000 / FRAME_CURRENT_STEP_MA);

        *carried_a += amperes - whole * FRAME_CURRENT_STEP_MA / 1000;
        return (int32_t)whole * FRAME_CURRENT_STEP_MA;
}

/* As if the sensors were ideal: the truth in the finest steps the message has, and no word of a sensor's type. */
static void make_ideal(struct cabin *c, uint8_t bytes[FRAME_SIZE]) {
        struct frame frame;

        if (!frame_decode(bytes, TEMPERATURE_SHEET, &frame))
                abort();
        frame.in.ma = finest_ma(c->pack.charge_a, &c->carried_in_a);
        frame.out.ma = finest_ma(c->pack.load_a, &c->carried_out_a);
        frame.sum.ma = frame.in.ma - frame.out.ma;
        if (frame_key(&frame) == FRAME_KEY_SENSOR_TYPE)
                frame.key_byte = 0;
        frame_encode(&frame, TEMPERATURE_SHEET, bytes);
}

struct cabin *cabin_new(const struct cabin_config *config) {
        struct cabin *c = calloc(1, sizeof(*c));
        struct simulation_config s;
        char answer[200];

        if (!c)
                abort();
        simulation_config_init(&s);
        s.cells = config->cells;
        s.capacity_ah = CABIN_CAPACITY_AH;
        s.seed = config->seed;
        s.sensor_type = SENSOR_100A;
        s.profile.kind = PROFILE_CONSTANT;
        s.charger_cell_v = 3.55;
        s.model = (struct cell_model){.hysteresis = true, .polarisation = true, .temperature = true};
        s.self_discharge_percent = 2;
        for (int i = 1; i <= config->cells; i++)
                s.own[i].soc = CABIN_START_SOC; /* a balanced pack, its cells' capacities and resistances apart */
        if (config->temperature_c > 0)
                s.temperature_c = config->temperature_c;
        simulation_init(&c->pack, &s);
        if (config->fault && simulation_fault(&c->pack, config->fault, answer, sizeof(answer)) < 0)
                abort();
        c->config = *config;
        c->day = -1;
        return c;
}

void cabin_free(struct cabin *c) {
        free(c);
}

bool cabin_step(struct cabin *c, bool charge_closed, bool load_closed, uint8_t ret_bytes[FRAME_SIZE]) {
        uint8_t wire[FAULTS_WIRE_MAX];

        set_profile(c);
        const size_t size = simulation_step(&c->pack, charge_closed, load_closed, wire);

        if (size == 0)
                return false;
        if (size != FRAME_SIZE)
                abort();
        if (c->config.ideal)
                make_ideal(c, wire);
        for (size_t i = 0; i < FRAME_SIZE; i++)
                ret_bytes[i] = wire[i];
        return true;
}

usec_t cabin_now(const struct cabin *c) {
        return c->pack.now;
}

double cabin_soc(const struct cabin *c) {
        return fmin(100, fmax(0, simulation_soc(&c->pack)));
}

double cabin_charge_a(const struct cabin *c) {
        return c->pack.charge_a;
}

double cabin_load_a(const struct cabin *c) {
        return c->pack.load_a;
}
