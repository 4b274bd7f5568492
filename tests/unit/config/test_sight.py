from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typing_extensions import override

from alertbridge.config.load import UnusableConfigurationError, load
from alertbridge.config.places import find_places
from alertbridge.config.sight import Sight
from tests.support.configuration import MAIN

RULES = "rules:\n  - {name: everything, send: [elven]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    (folder / "rules.d").mkdir(parents=True)
    main = MAIN.replace("token: token-of-hivel", "token_file: secret/hivel-token")
    (folder / "main.yaml").write_text(f"{main}rules_files: [rules.d/*.yaml]\n", encoding="utf-8")
    (folder / "rules.d" / "10.yaml").write_text(RULES, encoding="utf-8")
    (folder / "secret").mkdir()
    (folder / "secret" / "hivel-token").write_text("token-of-hivel\n", encoding="utf-8")
    return folder


def sight_of(folder: Path) -> Sight:
    try:
        return load(folder / "main.yaml", environ={}).sight
    except UnusableConfigurationError as error:
        return error.sight


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        (write("main.yaml", "not a configuration"), ["main.yaml"]),
        (write("rules.d/10.yaml", RULES + "# a remark"), ["rules.d/10.yaml"]),
        (write("rules.d/20.yaml", ""), ["rules.d/20.yaml"]),
        (write("secret/hivel-token", "another"), ["secret/hivel-token"]),
        (lambda folder: (folder / "rules.d/10.yaml").unlink(), ["rules.d/10.yaml"]),
        (lambda folder: (folder / "secret/hivel-token").unlink(), ["secret/hivel-token"]),
        (lambda folder: (folder / "main.yaml").touch(), []),
        (write("rules.d/10.txt", "no rule file"), []),
    ],
)
def test_a_sight_differs_exactly_where_a_load_would_find_something_else(
    folder: Path, change: Callable[[Path], object], differing: list[str]
) -> None:
    before = sight_of(folder)
    change(folder)

    after = before.again()

    assert (after == before) == (not differing)
    assert [os.path.relpath(file, folder) for file in before.differing(after)] == differing


@pytest.mark.parametrize(
    ("broken", "also"),
    [
        (write("rules.d/10.yaml", "rules: [{nmae: x}]"), "secret/hivel-token"),
        (lambda folder: (folder / "secret/hivel-token").unlink(), "rules.d/10.yaml"),
    ],
)
def test_what_cannot_be_used_has_looked_at_every_file_too(
    folder: Path, broken: Callable[[Path], object], also: str
) -> None:
    broken(folder)
    before = sight_of(folder)
    (folder / also).write_text("rules: []", encoding="utf-8")
    assert str(folder / also) in before.differing(before.again())


class ChangesMeanwhile(dict[str, str]):
    """An environment that is asked for something while the main file is being read, and lets all files change then."""

    def __init__(self, change: Callable[[], object]) -> None:
        super().__init__(WORD="high")
        self._change = change

    @override
    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        if key == "WORD":
            self._change()
        return super().get(key, default)


def test_files_that_change_while_they_are_read_are_all_read_again(folder: Path) -> None:
    main = (folder / "main.yaml").read_text(encoding="utf-8") + 'severities: {page: "${WORD}"}\n'
    (folder / "main.yaml").write_text(main, encoding="utf-8")

    def change() -> None:
        (folder / "main.yaml").write_text(main.replace("44", "55"), encoding="utf-8")
        (folder / "rules.d" / "10.yaml").write_text(RULES.replace("everything", "second"), encoding="utf-8")

    found = load(folder / "main.yaml", environ=ChangesMeanwhile(change))

    assert found.rulebook.rules[0].name == "second"
    assert found.settings.services["checkout"].pr_number == "55"
    assert found.sight.again() == found.sight


