"""SQL on when incidents ended, for events that are decided once more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from alertbridge.incidents.past import Past
from alertbridge.model import AlertId
from alertbridge.store.schema import incidents, members

_CHUNK = 5000  # far below the 32,766 parameters that one SQLite statement may have
_NAMES: BindParameter[str] = bindparam("names", expanding=True)
_OF_ALERTS = (
    select(
        members.c.fingerprint,
        incidents.c.destination,
        func.max(members.c.ends_at, type_=members.c.ends_at.type).label("ended"),
    )
    .join(incidents, members.c.incident == incidents.c.id)
    .where(
        members.c.source == bindparam("source"),
        members.c.fingerprint.in_(_NAMES),
        incidents.c.closed_at.is_not(None),
        members.c.ends_at.is_not(None),
    )
    .group_by(members.c.fingerprint, incidents.c.destination)
)
_OF_PLACES = (
    select(incidents.c.key, func.max(incidents.c.closed_at, type_=incidents.c.closed_at.type).label("ended"))
    .where(
        incidents.c.destination == bindparam("destination"),
        incidents.c.key.in_(_NAMES),
        incidents.c.closed_at.is_not(None),
    )
    .group_by(incidents.c.key)
)


def read_past(
    connection: Connection, by_source: Mapping[str, list[str]], by_destination: Mapping[str, list[str]]
) -> Past:
    """When these alerts and keys ended last, in the incidents that are kept."""
    return Past(
        alerts={
            (AlertId(source, row.fingerprint), row.destination): row.ended
            for source, fingerprints in by_source.items()
            for chunk in _chunks(fingerprints)
            for row in connection.execute(_OF_ALERTS, {"source": source, "names": chunk})
        },
        places={
            (destination, row.key): row.ended
            for destination, keys in by_destination.items()
            for chunk in _chunks(keys)
            for row in connection.execute(_OF_PLACES, {"destination": destination, "names": chunk})
        },
    )


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _CHUNK):
        yield names[start : start + _CHUNK]
