# SPDX-License-Identifier: MIT
"""Every setting by every door: the tables in docs/bluetooth.md, "Who may read and change what", tried field by field with
the real daemon.

Usage: test-doors.py SMARTBMSD SMARTBMSCTL BLUETOOTH.MD [TEST...]"""

import json
import math
import os
import re
import struct
import subprocess
import sys
import time
import unittest
from fractions import Fraction

import rig
from rig import Phone, harness

if len(sys.argv) < 4:
    sys.exit(__doc__)

import client
from asking import (ADDRESS, CHANGE_PIN, CLEAR_ENERGY, CONTROL, DONE, LOG_IN, OTHER, RX, SET_SOC, TX, WAITING,
                    WRITE_SETTINGS, Asking, setting)

DOC = sys.argv[3]
SETTINGS, ENERGY, READ_SETTINGS = "bdfe0016-d380-4bb9-9d5e-d850cd6a319e", "bdfe0015-d380-4bb9-9d5e-d850cd6a319e", 0x10
PACK_STATE = "bdfe0010-d380-4bb9-9d5e-d850cd6a319e"
NOBODY, GID = 65534, 64123
STRANGER = "C0:11:22:33:44:77"
PIN, SOC, COUNTERS = "the PIN", "state of charge", "energy counters"


def warm(raw):
    """raw * 0.857 - 232.1 degC, in 0.1 degC; a lowest limit is rounded up."""
    return math.ceil((raw * Fraction(857, 1000) - Fraction(2321, 10)) * 10)


def cold(raw):
    return math.floor((raw * Fraction(857, 1000) - Fraction(2321, 10)) * 10)


class Row:
    """One setting: number in our own service; value before and after; in the line protocol the query and the field that has
    it, the address of the (lower) byte if it can be written, and how both values stand there."""

    def __init__(self, number, before, after, query=None, field=None, address=None, digits=4, raw=None, words=None):
        self.number, self.before, self.after = number, before, after
        self.query, self.field, self.address, self.digits, self.raw, self.words = query, field, address, digits, raw, words


