"""A relay's life, at random: alerts come and go, and their news come late, twice, in the wrong order or never."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from alertbridge.model import AlertId, Intent, Resend, Severity
from tests.support.incident_machine import ALERTS, KEYS, REPORTING, WATCHDOGS, WINDOWS, Machine
from tests.support.incident_model import Word
from tests.support.inline import Table

SECOND = timedelta(seconds=1)
_PAUSES = (0, 0, 1, 5, 5, 15, 30, 60, 89, 90, 91, 120, 300)
_WINDOWS = (0, 0, 20, 60, 120)
_SHORTEST = (0, 0, 10, 30)


def any_rules(random: Random) -> Table:
    """Where each alert goes: nowhere, to an incident of its own, to one with others, to several."""
    options = {
        (destination, key): Intent(
            destination=destination,
            reporting=reporting,
            key=key,
            rule="rule",
            severity=Severity.LOW,
            resend=random.choice(list(Resend)),
            send_unknown_resolved=random.random() < 0.7,
            reopen_window=random.choice(_WINDOWS) * SECOND,
            min_duration=random.choice(_SHORTEST) * SECOND,
        )
        for destination, reporting in REPORTING.items()
        for key in KEYS
    }
    table = {}
    for alert in ALERTS:
        destinations = random.sample(sorted(REPORTING), random.choice((0, 1, 2, 3, 3)))
        keys = random.sample(KEYS, random.choice((1, 1, 1, 2)))
        table[alert] = tuple(options[destination, key] for destination in destinations for key in keys)
    return table


@dataclass
class Truth:
    """What is really the matter with one alert."""

    start: datetime
    end: datetime | None


@dataclass
class Life:
    """Each method is one step."""

    machine: Machine
    truths: dict[AlertId, Truth] = field(default_factory=dict)
    recent: list[list[Word]] = field(default_factory=list)

    def hear(self, random: Random) -> None:
        """What a source says now, mostly true."""
        body = self._body(random)
        self.recent = [*self.recent[-7:], body]
        self._say(body, random)

    def watch(self, random: Random) -> None:
        """What is said of the Watchdogs, alone or with other alerts; or nothing is, for too long."""
        if random.random() < 0.1:
            self.machine.decide()
            self.machine.miss()
            return
        body = [self._word(alert, random) for alert in random.sample(WATCHDOGS, random.choice((1, 2)))]
        others = [alert for alert in ALERTS if alert.source == WATCHDOGS[0].source]
        body += [self._word(alert, random) for alert in random.sample(others, random.choice((0, 1, 2)))]
        random.shuffle(body)
        self.recent = [*self.recent[-7:], body]
        self._say(body, random)

    def hear_again(self, random: Random) -> None:
        """Old news: the same body once more, as the other of a pair says it."""
        if self.recent:
            self._say(random.choice(self.recent), random)

    def hear_twice(self, random: Random) -> None:
        """The same body twice at the same moment: the second time it says nothing new.

        Only where an incident opened again, an alert that was there under other rules is at home again afterwards.
        """
        self.machine.decide()
        reopened = self.machine.model.reopened
        self.hear(random)
        self.machine.decide()
        before, reopened = self.machine.posted(), self.machine.model.reopened - reopened
        self.machine.accept(self.recent[-1])
        self.machine.decide()
        assert self.machine.posted() == before or reopened, "hearing it again is silent"

    def wait(self, random: Random) -> None:
        self.machine.wait(random.choice(_PAUSES) * SECOND)
        if random.random() < 0.6:
            self.machine.decide()

    def reload(self, random: Random) -> None:
        self.machine.decide()
        self.machine.reload(any_rules(random))

    def forget(self, random: Random) -> None:
        """Days pass, and what ended is forgotten; the next resolve may be of something unknown."""
        del random
        self.machine.decide()
        self.machine.wait(timedelta(days=3))
        self.machine.decide()
        self.machine.forget()
        self.recent = []
        self.truths = {alert: truth for alert, truth in self.truths.items() if truth.end is None}

    def restart(self, random: Random) -> None:
        if random.random() < 0.5:
            self.machine.crash()
        else:
            self.machine.restart()

    def outage(self, random: Random) -> None:
        """A destination goes down, or comes back."""
        self.machine.down ^= {random.choice(sorted(REPORTING))}

    def step(self, random: Random) -> None:
        """Any of them."""
        (do,) = random.choices(
            (
                self.hear,
                self.hear_again,
                self.hear_twice,
                self.wait,
                self.reload,
                self.forget,
                self.restart,
                self.outage,
                self.watch,
            ),
            (40, 12, 3, 30, 3, 3, 3, 3, 8),
        )
        do(random)

    def _say(self, body: list[Word], random: Random) -> None:
        self.machine.accept(body)
        if random.random() < 0.4:
            self.machine.decide()

    def _body(self, random: Random) -> list[Word]:
        source = random.choice(list(WINDOWS))
        alerts = [alert for alert in ALERTS if alert.source == source]
        return [self._word(alert, random) for alert in random.sample(alerts, random.choice((1, 1, 2, 3)))]

    def _word(self, alert: AlertId, random: Random) -> Word:
        now = self.machine.clock.now()
        truth = self.truths.get(alert)
        if truth is None or random.random() < 0.5:
            truth = self._changed(truth, now, random)
            if random.random() < 0.9:  # the others are plainly wrong
                self.truths[alert] = truth
        severity = random.choice((Severity.LOW, Severity.LOW, Severity.HIGH, Severity.CRITICAL))
        text = f"{alert.fingerprint} {random.choice(('slow', 'down'))}"
        return Word(alert, truth.start, truth.end, severity, text)

    def _changed(self, truth: Truth | None, now: datetime, random: Random) -> Truth:
        ago = random.choice((0, 0, 5, 5, 30, 100)) * SECOND
        if truth is None or truth.end is not None:
            # Mostly a new episode; at times it had only expired, and is back with the start it had.
            start = truth.start if truth is not None and random.random() < 0.2 else now - ago
            return Truth(start, None if random.random() < 0.9 else max(start, now - ago // 5))
        return Truth(truth.start, max(truth.start, now - ago))
