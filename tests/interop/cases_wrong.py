# SPDX-License-Identifier: BSD-3-Clause
"""Devices on the kernel's interfaces that cannot be: one sentence with what mends it, exit code 2. (Those that need no
namespace are in tests/apps/devices_test.cc.)"""
import subprocess

from cases_devices import where_af_xdp_is
from recipe import Recipe
from registry import case
from system import demand, die_with_parent, sh
from world import TAP


def refused(world, device, said, *flags, before=()):
    done = subprocess.run([*before, world.program, "--device", device, "--address", "10.9.0.2/24", *map(str, flags)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, preexec_fn=die_with_parent,
                          check=False)
    lines = done.stderr.splitlines()
    demand(done.returncode == 2, f"{device}: exit code {done.returncode}: {done.stderr}")
    demand(said in lines[-1], f"{device}: {done.stderr}")
    other = [line for line in lines[:-1] if not line.startswith("millrace: ")]
    demand(not other and not done.stdout, f"{device}: said besides: {other} {done.stdout}")


def veth(up=True):
    sh("ip", "link", "add", "mr0", "type", "veth", "peer", "name", "mr1")
    if up:
        sh("ip", "link", "set", "mr0", "up")
        sh("ip", "link", "set", "mr1", "up")


WITHOUT = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--")  # root without what root may


@case("permissions that are missing: the device says which")
def permissions(world):
    veth()
    refused(world, f"net_tap0,iface={TAP}x", "net_tap needs root or CAP_NET_ADMIN: run with sudo", before=WITHOUT)
    refused(world, "net_af_packet0,iface=mr1", "net_af_packet needs root or CAP_NET_RAW: run with sudo", before=WITHOUT)
    refused(world, "net_af_xdp0,iface=mr1", "net_af_xdp needs root or CAP_NET_ADMIN: run with sudo", before=WITHOUT)
    refused(world, "net_pcap0,iface=mr1", "net_pcap on an interface needs root or CAP_NET_RAW", before=WITHOUT)


@case("taps that cannot be: in use, with one queue, another kind, no name, an unknown argument")
def taps(world):
    with world.echo(capture=False):
        refused(world, f"net_tap0,iface={TAP}", f"{TAP} is in use by another program: give another name, iface=...")
    sh("ip", "tuntap", "add", "dev", "one", "mode", "tap")
    refused(world, "net_tap0,iface=one", "one is there, and is no tap with several queues: another name")
    veth()
    refused(world, "net_tap0,iface=mr1", "mr1 is there, and is no tap with several queues: another name")
    refused(world, "net_tap0,iface=", "iface= is no name for an interface: give 1 to 15 characters")
    refused(world, "net_tap0,iface=abcdefghijklmnop", "is no name for an interface: give 1 to 15 characters")
    refused(world, "net_tap0,ifcae=mr9", "net_tap has no argument ifcae, but iface, mac, remote")
    refused(world, "net_tap0,iface=mr9,remote=nobody", "no interface nobody here for remote=: ip -brief link")
    refused(world, "net_tap0,iface=mr9", "net_tap0 has 4 queues each way, and 5 were asked for: --queues 4", "--cores", 5,
            "--queues", 5)
    refused(world, "net_tap0,iface=mr9", "no /dev/net/tun here, so no taps: sudo modprobe tun",
            before=("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"))


@case("interfaces that cannot be: not there, down, with a smaller MTU, too few queues or short frames")
def interfaces(world):
    veth(up=False)
    for driver in ("net_af_packet", "net_af_xdp"):
        refused(world, f"{driver}0", f"{driver} needs an interface of the kernel's: --device {driver}0,iface=eth1")
        refused(world, f"{driver}0,iface=nobody", "no interface nobody here: ip -brief link")
    refused(world, "net_af_xdp0,iface=mr1", "mr1 is down, and net_af_xdp starts on none that is: sudo ip link set mr1 up")
    sh("ip", "link", "set", "mr0", "up")
    sh("ip", "link", "set", "mr1", "up", "mtu", "1400")
    for driver in ("net_af_packet", "net_af_xdp"):
        refused(world, f"{driver}0,iface=mr1", "mr1 has an MTU of 1400, less than ours of 1500: --mtu 1400, or sudo ip link "
                "set mr1 mtu 1500")
    refused(world, "net_af_packet0,iface=mr1", "net_af_packet0 has 1 queue each way, and 2 were asked for: "
            "net_af_packet0,iface=mr1,qpairs=2, or --queues 1", "--cores", 2, "--queues", 2, "--mtu", 1400)
    refused(world, "net_af_packet0,iface=mr1,blocksz=7", "(it says: net_af_packet0: AF_PACKET MMAP frame size exceeds block "
            "size!)", "--mtu", 1400)
    refused(world, "net_af_packet0,iface=mr1,framesz=1024,blocksz=4096", "an MTU of 1400 needs larger frames of "
            "net_af_packet's ring than 1024 bytes: framesz=2048,blocksz=4096 behind iface, or --mtu 946", "--mtu", 1400)
    sh("ip", "link", "set", "mr0", "mtu", "9000")
    sh("ip", "link", "set", "mr1", "mtu", "9000")
    with where_af_xdp_is():
        refused(world, "net_af_xdp0,iface=mr1", "the kernel: veth: Peer MTU is too large to set XDP): what else has it: ip "
                "-details link show mr1")


@case("an interface of the kernel's keeps its MTU and its promiscuity")
def interface_kept(world):
    recipe = Recipe("net_af_packet.toml")
    recipe.system()
    for end in ("mr0", "mr1"):
        sh("ip", "link", "set", end, "mtu", "9000")
    with recipe.program(world, "millrace-echo", "--mac", "02:00:00:00:00:77") as echo:
        echo.wait_for("listening on")
        demand("promiscuity 1" in sh("ip", "-details", "link", "show", "mr1"), "frames to our MAC are not let in")
        recipe.ask()
        echo.stop()
    said = sh("ip", "-details", "link", "show", "mr1")
    demand("mtu 9000" in said and "promiscuity 0" in said, said)
