/* SPDX-License-Identifier: MIT */
#pragma once

/* The frame that the IN board starts each cycle (R9 of docs/chain.md): it is cell 1, says what it knows of
 * the pack, asks one cell after the other for its details, and tells one key/value pair.
 *
 * Pure. Knows no time, no register, and not how its values were found. */

#include <stdbool.h>
#include <stdint.h>

#include "current.h"
#include "frame.h"
#include "measure.h"

#define IN_FRAME_FORMAT_VERSION 1 /* key 128 */
#define IN_FRAME_FIRMWARE_MAJOR 1 /* key 133 */
#define IN_FRAME_FIRMWARE_MINOR 0 /* key 134 */

/* Key 135. */
enum {
        IN_FRAME_FLAG_DEFAULTS =
                1 << 0, /* the EEPROM holds no factory settings or no calibration: defaults are used */
        IN_FRAME_FLAG_ZEROING = 1 << 1,
        IN_FRAME_FLAG_ZERO_REFUSED = 1 << 2,
        IN_FRAME_FLAG_SATURATED_1 = 1 << 3,
        IN_FRAME_FLAG_SATURATED_2 = 1 << 4,
        IN_FRAME_FLAG_RETURN_LOST = 1 << 5,
};

/* What stands in a frame: all of the moment in which it starts. */
struct in_frame_values {
        struct measure_reading reading;
        bool bypass_faulty;
        struct current_value in, out, sum;
        uint16_t v_bypass; /* FRAME_VOLTAGE_STEP_MV, 0 unknown */
        bool switches_known;
        uint8_t switches;         /* key 130 */
        uint8_t sensor_type;      /* key 131 */
        uint8_t configured_cells; /* key 132 */
        uint8_t flags;            /* key 135 */
};

struct in_frame {
        uint8_t detail; /* of the last frame */
        uint8_t pair;   /* of the next one, an index */
};

/* As after a reset. */
void in_frame_init(struct in_frame *f);

/* The next frame; cells: how many the rotation goes through, 2..255. */
void in_frame_next(struct in_frame *f, const struct in_frame_values *values, uint8_t cells,
                   uint8_t ret[FRAME_SIZE]);

/* What the extended output carries while no frame returns: own, with count 0, no detail, and the
 * communication bit. */
void in_frame_alone(const uint8_t own[FRAME_SIZE], uint8_t ret[FRAME_SIZE]);
