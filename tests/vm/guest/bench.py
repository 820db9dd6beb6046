# SPDX-License-Identifier: MIT
"""For scenarios: a simulated GPIO chip, a simulated pack on the USB serial port, the service, and the time.

Times are CLOCK_BOOTTIME in seconds, as in smartbmsd."""

import collections
import contextlib
import json
import os
import pathlib
import select
import socket
import subprocess
import sys
import threading
import time

PHASE = int(os.environ.get("BENCH_PHASE", "0"))
STATE = os.environ.get("BENCH_STATE", "")
CONFIG = pathlib.Path("/etc/smartbms/smartbms.yaml")
CONFIGFS = pathlib.Path("/sys/kernel/config/gpio-sim")
FRAME_SIZE = 58
# Offsets in the frame: "123SmartBMS data out protocol V1.2".
LOWEST, HIGHEST = 12, 15


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def note(*words):
    print(f"{now():9.3f}", *words, flush=True)


def fail(text):
    note("FAILED:", text)
    sys.exit(1)


def skip(text):
    print(text, flush=True)
    sys.exit(77)


def check(condition, text):
    if not condition:
        fail(text)


def within(seconds, low, high, text):
    note(f"{text}: {seconds * 1000:.1f} ms")
    check(low <= seconds <= high, f"{text}: {seconds:.4f} s is not within {low} .. {high} s")


def wait(condition, seconds, text):
    """The first true value of condition()."""
    end = now() + seconds
    while True:
        value = condition()
        if value:
            return value
        if now() > end:
            fail(f"not within {seconds} s: {text}")
        time.sleep(0.02)


def run(*command, **options):
    options = {"check": True, "stdout": subprocess.PIPE, "text": True, **options}
    return subprocess.run([str(word) for word in command], **options).stdout


class Host:
    """What only the world outside of the machine can do."""

    def __init__(self):
        self.file = open("/dev/virtio-ports/host", "r+b", buffering=0)
        self.lock = threading.Lock()

    def __call__(self, *words):
        with self.lock:
            self.file.write((" ".join(str(w) for w in words) + "\n").encode())
            answer = b""
            while not answer.endswith(b"\n"):
                answer += self.file.read(1) or b""
        check(answer == b"ok\n", f"the host says {answer!r}")

    def plug(self, n=0):
        self("plug", n)
        return pathlib.Path(wait(lambda: self.port(n), 20, f"adapter {n} is there"))

    @staticmethod
    def port(n):
        found = list(pathlib.Path("/dev/serial/by-id").glob(f"*BENCH{n}*"))
        return found[0] if found else None

    def unplug(self, n=0):
        self("unplug", n)

    def cut(self, low_ms, high_ms, state):
        """The power fails between so many ms from now; the scenario starts again with the next PHASE. state: what json
        can write."""
        self.file.write(f"cut {low_ms} {high_ms} {json.dumps(state)}\n".encode())

    def done(self, state):
        """Until the power fails: the STATE to start again with. It has left the machine when this returns."""
        self.file.write(f"done {json.dumps(state)}\n".encode())

    def reboot(self, state="", clock=True):
        """As after a cut; without clock the machine's time stays what it is after a boot."""
        os.sync()
        self.file.write(("reboot " if clock else "reboot-without-clock ").encode() + f"{state}\n".encode())
        time.sleep(600)


class Chip:
    """A GPIO chip of gpio-sim: what drives it, and what reads it back, is the kernel."""

    def __init__(self, label="bench", lines=16):
        self.label = label
        self.config = CONFIGFS / label
        if not CONFIGFS.exists():
            run("modprobe", "gpio_bench")
        self.config.mkdir()
        bank = self.config / "bank0"
        bank.mkdir()
        (bank / "num_lines").write_text(str(lines))
        (bank / "label").write_text(label)
        self.plug()

    def plug(self):
        (self.config / "live").write_text("1")
        device = (self.config / "dev_name").read_text().strip()
        chip = (self.config / "bank0/chip_name").read_text().strip()
        self.lines = pathlib.Path("/sys/devices/platform", device, chip)
        self.node = pathlib.Path("/dev", chip)
        run("udevadm", "settle")

    def unplug(self):
        (self.config / "live").write_text("0")

    def value(self, line):
        return int((self.lines / f"sim_gpio{line}/value").read_text())

    def pull(self, line, up):
        (self.lines / f"sim_gpio{line}/pull").write_text("pull-up" if up else "pull-down")

    def path(self, line):
        return self.lines / f"sim_gpio{line}/value"


# It was seen at `time`, and happened after `earliest`, when the line had been looked at before.
Change = collections.namedtuple("Change", "time line value earliest")


