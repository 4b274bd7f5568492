"""A server on 127.0.0.1 that does with each connection what it is told, below HTTP too."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from typing_extensions import override

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BACKLOG = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that arrived whole. `taken` says that it is acted upon, whatever is answered."""

    head: bytes
    body: bytes
    taken: bool
    connection: int

    @property
    def message(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.body)
        return said

    @property
    def said(self) -> tuple[str, str]:
        """Key and action of a message to Elven."""
        return self.message["external_aggregate_key"], self.message["action"]


class Line:
    """One connection, seen from the server."""

    def __init__(
        self, server: Hostile, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer
        self._server = server

    async def request(self, *, taken: bool = False) -> Asked:
        """Read one request, and keep it with the server. Raises IncompleteReadError where none comes."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        asked = Asked(head, body, taken, self.number)
        self._server.asked.append(asked)
        return asked

    async def say(self, data: bytes) -> None:
        """Send, and wait until the other side takes it."""
        self.writer.write(data)
        self._server.said_bytes += len(data)
        await self.writer.drain()

    async def wait(self) -> None:
        """Return when the server relents."""
        await self._server.relented.wait()

    def finish(self) -> None:
        """Send a FIN, and go on reading."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Break the connection with an RST."""
        transport = self.writer.transport
        plain = transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


Behaviour = Callable[[Line], Awaitable[None]]


def answered(answer: bytes, *, taken: bool) -> Behaviour:
    """Reads requests, and answers each with these bytes, on one connection if the client likes."""

    async def behave(line: Line) -> None:
        while True:
            await line.request(taken=taken)
            await line.say(answer)

    return behave


well = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", taken=True)


class Hostile:
    """Keeps what was asked. `relent` makes it a server like any other, on the same port."""

    def __init__(
        self,
        behave: Behaviour = well,
        *,
        tls: ssl.SSLContext | None = None,
        relenting: Behaviour = well,
        relenting_tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self.said_bytes = 0
        self.relented = asyncio.Event()
        self.port = 0
        self._behave = behave
        self._tls = tls
        self._relenting = relenting, relenting_tls
        self._host = host
        self._holder: socket.socket | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        if self._holder is not None:
            self._holder.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls or self._relenting[1] else 'http'}://127.0.0.1:{self.port}"

    @property
    def taken(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.taken]

    def bind(self) -> socket.socket:
        """One more socket on this server's port, which is this server's to the end."""
        if self._holder is None:
            self._holder = self._bound()
            self.port = self._holder.getsockname()[1]
        return self._bound()

    def _bound(self) -> socket.socket:
        bound = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((self._host, self.port))
        return bound

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(
            partial(self._connected, self._behave), sock=self.bind(), ssl=self._tls, backlog=_BACKLOG
        )

    async def close(self) -> None:
        """Listen no more, and break every connection."""
        if self._server is not None:
            self._server.close()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def relent(self) -> None:
        """From now on all is well; what hangs is let go."""
        self.relented.set()
        await self.close()
        self._behave, tls = self._relenting
        self._tls = tls
        await self.open()

    def _connected(
        self, behave: Behaviour, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if behave is not self._behave:  # accepted at the last moment before this server relented
            writer.transport.abort()
            return
        self.connections += 1
        line = Line(self, self.connections, reader, writer)
        task = asyncio.get_running_loop().create_task(self._serve(line))
        self._lines.add(task)
        task.add_done_callback(self._lines.discard)

    async def _serve(self, line: Line) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._behave(line)
        finally:
            line.writer.close()


class Deaf(Hostile):
    """Listens, and never accepts: its queue of connections is full, until it relents."""

    @override
    async def open(self) -> None:
        if self.relented.is_set():
            await super().open()
            return
        self._listening = self.bind()
        self._listening.listen(0)
        self._fillers: list[socket.socket] = []
        for _ in range(4):
            filler = socket.socket(self._listening.family)
            filler.settimeout(0)
            with suppress(BlockingIOError):
                filler.connect(self._listening.getsockname())
            self._fillers.append(filler)

    @override
    async def close(self) -> None:
        for one in (*self._fillers, self._listening):
            one.close()
        await super().close()


class Absent(Hostile):
    """Has a port and does not listen on it, until it relents."""

    @override
    async def open(self) -> None:
        if self.relented.is_set():
            await super().open()
        else:
            self.bind().close()


class Flapping(Hostile):
    """Comes and goes, many times a second, until it relents."""

    @override
    async def open(self) -> None:
        await super().open()
        if not self.relented.is_set():
            self._flaps = asyncio.get_running_loop().create_task(self._flap())

    @override
    async def relent(self) -> None:
        self._flaps.cancel()
        await asyncio.gather(self._flaps, return_exceptions=True)
        await super().relent()

    async def _flap(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            await Hostile.close(self)
            await asyncio.sleep(0.15)
            await Hostile.open(self)
