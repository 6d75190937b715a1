# SPDX-License-Identifier: BSD-3-Clause
"""Files as such: what lies at the top, licence lines, lengths, blanks, words that do not belong, the README."""

import ast
import os
import re

import tree

# meson before 1.1 (Debian 12 has 1.0.1) reads its options from a file of just this name and no other, so it stays.
TOP = {"meson.build", "meson_options.txt", "lib", "apps", "tests", "bench", "config", "README.md", "LICENSE"}
SPDX = "SPDX-License-Identifier: BSD-3-Clause"
FILE_LINES, FILE_LINES_AT_MOST, FUNCTION_LINES, ECHO_LINES = 500, 600, 70, 40
CONTAINER = re.compile(r"\b(?:namespace|class|struct|union|enum)\b|\bextern\s*$")
ATTRIBUTE = re.compile(r"\balignas\s*\([^()]*(?:\([^()]*\))?[^()]*\)|__attribute__\s*\(\(.*?\)\)|\[\[.*?\]\]")
CONSTRUCTOR = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:)")
# Spelt so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X)\b")
MACHINE = re.compile(r"(?<![\w.*])/(?:wor[k]|roo[t]|hom[e])/|/tm[p]/b\b|\.\./share[d]/")
HOSTS = re.compile(r"\b(?:registr[y]\.[a-z]|ghc[r]\.io|qua[y]\.io|docke[r]\.io|pyp[i]\.org|proxy\.golan[g]\.org"
                   r"|crate[s]\.io|artifactor[y]|localhos[t]:\d)")
WORDS = re.compile(r"Claud[e]|Anthropi[c]|ChatGP[T]|session transcrip[t]|\bAI[ -]agen[t]|language mode[l]", re.I)


def top_level(case):
    for path in sorted(tree.ROOT.iterdir()):
        name = path.name
        if name in TOP or name.startswith(".") or (path.is_dir() and (
                name.startswith("build") or name == "__pycache__" or tree.is_build_directory(path))):
            continue
        case.fail(name, 1, "does not belong at the top level")


def is_program_text(file):
    name = os.path.basename(file)
    return file.endswith((".cc", ".h", ".py", ".sh", ".S", ".lua")) or name in ("meson.build", "meson_options.txt") \
        or tree.text(file).startswith("#!")


def licence_line(case):
    for file in filter(is_program_text, tree.files()):
        head = tree.lines(file)[:2] + ["", ""]
        line = 1 if head[0].startswith("#!") else 0
        if SPDX not in head[line]:
            case.fail(file, line + 1, f"must be the line {SPDX}")


def file_length(case):
    for file in filter(is_program_text, tree.files()):
        count = len(tree.lines(file))
        if count > FILE_LINES_AT_MOST:
            case.fail(file, count, f"{count} lines, at most {FILE_LINES} (never above {FILE_LINES_AT_MOST})")
        elif count > FILE_LINES:
            case.remarks.append(f"warn {file}:{count}: {count} lines, {FILE_LINES} wanted")


def cpp_functions(file):
    """(first line, last line) of each function body that stands in a namespace or a class: braces are matched, and
    what stands before a brace tells what it opens."""
    body = re.sub(r"(?m)^\s*#.*(?:\\\n.*)*$", lambda m: re.sub(r"[^\n]", " ", m[0]), tree.code(file))
    kinds, start = [], 0
    for match in re.finditer(r"[{};]", body):
        at = match.start()
        outside = all(kind == "container" for kind, _ in kinds)
        if match[0] == ";":
            start = at + 1 if outside else start
            continue
        if match[0] == "{":
            head = ATTRIBUTE.sub(lambda m: " " * len(m[0]), body[start:at])
            last = head.rstrip()[-1:]
            if not outside:
                kind = "inner"
            elif CONSTRUCTOR.search(head) and re.match(r"[\w>]", last):
                kind = "member"
            elif ")" in head and not re.search(r"=\s*$", head) and not re.match(r"\s*extern\s*$", head):
                kind = "function"
            else:
                kind = "container" if CONTAINER.search(head) else "value"
            kinds.append((kind, start + len(head) - len(head.lstrip())))
            start = at + 1 if kind == "container" else start
        elif kinds:
            kind, first = kinds.pop()
            if kind == "function":
                yield tree.line_of(body, first), tree.line_of(body, at)
            if kind in ("function", "container", "value"):
                start = at + 1


def python_functions(file):
    for node in ast.walk(ast.parse(tree.text(file))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno


def function_length(case):
    for file in tree.files():
        finder = cpp_functions if tree.is_cpp(file) else python_functions if file.endswith(".py") else None
        for first, last in finder(file) if finder else ():
            if last - first + 1 > FUNCTION_LINES:
                case.fail(file, first, f"a function of {last - first + 1} lines, at most {FUNCTION_LINES}")


def blanks(case):
    for file in tree.files():
        for number, line in enumerate(tree.text(file).split("\n"), 1):
            if line != line.rstrip():
                case.fail(file, number, "blank at the end of the line")
            if "\t" in line.rstrip() and not file.endswith(".tsv"):
                case.fail(file, number, "tab")
        if tree.text(file) and not tree.text(file).endswith("\n"):
            case.fail(file, len(tree.lines(file)), "the last line does not end")


def unfinished(case):
    for file in tree.files():
        tree.search(case, file, tree.text(file), UNFINISHED, "{}")


def machine_words(case):
    for file in tree.files():
        tree.search(case, file, tree.text(file), MACHINE, "{}: a path of one machine")
        tree.search(case, file, tree.text(file), HOSTS, "{}: a host that users need not have")
        tree.search(case, file, tree.text(file), WORDS, "{}: about the making, not the thing")


def echo_short(case):
    file = "apps/echo.cc"
    if file not in tree.files():
        case.fail(file, 1, "is missing")
        return
    count = len(tree.lines(file))
    if count > ECHO_LINES:
        case.fail(file, count, f"{count} lines, at most {ECHO_LINES}: it is the README's first example")
    if "'echo.cc'" not in tree.text("apps/meson.build"):
        case.fail("apps/meson.build", 1, "echo.cc is not compiled")


def readme_echo(case):
    """The README shows the program that is compiled, to the letter."""
    if "README.md" not in tree.files():
        case.skipped = "no README.md yet"
        return
    readme, wanted = tree.text("README.md"), tree.text("apps/echo.cc").strip("\n").split("\n")
    blocks = [(m.start(), m[1].strip("\n").split("\n")) for m in re.finditer(r"(?ms)^```\w*[^\n]*\n(.*?)^```", readme)]
    # The licence line may be left out.
    if any(block in (wanted, wanted[1:]) for _, block in blocks):
        return
    near = max(blocks, key=lambda b: len(set(b[1]) & set(wanted)), default=None)
    if near is None:
        case.fail("README.md", 1, "does not show apps/echo.cc")
        return
    want = wanted if near[1][0] == wanted[0] else wanted[1:]
    offset = next((i for i, (a, b) in enumerate(zip(near[1], want)) if a != b), min(len(near[1]), len(want)))
    case.fail("README.md", tree.line_of(readme, near[0]) + 1 + offset, "is not apps/echo.cc from here on")
