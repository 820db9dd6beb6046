#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Months of a clock that is turned at random (clock-months.c), judged by the calendar: midnights are Python's.

  clock-months.py CLOCK-MONTHS DAYS SEED...

In each zone, around the days on which its clocks change: each true local midnight ends one day, at that second, or where the
daemon was off or did not know the time then, as soon as it does; no other moment does. The day that ended has the length
that the calendar gives it, and its counters hold what was heard in it, to the mWh. No relay moves.
"""

import datetime
import os
import subprocess
import sys
import zoneinfo

WATT = 500          # clock-months.c: 16 cells of 3.125 V, 10 A
ZONES = [  # where, from this day on
    ("Europe/Berlin", (2026, 3, 26)),           # 23 h on 29 March
    ("Europe/Berlin", (2026, 10, 22)),          # 25 h on 25 October
    ("Pacific/Auckland", (2026, 9, 24)),        # 23 h on 27 September
    ("Pacific/Auckland", (2026, 4, 2)),         # 25 h on 5 April
    ("Australia/Lord_Howe", (2026, 4, 2)),      # 24.5 h on 5 April
    ("Australia/Lord_Howe", (2026, 10, 1)),     # 23.5 h on 4 October
    ("America/Havana", (2026, 3, 5)),           # 8 March begins at 01:00
    ("America/Havana", (2026, 10, 29)),         # 1 November has midnight twice
    ("Asia/Kolkata", (2026, 2, 20)),            # never changes; half an hour off
]


class Calendar:
    """Which local day a moment belongs to, and when that day began: by searching, the rules are the zone's."""

    def __init__(self, zone):
        self.zone = zoneinfo.ZoneInfo(zone)
        self.begins = {}

    def day(self, t):
        return datetime.datetime.fromtimestamp(t, self.zone).toordinal() - datetime.date(1970, 1, 1).toordinal()

    def begin(self, day):
        """The first second of it: by bisection between noon UTC of two days around."""
        if day not in self.begins:
            low, high = (day - 2) * 86400, (day + 2) * 86400
            while high - low > 1:
                middle = (low + high) // 2
                if self.day(middle) < day:
                    low = middle
                else:
                    high = middle
            self.begins[day] = high
        return self.begins[day]


def expect(calendar, start, lines):
    """The ends of days: (at, day, length in us, seconds heard in it)."""
    runs, at, known = [], start, None   # stretches in which the daemon ran: first and last second, when it knew the time
    for word, *rest in lines:
        if word == "known":
            known = int(rest[0])
        elif word in ("down", "over"):
            if at <= int(rest[0]):      # else it was over before the first message
                runs.append((at, int(rest[0]), known))
            known = None
        elif word == "up":
            at = int(rest[0]) + 1       # the daemon's first message comes a second later
    ends, today, heard = [], None, 0
    for first, last, known in runs:
        counted = first                 # heard up to here
        if known is None:
            heard += last - counted
            continue
        t = known
        while True:
            if today is None:
                today = calendar.day(t)
            elif calendar.day(t) > today:
                heard += t - counted
                counted = t
                now = calendar.day(t)
                ends.append((t, today, (calendar.begin(now) - calendar.begin(today)) * 10**6, heard))
                today, heard = now, 0
            t = calendar.begin(today + 1)
            if t > last:
                break
        heard += last - counted
    return ends, sum(last - first for first, last, _ in runs), len(runs)


def month(program, zone, first, days, seed, kernel, after, restarts):
    calendar = Calendar(zone)
    start = int(datetime.datetime(*first, 13, 37, 11, tzinfo=calendar.zone).timestamp())
    words = [program, str(start), str(days), str(seed), kernel, str(after)] + ["restarts"] * restarts
    out = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "TZ": zone}).stdout
    lines = [line.split() for line in out.splitlines()]
    expected, total, runs = expect(calendar, start, lines)
    what = f"{zone} from {first}, {kernel}, synchronised after {after} s, seed {seed}, {runs} runs"
    ended = [tuple(map(int, rest)) for word, *rest in lines if word == "end"]

    assert [e[1:3] for e in ended] == [e[1:3] for e in expected], f"{what}: days ended\n{ended}\ninstead of\n{expected}"
    late = 1 if kernel == "lying" else 0   # a clock that is synchronised and 1 s wrong is believed
    for (at, day, _, mwh), (midnight, _, _, seconds) in zip(ended, expected):
        assert abs(at - midnight) <= late, f"{what}: day {day} ended at {at} instead of {midnight}"
        assert abs(mwh * 3600 - seconds * WATT * 1000) < 3600 + 2 * late * WATT * 1000, \
            f"{what}: day {day}: {mwh} mWh in {seconds} s"
    mwh = int(lines[-1][2])
    assert 0 <= total * WATT * 1000 - mwh * 3600 < 3600, f"{what}: {mwh} mWh in {total} s"

    moved = [rest for word, *rest in lines if word in ("opened", "closed")]
    assert all(word != "opened" for word, *_ in lines) and len(moved) <= 2 * runs, f"{what}: relays moved {moved}"
    hours = sorted({length / 3.6e9 for _, _, length, _ in ended if length < 26 * 3.6e9})
    return len(ended), hours, runs


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    program, days, seeds = sys.argv[1], int(sys.argv[2]), list(map(int, sys.argv[3:]))
    if not os.path.exists("/usr/share/zoneinfo/Australia/Lord_Howe"):
        print("skipped: no time zones here (tzdata)")
        sys.exit(77)
    total = starts = changed = 0
    for seed in seeds:
        for zone, first in ZONES:
            seen = set()
            for n, (kernel, after, restarts) in enumerate([
                    ("honest", 0, False), ("honest", 30000, False), ("honest", -1, False), ("lying", 0, False),
                    ("honest", 0, True), ("honest", 90000, True), ("lying", 0, True)]):
                ended, hours, runs = month(program, zone, first, days, 100 * seed + n, kernel, after, restarts)
                assert after != -1 or ended == 0, "a clock that was never synchronised ended a day"
                assert after == -1 or ended > 0, "no day ended"
                total, starts = total + ended, starts + runs
                if not restarts:
                    seen |= set(hours)
            print(f"{zone} from {first}, seed {seed}: days of {', '.join(f'{h:g}' for h in sorted(seen))} h", flush=True)
            changed += len(seen) == 2
    # Which zones change their clocks is their governments' to say, and newer tables to know; some must have.
    assert changed > 0, "the clocks did not change anywhere in these days"
    print(f"{total} days ended, {starts} starts")


if __name__ == "__main__":
    main()
