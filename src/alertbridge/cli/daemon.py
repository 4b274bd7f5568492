"""What the commands share that talk to the running daemon: how it is named, asked, and what to say when it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from alertbridge.cli.options import config_option, url_option
from alertbridge.errors import ConfigurationError

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Answer = TypeVar("_Answer")
OK = 200
_UNAUTHORIZED = 401


def daemon_options(command: _Command) -> _Command:
    """Give `command` the parameters `config` and `url`, which say where the daemon is."""
    return config_option(url_option(command))


class Daemon:
    """The running daemon, as named by `config` and `url`; whatever goes wrong ends the command with status 1.

    `otherwise` is the last line then: what has not happened.
    """

    def __init__(self, config: Path, url: str | None, *, otherwise: str = "") -> None:
        from alertbridge.cli.caller import Caller  # noqa: PLC0415 - heavy, and `--help` is to be quick

        self._otherwise = otherwise
        try:
            self._caller = Caller(config, url=url)
        except ConfigurationError as error:
            fail(map(str, error.problems), "the daemon was not asked")

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """What it answers."""
        return self._answered(lambda: self._caller.get(path, **query))

    def items(self, path: str, most: int, **query: str) -> list[dict[str, Any]]:
        """The first `most` items of a listing."""
        return self._answered(lambda: list(self._caller.items(path, most=most, **query)))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What it answers to `body`."""
        status, said = self._answered(lambda: self._caller.post(path, body))
        if status != OK:
            fail([refusal(status, said)], self._otherwise)
        return said

    def _answered(self, ask: Callable[[], _Answer]) -> _Answer:
        from alertbridge.cli.caller import NoAnswer  # noqa: PLC0415 - see above

        try:
            return ask()
        except NoAnswer as error:
            fail([str(error)], self._otherwise)


def refusal(status: int, said: Mapping[str, Any]) -> str:
    """Why the daemon refused, in one line."""
    if status == _UNAUTHORIZED:
        return "the daemon knows another admin token; if it is the one before a change, send it a SIGHUP"
    return str(said.get("detail") or f"HTTP {status}, and no reason given")


def fail(lines: Iterable[str], summary: str = "") -> NoReturn:
    """Say what is wrong, and end with status 1."""
    for line in lines:
        click.echo(line, err=True)
    if summary:
        click.echo(click.style(summary, fg="red", bold=True), err=True)
    raise click.exceptions.Exit(1)
