from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.destinations.change import pull_request_number, repository_url
from alertbridge.model import JSON

PLAIN = "https://github.com/acme/checkout"
ANYTHING: st.SearchStrategy[JSON] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.lists(st.text()),
    st.dictionaries(st.text(), st.text()),
)


@pytest.mark.parametrize(
    "written",
    [
        PLAIN,
        f"  {PLAIN}\n",
        f"{PLAIN}/",
        f"{PLAIN}//",
        f"{PLAIN}.git",
        f"{PLAIN}.git/",
        f"{PLAIN}?tab=readme",
        f"{PLAIN}#readme",
        "HTTPS://GitHub.com/acme/checkout",
        "https://github.com:443/acme/checkout",
        "https://github.com//acme//checkout",
        "https://user@github.com/acme/checkout",
        "https://user:p%40ss@github.com/acme/checkout.git",
        "https://x-access-token:ghs_abc@github.com/acme/checkout",
        "git@github.com:acme/checkout",
        "git@github.com:acme/checkout.git",
        "git@github.com:/acme/checkout.git/",
        "org-123@github.com:acme/checkout.git",
        "ssh://git@github.com/acme/checkout",
        "ssh://git@github.com:22/acme/checkout.git",
        "git://github.com/acme/checkout.git",
        "git+ssh://git@github.com/acme/checkout.git",
        "git+https://github.com/acme/checkout.git",
    ],
)
def test_a_repository_has_one_address_however_it_is_written(written: str) -> None:
    assert repository_url(written) == PLAIN


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("http://git.internal:8080/a/b.git", "http://git.internal:8080/a/b"),
        ("http://gitlab/group/sub/project", "http://gitlab/group/sub/project"),
        ("https://[2001:db8::1]:8443/a/b", "https://[2001:db8::1]:8443/a/b"),
        (
            "https://dev.azure.com/org/my%20project/_git/repo",
            "https://dev.azure.com/org/my%20project/_git/repo",
        ),
        ("https://github.com/acme/my.github.io", "https://github.com/acme/my.github.io"),
        ("https://git.example/Acme/Café", "https://git.example/Acme/Café"),
    ],
)
def test_what_makes_an_address_different_is_kept(written: str, expected: str) -> None:
    assert repository_url(written) == expected


@pytest.mark.parametrize(
    "written",
    [
        None,
        True,
        44,
        [PLAIN],
        "",
        "   ",
        "acme/checkout",
        "github.com/acme/checkout",
        "//github.com/acme/checkout",
        "https://",
        "https://github.com",
        "https://github.com/",
        "https://github.com/.git",
        "https:///acme/checkout",
        "https://github.com:port/acme/checkout",
        "https://user:pa/ss@github.com/acme/checkout",
        "https://to/ken@github.com/acme/checkout",
        "https://[broken/acme/checkout",
        "https://-/acme",
        "https://github.com/acme/check out",
        "https://github.com/{{ labels.repo }}",
        "https://github.com\\@evil.example/acme/checkout",
        "https://github.com/acme/\ud800",
        "ftp://github.com/acme/checkout",
        "file:///srv/git/checkout",
        "javascript://github.com/acme/checkout",
        "mailto:git@github.com",
        "none",
        "https://github.com/" + "a" * 3_000,
    ],
)
def test_what_is_no_repository_address_is_missing(written: JSON) -> None:
    assert repository_url(written) == ""


def test_the_git_suffix_stays_where_that_is_wanted() -> None:
    assert repository_url(f"{PLAIN}.git/", keep_git_suffix=True) == f"{PLAIN}.git"
    assert repository_url("git@github.com:acme/checkout.git", keep_git_suffix=True) == f"{PLAIN}.git"
    assert repository_url(PLAIN, keep_git_suffix=True) == PLAIN


WRITTEN = st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            ["https://", "git@", "h.example", ":", "/", "a", ".git", "@", "?", "#", "80", "[", "]", " "]
        )
    ),
)


@given(st.one_of(ANYTHING, WRITTEN), st.booleans())
def test_reading_an_address_twice_changes_nothing_and_never_leaks_a_user(value: JSON, keep: bool) -> None:  # noqa: FBT001 - hypothesis passes it by position
    once = repository_url(value, keep_git_suffix=keep)
    assert repository_url(once, keep_git_suffix=keep) == once
    assert "@" not in once
    assert once == "" or once.startswith(("https://", "http://"))


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (44, "44"),
        ("44", "44"),
        (" 44\n", "44"),
        ("#44", "44"),
        ("!44", "44"),
        ("044", "44"),
        ("https://github.com/acme/checkout/pull/44", "44"),
        ("https://github.com/acme/checkout/pull/44/", "44"),
        ("https://github.com/acme/checkout/pull/44#issuecomment-9", "44"),
        ("https://gitlab.example/a/b/-/merge_requests/44?tab=changes", "44"),
        ("https://bitbucket.org/a/b/pull-requests/44", "44"),
        ("https://dev.azure.com/o/p/_git/r/pullrequest/44", "44"),
        ("https://gitea.example/a/b/pulls/44", "44"),
    ],
)
def test_a_pull_request_is_its_number_however_it_is_written(written: JSON, number: str) -> None:
    assert pull_request_number(written) == number


@pytest.mark.parametrize(
    "written",
    [
        None,
        True,
        False,
        0,
        -44,
        44.0,
        [44],
        10**18,
        "",
        "0",
        "#0",
        "-44",
        "+44",
        "44.0",
        "4 4",
        "##44",
        "PR-44",
        "forty-four",
        "none",
        "٤٤",
        "4" * 5_000,
        "https://github.com/acme/checkout/issues/44",
        "https://github.com/acme/checkout/pull/0",
        "https://github.com/acme/checkout/pull/44/files",
        "https://github.com/acme/checkout/pull/new",
        "/acme/checkout/pull/44",
    ],
)
def test_what_is_no_number_of_a_pull_request_is_missing(written: JSON) -> None:
    assert pull_request_number(written) == ""


def test_an_absurd_number_is_refused_without_being_written_out() -> None:
    assert pull_request_number(10**5_000) == pull_request_number(-(10**5_000)) == ""


@given(ANYTHING)
def test_a_number_is_empty_or_positive_digits(value: JSON) -> None:
    number = pull_request_number(value)
    assert number == "" or int(number) > 0
    assert pull_request_number(number) == number
