"""What really happened, as Alertmanager told it, and what must come of it: captured requests, on a clock that follows them.

The requests lie in `tests/payloads/alertmanager`; what happened around each stands in its `index.json`. A body made with
`like` differs from a captured one only as it says: those are the parts of a story of which no request was kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from alertbridge.store.store import Store
from tests.support.database import new_database
from tests.support.payloads import FOLDER
from tests.support.story import PER_ALERT, PER_GROUP, Story, like

CHECKOUT = "https://git.example/acme/checkout 44"
WEB_1, WEB_2, WEB_3 = "prod/bdc4a5686971790d", "prod/646bacc84fcf1060", "prod/50e7d969130fee3f"
HA_1, HA_2 = "prod/f57b499615699057", "prod/8168fbf02f07671c"
DISK_A, DISK_B, DISK_C = "prod/b3398b9ede2b434e", "prod/7847772b8e322f74", "prod/02d5018d9fce9ae3"
LINT_412, LINT_413, UNIT_412 = "prod/7d79334a76ef0f77", "prod/10978ceb3164a82c", "prod/bd81ffffcef95b39"
FLAP, MANUAL, WATCHDOG = "prod/f43df7fcfc5c22ca", "prod/b9cc2fdc4124e062", "prod/4bcd930190551935"
NOTHING: list[str] = []


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(new_database(tmp_path / "alertbridge.db"))
    writing = asyncio.create_task(opened.run())
    yield opened
    opened.stop()
    await writing
    await opened.close()


@pytest.fixture
def story(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> Story:
    """Told with an incident for each alert, unless the test asks for other rules."""
    return Story(store, tmp_path, getattr(request, "param", PER_ALERT))


grouped = pytest.mark.parametrize("story", [PER_GROUP], indirect=True, ids=["one key for the group"])


async def test_an_alert_fires_another_joins_they_end_one_by_one_and_the_first_comes_back(
    story: Story,
) -> None:
    await story.hears("01")
    assert story.told() == [f"19:38:48.733 alarmed {WEB_1}"]
    await story.hears("02")
    assert story.told() == [f"19:38:58.736 alarmed {WEB_2}"], (
        "the first is listed again, and nothing is said of it"
    )
    await story.hears("03")
    assert story.told() == NOTHING, "another route repeats the first with a newer text"
    await story.hears("04")
    assert story.told() == [f"19:39:18.737 resolved {WEB_1}"], (
        "the group says firing, the alert says resolved"
    )
    await story.hears("05")
    assert story.told() == NOTHING, "it is listed as resolved again"
    await story.hears("06")
    assert story.told() == [f"19:39:53.741 resolved {WEB_2}", f"19:39:53.741 alarmed {WEB_3}"]
    await story.hears("07")
    assert story.told() == [f"19:40:03.742 resolved {WEB_3}"]
    await story.hears("08", "09")
    assert story.told() == [f"19:40:11.732 alarmed {WEB_1}"], "once, though both routes say it"
    over = [
        f"{WEB_1} 19:38:46.728 19:39:17.728",
        f"{WEB_2} 19:38:55.728 19:39:53.728",
        f"{WEB_3} 19:39:53.728 19:40:02.728",
    ]
    assert await story.incidents("elven") == [*over, f"{WEB_1} 19:40:11.728 open"]
    assert await story.incidents("hivel") == [*over, f"{WEB_1} 19:40:11.728 open"]
    assert await story.records() == [
        f"{WEB_1} 19:38:46 19:39:17 critical {CHECKOUT}",
        f"{WEB_2} 19:38:55 19:39:53 critical {CHECKOUT}",
        f"{WEB_3} 19:39:53 19:40:02 critical {CHECKOUT}",
    ]


@grouped
async def test_a_group_whose_members_come_and_go_is_one_incident_until_the_last_has_ended(
    story: Story,
) -> None:
    await story.hears("01")
    assert story.told() == ["19:38:48.733 alarmed HighErrorRate"]
    await story.hears("02", "03", "04", "05", "06")
    assert story.told() == NOTHING, "also when one joins and the only other ends in one flush"
    assert await story.incidents() == ["HighErrorRate 19:38:46.728 open"]
    assert await story.records() == NOTHING
    await story.hears("07")
    assert story.told() == ["19:40:03.742 resolved HighErrorRate"]
    await story.hears("08", "09")
    assert story.told() == ["19:40:11.732 alarmed HighErrorRate"]
    both = ["HighErrorRate 19:38:46.728 19:40:02.728", "HighErrorRate 19:40:11.728 open"]
    assert await story.incidents("elven") == both
    assert await story.incidents("hivel") == both
    assert await story.records() == [f"HighErrorRate 19:38:46 19:40:02 critical {CHECKOUT}"]


REOPENED = """
rules:
  - {name: everything, key: "{{ labels.alertname }}", reopen_window: 1m, send: [elven, hivel]}
