# SPDX-License-Identifier: MIT
"""Who gets in, what is registered, and that it comes back: the Bluetooth door against a stand-in for bluetoothd.

Usage: test-door.py BLE-ALONE [TEST...]"""

import os
import sys
import time
import unittest

import rig
from rig import NOT_AUTHORIZED, NOT_ENCRYPTED, READ_NOT_PERMITTED, WRITE_NOT_PERMITTED, Phone, Rig, dbus, harness

PROGRAM = sys.argv[1]

OWN = "bdfe{}-d380-4bb9-9d5e-d850cd6a319e"
OWN_SERVICE, PACK_STATE, CELLS, SETTINGS, CONTROL = (OWN.format(n) for n in ("0001", "0010", "0012", "0016", "0018"))
BATTERY, BATTERY_LEVEL = "0000180f-0000-1000-8000-00805f9b34fb", "00002a19-0000-1000-8000-00805f9b34fb"
NUS, RX, TX = ("6e40000%d-b5a3-f393-e0a9-e50e24dcca9e" % n for n in (1, 2, 3))
ADDRESS, OTHER, STRANGER = "C0:11:22:33:44:55", "C0:11:22:33:44:66", "C0:00:00:00:00:01"
KEYBOARD, KEYBOARD_PATH = "00:11:22:33:44:99", "/org/bluez/hci0/dev_00_11_22_33_44_99"

LOG_IN_1234 = b"\x07\x01" + b"1234"  # tag 7
DONE, WRONG_PIN = 0, 2               # enum phone_result


def wait(condition, timeout=5.0):
    end = harness.now() + timeout
    while not condition():
        assert harness.now() < end, f"not within {timeout} s"
        time.sleep(0.01)


