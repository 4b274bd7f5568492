"""Every error alertbridge raises on purpose, and who is expected to handle it.

    AlertbridgeError
    ├── ConfigurationError      one or many Problems in the operator's files
    ├── MalformedBody           a request body that is not what its source sends
    ├── RefusedText             a piece of rule text, refused when the rules are loaded
    │   ├── MatcherError
    │   ├── PatternError
    │   └── TemplateError
    ├── RenderingFailed         a template that failed on one alert
    ├── SecretError             a secret that cannot be read
    └── StoreError
        ├── StoreLocked         another daemon holds this database
        ├── StoreFull           no room left; new work is refused until there is
        └── StoreBroken         the disk lied or failed; the process must end
            └── StoreCorrupt    what the database holds makes no sense; a restart does not mend it

What is expected in normal work (a destination that says no, a rate limit) is an Outcome, not an error.
"""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override


class AlertbridgeError(Exception):
    """The root of all errors raised on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the operator's files: where it is, what it is, what to do about it.

    `line` and `column` count from 1; 0 means that the place is not known more closely.
    `field` is a path such as `sources.prod.auth.bearer_token_file` or `rules[2].when[0]`.
    """

    file: str
    line: int
    column: int
    field: str
    problem: str
    remedy: str = ""
    level: str = "error"

    @override
    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{place}: {self.field}: {self.problem}" if self.field else f"{place}: {self.problem}"
        return f"{text}; {self.remedy}" if self.remedy else text


class ConfigurationError(AlertbridgeError):
    """The configuration cannot be used; `problems` names every mistake found, in file order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class MalformedBody(AlertbridgeError):  # noqa: N818 - names what happened, as the contract does
    """A body is not what this kind of source sends; `place` is a path such as `alerts[3].startsAt`."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}" if place else problem)
        self.place = place
        self.problem = problem


class RefusedText(AlertbridgeError):  # noqa: N818 - see above
    """A piece of rule text was refused; `remedy` says what to write instead, `offset` where (from 0)."""

    def __init__(self, problem: str, remedy: str = "", offset: int = 0) -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy
        self.offset = offset


class MatcherError(RefusedText):
    """A matcher such as `severity =~ "critical|page"` cannot be read."""


class PatternError(RefusedText):
    """A regular expression is invalid, or of a kind that is refused."""


class TemplateError(RefusedText):
    """A template is refused when the rules are loaded: its syntax, or a name it must not use."""


class RenderingFailed(AlertbridgeError):  # noqa: N818 - see above
    """A template failed on one alert; the field falls back to its default."""


class SecretError(AlertbridgeError):
    """A secret cannot be read; the message never holds any part of it."""


class StoreError(AlertbridgeError):
    """The database cannot do what was asked."""


class StoreLocked(StoreError):  # noqa: N818 - see above
    """Another daemon works on this database."""


class StoreFull(StoreError):  # noqa: N818 - see above
    """The disk is full: nothing new can be accepted until there is room."""


class StoreBroken(StoreError):  # noqa: N818 - see above
    """A write or sync failed; what the disk holds is unknown, so the process ends and restarts."""


class StoreCorrupt(StoreBroken):
    """What the database holds makes no sense: it is set aside or refused at the next start."""
