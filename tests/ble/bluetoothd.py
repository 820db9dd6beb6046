# SPDX-License-Identifier: MIT
"""A stand-in for bluetoothd and for the phones in range of it, on any bus.

Usage: bluetoothd.py BUS BONDS-FILE         plays org.bluez until it is killed; bonds outlive it
       bluetoothd.py BUS agent CAPABILITY   a second program with a pairing agent that says yes to everything

The behaviour is BlueZ's as tried in a virtual machine, with 5.66 and 5.82, or (marked) as read in its source:

* A phone that asks for no bonding pairs whatever Pairable says, if the agent accepts: Paired = true, Bonded =
  false. One that asks for bonding is refused while Pairable is false.
* The capability of the default agent decides with that of the phone. No input and no output on either side: the
  agent's RequestAuthorization, and the answer counts. A displaying agent and a phone with a keyboard:
  DisplayPasskey, whose answer does not count; the phone gets in with the right passkey.
* The last program that called RequestDefaultAgent is asked. Calling it switches Pairable on (source: it can).
* Just Works for a phone that is bonded already is refused without asking the agent (JustWorksRepairing = never;
  source).
* The object's path keeps the address with which a phone was first seen; Address becomes the identity's while
  pairing. After a restart the path is made of the identity's. (Neither tried nor read.)
* encrypt-read and encrypt-write refuse an unencrypted link. A characteristic with only encrypt-notify is read by
  anyone: the read reaches ReadValue. encrypt-notify and encrypt-indicate refuse an unencrypted subscriber.
* ReadValue and WriteValue have device, link, mtu and offset. A long read is several calls.
* StartNotify comes for the first subscriber only, and not for a bonded phone that has subscribed in an earlier
  connection. PropertiesChanged goes to all that are subscribed, cut to MTU - 3 (source).
* An advertisement has 31 bytes: two UUIDs of 128 bits are refused. Services 1800 and 1801 are refused with their
  application.
* Errors of a write without response never reach the phone.

What a link does (radio, keys, timing) is not played: for that there are the scenarios of the virtual machine.
"""

import json
import os
import sys

try:
    import dbus
    import dbus.bus
    import dbus.mainloop.glib
    import dbus.service
    from gi.repository import GLib
except ImportError as e:
    print(f"skipped: {e}; it is in python3-dbus and python3-gi")
    sys.exit(77)

OBJECTS, PROPERTIES = "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Properties"
ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
SERVICE, CHARACTERISTIC = "org.bluez.GattService1", "org.bluez.GattCharacteristic1"
ADVERT, AGENT = "org.bluez.LEAdvertisement1", "org.bluez.Agent1"
CONTROL = "org.smartbms.Test"

FLAGS = {"broadcast", "read", "write-without-response", "write", "notify", "indicate", "authenticated-signed-writes",
         "reliable-write", "writable-auxiliaries", "encrypt-read", "encrypt-write", "encrypt-notify",
         "encrypt-indicate",
         "encrypt-authenticated-read", "encrypt-authenticated-write", "encrypt-authenticated-notify", "secure-read",
         "secure-write", "secure-notify", "authorize"}

ATT = {"NotAuthorized": 0x08, "InvalidOffset": 0x07, "InvalidValueLength": 0x0D, "NotSupported": 0x06,
       "InProgress": 0xFE}


def error(name, message=""):
    return dbus.DBusException(message, name="org.bluez.Error." + name)


class Phone:
    def __init__(self, address, random, identity, io):
        self.address, self.random, self.identity, self.io = address, random, identity, io
        self.keys = False       # has the link key of its bond
        self.device = None
        self.mtu = 23
        self.subscribed = set()
        self.received = []      # (uuid, bytes)
        self.pairing = None     # waits for a passkey


