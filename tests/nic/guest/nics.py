# SPDX-License-Identifier: BSD-3-Clause
"""The guest's NICs: which are there, and who drives them."""
import shutil
from pathlib import Path

from system import demand, sh

PCI = Path("/sys/bus/pci")
LEFT, RIGHT, NEAR, KERNEL = range(4)  # joined: the first two, the last two
KERNEL_ADDRESS = "10.9.1.1"


def addresses():
    """Their PCI addresses, in order."""
    found = [d for d in sorted((PCI / "devices").iterdir()) if (d / "class").read_text().startswith("0x0200")]
    demand(len(found) == 4, f"{len(found)} NICs, not 4")
    return [d.name for d in found]


def bind(address, driver):
    device = PCI / "devices" / address
    (device / "driver_override").write_text(driver)
    if (device / "driver").exists():
        (device / "driver/unbind").write_text(address)
    (PCI / "drivers_probe").write_text(address)
    demand((device / "driver").resolve().name == driver, f"{driver} does not take {address}")


def kernel_interface():
    names = list((PCI / "devices" / addresses()[KERNEL]).glob("**/net/*"))
    demand(len(names) == 1, f"the kernel's NIC has the interfaces {names}")
    return names[0].name


def few_drivers():
    """EAL loads all of DPDK's drivers, which takes an emulated CPU seconds: here are only those that it can need."""
    for directory in Path("/usr/lib").glob("*/dpdk/pmds-*"):
        few = Path("/tmp", directory.name)
        few.mkdir()
        for name in ("bus_pci", "bus_vdev", "mempool_ring", "net_ring", "net_e1000", "net_vmxnet3", "net_virtio"):
            for path in directory.glob(f"librte_{name}.so*"):
                shutil.copy(path, few, follow_symlinks=False)  # one that is loaded by two paths is registered twice
        sh("mount", "--bind", few, directory)


def prepare():
    few_drivers()
    for address in addresses()[:KERNEL]:
        bind(address, "vfio-pci")
    for module in Path("/mnt/nics/order").read_text().split():
        sh("/mnt/busybox", "insmod", f"/mnt/nics/{module}")
    name = kernel_interface()
    Path("/proc/sys/net/ipv6/conf", name, "disable_ipv6").write_text("1\n")  # nothing of its own on the wire
    sh("ip", "address", "add", f"{KERNEL_ADDRESS}/24", "dev", name)
    sh("ip", "link", "set", name, "up")
