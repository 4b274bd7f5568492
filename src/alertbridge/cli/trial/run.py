"""One test after the other: hear its steps, compare what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alertbridge.cli.trial.cast import Cast
from alertbridge.cli.trial.compare import Difference, compare
from alertbridge.cli.trial.world import Said, World
from alertbridge.config.trial_settings import TrialStep
from alertbridge.config.trials import Trial
from alertbridge.errors import AlertbridgeError
from alertbridge.incidents.state import Heard
from alertbridge.model import Alert, Notification
from alertbridge.pipeline import Bridge, Feed

Read = Callable[[Path], bytes]

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)  # where the clock stands in a test without a captured notification
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Result:
    """How one test went: `differences` is empty where it passed. `reached` are the rules that matched an alert."""

    trial: Trial
    differences: tuple[Difference, ...]
    reached: frozenset[str]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which rules some test reached, and which none, in the order they are tried."""

    reached: tuple[str, ...]
    unreached: tuple[str, ...]


def run(bridge: Bridge, trial: Trial, *, read: Read) -> Result:
    """Run one test in a world of its own; `read` gives the bytes of a captured notification, or raises OSError."""
    play = _Play(bridge, trial, read)
    try:
        play.perform()
        differences = tuple(play.differences())
    except (AlertbridgeError, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        differences = (Difference(play.place, "a test that can be run", reason),)
    return Result(trial, differences, frozenset(rule for each in play.heard() for rule in each.rules))


def cover(bridge: Bridge, results: Iterable[Result]) -> Coverage:
    """What `results` say of every rule."""
    reached = frozenset[str]().union(*(result.reached for result in results))
    names = [rule.name for rule in bridge.rulebook.rules]
    return Coverage(
        tuple(name for name in names if name in reached), tuple(name for name in names if name not in reached)
    )


class _Play:
    def __init__(self, bridge: Bridge, trial: Trial, read: Read) -> None:
        self._bridge = bridge
        self._trial = trial
        self._read = read
        self._source = trial.settings.source or next(iter(bridge.feeds), "")
        self._sequence = trial.settings.sequence is not None
        self._heard: list[tuple[Heard, ...]] = []
        self._marks: list[int] = []
        self._said: list[Said] = []
        self.place = ""

    def perform(self) -> None:
        start = self._start()
        world = World(self._bridge, start=start)
        cast = Cast(start=start, source=self._source)
        self._said = world.said
        for index, step in enumerate(self._trial.settings.steps):
            self.place = f"sequence[{index}]" if self._sequence else ""
            world.approach(self._moment(step, world.now, start))
            self._marks.append(len(world.said))
            world.catch_up()
            heard: list[Heard] = []
            for source, said in self._notifications(step, cast, world.now):
                cast.remember(said.alerts)
                heard += world.hear(said, source=source)
            self._heard.append(tuple(heard))
        world.finish()

    def heard(self) -> list[Heard]:
        return [each for several in self._heard for each in several]

    def differences(self) -> Iterator[Difference]:
        reporting = {name: one.REPORTING for name, one in self._bridge.destinations.items()}
        setting = [rule.name for rule in self._bridge.rulebook.rules if not rule.settles]
        ends = [*self._marks[1:], len(self._said)]
        for index, step in enumerate(self._trial.settings.steps):
            if step.expect is not None:
                said = self._said[self._marks[index] : ends[index]]
                heard = self._heard[index]
                for one in compare(step.expect, heard=heard, said=said, reporting=reporting, setting=setting):
                    yield Difference(f"sequence[{index}]: {one.place}", one.expected, one.actual, one.note)
        whole = self._trial.settings.expect
        if whole is not None:
            yield from compare(
                whole, heard=self.heard(), said=self._said, reporting=reporting, setting=setting
            )

    def _notifications(
        self, step: TrialStep, cast: Cast, now: datetime
    ) -> Iterator[tuple[str, Notification]]:
        """What is heard in one step, by source: a captured notification, or alerts."""
        if step.payload is not None:
            source = step.source or self._source
            yield source, self._captured(step, now)
            return
        alerts: list[Alert] = []
        if step.resolve is not None:
            alerts = cast.resolved(now)
        elif step.fire is not None:
            alerts = cast.firing(now)
        else:
            written = [step.alert] if step.alert is not None else list(step.alerts or ())
            for each in written:
                alerts.append(cast.say(each, now=now, source=step.source))
                cast.remember(alerts[-1:])
        if (step.resolve or step.fire) and not alerts:
            raise AlertbridgeError(
                "nothing fires that could be resolved" if step.resolve else "nothing was heard"
            )
        for source in dict.fromkeys(alert.source for alert in alerts):
            self._feed(source)
            yield source, Notification(tuple(alert for alert in alerts if alert.source == source))

    def _captured(self, step: TrialStep, received_at: datetime) -> Notification:
        source = step.source or self._source
        feed = self._feed(source)
        path = self._trial.folder / (step.payload or "")
        try:
            return feed.parser.parse(self._read(path), source=source, received_at=received_at)
        except AlertbridgeError as error:
            raise AlertbridgeError(f"{path}: {error}") from error

    def _feed(self, source: str) -> Feed:
        feed = self._bridge.feeds.get(source)
        if feed is None:
            raise AlertbridgeError("there is no source that this could come from; add one under `sources:`")
        return feed

    def _start(self) -> datetime:
        """As the test says; or such that the first captured notification is as fresh as it was; or always the same."""
        if self._trial.settings.start is not None:
            return self._trial.settings.start
        elapsed = BEGIN - BEGIN
        for index, step in enumerate(self._trial.settings.steps):
            self.place = f"sequence[{index}]" if self._sequence else ""
            if step.at is not None:
                elapsed = elapsed + step.at.span if step.at.after_previous else step.at.span
            if step.payload is not None:
                return self._newest(step, BEGIN + elapsed) - elapsed
        return BEGIN

    def _moment(self, step: TrialStep, now: datetime, start: datetime) -> datetime:
        if step.at is not None:
            return max(now, now + step.at.span if step.at.after_previous else start + step.at.span)
        captured = step.payload is not None and self._trial.settings.start is None
        return max(now, self._newest(step, now)) if captured else now

    def _newest(self, step: TrialStep, otherwise: datetime) -> datetime:
        """The latest instant in a captured notification."""
        alerts = self._captured(step, _NEVER).alerts
        instants = [moment for alert in alerts for moment in (alert.starts_at, alert.ends_at) if moment]
        return max((moment for moment in instants if moment < _NEVER), default=otherwise)
