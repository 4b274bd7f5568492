"""Finds the log events in the code: what is said, at which level, with which fields.

A log call is a method such as `info`, or a local name that stands for one, whose first argument is a dotted name. Fields
that a module's loggers are bound to count for every event of that module.
"""
# ruff: noqa: INP001 - stands beside the pages that it checks, not in a package

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_LEVELS = ("debug", "info", "warning", "error", "critical", "exception")


class Said(NamedTuple):
    """A log event: at which levels, with which fields, and whether there may be more of them."""

    levels: set[str]
    fields: set[str]
    more: bool


def logged(folder: Path) -> dict[str, Said]:
    """Every log event in the code below `folder`."""
    found: dict[str, Said] = {}
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        bound = {
            k.arg
            for c in calls
            if isinstance(c.func, ast.Attribute) and c.func.attr == "bind"
            for k in c.keywords
        }
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for event, levels, call in _log_calls(function):
                    fields = {"exception" if k.arg == "exc_info" else k.arg for k in call.keywords} | bound
                    fields |= {"exception"} if "exception" in levels else set()
                    said = found.setdefault(event, Said(set(), set(), None in fields))
                    said.levels.update("error" if level == "exception" else level for level in levels)
                    said.fields.update(field for field in fields if field)
    return found


def _log_calls(function: ast.AST) -> Iterator[tuple[str, set[str], ast.Call]]:
    """The event, the levels and the call, for each line that a function logs."""
    assigned = {
        target.id: list(ast.walk(node.value))
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in ast.walk(function):
        match call:
            case ast.Call(func=ast.Attribute(attr=level), args=[said, *_]) if level in _LEVELS:
                levels = {level}
            case ast.Call(func=ast.Name(id=name), args=[said, *_]) if name in assigned:
                levels = {n.attr for n in assigned[name] if isinstance(n, ast.Attribute)} & {*_LEVELS}
            case _:
                continue
        match said:
            case ast.Constant(value=str(event)) if levels and re.fullmatch(r"[a-z]+\.[a-z_]+", event):
                yield event, levels, call
            case ast.JoinedStr(
                values=[ast.Constant(value=str(begin)), ast.FormattedValue(value=ast.Name(id=step))]
            ):
                ends = [
                    n.value
                    for n in assigned[step]
                    if isinstance(n, ast.Constant) and isinstance(n.value, str)
                ]
                yield from ((f"{begin}{end}", levels, call) for end in ends)
            case _:
                pass
