# SPDX-License-Identifier: BSD-3-Clause
"""HTTP as others speak it: the server under ab, curl and bare requests; the client against servers that answer in every
way that RFC 9112 allows, and in some that it does not."""
import re
import shutil
import socket
import struct
import subprocess
import threading

from cases_load import BadServer, Load, demand_clean
from registry import case
from system import Skip, demand, sh
from world import KERNEL, MILLRACE


class HttpServer:
    """millrace-load as a server of HTTP on port 80."""

    def __init__(self, world, code=0):
        self.load, self.code = Load(world, "server", "--protocol", "http", "--port", 80), code

    def __enter__(self):
        self.load.__enter__()
        self.load.wait_for("listening on")
        return self

    def __exit__(self, *arguments):
        self.load.__exit__(*arguments)

    def ended(self):
        self.load.interrupt()
        return self.load.ended(self.code)


def tool(name):
    if shutil.which(name) is None:
        raise Skip(f"there is no {name} here: config/setup.sh --tests")


def curl(*words):
    done = subprocess.run(["curl", "-sS", "--max-time", "20", *words], capture_output=True, check=False)
    demand(done.returncode == 0, f"curl {words}: {done.stderr}")
    return done.stdout.decode()


BASE = f"http://{MILLRACE}"


@case("the http server under ab, with and without keep-alive")
def server_ab(world):
    tool("ab")
    with HttpServer(world) as server:
        for words in ((), ("-k",), ("-k", "-i")):
            said = sh("ab", "-q", "-n", 300, "-c", 4, *words, f"{BASE}/bytes/1000", seconds=60)
            found = dict(re.findall(r"^([A-Z][\w -]+): +(\d+)", said, re.M))
            demand(found["Complete requests"] == "300" and found["Failed requests"] == "0", f"ab {words}: {said}")
            demand("Non-2xx responses" not in found, said)
            demand("-k" not in words or found["Keep-Alive requests"] == "300", f"ab {words}: {said}")
        result = server.ended()
        demand(900 <= result["requests"] <= 912, f"{result['requests']} requests, not 900")  # ab begins some too many
        demand_clean(result)


@case("the http server under curl: an upgrade to HTTP/2 is passed over, a proxy's targets are taken")
def server_curl_forms(world):
    with HttpServer(world) as server:
        said = curl("--http2", "-i", BASE + "/bytes/20")
        demand(said.startswith("HTTP/1.1 200 OK") and said.endswith("\r\n\r\n !\"#$%&'()*+,-./0123"), said)
        demand(len(curl("--http2", "--data", "a=b", BASE + "/bytes/21")) == 21, "a POST with an upgrade")
        demand(len(curl("--http2", BASE + "/bytes/10", BASE + "/bytes/12")) == 22, "two with an upgrade")
        demand(len(curl("-x", BASE + ":80", "http://elsewhere.example/bytes/23?a=b")) == 23, "by a proxy")
        demand(curl("-x", BASE + ":80", "-o", "/dev/null", "-w", "%{http_code}", "http://elsewhere.example") == "404", "no path")
        demand(len(curl("-0", "-H", "Connection: keep-alive", BASE + "/bytes/5", BASE + "/bytes/6")) == 11, "HTTP/1.0, kept")
        said = curl("-0", "-i", "-H", "Connection: keep-alive", BASE + "/bytes/5")
        demand("Connection: keep-alive" in said, f"HTTP/1.0 is not told that it is kept: {said}")
        said = curl("-i", "-X", "DELETE", BASE + "/bytes/5")
        demand("405 Method Not Allowed" in said and "Allow: GET, HEAD, POST, PUT" in said, said)
        result = server.ended()
        demand(result["requests"] == 10, f"{result['requests']} requests, not 10")
        demand_clean(result)


