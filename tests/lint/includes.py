# SPDX-License-Identifier: BSD-3-Clause
"""Who includes whom: the order of the rooms, circles, programs, DPDK; and each header of public and core alone."""

import concurrent.futures
import os
import re
import shutil
import subprocess

import tree

PUBLIC = "include"
# The rooms and what each may include beside itself. The public headers stand above all.
MAY_INCLUDE = {
    PUBLIC: (),
    "base": (PUBLIC,),
    "wire": (PUBLIC, "base"),
    "timer": (PUBLIC, "base"),
    "flow": (PUBLIC, "base", "wire"),
    "tcp": (PUBLIC, "base", "wire", "timer"),
    "stack": (PUBLIC, "base", "wire", "timer", "flow", "tcp"),
    "nic": (PUBLIC, "base", "wire"),
    "run": (PUBLIC, "base", "wire", "timer", "flow", "tcp", "stack", "nic"),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def includes(file):
    """(line, '<' or '"', what) of each include that is not in a comment."""
    code = tree.code(file).split("\n")
    for number, line in enumerate(tree.lines(file), 1):
        match = INCLUDE.match(line)
        if match and code[number - 1].lstrip().startswith("#"):
            yield number, match[1], match[2]


def resolve(file, what):
    """The file of the tree that an include means, or None."""
    here = os.path.dirname(file)
    top = file.split("/")[0]
    for place in (here, top, "lib", "lib/include", ""):
        path = os.path.normpath(os.path.join(place, what))
        if path in tree.files():
            return path
    return None


def room_of(file):
    parts = file.split("/")
    return parts[1] if parts[0] == "lib" and len(parts) > 2 else None


def include_order(case):
    for room in sorted(p.name for p in (tree.ROOT / "lib").iterdir() if p.is_dir()):
        if room not in MAY_INCLUDE:
            case.fail(f"lib/{room}", 1, "a room that the table in tests/lint/includes.py does not know")
    for file in tree.cpp_files("lib/"):
        room = room_of(file)
        for number, mark, what in includes(file):
            target = resolve(file, what)
            if target is None:
                if mark == '"':
                    case.fail(file, number, f'"{what}" is no file of the tree')
                continue
            to = room_of(target)
            if to is None:
                case.fail(file, number, f"{what} is in no room of lib")
            elif to != room and to not in MAY_INCLUDE.get(room, ()):
                case.fail(file, number, f"{room} may not include {to} ({what})")


def include_circles(case):
    """Tarjan's strongly connected components over all files: each of more than one file is a circle."""
    edges = {f: [] for f in tree.files() if tree.is_cpp(f)}
    for file in edges:
        for number, _, what in includes(file):
            target = resolve(file, what)
            if target == file:
                case.fail(file, number, "includes itself")
            elif target in edges:
                edges[file].append((target, number))
    index, low, stack = {}, {}, []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target, _ in edges[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] != index[node]:
            return
        component = []
        while not component or component[-1] != node:
            component.append(stack.pop())
        if len(component) > 1:
            component.sort()
            line = next(n for target, n in edges[component[0]] if target in component)
            case.fail(component[0], line, "circle of includes: " + ", ".join(component))

    for file in edges:
        if file not in index:
            visit(file)


def apps_public_only(case):
    """Programs see <millrace/...>, their own files, the system and libraries; none of our rooms."""
    for file in tree.cpp_files("apps/"):
        for number, mark, what in includes(file):
            if what.startswith("millrace/"):
                if mark == '"':
                    case.fail(file, number, f"write <{what}>, as any user of the library does")
                elif f"lib/include/{what}" not in tree.files():
                    case.fail(file, number, f"<{what}> is no public header")
                continue
            target = resolve(file, what)
            if target is None and mark == '"':
                case.fail(file, number, f'"{what}" is no file of the tree')
            elif target is not None and not target.startswith("apps/"):
                case.fail(file, number, f"includes {target}, which is not public")
            elif target is None and what.split("/")[0] in MAY_INCLUDE and what.split("/")[0] != PUBLIC:
                case.fail(file, number, f"<{what}> looks like a room of lib")


def dpdk_in_nic_only(case):
    for file in tree.cpp_files("lib/", "apps/", "bench/"):
        if not file.startswith("lib/nic/"):
            for number, _, what in includes(file):
                if what.startswith("rte_"):
                    case.fail(file, number, f"{what}: DPDK is included in lib/nic only")


def no_dpdk_word(case):
    """Not even in a comment: whoever reads the core or the public headers need not know DPDK's names."""
    for file in tree.core_files() + tree.cpp_files("lib/include/"):
        tree.search(case, file, tree.text(file), re.compile(r"\brte_\w*"), "the word {}")


def compiles_alone(header, compiler):
    """The compiler's first complaint about a program that is this header, twice; or ''."""
    public = header.startswith("lib/include/")
    name = header.removeprefix("lib/include/" if public else "lib/")
    command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", "lib/include"]
    command += [] if public else ["-I", "lib", "-fno-exceptions", "-fno-rtti"]
    mark = "<{}>" if public else '"{}"'
    program = f"#include {mark.format(name)}\n" * 2
    run = subprocess.run(command + ["-x", "c++", "-"], input=program, capture_output=True, text=True, cwd=tree.ROOT,
                         check=False)
    if run.returncode == 0:
        return ""
    complaints = [line for line in run.stderr.splitlines() if "error:" in line] or run.stderr.splitlines()
    return complaints[0] if complaints else f"{compiler} ended with {run.returncode}"


def headers_alone(case, room):
    compiler = os.environ.get("CXX") or shutil.which("g++") or "c++"
    headers = [f for f in tree.cpp_files(f"lib/{room}/") if f.endswith(".h")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, why in zip(headers, pool.map(lambda h: compiles_alone(h, compiler), headers)):
            if why:
                at = re.match(re.escape(header) + r":(\d+):", why)
                case.fail(header, int(at[1]) if at else 1, "alone: " + why)
