# SPDX-License-Identifier: MIT
"""smartbmsctl and what is kept: history, days, events, storage, backup, changes that are not stored. Against a stand-in
for smartbmsd (fake-daemon.py), whose rows are known exactly and whose card can be in trouble.

Usage: test-records.py SMARTBMSCTL FAKE"""

import csv
import io
import json
import os
import pty
import select
import stat
import subprocess
import sys
import tempfile
import time
import unittest

import harness

try:
    import dbus  # noqa: F401, the stand-in needs it
    from gi.repository import GLib  # noqa: F401
except ImportError as e:
    harness.skip(f"{e}; it is in python3-dbus and python3-gi")

SMARTBMSCTL, FAKE = (os.path.abspath(p) for p in sys.argv[1:3])
OK, REFUSED, USAGE, NO_DAEMON, STALE, NOT_STORED = range(6)
ZONE = "CET-1CEST,M3.5.0,M10.5.0/3"
DAY = ("--from", "2026-11-26", "--to", "2026-11-26")


class Records(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="smartbms-test-")
        self.addCleanup(self.directory.cleanup)
        self.bus = harness.PrivateBus(self.directory.name).start()
        self.addCleanup(self.bus.stop)
        self.fake = subprocess.Popen([sys.executable, FAKE, self.bus.address], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, preexec_fn=harness.end_with_parent)
        self.addCleanup(self.end_fake)
        self.assertEqual("ready\n", self.fake.stdout.readline())

    def end_fake(self):
        self.fake.stdin.close()
        self.fake.wait(10)
        self.fake.stdout.close()

    def tell(self, command):
        self.fake.stdin.write(command + "\n")
        self.fake.stdin.flush()
        while self.fake.stdout.readline() != "ok\n":
            pass

    def env(self):
        return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": ZONE, "NO_COLOR": "1"}

    def ask(self, *args, expect=OK, **options):
        run = subprocess.run([SMARTBMSCTL, "--bus", self.bus.address, *args], capture_output=True, text=True,
                             timeout=30, env=self.env(), cwd=self.directory.name,
                             **{"stdin": subprocess.DEVNULL, **options})
        self.assertEqual(expect, run.returncode, f"{args}: {run.stderr}{run.stdout}")
        return run

    # ---- history ----

    def test_history_json(self):
        document = json.loads(self.ask("history", *DAY, "--resolution", "minutes", "--json").stdout)
        self.assertEqual(("minutes", "2026-11-25T23:00:00.000Z", "2026-11-26T23:00:00.000Z"),
                         tuple(document[k] for k in ("resolution", "from", "until")))
        rows = document["rows"]
        self.assertEqual(1440, len(rows))  # more than one answer holds; none lost or twice where they meet
        self.assertEqual(sorted({r["time"] for r in rows}), [r["time"] for r in rows])
        self.assertEqual({
            "time": "2026-11-25T23:01:00.000Z", "length_s": 60, "covered_s": 60, "soc_percent": 50.01,
            "power_w": -99.999, "pack_voltage_v": 13.2, "lowest_cell_voltage_v": 3.3, "highest_cell_voltage_v": 3.31,
            "lowest_cell_temperature_degc": 19.5, "highest_cell_temperature_degc": 21, "energy_collected_wh": 0.001,
            "energy_consumed_wh": 0.002, "energy_charged_wh": 0.003, "energy_discharged_wh": 0.004}, rows[1])
        self.assertEqual((0, None, None), tuple(rows[2][k] for k in ("covered_s", "soc_percent", "power_w")))

    def test_history_csv_is_the_same(self):
        text = self.ask("history", *DAY, "--resolution", "hours", "--csv").stdout
        rows = list(csv.DictReader(io.StringIO(text)))
        documents = json.loads(self.ask("history", *DAY, "--resolution", "hours", "--json").stdout)["rows"]
        self.assertEqual(24, len(rows))
        self.assertEqual(list(documents[0]), list(rows[0]))
        for row, document in zip(rows, documents):
            for key, value in document.items():
                if key == "time":
                    self.assertEqual(value, row[key])
                else:
                    self.assertEqual(value, float(row[key]) if row[key] else None, key)

    def test_history_by_days(self):
        args = ("history", "--from", "2026-03-29", "--to", "2026-03-30", "--resolution", "days", "--json")
        rows = json.loads(self.ask(*args).stdout)["rows"]
        self.assertEqual([("2026-03-29", 23 * 3600), ("2026-03-30", 24 * 3600)],
                         [(r["date"], r["length_s"]) for r in rows])

    def test_history_is_drawn(self):
        lines = self.ask("history", *DAY, "--resolution", "minutes", "--size", "80x23").stdout.splitlines()
        self.assertEqual(23, len(lines))
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertEqual("2026-11-26 00:00 to 2026-11-27 00:00, by minutes", lines[0])
        for n, start in ((1, "State of charge: "), (8, "Power into the battery: "), (15, "Lowest to highest cell: 3.300")):
            self.assertTrue(lines[n].startswith(start), lines[n])
        self.assertIn("26 Nov   03:00    06:00", lines[22])
        self.assertTrue(any("\u2800" < c <= "\u28ff" for c in "".join(lines[2:8])))
        ascii_lines = subprocess.run([SMARTBMSCTL, "--bus", self.bus.address, "history", *DAY], capture_output=True,
                                     env={**self.env(), "LC_ALL": "C", "LINES": "30", "COLUMNS": "100"}).stdout
        self.assertTrue(ascii_lines.isascii())
        self.assertEqual(29, ascii_lines.count(b"\n"))

    def test_history_of_a_time_before_all(self):
        args = ("--from", "2026-01-01", "--to", "2026-01-03", "--resolution", "hours")
        self.assertIn("no history", self.ask("history", *args).stdout)
        self.assertEqual([], json.loads(self.ask("history", *args, "--json").stdout)["rows"])
        self.tell("unreadable")
        self.assertIn("cannot be read", self.ask("history", *args, expect=REFUSED).stderr)

    # ---- energy ----

    def test_days(self):
        days = json.loads(self.ask("energy", "--days", "3", "--json").stdout)["days"]
        self.assertEqual(["2026-03-31", "2026-04-01", "2026-04-02"], [d["date"] for d in days])
        self.assertEqual([False, False, True], [d["today"] for d in days])
        text = self.ask("energy", "--days", "5").stdout.splitlines()
        self.assertEqual(7, len(text))  # a heading, five days, their sum
        self.assertRegex(text[1], r"^2026-03-29 +0 Wh +0 Wh +0 Wh +0 Wh  3\.300 to 3\.310 V +50\.0 %")
        self.assertTrue(text[5].startswith("today"))

    def test_clear_asks(self):
        self.assertIn("--yes", self.ask("energy", "clear", expect=USAGE).stderr)
        self.ask("energy", "clear", "--yes")
        self.assertEqual("cleared\n", self.fake.stdout.readline())
        for answer, expected in ((b"no\n", REFUSED), (b"y\n", REFUSED), (b"\x04", REFUSED), (b"yes\n", OK)):
            with self.subTest(answer=answer):
                master, slave = pty.openpty()
                try:
                    os.write(master, answer)
                    run = self.ask("energy", "clear", stdin=slave, expect=expected)
                    self.assertIn("Type yes", run.stdout)
                finally:
                    os.close(master)
                    os.close(slave)
        self.tell("readable")  # nothing but the last one's "cleared" comes before its "ok"

    # ---- events ----

    def test_events(self):
        for text in ("one", "two", "three"):
            self.tell("event " + text)
        events = json.loads(self.ask("events", "--json").stdout)["events"]
        self.assertEqual([(1, "one"), (2, "two"), (3, "three")], [(e["id"], e["text"]) for e in events])
        self.assertEqual(("vmin", "2.800 V", "2.900 V", "uid 7 over D-Bus"),
                         tuple(events[0][k] for k in ("key", "before", "after", "by")))
        self.assertEqual("2026-11-25T23:00:01.000Z", events[0]["time"])
        self.assertIsNone(events[1]["time"])
        self.assertEqual(("V-max", 3, 3.655, 3.65), tuple(events[2][k] for k in ("rule", "cell", "value_v", "limit_v")))
        self.assertNotIn("value_v", events[1])
        lines = self.ask("events", "--count", "2").stdout.splitlines()
        self.assertRegex(lines[0], r"^boot\+\d+:\d\d:\d\d +alarm-raised +two$")  # its boot never knew the time
        self.assertEqual("2026-11-26 00:00:03  alarm-raised        three", lines[1])
        self.assertIn("(uid 7 over D-Bus)", self.ask("events").stdout.splitlines()[0])

    def test_events_from_memory(self):
        self.tell("event one")
        self.tell("unreadable")
        run = self.ask("events", "--json")
        self.assertEqual([(None, None, "one")],
                         [(e["id"], e["time"], e["text"]) for e in json.loads(run.stdout)["events"]])
        self.assertIn("cannot be read", run.stderr)
        self.assertIn("memory", run.stderr)

    def follow(self, *args):
        run = subprocess.Popen([SMARTBMSCTL, "--bus", self.bus.address, "events", "--follow", *args],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.env())
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        return run

    def lines(self, run, n, quiet=0.0, timeout=10):
        """Reads n lines, and sees to it that no further one comes in `quiet` seconds."""
        end, data = time.monotonic() + timeout, b""
        while data.count(b"\n") < n:
            self.assertLess(time.monotonic(), end, data)
            if select.select([run.stdout], [], [], 0.1)[0]:
                data += os.read(run.stdout.fileno(), 65536)
        while select.select([run.stdout], [], [], quiet)[0]:
            more = os.read(run.stdout.fileno(), 65536)
            if not more:
                break
            data += more
        self.assertEqual(n, data.count(b"\n"), data)
        return data.decode().splitlines()

    def test_follow(self):
        self.tell("event before")
        run = self.follow("--json")
        self.assertEqual("before", json.loads(self.lines(run, 1)[0])["text"])
        self.tell("event one")
        self.tell("event two")
        found = [json.loads(line) for line in self.lines(run, 2, quiet=1)]
        self.assertEqual([(2, "one"), (3, "two")], [(e["id"], e["text"]) for e in found])
        # a row that is late: told without its number after a while, and not again
        self.tell("event late x")
        late = json.loads(self.lines(run, 1)[0])
        self.assertEqual((None, "late"), (late["id"], late["text"]))
        self.tell("rows")
        self.tell("event after")
        after = json.loads(self.lines(run, 1, quiet=1)[0])
        self.assertEqual((5, "after"), (after["id"], after["text"]))

    def test_follow_with_a_card_in_trouble(self):
        self.tell("event before")
        self.tell("unreadable")
        run = self.follow()
        self.assertIn("before", self.lines(run, 1, quiet=0.5)[0])
        self.tell("event during")
        self.assertIn("during", self.lines(run, 1, quiet=0.5)[0])
        self.tell("readable")
        self.tell("event after")
        self.assertIn("after", self.lines(run, 1, quiet=2.5)[0])

    def test_follow_ends_with_the_daemon(self):
        run = self.follow()
        time.sleep(0.5)
        self.bus.process.terminate()
        self.assertEqual(NO_DAEMON, run.wait(10))

    # ---- storage, backup ----

    def test_storage(self):
        s = json.loads(self.ask("storage", "--json").stdout)
        self.assertEqual((True, 12345678, 4096, 7200, 1000000, 150, 23, 1, 2), tuple(s[k] for k in (
            "open", "file_bytes", "wal_bytes", "run_s", "written_bytes", "syncs", "commit_age_s", "queued_events",
            "queued_minutes")))
        self.assertEqual((12_000_000, 1800), (s["written_bytes_per_day"], s["syncs_per_day"]))  # two hours: twelve times
        text = self.ask("storage").stdout
        for part in ("/var/lib/smartbms/smartbms.db", "being written", "12.3 MB", "12.0 MB and 1800 syncs a day"):
            self.assertIn(part, text)

    def test_backup(self):
        path = os.path.join(self.directory.name, "copy.db")
        self.assertEqual("copy.db: 1.6 kB\n", self.ask("backup", "copy.db").stdout)
        self.assertEqual((1600, 0o600), (os.stat(path).st_size, stat.S_IMODE(os.stat(path).st_mode)))
        self.assertIn("File exists", self.ask("backup", "copy.db", expect=REFUSED).stderr)  # and it is not touched
        self.assertEqual(1600, os.stat(path).st_size)
        self.assertIn("cannot create", self.ask("backup", "no/such/place", expect=REFUSED).stderr)
        self.tell("unreadable")
        self.assertIn("No space left", self.ask("backup", "half.db", expect=REFUSED).stderr)
        self.assertFalse(os.path.exists(os.path.join(self.directory.name, "half.db")))

    # ---- changes ----

    def test_not_stored(self):
        self.tell("notstored")
        for args in (["energy", "clear", "--yes"], ["set", "pin", "4711"], ["settings", "confirm"]):
            with self.subTest(args=args):
                run = self.ask(*args, expect=NOT_STORED)
                self.assertEqual("smartbmsctl: applied, not stored: the card did not take it in time\n", run.stderr)
                self.assertEqual("", run.stdout)

    def test_pin(self):
        run = self.ask("set", "pin", "12345678")
        self.assertNotIn("12345678", run.stdout + run.stderr)
        self.assertEqual("pin 12345678\n", self.fake.stdout.readline())
        self.ask("settings", "confirm")
        self.assertEqual("confirmed\n", self.fake.stdout.readline())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
