# SPDX-License-Identifier: BSD-3-Clause
"""millrace-load on a tap: its client against servers of this kernel, good and bad; its server under curl and wrk."""
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from registry import case
from system import Running, Skip, demand, die_with_parent, sh, until
from world import KERNEL, MILLRACE, TAP


class Load(Running):
    """A running millrace-load; the kernel's side of its tap gets its address as soon as it is there."""

    name = "millrace-load"

    def __init__(self, world, *words, address=True):
        self.world, self.words, self.address = world, [str(w) for w in words], address
        self.json = world.directory / "load.json"

    def __enter__(self):
        mode, *flags = self.words
        cpus = sorted(os.sched_getaffinity(0))
        self.launch([str(self.world.build / "apps/millrace-load"), mode, "--device", f"net_tap0,iface={TAP}", "--address",
                     f"{MILLRACE}/24", "--lcore", str(cpus[os.getppid() % len(cpus)]), "--json", str(self.json), *flags],
                    preexec_fn=die_with_parent)
        try:
            if self.address:
                self.wait_for("to reach it")
                sh("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def ended(self, code, seconds=60):
        """Its end by itself: the exit code, every buffer back, and what it wrote as JSON."""
        output = self.read_to_end(seconds)
        demand(self.process.returncode == code, f"exit code {self.process.returncode}, not {code}: {output[-700:]}")
        demand(re.search(r"^all \d+ packet buffers are back$", output, re.M), f"buffers missing: {output[-500:]}")
        return json.loads(self.json.read_text()) if self.json.exists() else None


def demand_clean(result):
    wrong = {k: n for k, n in result["errors"].items() if n}
    demand(not wrong, f"errors: {wrong}, {result.get('http')}")


class Nginx:
    def __init__(self, directory, port):
        self.directory, self.port = directory, port

    def __enter__(self):
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        if program is None:
            raise Skip("there is no nginx here: config/setup.sh --tests")
        root = self.directory / "nginx"
        (root / "files").mkdir(parents=True)
        (root / "files/file").write_bytes(b"x" * 1000)
        os.chmod(self.directory, 0o755)
        os.chmod(self.directory.parent, 0o755)
        (root / "conf").write_text(f"""daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;
user root;
events {{ worker_connections 1024; }}
http {{ log_format short '$status'; access_log {root}/access.log short;
  keepalive_requests 500; client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;
  uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{ listen {self.port} backlog=1024; root {root}/files; }} }}
""")
        self.log = root / "access.log"
        self.process = subprocess.Popen([program, "-c", str(root / "conf"), "-p", str(root)], preexec_fn=die_with_parent,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", self.port)) == 0

        until("nginx listens", 20, answers)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def count(self):
        lines = self.log.read_text().split()
        demand(set(lines) <= {"200"}, f"nginx answered {set(lines)}")
        return len(lines)


@case("http against nginx: kept connections, which it ends now and then")
def nginx_kept(world):
    with Nginx(world.directory, 8080) as nginx, Load(
            world, "client", "--workload", "http", "--url", f"http://{KERNEL}:8080/file", "--response-size", 1000,
            "--connections", 4, "--duration", 3, "--connect-timeout", 20) as load:
        result = load.ended(0)
        demand_clean(result)
        demand(result["requests"] > 0, "no request")
        demand(result["http"]["statuses"] == {"200": result["requests"]}, f"{result['http']} of {result['requests']}")
        demand(result["connections"] >= 4 + (result["requests"] - 4 * 500) // 500, "no connection was opened anew")
        nginx.process.terminate()
        nginx.process.wait()  # so that its log is whole
        demand(0 <= nginx.count() - result["requests"] <= 4, f"nginx answered {nginx.count()}, not {result['requests']}")
        demand(result["bytes_received_per_second"] * result["duration_s"] >= 1000 * result["requests"], "bytes missing")


@case("http against nginx: a connection for each request")
def nginx_close(world):
    with Nginx(world.directory, 8080), Load(
            world, "client", "--workload", "http", "--url", f"http://{KERNEL}:8080/file", "--close", "--connections", 4,
            "--requests", 300) as load:
        result = load.ended(0)
        demand_clean(result)
        demand(result["requests"] == 300 and result["connections"] == 300, f"{result['requests']} requests")


@case("the http server under curl")
def server_curl(world):
    files = world.directory / "files"
    (files / "sub").mkdir(parents=True)
    text = os.urandom(300_000)
    (files / "sub/a file.bin").write_bytes(text)
    (files / "index.html").write_text("<p>hello</p>\n")
    with Load(world, "server", "--protocol", "http", "--port", 80, "--directory", files) as load:
        load.wait_for("listening on")
        os.rename(files / "sub/a file.bin", files / "sub/file.bin")  # it was read at the start

        def curl(*words):
            done = subprocess.run(["curl", "-sS", "--max-time", "20", *words], capture_output=True, check=False)
            demand(done.returncode == 0, f"curl {words}: {done.stderr.decode()}")
            return done.stdout

        base = f"http://{MILLRACE}"
        demand(curl(base + "/") == b"<p>hello</p>\n", "another index.html")
        demand(len(curl(base + "/bytes/0")) == 0 and len(curl(base + "/bytes/1234567")) == 1234567, "another length")
        head = curl("-I", base + "/bytes/77").decode()
        demand("200 OK" in head and "Content-Length: 77" in head, head)
        demand("404 Not Found" in curl("-i", base + "/none").decode(), "not 404")
        demand("Connection: close" in curl("-i", "-0", base + "/bytes/5").decode(), "HTTP/1.0 is kept")
        demand(len(curl("-X", "POST", "--data-binary", f"@{files}/sub/file.bin", base + "/bytes/10")) == 10, "POST")
        two = curl(base + "/bytes/10", base + "/bytes/20")  # on one connection
        demand(len(two) == 30, f"{len(two)} bytes of 30")
        load.interrupt()
        result = load.ended(0)
        demand(result["requests"] == 9, f"{result['requests']} requests, not 9")
        demand_clean(result)


@case("the http server under wrk")
def server_wrk(world):
    if shutil.which("wrk") is None:
        raise Skip("there is no wrk here: config/setup.sh --tests")
    with Load(world, "server", "--protocol", "http", "--port", 80) as load:
        load.wait_for("listening on")
        said = sh("wrk", "-t1", "-c8", "-d3", f"http://{MILLRACE}/bytes/1000", seconds=40)
        demand("Socket errors" not in said and "Non-2xx" not in said, said)
        count = int(re.search(r"(\d+) requests in", said)[1])
        load.interrupt()
        result = load.ended(0)
        demand(0 <= result["requests"] - count <= 8, f"{result['requests']} answered, wrk counts {count}")
        # An average is of the time in which something was asked.
        active, rate = result["active_s"], result["requests_per_second"]
        demand(0 < active < result["duration_s"], f"{active} s of {result['duration_s']} were not idle")
        demand(abs(rate * active - result["requests"]) <= 0.001 * result["requests"] + 1, f"{rate} a second of {active} s")
        demand_clean(result)


class BadServer:
    """Does one thing to each connection, in a thread."""

    def __init__(self, what):
        self.what = what
        self.socket = socket.create_server(("0.0.0.0", 9000), backlog=256)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.what(peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


def reset(peer):
    peer.recv(1000)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def close_early(peer):
    peer.recv(1000)
    peer.sendall(b"AB")
    peer.close()


def run_against(world, kind, *flags, to=f"{KERNEL}:9000", connect_timeout=3, duration=2):
    with Load(world, "client", "--to", to, "--connections", 4, "--connect-timeout", connect_timeout,
              "--duration", duration, *flags) as load:
        result = load.ended(1)
        demand(result["errors"][kind] > 0, f"no {kind}: {result['errors']}")
        demand(result["failed"] or kind in ("reset", "protocol"), f"it does not say that it failed: {load.output[-300:]}")
        return result


@case("a target that refuses")
def refused(world):
    for flags in ((), ("--workload", "cps"), ("--workload", "stream")):
        demand(run_against(world, "refused", *flags)["requests"] == 0, "a request")


@case("a target that is silent")
def silent(world):
    sh("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "9000", "-j", "DROP")
    for flags in ((), ("--workload", "cps")):
        result = run_against(world, "timed_out", *flags, duration=3)
        demand(result["errors"]["timed_out"] == 4, f"{result['errors']}")


@case("a target that nobody has")
def unreachable(world):
    run_against(world, "unreachable", to="10.9.0.99:80", connect_timeout=10)


@case("a target that resets")
def resets(world):
    with BadServer(reset):
        run_against(world, "reset")


@case("a target that closes early")
def closes(world):
    with BadServer(close_early):
        run_against(world, "protocol")


def interface(name):
    """What the kernel counted of a tap: received is what Millrace has sent."""
    found = json.loads(sh("ip", "-json", "-statistics", "link", "show", "dev", name))[0]["stats64"]
    for way in ("rx", "tx"):
        wrong = {k: n for k, n in found[way].items() if k in ("errors", "dropped", "over_errors") and n}
        demand(not wrong, f"{name} {way}: {wrong}")
    return found


@case("a stream is as long for the kernel as for us, and so are its frames")
def stream(world):
    received = [0]

    def swallow(peer):
        try:
            while data := peer.recv(1 << 20):
                received[0] += len(data)
        except ConnectionResetError:
            pass  # it did not wait for the end of its last second

    # A tap that outlives the program, with its counters.
    sh("ip", "tuntap", "add", "dev", TAP, "mode", "tap", "multi_queue")
    sh("ip", "address", "add", f"{KERNEL}/24", "dev", TAP)
    with BadServer(swallow), Load(world, "client", "--workload", "stream", "--to", f"{KERNEL}:9000", "--connections", 1,
                                  "--duration", 2, "--connect-timeout", 20, address=False) as load:
        result = load.ended(0)
        ours = result["bytes_sent_per_second"] * result["duration_s"]
        # What was acknowledged is with the kernel; some was still on its way when we counted.
        demand(until("the end of the stream", 10, lambda: received[0] >= ours - 1) or True, "")
        demand(received[0] - ours <= 2_000_000, f"the kernel received {received[0]}, we count {ours}")
        tcp, counted = result["tcp"], interface(TAP)
        demand(tcp["bytes_sent"] >= ours - 1, f"TCP counts {tcp['bytes_sent']}, we {ours}")
        # The report was written when the measuring ended; the close, and what was queued, came after it.
        frames = sum(tcp[n] for n in ("segments_sent", "arp_requests_sent", "arp_replies_sent", "icmp_echo_answered"))
        octets = tcp["bytes_sent"] + frames * (14 + 20 + 32)  # with timestamps
        demand(0 <= counted["rx"]["packets"] - frames <= 2_000, f"the tap received {counted['rx']} from us, we count {frames}")
        demand(-10_000 <= counted["rx"]["bytes"] - octets <= 3_000_000,
               f"the tap received {counted['rx']} from us, we count {octets} bytes")
        nic = result["nic"]["client"]
        demand(0 <= counted["rx"]["packets"] - nic["tx_packets"] <= 2_000, f"the tap received {counted['rx']}, our end of it says {nic}")
        demand(nic["tx_wire_bits_per_second"] > 8 * result["bytes_sent_per_second"] and nic["lost"] == 0, f"{nic}")
        demand(0 <= counted["tx"]["packets"] - tcp["frames_received"] <= 2_000,
               f"the tap gave us {counted['tx']}, we count {tcp['frames_received']}")
        demand_clean(result)


@case("Ctrl-C at any moment gives the summary and every buffer")
def interrupted(world):
    with Nginx(world.directory, 8080):
        for pause in (0, 0.3, 1.2):
            with Load(world, "client", "--workload", "http", "--url", f"http://{KERNEL}:8080/file", "--duration", 60,
                      "--connect-timeout", 20, "--connections", 4) as load:
                until("its moment", 5, lambda end=time.monotonic() + pause: time.monotonic() >= end)
                load.interrupt()
                load.ended(0, 15)
                demand("errors " in load.output, f"no summary: {load.output}")
    # Nobody is there: it is still connecting.
    with Load(world, "client", "--to", "10.9.0.99:80", "--connect-timeout", 60) as load:
        load.wait_for("connecting: 0 of", 10)
        load.interrupt()
        load.ended(0, 15)