def test_files_that_never_stay_the_same_are_used_as_they_are(folder: Path) -> None:
    main = (folder / "main.yaml").read_text(encoding="utf-8") + 'severities: {page: "${WORD}"}\n'
    (folder / "main.yaml").write_text(main, encoding="utf-8")
    numbers = iter(range(100))

    def change() -> None:
        (folder / "main.yaml").write_text(f"{main}# {next(numbers)}", encoding="utf-8")

    assert load(folder / "main.yaml", environ=ChangesMeanwhile(change)).rulebook.rules


def test_a_pipe_is_not_read_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sight = Sight({(pipe, 100): "as it was"})
    assert sight.again() == sight


def test_a_sight_does_not_show_what_was_found(folder: Path) -> None:
    shown = repr(sight_of(folder))
    assert "rules.d/*.yaml" in shown
    assert not [digest for digest in sight_of(folder).files.values() if digest in shown]


def test_every_folder_on_the_way_matters_with_the_name_that_is_looked_up_in_it(folder: Path) -> None:
    places = find_places(sight_of(folder))

    assert places.names[folder] == {"main.yaml", "rules.d", "secret"}
    assert places.names[folder / "rules.d"] == {"*.yaml", "10.yaml"}
    assert places.names[folder.parent] == {"conf"}
    for path, matters in {
        folder / "rules.d" / "20.yaml": True,
        folder / "rules.d" / "20.txt": False,
        folder / "alertbridge.db-wal": False,
        folder: True,
        folder.parent / "other": False,
    }.items():
        assert places.concern(path) is matters, path


def test_links_are_followed_step_by_step(folder: Path, tmp_path: Path) -> None:
    for volume in ("2026_01", "2026_02"):
        (tmp_path / f"..{volume}").mkdir()
        (tmp_path / f"..{volume}" / "token").write_text("token", encoding="utf-8")
    (tmp_path / "..data").symlink_to("..2026_01")
    (tmp_path / "token").symlink_to("..data/token")
    token = folder / "secret" / "hivel-token"
    token.unlink()
    token.symlink_to(tmp_path / "token")

    places = find_places(sight_of(folder))

    assert places.names[folder / "secret"] == {"hivel-token"}
    assert places.names[tmp_path] == {"conf", "token", "..data", "..2026_01"}
    assert places.names[tmp_path / "..2026_01"] == {"token"}


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert find_places(Sight({(tmp_path / "a", 1): ""})).names[tmp_path] == {"a", "b"}


@pytest.mark.parametrize(
    ("pattern", "folders"),
    [
        ("rules.d/*.yaml", {"rules.d": {"*.yaml"}}),
        ("*/x.yaml", {".": {"*", "rules.d"}, "rules.d": {"x.yaml"}, "rules.d/deep": set()}),
        ("**/*.yaml", {".": {"*", "*.yaml", "rules.d"}, "rules.d/deep": {"*", "*.yaml"}}),
        ("none/*.yaml", {".": {"none", "rules.d"}}),
    ],
)
def test_every_folder_that_a_pattern_searches_matters(
    tmp_path: Path, pattern: str, folders: dict[str, set[str]]
) -> None:
    (tmp_path / "rules.d" / "deep").mkdir(parents=True)
    relative = find_places(Sight({}, {(tmp_path, pattern): ()}))
    absolute = find_places(Sight({}, {(tmp_path / "elsewhere", f"{tmp_path}/{pattern}"): ()}))
    for folder, names in folders.items():
        found = relative.names.get((tmp_path / folder).resolve(), frozenset())
        assert found - {"rules.d"} == names - {"rules.d"}, folder
    assert relative == absolute


def test_another_folder_of_the_same_name_is_another_place(folder: Path) -> None:
    before = find_places(sight_of(folder))
    rules = folder / "rules.d"
    rules.rename(folder / "old")
    rules.mkdir()
    (rules / "10.yaml").write_text(RULES, encoding="utf-8")
    after = find_places(sight_of(folder))
    assert before.names == after.names
    assert before != after
