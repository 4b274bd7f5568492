"""Writes the generated parts of the documentation anew, from the code that they describe.

A page holds `<!-- generated: NAME -->` and `<!-- end -->`; what stands between them is made here, the rest is written
by hand. Run it as `.venv/bin/python docs/generate.py`; `tests/unit/test_docs.py` fails while a page is out of date.
"""
# ruff: noqa: INP001 - a script beside the pages that it writes, not a package

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import yaml
from prometheus_client.metrics import MetricWrapperBase

from alertbridge.cli.main import group
from alertbridge.cli.taught import Taught
from alertbridge.config.load import json_schema
from alertbridge.config.section import Section, is_secret
from alertbridge.config.sends import TARGETS
from alertbridge.config.settings import Settings
from alertbridge.config.shape import items, models
from alertbridge.config.units import Duration, Size
from alertbridge.metrics import Metrics
from alertbridge.model import Severity
from alertbridge.operate import query
from alertbridge.rules import filters, sandbox, severity
from alertbridge.rules.template import CONTENT_NAMES, IDENTITY_NAMES, SERVICE_NAMES

DOCS: Final = Path(__file__).parent
if str(DOCS.parent) not in sys.path:
    sys.path.append(str(DOCS.parent))
from docs.filter_examples import EXAMPLES  # noqa: E402 - to be found when this is run as a script, too

_PART: Final = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[a-z ]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)
_SCHEMA: Final[dict[str, Any]] = dict(json_schema())
# What no JSON Schema says in a few words.
_KINDS: Final = {
    ("RuleSettings", "when"): "[condition](rules.md#conditions)",
    ("RuleSettings", "send"): "list of destinations, or mapping",
    ("HeartbeatSettings", "when"): "[condition](rules.md#conditions)",
    ("HeartbeatSettings", "holds"): "[condition](rules.md#conditions)",
    ("HeartbeatSettings", "send"): "list of destinations, or mapping",
    ("RuleSettings", "active"): "[window](rules.md#active), or list of them",
    ("TrialStep", "at"): "[duration](#durations-and-sizes), or `+` and one",
    ("TrialAlert", "starts_at"): "[duration](#durations-and-sizes), `-` and one, or an instant",
    ("TrialAlert", "ends_at"): "[duration](#durations-and-sizes), `-` and one, or an instant",
}


def pages() -> Iterator[tuple[Path, str]]:
    """Every page that has generated parts, with the text that it should have."""
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if _PART.search(text):
            yield (
                path,
                _PART.sub(lambda found: f"{found['begin']}{PARTS[found['name']]()}{found['end']}", text),
            )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def configuration() -> str:
    """One table for each section of the configuration."""
    return "\n".join(
        f"### {title}\n\n{(model.__doc__ or '').strip()}\n\n{_settings(model)}" for title, model in sections()
    )


def sections() -> list[tuple[str, type[Section]]]:
    """Every section once, with where it stands, in the order in which a file is written."""
    found: dict[type[Section], str] = {}
    _gather("", Settings, found)
    return [(title, model) for model, title in found.items()]


def _gather(path: str, model: type[Section], found: dict[type[Section], str]) -> None:
    if model in found:
        return
    kind = model.model_fields.get("type")
    tag = f", `type: {(kind.examples or [''])[0]}`" if kind else ""
    found[model] = f"`{path}`{tag}" if path else "The main file"
    for name, field in model.model_fields.items():
        step = f"{path}.{field.alias or name}".lstrip(".")
        for below in models(field.annotation):
            _gather(step, below, found)
        inside = items(field.annotation)
        for below in models(inside) if inside is not None else ():
            entry = "[]" if "tuple" in str(field.annotation) else ".NAME"
            _gather(step + entry, below, found)


def _settings(model: type[Section]) -> str:
    schema = _SCHEMA if model is Settings else _SCHEMA["$defs"][model.__name__]
    rows = []
    for name, field in sorted(model.model_fields.items(), key=lambda each: each[0] != "type"):
        said = schema["properties"][field.alias or name]
        example = _yaml((field.examples or [None])[0])
        rows.append(
            (
                f"`{field.alias or name}`",
                _kind_of(model, name, said),
                _default(model, name, said),
                f"{field.description} Example: `{example}`",
            )
        )
    return table(("key", "kind", "default", "what it means"), rows)


