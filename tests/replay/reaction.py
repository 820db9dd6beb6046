#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""From a limit to the relay: at most 100 ms from the last byte of the confirming frame to the command, whatever stands
around the protection path (design 12).

  reaction.py SMARTBMSD TRIPS [WORD...]     only conditions whose title contains all WORDs

Each condition has TRIPS trips of the charge relay (V-max), the load relay (V-min) and both (T-max) in turn, through the
real daemon on a pty. A frame's time is taken before it is written; the command's when the relay driver's line has arrived here or, where
the log is what is blocked, when the frame on the extended data output is whole that says so. That frame is written after
the relays, so what is measured is an upper bound in any case.

If the machine itself was late by more than 50 ms meanwhile (a sleeper's alarm, a byte through another pty, or somebody of us
waiting for a processor), the trip is made once more; that more often than one time in three is a failure. Output is TAP.
"""

import json
import multiprocessing
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading

import replay
import story
from story import harness, now

BOUND = 0.1
SPACING = (0.05, 0.15)  # seconds between frames: the bound does not depend on them, and 200 trips shall end today
CELLS = 8
HEALTHY = {"cell": 3300, "degc": 20}
CHARGE, LOAD = 0x01, 0x02
BITS = {"charge": CHARGE, "load": LOAD}
# Which relays a trip opens, and what a frame says for it.
V_MAX = (["charge"], {"cell": 3650})
V_MIN = (["load"], {"cell": 2800})
T_MAX = (["charge", "load"], {"degc": 56})
# A daemon has this many trips in it: six closings after a limit and a relay stays open for an hour, the third V-min holds
# load (P5), and V-max soon after closing makes charge pause, which V-min ends (P4).
TRIPS_OF_A_DAEMON = [V_MAX, V_MIN, T_MAX, V_MAX, V_MIN, T_MAX, V_MAX, V_MIN, V_MAX]
CONFIG = "cells: 8\nsettings:\n  charge_restart_delay: 0s\n  discharge_restart_delay: 0s\n"


class LateMachine(Exception):
    pass


class Session:
    """One life of the daemon."""

    def __init__(self, smartbmsd, dice, canary, wrapper=()):
        self.dice, self.canary = dice, canary
        self.directory = harness.tempfile.mkdtemp(prefix="smartbms-reaction-")
        self.bus = harness.PrivateBus(self.directory).start()
        self.chain = story.Chain(self.directory, CELLS)
        self.output_path = os.path.join(self.directory, "output")
        self.wrapper = [w.replace("DIRECTORY", self.directory) for w in wrapper]
        self.daemon = None
        self.waited_before = []
        self.smartbmsd = smartbmsd
        self.output = None
        self.scene = None
        self.config, self.args = CONFIG, []

    def start(self):
        self.daemon = story.Daemon(self.smartbmsd, self.directory, self.bus.address,
                                   self.config + f"output:\n  pty: {self.output_path}\n", args=self.args,
                                   wrapper=self.wrapper)

    def live(self):
        self.daemon.wait_line("serial: .* opened")
        self.daemon.wait_line("Joined the bus")
        self.output = story.Output(self.output_path)
        self.until(CHARGE | LOAD)

    def close(self):
        status = self.daemon.stop() if self.daemon else 0
        self.bus.stop()
        harness.shutil.rmtree(self.directory)
        assert status == 0, f"smartbmsd ended with {status}"

    def say(self, cell=HEALTHY["cell"], degc=HEALTHY["degc"]):
        """The next frame, its last cell at this voltage, its first at this temperature; returns its time."""
        harness.time.sleep(self.dice.uniform(*SPACING))
        self.chain.mv = [HEALTHY["cell"]] * (CELLS - 1) + [cell]
        self.chain.degc = [degc] + [HEALTHY["degc"]] * (CELLS - 1)
        self.waited_before = self.waited()
        self.chain.send(self.chain.next_frame())
        return self.chain.last_time()

    def until(self, closed):
        """Healthy frames until these relays are closed."""
        for _ in range(20):
            since = self.say()
            try:
                self.output.wait_status(closed, closed, since, SPACING[0])
                return
            except AssertionError:
                continue
        raise AssertionError(f"relays {closed:#x} did not close in 20 frames:\n" + self.daemon.text())

    def opened(self, relay, since):
        """When the command came; see the top."""
        if self.daemon.reading.is_set():
            return self.daemon.wait_line(f"relay output .*{relay} relay opens", since, timeout=2)
        return self.output.wait_status(BITS[relay], 0, since, timeout=2)

    def waited(self):
        """Seconds for which the daemon, and each thread of ours, wanted a processor and had none."""
        def run_delay(task):
            with open(f"{task}/schedstat") as f:
                return int(f.read().split()[1]) / 1e9

        ours = f"/proc/{os.getpid()}/task/"
        return [run_delay(f"/proc/{self.daemon.process.pid}"), *(run_delay(ours + t) for t in sorted(os.listdir(ours)))]

    def trip(self, relays, beyond):
        """One trip of closed relays; returns the seconds from the confirming frame to the (last) command."""
        first = self.say(**beyond)
        confirming = self.say(**beyond)
        opened = max(self.opened(relay, first) for relay in relays)
        assert opened >= confirming, f"{relays} opened before the frame that confirms"
        took = opened - confirming
        if took > BOUND:
            late = max(self.canary.worst(confirming, opened), *(b - a for a, b in zip(self.waited_before, self.waited())))
            if late > story.LATE:
                raise LateMachine(f"{late:.3f} s")
        return took


class Canary:
    """replay.py's, asked about a time."""

    def __init__(self):
        self.process = replay.Canary()
        self.process.start()

    def worst(self, since, until):
        harness.time.sleep(2 * replay.CANARY)  # what it is about to say
        late = []
        while self.process.ours.poll():
            late.append(self.process.ours.recv())
        return max((by for due, by in late if since <= due + by and due <= until), default=0.0)

    def stop(self):
        self.process.terminate()
        self.process.join()


