"""The documentation says what the program does: nothing is left out, nothing is made up, nothing leads nowhere."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import yaml
from aiohttp import ClientSession, web
from prometheus_client import CollectorRegistry

from alertbridge.app import App
from alertbridge.cli import example
from alertbridge.cli.main import group
from alertbridge.cli.options import with_server
from alertbridge.cli.trial.run import run
from alertbridge.clock import SystemClock
from alertbridge.config.load import load
from alertbridge.config.rule_settings import RuleFile
from alertbridge.config.section import Section
from alertbridge.config.settings import Settings
from alertbridge.config.shape import keys
from alertbridge.metrics import Metrics
from alertbridge.operate import query
from alertbridge.parts import bridge
from alertbridge.simulate.server import simulation
from docs import generate, log_events
from tests.support.certificates import pair

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted(ROOT.rglob("*.md"))
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
}
_FENCED = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced piece of a page."""

    place: str
    language: str
    text: str


BLOCKS = [
    Block(f"{page}:{text.count(chr(10), 0, found.start()) + 1}", found[2], found[3])
    for page, text in PAGES.items()
    for found in _FENCED.finditer(text)
]


def of(language: str) -> list[Any]:
    return [pytest.param(block, id=block.place) for block in BLOCKS if block.language == language]


def reference(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table, without heads."""
    lines = [line.replace("\\|", "&") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]*)`", cell)


# Generated parts


@pytest.mark.parametrize(
    ("path", "text"), [pytest.param(path, text, id=path.name) for path, text in generate.pages()]
)
def test_a_generated_part_is_what_the_code_says_now(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run .venv/bin/python docs/generate.py"


def test_every_generated_part_stands_on_a_page() -> None:
    used = [name for text in PAGES.values() for name in re.findall(r"<!-- generated: ([a-z ]+) -->", text)]

    assert sorted(used) == sorted(generate.PARTS)


# Everything is documented


def sections(model: type[Section] = Section) -> Iterator[type[Section]]:
    for below in model.__subclasses__():
        yield from sections(below)
        if below.__module__.startswith("alertbridge.") and not below.__name__.startswith("_"):
            yield below


@pytest.mark.parametrize(
    "model", [pytest.param(model, id=model.__name__) for model in sections() if model is not RuleFile]
)
def test_every_key_of_every_section_is_documented(model: type[Section]) -> None:
    tables = [
        {word for row in rows(part) for word in words(row[0])}
        for part in reference("configuration").split("\n### ")
    ]

    assert set(keys(model)) in tables


def test_every_metric_is_documented_and_no_other_is_named() -> None:
    registry: CollectorRegistry = Metrics().registry
    samples = {
        name: family.name
        for family in registry.collect()
        for name in (
            family.name,
            *(f"{family.name}_{suffix}" for suffix in ("total", "bucket", "count", "sum")),
        )
    }
    named = {name for text in PAGES.values() for name in re.findall(r"\balertbridge_[a-z_]+", text)}

    assert named <= samples.keys()
    listed = {
        samples[name] for row in rows(reference("metrics")) for name in words(row[0]) if name in samples
    }
    assert listed == set(samples.values())


def test_every_listing_is_documented_with_its_filters() -> None:
    listed = {row[0]: row[1] for row in rows(reference("http")) if len(row) == 3}
    for one in vars(query).values():
        if isinstance(one, query.Listing):
            assert sorted(words(listed[f"`/api/v1/{one.name}`"])) == sorted(one.filters)


def test_no_command_that_there_is_is_said_not_to_be_there() -> None:
    absent = [
        word
        for text in PAGES.values()
        for sentence in re.findall(r"There is\s+no [^.]*\.", text)
        for word in words(sentence)
    ]

    assert "doctor" in absent
    assert not {*absent} & group.commands.keys()


def leaves(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, by the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def test_every_command_and_option_is_documented_and_no_other_is_named() -> None:
    parts = dict(part.split("\n", 1) for part in reference("command-line").split("\n## ")[1:])
    for name, command in [("alertbridge", group), *leaves(group)]:
        options = {
            option for each in command.params if isinstance(each, click.Option) for option in each.opts
        }
        assert options <= {
            option
            for row in rows(parts[name])
            for word in words(row[0])
            for option in re.findall(r"--?[a-z][a-z-]*", word)
        }
    told = "\n".join(f"`{word}`" for text in PAGES.values() for word in words(_FENCED.sub("", text)))
    told += "\n".join(block.text for block in BLOCKS if block.language == "console")
    commands = set(re.findall(r"(?:`|\$ |\| |/bin/)alertbridge ([a-z]\w*)", told))
    assert "explain" in commands
    assert commands <= group.commands.keys()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    for name, text in example.configuration().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    nowhere = {"ELVEN_URL": "http://127.0.0.1:9/elven/token", "HIVEL_BASE_URL": "http://127.0.0.1:9/hivel"}
    configuration = with_server(load(tmp_path / "alertbridge.yaml", environ=nowhere), listen="127.0.0.1:0")
    app = App(configuration=configuration, clock=SystemClock(), state_directory=str(tmp_path))
    await app.start()
    yield app
    await app.stop()


def routes(application: web.Application) -> set[str]:
    return {
        f"{'POST' if route.method == '*' else route.method} {route.resource.canonical}"
        for route in application.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


def documented_routes(page: str) -> set[str]:
    return {word for row in rows(reference(page)) for word in words(row[0]) if re.match("[A-Z]+ /", word)}


async def test_every_route_of_the_daemon_is_documented_and_no_other_is(app: App) -> None:
    assert documented_routes("http") == routes(app._runner.app) - {"POST /v1/sources/prod"}


def test_every_control_route_of_the_stand_ins_is_documented_and_no_other_is() -> None:
    of_vendors = re.compile("[A-Z]+ /(elven|hivel)")
    documented, served = documented_routes("stand-ins"), routes(simulation(clock=SystemClock()))

    assert {one for one in documented ^ served if not of_vendors.match(one)} == set()


def shape(value: Any) -> Any:
    """The names in JSON, as deep as they are fixed."""
    match value:
        case dict():
            free = {"payload", "fields", "origins", "failures", "response"}
            return {name: None if name in free else shape(each) for name, each in value.items()}
        case [first, *_]:
            return [shape(first)]
        case _:
            return None


async def test_the_admin_api_answers_in_the_shapes_that_are_documented(app: App) -> None:
    async with ClientSession(f"http://127.0.0.1:{app.port}") as session:

        async def newest(path: str) -> Any:
            async with session.get(f"/api/v1/{path}") as answer:
                return (await answer.json())["items"][0]

        bearer = {"Authorization": "Bearer demo-token"}
        async with session.post("/v1/sources/prod", data=example.payload("firing"), headers=bearer) as answer:
            assert answer.status == 202
        async with asyncio.timeout(10):
            while (await newest("events"))["outcome"] != "decided":  # noqa: ASYNC110 - asked over HTTP
                await asyncio.sleep(0.01)
        told = next(
            block.text for block in BLOCKS if '"finished_at"' in block.text and "http.md" in block.place
        )
        async with session.post("/v1/deployments", data=told) as answer:
            assert answer.status == 202
        kinds = ("events", "incidents", "deliveries", "deployments", "destinations", "rules")
        items = {kind: await newest(kind) for kind in kinds}
        async with session.get(f"/api/v1/deliveries/{items['deliveries']['id']}") as answer:
            alone = await answer.json()
    for heading, item in zip(
        ("event", "incident", "delivery", "deployment", "destination", "rule set"),
        items.values(),
        strict=True,
    ):
        _, _, part = reference("http").partition(
            f"### An {heading}" if heading[0] in "ei" else f"### A {heading}"
        )
        documented = _FENCED.search(part)
        assert documented is not None
        assert shape(json.loads(documented[3])) == shape(item), heading
    assert alone.keys() - items["deliveries"].keys() == {"history"}
    assert all(f'"{name}"' in reference("http") for attempt in alone["history"] for name in attempt)


def test_every_log_event_is_documented_with_its_levels_and_fields_and_no_other_is() -> None:
    documented = {
        words(row[0])[0]: row
        for row in rows(reference("log-events"))
        if re.match(r"`[a-z]+\.[a-z_]+`", row[0])
    }
    said = log_events.logged(ROOT / "src")

    assert "incident.opened" in said
    assert documented.keys() == said.keys()
    for event, (_, levels, fields, _) in documented.items():
        assert set(levels.split(", ")) == said[event].levels, event
        assert set(words(fields)) >= said[event].fields, event
        assert said[event].more or set(words(fields)) == said[event].fields, event


# Everything that is written can be used


@pytest.mark.parametrize("block", of("json"))
def test_json_can_be_read(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_can_be_read_and_a_configuration_can_be_used(block: Block, tmp_path: Path) -> None:
    data = yaml.safe_load(block.text)
    if not isinstance(data, dict) or not data.keys() <= Settings.model_fields.keys():
        return
    files = {**example.configuration(), "alertbridge.yaml": block.text}
    main = example.configuration()["alertbridge.yaml"]
    if data.keys() <= RuleFile.model_fields.keys():
        files = {"alertbridge.yaml": main, "rules.d/50-documented.yaml": block.text}
    elif data.keys() <= {"lookup", *RuleFile.model_fields}:
        tables, _, rules = block.text.partition("rules:\n")
        files = {"alertbridge.yaml": main + tables, "rules.d/50-documented.yaml": f"rules:\n{rules}"}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    for path in re.findall(r"\bfile: ([\w.-]+\.csv)", block.text):
        (table,) = (each.text for each in BLOCKS if each.language == "csv")
        (tmp_path / path).write_text(table, encoding="utf-8")
    certificate, key = pair()
    held = {"cert": certificate, "ca": certificate, "client_ca": certificate, "key": key}
    for kind, path in re.findall(r"\b(\w+)_file: ([\w.-]+)", block.text):
        (tmp_path / path).write_text(held.get(kind, "https://elven.example/a-secret"), encoding="utf-8")

    configuration = load(tmp_path / "alertbridge.yaml", environ={"HIVEL_TOKEN": "a-secret"})

    assert len(configuration.rulebook.rules) >= len(data.get("rules", []))
    parts = bridge(configuration)
    for trial in configuration.trials:
        if trial.settings.name in {test["name"] for test in data.get("tests", [])}:
            assert run(parts, trial, read=Path.read_bytes).differences == (), trial.settings.name


def test_the_blocks_are_not_overlooked() -> None:
    languages = [block.language for block in BLOCKS]

    assert set(languages) <= {"console", "csv", "json", "mermaid", "yaml", ""}
    assert languages.count("yaml") > 10
    assert sum(text.count("```") for text in PAGES.values()) == 2 * len(BLOCKS)


def anchors(text: str) -> set[str]:
    """What GitHub lets a link lead to."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    prose = re.sub(r"`[^`\n]*`", "", _FENCED.sub("", PAGES[page]))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (ROOT / page).parent / path if path else ROOT / page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    for path, test in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", PAGES[page]):
        assert (ROOT / path).is_file(), path
        assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8"), test


def test_every_guarantee_names_where_it_is_kept_and_the_test_that_holds_it() -> None:
    promises = [row for row in rows(PAGES["docs/explanation/guarantees.md"]) if row[0] != "promise"]

    assert len(promises) > 20
    for promise, kept, held in promises:
        assert "](" in kept, promise
        assert "::test_" in held, promise
