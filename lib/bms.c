/* SPDX-License-Identifier: MIT */
#include "bms.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bms-internal.h"

#define TICK_MAX_USEC USEC_PER_SEC
#define RECOVER_UNKNOWN_USEC (5 * USEC_PER_SEC) /* P11 */
#define RECOVER_MINUTES_MAX 30
#define RECOVER_LIMIT_MA 1000 /* P11's C/50 while the capacity is not set */

/* ---- events --------------------------------------------------------------------------------------------------- */

struct event *bms_push_event(struct bms *b, usec_t now, enum event_kind kind, int subject) {
        struct event *event = &b->events[b->events_head % BMS_EVENTS_MAX];

        if (b->events_head - b->events_tail == BMS_EVENTS_MAX) { /* the oldest is lost, and counted */
                b->events_tail++;
                b->events_lost++;
        }
        b->events_head++;
        *event = (struct event){.at = now, .kind = kind, .subject = subject};
        return event;
}

bool bms_next_event(struct bms *b, struct event *ret_event) {
        if (b->events_tail == b->events_head)
                return false;
        *ret_event = b->events[b->events_tail % BMS_EVENTS_MAX];
        b->events_tail++;
        return true;
}

static void push_text(struct bms *b, usec_t now, enum event_kind kind, int subject, const char *text) {
        struct event *event = bms_push_event(b, now, kind, subject);

        (void)snprintf(event->text, sizeof(event->text), "%s", text);
}

/* ---- configuration of the parts ------------------------------------------------------------------------------- */

/* Half blind spot by sensor type 0..7 of pair 131, in the order of the switch table (manual, "Specifications"; 400 A:
 * chain.md). */
static const int32_t blind_spots_ma[] = {250, 500, 1000, 2500, 4000, 5000, 10000, 20000};
#define N_BLIND_SPOTS (int32_t)(sizeof(blind_spots_ma) / sizeof(blind_spots_ma[0]))

struct soc_config bms_soc_config(const struct bms *b) {
        return (struct soc_config){
                .capacity_wh = b->settings.values[SETTING_CAPACITY],
                .cell_nominal_mv = settings_get(&b->settings, SETTING_CELL_NOMINAL),
                .efficiency_percent = settings_get(&b->settings, SETTING_CHARGE_EFFICIENCY),
                .blind_spot_ma = b->blind_spot_ma,
                .sensors = settings_get(&b->settings, SETTING_SENSORS),
                .cells = b->link.known_cells > 0 ? b->link.known_cells : b->pack.count,
        };
}

static void configure_soc(struct bms *b) {
        struct soc_config config = bms_soc_config(b);
        const struct soc_config *old = &b->soc.config;

        if (config.capacity_wh.known == old->capacity_wh.known && config.capacity_wh.value == old->capacity_wh.value &&
            config.cell_nominal_mv == old->cell_nominal_mv && config.efficiency_percent == old->efficiency_percent &&
            config.blind_spot_ma == old->blind_spot_ma && config.sensors == old->sensors && config.cells == old->cells)
                return;
        soc_configure(&b->soc, &config);
}

void bms_init(struct bms *b, usec_t now, const struct bms_config *config) {
        struct soc_config soc_config;
        bool from_config = config->cells > 0;

        *b = (struct bms){
                .config = *config,
                .settings = config->settings,
                .blind_spot_ma = config->blind_spot_ma,
                .state_awaited = config->await_state,
        };
        deframer_init(&b->deframer,
                      &(struct accept_rules){
                              .role = config->role,
                              .coding = config->coding,
                              .current_check = config->current_check,
                      });
        pack_init(&b->pack);
        b->limits = limits_from(&b->settings, &b->pack);
        link_init(&b->link, now, config->tap, from_config ? config->cells : config->learned_cells, from_config,
                  b->limits.trip_frames);
        soc_config = bms_soc_config(b);
        soc_init(&b->soc, &soc_config);
        energy_init(&b->energy);
        protection_init(&b->protection);
        relays_init(&b->relays);
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                b->relays.relay[id].reason.at = now;
}

