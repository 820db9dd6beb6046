# SPDX-License-Identifier: MIT
"""smartbmsd as its clients see it, through python3-dbus."""

import time

import harness

try:
    import dbus
    import dbus.bus
    import dbus.mainloop.glib
    from gi.repository import GLib
except ImportError as e:
    harness.skip(f"{e}; it is in python3-dbus and python3-gi")

NAME, PATH = "org.smartbms1", "/org/smartbms1"

dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)


def plain(value):
    """D-Bus types to python's own."""
    if isinstance(value, dbus.Boolean):
        return bool(value)
    if isinstance(value, (dbus.String, dbus.ObjectPath)):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(v) for v in value)
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


class Client:
    def __init__(self, address):
        self.connection = dbus.bus.BusConnection(address)
        self.signals = []
        self.connection.add_signal_receiver(self.take, path=PATH, member_keyword="member", interface_keyword="interface")

    def take(self, *args, member=None, interface=None):
        self.signals.append((interface, member, plain(list(args))))

    def turn(self, seconds):
        """Lets signals come in."""
        end = harness.now() + seconds
        while harness.now() < end:
            while GLib.MainContext.default().iteration(False):
                pass
            time.sleep(0.005)

    def wait_signal(self, match, timeout=5):
        end = harness.now() + timeout
        while harness.now() < end:
            for s in self.signals:
                if match(*s):
                    return s
            self.turn(0.02)
        raise AssertionError(f"no such signal within {timeout} s: {self.signals}")

    def wait_name(self, timeout=10):
        end = harness.now() + timeout
        while not self.connection.name_has_owner(NAME):
            assert harness.now() < end, f"{NAME} does not appear"
            time.sleep(0.02)

    def call(self, interface, method, *args, signature=None):
        """Interface is the last word only: "Settings"."""
        answer = self.connection.call_blocking(NAME, PATH, f"{NAME}.{interface}", method, signature, args, timeout=10)
        return plain(answer)

    def send(self, interface, method):
        """A call whose answer nobody waits for."""
        self.connection.call_async(NAME, PATH, f"{NAME}.{interface}", method, "", (), None, None)

    def get(self, interface, name):
        return plain(self.connection.call_blocking(NAME, PATH, dbus.PROPERTIES_IFACE, "Get", "ss",
                                                   (f"{NAME}.{interface}", name)))

    def get_all(self, interface):
        return plain(self.connection.call_blocking(NAME, PATH, dbus.PROPERTIES_IFACE, "GetAll", "s",
                                                   (f"{NAME}.{interface}",)))

    def introspect(self):
        return str(self.connection.call_blocking(NAME, PATH, dbus.INTROSPECTABLE_IFACE, "Introspect", "", ()))

    def set(self, **changes):
        return self.call("Settings", "Set", changes, signature="a{sv}")

    def refusal(self, *args, **kwargs):
        """(error name, sentence) of a call that must fail."""
        try:
            answer = self.call(*args, **kwargs)
        except dbus.DBusException as e:
            return e.get_dbus_name(), e.get_dbus_message()
        raise AssertionError(f"{args} was not refused but answered {answer}")
