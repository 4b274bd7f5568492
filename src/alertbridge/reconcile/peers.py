"""HTTP, thinly: every peer of a source is asked at once, and each comes to an Answer, whatever it does."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
from aiohttp import hdrs
from yarl import URL

from alertbridge.clock import Clock
from alertbridge.deliver.transport import handed_socket
from alertbridge.model import Secret
from alertbridge.reconcile.answer import Answer, Unknown, understand

_MOST_BYTES = 64 * 1024 * 1024  # of one answer
_OK = 200
_SAID = {
    401: "it answers 401; see `reconcile.auth`",
    403: "it answers 403; see `reconcile.auth`",
    404: "it answers 404; see whether the URL is that of an Alertmanager, without /api/v2",
}


@dataclass(frozen=True, slots=True)
class Access:
    """How the peers are reached. The URLs may hold secrets; a peer is called by its host and port."""

    urls: tuple[Secret, ...]
    timeout: timedelta
    authorization: Secret | None = None
    ca_file: Path | None = None
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", _names([URL(url.reveal(), encoded=True) for url in self.urls]))


class Peers:
    """The client of one source's Alertmanagers. `open` before, `close` after."""

    def __init__(
        self, *, access: Access, grace: timedelta, clock: Clock, most_bytes: int = _MOST_BYTES
    ) -> None:
        self.names = access.names
        self._access = access
        self._grace = grace
        self._clock = clock
        self._most_bytes = most_bytes
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the client; connections are made as they are needed. Raises ssl.SSLError, OSError where `ca_file` is none."""
        access = self._access
        trust = ssl.create_default_context(cafile=access.ca_file) if access.ca_file else True
        seconds = access.timeout.total_seconds()
        headers = {hdrs.AUTHORIZATION: access.authorization.reveal()} if access.authorization else {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, force_close=True, socket_factory=handed_socket),
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={hdrs.ACCEPT: "application/json", **headers},
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def ask(self) -> list[Answer]:
        """What every peer says now, in the order of their URLs."""
        pairs = zip(self.names, self._access.urls, strict=True)
        return list(await asyncio.gather(*(self._ask(name, url) for name, url in pairs)))

    async def _ask(self, name: str, url: Secret) -> Answer:
        try:
            # In this order: a peer that restarts between the two says so in its status.
            alerts = await self._get(_below(url, "api/v2/alerts"))
            status = await self._get(_below(url, "api/v2/status"))
        except _UnusableError as error:
            return Unknown(name, str(error))
        except TimeoutError:
            return Unknown(name, f"no answer within {self._access.timeout.total_seconds():g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Unknown(name, _reason(error))
        return await asyncio.to_thread(
            understand, name, alerts=alerts, status=status, now=self._clock.now(), grace=self._grace
        )

    async def _get(self, url: URL) -> bytes:
        assert self._session is not None, "open comes first"
        async with self._session.get(url, allow_redirects=False) as answer:
            if answer.status != _OK:
                redirected = "it redirects, which is not followed; give the address that it redirects to"
                other = redirected if 300 <= answer.status < 400 else f"it answers {answer.status}"  # noqa: PLR2004 - HTTP's own numbers
                raise _UnusableError(_SAID.get(answer.status, other))
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > self._most_bytes:
                    raise _UnusableError(f"its answer is larger than {self._most_bytes // 2**20} MiB")
            return bytes(body)


class _UnusableError(Exception):
    """An answer that says nothing, and why."""


def _names(urls: Sequence[URL]) -> tuple[str, ...]:
    """Host and port of each; numbered where several share them, behind one proxy."""
    shared = Counter(url.authority.rpartition("@")[2] for url in urls)
    counted: Counter[str] = Counter()
    names = []
    for url in urls:
        place = url.authority.rpartition("@")[2]
        counted[place] += 1
        names.append(place if shared[place] == 1 else f"{place}#{counted[place]}")
    return tuple(names)


def _below(url: Secret, path: str) -> URL:
    base, mark, query = url.reveal().partition("?")
    return URL(f"{base.rstrip('/')}/{path}{mark}{query}", encoded=True)


def _reason(error: Exception) -> str:
    """What went wrong, without the URL."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return f"TLS: {type(error).__name__}"
    cause = getattr(error, "os_error", None) or error.__cause__ or error
    number = cause.errno if isinstance(cause, OSError) else None
    said = type(cause).__name__ if number not in errno.errorcode else os.strerror(number or 0)
    return (
        f"no connection: {said}" if isinstance(error, aiohttp.ClientConnectorError) else f"no answer: {said}"
    )
