# SPDX-License-Identifier: BSD-3-Clause
"""What one connection looks like on the wire, and what the kernel says of it."""
import re
import socket
import time

from clients import connect, one_round_trip, receive, receive_to_end, round_trip
from registry import case
from system import Failure, demand, sh, until
from world import ACK, FIN, MILLRACE, PORT, PSH, RST, SYN, Watch

MSS, WSCALE, SACK_PERMITTED, TIMESTAMPS = 2, 3, 4, 8


def as_text(packets):
    return "; ".join(map(str, packets))


def demand_syn_options(packet, name):
    options = dict(packet.options)
    demand(set(options) == {MSS, WSCALE, SACK_PERMITTED, TIMESTAMPS} and len(packet.options) == 4,
           f"the {name} has the options {[k for k, _ in packet.options]}, not MSS, window scale, SACK, timestamps")
    demand(int.from_bytes(options[MSS], "big") == 1460, f"the {name}'s MSS is {options[MSS].hex()}")
    demand(options[WSCALE][0] <= 14, f"the {name}'s window scale is {options[WSCALE][0]}")


@case("the textbook exchange: connect, data, close")
def textbook(world):
    with world.echo():
        one_round_trip()  # so that ARP has been done
        with Watch() as watch:
            with connect() as sock:
                port = sock.getsockname()[1]
                sock.sendall(b"hello")
                demand(receive(sock, 5) == b"hello", "another answer")
                # The ACK of the echo may ride on the FIN; it should stand alone here.
                watch.until("the ACK of the echo", 2, lambda p: not p.from_millrace and p.flags == ACK and
                            any(q.from_millrace and q.length for q in watch.seen))
                sock.shutdown(socket.SHUT_WR)
                demand(receive_to_end(sock) == b"", "bytes after the end")
            packets = [p for p in watch.rest() if port in (p.source, p.target)]
    shape = [(p.from_millrace, p.flags, p.length) for p in packets]
    expected = [(False, SYN, 0), (True, SYN | ACK, 0), (False, ACK, 0),
                (False, PSH | ACK, 5), (True, PSH | ACK, 5), (False, ACK, 0)]
    with_fin = [(False, FIN | ACK, 0), (True, FIN | ACK, 0), (False, ACK, 0)]
    with_ack = [(False, FIN | ACK, 0), (True, ACK, 0), (True, FIN | ACK, 0), (False, ACK, 0)]
    demand(shape in (expected + with_fin, expected + with_ack), f"the exchange was: {as_text(packets)}")

    demand_syn_options(packets[0], "SYN")
    demand_syn_options(packets[1], "SYN-ACK")
    for packet in packets[2:]:
        demand([k for k, _ in packet.options] == [TIMESTAMPS], f"other options than timestamps: {packet}")
    echoed = {False: 0, True: 0}
    following = {False: packets[0].seq, True: packets[1].seq}  # what each side has to send next
    for packet in packets:
        side = packet.from_millrace
        demand(packet.seq == following[side], f"{packet}: the sequence number {following[side]} was due")
        if packet.flags & ACK:
            demand(packet.ack == following[not side], f"{packet}: the ACK of {following[not side]} was due")
        following[side] = (packet.seq + packet.length + bool(packet.flags & (SYN | FIN))) & 0xffffffff
        stamp = dict(packet.options)[TIMESTAMPS]
        value, echo = int.from_bytes(stamp[:4], "big"), int.from_bytes(stamp[4:], "big")
        demand(echo == echoed[not side], f"{packet}: echoes the timestamp {echo}, not {echoed[not side]}")
        echoed[side] = value
        demand(packet.window > 0, f"{packet}: a window of nothing")
    demand(packets[1].window >= 14600, f"{packets[1]}: opens with less than ten segments of window")
    demand_as_tcpdump_says(world, port)


def demand_as_tcpdump_says(world, port):
    said = sh("tcpdump", "-n", "-r", world.capture, "tcp", "port", port)
    flags = " ".join(re.findall(r"Flags \[(\S+)\]", said))
    demand(flags in ("S S. . P. P. . F. F. .", "S S. . P. P. . F. . F. ."), f"tcpdump says: {flags}")
    options = r"options \[mss 1460,sackOK,TS val \d+ ecr \d+,nop,wscale \d+\]"
    for line in said.splitlines()[:2]:
        demand(re.search(options, line), f"tcpdump says: {line}")


