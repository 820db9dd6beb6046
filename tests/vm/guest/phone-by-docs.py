#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A phone program by somebody who has read docs/bluetooth.md and nothing else: phone-by-docs.py ADAPTER PIN NEW_PIN. Reads all there
is, changes the PIN and V-max, and prints what it knows as JSON."""

import asyncio
import contextlib
import json
import struct
import sys

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError


def uuid(n):
    return f"bdfe{n:04x}-d380-4bb9-9d5e-d850cd6a319e"


SERVICE, PACK, POWER, CELLS, ALARMS, RELAYS, ENERGY, SETTINGS, TIME, CONTROL = (uuid(n) for n in (1, *range(0x10, 0x19)))


def u(data, offset, size):
    value = int.from_bytes(data[offset:offset + size], "little")
    return None if value == (1 << 8 * size) - 1 else value


def s(data, offset, size):
    value = int.from_bytes(data[offset:offset + size], "little", signed=True)
    return None if value == -(1 << 8 * size - 1) else value


def pack(v):
    return {"flags": u(v, 0, 2), "mv": u(v, 2, 3), "ma": s(v, 5, 3), "soc": u(v, 8, 2), "lowest_mv": u(v, 11, 2),
            "highest_mv": u(v, 13, 2), "coldest": s(v, 15, 2), "warmest": s(v, 17, 2), "counter": v[19]}


def power(v):
    return {"mw": s(v, 0, 4), "in_ma": s(v, 4, 3), "in_mw": s(v, 7, 4), "out_ma": s(v, 11, 3), "out_mw": s(v, 14, 4)}


def page(v):
    return {v[3] + i: {"mv": u(v, 5 + 6 * i, 2), "temperature": s(v, 7 + 6 * i, 2), "flags": v[9 + 6 * i]}
            for i in range(v[4])}


def settings(v):
    return {v[1 + 5 * i]: s(v, 2 + 5 * i, 4) for i in range(v[0])}


class Control:
    def __init__(self, client):
        self.client, self.tag, self.told = client, 0, asyncio.Event()

    async def start(self):
        await self.client.start_notify(CONTROL, lambda _, value: self.told.set() if value[0] == self.tag else None)

    async def ask(self, operation, payload=b""):
        self.tag = self.tag % 255 + 1
        self.told.clear()
        await self.client.write_gatt_char(CONTROL, bytes([self.tag, operation]) + payload, response=True)
        while True:
            answer = await self.client.read_gatt_char(CONTROL)
            if answer[0] == self.tag and answer[2] != 0:
                return answer[2], bytes(answer[3:])
            await asyncio.wait_for(self.told.wait(), 20)


async def cells(client):
    found, n = {}, 0
    while True:
        await client.write_gatt_char(CELLS, bytes([n]), response=True)
        value = await client.read_gatt_char(CELLS)
        found.update(page(value))
        n += 1
        known = u(value, 1, 2)  # unknown until it is learned
        if n * 16 >= known if known is not None else value[4] < 16:
            return found


async def find(adapter):
    for _ in range(10):
        device = await BleakScanner.find_device_by_filter(lambda d, a: SERVICE in a.service_uuids, timeout=6, adapter=adapter)
        if device:
            return device
    sys.exit("not found")


async def main(told, adapter, pin, new_pin):
    device = await find(adapter)
    told["name"] = device.name
    async with BleakClient(device, adapter=adapter, timeout=30) as client:
        heard = {"pack": [], "power": []}
        await client.start_notify(PACK, lambda _, value: heard["pack"].append(pack(value)))
        await client.start_notify(POWER, lambda _, value: heard["power"].append(power(value)))
        for key, what, decode in (("pack", PACK, pack), ("power", POWER, power), ("settings", SETTINGS, settings)):
            told[key] = decode(await client.read_gatt_char(what))
        told["cells"] = await cells(client)
        alarms = await client.read_gatt_char(ALARMS)
        told["alarms"] = [n for n in range(64) if int.from_bytes(alarms[:8], "little") >> n & 1]
        relays = await client.read_gatt_char(RELAYS)
        told["relays"] = [{"closed": bool(relays[o] & 2), "reason": relays[o + 1]} for o in (0, 10)]
        energy = await client.read_gatt_char(ENERGY)
        told["energy"] = [u(energy, o, 4) for o in range(0, 44, 4)]
        told["time"] = u(await client.read_gatt_char(TIME), 0, 8)
        told["battery"] = (await client.read_gatt_char("00002a19-0000-1000-8000-00805f9b34fb"))[0]
        told["maker"] = bytes(await client.read_gatt_char("00002a29-0000-1000-8000-00805f9b34fb")).decode()

        control = Control(client)
        await control.start()
        vmax = struct.pack("<Bi", 5, 3600)
        try:
            await control.ask(0x11, vmax)
            told["without_log_in"] = "done"
        except BleakError as error:
            told["without_log_in"] = str(error)
        told["wrong_pin"] = (await control.ask(0x01, b"99999999"))[0]
        told["log_in"] = (await control.ask(0x01, pin.encode()))[0]
        told["default_pin"] = (await control.ask(0x11, vmax))[0]
        told["new_pin"] = (await control.ask(0x02, new_pin.encode()))[0]
        told["set"] = (await control.ask(0x11, vmax))[0]
        # The same by a transfer, with one that is out of range: neither is applied.
        whole = struct.pack("<BiBi", 5, 3550, 4, 100)
        await client.write_gatt_char(CONTROL, b"\x00\x12", response=True)
        for start in (0, 5):
            await client.write_gatt_char(CONTROL, b"\x00\x13" + struct.pack("<H", start) + whole[start:start + 5], response=True)
        result, why = await control.ask(0x14, struct.pack("<H", len(whole)))
        told["transfer"] = [result, why.decode()]
        told["vmax"] = s((await control.ask(0x10, b"\x05"))[1], 1, 4)
        told["why"] = (await control.ask(0x20, b"\x02\x00"))[1].decode()
        await asyncio.sleep(4)
        told["heard"] = heard


told = {}
# bleak closes its connection to the bus when it sees the phone's end, and may then miss the answer to its own Disconnect.
with contextlib.suppress(EOFError):
    asyncio.run(main(told, *sys.argv[1:4]))
print(json.dumps(told))
