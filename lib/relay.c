/* SPDX-License-Identifier: MIT */
#include "relay.h"

#include <assert.h>

#define RULE_NONE _RULE_MAX

/* P2: why the SOC terms are waived. SOC can be unknown though a full sync was seen (capacity unset, S1): a
 * term that can never become true again would leave the relay open for good. */
static bool soc_terms_apply(const struct relay_inputs *in) {
        return !in->limits->critical && in->calibrated && in->soc_permyriad.known;
}

/* P2: an empty pack must be chargeable whatever SOC reads, and so nothing that only guards a full pack may hold
 * the charge relay. */
static bool empty(const struct relay_inputs *in) {
        return protection_tripped(in->protection, RULE_V_MIN);
}

static usec_t restart_delay(enum relay_id id, const struct settings *s) {
        enum setting setting = id == RELAY_CHARGE ? SETTING_CHARGE_RESTART_DELAY : SETTING_DISCHARGE_RESTART_DELAY;

        return (usec_t)settings_get(s, setting) * USEC_PER_SEC;
}

void relays_init(struct relays *r) {
        *r = (struct relays){0};
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                r->relay[id].reason.rule = RULE_START;
                r->relay[id].v_hysteresis = RULE_NONE;
        }
}

/* ---- what a trip leaves behind -------------------------------------------------------------------------------- */

/* P5: a new count begins. What is held by the closings of the last hour stays held. */
static void unlock(struct relay *relay) {
        relay->locked = false;
        relay->cycling_since = 0;
        relay->closings_since_cycling = 0;
}

/* P4: closed again after an opening by V, T or full, and full or at V-max within minutes: there was nothing to charge.
 * Where SOC does not say so (unknown, or wrong for one cell's sake), the relay would follow the voltage's rebound all
 * afternoon, use up P5's closings, and be locked while the pack is drained. */
static void note_idle_charge(struct relay *charge, const struct relay_inputs *in) {
        unsigned newest = (charge->closings_next + RELAY_CLOSINGS_PER_HOUR - 1) % RELAY_CLOSINGS_PER_HOUR;

        if (charge->closed && !in->limits->critical && charge->closings_filled > 0 &&
            charge->closings[newest] == charge->reason.at &&
            usec_since(in->now, charge->reason.at) < RELAY_PAUSE_USEC)
                charge->pause_until = usec_add(in->now, RELAY_PAUSE_USEC);
}

static void note_vmin_trip(struct relays *r, const struct relay_inputs *in) {
        struct relay *charge = &r->relay[RELAY_CHARGE], *load = &r->relay[RELAY_LOAD];

        /* P2: also clears what the charge relay waits for; but the closings in an hour stay limited (P5). */
        charge->wait_for_restart = false;
        charge->v_hysteresis = RULE_NONE;
        charge->pause_until = 0;
        if (charge->locked)
                unlock(charge);

        /* P5: only where SOC does not already keep the load from toggling, and only trips that opened the relay. */
        if (soc_terms_apply(in) || !load->closed || in->recover)
                return;
        if (load->vmin_trips == 0)
                load->vmin_trips_charged_mams = in->charged_mams;
        load->vmin_trips++;
}

static void note_trip(struct relays *r, enum relay_id id, enum rule rule, const struct relay_inputs *in) {
        struct relay *relay = &r->relay[id];

        if (rule_info(rule)->wait_for_restart && !in->limits->critical)
                relay->wait_for_restart = true;

        switch (rule) {
        case RULE_V_MAX:
        case RULE_V_MIN:
                relay->v_hysteresis = rule;
                break;
        case RULE_T_MIN_CHARGE:
        case RULE_T_MIN_DISCHARGE:
                relay->t_low_hysteresis = true;
                break;
        case RULE_T_MAX:
        case RULE_T_MAX_CELL:
                relay->t_high_hysteresis = true;
                break;
        case RULE_FULL:
                break;
        case RULE_FULL_PACK: /* opens nothing */
        case _RULE_TABLE_MAX:
        case RULE_LINK:
        case RULE_ERROR:
        case RULE_UNCONFIRMED:
        case RULE_RECOVER:
        case RULE_BOARD:
        case RULE_CLEAR:
        case RULE_FEEDBACK:
        case _RULE_MAX:
                assert(false);
        }

        if (rule == RULE_V_MAX || rule == RULE_FULL)
                note_idle_charge(relay, in);
        relay->counts = true;
        relay->delay_until = usec_add(in->now, restart_delay(id, in->settings));
}

