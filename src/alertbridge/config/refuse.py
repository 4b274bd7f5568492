"""How a validator says no: with the problem and the remedy, and never with the value."""

from __future__ import annotations

from typing import Final

from pydantic_core import PydanticCustomError

REFUSED: Final = "refused"


def refused(problem: str, remedy: str) -> PydanticCustomError:
    """The error for a validator to raise; `explain.py` turns it into a Problem with its place."""
    return PydanticCustomError(REFUSED, "{problem}; {remedy}", {"problem": problem, "remedy": remedy})


def plain(error: PydanticCustomError) -> tuple[str, str]:
    """Problem and remedy of what `refused` made."""
    said = error.context or {}
    return said["problem"], said["remedy"]


def kind(value: object) -> str:
    """What sort of value it is, in the words of someone who writes YAML."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return "something else"


def expected(what: str, value: object) -> PydanticCustomError:
    """The error for a value of the wrong kind, with the remedy that fits what stands there."""
    got = kind(value)
    if value is None:
        remedy = "give it a value, or remove the line"
    elif what == "text":
        remedy = "write one piece of text" if isinstance(value, list | dict) else "put it in quotes"
    elif what == "a list":
        remedy = "write each item on a line of its own after `- `, or all in [brackets]"
    elif what == "a mapping":
        remedy = "write `key: value` lines below it, with a space after each colon"
    else:
        remedy = f"write {what}"
    return refused(f"expected {what}, got {got}", remedy)
