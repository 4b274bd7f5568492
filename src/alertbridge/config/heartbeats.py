"""`heartbeats:` as they are written into heartbeats as they are listened for, each with the rule for its silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from alertbridge.config.document import Data, Document, Path
from alertbridge.config.heartbeat_settings import HeartbeatSettings
from alertbridge.config.kinds import words
from alertbridge.config.rule_settings import RuleSettings
from alertbridge.config.sends import SendReader
from alertbridge.config.suggest import remedy
from alertbridge.config.templates import TemplateReader
from alertbridge.errors import Problem
from alertbridge.rules.condition import All, read_condition
from alertbridge.rules.heartbeat import SELF, Heartbeat, key_of, rule_of
from alertbridge.rules.matcher import Matcher, Operator
from alertbridge.rules.rulebook import Rule, Send
from alertbridge.rules.template import IDENTITY_NAMES, Template, Vocabulary

_SECTION = "heartbeats"


class HeartbeatCompiler:
    """Compiles the heartbeats of the main file; collects their `problems` and the named templates `used`.

    `destinations` leads from names to types; `severities` are the words explained under that name.
    """

    def __init__(
        self,
        document: Document,
        *,
        destinations: Mapping[str, str],
        severities: tuple[str, ...],
        vocabulary: Vocabulary,
    ) -> None:
        self.heartbeats: list[Heartbeat] = []
        self.own: list[Rule] = []
        self._reader = TemplateReader(document, vocabulary)
        self._sends = SendReader(reader=self._reader, destinations=destinations, severities=severities)
        self._rules: Sequence[str] = ()
        self._names: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all, those with mistakes too."""
        return tuple(self._names)

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with them."""
        return self._reader.problems

    @property
    def used(self) -> set[str]:
        """The templates that they use by name."""
        return self._reader.used

    def compile(self, settings: Sequence[HeartbeatSettings] | None, *, rules: Sequence[str]) -> None:
        """Read all; `settings` is None because the file did not validate.

        `rules` are the names of the rules, which no heartbeat's own rule may have.
        """
        self._rules = rules
        for path, data in _entries(self._reader.document):
            self._check_name((*path, "name"), data.get("name"))
            when = self._when((*path, "when"), data)
            holds = self._condition((*path, "holds"), data.get("holds"))
            own = settings[int(path[1])] if settings is not None else None
            stand_in = RuleSettings.model_construct(name="", send=own.send) if own else None
            send = self._sends.read((*path, "send"), data.get("send"), stand_in)
            if own is not None:
                self.heartbeats.append(
                    Heartbeat(own.name, when, own.every, own.grace, own.severity, own.hold_resolves, holds)
                )
                self.own.append(_own_rule(own.name, send))

    def _check_name(self, path: Path, name: Data) -> None:
        if not isinstance(name, str):
            return
        line = self._reader.document.place(path).line
        if name in self._names:
            problem = f"a heartbeat of this name stands already on line {self._names[name]}"
            self._reader.refuse(path, problem, "rename one of the two")
        elif rule_of(name) in self._rules:
            self._reader.refuse(
                path, f'there is a rule "{rule_of(name)}"', "rename the rule: this name is built in"
            )
        self._names.setdefault(name, line)

    def _when(self, path: Path, data: Mapping[str, Data]) -> All:
        if "when" not in data:
            return All(())  # the settings say that it is missing
        before = len(self.problems)
        condition = self._condition(path, data["when"])
        if not condition.parts and len(self.problems) == before:
            problem = "every alert would be a beat, and open no incident"
            self._reader.refuse(path, problem, "write which alerts are: `when: [alertname = Watchdog]`")
        return condition

    def _condition(self, path: Path, data: Data) -> All:
        condition, refusals = (All(()), []) if data is None else read_condition(data, path)
        for refusal in refusals:
            self._reader.refuse_text(refusal.path, refusal.error)
        return condition


def standing_first(heartbeats: Sequence[Heartbeat]) -> tuple[Rule, ...]:
    """The heartbeats as rules that take their alerts before every other."""
    return tuple(
        Rule(
            name=one.rule,
            when=one.when,
            send={},
            key=None,
            service=None,
            drop=True,
            continues=False,
            reopen_window=timedelta(0),
            min_duration=timedelta(0),
        )
        for one in heartbeats
    )


def heartbeat_places(document: Document) -> dict[str, tuple[Document, Path]]:
    """The name of every heartbeat's own rule with the place where the heartbeat stands."""
    return {
        rule_of(name): (document, path)
        for path, data in _entries(document)
        if isinstance(name := data.get("name"), str)
    }


def unknown_ping_destinations(document: Document) -> Iterator[Problem]:
    """A mistake for every destination that a ping names and that is not there."""
    pings, known = document.data.get("pings"), words(document, "destinations")
    for ping, data in pings.items() if isinstance(pings, dict) else ():
        names = data.get("destinations") if isinstance(data, dict) else None
        for index, name in enumerate(names if isinstance(names, list) else []):
            if isinstance(name, str) and name.strip() and name not in known:
                advice = remedy(name, known, noun="known destinations")
                path = ("pings", ping, "destinations", index)
                yield document.problem(path, f'there is no destination "{name}"', advice)


def _entries(document: Document) -> Iterator[tuple[Path, Mapping[str, Data]]]:
    written = document.data.get(_SECTION)
    for index, data in enumerate(written if isinstance(written, list) else []):
        if isinstance(data, dict):
            yield (_SECTION, index), data


def _own_rule(name: str, send: Mapping[str, Send]) -> Rule:
    own = Matcher("source", "", Operator.EQUAL, SELF)
    return Rule(
        name=rule_of(name),
        when=All((own, Matcher("labels", "heartbeat", Operator.EQUAL, name))),
        send=send,
        key=Template.compile(key_of(name), names=IDENTITY_NAMES),
        service=None,
        drop=False,
        continues=False,
        reopen_window=timedelta(0),
        min_duration=timedelta(0),
    )
