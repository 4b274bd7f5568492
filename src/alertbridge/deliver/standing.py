"""How a destination stands: whether it may be sent to now, and if not, why and until when. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alertbridge.deliver.breaker import Breaker, Tripping, counted
from alertbridge.deliver.budget import RateLimit
from alertbridge.deliver.learning import Lesson, taught
from alertbridge.deliver.width import Width
from alertbridge.model import Ambiguous, Delivered, Outcome, Paused, Rejected, Retry

BREAKER = "breaker"  # the reason of a destination whose breaker is open
REFUSED = frozenset({"unauthorized", "forbidden"})  # pauses that a new secret may end
QUOTA = "quota"  # the reason of a pause that a good answer asked for; it ends by itself, without a probe
_SET_BACK = timedelta(minutes=1)  # clocks are slewed, or stepped by less than that, all the time
VENDORS_OWN = frozenset(
    {"rate_limited", "unavailable", QUOTA}
)  # pauses of which the vendor has said how long


@dataclass(frozen=True, slots=True)
class Pause:
    """A destination that takes nothing now. At `until` one delivery is sent to see whether it does again."""

    reason: str
    detail: str
    since: datetime
    until: datetime

    def over(self, now: datetime) -> bool:
        """Whether it has run out at `now`; also if the clock has been set back behind its beginning."""
        return self.until <= now or now < self.since - _SET_BACK


@dataclass(frozen=True, slots=True)
class Terms:
    """By what outcomes are judged.

    `reject_limit` rejections of different keys in a row pause; `failure_limit` failures within a minute open the breaker
    if they are at least half. `probe_interval` is the time between probes, for the breaker the longest.
    """

    reject_limit: int = 5
    probe_interval: timedelta = timedelta(minutes=2)
    failure_limit: int = 10
    concurrency: int = 4
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What recent outcomes say about a destination.

    `rejected` are the keys whose deliveries were rejected one after the other, with nothing delivered in between.
    `lesson` is what a 429 has taught about the rate limit. While it is paused its breaker is closed.
    """

    pause: Pause | None = None
    rejected: frozenset[str] = field(default_factory=frozenset)
    breaker: Breaker = field(default_factory=Breaker)
    width: Width = field(default_factory=Width)
    lesson: Lesson | None = None

    @property
    def obstacle(self) -> Pause | None:
        """Why nothing but probes is sent: the pause, or the open breaker in the shape of one."""
        opened = self.breaker.opened
        if self.pause is not None or opened is None:
            return self.pause
        return Pause(BREAKER, opened.detail, opened.since, opened.until)

    def may_send(self, now: datetime) -> bool:
        """Whether anything may be sent at `now`: freely, or one as a probe."""
        obstacle = self.obstacle
        return obstacle is None or obstacle.over(now)

    def room(self, now: datetime, *, most: int, flying: int) -> int:
        """How many more may be sent at `now`, with `flying` under way and `most` allowed at once."""
        if self.obstacle is None:
            return max(0, self.width.within(most) - flying)
        return max(0, 1 - flying) if self.may_send(now) else 0

    def lapsed(self, now: datetime) -> bool:
        """Whether a pause has run out that needs no probe to end."""
        return self.pause is not None and self.pause.reason == QUOTA and self.pause.over(now)

    def freed(self) -> Standing:
        """As it is when nothing holds it back any more; what was learned of the rate limit stays."""
        return Standing(lesson=self.lesson)

    def hastened(self, now: datetime) -> Standing:
        """With a probe that may go at once, if it is paused."""
        pause = self.pause
        return self if pause is None else replace(self, pause=replace(pause, until=min(pause.until, now)))


