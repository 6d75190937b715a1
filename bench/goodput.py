#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The goodput of one sending flow, the kernel's and Millrace's, over one path: bench/goodput.py BUILD_DIR (as root)

    namespace A, the sender             forwarder              namespace B, the receiver
    kernel, or Millrace on gpa ---- gpa  dpdk-testpmd  gpb ---- kernel
                                    tap  io, one core  tap

Runs alternate between a kernel as the sender and Millrace in its place; all else stays as it is: the same forwarder,
two taps, MTU 1500, no GSO, TSO, GRO or checksum offload, CUBIC, and the same receiver. Millrace is on A's interface
by net_af_packet, so that each of its frames goes through this interface's qdisc and queue as the kernel's do.

Two processors. The first is the forwarder's: it polls both taps, and what a kernel does with a frame that is written to
a tap is done there, in softirq: all of the receiver's TCP, and of a kernel's sender its ACK processing and most of its
sending. The second has the sending and the receiving process: a kernel's sendmsg, or Millrace's loop. So a kernel that
sends may use both processors, Millrace only the second, and what AF_PACKET's receiving costs is on the first. The
receiver reads with MSG_TRUNC and SO_RCVLOWAT, which is no copy and few wake-ups, for it takes its time from the sender.

net_tap asks its taps for a signal with each frame, which a sender on another processor pays for: most of what sending
costs, then. They are blocked in the forwarder, whose threads are all on its processor; it polls all the same.

