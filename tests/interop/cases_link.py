# SPDX-License-Identifier: BSD-3-Clause
"""Below TCP: ICMP echo and ARP."""
import os
import re
import select
import socket
import struct
import time

from clients import connect, one_round_trip, round_trip
from registry import case
from system import Failure, demand, sh, until
from world import MILLRACE, TAP


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ping(size, sequence=1, address=MILLRACE, seconds=2):
    payload = os.urandom(size)
    number = os.getpid() & 0xffff
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        header = struct.pack("!BBHHH", 8, 0, 0, number, sequence)
        header = struct.pack("!BBHHH", 8, 0, checksum(header + payload), number, sequence)
        sock.sendto(header + payload, (address, 0))
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            demand(left > 0 and select.select([sock], [], [], left)[0], f"no reply to {size} bytes")
            packet = sock.recv(65536)
            message = packet[4 * (packet[0] & 15):]
            if packet[12:16] != socket.inet_aton(address) or message[0] != 0:
                continue
            demand(message[4:8] == header[4:8], f"a reply with other numbers: {message[:8].hex()}")
            demand(message[8:] == payload, f"a reply of {len(message) - 8} bytes, or others, to {size} bytes")
            demand(checksum(message) == 0, "a reply with a wrong checksum")
            return


for bytes_of_payload in (0, 1, 56, 1400, 1472):
    case(f"ping with {bytes_of_payload} bytes")(
        lambda world, size=bytes_of_payload: ping_case(world, size))


def ping_case(world, size):
    with world.echo():
        for sequence in range(10):
            ping(size, sequence)


@case("no reply to a ping of an address that is not ours")
def ping_other(world):
    with world.echo() as echo:
        # Straight to Millrace's MAC, so that it sees the packet.
        sh("ip", "neigh", "add", "10.9.0.77", "lladdr", echo.mac, "dev", TAP)
        try:
            ping(56, address="10.9.0.77", seconds=0.5)
        except Failure:
            ping(56)
        else:
            raise Failure("a reply from 10.9.0.77")


def neighbor():
    return re.search(r"lladdr (\S+) (\S+)", sh("ip", "neigh", "show", MILLRACE, "dev", TAP))


def forget():
    sh("ip", "neigh", "flush", "dev", TAP)
    return not neighbor()


@case("ARP: the kernel learns Millrace's MAC, and again after a flush")
def arp(world):
    with world.echo() as echo, connect() as kept:
        for _ in range(5):
            round_trip(kept)
            one_round_trip()
            found = neighbor()
            demand(found and found[1] == echo.mac, f"the kernel has {found and found[0]}, Millrace is {echo.mac}")
            until("a neighbour that is forgotten", 2, forget)  # an ACK that was delayed may ask for it again


@case("ARP: the kernel's MAC changes, and connections go on")
def new_mac(world):
    with world.echo() as echo, connect() as kept:
        round_trip(kept)
        sh("ip", "link", "set", TAP, "address", "02:00:00:00:00:99")
        sh("ip", "neigh", "flush", "dev", TAP)  # the kernel asks again, and Millrace learns from the question
        round_trip(kept)
        one_round_trip()
        demand(neighbor()[1] == echo.mac, "the kernel has another MAC for Millrace")


@case("ARP: no answer for an address that is not ours")
def arp_other(world):
    with world.echo():
        one_round_trip()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", ("10.9.0.77", 9))
        until("the kernel gives up on 10.9.0.77", 10, lambda: "FAILED" in sh("ip", "neigh", "show", "10.9.0.77"))
        demand("lladdr" not in sh("ip", "neigh", "show", "10.9.0.77"), "somebody answered for 10.9.0.77")


@case("several addresses: each answers")
def addresses(world):
    with world.echo("--addresses", "4"):
        for last in range(2, 6):
            ping(56, address=f"10.9.0.{last}")
