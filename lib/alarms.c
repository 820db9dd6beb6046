/* SPDX-License-Identifier: MIT */

/* The alarms of one pack: each is one condition over what is believed now, with a sentence that says what is wrong,
 * where, and what to do. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bms-internal.h"

#define BAD_SUM_ALARM_USEC (10 * USEC_PER_SEC)    /* B5 */
#define INEFFECTIVE_USEC (10 * USEC_PER_SEC)      /* P12 */
#define INEFFECTIVE_MIN_MA 1000                   /* P12 */
/* P16. The alarm is due within 1 s (design 12), of which reading the input twice may take 0.25 s. After a command the
 * contact has moved and its feedback been read by then. */
#define DISAGREE_USEC (USEC_PER_SEC / 2)
#define IMBALANCE_BELOW_BYPASS_MV 100             /* P6 */

/* active with its sentence; changes become events. The sentence of a standing alarm is kept current silently. Returns
 * the event, lent, if there is one. */
__attribute__((format(printf, 5, 6)))
static struct event *set_alarm(struct bms *b, usec_t now, enum alarm alarm, bool active, const char *format,
                               ...) {
        struct alarm_state *state = &b->alarms[alarm];
        struct event *event;
        va_list ap;

        if (!active && !state->active)
                return NULL;
        if (active) {
                va_start(ap, format);
                (void)vsnprintf(state->text, sizeof(state->text), format, ap);
                va_end(ap);
        }
        if (active == state->active)
                return NULL;

        state->active = active;
        state->since = now;
        event = bms_push_event(b, now, active ? EVENT_ALARM_RAISED : EVENT_ALARM_CLEARED, (int)alarm);
        (void)snprintf(event->text, sizeof(event->text), "%s", state->text);
        return event;
}

static void rule_alarm(struct bms *b, usec_t now, enum alarm alarm, enum rule rule) {
        const struct trip *trip = &b->protection.trips[rule];
        char text[ALARM_TEXT_MAX] = "";
        struct event *event;

        if (trip->tripped)
                reason_text(&trip->reason, RELAY_CHARGE, false, text, sizeof(text));
        event = set_alarm(b, now, alarm, trip->tripped, "%s", text);
        if (event && trip->tripped) {
                event->reason = trip->reason;
                event->reason.at = now;
        }
}

/* Two rules that light the same lamp: the first that is tripped speaks. */
static void rule_alarm_of_two(struct bms *b, usec_t now, enum alarm alarm, enum rule a, enum rule other) {
        rule_alarm(b, now, alarm, protection_tripped(&b->protection, a) ? a : other);
}

static void update_link(struct bms *b, usec_t now) {
        char text[ALARM_TEXT_MAX];

        link_place(&b->link, text, sizeof(text));
        set_alarm(b, now, ALARM_COMMUNICATION, b->link.warning || b->link.state == LINK_ERROR, "%s",
                  text[0] ? text : "the cells report a communication error");
        set_alarm(b, now, ALARM_STALE, b->link.state == LINK_STALE, "%s", text[0] ? text : "nothing usable is heard");
        set_alarm(b, now, ALARM_CURRENT_CHECK,
                  b->bad_sum_since != 0 && usec_since(b->bad_sum_last, b->bad_sum_since) >= BAD_SUM_ALARM_USEC,
                  "frames fail only the check I-sum = I1 - I2: if these boards count otherwise, "
                  "set `current_check: off` in the config");
        set_alarm(b, now, ALARM_CELL_MISSING, pack_missing_cell(&b->pack) != 0,
                  "cell %u sends no reading of its own: check its board", pack_missing_cell(&b->pack));
}

/* B12: readings that stand still while a current of more than C/20 flows. */
static void update_frozen(struct bms *b, usec_t now) {
        struct maybe c20 = soc_c_rate_ma(&b->soc, 20);
        struct maybe current = b->soc.current_ma;
        bool flows = c20.known && current.known && (current.value > c20.value || current.value < -c20.value);

        set_alarm(b, now, ALARM_FROZEN, flows && b->link.state == LINK_LIVE && pack_frozen(&b->pack, now),
                  "the readings have not changed for a minute although current flows: check the IN board");
}

static void update_soc(struct bms *b, usec_t now) {
        set_alarm(b, now, ALARM_CAPACITY_UNSET, !b->settings.values[SETTING_CAPACITY].known,
                  "the capacity is not set, so there is no state of charge: smartbmsctl set capacity ... "
                  "(75 %% of the rated Wh is advised)");
        set_alarm(b, now, ALARM_SENSOR_LOST, b->soc.sensor == SOC_SENSOR_LOST,
                  "no battery current is measured: check the current sensors; the state of charge stands still");
        set_alarm(b, now, ALARM_SENSOR_REVERSED, b->soc.sensor == SOC_SENSOR_REVERSED,
                  "the current sensor seems to be reversed: charging must show a positive current");
}

