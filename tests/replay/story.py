# SPDX-License-Identifier: MIT
"""What a story of tests/replay is made of: the real smartbmsd on a bus and a pty of its own, and a chain of boards that
can be broken in all the ways of design 12. Frames, pty, bus and daemon come from the harness of tests/dbus.

All times are CLOCK_BOOTTIME. A frame's time is taken before it is written, what the daemon does is stamped when its
line (or its frame on the extended data output) has arrived here: what is measured is an upper bound.
"""

import json
import os
import random
import subprocess
import sys
import termios
import threading
import time
import tty

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "dbus"))
import harness  # noqa: E402
from harness import COMMUNICATION_ERROR, frame, now  # noqa: E402

SLOW, FAST = 1.0, 0.5
FRAME_SIZE = 58
LINE_RATE = 960  # bytes a second at 9600 8N1
ORPHAN_KEY = 129
LATE = 0.05     # a machine that is later than this has measured itself, not the daemon
SLACK = 0.3     # where design 12 gives no bound: scheduling, and the frame that is just missed

RATES = {"slow": SLOW, "fast": FAST}


class Skip(Exception):
    """The story cannot be told here; says why."""


class Chain(harness.Stream):
    """The boards' side of the pty. The harness's stream, with sources other than the healthy IN board."""

    def __init__(self, *args):
        super().__init__(*args)
        self.wake = threading.Condition(self.lock)
        self.late = []  # (when it was due, by how much it was late)
        self.healthy()

    def healthy(self):
        """The IN board and all cell boards: a frame each period, from one period after the last bytes on."""
        with self.wake:
            self.source, self.interval = self.next_frame, lambda raw: self.period
            self.due = max(now(), self.sent[-1][0] + self.period) if self.sent else now()
            self.wake.notify_all()

    def run(self):
        with self.wake:
            while not self.stopping.is_set():
                ahead = self.due - now()
                if ahead > 0:
                    self.wake.wait(ahead)
                    continue
                if -ahead > LATE:
                    self.late.append((self.due, -ahead))
                raw = self.source()
                raw = None if raw is None else self.change(raw)
                if raw is not None:
                    self.send(raw)
                self.due += self.interval(raw)

    def stop(self):
        self.stopping.set()
        with self.wake:
            self.wake.notify_all()
        self.thread.join()

    def send(self, raw):
        with self.wake:
            if self.master is None:
                return
            at = now()  # before the bytes leave: the daemon may be quicker than we are
            try:
                os.write(self.master, raw)
            except OSError:
                return  # nobody has the other end open
            self.sent.append((at, raw))
            self.wake.notify_all()

    def frame_time(self, n, timeout=10):
        with self.wake:
            assert self.wake.wait_for(lambda: len(self.sent) > n, timeout), "no frame was sent"
            return self.sent[n][0]

    def tell(self, **changes):
        """From the next frame on these are the readings; returns that frame's number."""
        with self.wake:
            for name, value in changes.items():
                setattr(self, name, value)
            return len(self.sent)

    def speak(self, source, interval, first):
        """From now on these bytes: source() each interval(bytes), first after the last frame. Returns that one's time."""
        with self.wake:
            self.source, self.interval = source, interval
            self.due = self.last_time() + first
            self.wake.notify_all()
            return self.last_time()

    def mend(self):
        with self.wake:
            self.change = lambda raw: raw
            self.healthy()
            return len(self.sent)

    # The faults. Each returns the time of the last good frame.

    def silence(self):
        return self.speak(lambda: None, lambda raw: self.period, self.period)

    def noise(self, seed):
        """Random bytes at line rate, from the last frame on."""
        dice = random.Random(seed)
        return self.speak(lambda: dice.randbytes(48), lambda raw: len(raw) / LINE_RATE, FRAME_SIZE / LINE_RATE)

    def damaged(self):
        """Every frame with a wrong checksum."""
        with self.wake:
            self.change = lambda raw: raw[:-1] + bytes([raw[-1] ^ 0x55])
            return self.last_time()

    def cut_behind(self, board):
        """chain.md R10, R11: board + 1 hears nothing, and starts orphans 2.5 periods after the last frame's start, then
        each 1.5 periods; the IN board passes them on."""
        rest, own = self.mv[board:], board + 1

        def orphan():
            return frame(rest, i_in=None, i_out=None, detail=0, status=0x80 | COMMUNICATION_ERROR, key=ORPHAN_KEY,
                         value=own)
        return self.speak(orphan, lambda raw: 1.5 * self.period, 2.5 * self.period)

    def no_return(self):
        """chain.md R9: 3 cycles after the last return the IN board sends its own frame, count 0, each cycle."""
        def own():
            return frame(self.mv[:1], count=0, detail=0, status=0x80 | COMMUNICATION_ERROR)
        return self.speak(own, lambda raw: self.period, 3 * self.period)

    def repeat(self):
        """The same bytes again and again. The last frame is the first of them."""
        with self.wake:
            last = self.sent[-1][1]
            return self.speak(lambda: last, lambda raw: self.period, self.period)

    def unplug(self):
        with self.wake:
            at = now()
            super().unplug()
            return at


