"""The body of a webhook: read and inflated within one limit."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from aiohttp import web

from alertbridge.errors import MalformedBody
from alertbridge.receive.refusal import Refused

_GZIP = 31  # zlib's wbits for a gzip header, and only that
_MOST_MEMBERS = 64  # each further member copies the rest of the body once more
_ENCODING_SHOWN = 40  # characters


async def read_body(request: web.Request, *, limit: int, grow: Callable[[int], None]) -> bytes:
    """The body as it was sent, which a signature is computed from; `grow` gets the size of each piece as it comes.

    The server must leave `Content-Encoding` alone (`auto_decompress=False`).

    Raises:
        Refused: it is longer than `limit` bytes (413), at once where `Content-Length` says so; or it broke off (400).
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        while not request.content.at_eof():
            chunk = await request.content.readany()
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            grow(len(chunk))
            chunks.append(chunk)
    except (ConnectionError, web.RequestPayloadError) as error:
        raise Refused(400, "Incomplete body", "the body broke off before its end") from error
    return b"".join(chunks)


def decode_body(sent: bytes, *, encoding: str, limit: int) -> bytes:
    """The body without its `Content-Encoding`.

    Raises:
        Refused: `encoding` is neither gzip nor identity (415), or more than `limit` bytes came out (413).
        MalformedBody: it is not gzip, is cut off, or is followed by something else.
    """
    coding = encoding.strip().lower()
    if coding in ("", "identity"):
        return sent
    if coding in ("gzip", "x-gzip"):
        return _inflated(sent, limit)
    raise Refused(
        415,
        "Unsupported content encoding",
        f'a body in Content-Encoding "{encoding[:_ENCODING_SHOWN]}" cannot be read; send it as gzip or as it is',
        {"Accept-Encoding": "gzip, identity"},
    )


def _inflated(sent: bytes, limit: int) -> bytes:
    """All gzip members one after the other; never holds more than one byte beyond `limit`."""
    inflated = b""
    for _ in range(_MOST_MEMBERS):
        member = zlib.decompressobj(wbits=_GZIP)
        try:
            inflated += member.decompress(sent, limit + 1 - len(inflated))
        except zlib.error as error:
            raise MalformedBody(
                "", f"the body is not gzip, though its Content-Encoding says so: {error}"
            ) from error
        if len(inflated) > limit:
            raise _too_large(limit)
        if not member.eof:
            raise MalformedBody("", "the gzip body breaks off before its end")
        sent = member.unused_data
        if not sent:
            return inflated
    raise MalformedBody("", f"the gzip body has more than {_MOST_MEMBERS} members")


def _too_large(limit: int) -> Refused:
    remedy = "raise `server.max_body` here, or let Alertmanager group more narrowly (`group_by`)"
    return Refused(413, "Body too large", f"a body may have {limit} bytes, also after inflation; {remedy}")
