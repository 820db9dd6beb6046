# SPDX-License-Identifier: MIT
"""Two packs on one bus: each has its own name, settings and memory, and one that fails leaves the other alone.

Usage: test-packs.py SMARTBMSD SMARTBMSCTL BUS-POLICY"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import client
import harness

if len(sys.argv) != 4:
    sys.exit(__doc__)
SMARTBMSD, SMARTBMSCTL, POLICY = (os.path.abspath(p) for p in sys.argv[1:4])

OK, REFUSED, USAGE, NO_DAEMON, STALE = range(5)
BAD_CONFIG = 78
LONGEST = "abcdefghijklmnopqrstuvwxyz_ABC09"
BAD_NAMES = ["", "smartbms", LONGEST + "x", "my-pack", "a.b", "a b", "../smartbms", "häuser", "a\n", "a\\x2db"]


def ctl(address, *args):
    return subprocess.run([SMARTBMSCTL, "--bus", address, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=30, env={**os.environ, "LC_ALL": "C.UTF-8"})


class Pack:
    """A pack's stream and daemon, with a directory of its own; ends with the block."""

    def __init__(self, bus, name=None, config=""):
        self.bus, self.name = bus, name
        self.directory = tempfile.mkdtemp(prefix="smartbms-test-")
        self.stream = harness.Stream(self.directory, 4, 0.5)
        self.config = "cells: 4\nsettings:\n  capacity: 1280Wh\n" + config
        self.start()

    def start(self):
        args = ["--state", os.path.join(self.directory, "state")] + (["--pack", self.name] if self.name else [])
        self.daemon = harness.Daemon(SMARTBMSD, self.directory, self.bus.address, self.config, args=args)

    def settings(self):
        """What is stored of them; a first change makes the file."""
        path = os.path.join(self.directory, "state", "settings.yaml")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as f:
            return f.read()

    def __enter__(self):
        self.stream.start()
        self.daemon.both("closed", timeout=30)
        return self

    def __exit__(self, *exc):
        self.stream.stop()
        self.daemon.stop()
        if exc[0] is not None:
            print(f"-- {self.name}:\n" + self.daemon.text(), file=sys.stderr)
        shutil.rmtree(self.directory)


class Names(unittest.TestCase):
    """Found out before anything is read or asked."""

    def test_bad_ones_are_refused_by_both(self):
        for name in BAD_NAMES:
            for program, more in ((SMARTBMSD, ["--check-config"]), (SMARTBMSD, []),
                                  (SMARTBMSCTL, ["--bus", "unix:path=/nonexistent/bus", "status"])):
                with self.subTest(name=name, program=os.path.basename(program)):
                    run = subprocess.run([program, "--pack", name, *more], capture_output=True, text=True, timeout=30)
                    self.assertEqual(USAGE, run.returncode, run.stderr)
                    self.assertIn(f"--pack {name}: expected 1 to 32 letters, digits and '_', and not smartbms", run.stderr)
                    self.assertEqual("", run.stdout)

    def test_each_has_its_config(self):
        for name, path in (("default", "/etc/smartbms/smartbms.yaml"), (LONGEST, f"/etc/smartbms/{LONGEST}.yaml"),
                           ("Default", "/etc/smartbms/Default.yaml")):
            if os.path.exists(path):
                self.skipTest(f"{path} is there")
            run = subprocess.run([SMARTBMSD, "--pack", name, "--check-config"], capture_output=True, text=True, timeout=30)
            self.assertEqual(1, run.returncode)
            self.assertIn(path, run.stderr)
            self.assertEqual(BAD_CONFIG, subprocess.run([SMARTBMSD, "--pack", name], capture_output=True,
                                                        timeout=30).returncode)
            run = subprocess.run([SMARTBMSCTL, "--pack", name, "config", "check"], capture_output=True, text=True,
                                 timeout=30, env={**os.environ, "PATH": os.path.dirname(SMARTBMSD) + ":/usr/bin"})
            self.assertEqual(REFUSED, run.returncode)
            self.assertIn(path, run.stderr)

    def test_packs_is_about_all(self):
        run = ctl("unix:path=/nonexistent/bus", "--pack", "house", "packs")
        self.assertEqual(USAGE, run.returncode)
        self.assertIn("leave out --pack", run.stderr)


