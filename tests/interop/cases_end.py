# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C, wrong use, and no permission."""
import os
import select
import shutil
import signal
import socket
import subprocess
import time

from cases_stat import connections
from cases_taps import Program
from clients import connect, one_round_trip, random_bytes, receive_to_end, round_trip
from registry import case
from system import Failure, demand, die_with_parent, until
from world import END_LIMIT, KERNEL, MILLRACE, RST, TAP, Watch


@case("Ctrl-C with 50 open connections: each sees FIN, and it ends")
def interrupt(world):
    with world.echo() as echo:
        socks = [connect() for _ in range(50)]
        for sock in socks:
            round_trip(sock)
        echo.interrupt()
        for number, sock in enumerate(socks):
            try:
                demand(receive_to_end(sock) == b"", f"client {number}: bytes after the end")
            except OSError as error:
                raise Failure(f"client {number}: {error} instead of an end of stream") from None
            sock.close()
        echo.ended()
        demand(echo.end_seconds < 1, f"all peers closed, and yet the end took {echo.end_seconds:.2f} s")


@case("SIGTERM does the same")
def terminate(world):
    with world.echo() as echo, connect() as sock:
        round_trip(sock)
        echo.interrupt(signal.SIGTERM)
        demand(receive_to_end(sock) == b"", "bytes after the end")
        sock.close()
        echo.ended()


@case("a second Ctrl-C ends it at once")
def second_interrupt(world):
    with world.echo() as echo, connect() as sock:
        round_trip(sock)
        echo.interrupt()
        demand(receive_to_end(sock) == b"", "bytes after the end")  # now it waits for this peer's FIN
        echo.interrupt()
        demand(echo.process.wait(END_LIMIT) == 130, f"exit code {echo.process.returncode}, not 130")
        took = time.monotonic() - echo.interrupted
        demand(took < 0.5, f"that took {took:.2f} s")


@case("Ctrl-C with 50 peers that never close: RST after the grace")
def never_closes(world):
    with world.echo() as echo, Watch() as watch:
        socks = [connect() for _ in range(50)]
        for sock in socks:
            round_trip(sock)
        echo.interrupt()
        echo.ended()
        for number, sock in enumerate(socks):
            demand(sock.recv(10) == b"", f"client {number}: bytes after the end")
        resets = {p.target for p in watch.rest() if p.from_millrace and p.flags & RST}
        missing = [s.getsockname()[1] for s in socks if s.getsockname()[1] not in resets]
        demand(not missing, f"{len(missing)} of 50 connections got no RST")
        for sock in socks:
            sock.close()


@case("Ctrl-C with a peer that is gone without a word")
def gone(world):
    with world.echo() as echo:
        socks = [connect() for _ in range(10)]
        for sock in socks:
            round_trip(sock)
        subprocess.run(["ip", "link", "set", TAP, "down"], check=True)
        echo.interrupt()
        echo.ended()
        for sock in socks:
            sock.close()


@case("Ctrl-C in the middle of 20 transfers")
def under_load(world):
    data = random_bytes(1 << 20)
    with world.echo() as echo:
        socks = [connect() for _ in range(20)]
        got = 0
        for sock in socks:
            sock.setblocking(False)
        live = list(socks)
        interrupted = False
        while live and echo.process.poll() is None:
            readable, writable, _ = select.select(live, live, [], END_LIMIT)
            for sock in set(readable) | set(writable):
                try:
                    if sock in writable:
                        sock.send(data[:65536])
                    if sock in readable:
                        more = sock.recv(65536)
                        got += len(more)
                        if not more:
                            live.remove(sock)
                except BlockingIOError:
                    pass
                except OSError:  # a RST in the middle of data is the end, too
                    live.remove(sock)
            if got > 20 << 20 and not interrupted:
                interrupted = True
                echo.interrupt()
        demand(interrupted, "the connections ended before Ctrl-C")
        echo.ended()
        for sock in socks:
            sock.close()


@case("Ctrl-C before anybody came")
def idle(world):
    with world.echo(capture=False) as echo:
        echo.stop()
        demand(echo.end_seconds < 1, f"the end took {echo.end_seconds:.2f} s")


def run(world, *flags, program=None, **more):
    try:
        return subprocess.run([program or world.program, *flags], capture_output=True, text=True, timeout=10,
                              stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, **more)
    except subprocess.TimeoutExpired:
        raise Failure(f"still running after 10 s with {' '.join(flags)}") from None


def demand_refused(done, *words):
    lines = done.stderr.splitlines()
    demand(done.returncode == 2, f"exit code {done.returncode}, not 2: {done.stderr.strip()}")
    # What it says of huge pages is said before it is known that the device will not start.
    lines = [line for line in lines if "huge pages are not free" not in line]
    demand(len(lines) == 1, f"{len(lines)} lines on stderr: {done.stderr!r}")
    demand(lines[0].startswith(("millrace-echo: ", "/")), f"who says so? {lines[0]!r}")
    for word in words:
        demand(word in lines[0], f"no '{word}' in {lines[0]!r}")


