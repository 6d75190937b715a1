# SPDX-License-Identifier: BSD-3-Clause
"""Millrace's programs on the guest's NICs, and what they and millrace-stat report."""
import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

import nics
from system import Running, demand

BUILD = Path("/mnt/build")
# Of each core; a server of eight is to fit beside a client of eight.
SMALL = ("--max-connections", 2048, "--time-wait-records", 16384, "--packet-buffers", 4096, "--set", "pools.destinations=4")
# Nothing is lost on a hub: what is sent again would only have been slow to come.
PATIENT = ("--set", "tcp.rto_initial=60s", "--set", "tcp.rto_min=60s", "--set", "tcp.tail_loss_probe=false")
SERVER, CLIENT, ECHO = "10.9.0.2", "10.9.0.1", "10.9.1.2"
PORT = 8000
# Unless a case says otherwise: what polls without work takes an emulated CPU from what has some.
IDLE = ("--idle", "sleep")


class Program(Running):
    """A running one, with its output; its end is for who uses it to see (ended())."""

    def __init__(self, name, nic, *words):
        self.name = name
        self.json = None
        mode = []
        if name == "load":
            mode, words = [words[0]], words[1:]
            self.json = Path(tempfile.mkdtemp(), "load.json")
            words = (*words, "--json", self.json)
        self.words = [str(BUILD / f"apps/millrace-{name}"), *mode, "--device", nics.addresses()[nic],
                      *(str(w) for w in (*SMALL, *(() if "--idle" in words else IDLE), *words))]

    def __enter__(self):
        self.launch(self.words)
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdout.close()

    def wait_for(self, text, seconds=60):
        super().wait_for(text, seconds)

    @contextlib.contextmanager
    def aside(self):
        """It polls meanwhile, but leaves most of the CPUs to a program that starts."""
        self.renice(10)
        yield
        self.renice(0)

    def renice(self, nice):
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)

    def stats(self):
        """By core, while it runs."""
        done = subprocess.run([str(BUILD / "apps/millrace-stat"), "stats", "--json", "--file-prefix",
                               f"millrace{self.process.pid}"],
                              capture_output=True, text=True, timeout=60, check=False)
        demand(done.returncode == 0, f"millrace-stat: {done.stderr}")
        return json.loads(done.stdout)["endpoints"]

    def stop(self, codes=(0,)):
        self.process.send_signal(signal.SIGINT)
        return self.ended(codes=codes)

    def ended(self, seconds=90, codes=(0,)):
        """Its exit code, every buffer back; what millrace-load wrote as JSON."""
        output = self.read_to_end(seconds)
        demand(self.process.returncode in codes, f"exit code {self.process.returncode}: {output[-700:]}")
        demand(re.search(r"^all \d+ packet buffers are back$", output, re.M), f"buffers missing: {output[-500:]}")
        return json.loads(self.json.read_text()) if self.json else None


def server(*words):
    return Program("load", nics.RIGHT, "server", "--address", f"{SERVER}/24", "--port", PORT, *words)


def client(*words):
    return Program("load", nics.LEFT, "client", "--address", f"{CLIENT}/24", "--to", f"{SERVER}:{PORT}", "--lcore", 1,
                   "--connect-timeout", "30s", *words)


def near(name, *words):
    """On the NIC whose neighbour is the guest's kernel."""
    if name == "load":
        return Program(name, nics.NEAR, words[0], "--address", f"{ECHO}/24", *words[1:])
    return Program(name, nics.NEAR, "--address", f"{ECHO}/24", *words)


def demand_clean(result, what):
    wrong = {k: n for k, n in result["errors"].items() if n}
    demand(not wrong and not result["failed"], f"{what}: errors {wrong} {result['failed']}")
