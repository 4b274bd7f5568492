"""From files to a Configuration, or to every mistake in them at once.

read        each file into a Document: data with places            files.py, parse.py
defaults    what each rule takes from its file's `defaults:`       defaults.py
choose      the type of each source and destination                kinds.py
fill        secrets, inline or from their files                    secret_reader.py, astray.py
validate    sections and rules                                     settings.py, explain.py
look up     the tables for templates                               tables.py, csv_table.py
name        the templates that others use by name                  named.py
compile     conditions and templates, against the destinations     compile.py
reach       whether each rule can ever match                       shadows.py
check       the tests, against rules and destinations              trials.py
keep        what of all this decides, without secrets              deciding.py
advise      what works and is still worth a warning                advice.py, unknown_words.py
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from alertbridge.config.advice import advise
from alertbridge.config.astray import find_astray
from alertbridge.config.compile import Compiler, rulebook
from alertbridge.config.deciding import deciding
from alertbridge.config.defaults import with_defaults
from alertbridge.config.document import Document
from alertbridge.config.explain import explain
from alertbridge.config.files import MAIN, RULES, find_rule_files, read_document
from alertbridge.config.findings import Findings
from alertbridge.config.heartbeats import HeartbeatCompiler, unknown_ping_destinations
from alertbridge.config.kinds import check_forward, choose_types, destination_types, words
from alertbridge.config.named import NamedTemplates
from alertbridge.config.rule_settings import RuleFile
from alertbridge.config.schema import describe
from alertbridge.config.secret_reader import SecretReader
from alertbridge.config.secrets import Redactor
from alertbridge.config.section import Section
from alertbridge.config.settings import Settings
from alertbridge.config.shadows import find_shadows
from alertbridge.config.sight import Reader, Sight
from alertbridge.config.tables import TableReader
from alertbridge.config.trials import Trial, TrialChecker, placed
from alertbridge.config.values import Folders
from alertbridge.errors import ConfigurationError, Problem
from alertbridge.model import JSON, Secret, Severity
from alertbridge.rules.heartbeat import Heartbeat
from alertbridge.rules.rule_set import Part, RuleSet
from alertbridge.rules.rulebook import Rule, Rulebook
from alertbridge.rules.severity import SeverityWords

_S = TypeVar("_S", bound=Section)
_MOST_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that can be used.

    `settings` holds the rules, templates and tests of all files, in the order in which they are tried. `rule_set` is
    what of `files`, lookup tables among them, decides. `secret_files` leads from a setting such as
    `destinations.elven.url` to the file that holds it. `sight` is all that the load looked at.
    """

    settings: Settings
    rulebook: Rulebook
    rule_set: RuleSet
    files: tuple[Path, ...]
    secrets: tuple[Secret, ...]
    base: Path
    warnings: tuple[Problem, ...] = ()
    secret_files: Mapping[str, Path] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    sight: Sight = field(default_factory=Sight)

    @property
    def hash(self) -> str:
        """The name of what decides."""
        return self.rule_set.hash


class UnusableConfigurationError(ConfigurationError):
    """What a load raises; `sight` is all that it looked at, `secrets` those that it met."""

    def __init__(self, problems: tuple[Problem, ...], *, sight: Sight, secrets: tuple[Secret, ...]) -> None:
        super().__init__(problems)
        self.sight = sight
        self.secrets = secrets


def load(path: Path, *, environ: Mapping[str, str]) -> Configuration:
    """The configuration in the main file at `path` and the rule files that it names.

    If files change meanwhile, they are all read again, so that nothing is made of half of what was and half of what is.

    Raises:
        UnusableConfigurationError: with every mistake found, sorted by file and line.
    """
    tries = 1
    loading = _Loading(path, environ)
    configuration = loading.configuration()
    while tries < _MOST_TRIES and loading.reader.sight.again() != loading.reader.sight:
        tries += 1
        loading = _Loading(path, environ)
        configuration = loading.configuration()
    problems = loading.findings.all()
    if configuration is None or problems:
        assert problems, "what is not usable has a reason"
        raise UnusableConfigurationError(
            problems, sight=loading.reader.sight, secrets=loading.findings.hidden
        )
    return configuration


