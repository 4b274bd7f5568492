"""Who goes first where not everything can be sent at once. Pure.

The rank is the instant at which a message began to wait, moved back by what it matters: so it is computed once, never
changes, and whatever waits long enough goes before whatever is new.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from alertbridge.model import Severity

_A_SEVERITY = timedelta(minutes=15)
_NEWS = timedelta(minutes=5)


def rank(since: datetime, severity: Severity, *, news: bool) -> datetime:
    """The smaller, the sooner: each step of severity counts for 15 minutes of waiting, `news` for 5.

    News is that something has begun or is over; the rest only adds to what was said. So a critical message goes before
    an informational one that has waited up to an hour longer, and before no other.
    """
    return since - (severity - Severity.INFORMATIONAL) * _A_SEVERITY - (_NEWS if news else timedelta(0))
