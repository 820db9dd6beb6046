/* SPDX-License-Identifier: MIT */
#include "profile.h"

#include <math.h>

#include "rng.h"

#define SUNRISE 6.0
#define SUNSET 18.0

static double hour_of_day(const struct profile *p, usec_t at) {
        return fmod(p->start_hour + (double)at / (double)USEC_PER_HOUR, 24.0);
}

/* 0..1, the same for a whole slot of the day, whatever the step: no memory is needed. */
static double chance(const struct profile *p, usec_t at, unsigned slot_minutes, uint64_t salt) {
        struct rng rng;

        rng_init(&rng, p->seed + at / (slot_minutes * USEC_PER_MINUTE), salt);
        return (rng_even(&rng) + 1) / 2;
}

double profile_charge_a(const struct profile *p, usec_t at) {
        double hour, height, cloud;

        if (p->kind == PROFILE_CONSTANT)
                return p->charge_a;

        hour = hour_of_day(p, at);
        if (hour <= SUNRISE || hour >= SUNSET)
                return 0;
        height = sin((hour - SUNRISE) / (SUNSET - SUNRISE) * 3.14159265358979);
        cloud = chance(p, at, 5, 11) < 0.2 ? 0.4 : 1.0;
        return p->charge_a * height * height * cloud;
}

double profile_load_a(const struct profile *p, usec_t at) {
        double hour, share = 0.15; /* refrigerator, standby */

        if (p->kind == PROFILE_CONSTANT)
                return p->load_a;

        hour = hour_of_day(p, at);
        if (hour >= 6.5 && hour < 9)
                share += 0.25;
        if (hour >= 17 && hour < 23)
                share += 0.40;
        if (hour >= 6.5 && hour < 23 && chance(p, at, 3, 12) < 0.08)
                share = 1.0; /* the kettle */
        return p->load_a * share;
}
