from __future__ import annotations

import time
import tracemalloc
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.exceptions import SecurityError

from alertbridge.errors import RenderingFailed, TemplateError
from alertbridge.rules.meter import LARGEST_VALUE
from alertbridge.rules.sandbox import Sandbox
from alertbridge.rules.template import MAX_LENGTH
from tests.unit.rules.samples import CHECKOUT, template

CONTEXT: Mapping[str, object] = {
    "labels": CHECKOUT,
    "annotations": {"long": "ab cd" * 6000, "half": "x" * 40_000, "angles": "<" * 40_000},
    "source": "prod",
}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{% macro m() %}{% endmacro %}", "{% macro %} is not available"),
        ("{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}", "{% macro %} is not available"),
        ("{% call x() %}{% endcall %}", "{% call %} is not available"),
        ("{% include 'x' %}", "{% include %} is not available"),
        ("{% import 'x' as y %}", "{% import %} is not available"),
        ("{% from 'x' import y %}", "{% from %} is not available"),
        ("{% extends 'x' %}", "{% extends %} is not available"),
        ("{% block x %}{% endblock %}", "{% block %} is not available"),
        ("{% filter upper %}{% endfilter %}", "{% filter %} is not available"),
        ("{% set x %}{% endset %}", "a {% set %} block is not available"),
        ("{% set x.y = 1 %}", "assigning to an attribute is not available"),
        ("{% with %}{% endwith %}", "{% with %} is not available"),
        ("{% autoescape true %}{% endautoescape %}", "is not available"),
        ("{% for x in labels recursive %}{% endfor %}", "recursive loops are not available"),
        (
            "{% for x in labels %}" * 3 + "{% endfor %}" * 3,
            "loops are nested deeper than 2",
        ),
        ("{{ range(9) }}", "range cannot be called"),
        ("{{ lipsum() }}", "lipsum cannot be called"),
        ("{{ cycler(1) }}", "cycler cannot be called"),
        ("{{ joiner() }}", "joiner cannot be called"),
        ("{{ namespace(a=1) }}", "namespace cannot be called"),
        ("{{ dict(a=1) }}", "dict cannot be called"),
        ("{{ labels.x.split(*labels) }}", "arguments cannot be unpacked"),
        ("{{ labels.x.split(**labels) }}", "arguments cannot be unpacked"),
        ("{{ labels | join(*labels) }}", "arguments cannot be unpacked"),
        ("{% for x in labels %}{{ loop.cycle(1) }}{% endfor %}", "the method cycle is not available"),
        ("{{ (" + "(" * 3000 + "1" + ")" * 3000 + ") }}", "nested too deeply"),
        ("{{ 1" + "+1" * 4000 + " }}", "nested too deeply"),
        ("{{ " + "9" * 5000 + " }}", "too large a number"),
        ("{{ x }}" + "x" * MAX_LENGTH, "the template has 10007 characters"),
    ],
)
def test_what_templates_must_not_do_is_refused_when_the_rules_are_loaded(text: str, problem: str) -> None:
    with pytest.raises(TemplateError) as refused:
        template(text)
    assert problem in refused.value.problem


@pytest.mark.parametrize(
    "name",
    [
        *["attr", "format", "pprint", "random", "safe"],
        *["batch", "center", "groupby", "indent", "slice", "wordwrap"],
        *["e", "escape", "forceescape", "striptags", "urlize", "xmlattr"],
    ],
)
def test_a_filter_that_grows_varies_or_reaches_into_objects_does_not_exist(name: str) -> None:
    with pytest.raises(TemplateError, match=f"there is no filter {name}"):
        template(f"{{{{ labels.x | {name} }}}}")
    with pytest.raises(RenderingFailed, match="No filter named"):
        template(f"{{{{ labels | map('{name}') | list }}}}").render(CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ labels.__class__.__init__.__globals__ }}",
        "{{ labels | attr('__class__') }}",
        "{{ '{0.__class__}'.format(labels) }}",
        "{{ '{0.__class__}'.format_map(labels) }}",
        "{{ '%s' | format(labels) }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ self.__init__.__globals__ }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ labels.x.upper.__self__ }}",
        "{{ (labels | items).__class__ }}",
    ],
)
def test_a_known_way_out_of_the_sandbox_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        template(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ labels['__class__'] }}",
        "{{ labels.__class__ }}",
        "{% set x = '' %}{{ x.__class__ }}",
        "{% set x = '' %}{{ x['__class__'] }}",
        "{% set x = '_' ~ '_class_' ~ '_' %}{{ ''[x] }}{{ labels[x] }}{{ 1[x] }}{{ [1][x] }}",
        "{{ labels | map(attribute='__class__') | join }}",
        "{{ [1] | sum(attribute='__class__') if false }}",
        "{% for x in labels %}{% set l = loop %}{{ l.__class__ }}{{ l.changed }}{{ l._iterable }}{% endfor %}",
        "{{ labels.team.encode }}{{ labels.team.format }}",
        "{{ [].append }}{{ none.x }}{{ 1.real }}{{ true.numerator }}",
    ],
)
def test_a_name_of_an_object_leads_nowhere(text: str) -> None:
    assert template(text).render(CONTEXT) in ("", "None")


