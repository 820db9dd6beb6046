#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Another program with a pairing agent, as a desktop has one: it makes itself the one that is asked, lets devices pair, and
says yes to everything. Prints what it is asked."""

import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

AGENT = "org.bluez.Agent1"


class Agent(dbus.service.Object):
    @dbus.service.method(AGENT, in_signature="o")
    def RequestAuthorization(self, device):
        print("asked about", device, flush=True)

    @dbus.service.method(AGENT, in_signature="ou")
    def RequestConfirmation(self, device, passkey):
        print("asked about", device, flush=True)

    @dbus.service.method(AGENT, in_signature="os")
    def AuthorizeService(self, device, uuid):
        pass

    @dbus.service.method(AGENT)
    def Release(self):
        pass

    @dbus.service.method(AGENT)
    def Cancel(self):
        pass


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
agent = Agent(bus, "/yes")
manager = dbus.Interface(bus.get_object("org.bluez", "/org/bluez"), "org.bluez.AgentManager1")
manager.RegisterAgent("/yes", sys.argv[1])
manager.RequestDefaultAgent("/yes")
properties = dbus.Interface(bus.get_object("org.bluez", "/org/bluez/hci0"), "org.freedesktop.DBus.Properties")
properties.Set("org.bluez.Adapter1", "Pairable", dbus.Boolean(True))
print("ready", flush=True)
GLib.MainLoop().run()
