# SPDX-License-Identifier: MIT
"""People who let phones in: smartbmsctl and the D-Bus interface Pairing of the real smartbmsd, with a stand-in for bluetoothd
and its phones.

Usage: test-people.py SMARTBMSD SMARTBMSCTL [TEST...]"""

import ctypes
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import rig
from rig import NOT_AUTHORIZED, NOT_ENCRYPTED, Bluetoothd, Lines, Phone, dbus, harness

SMARTBMSD, SMARTBMSCTL = sys.argv[1:3]

NAME, PATH = "org.smartbms1", "/org/smartbms1"
PAIRING = NAME + ".Pairing"
DENIED, REFUSED, INVALID = ("org.freedesktop.DBus.Error.AccessDenied", NAME + ".Error.Refused",
                            "org.freedesktop.DBus.Error.InvalidArgs")
ADDRESS, OTHER = "C0:11:22:33:44:55", "C0:11:22:33:44:66"
CONTROL = "bdfe0018-d380-4bb9-9d5e-d850cd6a319e"
NOBODY = 65534
METHODS = (("Open", "ub", (60, False)), ("Next", "", ()), ("Close", "", ()), ("Phones", "", ()), ("Remove", "s", (ADDRESS,)))

# Run as somebody else: each call's outcome as JSON.
CALL = """
import json, sys, dbus, dbus.bus
connection = dbus.bus.BusConnection(sys.argv[1])
for method, signature, args in json.loads(sys.argv[2]):
    try:
        connection.call_blocking('org.smartbms1', '/org/smartbms1', 'org.smartbms1.Pairing', method, signature, args, timeout=5)
        print(json.dumps(['ok', '']))
    except dbus.DBusException as e:
        print(json.dumps([e.get_dbus_name(), e.get_dbus_message()]))
"""


def call_as(address, uid, groups, calls):
    out = subprocess.run([sys.executable, "-c", CALL, address, json.dumps(calls)], user=uid, group=NOBODY, extra_groups=groups,
                         check=True, stdout=subprocess.PIPE, cwd="/", text=True)
    return [tuple(json.loads(line)) for line in out.stdout.splitlines()]


class Rig(harness.Rig):
    """The daemon, bluetoothd's stand-in, and people with smartbmsctl."""

    def __init__(self, config="ble:\n  enabled: on\n", bluetoothd=True, **options):
        super().__init__(SMARTBMSD, config=config, **options)
        self.bluetoothd, self.people = Bluetoothd(self.bus.address, self.directory), []
        if bluetoothd:
            self.bluetoothd.start()
            self.daemon.wait_line(rig.READY)
        else:
            self.daemon.wait_line("Joined the bus")

    def __exit__(self, *exc):
        for person in self.people:
            person.kill()
            person.wait()
            for stream in (person.stdin, person.stdout, person.stderr):
                stream.close()
        self.bluetoothd.kill()
        super().__exit__(*exc)

    def start_ctl(self, *args):
        person = rig.start([SMARTBMSCTL, "--bus", self.bus.address, *args], stderr=subprocess.PIPE)
        person.out, person.err = Lines(person.stdout), Lines(person.stderr)
        self.people.append(person)
        return person

    def ctl(self, *args, status=0, **options):
        run = subprocess.run([SMARTBMSCTL, "--bus", self.bus.address, *args], capture_output=True, text=True, timeout=30,
                             **{"stdin": subprocess.DEVNULL, **options})
        assert run.returncode == status, (args, run)
        return run.stdout + run.stderr

    def connect(self):
        return dbus.bus.BusConnection(self.bus.address)

    def pairable(self):
        return self.bluetoothd.state()["pairable"]

    @staticmethod
    def until(condition, timeout=10):
        end = harness.now() + timeout
        while not condition():
            assert harness.now() < end
            time.sleep(0.01)

    def closed(self, timeout=5):
        """The window is: bluetoothd was told, and the agent is back to refusing."""
        end = harness.now() + timeout
        while self.pairable() or [a[2] for a in self.bluetoothd.state()["agents"]] != ["NoInputNoOutput"]:
            assert harness.now() < end, "the window is still open"
            time.sleep(0.01)

    def paired(self, address=ADDRESS):
        """A phone of the list, by a person's doing."""
        person = self.start_ctl("pair", "--just-works")
        person.out.wait("may pair")
        phone = Phone(self.bluetoothd, address).connect()
        assert phone.pair() == ""
        assert person.wait(5) == 0
        self.closed()
        return phone


