from __future__ import annotations

from collections.abc import Mapping

import pytest

from alertbridge.model import Alert, AlertStatus, Content, Field, Reporting, instant
from alertbridge.rules.rulebook import FieldTemplate, Rulebook, Send, Service, Target
from tests.unit.rules.samples import CHECKOUT, STARTED, alert, rule, template

_SHAPES = {"text": Field.Shape.TEXT, "list": Field.Shape.LIST, "mapping": Field.Shape.MAPPING}


def _render(
    field: Field,
    said: Alert | None = None,
    *,
    by_rule: FieldTemplate | None = None,
    services: Mapping[str, Service] | None = None,
    service: str | None = None,
) -> Content:
    send = {"to": Send(fields={} if by_rule is None else {field.name: by_rule}, severity=None)}
    book = Rulebook(
        rules=(rule("r", send=send, service=service),),
        severities={},
        services=services or {},
        targets={"to": Target(Reporting.RECORD, (field,))},
        hash="",
    )
    return book.render(said or alert(), rule="r", destination="to", at=STARTED)


def _value(content: Content) -> tuple[object, str]:
    ((name, value),) = content.fields.items()
    return value, content.origins[name]


_REPO = Field("repo_url", "https://default", looked_up=True)
_CATALOGUE = {"checkout": Service(repo_url="https://catalogue", affected_systems=("api", "db"))}


@pytest.mark.parametrize(
    ("by_rule", "labels", "annotations", "catalogue", "expected"),
    [
        ("https://rule", "https://label", "https://annotation", _CATALOGUE, ("https://rule", "rule")),
        (None, "https://label", "https://annotation", _CATALOGUE, ("https://label", "label")),
        ("{{ labels.nope }}", "https://label", "", _CATALOGUE, ("https://label", "label")),
        (None, "", "https://annotation", _CATALOGUE, ("https://annotation", "annotation")),
        (None, " ", " ", _CATALOGUE, ("https://catalogue", "service")),
        (None, "", "", {"other": Service("x")}, ("https://default", "default")),
    ],
)
def test_a_field_takes_the_first_value_there_is(
    by_rule: str | None,
    labels: str,
    annotations: str,
    catalogue: Mapping[str, Service],
    expected: tuple[str, str],
) -> None:
    said = alert(CHECKOUT | {"repo_url": labels}, {"repo_url": annotations})
    made = None if by_rule is None else template(by_rule)
    assert _value(_render(_REPO, said, by_rule=made, services=catalogue)) == expected


def test_only_a_looked_up_field_is_looked_up() -> None:
    said = alert({"title": "label"}, {"title": "annotation"})
    assert _value(_render(Field("title", "default"), said)) == ("default", "default")


def test_the_catalogue_is_asked_for_the_service_of_the_rule() -> None:
    services = {"demo": Service(pr_number="7")}
    field = Field("pr_number", looked_up=True)
    assert _value(_render(field, services=services, service="{{ labels.job }}")) == ("7", "service")
    assert _render(field, services=services).fields == {}


def test_a_field_without_any_value_is_absent() -> None:
    assert _render(Field("description", "{{ annotations.description }}")) == Content(speaker=alert().id)


def test_a_template_that_fails_falls_back_and_is_noted() -> None:
    content = _render(Field("title", "{{ labels.alertname }}"), by_rule=template("{{ 1 / 0 }}"))
    assert content.fields == {"title": "HighErrorRate"}
    assert content.origins == {"title": "default"}
    assert content.failures == {"title": "title from the rule: the template failed: division by zero"}


def test_of_two_failures_the_first_is_told() -> None:
    content = _render(Field("title", "{{ labels.team + 1 }}"), by_rule=template("{{ 1 / 0 }}"))
    assert content.fields == content.origins == {}
    assert "division" in content.failures["title"]


@pytest.mark.parametrize(
    ("shape", "by_rule", "expected"),
    [
        ("text", template("  {{ labels.team }} "), "payments"),
        ("list", template("{{ labels.team }}, ,{{ labels.job }},"), ["payments", "demo"]),
        (
            "list",
            (template("a, b"), template("{{ labels.nope }}"), template("{{ labels.job }}")),
            ["a, b", "demo"],
        ),
        (
            "mapping",
            {"team": template("{{ labels.team }}"), "x": template("{{ labels.nope }}")},
            {"team": "payments"},
        ),
        ("mapping", template("annotations"), {"summary": "High error rate on checkout"}),
        ("mapping", template("group"), {"alertname": "HighErrorRate"}),
    ],
)
def test_a_value_has_the_shape_of_its_field(shape: str, by_rule: FieldTemplate, expected: object) -> None:
    content = _render(Field("x", shape=_SHAPES[shape]), by_rule=by_rule)
    assert _value(content) == (expected, "rule")
    assert content.failures == {}


@pytest.mark.parametrize(
    ("shape", "by_rule", "problem"),
    [
        ("text", (template("a"),), "the field is a text"),
        ("text", {"a": template("a")}, "the field is a text"),
        ("list", {"a": template("a")}, "the field is a list"),
        ("mapping", (template("a"),), "the field is a mapping"),
        ("mapping", template("lables"), '"lables" is not one of labels, annotations, group'),
        ("mapping", {"a": template("{{ 1 / 0 }}"), "b": template("b")}, "division by zero"),
        ("list", (template("{{ 1 / 0 }}"), template("b")), "division by zero"),
    ],
)
def test_a_value_of_another_shape_is_noted_and_left_out(
    shape: str, by_rule: FieldTemplate, problem: str
) -> None:
    content = _render(Field("x", shape=_SHAPES[shape]), by_rule=by_rule)
    assert content.fields == {}
    assert problem in content.failures["x"]


