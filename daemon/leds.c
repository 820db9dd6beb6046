/* SPDX-License-Identifier: MIT */
#include "leds.h"

#include <errno.h>
#include <stdlib.h>

#include "gpio-optional.h"

struct leds {
        struct gpio_optional lines[_LED_MAX];
        bool lit[_LED_MAX];
        usec_t last_message; /* 0 = none yet */
};

static const char *const led_names[_LED_MAX] = {
        [LED_INFO] = "info LED",
        [LED_CHARGE] = "charge LED",
        [LED_LOAD] = "load LED",
};

static void light(struct leds *l, usec_t now, enum led led, bool lit) {
        if (l->lit[led] == lit)
                return;
        l->lit[led] = lit;
        gpio_optional_set(&l->lines[led], now, lit);
}

/* As far as it is known: an LED must not say of a relay that sticks what it was told to do (P16). */
static bool contact_closed(const struct relay_snapshot *relay) {
        return relay->confirmed.known ? relay->confirmed.value != 0 : relay->closed;
}

static bool bypassing(const struct snapshot *s) {
        return !s->data_stale && s->v_bypass_mv.known && s->highest_mv.known &&
               s->highest_mv.value >= s->v_bypass_mv.value;
}

/* Nothing for as long as makes a link stale (B10): a lit LED would look as if it were meant. */
static bool silent(const struct leds *l, usec_t now, const struct snapshot *s) {
        return l->last_message == 0 ||
               usec_since(now, l->last_message) * 2 > (usec_t)s->period_msec * USEC_PER_MSEC * 7;
}

void leds_show(struct leds *l, usec_t now, const struct snapshot *s, bool message) {
        const bool charge = contact_closed(&s->relays[RELAY_CHARGE]), load = contact_closed(&s->relays[RELAY_LOAD]);
        const bool flash[_LED_MAX] = {
                [LED_INFO] = !charge && !load,
                [LED_CHARGE] = charge,
                [LED_LOAD] = load,
        };

        if (message)
                l->last_message = now;
        for (enum led i = 0; i < _LED_MAX; i++) {
                if (i == LED_INFO && bypassing(s))
                        light(l, now, i, true);
                else if (!flash[i] || silent(l, now, s))
                        light(l, now, i, false);
                else if (message)
                        light(l, now, i, !l->lit[i]);
        }
}

void leds_tick(struct leds *l, usec_t now) {
        for (enum led i = 0; i < _LED_MAX; i++)
                if (gpio_optional_take(&l->lines[i], now) && l->lit[i])
                        gpio_optional_set(&l->lines[i], now, true);
}

const char *leds_fault(const struct leds *l, const char **ret_why) {
        for (enum led i = 0; i < _LED_MAX; i++)
                if (l->lines[i].why[0]) {
                        *ret_why = l->lines[i].why;
                        return led_names[i];
                }
        return NULL;
}

int leds_new(const struct config *config, usec_t now, struct leds **ret) {
        struct leds *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        for (enum led i = 0; i < _LED_MAX; i++)
                gpio_optional_init(&l->lines[i], led_names[i], &config->leds[i], GPIO_OUTPUT);
        leds_tick(l, now);
        *ret = l;
        return 0;
}

struct leds *leds_free(struct leds *l) {
        if (!l)
                return NULL;
        for (enum led i = 0; i < _LED_MAX; i++) {
                light(l, 0, i, false);
                gpio_optional_done(&l->lines[i]);
        }
        free(l);
        return NULL;
}
