/* SPDX-License-Identifier: MIT */
#pragma once

/* What bms.c, alarms.c, kept.c and snapshot.c share of one struct bms. Not for others. */

#include "bms.h"
#include "names.h"

/* A new event to be filled by the caller; its text is empty. */
struct event *bms_push_event(struct bms *b, usec_t now, enum event_kind kind, int subject);

/* What the state of charge is counted by, as settings, sensors and cells are now. */
struct soc_config bms_soc_config(const struct bms *b);

/* What the latches look at now, without this step's frame and trips. */
void bms_relay_inputs(const struct bms *b, usec_t now, struct relay_inputs *ret_inputs);

/* B6: a status bit of the board, by 2 of the last 3 frames. */
bool bms_monitor_bit(const struct bms *b, uint8_t bit);

/* Design 6: the heartbeat goes on while the coils obey. */
bool bms_coils_obey(const struct bms *b);

/* When a relay that does not do as commanded becomes an alarm; USEC_INFINITY: none does. */
usec_t bms_disagree_deadline(const struct bms *b, usec_t now);

/* Raises and clears alarms by what is true now. */
void bms_update_alarms(struct bms *b, usec_t now);
