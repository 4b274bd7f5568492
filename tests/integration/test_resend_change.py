"""`resend: change`: what is sent again, and what is not, from accepted bodies to the outbox."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from alertbridge.model import Action, DeliveryState
from alertbridge.store import dispatch
from alertbridge.store.dispatch import Claim, Result
from alertbridge.store.store import Store
from tests.integration.test_pipeline import House
from tests.support.clock import NOON, ManualClock
from tests.support.configuration import MAIN

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DELIVERED = Result(DeliveryState.DELIVERED, "delivered", None, None, 200)

RULES = """
rules:
  - name: chatty
    key: "{{ labels.job }}"
    resend: change
    send:
      elven: {title: "{{ labels.instance }}: {{ annotations.text }}", tags: {job: "{{ labels.job }}"}}
      hivel: {description: "{{ annotations.text }}"}
"""


def text(moment: datetime | None) -> str:
    return "0001-01-01T00:00:00Z" if moment is None else moment.isoformat()


def alert(
    instance: str = "a", say: str = "one", *, ended: datetime | None = None, **more: str
) -> dict[str, Any]:
    """An alert that fires since noon, or has `ended`; `more` are labels and annotations."""
    return {
        "status": "resolved" if ended else "firing",
        "labels": {"alertname": "Load", "job": "j", "instance": instance, "severity": "low"} | more,
        "annotations": {"text": say} | more,
        "startsAt": NOON.isoformat(),
        "endsAt": text(ended),
        "fingerprint": f"f-{instance}",
    }


class Relay(House):
    """Hears alerts of one job, a minute after the other."""

    async def say(self, *alerts: dict[str, Any], after: timedelta = MINUTE) -> list[str]:
        """What Elven is to be told because of one body: titles, with the severity or `resolved`."""
        self.clock.advance(after)
        known = len(await self.rows("deliveries"))
        await self.hear(json.dumps({"version": "4", "alerts": alerts}).encode())
        rows = [row for row in (await self.rows("deliveries"))[known:] if row["destination"] == "elven"]
        payloads = [json.loads(str(row["payload"])) for row in rows]
        return [
            f"{one['title']} ({one['action'] if one['action'] == 'resolved' else one['severity']})"
            for one in payloads
        ]

    async def states(self) -> list[str]:
        """Of Elven's deliveries, in the order of posting."""
        return [state for destination, _, state in await self.outbox() if destination == "elven"]

    async def contents(self) -> dict[str, dict[str, Any]]:
        """The stored content of the latest incident at each destination."""
        return {
            str(row["destination"]): json.loads(str(row["content"])) for row in await self.rows("incidents")
        }

    async def claim(self, *, interval: timedelta) -> list[Claim]:
        def work(connection: Connection) -> list[Claim]:
            return dispatch.claim(connection, "elven", now=self.clock.now(), most=10, key_interval=interval)

        return await self.store.write(work)

    async def deliver(self, *, interval: timedelta = timedelta(0)) -> list[str]:
        """Take whatever may go now, and settle it; the titles."""
        sent = []
        while claims := await self.claim(interval=interval):
            for claim in claims:
                sent.append(str(claim.payload["title"]))
                await self.store.write(
                    lambda connection, claim=claim: dispatch.settle(  # type: ignore[misc]
                        connection, claim, DELIVERED, now=self.clock.now()
                    )
                )
        return sent


@pytest.fixture
def relay(store: Store, tmp_path: Path) -> Relay:
    made = Relay(store, tmp_path, ManualClock())
    made.use(RULES)
    return made


async def test_a_repeat_that_says_the_same_is_silent_and_one_that_says_more_is_announced(
    relay: Relay,
) -> None:
    assert await relay.say(alert()) == ["a: one (low)"]
    assert await relay.say(alert()) == []
    assert await relay.say(alert(say="two")) == ["a: two (low)"]
    assert await relay.say(alert(say="two")) == []
    assert await relay.say(alert(ended=NOON + 4 * MINUTE)) == ["a: two (resolved)"]


async def test_without_it_the_text_of_the_opening_stands(relay: Relay) -> None:
    relay.use(RULES.replace("resend: change", "resend: severity"))
    await relay.say(alert())
    assert await relay.say(alert(say="two")) == []
    assert (await relay.contents())["elven"]["fields"]["title"] == "a: one"


async def test_what_changes_but_is_not_sent_is_silent(relay: Relay) -> None:
    await relay.say(alert())
    assert await relay.say(alert() | {"annotations": {"text": "one", "dashboard": "elsewhere"}}) == []


async def test_the_changed_text_is_that_of_the_incident_and_of_its_record(relay: Relay) -> None:
    await relay.say(alert(repo_url="https://github.com/acme/a", pr_number="7"))
    await relay.say(alert(say="two", repo_url="https://github.com/acme/a", pr_number="8"))
    contents = await relay.contents()
    assert contents["elven"]["fields"]["title"] == "a: two"
    assert contents["elven"]["speaker"] == {"source": "prod", "fingerprint": "f-a"}
    await relay.say(alert(ended=NOON + 3 * MINUTE))
    (record,) = [row for row in await relay.rows("deliveries") if row["action"] == "record"]
    payload = json.loads(str(record["payload"]))
    assert payload["description"] == "two"
    assert payload["pr_number"] == "7", "what is to blame is what was to blame when it opened"


