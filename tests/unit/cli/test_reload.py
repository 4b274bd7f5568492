"""How `reload` finds the daemon; what it then says is in the acceptance tests."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from alertbridge.cli.caller import Caller, NoAnswer
from alertbridge.cli.main import group
from alertbridge.errors import ConfigurationError


def written(folder: Path, server: str) -> Path:
    path = folder / "alertbridge.yaml"
    path.write_text(f"server: {server}\nsources: nonsense\nrules: 7\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:9797", "http://127.0.0.1:9797"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:9797", "http://[::1]:9797"),
        ("[fd00::7]:9797", "http://[fd00::7]:9797"),
        ("bridge.example:9797", "http://bridge.example:9797"),
    ],
)
def test_the_daemon_is_where_it_listens_whatever_else_the_file_says(
    tmp_path: Path, listen: str, url: str
) -> None:
    assert Caller(written(tmp_path, f'{{listen: "{listen}"}}'), url=None)._url == url


def test_without_a_server_section_it_is_where_it_listens_by_default(tmp_path: Path) -> None:
    assert Caller(written(tmp_path, ""), url=None)._url == "http://127.0.0.1:9797"


@pytest.mark.parametrize(
    ("server", "field"),
    [
        ('{listen: "127.0.0.1:0"}', "server.listen"),
        ("{listen: here}", "server.listen"),
        ("{admin_token_file: none}", "server.admin_token_file"),
        ("nonsense", "server"),
    ],
)
def test_a_server_section_that_leads_nowhere_is_named(tmp_path: Path, server: str, field: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Caller(written(tmp_path, server), url=None)

    assert field in [problem.field for problem in refused.value.problems]


def test_a_url_needs_no_configuration(tmp_path: Path) -> None:
    assert Caller(tmp_path / "none.yaml", url="http://127.0.0.1:1/")._url == "http://127.0.0.1:1"


def test_a_url_needs_no_configuration_where_one_may_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    caller = Caller(Path("/etc/alertbridge/alertbridge.yaml"), url="http://127.0.0.1:1")
    assert caller.url == "http://127.0.0.1:1"


def test_without_a_configuration_the_remedy_is_to_name_one_or_the_daemon(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no configuration here; name one with --config"):
        Caller(tmp_path / "none.yaml", url=None)


@pytest.mark.parametrize(
    "url",
    [
        *("foo", "ftp://127.0.0.1", "http://", "file:///etc/passwd", "http://[::1", "http://[zz]:1"),
        *(
            "http://127.0.0.1:99999",
            "http://127.0.0.1:port",
            f"http://{'a' * 64}:9797",
            "http://u:p@127.0.0.1",
        ),
    ],
)
def test_what_is_no_address_is_wrong_usage(url: str) -> None:
    assert CliRunner().invoke(group, ["reload", "--url", url]).exit_code == 2


@pytest.mark.parametrize("command", ["reload", "incidents", "destinations"])
@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, b"[]"), (404, b"404: Not Found"), (200, b"")])
def test_another_server_than_the_daemon_is_told_from_it(
    monkeypatch: pytest.MonkeyPatch, command: str, answer: tuple[int, bytes]
) -> None:
    monkeypatch.setattr(Caller, "_ask", lambda *_, **__: answer)
    result = CliRunner().invoke(group, [command, "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "but not as alertbridge does; --url says where" in f"{result.stderr}{result.exception}"


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("{}", "none is known here; name the daemon's configuration"),
        ("{admin_token: ours}", "another admin token"),
    ],
)
@pytest.mark.parametrize("command", ["reload", "incidents"])
def test_a_token_that_is_refused_and_one_that_is_not_known_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, said: str, command: str
) -> None:
    monkeypatch.setattr(Caller, "_ask", lambda *_, **__: (401, b"{}"))
    config = str(written(tmp_path, server))
    result = CliRunner().invoke(group, [command, "--config", config, "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert said in f"{result.stderr}{result.exception}"


@pytest.mark.parametrize(
    "arguments",
    [("trace", "eu/\udcff"), ("incidents", "--key", "\udcff"), ("destinations", "resume", "\udcff")],
)
def test_an_argument_that_is_not_utf_8_is_asked_for_all_the_same(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(group, [*arguments, "--url", "http://127.0.0.1:1"])

    assert isinstance(result.exception, NoAnswer)
