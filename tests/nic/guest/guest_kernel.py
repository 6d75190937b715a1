# SPDX-License-Identifier: BSD-3-Clause
"""Millrace against the guest's own kernel, which has its own driver for the same kind of NIC."""
import tempfile
from pathlib import Path

from cases_load import Nginx
from clients import exchange
from guest_cores import by_core, demand_handed_over, demand_shares, figures
from groups import case
from nics import KERNEL_ADDRESS
from programs import ECHO, PATIENT, demand_clean, near
from system import demand, kernel_counter, many_files

CORES = 4
COLLECTORS = {"igb": range(CORES)}  # the cores that frames come to; with other drivers, the first


@case(f"{CORES} cores echo what 400 clients of the kernel send", seconds=200)
def kernel_clients(world):
    many_files()
    # The emulated NICs lose the FIN of what they cut for a hub.
    with near("load", "server", "--protocol", "echo", "--port", 7, "--cores", CORES, "--software-segmentation",
              *PATIENT) as ours:
        ours.wait_for("listening on")
        again = kernel_counter("TcpRetransSegs")
        exchange(400, 3000, 90, address=ECHO)
        again = kernel_counter("TcpRetransSegs") - again
        result = ours.stop()
    world.note(figures(result))
    demand_clean(result, "server")
    # What the kernel sends again may come when its connection has gone.
    demand(result["tcp"]["resets_sent"] <= again, f"{result['tcp']['resets_sent']} resets, and the kernel sent {again} again")
    demand(result["bytes_received_per_second"] * result["duration_s"] > 400 * 3000 - 1, "bytes missing")
    demand_shares(by_core(result, "passive_opens"), 400, "server")
    demand_handed_over(result, "server", COLLECTORS.get(world.group.name, [0]))


@case(f"a client of {CORES} cores against nginx: 1,000 connects", "igb", "e1000e", seconds=200)
def kernel_server(world):
    many_files()
    directory = Path(tempfile.mkdtemp())
    with Nginx(directory, 8080), near(
            "load", "client", "--workload", "http", "--url", f"http://{KERNEL_ADDRESS}:8080/file", "--response-size", 1000,
            "--close", "--connections", 32, "--requests", 1000, "--cores", CORES, "--connect-timeout", "30s", *PATIENT) as ours:
        result = ours.ended(150)
    world.note(figures(result))
    demand_clean(result, "client")
    demand(result["http"]["statuses"] == {"200": 1000}, f"{result['http']}")
    demand_shares(by_core(result, "active_opens"), 1000, "client")
    demand_handed_over(result, "client", COLLECTORS.get(world.group.name, [0]))