async def test_two_members_that_repeat_do_not_make_the_text_go_to_and_fro(relay: Relay) -> None:
    one, other = alert("a"), alert("b", "other")
    assert await relay.say(other, one) == ["b: other (low)"]
    for body in ([one], [one, other], [other], [other, one]):
        assert await relay.say(*body) == []
    assert await relay.say(alert("a", "new"), alert("c", "third")) == []


async def test_when_the_speaker_ends_the_one_that_fires_longest_speaks(relay: Relay) -> None:
    await relay.say(alert("a"), alert("b", "B"), alert("c", "C") | {"startsAt": (NOON - MINUTE).isoformat()})
    assert await relay.say(alert("a", ended=NOON + MINUTE), alert("b", "B")) == [], "c is not heard now"
    assert await relay.say(alert("b", "B"), alert("c", "C")) == ["c: C (low)"]
    again = alert("a") | {"startsAt": (NOON + 3 * MINUTE).isoformat()}
    assert await relay.say(again, alert("b", "B"), alert("c", "C")) == []


async def test_a_severity_that_falls_is_a_change_even_if_the_speaker_is_not_heard(relay: Relay) -> None:
    await relay.say(alert("a"))
    worst = alert("b", severity="critical")
    assert await relay.say(worst) == ["a: one (critical)"]
    assert await relay.say(alert("b", severity="critical", ended=NOON + 3 * MINUTE)) == ["a: one (low)"]
    back = worst | {"startsAt": (NOON + 4 * MINUTE).isoformat()}
    assert await relay.say(back) == ["a: one (critical)"]


async def test_a_rise_with_a_new_text_is_announced_once(relay: Relay) -> None:
    await relay.say(alert("a"))
    assert await relay.say(alert("a", "two"), alert("b", severity="critical")) == ["a: two (critical)"]


async def test_an_incident_that_closes_in_the_same_body_is_not_announced_again(relay: Relay) -> None:
    await relay.say(alert("a"))
    assert await relay.say(alert("a", "two"), alert("a", "two", ended=NOON + MINUTE)) == ["a: one (resolved)"]


async def test_a_doubted_firing_says_nothing_until_it_counts(relay: Relay) -> None:
    await relay.say(alert("a"), alert("b", "B"))
    assert await relay.say(alert("a", ended=NOON + 2 * MINUTE)) == []
    assert await relay.say(alert("a", "late"), after=SECOND) == []
    assert await relay.say(after=2 * MINUTE) == ["a: late (low)"]


async def test_an_incident_that_opens_again_says_what_is_so_now(relay: Relay) -> None:
    relay.use(RULES.replace("resend: change", "resend: change\n    reopen_window: 10m"))
    await relay.say(alert())
    await relay.say(alert(ended=NOON + 2 * MINUTE))
    again = alert(say="back") | {"startsAt": (NOON + 3 * MINUTE).isoformat()}
    assert await relay.say(again) == ["a: back (low)"]
    assert (
        len({row["incident"] for row in await relay.rows("deliveries") if row["destination"] == "elven"}) == 1
    )


async def test_a_text_not_yet_sent_gives_way_to_the_newer_one(relay: Relay) -> None:
    for number in range(4):
        await relay.say(alert(say=str(number)))
    assert await relay.states() == ["superseded", "superseded", "superseded", "pending"]
    assert await relay.deliver() == ["a: 3"]


async def test_in_one_batch_only_the_last_text_is_left(relay: Relay) -> None:
    bodies = [
        json.dumps({"version": "4", "alerts": [alert(say=str(number))]}).encode() for number in range(4)
    ]
    await relay.hear(*bodies)
    assert await relay.states() == ["superseded", "superseded", "superseded", "pending"]
    assert await relay.deliver() == ["a: 3"]


async def test_a_value_in_the_text_is_sent_once_in_each_key_interval_and_the_last_one_arrives(
    relay: Relay,
) -> None:
    sent: list[tuple[int, str]] = []
    for minute in range(1, 23):
        value = min(minute, 16)
        await relay.say(alert(say=f"{value} %"))
        sent += [(minute, title) for title in await relay.deliver(interval=5 * MINUTE)]
    assert sent == [(1, "a: 1 %"), (6, "a: 6 %"), (11, "a: 11 %"), (16, "a: 16 %")]
    await relay.say(alert(say="17 %"))
    assert await relay.deliver(interval=5 * MINUTE) == ["a: 17 %"]


async def test_collapse_tells_nothing_of_an_incident_whose_texts_all_waited(relay: Relay) -> None:
    relay.use(RULES, MAIN.replace('token-of-elven"', 'token-of-elven", collapse: true'))
    await relay.say(alert())
    await relay.say(alert(say="two"))
    await relay.say(alert(ended=NOON + 3 * MINUTE))
    assert await relay.states() == ["superseded", "skipped", "skipped"]


