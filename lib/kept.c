/* SPDX-License-Identifier: MIT */
#include "kept.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bms-internal.h"

#define FIRST_LINE "smartbms-state 1\n"
#define NAME_MAX_LENGTH 48

/* S8 (j): as long as an unknown time off is taken to have been. */
#define ASSUMED_OFF_USEC USEC_PER_HOUR

/* What is kept, in the structs it comes from and goes to. */
struct kept {
        struct soc soc;
        struct relays relays;
        usec_t vmax_openings[3], imbalance_at; /* P6 */
        uint8_t imbalance_highest, imbalance_lowest;
        unsigned vmax_openings_next;
        struct maybe switches; /* pair 130, as believed (B9, P9) */
        uint8_t cells;         /* B15 */
};

/* ---- one visit for both directions ------------------------------------------------------------------------------ */

struct visit {
        /* Keeping: written so far. */
        char *text; /* NULL: taking */
        size_t length;

        /* Taking: the lines. */
        const char *from;
        char *error;
        size_t error_size;
        bool failed;
        usec_t off; /* known or assumed 0, for what is remaining */

        const char *prefix;
        usec_t now;
};

__attribute__((format(printf, 2, 3)))
static void fail(struct visit *v, const char *format, ...) {
        va_list ap;

        if (v->failed) /* the first complaint stands */
                return;
        v->failed = true;
        va_start(ap, format);
        (void)vsnprintf(v->error, v->error_size, format, ap);
        va_end(ap);
}

static void write_line(struct visit *v, const char *name, const char *value) {
        const int n = snprintf(v->text + v->length, KEPT_TEXT_MAX - v->length, "%s%s %s\n", v->prefix, name, value);

        if (n > 0 && v->length + (size_t)n < KEPT_TEXT_MAX)
                v->length += (size_t)n;
        else
                v->text[v->length] = '\0'; /* cannot be: KEPT_TEXT_MAX holds all at their longest (test-kept) */
}

/* The value behind prefix and name, up to the end of its line, or NULL. Named twice: a failure. */
static const char *find_line(struct visit *v, const char *name, size_t *ret_length) {
        char key[NAME_MAX_LENGTH];
        const char *found = NULL;
        const int n = snprintf(key, sizeof(key), "\n%s%s ", v->prefix, name);

        for (const char *at = v->from; n > 0 && (at = strstr(at, key)); at += n) {
                if (found) {
                        fail(v, "\"%s%s\" stands there twice", v->prefix, name);
                        return NULL;
                }
                found = at + n;
        }
        if (!found)
                return NULL;
        *ret_length = strcspn(found, "\n");
        return found;
}

/* A whole decimal number and nothing else. */
static bool parse_number(const char *text, size_t length, int64_t *ret) {
        const bool negative = length > 0 && text[0] == '-';
        uint64_t value = 0;

        if (length == (size_t)negative || length > 20)
                return false;
        for (size_t i = negative; i < length; i++) {
                const unsigned digit = (unsigned)text[i] - '0';

                if (digit > 9 || value > ((uint64_t)INT64_MAX - digit) / 10)
                        return false;
                value = value * 10 + digit;
        }
        *ret = negative ? -(int64_t)value : (int64_t)value;
        return true;
}

/* 0 is what is there from the beginning, and is left out. */
static void number(struct visit *v, const char *name, int64_t *value, int64_t min, int64_t max) {
        char text[24];
        const char *line;
        int64_t taken;
        size_t length;

        if (v->text) {
                if (*value != 0) {
                        (void)snprintf(text, sizeof(text), "%" PRId64, *value);
                        write_line(v, name, text);
                }
                return;
        }
        line = find_line(v, name, &length);
        if (!line)
                return;
        if (!parse_number(line, length, &taken) || taken < min || taken > max)
                fail(v, "%s%s is \"%.*s\": expected a number from %" PRId64 " to %" PRId64, v->prefix, name,
                     (int)(length < 24 ? length : 24), line, min, max);
        else
                *value = taken;
}

#define INTEGER(v, name, field, min, max)                            \
        do {                                                         \
                int64_t number_ = (int64_t)(field);                  \
                number((v), (name), &number_, (min), (max));         \
                (field) = (__typeof__(field))number_;                \
        } while (0)

