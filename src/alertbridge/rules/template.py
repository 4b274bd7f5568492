"""Jinja2 templates over one alert: everything that can be refused is refused when the rules are loaded."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NoReturn

import jinja2
from jinja2 import meta, nodes

from alertbridge.errors import RenderingFailed, TemplateError
from alertbridge.rules.filters import METER, PREPARED
from alertbridge.rules.grammar import Metering, check
from alertbridge.rules.lookup import Columns, check_lookups
from alertbridge.rules.meter import Meter, bounded
from alertbridge.rules.prepared import Prepared
from alertbridge.rules.references import TEMPLATES, Naming, name_in, names_used, prepare
from alertbridge.rules.sandbox import Sandbox
from alertbridge.rules.severity import SeverityWords

MAX_LENGTH = 10_000
DEEPEST = 10  # templates within templates

# A service may be part of a key, and a key must not change while the alert fires.
SERVICE_NAMES = frozenset(["labels", "source", "fingerprint", "lookup"])
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
    """A compiled template; `literal` is the result where the text holds no Jinja, `names` what it uses.

    `uses` are the templates that it names; their `names` are among its own. `depth` counts how many stand within
    each other, and `cost` how many operations it holds.
    """

    text: str
    literal: str | None = field(repr=False, compare=False)
    names: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    uses: Mapping[str, Template] = field(default_factory=dict, repr=False, compare=False)
    depth: int = field(default=1, repr=False, compare=False)
    cost: int = field(default=1, repr=False, compare=False)
    _prepared: Prepared | None = field(default=None, repr=False, compare=False)
    _program: jinja2.Template | None = field(default=None, repr=False, compare=False)

    @classmethod
    def compile(cls, text: str, *, names: frozenset[str], vocabulary: Vocabulary | None = None) -> Template:
        """The template written as `text`, which may use `names` and what is in the `vocabulary` only.

        Raises TemplateError for wrong syntax, unknown names and what templates must not do.
        """
        if len(text) > MAX_LENGTH:
            problem = f"the template has {len(text)} characters, at most {MAX_LENGTH} are allowed"
            raise TemplateError(problem, "shorten it", MAX_LENGTH)
        if not _JINJA.search(text):
            return cls(text, text.strip())
        try:
            return _compiled(text, names, vocabulary or Vocabulary())
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
        try:
            return self.expand({**context, METER: Meter()})
        except Exception as error:  # whatever a template may raise, it must not stop the alert
            raise RenderingFailed(_reason(error)) from error

    def expand(self, names: Mapping[str, object]) -> str:
        """The text as part of a larger rendering, whose meter is among `names`; raises what a template may raise."""
        if self.literal is not None:
            return self.literal
        assert self._program is not None
        pieces: list[str] = []
        size = 0
        for piece in self._program.generate(names, **{PREPARED: self._prepared}):
            size += len(piece)
            bounded(size)
            pieces.append(piece)
        return "".join(pieces).strip()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a template may refer to besides the alert: templates by name, what words mean which severity, and lookup tables."""

    templates: Mapping[str, Template] = field(default_factory=dict)
    severities: SeverityWords = field(default_factory=lambda: SeverityWords({}))
    columns: Columns = field(default_factory=dict)


def templates_in(text: str) -> frozenset[str]:
    """The named templates that the template written as `text` uses; none where it is no good template."""
    try:
        return names_used(_parsed(text))
    except Exception:  # noqa: BLE001 - what is wrong is said when it is compiled
        return frozenset()


def _parsed(text: str) -> nodes.Template:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a pattern such as '\d' stays as it is written
        return _SANDBOX.parse(text)


def _compiled(text: str, names: frozenset[str], vocabulary: Vocabulary) -> Template:
    def refuse(node: nodes.Node, problem: str, remedy: str) -> NoReturn:
        named = name_in(node)
        offset = _line(text, node.lineno or 1) if named is None else _named_at(named, text)
        raise TemplateError(problem, remedy, offset)

    tree = _parsed(text)
    check(tree, filters=_SANDBOX.filters, tests=_SANDBOX.tests, refuse=refuse)
    prepared = prepare(tree, templates=vocabulary.templates, severities=vocabulary.severities, refuse=refuse)
    used = _used_names(tree, text, names)
    check_lookups(tree, text, vocabulary.columns)
    uses = {name: vocabulary.templates[name] for name in prepared.templates}
    _check_uses(uses, text, names)
    cost = sum(1 for _ in tree.find_all(nodes.Node))
    tree = Naming().visit(tree)
    Metering().visit(tree)
    tree.set_environment(_SANDBOX)
    used = used.union(*(template.names for template in uses.values()))
    depth = 1 + max((template.depth for template in uses.values()), default=0)
    return Template(text, None, used, uses, depth, cost, prepared, _SANDBOX.from_string(tree))


def _check_uses(uses: Mapping[str, Template], text: str, names: frozenset[str]) -> None:
    """Refuse templates that use what is not to be had here, and too many of them within each other."""
    for name, template in sorted(uses.items()):
        offset = _named_at(name, text)
        for wanted in sorted(template.names - names):
            way = ", which uses ".join(f"{TEMPLATES}.{step}" for step in (name, *_way(template, wanted)))
            raise TemplateError(
                f"{_why_not(wanted, names)}: {way}, which uses {wanted}",
                f"use {', '.join(sorted(names))}",
                offset,
            )
        if template.depth > DEEPEST:
            raise TemplateError(
                f"templates use each other more than {DEEPEST} levels deep",
                "write a flatter template",
                offset,
            )


def _way(template: Template, wanted: str) -> list[str]:
    """The names of the templates that lead to one that uses `wanted` itself."""
    way: list[str] = []
    while inner := next((name for name, one in template.uses.items() if wanted in one.names), None):
        way.append(inner)
        template = template.uses[inner]
    return way


def _named_at(name: str, text: str) -> int:
    """Where the template of that name is used first."""
    found = re.search(rf"\b{TEMPLATES}\b\s*(?:\.\s*|\[\s*['\"]){re.escape(name)}\b", text)
    return found.start() if found else 0


def _used_names(tree: nodes.Template, text: str, names: frozenset[str]) -> frozenset[str]:
    """The names taken from the alert; raises TemplateError for those that are not to be had."""
    for name in tree.find_all(nodes.Name):
        if name.ctx == "store" and name.name in CONTENT_NAMES | {TEMPLATES}:
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
    used = frozenset(meta.find_undeclared_variables(tree)) - assigned - {TEMPLATES}
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
        return f"a key, or a label that may be part of one, is built from identity only, because {name} would change while the alert fires"
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
