"""What passes between a client and a stand-in, free of any HTTP library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

import orjson

Message = TypeVar("Message")


@dataclass(frozen=True, slots=True)
class Content:
    """The body of a request: its bytes, the JSON in them, and why there is none where there is none.

    `body` is Any because it is whatever a client says; only a vendor's model makes it something.
    """

    raw: bytes = b""
    body: Any = None
    malformed: str | None = None
    oversize: bool = False

    @classmethod
    def of(cls, raw: bytes) -> Content:
        """The content of `raw`."""
        try:
            return cls(raw, orjson.loads(raw))
        except orjson.JSONDecodeError as error:
            return cls(raw, malformed=f"body: not JSON: {error}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as a vendor sees it.

    `path` is what follows the root of the stand-in, without a leading slash. `headers` are looked up in any
    case. Path, query and headers may hold a token, so the text form shows none of them.
    """

    method: str
    path: str = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content_type: str
    content: Content


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, complete."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that breaks what the vendor documents; the reason names the field or header."""

    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def reply(self) -> Reply:
        """The answer that says so."""
        return Reply(self.status, orjson.dumps({"message": self.reason}), self.headers)


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that took effect; `note` says what is odd about it."""

    reply: Reply
    note: str | None = None


class Vendor(Protocol[Message]):
    """The rules of one vendor's API, and what it believes after all it has taken."""

    def key(self, body: Any) -> str | None:
        """What ties requests to one incident, where `body` names it."""
        ...

    def judge(self, arrival: Arrival) -> Message | Refused:
        """The message in a request that keeps every documented rule, or the refusal; changes nothing."""
        ...

    def take(self, message: Message, *, seq: int, at: datetime) -> Taken:
        """Let the message take effect, and say what is answered."""
        ...

    def believed(self) -> Any:
        """What the vendor holds for true now, ready for JSON."""
        ...

    def forget(self) -> None:
        """Believe nothing, as in the beginning."""
        ...
