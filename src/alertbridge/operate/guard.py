"""Who may use the admin API."""

from __future__ import annotations

import hmac
from functools import wraps
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from alertbridge.model import Secret
from alertbridge.problems import problem

OPERATOR = "X-Alertbridge-Operator"
_LONGEST_NAME = 100


def who(request: web.Request) -> str:
    """Who does something by hand, for the audit: the credential used, and the name given in the header OPERATOR.

    The credential was checked by the guard, the name is what they call themselves.
    """
    credential = "admin token" if hdrs.AUTHORIZATION in request.headers else "this machine, without a token"
    name = request.headers.get(OPERATOR, "").encode(errors="replace").decode()[:_LONGEST_NAME].strip()
    return f"{name} ({credential})" if name else credential


class Guard:
    """Lets through who knows the token; without a token, everybody on this machine and nobody else.

    `loopback` says that the server can be reached from this machine only. `token` may be set anew.
    """

    def __init__(self, *, token: Secret | None, loopback: bool) -> None:
        self.token = token
        self._loopback = loopback

    def wrap(self, handler: Handler) -> Handler:
        """The same handler for those who may use it, 401 or 403 for the others."""

        @wraps(handler)
        async def guarded(request: web.Request) -> web.StreamResponse:
            refusal = self._refuse(request.headers.get(hdrs.AUTHORIZATION, ""), request.host)
            if refusal is None and self.token is None and _is_sent_by_another_page(request):
                detail = "a page from elsewhere may not do this; set server.admin_token_file"
                refusal = problem(403, "Forbidden", detail)
            return await handler(request) if refusal is None else refusal

        return guarded

    def proves(self, request: web.Request) -> bool:
        """Whether the request carries the token; never where there is none."""
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        return (
            self.token is not None
            and scheme.lower() == "bearer"
            and _equal(given.strip(), self.token.reveal())
        )

    def _refuse(self, authorization: str, host: str) -> web.Response | None:
        if self.token is None:
            return self._refuse_stranger(host)
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and _equal(given.strip(), self.token.reveal()):
            return None
        detail = "send the token of server.admin_token_file as `Authorization: Bearer <token>`"
        response = problem(401, "Unauthorized", detail)
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="alertbridge"'
        return response

    def _refuse_stranger(self, host: str) -> web.Response | None:
        if not self._loopback:
            detail = (
                "the admin API is closed: the server can be reached from other machines and no token is set; "
                "set server.admin_token_file, or listen on a loopback address"
            )
            return problem(403, "Forbidden", detail)
        if not _names_this_machine(host):
            # A page in a browser on this machine can make a name of its own point here, and would read along.
            detail = "without a token the admin API answers to localhost, 127.0.0.1 and [::1] only; set server.admin_token_file"
            return problem(403, "Forbidden", detail)
        return None


def _is_sent_by_another_page(request: web.Request) -> bool:
    """Whether a browser sends this on behalf of a page that is not ours: it may not read answers, but could act."""
    origin = request.headers.get(hdrs.ORIGIN)
    acts = request.method not in {hdrs.METH_GET, hdrs.METH_HEAD}
    return acts and origin is not None and urlsplit(origin).netloc != request.host


def _names_this_machine(host: str) -> bool:
    name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _equal(given: str, expected: str) -> bool:
    """In constant time; aiohttp hands over bytes that are not UTF-8 as surrogates."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), expected.encode())
