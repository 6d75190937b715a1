# SPDX-License-Identifier: BSD-3-Clause
"""Bytes there and back: many of them, lost ones, slow readers, and a kernel with other settings."""
import os
import select
import socket
import subprocess
import time
from pathlib import Path

from clients import connect, exchange, one_round_trip, random_bytes, receive_to_end
from registry import case
from system import Failure, demand, die_with_parent, many_files, sh, sysctl
from world import MILLRACE, PORT, TAP, Watch

MB = 1 << 20


@case("bulk: 100 clients, 10 MB each", seconds=420)
def bulk(world):
    with world.echo():
        size = world.options.megabytes * 10**6
        exchange(100, size, 400)


@case("bulk: software checksums")
def software_checksums(world):
    with world.echo("--software-checksums") as echo:
        demand("tx TCP software" in echo.output, f"the banner says: {echo.output}")
        exchange(4, MB, 30)


@case("half close: nc -N gets the rest after its end of stream")
def half_close(world):
    data = os.urandom(3 * 10**6)
    sent, got = world.directory / "sent", world.directory / "got"
    sent.write_bytes(data)
    with world.echo(), sent.open("rb") as source, got.open("wb") as sink:
        subprocess.run(["nc", "-N", MILLRACE, str(PORT)], stdin=source, stdout=sink, timeout=30, check=True,
                       preexec_fn=die_with_parent)
        demand(got.read_bytes() == data, f"{got.stat().st_size} bytes came back, or others than the {len(data)} sent")


@case("half close: a client that ends before it reads")
def end_before_reading(world):
    with world.echo(), connect(seconds=20) as sock:
        data = os.urandom(100000)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        demand(receive_to_end(sock) == data, "other bytes came back than were sent")


@case("half close: end of stream at once")
def only_fin(world):
    with world.echo(), connect() as sock:
        sock.shutdown(socket.SHUT_WR)
        demand(receive_to_end(sock) == b"", "bytes came out of nowhere")


@case("2000 connections one after the other", seconds=90)
def sequential(world):
    with world.echo():
        for _ in range(2000):
            one_round_trip()


@case("2000 connections at the same time", seconds=90)
def parallel(world):
    many_files()
    with world.echo():
        exchange(2000, 1000, 60)
        one_round_trip()


@case("2000 connections, reset by the client")
def reset(world):
    linger = (1).to_bytes(4, "little") + bytes(4)
    with world.echo():
        for number in range(2000):
            with connect() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                if number % 2:
                    sock.sendall(b"x" * 5000)
        one_round_trip()


@case("a closed port refuses at once")
def closed_port(world):
    with world.echo():
        for _ in range(20):
            start = time.monotonic()
            try:
                connect(port=PORT + 1).close()
            except ConnectionRefusedError:
                took = time.monotonic() - start
                demand(took < 0.5, f"refused only after {took:.2f} s")
            else:
                raise Failure("connected to a port where nobody listens")
        one_round_trip()


@case("zero window: a client with a small buffer stops reading")
def zero_window(world):
    size = 300000
    random_bytes(size)
    with world.echo(), Watch() as watch, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(10)
        sock.connect((MILLRACE, PORT))
        view = memoryview(random_bytes(size))[:size]
        first = sock.send(view[:50000])
        watch.until("the kernel's zero window", 10, lambda p: not p.from_millrace and p.window == 0)
        start = time.monotonic()
        watch.until("a probe of the zero window", 10, lambda p: p.from_millrace)
        # A second without reading, in which the probes are answered, and the window stays zero.
        while time.monotonic() < start + 1:
            watch.next(start + 1)
        got = 0
        sent = first
        sock.setblocking(False)
        end = time.monotonic() + 30
        while got < size:
            left = end - time.monotonic()
            demand(left > 0, f"{got} of {size} bytes came back, {sent} were sent")
            readable, writable, _ = select.select([sock], [sock] if sent < size else [], [], left)
            if writable:
                sent += sock.send(view[sent:])
            if readable:
                data = sock.recv(65536)
                demand(data, f"end of stream after {got} of {size} bytes")
                demand(data == bytes(view[got:got + len(data)]), f"another byte after {got}")
                got += len(data)


@case("small buffers: 20 clients with SO_RCVBUF 4096")
def small_buffers(world):
    with world.echo():
        exchange(20, 200000, 50, receive_buffer=4096)


SETTINGS = {
    "no timestamps": {"net/ipv4/tcp_timestamps": 0},
    "no SACK": {"net/ipv4/tcp_sack": 0},
    "no window scaling": {"net/ipv4/tcp_window_scaling": 0},
    "none of the three": {"net/ipv4/tcp_timestamps": 0, "net/ipv4/tcp_sack": 0, "net/ipv4/tcp_window_scaling": 0},
    "ECN asked for": {"net/ipv4/tcp_ecn": 1},
}


def with_settings(world, settings):
    for name, value in settings.items():
        sysctl(name, value)
    with world.echo():
        exchange(4, MB, 30)


for setting, values in SETTINGS.items():
    case(f"kernel with {setting}: 4 clients, 1 MB each")(lambda world, values=values: with_settings(world, values))


@case("kernel with cubic, reno and bbr: 4 clients, 1 MB each")
def congestion(world):
    known = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    with world.echo():
        for name in {"cubic", "reno", "bbr"} & set(known):
            exchange(4, MB, 20, congestion=name)


@case("kernel with an MTU of 576: 4 clients, 1 MB each")
def small_mtu(world):
    with world.echo(), Watch() as watch:
        sh("ip", "link", "set", TAP, "mtu", 576)
        exchange(4, MB, 50)
        largest = max(p.length for p in watch.rest() if p.from_millrace)
        demand(largest <= 576 - 40, f"Millrace sent {largest} bytes, where the kernel's MSS option said 536")


@case("kernel with advmss 300: 2 clients, 100 KB each")
def small_mss(world):
    with world.echo(), Watch() as watch:
        sh("ip", "route", "replace", f"{MILLRACE}/32", "dev", TAP, "advmss", 300)
        exchange(2, 100000, 50)
        largest = max(p.length for p in watch.rest() if p.from_millrace)
        demand(largest <= 300, f"Millrace sent {largest} bytes, where the kernel's MSS option said 300")
