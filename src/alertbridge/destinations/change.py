"""The change an incident is laid to: reading repository addresses and pull request numbers as people write them."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from alertbridge.model import JSON

_LONGEST_WRITTEN = 2_000
_OVER_SSH = re.compile(r"[\w.+-]+@(?P<host>[\w.-]+):(?P<path>[^:]+)")
_SCHEMES = {
    "https": "https",
    "http": "http",
    "ssh": "https",
    "git": "https",
    "git+ssh": "https",
    "git+https": "https",
}
_DEFAULT_PORTS = {"https": 443, "http": 80}
_NOT_IN_AN_ADDRESS = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff<>\"'`{}|\\^]")
_HOST = re.compile(r"\w[\w.-]*|\[[0-9a-f:.]+\]")
_NUMBER = re.compile(r"[#!]?0*(?P<number>[1-9][0-9]{0,17})")
_REQUEST_PATH = re.compile(r"/(?:pull|pulls|merge_requests|pull-requests|pullrequest)/(?P<number>[0-9]+)/?$")


def repository_url(value: JSON, *, keep_git_suffix: bool = False) -> str:
    """The repository's web address in one form, without credentials, or the empty text if `value` is none.

    `git@host:a/b`, `ssh://git@host/a/b` and their like become `https://host/a/b`.
    """
    if not isinstance(value, str) or len(value) > _LONGEST_WRITTEN:
        return ""
    written = value.strip()
    if over_ssh := _OVER_SSH.fullmatch(written):
        written = f"https://{over_ssh['host']}/{over_ssh['path']}"
    if _NOT_IN_AN_ADDRESS.search(written):
        return ""
    try:
        parts = urlsplit(written)
        place = _place(parts)
    except ValueError:  # an address that cannot be split, or a port that is none
        return ""
    path = re.sub(r"/+$" if keep_git_suffix else r"(?:/|\.git)+$", "", re.sub(r"/+", "/", parts.path))
    # A path with an @ is what is left of credentials that hold a slash.
    return place + path if place and path and "@" not in path else ""


def _place(parts: SplitResult) -> str:
    """Scheme, host and port, without the user; empty if it is not a place on the web."""
    scheme = _SCHEMES.get(parts.scheme, "")
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if not scheme or not _HOST.fullmatch(host):
        return ""
    # The port of an ssh or git address is not the port of its web pages.
    port = parts.port if parts.scheme in _DEFAULT_PORTS else None
    named = port is not None and port != _DEFAULT_PORTS[scheme]
    return f"{scheme}://{host}:{port}" if named else f"{scheme}://{host}"


def pull_request_number(value: JSON) -> str:
    """The number as text, from `44`, `"44"`, `#44`, `!44` or a pull or merge request's address; else empty."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return _digits(str(value)) if 0 < value < 10**18 else ""
    if not isinstance(value, str) or len(value) > _LONGEST_WRITTEN:
        return ""
    written = value.strip()
    if not re.match(r"https?://", written, re.IGNORECASE):
        return _digits(written)
    page = re.split(r"[?#]", written, maxsplit=1)[0]
    found = _REQUEST_PATH.search(page)
    return _digits(found["number"]) if found else ""


def _digits(written: str) -> str:
    found = _NUMBER.fullmatch(written)
    return found["number"] if found else ""