class Object(dbus.service.Object):
    """Properties by a dictionary."""
    interface = ""
    writable = ()

    def __init__(self, bus, path, values):
        super().__init__(bus.connection, path)
        self.bus, self.path, self.values = bus, path, values

    def change(self, **values):
        changed = {k: v for k, v in values.items() if self.values.get(k) != v}
        self.values.update(changed)
        if changed:
            self.PropertiesChanged(self.interface, changed, [])

    @dbus.service.method(PROPERTIES, "s", "a{sv}")
    def GetAll(self, interface):
        return self.values if interface == self.interface else {}

    @dbus.service.method(PROPERTIES, "ss", "v")
    def Get(self, _interface, name):
        return self.values[name]

    @dbus.service.method(PROPERTIES, "ssv", "")
    def Set(self, _interface, name, value):
        if name not in self.writable:
            raise error("NotPermitted", name)
        if name == "Powered" and self.bus.blocked:
            raise error("Blocked", "Blocked through rfkill")
        self.change(**{name: value})

    @dbus.service.signal(PROPERTIES, "sa{sv}as")
    def PropertiesChanged(self, interface, changed, gone):
        pass


class Device(Object):
    interface = DEVICE

    def __init__(self, bus, path, phone, bonded=False):
        address, random = phone.address, phone.random
        if bonded:
            address, random = phone.identity, phone.identity_random
        super().__init__(bus, path, {
            "Address": address, "AddressType": "random" if random else "public", "Name": "phone " + phone.address[-2:],
            "Adapter": dbus.ObjectPath("/org/bluez/hci0"), "Connected": False,
            "Paired": dbus.Boolean(bonded), "Bonded": dbus.Boolean(bonded), "Trusted": False})
        self.phone = phone

    @dbus.service.method(DEVICE)
    def Disconnect(self):
        self.bus.calls.append("Disconnect " + self.path)
        self.bus.disconnect(self.phone)


class Adapter(Object):
    interface = ADAPTER
    writable = ("Powered", "Pairable", "Discoverable", "Alias")

    def __init__(self, bus, name, address):
        super().__init__(bus, "/org/bluez/" + name, {
            "Address": address, "AddressType": "public", "Name": "host", "Alias": "host",
            "Powered": dbus.Boolean(not bus.blocked), "Pairable": True, "Discoverable": False})
        self.adverts, self.application = {}, None

    def change(self, **values):
        if "Pairable" in values:
            self.bus.calls.append("Pairable " + ("true" if values["Pairable"] else "false"))
        if not values.get("Powered", True):
            self.adverts.clear()
        super().change(**values)

    @dbus.service.method(ADAPTER, "o")
    def RemoveDevice(self, path):
        self.bus.calls.append("RemoveDevice " + path)
        self.bus.remove_device(path)

    @dbus.service.method("org.bluez.GattManager1", "oa{sv}", "", sender_keyword="sender",
                         async_callbacks=("done", "failed"))
    def RegisterApplication(self, path, _options, sender, done, failed):
        def objects(answer):
            try:
                self.application = Application(self.bus, sender, path, answer)
            except ValueError as e:
                failed(error("InvalidArguments", str(e)))
                return
            self.bus.calls.append("RegisterApplication")
            done()

        if self.application:
            failed(error("AlreadyExists"))
        else:
            self.bus.call(sender, path, OBJECTS, "GetManagedObjects", "", (), objects, failed)

    @dbus.service.method("org.bluez.LEAdvertisingManager1", "oa{sv}", "", sender_keyword="sender",
                         async_callbacks=("done", "failed"))
    def RegisterAdvertisement(self, path, _options, sender, done, failed):
        def properties(values):
            if not self.values["Powered"]:
                failed(error("Failed", "Not Powered"))
                return
            size = 3 if values.get("Discoverable") else 0
            for n in (4, 36):
                uuids = [u for u in values.get("ServiceUUIDs", []) if (len(u) == 4) == (n == 4)]
                size += 2 + len(uuids) * (2 if n == 4 else 16) if uuids else 0
            for data in values.get("ManufacturerData", {}).values():
                size += 4 + len(data)
            if size > 31 or len(values.get("LocalName", "")) > 29:
                failed(error("InvalidLength", "Advertising data too long or couldn't be generated."))
                return
            self.adverts[path] = values
            done()

        if path in self.adverts:
            failed(error("AlreadyExists"))
        else:
            self.bus.call(sender, path, PROPERTIES, "GetAll", "s", (ADVERT,), properties, failed)


