/* SPDX-License-Identifier: MIT */
#pragma once

/* State of charge by coulomb counting, with its uncertainty (rules S1..S8). Told of full and empty syncs by the
 * caller, who has them from the same frames that open the relays (S2, S3). Knows no limits and no relays. */

#include "frame.h"
#include "soc-learn.h"
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

#define SOC_LOST_USEC (5 * USEC_PER_SEC)       /* S7 */
#define SOC_REVERSED_USEC (60 * USEC_PER_SEC)  /* S7: full cells while discharging */
#define SOC_REVERSED_STEPS 20                  /* S7: the newest steps that are judged */
#define SOC_REST_USEC (30 * USEC_PER_MINUTE)   /* S4 */
#define SOC_SECOND_SENSOR_FRAMES 10            /* S7: `auto` believes in a second sensor after so many in a row (j) */
#define SOC_MOVED_UNSURE_PERMYRIAD 25          /* S6: of the charge moved (j) */
#define SOC_LEARN_SYNC_POINTS 3                /* S5: learn from full syncs that are sure to so many points (j) */
#define SOC_SET_UNCERTAINTY_PERMYRIAD 1000     /* a person's `soc set` is trusted to 10 points (j) */

struct soc {
        struct soc_config config;
        int64_t capacity_mams; /* mA * ms, at most 9 * 10^15 (10,000,000 Wh, 2 cells of 2.0 V); 0 = unknown */

        bool known;
        int64_t charge_mams; /* 0..capacity_mams; with unknown capacity: below full, so never above 0 */
        int64_t remainder;   /* of counting, 1/200 mA * us: half of two currents, times percent */

        bool calibrated;               /* S4 */
        int64_t sync_uncertainty_mams; /* one-sided, at the last sync, `soc set` or estimate */
        int64_t growth_mams;           /* of the uncertainty since then (S6, P3) */
        int64_t growth_remainder;      /* unit as remainder */
        int64_t growth_counted_mams;   /* of it, and so never more: by counting with a learned draw (S6) */
        usec_t last_sync;              /* 0 = none */
        usec_t uncounted_usec;         /* time since last_sync in which the current was not known */
        usec_t assumed_usec;           /* S8: of that, only assumed; 0 = none */
        int64_t assumed_mams;          /* and of the growth, by it */
        bool estimated;                /* S4: by a resting voltage, and nothing since */

        struct maybe current_ma; /* of the newest frame; none while a sensor it needs is missing */
        usec_t last;             /* time of the newest frame; 0 = none */
        usec_t period;           /* as of then */
        usec_t grown_until;      /* uncertainty has grown up to here */

        usec_t rest_since; /* S4: |I| < C/50 since; 0 = not resting */
        bool had_second_sensor;
        unsigned second_sensor_run;
        usec_t sensor_lost_since; /* first frame without a usable reading; 0 = usable */
        enum soc_sensor_state sensor;

        struct maybe step_voltage_mv; /* S7: pack voltage of the frame before */
        unsigned steps;               /* current steps seen, counted up to SOC_REVERSED_STEPS */
        uint32_t steps_reversed;      /* the newest ones as bits, newest lowest: 1 = dV * dI < 0 */
        bool reversed;
        usec_t full_while_discharging_since, full_while_charging_since; /* 0 = not */
        int32_t full_while_discharging_mv; /* the pack's voltage since then may not fall below */

        int64_t charged_mams; /* charge put in since the start, never down: P5 counts 1 % of capacity with it */

        /* S5: what draws while the consumers' sensor (I2, or I1 if there is no second one) reads zero; 0 until learned.
         * To survive a restart keep these: idle_draw_ma and learning. */
        int32_t idle_draw_ma;
        int32_t hidden_unsure_ma; /* S6: how well that is known, and so what any hour adds to the uncertainty */
        bool at_zero;             /* the newest frame's reading of the consumers' sensor */
        struct maybe lowest_mv;   /* of the newest frame */
        struct maybe lowest_decic; /* of the newest frame: S6's resistance and diffusion are the coldest cell's */
        struct soc_learning learning;
};

void soc_init(struct soc *s, const struct soc_config *config);

/* Settings, blind spot or the number of cells changed. Keeps the SOC as a fraction of the capacity: a new
 * capacity must not make a full pack half full. If there was no capacity before, what was counted since a full sync
 * is taken from the new one. cells = 0 leaves the number of cells known before. */
void soc_configure(struct soc *s, const struct soc_config *config);

/* One error-free frame. lowest/highest_mv feed S4, the pack voltage S7; all_at_bypass: every cell >= believed
 * V-bypass (S7). Gaps up to 3 periods are integrated with the mean current, longer ones are not (uncertainty grows by
 * C/5 per hour, as with a lost sensor). An interval whose ends have opposite signs has the sign of its mean. */
void soc_frame(struct soc *s, usec_t now, usec_t period, const struct frame *frame, bool all_at_bypass);

/* Time passes without a frame: uncertainty grows, a lost sensor is noticed. What comes out does not depend on how often
 * this is called. */
void soc_tick(struct soc *s, usec_t now);

/* S8: for so long nothing was counted, because nobody was there. */
void soc_time_off(struct soc *s, usec_t off_usec);

/* The same, but so long is only assumed; and once it is known. Nothing happens by that if the charge was set since (a
 * sync, a person): then the time off no longer matters. */
void soc_assume_time_off(struct soc *s, usec_t assumed_usec);
void soc_correct_time_off(struct soc *s, usec_t off_usec);

/* S2: 100 %, calibrated. Capacity unset: calibrated all the same (S1). Sensor lost: 100 %, but not calibrated (S7). */
void soc_full_sync(struct soc *s, usec_t now);

/* S3, by the newest current: below C/20 0 %, else (or if it is not known) at most 10 %. */
void soc_empty_sync(struct soc *s, usec_t now);

/* `soc set`: does not set calibrated (S4). 0; -ENODATA if the capacity is not set; -ERANGE outside 0..10000. */
int soc_set(struct soc *s, usec_t now, int32_t permyriad);

struct maybe soc_permyriad(const struct soc *s);
struct maybe soc_uncertainty_permyriad(const struct soc *s);

/* Growth of the uncertainty since the last sync, permyriad; none without SOC (P3). */
struct maybe soc_growth_permyriad(const struct soc *s);

/* C/divisor in mA, rounded down, none if the capacity is unknown: "every condition in C is false" (S1). */
struct maybe soc_c_rate_ma(const struct soc *s, int32_t divisor);

/* SOC x capacity in Wh (design 7). */
struct maybe64 soc_stored_mwh(const struct soc *s);
