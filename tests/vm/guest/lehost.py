# SPDX-License-Identifier: MIT
"""A Bluetooth LE phone's own stack, on a virtual controller of btvirt: HCI, L2CAP, the Security Manager and ATT, as far as a
central needs them. Nothing of BlueZ is between it and the emulated air, so a phone can ask for what it likes (no
bonding, any input and output), reads the error that ATT has, and lives on when bluetoothd ends.

After the Bluetooth Core specification, volume 3, parts A, F, G, H, and volume 4, part E."""

import os
import queue
import secrets
import socket
import struct
import threading
import time

PUBLIC, RANDOM = 0, 1
DISPLAY_ONLY, DISPLAY_YES_NO, KEYBOARD_ONLY, NO_INPUT_NO_OUTPUT, KEYBOARD_DISPLAY = range(5)
ATT, SIGNALLING, SMP = 4, 5, 6
FIRST_HANDLE = 42  # btvirt's first connection

# ---- what pairing computes (part H, 2.2; P-256 is FIPS 186-4's) --------------------------------------------------

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def double(x, y, z):
    yy = y * y % P
    s = 4 * x * yy % P
    m = 3 * (x - z * z) * (x + z * z) % P
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * yy * yy) % P, 2 * y * z % P


def add(one, two):
    """Of Jacobian coordinates; None is the point at infinity."""
    if one is None:
        return two
    (x1, y1, z1), (x2, y2, z2) = one, two
    z1z1, z2z2 = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * z2z2 % P, x2 * z1z1 % P
    s1, s2 = y1 * z2 * z2z2 % P, y2 * z1 * z1z1 % P
    if u1 == u2:
        return double(*one) if s1 == s2 else None
    h, r = u2 - u1, s2 - s1
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - s1 * hhh) % P, h * z1 * z2 % P


def multiply(k, point):
    result, addend = None, (point[0], point[1], 1)
    while k:
        if k & 1:
            result = add(result, addend)
        addend = double(*addend)
        k >>= 1
    x, y, z = result
    inverse = pow(z, -1, P)
    return x * inverse**2 % P, y * inverse**3 % P


def on_curve(point):
    x, y = point
    return (y * y - (x * x * x - 3 * x + B)) % P == 0


def kernel_cipher(kind, name, key, data, size):
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as s:
        s.bind((kind, name))
        s.setsockopt(socket.SOL_ALG, socket.ALG_SET_KEY, key)
        operation, _ = s.accept()
        with operation:
            if kind == "skcipher":
                operation.sendmsg_afalg([data], op=socket.ALG_OP_ENCRYPT)
            else:
                operation.sendall(data)
            return operation.recv(size)


def cmac(key, data):
    return kernel_cipher("hash", "cmac(aes)", key, data, 16)


def ah(irk, prand):
    return kernel_cipher("skcipher", "ecb(aes)", irk, bytes(13) + prand, 16)[13:]


def f4(u, v, x, z):
    return cmac(x, u + v + bytes([z]))


def f5(w, n1, n2, a1, a2):
    t = cmac(bytes.fromhex("6c888391aaf5a53860370bdb5a6083be"), w)
    return tuple(cmac(t, bytes([counter]) + b"btle" + n1 + n2 + a1 + a2 + b"\x01\x00") for counter in (0, 1))


def f6(w, n1, n2, r, io_cap, a1, a2):
    return cmac(w, n1 + n2 + r + io_cap + a1 + a2)


# ---- the controller ------------------------------------------------------------------------------------------------


def address_bytes(text):
    return bytes.fromhex(text.replace(":", ""))[::-1]


def address_text(data):
    return ":".join(f"{b:02X}" for b in reversed(data))


class LinkLost(Exception):
    """The connection ended, or never came about."""


