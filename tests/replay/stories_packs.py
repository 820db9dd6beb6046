# SPDX-License-Identifier: MIT
"""Packs that are watched only, packs of all sizes, and the IN board configured for more cells than there are (B4, B6)."""

import random

from story import FRAME_SIZE, LINE_RATE, now

CHARGE, DISCHARGE = 0x01, 0x02
MONITOR = "  charge: {}\n  load: {}\nrole: monitor\n"  # goes on in the section relays:


def with_board_fields(raw):
    """What an OUT board writes into bytes 31..54: 1234 Wh stored, 77 % SOC, 3 kWh collected, capacity 6400 Wh."""
    b = bytearray(raw)
    b[34:37] = (1234).to_bytes(3, "big")
    b[40] = 77
    b[41:44] = (3).to_bytes(3, "big")
    b[49:51] = (64).to_bytes(2, "big")
    b[57] = sum(b[:57]) & 0xFF
    return bytes(b)


def monitor(s):
    """Role monitor: relays follow bits 0 and 1 by 2 of 3 frames (B6) and the link; nothing can be set."""
    chain = s.chain
    chain.change = with_board_fields
    chain.fields = {"status": CHARGE | DISCHARGE}
    s.live()

    def frames_say(*statuses):
        """Each status for one frame; returns the first one's number."""
        first = None
        for status in statuses:
            n = chain.tell(fields={"status": status})
            first = n if first is None else first
            chain.frame_time(n)
        return first

    both = CHARGE | DISCHARGE
    since = chain.frame_time(frames_say(both, 0, both, both, 0, both, both))  # 1 of 3: nothing moves
    s.expect_unchanged(since)

    n = frames_say(DISCHARGE, DISCHARGE, DISCHARGE)
    s.expect_open(["charge"], chain.frame_time(n + 1), 0.1)
    s.expect_why("charge", "the OUT board forbids")
    n = frames_say(both, DISCHARGE, both)  # 2 of the last 3
    s.figure("charge closed by 2 of 3", chain.frame_time(n + 2), s.daemon.relay("charge", "closed", chain.frame_time(n)), 0.1)

    status = s.status()
    assert status["role"] == "monitor" and status["soc"]["soc_percent"] == 77, "the board's SOC is not shown"
    assert status["energy"]["energy_stored_wh"] == 1234, "the board's energy is not shown"
    refused = s.ctl("set", "vmin", "2.9V")
    assert refused.returncode == 1 and "monitor" in refused.stderr, f"set: {refused.returncode}: {refused.stderr}"

    chain.tell(fields={"status": both})
    chain.frame_time(len(chain.sent) + 3)
    s.expect_both_open(chain.silence(), s.by_rate(3.6, 1.9), soonest=3.5 * s.period - 0.05)
    s.expect_link("stale", "no data")
    n = chain.mend()
    chain.change = with_board_fields
    mended = chain.frame_time(n)
    s.expect_closed(["charge", "load"], mended, 5 * s.period + 0.3)


def monitor_without_relays(s):
    s.chain.fields = {"status": CHARGE | DISCHARGE}
    s.opened()
    s.chain.start()
    s.daemon.wait_line("link live")
    s.chain.frame_time(len(s.chain.sent) + 3)
    assert not s.daemon.has_line("relay (opens|closes)$"), "a relay that nobody mapped was driven"


def look_alike(n):
    """Voltages by which a cell is known: any two of 37 neighbours differ; none so high that charging would wait (P2)."""
    return [3250 + 5 * (i * 7 % 37) for i in range(n)]


def nothing_lost(s, frames):
    counters = s.status()["counters"]
    seen = {name: counters["counter_" + name] for name in ("frames", "bytes", "skipped_bytes", "refused_frames")}
    assert seen["bytes"] == FRAME_SIZE * seen["frames"], f"bytes that are in no frame: {seen}"
    assert seen["skipped_bytes"] == 0 and seen["refused_frames"] == 0, f"not every frame was taken: {seen}"
    assert seen["frames"] == frames, f"{frames} frames were sent: {seen}"
    s.notes.append(f"{frames} frames, none lost")


def all_cells_seen(s):
    cells = s.ctl_json("cells")["cells"]
    assert len(cells) == len(s.chain.mv), f"{len(cells)} cells are shown"
    for cell, mv in zip(cells, s.chain.mv):
        assert cell["voltage_v"] == mv / 1000, f"cell {cell['cell']} is shown with {cell['voltage_v']} V, not {mv} mV"
        assert not cell["missing"], f"cell {cell['cell']} is called missing"


def rotate(s, configured):
    """The IN board's rotation goes over the configured cells (chain.md R9)."""
    chain = s.chain
    plain = chain.next_frame

    def next_frame():
        chain.detail = chain.detail % configured
        chain.rotate = False
        chain.detail += 1
        return plain()
    chain.next_frame = next_frame
    chain.mv = look_alike(len(chain.mv))
    chain.healthy()


def at_the_pace_of_the_boards(s, configured, seconds=60):
    with s.chain.wake:
        rotate(s, configured)
    s.live()
    since = s.chain.last_time()
    s.chain.stopping.wait(seconds)
    s.expect_healthy()
    s.chain.stop()
    s.chain.stopping.wait(0.3)
    s.expect_unchanged(since)
    nothing_lost(s, len(s.chain.sent))
    if configured <= seconds / s.period:
        all_cells_seen(s)


def at_line_rate(s, configured, rotations=2.5):
    """Frame upon frame without a pause, cut into reads of any size as a USB adapter does."""
    dice = random.Random(configured)
    chain = s.chain
    with chain.wake:
        rotate(s, configured)
    s.opened()
    rest = bytearray()
    left = round(configured * rotations)
    total = left

    def some_bytes():
        nonlocal left
        size = dice.randrange(1, 200)
        while len(rest) < size and left > 0:
            rest.extend(chain.next_frame())
            left -= 1
        taken = bytes(rest[:size])
        del rest[:size]
        return taken or None
    chain.source = some_bytes
    chain.interval = lambda raw: len(raw) / LINE_RATE if raw else 0.1
    chain.start()
    s.daemon.both("closed")
    closed = now()
    end = closed + total * FRAME_SIZE / LINE_RATE + 20
    while left > 0 or rest:
        assert now() < end, "the stream does not end"
        chain.stopping.wait(0.2)
    chain.stopping.wait(0.2)
    s.expect_unchanged(closed)
    s.expect_healthy()
    nothing_lost(s, total)
    all_cells_seen(s)


def more_configured(count, configured):
    return ("%d cells, %d configured" % (count, configured), lambda s: at_the_pace_of_the_boards(s, configured), ("fast",),
            {"cells": count})


def line_rate(count, configured):
    return ("%d cells, %d configured, at line rate" % (count, configured), lambda s: at_line_rate(s, configured), ("fast",),
            {"cells": count})


STORIES = [
    ("role monitor", monitor, ("slow", "fast"), {"config": MONITOR}),
    ("role monitor, no relay mapped", monitor_without_relays, ("fast",), {"config": "role: monitor\n"}),
    more_configured(5, 8), more_configured(33, 48), more_configured(97, 128), more_configured(205, 255),
    more_configured(255, 255),
    line_rate(5, 8), line_rate(33, 48), line_rate(97, 128), line_rate(205, 255), line_rate(255, 255),
]
