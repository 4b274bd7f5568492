"""What distinguishes two configurations: what a reload applies, and what only a restart would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alertbridge.config.load import Configuration
from alertbridge.config.section import Section, is_secret
from alertbridge.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Change:
    """Names of sections. `retyped` are those of `changed` that have become another kind of thing."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    retyped: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.added or self.changed or self.removed)

    @property
    def leaving(self) -> tuple[str, ...]:
        """Those whose waiting work nobody would do any more."""
        return self.removed + self.retyped


@dataclass(frozen=True, slots=True)
class Difference:
    """`rekeyed` are the destinations whose secrets changed; `restart` names settings as an operator writes them."""

    anything: bool
    sources: Change
    destinations: Change
    pings: Change
    rekeyed: frozenset[str]
    restart: tuple[str, ...]

    def named(self, how: str) -> list[str]:
        """The sections that were `added`, `changed` or `removed`, such as `destinations.elven`."""
        parts = {"sources": self.sources, "destinations": self.destinations, "pings": self.pings}
        return [f"{part}.{name}" for part, change in parts.items() for name in getattr(change, how)]


def difference(running: Configuration, wanted: Configuration) -> Difference:
    """From the configuration that is in use to another one."""
    old, new = running.settings, wanted.settings
    sources = _change(old.sources, new.sources)
    destinations = _change(old.destinations, new.destinations)
    pings = _change(old.pings, new.pings)
    restart = _restart(old, new)
    decides = running.hash != wanted.hash or running.secrets != wanted.secrets
    told = old.deployments != new.deployments
    return Difference(
        anything=decides or told or sources.any or destinations.any or pings.any or bool(restart),
        sources=sources,
        destinations=destinations,
        pings=pings,
        rekeyed=frozenset(
            name
            for name in destinations.changed
            if _secrets(old.destinations[name]) != _secrets(new.destinations[name])
        ),
        restart=restart,
    )


def applied(running: Configuration, wanted: Configuration) -> Settings:
    """The settings in use once `wanted` has been applied: those that need a restart are as they were."""
    taken = {name: getattr(wanted.settings.server, name) for name in _SERVER_APPLIED}
    server = running.settings.server.model_copy(update=taken)
    kept = {"server": server, "storage": running.settings.storage, "log": running.settings.log}
    return wanted.settings.model_copy(update=kept)


_SERVER_APPLIED = ("admin_token", "admin_token_file", "watch")


def _change(old: Mapping[str, Section], new: Mapping[str, Section]) -> Change:
    changed = tuple(name for name in new if name in old and new[name] != old[name])
    return Change(
        added=tuple(name for name in new if name not in old),
        changed=changed,
        removed=tuple(name for name in old if name not in new),
        retyped=tuple(name for name in changed if type(new[name]) is not type(old[name])),
    )


def _secrets(section: Section) -> dict[str, object]:
    return {
        name: getattr(section, name) for name, one in type(section).model_fields.items() if is_secret(one)
    }


def _restart(old: Settings, new: Settings) -> tuple[str, ...]:
    return tuple(
        f"{part}.{name}"
        for part, before, after in (
            ("server", old.server, new.server),
            ("storage", old.storage, new.storage),
            ("log", old.log, new.log),
        )
        for name in type(before).model_fields
        if name not in _SERVER_APPLIED and getattr(before, name) != getattr(after, name)
    )
