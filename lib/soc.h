/* SPDX-License-Identifier: MIT */
#pragma once

/* State of charge by coulomb counting, with its uncertainty (rules S1..S8). Told of full and empty syncs by the
 * caller, who has them from the same frames that open the relays (S2, S3). Knows no limits and no relays. */

#include "frame.h"
#include "units.h"

struct soc_config {
        struct maybe capacity_wh;
        int32_t cell_nominal_mv;
        int32_t efficiency_percent;
        int32_t blind_spot_ma; /* half width, S5: pair 131, else config, else 1000 */
        int32_t sensors;       /* SENSORS_AUTO, SENSORS_1, SENSORS_2 */
        uint8_t cells;         /* N or the live count; 0 = not known: capacity in Ah is unknown then */
};

enum soc_sensor_state {
        SOC_SENSOR_OK,
        SOC_SENSOR_LOST,     /* I-sum X, or a lost second sensor, for 5 s */
        SOC_SENSOR_REVERSED, /* S7 */
        _SOC_SENSOR_MAX,
};

struct soc {
        struct soc_config config;
        int64_t capacity_mams; /* mA * ms; 0 = unknown */

        bool known;
        int64_t charge_mams; /* 0..capacity_mams */
        uint16_t remainder_usec;
        int64_t efficiency_remainder;

        bool calibrated;               /* S4 */
        int64_t uncertainty_mams;      /* one-sided */
        int64_t sync_uncertainty_mams; /* what it was at the last sync (P3 uses the growth since) */
        usec_t last_sync;

        struct maybe current_ma; /* of the newest frame */
        usec_t last;             /* time of the newest frame; 0 = none */

        usec_t rest_since; /* S4: |I| < C/50 since; 0 = not resting */
        bool had_second_sensor;
        unsigned second_sensor_run;
        usec_t sensor_lost_since;
        enum soc_sensor_state sensor;

        struct maybe step_voltage_mv, step_current_ma; /* S7: the frame before */
        unsigned steps, steps_reversed;
        usec_t full_while_discharging_since;

        int64_t charged_mams; /* charge put in since the start, never down: P5 counts 1 % of capacity with it */

        /* S5: filled by learning; 0 until then. Added to every reading that is exactly zero. */
        int32_t idle_draw_ma;
};

void soc_init(struct soc *s, const struct soc_config *config);

/* Settings, blind spot or the number of cells changed. Keeps the SOC as a fraction of the capacity: a new
 * capacity must not make a full pack half full. */
void soc_configure(struct soc *s, const struct soc_config *config);

/* One error-free frame. lowest/highest_mv feed S4 and S7; all_at_bypass: every cell >= believed V-bypass (S7).
 * Gaps up to 3 periods are integrated with the mean current, longer ones are not (uncertainty grows). */
void soc_frame(struct soc *s, usec_t now, usec_t period, const struct frame *frame, bool all_at_bypass);

/* Time passes without a frame: uncertainty grows, a lost sensor is noticed. */
void soc_tick(struct soc *s, usec_t now);

void soc_full_sync(struct soc *s, usec_t now);  /* S2: 100 %, calibrated */
void soc_empty_sync(struct soc *s, usec_t now); /* S3: by the newest current */

/* `soc set`: does not set calibrated (S4). 0; -ENODATA if the capacity is not set; -ERANGE outside 0..10000. */
int soc_set(struct soc *s, usec_t now, int32_t permyriad);

struct maybe soc_permyriad(const struct soc *s);
struct maybe soc_uncertainty_permyriad(const struct soc *s);

/* Growth of the uncertainty since the last sync, permyriad; none without SOC (P3). */
struct maybe soc_growth_permyriad(const struct soc *s);

/* C/divisor in mA, none if the capacity is unknown: "every condition in C is false" (S1). */
struct maybe soc_c_rate_ma(const struct soc *s, int32_t divisor);

/* SOC x capacity in Wh (design 7). */
struct maybe64 soc_stored_mwh(const struct soc *s);
