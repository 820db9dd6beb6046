#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Power cuts under the real smartbmsd: nothing corrupt, nothing lost that was acknowledged, counters at most 60 s old.

  power-cuts.py SMARTBMSD RECORD-IO JUDGE CUTS SEED SECONDS

For SECONDS the daemon runs with a pack on a pty and a state directory whose every operation is recorded, while two
clients change settings, the PIN and the state of charge and clear the counters at random, or let it be for longer than its
quiet commits are apart; now and then it is stopped and started again. Then CUTS moments are taken, half of them with the
journal of ext4 and half strictly by POSIX (cards.py), and each image of the card is judged by the daemon's own code (judge.c).

In each, what had been acknowledged by then must be there: settings, PIN, events; the state of charge that was set; the counters
as of at most 60 s of running before, never before one that was surely kept earlier, and by as much as flowed until then.
And the same judgement must find losses on cards that forget syncs: else it proves nothing.
"""

import os
import random
import re
import shutil
import sys
import tempfile

import cards
import keeper
from keeper import harness, now

AGE = 60            # design 9
STARTING = 0.5      # what a life may need to have its first state or settings on the card: nothing is promised then


def record(k, record_io, log, seconds, seed):
    """Runs the daemon; returns its promises."""
    dice = random.Random(seed)
    env = {"LD_PRELOAD": record_io, "RECORD_DIRECTORY": k.state, "RECORD_LOG": log}
    end, first, life_end = now() + seconds, 1000, 0
    k.start(env=env)
    while True:
        ready = [k.ask(["set", "set", "set", "pin"], first, dice.random(), (0.0, 0.4)),
                 k.ask(["soc", "soc", "soc", "clear"], first + 100000, dice.random(), (0.0, 0.6))]
        for r in ready:
            assert r.wait(20), "a client does not find the daemon"
        harness.time.sleep(dice.uniform(5, 15))
        k.ask_no_more()
        first += 10000
        if now() > end and first > 11000:
            break
        if first == 11000 or dice.random() < 0.7:
            harness.time.sleep(dice.uniform(52, 75))      # a quiet commit comes after 50 s
        else:
            k.stop()
            harness.time.sleep(dice.uniform(0.1, 3))
            k.start(env=env)
    k.stop()
    return k.promises.read()


class Verdict:
    def __init__(self, k, promises):
        self.promises, self.lives, self.watt = promises, k.lives, k.watt()
        self.least = None       # (at, today) that was surely on the card
        self.anchors = {}       # life -> (at, collected today)
        self.settings_good = False
        self.counts = dict.fromkeys(("corrupt", "settings", "events", "old", "back", "wrong"), 0)
        self.examples, self.oldest, self.young = {}, 0.0, 0

    def running(self, since, until):
        return sum(max(0.0, min(until, b) - max(since, a)) for a, b in self.lives)

    def blame(self, what, sentence, where):
        self.counts[what] += 1
        self.examples.setdefault(what, f"{sentence} ({where})")

    def take(self, answer, at, mode, where):
        if answer["integrity"] not in ("ok", "none") or answer.get("trouble") or answer.get("aside") or answer.get("kept"):
            self.blame("corrupt", f"{answer['integrity']}, {answer.get('trouble')}{answer.get('aside')}{answer.get('kept')}",
                       where)
            return
        of_settings, of_events = keeper.lost(self.promises, answer, at)
        if self.settings_good and answer["settings"] != "good":
            of_settings.append(f"the settings file is {answer['settings']}, and was good before")
        if mode == cards.NOTHING and answer["settings"] == "good":
            self.settings_good = True
        if answer["settings"] in ("previous", "damaged"):
            self.young += 1
        for what, sentences in ("settings", of_settings), ("events", of_events):
            if sentences:
                self.blame(what, sentences[0], where)
        self.take_state(answer, at, mode, where)

    def take_state(self, answer, at, mode, where):
        promised = [p for p in keeper.due(self.promises, at) if p["what"] != "pin"]
        if not answer["found"]:
            if promised or self.running(0, at) > AGE or self.least:
                self.blame("old", "no state", where)
            return
        age = self.running(answer["at"], at)
        self.oldest = max(self.oldest, age)
        if age > AGE or any(p["begun"] > answer["at"] for p in promised):
            self.blame("old", f"a state {age:.1f} s old", where)
        if self.least and (answer["at"] < self.least[0] or any(x < y for x, y in zip(answer["today"], self.least[1]))):
            self.blame("back", f"state of {answer['at']:.1f}, {answer['today']} mWh, but {self.least} was kept", where)
        if mode == cards.NOTHING:
            self.least = answer["at"], answer["today"]
        self.take_counters(answer, at, where)

    def take_counters(self, answer, at, where):
        """Collected at a steady power; a clearing and a state of charge that were acknowledged."""
        life = next(n for n, (a, b) in enumerate(self.lives) if a <= answer["at"] <= b)
        since, mwh = self.anchors.setdefault(life, (answer["at"], answer["today"][0]))
        flowed = self.watt * (answer["at"] - since) / 3.6
        slack = self.watt * 3 * keeper.PERIOD / 3.6
        if since > self.lives[life][0] + 3 and abs(answer["today"][0] - mwh - flowed) > slack:
            self.blame("wrong", f"{answer['today'][0]} mWh today, {mwh} + {flowed:.0f} flowed", where)
        if since <= self.lives[life][0] + 3:
            del self.anchors[life]      # messages may not have come yet
        cleared = max((p["begun"] for p in keeper.due(self.promises, at) if p["what"] == "clear"), default=None)
        if cleared and answer["total"][0] > self.watt * max(0, answer["at"] - cleared) / 3.6 + slack:
            self.blame("wrong", f"{answer['total'][0]} mWh in total, cleared {answer['at'] - cleared:.1f} s before", where)
        asked = [p for p in self.promises if p["what"] == "soc" and p["begun"] <= at]
        newest = max((n for n, p in enumerate(asked) if p["done"] and p["done"] <= at), default=None)
        if newest is not None and not any(abs(3000 + p["n"] % 4000 - (answer["soc"] or 0)) <= 100 for p in asked[newest:]):
            self.blame("wrong", f"state of charge {answer['soc']}, {asked[newest]} was acknowledged", where)

    def losses(self):
        return {what for what, n in self.counts.items() if n}


def cut(k, steps, promises, judge, count, seed, root, **how):
    verdict = Verdict(k, promises)
    for directory, at, mode, n in cards.cuts(steps, count, seed, root, **how):
        verdict.take(judge.ask(directory), at, mode, f"{mode}, behind step {n}, {at - k.lives[0][0]:.3f} s after the start")
        shutil.rmtree(directory)
    return verdict


def report(title, count, verdict):
    print(f"{title}, {count} cuts: " + ", ".join(f"{what} {n}" for what, n in verdict.counts.items()) +
          f"; oldest counters {verdict.oldest:.1f} s", flush=True)


def main():
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    smartbmsd, record_io, judge_program = sys.argv[1:4]
    count, seed, seconds = map(int, sys.argv[4:7])
    if keeper.has_sanitizer(smartbmsd):
        print("skipped: the sanitizer's library must come before the one that records")
        sys.exit(77)
    root = tempfile.mkdtemp(prefix="smartbms-cuts-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    log, failed = os.path.join(root, "log"), False
    try:
        with keeper.Keeper(smartbmsd) as k:
            promises = record(k, record_io, log, seconds, seed)
            steps = cards.read_recording(log)
            card = cards.Card()
            for step in steps:
                card.do(step)
            card.compare(k.state)
            kept = keeper.due(promises, now())
            syncs = sum(s.kind == cards.SYNC for s in steps)
            print(f"{k.lives[-1][1] - k.lives[0][0]:.0f} s, {len(k.lives)} starts, {len(steps)} steps, {syncs} syncs, "
                  f"{len(kept)} changes acknowledged", flush=True)
            assert len(kept) > 20 and syncs > 20, "too little happened to show anything"
            judge = cards.Judge(judge_program)
            for journal, part in ("ext4", count - count // 2), ("strict", count // 2):
                verdict = cut(k, steps, promises, judge, part, seed, root, journal=journal)
                report(journal, part, verdict)
                if verdict.young:
                    print(f"  of these {verdict.young} in the first moment of all: settings to be confirmed")
                for what, sentence in verdict.examples.items():
                    print(f"  {what}: {sentence}")
                failed = failed or bool(verdict.losses())
            for title, pattern, journal, expected in (
                    ("no sync of the WAL", "smartbms.db-wal", "ext4", "events"),
                    ("no sync of the new settings", "settings.yaml.new", "ext4", "settings"),
                    ("no sync of the directory", "", "strict", "settings")):
                verdict = cut(k, steps, promises, judge, 60, seed, root, journal=journal,
                              forget=lambda name, _, pattern=pattern: bool(re.fullmatch(pattern, name)))
                report(title, 60, verdict)
                if expected not in verdict.losses():
                    print("  NOT FOUND: this proves nothing")
                    failed = True
            judge.end()
    finally:
        shutil.rmtree(root)
    sys.exit(failed)


if __name__ == "__main__":
    main()