# ---- D-Bus clients that behave badly: bytes on a socket, so that no library of theirs is polite for them


class BadClient:
    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(address.split("=", 1)[1])
        self.serial = 0
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert self.socket.recv(512).startswith(b"OK "), "the bus does not let us in"
        self.socket.sendall(b"BEGIN\r\n" + self.call("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                                     "org.freedesktop.DBus", "Hello"))

    def call(self, destination, path, interface, member, argument=None):
        """A method call with no argument or one string (D-Bus specification, "Message Protocol")."""
        def string(s):
            return struct.pack("<I", len(s)) + s.encode() + b"\0"

        def pad(b, n):
            return b + bytes(-len(b) % n)

        fields = b""
        for code, kind, value in (1, b"o", path), (2, b"s", interface), (3, b"s", member), (6, b"s", destination):
            fields = pad(fields, 8) + bytes([code, 1]) + kind + b"\0" + string(value)
        body = b""
        if argument is not None:
            fields = pad(fields, 8) + bytes([8, 1]) + b"g\0" + b"\1s\0"
            body = string(argument)
        self.serial += 1
        head = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), self.serial, len(fields))
        return pad(head + fields, 8) + body

    def listen(self):
        self.socket.sendall(self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                      "AddMatch", "type='signal'"))

    def questions(self):
        """One of each kind, the long ones included."""
        name, path = "org.smartbms1", "/org/smartbms1"
        return b"".join([
            self.call(name, path, "org.smartbms1.Manager", "GetSnapshot"),
            self.call(name, path, "org.freedesktop.DBus.Properties", "GetAll", "org.smartbms1.Pack"),
            self.call(name, path, "org.freedesktop.DBus.Properties", "GetAll", "org.smartbms1.Cells"),
            self.call(name, path, "org.freedesktop.DBus.Introspectable", "Introspect"),
            self.call(name, path, "org.smartbms1.Relays", "Why", "charge"),
            self.call(name, path, "org.smartbms1.Relays", "Release", "charge"),
        ])

    def never_read(self):
        """Asks as long as anybody takes it, and reads no answer and no signal."""
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.send(self.questions())
        except BlockingIOError:
            pass


