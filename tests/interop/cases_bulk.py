# SPDX-License-Identifier: BSD-3-Clause
"""Long streams each way: over a network that loses, with what a kernel may switch off, and with readers that stop."""
from bulk import Stream, demand_ends, run
from middlebox import Faults, Middlebox
from network import lose, lost, routed
from registry import case
from system import demand, go_to_network, kernel_counter, sh, sysctl
from world import KERNEL, MILLRACE, PORT, TAP, Watch

MB = 10**6


def lossy(world, percent, size, seconds):
    """Every byte is compared at either end; what is lost is lost on a router, one segment at a time."""
    with world.bulk("--gateway", KERNEL, capture=5000) as bulk:
        router, client = routed(offloads=False)
        go_to_network(router)
        lose(percent)
        go_to_network(client)
        stream = Stream(MILLRACE, PORT, send=size, get=size)
        took = run([stream], seconds)
        demand_ends(bulk, 1, size, size)
        kernel = f"{kernel_counter('TcpExtTCPTimeouts')} timeouts, {kernel_counter('TcpRetransSegs')} sent again"
        go_to_network(router)
        dropped = lost()
        demand(min(dropped) > size / 1448 * percent / 300, f"of {size} bytes each way only {dropped} segments were lost")
        bulk.stop()
    timeouts = bulk.counter("retransmission_timeouts")
    note = (f"Millrace's text after {stream.took:.1f} s, all after {took:.1f} s; Millrace: {timeouts} timeouts,"
            f" {bulk.counter('retransmitted')} sent again for {dropped[0]} losses; kernel: {kernel}, {dropped[1]} losses")
    world.note(note)
    # A retransmission is lost as often as any segment, and in recovery nothing but the timeout tells.
    demand(timeouts <= max(5, dropped[0] * (percent + 1) // 100), f"too many timeouts: {note}")


@case("loss: 1 % each way, 200 MB each way", seconds=120)
def loss_1(world):
    lossy(world, 1, 200 * MB, 100)


@case("loss: 5 % each way, 20 MB each way", seconds=120)
def loss_5(world):
    lossy(world, 5, 20 * MB, 100)


@case("ECN: marks on the way slow both sides, and lose nothing", seconds=60)
def ecn(world):
    sysctl("net/ipv4/tcp_ecn", 1)
    with world.bulk("--gateway", KERNEL, capture=5000) as bulk:
        router, client = routed(offloads=False)
        sysctl("net/ipv4/tcp_ecn", 1)
        go_to_network(router)
        for way in ("-i", "-o"):
            sh("iptables", "-t", "mangle", "-A", "FORWARD", way, TAP, "-m", "ecn", "--ecn-ip-ect", 2, "-m", "statistic",
               "--mode", "random", "--probability", 0.01, "-j", "TOS", "--set-tos", "3/3")
        go_to_network(client)
        size = 20 * MB
        stream = Stream(MILLRACE, PORT, send=size, get=size, congestion="cubic", end=False)
        run([stream], 50)
        line = " ".join(sh("ss", "-tioH", "dst", MILLRACE).split())
        stream.socket.close()
        bulk.stop()
        reductions, marked = bulk.counter("ecn_reductions"), kernel_counter("IpExtInCEPkts")
        demand(" ecn " in line and "ecnseen" in line, f"ECN was not negotiated: {line}")
        demand(marked > 50, f"only {marked} marks came to the kernel")
        demand(reductions > 5, f"{marked} marks, and Millrace reduced its window {reductions} times")
        demand("delivered_ce:" in line, f"the kernel's marks were not echoed: {line}")
        world.note(f"{marked} marks came to the kernel, Millrace reduced {reductions} times;"
                   f" {line[line.index('delivered_ce:'):].split()[0]} at the kernel")


RMEM = {"4096 bytes": "4096 4096 4096", "16 KB": "4096 16384 16384", "6 MB": "4096 131072 6291456"}
for rmem, setting in RMEM.items():
    case(f"kernel with a receive buffer of {rmem}: 1 MB each way")(
        lambda world, setting=setting: with_rmem(world, setting))


def with_rmem(world, setting):
    sysctl("net/ipv4/tcp_rmem", setting)
    with world.bulk(capture=3000) as bulk:
        run([Stream(MILLRACE, PORT, send=MB, get=MB)], 40)
        demand_ends(bulk, 1, MB, MB)


@case("MTUs of the kernel's side from 576 to 9000: 1 MB each way with each", seconds=90)
def mtus(world):
    with world.bulk(capture=8000) as bulk, Watch() as watch:
        steps = (576, 1006, 1280, 1400, 1492, 1500, 4352, 9000)
        for number, mtu in enumerate(steps):
            sh("ip", "link", "set", TAP, "mtu", mtu)
            run([Stream(MILLRACE, PORT, send=MB, get=MB)], 20)
            demand_ends(bulk, number + 1, MB, MB)
            seen = watch.rest(0.05)
            largest = max(p.length for p in seen if p.from_millrace)
            due = min(mtu, 1500) - 40 - 12  # timestamps
            demand(largest == due, f"Millrace's largest segment had {largest} bytes at an MTU of {mtu}, not {due}")
            seen.clear()


@case("no SACK, timestamps or scaling, over 1 % loss: 10 MB each way", seconds=60)
def bare_and_lossy(world):
    with world.bulk("--gateway", KERNEL, capture=5000) as bulk:
        router, client = routed(offloads=False)
        for name in ("sack", "timestamps", "window_scaling", "dsack"):
            sysctl(f"net/ipv4/tcp_{name}", 0)
        go_to_network(router)
        lose(1)
        go_to_network(client)
        took = run([Stream(MILLRACE, PORT, send=10 * MB, get=10 * MB)], 50)
        demand_ends(bulk, 1, 10 * MB, 10 * MB)
        bulk.stop()
        world.note(f"{took:.1f} s; Millrace: {bulk.counter('retransmission_timeouts')} timeouts")


@case("a path of 20 ms: 10 MB each way", seconds=60)
def long_path(world):
    with world.bulk(capture=5000) as bulk:
        with Middlebox(Faults(), delay=0.01):
            took = run([Stream(MILLRACE, PORT, send=10 * MB, get=10 * MB)], 50)
            demand_ends(bulk, 1, 10 * MB, 10 * MB)
        bulk.stop()
        world.note(f"{took:.1f} s; Millrace: {bulk.counter('retransmission_timeouts')} timeouts,"
                   f" {bulk.counter('retransmitted')} sent again")
