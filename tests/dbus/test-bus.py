# SPDX-License-Identifier: MIT
"""A bus that is late, that goes and comes back, or that is there and does not answer: the relays do not care."""

import os
import signal
import sys
import time
import unittest

import client
import harness

PROGRAM = sys.argv[1]


class Bus(unittest.TestCase):
    def test_comes_after_the_daemon(self):
        with harness.Rig(PROGRAM, bus=False) as rig:
            rig.live()  # the relays close without any bus
            rig.bus.start()
            c = client.Client(rig.bus.address)
            started = harness.now()
            c.wait_name(5)
            self.assertLess(harness.now() - started, 2.5)  # tried every second
            self.assertTrue(c.get("Relays", "LoadClosed"))
            self.assertIn("relay-closed", [kind for _, kind, _ in c.call("Events", "Recent")])

    def test_goes_and_comes_back(self):
        with harness.Rig(PROGRAM) as rig:
            client.Client(rig.bus.address).wait_name()
            rig.live()
            started = harness.now()
            rig.bus.stop()
            rig.daemon.wait_line("D-Bus connection is gone", since=started)
            time.sleep(2.5)
            rig.bus.start()
            c = client.Client(rig.bus.address)
            c.wait_name(5)
            self.assertTrue(c.get("Relays", "ChargeClosed"))
            c.set(vmin="2.90V")  # callers are looked up on the new connection
            self.assertEqual(2900, c.get("Settings", "Values")["vmin"])
            self.assertFalse(rig.daemon.has_line("relay opens", since=started))

    def test_bad_address_is_an_error(self):
        with harness.Rig(PROGRAM) as rig:
            for address in ("somewhere", "tcp:host=localhost,port=1"):  # a look-up of a host would wait
                bad = harness.Daemon(PROGRAM, rig.directory, address, name="other.yaml")
                try:
                    self.assertEqual(1, bad.process.wait(5))
                finally:
                    bad.stop()
                self.assertIn(address, bad.text())

    def stopped_bus(self, then):
        """With dbus-daemon stopped for 5 s and the stream going on: what comes then, comes in time."""
        with harness.Rig(PROGRAM, period=0.5) as rig:
            c = client.Client(rig.bus.address)
            c.wait_name()
            rig.live()
            time.sleep(6)  # until the period of 0.5 s is believed (B10)
            # changes are under way: some of their callers' look-ups will not be answered
            for _ in range(30):
                c.connection.call_async(client.NAME, client.PATH, "org.smartbms1.Settings", "Set", "a{sv}",
                                        ({"vmin": "2.75V"},), None, None)
            c.connection.flush()
            os.kill(rig.bus.process.pid, signal.SIGSTOP)
            stopped = harness.now()
            time.sleep(5)
            self.assertFalse(rig.daemon.has_line("relay opens", since=stopped))
            then(rig)
            os.kill(rig.bus.process.pid, signal.SIGCONT)
            c = client.Client(rig.bus.address)
            c.wait_name()
            self.assertFalse(c.get("Relays", "LoadClosed"))  # and it is heard of afterwards
            self.assertFalse(rig.daemon.has_line("joining again", since=stopped))

    def test_stopped_while_the_stream_ends(self):
        def then(rig):
            rig.stream.change = lambda raw: None
            silent = rig.stream.last_time()
            opened = rig.daemon.both("open", since=silent)
            self.assertLess(opened - silent, 1.9)
            self.assertGreater(opened - silent, 1.6)

        self.stopped_bus(then)

    def test_stopped_while_a_limit_is_crossed(self):
        def then(rig):
            confirming = len(rig.stream.sent) + 1  # the second frame confirms (B8)
            rig.stream.at_next_frame(mv=[3300, 2700, 3300, 3300])
            opened = rig.daemon.relay("load", "open", since=rig.stream.frame_time(confirming) - 0.2)
            self.assertLess(opened - rig.stream.frame_time(confirming), 0.1)

        self.stopped_bus(then)

    def test_stopped_for_long_is_left_and_joined_again(self):
        with harness.Rig(PROGRAM, period=0.02) as rig:
            client.Client(rig.bus.address).wait_name()
            rig.live()
            os.kill(rig.bus.process.pid, signal.SIGSTOP)
            stopped = harness.now()

            # What the kernel's buffers hold comes first, so: much, and every frame with something to tell.
            rig.stream.change = lambda raw: b"".join(
                harness.frame(rig.stream.mv, i_in=125 * n, detail=n % 4 + 1) for n in range(20))
            rig.daemon.wait_line("has not read the last", since=stopped, timeout=30)
            memory = rig.resident()
            time.sleep(3)
            self.assertLess(rig.resident() - memory, 2048)  # kB
            self.assertFalse(rig.daemon.has_line("relay opens", since=stopped))
            os.kill(rig.bus.process.pid, signal.SIGCONT)
            c = client.Client(rig.bus.address)
            deadline = harness.now() + 10
            while True:
                try:
                    self.assertTrue(c.get("Relays", "ChargeClosed"))
                    break
                except client.dbus.DBusException:
                    self.assertLess(harness.now(), deadline)
                    time.sleep(0.1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
