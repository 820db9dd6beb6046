/* SPDX-License-Identifier: MIT */
#pragma once

/* An off-grid cabin on the simulated pack: sun, a household, cells with hysteresis, polarisation, warmth and
 * self-discharge, sensors. Hides the simulator, so that what is measured cannot look at the truth by accident. */

#include "frame.h"
#include "units.h"

#define CABIN_CAPACITY_AH 560
#define CABIN_START_SOC 70

struct cabin_config {
        int cells;
        bool ideal;           /* sensors: the truth in the message's 125 mA steps, no blind spot; else the 100 A type */
        double peak_a;        /* what the sun gives at most */
        double idle_a;        /* drawn day and night */
        const char *fault;    /* of the sensors, from the start on, as smartbms-sim takes it; NULL = none */
        double temperature_c; /* of the room; 0: as the simulator has it, 20 degC */
        int dark_from, dark_until; /* days on which there is next to no sun */
        uint64_t seed;
};

struct cabin;

struct cabin *cabin_new(const struct cabin_config *config);
void cabin_free(struct cabin *c);

/* Half a message cycle with the contacts in these positions. True if a frame was sent, at cabin_now(). */
bool cabin_step(struct cabin *c, bool charge_closed, bool load_closed, uint8_t ret_bytes[FRAME_SIZE]);

usec_t cabin_now(const struct cabin *c);
double cabin_soc(const struct cabin *c); /* the truth, 0..100 % */
double cabin_charge_a(const struct cabin *c);
double cabin_load_a(const struct cabin *c);
