"""Why a webhook was not taken."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from alertbridge.errors import AlertbridgeError, StoreError, StoreFull

RETRY_LATER: Mapping[str, str] = MappingProxyType({"Retry-After": "5"})
_NONE: Mapping[str, str] = MappingProxyType({})


class Refused(AlertbridgeError):  # noqa: N818 - names what happened, as errors.py does
    """A request is answered with an error status; `title` is one of few constant texts, `detail` helps the sender."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] = _NONE) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers


def about_to_end() -> Refused:
    """The daemon takes nothing new."""
    return Refused(503, "Shutting down", "this daemon is about to end; send it again", RETRY_LATER)


def not_stored(error: StoreError) -> Refused:
    """What was sent is not on disk."""
    title = "Storage full" if isinstance(error, StoreFull) else "Storage unavailable"
    return Refused(503, title, "it could not be stored; send it again", RETRY_LATER)