"""


@pytest.mark.parametrize("story", [REOPENED], indirect=True, ids=["reopen_window: 1m"])
async def test_a_group_that_comes_back_within_the_reopen_window_is_one_incident_and_one_record(
    story: Story,
) -> None:
    await story.hears("01", "02", "04", "06", "07")
    assert story.told() == ["19:38:48.733 alarmed HighErrorRate", "19:40:03.742 resolved HighErrorRate"]
    await story.hears("08")
    assert story.told() == ["19:40:11.732 alarmed HighErrorRate"]
    assert await story.incidents() == ["HighErrorRate 19:38:46.728 open"]
    await story.hears(like("08", only="web-1", status="resolved", endsAt="19:42:00"), at="19:42:05")
    assert story.told() == ["19:42:05.000 resolved HighErrorRate"]
    assert story.told("hivel") == NOTHING
    await story.passes_until("19:42:59.999")
    assert story.told("hivel") == NOTHING, "it may come back still"
    await story.passes_until("19:45:00")
    assert story.told("hivel") == [f"19:43:00.000 HighErrorRate 19:38:46 19:42:00 critical {CHECKOUT}"]
    assert await story.incidents("hivel") == ["HighErrorRate 19:38:46.728 19:42:00.000"]
    assert len(await story.records()) == 1


EVERY_CHANGE = """
rules:
  - name: everything
    send:
      elven: {resend: change}
