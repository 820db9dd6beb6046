/* SPDX-License-Identifier: MIT */
#pragma once

/* What the charger would give and the consumers would take, were both relays closed. */

#include <stdint.h>

#include "units.h"

enum profile_kind {
        PROFILE_CONSTANT,
        PROFILE_DAY,  /* sun from 6 to 18 h, a household with a morning, an evening and a kettle */
        PROFILE_YEAR, /* the sun's height by date and latitude, spells of cloudy days; a household that needs more in
                         winter */
};

struct profile {
        enum profile_kind kind;
        double charge_a, load_a; /* constant: the currents; else their peaks */
        double start_hour;       /* time of day at the start */
        uint64_t seed;           /* clouds and kettles */
        int start_day;           /* of the year, 0 = 1st January */
        double latitude;         /* degrees, north is positive */
        int dark_from, dark_days; /* next to no sun on these days, counted from the start */
};

/* Amperes at a time since the start; neither is ever negative. */
double profile_charge_a(const struct profile *p, usec_t at);
double profile_load_a(const struct profile *p, usec_t at);
