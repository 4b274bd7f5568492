"""Jinja2 templates over one alert: everything that can be refused is refused when the rules are loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NoReturn

import jinja2
from jinja2 import meta, nodes

from alertbridge.errors import RenderingFailed, TemplateError
from alertbridge.rules.filters import METER
from alertbridge.rules.grammar import Metering, check
from alertbridge.rules.meter import Meter, bounded
from alertbridge.rules.sandbox import Sandbox

MAX_LENGTH = 10_000

# A service may be part of a key, and a key must not change while the alert fires.
SERVICE_NAMES = frozenset(["labels", "source", "fingerprint"])
IDENTITY_NAMES = SERVICE_NAMES | {"service"}
CONTENT_NAMES = IDENTITY_NAMES | {
    "annotations",
    "status",
    "starts_at",
    "ends_at",
    "generator_url",
    "group",
    "external_url",
}

_JINJA = re.compile(r"\{[{%#]")
_GO_TEMPLATE = re.compile(r"\{\{-?\s*(?:[.$]|range\b|if\b|end\b)")
_HYPHENATED = re.compile(r"\b(labels|annotations|group)\.(\w+(?:-\w+)+)")
_UNENDED = re.compile(r"needs to be closed is '(\w+)'")
_SANDBOX = Sandbox()  # never changed after this


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template; `literal` is the result where the text holds no Jinja, `names` what it uses."""

    text: str
    literal: str | None = field(repr=False, compare=False)
    names: frozenset[str] = field(repr=False, compare=False)
    _program: jinja2.Template | None = field(repr=False, compare=False)

    @classmethod
    def compile(cls, text: str, *, names: frozenset[str]) -> Template:
        """The template written as `text`, which may use `names` only.

        Raises TemplateError for wrong syntax, unknown names and what templates must not do.
        """
        if len(text) > MAX_LENGTH:
            problem = f"the template has {len(text)} characters, at most {MAX_LENGTH} are allowed"
            raise TemplateError(problem, "shorten it", MAX_LENGTH)
        if not _JINJA.search(text):
            return cls(text, text.strip(), frozenset(), None)
        try:
            return _compiled(text, names)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(
                f"template syntax: {error.message}", _correction(text, error), _line(text, error.lineno)
            ) from error
        except (RecursionError, SyntaxError, MemoryError, ValueError, OverflowError) as error:
            raise TemplateError("the template is nested too deeply or holds too large a number") from error

    def render(self, context: Mapping[str, object]) -> str:
        """The text for one alert, without blanks around it; raises RenderingFailed with the reason.

        Work and size are bounded whatever the template does; see `meter`.
        """
        if self.literal is not None:
            return self.literal
        assert self._program is not None
        pieces: list[str] = []
        size = 0
        try:
            for piece in self._program.generate({**context, METER: Meter()}):
                size += len(piece)
                bounded(size)
                pieces.append(piece)
        except Exception as error:  # whatever a template may raise, it must not stop the alert
            raise RenderingFailed(_reason(error)) from error
        return "".join(pieces).strip()


def _compiled(text: str, names: frozenset[str]) -> Template:
    def refuse(node: nodes.Node, problem: str, remedy: str) -> NoReturn:
        raise TemplateError(problem, remedy, _line(text, node.lineno or 1))

    tree = _SANDBOX.parse(text)
    check(tree, filters=_SANDBOX.filters, tests=_SANDBOX.tests, refuse=refuse)
    used = _used_names(tree, text, names)
    Metering().visit(tree)
    tree.set_environment(_SANDBOX)
    return Template(text, None, used, _SANDBOX.from_string(tree))


def _used_names(tree: nodes.Template, text: str, names: frozenset[str]) -> frozenset[str]:
    """The names taken from the alert; raises TemplateError for those that are not to be had."""
    for name in tree.find_all(nodes.Name):
        if name.ctx == "store" and name.name in CONTENT_NAMES:
            raise TemplateError(
                f"{name.name} cannot be assigned to", "choose another name", _line(text, name.lineno)
            )
        if name.name == "self":  # Jinja's own, and so not undeclared
            raise _unavailable(name, text, names)
    assigned = {
        name.name
        for assign in tree.find_all(nodes.Assign)
        for name in _targets(assign)
        if name.ctx == "store"
    }
    used = frozenset(meta.find_undeclared_variables(tree)) - assigned
    for name in tree.find_all(nodes.Name):
        if name.name in used - names:
            raise _unavailable(name, text, names)
    return used


def _targets(assign: nodes.Assign) -> list[nodes.Name]:
    return (
        [assign.target] if isinstance(assign.target, nodes.Name) else list(assign.target.find_all(nodes.Name))
    )


def _unavailable(node: nodes.Name, text: str, names: frozenset[str]) -> TemplateError:
    start = _line(text, node.lineno)
    place = re.compile(rf"\b{re.escape(node.name)}\b").search(text, start)
    offset = place.start() if place else start
    available = ", ".join(sorted(names))
    if node.name in CONTENT_NAMES:
        return TemplateError(_why_not(node.name, names), f"use {available}", offset)
    hyphenated = next((m for m in _HYPHENATED.finditer(text) if node.name in m[2].split("-")[1:]), None)
    near = get_close_matches(node.name, sorted(names), 1)
    if hyphenated:
        remedy = f"write {hyphenated[1]}['{hyphenated[2]}']"
    elif near:
        remedy = f"did you mean {near[0]}? There are {available}"
    else:
        remedy = f"a label of this name is labels.{node.name}; there are {available}"
    return TemplateError(f"unknown name {node.name}", remedy, offset)


def _why_not(name: str, names: frozenset[str]) -> str:
    if name == "service":
        return "service is not known here yet"
    if names <= SERVICE_NAMES:
        return f"a service may be part of a key and is built from identity only, because {name} would change while the alert fires"
    if names <= IDENTITY_NAMES:
        return f"a key is built from identity only, because {name} would change while the alert fires"
    return f"{name} is not available here"


def _correction(text: str, error: jinja2.TemplateSyntaxError) -> str:
    """What to write instead of wrong syntax."""
    unended = _UNENDED.search(error.message or "")
    if _GO_TEMPLATE.search(text):
        return "this is Jinja2, not Go: write {{ labels.severity }}"
    if unended:
        return f"add {{% end{unended[1]} %}}"
    return "a value is written {{ labels.team }}, a condition {% if labels.team %}...{% endif %}"


def _line(text: str, number: int) -> int:
    """The offset of the first character that is not blank in a line, lines counted from 1."""
    before = "".join(text.splitlines(keepends=True)[: number - 1])
    rest = text[len(before) :]
    return len(before) + len(rest) - len(rest.lstrip())


def _reason(error: Exception) -> str:
    said = str(error) or type(error).__name__
    return f"the template failed: {said[:300]}"
