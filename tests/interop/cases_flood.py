# SPDX-License-Identifier: BSD-3-Clause
"""Forged SYNs, more than any queue holds: who means it connects all the same, and who is connected notices nothing."""
import shutil
import socket
import subprocess
import time

from bulk import Stream, demand_ends, order, part_of_text, run
from capture import Beside
from clients import connect, receive, receive_to_end
from registry import case
from system import Skip, demand, die_with_parent, sh, until
from world import KERNEL, MILLRACE, PORT, TAP

CONNECTS = 200


def one_connect():
    with connect(seconds=20) as sock:  # a tap drops what its queue does not hold, also SYNs that are meant
        sock.sendall(order(send=100))
        demand(receive(sock, 100) == part_of_text(0, 100), "other bytes came than were ordered")
        sock.shutdown(socket.SHUT_WR)
        demand(receive_to_end(sock) == b"", "bytes after the end")


@case("SYN flood from forged addresses: 200 connect meanwhile, streams go on", seconds=90)
def syn_flood(world):
    if shutil.which("hping3") is None:
        raise Skip("no hping3 here: config/setup.sh --tests")
    # Answers to strangers go to this kernel, which drops them: it forwards nothing.
    with world.bulk("--gateway", KERNEL, "--max-connections", "1024", capture=3000) as bulk:
        size = 20 * 10**6
        streams = [Stream(MILLRACE, PORT, send=size, get=size) for _ in range(2)]
        established = Beside(lambda _: run(streams, 60))
        flood = subprocess.Popen(["hping3", "-q", "-n", "-S", "-p", str(PORT), "--rand-source", "--flood", MILLRACE],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        try:
            until("the flood", 5, lambda: int(sh("ip", "-s", "link", "show", TAP).splitlines()[-1].split()[1]) > 2000)
            failed, slowest = [], 0
            for _ in range(CONNECTS):
                begin = time.monotonic()
                try:
                    one_connect()
                except OSError as error:
                    failed.append(str(error))
                slowest = max(slowest, time.monotonic() - begin)
            demand(flood.poll() is None, "the flood has ended by itself")
        finally:
            flood.kill()
            flood.wait()
        took = established.end(60)
        for stream in streams:
            stream.socket.close()
        one_connect()
        demand_ends(bulk, 2, size, size, of_all=False)
        bulk.stop()
    cookies, accepted = bulk.counter("syn_cookies_sent"), bulk.counter("syn_cookies_accepted")
    world.note(f"{CONNECTS} connects, {len(failed)} failed, the slowest took {slowest:.2f} s; streams took {took:.1f} s;"
               f" {cookies} cookies sent, {accepted} came back")
    demand(len(failed) <= CONNECTS // 100, f"{len(failed)} of {CONNECTS} connects failed: {failed[:1]}")
    demand(cookies > 1000, f"only {cookies} cookies were sent: this was no flood")
    demand(accepted > 0, "no connection came by a cookie")
