/* SPDX-License-Identifier: MIT */
#pragma once

/* What time it is for people, as far as that is known: a Pi has no clock battery, and nothing that decides may
 * depend on this.
 *
 * The wall clock counts only while the kernel says that it is synchronised (adjtimex(2), STA_UNSYNC clear). Every
 * NTP client tells the kernel so (systemd-timesyncd, chrony, ntpd, also a GPS or a radio clock behind one of them), so
 * none of them has to be asked over a bus or by its files; a clock chip that is read at boot, or a time that was
 * restored from a file, does not. And the kernel itself takes it back when somebody sets the clock by hand, and when a
 * client has been silent for so long that the error may be 16 s. From then on the time is the last synchronised one
 * and what CLOCK_BOOTTIME has run since: a clock that is set wrong changes nothing here, and a house that
 * has lost its network still has its midnights.
 *
 * A synchronised clock that contradicts itself by more than WALL_CLOCK_STEP_USEC (a server that lies, a client that
 * clears the flag before it has turned the clock) is doubted: the time is that of before, until the new one has been
 * steady and synchronised for WALL_CLOCK_DOUBT_USEC. */

#include "units.h"

#define WALL_CLOCK_STEP_USEC (60 * (int64_t)USEC_PER_SEC)
#define WALL_CLOCK_DOUBT_USEC USEC_PER_HOUR

struct wall_clock {
        struct maybe64 zero_usec; /* the wall clock at clock_now() == 0, microseconds since 1970 UTC; none: never
                                   * synchronised */
        struct maybe64 doubted_usec; /* another such, that contradicts; none = it does not */
        usec_t doubted_since;
};

/* Call every second or so. */
void wall_clock_take(struct wall_clock *c, usec_t now, int64_t wall_usec, bool synchronised);

/* The same, from this machine. */
void wall_clock_read(struct wall_clock *c, usec_t now);

/* Microseconds since 1970 UTC at that moment, none if it was never synchronised. */
struct maybe64 wall_clock_at(const struct wall_clock *c, usec_t at);