def call(connection, method, signature="", *args, timeout=10):
    return connection.call_blocking(NAME, PATH, PAIRING, method, signature, args, timeout=timeout)


def refusal(*args, **options):
    try:
        answer = call(*args, **options)
    except dbus.DBusException as e:
        return e.get_dbus_name(), e.get_dbus_message()
    raise AssertionError(f"not refused but answered {answer}")


class Monitor:
    """All that goes over the bus, as dbus-monitor writes it: a list of messages."""

    def __init__(self, address):
        self.process = subprocess.Popen(["dbus-monitor", "--address", address], stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL, preexec_fn=harness.end_with_parent)
        self.lines = Lines(self.process.stdout)
        self.lines.wait("NameAcquired|NameLost")  # it listens

    def stop(self):
        time.sleep(0.3)
        self.process.kill()
        self.process.wait()
        self.lines.thread.join(5)
        self.process.stdout.close()
        text = "\n".join(line for _, line in self.lines.lines)
        return re.split(r"\n(?=(?:signal|method call|method return|error) )", text)


class Pair(unittest.TestCase):
    def test_the_whole_path(self):
        with Rig() as r:
            monitor = Monitor(r.bus.address)
            self.assertIn("no phone is paired", r.ctl("phones"))
            person = r.start_ctl("pair", "--seconds", "60")
            person.out.wait("may pair for 60 s now, by passkey")
            self.assertTrue(r.pairable())
            phone = Phone(r.bluetoothd, ADDRESS).connect()
            outcome = phone.start_pairing()
            passkey = person.out.wait(rf"^passkey: \d{{6}}, to be typed on {ADDRESS}$")[1].split()[1].rstrip(",")
            phone.type(passkey)
            self.assertEqual("", outcome())  # it was the one that bluetoothd had told
            self.assertEqual(0, person.wait(5))
            person.out.wait(f"paired: {ADDRESS}")
            r.closed()
            self.assertEqual(b"", phone.read(CONTROL))

            line = r.ctl("phones").splitlines()[1]
            self.assertRegex(line, rf"^{ADDRESS}  .* yes  +phone 55$")
            listed, = json.loads(r.ctl("phones", "--json"))
            self.assertEqual({"address", "name", "paired", "last_used", "connected"}, set(listed))
            self.assertEqual((ADDRESS, "phone 55", True), (listed["address"], listed["name"], listed["connected"]))

            r.ctl("phones", "remove", OTHER, status=1)
            self.assertIn("is removed", r.ctl("phones", "remove", ADDRESS.lower()))
            self.assertIn("no phone is paired", r.ctl("phones"))
            phone.connect()
            self.assertEqual(NOT_ENCRYPTED, phone.read(CONTROL))
            self.assertNotEqual("", phone.pair())
            r.daemon.wait_line(rf"uid {os.geteuid()} over D-Bus: phone that ends in 44:55 was removed")

            self.nowhere_else(r, passkey, monitor.stop())

    def nowhere_else(self, r, passkey, messages):
        """Not in the log, nor in what can be read, nor on the bus but where it has to be."""
        self.assertNotIn(passkey, r.daemon.text())
        connection = r.connect()
        for name in re.findall(r'interface name="(org\.smartbms1\.\w+)"', str(connection.call_blocking(
                NAME, PATH, dbus.INTROSPECTABLE_IFACE, "Introspect", "", ()))):
            self.assertNotIn(passkey, str(connection.call_blocking(NAME, PATH, dbus.PROPERTIES_IFACE, "GetAll", "s", (name,))))
        self.assertNotIn(passkey, str(connection.call_blocking(NAME, PATH, NAME + ".Events", "Recent", "", ())))
        told, answers = [], []
        for message in messages:
            if not re.search(rf"\b{passkey}\b", message):
                continue
            head = message.split("\n")[0]
            if "member=DisplayPasskey" in head or "member=Type" in head:
                told.append(head)
            else:
                answers.append(head)
                self.assertRegex(head, r"^method return ")
        self.assertEqual(2, len(told), told)
        # to who has opened the window, once
        opened, = [m for m in messages if re.search(r"member=Open$", m.split("\n")[0])]
        owner = re.search(r"sender=(:\S+)", opened)[1]
        self.assertEqual([owner], [re.search(r"destination=(:\S+)", a)[1] for a in answers])

    def test_no_address_and_no_name_is_for_all(self):
        """Of what the daemon says on the bus, whole addresses and names are in its calls of bluetoothd, and in the answers to
        those who may pair; not in what a change leaves behind, either."""
        state = tempfile.mkdtemp(prefix="smartbms-test-")
        self.addCleanup(harness.shutil.rmtree, state)
        with Rig("ble:\n  enabled: on\n  allow_default_pin: on\n", args=["--state", state]) as r:
            monitor = Monitor(r.bus.address)
            phone = r.paired()
            self.assertEqual(NOT_AUTHORIZED, phone.write(CONTROL, b"\x01\x03"))
            self.assertEqual(0, phone.write(CONTROL, b"\x01\x011234"))
            r.until(lambda: phone.read(CONTROL) == b"\x01\x01\x01")
            self.assertEqual(0, phone.write(CONTROL, b"\x02\x11\x05\x10\x0e\x00\x00"))  # V-max 3.60 V
            r.until(lambda: phone.read(CONTROL) == b"\x02\x11\x01")
            for tag in range(3, 8):
                self.assertEqual(0, phone.write(CONTROL, bytes([tag]) + b"\x019999"))
                r.until(lambda: phone.read(CONTROL)[2] == 3)
            r.daemon.wait_line("5 wrong PINs in a row")
            r.ctl("phones")
            r.ctl("phones", "remove", ADDRESS)
            r.daemon.wait_line("was removed from the list")
            connection = r.connect()
            for name in re.findall(r'interface name="(org\.smartbms1\.\w+)"', str(connection.call_blocking(
                    NAME, PATH, dbus.INTROSPECTABLE_IFACE, "Introspect", "", ()))):
                connection.call_blocking(NAME, PATH, dbus.PROPERTIES_IFACE, "GetAll", "s", (name,))
            events = connection.call_blocking(NAME, PATH, NAME + ".Events", "Read", "xu", (0, 1000))
            told = [(str(e[4]), str(e[5]), str(e[6])) for e in events]
            self.assertIn(("phone", "phone that ends in 44:55 was paired without a passkey", ""), told)
            self.assertIn(("setting", "vmax changed from 3.650 V to 3.600 V", "phone 44:55 over Bluetooth"), told)
            self.assertIn(("phone", "phone that ends in 44:55 was removed from the list", f"uid {os.geteuid()} over D-Bus"), told)
            connection.call_blocking(NAME, PATH, NAME + ".Events", "Recent", "", ())
            connection.call_blocking(NAME, PATH, NAME + ".Manager", "GetSnapshot", "", ())
            self.only_where_it_may_be(r, monitor.stop())
            with open(os.path.join(state, "settings.yaml"), encoding="utf-8") as f:
                self.assertIn('changed_by: "phone 44:55 over Bluetooth"', f.read())

    def only_where_it_may_be(self, r, messages):
        bus = r.connect()

        def of_process(pid):
            names = bus.call_blocking("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ListNames", "", ())
            return [str(n) for n in names if n.startswith(":") and int(bus.call_blocking(
                "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetConnectionUnixProcessID", "s", (n,))) == pid]
        ours, bluez = of_process(r.daemon.process.pid), of_process(r.bluetoothd.process.pid)
        self.assertEqual(2, len(ours))
        askers = set()  # who called Pairing: answers to them are for them
        said, private = 0, 0
        for message in messages:
            head = message.split("\n")[0]
            sender, destination = (re.search(rf"\b{w}=(\S+)", head) for w in ("sender", "destination"))
            if "interface=" + PAIRING in head:
                askers.add(sender[1])
            if not sender or sender[1] not in ours:
                continue
            said += 1
            if not re.search(f"{ADDRESS}|{ADDRESS.replace(':', '_')}|phone 55", message, re.IGNORECASE):
                continue
            private += 1
            self.assertTrue(head.startswith("method call") and destination[1] in bluez or
                            head.startswith("method return") and destination[1] in askers, message)
        self.assertGreater(said, 50)
        self.assertGreater(private, 3)

    def test_a_wrong_passkey(self):
        with Rig() as r:
            person = r.start_ctl("pair")
            phone = Phone(r.bluetoothd, ADDRESS).connect()
            person.out.wait("may pair")
            outcome = phone.start_pairing()
            person.out.wait("^passkey")
            phone.type("000000")
            self.assertEqual("wrong passkey", outcome())
            self.assertIsNone(person.poll())
            self.assertIn("no phone is paired", r.ctl("phones"))
            at = harness.now()
            outcome = phone.start_pairing()
            phone.type(person.out.wait("^passkey", since=at)[1].split()[1].rstrip(","))
            self.assertEqual("", outcome())
            self.assertEqual(0, person.wait(5))

    def test_the_window_closes_with_the_program(self):
        for how in (signal.SIGKILL, signal.SIGINT):
            with self.subTest(how=how), Rig() as r:
                person = r.start_ctl("pair")
                phone = Phone(r.bluetoothd, ADDRESS).connect()
                person.out.wait("may pair")
                outcome = phone.start_pairing()
                passkey = person.out.wait("^passkey")[1].split()[1].rstrip(",")
                person.send_signal(how)
                r.closed()
                phone.type(passkey)  # overheard: of no use any more
                outcome()
                self.assertEqual(NOT_AUTHORIZED, phone.read(CONTROL))
                self.assertIn("no phone is paired", r.ctl("phones"))

    def test_it_is_gone_before_it_is_watched_for(self):
        with Rig() as r:
            for _ in range(5):
                connection = r.connect()
                connection.call_async(NAME, PATH, PAIRING, "Open", "ub", (600, True), None, None)
                connection.flush()
                connection.close()
                time.sleep(0.2)
                r.closed()
            connection = r.connect()
            call(connection, "Open", "ub", 600, True)
            connection.close()
            r.closed()

    def test_that_it_is_gone_is_believed_of_the_bus_only(self):
        with Rig() as r:
            owner, other = r.connect(), r.connect()
            call(owner, "Open", "ub", 60, True)
            self.assertEqual("opened", call(owner, "Next")[0])
            name = owner.get_unique_name()
            for destination in (None, NAME):
                m = dbus.lowlevel.SignalMessage("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged")
                m.append(name, name, "", signature="sss")
                if destination:
                    m.set_destination(destination)
                other.send_message(m)
            other.flush()
            time.sleep(0.5)
            self.assertTrue(r.pairable())
            self.assertFalse(r.daemon.has_line("is gone"))

    def test_just_works_when_asked_for_only(self):
        with Rig() as r:
            phone = Phone(r.bluetoothd, ADDRESS, io="NoInputNoOutput").connect()
            person = r.start_ctl("pair")
            person.out.wait("may pair")
            self.assertNotEqual("", phone.pair())
            person.out.wait(f"^refused {ADDRESS}: it can show or take no passkey")
            person.kill()
            r.closed()
            person = r.start_ctl("pair", "--just-works")
            person.out.wait("without a passkey")
            self.assertEqual("", phone.pair())
            self.assertEqual(0, person.wait(5))
            self.assertFalse(person.out.has("^passkey"))

    def test_time_is_over(self):
        with Rig() as r:
            began = harness.now()
            self.assertIn("no phone was paired: the time is over", r.ctl("pair", "--seconds", "10", status=1))
            self.assertAlmostEqual(10, harness.now() - began, delta=2)
            r.closed()
            for seconds in ("9", "601", "soon"):
                self.assertIn("from 10 to 600", r.ctl("pair", "--seconds", seconds, status=2))

    def test_replaced_and_closed_by_another(self):
        with Rig() as r:
            one = r.start_ctl("pair")
            one.out.wait("may pair")
            two = r.start_ctl("pair")
            two.out.wait("may pair")
            self.assertEqual(1, one.wait(5))
            one.err.wait("no phone was paired: another one was opened")
            call(r.connect(), "Close")
            self.assertEqual(1, two.wait(5))
            two.err.wait("no phone was paired: it was closed")
            r.closed()

    def test_only_who_opened_it_is_told(self):
        """Another one with the same rights is not; nor does it inherit what the one before was not told."""
        with Rig() as r:
            owner, other = r.connect(), r.connect()
            call(owner, "Open", "ub", 60, False)
            phone = Phone(r.bluetoothd, ADDRESS).connect()
            self.assertEqual("opened", call(owner, "Next")[0])
            outcome = phone.start_pairing()
            name, sentence = refusal(other, "Next")
            self.assertEqual(REFUSED, name)
            self.assertIn("only who opens one", sentence)
            time.sleep(0.5)  # kept until it is asked for
            state, address, passkey, text = call(owner, "Next")
            self.assertEqual(("passkey", ADDRESS, ""), (state, address, text))
            phone.type(passkey)
            self.assertEqual("", outcome())
            self.assertEqual([("paired", ADDRESS, "", ""), ("closed", "", "", "a phone was paired")],
                             [tuple(str(x) for x in call(owner, "Next")) for _ in range(2)])
            self.assertEqual(REFUSED, refusal(owner, "Next")[0])
            call(other, "Open", "ub", 60, True)
            self.assertEqual("opened", call(other, "Next")[0])

    def test_restart_of_bluetoothd(self):
        with Rig() as r:
            person = r.start_ctl("pair")
            person.out.wait("may pair")
            r.bluetoothd.kill()
            self.assertEqual(1, person.wait(5))
            person.err.wait("no phone was paired: ")
            self.assertIn("no Bluetooth adapter", r.ctl("pair", status=1))


    def test_restart_of_the_bus(self):
        """Whose window it was is forgotten with it; what comes next is as ever."""
        with Rig() as r:
            person = r.start_ctl("pair")
            person.out.wait("may pair")
            r.bus.stop()
            self.assertEqual(3, person.wait(5))
            r.bluetoothd.kill()
            since = harness.now()
            r.bus.start()
            r.bluetoothd.start()
            r.daemon.wait_line(rig.READY, since)
            r.daemon.wait_line("Joined the bus", since)
            r.closed()
            r.paired()

    def test_the_daemon_ends(self):
        with Rig() as r:
            person = r.start_ctl("pair")
            person.out.wait("may pair")
            self.assertEqual(0, r.daemon.stop())
            self.assertIn(person.wait(5), (1, 3))  # told that the window is closed, or too late for that
            person.err.wait("no phone was paired: it was closed|smartbmsd is not running")
            self.assertFalse(r.pairable())


