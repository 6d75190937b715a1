# SPDX-License-Identifier: BSD-3-Clause
"""What was on the wire, from captures of QEMU's: every checksum computed anew, and two runs of the same work compared.

Read from outside, so that it is what a NIC has made of a frame, and not what Millrace has handed to it.
"""
import struct
from dataclasses import dataclass

from system import demand

SYN, FIN = 2, 1


def frames(path):
    with open(path, "rb") as file:
        data = file.read()
    demand(data[:4] == b"\xd4\xc3\xb2\xa1", f"{path} is no capture")
    at = 24
    while at + 16 <= len(data):
        length, original = struct.unpack_from("<II", data, at + 8)
        demand(length == original, "a frame is cut short in the capture")
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def adds_up(data):
    """Of a whole Internet checksum with its own bytes: ones' complement zero."""
    return int.from_bytes(data + b"\0" * (len(data) & 1), "big") % 0xffff == 0


@dataclass
class Segment:
    flow: tuple  # addresses and ports, sender first
    seq: int
    flags: int
    text: bytes
    header: tuple  # what does not depend on time
    vlan: int  # 0: no tag
    size: int  # of the IP packet


def options_of(data):
    """Kinds in their order, with their values but a timestamp's."""
    found = []
    while data and data[0] != 0:
        size = 1 if data[0] == 1 else data[1]
        demand(size and size <= len(data), f"broken TCP options: {data.hex()}")
        found.append((data[0], b"" if data[0] == 8 else data[2:size]))
        data = data[size:]
    return tuple(found)


def parse(frame):
    """A frame's TCP segment, if it has one. Fails if a checksum or a length is wrong."""
    vlan = 0
    if frame[12:14] == b"\x81\x00":
        vlan, frame = int.from_bytes(frame[14:16], "big"), frame[:12] + frame[16:]
    if frame[12:14] != b"\x08\x00":
        return None
    size = 4 * (frame[14] & 15)
    ip = frame[14:14 + size]
    total, = struct.unpack("!H", ip[2:4])
    demand(14 + total <= len(frame), f"an IP packet of {total} bytes in a frame of {len(frame)}")
    demand(adds_up(ip), f"wrong IP checksum: {frame[:54].hex()}")
    if ip[9] != 6:
        return None
    tcp = frame[14 + size:14 + total]
    demand(adds_up(ip[12:20] + struct.pack("!HH", 6, len(tcp)) + tcp), f"wrong TCP checksum: {frame[:66].hex()}")
    source, target, seq, _, offset, flags, _, _, urgent = struct.unpack("!HHIIBBHHH", tcp[:20])
    offset = 4 * (offset >> 4)
    header = ((frame[:12], vlan), ip[:1], ip[1], ip[4:6], ip[6:8], ip[8], offset, urgent, options_of(tcp[20:offset]))
    return Segment((ip[12:16], source, ip[16:20], target), seq, flags, tcp[offset:], header, vlan, total)


def segments(path):
    return [segment for segment in map(parse, frames(path)) if segment is not None]


class Stream:
    """One direction of a connection, in the order of its numbers: what came again counts once."""

    def __init__(self, syn):
        self.first, self.text, self.records = syn.seq, b"", {0: (syn.flags, syn.header, b"")}

    def add(self, segment):
        at = (segment.seq - self.first) & 0xffffffff
        if not segment.text and not segment.flags & FIN:
            return
        end = at - 1 + len(segment.text)
        behind = len(self.text) - (at - 1)
        demand(behind >= 0, f"a hole in the stream of {segment.flow} at {len(self.text)}")
        demand(self.text[at - 1:end] == segment.text[:behind], f"other bytes when sent again, of {segment.flow} at {at}")
        if behind < len(segment.text) or (segment.flags & FIN and end == len(self.text)):
            self.records.setdefault(at, (segment.flags, segment.header, segment.text))
            self.text += segment.text[behind:]


def streams(path):
    """By flow and how many there were of it before."""
    found, current, times = {}, {}, {}
    for segment in segments(path):
        flow = segment.flow
        if segment.flags & SYN and (flow not in current or current[flow].first != segment.seq):
            times[flow] = times.get(flow, 0) + 1
            current[flow] = found[flow, times[flow]] = Stream(segment)
        elif flow in current:
            current[flow].add(segment)
    return found


def check(path, vlan):
    """How many TCP segments there are, all with right checksums and of this VLAN (0: untagged); the longest IP packet."""
    found = segments(path)
    demand(found, "no TCP segment in the capture")
    demand({s.vlan for s in found} == {vlan}, f"segments of the VLANs {sorted({s.vlan for s in found})}, not of {vlan}")
    return len(found), max(s.size for s in found)


def compare(one, other, exact):
    """Two captures of the same seeded work. `exact`: with the same borders, flags and headers of each segment that has
    text, a SYN or a FIN; else with the same bytes of each stream, and the same kinds of headers. What is not compared:
    pure ACKs, and the values of numbers, windows and timestamps. Gives how many streams and bytes there were."""
    ours, theirs = streams(one), streams(other)
    demand(ours and ours.keys() == theirs.keys(), f"other flows: {sorted(set(ours) ^ set(theirs))[:4]}")
    size = 0
    for flow, stream in ours.items():
        twin = theirs[flow]
        demand(stream.text == twin.text, f"other bytes: {flow}, {len(stream.text)} and {len(twin.text)}")
        size += len(stream.text)
        if exact:
            for at in stream.records.keys() | twin.records.keys():
                demand(stream.records.get(at) == twin.records.get(at),
                       f"{flow} at {at}: {str(stream.records.get(at))[:200]} and {str(twin.records.get(at))[:200]}")
        else:
            # What hardware cuts it numbers; nobody may rely on an identification beside DF (RFC 6864).
            kinds = [{record[1][:3] + record[1][4:] for record in s.records.values()} for s in (stream, twin)]
            demand(kinds[0] == kinds[1], f"{flow}: other headers: {kinds[0] ^ kinds[1]}")
    return len(ours), size
