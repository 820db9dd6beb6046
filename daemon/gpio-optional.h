/* SPDX-License-Identifier: MIT */
#pragma once

/* A line that no relay needs: an LED, the button, the heartbeat. What such a line may never do is hold up the relays:
 * one that is missing or busy is warned of once, tried again once a second, and otherwise does nothing; one that
 * answers slowly (an expander on a bus that hangs) is given up for a minute. Knows nothing of what it is for. */

#include "gpio.h"

#define GPIO_OPTIONAL_WHY_MAX 140

struct gpio_optional {
        const char *what; /* for people: "charge LED" */
        struct config_line config;
        enum gpio_direction direction;
        struct gpio_line *line; /* NULL = not to be had now */
        usec_t next_try;
        char why[GPIO_OPTIONAL_WHY_MAX]; /* it is not to be had; "" = it is, or is not configured */
};

void gpio_optional_init(struct gpio_optional *o, const char *what, const struct config_line *config,
                        enum gpio_direction direction);

/* Tries to take it if it is configured, not taken, and a try is due. True: it was taken just now. */
bool gpio_optional_take(struct gpio_optional *o, usec_t now);

/* These do nothing, or return -ENODEV, while it is not to be had; a failure gives it up until the next try. */
void gpio_optional_set(struct gpio_optional *o, usec_t now, bool active);
int gpio_optional_get(struct gpio_optional *o, usec_t now); /* 0, 1 or -Exxx */

/* It failed in other hands. */
void gpio_optional_failed(struct gpio_optional *o, usec_t now, int error);

/* Gives it back. */
void gpio_optional_done(struct gpio_optional *o);
