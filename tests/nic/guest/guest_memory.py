# SPDX-License-Identifier: BSD-3-Clause
"""Where buffers lie, and how a NIC reaches them: ordinary memory behind an IOMMU, physical addresses without one, and
the memory of two nodes."""
import contextlib
from pathlib import Path

import nics
from groups import case
from guest_cores import HARDWARE, connects
from programs import near
from system import demand

HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")
PAGES_OF_NODE_0 = Path("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages")


@contextlib.contextmanager
def without_huge_pages(pages=HUGE_PAGES):
    count = pages.read_text()
    pages.write_text("0\n")
    try:
        yield
    finally:
        pages.write_text(count)


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


def banner(*words):
    with near("echo", *words) as echo:
        echo.wait_for("listening on")
        echo.stop()
        return echo.output


FAR = "WARNING: lcore 0 sits on another NUMA node than the device: choose --lcore from node 1, or leave it out"
NOT_HERE = "no huge page is free on node 0, that of lcore 0, but on node 1: --lcore 1, or reserve some: echo "
APART = ("WARNING: packet buffers of lcore 0 lie on node 1, not on its node 0, which has no memory for them: "
         "reserve huge pages there")


@case("2 nodes: a core is near its NIC, its buffers are near it, and what is not is told", "vmxnet3")
def two_nodes(world):
    said = banner()
    demand("NUMA: device on node 1, lcore 1 on node 1\n" in said and "WARNING" not in said, f"one core: {said}")
    said = banner("--cores", 2)
    demand("NUMA: device on node 1, lcore 1 on node 1; 0 on node 0\n" in said and FAR in said and APART not in said,
           f"two cores: {said}")
    with without_huge_pages(PAGES_OF_NODE_0):
        said = banner("--lcore", 1, "--cores", 2)
        demand(APART in said, f"no pages on node 0: {said}")
        with near("echo", "--lcore", 0) as echo:
            said = echo.read_to_end(60)
            demand(NOT_HERE in said and echo.process.returncode == 2, f"exit code {echo.process.returncode}: {said}")
