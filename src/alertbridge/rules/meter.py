"""What one rendering of a template may cost: so much work, and values of so much size."""

from __future__ import annotations

from collections.abc import Mapping

LARGEST_VALUE = 65_536  # characters, or as many items
MOST_WORK = 2_000_000  # a tenth of a second or so, in the worst of cases
PER_STEP = 16  # what an operation, or an item of a list, costs besides the characters handled


class TooMuch(Exception):  # noqa: N818 - becomes a RenderingFailed before it leaves the rules
    """A template wants more work or larger values than it is given."""


class Meter:
    """Counts down the work of one rendering."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MOST_WORK

    def charge(self, work: int) -> None:
        """Take `work` off what is left; raises TooMuch when that was not enough."""
        self._left -= work
        if self._left < 0:
            raise TooMuch("the template does too much work; loop over less")

    def charge_for(self, *values: object) -> None:
        """Charge one operation that reads, or has made, these values."""
        items = sum(len(value) for value in values if isinstance(value, list | tuple | Mapping))
        self.charge(PER_STEP * (1 + items) + sum(weight(value) for value in values))


def bounded(size: int, already: int = 0) -> None:
    """Raise TooMuch for a value larger than allowed, unless it was made of one `already` that large."""
    if size > max(LARGEST_VALUE, already):
        raise TooMuch(f"a value grew beyond {LARGEST_VALUE} characters")


def weight(value: object, most: int = MOST_WORK) -> int:
    """How large a value is, in characters and items, all that it holds included; counting ends beyond `most`."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int):
        return 1 + value.bit_length() // 8
    if not isinstance(value, list | tuple | Mapping):
        return 1
    total = 3 * len(value) if isinstance(value, Mapping) else len(value)  # an entry weighs as its pair would
    for item in value:
        total += weight(item, most)
        if isinstance(value, Mapping):
            total += weight(value[item], most)
        if total > most:
            break
    return total
