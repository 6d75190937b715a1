#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs public packetdrill scripts against the adapter, with a packetdrill that the user has.

PACKETDRILL names its binary. The scripts are where the user has them, a folder for each suite:
  PACKETDRILL_SCRIPTS  google   google/packetdrill, gtests/net/tcp
  PACKETDRILL_LINUX    linux    the kernel's tools/testing/selftests/net/packetdrill
  PACKETDRILL_FREEBSD  freebsd  freebsd-net/tcp-testsuite
  PACKETDRILL_CLASSIC  classic  nplab/packetdrill, gtests/net/packetdrill/tests/linux
A suite without its variable is one skip, and so are all of them without PACKETDRILL. Which scripts are to pass is in
scripts.txt; others can be named on the command line, as SUITE:PATTERN below the suite's folder.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

here = Path(__file__).resolve().parent
# As packetdrill's own run_all.py has it.
local = ["--local_ip=192.168.0.1", "--gateway_ip=192.168.0.1", "--netmask_ip=255.255.0.0", "--remote_ip=192.0.2.1",
         "-D", "TFO_COOKIE=3021b9d889017eeb", "-D", "CODE=host_unreachable"]
names = {"ipv4": ["-D", "CMSG_LEVEL_IP=SOL_IP", "-D", "CMSG_TYPE_RECVERR=IP_RECVERR"],
         "ipv4-mapped-ipv6": ["-D", "CMSG_LEVEL_IP=SOL_IPV6", "-D", "CMSG_TYPE_RECVERR=IPV6_RECVERR"]}


class Suite:
    def __init__(self, variable, flags, arguments=()):
        self.variable, self.flags, self.arguments = variable, flags, list(arguments)
        self.folder = os.environ.get(variable, "")


suites = {
    "google": Suite("PACKETDRILL_SCRIPTS", "linux,local=192.168.0.1", local),
    "linux": Suite("PACKETDRILL_LINUX", "linux,local=192.168.0.1", local),
    # A kernel that read no sysctls of today's: its receive buffer, and no PSH but a write's last.
    "classic": Suite("PACKETDRILL_CLASSIC", "linux,sysctls=0,receive_buffer=4000000,push_every=0"),
    "freebsd": Suite("PACKETDRILL_FREEBSD", "freebsd", ["-D", "TCP_KEEPINIT=128"]),
}


def expected():
    """SUITE PATTERN: these are to pass; SUITE !PATTERN: not these of them."""
    wanted = {}
    for line in (here / "scripts.txt").read_text().splitlines():
        line = line.split("#")[0].split()
        if line:
            wanted.setdefault(line[0], []).append(line[1])
    return wanted


def matching(suite, patterns):
    folder, names = Path(suites[suite].folder), set()
    for pattern in patterns:
        found = {str(path.relative_to(folder)) for path in folder.glob(pattern.lstrip("!"))}
        if not found and pattern[0] != "!":
            found = {pattern}  # a script that this version of the suite does not have
        names = names - found if pattern[0] == "!" else names | found
    return sorted(names)


