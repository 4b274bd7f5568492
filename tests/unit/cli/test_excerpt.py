"""What may be shown of a line that has a problem in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.cli.excerpt import excerpt

SECRET = "s3cret-Canary-77"


@pytest.mark.parametrize(
    ("line", "column", "field", "shown", "caret"),
    [
        ("  - severity => page", 14, "rules[0].when[0]", "  - severity => page", "             ^"),
        ("\t- a =", 4, "rules[0].when[0]", "\t- a =", "\t  ^"),
        ('  title: "{{ nmae }}"', 14, "templates.title", '  title: "{{ nmae }}"', "             ^"),
        ("  key: '{{ x }}'", 12, "defaults.key", "  key: '{{ x }}'", "           ^"),
        ("    page: criticl  ", 11, "severities.page", "    page: criticl", "          ^"),
        ("  listen: here", 11, "server.listen", "  listen: here", "          ^"),
        ("    typ: elven", 5, "destinations.elven.typ", "    typ: …", "    ^"),
        ("    typ: elven", 10, "destinations.elven.typ", "    typ: …", "         ^"),
        ("  - name: x", 5, "sources[0].name", "  - name: …", "    ^"),
        ("destinations:", 1, "destinations", "destinations:", "^"),
    ],
)
def test_the_caret_stands_under_the_place(line: str, column: int, field: str, shown: str, caret: str) -> None:
    assert excerpt(line, column=column, field=field) == (shown, caret)


def test_a_rule_file_is_shown_even_where_it_cannot_be_read() -> None:
    line = "  title: {{ labels.service }}"

    assert excerpt(line, column=11, field="") == ("  title: …", "         ^")
    assert excerpt(line, column=11, field="", rule_file=True) == (line, "          ^")


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (f"    url: https://elven.example/{SECRET}", "destinations.elven.url"),
        (f"    tokne: {SECRET}", "destinations.hivel.tokne"),
        (f"    type: {SECRET}", "destinations.hivel.type"),
        (f"    url:https://elven.example/{SECRET}", "destinations.elven"),
        (f"      {SECRET} and more", "destinations.elven.url"),
        (f"  hivel: {{type: hivel, token: {SECRET}}}", "destinations.hivel.type"),
        (f'{{"destinations": {{"e": {{"url": "https://e/{SECRET}"}}}}, "rules": [{{}}]}}', "rules[0]"),
        (f"    repo_url: https://me:{SECRET}@git.example/a", "services.a.repo_url"),
        (f"  - when: [a = b]  # api_key: {SECRET}", "rules[0].when[0]"),
        (f"password {SECRET}", ""),
        (f"- {SECRET}", "sources.prod.allow_from[0]"),
    ],
)
def test_no_line_is_shown_with_what_may_be_a_secret(line: str, field: str) -> None:
    assert SECRET not in str(excerpt(line, column=5, field=field))


@given(
    st.sampled_from(["url", "token", "bearer_token", "password", "secret", "proxy", "admin_token", "tokne"]),
    st.sampled_from(["{k}: {v}", '{k}: "{v}"', "- {k}: '{v}'", "{{{k}: {v}}}", '{{"{k}":"{v}"}}', "{k}:{v}"]),
    st.sampled_from(["", "destinations.e", "destinations.e.url", "sources.p.auth", "server.admin_token"]),
    st.integers(1, 80),
)
def test_a_secret_is_never_shown_outside_the_rules(key: str, form: str, field: str, column: int) -> None:
    assert SECRET not in str(excerpt(form.format(k=key, v=SECRET), column=column, field=field))


def test_a_long_line_is_shown_around_the_place() -> None:
    line = "a" * 300 + "!" + "b" * 300

    shown = excerpt(line, column=301, field="rules[0].key")

    assert shown is not None
    assert len(shown[0]) < 110
    assert shown[0][len(shown[1]) - 1] == "!"
