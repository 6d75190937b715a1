#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What `meson install` gives, used as somebody outside of the tree would: tests/sdk/run.py BUILD_DIR

Installs into a directory of its own, builds the README's echo and a pair over net_ring there with the README's lines of
meson, and runs both. One line a case; the last line counts them.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/interop"))
from system import Failure, Running, Skip, demand, die_with_parent, new_network, sh  # noqa: E402

README = (TREE / "README.md").read_text()
TAP, ADDRESS, KERNEL = "sdk0", "10.9.0.2", "10.9.0.1"


def block(first_words):
    """The one code block of the README that has these words."""
    found = [b for b in re.findall(r"(?ms)^```\w*\n(.*?)^```", README) if first_words in b]
    demand(len(found) == 1, f"{len(found)} blocks of the README with '{first_words}'")
    return found[0]


class Sdk:
    def __init__(self, build, top):
        self.build, self.stage, self.outside = Path(build).resolve(), top / "stage", top / "outside"
        sh("meson", "install", "-C", self.build, "--no-rebuild", "--destdir", self.stage, seconds=60)
        options = {o["name"]: o["value"] for o in self.introspect("--buildoptions")}
        self.prefix = self.stage / options["prefix"].lstrip("/")
        self.libdir = self.prefix / options["libdir"]
        self.environment = {**os.environ, "PKG_CONFIG_PATH": str(self.libdir / "pkgconfig"),
                            "PKG_CONFIG_SYSROOT_DIR": str(self.stage)}  # the prefix lies below it

    def introspect(self, what):
        import json
        return json.loads(sh("meson", "introspect", what, self.build, seconds=60))

    def call(self, *words, seconds=300):
        done = subprocess.run([str(w) for w in words], cwd=self.outside, env=self.environment, capture_output=True,
                              text=True, timeout=seconds)
        demand(done.returncode == 0, f"{words[0]}: exit code {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")
        return done.stdout

    def pkg_config(self, *words):
        return self.call("pkg-config", *words, "millrace").split()


def installed(sdk):
    """The public headers and no other, the archive, the programs, the pages with their examples."""
    headers = {p.name for p in (TREE / "lib/include/millrace").iterdir()}
    found = {p.relative_to(sdk.prefix / "include").as_posix() for p in (sdk.prefix / "include").rglob("*.h")}
    demand(found == {f"millrace/{name}" for name in headers}, f"headers: {found}")
    programs = [t["name"] for t in sdk.introspect("--targets") if t["installed"] and t["type"] == "executable"]
    demand("millrace-echo" in programs and "millrace-load" in programs, f"installed programs: {programs}")
    for name in programs:
        said = subprocess.run([sdk.prefix / "bin" / name, "--help"], capture_output=True, text=True, timeout=60)
        demand(said.returncode == 0 and said.stdout, f"bin/{name} --help: {said}")
    archives = [p.name for p in sdk.libdir.rglob("*.a")]
    demand(archives == ["libmillrace.a"], f"archives: {archives}")
    doc = sdk.prefix / "share/doc/millrace"
    for page in ("README.md", "config/README.md"):
        for link in re.findall(r"\]\(([\w./-]+)\)", (doc / page).read_text()):
            demand((doc / page).parent.joinpath(link).exists() or link == "lib/include/millrace", f"{page}: {link}")
    for file in (TREE / "config").glob("*.toml"):
        demand((doc / "config" / file.name).read_bytes() == file.read_bytes(), f"no {file.name}")


def headers_alone(sdk):
    """Each installed header with nothing but what was installed: no DPDK, no header of the rooms."""
    for header in sorted((sdk.prefix / "include/millrace").iterdir()):
        (sdk.outside / "alone.cc").write_text(f"#include <millrace/{header.name}>\n#include <millrace/{header.name}>\n")
        out = sdk.call("c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-M", *sdk.pkg_config("--cflags"), "alone.cc")
        demand("rte_" not in out, f"{header.name} includes DPDK")
        sdk.call("c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", "-fsyntax-only",
                 *sdk.pkg_config("--cflags"), "alone.cc")


