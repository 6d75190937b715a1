# SPDX-License-Identifier: BSD-3-Clause
"""Where a case runs: a network namespace of its own, millrace-echo on a tap in it, and a capture.

The namespace has no name. The kernel removes it, and the tap with it, when the last process has left it, however that
process ended; so nothing can collide, and nothing can stay behind.
"""
import ctypes
import errno
import os
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

KERNEL, MILLRACE, PORT, TAP = "10.9.0.1", "10.9.0.2", 7, "mr0"
END_LIMIT = 2.5  # seconds from Ctrl-C to the end of the program

libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """What a case found to be wrong, in one line."""


class Skip(Exception):
    """Why a case cannot be run here."""


def demand(holds, otherwise):
    if not holds:
        raise Failure(otherwise)


def until(what, seconds, condition, pause=0.02):
    """Polls until condition() is true, and gives what it returned."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        demand(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(pause)


def checked(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with_parent():
    checked(libc.prctl(1, signal.SIGKILL, 0, 0, 0))  # PR_SET_PDEATHSIG


def new_network():
    """This process goes to a network namespace that was not there before."""
    checked(libc.unshare(0x40000000))  # CLONE_NEWNET
    sh("ip", "link", "set", "lo", "up")
    sysctl("net/ipv6/conf/all/disable_ipv6", 1)  # no neighbour discovery in the captures
    sysctl("net/ipv6/conf/default/disable_ipv6", 1)


def go_to_network(descriptor):
    checked(libc.setns(descriptor, 0x40000000))


def this_network():
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def sh(*words, seconds=10):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=seconds)
    demand(done.returncode == 0, f"{' '.join(map(str, words))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def sysctl(name, value):
    # Opened in the namespace, so it is the namespace's.
    Path("/proc/sys", name).write_text(f"{value}\n")


def many_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class World:
    """What a case is given."""

    def __init__(self, build, directory, options):
        self.build = Path(build).resolve()
        self.directory = Path(directory)
        self.options = options
        self.capture = None  # this, and who computed the checksums in it, is for run.py's look at it afterwards
        self.mac = ""
        self.by_driver = False

    @property
    def program(self):
        return str(self.build / "apps/millrace-echo")

    def echo(self, *flags, frames=20000, capture=True):
        return Echo(self, flags, frames if capture else 0)


class Echo:
    """A running millrace-echo; the kernel's side of its tap has its address. Its end is part of every case."""

    def __init__(self, world, flags, frames):
        self.world, self.flags, self.frames = world, list(flags), frames
        self.process = self.dump = self.interrupted = None
        self.output = ""
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
            self.end_capture()
        finally:
            self.kill()

    def start(self):
        self.process = subprocess.Popen(
            [self.world.program, "--device", f"net_tap0,iface={TAP}", "--address", f"{MILLRACE}/24", "--lcore",
             str(self.cpu), *self.flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.wait_for("listening on", 20)
        mac = re.search(r"MAC ([0-9a-f:]{17})", self.output)
        demand(mac, f"no MAC in the banner: {self.output}")
        self.mac = self.world.mac = mac[1]
        self.world.by_driver = "tx TCP hardware" in self.output
        sh("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)
        if self.frames:
            self.start_capture()

    def read(self):
        data = self.process.stdout.read()
        if data:
            self.output += data.decode(errors="replace")
        return self.output

    def wait_for(self, text, seconds):
        def seen():
            if text in self.read():
                return True
            demand(self.process.poll() is None, f"millrace-echo ended with {self.process.returncode}: {self.read()}")
            return False

        until(f"'{text}' in the output of millrace-echo", seconds, seen)

    def start_capture(self):
        path = self.world.directory / "capture.pcap"
        # Whole frames, since checksums are verified; so many of them at most.
        self.dump = subprocess.Popen(
            ["tcpdump", "-i", TAP, "-Z", "root", "-U", "-n", "-s", "0", "-B", "16384", "-c", str(self.frames), "-w",
             str(path)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        os.set_blocking(self.dump.stderr.fileno(), False)
        said = b""

        def listens():
            nonlocal said
            said += self.dump.stderr.read() or b""
            demand(self.dump.poll() is None, f"tcpdump: {said.decode()}")
            return b"listening on" in said

        until("tcpdump", 10, listens)
        self.world.capture = path

    def end_capture(self):
        if self.dump is None:
            return
        if self.dump.poll() is None:
            self.dump.send_signal(signal.SIGINT)
        try:
            self.dump.wait(10)
        except subprocess.TimeoutExpired:
            raise Failure("tcpdump does not end") from None

    def interrupt(self, number=signal.SIGINT):
        self.interrupted = time.monotonic()
        self.process.send_signal(number)

    def ended(self):
        """After interrupt(): the end in time, with exit code 0 and every buffer back."""
        left = self.interrupted + END_LIMIT - time.monotonic()
        try:
            self.process.wait(max(left, 0.01))
        except subprocess.TimeoutExpired:
            raise Failure(f"millrace-echo still runs {END_LIMIT} s after Ctrl-C") from None
        self.end_seconds = time.monotonic() - self.interrupted
        output = self.read()
        demand(self.process.returncode == 0, f"exit code {self.process.returncode} after Ctrl-C: {output[-500:]}")
        demand(re.search(r"^all \d+ packet buffers are back$", output, re.M), f"buffers missing: {output[-500:]}")

    def stop(self):
        self.interrupt()
        self.ended()

    def kill(self):
        for process in (self.process, self.dump):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


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
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        self.socket.bind((TAP, 3))
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
            try:
                frame, address = self.socket.recvfrom(65536)
            except OSError as error:
                if error.errno != errno.ENETDOWN:  # said once when the tap goes; what was seen before is still there
                    raise
                continue
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
