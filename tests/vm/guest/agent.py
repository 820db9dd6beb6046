#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The bench's hand in the guest. Over the port "bench" it says READY, then takes a line

    RUN EPOCH LENGTH PHASE SCENARIO STATE

and LENGTH bytes of a tar; sets the clock, runs scenarios/SCENARIO of it, passes on what that says (LOG), the journal if it
failed (JOURNAL), its exit status (END), and is READY again."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

WORK = pathlib.Path("/run/bench")


def say(port, word, text=""):
    port.write((word + " " + text.rstrip("\n") + "\n").encode(errors="replace"))


def run(port, scenario, phase, state):
    environment = dict(os.environ, PYTHONPATH=str(WORK / "guest"), PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1",
                       BENCH_PHASE=phase, BENCH_STATE=state)
    process = subprocess.Popen([WORK / "scenarios" / scenario], cwd=WORK, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                               start_new_session=True)
    threading.Thread(target=end_with, args=(process,), daemon=True).start()
    for line in process.stdout:
        say(port, "LOG", line)
    return process.wait()


def end_with(process):
    """What a scenario leaves behind would hold the other end of its output open for ever."""
    with contextlib.suppress(ChildProcessError, ProcessLookupError):  # nothing is left
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        os.killpg(process.pid, signal.SIGKILL)


def journal(*options):
    return subprocess.run(["journalctl", "--no-pager", "-o", "short-monotonic", *options], stdout=subprocess.PIPE,
                          text=True, errors="replace", check=False).stdout


def main():
    for module in ("virtio_console", "xhci_pci", "ftdi_sio", "gpio_bench"):
        subprocess.run(["modprobe", module], check=False)
    if not os.path.ismount("/sys/kernel/config"):
        subprocess.run(["mount", "-t", "configfs", "config", "/sys/kernel/config"], check=False)
    port = pathlib.Path("/dev/virtio-ports/bench")
    while not port.exists():
        time.sleep(0.1)
    with open(port, "r+b", buffering=0) as port:
        while True:
            say(port, "READY")
            header = b""
            while not header.endswith(b"\n"):
                header += port.read(1) or b""
            _, epoch, length, phase, scenario, state = header.decode().rstrip("\n").split(" ", 5)
            body = b""
            while len(body) < int(length):
                body += port.read(int(length) - len(body)) or b""
            if epoch != "-":
                time.clock_settime(time.CLOCK_REALTIME, float(epoch))
            shutil.rmtree(WORK, ignore_errors=True)
            WORK.mkdir()
            # Not tarfile: without a filter newer versions of Python complain, and Debian 12's knows none.
            subprocess.run(["tar", "--extract", "--no-same-owner"], input=body, cwd=WORK, check=True)
            before = journal("-n", "0", "--show-cursor").rpartition("-- cursor: ")[2].strip()
            code = run(port, scenario, phase, state)
            if code not in (0, 77):
                for line in journal("-b", "-n", "1000", *(["--after-cursor", before] if before else [])).splitlines():
                    say(port, "JOURNAL", line)
            say(port, "END", str(code))


main()
