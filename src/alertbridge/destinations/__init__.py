"""What a destination is: one file per API, each knowing its payload, its headers and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

from alertbridge.model import JSON, Action, Composed, Field, Message, Outcome, Reporting, Request, Response


class Destination(Protocol):
    """One configured API. It decides and never does: sending is the caller's work.

    `REPORTING` says when it wants to hear of an incident, `FIELDS` what a rule may set under `send.<name>`.
    """

    REPORTING: ClassVar[Reporting]
    FIELDS: ClassVar[tuple[Field, ...]]

    @property
    def name(self) -> str:
        """The name under `destinations:` in the configuration."""
        ...

    def compose(self, message: Message) -> Composed:
        """The payload as it will be stored, shown and sent; the same message always gives the same payload.

        It never holds a secret of the destination.
        """
        ...

    def request(self, payload: Mapping[str, JSON], action: Action) -> Request:
        """The complete request that carries the `payload` composed for an `action`, secrets included."""
        ...

    def interpret(self, response: Response) -> Outcome:
        """What an answer means for the delivery; never `Ambiguous`, for there is an answer."""
        ...