class Registering(unittest.TestCase):
    def test_what_and_in_which_order(self):
        with Rig(PROGRAM) as r:
            r.ready()
            s = r.bluetoothd.state()
            for uuid, service in ((PACK_STATE, OWN_SERVICE), (BATTERY_LEVEL, BATTERY), (RX, NUS), (TX, NUS)):
                self.assertEqual(service, s["services"][uuid][0])
            # whatever is read, written or subscribed needs an encrypted link
            for uuid, (_, flags) in s["services"].items():
                self.assertFalse({"read", "write", "notify", "indicate"} & set(flags), uuid)
            self.assertEqual(["encrypt-write", "write-without-response"], s["services"][RX][1])
            self.assertEqual(["encrypt-notify"], s["services"][TX][1])
            self.assertEqual([{"uuids": [OWN_SERVICE], "name": "SmartBMS-0203", "manufacturer": {}},
                              {"uuids": [NUS], "name": "SmartBMS-0203", "manufacturer": {}}], s["adverts"])
            self.assertEqual("NoInputNoOutput", s["agents"][-1][2])
            self.assertFalse(s["pairable"])
            self.assertEqual("Pairable false", s["calls"][-1])  # after RequestDefaultAgent, which switches it on

    def test_as_the_owner_says(self):
        config = "  adapter: hci1\n  name: 123\\SmartBMS\n  manufacturer: \"2330:0102\"\n"
        with Rig(PROGRAM, config) as r:
            r.ready()
            self.assertIsNone(r.bluetoothd.state("hci0")["services"])
            adverts = r.bluetoothd.state("hci1")["adverts"]
            self.assertEqual(["123\\SmartBMS"] * 2, [a["name"] for a in adverts])
            self.assertEqual([{}, {"2330": [1, 2]}], [a["manufacturer"] for a in adverts])
        with Rig(PROGRAM, "  adapter: \"b8:27:eb:0a:0b:0c\"\n  app: off\n") as r:
            r.ready()
            s = r.bluetoothd.state("hci1")
            self.assertEqual([[OWN_SERVICE]], [a["uuids"] for a in s["adverts"]])
            self.assertNotIn(RX, s["services"])
        with Rig(PROGRAM, "  adapter: hci7\n") as r:
            r.log.wait("no adapter as ble.adapter names it")
            self.assertEqual([], r.bluetoothd.state()["agents"])

    def test_nothing_there_is_normal_and_said_once(self):
        with Rig(PROGRAM, bluetoothd=False, bus=False) as r:
            r.log.wait("cannot join the bus")
            time.sleep(2.5)
            r.bus.start()
            r.log.wait("no bluetoothd")
            self.assertEqual(1, r.log.text().count("cannot join the bus"))
            self.assertEqual("refused -19", r.say("pair 60 passkey")[:11])  # -ENODEV
            started = harness.now()
            r.bluetoothd.start()
            self.assertLess(r.ready(started) - started, 5)
            self.assertEqual(1, r.log.text().count("no bluetoothd"))

    def test_bluetoothd_is_never_started_by_us(self):
        with Rig(PROGRAM, bluetoothd=False, bus=False) as r:
            started = os.path.join(r.directory, "started")
            with open(os.path.join(r.directory, "org.bluez.service"), "w", encoding="utf-8") as f:
                f.write(f"[D-BUS Service]\nName=org.bluez\nExec=/bin/touch {started}\n")
            with open(r.bus.config, encoding="utf-8") as f:
                text = f.read()
            with open(r.bus.config, "w", encoding="utf-8") as f:
                f.write(text.replace("<type>", f"<servicedir>{r.directory}</servicedir><type>"))
            r.bus.start()
            r.log.wait("no bluetoothd")
            time.sleep(1)
            self.assertFalse(os.path.exists(started))
            # would it have been? A plain call does.
            try:
                dbus.bus.BusConnection(r.bus.address).call_blocking("org.bluez", "/", "a.b", "C", "", (), timeout=3)
            except dbus.DBusException:
                pass
            wait(lambda: os.path.exists(started))

    def again(self, r, since):
        """All of it is registered."""
        self.assertLess(r.ready(since) - since, 5)
        s = r.bluetoothd.state()
        self.assertEqual(2, len(s["adverts"]))
        self.assertIn(TX, s["services"])
        self.assertEqual("NoInputNoOutput", s["agents"][-1][2])
        self.assertFalse(s["pairable"])

    def test_bluetoothd_restarts_while_a_phone_listens(self):
        with Rig(PROGRAM) as r:
            r.ready()
            r.say("soc 7000")
            phone = r.paired(address="4A:11:22:33:44:55", identity="C0:FE:22:33:44:55")
            self.assertEqual(0, phone.subscribe(BATTERY_LEVEL))
            r.bluetoothd.kill()
            r.log.wait("bluetoothd is gone")
            started = harness.now()
            r.bluetoothd.start()
            self.again(r, started)
            phone.connect()  # knows its keys, and does not subscribe again
            self.assertTrue(phone.path.endswith("dev_C0_FE_22_33_44_55"), phone.path)
            self.assertNotIn("StartNotify", r.bluetoothd.state()["calls"])
            self.assertEqual(b"\x46", phone.read(BATTERY_LEVEL))
            r.say("soc 6900")
            wait(lambda: b"\x45" in phone.received(BATTERY_LEVEL))

    def test_adapter_goes_and_returns(self):
        with Rig(PROGRAM) as r:
            r.ready()
            phone = r.paired()
            r.open_window()
            r.bluetoothd.present(False)
            r.out.wait("^failed - the adapter is gone")
            self.assertEqual("refused -19", r.say("pair 60 passkey")[:11])
            started = harness.now()
            r.bluetoothd.present(True)
            self.again(r, started)
            phone.connect()
            r.say("soc 5000")
            self.assertEqual(b"\x32", phone.read(BATTERY_LEVEL))
            self.assertEqual(1, r.log.text().count("the adapter is gone; waiting"))

    def test_radio_switched_off_and_on(self):
        with Rig(PROGRAM) as r:
            r.ready()
            r.bluetoothd.block(True)
            r.log.wait("is switched off")
            self.assertEqual([], r.bluetoothd.state()["adverts"])
            r.bluetoothd.block(False)
            wait(lambda: len(r.bluetoothd.state()["adverts"]) == 2)

    def test_bus_goes_and_returns(self):
        with Rig(PROGRAM) as r:
            r.ready()
            r.bluetoothd.kill()
            r.bus.stop()
            r.log.wait("D-Bus connection is gone")
            time.sleep(1.5)
            started = harness.now()
            r.bus.start()
            r.bluetoothd.start()
            self.again(r, started)

    def test_another_program_lets_devices_pair(self):
        with Rig(PROGRAM) as r:
            r.ready()
            r.second_agent("NoInputNoOutput")  # which switches Pairable on
            r.log.wait("another program lets devices pair")
            wait(lambda: not r.bluetoothd.state()["pairable"])