static void note_trips(struct relays *r, const struct relay_inputs *in) {
        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++) {
                if (!(in->tripped_now & (1u << rule)))
                        continue;
                for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                        if (rule_info(rule)->blocks & (1u << id))
                                note_trip(r, id, rule, in);
        }
        /* After V-max has set the charge flag, so that the order of rules in one frame does not matter. */
        if (in->tripped_now & (1u << RULE_V_MIN))
                note_vmin_trip(r, in);
}

/* ---- flags that clear themselves ------------------------------------------------------------------------------ */

static bool below_minus_growth(const struct relay_inputs *in, int32_t limit_permyriad) {
        return in->soc_permyriad.known && in->soc_growth_permyriad.known &&
               in->soc_permyriad.value - in->soc_growth_permyriad.value < limit_permyriad;
}

/* P3: a full pack drained by what the blind spot hides shows in the voltage at rest. */
static bool drained(struct relay *charge, const struct relay_inputs *in) {
        const struct maybe *bypass = &in->limits->v_bypass_mv;
        bool now_low = in->live && in->lowest_mv.known && in->lowest_mv.value < RELAY_DRAINED_MV && bypass->known &&
                       bypass->value <= RELAY_DRAINED_V_BYPASS_MAX_MV && in->current_ma.known && in->c20_ma.known &&
                       in->current_ma.value < in->c20_ma.value && in->current_ma.value > -in->c20_ma.value;

        if (!now_low) {
                charge->drained_since = 0;
                return false;
        }
        if (charge->drained_since == 0)
                charge->drained_since = in->now;
        return usec_since(in->now, charge->drained_since) >= RELAY_DRAINED_USEC;
}

static void clear_flags(struct relays *r, const struct relay_inputs *in) {
        struct relay *charge = &r->relay[RELAY_CHARGE], *load = &r->relay[RELAY_LOAD];
        int32_t charge_restart = 100 * settings_get(in->settings, SETTING_CHARGE_RESTART);
        int32_t discharge_restart = 100 * settings_get(in->settings, SETTING_DISCHARGE_RESTART);
        bool is_drained = drained(charge, in); /* keeps its own time: always asked */

        /* A rule still tripped sets the flag for good reason: P2's terms count only once it is over. */
        if (!protection_tripped(in->protection, RULE_V_MAX) && !protection_tripped(in->protection, RULE_FULL)) {
                if (in->calibrated && in->soc_permyriad.known && in->soc_permyriad.value < charge_restart)
                        charge->wait_for_restart = false;
                if (is_drained || below_minus_growth(in, charge_restart - RELAY_DRAINED_SOC_PERMYRIAD))
                        charge->wait_for_restart = false;
        }
        if (!protection_tripped(in->protection, RULE_V_MIN) && in->calibrated && in->soc_permyriad.known &&
            in->soc_permyriad.value >= discharge_restart)
                load->wait_for_restart = false;

        if (load->vmin_trips > 0 && in->one_percent_mams.known &&
            in->charged_mams - load->vmin_trips_charged_mams >= in->one_percent_mams.value)
                load->vmin_trips = 0;
}

/* P5: six counted closings within the hour start a hold, which ends when the oldest is over an hour ago. The
 * window slides on, so that a pack that goes on cycling is held again and again at six an hour; after six
 * further closings a second such hour is full, and within a day of the first that locks. The lock ends by
 * itself after half a day: it spares contacts, and must not be what drains a pack, or keeps a house dark,
 * while nobody is there to type `release`. */
