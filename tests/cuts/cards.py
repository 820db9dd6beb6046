# SPDX-License-Identifier: MIT
"""What a card may hold after a power cut, made from a recording (record-io.c) of what was done to it.

What was synced is there. Of what was written to a file since, each sector of 512 bytes has any of the states that it went
through, independently of all others, and the file any of the sizes; only when it was made shorter, that happened whole or not at
all: no file system leaves a file as long as it was with zeros in it. Directory operations (a new file, link, rename, unlink) are
whole and keep their order, as with a journal; how many of them are there is anybody's guess, from what was made durable on. What
makes them durable:

    ext4    a sync of anything: there is one journal, and whatever commits it commits all of it
    strict  a sync of the directory only, as POSIX has it

Half of the images take the extremes, on purpose: nothing of what was not synced, all of it, all of it up to a moment.
"""

import bisect
import json
import os
import random
import struct
import subprocess

SECTOR = 512
START, OPEN, CLOSE, WRITE, TRUNCATE, ALLOCATE, SYNC, LINK, RENAME, UNLINK, MKDIR = range(11)
RECORD = struct.Struct("<IiQQQIIII")  # struct record of record-io.c
CREATED, EMPTIED = 1, 2

NOTHING, ALL, MOMENT, SECTORS, MOST = "nothing", "all", "moment", "sectors", "most"


class Step:
    __slots__ = ("kind", "fd", "begun", "done", "offset", "flag", "source", "target", "data")

    def __init__(self, words, source, target, data):
        self.kind, self.fd, self.begun, self.done, self.offset, self.flag = words[:6]
        self.source, self.target, self.data = source, target, data


def read_recording(path):
    """The steps, oldest first. Times are seconds of CLOCK_BOOTTIME."""
    with open(path, "rb") as f:
        raw = f.read()
    steps, at = [], 0
    while at < len(raw):
        words = RECORD.unpack_from(raw, at)
        at += RECORD.size
        texts = []
        for size in words[6:9]:
            assert at + size <= len(raw), "the recording is cut off"
            texts.append(raw[at:at + size])
            at += size
        step = Step(words, texts[0].decode(), texts[1].decode(), texts[2])
        step.begun, step.done = step.begun / 1e9, step.done / 1e9
        steps.append(step)
    return steps


def overwrite(content, offset, data):
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(data)] = data


