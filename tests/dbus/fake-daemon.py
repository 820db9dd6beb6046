# SPDX-License-Identifier: MIT
"""A stand-in for smartbmsd as far as what is kept is concerned: rows that are known exactly, and answers that the real
one gives only with a card in trouble. Usage: fake-daemon.py ADDRESS; commands on standard input, a line each:

    event TEXT [late]      something happens: a signal, and a row (with "late" not before "rows")
    rows                   the late rows come
    unreadable, readable   the database
    notstored              the next changes are applied, but not stored
"""

import os
import sys
import time

import dbus
import dbus.bus
import dbus.lowlevel
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME, PATH = "org.smartbms1", "/org/smartbms1"
MINUTE = 60_000_000
STRETCH = "u(bx)(bx)(bx)(bx)(bx)(bx)(bx)xxxx"
BEGIN = 1795647600_000_000  # 2026-11-25 23:00 UTC: midnight in Central Europe


class NotReadable(dbus.DBusException):
    _dbus_error_name = NAME + ".Error.NotReadable"


class NotStored(dbus.DBusException):
    _dbus_error_name = NAME + ".Error.NotStored"


class Refused(dbus.DBusException):
    _dbus_error_name = NAME + ".Error.Refused"


def maybe(value):
    return dbus.Struct((value is not None, dbus.Int64(value or 0)), signature="bx")


def stretch(n):
    """The n-th; every third knows nothing."""
    known = n % 3 != 2
    values = (5000 + n % 5000, -100_000 + n, 13_200, 3300, 3310, 195, 210)
    return (dbus.UInt32(60 if known else 0), *(maybe(v if known else None) for v in values),
            *(dbus.Int64(n * k) for k in (1, 2, 3, 4)))


class Daemon(dbus.service.Object):
    def __init__(self, connection):
        super().__init__(connection, PATH)
        self.rows, self.late, self.calls = [], [], []
        self.readable, self.stored = True, True

    def check(self):
        if not self.readable:
            raise NotReadable("The database cannot be read: Input/output error.")

    def change(self):
        if not self.stored:
            raise NotStored("applied, not stored: the card did not take it in time")

    @dbus.service.method(NAME + ".History", "sxxu", "a((bx)t" + STRETCH + ")")
    def Read(self, resolution, from_usec, until_usec, limit):
        self.check()
        length = MINUTE if resolution == "minutes" else 60 * MINUTE
        begin = -(-(from_usec - BEGIN) // length)
        end = -(-(until_usec - BEGIN) // length)
        rows = range(max(0, begin), max(0, min(end, 4000)))
        return [dbus.Struct((maybe(BEGIN + n * length), dbus.UInt64(length), *stretch(n))) for n in rows[-limit:]]

    @dbus.service.method(NAME + ".Energy", "u", "a(xbt" + STRETCH + ")")
    def Days(self, limit):
        self.check()
        days = [(20541 + n, n == 4, 24 * 60 * MINUTE if n else 23 * 60 * MINUTE, *stretch(n)) for n in range(5)]
        return [dbus.Struct((dbus.Int64(d[0]), d[1], dbus.UInt64(d[2]), *d[3:])) for d in days[-limit:]]

    @dbus.service.method(NAME + ".Energy", "", "")
    def Clear(self):
        self.change()
        print("cleared", flush=True)

    @dbus.service.method(NAME + ".Settings", "s", "")
    def SetPin(self, pin):
        self.change()
        print("pin", pin, flush=True)

    @dbus.service.method(NAME + ".Settings", "", "")
    def Confirm(self):
        self.change()
        print("confirmed", flush=True)

    @dbus.service.method(NAME + ".Storage", "", "a{sv}")
    def GetStatus(self):
        return {"Open": True, "Path": "/var/lib/smartbms/smartbms.db", "Fault": "",
                "FileBytes": dbus.UInt64(12_345_678), "WalBytes": dbus.UInt64(4096),
                "RunAge": dbus.UInt64(7200 * 1_000_000), "WrittenBytes": dbus.UInt64(1_000_000),
                "Syncs": dbus.UInt64(150), "CommitAge": maybe(23_000_000), "QueuedEvents": dbus.UInt64(1),
                "QueuedMinutes": dbus.UInt64(2), "LostEvents": dbus.UInt64(0), "LostMinutes": dbus.UInt64(0)}

    @dbus.service.method(NAME + ".Storage", "h", "")
    def Backup(self, file):
        fd = file.take()
        try:
            if not self.readable:
                os.write(fd, b"half")
                raise Refused("the copy failed: No space left on device")
            os.write(fd, b"SQLite format 3\0" * 100)
        finally:
            os.close(fd)

    @dbus.service.signal(NAME + ".Events", "tss")
    def Event(self, monotonic, kind, text):
        pass

    def happens(self, text, late):
        at = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1e6)
        (self.late if late else self.rows).append((at, text))
        self.Event(dbus.UInt64(at), "alarm-raised", text)

    # org.smartbms1.Events.Read and Recent: python's class can have one Read only, so main() calls these.
    def read_events(self, after_id, limit):
        self.check()
        rows = [(n + 1, at, text) for n, (at, text) in enumerate(self.rows) if n + 1 > after_id][-limit:]
        return dbus.Array([dbus.Struct((
            dbus.Int64(n), maybe(BEGIN + n * 1_000_000 if n != 2 else None), True, dbus.UInt64(at), "alarm-raised", text,
            "uid 7 over D-Bus" if n == 1 else "", "vmin" if n == 1 else "", "2.800 V" if n == 1 else "",
            "2.900 V" if n == 1 else "", "V-max" if n == 3 else "", dbus.Byte(3 if n == 3 else 0),
            maybe(3655 if n == 3 else None), maybe(3650 if n == 3 else None))) for n, at, text in rows],
            signature="(x(bx)btsssssssy(bx)(bx))")

    def recent_events(self):
        now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1e6)
        return dbus.Array([dbus.Struct((dbus.UInt64(now - at), "alarm-raised", text))
                           for at, text in self.rows + self.late], signature="(tss)")


def main():
    loop = GLib.MainLoop()
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    connection = dbus.bus.BusConnection(sys.argv[1])
    daemon = Daemon(connection)

    def on_message(conn, message):
        if message.get_interface() != NAME + ".Events" or message.get_type() != 1:
            return 1  # not handled
        try:
            rows = daemon.read_events(*message.get_args_list()) if message.get_member() == "Read" else daemon.recent_events()
            reply = dbus.lowlevel.MethodReturnMessage(message)
            reply.append(rows, signature="a" + rows.signature)
        except dbus.DBusException as e:
            reply = dbus.lowlevel.ErrorMessage(message, e.get_dbus_name(), e.get_dbus_message())
        conn.send_message(reply)
        return 0

    connection.add_message_filter(on_message)
    connection.request_name(NAME)

    def on_command(source, condition):
        line = sys.stdin.readline()
        if not line:
            loop.quit()
            return False
        words = line.split()
        if words[0] == "event":
            daemon.happens(words[1], len(words) > 2)
        elif words[0] == "rows":
            daemon.rows += daemon.late
            daemon.late = []
        elif words[0] in ("readable", "unreadable"):
            daemon.readable = words[0] == "readable"
        else:
            daemon.stored = words[0] != "notstored"
        print("ok", flush=True)
        return True

    GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, on_command)
    print("ready", flush=True)
    loop.run()


main()