class Pairing(unittest.TestCase):
    def test_passkey(self):
        with Rig(PROGRAM) as r:
            r.ready()
            r.bluetoothd.state()
            phone = Phone(r.bluetoothd, "4A:11:22:33:44:55", identity="00:FE:22:33:44:55",
                          identity_random=False).connect()
            at = r.open_window()
            self.assertEqual(["UnregisterAgent", "RegisterAgent DisplayOnly", "RequestDefaultAgent", "Pairable true"],
                             [c for c in r.bluetoothd.state()["calls"] if c != "Pairable true"] + ["Pairable true"])
            outcome = phone.start_pairing()
            word, address, passkey = r.out.wait("^passkey", since=at)[1].split()
            self.assertEqual(("4A:11:22:33:44:55", 6), (address, len(passkey)))
            phone.type(passkey)
            self.assertEqual("", outcome())
            self.assertEqual("paired 00:FE:22:33:44:55 ", r.out.wait("^paired", since=at)[1])
            r.out.wait("^closed - a phone was paired", since=at)
            r.settled(at)
            self.assertEqual("NoInputNoOutput", r.bluetoothd.state()["agents"][-1][2])
            self.assertEqual(["00:FE:22:33:44:55 public 1700000000 connected phone 55"], r.phones())
            self.assertIn("by passkey", r.out.text())
            self.assertEqual(b"", phone.read(CONTROL))

    def test_identity_known_after_the_bond(self):
        with Rig(PROGRAM) as r:
            r.ready()
            r.bluetoothd.identity_last()
            phone = r.paired("4A:11:22:33:44:55", identity="00:FE:22:33:44:55", identity_random=False)
            wait(lambda: r.phones() == ["00:FE:22:33:44:55 public 1700000000 connected phone 55"])
            self.assertEqual(b"", phone.read(CONTROL))
            r.stop()
            with open(os.path.join(r.state, "phones"), encoding="utf-8") as f:
                self.assertEqual("00:FE:22:33:44:55 public 1700000000 1700000000 phone 55", f.read().split("\n")[1])
            r.start()

    def test_pairable_comes_last(self):
        with Rig(PROGRAM) as r:
            r.ready()
            r.bluetoothd.state()
            r.open_window()
            calls = r.bluetoothd.state()["calls"]
            self.assertEqual("Pairable true", calls[-1])
            self.assertLess(calls.index("RegisterAgent DisplayOnly"), len(calls) - 1)
            r.say("close")
            wait(lambda: not r.bluetoothd.state()["pairable"])

    def test_ends_with_us(self):
        with Rig(PROGRAM) as r:
            r.ready()
            r.open_window()
            self.assertTrue(r.bluetoothd.state()["pairable"])
            self.assertEqual(0, r.stop())
            wait(lambda: not r.bluetoothd.state()["pairable"])
            r.start()

    def test_wrong_passkey(self):
        with Rig(PROGRAM) as r:
            r.ready()
            phone = Phone(r.bluetoothd, ADDRESS).connect()
            at = r.open_window()
            outcome = phone.start_pairing()
            passkey = int(r.out.wait("^passkey", since=at)[1].split()[2])
            phone.type(f"{(passkey + 1) % 1000000:06}")
            self.assertEqual("wrong passkey", outcome())
            self.assertEqual([], r.phones())
            self.assertEqual(NOT_ENCRYPTED, phone.read(PACK_STATE))
            self.assertFalse(r.out.has("^closed"))

    def test_just_works_only_if_asked_for(self):
        with Rig(PROGRAM) as r:
            r.ready()
            phone = Phone(r.bluetoothd, ADDRESS, io="NoInputNoOutput").connect()
            at = r.open_window("passkey")
            self.assertEqual("rejected: org.bluez.Error.Rejected", phone.pair())
            r.out.wait(f"^refused {ADDRESS} it can show or take no passkey", since=at)
            at = r.open_window("just-works")
            self.assertTrue(r.out.has("^closed - another one was opened"))
            self.assertEqual("NoInputNoOutput", r.bluetoothd.state()["agents"][-1][2])
            self.assertEqual("", phone.pair())
            r.out.wait(f"^paired {ADDRESS}", since=at)
            self.assertEqual(b"", phone.read(CONTROL))

    def test_outside_the_window(self):
        with Rig(PROGRAM) as r:
            r.ready()
            for address, io in ((ADDRESS, "NoInputNoOutput"), (OTHER, "KeyboardDisplay")):
                phone = Phone(r.bluetoothd, address, io=io).connect()
                self.assertEqual("not pairable", phone.pair())
                self.assertEqual("rejected: org.bluez.Error.Rejected", phone.pair(bonding=False))
            self.assertFalse(r.out.has("refused|passkey|paired"))

    def test_without_a_bond_it_is_no_phone_of_ours(self):
        with Rig(PROGRAM) as r:
            r.ready()
            phone = Phone(r.bluetoothd, ADDRESS).connect()
            r.open_window("just-works")
            self.assertEqual("", phone.pair(bonding=False))
            self.assertEqual(NOT_AUTHORIZED, phone.read(PACK_STATE))
            self.assertEqual([], r.phones())
            self.assertFalse(r.out.has("^paired"))

    def test_the_window_ends_by_itself(self):
        with Rig(PROGRAM) as r:
            r.ready()
            for wrong in ("9", "601"):
                self.assertEqual("refused -22", r.say(f"pair {wrong} passkey")[:11])
            at = r.open_window("just-works", 10)
            t, _ = r.out.wait("^closed - the time is over", since=at, timeout=15)
            self.assertAlmostEqual(10, t - at, delta=0.5)
            r.settled(at)
            phone = Phone(r.bluetoothd, ADDRESS).connect()
            self.assertEqual("rejected: org.bluez.Error.Rejected", phone.pair(bonding=False))

    def test_bonded_after_the_window(self):
        """The passkey is typed when the window is over."""
        with Rig(PROGRAM) as r:
            r.ready()
            phone = Phone(r.bluetoothd, ADDRESS).connect()
            at = r.open_window()
            outcome = phone.start_pairing()
            passkey = r.out.wait("^passkey", since=at)[1].split()[2]
            r.say("close")
            r.settled(at)
            phone.type(passkey)
            self.assertEqual("", outcome())
            self.assertEqual(NOT_AUTHORIZED, phone.read(PACK_STATE))
            self.assertEqual([], r.phones())

    def test_lost_keys(self):
        """Refused until it is removed here; then it pairs."""
        for kind, io in (("passkey", "KeyboardDisplay"), ("just-works", "NoInputNoOutput")):
            with self.subTest(kind=kind), Rig(PROGRAM) as r:
                r.ready()
                phone = r.paired(ADDRESS, io=io)
                phone.call("LoseKeys", "")
                self.assertEqual(NOT_ENCRYPTED, phone.read(PACK_STATE))
                at = r.open_window(kind)
                self.assertNotEqual("", phone.pair())  # the passkey is shown to nobody, so it cannot be typed
                if kind == "passkey":
                    r.out.wait(f"^refused {ADDRESS} it was paired before and has lost its keys: smartbmsctl phones "
                               "remove", since=at)
                    self.assertFalse(r.out.has("^passkey"))
                    r.out.wait(f"^event phone that ends in {ADDRESS[-5:]} was paired before and has lost its keys", since=at)
                else:  # bluetoothd refuses by itself
                    phone.disconnect()
                    r.out.wait(f"^refused {ADDRESS} it is paired already, and has asked for nothing: if it has lost its keys",
                               since=at)
                self.assertEqual("ok", r.say(f"remove {ADDRESS.lower()}"))
                wait(lambda: not r.bluetoothd.state()["devices"])
                phone.connect()
                outcome = phone.start_pairing()
                if kind == "passkey":
                    phone.type(r.out.wait("^passkey", since=at)[1].split()[2])
                self.assertEqual("", outcome())
                self.assertEqual(b"", phone.read(CONTROL))


