/* SPDX-License-Identifier: MIT */
#include "sensor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static const struct {
        int rating_a, resolution_ma, blind_spot_ma;
} types[SENSOR_TYPES] = {
        {25, 125, 250},    {50, 250, 500},    {100, 500, 1000},    {250, 1250, 2500},
        {400, 2000, 4000}, {500, 2500, 5000}, {1000, 5000, 10000}, {2000, 10000, 20000},
};

int sensor_type_from_rating(int rating_a) {
        for (int i = 0; i < SENSOR_TYPES; i++)
                if (types[i].rating_a == rating_a)
                        return i;
        return -EINVAL;
}

int sensor_rating_a(int type) {
        return types[type].rating_a;
}

int sensor_resolution_ma(int type) {
        return types[type].resolution_ma;
}

int sensor_blind_spot_ma(int type) {
        return types[type].blind_spot_ma;
}

struct frame_current sensor_reading(int type, bool blind_spot, double current_a, bool *ret_saturated) {
        double rating_a = types[type].rating_a;
        int32_t ma;

        *ret_saturated = fabs(current_a) > rating_a;
        if (*ret_saturated)
                current_a = current_a > 0 ? rating_a : -rating_a;

        ma = (int32_t)lround(current_a * 1000 / types[type].resolution_ma) * types[type].resolution_ma;
        if (blind_spot && abs(ma) <= types[type].blind_spot_ma)
                ma = 0;
        return (struct frame_current){.known = true, .ma = ma};
}