/* ---- the decision step ---------------------------------------------------------------------------------------- */

/* Of all readings, the one with the least room to its own T-max (P7). */
static void find_hot(const struct bms *b, struct relay_inputs *in) {
        const struct frame *f = &b->pack.frame;
        int32_t limit;

        if (!f->highest_temperature_known)
                return;
        in->hot_cell = f->highest_temperature_cell;
        in->hot_decic = some(f->highest_decic);
        in->hot_limit_decic = limits_t_max_decic(&b->limits, &b->pack, in->now, in->hot_cell);

        for (unsigned i = 1; i <= b->pack.count; i++) {
                struct maybe t = b->pack.cells[i].temperature_decic;

                if (!t.known)
                        continue;
                limit = limits_t_max_decic(&b->limits, &b->pack, in->now, (uint8_t)i);
                if (limit - t.value >= in->hot_limit_decic - in->hot_decic.value)
                        continue;
                in->hot_cell = (uint8_t)i;
                in->hot_decic = t;
                in->hot_limit_decic = limit;
        }
}

void bms_relay_inputs(const struct bms *b, usec_t now, struct relay_inputs *ret_inputs) {
        const struct frame *f = &b->pack.frame;
        struct relay_inputs in = {
                .now = now,
                .live = b->link.state == LINK_LIVE,
                .link_error = b->link.state == LINK_ERROR,
                .protection = &b->protection,
                .limits = &b->limits,
                .settings = &b->settings,
                .soc_permyriad = soc_permyriad(&b->soc),
                .soc_growth_permyriad = soc_growth_permyriad(&b->soc),
                /* S7: by a reversed sensor SOC counts the wrong way and decides nothing, as without a sensor (P2). */
                .calibrated = b->soc.calibrated && b->soc.sensor != SOC_SENSOR_REVERSED,
                .current_ma = b->soc.current_ma,
                .c20_ma = soc_c_rate_ma(&b->soc, 20),
                .charged_mams = b->soc.charged_mams,
                .one_percent_mams = b->soc.capacity_mams > 0 ? some64(b->soc.capacity_mams / 100) : none64(),
                .recover = b->recover_until != 0,
                .settings_unconfirmed = b->settings_unconfirmed,
                .state_awaited = b->state_awaited,
        };

        if (b->pack.frame_at != 0) {
                in.lowest_mv = some((int32_t)f->lowest_mv);
                in.lowest_mv_cell = f->lowest_voltage_cell;
                in.highest_mv = some((int32_t)f->highest_mv);
                in.highest_mv_cell = f->highest_voltage_cell;
                in.lowest_decic = some(f->lowest_decic);
                in.lowest_decic_cell = f->lowest_temperature_cell;
                find_hot(b, &in);
        }
        *ret_inputs = in;
}

static void end_recover(struct bms *b, usec_t now, const char *why) {
        b->recover_until = b->recover_unknown_since = 0;
        push_text(b, now, EVENT_RECOVER, 0, why);
}

static bool recover_forbidden(const struct bms *b) {
        static const enum rule rules[] = {RULE_V_MAX, RULE_T_MIN_CHARGE, RULE_T_MIN_DISCHARGE, RULE_T_MAX,
                                          RULE_T_MAX_CELL};

        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
                if (protection_tripped(&b->protection, rules[i]))
                        return true;
        return false;
}

/* P11: ends at once when the pack is discharged, or when that cannot be known for 5 s. */
static void watch_recover(struct bms *b, usec_t now) {
        struct maybe c50 = soc_c_rate_ma(&b->soc, 50);
        int32_t limit_ma = c50.known ? c50.value : RECOVER_LIMIT_MA;
        struct maybe current = b->soc.current_ma;

        if (b->recover_until == 0)
                return;
        if (now >= b->recover_until) {
                end_recover(b, now, "recover ended: its time is over");
                return;
        }
        /* They hold anyway; closing again and again under them would only wear the contacts. */
        if (recover_forbidden(b)) {
                end_recover(b, now, "recover ended: a cell reached V-max or a temperature limit");
                return;
        }
        if (current.known) {
                b->recover_unknown_since = 0;
                if (current.value < -limit_ma)
                        end_recover(b, now, "recover ended: the pack was being discharged");
                return;
        }
        if (b->recover_unknown_since == 0)
                b->recover_unknown_since = now;
        if (usec_since(now, b->recover_unknown_since) > RECOVER_UNKNOWN_USEC)
                end_recover(b, now, "recover ended: the battery current is unknown");
}

