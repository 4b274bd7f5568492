"""`POST /-/reload`: the configuration is read again, and what came of it is the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Protocol

import structlog
from aiohttp import web

from alertbridge.clock import Clock
from alertbridge.config.difference import Difference
from alertbridge.config.load import Configuration
from alertbridge.errors import ConfigurationError, Problem, StoreError
from alertbridge.metrics import Metrics
from alertbridge.operate.answers import said
from alertbridge.operate.guard import Guard
from alertbridge.operate.health import Health
from alertbridge.problems import problem
from alertbridge.store.stranded import Stranded

_FORCE = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The hash of the configuration now in use, and whether it differs from the one before, in a secret perhaps."""

    hash: str
    changed: bool


class Reload(Protocol):
    """Reads the configuration again and applies it; raises ConfigurationError if it cannot, and then nothing has changed."""

    def __call__(self, *, force: bool) -> Awaitable[Reloaded]:
        """With `force` also if work would be stranded."""
        ...


class ReloadPage:
    """Answers 200 with `hash` and `changed`, or 422 with every one of the `problems`."""

    def __init__(self, *, reload: Reload, guard: Guard) -> None:
        self._reload = reload
        self._guard = guard

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.post("/-/reload", self._guard.wrap(self._answer))]

    async def _answer(self, request: web.Request) -> web.Response:
        force = _FORCE.get(request.query.get("force", "false"))
        if force is None:
            return problem(400, "Bad query", "force is true or false", parameter="force", allowed=[*_FORCE])
        try:
            outcome = await self._reload(force=force)
        except ConfigurationError as error:
            detail = "the configuration before it goes on; `problems` says why"
            return problem(422, "Not reloaded", detail, problems=[asdict(one) for one in error.problems])
        return said(asdict(outcome))


class ReloadNews:
    """Says in every place what became of a reload: in the log, in the metrics, and to who asks whether we are ready."""

    def __init__(
        self, *, metrics: Metrics, health: Health, clock: Clock, clean: Callable[[str], str]
    ) -> None:
        self._metrics = metrics
        self._health = health
        self._clock = clock
        self._clean = clean
        self._log = structlog.get_logger().bind()

    def loaded(self, configuration: Configuration) -> None:
        """This is the configuration in use."""
        self._metrics.config_last_reload_successful.set(1)
        self._metrics.config_hash.set(int(configuration.hash[:12], 16))
        self._health.reloaded()

    def reloaded(self, wanted: Configuration, change: Difference) -> None:
        """A reload has applied `wanted`, as far as that can be done without a restart."""
        self.loaded(wanted)
        for one in wanted.warnings:
            self._log.warning("configuration.warning", problem=str(one))
        if change.restart:
            self._log.warning("config.needs_restart", settings=list(change.restart))
        self._log.info(
            "config.reloaded",
            hash=wanted.hash,
            rules=len(wanted.rulebook.rules),
            added=change.named("added"),
            changed=change.named("changed"),
            removed=change.named("removed"),
        )

    def not_reloaded(self, error: Exception, *, file: str) -> ConfigurationError:
        """A reload has failed and nothing has changed; returns the reason for whoever asked for it."""
        known = isinstance(error, ConfigurationError | StoreError | OSError)
        if not isinstance(error, ConfigurationError):
            kind = "" if known else "internal error: "
            said = self._clean(f"{kind}{type(error).__name__}: {error}")
            error = ConfigurationError((Problem(file, 0, 0, "", said),))
        self._metrics.config_last_reload_successful.set(0)
        self._health.not_reloaded(error.problems, at=self._clock.now())
        problems = [str(one) for one in error.problems]
        self._log.error("config.reload_failed", problems=problems, exc_info=not known)
        return error


def refuse_stranded(found: Stranded, *, file: str) -> None:
    """Raise ConfigurationError if anything waits for what the configuration in `file` leaves out."""
    problems = []
    for name, number in found.events.items():
        waits = f"it is removed while {_number(number, 'event')} from it {_are(number)} not decided"
        remedy = "wait until they are, or reload with force: then they fail, and are kept as failed events"
        problems.append(Problem(file, 0, 0, f"sources.{name}", waits, remedy))
    for name, states in found.deliveries.items():
        number = sum(states.values())
        each = ", ".join(f"{count} {state.value}" for state, count in states.items())
        waits = f"it is removed while {_number(number, 'message')} {_are(number)} not delivered ({each})"
        remedy = "wait until they are, or reload with force: then they wait until it is configured again"
        problems.append(Problem(file, 0, 0, f"destinations.{name}", waits, remedy))
    if problems:
        raise ConfigurationError(tuple(problems))


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
