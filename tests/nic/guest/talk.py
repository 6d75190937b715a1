# SPDX-License-Identifier: BSD-3-Clause
"""Lines of JSON between the guest and the host, over a serial port of the guest's."""
import json


class Lines:
    """`read` and `write` take and give bytes; read() gives b"" at the end."""

    def __init__(self, read, write):
        self.read, self.write, self.rest = read, write, b""

    def send(self, message):
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[self.write(data):]

    def receive(self):
        """None at the end."""
        while b"\n" not in self.rest:
            data = self.read()
            if not data:
                return None
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)
