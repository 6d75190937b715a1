# SPDX-License-Identifier: BSD-3-Clause
"""The core's purity, asked of the linker: what its objects need from outside, and what state they hold."""

import json
import pathlib
import subprocess

import tree

# The C library's four memory functions, our failure handler, and what the compiler itself may ask for.
ALLOWED = {
    "memcpy", "memmove", "memset", "memcmp",
    "_ZN8millrace13ensure_failedEPKcS1_i",
    "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_",
}
WRITABLE = (".data", ".bss", ".tdata", ".tbss")


def objects(build):
    """object -> source, for the core."""
    found = {}
    for room in tree.CORE:
        for path in sorted((build / f"lib/{room}/lib{room}.a.p").glob("*.o")):
            found[path] = f"lib/{room}/{path.name.removesuffix('.o')}"
    return found


def unfit(build):
    """Why this build's objects say nothing about purity, or ''."""
    listing = build / "meson-info/intro-buildoptions.json"
    if not listing.exists():
        return ""
    option = {o["name"]: o["value"] for o in json.loads(listing.read_text())}
    if option.get("optimization") in ("0", "g"):
        return f"not a release build (optimization {option['optimization']})"
    if option.get("b_lto") or any("-flto" in a for a in option.get("cpp_args", [])):
        return "a build with LTO"
    if option.get("b_sanitize", "none") != "none" or option.get("b_coverage"):
        return "an instrumented build"
    return ""


def nm(*arguments):
    return subprocess.run(("nm",) + arguments, capture_output=True, text=True, check=True).stdout.splitlines()


def built(case, build):
    """Each source of the core has an object, no older than itself, and each object has its source."""
    known = objects(build)
    for file in tree.core_files():
        if file.endswith(".cc"):
            path = next((p for p, source in known.items() if source == file), None)
            if path is None:
                case.fail(file, 1, f"is in no library of {build.name}: named in its meson.build, and built?")
            elif path.stat().st_mtime < (tree.ROOT / file).stat().st_mtime:
                case.fail(file, 1, f"is newer than its object: build {build.name} first")
    for path, source in known.items():
        if not (tree.ROOT / source).exists():
            case.remarks.append(f"{path.relative_to(build)} has no source any more; left out")


def readable_objects(case, build):
    case.skipped = unfit(build)
    known = {p: s for p, s in objects(build).items() if (tree.ROOT / s).exists()}
    if not known and not case.skipped:
        case.fail("lib/meson.build", 1, f"no object of the core in {build}")
    return {} if case.skipped else known


def core_symbols(case, build):
    """What all objects of the core together need, less what they define."""
    needed, defined = {}, set()
    for path, source in readable_objects(case, build).items():
        for line in nm("-P", str(path)):
            name, kind = line.split()[:2]
            if kind in "Uw":
                needed.setdefault(name, source)
            elif kind.isupper() or kind == "u":
                defined.add(name)
    if needed and not any(name.startswith("_ZN8millrace") for name in defined):
        case.fail("lib/meson.build", 1, "the objects define nothing of ours: not plain objects?")
    outside = sorted(set(needed) - defined - ALLOWED)
    plain = subprocess.run(("c++filt",), input="\n".join(outside), capture_output=True, text=True,
                           check=True).stdout.splitlines()
    for name, readable in zip(outside, plain):
        case.fail(needed[name], 1, f"needs {readable} from outside the core")


def core_no_state(case, build):
    """Nothing in a writable section: no static, no global, no thread_local. (Relocated constants are not state.)"""
    for path, source in readable_objects(case, build).items():
        for line in nm("-C", "-f", "sysv", str(path)):
            fields = [f.strip() for f in line.split("|")]
            section = fields[-1]
            if len(fields) == 7 and fields[3] != "SECTION" and section.startswith(WRITABLE) \
                    and not section.startswith(".data.rel.ro"):
                case.fail(source, 1, f"{fields[0]} lies in {section}: state outside a Stack")


def build_directory(argument):
    path = pathlib.Path(argument).resolve()
    return path if tree.is_build_directory(path) else None
