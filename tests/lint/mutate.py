#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Do the tests see it when a line that cites a requirement is wrong? mutate.py DIR [--seed N] [--mutants N]

Draws lines of the core that carry a citation, or stand just below one, by the seed; breaks each in one small way; builds
the core's tests and runs them, first those of the suites that cite the same requirement. All of that happens in copies
of the tree in DIR, never in the tree. A line that does not compile is drawn anew. One line a mutant; then each survivor
with its difference, and the counts: a survivor wants a test, or is no change at all."""

import argparse
import concurrent.futures
import difflib
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import operators
import requirements
import tree

SETUP = "-Dprograms=false -Dbuildtype=plain -Doptimization=1 -Ddebug=false -Ddebug_checks=true -Dwerror=false"
# The core's tests; conformance last, as it takes longest.
PROGRAMS = [f"tests/unit/{room}/unit_{room}" for room in tree.CORE] + ["tests/conformance/conformance"]
SIMULATOR = "tests/sim/millrace-sim"
TEST = re.compile(r"^TEST(?:_F|_P)?\((\w+),", re.M)
LOOK_AHEAD = 8  # lines of code below a comment, of which the first that can be broken is
BUILD_SECONDS, TEST_SECONDS = 400, 200


class Line:
    """A line of the core and what it cites; and one way to break it."""

    def __init__(self, file, number, ids):
        self.file, self.number, self.ids = file, number, sorted(ids)
        self.operator = self.before = self.after = ""

    def draw(self, dice):
        """Chooses among what can be done to it."""
        self.before = tree.lines(self.file)[self.number - 1]
        code = tree.code(self.file).split("\n")[self.number - 1]
        start, end, instead, self.operator = dice.choice(list(operators.mutations(code)))
        self.after = self.before[:start] + instead + self.before[end:]

    def difference(self):
        return "\n".join(difflib.unified_diff([self.before], [self.after], f"{self.file}:{self.number}", "mutant", lineterm="",
                                              n=0))


def breakable(code_lines, number):
    """The line that a citation on line `number` speaks of: that one, or the first of code below it."""
    if code_lines[number - 1].strip():
        return number if any(operators.mutations(code_lines[number - 1])) else None
    for below in range(number + 1, min(number + 1 + LOOK_AHEAD, len(code_lines) + 1)):
        if any(operators.mutations(code_lines[below - 1])):
            return below
    return None


def cited_lines():
    """Each line of the core that can be broken -> Line, in a fixed order."""
    table = requirements.load(tree.Case("table"))
    found = {}
    for file in tree.core_files():
        code_lines = tree.code(file).split("\n")
        for offset, name in requirements.citations(tree.text(file), table):
            number = breakable(code_lines, tree.line_of(tree.text(file), offset))
            if number is not None:
                found.setdefault((file, number), set()).add(name)
    return [Line(file, number, ids) for (file, number), ids in sorted(found.items())]


def suites_by_id():
    """id -> gtest suites of the files that cite it."""
    table = requirements.load(tree.Case("table"))
    suites = {}
    for file in tree.cpp_files("tests/unit/", "tests/conformance/"):
        names = set(TEST.findall(tree.text(file)))
        for _, name in requirements.citations(tree.text(file), table):
            suites.setdefault(name, set()).update(names)
    return suites


class Worker:
    """A copy of the tree with a build beside it."""

    def __init__(self, directory, setup):
        self.directory, self.setup = directory, setup
        # By the tree's own name, so that ccache knows what was built from the tree with the same options.
        self.tree, self.build = directory / tree.ROOT.name, directory / "build"

    def copy(self):
        """The tree as it is now."""
        for file in tree.files():
            to = self.tree / file
            body = (tree.ROOT / file).read_bytes()
            if not to.exists() or to.read_bytes() != body:
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(body)
                shutil.copymode(tree.ROOT / file, to)

    def prepare(self, like=None):
        """Builds what is not built yet; what is built elsewhere need not be built again: all names in it are relative."""
        if like is not None and not self.build.exists():
            shutil.copytree(like.directory, self.directory, dirs_exist_ok=True)
        if not (self.build / "build.ninja").exists():
            self.run(["meson", "setup", str(self.build), str(self.tree), *self.setup], None, check=True)
        if not self.compile(None):
            raise SystemExit("mutate: the tree does not build")

    def run(self, command, seconds, check=False):
        """The exit code; None after `seconds`, if there is such a bound."""
        with subprocess.Popen(command, cwd=self.build if self.build.exists() else None, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True) as process:
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                return None
        if check and code != 0:
            raise SystemExit(f"mutate: {' '.join(command)} failed")
        return code

    def compile(self, seconds=BUILD_SECONDS):
        return self.run(["ninja", "-j", "2" if seconds is None else "1", *PROGRAMS, SIMULATOR], seconds) == 0

    def tests_fail(self, suites, seeds):
        """What notices: a program's name, or nothing."""
        chosen = "--gtest_filter=" + ":".join(f"{s}.*:*/{s}.*" for s in sorted(suites))
        for only in ([chosen],) * bool(suites) + ([],):
            for program in PROGRAMS:
                command = [str(self.build / program), "--gtest_fail_fast", "--gtest_brief=1", *only]
                if self.run(command, TEST_SECONDS) != 0:
                    return program + (" (cites it)" if only else "")
        sim = [str(self.build / SIMULATOR), "--seed", "1", "--seeds", str(seeds)]
        return "sim" if seeds > 0 and self.run(sim, TEST_SECONDS) != 0 else ""

    def judge(self, line, suites, seeds):
        """(verdict, by what): the copy is as it was afterwards."""
        file = self.tree / line.file
        body = file.read_bytes()
        try:
            all_lines = body.decode().split("\n")
            all_lines[line.number - 1] = line.after
            file.write_bytes("\n".join(all_lines).encode())
            if not self.compile():
                return "does not compile", ""
            by = self.tests_fail(suites, seeds)
            return ("killed", by) if by else ("SURVIVED", "")
        finally:
            file.write_bytes(body)