class Application:
    def __init__(self, bus, sender, path, objects):
        self.sender, self.path, self.by_uuid, self.by_path = sender, path, {}, {}
        services = {p: str(i[SERVICE]["UUID"]) for p, i in objects.items() if SERVICE in i}
        for uuid in services.values():
            if uuid[4:8] in ("1800", "1801") or not services:
                raise ValueError("Invalid service " + uuid)
        for p, interfaces in objects.items():
            if not p.startswith(path + "/"):
                raise ValueError("not below the application: " + p)
            if SERVICE in interfaces:
                continue
            c = interfaces[CHARACTERISTIC]
            flags = {str(f) for f in c["Flags"]}
            if not flags or flags - FLAGS or str(c["Service"]) not in services:
                raise ValueError(f"Invalid characteristic {p}: {flags}")
            self.by_uuid[str(c["UUID"])] = (p, flags, services[str(c["Service"])])
            self.by_path[p] = str(c["UUID"])


class Root(dbus.service.Object):
    def __init__(self, bus):
        super().__init__(bus.connection, "/")
        self.bus = bus

    @dbus.service.method(OBJECTS, "", "a{oa{sa{sv}}}")
    def GetManagedObjects(self):
        answer = {"/org/bluez": {"org.bluez.AgentManager1": {}}}
        for o in self.bus.objects():
            answer[o.path] = {o.interface: o.values}
        return answer

    @dbus.service.signal(OBJECTS, "oa{sa{sv}}")
    def InterfacesAdded(self, path, interfaces):
        pass

    @dbus.service.signal(OBJECTS, "oas")
    def InterfacesRemoved(self, path, interfaces):
        pass


class AgentManager(dbus.service.Object):
    def __init__(self, bus):
        super().__init__(bus.connection, "/org/bluez")
        self.bus = bus
        self.agents = []    # [sender, path, capability]; the last one is asked
        bus.connection.add_signal_receiver(self.gone, "NameOwnerChanged", "org.freedesktop.DBus")

    def gone(self, name, _old, new):
        """What a program has registered ends with its connection."""
        if new:
            return
        self.agents = [a for a in self.agents if a[0] != name]
        for adapter in self.bus.adapters.values():
            if adapter.application and adapter.application.sender == name:
                adapter.application, adapter.adverts = None, {}

    def find(self, sender, path):
        return next((a for a in self.agents if a[:2] == [str(sender), str(path)]), None)

    @dbus.service.method("org.bluez.AgentManager1", "os", sender_keyword="sender")
    def RegisterAgent(self, path, capability, sender):
        if any(a[0] == sender for a in self.agents):
            raise error("AlreadyExists")
        self.agents.insert(0, [str(sender), str(path), str(capability)])
        self.bus.calls.append("RegisterAgent " + capability)

    @dbus.service.method("org.bluez.AgentManager1", "o", sender_keyword="sender")
    def UnregisterAgent(self, path, sender):
        if not self.find(sender, path):
            raise error("DoesNotExist")
        self.agents.remove(self.find(sender, path))
        self.bus.calls.append("UnregisterAgent")

    @dbus.service.method("org.bluez.AgentManager1", "o", sender_keyword="sender")
    def RequestDefaultAgent(self, path, sender):
        a = self.find(sender, path)
        if not a:
            raise error("DoesNotExist")
        self.agents.remove(a)
        self.agents.append(a)
        self.bus.calls.append("RequestDefaultAgent")
        for adapter in self.bus.adapters.values():
            adapter.change(Pairable=True)


