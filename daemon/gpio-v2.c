/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <gpiod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpio.h"

struct gpio_line {
        struct gpiod_line_request *request;
        struct gpiod_edge_event_buffer *edges; /* GPIO_EDGES, else NULL */
        unsigned offset;
};

static int match_label(struct gpiod_chip *chip, const struct config_line *config, unsigned *ret_offset) {
        struct gpiod_chip_info *info = gpiod_chip_get_info(chip);
        int r;

        if (!info)
                return -errno;
        r = strcmp(gpiod_chip_info_get_label(info), config->chip) == 0;
        if (r && config->offset >= gpiod_chip_info_get_num_lines(info))
                r = -ERANGE;
        else if (r)
                *ret_offset = config->offset;
        gpiod_chip_info_free(info);
        return r;
}

int gpio_chip_match(const char *path, const struct config_line *config, unsigned *ret_offset) {
        struct gpiod_chip *chip;
        int r;

        chip = gpiod_chip_open(path);
        if (!chip)
                return -errno;
        if (config->chip[0])
                r = match_label(chip, config, ret_offset);
        else {
                r = gpiod_chip_get_line_offset_from_name(chip, config->name);
                if (r >= 0) {
                        *ret_offset = (unsigned)r;
                        r = 1;
                } else
                        r = errno == ENOENT ? 0 : -errno;
        }
        gpiod_chip_close(chip);
        return r;
}

static int configure(struct gpiod_line_config *line_config, struct gpiod_line_settings *settings,
                     unsigned offset, enum gpio_direction direction, bool active_low) {
        bool output = direction == GPIO_OUTPUT;

        gpiod_line_settings_set_active_low(settings, active_low);
        if (direction == GPIO_EDGES)
                gpiod_line_settings_set_debounce_period_us(settings, GPIO_DEBOUNCE_USEC);
        if (gpiod_line_settings_set_direction(settings, output ? GPIOD_LINE_DIRECTION_OUTPUT
                                                               : GPIOD_LINE_DIRECTION_INPUT) < 0 ||
            (output && gpiod_line_settings_set_output_value(settings, GPIOD_LINE_VALUE_INACTIVE) < 0) ||
            (direction == GPIO_EDGES &&
             gpiod_line_settings_set_edge_detection(settings, GPIOD_LINE_EDGE_BOTH) < 0) ||
            gpiod_line_config_add_line_settings(line_config, &offset, 1, settings) < 0)
                return -errno;
        return 0;
}

static int request(struct gpiod_chip *chip, unsigned offset, enum gpio_direction direction, bool active_low,
                   struct gpiod_line_request **ret) {
        struct gpiod_line_settings *settings = gpiod_line_settings_new();
        struct gpiod_line_config *line_config = gpiod_line_config_new();
        struct gpiod_request_config *request_config = gpiod_request_config_new();
        struct gpiod_line_request *made;
        int r = -ENOMEM;

        if (settings && line_config && request_config) {
                gpiod_request_config_set_consumer(request_config, program_invocation_short_name);
                r = configure(line_config, settings, offset, direction, active_low);
        }
        if (r == 0) {
                made = gpiod_chip_request_lines(chip, request_config, line_config);
                if (made)
                        *ret = made;
                else
                        r = -errno;
        }
        gpiod_request_config_free(request_config);
        gpiod_line_config_free(line_config);
        gpiod_line_settings_free(settings);
        return r;
}

/* Reading never waits: an edge that was told and is gone (the chip's end) would not come. */
static int prepare_edges(struct gpio_line *l) {
        int fd = gpiod_line_request_get_fd(l->request), flags;

        l->edges = gpiod_edge_event_buffer_new(1);
        if (!l->edges)
                return -ENOMEM;
        flags = fcntl(fd, F_GETFL);
        return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static void consumer_of(struct gpiod_chip *chip, unsigned offset, char *ret, size_t size) {
        struct gpiod_line_info *info = gpiod_chip_get_line_info(chip, offset);
        const char *consumer = info ? gpiod_line_info_get_consumer(info) : NULL;

        (void)snprintf(ret, size, "%s", consumer ? consumer : "");
        if (info)
                gpiod_line_info_free(info);
}

int gpio_chip_request(const char *path, unsigned offset, enum gpio_direction direction, bool active_low,
                      struct gpio_line **ret, char *ret_consumer, size_t size) {
        struct gpio_line *l = calloc(1, sizeof(*l));
        struct gpiod_chip *chip = NULL;
        int r = -ENOMEM;

        if (l) {
                l->offset = offset;
                chip = gpiod_chip_open(path);
                r = chip ? request(chip, offset, direction, active_low, &l->request) : -errno;
        }
        if (r == -EBUSY)
                consumer_of(chip, offset, ret_consumer, size);
        if (chip)
                gpiod_chip_close(chip); /* the request outlives it */
        if (r == 0 && direction == GPIO_EDGES)
                r = prepare_edges(l);
        if (r < 0) {
                gpio_line_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

struct gpio_line *gpio_line_free(struct gpio_line *l) {
        if (!l)
                return NULL;
        if (l->edges)
                gpiod_edge_event_buffer_free(l->edges);
        if (l->request)
                gpiod_line_request_release(l->request);
        free(l);
        return NULL;
}

int gpio_line_set(struct gpio_line *l, bool active) {
        enum gpiod_line_value value = active ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;
        return gpiod_line_request_set_value(l->request, l->offset, value) < 0 ? -errno : 0;
}

int gpio_line_get(struct gpio_line *l) {
        enum gpiod_line_value value = gpiod_line_request_get_value(l->request, l->offset);
        return value == GPIOD_LINE_VALUE_ERROR ? -errno : value == GPIOD_LINE_VALUE_ACTIVE;
}

bool gpio_edges_debounced(void) {
        return true;
}

int gpio_line_fd(const struct gpio_line *l) {
        return gpiod_line_request_get_fd(l->request);
}

int gpio_line_edge(struct gpio_line *l, struct gpio_edge *ret_edge) {
        struct gpiod_edge_event *event;

        if (gpiod_line_request_read_edge_events(l->request, l->edges, 1) < 0)
                return errno == EAGAIN ? 0 : -errno;
        event = gpiod_edge_event_buffer_get_event(l->edges, 0);
        *ret_edge = (struct gpio_edge){
                .at = gpiod_edge_event_get_timestamp_ns(event) / 1000,
                .active = gpiod_edge_event_get_event_type(event) == GPIOD_EDGE_EVENT_RISING_EDGE};
        return 1;
}