@case("ss sees timestamps, SACK and window scaling")
def ss(world):
    with world.echo(), connect() as sock:
        round_trip(sock)
        line = sh("ss", "-tinoH", "dst", MILLRACE)
        for word in (r"\bts\b", r"\bsack\b", r"\bwscale:\d+,\d+\b", r"\bmss:1448\b"):
            demand(re.search(word, line), f"no {word} in: {' '.join(line.split())}")
        scales = re.search(r"wscale:(\d+),(\d+)", line)
        demand(0 < int(scales[1]) <= 14, f"Millrace's window scale is {scales[1]}")
        demand("retrans" not in line, f"retransmissions on a clean link: {' '.join(line.split())}")


def states():
    """Local port -> state of the kernel's connections."""
    return {int(words[3].rsplit(":", 1)[1]): words[0] for words in map(str.split, sh("ss", "-tanH").splitlines())}


class Dropped:
    """Segments from Millrace to this port that the kernel does not get to see."""

    def __init__(self, port, *match):
        self.rule = ["INPUT", "-p", "tcp", "--dport", port, *match, "-j", "DROP"]

    def __enter__(self):
        sh("iptables", "-A", *self.rule)
        return self

    def count(self):
        return int(sh("iptables", "-L", "INPUT", "-n", "-v", "-x").splitlines()[2].split()[0])

    def __exit__(self, *_):
        sh("iptables", "-D", *self.rule)


@case("lost data and lost FIN are sent again")
def lost_once(world):
    with world.echo():
        with connect() as sock:
            port = sock.getsockname()[1]
            round_trip(sock)
            with Dropped(port, "--tcp-flags", "PSH", "PSH") as dropped:
                sock.sendall(b"again")
                until("a lost echo", 5, dropped.count)
            demand(receive(sock, 5) == b"again", "another answer")
            with Dropped(port, "--tcp-flags", "FIN", "FIN") as dropped:
                sock.shutdown(socket.SHUT_WR)
                until("a lost FIN", 5, dropped.count)
            demand(receive_to_end(sock) == b"", "bytes after the end")
        until("the kernel's TIME-WAIT", 2, lambda: states().get(port) == "TIME-WAIT")


@case("a lost SYN-ACK is sent again")
def lost_syn_ack(world):
    with world.echo(), Watch() as watch:
        with socket.socket() as sock:
            sock.settimeout(5)
            sock.bind(("10.9.0.1", 0))
            with Dropped(sock.getsockname()[1]) as dropped:
                sock.setblocking(False)
                sock.connect_ex((MILLRACE, PORT))
                until("a lost SYN-ACK", 2, dropped.count)
            sock.settimeout(5)
            watch.until("a second SYN-ACK", 5, lambda p: p.flags == SYN | ACK and
                        sum(q.flags == SYN | ACK for q in watch.seen) == 2)
            round_trip(sock)
        syn_acks = [p for p in watch.rest() if p.flags == SYN | ACK]
        demand(len({p.seq for p in syn_acks}) == 1, f"SYN-ACKs with several numbers: {as_text(syn_acks)}")


@case("the last ACK is lost: the FIN comes again, and the kernel's TIME-WAIT answers it")
def lost_last_ack(world):
    with world.echo(), Watch() as watch, connect() as sock:
        port = sock.getsockname()[1]
        round_trip(sock)
        sh("iptables", "-A", "OUTPUT", "-p", "tcp", "--sport", port, "--tcp-flags", "FIN,ACK", "ACK", "-j", "DROP")
        sock.shutdown(socket.SHUT_WR)
        demand(receive_to_end(sock) == b"", "bytes after the end")
        fin = watch.until("Millrace's FIN", 2, lambda p: p.from_millrace and p.flags & FIN)
        again = watch.until("the repeated FIN", 3, lambda p: p.from_millrace and p.flags & FIN)
        demand(again.seq + again.length == fin.seq + fin.length, f"two different FINs: {fin}; {again}")
        demand(states().get(port) == "TIME-WAIT", f"the kernel's side is {states().get(port)}")
        sh("iptables", "-F", "OUTPUT")
        watch.until("the answer of TIME-WAIT", 5, lambda p: not p.from_millrace and p.flags == ACK)
        late = [p for p in watch.rest(1) if p.from_millrace and p.flags & FIN]
        first_ack = next(i for i, p in enumerate(watch.seen) if not p.from_millrace and p.flags == ACK and
                         p.ack == (fin.seq + fin.length + 1) & 0xffffffff)
        after = [p for p in watch.seen[first_ack + 1:] if p.from_millrace]
        demand(not after, f"{len(late)} FINs in all; after the ACK of its FIN Millrace sent: {as_text(after)}")


