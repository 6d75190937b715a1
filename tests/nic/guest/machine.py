# SPDX-License-Identifier: BSD-3-Clause
"""A guest, seen from the host: QEMU with four NICs, told what to run and asked to do over a serial port.

    NICs 1 and 2 on one hub, both DPDK's;  NICs 3 and 4 on another: DPDK's and the guest kernel's.

No packet leaves QEMU, and nothing of the host's is used: no KVM, no huge page, no interface. The guest's root is the
host's, read-only (init).
"""
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import wire
from system import Failure, demand, die_with_parent
from talk import Lines

TREE = Path(__file__).resolve().parents[3]
MEMORY, HUGE_PAGES, CPUS = 2560, 700, 2  # MB, and pages of 2 MB
# What the guest's kernel says when a processor's timer has gone for good. It happens to idle ones, now and then, in QEMU.
NO_TIMER = "timer wakeup didn't happen"


class GuestGone(Exception):
    """It has ended, or does not answer in time."""


class TimerLost(GuestGone):
    """It will never answer, by the emulator's fault: what it was at can be done anew."""


def qemu_of(cache):
    """The fetched QEMU if there is one, else the machine's own: its command, and its environment."""
    fetched = cache / "qemu/usr"
    if not fetched.exists():
        return [shutil.which("qemu-system-x86_64")], {}
    return ([str(fetched / "bin/qemu-system-x86_64"), "-L", str(fetched / "share/qemu"), "-L", str(fetched / "share/seabios")],
            {"QEMU_MODULE_DIR": str(fetched / "lib/x86_64-linux-gnu/qemu")})


class Machine:
    def __init__(self, cache, build, directory, group):
        self.cache, self.build, self.directory, self.group = cache, Path(build).resolve(), directory, group
        self.process = self.monitor = self.talk = self.talking = None
        self.is_capturing = False
        self.capturing = None

    def __enter__(self):
        try:
            self.boot()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def nodes(self):
        count = self.group.nodes
        words = ["-smp", f"{CPUS},sockets={count}"]
        for n in range(count if count > 1 else 0):
            words += ["-object", f"memory-backend-ram,id=m{n},size={MEMORY // count}M",
                      "-numa", f"node,nodeid={n},cpus={n},memdev=m{n}"]
        return words

    def words(self):
        share = "security_model=none,multidevs=remap"
        nic = self.group.model + (",disable-legacy=on,iommu_platform=on" if self.group.model.startswith("virtio") else "")
        words = ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", *self.nodes(), "-m", str(MEMORY), "-nodefaults",
                 "-no-user-config", "-display", "none", "-no-reboot", "-serial", f"file:{self.directory}/console",
                 "-chardev", f"socket,id=talk,path={self.directory}/talk", "-serial", "chardev:talk",
                 "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off",
                 "-kernel", str(self.cache / "vmlinux"), "-initrd", str(self.cache / "initramfs.gz"),
                 # A clock that needs no device, and pages that are not cleared twice: both cost an emulated CPU seconds.
                 "-append", "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable init_on_alloc=0 random.trust_cpu=on "
                            f"rcupdate.rcu_cpu_stall_timeout=5 intel_iommu=on iommu=pt hugepages={HUGE_PAGES}",
                 "-virtfs", f"local,path=/,mount_tag=root,{share},readonly=on",
                 "-virtfs", f"local,path={TREE},mount_tag=tree,{share},readonly=on",
                 "-virtfs", f"local,path={self.build},mount_tag=build,{share},readonly=on",
                 "-virtfs", f"local,path={self.directory},mount_tag=w,{share}", "-device", "intel-iommu"]
        bus = "pcie.0"
        if self.group.nodes > 1:
            bus = "far"
            words += ["-device", f"pxb-pcie,id=far,bus_nr=128,numa_node={self.group.nodes - 1}"]
        for n in range(1, 5):
            words += ["-device", f"pcie-root-port,id=r{n},bus={bus},chassis={n},slot={n}",
                      "-netdev", f"hubport,id=n{n},hubid={(n + 1) // 2}",
                      "-device", f"{nic},bus=r{n},netdev=n{n},mac=52:54:00:00:00:0{n},romfile="]
        return words

    def boot(self):
        self.directory.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.directory / "talk"))
            listening.listen()
            listening.settimeout(20)
            program, environment = qemu_of(self.cache)
            with open(self.directory / "qemu.log", "wb") as log:
                self.process = subprocess.Popen([*program, *self.words()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                env={**os.environ, **environment}, preexec_fn=die_with_parent)
            try:
                self.talking = listening.accept()[0]
            except TimeoutError:
                raise GuestGone("QEMU does not start: " + self.log("qemu.log")) from None
        self.talk = Lines(lambda: self.talking.recv(65536), self.talking.send)
        self.monitor = Monitor(self.directory / "qmp")

    def log(self, name):
        path = self.directory / name
        return " ".join(path.read_text(errors="replace")[-600:].split()) if path.exists() else ""

    def next(self, seconds):
        """What the guest says next; GuestGone if that is nothing."""
        end = time.monotonic() + seconds
        message = None
        while time.monotonic() < end:
            self.talking.settimeout(1)
            try:
                message = self.talk.receive()
                break
            except TimeoutError:
                if NO_TIMER in (self.directory / "console").read_text(errors="replace"):
                    raise TimerLost(self.log("console")) from None
            except ConnectionError:
                break
        if message is None:
            raise GuestGone(f"{self.log('guest.log')} {self.log('console')} {self.log('qemu.log')}")
        return message

    # What the guest may ask for.

    def link(self, nic, up):
        self.monitor.do("set_link", name=f"n{nic}", up=up)

    def capture(self, nic, name):
        """All that passes the wire at a NIC, in a file of the directory, until end_capture(), or the next."""
        if self.is_capturing:  # a case that failed has left it
            self.end_capture()
        self.is_capturing = True
        self.monitor.do("object-add", **{"qom-type": "filter-dump", "id": "dump", "netdev": f"n{nic}",
                                         "file": str(self.directory / name)})

    def end_capture(self):
        self.is_capturing = False
        self.monitor.do("object-del", id="dump")

    def check(self, name, vlan):
        return wire.check(self.directory / name, vlan)

    def compare(self, one, other, exact):
        return wire.compare(self.directory / one, self.directory / other, exact)


class Monitor:
    """QEMU's own, by its protocol QMP."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        end = time.monotonic() + 20
        while self.socket.connect_ex(str(path)) != 0:
            demand(time.monotonic() < end, "QEMU's monitor does not listen")
            time.sleep(0.02)
        self.lines = Lines(lambda: self.socket.recv(65536), self.socket.send)
        self.lines.receive()  # its greeting
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        self.lines.send({"execute": command, "arguments": arguments})
        while True:
            answer = self.lines.receive()
            demand(answer is not None, f"QEMU's monitor ended at {command}")
            if "error" in answer:
                raise Failure(f"{command} {json.dumps(arguments)}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]