class Refusals(unittest.TestCase):
    def test_no_bluetooth(self):
        with Rig("", bluetoothd=False) as r:
            for args in (["pair"], ["phones"], ["phones", "--json"], ["phones", "remove", ADDRESS]):
                self.assertIn("Bluetooth is not enabled: ble.enabled", r.ctl(*args, status=1))
            call(r.connect(), "Close")
        with Rig(bluetoothd=False) as r:
            self.assertIn("there is no Bluetooth adapter now, or bluetoothd does not run", r.ctl("pair", status=1))
            self.assertIn("no phone is paired", r.ctl("phones"))

    def test_what_cannot_be(self):
        with Rig() as r:
            connection = r.connect()
            for seconds in (0, 9, 601, 2**32 - 1):
                self.assertEqual(INVALID, refusal(connection, "Open", "ub", seconds, False)[0])
            self.assertEqual(REFUSED, refusal(connection, "Next")[0])
            self.assertEqual(INVALID, refusal(connection, "Remove", "s", "phone")[0])
            self.assertEqual(REFUSED, refusal(connection, "Remove", "s", ADDRESS)[0])
            self.assertFalse(r.pairable())
            self.assertIn("is no address", r.ctl("phones", "remove", "phone", status=2))

    @unittest.skipUnless(os.geteuid() == 0, "only root can ask as somebody else")
    def test_nobody(self):
        with Rig() as r:
            r.paired()
            for (name, sentence), (method, _, _) in zip(call_as(r.bus.address, NOBODY, [], METHODS), METHODS, strict=True):
                self.assertEqual(DENIED, name, method)
                self.assertIn("group smartbms may see phones or pair them", sentence)
            self.assertFalse(r.pairable())
            for args in (["pair"], ["phones"], ["phones", "remove", ADDRESS]):
                answer = r.ctl(*args, status=1, user=NOBODY, group=NOBODY, extra_groups=[])
                self.assertIn("not allowed", answer)
                self.assertIn("group smartbms", answer)
                self.assertNotIn(ADDRESS, answer)
            self.assertEqual(1, len(json.loads(r.ctl("phones", "--json"))))

    @unittest.skipUnless(os.geteuid() == 0, "only root can give the daemon an /etc/group")
    def test_members_of_the_group(self):
        gid = 64123
        directory = harness.tempfile.mkdtemp(prefix="smartbms-test-")
        try:
            group = os.path.join(directory, "group")
            with open("/etc/group", encoding="utf-8") as old, open(group, "w", encoding="utf-8") as new:
                new.writelines(line for line in old if not line.startswith("smartbms:"))
                new.write(f"smartbms:x:{gid}:\n")
            wrapper = ["unshare", "--mount", "sh", "-c", f'mount --bind {group} /etc/group && exec "$@"', "sh"]
            if subprocess.run([*wrapper, "true"], stderr=subprocess.DEVNULL).returncode != 0:
                self.skipTest("no mount namespace here")
            with Rig(wrapper=wrapper) as r:
                r.paired()
                outcomes = call_as(r.bus.address, NOBODY, [gid], METHODS)
                self.assertEqual(["ok"] * 5, [name for name, _ in outcomes], outcomes)
                self.assertEqual({DENIED}, {name for name, _ in call_as(r.bus.address, NOBODY, [gid + 1], METHODS)})
                self.assertIn("no phone is paired", r.ctl("phones"))
                r.closed()
        finally:
            harness.shutil.rmtree(directory)


