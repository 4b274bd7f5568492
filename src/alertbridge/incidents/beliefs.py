"""What is believed of the alerts of one source, for those who ask the source whether it is true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Believed:
    """An alert that fires in an open incident, as far as is known."""

    fingerprint: str
    starts_at: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of the alerts of one source.

    `open` are those that fire in open incidents. `firing` are believed to fire though no incident is open for them;
    `inferred` are those whose last end was inferred: both only among those that were asked about. `doubted` holds
    firings that may be old news, with the end that they seem to be older than.
    """

    open: Mapping[str, Believed] = field(default_factory=dict)
    firing: frozenset[str] = frozenset()
    inferred: frozenset[str] = frozenset()
    doubted: Mapping[str, datetime] = field(default_factory=dict)
