# SPDX-License-Identifier: MIT
"""Limits crossed by believed readings, or by one that nothing confirms (design 12, rows 5, 6 and 8; rules B8, B12, P4)."""

BOTH = ("slow", "fast")
AT_ONCE = 0.1           # design 12: after the last byte of the confirming frame
RESTART_DELAY = 60      # P4, the default of both relays


def crossed(s, relays, **changes):
    """The second frame that says so opens the relays; the readings return, and the restart delay passes."""
    s.live()
    before = {name: getattr(s.chain, name) for name in changes}
    n = s.chain.tell(**changes)
    first, confirming = s.chain.frame_time(n), s.chain.frame_time(n + 1)
    opened = s.expect_open(relays, first, confirming - first + AT_ONCE, soonest=s.period - 0.05)
    s.figures.pop()
    s.figure("open behind the confirming frame", confirming, opened, AT_ONCE, soonest=0)
    return before, opened


def until_closed_again(s, relays, before, opened):
    mended = s.chain.frame_time(s.chain.tell(**before))
    s.expect_recovery(opened, mended, relays, delay=RESTART_DELAY)
    s.expect_link("live", "", error=False)


def v_max(s):
    mv = s.chain.mv[:]
    mv[2] = 3650
    before, opened = crossed(s, ["charge"], mv=mv)
    s.expect_why("charge", "cell 3 at 3.650 V reached V-max 3.650 V")
    until_closed_again(s, ["charge"], before, opened)


def v_min(s):
    mv = s.chain.mv[:]
    mv[7] = 2800
    before, opened = crossed(s, ["load"], mv=mv)
    s.expect_why("load", "cell 8 at 2.800 V fell to V-min 2.800 V")
    until_closed_again(s, ["load"], before, opened)


def t_min(s):
    """The manual's single T-min is for both (P8 unset)."""
    before, opened = crossed(s, ["charge", "load"], degc=[20, -1] + [20] * 6)
    s.expect_why("load", "cell 2 at -1.0")
    until_closed_again(s, ["charge", "load"], before, opened)


def t_min_for_charging_only(s):
    before, opened = crossed(s, ["charge"], degc=[20, -1] + [20] * 6)
    until_closed_again(s, ["charge"], before, opened)


def t_max(s):
    before, opened = crossed(s, ["charge", "load"], degc=[20] * 5 + [56, 20, 20])
    s.expect_why("charge", "cell 6 at 56.0")
    until_closed_again(s, ["charge", "load"], before, opened)


def confirmed_over_refused_frames(s):
    """B8: a refused frame between the two does not reset the count."""
    s.live()
    mv = s.chain.mv[:]
    mv[2] = 3650
    n = s.chain.tell(mv=mv)
    first = s.chain.frame_time(n)
    s.chain.damaged()
    s.chain.frame_time(n + 1)
    s.chain.tell(change=lambda raw: raw)
    s.expect_open(["charge"], first, 2 * s.period + AT_ONCE, soonest=2 * s.period - 0.05)
    s.expect_why("charge", "reached V-max")


def cancelled(s):
    """B8: a good frame that keeps the rule cancels it."""
    s.live()
    healthy, mv = s.chain.mv[:], s.chain.mv[:]
    mv[2] = 3650
    since = s.chain.frame_time(s.chain.tell(mv=mv))
    s.chain.frame_time(s.chain.tell(mv=healthy))
    s.chain.frame_time(s.chain.tell(mv=mv))
    s.chain.frame_time(s.chain.tell(mv=healthy) + 3)
    s.expect_unchanged(since)


def unconfirmed(s, relay, mv):
    """One frame beyond the limit, then only refused ones; the good frames return before the link is stale."""
    s.live()
    healthy = s.chain.mv[:]
    first = s.chain.frame_time(s.chain.tell(mv=mv))
    s.chain.damaged()
    s.chain.tell(mv=healthy)
    opened = s.expect_open([relay], first, s.by_rate(2.6, 1.4), soonest=2.5 * s.period - 0.05)
    s.expect_why(relay, "a limit was crossed, then no usable message came to confirm it")
    mended = s.chain.frame_time(s.chain.tell(change=lambda raw: raw))
    s.expect_recovery(opened, mended, [relay])
    s.expect_healthy()


def unconfirmed_v_max(s):
    unconfirmed(s, "charge", s.chain.mv[:7] + [3700])


def unconfirmed_v_min(s):
    unconfirmed(s, "load", s.chain.mv[:7] + [2700])


def frozen(s):
    """B12: 60 s of the same readings (byte 24 and the pair go on) while 10 A flow into a pack of 50 Ah."""
    s.live()
    first = s.chain.frame_time(s.chain.tell(fields={"i_in": 10000, "key": 131, "value": 2}))
    raised = s.daemon.wait_line("alarm: the readings have not changed for a minute", since=first, timeout=63)
    s.figure("alarm", first, raised, 60 + AT_ONCE, soonest=60 - 0.05)
    assert "frozen" in " ".join(a["name"] for a in s.status()["alarms"])
    s.chain.tell(fields={"i_in": 10125})
    s.daemon.wait_line("alarm is over: the readings", since=raised, timeout=3)
    s.expect_unchanged(first)


STORIES = [(title, function, BOTH, options) for title, function, options in (
    ("V-max reached", v_max, {}),
    ("V-min reached", v_min, {}),
    ("below T-min", t_min, {}),
    ("below T-min, not below T-min for discharging", t_min_for_charging_only,
     {"config": "settings:\n  tmin_discharge: -20degC\n"}),
    ("above T-max", t_max, {}),
    ("V-max confirmed over a refused frame", confirmed_over_refused_frames, {}),
    ("V-max cancelled by a good frame", cancelled, {}),
    ("V-max, then only refused frames", unconfirmed_v_max, {}),
    ("V-min, then only refused frames", unconfirmed_v_min, {}),
    ("frozen readings under current", frozen, {"config": "settings:\n  capacity: 1280Wh\n"}),
)]
