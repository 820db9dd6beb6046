# SPDX-License-Identifier: MIT
"""The Bluetooth door on a bus of its own, with bluetoothd.py in bluetoothd's place and phones that it plays."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "dbus"))

import harness  # noqa: E402

try:
    import dbus
    import dbus.bus
    import dbus.lowlevel
except ImportError as e:
    harness.skip(f"{e}; it is in python3-dbus and python3-gi")

READY = "Bluetooth: registered with adapter"
NOT_AUTHORIZED, NOT_ENCRYPTED, READ_NOT_PERMITTED, WRITE_NOT_PERMITTED = 0x08, 0x0F, 0x02, 0x03


def start(args, **options):
    return subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace",
                            preexec_fn=harness.end_with_parent,
                            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, **options)


class Lines:
    """What a program writes, with the time at which it came."""

    def __init__(self, stream):
        self.lines, self.stream = [], stream
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        for line in self.stream:
            self.lines.append((harness.now(), line.rstrip("\n")))

    def wait(self, pattern, since=0.0, timeout=10.0):
        end = harness.now() + timeout
        while True:
            for t, line in list(self.lines):
                if t >= since and re.search(pattern, line):
                    return t, line
            assert harness.now() < end, f"no /{pattern}/ within {timeout} s:\n" + self.text()
            time.sleep(0.005)

    def has(self, pattern, since=0.0):
        return any(t >= since and re.search(pattern, line) for t, line in self.lines)

    def text(self):
        return "\n".join(f"{t:.3f} {line}" for t, line in self.lines)


class Bluetoothd:
    def __init__(self, address, directory):
        self.address, self.bonds = address, os.path.join(directory, "bonds.json")
        self.process = None

    def start(self):
        self.process = start([sys.executable, os.path.join(HERE, "bluetoothd.py"), self.address, self.bonds])
        line = self.process.stdout.readline()
        if line.startswith("skipped"):
            harness.skip(line)
        assert line == "ready\n", f"the stand-in does not start: {line}"
        self.control = dbus.bus.BusConnection(self.address)
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def call(self, member, signature, *args):
        return self.control.call_blocking("org.bluez", "/control", "org.smartbms.Test", member, signature, args,
                                          timeout=15)

    def state(self, adapter="hci0"):
        return json.loads(str(self.call("State", "s", adapter)))

    def present(self, present):
        self.call("Present", "b", present)

    def pairable(self, pairable):
        """Another program switches it."""
        self.control.call_blocking("org.bluez", "/org/bluez/hci0", dbus.PROPERTIES_IFACE, "Set", "ssv",
                                   ("org.bluez.Adapter1", "Pairable", dbus.Boolean(pairable)))

    def remove(self, phone):
        """Another program removes its bond."""
        self.control.call_blocking("org.bluez", "/org/bluez/hci0", "org.bluez.Adapter1", "RemoveDevice", "o",
                                   (phone.path,))

    def identity_last(self):
        self.call("IdentityLast", "")

    def lax(self):
        self.call("Lax", "b", True)

    def block(self, blocked):
        self.call("Block", "b", blocked)


class Phone:
    """A phone in range. identity: its own address, if it shows another one before it is paired."""

    def __init__(self, bluetoothd, address, random=True, identity=None, identity_random=None, io="KeyboardDisplay"):
        self.bluetoothd, self.address, self.identity = bluetoothd, address, identity or address
        bluetoothd.call("Phone", "sbsbs", address, random, self.identity,
                        random if identity_random is None else identity_random, io)

    def call(self, member, signature, *args):
        return self.bluetoothd.call(member, "s" + signature, self.address, *args)

    def connect(self):
        self.path = str(self.call("Connect", ""))
        return self

    def disconnect(self):
        self.call("Disconnect", "")

    def pair(self, bonding=True):
        """ "" or why not. """
        return str(self.call("Pair", "b", bonding))

    def start_pairing(self, bonding=True):
        """For a passkey that is still to be typed: returns what waits for the outcome."""
        outcome = []
        connection = dbus.bus.BusConnection(self.bluetoothd.address)
        thread = threading.Thread(target=lambda: outcome.append(str(connection.call_blocking(
            "org.bluez", "/control", "org.smartbms.Test", "Pair", "sb", (self.address, bonding), timeout=30))),
            daemon=True)
        thread.start()

        def wait():
            thread.join(30)
            return outcome[0]
        return wait

    def type(self, passkey):
        self.call("Type", "s", passkey)

    def read(self, uuid, offset=0, mtu=517):
        """bytes, or the ATT error."""
        error, value = self.call("Read", "sqq", uuid, offset, mtu)
        return bytes(value) if error == 0 else int(error)

    def write(self, uuid, value, command=False):
        return int(self.call("Write", "sayb", uuid, dbus.ByteArray(value), command))

    def subscribe(self, uuid):
        return int(self.call("Subscribe", "s", uuid))

    def received(self, uuid=None):
        return [bytes(v) for u, v in self.call("Received", "") if uuid in (None, str(u))]


class Rig:
    """bus, bluetoothd and the door; ends them all."""

    def __init__(self, program, config="", bluetoothd=True, bus=True, state=None):
        self.program = program
        self.directory = tempfile.mkdtemp(prefix="smartbms-test-")
        self.state = state or os.path.join(self.directory, "state")
        os.makedirs(self.state, exist_ok=True)
        self.config = os.path.join(self.directory, "config.yaml")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("port:\n  path: /dev/null\nble:\n  enabled: on\n" + config)
        self.bus = harness.PrivateBus(self.directory)
        self.bluetoothd = Bluetoothd(self.bus.address, self.directory)
        self.others = []
        if bus:
            self.bus.start()
        if bluetoothd:
            self.bluetoothd.start()
        self.start()

    def start(self):
        self.door = start([self.program, self.bus.address, self.config, self.state], stderr=subprocess.PIPE)
        self.out, self.log = Lines(self.door.stdout), Lines(self.door.stderr)

    def stop(self):
        self.door.stdin.close()
        status = self.door.wait(10)
        self.out.thread.join(5)
        self.log.thread.join(5)
        self.door.stdout.close()
        self.door.stderr.close()
        return status

    def ready(self, since=0.0, timeout=10.0):
        return self.log.wait(READY, since, timeout)[0]

    def say(self, command, answer=r"^(ok|refused)"):
        """A command; the line of its answer."""
        at = harness.now()
        self.door.stdin.write(command + "\n")
        self.door.stdin.flush()
        return self.out.wait(answer, since=at)[1]

    def phones(self):
        at = harness.now()
        self.say("phones", "^ok")
        return [line.split(" ", 1)[1] for t, line in self.out.lines if t >= at and line.startswith("phone ")]

    def open_window(self, kind="passkey", seconds=120):
        at = harness.now()
        assert self.say(f"pair {seconds} {kind}") == "ok"
        self.out.wait("^opened", since=at)
        return at

    def paired(self, address="C0:11:22:33:44:55", **options):
        """A phone that is on the list and connected."""
        phone = Phone(self.bluetoothd, address, **options).connect()
        at = self.open_window("just-works")
        outcome = phone.pair()
        assert outcome == "", outcome
        self.out.wait("^closed", since=at)
        self.settled(at)
        return phone

    def settled(self, since):
        """The agent is back to refusing."""
        end = harness.now() + 5
        while self.bluetoothd.state()["pairable"]:
            assert harness.now() < end
            time.sleep(0.01)

    def second_agent(self, capability):
        other = start([sys.executable, os.path.join(HERE, "bluetoothd.py"), self.bus.address, "agent", capability])
        self.others.append(other)
        assert other.stdout.readline() == "ready\n"
        return other

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            status = self.stop()
            if exc[0] is not None:
                print(self.log.text() + "\n-- out\n" + self.out.text(), file=sys.stderr)
            else:
                assert status == 0, f"the door ended with {status}:\n" + self.log.text()
        finally:
            for other in self.others:
                other.kill()
                other.wait()
                other.stdin.close()
                other.stdout.close()
            self.bluetoothd.kill()
            self.bus.stop()
            shutil.rmtree(self.directory)
