/* SPDX-License-Identifier: MIT */
#include "current.h"

#include "frame.h"

#define TYPE_DEFAULT 2 /* 100 A */
#define RESOLUTION 200 /* steps of a type's full current */
#define BLIND_STEPS (RESOLUTION / 100)

static const uint16_t amperes[CURRENT_TYPES] = {25, 50, 100, 250, 400, 500, 1000, 2000};

/* What a sum is for so many mV at the sensor's output. */
#define SUM_PER_MV_NUMERATOR                                                                                 \
        ((int64_t)CURRENT_SAMPLES * (int64_t)HARDWARE_ADC_STEPS * (int64_t)HARDWARE_HALL_BOTTOM_OHM)
#define SUM_PER_MV_DIVISOR                                                                                   \
        ((int64_t)(HARDWARE_HALL_TOP_OHM + HARDWARE_HALL_BOTTOM_OHM) * (int64_t)HARDWARE_REFERENCE_MV)
#define SUM_OF(mv) ((int32_t)(((mv)*SUM_PER_MV_NUMERATOR + SUM_PER_MV_DIVISOR / 2) / SUM_PER_MV_DIVISOR))

#define SUM_ZERO SUM_OF(HARDWARE_HALL_ZERO_MV)
#define SUM_SPAN SUM_OF(HARDWARE_HALL_SPAN_MV)
#define SUM_LINEAR SUM_OF(HARDWARE_HALL_LINEAR_MV)
#define SUM_ABSENT SUM_OF(HARDWARE_HALL_ABSENT_MV)
#define SUM_STUCK SUM_OF(HARDWARE_HALL_STUCK_MV)
#define OFFSET_MAX (SUM_SPAN * CURRENT_OFFSET_MAX_PERCENT / 100)

#define ZERO_WEIGHT 8

uint16_t current_type_amperes(uint8_t type) {
        return type < CURRENT_TYPES ? amperes[type] : 0;
}

void current_init(struct current *c, uint8_t type, const int16_t offset[CURRENT_SENSORS]) {
        *c = (struct current){.type = type < CURRENT_TYPES ? type : TYPE_DEFAULT};
        for (uint8_t i = 0; i < CURRENT_SENSORS; i++)
                if (offset[i] >= -OFFSET_MAX && offset[i] <= OFFSET_MAX)
                        c->offset[i] = offset[i];
}

static bool works(uint32_t sum) {
        return sum >= (uint32_t)SUM_ABSENT && sum <= (uint32_t)SUM_STUCK;
}

/* In steps of the type's resolution, to the nearest. */
static int16_t resolve(int32_t above_zero) {
        int32_t scaled = above_zero * RESOLUTION; /* at most 131072 x 200 */

        return (int16_t)((scaled + (scaled < 0 ? -SUM_SPAN / 2 : SUM_SPAN / 2)) / SUM_SPAN);
}

static void apply_one(struct current *c, uint8_t i, uint32_t sum, bool blind_spot) {
        struct current_value *value = &c->value[i];
        int32_t above_zero = (int32_t)sum - SUM_ZERO;
        int16_t steps;

        *value = (struct current_value){.known = works(sum)};
        /* What the sensor itself gives tells of its limits, not what is left after the offset. */
        c->saturated[i] = value->known && (above_zero > SUM_LINEAR || above_zero < -SUM_LINEAR);
        if (!value->known)
                return;
        if (c->zeroing) {
                c->zero[i] =
                        c->zero[i] == 0 ? sum * ZERO_WEIGHT : c->zero[i] - c->zero[i] / ZERO_WEIGHT + sum;
                return;
        }
        steps = resolve(above_zero - c->offset[i]);
        if (blind_spot && steps >= -BLIND_STEPS && steps <= BLIND_STEPS)
                steps = 0;
        /* A step of the type is type / 200; one of the frame 125 mA: type / 25 of these. */
        value->steps =
                (int32_t)steps * (amperes[c->type] / (uint16_t)(RESOLUTION * FRAME_CURRENT_STEP_MA / 1000));
}

void current_apply(struct current *c, const uint32_t sums[CURRENT_SENSORS], bool blind_spot, bool zeroing) {
        if (zeroing && !c->zeroing) {
                c->refused = false;
                for (uint8_t i = 0; i < CURRENT_SENSORS; i++)
                        c->zero[i] = 0;
        }
        c->zeroing = zeroing;
        for (uint8_t i = 0; i < CURRENT_SENSORS; i++)
                apply_one(c, i, sums[i], blind_spot);

        c->sum = c->value[0];
        if (c->sum.known && c->value[1].known)
                c->sum.steps -= c->value[1].steps;
}

bool current_zero_store(struct current *c) {
        int16_t found[CURRENT_SENSORS] = {c->offset[0], c->offset[1]};
        bool any = false;

        c->zeroing = false;
        c->refused = true;
        for (uint8_t i = 0; i < CURRENT_SENSORS; i++) {
                int32_t offset = (int32_t)((c->zero[i] + ZERO_WEIGHT / 2) / ZERO_WEIGHT) - SUM_ZERO;

                if (c->zero[i] == 0)
                        continue;
                if (offset < -OFFSET_MAX || offset > OFFSET_MAX)
                        return false;
                found[i] = (int16_t)offset;
                any = true;
        }
        if (!any)
                return false;
        c->offset[0] = found[0];
        c->offset[1] = found[1];
        c->refused = false;
        return true;
}
