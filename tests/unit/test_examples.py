"""The example configuration: what `init` writes, what `config/` holds and what the demo runs are one and the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alertbridge.cli import example
from alertbridge.cli.trial.run import cover, run
from alertbridge.config.destination_settings import HivelSettings
from alertbridge.config.load import Configuration, load
from alertbridge.foresight import Fate, foresee_all
from alertbridge.parts import bridge
from alertbridge.sources.alertmanager import Alertmanager

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "config"
NOW = datetime(2026, 11, 21, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    return load(FOLDER / "alertbridge.yaml", environ={})


def fates(configuration: Configuration, body: bytes) -> tuple[Fate, ...]:
    said = Alertmanager().parse(body, source="prod", received_at=NOW)
    return foresee_all(bridge(configuration), said, at=NOW).fates


def test_the_folder_holds_exactly_what_init_writes() -> None:
    written = {**example.configuration(), example.SCHEMA: example.schema_text()}
    held = {
        str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8")
        for path in FOLDER.rglob("*")
        if path.is_file()
    }

    assert sorted(held) == sorted(written)
    for name, text in written.items():
        remedy = (
            "alertbridge schema >" if name == example.SCHEMA else "copy from src/alertbridge/cli/example to"
        )
        assert held[name] == text, f"{remedy} config/{name}"


def test_it_loads_without_a_warning_and_without_any_environment(configuration: Configuration) -> None:
    assert configuration.warnings == ()
    assert configuration.settings.server.on_loopback


def test_without_an_environment_it_reaches_nothing_but_this_machine() -> None:
    text = (FOLDER / "alertbridge.yaml").read_text(encoding="utf-8")
    settings = re.sub(r"#.*", "", text)

    assert set(re.findall(r":-https?://([^:/}]+)", settings)) == {"127.0.0.1"}


def test_the_environment_takes_the_place_of_every_default() -> None:
    environ = {
        "ELVEN_URL": "https://elven.example/hook/of-production",
        "HIVEL_BASE_URL": "https://app.hivel.in",
        "HIVEL_TOKEN": "hivel-of-production",
        "WEBHOOK_TOKEN": "webhook-of-production",
    }

    configuration = load(FOLDER / "alertbridge.yaml", environ=environ)

    assert {secret.reveal() for secret in configuration.secrets} == {
        environ[name] for name in ("ELVEN_URL", "HIVEL_TOKEN", "WEBHOOK_TOKEN")
    }
    hivel = configuration.settings.destinations["hivel"]
    assert isinstance(hivel, HivelSettings)
    assert hivel.base_url == environ["HIVEL_BASE_URL"]


def test_the_tests_of_the_rules_pass_and_reach_every_rule(configuration: Configuration) -> None:
    parts = bridge(configuration)
    results = [run(parts, trial, read=Path.read_bytes) for trial in configuration.trials]

    assert [result.differences for result in results] == [()] * len(results)
    assert cover(parts, results).unreached == ()
    assert any(trial.settings.sequence for trial in configuration.trials)


def test_the_captured_notifications_belong_together_and_make_a_whole_record(
    configuration: Configuration,
) -> None:
    (fired,) = fates(configuration, example.payload("firing"))
    ended = fates(configuration, example.payload("resolved"))

    assert [fate.alert.firing for fate in ended] == [False] * len(ended)
    assert fired.alert.id in {fate.alert.id for fate in ended}
    assert fired.rules == ("payments-critical",)
    assert [one.intent.destination for one in fired.tellings] == ["elven", "hivel"]
    assert [one.missing for fate in ended for one in fate.tellings] == [()] * 2 * len(ended)


def test_the_captured_notifications_are_as_they_were_received() -> None:
    captured = ROOT / "tests" / "payloads" / "alertmanager"

    assert example.payload("firing") == (captured / "01-firing-single.json").read_bytes()
    assert example.payload("resolved") == (captured / "07-resolved-all.json").read_bytes()
