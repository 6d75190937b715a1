# SPDX-License-Identifier: BSD-3-Clause
"""What mutate.py changes: each operator takes a line's code, comments and strings blanked, and yields (from, to, what)
for every place where it fits, as columns and the text that comes there instead."""

import re

SWAPS = (
    (r"(?<= )<(?= )", "<="), (r"(?<= )<=(?= )", "<"), (r"(?<= )>(?= )", ">="), (r"(?<= )>=(?= )", ">"),
    (r"==", "!="), (r"!=", "=="), (r"&&", "||"), (r"\|\|", "&&"),
    (r"(?<= )\+(?= )", "-"), (r"(?<= )-(?= )", "+"), (r"\+=", "-="), (r"-=", "+="),
    (r"\bbefore\(", "before_eq("), (r"\bbefore_eq\(", "before("), (r"\bafter\(", "after_eq("), (r"\bafter_eq\(", "after("),
    (r"\bearlier\(", "later("), (r"\blater\(", "earlier("), (r"\bmin\b", "max"), (r"\bmax\b(?=[(<])", "min"),
    (r"\.set\(", ".clear("), (r"\.clear\((?=\w)", ".set("),
    (r"\breturn true\b", "return false"), (r"\breturn false\b", "return true"),
    (r" \|= ", " &= "), (r"\+\+(?=\w)", "--"), (r"(?<=\w)\+\+", "--"),
)
# Not of types, names or scales: a number that stands alone.
NUMBER = re.compile(r"(?<![\w.'])(\d+)(u?)(?![\w.'])")
# An expression whose value nobody takes: a call or an assignment, alone on its line or behind an `if (...)`.
STATEMENT = re.compile(r"^(\s*|.*\)\s+)((?:[\w.>\[\]*:-]+(?:\(.*\)|\s*[-+|&]?=\s.*)|(?:\+\+|--)[\w.>-]+);\s*)$")
DECLARES = re.compile(r"^\s*(const |constexpr |auto |static |using |return\b|[\w:<>*&]+ [\w]+[;{=(]|[\w:<>]+&? \w+ =)")
VALUE = re.compile(r"\breturn ([^;]+);")


def conditions(code):
    """The insides of if (...), as far as they end on the line."""
    for match in re.finditer(r"\bif \(", code):
        depth, at = 1, match.end()
        while at < len(code) and depth > 0:
            depth += {"(": 1, ")": -1}.get(code[at], 0)
            at += 1
        if depth == 0 and ";" not in code[match.end():at]:
            yield match.end(), at - 1


def mutations(code):
    """All of a line: (from, to, instead, operator)."""
    for start, end in conditions(code):
        yield start, end, f"!({code[start:end]})", "negate"
    for pattern, instead in SWAPS:
        for match in re.finditer(pattern, code):
            yield match.start(), match.end(), instead, "swap"
    for match in NUMBER.finditer(code):
        yield match.start(), match.end(), f"{int(match[1]) + 1}{match[2]}", "constant"
    statement = STATEMENT.match(code)
    if statement and not DECLARES.match(code):
        yield statement.start(2), statement.end(2), "{}", "drop"
    for match in VALUE.finditer(code):
        if match[1] not in ("true", "false"):
            yield match.start(1), match.end(1), "{}", "value"