class Run:
    """Mutants, in the order of the seed, until enough have compiled."""

    def __init__(self, options):
        self.options = options
        dice = random.Random(options.seed)
        self.lines = cited_lines()
        dice.shuffle(self.lines)
        for line in self.lines:
            line.draw(dice)
        self.suites = suites_by_id()
        self.lock = threading.Lock()
        self.wanted = options.mutants
        self.next = 0
        self.results = []

    def take(self):
        with self.lock:
            if self.wanted == 0 or self.next == len(self.lines):
                return None
            self.wanted -= 1
            self.next += 1
            return self.lines[self.next - 1]

    def work(self, worker):
        while (line := self.take()) is not None:
            start = time.monotonic()
            suites = set().union(*(self.suites.get(name, set()) for name in line.ids))
            verdict, by = worker.judge(line, suites, self.options.sim)
            with self.lock:
                if verdict == "does not compile":
                    self.wanted += 1
                self.results.append((verdict, line))
                print(f"{verdict}: {line.file}:{line.number} {line.operator} {' '.join(line.ids)}"
                      f"{f' by {by}' if by else ''} ({time.monotonic() - start:.0f} s)", flush=True)

    def report(self):
        for verdict, line in sorted(self.results, key=lambda r: (r[1].file, r[1].number)):
            if verdict == "SURVIVED":
                print(f"\n{' '.join(line.ids)}, {line.operator}\n{line.difference()}")
        counts = [sum(1 for v, _ in self.results if v == verdict) for verdict in ("killed", "SURVIVED", "does not compile")]
        print(f"\nseed {self.options.seed}: {counts[0]} killed, {counts[1]} survived, {counts[2]} did not compile, "
              f"of {len(self.lines)} lines")


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("directory", type=pathlib.Path, help="for the copies and their builds; kept, so that the next run is quicker")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutants", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sim", type=int, default=0, metavar="SEEDS", help="seeds of the simulator, for what the tests let pass")
    parser.add_argument("--setup", default=SETUP, help=f"meson's options, if not {SETUP}")
    return parser.parse_args(arguments)


def main():
    options = options_of(sys.argv[1:])
    directory = options.directory.resolve()
    if directory == tree.ROOT or tree.ROOT in directory.parents:
        raise SystemExit("mutate: the directory for the copies must not lie in the tree")
    run = Run(options)
    workers = [Worker(directory / str(i), options.setup.split()) for i in range(options.jobs)]
    for worker in workers:
        worker.copy()
    workers[0].prepare()
    if by := workers[0].tests_fail(set(), options.sim):
        raise SystemExit(f"mutate: {by} fails as it is")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda worker: worker.prepare(workers[0]), workers[1:]))
        list(pool.map(run.work, workers))
    run.report()


if __name__ == "__main__":
    main()
