"""What every monitoring system's reader promises; there is one file per system."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from alertbridge.model import Notification


class Source(Protocol):
    """Reads the request bodies of one kind of monitoring system; pure, so that a stored body can be read again."""

    def parse(self, body: bytes, *, source: str, received_at: datetime) -> Notification:
        """The alerts that `body` tells of, in its order, as said by the configured `source`.

        `received_at` is aware and in UTC; no instant in the result lies after it.

        Raises:
            MalformedBody: `body` is not what this kind of source sends.
        """
        ...
