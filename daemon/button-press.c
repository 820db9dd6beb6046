/* SPDX-License-Identifier: MIT */
#include "button-press.h"

void press_init(struct press *p, usec_t now, usec_t debounce_usec, bool level, bool start) {
        *p = (struct press){
                .debounce_usec = debounce_usec,
                .level = level,
                .level_since = now,
                .down = level,
                .down_since = now,
                .told = !start,
                .at_start = level && start,
        };
}

static usec_t needed(const struct press *p) {
        return p->at_start ? BUTTON_START_USEC : BUTTON_HOLD_USEC;
}

/* Down until then: has that been long enough? */
static enum button_press held_until(struct press *p, usec_t until) {
        if (p->told || usec_since(until, p->down_since) < needed(p))
                return BUTTON_NONE;
        p->told = true;
        return p->at_start ? BUTTON_HELD_AT_START : BUTTON_HELD;
}

/* The new level has lasted long enough to count. */
static enum button_press settle(struct press *p) {
        enum button_press press;

        p->down = p->level;
        if (p->down) {
                p->down_since = p->level_since;
                p->told = p->at_start = false;
                return BUTTON_NONE;
        }
        press = held_until(p, p->level_since);
        /* Released early after the start: nobody meant anything by that. */
        return press != BUTTON_NONE || p->told || p->at_start ? press : BUTTON_SHORT;
}

enum button_press press_time(struct press *p, usec_t now) {
        enum button_press press = BUTTON_NONE;

        if (p->level != p->down && usec_since(now, p->level_since) >= p->debounce_usec)
                press = settle(p);
        if (press == BUTTON_NONE && p->down)
                press = held_until(p, p->level ? now : p->level_since);
        return press;
}

enum button_press press_edge(struct press *p, usec_t at, bool level) {
        enum button_press press = press_time(p, at);

        p->level = level;
        p->level_since = at;
        return press;
}

usec_t press_due(const struct press *p) {
        if (p->level != p->down)
                return usec_add(p->level_since, p->debounce_usec);
        return p->down && !p->told ? usec_add(p->down_since, needed(p)) : USEC_INFINITY;
}
