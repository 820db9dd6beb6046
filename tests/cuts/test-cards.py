#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Does the model of a card (cards.py) find losses where there are some, and none where there are none?

  test-cards.py PLAIN JUDGE RECORD-IO CUTS SEED

plain.c is recorded once with synchronous=FULL and once with NORMAL, and cut CUTS times each way: as it is, with the journal of
ext4 and strictly; and on cards that forget the syncs of the WAL, of the database, of the directory, of the new settings file.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import cards


def record(plain, record_io, directory, synchronous, rounds, seed):
    state, log = os.path.join(directory, "state"), os.path.join(directory, "log")
    os.mkdir(state)
    env = {**os.environ, "LD_PRELOAD": record_io, "RECORD_DIRECTORY": state, "RECORD_LOG": log}
    out = subprocess.run([plain, state, synchronous, str(rounds), str(seed)], env=env, check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    promised = [(float(at), what, int(n)) for at, what, n in (line.split() for line in out.splitlines())]
    steps = cards.read_recording(log)
    card = cards.Card()
    for step in steps:
        card.do(step)
    card.compare(state)
    return steps, promised


def database(path):
    """(events, state), or None if there is no table yet, or "corrupt"."""
    db = sqlite3.connect(path)
    try:
        if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return "corrupt"
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        if not {"events", "state"} <= tables:
            return None
        events = {n for (n,) in db.execute("SELECT n FROM events")}
        return events, max((n for (n,) in db.execute("SELECT n FROM state")), default=0)
    except sqlite3.DatabaseError:
        return "corrupt"
    finally:
        db.close()


def count_losses(recording, judge, count, seed, root, **how):
    """{what went wrong: in how many images}"""
    steps, promised = recording
    losses = dict.fromkeys(("corrupt", "event", "state", "settings", "back"), 0)
    least = 0   # what was surely kept must not be lost later
    for directory, at, mode, _ in cards.cuts(steps, count, seed, root, **how):
        due = {}
        for when, what, n in promised:
            if when <= at:
                due[what] = n
        path = os.path.join(directory, "plain.db")
        kept = database(path) if os.path.exists(path) else None
        if kept == "corrupt":
            losses["corrupt"] += 1
        else:
            events, state = kept or (set(), 0)
            losses["event"] += not events >= set(range(1, due.get("event", 0) + 1))
            losses["state"] += state < due.get("state", 0)
            losses["back"] += state < least
            if mode == cards.NOTHING:
                least = max(least, state)
        answer = judge.ask(directory)
        name, n = answer["settings"], (answer["values"]["capacity"] or 0) - 1000
        good = name == "good" and n >= due.get("settings", 0) and answer["by"] == f"change {n}"
        first = name == "first" and "settings" not in due
        # while the first file is being written it is damaged for who comes by; nothing was promised then
        early = name in ("previous", "damaged") and "settings" not in due
        losses["settings"] += not (good or first or early)
        shutil.rmtree(directory)
    return losses


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    plain, judge_program, record_io, count, seed = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
    with open(plain, "rb") as f:
        if b"__asan_init" in f.read():
            print("skipped: the sanitizer's library must come before the one that records")
            sys.exit(77)
    root = tempfile.mkdtemp(prefix="smartbms-cards-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    failed = False
    try:
        for d in ("full", "normal"):
            os.mkdir(os.path.join(root, d))
        full = record(plain, record_io, os.path.join(root, "full"), "full", 150, seed)
        normal = record(plain, record_io, os.path.join(root, "normal"), "normal", 150, seed)
        judge = cards.Judge(judge_program)

        def of(pattern):
            return lambda name, directory: bool(re.fullmatch(pattern, name))

        nothing = set()
        for title, recording, how, expected in (
                ("full, ext4", full, {}, nothing),
                ("full, strict", full, {"journal": "strict"}, nothing),
                ("normal, ext4", normal, {}, {"event", "state"}),
                ("normal, strict", normal, {"journal": "strict"}, {"event", "state"}),
                ("no sync of the WAL", full, {"forget": of(".*-wal")}, {"event", "state"}),
                ("no sync of the database", full, {"forget": of("plain.db")}, {"corrupt"}),
                ("no sync of the directory, strict", full, {"journal": "strict", "forget": of("")}, {"settings", "event"}),
                ("no sync of the directory, ext4", full, {"forget": of("")}, {"settings"}),
                ("no sync of the new settings", full, {"forget": of("settings.yaml.new")}, {"settings"})):
            losses = count_losses(recording, judge, count, seed, root, **how)
            found = {what for what, n in losses.items() if n}
            good = expected <= found if expected else not found
            failed = failed or not good
            print(f"{'' if good else 'NOT AS EXPECTED: '}{title}: " +
                  ", ".join(f"{what} {n}" for what, n in losses.items()) + f" of {count}", flush=True)
        judge.end()
    finally:
        shutil.rmtree(root)
    sys.exit(failed)


if __name__ == "__main__":
    main()
