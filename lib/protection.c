/* SPDX-License-Identifier: MIT */
#include "protection.h"

#include <assert.h>

#define CONFIRM_FRAMES_MIN 3

static const struct rule_info rules[] = {
        [RULE_V_MAX] = {
                .name = "V-max", .input = INPUT_HIGHEST_MV, .direction = TRIPS_AT_OR_ABOVE, .limit = LIMIT_V_MAX,
                .mode = IN_ANY_MODE, .blocks = BLOCKS_CHARGE, .wait_for_restart = true,
        },
        [RULE_V_MIN] = {
                .name = "V-min", .input = INPUT_LOWEST_MV, .direction = TRIPS_AT_OR_BELOW, .limit = LIMIT_V_MIN,
                .mode = IN_ANY_MODE, .blocks = BLOCKS_LOAD, .wait_for_restart = true,
        },
        [RULE_FULL] = {
                .name = "full", .input = INPUT_LOWEST_MV, .direction = TRIPS_AT_OR_ABOVE, .limit = LIMIT_V_BYPASS,
                .mode = IN_NORMAL_MODE, .blocks = BLOCKS_CHARGE, .sync = true, .wait_for_restart = true,
        },
        [RULE_FULL_PACK] = {
                .name = "full pack", .input = INPUT_PACK_MV, .direction = TRIPS_AT_OR_ABOVE,
                .limit = LIMIT_V_BYPASS_PACK, .mode = IN_CRITICAL_MODE, .blocks = 0, .sync = true,
        },
        [RULE_T_MIN_CHARGE] = {
                .name = "T-min", .input = INPUT_LOWEST_DECIC, .direction = TRIPS_BELOW, .limit = LIMIT_T_MIN,
                .mode = IN_ANY_MODE, .blocks = BLOCKS_CHARGE,
        },
        [RULE_T_MIN_DISCHARGE] = {
                .name = "T-min discharge", .input = INPUT_LOWEST_DECIC, .direction = TRIPS_BELOW,
                .limit = LIMIT_T_MIN_DISCHARGE, .mode = IN_ANY_MODE, .blocks = BLOCKS_LOAD,
        },
        [RULE_T_MAX] = {
                .name = "T-max", .input = INPUT_HIGHEST_DECIC, .direction = TRIPS_ABOVE, .limit = LIMIT_T_MAX,
                .mode = IN_ANY_MODE, .blocks = BLOCKS_BOTH,
        },
        [RULE_T_MAX_CELL] = {
                .name = "T-max of a cell", .input = INPUT_CELL_DECIC, .direction = TRIPS_ABOVE, .limit = LIMIT_T_MAX,
                .mode = IN_ANY_MODE, .blocks = BLOCKS_BOTH,
        },
};
_Static_assert(sizeof(rules) / sizeof(rules[0]) == _RULE_TABLE_MAX, "every rule has its row");

const struct rule_info *rule_info(enum rule rule) {
        assert(rule < _RULE_TABLE_MAX);
        return &rules[rule];
}

struct limits limits_from(const struct settings *s, const struct pack *p) {
        int32_t mode = settings_get(s, SETTING_MODE);
        struct maybe switch5 = pack_critical_switch(p);

        return (struct limits){
                .v_max_mv = settings_get(s, SETTING_VMAX),
                .v_min_mv = settings_get(s, SETTING_VMIN),
                .v_bypass_mv = pack_v_bypass_mv(p),
                .t_min_decic = settings_get(s, SETTING_TMIN),
                .t_min_discharge_decic = settings_tmin_discharge_decic(s),
                .t_max_decic = settings_get(s, SETTING_TMAX),
                .t_max_bypass_decic = settings_tmax_bypass_decic(s),
                .full_tail_ma = s->values[SETTING_FULL_TAIL_CURRENT],
                /* P9: genuine boards do not send the switches; then the mode is normal. */
                .critical = mode == MODE_CRITICAL || (mode == MODE_BOARD && switch5.known && switch5.value == 1),
                .trip_frames = (unsigned)settings_get(s, SETTING_TRIP_FRAMES),
        };
}

int32_t limits_t_max_decic(const struct limits *limits, const struct pack *pack, usec_t now, uint8_t cell) {
        return pack_cell_bypassing(pack, now, cell) ? limits->t_max_bypass_decic : limits->t_max_decic;
}

