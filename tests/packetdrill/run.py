#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs public packetdrill scripts against the adapter, with a packetdrill that the user has.

PACKETDRILL names its binary, PACKETDRILL_SCRIPTS the folder of its TCP scripts (gtests/net/tcp). Without them this is
one skip. Which scripts are to pass is in scripts.txt; others can be named on the command line.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

here = Path(__file__).resolve().parent


def expected():
    lines = (here / "scripts.txt").read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def stand_ins(directory):
    """Scripts set up the kernel that they were written for. Their sysctls reach the adapter through a network
    namespace of their own; the rest is about a tun device, which is not there."""
    for tool in ("tc", "ip", "ethtool"):
        path = Path(directory, tool)
        path.write_text("#!/bin/sh\nexit 0\n")
        path.chmod(0o755)


def own_namespace():
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and subprocess.run(command + ["true"], capture_output=True).returncode == 0:
            return command
    return []


def run_script(script, options, directory, namespace):
    environment = dict(os.environ)
    environment["PATH"] = f"{directory}:{environment.get('PATH', '')}:/usr/sbin:/sbin"
    interpreter = f"--code_command={sys.executable}"
    command = namespace + ["env", f"LD_PRELOAD={options.preload}", options.packetdrill,
                           f"--so_filename={options.adapter}", f"--so_flags={options.flags}", "--ip_version=ipv4", interpreter, script.name]
    try:
        done = subprocess.run(command, cwd=script.parent, env=environment, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return False, "no end after 60 s"
    noise = "sysctl: "  # keys that a namespace does not have
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(noise)]
    return done.returncode == 0, "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=os.path.abspath)
    parser.add_argument("preload", type=os.path.abspath)
    parser.add_argument("scripts", nargs="*", help="below PACKETDRILL_SCRIPTS; those of scripts.txt without")
    parser.add_argument("--flags", default="linux", help="for the adapter, see README.md")
    parser.add_argument("--quiet", action="store_true", help="one line a script")
    options = parser.parse_intermixed_args()
    options.packetdrill = os.environ.get("PACKETDRILL", "")
    folder = os.environ.get("PACKETDRILL_SCRIPTS", "")
    if not options.packetdrill or not os.path.isdir(folder):
        print("skip packetdrill: set PACKETDRILL and PACKETDRILL_SCRIPTS (tests/packetdrill/README.md)")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    passed = failed = 0
    namespace = own_namespace()
    with tempfile.TemporaryDirectory(prefix="millrace-packetdrill-") as directory:
        stand_ins(directory)
        for name in options.scripts or expected():
            good, text = run_script(Path(folder, name), options, directory, namespace)
            passed, failed = passed + good, failed + (not good)
            print(f"{'ok' if good else 'FAIL'} {name}", flush=True)
            if text and not good:
                print("  " + "\n  ".join(text.splitlines()[:1 if options.quiet else 12]), flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