@case("the http server under curl: Expect: 100-continue is answered")
def server_expect(world):
    body = world.directory / "body"
    body.write_bytes(b"x" * 2_000_000)
    with HttpServer(world) as server:
        # curl asks by itself from a megabyte on. It waits for 30 s here, and 20 s is its limit.
        words = ("-v", "--expect100-timeout", "30", "--data-binary", f"@{body}", BASE + "/bytes/7")
        done = subprocess.run(["curl", "-sS", "--max-time", "20", *words], capture_output=True, text=True, check=False)
        demand(done.returncode == 0 and len(done.stdout) == 7, f"curl {words}: {done.stderr[-500:]}")
        demand("< HTTP/1.1 100 Continue" in done.stderr, f"no 100: {done.stderr[-500:]}")
        demand_clean(server.ended())


def exchange(text, shut=False):
    """All that the server answers until it closes."""
    with socket.create_connection((MILLRACE, 80), timeout=20) as peer:
        peer.sendall(text.encode())
        if shut:
            peer.shutdown(socket.SHUT_WR)
        answer = b""
        while data := peer.recv(65536):
            answer += data
        return answer.decode()


@case("the http server refuses with 400 what has no Host, or two")
def server_refuses(world):
    with HttpServer(world, code=1) as server:
        bad = (("GET /bytes/5 HTTP/1.1\r\n\r\n", 400), ("GET /bytes/5 HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
               ("GET /bytes/5 HTTP/1.1\r\nHost: a b\r\n\r\n", 400), ("GET bytes HTTP/1.1\r\nHost: a\r\n\r\n", 400),
               ("\x16\x03\x01 no HTTP at all", 400), ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
               ("GET /" + 9000 * "a" + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
               # What follows is not read as another request, and its bytes do not cost the answer.
               ("POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + 100_000 * "x", 400))
        for text, status in bad:
            answer = exchange(text)
            demand(answer.startswith(f"HTTP/1.1 {status} ") and answer.count("HTTP/1.1") == 1
                   and "\r\nConnection: close\r\n" in answer, f"{text[:60]!r}: {answer!r}")
        # What came before it is answered, too.
        answer = exchange("GET /bytes/5 HTTP/1.1\r\nHost: a\r\n\r\nGET /bytes/5 HTTP/1.1\r\n\r\n")
        demand(answer.count("200 OK") == 1 and answer.count("HTTP/1.1 400 ") == 1, repr(answer))
        # HTTP/1.0 has no Host; half a connection is enough for an answer.
        answer = exchange("GET /bytes/5 HTTP/1.0\r\n\r\n", shut=True)
        demand(answer.startswith("HTTP/1.1 200 OK"), repr(answer))
        result = server.ended()
        wrong = {kind: count for kind, count in result["errors"].items() if count}
        demand(wrong == {"protocol": len(bad) + 1}, f"errors: {wrong}")


# --- the client ---


class Answers:
    """Gives each connection's requests these answers in turn, the last of them for ever; then does `after`."""

    def __init__(self, *answers, after=None, limit=None):
        self.answers = [a.encode() if isinstance(a, str) else a for a in answers]
        self.after, self.limit, self.seen = after, limit, []

    def __call__(self, peer):
        threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        text, count = b"", 0
        with peer:
            try:
                while self.limit is None or count < self.limit:
                    while b"\r\n\r\n" not in text:
                        data = peer.recv(65536)
                        if not data:
                            return
                        text += data
                    head, text = text.split(b"\r\n\r\n", 1)
                    self.seen.append(head.decode())
                    peer.sendall(self.answers[min(count, len(self.answers) - 1)])
                    count += 1
                if self.after is not None:
                    self.after(peer)
            except ConnectionError:
                pass


def ask(world, answers, *flags, code=0, requests=20, connections=2):
    with BadServer(answers), Load(world, "client", "--workload", "http", "--url", f"http://{KERNEL}:9000/x", "--connections",
                                  connections, "--requests", requests, "--connect-timeout", 20, *flags) as load:
        return load.ended(code), load.output


OK = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@case("http: responses without a body have none, whatever their headers say")
def client_no_body(world):
    for status, flags in (("304 Not Modified", ()), ("204 No Content", ()), ("200 OK", ("--method", "HEAD"))):
        for lines, pipeline in (("Content-Length: 500\r\n", 1), ("Content-Length: 500\r\n", 4),
                                ("Transfer-Encoding: chunked\r\n", 4)):
            bare = f"HTTP/1.1 {status}\r\n{lines}\r\n"
            result, _ = ask(world, Answers(bare, bare if flags else OK, bare), *flags, "--pipeline", pipeline)
            demand_clean(result)
            demand(result["requests"] == 20 and result["connections"] == 2, f"{status}, {lines!r}: {result['requests']}")
    early = "HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 9\r\n\r\n"
    result, _ = ask(world, Answers("HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + early + OK))
    demand_clean(result)
    demand(result["http"]["statuses"] == {"200": 20}, f"{result['http']}")


@case("http: a body without a length ends with its connection, behind a pipeline as well")
def client_to_the_end(world):
    endless = "HTTP/1.1 200 OK\r\n\r\nhello"
    def close(peer):
        peer.shutdown(socket.SHUT_WR)  # first: with text unread a close is an RST
        while peer.recv(65536):
            pass

    for pipeline, rate in ((1, ()), (4, ()), (4, ("--rate", "200"))):
        answers = Answers(OK, endless, after=close, limit=2)
        result, _ = ask(world, answers, "--pipeline", pipeline, "--response-size", 5, *rate)
        demand_clean(result)
        demand(result["requests"] == 20, f"{result['requests']} requests, not 20")
        # Two a connection; what was asked behind the last one was asked again elsewhere.
        demand(10 <= result["connections"] <= 12, f"{result['connections']} connections")


@case("http: an error status costs no connection, and is told")
def client_statuses(world):
    refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
    result, output = ask(world, Answers(OK, refusal))
    demand_clean(result)
    demand(result["http"]["statuses"] == {"200": 2, "503": 18} and result["connections"] == 2, f"{result['http']}")
    demand(set(result["http"]["latency_us"]) == {"2xx", "5xx"}, f"{result['http']}")
    demand("WARNING   18 of 20 responses are 4xx or 5xx" in output, output[-500:])
    result, output = ask(world, Answers(OK, refusal), "--expect-status", "200", code=1)
    demand(result["errors"]["status"] == 18 and result["connections"] == 2, f"{result['errors']}")
    demand("18 of another status" in output, output[-500:])


def with_reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@case("http: what comes behind a complete response is counted by name")
def client_surplus(world):
    def behind(result, output, kind, count, text):
        found = result["http"]["behind_responses"]
        demand(found == {"bytes": 0, "empty_lines": 0, "resets": 0, kind: count}, f"{found}: {output[-300:]}")
        demand(text in output, output[-500:])

    result, output = ask(world, Answers(OK + "\r\n"))
    demand_clean(result)
    behind(result, output, "empty_lines", 20, "20 empty lines")
    demand(result["connections"] == 2, f"{result['connections']} connections, not 2")
    result, output = ask(world, Answers(OK + OK), code=1, requests=5)
    behind(result, output, "bytes", result["errors"]["protocol"], "bytes behind a complete response")
    demand(4 <= result["errors"]["protocol"] <= 5, f"{result['errors']}")  # the last may come when all is over
    # One response a connection, then an RST, with nobody asking: the requests come slowly.
    result, output = ask(world, Answers(OK, after=with_reset, limit=1), "--rate", 20, code=1, requests=10,
                         connections=10)
    demand(result["requests"] == 10 and result["errors"]["reset"] >= 8, f"{result['requests']}, {result['errors']}")
    behind(result, output, "resets", result["errors"]["reset"], "reset;")


@case("http: a user's header lines take the place of ours")
def client_headers(world):
    answers = Answers(OK)
    result, _ = ask(world, answers, "--header", "hOST: example.org", "--header", "user-agent: me", "--header", "A: b")
    demand_clean(result)
    demand(set(answers.seen) == {"GET /x HTTP/1.1\r\nhOST: example.org\r\nuser-agent: me\r\nA: b"}, f"{answers.seen[0]}")
