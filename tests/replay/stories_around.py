# SPDX-License-Identifier: MIT
"""What stands around the protection path stops, goes or is full: relays go on in time (design 12; design 10)."""

import os
import signal
import subprocess
import threading

from story import COMMUNICATION_ERROR, Output, Skip, now

BOTH = ("slow", "fast")
CHARGE, LOAD = 0x01, 0x02
CLOCK_MONOTONIC, CLOCK_BOOTTIME = 1, 7  # <linux/time.h>; /proc names timers' clocks by number


def over_v_max(s):
    mv = s.chain.mv[:]
    mv[2] = 3650
    return mv


def protects(s):
    """V-max, and then silence, each in time; and both again as before."""
    healthy = s.chain.mv
    n = s.chain.tell(mv=over_v_max(s))
    since, confirming = s.chain.frame_time(n), s.chain.frame_time(n + 1)
    s.expect_open(["charge"], since, confirming - since + 0.1)
    s.figures.pop()
    s.figure("charge open behind the confirming frame", confirming, s.daemon.relay("charge", "open", since), 0.1)
    s.chain.tell(mv=healthy)
    s.chain.frame_time(len(s.chain.sent))
    last = s.chain.silence()
    opened = s.daemon.relay("load", "open", last, timeout=8)
    s.figure("load open in silence", last, opened, s.by_rate(3.6, 1.9))
    s.chain.frame_time(s.chain.mend())
    s.expect_closed(["load"], opened, 10 + 5 * s.period + 0.3)


def bus_stopped(s):
    s.live()
    os.kill(s.bus.process.pid, signal.SIGSTOP)
    stopped = now()
    # Callers whose look-up is never answered, and who wait for us.
    words = [s.programs["smartbmsctl"], "--bus", s.bus.address, "set", "vmin", "2.9V"]
    callers = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for _ in range(3)]
    threading.Event().wait(5)
    s.expect_unchanged(stopped)
    protects(s)
    os.kill(s.bus.process.pid, signal.SIGCONT)
    for c in callers:
        c.wait(30)
    s.expect_link("live", "", error=False)
    assert s.status()["relays"]["load"]["closed"]


def bus_killed(s):
    s.live()
    killed = now()
    s.bus.process.kill()
    s.bus.process.wait()
    s.daemon.wait_line("D-Bus connection is gone", since=killed)
    s.expect_unchanged(killed)
    protects(s)
    os.unlink(s.bus.path)
    s.bus.start()
    back = now()
    s.figure("on the bus again", back, s.daemon.wait_line("Joined the bus", since=back), 2.5)
    s.expect_link("live", "", error=False)
    assert s.status()["relays"]["load"]["closed"]


def log_blocked(s):
    """Nobody reads stderr and its pipe is full, as when journald is stopped. Relays are seen in the frames of the extended
    data output."""
    s.live()
    output = Output(s.output_path)
    output.wait_status(CHARGE | LOAD, CHARGE | LOAD, now(), 3)
    s.daemon.block_log()
    blocked = now()
    threading.Event().wait(3)
    healthy = s.chain.mv
    n = s.chain.tell(mv=over_v_max(s))
    confirming = s.chain.frame_time(n + 1)
    assert all(raw[30] & 3 == 3 for t, raw in output.frames if blocked <= t < confirming)
    s.figure("charge open behind the confirming frame", confirming,
             output.wait_status(CHARGE | LOAD, LOAD, confirming, 3), 0.1)
    s.chain.tell(mv=healthy)
    s.chain.frame_time(len(s.chain.sent))
    last = s.chain.silence()
    opened = output.wait_status(CHARGE | LOAD | COMMUNICATION_ERROR, COMMUNICATION_ERROR, last, 8)
    s.figure("load open in silence", last, opened, s.by_rate(3.6, 1.9))
    mended = s.chain.frame_time(s.chain.mend())
    # P4: a recovery from silence; the charge relay still waits for its restart delay
    closed = output.wait_status(LOAD, LOAD, mended, 15)
    s.figure("load closed again", opened, closed, 10 + 5 * s.period + 0.3)
    s.expect_link("live", "", error=False)  # D-Bus answers all the while
    s.daemon.reading.set()
    again = s.chain.silence()
    s.daemon.wait_line("log messages could not be written and are lost", since=again, timeout=8)