unsigned limits_confirm_frames(const struct limits *limits) {
        return limits->trip_frames > CONFIRM_FRAMES_MIN ? limits->trip_frames : CONFIRM_FRAMES_MIN;
}

void protection_init(struct protection *p) {
        *p = (struct protection){0};
}

/* RULE_T_MAX_CELL: a cell's own detail comes once in a rotation, so its confirmation is counted per cell over
 * rotations. Of the confirmed cells the hottest is named. */
static bool read_hot_cell(const struct pack *pack, uint8_t *ret_cell, int32_t *ret_decic, unsigned trip_frames) {
        bool found = false;

        for (unsigned i = 1; i <= pack->count; i++) {
                const struct cell *cell = &pack->cells[i];

                if (cell->over_tmax_run < trip_frames || !cell->temperature_decic.known)
                        continue;
                if (found && cell->temperature_decic.value <= *ret_decic)
                        continue;
                found = true;
                *ret_cell = (uint8_t)i;
                *ret_decic = cell->temperature_decic.value;
        }
        return found;
}

/* The reading a rule looks at. False: there is none in this frame. */
static bool read_input(enum rule_input input, const struct pack *pack, unsigned trip_frames, uint8_t *ret_cell,
                       int32_t *ret_value) {
        const struct frame *f = &pack->frame;

        *ret_cell = 0;
        switch (input) {
        case INPUT_HIGHEST_MV:
                *ret_cell = f->highest_voltage_cell;
                *ret_value = (int32_t)f->highest_mv;
                return true;
        case INPUT_LOWEST_MV:
                *ret_cell = f->lowest_voltage_cell;
                *ret_value = (int32_t)f->lowest_mv;
                return true;
        case INPUT_PACK_MV:
                *ret_value = (int32_t)f->pack_mv;
                return true;
        case INPUT_LOWEST_DECIC:
                *ret_cell = f->lowest_temperature_cell;
                *ret_value = f->lowest_decic;
                return f->lowest_temperature_known;
        case INPUT_HIGHEST_DECIC:
                *ret_cell = f->highest_temperature_cell;
                *ret_value = f->highest_decic;
                return f->highest_temperature_known;
        case INPUT_CELL_DECIC:
                return read_hot_cell(pack, ret_cell, ret_value, trip_frames);
        case _INPUT_MAX:
                break;
        }
        assert(false);
        return false;
}

static struct maybe read_limit(enum rule_limit limit, const struct limits *l, const struct pack *pack, usec_t now,
                               uint8_t cell) {
        switch (limit) {
        case LIMIT_V_MAX:
                return some(l->v_max_mv);
        case LIMIT_V_MIN:
                return some(l->v_min_mv);
        case LIMIT_V_BYPASS:
                return l->v_bypass_mv;
        case LIMIT_V_BYPASS_PACK:
                return l->v_bypass_mv.known ? some(l->v_bypass_mv.value * pack->count) : none();
        case LIMIT_T_MIN:
                return some(l->t_min_decic);
        case LIMIT_T_MIN_DISCHARGE:
                return some(l->t_min_discharge_decic);
        case LIMIT_T_MAX:
                return some(limits_t_max_decic(l, pack, now, cell));
        }
        assert(false);
        return none();
}

static bool beyond(enum rule_direction direction, int32_t value, int32_t limit) {
        switch (direction) {
        case TRIPS_AT_OR_ABOVE:
                return value >= limit;
        case TRIPS_AT_OR_BELOW:
                return value <= limit;
        case TRIPS_ABOVE:
                return value > limit;
        case TRIPS_BELOW:
                return value < limit;
        }
        assert(false);
        return true;
}

static bool applies(const struct rule_info *info, const struct limits *limits, const struct pack *pack) {
        const struct frame_current *sum = &pack->frame.sum;

        if (info->mode == IN_NORMAL_MODE && limits->critical)
                return false;
        if (info->mode == IN_CRITICAL_MODE && !limits->critical)
                return false;
        /* S2's optional tail current. Without a current reading the voltages decide alone: relays keep working on
         * voltage and temperature (S7). */
        if (info->sync && limits->full_tail_ma.known && sum->known)
                return sum->ma <= limits->full_tail_ma.value;
        return true;
}

