#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""kill -9 of the real smartbmsd at random moments under load; what was acknowledged is there after each.

  kills.py SMARTBMSD JUDGE KILLS SEED [quiet]

Two clients change settings, PIN, state of charge and counters all the while, and the pack runs. After each kill a copy of the
state directory is judged by the daemon's own code (judge.c, verdict.py), and the daemon that starts again is asked over D-Bus. Some
lives last a few milliseconds. With `quiet` each twentieth is one of 55 to 100 s without a client, so that only quiet commits
come.
"""

import os
import random
import shutil
import signal
import sys

import cards
import keeper
from keeper import harness, now
from verdict import Verdict

ANSWERS = 0.3   # after a kill: answers that were on their way have come


def ask_the_next(k, verdict, answer):
    """The daemon that has started again shows what the judge saw, or newer."""
    import client as dbus_client
    client = dbus_client.Client(k.bus.address)
    client.wait_name(20)
    values = client.get("Settings", "Values")
    if values.get("solar_peak", 0) < (answer["values"]["solar_peak"] or 0):
        verdict.blame("settings", f"the next one has settings of change {values.get('solar_peak')}", k.lives[-1])
    end = now() + 10
    while True:     # the counters are unknown until the database has answered
        known, mwh = client.get("Energy", "CollectedToday")
        if known or now() > end:
            break
        harness.time.sleep(0.02)
    if not known or mwh < answer["today"][0]:
        verdict.blame("back", f"the next one counts from {mwh} mWh, {answer['today'][0]} were kept", k.lives[-1])
    last = answer["events"][-1][0] if answer["events"] else 0
    events = client.call("Events", "Read", dbus_client.dbus.Int64(max(0, last - 1)), dbus_client.dbus.UInt32(1))
    if last and not events:
        verdict.blame("events", f"the next one does not know event {last}", k.lives[-1])


def judge_too_old_a_copy(k, judge):
    """What is found in one of two seconds before the kill: it must be missed."""
    verdict, copy = Verdict(k, []), os.path.join(k.directory, "copy")
    k.start()
    harness.time.sleep(2)
    k.daemon.process.send_signal(signal.SIGSTOP)
    harness.time.sleep(0.1)
    shutil.copytree(k.state, copy)
    k.daemon.process.send_signal(signal.SIGCONT)
    harness.time.sleep(2)
    k.kill()
    harness.time.sleep(ANSWERS)
    verdict.promises = k.promises.read()
    verdict.take(judge.ask(copy), now(), cards.NOTHING, "too old")
    return verdict.losses()


def main():
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    smartbmsd, judge_program, kills, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    quiet = len(sys.argv) == 6
    dice = random.Random(seed)
    with keeper.Keeper(smartbmsd) as k:
        judge, verdict, first = cards.Judge(judge_program), None, 1000

        def load():
            k.ask(["set", "set", "set", "pin"], first, dice.random(), (0.0, 0.1))
            k.ask(["soc", "soc", "soc", "clear"], first + 100000, dice.random(), (0.0, 0.1))

        load()
        for n in range(1, kills + 1):
            k.start()
            if n == 1:
                harness.time.sleep(3)   # a first start that is cut short has promised nothing
            elif quiet and n % 20 == 0:
                k.ask_no_more()
                harness.time.sleep(dice.uniform(55, 100))
            else:
                if dice.random() < 0.5:
                    ask_the_next(k, verdict, answer)
                harness.time.sleep(dice.choice((0.02, 0.3, 3)) * dice.random())
            k.kill()
            harness.time.sleep(ANSWERS)
            verdict = verdict or Verdict(k, [])
            verdict.promises = k.promises.read()
            copy = os.path.join(k.directory, "copy")
            shutil.copytree(k.state, copy)
            answer = judge.ask(copy)
            verdict.take(answer, now(), cards.NOTHING, f"kill {n}, {k.lives[-1][1] - k.lives[-1][0]:.3f} s after the start")
            shutil.rmtree(copy)
            if not k.askers:
                first += 10000
                load()
        found_stale = judge_too_old_a_copy(k, judge)
        k.ask_no_more()
        judge.end()
        answered = len(keeper.due(verdict.promises, now()))
        print(f"{verdict.judged} kills, {answered} changes acknowledged: " +
              ", ".join(f"{what} {x}" for what, x in verdict.counts.items()) +
              f"; oldest counters {verdict.oldest:.1f} s")
        for what, sentence in verdict.examples.items():
            print(f"  {what}: {sentence}")
        assert answered > kills, "hardly anything was acknowledged"
        assert {"settings", "events"} & found_stale, "a copy older than the kill is as good: this proves nothing"
    sys.exit(bool(verdict.losses()))


if __name__ == "__main__":
    main()