class Together(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="smartbms-test-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.bus = harness.PrivateBus(self.directory).start()
        self.addCleanup(self.bus.stop)

    def ctl(self, *args, expect=OK):
        run = ctl(self.bus.address, *args)
        self.assertEqual(expect, run.returncode, f"{args}: {run.stderr}{run.stdout}")
        return run

    def packs(self, expect=OK):
        return {p.pop("pack"): p for p in json.loads(self.ctl("packs", "--json", expect=expect).stdout)}

    def until(self, fact, what, timeout=15):
        end = time.monotonic() + timeout
        while not fact():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.1)

    def test_shown_and_told_apart(self):
        self.assertIn("for no pack", self.ctl("packs", expect=NO_DAEMON).stderr)
        with Pack(self.bus, "house") as house, Pack(self.bus) as first, Pack(self.bus, "Boat"):
            house.stream.mv = [3400, 3405, 3400, 3405]
            names = [str(n) for n in client.Client(self.bus.address).connection.list_names()]
            self.assertEqual({"org.smartbms1", "org.smartbms1.pack_house", "org.smartbms1.pack_Boat"},
                             {n for n in names if "smartbms" in n})
            self.until(lambda: b"13.61 V" in self.ctl("--pack", "house", "status").stdout.encode(), "house is not heard")
            self.assertIn("13.21 V", self.ctl("status").stdout)  # 3.300 + 3.305 + 3.300 + 3.305 V
            self.assertIn("13.21 V", self.ctl("--pack", "default", "status").stdout)

            rows = self.ctl("packs").stdout.splitlines()
            self.assertEqual(["PACK", "default", "Boat", "house"], [row.split()[0] for row in rows])
            for row in rows[1:]:
                self.assertEqual(["live", "unknown", "closed?", "closed?"], row.split()[1:5])
            packs = self.packs()
            self.assertEqual(["default", "Boat", "house"], list(packs))
            for p in packs.values():
                self.assertEqual(("live", None, None), (p["link_state"], p["soc_percent"], p["error"]))
                self.assertEqual((True, None), (p["relays"]["charge"]["closed"], p["relays"]["load"]["confirmed"]))

            self.ctl("--pack", "house", "set", "vmax", "3.55V")
            self.assertIn("3.550 V", self.ctl("--pack=house", "get", "vmax").stdout)
            self.assertIn("3.650 V", self.ctl("get", "vmax").stdout)
            self.assertIn("vmax: 3.550 V", house.settings())
            self.assertNotIn("vmax: 3.550 V", first.settings())
            self.assertIn("for pack cellar (start it: systemctl start smartbmsd@cellar",
                          self.ctl("--pack", "cellar", "status", expect=NO_DAEMON).stderr)

    def test_one_hangs_then_dies(self):
        with Pack(self.bus) as first, Pack(self.bus, "house") as house:
            began = harness.now()
            house.daemon.process.send_signal(signal.SIGSTOP)
            packs = self.packs(expect=NO_DAEMON)
            self.assertEqual("smartbmsd does not answer", packs["house"]["error"])
            self.assertEqual("live", packs["default"]["link_state"])
            self.assertIn("does not answer", self.ctl("packs", expect=NO_DAEMON).stdout)
            house.daemon.process.kill()
            house.daemon.process.wait()
            self.until(lambda: list(self.packs()) == ["default"], "the dead one is still shown")
            self.assertIn("for pack house", self.ctl("--pack", "house", "status", expect=NO_DAEMON).stderr)
            self.ctl("status")

            house.daemon.stop()
            house.start()
            house.daemon.both("closed", timeout=30)
            self.assertEqual({"default": "live", "house": "live"}, {n: p["link_state"] for n, p in self.packs().items()})
            self.assertFalse(first.daemon.has_line(r"relay opens", since=began))

    def test_one_loses_its_port(self):
        with Pack(self.bus) as first, Pack(self.bus, "house") as house:
            at = house.stream.unplug()
            for relay in ("charge", "load"):
                self.assertLess(house.daemon.relay(relay, "open", since=at) - at, 1.0)  # design 12
            packs = self.packs(expect=STALE)
            self.assertEqual(("live", True), (packs["default"]["link_state"], packs["default"]["relays"]["load"]["closed"]))
            self.assertEqual(False, packs["house"]["relays"]["load"]["closed"])
            self.assertNotEqual("live", packs["house"]["link_state"])
            self.assertFalse(first.daemon.has_line(r"relay opens", since=at))
            house.stream.plug()
            house.daemon.both("closed", since=harness.now(), timeout=30)

    def test_both_want_one_port(self):
        """The second waits for it, and says why."""
        with Pack(self.bus) as first:
            thief = Pack(self.bus, "house")
            try:
                thief.daemon.stop()
                os.unlink(thief.stream.link)
                os.symlink(os.path.realpath(first.stream.link), thief.stream.link)
                began = harness.now()
                thief.start()
                thief.daemon.wait_line(r"cannot be opened: in use by another program")
                time.sleep(2)
                self.assertFalse(first.daemon.has_line(r"relay opens", since=began))
            finally:
                thief.daemon.stop()
                shutil.rmtree(thief.directory)


