/* SPDX-License-Identifier: MIT */
#include "out-board.h"

#include <math.h>

#define LOST_AFTER 7 /* half cycles: 3.5 cycles */
#define V_MIN_HYSTERESIS_MV 200
#define V_MAX_HYSTERESIS_MV 50
#define T_HYSTERESIS_DECIC 20
#define FIRMWARE_MAJOR 3
#define FIRMWARE_MINOR 3
#define FIRMWARE_PATCH 11
#define EFFICIENCY_PERCENT 99
#define CELL_NOMINAL_MV 3200
#define VENDOR_PAIRS 19 /* keys 0..18 */

static void count_energy(struct out_board *o, usec_t now, usec_t period, const struct frame *f) {
        double hours = (double)period / (double)USEC_PER_HOUR, volts = f->pack_mv / 1000.0;
        double in_wh = volts * f->in.ma / 1000.0 * hours, out_wh = volts * f->out.ma / 1000.0 * hours;
        double sum_wh = volts * f->sum.ma / 1000.0 * hours;
        int64_t day = (int64_t)floor((o->config.start_hour + (double)now / (double)USEC_PER_HOUR) / 24);

        if (day != o->day)
                o->collected_today_wh = o->consumed_today_wh = 0;
        o->day = day;
        if (!f->out.known) { /* one sensor: the sign of I1 decides */
                out_wh = in_wh < 0 ? -in_wh : 0;
                in_wh = in_wh > 0 ? in_wh : 0;
        }
        o->collected_today_wh += in_wh;
        o->collected_wh += in_wh;
        o->consumed_today_wh += out_wh;
        o->consumed_wh += out_wh;
        if (sum_wh > 0)
                o->charged_wh += sum_wh;
        else
                o->discharged_wh -= sum_wh;
        o->soc_percent = fmin(100, fmax(0, o->soc_percent + 100 * sum_wh / o->config.capacity_wh));
}

static bool is_full(const struct frame *f, bool critical) {
        if (critical)
                return f->pack_mv >= f->v_bypass_mv * f->count;
        return f->lowest_mv >= f->v_bypass_mv;
}

/* The manual's two tables. */
static void decide(struct out_board *o, const struct frame *f, bool critical) {
        const struct out_board_config *c = &o->config;
        bool t_out = f->lowest_decic < c->t_min_decic || f->highest_decic > c->t_max_decic;
        bool t_in = f->lowest_decic > c->t_min_decic + T_HYSTERESIS_DECIC &&
                    f->highest_decic < c->t_max_decic - T_HYSTERESIS_DECIC;
        bool high = (int)f->highest_mv >= c->v_max_mv, low = (int)f->lowest_mv <= c->v_min_mv;
        bool full = is_full(f, critical);

        if (full) {
                o->soc_percent = 100;
                o->calibrated = true;
        }
        if (high || t_out || (full && !critical))
                o->charge = false;
        else if (t_in && (int)f->highest_mv < c->v_max_mv - V_MAX_HYSTERESIS_MV &&
                 (critical || (f->highest_mv < f->v_bypass_mv && o->soc_percent < c->charge_restart_percent)))
                o->charge = true;

        if (low || t_out)
                o->load = false;
        else if (t_in && (int)f->lowest_mv > c->v_min_mv + V_MIN_HYSTERESIS_MV &&
                 (critical || o->soc_percent >= c->discharge_restart_percent))
                o->load = true;
}

static uint8_t status(const struct out_board *o, const struct frame *f) {
        const struct out_board_config *c = &o->config;
        unsigned s = 0;

        s |= o->charge ? FRAME_STATUS_CHARGE_ALLOWED : 0;
        s |= o->load ? FRAME_STATUS_DISCHARGE_ALLOWED : 0;
        s |= o->error ? FRAME_STATUS_COMMUNICATION_ERROR : 0;
        s |= (int)f->lowest_mv <= c->v_min_mv ? FRAME_STATUS_V_MIN : 0;
        s |= (int)f->highest_mv >= c->v_max_mv ? FRAME_STATUS_V_MAX : 0;
        s |= f->lowest_decic < c->t_min_decic ? FRAME_STATUS_T_MIN : 0;
        s |= f->highest_decic > c->t_max_decic ? FRAME_STATUS_T_MAX : 0;
        s |= o->calibrated ? 0 : FRAME_STATUS_NOT_CALIBRATED;
        return (uint8_t)s;
}

