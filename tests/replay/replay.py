# SPDX-License-Identifier: MIT
"""Design 12's rows that need neither GPIO nor a store, through the real smartbmsd: each within its bound, each recovering
without a restart, at both message rates.

  replay.py SMARTBMSD SMARTBMSCTL [WORD...]     only stories whose title contains all WORDs

Each story has a process, a bus, a pty and a daemon to itself, and mostly waits; all of them run at once. Output is TAP,
with what was measured. If the machine itself was late by more than 50 ms while something was being timed, the story is
told once more.
"""

import multiprocessing
import multiprocessing.connection
import sys
import time
import traceback

import story
import stories_around
import stories_limits
import stories_link
import stories_packs

STORIES = stories_link.STORIES + stories_limits.STORIES + stories_around.STORIES + stories_packs.STORIES
SKIPPED = [
    ("wall clock set by +-10 years and +-1 s", "the clock is the whole machine's; what counts on here is that no timer "
                                             "of the daemon is of CLOCK_REALTIME, see 'timers'"),
    ("daemon killed, out of memory, hung", "needs GPIO lines and a service manager"),
    ("GPIO chip gone, line busy", "needs GPIO lines"),
    ("disk full, read-only, corrupt, stalled", "there is no store yet"),
    ("BlueZ gone", "there is no Bluetooth door yet"),
]
START_APART = 0.05  # seconds between two stories' starts, so that they do not wait for one another
CANARY = 0.02


def tell(programs, title, function, rate, options, connection):
    """The child: one story, once."""
    s, problem = None, None
    try:
        s = story.Story(programs, title, rate, **options)
        function(s)
    except Exception as e:  # an assertion's sentence is enough; anything else is a fault of the story
        problem = str(e) if isinstance(e, AssertionError) and str(e) else traceback.format_exc()
    finally:
        if s:
            status = s.close()
            if problem is None and status != 0:
                problem = f"smartbmsd ended with {status}"
    log = [f"{t:.3f} {line}" for t, line in s.daemon.lines] if s and problem else []
    connection.send((problem, s.figures if s else [], s.windows if s else [], s.late() if s else [], log))


class Canary(multiprocessing.Process):
    """Notices when the machine itself is late."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ours, self.its = multiprocessing.Pipe(duplex=False)

    def run(self):
        while True:
            due = story.now() + CANARY
            time.sleep(CANARY)
            if story.now() - due > story.LATE:
                self.its.send((due, story.now() - due))


class Run:
    def __init__(self, programs, title, function, rate, options):
        self.arguments = (programs, title, function, rate, options)
        self.title = title
        self.result = None
        self.again = False
        self.lateness = []

    def start(self):
        self.ours, its = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.Process(target=tell, args=(*self.arguments, its))
        self.process.start()
        its.close()

    def finish(self):
        try:
            self.result = self.ours.recv()
        except EOFError:
            self.result = ("the story's process ended before its end", [], [], [], [])
        self.process.join()
        return self.result


def report(n, run):
    problem, figures, _, _, log = run.result
    measured = "; ".join(f"{what} {seconds:.4f} s (of {bound:.2f})" for what, seconds, bound in figures)
    print(f"{'not ok' if problem else 'ok'} {n} - {run.title}{': ' if measured else ''}{measured}")
    if run.again:
        print(f"#   told twice, the machine was late: {run.lateness}")
    if problem:
        print("".join(f"#   {line}\n" for line in problem.splitlines() + log), end="")
    sys.stdout.flush()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    multiprocessing.set_start_method("fork")
    programs = {"smartbmsd": sys.argv[1], "smartbmsctl": sys.argv[2]}
    words = sys.argv[3:]
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
            problem, _, windows, late, _ = run.finish()
            while canary.ours.poll():
                lates.append(canary.ours.recv())
            late = late + [(due, by) for due, by in lates if any(a <= due + by and due <= b for a, b in windows)]
            if problem and late and not run.again:
                run.again, run.lateness = True, [f"{by:.3f} s" for _, by in late]
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
