/* SPDX-License-Identifier: MIT */
#include "button.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "clock.h"
#include "gpio-optional.h"

#define EDGES_MAX 64 /* in one go: a line in a storm must not keep the loop from deciding */

struct button {
        sd_event *event;
        sd_event_source *edges, *timer;
        struct button_callbacks callbacks;
        struct gpio_optional line;
        struct press press;
};

/* The scale of the edges' times. */
static usec_t monotonic_now(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
        return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

static void stop_listening(struct button *b) {
        b->edges = sd_event_source_disable_unref(b->edges);
        (void)sd_event_source_set_enabled(b->timer, SD_EVENT_OFF);
}

static void give_up(struct button *b, int error) {
        stop_listening(b); /* before its descriptor goes */
        gpio_optional_failed(&b->line, clock_now(), error);
}

static void tell(struct button *b, enum button_press press) {
        if (press != BUTTON_NONE)
                b->callbacks.pressed(b->callbacks.userdata, press);
}

static void arm(struct button *b) {
        usec_t due = press_due(&b->press);
        int r = 0;

        if (due != USEC_INFINITY)
                r = sd_event_source_set_time(b->timer, due);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->timer, due == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
        if (r < 0)
                give_up(b, r);
}

/* Edges first, then the time that passed since: an edge that waits to be read is older than now. */
static void look(struct button *b) {
        usec_t now = monotonic_now();
        struct gpio_edge edge;
        unsigned n = 0;
        int r;

        while ((r = gpio_line_edge(b->line.line, &edge)) > 0) {
                tell(b, press_edge(&b->press, edge.at, edge.active));
                if (++n == EDGES_MAX) /* the rest of them at the loop's next turn */
                        return;
        }
        if (r < 0) {
                give_up(b, r);
                return;
        }
        tell(b, press_time(&b->press, now));
        arm(b);
}

static int on_edges(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        struct button *b = userdata;

        (void)s, (void)fd;
        if (revents & (EPOLLERR | EPOLLHUP))
                give_up(b, -ENODEV);
        else
                look(b);
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        (void)s, (void)usec;
        look(userdata);
        return 0;
}

static void take(struct button *b, usec_t now, bool start) {
        int r, level;

        if (!gpio_optional_take(&b->line, now))
                return;
        level = gpio_optional_get(&b->line, now);
        if (!b->line.line)
                return;
        press_init(&b->press, monotonic_now(), gpio_edges_debounced() ? 0 : GPIO_DEBOUNCE_USEC, level, start);
        r = sd_event_add_io(b->event, &b->edges, gpio_line_fd(b->line.line), EPOLLIN, on_edges, b);
        if (r < 0)
                give_up(b, r);
        else
                arm(b);
}

/* A chip that is gone tells nobody (libgpiod 1.6), nor does the kernel tell edges for which it had no room: ask. */
static void check(struct button *b, usec_t now) {
        int level = gpio_optional_get(&b->line, now);

        if (!b->line.line) {
                stop_listening(b);
                return;
        }
        if (level == (int)b->press.level)
                return;
        look(b); /* it may have changed just now */
        if (!b->edges || level == (int)b->press.level)
                return;
        tell(b, press_edge(&b->press, monotonic_now(), level));
        arm(b);
}

void button_tick(struct button *b, usec_t now) {
        take(b, now, false);
        if (b->edges)
                check(b, now);
}

const char *button_fault(const struct button *b) {
        return b->line.why[0] ? b->line.why : NULL;
}

int button_new(sd_event *event, const struct config *config, usec_t now, const struct button_callbacks *callbacks,
               struct button **ret) {
        struct button *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        b->event = sd_event_ref(event);
        b->callbacks = *callbacks;
        gpio_optional_init(&b->line, "button", &config->button, GPIO_EDGES);
        r = sd_event_add_time(event, &b->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, b);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->timer, SD_EVENT_OFF);
        if (r < 0) {
                button_free(b);
                return r;
        }
        take(b, now, true);
        *ret = b;
        return 0;
}

struct button *button_free(struct button *b) {
        if (!b)
                return NULL;
        sd_event_source_disable_unref(b->edges);
        sd_event_source_disable_unref(b->timer);
        gpio_optional_done(&b->line);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}
