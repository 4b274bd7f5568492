"""`reconcile`, `expect_repeat` and `stale_alerts` of a source, as they are read and refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from alertbridge.config.load import Configuration, load
from alertbridge.errors import ConfigurationError
from alertbridge.model import Secret
from alertbridge.parts import expected_repeats


def loaded(folder: Path, settings: str, **environ: str) -> Configuration:
    path = folder / "alertbridge.yaml"
    path.write_text(f"sources:\n  prod: {{type: alertmanager, {settings}}}\n", encoding="utf-8")
    return load(path, environ=environ)


def test_what_is_not_said_is_cautious(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "reconcile: {urls: [http://am-1:9093, http://am-2:9093]}").settings
    found = settings.sources["prod"].reconcile
    assert found is not None
    quarter = timedelta(minutes=15)
    assert (found.every, found.absent_for, found.grace) == (timedelta(minutes=1), quarter, quarter)
    assert (found.suppressed, settings.sources["prod"].stale_alerts) == ("keep", "flag")


def test_the_addresses_are_secrets_and_are_never_shown(tmp_path: Path) -> None:
    urls = "urls: ['http://me:${PASSWORD}@am-1:9093', 'http://am-2:9093/?token=canary-canary']"
    configuration = loaded(tmp_path, f"reconcile: {{{urls}}}", PASSWORD="hush-hush")
    found = configuration.settings.sources["prod"].reconcile
    assert found is not None
    assert [url.reveal() for url in found.urls] == [
        "http://me:hush-hush@am-1:9093",
        "http://am-2:9093/?token=canary-canary",
    ]
    assert set(found.urls) <= set(configuration.secrets)
    shown = f"{configuration.settings!r} {configuration.settings.model_dump_json()} {configuration.rule_set}"
    assert "hush" not in shown
    assert "canary" not in shown


def test_a_password_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hush-hush\n", encoding="utf-8")
    auth = "auth: {basic: {username: me, password_file: password}}"
    found = loaded(tmp_path, f"reconcile: {{urls: [http://am], {auth}}}").settings.sources["prod"].reconcile
    assert found is not None
    assert found.auth is not None
    assert found.auth.basic is not None
    assert found.auth.basic.password == Secret("hush-hush")


@pytest.mark.parametrize(
    ("settings", "field", "said"),
    [
        ("reconcile: {}", "reconcile.urls", "this setting is missing; add for example `urls:"),
        ("reconcile: {urls: []}", "reconcile.urls", "no peer is named; list the URL"),
        ("reconcile: {urls: http://am}", "reconcile.urls", "expected a list, got text; write each item"),
        (
            "reconcile: {urls: [am:9093]}",
            "reconcile.urls[0]",
            "expected a URL with http or https; write it whole",
        ),
        (
            "reconcile: {urls: [http://a, 3]}",
            "reconcile.urls[1]",
            "expected text, got a number; put it in quotes",
        ),
        (
            "reconcile: {urls: [http://a, '']}",
            "reconcile.urls[1]",
            "expected a URL with http or https; write it whole",
        ),
        ("reconcile: {urls: [http://a, http://a/]}", "reconcile.urls", "a peer is named twice; name each"),
        ("reconcile: {urls: [http://a], every: 60}", "reconcile.every", "a duration needs a unit; write 60s"),
        ("reconcile: {urls: [http://a], every: 0s}", "reconcile.every", "must be longer than 0s"),
        (
            "reconcile: {urls: [http://a], suppressed: drop}",
            "reconcile.suppressed",
            "write one of: keep, resolve",
        ),
        (
            "reconcile: {urls: [http://a], auth: {}}",
            "reconcile.auth",
            "no way to authenticate is given; give exactly one",
        ),
        (
            "reconcile: {urls: [http://a], auth: {bearer_token: abc, basic: {username: a, password: b}}}",
            "reconcile.auth",
            "more than one way to authenticate is given; give exactly one",
        ),
        (
            "reconcile: {urls: ['http://me:hush@a'], auth: {bearer_token: abc}}",
            "reconcile",
            "both auth and a URL hold credentials; remove them from the URL",
        ),
        ("reconcile: {urls: [http://a], ca_file: nowhere}", "reconcile.ca_file", "does not exist"),
        (
            "stale_alerts: resolve",
            "",
            "stale_alerts: resolve needs to know what is stale; add `expect_repeat:`",
        ),
        (
            "stale_alerts: resolve, expect_repeat: 5h, reconcile: {urls: [http://a]}",
            "",
            "both stale_alerts and reconcile would resolve alerts; remove stale_alerts",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_remedy(
    tmp_path: Path, settings: str, field: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, settings)
    (problem,) = refused.value.problems
    assert (problem.line, problem.field) == (2, f"sources.prod.{field}".rstrip("."))
    assert said in str(problem)
    assert "hush" not in str(problem)


@pytest.mark.parametrize(
    ("settings", "shown", "resolved"),
    [
        ("stale_window: 90s", False, False),
        ("expect_repeat: 5h", True, False),
        ("expect_repeat: 5h, stale_alerts: resolve", True, True),
        ("expect_repeat: 5h, reconcile: {urls: [http://a]}", True, False),
    ],
)
def test_who_is_watched_for_repeats(tmp_path: Path, settings: str, *, shown: bool, resolved: bool) -> None:
    found = loaded(tmp_path, settings).settings
    wanted = {"prod": timedelta(hours=5)}
    assert expected_repeats(found) == (wanted if shown else {})
    assert expected_repeats(found, resolved=True) == (wanted if resolved else {})


def test_how_the_peers_are_asked_is_no_part_of_the_rules(tmp_path: Path) -> None:
    plain = loaded(tmp_path, "stale_window: 90s").hash
    settings = "stale_window: 90s, expect_repeat: 5h, reconcile: {urls: [http://a]}"
    assert loaded(tmp_path, settings).hash == plain
