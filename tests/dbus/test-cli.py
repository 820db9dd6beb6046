# SPDX-License-Identifier: MIT
"""smartbmsctl against the real smartbmsd, as its owner uses it: answers, exit codes, and the live view on a terminal.

Usage: test-cli.py SMARTBMSD SMARTBMSCTL [CLASS[.TEST]...]"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import harness

if len(sys.argv) < 3:
    sys.exit(__doc__)
SMARTBMSD, SMARTBMSCTL = (os.path.abspath(p) for p in sys.argv[1:3])

OK, REFUSED, USAGE, NO_DAEMON, STALE = range(5)  # and 5, not stored: test-records.py
CONFIG = "cells: 4\nsettings:\n  capacity: 1280Wh\n  solar_peak: 500W\n"


def environment(**more):
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "LINES", "COLUMNS")}
    return {**env, "LC_ALL": "C.UTF-8", "PATH": os.path.dirname(SMARTBMSD) + ":" + env["PATH"], **more}


class Answer:
    def __init__(self, address, args, **options):
        began = time.monotonic()
        run = subprocess.run([SMARTBMSCTL, "--bus", address, *args], stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, timeout=30, env=environment(), **options)
        self.seconds = time.monotonic() - began
        self.status, self.out, self.err = run.returncode, run.stdout, run.stderr

    def json(self):
        def refuse(constant):
            raise ValueError(constant + " is no JSON")
        return json.loads(self.out, parse_constant=refuse)


# Every command that needs the daemon.
ASKING = [["status"], ["status", "--json"], ["cells"], ["cells", "accept"], ["energy"], ["why", "charge"], ["monitor"],
          ["get"], ["get", "vmin"], ["set", "vmin", "2.9V"], ["reset", "vmin"], ["config", "diff"],
          ["release", "load"], ["recover", "--minutes", "3"], ["soc", "set", "80%"], ["version"], ["watch", "--once"],
          ["energy", "--days", "3"], ["energy", "clear", "--yes"], ["history"], ["events"], ["events", "--follow"],
          ["pair"], ["phones"], ["phones", "--json"], ["phones", "remove", "C0:11:22:33:44:55"],
          ["storage"], ["settings", "export"], ["settings", "confirm"], ["set", "pin", "4711"],
          ["packs"], ["packs", "--json"], ["--pack", "house", "status"], ["--pack=house", "set", "vmin", "2.9V"],
          ["backup", "/dev/shm/smartbms-test-backup"]]


class NoDaemon(unittest.TestCase):
    """One clear line, exit 3, within a second."""

    def check_all(self, address, commands=None, says="smartbmsd is not running"):
        for args in commands or ASKING:
            with self.subTest(args=args):
                answer = Answer(address, args)
                self.assertEqual(NO_DAEMON, answer.status, answer.err)
                self.assertEqual(1, answer.err.count("\n"), answer.err)
                self.assertIn(says, answer.err)
                self.assertLess(answer.seconds, 1.5)  # one second, and the time to start a program under load

    def test_no_bus(self):
        self.check_all("unix:path=/nonexistent/bus")

    def test_nobody_on_the_bus_and_nobody_is_started(self):
        with tempfile.TemporaryDirectory(prefix="smartbms-test-") as directory:
            started = os.path.join(directory, "started")
            with open(os.path.join(directory, "org.smartbms1.service"), "w") as f:
                f.write(f"[D-BUS Service]\nName=org.smartbms1\nExec=/bin/sh -c 'touch {started}; sleep 5'\n")
            with open(os.path.join(directory, "org.smartbms1.pack_house.service"), "w") as f:
                f.write("[D-BUS Service]\nName=org.smartbms1.pack_house\n"
                        f"Exec=/bin/sh -c 'touch {started}; sleep 5'\n")
            bus = harness.PrivateBus(directory)
            with open(bus.config) as f:
                config = f.read()
            with open(bus.config, "w") as f:
                f.write(config.replace("<auth>", f"<servicedir>{directory}</servicedir><auth>", 1))
            bus.start()
            try:
                self.check_all(bus.address)
                self.assertFalse(os.path.exists(started), "smartbmsctl started the daemon")
            finally:
                bus.stop()

    def test_bus_hangs(self):
        with tempfile.TemporaryDirectory(prefix="smartbms-test-") as directory:
            bus = harness.PrivateBus(directory).start()
            try:
                bus.process.send_signal(signal.SIGSTOP)
                self.check_all(bus.address, [["status"], ["set", "vmin", "2.9V"]])
            finally:
                bus.stop()

    def test_no_address(self):
        answer = Answer("nonsense", ["status"])
        self.assertEqual(USAGE, answer.status)
        self.assertIn("'nonsense' is no D-Bus address", answer.err)


class Usage(unittest.TestCase):
    """Found out before anything is asked: there is no bus here."""

    CASES = [
        (["statu"], "did you mean 'status'?"),
        (["cells", "acept"], "did you mean 'cells accept'?"),
        (["soc"], "did you mean 'soc set'?"),
        (["xyzzy"], "see smartbmsctl help"),
        ([], "see smartbmsctl help"),
        (["status", "now"], "status takes no 'now'"),
        (["status", "--jsn"], "did you mean --json?"),
        (["set", "vmin", "2.9V", "--json"], "set does not take --json"),
        (["recover"], "--minutes N"),
        (["recover", "--minutes", "0"], "from 1 to 30"),
        (["recover", "--minutes", "31"], "from 1 to 30"),
        (["recover", "--minutes"], "--minutes needs a value"),
        (["why"], "usage: smartbmsctl why charge|load"),
        (["why", "both"], "'both' is no relay; expected charge or load"),
        (["get", "vmn"], "unknown setting 'vmn'; did you mean 'vmin'?"),
        (["reset", "charge_restrat"], "did you mean 'charge_restart'?"),
        (["set", "vmin"], "usage: smartbmsctl set NAME VALUE"),
        (["set", "vmin", "2.9V", "vmax"], "vmax has no value"),
        (["set", "vmin", "2.9V", "vmin", "3V"], "vmin is named twice"),
        (["get", "vmin", "vmin"], "vmin is named twice"),
        (["watch", "--once", "--size", "80"], "expected COLUMNSxROWS"),
        (["watch"], "watch needs a terminal"),
        (["energy", "--today", "--total"], "one of --today, --days and --total"),
        (["energy", "--days", "0"], "from 1 to 1000"),
        (["energy", "--days", "1001"], "from 1 to 1000"),
        (["energy", "clear"], "needs --yes"),
        (["energy", "claer"], "did you mean 'energy clear'?"),
        (["history", "--from", "noon"], "that is no time; expected one such as 2026-11-26"),
        (["history", "--to", "2026-02-30"], "that is no time"),
        (["history", "--from", "-24h", "--to", "-48h"], "--from is not before --to"),
        (["history", "--from", "now"], "--from is not before --to"),
        (["history", "--resolution", "weeks"], "expected minutes, hours or days"),
        (["history", "--from", "-60d", "--resolution", "minutes"], "31 days at most"),
        (["history", "--csv", "--json"], "--csv or --json"),
        (["history", "--size", "big"], "expected COLUMNSxROWS"),
        (["events", "--count", "1001"], "from 1 to 1000"),
        (["settings"], "did you mean 'settings export'?"),
        (["settings", "import"], "usage: smartbmsctl settings import FILE"),
        (["set", "pin", "4711", "vmin", "2.9V"], "the PIN is set alone"),
        (["set", "vmin", "2.9V", "pin", "4711"], "the PIN is set alone"),
        (["pair", "--seconds", "9"], "from 10 to 600"),
        (["pair", "now"], "pair takes no 'now'"),
        (["phones", "remove"], "usage: smartbmsctl phones remove ADDRESS"),
        (["phones", "remove", "C0:11:22:33:44"], "is no address"),
        (["phones", "remove", "C0:11:22:33:44:55:66"], "too long for an address"),
        (["backup"], "usage: smartbmsctl backup FILE"),
        (["storage", "now"], "storage takes no 'now'"),
    ]
    REFUSED = [
        (["set", "vmin", "5V"], "outside the range (2.000 V to 4.000 V)"),
        (["set", "vmin", "abc"], "vmin: 'abc' is not a value"),
        (["set", "vmin", "2.9V", "tmin", "50C"], "tmin: '50C' is outside the range"),
        (["soc", "set", "101%"], "outside the range"),
        (["soc", "set", "full"], "'full' is no percentage"),
        (["get", "pin"], "never shown"),
        (["reset", "pin"], "never shown"),
        (["set", "pin", "123"], "expected 4 to 8 digits"),
        (["set", "pin", "123456789"], "expected 4 to 8 digits"),
        (["set", "pin", "geheim"], "expected 4 to 8 digits"),
        (["settings", "import", "/nonexistent"], "cannot read /nonexistent"),
    ]

    def test_usage(self):
        for expected, cases in ((USAGE, self.CASES), (REFUSED, self.REFUSED)):
            for args, says in cases:
                with self.subTest(args=args):
                    answer = Answer("unix:path=/nonexistent/bus", args)
                    self.assertEqual(expected, answer.status, answer.err)
                    self.assertIn(says, answer.err)
                    self.assertEqual("", answer.out)

    def test_a_pin_is_not_repeated(self):
        for pin in ("123", "geheim", "123456789"):
            self.assertNotIn(pin, Answer("unix:path=/nonexistent/bus", ["set", "pin", pin]).err)

    def test_import_names_what_is_wrong(self):
        """All of it, each with its line, before anybody is asked."""
        cases = [
            ("settings:\n  vmin: 2.9V\n  vmni: 3V\n  vmin: 3V\n  vmax: 9V\n  mode: [a]\n  tmin: cold\n",
             [":3:3: there is no setting 'vmni'", ":4:3: vmin is given twice", ":5:9: vmax: '9V' is outside",
              ":6:9: mode: expected one value", ":7:9: tmin: 'cold'"]),
            ("vmin: 2.9V\n", [":1:1: 'vmin' is nothing to import; expected settings:", "expected below settings:"]),
            ("settings:\n  vmin: 2.9V\nport: {path: /dev/x}\n", [":3:1: 'port' is nothing to import"]),
            ("settings: {vmin: 2.9V}\nsettings: {vmax: 3.6V}\n", [":2:1: settings: is given twice"]),
            ("settings:\n", [":1:10: expected below settings:"]),
            ("- settings\n", [":1:1: expected \"settings:\""]),
            ("", [":1:1: expected \"settings:\""]),
            ("settings:\n  vmin: *x\n", [":2:9: an alias"]),
            ("settings:\n\tvmin: 3V\n", [":2:1: a tab"]),
            ("settings: {\n", [":"]),
        ]
        for text, expected in cases:
            for name in ("settings.yaml", "-"):
                with self.subTest(text=text, name=name), tempfile.TemporaryDirectory() as directory:
                    with open(os.path.join(directory, "settings.yaml"), "w") as f:
                        f.write(text)
                    run = subprocess.run([SMARTBMSCTL, "--bus", "unix:path=/nonexistent/bus", "settings", "import", name],
                                         input=text, capture_output=True, text=True, cwd=directory)
                    self.assertEqual(REFUSED, run.returncode, run.stderr)
                    self.assertIn("nothing was changed", run.stderr)
                    for part in expected:
                        self.assertIn(name + part if part.startswith(":") else part, run.stderr)

    def test_help_and_version_need_nobody(self):
        for args, says in ((["help"], "status"), (["--help"], "Exit status"), (["help", "settings"], "vmin_hysteresis"),
                           (["--version"], "smartbmsctl 0.")):
            answer = Answer("unix:path=/nonexistent/bus", args)
            self.assertEqual(OK, answer.status)
            self.assertIn(says, answer.out)

    def test_nowhere_to_write(self):
        with open("/dev/full", "w") as full:
            run = subprocess.run([SMARTBMSCTL, "help"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(REFUSED, run.returncode)
        self.assertIn("cannot write", run.stderr)

    def test_config_check(self):
        with tempfile.TemporaryDirectory(prefix="smartbms-test-") as directory:
            good, bad = (os.path.join(directory, name) for name in ("good.yaml", "bad.yaml"))
            with open(good, "w") as f:
                f.write("port:\n  path: /dev/ttyUSB0\nrelays:\n  driver: log\n")
            with open(bad, "w") as f:
                f.write("port:\n  path: /dev/ttyUSB0\nrelays:\n  driver: log\nsettings:\n  vmni: 3V\n")
            answer = Answer("unused:", ["config", "check", good])
            self.assertEqual(OK, answer.status, answer.err)
            answer = Answer("unused:", ["config", "check", bad])
            self.assertEqual(REFUSED, answer.status)
            self.assertIn("bad.yaml:6:", answer.out + answer.err)


class WithDaemon(unittest.TestCase):
    period = 0.5

    def setUp(self):
        self.rig = harness.Rig(SMARTBMSD, cells=4, period=self.period, config=CONFIG)
        self.rig.__enter__()
        try:
            self.stream = self.rig.stream
            self.stream.mv = [3300, 3310, 3290, 3305]
            self.stream.degc = [20, 21, 19, 20]
            self.stream.fields = {"i_in": 10000, "i_out": 4000}
            self.rig.live()
        except BaseException:
            self.rig.__exit__(*sys.exc_info())
            raise

    def tearDown(self):
        self.rig.__exit__(None, None, None)

    def ask(self, *args, expect=OK, **options):
        answer = Answer(self.rig.bus.address, args, **options)
        self.assertEqual(expect, answer.status, f"{args}: {answer.err}{answer.out}")
        return answer

    def until(self, fact, what, timeout=15):
        end = time.monotonic() + timeout
        while not fact():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.1)


class Answers(WithDaemon):
    def test_status(self):
        s = self.ask("status", "--json").json()
        self.assertEqual("gateway", s["role"])
        self.assertEqual("live", s["link"]["link_state"])
        self.assertIs(False, s["link"]["link_data_stale"])
        self.assertLess(s["link"]["link_age_s"], 2)
        pack = s["pack"]
        # from the frames: sum and extremes of the cells, I-sum = I1 - I2
        volts = (3300 + 3310 + 3290 + 3305) / 1000
        self.assertAlmostEqual(volts, pack["pack_voltage_v"])
        self.assertEqual((3.29, 3, 3.31, 2), tuple(pack[k] for k in (
            "lowest_cell_voltage_v", "lowest_cell_voltage_cell", "highest_cell_voltage_v", "highest_cell_voltage_cell")))
        self.assertEqual((19.0, 3, 21.0, 2), tuple(pack[k] for k in (
            "lowest_cell_temperature_degc", "lowest_cell_temperature_cell", "highest_cell_temperature_degc",
            "highest_cell_temperature_cell")))
        self.assertEqual((10.0, 4.0, 6.0), (pack["current_in_a"], pack["current_out_a"], pack["current_a"]))
        self.assertAlmostEqual(volts * 6, pack["power_w"], delta=0.1)
        self.assertIsNone(s["soc"]["soc_percent"])  # S4: not known yet, so not 0
        self.assertEqual(1280, s["soc"]["soc_capacity_wh"])
        for relay in ("charge", "load"):
            self.assertIs(True, s["relays"][relay]["closed"])
            self.assertIsNone(s["relays"][relay]["confirmed"])  # P16: no feedback input
            self.assertNotEqual("", s["relays"][relay]["reason"])
        self.assertEqual([], [a for a in s["alarms"] if a["name"] in ("communication", "stale", "v-max", "v-min")])
        text = self.ask("status").out
        self.assertIn("commanded closed, not confirmed (no feedback input)", text)
        self.assertIn("unknown", text)

    def test_every_reading_verb_is_one_document(self):
        for args in (["status"], ["cells"], ["energy"], ["why", "charge"], ["why", "load"], ["get"], ["config", "diff"],
                     ["version"]):
            with self.subTest(args=args):
                document = self.ask(*args, "--json").json()
                self.assertIsInstance(document, dict)
                self.check_types(document)

    def check_types(self, value, key=""):
        """A key that ends with a unit has a number or null."""
        if isinstance(value, dict):
            for k, v in value.items():
                self.check_types(v, k)
        elif isinstance(value, list):
            for v in value:
                self.check_types(v)
        elif re.search(r"_(v|a|w|wh|degc|percent|s)$", key):
            self.assertTrue(value is None or type(value) in (int, float), f"{key}: {value!r}")

    def test_cells(self):
        self.until(lambda: all(c["age_s"] is not None for c in self.ask("cells", "--json").json()["cells"]),
                   "not every cell was heard")
        cells = self.ask("cells", "--json").json()["cells"]
        self.assertEqual([(1, 3.3, 20), (2, 3.31, 21), (3, 3.29, 19), (4, 3.305, 20)],
                         [(c["cell"], c["voltage_v"], c["temperature_degc"]) for c in cells])
        self.assertEqual(["green"] * 4, [c["colour"] for c in cells])
        self.assertEqual(5, self.ask("cells").out.count("\n"))
        self.assertIn("no other number of cells", self.ask("cells", "accept", expect=REFUSED).err)

    def test_energy(self):
        # 13.205 V x 10 A for a second: 0.0367 Wh
        self.until(lambda: self.ask("energy", "--json").json()["energy"]["energy_collected_total_wh"] > 0.03,
                   "nothing is counted", 30)
        energy = self.ask("energy", "--json").json()["energy"]
        self.assertIsNone(energy["energy_stored_wh"])  # no state of charge: unknown, not 0
        self.assertGreater(energy["energy_collected_today_wh"], energy["energy_consumed_today_wh"])
        self.assertIn("Collected", self.ask("energy").out)

    def test_soc_set(self):
        self.ask("soc", "set", "80.5%")
        soc = self.ask("status", "--json").json()["soc"]
        self.assertAlmostEqual(80.5, soc["soc_percent"], delta=0.1)
        self.assertIs(False, soc["soc_calibrated"])  # S4
        self.assertAlmostEqual(1280 * 0.805, self.ask("energy", "--json").json()["energy"]["energy_stored_wh"], delta=2)

    def test_settings(self):
        self.assertEqual("2.800 V\n", self.ask("get", "vmin").out)
        answer = self.ask("set", "vmin", "2.9V", "tmin", "-5C", "charge_restart", "90%")
        self.assertIn("vmin: 2.900 V, was 2.800 V", answer.out)
        self.assertIn("tmin: -5.0 degC, was 0.0 degC", answer.out)
        settings = self.ask("get", "--json").json()
        self.assertEqual((2.9, -5, 90, 1280, None), tuple(settings[k] for k in (
            "vmin_v", "tmin_degc", "charge_restart_percent", "capacity_wh", "inverter_peak_w")))
        self.assertEqual("board", settings["mode"])
        self.assertEqual({"vmin_v": {"value": 2.9, "config": 2.8}, "tmin_degc": {"value": -5, "config": 0},
                          "charge_restart_percent": {"value": 90, "config": 95}},
                         self.ask("config", "diff", "--json").json())
        self.assertIn("vmin                     2.900 V, config file 2.800 V", self.ask("config", "diff").out)
        self.ask("reset", "vmin", "tmin", "charge_restart")
        self.assertEqual("nothing differs from the config file\n", self.ask("config", "diff").out)
        self.assertIn("as before", self.ask("set", "vmin", "2800mV").out)
        self.ask("set", "capacity", "unset")
        self.assertEqual("unset\n", self.ask("get", "capacity").out)

    def test_settings_all_or_none(self):
        # Each may be, both together may not: V-min + hysteresis 3.600 V against V-max 3.500 V.
        answer = self.ask("set", "tmin", "5C", "vmin", "3.4V", "vmax", "3.5V", expect=REFUSED)
        self.assertIn("vmin", answer.err)
        self.assertEqual("nothing differs from the config file\n", self.ask("config", "diff").out)

    def test_recover_and_release_say_why_not(self):
        self.assertIn("series", self.ask("recover", "--minutes", "5", expect=REFUSED).err)
        self.assertIn("not held", self.ask("release", "load", expect=REFUSED).err)

    def test_a_stranger_may_look_but_not_change(self):
        if os.getuid() != 0:
            self.skipTest("needs root to become somebody else")
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        # The build directory may be closed to others: they get a copy.
        copy = os.path.join(self.rig.directory, "smartbmsctl")
        subprocess.run(["cp", SMARTBMSCTL, copy], check=True)
        os.chmod(copy, 0o755)

        def stranger(*args):
            return subprocess.run([copy, "--bus", self.rig.bus.address, *args], capture_output=True, text=True, cwd="/",
                                  timeout=10, **nobody)
        self.assertEqual("2.800 V\n", stranger("get", "vmin").stdout)
        with open(os.path.join(self.rig.directory, "import.yaml"), "w") as f:
            f.write("settings: {vmin: 2.9V}\n")
        for args in (["set", "vmin", "2.9V"], ["soc", "set", "50%"], ["reset", "vmin"], ["release", "load"],
                     ["recover", "--minutes", "1"], ["cells", "accept"], ["energy", "clear", "--yes"],
                     ["set", "pin", "4711"], ["settings", "confirm"],
                     ["settings", "import", os.path.join(self.rig.directory, "import.yaml")],
                     ["backup", f"/dev/shm/smartbms-test-{os.getpid()}"]):
            with self.subTest(args=args):
                run = stranger(*args)
                self.assertEqual(REFUSED, run.returncode)
                self.assertIn("group smartbms or root", run.stderr)
        self.assertEqual("2.800 V\n", self.ask("get", "vmin").out)
        self.assertFalse(os.path.exists(f"/dev/shm/smartbms-test-{os.getpid()}"))  # made, refused, and gone again

    def test_export_and_import(self):
        self.ask("set", "vmin", "2.9V", "tmin", "-5C", "mode", "critical", "capacity", "1.3kWh")
        path = os.path.join(self.rig.directory, "export.yaml")
        text = self.ask("settings", "export").out
        for line in ("  vmin: 2.900 V", "  tmin: -5.0 degC", "  mode: critical", "  capacity: 1300 Wh",
                     "  tmin_discharge: unset"):
            self.assertIn(line + "\n", text)
        self.ask("settings", "export", path)
        with open(path) as f:
            self.assertEqual(text, f.read())
        self.assertIn("File exists", self.ask("settings", "export", path, expect=REFUSED).err)
        before = self.ask("get", "--json").json()
        self.ask("reset", "vmin", "tmin", "mode", "capacity")
        self.ask("set", "tmin_discharge", "-3C")  # unset in the file
        out = self.ask("settings", "import", path).out
        self.assertIn("vmin: 2.900 V, was 2.800 V\n", out)
        self.assertIn("tmin_discharge: unset, was -3.0 degC\n", out)
        self.assertEqual(before, self.ask("get", "--json").json())
        # what the file does not name stays; what the daemon's own file has beside settings is left out
        with open(path, "w") as f:
            f.write("version: 1\nsettings:\n  vmin: 2.75V\nknown_cells: 9\npin_hash: \"$y$\"\nchecksum: 00000000\n")
        self.assertEqual("vmin: 2.750 V, was 2.900 V\n", self.ask("settings", "import", path).out)
        self.assertEqual({**before, "vmin_v": 2.75}, self.ask("get", "--json").json())
        # each may be, together they may not: nothing is changed
        with open(path, "w") as f:
            f.write("settings:\n  tmin: 5C\n  vmin: 3.4V\n  vmax: 3.5V\n")
        self.assertIn("vmin", self.ask("settings", "import", path, expect=REFUSED).err)
        self.assertEqual({**before, "vmin_v": 2.75}, self.ask("get", "--json").json())

    def test_why(self):
        self.stream.at_next_frame(mv=[3300, 3700, 3290, 3305])
        self.rig.daemon.relay("charge", "open", since=self.stream.last_time() - 1)
        self.until(lambda: not self.ask("why", "charge", "--json").json()["closed"], "still closed")
        why = self.ask("why", "charge", "--json").json()
        self.assertEqual(("charge", "V-max", 2, 3.7, 3.65),
                         tuple(why[k] for k in ("relay", "rule", "cell", "value_v", "limit_v")))
        holds = {h["hold"]: h for h in why["holds"]}
        self.assertEqual((2, 3.7, 3.65), tuple(holds["rule"][k] for k in ("cell", "value_v", "limit_v")))
        self.assertTrue(0 < holds["delay"]["remaining_s"] <= 60)
        text = self.ask("why", "charge").out
        self.assertIn("cell 2 at 3.700 V reached V-max 3.650 V", text)
        self.assertIn("commanded open", text)
        self.assertIn("restart delay: ", text)
        self.assertIs(True, self.ask("why", "load", "--json").json()["closed"])
        status = self.ask("status", "--json").json()
        self.assertIn("v-max", [a["name"] for a in status["alarms"]])
        self.assertIn(">Vh<", self.ask("watch", "--once", "--size", "80x24").out)
        self.until(lambda: self.ask("cells", "--json").json()["cells"][1]["colour"] == "red", "cell 2 is not red")

    def test_series_wiring_is_explained(self):
        self.ask("set", "wiring", "series")
        self.stream.at_next_frame(mv=[3300, 2750, 3290, 3305])
        self.until(lambda: not self.ask("why", "load", "--json").json()["closed"], "still closed")
        for relay in ("load", "charge"):
            self.assertIn("series", self.ask("why", relay).out)

    def test_stale(self):
        self.stream.change = lambda raw: None
        self.rig.daemon.both("open", since=self.stream.last_time())
        for args in (["status"], ["cells"], ["energy"], ["why", "charge"], ["watch", "--once"]):
            with self.subTest(args=args):
                answer = self.ask(*args, expect=STALE)
                self.assertIn("old", answer.out.lower() if args[0] != "why" else "old")
                if args[0] != "watch":
                    document = self.ask(*args, "--json", expect=STALE).json()
                    self.assertIsInstance(document, dict)
        s = self.ask("status", "--json", expect=STALE).json()
        self.assertEqual("stale", s["link"]["link_state"])
        self.assertIs(True, s["link"]["link_data_stale"])
        self.assertIs(False, s["relays"]["charge"]["closed"])
        self.ask("get")  # settings do not age
        self.stream.change = lambda raw: raw
        self.until(lambda: Answer(self.rig.bus.address, ["status"]).status == OK, "does not recover")

    def test_daemon_hangs(self):
        self.rig.daemon.process.send_signal(signal.SIGSTOP)
        try:
            answer = self.ask("status", expect=NO_DAEMON)
            self.assertIn("does not answer", answer.err)
            self.assertLess(answer.seconds, 1.5)
        finally:
            self.rig.daemon.process.send_signal(signal.SIGCONT)

    def test_monitor(self):
        lines = self.ask("monitor", "--count", "3").out.splitlines()
        documents = [json.loads(line) for line in lines]
        self.assertEqual(3, len(documents))
        serials = [d["counters"]["counter_snapshots"] for d in documents]
        self.assertEqual(sorted(set(serials)), serials)
        self.assertTrue(all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", d["time"]) for d in documents))
        status = self.ask("status", "--json").json()
        self.assertEqual(set(status) | {"time"}, set(documents[0]))

    def test_monitor_ends_with_the_daemon(self):
        run = subprocess.Popen([SMARTBMSCTL, "--bus", self.rig.bus.address, "monitor"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        self.assertTrue(run.stdout.readline().startswith("{"))
        self.rig.daemon.stop()
        out, err = run.communicate(timeout=10)
        self.assertEqual(NO_DAEMON, run.returncode)
        self.assertIn("smartbmsd is not running", err)
        for line in out.splitlines():
            json.loads(line)

    def test_version(self):
        self.assertEqual(2, self.ask("version").out.count("\n"))


class Terminal:
    """smartbmsctl watch on a pseudo terminal, and what an 8-bit-clean VT100 would show of it."""

    def __init__(self, address, rows=24, columns=80, **env):
        self.rows, self.columns = rows, columns
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.raw = b""
        self.alternate = False
        self.cursor_shown = True
        self.process = subprocess.Popen([SMARTBMSCTL, "--bus", address, "watch"], stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                        env=environment(TERM="vt100", **env))
        self.clear()

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.rows, self.columns = rows, columns

    def clear(self):
        self.cells = [[" "] * self.columns for _ in range(self.rows)]
        self.row = self.column = 0

    def sequence(self, parameters, final):
        if final == "H":
            self.row, self.column = (int(p or 1) - 1 for p in (parameters.split(";") + ["1", "1"])[:2])
        elif final == "J":
            assert parameters == "2", parameters
            self.clear()
        elif final in "hl" and parameters == "?1049":
            self.alternate = final == "h"
        elif final in "hl" and parameters == "?25":
            self.cursor_shown = final == "h"
        else:
            assert final == "m", f"unknown sequence {parameters}{final}"

    def feed(self, data):
        self.raw += data
        text = self.raw.decode("utf-8", "strict") if self.complete() else ""
        if not text:
            return
        self.raw = b""
        for m in re.finditer(r"\x1b\[([?\d;]*)([A-Za-z])|\r?\n|(.)", text, re.S):
            if m[2]:
                self.sequence(m[1], m[2])
            elif m[3]:
                assert m[3] >= " ", f"control character {m[3]!r}"
                assert self.row < self.rows and self.column < self.columns, "written beyond the screen"
                self.cells[self.row][self.column] = m[3]
                self.column += 1

    def complete(self):
        """No sequence or character is cut at the end."""
        try:
            text = self.raw.decode()
        except UnicodeDecodeError:
            return False
        return not re.search(r"\x1b(\[[?\d;]*)?$", text)

    def pump(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.feed(os.read(self.master, 65536))
                except OSError:
                    return

    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.cells)

    def wait(self, part, timeout=8, gone=False):
        end = time.monotonic() + timeout
        while (part in self.text()) == gone:
            assert time.monotonic() < end, f"{part!r} is {'still' if gone else 'not'} on the screen:\n{self.text()}"
            self.pump(0.05)

    def type(self, keys):
        os.write(self.master, keys)

    def end(self, timeout=5):
        """The exit status, once the process has ended and its output was read."""
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < end, "watch does not end"
            self.pump(0.05)
        self.pump(0.2)
        return self.process.returncode

    def restored(self):
        return not self.alternate and self.cursor_shown and termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class Watch(WithDaemon):
    def terminal(self, **options):
        t = Terminal(self.rig.bus.address, **options)
        self.addCleanup(t.close)
        t.wait("link live")
        return t

    def test_shows_the_pack_and_quits(self):
        t = self.terminal()
        self.assertTrue(t.alternate)
        self.assertFalse(t.cursor_shown)
        t.wait("4 3.305G  20.0")
        text = t.text()
        for part in ("4 of 4 cells", "E   Vh   Vl   Th   Tl", "132 W of 500 W  10.0 A", "3.290 to 3.310 V, 20 mV apart",
                     "commanded closed, not confirmed", "1 3.300G  20.0", "2 3.310G  21.0", "q quit"):
            self.assertIn(part, text)
        t.type(b"q")
        self.assertEqual(0, t.end())
        self.assertTrue(t.restored())

    def test_moves_with_the_pack(self):
        t = self.terminal()
        t.wait("2 3.310G")
        self.stream.at_next_frame(mv=[3300, 3700, 3290, 3305])
        t.wait(">Vh<")
        t.wait("2 3.700H")
        t.wait("reached V-max 3.650 V")
        self.stream.change = lambda raw: None
        t.wait("OLD READINGS")
        self.stream.change = lambda raw: raw
        t.wait("OLD READINGS", gone=True)

    def test_the_daemon_goes_and_comes_back(self):
        t = self.terminal()
        self.rig.daemon.stop()
        t.wait("smartbmsd is not running")
        self.assertNotIn("3.300", t.text())
        self.rig.daemon = harness.Daemon(SMARTBMSD, self.rig.directory, self.rig.bus.address, CONFIG)
        t.wait("link live", timeout=20)
        self.rig.bus.stop()
        t.wait("smartbmsd is not running")
        self.rig.bus.start()
        t.wait("link live", timeout=20)

    def test_signals_restore_the_terminal(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(signal=number):
                t = self.terminal()
                t.process.send_signal(number)
                self.assertEqual(0, t.end())
                self.assertTrue(t.restored())
        t = self.terminal()
        t.type(b"\x03")
        self.assertEqual(0, t.end())
        self.assertTrue(t.restored())

    def test_a_crash_restores_the_terminal(self):
        for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS):
            with self.subTest(signal=number):
                t = self.terminal()
                t.process.send_signal(number)
                self.assertEqual(-number, t.end())
                self.assertTrue(t.restored())

    def test_suspend_and_continue(self):
        t = self.terminal()
        t.process.send_signal(signal.SIGTSTP)
        end = time.monotonic() + 5
        while True:
            with open(f"/proc/{t.process.pid}/stat") as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "T":
                    break
            self.assertLess(time.monotonic(), end, "does not stop")
            time.sleep(0.05)
        t.pump(0.2)
        self.assertTrue(t.restored())
        t.process.send_signal(signal.SIGCONT)
        t.pump(0.5)
        t.wait("link live")
        self.assertTrue(t.alternate)
        t.type(b"q")
        self.assertEqual(0, t.end())
        self.assertTrue(t.restored())

    def test_resize(self):
        t = self.terminal()
        for rows, columns in ((50, 160), (10, 40), (24, 80)):
            t.resize(rows, columns)
            t.process.send_signal(signal.SIGWINCH)
            t.pump(0.3)
            t.wait("smartbms")
            self.assertIn("q quit", t.text().splitlines()[rows - 1])

    def test_no_colour(self):
        for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
            with self.subTest(env=env):
                t = Terminal(self.rig.bus.address, **env)
                self.addCleanup(t.close)
                seen = []
                t.sequence = lambda p, f, t=t, inner=t.sequence: (seen.append(p) if f == "m" else None, inner(p, f))
                t.wait("G  20.0")
                self.assertEqual(coloured, any(re.search(r"(^|;)3\d(;|$)", p) for p in seen), seen)

    def test_ascii_where_there_is_no_utf8(self):
        run = subprocess.run([SMARTBMSCTL, "--bus", self.rig.bus.address, "watch", "--once", "--size", "80x24"],
                             capture_output=True, env={**environment(), "LC_ALL": "C"})
        self.assertEqual(0, run.returncode)
        self.assertTrue(run.stdout.isascii())
        self.assertNotIn(b"\x1b", run.stdout)
        lines = run.stdout.decode().split("\n")
        self.assertEqual(24 + 1, len(lines))
        self.assertLessEqual(max(map(len, lines)), 80)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
