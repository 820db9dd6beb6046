# SPDX-License-Identifier: MIT
"""Settings and commands over D-Bus: all or nothing, refusals with a sentence, and only for those who may."""

import json
import os
import subprocess
import sys
import unittest

import client
import harness

PROGRAM = sys.argv[1]
INVALID = "org.freedesktop.DBus.Error.InvalidArgs"
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
REFUSED = "org.smartbms1.Error.Refused"
NOBODY = 65534

Int64 = client.dbus.Int64

# Run as somebody else: one call, its outcome as JSON.
CALL = """
import json, sys, dbus, dbus.bus
connection = dbus.bus.BusConnection(sys.argv[1])
interface, method, signature = sys.argv[2:5]
args = [dbus.Int64(a) if s == 'x' else a for s, a in zip(signature, json.loads(sys.argv[5]))]
if signature == 'a{sv}':
    args = json.loads(sys.argv[5])
try:
    connection.call_blocking('org.smartbms1', '/org/smartbms1', interface, method, signature, args)
    print(json.dumps(['ok', '']))
except dbus.DBusException as e:
    print(json.dumps([e.get_dbus_name(), e.get_dbus_message()]))
"""


def call_as(address, uid, groups, interface, method, signature, args):
    out = subprocess.run([sys.executable, "-c", CALL, address, interface, method, signature, json.dumps(args)],
                         user=uid, group=NOBODY, extra_groups=groups, check=True, stdout=subprocess.PIPE, cwd="/")
    return tuple(json.loads(out.stdout))


