# SPDX-License-Identifier: BSD-3-Clause
"""The files of config/ and the commands in their first lines, run as they stand there. Flags behind them say only what two
runs may not share: a CPU, a socket's file."""
import json
import os
import re
import select
import shlex
import signal
import subprocess
import time
from pathlib import Path

from system import demand, die_with_parent, sh, wait_for_output

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


class Program:
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
        self.directory, self.output, self.process = world.directory, "", None

    def __enter__(self):
        self.process = subprocess.Popen(self.words, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        os.set_blocking(self.process.stdout.fileno(), False)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def read(self):
        data = self.process.stdout.read()
        if data:
            self.output += data.decode(errors="replace")
        return self.output

    def wait_for(self, text, seconds=30):
        wait_for_output(self.words[0], self.process, self.read, self.process.stdout, text, seconds)

    def ended(self, code=0, seconds=60):
        """Its end by itself, with every buffer back where it has begun; what it wrote as JSON."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            demand(time.monotonic() < end, f"still runs after {seconds} s: {self.read()[-300:]}")
            select.select([self.process.stdout], [], [], 0.1)
            self.read()
        output = self.read()
        demand(self.process.returncode == code, f"exit code {self.process.returncode}, not {code}: {output[-700:]}")
        demand(code == 2 or re.search(r"^all \d+ packet buffers are back", output, re.M), f"buffers missing: {output[-500:]}")
        return json.loads(self.json.read_text()) if self.json.exists() else None

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.ended()
