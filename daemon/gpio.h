/* SPDX-License-Identifier: MIT */
#pragma once

/* One GPIO line, over libgpiod 1.6 (gpio-v1.c) or 2.x (gpio-v2.c): meson builds the one that fits. Values are
 * logical: active low is settled here. Knows nothing of relays. */

#include "config.h"

struct gpio_line;

enum gpio_direction {
        GPIO_INPUT,
        GPIO_OUTPUT,
        GPIO_EDGES, /* an input whose changes are told, one by one, as they come */
};

/* How long a contact may bounce. */
#define GPIO_DEBOUNCE_USEC (20 * USEC_PER_MSEC)

struct gpio_edge {
        usec_t at; /* CLOCK_MONOTONIC, by the kernel: when it was, not when it was read */
        bool active;
};

/* Finds the line over all chips and takes it under the program's name; an output starts inactive. 0 or -Exxx with
 * a reason that names the line: -EBUSY names the consumer, -ENODEV / -ENOENT: chip or line not there (now),
 * -ENOTUNIQ: more than one fits. */
int gpio_line_open(const struct config_line *config, enum gpio_direction direction, struct gpio_line **ret,
                   char *ret_why, size_t size);

/* The line, for people: "GPIO line pinctrl-bcm2711:17", "GPIO line GPIO17". */
void gpio_line_text(const struct config_line *config, char *ret, size_t size);

/* Gives it back to the kernel. What level it keeps then depends on the kernel: set it before. */
struct gpio_line *gpio_line_free(struct gpio_line *l);

int gpio_line_set(struct gpio_line *l, bool active); /* 0 or -Exxx; -ENODEV: the chip is gone */
int gpio_line_get(struct gpio_line *l);              /* 0, 1 or -Exxx; of an output: what it drives */

/* GPIO_EDGES only. Does the kernel debounce them, so that one comes when the level has lasted for
 * GPIO_DEBOUNCE_USEC? Else every bounce is told. */
bool gpio_edges_debounced(void);
int gpio_line_fd(const struct gpio_line *l);                         /* readable while an edge waits */
int gpio_line_edge(struct gpio_line *l, struct gpio_edge *ret_edge); /* 1; 0: none waits; -Exxx */

/* --- between gpio.c and the two versions --- */

/* Looks for the line on the chip at path: 1 with its offset, 0 if this is not the chip, -Exxx. */
int gpio_chip_match(const char *path, const struct config_line *config, unsigned *ret_offset);

/* Takes it. -EBUSY: ret_consumer says who has it ("" = does not say). */
int gpio_chip_request(const char *path, unsigned offset, enum gpio_direction direction, bool active_low,
                      struct gpio_line **ret, char *ret_consumer, size_t size);
