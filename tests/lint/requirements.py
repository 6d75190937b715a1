# SPDX-License-Identifier: BSD-3-Clause
"""Requirements against citations. An id in lib or apps is code, in tests a test; exceptions.tsv says what is left out."""

import re

import tree

TABLE, EXCEPTIONS = "tests/lint/requirements.tsv", "tests/lint/exceptions.tsv"
OWNERS = {"complete-tcp", "documented"}
LABEL = r"(?:MUST|SHLD|MAY|REC)-\d+"
# RFC9293-MUST-43 (or, in a message to people, RFC 9293 MUST-43), RFC6298-5.1, RFC826-rx.
FIRST = re.compile(rf"\bRFC ?(\d{{3,5}})(?:[- ]({LABEL})\b|-(\d[\w.]*|rx\b))")
# ", -44" or ", -3.2.2" or " and -4c" after an id takes its beginning over, also on the next comment line; ", e" its
# number; "..33" goes on to there.
GAP = r"\s*(?:,|;|/| and)\s*(?://[/=#]?\s*|#\s*)?"
NEXT = re.compile(rf"{GAP}-({LABEL}|\d[\w.]*)")
LETTER = re.compile(r"\s*,\s*([a-z])(?=[\s]*[,).;:])")
RANGE = re.compile(r"\.\.(\d+)\b")
# An id that is a whole RFC: RFC5227.
WHOLE = re.compile(r"\bRFC\d{3,5}\b(?!-)")


class Row:
    def __init__(self, line, name, level, scope, short):
        self.line, self.name, self.level, self.scope, self.short = line, name, level, scope, short
        self.code, self.test, self.exception = [], [], None

    def is_binding(self):
        """Must have code and a test, or an exception: the MUSTs of the endpoint, and SEGMENT ARRIVES and the calls."""
        return (self.name.startswith("RFC9293-MUST-") and self.scope in "WA") or self.name.startswith("RFC9293-3.10.")

    def lacks(self):
        return [what for what, where in (("code", self.code), ("test", self.test)) if not where]


def rows_of(file, width, case):
    for number, line in enumerate(tree.lines(file), 1):
        if line.startswith("#") or not line:
            continue
        fields = line.split("\t")
        if len(fields) != width or not all(fields):
            case.fail(file, number, f"{len(fields)} fields, {width} wanted, none empty")
        else:
            yield number, fields


def load(case):
    """id -> Row, exceptions filled in."""
    table = {}
    for number, (name, level, scope, short) in rows_of(TABLE, 4, case):
        if name in table:
            case.fail(TABLE, number, f"{name} stands twice")
        table[name] = Row(number, name, level, scope, short)
    for number, (name, owner, reason) in rows_of(EXCEPTIONS, 3, case):
        if name not in table:
            case.fail(EXCEPTIONS, number, f"{name} is no requirement")
        elif table[name].exception:
            case.fail(EXCEPTIONS, number, f"{name} stands twice")
        elif owner not in OWNERS:
            case.fail(EXCEPTIONS, number, f"{owner} is no owner ({', '.join(sorted(OWNERS))})")
        else:
            table[name].exception = (owner, reason, number)
    return table


def citations(body, known):
    """(offset, id) of each citation in a text."""
    for match in WHOLE.finditer(body):
        if match[0] in known:
            yield match.start(), match[0]
    for match in FIRST.finditer(body):
        rfc = f"RFC{match[1]}-"
        name = rfc + (match[2] or match[3].rstrip("."))
        yield match.start(), name
        end = match.start() + len(match[0].rstrip("."))
        while True:
            following = NEXT.match(body, end)
            letter = LETTER.match(body, end)
            to = RANGE.match(body, end)
            label = re.match(rf"{rfc}(MUST|SHLD|MAY|REC)-(\d+)$", name)
            if to and label:
                for n in range(int(label[2]) + 1, int(to[1]) + 1):
                    yield match.start(), f"{rfc}{label[1]}-{n}"
                name, end = f"{rfc}{label[1]}-{to[1]}", to.end()
            elif following:
                rest = following[1].rstrip(".")
                name = f"{rfc}{label[1]}-{rest}" if label and rest.isdigit() else rfc + rest
                end = following.start(1) + len(rest)
                yield following.start(1), name
            elif letter and name[:-1] + letter[1] in known:
                name, end = name[:-1] + letter[1], letter.end()
                yield letter.start(1), name
            else:
                break


def collect(case, table):
    """Fills in who cites what; an id that is none is a finding (a section is written `RFC 9293 3.9.1`)."""
    for file in tree.files():
        is_test = file.startswith("tests/") and not file.startswith("tests/lint/")
        if file.endswith(".md") or not (is_test or file.startswith(("lib/", "apps/"))):
            continue
        body = tree.text(file)
        for offset, name in citations(body, table):
            line = tree.line_of(body, offset)
            if name in table:
                (table[name].test if is_test else table[name].code).append(f"{file}:{line}")
            else:
                case.fail(file, line, f"{name} is no id of {TABLE} (a section is written with a blank: RFC 9293 3.9)")


def idle_exceptions(case, table):
    for row in table.values():
        if row.exception and not row.lacks():
            case.fail(EXCEPTIONS, row.exception[2], f"{row.name} has code ({row.code[0]}) and a test ({row.test[0]})")


def judge(case, rows):
    for row in rows:
        if row.lacks() and not row.exception:
            case.fail(TABLE, row.line, f"{row.name} has no {' and no '.join(row.lacks())}")


def count(rows):
    rows = list(rows)
    done = sum(1 for r in rows if not r.lacks())
    left = sum(1 for r in rows if r.lacks() and r.exception)
    code = sum(1 for r in rows if r.code)
    test = sum(1 for r in rows if r.test)
    return (f"{len(rows)}: {done} with code and test, {left} excepted, {len(rows) - done - left} missing something "
            f"({code} with code, {test} with a test)")


def summary(table):
    return ("requirements: binding " + count(r for r in table.values() if r.is_binding())
            + "; others " + count(r for r in table.values() if not r.is_binding()))


def missing(table):
    """The one list of what is not done: binding rows first."""
    for binding in (True, False):
        rows = [r for r in table.values() if r.is_binding() == binding and r.lacks() and not r.exception]
        yield f"missing, {'binding' if binding else 'counted only'}: {len(rows)}"
        for row in rows:
            yield f"  {row.name:20} {row.level:14} no {' no '.join(row.lacks()):12} {row.short}"


def first(where):
    return "-" if not where else where[0] if len(where) == 1 else f"{where[0]} (+{len(where) - 1})"


def report(table):
    yield f"{'id':20} {'level':14} {'code':42} {'test':48} exception"
    for row in table.values():
        exception = f"{row.exception[0]}: {row.exception[1]}" if row.exception else ""
        yield f"{row.name:20} {row.level:14} {first(row.code):42} {first(row.test):48} {exception}".rstrip()
    yield ""
    yield summary(table)
    yield from missing(table)