class Controller:
    """HCI over the socket of "btvirt -s". Links are objects with received(cid, payload), event(code, data) and ended(reason)."""

    def __init__(self, path="/tmp/bt-server-le"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.answers, self.events, self.reports = queue.Queue(), queue.Queue(), queue.Queue()
        self.links, self.partial = {}, {}
        self.lock, self.command_lock = threading.Lock(), threading.Lock()
        self.next_link = None
        threading.Thread(target=self.read, daemon=True).start()
        self.command(0x0C03)
        self.command(0x0C01, b"\xff" * 7 + b"\x3f")
        self.command(0x2001, b"\xff" * 8)
        self.address = self.command(0x1009)[1:7]

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def take(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise OSError("closed")
            data += more
        return data

    def read(self):
        try:
            while True:
                kind = self.take(1)[0]
                if kind == 4:
                    code, size = self.take(2)
                    self.event(code, self.take(size))
                elif kind == 2:
                    handle, size = struct.unpack("<HH", self.take(4))
                    self.data(handle & 0xFFF, handle >> 12 & 3, self.take(size))
                else:
                    raise OSError(f"a packet of type {kind}")
        except OSError:
            for handle in list(self.links):
                self.links.pop(handle).ended(None)

    def event(self, code, data):
        if code == 0x0E:  # complete
            self.answers.put((struct.unpack("<H", data[1:3])[0], data[3:]))
        elif code == 0x0F:  # status
            self.answers.put((struct.unpack("<H", data[2:4])[0], data[:1]))
        elif code == 0x05:
            handle = struct.unpack("<H", data[1:3])[0]
            link = self.links.pop(handle, None)
            if link:
                link.ended(data[3])
        elif code in (0x08, 0x30):
            link = self.links.get(struct.unpack("<H", data[1:3])[0])
            if link:
                link.encryption(data[0], data[3] if code == 0x08 else 1)
        elif code == 0x3E and data[0] == 0x01:
            status, handle = data[1], struct.unpack("<H", data[2:4])[0]
            if status == 0 and self.next_link:
                self.links[handle] = self.next_link
            self.events.put((status, handle))
        elif code == 0x3E and data[0] == 0x02:
            kind, size = data[2], data[10]
            self.reports.put((address_text(data[4:10]), data[3], kind, data[11:11 + size]))

    def data(self, handle, flags, payload):
        if flags == 1:
            self.partial[handle] = self.partial.get(handle, b"") + payload
        else:
            self.partial[handle] = payload
        whole = self.partial[handle]
        if len(whole) >= 4:
            size, cid = struct.unpack("<HH", whole[:4])
            if len(whole) >= 4 + size:
                del self.partial[handle]
                link = self.links.get(handle)
                if link:
                    link.received(cid, whole[4:4 + size])

    def command(self, opcode, parameters=b"", status_only=False):
        with self.command_lock:
            with self.lock:
                self.socket.sendall(struct.pack("<BHB", 1, opcode, len(parameters)) + parameters)
            while True:
                answered, data = self.answers.get(timeout=10)
                if answered == opcode:
                    break
        if data and data[0] and not status_only:
            raise OSError(f"HCI command {opcode:04x}: error {data[0]:02x}")
        return data

    @staticmethod
    def packets(handle, cid, payload):
        whole = struct.pack("<HH", len(payload), cid) + payload
        pieces = [whole[start:start + 27] for start in range(0, len(whole), 27)]
        return b"".join(struct.pack("<BHH", 2, handle | (0x1000 if i else 0), len(piece)) + piece
                        for i, piece in enumerate(pieces))

    def send(self, handle, cid, payload):
        with self.lock:
            self.socket.sendall(self.packets(handle, cid, payload))

    def scan(self, seconds, own=PUBLIC):
        """Each (address, its type, kind, data) that is advertised within the time."""
        self.command(0x200B, struct.pack("<BHHBB", 1, 0x10, 0x10, own, 0))
        self.command(0x200C, b"\x01\x00")
        end = time.monotonic() + seconds
        try:
            while True:
                try:
                    yield self.reports.get(timeout=max(end - time.monotonic(), 0))
                except queue.Empty:
                    return
        finally:
            self.command(0x200C, b"\x00\x00", status_only=True)

    def advertise(self):
        self.command(0x2006, struct.pack("<HHBBB6sBB", 0x20, 0x20, 0, 0, 0, bytes(6), 7, 0))
        self.command(0x200A, b"\x01", status_only=True)

    def connect(self, link, peer, peer_type, own=PUBLIC):
        """One try; its handle. LinkLost: it does not advertise now."""
        self.next_link = link
        self.command(0x200D, struct.pack("<HHBB6sBHHHHHH", 0x10, 0x10, 0, peer_type, address_bytes(peer), own, 6, 6, 0, 500,
                                         0, 0))
        try:
            status, handle = self.events.get(timeout=5)
        except queue.Empty:
            raise LinkLost("no answer to a connection request") from None
        if status:
            raise LinkLost(f"no connection: error {status:02x}")
        return handle

    def disconnect(self, handle):
        self.command(0x0406, struct.pack("<HB", handle, 0x13), status_only=True)


class Dummy:
    """A link that nothing is sent over."""

    def __init__(self):
        self.handle = None

    def received(self, cid, payload):
        pass

    def encryption(self, status, on):
        pass

    def ended(self, reason):
        self.handle = None


class Air:
    """Gives both ends of each link the same number, without which btvirt delivers nothing: a phone whose own next number would
    be lower than the gateway's first makes links to a controller that is there for nothing else."""

    def __init__(self):
        self.lock = threading.RLock()
        self.spare = Controller()
        self.used = set()

    def prepare(self, phone):
        wanted = next(n for n in range(FIRST_HANDLE, 100) if n not in self.used)
        for n in [n for n, link in phone.controller.links.items() if n >= wanted and isinstance(link, Dummy)]:
            phone.controller.disconnect(n)
        for n in range(FIRST_HANDLE, wanted):
            if n not in phone.controller.links:
                self.spare.advertise()
                dummy = Dummy()
                dummy.handle = phone.controller.connect(dummy, address_text(self.spare.address), PUBLIC, phone.own_type)
        return wanted


# ---- the phone -----------------------------------------------------------------------------------------------------


class PairingFailed(Exception):
    """reason: that of the Security Manager's message, None if there was none."""

    def __init__(self, reason, text=""):
        super().__init__(f"pairing failed: {text or 'reason ' + str(reason)}")
        self.reason = reason


class AttError(Exception):
    def __init__(self, code, request=0, handle=0):
        super().__init__(f"ATT error {code:#04x} to request {request:#04x} of handle {handle:#06x}")
        self.code = code


class Characteristic:
    def __init__(self, service, uuid, properties, handle):
        self.service, self.uuid, self.properties, self.handle = service, uuid, properties, handle
        self.end = self.cccd = None

    def __repr__(self):
        return f"{self.uuid} ({self.properties:#04x}) at {self.handle:#06x}"


def uuid_text(data):
    if len(data) == 2:
        return f"{struct.unpack('<H', data)[0]:04x}"
    text = data[::-1].hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


class Phone:
    """identity: a static random address, its own one; private: it shows itself by addresses that only its identity resolving key
    explains. mitm: it wants proof that nobody is in between, as all do that can type. mtu: the largest ATT packet that it
    takes."""

    def __init__(self, air, identity, io=KEYBOARD_DISPLAY, private=False, bonding=True, mitm=None, mtu=23):
        self.air, self.identity, self.io, self.private = air, identity, io, private
        self.bonding, self.rx_mtu = bonding, mtu
        self.mitm = io != NO_INPUT_NO_OUTPUT if mitm is None else mitm
        self.own_type, self.irk = RANDOM, secrets.token_bytes(16)
        self.bonds = {}  # of a gateway: its long term key
        self.handle, self.peer, self.lost = None, None, None
        self.notified, self.indicated = [], []
        self.on_value = None
        self.services, self.characteristics = [], {}
        self.new_controller()

    def new_controller(self):
        """As if it had been switched off and on."""
        self.handle = None
        self.controller = Controller()
        self.new_address()

    def switch_off(self):
        """btvirt has 16 controllers at most."""
        self.disconnect()
        self.controller.close()

    def new_address(self):
        """For those that are private; only while there is no link."""
        self.own = self.identity
        if self.private:
            prand = secrets.token_bytes(3)
            prand = bytes([prand[0] & 0x3F | 0x40]) + prand[1:]
            self.own = address_text((prand + ah(self.irk, prand))[::-1])
        self.controller.command(0x2005, address_bytes(self.own))

    # -- what the controller tells

    def ended(self, reason):
        with self.air.lock:
            self.air.used.discard(self.handle)
        self.handle, self.lost, self.encrypted = None, reason, False
        for q in (self.att, self.smp, self.encryptions):
            q.put(None)

    def encryption(self, status, on):
        self.encrypted = status == 0 and on != 0
        self.encryptions.put((status, on))

    def received(self, cid, payload):
        if cid == SMP:
            if payload[0] != 0x0B:  # a wish for security: we come when we need it
                self.smp.put(payload)
        elif cid == SIGNALLING:
            if payload[0] == 0x12:  # connection parameters: as you like
                self.controller.send(self.handle, SIGNALLING, struct.pack("<BBHH", 0x13, payload[1], 2, 0))
        elif cid == ATT:
            self.received_att(payload)

    def received_att(self, payload):
        code = payload[0]
        if code in (0x1B, 0x1D):
            where = self.notified if code == 0x1B else self.indicated
            item = (time.clock_gettime(time.CLOCK_BOOTTIME), struct.unpack("<H", payload[1:3])[0], payload[3:])
            where.append(item)
            if code == 0x1D:
                self.send(ATT, b"\x1e")
            if self.on_value:
                self.on_value(*item)
        elif code & 1 or code == 0x01:
            self.att.put(payload)
        elif code == 0x02:  # the gateway looks at us, too
            self.send(ATT, struct.pack("<BH", 0x03, self.rx_mtu))
            self.mtu = max(23, min(self.rx_mtu, struct.unpack("<H", payload[1:3])[0]))
        elif not code & 0x40 and code != 0x1E:
            handle = struct.unpack("<H", payload[1:3])[0] if len(payload) >= 3 else 0
            self.send(ATT, struct.pack("<BBHB", 0x01, code, handle, 0x0A))

    def send(self, cid, payload):
        handle = self.handle
        if handle is None:
            raise LinkLost(f"not connected (reason {self.lost})")
        try:
            self.controller.send(handle, cid, payload)
        except OSError:
            raise LinkLost("the controller is gone") from None

    def acl(self, cid, payload):
        """What send() would give to the controller."""
        return self.controller.packets(self.handle, cid, payload)

    def await_(self, q, seconds, text):
        try:
            item = q.get(timeout=seconds)
        except queue.Empty:
            raise LinkLost(f"no answer within {seconds} s: {text}") from None
        if item is None:
            raise LinkLost(f"disconnected (reason {self.lost}): {text}")
        return item

    # -- the link

    def connect(self, peer, peer_type=PUBLIC, seconds=15):
        end = time.monotonic() + seconds
        self.att, self.smp, self.encryptions = queue.Queue(), queue.Queue(), queue.Queue()
        self.mtu, self.encrypted, self.lost = 23, False, None
        while True:
            with self.air.lock:
                wanted = self.air.prepare(self)
                try:
                    # The first packets may come before connect() returns.
                    self.handle = wanted
                    got = self.controller.connect(self, peer, peer_type, self.own_type)
                    if got != wanted:
                        raise OSError(f"connection {got}, not {wanted}")
                    self.air.used.add(got)
                    self.peer, self.peer_type = peer, peer_type
                    return
                except LinkLost:
                    self.handle = None
            if time.monotonic() > end:
                raise LinkLost(f"{peer} does not take a connection within {seconds} s")
            time.sleep(0.05)

    def disconnect(self, seconds=5):
        handle = self.handle
        if handle is None:
            return
        self.controller.disconnect(handle)
        self.await_end(seconds)

    def await_end(self, seconds=5):
        end = time.monotonic() + seconds
        while self.handle is not None:
            if time.monotonic() > end:
                raise LinkLost(f"still connected after {seconds} s")
            time.sleep(0.005)

    @property
    def connected(self):
        return self.handle is not None

    # -- security

    def encrypt(self):
        """With the key of an earlier pairing."""
        if self.peer not in self.bonds:
            raise PairingFailed(None, "there is no key")
        self.start_encryption(self.bonds[self.peer])

    def start_encryption(self, key):
        self.controller.command(0x2019, struct.pack("<H8sH16s", self.handle, bytes(8), 0, key[::-1]))
        status, on = self.await_(self.encryptions, 10, "encryption")
        if status or not on:
            raise PairingFailed(None, f"no encryption: HCI error {status:#04x}")

    def smp_take(self, code, seconds=30):
        try:
            message = self.await_(self.smp, seconds, f"message {code:02x} of pairing")
        except LinkLost as error:
            raise PairingFailed(None, str(error)) from None
        if message[0] == 0x05:
            raise PairingFailed(message[1])
        if message[0] != code:
            raise PairingFailed(None, f"message {message[0]:02x}, expected {code:02x}")
        return message[1:]

    def smp_send(self, message):
        try:
            self.send(SMP, message)
        except LinkLost as error:
            raise PairingFailed(None, str(error)) from None

    def pair(self, passkey=None):
        """LE Secure Connections. passkey(): what the user types, asked once the gateway is known to show one."""
        authentication = (1 if self.bonding else 0) | (4 if self.mitm else 0) | 8
        keys = 2 if self.bonding else 0  # identities
        request = bytes([0x01, self.io, 0, authentication, 16, keys, keys])
        self.smp_send(request)
        response = b"\x02" + self.smp_take(0x02)
        if not response[3] & 8:
            raise PairingFailed(None, "the gateway has no LE Secure Connections")
        secret = secrets.randbelow(ORDER - 1) + 1
        own = multiply(secret, G)
        self.smp_send(b"\x0c" + own[0].to_bytes(32, "little") + own[1].to_bytes(32, "little"))
        theirs = self.smp_take(0x0C)
        point = int.from_bytes(theirs[:32], "little"), int.from_bytes(theirs[32:64], "little")
        if not on_curve(point):
            raise PairingFailed(None, "their key is no point of the curve")
        shared = multiply(secret, point)[0].to_bytes(32, "big")
        na, nb, r, self.by_passkey = self.authenticate(own, point, authentication | response[3], response[1], passkey)
        a = bytes([self.own_type]) + address_bytes(self.own)[::-1]
        b = bytes([self.peer_type]) + address_bytes(self.peer)[::-1]
        mac, key = f5(shared, na, nb, a, b)
        io_a, io_b = (bytes([m[3], m[2], m[1]]) for m in (request, response))
        self.smp_send(b"\x0d" + f6(mac, na, nb, r, io_a, a, b)[::-1])
        if self.smp_take(0x0D)[::-1] != f6(mac, nb, na, r, io_b, b, a):
            raise PairingFailed(None, "their check of the shared key is wrong")
        self.start_encryption(key)
        if authentication & response[3] & 1:
            self.exchange_identities(response)
            self.bonds[self.peer] = key

    def authenticate(self, own, point, authentication, their_io, passkey):
        """Both nonces, the number that goes into the check, and whether it was a passkey (part H, table 2.8)."""
        mine, other = own[0].to_bytes(32, "big"), point[0].to_bytes(32, "big")
        typed = (authentication & 4 and self.io in (KEYBOARD_ONLY, KEYBOARD_DISPLAY) and
                 their_io in (DISPLAY_ONLY, DISPLAY_YES_NO))
        if not typed:
            nonce = secrets.token_bytes(16)
            theirs = self.smp_take(0x03, 60)[::-1]
            self.smp_send(b"\x04" + nonce[::-1])
            other_nonce = self.smp_take(0x04, 60)[::-1]
            if f4(other, mine, other_nonce, 0) != theirs:
                raise PairingFailed(None, "their commitment is wrong")
            return nonce, other_nonce, bytes(16), False
        number = passkey() if passkey else 0
        for bit in range(20):
            z = 0x80 | (number >> bit & 1)
            nonce = secrets.token_bytes(16)
            self.smp_send(b"\x03" + f4(mine, other, nonce, z)[::-1])
            theirs = self.smp_take(0x03)[::-1]
            self.smp_send(b"\x04" + nonce[::-1])
            other_nonce = self.smp_take(0x04)[::-1]
            if f4(other, mine, other_nonce, z) != theirs:
                raise PairingFailed(None, "their commitment is wrong")
        return nonce, other_nonce, number.to_bytes(16, "big"), True

    def exchange_identities(self, response):
        if response[6] & 2:
            self.smp_take(0x08)
            self.smp_take(0x09)
        if response[5] & 2:
            self.smp_send(b"\x08" + self.irk[::-1])
            self.smp_send(b"\x09" + bytes([RANDOM]) + address_bytes(self.identity))

    # -- ATT

    def request(self, payload, expected, seconds=30):
        self.send(ATT, payload)
        answer = self.await_(self.att, seconds, f"request {payload[0]:#04x}")
        if answer[0] == 0x01:
            raise AttError(answer[4], answer[1], struct.unpack("<H", answer[2:4])[0])
        if answer[0] != expected:
            raise LinkLost(f"answer {answer[0]:#04x} to request {payload[0]:#04x}")
        return answer[1:]

    def exchange_mtu(self, mtu):
        self.rx_mtu = mtu
        theirs = struct.unpack("<H", self.request(struct.pack("<BH", 0x02, mtu), 0x03))[0]
        self.mtu = max(23, min(mtu, theirs))

    def grouped(self, request, answer, last=0xFFFF):
        """What a request over a range of handles finds, piece by piece."""
        start = 1
        while start <= last:
            try:
                yield self.request(request(start, last), answer)
            except AttError as error:
                if error.code != 0x0A:
                    raise
                return
            start = self.seen + 1

    def discover(self):
        """Services, characteristics (by UUID; the first of each) and what is told of each."""
        self.services, all_of_them = [], []
        self.seen = 0
        for data in self.grouped(lambda a, b: struct.pack("<BHHH", 0x10, a, b, 0x2800), 0x11):
            for item in (data[i:i + data[0]] for i in range(1, len(data), data[0])):
                first, last = struct.unpack("<HH", item[:4])
                self.services.append((uuid_text(item[4:]), first, last))
                self.seen = last
        for data in self.grouped(lambda a, b: struct.pack("<BHHH", 0x08, a, b, 0x2803), 0x09):
            for item in (data[i:i + data[0]] for i in range(1, len(data), data[0])):
                declaration, properties, value = struct.unpack("<HBH", item[:5])
                service = next(s for s in self.services if s[1] <= declaration <= s[2])
                if all_of_them and all_of_them[-1].end is None:
                    all_of_them[-1].end = declaration - 1
                all_of_them.append(Characteristic(service[0], uuid_text(item[5:]), properties, value))
                self.seen = declaration
        for c in all_of_them:
            c.end = min(c.end or 0xFFFF, next(s[2] for s in self.services if s[1] <= c.handle <= s[2]))
        self.characteristics = {}
        for c in all_of_them:
            self.characteristics.setdefault(c.uuid, c)
            if c.properties & 0x30 and c.end > c.handle:
                self.find_descriptors(c)
        self.all = all_of_them

    def find_descriptors(self, c):
        data = self.request(struct.pack("<BHH", 0x04, c.handle + 1, c.end), 0x05)
        size = 4 if data[0] == 1 else 18
        for item in (data[i:i + size] for i in range(1, len(data), size)):
            if item[2:] == b"\x02\x29":
                c.cccd = struct.unpack("<H", item[:2])[0]

    def handle_of(self, what):
        return what if isinstance(what, int) else self.characteristics[what].handle

    def read(self, what):
        """The whole value, in parts if it is longer than a packet."""
        handle = self.handle_of(what)
        value = self.request(struct.pack("<BH", 0x0A, handle), 0x0B)
        part = value
        while len(part) == self.mtu - 1:
            part = self.request(struct.pack("<BHH", 0x0C, handle, len(value)), 0x0D)
            value += part
        return value

    def write(self, what, value):
        self.request(struct.pack("<BH", 0x12, self.handle_of(what)) + value, 0x13)

    def write_without_response(self, what, value):
        self.send(ATT, struct.pack("<BH", 0x52, self.handle_of(what)) + value)

    def write_long(self, what, value):
        """Prepared in parts, then executed."""
        handle = self.handle_of(what)
        for start in range(0, len(value), self.mtu - 5):
            piece = value[start:start + self.mtu - 5]
            self.request(struct.pack("<BHH", 0x16, handle, start) + piece, 0x17)
        self.request(b"\x18\x01", 0x19)

    def subscribe(self, uuid, bits=None):
        c = self.characteristics[uuid]
        bits = (1 if c.properties & 0x10 else 2) if bits is None else bits
        self.request(struct.pack("<BHH", 0x12, c.cccd, bits), 0x13)


def new_identity():
    """A static random address."""
    data = bytearray(os.urandom(6))
    data[5] |= 0xC0
    return address_text(bytes(data))
