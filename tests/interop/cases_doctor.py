# SPDX-License-Identifier: BSD-3-Clause
"""millrace-load doctor on a tap that this kernel has made and given its address beforehand."""
import socket

from cases_load import Load
from registry import case
from system import demand, sh
from world import KERNEL, TAP


def examined(world, code, *flags):
    with Load(world, "doctor", *flags, address=False) as load:
        load.ended(code, 30)
        return load.output


@case("the doctor tries the target: it answers, refuses, or is not there")
def doctor(world):
    # The run would find nobody there, so it is tried, and is in the way.
    said = examined(world, 1, "--to", f"{KERNEL}:9000")
    demand(f"bad     ARP                     nobody answers for {KERNEL}" in said and "1 in the way of this run" in said, said)
    demand("nobody is at the other end of the tap" in said and f"sudo ip address add {KERNEL}/24 dev {TAP}" in said, said)
    sh("ip", "tuntap", "add", "dev", TAP, "mode", "tap", "multi_queue")
    sh("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)
    with socket.create_server((KERNEL, 9000)):
        said = examined(world, 0, "--to", f"{KERNEL}:9000")
        demand(f"target                  {KERNEL}:9000 answers after" in said, said)
    said = examined(world, 1, "--to", f"{KERNEL}:9000")
    demand(f"{KERNEL}:9000 refuses" in said and "1 in the way of this run" in said, said)
    said = examined(world, 1, "--to", "10.9.0.99:80", "--connect-timeout", "20s")
    demand("bad     ARP                     nobody answers for 10.9.0.99" in said, said)
    said = examined(world, 0, "--gateway", KERNEL)
    demand(f"gateway                 the gateway {KERNEL} answers after" in said, said)
