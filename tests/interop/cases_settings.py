# SPDX-License-Identifier: BSD-3-Clause
"""What a configuration says is what the wire shows."""
import socket

from clients import connect, exchange, round_trip
from registry import case
from system import Failure, demand, sh
from world import KERNEL, PORT, SYN, TAP, Watch


@case("an application on a thread of its own")
def thread(world):
    with world.echo("--mode", "thread"):
        exchange(4, 300_000, 30)
        with connect() as sock:
            for _ in range(20):
                round_trip(sock)


@case("a file: its MAC, its MTU, its port, and a neighbour that is not asked for")
def from_file(world):
    mac, kernel = "02:00:00:00:00:77", "02:00:00:00:00:01"
    file = world.directory / "echo.toml"
    file.write_text(f"""
[[port]]
mac = "{mac}"
mtu = 1000
neighbors = ["{KERNEL}={kernel}"]
[application]
port = 7
""")
    with world.echo("--config", file, capture=False) as echo:
        demand(echo.mac == mac, f"its MAC is {echo.mac}")
        sh("ip", "link", "set", TAP, "address", kernel)
        sh("ip", "neighbor", "replace", "10.9.0.2", "lladdr", mac, "dev", TAP)
        with Watch() as watch, connect(port=PORT) as sock:
            round_trip(sock, b"x" * 5000)
            answer = next(p for p in watch.rest() if p.from_millrace and p.flags & SYN)
            mss = int.from_bytes(dict(answer.options)[2], "big")
            demand(mss == 960, f"it offers an MSS of {mss}, not 1000 - 40")
            longest = max(p.length for p in watch.seen if p.from_millrace)
            demand(longest <= 948, f"a segment of {longest} bytes")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as arp:
            arp.bind((TAP, 0))
            arp.settimeout(1.5)
            try:
                while True:
                    frame = arp.recv(100)
                    demand(frame[6:12] != bytes.fromhex(mac.replace(":", "")) or frame[20:22] != b"\x00\x01" or
                           frame[28:32] == frame[38:42], "it asks for its neighbour")
            except TimeoutError:
                pass
            except OSError as error:
                raise Failure(str(error)) from None
