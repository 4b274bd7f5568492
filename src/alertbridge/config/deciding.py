"""What of a configuration decides about alerts, apart from what only carries them, and from every secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from alertbridge.model import JSON, Secret

_CARRYING: Final = frozenset({"server", "storage", "log", "rules_files", "tests", "pings"})
_CARRYING_OF_EACH: Final[Mapping[str, frozenset[str]]] = {
    "sources": frozenset({"auth", "allow_from", "expect_repeat", "reconcile", "stale_alerts"}),
    "lookup": frozenset({"file", "column"}),  # what is read from there is a part of its own
    "destinations": frozenset(
        {
            "auth_header",
            "base_url",
            "ca_file",
            "canceled",
            "concurrency",
            "deployment_path",
            "digest_after",
            "digest_severity",
            "hold_for",
            "key_interval",
            "landing_time",
            "max_age",
            "overflow",
            "path",
            "probe_interval",
            "rate_limit",
            "reject_limit",
            "source_address",
            "timeout",
        }
    ),
}
_CARRYING_IN: Final[Mapping[str, frozenset[str]]] = {
    "deployments": frozenset({"auth", "forward", "github", "gitlab", "merges_deploy_to", "resolve"}),
}


def deciding(data: Mapping[str, Any], *, clean: Callable[[str], str]) -> dict[str, JSON]:
    """The part of a file's `data`, its secrets filled in, that decides; a setting that is not known here counts.

    A Secret is left out together with the path of its file. `clean` takes the traces of secrets out of the texts that
    remain, in case one was written where it does not belong.
    """
    chosen: dict[str, Any] = {}
    for name, value in data.items():
        if name in _CARRYING:
            continue
        value = _without(_CARRYING_IN.get(name, frozenset()), value)  # noqa: PLW2901 - the same value, less
        less = _CARRYING_OF_EACH.get(name, frozenset())
        if less and isinstance(value, Mapping):
            value = {each: _without(less, section) for each, section in value.items()}  # noqa: PLW2901 - the same value, less
        chosen[name] = value
    shown = _shown(chosen, clean)
    assert isinstance(shown, dict)
    return {name: value for name, value in shown.items() if value is not None and value not in ({}, [])}


def _without(names: frozenset[str], section: object) -> object:
    if not isinstance(section, Mapping):
        return section
    return {name: value for name, value in section.items() if name not in names}


def _shown(value: Any, clean: Callable[[str], str]) -> JSON:
    match value:
        case Mapping():
            secret = {name for name, each in value.items() if isinstance(each, Secret)}
            hidden = secret | {f"{name}_file" for name in secret}
            return {
                _text(name, clean): _shown(each, clean) for name, each in value.items() if name not in hidden
            }
        case list() | tuple():
            return [_shown(each, clean) for each in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _text(str(value), clean)


def _text(text: str, clean: Callable[[str], str]) -> str:
    """Cleaned, and with what is not valid Unicode in it replaced: it is stored and sent as JSON."""
    return clean(text).encode(errors="replace").decode()
