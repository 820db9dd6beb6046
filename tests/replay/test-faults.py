# SPDX-License-Identifier: MIT
"""Design 12 through the real daemon on a pty: each fault ends where it must, in time, and recovers without a restart.

    test-faults.py SMARTBMSD WALL_CLOCK slow|fast [FAULT]

Every fault is a process of its own, several at once. Times are CLOCK_BOOTTIME: of the frames, after their last byte
was written; of the relays, when the log line of their driver came. Bounds are from the table, lower bounds from the
rules: what opens too early is as wrong.
"""

import os
import random
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "dbus"))
import harness  # noqa: E402

PROGRAM, WALL_CLOCK, RATE = sys.argv[1:4]
FAST = RATE == "fast"
PERIOD = 0.5 if FAST else 1.0
GOOD = [3300, 3305, 3300, 3305]
CONFIG = """cells: 4
settings:
  capacity: 320Wh
  vmax: 3.60V
  vmin: 2.80V
  tmax: 55C
  charge_restart_delay: 0s
  discharge_restart_delay: 0s
"""
RECOVERY = 10  # s after the last opening (P4)


def bound(slow, fast):
    return fast if FAST else slow


def check(value, low, high, what):
    print(f"{what}: {value:.3f} s, must be {low:.3f} to {high:.3f}", flush=True)
    assert low <= value <= high, what


def broken(raw):
    """A checksum that is off by one."""
    return raw[:57] + bytes([raw[57] + 1 & 0xFF])


def settle(rig):
    """Live, both closed, and the message period believed (B10)."""
    rig.stream.fields = {"i_in": 10000, "i_out": 2500}
    rig.live()
    rig.stream.frame_time(len(rig.stream.sent) + (12 if FAST else 1), 15)


def recovers(rig, opened, after=RECOVERY):
    """The stream is good again: both close by themselves. opened: the last opening."""
    resumed = harness.now()
    closed = rig.daemon.both("closed", since=opened, timeout=30)
    # at once when the delay is over and the link live again: 3 frames, and one more to decide by
    check(closed - opened, after, max(after, resumed - opened + 4 * PERIOD) + 2 * PERIOD + 0.3, "closed again")


def both_open(rig, since, low, high, what):
    opened = rig.daemon.both("open", since=since)
    check(opened - since, low, high, what)
    return opened


def silence(rig):
    rig.stream.change = lambda raw: None
    last = rig.stream.last_time()
    opened = both_open(rig, last, 3.5 * PERIOD - 0.05, bound(3.6, 1.9), "silence: both open")
    rig.daemon.wait_line("link stale: no data from the IN board", since=last)
    rig.stream.change = lambda raw: raw
    recovers(rig, opened)


def garbage(rig):
    rng = random.Random(1)
    rig.stream.change = lambda raw: bytes(rng.randrange(256) for _ in raw)
    last = rig.stream.last_time()
    opened = both_open(rig, last, 3.5 * PERIOD - 0.05, bound(3.6, 1.9), "all garbage: both open")
    rig.daemon.wait_line("link stale", since=last)
    rig.stream.change = lambda raw: raw
    recovers(rig, opened)


def chain_cut(rig):
    """Between boards 2 and 3: board 3 begins, the count that arrives is 2 (B14: board N-c, or the link behind it)."""
    rig.stream.change = lambda raw: None  # the orphan comes 2.5 cycles after the last message (chain R10)
    last = rig.stream.last_time()
    time.sleep(max(0, last + 2.5 * PERIOD - harness.now()))
    orphan = harness.frame([3300, 3305], i_in=None, i_out=None, detail=0, status=0x84, key=129, value=3)
    rig.stream.change = lambda raw: orphan
    opened = both_open(rig, last, 1.0 * PERIOD, bound(3.6, 1.9), "chain cut: both open")
    rig.daemon.wait_line(r"alarm: .*board 2\b.*\b3\b", since=last)
    rig.stream.change = lambda raw: raw
    recovers(rig, opened)


def count_changes(rig):
    first = rig.stream.at_next_frame(mv=GOOD[:3], degc=[20] * 3, detail=0)
    opened = both_open(rig, first, 0.0, bound(1.1, 0.6), "cell count changes: both open")
    rig.daemon.wait_line(r"alarm: .*\b3 .*\b4\b|alarm: .*\b4 .*\b3\b", since=first)
    rig.stream.at_next_frame(mv=GOOD, degc=[20] * 4)
    recovers(rig, opened)


def cell_dead(rig):
    first = rig.stream.at_next_frame(mv=[3300, 995, 3300, 3305])
    opened = both_open(rig, first, 0.0, bound(1.1, 0.6), "cell below 1.0 V: both open")
    rig.daemon.wait_line(r"alarm: .*cell 2\b", since=first)
    rig.stream.at_next_frame(mv=GOOD)
    recovers(rig, opened)


def unplugged(rig):
    gone = rig.stream.unplug()
    opened = both_open(rig, gone, 0.0, 1.0, "port unplugged: both open")
    time.sleep(3)
    rig.stream.plug()
    recovers(rig, opened)


