/* SPDX-License-Identifier: MIT */
#include "led.h"

#define PAUSE_FLASHES 10

void led_init(struct led *l, uint32_t flash_ticks) {
        *l = (struct led){.flash_ticks = flash_ticks};
}

void led_message(struct led *l, bool orphan, uint32_t now_ticks) {
        l->begin_ticks = now_ticks;
        l->left = orphan ? 3 : 1;
}

static uint32_t length(const struct led *l) {
        return l->left % 2 != 0 ? l->flash_ticks : PAUSE_FLASHES * l->flash_ticks;
}

bool led_on(struct led *l, bool bypass, uint32_t now_ticks) {
        while (l->left > 0 && now_ticks - l->begin_ticks >= length(l)) {
                l->begin_ticks += length(l);
                l->left--;
        }
        return bypass || l->left % 2 != 0;
}

bool led_due(const struct led *l, uint32_t *ret_ticks) {
        if (l->left == 0)
                return false;
        *ret_ticks = l->begin_ticks + length(l);
        return true;
}
