# SPDX-License-Identifier: BSD-3-Clause
"""Processes beside a case, and the one that writes the tap's frames to a file.

tcpdump would do that, too, but it gives up what it has not read yet when the tap goes: of a short case it saw nothing.
Here every frame is in the socket's queue when millrace-echo has ended, and is read before the end.
"""
import errno
import json
import os
import select
import signal
import socket
import struct
import time

from system import demand, die_with_parent

ETH_P_ALL, SOL_PACKET, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE = 3, 263, 23, 33
PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 8, 1 << 4  # of receive_tagged()
CAPTURED = 20000  # frames of a case, unless it says less
LONGEST = 65536


class Beside:
    """A process that runs body(stop) until the descriptor `stop` is readable; what body returns, end() gives."""

    def __init__(self, body):
        stop, self.stop = os.pipe()
        self.answer, answer = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                die_with_parent()
                try:
                    told = [body(stop), ""]
                except Exception as error:  # whatever it is, it is the case's
                    told = [None, f"{type(error).__name__}: {error}"]
                os.write(answer, json.dumps(told).encode())
            finally:
                os._exit(0)
        os.close(stop)
        os.close(answer)

    def end(self, seconds=30):
        try:
            os.write(self.stop, b".")  # not just closed: a process that was forked later has a copy
        except BrokenPipeError:
            pass  # it is done already
        os.close(self.stop)
        if not select.select([self.answer], [], [], seconds)[0]:
            os.kill(self.process, signal.SIGKILL)
        text = os.read(self.answer, 4096)
        os.close(self.answer)
        os.waitpid(self.process, 0)
        demand(text, "a process beside the case died")
        result, why = json.loads(text)
        demand(not why, f"beside the case: {why}")
        return result


def frames_of(interface, outgoing):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    if not outgoing:
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    sock.bind((interface, ETH_P_ALL))
    sock.setblocking(False)
    return sock


def receive_frame(sock):
    """The next frame and the address it came with, or nothing."""
    for _ in range(2):
        try:
            return sock.recvfrom(LONGEST)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # said once when the tap goes; what was seen before is still there
                raise
    return None


def tell_tags(sock):
    """For receive_tagged(): the kernel takes a VLAN's tag off a frame, and says so beside it."""
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)


def receive_tagged(sock):
    """As receive_frame(), the tag put back."""
    try:
        frame, beside, _, address = sock.recvmsg(LONGEST, socket.CMSG_SPACE(20))
    except BlockingIOError:
        return None
    for level, kind, data in beside:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA) and struct.unpack("=I", data[:4])[0] & TP_STATUS_VLAN_VALID:
            frame = frame[:12] + b"\x81\x00" + struct.pack("!H", struct.unpack("=H", data[16:18])[0]) + frame[12:]
    return frame, address


def write_frames(sock, path, keep, most, stop):
    """The first `most` frames for which keep(frame) holds, as a pcap file."""
    written = 0
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, LONGEST, 1))  # 1: Ethernet
        last = False
        while written < most and not last:
            last = stop in select.select([sock, stop], [], [])[0]  # one more look at all that is in the queue
            while written < most and (got := receive_frame(sock)):
                frame = got[0]
                if keep(frame):
                    now = time.time_ns() // 1000
                    file.write(struct.pack("<IIII", now // 10**6, now % 10**6, len(frame), len(frame)) + frame)
                    written += 1
    sock.close()
    select.select([stop], [], [])
    return written


def start_capture(interface, path, only_from=None, most=CAPTURED):
    """Frames are kept from now on; only those from a MAC address, if one is given."""
    source = bytes.fromhex(only_from.replace(":", "")) if only_from else b""
    with frames_of(interface, outgoing=True) as sock:
        return Beside(lambda stop: write_frames(sock, path, lambda frame: frame[6:].startswith(source), most, stop))