static bool near_24h(usec_t now, usec_t at) {
        return at != 0 && usec_since(now, at) < USEC_PER_DAY;
}

/* The warning lasts a day, and through a restart: it is about the cells as they were with one at V-max. */
static void warn_of_imbalance(struct bms *b, usec_t now) {
        char cells[64] = "a cell reaches V-max before another is full"; /* if an older version kept the rest */

        if (b->imbalance_highest != 0)
                (void)snprintf(cells, sizeof(cells), "cell %u reaches V-max before cell %u is full",
                               b->imbalance_highest, b->imbalance_lowest);
        set_alarm(b, now, ALARM_IMBALANCE_WARNING, near_24h(now, b->imbalance_at),
                  "imbalance: %s: charge slowly so that balancing can follow", cells);
}

/* P6 */
static void update_imbalance(struct bms *b, usec_t now) {
        const struct trip *high = &b->protection.trips[RULE_V_MAX], *low = &b->protection.trips[RULE_V_MIN];
        const struct frame *f = &b->pack.frame;
        struct maybe bypass = b->limits.v_bypass_mv;
        /* P10: with V-bypass above V-max every charge ends at V-max, however well the cells are balanced. */
        bool conflict = bypass.known && bypass.value >= b->limits.v_max_mv, three = true;

        for (size_t i = 0; i < 3; i++)
                three = three && near_24h(now, b->vmax_openings[i]);
        if (conflict) {
                memset(b->vmax_openings, 0, sizeof(b->vmax_openings));
                b->imbalance_at = 0;
        } else if (three || (high->tripped && bypass.known &&
                             (int32_t)f->lowest_mv < bypass.value - IMBALANCE_BELOW_BYPASS_MV))
                b->imbalance_at = now;
        if (high->tripped && (int32_t)f->highest_mv >= b->limits.v_max_mv) {
                b->imbalance_highest = f->highest_voltage_cell;
                b->imbalance_lowest = f->lowest_voltage_cell;
        }

        set_alarm(b, now, ALARM_IMBALANCE, high->tripped && low->tripped,
                  "imbalance: cell %u is full at %d.%03d V while cell %u is empty at %d.%03d V",
                  high->reason.cell, high->reason.value.value / 1000, high->reason.value.value % 1000,
                  low->reason.cell, low->reason.value.value / 1000, low->reason.value.value % 1000);
        warn_of_imbalance(b, now);
}

static void update_cycling(struct bms *b, usec_t now) {
        static const enum alarm alarms[_RELAY_MAX] = {
                [RELAY_CHARGE] = ALARM_CYCLING_CHARGE,
                [RELAY_LOAD] = ALARM_CYCLING_LOAD,
        };

        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                const struct relay *relay = &b->relays.relay[id];
                bool held = relay->cycling || relay->locked || relay->vmin_trips >= RELAY_VMIN_TRIPS;
                /* P6: where imbalance is the cause, imbalance is the alarm. A relay that needs `release` says so. */
                bool suppressed = id == RELAY_CHARGE && b->alarms[ALARM_IMBALANCE_WARNING].active && !relay->locked;

                set_alarm(b, now, alarms[id], held && !suppressed, "the %s relay %s", relay_name(id),
                          relay->locked
                                  ? "cycled twice within a day and stays open for 12 hours, or until "
                                            "`smartbmsctl release`"
                          : relay->cycling ? "closed six times within an hour and waits until that is over"
                                           : "opened three times by V-min without being charged in between, "
                                             "and waits for charge");
        }
}

/* P10 */
static void update_conflict(struct bms *b, usec_t now) {
        struct maybe bypass = b->limits.v_bypass_mv;

        set_alarm(b, now, ALARM_SETTINGS_CONFLICT, bypass.known && bypass.value >= b->limits.v_max_mv,
                  "V-bypass (option switches) %d mV is not below V-max %d mV: V-max governs, the pack never gets full",
                  bypass.value, b->limits.v_max_mv);
}