def steps(number, before, after, step, query, field, address=None, digits=4):
    assert before % step == 0 and after % step == 0
    return Row(number, before, after, query, field, address, digits, (before // step, after // step))


# Numbers and units: docs/bluetooth.md, settings. Fields, steps and addresses: the line protocol as published.
ROWS = {
    "capacity": steps(1, 2000, 3000, 100, "S1@", 2, 0x031),
    "solar_peak": steps(2, 2500, 2600, 10, "S1@", 0, 0x011),
    "inverter_peak": steps(3, 3000, 3100, 10, "S1@", 1, 0x021),
    "vmin": steps(4, 2900, 2950, 5, "S2@", 0, 0x041),
    "vmax": steps(5, 3600, 3550, 5, "S2@", 1, 0x051),
    "vmin_hysteresis": steps(6, 150, 100, 10, "S2@", 9, 0x042, 2),
    "vmax_hysteresis": steps(7, 40, 30, 10, "S2@", 10, 0x052, 2),
    "tmin": Row(8, warm(271), warm(275), "S2@", 2, 0x061, raw=(271, 275)),
    "tmax": Row(9, cold(335), cold(330), "S2@", 3, 0x071, raw=(335, 330)),
    "tmax_bypass": Row(10, 700, 720),
    "tmin_discharge": Row(11, warm(265), warm(260), "S2@", 6, 0x063, raw=(265, 260)),
    "t_hysteresis": Row(12, 25, 30),
    "charge_restart": steps(13, 90, 91, 1, "S2@", 4, digits=2),
    "discharge_restart": steps(14, 25, 26, 1, "S2@", 5, digits=2),
    "charge_restart_delay": steps(15, 30, 35, 5, "S3@", 5, 0x083),
    "discharge_restart_delay": steps(16, 40, 45, 5, "S3@", 6, 0x085),
    "mode": Row(17, 1, 2, "S3@", 1, 0x017, 2, raw=(0, 1), words=("board", "normal", "critical")),
    "wiring": Row(18, 0, 1, words=("separate", "series")),
    "sensors": Row(19, 1, 2, words=("auto", "1", "2")),
    "trip_frames": Row(20, 3, 1),
    "full_tail_current": steps(21, 2000, 2200, 200, "S3@", 11, 0x092, 2),
    "cell_nominal": steps(22, 3200, 3300, 5, "S2@", 8, 0x047),
    "charge_efficiency": steps(23, 98, 97, 1, "H", 3, digits=2),
}
UNITS = {"capacity": "Wh", "solar_peak": "W", "inverter_peak": "W", "tmin": "C", "tmax": "C", "tmax_bypass": "C",
         "tmin_discharge": "C", "t_hysteresis": "C", "full_tail_current": "mA"}


def dbus_value(row, value):
    return row.words[value] if row.words else value


def in_config(key, row):
    if row.words:
        return row.words[row.before]
    if UNITS.get(key) == "C":
        return f"{row.before / 10:.1f}C"
    return f"{row.before}{UNITS.get(key, '')}"


# Run as somebody else: each call's outcome as JSON.
CALLS = """
import json, sys, dbus, dbus.bus
connection = dbus.bus.BusConnection(sys.argv[1])
for interface, method, signature, args in json.load(sys.stdin):
    if signature == "a{sv}":
        args = [{k: dbus.Int64(v) if isinstance(v, int) else v for k, v in args[0].items()}]
    try:
        answer = connection.call_blocking('org.smartbms1', '/org/smartbms1', interface, method, signature, args, timeout=15)
        print(json.dumps(['ok', answer]))
    except dbus.DBusException as e:
        print(json.dumps([e.get_dbus_name().rsplit('.', 1)[-1], None]))
    sys.stdout.flush()
"""


class Person:
    """A process of somebody else's, that calls what it is told to."""

    def __init__(self, address, groups):
        self.address, self.groups = address, groups

    def call(self, *calls):
        run = subprocess.run([sys.executable, "-c", CALLS, self.address], input=json.dumps(calls), text=True, user=NOBODY,
                             group=NOBODY, extra_groups=self.groups, check=True, stdout=subprocess.PIPE, cwd="/")
        return [tuple(json.loads(line)) for line in run.stdout.splitlines()]


def tables():
    """({(row, door): field}, {(door, act): refusals}) of the document."""
    with open(DOC, encoding="utf-8") as f:
        section = f.read().split("\n## Who may read and change what\n")[1].split("\n## ")[0]
    found = [[[c.strip() for c in line.strip("|").split("|")] for line in block.splitlines()]
             for block in re.findall(r"(?:^\|.*\n?)+", section, re.MULTILINE)]
    assert len(found) == 2
    fields = {(row[0].strip("`"), door): field for row in found[0][2:]
              for door, field in zip(found[0][0][1:], row[1:], strict=True)}
    refusals = {(row[0], act): tuple(re.findall("`(.*?)`", field)) for row in found[1][2:]
                for act, field in zip(found[1][0][1:], row[1:], strict=True)}
    return fields, refusals


class Doors(Asking):
    """Each door: read(key) gives True (told, and right), False (there is no word for it), or the refusals; change(key)
    likewise, and True only if it is in force afterwards."""

    def wrapper(self):
        """The daemon with a group smartbms."""
        group = os.path.join(self.etc.name, "group")
        with open("/etc/group", encoding="utf-8") as old, open(group, "w", encoding="utf-8") as new:
            new.writelines(line for line in old if not line.startswith("smartbms:"))
            new.write(f"smartbms:x:{GID}:\n")
        wrapper = ["unshare", "--mount", "sh", "-c", f'mount --bind {group} /etc/group && exec "$@"', "sh"]
        if subprocess.run([*wrapper, "true"], stderr=subprocess.DEVNULL).returncode != 0:
            harness.skip("no mount namespace here")
        return wrapper

    def values(self):
        return self.client.get("Settings", "Values")

    def pin_hash(self):
        return re.findall(r'^pin_hash: "(.*)"', self.file("settings.yaml"), re.MULTILINE)

    def soc(self):
        known, permyriad = self.client.get("Pack", "SOC")
        self.assertTrue(known)
        return permyriad

    def cleared(self):
        return self.r.daemon.text().count("energy totals set to zero")

    def state_of(self, key):
        """What changes when that is changed, as it is now."""
        if key == PIN:
            return self.pin_hash()
        if key == COUNTERS:
            return self.cleared()
        if key == SOC:
            return round(self.soc() / 100)  # 1 A charges: less than 1 % in this test
        return self.values()

    def wanted_of(self, key, state):
        """Is it what a change would make of it?"""
        if key == PIN:
            return state != self.was and len(state) == 1
        if key == COUNTERS:
            return state == self.was + 1
        if key == SOC:
            return state == self.soc_wanted
        return state == {**self.was, key: dbus_value(ROWS[key], ROWS[key].after)}

    def undo(self, key):
        if key == PIN:
            self.client.call("Settings", "SetPin", self.pin, signature="s")
        elif key in ROWS:
            row = ROWS[key]
            value = dbus_value(row, row.before)
            self.client.set(**{key: client.dbus.Int64(value) if isinstance(value, int) else value})

    # ---- D-Bus

    def dbus_read(self, person, key):
        if key == PIN:  # nowhere, whoever asks
            everything = json.dumps(person.call(*[("org.freedesktop.DBus.Properties", "GetAll", "s",
                                                   ["org.smartbms1." + i]) for i in ("Settings", "Manager")],
                                                ("org.smartbms1.Manager", "GetSnapshot", "", [])))
            self.assertNotIn("AccessDenied", everything)
            self.assertNotIn("pin", everything.lower())
            return False
        interface, name = {SOC: ("Pack", "SOC"), COUNTERS: ("Energy", "CollectedTotal")}.get(key, ("Settings", "Values"))
        (error, value), = person.call(("org.freedesktop.DBus.Properties", "Get", "ss", ["org.smartbms1." + interface, name]))
        if error != "ok":
            return (error,)
        if key in ROWS:
            return value[key] == dbus_value(ROWS[key], ROWS[key].before)
        return bool(value[0])

    def dbus_change(self, person, key):
        if key == PIN:
            call = ("Settings", "SetPin", "s", ["24680"])
        elif key == SOC:
            self.soc_wanted = 40
            call = ("Pack", "SetSOC", "x", [4000])
        elif key == COUNTERS:
            call = ("Energy", "Clear", "", [])
        else:
            call = ("Settings", "Set", "a{sv}", [{key: dbus_value(ROWS[key], ROWS[key].after)}])
        (error, _), = person.call(("org.smartbms1." + call[0], *call[1:]))
        return True if error == "ok" else (error,)

    # ---- the SmartBMS service

    def own_request(self, phone, operation, rest=b""):
        """True, or the ATT error, or the result."""
        error = self.send(phone, operation, rest)
        if error:
            return (f"0x{error:02x}",)
        end = harness.now() + 10
        while (answer := phone.read(CONTROL))[2] == WAITING:
            self.assertLess(harness.now(), end)
            time.sleep(0.005)
        self.assertEqual(bytes([self.tag, operation]), answer[:2])
        self.rest = answer[3:]
        return True if answer[2] == DONE else (f"0x{answer[2]:02x}",)

    def own_read(self, phone, key):
        if key == PIN:  # there is no number for it; what there is has 23
            value = phone.read(SETTINGS)
            if not isinstance(value, int):
                self.assertEqual((23, 1 + 5 * 23), (value[0], len(value)))
            return False
        uuid = {SOC: PACK_STATE, COUNTERS: ENERGY}.get(key, SETTINGS)
        value = phone.read(uuid)
        by_request = self.own_request(phone, READ_SETTINGS, bytes([ROWS[key].number])) if key in ROWS else None
        if isinstance(value, int):
            error = (f"0x{value:02x}",)
            self.assertIn(by_request, (None, error))
            return error
        if key == SOC:
            return abs(struct.unpack_from("<H", value, 8)[0] - self.soc()) <= 100
        if key == COUNTERS:
            return struct.unpack_from("<I", value, 16)[0] != 0xFFFFFFFF
        row = ROWS[key]
        self.assertIs(True, by_request)
        self.assertEqual(setting(row.number, row.before), self.rest)
        there = dict(struct.unpack_from("<Bi", value, 1 + 5 * i) for i in range(value[0]))
        return there[row.number] == row.before

    def own_change(self, phone, key):
        if key == PIN:
            return self.own_request(phone, CHANGE_PIN, b"86420")
        if key == SOC:
            self.soc_wanted = 50
            return self.own_request(phone, SET_SOC, struct.pack("<H", 5000))
        if key == COUNTERS:
            return self.own_request(phone, CLEAR_ENERGY)
        return self.own_request(phone, WRITE_SETTINGS, setting(ROWS[key].number, ROWS[key].after))

    # ---- the line protocol

    def line_write(self, phone, text):
        """None, or the ATT error; a phone that gets one is told nothing if it writes without response, either."""
        error = phone.write(RX, text.encode())
        if error == 0:
            return None
        phone.write(RX, text.encode(), command=True)
        time.sleep(0.02)
        self.assertEqual([], phone.received(TX))
        return (f"0x{error:02x}",)

    def line_reply(self, phone, command):
        """The fields of the reply; or the ATT error."""
        if error := self.line_write(phone, "\r"):
            return error
        return self.say(phone, command).split("_")

    def group_field(self, phone, letter, field):
        """Of a live record."""
        if error := self.line_write(phone, "\r"):
            return error
        self.assertEqual("OK", self.say(phone, "E!"))
        phone.received(TX)
        time.sleep(0.25)  # no more than one group in 200 ms
        self.assertEqual(0, phone.write(RX, b"$", command=True))
        end, text = harness.now() + 10, ""
        while not re.search(r"\rB_[^\r]*\r", text):
            self.assertLess(harness.now(), end, text)
            time.sleep(0.01)
            text += b"".join(phone.received(TX)).decode()
        self.assertEqual("OK", self.say(phone, "D!"))
        record, = re.findall(rf"(?:^|\r){letter}_([^\r]*)\r", text)
        return record.split("_")[field]

    def line_read(self, phone, key):
        if key == PIN:
            reply = self.line_reply(phone, "S1@")
            if not isinstance(reply, tuple):
                self.assertEqual("30303030", reply[3])  # "0000", whatever it is
            return False
        if key == SOC:
            value = self.group_field(phone, "E", 3)
            return value if isinstance(value, tuple) else abs(int(value, 16) - self.soc() // 100) <= 1
        if key == COUNTERS:
            value = self.group_field(phone, "M", 0)
            return value if isinstance(value, tuple) else value == f"{0:06X}"
        row = ROWS[key]
        if not row.query:
            return False
        if row.query == "H":
            value = self.group_field(phone, "H", row.field)
        else:
            value = self.line_reply(phone, row.query)
            value = value if isinstance(value, tuple) else value[row.field]
        if isinstance(value, tuple):
            return value
        return value == f"{row.raw[0]:0{row.digits}X}"

    def line_change(self, phone, key):
        if key not in ROWS or ROWS[key].address is None:
            return False
        row = ROWS[key]
        raw = row.raw[1]
        high = [f"{raw >> 8:02X}-{row.address - 1:03X}!"] if row.digits == 4 else []
        for taken, command in enumerate(high + [f"{raw & 0xFF:02X}-{row.address:03X}!"]):
            if error := self.line_write(phone, "\r"):
                return error
            answer = self.say(phone, command)
            if answer != "OK":
                self.assertEqual(0, taken)  # a half is not accepted of who may not set the whole
                return (answer,)
        return True

    # ---- all of them

    @staticmethod
    def has_word(door, key, act):
        """The door has a way to say that."""
        if act == "reading" and key == PIN:
            return False
        if not door.startswith("line"):
            return True
        if act == "changing":
            return key in ROWS and ROWS[key].address is not None
        return key not in ROWS or ROWS[key].query is not None

    def check(self, door, key, act, outcomes):
        """outcomes: of this act, one for each way in which the stack may behave."""
        field = self.fields[key, door]
        if {"reading": "r", "changing": "w"}[act] in field:
            self.assertEqual([True], outcomes)
        elif self.has_word(door, key, act):
            self.assertEqual("-" if act == "reading" else field.replace("w", ""), field)
            self.assertEqual(self.refusals[door, act], tuple(o for outcome in outcomes for o in outcome))
        else:
            self.assertEqual({False}, set(outcomes))
        if not any(self.has_word(door, key, a) for a in ("reading", "changing")):
            self.assertEqual("", field)
        self.tried.add((key, door, act))

    def column(self, door, read, change, ways=(lambda: None,), log_in=lambda: None):
        keys = [key for key, d in self.fields if d == door]
        self.assertEqual([*ROWS, PIN, SOC, COUNTERS], keys)
        for key in keys:
            for act, do in (("reading", read), ("changing", change)):
                with self.subTest(door=door, setting=key, act=act):
                    outcomes = []
                    for way in ways:
                        way()
                        self.was = self.state_of(key)
                        outcomes.append(do(key))
                        state = self.state_of(key)
                        if act == "changing" and outcomes[-1] is True:
                            self.assertTrue(self.wanted_of(key, state), (self.was, state))
                            self.undo(key)
                            if key == PIN:
                                log_in()
                        else:
                            self.assertEqual(self.was, state)
                    self.check(door, key, act, outcomes)

    def phone_doors(self, state, phone, ways=(lambda: None,), log_in=None):
        """log_in: what a phone does before; it may be refused."""
        self.assertEqual(rig.NOT_ENCRYPTED if state == "none" else 0, phone.subscribe(TX))
        for name, read, change in (("SmartBMS", self.own_read, self.own_change), ("line", self.line_read, self.line_change)):
            door = f"{name} {state}"

            def enter(name=name, door=door):
                if log_in is None:
                    return
                outcomes = []
                for way in ways:
                    way()
                    if name == "SmartBMS":
                        outcome = self.own_request(phone, LOG_IN, log_in.encode())
                    else:
                        outcome = self.line_write(phone, "\r") or self.say(phone, f"PW{log_in}!")
                        outcome = True if outcome == "OK" else (outcome,) if isinstance(outcome, str) else outcome
                    outcomes.append(outcome)
                refusals = self.refusals.get((door, "logging in"), ())
                if refusals:
                    self.assertEqual(refusals, tuple(o for outcome in outcomes for o in outcome))
                else:
                    self.assertEqual([True], outcomes)
            enter()
            self.column(door, lambda key: read(phone, key), lambda key: change(phone, key), ways, enter)
            if self.refusals.get((door, "logging in")):
                enter()  # still so
        phone.disconnect()

    def test_every_setting_by_every_door(self):
        if os.geteuid() != 0:
            harness.skip("only root can ask as somebody else")
        self.etc = harness.tempfile.TemporaryDirectory(prefix="smartbms-test-")
        self.addCleanup(self.etc.cleanup)
        settings = "".join(f"  {key}: {in_config(key, row)}\n" for key, row in ROWS.items())
        self.start(settings=settings, lock=f"12 {OTHER}=12\n", wrapper=self.wrapper())
        os.chmod(self.r.directory, 0o755)
        self.two.disconnect()
        self.client = client.Client(self.r.bus.address)
        self.client.wait_name()
        self.assertEqual({key: dbus_value(row, row.before) for key, row in ROWS.items()}, self.values())
        self.client.call("Pack", "SetSOC", 6000, signature="x")
        self.fields, self.refusals = tables()
        self.tried = set()

        nobody, member = Person(self.r.bus.address, []), Person(self.r.bus.address, [GID])
        self.pin = "1234"
        self.phone_doors("1234", self.one, log_in=self.pin)
        self.pin = "13579"
        self.undo(PIN)
        self.phone_doors("PIN", self.one.connect(), log_in=self.pin)
        self.phone_doors("pair", self.one.connect())
        self.phone_doors("lock", self.two.connect(), log_in=self.pin)
        stranger = Phone(self.bluetoothd, STRANGER).connect()
        self.phone_doors("none", stranger, (lambda: self.bluetoothd.call("Lax", "b", False), self.bluetoothd.lax),
                         log_in=self.pin)
        self.column("D-Bus all", lambda key: self.dbus_read(nobody, key), lambda key: self.dbus_change(nobody, key))
        self.column("D-Bus group", lambda key: self.dbus_read(member, key), lambda key: self.dbus_change(member, key))
        # nothing of the tables was left out
        self.assertEqual({(*field, act) for field in self.fields for act in ("reading", "changing")}, self.tried)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
