"""Tests of rules held against the rest of the configuration: the names they use, and the order of their steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path as FilePath

from pydantic_core import PydanticCustomError

from alertbridge.config.document import Data, Document, Path
from alertbridge.config.refuse import expected, plain
from alertbridge.config.suggest import remedy
from alertbridge.config.trial_settings import NONE, Tests, TrialExpectation, TrialSettings
from alertbridge.config.units import read_duration
from alertbridge.errors import Problem

_OWN = tuple(TrialExpectation.model_fields)


@dataclass(frozen=True, slots=True)
class Trial:
    """A test with the place where it is written."""

    settings: TrialSettings
    file: str
    line: int

    @property
    def folder(self) -> FilePath:
        """Where the paths of its payloads begin."""
        return FilePath(self.file).parent


def placed(document: Document, tests: Tests) -> tuple[Trial, ...]:
    """The tests of one file, each with its place."""
    return tuple(
        Trial(test, document.file, document.place(("tests", index)).line) for index, test in enumerate(tests)
    )


class TrialChecker:
    """Finds what no test by itself can show to be wrong; reads raw data, so that one mistake hides no other."""

    def __init__(
        self,
        *,
        sources: Iterable[str],
        destinations: Iterable[str],
        rules: Iterable[str],
        heartbeats: Iterable[str] = (),
    ) -> None:
        self._sources = tuple(sources)
        self._destinations = tuple(destinations)
        self._rules = tuple(rules)
        self._heartbeats = tuple(heartbeats)

    def check(self, document: Document) -> Iterator[Problem]:
        """What is wrong with the tests of one file."""
        for path, test in _mappings(document.data.get("tests"), ("tests",)):
            yield from self._source(document, path, test)
            yield from self._expectation(document, (*path, "expect"), test.get("expect"))
            steps = list(_mappings(test.get("sequence"), (*path, "sequence")))
            for place, step in steps:
                yield from self._source(document, place, step)
                yield from self._expectation(document, (*place, "expect"), step.get("expect"))
            yield from self._alerts(document, [(path, test), *steps])
            yield from _backwards(document, steps)

    def _source(self, document: Document, path: Path, data: Mapping[str, Data]) -> Iterator[Problem]:
        name = data.get("source")
        if isinstance(name, str) and name.strip() and name not in self._sources:
            advice = remedy(name, self._sources, noun="known sources")
            yield document.problem((*path, "source"), f'there is no source "{name}"', advice)

    def _alerts(self, document: Document, steps: list[tuple[Path, Mapping[str, Data]]]) -> Iterator[Problem]:
        heard = False
        for path, step in steps:
            alerts = list(_mappings([step["alert"]], (*path,))) if "alert" in step else []
            several = list(_mappings(step.get("alerts"), (*path, "alerts")))
            for place, alert in [((*path, "alert"), each) for _, each in alerts] + several:
                yield from self._source(document, place, alert)
                if alert.get("labels") is None and not heard:
                    yield document.problem(place, "the alert has no labels", "add `labels: {alertname: ...}`")
                heard = True
            heard = heard or "payload" in step
            for word in ("resolve", "fire"):
                if word in step and not heard:
                    yield document.problem(
                        (*path, word),
                        "nothing was heard before this step",
                        "begin with `alert:` or `payload:`",
                    )

    def _expectation(self, document: Document, path: Path, data: Data) -> Iterator[Problem]:
        if not isinstance(data, dict):
            return
        rule = data.get("rule")
        named = [((*path, "rule"), rule)] if isinstance(rule, str) else []
        if isinstance(rule, list):
            named = [
                ((*path, "rule", index), each) for index, each in enumerate(rule) if isinstance(each, str)
            ]
        for place, name in named:
            if name not in self._rules:
                advice = remedy(name, self._rules, noun="known rules")
                yield document.problem(place, f'there is no rule "{name}"', advice)
        yield from self._heartbeat(document, (*path, "heartbeat"), data.get("heartbeat"))
        for name, messages in data.items():
            if name in _OWN:
                continue
            if name not in self._destinations:
                advice = remedy(name, (*self._destinations, *_OWN), noun="known keys and destinations")
                yield document.problem((*path, name), f'there is no destination "{name}"', advice, key=True)
            else:
                yield from _messages(document, (*path, name), messages)

    def _heartbeat(self, document: Document, path: Path, data: Data) -> Iterator[Problem]:
        names = (
            [((*path, i), each) for i, each in enumerate(data)] if isinstance(data, list) else [(path, data)]
        )
        for place, name in names:
            if isinstance(name, str) and name not in self._heartbeats:
                advice = remedy(name, self._heartbeats, noun="known heartbeats")
                yield document.problem(place, f'there is no heartbeat "{name}"', advice)


def _messages(document: Document, path: Path, data: Data) -> Iterator[Problem]:
    """Whether `data` says which messages a destination gets."""
    if data == NONE:
        return
    if not isinstance(data, list | dict):
        what, advice = plain(expected("a mapping", data))
        several = f"{what}, a list of them or {NONE}" if data is None else what
        yield document.problem(path, several, f"{advice}; for no message at all write {NONE}")
        return
    for index, each in enumerate(data if isinstance(data, list) else [data]):
        place = (*path, index) if isinstance(data, list) else path
        if not isinstance(each, dict):
            yield document.problem(place, *plain(expected("a mapping", each)))
            continue
        held, skipped = each.get("held"), each.get("skipped", False)
        if "held" in each and not (isinstance(held, list) and all(isinstance(name, str) for name in held)):
            yield document.problem((*place, "held"), "expected a list of names", "write `held: [pr_number]`")
        if not isinstance(skipped, bool):
            yield document.problem((*place, "skipped"), "expected true or false", "write `skipped: true`")


def _backwards(document: Document, steps: list[tuple[Path, Mapping[str, Data]]]) -> Iterator[Problem]:
    """The steps whose `at` lies before that of the step above."""
    passed = timedelta(0)
    for path, step in steps:
        at = str(step.get("at", "+0")).strip()
        try:
            moment = passed + read_duration(at[1:]) if at.startswith("+") else read_duration(at)
        except PydanticCustomError:
            continue
        if moment < passed:
            yield document.problem(
                (*path, "at"), "the step is earlier than the one before", "put the steps in order of time"
            )
        passed = max(passed, moment)


def _mappings(data: Data, path: Path) -> Iterator[tuple[Path, Mapping[str, Data]]]:
    for index, each in enumerate(data if isinstance(data, list) else []):
        if isinstance(each, dict):
            yield (*path, index), each
