/* SPDX-License-Identifier: MIT */
#pragma once

/* The IN board's current sensors: resolution and blind spot by type (manual, "Current measurement
 * specifications"; 400 A: chain.md). */

#include <stdbool.h>

#include "frame.h"

#define SENSOR_TYPES 8

/* Type by its rating in A (25, 50, 100, 250, 400, 500, 1000, 2000) as pair 131 numbers them, or -EINVAL. */
int sensor_type_from_rating(int rating_a);

int sensor_rating_a(int type);
int sensor_resolution_ma(int type);
int sensor_blind_spot_ma(int type); /* half width: readings up to and including it are sent as 0 */

/* What a sensor says for a true current. *ret_saturated: the current lies beyond its rating, which is sent.
 */
struct frame_current sensor_reading(int type, bool blind_spot, double current_a, bool *ret_saturated);
