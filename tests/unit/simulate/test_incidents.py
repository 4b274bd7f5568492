from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alertbridge.simulate.incidents import ElvenIncidents, HivelRecords

START = datetime(2025, 9, 22, 10, 0, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def record(records: HivelRecords, provider: str, seq: int) -> bool:
    fields = {"provider_id": provider} if provider else {}
    return records.add(fields, provider=provider, incident_id=f"i-{seq}", seq=seq, at=at(seq))


def test_an_incident_opens_repeats_closes_and_opens_again() -> None:
    incidents = ElvenIncidents(keep=10)
    incidents.alarm("k", severity="low", title="one", seq=1, at=at(1))
    incidents.alarm("k", severity="high", title="two", seq=2, at=at(2))
    said = incidents.present()["k"]
    assert (said["state"], said["since"], said["severity"], said["title"]) == (
        "alarmed",
        at(1),
        "high",
        "two",
    )
    assert incidents.resolve("k", seq=3, at=at(3))
    assert incidents.resolve("k", seq=4, at=at(4))
    said = incidents.present()["k"]
    assert (said["state"], said["since"], said["severity"]) == ("resolved", at(3), "high")
    incidents.alarm("k", severity="low", title="three", seq=5, at=at(5))
    said = incidents.present()["k"]
    assert (said["state"], said["since"], said["alarmed"], said["resolved"]) == ("alarmed", at(5), 3, 2)
    assert [(entry["seq"], entry["action"]) for entry in said["history"]] == [
        (1, "alarmed"),
        (2, "alarmed"),
        (3, "resolved"),
        (4, "resolved"),
        (5, "alarmed"),
    ]


def test_a_resolve_for_a_key_never_alarmed_is_kept_and_told_apart() -> None:
    incidents = ElvenIncidents(keep=10)
    assert not incidents.resolve("k", seq=1, at=at(1))
    assert not incidents.resolve("k", seq=2, at=at(2))
    said = incidents.present()["k"]
    assert (said["state"], said["severity"], said["title"], said["alarmed"]) == ("resolved", None, None, 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_the_state_of_a_key_is_what_was_last_said_of_it(said: list[tuple[str, bool]]) -> None:
    incidents = ElvenIncidents(keep=10)
    for seq, (key, alarm) in enumerate(said):
        if alarm:
            incidents.alarm(key, severity="low", title=str(seq), seq=seq, at=at(seq))
        else:
            incidents.resolve(key, seq=seq, at=at(seq))
    present = incidents.present()
    assert set(present) == {key for key, _ in said}
    for key, incident in present.items():
        heard = [(seq, alarm) for seq, (other, alarm) in enumerate(said) if other == key]
        last = heard[-1][1]
        began = next(
            seq
            for position, (seq, _) in enumerate(heard)
            if all(alarm is last for _, alarm in heard[position:])
        )
        assert incident["state"] == ("alarmed" if last else "resolved")
        assert incident["since"] == at(began)
        assert incident["alarmed"] == sum(alarm for _, alarm in heard)
        assert incident["resolved"] == sum(not alarm for _, alarm in heard)
        assert [entry["seq"] for entry in incident["history"]] == [seq for seq, _ in heard]


def test_what_is_shown_does_not_change_afterwards() -> None:
    incidents = ElvenIncidents(keep=10)
    incidents.alarm("k", severity="low", title="one", seq=1, at=at(1))
    before: dict[str, Any] = incidents.present()["k"]
    incidents.resolve("k", seq=2, at=at(2))
    assert (before["state"], len(before["history"])) == ("alarmed", 1)


def test_only_so_many_incidents_are_kept() -> None:
    incidents = ElvenIncidents(keep=2)
    for seq, key in enumerate("abc"):
        incidents.alarm(key, severity="low", title="t", seq=seq, at=at(seq))
    assert list(incidents.present()) == ["b", "c"]


def test_each_record_that_repeats_a_provider_id_is_flagged() -> None:
    records = HivelRecords(keep=10)
    assert [record(records, provider, seq) for seq, provider in enumerate("aba")] == [False, False, True]
    assert [said["duplicate"] for said in records.present()] == [False, False, True]


def test_records_without_a_provider_id_are_no_duplicates() -> None:
    records = HivelRecords(keep=10)
    assert [record(records, "", seq) for seq in range(2)] == [False, False]


def test_only_so_many_records_are_kept() -> None:
    records = HivelRecords(keep=2)
    for seq, provider in enumerate("abc"):
        record(records, provider, seq)
    assert [said["provider_id"] for said in records.present()] == ["b", "c"]
    assert not record(records, "a", 4)


def test_a_vendor_that_forgets_knows_no_duplicates() -> None:
    records = HivelRecords(keep=2)
    record(records, "a", 1)
    records.forget()
    assert records.present() == []
    assert not record(records, "a", 2)