def stand_ins(directory):
    """Scripts set up the kernel that they were written for, and look into it. A Linux kernel's sysctls reach the
    adapter through a network namespace of the script's own. Those of other kernels go to a file that the adapter reads,
    and what sockstat shows is what the adapter writes to another. The rest is about a tun device, which is not there."""
    sysctl = shutil.which("sysctl", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "false"
    tools = {name: "exit 0" for name in ("tc", "ip", "ethtool", "tcpdrop", "setkey", "ifconfig")}
    tools["sysctl"] = f"""case "$*" in *net.inet.*|*kern.*) ;; *) exec {sysctl} "$@";; esac
for word; do case $word in *=*) echo "${{word%%=*}} ${{word#*=}}";; esac; done >>"$MILLRACE_SYSCTLS" """
    # Names of FreeBSD's packetdrill for the states of TCP_INFO.
    states = ("ESTABLISHED", "SYN_SENT", "SYN_RECEIVED", "FIN_WAIT_1", "FIN_WAIT_2", "TIME_WAIT", "CLOSED",
              "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING")
    names = "; ".join(f"TCPI_{state} = {number}" for number, state in enumerate(states, 1))
    tools["run-code"] = f"""exec {sys.executable} -c '{names}
import sys; exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"))' "$@" """
    tools["sockstat"] = 'cat "$MILLRACE_SOCKETS"'
    for tool, text in tools.items():
        path = Path(directory, tool)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


def own_namespace():
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and subprocess.run(command + ["true"], capture_output=True).returncode == 0:
            return command
    return []


def as_standard(text):
    """tcp-testsuite tells apart what the standard says from what FreeBSD does where they differ: the standard's."""
    text = re.sub(r"^#ifdef STANDARD\n(.*?)^#endif\n", r"\1", text, flags=re.M | re.S)
    return re.sub(r"^#ifdef \w+\n.*?^#endif\n", "", text, flags=re.M | re.S)


class Runner:
    def __init__(self, options, directory):
        self.options, self.directory, self.namespace = options, directory, own_namespace()

    def command(self, suite, mode, script, text):
        options = self.options
        mtu = re.search(r"^--mtu=(\d+)", text, re.M)
        flags = (options.flags or suites[suite].flags) + (f",mtu={mtu[1]}" if mtu else "")
        return self.namespace + ["env", f"LD_PRELOAD={options.preload}", options.packetdrill,
                                 f"--so_filename={options.adapter}", f"--so_flags={flags}",
                                 f"--ip_version={mode}", f"--code_command={self.directory}/run-code",
                                 *suites[suite].arguments, *names[mode], script]

    def modes(self, suite, name):
        """The script's own, or those asked for."""
        path = Path(suites[suite].folder, name)
        own = path.is_file() and re.search(r'^[`\s]*--ip_version="?([\w-]+)', path.read_text(errors="replace"), re.M)
        return [own[1]] if own else self.options.modes.split(",")

    def run(self, suite, name, mode):
        """"ok", "FAIL" or "skip", and what was said."""
        path = Path(suites[suite].folder, name)
        if not path.is_file():
            return "skip", "is not there"
        if mode == "ipv6":
            return "skip", "needs IPv6"
        text = path.read_text(errors="replace")
        with tempfile.TemporaryDirectory(dir=self.directory) as own:
            environment = dict(os.environ)
            environment["PATH"] = f"{self.directory}:{environment.get('PATH', '')}:/usr/sbin:/sbin"
            environment["MILLRACE_SYSCTLS"] = f"{own}/sysctls"
            environment["MILLRACE_SOCKETS"] = f"{own}/sockets"
            Path(own, "sysctls").touch()
            Path(own, "sockets").touch()
            script = path.name
            if "#ifdef FreeBSD" in text:
                script = f"{own}/{path.name}"
                Path(script).write_text(as_standard(text))
            try:
                done = subprocess.run(self.command(suite, mode, script, text), cwd=path.parent, env=environment,
                                      capture_output=True, text=True, errors="replace", timeout=60)
            except subprocess.TimeoutExpired:
                return "FAIL", "no end after 60 s"
        noise = "sysctl: "  # keys that a namespace does not have
        lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(noise)]
        if done.returncode < 0 or done.returncode > 128:
            lines.insert(0, f"ended by signal {-done.returncode if done.returncode < 0 else done.returncode - 128}")
        return "ok" if done.returncode == 0 else "FAIL", "\n".join(lines)


def chosen(options):
    """{suite: scripts}, and the suites that are skipped."""
    patterns = expected()
    if options.scripts:
        patterns = {}
        for script in options.scripts:
            suite, name = script.split(":", 1) if ":" in script else ("google", script)
            patterns.setdefault(suite, []).append(name)
    there = {suite: names for suite, names in patterns.items() if os.path.isdir(suites[suite].folder)}
    return {suite: matching(suite, names) for suite, names in there.items()}, [s for s in patterns if s not in there]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=os.path.abspath)
    parser.add_argument("preload", type=os.path.abspath)
    parser.add_argument("scripts", nargs="*", help="SUITE:PATTERN; those of scripts.txt without")
    parser.add_argument("--flags", help="for the adapter, see README.md; the suite's own without")
    parser.add_argument("--modes", default="ipv4,ipv4-mapped-ipv6", help="of scripts that do not name their own: %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="scripts at a time")
    parser.add_argument("--quiet", action="store_true", help="one line a script")
    options = parser.parse_intermixed_args()
    options.packetdrill = os.environ.get("PACKETDRILL", "")
    if not options.packetdrill:
        print("skip packetdrill: set PACKETDRILL and folders of scripts (tests/packetdrill/README.md)")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    count = {"ok": 0, "FAIL": 0, "skip": 0}
    scripts, absent = chosen(options)
    for suite in absent:
        count["skip"] += 1
        print(f"skip {suite}: set {suites[suite].variable} (tests/packetdrill/README.md)")
    with tempfile.TemporaryDirectory(prefix="millrace-packetdrill-") as directory:
        stand_ins(directory)
        runner = Runner(options, directory)
        work = [(suite, name, mode) for suite, names in scripts.items() for name in names
                for mode in runner.modes(suite, name)]
        with ThreadPoolExecutor(options.jobs) as pool:
            for (suite, name, mode), (verdict, text) in zip(work, pool.map(lambda item: runner.run(*item), work)):
                count[verdict] += 1
                print(f"{verdict} {suite}:{name} {mode}{': ' + text if verdict == 'skip' else ''}", flush=True)
                if text and verdict == "FAIL":
                    print("  " + "\n  ".join(text.splitlines()[:1 if options.quiet else 12]), flush=True)
    print(f"{count['ok']} passed, {count['FAIL']} failed, {count['skip']} skipped")
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
