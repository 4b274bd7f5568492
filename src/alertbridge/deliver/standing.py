"""How a destination stands: whether it may be sent to now, and if not, why and until when. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alertbridge.model import Ambiguous, Delivered, Outcome, Paused, Rejected, Retry


@dataclass(frozen=True, slots=True)
class Pause:
    """A destination that takes nothing now. At `until` one delivery is sent to see whether it does again."""

    reason: str
    detail: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What recent outcomes say about a destination.

    `rejected` are the keys whose deliveries were rejected one after the other, with nothing delivered in between.
    """

    pause: Pause | None = None
    rejected: frozenset[str] = field(default_factory=frozenset)

    def may_send(self, now: datetime) -> bool:
        """Whether anything may be sent at `now`: freely, or one as a probe while paused."""
        return self.pause is None or self.pause.until <= now


def after(
    standing: Standing,
    outcome: Outcome,
    *,
    key: str,
    started_at: datetime,
    now: datetime,
    reject_limit: int,
    probe_interval: timedelta,
) -> tuple[Standing, Outcome]:
    """The standing after `outcome` for `key`, and that outcome as the delivery is to take it.

    Only a probe, started when a pause had run out, can end or prolong it: what was in flight when the pause began says
    nothing about it. A run of rejections across different keys means that the configuration is wrong and not the
    messages: the destination pauses, and the message that completed the run is kept instead of buried.
    """
    pause = standing.pause
    since = pause.since if pause else now
    probe = pause is not None and started_at >= pause.until
    result = (standing, outcome)
    match outcome:
        case Delivered():
            result = (Standing(pause if pause and not probe else None), outcome)
        case Retry() | Ambiguous():
            if pause and probe:
                pause = Pause(pause.reason, pause.detail, since, now + probe_interval)
                result = (Standing(pause, standing.rejected), outcome)
        case Paused(reason, detail, span):
            until = now + (probe_interval if span is None else span)
            result = (Standing(_longer(pause, Pause(reason, detail, since, until), probe=probe)), outcome)
        case Rejected(reason):
            rejected = standing.rejected | {key}
            if len(rejected) >= reject_limit:
                detail = f"{len(rejected)} different keys were rejected in a row; the last answer: {reason}"
                pause = _longer(pause, Pause("rejecting", detail, since, now + probe_interval), probe=probe)
                result = (Standing(pause, rejected), Paused("rejecting", reason, probe_interval))
            else:  # whoever refuses a message has read it: a probe that is refused ends the pause
                result = (Standing(None if probe else pause, rejected), outcome)
    return result


def _longer(present: Pause | None, new: Pause, *, probe: bool) -> Pause:
    """What was in flight when a pause began can make it longer, never shorter."""
    return present if present and not probe and present.until > new.until else new
