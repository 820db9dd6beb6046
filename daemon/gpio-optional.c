/* SPDX-License-Identifier: MIT */
#include "gpio-optional.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"

#define RETRY_USEC USEC_PER_SEC                /* design 12: chip gone, line busy */
#define SLOW_USEC (50 * USEC_PER_MSEC)         /* half of what a decision may take in all */
#define SLOW_RETRY_USEC (60 * USEC_PER_SEC)

void gpio_optional_init(struct gpio_optional *o, const char *what, const struct config_line *config,
                        enum gpio_direction direction) {
        *o = (struct gpio_optional){.what = what, .config = *config, .direction = direction};
}

/* Says so if it is news. */
static void give_up(struct gpio_optional *o, usec_t next_try, const char *why) {
        o->line = gpio_line_free(o->line);
        o->next_try = next_try;
        if (strcmp(o->why, why) == 0)
                return;
        (void)snprintf(o->why, sizeof(o->why), "%s", why);
        log_warning("%s: %s; the relays do without it", o->what, why);
}

static void give_up_if_slow(struct gpio_optional *o, usec_t began) {
        usec_t ended = clock_now();
        char why[GPIO_OPTIONAL_WHY_MAX];

        if (usec_since(ended, began) < SLOW_USEC)
                return;
        (void)snprintf(why, sizeof(why), "it takes more than %u ms to answer, and is left alone for a while",
                       (unsigned)(SLOW_USEC / USEC_PER_MSEC));
        give_up(o, usec_add(ended, SLOW_RETRY_USEC), why);
}

bool gpio_optional_take(struct gpio_optional *o, usec_t now) {
        char why[GPIO_OPTIONAL_WHY_MAX] = "";
        usec_t began;

        if (!o->config.present || o->line || now < o->next_try)
                return false;
        began = clock_now();
        if (gpio_line_open(&o->config, o->direction, &o->line, why, sizeof(why)) < 0) {
                o->line = NULL;
                give_up(o, usec_add(now, RETRY_USEC), why);
        }
        give_up_if_slow(o, began);
        if (!o->line)
                return false;
        if (o->why[0])
                log_notice("%s: works again", o->what);
        o->why[0] = '\0';
        return true;
}

void gpio_optional_failed(struct gpio_optional *o, usec_t now, int error) {
        char line[96], why[GPIO_OPTIONAL_WHY_MAX];

        gpio_line_text(&o->config, line, sizeof(line));
        (void)snprintf(why, sizeof(why), "%s: %s", line, error == -ENODEV ? "its chip is gone" : strerror(-error));
        give_up(o, usec_add(now, RETRY_USEC), why);
}

void gpio_optional_set(struct gpio_optional *o, usec_t now, bool active) {
        usec_t began;
        int r;

        if (!o->line)
                return;
        began = clock_now();
        r = gpio_line_set(o->line, active);
        if (r < 0)
                gpio_optional_failed(o, now, r);
        give_up_if_slow(o, began);
}

int gpio_optional_get(struct gpio_optional *o, usec_t now) {
        usec_t began;
        int r;

        if (!o->line)
                return -ENODEV;
        began = clock_now();
        r = gpio_line_get(o->line);
        if (r < 0)
                gpio_optional_failed(o, now, r);
        give_up_if_slow(o, began);
        return r;
}

void gpio_optional_done(struct gpio_optional *o) {
        o->line = gpio_line_free(o->line);
}
