"""`regex_replace`: every match of a pattern in a text replaced, by the regular expressions that matchers use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from alertbridge.errors import PatternError
from alertbridge.rules.meter import PER_STEP, Meter, bounded
from alertbridge.rules.pattern import searching

_REFERENCE = re.compile(r"\$(.?)|([^$]+)", re.DOTALL)
_PER_SEARCH = 64  # how many steps of RE2's slowest way of matching cost one unit of work
_WRITTEN_ESCAPES = {"\b": r"\\b", "\x01": "$1", "\x02": "$2", "\x03": "$3"}


@dataclass(frozen=True, slots=True)
class Substitution:
    """A pattern, found anywhere in a text, and what stands there afterwards; made by `compile`."""

    _program: Any = field(repr=False, compare=False)
    _parts: tuple[str | int, ...]

    @classmethod
    def compile(cls, pattern: str, replacement: str) -> Substitution:
        """The substitution of `pattern` by `replacement`, in which `$1` to `$9` are groups, `$0` the whole match.

        Raises PatternError.
        """
        for sign, meant in _WRITTEN_ESCAPES.items():
            if sign in pattern or sign in replacement:
                raise PatternError(
                    "a backslash and a letter or digit became a control character", f"write {meant}"
                )
        program = searching(pattern)
        return cls(program, tuple(_parts(replacement, program.groups)))

    def apply(self, text: str, meter: Meter) -> str:
        """The text with every match replaced, from left to right; the meter pays for each search."""
        bounded(len(text))
        text = text.encode(errors="replace").decode()  # half of a surrogate pair is no text to RE2
        cost = 4 + self._program.programsize
        found = self._program.finditer(text)
        pieces: list[str] = []
        size = end = 0
        while True:
            meter.charge(PER_STEP + (len(text) - end) * cost // _PER_SEARCH)
            match = next(found, None)
            if match is None:
                break
            put = [part if isinstance(part, str) else match.group(part) or "" for part in self._parts]
            pieces += (text[end : match.start()], *put)
            size += match.start() - end + sum(map(len, put))
            bounded(size)
            end = match.end()
        pieces.append(text[end:])
        return "".join(pieces)


def _parts(replacement: str, groups: int) -> Iterator[str | int]:
    """Texts, and the numbers of the groups between them."""
    for found in _REFERENCE.finditer(replacement):
        sign, plain = found.groups()
        if plain:
            yield plain
        elif sign == "$":
            yield "$"
        elif sign.isdecimal() and sign.isascii():
            if int(sign) > groups:
                many = f"{groups} group{'' if groups == 1 else 's'}"
                raise PatternError(f"there is no group ${sign}: the pattern has {many}", "put ( ) around it")
            yield int(sign)
        else:
            raise PatternError(
                "a lone $ in the replacement", "write $1 to $9 for a group, $$ for a dollar sign"
            )