def flood(address):
    """Asks without waiting for answers, which a thread takes off the socket."""
    harness.end_with_parent()
    client = BadClient(address)
    client.listen()

    def swallow():
        while client.socket.recv(1 << 20):
            pass
    threading.Thread(target=swallow, daemon=True).start()
    while True:
        client.socket.sendall(client.questions() * 50)


# ---- the conditions: each brings the session there, and returns what undoes it, and sees that it was there all the time


def idle(_):
    return lambda: None


def bus_stopped(s):
    os.kill(s.bus.process.pid, signal.SIGSTOP)
    return lambda: os.kill(s.bus.process.pid, signal.SIGCONT)


def lost_lines(s):
    """The log is read again: what comes next says that lines were lost."""
    s.daemon.wait_line("log messages could not be written and are lost", timeout=5)


def log_blocked(s):
    s.daemon.block_log()

    def undo():
        s.daemon.reading.set()
        lost_lines(s)
    return undo


def journal_blocked(s):
    """The journal's socket is there, nobody reads it any more, and its queue is full."""
    s.daemon.reading.clear()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        n = 0
        try:
            while True:
                client.sendto(b"MESSAGE=full\n", s.scene.path)
                n += 1
        except BlockingIOError:
            assert n > 0, "the journal's socket took nothing"

    def undo():
        s.daemon.reading.set()
        s.scene.start()
        lost_lines(s)
    return undo


def slow_client(s):
    clients = [BadClient(s.bus.address) for _ in range(3)]
    for client in clients:
        client.listen()
        client.never_read()

    def undo():
        for client in clients:
            assert client.socket.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK), "the bus threw the client out"
            client.socket.close()
    return undo


def flooding_client(s):
    flooder = multiprocessing.Process(target=flood, args=(s.bus.address,), daemon=True)
    flooder.start()
    harness.time.sleep(0.3)

    def undo():
        assert flooder.is_alive(), "the flood ran dry"
        flooder.terminate()
        flooder.join()
    return undo


class Journal:
    """/run/systemd/journal/socket in a mount namespace of the daemon's own, its stderr the stream that
    $JOURNAL_STREAM names, as systemd sets it up. What is sent there is handed on to the daemon's lines."""

    WRAPPER = ["unshare", "--mount", "sh", "-c",
               "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && mount --bind DIRECTORY/journal "
               "/run/systemd/journal && JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) && export JOURNAL_STREAM && "
               "exec \"$@\"", "sh"]

    def __init__(self, session):
        os.mkdir(os.path.join(session.directory, "journal"))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = os.path.join(session.directory, "journal", "socket")
        self.socket.bind(self.path)
        self.session = session

    def start(self):
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        daemon = self.session.daemon
        while daemon.reading.is_set():
            message = self.socket.recv(4096).decode(errors="replace")
            line = next((part[8:] for part in message.split("\n") if part.startswith("MESSAGE=")), "")
            with daemon.came:
                daemon.lines.append((now(), line))
                daemon.came.notify_all()

    @staticmethod
    def why_not():
        possible = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/run"], check=False,
                                  stderr=subprocess.DEVNULL).returncode == 0
        return "" if possible else "no mount namespaces here, where a journal's socket could be played"

    def close(self):
        pass


# ---- phones


def log_in_for_ever(address, phone, count):
    """A right PIN again and again, as fast as it is answered."""
    harness.end_with_parent()
    p = Phones.in_process(address, phone)
    while True:
        Phones.ask(p, 0x01, Phones.PIN)
        count.value += 1


