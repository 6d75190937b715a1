# SPDX-License-Identifier: BSD-3-Clause
"""A cable that is pulled during a run, and put back."""
import json
import subprocess

from groups import case
from programs import BUILD, client, demand_clean, server
from system import demand, until


def link_of(program):
    done = subprocess.run([str(BUILD / "apps/millrace-stat"), "ports", "--json", "--file-prefix",
                           f"millrace{program.process.pid}"], capture_output=True, text=True, timeout=60, check=False)
    demand(done.returncode == 0, f"millrace-stat: {done.stderr}")
    return json.loads(done.stdout)["ports"][0]["link"]


def received(program):
    return sum(core.get("segments_received", 0) for core in program.stats())


@case("the link goes down and comes up: the connections go on", seconds=200)
def link_down_and_up(world):
    with server("--protocol", "echo", "--cores", 2) as ours:
        ours.wait_for("listening on")
        with client("--workload", "rps", "--connections", 8, "--duration", "1h", "--cores", 2) as theirs:
            with ours.aside():
                theirs.wait_for("requests/s")
            for _ in range(2):
                before = received(theirs)
                until("requests", 30, lambda: received(theirs) > before + 100)
                world.host.ask("link", 1, False)
                until("a link that is down", 30, lambda: link_of(theirs) == "down")
                still = received(theirs)
                world.host.ask("link", 1, True)
                until("a link that is up", 30, lambda: link_of(theirs) == "up")
                until("requests again", 60, lambda: received(theirs) > still + 100)
            result = theirs.stop()
        # A client that is interrupted resets those of its connections that had something to come.
        ours.stop(codes=(0, 1))
        code = int("ended badly for the server" in ours.output)
        demand(ours.process.returncode == code, f"exit code {ours.process.returncode}, not {code}: {ours.output[-700:]}")
    demand_clean(result, "client")
    demand(result["connections"] == 8, f"{result['connections']} connections, not the 8 that there were")
    world.note(f"{result['requests']} requests, {result['tcp']['retransmitted']} segments sent again")
