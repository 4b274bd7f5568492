"""All that is found out by comparing two configurations, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from alertbridge.cli.comparison.review import Unread
from alertbridge.cli.comparison.tally import Counted
from alertbridge.cli.comparison.touched import Rekeyed, Stranded, Unknown


@dataclass(frozen=True, slots=True)
class Side:
    """A configuration by its main file and its hash."""

    file: str
    hash: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the daemon at `daemon` has that is not finished, and what of it the new configuration leaves to nobody.

    `undelivered` counts messages by destination, `undecided` events by source, where that is not in the new one.
    """

    daemon: str
    open: int
    stranded: tuple[Stranded, ...] = ()
    rekeyed: tuple[Rekeyed, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    undelivered: Mapping[str, int] = field(default_factory=dict)
    undecided: Mapping[str, int] = field(default_factory=dict)

    @property
    def strands(self) -> bool:
        """Whether the new configuration leaves anything to nobody that the current one does not."""
        anew = any(not one.already for one in self.stranded)
        return anew or bool(self.undelivered or self.undecided)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`standing` is None where no daemon was asked. `since` is what was asked for, `oldest` what there was."""

    current: Side
    new: Side
    since: datetime | None
    oldest: datetime | None
    events: int
    alerts: int
    changed: int
    truncated: int
    groups: tuple[Counted, ...]
    unread: Mapping[str, Unread]
    standing: Standing | None
    notices: tuple[str, ...]

    @property
    def unchanged(self) -> int:
        """The alerts for which nothing differs."""
        return self.alerts - self.changed

    @property
    def strands(self) -> bool:
        """Whether anything is left to nobody."""
        return self.standing is not None and self.standing.strands
