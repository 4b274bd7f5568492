"""Compares two configurations: on what a daemon has stored, or on captured notifications."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from alertbridge.cli.comparison.result import Comparison, Side, Standing
from alertbridge.cli.comparison.review import Review
from alertbridge.cli.comparison.touched import Ground, OpenIncident, Watch, stranded
from alertbridge.cli.stored import HASH_DIGITS, Stored
from alertbridge.config.difference import Difference, difference
from alertbridge.config.load import Configuration
from alertbridge.model import Event, Reporting
from alertbridge.parts import bridge


class Pair:
    """The current configuration and the new one, each with the file that was named."""

    def __init__(self, *, current: Configuration, new: Configuration, files: tuple[Path, Path]) -> None:
        self._current = current
        self._new = new
        self._files = files
        self._change = difference(current, new)

    def on_stored(
        self, stored: Stored, *, since: datetime | None, heard: Callable[[Event], None]
    ) -> Comparison:
        """On the events that the daemon has stored from `since` on, and its open incidents.

        What became of alerts that still fire is looked for further back too. Raises NoAnswer.
        """
        incidents = list(stored.open_incidents())
        watch = Watch(incidents)
        review = self._review(watch)
        for event in stored.events():
            heard(event)
            if since is None or event.received_at >= since:
                review.hear(event)
            elif watch.missing:
                review.look_back(event)
            else:
                break
        standing = self._standing(stored, incidents, watch)
        notices = (*self._other_rules(stored), *self._other_addresses(incidents))
        return self._comparison(review, since=since, standing=standing, notices=notices)

    def on_captured(self, events: Iterable[Event], *, heard: Callable[[Event], None]) -> Comparison:
        """On captured notifications: nothing is known of incidents then."""
        review = self._review(Watch(()))
        for event in events:
            heard(event)
            review.hear(event)
        return self._comparison(review, since=None, standing=None, notices=())

    def _review(self, watch: Watch) -> Review:
        return Review(
            current=bridge(self._current),
            new=bridge(self._new),
            gone=frozenset(self._change.sources.leaving),
            watch=watch,
        )

    def _standing(self, stored: Stored, incidents: list[OpenIncident], watch: Watch) -> Standing:
        lost = tuple(stranded(incidents, current=_ground(self._current), new=_ground(self._new)))
        without = {one.incident.id for one in lost}
        return Standing(
            daemon=stored.url,
            open=len(incidents),
            stranded=lost,
            rekeyed=tuple(one for one in watch.rekeyed() if one.incident.id not in without),
            unknown=tuple(one for one in watch.unknown() if one.incident.id not in without),
            undelivered=stored.undelivered(self._change.destinations.leaving),
            undecided=stored.undecided(self._change.sources.leaving),
        )

    def _other_rules(self, stored: Stored) -> Iterator[str]:
        used = stored.configuration_hash()
        if used is not None and used != self._current.hash[:HASH_DIGITS]:
            yield (
                f"the daemon does not run {self._files[0]} as it is here (hash {self._current.hash[:HASH_DIGITS]}), but "
                f"hash {used}: the two files are compared, so look whether it was reloaded, and read with the same environment"
            )

    def _other_addresses(self, incidents: list[OpenIncident]) -> Iterator[str]:
        for name in sorted(_other_address(self._change, self._new)):
            number = sum(1 for incident in incidents if incident.destination == name)
            if number:
                yield (
                    f"destination {name} gets another address or secret while {number} of its incidents are open: if it "
                    "leads to another service there, those stay open in the old one"
                )

    def _comparison(
        self, review: Review, *, since: datetime | None, standing: Standing | None, notices: tuple[str, ...]
    ) -> Comparison:
        sides = (self._current, self._new)
        current, new = (Side(str(file), side.hash) for file, side in zip(self._files, sides, strict=True))
        return Comparison(
            current=current,
            new=new,
            since=since,
            oldest=review.oldest,
            events=review.events,
            alerts=review.tally.alerts,
            changed=review.tally.changed,
            truncated=review.truncated,
            groups=review.tally.groups(),
            unread=review.unread,
            standing=standing,
            notices=notices,
        )


def _ground(configuration: Configuration) -> Ground:
    settings = configuration.settings
    return Ground(
        sources={name: one.type for name, one in settings.sources.items()},
        destinations={name: one.type for name, one in settings.destinations.items()},
    )


def _other_address(change: Difference, new: Configuration) -> set[str]:
    """Destinations that hear of incidents as they open and close, and whose secrets change: the address may be one."""
    told = {name for name, one in bridge(new).destinations.items() if one.REPORTING is Reporting.LIFECYCLE}
    return {*change.rekeyed} & told - {*change.destinations.leaving}