def limit(rig, relays, **changes):
    """Its relay opens within 100 ms of the confirming frame, the other one stays."""
    n = len(rig.stream.sent)
    first = rig.stream.at_next_frame(**changes)
    confirming = rig.stream.frame_time(rig.stream.sent.index((first, rig.stream.sent[n][1]), n) + 1)
    for relay in relays:
        opened = rig.daemon.relay(relay, "open", since=first - 0.2)
        check(opened - confirming, -0.02, 0.1, f"limit crossed: {relay} open")
    for relay in {"charge", "load"} - set(relays):
        assert not rig.daemon.has_line(f"{relay} relay opens", since=first), f"{relay} was opened too"
    back = rig.stream.at_next_frame(mv=GOOD, degc=[20] * 4)
    for relay in relays:
        closed = rig.daemon.relay(relay, "closed", since=back - 0.2, timeout=30)
        check(closed - back, 0.0, 4 * PERIOD + 0.3, f"{relay} closed again")


def v_max(rig):
    limit(rig, ["charge"], mv=[3300, 3600, 3300, 3305])


def v_min(rig):
    limit(rig, ["load"], mv=[3300, 2800, 3300, 3305])


def t_max(rig):
    limit(rig, ["charge", "load"], degc=[20, 56, 20, 20])


def unconfirmed(rig):
    stream = rig.stream
    with stream.lock:
        n = len(stream.sent)
        stream.mv = [3300, 2800, 3300, 3305]
        stream.change = lambda raw: raw if len(stream.sent) == n else broken(raw)
    first = stream.frame_time(n)
    opened = rig.daemon.relay("load", "open", since=first)
    check(opened - first, 2.5 * PERIOD - 0.05, bound(2.6, 1.4), "unconfirmed: load open")
    rig.daemon.wait_line("load relay opened: a limit was crossed", since=first)
    rig.stream.mv, rig.stream.change = GOOD, lambda raw: raw
    rig.daemon.relay("load", "closed", since=opened, timeout=30)


def identical(rig):
    with rig.stream.lock:
        first, raw = rig.stream.sent[-1]
        rig.stream.change = lambda _: raw
    opened = both_open(rig, first, 10.0 - 0.05, 10.0 + PERIOD, "identical frames: both open")
    rig.daemon.wait_line("link stale", since=first)
    rig.stream.change = lambda raw: raw
    recovers(rig, opened)


def frozen(rig):
    """Nothing has moved since the first frame, under 7.5 A with C = 25 Ah."""
    alarm = rig.daemon.wait_line("alarm: .*(frozen|not changed|unchanged)", timeout=75)
    heard = rig.daemon.wait_line("link live") - 2 * PERIOD  # live by the third frame (B10)
    check(alarm - heard, 60.0 - 0.1, 60.0 + PERIOD + 0.1, "frozen readings: alarm")
    time.sleep(2)
    closed = rig.daemon.both("closed")
    assert not rig.daemon.has_line("relay opens", since=closed), "a relay was opened"


def wall_clock(rig):
    """+-10 years, +-1 s: nothing changes."""
    started = harness.now()
    for offset in (10 * 365 * 86400, -10 * 365 * 86400, 1, -1, 0):
        with open(os.environ["WALL_CLOCK_OFFSET"], "r+b") as f:
            f.write(struct.pack("=q", offset))
        time.sleep(2.5)
    for pattern in ("relay opens", "link ", "alarm"):
        assert not rig.daemon.has_line(pattern, since=started), pattern
    silence(rig)


FAULTS = {f.__name__: f for f in (frozen, identical, wall_clock, silence, garbage, chain_cut, count_changes, cell_dead,
                                  unplugged, v_max, v_min, t_max, unconfirmed)}


def run(name):
    env = {}
    if name == "wall_clock":
        path = os.environ["WALL_CLOCK_OFFSET"] = harness.tempfile.mkstemp(prefix="smartbms-test-clock-")[1]
        with open(path, "wb") as f:
            f.write(bytes(8))
        env = {"LD_PRELOAD": WALL_CLOCK, "WALL_CLOCK_OFFSET": path}
    try:
        with harness.Rig(PROGRAM, period=PERIOD, config=CONFIG, bus=False, env=env) as rig:
            rig.stream.mv = GOOD
            settle(rig)
            FAULTS[name](rig)
    finally:
        if env:
            os.unlink(env["WALL_CLOCK_OFFSET"])


def sanitized():
    with open(PROGRAM, "rb") as f:
        return b"__asan_init" in f.read()


def run_apart(name):
    if name == "wall_clock" and sanitized():
        return name, 0, "left out: the sanitizer's library must come before the one that turns the clock"
    p = subprocess.run([sys.executable, *sys.argv, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return name, p.returncode, p.stdout


def main():
    if len(sys.argv) > 4:
        run(sys.argv[4])
        return 0
    failed = []
    with ThreadPoolExecutor(len(FAULTS)) as pool:
        for name, status, output in pool.map(run_apart, FAULTS):
            print(f"== {name}: {'ok' if status == 0 else 'FAILED'}\n{output}", flush=True)
            if status != 0:
                failed.append(name)
    print("failed:", ", ".join(failed) or "none")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