def flags(sdk):
    """pkg-config asks for no flag but the place of the headers."""
    demand(sdk.pkg_config("--cflags") == [f"-I{sdk.prefix}/include"], f"{sdk.pkg_config('--cflags')}")
    version = re.search(r"version: '([\d.]+)'", (TREE / "meson.build").read_text())[1]
    demand(sdk.pkg_config("--modversion") == [version], f"{sdk.pkg_config('--modversion')}")


def builds(sdk):
    """The README's echo, and another program, by the README's lines of meson."""
    lines = block("dependency('millrace')")
    demand(len(lines.splitlines()) <= 5, f"{len(lines.splitlines())} lines of meson")
    for name, text in (("echo", block("int main(")), ("pair", Path(__file__).with_name("pair.cc").read_text())):
        directory = sdk.outside / name
        directory.mkdir()
        (directory / "mine.cc").write_text(text)
        (directory / "meson.build").write_text(lines)
        sdk.call("meson", "setup", directory / "build", directory)
        sdk.call("ninja", "-C", directory / "build")


def before_install(sdk):
    """What meson-uninstalled says does for a program, too: the headers where they are written, the archive as it was built."""
    environment = {**os.environ, "PKG_CONFIG_PATH": str(Path(sdk.build).resolve() / "meson-uninstalled")}
    done = subprocess.run("c++ -std=c++20 echo/mine.cc -o uninstalled $(pkg-config --cflags --libs millrace)", shell=True,
                          cwd=sdk.outside, env=environment, capture_output=True, text=True, timeout=300, check=False)
    demand(done.returncode == 0 and (sdk.outside / "uninstalled").exists(), done.stderr[-1500:])


def one_command(sdk):
    """Without meson, as the README has it."""
    command = re.search(r"^c\+\+ .*$", README, re.M)[0].replace("mine.cc", "echo/mine.cc")
    sdk.call("sh", "-c", command)
    demand((sdk.outside / "mine").exists(), f"no program from: {command}")


def ring(sdk):
    """It runs over net_ring: no root, no NIC."""
    said = sdk.call(sdk.outside / "pair/build/mine", seconds=60)
    demand("hello, outside\n" in said, said)
    demand(re.search(r"^all \d+ packet buffers are back$", said, re.M), said)


def tap(sdk):
    """The echo answers this kernel, over a tap in a namespace of its own."""
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        raise Skip("needs root and /dev/net/tun")
    new_network()
    echo = Running()
    echo.name = "echo"
    echo.launch([sdk.outside / "echo/build/mine", "--device", f"net_tap0,iface={TAP}", "--address", f"{ADDRESS}/24"],
                preexec_fn=die_with_parent)
    try:
        echo.wait_for("listening on")
        sh("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)
        with socket.create_connection((ADDRESS, 7), timeout=30) as peer:
            peer.sendall(b"hello, outside")
            peer.shutdown(socket.SHUT_WR)
            answer = b""
            while data := peer.recv(100):
                answer += data
        demand(answer == b"hello, outside", f"answer: {answer}")
        echo.process.terminate()
        said = echo.read_to_end(20)
        demand(echo.process.returncode == 0 and "buffers are back" in said, f"exit code {echo.process.returncode}: {said}")
    finally:
        echo.kill()


CASES = (installed, headers_alone, flags, builds, before_install, one_command, ring, tap)  # each may need what those before it made


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    top = Path(tempfile.mkdtemp(prefix="millrace-sdk-"))
    try:
        (top / "outside").mkdir()
        sdk = None
        for case in CASES:
            outcome, why = "ok", ""
            try:
                sdk = sdk or Sdk(sys.argv[1], top)
                case(sdk)
            except (Failure, OSError, subprocess.SubprocessError) as failure:
                outcome, why = "FAIL", ": " + " ".join(str(failure).split())
            except Skip as skip:
                outcome, why = "skip", f": {skip}"
            counts[outcome] += 1
            print(f"{outcome} {case.__name__}{why}", flush=True)
    finally:
        shutil.rmtree(top)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