static void update_cycling(struct relay *relay, usec_t now) {
        bool six = relay->closings_filled == RELAY_CLOSINGS_PER_HOUR &&
                   usec_since(now, relay->closings[relay->closings_next]) < USEC_PER_HOUR;
        if (relay->locked && usec_since(now, relay->locked_at) >= RELAY_LOCK_USEC)
                unlock(relay);

        bool lately = relay->cycling_since != 0 && usec_since(now, relay->cycling_since) < USEC_PER_DAY;

        if (!six) {
                relay->cycling = false;
                return;
        }
        if (relay->closed || !relay->counts || relay->cycling)
                return;
        relay->cycling = true;
        if (lately && relay->closings_since_cycling < RELAY_CLOSINGS_PER_HOUR)
                return;
        if (lately) {
                relay->locked = true;
                relay->locked_at = now;
        }
        relay->cycling_since = now;
        relay->closings_since_cycling = 0;
}

/* ---- what holds an open relay --------------------------------------------------------------------------------- */

struct holds {
        struct hold *items;
        size_t n;
};

static void add_hold(struct holds *h, struct hold hold) {
        assert(h->n < RELAY_HOLDS_MAX);
        h->items[h->n++] = hold;
}

static void hold_by_reading(struct holds *h, enum hold_kind kind, enum rule rule, uint8_t cell, struct maybe value,
                            int32_t limit) {
        add_hold(h, (struct hold){.kind = kind, .rule = rule, .cell = cell, .value = value, .limit = some(limit)});
}

static void hold_by_time(struct holds *h, enum hold_kind kind, usec_t remaining) {
        add_hold(h, (struct hold){.kind = kind, .rule = RULE_NONE, .remaining = remaining});
}

/* Rules tripped, pending or unconfirmed. RULE_FULL is left to HOLD_V_BYPASS, which holds whenever it does.
 * skip: rules that do not count here (P11). Returns the set that was listed. */
static unsigned hold_by_rules(struct holds *h, enum relay_id id, const struct relay_inputs *in, unsigned skip) {
        unsigned set = protection_holding(in->protection, id) & ~(skip | 1u << RULE_FULL);

        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++) {
                const struct reason *reason = &in->protection->trips[rule].reason;

                if (set & (1u << rule))
                        add_hold(h, (struct hold){
                                            .kind = HOLD_RULE,
                                            .rule = rule,
                                            .cell = reason->cell,
                                            .value = reason->value,
                                            .limit = reason->limit,
                                    });
        }
        return set;
}

/* "every cell < V-bypass", with P2's margin while not calibrated. */
static void hold_by_bypass(struct holds *h, const struct relay_inputs *in) {
        int32_t margin = soc_terms_apply(in) || empty(in) ? FRAME_VOLTAGE_STEP_MV : RELAY_UNCALIBRATED_MARGIN_MV;
        int32_t limit;

        if (!in->limits->v_bypass_mv.known) {
                hold_by_time(h, HOLD_V_BYPASS_UNKNOWN, 0);
                return;
        }
        /* Readings come in steps: "below" is one step below. */
        limit = in->limits->v_bypass_mv.value - margin;
        if (!in->highest_mv.known || in->highest_mv.value > limit)
                hold_by_reading(h, HOLD_V_BYPASS, RULE_FULL, in->highest_mv_cell, in->highest_mv, limit);
}

static void hold_by_v_hysteresis(struct holds *h, const struct relay *relay, const struct relay_inputs *in,
                                 unsigned listed) {
        int32_t limit;

        switch (relay->v_hysteresis) {
        case RULE_V_MAX:
                limit = in->limits->v_max_mv - settings_get(in->settings, SETTING_VMAX_HYSTERESIS);
                if (listed & (1u << RULE_V_MAX) || empty(in))
                        break;
                if (!in->highest_mv.known || in->highest_mv.value > limit)
                        hold_by_reading(h, HOLD_V_HYSTERESIS, RULE_V_MAX, in->highest_mv_cell, in->highest_mv, limit);
                break;
        case RULE_V_MIN:
                limit = in->limits->v_min_mv + settings_get(in->settings, SETTING_VMIN_HYSTERESIS);
                if (listed & (1u << RULE_V_MIN))
                        break;
                if (!in->lowest_mv.known || in->lowest_mv.value < limit)
                        hold_by_reading(h, HOLD_V_HYSTERESIS, RULE_V_MIN, in->lowest_mv_cell, in->lowest_mv, limit);
                break;
        default:
                assert(relay->v_hysteresis == RULE_NONE);
        }
}

