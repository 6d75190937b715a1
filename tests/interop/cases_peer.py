# SPDX-License-Identifier: BSD-3-Clause
"""What a peer may do in the middle of streams: end first, fall silent, stop reading, stop altogether, be killed."""
import os
import signal
import socket
import time

from bulk import Stream, demand_ends, order, part_of_text, run
from capture import Beside
from clients import connect, receive, receive_to_end
from registry import case
from system import demand, kernel_counter, sh, sysctl, until
from world import ACK, FIN, KERNEL, MILLRACE, PORT, RST, TAP, Watch

MB = 10**6


@case("half close: Millrace ends first, and 5 MB still come to it")
def millrace_ends_first(world):
    with world.bulk(capture=3000) as bulk:
        stream = Stream(MILLRACE, PORT, send=5 * MB, get=1000, end_first=True)
        stream.end = False
        run([stream], 20)
        until("the end of Millrace's stream", 5, lambda: ended(stream))
        rest = Stream(MILLRACE, PORT, sock=stream.socket, send=10 * MB)
        rest.sent, rest.closed = 5 * MB, True
        run([rest], 20)
        demand_ends(bulk, 1, 1000, 10 * MB)


def ended(stream):
    stream.socket.setblocking(True)
    stream.socket.settimeout(1)
    return stream.socket.recv(1) == b""


@case("half close: the kernel ends first, and 5 MB still come to it")
def kernel_ends_first(world):
    with world.bulk(capture=3000) as bulk:
        run([Stream(MILLRACE, PORT, send=1000, get=5 * MB)], 20)
        demand_ends(bulk, 1, 5 * MB, 1000)


@case("Millrace connects: 8 streams of 1 MB to the kernel's listener")
def millrace_connects(world):
    with world.bulk(capture=3000) as bulk, socket.create_server((KERNEL, 0), backlog=16) as listener:
        listener.settimeout(5)
        streams, orders = [], []
        for _ in range(8):
            orders.append(connect())
            orders[-1].sendall(order(send=MB, connect_port=listener.getsockname()[1], end_first=True))
            streams.append(Stream(MILLRACE, PORT, sock=listener.accept()[0], send=MB, get=MB))
        run(streams, 20)
        demand_ends(bulk, 8, MB, MB)
        for sock in orders:
            sock.close()


@case("Millrace connects to a port where nobody listens: refused")
def millrace_is_refused(world):
    with world.bulk() as bulk, connect() as sock:
        sock.sendall(order(send=MB, connect_port=9))
        until("the refusal", 5, lambda: "connection refused: sent 0" in bulk.read())


@case("keep-alive: the kernel's probes are answered through silence")
def keepalive(world):
    with world.bulk(), Watch() as watch, connect() as sock:
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.sendall(order(send=100))
        first = receive(sock, 100)
        for number in (1, 2, 3, 4):
            probe = watch.until(f"probe {number}", 5, lambda p: not p.from_millrace and p.flags == ACK and
                                p.length == 0 and p.seq == watch_next(watch, p) - 1)
            watch.until("its answer", 1, lambda p, due=probe.seq + 1: p.from_millrace and p.flags == ACK and
                        p.ack == due & 0xffffffff)
        demand(first == part_of_text(0, 100), "other bytes came than were ordered")
        sock.shutdown(socket.SHUT_WR)
        demand(receive_to_end(sock) == b"", "bytes after the end")


def watch_next(watch, packet):
    """What this side has to send next, by all that was seen of it."""
    return max(p.seq + p.length + bool(p.flags & 2) for p in watch.seen
               if p.from_millrace == packet.from_millrace and p.source == packet.source)


@case("zero window: Millrace's application stops reading for 1.5 s")
def millrace_stops_reading(world):
    with world.bulk(capture=5000) as bulk, Watch() as watch:
        stream = Stream(MILLRACE, PORT, send=5 * MB, get=1000, hold_ms=1500)
        took = run([stream], 30)
        demand_ends(bulk, 1, 1000, 5 * MB)
        packets = watch.rest()
        shut = [p for p in packets if p.from_millrace and p.window == 0 and not p.flags & RST]
        demand(shut, "the window was never shut")
        demand(took >= 1.4, f"all was read after {took:.1f} s, where nothing was to be read for 1.5 s")
        demand(took < 6, f"{took:.1f} s: the window's opening was not told")


def read_and_stop(_):
    """Stops itself in the middle of 3 MB; the parent wakes it up again."""
    stream = Stream(MILLRACE, PORT, send=1000, get=3 * MB, receive_buffer=65536)
    read, stopped = stream.read, []

    def read_some():
        read()
        if stream.got > MB and not stopped:
            stopped.append(True)
            os.kill(os.getpid(), signal.SIGSTOP)

    stream.read = read_some
    return run([stream], 40)


@case("a kernel's reader stopped by SIGSTOP: the window shuts, is probed, and opens")
def reader_stopped(world):
    with world.bulk(capture=5000) as bulk, Watch() as watch:
        reader = Beside(read_and_stop)
        shut = watch.until("a window of nothing", 10, lambda p: not p.from_millrace and p.window == 0)
        for number in (1, 2, 3):
            watch.until(f"probe {number}", 5, lambda p: p.from_millrace and p.seq + p.length > shut.ack)
        os.kill(reader.process, signal.SIGCONT)
        reader.end(40)
        demand_ends(bulk, 1, 3 * MB, 1000)


