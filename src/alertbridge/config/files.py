"""The configuration's files on disk: reading them, and finding the rule files that a pattern names."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from alertbridge.config.document import Document
from alertbridge.config.parse import MOST_BYTES, parse
from alertbridge.errors import Problem

MAIN: Final = "write `sources:`, `destinations:` and `rules:`, or begin with `alertbridge init`"
RULES: Final = "write `rules:` and a list below it, or remove the file"


def read_document(
    path: Path, *, file: str, environ: Mapping[str, str], begin: str
) -> tuple[Document | None, tuple[Problem, ...]]:
    """The document at `path`, called `file` in messages; None with the problems if it cannot be read."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None, (Problem(file, 0, 0, "", "the file does not exist", "correct the path"),)
    except IsADirectoryError:
        return None, (Problem(file, 0, 0, "", "this is a directory", "name a file in it"),)
    except PermissionError:
        return None, (Problem(file, 0, 0, "", "the file may not be read", "let the daemon's user read it"),)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a path"
        return None, (Problem(file, 0, 0, "", f"the file cannot be read: {reason}", "correct the path"),)
    return parse(content, file=file, environ=environ, begin=begin)


def find_rule_files(main: Document, *, base: Path) -> tuple[list[Path], list[Problem]]:
    """The files that `rules_files:` names, each once: pattern after pattern, by path within each.

    What is wrong with the setting's own shape is left to the settings.
    """
    found: dict[Path, None] = {}
    problems: list[Problem] = []
    patterns = main.data.get("rules_files")
    for index, pattern in enumerate(patterns if isinstance(patterns, list) else []):
        if not isinstance(pattern, str) or not pattern.strip():
            continue
        paths = _matching(pattern, base)
        if not paths:
            problem = main.problem(
                ("rules_files", index), "no file matches", f"put one below {base}, or remove the pattern"
            )
            problems.append(problem)
        found.update(dict.fromkeys(paths))
    return list(found), problems


def _matching(pattern: str, base: Path) -> list[Path]:
    try:
        names = glob.glob(pattern, root_dir=base, recursive=True)  # noqa: PTH207 - takes absolute patterns too
    except ValueError:
        return []
    return sorted(Path(os.path.normpath(base / name)) for name in names)