/* Its line is there or not: what is not known has no value either. */
static void maybe_number(struct visit *v, const char *name, struct maybe *value, int64_t min, int64_t max) {
        int64_t number_value = value->value;
        char text[24];
        size_t length;

        if (v->text && value->known) {
                (void)snprintf(text, sizeof(text), "%" PRId32, value->value);
                write_line(v, name, text);
        }
        if (v->text || !find_line(v, name, &length))
                return;
        number(v, name, &number_value, min, max);
        *value = some((int32_t)number_value);
}

static void flag(struct visit *v, const char *name, bool *value) {
        INTEGER(v, name, *value, 0, 1);
}

/* A time in the past, kept as how long ago that is. 0 = never. */
static void past(struct visit *v, const char *name, usec_t *at) {
        int64_t ago = 0; /* plus one: what has just been is not "never" */

        if (v->text)
                ago = *at == 0 ? 0 : (int64_t)usec_since(v->now, *at) + 1;
        number(v, name, &ago, 0, INT64_MAX);
        if (v->text || ago == 0)
                return;
        *at = usec_since(v->now, usec_add(v->off, (usec_t)ago - 1));
        if (*at == 0)
                *at = 1; /* before all that our clock can say, but not never */
}

/* A time to come, kept as how long it still is until then. 0 or past = nothing to wait for. */
static void future(struct visit *v, const char *name, usec_t *until) {
        int64_t left = v->text ? (int64_t)usec_since(*until, v->now) : 0;

        number(v, name, &left, 0, (int64_t)(30 * USEC_PER_DAY));
        if (!v->text)
                *until = (usec_t)left > v->off ? usec_add(v->now, (usec_t)left - v->off) : 0;
}

/* A rule by its published name. standard is left out. */
static void rule(struct visit *v, const char *name, enum rule *value, enum rule standard) {
        const char *line;
        size_t length;

        if (v->text) {
                if (*value != standard)
                        write_line(v, name, rule_name(*value));
                return;
        }
        line = find_line(v, name, &length);
        if (!line)
                return;
        for (enum rule r = 0; r < _RULE_MAX; r++)
                if (strlen(rule_name(r)) == length && memcmp(rule_name(r), line, length) == 0) {
                        *value = r;
                        return;
                }
        fail(v, "%s%s is \"%.*s\": there is no such rule", v->prefix, name, (int)(length < 24 ? length : 24), line);
}

/* ---- the fields ------------------------------------------------------------------------------------------------- */

/* Bounds: no charge is beyond 10^16 mA*ms (soc.h), sums of them over a life not beyond 10^18. */
#define CHARGE_MAX INT64_C(10000000000000000)
#define CHARGES_MAX (100 * CHARGE_MAX)

static void visit_learning(struct visit *v, struct soc_learning *l) {
        v->prefix = "soc.learning_";
        flag(v, "begun", &l->begun);
        INTEGER(v, "counted_mams", l->counted_mams, -CHARGES_MAX, CHARGES_MAX);
        INTEGER(v, "counted_remainder", l->counted_remainder, -SOC_FINE_PER_MAMS, SOC_FINE_PER_MAMS);
        INTEGER(v, "zero_half_usec", l->zero_half_usec, 0, INT64_MAX);
        INTEGER(v, "uncounted_usec", l->uncounted_usec, 0, INT64_MAX);
        INTEGER(v, "hidden_mams", l->hidden_mams, -CHARGES_MAX, CHARGES_MAX);
        INTEGER(v, "hidden_usec", l->hidden_usec, 0, INT64_MAX);
}

