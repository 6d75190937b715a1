#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Millrace on a tap against the kernel's TCP: tests/interop/run.py BUILD_DIR [--only TEXT] [--megabytes N] [--keep]

One line a case: `ok NAME`, `FAIL NAME: why` or `skip NAME: why`; the last line counts them. Each case is a process in a
network namespace of its own (world.py). The frames that were seen in it are a second case, `tshark NAME`: no checksum
is wrong, and nothing is malformed.
"""
import argparse
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import cases_bulk  # noqa: F401  (each fills the list)
import cases_cores  # noqa: F401
import cases_data  # noqa: F401
import cases_devices  # noqa: F401
import cases_doctor  # noqa: F401
import cases_end  # noqa: F401
import cases_exchange  # noqa: F401
import cases_flood  # noqa: F401
import cases_http  # noqa: F401
import cases_icmp  # noqa: F401
import cases_idle  # noqa: F401
import cases_link  # noqa: F401
import cases_load  # noqa: F401
import cases_network  # noqa: F401
import cases_offloads  # noqa: F401
import cases_outage  # noqa: F401
import cases_peer  # noqa: F401
import cases_settings  # noqa: F401
import cases_stat  # noqa: F401
import cases_suite  # noqa: F401
import cases_taps  # noqa: F401
import cases_wrong  # noqa: F401
from judge import Judge
from registry import cases
from system import Failure, Skip, die_with_parent, new_network
from world import CALL_BACK, ECHO, World

counts = {"ok": 0, "FAIL": 0, "skip": 0}


def tell(outcome, name, why=""):
    counts[outcome] += 1
    print(f"{outcome} {name}" + (f": {' '.join(why.split())}" if why else ""), flush=True)


def in_child(case, world, answer):
    """The process of one case."""
    try:
        die_with_parent()
        new_network()
        case.function(world)
        outcome, why = "ok", ""
    except Failure as failure:
        outcome, why = "FAIL", str(failure)
    except Skip as skip:
        outcome, why = "skip", str(skip)
    except BaseException as error:  # whatever it is, it is this case's
        outcome, why = "FAIL", f"{type(error).__name__}: {error} ({traceback.format_exc(limit=-2)})"
    capture = str(world.capture) if world.capture else ""
    answer.write(json.dumps([outcome, why, capture, world.notes]))
    answer.close()


def run_case(case, world):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            in_child(case, world, os.fdopen(writing, "w"))
        finally:
            os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading) as answer:
            # What the case has started ends with it (world.die_with_parent).
            if not select.select([answer], [], [], case.seconds)[0]:
                os.kill(child, signal.SIGKILL)
                return "FAIL", f"not done after {case.seconds} s", "", []
            text = answer.read()
        try:
            return json.loads(text)
        except ValueError:
            return "FAIL", f"the process of the case died: {text[:200]}", "", []
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.waitpid(child, 0)


class Judges:
    """One at a time, which looks at a case's frames while the next case runs."""

    def __init__(self, keep):
        self.keep, self.judge, self.directory = keep, None, None

    def begin(self, name, capture, directory):
        self.end()
        self.judge, self.directory = Judge(name, capture, directory), directory

    def tell_if_done(self):
        if self.judge is not None and self.judge.is_done():
            self.end()

    def end(self):
        """Tells what it has seen, and waits for it if need be."""
        if self.judge is None:
            return
        judge, self.judge = self.judge, None
        outcome, why = judge.verdict()
        tell(outcome, f"tshark {judge.name}", why)
        self.clear(self.directory)

    def clear(self, directory):
        if not self.keep:
            shutil.rmtree(directory, ignore_errors=True)

    def stop(self):
        if self.judge is not None:
            self.judge.stop()


def run_and_judge(case, directory, options, judges):
    """Runs the case; what it leaves of frames is judged beside the next one."""
    directory.mkdir()
    start = time.monotonic()
    outcome, why, capture, notes = run_case(case, World(options.build, directory, options))
    tell(outcome, case.name, why)
    for note in notes:
        print(f"  {note}", flush=True)
    if options.times:
        print(f"  {time.monotonic() - start:.1f} s", flush=True)
    if outcome == "ok" and capture:
        judges.begin(case.name, capture, directory)
    else:
        judges.tell_if_done()
        judges.clear(directory)


def why_not_here(build):
    if os.geteuid() != 0:
        return "needs root for a tap and a network namespace"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun here"
    for tool in ("ip", "ss", "nc", "ethtool", "iptables", "tcpdump", "tshark"):
        if shutil.which(tool) is None:
            return f"no {tool} here: config/setup.sh --tests"
    for program in (ECHO, CALL_BACK, "tests/interop/millrace-bulk", "apps/millrace-stat"):
        if not (Path(build) / program).exists():
            return f"no {program} in {build}"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", default="", metavar="TEXT", help="the cases with this in their name")
    parser.add_argument("--megabytes", type=int, default=10, metavar="N", help="of each client of the bulk case")
    parser.add_argument("--keep", action="store_true", help="leave the captures, and say where")
    parser.add_argument("--show", action="store_true", help="what Millrace printed")
    parser.add_argument("--times", action="store_true", help="how long each case took")
    options = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    chosen = [case for case in cases if options.only in case.name]

    missing = why_not_here(options.build)
    if missing:
        for case in chosen:
            tell("skip", case.name, missing)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the directory goes, too
        top = tempfile.mkdtemp(prefix="millrace-interop-")
        judges = Judges(options.keep)
        try:
            for number, case in enumerate(chosen):
                run_and_judge(case, Path(top, f"{number:03}"), options, judges)
            judges.end()
        finally:
            judges.stop()
            if options.keep:
                print(f"captures are in {top}")
            else:
                shutil.rmtree(top, ignore_errors=True)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
