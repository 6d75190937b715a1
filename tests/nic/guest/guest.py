# SPDX-License-Identifier: BSD-3-Clause
"""Runs in the guest: binds its NICs, then runs the cases that the host names, one after the other."""
import os
import sys
import termios
import traceback
import tty

from groups import all_groups  # first: it says where system.py is
import nics
from system import Failure, Skip
from talk import Lines


class Host:
    """Does for a case what only the host can do (machine.py, run.py)."""

    def __init__(self):
        serial = os.open("/dev/ttyS1", os.O_RDWR | os.O_NOCTTY)
        tty.setraw(serial)
        termios.tcflush(serial, termios.TCIFLUSH)
        self.lines = Lines(lambda: os.read(serial, 4096), lambda data: os.write(serial, data))

    def ask(self, what, *arguments):
        self.lines.send({"ask": what, "arguments": arguments})
        answer = self.lines.receive()
        if answer.get("error"):
            raise Failure(answer["error"])
        return answer.get("answer")


class World:
    """What a case is given."""

    def __init__(self, host, group):
        self.host, self.group, self.notes = host, group, []

    def note(self, text):
        self.notes.append(text)


def run_case(case, world):
    try:
        case.function(world)
        return "ok", ""
    except Failure as failure:
        return "FAIL", str(failure)
    except Skip as skip:
        return "skip", str(skip)
    except BaseException as error:  # whatever it is, it is this case's
        return "FAIL", f"{type(error).__name__}: {error} ({traceback.format_exc(limit=-3)})"


def main():
    host = Host()
    host.lines.send({"up": True})
    begin = host.lines.receive()
    group = next(g for g in all_groups() if g.name == begin["group"])
    nics.prepare()
    host.lines.send({"ready": True})
    while (message := host.lines.receive())["case"]:
        world = World(host, group)
        case = next(c for c in group.cases if c.name == message["case"])
        outcome, why = run_case(case, world)
        host.lines.send({"outcome": outcome, "why": why, "notes": world.notes})


if __name__ == "__main__":
    sys.exit(main())
