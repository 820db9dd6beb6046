/* SPDX-License-Identifier: MIT */
#pragma once

/* What time it is for people, as far as that is known: a Pi has no clock battery, and nothing that decides may
 * depend on this.
 *
 * The wall clock counts only while the kernel says that it is synchronised (adjtimex(2), STA_UNSYNC clear). Every
 * NTP client
 * tells the kernel so (systemd-timesyncd, chrony, ntpd, also a GPS or a radio clock behind one of them), so none of
 * them has
 * to be asked over a bus or by its files; and the kernel itself takes it back when somebody sets the clock by hand,
 * and when a client
 * has been silent for so long that the error may be 16 s. From then on the time is the last synchronised one and
 * what CLOCK_BOOTTIME has
 * run since: a clock that is set wrong changes nothing here, and a house that has lost its network still has its
 * midnights. */

#include "units.h"

struct wall_clock {
        struct maybe64 zero_usec; /* the wall clock at clock_now() == 0, microseconds since 1970 UTC; none: never synchronised */
};

/* Call every second or so. */
void wall_clock_take(struct wall_clock *c, usec_t now, int64_t wall_usec, bool synchronised);

/* The same, from this machine. */
void wall_clock_read(struct wall_clock *c, usec_t now);

/* Microseconds since 1970 UTC at that moment, none if it was never synchronised. */
struct maybe64 wall_clock_at(const struct wall_clock *c, usec_t at);
