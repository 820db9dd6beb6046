/* SPDX-License-Identifier: MIT */
#include "phone-past.h"

#include <string.h>

#define PERMYRIAD_PER_PERCENT 100

void phone_past_init(struct phone_past *p) {
        *p = (struct phone_past){.n_faults = 0};
        memset(p->soc_hours, PHONE_SOC_NONE, sizeof(p->soc_hours));
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

/* T-min for charging, and a single T-min, are the same to a phone. */
static enum phone_fault_kind kind_of_alarm(const struct event *e) {
        switch ((enum alarm)e->subject) {
        case ALARM_COMMUNICATION:
        case ALARM_STALE:
                return PHONE_FAULT_COMMUNICATION;
        case ALARM_V_MAX:
                return PHONE_FAULT_V_HIGH;
        case ALARM_V_MIN:
                return PHONE_FAULT_V_LOW;
        case ALARM_T_MAX:
                return PHONE_FAULT_T_HIGH;
        case ALARM_T_MIN:
                return event_has_reason(e) && e->reason.rule == RULE_T_MIN_DISCHARGE ? PHONE_FAULT_T_LOW_DISCHARGING :
                                                                                       PHONE_FAULT_T_LOW_CHARGING;
        default:
                return PHONE_FAULT_NONE;
        }
}

static enum phone_fault_kind kind_of(const struct event *e) {
        if (e->kind == EVENT_ALARM_RAISED)
                return kind_of_alarm(e);
        if (e->kind == EVENT_RELAY_OPENED && e->subject == RELAY_LOAD && e->reason.rule == RULE_T_MIN_DISCHARGE)
                return PHONE_FAULT_T_LOW_DISCHARGING;
        return PHONE_FAULT_NONE;
}

static bool is_cold(enum phone_fault_kind kind) {
        return kind == PHONE_FAULT_T_LOW_CHARGING || kind == PHONE_FAULT_T_LOW_DISCHARGING;
}

static struct phone_fault make(const struct event *e, enum phone_fault_kind kind) {
        struct phone_fault f = {.kind = kind};

        if (!event_has_reason(e))
                return f;
        if (e->reason.cell > 0)
                f.cell = some(e->reason.cell);
        if (kind == PHONE_FAULT_V_LOW || kind == PHONE_FAULT_V_HIGH)
                f.voltage_mv = e->reason.value;
        else if (kind != PHONE_FAULT_COMMUNICATION)
                f.temperature_decic = e->reason.value;
        return f;
}

/* One too cold for charging and discharging is told of twice at once: by the alarm and by the load relay. */
static bool same_fault(const struct past_fault *a, const struct past_fault *b) {
        const enum phone_fault_kind x = a->fault.kind, y = b->fault.kind;

        return a->at == b->at && a->wall_usec.known == b->wall_usec.known && a->wall_usec.value == b->wall_usec.value &&
               (a->at != 0 || a->wall_usec.known) && (x == y || (is_cold(x) && is_cold(y)));
}

static void take(struct phone_past *p, const struct event *e, usec_t at, struct maybe64 wall_usec) {
        const enum phone_fault_kind kind = kind_of(e);
        struct past_fault f = {.at = at, .wall_usec = wall_usec};

        if (kind == PHONE_FAULT_NONE)
                return;
        f.fault = make(e, kind);
        if (p->n_faults > 0 && same_fault(&p->faults[0], &f)) {
                if (e->kind == EVENT_ALARM_RAISED) /* the lamp that is lit has the word */
                        p->faults[0] = f;
                return;
        }
        if (p->n_faults < PHONE_FAULTS_MAX)
                p->n_faults++;
        memmove(p->faults + 1, p->faults, (p->n_faults - 1) * sizeof(p->faults[0]));
        p->faults[0] = f;
}

void phone_past_event(struct phone_past *p, const struct event *event) {
        take(p, event, event->at, none64());
}

void phone_past_event_of_other_boot(struct phone_past *p, const struct event *event, struct maybe64 wall_usec) {
        take(p, event, 0, wall_usec);
}

void phone_past_put_behind(struct phone_past *p, const struct phone_past *older) {
        for (size_t i = 0; i < older->n_faults && p->n_faults < PHONE_FAULTS_MAX; i++)
                p->faults[p->n_faults++] = older->faults[i];
}

size_t phone_past_faults(const struct phone_past *p, struct maybe64 zero_usec,
                         struct phone_fault ret_faults[PHONE_FAULTS_MAX]) {
        for (size_t i = 0; i < p->n_faults; i++) {
                const struct past_fault *f = &p->faults[i];
                struct maybe64 wall_usec = f->wall_usec;

                if (f->at != 0)
                        wall_usec = zero_usec.known ? some64(zero_usec.value + (int64_t)f->at) : none64();
                ret_faults[i] = f->fault;
                ret_faults[i].wall_sec = wall_usec.known ? some64(wall_usec.value / (int64_t)USEC_PER_SEC) : none64();
        }
        return p->n_faults;
}

/* ---- state of charge --------------------------------------------------------------------------------------------- */

static int64_t hour_of(int64_t wall_usec) {
        return wall_usec / (int64_t)USEC_PER_HOUR;
}

static uint8_t *place(struct phone_past *p, int64_t hour) {
        return &p->soc_hours[hour % (int64_t)PHONE_SOC_HOURS];
}

/* The newest hour is this one: those between, and those that a clock turned back has taken away, are not known. */
static void go_to(struct phone_past *p, int64_t hour) {
        const int64_t old = p->newest_hour.known ? p->newest_hour.value : hour - 1;
        const int64_t first = hour > old ? old + 1 : hour + 1, last = hour > old ? hour : old;

        p->newest_hour = some64(hour);
        if (last - first >= (int64_t)PHONE_SOC_HOURS) {
                memset(p->soc_hours, PHONE_SOC_NONE, sizeof(p->soc_hours));
                return;
        }
        for (int64_t i = first; i <= last; i++)
                *place(p, i) = PHONE_SOC_NONE;
}

void phone_past_soc(struct phone_past *p, int64_t wall_usec, struct maybe soc_permyriad) {
        const int64_t hour = hour_of(wall_usec);

        if (wall_usec < 0)
                return;
        if (!p->newest_hour.known || p->newest_hour.value != hour)
                go_to(p, hour);
        if (soc_permyriad.known)
                *place(p, hour) = (uint8_t)(soc_permyriad.value / PERMYRIAD_PER_PERCENT);
}

void phone_past_soc_was(struct phone_past *p, int64_t wall_usec, struct maybe soc_permyriad) {
        const int64_t hour = hour_of(wall_usec);

        if (wall_usec < 0 || !soc_permyriad.known || !p->newest_hour.known || hour > p->newest_hour.value ||
            p->newest_hour.value - hour >= (int64_t)PHONE_SOC_HOURS || *place(p, hour) != PHONE_SOC_NONE)
                return;
        *place(p, hour) = (uint8_t)(soc_permyriad.value / PERMYRIAD_PER_PERCENT);
}
