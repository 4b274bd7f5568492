"""Reads a regular expression in RE2's syntax into a tree, for the question whether it is ambiguous."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?([:)])")
_GROUP = re.compile(r"\((?:\?P?<\w+>)?")
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:[pP]\{\^?\w+\}|[pP].|x\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
_REPEAT = re.compile(r"(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??")
_ZERO_WIDTH = frozenset(["^", "$", r"\A", r"\b", r"\B", r"\z"])
_UNREAD = frozenset([r"\C", r"\Q"])
_DEEPEST = 50


class Unreadable(Exception):  # noqa: N818 - it says what the text is; nothing is wrong with it
    """The expression uses something this reader does not know; RE2 may still take it."""


@dataclass(frozen=True, slots=True)
class Atom:
    """Exactly one character out of `members`; `text` is how it was written."""

    text: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other; no parts match the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any one of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The body from `least` to `most` times (None: without bound), written at `start:end`."""

    body: Node
    least: int
    most: int | None
    start: int
    end: int


Node: TypeAlias = Atom | Sequence | Choice | Repeat


def read(text: str, members: Callable[[str], frozenset[str]]) -> Node:
    """The tree of an expression that RE2 has accepted.

    `members` tells which characters of a fixed sample a one-character expression such as `[a-z]` matches.
    Raises Unreadable for what RE2 knows and this reader does not.
    """
    return _Reader(text, members).choice(0)


class _Reader:
    """Walks over the text once; `flags` are those in force at the current place."""

    def __init__(self, text: str, members: Callable[[str], frozenset[str]]) -> None:
        self._text = text
        self._members = members
        self._at = 0
        self._flags: frozenset[str] = frozenset()

    def choice(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise Unreadable
        parts = [self._sequence(depth)]
        while self._text.startswith("|", self._at):
            self._at += 1
            parts.append(self._sequence(depth))
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            part = self._repeated(depth)
            if part != Sequence(()):
                parts.append(part)
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, depth: int) -> Node:
        start = self._at
        node = self._group(depth) if self._text[start] == "(" else self._one()
        while repeat := _REPEAT.match(self._text, self._at):
            self._at = repeat.end()
            least, most = _bounds(repeat)
            node = Repeat(node, least, most, start, self._at)
        return node

    def _group(self, depth: int) -> Node:
        if flags := _FLAGS.match(self._text, self._at):
            self._at = flags.end()
            before = self._flags
            self._flags = (before | set(flags[1] or "")) - set(flags[2] or "")
            if flags[3] == ")":
                return Sequence(())
        else:
            before = self._flags
            self._at = _required(_GROUP.match(self._text, self._at)).end()
        node = self.choice(depth + 1)
        self._flags = before
        self._at += 1  # the closing parenthesis
        return node

    def _one(self) -> Node:
        kinds = {"[": _CLASS, "\\": _ESCAPE}
        if kind := kinds.get(self._text[self._at]):
            text = _required(kind.match(self._text, self._at))[0]
        else:
            text = self._text[self._at]
        self._at += len(text)
        if text in _UNREAD:
            raise Unreadable
        if text in _ZERO_WIDTH:
            return Sequence(())
        flags = "".join(sorted(self._flags & {"i", "s"}))
        return Atom(text, self._members(f"(?{flags}){text}" if flags else text))


def _bounds(repeat: re.Match[str]) -> tuple[int, int | None]:
    if repeat[1]:
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[repeat[1]]
    least = int(repeat[2])
    if not repeat[3]:
        return least, least
    return least, int(repeat[4]) if repeat[4] else None


def _required(match: re.Match[str] | None) -> re.Match[str]:
    if match is None:
        raise Unreadable
    return match
