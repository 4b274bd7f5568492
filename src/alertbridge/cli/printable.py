"""What alerts and vendors say, as it may be shown on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` on one line, without what could steer a terminal: such characters are shown as escapes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