static void visit_soc(struct visit *v, struct soc *s) {
        v->prefix = "soc.";
        INTEGER(v, "capacity_mams", s->capacity_mams, 0, CHARGE_MAX);
        INTEGER(v, "cells", s->config.cells, 0, CELLS_MAX);
        flag(v, "known", &s->known);
        INTEGER(v, "charge_mams", s->charge_mams, -CHARGES_MAX, CHARGE_MAX);
        INTEGER(v, "remainder", s->remainder, -SOC_FINE_PER_MAMS, SOC_FINE_PER_MAMS);
        flag(v, "calibrated", &s->calibrated);
        INTEGER(v, "sync_uncertainty_mams", s->sync_uncertainty_mams, 0, CHARGE_MAX);
        INTEGER(v, "growth_mams", s->growth_mams, 0, CHARGES_MAX);
        INTEGER(v, "growth_counted_mams", s->growth_counted_mams, 0, CHARGES_MAX);
        INTEGER(v, "growth_remainder", s->growth_remainder, -SOC_FINE_PER_MAMS, SOC_FINE_PER_MAMS);
        past(v, "last_sync", &s->last_sync);
        INTEGER(v, "uncounted_usec", s->uncounted_usec, 0, INT64_MAX);
        flag(v, "had_second_sensor", &s->had_second_sensor);
        flag(v, "reversed", &s->reversed);
        INTEGER(v, "steps", s->steps, 0, SOC_REVERSED_STEPS);
        INTEGER(v, "steps_reversed", s->steps_reversed, 0, UINT32_MAX);
        INTEGER(v, "charged_mams", s->charged_mams, 0, CHARGES_MAX);
        INTEGER(v, "idle_draw_ma", s->idle_draw_ma, 0, 1000000);
        visit_learning(v, &s->learning);
}

static void visit_reason(struct visit *v, struct reason *r) {
        rule(v, "rule", &r->rule, RULE_START);
        INTEGER(v, "rule_cell", r->cell, 0, CELLS_MAX);
        maybe_number(v, "rule_value", &r->value, INT32_MIN, INT32_MAX);
        maybe_number(v, "rule_limit", &r->limit, INT32_MIN, INT32_MAX);
        past(v, "changed", &r->at);
}

static void visit_relay(struct visit *v, struct relay *r, const char *prefix) {
        static const char *const closings[RELAY_CLOSINGS_PER_HOUR] = {"closing_1", "closing_2", "closing_3",
                                                                      "closing_4", "closing_5", "closing_6"};

        v->prefix = prefix;
        flag(v, "closed", &r->closed);
        visit_reason(v, &r->reason);
        past(v, "opened", &r->opened_at);
        flag(v, "recovery", &r->recovery);
        flag(v, "wait_for_restart", &r->wait_for_restart);
        rule(v, "v_hysteresis", &r->v_hysteresis, _RULE_MAX);
        flag(v, "t_low_hysteresis", &r->t_low_hysteresis);
        flag(v, "t_high_hysteresis", &r->t_high_hysteresis);
        future(v, "delay", &r->delay_until);
        future(v, "pause", &r->pause_until);
        flag(v, "counts", &r->counts);
        for (unsigned i = 0; i < RELAY_CLOSINGS_PER_HOUR; i++)
                past(v, closings[i], &r->closings[i]);
        INTEGER(v, "closings_next", r->closings_next, 0, RELAY_CLOSINGS_PER_HOUR - 1);
        INTEGER(v, "closings_filled", r->closings_filled, 0, RELAY_CLOSINGS_PER_HOUR);
        past(v, "cycling_since", &r->cycling_since);
        INTEGER(v, "closings_since_cycling", r->closings_since_cycling, 0, INT32_MAX);
        flag(v, "cycling", &r->cycling);
        flag(v, "locked", &r->locked);
        past(v, "locked_at", &r->locked_at);
        INTEGER(v, "vmin_trips", r->vmin_trips, 0, INT32_MAX);
        INTEGER(v, "vmin_trips_charged_mams", r->vmin_trips_charged_mams, 0, CHARGES_MAX);
}

static void visit_kept(struct visit *v, struct kept *k) {
        visit_soc(v, &k->soc);
        visit_relay(v, &k->relays.relay[RELAY_CHARGE], "charge.");
        visit_relay(v, &k->relays.relay[RELAY_LOAD], "load.");
        v->prefix = "pack.";
        past(v, "vmax_opening_1", &k->vmax_openings[0]);
        past(v, "vmax_opening_2", &k->vmax_openings[1]);
        past(v, "vmax_opening_3", &k->vmax_openings[2]);
        INTEGER(v, "vmax_openings_next", k->vmax_openings_next, 0, 2);
        past(v, "imbalance", &k->imbalance_at);
        INTEGER(v, "imbalance_highest", k->imbalance_highest, 0, CELLS_MAX);
        INTEGER(v, "imbalance_lowest", k->imbalance_lowest, 0, CELLS_MAX);
        maybe_number(v, "switches", &k->switches, 0, UINT8_MAX);
        INTEGER(v, "cells", k->cells, 0, CELLS_MAX);
}

