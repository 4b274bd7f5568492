"""What loads, and is still worth a warning."""

from __future__ import annotations

from collections.abc import Iterator

from alertbridge.config.document import Document
from alertbridge.config.settings import Settings
from alertbridge.errors import Problem
from alertbridge.rules.rulebook import Rulebook

_WARNING = "warning"


def advise(main: Document, settings: Settings, rulebook: Rulebook) -> tuple[Problem, ...]:
    """Every warning about a configuration that loads."""
    return (*_gaps(main, settings, rulebook), *_doors(main, settings))


def _gaps(main: Document, settings: Settings, rulebook: Rulebook) -> Iterator[Problem]:
    if not settings.sources:
        yield main.problem(
            ("sources",), "there is no source: nothing can be received", "add one", level=_WARNING
        )
    if not settings.destinations:
        yield main.problem(
            ("destinations",), "there is no destination: nothing can be told", "add one", level=_WARNING
        )
    if not any(rule.settles and not rule.when.parts and not rule.active for rule in rulebook.rules):
        yield main.problem(
            ("rules",),
            "no rule matches every alert: what no rule matches goes nowhere",
            "end the rules with one that sends or drops and has neither `when` nor `active`",
            level=_WARNING,
        )


def _doors(main: Document, settings: Settings) -> Iterator[Problem]:
    server = settings.server
    if server.on_loopback:
        return
    certified = server.tls is not None and server.tls.client_ca_file is not None
    for name, source in settings.sources.items():
        if source.auth is None and not certified:
            yield main.problem(
                ("sources", name),
                "anyone who reaches the port may post to this source",
                "add `auth:`, or listen on 127.0.0.1",
                level=_WARNING,
            )
    if server.admin_token is None:
        yield main.problem(
            ("server", "admin_token"),
            "without a token the admin API is refused on this address",
            "add `admin_token_file:`, or listen on 127.0.0.1",
            level=_WARNING,
        )
