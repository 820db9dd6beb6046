#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Trouble with what the daemon keeps (design 9, 12): protection unaffected, counting goes on, alarm, recovery without a restart.

  trouble.py SMARTBMSD SMARTBMSCTL SLOW-CARD ROUNDS [WORD...]     only troubles whose title contains all WORDs

Each trouble is told ROUNDS times. While it lasts the relays are tripped (V-max, V-min, T-max), each within 100 ms of the
confirming frame, as reaction.py measures it; the counters go on; the alarm names the trouble. Then it is over: the alarm goes, and the
database has what happened meanwhile. A file that was no good is kept aside. Output is TAP.
"""

import contextlib
import ctypes
import os
import random
import shutil
import sqlite3
import sys
import threading

import reaction
import story
from story import harness, now

try:
    import client as dbus_client
except SystemExit:      # no python3-dbus
    sys.exit(77)

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_REMOUNT, MS_RDONLY, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 32, 1, 4096, 16384, 1 << 18
RETRY = 5           # s, the store's and the settings writer's
AGAIN = 12          # s until it has noticed that all is well, on a busy machine
TRIPS = 3           # while it lasts; of the 9 that a daemon has in it (reaction.py)


class CannotBe(Exception):
    """This trouble cannot be made here; says why."""


def mount(*args):
    what, where, kind, flags, data = args
    if LIBC.mount(what and what.encode(), where.encode(), kind and kind.encode(), flags, data and data.encode()) < 0:
        raise OSError(ctypes.get_errno(), f"mount {where}")


def own_mounts():
    """Our mounts are nobody else's, and go with us."""
    if LIBC.unshare(CLONE_NEWNS) < 0:
        return False
    try:
        mount(None, "/", None, MS_REC | MS_PRIVATE, None)
    except OSError:
        return False
    return True