class Control(dbus.service.Object):
    """What the test does with phones and with the machine."""

    def __init__(self, bus):
        super().__init__(bus.connection, "/control")
        self.bus = bus

    @dbus.service.method(CONTROL, "sbsbs")
    def Phone(self, address, random, identity, identity_random, io):
        """A phone in range; its identity's address may be another one. io: "KeyboardDisplay" or "NoInputNoOutput"."""
        phone = Phone(str(address), bool(random), str(identity or address), str(io))
        phone.identity_random = bool(identity_random)
        self.bus.phones[str(address)] = phone

    @dbus.service.method(CONTROL, "s", "s")
    def Connect(self, address):
        return self.bus.connect(self.bus.phones[address])

    @dbus.service.method(CONTROL, "s")
    def Disconnect(self, address):
        self.bus.disconnect(self.bus.phones[address])

    @dbus.service.method(CONTROL, "s")
    def LoseKeys(self, address):
        self.bus.phones[address].keys = False

    @dbus.service.method(CONTROL, "sb", "s", async_callbacks=("done", "failed"))
    def Pair(self, address, bonding, done, failed):
        """ "" or why not. """
        self.bus.pair(self.bus.phones[address], bool(bonding), done)

    @dbus.service.method(CONTROL, "ss")
    def Type(self, address, passkey):
        self.bus.type(self.bus.phones[address], str(passkey))

    @dbus.service.method(CONTROL, "ssqq", "nay", async_callbacks=("done", "failed"))
    def Read(self, address, uuid, offset, mtu, done, failed):
        """0 and the bytes, or an ATT error."""
        self.bus.read(self.bus.phones[address], str(uuid), int(offset), int(mtu), done)

    @dbus.service.method(CONTROL, "ssayb", "n", async_callbacks=("done", "failed"))
    def Write(self, address, uuid, value, command, done, failed):
        self.bus.write(self.bus.phones[address], str(uuid), value, bool(command), done)

    @dbus.service.method(CONTROL, "ss", "n", async_callbacks=("done", "failed"))
    def Subscribe(self, address, uuid, done, failed):
        self.bus.subscribe(self.bus.phones[address], str(uuid), done)

    @dbus.service.method(CONTROL, "s", "a(say)")
    def Received(self, address):
        phone = self.bus.phones[address]
        answer, phone.received = phone.received, []
        return dbus.Array(answer, signature="(say)")

    @dbus.service.method(CONTROL, "b")
    def Present(self, present):
        """Whether the adapter is plugged in."""
        self.bus.plug(bool(present))

    @dbus.service.method(CONTROL, "b")
    def Block(self, blocked):
        self.bus.blocked = bool(blocked)
        for a in self.bus.adapters.values():
            a.change(Powered=dbus.Boolean(not blocked))

    @dbus.service.method(CONTROL)
    def IdentityLast(self):
        """From now on phones tell their identity when they are bonded already."""
        self.bus.identity_last = True

    @dbus.service.method(CONTROL, "b")
    def Lax(self, lax):
        """No flag is looked at: everything reaches the application, as it does where bluetoothd has a gap."""
        self.bus.lax = bool(lax)

    @dbus.service.method(CONTROL, "s", "s")
    def State(self, adapter):
        """All of it, as JSON. calls: what was asked of bluetoothd since the last time."""
        a = self.bus.adapters.get(str(adapter))
        calls, self.bus.calls = self.bus.calls, []
        return json.dumps({
            "calls": calls,
            "agents": self.bus.manager.agents,
            "present": bool(a),
            "pairable": bool(a and a.values["Pairable"]),
            "powered": bool(a and a.values["Powered"]),
            "services": {u: [s, sorted(f)] for u, (_, f, s) in a.application.by_uuid.items()}
                        if a and a.application else None,
            "adverts": [{"uuids": [str(u) for u in v["ServiceUUIDs"]], "name": str(v["LocalName"]),
                         "manufacturer": {str(int(k)): [int(x) for x in d] for k, d in v["ManufacturerData"].items()}}
                        for _, v in sorted(a.adverts.items())] if a else [],
            "devices": {o.path: {k: str(v) if isinstance(v, str) else bool(v) for k, v in o.values.items()}
                        for o in self.bus.devices.values()}})