/* Wire-formats.md, key/value pairs of firmware 3.3.6 and newer. */
static uint8_t pair_value(const struct out_board *o, uint8_t key) {
        unsigned v_low = (unsigned)o->config.v_min_mv / FRAME_VOLTAGE_STEP_MV;
        unsigned nominal = CELL_NOMINAL_MV / FRAME_VOLTAGE_STEP_MV;
        unsigned cycles = (unsigned)(o->discharged_wh / o->config.capacity_wh);
        unsigned charged = (unsigned)(o->charged_wh / 1000), discharged = (unsigned)(o->discharged_wh / 1000);
        unsigned v_full = (unsigned)o->frame.v_bypass_mv / FRAME_VOLTAGE_STEP_MV;
        const unsigned values[VENDOR_PAIRS] = {
                255, /* state of health: not known */
                EFFICIENCY_PERCENT,
                v_low >> 8,
                v_low,
                nominal >> 8,
                nominal,
                FIRMWARE_MAJOR << 4 | FIRMWARE_MINOR,
                FIRMWARE_PATCH,
                cycles >> 8,
                cycles,
                charged >> 16,
                charged >> 8,
                charged,
                discharged >> 16,
                discharged >> 8,
                discharged,
                (o->charge ? 1u << 4 : 0) | (o->load ? 1u << 5 : 0),
                v_full >> 8,
                v_full,
        };

        return (uint8_t)(values[key] & 0xFF);
}

static void fill(struct out_board *o, struct frame *f) {
        f->status = status(o, f);
        f->soc_percent = (uint8_t)lround(o->soc_percent);
        f->stored_wh = (uint32_t)lround(o->config.capacity_wh * o->soc_percent / 100);
        f->collected_today_wh = (uint32_t)fmax(0, o->collected_today_wh);
        f->consumed_today_wh = (uint32_t)fmax(0, o->consumed_today_wh);
        f->collected_total_kwh = (uint32_t)fmax(0, o->collected_wh / 1000);
        f->consumed_total_kwh = (uint32_t)fmax(0, o->consumed_wh / 1000);
        f->capacity_wh = (uint32_t)lround(o->config.capacity_wh);
        f->v_min_mv = (uint32_t)o->config.v_min_mv;
        f->v_max_mv = (uint32_t)o->config.v_max_mv;
        f->key_byte = (uint8_t)(o->pair + FRAME_KEY_BIAS);
        f->value = pair_value(o, o->pair);
        o->pair = (uint8_t)((o->pair + 1) % VENDOR_PAIRS);
}

bool out_board_step(struct out_board *o, usec_t now, uint64_t half, usec_t period,
                    const struct frame *received, bool critical, struct frame *ret_frame) {
        if (received && !(received->status & FRAME_STATUS_COMMUNICATION_ERROR)) {
                o->have_frame = true;
                o->error = false;
                o->last_half = half;
                o->frame = *received;
                count_energy(o, now, period, received);
                decide(o, received, critical);
        } else {
                /* An orphan is an error at once, silence after a while. */
                if (received || half - o->last_half >= LOST_AFTER)
                        o->error = true;
                if (o->error)
                        o->charge = o->load = false;
                if (!o->error || !o->have_frame || half % 2 != 0)
                        return false;
        }
        *ret_frame = o->frame;
        fill(o, ret_frame);
        return true;
}

void out_board_init(struct out_board *o, const struct out_board_config *config) {
        *o = (struct out_board){.config = *config, .soc_percent = config->soc_percent};
        o->day = (int64_t)floor(config->start_hour / 24);
}
