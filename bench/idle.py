#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What an idle millrace-echo on net_tap costs, and how late its first answer is: bench/idle.py BUILD_DIR [-- FLAGS]

In a network namespace of its own (needs root): the CPU time of the whole process over some seconds without a frame, by
/proc/PID/stat, with no connection and with many; then round trips of one request after a pause in which it has slept,
the same with the machine's CPUs kept busy by spin loops of nice 19, and round trips back to back for comparison. FLAGS are
for millrace-echo: --cores 2, --mode thread, --idle spin. Goals: 5 % of a core, 1 ms.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/interop"))
from clients import connect  # noqa: E402
from system import die_with_parent, new_network  # noqa: E402
from world import World  # noqa: E402

SHARE, FIRST = 5.0, 1e-3  # goals


def cpu_seconds(pid):
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def share(pid, seconds):
    """Of a core, in percent."""
    cpu, start = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - cpu) / (time.monotonic() - start)


def round_trip(sock):
    start = time.perf_counter()
    sock.sendall(b"x" * 64)
    left = 64
    while left > 0:
        left -= len(sock.recv(left))
    return time.perf_counter() - start


def answers(sock, count, pause):
    times = []
    for _ in range(count):
        time.sleep(pause)
        times.append(round_trip(sock))
    return times


def tell(what, times):
    ordered = sorted(times)
    print(f"{what}: median {1e6 * statistics.median(times):.0f} us, p99 {1e6 * ordered[int(0.99 * (len(ordered) - 1))]:.0f} us,"
          f" the latest {1e6 * ordered[-1]:.0f} us of {len(times)}", flush=True)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--seconds", type=float, default=5, help="without a frame")
    parser.add_argument("--connections", type=int, default=100, help="that say nothing meanwhile")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds before each request")
    parser.add_argument("flags", nargs="*", help="for millrace-echo, after --")
    options = parser.parse_args()
    new_network()
    world = World(options.build, ".", SimpleNamespace(show=False))
    with world.echo(*options.flags, capture=False) as echo:
        pid = echo.process.pid
        print(next(line.strip() for line in echo.output.splitlines() if "idle:" in line) if "idle:" in echo.output else "")
        alone = share(pid, options.seconds)
        print(f"without connections: {alone:.2f} % of a core over {options.seconds} s", flush=True)
        socks = [connect() for _ in range(options.connections)]
        for sock in socks:
            round_trip(sock)
        held = share(pid, options.seconds)
        print(f"with {len(socks)} silent connections: {held:.2f} %", flush=True)
        first = tell(f"first answers after {1e3 * options.pause:.0f} ms", answers(socks[0], options.requests, options.pause))
        spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=lambda: (die_with_parent(), os.nice(19)))
                    for _ in os.sched_getaffinity(0)]
        loaded = tell("the same on busy CPUs", answers(socks[0], options.requests, options.pause))
        for process in spinning:
            process.kill()
            process.wait()
        tell("back to back", answers(socks[0], 20 * options.requests, 0))
        for sock in socks:
            sock.close()
    good = max(alone, held) < SHARE and max(first, loaded) < FIRST
    print(f"goals: {SHARE} % of a core, {1e3 * FIRST:.0f} ms (median): {'met' if good else 'MISSED'}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