/* Closing needs T-min < T < T-max strictly; after an opening by T, the hysteresis too. */
static void hold_by_temperature(struct holds *h, const struct relay *relay, enum relay_id id,
                                const struct relay_inputs *in, unsigned listed) {
        enum rule low_rule = id == RELAY_CHARGE ? RULE_T_MIN_CHARGE : RULE_T_MIN_DISCHARGE;
        int32_t low = id == RELAY_CHARGE ? in->limits->t_min_decic : in->limits->t_min_discharge_decic;
        int32_t hysteresis = settings_get(in->settings, SETTING_T_HYSTERESIS);
        int32_t at_least = relay->t_low_hysteresis ? low + hysteresis : low + 1;
        int32_t at_most = relay->t_high_hysteresis ? in->hot_limit_decic - hysteresis : in->hot_limit_decic - 1;
        unsigned hot_rules = 1u << RULE_T_MAX | 1u << RULE_T_MAX_CELL;

        if (!(listed & (1u << low_rule)) && (!in->lowest_decic.known || in->lowest_decic.value < at_least))
                hold_by_reading(h, HOLD_T_HYSTERESIS, low_rule, in->lowest_decic_cell, in->lowest_decic, at_least);
        if (!(listed & hot_rules) && (!in->hot_decic.known || in->hot_decic.value > at_most))
                hold_by_reading(h, HOLD_T_HYSTERESIS, RULE_T_MAX, in->hot_cell, in->hot_decic, at_most);
}

static void hold_by_soc(struct holds *h, const struct relay *relay, enum relay_id id, const struct relay_inputs *in) {
        enum setting setting = id == RELAY_CHARGE ? SETTING_CHARGE_RESTART : SETTING_DISCHARGE_RESTART;

        if (!relay->wait_for_restart || !soc_terms_apply(in))
                return;
        if (id == RELAY_CHARGE && empty(in))
                return;
        hold_by_reading(h, HOLD_SOC, RULE_NONE, 0, in->soc_permyriad, 100 * settings_get(in->settings, setting));
}

static void hold_by_recovery(struct holds *h, const struct relay *relay, usec_t now) {
        if (relay->recovery && usec_since(now, relay->opened_at) < RELAY_RECOVERY_DELAY_USEC)
                hold_by_time(h, HOLD_RECOVERY, RELAY_RECOVERY_DELAY_USEC - usec_since(now, relay->opened_at));
}

static void hold_by_past(struct holds *h, const struct relay *relay, enum relay_id id, const struct relay_inputs *in) {
        usec_t now = in->now;

        usec_t delay_until = relay->pause_until > relay->delay_until ? relay->pause_until : relay->delay_until;

        if (delay_until > now)
                hold_by_time(h, HOLD_DELAY, delay_until - now);
        hold_by_recovery(h, relay, now);
        if (relay->locked)
                hold_by_time(h, HOLD_RELEASE, usec_since(usec_add(relay->locked_at, RELAY_LOCK_USEC), now));
        else if (relay->cycling)
                hold_by_time(h, HOLD_CYCLING,
                             usec_since(usec_add(relay->closings[relay->closings_next], USEC_PER_HOUR), now));
        if (id == RELAY_LOAD && relay->vmin_trips >= RELAY_VMIN_TRIPS)
                hold_by_time(h, HOLD_VMIN_TRIPS, 0);
}

/* P11: V-max, temperature and link still hold while recovering, with their hysteresis; nothing else does. The
 * contacts are in series, so V-max holds the load relay too. */