async def test_the_rule_that_opened_the_incident_decides_and_speaks(relay: Relay) -> None:
    relay.use("""
    rules:
      - name: quiet
        when: [instance = quiet]
        key: "{{ labels.job }}"
        send: {elven: {title: "quiet: {{ annotations.text }}"}}
      - name: chatty
        key: "{{ labels.job }}"
        send: {elven: {resend: change, title: "chatty: {{ annotations.text }}"}}
    """)
    assert await relay.say(alert("a")) == ["chatty: one (low)"]
    await relay.say(alert("quiet"))
    await relay.say(alert("a", ended=NOON + 2 * MINUTE))
    assert await relay.say(alert("quiet", "two")) == ["chatty: two (low)"]
    await relay.say(alert("quiet", ended=NOON + 5 * MINUTE))
    assert await relay.say(alert("quiet") | {"startsAt": (NOON + 6 * MINUTE).isoformat()}) == [
        "quiet: one (low)"
    ]
    assert await relay.say(alert("quiet", "two") | {"startsAt": (NOON + 6 * MINUTE).isoformat()}) == []


async def test_a_mended_rule_speaks_at_the_next_repeat_and_one_that_is_gone_changes_nothing(
    relay: Relay,
) -> None:
    await relay.say(alert())
    relay.use(RULES.replace("{{ labels.instance }}: ", "mended: "))
    assert await relay.say(alert()) == ["mended: one (low)"]
    relay.use("rules:\n  - {name: other, send: [elven]}\n")
    assert await relay.say(alert(say="two")) == []
    relay.use("rules:\n  - {name: chatty, send: [hivel]}\n", MAIN.replace("  elven:", "  other:"))
    await relay.say(alert(say="three"))
    assert [action for _, action, _ in await relay.outbox()].count(Action.ALARMED.value) == 2


async def test_of_a_destination_that_is_gone_nothing_is_said_but_that_it_is_over(relay: Relay) -> None:
    await relay.say(alert("a", severity="critical"), alert("b"))
    relay.use("rules:\n  - {name: chatty, send: [hivel]}\n", MAIN.replace("  elven:", "  other:"))
    await relay.say(alert("a", severity="critical", ended=NOON + MINUTE), alert("b", "two"))
    assert [action for _, action, _ in await relay.outbox()] == ["alarmed"]
    assert {row["outcome"] for row in await relay.rows("events")} == {"decided"}


async def test_a_field_that_fails_now_and_then_keeps_what_it_said(relay: Relay) -> None:
    relay.use("""
    rules:
      - name: ratio
        resend: change
        send:
          elven: {title: "every {{ 100 // (annotations.text | int) }}th", description: "{{ annotations.note }}"}
    """)
    assert await relay.say(alert(say="20")) == ["every 5th (low)"]
    assert await relay.say(alert(say="0")) == []
    failures = (await relay.contents())["elven"]["failures"]
    assert "modulo by zero" in failures["title"]
    assert relay.metrics.template_failures.labels("ratio", "title")._value.get() == 1
    assert await relay.say(alert(say="0", note="more")) == ["every 5th (low)"], "another field has changed"
    assert await relay.say(alert(say="20", note="more")) == []
    assert (await relay.contents())["elven"]["failures"] == {}


async def test_a_restart_forgets_neither_the_text_nor_who_speaks(relay: Relay, store: Store) -> None:
    await relay.say(alert("b", "B"), alert("a"))
    again = Relay(store, relay.folder, relay.clock)
    again.use(RULES)
    assert await again.say(alert("a", "two"), alert("b", "B")) == []
    assert await again.say(alert("a", "two"), alert("b", "new")) == ["b: new (low)"]


async def test_an_incident_stored_before_speakers_were_noted_goes_on(relay: Relay) -> None:
    await relay.say(alert())

    def older(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE incidents SET content = json_remove(content, '$.speaker')")

    await relay.store.write(older)
    assert await relay.say(alert()) == []
    assert await relay.say(alert(say="two")) == ["a: two (low)"]


async def test_what_a_rule_sets_is_part_of_the_text_and_no_other_time_of_day_changes_it_unseen(
    relay: Relay,
) -> None:
    enriched = """
    lookup: {owners: {file: owners.csv, by: instance}}
    rules:
      - {name: own, set: {labels: {team: "{{ lookup.owners.team }}"}}}
      - {name: late, active: {hours: "12:03-24:00"}, set: {annotations: {text: late}}}
      - {name: chatty, key: k, resend: change, send: {elven: {title: "{{ labels.team }}: {{ annotations.text }}"}}}
    """
    (relay.folder / "owners.csv").write_text("instance,team\na,pay\n", encoding="utf-8")
    relay.use(enriched)
    assert await relay.say(alert(severity="low")) == ["pay: one (low)"]
    assert await relay.say(alert()) == []
    assert await relay.say(alert()) == ["pay: late (low)"]
    (relay.folder / "owners.csv").write_text("instance,team\na,web\n", encoding="utf-8")
    relay.use(enriched)
    assert await relay.say(alert()) == ["web: late (low)"]
    assert await relay.say(alert()) == []
