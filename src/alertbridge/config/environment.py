"""`${NAME}` in the strings of a configuration, replaced from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\})?")


class Mistake(NamedTuple):
    """What is wrong with a reference, and what to do; neither holds any of the text around it."""

    problem: str
    remedy: str
    offset: int


def substitute(text: str, environ: Mapping[str, str]) -> tuple[str, tuple[Mistake, ...]]:
    """Replace `${NAME}` and `${NAME:-default}`; `$${` becomes a literal `${`.

    The default stands in for a name that is unset or empty. A name that is unset and has no default is a mistake,
    and so is a `${` that begins no such reference.
    """
    if "${" not in text:
        return text, ()
    mistakes: list[Mistake] = []

    def replacement(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        if found[0] == "$${":
            return "${"
        if name is None:
            mistakes.append(
                Mistake(
                    "`${` begins no environment variable",
                    "write ${NAME} or ${NAME:-default}, or $${ for a literal ${",
                    found.start(),
                )
            )
            return ""
        value = environ.get(name)
        if default is not None:
            return value or str(default[2:])
        if value is None:
            mistakes.append(
                Mistake(
                    f"the environment variable {name} is not set",
                    f"set it, or write ${{{name}:-default}}",
                    found.start(),
                )
            )
            return ""
        return value

    return _REFERENCE.sub(replacement, text), tuple(mistakes)
