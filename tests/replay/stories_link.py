# SPDX-License-Identifier: MIT
"""The chain is not heard, or what is heard cannot be used (design 12, rows 1 to 4 and 7; rules B10..B17)."""

BOTH = ("slow", "fast")

# Bounds of design 12; "not before" is B10's 3.5 periods, less what a frame's time may be off here.
STALE = (3.6, 1.9)
SOON = 0.05


def stale_soonest(s):
    return 3.5 * s.period - SOON


def nothing_usable(s, last, state, text):
    """Both open within the bound from the last good frame, the place is named; then the chain is whole again."""
    opened = s.expect_both_open(last, s.by_rate(*STALE), soonest=stale_soonest(s))
    s.expect_link(state, text)
    relays = s.status()["relays"]
    assert not relays["charge"]["closed"] and not relays["load"]["closed"]
    mended = s.chain.frame_time(s.chain.mend())
    s.expect_recovery(opened, mended)
    s.expect_healthy()


def silence(s):
    s.live()
    nothing_usable(s, s.chain.silence(), "stale", "no data from the IN board")


def noise(s):
    s.live()
    nothing_usable(s, s.chain.noise(seed=12), "stale", "no data from the IN board")
    assert s.status()["counters"]["counter_skipped_bytes"] > 1000


def damaged(s):
    s.live()
    nothing_usable(s, s.chain.damaged(), "stale", "no data from the IN board")


def cut_in_the_middle(s):
    s.live()
    nothing_usable(s, s.chain.cut_behind(5), "error", "board 5, or the link from it to board 6")


def cut_behind_the_in_board(s):
    s.live()
    nothing_usable(s, s.chain.cut_behind(1), "error", "the IN board's output (board 1)")


def no_ring_return(s):
    s.live()
    nothing_usable(s, s.chain.no_return(), "error", "the last board (8), or the ring return")


def cannot_be(s, text, **changes):
    """Frames of E that are sound otherwise: both open within 1.1 / 0.6 s from the first of them."""
    s.live()
    before = {name: getattr(s.chain, name) for name in changes}
    first = s.chain.frame_time(s.chain.tell(**changes))
    s.daemon.wait_line("alarm: .*" + text, since=first, timeout=0.2)  # B13: the first one raises the warning
    opened = s.expect_both_open(first, s.by_rate(1.1, 0.6), soonest=s.period - SOON)
    s.expect_link("error", text, error=True)
    mended = s.chain.frame_time(s.chain.tell(**before))
    s.expect_recovery(opened, mended)
    s.expect_healthy()


def count_changes(s):
    cannot_be(s, "7 cells are heard, 8 are expected", mv=s.chain.mv[:7], degc=[20] * 7)


def cell_below_one_volt(s):
    cannot_be(s, "cell 3 reads 0.995 V", mv=[3300, 3300, 995] + [3300] * 5)


def one_volt_is_empty(s):
    """B17's other side: 1.000 V can be, and is V-low: only the load opens, as at any limit."""
    s.live()
    first = s.chain.tell(mv=[3300, 3300, 1000] + [3300] * 5)
    s.expect_open(["load"], s.chain.frame_time(first + 1), 0.1)
    s.expect_link("live", "", error=False)


def unplugged(s):
    s.live()
    opened = s.expect_both_open(s.chain.unplug(), 1.0)
    s.expect_link("stale", "the serial port is gone")
    s.chain.plug()
    mended = s.chain.frame_time(s.chain.mend())
    s.expect_recovery(opened, mended, reopening=2.0)  # a port that is away is looked for each 2 s at the least
    s.expect_healthy()


def plugged_again_late(s):
    """Away for longer than every backoff, and the link points elsewhere when it returns."""
    s.live()
    opened = s.expect_both_open(s.chain.unplug(), 1.0)
    s.chain.stopping.wait(12)
    s.chain.plug()
    mended = s.chain.frame_time(s.chain.mend())
    s.expect_recovery(opened, mended, reopening=2.0)
    s.expect_healthy()


def identical(s):
    """B11: 10 s from the first of the identical frames; the bound is that moment plus the 0.1 s of any decision."""
    s.live()
    opened = s.expect_both_open(s.chain.repeat(), 10.1, soonest=10 - SOON)
    s.expect_link("stale", "the same message has come for 10 s")
    mended = s.chain.frame_time(s.chain.mend())
    s.expect_recovery(opened, mended)
    s.expect_healthy()


STORIES = [(title, function, BOTH, options) for title, function, options in (
    ("silence", silence, {}),
    ("all garbage: random bytes", noise, {}),
    ("all garbage: wrong checksums", damaged, {}),
    ("chain cut behind board 5 of 8", cut_in_the_middle, {}),
    ("chain cut behind the IN board", cut_behind_the_in_board, {}),
    ("ring return lost", no_ring_return, {}),
    ("cell count changes", count_changes, {}),
    ("cell below 1.0 V", cell_below_one_volt, {}),
    ("cell at 1.0 V", one_volt_is_empty, {}),
    ("port unplugged", unplugged, {}),
    ("port away for 12 s", plugged_again_late, {}),
    ("identical frames", identical, {}),
)]
