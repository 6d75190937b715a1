# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel says by ICMP: a router that wants shorter segments, and hosts that refuse."""
import socket
import time
from pathlib import Path

from clients import connect, exchange, random_bytes, receive, round_trip
from cases_network import MB, routed
from registry import case
from system import demand, go_to_network, sh
from world import KERNEL, TAP, Watch

NARROW = 1000  # the MTU behind the router


def narrow():
    sh("ip", "route", "replace", "10.8.0.0/24", "dev", "veth1", "mtu", "lock", NARROW)


def errors_sent():
    """ICMP unreachables of this namespace's kernel so far."""
    names, values = (line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines()
                     if line.startswith("Icmp:"))
    return int(dict(zip(names, values))["OutDestUnreachs"])


def too_long(packets):
    """Segments of Millrace's that do not fit: 20 bytes of IP, 32 of TCP."""
    return [p for p in packets if p.from_millrace and p.length > NARROW - 52]


@case("path MTU: a router with a narrow link behind it, 4 clients, 1 MB each")
def narrow_path(world):
    with world.echo("--gateway", KERNEL):
        router, client = routed()
        go_to_network(router)
        narrow()
        before = errors_sent()
        with Watch() as first:
            go_to_network(client)
            exchange(4, MB, 40)
            go_to_network(router)
            seen = first.rest()
        demand(too_long(seen), "no segment was too long: nothing was discovered")
        demand(errors_sent() > before, "the router has sent no error")
        # Now it is known of the destination: new connections begin with what fits.
        before = errors_sent()
        with Watch() as second:
            go_to_network(client)
            exchange(2, MB, 40)
            go_to_network(router)
            seen = second.rest()
        demand(not too_long(seen), f"{len(too_long(seen))} segments were too long still")
        demand(errors_sent() == before, "the router has sent errors once more")
        go_to_network(client)


@case("path MTU: the path gets narrow under a connection", seconds=90)
def narrower(world):
    data = random_bytes(100_000)[:100_000]
    with world.echo("--gateway", KERNEL):
        router, client = routed()
        with connect(seconds=30) as sock:
            for _ in range(3):
                round_trip(sock, data)
            go_to_network(router)
            narrow()
            before = errors_sent()
            go_to_network(client)
            for _ in range(5):
                round_trip(sock, data)
            go_to_network(router)
            demand(errors_sent() > before, "the router has sent no error")
            go_to_network(client)


def answer(sock):
    line = b""
    while not line.endswith(b"\n"):
        line += receive(sock, 1)
    return line.decode().strip()


REFUSALS = {
    "icmp-port-unreachable": "closed refused 3 3",
    "icmp-host-unreachable": "closed unreachable 3 1",
    "icmp-net-unreachable": "closed unreachable 3 0",
    "icmp-proto-unreachable": "closed unreachable 3 2",
    "icmp-admin-prohibited": "closed unreachable 3 13",
    "tcp-reset": "closed refused 0 0",
}


def refusal(world, how):
    with world.call_back():
        sh("iptables", "-A", "INPUT", "-i", TAP, "-p", "tcp", "--dport", 8, "-j", "REJECT", "--reject-with", how)
        start = time.monotonic()
        with connect() as sock:
            got = answer(sock)
        took = time.monotonic() - start
        demand(got == REFUSALS[how], f"{got!r}, not {REFUSALS[how]!r}")
        demand(took < 1, f"that took {took:.2f} s, longer than a second SYN")


for kind in REFUSALS:
    case(f"a connect that is answered with {kind} fails at once")(lambda world, how=kind: refusal(world, how))


@case("a connect that nothing stands in the way of succeeds")
def call_back(world):
    with world.call_back(), socket.create_server((KERNEL, 8)) as server:
        with connect() as sock:
            demand(answer(sock).startswith("connected"), "not connected")
            peer, _ = server.accept()
            peer.close()
            demand(answer(sock).startswith("closed finished"), "the end was not in order")
