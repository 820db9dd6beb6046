# SPDX-License-Identifier: MIT
"""What the real daemon offers is what conf/org.smartbms1.xml says, and reads as what the frames said."""

import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree

import client
import harness

PROGRAM, XML = sys.argv[1:3]
MV = [3300, 3305, 3320, 3290]
DEGC = [20, 21, 25, 18]


def contract(text):
    """Every interface of ours as comparable sets."""
    result = {}
    for interface in ElementTree.fromstring(text).findall("interface"):
        if not interface.get("name").startswith(client.NAME):
            continue
        members = result[interface.get("name")] = {}
        for member in interface:
            args = [(a.get("name"), a.get("type"), a.get("direction") or "out") for a in member.findall("arg")]
            notes = {(a.get("name"), a.get("value")) for a in member.findall("annotation")}
            assert member.tag in ("method", "property", "signal"), member.tag
            assert member.get("name") not in members, f"{member.get('name')} is there twice"
            members[member.get("name")] = (member.tag, member.get("type"), member.get("access"), args, notes)
    return result


class Interface(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = harness.Rig(PROGRAM, config="cells: 4\nsettings:\n  capacity: 5kWh\n  vmax: 3.60V\n")
        cls.rig.__enter__()
        cls.rig.stream.mv, cls.rig.stream.degc = MV, DEGC
        cls.rig.stream.fields = {"i_in": 10000, "i_out": 2500}
        cls.client = client.Client(cls.rig.bus.address)
        cls.client.wait_name()
        cls.rig.live()
        # each cell's detail once
        cls.rig.stream.frame_time(len(cls.rig.stream.sent) + 4, 10)

    @classmethod
    def tearDownClass(cls):
        cls.rig.__exit__(None, None, None)

    def test_introspection_is_the_contract(self):
        with open(XML) as f:
            expected = contract(f.read())
        found = contract(self.client.introspect())
        self.assertEqual(sorted(expected), sorted(found))
        for name, members in expected.items():
            self.assertEqual(sorted(members), sorted(found[name]), name)
            for member in members:
                self.assertEqual(members[member], found[name][member], f"{name}.{member}")

    def test_readings(self):
        pack = self.client.get_all("Pack")
        for name, value in {
            "PackVoltage": sum(MV), "LowestCellVoltage": 3290, "LowestCellVoltageCell": 4,
            "HighestCellVoltage": 3320, "HighestCellVoltageCell": 3, "LowestCellTemperature": 180,
            "LowestCellTemperatureCell": 4, "HighestCellTemperature": 250, "HighestCellTemperatureCell": 3,
            "CurrentIn": 10000, "CurrentOut": 2500, "Current": 7500, "VBypass": 3500, "CellCount": 4,
            "KnownCells": 4, "SOCCapacity": 5000,
        }.items():
            self.assertEqual((True, value), pack[name], name)
        self.assertEqual((False, 0), pack["SOC"])  # nobody knows yet (S4)
        self.assertEqual("live", pack["LinkState"])
        self.assertIs(False, pack["DataStale"])
        self.assertIs(False, pack["SOCCalibrated"])

    def test_cells(self):
        cells = self.client.get("Cells", "Cells")
        self.assertEqual(4, len(cells))
        for i, cell in enumerate(cells):
            number, voltage, temperature, age, *flags = cell
            self.assertEqual(i + 1, number)
            self.assertEqual((True, MV[i]), voltage)
            self.assertEqual((True, DEGC[i] * 10), temperature)
            self.assertLess(age, 6_000_000)
            self.assertEqual([False] * 4, flags)

    def test_one_consistent_snapshot(self):
        fields = self.client.call("Manager", "GetSnapshot")
        names = set(self.client.get_all("Pack")) | set(self.client.get_all("Energy"))
        self.assertEqual(names, set(fields))
        self.assertEqual((True, sum(MV)), fields["PackVoltage"])

    def test_manager_and_settings(self):
        self.assertEqual("gateway", self.client.get("Manager", "Role"))
        self.assertRegex(self.client.get("Manager", "Version"), r"^\d+\.\d+\.\d+$")
        values = self.client.get("Settings", "Values")
        self.assertEqual(5000, values["capacity"])
        self.assertEqual(3600, values["vmax"])
        self.assertEqual("board", values["mode"])
        self.assertNotIn("tmin_discharge", values)  # unset
        self.assertEqual(values, self.client.get("Settings", "Defaults"))

    def test_relays(self):
        relays = self.client.get_all("Relays")
        self.assertTrue(relays["ChargeClosed"] and relays["LoadClosed"])
        self.assertTrue(relays["ChargeMapped"] and relays["LoadMapped"])
        self.assertEqual((False, 0), relays["ChargeConfirmed"])  # no feedback input
        closed, age, rule, cell, _, _, reason, holds = self.client.call("Relays", "Why", "charge")
        self.assertIs(True, closed)
        self.assertGreater(age, 0)
        self.assertEqual(("clear", 0, []), (rule, cell, holds))
        self.assertEqual(relays["ChargeReason"], reason)
        name, sentence = self.client.refusal("Relays", "Why", "fan")
        self.assertEqual("org.freedesktop.DBus.Error.InvalidArgs", name)
        self.assertIn("fan", sentence)

    def test_properties_cannot_be_written(self):
        with self.assertRaises(client.dbus.DBusException) as e:
            self.client.connection.call_blocking(client.NAME, client.PATH, client.dbus.PROPERTIES_IFACE, "Set", "ssv",
                                                 (f"{client.NAME}.Relays", "ChargeClosed", False))
        self.assertEqual("org.freedesktop.DBus.Error.PropertyReadOnly", e.exception.get_dbus_name())
        self.assertTrue(self.client.get("Relays", "ChargeClosed"))

    def test_changes_are_told_and_only_changes(self):
        c, stream = self.client, self.rig.stream
        quiet = ("LinkAge", "BytesReceived", "FramesReceived", "SnapshotSerial")
        c.turn(0.5)
        c.signals.clear()
        c.turn(2.2)  # two frames with the same readings
        packs = [s for s in c.signals if s[2] and s[2][0] == "org.smartbms1.Pack"]
        self.assertEqual([], packs)
        stream.fields = {**stream.fields, "i_in": 12500}
        _, _, (_, changed, _) = c.wait_signal(
            lambda i, m, a: m == "PropertiesChanged" and a[0] == "org.smartbms1.Pack" and "CurrentIn" in a[1])
        self.assertEqual((True, 12500), changed["CurrentIn"])
        self.assertEqual((True, 10000), changed["Current"])
        self.assertNotIn("CurrentOut", changed)
        for name in quiet:
            self.assertNotIn(name, changed)
        stream.fields = {**stream.fields, "i_in": 10000}
        stream.frame_time(len(stream.sent) + 1)

    def test_z_a_relay_opens_and_says_why(self):  # last: it changes the state
        c, stream = self.client, self.rig.stream
        c.signals.clear()
        stream.mv = [3300, 3300, 3650, 3300]  # cell 3 over V-max 3600
        _, _, (_, changed, _) = c.wait_signal(
            lambda i, m, a: m == "PropertiesChanged" and a[0] == "org.smartbms1.Relays" and "ChargeClosed" in a[1])
        self.assertIs(False, changed["ChargeClosed"])
        self.assertNotIn("LoadClosed", changed)
        _, _, (at, kind, text) = c.wait_signal(lambda i, m, a: m == "Event" and a[1] == "relay-opened")
        self.assertLess(abs(at / 1e6 - harness.now()), 5)
        for word in ("charge", "cell 3", "3.650 V", "3.600 V"):
            self.assertIn(word, text)
        closed, _, rule, cell, value, limit, _, holds = c.call("Relays", "Why", "charge")
        self.assertEqual((False, "V-max", 3, (True, 3650), (True, 3600)), (closed, rule, cell, value, limit))
        self.assertIn(("rule", "V-max", 3, (True, 3650), (True, 3600)), [h[:5] for h in holds])
        self.assertIn("v-max", [a[0] for a in c.get("Manager", "Alarms")])
        recent = c.call("Events", "Recent")
        self.assertIn(("relay-opened", text), [r[1:] for r in recent])
        ages = [r[0] for r in recent]
        self.assertEqual(sorted(ages, reverse=True), ages, "oldest first")
        stream.frame_time(len(stream.sent) + 4)  # until cell 3's own detail came
        time.sleep(0.2)
        self.assertEqual([False, False, True, False], [cell[6] for cell in c.get("Cells", "Cells")])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