class SecondAgent(unittest.TestCase):
    def test_paired_by_it_outside_a_window(self):
        """Whoever it lets in: nothing is read, and the bond of the one who tried is removed; nobody else's is."""
        with Rig(PROGRAM) as r:
            r.ready()
            keyboard = Phone(r.bluetoothd, KEYBOARD, random=False, io="NoInputNoOutput").connect()
            phone = Phone(r.bluetoothd, ADDRESS, io="NoInputNoOutput").connect()
            r.second_agent("NoInputNoOutput")
            self.assertEqual("", keyboard.pair(bonding=False))
            self.assertEqual("", phone.pair(bonding=False))
            self.assertEqual(NOT_AUTHORIZED, phone.read(PACK_STATE))
            r.out.wait(f"^event device that ends in {ADDRESS[-5:]} was paired outside a pairing window")
            wait(lambda: list(r.bluetoothd.state()["devices"]) == [KEYBOARD_PATH])
            self.assertNotIn("RemoveDevice " + KEYBOARD_PATH, r.bluetoothd.state()["calls"])
            self.assertEqual(1, r.out.text().count("event"))

    def test_bonded_by_it_outside_a_window(self):
        with Rig(PROGRAM) as r:
            r.ready()
            r.second_agent("NoInputNoOutput")
            wait(lambda: not r.bluetoothd.state()["pairable"])
            r.bluetoothd.pairable(True)
            phone = Phone(r.bluetoothd, ADDRESS).connect()
            self.assertEqual("", phone.pair())
            self.assertEqual([], r.phones())
            self.assertEqual(NOT_AUTHORIZED, phone.write(CONTROL, LOG_IN_1234))
            wait(lambda: not r.bluetoothd.state()["devices"])
            self.assertFalse(r.out.has("^ask"))

    def test_in_the_window_we_are_asked(self):
        with Rig(PROGRAM) as r:
            r.ready()
            r.second_agent("NoInputNoOutput")
            phone = Phone(r.bluetoothd, ADDRESS, io="NoInputNoOutput").connect()
            r.open_window("passkey")
            self.assertEqual("rejected: org.bluez.Error.Rejected", phone.pair())

    def test_asked_instead_of_us_in_the_window(self):
        """It came last: what it lets in is none of ours, though the window is open."""
        with Rig(PROGRAM) as r:
            r.ready()
            phone = Phone(r.bluetoothd, ADDRESS, io="NoInputNoOutput").connect()
            r.open_window("passkey")
            r.second_agent("NoInputNoOutput")
            self.assertEqual("", phone.pair())
            self.assertEqual(NOT_AUTHORIZED, phone.read(PACK_STATE))
            self.assertEqual([], r.phones())

    def test_a_phone_of_ours_paired_anew_by_it(self):
        """Somebody removed the bond, and somebody with that address paired again: not necessarily the same."""
        with Rig(PROGRAM) as r:
            r.ready()
            phone = r.paired()
            r.bluetoothd.remove(phone)
            self.assertEqual(1, len(r.phones()))
            r.second_agent("NoInputNoOutput")
            wait(lambda: not r.bluetoothd.state()["pairable"])
            r.bluetoothd.pairable(True)
            phone.connect()
            self.assertEqual("", phone.pair())
            r.out.wait(f"^event phone that ends in {ADDRESS[-5:]} was paired anew outside a pairing window")
            self.assertEqual(NOT_AUTHORIZED, phone.read(PACK_STATE))
            self.assertEqual([], r.phones())


    def test_a_phone_of_ours_without_its_bond(self):
        """The bond was removed; who has that address now is paired, but not bonded."""
        with Rig(PROGRAM) as r:
            r.ready()
            phone = r.paired(io="NoInputNoOutput")
            r.bluetoothd.remove(phone)
            r.second_agent("NoInputNoOutput")
            phone.connect()
            self.assertEqual("", phone.pair(bonding=False))
            self.assertEqual(NOT_AUTHORIZED, phone.read(PACK_STATE))