size_t bms_keep(const struct bms *b, usec_t now, char ret_text[KEPT_TEXT_MAX]) {
        struct visit v = {.text = ret_text, .now = now};
        struct kept k = {
                .soc = b->soc,
                .relays = b->relays,
                .vmax_openings_next = b->vmax_openings_next,
                .imbalance_at = b->imbalance_at,
                .imbalance_highest = b->imbalance_highest,
                .imbalance_lowest = b->imbalance_lowest,
                .switches = b->pack.switches.believed,
                .cells = b->link.known_cells,
        };

        memcpy(k.vmax_openings, b->vmax_openings, sizeof(k.vmax_openings));
        v.length = (size_t)snprintf(ret_text, KEPT_TEXT_MAX, FIRST_LINE);
        visit_kept(&v, &k);
        return v.length;
}

/* ---- taking it ------------------------------------------------------------------------------------------------- */

/* Every line is a name, a blank and a value. */
static int check_lines(const char *text, char *ret_error, size_t size) {
        unsigned n = 1;

        if (strnlen(text, KEPT_TEXT_MAX) == KEPT_TEXT_MAX) {
                (void)snprintf(ret_error, size, "it is longer than %d characters", KEPT_TEXT_MAX - 1);
                return -EINVAL;
        }
        if (strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0) {
                (void)snprintf(ret_error, size, "the first line is not \"%.16s\"", FIRST_LINE);
                return -EINVAL;
        }
        for (const char *line = text; *line; n++) {
                const size_t length = strcspn(line, "\n"), name = strcspn(line, " \n");

                if (line[length] != '\n' || name == 0 || name + 1 >= length) {
                        (void)snprintf(ret_error, size, "line %u is no name and value", n);
                        return -EINVAL;
                }
                line += length + 1;
        }
        return 0;
}

/* What each number alone does not show, and what follows relies on. */
static void check_kept(struct visit *v, const struct kept *k) {
        const struct soc *s = &k->soc;

        if (s->capacity_mams > 0 && (s->charge_mams < 0 || s->charge_mams > s->capacity_mams))
                fail(v, "more charge is kept than the pack holds, or less than none");
        if (s->capacity_mams == 0 && s->charge_mams > 0)
                fail(v, "more charge is kept than the pack holds: soc.charge_mams is above full");
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                const struct relay *relay = &k->relays.relay[id];

                if (relay->v_hysteresis != RULE_V_MAX && relay->v_hysteresis != RULE_V_MIN &&
                    relay->v_hysteresis != _RULE_MAX)
                        fail(v, "%s.v_hysteresis is \"%s\": expected V-max or V-min", relay_name(id),
                             rule_name(relay->v_hysteresis));
                if (relay->vmin_trips_charged_mams > s->charged_mams)
                        fail(v, "%s.vmin_trips_charged_mams is more than soc.charged_mams", relay_name(id));
        }
        if (k->cells != 0 && k->cells < CELLS_MIN)
                fail(v, "pack.cells is \"%u\": expected %d to %d", k->cells, CELLS_MIN, CELLS_MAX);
}

static int read_kept(const char *text, usec_t now, struct maybe64 off_usec, struct kept *ret_kept, char *ret_error,
                     size_t size) {
        struct visit v = {
                .from = text, .now = now, .off = off_usec.known ? (usec_t)off_usec.value : 0,
                .error = ret_error, .error_size = size,
        };
        int r;

        r = check_lines(text, ret_error, size);
        if (r < 0)
                return r;
        memset(ret_kept, 0, sizeof(*ret_kept));
        relays_init(&ret_kept->relays);
        visit_kept(&v, ret_kept);
        check_kept(&v, ret_kept);
        return v.failed ? -EINVAL : 0;
}

/* What belongs to this run stays: the newest reading and what is timed by it. False: a sync or a person since the
 * start knows better what is in the pack; what S4 estimates from a voltage does not. */
