"""What a seed stands for: a configuration, alerts, and everything that is going to happen to them and to the daemon."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from typing_extensions import override

WEATHERS = ("failing", "limiting", "refusing", "slow", "resetting", "hanging", "late")
MOMENTS = ("worked", "landed", "told", "accepted")
_CHAOS = (300.0, 1200.0)  # seconds
_LANDING = 125  # seconds; no request lands later than 120 after it left
_CLOCK = ("3600", "-3600", "-86400", "600")  # seconds by which it is set

_MAIN = """
server: {{listen: "127.0.0.1:9797", drain_timeout: 5s}}
storage: {{url: "sqlite:///alertbridge.db"}}
sources:
  prod: {{type: alertmanager, stale_window: {stale}s, auth: {{bearer_token_file: source-token}}}}
destinations:
  elven: {{type: elven, url_file: elven-url, {elven}}}
  hivel: {{type: hivel, base_url: "https://hivel.example/hivel", token_file: hivel-token, {hivel}}}
{heartbeats}services:
  checkout: {{repo_url: "https://github.com/acme/checkout", pr_number: 44}}
severities: {{page: critical, warning: moderate}}
rules:
  - name: grouped
    when: [team = payments]
    key: "{grouped}"
    reopen_window: {reopen}s
    send:
      elven: {{title: "{title} {{{{ labels.alertname }}}}"}}
      hivel: {{}}
  - name: everything
    send: [elven, hivel]
"""


_HEARTBEAT = """heartbeats:
  - {{name: watchdog, when: [alertname = Watchdog], every: 60s, grace: {grace}s, hold_resolves: {hold}s, send: [elven]}}
"""
WATCHDOG = "watchdog"  # the alert that fires all the time, and its group, where there is a heartbeat


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens at an instant; `span` is how long it lasts, where it lasts."""

    at: float
    what: str
    whom: str = ""
    span: float = 0.0

    @override
    def __str__(self) -> str:
        span = f" for {self.span:.0f} s" if self.span else ""
        return f"{self.at:9.3f}  {self.what} {self.whom}{span}"