@case("Millrace closes first: FIN, TIME-WAIT, and an ACK for each repeated FIN")
def active_close(world):
    with world.echo() as echo, Watch() as watch, connect() as sock, connect() as silent:
        port = sock.getsockname()[1]
        round_trip(sock)
        round_trip(silent)
        # The silent peer keeps millrace-echo alive for the second of grace; meanwhile the other one closes, and does
        # not get to see that its FIN was acknowledged.
        echo.interrupt()
        demand(receive_to_end(sock) == b"", "bytes after the end")
        with Dropped(port) as dropped:
            sock.close()
            until("a lost ACK of the kernel's FIN", 0.5, dropped.count, pause=0.005)
            demand(states().get(port) == "LAST-ACK", f"the kernel's side is {states().get(port)}")
        until("the ACK of the repeated FIN", 0.9, lambda: port not in states(), pause=0.005)
        silent.close()
        echo.ended()
        packets = [p for p in watch.rest() if port in (p.source, p.target)]
    end = next(i for i, p in enumerate(packets) if p.flags & FIN)
    closing = packets[end:]
    demand(closing[0].from_millrace, f"the first FIN is not Millrace's: {as_text(closing)}")
    kernel_fins = [p for p in closing if not p.from_millrace and p.flags & FIN]
    demand(len(kernel_fins) >= 2, f"the kernel did not repeat its FIN: {as_text(closing)}")
    answers = [p for p in closing[1:] if p.from_millrace]
    due = (kernel_fins[0].seq + 1) & 0xffffffff
    demand(len(answers) == len(kernel_fins) and all(p.flags == ACK and p.ack == due for p in answers),
           f"each FIN should get one ACK of {due}: {as_text(closing)}")
    demand("TIME-WAIT" in echo.output, f"no line about TIME-WAIT records: {echo.output[-300:]}")


@case("a port is reused from TIME-WAIT on either side")
def reuse(world):
    with world.echo():
        # The same four numbers again and again: Millrace closes second, so the kernel must reopen its own TIME-WAIT,
        # which it does one second after the last segment at the earliest.
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("10.9.0.1", 0))
            sock.settimeout(5)
            sock.connect((MILLRACE, PORT))
            name = sock.getsockname()
            round_trip(sock)

        def again():
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(name)
                sock.settimeout(5)
                try:
                    sock.connect((MILLRACE, PORT))
                except OSError as error:
                    if error.errno == 99:  # EADDRNOTAVAIL: still too young
                        return False
                    raise Failure(f"connect from a port that was used before: {error.strerror}") from None
                round_trip(sock)
                return True

        until("a connection from a port in TIME-WAIT", 5, again, pause=0.05)


@case("data to a connection that is gone gets a RST")
def half_open_peer(world):
    with world.echo() as echo, Watch() as watch:
        with connect() as sock:
            port = sock.getsockname()[1]
            round_trip(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
            # The kernel's RST is lost, so Millrace still believes in the connection; what it sends is answered by a
            # RST, and that ends it.
            sh("iptables", "-A", "OUTPUT", "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP")
        sh("iptables", "-F", "OUTPUT")
        echo.interrupt()
        fin = watch.until("Millrace's FIN", 2, lambda p: p.from_millrace and p.flags & FIN and p.target == port)
        reset = watch.until("the kernel's RST", 2, lambda p: not p.from_millrace and p.flags & RST)
        demand(reset.seq == fin.ack, f"{fin}; {reset}")
        echo.ended()
        demand(echo.end_seconds < 1, f"the end took {echo.end_seconds:.1f} s, as if the RST had not been seen")
