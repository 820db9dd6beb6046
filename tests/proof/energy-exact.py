#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The energy counters against exact rational arithmetic, done again here from what lib/energy.h promises.

  energy-exact.py ENERGY-EXACT STEPS SEED...

ENERGY-EXACT prints what its steps were and what lib/energy counted. At each step each counter that is known must be within
1 mWh of the exact energy since its last zero; that of a counter never set to zero is the exact energy rounded down.
"""

import subprocess
import sys
from fractions import Fraction

PERIOD = 500000     # us, as the steps are made
LONGEST = 3 * PERIOD
NAMES = ("collected", "consumed", "charged", "discharged")
MWH = Fraction(1, 1000 * 3600 * 10**6)  # of mV * mA * us


def number(word):
    return None if word == "X" else int(word)


class Truth:
    def __init__(self):
        self.today, self.total = [Fraction(0)] * 4, [Fraction(0)] * 4
        self.ever_cleared = False
        self.last = None

    def count(self, before, after, volts, usec, positive, negative):
        if before is None or after is None:
            return
        energy = Fraction(before + after, 2) * volts * usec * MWH
        counter = NAMES.index(positive if energy >= 0 else negative)
        self.today[counter] += abs(energy)
        self.total[counter] += abs(energy)

    def frame(self, at, i_in, i_out, i_sum, mv):
        if self.last is not None and at - self.last[0] <= LONGEST:
            usec, volts = at - self.last[0], Fraction(self.last[4] + mv, 2)
            self.count(self.last[1], i_in, volts, usec, "collected", "consumed")
            self.count(self.last[2], i_out, volts, usec, "consumed", "collected")
            self.count(self.last[3], i_sum, volts, usec, "charged", "discharged")
        self.last = at, i_in, i_out, i_sum, mv


def check(program, steps, seed):
    truth, worst, n, seen = Truth(), Fraction(0), 0, set()
    lines = subprocess.run([program, "trace", str(steps), str(seed)], check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in lines.splitlines():
        word, *rest = line.split()
        seen.add(word)
        if word == "frame":
            truth.frame(*map(number, rest))
        elif word == "restart":
            truth.last = None
        elif word == "day":
            truth.today = [Fraction(0)] * 4
        elif word == "clear":
            truth.total = [Fraction(0)] * 4
            truth.ever_cleared = True
        elif word == "unknown":
            assert rest == ["0"], "counters are known before they are restored"
        elif word == "count":
            n += 1
            shown = list(map(int, rest))
            assert len(shown) == 8
            for i, name in enumerate(NAMES):
                for what, value, exact in ("today", shown[2 * i], truth.today[i]), ("total", shown[2 * i + 1], truth.total[i]):
                    error = value - exact
                    worst = max(worst, abs(error))
                    assert abs(error) < 1, f"seed {seed}, count {n}: {name} {what} {value} mWh is {float(exact)}"
            if not truth.ever_cleared:
                assert shown[1::2] == [int(x) for x in truth.total], f"seed {seed}, count {n}: not rounded down"
    assert n > steps / 2, "hardly any step was counted"
    assert seen == {"frame", "restart", "restore", "day", "clear", "unknown", "count"}, f"only {seen} happened"
    print(f"seed {seed}: {n} counts, largest error {float(worst):.6f} mWh")


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    for seed in sys.argv[3:]:
        check(sys.argv[1], int(sys.argv[2]), int(seed))


if __name__ == "__main__":
    main()
