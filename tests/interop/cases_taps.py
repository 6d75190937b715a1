# SPDX-License-Identifier: BSD-3-Clause
"""A tap's life: free or in use, deleted under a running program, priority tags on it, and a gateway outside of its network."""
import os
import re
import select
import shutil
import signal
import socket
import struct
import time

from cases_idle import of_cores
from cases_link import checksum
from cases_wrong import refused
from clients import connect, exchange, one_round_trip, round_trip
from recipe import TREE
from registry import case
from system import Running, demand, die_with_parent, sh, until
from world import KERNEL, MILLRACE, TAP


class Program(Running):
    """millrace-echo, or millrace-load with its first word, on a device of its own; nothing is set up around it."""

    def __init__(self, world, words, device=f"net_tap0,iface={TAP}", address=f"{MILLRACE}/24", nth=0):
        program, *flags = [str(w) for w in words]
        cpus = sorted(os.sched_getaffinity(0))
        self.name = program
        mode = []
        while flags and not flags[0].startswith("-"):
            mode.append(flags.pop(0))
        self.words = [str(world.build / "apps" / program), *mode, "--device", device, "--address", address, "--lcore",
                      str(cpus[(os.getppid() + nth) % len(cpus)]), *flags]

    def __enter__(self):
        self.launch(self.words, preexec_fn=die_with_parent)
        return self

    def __exit__(self, *_):
        self.kill()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        output = self.read_to_end(20)
        demand(self.process.returncode == 0, f"exit code {self.process.returncode}: {output[-500:]}")
        return output

