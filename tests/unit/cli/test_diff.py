"""`alertbridge diff`, run in this process on what a real Alertmanager sent; with a daemon in the acceptance tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from typing_extensions import override

from alertbridge.cli import captured
from alertbridge.cli.caller import Caller
from alertbridge.cli.captured import payload_files
from alertbridge.cli.comparison.compare import Pair
from alertbridge.cli.comparison.result import Comparison, Standing
from alertbridge.cli.main import group
from alertbridge.cli.stored import Stored
from alertbridge.config.load import Configuration
from alertbridge.model import Event
from alertbridge.sources.alertmanager import Alertmanager
from tests.support.configuration import MAIN, configure
from tests.support.payloads import FOLDER, received_at
from tests.support.payloads import captured as body_of

RULES = """
rules:
  - name: everything
    send: [elven]
"""
CANARY = "token-of-elven"


def load(folder: Path, name: str, rules: str = RULES, main: str = MAIN) -> Configuration:
    (folder / name).mkdir(exist_ok=True)
    return configure(folder / name, rules, main)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two configurations with other names for their only rule."""
    load(tmp_path, "current")
    load(tmp_path, "new", RULES.replace("everything", "all"))
    return tmp_path


def diff(folder: Path, *arguments: str) -> Result:
    current, new = (str(folder / name / "alertbridge.yaml") for name in ("current", "new"))
    return CliRunner().invoke(group, ["diff", new, "--config", current, *arguments])


def test_captured_notifications_are_compared_one_or_a_folder_of_them(folder: Path) -> None:
    one = json.loads(diff(folder, "--json", "--payloads", str(FOLDER / "01-firing-single.json")).output)
    assert (one["events"], one["alerts"], one["changed"]) == (1, 1, 1)

    many = diff(folder, "--payloads", str(FOLDER))
    assert many.exit_code == 0
    assert "alerts go from rule everything to rule all\n" in many.output
    assert "Open incidents were not looked at: only a running daemon knows them.\n" in many.output


def test_no_secret_of_either_configuration_is_shown(folder: Path) -> None:
    said = RULES.replace("send: [elven]", f'send: {{elven: {{title: "{CANARY}"}}}}')
    load(folder, "new", said)

    result = diff(folder, "--payloads", str(FOLDER / "01-firing-single.json"))

    assert "title at elven differs for 1 alert" in result.output
    assert CANARY not in result.output


def test_a_new_configuration_with_mistakes_is_not_compared(folder: Path) -> None:
    path = folder / "new" / "alertbridge.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("send:", "sned:"), encoding="utf-8")

    result = diff(folder, "--payloads", str(FOLDER))
    assert result.exit_code == 1
    assert "rules[0].sned: unknown key" in result.output

    programs = diff(folder, "--payloads", str(FOLDER), "--json")
    assert programs.exit_code == 1
    said = json.loads(programs.output)
    assert (said["ok"], {one["field"] for one in said["problems"]}) == (False, {"rules[0].sned"})


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--last", "7d", "--since", "2026-01-01T00:00:00Z"], "give --last or --since, not both"),
        (["--last", "7"], "write for example 30m, 24h or 7d"),
        (["--last", "0s"], "that is no time at all"),
        (["--since", "2026-01-01"], "is no moment; write 2h, 7d or"),
        (["--since", "yesterday"], "is no moment; write 2h, 7d or"),
        (["--url", "here"], "write for example http://127.0.0.1:9797"),
        (["--source", "prod"], "--source says where --payloads come from"),
        (["--payloads", str(FOLDER), "--last", "7d"], "leave out --last, --since and --url"),
        (["--payloads", str(FOLDER), "--source", "x"], 'no source is called "x"'),
        (["--payloads", str(FOLDER.parent.parent / "support")], "no *.json file is there"),
        (["--payloads", "nowhere"], "does not exist"),
    ],
)
def test_wrong_usage_is_said(folder: Path, arguments: list[str], problem: str) -> None:
    result = diff(folder, *arguments)

    assert result.exit_code == 2
    assert problem in " ".join(result.output.split())


