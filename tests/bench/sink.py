"""A mail server that takes everything and keeps nothing, as light as one can be: it shares the cores with the workers.

`python -m tests.bench.sink PORT`; at the end (SIGTERM) it says as JSON how many messages came, with how many different
Message-IDs, over how many connections.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys

MESSAGE_ID = re.compile(rb"^Message-ID:\s*(<[^>]+>)", re.IGNORECASE | re.MULTILINE)
ids: list[bytes] = []
connections = 0


class Sink(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        global connections  # noqa: PLW0603 (one server a process)
        connections += 1
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer, self.takes_data = transport, bytearray(), False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n.\r\n" if self.takes_data else b"\r\n")) >= 0:
            content = bytes(self.buffer[:end])
            del self.buffer[: end + (5 if self.takes_data else 2)]
            if self.takes_data:
                found = MESSAGE_ID.search(content)
                ids.append(found[1] if found else b"")
                self.takes_data = False
                self.transport.write(b"250 taken\r\n")
            else:
                self.answer(content[:4].upper())

    def answer(self, command: bytes) -> None:
        self.takes_data = command == b"DATA"
        if command == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"354 go on\r\n" if self.takes_data else b"250 fine\r\n")


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Sink, "127.0.0.1", port)
    async with server:
        print("listening", flush=True)
        await stop.wait()
    print(json.dumps({"messages": len(ids), "ids": len(set(ids)), "connections": connections}), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
