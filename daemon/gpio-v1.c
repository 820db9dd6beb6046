/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <gpiod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpio.h"

struct gpio_line {
        struct gpiod_chip *chip;
        struct gpiod_line *line; /* owned by the chip */
};

int gpio_chip_match(const char *path, const struct config_line *config, unsigned *ret_offset) {
        struct gpiod_chip *chip;
        struct gpiod_line *line;
        int r = 0;

        chip = gpiod_chip_open(path);
        if (!chip)
                return -errno;
        if (config->chip[0]) {
                r = strcmp(gpiod_chip_label(chip), config->chip) == 0;
                if (r && config->offset >= gpiod_chip_num_lines(chip))
                        r = -ERANGE;
                else if (r)
                        *ret_offset = config->offset;
        } else {
                line = gpiod_chip_find_line(chip, config->name);
                r = line ? 1 : 0;
                if (line)
                        *ret_offset = gpiod_line_offset(line);
        }
        gpiod_chip_close(chip);
        return r;
}

/* An edge that was told and is gone (the chip's end) must not be waited for. */
static int make_nonblocking(int fd) {
        int flags = fcntl(fd, F_GETFL);

        return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int request(struct gpiod_line *line, enum gpio_direction direction, bool active_low) {
        const char *consumer = program_invocation_short_name;
        int flags = active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0, r = -1;

        switch (direction) {
        case GPIO_OUTPUT:
                r = gpiod_line_request_output_flags(line, consumer, flags, 0);
                break;
        case GPIO_INPUT:
                r = gpiod_line_request_input_flags(line, consumer, flags);
                break;
        case GPIO_EDGES:
                r = gpiod_line_request_both_edges_events_flags(line, consumer, flags);
                if (r == 0)
                        return make_nonblocking(gpiod_line_event_get_fd(line));
                break;
        }
        return r < 0 ? -errno : 0;
}

int gpio_chip_request(const char *path, unsigned offset, enum gpio_direction direction, bool active_low,
                      struct gpio_line **ret, char *ret_consumer, size_t size) {
        struct gpio_line *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->chip = gpiod_chip_open(path);
        l->line = l->chip ? gpiod_chip_get_line(l->chip, offset) : NULL;
        r = l->line ? request(l->line, direction, active_low) : -errno;
        if (r < 0) {
                const char *consumer = l->line ? gpiod_line_consumer(l->line) : NULL;
                (void)snprintf(ret_consumer, size, "%s", consumer ? consumer : "");
                gpio_line_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

struct gpio_line *gpio_line_free(struct gpio_line *l) {
        if (!l)
                return NULL;
        if (l->chip)
                gpiod_chip_close(l->chip); /* releases its line */
        free(l);
        return NULL;
}

int gpio_line_set(struct gpio_line *l, bool active) {
        return gpiod_line_set_value(l->line, active) < 0 ? -errno : 0;
}

int gpio_line_get(struct gpio_line *l) {
        int v = gpiod_line_get_value(l->line);
        return v < 0 ? -errno : v;
}

bool gpio_edges_debounced(void) {
        return false;
}

int gpio_line_fd(const struct gpio_line *l) {
        return gpiod_line_event_get_fd(l->line);
}

int gpio_line_edge(struct gpio_line *l, struct gpio_edge *ret_edge) {
        struct gpiod_line_event event;

        if (gpiod_line_event_read(l->line, &event) < 0)
                return errno == EAGAIN ? 0 : -errno;
        *ret_edge = (struct gpio_edge){
                .at = (usec_t)event.ts.tv_sec * USEC_PER_SEC + (usec_t)event.ts.tv_nsec / 1000,
                .active = event.event_type == GPIOD_LINE_EVENT_RISING_EDGE};
        return 1;
}
