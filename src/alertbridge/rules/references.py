"""What a template refers to by a fixed text: other templates, patterns, time zones, severities.

All of it is checked and prepared when the template is compiled; what is not written out cannot be, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from alertbridge.errors import RefusedText, TemplateError
from alertbridge.model import Severity
from alertbridge.rules.filters import NAMED
from alertbridge.rules.grammar import Refuse
from alertbridge.rules.moments import WALL_TIME, check_format, zone_named
from alertbridge.rules.prepared import Expandable, Prepared
from alertbridge.rules.severity import SeverityWords
from alertbridge.rules.substitution import Substitution

TEMPLATES = "templates"


def names_used(tree: nodes.Template) -> frozenset[str]:
    """The names of the templates that this one uses."""
    return frozenset(name for _, name in _uses(tree) if name is not None)


def prepare(
    tree: nodes.Template, *, templates: Mapping[str, Expandable], severities: SeverityWords, refuse: Refuse
) -> Prepared:
    """What the template needs while it runs; refuses the first reference that is no good."""
    for node, name in _uses(tree):
        if name is None:
            refuse(node, "a template is used by its name alone", f"write {TEMPLATES}.name")
        if name not in templates:
            refuse(node, f"there is no template {name}", _known(name, templates))
    substitutions: dict[tuple[str, str], Substitution] = {}
    zones: dict[str, ZoneInfo] = {}
    for node in tree.find_all(nodes.Filter):
        try:
            match node.name:
                case "regex_replace":
                    pattern, replacement = _texts(node, ("pattern", "replacement"), needed=2)
                    substitutions[pattern, replacement] = Substitution.compile(pattern, replacement)
                case "localtime":
                    zone, form = (*_texts(node, ("timezone", "format"), needed=1), WALL_TIME)[:2]
                    zones[zone] = zone_named(zone)
                    check_format(form)
                case "severity":
                    _check_fallback(node, severities)
                case _:
                    pass
        except RefusedText as error:
            refuse(node, error.problem, error.remedy)
    used = {name: templates[name] for name in names_used(tree)}
    return Prepared(used, substitutions, zones, severities)


def name_in(node: nodes.Node) -> str | None:
    """The name of the template whose text this is: `title` of `templates.title`, None of anything else."""
    match node:
        case nodes.Getattr(node=nodes.Name(name="templates"), attr=str(name)):
            return name
        case nodes.Getitem(node=nodes.Name(name="templates"), arg=nodes.Const(value=str(name))):
            return name
        case _:
            return None


class Naming(NodeTransformer):
    """Makes `templates.name` a call of the filter that gives that template's text."""

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802 - found by this name
        """As an attribute."""
        return self._text_of(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - found by this name
        """As an item."""
        return self._text_of(node)

    def _text_of(self, node: nodes.Getattr | nodes.Getitem) -> nodes.Node:
        name = name_in(node)
        if name is None:
            return self.generic_visit(node)
        return nodes.Filter(nodes.Const(name), NAMED, [], [], None, None, lineno=node.lineno)


def _uses(tree: nodes.Template) -> Iterator[tuple[nodes.Node, str | None]]:
    """Every use of a template, with its name, or None where that is not written out."""
    named: set[int] = set()
    accesses: list[nodes.Getattr | nodes.Getitem]
    accesses = [*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem)]
    for node in accesses:
        name = name_in(node)
        if name is not None:
            named.add(id(node.node))
            yield node, name
    for bare in tree.find_all(nodes.Name):
        if bare.name == TEMPLATES and bare.ctx == "load" and id(bare) not in named:
            yield bare, None


def _known(name: str, templates: Mapping[str, object]) -> str:
    if not templates:
        return f"add it under `{TEMPLATES}:`"
    near = get_close_matches(name, templates, 1)
    known = f"there are {', '.join(sorted(templates))}"
    return f"did you mean {near[0]}? {known}" if near else known


def _texts(node: nodes.Filter, names: tuple[str, ...], *, needed: int) -> tuple[str, ...]:
    """The arguments, each a text that is written out; raises TemplateError."""
    given = dict(zip(names, node.args, strict=False)) | {each.key: each.value for each in node.kwargs}
    usage = f"write {node.name}({', '.join(repr(name) for name in names[:needed])})"
    if len(node.args) > len(names) or not given.keys() <= {*names} or not given.keys() >= {*names[:needed]}:
        raise TemplateError(f"{node.name} takes {' and '.join(names)}", usage)
    texts: list[str] = []
    for name in names[: len(given)]:
        value = given[name]
        if not isinstance(value, nodes.Const) or not isinstance(value.value, str):
            raise TemplateError(
                f"the {name} of {node.name} must stand there as a text in quotes, so that it can be checked",
                usage,
            )
        texts.append(value.value)
    return tuple(texts)


def _check_fallback(node: nodes.Filter, words: SeverityWords) -> None:
    """Refuse a fallback that is itself unknown, where it is written out."""
    for value in (*node.args, *(each.value for each in node.kwargs)):
        if (
            isinstance(value, nodes.Const)
            and value.value is not None
            and words.meaning(str(value.value)) is None
        ):
            five = [severity.word for severity in reversed(Severity)]
            near = get_close_matches(str(value.value), five, 1)
            remedy = f"did you mean {near[0]}?" if near else f"write one of {', '.join(five)}"
            raise TemplateError("the fallback is no known severity", remedy)
