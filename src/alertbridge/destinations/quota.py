"""What an answer's headers say about the wait for more: `Retry-After`, and what is left of a quota.

Read leniently: whatever is not understood says nothing. Three families tell of quotas, and differ among themselves:
`RateLimit: "default";r=0;t=30` with `RateLimit-Policy: "default";q=60;w=300` (the IETF's draft, from its 8th version),
`RateLimit: limit=60, remaining=0, reset=30` (its 7th), and `RateLimit-Remaining: 0` with `RateLimit-Reset: 30` (before,
and as `X-RateLimit-…` or `X-Rate-Limit-…` everywhere). A reset is so many seconds, or an instant: since 1970, in seconds
or milliseconds, or a date.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from alertbridge.model import Response

LONGEST_WAIT = timedelta(hours=24)
LONGEST_HINT = timedelta(
    hours=1
)  # it comes with answers that are good: what is misread must not stop alerts for long

_LONGEST_HEADER = 100
_LONGEST_LIST = 1000
_SECONDS = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_PAIR = re.compile(r"([a-z]+)\s*=\s*([+-]?[0-9]{1,18})(?![0-9])", re.IGNORECASE)
_PREFIXES = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")
_AN_INSTANT = 1_000_000_000  # nobody means to wait for thirty years
_MILLISECONDS = 1_000_000_000_000


def retry_after(response: Response) -> timedelta | None:
    """How long the answer asks to wait, between nothing and 24 hours; None if it does not say readably."""
    written = response.headers.get("retry-after", "").strip()
    if not written or len(written) > _LONGEST_HEADER:
        return None
    if _SECONDS.fullmatch(written):
        return timedelta(seconds=min(max(float(written), 0.0), LONGEST_WAIT.total_seconds()))
    until = _date(written)
    return None if until is None else _bounded(until, _written_at(response), LONGEST_WAIT)


def used_up(response: Response) -> timedelta | None:
    """For how long the answer says that nothing more will be taken, at most an hour; None where something is left."""
    waits = [_listed(response), *(_single(response, prefix) for prefix in _PREFIXES)]
    longest = max((wait for wait in waits if wait is not None), default=timedelta())
    return longest or None


def _listed(response: Response) -> timedelta | None:
    """From `RateLimit`: the longest wait of those limits that have nothing left."""
    written = response.headers.get("ratelimit", "")[:_LONGEST_LIST]
    if not written:
        return None
    said = _pairs(written)
    if "remaining" in said:
        wait = said.get("reset") if said["remaining"] <= 0 else None
        return None if wait is None else _seconds(wait)
    windows = _windows(response.headers.get("ratelimit-policy", "")[:_LONGEST_LIST])
    waits = []
    for item in written.split(","):
        limit = _pairs(item)
        if limit.get("r", 1) <= 0:
            wait = limit.get("t", windows.get(_name(item)))
            waits += [] if wait is None else [_seconds(wait)]
    return max(waits, default=None)


def _single(response: Response, prefix: str) -> timedelta | None:
    """From a header each for what remains and for when that changes."""
    remaining = response.headers.get(f"{prefix}remaining", "").strip()
    reset = response.headers.get(f"{prefix}reset", "").strip()
    if max(len(remaining), len(reset)) > _LONGEST_HEADER or not _SECONDS.fullmatch(remaining):
        return None
    if float(remaining) > 0:
        return None
    if not _SECONDS.fullmatch(reset):
        until = _date(reset)
        return None if until is None else _bounded(until, _written_at(response), LONGEST_HINT)
    number = float(reset)
    if number < _AN_INSTANT:
        return _seconds(number)
    number = number / 1000 if number >= _MILLISECONDS else number
    return _seconds(number - _written_at(response).timestamp())


def _written_at(response: Response) -> datetime:
    """When it was answered, by the clock that its other instants are of; ours may be wrong by hours."""
    written = response.headers.get("date", "")
    said = _date(written) if len(written) <= _LONGEST_HEADER else None
    return response.received_at if said is None else said


def _windows(policies: str) -> dict[str, int]:
    """How long the window of each limit is, by its name."""
    found = {_name(item): _pairs(item).get("w") for item in policies.split(",")}
    return {name: seconds for name, seconds in found.items() if seconds is not None}


def _name(item: str) -> str:
    return item.partition(";")[0].strip().strip('"')


def _pairs(text: str) -> dict[str, int]:
    return {name.lower(): int(number) for name, number in _PAIR.findall(text)}


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=min(max(float(number), 0.0), LONGEST_HINT.total_seconds()))


def _bounded(until: datetime, now: datetime, longest: timedelta) -> timedelta | None:
    try:
        return min(max(until - now, timedelta()), longest)
    except OverflowError:
        return None


def _date(written: str) -> datetime | None:
    try:
        until = parsedate_to_datetime(written)
        return until.replace(tzinfo=UTC) if until.tzinfo is None else until
    except (ValueError, TypeError, IndexError, OverflowError):  # whatever the parser of dates trips over
        return None
