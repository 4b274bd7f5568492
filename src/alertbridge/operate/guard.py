"""Who may use the admin API."""

from __future__ import annotations

import hmac
from functools import wraps

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from alertbridge.model import Secret
from alertbridge.problems import problem


class Guard:
    """Lets through who knows the token; without a token, everybody on this machine and nobody else.

    `loopback` says that the server can be reached from this machine only.
    """

    def __init__(self, *, token: Secret | None, loopback: bool) -> None:
        self._token = token
        self._loopback = loopback

    def wrap(self, handler: Handler) -> Handler:
        """The same handler for those who may use it, 401 or 403 for the others."""

        @wraps(handler)
        async def guarded(request: web.Request) -> web.StreamResponse:
            refusal = self._refuse(request.headers.get(hdrs.AUTHORIZATION, ""))
            return await handler(request) if refusal is None else refusal

        return guarded

    def _refuse(self, authorization: str) -> web.Response | None:
        if self._token is None:
            detail = (
                "the admin API is closed: the server can be reached from other machines and no token is set; "
                "set server.admin_token_file, or listen on a loopback address"
            )
            return None if self._loopback else problem(403, "Forbidden", detail)
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and _equal(given.strip(), self._token.reveal()):
            return None
        detail = "send the token of server.admin_token_file as `Authorization: Bearer <token>`"
        response = problem(401, "Unauthorized", detail)
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="alertbridge"'
        return response


def _equal(given: str, expected: str) -> bool:
    """In constant time; aiohttp hands over bytes that are not UTF-8 as surrogates."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), expected.encode())