static void hold_while_recovering(struct holds *h, const struct relay *relay, enum relay_id id,
                                  const struct relay_inputs *in) {
        const struct trip *high = &in->protection->trips[RULE_V_MAX];
        unsigned listed = hold_by_rules(h, id, in, 1u << RULE_V_MIN | 1u << RULE_V_MAX);

        if (high->frames > 0)
                add_hold(h, (struct hold){
                                    .kind = HOLD_RULE,
                                    .rule = RULE_V_MAX,
                                    .cell = high->reason.cell,
                                    .value = high->reason.value,
                                    .limit = high->reason.limit,
                            });
        else if (in->live && relay->v_hysteresis == RULE_V_MAX)
                hold_by_v_hysteresis(h, relay, in, listed);
        if (in->live)
                hold_by_temperature(h, relay, id, in, listed);
        hold_by_recovery(h, relay, in->now);
}

static size_t list_holds(const struct relay *relay, enum relay_id id, const struct relay_inputs *in, bool recover,
                         struct hold ret_holds[RELAY_HOLDS_MAX]) {
        struct holds h = {.items = ret_holds};
        unsigned listed;

        if (in->settings_unconfirmed)
                hold_by_time(&h, HOLD_SETTINGS, 0);
        if (in->state_awaited)
                hold_by_time(&h, HOLD_STATE, 0);
        if (!in->live)
                hold_by_time(&h, HOLD_LINK, 0);

        if (recover) {
                hold_while_recovering(&h, relay, id, in);
                return h.n;
        }
        listed = hold_by_rules(&h, id, in, 0);
        if (in->live) { /* without a link there is no reading to wait for */
                hold_by_v_hysteresis(&h, relay, in, listed);
                if (id == RELAY_CHARGE && !in->limits->critical)
                        hold_by_bypass(&h, in);
                hold_by_temperature(&h, relay, id, in, listed);
        }
        hold_by_soc(&h, relay, id, in);
        hold_by_past(&h, relay, id, in);
        return h.n;
}

size_t relay_holds(const struct relays *r, enum relay_id id, const struct relay_inputs *in,
                   struct hold ret_holds[RELAY_HOLDS_MAX]) {
        const struct relay *relay = &r->relay[id];
        size_t n;

        if (relay->closed)
                return 0;
        n = list_holds(relay, id, in, in->recover, ret_holds);
        if (n == 0)
                ret_holds[n++] = (struct hold){
                        .kind = HOLD_CONFIRM,
                        .rule = RULE_NONE,
                        .value = some((int32_t)relay->clear_frames),
                        .limit = some((int32_t)in->limits->trip_frames),
                };
        return n;
}

/* ---- opening and closing -------------------------------------------------------------------------------------- */

static void open_relay(struct relay *relay, const struct relay_inputs *in, struct reason reason, bool recovery) {
        relay->clear_frames = 0;
        if (!relay->closed)
                return;
        relay->closed = false;
        relay->by_recover = false;
        relay->opened_at = in->now;
        relay->recovery = recovery;
        relay->reason = reason;
        relay->reason.at = in->now;
}

static void close_relay(struct relay *relay, const struct relay_inputs *in) {
        relay->closed = true;
        relay->clear_frames = 0;
        relay->recovery = false;
        if (in->recover) {
                relay->by_recover = true;
                relay->reason = (struct reason){.rule = RULE_RECOVER, .at = in->now};
                return; /* what held it before holds it again afterwards */
        }

        relay->reason = (struct reason){.rule = RULE_CLEAR, .at = in->now};
        relay->wait_for_restart = false;
        relay->v_hysteresis = RULE_NONE;
        relay->t_low_hysteresis = relay->t_high_hysteresis = false;
        relay->delay_until = relay->pause_until = 0;
        if (!relay->counts)
                return;
        relay->counts = false;
        relay->closings_since_cycling++;
        relay->closings[relay->closings_next] = in->now;
        relay->closings_next = (relay->closings_next + 1) % RELAY_CLOSINGS_PER_HOUR;
        if (relay->closings_filled < RELAY_CLOSINGS_PER_HOUR)
                relay->closings_filled++;
}

/* The first rule that opens this relay; confirmed ones before unconfirmed ones. */
static enum rule opening_rule(enum relay_id id, const struct relay_inputs *in) {
        unsigned set = protection_blocking(in->protection, id);
        enum rule unconfirmed = RULE_NONE;