"""


@pytest.mark.parametrize("story", [EVERY_CHANGE], indirect=True, ids=["resend: change"])
async def test_a_text_that_moved_between_two_repeats_is_told_where_the_rule_asks_for_it(story: Story) -> None:
    await story.hears("01", "02", "03", "04", "05")
    assert [(one["action"], one["description"][:3]) for one in story.payloads()] == [
        ("alarmed", "12%"),
        ("alarmed", "30%"),
        ("alarmed", "45%"),
        ("resolved", "45%"),
    ]


async def test_two_alertmanagers_that_are_no_cluster_say_everything_twice_and_it_counts_once(
    story: Story,
) -> None:
    for number in ("01", "04", "07"):
        await story.hears(number)
        await story.hears(number, at=story.now())
    assert story.told() == [
        f"19:38:48.733 alarmed {WEB_1}",
        f"19:39:18.737 resolved {WEB_1}",
        f"19:39:18.737 alarmed {WEB_2}",
        f"19:40:03.742 resolved {WEB_2}",
        f"19:40:03.742 resolved {WEB_3}",
    ], "the last is a resolve of an alert never heard of"
    assert await story.records() == [
        f"{WEB_1} 19:38:46 19:39:17 critical {CHECKOUT}",
        f"{WEB_2} 19:38:55 19:39:53 critical {CHECKOUT}",
    ]


async def test_a_pair_says_old_news_after_the_resolve_takes_it_back_and_nobody_hears_of_it(
    story: Story,
) -> None:
    await story.hears("33", at="19:42:09.569")
    assert story.told() == [f"19:42:09.569 alarmed {HA_1}", f"19:42:09.569 alarmed {HA_2}"]
    await story.hears("32")
    assert story.told() == [f"19:42:39.569 resolved {HA_1}"]
    await story.hears("33")
    assert await story.doubted() == ["f57b499615699057"]
    await story.hears("34")
    assert await story.doubted() == NOTHING
    await story.passes_until("20:42:00")
    assert story.told() == NOTHING
    over = f"{HA_1} 19:41:17.558 19:42:37.558"
    assert sorted(await story.incidents()) == [f"{HA_2} 19:41:57.558 open", over]
    assert await story.records() == [f"{HA_1} 19:41:17 19:42:37 medium lacks repo_url, pr_number"]


@grouped
async def test_old_news_of_a_pair_leaves_its_group_one_open_incident(story: Story) -> None:
    await story.hears("33", at="19:42:09.569")
    await story.hears("32", "33", "34")
    await story.passes_until("20:42:00")
    assert story.told() == ["19:42:09.569 alarmed HaProbe"]
    assert await story.incidents() == ["HaProbe 19:41:17.558 open"]
    assert await story.records() == NOTHING


@grouped
async def test_old_news_of_a_pair_does_not_open_again_a_group_that_has_ended(story: Story) -> None:
    await story.hears("33", at="19:42:09.569")
    await story.hears("32")
    await story.hears(like("34", status="resolved", endsAt="19:42:43.558"), at="19:42:44.569")
    await story.hears("33")
    await story.hears(like("34", status="resolved", endsAt="19:42:43.558"), at="19:42:59.571")
    await story.passes_until("20:42:00")
    assert story.told() == ["19:42:09.569 alarmed HaProbe", "19:42:44.569 resolved HaProbe"]
    assert await story.incidents("hivel") == ["HaProbe 19:41:17.558 19:42:43.558"]
    assert await story.records() == ["HaProbe 19:41:17 19:42:43 medium lacks repo_url, pr_number"]


async def test_old_news_that_nobody_takes_back_counts_from_the_end_before(story: Story) -> None:
    await story.hears("33", at="19:42:09.569")
    await story.hears("32", "33")
    assert len(story.told()) == 3
    await story.passes_until("20:42:00")
    assert story.told() == [f"19:44:19.566 alarmed {HA_1}"], "90 s after it was heard"
    assert f"{HA_1} 19:42:37.558 open" in await story.incidents()


async def test_a_silence_that_makes_the_group_say_resolved_ends_only_what_has_resolved(story: Story) -> None:
    await story.hears(like("02", startsAt="19:44:58.728"), at="19:45:01.774")
    assert story.told() == [f"19:45:01.774 alarmed {WEB_1}", f"19:45:01.774 alarmed {WEB_2}"]
    await story.hears("25")
    assert story.told() == [f"19:46:01.774 resolved {WEB_1}"], "the other fires on, silenced"
    await story.hears("26")
    assert story.told() == [f"19:46:16.775 resolved {WEB_3}"], "never heard of, and passed on to be safe"
    assert await story.incidents("hivel") == [
        f"{WEB_1} 19:44:58.728 19:45:31.728",
        f"{WEB_2} 19:44:58.728 open",
    ]
    assert await story.records() == [f"{WEB_1} 19:44:58 19:45:31 critical {CHECKOUT}"]


@grouped
async def test_a_silence_that_makes_the_group_say_resolved_does_not_end_its_incident(story: Story) -> None:
    await story.hears(like("02", startsAt="19:44:58.728"), at="19:45:01.774")
    await story.hears("25", "26")
    assert story.told() == ["19:45:01.774 alarmed HighErrorRate"]
    assert await story.incidents("elven") == ["HighErrorRate 19:44:58.728 open"]
    assert await story.incidents("hivel") == ["HighErrorRate 19:44:58.728 open"]
    assert await story.records() == NOTHING


async def test_a_silenced_alert_that_is_over_before_the_silence_is_resolved_when_it_is_said(
    story: Story,
) -> None:
    await story.hears(like("02", only="web-2", startsAt="19:44:58.728"), at="19:45:01.774")
    await story.hears("25", "26")
    over = {"status": "resolved", "startsAt": "19:44:58.728", "endsAt": "19:50:00.728"}
    await story.hears(like("26", only="web-2", **over), at="20:01:31.775")
    assert await story.records() == [f"{WEB_2} 19:44:58 19:50:00 critical {CHECKOUT}"]


async def test_a_flap_between_two_flushes_ends_the_episode_that_was_announced(story: Story) -> None:
    await story.hears("12")
    assert story.told() == [f"19:41:40.731 alarmed {FLAP}"]
    never_announced = {"status": "resolved", "startsAt": "19:41:53.728", "endsAt": "19:41:58.728"}
    await story.hears(like("12", **never_announced), at="19:42:00.731")
    assert story.told() == [f"19:42:00.731 resolved {FLAP}"]
    assert await story.incidents() == [f"{FLAP} 19:41:38.728 19:41:58.728"]
    assert await story.records() == [f"{FLAP} 19:41:38 19:41:58 medium lacks repo_url, pr_number"]
    await story.hears(like("12", startsAt="19:42:08.728"), at="19:42:10.731")
    assert story.told() == [f"19:42:10.731 alarmed {FLAP}"]


async def test_the_watchdog_fires_all_day_is_repeated_every_minute_and_is_announced_once(
    story: Story,
) -> None:
    await story.hears("14")
    for minute in range(39, 60):
        await story.hears("14", at=f"19:{minute}:45.982")
    assert story.told() == [f"19:38:45.982 alarmed {WATCHDOG}"]
    assert await story.incidents("hivel") == [f"{WATCHDOG} 19:38:39.977 open"]
    assert await story.records() == NOTHING


async def test_a_prometheus_that_restarts_gives_a_new_start_and_the_incident_goes_on(story: Story) -> None:
    await story.hears("01")
    await story.hears(like("01", startsAt="19:39:40.728"), at="19:39:43.733")
    assert story.told() == [f"19:38:48.733 alarmed {WEB_1}"]
    await story.hears(
        like("01", status="resolved", startsAt="19:39:40.728", endsAt="19:40:30.728"), at="19:40:33"
    )
    assert await story.incidents() == [f"{WEB_1} 19:38:46.728 19:40:30.728"]
    assert await story.records() == [f"{WEB_1} 19:38:46 19:40:30 critical {CHECKOUT}"]


async def test_an_alertmanager_that_restarts_says_resolved_of_a_group_that_fires_on(story: Story) -> None:
    await story.hears("01", "02", "04", "05")
    story.told()
    await story.hears(like("05", only="web-1"), at="19:39:43.740")
    await story.hears("05", at="19:39:48.740")
    assert story.told() == NOTHING, "of the alert that fires nothing was said, so it fires"
    assert await story.incidents() == [
        f"{WEB_1} 19:38:46.728 19:39:17.728",
        f"{WEB_2} 19:38:55.728 open",
    ]


async def test_a_dead_prometheus_lets_its_alerts_expire_and_they_end_when_they_expired(story: Story) -> None:
    await story.hears("17")
    assert story.told() == [f"19:43:53.982 alarmed {disk}" for disk in (DISK_A, DISK_B, DISK_C)]
    await story.hears("29")
    assert story.told() == [f"19:49:57.987 resolved {disk}" for disk in (DISK_A, DISK_B, DISK_C)]
    ended = [f"{disk} 19:43:51.977 19:49:53.977" for disk in (DISK_A, DISK_B, DISK_C)]
    assert await story.incidents("elven") == ended
    assert await story.records() == [
        f"{disk} 19:43:51 19:49:53 medium lacks repo_url, pr_number" for disk in (DISK_A, DISK_B, DISK_C)
    ]


async def test_what_expired_and_comes_back_with_its_old_start_counts_once_nobody_takes_it_back(
    story: Story,
) -> None:
    await story.hears("17", "29")
    story.told()
    await story.hears("17", at="19:50:17.987")
    assert len(await story.doubted()) == 3
    await story.hears("17", at="19:50:47.987")
    assert story.told() == NOTHING
    await story.passes_until("19:52:00")
    assert story.told() == [f"19:51:47.987 alarmed {disk}" for disk in sorted((DISK_A, DISK_B, DISK_C))]
    assert sorted(await story.incidents())[1] == f"{DISK_C} 19:49:53.977 open"


@grouped
async def test_a_group_that_expired_and_comes_back_is_a_second_incident(story: Story) -> None:
    await story.hears("17", "29")
    await story.hears("17", at="19:50:17.987")
    await story.passes_until("19:52:00")
    assert story.told() == [
        "19:43:53.982 alarmed DiskWillFill",
        "19:49:57.987 resolved DiskWillFill",
        "19:51:47.987 alarmed DiskWillFill",
    ]
    assert await story.incidents("hivel") == [
        "DiskWillFill 19:43:51.977 19:49:53.977",
        "DiskWillFill 19:49:53.977 open",
    ]


async def test_labels_with_blanks_and_umlauts_arrive_as_they_are(story: Story) -> None:
    await story.hears("17")
    mountpoints = [
        [tag["value"] for tag in one["tags"] if tag["name"] == "mountpoint"] for one in story.payloads()
    ]
    assert mountpoints == [["/"], ["/var/lib/data base"], ["/srv/ünï"]]


async def test_a_truncated_body_says_nothing_of_the_alerts_it_left_out(story: Story) -> None:
    await story.hears("02", "10")
    assert story.told() == [f"19:38:58.736 alarmed {WEB_1}", f"19:38:58.736 alarmed {WEB_2}"]
    await story.hears(like("10", status="resolved", endsAt="19:39:17.728"), at="19:39:18.737")
    assert story.told() == [f"19:39:18.737 resolved {WEB_1}"]
    assert await story.incidents() == [
        f"{WEB_1} 19:38:46.728 19:39:17.728",
        f"{WEB_2} 19:38:55.728 open",
    ]
    assert await story.records() == [f"{WEB_1} 19:38:46 19:39:17 critical {CHECKOUT}"]
    assert await story.left_out() == 2


@grouped
async def test_a_truncated_body_that_says_resolved_does_not_end_the_incident_of_what_it_left_out(
    story: Story,
) -> None:
    await story.hears("02", "10")
    await story.hears(like("10", status="resolved", endsAt="19:39:17.728"), at="19:39:18.737")
    assert story.told() == ["19:38:58.736 alarmed HighErrorRate"]
    assert await story.incidents("hivel") == ["HighErrorRate 19:38:46.728 open"]
    assert await story.records() == NOTHING


async def test_a_storm_of_500_is_500_incidents_whatever_a_truncated_body_leaves_out(story: Story) -> None:
    await story.hears("36")
    assert len(story.told()) == 100
    await story.hears("35")
    assert len(story.told()) == 400, "those that were left out at first"
    await story.hears("36", at="19:51:58.393")
    assert story.told() == NOTHING
    ends = {"status": "resolved", "endsAt": "19:52:26.24"}
    await story.hears(like("36", **ends), at="19:52:28.393")
    assert len(story.told()) == 100
    assert sum(one.endswith("open") for one in await story.incidents()) == 400
    await story.hears(like("35", **ends), at="19:52:28.406")
    assert len(story.told()) == 400
    assert len(set(await story.incidents("hivel"))) == 500
    assert {line.split(" ", 1)[1] for line in await story.records()} == {
        "19:51:26 19:52:26 medium https://git.example/acme/warehouse 7"
    }
    assert await story.left_out() == 3 * 400


@grouped
async def test_a_storm_in_one_group_is_one_incident_until_the_last_of_500_has_ended(story: Story) -> None:
    await story.hears("36", "35")
    ends = {"status": "resolved", "endsAt": "19:52:26.24"}
    await story.hears(like("36", **ends), at="19:52:28.393")
    assert story.told() == ["19:51:28.393 alarmed Storm"]
    await story.hears(like("35", **ends), at="19:52:28.406")
    assert story.told() == ["19:52:28.406 resolved Storm"]
    assert await story.incidents("elven") == ["Storm 19:51:26.240 19:52:26.240"]
    assert await story.records() == ["Storm 19:51:26 19:52:26 medium https://git.example/acme/warehouse 7"]


CHECKS = """
rules:
  - name: checks
    when: [alertname = PRCheckFailing]
    send:
      elven:
      hivel: {repo_url: "https://git.example/{{ labels.repo }}", pr_number: "{{ labels.pr }}"}