class Access(unittest.TestCase):
    def everything(self, r, phone):
        """What a phone gets of every characteristic: {uuid: bytes} of what it could read."""
        got = {}
        for uuid in r.bluetoothd.state()["services"]:
            value = phone.read(uuid)
            if isinstance(value, bytes):
                got[uuid] = value
            for command in (False, True):
                error = phone.write(uuid, LOG_IN_1234, command)
                self.assertTrue(error != 0 or command, uuid)
            self.assertEqual(NOT_ENCRYPTED, phone.subscribe(uuid)) if "notif" in "".join(
                r.bluetoothd.state()["services"][uuid][1]) else None
        return got

    def test_unpaired(self):
        for config, expected in (("", {}), ("  public_battery: on\n", {BATTERY_LEVEL: b"\x37"})):
            with self.subTest(config=config), Rig(PROGRAM, config) as r:
                r.ready()
                r.say("soc 5500")
                stranger = Phone(r.bluetoothd, STRANGER).connect()
                self.assertEqual(expected, self.everything(r, stranger))
                self.assertEqual(READ_NOT_PERMITTED, stranger.read(TX))  # reached us: its flags let it
                r.say("soc 5400")
                self.assertEqual([], stranger.received())
                self.assertFalse(r.out.has("^ask"))
                self.assertNotIn("RemoveDevice", "".join(r.bluetoothd.state()["calls"]))

    def test_unpaired_and_bluetoothd_lets_it_through(self):
        """Our own code refuses what the flags should have refused; and nothing else happens to the device."""
        with Rig(PROGRAM, "  public_battery: on\n") as r:
            r.ready()
            r.say("soc 5500")
            r.bluetoothd.lax()
            stranger = Phone(r.bluetoothd, STRANGER).connect()
            for uuid, (_, flags) in r.bluetoothd.state()["services"].items():
                value, error = stranger.read(uuid), stranger.write(uuid, LOG_IN_1234)
                readable, writable = "encrypt-read" in flags, "encrypt-write" in flags
                expected = b"\x37" if uuid == BATTERY_LEVEL else NOT_AUTHORIZED if readable else READ_NOT_PERMITTED
                self.assertEqual((uuid, expected), (uuid, value))
                self.assertEqual((uuid, NOT_AUTHORIZED if writable else WRITE_NOT_PERMITTED), (uuid, error))
            self.assertFalse(r.out.has("^(ask|event)"))
            self.assertNotIn("RemoveDevice", "".join(r.bluetoothd.state()["calls"]))
            self.assertEqual(1, r.log.text().count(f"refused to {STRANGER}, which is not paired"))

    def test_only_bluetoothd_may_ask(self):
        """Others on the bus can name any device they like."""
        with Rig(PROGRAM) as r:
            r.ready()
            phone = r.paired()
            bus = dbus.bus.BusConnection(r.bus.address)
            owner = r.bluetoothd.state()["agents"][-1][0]
            options = dbus.Dictionary({"device": dbus.ObjectPath(phone.path)}, signature="sv")
            char = "/org/smartbms1/ble/service00/char00"
            for path, interface, member, signature, args in (
                    (char, "org.bluez.GattCharacteristic1", "ReadValue", "a{sv}", (options,)),
                    (char, "org.bluez.GattCharacteristic1", "WriteValue", "aya{sv}", (dbus.ByteArray(b"1"), options)),
                    ("/org/smartbms1/agent", "org.bluez.Agent1", "RequestAuthorization", "o", (phone.path,))):
                with self.assertRaises(dbus.DBusException) as e:
                    bus.call_blocking(owner, path, interface, member, signature, args)
                self.assertEqual("org.freedesktop.DBus.Error.AccessDenied", e.exception.get_dbus_name())

    def test_signals_of_others_are_not_believed(self):
        with Rig(PROGRAM) as r:
            r.ready()
            owner = r.bluetoothd.state()["agents"][-1][0]
            phone = r.paired(ADDRESS)
            bus = dbus.bus.BusConnection(r.bus.address)
            for destination in (None, owner):
                for path, interface, member, signature, args in (
                        (phone.path, dbus.PROPERTIES_IFACE, "PropertiesChanged", "sa{sv}as",
                         ("org.bluez.Device1", {"Connected": False, "Bonded": False}, [])),
                        ("/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", "oas",
                         ("/org/bluez/hci0", ["org.bluez.Adapter1"])),
                        ("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", "sss",
                         ("org.bluez", owner, ""))):
                    m = dbus.lowlevel.SignalMessage(path, interface, member)
                    m.append(*args, signature=signature)
                    if destination:
                        m.set_destination(destination)
                    bus.send_message(m)
            bus.flush()
            time.sleep(0.3)
            self.assertEqual([f"{ADDRESS} random 1700000000 connected phone 55"], r.phones())
            self.assertEqual(b"", phone.read(CONTROL))
            self.assertFalse(r.log.has("is gone"))

    def test_the_list_outlives_us(self):
        with Rig(PROGRAM) as r:
            r.ready()
            phone = r.paired()
            self.assertEqual(0, r.stop())
            at = harness.now()
            r.start()
            r.ready(at)
            self.assertEqual([f"{ADDRESS} random 1700000000 connected phone 55"], r.phones())
            self.assertEqual(b"", phone.read(CONTROL))
            # a list that cannot be read lets nobody in
            r.stop()
            with open(os.path.join(r.state, "phones"), "a", encoding="utf-8") as f:
                f.write("C0:11:22:33:44:66 whatever - - x\n")
            r.start()
            r.ready(at)
            r.log.wait("phones: line 3: expected address, random or public")
            self.assertEqual([], r.phones())
            self.assertEqual(NOT_AUTHORIZED, phone.read(PACK_STATE))

    def test_removed(self):
        with Rig(PROGRAM) as r:
            r.ready()
            phone, other = r.paired(), r.paired(OTHER)
            self.assertEqual("refused -2 ", r.say(f"remove {STRANGER}"))  # -ENOENT
            self.assertEqual("ok", r.say(f"remove {ADDRESS}"))
            wait(lambda: list(r.bluetoothd.state()["devices"]) == [other.path])
            phone.connect()
            self.assertEqual(NOT_ENCRYPTED, phone.read(PACK_STATE))
            self.assertEqual(b"", other.read(CONTROL))
            self.assertEqual("ok", r.say("remove-all"))
            wait(lambda: list(r.bluetoothd.state()["devices"]) == [phone.path])
            self.assertEqual([], r.phones())

    def test_as_many_as_can_be(self):
        with Rig(PROGRAM) as r:
            r.ready()
            for i in range(16):
                r.paired(f"C0:11:22:33:55:{i:02X}").disconnect()
            self.assertEqual("refused -28", r.say("pair 60 passkey")[:11])  # -ENOSPC
            self.assertEqual("ok", r.say("remove C0:11:22:33:55:00"))
            r.paired()