/* Does the newest frame break the rule? Fills reason if so. */
static bool broken(enum rule rule, usec_t now, const struct limits *limits, const struct pack *pack,
                   struct reason *ret_reason) {
        const struct rule_info *info = rule_info(rule);
        struct maybe limit;
        int32_t value = 0;
        uint8_t cell = 0;

        if (!applies(info, limits, pack))
                return false;
        if (!read_input(info->input, pack, limits->trip_frames, &cell, &value))
                return false;
        limit = read_limit(info->limit, limits, pack, now, cell);
        if (!limit.known)
                return false;
        /* A confirmed detail is beyond its limit already (count_hot_detail()); the limit is for the reason. */
        if (info->input != INPUT_CELL_DECIC && !beyond(info->direction, value, limit.value))
                return false;

        *ret_reason = (struct reason){
                .rule = rule,
                .cell = cell,
                .value = some(value),
                .limit = limit,
                .at = now,
        };
        return true;
}

/* P7: the details of one cell beyond its T-max, rotation after rotation. */
static void count_hot_detail(const struct limits *limits, struct pack *pack, usec_t now) {
        const struct frame *f = &pack->frame;
        struct cell *cell;

        if (f->detail_cell == 0 || f->detail_cell > pack->count || !f->detail_temperature_known || f->detail_mv == 0)
                return;

        cell = &pack->cells[f->detail_cell];
        if (f->detail_decic <= limits_t_max_decic(limits, pack, now, f->detail_cell))
                cell->over_tmax_run = 0;
        else if (cell->over_tmax_run < UINT8_MAX)
                cell->over_tmax_run++;
}

static unsigned frames_needed(const struct rule_info *info, const struct limits *limits) {
        if (info->input == INPUT_CELL_DECIC)
                return 1; /* counted per cell already */
        return info->sync ? limits_confirm_frames(limits) : limits->trip_frames;
}

unsigned protection_frame(struct protection *p, usec_t now, const struct limits *limits, struct pack *pack) {
        unsigned tripped_now = 0;

        count_hot_detail(limits, pack, now);

        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++) {
                struct trip *trip = &p->trips[rule];
                struct reason reason;

                if (!broken(rule, now, limits, pack, &reason)) {
                        *trip = (struct trip){0};
                        continue;
                }

                trip->reason = reason;
                if (trip->frames == 0)
                        trip->since = now;
                if (trip->frames < UINT_MAX)
                        trip->frames++;
                if (!trip->tripped && trip->frames >= frames_needed(rule_info(rule), limits)) {
                        trip->tripped = true;
                        trip->unconfirmed = false;
                        tripped_now |= 1u << rule;
                }
        }
        return tripped_now;
}

/* B8: 2.5 periods after the first frame of a pending trip. A full pack is no danger: RULE_FULL waits. */
static usec_t unconfirmed_at(const struct trip *trip, enum rule rule, usec_t period) {
        if (trip->frames == 0 || trip->tripped || trip->unconfirmed || rule_info(rule)->sync)
                return USEC_INFINITY;
        return usec_add(trip->since, period * 5 / 2);
}

void protection_tick(struct protection *p, usec_t now, usec_t period) {
        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++)
                if (now >= unconfirmed_at(&p->trips[rule], rule, period))
                        p->trips[rule].unconfirmed = true;
}

usec_t protection_deadline(const struct protection *p, usec_t period) {
        usec_t deadline = USEC_INFINITY;

        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++) {
                usec_t at = unconfirmed_at(&p->trips[rule], rule, period);

                if (at < deadline)
                        deadline = at;
        }
        return deadline;
}

unsigned protection_blocking(const struct protection *p, enum relay_id relay) {
        unsigned set = 0;

        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++)
                if ((rule_info(rule)->blocks & (1u << relay)) && (p->trips[rule].tripped || p->trips[rule].unconfirmed))
                        set |= 1u << rule;
        return set;
}

unsigned protection_holding(const struct protection *p, enum relay_id relay) {
        unsigned set = 0;

        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++)
                if ((rule_info(rule)->blocks & (1u << relay)) && p->trips[rule].frames > 0)
                        set |= 1u << rule;
        return set;
}
