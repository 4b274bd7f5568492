"""What is sent to see whether a destination can be reached and takes our word, and what its answers prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alertbridge.destinations import Destination
from alertbridge.model import (
    JSON,
    Action,
    Ambiguous,
    Content,
    Delivered,
    Message,
    Outcome,
    Rejected,
    Reporting,
    Severity,
)

_UNPROCESSABLE = (400, 422)


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a checkup; `name` is how it is told of."""

    name: str
    action: Action
    payload: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Checkup:
    """What is sent to one destination, in this order, and what good answers prove and do not prove."""

    reporting: Reporting
    key: str
    steps: tuple[Step, ...]
    proves: str
    proves_not: str


def checkup(destination: Destination, identifier: str, *, now: datetime) -> Checkup:
    """For one that hears of incidents as they open and close, one of its own; for one that takes records, none.

    A record cannot be taken back and would count in its figures: it is sent one that lacks everything.
    """
    key = f"alertbridge/test/{identifier}"
    if destination.REPORTING is Reporting.RECORD:
        return Checkup(
            reporting=Reporting.RECORD,
            key="",
            steps=(Step("empty record", Action.RECORD, {}),),
            proves="name, TLS, connection and path are right, and the token was not refused: the vendor documents 401 for a wrong token and 400 for a record that lacks what is required",
            proves_not="that a whole record is taken; and, if the vendor looks at the record before the token, that the token is right",
        )

    def step(action: Action) -> Step:
        said = "This is a test by alertbridge; nothing is wrong."
        content = Content({"title": "Test by alertbridge", "description": said, "tags": {"test": "true"}})
        message = Message(
            incident=identifier,
            key=key,
            action=action,
            severity=Severity.INFORMATIONAL,
            content=content,
            opened_at=now,
            closed_at=now if action is Action.RESOLVED else None,
        )
        return Step(action.value, action, destination.compose(message).payload)

    return Checkup(
        reporting=Reporting.LIFECYCLE,
        key=key,
        steps=(step(Action.ALARMED), step(Action.RESOLVED)),
        proves="name, TLS, connection and URL are right, and both messages were taken",
        proves_not="that an incident was shown and closed: look for its title, Test by alertbridge",
    )


def is_good(plan: Checkup, outcome: Outcome, status: int | None) -> bool:
    """Whether this is the answer that proves it: taken, or for a record that lacks everything, refused as such."""
    if plan.reporting is Reporting.RECORD:
        return isinstance(outcome, Rejected) and status in _UNPROCESSABLE
    return isinstance(outcome, Delivered)


def goes_on(outcome: Outcome) -> bool:
    """Whether the next step is taken: what may have been opened is closed."""
    return isinstance(outcome, Delivered | Ambiguous)


def verdict(plan: Checkup, outcomes: Sequence[tuple[Outcome, int | None]]) -> tuple[bool, str]:
    """Whether all went well, and what to make of it in one sentence."""
    good = [is_good(plan, outcome, status) for outcome, status in outcomes]
    if all(good) and len(good) == len(plan.steps):
        return True, f"This proves that {plan.proves}. It does not prove {plan.proves_not}."
    first, status = outcomes[0]
    if plan.reporting is Reporting.RECORD and isinstance(first, Delivered):
        return False, f"HTTP {status} to a record that lacks everything: is this the API that is documented?"
    if goes_on(first):
        return False, f"An incident with the key {plan.key} may be open there; close it by hand."
    return False, "Nothing was opened there."