A run counts if nobody else had more than 5 % of either processor: what these processes ran on it and what it was idle
are 0.95 of the time at least. (The forwarder and Millrace poll: their processors are never idle.) The verdict is of the
medians: Millrace's is 0.9 of the kernel's or more.
"""
import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/interop"))
from bulk import order, stream_text  # noqa: E402
from system import (Failure, demand, die_with_parent, go_to_network, new_network, sh,  # noqa: E402
                    this_network, wait_for_output)

SENDER, RECEIVER, PORT = "10.7.0.1", "10.7.0.2", 7
ENOUGH = 1 << 44  # bytes: more than any run sends
SO_RCVLOWAT = 18
GOAL, SHARE = 0.9, 0.95


class Child:
    """A program in a namespace and on a processor; its output is read as it comes."""

    def __init__(self, words, network, processor, without=()):
        def prepare():
            signal.pthread_sigmask(signal.SIG_BLOCK, without)
            die_with_parent()
            go_to_network(network)
            os.sched_setaffinity(0, processor)

        self.process = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, preexec_fn=prepare)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.name, self.output = " ".join(map(str, words[:3])), ""

    def read(self):
        self.output += (self.process.stdout.read() or b"").decode(errors="replace")
        return self.output

    def wait_for(self, text, seconds=30):
        wait_for_output(self.name, self.process, self.read, self.process.stdout, text, seconds)

    def end(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.read()


def cpu_times(pid):
    """Seconds that all threads of a process have run, and have waited for a processor."""
    run = wait = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            words = (task / "schedstat").read_text().split()
        except OSError:
            continue  # it has ended
        run, wait = run + int(words[0]), wait + int(words[1])
    return run / 1e9, wait / 1e9


def idle_of(cpu):
    for line in Path("/proc/stat").read_text().splitlines():
        words = line.split()
        if words[0] == f"cpu{cpu}":
            return (int(words[4]) + int(words[5])) / os.sysconf("SC_CLK_TCK")
    raise Failure(f"no processor {cpu}")


def kernel_sender():
    """This program in namespace A, for the runs of the kernel: sends to who connects."""
    with socket.create_server((SENDER, PORT)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        print("listening on", PORT, flush=True)
        sock, _ = listener.accept()
        text = memoryview(stream_text())
        try:
            while True:
                sock.sendall(text)
        except OSError:
            pass  # the receiver has had enough
        return 0


class Network:
    """Forwarder, taps and namespaces."""

    def __init__(self):
        self.cpus = sorted(os.sched_getaffinity(0))[:2]
        demand(len(self.cpus) == 2, "this needs two processors")
        new_network()
        between = this_network()
        self.testpmd = Child(
            ["stdbuf", "-o0", "dpdk-testpmd", "--lcores", f"0@{self.cpus[0]},1@{self.cpus[0]}", "--no-huge", "-m", 256,
             "--no-pci", "--no-telemetry", "--file-prefix", f"goodput{os.getpid()}", "--vdev=net_tap0,iface=gpa",
             "--vdev=net_tap1,iface=gpb", "--", "--forward-mode=io", "--auto-start", "--no-lsc-interrupt",
             "--nb-cores=1", "--burst=64", "--rxd=512", "--txd=512", "--total-num-mbufs=16384"],
            between, {self.cpus[0]}, without=[signal.SIGIO, *range(signal.SIGRTMIN, signal.SIGRTMAX + 1)])
        self.testpmd.wait_for("Press enter to exit", 60)
        self.sides = []
        for name in ("gpa", "gpb"):
            go_to_network(between)
            new_network()
            side = this_network()
            go_to_network(between)
            sh("ip", "link", "set", name, "netns", f"/proc/{os.getpid()}/fd/{side}")
            go_to_network(side)
            sh("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
            sh("ip", "link", "set", name, "up")
            if name == "gpb":
                sh("ip", "address", "add", f"{RECEIVER}/24", "dev", name)
            self.sides.append(side)

    def end(self):
        self.testpmd.end()


def receive(sock, seconds):
    """Bytes that came in the time."""
    buffer = bytearray(1 << 20)
    got, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        count = sock.recv_into(buffer, 0, socket.MSG_TRUNC)
        demand(count > 0, "the sender has ended")
        got += count
    return got


def run(path, build, text, millrace, seconds):
    side_a, side_b = path.sides
    go_to_network(side_a)
    if millrace:
        sh("ip", "address", "flush", "dev", "gpa")
        words = [build / "tests/interop/millrace-bulk", text, "--device", "net_af_packet0,iface=gpa,framecnt=1024",
                 "--address", f"{SENDER}/24", "--port", PORT, "--lcore", path.cpus[1]]
    else:
        sh("ip", "address", "add", f"{SENDER}/24", "dev", "gpa")
        words = [sys.executable, "-B", __file__, "--sender"]
    sender = Child(words, side_a, {path.cpus[1]})
    try:
        sender.wait_for("listening on")
        go_to_network(side_b)
        os.sched_setaffinity(0, {path.cpus[1]})
        sh("ip", "neigh", "flush", "dev", "gpb")
        with socket.create_connection((SENDER, PORT), 10) as sock:
            sock.settimeout(10)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVLOWAT, 128 * 1024)
            sock.sendall(order(send=ENOUGH))
            receive(sock, 1)
            pids = (path.testpmd.process.pid, sender.process.pid, os.getpid())
            before = [cpu_times(pid) for pid in pids], [idle_of(cpu) for cpu in path.cpus], time.monotonic()
            got = receive(sock, seconds)
            wall = time.monotonic() - before[2]
            ran = [now[0] - then[0] for now, then in zip(map(cpu_times, pids), before[0])]
            idle = [now - then for now, then in zip(map(idle_of, path.cpus), before[1])]
            late = [word for word in sh("ss", "-tioH").split() if word.startswith("rcv_ooopack:")]
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    finally:
        output = sender.end()
    ours = [(ran[0] + idle[0]) / wall, (ran[1] + ran[2] + idle[1]) / wall]
    facts = f"forwarder {ran[0] / wall:.2f}, sender {ran[1] / wall:.2f}, receiver {ran[2] / wall:.2f}"
    if late:
        facts += f", {late[0].split(':')[1]} behind a loss"
    return {"bits": 8 * got / wall, "share": min(ours), "facts": facts, "output": output}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="of each that count")
    parser.add_argument("--seconds", type=float, default=5, metavar="S", help="of each")
    parser.add_argument("--noisy", action="store_true", help="count every run: to see it work where it is not quiet")
    parser.add_argument("--show", action="store_true", help="what Millrace counted")
    parser.add_argument("--sender", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if options.sender:
        return kernel_sender()
    if options.build is None:
        parser.error("which build directory?")
    for tool in ("dpdk-testpmd", "ip", "ss", "ethtool"):
        demand(shutil.which(tool), f"no {tool} here: config/setup.sh --tests")
    demand(os.geteuid() == 0, "needs root for taps and namespaces")
    kept = {"kernel": [], "millrace": []}
    with tempfile.TemporaryDirectory(prefix="millrace-goodput-") as directory:
        text = Path(directory, "text")
        text.write_bytes(stream_text())
        path = Network()
        try:
            for number in range(6 * options.runs):
                name = ("kernel", "millrace")[number % 2]
                if len(kept[name]) == options.runs:
                    continue
                result = run(path, options.build.resolve(), text, name == "millrace", options.seconds)
                counts = options.noisy or result["share"] >= SHARE
                print(f"{name:8} {result['bits'] / 1e9:6.3f} Gbit/s; {result['facts']}; processors ours"
                      f" {result['share']:.2f}{'' if counts else ': DROPPED'}", flush=True)
                if options.show and name == "millrace":
                    print(result["output"])
                if counts:
                    kept[name].append(result["bits"])
        finally:
            path.end()
    if any(len(runs) < options.runs for runs in kept.values()):
        print(f"too few runs counted: {[len(runs) for runs in kept.values()]}: this machine is not quiet")
        return 2
    kernel, millrace = (statistics.median(kept[name]) for name in ("kernel", "millrace"))
    good = millrace >= GOAL * kernel
    print(f"median of {options.runs}: kernel {kernel / 1e9:.3f}, Millrace {millrace / 1e9:.3f} Gbit/s:"
          f" {millrace / kernel:.2f}, {'' if good else 'NOT '}{GOAL} or more")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(2)