class Asked:
    """smartbmsctl set PIN on a terminal of its own."""

    def __init__(self, r, name="PIN"):
        self.master, slave = pty.openpty()
        self.slave, self.text = slave, ""
        self.process = subprocess.Popen([SMARTBMSCTL, "--bus", r.bus.address, "set", name], stdin=slave, stdout=slave,
                                        stderr=slave, start_new_session=True, preexec_fn=self.take_terminal)

    @staticmethod
    def take_terminal():
        harness.end_with_parent()
        harness.LIBC.ioctl(0, termios.TIOCSCTTY, 0)

    def wait(self, words):
        end = harness.now() + 10
        while words not in self.text:
            assert harness.now() < end, f"no '{words}' in {self.text!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 4096).decode()

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def answer(self, prompt, line):
        self.wait(prompt)
        end = harness.now() + 5
        while self.echoes():
            assert harness.now() < end, "what is typed would be shown"
            time.sleep(0.01)
        os.write(self.master, line)

    def end(self, words, status):
        self.wait(words)
        assert self.process.wait(5) == status, self.text
        assert self.echoes(), "the terminal is left without echo"
        os.close(self.master)
        os.close(self.slave)
        return self.text


class Pin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = harness.Rig(SMARTBMSD, bus=True, args=())
        cls.rig.daemon.stop()
        cls.state = os.path.join(cls.rig.directory, "state")
        os.mkdir(cls.state)
        cls.rig.daemon = harness.Daemon(SMARTBMSD, cls.rig.directory, cls.rig.bus.address, args=("--state", cls.state))
        cls.rig.__enter__()
        cls.rig.daemon.wait_line("Joined the bus")

    @classmethod
    def tearDownClass(cls):
        cls.rig.__exit__(None, None, None)

    def is_pin(self, pin):
        """By the C library's crypt(3), of what is in the settings file."""
        libcrypt = ctypes.CDLL("libcrypt.so.1")
        libcrypt.crypt.restype = ctypes.c_char_p
        try:
            with open(os.path.join(self.state, "settings.yaml"), encoding="utf-8") as f:
                kept = re.search(r"\$y\$[./A-Za-z0-9$]+", f.read())
        except FileNotFoundError:
            return False
        return bool(kept) and libcrypt.crypt(pin, kept[0].encode()) == kept[0].encode()

    def test_asks_twice_and_shows_nothing(self):
        for name, pin in (("PIN", b"471100"), ("pin", b"8150")):
            asked = Asked(self.rig, name)
            asked.answer("new PIN: ", pin + b"\n")
            asked.answer("once more: ", pin + b"\n")
            text = asked.end("the PIN is changed", 0)
            self.assertNotIn(pin.decode(), text)
            self.assertTrue(self.is_pin(pin))
            self.assertFalse(self.is_pin(b"1234"))
            self.assertNotIn(pin.decode(), self.rig.daemon.text())

    def test_refused(self):
        for lines, words in (((b"471100\n", b"471101\n"), "those two differ"), ((b"123\n",), "expected 4 to 8 digits"),
                             ((b"geheim\n",), "expected 4 to 8 digits"), ((b"1" * 100 + b"\n",), "expected 4 to 8 digits"),
                             ((b"\x04",), "no PIN was given")):
            with self.subTest(lines=lines):
                asked = Asked(self.rig)
                for prompt, line in zip(("new PIN: ", "once more: "), lines):
                    asked.answer(prompt, line)
                asked.end(words, 1)
                self.assertFalse(self.is_pin(b"471101"))

    def test_interrupted(self):
        asked = Asked(self.rig)
        asked.answer("new PIN: ", b"99\x03")
        asked.end("new PIN: ", -signal.SIGINT)

    def test_from_a_script(self):
        def run(text):
            return subprocess.run([SMARTBMSCTL, "--bus", self.rig.bus.address, "set", "pin"], input=text, text=True,
                                  capture_output=True, timeout=10)
        self.assertEqual(0, run("20261127\n").returncode)
        self.assertTrue(self.is_pin(b"20261127"))
        for text, words in (("", "no PIN was given"), ("202611271\n", "expected 4 to 8 digits"), ("\n", "expected 4 to 8 digits")):
            done = run(text)
            self.assertEqual(1, done.returncode)
            self.assertIn(words, done.stderr)
        self.assertTrue(self.is_pin(b"20261127"))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
