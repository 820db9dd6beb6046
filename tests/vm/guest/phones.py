# SPDX-License-Identifier: MIT
"""For scenarios about Bluetooth: virtual controllers, bluetoothd, phones in range, and the pairing window."""

import collections
import fcntl
import pathlib
import re
import socket
import struct
import subprocess
import threading
import time

import bench
import lehost
from bench import check, fail, note, now, run, wait

OWN = "bdfe{:04x}-d380-4bb9-9d5e-d850cd6a319e"
SERVICE = OWN.format(1)
PACK, POWER, CELLS, ALARMS, RELAYS, ENERGY, SETTINGS, TIME, CONTROL = (OWN.format(n) for n in range(0x10, 0x19))
NUS = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
RX, TX = "6e400002-b5a3-f393-e0a9-e50e24dcca9e", "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
BATTERY_LEVEL, LEVEL_STATUS = "2a19", "2bed"
REGISTERED = "Bluetooth: registered with adapter"


def version():
    for path in ("/usr/libexec/bluetooth/bluetoothd", "/usr/lib/bluetooth/bluetoothd"):
        if pathlib.Path(path).exists():
            return run(path, "--version").strip()
    return "none"


class Radio:
    """Controllers of btvirt: the kernel gets hci0 for the gateway, and more if asked for; phones take theirs from its
    socket."""

    def __init__(self, controllers=1):
        self.controllers = controllers
        run("modprobe", "-a", "hci_vhci", "algif_hash", "algif_skcipher", "cmac", "ecdh_generic")
        self.process = None
        self.start()

    def start(self):
        """btvirt of BlueZ 5.66 may take the kernel's first command for the answer to its own: that controller is dead."""
        for _ in range(5):
            self.start_once()
            end = now() + 4
            while not all(self.is_alive(n) for n in range(self.controllers)) and now() < end:
                time.sleep(0.05)
            if all(self.is_alive(n) for n in range(self.controllers)):
                self.air = lehost.Air()
                return
            note("the kernel has no use for a controller of btvirt: another one")
            self.stop()
            wait(lambda: not list(pathlib.Path("/sys/class/bluetooth").glob("hci*")), 10, "it is gone")
        fail("btvirt gives no controllers")

    @staticmethod
    def is_alive(n):
        """The kernel has read its address (HCIGETDEVINFO)."""
        information = bytearray(struct.pack("<H", n) + bytes(90))
        with socket.socket(socket.AF_BLUETOOTH, socket.SOCK_RAW, socket.BTPROTO_HCI) as s:
            try:
                fcntl.ioctl(s, 0x800448D3, information)
            except OSError:
                return False
        return any(information[10:16])

    def start_once(self):
        self.process = subprocess.Popen(["btvirt", "-s", f"-l{self.controllers}", "-L"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait(lambda: len(list(pathlib.Path("/sys/class/bluetooth").glob("hci*"))) >= self.controllers, 10,
             "the kernel has the controllers")
        wait(pathlib.Path("/tmp/bt-server-le").is_socket, 5, "btvirt has its socket")

    def stop(self):
        """All controllers go, the phones' too."""
        self.process.kill()
        self.process.wait()
        pathlib.Path("/tmp/bt-server-le").unlink()


class Bluetoothd(bench.Service):
    def __init__(self):
        super().__init__("bluetooth.service")

    def address(self, adapter="hci0"):
        """None while there is no such adapter."""
        text = subprocess.run(["busctl", "--auto-start=no", "get-property", "org.bluez", f"/org/bluez/{adapter}",
                               "org.bluez.Adapter1", "Address"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=False).stdout
        found = re.search('"(.*)"', text)
        return found[1] if found else None

    def property(self, name, adapter="hci0"):
        return run("busctl", "--auto-start=no", "get-property", "org.bluez", f"/org/bluez/{adapter}",
                   "org.bluez.Adapter1", name).split(maxsplit=1)[1].strip().strip('"')

    def await_adapter(self, seconds=15):
        return wait(self.address, seconds, "bluetoothd has the adapter")

    def devices(self):
        """Addresses of those that it has a bond with."""
        return sorted(p.parent.name for p in pathlib.Path("/var/lib/bluetooth").glob("*/*/info")
                      if "LongTermKey" in p.read_text())


class Window:
    """smartbmsctl pair, as long as it runs."""

    def __init__(self, *options, seconds=60):
        self.lines = []
        self.process = subprocess.Popen(["smartbmsctl", "pair", "--seconds", str(seconds), *options], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self.read, daemon=True).start()
        wait(lambda: self.said("a phone may pair"), 10, "the pairing window opens")

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def said(self, pattern):
        found = [re.search(pattern, line) for line in self.lines]
        return [f for f in found if f]

    def passkey(self):
        """What it shows last."""
        return int(wait(lambda: self.said(r"passkey: (\d{6})"), 20, "a passkey is shown")[-1][1])

    def end(self, seconds=10):
        """Its exit status."""
        return self.process.wait(seconds)

    def close(self):
        self.process.terminate()
        self.process.wait(10)


class Bench(bench.Bench):
    """A pack with a gateway on the radio, registered with bluetoothd."""

    def __init__(self, ble="", controllers=1, radio=None, **options):
        start = now()
        self.radio = radio or Radio(controllers)
        self.bluetoothd = Bluetoothd()
        self.bluetoothd.systemctl("start")
        self.address = self.bluetoothd.await_adapter()
        note(f"bluetoothd {version()}, adapter {self.address}")
        more = options.pop("more", "") + f"ble: {{enabled: on, adapter: hci0{', ' + ble if ble else ''}}}\n"
        super().__init__(more=more, **options)
        self.await_registered(start, 20)

    def await_registered(self, at, seconds):
        """When that was, in the journal's time."""
        return wait(lambda: self.said(REGISTERED, at), seconds, "registered with bluetoothd")[-1][0]

    def said(self, text, at=0.0):
        """(time, line) of what the service has said since."""
        lines = run("journalctl", "--no-pager", "-b", "-o", "short-monotonic", "-u", self.service.unit).splitlines()
        found = []
        for line in lines:
            stamp = re.match(r"\[ *(\d+\.\d+)\]", line)
            if stamp and text in line and float(stamp[1]) >= at:
                found.append((float(stamp[1]), line))
        return found

    def phone(self, **options):
        return lehost.Phone(self.radio.air, options.pop("identity", None) or lehost.new_identity(), **options)

    def connect(self, phone, discover=True, **options):
        phone.connect(self.address, **options)
        if phone.peer in phone.bonds:
            phone.encrypt()
        if discover:
            phone.discover()

    def pair(self, phone, just_works=False):
        """In a window of its own; what that said."""
        window = Window(*(["--just-works"] if just_works else []))
        if not phone.connected:
            phone.connect(self.address)
        phone.pair(window.passkey)
        check(window.end() == 0, f"smartbmsctl pair fails: {window.lines}")
        check(phone.by_passkey != just_works, "paired by another method than the window's")
        return window.lines

    def paired(self, **options):
        """A phone that is, and is connected and knows what there is."""
        phone = self.phone(**options)
        self.pair(phone, phone.io == lehost.NO_INPUT_NO_OUTPUT)
        phone.discover()
        return phone


# ---- docs/bluetooth.md -------------------------------------------------------------------------------------------

Pack = collections.namedtuple("Pack", "flags millivolts milliamperes soc error lowest highest coldest warmest counter")


def signed(data):
    return int.from_bytes(data, "little", signed=True)


def unsigned(data):
    return int.from_bytes(data, "little")


def pack_state(value):
    check(len(value) >= 20, f"pack state of {len(value)} bytes")
    return Pack(unsigned(value[0:2]), unsigned(value[2:5]), signed(value[5:8]), unsigned(value[8:10]), value[10],
                unsigned(value[11:13]), unsigned(value[13:15]), signed(value[15:17]), signed(value[17:19]), value[19])


class Control:
    """Requests at the control point: each with a tag of its own, and its answer read."""

    def __init__(self, phone, first_tag=0x21):
        self.phone, self.tag = phone, first_tag

    def ask(self, operation, payload=b"", seconds=30):
        """(result, what follows)"""
        self.tag = (self.tag + 1) & 0xFF
        self.phone.write(CONTROL, bytes([self.tag, operation]) + payload)
        end = now() + seconds
        while True:
            value = self.phone.read(CONTROL)
            check(value[:2] == bytes([self.tag, operation]), f"the answer to {operation:#04x} is {value.hex()}")
            if value[2]:
                return value[2], value[3:]
            if now() > end:
                fail(f"no answer to {operation:#04x} within {seconds} s")
            time.sleep(0.05)

    def log_in(self, pin):
        return self.ask(0x01, pin)

    def change_pin(self, pin):
        return self.ask(0x02, pin)

    def set(self, number, value):
        return self.ask(0x11, bytes([number]) + value.to_bytes(4, "little", signed=True))
