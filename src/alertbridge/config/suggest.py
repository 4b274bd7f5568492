"""Remedies for a word that is not one of the words it may be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` most likely was meant to be, or None when none is near."""
    by_folded = {choice.casefold(): choice for choice in choices}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def remedy(word: object, choices: Iterable[str], *, noun: str) -> str:
    """Name the nearest choice, or else all of them: `did you mean "listen"?`, `known keys: a, b`."""
    known = list(dict.fromkeys(choices))
    near = nearest(word, known) if isinstance(word, str) else None
    if near is not None:
        return f'did you mean "{near}"?'
    return f"{noun}: {', '.join(known)}" if known else f"{noun}: none"