        if (in->recover) {
                set &= ~(1u << RULE_V_MIN | 1u << RULE_FULL);
                set |= protection_blocking(in->protection, RELAY_CHARGE) & 1u << RULE_V_MAX; /* P11: in series */
        }
        for (enum rule rule = 0; rule < _RULE_TABLE_MAX; rule++) {
                if (!(set & (1u << rule)))
                        continue;
                if (in->protection->trips[rule].tripped)
                        return rule;
                if (unconfirmed == RULE_NONE)
                        unconfirmed = rule;
        }
        return unconfirmed;
}

/* Opens the relay if anything says so. True if it must stay open in this step. */
static bool step_open(struct relays *r, enum relay_id id, const struct relay_inputs *in) {
        struct relay *relay = &r->relay[id];
        struct hold holds[RELAY_HOLDS_MAX];
        struct reason reason = {0};
        enum rule rule;

        if (!in->live) {
                reason.rule = in->link_error ? RULE_ERROR : RULE_LINK;
                open_relay(relay, in, reason, true);
                return true;
        }

        rule = opening_rule(id, in);
        if (rule != RULE_NONE) {
                const struct trip *trip = &in->protection->trips[rule];

                reason = trip->reason;
                if (!trip->tripped)
                        reason.rule = RULE_UNCONFIRMED;
                else if (relay->closed) /* also as `recover` ends, long after the trip itself */
                        relay->delay_until = usec_add(in->now, restart_delay(id, in->settings));
                open_relay(relay, in, reason, !trip->tripped);
                return true;
        }

        if (relay->by_recover && !in->recover) {
                if (list_holds(relay, id, in, false, holds) > 0) {
                        reason.rule = RULE_RECOVER;
                        open_relay(relay, in, reason, true);
                        return true;
                }
                relay->counts = false;  /* no contact moves: not one of P5's closings */
                close_relay(relay, in); /* it may be closed by the rules too, and is from now on */
                relay->by_recover = false;
        }
        return false;
}

static void step_close(struct relays *r, enum relay_id id, const struct relay_inputs *in) {
        struct relay *relay = &r->relay[id];
        struct hold holds[RELAY_HOLDS_MAX];

        if (relay->closed)
                return;
        if (list_holds(relay, id, in, in->recover, holds) > 0) {
                relay->clear_frames = 0;
                return;
        }
        if (!in->frame)
                return; /* only a new good frame can be believed to be all clear */
        if (++relay->clear_frames >= in->limits->trip_frames)
                close_relay(relay, in);
}

void relays_step(struct relays *r, const struct relay_inputs *in) {
        bool stay_open[_RELAY_MAX];

        note_trips(r, in);
        clear_flags(r, in);
        /* Both openings before any closing: open always wins. */
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                stay_open[id] = step_open(r, id, in);
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                update_cycling(&r->relay[id], in->now);
                if (!stay_open[id])
                        step_close(r, id, in);
        }
}

void relays_monitor_step(struct relays *r, usec_t now, bool live, bool link_error, const bool allowed[_RELAY_MAX]) {
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                struct relay *relay = &r->relay[id];
                bool closed = live && allowed[id];

                if (closed == relay->closed)
                        continue;
                relay->closed = closed;
                relay->reason = (struct reason){
                        .rule = live ? RULE_BOARD : (link_error ? RULE_ERROR : RULE_LINK),
                        .at = now,
                };
                if (!closed)
                        relay->opened_at = now;
        }
}

static void begin_anew(struct relays *r) {
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                r->relay[id].clear_frames = 0;
}

void relays_settings_changed(struct relays *r) {
        begin_anew(r);
}

void relays_error_frame(struct relays *r) {
        begin_anew(r);
}

void relay_found_closed(struct relay *r, usec_t now) {
        r->opened_at = now;
        r->recovery = true;
        r->reason = (struct reason){.rule = RULE_FEEDBACK, .at = now};
}

bool relay_release(struct relay *r) {
        if (!r->locked && !r->cycling && r->vmin_trips < RELAY_VMIN_TRIPS)
                return false; /* and nothing is forgotten */

        r->locked = r->cycling = false;
        r->cycling_since = 0;
        r->closings_filled = r->closings_since_cycling = 0;
        r->vmin_trips = 0;
        return true;
}