class Phones:
    """Three of them are paired; ../ble has the stand-in for bluetoothd."""

    WRAPPER = ()
    ADDRESSES = ("C0:11:22:33:44:55", "C0:11:22:33:44:66", "C0:11:22:33:44:77")
    STATE, POWER, CELLS, CONTROL = (f"bdfe00{n}-d380-4bb9-9d5e-d850cd6a319e" for n in (10, 11, 12, 18))
    RX, TX = (f"6e40000{n}-b5a3-f393-e0a9-e50e24dcca9e" for n in (2, 3))
    PIN = b"24680"

    def __init__(self, session):
        self.rig()
        self.session = session
        state = os.path.join(session.directory, "state")
        os.mkdir(state)
        with open(os.path.join(state, "phones"), "w", encoding="utf-8") as f:
            f.writelines(f"{p} random - - a phone\n" for p in self.ADDRESSES)
        with open(os.path.join(session.directory, "bonds.json"), "w", encoding="utf-8") as f:
            json.dump([{"address": p, "random": True, "identity": p, "identity_random": True, "io": "KeyboardDisplay",
                        "subscribed": []} for p in self.ADDRESSES], f)
        session.config += "ble:\n  enabled: on\n"
        session.args = ["--state", state]
        self.bluetoothd = rig.Bluetoothd(session.bus.address, session.directory)

    @staticmethod
    def rig():
        global rig  # only this condition needs python3-dbus
        sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ble"))
        rig = __import__("rig")

    @staticmethod
    def why_not():
        found = subprocess.run([sys.executable, "-c", "import dbus, gi"], check=False, stderr=subprocess.DEVNULL)
        return "" if found.returncode == 0 else "no python3-dbus and python3-gi"

    @staticmethod
    def phone(bluetoothd, address):
        p = rig.Phone.__new__(rig.Phone)  # it is one that the stand-in knows already
        p.bluetoothd, p.address, p.identity = bluetoothd, address, address
        return p

    @classmethod
    def in_process(cls, address, phone):
        """One that is connected already, by a connection of this process."""
        cls.rig()
        bluetoothd = rig.Bluetoothd(address, "/nonexistent")
        bluetoothd.control = rig.dbus.bus.BusConnection(address)
        return cls.phone(bluetoothd, phone)

    @staticmethod
    def ask(phone, operation, pin):
        """docs/bluetooth.md, control point: done."""
        assert phone.write(Phones.CONTROL, bytes([1, operation]) + pin) == 0
        while (answer := phone.read(Phones.CONTROL))[2] == 0:
            harness.time.sleep(0.002)
        assert answer[2] == 1, answer

    def start(self):
        self.bluetoothd.start()

    def close(self):
        self.bluetoothd.kill()


def stream_for_ever(address, phone, line, count):
    """Subscribed to what comes in each cycle; with the line protocol's stream, as fast as clients ping."""
    harness.end_with_parent()
    p = Phones.in_process(address, phone)
    ping = 0.0
    while True:
        if line and now() >= ping:
            ping = now() + 0.33
            assert p.write(Phones.RX, b"$", command=True) == 0
        count.value += len(p.received(Phones.TX if line else Phones.STATE))
        harness.time.sleep(0.05)


def flood_for_ever(address, phone, count):
    """Requests and commands of the line, as fast as they are taken; no answer is read."""
    harness.end_with_parent()
    p = Phones.in_process(address, phone)
    while True:
        for uuid, value, command in ((Phones.CONTROL, b"\x07\x10", False), (Phones.CELLS, b"\x00", False),
                                     (Phones.RX, b"S2@\rS1@\rV@\r", True)):
            p.write(uuid, value, command)
            count.value += 1


def phones_stream_and_flood(s):
    s.daemon.wait_line(rig.READY)
    one, two, three = (Phones.phone(s.scene.bluetoothd, a).connect() for a in Phones.ADDRESSES)
    for phone in (one, two):
        for uuid in (Phones.STATE, Phones.POWER, Phones.TX):
            assert phone.subscribe(uuid) == 0
    assert one.write(Phones.RX, b"E!\r", command=True) == 0
    counts = [multiprocessing.Value("L", 0) for _ in range(3)]
    processes = [multiprocessing.Process(target=target, args=(s.bus.address, phone.address, *args, n), daemon=True)
                 for target, phone, args, n in ((stream_for_ever, one, (True,), counts[0]),
                                                (stream_for_ever, two, (False,), counts[1]),
                                                (flood_for_ever, three, (), counts[2]))]
    for p in processes:
        p.start()
    harness.time.sleep(1)
    before = [n.value for n in counts]

    def undo():
        assert all(p.is_alive() for p in processes), "a phone has given up"
        assert all(n.value > b for n, b in zip(counts, before)), f"a phone got nothing meanwhile: {before}"
        for p in processes:
            p.terminate()
            p.join()
    return undo


