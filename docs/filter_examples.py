"""What the filters of this product make of an alert: the table in the reference, which a test holds to be true."""
# ruff: noqa: INP001 - a part of the pages that it is written for, not of a package

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Example(NamedTuple):
    """A template, what it uses of an alert, and what it gives."""

    template: str
    alert: Mapping[str, str]
    result: str


# What the configuration of the examples says under `severities:`, in the words of a severity.
SEVERITIES: Final[Mapping[str, str]] = {"ticket": "moderate"}

EXAMPLES: Final[Mapping[str, tuple[Example, ...]]] = {
    "severity": (
        Example("{{ labels.severity | severity }}", {"labels.severity": "Ticket"}, "moderate"),
        Example("{{ labels.severity | severity('low') }}", {"labels.severity": "odd"}, "low"),
    ),
    "truncate": (
        Example("{{ annotations.x | truncate(9) }}", {"annotations.x": "Disk is full"}, "Disk i..."),
        Example("{{ annotations.x | truncate(12) }}", {"annotations.x": "Disk is full"}, "Disk is full"),
        Example("{{ annotations.x | truncate(9, false) }}", {"annotations.x": "Disk is full"}, "Disk..."),
        Example("{{ annotations.x | truncate(7, end='…') }}", {"annotations.x": "Disk is full"}, "Disk i…"),
    ),
    "slug": (
        Example("{{ labels.site | slug }}", {"labels.site": "São Paulo / DC_2"}, "sao-paulo-dc-2"),
    ),
    "regex_replace": (
        Example("{{ labels.instance | regex_replace(':\\d+$', '') }}", {"labels.instance": "web-1:9100"}, "web-1"),
        Example(
            "{{ labels.pod | regex_replace('^(.*)-[a-z0-9]{5}$', '$1') }}",
            {"labels.pod": "api-7d9f-x2x4z"},
            "api-7d9f",
        ),
    ),
    "duration": (
        Example("{{ annotations.seconds | duration }}", {"annotations.seconds": "3900"}, "1h 5m"),
        Example("{{ annotations.for | duration }}", {"annotations.for": "1h5m0s"}, "1h 5m"),
        Example("{{ 3900 | duration(style='go') }}", {}, "1h5m0s"),
        Example(
            "{{ starts_at | duration(ends_at) }}",
            {"starts_at": "2024-08-01T12:00:00Z", "ends_at": "2024-08-02T14:00:07Z"},
            "1d 2h 7s",
        ),
    ),
    "localtime": (
        Example(
            "{{ starts_at | localtime('America/Sao_Paulo') }}",
            {"starts_at": "2024-08-01T12:34:56Z"},
            "2024-08-01 09:34:56 -03",
        ),
        Example(
            "{{ starts_at | localtime('Europe/Berlin', '%a %H:%M %Z') }}",
            {"starts_at": "2024-08-01T12:34:56Z"},
            "Thu 14:34 CEST",
        ),
    ),
    "json": (
        Example('{"at": {{ annotations.x | json }}}', {"annotations.x": 'a "<b>"'}, '{"at": "a \\"<b>\\""}'),
    ),
}  # fmt: skip