static bool take_soc(struct bms *b, const struct kept *k) {
        const struct soc *from = &k->soc;
        struct soc *to = &b->soc;

        to->had_second_sensor = to->had_second_sensor || from->had_second_sensor;
        to->charged_mams += from->charged_mams;
        to->idle_draw_ma = from->idle_draw_ma;
        if (to->calibrated || (to->known && (!to->estimated || !from->known))) {
                to->learning.hidden_mams += from->learning.hidden_mams;
                to->learning.hidden_usec += from->learning.hidden_usec;
                return false;
        }
        to->learning = from->learning;
        to->capacity_mams = from->capacity_mams;
        if (to->config.cells == 0) /* not learned, nor heard yet: as many as they were */
                to->config.cells = from->config.cells;
        to->known = from->known;
        to->charge_mams = from->charge_mams;
        to->remainder = from->remainder;
        to->calibrated = from->calibrated;
        to->estimated = false;
        to->sync_uncertainty_mams = from->sync_uncertainty_mams;
        to->growth_mams = from->growth_mams;
        /* a part of the growth; none in what an older version wrote: then all of it adds up (S6) */
        to->growth_counted_mams =
                from->growth_counted_mams < from->growth_mams ? from->growth_counted_mams : from->growth_mams;
        to->growth_remainder = from->growth_remainder;
        to->last_sync = from->last_sync;
        to->uncounted_usec = from->uncounted_usec;
        to->reversed = from->reversed;
        to->steps = from->steps;
        to->steps_reversed = from->steps_reversed;
        if (from->reversed && to->sensor == SOC_SENSOR_OK)
                to->sensor = SOC_SENSOR_REVERSED;
        return true;
}

static usec_t later(usec_t a, usec_t b) {
        return a > b ? a : b;
}

/* A trip since the start has left its flags on the open relay: they hold beside what was kept. */
static void take_relay(struct relay *to, const struct relay *from) {
        const bool found_closed = to->reason.rule == RULE_FEEDBACK;
        struct relay taken = *from;

        /* P13: driven open by the start. What was open before is open for its old reason still (P14, P15). */
        taken.closed = taken.by_recover = false;
        taken.clear_frames = 0;
        taken.drained_since = to->drained_since;
        if (from->closed || found_closed) {
                taken.reason = to->reason;
                taken.opened_at = to->opened_at;
                taken.recovery = to->recovery;
        }
        taken.wait_for_restart = taken.wait_for_restart || to->wait_for_restart;
        taken.counts = taken.counts || to->counts;
        taken.t_low_hysteresis = taken.t_low_hysteresis || to->t_low_hysteresis;
        taken.t_high_hysteresis = taken.t_high_hysteresis || to->t_high_hysteresis;
        if (to->v_hysteresis != _RULE_MAX)
                taken.v_hysteresis = to->v_hysteresis;
        taken.delay_until = later(taken.delay_until, to->delay_until);
        taken.pause_until = later(taken.pause_until, to->pause_until);
        *to = taken;
}

/* P2, P5: V-min has tripped since the start, and ends what only guards a full pack: an empty one must be chargeable. */
static void end_guard_of_full(struct relay *charge) {
        charge->wait_for_restart = charge->locked = false;
        charge->v_hysteresis = _RULE_MAX;
        charge->pause_until = charge->cycling_since = 0;
        charge->closings_since_cycling = 0;
}

static void take_relays(struct bms *b, const struct kept *k) {
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                struct relay *to = &b->relays.relay[id];

                if (to->closed) { /* its own latch, but charge is counted from the same zero (P5) */
                        to->vmin_trips_charged_mams += k->soc.charged_mams;
                        continue;
                }
                take_relay(to, &k->relays.relay[id]);
                if (id == RELAY_CHARGE && protection_tripped(&b->protection, RULE_V_MIN))
                        end_guard_of_full(to);
        }
}

/* P6: those of the run before are the older ones. */
static void take_vmax_openings(struct bms *b, const struct kept *k) {
        const usec_t *const rings[] = {k->vmax_openings, b->vmax_openings};
        const unsigned next[] = {k->vmax_openings_next, b->vmax_openings_next};
        usec_t merged[3] = {0, 0, 0};
        unsigned n = 0;

        for (unsigned run = 0; run < 2; run++)
                for (unsigned i = 0; i < 3; i++) {
                        const usec_t at = rings[run][(next[run] + i) % 3];

                        if (at != 0)
                                merged[n++ % 3] = at;
                }
        memcpy(b->vmax_openings, merged, sizeof(merged));
        b->vmax_openings_next = n % 3;
}

