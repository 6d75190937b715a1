# SPDX-License-Identifier: BSD-3-Clause
"""A network between Millrace and the kernel that loses, repeats, delays and corrupts frames (not all have netem)."""
import heapq
import os
import random
import select
import time
from dataclasses import dataclass

from capture import Beside, frames_of, receive_frame
from system import demand, go_to_network, new_network, sh, this_network
from world import KERNEL, TAP

LATE = (0.001, 0.008)  # seconds that a frame comes late


@dataclass
class Faults:
    """How many of a thousand frames meet with what."""

    lost: int = 0
    repeated: int = 0
    late: int = 0
    corrupted: int = 0


class Forwarder:
    """What the process between the two interfaces does, until it is told to stop; then it says what it did."""

    receive = staticmethod(receive_frame)

    def __init__(self, faults, delay, interfaces):
        self.faults, self.delay = faults, delay
        self.random = random.Random(1)
        # What goes out on one side came in on the other.
        self.sides = [frames_of(interface, outgoing=False) for interface in interfaces]
        self.other = {self.sides[0]: self.sides[1], self.sides[1]: self.sides[0]}
        self.number = 0
        self.waiting = []  # a heap of (when, number, socket, frame)
        self.count = dict.fromkeys(("forwarded", "lost", "repeated", "late", "corrupted"), 0)

    def meets(self, fault):
        met = self.random.randrange(1000) < getattr(self.faults, fault)
        self.count[fault] += met
        return met

    def take(self, frame, target):
        if frame[12:14] != b"\x08\x00":  # ARP has no checksum, and is not what this is about
            self.send(target, frame)
            return
        if self.meets("lost"):
            return
        if self.meets("corrupted"):
            frame = bytearray(frame)
            frame[self.random.randrange(14, len(frame))] ^= 1 << self.random.randrange(8)
        copies = 2 if self.meets("repeated") else 1
        for _ in range(copies):
            late = self.random.uniform(*LATE) if self.meets("late") else 0
            if late or self.delay:
                self.number += 1
                heapq.heappush(self.waiting, (time.monotonic() + self.delay + late, self.number, target, frame))
            else:
                self.send(target, frame)

    def send(self, target, frame):
        try:
            target.send(frame)
            self.count["forwarded"] += 1
        except OSError:  # a full queue, or the tap has gone: lost, as it happens
            self.count["lost"] += 1

    def run(self, stop):
        while True:
            left = max(0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            readable = select.select([*self.sides, stop], [], [], left)[0]
            if stop in readable:
                return self.count
            for sock in readable:
                for _ in range(64):
                    got = self.receive(sock)
                    if got is None:
                        break
                    self.take(got[0], self.other[sock])
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                _, _, target, frame = heapq.heappop(self.waiting)
                self.send(target, frame)


class Middlebox:
    """The case goes to a second namespace, whose only neighbour is Millrace, through this. Call it in the echo's."""

    def __init__(self, faults, delay=0, forwarder=Forwarder):
        self.faults, self.delay = faults, delay  # seconds each way, for each frame
        self.forwarder = forwarder

    def __enter__(self):
        between = this_network()
        sh("ip", "address", "flush", "dev", TAP)
        new_network()
        client = this_network()
        sh("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
        # Frames as they are on a cable: with checksums, and no longer than the MTU.
        sh("ethtool", "-K", "veth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        sh("ip", "link", "set", "veth1", "netns", f"/proc/{os.getpid()}/fd/{between}")
        go_to_network(between)
        sh("ip", "link", "set", "veth1", "up")
        self.forwarding = Beside(self.forwarder(self.faults, self.delay, (TAP, "veth1")).run)
        go_to_network(client)
        sh("ip", "address", "add", f"{KERNEL}/24", "dev", "veth0")
        sh("ip", "link", "set", "veth0", "up")
        return self

    def __exit__(self, kind, *_):
        count = self.forwarding.end()
        if kind is None:
            missing = [name for name in vars(self.faults) if getattr(self.faults, name) and not count[name]]
            demand(not missing, f"no frame was {' or '.join(missing)}: {count}")
