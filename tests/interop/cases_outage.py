# SPDX-License-Identifier: BSD-3-Clause
"""What goes away during a run and comes back: a link, at either end, and answers to ARP. The run goes on."""
import contextlib
import shutil
import signal
import time
from pathlib import Path

from cases_devices import where_af_xdp_is
from cases_load import Load, Nginx, demand_clean
from clients import connect, one_round_trip, round_trip
from recipe import Recipe
from registry import case
from system import Skip, demand, sh, until
from world import KERNEL, MILLRACE, TAP

CHANGES = 2  # times that a link goes away


def told(echo, state, times):
    until(f"'the link is {state}' for the {times}. time", 5, lambda: echo.read().count(f"the link is {state}") >= times)


def gone_and_back(echo, interface):
    """Connections that are open live through it, with what was underway; new ones come after it."""
    with connect(seconds=30) as kept, connect(seconds=30) as busy:
        round_trip(kept)
        for times in range(1, CHANGES + 1):
            sh("ip", "link", "set", interface, "down")
            told(echo, "DOWN", times)
            busy.sendall(b"x" * 20000)  # into nothing
            sh("ip", "link", "set", interface, "up")
            told(echo, "up", times)
            got = 0
            while got < 20000:
                data = busy.recv(65536)
                demand(data and not data.strip(b"x"), f"after {got} bytes: {data[:20]!r}")
                got += len(data)
            round_trip(kept)
            one_round_trip(seconds=10)
    said = echo.read()
    demand(said.count("the link is DOWN") == CHANGES and said.count("the link is up") == CHANGES, f"told otherwise: {said}")


@case("link: a tap goes down and up during a run")
def tap_link(world):
    with world.echo() as echo:
        gone_and_back(echo, TAP)


def veth_link(world, name, interface):
    recipe = Recipe(name)
    recipe.system()
    possible = where_af_xdp_is() if "xdp" in name else contextlib.nullcontext()
    with possible, recipe.program(world, "millrace-echo") as echo:
        echo.wait_for("listening on")
        gone_and_back(echo, interface)
        echo.stop()


for driver in ("af_packet", "af_xdp"):
    for end, what in (("mr1", "own interface"), ("mr0", "peer")):
        case(f"link: net_{driver}'s {what} goes down and up during a run")(
            lambda world, name=f"net_{driver}.toml", interface=end: veth_link(world, name, interface))


@case("link: down at the start, and up later")
def late_link(world):
    recipe = Recipe("net_af_packet.toml")
    recipe.system()
    sh("ip", "link", "set", "mr1", "down")
    with recipe.program(world, "millrace-echo") as echo:
        echo.wait_for("listening on")
        demand("LINK DOWN" in echo.output, echo.output)
        sh("ip", "link", "set", "mr1", "up")
        told(echo, "up", 1)
        one_round_trip(seconds=10)
        echo.stop()


def virtio_user(world, *flags):
    """An echo server at that end of a socket."""
    return Recipe("net_vhost.toml").program(world, "millrace-echo", *flags)


def vhost_load(world, device):
    return Recipe("net_virtio_user.toml").program(world, "millrace-load client", "--device", device, "--duration", "60s",
                                                  nth=1)


@case("link: net_vhost's other end comes back after a kill, where it is the one that connects")
def vhost_again(world):
    file = world.directory / "vhost.sock"
    with virtio_user(world, "--device", f"net_virtio_user0,path={file},server=1") as echo:
        echo.wait_for("waits for its other end")
        with vhost_load(world, f"net_vhost0,iface={file},client=1") as load:
            load.wait_for("requests/s")
            load.process.kill()
        told(echo, "DOWN", 1)
        with vhost_load(world, f"net_vhost0,iface={file},client=1") as load:
            told(echo, "up", 1)
            load.wait_for("requests/s")
            load.process.send_signal(signal.SIGINT)
            result = load.ended()
            demand_clean(result)
            demand(result["requests"] > 0, "no request")
        told(echo, "DOWN", 2)
        echo.stop()


@case("link: net_virtio_user's other end is killed, which is told once; the end is in order")
def vhost_killed(world):
    file = world.directory / "vhost.sock"
    with virtio_user(world, "--device", f"net_vhost0,iface={file}") as echo:
        echo.wait_for("listening on")
        with vhost_load(world, f"net_virtio_user0,path={file}") as load:
            load.wait_for("requests/s")
            echo.process.kill()
            load.wait_for("the link is DOWN")
            load.process.send_signal(signal.SIGINT)
            load.ended()  # by itself, not by SIGPIPE
            demand(load.output.count("DOWN") == 1, load.output)


@contextlib.contextmanager
def without_arp(chain):
    """What the kernel sends of ARP is lost (OUTPUT), or what it is sent (INPUT)."""
    table = shutil.which("arptables") or shutil.which("arptables-nft")
    if table is None:
        raise Skip("there is no arptables here (the package iptables has it)")
    way = "-o" if chain == "OUTPUT" else "-i"
    sh(table, "-A", chain, way, TAP, "-j", "DROP")
    yield
    sh(table, "-D", chain, way, TAP, "-j", "DROP")


@case("ARP: its answers to Millrace are lost at first; its connects wait, and succeed")
def answers_to_millrace(world):
    sh("ip", "tuntap", "add", "dev", TAP, "mode", "tap", "multi_queue")
    sh("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)
    with Nginx(world.directory, 8085), contextlib.ExitStack() as outage:
        outage.enter_context(without_arp("OUTPUT"))
        with Load(world, "client", "--workload", "http", "--url", f"http://{KERNEL}:8085/file", "--connections", 8,
                  "--requests", 400, "--connect-timeout", "20s", "--duration", "60s", address=False) as load:
            load.wait_for("driver net_tap")
            asked = neighbor_requests()
            until("it asks once more", 5, lambda: neighbor_requests() > asked, pause=0.1)
            outage.close()
            result = load.ended(0)
    demand_clean(result)
    demand(result["requests"] == 400, f"{result['requests']} requests")


def neighbor_requests():
    """Frames that the tap's kernel end has received."""
    return int(Path("/proc/self/net/dev").read_text().split(f"{TAP}:")[1].split()[1])


@case("ARP: Millrace's answers are lost for a while; what was open goes on, and what is new waits")
def answers_of_millrace(world):
    with world.echo() as echo, connect(seconds=30) as kept:
        round_trip(kept)
        with without_arp("INPUT"):
            sh("ip", "neigh", "flush", "dev", TAP)
            kept.sendall(b"a line of text\n")
            began = time.monotonic()
            until("the kernel finds nobody", 10,
                  lambda: "FAILED" in sh("ip", "neigh", "show", MILLRACE) or time.monotonic() > began + 2)
            demand("lladdr" not in sh("ip", "neigh", "show", MILLRACE), "the kernel knows Millrace's address")
        demand(kept.recv(100) == b"a line of text\n", "another text than was sent")
        round_trip(kept)
        one_round_trip(seconds=10)
        demand(sh("ip", "neigh", "show", MILLRACE).split()[4] == echo.mac, "another address than Millrace's")
