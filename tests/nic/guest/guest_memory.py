# SPDX-License-Identifier: BSD-3-Clause
"""Other ways for a NIC to reach the buffers: ordinary memory behind an IOMMU, and physical addresses without one."""
import contextlib
from pathlib import Path

import nics
from groups import case
from guest_cores import HARDWARE, connects
from system import demand

HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")


@contextlib.contextmanager
def without_huge_pages():
    count = HUGE_PAGES.read_text()
    HUGE_PAGES.write_text("0\n")
    try:
        yield
    finally:
        HUGE_PAGES.write_text(count)


@contextlib.contextmanager
def driven_by(driver):
    for nic in (nics.LEFT, nics.RIGHT):
        nics.bind(nics.addresses()[nic], driver)
    try:
        yield
    finally:
        for nic in (nics.LEFT, nics.RIGHT):
            nics.bind(nics.addresses()[nic], "vfio-pci")


@case("no huge pages: 1,000 connects", "igb", seconds=200)
def ordinary_memory(world):
    with without_huge_pages():
        programs = connects(world, 1_000, f"2 rx, 2 tx for 2 cores: {HARDWARE}", range(2), "--cores", 2)
    for program in programs:
        demand("no huge pages reserved" in program.output, f"huge pages there are: {program.output}")


@case("uio_pci_generic, no IOMMU: 1,000 connects", "igb", seconds=200)
def physical_addresses(world):
    with driven_by("uio_pci_generic"):
        connects(world, 1_000, f"2 rx, 2 tx for 2 cores: {HARDWARE}", range(2), "--cores", 2)
