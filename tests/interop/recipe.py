# SPDX-License-Identifier: BSD-3-Clause
"""The files of config/ and the commands in their first lines, run as they stand there. Flags behind them say only what two
runs may not share: a CPU, a socket's file."""
import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

from system import Running, demand, die_with_parent, sh

TREE = Path(__file__).resolve().parents[2]


class Recipe:
    def __init__(self, name):
        self.name = name
        text = (TREE / "config" / name).read_text()
        self.commands = re.findall(r"^#   (\S.*)$", text, re.M)

    def command(self, begins):
        found = [c for c in self.commands if c.startswith(begins)]
        demand(found, f"{self.name} has no command {begins}")
        return found[0]

    def system(self):
        """Those that the kernel carries out, in their order."""
        for command in self.commands:
            if command.startswith(("ip ", "ethtool ")):
                sh(*shlex.split(command))

    def ask(self, text=b"hello\n"):
        words = shlex.split(self.command("nc "))
        done = subprocess.run(words, input=text, capture_output=True, timeout=10, check=False)
        demand(done.stdout == text, f"{words}: {done.stdout!r} {done.stderr!r}")

    def program(self, world, begins, *flags, nth=0):
        return Program(world, self.command(begins), *flags, nth=nth)


class Program(Running):
    """One of Millrace's, running. `nth`: of those that poll side by side, each on a CPU of its own as far as they go."""

    def __init__(self, world, command, *flags, nth=0):
        program, *words = shlex.split(command)
        words = [str(TREE / w) if w.startswith("config/") else w for w in words]
        cpus = sorted(os.sched_getaffinity(0))
        self.json = world.directory / f"{nth}.json"
        self.words = [str(world.build / "apps" / program), *words, "--lcore", str(cpus[(os.getppid() + nth) % len(cpus)]),
                      *map(str, flags)]
        if program == "millrace-load":
            self.words += ["--json", str(self.json)]
        self.name, self.directory = self.words[0], world.directory

    def __enter__(self):
        self.launch(self.words, cwd=self.directory, preexec_fn=die_with_parent)
        return self

    def __exit__(self, *_):
        self.kill()

    def ended(self, code=0, seconds=60):
        """Its end by itself, with every buffer back where it has begun; what it wrote as JSON."""
        output = self.read_to_end(seconds)
        demand(self.process.returncode == code, f"exit code {self.process.returncode}, not {code}: {output[-700:]}")
        demand(code == 2 or re.search(r"^all \d+ packet buffers are back", output, re.M), f"buffers missing: {output[-500:]}")
        return json.loads(self.json.read_text()) if self.json.exists() else None

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.ended()
