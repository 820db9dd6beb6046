/* SPDX-License-Identifier: MIT */
#include "heartbeat.h"

#include <errno.h>
#include <stdlib.h>

#include "gpio-optional.h"
#include "log.h"

struct heartbeat {
        struct gpio_optional line;
        bool beats, active;
        usec_t next; /* while it beats */
};

usec_t heartbeat_due(const struct heartbeat *h) {
        return h->beats && h->line.line ? h->next : USEC_INFINITY;
}

static void stop(struct heartbeat *h, usec_t now) {
        if (h->active)
                gpio_optional_set(&h->line, now, false);
        h->beats = h->active = false;
}

void heartbeat_tick(struct heartbeat *h, usec_t now, bool allowed) {
        bool beat = h->beats;

        if (gpio_optional_take(&h->line, now))
                beat = h->active = false; /* as it was taken */
        if (!allowed || !h->line.line) {
                if (beat)
                        log_warning("heartbeat: stopped");
                stop(h, now);
                return;
        }
        if (beat && now < h->next)
                return;
        h->active = !h->active;
        gpio_optional_set(&h->line, now, h->active);
        /* From when it was due, so that lateness does not add up; after more of it than half a period, from now. */
        h->next = beat && usec_since(now, h->next) < HEARTBEAT_HALF_USEC ? h->next + HEARTBEAT_HALF_USEC
                                                                         : now + HEARTBEAT_HALF_USEC;
        h->beats = true;
}

const char *heartbeat_fault(const struct heartbeat *h) {
        return h->line.why[0] ? h->line.why : NULL;
}

int heartbeat_new(const struct config *config, usec_t now, struct heartbeat **ret) {
        struct heartbeat *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;
        gpio_optional_init(&h->line, "heartbeat", &config->heartbeat, GPIO_OUTPUT);
        (void)gpio_optional_take(&h->line, now); /* if not now, then from the tick */
        *ret = h;
        return 0;
}

struct heartbeat *heartbeat_free(struct heartbeat *h) {
        if (!h)
                return NULL;
        stop(h, 0);
        gpio_optional_done(&h->line);
        free(h);
        return NULL;
}