OWN = """
import sys, dbus, dbus.bus
connection = dbus.bus.BusConnection(sys.argv[1])
for name in sys.argv[2:]:
    try:
        connection.request_name(name, 4)
        print("owned", name)
    except dbus.DBusException as e:
        print(e.get_dbus_name().rsplit(".", 1)[-1], name)
"""


@unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
class Policy(Together):
    """The bus policy as it is installed, on a bus that allows nothing by itself, as the system bus does."""

    SYSTEM = """<busconfig>
      <type>system</type>
      <listen>unix:path={path}</listen>
      <auth>EXTERNAL</auth>
      <policy context="default">
        <allow user="*"/><deny own="*"/><deny send_type="method_call"/>
        <allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
        <allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
        <allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
        <allow send_destination="org.freedesktop.DBus"/>
      </policy>
      <include>{policy}</include>
    </busconfig>
    """
    NOBODY = 65534

    test_shown_and_told_apart = test_one_hangs_then_dies = test_one_loses_its_port = test_both_want_one_port = None

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="smartbms-test-")
        self.addCleanup(shutil.rmtree, self.directory)
        os.chmod(self.directory, 0o755)
        with open(POLICY, encoding="utf-8") as f:
            text = f.read()
        self.assertIn('<policy user="smartbms">', text)
        policy = os.path.join(self.directory, "policy.conf")
        with open(policy, "w", encoding="utf-8") as f:  # there need be no such user on this machine
            f.write(text.replace('user="smartbms"', 'user="daemon"'))
        self.bus = harness.PrivateBus(self.directory)
        with open(self.bus.config, "w", encoding="utf-8") as f:
            f.write(self.SYSTEM.format(path=self.bus.path, policy=policy))
        self.bus.start()
        self.addCleanup(self.bus.stop)

    def own(self, uid, *names):
        run = subprocess.run([sys.executable, "-c", OWN, self.bus.address, *names], user=uid, group=uid, extra_groups=[],
                             check=True, stdout=subprocess.PIPE, text=True, cwd="/")
        return run.stdout.split("\n")[:-1]

    def test_who_may_be_called_so(self):
        ours = ["org.smartbms1", "org.smartbms1.pack_house"]
        others = ["org.smartbms12", "org.smartbms", "org.example.Other"]
        self.assertEqual([f"AccessDenied {n}" for n in ours + others], self.own(self.NOBODY, *ours, *others))
        for uid in (pwd.getpwnam("daemon").pw_uid, 0):
            self.assertEqual([f"owned {n}" for n in ours] + [f"AccessDenied {n}" for n in others],
                             self.own(uid, *ours, *others), uid)

    def test_everybody_may_look(self):
        smartbmsctl = shutil.copy(SMARTBMSCTL, self.directory)  # it may have been built where nobody may look
        with Pack(self.bus), Pack(self.bus, "house"):
            for args in (["packs"], ["status"], ["--pack", "house", "status"], ["--pack", "house", "history"]):
                run = subprocess.run([smartbmsctl, "--bus", self.bus.address, *args], user=self.NOBODY, group=self.NOBODY,
                                     extra_groups=[], capture_output=True, text=True, timeout=30)
                self.assertEqual(OK, run.returncode, f"{args}: {run.stderr}")
            run = subprocess.run([smartbmsctl, "--bus", self.bus.address, "--pack", "house", "set", "vmax", "3.5V"],
                                 user=self.NOBODY, group=self.NOBODY, extra_groups=[], capture_output=True, text=True,
                                 timeout=30)
            self.assertEqual(REFUSED, run.returncode)
            self.assertIn("group smartbms", run.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