"""


@pytest.mark.parametrize("story", [CHECKS], indirect=True, ids=["the pull request is in the labels"])
async def test_failing_checks_told_by_two_routes_are_laid_to_their_pull_requests(story: Story) -> None:
    await story.hears("15", "16")
    assert story.told() == [
        f"19:43:50.898 alarmed {LINT_412}",
        f"19:43:50.898 alarmed {UNIT_412}",
        f"19:43:50.900 alarmed {LINT_413}",
    ]
    await story.hears(like("16", status="resolved", endsAt="19:48:48.893"), at="19:48:50.900")
    assert story.told("hivel") == [
        f"19:48:50.900 {LINT_412} 19:43:48 19:48:48 low https://git.example/acme/shop 412",
        f"19:48:50.900 {UNIT_412} 19:43:48 19:48:48 low https://git.example/acme/shop 412",
        f"19:48:50.900 {LINT_413} 19:43:48 19:48:48 low https://git.example/acme/shop 413",
    ]
    assert await story.incidents("hivel") == await story.incidents("elven")


async def test_a_text_of_5000_characters_is_cut_to_what_each_destination_takes(story: Story) -> None:
    await story.hears("19")
    (alarm,) = story.payloads()
    assert alarm["title"] == "A very long annotation"
    assert (len(alarm["description"]), alarm["description"][-1]) == (4000, "…")
    await story.hears(like("19", status="resolved", endsAt="19:44:48.625"), at="19:44:50.630")
    (resolve,) = story.payloads()
    assert resolve == {**alarm, "action": "resolved"}
    assert len(await story.records()) == 1


async def test_a_template_that_failed_in_prometheus_is_told_as_it_is(story: Story) -> None:
    await story.hears("20")
    (alarm,) = story.payloads()
    assert alarm["title"].startswith("<error expanding template: ")
    assert alarm["description"].startswith("missing label: []")
    assert alarm["severity"] == "moderate"


async def test_an_alert_without_annotations_is_called_by_its_name_and_instance(story: Story) -> None:
    await story.hears("21")
    (alarm,) = story.payloads()
    assert alarm["title"] == "QuietAlert (host.example:9100)"
    assert await story.incidents() == ["prod/a04b2fcafb408a0c 19:43:48.977 open"]


async def test_a_node_that_is_down_is_one_critical_incident_without_a_service(story: Story) -> None:
    await story.hears("22")
    (alarm,) = story.payloads()
    assert (alarm["severity"], alarm["title"]) == ("critical", "host.example:9100 of job node is down")
    await story.hears(like("22", status="resolved", endsAt="19:45:12.977"), at="19:45:14.981")
    assert await story.records() == [
        "prod/94aa6fdfea42505e 19:44:12 19:45:12 critical lacks repo_url, pr_number"
    ]


async def test_an_alert_sent_by_hand_ends_by_resolve_timeout(story: Story) -> None:
    await story.hears(like("24", status="firing"), at="19:44:35.243")
    await story.hears("24")
    assert story.told() == [f"19:44:35.243 alarmed {MANUAL}", f"19:44:45.244 resolved {MANUAL}"]
    assert await story.incidents("hivel") == [f"{MANUAL} 19:44:33.241 19:44:43.241"]
    assert await story.records() == [f"{MANUAL} 19:44:33 19:44:43 low lacks repo_url, pr_number"]


async def test_a_resolve_of_an_alert_never_heard_of_is_passed_on_to_elven_once_and_makes_no_record(
    story: Story,
) -> None:
    await story.hears("24")
    await story.hears("24", at="19:45:15.244")
    assert story.told() == [f"19:44:45.244 resolved {MANUAL}"]
    assert await story.incidents("hivel") == NOTHING
    assert await story.records() == NOTHING


def test_every_captured_request_has_its_story() -> None:
    told = Path(__file__).read_text(encoding="utf-8")
    numbers = {path.name[:2] for path in FOLDER.glob("[0-9]*.json")}
    assert {number for number in numbers if f'"{number}"' not in told} == set()
