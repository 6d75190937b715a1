# SPDX-License-Identifier: BSD-3-Clause
"""millrace-stat beside `ss` on the same connections; a capture of Millrace's own beside the kernel's; dpdk-dumpcap."""
import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from bulk import order
from clients import connect, round_trip
from registry import case
from system import Skip, checked, demand, libc, sh, until
from world import KERNEL, MILLRACE, PORT, TAP


def stat(world, echo, *words, prefix=None):
    done = subprocess.run([str(world.build / "apps/millrace-stat"), *words, "--json", "--file-prefix",
                           prefix or f"millrace{echo.process.pid}"], capture_output=True, text=True, timeout=20, check=False)
    demand(done.returncode == 0, f"millrace-stat {words}: {done.stderr}")
    return json.loads(done.stdout)


def connections(world, echo, *words):
    return stat(world, echo, "conns", *words)["connections"]


def kernel_sockets():
    """(address and port here, address and port there) -> state and queues, as ss has them."""
    rows = {}
    for line in sh("ss", "-tanH", f"dst {MILLRACE}").splitlines():
        state, received, sent, local, remote = line.split()[:5]
        rows[(local, remote)] = (state, int(received), int(sent))
    return rows


@case("millrace-stat and ss agree on connections, open, half closed and in TIME-WAIT")
def agrees_with_ss(world):
    with world.echo("--time-wait", "30s") as echo:
        socks = [connect() for _ in range(5)]
        for sock in socks:
            round_trip(sock, b"x" * 5000)
        rows = connections(world, echo)
        ours = {(r["remote"], r["local"]): r for r in rows}
        theirs = kernel_sockets()
        demand(ours.keys() == theirs.keys() and len(ours) == 5, f"{sorted(ours)}, ss: {sorted(theirs)}")
        for key, (state, received, sent) in theirs.items():
            row = ours[key]
            demand((state, received, sent) == ("ESTAB", 0, 0) and row["state"] == "ESTABLISHED", f"{state}, {row['state']}")
            demand(row["bytes_sent"] == 5000 and row["bytes_received"] == 5000, f"{row['bytes_received']} bytes received")
            demand(row["rtt_us"] > 0 and row["send_mss"] == 1448 and row["recv_q"] == 0, f"{row}")
        # The kernel's end is half closed where the echo server has nothing more to say: both ends close.
        port = socks[0].getsockname()[1]
        for sock in socks:
            sock.close()
        until("no connection", 5, lambda: not connections(world, echo))
        demand({state for state, *_ in kernel_sockets().values()} <= {"TIME-WAIT"}, f"{kernel_sockets()}")
        demand(not connections(world, echo, "--state", "time-wait"), "the kernel closed first, the record is its own")
        listening = connections(world, echo, "-l")
        demand(len(listening) == 1 and listening[0]["local"] == f"*:{PORT}" and listening[0]["accepted"] == 5, f"{listening}")
        demand(not connections(world, echo, "-a", "--port", str(port)), f"{port} is still shown")


@case("millrace-stat shows a queue that the peer does not read, and what sending waits for")
def shows_queues(world):
    with world.bulk(capture=3000) as bulk, connect() as sock:
        sock.sendall(order(send=30_000_000))
        row = until("a shut window", 15, lambda: next((r for r in connections(world, bulk) if r["limit"] == "receiver" and
                                                         r["timer"] == "persist"), None))
        demand(row["send_q"] > 0 and row["bytes_acked"] > 0, f"{row}")
        demand(row["receiver_limited_us"] > 0 and row["send_window"] < 2 * row["send_mss"], f"{row}")
        info = subprocess.run([str(world.build / "apps/millrace-stat"), "conns", "-i", "--file-prefix",
                               f"millrace{bulk.process.pid}"], capture_output=True, text=True, timeout=20, check=True).stdout
        demand("(persist," in info and " rwnd_limited:" in info, info)
        sock.close()


@case("neighbours and ports, as the kernel sees them from its side")
def neighbours(world):
    with world.echo() as echo:
        with connect() as sock:
            round_trip(sock)
            found = stat(world, echo, "neigh")["neighbors"]
            mac = json.loads(sh("ip", "-j", "link", "show", TAP))[0]["address"]
            demand([(n["address"], n["mac"], n["state"], n["users"]) for n in found] == [(KERNEL, mac, "REACHABLE", 1)],
                   f"{found}, the tap's address is {mac}")
        port, = stat(world, echo, "ports")["ports"]
        demand(port["driver"] == "net_tap" and port["mac"] == echo.mac and port["link"] == "up", f"{port}")
        demand(port["rx_packets"] >= 6 and port["tx_packets"] >= 5, f"{port}")