def _kind_of(model: type[Section], name: str, said: Mapping[str, Any]) -> str:
    field = model.model_fields[name]
    twin = model.model_fields.get(name.removesuffix("_file"))
    if is_secret(field):
        return "secret"
    if "Path" in str(field.annotation) or (name.endswith("_file") and twin and is_secret(twin)):
        return "path"
    return _KINDS.get((model.__name__, name)) or _kind(said)


def _kind(said: Mapping[str, Any]) -> str:  # noqa: C901, PLR0912 - one line for each kind of schema
    """The kind of value in a few words."""
    words = {"string": "text", "boolean": "true or false", "number": "number", "object": "mapping"}
    match said:
        case {"$ref": reference}:
            kind = _kind(_SCHEMA["$defs"][str(reference).rpartition("/")[2]])
        case {"anyOf": several} | {"oneOf": several}:
            kinds = [_kind(each) for each in several if each != {"type": "null"}]
            kind = " or ".join(dict.fromkeys(kinds))
        case {"pattern": pattern} if pattern == _pattern_of(Duration):
            kind = "[duration](#durations-and-sizes)"
        case {"pattern": pattern} if pattern == _pattern_of(Size):
            kind = "[size](#durations-and-sizes)"
        case {"const": word}:
            kind = f"`{word}`"
        case {"enum": several}:
            kind = ", ".join(f"`{word}`" for word in several)
        case {"type": "array", "items": inner}:
            kind = f"list of {_kind(inner)}s"
        case {"type": "object", "properties": _}:
            kind = "section"
        case {"type": "object", "patternProperties": inner}:
            kind = f"names, each with a {' or '.join(map(_kind, inner.values()))}"
        case {"type": "object", "additionalProperties": dict(inner)}:
            kind = f"names, each with: {_kind(inner)}"
        case {"type": "integer", **bounds}:
            least, most = bounds.get("minimum"), bounds.get("maximum")
            kind = f"whole number, {least} to {most}" if most else f"whole number from {least}"
        case {"type": list(several)}:
            kind = ", ".join(words.get(each, "whole number") for each in several if each != "null")
        case {"type": str(word)}:
            kind = words[word]
        case _:
            kind = "anything"
    return kind


def _pattern_of(annotation: Any) -> str:
    return next(
        str(each.json_schema["pattern"]) for each in annotation.__metadata__ if hasattr(each, "json_schema")
    )


def _default(model: type[Section], name: str, said: Mapping[str, Any]) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return f"needed, or `{name}_file`" if is_secret(field) else "needed"
    value = said.get("default")
    return "" if value in (None, [], {}) else f"`{_yaml(value)}`"


