#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Pairs a device in the operating system, as an owner of a computer does: os-pair.py ADAPTER ADDRESS. Prints "passkey?" and reads
it from its input."""

import sys
import time

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

AGENT, DEVICE, ADAPTER = "org.bluez.Agent1", "org.bluez.Device1", "org.bluez.Adapter1"
PROPERTIES = "org.freedesktop.DBus.Properties"


class Agent(dbus.service.Object):
    @dbus.service.method(AGENT, in_signature="o", out_signature="u")
    def RequestPasskey(self, device):
        print("passkey?", flush=True)
        return dbus.UInt32(int(sys.stdin.readline()))

    @dbus.service.method(AGENT)
    def Release(self):
        pass

    @dbus.service.method(AGENT)
    def Cancel(self):
        print("cancelled", flush=True)


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
agent = Agent(bus, "/ospair")
name, address = sys.argv[1:3]
dbus.Interface(bus.get_object("org.bluez", "/org/bluez"), "org.bluez.AgentManager1").RegisterAgent("/ospair", "KeyboardOnly")
path = f"/org/bluez/{name}"
adapter = dbus.Interface(bus.get_object("org.bluez", path), ADAPTER)
dbus.Interface(bus.get_object("org.bluez", path), PROPERTIES).Set(ADAPTER, "Powered", dbus.Boolean(True))
objects = dbus.Interface(bus.get_object("org.bluez", "/"), "org.freedesktop.DBus.ObjectManager")
device = f"{path}/dev_{address.replace(':', '_')}"
deadline = time.monotonic() + 60
while device not in objects.GetManagedObjects():
    if time.monotonic() > deadline:
        sys.exit("not found")
    adapter.StartDiscovery()
    time.sleep(3)
    adapter.StopDiscovery()

loop, failure = GLib.MainLoop(), []


def failed(error):
    failure.append(error)
    loop.quit()


dbus.Interface(bus.get_object("org.bluez", device), DEVICE).Pair(reply_handler=loop.quit, error_handler=failed, timeout=60)
loop.run()
if failure:
    sys.exit(f"not paired: {failure[0]}")
dbus.Interface(bus.get_object("org.bluez", device), DEVICE).Disconnect()
print("paired", flush=True)
