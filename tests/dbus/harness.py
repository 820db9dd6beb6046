# SPDX-License-Identifier: MIT
"""The real smartbmsd on a bus and a pty of its own, fed with frames made here.

The frames are put together from the published sheet (reference: 123SmartBMS data out protocol), independently of lib/.
Everything is timed by CLOCK_BOOTTIME. What the relays do is read from the log of the "log only" relay driver, so that
it is seen whatever becomes of the bus.
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tty

SKIP = 77

CHARGE_ALLOWED, DISCHARGE_ALLOWED, COMMUNICATION_ERROR = 0x01, 0x02, 0x04


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


LIBC = ctypes.CDLL(None)


def end_with_parent():
    """In a child: nothing may outlive a test, not even one that is killed."""
    LIBC.prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG


def skip(why):
    print("skipped:", why)
    sys.exit(SKIP)


def u16(value):
    return [value >> 8 & 0xFF, value & 0xFF]


def u24(value):
    return [value >> 16 & 0xFF] + u16(value)


def current(ma):
    """Sign byte, then 125 mA steps; None = no reading."""
    if ma is None:
        return [ord("X"), 0, 0]
    assert ma % 125 == 0
    return [ord("-" if ma < 0 else "+")] + u16(abs(ma) // 125)


def frame(mv, degc=None, i_in=1000, i_out=0, detail=1, count=None, status=0, key=None, value=0, v_bypass=3500):
    """mv: each cell's voltage, degc: each cell's temperature ("sheet" coding: 276 = 0 degC)."""
    degc = degc or [20] * len(mv)
    count = len(mv) if count is None else count
    i_sum = None if i_in is None else i_in - (i_out or 0)
    assert all(v % 5 == 0 for v in mv)

    def extreme(values, pick, code):
        x = pick(values)
        return u16(code(x)) + [values.index(x) + 1]

    def volts(v):
        return v // 5

    def temperature(t):
        return t + 276

    b = u24(sum(mv) // 5) + current(i_in) + current(i_out) + current(i_sum)
    b += extreme(mv, min, volts) + extreme(mv, max, volts)
    b += extreme(degc, min, temperature) + extreme(degc, max, temperature)
    b += [detail, count]
    b += u16(mv[detail - 1] // 5) + u16(degc[detail - 1] + 276) if 1 <= detail <= len(mv) else [0] * 4
    b += [status] + [0] * 16
    b += [0 if key is None else key + 25, value]
    b += [0] * 6 + u16(v_bypass // 5)
    assert len(b) == 57
    return bytes(b + [sum(b) & 0xFF])


class Stream:
    """A chain of boards on a pty: a frame each period, until told otherwise."""

    def __init__(self, directory, cells=4, period=1.0):
        self.period = period
        self.mv = [3300 + 5 * (i % 2) for i in range(cells)]
        self.degc = [20] * cells
        self.fields = {}            # further arguments of frame()
        self.change = lambda raw: raw   # what becomes of a frame on its way; None = nothing is sent
        self.rotate = True
        self.sent = []              # (time after the last byte, bytes)
        self.detail = 0
        self.link = os.path.join(directory, "port")
        self.master = None
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.plug()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def plug(self):
        self.master, slave = os.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        os.set_blocking(self.master, False)
        os.close(slave)
        if os.path.islink(self.link):
            os.unlink(self.link)
        os.symlink(name, self.link)

    def unplug(self):
        """The time just before: the daemon may have opened its relays before close() is back here."""
        with self.lock:
            os.unlink(self.link)
            at = now()
            os.close(self.master)
            self.master = None
            return at

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def send(self, raw):
        with self.lock:
            if self.master is None:
                return
            try:
                os.write(self.master, raw)
            except (BlockingIOError, OSError):
                return  # nobody has the other end open
            self.sent.append((now(), raw))

    def next_frame(self):
        if self.rotate:
            self.detail = self.detail % len(self.mv) + 1
        return frame(self.mv, self.degc, **{"detail": self.detail, **self.fields})

    def run(self):
        due = now()
        while not self.stopping.wait(max(0, due - now())):
            with self.lock:
                raw = self.change(self.next_frame())
                if raw is not None:
                    self.send(raw)
            due += self.period

    def at_next_frame(self, **changes):
        """Changes what the frames say; returns when the first frame that says so was sent."""
        with self.lock:
            n = len(self.sent)
            for name, value in changes.items():
                setattr(self, name, value)
        return self.frame_time(n)

    def frame_time(self, n, timeout=5):
        end = now() + timeout
        while len(self.sent) <= n:
            assert now() < end, "no frame was sent"
            time.sleep(0.005)
        return self.sent[n][0]

    def last_time(self):
        return self.sent[-1][0]


class Daemon:
    """smartbmsd, its log lines with the time at which they came."""

    def __init__(self, program, directory, bus, config="", args=(), env=None, wrapper=(), name="config.yaml"):
        self.config = os.path.join(directory, name)
        with open(self.config, "w") as f:
            f.write(f"port:\n  path: {directory}/port\nrelays:\n  driver: log\n" + config)
        self.lines = []
        self.started = now()
        self.process = subprocess.Popen(
            [*wrapper, program, "--config", self.config, "--bus", bus, *args], stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, text=True, errors="replace",
            preexec_fn=end_with_parent)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append((now(), line.rstrip("\n")))

    def text(self):
        return "\n".join(line for _, line in self.lines)

    def wait_line(self, pattern, since=0.0, timeout=10.0):
        """The time at which the first line that matches came, at or after `since`."""
        end = now() + timeout
        seen = 0
        while True:
            lines = self.lines[seen:]
            for t, line in lines:
                seen += 1
                if t >= since and re.search(pattern, line):
                    return t
            if now() > end:
                raise AssertionError(f"no line /{pattern}/ within {timeout} s:\n" + self.text())
            if self.process.poll() is not None and not lines:
                raise AssertionError(f"smartbmsd ended ({self.process.returncode}):\n" + self.text())
            time.sleep(0.005)

    def relay(self, name, state, since=0.0, timeout=15.0):
        """When the relay's coil was told to open or close."""
        verb = {"open": "opens", "closed": "closes"}[state]
        return self.wait_line(rf"relay output .*\b{name} relay {verb}", since, timeout)

    def both(self, state, since=0.0, timeout=15.0):
        return max(self.relay("charge", state, since, timeout), self.relay("load", state, since, timeout))

    def has_line(self, pattern, since=0.0):
        return any(t >= since and re.search(pattern, line) for t, line in self.lines)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.thread.join(5)
        self.process.stderr.close()
        return self.process.returncode


