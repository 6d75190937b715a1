# SPDX-License-Identifier: BSD-3-Clause
"""Kernel sockets that talk to an echo server and compare every byte."""
import errno
import os
import select
import socket
import time

from system import Failure, demand
from world import MILLRACE, PORT

CHUNK = 256 * 1024
POOL = 16 << 20
pool = b""


def random_bytes(size):
    """One pool for all clients, each from a place of its own: a byte of another client's would be noticed."""
    global pool
    if len(pool) < POOL + size:
        pool = os.urandom(POOL + size)
    return pool


def connect(address=MILLRACE, port=PORT, seconds=5):
    return socket.create_connection((address, port), timeout=seconds)


def receive(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        demand(more, f"end of stream after {len(data)} of {size} bytes")
        data += more
    return data


def receive_to_end(sock):
    data = b""
    while more := sock.recv(CHUNK):
        data += more
    return data


def round_trip(sock, data=b"a line of text\n"):
    sock.sendall(data)
    got = receive(sock, len(data))
    demand(got == data, f"sent {data[:40]!r}, got {got[:40]!r}")


def one_round_trip(address=MILLRACE, seconds=5):
    with connect(address, seconds=seconds) as sock:
        round_trip(sock)


class Stream:
    """One client: sends its bytes, ends its side, and reads until the other side ends too."""

    def __init__(self, number, size, address, receive_buffer, congestion):
        self.number, self.size = number, size
        self.start = (number * 104729 * 8) % POOL
        self.sent = self.got = 0
        self.shut = self.done = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if congestion:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        result = self.socket.connect_ex((address, PORT))
        demand(result in (0, errno.EINPROGRESS), f"client {number}: connect: {os.strerror(result)}")

    def wanted(self):
        return select.EPOLLIN if self.shut else select.EPOLLIN | select.EPOLLOUT

    def write(self):
        if self.sent < self.size:
            at = self.start + self.sent
            self.sent += self.socket.send(memoryview(pool)[at:at + min(CHUNK, self.size - self.sent)])
        if self.sent == self.size:
            self.socket.shutdown(socket.SHUT_WR)
            self.shut = True

    def read(self):
        data = self.socket.recv(CHUNK)
        if not data:
            demand(self.got == self.size, f"client {self.number}: end of stream after {self.got} of {self.size} bytes"
                                          f" ({self.sent} sent)")
            self.done = True
            return
        at = self.start + self.got
        if data != pool[at:at + len(data)]:
            first = next((i for i in range(len(data)) if data[i] != pool[at + i]), len(data))
            raise Failure(f"client {self.number}: another byte at {self.got + first}")
        self.got += len(data)
        demand(self.got <= self.sent, f"client {self.number}: more came back than was sent")


def exchange(count, size, seconds, address=MILLRACE, receive_buffer=0, congestion=""):
    """So many clients at a time send so many bytes each, and get the same bytes back."""
    random_bytes(size)
    end = time.monotonic() + seconds
    poll = select.epoll()
    streams = {}
    try:
        for number in range(count):
            stream = Stream(number, size, address, receive_buffer, congestion)
            streams[stream.socket.fileno()] = stream
            poll.register(stream.socket, stream.wanted())
        left = count
        while left:
            now = time.monotonic()
            if now > end:
                done = sum(s.got for s in streams.values())
                slow = next(s for s in streams.values() if not s.done)
                raise Failure(f"{left} of {count} clients not done after {seconds} s, {done} of {count * size} bytes"
                              f" came back; client {slow.number} (port {slow.socket.getsockname()[1]}) sent {slow.sent}"
                              f" and got {slow.got}")
            for number, events in poll.poll(min(1, end - now)):
                stream = streams[number]
                try:
                    if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                        stream.read()
                    if events & select.EPOLLOUT and not stream.shut:
                        stream.write()
                        if stream.shut:
                            poll.modify(number, stream.wanted())
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise Failure(f"client {stream.number}: {error.strerror} after {stream.sent} bytes sent and"
                                  f" {stream.got} received") from None
                if stream.done:
                    poll.unregister(number)
                    left -= 1
    finally:
        poll.close()
        for stream in streams.values():
            stream.socket.close()
