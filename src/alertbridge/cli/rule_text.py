"""A set of rules as YAML that a person can read and compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from typing_extensions import override


class _Dumper(yaml.SafeDumper):
    """Lists stand deeper than what they belong to, and text of several lines stays so."""

    @override
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = value.replace("\n", "").isprintable()  # else escaped, line separators among it
    style = ("|" if "\n" in value else None) if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(rule_set: Mapping[str, Any]) -> str:
    """One document for each file, in the order in which its rules are tried, keys as they were written."""
    texts = [f"# {part['file']}\n{_dumped(part['content'])}" for part in rule_set["parts"]]
    return f"# rule set {rule_set['hash']}\n" + "---\n".join(texts)


def _dumped(content: Mapping[str, Any]) -> str:
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text
