"""What may stand in a template: checked once, on its syntax tree, when the rules are loaded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from difflib import get_close_matches
from typing import NoReturn

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from alertbridge.rules.filters import JOINED, MEASURED, STEPS
from alertbridge.rules.sandbox import TEXT_METHODS

DEEPEST_LOOP = 2

# Called with the node that is refused, the problem and the remedy.
Refuse = Callable[[nodes.Node, str, str], NoReturn]

_ALLOWED = frozenset((
    "Template", "Output", "TemplateData", "If", "For", "Assign", "Name", "Const", "List", "Tuple",
    "Dict", "Pair", "CondExpr", "Compare", "Operand", "And", "Or", "Not", "Neg", "Pos", "Add", "Sub",
    "Mul", "Div", "FloorDiv", "Mod", "Pow", "Concat", "Filter", "Test", "Getattr", "Getitem", "Slice",
    "Call", "Keyword",
))  # fmt: skip
_WORDS = {
    "AssignBlock": "a {% set %} block",
    "Block": "{% block %}",
    "CallBlock": "{% call %}",
    "Extends": "{% extends %}",
    "FilterBlock": "{% filter %}",
    "FromImport": "{% from %}",
    "Import": "{% import %}",
    "Include": "{% include %}",
    "Macro": "{% macro %}",
    "NSRef": "assigning to an attribute",
    "With": "{% with %}",
}
_INSTEAD_OF_METHOD = {
    "items": "write labels | items",
    "keys": "a mapping gives its names where a list is expected: labels | join(', ')",
    "values": "write labels | items, and use the second of each pair",
    "get": "write labels['name'] | default('...')",
    "format": "join texts by ~",
    "join": "write list | join(', ')",
}


def check(tree: nodes.Template, *, filters: Collection[str], tests: Collection[str], refuse: Refuse) -> None:
    """Refuse the first node that may not stand in a template."""
    for node, loops in _walk(tree, 0):
        _check_kind(node, loops, refuse)
        match node:
            case nodes.Filter():
                _check_name(node, "filter", filters, refuse)
            case nodes.Test():
                _check_name(node, "test", tests, refuse)
            case nodes.Call(node=nodes.Getattr(node=nodes.Name(name="templates"))):
                refuse(node, "a template is not called", "leave out the parentheses")
            case nodes.Call(node=nodes.Getattr(attr=attr)) if attr in TEXT_METHODS:
                pass
            case nodes.Call(node=nodes.Getattr(attr=attr)):
                remedy = _INSTEAD_OF_METHOD.get(attr, f"the methods are {', '.join(sorted(TEXT_METHODS))}")
                refuse(node, f"the method {attr} is not available in templates", remedy)
            case nodes.Call():
                called = getattr(node.node, "name", "this")
                refuse(node, f"{called} cannot be called in templates", "use a filter: value | upper")
            case nodes.Getattr(attr=name) | nodes.Getitem(arg=nodes.Const(value=str(name))):
                if name.startswith("_") and not isinstance(node.node, nodes.Name):
                    refuse(
                        node,
                        f"{name} is not available in templates",
                        "only labels have such names: labels['_name']",
                    )
            case _:
                pass


def _walk(node: nodes.Node, loops: int) -> Iterator[tuple[nodes.Node, int]]:
    """Every node, and how many loops it stands in."""
    yield node, loops
    for child in node.iter_child_nodes():
        yield from _walk(child, loops + isinstance(node, nodes.For))


def _check_kind(node: nodes.Node, loops: int, refuse: Refuse) -> None:
    kind = type(node).__name__
    if kind not in _ALLOWED:
        refuse(node, f"{_WORDS.get(kind, kind)} is not available in templates", "there are if, for and set")
    if isinstance(node, nodes.For):
        if loops >= DEEPEST_LOOP:
            refuse(node, f"loops are nested deeper than {DEEPEST_LOOP}", "write a flatter template")
        if node.recursive:
            refuse(node, "recursive loops are not available in templates", "leave out `recursive`")
    if getattr(node, "dyn_args", None) or getattr(node, "dyn_kwargs", None):
        refuse(node, "arguments cannot be unpacked in templates", "write them one by one")


def _check_name(node: nodes.Filter | nodes.Test, kind: str, known: Collection[str], refuse: Refuse) -> None:
    if node.name not in known:
        identifiers = sorted(name for name in known if name.isidentifier())
        near = get_close_matches(node.name, identifiers, 1)
        remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(identifiers)}"
        refuse(node, f"there is no {kind} {node.name} in templates", remedy)


class Metering(NodeTransformer):
    """Sends through the meter what Jinja would do by itself: loops, `~`, and lists and mappings written out."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - found by this name
        """Every round of the loop costs as much as its body is long."""
        repeated = [*node.body, *([node.test] if node.test else [])]
        cost = nodes.Const(1 + sum(1 + sum(1 for _ in part.find_all(nodes.Node)) for part in repeated))
        self.generic_visit(node)
        node.iter = _filtered(node.iter, STEPS, [cost])
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - found by this name
        """The sum of the parts is measured before they are joined."""
        self.generic_visit(node)
        return _filtered(nodes.Tuple(node.nodes, "load", lineno=node.lineno), JOINED, [])

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802 - found by this name
        """Lists within lists could double with every line."""
        return self._measured(node, node.items)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802 - found by this name
        """As a list, unless it stands on the left of an assignment."""
        return node if node.ctx == "store" else self._measured(node, node.items)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802 - found by this name
        """As a list."""
        return self._measured(node, [pair.value for pair in node.items])

    def _measured(self, node: nodes.Expr, items: list[nodes.Expr]) -> nodes.Node:
        self.generic_visit(node)
        if all(isinstance(item, nodes.Const) for item in items):
            return node
        return _filtered(node, MEASURED, [])


def _filtered(node: nodes.Node, name: str, args: list[nodes.Expr]) -> nodes.Filter:
    return nodes.Filter(node, name, args, [], None, None, lineno=node.lineno)
