"""The demo as a short story: two notifications come in, three messages go out, and each step is shown."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import aiohttp
import click

from alertbridge.cli import example
from alertbridge.cli.foresight import indented
from alertbridge.cli.printable import printable
from alertbridge.cli.stage import Stage
from alertbridge.errors import AlertbridgeError
from alertbridge.model import JSON, Action, DeliveryState, EventOutcome

_T = TypeVar("_T")
_POLL = timedelta(milliseconds=20)
_ACCEPTED = 202
_HOPELESS = (DeliveryState.HELD, DeliveryState.DEAD, DeliveryState.SKIPPED, DeliveryState.DISCARDED)


class Unfinished(AlertbridgeError):  # noqa: N818 - names what happened
    """Something that should have arrived has not; the message says what, and why as far as that is known."""


@dataclass(frozen=True, slots=True)
class Told:
    """One delivery as the admin API shows it."""

    destination: str
    action: str
    state: str
    payload: Mapping[str, JSON]
    status: int | None
    answer: str
    error: str


class Story:
    """Plays the main job and says every step to `say`. Each step must come true within `patience`."""

    def __init__(self, *, stage: Stage, say: Callable[[str], None], patience: timedelta) -> None:
        self._stage = stage
        self._say = say
        self._patience = patience
        self._chapter = 0

    async def tell(self) -> None:
        """From the first notification to the last answer. Raises Unfinished."""
        try:
            await self._tell()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unfinished(f"the daemon does not answer: {str(error) or type(error).__name__}") from error

    async def _tell(self) -> None:
        self._title("Alertmanager posts a notification: an alert fires")
        (verdict,) = await self._notify("firing")
        await self._opened(verdict)
        await self._told("elven", Action.ALARMED, "Elven is told that the incident has opened")
        self._line("Hivel is told nothing yet: it takes finished incidents only.")
        self._title("Alertmanager posts a second notification: all is well again")
        verdicts = await self._notify("resolved")
        ended = sum(1 for verdict in verdicts if verdict["incidents"])
        self._line(
            f"{ended} of them closes the incident; the others were never heard of, and are only noted."
        )
        await self._told("elven", Action.RESOLVED, "Elven is told that the incident is over")
        await self._told("hivel", Action.RECORD, "Hivel gets the finished incident, with the change to blame")
        self._line("The pull request is from `services:`, where checkout has its place in the configuration.")

    async def _opened(self, verdict: Mapping[str, Any]) -> None:
        """Show the rule that matched, and the incidents that it opened."""
        if not verdict["incidents"]:
            raise Unfinished(f"no incident was opened: {verdict['note']}")
        self._title(f'The rule "{verdict["rules"][0]}" matches, and opens an incident for each destination')
        for one in verdict["incidents"]:
            incident = await self._stage.get(f"/api/v1/incidents/{one['id']}")
            self._line(f"{incident['destination']}: {incident['severity']}, key {incident['key']}")
        self._line(
            "The key ties opening and closing together. It is stored: no later change of rules moves it."
        )

    async def _notify(self, name: str) -> list[Mapping[str, Any]]:
        """Post one of the captured notifications; what became of each of its alerts."""
        body = example.payload(name)
        alerts = json.loads(body)["alerts"]
        self._line(f"POST {self._stage.webhook}")
        for alert in alerts:
            labels = alert["labels"]
            told = ", ".join(f"{key}={labels[key]}" for key in ("severity", "team", "service", "instance"))
            self._line(f"  {labels['alertname']} is {alert['status']}: {told}")
        status, answer = await self._stage.post(body)
        if status != _ACCEPTED:
            raise Unfinished(f"the daemon answered {status}: {json.dumps(answer)}")
        self._line(f"answer: {status}, stored on disk as event {answer['event']}")
        event = await self._until("the event to be decided", lambda: self._decided(answer["event"]))
        return list(event["alerts"])

    async def _decided(self, identifier: str) -> Mapping[str, Any] | None:
        event: Mapping[str, Any] = await self._stage.get(f"/api/v1/events/{identifier}")
        if event["outcome"] == EventOutcome.FAILED:
            raise Unfinished(f"the event could not be decided: {event['error']}")
        return event if event["outcome"] == EventOutcome.DECIDED else None

    async def _told(self, destination: str, action: Action, title: str) -> None:
        """Wait until the destination has taken the message, and show it."""
        told = await self._until(
            f"{destination} to take `{action}`", lambda: self._delivered(destination, action)
        )
        self._title(title)
        self._say(indented(told.payload, 3))
        self._line(f"answer: {told.status} {printable(' '.join(told.answer.split()))}")

    async def _delivered(self, destination: str, action: Action) -> Told | None:
        found = await self._delivery(destination, action)
        if found is not None and found.state in _HOPELESS:
            raise Unfinished(f"{destination}: the message `{action}` is {found.state}: {found.error}")
        return found if found is not None and found.state == DeliveryState.DELIVERED else None

    async def _delivery(self, destination: str, action: Action) -> Told | None:
        page = await self._stage.get(f"/api/v1/deliveries?destination={destination}&action={action}")
        return _read(page["items"][0]) if page["items"] else None

    async def _until(self, what: str, look: Callable[[], Awaitable[_T | None]]) -> _T:
        """What `look` finds, looked for again and again."""
        clock = self._stage.clock
        deadline = clock.monotonic() + self._patience.total_seconds()
        while True:
            found = await look()
            if found is not None:
                return found
            if clock.monotonic() > deadline:
                seconds = f"{self._patience.total_seconds():g} s"
                raise Unfinished(f"waited {seconds} for {what}, in vain{await self._hindrance()}")
            await clock.sleep(_POLL)

    async def _hindrance(self) -> str:
        """What the latest message that is not delivered has met with."""
        page = await self._stage.get("/api/v1/deliveries")
        errors = [told.error for told in map(_read, page["items"]) if told.error]
        return f": {errors[0]}" if errors else ""

    def _title(self, text: str) -> None:
        self._chapter += 1
        self._say(click.style(f"\n{self._chapter}. {text}", bold=True))

    def _line(self, text: str) -> None:
        self._say(f"   {text}")


def _read(item: Mapping[str, Any]) -> Told:
    response = item["response"] or {}
    return Told(
        destination=item["destination"],
        action=item["action"],
        state=item["state"],
        payload=item["payload"],
        status=response.get("status"),
        answer=response.get("body", ""),
        error=item["last_error"] or "",
    )
