/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "bms-internal.h"

static struct maybe some_current(const struct frame_current *current) {
        return current->known ? some(current->ma) : none();
}

/* 255 cells and 8192 A are 10 MW: beyond 2.1 MW what is shown stays at the greatest number, with its sign. The energy
 * counters are wider. (INT32_MIN is a word of the phones' for unknown.) */
static struct maybe power_mw(uint32_t pack_mv, struct maybe current_ma) {
        const int64_t mw = (int64_t)pack_mv * current_ma.value / 1000;

        if (!current_ma.known)
                return none();
        return some((int32_t)(mw > INT32_MAX ? INT32_MAX : mw < -INT32_MAX ? -INT32_MAX : mw));
}

static struct maybe clamp_msec(usec_t age) {
        usec_t msec = age / USEC_PER_MSEC;

        return some(msec > INT32_MAX ? INT32_MAX : (int32_t)msec);
}

static struct maybe cell_number(uint8_t cell) {
        return cell > 0 ? some(cell) : none();
}

static void fill_link(const struct bms *b, usec_t now, struct snapshot *s) {
        s->role = b->config.role;
        s->coding = b->config.coding;
        s->link = b->link.state;
        s->link_cause = b->link.cause;
        s->communication_error = b->alarms[ALARM_COMMUNICATION].active;
        link_place(&b->link, s->link_text, sizeof(s->link_text));
        s->link_age_msec = b->link.last_error_free != 0 ? clamp_msec(usec_since(now, b->link.last_error_free)) : none();
        s->period_msec = (int32_t)(b->link.period / USEC_PER_MSEC);
        s->known_cells = cell_number(b->link.known_cells);
        s->count = cell_number(b->pack.count);
        s->data_stale = b->link.state != LINK_LIVE;
        s->bytes = b->deframer.bytes;
        s->frames = b->deframer.frames;
        s->skipped_bytes = b->deframer.skipped_bytes;
        for (enum accept_verdict v = 0; v < _ACCEPT_MAX; v++)
                s->refused_frames += b->deframer.refused[v];
}

static void fill_readings(const struct bms *b, struct snapshot *s) {
        const struct frame *f = &b->pack.frame;

        if (b->pack.frame_at == 0)
                return;
        s->frame = *f;
        s->pack_mv = some((int32_t)f->pack_mv);
        s->in_ma = some_current(&f->in);
        s->out_ma = some_current(&f->out);
        s->current_ma = some_current(&f->sum);
        s->power_mw = power_mw(f->pack_mv, s->current_ma);
        s->in_mw = power_mw(f->pack_mv, s->in_ma);
        s->out_mw = power_mw(f->pack_mv, s->out_ma);
        s->lowest_mv = some((int32_t)f->lowest_mv);
        s->lowest_mv_cell = cell_number(f->lowest_voltage_cell);
        s->highest_mv = some((int32_t)f->highest_mv);
        s->highest_mv_cell = cell_number(f->highest_voltage_cell);
        s->lowest_decic = some(f->lowest_decic);
        s->lowest_decic_cell = cell_number(f->lowest_temperature_cell);
        s->highest_decic = some(f->highest_decic);
        s->highest_decic_cell = cell_number(f->highest_temperature_cell);
        s->v_bypass_mv = pack_v_bypass_mv(&b->pack);
}

static void fill_soc(const struct bms *b, struct snapshot *s) {
        s->critical = b->limits.critical;
        s->soc_permyriad = soc_permyriad(&b->soc);
        s->soc_uncertainty_permyriad = soc_uncertainty_permyriad(&b->soc);
        s->calibrated = b->soc.calibrated;
        s->sensor = b->soc.sensor;
        s->idle_draw_ma = some(b->soc.idle_draw_ma);
        s->soc_uncounted_msec = some64((int64_t)(b->soc.uncounted_usec / USEC_PER_MSEC));
        s->energy_gap_msec = some64((int64_t)(b->energy.gap_usec / USEC_PER_MSEC));
        s->capacity_wh = b->settings.values[SETTING_CAPACITY];
        s->stored_mwh = soc_stored_mwh(&b->soc);
        for (enum energy_counter c = 0; c < _ENERGY_MAX; c++) {
                s->today_mwh[c] = energy_today_mwh(&b->energy, c);
                s->run_mwh[c] = b->energy.run_mwh[c];
                s->total_mwh[c] = energy_total_mwh(&b->energy, c);
        }
        s->settings = b->settings;
}

/* Three pairs of one 24-bit number, high byte first; none unless all were heard lately. */
static struct maybe64 pair24_kwh(const struct bms *b, usec_t now, uint8_t key) {
        struct maybe high = pack_pair(&b->pack, now, key), middle = pack_pair(&b->pack, now, (uint8_t)(key + 1));
        struct maybe low = pack_pair(&b->pack, now, (uint8_t)(key + 2));