class Settings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = harness.Rig(PROGRAM, config="cells: 4\nsettings:\n  vmin: 2.75V\n")
        cls.rig.__enter__()
        cls.client = client.Client(cls.rig.bus.address)
        cls.client.wait_name()
        cls.rig.live()

    @classmethod
    def tearDownClass(cls):
        cls.rig.__exit__(None, None, None)

    def setUp(self):
        self.client.call("Settings", "Reset", ["vmin", "vmax", "capacity", "mode", "tmin_discharge"], signature="as")
        self.before = self.client.get("Settings", "Values")

    def values(self):
        return self.client.get("Settings", "Values")

    def test_as_written_and_as_stored(self):
        self.client.set(vmin="2.90V", vmax=Int64(3600), capacity="1.92kWh", mode="critical", tmin_discharge="-10C")
        values = self.values()
        for key, value in {"vmin": 2900, "vmax": 3600, "capacity": 1920, "mode": "critical",
                           "tmin_discharge": -100}.items():
            self.assertEqual(value, values[key], key)
        self.client.set(tmin_discharge="unset")
        self.assertNotIn("tmin_discharge", self.values())

    def test_defaults_stay_and_reset_returns_to_them(self):
        self.client.set(vmin="2.90V", capacity="1kWh")
        self.assertEqual(2750, self.client.get("Settings", "Defaults")["vmin"])
        self.client.call("Settings", "Reset", ["vmin", "capacity"], signature="as")
        self.assertEqual(2750, self.values()["vmin"])
        self.assertNotIn("capacity", self.values())

    def test_a_change_is_told(self):
        self.client.signals.clear()
        self.client.set(capacity="2kWh")
        _, _, (_, changed, _) = self.client.wait_signal(
            lambda i, m, a: m == "PropertiesChanged" and a[0] == "org.smartbms1.Settings")
        self.assertEqual(2000, changed["Values"]["capacity"])

    def test_bad_ones_are_refused_whole(self):
        """Each with a good one before and after it: nothing of them may be applied."""
        for bad, words in (
            ({"vmax": "5V"}, ["vmax", "5"]),                 # out of range
            ({"vmax": Int64(4501)}, ["vmax"]),               # one step out of range
            ({"vmax": Int64(1 << 40)}, ["vmax"]),            # does not fit 32 bits
            ({"vmax": Int64(-(1 << 63))}, ["vmax"]),
            ({"vmax": "high"}, ["vmax", "high"]),            # no number
            ({"vmax": "3.6555V"}, ["vmax"]),                 # not exact
            ({"vmax": True}, ["vmax", "b"]),                 # wrong D-Bus type
            ({"vmax": client.dbus.Double(3.65)}, ["vmax", "d"]),
            ({"mode": "sometimes"}, ["mode", "sometimes"]),
            ({"mode": Int64(1)}, ["mode", "word"]),
            ({"fridge": "cold"}, ["fridge"]),                # no such setting
            ({"vmin": "unset"}, ["vmin"]),                   # not optional
            ({"vmin": "3.40V", "vmax": "3.45V"}, ["vmin", "3.600"]),  # each good, together impossible
        ):
            changes = {"capacity": "3kWh", **bad, "trip_frames": "3"}
            name, sentence = self.client.refusal("Settings", "Set", changes, signature="a{sv}")
            self.assertEqual(INVALID, name, bad)
            for word in words:
                self.assertIn(word.lower(), sentence.lower().replace("-", ""), bad)
            self.assertEqual(self.before, self.values(), bad)

    def test_range_limits_themselves_are_good(self):
        self.client.set(vmax=Int64(4500))
        self.assertEqual(4500, self.values()["vmax"])

    def test_nothing_and_no_such_key(self):
        self.assertEqual(INVALID, self.client.refusal("Settings", "Set", {}, signature="a{sv}")[0])
        name, sentence = self.client.refusal("Settings", "Reset", ["vmin", "fridge"], signature="as")
        self.assertEqual(INVALID, name)
        self.assertIn("fridge", sentence)
        self.assertEqual(INVALID, self.client.refusal("Settings", "Reset", ["vmin", "vmin"], signature="as")[0])

    def test_wrong_signature(self):
        self.assertEqual(INVALID, self.client.refusal("Settings", "Set", "vmin", signature="s")[0])
        self.assertEqual(INVALID, self.client.refusal("Pack", "SetSOC", "full", signature="s")[0])

    def test_soc(self):
        name, sentence = self.client.refusal("Pack", "SetSOC", 5000, signature="x")  # capacity not set
        self.assertEqual(REFUSED, name)
        self.assertIn("capacity", sentence)
        self.client.set(capacity="5kWh")
        self.assertEqual(INVALID, self.client.refusal("Pack", "SetSOC", 10001, signature="x")[0])
        self.assertEqual(INVALID, self.client.refusal("Pack", "SetSOC", -1, signature="x")[0])
        self.client.call("Pack", "SetSOC", 8000, signature="x")
        known, soc = self.client.get("Pack", "SOC")
        self.assertTrue(known)
        self.assertAlmostEqual(8000, soc, delta=5)  # 1 A flows
        self.assertIs(False, self.client.get("Pack", "SOCCalibrated"))  # S4

    def test_commands_that_cannot_be(self):
        self.assertEqual(REFUSED, self.client.refusal("Relays", "Release", "load", signature="s")[0])
        self.assertEqual(INVALID, self.client.refusal("Relays", "Release", "fan", signature="s")[0])
        self.assertEqual(INVALID, self.client.refusal("Relays", "Recover", 0, signature="x")[0])
        self.assertEqual(INVALID, self.client.refusal("Relays", "Recover", 31, signature="x")[0])
        self.assertEqual(REFUSED, self.client.refusal("Relays", "Recover", 5, signature="x")[0])  # contacts separate
        self.assertEqual(REFUSED, self.client.refusal("Cells", "Accept")[0])  # no other count was heard

    def test_a_pin_that_is_none(self):
        for pin in ("", "123", "123456789", "12a4", "12.5", "\u0664\u0667\u0661\u0661"):
            name, sentence = self.client.refusal("Settings", "SetPin", pin, signature="s")
            self.assertEqual(INVALID, name)
            self.assertEqual("The PIN stays as it was: expected 4 to 8 digits.", sentence)
            if pin:
                self.assertNotIn(pin, self.rig.daemon.text())
        self.assertEqual(INVALID, self.client.refusal("Settings", "SetPin", Int64(4711), signature="x")[0])

    def test_questions_that_cannot_be(self):
        for method, args, signature, words in (
            (("Events", "Read"), (Int64(0), 0), "xu", ["0", "1 to 1000"]),
            (("Events", "Read"), (Int64(0), 1001), "xu", ["1001", "1 to 1000"]),
            (("Energy", "Days"), (0,), "u", ["1 to 1000"]),
            (("History", "Read"), ("seconds", Int64(0), Int64(1), 10), "sxxu", ["seconds", "minutes or hours"]),
            (("History", "Read"), ("hours", Int64(2), Int64(1), 10), "sxxu", ["earlier"]),
            (("History", "Read"), ("hours", Int64(0), Int64(1), 5000), "sxxu", ["5000", "1 to 1000"]),
        ):
            name, sentence = self.client.refusal(*method, *args, signature=signature)
            self.assertEqual(INVALID, name, args)
            for word in words:
                self.assertIn(word, sentence)

    def test_backup_takes_regular_files_only(self):
        read, write = os.pipe()
        with open("/dev/null", "wb") as null, open(self.rig.daemon.config, "rb") as reading:
            for fd in (write, null.fileno(), reading.fileno()):
                name, sentence = self.client.refusal("Storage", "Backup", client.dbus.types.UnixFd(fd), signature="h")
                self.assertEqual(INVALID, name)
                self.assertIn("regular file", sentence)
        os.close(read)
        os.close(write)

    def test_who_asked_is_in_the_log(self):
        self.client.set(vmin="2.95V")
        self.rig.daemon.wait_line(rf"uid {os.geteuid()} over D-Bus: vmin changed from 2.750 V to 2.950 V")

    @unittest.skipUnless(os.geteuid() == 0, "only root can ask as somebody else")
    def test_others_may_read_and_nothing_else(self):
        address = self.rig.bus.address
        read = call_as(address, NOBODY, [], "org.smartbms1.Manager", "GetSnapshot", "", [])
        self.assertEqual("ok", read[0])
        calls = (
            ("Settings", "Set", "a{sv}", [{"vmin": "2.90V"}]), ("Settings", "Reset", "as", [["vmin"]]),
            ("Pack", "SetSOC", "x", [5000]), ("Relays", "Release", "s", ["load"]), ("Relays", "Recover", "x", [5]),
            ("Cells", "Accept", "", []), ("Energy", "Clear", "", []), ("Settings", "Confirm", "", []),
            ("Settings", "SetPin", "s", ["4711"]), ("Pairing", "Close", "", []), ("Pairing", "Phones", "", []),
            ("Pairing", "Next", "", []), ("Pairing", "Remove", "s", ["C0:11:22:33:44:55"]),
        )
        for interface, method, signature, args in calls:
            name, sentence = call_as(address, NOBODY, [], "org.smartbms1." + interface, method, signature, args)
            self.assertEqual(DENIED, name, method)
            self.assertIn("group smartbms", sentence)
        self.assertEqual(self.before, self.values())


