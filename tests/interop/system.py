# SPDX-License-Identifier: BSD-3-Clause
"""What the cases ask of the system: processes, network namespaces, and waiting with a limit."""
import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """What a case found to be wrong, in one line."""


class Skip(Exception):
    """Why a case cannot be run here."""


def demand(holds, otherwise):
    if not holds:
        raise Failure(otherwise)


def until(what, seconds, condition, pause=0.02):
    """Polls until condition() is true, and gives what it returned."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        demand(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(pause)


class Running:
    """A program whose output is collected while it runs. Who starts it gives it a name."""

    name, process, output = "", None, ""

    def launch(self, words, **options):
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        **options)
        os.set_blocking(self.process.stdout.fileno(), False)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def read(self):
        data = self.process.stdout.read()
        if data:
            self.output += data.decode(errors="replace")
        return self.output

    def wait_for(self, text, seconds=30):
        """Until `text` is in its output."""
        end = time.monotonic() + seconds
        while text not in self.read():
            left = end - time.monotonic()
            demand(left > 0, f"'{text}' in the output of {self.name}: not within {seconds} s")
            demand(self.process.poll() is None, f"{self.name} ended with {self.process.returncode}: {self.read()}")
            select.select([self.process.stdout], [], [], min(left, 0.5))

    def read_to_end(self, seconds):
        """Until it ends by itself; gives all that it printed."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            demand(time.monotonic() < end, f"{self.name} still runs after {seconds} s: {self.read()[-300:]}")
            select.select([self.process.stdout], [], [], 0.1)
            self.read()
        return self.read()


def checked(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with_parent():
    checked(libc.prctl(1, signal.SIGKILL, 0, 0, 0))  # PR_SET_PDEATHSIG


def new_network():
    """This process goes to a network namespace that was not there before."""
    checked(libc.unshare(0x40000000))  # CLONE_NEWNET
    sh("ip", "link", "set", "lo", "up")
    sysctl("net/ipv6/conf/all/disable_ipv6", 1)  # no neighbour discovery in the captures
    sysctl("net/ipv6/conf/default/disable_ipv6", 1)


def go_to_network(descriptor):
    checked(libc.setns(descriptor, 0x40000000))


def this_network():
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def sh(*words, seconds=10):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=seconds)
    demand(done.returncode == 0, f"{' '.join(map(str, words))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def sysctl(name, value):
    # Opened in the namespace, so it is the namespace's.
    Path("/proc/sys", name).write_text(f"{value}\n")


def many_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def kernel_counter(name):
    """One of this namespace's, named as in /proc/net/netstat and /proc/net/snmp: TcpExtTCPTimeouts, TcpRetransSegs."""
    for path in ("/proc/net/netstat", "/proc/net/snmp"):
        lines = Path(path).read_text().splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            table = names.split(":")[0]
            found = dict(zip(names.split()[1:], values.split()[1:]))
            if name.startswith(table) and name[len(table):] in found:
                return int(found[name[len(table):]])
    raise Failure(f"this kernel counts no {name}")