static void take_pack(struct bms *b, const struct kept *k, bool full_since_start) {
        if (!full_since_start) { /* which ends it (P6) */
                b->imbalance_at = later(b->imbalance_at, k->imbalance_at);
                if (b->imbalance_highest == 0) { /* else seen since the start */
                        b->imbalance_highest = k->imbalance_highest;
                        b->imbalance_lowest = k->imbalance_lowest;
                }
                take_vmax_openings(b, k);
        }
        if (!b->pack.switches.believed.known)
                b->pack.switches.believed = k->switches;
        if (b->link.known_cells == 0)
                b->link.known_cells = k->cells;
}

static void span_text(usec_t span, char *ret_text, size_t size) {
        const unsigned long long s = span / USEC_PER_SEC;

        if (s < 120)
                (void)snprintf(ret_text, size, "%llu s", s);
        else if (s < 7200)
                (void)snprintf(ret_text, size, "%llu min", s / 60);
        else if (s < 2 * 86400)
                (void)snprintf(ret_text, size, "%llu h %llu min", s / 3600, s / 60 % 60);
        else
                (void)snprintf(ret_text, size, "%llu days %llu h", s / 86400, s / 3600 % 24);
}

static void report_start(struct bms *b, usec_t now, struct maybe64 off_usec) {
        struct event *event = bms_push_event(b, now, EVENT_STARTED, 0);
        const struct maybe soc = soc_permyriad(&b->soc);
        char off[48] = "an unknown time", charge[48] = "";

        if (off_usec.known)
                span_text((usec_t)off_usec.value, off, sizeof(off));
        if (soc.known)
                (void)snprintf(charge, sizeof(charge), ", state of charge %d.%d %%", (int)(soc.value / 100),
                               (int)(soc.value / 10 % 10));
        (void)snprintf(event->text, sizeof(event->text), "started again after %s%s", off, charge);
}

int bms_restore(struct bms *b, usec_t now, const char *text, struct maybe64 off_usec, char *ret_error, size_t size) {
        const bool full_since_start = b->soc.calibrated;
        struct soc_config config;
        struct kept k;
        bool soc_taken;
        int r;

        if (off_usec.known && off_usec.value < 0)
                off_usec = none64();
        r = read_kept(text, now, off_usec, &k, ret_error, size);
        if (r < 0)
                return r;

        soc_taken = take_soc(b, &k);
        take_relays(b, &k);
        take_pack(b, &k, full_since_start);
        b->limits = limits_from(&b->settings, &b->pack);
        config = bms_soc_config(b);
        soc_configure(&b->soc, &config); /* as a fraction, should the capacity be another by now */
        if (soc_taken && off_usec.known)
                soc_time_off(&b->soc, (usec_t)off_usec.value);
        else if (soc_taken)
                soc_assume_time_off(&b->soc, ASSUMED_OFF_USEC);
        b->state_awaited = false;
        b->restored_at = now;
        b->time_off_assumed = !off_usec.known;
        report_start(b, now, off_usec);
        bms_update_alarms(b, now);
        return 0;
}

void bms_time_off_known(struct bms *b, usec_t now, usec_t since_kept_usec) {
        const usec_t off_usec = usec_since(since_kept_usec, usec_since(now, b->restored_at));
        char off[48];

        if (!b->time_off_assumed)
                return;
        b->time_off_assumed = false;
        soc_correct_time_off(&b->soc, off_usec);
        span_text(off_usec, off, sizeof(off));
        (void)snprintf(bms_push_event(b, now, EVENT_STARTED, 0)->text, ALARM_TEXT_MAX,
                       "the clock is set: it had been off for %s before the start", off);
}

void bms_restore_nothing(struct bms *b, usec_t now) {
        if (b->state_awaited)
                (void)snprintf(bms_push_event(b, now, EVENT_STARTED, 0)->text, ALARM_TEXT_MAX,
                               "started, with nothing known of an earlier run");
        b->state_awaited = false;
}