@dataclass(frozen=True, slots=True)
class Limit:
    """A destination's rate limit."""

    requests: int
    per: int
    burst: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it. `mains` are the configurations that are changed to and fro by reloads."""

    seed: str
    mains: tuple[str, str]
    limits: dict[str, Limit | None]
    alerts: tuple[tuple[str, dict[str, str], dict[str, str], str], ...]  # name, labels, annotations, group
    steps: tuple[Step, ...]
    chaos: float


def plan(seed: int | str) -> Plan:
    """The plan of a seed, the same wherever it is made."""
    random = Random(f"{seed}/plan")
    chaos = random.uniform(*_CHAOS)
    limits = {name: _limit(random) for name in ("elven", "hivel")}
    alerts = _alerts(random)
    heartbeat = _heartbeat(random)
    steps = [
        *_lives(random, [one[0] for one in alerts], chaos),
        *_faults(random, chaos),
        *_leap(Random(f"{seed}/leap"), chaos),
    ]
    if heartbeat:
        watchdog = {"alertname": "Watchdog", "severity": "low", "cluster": "eu", "fingerprint": "f" * 16}
        alerts.append((WATCHDOG, watchdog, {}, WATCHDOG))
    return Plan(
        seed=str(seed),
        mains=_mains(random, limits, heartbeat),
        limits=limits,
        alerts=tuple(alerts),
        steps=tuple(sorted(steps, key=lambda step: (step.at, step.what, step.whom))),
        chaos=chaos,
    )


def _limit(random: Random) -> Limit | None:
    if random.random() < 0.3:
        return None
    requests = random.randint(2, 10)
    return Limit(
        requests, random.choice((10, 30, 60)), random.choice((requests, random.randint(1, requests)))
    )


def _heartbeat(random: Random) -> str:
    if random.random() < 0.6:
        return ""
    return _HEARTBEAT.format(grace=random.choice((30, 90)), hold=random.choice((0, 60, 200)))


def _mains(random: Random, limits: dict[str, Limit | None], heartbeats: str) -> tuple[str, str]:
    stale, reopen = random.choice((0, 20, 90)), random.choice((0, 0, 60))

    def destination(name: str) -> str:
        limit = limits[name]
        said = [f"probe_interval: {random.choice((20, 60))}s", f"concurrency: {random.randint(1, 6)}"]
        if limit:
            said += [f"rate_limit: {{requests: {limit.requests}, per: {limit.per}s, burst: {limit.burst}}}"]
        if name == "elven":
            said += [f"key_interval: {random.choice((0, 0, 30))}s", f"landing_time: {_LANDING}s"]
            said += [f"collapse: {random.choice(('false', 'false', 'true'))}"]
        return ", ".join(said)

    elven, hivel = destination("elven"), destination("hivel")
    choices = (("{{ labels.cluster }}/{{ labels.alertname }}", "one"), ("{{ labels.cluster }}", "two"))
    first, second = (
        _MAIN.format(
            stale=stale,
            reopen=reopen,
            elven=elven,
            hivel=hivel,
            grouped=grouped,
            title=title,
            heartbeats=heartbeats,
        )
        for grouped, title in choices
    )
    return first, second


def _alerts(random: Random) -> list[tuple[str, dict[str, str], dict[str, str], str]]:
    number = random.choice((3, 5, 8, 12, 25))
    groups = [f"g{one}" for one in range(random.randint(1, 4))]
    found = []
    for one in range(number):
        name = f"a{one:02}"
        labels = {
            "alertname": name if random.random() < 0.7 else "Down",
            "severity": random.choice(("page", "warning", "low")),
            "cluster": random.choice(("eu", "us")),
            "instance": name,
            "fingerprint": f"{one:016x}",
        }
        if random.random() < 0.4:
            labels["team"] = "payments"
        if random.random() < 0.8:
            labels["service"] = "checkout"
        poison = {"description": "poison"} if random.random() < 0.04 else {}
        found.append((name, labels, {"summary": f"{name} is down", **poison}, random.choice(groups)))
    return found


def _lives(random: Random, names: list[str], chaos: float) -> list[Step]:
    """Each alert fires and resolves: once, or again and again, some of them all at the same moment."""
    steps = []
    storm = random.uniform(0, chaos) if random.random() < 0.4 else None
    for name in names:
        at = random.uniform(0, chaos / 2) if storm is None else storm + random.uniform(0, 2)
        for _ in range(random.choice((1, 1, 2, 3, 6))):
            steps.append(Step(at, "fire", name))
            at += random.choice((3.0, 20.0, 45.0, 120.0, 300.0)) * random.uniform(0.5, 1.5)
            if random.random() < 0.85:
                steps.append(Step(at, "resolve", name))
            at += random.choice((3.0, 20.0, 45.0, 300.0)) * random.uniform(0.5, 1.5)
            if at > chaos:
                break
    return steps


def _leap(random: Random, chaos: float) -> list[Step]:
    """A clock is set forward when a rate limit is used up: what has just been sent seems to be long ago."""
    if random.random() < 0.7:
        return []
    return [Step(random.uniform(0, chaos), "clock at limit", random.choice(("600", "3600")))]


def _faults(random: Random, chaos: float) -> list[Step]:
    steps = []

    def happen(what: str, most: int, *, whom: tuple[str, ...] = ("",), span: float = 0.0) -> None:
        for _ in range(random.randint(0, most)):
            lasting = random.uniform(0.1, 1) * span
            steps.append(Step(random.uniform(0, chaos), what, random.choice(whom), lasting))

    destinations = ("elven", "hivel")
    for _ in range(random.randint(0, 6)):
        weather = random.choice(WEATHERS)
        at, span = random.uniform(0, chaos), random.uniform(5, 300)
        steps.append(Step(at, f"weather {weather}", random.choice(destinations), span))
    happen("crash", 2, span=20)
    for moment in MOMENTS:
        steps += [
            Step(random.uniform(0, chaos), "crash at", moment, random.uniform(0.1, 15))
            for _ in range(random.choice((0, 0, 1, 2)))
        ]
    happen("stop", 1, span=20)
    happen("full", 2, span=90)
    happen("read-only", 1, span=60)
    happen("stalling", 1, span=120)
    if random.random() < 0.3:
        happen("low", 2, span=120)
    if random.random() < 0.3:
        happen("clock", 2, whom=_CLOCK)
    happen("cut", 1, span=250)
    happen("part", 1, span=200)
    happen("rotate", 1, whom=destinations, span=120)
    happen("pause", 1, whom=destinations, span=200)
    happen("reload", 2)
    happen("retry", 2)
    happen("discard", 1)
    happen("complete", 2)
    happen("close", 1)
    happen("replay", 1, span=600)
    return steps
