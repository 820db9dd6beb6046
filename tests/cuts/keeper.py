# SPDX-License-Identifier: MIT
"""The real smartbmsd with a state directory, a pack on a pty, and clients that change things and write down what they were
told: what power-cuts.py and kills.py are made of. Times are CLOCK_BOOTTIME."""

import ctypes
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "dbus"))
import harness  # noqa: E402
from harness import now  # noqa: E402

CELLS, PERIOD = 16, 0.5
IN_MA, OUT_MA = 20000, 8000
CAPACITY_WH = 50000     # so large that the state of charge stays where it was set
CONFIG = f"cells: {CELLS}\nsettings:\n  capacity: {CAPACITY_WH}\n"


GONE = ["org.freedesktop.DBus.Error." + e for e in
        ("NoReply", "ServiceUnknown", "NameHasNoOwner", "Disconnected", "UnknownMethod", "UnknownObject")]


def has_sanitizer(program):
    with open(program, "rb") as f:
        return b"__asan_init" in f.read()


class Promises:
    """What clients asked for and were told, one JSON object a line: begun, done (None = never answered), what, n."""

    def __init__(self, path):
        self.path = path

    def read(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path) as f:
            lines = [json.loads(line) for line in f if line.endswith("\n")]
        asked, answered = {}, {}
        for line in lines:
            (answered if "done" in line else asked)[line["what"], line["n"]] = line
        return sorted(({"done": None, **ask, **answered.get(key, {})} for key, ask in asked.items()),
                      key=lambda p: p["begun"])

    @staticmethod
    def write(fd, **words):
        os.write(fd, (json.dumps(words) + "\n").encode())


def ask_without_end(address, path, kinds, first, seed, pauses, stop, ready):
    """A client in a process of its own. n of a Set is solar_peak, of SetSOC permyriad, else a number."""
    harness.end_with_parent()
    import client as dbus_client
    dice = random.Random(seed)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    client, n = None, first
    while not stop.is_set():
        try:
            if client is None:
                client = dbus_client.Client(address)
                client.wait_name()
                ready.set()
            what = dice.choice(kinds)
            n += 1
            begun = now()
            if what == "set":
                words = {"what": what, "n": n, "vmax": 3600 + 5 * (n % 20), "tmax": 500 + n % 50}
                Promises.write(fd, begun=begun, **words)
                client.set(**{key: dbus_client.dbus.Int64(value) for key, value in
                              (("solar_peak", n), ("vmax", words["vmax"]), ("tmax", words["tmax"]))})
            elif what == "soc":
                Promises.write(fd, begun=begun, what=what, n=n)
                client.call("Pack", "SetSOC", dbus_client.dbus.Int64(3000 + n % 4000))
            elif what == "clear":
                Promises.write(fd, begun=begun, what=what, n=n)
                client.call("Energy", "Clear")
            elif what == "pin":
                Promises.write(fd, begun=begun, what=what, n=n)
                client.call("Settings", "SetPin", pin(n))
            Promises.write(fd, done=now(), what=what, n=n)
            stop.wait(dice.uniform(*pauses))
        except (AssertionError, dbus_client.dbus.DBusException) as e:
            if "applied, not stored" in str(e):
                Promises.write(fd, done=None, what=what, n=n)
            elif isinstance(e, AssertionError) or e.get_dbus_name() in GONE:
                client = None   # the daemon is gone, or not there yet
            elif "waiting for the card" not in str(e) and "are not read yet" not in str(e):
                raise
            stop.wait(0.05)
    os.close(fd)


