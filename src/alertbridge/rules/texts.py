"""`truncate`, `slug` and `json`: what is made of one value alone."""

from __future__ import annotations

import json
import re
import unicodedata

from alertbridge.rules.meter import bounded

_NOT_IN_SLUGS = re.compile(r"[^a-z0-9]+")


def truncate(
    value: object,
    length: int = 255,
    killwords: bool = True,  # noqa: FBT001, FBT002 - the arguments are Jinja's
    end: str = "...",
    leeway: int = 0,
) -> str:
    """The text, cut so that with `end` it has at most `length` characters; at a blank where `killwords` is false.

    A text that is at most `leeway` longer than that stays whole.
    """
    text = str(value)
    if len(text) <= length + leeway:
        return text
    room = length - len(end)
    if room < 0:
        return text[: max(0, length)]
    kept = text[:room]
    if not killwords and not text[room].isspace():
        kept = kept.rpartition(" ")[0] or kept
    return kept + end


def slug(value: object) -> str:
    """Small ASCII letters and digits, with a hyphen for whatever stands between; accents are taken off."""
    text = str(value)
    bounded(len(text))
    letters = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(sign for sign in letters if not unicodedata.combining(sign))
    return _NOT_IN_SLUGS.sub("-", plain).strip("-")


def as_json(value: object) -> str:
    """JSON, with every character as it is: `<` stays `<`."""
    return json.dumps(value, ensure_ascii=False, default=dict)
