/* SPDX-License-Identifier: MIT */
#pragma once

/* gpio.h's functions, played: a board of lines by name that writes down each step, with its time. Linked in place of
 * daemon/gpio.c and the two versions, which are the boundary to the kernel; nothing else is played. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "gpio.h"

#define BOARD_LINES 12
#define BOARD_STEPS 256

enum board_act { ACT_TAKE, ACT_ON, ACT_OFF, ACT_FREE };

struct gpio_line {
        char name[64];
        bool taken, output, active, active_low;
        int fail;         /* -Exxx for every access */
        int open_error;   /* -Exxx */
        unsigned n_tries; /* to take it, whatever came of it */
        unsigned slow_msec; /* each access takes so long */
        int fd;           /* GPIO_EDGES: readable while edges wait */
        struct gpio_edge edges[32];
        unsigned n_edges;
};

struct board_step {
        usec_t at;
        enum board_act act;
        const struct gpio_line *line;
};

static struct {
        struct gpio_line lines[BOARD_LINES];
        struct board_step steps[BOARD_STEPS];
        unsigned n_lines, n_steps;
        bool debounces;
        usec_t busy_until; /* each line that is busy is free from then on; 0 = never */
} board;

static inline struct gpio_line *board_line(const char *name) {
        for (unsigned i = 0; i < board.n_lines; i++)
                if (strcmp(board.lines[i].name, name) == 0)
                        return &board.lines[i];
        assert_true(board.n_lines < BOARD_LINES);
        (void)snprintf(board.lines[board.n_lines].name, sizeof(board.lines[0].name), "%s", name);
        return &board.lines[board.n_lines++];
}

static inline struct config_line board_config(const char *name) {
        struct config_line line = {.present = true};

        (void)snprintf(line.name, sizeof(line.name), "%s", name);
        (void)board_line(name);
        return line;
}

static inline void board_step(enum board_act act, const struct gpio_line *l) {
        assert_true(board.n_steps < BOARD_STEPS);
        board.steps[board.n_steps++] = (struct board_step){clock_now(), act, l};
}

static inline unsigned board_count(enum board_act act, const char *name) {
        unsigned n = 0;

        for (unsigned i = 0; i < board.n_steps; i++)
                n += board.steps[i].act == act && strcmp(board.steps[i].line->name, name) == 0;
        return n;
}

/* The edge as the kernel would tell it. */
static inline void board_edge(const char *name, usec_t at, bool active) {
        struct gpio_line *l = board_line(name);
        const uint64_t one = 1;

        assert_true(l->taken && l->n_edges < 32);
        l->edges[l->n_edges++] = (struct gpio_edge){at, active};
        l->active = active;
        assert_int_equal(write(l->fd, &one, sizeof(one)), sizeof(one));
}

void gpio_line_text(const struct config_line *config, char *ret, size_t size) {
        (void)snprintf(ret, size, "GPIO line %s", config->name);
}

static inline void board_dawdle(const struct gpio_line *l) {
        if (l->slow_msec > 0)
                usleep(l->slow_msec * 1000);
}

int gpio_line_open(const struct config_line *config, enum gpio_direction direction, struct gpio_line **ret,
                   char *ret_why, size_t size) {
        struct gpio_line *l = board_line(config->name[0] ? config->name : config->chip);

        l->n_tries++;
        if (l->open_error == -EBUSY && board.busy_until != 0 && clock_now() >= board.busy_until)
                l->open_error = 0;
        if (l->open_error < 0) {
                (void)snprintf(ret_why, size, "GPIO line %s%s", l->name,
                               l->open_error == -EBUSY ? " is in use by 'other'" : ": no such chip");
                return l->open_error;
        }
        assert_false(l->taken);
        l->taken = true;
        l->output = direction == GPIO_OUTPUT;
        l->active_low = config->active_low;
        if (l->output)
                l->active = false;
        l->fd = direction == GPIO_EDGES ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE) : -1;
        board_step(ACT_TAKE, l);
        *ret = l;
        return 0;
}

struct gpio_line *gpio_line_free(struct gpio_line *l) {
        if (!l)
                return NULL;
        assert_true(l->taken);
        l->taken = false;
        l->n_edges = 0;
        if (l->fd >= 0)
                (void)close(l->fd);
        board_step(ACT_FREE, l);
        return NULL;
}

int gpio_line_set(struct gpio_line *l, bool active) {
        assert_true(l->taken && l->output);
        board_dawdle(l);
        if (l->fail < 0)
                return l->fail;
        l->active = active;
        board_step(active ? ACT_ON : ACT_OFF, l);
        return 0;
}

int gpio_line_get(struct gpio_line *l) {
        assert_true(l->taken);
        board_dawdle(l);
        return l->fail < 0 ? l->fail : l->active;
}

bool gpio_edges_debounced(void) {
        return board.debounces;
}

int gpio_line_fd(const struct gpio_line *l) {
        return l->fd;
}

int gpio_line_edge(struct gpio_line *l, struct gpio_edge *ret_edge) {
        uint64_t one;

        if (l->fail < 0)
                return l->fail;
        if (l->n_edges == 0)
                return 0;
        assert_int_equal(read(l->fd, &one, sizeof(one)), sizeof(one));
        *ret_edge = l->edges[0];
        memmove(l->edges, l->edges + 1, --l->n_edges * sizeof(l->edges[0]));
        return 1;
}
