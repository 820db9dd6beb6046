/* SPDX-License-Identifier: MIT */
#include "story.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kept.h"
#include "names.h"

void story_time(usec_t at, char *ret_text, size_t size) {
        unsigned long long tenths = usec_since(at, STORY_BEGIN) / (USEC_PER_SEC / 10);
        unsigned long long seconds = tenths / 10;

        (void)snprintf(ret_text, size, "%llud %02llu:%02llu:%02llu.%llu", seconds / 86400, seconds / 3600 % 24,
                       seconds / 60 % 60, seconds % 60, tenths % 10);
}

void story_note(struct story *s, const char *format, ...) {
        struct trace_line *line = &s->trace[s->n_trace++ % STORY_TRACE_MAX];
        char time[32];
        va_list ap;

        line->at = s->now;
        va_start(ap, format);
        (void)vsnprintf(line->text, sizeof(line->text), format, ap);
        va_end(ap);
        if (!s->verbose)
                return;
        story_time(line->at, time, sizeof(time));
        (void)printf("  %s  %s\n", time, line->text);
}

const struct snapshot *story_snapshot(struct story *s) {
        if (!s->snapshot_fresh)
                bms_snapshot(&s->bms, s->now, &s->snapshot);
        s->snapshot_fresh = true;
        return &s->snapshot;
}

void story_init(struct story *s, const char *path) {
        memset(s, 0, sizeof(*s));
        s->path = path;
        simulation_config_init(&s->pack);
        s->config = (struct bms_config){
                .role = ROLE_GATEWAY,
                .current_check = true,
                .blind_spot_ma = 1000,
                .mapped = {true, true},
        };
        settings_init(&s->config.settings);
}

int story_start(struct story *s, char *ret_error, size_t size) {
        if (s->started)
                return 0;
        if (simulation_config_check(&s->pack, ret_error, size) < 0 ||
            settings_check(&s->config.settings, some(s->pack.v_bypass_mv), ret_error, size) < 0)
                return -EINVAL;
        simulation_init(&s->simulation, &s->pack);
        s->now = s->next_step = STORY_BEGIN;
        bms_init(&s->bms, s->now, &s->config);
        s->started = true;
        return 0;
}

/* Closings in the hour up to now, which include the newest. */
static void count_rate(struct story *s, enum relay_id id) {
        unsigned in_hour = 0;

        for (size_t i = s->n_changes < STORY_CHANGES_MAX ? s->n_changes : STORY_CHANGES_MAX; i-- > 0;) {
                if (usec_since(s->now, s->changes[i].at) >= USEC_PER_HOUR)
                        break;
                in_hour += s->changes[i].relay == id && s->changes[i].closed;
        }
        if (in_hour > s->rate[id])
                s->rate[id] = in_hour;
}

static void move_relay(struct story *s, const struct event *event) {
        enum relay_id id = (enum relay_id)event->subject;
        bool closed = event->kind == EVENT_RELAY_CLOSED;

        if (s->n_changes < STORY_CHANGES_MAX)
                s->changes[s->n_changes] = (struct change){.at = event->at, .relay = id, .closed = closed};
        s->n_changes++;
        count_rate(s, id);
        story_note(s, "%s relay %s: %s", relay_name(id), closed ? "CLOSED" : "OPEN", event->text);
        if (s->free[id])
                return;
        if (s->awaited[id]) {
                s->awaited[id] = false; /* once */
                return;
        }
        if (!s->surprise)
                (void)snprintf(s->surprise_text, sizeof(s->surprise_text), "the %s relay %s unasked: %.150s",
                               relay_name(id), closed ? "closed" : "opened", event->text);
        s->surprise = true;
}

static void take_events(struct story *s) {
        struct event event;

        while (bms_next_event(&s->bms, &event))
                switch (event.kind) {
                case EVENT_RELAY_OPENED:
                case EVENT_RELAY_CLOSED:
                        move_relay(s, &event);
                        break;
                case EVENT_ALARM_RAISED:
                        story_note(s, "alarm %s: %s", alarm_name((enum alarm)event.subject), event.text);
                        break;
                case EVENT_ALARM_CLEARED:
                        story_note(s, "alarm %s is over", alarm_name((enum alarm)event.subject));
                        break;
                case EVENT_LINK:
                case EVENT_FULL_SYNC:
                case EVENT_EMPTY_SYNC:
                case EVENT_CELLS_LEARNED:
                case EVENT_RECOVER:
                case EVENT_STARTED:
                case EVENT_STOPPED:
                case EVENT_SETTING:
                case EVENT_SETTINGS_CONFIRMED:
                case EVENT_COMMAND:
                case EVENT_ENERGY_CLEARED:
                case EVENT_STORE:
                case EVENT_PHONE:
                        story_note(s, "%s", event.text);
                        break;
                case _EVENT_MAX:
                        break;
                }
        s->snapshot_fresh = false;
}

