# SPDX-License-Identifier: BSD-3-Clause
"""tshark's look at the frames of a case, beside the next case: no checksum is wrong, and nothing is malformed.

It is started and asked by the one thread that also forks the cases' processes. A thread of its own will not do: a case that
is forked while the thread starts tshark has a copy of the pipe's writing end, and tshark's end is seen when that case ends.
So what it prints goes to files. Whatever becomes of it, it is the verdict on this one capture: late, dead, or unreadable.
"""
import subprocess
import time

from system import die_with_parent
from world import KERNEL

SECONDS = 120  # for 20000 frames, which take it some 3 s on an idle machine
FIELDS = ["frame.number", "ip.src", "_ws.malformed", "tcp.checksum", "tcp.checksum_calculated", "tcp.checksum.status",
          "ip.checksum.status", "udp.checksum.status", "icmp.checksum.status"]


def command(capture):
    words = ["tshark", "-n", "-r", capture, "-T", "fields"]
    for option in ("tcp.check_checksum:TRUE", "ip.check_checksum:TRUE", "udp.check_checksum:TRUE",
                   "tcp.desegment_tcp_streams:FALSE"):
        words += ["-o", option]
    for field in FIELDS:
        words += ["-e", field]
    return words


def verdict(lines):
    verified = 0
    for line in lines:
        number, source, malformed, found, right, *states = line.rstrip("\n").split("\t")
        # The kernel writes ffff for a TCP checksum of 0, as if it were UDP (CSUM_MANGLED_0): one frame in 65536.
        # Receivers add it up to the same. Millrace's own frames have no such excuse.
        if source == KERNEL and states[0] == "0" and found == "0xffff" and int(right or "1", 16) == 0:
            states[0] = "1"
        if states[3]:
            states[0] = ""  # of what an ICMP error quotes, and cuts short
        judged = ",".join(states).split(",")  # the quoted IP header has a state, too
        if malformed or "0" in judged:  # 0 is bad, 1 good
            return "FAIL", f"frame {number}: TCP, IP, UDP, ICMP: {states} (TCP {found}, not {right}) {malformed}"
        verified += judged.count("1") >= 2  # that of IP, and of what is in it
    return ("ok", "") if verified else ("FAIL", "no frame with a checksum in the capture")


class Judge:
    def __init__(self, name, capture, directory, words=None, seconds=SECONDS):
        self.name, self.seconds = name, seconds
        self.out, self.err = directory / "tshark.out", directory / "tshark.err"
        self.process, self.why = None, ""
        self.end = time.monotonic() + seconds
        try:
            with self.out.open("w") as out, self.err.open("w") as err:
                self.process = subprocess.Popen(words or command(capture), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                                preexec_fn=die_with_parent)
        except OSError as error:
            self.why = f"it could not be started: {error}"

    def is_done(self):
        return self.process is None or self.process.poll() is not None or time.monotonic() > self.end

    def verdict(self):
        """Waits for as long as it may still take."""
        if self.process is None:
            return "FAIL", self.why
        try:
            self.process.wait(max(0, self.end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.stop()
            return "FAIL", f"tshark is not done after {self.seconds} s"
        try:
            if self.process.returncode != 0:
                return "FAIL", f"tshark ended with {self.process.returncode}: {self.err.read_text(errors='replace').strip()}"
            with self.out.open(errors="replace") as out:
                return verdict(out)
        except (OSError, ValueError, IndexError) as error:
            return "FAIL", f"tshark printed what cannot be read: {type(error).__name__}: {error}"

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
