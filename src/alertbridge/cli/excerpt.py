"""The line of a file where a problem lies, with a caret under the place, and never a secret."""

from __future__ import annotations

import re
from typing import Final

_WIDTH: Final = 100
_BEFORE: Final = 60
_CUT: Final = "…"

# Where no secret belongs. Elsewhere a value may be one, or one that went astray, so only its key is shown.
_OPEN: Final = re.compile(
    r"(rules|defaults|templates|tests|services|severities|rules_files|log)\b|server\.listen$"
)
_SECRET: Final = re.compile(
    r"""(token|passw\w*|secret|credentials?|api_?key|(?<![\w-])(url|proxy))['"]?\s*:|://[^/\s]*@""",
    re.IGNORECASE,
)
_KEY: Final = re.compile(
    r"(?P<shown>\s*(?:- +)?(?:[A-Za-z_][A-Za-z0-9_.-]{0,39}|<<):)(?P<space>\s*)(?P<value>.*)"
)


def excerpt(line: str, *, column: int, field: str, rule_file: bool = False) -> tuple[str, str] | None:
    """What may be shown of `line`, and a line with a caret below its `column` (from 1); None if nothing may.

    `field` is the setting that the problem lies in, empty if the file could not be read that far. A rule file
    holds no secrets.
    """
    line = line.rstrip()
    if (rule_file or _OPEN.match(field)) and not _SECRET.search(line):
        return _marked(line, column)
    found = _KEY.fullmatch(line)
    if found is None or (found["value"] and not found["space"]):
        return None
    shown = found["shown"] + (found["space"] + _CUT if found["value"] else "")
    return _marked(shown, min(column, len(shown)))


def _marked(line: str, column: int) -> tuple[str, str]:
    start = max(0, column - 1 - _BEFORE) if len(line) > _WIDTH else 0
    window = line[start : start + _WIDTH]
    indent = "".join("\t" if character == "\t" else " " for character in line[start : column - 1])
    left = _CUT if start else ""
    right = _CUT if start + _WIDTH < len(line) else ""
    return f"{left}{window}{right}", f"{' ' * len(left)}{indent}^"
