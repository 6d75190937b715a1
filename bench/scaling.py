#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How a pair of endpoints scales from one processor to more: bench/scaling.py BUILD_DIR [--cpus 0,1] [--workload rps]

Each lcore runs a core of both ends, so that the work is the same for each and needs no other. What a machine gives to
several processors at once is less than so many times one (shared caches, hyper-threads, neighbours of a virtual machine),
so each round measures a spin loop too, on one processor and on all, and the verdict is of the ratio: how Millrace scaled,
of how the spin loop did. The median of five rounds, 0.9 at least.

A run counts if its processors were had: CPU time over wall time of 0.95 at least, by the report of millrace-load.
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

GOAL, SHARE = 0.9, 0.95


def spin(options, cpus):
    words = [str(Path(options.build) / "bench/spin"), str(int(options.seconds * 1000)), *map(str, cpus)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True, timeout=120).stdout)


def load(options, cpus):
    """Requests a second, and the share of the processors that the run has had."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        words = ["taskset", "-c", ",".join(map(str, cpus)), str(Path(options.build) / "apps/millrace-load"), "pair",
                 "--workload", options.workload, "--lcore", str(cpus[0]), "--cores", str(len(cpus)), "--connections",
                 str(options.connections * len(cpus)), "--duration", f"{options.seconds}s", "--json", report.name,
                 *options.flags]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        result = json.loads(Path(report.name).read_text())
    return result["requests_per_second"], result["cpu_percent"] / 100


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--cpus", default="0,1", help="the first is used alone, too")
    parser.add_argument("--workload", default="rps", choices=("rps", "cps"))
    parser.add_argument("--connections", type=int, default=64, help="of each core")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("flags", nargs="*", help="for millrace-load, after --")
    options = parser.parse_args()
    cpus = [int(cpu) for cpu in options.cpus.split(",")]
    ratios = []
    for number in range(1, options.rounds + 1):
        spin_one, spin_all = spin(options, cpus[:1]), spin(options, cpus)
        one, share_one = load(options, cpus[:1])
        many, share_many = load(options, cpus)
        scaled, spun = many / one, spin_all / spin_one
        valid = min(share_one, share_many) >= SHARE
        print(f"round {number}: {one / 1e6:.3f} M/s on one, {many / 1e6:.3f} M/s on {len(cpus)}: x {scaled:.2f}; the spin"
              f" loop x {spun:.2f}; ratio {scaled / spun:.3f}"
              + ("" if valid else f" (not counted: {100 * min(share_one, share_many):.0f} % of the CPU)"), flush=True)
        if valid:
            ratios.append(scaled / spun)
    if not ratios:
        sys.exit("no round counts: something else runs here")
    median = statistics.median(ratios)
    print(f"{len(ratios)} rounds count; median ratio {median:.3f} (goal {GOAL})")
    sys.exit(0 if median >= GOAL else 1)


if __name__ == "__main__":
    main()