class Daemon(harness.Daemon):
    """smartbmsd. Its log can be left unread, so that the pipe fills."""

    def __init__(self, *args, **options):
        self.came = threading.Condition()
        self.reading, self.held = threading.Event(), threading.Event()
        self.reading.set()
        super().__init__(*args, **options)

    def read(self):
        for line in self.process.stderr:
            if not self.reading.is_set():
                self.held.set()
                self.reading.wait()
            with self.came:
                self.lines.append((now(), line.rstrip("\n")))
                self.came.notify_all()

    def block_log(self):
        """Nobody reads the log any more, and the pipe is full."""
        self.reading.clear()
        fd = os.open(f"/proc/{self.process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(fd, b"\n")
            assert self.held.wait(5), "the log's reader goes on"
            size = 4096
            while size > 0:
                try:
                    os.write(fd, b"." * size)
                except BlockingIOError:
                    size //= 2
        finally:
            os.close(fd)

    def wait_line(self, pattern, since=0.0, timeout=10.0):
        def found():
            return next((t for t, line in self.lines if t >= since and harness.re.search(pattern, line)), None)
        with self.came:
            if not self.came.wait_for(lambda: found() is not None, timeout):
                raise AssertionError(f"no line /{pattern}/ within {timeout:.1f} s")
            return found()


class Output:
    """A reader of the extended data output: frames with the time at which they were whole."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY | os.O_NOCTTY)
        tty.setraw(self.fd)
        termios.tcflush(self.fd, termios.TCIFLUSH)
        self.frames = []
        self.came = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        rest = b""
        while True:
            try:
                rest += os.read(self.fd, 4096)
            except OSError:
                return  # the daemon has ended
            at = now()
            with self.came:
                while len(rest) >= FRAME_SIZE:
                    raw, rest = rest[:FRAME_SIZE], rest[FRAME_SIZE:]
                    assert sum(raw[:57]) & 0xFF == raw[57], "the output is not whole frames"
                    self.frames.append((at, raw))
                self.came.notify_all()

    def wait_status(self, mask, value, since, timeout):
        """When the first frame came whose status byte says so."""
        def found():
            return next((t for t, raw in self.frames if t >= since and raw[30] & mask == value), None)
        with self.came:
            if not self.came.wait_for(lambda: found() is not None, timeout):
                raise AssertionError(f"no frame with status & {mask:#x} = {value:#x} within {timeout:.1f} s")
            return found()


class Story:
    """One daemon with its chain, and what is expected of it."""

    def __init__(self, programs, name, rate, cells=8, config="", output=False, wall_clock=False,
                 midnight=None):
        self.programs, self.name, self.rate, self.period = programs, name, rate, RATES[rate]
        self.figures = []   # (what, seconds, bound)
        self.notes = []     # what else was found
        self.started = now()
        self.directory = harness.tempfile.mkdtemp(prefix="smartbms-replay-")
        self.bus = harness.PrivateBus(self.directory).start()
        self.chain = Chain(self.directory, cells, self.period)
        self.output_path = os.path.join(self.directory, "output")
        if output:
            config += f"output:\n  pty: {self.output_path}\n"
        config += f"cells: {cells}\n"
        self.offset_path = os.path.join(self.directory, "wall-clock-offset")
        env = {}
        if wall_clock:
            self.turn_wall_clock(0)
            env = {"LD_PRELOAD": programs["wall-clock"], "WALL_CLOCK_OFFSET": self.offset_path}
        if midnight:    # local, in so many seconds from now
            self.midnight = time.time() + midnight
            west = int(self.midnight) % 86400
            env["TZ"] = f"Here{west // 3600:02}:{west // 60 % 60:02}:{west % 60:02}"
            self.midnight = now() + int(self.midnight) - time.time()
        self.daemon = Daemon(programs["smartbmsd"], self.directory, self.bus.address, config, env=env,
                             args=["--state", os.path.join(self.directory, "state")] if wall_clock else [])

    def close(self):
        if self.chain.thread.is_alive():
            self.chain.stop()
        status = self.daemon.stop()
        self.bus.stop()
        harness.shutil.rmtree(self.directory)
        return status

    def turn_wall_clock(self, seconds):
        """What wall-clock.c reads: the daemon's wall clock is this far off from now on."""
        with open(self.offset_path + ".new", "wb") as f:
            f.write(seconds.to_bytes(8, sys.byteorder, signed=True))
        os.rename(self.offset_path + ".new", self.offset_path)

    def synchronise(self, yes=True):
        """What wall-clock.c makes of the kernel's word about the clock."""
        mark = self.offset_path + ".synchronised"
        if yes:
            with open(mark, "w"):
                pass
        elif os.path.exists(mark):
            os.unlink(mark)

    # ---- setting out

    def opened(self):
        """Nothing is sent before somebody listens."""
        self.daemon.wait_line("serial: .* opened")

    def live(self):
        """A healthy pack: both relays closed, the message rate believed (B10: 10 intervals for the fast one)."""
        self.opened()
        self.chain.start()
        self.daemon.both("closed", timeout=15)
        if self.rate == "fast":
            n = 12
            while True:  # one message that was late begins the 10 intervals anew
                self.chain.frame_time(n, timeout=15)
                if self.status()["link"]["link_period_s"] == FAST:
                    break
                n = len(self.chain.sent)
                assert n < 60, "the fast message rate is not believed"
        self.chain.frame_time(len(self.chain.sent), timeout=15)  # and stands just behind a frame

    def by_rate(self, slow, fast):
        return slow if self.rate == "slow" else fast

    # ---- what is expected

    def figure(self, what, since, at, bound, soonest=None):
        took = at - since
        self.figures.append((what, took, bound))
        assert took <= bound, f"{what} after {took:.3f} s; bound {bound} s"
        if soonest is not None:
            assert took >= soonest, f"{what} after {took:.3f} s already; not before {soonest} s"

    def expect_open(self, relays, since, bound, soonest=None):
        """These relays are told to open within the bound, the others are left alone until then."""
        times = [self.daemon.relay(r, "open", since, timeout=bound + 5) for r in relays]
        what = " and ".join(relays) if len(relays) == 1 else "both"
        self.figure(f"{what} open", since, max(times), bound, soonest)
        for other in {"charge", "load"} - set(relays):
            assert not self.daemon.has_line(f"{other} relay opens", since=since), f"the {other} relay opened too"
        return max(times)

    def expect_both_open(self, since, bound, soonest=None):
        return self.expect_open(["charge", "load"], since, bound, soonest)

    def expect_unchanged(self, since):
        assert not self.daemon.has_line("relay (opens|closes)$", since=since), "a relay moved"

    def expect_closed(self, relays, since, bound, soonest=None):
        times = [self.daemon.relay(r, "closed", since, timeout=bound + 5) for r in relays]
        what = relays[0] if len(relays) == 1 else "both"
        self.figure(f"{what} closed again", since, max(times), bound, soonest)

    def expect_recovery(self, opened, mended, relays=("charge", "load"), delay=10, reopening=0.0):
        """Without a restart: closed by the frames after the delay (P4: 10 s after link, E or unconfirmed, 60 s after a
        limit) and not before; and by 3 frames for the link and 2 for the relays after what was wrong is mended."""
        latest = max(opened + delay + 2 * self.period, mended + reopening + 5 * self.period) + SLACK
        self.expect_closed(list(relays), opened, latest - opened, soonest=delay - LATE)

    def status(self):
        return self.ctl_json("status")

    def ctl(self, *words):
        return subprocess.run([self.programs["smartbmsctl"], "--bus", self.bus.address, *words], text=True, timeout=30,
                              stdin=subprocess.DEVNULL, capture_output=True)

    def ctl_json(self, *words):
        answer = self.ctl(*words, "--json")
        assert answer.returncode in (0, 4), f"smartbmsctl {words}: {answer.returncode}: {answer.stderr}"
        return json.loads(answer.stdout)

    def expect_link(self, state, text, error=None):
        link = self.status()["link"]
        assert link["link_state"] == state, f"link is {link['link_state']}, not {state}"
        assert text in link["link_text"], f"link says '{link['link_text']}', not '{text}'"
        if error is not None:
            assert link["link_communication_error"] == error, f"the E light is {not error}"

    def expect_healthy(self):
        """Nothing of the fault remains."""
        self.expect_link("live", "", error=False)
        alarms = [a["name"] for a in self.status()["alarms"]]
        left = set(alarms) - {"capacity-unset"}
        assert not left, f"alarms remain: {left}"

    def expect_why(self, relay, text):
        reason = self.status()["relays"][relay]["reason"]
        assert text in reason, f"the {relay} relay's reason is '{reason}', not '{text}'"