def test_the_source_must_be_said_where_there_are_several(folder: Path) -> None:
    load(folder, "current", main=MAIN.replace("sources:", "sources:\n  staging: {type: alertmanager}"))

    assert diff(folder, "--payloads", str(FOLDER)).exit_code == 2
    result = diff(folder, "--payloads", str(FOLDER), "--source", "prod")
    assert result.exit_code == 0, result.output


def test_an_interruption_ends_it_without_a_verdict(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pair, "on_captured", interrupt)

    result = diff(folder, "--payloads", str(FOLDER))

    assert result.exit_code == 130
    assert result.output == "\ninterrupted: nothing is concluded\n"


def test_a_captured_notification_is_as_fresh_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(body_of("07"))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.json").write_bytes(b"{")
    files = payload_files([tmp_path])
    now = datetime(2030, 1, 1, tzinfo=UTC)

    first, second = captured.captured(files, parser=Alertmanager(), source="prod", now=now)

    assert timedelta(0) <= received_at("07") - first.received_at < timedelta(minutes=10)
    assert (second.received_at, second.body) == (now, b"{")


# What only a daemon tells, played by its answers


class Daemon(Caller):
    """Answers as a daemon would that has one open incident at elven and nothing stored."""

    def __init__(self, hash_said: str = "0") -> None:
        self._url = "http://daemon"
        self._hash = hash_said
        member = {"source": "prod", "fingerprint": "a", "status": "firing"}
        incident = {
            "id": "i1",
            "destination": "elven",
            "key": "k",
            "rule": "everything",
            "severity": "high",
            "opened_at": "2026-01-01T12:00:00Z",
            "alerts": [member, {**member, "fingerprint": "b", "status": "resolved"}],
        }
        self._items: dict[str, list[dict[str, Any]]] = {
            "/api/v1/events": [],
            "/api/v1/incidents": [incident],
            "/api/v1/destinations": [
                {"name": "elven", "waiting": 2, "held": 1},
                {"name": "hivel", "waiting": 1, "held": 0},
            ],
        }

    @override
    def get(self, path: str, **query: str) -> dict[str, Any]:
        waiting = query.get("state") == "received"
        return {"items": [{}] * 4 if waiting else self._items[path], "next": None}

    @override
    def read(self, path: str) -> str:
        return f"alertbridge_inbox 0.0\nalertbridge_config_hash {float(int(self._hash, 16))!r}\n"


def compared(current: Configuration, new: Configuration, daemon: Daemon) -> tuple[Comparison, Standing]:
    def heard(_: Event) -> None:
        return

    pair = Pair(current=current, new=new, files=(Path("a.yaml"), Path("b.yaml")))
    found = pair.on_stored(Stored(daemon), since=None, heard=heard)
    assert found.standing is not None
    return found, found.standing


def test_work_that_waits_for_what_is_gone_is_counted_as_a_reload_would(tmp_path: Path) -> None:
    current = load(tmp_path, "current")
    main = MAIN.replace("  elven: {", "  pager: {").replace("  prod:", "  staging:")
    new = load(tmp_path, "new", RULES.replace("[elven]", "[pager]"), main)

    _, standing = compared(current, new, Daemon(current.hash[:12]))

    assert standing.undelivered == {"elven": 3}
    assert standing.undecided == {"prod": 4}
    assert [one.incident.id for one in standing.stranded] == ["i1"]
    assert standing.unknown == ()  # it is stranded, and that is worse


def test_an_alert_of_which_nothing_is_stored_is_told_as_unknown(tmp_path: Path) -> None:
    current = load(tmp_path, "current")

    found, standing = compared(current, load(tmp_path, "new"), Daemon(current.hash[:12]))

    assert [(one.incident.id, one.alerts) for one in standing.unknown] == [("i1", 1)]
    assert (standing.strands, found.notices) == (False, ())


def test_another_address_while_incidents_are_open_is_noticed(tmp_path: Path) -> None:
    other = MAIN.replace("token-of-elven", "other-token-of-elven")

    current = load(tmp_path, "current")

    found, _ = compared(current, load(tmp_path, "new", RULES, other), Daemon(current.hash[:12]))

    (notice,) = found.notices
    assert notice.startswith(
        "destination elven gets another address or secret while 1 of its incidents are open"
    )
