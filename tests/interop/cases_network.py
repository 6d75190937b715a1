# SPDX-License-Identifier: BSD-3-Clause
"""A network between the kernel and Millrace: what becomes of frames on the way."""
import functools

from clients import exchange, one_round_trip
from middlebox import Faults, Forwarder, Middlebox
from network import lose, lost, routed
from registry import case
from system import go_to_network
from world import KERNEL

MB = 1 << 20


def lossy(world, percent, count, size, seconds):
    with world.echo("--gateway", KERNEL):
        router, client = routed()
        one_round_trip()
        go_to_network(router)
        lose(percent)
        go_to_network(client)
        exchange(count, size, seconds)
        go_to_network(router)
        lost()


# A round trip fails with 1 - 0.95^2 = 0.0975. A connection is late after 8 SYNs in a row without an answer (at 0 to 127 s):
# 20 * 0.0975^8 = 1.6e-7; or after 9 more failures of what a timeout of 0.2 s has sent again (102 s), of which 20 MB each way
# have some 300: 300 * 0.0975^9 = 2.4e-7. Both are 4e-7.
@case("loss: 5 % each way, 20 clients, 1 MB each", seconds=180)
def loss(world):
    lossy(world, 5, 20, MB, 160)


class LosesApart(Forwarder):
    """Frames that come from one side alone are lost; of a connection never two in a row, of the others so many more."""

    def __init__(self, side, *arguments):
        super().__init__(*arguments)
        self.target = self.sides[1 - side]
        self.spared = set()

    def take(self, frame, target):
        flow = bytes(frame[34:38])  # both ports
        if target is not self.target or flow in self.spared:
            if target is self.target:
                self.spared.discard(flow)
            self.send(target, frame)
            return
        before = self.count["lost"]
        super().take(frame, target)
        if self.count["lost"] > before:
            self.spared.add(flow)


# A fifth lost each way at random would be a matter of luck: a round trip fails with 0.36, ten in a row, which is two minutes of
# doubled timers, in one connection of some thousands. millrace-heavy-loss (tests/sim) has that, in virtual time. Here two
# transmissions bring anything across: 40 segments, each late by one timeout, are some 20 s if all of them are lost once.
for number, sender in enumerate(("Millrace", "the kernel")):
    @case(f"loss: 20 % of what {sender} sends, never two in a row, 10 clients, 20 KB each", seconds=180)
    def heavy_loss(world, side=number):
        with world.echo(), Middlebox(Faults(lost=250), forwarder=functools.partial(LosesApart, side)):
            exchange(10, 20000, 160)


@case("a router away: 4 clients, 1 MB each")
def gateway(world):
    with world.echo("--gateway", KERNEL):
        routed()
        exchange(4, MB, 30)


def faulty(world, faults, count, size):
    # Only what Millrace sent is captured: that must be right, whatever becomes of it.
    with world.echo(only_millrace=faults.corrupted > 0), Middlebox(faults):
        exchange(count, size, 100)


FAULTS = {
    "a network of its own: nothing happens": Faults(),
    "reordering: one frame in ten comes late": Faults(late=100),
    "reordering: every other frame comes late": Faults(late=500),
    "repetition: one frame in ten comes twice": Faults(repeated=100),
    "corruption: one frame in fifty has a wrong bit": Faults(corrupted=20),
    "loss, repetition, reordering and corruption": Faults(lost=10, repeated=20, late=50, corrupted=10),
}
for name, kinds in FAULTS.items():
    case(f"{name}: 8 clients, 500 KB each", seconds=120)(
        lambda world, faults=kinds: faulty(world, faults, 8, 500000))