def _yaml(value: object) -> str:
    """`value` as it would stand in a file, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return str(text).removesuffix("\n").removesuffix("\n...")


def fields_of(kind: str) -> str:
    """What a rule may set under `send.<destination>` for one type of destination."""
    rows = []
    for field in TARGETS[kind].fields:
        looked_up = "label, annotation, service catalogue; then " if field.looked_up else ""
        default = f"`{field.default}`".replace("\n", "\\n") if field.default else "nothing"
        rows.append((f"`{field.name}`", field.shape.value, field.description, looked_up + default))
    return table(("field", "shape", "what it is", "without a value in the rule"), rows)


def names() -> str:
    """The names that templates may use, and where."""
    rows = [
        (
            f"`{name}`",
            *("yes" if name in offered else "" for offered in (SERVICE_NAMES, IDENTITY_NAMES, CONTENT_NAMES)),
        )
        for name in sorted(CONTENT_NAMES, key=lambda name: (name not in IDENTITY_NAMES, name))
    ]
    return table(("name", "in `service`", "in `key`", "under `send`"), rows)


def words(several: Iterable[str]) -> str:
    """Some words as code, in the order given."""
    return ", ".join(f"`{word}`" for word in several)


def paragraph(several: Iterable[str]) -> str:
    """The same, sorted, as a paragraph."""
    return words(sorted(several)) + "\n"


def filter_examples() -> str:
    """What the filters of this product make of an alert."""
    rows = (
        (
            f"`{each.template}`",
            words(f"{name}: {value}" for name, value in each.alert.items()) or "any",
            f"`{each.result}`",
        )
        for examples in EXAMPLES.values()
        for each in examples
    )
    return table(("template", "alert", "result"), rows)


def severity_words() -> str:
    """What the usual words for severities mean."""
    known = severity.SeverityWords({})
    usual = sorted(severity._USUAL)  # noqa: SLF001 - the table itself is what is documented
    rows = (
        (
            level.word,
            words(dict.fromkeys([level.word, *(word for word in usual if known.meaning(word) is level)])),
        )
        for level in reversed(Severity)
    )
    return table(("severity", "words, in any case"), rows)


def listings() -> str:
    """By what each listing can be filtered."""
    each = (
        *(query.EVENTS, query.INCIDENTS, query.DELIVERIES, query.DEPLOYMENTS, query.DESTINATIONS),
        *(query.AUDIT, query.RULES, query.HEARTBEATS),
    )
    return table(
        ("listing", "filters", "`state` is one of"),
        (
            (
                f"`/api/v1/{one.name}`",
                words(one.filters) if one.filters else "none",
                words(one.states) if one.states else "",
            )
            for one in each
        ),
    )


def metrics() -> str:
    """Every metric family, in the order of the code."""
    rows = []
    for family in vars(Metrics()).values():
        if isinstance(family, MetricWrapperBase):
            (described,) = family.describe()
            name = described.name + ("_total" if described.type == "counter" else "")
            labels = words(family._labelnames) if family._labelnames else ""  # noqa: SLF001 - not to be had otherwise
            rows.append((f"`{name}`", described.type, labels, described.documentation))
    return table(("name", "type", "labels", "what it says"), rows)


def commands() -> str:
    """Every command with its options and examples; first what all of them share."""
    top = click.Context(group, info_name="alertbridge", **group.context_settings)
    each = [section for name in group.commands for section in _sections(name, group.commands[name], top)]
    return "\n".join((f"## alertbridge\n\n{_prose(group.help or '')}\n\n{_options(top)}", *each))


def _sections(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    """One section for a command; for a group those of its commands, named with it."""
    context = click.Context(command, info_name=name, parent=parent)
    if not isinstance(command, click.Group):
        yield _command(context)
        return
    for inner in command.commands:
        yield from _sections(inner, command.commands[inner], context)


def _command(context: click.Context) -> str:
    command = context.command
    name = context.command_path.partition(" ")[2]
    usage = f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    examples = "\n".join(f"$ {line}" for line in (command.examples if isinstance(command, Taught) else ()))
    shown = f"\n```console\n{examples}\n```\n" if examples else ""
    return (
        f"## {name}\n\n```console\n$ {usage}\n```\n\n{_prose(command.help or '')}\n\n"
        f"{_options(context)}{shown}"
    )


def _options(context: click.Context) -> str:
    options = [each for each in context.command.get_params(context) if isinstance(each, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    return table(("option", "what it does"), ((f"`{option}`", what) for option, what in records))


def _prose(text: str) -> str:
    """Paragraphs, each on one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip()))


PARTS: Final[dict[str, Callable[[], str]]] = {
    "commands": commands,
    "configuration": configuration,
    "elven fields": lambda: fields_of("elven"),
    "filter examples": filter_examples,
    "filters": lambda: paragraph(
        name for name in filters.allowed_filters(sandbox.Sandbox()) if name.isidentifier()
    ),
    "hivel fields": lambda: fields_of("hivel"),
    "listings": listings,
    "methods": lambda: paragraph(sandbox.TEXT_METHODS),
    "metrics": metrics,
    "names": names,
    "severity words": severity_words,
}


if __name__ == "__main__":
    for page, text in pages():
        if page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
            print(f"wrote {page.relative_to(DOCS.parent)}")  # noqa: T201 - tells what it did