def documents(path: Path, *, environ: Mapping[str, str]) -> tuple[Document, ...]:
    """The main file at `path` and its rule files, with the place of everything in them; none that cannot be read."""
    return _Loading(path, environ).documents()


def json_schema() -> dict[str, JSON]:
    """The JSON Schema of a main file; a rule file holds `rules`, `defaults`, `templates` and `tests` only."""
    return describe()


class _Loading:
    """One load, which goes on after a mistake to find the others too."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.findings = Findings()
        self.reader = Reader()
        self._path = path
        self._base = Path(os.path.abspath(path)).parent  # noqa: PTH100 - a link leads nowhere else
        self._environ = environ
        credentials = environ.get("CREDENTIALS_DIRECTORY")
        self._folders = Folders(self._base, Path(credentials) if credentials else None, self.reader.read)

    def configuration(self) -> Configuration | None:
        """The configuration; None if there are findings that leave nothing to make one of."""
        main = self._read(self._path, str(self._path), MAIN)
        if main is None:
            return None
        data, problems = choose_types(main)
        secrets = SecretReader(folders=self._folders)
        data = secrets.fill(main, Settings, data)
        self.findings.hide(secrets.secrets)
        settings = self._validate(Settings, main, data)
        self.findings.add([*problems, *secrets.problems])
        tables = self._tables(main)
        rule_files = self._rule_files(main)
        self.findings.add(find_astray([main, *rule_files.values()], secrets.secrets))
        parts = [self._validate(RuleFile, document, document.data) for document in rule_files.values()]
        destinations = destination_types(main)
        explained = words(main, "severities")
        meant = settings.severities if settings else dict.fromkeys(explained, Severity.MODERATE)
        written = [(main, settings), *zip(rule_files.values(), parts, strict=True)]
        named = NamedTemplates(
            [document for document, _ in written], severities=SeverityWords(meant), columns=tables.columns
        )
        self.findings.add(named.problems)
        compiler = Compiler(destinations=destinations, severities=explained, vocabulary=named.vocabulary)
        beats = HeartbeatCompiler(
            main, destinations=destinations, severities=explained, vocabulary=named.vocabulary
        )
        rules = self._compile(compiler, beats, written)
        self.findings.add(check_forward(main))
        if settings is None or self.findings.all():
            return None
        trials = tuple(trial for document, part in written if part for trial in placed(document, part.tests))
        settings = _merged(settings, [part for part in parts if part is not None])
        said = self._said(data, rule_files, tables)
        clean = Redactor(tuple(secrets.secrets)).clean
        kept = RuleSet.of(
            Part(os.path.relpath(path, self._base), deciding(one, clean=clean)) for path, one in said
        )
        book = rulebook(
            rules,
            settings=settings,
            destinations=destinations,
            tables=tables.tables,
            digest=kept.hash,
            beats=beats,
        )
        return Configuration(
            settings=settings,
            rulebook=book,
            rule_set=kept,
            files=tuple(dict.fromkeys(path for path, _ in said)),
            secrets=tuple(dict.fromkeys(secrets.secrets)),
            base=self._base,
            warnings=self.findings.ordered(
                (
                    *advise([main, *rule_files.values()], settings, book),
                    *named.unused(compiler.used | beats.used),
                )
            ),
            secret_files=secrets.files,
            trials=trials,
            sight=self.reader.sight,
        )

    def _said(
        self, data: Mapping[str, Any], rule_files: Mapping[Path, Document], tables: TableReader
    ) -> list[tuple[Path, Mapping[str, Any]]]:
        """What each file says; the main file first, lookup tables last and by name."""
        return [
            (self._base / self._path.name, data),
            *((path, one.data) for path, one in rule_files.items()),
            *(
                (tables.files[one.name], {"table": one.name, "rows": one.rows})
                for one in sorted(tables.tables, key=attrgetter("name"))
            ),
        ]

    def _compile(
        self,
        compiler: Compiler,
        beats: HeartbeatCompiler,
        written: Sequence[tuple[Document, Settings | RuleFile | None]],
    ) -> tuple[Rule, ...]:
        """The rules of all files, in order, with the heartbeats before them, and the tests held against them."""
        rules: tuple[Rule, ...] = ()
        for document, part in written:
            rules += compiler.rules(document, part.rules if part else None)
        main, *rule_files = [document for document, _ in written]
        settings = written[0][1]
        beats.compile(
            settings.heartbeats if isinstance(settings, Settings) else None, rules=compiler.rule_names
        )
        self.findings.add([*compiler.problems, *beats.problems, *unknown_ping_destinations(main)])
        self._check_reach([main, *rule_files], rules, beats.heartbeats)
        self._check_trials(main, rule_files, rules=compiler.rule_names, heartbeats=beats.names)
        return rules

    def documents(self) -> tuple[Document, ...]:
        """The files, as they are written."""
        main = self._read(self._path, str(self._path), MAIN)
        return () if main is None else (main, *self._rule_files(main).values())

    def _check_reach(
        self, documents: Sequence[Document], rules: tuple[Rule, ...], heartbeats: Sequence[Heartbeat]
    ) -> None:
        """Which rule hides which can be told of rules that are as they are meant: without any other mistake."""
        if not any(problem.field.startswith(("rules", "heartbeats")) for problem in self.findings.all()):
            self.findings.add(find_shadows(documents, rules, heartbeats=heartbeats))

    def _check_trials(
        self,
        main: Document,
        rule_files: Iterable[Document],
        *,
        rules: Iterable[str],
        heartbeats: Iterable[str],
    ) -> None:
        checker = TrialChecker(
            sources=words(main, "sources"),
            destinations=words(main, "destinations"),
            rules=rules,
            heartbeats=heartbeats,
        )
        for document in (main, *rule_files):
            self.findings.add(checker.check(document))

    def _read(self, path: Path, file: str, begin: str) -> Document | None:
        document, problems = read_document(
            path, file=file, environ=self._environ, begin=begin, read=self.reader.read
        )
        self.findings.read(file, problems)
        return with_defaults(document) if document is not None else None

    def _rule_files(self, main: Document) -> dict[Path, Document]:
        paths, problems = find_rule_files(main, path=self._base / self._path.name, find=self.reader.find)
        self.findings.add(problems)
        documents: dict[Path, Document] = {}
        for path in paths:
            document = self._read(path, self._shown(path), RULES)
            if document is not None:
                documents[path] = document
        return documents

    def _tables(self, main: Document) -> TableReader:
        tables = TableReader(
            folders=self._folders, shown=self._shown, environ=self._environ, findings=self.findings
        )
        tables.read(main)
        return tables

    def _shown(self, path: Path) -> str:
        """The file's name as the operator would write it."""
        inside = path.is_relative_to(self._base)
        return str(self._path.parent / path.relative_to(self._base) if inside else path)

    def _validate(self, model: type[_S], document: Document, data: Mapping[str, Any]) -> _S | None:
        try:
            return model.model_validate(data, context=self._folders)
        except ValidationError as error:
            self.findings.add(explain(error, document=document, model=model))
            return None


def _merged(settings: Settings, parts: list[RuleFile]) -> Settings:
    """The settings with the rules, templates and tests of all files."""
    rules = settings.rules + tuple(rule for part in parts for rule in part.rules)
    templates = settings.templates | {name: text for part in parts for name, text in part.templates.items()}
    tests = settings.tests + tuple(test for part in parts for test in part.tests)
    return settings.model_copy(update={"rules": rules, "templates": templates, "tests": tests})