static bool two_of_three(const struct bms *b, uint8_t bit) {
        unsigned set = 0;

        for (unsigned i = 0; i < 3; i++)
                set += (b->monitor_status[i] & bit) != 0;
        return b->monitor_statuses >= 3 ? set >= 2 : false;
}

/* B6: a status bit by 2 of the last 3 frames; a permission needs three frames to have been heard. */
bool bms_monitor_bit(const struct bms *b, uint8_t bit) {
        return two_of_three(b, bit);
}

static void note_vmax_opening(struct bms *b, usec_t now) {
        b->vmax_openings[b->vmax_openings_next] = now;
        b->vmax_openings_next = (b->vmax_openings_next + 1) % 3;
}

static void report_relay_changes(struct bms *b, usec_t now, const bool was_closed[_RELAY_MAX]) {
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                const struct relay *relay = &b->relays.relay[id];
                struct event *event;

                if (relay->closed == was_closed[id])
                        continue;
                event = bms_push_event(b, now, relay->closed ? EVENT_RELAY_CLOSED : EVENT_RELAY_OPENED, (int)id);
                event->reason = relay->reason;
                reason_text(&relay->reason, id, relay->closed, event->text, sizeof(event->text));
                if (!relay->closed && relay->reason.rule == RULE_V_MAX)
                        note_vmax_opening(b, now);
        }
}

static void step(struct bms *b, usec_t now, bool frame, unsigned tripped_now) {
        bool was_closed[_RELAY_MAX];
        struct relay_inputs in;

        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                was_closed[id] = b->relays.relay[id].closed;

        if (b->config.role == ROLE_MONITOR) {
                bool allowed[_RELAY_MAX] = {
                        [RELAY_CHARGE] = two_of_three(b, FRAME_STATUS_CHARGE_ALLOWED),
                        [RELAY_LOAD] = two_of_three(b, FRAME_STATUS_DISCHARGE_ALLOWED),
                };

                relays_monitor_step(&b->relays, now, b->link.state == LINK_LIVE, b->link.state == LINK_ERROR, allowed);
        } else {
                watch_recover(b, now);
                bms_relay_inputs(b, now, &in);
                in.frame = frame;
                in.tripped_now = tripped_now;
                relays_step(&b->relays, &in);
        }
        report_relay_changes(b, now, was_closed);
        bms_update_alarms(b, now);
}

/* ---- frames --------------------------------------------------------------------------------------------------- */

static void report_link(struct bms *b, usec_t now, enum link_state before, uint8_t cells_before) {
        char text[ALARM_TEXT_MAX];

        if (b->link.state != before) {
                link_place(&b->link, text, sizeof(text));
                (void)snprintf(bms_push_event(b, now, EVENT_LINK, (int)b->link.state)->text, ALARM_TEXT_MAX,
                               "link %s%s%.100s", link_state_name(b->link.state), text[0] ? ": " : "", text);
        }
        if (b->link.known_cells != cells_before)
                (void)snprintf(bms_push_event(b, now, EVENT_CELLS_LEARNED, b->link.known_cells)->text, ALARM_TEXT_MAX,
                               "the pack has %u cells", b->link.known_cells);
}

