"""The group of commands and its help."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from alertbridge import __version__
from alertbridge.cli.main import group
from alertbridge.cli.taught import Taught

COMMANDS = [
    *("init", "check", "test", "explain", "diff", "serve", "reload"),
    *(
        "trace",
        "incidents",
        "deliveries",
        "events",
        "deployments",
        "destinations",
        "heartbeats",
        "complete",
        "skip",
        "replay",
        "audit",
        "rules",
    ),
    *("simulate", "demo", "schema"),
]
LEAVES = [
    (name, *inner)
    for name, command in group.commands.items()
    for inner in ([(one,) for one in command.commands] if isinstance(command, click.Group) else [()])
]


def test_the_help_shows_the_way_and_every_command() -> None:
    output = CliRunner().invoke(group, ["--help"]).output

    way = output.partition("The way to your own:")[2].partition("At night:")[0]
    assert [line.split()[1] for line in way.strip().splitlines()] == [*COMMANDS[:4], "simulate", "serve"]
    listed = output.partition("Commands:")[2].strip().splitlines()
    assert [line.split()[0] for line in listed] == COMMANDS
    assert not [line for line in listed if line.endswith("...")], "cut off"


@pytest.mark.parametrize("names", LEAVES)
def test_every_command_teaches_by_example(names: tuple[str, ...]) -> None:
    command: click.Command = group
    for name in names:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert isinstance(command, Taught)
    assert command.examples

    output = CliRunner().invoke(group, [*names, "--help"]).output

    assert "\nExamples:\n" in output
    for example in command.examples:
        assert f"  {example}\n" in output
    said = " ".join(name for name in names if name != "list")
    assert any(f"alertbridge {said}" in example for example in command.examples)


def test_a_listing_is_meant_where_no_command_is_named() -> None:
    for arguments in (["deliveries"], ["deliveries", "--state", "dead"], ["deliveries", "list"]):
        result = CliRunner().invoke(group, [*arguments, "--url", "http://127.0.0.1:9"])
        assert "no answer from http://127.0.0.1:9" in str(result.exception)


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(group, ["--version"]).output == f"alertbridge {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["chekc"], ["check", "--nope"], ["explain"], ["serve", "--listen", "x"]]
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(group, arguments).exit_code == 2


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = "import sys; import alertbridge.cli.main; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    heavy = {"aiohttp", "sqlalchemy", "pydantic", "jinja2", "structlog", "uvloop", "alertbridge.app"}
    assert not heavy & set(loaded.split())
