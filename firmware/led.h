/* SPDX-License-Identifier: MIT */
#pragma once

/* A board's LED (R15 of docs/chain.md): one flash for each message, two short ones for an orphan, steady
 * while the bypass is on, so that a walk along the LEDs finds a fault.
 *
 * Pure: time is an argument, in ticks of whichever board. */

#include <stdbool.h>
#include <stdint.h>

struct led {
        uint32_t begin_ticks;
        uint32_t flash_ticks; /* how long a flash is; a pause is ten of them */
        uint8_t left;         /* on and off that are still to come: odd is on */
};

/* flash_ticks: of one flash. */
void led_init(struct led *l, uint32_t flash_ticks);

/* A message was sent or passed on. */
void led_message(struct led *l, bool orphan, uint32_t now_ticks);

/* Is it on? To be asked at led_due() or soon after. */
bool led_on(struct led *l, bool bypass, uint32_t now_ticks);

/* Will it change by itself, and when? */
bool led_due(const struct led *l, uint32_t *ret_ticks);
