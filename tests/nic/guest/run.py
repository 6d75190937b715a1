#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Millrace on DPDK's drivers of emulated NICs: tests/nic/guest/run.py BUILD_DIR [--group NAME] [--only TEXT] [--keep]

One line a case: `ok GROUP: NAME`, `FAIL GROUP: NAME: why` or `skip GROUP: NAME: why`; the last line counts them. A group
is one boot of a guest (machine.py) with four NICs of one model, so one group by hand is

    tests/nic/guest/run.py build --group igb --keep --times

Nothing here depends on speed: the guest is emulated in software, and slow. Cases run in the guest (guest.py); what they
need of the host, they ask for: captures of the wire, their judgement (wire.py), a cable pulled.
"""
import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from groups import all_groups  # first: it says where system.py is
from machine import GuestGone, Machine, TimerLost
from system import Failure

BOOT_LIMIT, BOOTS = 120, 4  # seconds, and times
counts = {"ok": 0, "FAIL": 0, "skip": 0}


def tell(outcome, name, why="", notes=()):
    """At once, since groups run side by side."""
    counts[outcome] += 1
    sys.stdout.write("".join(f"{line}\n" for line in [
        f"{outcome} {name}" + (f": {' '.join(why.split())}" if why else ""), *(f"    {note}" for note in notes)]))
    sys.stdout.flush()


def answer(machine, message):
    """What a case asked the host for."""
    try:
        return {"answer": getattr(machine, message["ask"])(*message["arguments"])}
    except Failure as failure:
        return {"error": str(failure)}


def run_case(machine, case):
    machine.talk.send({"case": case.name})
    end = time.monotonic() + case.seconds
    while True:
        message = machine.next(end - time.monotonic())
        if "ask" not in message:
            return message
        machine.talk.send(answer(machine, message))


def run_in_guest(machine, group, left, options):
    """Takes from `left` what it has run."""
    begin = time.monotonic()
    machine.next(BOOT_LIMIT)
    machine.talk.send({"group": group.name})
    machine.next(BOOT_LIMIT)
    if options.times:
        print(f"    {group.name}: up after {time.monotonic() - begin:.1f} s", flush=True)
    while left:
        start = time.monotonic()
        result = run_case(machine, left[0])
        notes = result["notes"] if options.times or result["outcome"] == "FAIL" else []
        if options.times:
            notes.append(f"{time.monotonic() - start:.1f} s")
        tell(result["outcome"], f"{group.name}: {left.pop(0).name}", result["why"], notes)
    machine.talk.send({"case": ""})


def run_group(cache, group, chosen, directory, options):
    begin = time.monotonic()
    left = list(chosen)
    try:
        for boots_left in reversed(range(BOOTS)):
            try:
                with Machine(cache, options.build, directory / str(boots_left), group) as machine:
                    run_in_guest(machine, group, left, options)
                break
            except TimerLost:
                if not boots_left:
                    raise
                print(f"    {group.name}: booted anew, since a processor of the guest's has lost its timer", flush=True)
    except (GuestGone, Failure) as gone:
        for case in left:
            tell("FAIL", f"{group.name}: {case.name}", f"the guest has gone: {gone}")
    if options.times:
        print(f"    {group.name}: {time.monotonic() - begin:.1f} s in all", flush=True)


def prepared(build):
    """The cache with what a guest is made of; or why there is none."""
    for program in ("echo", "load", "stat"):
        if not (Path(build) / f"apps/millrace-{program}").exists():
            return None, f"no apps/millrace-{program} in {build}"
    done = subprocess.run([Path(__file__).with_name("prepare.sh")], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or ["prepare.sh fails"])[-1]
    if shutil.which("qemu-system-x86_64") is None and not Path(done.stdout.strip(), "qemu").exists():
        return None, "no QEMU here: config/setup.sh --tests"
    return Path(done.stdout.strip()), ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--group", default="", metavar="NAME", help="this one alone")
    parser.add_argument("--only", default="", metavar="TEXT", help="the cases with this in their name")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="guests at a time (2)")
    parser.add_argument("--keep", action="store_true", help="leave logs and captures, and say where")
    parser.add_argument("--times", action="store_true", help="how long each case took, and its figures")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the directory goes, and QEMU
    cache, missing = prepared(options.build)
    top = Path(tempfile.mkdtemp(prefix="millrace-guest-"))
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            running = []
            for group in all_groups():
                chosen = [case for case in group.cases if options.only in case.name]
                if not chosen or options.group not in ("", group.name):
                    continue
                if missing:
                    for case in chosen:
                        tell("skip", f"{group.name}: {case.name}", missing)
                else:
                    running.append((group, pool.submit(run_group, cache, group, chosen, top / group.name, options)))
            for group, future in running:
                if error := future.exception():  # it is this group's, and no other's
                    tell("FAIL", group.name, f"{type(error).__name__}: {error}")
    finally:
        if options.keep:
            print(f"logs and captures are in {top}")
        else:
            shutil.rmtree(top, ignore_errors=True)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
