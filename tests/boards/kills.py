# SPDX-License-Identifier: MIT
"""Boards of a simulated chain killed and revived in real time, with the real smartbmsd on the pty.

    kills.py SMARTBMS_BOARDS IN_IMAGE CELL_IMAGE SMARTBMSD SMARTBMSCTL CELLS BOARDS...     BOARDS: numbers, or `all`

For the IN board's extended data output and for the last board's output: after a board is killed both relays must be open within 5 s,
and the log must name the place; after it is revived all must be well again. Frames are real: the boards run their images.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "dbus"))
import harness  # noqa: E402
from harness import now  # noqa: E402

START_MAX = 60
OPEN_MAX = 5.0
WARN_MAX = 3.0 + 0.4    # cycles of 1 s after the last good frame began, the orphan's way, and the machine
SILENT_MAX = 3.6 + 0.3  # design 12: no frame at all


class Boards:
    def __init__(self, program, in_image, cell_image, cells, directory, tap):
        link = {"in": "--link", "last": "--last"}[tap]
        run = [program, "--in", in_image, "--cell", cell_image, "--cells", str(cells), "--soc", "50", "--seed", "3",
               "--eeprom", os.path.join(directory, "eeprom")]
        # Boards that have worked before: their oscillators' trim is stored.
        subprocess.run([*run, "--speed", "max", "--duration", "90"], check=True)
        self.process = subprocess.Popen(
            [*run, link, os.path.join(directory, "port"), "--control"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=harness.end_with_parent)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        at = now()
        answer = self.process.stdout.readline().strip()
        assert answer == "ok", f"{command}: {answer}"
        return at

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()


def expected(board, cells, tap):
    if board == 1:
        return "no data from the IN board"
    if board < cells:
        return rf"board {board}, or the link from it to board {board + 1}"
    return rf"the last board \({cells}\), or the ring return" if tap == "in" else "no data from the last board"


def wait_file(path):
    end = now() + 10
    while not os.path.exists(path):
        assert now() < end, f"no {path}"
        time.sleep(0.05)


def story(programs, cells, boards, tap):
    program, in_image, cell_image, smartbmsd, _ = programs
    directory = harness.tempfile.mkdtemp(prefix="smartbms-boards-")
    bus = harness.PrivateBus(directory).start()
    chain = Boards(program, in_image, cell_image, cells, directory, tap)
    daemon = None
    try:
        wait_file(os.path.join(directory, "port"))
        # `cells` and the tap make the place known.
        daemon = harness.Daemon(smartbmsd, directory, bus.address, f"cells: {cells}\ntap: {tap}\ntemperature: sheet\n")
        daemon.both("closed", timeout=START_MAX)
        for board in boards:
            time.sleep(2 + 0.37 * board % 1)
            killed = chain.tell(f"kill {board}")
            opened = daemon.both("open", since=killed, timeout=10) - killed
            named = daemon.wait_line(expected(board, cells, tap), since=killed, timeout=10) - killed
            silent = board == (1 if tap == "in" else cells)
            # The last good frame may have begun after the board was killed, and up to a cycle before.
            assert named <= (SILENT_MAX if silent else WARN_MAX) + 1, f"board {board} named after {named:.2f} s"
            assert opened <= OPEN_MAX, f"relays open {opened:.2f} s after board {board} was killed"
            revived = chain.tell(f"revive {board}")
            closed = daemon.both("closed", since=revived, timeout=60) - revived
            print(f"# tap {tap}, board {board}: named after {named:.2f} s, open after {opened:.2f} s, "
                  f"closed {closed:.1f} s after it was revived")
    except AssertionError as error:
        print("#", str(error).replace("\n", "\n# "))
        return False
    finally:
        if daemon:
            daemon.stop()
        chain.stop()
        bus.stop()
        harness.shutil.rmtree(directory)
    return True


def main():
    programs, cells = sys.argv[1:6], int(sys.argv[6])
    boards = list(range(1, cells + 1)) if sys.argv[7:] == ["all"] else [int(a) for a in sys.argv[7:]]
    print("1..2")
    with ThreadPoolExecutor() as both:   # they mostly wait
        results = both.map(lambda tap: story(programs, cells, boards, tap), ["in", "last"])
        for n, (tap, good) in enumerate(zip(["in", "last"], results), 1):
            print("ok" if good else "not ok", n, f"- killed boards, tap {tap}", flush=True)


if __name__ == "__main__":
    main()