/* S2, S3: the syncs are the same events as the trips, by the same frames. */
static void sync_soc(struct bms *b, usec_t now, unsigned tripped_now) {
        if (tripped_now & (1u << RULE_FULL | 1u << RULE_FULL_PACK)) {
                soc_full_sync(&b->soc, now);
                memset(b->vmax_openings, 0, sizeof(b->vmax_openings));
                b->imbalance_at = 0;
                push_text(b, now, EVENT_FULL_SYNC, 0, "full: state of charge set to 100 %");
        }
        if (tripped_now & 1u << RULE_V_MIN) {
                soc_empty_sync(&b->soc, now);
                push_text(b, now, EVENT_EMPTY_SYNC, 0, "V-min reached: state of charge corrected downwards");
        }
}

static void update_blind_spot(struct bms *b, usec_t now) {
        struct maybe type = pack_pair(&b->pack, now, FRAME_KEY_SENSOR_TYPE);

        if (type.known && type.value < N_BLIND_SPOTS)
                b->blind_spot_ma = blind_spots_ma[type.value];
}

static unsigned good_frame(struct bms *b, usec_t now, const struct frame *frame, const uint8_t bytes[FRAME_SIZE]) {
        unsigned tripped_now = 0;
        bool all_at_bypass;

        pack_frame(&b->pack, now, b->link.period, limits_confirm_frames(&b->limits), frame, bytes);
        if (b->config.role == ROLE_MONITOR)
                return 0;

        b->limits = limits_from(&b->settings, &b->pack);
        update_blind_spot(b, now);
        configure_soc(b);
        all_at_bypass = b->limits.v_bypass_mv.known && (int32_t)frame->lowest_mv >= b->limits.v_bypass_mv.value;
        soc_frame(&b->soc, now, b->link.period, frame, all_at_bypass);
        energy_frame(&b->energy, now, b->link.period, frame);
        tripped_now = protection_frame(&b->protection, now, &b->limits, &b->pack);
        sync_soc(b, now, tripped_now);
        return tripped_now;
}

static void cycle(struct bms *b, usec_t now, const struct frame *frame, const uint8_t bytes[FRAME_SIZE]) {
        enum link_state before = b->link.state;
        uint8_t cells_before = b->link.known_cells;
        bool good = link_frame(&b->link, now, frame, bytes) == LINK_FRAME_GOOD;
        unsigned tripped_now = 0;

        b->bad_sum_since = 0;
        b->monitor_status[b->monitor_statuses % 3] = frame->status;
        b->monitor_statuses = b->monitor_statuses == 5 ? 3 : b->monitor_statuses + 1; /* 3.. = full; modulo 3 kept */
        if (good)
                tripped_now = good_frame(b, now, frame, bytes);
        else
                relays_error_frame(&b->relays);
        report_link(b, now, before, cells_before);
        step(b, now, good, tripped_now);
}

bool bms_take(struct bms *b, usec_t now, const uint8_t **data, size_t *size) {
        uint8_t bytes[FRAME_SIZE];
        struct frame frame;

        for (;;)
                switch (deframer_take(&b->deframer, data, size, &frame, bytes)) {
                case DEFRAMER_NOTHING:
                        return false;
                case DEFRAMER_FRAME:
                        cycle(b, now, &frame, bytes);
                        return true;
                case DEFRAMER_BAD_SUM: /* B5 */
                        if (b->bad_sum_since == 0)
                                b->bad_sum_since = now;
                        b->bad_sum_last = now;
                        break;
                }
}

unsigned bms_bytes(struct bms *b, usec_t now, const uint8_t *data, size_t size) {
        unsigned cycles = 0;

        while (bms_take(b, now, &data, &size))
                cycles++;
        return cycles;
}

/* ---- time ----------------------------------------------------------------------------------------------------- */

void bms_tick(struct bms *b, usec_t now) {
        enum link_state before = b->link.state;

        link_tick(&b->link, now);
        report_link(b, now, before, b->link.known_cells);
        if (b->config.role == ROLE_GATEWAY) {
                soc_tick(&b->soc, now);
                protection_tick(&b->protection, now, b->link.period);
        }
        step(b, now, false, 0);
}

static usec_t earlier(usec_t a, usec_t b) {
        return a < b ? a : b;
}

