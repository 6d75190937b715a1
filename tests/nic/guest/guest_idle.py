# SPDX-License-Identifier: BSD-3-Clause
"""Cores that sleep until their NIC interrupts. What is judged is counted by the core, as on a tap."""
import time

from cases_idle import demand_asleep, turns_between
from clients import connect, round_trip
from groups import case
from programs import ECHO, near
from system import demand

INTERRUPT, NAPS = "idle: sleep, by rx interrupt", "idle: sleep for 500 us at most: the driver has no rx interrupt"


def demand_idle(program):
    before = program.stats()
    time.sleep(1)
    demand_asleep(turns_between(before, program.stats()))


@case("2 cores sleep, by rx interrupt where the driver's come in time, and answer")
def asleep(world):
    how = NAPS if world.group.name == "e1000e" else INTERRUPT
    with near("echo", "--idle", "sleep", "--cores", 2) as echo:
        echo.wait_for("listening on")
        demand(how in echo.output, f"no '{how}': {echo.output}")
        demand_idle(echo)
        for number in range(30):
            time.sleep(0.005)
            with connect(address=ECHO) as sock:
                round_trip(sock, b"x" * (100 + 500 * number))
        rows = echo.stats()
        world.note(f"{[row['wakeups'] for row in rows]} wakeups for {[row['segments_received'] for row in rows]} segments")
        demand(how == NAPS or sum(row["wakeups"] for row in rows) >= 30, f"{[row['wakeups'] for row in rows]} wakeups")
        demand_idle(echo)
        echo.stop()
