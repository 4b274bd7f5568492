"""What decides about alerts, as it was written: what is kept of a configuration, and what its hash names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alertbridge.model import JSON


@dataclass(frozen=True, slots=True)
class Part:
    """What one file says that decides; `file` is its path as seen from the main file's folder."""

    file: str
    content: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything that decides, file by file, in the order in which rules are tried.

    It is shown to operators: no secret may stand in it. `hash` is the SHA-256, in hexadecimal digits, of its contents
    and of nothing else, so it tells nothing that they do not; what the files are called does not count.
    """

    parts: tuple[Part, ...]
    hash: str

    @classmethod
    def of(cls, parts: Iterable[Part]) -> RuleSet:
        """The set that these parts are; those that say nothing are left out."""
        telling = tuple(part for part in parts if part.content)
        text = json.dumps([part.content for part in telling], sort_keys=True)
        return cls(telling, hashlib.sha256(text.encode()).hexdigest())

    @property
    def count(self) -> int:
        """How many rules there are."""
        rules = [part.content.get("rules") for part in self.parts]
        return sum(len(written) for written in rules if isinstance(written, list))
