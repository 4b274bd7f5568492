"""What was concluded, as events in Alertmanager's shape: one for each reason, to be decided in its turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime

import orjson

from alertbridge.model import JSON, Event, instant
from alertbridge.reconcile.judge import Adoption, End, LeftOut


def events_of(
    source: str,
    *,
    ends: Iterable[End] = (),
    adoptions: Iterable[Adoption] = (),
    now: datetime,
    new_id: Callable[[], str],
) -> list[Event]:
    """Events that say `ends` and `adoptions`.

    An end names its alert by fingerprint alone: labels are not stored, and it goes where the alert is known to fire.
    """
    ended: dict[str, list[JSON]] = defaultdict(list)
    for end in ends:
        ended[end.reason].append(
            {
                "status": "resolved",
                "labels": {},
                "annotations": {},
                "startsAt": instant(end.starts_at),
                "endsAt": instant(end.ended_at),
                "fingerprint": end.fingerprint,
            }
        )
    taken: dict[tuple[str, LeftOut], list[JSON]] = defaultdict(list)
    for one in adoptions:
        taken[one.reason, one.left_out].append(_as_said(one))
    said = [
        Event(new_id(), source, now, _body("resolved", alerts), inferred=reason)
        for reason, alerts in ended.items()
    ]
    said += [
        Event(new_id(), source, now, _body("firing", alerts, left_out), adopted=reason)
        for (reason, left_out), alerts in taken.items()
    ]
    return said


def _as_said(adoption: Adoption) -> JSON:
    listed = adoption.listed
    return {
        "status": "firing",
        "labels": listed.labels,
        "annotations": listed.annotations,
        "startsAt": instant(listed.starts_at),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": listed.generator_url,
        "fingerprint": listed.fingerprint,
    }


def _body(status: str, alerts: list[JSON], left_out: LeftOut | None = None) -> bytes:
    around = left_out or LeftOut("")
    return orjson.dumps(
        {
            "version": "4",
            "receiver": around.receiver,
            "status": status,
            "groupLabels": dict(sorted(around.group)),
            "externalURL": around.external_url,
            "alerts": alerts,
        }
    )
