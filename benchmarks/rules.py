"""What an alert costs to match and render with 10, 100 and 1,000 rules: ratios, interleaved in one run.

The rules are what teams' files come to: for every team some by severity, environment, service and name; now and then one
that looks at no team; and one for the rest. The alerts ask for every rule equally often, early ones and late ones.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alertbridge.config.load import load
from alertbridge.model import Alert, AlertStatus
from alertbridge.rules.rulebook import Rulebook

ROUNDS = int(os.environ.get("ROUNDS", "7"))
SIZES = (10, 100, 1000)
ALERTS = 2000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECTIONS = {
    "sources": {"prod": {"type": "alertmanager"}},
    "destinations": {"elven": {"type": "elven", "url": "http://127.0.0.1:9/elven/token"}},
}
SEND = {
    "key": "{{ labels.cluster }}/{{ labels.alertname }}",
    "send": {
        "elven": {
            "title": "[{{ labels.service }}] {{ annotations.summary }}",
            "tags": {"team": "{{ labels.team }}", "env": "{{ labels.env }}"},
        }
    },
}
REST = {"name": "everything-else", "send": ["elven"]}
USUAL = {
    "alertname": "HighErrorRate",
    "cluster": "eu",
    "env": "prod",
    "service": "checkout",
    "severity": "warning",
}
# Conditions of a team's rules, and what an alert says that meets them.
OF_EACH_TEAM: tuple[tuple[list[object], Mapping[str, str]], ...] = (
    (["severity =~ critical|page"], {"severity": "page"}),
    (["severity = warning", "env = prod"], {}),
    ([{"any": ["env = dev", "env = staging"]}], {"env": "dev"}),
    (['service =~ "web-[a-z]+"'], {"severity": "low", "service": "web-shop"}),
    (['alertname =~ "Kube.+"', {"not": "severity = info"}], {"severity": "low", "alertname": "KubePodNotReady"}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bench:
    """Rules, and as many alerts for each of them as for any other."""

    rulebook: Rulebook
    alerts: tuple[Alert, ...]

    def seconds(self) -> float:
        """How long it takes to match all the alerts and to render what they send, on average over the alerts."""
        book = self.rulebook
        began = time.perf_counter()
        for alert in self.alerts:
            for intent in book.plan(alert, at=alert.starts_at).intents:
                book.render(alert, rule=intent.rule, destination=intent.destination, at=alert.starts_at)
        return (time.perf_counter() - began) / len(self.alerts)


def rules() -> Iterator[tuple[Mapping[str, object], Mapping[str, str]]]:
    """Rules without end, each with the labels of an alert that meets it."""
    for number in itertools.count():
        team = f"team-{number}"
        for index, (when, labels) in enumerate(OF_EACH_TEAM):
            named = {"name": f"{team}-{index}", "when": [*when, f"team = {team}"]}
            yield {**named, **SEND}, {**USUAL, **labels, "team": team}
        if number % 4 == 0:
            named = {"name": f"rack-{number}", "when": [f'rack =~ "r{number}-[0-9]+"', "env != dev"]}
            yield {**named, **SEND}, {**USUAL, "rack": f"r{number}-7"}


def bench(size: int, folder: Path) -> Bench:
    """`size` rules, read from a file as an operator's are, and `ALERTS` alerts."""
    some = list(itertools.islice(rules(), size - 1))
    path = folder / f"{size}.yaml"
    written = {**SECTIONS, "rules": [*(rule for rule, _ in some), REST]}
    path.write_text(json.dumps(written, indent=1), encoding="utf-8")
    labels = [*(labels for _, labels in some), USUAL]
    alerts = tuple(_alert(number, labels[number % size]) for number in range(ALERTS))
    return Bench(load(path, environ={}).rulebook, alerts)


def _alert(number: int, labels: Mapping[str, str]) -> Alert:
    return Alert(
        source="prod",
        fingerprint=f"{number:016x}",
        status=AlertStatus.FIRING,
        labels=labels,
        annotations={"summary": "High error rate on checkout", "description": "12% of requests fail"},
        starts_at=NOW,
        ends_at=None,
        generator_url="http://prometheus.example:9090/graph",
    )


def main() -> None:
    """Take turns, and print the median of each round's ratios."""
    with tempfile.TemporaryDirectory(prefix="alertbridge-bench-") as folder:
        benches = {size: bench(size, Path(folder)) for size in SIZES}
    for one in benches.values():
        one.seconds()  # warms up
    gc.collect()
    gc.freeze()
    few = SIZES[0]
    ratios: dict[int, list[float]] = {size: [] for size in SIZES}
    for number in range(1, ROUNDS + 1):
        spans = {size: one.seconds() for size, one in benches.items()}
        for size, span in spans.items():
            ratios[size].append(span / spans[few])
        said = (f"{size:,} rules {1 / span:,.0f} alerts/s" for size, span in spans.items())
        print(f"round {number}: " + ", ".join(said), flush=True)
    for size in SIZES[1:]:
        values = ratios[size]
        print(
            f"an alert with {size:,} rules costs {statistics.median(values):.2f} times one with {few} "
            f"(from {min(values):.2f} to {max(values):.2f})"
        )


if __name__ == "__main__":
    main()