class Bluetoothd:
    def __init__(self, address, bonds):
        self.connection = dbus.bus.BusConnection(address)
        self.bonds_file = bonds
        self.adapters, self.devices, self.phones, self.calls = {}, {}, {}, []
        self.blocked = self.lax = self.identity_last = False
        self.connection.add_signal_receiver(self.notified, "PropertiesChanged", PROPERTIES, path_keyword="path",
                                            sender_keyword="sender")
        self.root = Root(self)
        self.manager = AgentManager(self)
        self.control = Control(self)
        bonds = []
        if os.path.exists(self.bonds_file):
            with open(self.bonds_file, encoding="utf-8") as f:
                bonds = json.load(f)
        for b in bonds:
            phone = Phone(b["address"], b["random"], b["identity"], b["io"])
            phone.identity_random, phone.keys, phone.subscribed = b["identity_random"], True, set(b["subscribed"])
            self.phones[b["address"]] = phone
            path = "/org/bluez/hci0/dev_" + phone.identity.replace(":", "_")
            phone.device = self.devices[path] = Device(self, path, phone, bonded=True)
        self.plug(True)
        self.connection.request_name("org.bluez")

    def objects(self):
        return [*self.adapters.values(), *(self.devices.values() if self.adapters else ())]

    def save(self):
        with open(self.bonds_file, "w", encoding="utf-8") as f:
            json.dump([{"address": p.address, "random": p.random, "identity": p.identity, "io": p.io,
                        "identity_random": p.identity_random, "subscribed": sorted(p.subscribed)}
                       for p in self.phones.values() if p.device and p.device.values["Bonded"]], f)

    def call(self, destination, path, interface, member, signature, args, done, failed):
        self.connection.call_async(destination, path, interface, member, signature, args, done, failed, timeout=30)

    def plug(self, present):
        if present:
            for name, address in (("hci0", "B8:27:EB:01:02:03"), ("hci1", "B8:27:EB:0A:0B:0C")):
                self.adapters[name] = Adapter(self, name, address)
            for o in self.objects():
                self.root.InterfacesAdded(o.path, {o.interface: o.values})
        else:
            for phone in self.phones.values():
                self.disconnect(phone)
            for o in reversed(self.objects()):
                self.root.InterfacesRemoved(o.path, [o.interface])
            for a in self.adapters.values():
                a.remove_from_connection()
            self.adapters.clear()

    # ---- links

    def connect(self, phone):
        if not phone.device:
            path = "/org/bluez/hci0/dev_" + phone.address.replace(":", "_")
            phone.device = self.devices[path] = Device(self, path, phone)
            self.root.InterfacesAdded(path, {DEVICE: phone.device.values})
        phone.device.change(Connected=dbus.Boolean(True))
        return phone.device.path

    def disconnect(self, phone):
        if not phone.device:
            return
        if phone.pairing:
            done, phone.pairing = phone.pairing[2], None
            done("disconnected")
        if not phone.device.values["Bonded"]:
            phone.subscribed.clear()
            phone.device.change(Paired=dbus.Boolean(False))
        phone.device.change(Connected=dbus.Boolean(False))

    def remove_device(self, path):
        device = self.devices.get(path)
        if not device:
            raise error("DoesNotExist")
        self.disconnect(device.phone)
        device.phone.subscribed.clear()
        device.phone.device = None
        del self.devices[path]
        self.root.InterfacesRemoved(path, [DEVICE])
        device.remove_from_connection()
        self.save()

    def encrypted(self, phone):
        return self.lax or (phone.device.values["Paired"] and phone.keys)

    # ---- pairing

    def pair(self, phone, bonding, done):
        device, agent = phone.device, self.manager.agents[-1] if self.manager.agents else None
        if bonding and not self.adapters["hci0"].values["Pairable"]:
            done("not pairable")
            return
        if not agent:
            done("no agent")
            return

        def paired(*_):
            phone.keys = True
            identity = {"Address": phone.identity, "AddressType": "random" if phone.identity_random else "public"}
            if not self.identity_last:
                device.change(**identity)
            device.change(Paired=dbus.Boolean(True))
            device.change(Bonded=dbus.Boolean(bonding))
            if self.identity_last:
                device.change(**identity)
            self.save()
            done("")

        def rejected(e):
            done("rejected: " + e.get_dbus_name())

        if phone.io == "NoInputNoOutput" or agent[2] == "NoInputNoOutput":
            if device.values["Bonded"]:
                done("repairing is off")
                return
            self.call(agent[0], agent[1], AGENT, "RequestAuthorization", "o", (device.path,), paired, rejected)
        else:
            passkey = 493021  # any; the phone must be told the same
            phone.pairing = (passkey, paired, done)
            self.call(agent[0], agent[1], AGENT, "DisplayPasskey", "ouq", (device.path, passkey, 0), lambda *_: None,
                      lambda *_: None)

    def type(self, phone, passkey):
        if not phone.pairing:
            raise error("Failed", "nothing is asked for")
        (wanted, paired, done), phone.pairing = phone.pairing, None
        if f"{wanted:06}" == passkey:
            paired()
        else:
            done("wrong passkey")

    # ---- GATT

    def characteristic(self, uuid):
        application = self.adapters["hci0"].application
        path, flags, _ = application.by_uuid[uuid]
        return application.sender, path, flags

    def options(self, phone, offset, mtu, **more):
        return dbus.Dictionary({"device": dbus.ObjectPath(phone.device.path), "link": "LE",
                                "offset": dbus.UInt16(offset),
                                "mtu": dbus.UInt16(mtu), **more}, signature="sv")

    @staticmethod
    def att(e, refused):
        name = e.get_dbus_name().rsplit(".", 1)[-1]
        if name == "NotPermitted":
            return refused
        message = e.get_dbus_message() or ""
        if name == "Failed" and message.startswith("0x"):
            return int(message, 16)
        return ATT.get(name, 0x0E)

    def read(self, phone, uuid, offset, mtu, done):
        sender, path, flags = self.characteristic(uuid)
        if "encrypt-read" in flags and not self.encrypted(phone):
            done(0x0F, b"")
            return
        self.call(sender, path, CHARACTERISTIC, "ReadValue", "a{sv}", (self.options(phone, offset, mtu),),
                  lambda value: done(0, dbus.Array(value[:mtu - 1], signature="y")),
                  lambda e: done(self.att(e, 0x02), dbus.Array([], signature="y")))

    def write(self, phone, uuid, value, command, done):
        sender, path, flags = self.characteristic(uuid)
        if "encrypt-write" in flags and not self.encrypted(phone):
            done(0 if command else 0x0F)
            return
        kind = "command" if command else "request"
        self.call(sender, path, CHARACTERISTIC, "WriteValue", "aya{sv}",
                  (value, self.options(phone, 0, phone.mtu, type=kind)),
                  lambda: done(0), lambda e: done(0 if command else self.att(e, 0x03)))

    def subscribe(self, phone, uuid, done):
        sender, path, flags = self.characteristic(uuid)
        if flags & {"encrypt-notify", "encrypt-indicate"} and not self.encrypted(phone):
            done(0x0F)
            return
        first = not any(uuid in p.subscribed for p in self.phones.values())
        phone.subscribed.add(uuid)
        self.save()
        if first:
            self.calls.append("StartNotify")
            self.call(sender, path, CHARACTERISTIC, "StartNotify", "", (), lambda: done(0),
                      lambda e: done(self.att(e, 0x0E)))
        else:
            done(0)

    def notified(self, interface, changed, _gone, path=None, sender=None):
        application = self.adapters["hci0"].application if self.adapters else None
        if interface != CHARACTERISTIC or not application or sender != application.sender or "Value" not in changed:
            return
        uuid = application.by_path[str(path)]
        for phone in self.phones.values():
            if phone.device and phone.device.values["Connected"] and uuid in phone.subscribed:
                phone.received.append((uuid, changed["Value"][:phone.mtu - 3]))


class YesAgent(dbus.service.Object):
    def __init__(self, address, capability):
        connection = dbus.bus.BusConnection(address)
        super().__init__(connection, "/other")
        for member, signature, args in (("RegisterAgent", "os", ("/other", capability)),
                                        ("RequestDefaultAgent", "o", ("/other",))):
            connection.call_blocking("org.bluez", "/org/bluez", "org.bluez.AgentManager1", member, signature, args)

    @dbus.service.method(AGENT, "o", "")
    def RequestAuthorization(self, _device):
        pass


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    if sys.argv[2] == "agent":
        playing = YesAgent(sys.argv[1], sys.argv[3])
    else:
        playing = Bluetoothd(sys.argv[1], sys.argv[2])
    print("ready", flush=True)
    GLib.MainLoop().run()
    return playing


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main()
