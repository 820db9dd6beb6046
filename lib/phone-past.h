/* SPDX-License-Identifier: MIT */
#pragma once

/* What a phone is shown of the past (phone.h): the newest faults, and the state of charge by the hour for a week. Kept
 * in memory, from the same events and readings as everything else; what an earlier run knew is put behind it. Knows
 * neither the database nor the clock: times are arguments. */

#include "bms.h"
#include "phone.h"

struct past_fault {
        struct phone_fault fault; /* without its time */
        usec_t at;                /* of this boot; 0 = of another one */
        struct maybe64 wall_usec; /* of another boot, since 1970 UTC */
};

struct phone_past {
        struct past_fault faults[PHONE_FAULTS_MAX]; /* newest first */
        size_t n_faults;
        uint8_t soc_hours[PHONE_SOC_HOURS]; /* whole percents or PHONE_SOC_NONE; an hour's place is its number % 168 */
        struct maybe64 newest_hour;         /* hours since 1970 UTC; none = no hour yet */
};

void phone_past_init(struct phone_past *p);

/* An event that has just been; others than faults do nothing. A fault is an alarm V-max, V-min, T-max, T-min,
 * communication error or "nothing usable" that begins; and the load relay that opens by the T-min for discharging,
 * which has no alarm of its own. What two of these say of the same moment is one fault. */
void phone_past_event(struct phone_past *p, const struct event *event);

/* The same, of an earlier boot: at means nothing, and when it was may not be known. */
void phone_past_event_of_other_boot(struct phone_past *p, const struct event *event, struct maybe64 wall_usec);

/* The faults of older, which came before all in p, behind them. */
void phone_past_put_behind(struct phone_past *p, const struct phone_past *older);

/* What the state of charge is now, in the hour that goes on. A clock that is turned back makes that hour the newest:
 * what is after it has not been. */
void phone_past_soc(struct phone_past *p, int64_t wall_usec, struct maybe soc_permyriad);

/* What it was at the end of an hour of an earlier run; does nothing if there is one already, or it is not within the
 * week up to the newest hour. */
void phone_past_soc_was(struct phone_past *p, int64_t wall_usec, struct maybe soc_permyriad);

/* The faults with their times. zero_usec: the wall clock at 0 of the time of events; none = not known.
 * Returns how many. */
size_t phone_past_faults(const struct phone_past *p, struct maybe64 zero_usec,
                         struct phone_fault ret_faults[PHONE_FAULTS_MAX]);
