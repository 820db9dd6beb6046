/* SPDX-License-Identifier: MIT */
#include "story.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "names.h"

const char *const story_numbers[] = {"soc",     "uncertainty", "truth",     "error",     "lowest",
                                     "highest", "current",     "idle-draw", "bypassing", NULL};
enum { SOC, UNCERTAINTY, TRUTH, ERROR, LOWEST, HIGHEST, CURRENT, IDLE_DRAW, BYPASSING };

const char *const story_flags[] = {"calibrated", "recovering", "covered", "heartbeat", NULL};
enum { CALIBRATED, RECOVERING, COVERED, HEARTBEAT };

/* Cells above 100 or below 0 % have no other name for it than full and empty. */
static double truth(const struct story *s) {
        return fmin(100, fmax(0, simulation_soc(&s->simulation)));
}

static double scaled(struct maybe m, double by) {
        return m.known ? m.value / by : NAN;
}

static double number(const struct story *s, int which) {
        const struct bms *b = &s->bms;
        struct maybe heard = b->pack.frame_at != 0 ? some(0) : none();
        double bypassing = 0;

        switch (which) {
        case SOC:
                return scaled(soc_permyriad(&b->soc), 100);
        case UNCERTAINTY:
                return scaled(soc_uncertainty_permyriad(&b->soc), 100);
        case TRUTH:
                return truth(s);
        case ERROR:
                return scaled(soc_permyriad(&b->soc), 100) - truth(s);
        case LOWEST:
                return heard.known ? b->pack.frame.lowest_mv / 1000.0 : NAN;
        case HIGHEST:
                return heard.known ? b->pack.frame.highest_mv / 1000.0 : NAN;
        case CURRENT:
                return scaled(b->soc.current_ma, 1000);
        case IDLE_DRAW:
                return b->soc.idle_draw_ma / 1000.0;
        case BYPASSING:
                for (int i = 1; i <= s->pack.cells; i++)
                        bypassing += s->simulation.cells[i].bypass;
                return bypassing;
        default:
                return NAN;
        }
}

static uint32_t holds_now(struct story *s, enum relay_id id) {
        const struct relay_snapshot *r = &story_snapshot(s)->relays[id];
        uint32_t set = 0;

        for (size_t i = 0; i < r->n_holds; i++)
                set |= 1u << r->holds[i].kind;
        return set;
}

static uint32_t alarms_now(const struct story *s) {
        uint32_t set = 0;

        for (int i = 0; i < _ALARM_MAX; i++)
                set |= s->bms.alarms[i].active ? 1u << i : 0;
        return set;
}

static unsigned moves(const struct story *s, enum relay_id id, bool closed) {
        unsigned n = 0;

        for (size_t i = s->counted_from; i < s->n_changes && i < STORY_CHANGES_MAX; i++)
                n += s->changes[i].relay == id && s->changes[i].closed == closed;
        return n;
}

static bool flag(struct story *s, int which) {
        switch (which) {
        case CALIBRATED:
                return s->bms.soc.calibrated;
        case RECOVERING:
                return s->bms.recover_until != 0;
        case COVERED: /* an unknown SOC claims nothing */
                return isnan(number(s, SOC)) || fabs(number(s, ERROR)) <= number(s, UNCERTAINTY);
        case HEARTBEAT:
                return story_snapshot(s)->deadman;
        default:
                return false;
        }
}

static bool within(const struct term *t, double value) {
        /* half a thousandth, so that 3.65 is 3.65 */
        return value >= t->low - 0.0005 && value <= t->high + 0.0005;
}

static bool relay_is(const struct story *s, const struct term *t) {
        const struct relay *r = &s->bms.relays.relay[t->relay];

        return r->closed == t->closed && (t->rule < 0 || (int)r->reason.rule == t->rule) &&
               (t->cell == 0 || r->reason.cell == t->cell);
}

