"""The configuration's files on disk: reading them, and finding the rule files that a pattern names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from alertbridge.config.document import Document
from alertbridge.config.parse import MOST_BYTES, parse
from alertbridge.config.reading import Read, UnreadableError, read_bytes
from alertbridge.errors import Problem

MAIN: Final = "write `sources:`, `destinations:` and `rules:`, or begin with `alertbridge init`"
RULES: Final = "write `rules:` and a list below it, or remove the file"


def read_document(
    path: Path, *, file: str, environ: Mapping[str, str], begin: str, read: Read = read_bytes
) -> tuple[Document | None, tuple[Problem, ...]]:
    """The document at `path`, called `file` in messages; None with the problems if it cannot be read."""
    try:
        content = read(path, most=MOST_BYTES + 1)
    except UnreadableError as error:
        return None, (Problem(file, 0, 0, "", f"the file {error.problem}", error.remedy),)
    return parse(content, file=file, environ=environ, begin=begin)


def find_rule_files(
    main: Document, *, path: Path, find: Callable[[str, Path], list[Path]]
) -> tuple[list[Path], list[Problem]]:
    """The files that `rules_files:` of the main file at `path` names, each once: pattern after pattern, by path.

    `find` lists the files that match a pattern, which begins at a folder. What is wrong with the setting's own shape is left to the settings.
    """
    found: dict[Path, None] = {}
    problems: list[Problem] = []
    patterns = main.data.get("rules_files")
    for index, pattern in enumerate(patterns if isinstance(patterns, list) else []):
        if not isinstance(pattern, str) or not pattern.strip():
            continue
        paths = find(pattern, path.parent)
        place = ("rules_files", index)
        if not paths:
            advice = f"relative patterns begin at {path.parent}; add such a file, or remove the pattern"
            problems.append(main.problem(place, "no file matches", advice))
        if path in paths:
            advice = "keep rule files in a folder of their own, as rules.d/*.yaml"
            problems.append(main.problem(place, "the pattern matches the main file itself", advice))
            paths.remove(path)
        found.update(dict.fromkeys(paths))
    return list(found), problems