def read_capture(path, words=()):
    """time in ns and bytes of each TCP segment."""
    done = subprocess.run(["tcpdump", "-nr", str(path), "--nano", "-tt", "-XX", "-q", *words, "tcp"], capture_output=True,
                          text=True, timeout=30, check=False)
    demand(done.returncode == 0, done.stderr)
    frames = []
    for line in done.stdout.splitlines():
        if not line.startswith("\t"):
            seconds, fraction = line.split()[0].split(".")
            frames.append([int(seconds) * 10**9 + int(fraction), ""])
        else:
            frames[-1][1] += re.sub(r"\s", "", line.split(":", 1)[1][:41])
    return frames


@case("--pcap: the frames that the kernel saw, with its times")
def own_capture(world):
    file = world.directory / "own.pcapng"
    with world.echo("--pcap", str(file)) as echo:
        with connect() as sock:
            for size in (1, 5000, 100):
                round_trip(sock, b"y" * size)
                time.sleep(0.2)  # a clock that is wrong by a thousandth shows
        until("the end of the connection", 5, lambda: not connections(world, echo))
        echo.stop()
        demand(re.search(r"own.pcapng: \d+ frames captured, 0 lost", echo.read()), echo.read())
        echo.capturing.end()
        echo.capturing = None
    own, kernels = read_capture(file), read_capture(world.capture)
    # What comes in may wait in the tap for the core, what goes out is the kernel's at once. Segments that the kernel
    # cuts (GSO) or checksums late differ, so the echo's own are compared whole, in their order.
    source = "".join(f"{int(part):02x}" for part in MILLRACE.split("."))
    sent = [f for f in own if f[1][52:60] == source]
    seen = [f for f in kernels if f[1][52:60] == source]
    demand([f[1] for f in sent] == [f[1] for f in seen], f"{len(sent)} segments sent, the kernel saw {len(seen)}")
    demand(len(sent) >= 5, f"{len(sent)} segments only")
    # The kernel's times are those at which this suite has read a frame, in microseconds: later, by as much as it waited.
    later = [b[0] - a[0] for a, b in zip(sent, seen)]
    demand(min(later) > -1000, f"a frame's time is {-min(later)} ns after it was seen")
    demand(min(later) < 20_000_000, f"each frame's time is {min(later)} ns before it was seen, or more")


HUGE = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")


def reserve(pages):
    """So many more huge pages, or fewer; others may do the same at this moment."""
    with open(HUGE / "nr_hugepages", "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        wanted = max(int(file.read()) + pages, 0)
        file.seek(0)
        file.write(str(wanted))


@contextlib.contextmanager
def huge_pages(world, pages):
    """Reserved for as long as this lasts, in a hugetlbfs that only this process and its children see."""
    checked(libc.unshare(0x20000))  # CLONE_NEWNS
    sh("mount", "--make-rprivate", "/")
    (world.directory / "huge").mkdir()
    sh("mount", "-t", "hugetlbfs", "nodev", str(world.directory / "huge"))
    reserve(pages)
    try:
        if int((HUGE / "free_hugepages").read_text()) < pages:
            raise Skip(f"there is no memory for {pages} huge pages")
        yield
    finally:
        reserve(-pages)
        sh("umount", str(world.directory / "huge"))


@case("dpdk-dumpcap attaches to a program that shares its memory")
def dumpcap(world):
    if shutil.which("dpdk-dumpcap") is None:
        raise Skip("there is no dpdk-dumpcap here: config/setup.sh --tests")
    prefix, file = f"mrshare{os.getpid()}", world.directory / "dumpcap.pcapng"
    with huge_pages(world, 200), world.echo("--share", prefix) as echo:
        capturing = subprocess.Popen(["dpdk-dumpcap", f"--file-prefix={prefix}", "-i", "net_tap0", "-w", str(file), "-c", "6"],
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            # Its callbacks are there when the port's queue is asked for them by the primary, which only a packet shows.
            def captured():
                with connect() as sock:
                    round_trip(sock)
                return capturing.poll() is not None

            until("six frames", 20, captured, pause=0.3)
        finally:
            capturing.kill()
            capturing.wait()
        demand(stat(world, echo, "ports", prefix=prefix)["ports"][0]["port"] == "net_tap0", "another port")
    demand(not Path("/var/run/dpdk", prefix).exists(), "files are left behind")
    demand(len(read_capture(file)) >= 3, "no segment in what dpdk-dumpcap wrote")
