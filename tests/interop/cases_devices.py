# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's virtual devices as config/ has them: with this kernel at the other end, with another process, with files."""
import contextlib
import re
import socket
import struct

from cases_link import checksum
from cases_load import Nginx, demand_clean
from cases_stat import stat
from clients import exchange
from recipe import Recipe
from registry import case
from system import Failure, Skip, demand, sh, until
from world import KERNEL, MILLRACE


def with_this_kernel(world, name, *flags, clients=8, size=300_000):
    """The commands of an echo recipe; gives what it printed."""
    recipe = Recipe(name)
    is_tap = name.startswith("net_tap")
    if not is_tap:
        recipe.system()
    with recipe.program(world, "millrace-echo", *flags) as echo:
        echo.wait_for("listening on")
        if is_tap:
            recipe.system()
        recipe.ask()
        exchange(clients, size, 40)
        echo.stop()
        return echo.output


@case("config/net_tap.toml: an echo server, and a client of nginx")
def net_tap(world):
    with_this_kernel(world, "net_tap.toml")
    recipe = Recipe("net_tap.toml")
    with Nginx(world.directory, 80) as nginx:
        (nginx.directory / "nginx/files/index.html").write_bytes(b"hello\n" * 100)
        with recipe.program(world, "millrace-load client", "--requests", 500, "--duration", "60s") as load:
            load.wait_for("to reach it")
            recipe.system()
            result = load.ended()
    demand_clean(result)
    demand(result["requests"] == 500, f"{result['requests']} requests")


@case("config/net_tap_cores.toml: four queues for four cores, 24 clients")
def net_tap_cores(world):
    said = with_this_kernel(world, "net_tap_cores.toml", clients=24)
    demand("4 rx, 4 tx for 4 cores: steering in software" in said, said)


@case("config/net_af_packet.toml, on a veth pair")
def net_af_packet(world):
    said = with_this_kernel(world, "net_af_packet.toml")
    demand("mr1 is one end of a veth pair" in said and "ethtool -K OTHER-END tx off" in said, said)


@case("config/net_af_packet.toml with four queues for four cores, on a veth pair")
def net_af_packet_cores(world):
    said = with_this_kernel(world, "net_af_packet.toml", "--device", "net_af_packet0,iface=mr1,qpairs=4", "--cores", 4)
    demand("4 rx, 4 tx for 4 cores" in said, said)


@contextlib.contextmanager
def where_af_xdp_is():
    try:
        socket.socket(44, socket.SOCK_RAW, 0).close()  # AF_XDP
    except OSError as error:
        raise Skip(f"this kernel gives no AF_XDP socket ({error.strerror})") from None
    try:
        yield
    except Failure as failure:
        why = str(failure)
        if "no such device: net_af_xdp" in why:
            raise Skip("DPDK here has no net_af_xdp driver (librte-net-af-xdp)") from None
        if "it says:" in why and "not permitted" in why:
            raise Skip(f"this kernel permits no XDP program: {why}") from None
        raise


@case("config/net_af_xdp.toml, on a veth pair")
def net_af_xdp(world):
    with where_af_xdp_is():
        said = with_this_kernel(world, "net_af_xdp.toml", "--packet-buffers", 4096)  # beside what the driver takes
    demand("libbpf" not in said and "libxdp" not in said, f"the libraries talk: {said}")
    demand(re.search(r"\d+ of them stay with the driver", said), said)


@case("config/net_ring.toml: 20,000 requests between both ends of one process")
def net_ring(world):
    with Recipe("net_ring.toml").program(world, "millrace-load pair", "--requests", 20000) as pair:
        result = pair.ended()
    demand_clean(result)
    demand(result["requests"] == 20000, f"{result['requests']} requests")


# --- two processes ---

def two_processes(world, server, client, server_flags=(), client_flags=()):
    """The commands of the server's file, in its order; gives the client's result and what both printed."""
    recipe = Recipe(server)
    with recipe.program(world, "millrace-echo", *server_flags) as echo:
        echo.wait_for("listening on")
        demand("LINK DOWN" in echo.output, f"a link without a peer: {echo.output}")
        with recipe.program(world, "millrace-load client", *client_flags, nth=1) as load:
            demand(client in " ".join(load.words), f"{server} does not name {client}")
            result = load.ended(seconds=100)  # sooner, perhaps, than the other end has looked at its link
        echo.stop()
    demand_clean(result)
    return result


@case("config/net_memif_*.toml: 20,000 requests between two processes")
def net_memif(world):
    result = two_processes(world, "net_memif_server.toml", "net_memif_client.toml",
                           client_flags=("--requests", 20000, "--duration", "90s"))
    demand(result["requests"] == 20000 and result["connections"] == 64, f"{result['requests']} requests")


