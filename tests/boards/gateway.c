/* SPDX-License-Identifier: MIT */

#include <stdio.h>
#include <string.h>

#include "gateway.h"

/* lib/ knows no time 0. */
static usec_t usec(double now) {
        return (usec_t)(now * 1e6) + USEC_PER_SEC;
}

static void follow(struct gateway *g, double now, bool warned) {
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                bool closed = bms_relay_closed(&g->bms, id);

                if (closed == g->closed[id])
                        continue;
                g->closed[id] = closed;
                g->changed_at[id] = now;
                g->openings += !closed;
                g->closings += closed;
        }
        if (g->bms.link.state != g->link) {
                g->stales += g->link == LINK_LIVE;
                g->link = g->bms.link.state;
        }
        if (g->bms.link.warning && !warned)
                g->warned_at = now;
}

void gateway_init(struct gateway *g, double now, enum link_tap tap, unsigned cells) {
        struct bms_config config = {.current_check = true,
                                    .tap = tap,
                                    .cells = (uint8_t)cells,
                                    .blind_spot_ma = 1000,
                                    .mapped = {true, true}};

        memset(g, 0, sizeof(*g));
        settings_init(&config.settings);
        config.settings.values[SETTING_CAPACITY] = some(5120);
        bms_init(&g->bms, usec(now), &config);
        deframer_init(&g->probe, &(struct accept_rules){.current_check = true});
        g->link = g->bms.link.state;
}

void gateway_byte(struct gateway *g, double time, uint8_t byte) {
        bool warned = g->bms.link.warning;
        uint8_t bytes[FRAME_SIZE];
        struct frame frame;

        if (deframer_push(&g->probe, byte, &frame, bytes) == DEFRAMER_FRAME && g->accepted)
                g->accepted(g->user, bytes);
        (void)bms_bytes(&g->bms, usec(time), &byte, 1); /* how many cycles it ran does not matter */
        follow(g, time, warned);
}

void gateway_tick(struct gateway *g, double now) {
        bool warned = g->bms.link.warning;

        bms_tick(&g->bms, usec(now)); /* before the deadline: harmless */
        follow(g, now, warned);
}

const char *gateway_text(struct gateway *g, double now, char *text, size_t size) {
        static struct snapshot snapshot;

        bms_snapshot(&g->bms, usec(now), &snapshot);
        (void)snprintf(text, size, "%s", snapshot.link_text);
        return text;
}