WRONG = {
    "an unknown flag": (["--prot", "7"], ["--prot"]),
    "a word too many": (["7"], ["7"]),
    "a flag without its value": (["--port"], ["--port"]),
    "a port of 0": (["--port", "0"], ["--port"]),
    "a port of 65536": (["--port", "65536"], ["--port"]),
    "a port that is a word": (["--port", "echo"], ["--port"]),
    "an address without a length": (["--address", "10.9.0.2"], ["--address"]),
    "an address of five parts": (["--address", "10.9.0.2.1/24"], ["--address"]),
    "a length of 33": (["--address", "10.9.0.2/33"], ["--address"]),
    "a broadcast address": (["--address", "10.9.0.255/24"], ["10.9.0.255"]),
    "a multicast address": (["--address", "224.0.0.1/24"], ["224.0.0.1"]),
    "a gateway elsewhere": (["--gateway", "10.8.0.1"], ["10.8.0.1"]),
    "a gateway that is itself": (["--gateway", "10.9.0.2"], ["10.9.0.2"]),
    "a CPU that is not there": (["--lcore", "4000"], ["4000"]),
    "too few packet buffers": (["--packet-buffers", "3"], ["buffers"]),
    "no connections": (["--max-connections", "0"], ["connections"]),
    "a device that is not there": (["--device", "net_nothing0"], ["net_nothing0"]),
    "an interface's name that is too long": (["--device", "net_tap0,iface=abcdefghijklmnop"], ["abcdefghijklmnop"]),
    "a PCI device that is not there": (["--device", "0000:7f:1f.7"], ["7f:1f.7"]),
}
for name, (flags, words) in WRONG.items():
    case(f"wrong use: {name}")(
        lambda world, flags=flags, words=words: demand_refused(run(world, *flags), *words))


@case("wrong use: an EAL option that is not there")
def eal_option(world):
    done = run(world, "--no-such-option", "--")
    demand(done.returncode == 2, f"exit code {done.returncode}, not 2")
    last = done.stderr.splitlines()[-1]  # EAL has said its part before
    demand("EAL does not start" in last and "--no-such-option" in last, f"the last line is {last!r}")


@case("--help")
def help_text(world):
    done = run(world, "--help")
    demand(done.returncode == 0 and not done.stderr, f"exit code {done.returncode}: {done.stderr}")
    for flag in ("--device", "--address", "--gateway", "--port"):
        demand(flag in done.stdout, f"no {flag} in the help")


@case("no permission: one sentence that says what to do")
def permission(world):
    # A copy, since the build directory need not be open to everybody.
    for directory in (world.directory, world.directory.parent):
        directory.chmod(0o755)
    program = world.directory / "millrace-echo"
    shutil.copy(world.program, program)
    program.chmod(0o755)
    done = run(world, "--device", "net_tap0,iface=mr0", program=str(program), user=65534, group=65534,
               extra_groups=[], cwd="/", env={"PATH": os.environ["PATH"]})
    demand_refused(done, "root", "sudo")


@case("a tap whose name is taken")
def taken(world):
    with world.echo() as echo:
        demand_refused(run(world, "--device", "net_tap0,iface=mr0", "--address", "10.9.0.3/24"), "mr0")
        one_round_trip()  # and the first one has not noticed
        echo.stop()


@case("a server over memif ends well, as its client has: for requests, connects and bulk")
def net_memif_ends(world):
    for flags in (("--workload", "rps"), ("--workload", "rps", "--pipeline", 4), ("--workload", "cps"),
                  ("--workload", "stream", "--direction", "both")):
        protocol = "stream" if "stream" in flags else "echo"
        socket_ = f"socket={world.directory}/memif.sock,socket-abstract=no"
        server = ["millrace-load", "server", "--protocol", protocol]
        client = ["millrace-load", "client", "--to", f"{MILLRACE}:8000", "--duration", "1s", "--connections", 64, *flags]
        with Program(world, server, device=f"net_memif0,role=server,{socket_}") as peer:
            peer.wait_for("listening on")
            with Program(world, client, device=f"net_memif0,role=client,{socket_}", address=f"{KERNEL}/24", nth=1) as load:
                said = load.read_to_end(60)
                demand(load.process.returncode == 0, f"{flags}: exit code {load.process.returncode}: {said[-700:]}")
            until("no connection is left", 20, lambda: not connections(world, peer))
            said = peer.stop()
            demand("ended badly" not in said and "not sent" not in said, f"{flags}: {said[-700:]}")
