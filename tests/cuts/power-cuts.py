#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Power cuts under the real smartbmsd: nothing corrupt, nothing lost that was acknowledged, counters at most 60 s old.

  power-cuts.py SMARTBMSD RECORD-IO JUDGE CUTS SEED SECONDS [KEEP]     KEEP: a new directory for the recording

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
from verdict import Verdict


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
    if len(sys.argv) not in (7, 8):
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
            if len(sys.argv) == 8:
                os.mkdir(sys.argv[7])
                shutil.copy(log, sys.argv[7])
                shutil.copy(k.promises.path, sys.argv[7])
            kept = keeper.due(promises, now())
            syncs = sum(s.kind == cards.SYNC for s in steps)
            print(f"{k.lives[-1][1] - k.lives[0][0]:.0f} s, {len(k.lives)} starts, {len(steps)} steps, {syncs} syncs, "
                  f"{len(kept)} changes acknowledged", flush=True)
            assert len(kept) > 20 and syncs > 20, "too little happened to show anything"
            judge = cards.Judge(judge_program)
            for journal, part in ("ext4", count - count // 2), ("strict", count // 2):
                verdict = cut(k, steps, promises, judge, part, seed, root, journal=journal)
                report(journal, part, verdict)
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