        if (!high.known || !middle.known || !low.known)
                return none64();
        return some64((((int64_t)high.value << 16) | ((int64_t)middle.value << 8) | low.value) * 1000 * 1000);
}

/* Role monitor: SOC, energy and limits are the board's own (design 1). */
static void fill_from_board(const struct bms *b, usec_t now, struct snapshot *s) {
        const struct frame *f = &b->pack.frame;
        struct maybe *values = s->settings.values;

        s->settings = b->settings;
        if (b->pack.frame_at == 0)
                return;
        s->soc_permyriad = some(f->soc_percent * 100);
        s->calibrated = !bms_monitor_bit(b, FRAME_STATUS_NOT_CALIBRATED);
        s->capacity_wh = some((int32_t)f->capacity_wh);
        s->stored_mwh = some64((int64_t)f->stored_wh * 1000);
        s->today_mwh[ENERGY_COLLECTED] = some64((int64_t)f->collected_today_wh * 1000);
        s->today_mwh[ENERGY_CONSUMED] = some64((int64_t)f->consumed_today_wh * 1000);
        s->total_mwh[ENERGY_COLLECTED] = some64((int64_t)f->collected_total_kwh * 1000 * 1000);
        s->total_mwh[ENERGY_CONSUMED] = some64((int64_t)f->consumed_total_kwh * 1000 * 1000);
        s->total_mwh[ENERGY_CHARGED] = pair24_kwh(b, now, 10);
        s->total_mwh[ENERGY_DISCHARGED] = pair24_kwh(b, now, 13);
        values[SETTING_CAPACITY] = some((int32_t)f->capacity_wh);
        values[SETTING_VMIN] = some((int32_t)f->v_min_mv);
        values[SETTING_VMAX] = some((int32_t)f->v_max_mv);
}

static void fill_relays(const struct bms *b, usec_t now, struct snapshot *s) {
        struct relay_inputs in;

        bms_relay_inputs(b, now, &in);
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                struct relay_snapshot *out = &s->relays[id];
                const struct relay *relay = &b->relays.relay[id];

                out->mapped = b->config.mapped[id];
                out->closed = relay->closed;
                out->confirmed = b->confirmed[id];
                out->reason = relay->reason;
                out->since = relay->reason.at;
                if (b->config.role == ROLE_GATEWAY)
                        out->n_holds = relay_holds(&b->relays, id, &in, out->holds);
                else if (!relay->closed)
                        out->holds[out->n_holds++] = (struct hold){
                                .kind = b->link.state == LINK_LIVE ? HOLD_BOARD : HOLD_LINK,
                                .rule = _RULE_MAX,
                        };
        }
        if (b->recover_until > now)
                s->recover_remaining_sec = some((int32_t)((b->recover_until - now + USEC_PER_SEC - 1) / USEC_PER_SEC));
}

static void fill_cells(const struct bms *b, usec_t now, struct snapshot *s) {
        int32_t v_min = s->settings.values[SETTING_VMIN].value, v_max = s->settings.values[SETTING_VMAX].value;

        s->n_cells = b->pack.count;
        for (int i = 1; i <= s->n_cells; i++) {
                const struct cell *cell = &b->pack.cells[i];
                struct cell_snapshot *out = &s->cells[i];
                int32_t v = cell->voltage_mv.value, t = cell->temperature_decic.value;

                out->voltage_mv = cell->voltage_mv;
                out->temperature_decic = cell->temperature_decic;
                out->age_usec = cell->at != 0 ? usec_since(now, cell->at) : USEC_INFINITY;
                out->bypassing = pack_cell_bypassing(&b->pack, now, (uint8_t)i);
                out->missing = cell->missed >= 2;
                out->v_red = cell->voltage_mv.known && (v <= v_min || v >= v_max);
                out->t_red = cell->temperature_decic.known &&
                             (t < b->limits.t_min_decic ||
                              t > limits_t_max_decic(&b->limits, &b->pack, now, (uint8_t)i));
        }
}

void bms_snapshot(struct bms *b, usec_t now, struct snapshot *ret_snapshot) {
        struct snapshot *s = ret_snapshot;

        memset(s, 0, sizeof(*s));
        s->at = now;
        s->serial = ++b->snapshots;
        fill_link(b, now, s);
        fill_readings(b, s);
        if (b->config.role == ROLE_MONITOR)
                fill_from_board(b, now, s);
        else
                fill_soc(b, s);
        fill_relays(b, now, s);
        fill_cells(b, now, s);
        memcpy(s->alarms, b->alarms, sizeof(s->alarms));
        s->deadman = bms_coils_obey(b) &&
                     !(b->config.deadman_on_ineffective && (b->alarms[ALARM_INEFFECTIVE_CHARGE].active ||
                                                            b->alarms[ALARM_INEFFECTIVE_LOAD].active));
}
