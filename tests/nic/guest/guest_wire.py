# SPDX-License-Identifier: BSD-3-Clause
"""Whatever the NIC does, the bytes on the wire are the same; and what arrives broken is dropped and counted.

A new mode is a line in MODES, a new kind of work a line in WORKS. (On a hub, emulated NICs leave PSH and FIN out of
what they cut: flags are compared where nothing is to be cut.)
"""
import socket
import struct
from dataclasses import dataclass

import nics
from groups import case
from programs import ECHO, PATIENT, client, demand_clean, near, server
from system import demand, until


@dataclass
class Mode:
    name: str
    flags: tuple  # of both ends
    like: str  # the mode whose frames are the same; empty: it is the first of its kind
    said: dict  # by group that has it: what the banner says of it
    vlan: int = 0
    mtu: int = 1500

    def all_flags(self):
        return (*self.flags, "--vlan", self.vlan, "--mtu", self.mtu)


CHECKSUMS = {"igb": "tx IPv4 hardware, tx TCP hardware", "e1000e": "tx IPv4 hardware, tx TCP hardware",
             "vmxnet3": "tx IPv4 software, tx TCP hardware"}
SEGMENTS = {"igb": "sending: TSO, up to", "e1000e": "no TSO", "vmxnet3": "sending: TSO, up to", "virtio": "no TSO"}
HERE = dict.fromkeys(("igb", "e1000e", "vmxnet3", "virtio"), "tx IPv4 software, tx TCP software")
TAGS_HERE, TAGS = (dict.fromkeys(HERE, f"VLAN 42: tags inserted in {where}, stripped in {where}")
                   for where in ("software", "hardware"))
SOFTWARE = Mode("software", ("--software-checksums",), "", HERE)
MODES = [
    SOFTWARE,
    Mode("checksums", ("--software-segmentation",), "software", CHECKSUMS),
    Mode("segments", (), "software", {name: said for name, said in SEGMENTS.items() if said != "no TSO"}),
]
LONG = [
    Mode("long", ("--software-checksums", "--software-vlan"), "", TAGS_HERE, 42, 9000),
    Mode("long-hardware", (), "long", TAGS, 42, 9000),
]
# name, whether each segment must be the same or each stream, flags of the client
WORKS = [
    ("one", True, ("--connections", 1, "--size", 701, "--requests", 60)),
    ("bulk", False, ("--connections", 4, "--size", 60_001, "--requests", 16)),
]


def same_bytes(world, modes):
    for mode in (mode for mode in modes if world.group.name in mode.said):
        said = mode.said[world.group.name]
        with server("--protocol", "echo", "--seed", 11, *PATIENT, *mode.all_flags()) as ours:
            ours.wait_for("listening on")
            demand(said in ours.output, f"{mode.name}: {ours.output}")
            for name, exact, words in WORKS:
                file = f"{name}-{mode.name}.pcap"
                world.host.ask("capture", 1, file)
                with client("--workload", "cps", "--seed", 12, *PATIENT, *mode.all_flags(), *words) as theirs:
                    with ours.aside():
                        theirs.wait_for("address: ")
                    demand_clean(theirs.ended(), mode.name)
                    demand(said in theirs.output, f"{mode.name}: {theirs.output}")
                world.host.ask("end_capture")
                count, longest = world.host.ask("check", file, mode.vlan)
                demand(longest <= mode.mtu and (name == "one" or longest == mode.mtu), f"an IP packet of {longest} bytes")
                told = f"{count} segments with right checksums, IP packets of {longest} bytes"
                if mode.like:
                    count, size = world.host.ask("compare", f"{name}-{mode.like}.pcap", file, exact)
                    told += f", {count} streams with {size} bytes as in {mode.like}"
                world.note(f"{name}, {mode.name}: {told}")
            demand_clean(ours.stop(), mode.name)


@case("the same bytes on the wire, whatever the NIC does", seconds=300)
def offloads(world):
    same_bytes(world, MODES)


@case("the same bytes on the wire, with a VLAN's tag and in jumbo frames", seconds=300)
def tagged_and_long(world):
    same_bytes(world, LONG)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def syn(number, wrong_ip=0, wrong_tcp=0, tag=b""):
    """A frame from a neighbour that nobody is, whose checksums may be wrong."""
    source, target = socket.inet_aton(f"10.9.1.{100 + number}"), socket.inet_aton(ECHO)
    tcp = struct.pack("!HHIIBBHHH", 4000 + number, 7, 1000, 0, 5 << 4, 2, 8192, 0, 0)
    right = checksum(source + target + struct.pack("!HH", 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", right ^ wrong_tcp) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, number, 0, 64, 6, 0) + source + target
    ip = ip[:10] + struct.pack("!H", checksum(ip) ^ wrong_ip) + ip[12:]
    return bytes.fromhex("525400000003") + bytes.fromhex("0600000000") + bytes([number]) + tag + b"\x08\x00" + ip + tcp


@case("broken checksums are dropped and counted, whoever looks at them")
def broken(world):
    for mode in (SOFTWARE, Mode("as it comes", (), "", SEGMENTS)):
        with near("echo", *mode.flags) as echo, socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            echo.wait_for("listening on")
            demand(mode.said[world.group.name] in echo.output, f"{mode.name}: {echo.output}")
            raw.bind((nics.kernel_interface(), 0))
            for number in range(30):
                raw.send(syn(number, wrong_tcp=0x0100 if number % 3 == 1 else 0, wrong_ip=0x0001 if number % 3 == 2 else 0))

            def counted():
                core, = echo.stats()
                names = ("half_open_now", "drop_tcp_checksum", "drop_ip_checksum")
                found = [core.get(name, 0) for name in names]
                return found if sum(found) >= 30 else None

            found = until(f"{mode.name}: 30 frames counted", 60, counted)
            world.note(f"{mode.name}: {found[0]} SYNs taken, {found[1]} with a wrong TCP checksum, {found[2]} IP")
            demand(found == [10, 10, 10], f"{mode.name}: {found} of 10 good, 10 wrong in TCP, 10 in IP")
            echo.stop()


def tag(vlan):
    return struct.pack("!HH", 0x8100, vlan)


@case("frames of our VLAN are taken, of another and without a tag they are not, whoever takes the tag off")
def vlans(world):
    for mode in LONG:
        with near("echo", *mode.all_flags()) as echo, socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            echo.wait_for("listening on")
            raw.bind((nics.kernel_interface(), 0))
            for number in range(30):
                raw.send(syn(number, tag=(tag(mode.vlan + 1), b"", tag(mode.vlan))[number % 3]))
            until(f"{mode.name}: 10 SYNs", 60, lambda: echo.stats()[0]["half_open_now"] >= 10)
            core, = echo.stats()  # the last frame was ours, and those before it have had their turn
            world.note(f"{mode.name}: {core['half_open_now']} SYNs taken, {core.get('drop_other_vlan', 0)} dropped in software")
            demand(core["half_open_now"] == 10, f"{mode.name}: {core['half_open_now']} SYNs taken, of 10 in VLAN {mode.vlan}")
            echo.stop()
