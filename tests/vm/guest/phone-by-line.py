#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A phone program by somebody who knows the maker's line protocol over the Nordic UART Service, and nothing of smartbmsd:
phone-by-line.py ADAPTER PIN. Reads all queries, streams for a while, sets V-max to 3.55 V, and prints what it knows as JSON."""

import asyncio
import contextlib
import json
import sys

from bleak import BleakClient, BleakScanner

SERVICE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
RX, TX = "6e400002-b5a3-f393-e0a9-e50e24dcca9e", "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
RECORDS = "UVTCEMHB"


def field(text):
    return None if text.startswith("X") else int(text, 16)


class Line:
    def __init__(self, client):
        self.client, self.partial, self.records, self.replies = client, "", [], asyncio.Queue()

    def heard(self, _, value):
        *lines, self.partial = (self.partial + bytes(value).decode("ascii")).split("\r")
        for line in lines:
            if not line:
                sys.exit("an empty line")
            if line[0] in RECORDS and line[1:2] == "_":
                self.records.append(line.split("_"))
            else:
                self.replies.put_nowait(line)

    async def send(self, text):
        await self.client.write_gatt_char(RX, text.encode("ascii"), response=False)

    async def ask(self, text):
        await self.send(text + "\r")
        return await asyncio.wait_for(self.replies.get(), 15)

    async def query(self, text):
        """The fields of a reply with a checksum; that is right, or it is no reply."""
        whole = await self.ask(text)
        body, _, checksum = whole.rpartition("_")
        if int(checksum, 16) != sum(body.replace("_", "").encode()) & 0xFF:
            sys.exit(f"{text}: the checksum of {whole!r} is wrong")
        return body.split("_")


async def find(adapter):
    for _ in range(10):
        device = await BleakScanner.find_device_by_filter(lambda d, a: SERVICE in a.service_uuids, timeout=6, adapter=adapter)
        if device:
            return device
    sys.exit("not found")


async def stream(line, told):
    told["start"] = await line.ask("E!")
    cells = {}
    for _ in range(60):
        await line.send("$")
        await asyncio.sleep(0.4)
        for record in line.records:
            if record[0] == "C":
                cells[int(record[1], 16)] = {"mv": field(record[3]) * 5, "temperature": field(record[4]) * 0.857 - 232.1}
                told["cell_count"] = int(record[2], 16)
        if len(cells) == told.get("cell_count") and len({r[0] for r in line.records}) == len(RECORDS):
            break
    told["stop"] = await line.ask("D!")
    told["cells"] = cells
    told["last"] = {r[0]: r[1:] for r in line.records}
    u, e = told["last"]["U"], told["last"]["E"]
    told["mv"], told["in_ma"], told["ma"], told["out_ma"] = field(u[0]) * 5, *(int(x, 16) * 50 for x in u[1:4])
    told["soc"] = field(e[3])


async def main(told, adapter, pin):
    device = await find(adapter)
    async with BleakClient(device, adapter=adapter, timeout=30) as client:
        line = Line(client)
        await client.start_notify(TX, line.heard)
        told["unauthorised"] = await line.ask("02-050!")
        told["wrong"] = await line.ask("PW9999!")
        told["right"] = await line.ask(f"PW{pin}!")
        told["queries"] = {q: await line.query(q) for q in ("V@", "S1@", "S2@", "S3@", "SRY0@", "SRY1@", "TS@", "L0@", "H0@")}
        await stream(line, told)
        raw = 3550 // 5
        told["write"] = [await line.ask(f"{raw >> 8:02X}-050!"), await line.ask(f"{raw & 0xFF:02X}-051!")]
        told["vmax"] = field((await line.query("S2@"))[1]) * 5
        told["too_high"] = [await line.ask("04-050!"), await line.ask("00-051!")]
        told["vmax_after"] = field((await line.query("S2@"))[1]) * 5
        told["unknown"] = await line.ask("01-019!")


told = {}
# bleak closes its connection to the bus when it sees the phone's end, and may then miss the answer to its own Disconnect.
with contextlib.suppress(EOFError):
    asyncio.run(main(told, *sys.argv[1:3]))
print(json.dumps(told))
