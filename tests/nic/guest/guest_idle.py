# SPDX-License-Identifier: BSD-3-Clause
"""Cores that sleep until their NIC interrupts. What is judged is counted by the core (tests/interop/cases_idle.py)."""
import time

from clients import connect, round_trip
from groups import case
from programs import ECHO, near
from system import demand

INTERRUPT, NAPS = "idle: sleep, by rx interrupt", "idle: sleep for 500 us at most: the driver has no rx interrupt"
FEW = 3000  # turns: some hundreds for each time that it is woken; one that spins takes more in a second


def demand_asleep(program, seconds=1):
    before = program.stats()
    time.sleep(seconds)
    for old, new in zip(before, program.stats()):
        turns, sleeps = new["turns"] - old["turns"], new["sleeps"] - old["sleeps"]
        share = (new["asleep_cycles"] - old["asleep_cycles"]) / (new["total_cycles"] - old["total_cycles"])
        demand(turns <= FEW and sleeps >= 1, f"an idle core took {turns} turns and slept {sleeps} times")
        demand(share > 0.5, f"it was asleep for {100 * share:.0f} % of its time")


@case("2 cores sleep, by rx interrupt where the driver's come in time, and answer")
def asleep(world):
    how = NAPS if world.group.name == "e1000e" else INTERRUPT
    with near("echo", "--idle", "sleep", "--cores", 2) as echo:
        echo.wait_for("listening on")
        demand(how in echo.output, f"no '{how}': {echo.output}")
        demand_asleep(echo)
        for number in range(30):
            time.sleep(0.005)
            with connect(address=ECHO) as sock:
                round_trip(sock, b"x" * (100 + 500 * number))
        rows = echo.stats()
        world.note(f"{[row['wakeups'] for row in rows]} wakeups for {[row['segments_received'] for row in rows]} segments")
        demand(how == NAPS or sum(row["wakeups"] for row in rows) >= 30, f"{[row['wakeups'] for row in rows]} wakeups")
        demand_asleep(echo)
        echo.stop()
