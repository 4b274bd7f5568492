"""What a hostile server can do to a connection."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from functools import cache

from tests.support.hostile import Behaviour, Line

OK = b"HTTP/1.1 200 OK\r\n"
_BLOCK = b"x" * 65_536


def status(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A whole answer, such as `status("503 Unavailable", "Retry-After: 1")`."""
    head = "".join(f"{one}\r\n" for one in (f"HTTP/1.1 {line}", *headers, f"Content-Length: {len(body)}"))
    return f"{head}\r\n".encode() + body


async def hang_up_at_once(line: Line) -> None:
    """Close before anything is read."""


async def reset_at_once(line: Line) -> None:
    line.reset()


async def reset_after_request(line: Line) -> None:
    await line.request(taken=True)
    line.reset()


async def finish_after_request(line: Line) -> None:
    await line.request(taken=True)
    line.finish()
    await line.reader.read()


async def finish_and_read_on(line: Line) -> None:
    line.finish()
    await line.request(taken=True)
    await line.reader.read()


async def hang(line: Line) -> None:
    await line.request(taken=True)
    await line.wait()


async def hang_unread(line: Line) -> None:
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await line.wait()


async def answer_first(line: Line) -> None:
    """Answer at the first byte, and only then read the rest."""
    await line.reader.readexactly(1)
    await line.say(OK + b"Content-Length: 0\r\n\r\n")
    await line.request(taken=True)
    await line.wait()


def dripping(answer: bytes, *, every: float, taken: bool = True) -> Behaviour:
    """Answers byte by byte."""

    async def behave(line: Line) -> None:
        await line.request(taken=taken)
        for number in range(len(answer)):
            await line.say(answer[number : number + 1])
            await asyncio.sleep(every)
        await line.wait()

    return behave


def slow_body(answer: bytes, *, every: float, taken: bool = True) -> Behaviour:
    """Answers with the head at once, and with the body byte by byte."""
    head, gap, body = answer.partition(b"\r\n\r\n")

    async def behave(line: Line) -> None:
        await line.request(taken=taken)
        await line.say(head + gap)
        for number in range(len(body)):
            await asyncio.sleep(every)
            await line.say(body[number : number + 1])

    return behave


def one_request_only(answer: bytes) -> Behaviour:
    """Lets the client keep the connection, and closes it a moment later."""

    async def behave(line: Line) -> None:
        await line.request(taken=True)
        await line.say(answer)
        await asyncio.sleep(0.005)

    return behave


def cut(answer: bytes, *, taken: bool = True, reset: bool = False) -> Behaviour:
    """Answers, and breaks off where the answer says that more is to come."""

    async def behave(line: Line) -> None:
        await line.request(taken=taken)
        await line.say(answer)
        if reset:
            await asyncio.sleep(0.1)  # an RST throws away what was not read yet
            line.reset()

    return behave


def endless(beginning: bytes, block: bytes = _BLOCK, *, taken: bool = True, every: float = 0) -> Behaviour:
    """Never stops; as fast as it is taken, unless said."""

    async def behave(line: Line) -> None:
        await line.request(taken=taken)
        await line.say(beginning)
        while True:
            await line.say(block)
            await asyncio.sleep(every)

    return behave


def afterwards(answer: bytes, more: bytes, *, after: float) -> Behaviour:
    """Answers, and says more on the same connection when nobody has asked."""

    async def behave(line: Line) -> None:
        while True:
            await line.request(taken=True)
            await line.say(answer)
            await asyncio.sleep(after)
            await line.say(more)

    return behave


async def babble(line: Line) -> None:
    """Say what is no protocol at all, whatever is asked."""
    await line.say(bytes(range(256)) * 4)
    await line.reader.read(65_536)


async def echo(line: Line) -> None:
    """Refuse, and repeat all that was asked, with the secret in it."""
    asked = await line.request()
    await line.say(status("400 Bad Request", f"X-Echo: {asked.head.split()[1].decode()}", body=asked.head))


@cache
def bomb(encoding: str) -> bytes:
    """A quarter of a megabyte that inflates to 256 MiB."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    block = bytes(1 << 24)
    return b"".join([*(packer.compress(block) for _ in range(16)), packer.flush()])


def packed(line: str, encoding: str, *, taken: bool) -> Behaviour:
    """Answers with a bomb."""

    async def behave(connection: Line) -> None:
        await connection.request(taken=taken)
        await connection.say(status(line, f"Content-Encoding: {encoding}", body=bomb(encoding)))

    return behave


def gateway(port: int) -> Behaviour:
    """A proxy that does its duty: CONNECT to wherever, and it is this port on 127.0.0.1."""

    async def behave(line: Line) -> None:
        await line.request()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await line.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_pipe(line.reader, writer), _pipe(reader, line.writer))
        finally:
            writer.close()

    return behave


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof() and not isinstance(writer.get_extra_info("ssl_object"), ssl.SSLObject):
        writer.write_eof()
