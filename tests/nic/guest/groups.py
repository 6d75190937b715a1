# SPDX-License-Identifier: BSD-3-Clause
"""Groups of cases: each group is one boot of a guest with NICs of one model."""
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

sys.path.append(str(Path(__file__).resolve().parents[2] / "interop"))  # system.py and clients.py are used here, too


@dataclass
class Case:
    name: str
    function: Callable
    seconds: float  # after which its guest is ended


@dataclass
class Group:
    name: str
    model: str  # as QEMU calls it
    pmd: str  # DPDK's driver for it
    nodes: int = 1  # of memory, with a CPU each; the NICs are on the last
    cases: list = field(default_factory=list)


groups = [
    Group("igb", "igb", "net_e1000_igb"),
    Group("e1000e", "e1000e", "net_e1000_em"),
    Group("vmxnet3", "vmxnet3", "net_vmxnet3", nodes=2),
    Group("virtio", "virtio-net-pci", "net_virtio"),
]


def case(name, *names, seconds=90):
    """In the groups of these names, or in all of them."""
    def register(function):
        for group in groups:
            if not names or group.name in names:
                group.cases.append(Case(name, function, seconds))
        return function

    return register


def all_groups():
    """With their cases, which these modules add in this order."""
    import guest_cores  # noqa: F401  pylint: disable=unused-import,import-outside-toplevel
    import guest_kernel  # noqa: F401  pylint: disable=unused-import,import-outside-toplevel
    import guest_wire  # noqa: F401  pylint: disable=unused-import,import-outside-toplevel
    import guest_memory  # noqa: F401  pylint: disable=unused-import,import-outside-toplevel
    import guest_idle  # noqa: F401  pylint: disable=unused-import,import-outside-toplevel
    import guest_link  # noqa: F401  pylint: disable=unused-import,import-outside-toplevel
    return groups