class Watch:
    """Each change of some lines, looked at each half millisecond, or when the machine lets it."""

    def __init__(self, chip, lines):
        self.lines = list(lines)
        self.changes = []
        self.process = subprocess.Popen(["/usr/local/lib/bench/line-watch", *[str(chip.path(n)) for n in lines]],
                                        stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()
        wait(lambda: len(self.changes) >= len(self.lines), 5, "line-watch looks")

    def read(self):
        for text in self.process.stdout:
            at, line, value, earliest = map(int, text.split())
            self.changes.append(Change(at / 1e9, self.lines[line], value, earliest / 1e9))

    def since(self, at, line=None, value=None):
        return [c for c in self.changes if c.time >= at and line in (None, c.line) and value in (None, c.value)]

    def first(self, at, line, value, seconds, text):
        return wait(lambda: self.since(at, line, value), seconds, text)[0]

    def pulse(self, line, at, seconds, shortest, longest):
        """A pulse that comes within so many seconds, and is neither too short nor too long for sure; its beginning."""
        up = self.first(at, line, 1, seconds, f"pulse on line {line}")
        down = self.first(up.time, line, 0, 5, f"the end of the pulse on line {line}")
        least, most = down.earliest - up.time, down.time - up.earliest
        note(f"pulse on line {line}: between {least * 1000:.1f} and {most * 1000:.1f} ms")
        check(most >= shortest and least <= longest, f"a pulse of {least:.4f} to {most:.4f} s: "
              f"not within {shortest} .. {longest} s")
        return up.time

    def stop(self):
        self.process.kill()


Frame = collections.namedtuple("Frame", "time lowest_mv highest_mv bytes")


class Pack:
    """smartbms-sim, heard through the USB adapter n (or a pty if n is None). Knows when each frame was handed to the
    wire."""

    def __init__(self, n, *options):
        self.folder = pathlib.Path("/run/bench", f"pack-{n}")
        self.folder.mkdir(exist_ok=True)
        self.control = self.folder / "control"
        self.pty = self.folder / "pty"
        self.frames = []
        self.mirror = None
        self.stopped = False
        self.process = subprocess.Popen(["smartbms-sim", "--link", str(self.pty), "--control", str(self.control),
                                         *options], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        wait(self.control.exists, 5, "smartbms-sim answers")
        if n is not None:
            threading.Thread(target=self.carry, args=(f"/dev/virtio-ports/wire{n}",), daemon=True).start()

    def carry(self, wire):
        source = os.open(self.pty, os.O_RDONLY | os.O_NOCTTY)
        with open(wire, "wb", buffering=0) as wire:
            while not self.stopped:
                if not select.select([source], [], [], 0.5)[0]:
                    continue
                try:
                    data = os.read(source, 4096)
                except OSError:
                    break
                at = now()
                wire.write(data)
                if self.mirror:
                    self.mirror.carry(at, data)
                # One write of the simulator is one frame; with faults on the line it may be anything.
                frame = data[-FRAME_SIZE:]
                if len(frame) == FRAME_SIZE:
                    low, high = (int.from_bytes(frame[o:o + 2], "big") * 5 for o in (LOWEST, HIGHEST))
                    self.frames.append(Frame(at, low, high, frame))
        os.close(source)

    def __call__(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.control))
            s.sendall((command + "\n").encode())
            answer = s.makefile().readline().strip()
        check(answer.startswith("ok"), f"smartbms-sim: {command}: {answer}")
        return answer

    def stop(self):
        self.stopped = True
        self.process.terminate()
        self.process.wait()


class Mirror:
    """A pack's bytes once more, through the USB adapter n: when they come out of it, a program that runs before all others can
    have them, and so can the daemon. On a host that others keep busy that is some time after they were handed to the wire."""

    def __init__(self, pack, n):
        self.wire = open(f"/dev/virtio-ports/wire{n}", "wb", buffering=0)
        self.total, self.sent, self.arrivals = 0, {}, []
        port = wait(lambda: Host.port(n), 10, f"adapter {n} is there")
        self.process = subprocess.Popen([sys.executable, "/run/bench/guest/arrivals.py", port], stdout=subprocess.PIPE, text=True)
        check(self.process.stdout.readline() == "ready\n", "arrivals.py reads")
        threading.Thread(target=self.read, daemon=True).start()
        pack.mirror = self

    def carry(self, at, data):
        self.wire.write(data)
        self.total += len(data)
        self.sent[at] = self.total

    def read(self):
        for line in self.process.stdout:
            at, total = line.split()
            self.arrivals.append((float(at), int(total)))

    def arrival(self, frame):
        """When the frame's last byte came out."""
        total = self.sent[frame.time]
        return wait(lambda: [at for at, n in self.arrivals if n >= total], 5, "the frame came out of the other adapter")[0]


class Service:
    def __init__(self, unit="smartbmsd.service"):
        self.unit = unit

    def systemctl(self, *words):
        return run("systemctl", *words, self.unit)

    def show(self, name):
        return run("systemctl", "show", "--value", "-p", name, self.unit).strip()

    def pid(self):
        return int(self.show("MainPID"))

    def is_active(self):
        return self.show("ActiveState") == "active"

    def restarts(self):
        return int(self.show("NRestarts"))

    def journal(self, *options):
        return run("journalctl", "--no-pager", "-b", "-o", "cat", "-u", self.unit, *options)


def ctl(*words):
    return json.loads(run("smartbmsctl", *words, "--json"))


def status(*words):
    """What smartbmsctl knows, or None while there is nobody to ask."""
    result = subprocess.run(["smartbmsctl", *words, "status", "--json"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, check=False)
    try:
        return json.loads(result.stdout)
    except ValueError:
        return None


# The lines that the scenarios' config uses.
CHARGE_SET, CHARGE_RESET, LOAD_SET, LOAD_RESET, CHARGE_LINE, LOAD_LINE = 0, 1, 2, 3, 4, 5
CHARGE_FEEDBACK, LOAD_FEEDBACK, LED_INFO, LED_CHARGE, LED_LOAD, BUTTON, HEARTBEAT = 6, 7, 8, 9, 10, 11, 12

LATCHING = f"""
  charge: {{type: latching, set: "bench:{CHARGE_SET}", reset: "bench:{CHARGE_RESET}"}}
  load: {{type: latching, set: "bench:{LOAD_SET}", reset: "bench:{LOAD_RESET}"}}"""
MONOSTABLE = f"""
  charge: {{type: monostable, line: "bench:{CHARGE_LINE}"}}
  load: {{type: monostable, line: "bench:{LOAD_LINE}"}}"""
WITH_FEEDBACK = f"""
  charge: {{type: monostable, line: "bench:{CHARGE_LINE}", feedback: "bench:{CHARGE_FEEDBACK}"}}
  load: {{type: monostable, line: "bench:{LOAD_LINE}", feedback: "bench:{LOAD_FEEDBACK}"}}"""
PANEL = f"""
leds: {{info: "bench:{LED_INFO}", charge: "bench:{LED_CHARGE}", load: "bench:{LED_LOAD}"}}
button: "bench:{BUTTON}"
heartbeat: "bench:{HEARTBEAT}"
"""


def configure(relays=LATCHING, settings="", more="", port='{usb: "0403:6001"}', path=CONFIG):
    path.write_text(f"""role: gateway
port: {port}
relays:
  driver: gpio{relays}
{more}
settings: {{capacity: 3840Wh, charge_restart_delay: 0s, discharge_restart_delay: 0s{settings}}}
""")
    run("smartbmsd", "--check-config", "--config", path)


def first_start(service, folder="/var/lib/smartbms"):
    """Stopped, and as if it had never run: the config's defaults are in force then."""
    service.systemctl("stop")
    for path in pathlib.Path(folder).glob("*"):
        if path.is_file():
            path.unlink()


class Bench(contextlib.AbstractContextManager):
    """The usual: chip, adapter, pack, configured service, and both relays closed."""

    def __init__(self, relays=LATCHING, sim=("--cells", "8", "--soc", "50"), watch=None, closed=True,
                 resume=False, **config):
        """resume: the service is as it came up after a boot, with the config of an earlier phase."""
        self.host = Host()
        self.chip = Chip()
        self.service = Service()
        self.relays = relays
        if not resume:
            configure(relays, **config)
        self.latching = relays == LATCHING
        self.lines = watch if watch is not None else range(4) if self.latching else (CHARGE_LINE, LOAD_LINE)
        self.watch = Watch(self.chip, self.lines)
        self.pack = Pack(0, *sim)
        self.host.plug(0)
        self.started = now()
        if not resume:
            first_start(self.service)
            self.started = now()
            self.service.systemctl("start")
        if closed:
            self.await_closed(self.started, 30)

    def await_closed(self, at, seconds):
        """Both relays close after that time; the later one's moment."""
        moments = []
        for line in (CHARGE_SET, LOAD_SET) if self.latching else (CHARGE_LINE, LOAD_LINE):
            moments.append(self.watch.first(at, line, 1, seconds, f"closing by line {line}").time)
        return max(moments)

    def await_open(self, at, seconds):
        """Both relays open after that time; the later one's moment."""
        moments = []
        for line in (CHARGE_RESET, LOAD_RESET) if self.latching else (CHARGE_LINE, LOAD_LINE):
            value = 1 if self.latching else 0
            moments.append(self.watch.first(at, line, value, seconds, f"opening by line {line}").time)
        return max(moments)

    def __exit__(self, *error):
        self.watch.stop()
        self.pack.stop()
        return None
