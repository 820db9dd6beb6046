# SPDX-License-Identifier: MIT
"""What must be in a state directory, by what was promised until then. Said once, for cuts and kills."""

import cards
import keeper

AGE = 60    # design 9: s of running


class Verdict:
    def __init__(self, k, promises):
        self.promises, self.lives, self.watt = promises, k.lives, k.watt()
        self.least = None       # (at, today) that was surely on the card
        self.anchors = {}       # life -> (at, collected today)
        self.settings_good = False
        self.judged = 0
        self.counts = dict.fromkeys(("corrupt", "settings", "events", "old", "back", "wrong"), 0)
        self.examples, self.oldest = {}, 0.0

    def running(self, since, until):
        return sum(max(0.0, min(until, b) - max(since, a)) for a, b in self.lives)

    def blame(self, what, sentence, where):
        self.counts[what] += 1
        self.examples.setdefault(what, f"{sentence} ({where})")

    def take(self, answer, at, mode, where):
        """answer: of judge.c; mode NOTHING: what was found now is surely there for ever."""
        self.judged += 1
        if answer["integrity"] not in ("ok", "none") or answer.get("trouble") or answer.get("aside") or answer.get("kept"):
            self.blame("corrupt", f"{answer['integrity']}, {answer.get('trouble')}{answer.get('aside')}{answer.get('kept')}",
                       where)
            return
        of_settings, of_events = keeper.lost(self.promises, answer, at)
        if self.settings_good and answer["settings"] != "good":
            of_settings.append(f"the settings file is {answer['settings']}, and was good before")
        if mode == cards.NOTHING and answer["settings"] == "good":
            self.settings_good = True
        if answer["settings"] in ("previous", "damaged"):   # whatever was set, or nothing ever was
            of_settings.append(f"the settings file is {answer['settings']}: the relays stay open until a person confirms")
        for what, sentences in ("settings", of_settings), ("events", of_events):
            if sentences:
                self.blame(what, sentences[0], where)
        self.take_state(answer, at, mode, where)

    def take_state(self, answer, at, mode, where):
        promised = [p for p in keeper.due(self.promises, at) if p["what"] != "pin"]
        if not answer["found"]:
            if promised or self.running(0, at) > AGE or self.least:
                self.blame("old", "no state", where)
            return
        age = self.running(answer["at"], at)
        self.oldest = max(self.oldest, age)
        if age > AGE or any(p["begun"] > answer["at"] for p in promised):
            self.blame("old", f"a state {age:.1f} s old", where)
        if self.least and (answer["at"] < self.least[0] or any(x < y for x, y in zip(answer["today"], self.least[1]))):
            self.blame("back", f"state of {answer['at']:.1f}, {answer['today']} mWh, but {self.least} was kept", where)
        if mode == cards.NOTHING:
            self.least = answer["at"], answer["today"]
        self.take_counters(answer, at, where)

    def take_counters(self, answer, at, where):
        """Collected at a steady power; a clearing and a state of charge that were acknowledged."""
        life = next(n for n, (a, b) in enumerate(self.lives) if a <= answer["at"] <= b)
        since, mwh = self.anchors.setdefault(life, (answer["at"], answer["today"][0]))
        flowed = self.watt * (answer["at"] - since) / 3.6
        slack = self.watt * 3 * keeper.PERIOD / 3.6
        if since > self.lives[life][0] + 3 and abs(answer["today"][0] - mwh - flowed) > slack:
            self.blame("wrong", f"{answer['today'][0]} mWh today, {mwh} + {flowed:.0f} flowed", where)
        if since <= self.lives[life][0] + 3:
            del self.anchors[life]      # messages may not have come yet
        cleared = max((p["begun"] for p in keeper.due(self.promises, at) if p["what"] == "clear"), default=None)
        if cleared and answer["total"][0] > self.watt * max(0, answer["at"] - cleared) / 3.6 + slack:
            self.blame("wrong", f"{answer['total'][0]} mWh in total, cleared {answer['at'] - cleared:.1f} s before", where)
        asked = [p for p in self.promises if p["what"] == "soc" and p["begun"] <= at]
        newest = max((n for n, p in enumerate(asked) if p["done"] and p["done"] <= at), default=None)
        if newest is not None and not any(abs(3000 + p["n"] % 4000 - (answer["soc"] or 0)) <= 100 for p in asked[newest:]):
            self.blame("wrong", f"state of charge {answer['soc']}, {asked[newest]} was acknowledged", where)

    def losses(self):
        return {what for what, n in self.counts.items() if n}
