"""The answers that all of the admin API gives in the same form."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web

from alertbridge.model import JSON
from alertbridge.operate import query
from alertbridge.operate.query import BadQuery, Listing
from alertbridge.problems import problem
from alertbridge.store.listings import Page


def said(value: Mapping[str, JSON]) -> web.Response:
    """200 with this as JSON."""
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def listed(listing: Listing, page: Page) -> web.Response:
    """200 with the items of a page, and the cursor of the next."""
    return said({"items": [*page.items], "next": query.cursor(listing, page.next)})


def refusal(error: BadQuery) -> web.Response:
    """400 with the parameter that is wrong, and what is allowed."""
    return problem(400, "Bad query", str(error), parameter=error.parameter, allowed=list(error.allowed))


def unknown(listing: Listing, identifier: str) -> web.Response:
    """404; what is kept for a time may have been deleted."""
    detail = f'"{identifier}" is not among the {listing.name}'
    if listing is query.RULES:
        detail = f'no set of rules that is kept has a hash that begins with "{identifier}"'
    elif listing is not query.DESTINATIONS:
        detail += "; what is finished is deleted after the time under storage.retention"
    return problem(404, "Not found", detail)
