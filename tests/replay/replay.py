# SPDX-License-Identifier: MIT
"""Design 12's rows that need neither GPIO nor a store, through the real smartbmsd: each within its bound, each recovering
without a restart, at both message rates.

  replay.py SMARTBMSD SMARTBMSCTL WALL_CLOCK [WORD...]     only stories whose title contains all WORDs

Each story has a process, a bus, a pty and a daemon to itself, and mostly waits; all of them run at once. Output is TAP,
with what was measured. A story that fails while the machine itself was late by more than 50 ms is told once more.
"""

import multiprocessing
import multiprocessing.connection
import os
import sys
import time
import traceback
import tty

import story
import stories_around
import stories_limits
import stories_link
import stories_packs

STORIES = stories_link.STORIES + stories_limits.STORIES + stories_around.STORIES + stories_packs.STORIES
SKIPPED = [
    ("daemon killed, out of memory, hung", "needs GPIO lines and a service manager"),
    ("GPIO chip gone, line busy", "needs GPIO lines"),
    ("BlueZ gone", "by a stand-in in suite ble, by the real one in tests/vm (ble-restarts)"),
]
START_APART = 0.05  # seconds between two stories' starts, so that they do not wait for one another
CANARY = 0.02


def tell(programs, title, function, rate, options, connection):
    """The child: one story, once."""
    s, problem, skip = None, None, None
    try:
        s = story.Story(programs, title, rate, **options)
        function(s)
    except story.Skip as e:
        skip = str(e)
    except Exception as e:  # an assertion's sentence is enough; anything else is a fault of the story
        problem = str(e) if isinstance(e, AssertionError) and str(e) else traceback.format_exc()
    finally:
        if s:
            status = s.close()
            if problem is None and skip is None and status != 0:
                problem = f"smartbmsd ended with {status}"
    log = [f"{t:.3f} {line}" for t, line in s.daemon.lines] if s and problem else []
    measured = [f"{what} {seconds:.4f} s (of {bound:.2f})" for what, seconds, bound in s.figures] + s.notes if s else []
    text = " # SKIP " + skip if skip else ": " + "; ".join(measured) if measured else ""
    span, late = ((s.started, story.now()), s.chain.late) if s else (None, [])
    connection.send((problem, text, span, late, log))


class Canary(multiprocessing.Process):
    """Notices when the machine itself is late: a timer, or a byte through a pty, which a thread of the kernel passes on."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ours, self.its = multiprocessing.Pipe(duplex=False)

    def run(self):
        master, slave = os.openpty()
        tty.setraw(slave)
        while True:
            due = story.now() + CANARY
            time.sleep(CANARY)
            os.write(master, b".")
            os.read(slave, 1)
            if story.now() - due > story.LATE:
                self.its.send((due, story.now() - due))


class Run:
    def __init__(self, programs, title, function, rate, options):
        self.arguments = (programs, title, function, rate, options)
        self.title = title
        self.result = None
        self.again = None  # the problem for which it was told once more
        self.lateness = None

    def start(self):
        self.ours, its = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.Process(target=tell, args=(*self.arguments, its))
        self.process.start()
        its.close()

    def finish(self):
        try:
            self.result = self.ours.recv()
        except EOFError:
            self.result = ("the story's process ended before its end", "", None, [], [])
        self.process.join()
        return self.result


def report(n, run):
    problem, measured, _, _, log = run.result
    print(f"{'not ok' if problem else 'ok'} {n} - {run.title}{measured}")
    if run.again:
        times, most = run.lateness
        print(f"#   told twice: the machine was late {times} times, by up to {most:.3f} s; the first time: {run.again}")
    if problem:
        print("".join(f"#   {line}\n" for line in problem.splitlines() + log), end="")
    sys.stdout.flush()


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    multiprocessing.set_start_method("fork")
    programs = {"smartbmsd": sys.argv[1], "smartbmsctl": sys.argv[2], "wall-clock": sys.argv[3]}
    words = sys.argv[4:]
    runs = [Run(programs, f"{title}, {rate}", function, rate, options) for title, function, rates, options in STORIES
            for rate in rates if all(w in f"{title}, {rate}" for w in words)]
    skipped = [] if words else SKIPPED
    print(f"1..{len(runs) + len(skipped)}")
    canary = Canary()
    canary.start()
    started = story.now()
    for run in runs:
        run.start()
        time.sleep(START_APART)
    pending, lates, n = list(runs), [], 0
    while pending:
        for ready in multiprocessing.connection.wait([r.ours for r in pending]):
            run = next(r for r in pending if r.ours is ready)
            problem, _, span, late, _ = run.finish()
            while canary.ours.poll():
                lates.append(canary.ours.recv())
            late = late + [(due, by) for due, by in lates if span and span[0] <= due + by and due <= span[1]]
            if problem and late and not run.again:
                run.again, run.lateness = problem, (len(late), max(by for _, by in late))
                run.start()
                continue
            pending.remove(run)
            n += 1
            report(n, run)
    for title, why in skipped:
        n += 1
        print(f"ok {n} - {title} # SKIP {why}")
    print(f"# {len(runs)} stories in {story.now() - started:.0f} s")
    canary.terminate()
    sys.exit(any(r.result[0] for r in runs))


if __name__ == "__main__":
    main()
