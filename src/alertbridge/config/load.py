"""From files to a Configuration, or to every mistake in them at once.

    read        each file into a Document: data with places            files.py, parse.py
    choose      the type of each source and destination                kinds.py
    fill        secrets, inline or from their files                    secret_reader.py
    validate    sections and rules                                     settings.py, explain.py
    compile     conditions and templates, against the destinations     compile.py
    advise      what works and is still worth a warning                advice.py
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from alertbridge.config.advice import advise
from alertbridge.config.compile import Compiler
from alertbridge.config.document import Document
from alertbridge.config.explain import explain
from alertbridge.config.files import MAIN, RULES, find_rule_files, read_document
from alertbridge.config.findings import Findings
from alertbridge.config.kinds import choose_types, destination_types
from alertbridge.config.rule_settings import RuleFile
from alertbridge.config.secret_reader import SecretReader
from alertbridge.config.section import Section
from alertbridge.config.settings import Settings
from alertbridge.config.values import Folders
from alertbridge.errors import ConfigurationError, Problem
from alertbridge.model import JSON, Secret
from alertbridge.rules.rulebook import Rulebook

_S = TypeVar("_S", bound=Section)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that can be used.

    `settings` holds the rules and tests of all files, in the order in which they are tried. `hash` is the SHA-256, in
    hexadecimal digits, of the names and contents of `files`, comments and secrets left out. `secret_files` leads from
    a setting such as `destinations.elven.url` to the file that holds it.
    """

    settings: Settings
    rulebook: Rulebook
    hash: str
    files: tuple[Path, ...]
    secrets: tuple[Secret, ...]
    base: Path
    warnings: tuple[Problem, ...] = ()
    secret_files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _File:
    """A rule file, or the main file."""

    path: Path
    document: Document
    data: Mapping[str, Any]  # with Secrets in their places


def load(path: Path, *, environ: Mapping[str, str]) -> Configuration:
    """The configuration in the main file at `path` and the rule files that it names.

    Raises:
        ConfigurationError: with every mistake found, sorted by file and line.
    """
    loading = _Loading(path, environ)
    configuration = loading.configuration()
    problems = loading.findings.all()
    if configuration is None or problems:
        raise ConfigurationError(problems)
    return configuration


class _Loading:
    """One load: goes on after a mistake as far as it makes sense, to find the others too."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.findings = Findings()
        self._path = path
        self._base = Path(os.path.abspath(path)).parent  # noqa: PTH100 - a link to the file stays where it is
        self._environ = environ
        credentials = environ.get("CREDENTIALS_DIRECTORY")
        self._folders = Folders(self._base, Path(credentials) if credentials else None)

    def configuration(self) -> Configuration | None:
        """The configuration, as far as there are no findings."""
        main = self._read(self._path, str(self._path), MAIN)
        if main is None:
            return None
        reader = SecretReader(folders=self._folders)
        data, problems = choose_types(main)
        self.findings.add(problems)
        data = reader.fill(main, Settings, data)
        self.findings.add(reader.problems)
        settings = self._validate(Settings, main, data)
        files = [_File(self._base / self._path.name, main, data), *self._rule_files(main)]
        parts = [settings, *(self._validate(RuleFile, file.document, file.data) for file in files[1:])]
        compiler = Compiler(destinations=destination_types(main))
        digest = _digest(files, self._base)
        rules = compiler.rules([file.document for file in files], parts)
        self.findings.add(compiler.problems)
        ...
