"""What is asked of a listing, read from a query string."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from multidict import MultiMapping

from alertbridge.deployments.deployment import Status
from alertbridge.errors import AlertbridgeError
from alertbridge.model import Action, DeliveryState, EventOutcome
from alertbridge.store.listings import Wanted

_MOST = 500
_NUMBER = re.compile("[0-9]{1,18}")
_INSTANT = "an instant with its zone, such as 2024-08-01T12:34:56Z (a + is written %2B)"


class BadQuery(AlertbridgeError):  # noqa: N818 - names what happened, as errors.py does
    """A query cannot be answered: which parameter is wrong, why, and what may stand there instead."""

    def __init__(self, parameter: str, problem: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{parameter}: {problem}; allowed: {', '.join(allowed)}")
        self.parameter = parameter
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Listing:
    """What may be asked of the listing called `name`: by which filters, and which words `state` may be.

    `numbered` says that its pages are continued by a number.
    """

    name: str
    filters: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    numbered: bool = False


EVENTS = Listing("events", ("body", "since", "source", "state"), tuple(EventOutcome), numbered=True)
INCIDENTS = Listing(
    "incidents", ("destination", "fingerprint", "key", "since", "source", "state"), ("open", "closed")
)
DELIVERIES = Listing(
    "deliveries",
    ("action", "destination", "incident", "key", "since", "state"),
    tuple(DeliveryState),
    numbered=True,
)
DEPLOYMENTS = Listing(
    "deployments", ("environment", "service", "since", "state"), tuple(Status), numbered=True
)
AUDIT = Listing("audit", ("delivery", "destination", "incident", "since"), numbered=True)
HEARTBEATS = Listing("heartbeats")
DESTINATIONS = Listing("destinations")
RULES = Listing("rules", numbered=True)


def read_query(listing: Listing, query: MultiMapping[str]) -> Wanted:
    """What `query` asks of `listing`. Raises BadQuery for a parameter or a value that it does not know."""
    allowed = (*listing.filters, "limit", "cursor")
    values: dict[str, Any] = {}
    for name in query:
        if name not in allowed:
            raise BadQuery(name, f"not something that {listing.name} are asked by", allowed)
        given = query.getall(name)
        if len(given) > 1:
            raise BadQuery(name, "given more than once", ("one value",))
        values["after" if name == "cursor" else name] = _read(listing, name, given[0])
    return Wanted(**values)


def cursor(listing: Listing, place: str | None) -> str | None:
    """The opaque text that asks for the page after `place`; None where there is no such page."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(f"{listing.name}:{place}".encode()).decode().rstrip("=")


def _read(listing: Listing, name: str, text: str) -> str | int | datetime:
    match name:
        case "limit":
            return _limit(text)
        case "cursor":
            return _place(listing, text)
        case "since":
            return _instant(text)
        case "state":
            return _word(name, text, listing.states)
        case "action":
            return _word(name, text, tuple(Action))
        case "body":
            return _word(name, text, ("whole",))
        case _:
            return text


def _limit(text: str) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= _MOST:
        raise BadQuery("limit", f'"{text}" is not a number of items', (f"1 to {_MOST}",))
    return int(text)


def _place(listing: Listing, text: str) -> str:
    try:
        name, _, place = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(":")
    except ValueError:  # not base64, not ASCII, or not UTF-8 inside
        name = place = ""
    if name != listing.name or (listing.numbered and not _NUMBER.fullmatch(place)):
        raise BadQuery("cursor", f"not a cursor of {listing.name}", ("the `next` of the page before",))
    return place


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadQuery("since", f'"{text}" is not an instant', (_INSTANT,))
    return moment


def _word(name: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise BadQuery(name, f'"{text}" is not known', allowed)
    return text
