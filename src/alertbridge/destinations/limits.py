"""Making values fit what an API takes: texts are cut, ids are hashed, URLs are never cut."""

from __future__ import annotations

import hashlib
import json
import re

from alertbridge.model import JSON

ELLIPSIS = "…"

_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_LONGEST_SCHEME = len("https://")


def clean(text: str) -> str:
    """`text` without what JSON readers and databases choke on: NUL is dropped, a lone surrogate becomes `?`."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def plain(value: JSON) -> str:
    """`value` as clean text without blanks around it; None is the empty text, anything but text is its JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=dict)
    return clean(text).strip()


def cut(text: str, limit: int) -> str:
    """`text`, at most `limit` characters of it, ending in `…` where something was cut off.

    A URL stays whole or goes whole, and the mark never touches one. Empty if nothing would be left.
    """
    if len(text) <= limit:
        return text
    end = limit - len(ELLIPSIS)
    for url in _URL.finditer(text[: limit + _LONGEST_SCHEME]):
        if url.start() < end <= url.end():
            end = url.start()
            break
    return text[:end] + ELLIPSIS if text[:end].strip() else ""


def identifier(text: str, limit: int) -> str:
    """`text` itself if it is clean and fits, else its beginning and its SHA-256, which is as distinct."""
    cleaned = clean(text)
    if cleaned == text and len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{cleaned[: limit - len(digest) - 1]}-{digest}"