class Keeper:
    """Bus, pack and state directory; the daemon comes and goes."""

    def __init__(self, smartbmsd, directory=None, env=None, config=CONFIG, wrapper=()):
        self.smartbmsd, self.env, self.config, self.wrapper = smartbmsd, env or {}, config, wrapper
        self.directory = tempfile.mkdtemp(prefix="smartbms-keeper-", dir=directory)
        os.chmod(self.directory, 0o755)
        self.state = os.path.join(self.directory, "state")
        self.promises = Promises(os.path.join(self.directory, "promises"))
        self.bus = harness.PrivateBus(self.directory).start()
        self.stream = harness.Stream(self.directory, CELLS, PERIOD)
        self.stream.fields = {"i_in": IN_MA, "i_out": OUT_MA}
        self.stream.start()
        self.daemon, self.askers, self.lives = None, [], []

    def watt(self):
        """Collected, by what the frames say."""
        return IN_MA * sum(self.stream.mv) / 1e6

    def start(self, **options):
        self.daemon = harness.Daemon(self.smartbmsd, self.directory, self.bus.address, self.config,
                                     args=["--state", self.state], env={**self.env, **options.get("env", {})},
                                     wrapper=self.wrapper)
        self.lives.append([self.daemon.started, None])
        return self.daemon

    def stop(self):
        status = self.daemon.stop()
        self.lives[-1][1] = now()
        assert status == 0, f"smartbmsd ended with {status}:\n" + self.daemon.text()

    def kill(self):
        self.daemon.process.send_signal(signal.SIGKILL)
        self.daemon.process.wait()
        self.lives[-1][1] = now()
        self.daemon.thread.join(5)
        self.daemon.process.stderr.close()

    def ask(self, kinds, first, seed, pauses):
        stop, ready = multiprocessing.Event(), multiprocessing.Event()
        process = multiprocessing.Process(target=ask_without_end, daemon=True,
                                          args=(self.bus.address, self.promises.path, kinds, first, seed, pauses, stop,
                                                ready))
        process.start()
        self.askers.append((process, stop))
        return ready

    def ask_no_more(self):
        for process, stop in self.askers:
            stop.set()
        for process, _ in self.askers:
            process.join(20)
            assert process.exitcode == 0, "a client failed"
        self.askers = []

    def close(self):
        for process, _ in self.askers:
            process.kill()
        if self.daemon and self.daemon.process.poll() is None:
            self.daemon.process.kill()
            self.daemon.process.wait()
        self.stream.stop()
        self.bus.stop()
        shutil.rmtree(self.directory)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] is not None and self.daemon:
            print(self.daemon.text()[-4000:], file=sys.stderr)
        self.close()


LIBCRYPT = ctypes.CDLL("libcrypt.so.1")
LIBCRYPT.crypt.restype = ctypes.c_char_p
PINS = {"": 0}      # hash -> the change that it is of


def pin(n):
    return f"{n % 100000000:06d}"


def pin_of(text, promises, at):
    """The number of the change that a PIN's hash is of; None: of none that was asked for by then."""
    if text not in PINS:
        for p in reversed([p for p in promises if p["what"] == "pin" and p["begun"] <= at]):
            if LIBCRYPT.crypt(pin(p["n"]).encode(), text.encode()) == text.encode():
                PINS[text] = p["n"]
                break
    return PINS.get(text)


def due(promises, at):
    """Those that were answered by then."""
    return [p for p in promises if p["done"] is not None and p["done"] <= at]


def lost(promises, answer, at):
    """What of what was promised by then a judge's answer does not have: sentences, of the settings and of the events."""
    kept = due(promises, at)
    of_settings, of_events = [], []

    sets = {p["n"]: p for p in promises if p["what"] == "set" and p["begun"] <= at}
    newest = max((p["n"] for p in kept if p["what"] == "set"), default=0)
    values = answer["values"]
    n = values["solar_peak"] or 0
    if newest:
        if answer["settings"] != "good":
            of_settings.append(f"the settings file is {answer['settings']}")
        elif n < newest:
            of_settings.append(f"settings of change {n}, and {newest} was acknowledged")
    if answer["settings"] == "good" and n and (n not in sets or values["vmax"] != sets[n]["vmax"]
                                               or values["tmax"] != sets[n]["tmax"]):
        of_settings.append(f"settings {n}, {values['vmax']}, {values['tmax']} are none that was asked for")

    newest = max((p["n"] for p in kept if p["what"] == "pin"), default=0)
    if newest:
        n = pin_of(answer["pin"], promises, at)
        if n is None or n < newest:
            of_settings.append(f"the PIN of change {n}, and {newest} was acknowledged")

    events = answer.get("events", [])
    if [e[0] for e in events] != sorted({e[0] for e in events}):
        of_events.append("numbers of events do not rise")
    seen = {(e[4], e[5]) for e in events}
    socs = sum("state of charge set to" in e[6] for e in events)
    for key, what, there in (("soc", "soc", socs), ("clear", "energy-cleared", sum(e[2] == "energy-cleared" for e in events)),
                             ("pin", "pin", sum(e[4] == "pin" for e in events))):
        wanted = sum(p["what"] == key for p in kept)
        if there < wanted:
            of_events.append(f"{there} events {what} of {wanted}")
    for p in kept:
        if p["what"] == "set" and ("solar_peak", f"{p['n']} W") not in seen:
            of_events.append(f"no event of change {p['n']}")
            break
    return of_settings, of_events
