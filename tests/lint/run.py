#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Style is a test: run.py BUILD_DIR, where BUILD_DIR is a built release build without LTO.

One line a case, further findings of a failed case indented below it, at last the counts. The table of requirements goes
to BUILD_DIR/requirements.txt."""

import sys

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import core
import includes
import layout
import objects
import requirements
import tree


def cases(build, table):
    """(name, function of a Case), in the order of the report."""
    yield "include/order", includes.include_order
    yield "include/circles", includes.include_circles
    yield "include/apps_public_only", includes.apps_public_only
    yield "include/dpdk_in_nic_only", includes.dpdk_in_nic_only
    yield "include/no_dpdk_word", includes.no_dpdk_word
    for room in (includes.PUBLIC,) + tree.CORE:
        yield f"header_alone/{room}", lambda case, room=room: includes.headers_alone(case, room)
    yield "core/built", lambda case: objects.built(case, build)
    yield "core/symbols", lambda case: objects.core_symbols(case, build)
    yield "core/no_state", lambda case: objects.core_no_state(case, build)
    for what in core.CORE_ONLY:
        yield f"core/no_{what}", lambda case, what=what: core.banned(case, what)
    yield "core/no_floating_point", core.floating_point
    yield "core/no_static", core.static_state
    yield "layout/top_level", layout.top_level
    yield "layout/licence_line", layout.licence_line
    yield "layout/file_length", layout.file_length
    yield "layout/function_length", layout.function_length
    yield "layout/blanks", layout.blanks
    yield "layout/unfinished", layout.unfinished
    yield "layout/machine_words", layout.machine_words
    yield "layout/echo_short", layout.echo_short
    yield "layout/readme_echo", layout.readme_echo
    yield "requirements/table", lambda case: table.update(requirements.load(case))
    yield "requirements/ids", lambda case: requirements.collect(case, table)
    yield "requirements/idle_exceptions", lambda case: requirements.idle_exceptions(case, table)
    yield "requirements/musts", lambda case: requirements.judge(
        case, [r for r in table.values() if r.is_binding() and "MUST" in r.name])
    yield "requirements/events", lambda case: requirements.judge(
        case, [r for r in table.values() if r.is_binding() and "MUST" not in r.name])


def show(case):
    """The case's word for the counts."""
    if case.found:
        (file, line, why), more = case.found[0], case.found[1:]
        print(f"FAIL {case.name}: {file}:{line}: {why}" + (f" (+{len(more)})" if more else ""))
        # What the requirements lack is listed once, at the end.
        for file, line, why in [] if case.name in ("requirements/musts", "requirements/events") else more:
            print(f"    {file}:{line}: {why}")
    elif case.skipped:
        print(f"skip {case.name}: {case.skipped}")
    else:
        print(f"ok {case.name}")
    for remark in case.remarks:
        print(f"    {remark}")
    return "failed" if case.found else "skipped" if case.skipped else "passed"


def main(arguments):
    build = objects.build_directory(arguments[0]) if len(arguments) == 1 else None
    if build is None:
        print("usage: run.py BUILD_DIR (a directory that meson has set up)", file=sys.stderr)
        return 2
    table, counts = {}, {"passed": 0, "failed": 0, "skipped": 0}
    for name, run in cases(build, table):
        case = tree.Case(name)
        run(case)
        counts[show(case)] += 1
        sys.stdout.flush()
    (build / "requirements.txt").write_text("\n".join(requirements.report(table)) + "\n")
    print(*requirements.missing(table), sep="\n")
    print(requirements.summary(table))
    print(", ".join(f"{n} {word}" for word, n in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
