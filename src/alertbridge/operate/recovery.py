"""What is done with the database before anything starts: what a crash interrupted is found, and the rules are noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from alertbridge import __version__
from alertbridge.clock import Clock
from alertbridge.config.load import Configuration
from alertbridge.errors import StoreCorrupt, StoreError, StoreFull
from alertbridge.model import DeliveryState, instant
from alertbridge.store import census, dispatch, inbox, latest, rule_sets, soundness
from alertbridge.store.store import Store

_WAITING = (DeliveryState.HELD, DeliveryState.PENDING)


def set_aside(path: Path, *, clock: Clock) -> Callable[[StoreCorrupt], None]:
    """What makes room for a fresh database where the one at `path` is damaged, and says so; StoreError if it cannot."""

    def move(error: StoreCorrupt) -> None:
        try:
            aside = soundness.set_aside(path, now=clock.now())
        except OSError as failure:
            raise StoreError(f"{error}. It cannot be moved: {failure.strerror}") from failure
        structlog.get_logger().critical(
            "database.set_aside", database=str(path), moved_to=str(aside), error=str(error)
        )

    return move


async def recover(store: Store, *, configuration: Configuration, clock: Clock) -> None:
    """Make ready for `configuration` a database that an earlier run has left, and log what was found there.

    Time goes on from where that run was, so that nothing counts as said in the future, unless that is days away.
    """
    log = structlog.get_logger()
    destinations = configuration.settings.destinations
    known = await store.read(lambda connection: latest.latest(connection, destinations))
    if known is not None and known > clock.now():
        believed = clock.resume(known)
        log.warning("clock.behind", latest=instant(known), believed=believed)
    now = clock.now()
    interrupted = await store.write(lambda connection: dispatch.recover(connection, now=now))
    undecided = await store.read(inbox.count_undecided)
    if interrupted or undecided:
        log.warning("daemon.recovered", ambiguous=interrupted, undecided=undecided)
    with suppress(StoreFull):  # whatever decides once there is room sees to it again
        await store.write(
            lambda connection: rule_sets.keep(
                connection, configuration.rule_set, version=__version__, now=now
            )
        )
    counted = (await store.read(census.take)).deliveries
    for name, waiting in _waiting(counted).items():
        if waiting and name not in destinations:
            log.warning("destination.gone", destination=name, waiting=waiting)


def _waiting(counted: Mapping[tuple[str, DeliveryState], int]) -> dict[str, int]:
    names = dict.fromkeys(name for name, _ in counted)
    return {name: sum(counted.get((name, state), 0) for state in _WAITING) for name in names}