@case("config/net_memif_*.toml with 2 cores each: 10,000 connects", seconds=150)
def net_memif_cores(world):
    result = two_processes(world, "net_memif_server.toml", "net_memif_client.toml", ("--cores", 2),
                           ("--cores", 2, "--workload", "cps", "--requests", 10000, "--duration", "90s"))
    demand(result["requests"] == 10000 and result["connections"] == 10000, f"{result['requests']} requests")
    demand(all(core["cycles_per_request"] > 0 for core in result["cores"]), f"an idle core: {result['cores']}")
    tcp = result["tcp"]
    part = tcp["frames_handed_over"] / tcp["frames_received"]
    demand(abs(part - 0.5) < 0.05, f"{part:.2f} of the frames came to the other core, not half of them")


@case("config/net_vhost.toml and net_virtio_user.toml: 20,000 requests between two processes")
def net_vhost(world):
    file = world.directory / "vhost.sock"
    result = two_processes(world, "net_vhost.toml", "net_virtio_user.toml", ("--device", f"net_vhost0,iface={file}"),
                           ("--device", f"net_virtio_user0,path={file}", "--requests", 20000, "--duration", "90s"))
    demand(result["requests"] == 20000 and result["connections"] == 64, f"{result['requests']} requests")


@case("config/net_vhost.toml and net_virtio_user.toml with 2 queues for 2 cores each: 3,000 connects", seconds=150)
def net_vhost_cores(world):
    file = world.directory / "vhost.sock"
    result = two_processes(world, "net_vhost.toml", "net_virtio_user.toml",
                           ("--device", f"net_vhost0,iface={file},queues=2", "--cores", 2),
                           ("--device", f"net_virtio_user0,path={file},queues=2", "--cores", 2, "--workload", "cps",
                            "--requests", 3000, "--duration", "90s"))
    demand(result["requests"] == 3000 and result["connections"] == 3000, f"{result['requests']} requests")


# --- files ---

OURS, THEIRS = bytes.fromhex("026d0a090002"), bytes.fromhex("020000000001")
SYN, RST, ACK = 2, 4, 16


def segment(source_port, port, seq, flags):
    source, target = socket.inet_aton(KERNEL), socket.inet_aton(MILLRACE)
    tcp = struct.pack("!HHIIBBHHH", source_port, port, seq, 0, 5 << 4, flags, 1000, 0, 0)
    sums = struct.pack("!H", checksum(source + target + struct.pack("!BBH", 0, 6, len(tcp)) + tcp))
    tcp = tcp[:16] + sums + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0, source, target)
    return OURS + THEIRS + b"\x08\x00" + ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp


def write_capture(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1_700_000_000 + number, 0, len(frame), len(frame)) + frame)


def answers(path):
    """(flags, our port, its port, acknowledged) of each segment of a capture, as tcpdump reads it."""
    said = sh("tcpdump", "-nr", path, "tcp")
    found = re.findall(rf"IP {MILLRACE}\.(\d+) > {KERNEL}\.(\d+): Flags \[(\S+)\], seq \d+, ack (\d+)", said)
    return {(flags, int(ours), int(theirs), int(ack)) for ours, theirs, flags, ack in found}, said


@case("config/net_pcap.toml: 1,000 captured SYNs and what else there was, each with its answer")
def net_pcap(world):
    question = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, THEIRS, socket.inet_aton(KERNEL), b"\0" * 6,
                           socket.inet_aton(MILLRACE))
    frames = [b"\xff" * 6 + THEIRS + b"\x08\x06" + question + b"\0" * 18]
    frames += [segment(2000 + i, 7, 1000 * i, SYN) for i in range(1000)]
    frames += [segment(5000, 9, 77, SYN), OURS + THEIRS + b"\x86\xdd" + b"\0" * 50]
    write_capture(world.directory / "in.pcap", frames)
    recipe = Recipe("net_pcap.toml")
    with recipe.program(world, "millrace-echo") as echo:
        echo.wait_for("listening on")
        until("all frames of the capture", 20,
              lambda: stat(world, echo, "stats")["endpoints"][0]["frames_received"] >= len(frames))
        echo.stop()
    seen, said = answers(world.directory / "out.pcap")
    wanted = {("S.", 7, 2000 + i, 1000 * i + 1) for i in range(1000)} | {("R.", 9, 5000, 78)}
    # Its end resets what is half open; a SYN,ACK may have gone out twice.
    demand(wanted <= seen, f"{len(wanted - seen)} answers missing, such as {sorted(wanted - seen)[:3]}")
    other = {a for a in seen - wanted if "R" not in a[0]}
    demand(not other, f"answers that nobody asked for: {sorted(other)[:3]}")
    arp = sh(*recipe.command("tcpdump").split()[:1], "-nr", world.directory / "out.pcap", "arp")
    demand(f"Reply {MILLRACE} is-at 02:6d:0a:09:00:02" in arp, arp)