def make_tap(*, up=True, address=True):
    sh("ip", "tuntap", "add", "dev", TAP, "mode", "tap", "multi_queue")
    if up:
        sh("ip", "link", "set", TAP, "up")
    if address:
        sh("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)


def served(world, *flags):
    with Program(world, ["millrace-echo", *flags]) as echo:
        echo.wait_for("listening on")
        one_round_trip()
        return echo.stop()


@case("a free tap is taken, up or down, and again after a program that was killed")
def free(world):
    make_tap()
    for _ in range(2):
        served(world)
    with Program(world, ["millrace-echo"]) as echo:
        echo.wait_for("listening on")
        echo.process.kill()
        echo.process.wait()
    served(world)
    served(world, "--cores", 2)
    sh("ip", "link", "set", TAP, "down")
    served(world)
    with Program(world, ["millrace-load", "doctor", "server"]) as doctor:
        said = doctor.read_to_end(30)
        demand(doctor.process.returncode == 0 and "net_tap is a virtual device" in said, said)


@case("a tap that is in use is refused, up or down, by the start and by the doctor; its program notices nothing")
def in_use(world):
    make_tap()
    with Program(world, ["millrace-echo"]) as echo:
        echo.wait_for("listening on")
        with connect() as kept:
            round_trip(kept)
            for state in ("up", "down"):
                sh("ip", "link", "set", TAP, state)
                refused(world, f"net_tap0,iface={TAP}", f"{TAP} is in use by another program: give another name, iface=...")
                with Program(world, ["millrace-load", "doctor", "server"]) as doctor:
                    said = doctor.read_to_end(30)
                    demand(doctor.process.returncode == 1 and f"{TAP} is in use by another program" in said, said)
            sh("ip", "link", "set", TAP, "up")
            round_trip(kept)
        echo.stop()


def gone(program, seconds=20):
    """Its end by itself once its interface is deleted: one line that says so, and exit code 1."""
    output = program.read_to_end(seconds)
    lines = [line for line in output.splitlines() if "has been deleted" in line]
    demand(program.process.returncode == 1, f"exit code {program.process.returncode}: {output[-500:]}")
    demand(len(lines) == 1 and "link is" not in output, f"said: {output[-500:]}")
    demand(re.search(r"^all \d+ packet buffers are back", output, re.M), f"buffers missing: {output[-500:]}")
    return output


@case("a tap that is deleted under a program: told once as that, and the program ends with 1")
def deleted(world):
    for flags in ((), ("--cores", "2"), ("--mode", "thread"), ("--idle", "spin"), ("--idle", "pause")):
        with Program(world, ["millrace-echo", *flags]) as echo:
            echo.wait_for("listening on")
            sh("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)
            with connect() as sock:
                round_trip(sock)
                sh("ip", "link", "delete", TAP)
                gone(echo)


@case("a tap that is deleted under a load: its summary has the reason")
def deleted_under_load(world):
    with Program(world, ["millrace-load", "server"]) as load:
        load.wait_for("listening on")
        sh("ip", "link", "delete", TAP)
        output = gone(load)
        demand("the device has gone" in output, output)


@case("an interface that is deleted under net_af_packet is told as the tap is")
def deleted_interface(world):
    sh("ip", "link", "add", "mr0", "type", "veth", "peer", "name", "mr1")
    for end in ("mr0", "mr1"):
        sh("ip", "link", "set", end, "up")
    with Program(world, ["millrace-echo"], device="net_af_packet0,iface=mr1") as echo:
        echo.wait_for("listening on")
        sh("ip", "link", "delete", "mr1")
        gone(echo)


@case("a tap that gets another name, or goes down and up, has not gone")
def renamed(world):
    make_tap()
    with Program(world, ["millrace-echo"]) as echo:
        echo.wait_for("listening on")
        one_round_trip()
        sh("ip", "link", "set", TAP, "down")
        echo.wait_for("the link is DOWN")
        sh("ip", "link", "set", TAP, "up")
        echo.wait_for("the link is up")
        sh("ip", "link", "set", TAP, "down")
        sh("ip", "link", "set", TAP, "name", "other")
        sh("ip", "link", "set", "other", "up")
        time.sleep(0.5)  # two looks of the watch
        one_round_trip()
        demand("deleted" not in echo.read(), echo.output)
        echo.stop()


OTHER, OTHERS_MAC = "10.9.0.200", bytes.fromhex("020000000200")  # a host of which the kernel knows nothing


def ip_packet(protocol, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0x4000, 64, protocol, 0, socket.inet_aton(OTHER),
                       socket.inet_aton(MILLRACE))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def questions(port):
    """(type, packet) that have an answer each: ARP, an echo request, a SYN."""
    arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, OTHERS_MAC, socket.inet_aton(OTHER), b"\0" * 6,
                      socket.inet_aton(MILLRACE))
    echo = struct.pack("!BBHHH", 8, 0, 0, 7, port) + b"hello"
    echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
    syn = struct.pack("!HHIIBBHHH", port, 7, 1000, 0, 5 << 4, 2, 1000, 0, 0)
    pseudo = socket.inet_aton(OTHER) + socket.inet_aton(MILLRACE) + struct.pack("!BBH", 0, 6, len(syn))
    syn = syn[:16] + struct.pack("!H", checksum(pseudo + syn)) + syn[18:]
    return (0x806, arp), (0x800, ip_packet(1, echo)), (0x800, ip_packet(6, syn))


def answer_to(kind, packet, frame):
    """Is this frame, without a tag, the answer?"""
    if frame[:6] != OTHERS_MAC or frame[12:14] != struct.pack("!H", kind):
        return False
    if kind == 0x806:
        return frame[20:22] == b"\0\2"
    if frame[23] != packet[9]:
        return False
    return frame[34:36] == b"\0\0" if packet[9] == 1 else frame[47] == 0x12 and frame[36:38] == packet[20:22]


@case("frames with a priority and no VLAN (tag 0) count as untagged: ARP, an echo request and a SYN, on 1 core and on 3")
def priority_tagged(world):
    for cores in (1, 3):
        with Program(world, ["millrace-echo", "--cores", cores, "--queues", 1]) as echo:
            echo.wait_for("listening on")
            mac = bytes.fromhex(re.search(r"MAC ([0-9a-f:]{17})", echo.output)[1].replace(":", ""))
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
                wire.bind((TAP, 0))
                for tag, port in ((0x0000, 4000), (0xe000, 4001), (0x1000, 4002)):
                    for kind, packet in questions(port):
                        wire.send(mac + OTHERS_MAC + struct.pack("!HHH", 0x8100, tag, kind) + packet)
                        end = time.monotonic() + 10
                        while not answer_to(kind, packet, wire.recv(2000)):
                            demand(time.monotonic() < end, f"no answer to {kind:04x} with tag {tag:04x}")
                            demand(select.select([wire], [], [], 10)[0], f"no answer to {kind:04x} with tag {tag:04x}")
                # Of a VLAN: not ours.
                wire.send(mac + OTHERS_MAC + struct.pack("!HHH", 0x8100, 7, 0x806) + questions(1)[0][1])
                until("it is counted", 10, lambda: sum(row["drop_ethertype"] for row in of_cores(world, echo)) > 0)
            echo.stop()


@case("an address of length 32 with a gateway outside of it: both ways, as clouds set it up")
def alone(world):
    sh("ip", "address", "add", "198.51.100.7/32", "dev", "lo")
    for gateway in ("10.9.0.1", "172.31.1.1"):
        with Program(world, ["millrace-echo", "--gateway", gateway], address=f"{MILLRACE}/32") as echo:
            echo.wait_for("listening on")
            # As the banner has it.
            said = re.search(r"to reach it from this kernel: (.*)", echo.output)
            demand(said, echo.output)
            for command in said[1].split("; "):
                sh(*command.removeprefix("sudo ").split())
            demand(f"gateway {gateway}" in echo.output, echo.output)
            exchange(4, 100_000, 30)
            with socket.create_connection((MILLRACE, 7), timeout=5, source_address=("198.51.100.7", 0)) as sock:
                round_trip(sock)  # what is in no common network goes by the gateway
            echo.stop()


@case("without root: the capability that the README names does")
def capability(world):
    line = re.search(r"sudo (setcap \S+) build/apps", (TREE / "README.md").read_text(encoding="utf-8"))
    demand(line and shutil.which("setcap"), "no line with setcap in the README, or no setcap here: config/setup.sh")
    for directory in (world.directory, world.directory.parent):
        directory.chmod(0o755)
    program = world.directory / "millrace-echo"
    shutil.copy(world.program, program)
    program.chmod(0o755)
    sh(*line[1].split(), program)
    with Program(world, ["millrace-echo"]) as echo:
        echo.kill()
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--")
        echo.launch([*nobody, str(program), *echo.words[1:]], cwd="/")
        echo.wait_for("listening on")
        sh("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)
        one_round_trip()
        echo.stop()