usec_t bms_deadline(const struct bms *b, usec_t now) {
        usec_t deadline = earlier(usec_add(now, TICK_MAX_USEC), link_deadline(&b->link));
        usec_t frozen_at = pack_frozen_deadline(&b->pack);

        deadline = earlier(deadline, protection_deadline(&b->protection, b->link.period));
        if (frozen_at > now) /* B12: once passed it stays so, and is no reason to tick */
                deadline = earlier(deadline, frozen_at);
        if (b->recover_until != 0)
                deadline = earlier(deadline, b->recover_until);
        return earlier(deadline, bms_disagree_deadline(b, now));
}

void bms_port_lost(struct bms *b, usec_t now) {
        enum link_state before = b->link.state;

        deframer_reset(&b->deframer);
        link_port_lost(&b->link, now);
        report_link(b, now, before, b->link.known_cells);
        step(b, now, false, 0);
}

void bms_port_opened(struct bms *b, usec_t now) {
        deframer_reset(&b->deframer);
        link_port_opened(&b->link);
        bms_update_alarms(b, now);
}

/* ---- adapters' reports ---------------------------------------------------------------------------------------- */

bool bms_relay_closed(const struct bms *b, enum relay_id relay) {
        return b->relays.relay[relay].closed;
}

void bms_feedback(struct bms *b, usec_t now, enum relay_id relay, struct maybe closed, bool at_start) {
        b->confirmed[relay] = closed;
        if (at_start && closed.known && closed.value != 0)
                relay_found_closed(&b->relays.relay[relay], now);
        bms_update_alarms(b, now);
}

void bms_relay_fault(struct bms *b, usec_t now, const char *text, bool coils_fail) {
        (void)snprintf(b->relay_fault, sizeof(b->relay_fault), "%s", text);
        b->coils_fail = coils_fail;
        bms_update_alarms(b, now);
}

void bms_panel_fault(struct bms *b, usec_t now, const char *text) {
        (void)snprintf(b->panel_fault, sizeof(b->panel_fault), "%s", text);
        bms_update_alarms(b, now);
}

void bms_output_fault(struct bms *b, usec_t now, const char *text) {
        (void)snprintf(b->output_fault, sizeof(b->output_fault), "%s", text);
        bms_update_alarms(b, now);
}

void bms_store_fault(struct bms *b, usec_t now, const char *text) {
        (void)snprintf(b->store_fault, sizeof(b->store_fault), "%s", text);
        bms_update_alarms(b, now);
}

void bms_settings_fault(struct bms *b, usec_t now, const char *text, bool unconfirmed) {
        (void)snprintf(b->settings_fault, sizeof(b->settings_fault), "%s", text);
        b->settings_unconfirmed = unconfirmed;
        bms_update_alarms(b, now);
}

/* ---- commands ------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 4, 5)))
static int refuse(int error, char *ret_error, size_t size, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(ret_error, size, format, ap);
        va_end(ap);
        return error;
}

static int refuse_in_monitor(const struct bms *b, char *ret_error, size_t size) {
        if (b->config.role == ROLE_GATEWAY)
                return 0;
        return refuse(-EPERM, ret_error, size,
                      "role is monitor: the OUT board decides here, change this on the board itself");
}

int bms_apply_settings(struct bms *b, usec_t now, const struct settings *s, char *ret_error, size_t size) {
        struct maybe bypass = pack_v_bypass_mv(&b->pack);
        char ignored[ALARM_TEXT_MAX];
        int r;

        r = refuse_in_monitor(b, ret_error, size);
        if (r < 0)
                return r;
        /* A switch that was turned to a conflicting V-bypass (P10) must not keep other settings from being changed. */
        if (settings_check(&b->settings, bypass, ignored, sizeof(ignored)) < 0)
                bypass = none();
        r = settings_check(s, bypass, ret_error, size);
        if (r < 0)
                return r;

        b->settings = *s;
        b->limits = limits_from(s, &b->pack);
        b->link.trip_frames = b->limits.trip_frames;
        configure_soc(b);
        relays_settings_changed(&b->relays);
        bms_update_alarms(b, now);
        return 0;
}