class File:
    def __init__(self):
        self.durable = bytearray()
        self.pending = []   # (number of the step, kind, offset, data), and what size the file then has
        self.size = 0
        self.directory = False

    def do(self, number, kind, offset, data=b""):
        if kind == WRITE:
            self.size = max(self.size, offset + len(data))
        elif kind == TRUNCATE:
            self.size = offset
        elif kind == ALLOCATE:
            self.size = max(self.size, offset)
        self.pending.append((number, kind, offset, data, self.size))

    @staticmethod
    def apply(content, kind, offset, data):
        if kind == WRITE:
            overwrite(content, offset, data)
        elif kind == TRUNCATE and offset < len(content):
            del content[offset:]
        elif offset > len(content):
            content.extend(bytes(offset - len(content)))

    def sync(self):
        for _, kind, offset, data, _ in self.pending:
            self.apply(self.durable, kind, offset, data)
        self.pending = []

    def until(self, number):
        """All that was done up to this step."""
        content = bytearray(self.durable)
        for n, kind, offset, data, _ in self.pending:
            if n > number:
                break
            self.apply(content, kind, offset, data)
        return content

    def stretches(self):
        """What is pending, cut behind each step that makes the file shorter."""
        parts, size = [[]], len(self.durable)
        for step in self.pending:
            parts[-1].append(step)
            if step[1] == TRUNCATE and step[2] < size:
                parts.append([])
            size = step[4]
        return parts

    def sectors(self, dice, fresh):
        """Each sector as it was at some time since the sync, the newest with this probability. But a file is made shorter as a
        whole: before that nothing of what came behind it is there, and behind it nothing of what is cut off."""
        parts = self.stretches()
        last = len(parts) - 1 if dice.random() < fresh else dice.randint(0, len(parts) - 1)
        content = bytearray(self.durable)
        for n, part in enumerate(parts[:last + 1]):
            shorter = n < last
            content = self.shuffled(content, part[:-1] if shorter else part, dice, fresh)
            if shorter:
                size = part[-1][2]
                content = content[:size] + bytes(max(0, size - len(content)))
        return content

    @staticmethod
    def shuffled(durable, pending, dice, fresh):
        touched, longest = {}, max([len(durable)] + [p[4] for p in pending])
        for n, (_, kind, offset, data, _) in enumerate(pending):
            if kind == WRITE:
                for sector in range(offset // SECTOR, (offset + len(data) + SECTOR - 1) // SECTOR):
                    touched.setdefault(sector, []).append(n)
        newest = {sector: steps[-1] if dice.random() < fresh else dice.choice([-1] + steps[:-1])
                  for sector, steps in touched.items()}
        content = bytearray(durable) + bytes(longest - len(durable))
        for n, (_, kind, offset, data, _) in enumerate(pending):
            if kind != WRITE:
                continue    # longer by zeros
            for sector in range(offset // SECTOR, (offset + len(data) + SECTOR - 1) // SECTOR):
                if n <= newest[sector]:
                    begin, end = max(offset, sector * SECTOR), min(offset + len(data), (sector + 1) * SECTOR)
                    content[begin:end] = data[begin - offset:end - offset]
        sizes = [len(durable)] + [p[4] for p in pending]
        size = sizes[-1] if dice.random() < fresh else dice.choice(sizes)
        return content[:size]


class Card:
    """forget: syncs for which forget(name, is_directory) holds do nothing: a card that lies, a program that forgot them."""

    def __init__(self, journal="ext4", forget=lambda name, directory: False):
        assert journal in ("ext4", "strict")
        self.journal, self.forget = journal, forget
        self.root = File()
        self.root.directory = True
        self.names = {"": self.root}        # as programs see them now
        self.durable_names = {"": self.root}
        self.changes = []                   # (number of the step, function on a dictionary of names), not durable yet
        self.fds = {}                       # -> (file, name)
        self.steps = 0

    def change(self, function):
        function(self.names)
        self.changes.append((self.steps, function))

    def keep_names(self):
        for _, function in self.changes:
            function(self.durable_names)
        self.changes = []

    def do(self, step):
        self.steps += 1
        kind = step.kind
        if kind == START:
            self.fds = {}
        elif kind == OPEN:
            if step.flag == CREATED and step.source not in self.names:
                new = File()
                self.change(lambda names, name=step.source: names.__setitem__(name, new))
            file = self.names[step.source]
            if step.flag == EMPTIED:
                file.do(self.steps, TRUNCATE, 0)
            self.fds[step.fd] = file, step.source
        elif kind == CLOSE:
            self.fds.pop(step.fd, None)
        elif kind in (WRITE, TRUNCATE, ALLOCATE):
            self.fds[step.fd][0].do(self.steps, kind, step.offset, step.data)
        elif kind == SYNC:
            file, name = self.fds[step.fd]
            if self.forget(name, file.directory):
                return
            file.sync()
            if file.directory or self.journal == "ext4":
                self.keep_names()
        elif kind == LINK:
            self.change(lambda names: names.__setitem__(step.target, names[step.source]))
        elif kind == RENAME:
            if not step.flag:
                self.change(lambda names: names.__setitem__(step.target, names.pop(step.source)))
        elif kind == UNLINK:
            self.change(lambda names: names.pop(step.source))
        elif kind == MKDIR:
            if step.source == "":
                return      # itself, just before the first file

            def make(names):
                names[step.source] = File()
                names[step.source].directory = True
            self.change(make)
        else:
            raise AssertionError(f"a step of kind {kind}")

    def compare(self, directory):
        """What all steps together make must be what is there; else something was not recorded. Without SQLite's -shm."""
        there = {}
        for path, _, files in os.walk(directory):
            for name in files:
                name = os.path.relpath(os.path.join(path, name), directory)
                with open(os.path.join(directory, name), "rb") as f:
                    there[name] = f.read()
        ours = {name: bytes(file.until(self.steps)) for name, file in self.names.items() if not file.directory}
        for name in sorted(set(there) | set(ours)):
            if not name.endswith("-shm"):
                assert there.get(name) == ours.get(name), f"the recording does not agree about {name}"

    def image(self, dice, mode, to):
        """Writes what may be there after a cut at this moment into the new directory `to`."""
        moment = dice.randint(0, self.steps)
        names = dict(self.durable_names)
        if mode == NOTHING:
            number = 0
        elif mode == ALL or mode == MOST:
            number = len(self.changes)
        elif mode == MOMENT:
            number = sum(n <= moment for n, _ in self.changes)
        else:
            number = dice.randint(0, len(self.changes))
        for _, function in self.changes[:number]:
            function(names)
        made = {}
        os.mkdir(to)
        for name, file in sorted(names.items()):
            path = os.path.join(to, name)
            if file.directory:
                os.makedirs(path, exist_ok=True)
                continue
            if name.endswith("-shm"):
                continue
            if id(file) in made:
                os.link(made[id(file)], path)
                continue
            made[id(file)] = path
            if mode == NOTHING or not file.pending:
                content = file.durable
            elif mode == ALL:
                content = file.until(self.steps)
            elif mode == MOMENT:
                content = file.until(moment)
            else:
                content = file.sectors(dice, 0.98 if mode == MOST else dice.choice((0.1, 0.5, 0.9)))
            with open(path, "wb") as f:
                f.write(content)


MODES = [NOTHING] * 3 + [ALL] * 2 + [MOMENT] * 4 + [SECTORS] * 8 + [MOST] * 3


def moments(steps, count, dice, first):
    """(number of steps done, time). A fifth of them anywhere among the steps, a fifth in any stretch between two syncs, be
    it of one step or of a thousand, a fifth around steps that make a file shorter (a WAL that was taken over), a fifth
    among the first hundred (a first start): each as late as can be before the next step. A fifth at any time."""
    starts = [n + 1 for n, step in enumerate(steps) if step.kind == SYNC and n + 1 > first]
    stretches = [(a, b) for a, b in zip([first] + starts, starts + [len(steps)]) if a <= b]
    shorter = [n for n, step in enumerate(steps) if step.kind == TRUNCATE]
    begun = [step.begun for step in steps] + [steps[-1].done]
    made = []
    for _ in range(count):
        how = dice.randrange(5)
        if how == 3 and shorter:
            n = min(len(steps), max(first, dice.choice(shorter) + dice.randint(-30, 60)))
            made.append((n, begun[n]))
        elif how == 4:
            n = dice.randint(first, min(len(steps), first + 100))
            made.append((n, begun[n]))
        elif how >= 2:
            at = dice.uniform(begun[first], begun[-1])
            made.append((bisect.bisect_left(begun, at), at))
        else:
            n = dice.randint(first, len(steps)) if how == 0 else dice.randint(*dice.choice(stretches))
            made.append((n, begun[n]))
    return sorted(made)


def cuts(steps, count, seed, root, journal="ext4", forget=lambda name, directory: False, first=1):
    """Yields (directory, time, mode, number of steps done) for each of `count` cuts behind at least `first` steps, in the
    order of time. Whatever was promised by then must hold."""
    dice = random.Random(seed)
    card = Card(journal, forget)
    chosen = moments(steps, count, dice, first)
    number = 0
    for n, step in enumerate(steps + [None]):
        while number < count and chosen[number][0] == n:
            to = os.path.join(root, f"cut-{number}")
            mode = dice.choice(MODES)
            card.image(dice, mode, to)
            yield to, chosen[number][1], mode, n
            number += 1
        if step:
            card.do(step)


class Judge:
    """judge.c: what the daemon would find in a directory."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, directory):
        self.process.stdin.write(directory + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line.endswith("\n"), f"judge ended over {directory}"
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        assert self.process.wait() == 0, "judge failed"