class PrivateBus:
    """A dbus-daemon that lets everybody in, as the system bus does."""

    CONFIG = """<busconfig>
      <type>custom</type>
      <listen>unix:path={path}</listen>
      <auth>EXTERNAL</auth>
      <policy context="default">
        <allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
      </policy>
    </busconfig>
    """

    def __init__(self, directory):
        self.path = os.path.join(directory, "bus")
        self.address = "unix:path=" + self.path
        self.config = os.path.join(directory, "bus.conf")
        self.process = None
        with open(self.config, "w") as f:
            f.write(self.CONFIG.format(path=self.path))

    def start(self):
        self.process = subprocess.Popen(["dbus-daemon", "--config-file=" + self.config, "--nofork", "--nopidfile",
                                         "--nosyslog"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        preexec_fn=end_with_parent)
        end = now() + 10
        while not self.listens():  # the socket's file is there before it is listened to
            assert self.process.poll() is None and now() < end, "dbus-daemon does not start"
            time.sleep(0.01)
        return self

    def listens(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.path) == 0

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait()
        if os.path.exists(self.path):
            os.unlink(self.path)


class Rig:
    """Directory, bus, stream and daemon together; ends them all."""

    def __init__(self, program, cells=4, period=1.0, config="", bus=True, **options):
        self.program = program
        self.directory = tempfile.mkdtemp(prefix="smartbms-test-")
        os.chmod(self.directory, 0o755)
        self.bus = PrivateBus(self.directory)
        if bus:
            self.bus.start()
        self.stream = Stream(self.directory, cells, period)
        self.daemon = Daemon(program, self.directory, self.bus.address, config, **options)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            if self.stream.thread.is_alive():
                self.stream.stop()
            status = self.daemon.stop()
            if exc[0] is not None:
                print(self.daemon.text(), file=sys.stderr)
            else:
                assert status == 0, f"smartbmsd ended with {status}:\n" + self.daemon.text()
        finally:
            self.bus.stop()
            shutil.rmtree(self.directory)

    def resident(self):
        """kB of memory in use by the daemon."""
        with open(f"/proc/{self.daemon.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))

    def live(self):
        """Starts the stream and waits until both relays are closed; returns that time."""
        self.stream.start()
        return self.daemon.both("closed", timeout=30)
