"""Error answers as `application/problem+json` (RFC 9457), the same for every route."""

from __future__ import annotations

from http import HTTPStatus

import orjson
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from alertbridge.errors import StoreError

_SET_BY_THE_ANSWER = {hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH}


def problem(status: int, title: str, detail: str, **extra: object) -> web.Response:
    """An answer that says what is wrong; `extra`, plain JSON values, become members beside `status`, `title` and `detail`.

    What a client sent may stand in `detail`: what is not valid Unicode in it is replaced.
    """
    detail = detail.encode(errors="replace").decode()
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/problem+json")


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error that a route raises with a problem; what was unexpected is logged and not shown."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _said_by_aiohttp(request, error)
    except StoreError as error:
        log = structlog.get_logger()
        log.warning("request.unanswered", method=request.method, path=request.path, error=str(error))
        return problem(503, "Storage unavailable", str(error))
    except Exception as error:
        if isinstance(error, ConnectionError) and _is_gone(request):
            raise  # aiohttp drops the connection without a word
        structlog.get_logger().exception("request.failed", method=request.method, path=request.path)
        return problem(500, "Internal error", "something went wrong here; the log says what")


def _said_by_aiohttp(request: web.Request, error: web.HTTPException) -> web.Response:
    """The same status and headers (`Allow` among them), with a body that says what would have been right."""
    detail = error.text or error.reason
    if isinstance(error, web.HTTPNotFound):
        detail = f"nothing is served at {request.path}"
    elif isinstance(error, web.HTTPMethodNotAllowed):
        detail = f"{error.method} is not possible here; use {', '.join(sorted(error.allowed_methods))}"
    response = problem(error.status, error.reason, detail)
    for name, value in error.headers.items():
        if name not in _SET_BY_THE_ANSWER:
            response.headers.add(name, value)
    return response


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
