/* SPDX-License-Identifier: MIT */
#include "profile.h"

#include <math.h>
#include <stdbool.h>

#include "rng.h"

#define SUNRISE 6.0
#define SUNSET 18.0
#define PI 3.14159265358979
#define DAYS_A_YEAR 365

enum { SALT_CLOUD = 11, SALT_KETTLE = 12, SALT_WEATHER = 13, SALT_DARK = 14 };

static double hours(const struct profile *p, usec_t at) {
        return p->start_hour + (double)at / (double)USEC_PER_HOUR;
}

static double hour_of_day(const struct profile *p, usec_t at) {
        return fmod(hours(p, at), 24.0);
}

/* Calendar days since the start. */
static int day_number(const struct profile *p, usec_t at) {
        return (int)(hours(p, at) / 24);
}

/* 0..1, the same for a whole slot of the day, whatever the step: no memory is needed. */
static double chance(const struct profile *p, usec_t at, unsigned slot_minutes, uint64_t salt) {
        struct rng rng;

        rng_init(&rng, p->seed + at / (slot_minutes * USEC_PER_MINUTE), salt);
        return (rng_even(&rng) + 1) / 2;
}

/* The same for a whole day. */
static double fate(const struct profile *p, int day, uint64_t salt) {
        struct rng rng;

        rng_init(&rng, p->seed, salt + 1000 * (uint64_t)day);
        return (rng_even(&rng) + 1) / 2;
}

static bool is_dark(const struct profile *p, int day) {
        return day >= p->dark_from && day < p->dark_from + p->dark_days;
}

/* A dark day gives 2 to 8 % of its sun. */
static double darkness(const struct profile *p, int day) {
        return is_dark(p, day) ? 0.02 + 0.06 * fate(p, day, SALT_DARK) : 1;
}

/* Bad weather stays: a day is like the two before it. 5 to 35 % of the sun on about three days in ten. */
static double weather(const struct profile *p, int day) {
        double mood = 0;

        for (int before = 0; before < 3; before++)
                mood += fate(p, day + 2 - before, SALT_WEATHER) / 3;
        return mood < 0.41 ? 0.05 + 0.3 * mood / 0.41 : 0.55 + 0.45 * (mood - 0.41) / 0.59;
}

/* Sine of the sun's height above the horizon; the declination by Cooper (Solar Energy 12 (1969) 333..346). */
static double sun_height(const struct profile *p, int day, double hour) {
        double date = (p->start_day + day) % DAYS_A_YEAR + 1;
        double declination = 23.45 * sin(2 * PI * (284 + date) / DAYS_A_YEAR) * PI / 180;
        double latitude = p->latitude * PI / 180;

        return sin(latitude) * sin(declination) + cos(latitude) * cos(declination) * cos((hour - 12) / 12 * PI);
}

/* What falls on level ground under a clear sky, of 1098 W/m2 (Haurwitz, Journal of Meteorology 2 (1945) 154..166). */
static double year_sun(const struct profile *p, usec_t at) {
        int day = day_number(p, at);
        double height = sun_height(p, day, hour_of_day(p, at));

        if (height <= 0)
                return 0;
        return height * exp(-0.057 / height) * weather(p, day);
}

static double day_sun(const struct profile *p, usec_t at) {
        double hour = hour_of_day(p, at), height;

        if (hour <= SUNRISE || hour >= SUNSET)
                return 0;
        height = sin((hour - SUNRISE) / (SUNSET - SUNRISE) * PI);
        return height * height;
}

double profile_charge_a(const struct profile *p, usec_t at) {
        double sun, cloud;

        if (p->kind == PROFILE_CONSTANT)
                return p->charge_a;
        sun = p->kind == PROFILE_YEAR ? year_sun(p, at) : day_sun(p, at);
        if (sun <= 0)
                return 0;
        cloud = chance(p, at, 5, SALT_CLOUD) < 0.2 ? 0.4 : 1.0;
        return p->charge_a * sun * cloud * darkness(p, day_number(p, at));
}

/* 0.7 at midsummer to 1 at midwinter: light, and what is done indoors. */
static double season(const struct profile *p, usec_t at) {
        double date = (p->start_day + day_number(p, at)) % DAYS_A_YEAR;
        double winter = cos(2 * PI * (date + 10) / DAYS_A_YEAR); /* 1 on 22nd December */

        return p->kind == PROFILE_YEAR ? 0.85 + 0.15 * (p->latitude < 0 ? -winter : winter) : 1;
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
        if (hour >= 6.5 && hour < 23 && chance(p, at, 3, SALT_KETTLE) < 0.08)
                share = 1.0; /* the kettle */
        return p->load_a * share * season(p, at);
}