class Sessions(unittest.TestCase):
    def log_in(self, r, phone, result=DONE):
        at = harness.now()
        self.assertEqual(0, phone.write(CONTROL, LOG_IN_1234))
        word, address, kind, token, pin = r.out.wait("^ask", since=at)[1].split()
        self.assertEqual((phone.identity, "1", "1234"), (address, kind, pin))
        r.say(f"answer {token} {result}")
        return token

    def test_log_in_is_asked_answered_indicated_and_read(self):
        with Rig(PROGRAM) as r:
            r.ready()
            one, two = r.paired(), r.paired(OTHER)
            self.assertEqual(0, one.subscribe(CONTROL))
            self.assertEqual(0, two.subscribe(CONTROL))
            self.log_in(r, one)
            self.assertEqual(b"\x07\x01\x01", one.read(CONTROL)[:3])  # tag, operation, done
            self.assertEqual(b"", two.read(CONTROL))                  # its own last answer: none
            wait(lambda: one.received(CONTROL) != [])
            for told in two.received(CONTROL):
                self.assertLessEqual(len(told), 3)                    # "tag N answered" and nothing else
            self.log_in(r, two, WRONG_PIN)
            self.assertEqual(3, two.read(CONTROL)[2])
            self.assertEqual(b"\x07\x01\x01", one.read(CONTROL)[:3])

    def test_ends_with_the_connection(self):
        with Rig(PROGRAM) as r:
            r.ready()
            phone = r.paired()
            self.log_in(r, phone)
            clear_energy = b"\x08\x03"
            at = harness.now()
            self.assertEqual(0, phone.write(CONTROL, clear_energy))
            r.out.wait(f"^ask {ADDRESS} 5", since=at)
            phone.disconnect()
            phone.connect()
            self.assertEqual(b"", phone.read(CONTROL))
            at = harness.now()
            self.assertEqual(NOT_AUTHORIZED, phone.write(CONTROL, clear_energy))
            self.assertFalse(r.out.has("^ask", since=at))

    def test_answers_that_come_too_late_are_nobody_s(self):
        with Rig(PROGRAM) as r:
            r.ready()
            phone = r.paired()
            self.assertEqual(0, phone.write(CONTROL, LOG_IN_1234))
            token = r.out.wait("^ask")[1].split()[3]
            phone.disconnect()
            phone.connect()
            self.assertEqual(b"", phone.read(CONTROL))  # its new session, which asks for the same
            at = harness.now()
            self.assertEqual(0, phone.write(CONTROL, LOG_IN_1234))
            newer = r.out.wait("^ask", since=at)[1].split()[3]
            self.assertNotEqual(token, newer)
            r.say(f"answer {token} {DONE}")
            self.assertEqual(b"\x07\x01\x00", phone.read(CONTROL)[:3])  # still waiting
            r.say(f"answer {newer} {WRONG_PIN}")
            r.say(f"answer {newer} {DONE}")  # once only
            self.assertEqual(b"\x07\x01\x03", phone.read(CONTROL)[:3])
            self.assertEqual(NOT_AUTHORIZED, phone.write(CONTROL, b"\x08\x03"))

    def test_long_readings_do_not_tear(self):
        """At an MTU of 23 a value comes in parts, each a call of its own."""
        with Rig(PROGRAM) as r:
            r.ready()
            one, two = r.paired(), r.paired(OTHER)
            r.say("soc 1000")
            whole = one.read(SETTINGS)
            self.assertGreater(len(whole), 22)
            parts = one.read(SETTINGS, 0, 23)
            while len(part := one.read(SETTINGS, len(parts), 23)) == 22:
                parts += part
            self.assertEqual(whole, parts + part)
            before = one.read(PACK_STATE)
            r.say("soc 2000")
            self.assertNotEqual(before, two.read(PACK_STATE))
            self.assertEqual(before[5:], one.read(PACK_STATE, 5))  # the rest of what it began to read
            self.assertEqual(0x07, one.read(PACK_STATE, len(before) + 1))

    def test_pages_are_each_phone_s_own(self):
        with Rig(PROGRAM) as r:
            r.ready()
            one, two = r.paired(), r.paired(OTHER)
            self.assertEqual(0, one.write(CELLS, b"\x01"))
            self.assertEqual(0, two.write(CELLS, b"\x00"))
            self.assertEqual((1, 0), (one.read(CELLS)[0], two.read(CELLS)[0]))

    def test_line_protocol(self):
        with Rig(PROGRAM) as r:
            r.ready()
            one, two = r.paired(), r.paired(OTHER)
            for phone in (one, two):
                self.assertEqual(0, phone.subscribe(TX))
            self.assertEqual(0, one.write(RX, b"TS@\r", command=True))
            wait(lambda: b"".join(one.received(TX)).endswith(b"\r"))
            one.write(RX, b"PW1234!\r", command=True)
            word, address, kind, token, pin = r.out.wait("^ask")[1].split()
            self.assertEqual((ADDRESS, "1", "1234"), (address, kind, pin))
            two.write(RX, b"TS@\r", command=True)  # the line is held: not looked at
            time.sleep(0.2)
            self.assertEqual([], one.received(TX))
            r.say(f"answer {token} {DONE}")
            wait(lambda: one.received(TX) != [])
            one.disconnect()
            two.received(TX)
            two.write(RX, b"TS@\r", command=True)
            wait(lambda: two.received(TX) != [])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