@case("Millrace stopped by SIGSTOP for a second in the middle of streams")
def millrace_stopped(world):
    with world.bulk(capture=5000) as bulk, Watch() as watch:
        streams = Beside(lambda _: run([Stream(MILLRACE, PORT, send=20 * MB, get=20 * MB) for _ in range(3)], 40))
        watch.until("the first thousand segments", 10, lambda _: len(watch.seen) > 1000)
        bulk.process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        bulk.process.send_signal(signal.SIGCONT)
        streams.end(40)
        demand_ends(bulk, 3, 20 * MB, 20 * MB)


@case("20 readers killed with text unread: their RST ends each connection")
def killed(world):
    def hold(stop):
        socks = []
        for _ in range(20):
            socks.append(connect())
            socks[-1].sendall(order(send=5 * MB))
        for sock in socks:
            receive(sock, 1000)
        os.read(stop, 1)

    with world.bulk(capture=3000) as bulk:
        holder = Beside(hold)
        until("20 connections with text unread", 10, lambda: sum(
            line.startswith("ESTAB") and int(line.split()[1]) > 0 for line in sh("ss", "-tanH").splitlines()) == 20)
        os.kill(holder.process, signal.SIGKILL)
        os.waitpid(holder.process, 0)
        until("20 times 'reset'", 5, lambda: bulk.read().count("connection reset: ") == 20)
        run([Stream(MILLRACE, PORT, send=1000, get=1000)], 5)


@case("simultaneous close: two FINs that cross")
def simultaneous_close(world):
    with world.bulk() as bulk, Watch() as watch, connect() as sock:
        port = sock.getsockname()[1]
        rule = ["INPUT", "-p", "tcp", "--dport", port, "-j", "DROP"]
        whole = order(end_first=True)
        sock.sendall(whole[:10])
        watch.until("the ACK of half an order", 2, lambda p: p.from_millrace and p.flags & ACK and not p.flags & 2)
        sh("iptables", "-A", *rule)
        sock.sendall(whole[10:])  # the FIN that this asks for is lost, and the kernel sends its own
        fin = watch.until("Millrace's FIN", 2, lambda p: p.from_millrace and p.flags & FIN)
        sock.shutdown(socket.SHUT_WR)
        crossing = watch.until("the kernel's FIN", 2, lambda p: not p.from_millrace and p.flags & FIN)
        demand(crossing.ack != (fin.seq + fin.length + 1) & 0xffffffff, f"they have not crossed: {fin}; {crossing}")
        sh("iptables", "-D", *rule)
        demand(receive_to_end(sock) == b"", "bytes after the end")
        demand_ends(bulk, 1, 0, 0)


@case("10,000 short connections over 2,000 ports: the kernel's TIME-WAIT and Millrace's are reused", seconds=120)
def many_short(world):
    sysctl("net/ipv4/tcp_tw_reuse", 1)
    sysctl("net/ipv4/ip_local_port_range", "40000 41999")
    with world.bulk(capture=3000) as bulk:
        for millrace_first in (False, True):
            for number in range(5000):
                short(millrace_first, number)
                bulk.read()  # or its pipe is full one day, and it waits
        until("the ends of all", 5, lambda: bulk.read().count("sent 10, received 10, exact\n") == 10000)
        bulk.stop()
    demand(bulk.counter("time_wait_reopened") > 0, "no SYN came to a TIME-WAIT of Millrace's")
    demand(kernel_counter("TcpExtTWRecycled") > 0, "the kernel has not reused a TIME-WAIT")
    world.note(f"the kernel reused {kernel_counter('TcpExtTWRecycled')} TIME-WAITs, Millrace reopened"
               f" {bulk.counter('time_wait_reopened')}")


def short(millrace_first, number):
    end = time.monotonic() + 5
    while True:
        try:
            sock = connect()
            break
        except OSError as error:
            demand(error.errno == 99 and time.monotonic() < end, f"connect {number}: {error}")  # all are too young
            time.sleep(0.02)
    with sock:
        sock.sendall(order(send=10, end_first=millrace_first) + part_of_text(0, 10))
        demand(receive(sock, 10) == part_of_text(0, 10), "other bytes came than were ordered")
        if millrace_first:
            demand(receive_to_end(sock) == b"", "bytes after the end")
            return
        sock.shutdown(socket.SHUT_WR)
        demand(receive_to_end(sock) == b"", "bytes after the end")


@case("ss -ti after 100 MB each way: no reordering seen, nothing sent again but by probes")
def sane_figures(world):
    with world.bulk(capture=5000) as bulk:
        stream = Stream(MILLRACE, PORT, send=100 * MB, get=100 * MB, end=False)
        run([stream], 60)
        line = " ".join(sh("ss", "-tioH", "dst", MILLRACE).split())
        stream.socket.close()
        dropped = int(sh("ip", "-s", "link", "show", TAP).splitlines()[-1].split()[3])
        bulk.stop()
        for word in ("rcv_ooopack", "reordering:", "reord_seen:", "sack_reneging"):
            demand(dropped or word not in line, f"'{word}' on a path without loss: {line}")
        # A process that was not scheduled for a while looks like loss of the last segments: probes are no fault.
        again, probes = kernel_counter("TcpRetransSegs"), kernel_counter("TcpExtTCPLossProbes")
        timeouts = kernel_counter("TcpExtTCPTimeouts")
        demand(dropped or again <= probes + 50 * timeouts, f"{again} sent again, {probes} probes: {line}")
        mine, own = bulk.counter("retransmitted"), bulk.counter("tail_loss_probes")
        demand(mine <= own + 50 * bulk.counter("retransmission_timeouts"), f"Millrace: {mine} sent again, {own} probes")
        demand(bulk.counter("fast_retransmits") == 0, "Millrace retransmitted fast where nothing was lost")
        rtt = float(line.split(" rtt:")[1].split("/")[0])
        demand(rtt < 500, f"a round trip of {rtt} ms over a tap: {line}")
        world.note(line)
