"""HTTP, thinly: a Request goes out, and either a Response comes back or the Outcome of not getting one."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
from yarl import URL

from alertbridge.clock import Clock
from alertbridge.model import Ambiguous, Paused, Request, Response, Retry, Secret

_KEPT_BODY = 16 * 1024
_IDLE = (
    5.0  # shorter than the patience of most servers, so that a request seldom meets a connection being closed
)


@dataclass(frozen=True, slots=True)
class Route:
    """How requests leave this machine."""

    timeout: timedelta
    proxy: str | None = None
    source_address: str | None = None
    ca_file: Path | None = None
    connections: int = 4


class Transport:
    """One destination's HTTP client. `open` before, `close` after."""

    def __init__(self, *, route: Route, clock: Clock) -> None:
        self._route = route
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the client; connections are made as they are needed."""
        route = self._route
        trust = ssl.create_default_context(cafile=route.ca_file) if route.ca_file else True
        connector = aiohttp.TCPConnector(
            limit=route.connections,
            keepalive_timeout=_IDLE,
            ssl=trust,
            local_addr=(route.source_address, 0) if route.source_address else None,
        )
        seconds = route.timeout.total_seconds()
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
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
        assert self._session is not None
        try:
            async with self._session.request(
                method,
                URL(request.url, encoded=True),
                data=request.body or None,
                headers=request.headers,
                allow_redirects=False,
                proxy=self._route.proxy,
            ) as answer:
                return Response(
                    status=answer.status,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=await _beginning(answer, most),
                    received_at=self._clock.now(),
                )
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            return Retry(f"TLS: {type(error).__name__}: {_reason(error)}")
        except aiohttp.ClientConnectorDNSError as error:
            return Retry(f"the name could not be resolved: {_reason(error)}")
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ClientProxyConnectionError,
            aiohttp.ClientHttpProxyError,
            aiohttp.ConnectionTimeoutError,
        ) as error:
            return Retry(f"no connection: {_reason(error)}")
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            return Paused("misconfigured", "the destination's URL is not a usable http(s) URL")
        except TimeoutError:
            return Ambiguous(f"no answer within {self._route.timeout.total_seconds():g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Ambiguous(f"the connection broke before an answer: {type(error).__name__}")


async def _beginning(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """As much of the body as is worth keeping; the status alone already says what became of the request."""
    body = b""
    try:
        while len(body) < most and (chunk := await answer.content.read(most - len(body))):
            body += chunk
    except (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError):
        return body
    return body


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or error.__cause__
    return str(getattr(cause, "strerror", None) or type(cause or error).__name__)
