#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""millrace-echo on a tap against the kernel's TCP: tests/interop/run.py BUILD_DIR [--only TEXT] [--megabytes N] [--keep]

One line a case: `ok NAME`, `FAIL NAME: why` or `skip NAME: why`; the last line counts them. Each case is a process in a
network namespace of its own (world.py). The frames that Millrace sent in it are a second case, `tshark NAME`: no
checksum is wrong, and nothing is malformed.
"""
import argparse
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import cases_data  # noqa: F401  (each fills the list)
import cases_end  # noqa: F401
import cases_exchange  # noqa: F401
import cases_link  # noqa: F401
from registry import cases
from world import Failure, Skip, World, die_with_parent, new_network

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
    answer.write(json.dumps([outcome, why, capture, world.mac, world.by_driver]))
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
                return "FAIL", f"not done after {case.seconds} s", "", "", False
            text = answer.read()
        return json.loads(text) if text else ("FAIL", "the process of the case died", "", "", False)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.waitpid(child, 0)


def judge_capture(path, mac, by_driver):
    """The kernel's frames are left out: it leaves checksums to the device where it can."""
    fields = ["frame.number", "tcp.checksum.status", "ip.checksum.status", "icmp.checksum.status", "_ws.malformed",
              "tcp.checksum", "tcp.checksum_calculated"]
    words = ["tshark", "-n", "-r", path, "-Y", f"eth.src == {mac}", "-T", "fields"]
    for option in ("tcp.check_checksum:TRUE", "ip.check_checksum:TRUE", "tcp.desegment_tcp_streams:FALSE"):
        words += ["-o", option]
    for field in fields:
        words += ["-e", field]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    if done.returncode != 0:
        return "FAIL", done.stderr.strip()
    for number, tcp, ip, icmp, malformed, found, right in rows:
        # The driver of net_tap writes ffff for a TCP checksum of 0, as if it were UDP: one frame in 65536. Receivers
        # add it up to the same.
        if by_driver and tcp == "0" and found == "0xffff" and int(right or "1", 16) == 0:
            tcp = "1"
        # 0 is bad, 1 good. An ICMP error quotes a header, which has a status too.
        if malformed or "0" in (tcp + "," + ip + "," + icmp).split(","):
            return "FAIL", f"frame {number}: TCP {tcp} ({found}, not {right}), IP {ip}, ICMP {icmp} {malformed}"
    if not any(ip == "1" and "1" in (tcp, icmp) for _, tcp, ip, icmp, *_ in rows) and len(rows) > 2:
        return "FAIL", f"no verified checksum among {len(rows)} frames"
    return "ok", ""


def why_not_here(build):
    if os.geteuid() != 0:
        return "needs root for a tap and a network namespace"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun here"
    for tool in ("ip", "ss", "nc", "iptables", "tcpdump", "tshark"):
        if shutil.which(tool) is None:
            return f"no {tool} here: config/setup.sh --tests"
    if not (Path(build) / "apps/millrace-echo").exists():
        return f"no apps/millrace-echo in {build}"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", default="", metavar="TEXT", help="the cases with this in their name")
    parser.add_argument("--megabytes", type=int, default=10, metavar="N", help="of each client of the bulk case")
    parser.add_argument("--keep", action="store_true", help="leave the captures, and say where")
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
        try:
            for number, case in enumerate(chosen):
                directory = Path(top, f"{number:03}")
                directory.mkdir()
                start = time.monotonic()
                outcome, why, capture, mac, by_driver = run_case(case, World(options.build, directory, options))
                took = time.monotonic() - start
                tell(outcome, case.name, why)
                if capture and Path(capture).exists():
                    outcome, why = judge_capture(capture, mac, by_driver)
                    tell(outcome, f"tshark {case.name}", why)
                if options.times:
                    print(f"  {took:.1f} s, {time.monotonic() - start - took:.1f} s of tshark", flush=True)
                if not options.keep:
                    shutil.rmtree(directory)
        finally:
            if options.keep:
                print(f"captures are in {top}")
            else:
                shutil.rmtree(top, ignore_errors=True)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
