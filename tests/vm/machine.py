# SPDX-License-Identifier: MIT
"""The emulated machine, as its host sees it: QEMU, its USB sockets, and the guest's agent."""

import io
import json
import os
import pathlib
import select
import shutil
import socket
import subprocess
import tarfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
WIRES = 2  # USB serial adapters at most
KERNEL_LINE = ("console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on tsc=reliable no_timer_check audit=0 "
               "systemd.show_status=0")


class BenchError(Exception):
    """The bench itself does not work: no verdict about the program."""


def connect(path, deadline):
    while True:
        try:
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(path))
            return s
        except OSError as error:
            s.close()
            if time.monotonic() > deadline:
                raise BenchError(f"{path.name}: {error}") from error
            time.sleep(0.02)


class Monitor:
    """QMP: one command at a time."""

    def __init__(self, path, deadline):
        self.file = connect(path, deadline).makefile("rw")
        self.file.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise BenchError(f"the machine ended at {command}")
            answer = json.loads(line)
            if "error" in answer:
                raise BenchError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def human(self, line):
        answer = self("human-monitor-command", **{"command-line": line})
        if "rror" in answer:
            raise BenchError(f"{line}: {answer}")
        return answer


class Wire(threading.Thread):
    """Carries what the guest's simulated pack sends to the USB adapter. As on a wire, what nobody takes is lost."""

    def __init__(self, source, adapter):
        super().__init__(daemon=True)
        self.source, self.adapter = source, adapter
        self.plugged = False
        self.start()

    def run(self):
        self.adapter.setblocking(False)
        while True:
            try:
                ready, _, _ = select.select([self.source, self.adapter], [], [])
                if self.adapter in ready and not self.adapter.recv(4096):
                    return
                if self.source not in ready:
                    continue
                data = self.source.recv(4096)
                if not data:
                    return
                if self.plugged:
                    self.adapter.send(data)
            except BlockingIOError:
                pass
            except (OSError, ValueError):
                return


class Machine:
    """One run of the machine, on the disk image given."""

    def __init__(self, folder, disk, log, snapshot=None, careful=False):
        """careful: what the guest has flushed to its disk stays there however the machine ends."""
        self.folder, self.disk, self.log = pathlib.Path(folder), pathlib.Path(disk), pathlib.Path(log)
        self.snapshot, self.careful = snapshot, careful
        self.process = None
        self.clock = "utc"
        self.start()

    def start(self):
        sockets = self.folder / "run"
        shutil.rmtree(sockets, ignore_errors=True)
        sockets.mkdir()
        names = ["bench", "host"] + [f"wire{n}" for n in range(WIRES)]
        cache = "writeback" if self.careful else "unsafe"
        command = ["qemu-system-x86_64", "-M", "pc", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "qemu64",
                   "-m", "512M", "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-serial", f"file:{self.log}", "-kernel", self.folder / "vmlinuz",
                   "-initrd", self.folder / "initrd.gz", "-append", KERNEL_LINE,
                   "-drive", f"if=none,id=root,file={self.disk},format=qcow2,cache={cache}",
                   "-device", "virtio-blk-pci,drive=root", "-device", "virtio-rng-pci",
                   "-device", "qemu-xhci,id=xhci", "-device", "virtio-serial-pci",
                   "-rtc", f"base={self.clock}", "-qmp", f"unix:{sockets}/qmp,server=on,wait=off"]
        for name in names:
            command += ["-chardev", f"socket,id={name},path={sockets}/{name},server=on,wait=off",
                        "-device", f"virtserialport,chardev={name},name={name}"]
        for n in range(WIRES):
            command += ["-chardev", f"socket,id=usb{n},path={sockets}/usb{n},server=on,wait=off"]
        if self.snapshot:
            command += ["-loadvm", self.snapshot]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        try:
            self.monitor = Monitor(sockets / "qmp", deadline)
            self.agent = connect(sockets / "bench", deadline)
            self.requests = connect(sockets / "host", deadline)
            self.wires = [Wire(connect(sockets / f"wire{n}", deadline), connect(sockets / f"usb{n}", deadline))
                          for n in range(WIRES)]
        except BenchError:
            self.kill()
            raise
        self.unread = []
        self.partial = {self.agent: b"", self.requests: b""}

    def plug(self, n, name=None, vendor=True):
        arguments = {"driver": "usb-serial", "id": f"adapter{n}", "chardev": f"usb{n}", "bus": "xhci.0"}
        if vendor:
            arguments["serial"] = name or f"BENCH{n}"
        self.monitor("device_add", **arguments)
        self.wires[n].plugged = True

    def unplug(self, n):
        self.wires[n].plugged = False
        self.monitor("device_del", id=f"adapter{n}")
        # A device that is asked to go is gone a moment later.
        deadline = time.monotonic() + 10
        while f"adapter{n}" in str(self.monitor("qom-list", path="/machine/peripheral")):
            if time.monotonic() > deadline:
                raise BenchError(f"adapter {n} does not go")
            time.sleep(0.02)

    def kill(self):
        """The power fails."""
        self.process.kill()
        self.process.wait()

    def quit(self):
        try:
            self.monitor("quit")
            self.process.wait(20)
        except (BenchError, OSError, subprocess.TimeoutExpired):
            self.kill()

    def lines(self, deadline):
        """Yields ("agent", line) and ("host", line) as they come."""
        died_of = []
        while True:
            while self.unread:
                who, line = self.unread.pop(0)
                if who == "agent" and line.startswith("AGENT "):
                    died_of.append(line)
                elif who == "agent" and line == "DEAD":
                    raise BenchError("\n".join(["the guest's agent ended:", *died_of]))
                else:
                    yield who, line
            ready = select.select(list(self.partial), [], [], max(deadline - time.monotonic(), 0))[0]
            if not ready:
                raise TimeoutError
            for s in ready:
                data = s.recv(65536)
                if not data:
                    raise BenchError("the machine ended")
                *whole, self.partial[s] = (self.partial[s] + data).split(b"\n")
                who = "agent" if s is self.agent else "host"
                self.unread += [(who, line.decode(errors="replace")) for line in whole]

    def last_requests(self):
        """After kill(): what the guest asked for, whole lines only, and nobody has read yet."""
        asked = "".join(line + "\n" for who, line in self.unread if who == "host").encode() + self.partial[self.requests]
        while data := self.requests.recv(65536):
            asked += data
        return asked.decode(errors="replace").split("\n")[:-1]

    def await_agent(self, seconds):
        try:
            for who, line in self.lines(time.monotonic() + seconds):
                if who == "agent" and line.startswith("READY"):
                    return
        except TimeoutError:
            raise BenchError(f"the guest is not ready within {seconds} s; see {self.log}") from None

    def send(self, scenario, files, phase=0, state="", epoch=None):
        """files: pairs of a path here and its path there."""
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w") as tar:
            for path, name in files:
                tar.add(path, name)
        body = body.getvalue()
        epoch = f"{time.time():.3f}" if epoch is None else epoch
        self.agent.sendall(f"RUN {epoch} {len(body)} {phase} {scenario} {state}\n".encode() + body)

    def answer(self, text):
        self.requests.sendall((text + "\n").encode())


def create_overlay(base, base_format, path):
    path = pathlib.Path(path)
    path.unlink(missing_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", base_format, "-b", os.path.abspath(base), path],
                   check=True)


def scenario_files():
    return [(HERE / "guest", "guest"), (HERE / "scenarios", "scenarios")]
