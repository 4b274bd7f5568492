import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.config.secrets import Redactor, UnreadableSecretError, checked, read_secret
from alertbridge.model import Secret

ELVEN = "https://api.elven.example/external/hooks/Tok3n-abcdef%2Bgh/incident?key=s3cret.key.value"


def redactor(*values: str) -> Redactor:
    return Redactor(tuple(map(Secret, values)))


@pytest.mark.parametrize("content", [b"hunter2", b"hunter2\n", b"hunter2\r\n", b"\xef\xbb\xbfhunter2\n\n"])
def test_a_secret_file_is_read_without_the_line_break_at_its_end(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    assert read_secret(path) == Secret("hunter2")


@pytest.mark.parametrize(
    ("content", "problem", "remedy"),
    [
        (b"", "nothing", "one line"),
        (b" \n", "nothing", "one line"),
        (b"canary\ncanary\n", "more than one line", "one line"),
        (b"canary\0canary", "control character", "one line"),
        (b"canary\xff", "is not text", "UTF-8"),
        (b"canary" * 20_000, "larger than 64 KiB", "path"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_without_its_content(
    tmp_path: Path, content: bytes, problem: str, remedy: str
) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(UnreadableSecretError) as refused:
        read_secret(path)
    assert str(path) in refused.value.problem
    assert problem in refused.value.problem
    assert remedy in refused.value.remedy
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name, problem in (("absent", "does not exist"), (".", "is a directory"), ("loop", "cannot be read")):
        with pytest.raises(UnreadableSecretError, match=problem) as refused:
            read_secret(tmp_path / name)
        assert str(tmp_path / name) in refused.value.problem
        assert refused.value.remedy


def test_a_file_that_may_not_be_read_says_who_should(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(UnreadableSecretError, match="may not be read; let the daemon's user"):
        read_secret(tmp_path / "token")


@pytest.mark.parametrize(
    "text",
    [
        'pa"ss/w\\ö rd',
        quote('pa"ss/w\\ö rd', safe=""),
        quote('pa"ss/w\\ö rd'),
        quote('pa"ss/w\\ö rd').lower(),
        quote_plus('pa"ss/w\\ö rd'),
        json.dumps('pa"ss/w\\ö rd')[1:-1],
        json.dumps('pa"ss/w\\ö rd', ensure_ascii=False)[1:-1],
        json.dumps('pa"ss/w\\ö rd')[1:-1].replace("/", "\\/"),
        repr('pa"ss/w\\ö rd')[1:-1],
    ],
)
def test_every_form_of_a_secret_is_taken_out(text: str) -> None:
    assert redactor('pa"ss/w\\ö rd').clean(f"before {text} after {text}.") == "before *** after ***."


@pytest.mark.parametrize(
    "text",
    [
        ELVEN,
        "/external/hooks/Tok3n-abcdef%2Bgh/incident?key=s3cret.key.value",
        "Tok3n-abcdef%2Bgh",
        "Tok3n-abcdef+gh",
        "s3cret.key.value",
        quote(ELVEN, safe=""),
    ],
)
def test_a_secret_url_is_taken_out_with_every_part_that_can_be_a_token(text: str) -> None:
    assert redactor(ELVEN).clean(f"POST <{text}>") == "POST <***>"


def test_a_long_part_of_a_secret_url_is_no_mere_word() -> None:
    cleaned = redactor("https://elven.example/hooks/abcdefghijklmnop").clean("hooks abcdefghijklmnop")
    assert cleaned == "hooks ***"


def test_words_that_merely_stand_in_a_secret_url_stay() -> None:
    text = "the external incident of hooks at api.elven.example"
    assert redactor(ELVEN).clean(text) == text


def test_the_password_in_a_url_is_taken_out() -> None:
    cleaned = redactor("http://user:p%40ss-word@proxy.example:3128/").clean(
        "p%40ss-word p@ss-word / proxy.example"
    )
    assert cleaned == "*** *** / proxy.example"


def test_a_secret_that_holds_another_goes_whole() -> None:
    assert redactor("abcd", "abcd-efgh").clean("abcd-efgh abcd") == "*** ***"


def test_secrets_of_three_characters_are_left_alone() -> None:
    assert redactor("abc").clean("abc") == "abc"


def test_bytes_of_the_environment_that_are_no_text_are_refused() -> None:
    with pytest.raises(UnreadableSecretError, match="not UTF-8") as caught:
        checked("tok\udcffabcd", "the setting holds", "write it anew")
    assert "tok" not in str(caught.value)


def test_without_secrets_nothing_changes() -> None:
    assert Redactor(()).clean("text") == "text"


TEXTS = st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]))  # surrogates are no secret


@given(TEXTS.filter(lambda text: len(text) >= 4), TEXTS, TEXTS)
def test_no_secret_is_ever_left(secret: str, before: str, after: str) -> None:
    cleaned = redactor(secret).clean(before + secret + after)
    assert secret not in cleaned


def test_a_redactor_learns_more_secrets_and_forgets_none() -> None:
    redactor = Redactor((Secret("the-old-token"),))
    clean = redactor.clean
    redactor.learn((Secret("the-new-token"),))
    assert clean("the-old-token and the-new-token") == "*** and ***"