static bool term_holds(struct story *s, const struct term *t) {
        switch (t->kind) {
        case TERM_RELAY:
                return relay_is(s, t);
        case TERM_WHY:
                return holds_now(s, t->relay) == t->set;
        case TERM_WHY_AMONG:
                return (holds_now(s, t->relay) & t->set) == t->set;
        case TERM_ALARM:
                return (alarms_now(s) & t->set) != 0;
        case TERM_ALARMS:
                return alarms_now(s) == t->set;
        case TERM_NAMES:
                return s->bms.alarms[t->which].active && strstr(s->bms.alarms[t->which].text, t->text) != NULL;
        case TERM_NUMBER:
                return t->unknown ? isnan(number(s, t->which)) : within(t, number(s, t->which));
        case TERM_RATE:
                return within(t, s->rate[t->relay]);
        case TERM_MOVES:
                return within(t, moves(s, t->relay, t->closed));
        case TERM_FLAG:
                return flag(s, t->which);
        case TERM_LINK:
                return (int)s->bms.link.state == t->which;
        }
        return false;
}

bool story_holds(struct story *s, const struct condition *condition) {
        for (size_t i = 0; i < condition->n; i++)
                if (term_holds(s, &condition->terms[i]) == condition->terms[i].negated)
                        return false;
        return true;
}

static void put_alarms(const struct story *s, char *ret_text, size_t size) {
        size_t at;

        (void)snprintf(ret_text, size, "alarms:");
        for (int i = 0; i < _ALARM_MAX; i++) {
                at = strlen(ret_text);
                if (s->bms.alarms[i].active)
                        (void)snprintf(ret_text + at, size - at, " %s", alarm_name((enum alarm)i));
        }
        at = strlen(ret_text);
        if (alarms_now(s) == 0)
                (void)snprintf(ret_text + at, size - at, " none");
}

static void put_holds(struct story *s, enum relay_id id, char *ret_text, size_t size) {
        const struct relay_snapshot *r = &story_snapshot(s)->relays[id];

        (void)snprintf(ret_text, size, "held by:%s", r->n_holds == 0 ? " nothing" : "");
        for (size_t i = 0; i < r->n_holds; i++) {
                size_t at = strlen(ret_text);

                (void)snprintf(ret_text + at, size - at, " %s", hold_name(r->holds[i].kind));
        }
}

static void put_relay(const struct story *s, enum relay_id id, char *ret_text, size_t size) {
        const struct relay *r = &s->bms.relays.relay[id];
        char why[128];

        reason_text(&r->reason, id, r->closed, why, sizeof(why));
        (void)snprintf(ret_text, size, "%s %s by %s: %s", relay_name(id), r->closed ? "closed" : "open",
                       rule_name(r->reason.rule), why);
}

/* What there is, for a term. */
static void put_actual(struct story *s, const struct term *t, char *ret_text, size_t size) {
        switch (t->kind) {
        case TERM_RELAY:
                put_relay(s, t->relay, ret_text, size);
                return;
        case TERM_WHY:
        case TERM_WHY_AMONG:
                put_holds(s, t->relay, ret_text, size);
                return;
        case TERM_ALARM:
        case TERM_ALARMS:
                put_alarms(s, ret_text, size);
                return;
        case TERM_NAMES:
                (void)snprintf(ret_text, size, "%s",
                               s->bms.alarms[t->which].active ? s->bms.alarms[t->which].text : "no such alarm");
                return;
        case TERM_NUMBER:
                (void)snprintf(ret_text, size, "%s is %g", story_numbers[t->which], number(s, t->which));
                return;
        case TERM_RATE:
                (void)snprintf(ret_text, size, "%u in one hour", s->rate[t->relay]);
                return;
        case TERM_MOVES:
                (void)snprintf(ret_text, size, "%u", moves(s, t->relay, t->closed));
                return;
        case TERM_FLAG:
                (void)snprintf(ret_text, size, "%s: %s; SOC %g +- %g, truth %g", story_flags[t->which],
                               flag(s, t->which) ? "yes" : "no", number(s, SOC), number(s, UNCERTAINTY), truth(s));
                return;
        case TERM_LINK:
                (void)snprintf(ret_text, size, "link %s", link_state_name(s->bms.link.state));
                return;
        }
}

bool story_explain(struct story *s, const struct condition *condition, char *ret_text, size_t size) {
        (void)snprintf(ret_text, size, "it is so");
        for (size_t i = 0; i < condition->n; i++)
                if (term_holds(s, &condition->terms[i]) == condition->terms[i].negated) {
                        put_actual(s, &condition->terms[i], ret_text, size);
                        return false;
                }
        return true;
}