def phones_log_in(s):
    s.daemon.wait_line(rig.READY)
    phones = [Phones.phone(s.scene.bluetoothd, a).connect() for a in Phones.ADDRESSES[:2]]
    Phones.ask(phones[0], 0x01, b"1234")
    Phones.ask(phones[0], 0x02, Phones.PIN)  # the first one is no work
    counts = [multiprocessing.Value("L", 0) for _ in phones]
    processes = [multiprocessing.Process(target=log_in_for_ever, args=(s.bus.address, p.address, n), daemon=True)
                 for p, n in zip(phones, counts)]
    for p in processes:
        p.start()
    harness.time.sleep(1)
    before = [n.value for n in counts]

    def undo():
        assert all(p.is_alive() for p in processes), "a phone no longer logs in"
        assert all(n.value > b for n, b in zip(counts, before)), "no PIN was compared meanwhile"
        for p in processes:
            p.terminate()
            p.join()
    return undo


CONDITIONS = [
    ("idle", idle, None),
    ("dbus-daemon stopped", bus_stopped, None),
    ("log's pipe full", log_blocked, None),
    ("journal's socket blocked", journal_blocked, Journal),
    ("slow D-Bus clients", slow_client, None),
    ("flooding D-Bus client", flooding_client, None),
    ("phones that log in", phones_log_in, Phones),
    ("two phones that stream and one that floods", phones_stream_and_flood, Phones),
]


def measure(smartbmsd, bring, scene, trips, dice, canary):
    """Returns the seconds of each trip, and how late the machine was in those that were made once more."""
    seconds, late = [], []
    while len(seconds) < trips:
        assert len(late) <= max(5, trips // 3), f"the machine is too late to measure here: {late}"
        s = Session(smartbmsd, dice, canary, wrapper=scene.WRAPPER if scene else ())
        undo = None
        try:
            s.scene = scene(s) if scene else None
            s.start()
            if s.scene:
                s.scene.start()
            s.live()
            undo = bring(s)
            for relays, beyond in TRIPS_OF_A_DAEMON[:trips - len(seconds)]:
                s.until(sum(BITS[relay] for relay in relays))
                seconds.append(s.trip(relays, beyond))
        except LateMachine as e:
            late.append(str(e))
        finally:
            if undo:
                undo()
            if s.scene:
                s.scene.close()
            s.close()
    return seconds, late


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    smartbmsd, trips, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    multiprocessing.set_start_method("fork")
    chosen = [c for c in CONDITIONS if all(w in c[0] for w in words)]
    print(f"1..{len(chosen)}", flush=True)
    canary, failed = Canary(), False
    for n, (title, bring, scene) in enumerate(chosen, 1):
        why_not = scene.why_not() if scene else ""
        if why_not:
            print(f"ok {n} - {title} # SKIP {why_not}", flush=True)
            continue
        try:
            seconds, late = measure(smartbmsd, bring, scene, trips, random.Random(n), canary)
            over = sum(x > BOUND for x in seconds)
            figures = ", ".join(f"{what} {1000 * quantile(seconds, part):.1f}" for what, part in
                                (("median", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("most", 1)))
            print(f"{'not ok' if over else 'ok'} {n} - {title}: {len(seconds)} trips, ms: {figures} (bound "
                  f"{1000 * BOUND:.0f}{f', {over} beyond it' if over else ''})", flush=True)
            for by in late:
                print(f"#   made once more, the machine was late by {by}", flush=True)
            failed = failed or over > 0
        except AssertionError as e:
            print(f"not ok {n} - {title}: {e}", flush=True)
            failed = True
    canary.stop()
    sys.exit(failed)


if __name__ == "__main__":
    main()