class Group(unittest.TestCase):
    """Members of group smartbms, on a machine with that group: an /etc/group of the daemon's own."""

    GID = 64123

    @unittest.skipUnless(os.geteuid() == 0, "only root can give the daemon an /etc/group")
    def test_members_may_change(self):
        directory = harness.tempfile.mkdtemp(prefix="smartbms-test-")
        try:
            group = os.path.join(directory, "group")
            with open("/etc/group") as old, open(group, "w") as new:
                new.writelines(line for line in old if not line.startswith("smartbms:"))
                new.write(f"smartbms:x:{self.GID}:\n")
            wrapper = ["unshare", "--mount", "sh", "-c", f'mount --bind {group} /etc/group && exec "$@"', "sh"]
            if subprocess.run([*wrapper, "true"], stderr=subprocess.DEVNULL).returncode != 0:
                self.skipTest("no mount namespace here")
            with harness.Rig(PROGRAM, wrapper=wrapper) as rig:
                client.Client(rig.bus.address).wait_name()
                args = ("org.smartbms1.Settings", "Set", "a{sv}", [{"vmin": "2.90V"}])
                self.assertEqual(DENIED, call_as(rig.bus.address, NOBODY, [self.GID + 1], *args)[0])
                self.assertEqual("ok", call_as(rig.bus.address, NOBODY, [self.GID], *args)[0])
                self.assertEqual(2900, client.Client(rig.bus.address).get("Settings", "Values")["vmin"])
        finally:
            harness.shutil.rmtree(directory)


class Monitor(unittest.TestCase):
    def test_the_board_decides(self):
        with harness.Rig(PROGRAM, config="role: monitor\n") as rig:
            c = client.Client(rig.bus.address)
            c.wait_name()
            self.assertEqual("monitor", c.get("Manager", "Role"))
            self.assertEqual((False, False), (c.get("Relays", "ChargeMapped"), c.get("Relays", "LoadMapped")))
            name, sentence = c.refusal("Settings", "Set", {"vmin": "2.90V"}, signature="a{sv}")
            self.assertEqual(REFUSED, name)
            self.assertIn("monitor", sentence)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
