/* SPDX-License-Identifier: MIT */
#pragma once

/* What the charger would give and the consumers would take, were both relays closed. */

#include <stdint.h>

#include "units.h"

enum profile_kind {
        PROFILE_CONSTANT,
        PROFILE_DAY, /* sun from 6 to 18 h, a household with a morning, an evening and a kettle */
};

struct profile {
        enum profile_kind kind;
        double charge_a, load_a; /* constant: the currents; day: their peaks */
        double start_hour;       /* time of day at the start */
        uint64_t seed;           /* clouds and kettles */
};

/* Amperes at a time since the start; neither is ever negative. */
double profile_charge_a(const struct profile *p, usec_t at);
double profile_load_a(const struct profile *p, usec_t at);