/* P12: the relay is open, yet the current it should have stopped flows. */
static void update_ineffective(struct bms *b, usec_t now) {
        int32_t limit = b->soc.config.blind_spot_ma > INEFFECTIVE_MIN_MA ? b->soc.config.blind_spot_ma
                                                                         : INEFFECTIVE_MIN_MA;
        const struct relay *charge = &b->relays.relay[RELAY_CHARGE], *load = &b->relays.relay[RELAY_LOAD];
        struct maybe current = b->soc.current_ma;
        bool live = b->link.state == LINK_LIVE && current.known;

        set_alarm(b, now, ALARM_INEFFECTIVE_CHARGE,
                  live && !charge->closed && usec_since(now, charge->reason.at) > INEFFECTIVE_USEC &&
                          protection_tripped(&b->protection, RULE_V_MAX) && current.value > limit,
                  "the charge relay is open, a cell is at V-max, and the pack is still being charged: "
                  "switch the charger off by hand and check its wiring");
        set_alarm(b, now, ALARM_INEFFECTIVE_LOAD,
                  live && !load->closed && usec_since(now, load->reason.at) > INEFFECTIVE_USEC &&
                          protection_tripped(&b->protection, RULE_V_MIN) && current.value < -limit,
                  "the load relay is open, a cell is at V-min, and the pack is still being discharged: "
                  "switch the load off by hand and check its wiring");
}

/* P16: commanded and confirmed are two facts. The name of a relay for which they are not the same, or NULL. */
static const char *follow_disagreement(struct bms *b, usec_t now) {
        const char *wrong = NULL;

        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                bool closed = b->relays.relay[id].closed;

                b->sticks[id] = false;
                if (!b->confirmed[id].known || (b->confirmed[id].value != 0) == closed) {
                        b->disagree_since[id] = 0;
                        continue;
                }
                if (b->disagree_since[id] == 0)
                        b->disagree_since[id] = now;
                if (usec_since(now, b->disagree_since[id]) < DISAGREE_USEC)
                        continue;
                wrong = relay_name(id);
                b->sticks[id] = !closed;
        }
        return wrong;
}

usec_t bms_disagree_deadline(const struct bms *b, usec_t now) {
        usec_t deadline = USEC_INFINITY;

        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                usec_t due = usec_add(b->disagree_since[id], DISAGREE_USEC);

                if (b->disagree_since[id] != 0 && due > now && due < deadline)
                        deadline = due;
        }
        return deadline;
}

/* For the heartbeat: a relay that does not close harms nobody, so only what may not open counts. */
bool bms_coils_obey(const struct bms *b) {
        return !b->coils_fail && !b->sticks[RELAY_CHARGE] && !b->sticks[RELAY_LOAD];
}

static void update_outputs(struct bms *b, usec_t now) {
        const char *wrong = follow_disagreement(b, now);

        if (b->relay_fault[0] != '\0' || !wrong)
                set_alarm(b, now, ALARM_RELAY_OUTPUT, b->relay_fault[0] != '\0', "%s", b->relay_fault);
        else
                set_alarm(b, now, ALARM_RELAY_OUTPUT, true,
                          "the %s relay does not obey: its feedback input disagrees with the command", wrong);
        set_alarm(b, now, ALARM_OUTPUT_PORT, b->output_fault[0] != '\0', "%s", b->output_fault);
        set_alarm(b, now, ALARM_STORAGE, b->store_fault[0] != '\0', "%s", b->store_fault);
        set_alarm(b, now, ALARM_SETTINGS, b->settings_fault[0] != '\0', "%s", b->settings_fault);
        set_alarm(b, now, ALARM_PANEL, b->panel_fault[0] != '\0', "%s", b->panel_fault);
}

/* B6: the five lights as the OUT board has them. */
static void update_monitor(struct bms *b, usec_t now) {
        set_alarm(b, now, ALARM_V_MAX, bms_monitor_bit(b, FRAME_STATUS_V_MAX), "the board reports V-max exceeded");
        set_alarm(b, now, ALARM_V_MIN, bms_monitor_bit(b, FRAME_STATUS_V_MIN), "the board reports V-min exceeded");
        set_alarm(b, now, ALARM_T_MAX, bms_monitor_bit(b, FRAME_STATUS_T_MAX), "the board reports T-max exceeded");
        set_alarm(b, now, ALARM_T_MIN, bms_monitor_bit(b, FRAME_STATUS_T_MIN), "the board reports T-min exceeded");
}

void bms_update_alarms(struct bms *b, usec_t now) {
        update_link(b, now);
        update_outputs(b, now);
        if (b->config.role == ROLE_MONITOR) {
                update_monitor(b, now);
                return;
        }
        rule_alarm(b, now, ALARM_V_MAX, RULE_V_MAX);
        rule_alarm(b, now, ALARM_V_MIN, RULE_V_MIN);
        rule_alarm_of_two(b, now, ALARM_T_MAX, RULE_T_MAX, RULE_T_MAX_CELL);
        rule_alarm_of_two(b, now, ALARM_T_MIN, RULE_T_MIN_CHARGE, RULE_T_MIN_DISCHARGE);
        update_frozen(b, now);
        update_soc(b, now);
        update_imbalance(b, now);
        update_cycling(b, now);
        update_conflict(b, now);
        update_ineffective(b, now);
}
