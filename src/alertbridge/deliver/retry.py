"""What becomes of a delivery after an attempt: done, again later, or dead. Pure: the chance and the time are handed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alertbridge.model import Ambiguous, Delivered, DeliveryState, Outcome, Paused, Rejected, Retry

SHORTEST_DELAY = timedelta(milliseconds=100)
LONGEST_DELAY = timedelta(minutes=5)
_DOUBLINGS = 16  # far past the longest delay, and far from overflow


@dataclass(frozen=True, slots=True)
class Settlement:
    """The new state of a delivery after one attempt.

    `next_attempt_at` is set exactly when `state` is pending. `outcome` is delivered, retry, ambiguous, rejected
    or paused; `error` is empty exactly when it is delivered.
    """

    state: DeliveryState
    next_attempt_at: datetime | None
    error: str
    outcome: str


def delay(attempts: int, random: float) -> timedelta:
    """How long to wait after `attempts` failures: anything from 100 ms up to 1 s doubled each time, at most 5 min.

    `random` lies in [0, 1) and is spread over the whole span, so that many deliveries do not return at once.
    """
    span = min(LONGEST_DELAY, timedelta(seconds=1 << min(max(attempts, 1) - 1, _DOUBLINGS)))
    return max(SHORTEST_DELAY, span * random)


def settle(
    outcome: Outcome, *, attempts: int, age: timedelta, max_age: timedelta, now: datetime, random: float
) -> Settlement:
    """What `outcome` makes of a delivery tried `attempts` times; `age` does not count time spent paused."""

    def unsettled(reason: str, word: str) -> Settlement:
        if age < max_age:
            return Settlement(DeliveryState.PENDING, now + delay(attempts, random), reason, word)
        limit = f"{max_age / timedelta(hours=1):g} h"
        return Settlement(DeliveryState.DEAD, None, f"{reason}; given up: not delivered within {limit}", word)

    settlement: Settlement
    match outcome:
        case Delivered():
            settlement = Settlement(DeliveryState.DELIVERED, None, "", "delivered")
        case Rejected(reason):
            settlement = Settlement(DeliveryState.DEAD, None, reason, "rejected")
        case Paused(reason, detail):
            # The destination's pause holds it back; when that ends it is due at once.
            settlement = Settlement(DeliveryState.PENDING, now, f"{reason}: {detail}", "paused")
        case Retry(reason):
            settlement = unsettled(reason, "retry")
        case Ambiguous(reason):
            settlement = unsettled(reason, "ambiguous")
    return settlement
