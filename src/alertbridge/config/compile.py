"""Rules as they are written into rules as they are run; conditions, templates and destinations are checked here.

What is checked here is read from the file's own data, so that a mistake elsewhere in a rule hides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from alertbridge.config.document import Data, Document, Path
from alertbridge.config.heartbeats import HeartbeatCompiler
from alertbridge.config.rule_settings import RuleSettings
from alertbridge.config.sends import TARGETS, SendReader
from alertbridge.config.settings import Settings
from alertbridge.config.templates import TemplateReader
from alertbridge.errors import Problem
from alertbridge.incidents.digest import RULE as DIGEST_RULE
from alertbridge.rules.condition import All, read_condition
from alertbridge.rules.enrichment import Enrichment
from alertbridge.rules.lookup import Table
from alertbridge.rules.rulebook import Rule, Rulebook, Service
from alertbridge.rules.template import (
    CONTENT_NAMES,
    IDENTITY_NAMES,
    SERVICE_NAMES,
    Template,
    Vocabulary,
)


class Compiler:
    """Compiles the rules of one file after the other; collects their `problems` and the named templates `used`.

    `destinations` leads from names to types, to the empty text where the type is not known;
    `severities` are the words explained under that name.
    """

    def __init__(
        self, *, destinations: Mapping[str, str], severities: Iterable[str], vocabulary: Vocabulary
    ) -> None:
        self.problems: list[Problem] = []
        self.used: set[str] = set()
        self._vocabulary = vocabulary
        self._destinations = destinations
        self._severities = tuple(severities)
        self._places: dict[str, str] = {}  # a rule's name to where it stands first

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The names of all rules so far, those with mistakes too."""
        return tuple(self._places)

    def rules(self, document: Document, settings: Sequence[RuleSettings] | None) -> tuple[Rule, ...]:
        """The rules of one file, in order; none where `settings` is None because the file did not validate."""
        reader = TemplateReader(document, self._vocabulary)
        sends = SendReader(reader=reader, destinations=self._destinations, severities=self._severities)
        defaults = document.data.get("defaults")
        if isinstance(defaults, dict):  # also those that no rule needs
            _identity(reader, ("defaults",), defaults)
            sends.read(("defaults", "send"), defaults.get("send"), None)
        rules: list[Rule] = []
        written = document.data.get("rules")
        for index, data in enumerate(written if isinstance(written, list) else []):
            if isinstance(data, dict):
                own = settings[index] if settings is not None else None
                rule = self._rule(reader, sends, ("rules", index), data, own)
                rules += [rule] if rule else []
        self.problems += reader.problems
        self.used |= reader.used
        return tuple(rules)

    def _rule(
        self,
        reader: TemplateReader,
        sends: SendReader,
        path: Path,
        data: Mapping[str, Data],
        settings: RuleSettings | None,
    ) -> Rule | None:
        self._check_name(reader, (*path, "name"), data.get("name"))
        when = _when(reader, (*path, "when"), data)
        key, service = _identity(reader, path, data)
        sets = _enrichment(reader, (*path, "set"), data.get("set"))
        send = sends.read((*path, "send"), data.get("send"), settings)
        if settings is None:
            return None
        return Rule(
            name=settings.name,
            when=when,
            send=send,
            key=key,
            service=service,
            drop=settings.drop,
            continues=settings.continues,
            reopen_window=settings.reopen_window,
            min_duration=settings.min_duration,
            sets=sets if settings.sets else None,
            active=tuple(one.window for one in settings.active),
        )

    def _check_name(self, reader: TemplateReader, path: Path, name: Data) -> None:
        if not isinstance(name, str):
            return
        document = reader.document
        if name == DIGEST_RULE:
            reader.refuse(path, f'no rule may be called "{name}"', "rename it: this name is built in")
        if name in self._places:
            problem = f"a rule of this name stands already at {self._places[name]}"
            reader.refuse(path, problem, "rename one of the two")
        self._places.setdefault(name, f"{document.file}:{document.place(path).line}")


def _identity(
    reader: TemplateReader, path: Path, data: Mapping[str, Data]
) -> tuple[Template | None, Template | None]:
    """The templates of key and service."""
    key, service = data.get("key"), data.get("service")
    return (
        reader.read((*path, "key"), key, names=IDENTITY_NAMES) if isinstance(key, str) else None,
        reader.read((*path, "service"), service, names=SERVICE_NAMES) if isinstance(service, str) else None,
    )


def _when(reader: TemplateReader, path: Path, data: Mapping[str, Data]) -> All:
    if "when" not in data:
        return All(())
    if data["when"] is None:
        reader.refuse(path, "nothing stands here", "remove the line if the rule is for every alert")
        return All(())
    condition, refusals = read_condition(data["when"], path)
    for refusal in refusals:
        reader.refuse_text(refusal.path, refusal.error)
    return condition


def _enrichment(reader: TemplateReader, path: Path, data: Data) -> Enrichment:
    """What a rule sets; labels may become part of keys, and so they are made of what keys may be made of."""
    written = data if isinstance(data, dict) else {}

    def templates(where: str, names: frozenset[str]) -> dict[str, Template]:
        entries = written.get(where)
        found = {
            name: reader.read((*path, where, name), text, names=names)
            for name, text in (entries.items() if isinstance(entries, dict) else ())
        }
        return {name: template for name, template in found.items() if template is not None}

    return Enrichment(templates("labels", IDENTITY_NAMES), templates("annotations", CONTENT_NAMES))


def rulebook(
    rules: tuple[Rule, ...],
    *,
    settings: Settings,
    destinations: Mapping[str, str],
    tables: Iterable[Table],
    digest: str,
    beats: HeartbeatCompiler,
) -> Rulebook:
    """The rules with the catalogue, the tables and the destinations that they refer to."""
    return Rulebook(
        rules=rules,
        severities=settings.severities,
        services={
            name: Service(one.repo_url or "", one.pr_number or "", one.affected_systems)
            for name, one in settings.services.items()
        },
        targets={name: TARGETS[kind] for name, kind in destinations.items()},
        hash=digest,
        heartbeats=tuple(beats.heartbeats),
        own=tuple(beats.own),
        tables=tables,
    )