class Session(reaction.Session):
    """One life of the daemon, with a state directory."""

    def __init__(self, programs, dice, canary):
        super().__init__(programs["smartbmsd"], dice, canary)
        self.programs = programs
        self.state = os.path.join(self.directory, "state")
        self.slow = os.path.join(self.directory, "slow")
        self.database, self.settings = os.path.join(self.state, "smartbms.db"), os.path.join(self.state, "settings.yaml")
        self.client, self.seconds, self.mounted = None, [], False
        self.slow_card = False

    def mount_tmpfs(self, size):
        if not self.programs["mounts"]:
            raise CannotBe("no mount namespaces here")
        os.mkdir(self.state)
        mount("tmpfs", self.state, "tmpfs", 0, f"size={size}")
        self.mounted = True

    def start(self):
        env = {"LD_PRELOAD": self.programs["slow-card"], "SLOW_DIRECTORY": self.state, "SLOW_CARD": self.slow} \
            if self.slow_card else {}
        self.daemon = story.Daemon(self.smartbmsd, self.directory, self.bus.address,
                                   reaction.CONFIG + f"output:\n  pty: {self.output_path}\n", args=["--state", self.state],
                                   env=env)

    def connect(self):
        self.daemon.wait_line("serial: .* opened")
        self.daemon.wait_line("Joined the bus")
        self.output = story.Output(self.output_path)
        self.client = dbus_client.Client(self.bus.address)

    def live(self):
        """A first run of the daemon, with everything well; some events in the database."""
        self.start()
        self.connect()
        self.until(reaction.CHARGE | reaction.LOAD)
        self.client.set(solar_peak="1000W")

    def stop(self):
        status = self.daemon.stop()
        assert status == 0, f"smartbmsd ended with {status}"

    def close(self):
        try:
            if os.path.exists(self.slow):
                os.unlink(self.slow)
            if self.daemon:
                self.daemon.stop()
            self.bus.stop()
        finally:
            if self.mounted:
                LIBC.umount2(self.state.encode(), 2)
            shutil.rmtree(self.directory)

    # ---- what is expected

    def trips(self, count):
        """The relays work, each time within the bound."""
        for _ in range(count):
            relays, beyond = reaction.TRIPS_OF_A_DAEMON[len(self.seconds)]
            self.until(sum(reaction.BITS[relay] for relay in relays))
            took = self.trip(relays, beyond)
            self.seconds.append(took)
            assert took <= reaction.BOUND, f"{relays} after {took:.3f} s"
        self.until(reaction.CHARGE | reaction.LOAD)

    def alarm(self, name):
        return next((text for alarm, _, text in self.client.get("Manager", "Alarms") if alarm == name), None)

    def hear(self, condition, what, timeout):
        """Messages come until it is so."""
        end = now() + timeout
        while not condition():
            assert now() < end, f"{what} not within {timeout} s; alarms: {self.client.get('Manager', 'Alarms')}"
            self.say()

    def expect_alarm(self, name, word, timeout=AGAIN):
        self.hear(lambda: self.alarm(name), f"alarm {name}", timeout)
        assert word in self.alarm(name), f"alarm {name} says: {self.alarm(name)}"

    def expect_no_alarm(self, name, timeout=AGAIN):
        self.hear(lambda: not self.alarm(name), f"end of alarm {name}", timeout)

    def counted(self):
        known, mwh = self.client.get("Energy", "CollectedToday")
        assert known, "the counters are unknown"
        return mwh

    def expect_counting(self):
        """1 A into 26 V: 1 mWh takes 0.14 s."""
        before = self.counted()
        for _ in range(10):
            self.say()
        assert self.counted() > before, "nothing is counted"

    def ask(self, value):
        """Changes a setting, while messages come; "" or what the answer complains about."""
        command = [self.programs["smartbmsctl"], "--bus", self.bus.address, "set", "solar_peak", f"{value}W"]
        with harness.subprocess.Popen(command, stdout=harness.subprocess.PIPE, stderr=harness.subprocess.STDOUT,
                                      text=True) as asker:
            while asker.poll() is None:
                self.say()
            return asker.stdout.read() if asker.returncode else ""

    def events(self):
        """Of the database, as another program sees it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)) as db:
            return [row[0] for row in db.execute("SELECT text FROM events ORDER BY id")]

    def expect_kept(self, value):
        """It is in the file and in the database in the end."""
        def kept():
            try:
                with open(self.settings) as f:
                    in_file = f"solar_peak: {value} W" in f.read()
                return in_file and any(f"to {value} W" in text for text in self.events())
            except (OSError, sqlite3.Error):
                return False
        self.hear(kept, f"{value} W on the card", AGAIN)

    def aside(self):
        return sorted(name for name in os.listdir(self.state) if ".bad" in name)


# ---- what is wrong while the daemon runs: each makes the trouble, and returns what ends it


def full(s):
    """To the last page, and the room that the database's log has: it is written anew in place, so what is kept goes on
    being kept on a full disk until that is used up."""
    filler = os.path.join(s.state, "filler")
    with open(filler, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass
    frames = os.path.getsize(s.database + "-wal") // 1024
    for _ in range(frames):     # an event takes more than one
        if s.alarm("storage"):
            break
        s.client.send("Energy", "Clear")
        s.say()
    return lambda: os.unlink(filler)


def read_only(s):
    def remount(flags):
        for _ in range(200):    # busy while something is being written
            try:
                return mount(None, s.state, None, MS_REMOUNT | flags, None)
            except OSError:
                harness.time.sleep(0.01)
        raise CannotBe("the file system is busy all the time")
    remount(MS_RDONLY)
    return lambda: remount(0)


def locked(s):
    db = sqlite3.connect(s.database, timeout=10, isolation_level=None, check_same_thread=False)
    db.execute("BEGIN EXCLUSIVE")

    def undo():
        db.execute("ROLLBACK")
        db.close()
    return undo


def gone(s):
    away = s.state + ".away"
    if s.mounted:
        raise CannotBe("a mount point")
    os.rename(s.state, away)
    with open(s.state, "w"):
        pass    # so that no new one is made there

    def undo():
        os.unlink(s.state)
        os.rename(away, s.state)
    return undo


def lasting(make, word, size=None, alarms=("storage", "settings")):
    """Trouble that can be ended."""
    def tell(s):
        if size:
            s.mount_tmpfs(size)
        s.live()
        undo = make(s)
        try:
            answer = s.ask(2000)
            assert "applied, not stored" in answer, f"a change was answered with: {answer}"
            s.expect_alarm(alarms[0], word)
            for alarm in alarms[1:]:
                s.expect_alarm(alarm, "")
            s.trips(TRIPS)
            s.expect_counting()
        finally:
            undo()
        for alarm in alarms:
            s.expect_no_alarm(alarm)
        s.expect_kept(2000)
        assert s.ask(3000) == "", "a change is not stored after the trouble"
        s.expect_kept(3000)
        s.trips(TRIPS)
        assert not s.aside(), f"a good file was set aside: {s.aside()}"
    return tell


def blocks(s):
    """5 s, twice, with a change each time."""
    s.slow_card = True
    if s.programs["sanitizer"]:
        raise CannotBe("the sanitizer's library must come before the one that blocks")
    s.live()
    for n in range(2):
        with open(s.slow, "w"):
            pass
        ends = now() + 5
        answer = []
        asker = threading.Thread(target=lambda: answer.append(
            harness.subprocess.run([s.programs["smartbmsctl"], "--bus", s.bus.address, "set", "solar_peak", f"{2000 + n}W"],
                                   check=False, capture_output=True, text=True)))
        asker.start()
        s.trips(TRIPS)
        s.expect_counting()
        s.hear(lambda: now() >= ends - 1, "4 s", 10)
        assert "does not answer" in (s.alarm("storage") or ""), f"after 4 s the alarm says: {s.alarm('storage')}"
        s.hear(lambda: now() >= ends, "5 s", 10)
        os.unlink(s.slow)
        s.hear(lambda: not asker.is_alive(), "the answer", 10)
        assert "not stored" in answer[0].stdout + answer[0].stderr, f"a change was answered with {answer[0]}"
        s.expect_kept(2000 + n)
        s.expect_no_alarm("storage")
    assert not s.aside()


def looked_at(s):
    """Another program has the database open, and reads all the while: no trouble at all."""
    s.live()
    with contextlib.closing(sqlite3.connect(s.database, timeout=5, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM events").fetchall()
        for value in (2000, 3000):
            assert s.ask(value) == "", "a change is not stored"
            s.trips(TRIPS)
        assert not s.alarm("storage"), s.alarm("storage")
        db.execute("COMMIT")
    s.expect_kept(3000)
    s.expect_counting()


# ---- files that are no good


def overwrite(path, data, at=0):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


def noise(size):
    return random.Random(7).randbytes(size)


def settle(s):
    """All of it in one file: what is in the WAL would mend what is done to it."""
    with contextlib.closing(sqlite3.connect(s.database, timeout=5)) as db:
        assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, "the database is busy"
    assert not os.path.exists(s.database + "-wal") and os.path.getsize(s.database) > 100000


def damaged(s):
    """Its first page is good."""
    settle(s)
    overwrite(s.database, noise(os.path.getsize(s.database) - 4096), 4096)


def garbage(s):
    settle(s)
    overwrite(s.database, noise(os.path.getsize(s.database)))


def truncated(s):
    settle(s)
    os.truncate(s.database, os.path.getsize(s.database) // 2)


def foreign(s):
    for suffix in ("", "-wal"):
        if os.path.exists(s.database + suffix):
            os.unlink(s.database + suffix)
    with contextlib.closing(sqlite3.connect(s.database)) as db, db:
        db.execute("CREATE TABLE recipes (name TEXT)")
        db.execute("INSERT INTO recipes VALUES ('soup')")


def bad_at_start(make):
    def tell(s):
        s.live()
        s.stop()
        make(s)
        with open(s.database, "rb") as f:
            bad = f.read()
        s.start()
        s.connect()
        s.expect_alarm("storage", "kept aside as smartbms.db.bad-1")
        s.trips(TRIPS)
        s.expect_counting()
        kept_aside(s, bad)
        assert s.client.get("Settings", "Values")["solar_peak"] == 1000, "a bad database has changed a setting"
    return tell


def bad_while_running(make):
    def tell(s):
        s.live()
        s.trips(TRIPS)
        harness.time.sleep(0.5)
        make(s)
        with open(s.database, "rb") as f:
            bad = f.read()
        assert s.ask(2000) == "", "a change is not stored though a new database can be begun"
        s.expect_alarm("storage", "kept aside as smartbms.db.bad-1")
        s.trips(TRIPS)
        s.expect_counting()
        kept_aside(s, bad)
        s.expect_kept(2000)
    return tell


def kept_aside(s, bad):
    with open(s.database + ".bad-1", "rb") as f:
        assert f.read() == bad, "the bad database was changed"
    with contextlib.closing(sqlite3.connect(s.database, timeout=5)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "the new database is no good"
        assert db.execute("SELECT count(*) FROM state WHERE at_usec IS NOT NULL").fetchall() == [(1,)], "no state"
    assert any("kept aside" in text for text in s.events()), "no event says so"


def settings_damaged(names, word):
    """Relays stay open until the owner confirms."""
    def tell(s):
        s.live()
        assert s.ask(1500) == ""
        s.stop()
        for name in names:
            path = os.path.join(s.state, name)
            overwrite(path, b"\0\0\0\0", os.path.getsize(path) // 2)
        s.start()
        s.connect()
        s.expect_alarm("settings", word)
        s.output.frames.clear()
        for _ in range(40):
            s.say()
        assert all(raw[30] & 3 == 0 for _, raw in s.output.frames), "a relay closed though nobody has confirmed"
        value = s.client.get("Settings", "Values").get("solar_peak")
        assert value == (1000 if len(names) == 1 else None), f"solar_peak is {value}"
        s.client.call("Settings", "Confirm")
        s.expect_no_alarm("settings")
        s.trips(TRIPS)
        s.expect_counting()
        assert s.ask(2500) == ""
        s.expect_kept(2500)
        assert "settings.yaml.bad" in s.aside(), f"the bad file is gone: {os.listdir(s.state)}"
    return tell


def settings_damaged_while_running(s):
    s.live()
    overwrite(s.settings, b"\0\0\0\0", 100)
    s.trips(TRIPS)
    assert s.client.get("Settings", "Values")["solar_peak"] == 1000
    assert s.ask(2500) == ""
    s.expect_kept(2500)
    assert "settings.yaml.bad" in s.aside(), f"the bad file is gone: {os.listdir(s.state)}"


TROUBLES = [
    ("disk full", lasting(full, "no space", size="3m")),
    ("file system read-only", lasting(read_only, "read-only", size="8m")),
    ("database locked by another program", lasting(locked, "locked", alarms=("storage",))),
    ("another program looks at the database", looked_at),
    ("state directory gone", lasting(gone, "", alarms=("storage", "settings"))),
    ("card blocks for 5 s", blocks),
    ("database damaged at the start", bad_at_start(damaged)),
    ("database garbage at the start", bad_at_start(garbage)),
    ("database truncated at the start", bad_at_start(truncated)),
    ("database of another program at the start", bad_at_start(foreign)),
    ("database damaged while running", bad_while_running(damaged)),
    ("database garbage while running", bad_while_running(garbage)),
    ("database truncated while running", bad_while_running(truncated)),
    ("settings file damaged", settings_damaged(["settings.yaml"], "Those before")),
    ("settings file and the one before damaged", settings_damaged(["settings.yaml", "settings.yaml.previous"], "config")),
    ("settings file damaged while running", settings_damaged_while_running),
]


class Failed(Exception):
    pass


def told(title, tell, programs, canary, seed):
    """Once; again if the machine was late. The seconds of each trip."""
    for attempt in range(4):
        s = Session(programs, random.Random(10 * seed + attempt), canary)
        try:
            tell(s)
            assert s.daemon.process.poll() is None, f"smartbmsd has ended with {s.daemon.process.returncode}"
            return s.seconds
        except CannotBe:
            raise
        except reaction.LateMachine as e:
            print(f"#   {title}: told once more, the machine was late by {e}", flush=True)
        except Exception as e:  # whatever it is, the others are told too
            ended = s.daemon.process.poll() if s.daemon else None
            lines = s.daemon.lines[-60:] if s.daemon else []
            raise Failed(f"{type(e).__name__}: {e}\nsmartbmsd ended with {ended}\n" +
                         "".join(f"{t:.3f} {line}\n" for t, line in lines)) from e
        finally:
            s.close()
    raise Failed("the machine is too late to measure here")


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    programs = {"smartbmsd": sys.argv[1], "smartbmsctl": sys.argv[2], "slow-card": sys.argv[3]}
    rounds, words = int(sys.argv[4]), sys.argv[5:]
    with open(programs["smartbmsd"], "rb") as f:
        programs["sanitizer"] = b"__asan_init" in f.read()
    canary = reaction.Canary()
    programs["mounts"] = own_mounts()
    chosen = [t for t in TROUBLES if all(w in t[0] for w in words)]
    print(f"1..{len(chosen)}", flush=True)
    failed = False
    for n, (title, tell) in enumerate(chosen, 1):
        try:
            ms = sorted(1000 * x for r in range(rounds) for x in told(title, tell, programs, canary, 100 * n + r))
            print(f"ok {n} - {title}: {len(ms)} trips, ms: median {ms[len(ms) // 2]:.1f}, most {ms[-1]:.1f} (bound "
                  f"{1000 * reaction.BOUND:.0f})", flush=True)
        except CannotBe as e:
            print(f"ok {n} - {title} # SKIP {e}", flush=True)
        except Failed as e:
            first, *rest = str(e).splitlines()
            print(f"not ok {n} - {title}: {first}\n" + "".join(f"#   {line}\n" for line in rest), end="", flush=True)
            failed = True
    canary.stop()
    sys.exit(failed)


if __name__ == "__main__":
    main()
