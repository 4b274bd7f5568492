"""What loads, and is still worth a warning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alertbridge.config.document import Document
from alertbridge.config.settings import Settings
from alertbridge.config.shadows import rule_places
from alertbridge.config.unknown_words import find_unknown_sources, find_unknown_words
from alertbridge.errors import Problem
from alertbridge.rules.rulebook import Rulebook

_WARNING = "warning"


def advise(documents: Sequence[Document], settings: Settings, rulebook: Rulebook) -> tuple[Problem, ...]:
    """Every warning about a configuration that loads; of its `documents` the main file is the first."""
    main = documents[0]
    return (
        *_gaps(main, settings),
        *_end(documents, rulebook),
        *_doors(main, settings),
        *_heartbeats(main, settings),
        *find_unknown_words(documents, rulebook.rules, settings=settings),
    )


def _gaps(main: Document, settings: Settings) -> Iterator[Problem]:
    if not settings.sources:
        yield main.problem(
            ("sources",), "there is no source: nothing can be received", "add one", level=_WARNING
        )
    if not settings.destinations:
        yield main.problem(
            ("destinations",), "there is no destination: nothing can be told", "add one", level=_WARNING
        )


def _end(documents: Sequence[Document], rulebook: Rulebook) -> Iterator[Problem]:
    """What becomes of the alerts that no rule is for."""
    if not rulebook.rules:
        yield documents[0].problem(
            ("rules",),
            "there is no rule: every alert goes nowhere",
            "add one under `rules:`, or name files of rules under `rules_files:`",
            level=_WARNING,
        )
    elif not any(rule.settles and not rule.when.parts and not rule.active for rule in rulebook.rules):
        document, path = rule_places(documents)[rulebook.rules[-1].name]
        yield document.problem(
            path,
            "no rule matches every alert: what no rule matches goes nowhere",
            "let a rule that sends or drops, without `when` and `active`, follow this one",
            level=_WARNING,
        )


def _heartbeats(main: Document, settings: Settings) -> Iterator[Problem]:
    for index, heartbeat in enumerate(settings.heartbeats):
        path = ("heartbeats", index)
        if not heartbeat.grace:
            yield main.problem(
                (*path, "grace"),
                "a beat that comes a moment late counts as silence",
                "give it some time: `grace: 1m`",
                level=_WARNING,
            )
        yield from find_unknown_sources(main, (*path, "when"), settings=settings)


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
