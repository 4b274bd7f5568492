"""What several commands share: the configuration, and what to do when it cannot be used."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from alertbridge.cli.report import text
from alertbridge.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from alertbridge.config.load import Configuration

_Command = TypeVar("_Command", bound=Callable[..., Any])

HERE = Path("alertbridge.yaml")
INSTALLED = Path("/etc/alertbridge/alertbridge.yaml")


def config_option(command: _Command) -> _Command:
    """Give `command` the parameter `config`, the path of the main configuration file."""
    return click.option(
        "--config",
        metavar="PATH",
        envvar="ALERTBRIDGE_CONFIG",
        callback=_found,
        help=f"The configuration. Default: $ALERTBRIDGE_CONFIG, else ./{HERE} if it is there, else {INSTALLED}.",
    )(command)


def url_option(command: _Command) -> _Command:
    """Give `command` the parameter `url`, the address of the running daemon, or None."""
    return click.option(
        "--url",
        metavar="URL",
        callback=_address,
        help="Where the daemon is. Default: server.listen of the configuration.",
    )(command)


def _address(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _leads_to_a_server(value):
        raise click.BadParameter("write for example http://127.0.0.1:9797")
    return value


def _leads_to_a_server(url: str) -> bool:
    """Whether this names a scheme, a host and perhaps a port, and nothing else."""
    if not re.fullmatch(r"https?://[^\s/?#@]+/?", url):
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:  # of brackets, of the port, of a name that is too long
        return False


def _found(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path:
    if value:
        return Path(value)
    return HERE if HERE.exists() else INSTALLED


def daemon_options(command: _Command) -> _Command:
    """Give `command` the parameters `config` and `url`, which say where the running daemon is."""
    return config_option(url_option(command))


def load_configuration(path: Path) -> Configuration:
    """The configuration at `path`, with the environment of this process.

    Raises ConfigurationError; a file that is not there is one Problem whose remedy says how to get one.
    """
    from alertbridge.config.load import load  # noqa: PLC0415 - heavy, and `--help` is to be quick

    if is_absent(path):
        remedy = "make one with `alertbridge init`, or name one with --config"
        raise ConfigurationError((Problem(str(path), 0, 0, "", "there is no configuration here", remedy),))
    return load(path, environ=os.environ)


def is_absent(path: Path) -> bool:
    """Whether there is nothing at `path`; where one may not look, reading it will say so."""
    try:
        return not path.exists()
    except OSError:
        return False


def load_or_exit(path: Path) -> Configuration:
    """The configuration at `path`; without one, its problems go to stderr and the exit status is 1."""
    try:
        return load_configuration(path)
    except ConfigurationError as error:
        click.echo(text(error.problems, main=path), err=True)
        raise click.exceptions.Exit(1) from error


def with_server(configuration: Configuration, **changes: object) -> Configuration:
    """The same configuration with other values, which must be good ones, for some settings of `server`."""
    server = configuration.settings.server.model_copy(update=changes)
    settings = configuration.settings.model_copy(update={"server": server})
    return dataclasses.replace(configuration, settings=settings)
