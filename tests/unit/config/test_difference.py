from __future__ import annotations

from pathlib import Path

import pytest

from alertbridge.config.difference import Difference, applied, difference
from tests.support.configuration import MAIN, configure


def between(folder: Path, old: str, new: str) -> Difference:
    before = configure(folder)
    assert old in MAIN
    return difference(before, configure(folder, main=MAIN.replace(old, new)))


ELVEN = 'elven: {type: elven, url: "http://127.0.0.1:9/elven/token-of-elven"}'


@pytest.mark.parametrize(
    ("old", "new", "how", "names"),
    [
        ("prod: {type", "other: {type: alertmanager}\n  prod: {type", "added", ["sources.other"]),
        ("prod:", "other:", "removed", ["sources.prod"]),
        ("{type: alertmanager}", "{type: alertmanager, stale_window: 1m}", "changed", ["sources.prod"]),
        ("token-of-elven", "token-of-tomorrow", "changed", ["destinations.elven"]),
        (ELVEN, "elven: {type: hivel, token: token-of-hivel}", "changed", ["destinations.elven"]),
        ("44", "45", "changed", []),
    ],
)
def test_what_is_added_changed_or_removed_is_named(
    tmp_path: Path, old: str, new: str, how: str, names: list[str]
) -> None:
    found = between(tmp_path, old, new)

    assert found.anything
    assert found.named(how) == names


def test_another_word_on_deployments_is_a_difference(tmp_path: Path) -> None:
    assert between(tmp_path, "services:", "deployments: {forward: hivel}\nservices:").anything


def test_the_same_is_no_difference(tmp_path: Path) -> None:
    found = between(tmp_path, "prod", "prod")

    assert not found.anything
    assert [found.named(how) for how in ("added", "changed", "removed")] == [[], [], []]


def test_a_destination_of_another_type_leaves_its_messages_behind(tmp_path: Path) -> None:
    found = between(tmp_path, ELVEN, "elven: {type: hivel, token: token-of-hivel}")

    assert found.destinations.leaving == ("elven",)


@pytest.mark.parametrize(
    ("old", "new", "rekeyed"),
    [
        ("token-of-elven", "token-of-tomorrow", {"elven"}),
        ("token-of-hivel", "token-of-tomorrow", {"hivel"}),
        ("token: token-of-hivel", "token: token-of-hivel, timeout: 3s", set()),
    ],
)
def test_a_destination_whose_secret_has_changed_is_told_apart(
    tmp_path: Path, old: str, new: str, rekeyed: set[str]
) -> None:
    assert between(tmp_path, old, new).rekeyed == rekeyed


def test_what_needs_a_restart_stays_as_it_runs_and_is_named_again_next_time(tmp_path: Path) -> None:
    running = configure(tmp_path)
    other = MAIN.replace('"127.0.0.1:0"}', '"127.0.0.1:1", admin_token: a-new-admin-token}')
    wanted = configure(tmp_path, main=other.replace("alertbridge.db", "other.db"))

    assert difference(running, wanted).restart == ("server.listen", "storage.url")
    settings = applied(running, wanted)
    assert settings.server.listen == "127.0.0.1:0"
    assert settings.server.admin_token == wanted.settings.server.admin_token
    assert settings.storage == running.settings.storage