int bms_release(struct bms *b, usec_t now, enum relay_id relay, char *ret_error, size_t size) {
        int r = refuse_in_monitor(b, ret_error, size);

        if (r < 0)
                return r;
        if (!relay_release(&b->relays.relay[relay]))
                return refuse(-ENODATA, ret_error, size, "the %s relay is not held by anything that release could end",
                              relay_name(relay));
        bms_update_alarms(b, now);
        return 0;
}

int bms_recover(struct bms *b, usec_t now, int64_t minutes, char *ret_error, size_t size) {
        int r = refuse_in_monitor(b, ret_error, size);

        if (r < 0)
                return r;
        if (minutes < 1 || minutes > RECOVER_MINUTES_MAX)
                return refuse(-ERANGE, ret_error, size, "%lld minutes: expected 1 to %d", (long long)minutes,
                              RECOVER_MINUTES_MAX);
        if (settings_get(&b->settings, SETTING_WIRING) != WIRING_SERIES)
                return refuse(-EPERM, ret_error, size,
                              "recover is for contacts in series (wiring: series); with separate contacts the charge "
                              "relay closes for an empty pack by itself");
        if (b->link.state != LINK_LIVE)
                return refuse(-ENOLINK, ret_error, size, "the cells are not heard: both relays stay open");
        if (recover_forbidden(b))
                return refuse(-EPERM, ret_error, size, "a cell is at V-max or beyond a temperature limit");
        b->recover_until = usec_add(now, (usec_t)minutes * USEC_PER_MINUTE);
        b->recover_unknown_since = 0;
        (void)snprintf(bms_push_event(b, now, EVENT_RECOVER, (int)minutes)->text, ALARM_TEXT_MAX,
                       "recover for %d minutes: both relays may close to charge the empty pack", (int)minutes);
        return 0;
}

int bms_soc_set(struct bms *b, usec_t now, int64_t permyriad, char *ret_error, size_t size) {
        int r = refuse_in_monitor(b, ret_error, size);

        if (r < 0)
                return r;
        if (permyriad < 0 || permyriad > PERMYRIAD_FULL)
                return refuse(-ERANGE, ret_error, size, "state of charge outside 0 %% to 100 %%");
        r = soc_set(&b->soc, now, (int32_t)permyriad);
        if (r == -ENODATA)
                return refuse(r, ret_error, size,
                              "the capacity is not known yet: set it first (smartbmsctl set capacity 1920Wh), and the "
                              "cells must have been heard");
        if (r < 0)
                return refuse(r, ret_error, size, "state of charge could not be set");
        return 0;
}

int bms_accept_cells(struct bms *b, usec_t now, char *ret_error, size_t size) {
        uint8_t before = b->link.known_cells;
        int r = refuse_in_monitor(b, ret_error, size);

        if (r < 0)
                return r;
        r = link_accept_cells(&b->link, now);
        if (r < 0)
                return refuse(r, ret_error, size,
                              "no other number of cells than %u was heard in the last 10 s", before);
        pack_forget_cells(&b->pack);
        configure_soc(b);
        report_link(b, now, b->link.state, before);
        return 0;
}

int bms_confirm_settings(struct bms *b, usec_t now, char *ret_error, size_t size) {
        int r = refuse_in_monitor(b, ret_error, size);

        if (r < 0)
                return r;
        if (!b->settings_unconfirmed)
                return refuse(-ENODATA, ret_error, size,
                              "the settings in force are the owner's own: there is nothing to confirm");
        b->settings_unconfirmed = false;
        relays_settings_changed(&b->relays);
        bms_update_alarms(b, now);
        return 0;
}

int bms_clear_energy(struct bms *b, usec_t now, char *ret_error, size_t size) {
        int r = refuse_in_monitor(b, ret_error, size);

        (void)now;
        if (r < 0)
                return r;
        if (!b->energy.restored)
                return refuse(-ENODATA, ret_error, size,
                              "the counters of earlier runs are not read yet: try again in some seconds");
        energy_clear(&b->energy);
        return 0;
}
