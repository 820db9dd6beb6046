# SPDX-License-Identifier: MIT
"""What the gpio-* scenarios share, inside the guest: simulated GPIO chips, contacts that follow their coils, a simulated
pack, the installed service, and what the journal says. Standard library only; root; smartbms installed; gpio-sim loaded
or loadable. Times are CLOCK_MONOTONIC, in seconds."""

import os
import re
import subprocess
import sys
import threading
import time

CONFIGFS = "/sys/kernel/config"
BENCH = "/run/smartbms-bench"
CONFIG = "/etc/smartbms/smartbms.yaml"


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read().strip()


def run(*words, check=True):
    return subprocess.run(words, check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


class Chip:
    """A chip of gpio-sim. names: those of its lines, by offset."""

    def __init__(self, label, names):
        self.label, self.names = label, names
        self.folder = f"{CONFIGFS}/gpio-sim/{label}"
        bank = f"{self.folder}/bank0"
        os.makedirs(bank)
        write(f"{bank}/num_lines", str(len(names)))
        write(f"{bank}/label", label)
        for offset, name in enumerate(names):
            os.mkdir(f"{bank}/line{offset}")
            write(f"{bank}/line{offset}/name", name)
        self.fds = {}
        self.plug()

    def plug(self):
        write(f"{self.folder}/live", "1")
        chip = f"/sys/devices/platform/{read(self.folder + '/dev_name')}/{read(self.folder + '/bank0/chip_name')}"
        self.paths = {name: f"{chip}/sim_gpio{i}" for i, name in enumerate(self.names)}
        self.fds = {name: os.open(f"{path}/value", os.O_RDONLY) for name, path in self.paths.items()}

    def unplug(self):
        fds, self.fds = self.fds, {}
        time.sleep(0.02)  # the watcher is out of them
        for fd in fds.values():
            os.close(fd)
        write(f"{self.folder}/live", "0")

    def value(self, name):
        fd = self.fds.get(name)
        try:
            return None if fd is None else int(os.pread(fd, 4, 0))
        except OSError:
            return None

    def pull(self, name, up):
        write(f"{self.paths[name]}/pull", "pull-up" if up else "pull-down")


class Watcher(threading.Thread):
    """Writes down each change of each line, and moves the contacts as real coils would. contacts: name of the feedback input
    -> (coil that closes, coil that opens), or one coil for both."""

    def __init__(self, chips, contacts):
        super().__init__(daemon=True)
        self.chips, self.contacts = chips, contacts
        self.changes = []  # (time, name, value)
        self.stuck = {}  # feedback input -> where its contact stays
        self.closed = {}
        self.longest_gap = 0.0
        self.start()

    def move(self, chip, coil, value):
        for feedback, coils in self.contacts.items():
            if feedback not in chip.paths or coil not in coils:
                continue
            if len(coils) == 1:
                self.set_contact(chip, feedback, bool(value))
            elif value:
                self.set_contact(chip, feedback, coil == coils[0])

    def set_contact(self, chip, feedback, closed):
        closed = self.stuck.get(feedback, closed)
        self.closed[feedback] = closed
        try:
            chip.pull(feedback, closed)
        except OSError:
            pass  # unplugged just now

    def run(self):
        last, before = {}, now()
        while True:
            for chip in self.chips:
                for name in list(chip.fds):
                    value = chip.value(name)
                    if value is None or last.get(name) == value:
                        continue
                    last[name] = value
                    self.changes.append((now(), name, value))
                    self.move(chip, name, value)
            time.sleep(0.001)
            self.longest_gap = max(self.longest_gap, now() - before)
            before = now()

    def since(self, t, name, value=None):
        return [(at, v) for at, n, v in list(self.changes) if at >= t and n == name and value in (None, v)]

    def wait(self, t, name, value, timeout):
        """When it was, after t; None: not in time."""
        end = now() + timeout
        while now() < end:
            found = self.since(t, name, value)
            if found:
                return found[0][0]
            time.sleep(0.005)
        return None

    def pulses(self, t, name):
        """(begin, length) of those that are over."""
        result, begin = [], None
        for at, value in self.since(t, name):
            if value:
                begin = at
            elif begin is not None:
                result.append((begin, at - begin))
                begin = None
        return result


class Bench:
    """Two chips, a pack, the service. Everything is judged by check(); end() prints the journal if one failed."""

    RELAYS = """
relays:
  driver: gpio
  charge: {type: latching, set: "bench:0", reset: CHARGE_RESET, pulse: 50, feedback: CHARGE_CONTACT}
  load: {type: monostable, line: "bench:3", feedback: LOAD_CONTACT}
"""
    PANEL = """
leds: {info: LED_INFO, charge: LED_CHARGE, load: LED_LOAD}
button: "panel:3"
heartbeat: HEARTBEAT
"""

    def __init__(self, relays=RELAYS, panel=PANEL, options=()):
        subprocess.run(["modprobe", "configfs"], check=False)
        if not os.path.isdir(CONFIGFS + "/gpio-sim"):
            if not os.listdir(CONFIGFS):
                subprocess.run(["mount", "-t", "configfs", "configfs", CONFIGFS], check=False)
            for module in ("gpio-sim", "gpio_bench", "gpio_simk"):
                subprocess.run(["modprobe", module], check=False, stderr=subprocess.DEVNULL)
        if not os.path.isdir(CONFIGFS + "/gpio-sim"):
            print("skipped: no gpio-sim in this kernel")
            sys.exit(77)
        self.failed = 0
        self.coils = Chip("bench", ["CHARGE_SET", "CHARGE_RESET", "CHARGE_CONTACT", "LOAD", "LOAD_CONTACT"])
        self.panel = Chip("panel", ["LED_INFO", "LED_CHARGE", "LED_LOAD", "BUTTON", "HEARTBEAT"])
        self.watch = Watcher([self.coils, self.panel],
                             {"CHARGE_CONTACT": ("CHARGE_SET", "CHARGE_RESET"), "LOAD_CONTACT": ("LOAD",)})
        os.makedirs(BENCH, exist_ok=True)
        os.makedirs(os.path.dirname(CONFIG), exist_ok=True)
        write(CONFIG, f"port: {{path: {BENCH}/pack}}\ncells: 4\n{relays}{panel}settings: {{capacity: 1280Wh}}\n")
        if not os.path.exists(BENCH + "/control"):
            os.mkfifo(BENCH + "/control")
        self.sim = subprocess.Popen(["smartbms-sim", "--cells", "4", "--soc", "60", "--link", BENCH + "/pack",
                                     "--control", BENCH + "/control", *options], stdout=subprocess.DEVNULL)

    def tell(self, command):
        with open(BENCH + "/control", "w") as f:
            f.write(command + "\n")

    def start(self):
        t = now()
        print(run("systemctl", "restart", "smartbmsd", check=False), end="")
        return t

    def stop(self):
        run("systemctl", "stop", "smartbmsd")

    def is_pulse(self, pulse, length):
        """As seen by one who looks each millisecond, and now and then not for a while: an emulated machine is slow, and its
        end may come late, but not by more than a coil bears (500 ms)."""
        return length - 0.01 - self.watch.longest_gap <= pulse[1] <= length + 0.2 + self.watch.longest_gap

    def pid(self):
        return int(run("systemctl", "show", "-p", "MainPID", "--value", "smartbmsd"))

    def wait_closed(self, t, timeout=30):
        """Both relays, after t."""
        charge = self.watch.wait(t, "CHARGE_SET", 1, timeout)
        load = self.watch.wait(t, "LOAD", 1, timeout)
        return charge is not None and load is not None

    def journal(self, unit="smartbmsd"):
        """[(monotonic time, line)]"""
        lines = []
        for line in run("journalctl", "-u", unit, "-o", "short-monotonic", "--no-pager", "-q").splitlines():
            match = re.match(r"\[ *([0-9.]+)\] \S+ (.*)", line)
            if match:
                lines.append((float(match[1]), match[2]))
        return lines

    def said(self, t, words, timeout=5):
        """When the journal first had these words, after t; None: not in time."""
        end = now() + timeout
        while True:
            for at, line in self.journal():
                if at >= t - 0.001 and words in line:
                    return at
            if now() > end:
                return None
            time.sleep(0.1)

    def check(self, ok, what):
        print(("ok - " if ok else "not ok - ") + what, flush=True)
        self.failed += not ok

    def took(self, what, begin, end, bound):
        """begin, end: None = it never came."""
        if begin is None or end is None:
            self.check(False, f"{what}: never")
        else:
            self.check(end - begin <= bound, f"{what}: {end - begin:.3f} s (of {bound:.2f})")

    def end(self):
        print(f"# the watcher's longest gap was {self.watch.longest_gap * 1000:.0f} ms")
        if self.failed:
            for at, line in self.journal():
                print(f"#   {at:.3f} {line}")
            print(f"#   file: {read('/run/smartbms/relays') if os.path.exists('/run/smartbms/relays') else 'none'}")
        self.stop()
        self.sim.kill()
        self.sim.wait()
        sys.exit(1 if self.failed else 0)
