"""HTTP, thinly: a Request goes out, and either a Response comes back or the Outcome of not getting one.

What tells `Retry` from `Ambiguous` is whether there was a connection that the request could have gone out on.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import aiohttp
from aiohttp.connector import AddrInfoType
from yarl import URL

from alertbridge.clock import Clock
from alertbridge.deliver.names import Lookup, Names
from alertbridge.model import Ambiguous, Paused, Request, Response, Retry, Secret

_KEPT_BODY = 16 * 1024
_PROXY_REFUSES = 407


@dataclass(frozen=True, slots=True)
class Route:
    """How requests leave this machine."""

    timeout: timedelta
    proxy: str | None = None
    source_address: str | None = None
    ca_file: Path | None = None
    connections: int = 4


class Transport:
    """One destination's HTTP client. `open` before, `close` after.

    Every request has a connection of its own. On one that is kept, a request can meet its end, and nobody could say
    whether it arrived; and what a server says too much would be taken for the answer to the next request.
    """

    def __init__(self, *, route: Route, clock: Clock, lookup: Lookup = socket.getaddrinfo) -> None:
        self._route = route
        self._clock = clock
        self._lookup = lookup
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the client; connections are made as they are needed."""
        route = self._route
        trust = ssl.create_default_context(cafile=route.ca_file) if route.ca_file else True
        connector = aiohttp.TCPConnector(
            limit=route.connections,
            force_close=True,
            ssl=trust,
            local_addr=(route.source_address, 0) if route.source_address else None,
            resolver=Names(self._lookup),
            socket_factory=handed_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # `_send` sees to the time
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,  # an answer is small; what claims to be packed small is not looked into
            trust_env=False,
            trace_configs=[_watched()],
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def post(self, request: Request) -> Response | Retry | Ambiguous | Paused:
        """Send once, following no redirect. Reasons never hold the URL, which may be a secret."""
        return await self._send("POST", request, most=_KEPT_BODY)

    async def get(self, url: Secret) -> Response | Retry | Ambiguous | Paused:
        """Ask once, following no redirect. Reasons never hold the URL, which may be a secret."""
        return await self._send("GET", Request(url.reveal(), {}, b""), most=_KEPT_BODY)

    async def fetch(self, request: Request, *, most: int) -> Response | Retry | Ambiguous | Paused:
        """Ask once, with headers; of the answer's body at most `most` bytes are kept."""
        return await self._send("GET", request, most=most)

    async def _send(
        self, method: str, request: Request, *, most: int
    ) -> Response | Retry | Ambiguous | Paused:
        seconds = self._route.timeout.total_seconds()
        deadline = asyncio.get_running_loop().time() + seconds
        attempt = SimpleNamespace(connected=False)
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._ask(method, request, attempt)
        except TimeoutError:
            if attempt.connected:
                return Ambiguous(f"no answer within {seconds:g} s")
            return Retry(f"no connection within {seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _lost(error) if attempt.connected else _unconnected(error)
        if answer.status == _PROXY_REFUSES and self._route.proxy is not None:
            answer.close()
            return _refused_by_proxy()
        return Response(
            status=answer.status,
            headers={name.lower(): value for name, value in answer.headers.items()},
            body=await _beginning(answer, most, deadline),
            received_at=self._clock.now(),
        )

    async def _ask(self, method: str, request: Request, attempt: SimpleNamespace) -> aiohttp.ClientResponse:
        assert self._session is not None
        return await self._session.request(
            method,
            URL(request.url, encoded=True),
            data=request.body or None,
            headers=request.headers,
            allow_redirects=False,
            proxy=self._route.proxy,
            trace_request_ctx=attempt,
        )


class _Socket(socket.socket):
    """A socket that is not closed when it is collected.

    uvloop closes the number of a socket that it was handed, and after a handshake that was reset it leaves the socket with
    that number: to close it once more would close the file that has got the number since.
    """

    def __del__(self) -> None:
        self.detach()


def handed_socket(address: AddrInfoType) -> socket.socket:
    """A new socket, for a connector to hand to the event loop."""
    family, kind, protocol, _, _ = address
    return _Socket(family, kind, protocol)


def _watched() -> aiohttp.TraceConfig:
    """Notes when there is a connection, to the destination itself or through a proxy, before anything is written."""

    async def connected(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.connected = True

    watched = aiohttp.TraceConfig()
    watched.on_connection_create_end.append(connected)
    return watched


async def _beginning(answer: aiohttp.ClientResponse, most: int, deadline: float) -> bytes:
    """As much of the body as is worth keeping and comes in time; the status alone says what became of the request."""
    body = b""
    try:
        async with asyncio.timeout_at(deadline):
            while len(body) < most and (chunk := await answer.content.read(most - len(body))):
                body += chunk
    except (aiohttp.ClientError, OSError, TimeoutError, EOFError):
        return body
    finally:
        answer.close()
    return body


def _unconnected(error: Exception) -> Retry | Paused:
    """Nothing was sent."""
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return _misconfigured()
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return Retry(f"TLS: {_reason(error)}")
        case aiohttp.ClientConnectorDNSError():
            return Retry(f"the name could not be resolved: {_reason(error)}")
        case aiohttp.ClientHttpProxyError(status=status) if status == _PROXY_REFUSES:
            return _refused_by_proxy()
        case aiohttp.ClientHttpProxyError():
            return Retry(f"no connection: the proxy answered HTTP {error.status}")
        case aiohttp.ClientResponseError():
            return Retry("no connection: what the proxy answered is not HTTP")
        case aiohttp.ClientError() | OSError():
            return Retry(f"no connection: {_reason(error)}")
        case _:
            return _misconfigured()


def _lost(error: Exception) -> Ambiguous:
    """The request may have arrived."""
    if isinstance(error, aiohttp.ClientResponseError):
        return Ambiguous("what was answered is not HTTP")
    return Ambiguous(f"the connection broke before an answer: {_reason(error)}")


def _misconfigured() -> Paused:
    return Paused("misconfigured", "the destination's URL is not a usable http(s) URL")


def _refused_by_proxy() -> Paused:
    return Paused("misconfigured", "the proxy answered HTTP 407; check the user and password in `proxy`")


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or error.__cause__ or error
    if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError | socket.gaierror) and cause.errno:
        return os.strerror(cause.errno)
    return str(getattr(cause, "strerror", None) or type(cause).__name__)