/* One step of the pack, or one tick of the gateway, whichever is due. Latching contacts keep their place while the
 * gateway is off only until its start drives them open; the unit file's ExecStopPost opens them at once: open. */
static void advance(struct story *s, usec_t until) {
        bool closed[_RELAY_MAX];
        uint8_t wire[FAULTS_WIRE_MAX];
        usec_t due = s->off ? USEC_INFINITY : bms_deadline(&s->bms, s->now);
        size_t n;

        if (due < s->next_step && due < until) {
                s->now = due;
                bms_tick(&s->bms, s->now);
                take_events(s);
                return;
        }
        if (s->next_step >= until) {
                s->now = until;
                return;
        }

        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                closed[id] = !s->off && bms_relay_closed(&s->bms, id);
        if (s->series)
                closed[RELAY_CHARGE] = closed[RELAY_LOAD] = closed[RELAY_CHARGE] && closed[RELAY_LOAD];

        s->now = s->next_step;
        s->next_step += simulation_step_usec(&s->simulation);
        n = simulation_step(&s->simulation, closed[RELAY_CHARGE], closed[RELAY_LOAD], wire);
        if (n == 0 || s->off)
                return;
        (void)bms_bytes(&s->bms, s->now, wire, n);
        s->frame_at = s->now;
        take_events(s);
}

static int look(struct story *s, char *ret_error, size_t size) {
        char what[STORY_LINE_MAX];

        if (s->surprise) {
                (void)snprintf(ret_error, size, "%s", s->surprise_text);
                return -EBADMSG;
        }
        for (size_t i = 0; i < s->n_always; i++) {
                if (story_holds(s, &s->always[i]))
                        continue;
                (void)story_explain(s, &s->always[i], what, sizeof(what));
                (void)snprintf(ret_error, size, "no longer true, as line %d demands: %s (%s)", s->always[i].line,
                               s->always[i].text, what);
                return -EBADMSG;
        }
        return 0;
}

int story_play(struct story *s, usec_t until, const struct condition *condition, char *ret_error, size_t size) {
        int r;

        if (condition)
                for (size_t i = 0; i < condition->n; i++)
                        if (condition->terms[i].kind == TERM_RELAY)
                                s->awaited[condition->terms[i].relay] = true;
        for (;;) {
                s->snapshot_fresh = false;
                r = look(s, ret_error, size);
                if (r < 0 || (condition && story_holds(s, condition))) {
                        r = r < 0 ? r : 1;
                        break;
                }
                if (s->now >= until)
                        break;
                advance(s, until);
        }
        memset(s->awaited, 0, sizeof(s->awaited));
        return r;
}

int story_restart(struct story *s, usec_t duration, char *ret_error, size_t size) {
        bool was_closed[_RELAY_MAX];
        char kept[KEPT_TEXT_MAX];
        const usec_t stopped = s->now;
        int r;

        (void)bms_keep(&s->bms, s->now, kept);
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                was_closed[id] = bms_relay_closed(&s->bms, id);
        s->config.settings = s->bms.settings;
        s->config.learned_cells = s->bms.link.known_cells;
        s->off = true;
        story_note(s, "the gateway is stopped: both relays open");
        r = story_play(s, s->now + duration, NULL, ret_error, size);
        s->off = false;
        if (r < 0)
                return r;
        bms_init(&s->bms, s->now, &s->config);
        r = bms_restore(&s->bms, s->now, kept, some64((int64_t)(s->now - stopped)), ret_error, size);
        if (r < 0)
                return r;
        for (enum relay_id id = 0; id < _RELAY_MAX; id++)
                if (was_closed[id] && s->n_changes < STORY_CHANGES_MAX)
                        s->changes[s->n_changes++] = (struct change){.at = s->now, .relay = id};
        story_note(s, "the gateway starts");
        return 0;
}
