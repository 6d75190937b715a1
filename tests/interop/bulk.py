# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's side of millrace-bulk: streams of a text that both know, each way, each as long as the case wants."""
import errno
import os
import random
import re
import select
import socket
import struct
import time

from system import Failure, demand, until

CHUNK = 256 * 1024
PERIOD = 1048583  # a prime: what is out of place by any number of segments looks wrong
_text = b""


def stream_text():
    global _text
    _text = _text or random.Random(7).randbytes(PERIOD)
    return _text


def part_of_text(at, size):
    at %= PERIOD
    return (stream_text() * (2 + size // PERIOD))[at:at + size] if at + size > PERIOD else stream_text()[at:at + size]


def order(send=0, hold_ms=0, connect_port=0, end_first=False):
    return struct.pack("<QIHBB", send, hold_ms, connect_port, end_first, 0)


class Stream:
    """One connection. `end_first`: Millrace sends its FIN behind its last byte, else after ours."""

    def __init__(self, address, port, send=0, get=0, hold_ms=0, connect_port=0, end_first=False, sock=None,
                 end=True, receive_buffer=0, congestion=""):
        self.send_size, self.get_size, self.end = send, get, end
        self.sent = self.got = 0
        self.shut = self.closed = False
        self.took = 0  # seconds until all had come
        self.order = b"" if sock else order(get, hold_ms, connect_port, end_first)
        self.socket = sock or socket.socket()
        self.socket.setblocking(False)
        if sock:
            return
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if congestion:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        result = self.socket.connect_ex((address, port))
        demand(result in (0, errno.EINPROGRESS), f"connect: {os.strerror(result)}")

    def fileno(self):
        return self.socket.fileno()

    @property
    def done(self):
        """All is sent and received, and both have ended, if they were to."""
        return self.sent == self.send_size and not self.order and self.got == self.get_size and (
            not self.end or (self.shut and self.closed))

    def write(self):
        if self.order:
            self.order = self.order[self.socket.send(self.order):]
        elif self.sent < self.send_size:
            self.sent += self.socket.send(part_of_text(self.sent, min(CHUNK, self.send_size - self.sent)))
        if self.sent == self.send_size and not self.order and self.end and not self.shut:
            self.socket.shutdown(socket.SHUT_WR)
            self.shut = True

    def read(self):
        data = self.socket.recv(CHUNK)
        if not data:
            self.closed = True
            demand(self.got == self.get_size, f"end of stream after {self.got} of {self.get_size} bytes")
            return
        expected = part_of_text(self.got, len(data))
        if data != expected:
            first = next(i for i, byte in enumerate(data) if byte != expected[i])
            raise Failure(f"another byte at {self.got + first}")
        self.got += len(data)
        demand(self.got <= self.get_size, f"{self.got} bytes came, where {self.get_size} were ordered")

    def wants(self):
        unsent = self.order or self.sent < self.send_size or (self.end and not self.shut)
        return (select.POLLOUT if unsent else 0) | (0 if self.closed else select.POLLIN)

    def told(self):
        return f"{self.sent} of {self.send_size} sent, {self.got} of {self.get_size} received"


def run(streams, seconds):
    """Until all are done. Gives the seconds that it took."""
    begin = time.monotonic()
    poll = select.poll()
    for stream in streams:
        poll.register(stream, stream.wants())
    left = {stream.fileno(): stream for stream in streams}
    while left:
        now = time.monotonic()
        if now > begin + seconds:
            raise Failure(f"not done after {seconds} s: {'; '.join(s.told() for s in left.values())}")
        for number, events in poll.poll(1000 * min(1, begin + seconds - now) + 1):
            stream = left[number]
            try:
                if events & ~select.POLLOUT:
                    stream.read()
                if stream.got == stream.get_size and not stream.took:
                    stream.took = time.monotonic() - begin
                if events & select.POLLOUT:
                    stream.write()
            except BlockingIOError:
                pass
            except OSError as error:
                raise Failure(f"{error.strerror}: {stream.told()}") from None
            if stream.done:
                poll.unregister(number)
                del left[number]
            else:
                poll.modify(number, stream.wants())
    return time.monotonic() - begin


def demand_ends(program, count, sent, received, seconds=5, of_all=True):
    """What Millrace says of its connections: so many (and, if of_all, no others) have ended in order, with just these
    bytes."""
    line = f"connection finished: sent {sent}, received {received}, exact"
    until(f"{count} times '{line}'", seconds, lambda: program.read().count(line + "\n") >= count)
    lines = re.findall(r"^connection .*$", program.read(), re.M)
    demand(lines.count(line) == count and (not of_all or len(lines) == count), f"Millrace says: {lines}")