def wall_clock(s):
    """+-10 years, +-1 s, as the daemon reads it: nothing changes, and silence is as long as ever."""
    with open(s.programs["smartbmsd"], "rb") as f:
        if b"__asan_init" in f.read():
            raise Skip("the sanitizer's library must come before the one that turns the clock")
    s.live()
    since = now()
    for seconds in (10 * 365 * 86400, -10 * 365 * 86400, 1, -1, 0):
        s.turn_wall_clock(seconds)
        s.chain.frame_time(len(s.chain.sent) + 2)
    assert not s.daemon.has_line("relay opens|link |alarm", since=since), "something changed with the clock"
    last = s.chain.silence()
    s.turn_wall_clock(3600)
    opened = s.expect_both_open(last, s.by_rate(3.6, 1.9), soonest=3.5 * s.period - 0.05)
    s.turn_wall_clock(-3600)
    s.expect_recovery(opened, s.chain.frame_time(s.chain.mend()))
    s.expect_healthy()


def midnight(s):
    """Local midnight, while the clock is turned before and behind it, by who has it synchronised all the while: one day ends, then;
    the counters are what flowed, to within a message."""
    with open(s.programs["smartbmsd"], "rb") as f:
        if b"__asan_init" in f.read():
            raise Skip("the sanitizer's library must come before the one that turns the clock")
    s.synchronise()
    s.live()
    since = now()
    mw = sum(s.chain.mv)    # 1 A

    def counted():
        """Today and in total, mWh; and in total by when messages were sent."""
        s.chain.frame_time(len(s.chain.sent))
        energy = s.status()["energy"]
        flowed = mw * (s.chain.sent[-1][0] - s.chain.sent[0][0]) / 3600
        return 1000 * energy["energy_collected_today_wh"], 1000 * energy["energy_collected_total_wh"], flowed

    def expect_flowed(today_since):
        today, total, flowed = counted()
        message = mw * s.period / 3600 + 1
        assert abs(total - flowed) <= message, f"{total} mWh in total, {flowed:.1f} flowed"
        until = mw * max(0, s.chain.sent[-1][0] - today_since) / 3600
        # the day ends with a tick, which comes each second
        assert until - message - mw / 3600 <= today <= until + message, f"{today} mWh today, {until:.1f} flowed in it"

    first = s.chain.sent[0][0]
    for seconds in (10 * 365 * 86400, -10 * 365 * 86400, 3600, -3600, 1, 0):
        assert now() < s.midnight - 1.5, "too slow to be told: midnight has come"
        s.turn_wall_clock(seconds)
        expect_flowed(first)
    threading.Event().wait(max(0, s.midnight + 1.3 - now()))
    for seconds in (0, -3600, 3600, -10 * 365 * 86400, 10 * 365 * 86400, -1, 0):
        s.turn_wall_clock(seconds)
        expect_flowed(s.midnight)
        threading.Event().wait(1.2)
    expect_flowed(s.midnight)
    assert not s.daemon.has_line("relay opens|link |alarm", since=since), "something changed with the clock"
    days = s.ctl_json("energy", "--days", "5")
    finished = [d for d in days["days"] if not d["today"]]
    assert len(finished) == 1, f"days ended: {days}"


def timers(s):
    """No timer of the daemon can be moved by who sets the clock. Its own are of CLOCK_BOOTTIME; sd-bus has one of
    CLOCK_MONOTONIC."""
    s.live()
    directory = f"/proc/{s.daemon.process.pid}"
    clocks = []
    for fd in os.listdir(directory + "/fd"):
        if "timerfd" not in os.readlink(f"{directory}/fd/{fd}"):
            continue
        with open(f"{directory}/fdinfo/{fd}") as f:
            clocks += [int(line.split(":")[1]) for line in f if line.startswith("clockid:")]
    assert CLOCK_BOOTTIME in clocks and set(clocks) <= {CLOCK_BOOTTIME, CLOCK_MONOTONIC}, f"timers of clocks {clocks}"


STORIES = [
    ("dbus-daemon stopped", bus_stopped, BOTH, {}),
    ("dbus-daemon killed and restarted", bus_killed, BOTH, {}),
    ("log blocked", log_blocked, BOTH, {"output": True}),
    ("wall clock turned by +-10 years and +-1 s", wall_clock, BOTH, {"wall_clock": True}),
    ("midnight under a clock that is turned", midnight, BOTH, {"wall_clock": True, "midnight": 32}),
    ("timers", timers, ("slow",), {}),
]
