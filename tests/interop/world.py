# SPDX-License-Identifier: BSD-3-Clause
"""Where a case runs: a network namespace of its own, a program of Millrace's on a tap in it, and a capture.

The namespace has no name. The kernel removes it, and the tap with it, when the last process has left it, however that
process ended; so nothing can collide, and nothing can stay behind.
"""
import os
import re
import select
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bulk import stream_text
from capture import CAPTURED, frames_of, receive_frame, start_capture
from system import Failure, Running, demand, die_with_parent, sh

KERNEL, MILLRACE, PORT, TAP = "10.9.0.1", "10.9.0.2", 7, "mr0"
ECHO, CALL_BACK = "apps/millrace-echo", "tests/interop/call-back"  # in the build directory
END_LIMIT = 2.5  # seconds from Ctrl-C to the end of the program

class World:
    """What a case is given."""

    def __init__(self, build, directory, options):
        self.build = Path(build).resolve()
        self.directory = Path(directory)
        self.options = options
        self.capture = None  # for run.py's look at it afterwards
        self.notes = []  # figures that run.py prints below the case's line

    def note(self, text):
        self.notes.append(text)

    @property
    def program(self):
        return str(self.build / ECHO)

    def echo(self, *flags, capture=True, only_millrace=False):
        """A capture has to show something: not for a case in which nothing is sent."""
        return Echo(self, [self.program], flags, capture, only_millrace)

    def bulk(self, *flags, capture=True, only_millrace=False):
        """millrace-bulk, for what an echo server cannot do (bulk.py)."""
        path = self.directory / "text"
        path.write_bytes(stream_text())
        return Echo(self, [str(self.build / "tests/interop/millrace-bulk"), str(path)], flags, capture, only_millrace)

    def call_back(self, *flags):
        """Another program in the place of millrace-echo: it connects to who connects."""
        return Echo(self, [str(self.build / CALL_BACK)], flags, True, False)


class Echo(Running):
    """A running program; the kernel's side of its tap has its address. Its end is part of every case."""

    def __init__(self, world, program, flags, capture, only_millrace):
        self.world, self.flags, self.only_millrace = world, list(flags), only_millrace
        self.program, self.capture = program, capture  # True, or how many frames at most
        self.name = Path(program[0]).name
        self.capturing = self.interrupted = None
        # Two suites side by side should not poll on one CPU.
        cpus = sorted(os.sched_getaffinity(0))
        self.cpu = cpus[os.getppid() % len(cpus)]

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None and self.interrupted is None:
                self.stop()
        finally:
            self.kill()
            if self.capturing is not None:
                self.capturing.end()

    def start(self):
        self.launch([*self.program, "--device", f"net_tap0,iface={TAP}", "--address", f"{MILLRACE}/24", "--lcore", str(self.cpu),
                     *self.flags], preexec_fn=die_with_parent)
        self.wait_for("listening on", 20)
        mac = re.search(r"MAC ([0-9a-f:]{17})", self.output)
        demand(mac, f"no MAC in the banner: {self.output}")
        self.mac = mac[1]
        sh("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)
        if self.capture:
            self.world.capture = self.world.directory / "capture.pcap"
            self.capturing = start_capture(TAP, self.world.capture, self.mac if self.only_millrace else None,
                                           CAPTURED if self.capture is True else self.capture)

    def interrupt(self, number=signal.SIGINT):
        self.interrupted = time.monotonic()
        self.process.send_signal(number)

    def ended(self):
        """After interrupt(): the end in time, with exit code 0 and every buffer back."""
        left = self.interrupted + END_LIMIT - time.monotonic()
        try:
            self.process.wait(max(left, 0.01))
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} still runs {END_LIMIT} s after Ctrl-C") from None
        self.end_seconds = time.monotonic() - self.interrupted
        output = self.read()
        if self.world.options.show:
            self.world.note(output)
        demand(self.process.returncode == 0, f"exit code {self.process.returncode} after Ctrl-C: {output[-500:]}")
        demand(re.search(r"^all \d+ packet buffers are back$", output, re.M), f"buffers missing: {output[-500:]}")

    def counter(self, name):
        """What millrace-bulk has counted, after its end."""
        found = re.search(rf"^{name} (\d+)$", self.output, re.M)
        return int(found[1]) if found else 0

    def stop(self):
        self.interrupt()
        self.ended()


FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


@dataclass
class Packet:
    """A TCP segment, as it was on the wire."""

    from_millrace: bool
    source: int
    target: int
    seq: int
    ack: int
    flags: int
    window: int
    options: list  # of (kind, bytes)
    length: int

    def __str__(self):
        names = "".join(n for bit, n in ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (URG, "U"), (ACK, "."))
                        if self.flags & bit)
        arrow = "<" if self.from_millrace else ">"
        return f"{arrow}{names} {self.seq}+{self.length} ack {self.ack} win {self.window}"


def options_of(data):
    found = []
    while data and data[0] != 0:
        if data[0] == 1:
            data = data[1:]
            continue
        demand(len(data) >= 2 and 2 <= data[1] <= len(data), f"broken TCP options: {data.hex()}")
        found.append((data[0], data[2:data[1]]))
        data = data[data[1]:]
    return found


class Watch:
    """Sees the tap's frames as they pass: for cases that wait for one, or judge a whole exchange."""

    def __init__(self):
        self.socket = frames_of(TAP, outgoing=True)
        self.seen = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def next(self, end):
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None
            got = receive_frame(self.socket)
            if got is None:
                continue
            frame, address = got
            if frame[12:14] != b"\x08\x00" or frame[23] != 6:
                continue
            total = struct.unpack("!H", frame[16:18])[0]
            tcp = frame[14 + 4 * (frame[14] & 15):14 + total]
            source, target, seq, ack, offset, flags, window = struct.unpack("!HHIIBBH", tcp[:16])
            header = 4 * (offset >> 4)
            packet = Packet(address[2] != socket.PACKET_OUTGOING, source, target, seq, ack, flags, window,
                            options_of(tcp[20:header]), len(tcp) - header)
            self.seen.append(packet)
            return packet

    def until(self, what, seconds, condition):
        end = time.monotonic() + seconds
        while True:
            packet = self.next(end)
            demand(packet is not None, f"{what}: not within {seconds} s")
            if condition(packet):
                return packet

    def rest(self, seconds=0.2):
        """All that comes until nothing more has come for so long."""
        while self.next(time.monotonic() + seconds):
            pass
        return self.seen
