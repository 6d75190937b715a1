# SPDX-License-Identifier: BSD-3-Clause
"""The tree as the cases see it: its files, their text, the text without comments and strings, and what a case found."""

import functools
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE = ("base", "wire", "timer", "flow", "tcp", "stack")
BINARY = {".pcap", ".png", ".gz", ".o", ".a"}


class Case:
    """One line of the report: what was found as (file, line, why), remarks that do not fail, or why it was skipped."""

    def __init__(self, name):
        self.name = name
        self.found = []
        self.remarks = []
        self.skipped = ""

    def fail(self, file, line, why):
        self.found.append((str(file), line, why))


def is_build_directory(path):
    return (path / "build.ninja").exists() or (path / "meson-private").exists()


@functools.lru_cache(None)
def files():
    """All text files of the tree, relative to its root, sorted. Build directories and what git keeps are not of it."""
    found = []
    for where, directories, names in os.walk(ROOT):
        here = pathlib.Path(where)
        directories[:] = sorted(d for d in directories if d not in (".git", "__pycache__", ".cache")
                                and not is_build_directory(here / d) and not (here == ROOT and d.startswith("build")))
        found += [(here / n).relative_to(ROOT).as_posix() for n in names if pathlib.Path(n).suffix not in BINARY]
    return tuple(sorted(f for f in found if "\0" not in text(f) and not (ROOT / f).is_symlink()))


@functools.lru_cache(None)
def text(file):
    return (ROOT / file).read_bytes().decode("utf-8", errors="replace")


def lines(file):
    return text(file).splitlines()


def is_cpp(file):
    return file.endswith((".cc", ".h"))


def cpp_files(*prefixes):
    return [f for f in files() if is_cpp(f) and f.startswith(prefixes)]


def core_files():
    return cpp_files(*(f"lib/{room}/" for room in CORE))


TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
                   r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'", re.S)


@functools.lru_cache(None)
def code(file):
    """The text of a C++ file with comments and the insides of strings blanked; lines and columns stay."""

    def blank(match):
        quote = match[0][-1] if match[0][-1] in "\"'" and not match[0].startswith("/") else ""
        inner = re.sub(r"[^\n]", " ", match[0])
        return quote + inner[1:-1] + quote if quote else inner

    return TOKEN.sub(blank, text(file))


def line_of(body, offset):
    return body.count("\n", 0, offset) + 1


def search(case, file, body, pattern, why, allowed=None):
    """Each match of `pattern` is a finding, unless allowed(its line) says otherwise."""
    all_lines = body.split("\n")
    for match in pattern.finditer(body):
        number = line_of(body, match.start())
        if allowed is None or not allowed(all_lines[number - 1]):
            case.fail(file, number, why.format(match[0].strip()))
