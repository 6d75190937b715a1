# SPDX-License-Identifier: BSD-3-Clause
"""Frames with a VLAN's tag, and long ones. A box on the way takes the tag off and puts it on: not all kernels have VLANs."""
from capture import receive_tagged, tell_tags
from cases_devices import two_processes
from clients import exchange, one_round_trip
from middlebox import Faults, Forwarder, Middlebox
from registry import case
from system import Failure, demand


class Switch(Forwarder):
    """Millrace is at a tagged port, the kernel at an untagged one."""

    vlan = 7
    receive = staticmethod(receive_tagged)

    def __init__(self, *args):
        super().__init__(*args)
        for side in self.sides:
            tell_tags(side)

    def take(self, frame, target):
        from_millrace = self.sides.index(target) == 1
        tag = b"\x81\x00" + self.vlan.to_bytes(2, "big")
        if not from_millrace:
            frame = frame[:12] + tag + frame[12:]
        elif frame[12:16] == tag:
            frame = frame[:12] + frame[16:]
        else:
            return  # to another VLAN
        self.send(target, frame)


class OtherSwitch(Switch):
    vlan = 8


class NoSwitch(Forwarder):
    """Nothing has a tag on its way to Millrace, and on its way back the kernel takes it off."""


@case("a VLAN: 8 clients, 500 KB each")
def vlan(world):
    with world.echo("--vlan", "7", capture=False), Middlebox(Faults(), forwarder=Switch):
        exchange(8, 500_000, 30)


def silent(world, forwarder):
    with world.echo("--vlan", "7", capture=False), Middlebox(Faults(), forwarder=forwarder):
        try:
            one_round_trip(seconds=2)
        except OSError:
            return
        raise Failure("an answer")


@case("a VLAN: frames of another one get no answer", seconds=30)
def other_vlan(world):
    silent(world, OtherSwitch)


@case("a VLAN: frames without a tag get no answer", seconds=30)
def no_vlan(world):
    silent(world, NoSwitch)


@case("jumbo frames, by net_vhost and net_virtio_user: 3,000 requests of 8,000 bytes, sent from where they lie", seconds=150)
def jumbo(world):
    file = world.directory / "vhost.sock"
    long = ("--mtu", 9000, "--copy-limit", 4500)
    result = two_processes(world, "net_vhost.toml", "net_virtio_user.toml", ("--device", f"net_vhost0,iface={file}", *long),
                           ("--device", f"net_virtio_user0,path={file}", "--requests", 3000, "--size", 8000, "--duration",
                            "90s", *long))
    demand(result["requests"] == 3000, f"{result['requests']} requests")
    text = result["tcp"]["bytes_sent"] / result["tcp"]["segments_sent"]
    demand(text > 2000, f"{text:.0f} bytes a segment: with 1460 at most it could not be more")