def after(
    standing: Standing,
    outcome: Outcome,
    *,
    key: str,
    started_at: datetime,
    now: datetime,
    terms: Terms,
    used_up: timedelta | None = None,
    random: float = 0.0,
) -> tuple[Standing, Outcome]:
    """The standing after `outcome` for `key`, and that outcome as the delivery is to take it.

    Only a probe, started when a pause had run out, can end or prolong it: what was in flight when the pause began says
    nothing about it. A run of rejections across different keys means that the configuration is wrong and not the
    messages: the destination pauses, and the message that completed the run is kept instead of buried. `used_up` is for
    how long the answer says that nothing more will be taken. `random` lies in [0, 1).
    """
    probe = standing.obstacle is not None and standing.obstacle.over(started_at)
    judged, taken = _paused(standing, outcome, key=key, probe=probe, now=now, terms=terms)
    if used_up is not None and not isinstance(taken, Paused):
        since = standing.pause.since if standing.pause else now
        quota = Pause(QUOTA, "an answer said that the quota is used up", since, now + used_up)
        judged = replace(judged, pause=_longer(judged.pause, quota, probe=False))
    width = _width(standing.width, taken, started_at, now, terms.concurrency)
    lesson = standing.lesson
    if terms.rate_limit is not None and isinstance(taken, Paused) and taken.reason == "rate_limited":
        lesson = taught(terms.rate_limit, lesson, started_at=started_at, now=now, probe=probe)
    breaker = Breaker()
    if judged.pause is None and standing.pause is None:
        failure = taken.reason if isinstance(taken, Retry | Ambiguous) else ""
        tripping = Tripping(terms.failure_limit, terms.probe_interval)
        breaker = counted(standing.breaker, failure, probe=probe, now=now, tripping=tripping, random=random)
    return replace(judged, breaker=breaker, width=width, lesson=lesson), taken


def _paused(
    standing: Standing, outcome: Outcome, *, key: str, probe: bool, now: datetime, terms: Terms
) -> tuple[Standing, Outcome]:
    """The pause and the run of rejections after `outcome`."""
    pause = standing.pause
    since = pause.since if pause else now
    result = (standing, outcome)
    match outcome:
        case Delivered():
            result = (replace(standing, pause=None if probe else pause, rejected=frozenset()), outcome)
        case Retry() | Ambiguous():
            if pause and probe:
                longer = replace(pause, until=now + terms.probe_interval)
                result = (replace(standing, pause=longer), outcome)
        case Paused(reason, detail, span):
            until = now + (terms.probe_interval if span is None else span)
            new = Pause(reason, detail, since, until)
            result = (replace(standing, pause=_longer(pause, new, probe=probe)), outcome)
        case Rejected(reason):
            rejected = standing.rejected
            rejected = rejected if len(rejected) >= terms.reject_limit else rejected | {key}
            if len(rejected) >= terms.reject_limit:
                detail = f"{len(rejected)} different keys were rejected in a row; the last answer: {reason}"
                new = Pause("rejecting", detail, since, now + terms.probe_interval)
                paused = _longer(pause, new, probe=probe)
                taken = Paused("rejecting", reason, terms.probe_interval)
                result = (replace(standing, pause=paused, rejected=rejected), taken)
            else:  # whoever refuses a message has read it: a probe that is refused ends the pause
                result = (replace(standing, pause=None if probe else pause, rejected=rejected), outcome)
    return result


def _longer(present: Pause | None, new: Pause, *, probe: bool) -> Pause:
    """What was in flight when a pause began can make it longer, never shorter."""
    return present if present and not probe and present.until > new.until else new


def _width(width: Width, outcome: Outcome, started_at: datetime, now: datetime, most: int) -> Width:
    """A refusal by credentials or by what was sent says nothing about how much the destination bears."""
    match outcome:
        case Retry() | Ambiguous():
            return width.narrowed(most=most, started_at=started_at, now=now)
        case Paused(reason=reason) if reason in VENDORS_OWN:
            return width.narrowed(most=most, started_at=started_at, now=now)
        case Delivered() | Rejected():
            return width.widened(most=most, started_at=started_at)
        case Paused():
            return width
