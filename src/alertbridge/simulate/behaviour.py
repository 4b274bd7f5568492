"""The ways in which a stand-in can be told to misbehave, and which of them hits a request."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import override

from alertbridge.simulate.refusals import reasons

_Count = Annotated[int, Field(ge=1, le=1_000_000)]
_Status = Annotated[int, Field(ge=200, le=599)]
_HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
_HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")]


class Match(BaseModel):
    """Which requests are hit: those of one key (Elven's aggregate key, Hivel's provider id)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    key: str


class _Behaviour(BaseModel):
    """`times` requests are hit, and then it is over; None goes on until it is taken back."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    times: _Count | None = None
    match: Match | None = None

    @property
    def takes_effect(self) -> bool:
        """Whether a good request that is hit takes effect all the same."""
        return True


class Answer(_Behaviour):
    """Answers `status`; the request takes effect if `record` says so, or else with a 2xx only."""

    mode: Literal["status"] = "status"
    status: _Status
    headers: dict[_HeaderName, _HeaderValue] = {}
    body: str | None = None
    record: bool | None = None

    @property
    @override
    def takes_effect(self) -> bool:
        return self.status in range(200, 300) if self.record is None else self.record


class Delay(_Behaviour):
    """Behaves well, but only after `seconds`: until then the request has no effect and no answer."""

    mode: Literal["delay"]
    seconds: Annotated[float, Field(ge=0, le=86_400)]


class _Silent(_Behaviour):
    record: bool = False

    @property
    @override
    def takes_effect(self) -> bool:
        return self.record


class Hang(_Silent):
    """Never answers; with `record` the request has taken effect, and its sender cannot know."""

    mode: Literal["hang"]


class Close(_Silent):
    """Closes the connection without an answer; `record` as for hang."""

    mode: Literal["close"]


class Garbage(_Behaviour):
    """Takes a good request and answers 200 with a body that means nothing."""

    mode: Literal["garbage"]


class RateLimit(_Behaviour):
    """Answers 429 with Retry-After to what exceeds `requests` in any `per_seconds`."""

    mode: Literal["rate_limit"]
    requests: _Count
    per_seconds: Annotated[float, Field(gt=0, le=86_400)]


class Flap(_Behaviour):
    """Behaves for `good` requests, answers `status` to the next `bad`, and so on."""

    mode: Literal["flap"]
    good: _Count
    bad: _Count
    status: _Status = 503


Act: TypeAlias = Answer | Delay | Hang | Close | Garbage
Behaviour: TypeAlias = Act | RateLimit | Flap
_BEHAVIOUR: TypeAdapter[Behaviour] = TypeAdapter(Annotated[Behaviour, Field(discriminator="mode")])


def read_behaviour(body: Any) -> Behaviour | str:
    """The behaviour that parsed JSON describes, or every reason why it describes none."""
    try:
        return _BEHAVIOUR.validate_python(body)
    except ValidationError as error:
        return reasons(error, tag="mode")


@dataclass(frozen=True, slots=True)
class Hit:
    """A request that is not treated well: by which mode, and what is done to it."""

    mode: str
    act: Act


class Temper:
    """How one stand-in is to behave now, counting the requests that it decides about."""

    def __init__(self) -> None:
        self._behaviour: Behaviour | None = None
        self._seen = 0
        self._passed: deque[float] = deque()

    @property
    def behaviour(self) -> Behaviour | None:
        """What is in force; None is good behaviour."""
        return self._behaviour

    def become(self, behaviour: Behaviour | None) -> None:
        """Behave like this from the next request on; all counts begin anew."""
        self._behaviour = behaviour
        self._seen = 0
        self._passed.clear()

    def meet(self, key: str | None, now: float) -> Hit | None:
        """What is done to the next request; `key` is the one it names, `now` in monotonic seconds."""
        behaviour = self._behaviour
        if behaviour is None or (behaviour.match is not None and behaviour.match.key != key):
            return None
        act = self._act(behaviour, now)
        self._seen += 1
        if self._seen == behaviour.times:
            self.become(None)
        return None if act is None else Hit(behaviour.mode, act)

    def _act(self, behaviour: Behaviour, now: float) -> Act | None:
        match behaviour:
            case RateLimit():
                return self._limit(behaviour, now)
            case Flap():
                bad = self._seen % (behaviour.good + behaviour.bad) >= behaviour.good
                return Answer(status=behaviour.status) if bad else None
            case _:
                return behaviour

    def _limit(self, limit: RateLimit, now: float) -> Answer | None:
        while self._passed and self._passed[0] <= now - limit.per_seconds:
            self._passed.popleft()
        if len(self._passed) < limit.requests:
            self._passed.append(now)
            return None
        wait = math.ceil(self._passed[0] + limit.per_seconds - now)
        return Answer(status=429, headers={"Retry-After": str(max(1, wait))})