def _doubled(start: str, step: str, times: int = 60) -> str:
    return f"{{% set a = {start} %}}" + f"{{% set a = {step} %}}" * times + "{{ a }}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 1000000000 }}",
        "{{ 1000000000 * 'a' }}",
        "{{ ['a'] * 1000000000 }}",
        "{{ 10 ** 1000 ** 10 }}",
        "{{ 2 ** 100000 }}",
        _doubled("9", "a * a"),
        _doubled("'aa'", "a ~ a"),
        _doubled("'aa'", "a + a"),
        _doubled("['a']", "a + a"),
        _doubled("['a']", "[a, a]"),
        _doubled("'a'", "[a, a] | join"),
        _doubled("['a']", "{1: a, 2: a}"),
        _doubled("['a']", "(a, a)"),
        _doubled("['a']", "['', ''] | map('default', a, true) | list"),
        _doubled("'aa'", "a | replace('a', 'aa')"),
        _doubled("'aa'", "a.replace('a', 'aa')"),
        _doubled("'aa'", "a | replace('', a)"),
        _doubled("'<'", "a | tojson"),
        "{{ annotations.angles | tojson | length }}",
        "{{ annotations.half ~ annotations.half }}",
        "{{ annotations.half }}{{ annotations.half }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 1.5 | round(1000000000, 'floor') }}",
        "{% for a in annotations.half %}{{ annotations.half }}{% endfor %}",
        "{% for a in annotations.half %}{% for b in annotations.half %}{% endfor %}{% endfor %}",
        "{% for a in annotations.long.split() %}{% for b in annotations.long.split() %}{% endfor %}{% endfor %}",
        "{% for a in annotations.half if annotations.half | sort %}{% endfor %}",
        "{% for a in annotations.half %}{% if a.replace('x', '') %}{% endif %}{% endfor %}",
        "{{ annotations.long | list | sort | first }}" * 200,
        "{{ annotations.long | title | length }}" * 200,
        "{{ annotations.long | length }}" * 200,
        "{{ annotations.long.count('x') }}" * 200,
        "{% set a = annotations.long | list %}" * 15,
        "{% set a = annotations.long.split('b') %}" * 20,
        "{{ annotations.long | map('list') | map('sort') | list | length }}" * 50,
    ],
)
def test_a_bomb_fails_soon_and_small(text: str) -> None:
    made = template(text)
    began = time.process_time()
    with pytest.raises(RenderingFailed, match=r"grew beyond|too much work|too large|format texts"):
        made.render(CONTEXT)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 100000000 }}",
        "{{ ['a'] * 10000000 }}",
        "{{ annotations.half[:3000] | list | join(annotations.half) }}",
        "{{ annotations.half[:3000] | replace('x', annotations.half) }}",
        "{{ annotations.half[:3000].replace('x', annotations.half) }}",
        "{{ annotations.half[:1500] | regex_replace('x', '" + "y" * 9000 + "') }}",
    ],
)
def test_a_value_that_would_be_too_large_is_never_made(text: str) -> None:
    made = template(text)
    tracemalloc.start()
    try:
        with pytest.raises(RenderingFailed, match="grew beyond"):
            made.render(CONTEXT)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_only_the_methods_of_texts_can_be_called() -> None:
    sandbox = Sandbox()
    context = sandbox.from_string("").new_context()
    methods: list[object] = [sandbox.parse, "x".format, "x".join, [].append]
    for method in methods:
        with pytest.raises(SecurityError):
            sandbox.call(context, method, "y")


def test_the_largest_value_still_renders() -> None:
    assert len(template(f"{{{{ 'a' * {LARGEST_VALUE} }}}}").render(CONTEXT)) == LARGEST_VALUE
    with pytest.raises(RenderingFailed, match="grew beyond 65536 characters"):
        template(f"{{{{ 'a' * {LARGEST_VALUE} }}}}b").render(CONTEXT)


def test_an_annotation_beyond_the_limit_can_still_be_cut_short() -> None:
    context = {"annotations": {"huge": "x" * 200_000}}
    assert template("{{ annotations.huge | upper | truncate(5) }}").render(context) == "XX..."
    with pytest.raises(RenderingFailed, match="grew beyond"):
        template("{{ annotations.huge }}").render(context)


def test_an_ordinary_loop_over_many_labels_is_within_the_limits() -> None:
    labels = {f"label_{number}": "value" for number in range(500)}
    text = "{% for name, value in labels | dictsort %}{{ name }}={{ value | upper }}, {% endfor %}"
    assert template(text).render({"labels": labels}).count("VALUE") == 500


_PIECES = st.sampled_from(
    [
        *["{{", "}}", "{%", "%}", "labels", "annotations.half", "source", "a", "b", "9", "'x'"],
        *["for", "in", "if", "else", "endfor", "endif", "set", "=", "not", "is", "defined", "loop"],
        *["|", "items", "join", "replace", "sort", "map", "list", "default", "upper", "split"],
        *["(", ")", "[", "]", ",", ".", "~", "+", "*", "**", "%", ":"],
    ]
)


@settings(deadline=None)
@given(st.lists(_PIECES, max_size=25).map(" ".join))
def test_any_text_is_refused_or_renders_or_fails_with_a_reason(text: str) -> None:
    try:
        result = template(text).render(CONTEXT)
    except (TemplateError, RenderingFailed) as error:
        assert str(error)  # noqa: PT017 - any of the two outcomes is right
    else:
        assert len(result) <= max(LARGEST_VALUE, len(text))
