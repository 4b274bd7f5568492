"""`alertbridge serve`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from alertbridge.cli.address import Address, address, why
from alertbridge.cli.options import config_option, load_configuration, load_or_exit, with_server
from alertbridge.cli.taught import Taught
from alertbridge.clock import SystemClock
from alertbridge.errors import AlertbridgeError

if TYPE_CHECKING:
    from alertbridge.config.load import Configuration
    from alertbridge.config.secrets import Redactor


@click.command(
    cls=Taught,
    examples=(
        "alertbridge serve",
        "alertbridge serve --config /etc/alertbridge/alertbridge.yaml --listen 0.0.0.0:9797",
    ),
)
@config_option
@click.option("--listen", metavar="HOST:PORT", callback=address, help="Instead of server.listen.")
def serve(config: Path, listen: Address | None) -> None:
    """Run the daemon: take alerts, keep the destinations in step.

    It logs on stderr. SIGTERM or Ctrl-C drains it: nothing new is taken, what is in flight is finished. A second
    signal ends it at once; nothing that was accepted is lost even then. SIGHUP reads the configuration again, as
    `alertbridge reload` does.
    """
    import uvloop  # noqa: PLC0415 - heavy with its fellows below, and `--help` is to be quick

    from alertbridge.config.secrets import Redactor  # noqa: PLC0415 - see above
    from alertbridge.operate.logs import configure_logging  # noqa: PLC0415 - see above

    def load() -> Configuration:
        return _listening(load_configuration(config), listen)

    configuration = _listening(load_or_exit(config), listen)
    redactor = Redactor(configuration.secrets)
    log = configuration.settings.log
    configure_logging(
        level=log.level,
        format=log.format or ("console" if sys.stderr.isatty() else "json"),
        clean=redactor.clean,
        stream=sys.stderr,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(configuration, load, redactor))


def _listening(configuration: Configuration, listen: Address | None) -> Configuration:
    return configuration if listen is None else with_server(configuration, listen=str(listen))


async def _run(configuration: Configuration, load: Callable[[], Configuration], redactor: Redactor) -> None:
    import structlog  # noqa: PLC0415 - see above

    from alertbridge.app import App  # noqa: PLC0415 - see above
    from alertbridge.cli.lifetime import Lifetime  # noqa: PLC0415 - see above
    from alertbridge.operate.notify import Notifier  # noqa: PLC0415 - see above

    log = structlog.get_logger()
    for problem in configuration.warnings:
        log.warning("configuration.warning", problem=str(problem))
    clock = SystemClock()
    # systemd separates several directories by colons; the first is meant for the database.
    state_directory = os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or None
    app = App(
        configuration=configuration,
        clock=clock,
        state_directory=state_directory,
        load=load,
        redactor=redactor,
    )
    lifetime = Lifetime(
        app=app,
        notifier=Notifier(os.environ.get("NOTIFY_SOCKET")),
        watchdog=watchdog_interval(os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")),
        clock=clock,
        leave=_leave,
    )
    _tune_interpreter()
    try:
        await lifetime.run()
    except AlertbridgeError as error:
        click.echo(f"Error: {error}", err=True)
        _leave(1)
    except OSError as error:
        where = configuration.settings.server.listen
        click.echo(f"Error: cannot serve on {where}: {why(error)}", err=True)
        _leave(1)
    except Exception:
        log.critical("daemon.broke", exc_info=True)
        _leave(1)


def _tune_interpreter() -> None:
    """Spare the cycle collector, and let the writing thread have the interpreter sooner.

    What is loaded stays, and what a request leaves behind is freed without the collector's help; at its default thresholds
    it took a fifth of the time of a daemon under load. And each statement lets go of the interpreter's lock: with
    the default of 5 ms every one of them waits that long for a busy event loop.
    """
    sys.setswitchinterval(0.001)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def watchdog_interval(microseconds: str, pid: str) -> timedelta | None:
    """Half of what systemd waits for a sign of life, if it waits for one from this process."""
    if not microseconds.isdecimal() or (pid and pid != str(os.getpid())):
        return None
    return timedelta(microseconds=int(microseconds)) / 2 or None


def _leave(status: int) -> NoReturn:
    """End now: threads of a database that cannot be trusted are not waited for."""
    with contextlib.suppress(OSError, ValueError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
