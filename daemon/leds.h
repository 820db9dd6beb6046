/* SPDX-License-Identifier: MIT */
#pragma once

/* The three LEDs of an OUT board (manual, "Out Board"): charge and load flash while their relay is closed, info
 * flashes while both are open, and is steady while a cell is at or above V-bypass. They are toggled by the messages and
 * by nothing else: who looks at them sees whether the pack is heard. Reads the snapshot; decides nothing.
 *
 * A module of its own beside heartbeat and button: what the LEDs say changes with the manual, when the heartbeat may
 * beat with the safety rules, what a press means with Bluetooth. What the three share is a line that no relay needs:
 * gpio-optional. */

#include "config.h"
#include "snapshot.h"

struct leds;

/* Dark. A line that cannot be had is no error. */
int leds_new(const struct config *config, usec_t now, struct leds **ret);

/* Dark, then gives the lines back. Takes NULL. */
struct leds *leds_free(struct leds *l);

/* After each decision. message: it was one about a message, which toggles what flashes. */
void leds_show(struct leds *l, usec_t now, const struct snapshot *s, bool message);

/* Now and then, a second apart or less: tries to take what is missing. */
void leds_tick(struct leds *l, usec_t now);

/* The first that cannot be had: its name, and why in *ret_why; NULL = none. */
const char *leds_fault(const struct leds *l, const char **ret_why);