def test_a_list_is_looked_up_as_text_with_commas_or_as_the_catalogue_holds_it() -> None:
    field = Field("affected_systems", "{{ service }}", shape=Field.Shape.LIST, looked_up=True)
    said = alert(CHECKOUT | {"affected_systems": "a, b"})
    assert _value(_render(field, said, services=_CATALOGUE)) == (["a", "b"], "label")
    assert _value(_render(field, services=_CATALOGUE)) == (["api", "db"], "service")
    assert _value(_render(field)) == (["checkout"], "default")


def test_tags_are_all_labels_unless_the_rule_says_otherwise() -> None:
    field = Field("tags", "labels", shape=Field.Shape.MAPPING)
    said = alert({"alertname": "Down", "empty": ""})
    assert _value(_render(field, said)) == ({"alertname": "Down"}, "default")
    assert _value(_render(field, said, by_rule={"a": template("b")})) == ({"a": "b"}, "rule")


def test_a_rule_that_is_gone_leaves_every_field_to_its_default() -> None:
    book = Rulebook(
        rules=(rule("other", send=("elven",)),),
        severities={},
        services={},
        targets={
            "elven": Target(Reporting.LIFECYCLE, ()),
            "hivel": Target(Reporting.RECORD, (Field("title", "{{ labels.alertname }} {{ service }}"),)),
        },
        hash="",
    )
    for name in ("gone", "other"):
        content = book.render(alert(), rule=name, destination="hivel", at=STARTED)
        assert content.fields == {"title": "HighErrorRate checkout"}
    with pytest.raises(KeyError):
        book.render(alert(), rule="other", destination="gone", at=STARTED)


@pytest.mark.parametrize("status", AlertStatus)
def test_templates_see_the_whole_alert(status: AlertStatus) -> None:
    text = (
        "{{ source }} {{ fingerprint }} {{ service }} {{ labels.team }} {{ annotations.summary }} "
        "{{ group.alertname }} {{ generator_url }} {{ external_url }} "
        "{{ status }} {{ starts_at }} to {{ ends_at }}."
    )
    said = alert(status=status)
    ended = instant(said.ends_at) if said.ends_at else ""
    content = _render(Field("title"), said, by_rule=template(text))
    assert content.fields["title"] == (
        "prod bdc4a5686971790d checkout payments High error rate on checkout "
        "HighErrorRate http://prometheus.example:9090/graph http://alertmanager.example:9093 "
        f"{status.value} {instant(STARTED)} to {ended}."
    )


_HALF = {
    "title": template("{{ 100 // (annotations.used | int) }}"),
    "repo_url": template("{{ labels.repo }}"),
}
_FIELDS = (
    Field("title", "{{ labels.alertname }}"),
    Field("tags", "labels", shape=Field.Shape.MAPPING),
    _REPO,
)


def _anew(
    before: Content, said: Alert, *, sends: str = "to", templates: Mapping[str, FieldTemplate] = _HALF
) -> Content:
    book = Rulebook(
        rules=(rule("r", send={sends: Send(fields=templates, severity=None)}),),
        severities={},
        services={},
        targets={name: Target(Reporting.LIFECYCLE, _FIELDS) for name in ("to", "elsewhere")},
        hash="",
    )
    return book.render_anew(said, rule="r", destination="to", before=before, at=STARTED)


def _said(used: int, name: str = "a") -> Alert:
    return alert({"alertname": name, "repo": f"https://{name}"}, {"used": str(used)}, fingerprint=name)


def test_content_rendered_anew_says_what_is_so_now_but_blames_what_was_to_blame() -> None:
    before = _anew(Content(), _said(50))
    assert before.fields["title"] == "2"
    now = _anew(before, _said(25, "b"))
    assert (now.fields["title"], now.fields["repo_url"]) == ("4", "https://a")
    assert (now.fields["tags"], now.speaker) == ({"alertname": "b", "repo": "https://b"}, ("prod", "b"))


def test_content_rendered_anew_without_news_is_the_same() -> None:
    before = _anew(Content(), _said(50))
    assert _anew(before, _said(50)) == before


def test_a_field_that_fails_when_rendered_anew_keeps_what_it_said_of_that_alert_alone() -> None:
    before = _anew(Content(), _said(50))
    now = _anew(before, _said(0))
    assert (now.fields, now.origins) == (before.fields, before.origins)
    assert "modulo by zero" in now.failures["title"]
    assert _anew(now, _said(50)) == before
    assert _value(_only("title", _anew(before, _said(0, "b")))) == ("b", "default")


def test_what_was_looked_up_in_vain_may_be_found_later() -> None:
    before = Content({"title": "2"}, {"title": "rule"}, {}, _said(50).id)
    assert _value(_only("repo_url", _anew(before, _said(50)))) == ("https://a", "rule")


def test_content_stays_where_the_rule_does_not_send_there_any_more() -> None:
    before = _anew(Content(), _said(50))
    assert _anew(before, _said(25), sends="elsewhere") is before


def _only(name: str, content: Content) -> Content:
    return Content({name: content.fields[name]}, content.origins)
